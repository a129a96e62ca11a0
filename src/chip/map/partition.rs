//! Units to cores from nothing: the three baselines, and growth, which fills one core after the other with the unit that shares
//! most of its inputs with what lies there already.

use super::MapError;
use super::hypergraph::{Hypergraph, NONE};
use super::ledger::Ledger;
use super::resource::{Limits, Resource, Usage};
use crate::chip::target::Target;
use crate::random::{Purpose, Stream, StreamKey};

/// Units in a row that must not fit before a core counts as full.
const MISSES: u32 = 24;

/// Steps of the queue of growth.
const LEVELS: usize = 256;

/// Visits to pins that growth may spend; the widest nets, which say least about who belongs together, go without.
const GROWTH_WORK: u64 = 3_000_000_000;

/// What partitions are built from.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub h: &'a Hypergraph,
    pub limits: &'a Limits,
    /// Of cores that are filled: what lies together may number its compartments with more bits later, if that saves a core.
    pub counted: &'a Limits,
    pub target: &'a Target,
    pub seed: u64,
}

impl<'a> Ground<'a> {
    pub fn stream(&self, path: &str) -> Stream {
        Stream::new(StreamKey::new(self.seed, path, Purpose::Mapping), 0)
    }

    fn ledger(&self) -> Ledger<'a> {
        Ledger::new(self.h, self.limits, self.target)
    }

    /// The domains, ascending.
    fn domains(&self) -> Vec<u32> {
        let mut domains = self.h.domain.clone();
        domains.sort_unstable();
        domains.dedup();
        domains
    }

    /// One core after the other, in the order of the neurons.
    pub fn sequential(&self) -> Result<Ledger<'a>, MapError> {
        let order: Vec<u32> = (0..self.h.units()).collect();
        self.fill(&order)
    }

    /// The same in random order.
    pub fn random(&self) -> Result<Ledger<'a>, MapError> {
        let mut order: Vec<u32> = (0..self.h.units()).collect();
        self.stream("map.random").shuffle(&mut order);
        self.fill(&order)
    }

    fn fill(&self, order: &[u32]) -> Result<Ledger<'a>, MapError> {
        let mut ledger = self.ledger();
        for domain in self.domains() {
            let mut core = ledger.open(domain);
            for unit in order.iter().filter(|u| self.h.domain[**u as usize] == domain) {
                if !ledger.try_place(*unit, core) {
                    if !ledger.units[core as usize].is_empty() {
                        core = ledger.open(domain);
                    }
                    ledger.place(*unit, core);
                }
            }
        }
        repair(&mut ledger)?;
        Ok(ledger)
    }

    /// One unit for each of as many cores as the sequential order needs, again and again.
    pub fn round_robin(&self, sequential: &Ledger<'a>) -> Result<Ledger<'a>, MapError> {
        let mut ledger = self.ledger();
        for domain in self.domains() {
            let width = sequential.domain.iter().filter(|d| **d == domain).count() as u32;
            let mut ring: Vec<u32> = (0..width).map(|_| ledger.open(domain)).collect();
            let mut next = 0;
            for unit in (0..self.h.units()).filter(|u| self.h.domain[*u as usize] == domain) {
                // A core that refuses a unit has had its share.
                while !ring.is_empty() && !ledger.try_place(unit, ring[next % ring.len()]) {
                    next %= ring.len();
                    ring.remove(next);
                }
                if ring.is_empty() {
                    ring.extend((0..=width / 4).map(|_| ledger.open(domain)));
                    ledger.place(unit, ring[0]);
                    next = 0;
                }
                next = (next + 1) % ring.len();
            }
        }
        repair(&mut ledger)?;
        drop_empty(&mut ledger);
        Ok(ledger)
    }

    /// Fills each core with what shares most inputs with it.
    pub fn grow(&self) -> Result<Ledger<'a>, MapError> {
        let mut growth = Growth::new(self);
        for domain in self.domains() {
            growth.domain(domain);
        }
        let mut ledger = growth.ledger;
        ledger.limits = self.limits;
        repair(&mut ledger)?;
        drop_empty(&mut ledger);
        Ok(ledger)
    }
}

