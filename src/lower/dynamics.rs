//! The dynamics of one population: params bound, equations translated, receptors and resets.
//!
//! What a kernel computes stays in the population's own arena; what is the same in every step (a param drawn per neuron, `1 / tau`
//! of heterogeneous neurons, an index into a table) is lifted into a param that is filled when the network is built.

use super::error::*;
use super::network::Tables;
use super::plasticity::present;
use super::translate::{body_model, not_static};
use super::{Fail, Lowering, reads};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, CellStmt, ExprKind, ModelId, SpikeRule, ValueId, ValueKind};
use crate::ir::{
    self, Assign, Compare, Derived, Dynamics, Every, Expr, ExprId, Exprs, Observable, Param, ParamKind, Receptor,
    Refractory, Spike, Stage, State, UnaryOp,
};
use crate::script::Value;
use crate::sema::error::{NOT_HERE, NOT_SETTABLE};
use crate::units::{self, Dimension};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How a param of a model is there in a population.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    Const(f64),
    /// Position in [`Dynamics::params`].
    Slot(u32),
    /// Follows time or something that is set: an expression of the dynamics.
    Live(ExprId),
    /// A list of times.
    List(Value),
}

/// A population whose dynamics are being made.
pub(super) struct Body {
    pub dynamics: Dynamics,
    pub model: ModelId,
    pub args: Vec<(ValueId, hir::Expr)>,
    pub bound: HashMap<ValueId, Bound>,
    binding: Vec<ValueId>,
    /// Names that the experiment writes.
    pub settable: BTreeSet<String>,
    /// Set when the params of a private source are bound in its target's dynamics.
    pub prefix: String,
    hidden: HashMap<ExprId, u32>,
    pub inputs: HashMap<ValueId, ExprId>,
    pub drives: Vec<(String, ExprId)>,
    /// What continuous projections bring, in order of declaration.
    pub joined: Vec<super::coupling::Joined>,
    /// `xi` and `noise` leaves as numbered while equations are translated; solvers renumber them.
    pub noise_leaves: HashMap<(Option<u32>, Option<ValueId>), u32>,
    /// Params that stand for inputs.
    pub input_params: Vec<u32>,
    /// Where each cell lies.
    pub coordinates: Vec<Bound>,
    /// Params that follow sensors.
    pub sensed: Vec<super::sensors::Sensed>,
    /// Params of the events that it answers to: (event, (flag, number)).
    pub events: Vec<(u32, (u32, u32))>,
    /// Events of the network by the position of the model's.
    pub bound_events: Vec<Option<u32>>,
    /// Levels of modulators that it reads: (modulator, position among [`Dynamics::coupled`]).
    pub levels: Vec<(hir::PopulationId, u32)>,
}

/// One end of a projection as weights and filters see it.
#[derive(Clone, Debug, Default)]
pub(super) struct EndInfo {
    pub axes: Vec<String>,
    pub params: HashMap<String, Bound>,
    pub space: super::space::Space,
}

pub(super) enum Mode<'m> {
    Dynamics(&'m mut Body),
    /// Per neuron (`own`), or per synapse (`ends`).
    Build {
        own: Option<&'m Body>,
        ends: Option<(&'m EndInfo, &'m EndInfo)>,
        columns: &'m [String],
    },
    /// The rules of one projection.
    Rule(&'m mut super::plasticity::RuleBody),
}

pub(super) struct Cx<'m> {
    pub network: &'m mut ir::Network,
    pub mode: Mode<'m>,
    /// Formals of functions and axes of random tables.
    pub formals: HashMap<ValueId, ExprId>,
    pub tables: &'m mut Tables,
    /// Lets translated here already: they read no formal, so one translation serves all their uses.
    pub lets: HashMap<ValueId, ExprId>,
}

impl Cx<'_> {
    pub fn arena(&mut self) -> &mut Exprs {
        match &mut self.mode {
            Mode::Dynamics(body) => &mut body.dynamics.exprs,
            Mode::Build { .. } => &mut self.network.build,
            Mode::Rule(body) => &mut body.exprs,
        }
    }

    pub(super) fn body(&self) -> Option<&Body> {
        match &self.mode {
            Mode::Dynamics(body) => Some(body),
            Mode::Build { own, .. } => *own,
            Mode::Rule(_) => None,
        }
    }
}

