//! One share of the work: its ranges of every population, the rings and synapses that land there, and its tasks in a run.

mod ahead;
mod calls;
mod recorder;
mod state;
mod window;

pub use ahead::Ahead;
pub use recorder::Recorder;
pub use state::join;
pub use window::{Batch, Board, Contest, Sequence, Spikes, Stage, Window};

use super::couplings::{Channel, Couplings};
use super::jit::Kernel;
use super::learning::Learning;
use super::plan::{Call, Form, Id, Node, Plan};
use super::procedural::Procedural;
use super::translate::{GRAIN, Slots};
use crate::backend::build::ParamValues;
use crate::backend::engine::Touches;
use crate::backend::eval::evaluate;
use crate::backend::profile::{Clock, ThreadProfile, Work};
use crate::ir::{Adaptive, Dynamics, Expr, ExprId, Real, UnaryOp, single};
use crate::numerics;
use crate::random::{PoissonTable, Purpose, StreamKey};
use crate::runtime::{Aligned, Column, Ring, Rows, Stages, aligned};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

/// Neurons handled by a kernel call at least, where there are as many.
const CHUNK: usize = 256;

/// Bytes of scratch rows that stay in the innermost cache between a call and the kernel that reads them: half of it.
const SCRATCH: usize = 1 << 14;

/// A state that is no longer finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub step: u64,
    pub population: usize,
    pub neuron: u32,
    pub state: usize,
    pub value: f64,
    /// Adaptive steps did not reach the end of the step: their limit.
    pub stuck: Option<u32>,
}

/// What the threads of a run work on.
pub struct Shared {
    pub stages: Stages,
    /// Each is locked by the thread that does its task.
    pub workers: Vec<Mutex<Worker>>,
    pub sequence: Mutex<Sequence>,
    /// The stage of the sequence.
    pub board: Board,
    pub recorder: Mutex<Recorder>,
    /// One pair for each share: windows alternate between them, so that a share may send while another still delivers.
    pub batches: Vec<[RwLock<Batch>; 2]>,
    /// The run ends with this window.
    pub halt: AtomicBool,
    pub fault: Mutex<Option<Fault>>,
    pub populations: usize,
    /// Values of continuous projections.
    pub channels: Vec<Channel>,
    /// What was drawn before its step, for each share.
    pub ahead: Vec<Arc<Ahead>>,
    /// Where the time goes is measured.
    pub measured: AtomicBool,
    /// Steps of a window.
    pub window: u64,
    pub dt: f64,
}

