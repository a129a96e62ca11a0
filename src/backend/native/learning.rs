//! Projections that learn, in one thread's share of a network.

use super::plan::Plan;
use super::rules::{Rings, Synapses};
use super::values::Values;
use super::worker::{Block, Shared, Worker};
use crate::backend::engine::RunError;
use crate::backend::state::same;
use crate::ir::{Arrival, Population};
use crate::runtime::{Ring, RingData, Weights};

/// A projection whose synapses change, with the part of its targets that is here.
pub struct Learning {
    pub projection: usize,
    /// Populations by position.
    pub source: usize,
    pub target: usize,
    /// In the plan of its target; the ring holds no other population's cells.
    ring: usize,
    pub synapses: Synapses,
    /// What is read of the targets; whether one stands for all.
    reads: Vec<(Values, bool)>,
    /// Receptors whose arrivals are events, with the rings that hold them.
    receptors: Vec<(u32, Vec<usize>)>,
    /// Arrivals of the step at hand.
    arrived: Vec<(u32, Vec<u32>)>,
    /// Which targets fire is decided when all threads have met.
    pub decided: bool,
}

impl Learning {
    pub fn new(
        projection: usize,
        (source, target): (usize, usize),
        ring: usize,
        synapses: Synapses,
        plan: &Plan,
        population: &Population,
        decided: bool,
    ) -> Learning {
        let d = &population.dynamics;
        let reads = synapses.read_exprs().map(|(r, level)| (Values::new(&d.exprs, r), level)).collect();
        let receptors = synapses
            .receptors()
            .into_iter()
            .map(|r| {
                let arrivals = d.receptors.get(r as usize).map_or(&[][..], |r| &r.arrivals);
                let taken = |a: &Arrival| match a {
                    Arrival::Count { projections, .. } | Arrival::Sum { projections, .. } => {
                        plan.rings.iter().position(|ring| ring.projections == *projections)
                    }
                    _ => None,
                };
                (r, arrivals.iter().filter_map(taken).collect())
            })
            .collect();
        Learning { projection, source, target, ring, synapses, reads, receptors, arrived: Vec::new(), decided }
    }

    /// Before a block's step: what reaches the synapses, and what they send on.
    pub fn begin(&mut self, step: u64, dt: f64, block: &Block, rings: &mut [Ring]) -> u64 {
        read(&mut self.reads, block, step as f64 * dt, &mut self.synapses.reads);
        let events = self.synapses.begin(step, &mut Rings(&mut rings[block.landings[self.ring].ring]));
        self.arrived.clear();
        for (receptor, taken) in &self.receptors {
            let mut targets = Vec::new();
            for n in 0..block.n {
                for ring in taken {
                    let landing = block.landings[*ring];
                    let ring = &rings[landing.ring];
                    let at = ring.row(step) + landing.at + n as usize;
                    let times = match &ring.data {
                        RingData::Count16(v) => u64::from(v[at]),
                        RingData::Count32(v) => u64::from(v[at]),
                        RingData::Sum(v) => u64::from(v[at] != 0.0),
                    };
                    targets.extend((0..times).map(|_| n));
                }
            }
            self.arrived.push((*receptor, targets));
        }
        events
    }

    /// After a block's step, with those of its neurons that fired (by index in the population).
    pub fn end(&mut self, step: u64, dt: f64, block: &Block, fired: &[u32]) {
        let (lo, n) = self.synapses.range();
        let offsets: Vec<u32> = fired.iter().filter(|f| (lo..lo + n).contains(*f)).map(|f| f - lo).collect();
        let (reads, t) = (&mut self.reads, (step + 1) as f64 * dt);
        self.synapses.end(step, &offsets, &self.arrived, &mut |out| read(reads, block, t, out));
    }

    /// What waited for the sums of the weights that leave each neuron, at the end of the step: `parts` are those of all shares.
    pub fn every_after(&mut self, step: u64, dt: f64, block: &Block, parts: &[&[f64]]) {
        let (reads, t) = (&mut self.reads, (step + 1) as f64 * dt);
        self.synapses.every_after(step + 1, parts, &mut |out| read(reads, block, t, out));
    }
}

