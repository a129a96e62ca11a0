//! The neurons of one population and what is on its way to them.

mod state;

use super::rows::Rows;
use crate::backend::build::{self, ParamValues, PopulationElements};
use crate::backend::engine::{RunError, Setting};
use crate::backend::eval;
use crate::ir::rest::rested;
use crate::ir::single;
use crate::ir::{Arrival, Assign, BinaryOp, Dynamics, Expr, ExprId, Exprs, Network, Population, PopulationId, Spike};
use crate::random::{self, Purpose, StreamKey};
use std::collections::VecDeque;

/// One population while it runs.
pub struct Cells {
    population: Population,
    dt_ms: f64,
    params: Vec<ParamValues>,
    /// What continuous projections bring in this step: `[leaf][neuron]`.
    coupled: Vec<Vec<f64>>,
    /// `[neuron][state]`
    states: Vec<Vec<f64>>,
    /// Steps for which a neuron is refractory still.
    refractory: Vec<u64>,
    /// What arrives in the steps to come; the first is the next one.
    inboxes: VecDeque<Inbox>,
    code: Code,
    /// Expressions of single precision, and params that have a value for each neuron.
    singles: Vec<bool>,
    narrow: Vec<bool>,
    noise: StreamKey,
    spike: StreamKey,
    inputs: Vec<StreamKey>,
    /// Margins of those that fired in the last step.
    margins: Vec<f64>,
    /// A neuron whose adaptive steps did not reach the end of the step.
    stuck: Option<u32>,
    /// Room for the values of expressions, kept to save its allocation.
    scratch: Vec<f64>,
}

/// What arrives in one step: `[receptor][term]`.
type Inbox = Vec<Vec<Pending>>;

/// One arrival term, by neuron.
#[derive(Clone)]
enum Pending {
    Counts(Vec<u64>),
    Sums(Vec<f64>),
    /// Drawn in the step of arrival.
    Poisson,
}

/// An expression with the order that computes it.
pub struct Value {
    root: ExprId,
    order: Vec<ExprId>,
}

/// All statements, prepared.
struct Code {
    /// What `Before` asks for anywhere.
    before: Vec<Value>,
    /// `before` and `trial` of adaptive steps.
    adaptive: Option<[Vec<(u32, Value)>; 2]>,
    stages: Vec<Vec<(u32, Value)>>,
    /// Rate and weight of each Poisson input.
    inputs: Vec<(Value, Value)>,
    receptors: Vec<ReceptorCode>,
    condition: Option<Value>,
    /// How far a cell is above its threshold, where that decides who sends a spike.
    margin: Option<Value>,
    reset: Vec<(u32, Value)>,
    refractory: Option<Value>,
    /// Steps from one time to the next, and what is assigned then.
    every: Vec<(u64, Vec<(u32, Value)>)>,
    observables: Vec<Value>,
}

struct ReceptorCode {
    /// Weight (of a count) and gain of each term.
    terms: Vec<(Option<Value>, Option<Value>)>,
    body: Vec<(u32, Value)>,
}

impl Code {
    fn new(population: &Population, margin: Option<ExprId>) -> Code {
        let dynamics = &population.dynamics;
        let exprs = &dynamics.exprs;
        let value = |root: ExprId| Value { root, order: eval::order(exprs, &[root]) };
        let assigns = |list: &[Assign]| list.iter().map(|a| (a.state, value(a.value))).collect::<Vec<_>>();
        let term = |arrival: &Arrival| match arrival {
            Arrival::Count { weight, gain, .. } => (Some(value(*weight)), gain.map(value)),
            Arrival::Sum { gain, .. } => (None, gain.map(value)),
            Arrival::Poisson(_) => (None, None),
        };
        let before = exprs.iter().filter_map(|(_, e)| match e {
            Expr::Before(inner) => Some(value(*inner)),
            _ => None,
        });
        Code {
            before: before.collect(),
            adaptive: dynamics.adaptive.as_ref().map(|a| [&a.before, &a.trial].map(|s| assigns(&s.assigns))),
            stages: dynamics.integrate.iter().map(|stage| assigns(&stage.assigns)).collect(),
            inputs: dynamics.poisson.iter().map(|p| (value(p.rate), value(p.weight))).collect(),
            receptors: dynamics
                .receptors
                .iter()
                .map(|r| ReceptorCode { terms: r.arrivals.iter().map(term).collect(), body: assigns(&r.body) })
                .collect(),
            condition: match &dynamics.spike {
                Spike::When(condition) => Some(value(*condition)),
                Spike::Never | Spike::Schedule(_) => None,
            },
            margin: margin.map(value),
            reset: assigns(&dynamics.reset),
            refractory: dynamics.refractory.as_ref().map(|r| value(r.steps)),
            every: dynamics.every.iter().map(|e| (e.steps, assigns(&e.stage.assigns))).collect(),
            observables: dynamics.observables.iter().map(|o| value(o.value)).collect(),
        }
    }
}

