//! Projections that learn, in one thread's share of a network.

use super::plan::Plan;
use super::worker::{Block, Shared, Worker};
use crate::backend::eval;
use crate::backend::plastic::Plastic;
use crate::ir::{Arrival, ExprId, Population};
use crate::runtime::{RingData, Weights};

/// A projection whose synapses change, with the part of its targets that is here.
pub struct Learning {
    pub projection: usize,
    /// Populations by position.
    pub source: usize,
    pub target: usize,
    ring: usize,
    pub plastic: Plastic,
    /// What is read of the targets, with the order that computes it.
    reads: Vec<(ExprId, Vec<ExprId>)>,
    /// Receptors whose arrivals are events, with the rings that hold them.
    receptors: Vec<(u32, Vec<usize>)>,
    /// Arrivals of the step at hand.
    arrived: Vec<(u32, Vec<u32>)>,
    /// Which targets fire is decided when all threads have met.
    pub decided: bool,
    /// Room for what is sent on.
    sent: Vec<(u32, u32, f64)>,
}

impl Learning {
    pub fn new(
        projection: usize,
        (source, target): (usize, usize),
        ring: usize,
        plastic: Plastic,
        plan: &Plan,
        population: &Population,
        decided: bool,
    ) -> Learning {
        let d = &population.dynamics;
        let reads = plastic.reads().iter().map(|r| (*r, eval::order(&d.exprs, &[*r]))).collect();
        let receptors = plastic
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
        Learning {
            projection,
            source,
            target,
            ring,
            plastic,
            reads,
            receptors,
            arrived: Vec::new(),
            decided,
            sent: Vec::new(),
        }
    }

    /// Before a block's step: what reaches the synapses, and what they send on.
    pub fn begin(&mut self, step: u64, dt: f64, block: &mut Block, values: &mut Vec<f64>) -> u64 {
        let (plastic, reads, sent) = (&mut self.plastic, &self.reads, &mut self.sent);
        let t = step as f64 * dt;
        let events = plastic.begin(
            step,
            &mut |r, n| block.observe(n as usize, reads[r].0, &reads[r].1, t, values),
            &mut |target, delay, amount| sent.push((target, delay, amount)),
        );
        let ring = block.ring(self.ring);
        for (target, delay, amount) in sent.drain(..) {
            let at = ring.row(step + u64::from(delay)) + target as usize;
            if let RingData::Sum(sums) = &mut ring.data {
                sums[at] += amount;
            }
        }
        self.arrived.clear();
        for (receptor, rings) in &self.receptors {
            let mut targets = Vec::new();
            for n in 0..block.n {
                for ring in rings {
                    let ring = block.ring(*ring);
                    let at = ring.row(step) + n as usize;
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
    pub fn end(&mut self, step: u64, dt: f64, block: &Block, fired: &[u32], values: &mut Vec<f64>) {
        let (lo, n) = self.plastic.range();
        let offsets: Vec<u32> = fired.iter().filter(|f| (lo..lo + n).contains(*f)).map(|f| f - lo).collect();
        let (plastic, reads) = (&mut self.plastic, &self.reads);
        let t = (step + 1) as f64 * dt;
        plastic.end(step, &offsets, &self.arrived, &mut |r, n| {
            block.observe(n as usize, reads[r].0, &reads[r].1, t, values)
        });
    }
}

impl Worker {
    /// Up-to-date weights of a projection that learns, (pre, post, weight) by both.
    pub fn learned_weights(&mut self, projection: usize, step: u64) -> Option<Vec<(u32, u32, f64)>> {
        let l = self.learning.iter_mut().find(|l| l.projection == projection)?;
        let (block, reads) = (&self.blocks[l.target], &l.reads);
        let mut values = Vec::new();
        Some(
            l.plastic
                .weights(step, &mut |r, n| block.observe(n as usize, reads[r].0, &reads[r].1, f64::NAN, &mut values)),
        )
    }

    /// (pre, post) of the synapses here, in order of both.
    pub fn edges(&mut self, projection: usize) -> Vec<(u32, u32)> {
        if let Some(all) = self.learned_weights(projection, 0) {
            return all.into_iter().map(|(pre, post, _)| (pre, post)).collect();
        }
        let i = &self.incoming[projection];
        let lo = self.blocks[i.target].lo;
        let pres = i.rows.starts.windows(2).zip(0..).flat_map(|(s, pre)| (s[0]..s[1]).map(move |k| (pre, k as usize)));
        pres.map(|(pre, k)| (pre, lo + i.rows.target(k))).collect()
    }

    pub fn set_weights(&mut self, projection: usize, step: u64, values: &[f64]) {
        if let Some(l) = self.learning.iter_mut().find(|l| l.projection == projection) {
            let (block, reads) = (&self.blocks[l.target], &l.reads);
            let mut scratch = Vec::new();
            l.plastic.set_weights(step, values, &mut |r, n| {
                block.observe(n as usize, reads[r].0, &reads[r].1, f64::NAN, &mut scratch)
            });
            return;
        }
        match &mut self.incoming[projection].rows.weights {
            Weights::Constant => {}
            Weights::Single(w) => w.iter_mut().zip(values).for_each(|(w, v)| *w = *v as f32),
            Weights::Double(w) => w.copy_from_slice(values),
        }
    }

    /// States of this part of a population as given, nobody refractory, nothing on its way.
    pub fn reset(&mut self, shared: &Shared, population: usize, step: u64, initial: &[Vec<f64>]) {
        self.blocks[population].reset(initial);
        self.couplings.restart(population, step, shared.dt, &self.blocks, &shared.channels);
        self.clear_winners(population);
        for l in self.learning.iter_mut().filter(|l| l.target == population) {
            let (block, reads) = (&self.blocks[l.target], &l.reads);
            let mut scratch = Vec::new();
            l.plastic
                .clear(step, &mut |r, n| block.observe(n as usize, reads[r].0, &reads[r].1, f64::NAN, &mut scratch));
        }
    }

    pub fn learn(&mut self, projection: usize, on: bool) {
        self.learning.iter_mut().filter(|l| l.projection == projection).for_each(|l| l.plastic.freeze(!on));
    }
}