impl Shared {
    pub fn worker(&self, share: usize) -> MutexGuard<'_, Worker> {
        self.workers[share].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spikes of all shares in the last window of a parity.
    fn batches(&self, parity: usize) -> impl Iterator<Item = RwLockReadGuard<'_, Batch>> {
        self.batches.iter().map(move |pair| pair[parity].read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A task of the stage at hand: of a share, or what comes after them.
    pub fn task(&self, task: usize) {
        let stage = self.board.read();
        match task < self.workers.len() {
            true => self.worker(task).run(self, &stage),
            false => self.recorder().run(self, &stage),
        }
    }

    /// Something that will be needed later, by a thread that waits; false where there is nothing.
    pub fn prepare(&self, home: usize) -> bool {
        ahead::prepare(&self.ahead, home, self.measured.load(Ordering::Relaxed))
    }

    /// Goes on to the next stage; false where there is none.
    pub fn next(&self) -> bool {
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        // The end of the stage has made a halt visible.
        let more = sequence.advance(self.halt.load(Ordering::Relaxed));
        self.board.post(&sequence.stage);
        more
    }
}

/// Rows of one source that land here, in one ring; or those of one projection, made anew for each spike.
pub struct Tract {
    pub source: usize,
    pub ring: usize,
    /// Cells of the source.
    pub sources: u32,
    pub members: Vec<Member>,
    /// Empty where they are procedural.
    pub rows: Rows,
    pub procedural: Option<Procedural>,
}

/// A projection's part of a tract.
#[derive(Clone, Copy)]
pub struct Member {
    /// Position in the network.
    pub projection: usize,
    /// First cell of its targets in the ring.
    pub at: u32,
    /// The same in the population, and the number of cells of it that are here.
    pub lo: u32,
    pub n: u32,
    pub synapses: u64,
}

impl Tract {
    /// (source, place among the rows) of the synapses of one of the projections, in order of source, target and delay.
    pub fn synapses<'t>(&'t self, member: &'t Member) -> impl Iterator<Item = (u32, usize)> + 't {
        let range = member.at..member.at + member.n;
        (0..self.sources).flat_map(move |pre| {
            let (from, to) = self.rows.row(pre);
            let mut row: Vec<usize> = (from..to).filter(|k| range.contains(&self.rows.target(*k))).collect();
            // Stable: what is sorted by delay stays so for each target.
            row.sort_by_key(|k| self.rows.target(*k));
            row.into_iter().map(move |k| (pre, k))
        })
    }
}

/// Values of a param for the neurons of a block.
#[derive(Clone, Debug)]
pub enum ParamBlock {
    One(f64),
    Each(Column),
}

struct Trace {
    population: usize,
    every: u64,
    /// Offsets into the block.
    cells: Vec<u32>,
    value: ExprId,
    order: Vec<ExprId>,
    samples: Vec<f64>,
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
    mask: Vec<u8>,
    /// Neurons handled by a kernel call.
    chunk: usize,
    /// Empty unless winners are chosen.
    margin: Column,
    schedule: Vec<(u64, u32)>,
    next: usize,
    dynamics: Dynamics,
    plan: Plan,
    slots: Slots,
    kernels: Vec<Kernel>,
    scalars: Vec<f64>,
    /// What kernels of single precision read instead.
    single_scalars: Vec<f32>,
    uniform: Vec<f64>,
    /// Whether `uniform` and the scalars hold what the next step reads, too.
    settled: bool,
    noise: StreamKey,
    spike: StreamKey,
    inputs: Vec<Input>,
    adaptive: Option<Box<AdaptiveBlocks>>,
    /// What happens every so many steps.
    every: Vec<(u64, Block)>,
    /// That waits, with what comes after it, until rules that read these cells know more than their share; meanwhile this is the
    /// kernels' flag of the step.
    late: Option<[u64; 2]>,
    /// Nanoseconds of calls, where they are measured.
    called: Option<u64>,
}

/// A source of Poisson counts.
struct Input {
    key: StreamKey,
    /// Steps between the draw and its arrival.
    delay: u64,
    /// Of the last mean, and the step that brought it.
    table: Option<(PoissonTable, u64)>,
    /// Where others draw ahead, and its number there.
    ahead: Option<(Arc<Ahead>, usize)>,
}

/// Adaptive steps of a block: what precedes them, and one trial. They run on the states and params of the block around them.
struct AdaptiveBlocks {
    before: Block,
    trial: Block,
    elapsed: usize,
    limit: u32,
    /// The first neuron that did not arrive.
    stuck: Option<u32>,
}

/// A share. Lines of the cache of its own.
#[repr(align(128))]
pub struct Worker {
    pub id: usize,
    pub blocks: Vec<Block>,
    pub tracts: Vec<Tract>,
    /// Of those that carry spikes, the position in `tracts` and the source, side by side: in most steps few sources fire, and
    /// all tracts are looked at.
    carrying: Vec<(usize, usize)>,
    pub learning: Vec<Learning>,
    pub couplings: Couplings,
    traces: Vec<Trace>,
    pub contest: Contest,
    pub common: Common,
    values: Vec<f64>,
    events: u64,
    /// Counts that were drawn for it by threads that waited.
    pub ahead: Arc<Ahead>,
    /// Where the time goes is measured.
    clock: Option<Clock>,
}

/// What the blocks of a share have in common: the rings that they read, and room to compute in.
#[derive(Default)]
pub struct Common {
    pub rings: Vec<Ring>,
    scratch: Scratch,
    pointers: Pointers,
    flag: [u64; 2],
}

/// Rows that kernels and calls write and read, of either precision.
struct Scratch {
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
    pub plan: &'s Plan,
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
        if let crate::ir::Spike::Schedule(rows) = &source.dynamics.spike {
            for (k, row) in rows[range.clone()].iter().enumerate() {
                schedule.extend(row.iter().map(|step| (*step, lo + k as u32)));
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
            noise: key(Purpose::Noise),
            spike: key(Purpose::Spike),
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
            called: None,
        };
        block.params = source.params.iter().enumerate().map(|(k, p)| block.param_block(k, p)).collect();
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
    fn between(&mut self, step: u64, dt: f64, common: &mut Common) {
        if self.n == 0 || !self.every.iter().any(|(steps, _)| step.is_multiple_of(*steps)) {
            return;
        }
        let mut every = std::mem::take(&mut self.every);
        for (_, stage) in every.iter_mut().filter(|(steps, _)| step.is_multiple_of(*steps)) {
            self.lend(stage);
            let t = step as f64 * dt;
            stage.compute_uniform(t, t);
            stage.chunks(step, common);
            self.lend(stage);
        }
        self.every = every;
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

    /// This block's part of a param's values.
    fn param_block(&self, k: usize, values: &ParamValues) -> ParamBlock {
        match (self.plan.forms[k], values) {
            (Form::One, v) => ParamBlock::One(v.at(0)),
            (Form::Each, ParamValues::One(v)) => {
                ParamBlock::Each(Column::filled(self.plan.single, *v, self.counter.len()))
            }
            (Form::Each, ParamValues::Each(all)) => {
                let part = all[self.lo as usize..(self.lo + self.n) as usize].iter().copied();
                ParamBlock::Each(Column::padded(self.plan.single, part, self.counter.len()))
            }
        }
    }

    /// Takes over this block's part of a param's values.
    pub fn set_param(&mut self, k: usize, values: &ParamValues) {
        self.params[k] = self.param_block(k, values);
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
        self.settled = !plan.uniform.iter().any(|id| matches!(plan.nodes[id.0 as usize], Node::Time { .. }));
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
    fn advance(&mut self, step: u64, dt: f64, common: &mut Common, fired: &mut Vec<u32>) {
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
        let idle = self.plan.states.is_empty() && self.plan.spike.is_none();
        if idle {
            return;
        }
        if let Some(mut a) = self.adaptive.take() {
            self.advance_adaptively(&mut a, step, dt, common);
            self.adaptive = Some(a);
        }
        self.compute_uniform(step as f64 * dt, (step + 1) as f64 * dt);
        self.chunks(step, common);
        if self.plan.spike.is_some() {
            self.collect(fired);
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
        let needed = self.plan.scratch_rows as usize * self.chunk;
        let Common { rings, scratch, pointers, flag } = common;
        scratch.reserve(self.plan.single, needed);
        let slots = self.slots;
        pointers.0.resize(slots.count, std::ptr::null_mut());
        for (k, s) in self.states.iter_mut().enumerate() {
            pointers.0[k] = s.pointer(start);
        }
        pointers.0[slots.counter] = self.counter.pointer(start);
        for (k, p) in self.params.iter_mut().enumerate() {
            if let ParamBlock::Each(v) = p {
                pointers.0[slots.params + k] = v.pointer(start);
            }
        }
        for (k, landing) in self.landings.iter().enumerate() {
            let ring = &mut rings[landing.ring];
            let at = (ring.row(step) + landing.at + start) * ring.bytes_per_neuron();
            // SAFETY: the row of a step holds `stride` >= `landing.at + padded` neurons, and `start` < `padded`.
            pointers.0[slots.rings + k] = unsafe { ring.pointer().add(at) };
        }
        for (k, sums) in self.coupled.iter_mut().enumerate() {
            pointers.0[slots.coupled + k] = sums.pointer(start);
        }
        for row in 0..self.plan.scratch_rows as usize {
            pointers.0[slots.scratch + row] = scratch.pointer(self.plan.single, row * self.chunk);
        }
        pointers.0[slots.mask] = self.mask[start / 2..].as_mut_ptr();
        pointers.0[slots.flag] = flag.as_mut_ptr().cast();
        if !self.margin.is_empty() {
            pointers.0[slots.margin] = self.margin.pointer(start);
        }
        let scalars: *const u8 =
            if self.plan.single { self.single_scalars.as_ptr().cast() } else { self.scalars.as_ptr().cast() };
        for k in 0..self.kernels.len() {
            for c in 0..self.plan.segments[k].calls.len() {
                let begin = self.called.map(|_| Instant::now());
                let call = self.plan.segments[k].calls[c].clone();
                if self.plan.single {
                    self.call(&call, step, start, len, &mut scratch.single);
                } else {
                    self.call(&call, step, start, len, &mut scratch.double);
                }
                if let (Some(ns), Some(begin)) = (&mut self.called, begin) {
                    *ns += begin.elapsed().as_nanos() as u64;
                }
            }
            // SAFETY: the table holds, for every slot that the kernel reads (`Slots`), a pointer to at least `len` neurons of
            // that slot's type, all of arrays that live across this call and that nothing else touches meanwhile; `len` is a
            // positive multiple of GRAIN; `scalars` has one entry per slot of the plan, then its constants, in its precision.
            unsafe { (self.kernels[k])(pointers.0.as_ptr(), scalars, len as u64) };
        }
    }

    /// Reads the spike masks: a byte holds two neurons.
    fn collect(&self, fired: &mut Vec<u32>) {
        let words = self.mask.as_chunks::<8>().0;
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
                    if neuron < self.n {
                        fired.push(self.lo + neuron);
                    }
                }
            }
        }
    }

    /// Ends the run where a state is not finite any more (`flag` says that one may be), or adaptive steps did not arrive.
    fn report(&self, step: u64, population: usize, flag: [u64; 2], shared: &Shared) {
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
        UnaryOp::Sin => numerics::sin_batch(x),
        UnaryOp::Cos => numerics::cos_batch(x),
        UnaryOp::Tan => numerics::tan_batch(x),
        UnaryOp::Tanh => numerics::tanh_batch(x),
        other => x.iter_mut().for_each(|v| *v = other.compute(*v)),
    }
}

impl Worker {
    pub fn new(
        id: usize,
        blocks: Vec<Block>,
        rings: Vec<Ring>,
        tracts: Vec<Tract>,
        couplings: Couplings,
        learning: Vec<Learning>,
        contest: Contest,
    ) -> Worker {
        let carries = |t: &Tract| t.procedural.is_some() || !t.rows.is_empty();
        let carrying = tracts.iter().enumerate().filter(|(_, t)| carries(t)).map(|(at, t)| (at, t.source)).collect();
        Worker {
            id,
            blocks,
            tracts,
            carrying,
            learning,
            couplings,
            traces: Vec::new(),
            contest,
            common: Common { rings, ..Common::default() },
            values: Vec::new(),
            events: 0,
            ahead: Arc::default(),
            clock: None,
        }
    }