impl Body {
    pub fn new(model: ModelId, name: &str, args: Vec<(ValueId, hir::Expr)>, settable: BTreeSet<String>) -> Body {
        Body {
            dynamics: Dynamics {
                model: name.to_string(),
                exprs: Exprs::default(),
                params: Vec::new(),
                states: Vec::new(),
                systems: Vec::new(),
                noises: 0,
                adaptive: None,
                integrate: Vec::new(),
                receptors: Vec::new(),
                poisson: Vec::new(),
                coupled: Vec::new(),
                spike: Spike::Never,
                reset: Vec::new(),
                refractory: None,
                every: Vec::new(),
                observables: Vec::new(),
                solvers: Vec::new(),
                single: false,
            },
            model,
            args,
            bound: HashMap::new(),
            binding: Vec::new(),
            settable,
            prefix: String::new(),
            hidden: HashMap::new(),
            inputs: HashMap::new(),
            drives: Vec::new(),
            joined: Vec::new(),
            noise_leaves: HashMap::new(),
            input_params: Vec::new(),
            coordinates: Vec::new(),
            sensed: Vec::new(),
            events: Vec::new(),
            bound_events: Vec::new(),
            levels: Vec::new(),
        }
    }

    pub fn param(&mut self, name: String, dimension: Dimension, kind: ParamKind, settable: bool) -> u32 {
        self.dynamics.params.push(Param { name, dimension, kind, settable, bounds: None });
        self.dynamics.params.len() as u32 - 1
    }

    /// A param that holds a build expression for each neuron; equal expressions share one.
    pub fn lifted(&mut self, build: &Exprs, value: ExprId, name: &str) -> ExprId {
        if let Some(v) = build.as_const(value) {
            return self.dynamics.exprs.real(v);
        }
        let slot = match self.hidden.get(&value) {
            Some(k) => *k,
            None => {
                let name = format!("{name}_{}", self.dynamics.params.len());
                let k = self.param(name, Dimension::NUMBER, ParamKind::PerNeuron(value), false);
                self.hidden.insert(value, k);
                k
            }
        };
        self.dynamics.exprs.intern(Expr::Param(slot))
    }

    /// A derived param of the dynamics, or its expression where it is constant.
    pub fn derived(&mut self, name: String, derived: Derived) -> ExprId {
        if let Derived::Expr(e) = derived
            && self.dynamics.exprs.as_const(e).is_some()
        {
            return e;
        }
        let k = self.param(name, Dimension::NUMBER, ParamKind::Derived(derived), false);
        self.dynamics.exprs.intern(Expr::Param(k))
    }
}

