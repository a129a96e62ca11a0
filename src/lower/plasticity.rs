//! Plasticity rules: handlers as assignments, traces as propagators, continuous change as exact integrals where that is proved.

use super::drift::{Solved, Stepped, moving, solve};
use super::dynamics::{Cx, Mode};
use super::error::*;
use super::linear::{Variable, split};
use super::network::Elaborated;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, RuleStmt, Side, ValueId};
use crate::ir::plasticity::{Event, Handler, Place, Plasticity};
use crate::ir::{self, Assign, BinaryOp, Expr, ExprId, Exprs, ProjectionId, UnaryOp};
use crate::numerics::matrix;
use std::collections::{BTreeMap, HashMap};

/// The rules of one projection while they are lowered.
pub(super) struct RuleBody {
    pub exprs: Exprs,
    /// Position of each variable; the weight is 0.
    pub variables: HashMap<ValueId, u32>,
    pub reads: Vec<RuleRead>,
    /// Names that handlers have for the numbers of events.
    pub formals: HashMap<ValueId, ExprId>,
    places: Vec<Place>,
    /// Position of the variable that tells a synapse to go.
    remove: Option<u32>,
    /// Statements write no weight.
    still: bool,
}

/// What a rule reads besides its own variables.
#[derive(Clone, PartialEq)]
pub(super) enum RuleRead {
    /// Of the postsynaptic cell, by name.
    Cell(String),
    /// What is the same everywhere: a sensor, the level of a modulator.
    Level(ValueId),
    /// Whether an event of the network is there, or its number.
    Event(u32, bool),
    /// The sum of all weights onto the postsynaptic cell.
    Total,
    /// The sum of all weights that leave the presynaptic cell.
    TotalOut,
}

