//! The synapses of one rule in one thread's share, and their phases of a step.

use super::incoming::Incoming;
use super::run::{Engine, Rings};
use super::{Handler, Rule};
use crate::backend::build::{Elements, Growth, Lanes, Rewired};
use crate::backend::engine::{RunError, Touches};
use crate::backend::eval;
use crate::backend::held::{Held, Part, Reach, own_edges};
use crate::backend::running::Running;
use crate::backend::state::{PlasticState, same, unfit};
use crate::ir::plasticity::{Event, Integral, Place};
use crate::ir::{Expr, ExprId, Network, rest};
use crate::random::{Purpose, StreamKey};
use crate::runtime::Column;
use std::ops::Range;
use std::sync::Arc;

/// Fills `[read][target]` with what is read of the targets.
pub type Reads<'r> = dyn FnMut(&mut [Vec<f64>]) + 'r;

/// The synapses of a projection that learns that land on a range of its targets.
pub struct Synapses {
    pub rule: Arc<Rule>,
    pub lanes: Lanes,
    /// First target of the range, and their number.
    pub lo: u32,
    pub n: u32,
    /// Synapses of each target, in order of lanes.
    pub incoming: Incoming,
    /// Presynaptic neuron of each lane.
    pub neurons: Vec<u32>,
    /// [`super::program::Layout::words`] of each synapse: its variables.
    pub words: Column,
    /// `[trace][lane]`, `[trace][target]`
    pub pre: Vec<Vec<f64>>,
    pub post: Vec<Vec<f64>>,
    /// Step since which no synapse of a lane, of a target, of all was left untouched: the latest of the three is when a synapse was
    /// last touched, for nothing touches a part of a lane's or a target's.
    pub lane_touched: Vec<u64>,
    pub target_touched: Vec<u64>,
    pub all_touched: u64,
    /// Integrals of levels.
    pub running: Running,
    /// What comes and goes, where synapses do.
    growth: Option<Growth>,
    /// Lanes whose spike reaches its synapses at the end of a step, by step.
    due: Vec<Vec<u32>>,
    /// Targets whose spike reaches their synapses, by step.
    back: Vec<Vec<u32>>,
    /// What events wrote into traces: takes effect with the next step.
    pending: Vec<(Place, usize, u32, f64)>,
    /// Some spike reaches its synapses in the moment it is sent: all events of a moment are dealt with at the start of the next
    /// step, when all spikes of that moment are known.
    late: bool,
    /// Weights stand still; traces run on.
    pub frozen: bool,
    /// Of draws at events.
    pub key: StreamKey,
    /// `[read][target]`; of a level the first stands for all.
    pub reads: Vec<Vec<f64>>,
    /// For each lane the sum of the weights that leave its neuron, at a moment of `every` whose handlers read it.
    pub leaving: Vec<f64>,
    touches: Touches,
    /// Of these, how many [`Synapses::fresh_touches`] has given.
    given: u64,
    engine: Engine,
}

