//! Continuous projections: section 0 of the order of a step, synapse by synapse.

use super::cells::{Cells, Value};
use crate::backend::build::{Elements, Gathered, SynapsePlan};
use crate::backend::engine::RunError;
use crate::backend::state::{CouplingState, same};
use crate::ir::{CoupledSum, Network};
use std::collections::VecDeque;

/// All continuous projections while they run.
pub struct Couplings {
    projections: Vec<Projection>,
    rounds: u32,
}

struct Projection {
    /// Populations by position.
    from: usize,
    to: usize,
    value: Value,
    rank: u32,
    gathered: Gathered,
    /// Leaves of the target that take its sums.
    leaves: Vec<(usize, CoupledSum)>,
    /// Whether it is read in the step in which its values are.
    at_once: bool,
    /// Values of this step and of those before it, newest first.
    past: VecDeque<Vec<f64>>,
    /// Longest delay, steps.
    longest: usize,
}

impl Couplings {
    pub fn new(
        network: &Network,
        elements: &Elements,
        seed: u64,
        populations: &mut [Cells],
    ) -> Result<Couplings, RunError> {
        let mut out = Couplings { projections: vec![], rounds: 0 };
        for (id, _, _, p, coupling) in network.couplings() {
            let plan = SynapsePlan::new(network, elements, id, seed)?;
            let gathered = Gathered::new(&plan, &plan.expand()?, coupling.gather, 0..plan.posts())?;
            let ((from, _), (to, target)) = (plan.source(), plan.target());
            let coupled = &target.dynamics.coupled;
            let leaves = (0..coupled.len()).filter(|k| coupled[*k].projection == id);
            let leaves: Vec<(usize, CoupledSum)> = leaves.map(|k| (k, coupled[k].sum)).collect();
            for (post, count, weights) in gathered.fixed() {
                for (leaf, sum) in &leaves {
                    match sum {
                        CoupledSum::Count => populations[to].couple(*leaf, post, count),
                        CoupledSum::Weights => populations[to].couple(*leaf, post, weights),
                        CoupledSum::Values | CoupledSum::Weighted => {}
                    }
                }
            }
            out.rounds = out.rounds.max(coupling.rank + 1);
            let longest = p.delay.max() as usize;
            out.projections.push(Projection {
                from,
                to,
                value: populations[from].prepare(coupling.value),
                rank: coupling.rank,
                gathered,
                leaves,
                at_once: longest == 0,
                past: VecDeque::new(),
                longest,
            });
        }
        Ok(out)
    }

    /// Reads all values at the start of step `k` and makes all sums.
    pub fn couple(&mut self, k: u64, populations: &mut [Cells]) {
        if k == 0 {
            // The values of the time before: all delayed sums are 0 still.
            self.rounds(k, populations);
        }
        for p in self.projections.iter().filter(|p| !p.at_once) {
            // What is newest now is of the step before; the oldest are of the time before the run.
            p.sum(populations, &|delay| p.past.get((delay as usize - 1).min(p.past.len().saturating_sub(1))));
        }
        self.rounds(k, populations);
    }

    /// What the cells of a population were before is what they are now, at the end of `k` steps: their states were reset.
    pub fn restart(&mut self, population: usize, k: u64, cells: &Cells) {
        let all: Vec<u32> = (0..cells.size()).collect();
        for p in self.projections.iter_mut().filter(|p| p.from == population) {
            let values = cells.read(&p.value, &all, k);
            p.past.iter_mut().for_each(|row| row.clone_from(&values));
        }
    }

    fn rounds(&mut self, k: u64, populations: &mut [Cells]) {
        for round in 0..self.rounds {
            for p in self.projections.iter_mut().filter(|p| p.rank == round) {
                let cells: Vec<u32> = (0..populations[p.from].size()).collect();
                p.past.push_front(populations[p.from].read(&p.value, &cells, k));
                p.past.truncate(p.longest + 1);
            }
            for p in self.projections.iter().filter(|p| p.rank == round && p.at_once) {
                p.sum(populations, &|_| p.past.front());
            }
        }
    }

    /// What is kept of the past, for each projection.
    pub fn save(&self) -> Vec<CouplingState> {
        self.projections.iter().map(|p| CouplingState { past: p.past.iter().cloned().collect() }).collect()
    }

    pub fn load(&mut self, states: Vec<CouplingState>, populations: &[Cells]) -> Result<(), RunError> {
        same(states.len(), self.projections.len(), "continuous projections")?;
        for (p, state) in self.projections.iter_mut().zip(states) {
            let size = populations[p.from].size() as usize;
            let fits = state.past.len() <= p.longest + 1 && state.past.iter().all(|row| row.len() == size);
            same(fits, true, "values of continuous projections")?;
            p.past = state.past.into();
        }
        Ok(())
    }

    pub fn synapses(&self) -> u64 {
        self.projections.iter().map(|p| p.gathered.synapses()).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.projections.iter().map(|p| p.gathered.bytes()).sum()
    }
}

impl Projection {
    /// Makes the sums of one step; `past` gives the source's values so many steps ago.
    fn sum<'v>(&'v self, populations: &mut [Cells], past: &dyn Fn(u32) -> Option<&'v Vec<f64>>) {
        let value = |delay: u32, pre: u32| past(delay).map_or(f64::NAN, |values| values[pre as usize]);
        let mut sums: Vec<(u32, f64, f64)> = vec![];
        match &self.gathered {
            Gathered::Rows(rows) => {
                for (j, post) in rows.posts.iter().enumerate() {
                    let (mut values, mut weighted) = (0.0, 0.0);
                    for k in rows.starts[j]..rows.starts[j + 1] {
                        let v = value(rows.delay(k), rows.pres[k]);
                        values += v;
                        weighted += rows.weight(k) * v;
                    }
                    sums.push((*post, values, weighted));
                }
            }
            Gathered::Classes(c) => {
                for (j, post) in c.posts.iter().enumerate() {
                    let (mut values, mut weighted) = (0.0, 0.0);
                    let weights = c.weights_of(j);
                    for (members, w) in c.classes.iter().zip(weights) {
                        let mut class = 0.0;
                        for pre in members {
                            class += value(c.delay, *pre);
                        }
                        values += class;
                        weighted += w * class;
                    }
                    if let Some(own) = c.own[j] {
                        let v = value(c.delay, *post);
                        values -= v;
                        weighted -= weights[own as usize] * v;
                    }
                    sums.push((*post, values, weighted));
                }
            }
        }
        for (leaf, sum) in &self.leaves {
            for (post, values, weighted) in &sums {
                match sum {
                    CoupledSum::Values => populations[self.to].couple(*leaf, *post, *values),
                    CoupledSum::Weighted => populations[self.to].couple(*leaf, *post, *weighted),
                    CoupledSum::Count | CoupledSum::Weights => {}
                }
            }
        }
    }
}
