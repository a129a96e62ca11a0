//! Calls the kernels of rules.

use super::program::{Call, Id, Mode, Node, Program};
use super::synapses::Synapses;
use super::translate::{LIMIT, NOW, ORIGIN, REACH, SCALARS, SUMS, TOUCHED};
use super::{Loops, incoming};
use crate::backend::eval;
use crate::backend::native::worker::{Pointers, compute_unary};
use crate::ir::plasticity::Place;
use crate::ir::{Expr, Real};
use crate::runtime::pages::prefetch;
use crate::runtime::{Column, Ring, RingData};
use crate::{numerics, random};
use std::ops::Range;

/// Items handled by a kernel call where a program has several loops: their scratch rows stay in the innermost cache.
const CHUNK: usize = 256;

/// Synapses onto a target of which the next are fetched while as many are handled: they lie all over the rows.
const AHEAD: usize = 32;

/// Entries of a table at most: 0.5 MiB. Synapses that were left alone for longer are brought up to date one by one.
const ENTRIES: u64 = 1 << 16;

/// Entries by which tables grow.
const GROWTH: u64 = 1 << 10;

/// Where spikes are sent on to.
pub struct Rings<'r>(pub &'r mut Ring);

impl Rings<'_> {
    /// What the targets receive in a step.
    pub fn row(&mut self, step: u64) -> &mut [f64] {
        let (from, stride) = (self.0.row(step), self.0.stride);
        match &mut self.0.data {
            RingData::Sum(sums) => &mut sums[from..from + stride],
            // What learns is summed.
            _ => &mut [],
        }
    }
}

/// Room that kernels need, and the tables that they read.
#[derive(Default)]
pub struct Engine {
    pointers: Pointers,
    scalars: Vec<f64>,
    uniform: Vec<f64>,
    scratch: Vec<f64>,
    values: Vec<f64>,
    /// `[table][steps since a synapse was touched]`
    tables: Vec<Vec<f64>>,
    /// Takes what is sent to nobody.
    sink: Vec<f64>,
    /// The synapses of a call by target.
    column: incoming::Column,
}

/// The items of a call.
#[derive(Clone, Copy)]
struct Items {
    /// Lane or target; the first of several neurons.
    element: usize,
    /// First item, in the order of synapses, of those onto a target, or of neurons.
    first: usize,
    count: usize,
    now: u64,
    /// Step since which none of them was left untouched.
    since: u64,
}

impl Engine {
    /// The synapses of a lane. `carry` takes the place of loops that send something on and rest.
    pub fn row(
        &mut self,
        s: &mut Synapses,
        (loops, carry): (&Loops, Option<&Loops>),
        lane: u32,
        now: u64,
        ring: Option<&mut [f64]>,
    ) {
        let element = lane as usize;
        let (first, end) = (s.lanes.starts[element] as usize, s.lanes.starts[element + 1] as usize);
        let since = s.lane_touched[element].max(s.all_touched);
        let items = Items { element, first, count: end - first, now, since };
        let loops = match self.rests(s, &loops.program, items) {
            false => Some(loops),
            true => carry.filter(|_| loops.program.deliver.is_some()),
        };
        if let Some(loops) = loops {
            self.synapses(s, loops, items, ring);
        }
    }

    /// The synapses onto a target; gives their number. Those onto `next` come next.
    pub fn column(&mut self, s: &mut Synapses, loops: &Loops, target: u32, next: Option<u32>, now: u64) -> u64 {
        let element = target as usize;
        let since = s.target_touched[element].max(s.all_touched);
        let items = Items { element, first: 0, count: 0, now, since };
        if self.rests(s, &loops.program, items) {
            return s.incoming.count(target);
        }
        s.incoming.column(&s.lanes.starts, target, &mut self.column);
        let count = self.column.synapses.len();
        self.synapses(s, loops, Items { count, ..items }, None);
        if let Some(next) = next {
            s.fetch(s.incoming.synapses(next).take(AHEAD));
        }
        count as u64
    }

    /// Whether a call would leave all its synapses as they are, and send on their weights if anything, for a reason that is one for all,
    /// such as a modulator below a threshold. A program that may rest is prepared then.
    fn rests(&mut self, s: &Synapses, p: &Program, items: Items) -> bool {
        if p.rests.is_empty() {
            return false;
        }
        self.prepare(s, p, items);
        p.rests.iter().any(|(id, when)| (self.uniform[id.0 as usize] != 0.0) == *when)
    }