impl Lowering<'_> {
    /// Lowers the rules of a projection that was just added; `winners` are those of its target.
    pub(super) fn rules(
        &mut self,
        p: &hir::Projection,
        projection: ProjectionId,
        target: hir::PopulationId,
        winners: Option<&hir::Winners>,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let Some(first) = p.rules.first() else { return Ok(()) };
        let dendritic = match &p.dendritic {
            None => 0,
            Some(e) => {
                let ms = self.constant_number(e)?;
                let steps = self.whole_steps(ms, e.span, "a dendritic delay");
                u32::try_from(steps).unwrap_or(u32::MAX)
            }
        };
        let weight_dim = first.weight.map_or(crate::units::Dimension::NUMBER, |w| self.program.value(w).ty.dimension());
        let mut rule = Plasticity {
            projection,
            name: p.rules.iter().map(|r| r.name.clone()).collect::<Vec<_>>().join(" + "),
            bounds: (f64::NEG_INFINITY, f64::INFINITY),
            exprs: Exprs::default(),
            variables: vec![ir::plasticity::Variable {
                name: "w".to_string(),
                dimension: weight_dim,
                place: Place::Synapse,
                initial: 0.0,
            }],
            reads: Vec::new(),
            levels: Vec::new(),
            total: None,
            total_out: None,
            remove: None,
            regrow: None,
            advance: Vec::new(),
            drift: Vec::new(),
            integrals: Vec::new(),
            lazy: true,
            stepped: Vec::new(),
            handlers: Vec::new(),
            dendritic,
            single: false,
            notes: Vec::new(),
        };
        let mut body = RuleBody {
            exprs: Exprs::default(),
            variables: HashMap::new(),
            reads: Vec::new(),
            formals: HashMap::new(),
            places: vec![Place::Synapse],
            remove: None,
            still: false,
        };
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for r in &p.rules {
            self.rule_params(r)?;
            body.variables.extend(r.weight.map(|w| (w, 0)));
            for v in &r.variables {
                let def = self.program.value(v.value);
                let place = match v.side {
                    Some(Side::Pre) => Place::Pre,
                    Some(_) => Place::Post,
                    None => Place::Synapse,
                };
                let initial = self.constant_number(&v.initial)?;
                let dimension = def.ty.dimension();
                body.variables.insert(v.value, rule.variables.len() as u32);
                body.places.push(place);
                rule.variables.push(ir::plasticity::Variable { name: def.name.clone(), dimension, place, initial });
            }
            if let Some((lo, hi)) = &r.bounds {
                let (a, b) = (self.constant_number(lo)?, self.constant_number(hi)?);
                if !(a <= b) {
                    return Err(Diagnostic::error(OUT_OF_BOUNDS, "the bounds of a weight are the wrong way round")
                        .label(lo.span, format!("low is {a}"))
                        .label(hi.span, format!("high is {b}")));
                }
                low = low.max(a);
                high = high.min(b);
            }
        }
        rule.bounds = (low, high);
        self.regrowth(p, (low, high), &mut rule, out)?;
        if p.rules.iter().flat_map(|r| &r.handlers).any(|h| h.body.iter().any(RuleStmt::removes)) {
            rule.remove = Some(rule.variables.len() as u32);
            body.remove = rule.remove;
            body.places.push(Place::Synapse);
            rule.variables.push(ir::plasticity::Variable {
                name: "removed".to_string(),
                dimension: crate::units::Dimension::NUMBER,
                place: Place::Synapse,
                initial: 0.0,
            });
        }
        let mut equations: Vec<(u32, ExprId, Span)> = Vec::new();
        // Statements of each rule of the sum, by event.
        let mut events: Vec<(Event, Vec<&[RuleStmt]>)> = vec![(Event::Pre, Vec::new())];
        for r in &p.rules {
            for v in &r.variables {
                if let Some(e) = &v.equation {
                    let k = body.variables[&v.value];
                    equations.push((k, self.rule_expr(e, &mut body, out)?, e.span));
                }
            }
            if let Some(e) = &r.drift {
                let value = self.rule_expr(e, &mut body, out)?;
                match equations.iter_mut().find(|(k, ..)| *k == 0) {
                    Some((_, sum, _)) => *sum = body.exprs.add(*sum, value),
                    None => equations.push((0, value, e.span)),
                }
            }
            for h in &r.handlers {
                let event = match &h.event {
                    hir::Event::Pre => Event::Pre,
                    hir::Event::Post => Event::Post,
                    hir::Event::Receptor(name) => {
                        let model = out.placed.get(&target).map(|t| t.body.model);
                        let receptors = model.map(|m| &self.program.model(m).receptors);
                        let at = receptors.and_then(|r| r.iter().position(|r| r.name == *name)).unwrap_or(0);
                        Event::Receptor(at as u32)
                    }
                    hir::Event::Named(event, formal) => {
                        let leaf = |body: &mut RuleBody, flag: bool| {
                            let read = body.read(RuleRead::Event(*event, flag));
                            let Expr::Read(k) = *body.exprs.get(read) else { return (read, 0) };
                            (read, k)
                        };
                        let (_, flag) = leaf(&mut body, true);
                        let (number, k) = leaf(&mut body, false);
                        body.formals.extend(formal.map(|f| (f, number)));
                        Event::Named(flag, k)
                    }
                    hir::Event::Every(e) => {
                        let ms = self.constant_number(e)?;
                        Event::Every(self.period(ms, e.span)?)
                    }
                };
                match events.iter_mut().find(|(e, _)| *e == event) {
                    Some((_, list)) => list.push(&h.body),
                    None => events.push((event, vec![&h.body])),
                }
            }
        }
        for (event, list) in events {
            let (assigns, deliver) = self.handled(event, &list, (low, high), &mut body, out)?;
            body.still = true;
            let (_, still) = self.handled(event, &list, (low, high), &mut body, out)?;
            body.still = false;
            rule.handlers.push(Handler { event, assigns, deliver, still: still.filter(|_| still != deliver) });
        }
        self.traces(&equations, &mut body, &mut rule);
        self.drift(&equations, &mut body, &mut rule, (low, high));
        let read = |what| body.reads.iter().position(|r| *r == what).map(|k| k as u32);
        (rule.total, rule.total_out) = (read(RuleRead::Total), read(RuleRead::TotalOut));
        if let (Some(_), Some(winners)) = (rule.total_out, winners) {
            // Its events of a step are known when all shares have met, and the sum would follow from them in the same step.
            return Err(Diagnostic::error(
                crate::sema::error::NOT_HERE,
                "`sum_out` can't be used at a population with `active at most`",
            )
            .label(first.use_span, "this rule reads the sum of the weights that leave a neuron")
            .label(winners.most.span, "who fires is decided here")
            .help("`sum_in`, or a population without `active at most`"));
        }
        for (k, read) in body.reads.iter().enumerate() {
            let Elaborated { network, placed, tables, .. } = out;
            let Some(here) = placed.get_mut(&target) else { continue };
            let value = match read {
                RuleRead::Cell(name) => {
                    let k = self.observable(&mut here.body, network, tables, name, first.use_span)?;
                    here.body.dynamics.observables[k as usize].value
                }
                // Summed where the synapses are.
                RuleRead::Total | RuleRead::TotalOut => here.body.dynamics.exprs.real(0.0),
                RuleRead::Event(event, flag) => {
                    rule.levels.push(k as u32);
                    let (f, number) = here.body.event(*event, network);
                    here.body.dynamics.exprs.intern(Expr::Param(if *flag { f } else { number }))
                }
                RuleRead::Level(v) => {
                    rule.levels.push(k as u32);
                    let mode = Mode::Dynamics(&mut here.body);
                    let mut cx = Cx { network, mode, formals: HashMap::new(), tables, lets: HashMap::new() };
                    self.translate_value(*v, first.use_span, &mut cx)?
                }
            };
            rule.reads.push(value);
        }
        rule.exprs = body.exprs;
        out.network.plasticity.push(rule);
        Ok(())
    }

    /// `regrow to indegree with weight w_new` of the rules of one projection.
    fn regrowth(
        &mut self,
        p: &hir::Projection,
        (low, high): (f64, f64),
        rule: &mut Plasticity,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let mut growing = p.rules.iter().filter_map(|r| r.regrow.as_ref().map(|w| (r, w)));
        let Some((user, weight)) = growing.next() else { return Ok(()) };
        if let Some((second, _)) = growing.next() {
            return Err(Diagnostic::error(REGROW, "two rules of one projection say how synapses regrow")
                .label(second.use_span, "regrows too")
                .label(user.use_span, "regrows"));
        }
        let w = self.constant_number(weight)?;
        if !(low..=high).contains(&w) {
            return Err(Diagnostic::error(OUT_OF_BOUNDS, "synapses regrow with a weight outside its bounds")
                .label(user.use_span, format!("with {w}; the weight stays within {low} and {high}"))
                .label(weight.span, "regrows here"));
        }
        let constant =
            out.network.graph.edge_weight(rule.projection).is_some_and(|e| matches!(e.delay, ir::Delay::Constant(_)));
        if !constant {
            let at = p.delay.as_ref().map_or(user.use_span, |d| d.span);
            return Err(Diagnostic::error(REGROW, "a new synapse needs a delay: those of this projection differ")
                .label(at, "differs from synapse to synapse")
                .label(user.use_span, "synapses regrow here")
                .help("give all synapses one delay, or split the projection"));
        }
        rule.regrow = Some(w);
        Ok(())
    }

    /// Evaluates the params of a rule but those that an experiment sets, which are sensors.
    pub(super) fn rule_params(&mut self, rule: &hir::Plasticity) -> Result<(), Fail> {
        for id in &rule.params {
            if matches!(self.program.value(*id).kind, hir::ValueKind::Param { .. }) {
                self.param_value(*id)?;
            }
        }
        Ok(())
    }

    fn rule_expr(&mut self, e: &hir::Expr, body: &mut RuleBody, out: &mut Elaborated) -> Result<ExprId, Fail> {
        let Elaborated { network, tables, .. } = out;
        let formals = body.formals.clone();
        let mut cx = Cx { network, mode: Mode::Rule(body), formals, tables, lets: HashMap::new() };
        self.translate(e, &mut cx)
    }

    /// What an event does, and what its spike carries on.
    fn handled(
        &mut self,
        event: Event,
        handlers: &[&[RuleStmt]],
        bounds: (f64, f64),
        body: &mut RuleBody,
        out: &mut Elaborated,
    ) -> Result<(Vec<Assign>, Option<ExprId>), Fail> {
        let mut now: BTreeMap<u32, ExprId> = BTreeMap::new();
        let mut deliver = None;
        for handler in handlers {
            for s in *handler {
                self.rule_statement(s, None, &mut now, &mut deliver, body, out)?;
            }
            clipped(&mut body.exprs, &mut now, bounds);
        }
        if event == Event::Pre && deliver.is_none() {
            // What leaves carries the weight that the handlers leave behind.
            deliver = Some(clipped(&mut body.exprs, &mut now, bounds));
        }
        let assigns = now
            .into_iter()
            .filter(|(k, value)| body.exprs.get(*value) != &Expr::State(*k))
            .map(|(state, value)| Assign { state, value });
        Ok((assigns.collect(), deliver))
    }

    fn rule_statement(
        &mut self,
        s: &RuleStmt,
        condition: Option<ExprId>,
        now: &mut BTreeMap<u32, ExprId>,
        deliver: &mut Option<ExprId>,
        body: &mut RuleBody,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        match s {
            RuleStmt::Set { variable, value } => {
                let value = self.rule_expr(value, body, out)?;
                let value = present(&mut body.exprs, value, now);
                let k = body.variables.get(variable).copied().unwrap_or(0);
                if k == 0 && body.still {
                    return Ok(());
                }
                let old = match now.get(&k) {
                    Some(e) => *e,
                    None => body.exprs.intern(Expr::State(k)),
                };
                let value = match condition {
                    Some(c) => body.exprs.select(c, value, old),
                    None => value,
                };
                now.insert(k, value);
            }
            RuleStmt::Deliver(e) => {
                let value = self.rule_expr(e, body, out)?;
                *deliver = Some(present(&mut body.exprs, value, now));
            }
            RuleStmt::Remove(c) => {
                let c = self.rule_expr(c, body, out)?;
                let mut goes = present(&mut body.exprs, c, now);
                let x = &mut body.exprs;
                if let Some(c) = condition {
                    goes = x.binary(BinaryOp::And, c, goes);
                }
                let Some(k) = body.remove else { return Ok(()) };
                // A handler decides anew: what an earlier one said was carried out.
                let before = now.get(&k).copied();
                if let Some(before) = before {
                    goes = x.binary(BinaryOp::Or, before, goes);
                }
                let (yes, no) = (x.real(1.0), x.real(0.0));
                let flag = x.select(goes, yes, no);
                now.insert(k, flag);
            }
            RuleStmt::If(c, then, otherwise) => {
                let c = self.rule_expr(c, body, out)?;
                let c = present(&mut body.exprs, c, now);
                let not = body.exprs.unary(UnaryOp::Not, c);
                for (branch, holds) in [(then, c), (otherwise, not)] {
                    let all = match condition {
                        Some(outer) => body.exprs.binary(BinaryOp::And, outer, holds),
                        None => holds,
                    };
                    for s in branch {
                        self.rule_statement(s, Some(all), now, deliver, body, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Traces over one step: exact where a side's traces are linear with constant coefficients.
    fn traces(&mut self, equations: &[(u32, ExprId, Span)], body: &mut RuleBody, rule: &mut Plasticity) {
        for side in [Place::Pre, Place::Post] {
            let mine: Vec<(u32, ExprId)> =
                equations.iter().filter(|(k, ..)| body.places[*k as usize] == side).map(|(k, e, _)| (*k, *e)).collect();
            if mine.is_empty() {
                continue;
            }
            let n = mine.len();
            let x = &mut body.exprs;
            let inside = |v: Variable| matches!(v, Variable::State(k) if mine.iter().any(|(m, _)| *m == k));
            let mut a = vec![0.0; n * n];
            let mut forcing = Vec::new();
            let mut exact = true;
            for (row, (_, rhs)) in mine.iter().enumerate() {
                let Some(l) = split(x, *rhs, &inside) else {
                    exact = false;
                    break;
                };
                for (v, c) in &l.coefficients {
                    let column = mine.iter().position(|(k, _)| *v == Variable::State(*k));
                    match (column, x.as_const(*c)) {
                        (Some(column), Some(c)) => a[row * n + column] = c,
                        _ => exact = false,
                    }
                }
                forcing.push(l.rest);
            }
            let names: Vec<&str> = mine.iter().map(|(k, _)| rule.variables[*k as usize].name.as_str()).collect();
            let whose = if side == Place::Pre { "presynaptic" } else { "postsynaptic" };
            if exact {
                let (p, phi) = matrix::propagator(&a, n, self.dt);
                for (row, (k, _)) in mine.iter().enumerate() {
                    let mut sum = x.real(0.0);
                    for (column, (other, _)) in mine.iter().enumerate() {
                        let (c, state) = (x.real(p[row * n + column]), x.intern(Expr::State(*other)));
                        let term = x.mul(c, state);
                        sum = x.add(sum, term);
                        if let Some(rest) = forcing[column] {
                            let c = x.real(phi[row * n + column]);
                            let term = x.mul(c, rest);
                            sum = x.add(sum, term);
                        }
                    }
                    rule.advance.push(Assign { state: *k, value: sum });
                }
                rule.notes.push(format!("traces {}: exact, once per {whose} neuron", names.join(", ")));
            } else {
                let mut exponential = true;
                for (k, rhs) in &mine {
                    let (value, linear) = held_step(x, *k, *rhs, self.dt);
                    exponential &= linear;
                    rule.advance.push(Assign { state: *k, value });
                }
                let solver = if exponential { "exponential Euler" } else { "forward Euler" };
                rule.notes.push(format!(
                    "traces {}: {solver}, not linear with constant coefficients, once per {whose} neuron",
                    names.join(", ")
                ));
            }
        }
    }

    /// Synaptic variables: their exact integral where every term is an exponential of time, over the time since the last event where
    /// nothing but levels has a part in it.
    fn drift(
        &mut self,
        equations: &[(u32, ExprId, Span)],
        body: &mut RuleBody,
        rule: &mut Plasticity,
        bounds: (f64, f64),
    ) {
        let mine: Vec<(u32, ExprId)> = equations
            .iter()
            .filter(|(k, ..)| body.places[*k as usize] == Place::Synapse)
            .map(|(k, e, _)| (*k, *e))
            .collect();
        if mine.is_empty() {
            return;
        }
        let levels: Vec<bool> = body.reads.iter().map(|r| !matches!(r, RuleRead::Cell(_))).collect();
        let bounded = bounds.0 > f64::NEG_INFINITY || bounds.1 < f64::INFINITY;
        let moving = moving(&mut body.exprs, equations);
        let mut solved: Vec<(u32, Option<Solved>, Result<bool, Stepped>)> = Vec::new();
        for (k, rhs) in &mine {
            let x = &mut body.exprs;
            let s = solve(x, *k, *rhs, &moving);
            let form = match &s {
                Err(why) => Err(*why),
                Ok(s) => s.waits(x, &body.places, &levels, *k == 0 && bounded),
            };
            solved.push((*k, s.ok(), form));
        }
        rule.lazy = solved.iter().all(|(.., form)| form.is_ok());
        let variable = |k: u32| rule.variables.get(k as usize).map_or("?", |v| v.name.as_str());
        let read = |k: u32| match body.reads.get(k as usize) {
            Some(RuleRead::Cell(name)) => name.as_str(),
            _ => "?",
        };
        let why = |s: &Stepped| s.words(&variable, &read);
        rule.stepped = solved
            .iter()
            .filter_map(|(k, _, f)| Some((*k, f.as_ref().err()?)))
            .map(|(k, s)| format!("`{}`: {}", variable(k), why(s)))
            .collect();
        let mut notes = Vec::new();
        let euler: Vec<(ExprId, bool)> =
            mine.iter().map(|(k, rhs)| held_step(&mut body.exprs, *k, *rhs, self.dt)).collect();
        for ((k, solver, form), (_, linear)) in solved.iter().zip(&euler) {
            let what = match form {
                Err(s) if solver.is_some() => format!("exact over every step: {}", why(s)),
                Err(s) if *linear => format!("exponential Euler in every step, no sum of exponentials: {}", why(s)),
                Err(s) => format!("forward Euler in every step, no sum of exponentials: {}", why(s)),
                Ok(_) if !rule.lazy => "exact over every step, along with the others".to_string(),
                Ok(false) => "exact, brought up to date when an event touches it".to_string(),
                Ok(true) => {
                    let turns =
                        if *k == 0 && bounded { ", and before its bounds could hold it while it turns" } else { "" };
                    format!("exact, brought up to date by running integrals of levels when an event touches it{turns}")
                }
            };
            notes.push(format!("synapse {}: {what}", variable(*k)));
        }
        rule.notes.extend(notes);
        let x = &mut body.exprs;
        let mut now = BTreeMap::new();
        for ((k, s, _), (held, _)) in solved.into_iter().zip(euler) {
            let old = x.intern(Expr::State(k));
            let value = match s {
                Some(s) if rule.lazy => s.over_time(x, old, self.dt, k == 0 && bounded, &mut rule.integrals),
                Some(s) => s.over_step(x, old, self.dt),
                None => held,
            };
            now.insert(k, value);
        }
        if now.contains_key(&0) {
            clipped(x, &mut now, bounds);
        }
        rule.drift = now.into_iter().map(|(state, value)| Assign { state, value }).collect();
    }
}

/// Variable `k` after one step over which everything else is held, and whether that is exact where its equation is linear in it
/// (exponential Euler, `x + dt f(x) exprel(a dt)`) or a step of forward Euler.
fn held_step(x: &mut Exprs, k: u32, rhs: ExprId, dt: f64) -> (ExprId, bool) {
    let rate =
        split(x, rhs, &|v| v == Variable::State(k)).and_then(|l| l.coefficients.get(&Variable::State(k)).copied());
    let dt = x.real(dt);
    let mut step = x.mul(dt, rhs);
    if let Some(rate) = rate {
        let exponent = x.mul(rate, dt);
        let relative = x.unary(UnaryOp::Exprel, exponent);
        step = x.mul(step, relative);
    }
    let old = x.intern(Expr::State(k));
    (x.add(old, step), rate.is_some())
}

/// `e` with what the handler wrote so far in the place of the variables.
pub(super) fn present(x: &mut Exprs, e: ExprId, now: &BTreeMap<u32, ExprId>) -> ExprId {
    if now.is_empty() {
        return e;
    }
    x.rewrite(e, &mut HashMap::new(), &mut |_, e| match e {
        Expr::State(k) => now.get(k).copied(),
        _ => None,
    })
}

/// The weight within its bounds, as it stands after what `now` says.
fn clipped(x: &mut Exprs, now: &mut BTreeMap<u32, ExprId>, bounds: (f64, f64)) -> ExprId {
    let Some(written) = now.get(&0).copied() else { return x.intern(Expr::State(0)) };
    let w = within(x, written, bounds);
    now.insert(0, w);
    w
}

fn clip(x: &mut Exprs, mut w: ExprId, (low, high): (f64, f64)) -> ExprId {
    if low > f64::NEG_INFINITY {
        let low = x.real(low);
        w = x.binary(BinaryOp::Max, w, low);
    }
    if high < f64::INFINITY {
        let high = x.real(high);
        w = x.binary(BinaryOp::Min, w, high);
    }
    w
}

/// What is written, within bounds: where a condition leaves the weight as it was, it is within them, and so is what was clipped.
fn within(x: &mut Exprs, value: ExprId, bounds: (f64, f64)) -> ExprId {
    let old = x.intern(Expr::State(0));
    match *x.get(value) {
        Expr::Select(c, a, b) if b == old => {
            let a = within(x, a, bounds);
            x.select(c, a, b)
        }
        Expr::Select(c, a, b) if a == old => {
            let b = within(x, b, bounds);
            x.select(c, a, b)
        }
        Expr::Select(c, a, b) if x.as_const(a).is_some() && x.as_const(b).is_some() => {
            let (a, b) = (clip(x, a, bounds), clip(x, b, bounds));
            x.select(c, a, b)
        }
        Expr::Binary(BinaryOp::Min | BinaryOp::Max, inner, _) => {
            // Bounds are constants, so the same clip of what is inside has the same name.
            let inside = match *x.get(inner) {
                Expr::Binary(BinaryOp::Max, inside, _) => inside,
                _ => inner,
            };
            let clipped = [inside, inner].into_iter().any(|w| clip(x, w, bounds) == value);
            if clipped { value } else { clip(x, value, bounds) }
        }
        _ => clip(x, value, bounds),
    }
}
