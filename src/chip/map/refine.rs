//! Local search on a partition: units move to, or change places with units of, the core that saves most packets; then cores that
//! the others can hold are dissolved, and the core that takes longest gives work away. Every step is kept only if the books say
//! that it helped, so a refined partition has never more packets or cores than it had.

use super::hypergraph::NONE;
use super::ledger::{Ledger, SEND};
use super::partition::Ground;
use crate::random::Stream;

/// Passes over all units at most.
const PASSES: usize = 12;

/// A pass that saves less than this part of the cost is the last.
const WORTH: f64 = 0.002;

/// Entries of nets that all passes may visit.
const WORK: u64 = 2_000_000_000;

/// Units of the other core that are asked to change places.
const PARTNERS: usize = 8;

/// Cores that a unit tries.
const CHOICES: usize = 3;

/// Where a unit wants to go.
struct Wishes {
    /// Saving of each core that its nets reach.
    saving: Vec<u64>,
    touched: Vec<u32>,
    work: u64,
}

impl Wishes {
    fn new(cores: u32) -> Wishes {
        Wishes { saving: vec![0; cores as usize], touched: Vec::new(), work: 0 }
    }

    /// The cores with the best change of cost that is still a saving, best first. The estimate leaves the small price of leaving
    /// a core out on the side of the unit's inputs; the books decide.
    fn of(&mut self, ledger: &Ledger<'_>, unit: u32) -> Vec<(u64, u32)> {
        let h = ledger.h;
        let from = ledger.core_of[unit as usize];
        let mut stay = 0;
        for (net, many) in h.inputs.row(unit) {
            let w = SEND * h.net[*net as usize].weight;
            self.add(ledger, *net, w);
            if ledger.synapses(*net, from) != *many {
                stay += w;
            }
        }
        for net in h.owned.row(unit) {
            let w = h.net[*net as usize].weight;
            self.add(ledger, *net, w);
            if ledger.reaches(*net, from) {
                stay += w;
            }
        }
        let mut best: Vec<(u64, u32)> = Vec::new();
        for core in self.touched.drain(..) {
            let saving = std::mem::take(&mut self.saving[core as usize]);
            if core != from && saving > stay && ledger.domain[core as usize] == h.domain[unit as usize] {
                best.push((saving - stay, core));
            }
        }
        best.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(CHOICES);
        best
    }

    fn add(&mut self, ledger: &Ledger<'_>, net: u32, w: u64) {
        let reach = ledger.reach(net);
        for r in reach {
            if self.saving[r.core as usize] == 0 {
                self.touched.push(r.core);
            }
            self.saving[r.core as usize] += w;
        }
        self.work += reach.len() as u64 + 8;
    }
}

/// Improves a partition until a pass is no longer worth it.
pub(super) fn refine(ground: &Ground<'_>, ledger: &mut Ledger<'_>) {
    let mut stream = ground.stream("map.refine");
    let mut order: Vec<u32> = (0..ledger.h.units()).collect();
    let mut wishes = Wishes::new(ledger.cores());
    for _ in 0..PASSES {
        let before = ledger.cost();
        stream.shuffle(&mut order);
        for unit in &order {
            improve(ledger, &mut wishes, &mut stream, *unit);
            if wishes.work > WORK {
                return;
            }
        }
        if (before - ledger.cost()) as f64 <= WORTH * before as f64 {
            return;
        }
    }
}

fn improve(ledger: &mut Ledger<'_>, wishes: &mut Wishes, stream: &mut Stream, unit: u32) {
    let before = ledger.cost();
    let from = ledger.core_of[unit as usize];
    let choices = wishes.of(ledger, unit);
    for (_, core) in &choices {
        if ledger.try_shift(unit, *core) {
            if ledger.cost() < before {
                return;
            }
            ledger.shift(unit, from);
        }
    }
    for (saving, core) in choices {
        if exchange(ledger, wishes, stream, unit, core, saving) {
            return;
        }
    }
}

/// Tries to change places with one of a few random units of a full core.
fn exchange(
    ledger: &mut Ledger<'_>,
    wishes: &mut Wishes,
    stream: &mut Stream,
    unit: u32,
    core: u32,
    saving: u64,
) -> bool {
    let from = ledger.core_of[unit as usize];
    let there = &ledger.units[core as usize];
    let partners = (0..PARTNERS.min(there.len())).map(|_| there[stream.below(there.len() as u64) as usize]);
    let partners: Vec<u32> = partners.collect();
    let Some((change, other)) = partners.iter().map(|u| (ledger.change(*u, from), *u)).min() else { return false };
    wishes.work += partners.iter().map(|u| 2 * ledger.h.inputs.row(*u).len() as u64).sum::<u64>();
    if change >= saving as i64 {
        return false;
    }
    let before = ledger.cost();
    ledger.remove(other);
    if ledger.try_shift(unit, core) {
        if ledger.try_place(other, from)
            && ledger.cost() < before
            && ledger.sources_fit(other)
            && ledger.exceeded(core).is_none()
        {
            return true;
        }
        if ledger.core_of[other as usize] != NONE {
            ledger.remove(other);
        }
        ledger.shift(unit, from);
    }
    ledger.place(other, core);
    false
}

