//! Synapses that change: one projection's rows over a range of targets, its traces, and what events do to them, in the order that
//! `ir::plasticity` states.
//!
//! A presynaptic neuron whose synapses have several delays stands here once for each of them, as a *lane*: a spike reaches all
//! synapses of a lane at one moment, so a lane has one set of presynaptic traces.

mod state;

pub use state::{Part, merge};

use super::build::{Elements, SynapsePlan};
use super::engine::RunError;
use super::eval;
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{Assign, Delay, Expr, ExprId, Network, Subset, Weight};
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
    /// Lanes of presynaptic neuron i are `sources[i] .. sources[i + 1]`.
    sources: Vec<u32>,
    /// Axonal delay of each lane, steps.
    delays: Vec<u32>,
    /// Synapses of lane v are `starts[v] .. starts[v + 1]`, ascending in the target.
    starts: Vec<u32>,
    /// Target of each synapse, counted in the range; its lane.
    targets: Vec<u32>,
    lanes: Vec<u32>,
    /// Synapses of target j, in order of lanes: `incoming[into[j] .. into[j + 1]]`.
    into: Vec<u32>,
    incoming: Vec<u32>,
    /// `[variable of the place][element]`
    pre: Vec<Vec<f64>>,
    post: Vec<Vec<f64>>,
    synapse: Vec<Vec<f64>>,
    /// Step at whose end each synapse was brought up to date; empty unless the rule is lazy.
    touched: Vec<u64>,
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
        let n = range.end - range.start;
        let mut sources = Vec::with_capacity(source.size as usize + 1);
        let (mut delays, mut starts) = (Vec::new(), Vec::new());
        let mut lanes = Vec::with_capacity(all.len());
        let mut at = 0;
        for pre in 0..source.size {
            sources.push(delays.len() as u32);
            while at < all.len() && all[at].0 == pre {
                let delay = all[at].1;
                delays.push(delay);
                starts.push(at as u32);
                while at < all.len() && all[at].0 == pre && all[at].1 == delay {
                    lanes.push(delays.len() as u32 - 1);
                    at += 1;
                }
            }
        }
        sources.push(delays.len() as u32);
        starts.push(all.len() as u32);
        let targets: Vec<u32> = all.iter().map(|s| s.2).collect();
        let mut into = vec![0_u32; n as usize + 1];
        targets.iter().for_each(|t| into[*t as usize + 1] += 1);
        for k in 0..n as usize {
            into[k + 1] += into[k];
        }
        let mut next = into.clone();
        let mut incoming = vec![0_u32; targets.len()];
        for (synapse, t) in targets.iter().enumerate() {
            incoming[next[*t as usize] as usize] = synapse as u32;
            next[*t as usize] += 1;
        }
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
        let mut synapse = filled(Place::Synapse, all.len());
        if let Some(weights) = synapse.first_mut() {
            weights.iter_mut().zip(&all).for_each(|(w, s)| *w = s.3);
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
            })
            .collect();
        let longest = delays.iter().copied().max().unwrap_or(0) as usize;
        let touches = rule.lazy && !rule.drift.is_empty();
        let late = delays.contains(&0);
        Ok(Plastic {
            dt: network.dt_ms,
            advance: assigns(&rule.advance, &|_| true),
            drift: assigns(&rule.drift, &|_| true),
            handlers,
            slots,
            lo: range.start,
            n,
            pre: filled(Place::Pre, delays.len()),
            post: filled(Place::Post, n as usize),
            touched: vec![0; if touches { all.len() } else { 0 }],
            due: vec![Vec::new(); (longest + 1).next_power_of_two()],
            back: vec![Vec::new(); (rule.dendritic as usize + 1).next_power_of_two()],
            sources,
            delays,
            starts,
            targets,
            lanes,
            into,
            incoming,
            synapse,
            pending: Vec::new(),
            late,
            key: StreamKey::new(seed, &projection.path, Purpose::Spike),
            frozen: false,
            scratch: Vec::new(),
            rule: rule.clone(),
        })
    }

    /// First target of the range and their number.
    pub fn range(&self) -> (u32, u32) {
        (self.lo, self.n)
    }

    /// Shortest axonal delay, steps; `None` without synapses.
    pub fn shortest(&self) -> Option<u32> {
        self.delays.iter().copied().min()
    }

    pub fn reads(&self) -> &[ExprId] {
        &self.rule.reads
    }

    pub fn synapses(&self) -> u64 {
        self.targets.len() as u64
    }

    /// Bytes of synapses: targets, lanes, their order by target, and their variables.
    pub fn bytes(&self) -> u64 {
        let each = 12 + 8 * self.synapse.len() + if self.touched.is_empty() { 0 } else { 8 };
        self.synapses() * each as u64
    }

    pub fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Takes note of presynaptic spikes stamped `stamp`.
    pub fn sent(&mut self, stamp: u64, senders: &[u32]) {
        let mask = self.due.len() as u64 - 1;
        for s in senders {
            for lane in self.sources[*s as usize]..self.sources[*s as usize + 1] {
                let at = (stamp + u64::from(self.delays[lane as usize])) & mask;
                self.due[at as usize].push(lane);
            }
        }
    }

    /// Phases 1 to 4 of the step from `step` dt to `(step + 1)` dt. Gives the number of spikes that reached a synapse.
    pub fn begin(&mut self, step: u64, reads: &mut Reads, arrivals: &mut Arrivals) -> u64 {
        let mut events = 0;
        if self.late {
            // A spike that is sent on takes the dendritic delay from then, and one step of it is over.
            events += self
                .events(step, reads, &mut |target, delay, amount| arrivals(target, delay.saturating_sub(1), amount));
        }
        for (place, slot, element, value) in std::mem::take(&mut self.pending) {
            let list = if place == Place::Pre { &mut self.pre } else { &mut self.post };
            list[slot][element as usize] = value;
        }
        if !self.rule.lazy {
            for synapse in 0..self.targets.len() as u32 {
                self.catch_up(synapse, step, self.dt, reads);
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
        for h in 0..self.handlers.len() {
            if let Event::Every(period) = self.handlers[h].event
                && now.is_multiple_of(period)
            {
                self.everywhere(h, now, reads);
            }
        }
    }

    /// A handler for all synapses, and for the traces of both sides.
    fn everywhere(&mut self, h: usize, now: u64, reads: &mut Reads) {
        for synapse in 0..self.targets.len() as u32 {
            self.touch(synapse, now, reads);
            self.write(h, synapse, now, reads);
        }
        for lane in 0..self.delays.len() as u32 {
            self.write_traces(h, At { lane, target: 0, synapse: 0, now, elapsed: 0.0 }, Place::Pre, reads);
        }
        for target in 0..self.n {
            self.write_traces(h, At { lane: 0, target, synapse: 0, now, elapsed: 0.0 }, Place::Post, reads);
        }
    }

    /// Receptors whose arrivals are events of this rule.
    pub fn receptors(&self) -> Vec<u32> {
        let of = |h: &Compiled| if let Event::Receptor(r) = h.event { Some(r) } else { None };
        self.handlers.iter().filter_map(of).collect()
    }

    /// Weights up to date at the end of `step` steps: (presynaptic neuron, target in the population, weight), in order of both.
    pub fn weights(&mut self, step: u64, reads: &mut Reads) -> Vec<(u32, u32, f64)> {
        for synapse in 0..self.targets.len() as u32 {
            self.touch(synapse, step, reads);
        }
        let mut out = Vec::with_capacity(self.targets.len());
        for pre in 0..self.sources.len() as u32 - 1 {
            let (a, b) = (self.sources[pre as usize], self.sources[pre as usize + 1]);
            let row = self.starts[a as usize]..self.starts[b as usize];
            let from = out.len();
            out.extend(row.map(|k| (pre, self.lo + self.targets[k as usize], self.synapse[0][k as usize])));
            out[from..].sort_by_key(|(_, post, _)| *post);
        }
        out
    }

    /// Writes weights in the order that [`Plastic::weights`] gives.
    pub fn set_weights(&mut self, step: u64, values: &[f64], reads: &mut Reads) {
        for synapse in 0..self.targets.len() as u32 {
            self.touch(synapse, step, reads);
        }
        let mut values = values.iter();
        for pre in 0..self.sources.len() - 1 {
            let row = self.starts[self.sources[pre] as usize]..self.starts[self.sources[pre + 1] as usize];
            let mut order: Vec<u32> = row.collect();
            order.sort_by_key(|k| self.targets[*k as usize]);
            for k in order {
                if let Some(v) = values.next() {
                    self.synapse[0][k as usize] = *v;
                }
            }
        }
    }

    /// Traces and synaptic states as at the start, spikes on their way dropped; weights stay.
    pub fn clear(&mut self, step: u64, reads: &mut Reads) {
        for synapse in 0..self.targets.len() as u32 {
            self.touch(synapse, step, reads);
        }
        for (k, v) in self.rule.variables.iter().enumerate().skip(1) {
            let (place, slot) = self.slots[k];
            let list = match place {
                Place::Pre => &mut self.pre,
                Place::Post => &mut self.post,
                Place::Synapse => &mut self.synapse,
            };
            list[slot].fill(v.initial);
        }
        self.due.iter_mut().chain(&mut self.back).for_each(Vec::clear);
        self.pending.clear();
    }

    fn arrive(&mut self, lane: u32, now: u64, reads: &mut Reads, arrivals: &mut Arrivals) -> u64 {
        let row = self.starts[lane as usize]..self.starts[lane as usize + 1];
        let events = u64::from(row.end - row.start);
        let found = (0..self.handlers.len()).find(|h| self.handlers[*h].event == Event::Pre);
        let Some(h) = found else { return events };
        for synapse in row {
            self.touch(synapse, now, reads);
            let target = self.targets[synapse as usize];
            let at = At { lane, target, synapse, now, elapsed: 0.0 };
            let amount = match &self.handlers[h].deliver {
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
        self.write_traces(h, At { lane, target: 0, synapse: 0, now, elapsed: 0.0 }, Place::Pre, reads);
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
                    self.touch(synapse, now, reads);
                    self.write(h, synapse, now, reads);
                }
            }
            self.write_traces(h, At { lane: 0, target: *target, synapse: 0, now, elapsed: 0.0 }, Place::Post, reads);
        }
    }

    /// The assignments of a handler to one synapse, all at once.
    fn write(&mut self, h: usize, synapse: u32, now: u64, reads: &mut Reads) {
        let (lane, target) = (self.lanes[synapse as usize], self.targets[synapse as usize]);
        let at = At { lane, target, synapse, now, elapsed: 0.0 };
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
            self.synapse[slot][synapse as usize] = *v;
        }
    }

    /// What a handler does to the traces of one neuron; takes effect with the next step.
    fn write_traces(&mut self, h: usize, at: At, place: Place, reads: &mut Reads) {
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
        let steps = step.saturating_sub(*last);
        if steps > 0 {
            *last = step;
            self.catch_up(synapse, step, steps as f64 * self.dt, reads);
        }
    }

    fn catch_up(&mut self, synapse: u32, now: u64, elapsed: f64, reads: &mut Reads) {
        if self.drift.is_empty() {
            return;
        }
        let (lane, target) = (self.lanes[synapse as usize], self.targets[synapse as usize]);
        let at = At { lane, target, synapse, now, elapsed };
        let mut scratch = std::mem::take(&mut self.scratch);
        let values: Vec<(u32, f64)> =
            self.drift.iter().map(|(k, code)| (*k, self.evaluate(code, at, reads, &mut scratch))).collect();
        self.scratch = scratch;
        self.store(synapse, &values);
    }

    fn advance_traces(&mut self, now: u64, reads: &mut Reads) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for place in [Place::Pre, Place::Post] {
            let count = if place == Place::Pre { self.delays.len() as u32 } else { self.n };
            for element in 0..count {
                let at = At { lane: element, target: element, synapse: 0, now, elapsed: self.dt };
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
    }

    fn evaluate(&self, code: &Code, at: At, reads: &mut Reads, scratch: &mut Vec<f64>) -> f64 {
        eval::evaluate(&self.rule.exprs, &code.order, scratch, &mut |e, _| match e {
            Expr::State(k) => match self.slots[*k as usize] {
                (Place::Pre, slot) => self.pre[slot][at.lane as usize],
                (Place::Post, slot) => self.post[slot][at.target as usize],
                (Place::Synapse, slot) => self.synapse[slot][at.synapse as usize],
            },
            Expr::Read(k) => reads(*k as usize, at.target),
            Expr::Time => at.now as f64 * self.dt,
            Expr::Uniform => {
                let source = self.sources.partition_point(|first| *first <= at.lane) as u64 - 1;
                random::uniform(self.key.derive(source), at.now, self.lo + at.target, 0)
            }
            Expr::Elapsed => at.elapsed,
            // `valid` refuses other leaves in a rule.
            _ => f64::NAN,
        });
        scratch[code.root.0 as usize]
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