/// What states are from one step to the next.
fn settle(dynamics: &Dynamics, states: &mut [f64]) {
    states.iter_mut().for_each(|s| *s = dynamics.settled(*s));
}

/// The end of `step` steps.
fn finish(dynamics: &Dynamics, step: u64, states: &mut [f64]) {
    settle(dynamics, states);
    if dynamics.looks(step) {
        states.iter_mut().for_each(|s| *s = rested(*s));
    }
}

/// What the leaves of one neuron's expressions are at one moment of a step.
struct Moment<'m> {
    exprs: &'m Exprs,
    /// Empty where all is computed in double precision.
    singles: &'m [bool],
    /// Params that are held in single precision.
    narrow: &'m [bool],
    params: &'m [ParamValues],
    coupled: &'m [Vec<f64>],
    neuron: u32,
    step: u64,
    time: f64,
    arrival: f64,
    /// Whether the refractory counter was positive at the start of the step.
    refractory: bool,
    /// Values at the start of the step, by the expression inside `Before`.
    before: &'m [(ExprId, f64)],
    noise: StreamKey,
    spike: StreamKey,
}

impl Moment<'_> {
    fn evaluate(&self, value: &Value, states: &[f64], scratch: &mut Vec<f64>) -> f64 {
        eval::evaluate_single(self.exprs, self.singles, &value.order, scratch, &mut |e, _| match e {
            Expr::State(s) => states[*s as usize],
            Expr::Param(j) => {
                let v = self.params[*j as usize].at(self.neuron);
                if self.narrow[*j as usize] { single::round(v) } else { v }
            }
            Expr::Coupled(k) => self.coupled[*k as usize][self.neuron as usize],
            Expr::Arrival => self.arrival,
            Expr::Time => self.time,
            Expr::Noise(k) => random::normal(self.noise, self.step, self.neuron, *k),
            Expr::Uniform => {
                let u = random::uniform(self.spike, self.step, self.neuron, 0);
                if self.singles.is_empty() { u } else { single::uniform(u) }
            }
            Expr::Held => f64::from(u8::from(self.refractory)),
            Expr::Before(inner) => self.before.iter().find(|(e, _)| e == inner).map_or(f64::NAN, |(_, v)| *v),
            // Leaves of the build have no place in dynamics; `valid` refuses them.
            _ => f64::NAN,
        });
        scratch[value.root.0 as usize]
    }
}

