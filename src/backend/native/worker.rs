//! One share of the work: its ranges of every population, the rings and synapses that land there, and its tasks in a run.

mod ahead;
mod block;
mod calls;
mod fleet;
mod recorder;
mod state;
mod window;

pub use ahead::Ahead;
pub use block::{Block, BlockSource, Common, Landing, ParamBlock, Pointers, compute_unary};
pub use fleet::{Fleet, fleets};
pub use recorder::Recorder;
pub use state::join;
pub use window::{Batch, Board, Contest, Sequence, Spikes, Stage, Window};

use self::fleet::Berth;
use super::couplings::{Channel, Couplings};
use super::learning::Learning;
use super::plan::Call;
use super::procedural::Procedural;
use crate::backend::build::ParamValues;
use crate::backend::engine::Touches;
use crate::backend::profile::{Clock, ThreadProfile, Work};
use crate::ir::{Expr, ExprId};
use crate::runtime::{Ring, Rows, Stages};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

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

struct Trace {
    population: usize,
    every: u64,
    /// Offsets into the block.
    cells: Vec<u32>,
    value: ExprId,
    order: Vec<ExprId>,
    /// The value is this state as it is.
    state: Option<usize>,
    samples: Vec<f64>,
}

/// How a block makes its step. Most blocks of a fleet need not even be looked at.
#[derive(Clone, Copy)]
enum Turn {
    /// By itself.
    Alone,
    /// With its fleet; rules, intervals or winners follow.
    Joined(Berth),
    /// With its fleet, and that is all.
    Plain(Berth),
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
    /// Blocks that are computed together.
    fleets: Vec<Fleet>,
    /// How each block makes its step.
    turns: Vec<Turn>,
    /// Of each block, the positions of the rules that end their step with it.
    rules: Vec<Vec<usize>>,
    /// A param has changed since the fleets were settled.
    unsettled: bool,
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

impl Worker {
    pub fn new(
        id: usize,
        (mut blocks, fleets): (Vec<Block>, &[usize]),
        rings: Vec<Ring>,
        tracts: Vec<Tract>,
        couplings: Couplings,
        learning: Vec<Learning>,
        contest: Contest,
    ) -> Worker {
        let carries = |t: &Tract| t.procedural.is_some() || !t.rows.is_empty();
        let carrying = tracts.iter().enumerate().filter(|(_, t)| carries(t)).map(|(at, t)| (at, t.source)).collect();
        let fleets = Fleet::gather(&mut blocks, fleets);
        Worker {
            id,
            fleets,
            turns: Vec::new(),
            rules: Vec::new(),
            unsettled: true,
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
        let mut drawn = Vec::new();
        for block in &mut self.blocks {
            let calls = || block.plan.segments.iter().flat_map(|s| &s.calls);
            let is_drawn =
                |k: usize| calls().any(|c| matches!(c, Call::PoissonOne { input, .. } if *input as usize == k));
            let (first, len) = (block.lo, block.counter.len());
            let own = block.inputs.iter_mut().enumerate().filter(|(k, _)| is_drawn(*k));
            drawn.extend(own.map(|(_, input)| (input, first, len)));
        }
        self.ahead = Arc::new(Ahead::new(drawn.iter().map(|(i, first, len)| (i.key, i.delay, *first, *len))));
        for (number, (input, ..)) in drawn.into_iter().enumerate() {
            input.ahead = Some((self.ahead.clone(), number));
        }
    }

    /// Lets what happens to cells at intervals wait where a rule that reads them acts later than its step, and finds how each block
    /// makes its step.
    pub fn order(&mut self) {
        for (p, block) in self.blocks.iter_mut().enumerate().filter(|(_, b)| !b.every.is_empty()) {
            let late = self.learning.iter().any(|l| l.target == p && (l.decided || l.synapses.waits()));
            block.late = late.then_some([0; 2]);
        }
        self.rules = vec![Vec::new(); self.blocks.len()];
        for (rule, l) in self.learning.iter().enumerate().filter(|(_, l)| !l.decided) {
            self.rules[l.target].push(rule);
        }
        self.turns = vec![Turn::Alone; self.blocks.len()];
        for (at, fleet) in self.fleets.iter().enumerate() {
            for (p, berth) in fleet.berths(at, &self.blocks) {
                let block = &self.blocks[p];
                let more = !block.every.is_empty() || !block.margin.is_empty() || !block.schedule.is_empty();
                let plain = !more && !self.learning.iter().any(|l| l.target == p);
                self.turns[p] = if plain { Turn::Plain(berth) } else { Turn::Joined(berth) };
            }
        }
    }

    /// Takes over its part of a param's values.
    pub fn set_param(&mut self, population: usize, param: usize, values: &ParamValues) {
        self.blocks[population].set_param(param, values);
        self.unsettled = true;
    }

    /// Measures itself from now on.
    pub fn measure(&mut self, epoch: Instant) {
        self.clock = Some(Clock::new(epoch));
        self.common.called = Some(0);
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
            state: match block.dynamics.exprs.get(value) {
                Expr::State(k) => Some(*k as usize),
                _ => None,
            },
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

    /// Before the steps of a run: what was done since the last task is nobody's.
    pub fn start(&mut self) {
        if std::mem::take(&mut self.unsettled) {
            self.fleets.iter_mut().for_each(|fleet| fleet.settle(&mut self.blocks));
        }
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
            learnt(&mut self.clock, l);
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
        for l in &mut self.learning {
            self.events += l.begin(step, shared.dt, &self.blocks[l.target], &mut self.common.rings);
            learnt(&mut self.clock, l);
        }
        for fleet in &mut self.fleets {
            fleet.advance(&mut self.blocks, step, &mut self.common);
            if let Some(clock) = &mut self.clock {
                fleet.lap(&self.blocks, clock, self.common.called.replace(0).unwrap_or(0));
            }
        }
        for (p, block) in self.blocks.iter_mut().enumerate() {
            let before = batch.ids.len();
            match self.turns[p] {
                Turn::Plain(berth) => {
                    let flag = self.fleets[berth.fleet].collect(berth, &mut batch.ids);
                    batch.margin_ends.push(batch.margins.len());
                    batch.ends.push(batch.ids.len());
                    if flag != [0; 2] {
                        block.report(step + 1, p, flag, shared);
                    }
                    continue;
                }
                Turn::Joined(berth) => self.common.flag = self.fleets[berth.fleet].collect(berth, &mut batch.ids),
                Turn::Alone => {
                    self.common.flag = [0; 2];
                    block.advance(step, shared.dt, &mut self.common, &mut batch.ids);
                    if let Some(clock) = &mut self.clock {
                        let called = self.common.called.replace(0).unwrap_or(0);
                        clock.lap(Work::Update(p), u64::from(block.n), Some((Work::Draw(p), called)));
                    }
                }
            }
            for rule in &self.rules[p] {
                let l = &mut self.learning[*rule];
                l.end(step, shared.dt, block, &batch.ids[before..]);
                batch.leaving.extend(l.synapses.outgoing(step + 1).map(|sums| (*rule, sums)));
                learnt(&mut self.clock, l);
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
                if let Some(state) = t.state {
                    block.states[state].gather(&t.cells, &mut t.samples);
                    continue;
                }
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

/// What went by since the last piece of work was this rule.
fn learnt(clock: &mut Option<Clock>, rule: &mut Learning) {
    if let Some(clock) = clock {
        clock.lap(Work::Learn(rule.projection), rule.synapses.fresh_touches(), None);
    }
}
