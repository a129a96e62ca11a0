//! A range of one population: its states, and its steps by the kernels.

use super::calls::{self, Place};
use super::{Ahead, Fault, Shared, Tract};
use crate::backend::build::ParamValues;
use crate::backend::eval::evaluate;
use crate::backend::native::jit::Kernel;
use crate::backend::native::plan::{Form, Id, Node, Plan};
use crate::backend::native::translate::{GRAIN, Slots};
use crate::ir::rest::rested;
use crate::ir::{Adaptive, Dynamics, Expr, ExprId, Real, UnaryOp, single};
use crate::numerics;
use crate::random::{PoissonTable, Purpose, StreamKey};
use crate::runtime::{Aligned, Column, Ring, aligned};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Neurons handled by a kernel call at least, where there are as many.
pub(super) const CHUNK: usize = 256;

/// Bytes of scratch rows that stay in the innermost cache between a call and the kernel that reads them: half of it.
const SCRATCH: usize = 1 << 14;

/// Values of a param for the neurons of a block.
#[derive(Clone, Debug)]
pub enum ParamBlock {
    One(f64),
    Each(Column),
}

/// The cells of a block in a ring of its share, which starts with cell `at`.
#[derive(Clone, Copy, Debug)]
pub struct Landing {
    pub ring: usize,
    pub at: usize,
}

/// A range of one population.
pub struct Block {
    pub lo: u32,
    pub n: u32,
    pub states: Vec<Column>,
    pub counter: Column,
    pub params: Vec<ParamBlock>,
    /// Sums over continuous projections, padded like the states: `[leaf][neuron]`.
    pub coupled: Vec<Column>,
    /// Where what arrives lies, for each ring of the plan.
    pub landings: Vec<Landing>,
    /// One byte for each pair of neurons; empty where its fleet has it.
    pub(super) mask: Vec<u8>,
    /// Neurons handled by a kernel call.
    pub(super) chunk: usize,
    /// Empty unless winners are chosen.
    pub(super) margin: Column,
    pub(super) schedule: Vec<(u64, u32)>,
    pub(super) next: usize,
    pub(super) dynamics: Dynamics,
    pub(super) plan: Arc<Plan>,
    pub(super) slots: Slots,
    pub(super) kernels: Vec<Kernel>,
    pub(super) scalars: Vec<f64>,
    /// What kernels of single precision read instead.
    pub(super) single_scalars: Vec<f32>,
    pub(super) uniform: Vec<f64>,
    /// Whether `uniform` and the scalars hold what the next step reads, too.
    pub(super) settled: bool,
    pub(super) site: Site,
    pub(super) inputs: Vec<Input>,
    pub(super) adaptive: Option<Box<AdaptiveBlocks>>,
    /// What happens every so many steps.
    pub(super) every: Vec<(u64, Block)>,
    /// That waits, with what comes after it, until rules that read these cells know more than their share; meanwhile this is the
    /// kernels' flag of the step.
    pub(super) late: Option<[u64; 2]>,
}

/// Where the cells of a block draw.
#[derive(Clone, Copy)]
pub(super) struct Site {
    pub(super) noise: StreamKey,
    pub(super) spike: StreamKey,
    /// The first of them in the population.
    pub(super) lo: u32,
    /// Their number, padded.
    pub(super) places: u32,
}

/// A source of Poisson counts.
pub(super) struct Input {
    pub(super) key: StreamKey,
    /// Steps between the draw and its arrival.
    pub(super) delay: u64,
    /// Of the last mean, and the step that brought it.
    pub(super) table: Option<(PoissonTable, u64)>,
    /// Where others draw ahead, and its number there.
    pub(super) ahead: Option<(Arc<Ahead>, usize)>,
}

/// Adaptive steps of a block: what precedes them, and one trial. They run on the states and params of the block around them.
pub(super) struct AdaptiveBlocks {
    pub(super) before: Block,
    pub(super) trial: Block,
    pub(super) elapsed: usize,
    pub(super) limit: u32,
    /// The first neuron that did not arrive.
    pub(super) stuck: Option<u32>,
}

/// What the blocks of a share have in common: the rings that they read, and room to compute in.
#[derive(Default)]
pub struct Common {
    pub rings: Vec<Ring>,
    pub(super) scratch: Scratch,
    pub(super) pointers: Pointers,
    pub(super) flag: [u64; 2],
    /// Nanoseconds of calls, where they are measured.
    pub(super) called: Option<u64>,
}