impl Cells {
    pub fn new(
        network: &Network,
        id: PopulationId,
        population: &Population,
        elements: PopulationElements,
        seed: u64,
    ) -> Cells {
        let (size, dynamics) = (population.size as usize, &population.dynamics);
        let empty: Inbox = dynamics
            .receptors
            .iter()
            .map(|receptor| {
                let pending = |arrival: &Arrival| match arrival {
                    Arrival::Count { .. } => Pending::Counts(vec![0; size]),
                    Arrival::Sum { .. } => Pending::Sums(vec![0.0; size]),
                    Arrival::Poisson(_) => Pending::Poisson,
                };
                receptor.arrivals.iter().map(pending).collect()
            })
            .collect();
        let longest = network.incoming(id).map(|(_, p)| p.delay.max()).max();
        let key = |path: &str, purpose| StreamKey::new(seed, path, purpose);
        Cells {
            dt_ms: network.dt_ms,
            states: (0..size)
                .map(|n| elements.initial.iter().map(|state| dynamics.settled(state[n])).collect())
                .collect(),
            singles: if dynamics.single { dynamics.singles() } else { vec![] },
            narrow: dynamics.narrow_params(),
            params: elements.params,
            coupled: vec![vec![0.0; size]; dynamics.coupled.len()],
            refractory: vec![0; size],
            // A spike of step k over d steps is queued at the end of step k, when the first inbox is that of k + 1.
            inboxes: vec![empty; longest.unwrap_or(1).max(1) as usize].into(),
            code: Code::new(population, network.winners.iter().find(|w| w.population == id).map(|w| w.margin)),
            margins: vec![],
            noise: key(&population.path, Purpose::Noise),
            spike: key(&population.path, Purpose::Spike),
            inputs: dynamics.poisson.iter().map(|p| key(&p.path, Purpose::Input)).collect(),
            stuck: None,
            scratch: vec![],
            population: population.clone(),
        }
    }

    /// What a continuous projection brings to a neuron.
    pub fn couple(&mut self, leaf: usize, neuron: u32, sum: f64) {
        self.coupled[leaf][neuron as usize] = self.population.dynamics.narrowed(sum);
    }

    pub fn size(&self) -> u32 {
        self.population.size
    }

    /// One step of all neurons: from `k * dt` to `(k + 1) * dt`. Gives those that fired, ascending.
    pub fn advance(&mut self, k: u64) -> Vec<u32> {
        let inbox = self.inboxes.pop_front().unwrap_or_default();
        let mut fired = vec![];
        self.margins.clear();
        for neuron in 0..self.population.size {
            if self.advance_neuron(k, neuron, &inbox) {
                fired.push(neuron);
            }
        }
        // The slots are used in turn.
        let mut emptied = inbox;
        for pending in emptied.iter_mut().flatten() {
            match pending {
                Pending::Counts(counts) => counts.fill(0),
                Pending::Sums(sums) => sums.fill(0.0),
                Pending::Poisson => {}
            }
        }
        self.inboxes.push_back(emptied);
        fired
    }