    /// Lets threads that wait draw counts for it.
    pub fn draw_ahead(&mut self) {
        let mut ahead = Ahead::default();
        for block in &mut self.blocks {
            let drawn = |call: &Call, k: usize| matches!(call, Call::PoissonOne { input, .. } if *input as usize == k);
            let calls: Vec<&Call> = block.plan.segments.iter().flat_map(|s| &s.calls).collect();
            let (first, len) = (block.lo, block.counter.len());
            for (_, input) in block.inputs.iter_mut().enumerate().filter(|(k, _)| calls.iter().any(|c| drawn(c, *k))) {
                // The number stays; where it leads to is known when all are counted.
                input.ahead = Some((Arc::default(), ahead.add(input.key, input.delay, first, len)));
            }
        }
        self.ahead = Arc::new(ahead);
        let inputs = self.blocks.iter_mut().flat_map(|b| &mut b.inputs);
        inputs.filter_map(|i| i.ahead.as_mut()).for_each(|(to, _)| to.clone_from(&self.ahead));
    }

    /// Lets what happens to cells at intervals wait where a rule that reads them acts later than its step.
    pub fn order(&mut self) {
        for (p, block) in self.blocks.iter_mut().enumerate().filter(|(_, b)| !b.every.is_empty()) {
            let late = self.learning.iter().any(|l| l.target == p && (l.decided || l.synapses.waits()));
            block.late = late.then_some([0; 2]);
        }
    }