    fn synapses(&mut self, s: &mut Synapses, loops: &Loops, mut items: Items, ring: Option<&mut [f64]>) {
        if items.count == 0 {
            return;
        }
        if s.rule.layout.remembers {
            if !self.reach(s, loops.program.mode, items) {
                items.since = items.now;
            }
            s.running.prepare();
        }
        // What is remembered makes tables longer, and so what there is to prepare.
        if s.rule.layout.remembers || loops.program.rests.is_empty() {
            self.prepare(s, &loops.program, items);
        }
        let slots = loops.slots;
        let row = loops.program.mode == Mode::Row;
        let p = &mut self.pointers.0;
        p.clear();
        p.resize(slots.count, std::ptr::null_mut());
        if loops.program.deliver.is_some() {
            p[slots.ring] = match ring.filter(|r| r.len() >= s.n as usize) {
                Some(ring) => ring.as_mut_ptr().cast(),
                None => {
                    self.sink.resize(s.n as usize, 0.0);
                    self.sink.as_mut_ptr().cast()
                }
            };
        }
        let (traces, touched) =
            if row { (&mut s.post, &mut s.target_touched) } else { (&mut s.pre, &mut s.lane_touched) };
        p[slots.touched] = touched.as_mut_ptr().cast();
        for (k, t) in traces.iter_mut().enumerate() {
            p[slots.traces + k] = t.as_mut_ptr().cast();
        }
        for (k, r) in s.reads.iter_mut().enumerate() {
            p[slots.reads + k] = r.as_mut_ptr().cast();
        }
        for (k, t) in self.tables.iter_mut().enumerate() {
            p[slots.tables + k] = t.as_mut_ptr().cast();
        }
        for (k, i) in s.running.tables().iter_mut().enumerate() {
            let tables: [&mut [f64]; SUMS] = [&mut i.within, &mut i.gaps, &mut i.later, &mut i.left];
            for (table, values) in tables.into_iter().enumerate() {
                p[slots.integrals + SUMS * k + table] = values.as_mut_ptr().cast();
            }
        }
        let stride = s.rule.layout.words();
        let words = s.words.pointer(0);
        let whole = loops.kernels.len() == 1;
        let mut done = 0;
        while done < items.count {
            let most = if !row {
                AHEAD
            } else if whole {
                items.count
            } else {
                CHUNK
            };
            let len = most.min(items.count - done);
            let at = items.first + done;
            if !row {
                s.fetch(self.column.synapses[at + len..].iter().take(AHEAD).copied());
            }
            let p = &mut self.pointers.0;
            if row {
                p[slots.words] = s.words.pointer(at * stride);
                p[slots.other] = s.lanes.targets.at(at, len).cast_mut();
            } else {
                p[slots.words] = words;
                p[slots.index] = self.column.synapses[at..at + len].as_mut_ptr().cast();
                p[slots.other] = self.column.lanes[at..at + len].as_mut_ptr().cast();
            }
            self.run(s, loops, Items { first: at, count: len, ..items });
            done += len;
        }
    }

    /// The traces of neurons of one side. Where values go aside, `aside` sees them (position on the side, value), of one neuron.
    pub fn traces(
        &mut self,
        s: &mut Synapses,
        loops: &Loops,
        side: Place,
        elements: Range<u32>,
        now: u64,
        aside: &mut dyn FnMut(u32, f64),
    ) {
        let (first, end) = (elements.start as usize, elements.end as usize);
        let all = Items { element: first, first, count: end - first, now, since: now };
        self.prepare(s, &loops.program, all);
        let slots = loops.slots;
        for at in (first..end).step_by(CHUNK) {
            let p = &mut self.pointers.0;
            p.clear();
            p.resize(slots.count, std::ptr::null_mut());
            let traces = if side == Place::Pre { &mut s.pre } else { &mut s.post };
            for (k, t) in traces.iter_mut().enumerate() {
                p[slots.traces + k] = t[at..].as_mut_ptr().cast();
            }
            if side == Place::Pre && !s.leaving.is_empty() {
                p[slots.leaving] = s.leaving[at..].as_mut_ptr().cast();
            }
            if side == Place::Post {
                for (k, r) in s.reads.iter_mut().enumerate() {
                    p[slots.reads + k] = r[at..].as_mut_ptr().cast();
                }
            }
            self.run(s, loops, Items { first: at, count: CHUNK.min(end - at), ..all });
        }
        if loops.program.aside {
            for (k, (slot, _)) in loops.program.writes.iter().enumerate() {
                aside(*slot, self.scratch[k * CHUNK]);
            }
        }
    }

