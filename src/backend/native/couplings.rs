//! Continuous projections of one share: section 0 of the order of a step.
//!
//! Each share computes the values of its own cells and writes them where all see them; in the next stage it makes the sums of its own
//! targets, in the order that `ir` states, so any split gives the same bits. The values of the latest steps lie in a ring of rows per
//! value: with two rows more than the longest delay, a share that is one step ahead writes a row that nobody reads.

use super::values::Values;
use super::worker::{Block, Worker};
use crate::backend::build::{Elements, Gathered, GatheredClasses, SynapsePlan, Synapses, positions};
use crate::backend::engine::RunError;
use crate::backend::state::{CouplingState, same};
use crate::ir::{CoupledSum, Coupling, Delay, ExprId, Network, PopulationId, ProjectionId};
use crate::runtime::Column;
use std::sync::atomic::{AtomicU64, Ordering};

/// The values of one expression of one population: rows of the latest steps. Row 0 is of the time before the run, row `k + 1` of
/// step `k`; each overwrites the one `rows` before it.
pub struct Channel {
    rows: usize,
    size: usize,
    data: Vec<AtomicU64>,
}

impl Channel {
    /// Relaxed throughout: the end of a stage between writing and reading orders what it must.
    fn row(&self, row: u64) -> &[AtomicU64] {
        let at = (row % self.rows as u64) as usize * self.size;
        &self.data[at..at + self.size]
    }

    fn write(&self, row: u64, first: usize, values: &[f64]) {
        for (cell, v) in self.row(row)[first..].iter().zip(values) {
            cell.store(v.to_bits(), Ordering::Relaxed);
        }
    }
}

fn load(cell: &AtomicU64) -> f64 {
    f64::from_bits(cell.load(Ordering::Relaxed))
}

struct ChannelPlan {
    population: usize,
    value: ExprId,
    rank: u32,
    longest: u32,
    size: usize,
}

struct Part<'n> {
    id: ProjectionId,
    plan: SynapsePlan<'n>,
    coupling: Coupling,
    channel: usize,
    delay: Delay,
}

/// What the continuous projections of a network need, before they are cut into shares.
pub struct Layout<'n> {
    network: &'n Network,
    channels: Vec<ChannelPlan>,
    parts: Vec<Part<'n>>,
}

/// What a continuous projection reads: which channel, and how many steps back at most.
#[derive(Clone, Copy)]
pub struct Reach {
    channel: usize,
    longest: u64,
}

impl Reach {
    /// The values after `step` steps and before, newest first; nothing was written before the first step.
    pub fn save(self, step: u64, channels: &[Channel]) -> CouplingState {
        let channel = &channels[self.channel];
        let row = |back: u64| channel.row(step - back).iter().map(load).collect();
        let rows = if step == 0 { 0 } else { (self.longest + 1).min(step + 1) };
        CouplingState { past: (0..rows).map(row).collect() }
    }

    pub fn load(self, step: u64, state: &CouplingState, channels: &[Channel]) -> Result<(), RunError> {
        let channel = &channels[self.channel];
        let fits = state.past.len() as u64 <= (self.longest + 1).min(step.saturating_add(1));
        same(fits && state.past.iter().all(|row| row.len() == channel.size), true, "values of continuous projections")?;
        for (back, row) in (0..).zip(&state.past) {
            channel.write(step - back, 0, row);
        }
        Ok(())
    }
}

/// With what the rules drew.
pub struct Expanded<'l> {
    layout: &'l Layout<'l>,
    synapses: Vec<Synapses<'l>>,
}

impl<'n> Layout<'n> {
    pub fn new(network: &'n Network, elements: &'n Elements, seed: u64) -> Result<Layout<'n>, RunError> {
        let mut out = Layout { network, channels: Vec::new(), parts: Vec::new() };
        for (id, _, _, p, coupling) in network.couplings() {
            let plan = SynapsePlan::new(network, elements, id, seed)?;
            let (population, source) = plan.source();
            let same = |c: &ChannelPlan| c.population == population && c.value == coupling.value;
            let channel = match out.channels.iter().position(same) {
                Some(k) => k,
                None => {
                    let size = source.size as usize;
                    let (value, rank) = (coupling.value, coupling.rank);
                    out.channels.push(ChannelPlan { population, value, rank, longest: 0, size });
                    out.channels.len() - 1
                }
            };
            out.channels[channel].longest = out.channels[channel].longest.max(p.delay.max());
            out.parts.push(Part { id, plan, coupling, channel, delay: p.delay });
        }
        Ok(out)
    }

    pub fn expand(&self) -> Result<Expanded<'_>, RunError> {
        let synapses = self.parts.iter().map(|p| p.plan.expand()).collect::<Result<Vec<_>, _>>()?;
        Ok(Expanded { layout: self, synapses })
    }
}