    /// Measures itself from now on.
    pub fn measure(&mut self, epoch: Instant) {
        self.clock = Some(Clock::new(epoch));
        self.blocks.iter_mut().for_each(|b| b.called = Some(0));
    }

    /// What was measured.
    pub fn profile(&self) -> ThreadProfile {
        self.clock.as_ref().map_or_else(ThreadProfile::default, |c| c.profile.clone())
    }

    /// Adds a trace; gives the positions among the request's cells that lie here.
    pub fn add_trace(&mut self, population: usize, value: ExprId, cells: &[u32], every: u64) -> Vec<u32> {
        let block = &self.blocks[population];
        let (lo, hi) = (block.lo, block.lo + block.n);
        let mine: Vec<(u32, u32)> =
            cells.iter().zip(0..).filter(|(c, _)| (lo..hi).contains(*c)).map(|(c, k)| (k, *c - lo)).collect();
        let order = crate::backend::eval::order(&block.dynamics.exprs, &[value]);
        self.traces.push(Trace {
            population,
            every: every.max(1),
            cells: mine.iter().map(|(_, c)| *c).collect(),
            value,
            order,
            samples: Vec::new(),
        });
        mine.into_iter().map(|(k, _)| k).collect()
    }

    /// The tract that a projection is in, unless it learns, and its part of it.
    pub fn member(&self, projection: usize) -> Option<(usize, Member)> {
        let of = |t: &Tract| t.members.iter().find(|m| m.projection == projection).copied();
        self.tracts.iter().enumerate().find_map(|(at, t)| Some((at, of(t)?)))
    }

