//! The synapses of a projection that learns, by presynaptic neuron and axonal delay.
//!
//! A presynaptic neuron whose synapses have several delays stands here once for each of them, as a *lane*: a spike reaches all
//! synapses of a lane at one moment, so a lane has one set of presynaptic traces. Where synapses come and go, lanes stay: every
//! presynaptic neuron has one from the start where new synapses may come.

use super::{Elements, SynapsePlan};
use crate::backend::engine::RunError;
use crate::ir::plasticity::{Plasticity, SUMMED};
use crate::ir::{Delay, Network, Subset, Weight};
use crate::runtime::Indices;
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
    pub targets: Indices,
    /// Weights as built.
    pub weights: Vec<f64>,
}

impl Lanes {
    /// Whether targets of a rule's synapses are held in 16 bits. Kernels are made for it, before anything is drawn.
    pub fn are_narrow(network: &Network, rule: &Plasticity) -> bool {
        let target = network.graph.edge_endpoints(rule.projection).and_then(|(_, post)| network.population(post));
        Indices::fit(target.map_or(0, |p| p.size.into()))
    }

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
        let constant_delay = constant_delay.saturating_sub(rule.dendritic);
        let posts = positions(&projection.post, target.size, range.start, range.end);
        let dendritic = rule.dendritic;
        let (mut pres, mut posts_of, mut weights_of, mut delays_of) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        plan.expand()?.incoming(posts, &mut |post, sources, weights, delays| {
            pres.extend_from_slice(sources);
            posts_of.extend(std::iter::repeat_n(post - range.start, sources.len()));
            weights_of.extend_from_slice(weights);
            delays_of.extend(delays.iter().map(|d| d.saturating_sub(dendritic)));
        })?;
        // Targets ascend as they come, so those of a source ascend, too, and synapses between the same two neurons stay in the order in
        // which they were built.
        let (rows, mut order) = by_end(pres.iter().copied(), source.size);
        let delay_of = |k: u32| delays_of.get(k as usize).copied().unwrap_or(constant_delay);
        let mut sources = Vec::with_capacity(source.size as usize + 1);
        let (mut delays, mut starts) = (Vec::new(), Vec::new());
        for row in rows.windows(2) {
            sources.push(delays.len() as u32);
            let (from, to) = (row[0] as usize, row[1] as usize);
            order[from..to].sort_by_key(|k| delay_of(*k));
            if rule.regrow.is_some() && from == to {
                delays.push(constant_delay);
                starts.push(from as u32);
            }
            for (at, k) in (from..).zip(&order[from..to]) {
                if at == from || delays.last() != Some(&delay_of(*k)) {
                    delays.push(delay_of(*k));
                    starts.push(at as u32);
                }
            }
        }
        sources.push(delays.len() as u32);
        starts.push(order.len() as u32);
        let targets = Indices::of(Lanes::are_narrow(network, rule), order.iter().map(|k| posts_of[*k as usize]));
        let weights = order.iter().map(|k| weights_of.get(*k as usize).copied().unwrap_or(constant_weight)).collect();
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
        by_end(self.targets.iter(), n)
    }

    /// `[presynaptic neuron][block]`: the sum of the weights of each neuron onto each [`SUMMED`] of the `n` targets, in order of lanes.
    pub fn outgoing(&self, n: u32, weight: &dyn Fn(usize) -> f64) -> Vec<f64> {
        let blocks = n.div_ceil(SUMMED) as usize;
        let mut sums = vec![0.0; (self.sources.len() - 1) * blocks];
        for (pre, lane) in self.sources.windows(2).enumerate() {
            for k in self.starts[lane[0] as usize] as usize..self.starts[lane[1] as usize] as usize {
                sums[pre * blocks + (self.targets.get(k) / SUMMED) as usize] += weight(k);
            }
        }
        sums
    }

    /// For each lane the sum of all weights that leave its neuron; `parts` are what [`Lanes::outgoing`] gave for ranges of targets
    /// that ascend.
    pub fn leaving(&self, parts: &[&[f64]]) -> Vec<f64> {
        let neurons = self.sources.len() - 1;
        let mut out = Vec::with_capacity(self.delays.len());
        for (pre, lane) in self.sources.windows(2).enumerate() {
            let blocks = parts.iter().flat_map(|p| &p[pre * (p.len() / neurons)..(pre + 1) * (p.len() / neurons)]);
            let sum = blocks.fold(0.0, |sum, block| sum + block);
            out.resize(lane[1] as usize, sum);
        }
        out
    }

    /// (presynaptic neuron, synapse) in order of presynaptic neuron, then target.
    pub fn ordered(&self) -> impl Iterator<Item = (u32, u32)> {
        let rows = 0..self.sources.len() - 1;
        rows.flat_map(|pre| self.row(pre).into_iter().map(move |k| (pre as u32, k)))
    }

    /// (presynaptic neuron, target in the population) in that order; `lo` is the first target of the range.
    pub fn edges(&self, lo: u32) -> Vec<(u32, u32)> {
        self.ordered().map(|(pre, k)| (pre, lo + self.targets.get(k as usize))).collect()
    }

    /// Synapses of a presynaptic neuron in order of their targets, as their weights are read and written.
    fn row(&self, pre: usize) -> Vec<u32> {
        let lanes = self.starts[self.sources[pre] as usize]..self.starts[self.sources[pre + 1] as usize];
        let mut row: Vec<u32> = lanes.collect();
        row.sort_by_key(|k| self.targets.get(*k as usize));
        row
    }
}

/// Where the synapses of each neuron at one end begin, and the synapses in order of these.
fn by_end(ends: impl ExactSizeIterator<Item = u32> + Clone, n: u32) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; n as usize + 1];
    ends.clone().for_each(|p| starts[p as usize + 1] += 1);
    for k in 0..n as usize {
        starts[k + 1] += starts[k];
    }
    let mut next = starts.clone();
    let mut order = vec![0; ends.len()];
    for (k, p) in (0..).zip(ends) {
        order[next[p as usize] as usize] = k;
        next[p as usize] += 1;
    }
    (starts, order)
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