/// Rows that kernels and calls write and read, of either precision.
pub(super) struct Scratch {
    double: Aligned<f64>,
    single: Aligned<f32>,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch { double: Aligned::new(0), single: Aligned::new(0) }
    }
}

impl Scratch {
    fn reserve(&mut self, single: bool, needed: usize) {
        if single && self.single.len() < needed {
            self.single = aligned::filled(0.0, needed);
        } else if !single && self.double.len() < needed {
            self.double = aligned::filled(0.0, needed);
        }
    }

    fn pointer(&mut self, single: bool, at: usize) -> *mut u8 {
        if single { self.single[at..].as_mut_ptr().cast() } else { self.double[at..].as_mut_ptr().cast() }
    }
}

/// The table that kernels read; refilled before every call.
#[derive(Default)]
pub struct Pointers(pub Vec<*mut u8>);

// SAFETY: the pointers are written and read within one call of `Block::advance` or of `rules` by the thread that holds the worker's
// lock; between calls they are never read.
unsafe impl Send for Pointers {}

/// What a block is made from.
#[derive(Clone, Copy)]
pub struct BlockSource<'s> {
    pub path: &'s str,
    pub dynamics: &'s Dynamics,
    pub plan: &'s Arc<Plan>,
    pub kernels: &'s [Kernel],
    pub params: &'s [ParamValues],
    pub initial: &'s [Vec<f64>],
    pub seed: u64,
}

impl Block {
    pub fn new(source: &BlockSource, lo: u32, hi: u32) -> Block {
        let n = (hi - lo) as usize;
        let padded = n.next_multiple_of(GRAIN);
        let single = source.plan.single;
        let range = lo as usize..hi as usize;
        // The last lanes repeat a real neuron, so that they compute nothing that a real one would not.
        let column = |values: &[f64]| {
            Column::padded(single, values[range.clone()].iter().map(|v| source.dynamics.settled(*v)), padded)
        };
        let mut schedule = Vec::new();
        if let crate::ir::Spike::Schedule(trains) = &source.dynamics.spike {
            for k in lo..hi {
                schedule.extend(trains.of(k as usize).iter().map(|step| (*step, k)));
            }
            schedule.sort_unstable();
        }
        let key = |purpose| StreamKey::new(source.seed, source.path, purpose);
        let mut block = Block {
            lo,
            n: n as u32,
            states: source.initial.iter().map(|s| column(s)).collect(),
            counter: Column::filled(single, 0.0, padded),
            params: Vec::new(),
            coupled: vec![Column::filled(single, 0.0, padded); source.dynamics.coupled.len()],
            landings: Vec::new(),
            mask: vec![0; padded.div_ceil(2).next_multiple_of(8)],
            chunk: chunk(source.plan, padded),
            margin: Column::filled(single, 0.0, if source.plan.margin.is_some() { padded } else { 0 }),
            schedule,
            next: 0,
            dynamics: source.dynamics.clone(),
            plan: source.plan.clone(),
            slots: Slots::of(source.plan),
            kernels: source.kernels.to_vec(),
            scalars: vec![0.0; source.plan.scalars.len()],
            single_scalars: Vec::new(),
            uniform: vec![0.0; source.plan.nodes.len()],
            settled: false,
            site: Site { noise: key(Purpose::Noise), spike: key(Purpose::Spike), lo, places: padded as u32 },
            inputs: source
                .dynamics
                .poisson
                .iter()
                .map(|p| Input {
                    key: StreamKey::new(source.seed, &p.path, Purpose::Input),
                    delay: u64::from(p.delay),
                    table: None,
                    ahead: None,
                })
                .collect(),
            adaptive: None,
            every: Vec::new(),
            late: None,
        };
        let room = |form: &Form| match form {
            Form::One => ParamBlock::One(0.0),
            Form::Each => ParamBlock::Each(Column::filled(single, 0.0, padded)),
        };
        block.params = source.plan.forms.iter().take(source.params.len()).map(room).collect();
        source.params.iter().enumerate().for_each(|(k, values)| block.set_param(k, values));
        if single {
            block.single_scalars = vec![0.0; block.scalars.len()];
            block.single_scalars.extend(source.plan.single_constants().into_iter().map(f32::from_bits));
        } else {
            block.scalars.extend(source.plan.constants().into_iter().map(f64::from_bits));
        }
        block
    }