impl Expanded<'_> {
    /// What each continuous projection reads, in order of their declaration.
    pub fn reaches(&self) -> Vec<Reach> {
        let parts = self.layout.parts.iter();
        parts.map(|p| Reach { channel: p.channel, longest: p.delay.max().into() }).collect()
    }

    pub fn channels(&self) -> Vec<Channel> {
        let make = |c: &ChannelPlan| {
            let rows = c.longest as usize + 2;
            Channel { rows, size: c.size, data: (0..rows * c.size).map(|_| AtomicU64::new(0)).collect() }
        };
        self.layout.channels.iter().map(make).collect()
    }

    /// One share; the sums that never change are put into its blocks.
    pub fn couplings(&self, blocks: &mut [Block]) -> Result<Couplings, RunError> {
        let layout = self.layout;
        let populations: Vec<PopulationId> = layout.network.populations().map(|(id, _)| id).collect();
        let mut out = Couplings { sources: Vec::new(), sinks: Vec::new(), rounds: 0 };
        for (channel, c) in layout.channels.iter().enumerate() {
            let exprs = layout.network.population(populations[c.population]).map(|p| &p.dynamics.exprs);
            let Some(exprs) = exprs else { continue };
            let values = Values::new(exprs, c.value);
            out.rounds = out.rounds.max(c.rank + 1);
            out.sources.push(Source { population: c.population, channel, rank: c.rank, values });
        }
        for (part, synapses) in layout.parts.iter().zip(&self.synapses) {
            let (target, population) = part.plan.target();
            let block = &mut blocks[target];
            let post = &layout.network.graph[part.id].post;
            let posts = positions(post, population.size, block.lo, block.lo + block.n);
            let gathered = Gathered::new(&part.plan, synapses, part.coupling.gather, posts)?;
            let mut sink = Sink {
                target,
                channel: part.channel,
                round: (part.delay == Delay::Constant(0)).then_some(part.coupling.rank),
                gathered,
                values: None,
                weighted: None,
                classes: Vec::new(),
                one_for_all: false,
            };
            sink.one_for_all = match &sink.gathered {
                Gathered::Classes(c) => c.posts.len() == block.n as usize && c.alike(),
                Gathered::Rows(_) => false,
            };
            for (leaf, c) in population.dynamics.coupled.iter().enumerate().filter(|(_, c)| c.projection == part.id) {
                match c.sum {
                    CoupledSum::Values => sink.values = Some(leaf),
                    CoupledSum::Weighted => sink.weighted = Some(leaf),
                    CoupledSum::Count | CoupledSum::Weights => {
                        for (post, count, weights) in sink.gathered.fixed() {
                            let v = if c.sum == CoupledSum::Count { count } else { weights };
                            block.coupled[leaf].set((post - block.lo) as usize, v);
                        }
                        repeat_last(&mut block.coupled[leaf], block.n as usize);
                    }
                }
            }
            out.sinks.push(sink);
        }
        Ok(out)
    }
}

/// Lanes beyond the last neuron compute what it computes.
fn repeat_last(values: &mut Column, n: usize) {
    if let Some(last) = n.checked_sub(1).map(|k| values.at(k)) {
        (n..values.len()).for_each(|k| values.set(k, last));
    }
}

struct Source {
    population: usize,
    channel: usize,
    rank: u32,
    values: Values,
}

struct Sink {
    target: usize,
    channel: usize,
    /// The round after which it is summed; before all rounds where it has a delay.
    round: Option<u32>,
    gathered: Gathered,
    /// Leaves of the target.
    values: Option<usize>,
    weighted: Option<usize>,
    /// Room for the sums of classes.
    classes: Vec<f64>,
    /// All cells of the share have the same sum.
    one_for_all: bool,
}

/// The continuous projections of one share.
pub struct Couplings {
    sources: Vec<Source>,
    sinks: Vec<Sink>,
    rounds: u32,
}

impl Couplings {
    /// Rounds of a step: what reads sums of the same step comes after them.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Sums over what was written before; `row` is the one of the step at hand, as all rows here are (see [`Channel`]).
    pub fn sum_delayed(&mut self, row: u64, blocks: &mut [Block], channels: &[Channel]) {
        for sink in self.sinks.iter_mut().filter(|s| s.round.is_none()) {
            sink.sum(row, &channels[sink.channel], &mut blocks[sink.target]);
        }
    }