impl Synapses {
    /// Builds the synapses whose targets lie in `range`.
    ///
    /// # Errors
    /// [`RunError::Build`] where the projection can't be built.
    pub fn new(
        network: &Network,
        elements: &Elements,
        rule: &Arc<Rule>,
        seed: u64,
        range: Range<u32>,
    ) -> Result<Synapses, RunError> {
        let ir = &rule.rule;
        let lanes = Lanes::new(network, elements, ir, seed, range.clone())?;
        let n = range.end - range.start;
        let initial = |place| ir.variables.iter().filter(move |v| v.place == place).map(|v| v.initial);
        let filled = |place, len: usize| -> Vec<Vec<f64>> { initial(place).map(|v| vec![v; len]).collect() };
        let words = rule.layout.words();
        let mut all = Column::filled(rule.layout.single, 0.0, words * lanes.targets.len());
        for (k, w) in lanes.weights.iter().enumerate() {
            let values = std::iter::once(*w).chain(initial(Place::Synapse).skip(1));
            (k * words..).zip(values).for_each(|(at, v)| all.set(at, v));
        }
        let longest = lanes.delays.iter().copied().max().unwrap_or(0) as usize;
        Ok(Synapses {
            rule: rule.clone(),
            lo: range.start,
            n,
            incoming: Incoming::new(&lanes, n),
            neurons: lanes.neurons(),
            words: all,
            pre: filled(Place::Pre, lanes.delays.len()),
            post: filled(Place::Post, n as usize),
            lane_touched: vec![0; lanes.delays.len()],
            target_touched: vec![0; n as usize],
            all_touched: 0,
            running: Running::new(&ir.integrals, network.dt_ms),
            growth: Growth::new(network, elements, ir, seed, range.clone(), &lanes)?,
            due: vec![Vec::new(); (longest + 1).next_power_of_two()],
            back: vec![Vec::new(); (ir.dendritic as usize + 1).next_power_of_two()],
            pending: Vec::new(),
            late: lanes.delays.contains(&0),
            frozen: false,
            key: StreamKey::new(seed, &network.graph[ir.projection].path, Purpose::Spike),
            reads: vec![vec![0.0; n as usize]; ir.reads.len()],
            leaving: Vec::new(),
            touches: Touches::default(),
            given: 0,
            engine: Engine::default(),
            lanes: Lanes { weights: Vec::new(), ..lanes },
        })
    }

    /// First target of the range and their number.
    pub fn range(&self) -> (u32, u32) {
        (self.lo, self.n)
    }

    /// Shortest axonal delay, steps; `None` without synapses.
    pub fn shortest(&self) -> Option<u32> {
        self.lanes.delays.iter().copied().min()
    }

