//! Synapses that change: one projection's rows over a range of targets, its traces, and what events do to them, in the order that
//! `ir::plasticity` states.
//! The interpreter's form, expression by expression: what `native::rules` compiles is held against it.

use crate::backend::build::{Elements, Growth, Lanes, Rewired};
use crate::backend::engine::{RunError, Touches};
use crate::backend::eval;
use crate::backend::held::{Held, Part, Reach, own_edges};
use crate::backend::running::Running;
use crate::backend::state::{PlasticState, same, unfit};
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::rest::{looks, rested};
use crate::ir::{Assign, Expr, ExprId, Network};
use crate::random::{self, Purpose, StreamKey};
use std::ops::Range;

/// The synapses of one plastic projection that land on a range of its targets.
pub struct Plastic {
    rule: Plasticity,
    dt: f64,
    /// Where each variable is: place and position among the variables there.
    slots: Vec<(Place, usize)>,
    advance: Vec<(u32, Code)>,
    drift: Vec<(u32, Code)>,
    handlers: Vec<Compiled>,
    /// First target of the range, and their number.
    lo: u32,
    n: u32,
    lanes: Lanes,
    /// Lane of each synapse.
    lane_of: Vec<u32>,
    /// Synapses of target j, in order of lanes: `incoming[into[j] .. into[j + 1]]`.
    into: Vec<u32>,
    incoming: Vec<u32>,
    /// `[variable of the place][element]`
    pre: Vec<Vec<f64>>,
    post: Vec<Vec<f64>>,
    synapse: Vec<Vec<f64>>,
    /// Step at whose end each synapse was brought up to date; empty unless the rule is lazy.
    touched: Vec<u64>,
    /// Integrals of levels, and what computes their values.
    running: Running,
    levels: Vec<Code>,
    /// What comes and goes, where synapses do.
    growth: Option<Growth>,
    /// Sum of the weights onto each target, before a handler of `every`; empty where nobody reads it.
    totals: Vec<f64>,
    /// For each lane the sum of the weights that leave its neuron, at a moment of `every`.
    leaving: Vec<f64>,
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
    frozen: bool,
    /// Of draws at events.
    key: StreamKey,
    touches: Touches,
    scratch: Vec<f64>,
}

/// An expression with the order that computes it.
struct Code {
    root: ExprId,
    order: Vec<ExprId>,
}

struct Compiled {
    event: Event,
    /// Traces that the event writes once per neuron.
    traces: Vec<(u32, Code)>,
    synapse: Vec<(u32, Code)>,
    deliver: Option<Code>,
    /// The same while weights stand still.
    still: Option<Code>,
}

/// What is read of the postsynaptic neurons: position among [`Plasticity::reads`], target in the range.
pub type Reads<'r> = dyn FnMut(usize, u32) -> f64 + 'r;

/// Takes what arrives: target in the range, steps from now (0: in this step), amount.
pub type Arrivals<'a> = dyn FnMut(u32, u32, f64) + 'a;

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
struct At {
    lane: u32,
    target: u32,
    synapse: u32,
    /// Steps done, for draws.
    now: u64,
    elapsed: f64,
    /// Step at whose end the synapse was last brought up to date.
    since: u64,
    /// Whose it is: a synapse's, or a trace's.
    place: Place,
}