    /// The order of one step for one neuron, as the head of `ir` states it. Gives whether it fired.
    fn advance_neuron(&mut self, k: u64, neuron: u32, inbox: &Inbox) -> bool {
        let Cells { population, dt_ms, params, code, scratch, stuck, singles, narrow: narrow_params, .. } = self;
        let dynamics = &population.dynamics;
        // What a step computes of cells, as their precision holds it.
        let narrow = |x: f64| dynamics.narrowed(x);
        let states = &mut self.states[neuron as usize];
        let counter = &mut self.refractory[neuron as usize];
        let refractory = *counter > 0;
        let held = |state: u32| refractory && dynamics.refractory.as_ref().is_some_and(|r| r.held.contains(&state));

        let (start, end) = (k as f64 * *dt_ms, (k + 1) as f64 * *dt_ms);
        let mut now = Moment {
            exprs: &dynamics.exprs,
            singles,
            narrow: narrow_params,
            params,
            coupled: &self.coupled,
            neuron,
            step: k,
            time: start,
            arrival: f64::NAN,
            refractory,
            before: &[],
            noise: self.noise,
            spike: self.spike,
        };

        // What belongs to the start of the step is read before anything changes.
        let before: Vec<(ExprId, f64)> =
            code.before.iter().map(|value| (value.root, now.evaluate(value, states, scratch))).collect();
        now.before = &before;
        let mut counts = Vec::with_capacity(code.inputs.len());
        for (i, (rate, _)) in code.inputs.iter().enumerate() {
            let mean = now.evaluate(rate, states, scratch);
            let mean = match singles.get(rate.root.0 as usize) {
                Some(true) => BinaryOp::Mul.compute_single(mean, *dt_ms),
                _ => mean * *dt_ms,
            };
            // Nothing was sent before the run began. A mean that is NaN or negative counts as none.
            let count = match k.checked_sub(u64::from(dynamics.poisson[i].delay)) {
                Some(sent) => random::poisson_each(self.inputs[i], sent, neuron, 0, mean),
                None => 0.0,
            };
            counts.push(narrow(count));
        }

        // 1. Integrate.
        let mut run = |stage: &[(u32, Value)], states: &mut [f64]| {
            let values: Vec<f64> = stage.iter().map(|(_, value)| now.evaluate(value, states, scratch)).collect();
            for ((state, _), value) in stage.iter().zip(values) {
                if !held(*state) {
                    states[*state as usize] = narrow(value);
                }
            }
        };
        if let (Some(a), Some([first, trial])) = (&dynamics.adaptive, &code.adaptive) {
            run(first, states);
            let mut trials = 0;
            while states[a.elapsed as usize] < *dt_ms {
                if trials == a.limit {
                    stuck.get_or_insert(neuron);
                    break;
                }
                run(trial, states);
                trials += 1;
            }
        }
        for stage in &code.stages {
            run(stage, states);
        }

        // 2. Arrive.
        for (r, receptor) in code.receptors.iter().enumerate() {
            let mut arrival: Option<f64> = None;
            for (term, (weight, gain)) in receptor.terms.iter().enumerate() {
                let mut value = match &inbox[r][term] {
                    Pending::Counts(counts) => narrow(counts[neuron as usize] as f64),
                    Pending::Sums(sums) => narrow(sums[neuron as usize]),
                    Pending::Poisson => 0.0,
                };
                if let Arrival::Poisson(i) = dynamics.receptors[r].arrivals[term] {
                    let i = i as usize;
                    value = narrow(counts[i] * narrow(now.evaluate(&code.inputs[i].1, states, scratch)));
                }
                if let Some(weight) = weight {
                    value = narrow(value * narrow(now.evaluate(weight, states, scratch)));
                }
                if let Some(gain) = gain {
                    value = narrow(value * narrow(now.evaluate(gain, states, scratch)));
                }
                arrival = Some(arrival.map_or(value, |sum| narrow(sum + value)));
            }
            now.arrival = arrival.unwrap_or(0.0);
            for (state, value) in &receptor.body {
                if !held(*state) {
                    states[*state as usize] = narrow(now.evaluate(value, states, scratch));
                }
            }
        }

        // 3. Spike.
        if refractory {
            *counter = if dynamics.single { narrow(*counter as f64 - 1.0) as u64 } else { *counter - 1 };
            finish(dynamics, k + 1, states);
            return false;
        }
        now.time = end;
        now.arrival = f64::NAN;
        let fires = match &dynamics.spike {
            Spike::Never => false,
            Spike::Schedule(trains) => trains.of(neuron as usize).binary_search(&(k + 1)).is_ok(),
            Spike::When(_) => code.condition.as_ref().is_some_and(|condition| {
                let value = now.evaluate(condition, states, scratch);
                value != 0.0 && !value.is_nan()
            }),
        };
        if fires {
            if let Some(margin) = &code.margin {
                self.margins.push(narrow(now.evaluate(margin, states, scratch)));
            }
            for (state, value) in &code.reset {
                states[*state as usize] = narrow(now.evaluate(value, states, scratch));
            }
            if let Some(steps) = &code.refractory {
                // The conversion takes what is negative or NaN for 0.
                *counter = narrow(now.evaluate(steps, states, scratch).floor()) as u64;
            }
        }
        finish(dynamics, k + 1, states);
        fires
    }