/// Dissolves cores, the emptiest first, as long as the others can take their units without more packets.
pub(super) fn dissolve(ledger: &mut Ledger<'_>) {
    loop {
        let fullness = |c: u32| ledger.limits.fullness(&ledger.usage[c as usize]);
        let emptiest = (0..ledger.cores()).min_by(|a, b| fullness(*a).total_cmp(&fullness(*b)).then(a.cmp(b)));
        let Some(core) = emptiest.filter(|c| empty(ledger, *c)) else { return };
        ledger.close(core);
    }
}

/// Moves all units of a core elsewhere, or none.
fn empty(ledger: &mut Ledger<'_>, core: u32) -> bool {
    let before = ledger.packets;
    let units = ledger.units[core as usize].clone();
    let mut wishes = Wishes::new(ledger.cores());
    let mut moved = Vec::new();
    for unit in &units {
        let reached = homes(ledger, &mut wishes, *unit, core);
        if !reached.into_iter().any(|c| ledger.try_shift(*unit, c)) {
            break;
        }
        moved.push(*unit);
    }
    if moved.len() == units.len() && ledger.packets <= before {
        return true;
    }
    moved.iter().rev().for_each(|unit| ledger.shift(*unit, core));
    false
}

/// Other cores of the unit's domain, the one with most of its inputs first, of equals the emptiest: those that come after it have room there.
fn homes(ledger: &Ledger<'_>, wishes: &mut Wishes, unit: u32, from: u32) -> Vec<u32> {
    for (net, _) in ledger.h.inputs.row(unit) {
        wishes.add(ledger, *net, ledger.h.net[*net as usize].weight);
    }
    wishes.touched.clear();
    let mut cores: Vec<(u64, u32)> =
        wishes.saving.iter_mut().zip(0..).map(|(saving, core)| (std::mem::take(saving), core)).collect();
    cores.retain(|(_, c)| *c != from && ledger.domain[*c as usize] == ledger.h.domain[unit as usize]);
    let full: Vec<f64> = ledger.usage.iter().map(|usage| ledger.limits.fullness(usage)).collect();
    let emptier = |a: u32, b: u32| full[a as usize].total_cmp(&full[b as usize]);
    cores.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(emptier(a.1, b.1)).then(a.1.cmp(&b.1)));
    cores.into_iter().map(|(_, c)| c).collect()
}

/// Rounds of giving work away.
const ROUNDS: usize = 64;

/// Units that the busiest core offers in a round, and cores that each is offered to.
const OFFERS: usize = 32;

/// Lets the core that takes longest give units to others, while the packets stay within `most`.
pub(super) fn rebalance(ground: &Ground<'_>, ledger: &mut Ledger<'_>, most: u64) {
    let mut stream = ground.stream("map.rebalance");
    for _ in 0..ROUNDS {
        let Some(worst) = (0..ledger.cores()).max_by_key(|c| (ledger.load(*c), std::cmp::Reverse(*c))) else { return };
        if !relieve(ledger, &mut stream, worst, most) {
            return;
        }
    }
}

fn relieve(ledger: &mut Ledger<'_>, stream: &mut Stream, worst: u32, most: u64) -> bool {
    let load = ledger.load(worst);
    let domain = ledger.domain[worst as usize];
    let mut idle: Vec<u32> =
        (0..ledger.cores()).filter(|c| *c != worst && ledger.domain[*c as usize] == domain).collect();
    idle.sort_by_key(|c| (ledger.load(*c), *c));
    idle.truncate(OFFERS);
    let there = ledger.units[worst as usize].clone();
    if there.len() < 2 {
        return false;
    }
    let mut offers: Vec<(i64, u32, u32)> = Vec::new();
    for _ in 0..OFFERS.min(there.len()) {
        let unit = there[stream.below(there.len() as u64) as usize];
        offers.extend(idle.iter().map(|c| (ledger.change(unit, *c), unit, *c)));
    }
    offers.sort_unstable();
    for (_, unit, core) in offers.into_iter().take(OFFERS) {
        if ledger.core_of[unit as usize] != worst || !ledger.try_shift(unit, core) {
            continue;
        }
        if ledger.packets <= most && ledger.load(core) < load && ledger.load(worst) < load {
            return true;
        }
        ledger.shift(unit, worst);
    }
    false
}