    /// What is read of the targets, and whether it is the same for all.
    pub fn read_exprs(&self) -> impl Iterator<Item = (ExprId, bool)> + '_ {
        let rule = &self.rule.rule;
        rule.reads.iter().zip(0..).map(|(e, k)| (*e, rule.levels.contains(&k)))
    }

    /// What is read and is the same for all targets.
    pub fn level(&self, read: usize) -> f64 {
        self.reads.get(read).and_then(|r| r.first()).copied().unwrap_or(f64::NAN)
    }

    pub fn synapses(&self) -> u64 {
        self.lanes.targets.len() as u64
    }

    /// Bytes of synapses: targets, their order by target, and their variables.
    pub fn bytes(&self) -> u64 {
        self.lanes.targets.bytes() + self.incoming.bytes() + self.synapses() * self.rule.layout.stride() as u64
    }

    /// The step at whose end a synapse was last touched.
    pub fn last_touched(&self, lane: usize, target: usize) -> u64 {
        self.lane_touched[lane].max(self.target_touched[target]).max(self.all_touched)
    }

    /// That step of each synapse, in order of lanes.
    fn all_last_touched(&self) -> Vec<u64> {
        let lane_of = self.lanes.of_synapses();
        let ends = lane_of.iter().zip(self.lanes.targets.iter());
        ends.map(|(lane, target)| self.last_touched(*lane as usize, target as usize)).collect()
    }

    /// Synapses touched since the last call.
    pub fn take_touches(&mut self) -> Touches {
        self.given = 0;
        std::mem::take(&mut self.touches)
    }

    /// Synapses touched since the last call, for a profile.
    pub fn fresh_touches(&mut self) -> u64 {
        let all = self.touches.at_events + self.touches.in_steps;
        all - std::mem::replace(&mut self.given, all)
    }

    /// Takes note of presynaptic spikes stamped `stamp`.
    pub fn sent(&mut self, stamp: u64, senders: &[u32]) {
        let mask = self.due.len() as u64 - 1;
        for s in senders {
            for lane in self.lanes.sources[*s as usize]..self.lanes.sources[*s as usize + 1] {
                let at = (stamp + u64::from(self.lanes.delays[lane as usize])) & mask;
                self.due[at as usize].push(lane);
            }
        }
    }

    /// Phases 1 to 4 of the step from `step` dt to `(step + 1)` dt. Gives the number of spikes that reached a synapse.
    /// [`Synapses::reads`] are those of the step's start.
    pub fn begin(&mut self, step: u64, rings: &mut Rings) -> u64 {
        let rule = self.rule.clone();
        let mut events = 0;
        let dendritic = u64::from(rule.rule.dendritic);
        let levels = self.integrated(step);
        if self.late {
            // A spike that is sent on takes the dendritic delay from then, and one step of it is over.
            events += self.events(step, step + dendritic.saturating_sub(1), rings);
        }
        self.running.push(levels.as_deref());
        for (place, slot, element, value) in self.pending.drain(..) {
            let list = if place == Place::Pre { &mut self.pre } else { &mut self.post };
            list[slot][element as usize] = value;
        }
        if !rule.rule.lazy
            && let Some(drift) = &rule.drift
        {
            for lane in 0..self.lanes.delays.len() as u32 {
                self.row((drift, None), lane, step, None);
            }
            self.touches.in_steps += self.synapses();
        }
        self.advance_traces(&rule, step);
        if !self.late {
            events += self.events(step + 1, step + dendritic, rings);
        }
        events
    }

    /// Postsynaptic spikes, then presynaptic ones, that reach their synapses at the end of `now` steps; what is sent on is taken by
    /// step `arrival`.
    fn events(&mut self, now: u64, arrival: u64, rings: &mut Rings) -> u64 {
        if self.rule.rule.dendritic > 0 {
            let at = (now & (self.back.len() as u64 - 1)) as usize;
            let mut targets = std::mem::take(&mut self.back[at]);
            self.at_targets(Event::Post, now, &targets);
            targets.clear();
            self.back[at] = targets;
        }
        let at = (now & (self.due.len() as u64 - 1)) as usize;
        let mut lanes = std::mem::take(&mut self.due[at]);
        lanes.sort_unstable();
        let rule = self.rule.clone();
        let found = rule.handlers.iter().find(|h| h.event == Event::Pre);
        let mut events = 0;
        for lane in &lanes {
            let (a, b) = (self.lanes.starts[*lane as usize], self.lanes.starts[*lane as usize + 1]);
            events += u64::from(b - a);
            let Some(h) = found else { continue };
            self.touches.at_events += u64::from(b - a);
            if let Some(row) = &h.row {
                self.row((row, rule.carry.as_ref()), *lane, now, Some(rings.row(arrival)));
            }
            self.note_traces(h.pre.as_ref(), Place::Pre, *lane, now);
        }
        lanes.clear();
        self.due[at] = lanes;
        events
    }

    /// Phase 6: postsynaptic spikes of the step, then arrivals at receptors and named events, then, unless that waits for sums over all
    /// targets, what happens periodically. Targets count in the range; a target with several arrivals stands there as often.
    pub fn end(&mut self, step: u64, fired: &[u32], receptors: &[(u32, Vec<u32>)], reads: &mut Reads) {
        let now = step + 1;
        let rule = self.rule.clone();
        let busy = !fired.is_empty()
            || receptors.iter().any(|(_, targets)| !targets.is_empty())
            || self.periodic(now)
            || rule.handlers.iter().any(|h| matches!(h.event, Event::Named(..)));
        if busy && !self.reads.is_empty() {
            reads(&mut self.reads);
        }
        if rule.rule.dendritic == 0 {
            self.at_targets(Event::Post, now, fired);
        } else {
            let at = (now + u64::from(rule.rule.dendritic)) & (self.back.len() as u64 - 1);
            self.back[at as usize].extend_from_slice(fired);
        }
        for (receptor, targets) in receptors {
            self.at_targets(Event::Receptor(*receptor), now, targets);
        }
        let named = |event: Event| match event {
            // Without a target there is no synapse either.
            Event::Named(flag, _) => self.n > 0 && self.level(flag as usize) != 0.0,
            _ => false,
        };
        let named: Vec<_> = rule.handlers.iter().filter(|h| named(h.event)).collect();
        named.into_iter().for_each(|h| self.everywhere(h, now));
        if !self.waits() {
            self.every(now);
        }
    }

    /// Whether a handler of `every` is due at the end of `now` steps.
    fn periodic(&self, now: u64) -> bool {
        self.rule.handlers.iter().any(|h| matches!(h.event, Event::Every(period) if now.is_multiple_of(period)))
    }

    /// Handlers of `every` read the sum of the weights that leave a neuron, for which all shares must meet.
    pub fn waits(&self) -> bool {
        self.rule.rule.total_out.is_some()
    }

    /// This range's part of these sums at the end of `now` steps ([`Lanes::outgoing`]), where a handler is due that may read them.
    pub fn outgoing(&mut self, now: u64) -> Option<Vec<f64>> {
        if !self.waits() || !self.periodic(now) {
            return None;
        }
        self.touch_all(now);
        let stride = self.rule.layout.words();
        Some(self.lanes.outgoing(self.n, &|k| self.words.at(k * stride)))
    }

    /// What waited for the sums, of which `parts` are those of all shares. [`Synapses::reads`] are as at the end of the step.
    pub fn every_after(&mut self, now: u64, parts: &[&[f64]], reads: &mut Reads) {
        self.leaving = self.lanes.leaving(parts);
        reads(&mut self.reads);
        self.every(now);
    }

    fn every(&mut self, now: u64) {
        let rule = self.rule.clone();
        let due = |event: Event| matches!(event, Event::Every(period) if now.is_multiple_of(period));
        for h in rule.handlers.iter().filter(|h| due(h.event)) {
            self.add_up(h, now);
            self.everywhere(h, now);
            self.come_and_go(h, now);
        }
    }

    /// A handler for all synapses, and for the traces of both sides.
    fn everywhere(&mut self, h: &Handler, now: u64) {
        if let Some(row) = &h.row {
            (0..self.lanes.delays.len() as u32).for_each(|lane| self.row((row, None), lane, now, None));
            self.all_touched = now;
        }
        self.touches.at_events += self.synapses();
        for lane in 0..self.lanes.delays.len() as u32 {
            self.note_traces(h.pre.as_ref(), Place::Pre, lane, now);
        }
        for target in 0..self.n {
            self.note_traces(h.post.as_ref(), Place::Post, target, now);
        }
    }

    /// The sum of the weights onto each target, in order of their lanes, for a handler of `every`.
    fn add_up(&mut self, h: &Handler, now: u64) {
        let rule = self.rule.clone();
        let (Some(total), Event::Every(_)) = (rule.rule.total, h.event) else { return };
        self.touch_all(now);
        let stride = rule.layout.words();
        for (target, sum) in (0..).zip(&mut self.reads[total as usize]) {
            let weights = self.incoming.synapses(target).map(|k| self.words.at(k as usize * stride));
            *sum = weights.fold(0.0, |sum, weight| sum + weight);
        }
    }

    /// Carries out what a handler said of synapses that go.
    fn come_and_go(&mut self, h: &Handler, now: u64) {
        let rule = self.rule.clone();
        let (Some(growth), Some(flag), false) = (&self.growth, rule.rule.remove, self.frozen) else { return };
        if !h.removes {
            return;
        }
        let (stride, slot) = (rule.layout.words(), rule.layout.slots[flag as usize].1);
        let goes = |k: u32| self.words.at(k as usize * stride + slot) != 0.0;
        if let Some(rewired) = growth.rewired(&self.lanes, &goes, now) {
            self.rewire(rewired);
        }
    }

    /// Takes over other synapses; all are up to date, as new ones are that begin now.
    fn rewire(&mut self, rewired: Rewired) {
        let Rewired { lanes, from } = rewired;
        let rule = self.rule.clone();
        let stride = rule.layout.words();
        let of = rule.rule.variables.iter().filter(|v| v.place == Place::Synapse);
        let mut initial: Vec<f64> = of.map(|v| v.initial).collect();
        if let Some(weight) = rule.rule.regrow {
            initial[0] = weight;
        }
        let mut words = Column::filled(rule.layout.single, 0.0, stride * from.len());
        for (k, f) in from.iter().enumerate() {
            for (slot, initial) in initial.iter().enumerate() {
                words.set(k * stride + slot, f.map_or(*initial, |f| self.words.at(f as usize * stride + slot)));
            }
        }
        self.incoming = Incoming::new(&lanes, self.n);
        (self.words, self.lanes) = (words, lanes);
    }

    /// Takes over these synapses, (presynaptic cell, target in the population) in that order. Gives whether they can be.
    pub fn set_edges(&mut self, step: u64, edges: &[(u32, u32)]) -> bool {
        let Some(growth) = &self.growth else { return false };
        let (_, own) = own_edges(edges, self.lo, self.n);
        let Some(rewired) = growth.restored(&self.lanes, &own) else { return false };
        self.touch_all(step);
        self.rewire(rewired);
        true
    }

    /// Receptors whose arrivals are events of this rule.
    pub fn receptors(&self) -> Vec<u32> {
        let of = |event: Event| if let Event::Receptor(r) = event { Some(r) } else { None };
        self.rule.handlers.iter().filter_map(|h| of(h.event)).collect()
    }

    /// Weights up to date at the end of `step` steps, in order of (presynaptic neuron, target).
    pub fn weights(&mut self, step: u64) -> Vec<f64> {
        self.touch_all(step);
        let stride = self.rule.layout.words();
        self.lanes.ordered().map(|(_, k)| self.words.at(k as usize * stride)).collect()
    }

    /// Synapses of each presynaptic neuron.
    pub fn lengths(&self) -> Vec<usize> {
        let first = |lane: u32| self.lanes.starts[lane as usize] as usize;
        self.lanes.sources.windows(2).map(|s| first(s[1]) - first(s[0])).collect()
    }

    /// (presynaptic neuron, target in the population) in that order.
    pub fn edges(&self) -> Vec<(u32, u32)> {
        self.lanes.edges(self.lo)
    }

    /// Writes weights in the order that [`Synapses::weights`] gives.
    pub fn set_weights(&mut self, step: u64, values: &[f64]) {
        self.touch_all(step);
        let stride = self.rule.layout.words();
        let order: Vec<usize> = self.lanes.ordered().map(|(_, k)| k as usize).collect();
        order.into_iter().zip(values).for_each(|(k, v)| self.words.set(k * stride, *v));
    }

    /// Traces and synaptic states as at the start, spikes on their way dropped; weights stay.
    pub fn clear(&mut self, step: u64) {
        self.touch_all(step);
        let stride = self.rule.layout.words();
        let rule = self.rule.clone();
        for (v, (place, slot)) in rule.rule.variables.iter().zip(&rule.layout.slots).skip(1) {
            let slot = *slot;
            match place {
                Place::Pre => self.pre[slot].fill(v.initial),
                Place::Post => self.post[slot].fill(v.initial),
                Place::Synapse => {
                    (slot..self.words.len()).step_by(stride).for_each(|at| self.words.set(at, v.initial));
                }
            }
        }
        self.due.iter_mut().chain(&mut self.back).for_each(Vec::clear);
        self.pending.clear();
    }

    fn reach(&self) -> Reach<'_> {
        let slots = &self.rule.layout.slots;
        Reach { lanes: &self.lanes, lo: self.lo, n: self.n, slots, changes: self.growth.is_some() }
    }

    /// What is here at the end of `step` steps; nothing is brought up to date.
    pub fn save(&self, step: u64) -> Part {
        let layout = &self.rule.layout;
        let stride = layout.words();
        let column = |slot: usize| (slot..self.words.len()).step_by(stride).map(|at| self.words.at(at));
        let held = Held {
            pre: self.pre.clone(),
            post: self.post.clone(),
            synapse: (0..layout.counts[Place::Synapse as usize]).map(|k| column(k).collect()).collect(),
            touched: if layout.remembers { self.all_last_touched() } else { Vec::new() },
            integrals: if self.n > 0 { self.running.values() } else { Vec::new() },
            due: self.due.clone(),
            back: self.back.clone(),
            pending: self.pending.clone(),
            frozen: self.frozen,
        };
        held.save(&self.reach(), step)
    }

    /// Takes over this range's part of a state at the end of `step` steps. `own` are the positions of its synapses among all, in
    /// order of presynaptic, then postsynaptic cell.
    ///
    /// # Errors
    /// [`RunError::Build`] where the state is another network's.
    pub fn load(&mut self, step: u64, state: &PlasticState, own: &[u32]) -> Result<(), RunError> {
        let (rings, rule) = ((self.due.len(), self.back.len()), self.rule.clone());
        let (found, edges) = own_edges(&state.edges, self.lo, self.n);
        if let Some(growth) = &self.growth {
            let Some(rewired) = growth.restored(&self.lanes, &edges) else { return Err(unfit("synapses")) };
            self.rewire(rewired);
        }
        let own = if self.growth.is_some() { &found } else { own };
        let held = Held::load(&self.reach(), rings, rule.layout.remembers, step, state, own)?;
        let stride = rule.layout.words();
        for (slot, values) in held.synapse.iter().enumerate() {
            values.iter().enumerate().for_each(|(k, v)| self.words.set(k * stride + slot, *v));
        }
        same(self.n == 0 || self.running.resume(step, &held.integrals), true, "integrals of a rule")?;
        self.restore_touched(&held.touched)?;
        (self.pre, self.post, self.due, self.back) = (held.pre, held.post, held.due, held.back);
        (self.pending, self.frozen) = (held.pending, held.frozen);
        Ok(())
    }

    /// Finds when lanes and targets were touched from when their synapses were, in order of lanes: for a lane not later than its
    /// synapse that was left alone for longest, and so for a target; and each synapse was touched with one or the other.
    fn restore_touched(&mut self, touched: &[u64]) -> Result<(), RunError> {
        self.all_touched = 0;
        self.lane_touched.fill(u64::MAX);
        self.target_touched.fill(u64::MAX);
        let lane_of = self.lanes.of_synapses();
        for ((lane, target), at) in lane_of.iter().zip(self.lanes.targets.iter()).zip(touched) {
            for end in [&mut self.lane_touched[*lane as usize], &mut self.target_touched[target as usize]] {
                *end = (*end).min(*at);
            }
        }
        // Those without synapses.
        for end in self.lane_touched.iter_mut().chain(&mut self.target_touched).filter(|t| **t == u64::MAX) {
            *end = 0;
        }
        same(touched.is_empty() || self.all_last_touched() == touched, true, "times of synapses")
    }

    /// Lets weights stand still after `step` steps, or move again; traces run on.
    pub fn freeze(&mut self, step: u64, frozen: bool) {
        if self.frozen != frozen {
            // What has passed by now passed under the old state.
            self.touch_all(step);
            self.frozen = frozen;
        }
    }

    fn touch_all(&mut self, step: u64) {
        let rule = self.rule.clone();
        if rule.layout.remembers
            && let Some(drift) = &rule.drift
        {
            for lane in 0..self.lanes.delays.len() as u32 {
                self.row((drift, None), lane, step, None);
            }
            self.all_touched = step;
        }
        self.running.restart(step);
    }

    /// What integrals take from the step that begins; all synapses are brought up to date where they must not wait any longer.
    /// `None` where there is none, or nothing to read.
    fn integrated(&mut self, step: u64) -> Option<Vec<f64>> {
        if self.running.is_empty() || self.n == 0 {
            return None;
        }
        let (rule, mut scratch) = (self.rule.clone(), Vec::new());
        let value = |(i, order): (&Integral, &Vec<ExprId>)| {
            eval::evaluate(&rule.rule.exprs, order, &mut scratch, &mut |e, _| match e {
                Expr::Read(k) => self.level(*k as usize),
                // `valid` refuses other leaves there.
                _ => f64::NAN,
            });
            scratch[i.value.0 as usize]
        };
        let values: Vec<f64> = rule.rule.integrals.iter().zip(&rule.integrated).map(value).collect();
        if self.running.ends(&values) {
            self.touch_all(step);
            self.touches.in_steps += self.synapses();
        }
        Some(values)
    }

    fn at_targets(&mut self, event: Event, now: u64, targets: &[u32]) {
        if targets.is_empty() {
            return;
        }
        let rule = self.rule.clone();
        let Some(h) = rule.handlers.iter().find(|h| h.event == event) else { return };
        let nexts = targets.iter().skip(1).map(|t| Some(*t)).chain([None]);
        for (target, next) in targets.iter().zip(nexts) {
            if let Some(column) = &h.column {
                self.touches.at_events += self.column(column, *target, next, now);
            }
            self.note_traces(h.post.as_ref(), Place::Post, *target, now);
        }
    }

    /// Runs a program over the synapses of a lane, or where it sends something on and rests, `carry`.
    fn row(
        &mut self,
        (loops, carry): (&super::Loops, Option<&super::Loops>),
        lane: u32,
        now: u64,
        ring: Option<&mut [f64]>,
    ) {
        let mut engine = std::mem::take(&mut self.engine);
        engine.row(self, (loops, carry), lane, now, ring);
        self.engine = engine;
        self.lane_touched[lane as usize] = now;
    }

    /// Runs a program over the synapses onto a target and gives their number; those onto `next` come next.
    fn column(&mut self, loops: &super::Loops, target: u32, next: Option<u32>, now: u64) -> u64 {
        let mut engine = std::mem::take(&mut self.engine);
        let synapses = engine.column(self, loops, target, next, now);
        self.engine = engine;
        self.target_touched[target as usize] = now;
        synapses
    }

    /// What an event does to the traces of one neuron; takes effect with the next step.
    fn note_traces(&mut self, loops: Option<&super::Loops>, place: Place, element: u32, now: u64) {
        let Some(loops) = loops else { return };
        let mut engine = std::mem::take(&mut self.engine);
        let mut pending = std::mem::take(&mut self.pending);
        engine.traces(self, loops, place, element..element + 1, now, &mut |slot, value| {
            pending.push((place, slot as usize, element, value));
        });
        self.pending = pending;
        self.engine = engine;
    }

    fn advance_traces(&mut self, rule: &Rule, step: u64) {
        for (side, advance) in [Place::Pre, Place::Post].into_iter().zip(&rule.advance) {
            match advance {
                None => {}
                Some(super::Advance::Decay(list)) => {
                    let traces = if side == Place::Pre { &mut self.pre } else { &mut self.post };
                    for (slot, factor) in list {
                        traces[*slot].iter_mut().for_each(|x| *x *= factor);
                    }
                }
                Some(super::Advance::Loops(loops)) => {
                    let count = if side == Place::Pre { self.lanes.delays.len() as u32 } else { self.n };
                    let mut engine = std::mem::take(&mut self.engine);
                    engine.traces(self, loops, side, 0..count, step, &mut |_, _| {});
                    self.engine = engine;
                }
            }
        }
        if rest::looks(step) {
            self.pre.iter_mut().chain(&mut self.post).flat_map(|t| t.iter_mut()).for_each(|x| *x = rest::rested(*x));
        }
    }
}