impl Lowering<'_> {
    pub(super) fn state_index(&self, model: ModelId, id: ValueId) -> u32 {
        self.program.model(model).states.iter().position(|s| *s == id).unwrap_or(0) as u32
    }

    /// Binds a param of the model on first need.
    pub(super) fn bound(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<Bound, Fail> {
        if let Some(b) = cx.body().and_then(|b| b.bound.get(&id)) {
            return Ok(b.clone());
        }
        let Mode::Dynamics(body) = &mut cx.mode else {
            return Err(Diagnostic::error(EVALUATION, format!("`{}` is needed before it is bound", self.name(id)))
                .label(span, "here"));
        };
        if body.binding.contains(&id) {
            return Err(Diagnostic::error(
                crate::sema::error::CYCLIC_DEFINITION,
                format!("`{}` is defined by itself", self.name(id)),
            )
            .label(span, "needed here"));
        }
        let program = self.program;
        let def = program.value(id);
        let ValueKind::Param { default, .. } = &def.kind else { return Err(not_static(span, "this")) };
        let given = body.args.iter().find(|(p, _)| *p == id).map(|(_, e)| e.clone());
        let Some(value) = given.or_else(|| default.clone()) else {
            return Err(Diagnostic::error(crate::sema::error::UNBOUND_PARAM, format!("`{}` has no value", def.name))
                .label(def.span, "no default, and nothing binds it"));
        };
        body.binding.push(id);
        let out = self.bind(id, &value, cx);
        if let Mode::Dynamics(body) = &mut cx.mode {
            body.binding.pop();
            if let Ok(b) = &out {
                body.bound.insert(id, b.clone());
            }
        }
        out
    }

    fn bind(&mut self, id: ValueId, value: &hir::Expr, cx: &mut Cx) -> Result<Bound, Fail> {
        let def = self.program.value(id);
        let (name, dim) = (def.name.clone(), def.ty.dimension());
        // What the default reads must be bound before it can be told whether it varies.
        self.bind_read(value, cx)?;
        if def.ty.rank > 0 || value.ty.rank > 0 {
            return Ok(Bound::List(self.constant(value)?));
        }
        let Mode::Dynamics(_) = &cx.mode else { return Err(not_static(value.span, "this")) };
        if !self.unchanging(value, cx) {
            let saved = std::mem::take(&mut cx.formals);
            let e = self.translate(value, cx);
            cx.formals = saved;
            return Ok(Bound::Live(e?));
        }
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(value.span, "this")) };
        let settable = body.settable.contains(&name);
        let built = self.build_own(value, cx)?;
        let bounds = self.param_bounds(id)?;
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(value.span, "this")) };
        if let Some(v) = cx.network.build.as_const(built) {
            self.check_bounds(id, &Value::Number(v), value.span)?;
            self.plausible_constant(id, v, value.span)?;
            if !settable {
                return Ok(Bound::Const(v));
            }
            let shown = format!("{}{name}", body.prefix);
            return Ok(Bound::Slot(body.param(shown, dim, ParamKind::Scalar(v), true)));
        }
        let shown = format!("{}{name}", body.prefix);
        let k = body.param(shown, dim, ParamKind::PerNeuron(built), settable);
        body.dynamics.params[k as usize].bounds = bounds;
        Ok(Bound::Slot(k))
    }

    fn bind_read(&mut self, value: &hir::Expr, cx: &mut Cx) -> Result<(), Fail> {
        let mut params = Vec::new();
        reads(value, self.program, &mut |x| {
            if let ExprKind::Value(id) = &x.kind {
                params.push(*id);
            }
            false
        });
        for p in params {
            if matches!(self.program.value(p).kind, ValueKind::Param { .. }) && self.of_model(p, cx) {
                self.bound(p, value.span, cx)?;
            }
        }
        Ok(())
    }

    /// The value of an input: what `set` put there plus its drives plus what continuous projections bring.
    pub(super) fn input(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        let def = self.program.value(id);
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(span, "an input")) };
        if let Some(e) = body.inputs.get(&id) {
            return Ok(*e);
        }
        let mut sum = body.dynamics.exprs.real(0.0);
        if body.settable.contains(&def.name) {
            let shown = format!("{}{}", body.prefix, def.name);
            let k = body.param(shown, def.ty.dimension(), ParamKind::Scalar(0.0), true);
            body.input_params.push(k);
            sum = body.dynamics.exprs.intern(Expr::Param(k));
        }
        for (name, e) in body.drives.clone() {
            if name == def.name {
                sum = body.dynamics.exprs.add(sum, e);
            }
        }
        let joined: Vec<_> = body.joined.iter().filter(|j| j.input == id).cloned().collect();
        if body.binding.contains(&id) {
            return Err(Diagnostic::error(
                crate::sema::error::CYCLIC_DEFINITION,
                format!("`{}` is defined by itself", def.name),
            )
            .label(span, "needed here")
            .label(def.span, "its body needs itself"));
        }
        body.binding.push(id);
        let formals = std::mem::take(&mut cx.formals);
        for j in joined {
            let term = self.joined_term(&j, cx)?;
            sum = cx.arena().add(sum, term);
        }
        cx.formals = formals;
        let Mode::Dynamics(body) = &mut cx.mode else { return Ok(sum) };
        body.binding.pop();
        body.inputs.insert(id, sum);
        Ok(sum)
    }

    /// Everything of a population but its arrivals.
    pub(super) fn body(&mut self, body: &mut Body, network: &mut ir::Network, tables: &mut Tables) -> Result<(), Fail> {
        let program = self.program;
        let model = program.model(body.model);
        let mut cx = Cx { network, mode: Mode::Dynamics(body), formals: HashMap::new(), tables, lets: HashMap::new() };
        for id in &model.names {
            if matches!(program.value(*id).kind, ValueKind::Param { .. }) {
                self.bound(*id, program.value(*id).span, &mut cx)?;
            }
        }
        for id in &model.states {
            let def = program.value(*id);
            let Mode::Dynamics(body) = &mut cx.mode else { return Ok(()) };
            let given = body.args.iter().find(|(p, _)| p == id).map(|(_, e)| e.clone());
            let ValueKind::State { initial } = &def.kind else { continue };
            let value = given.unwrap_or_else(|| initial.clone());
            let initial = self.build_own(&value, &mut cx)?;
            let Mode::Dynamics(body) = &mut cx.mode else { return Ok(()) };
            body.dynamics.states.push(State { name: def.name.clone(), dimension: def.ty.dimension(), initial });
        }
        let mut derivatives = Vec::new();
        for q in &model.equations {
            let state = self.state_index(body_model(&cx), q.state);
            derivatives.push((state, self.translate(&q.value, &mut cx)?, q.value.span));
        }
        let refractory = match &model.refractory {
            Some((time, held)) => Some(self.refractory(time, held, &mut cx)?),
            None => None,
        };
        if let Mode::Dynamics(body) = &mut cx.mode {
            body.dynamics.refractory = refractory;
        }
        self.integrate(model, &derivatives, &mut cx)?;
        for r in &model.receptors {
            let arrival = cx.arena().intern(Expr::Arrival);
            cx.formals.insert(r.weight, arrival);
            let assigns = self.assign_list(&r.body, &mut cx)?;
            cx.formals.clear();
            if let Mode::Dynamics(body) = &mut cx.mode {
                body.dynamics.receptors.push(Receptor {
                    name: r.name.clone(),
                    dimension: r.dim,
                    arrivals: Vec::new(),
                    body: assigns,
                });
            }
        }
        for (k, event) in model.events.iter().enumerate() {
            self.event_body(k, event, &mut cx)?;
        }
        let spike = match &model.spike {
            SpikeRule::Never => Spike::Never,
            SpikeRule::When(c) => {
                let condition = self.translate(c, &mut cx)?;
                without_noise(condition, c.span, &mut cx)?;
                Spike::When(condition)
            }
            SpikeRule::Rate(rate) => {
                let span = rate.span;
                let rate = self.translate(rate, &mut cx)?;
                self.plausible_rate(cx.arena(), rate, span)?;
                without_noise(rate, span, &mut cx)?;
                Spike::When(hazard(cx.arena(), rate, self.dt))
            }
            // Filled where the size is known.
            SpikeRule::Times(_) => Spike::Schedule(ir::Trains::Same(Vec::new())),
        };
        let reset = self.assign_list(&model.reset, &mut cx)?;
        let spike = match spike {
            Spike::When(condition) => Spike::When(kept_from_the_start(condition, &mut cx)),
            other => other,
        };
        let every = model.every.iter().map(|e| self.every(e, &mut cx)).collect::<Result<_, Fail>>()?;
        if let Mode::Dynamics(body) = &mut cx.mode {
            body.dynamics.spike = spike;
            body.dynamics.reset = reset;
            body.dynamics.every = every;
        }
        Ok(())
    }

    /// Statements that run one after the other, as one stage: what later ones read is written out.
    fn every(&mut self, e: &hir::Every, cx: &mut Cx) -> Result<Every, Fail> {
        let span = e.period.span;
        let period = self.translate(&e.period, cx)?;
        let Some(ms) = cx.arena().as_const(period) else {
            let Mode::Dynamics(body) = &cx.mode else { return Err(not_static(span, "a period")) };
            let d = &body.dynamics;
            let set = |x: &Expr| matches!(x, Expr::Param(k) if d.params[*k as usize].settable);
            return Err(match d.exprs.any(period, &mut |x| set(x)) {
                true => Diagnostic::error(NOT_SETTABLE, "a period can't be set while the circuit runs")
                    .label(span, "reads what the experiment sets")
                    .help("count: `every 1 ms { n += 1; if n >= period / 1 ms { n = 0; ... } }`"),
                false => Diagnostic::error(EVALUATION, "all cells of a population have one period")
                    .label(span, "differs between them, or changes")
                    .help("read what differs inside of the statements; two periods are two populations"),
            });
        };
        let steps = self.period(ms, span)?;
        let mut now = BTreeMap::new();
        self.cell_statements(&e.body, &mut now, cx)?;
        let x = cx.arena();
        let assigns = now.into_iter().filter(|(k, value)| x.get(*value) != &Expr::State(*k));
        Ok(Every { steps, stage: Stage { assigns: assigns.map(|(state, value)| Assign { state, value }).collect() } })
    }

    /// `now`: what each state is after the statements so far.
    fn cell_statements(&mut self, list: &[CellStmt], now: &mut BTreeMap<u32, ExprId>, cx: &mut Cx) -> Result<(), Fail> {
        for s in list {
            match s {
                CellStmt::Set(a) => {
                    let mut value = self.at_once(&a.value, now, cx)?;
                    let state = self.state_index(body_model(cx), a.state);
                    let held = |r: &Refractory| r.held.contains(&state);
                    if cx.body().is_some_and(|b| b.dynamics.refractory.as_ref().is_some_and(held)) {
                        let x = cx.arena();
                        let refractory = x.intern(Expr::Held);
                        let old = standing(x, now, state);
                        value = x.select(refractory, old, value);
                    }
                    now.insert(state, value);
                }
                CellStmt::If(c, then, otherwise) => {
                    let c = self.at_once(c, now, cx)?;
                    let (mut yes, mut no) = (now.clone(), now.clone());
                    self.cell_statements(then, &mut yes, cx)?;
                    self.cell_statements(otherwise, &mut no, cx)?;
                    let written: BTreeSet<u32> = yes.keys().chain(no.keys()).copied().collect();
                    for k in written {
                        let x = cx.arena();
                        let (a, b) = (standing(x, &yes, k), standing(x, &no, k));
                        let value = x.select(c, a, b);
                        now.insert(k, value);
                    }
                }
            }
        }
        Ok(())
    }

    /// A value that is read at one moment, between two steps.
    fn at_once(&mut self, e: &hir::Expr, now: &BTreeMap<u32, ExprId>, cx: &mut Cx) -> Result<ExprId, Fail> {
        let value = self.translate(e, cx)?;
        without_noise(value, e.span, cx)?;
        if cx.arena().any(value, &mut |x| matches!(x, Expr::Before(_))) {
            return Err(Diagnostic::error(NOT_HERE, "`crosses` compares the two ends of a step")
                .label(e.span, "read between two steps")
                .help("compare with a state that keeps the earlier value"));
        }
        Ok(present(cx.arena(), value, now))
    }

    /// How many steps a period has.
    pub(super) fn period(&mut self, ms: f64, span: Span) -> Result<u64, Fail> {
        let steps = self.whole_steps(ms, span, "a period");
        if steps == 0 {
            return Err(Diagnostic::error(OUT_OF_BOUNDS, "a period of less than one step").label(span, "at least dt"));
        }
        Ok(steps)
    }

    pub(super) fn assign_list(&mut self, list: &[hir::Assign], cx: &mut Cx) -> Result<Vec<Assign>, Fail> {
        let model = body_model(cx);
        list.iter()
            .map(|a| {
                let value = self.translate(&a.value, cx)?;
                without_noise(value, a.value.span, cx)?;
                Ok(Assign { state: self.state_index(model, a.state), value })
            })
            .collect()
    }

    fn refractory(&mut self, time: &hir::Expr, held: &[ValueId], cx: &mut Cx) -> Result<Refractory, Fail> {
        let model = body_model(cx);
        let t = self.translate(time, cx)?;
        let dt = self.dt;
        let steps = match cx.arena().as_const(t) {
            Some(t) => {
                if t < 0.0 {
                    return Err(Diagnostic::error(
                        OUT_OF_BOUNDS,
                        format!("a refractory time of {}", units::display(t, Dimension::TIME)),
                    )
                    .label(time.span, "negative"));
                }
                let steps = self.whole_steps(t, time.span, "the refractory time");
                cx.arena().real(steps as f64)
            }
            None => {
                let x = cx.arena();
                let dt = x.real(dt);
                let steps = x.div(t, dt);
                let rounded = x.unary(UnaryOp::Round, steps);
                match &mut cx.mode {
                    Mode::Dynamics(body) => {
                        let fixed = !body
                            .dynamics
                            .exprs
                            .any(rounded, &mut |e| matches!(e, Expr::State(_) | Expr::Time | Expr::Coupled(_)));
                        if fixed {
                            body.derived("refractory_steps".to_string(), Derived::Expr(rounded))
                        } else {
                            rounded
                        }
                    }
                    Mode::Build { .. } | Mode::Rule(_) => rounded,
                }
            }
        };
        let held = held.iter().map(|v| self.state_index(model, *v)).collect();
        Ok(Refractory { steps, held })
    }

    /// Rounds a constant time to whole steps, warning where that changes it.
    pub(super) fn whole_steps(&mut self, t: f64, span: Span, what: &str) -> u64 {
        let exact = t / self.dt;
        let steps = exact.round_ties_even();
        // A decimal multiple of dt misses the whole number by rounding alone.
        if (exact - steps).abs() > 1e-6 * exact.abs().max(1.0) {
            let (given, used) = (units::display(t, Dimension::TIME), units::display(steps * self.dt, Dimension::TIME));
            let dt = units::display(self.dt, Dimension::TIME);
            self.tell(
                Diagnostic::warning(ROUNDED, format!("{what} of {given} is no multiple of dt = {dt}"))
                    .label(span, format!("rounded to {used}"))
                    .help("choose a multiple of dt, or a dt that divides it"),
            );
        }
        steps as u64
    }

    /// An observable of a placed population, added on first use.
    pub(super) fn observable(
        &mut self,
        body: &mut Body,
        network: &mut ir::Network,
        tables: &mut Tables,
        name: &str,
        span: Span,
    ) -> Result<u32, Fail> {
        if let Some(k) = body.dynamics.observables.iter().position(|o| o.name == name) {
            return Ok(k as u32);
        }
        let program = self.program;
        let model = program.model(body.model);
        let Some(id) = model.names.iter().copied().find(|v| program.value(*v).name == name) else {
            return Err(Diagnostic::error(EVALUATION, format!("the cells have no `{name}`")).label(span, "not found"));
        };
        let def = program.value(id);
        let mut cx = Cx { network, mode: Mode::Dynamics(body), formals: HashMap::new(), tables, lets: HashMap::new() };
        let value = self.translate_value(id, span, &mut cx)?;
        body.dynamics.observables.push(Observable { name: name.to_string(), dimension: def.ty.dimension(), value });
        Ok(body.dynamics.observables.len() as u32 - 1)
    }
}