    /// 6. At intervals: what happens to all neurons at the end of `step` steps.
    pub fn between(&mut self, step: u64) {
        let Cells { population, dt_ms, params, code, scratch, singles, narrow, .. } = self;
        for (_, stage) in code.every.iter().filter(|(steps, _)| step.is_multiple_of(*steps)) {
            for neuron in 0..population.size {
                let now = Moment {
                    exprs: &population.dynamics.exprs,
                    singles,
                    narrow,
                    params,
                    coupled: &self.coupled,
                    neuron,
                    step,
                    time: step as f64 * *dt_ms,
                    arrival: f64::NAN,
                    refractory: self.refractory[neuron as usize] > 0,
                    before: &[],
                    noise: self.noise,
                    spike: self.spike,
                };
                let states = &mut self.states[neuron as usize];
                let values: Vec<f64> = stage.iter().map(|(_, value)| now.evaluate(value, states, scratch)).collect();
                for ((state, _), value) in stage.iter().zip(values) {
                    states[*state as usize] = population.dynamics.narrowed(value);
                }
                settle(&population.dynamics, states);
            }
        }
    }

    /// Phases 1 to 4 of a projection that learns, before step `k`: what reaches its synapses and what that sends on.
    pub fn learn(&mut self, k: u64, l: &mut super::Learning) -> u64 {
        let reads: Vec<ExprId> = l.plastic.reads().to_vec();
        let codes: Vec<Value> = reads.iter().map(|r| self.prepare(*r)).collect();
        let (receptor, term) = (l.receptor, l.term);
        let mut arrived: Vec<(u32, u32, f64)> = Vec::new();
        let events = l.plastic.begin(k, &mut |r, n| self.one(&codes[r], n, k), &mut |target, delay, amount| {
            arrived.push((target, delay, amount));
        });
        for (target, delay, amount) in arrived {
            if let Pending::Sums(sums) = &mut self.inboxes[delay as usize][receptor][term] {
                sums[target as usize] += amount;
            }
        }
        events
    }

    /// The last phase of a projection that learns, after step `k`.
    pub fn learned(&self, k: u64, l: &mut super::Learning, fired: &[u32], arrived: &[(u32, Vec<u32>)]) {
        let codes: Vec<Value> = l.plastic.reads().to_vec().iter().map(|r| self.prepare(*r)).collect();
        l.plastic.end(k, fired, arrived, &mut |r, n| self.one(&codes[r], n, k + 1));
    }

    pub fn weights(&self, step: u64, l: &mut super::Learning) -> Vec<(u32, u32, f64)> {
        let codes: Vec<Value> = l.plastic.reads().to_vec().iter().map(|r| self.prepare(*r)).collect();
        l.plastic.weights(step, &mut |r, n| self.one(&codes[r], n, step))
    }

    pub fn set_weights(&self, step: u64, l: &mut super::Learning, values: &[f64]) {
        let codes: Vec<Value> = l.plastic.reads().to_vec().iter().map(|r| self.prepare(*r)).collect();
        l.plastic.set_weights(step, values, &mut |r, n| self.one(&codes[r], n, step));
    }

    pub fn freeze(&self, step: u64, l: &mut super::Learning, frozen: bool) {
        let codes: Vec<Value> = l.plastic.reads().to_vec().iter().map(|r| self.prepare(*r)).collect();
        l.plastic.freeze(step, frozen, &mut |r, n| self.one(&codes[r], n, step));
    }

    pub fn clear(&self, step: u64, l: &mut super::Learning) {
        let codes: Vec<Value> = l.plastic.reads().to_vec().iter().map(|r| self.prepare(*r)).collect();
        l.plastic.clear(step, &mut |r, n| self.one(&codes[r], n, step));
    }

    /// States as given, nobody refractory, nothing on its way.
    pub fn reset(&mut self, initial: &[Vec<f64>]) {
        for (n, states) in self.states.iter_mut().enumerate() {
            states.iter_mut().zip(initial).for_each(|(s, values)| *s = self.population.dynamics.settled(values[n]));
        }
        self.refractory.fill(0);
        for pending in self.inboxes.iter_mut().flatten().flatten() {
            match pending {
                Pending::Counts(counts) => counts.fill(0),
                Pending::Sums(sums) => sums.fill(0.0),
                Pending::Poisson => {}
            }
        }
    }

    /// An expression of one neuron as it stands at the end of `step` steps.
    fn one(&self, value: &Value, neuron: u32, step: u64) -> f64 {
        self.read(value, &[neuron], step)[0]
    }