    /// Lets the block's states move by adaptive steps before all else of a step.
    pub fn adapt(&mut self, [before, trial]: [Block; 2], a: &Adaptive) {
        let (elapsed, limit) = (a.elapsed as usize, a.limit);
        self.adaptive = Some(Box::new(AdaptiveBlocks { before, trial, elapsed, limit, stuck: None }));
    }

    /// Lets a stage run at the end of every so many steps.
    pub fn repeat(&mut self, steps: u64, stage: Block) {
        self.every.push((steps, stage));
    }

    /// Exchanges states, counters, params and sums with another block over the same neurons.
    fn lend(&mut self, other: &mut Block) {
        std::mem::swap(&mut self.states, &mut other.states);
        std::mem::swap(&mut self.counter, &mut other.counter);
        std::mem::swap(&mut self.params, &mut other.params);
        std::mem::swap(&mut self.coupled, &mut other.coupled);
        (self.settled, other.settled) = (false, false);
    }

    /// What happens at the end of `step` steps.
    pub(super) fn between(&mut self, step: u64, dt: f64, common: &mut Common) {
        if self.n == 0 || !self.every.iter().any(|(steps, _)| step.is_multiple_of(*steps)) {
            return;
        }
        let (mut every, called) = (std::mem::take(&mut self.every), common.called.take());
        for (_, stage) in every.iter_mut().filter(|(steps, _)| step.is_multiple_of(*steps)) {
            self.lend(stage);
            let t = step as f64 * dt;
            stage.compute_uniform(t, t);
            stage.chunks(step, common);
            self.lend(stage);
        }
        (self.every, common.called) = (every, called);
    }

    /// Adaptive steps of all neurons, chunk by chunk until its last one has arrived.
    fn advance_adaptively(&mut self, a: &mut AdaptiveBlocks, step: u64, dt: f64, common: &mut Common) {
        if a.stuck.is_some() {
            // The run ends with this window; what it still computes is thrown away.
            return;
        }
        let (t, t_end) = (step as f64 * dt, (step + 1) as f64 * dt);
        self.lend(&mut a.before);
        a.before.compute_uniform(t, t_end);
        let padded = a.before.counter.len();
        a.before.chunks(step, common);
        self.lend(&mut a.before);
        self.lend(&mut a.trial);
        a.trial.compute_uniform(t, t_end);
        for start in (0..padded).step_by(a.trial.chunk) {
            let len = a.trial.chunk.min(padded - start);
            let mut trials = 0;
            while let Some(late) = (start..start + len).find(|k| a.trial.states[a.elapsed].at(*k) < dt) {
                if trials == a.limit {
                    a.stuck.get_or_insert(a.trial.lo + late as u32);
                    break;
                }
                a.trial.compute(step, start, len, common);
                trials += 1;
            }
        }
        self.lend(&mut a.trial);
    }

    /// Takes over this block's part of a param's values, each in its place.
    pub fn set_param(&mut self, k: usize, values: &ParamValues) {
        let part = self.lo as usize..(self.lo + self.n) as usize;
        match (&mut self.params[k], values) {
            (ParamBlock::One(own), values) => *own = values.at(0),
            (ParamBlock::Each(own), ParamValues::One(v)) => own.fill(*v),
            (ParamBlock::Each(own), ParamValues::Each(all)) => own.put(all[part].iter().copied()),
        }
        self.settled = false;
    }

    /// States as given for the whole population, nobody refractory, nothing on its way.
    pub fn reset(&mut self, initial: &[Vec<f64>], rings: &mut [Ring], tracts: &[Tract]) {
        let range = self.lo as usize..(self.lo + self.n) as usize;
        for (state, values) in self.states.iter_mut().zip(initial) {
            state.put(values[range.clone()].iter().map(|v| self.dynamics.settled(*v)));
        }
        self.counter.fill(0.0);
        let rows = |tract: u32| &tracts[tract as usize].rows;
        self.landings.iter().for_each(|l| rings[l.ring].clear(l.at..l.at + self.n as usize, rows));
    }

    /// Cells that its columns have room for, whose places in a ring lie side by side.
    pub fn places(&self) -> usize {
        self.counter.len()
    }

