//! Cores to sites: along Hilbert's curve first, in an order that keeps what talks together; then simulated annealing on the
//! energy of all ways; then moves that take load off the busiest link.

use super::hypergraph::NONE;
use super::ledger::Ledger;
use super::mesh::{Mesh, Tile};
use super::partition::Ground;
use crate::numerics;
use crate::random::Stream;

/// Visits to flows that annealing may spend.
const WORK: u64 = 400_000_000;

/// Trials of annealing for each core.
const TRIALS: u64 = 4000;

/// Trials of taking load off the busiest link.
const LINK_TRIALS: u64 = 400;

/// Packets between cores, in units of `ONE` per step. Core K of K cores is the host.
pub(super) struct Traffic {
    /// For each core, where its packets go (not to itself).
    pub out: Vec<Vec<(u32, u64)>>,
    /// For each core, all it talks with, both ways summed.
    both: Vec<Vec<(u32, u64)>>,
}

impl Traffic {
    pub fn new(ledger: &Ledger<'_>, observed: &[u64]) -> Traffic {
        let h = ledger.h;
        let cores = ledger.cores() as usize;
        let mut nets: Vec<Vec<u32>> = vec![Vec::new(); cores + 1];
        for net in 0..h.nets() {
            let owner = h.net[net as usize].owner;
            let from = if owner == NONE { cores } else { ledger.core_of[owner as usize] as usize };
            nets[from].push(net);
        }
        let mut row = vec![0; cores + 1];
        let mut out = Vec::new();
        let mut both = vec![Vec::new(); cores + 1];
        for (from, nets) in nets.iter().enumerate() {
            for net in nets {
                ledger.reach(*net).iter().for_each(|to| row[to.core as usize] += h.net[*net as usize].weight);
            }
            row[cores] += observed.get(from).copied().unwrap_or(0);
            row[from] = 0;
            let flows: Vec<(u32, u64)> =
                row.iter_mut().zip(0..).map(|(w, to)| (to, std::mem::take(w))).filter(|(_, w)| *w > 0).collect();
            for (to, w) in &flows {
                both[from].push((*to, *w));
                both[*to as usize].push((from as u32, *w));
            }
            out.push(flows);
        }
        for row in &mut both {
            row.sort_unstable();
            row.dedup_by(|b, a| {
                let same = a.0 == b.0;
                a.1 += if same { b.1 } else { 0 };
                same
            });
        }
        Traffic { out, both }
    }

    /// Cores in an order that keeps each beside what it talks with most: always the one next that has most to do with those
    /// already taken, recent ones first.
    fn order(&self) -> Vec<u32> {
        let cores = self.out.len() - 1;
        let mut pull = vec![0.0_f64; cores];
        let mut taken = vec![false; cores];
        let mut order = Vec::with_capacity(cores);
        while order.len() < cores {
            let free = (0..cores).filter(|c| !taken[*c]);
            let Some(next) = free.max_by(|a, b| pull[*a].total_cmp(&pull[*b]).then(b.cmp(a))) else { break };
            taken[next] = true;
            order.push(next as u32);
            // Half of it is forgotten with each core, about the length of a tile.
            pull.iter_mut().for_each(|p| *p *= 0.5);
            for (other, w) in &self.both[next] {
                if let Some(p) = pull.get_mut(*other as usize) {
                    *p += *w as f64;
                }
            }
        }
        order
    }
}

/// The slot of each core.
pub(super) struct Placement<'a> {
    pub mesh: &'a Mesh,
    traffic: &'a Traffic,
    pub slot_of: Vec<u32>,
    core_at: Vec<u32>,
    tiles: Vec<Tile>,
}