    /// Synaptic events delivered here since the last call.
    pub fn take_events(&mut self) -> u64 {
        std::mem::take(&mut self.events)
    }

    /// Synapses touched by rules here since the last call.
    pub fn take_touches(&mut self) -> Touches {
        let mut all = Touches::default();
        self.learning.iter_mut().for_each(|l| all += l.synapses.take_touches());
        all
    }

    /// What was sampled since the last call, for each trace: rows of its cells here.
    pub fn take_samples(&mut self) -> Vec<Vec<f64>> {
        self.traces.iter_mut().map(|t| std::mem::take(&mut t.samples)).collect()
    }

    /// Turns of a step besides the last.
    pub fn turns(&self) -> u64 {
        self.couplings.rounds().into()
    }

    /// What was done since the last task is nobody's.
    pub fn start_clock(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.start();
        }
    }

    /// This share's task of a stage.
    pub fn run(&mut self, shared: &Shared, stage: &Stage) {
        if let Some(clock) = &mut self.clock {
            clock.lap(Work::Wait, 0, Some((Work::Ahead, self.ahead.take_spent())));
        }
        if let Some(window) = stage.delivered {
            self.deliver(shared, window);
        }
        if let Some((window, turn)) = stage.window {
            let mut batch = shared.batches[self.id][window.parity].write().unwrap_or_else(PoisonError::into_inner);
            if turn == 0 {
                batch.clear();
            }
            self.make_steps(shared, window, turn, &mut batch);
        }
    }