/// What `crosses` reads of the start of the step: where steps are adaptive the states have moved on before the statements of the
/// step run, so it is kept in a state of its own.
fn kept_from_the_start(condition: ExprId, cx: &mut Cx) -> ExprId {
    let zero = cx.network.build.real(0.0);
    let Mode::Dynamics(body) = &mut cx.mode else { return condition };
    let d = &mut body.dynamics;
    let Some(adaptive) = &mut d.adaptive else { return condition };
    let states = &mut d.states;
    d.exprs.rewrite(condition, &mut HashMap::new(), &mut |x, e| {
        let Expr::Before(inner) = e else { return None };
        let name = format!("before_{}", states.len());
        states.push(State { name, dimension: Dimension::NUMBER, initial: zero });
        let state = states.len() as u32 - 1;
        let (yes, no) = (x.real(1.0), x.real(0.0));
        let value = x.select(*inner, yes, no);
        adaptive.before.assigns.push(Assign { state, value });
        let kept = x.intern(Expr::State(state));
        Some(x.compare(Compare::Ne, kept, no))
    })
}

/// A spike with hazard `rate` (ms^-1) in a step: `uniform < 1 - exp(-rate dt)`.
pub(super) fn hazard(x: &mut Exprs, rate: ExprId, dt: f64) -> ExprId {
    let minus_dt = x.real(-dt);
    let exponent = x.mul(rate, minus_dt);
    let survived = x.unary(UnaryOp::Expm1, exponent);
    let p = x.unary(UnaryOp::Neg, survived);
    let u = x.intern(Expr::Uniform);
    x.compare(Compare::Lt, u, p)
}

/// What a state is after some statements.
fn standing(x: &mut Exprs, now: &BTreeMap<u32, ExprId>, state: u32) -> ExprId {
    now.get(&state).copied().unwrap_or_else(|| x.intern(Expr::State(state)))
}

/// White noise has a value only in the integral over a step.
fn without_noise(value: ExprId, span: Span, cx: &mut Cx) -> Result<(), Fail> {
    if !cx.arena().any(value, &mut |e| matches!(e, Expr::Noise(_))) {
        return Ok(());
    }
    Err(Diagnostic::error(XI_PLACE, "noise stands in an equation alone")
        .label(span, "reads `xi` or a `noise`")
        .help("white noise has no value at a moment: let a state follow it, and read the state"))
}