    /// Values that are the same for all neurons in this step.
    fn compute_uniform(&mut self, t: f64, t_end: f64) {
        if self.settled {
            return;
        }
        let plan = &self.plan;
        self.settled = !plan.follows_time();
        let values = &mut self.uniform;
        for id in &plan.uniform {
            let at = |c: Id, values: &[f64]| match &plan.nodes[c.0 as usize] {
                Node::Const(Real(v)) => *v,
                _ => values[c.0 as usize],
            };
            let v = match &plan.nodes[id.0 as usize] {
                Node::Const(Real(v)) => *v,
                Node::Time { end } => {
                    if *end {
                        t_end
                    } else {
                        t
                    }
                }
                Node::Param(k) => match &self.params[*k as usize] {
                    ParamBlock::One(v) => *v,
                    ParamBlock::Each(v) => v.at(0),
                },
                Node::Single(a) => single::round(at(*a, values)),
                Node::Unary(op, a) if plan.is_single(*id) => op.compute_single(at(*a, values)),
                Node::Unary(op, a) => op.compute(at(*a, values)),
                Node::Binary(op, a, b) if plan.is_single(*id) => op.compute_single(at(*a, values), at(*b, values)),
                Node::Binary(op, a, b) => op.compute(at(*a, values), at(*b, values)),
                Node::Compare(op, a, b) => f64::from(u8::from(op.compute(at(*a, values), at(*b, values)))),
                Node::Select(c, a, b) => {
                    if at(*c, values) != 0.0 {
                        at(*a, values)
                    } else {
                        at(*b, values)
                    }
                }
                _ => f64::NAN,
            };
            values[id.0 as usize] = v;
            if let Some(slot) = plan.scalars.get(id) {
                self.scalars[*slot as usize] = v;
                if let Some(single) = self.single_scalars.get_mut(*slot as usize) {
                    *single = v as f32;
                }
            }
        }
    }

    /// One step; appends the neurons that fired, ascending.
    pub(super) fn advance(&mut self, step: u64, dt: f64, common: &mut Common, fired: &mut Vec<u32>) {
        if self.n == 0 {
            return;
        }
        if !self.schedule.is_empty() {
            while let Some((at, neuron)) = self.schedule.get(self.next).filter(|(at, _)| *at <= step + 1) {
                if *at == step + 1 {
                    fired.push(*neuron);
                }
                self.next += 1;
            }
        }
        if !self.plan.is_idle() {
            self.move_states(step, dt, common, fired);
        }
        self.rest(step + 1);
    }

    /// Lets states that came to rest where they are looked at be 0, at the end of `step` steps.
    pub(super) fn rest(&mut self, step: u64) {
        if self.dynamics.looks(step) {
            self.states.iter_mut().for_each(|s| s.map(rested));
        }
    }

    fn move_states(&mut self, step: u64, dt: f64, common: &mut Common, fired: &mut Vec<u32>) {
        if let Some(mut a) = self.adaptive.take() {
            self.advance_adaptively(&mut a, step, dt, common);
            self.adaptive = Some(a);
        }
        self.compute_uniform(step as f64 * dt, (step + 1) as f64 * dt);
        self.chunks(step, common);
        if self.plan.spike.is_some() {
            collect(&self.mask, self.lo, self.n, fired);
        }
    }

    /// All neurons.
    fn chunks(&mut self, step: u64, common: &mut Common) {
        let padded = self.counter.len();
        for start in (0..padded).step_by(self.chunk) {
            self.compute(step, start, self.chunk.min(padded - start), common);
        }
    }

    /// All segments over the neurons `start .. start + len` of the block.
    fn compute(&mut self, step: u64, start: usize, len: usize, common: &mut Common) {
        let (mut mask, site) = (std::mem::take(&mut self.mask), self.site);
        compute(std::slice::from_mut(self), &[0], &[site], (start, len), step, &mut mask[start / 2..], common);
        self.mask = mask;
    }