    /// One turn of a window's steps: what a round of continuous projections sums was written by all shares in the turn before.
    fn make_steps(&mut self, shared: &Shared, window: Window, turn: u64, batch: &mut Batch) {
        let turns = self.turns();
        if turns == 0 {
            (window.first..window.first + window.steps).for_each(|step| self.step(step, shared, batch));
            return;
        }
        let (step, round) = (window.first + turn / turns, turn % turns);
        let (before, last) = if round == 0 { (step - u64::from(turn > 0), turns - 1) } else { (step, round - 1) };
        if turn > 0 {
            self.couplings.sum(before + 1, last as u32, &mut self.blocks, &shared.channels);
            lap(&mut self.clock, Work::Couple);
        }
        if turn > 0 && round == 0 {
            self.step(before, shared, batch);
        }
        if turn < turns * window.steps {
            if round == 0 {
                self.couplings.sum_delayed(step + 1, &mut self.blocks, &shared.channels);
            }
            let t = step as f64 * shared.dt;
            self.couplings.write(step + 1, round as u32, t, &self.blocks, &shared.channels);
            lap(&mut self.clock, Work::Couple);
        }
    }

    /// Spikes of all shares into the rings and rules of this one.
    fn deliver(&mut self, shared: &Shared, window: Window) {
        let Window { first, steps, parity } = window;
        let batches: Vec<_> = shared.batches(parity).collect();
        let chosen = self.contest.choose(&batches, window);
        let spikes = Spikes { batches: &batches, populations: shared.populations, chosen: &chosen };
        // In the order in which they are delivered, so that each row is fetched while the one before it is delivered.
        let mut pieces: Vec<(usize, u64, &[u32])> = Vec::new();
        let mut fired = vec![false; shared.populations];
        for k in 0..steps {
            for (source, fired) in fired.iter_mut().enumerate() {
                *fired = spikes.of(k as usize, source).any(|senders| !senders.is_empty());
            }
            for (at, source) in self.carrying.iter().filter(|(_, source)| fired[*source]) {
                let senders = spikes.of(k as usize, *source).filter(|senders| !senders.is_empty());
                pieces.extend(senders.map(|senders| (*at, first + k, senders)));
            }
        }
        for (at, (tract, step, senders)) in pieces.iter().enumerate() {
            let t = &mut self.tracts[*tract];
            let ring = &mut self.common.rings[t.ring];
            let events = if let Some(rows) = &mut t.procedural {
                rows.deliver(senders, *step, ring)
            } else if ring.is_queued() {
                t.rows.announce(*tract as u32, senders, *step, ring)
            } else {
                // Procedural rows are nowhere: nothing to fetch.
                let stored = |k: usize| pieces.get(k).filter(|(tract, ..)| !self.tracts[*tract].rows.is_empty());
                if let Some((tract, _, senders)) = stored(at + 2) {
                    self.tracts[*tract].rows.fetch_start(senders[0]);
                }
                let next = stored(at + 1).map(|(tract, _, senders)| self.tracts[*tract].rows.next(senders[0]));
                self.tracts[*tract].rows.deliver(senders, *step, ring, next)
            };
            self.events += events;
            if let Some(clock) = &mut self.clock {
                clock.lap(Work::Deliver(*tract), events, None);
            }
        }
        for (rule, l) in self.learning.iter_mut().enumerate() {
            // A window is one step where a rule waits.
            let parts: Option<Vec<&[f64]>> = batches.iter().map(|b| b.leaving(rule)).collect();
            if let Some(parts) = parts {
                l.every_after(first, shared.dt, &self.blocks[l.target], &parts);
            }
            for k in 0..steps {
                if l.decided {
                    let fired: Vec<u32> = spikes.of(k as usize, l.target).flatten().copied().collect();
                    l.end(first + k, shared.dt, &self.blocks[l.target], &fired);
                }
                for senders in spikes.of(k as usize, l.source) {
                    l.synapses.sent(first + k + 1, senders);
                }
            }
            lap(&mut self.clock, Work::Learn(l.projection));
        }
        // A window is one step where cells wait.
        self.close(first + 1, shared);
    }