    /// Neurons at whose receptor spikes arrive in the coming step, as often as they are counted; once where weights are summed.
    pub fn arriving(&self, receptor: u32) -> Vec<u32> {
        let Some(terms) = self.inboxes.front().and_then(|inbox| inbox.get(receptor as usize)) else { return vec![] };
        let mut out = vec![];
        for neuron in 0..self.population.size {
            for term in terms {
                let times = match term {
                    Pending::Counts(counts) => counts[neuron as usize],
                    Pending::Sums(sums) => u64::from(sums[neuron as usize] != 0.0),
                    Pending::Poisson => 0,
                };
                out.extend((0..times).map(|_| neuron));
            }
        }
        out
    }

    /// How far those that fired were above their thresholds; empty unless winners are chosen.
    pub fn margins(&self) -> &[f64] {
        &self.margins
    }

    /// 5. Queue: puts the spike of `pre` that was just sent where it will arrive. Gives the number of its synapses.
    pub fn queue(&mut self, rows: &Rows, pre: u32) -> u64 {
        let mut delivered = 0;
        for (post, weight, delay) in rows.row(pre) {
            delivered += 1;
            for term in &rows.terms {
                match &mut self.inboxes[delay as usize - 1][rows.receptor][*term] {
                    Pending::Counts(counts) => counts[post as usize] += 1,
                    Pending::Sums(sums) => sums[post as usize] += weight,
                    Pending::Poisson => {}
                }
            }
        }
        delivered
    }

    /// Reports the first state that is NaN or infinite after the step that ended at `step`.
    pub fn check_finite(&self, step: u64) -> Result<(), RunError> {
        if let (Some(neuron), Some(a)) = (self.stuck, &self.population.dynamics.adaptive) {
            let population = self.population.path.clone();
            return Err(RunError::TooManySteps { population, neuron, step, limit: a.limit });
        }
        for (neuron, states) in (0..).zip(&self.states) {
            if let Some(s) = states.iter().position(|v| !v.is_finite()) {
                return Err(RunError::NotFinite {
                    population: self.population.path.clone(),
                    neuron,
                    step,
                    variable: self.population.dynamics.states[s].name.clone(),
                    value: states[s],
                });
            }
        }
        Ok(())
    }

    pub fn set(&mut self, setting: &Setting) -> Result<(), RunError> {
        build::apply(&self.population.dynamics, self.dt_ms, &mut self.params, self.population.size, setting)
    }

    pub fn param(&self, param: u32, cells: &[u32]) -> Vec<f64> {
        cells.iter().map(|n| self.params[param as usize].at(*n)).collect()
    }

    pub fn state(&self, state: u32) -> Vec<f64> {
        self.states.iter().map(|states| states[state as usize]).collect()
    }

    /// Values after the step that ended at `step`.
    pub fn observe(&self, observable: u32, cells: &[u32], step: u64) -> Vec<f64> {
        self.read(&self.code.observables[observable as usize], cells, step)
    }

    /// An expression of these cells, prepared for [`Cells::read`].
    pub fn prepare(&self, root: ExprId) -> Value {
        Value { root, order: eval::order(&self.population.dynamics.exprs, &[root]) }
    }

    /// Values at the time of `step`, when no step is under way.
    pub fn read(&self, value: &Value, cells: &[u32], step: u64) -> Vec<f64> {
        let scratch = &mut vec![];
        cells
            .iter()
            .map(|neuron| {
                let now = Moment {
                    exprs: &self.population.dynamics.exprs,
                    singles: &[],
                    narrow: &self.narrow,
                    params: &self.params,
                    coupled: &self.coupled,
                    neuron: *neuron,
                    step,
                    time: step as f64 * self.dt_ms,
                    arrival: f64::NAN,
                    refractory: self.refractory[*neuron as usize] > 0,
                    before: &[],
                    noise: self.noise,
                    spike: self.spike,
                };
                now.evaluate(value, &self.states[*neuron as usize], scratch)
            })
            .collect()
    }
}
