//! The synapses of one projection in rows by presynaptic neuron.

use crate::backend::build::{Elements, SynapsePlan};
use crate::backend::engine::RunError;
use crate::ir::{Arrival, Delay, Network, ProjectionId, Weight};

/// A projection while it runs. A row is ascending in the target; synapses between the same two neurons ascend in the delay, and
/// those of equal delay stand in the order in which they were built.
pub struct Rows {
    /// Populations by position.
    pub from: usize,
    pub to: usize,
    pub receptor: usize,
    /// Arrival terms of the receptor that take its spikes.
    pub terms: Vec<usize>,
    /// Where each presynaptic neuron's row begins; one more than there are neurons.
    starts: Vec<usize>,
    synapses: Vec<Synapse>,
    /// What is reported: not counted one by one where rows are made anew for each spike.
    count: u64,
}

#[derive(Clone, Copy)]
struct Synapse {
    post: u32,
    delay: u32,
    weight: f64,
}

impl Rows {
    pub fn new(network: &Network, elements: &Elements, id: ProjectionId, seed: u64) -> Result<Rows, RunError> {
        let plan = SynapsePlan::new(network, elements, id, seed)?;
        let projection = &network.graph[id];
        let ((from, source), (to, target)) = (plan.source(), plan.target());
        let receptor = projection.receptor as usize;
        let takes = |arrival: &Arrival| match arrival {
            Arrival::Count { projections, .. } | Arrival::Sum { projections, .. } => projections.contains(&id),
            Arrival::Poisson(_) => false,
        };
        let arrivals = target.dynamics.receptors.get(receptor).map_or(&[][..], |r| &r.arrivals);
        let terms: Vec<usize> = (0..arrivals.len()).filter(|k| takes(&arrivals[*k])).collect();
        if terms.is_empty() {
            return Err(RunError::Build(format!("{}: no receptor takes its spikes", projection.path)));
        }

        let constant_weight = if let Weight::Constant(w) = projection.weight { w } else { f64::NAN };
        let constant_delay = if let Delay::Constant(d) = projection.delay { d.max(1) } else { 1 };
        let mut all: Vec<(u32, Synapse)> = vec![];
        let expected = projection.procedural.map(|_| plan.count()).transpose()?;
        plan.expand()?.incoming(0..plan.posts(), &mut |post, sources, weights, delays| {
            for (k, pre) in sources.iter().enumerate() {
                let weight = weights.get(k).copied().unwrap_or(constant_weight);
                let delay = delays.get(k).copied().unwrap_or(constant_delay);
                all.push((*pre, Synapse { post, delay, weight }));
            }
        })?;
        // Stable: what was built first stays first.
        all.sort_by_key(|(pre, synapse)| (*pre, synapse.post, synapse.delay));
        let starts = (0..=source.size).map(|pre| all.partition_point(|(p, _)| *p < pre)).collect();
        let synapses: Vec<Synapse> = all.into_iter().map(|(_, synapse)| synapse).collect();
        let count = expected.unwrap_or(synapses.len() as u64);
        Ok(Rows { from, to, receptor, terms, starts, synapses, count })
    }

    /// (post, weight, delay in steps) of each synapse of `pre`.
    pub fn row(&self, pre: u32) -> impl Iterator<Item = (u32, f64, u32)> {
        let pre = pre as usize;
        self.synapses[self.starts[pre]..self.starts[pre + 1]].iter().map(|s| (s.post, s.weight, s.delay))
    }

    pub fn weights(&self) -> Vec<f64> {
        self.synapses.iter().map(|s| s.weight).collect()
    }

    /// (pre, post) of each synapse.
    pub fn edges(&self) -> Vec<(u32, u32)> {
        let rows = (0..).zip(self.starts.windows(2));
        rows.flat_map(|(pre, s)| self.synapses[s[0]..s[1]].iter().map(move |x| (pre, x.post))).collect()
    }

    pub fn set_weights(&mut self, values: &[f64]) {
        self.synapses.iter_mut().zip(values).for_each(|(s, w)| s.weight = *w);
    }

    pub fn synapses(&self) -> u64 {
        self.count
    }

    /// Bytes that the synapses and their index take.
    pub fn bytes(&self) -> u64 {
        (size_of_val(self.synapses.as_slice()) + size_of_val(self.starts.as_slice())) as u64
    }
}
