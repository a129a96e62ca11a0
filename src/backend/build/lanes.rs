//! The synapses of a projection that learns, by presynaptic neuron and axonal delay.
//!
//! A presynaptic neuron whose synapses have several delays stands here once for each of them, as a *lane*: a spike reaches all
//! synapses of a lane at one moment, so a lane has one set of presynaptic traces. Where synapses come and go, lanes stay: every
//! presynaptic neuron has one from the start where new synapses may come.

use super::{Elements, SynapsePlan};
use crate::backend::engine::RunError;
use crate::ir::plasticity::Plasticity;
use crate::ir::{Delay, Network, Subset, Weight};
use std::ops::Range;

/// Synapses onto a range of targets, in order of (presynaptic neuron, axonal delay, target).
pub struct Lanes {
    /// Lanes of presynaptic neuron i are `sources[i] .. sources[i + 1]`.
    pub sources: Vec<u32>,
    /// Axonal delay of each lane, steps.
    pub delays: Vec<u32>,
    /// Synapses of lane v are `starts[v] .. starts[v + 1]`.
    pub starts: Vec<u32>,
    /// Target of each synapse, counted in the range.
    pub targets: Vec<u32>,
    /// Weights as built.
    pub weights: Vec<f64>,
}

impl Lanes {
    /// Builds the synapses whose targets lie in `range`.
    ///
    /// # Errors
    /// [`RunError::Build`] where the projection can't be built.
    pub fn new(
        network: &Network,
        elements: &Elements,
        rule: &Plasticity,
        seed: u64,
        range: Range<u32>,
    ) -> Result<Lanes, RunError> {
        let projection = &network.graph[rule.projection];
        let plan = SynapsePlan::new(network, elements, rule.projection, seed)?;
        let (_, source) = plan.source();
        let (_, target) = plan.target();
        let constant_weight = if let Weight::Constant(w) = projection.weight { w } else { f64::NAN };
        let constant_delay = if let Delay::Constant(d) = projection.delay { d.max(1) } else { 1 };
        let posts = positions(&projection.post, target.size, range.start, range.end);
        // (source, axonal delay, target, weight)
        let mut all: Vec<(u32, u32, u32, f64)> = Vec::new();
        plan.expand()?.incoming(posts, &mut |post, sources, weights, delays| {
            for (k, pre) in sources.iter().enumerate() {
                let weight = weights.get(k).copied().unwrap_or(constant_weight);
                let delay = delays.get(k).copied().unwrap_or(constant_delay);
                all.push((*pre, delay.saturating_sub(rule.dendritic), post - range.start, weight));
            }
        })?;
        // Stable: synapses between the same two neurons stay in the order in which they were built.
        all.sort_by_key(|(pre, delay, post, _)| (*pre, *delay, *post));
        let mut sources = Vec::with_capacity(source.size as usize + 1);
        let (mut delays, mut starts) = (Vec::new(), Vec::new());
        let mut at = 0;
        for pre in 0..source.size {
            sources.push(delays.len() as u32);
            if rule.regrow.is_some() && (at == all.len() || all[at].0 != pre) {
                delays.push(constant_delay.saturating_sub(rule.dendritic));
                starts.push(at as u32);
            }
            while at < all.len() && all[at].0 == pre {
                let delay = all[at].1;
                delays.push(delay);
                starts.push(at as u32);
                while at < all.len() && all[at].0 == pre && all[at].1 == delay {
                    at += 1;
                }
            }
        }
        sources.push(delays.len() as u32);
        starts.push(all.len() as u32);
        let targets = all.iter().map(|s| s.2).collect();
        let weights = all.iter().map(|s| s.3).collect();
        Ok(Lanes { sources, delays, starts, targets, weights })
    }

    /// The lane of each synapse.
    pub fn of_synapses(&self) -> Vec<u32> {
        let lanes = (0..).zip(self.starts.windows(2));
        lanes.flat_map(|(lane, s)| std::iter::repeat_n(lane, (s[1] - s[0]) as usize)).collect()
    }

    /// The presynaptic neuron of each lane.
    pub fn neurons(&self) -> Vec<u32> {
        let lanes = (0..).zip(self.sources.windows(2));
        lanes.flat_map(|(pre, s)| std::iter::repeat_n(pre, (s[1] - s[0]) as usize)).collect()
    }

    /// Synapses by target, in order of lanes: those of target j are the second list's `first[j] .. first[j + 1]`.
    pub fn by_target(&self, n: u32) -> (Vec<u32>, Vec<u32>) {
        let mut into = vec![0_u32; n as usize + 1];
        self.targets.iter().for_each(|t| into[*t as usize + 1] += 1);
        for k in 0..n as usize {
            into[k + 1] += into[k];
        }
        let mut next = into.clone();
        let mut incoming = vec![0_u32; self.targets.len()];
        for (synapse, t) in self.targets.iter().enumerate() {
            incoming[next[*t as usize] as usize] = synapse as u32;
            next[*t as usize] += 1;
        }
        (into, incoming)
    }

    /// (presynaptic neuron, synapse) in order of presynaptic neuron, then target.
    pub fn ordered(&self) -> impl Iterator<Item = (u32, u32)> {
        let rows = 0..self.sources.len() - 1;
        rows.flat_map(|pre| self.row(pre).into_iter().map(move |k| (pre as u32, k)))
    }

    /// (presynaptic neuron, target in the population) in that order; `lo` is the first target of the range.
    pub fn edges(&self, lo: u32) -> Vec<(u32, u32)> {
        self.ordered().map(|(pre, k)| (pre, lo + self.targets[k as usize])).collect()
    }

    /// Synapses of a presynaptic neuron in order of their targets, as their weights are read and written.
    fn row(&self, pre: usize) -> Vec<u32> {
        let lanes = self.starts[self.sources[pre] as usize]..self.starts[self.sources[pre + 1] as usize];
        let mut row: Vec<u32> = lanes.collect();
        row.sort_by_key(|k| self.targets[*k as usize]);
        row
    }
}

/// Positions of the post subset whose cells lie in `lo .. hi`.
pub fn positions(post: &Subset, size: u32, lo: u32, hi: u32) -> Range<u32> {
    match post {
        Subset::All => lo.min(size)..hi.min(size),
        Subset::Range(a, b) => {
            let (from, to) = (lo.clamp(*a, *b), hi.clamp(*a, *b));
            from - a..to.max(from) - a
        }
        Subset::Cells(c) => {
            let at = |limit: u32| c.partition_point(|x| *x < limit) as u32;
            at(lo)..at(hi)
        }
    }
}