fn drop_empty(ledger: &mut Ledger<'_>) {
    let empty: Vec<u32> = (0..ledger.cores()).filter(|c| ledger.units[*c as usize].is_empty()).collect();
    empty.into_iter().rev().for_each(|c| ledger.close(c));
}

/// What a unit takes at the least, whatever lies beside it.
pub(super) fn alone(h: &Hypergraph, unit: u32) -> Usage {
    let mut usage = h.fixed[unit as usize];
    let mut items: Vec<u32> = h.items.row(unit).to_vec();
    for (net, many) in h.inputs.row(unit) {
        usage[Resource::Synapses] += u64::from(*many);
        usage[Resource::SynapseWords] += h.words(*net, u64::from(*many));
        usage[Resource::AxonsIn] += 1;
        usage[Resource::TraceBytes] += h.net_format(*net).trace_bytes;
        items.extend(&h.net_format(*net).items);
    }
    usage[Resource::AxonsOut] += h.owned.row(unit).iter().filter(|net| !h.pins.row(**net).is_empty()).count() as u64;
    items.sort_unstable();
    items.dedup();
    for item in items {
        let (resource, amount) = h.item_cost[item as usize];
        usage[resource] += amount;
    }
    usage
}

/// Empties cores that became too small for their tables of destinations after they were filled, into new ones.
fn repair(ledger: &mut Ledger<'_>) -> Result<(), MapError> {
    let mut spare = NONE;
    // Each unit may be moved twice: once out of the core it was in, once when its new neighbours grow.
    let mut left = 2 * u64::from(ledger.h.units());
    let mut core = 0;
    while core < ledger.cores() {
        let Some((resource, needs, limit)) = ledger.exceeded(core) else {
            core += 1;
            continue;
        };
        let axons = |unit: &u32| -> usize { ledger.h.owned.row(*unit).iter().map(|n| ledger.reach(*n).len()).sum() };
        let largest = ledger.units[core as usize].iter().copied().max_by_key(|u| (axons(u), *u));
        let unit = largest.filter(|_| ledger.units[core as usize].len() > 1 && left > 0);
        let Some(unit) = unit else {
            let member = ledger.units[core as usize].first().and_then(|u| ledger.h.unit_of.iter().position(|x| x == u));
            return Err(MapError::TooLarge { neuron: member.unwrap_or(0), resource, needs, limit });
        };
        left -= 1;
        ledger.remove(unit);
        let fits = spare != NONE && spare != core && ledger.try_place(unit, spare);
        if !fits {
            spare = ledger.open(ledger.h.domain[unit as usize]);
            ledger.place(unit, spare);
        }
        // Moving a unit may lengthen the lists of those that drive it.
        core = 0;
    }
    Ok(())
}

struct Growth<'a, 'g> {
    ground: &'g Ground<'a>,
    ledger: Ledger<'a>,
    /// Nets narrow enough to be followed.
    followed: Vec<bool>,
    /// Weight of all followed nets of a unit.
    total: Vec<u64>,
    /// Weight of those that reach the core being filled.
    shared: Vec<u64>,
    level: Vec<u8>,
    touched: Vec<u32>,
    queue: Vec<Vec<u32>>,
}

impl<'a, 'g> Growth<'a, 'g> {
    fn new(ground: &'g Ground<'a>) -> Growth<'a, 'g> {
        let h = ground.h;
        let units = h.units() as usize;
        let cores = estimate(ground);
        let mut nets: Vec<u32> = (0..h.nets()).collect();
        nets.sort_by_key(|net| h.pins.row(*net).len());
        let mut followed = vec![false; h.nets() as usize];
        let mut work = 0;
        for net in nets {
            let pins = h.pins.row(net).len() as u64;
            work += pins * pins.min(cores);
            followed[net as usize] = work <= GROWTH_WORK;
        }
        let weights = |unit| -> u64 {
            let row = h.inputs.row(unit).iter();
            row.filter(|(net, _)| followed[*net as usize]).map(|(net, _)| h.net[*net as usize].weight).sum()
        };
        Growth {
            ground,
            ledger: Ledger::new(h, ground.counted, ground.target),
            total: (0..h.units()).map(weights).collect(),
            followed,
            shared: vec![0; units],
            level: vec![0; units],
            touched: Vec::new(),
            queue: vec![Vec::new(); LEVELS],
        }
    }