    /// A round of this share's cells at time `t`, ms.
    pub fn write(&mut self, row: u64, round: u32, t: f64, blocks: &[Block], channels: &[Channel]) {
        for source in self.sources.iter_mut().filter(|s| s.rank == round) {
            let block = &blocks[source.population];
            let channel = &channels[source.channel];
            source.values.compute(block, block.n, t, &mut |first, values| {
                channel.write(row, block.lo as usize + first, values);
            });
        }
    }

    /// The sums that follow from a round that all shares have written.
    pub fn sum(&mut self, row: u64, round: u32, blocks: &mut [Block], channels: &[Channel]) {
        for sink in self.sinks.iter_mut().filter(|s| s.round == Some(round)) {
            sink.sum(row, &channels[sink.channel], &mut blocks[sink.target]);
        }
    }

    /// What the cells of a population were before is what they are now, at the end of `k` steps: their states were reset.
    pub fn restart(&mut self, population: usize, k: u64, dt: f64, blocks: &[Block], channels: &[Channel]) {
        for source in self.sources.iter_mut().filter(|s| s.population == population) {
            let block = &blocks[population];
            let channel = &channels[source.channel];
            source.values.compute(block, block.n, k as f64 * dt, &mut |first, values| {
                for row in 0..channel.rows as u64 {
                    channel.write(row, block.lo as usize + first, values);
                }
            });
        }
    }
}

pub fn synapses(workers: &[Worker]) -> u64 {
    workers.iter().flat_map(|w| &w.couplings.sinks).map(|s| s.gathered.synapses()).sum()
}

pub fn bytes(workers: &[Worker]) -> u64 {
    workers.iter().flat_map(|w| &w.couplings.sinks).map(|s| s.gathered.bytes()).sum()
}

impl Sink {
    /// Makes the sums of this share's targets. `newest` is the row of the step at hand; a delay of d steps reads d rows before
    /// it, or the first row of all.
    fn sum(&mut self, newest: u64, channel: &Channel, block: &mut Block) {
        let n = block.n as usize;
        if n == 0 {
            return;
        }
        let (lo, values, weighted) = (block.lo, self.values, self.weighted);
        let mut put = |post: u32, v: f64, w: f64| {
            let at = (post - lo) as usize;
            if let Some(leaf) = values {
                block.coupled[leaf].set(at, v);
            }
            if let Some(leaf) = weighted {
                block.coupled[leaf].set(at, w);
            }
        };
        match &self.gathered {
            Gathered::Rows(rows) => {
                let one_weight = if let [w] = rows.weights.as_slice() { Some(*w) } else { None };
                let one_row = if let [d] = rows.delays.as_slice() {
                    Some(channel.row(newest.saturating_sub(u64::from(*d))))
                } else {
                    None
                };
                for (j, post) in rows.posts.iter().enumerate() {
                    let (mut sum, mut product) = (0.0, 0.0);
                    for k in rows.starts[j]..rows.starts[j + 1] {
                        let row =
                            one_row.unwrap_or_else(|| channel.row(newest.saturating_sub(u64::from(rows.delay(k)))));
                        let v = load(&row[rows.pres[k] as usize]);
                        sum += v;
                        product += one_weight.unwrap_or_else(|| rows.weights[k]) * v;
                    }
                    put(*post, sum, product);
                }
            }
            Gathered::Classes(c) => {
                let row = channel.row(newest.saturating_sub(u64::from(c.delay)));
                add_classes(c, row, &mut self.classes);
                if self.one_for_all {
                    let (sum, product) = over_classes(&self.classes, c.weights_of(0));
                    for (leaf, v) in [(values, sum), (weighted, product)] {
                        leaf.into_iter().for_each(|leaf| block.coupled[leaf].fill(v));
                    }
                    return;
                }
                for (j, post) in c.posts.iter().enumerate() {
                    let weights = c.weights_of(j);
                    let (mut sum, mut product) = over_classes(&self.classes, weights);
                    if let Some(own) = c.own[j] {
                        let v = load(&row[*post as usize]);
                        sum -= v;
                        product -= weights[own as usize] * v;
                    }
                    put(*post, sum, product);
                }
            }
        }
        for leaf in [values, weighted].into_iter().flatten() {
            repeat_last(&mut block.coupled[leaf], n);
        }
    }
}

/// The sum of the classes, and the sum of their products with the weights.
fn over_classes(classes: &[f64], weights: &[f64]) -> (f64, f64) {
    let (mut sum, mut product) = (0.0, 0.0);
    for (class, w) in classes.iter().zip(weights) {
        sum += class;
        product += w * class;
    }
    (sum, product)
}

fn add_classes(c: &GatheredClasses, row: &[AtomicU64], sums: &mut Vec<f64>) {
    sums.clear();
    for members in &c.classes {
        let mut sum = 0.0;
        for pre in members {
            sum += load(&row[*pre as usize]);
        }
        sums.push(sum);
    }
}