    /// All loops over the items, whose arrays the table of pointers already holds.
    fn run(&mut self, s: &Synapses, loops: &Loops, items: Items) {
        let rows = loops.program.scratch_rows as usize;
        if self.scratch.len() < rows * CHUNK {
            self.scratch.resize(rows * CHUNK, 0.0);
        }
        for row in 0..rows {
            self.pointers.0[loops.slots.scratch + row] = self.scratch[row * CHUNK..].as_mut_ptr().cast();
        }
        for (segment, kernel) in loops.program.segments.iter().zip(&loops.kernels) {
            for call in &segment.calls {
                self.call(s, &loops.program, *call, items);
            }
            // SAFETY: the table holds, for every slot that the kernel reads (`Slots`), a pointer to an array that lives across this
            // call and that nothing else touches meanwhile. Arrays by item have at least `count` items (`CHUNK` in scratch, of which
            // several loops or values set aside are given no more at once). Arrays of the other side, of reads and the ring are
            // as long as `Lanes` has lanes or targets, and the indices of synapses, lanes and targets in `Lanes` and in a column
            // were counted by it. Tables are as long as the limit in `scalars` says, within which the kernel holds its index; those of
            // integrals have an entry for every position up to `REACH`, within which it holds that, and for every span of these.
            // `scalars` has an entry for every slot of the program, and `count` is positive.
            unsafe { kernel(self.pointers.0.as_ptr(), self.scalars.as_ptr().cast(), items.count as u64) };
        }
    }

    /// Scalars of a call: values that are one for all its items.
    fn prepare(&mut self, s: &Synapses, p: &Program, items: Items) {
        let entries = self.tables.first().map_or(u64::MAX, |t| t.len() as u64);
        self.scalars.clear();
        self.scalars.resize(SCALARS + p.scalars.len(), 0.0);
        self.scalars[NOW] = f64::from_bits(items.now);
        self.scalars[LIMIT] = f64::from_bits(entries - 1);
        let (origin, reach) = s.running.reach();
        self.scalars[ORIGIN] = f64::from_bits(origin);
        self.scalars[REACH] = f64::from_bits(reach);
        self.scalars[TOUCHED] = f64::from_bits(items.since);
        self.uniform.resize(self.uniform.len().max(p.nodes.len()), 0.0);
        let near = if p.mode == Mode::Row { &s.pre } else { &s.post };
        for id in &p.uniform {
            let at = |c: Id| match p.nodes[c.0 as usize] {
                Node::Const(Real(v)) => v,
                _ => self.uniform[c.0 as usize],
            };
            let v = match p.nodes[id.0 as usize] {
                Node::Near(slot) => near[slot as usize][items.element],
                Node::Read(k) => s.reads[k as usize][items.element],
                Node::Level(k) => s.level(k as usize),
                Node::Leaving => s.leaving.get(items.element).copied().unwrap_or(f64::NAN),
                Node::Time => items.now as f64 * s.rule.dt,
                Node::Frozen => f64::from(u8::from(s.frozen)),
                Node::Single(a) => f64::from(at(a) as f32),
                Node::Unary(op, a) => op.compute(at(a)),
                Node::Binary(op, a, b) => op.compute(at(a), at(b)),
                Node::Compare(op, a, b) => f64::from(u8::from(op.compute(at(a), at(b)))),
                Node::Select(c, a, b) => at(if at(c) != 0.0 { a } else { b }),
                _ => f64::NAN,
            };
            self.uniform[id.0 as usize] = v;
            if let Some(slot) = p.scalars.get(id) {
                self.scalars[SCALARS + *slot as usize] = v;
            }
        }
    }

    fn call(&mut self, s: &Synapses, p: &Program, call: Call, items: Items) {
        let range = |row: u32| row as usize * CHUNK..row as usize * CHUNK + items.count;
        match call {
            Call::Unary { op, row } => compute_unary(op, &mut self.scratch[range(row)]),
            Call::Pow { row, exponent } => {
                let exponents = self.scratch[range(exponent)].to_vec();
                numerics::pow_batch(&mut self.scratch[range(row)], &exponents);
            }
            Call::Uniform { row } => {
                for (k, out) in self.scratch[range(row)].iter_mut().enumerate() {
                    let at = items.first + k;
                    *out = match p.mode {
                        Mode::Row => s.draw(items.element, s.lanes.targets.get(at), items.now),
                        Mode::Column => s.draw(self.column.lanes[at] as usize, items.element as u32, items.now),
                        Mode::Traces(side) => s.draw_trace(side, at as u32, items.now),
                    };
                }
            }
        }
    }