impl Plastic {
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
    ) -> Result<Plastic, RunError> {
        let lanes = Lanes::new(network, elements, rule, seed, range.clone())?;
        let n = range.end - range.start;
        let (into, incoming) = lanes.by_target(n);
        let mut counts = [0_usize; 3];
        let slots: Vec<(Place, usize)> = rule
            .variables
            .iter()
            .map(|v| {
                let count = &mut counts[v.place as usize];
                *count += 1;
                (v.place, *count - 1)
            })
            .collect();
        let filled = |place: Place, len: usize| -> Vec<Vec<f64>> {
            rule.variables.iter().filter(|v| v.place == place).map(|v| vec![v.initial; len]).collect()
        };
        let mut synapse = filled(Place::Synapse, lanes.targets.len());
        if let Some(weights) = synapse.first_mut() {
            weights.copy_from_slice(&lanes.weights);
        }
        if rule.single {
            synapse.iter_mut().flatten().for_each(|v| *v = f64::from(*v as f32));
        }
        let code = |e: ExprId| Code { root: e, order: eval::order(&rule.exprs, &[e]) };
        let assigns = |list: &[Assign], of: &dyn Fn(Place) -> bool| -> Vec<(u32, Code)> {
            list.iter().filter(|a| of(rule.place(a.state))).map(|a| (a.state, code(a.value))).collect()
        };
        let handlers = rule
            .handlers
            .iter()
            .map(|h| Compiled {
                event: h.event,
                traces: assigns(&h.assigns, &|p| p != Place::Synapse),
                synapse: assigns(&h.assigns, &|p| p == Place::Synapse),
                deliver: h.deliver.map(code),
                still: h.still.or(h.deliver).map(code),
            })
            .collect();
        let longest = lanes.delays.iter().copied().max().unwrap_or(0) as usize;
        let touches = rule.lazy && !rule.drift.is_empty();
        let late = lanes.delays.contains(&0);
        Ok(Plastic {
            dt: network.dt_ms,
            advance: assigns(&rule.advance, &|_| true),
            drift: assigns(&rule.drift, &|_| true),
            handlers,
            slots,
            lo: range.start,
            n,
            pre: filled(Place::Pre, lanes.delays.len()),
            post: filled(Place::Post, n as usize),
            running: Running::new(&rule.integrals, network.dt_ms),
            levels: rule.integrals.iter().map(|i| code(i.value)).collect(),
            growth: Growth::new(network, elements, rule, seed, range.clone(), &lanes)?,
            totals: vec![0.0; if rule.total.is_some() { n as usize } else { 0 }],
            leaving: Vec::new(),
            touched: vec![0; if touches { lanes.targets.len() } else { 0 }],
            due: vec![Vec::new(); (longest + 1).next_power_of_two()],
            back: vec![Vec::new(); (rule.dendritic as usize + 1).next_power_of_two()],
            lane_of: lanes.of_synapses(),
            lanes,
            into,
            incoming,
            synapse,
            pending: Vec::new(),
            late,
            key: StreamKey::new(seed, &network.graph[rule.projection].path, Purpose::Spike),
            frozen: false,
            touches: Touches::default(),
            scratch: Vec::new(),
            rule: rule.clone(),
        })
    }

    pub fn reads(&self) -> &[ExprId] {
        &self.rule.reads
    }

    pub fn synapses(&self) -> u64 {
        self.lanes.targets.len() as u64
    }

    /// Synapses touched since the last call.
    pub fn take_touches(&mut self) -> Touches {
        std::mem::take(&mut self.touches)
    }

    fn reach(&self) -> Reach<'_> {
        Reach { lanes: &self.lanes, lo: self.lo, n: self.n, slots: &self.slots, changes: self.growth.is_some() }
    }

    /// What is here at the end of `step` steps; nothing is brought up to date.
    pub fn save(&self, step: u64) -> Part {
        let held = Held {
            pre: self.pre.clone(),
            post: self.post.clone(),
            synapse: self.synapse.clone(),
            touched: self.touched.clone(),
            integrals: self.running.values(),
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
        let (due, back) = (self.due.len(), self.back.len());
        let lazy = self.rule.lazy && !self.drift.is_empty();
        let (found, edges) = own_edges(&state.edges, self.lo, self.n);
        if let Some(growth) = &self.growth {
            let Some(rewired) = growth.restored(&self.lanes, &edges) else { return Err(unfit("synapses")) };
            self.rewire(step, rewired);
        }
        let own = if self.growth.is_some() { &found } else { own };
        let held = Held::load(&self.reach(), (due, back), lazy, step, state, own)?;
        same(self.running.resume(step, &held.integrals), true, "integrals of a rule")?;
        Held {
            pre: self.pre,
            post: self.post,
            synapse: self.synapse,
            touched: self.touched,
            integrals: _,
            due: self.due,
            back: self.back,
            pending: self.pending,
            frozen: self.frozen,
        } = held;
        Ok(())
    }

    /// Lets weights stand still after `step` steps, or move again; traces run on.
    pub fn freeze(&mut self, step: u64, frozen: bool, reads: &mut Reads) {
        if self.frozen != frozen {
            // What has passed by now passed under the old state.
            self.touch_all(step, reads);
            self.frozen = frozen;
        }
    }

    fn touch_all(&mut self, step: u64, reads: &mut Reads) {
        for synapse in 0..self.lanes.targets.len() as u32 {
            self.touch(synapse, step, reads);
        }
        self.running.restart(step);
    }

    /// What integrals take from the step that begins; all synapses are brought up to date where they must not wait any longer.
    /// `None` where there is none.
    fn integrated(&mut self, step: u64, reads: &mut Reads) -> Option<Vec<f64>> {
        if self.running.is_empty() {
            return None;
        }
        let at = At { lane: 0, target: 0, synapse: 0, now: step, elapsed: 0.0, since: step, place: Place::Synapse };
        let mut scratch = std::mem::take(&mut self.scratch);
        let values: Vec<f64> = self.levels.iter().map(|code| self.evaluate(code, at, reads, &mut scratch)).collect();
        self.scratch = scratch;
        if self.running.ends(&values) {
            self.touch_all(step, reads);
            self.touches.in_steps += self.synapses();
        }
        Some(values)
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
    pub fn begin(&mut self, step: u64, reads: &mut Reads, arrivals: &mut Arrivals) -> u64 {
        let mut events = 0;
        let levels = self.integrated(step, reads);
        if self.late {
            // A spike that is sent on takes the dendritic delay from then, and one step of it is over.
            events += self
                .events(step, reads, &mut |target, delay, amount| arrivals(target, delay.saturating_sub(1), amount));
        }
        self.running.push(levels.as_deref());
        for (place, slot, element, value) in std::mem::take(&mut self.pending) {
            let list = if place == Place::Pre { &mut self.pre } else { &mut self.post };
            list[slot][element as usize] = value;
        }
        if !self.rule.lazy {
            for synapse in 0..self.lanes.targets.len() as u32 {
                self.catch_up(synapse, step, self.dt, step, reads);
            }
            if !self.drift.is_empty() {
                self.touches.in_steps += self.synapses();
            }
        }
        self.advance_traces(step, reads);
        if !self.late {
            events += self.events(step + 1, reads, arrivals);
        }
        events
    }

    /// Postsynaptic spikes, then presynaptic ones, that reach their synapses at the end of `now` steps.
    fn events(&mut self, now: u64, reads: &mut Reads, arrivals: &mut Arrivals) -> u64 {
        if self.rule.dendritic > 0 {
            let at = (now & (self.back.len() as u64 - 1)) as usize;
            let mut targets = std::mem::take(&mut self.back[at]);
            self.at_targets(Event::Post, now, &targets, reads);
            targets.clear();
            self.back[at] = targets;
        }
        let at = (now & (self.due.len() as u64 - 1)) as usize;
        let mut lanes = std::mem::take(&mut self.due[at]);
        lanes.sort_unstable();
        let mut events = 0;
        for lane in &lanes {
            events += self.arrive(*lane, now, reads, arrivals);
        }
        lanes.clear();
        self.due[at] = lanes;
        events
    }

    /// Phase 6: postsynaptic spikes of the step, then arrivals at receptors, then what happens periodically. Targets count in the
    /// range; a target with several arrivals stands there as often.
    pub fn end(&mut self, step: u64, fired: &[u32], receptors: &[(u32, Vec<u32>)], reads: &mut Reads) {
        let now = step + 1;
        if self.rule.dendritic == 0 {
            self.at_targets(Event::Post, now, fired, reads);
        } else {
            let at = (now + u64::from(self.rule.dendritic)) & (self.back.len() as u64 - 1);
            self.back[at as usize].extend_from_slice(fired);
        }
        for (receptor, targets) in receptors {
            self.at_targets(Event::Receptor(*receptor), now, targets, reads);
        }
        for h in 0..self.handlers.len() {
            // The same for all targets: any one tells. Without one there is no synapse either.
            if let Event::Named(flag, _) = self.handlers[h].event
                && self.n > 0
                && reads(flag as usize, 0) != 0.0
            {
                self.everywhere(h, now, reads);
            }
        }
        self.add_up_leaving(now, reads);
        for h in 0..self.handlers.len() {
            if let Event::Every(period) = self.handlers[h].event
                && now.is_multiple_of(period)
            {
                self.add_up(now, reads);
                self.everywhere(h, now, reads);
                self.come_and_go(h, now);
            }
        }
    }

    /// A handler for all synapses, and for the traces of both sides.
    fn everywhere(&mut self, h: usize, now: u64, reads: &mut Reads) {
        for synapse in 0..self.lanes.targets.len() as u32 {
            self.touch(synapse, now, reads);
            self.write(h, synapse, now, reads);
        }
        self.touches.at_events += self.synapses();
        for lane in 0..self.lanes.delays.len() as u32 {
            self.write_traces(
                h,
                At { lane, target: 0, synapse: 0, now, elapsed: 0.0, since: now, place: Place::Pre },
                reads,
            );
        }
        for target in 0..self.n {
            self.write_traces(
                h,
                At { lane: 0, target, synapse: 0, now, elapsed: 0.0, since: now, place: Place::Post },
                reads,
            );
        }
    }

    /// The sums of the weights that leave each neuron, where a handler of this moment may read them.
    fn add_up_leaving(&mut self, now: u64, reads: &mut Reads) {
        let every = |h: &Compiled| matches!(h.event, Event::Every(period) if now.is_multiple_of(period));
        if self.rule.total_out.is_none() || !self.handlers.iter().any(every) {
            return;
        }
        self.touch_all(now, reads);
        let sums = self.lanes.outgoing(self.n, &|k| self.synapse[0][k]);
        self.leaving = self.lanes.leaving(&[&sums]);
    }

    /// The sum of the weights onto each target, in order of their lanes.
    fn add_up(&mut self, now: u64, reads: &mut Reads) {
        if self.totals.is_empty() {
            return;
        }
        self.touch_all(now, reads);
        for (target, total) in self.totals.iter_mut().enumerate() {
            let own = &self.incoming[self.into[target] as usize..self.into[target + 1] as usize];
            *total = own.iter().fold(0.0, |sum, k| sum + self.synapse[0][*k as usize]);
        }
    }

    /// Carries out what a handler said of synapses that go.
    fn come_and_go(&mut self, h: usize, now: u64) {
        let (Some(growth), Some(flag)) = (&self.growth, self.rule.remove) else { return };
        if self.frozen || !self.handlers[h].synapse.iter().any(|(k, _)| *k == flag) {
            return;
        }
        let flags = &self.synapse[self.slots[flag as usize].1];
        if let Some(rewired) = growth.rewired(&self.lanes, &|k| flags[k as usize] != 0.0, now) {
            self.rewire(now, rewired);
        }
    }

    /// Takes over other synapses; new ones begin at the end of `now` steps.
    fn rewire(&mut self, now: u64, rewired: Rewired) {
        let Rewired { lanes, from } = rewired;
        let first = |v: usize, initial| self.held(if v == 0 { self.rule.regrow.unwrap_or(initial) } else { initial });
        let initial: Vec<f64> = (0..).zip(&self.rule.variables).map(|(k, v)| first(k, v.initial)).collect();
        for (k, (place, slot)) in self.slots.iter().enumerate() {
            if *place == Place::Synapse {
                let old = std::mem::take(&mut self.synapse[*slot]);
                self.synapse[*slot] = from.iter().map(|f| f.map_or(initial[k], |f| old[f as usize])).collect();
            }
        }
        if self.rule.lazy && !self.drift.is_empty() {
            self.touched = from.iter().map(|f| f.map_or(now, |f| self.touched[f as usize])).collect();
        }
        self.lanes = lanes;
        self.lane_of = self.lanes.of_synapses();
        (self.into, self.incoming) = self.lanes.by_target(self.n);
    }

    /// Takes over these synapses, (presynaptic cell, target in the population) in that order. Gives whether they can be.
    pub fn set_edges(&mut self, step: u64, edges: &[(u32, u32)]) -> bool {
        let Some(growth) = &self.growth else { return false };
        let (_, own) = own_edges(edges, self.lo, self.n);
        let Some(rewired) = growth.restored(&self.lanes, &own) else { return false };
        self.rewire(step, rewired);
        true
    }

    /// (presynaptic cell, target in the population), where they come and go.
    pub fn edges(&self) -> Option<Vec<(u32, u32)>> {
        self.growth.as_ref().map(|_| self.lanes.edges(self.lo))
    }

    /// Receptors whose arrivals are events of this rule.
    pub fn receptors(&self) -> Vec<u32> {
        let of = |h: &Compiled| if let Event::Receptor(r) = h.event { Some(r) } else { None };
        self.handlers.iter().filter_map(of).collect()
    }

    /// Weights up to date at the end of `step` steps: (presynaptic neuron, target in the population, weight), in order of both.
    pub fn weights(&mut self, step: u64, reads: &mut Reads) -> Vec<(u32, u32, f64)> {
        self.touch_all(step, reads);
        let one =
            |(pre, k): (u32, u32)| (pre, self.lo + self.lanes.targets.get(k as usize), self.synapse[0][k as usize]);
        self.lanes.ordered().map(one).collect()
    }

    /// Writes weights in the order that [`Plastic::weights`] gives.
    pub fn set_weights(&mut self, step: u64, values: &[f64], reads: &mut Reads) {
        self.touch_all(step, reads);
        for ((_, k), v) in self.lanes.ordered().zip(values) {
            self.synapse[0][k as usize] = self.held(*v);
        }
    }

    /// Traces and synaptic states as at the start, spikes on their way dropped; weights stay.
    pub fn clear(&mut self, step: u64, reads: &mut Reads) {
        self.touch_all(step, reads);
        for (k, v) in self.rule.variables.iter().enumerate().skip(1) {
            let (place, slot) = self.slots[k];
            let initial = if place == Place::Synapse { self.held(v.initial) } else { v.initial };
            let list = match place {
                Place::Pre => &mut self.pre,
                Place::Post => &mut self.post,
                Place::Synapse => &mut self.synapse,
            };
            list[slot].fill(initial);
        }
        self.due.iter_mut().chain(&mut self.back).for_each(Vec::clear);
        self.pending.clear();
    }

    fn arrive(&mut self, lane: u32, now: u64, reads: &mut Reads, arrivals: &mut Arrivals) -> u64 {
        let row = self.lanes.starts[lane as usize]..self.lanes.starts[lane as usize + 1];
        let events = u64::from(row.end - row.start);
        let found = (0..self.handlers.len()).find(|h| self.handlers[*h].event == Event::Pre);
        let Some(h) = found else { return events };
        self.touches.at_events += events;
        for synapse in row {
            self.touch(synapse, now, reads);
            let target = self.lanes.targets.get(synapse as usize);
            let at = At { lane, target, synapse, now, elapsed: 0.0, since: now, place: Place::Synapse };
            let handler = &self.handlers[h];
            let amount = match if self.frozen { &handler.still } else { &handler.deliver } {
                Some(code) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let v = self.evaluate(code, at, reads, &mut scratch);
                    self.scratch = scratch;
                    v
                }
                None => 0.0,
            };
            self.write(h, synapse, now, reads);
            arrivals(target, self.rule.dendritic, amount);
        }
        self.write_traces(
            h,
            At { lane, target: 0, synapse: 0, now, elapsed: 0.0, since: now, place: Place::Pre },
            reads,
        );
        events
    }

    fn at_targets(&mut self, event: Event, now: u64, targets: &[u32], reads: &mut Reads) {
        let found = (0..self.handlers.len()).find(|h| self.handlers[*h].event == event);
        let Some(h) = found else { return };
        let changes = !self.handlers[h].synapse.is_empty();
        for target in targets {
            if changes {
                for k in self.into[*target as usize]..self.into[*target as usize + 1] {
                    let synapse = self.incoming[k as usize];
                    self.touches.at_events += 1;
                    self.touch(synapse, now, reads);
                    self.write(h, synapse, now, reads);
                }
            }
            self.write_traces(
                h,
                At { lane: 0, target: *target, synapse: 0, now, elapsed: 0.0, since: now, place: Place::Post },
                reads,
            );
        }
    }

    /// The assignments of a handler to one synapse, all at once.
    fn write(&mut self, h: usize, synapse: u32, now: u64, reads: &mut Reads) {
        let (lane, target) = (self.lane_of[synapse as usize], self.lanes.targets.get(synapse as usize));
        let at = At { lane, target, synapse, now, elapsed: 0.0, since: now, place: Place::Synapse };
        let mut scratch = std::mem::take(&mut self.scratch);
        let values: Vec<(u32, f64)> = self.handlers[h]
            .synapse
            .iter()
            .map(|(k, code)| (*k, self.evaluate(code, at, reads, &mut scratch)))
            .collect();
        self.scratch = scratch;
        self.store(synapse, &values);
    }

    fn store(&mut self, synapse: u32, values: &[(u32, f64)]) {
        for (k, v) in values {
            if *k == 0 && self.frozen {
                continue;
            }
            let (_, slot) = self.slots[*k as usize];
            self.synapse[slot][synapse as usize] = self.held(*v);
        }
    }

    /// A variable of a synapse as it is held.
    fn held(&self, v: f64) -> f64 {
        if self.rule.single { f64::from(v as f32) } else { v }
    }

    /// What a handler does to the traces of one neuron; takes effect with the next step.
    fn write_traces(&mut self, h: usize, at: At, reads: &mut Reads) {
        let place = at.place;
        let mut scratch = std::mem::take(&mut self.scratch);
        let element = if place == Place::Pre { at.lane } else { at.target };
        let mut written = Vec::new();
        for (k, code) in &self.handlers[h].traces {
            let (of, slot) = self.slots[*k as usize];
            if of == place {
                written.push((place, slot, element, self.evaluate(code, at, reads, &mut scratch)));
            }
        }
        self.scratch = scratch;
        self.pending.extend(written);
    }

    /// Brings a synapse up to date at the end of `step` steps.
    fn touch(&mut self, synapse: u32, step: u64, reads: &mut Reads) {
        let Some(last) = self.touched.get_mut(synapse as usize) else { return };
        let since = std::mem::replace(last, step);
        let steps = step.saturating_sub(since);
        if steps > 0 {
            self.running.prepare();
            self.catch_up(synapse, step, steps as f64 * self.dt, since, reads);
        }
    }

    fn catch_up(&mut self, synapse: u32, now: u64, elapsed: f64, since: u64, reads: &mut Reads) {
        if self.drift.is_empty() {
            return;
        }
        let (lane, target) = (self.lane_of[synapse as usize], self.lanes.targets.get(synapse as usize));
        let at = At { lane, target, synapse, now, elapsed, since, place: Place::Synapse };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut moved = |k: u32, code: &Code| self.rule.settled(k, self.evaluate(code, at, reads, &mut scratch));
        let values: Vec<(u32, f64)> = self.drift.iter().map(|(k, code)| (*k, moved(*k, code))).collect();
        self.scratch = scratch;
        self.store(synapse, &values);
    }

    fn advance_traces(&mut self, now: u64, reads: &mut Reads) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for place in [Place::Pre, Place::Post] {
            let count = if place == Place::Pre { self.lanes.delays.len() as u32 } else { self.n };
            for element in 0..count {
                let at = At { lane: element, target: element, synapse: 0, now, elapsed: self.dt, since: now, place };
                let values: Vec<(usize, f64)> = self
                    .advance
                    .iter()
                    .filter(|(k, _)| self.slots[*k as usize].0 == place)
                    .map(|(k, code)| (self.slots[*k as usize].1, self.evaluate(code, at, reads, &mut scratch)))
                    .collect();
                let list = if place == Place::Pre { &mut self.pre } else { &mut self.post };
                values.into_iter().for_each(|(slot, v)| list[slot][element as usize] = v);
            }
        }
        self.scratch = scratch;
        if looks(now) {
            self.pre.iter_mut().chain(&mut self.post).flatten().for_each(|x| *x = rested(*x));
        }
    }

    fn evaluate(&self, code: &Code, at: At, reads: &mut Reads, scratch: &mut Vec<f64>) -> f64 {
        eval::evaluate(&self.rule.exprs, &code.order, scratch, &mut |e, _| match e {
            Expr::State(k) => match self.slots[*k as usize] {
                (Place::Pre, slot) => self.pre[slot][at.lane as usize],
                (Place::Post, slot) => self.post[slot][at.target as usize],
                (Place::Synapse, slot) => self.synapse[slot][at.synapse as usize],
            },
            Expr::Read(k) if self.rule.total == Some(*k) => self.totals[at.target as usize],
            Expr::Read(k) if self.rule.total_out == Some(*k) => self.leaving[at.lane as usize],
            // Of what is the same for all targets the first one tells.
            Expr::Read(k) => reads(*k as usize, if self.rule.levels.contains(k) { 0 } else { at.target }),
            Expr::Time => at.now as f64 * self.dt,
            Expr::Uniform => self.draw(at),
            Expr::Elapsed => at.elapsed,
            Expr::Integral(k) => self.running.since(*k as usize, at.since),
            // `valid` refuses other leaves in a rule.
            _ => f64::NAN,
        });
        scratch[code.root.0 as usize]
    }

    fn draw(&self, at: At) -> f64 {
        let source = || self.lanes.sources.partition_point(|first| *first <= at.lane) as u64 - 1;
        match at.place {
            Place::Synapse => random::uniform(self.key.derive(source()), at.now, self.lo + at.target, 0),
            // A trace's draw must not depend on whose synapses lie in the range.
            Place::Pre => random::uniform(self.key.derive(source()), at.now, self.lanes.delays[at.lane as usize], 1),
            Place::Post => random::uniform(self.key, at.now, self.lo + at.target, 1),
        }
    }
}
