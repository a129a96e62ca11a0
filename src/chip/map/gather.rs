//! Lists brought together. A list stops reaching a core only when the last of its targets has left, and no single move of five says
//! that all five should go. Here a list costs in each core the square root of its synapses there: every unit is drawn to where most
//! of those lie that hear what it hears. Whether that saved packets is asked afterwards.

use super::ledger::Ledger;
use super::partition::Ground;
use super::refine;
use crate::random::Stream;

/// Passes over all units at most.
const PASSES: usize = 8;

/// A pass that moves less than this part of the units is the last.
const WORTH: f64 = 0.002;

/// Part of the cost that gathering saves at the least where local search follows it.
const ANEW: f64 = 0.01;

/// Entries of lists that all passes may visit.
const WORK: u64 = 50_000_000;

/// What moving a unit and taking it back visits, by each of its lists.
const SHIFT: u64 = 64;

/// Cores that a unit tries.
const CHOICES: usize = 3;

/// Units of a full core that are asked to change places.
const PARTNERS: usize = 8;

/// Numbers of synapses whose root is tabulated.
const TABLE: u32 = 4096;

/// What gathering, and local search after it, make of a partition; the partition itself where that has more packets.
pub(super) fn gather<'a>(ground: &Ground<'a>, ledger: Ledger<'a>) -> Ledger<'a> {
    let mut gathered = ledger.clone();
    draw_together(ground, &mut gathered);
    if gathered.cost() >= ledger.cost() {
        return ledger;
    }
    // Local search starts anew only from what is clearly another partition.
    if (gathered.cost() as f64) < (1.0 - ANEW) * ledger.cost() as f64 {
        refine::refine(ground, &mut gathered);
        refine::dissolve(&mut gathered);
    }
    gathered
}

fn draw_together(ground: &Ground<'_>, ledger: &mut Ledger<'_>) {
    let mut stream = ground.stream("map.gather");
    let mut order: Vec<u32> = (0..ledger.h.units()).collect();
    let mut pull = Pull::new(ledger.cores());
    for _ in 0..PASSES {
        let mut moved = 0;
        stream.shuffle(&mut order);
        for unit in &order {
            let better = pull.of(ledger, *unit);
            let moves = better.iter().any(|(_, core)| ledger.try_shift(*unit, *core))
                || better.iter().any(|(gain, core)| pull.exchange(ledger, &mut stream, *unit, *core, *gain));
            moved += usize::from(moves);
            if pull.work > WORK {
                return;
            }
        }
        if moved as f64 <= WORTH * order.len() as f64 {
            return;
        }
    }
}

/// Where a unit is drawn to.
struct Pull {
    /// 1024 times the square root, by number of synapses.
    roots: Vec<u64>,
    /// What a core saves, of what the unit's lists would cost in one that they do not reach.
    saving: Vec<u64>,
    touched: Vec<u32>,
    work: u64,
}

impl Pull {
    fn new(cores: u32) -> Pull {
        let roots = (0..=TABLE).map(root).collect();
        Pull { roots, saving: vec![0; cores as usize], touched: Vec::new(), work: 0 }
    }

    fn root(&self, synapses: u32) -> u64 {
        self.roots.get(synapses as usize).copied().unwrap_or_else(|| root(synapses))
    }

    /// The cores where its lists would cost less than where it is, with how much less, the best first. Each move makes the sum of all
    /// costs less, so moves end.
    fn of(&mut self, ledger: &Ledger<'_>, unit: u32) -> Vec<(u64, u32)> {
        let h = ledger.h;
        let from = ledger.core_of[unit as usize];
        let mut here = 0;
        for (net, many) in h.inputs.row(unit) {
            let weight = h.net[*net as usize].weight;
            let alone = self.root(*many);
            for r in ledger.reach(*net) {
                let others = if r.core == from { r.synapses - many } else { r.synapses };
                let saved = weight * (alone + self.root(others) - self.root(others + many));
                if r.core == from {
                    here += saved;
                } else {
                    if self.saving[r.core as usize] == 0 {
                        self.touched.push(r.core);
                    }
                    self.saving[r.core as usize] += saved;
                }
            }
            self.work += ledger.reach(*net).len() as u64;
        }
        let mut better: Vec<(u64, u32)> = Vec::new();
        for core in self.touched.drain(..) {
            let saving = std::mem::take(&mut self.saving[core as usize]);
            if saving > here && ledger.domain[core as usize] == h.domain[unit as usize] {
                better.push((saving - here, core));
            }
        }
        better.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        better.truncate(CHOICES);
        better
    }

    /// What a unit's lists would cost less in another core than where it is.
    fn gain(&mut self, ledger: &Ledger<'_>, unit: u32, to: u32) -> i64 {
        let h = ledger.h;
        let from = ledger.core_of[unit as usize];
        let mut gain = 0;
        for (net, many) in h.inputs.row(unit) {
            let (here, there) = (ledger.synapses(*net, from), ledger.synapses(*net, to));
            let less = self.root(here) + self.root(there);
            let more = self.root(here - many) + self.root(there + many);
            gain += h.net[*net as usize].weight as i64 * (less as i64 - more as i64);
        }
        self.work += h.inputs.row(unit).len() as u64;
        gain
    }

    /// Tries to change places with one of a few random units of a full core; `gain` is what going there saves.
    fn exchange(&mut self, ledger: &mut Ledger<'_>, stream: &mut Stream, unit: u32, core: u32, gain: u64) -> bool {
        let from = ledger.core_of[unit as usize];
        let there = &ledger.units[core as usize];
        let partners = (0..PARTNERS.min(there.len())).map(|_| there[stream.below(there.len() as u64) as usize]);
        let partners: Vec<u32> = partners.collect();
        ledger.shift(unit, core);
        self.work += SHIFT * ledger.h.inputs.row(unit).len() as u64;
        let best = partners.into_iter().map(|other| (self.gain(ledger, other, from), std::cmp::Reverse(other))).max();
        if let Some((_, std::cmp::Reverse(other))) = best.filter(|(back, _)| gain as i64 + back > 0) {
            ledger.shift(other, from);
            let fits = [core, from].into_iter().all(|c| ledger.exceeded(c).is_none())
                && ledger.sources_fit(unit)
                && ledger.sources_fit(other);
            if fits {
                return true;
            }
            ledger.shift(other, core);
        }
        ledger.shift(unit, from);
        false
    }
}

fn root(synapses: u32) -> u64 {
    (f64::from(synapses).sqrt() * 1024.0).round() as u64
}