    /// Makes tables that hold the steps since the items were touched. Where one of them was left alone for longer than tables reach,
    /// all are brought up to date here, one by one, and the answer is false.
    fn reach(&mut self, s: &mut Synapses, mode: Mode, items: Items) -> bool {
        let rule = s.rule.clone();
        let steps = items.now.saturating_sub(items.since);
        self.tables.resize(rule.layout.tables.len(), Vec::new());
        let wanted = (steps.min(ENTRIES - 1) + 1).next_multiple_of(GROWTH);
        for ((table, root), order) in self.tables.iter_mut().zip(&rule.layout.tables).zip(&rule.orders) {
            for k in table.len() as u64..wanted {
                let elapsed = k as f64 * rule.dt;
                // Nothing else is a leaf there.
                let leaf = &mut |_: &Expr, _: &[f64]| elapsed;
                eval::evaluate(&rule.rule.exprs, order, &mut self.values, leaf);
                table.push(self.values[root.0 as usize]);
            }
        }
        if steps < ENTRIES {
            return true;
        }
        let synapse = |at: usize| match mode {
            Mode::Row => (at, items.element, s.lanes.targets.get(at) as usize),
            _ => (self.column.synapses[at] as usize, self.column.lanes[at] as usize, items.element),
        };
        let all: Vec<_> = (items.first..items.first + items.count).map(synapse).collect();
        if all.iter().all(|(_, lane, target)| items.now - s.last_touched(*lane, *target) < ENTRIES) {
            return true;
        }
        s.running.prepare();
        all.into_iter().for_each(|(k, lane, target)| s.catch_up(k, lane, target, items.now, &mut self.values));
        false
    }
}

impl Synapses {
    /// Fetches these synapses.
    fn fetch(&self, synapses: impl Iterator<Item = u32>) {
        let stride = self.rule.layout.words();
        let own = synapses.map(|k| k as usize * stride);
        match &self.words {
            Column::Double(words) => own.for_each(|k| prefetch(words, k)),
            Column::Single(words) => own.for_each(|k| prefetch(words, k)),
        }
    }

    /// Brings one synapse up to date without tables.
    fn catch_up(&mut self, k: usize, lane: usize, target: usize, now: u64, values: &mut Vec<f64>) {
        let rule = self.rule.clone();
        let stride = rule.layout.words();
        let first = k * stride;
        let last = self.last_touched(lane, target);
        let steps = now.saturating_sub(last);
        if steps == 0 {
            return;
        }
        let mut moved = Vec::new();
        for a in &rule.rule.drift {
            let order = eval::order(&rule.rule.exprs, &[a.value]);
            eval::evaluate(&rule.rule.exprs, &order, values, &mut |e, _| match e {
                Expr::State(v) => match rule.layout.slots[*v as usize] {
                    (Place::Pre, slot) => self.pre[slot][lane],
                    (Place::Post, slot) => self.post[slot][target],
                    (Place::Synapse, slot) => self.words.at(first + slot),
                },
                Expr::Read(r) if rule.rule.levels.contains(r) => self.level(*r as usize),
                Expr::Read(r) => self.reads[*r as usize][target],
                Expr::Time => now as f64 * rule.dt,
                Expr::Uniform => self.draw(lane, target as u32, now),
                Expr::Elapsed => steps as f64 * rule.dt,
                Expr::Integral(k) => self.running.since(*k as usize, last),
                // `valid` refuses other leaves in a rule.
                _ => f64::NAN,
            });
            moved.push((a.state, rule.rule.settled(a.state, values[a.value.0 as usize])));
        }
        for (state, v) in moved {
            if state > 0 || !self.frozen {
                self.words.set(first + rule.layout.slots[state as usize].1, v);
            }
        }
    }

    /// The draw of a synapse.
    fn draw(&self, lane: usize, target: u32, now: u64) -> f64 {
        let source = u64::from(self.neurons[lane]);
        random::uniform(self.key.derive(source), now, self.lo + target, 0)
    }

    /// The draw of what an event writes into traces.
    fn draw_trace(&self, side: Place, element: u32, now: u64) -> f64 {
        if side == Place::Pre {
            let source = u64::from(self.neurons[element as usize]);
            random::uniform(self.key.derive(source), now, self.lanes.delays[element as usize], 1)
        } else {
            random::uniform(self.key, now, self.lo + element, 1)
        }
    }
}