impl<'a> Placement<'a> {
    /// Core i in slot i, as the mappers of others do.
    pub fn in_order(mesh: &'a Mesh, traffic: &'a Traffic) -> Placement<'a> {
        let cores = traffic.out.len() as u32 - 1;
        Placement::new(mesh, traffic, (0..cores).collect())
    }

    fn new(mesh: &'a Mesh, traffic: &'a Traffic, slot_of: Vec<u32>) -> Placement<'a> {
        let mut core_at = vec![NONE; mesh.slots() as usize];
        slot_of.iter().zip(0..).for_each(|(slot, core)| core_at[*slot as usize] = core);
        let tiles = (0..mesh.slots()).map(|slot| mesh.tile(mesh.site(slot))).collect();
        Placement { mesh, traffic, slot_of, core_at, tiles }
    }

    fn along_hilbert(mesh: &'a Mesh, traffic: &'a Traffic) -> Placement<'a> {
        let mut slot_of = vec![0; traffic.out.len() - 1];
        for (core, slot) in traffic.order().into_iter().zip(mesh.hilbert()) {
            slot_of[core as usize] = slot;
        }
        Placement::new(mesh, traffic, slot_of)
    }

    /// Of a core, or of the host's port.
    pub fn tile_of(&self, core: u32) -> Tile {
        self.slot_of.get(core as usize).map_or(self.mesh.port(), |slot| self.tiles[*slot as usize])
    }

    /// pJ per step of all ways, times `ONE`.
    pub fn energy(&self) -> f64 {
        let mut sum = 0.0;
        for (from, flows) in self.traffic.out.iter().enumerate() {
            let at = self.tile_of(from as u32);
            for (to, w) in flows {
                sum += *w as f64 * self.mesh.energy(at, self.tile_of(*to));
            }
        }
        sum
    }

    /// Packets over each link.
    pub fn links(&self) -> Vec<u64> {
        let mut load = vec![0; self.mesh.links()];
        for (from, flows) in self.traffic.out.iter().enumerate() {
            let at = self.tile_of(from as u32);
            for (to, w) in flows {
                self.mesh.route(at, self.tile_of(*to), |link| load[link] += w);
            }
        }
        load
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.core_at.swap(a as usize, b as usize);
        for slot in [a, b] {
            let core = self.core_at[slot as usize];
            if core != NONE {
                self.slot_of[core as usize] = slot;
            }
        }
    }

    /// What moving a core to a slot saves (negative) or costs, the core `beside` left out.
    fn change(&self, core: u32, slot: u32, beside: u32) -> f64 {
        if core == NONE {
            return 0.0;
        }
        let (from, to) = (self.tile_of(core), self.tiles[slot as usize]);
        let flows = self.traffic.both[core as usize].iter().filter(|(other, _)| *other != beside);
        flows
            .map(|(other, w)| {
                let there = self.tile_of(*other);
                *w as f64 * (self.mesh.energy(to, there) - self.mesh.energy(from, there))
            })
            .sum()
    }

    fn swap_change(&self, a: u32, b: u32) -> f64 {
        let (x, y) = (self.core_at[a as usize], self.core_at[b as usize]);
        self.change(x, b, y) + self.change(y, a, x)
    }

    /// Two slots to exchange, one of them not empty: any other, or one near a core that the first talks with.
    fn propose(&self, stream: &mut Stream) -> (u32, u32) {
        let cores = self.slot_of.len() as u64;
        let core = stream.below(cores) as usize;
        let slots = u64::from(self.mesh.slots());
        let talks = &self.traffic.both[core];
        let near = talks.get(stream.below(talks.len().max(1) as u64) as usize).filter(|_| stream.below(2) == 0);
        let other = match near.and_then(|(friend, _)| self.slot_of.get(*friend as usize)) {
            // Within two tiles along the numbering.
            Some(slot) => (u64::from(*slot) + slots + stream.below(17) - 8) % slots,
            None => stream.below(slots),
        };
        (self.slot_of[core], other as u32)
    }

    /// Annealing on the energy of all ways. What it ends with is kept only if it is better.
    fn anneal(&mut self, stream: &mut Stream) {
        let cores = self.slot_of.len() as u64;
        let flows: u64 = self.traffic.both.iter().map(|r| r.len() as u64).sum();
        let trials = (TRIALS * cores).min(WORK / (2 * flows / cores + 1));
        let before = (self.energy(), self.slot_of.clone());
        let mut temperature = 0.0;
        for _ in 0..100 {
            let (a, b) = self.propose(stream);
            temperature += self.swap_change(a, b).abs() / 100.0;
        }
        // From the mean size of a change to a thousandth of it.
        let cooling = numerics::exp(numerics::ln(1e-3) / trials as f64);
        for _ in 0..trials {
            let (a, b) = self.propose(stream);
            let change = self.swap_change(a, b);
            if a != b && (change <= 0.0 || stream.uniform() < numerics::exp(-change / temperature)) {
                self.swap(a, b);
            }
            temperature *= cooling;
        }
        if self.energy() > before.0 {
            *self = Placement::new(self.mesh, self.traffic, before.1);
        }
    }

    /// Moves that take load off the busiest link and cost at most a hundredth of the energy altogether.
    fn relieve_links(&mut self, stream: &mut Stream) {
        let most = self.energy() * 1.01;
        let mut load = self.links();
        let mut energy = self.energy();
        for _ in 0..LINK_TRIALS {
            let Some(worst) = (0..load.len()).max_by_key(|l| (load[*l], std::cmp::Reverse(*l))) else { return };
            let Some(core) = self.pick_user(worst, stream) else { return };
            let (a, b) = (self.slot_of[core as usize], stream.below(u64::from(self.mesh.slots())) as u32);
            let change = self.swap_change(a, b);
            if a == b || energy + change > most {
                continue;
            }
            self.swap(a, b);
            let after = self.links();
            if after.iter().max() < load.iter().max() {
                load = after;
                energy += change;
            } else {
                self.swap(a, b);
            }
        }
    }

    /// A core whose packets use a link.
    fn pick_user(&self, link: usize, stream: &mut Stream) -> Option<u32> {
        let mut users = Vec::new();
        for (from, flows) in self.traffic.out.iter().enumerate() {
            for (to, _) in flows {
                let mut uses = false;
                self.mesh.route(self.tile_of(from as u32), self.tile_of(*to), |l| uses |= l == link);
                if uses {
                    users.extend([from as u32, *to].into_iter().filter(|c| (*c as usize) < self.slot_of.len()));
                }
            }
        }
        users.get(stream.below(users.len().max(1) as u64) as usize).copied()
    }
}

/// Finds a site for each core.
pub(super) fn place<'a>(ground: &Ground<'_>, mesh: &'a Mesh, traffic: &'a Traffic) -> Placement<'a> {
    let mut best = Placement::along_hilbert(mesh, traffic);
    let in_order = Placement::in_order(mesh, traffic);
    if in_order.energy() < best.energy() {
        best = in_order;
    }
    if best.slot_of.len() > 1 {
        let mut stream = ground.stream("map.place");
        best.anneal(&mut stream);
        let flows: u64 = traffic.out.iter().map(|r| r.len() as u64).sum();
        // A trial walks every way.
        if LINK_TRIALS * flows * u64::from(mesh.chips) < WORK {
            best.relieve_links(&mut stream);
        }
    }
    best
}