    /// Fills the table with what lies at its place `start`.
    fn point(&mut self, step: u64, start: usize, rings: &mut [Ring], table: &mut Vec<*mut u8>) {
        let slots = self.slots;
        table.resize(slots.count, std::ptr::null_mut());
        for (k, s) in self.states.iter_mut().enumerate() {
            table[k] = s.pointer(start);
        }
        table[slots.counter] = self.counter.pointer(start);
        for (k, p) in self.params.iter_mut().enumerate() {
            if let ParamBlock::Each(v) = p {
                table[slots.params + k] = v.pointer(start);
            }
        }
        for (k, landing) in self.landings.iter().enumerate() {
            let ring = &mut rings[landing.ring];
            let at = (ring.row(step) + landing.at + start) * ring.bytes_per_neuron();
            // SAFETY: the row of a step holds `stride` >= `landing.at + padded` neurons, and `start` < `padded`.
            table[slots.rings + k] = unsafe { ring.pointer().add(at) };
        }
        for (k, sums) in self.coupled.iter_mut().enumerate() {
            table[slots.coupled + k] = sums.pointer(start);
        }
        if !self.margin.is_empty() {
            table[slots.margin] = self.margin.pointer(start);
        }
    }

    /// All of its columns, in the order in which those of another block with the same plan lie.
    pub(super) fn columns(&mut self) -> Vec<&mut Column> {
        let params = self.params.iter_mut().filter_map(|p| match p {
            ParamBlock::Each(v) => Some(v),
            ParamBlock::One(_) => None,
        });
        let own = [&mut self.counter, &mut self.margin];
        self.states.iter_mut().chain(&mut self.coupled).chain(own).chain(params).collect()
    }

    /// Prepares the values that are the same for all its neurons in all steps until params change.
    pub(super) fn settle(&mut self) {
        self.compute_uniform(0.0, 0.0);
    }

    /// Whether kernels read the same of it and another with the same plan, but for columns and rings.
    pub(super) fn reads_like(&self, other: &Block) -> bool {
        let bits = |v: &f64| v.to_bits();
        let singles = |v: &f32| v.to_bits();
        self.scalars.iter().map(bits).eq(other.scalars.iter().map(bits))
            && self.single_scalars.iter().map(singles).eq(other.single_scalars.iter().map(singles))
    }

    /// Whether its cells lie right behind another's in all rings.
    pub(super) fn follows(&self, before: &Block) -> bool {
        let mut pairs = before.landings.iter().zip(&self.landings);
        pairs.all(|(a, b)| a.ring == b.ring && b.at == a.at + before.places())
    }

    /// Ends the run where a state is not finite any more (`flag` says that one may be), or adaptive steps did not arrive.
    pub(super) fn report(&self, step: u64, population: usize, flag: [u64; 2], shared: &Shared) {
        let stuck = self.adaptive.as_ref().and_then(|a| a.stuck.map(|neuron| (neuron, a.limit)));
        let fault = match stuck {
            Some((neuron, limit)) => Some(Fault { step, population, neuron, state: 0, value: 0.0, stuck: Some(limit) }),
            None if flag != [0; 2] => self.fault(step, population),
            None => None,
        };
        let Some(fault) = fault else { return };
        let mut first = shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = first
            .as_ref()
            .is_none_or(|f| (fault.step, fault.population, fault.neuron) < (f.step, f.population, f.neuron));
        if earlier {
            *first = Some(fault);
        }
        shared.halt.store(true, Ordering::Relaxed);
    }

    /// The first neuron whose state is not finite.
    fn fault(&self, step: u64, population: usize) -> Option<Fault> {
        for k in 0..self.n as usize {
            for (s, value) in self.states.iter().map(|s| s.at(k)).enumerate() {
                if !value.is_finite() {
                    return Some(Fault { step, population, neuron: self.lo + k as u32, state: s, value, stuck: None });
                }
            }
        }
        None
    }

    /// An observable of a neuron of this block, by offset, at time `t`.
    pub fn observe(&self, offset: usize, value: ExprId, order: &[ExprId], t: f64, values: &mut Vec<f64>) -> f64 {
        evaluate(&self.dynamics.exprs, order, values, &mut |e, _| match e {
            Expr::State(k) => self.states[*k as usize].at(offset),
            Expr::Param(k) => match &self.params[*k as usize] {
                ParamBlock::One(v) => *v,
                ParamBlock::Each(v) => v.at(offset),
            },
            Expr::Time => t,
            Expr::Coupled(k) => self.coupled[*k as usize].at(offset),
            Expr::Held => f64::from(u8::from(self.counter.at(offset) > 0.0)),
            _ => 0.0,
        });
        values[value.0 as usize]
    }
}