/// What is read of a block's neurons at time `t`: `[read][neuron]`.
fn read(reads: &mut [(Values, bool)], block: &Block, t: f64, out: &mut [Vec<f64>]) {
    for ((values, level), row) in reads.iter_mut().zip(out) {
        let n = if *level { block.n.min(1) } else { block.n };
        values.compute(block, n, t, &mut |start, part| row[start..start + part.len()].copy_from_slice(part));
    }
}

impl Worker {
    /// Up-to-date weights of a projection that learns, in order of (presynaptic neuron, target), and the lengths of its rows.
    pub fn learned_weights(&mut self, projection: usize, step: u64) -> Option<(Vec<usize>, Vec<f64>)> {
        let l = self.learning.iter_mut().find(|l| l.projection == projection)?;
        Some((l.synapses.lengths(), l.synapses.weights(step)))
    }

    /// (pre, post) of the synapses here, in order of both.
    pub fn edges(&mut self, projection: usize) -> Vec<(u32, u32)> {
        if let Some(l) = self.learning.iter().find(|l| l.projection == projection) {
            return l.synapses.edges();
        }
        let Some((tract, member)) = self.member(projection) else { return Vec::new() };
        let tract = &mut self.tracts[tract];
        if let Some(rows) = &mut tract.procedural {
            return rows.edges(tract.sources);
        }
        let post = |k: usize| tract.rows.target(k) - member.at + member.lo;
        tract.synapses(&member).map(|(pre, k)| (pre, post(k))).collect()
    }

    /// Lengths of the rows of a projection that does not learn, and the weights one after the other; none where all are equal.
    pub fn still_weights(&mut self, projection: usize) -> (Vec<usize>, Vec<f64>) {
        let Some((tract, member)) = self.member(projection) else { return (Vec::new(), Vec::new()) };
        let tract = &mut self.tracts[tract];
        if let Some(rows) = &mut tract.procedural {
            return rows.weights(tract.sources);
        }
        let (mut lengths, mut weights) = (vec![0; tract.sources as usize], Vec::new());
        for (pre, k) in tract.synapses(&member) {
            lengths[pre as usize] += 1;
            match &tract.rows.weights {
                Weights::Constant => {}
                Weights::Single(w) => weights.push(f64::from(w[k])),
                Weights::Double(w) => weights.push(w[k]),
            }
        }
        (lengths, weights)
    }

    /// Takes over the synapses of a projection whose synapses come and go.
    ///
    /// # Errors
    /// [`RunError::Build`] where they can't be.
    pub fn set_edges(&mut self, projection: usize, step: u64, edges: &[(u32, u32)]) -> Result<(), RunError> {
        let l = self.learning.iter_mut().find(|l| l.projection == projection);
        same(l.is_some_and(|l| l.synapses.set_edges(step, edges)), true, "synapses")
    }

    pub fn set_weights(&mut self, projection: usize, step: u64, values: &[f64]) {
        if let Some(l) = self.learning.iter_mut().find(|l| l.projection == projection) {
            l.synapses.set_weights(step, values);
            return;
        }
        let Some((tract, _)) = self.member(projection) else { return };
        // What is written has rows of its own, in double precision.
        if let Weights::Double(w) = &mut self.tracts[tract].rows.weights {
            w.copy_from_slice(values);
        }
    }

    /// States of this part of a population as given, nobody refractory, nothing on its way.
    pub fn reset(&mut self, shared: &Shared, population: usize, step: u64, initial: &[Vec<f64>]) {
        self.blocks[population].reset(initial, &mut self.common.rings, &self.tracts);
        self.couplings.restart(population, step, shared.dt, &self.blocks, &shared.channels);
        self.contest.clear(population);
        self.learning.iter_mut().filter(|l| l.target == population).for_each(|l| l.synapses.clear(step));
    }

    pub fn learn(&mut self, projection: usize, step: u64, on: bool) {
        self.learning.iter_mut().filter(|l| l.projection == projection).for_each(|l| l.synapses.freeze(step, !on));
    }
}