    /// Makes the rows that step `step` reads of what waited in lists.
    fn arrive(&mut self, step: u64) {
        for (k, ring) in self.common.rings.iter_mut().enumerate().filter(|(_, ring)| ring.is_queued()) {
            let events = ring.arrive(step, |tract| &self.tracts[tract as usize].rows);
            if let Some(clock) = &mut self.clock {
                clock.lap(Work::Arrive(k), events, None);
            }
        }
    }

    fn step(&mut self, step: u64, shared: &Shared, batch: &mut Batch) {
        self.ahead.begin(step);
        self.arrive(step);
        for (p, block) in self.blocks.iter_mut().enumerate() {
            self.common.flag = [0; 2];
            for l in self.learning.iter_mut().filter(|l| l.target == p) {
                self.events += l.begin(step, shared.dt, block, &mut self.common.rings);
                lap(&mut self.clock, Work::Learn(l.projection));
            }
            let before = batch.ids.len();
            block.advance(step, shared.dt, &mut self.common, &mut batch.ids);
            if let Some(clock) = &mut self.clock {
                let called = std::mem::take(block.called.get_or_insert(0));
                clock.lap(Work::Update(p), u64::from(block.n), Some((Work::Draw(p), called)));
            }
            for (rule, l) in self.learning.iter_mut().enumerate().filter(|(_, l)| l.target == p && !l.decided) {
                l.end(step, shared.dt, block, &batch.ids[before..]);
                batch.leaving.extend(l.synapses.outgoing(step + 1).map(|sums| (rule, sums)));
                lap(&mut self.clock, Work::Learn(l.projection));
            }
            if block.late.is_none() {
                block.between(step + 1, shared.dt, &mut self.common);
            }
            if !block.margin.is_empty() {
                let from = batch.ends.last().copied().unwrap_or(0);
                let margins = batch.ids[from..].iter().map(|n| block.margin.at((n - block.lo) as usize));
                batch.margins.extend(margins);
            }
            batch.margin_ends.push(batch.margins.len());
            batch.ends.push(batch.ids.len());
            match &mut block.late {
                Some(flag) => *flag = self.common.flag,
                None => block.report(step + 1, p, self.common.flag, shared),
            }
        }
        self.sample(step + 1, shared.dt, false);
    }

    /// What happens at the end of `step` steps, for the cells that waited for their rules.
    fn close(&mut self, step: u64, shared: &Shared) {
        if self.blocks.iter().all(|b| b.late.is_none()) {
            return;
        }
        for (p, block) in self.blocks.iter_mut().enumerate() {
            let Some(flag) = block.late else { continue };
            self.common.flag = flag;
            block.between(step, shared.dt, &mut self.common);
            block.report(step, p, self.common.flag, shared);
        }
        self.sample(step, shared.dt, true);
    }

    /// Records the cells that are `late`, or those that are not, at the end of `step` steps.
    fn sample(&mut self, step: u64, dt: f64, late: bool) {
        for t in &mut self.traces {
            let block = &self.blocks[t.population];
            if block.late.is_some() == late && step.is_multiple_of(t.every) {
                for c in &t.cells {
                    let v = block.observe(*c as usize, t.value, &t.order, step as f64 * dt, &mut self.values);
                    t.samples.push(v);
                }
            }
        }
        if !self.traces.is_empty() {
            lap(&mut self.clock, Work::Record);
        }
    }
}

/// What went by since the last piece of work was this one.
fn lap(clock: &mut Option<Clock>, work: Work) {
    if let Some(clock) = clock {
        clock.lap(work, 0, None);
    }
}