    fn domain(&mut self, domain: u32) {
        let units: Vec<u32> =
            (0..self.ground.h.units()).filter(|u| self.ground.h.domain[*u as usize] == domain).collect();
        let mut next = 0;
        let mut seed = None;
        loop {
            while next < units.len() && self.ledger.core_of[units[next] as usize] != NONE {
                next += 1;
            }
            let Some(first) = seed.or(units.get(next).copied()) else { return };
            let core = self.ledger.open(domain);
            self.ledger.place(first, core);
            self.joined(first, core);
            seed = self.fill(core, &units[next..]);
        }
    }

    /// Fills a core and gives the unit to begin the next with.
    fn fill(&mut self, core: u32, rest: &[u32]) -> Option<u32> {
        let mut missed = Vec::new();
        // The queue runs dry where nothing is connected any more; then the order of the neurons is as good as any.
        let mut others = rest.iter().copied();
        while missed.len() < MISSES as usize {
            let free = |unit: &u32| self.ledger.core_of[*unit as usize] == NONE && !missed.contains(unit);
            let next = match pop(&mut self.queue, &self.level, free) {
                Some(unit) => Some(unit),
                None => {
                    others.by_ref().find(|unit| self.ledger.core_of[*unit as usize] == NONE && !missed.contains(unit))
                }
            };
            let Some(unit) = next else { break };
            if self.ledger.try_place(unit, core) {
                self.joined(unit, core);
            } else {
                missed.push(unit);
            }
        }
        for unit in self.touched.drain(..) {
            self.shared[unit as usize] = 0;
            self.level[unit as usize] = 0;
        }
        self.queue.iter_mut().for_each(Vec::clear);
        missed.first().copied()
    }

    /// Counts for all others what a unit has brought to the core.
    fn joined(&mut self, unit: u32, core: u32) {
        let h = self.ground.h;
        for (net, many) in h.inputs.row(unit) {
            // Only the first unit of a net in this core brings it there.
            if !self.followed[*net as usize] || self.ledger.synapses(*net, core) != *many {
                continue;
            }
            for other in h.pins.row(*net) {
                let o = *other as usize;
                if self.ledger.core_of[o] != NONE || h.domain[o] != h.domain[unit as usize] {
                    continue;
                }
                if self.shared[o] == 0 {
                    self.touched.push(*other);
                }
                self.shared[o] += h.net[*net as usize].weight;
                let level = (self.shared[o] as f64 / self.total[o] as f64 * (LEVELS - 1) as f64) as u8;
                if level > self.level[o] {
                    self.level[o] = level;
                    self.queue[level as usize].push(*other);
                }
            }
        }
    }
}

/// The unit of the highest level, the lowest number first among those that came last.
fn pop(queue: &mut [Vec<u32>], level: &[u8], free: impl Fn(&u32) -> bool) -> Option<u32> {
    for l in (0..queue.len()).rev() {
        while let Some(unit) = queue[l].pop() {
            if level[unit as usize] as usize == l && free(&unit) {
                return Some(unit);
            }
        }
    }
    None
}

/// About how many cores there will be.
fn estimate(ground: &Ground<'_>) -> u64 {
    let mut sum = Usage::default();
    for unit in 0..ground.h.units() {
        sum.add(&ground.h.fixed[unit as usize]);
    }
    for net in 0..ground.h.nets() {
        let pins = ground.h.pins.row(net).len() as u64;
        sum[Resource::SynapseWords] += ground.h.words(net, pins);
        sum[Resource::Synapses] += pins;
    }
    // Split lists take about twice the words of whole ones.
    2 * ground.limits.fullness(&sum).ceil() as u64 + 1
}