/// All segments over cells of blocks with one plan that lie side by side: `len` of them from place `start` of the first block of
/// `members` on, whose `sites` are side by side here. `mask` begins there.
pub(super) fn compute(
    blocks: &mut [Block],
    members: &[usize],
    sites: &[Site],
    (start, len): (usize, usize),
    step: u64,
    mask: &mut [u8],
    common: &mut Common,
) {
    let Common { rings, scratch, pointers, flag, called } = common;
    let lead = members[0];
    let (plan, slots, chunk) = (blocks[lead].plan.clone(), blocks[lead].slots, blocks[lead].chunk);
    scratch.reserve(plan.single, plan.scratch_rows as usize * chunk);
    blocks[lead].point(step, start, rings, &mut pointers.0);
    for row in 0..plan.scratch_rows as usize {
        pointers.0[slots.scratch + row] = scratch.pointer(plan.single, row * chunk);
    }
    pointers.0[slots.mask] = mask.as_mut_ptr();
    pointers.0[slots.flag] = flag.as_mut_ptr().cast();
    for (k, segment) in plan.segments.iter().enumerate() {
        for call in &segment.calls {
            let begin = called.map(|_| Instant::now());
            let place = Place { step, start, len, chunk };
            match plan.single {
                true => calls::compute(call, place, (&mut *blocks, members, sites), &mut scratch.single),
                false => calls::compute(call, place, (&mut *blocks, members, sites), &mut scratch.double),
            }
            if let (Some(ns), Some(begin)) = (&mut *called, begin) {
                *ns += begin.elapsed().as_nanos() as u64;
            }
        }
        let lead = &blocks[lead];
        let scalars: *const u8 =
            if plan.single { lead.single_scalars.as_ptr().cast() } else { lead.scalars.as_ptr().cast() };
        // SAFETY: the table holds, for every slot that the kernel reads (`Slots`), a pointer to at least `len` neurons of
        // that slot's type, in the columns of the first block and of those that lie side by side with it, or in one row of a ring,
        // all of arrays that live across this call and that nothing else touches meanwhile: all blocks are borrowed. `len` is a
        // positive multiple of GRAIN; `scalars` has one entry per slot of the plan, then its constants, in its precision.
        unsafe { (lead.kernels[k])(pointers.0.as_ptr(), scalars, len as u64) };
    }
}

/// The neurons of a spike mask, in which a byte holds two neurons: `n`, of which the first has number `lo`.
pub(super) fn collect(mask: &[u8], lo: u32, n: u32, fired: &mut Vec<u32>) {
    let words = mask.as_chunks::<8>().0;
    // Few cells fire in a step: most lines are skipped whole.
    for (line, words) in words.chunks(8).enumerate() {
        if words.iter().fold(0, |any, word| any | u64::from_le_bytes(*word)) == 0 {
            continue;
        }
        for (w, word) in words.iter().enumerate() {
            let mut word = u64::from_le_bytes(*word);
            while word != 0 {
                let bit = word.trailing_zeros();
                word &= word - 1;
                let neuron = (line * 128 + w * 16) as u32 + bit / 8 * 2 + bit % 8;
                if neuron < n {
                    fired.push(lo + neuron);
                }
            }
        }
    }
}

/// Neurons handled by a kernel call: as many as leave the scratch rows in the innermost cache. Without any there is nothing to cut a
/// block for.
fn chunk(plan: &Plan, padded: usize) -> usize {
    let row = if plan.single { size_of::<f32>() } else { size_of::<f64>() };
    match plan.scratch_rows as usize {
        0 => padded.max(1),
        rows => (SCRATCH / (rows * row) / CHUNK * CHUNK).max(CHUNK),
    }
}

/// An operation on a row, in place.
pub fn compute_unary(op: UnaryOp, x: &mut [f64]) {
    match op {
        UnaryOp::Exp => numerics::exp_batch(x),
        UnaryOp::Expm1 => numerics::expm1_batch(x),
        UnaryOp::Exprel => numerics::exprel_batch(x),
        UnaryOp::Ln => numerics::ln_batch(x),
        UnaryOp::Ln1p => numerics::ln1p_batch(x),
        UnaryOp::Log2 => numerics::log2_batch(x),
        UnaryOp::Log10 => numerics::log10_batch(x),
        UnaryOp::Sin => numerics::sin_batch(x),
        UnaryOp::Cos => numerics::cos_batch(x),
        UnaryOp::Tan => numerics::tan_batch(x),
        UnaryOp::Tanh => numerics::tanh_batch(x),
        other => x.iter_mut().for_each(|v| *v = other.compute(*v)),
    }
}
