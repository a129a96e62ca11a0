//! Expressions into the IR, and the dynamics of one population: params bound, equations translated, receptors and resets.
//!
//! What a kernel computes stays in the population's own arena; what is the same in every step (a param drawn per neuron, `1 / tau`
//! of heterogeneous neurons, an index into a table) is lifted into a param that is filled when the network is built.

use super::error::*;
use super::plasticity::RuleRead;
use super::{Fail, Lowering, reads};
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{self, ExprKind, ModelId, SpikeRule, ValueId, ValueKind};
use crate::ir::{
    self, Assign, Attribute, BinaryOp, Compare, Derived, Dynamics, Expr, ExprId, Exprs, Observable, Param, ParamKind,
    Receptor, Refractory, Side, Spike, State, Table, UnaryOp,
};
use crate::script::{Func, Value};
use crate::units::{self, Dimension};
use std::collections::{BTreeSet, HashMap};

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
    pub tables: &'m mut HashMap<ValueId, u32>,
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

    fn body(&self) -> Option<&Body> {
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
        self.dynamics.params.push(Param { name, dimension, kind, settable });
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
    /// Translates an expression into the arena of `cx`.
    pub(super) fn translate(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        self.nest(e.span, |me| me.translate_node(e, cx))
    }

    fn translate_node(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        if self.plain(e, cx) {
            let v = self.constant(e)?;
            let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))?;
            return Ok(cx.arena().real(v));
        }
        // In dynamics, what no step changes is computed once per neuron.
        if matches!(cx.mode, Mode::Dynamics(_))
            && cx.formals.is_empty()
            && !matches!(e.kind, ExprKind::Value(_))
            && self.unchanging(e, cx)
        {
            return self.lift(e, cx);
        }
        match &e.kind {
            ExprKind::Const(v) => {
                let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))?;
                Ok(cx.arena().real(v))
            }
            ExprKind::Step => {
                let dt = self.dt;
                Ok(cx.arena().real(dt))
            }
            ExprKind::Time => match cx.mode {
                Mode::Dynamics(_) | Mode::Rule(_) => Ok(cx.arena().intern(Expr::Time)),
                Mode::Build { .. } => Err(not_static(e.span, "time")),
            },
            ExprKind::Value(id) => self.translate_value(*id, e.span, cx),
            ExprKind::Index(side) => self.leaf(Expr::Element(side_of(*side), Attribute::Index), cx),
            ExprKind::Attribute(side, name) => self.attribute(*side, name, e.span, cx),
            ExprKind::Distance => self.translate_distance(e.span, cx),
            ExprKind::Xi(k) => self.noise((Some(*k), None), e.span, cx),
            ExprKind::Unary(op, a) => {
                let a = self.translate(a, cx)?;
                let op = match op {
                    hir::UnaryOp::Neg => UnaryOp::Neg,
                    hir::UnaryOp::Not => UnaryOp::Not,
                };
                Ok(cx.arena().unary(op, a))
            }
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.translate(a, cx)?, self.translate(b, cx)?);
                Ok(binary(cx.arena(), *op, a, b))
            }
            ExprKind::Crosses(a, b) => {
                let (a, b) = (self.translate(a, cx)?, self.translate(b, cx)?);
                let x = cx.arena();
                let below = x.compare(Compare::Lt, a, b);
                let below = x.intern(Expr::Before(below));
                let above = x.compare(Compare::Ge, a, b);
                Ok(x.binary(BinaryOp::And, below, above))
            }
            ExprKind::In(v, lo, hi) => {
                let (v, lo, hi) = (self.translate(v, cx)?, self.translate(lo, cx)?, self.translate(hi, cx)?);
                let x = cx.arena();
                let (above, below) = (x.compare(Compare::Ge, v, lo), x.compare(Compare::Le, v, hi));
                Ok(x.binary(BinaryOp::And, above, below))
            }
            ExprKind::If(c, a, b) => {
                let (c, a, b) = (self.translate(c, cx)?, self.translate(a, cx)?, self.translate(b, cx)?);
                Ok(cx.arena().select(c, a, b))
            }
            ExprKind::Call(f, args) => self.call(*f, args, e.span, cx),
            ExprKind::Apply(id, args) => {
                let program = self.program;
                let ValueKind::Function { formals, value } = &program.value(*id).kind else {
                    return Err(not_static(e.span, "this"));
                };
                let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
                let saved = cx.formals.clone();
                cx.formals.extend(formals.iter().copied().zip(args));
                let out = self.deeper(e.span, |s| s.translate(value, cx));
                cx.formals = saved;
                out
            }
            ExprKind::Draw { distribution, args, site } => {
                if matches!(cx.mode, Mode::Dynamics(_)) {
                    return self.lift(e, cx);
                }
                if let (Mode::Rule(_), [p]) = (&cx.mode, args.as_slice()) {
                    // Drawn anew for each synapse and event.
                    let p = self.translate(p, cx)?;
                    let u = cx.arena().intern(Expr::Uniform);
                    return Ok(cx.arena().compare(Compare::Lt, u, p));
                }
                let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
                Ok(cx.network.build.intern(Expr::Random { distribution: *distribution, args, site: *site }))
            }
            ExprKind::IndexList(list, slots) => self.index(list, slots, e.span, cx),
            ExprKind::SumIn => match &mut cx.mode {
                Mode::Rule(body) => Ok(body.read(RuleRead::Total)),
                _ => Err(not_static(e.span, "`sum_in`")),
            },
            ExprKind::SumOut => match &mut cx.mode {
                Mode::Rule(body) => Ok(body.read(RuleRead::TotalOut)),
                _ => Err(not_static(e.span, "`sum_out`")),
            },
            ExprKind::Column(name) => match &cx.mode {
                Mode::Build { columns, .. } => match columns.iter().position(|c| c == name) {
                    Some(k) => Ok(cx.network.build.intern(Expr::Column(k as u32))),
                    None => Err(Diagnostic::error(EDGE_LIST, format!("the edge file has no column `{name}`"))
                        .label(e.span, "not found")
                        .help(if columns.is_empty() {
                            "column(...) reads the file of `connect edges(\"...\")`".to_string()
                        } else {
                            format!("its columns are {}", columns.join(", "))
                        })),
                },
                Mode::Dynamics(_) | Mode::Rule(_) => Err(not_static(e.span, "a column")),
            },
            _ => Err(Diagnostic::error(EVALUATION, "this can't be computed for each neuron or synapse")
                .label(e.span, "lists and statistics belong to an experiment")),
        }
    }

    fn deeper<T>(&mut self, span: Span, f: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        self.depth += 1;
        if self.depth > 200 {
            self.depth -= 1;
            return Err(Diagnostic::error(EVALUATION, "definitions that need each other more than 200 deep")
                .label(span, "needed here"));
        }
        let out = stack::deep(|| f(self));
        self.depth = self.depth.saturating_sub(1);
        out
    }

    /// Known without a neuron, a synapse or a step, and not through a param of the model at hand.
    fn plain(&self, e: &hir::Expr, cx: &Cx) -> bool {
        let program = self.program;
        !reads(e, program, &mut |x| match &x.kind {
            ExprKind::Time
            | ExprKind::Index(_)
            | ExprKind::Attribute(..)
            | ExprKind::Xi(_)
            | ExprKind::Draw { .. }
            | ExprKind::Column(_)
            | ExprKind::SumIn
            | ExprKind::SumOut
            | ExprKind::Distance
            | ExprKind::Crosses(..) => true,
            ExprKind::Value(id) => {
                cx.formals.contains_key(id)
                    || match &program.value(*id).kind {
                        ValueKind::State { .. }
                        | ValueKind::Input
                        | ValueKind::Noise
                        | ValueKind::Axis(_)
                        | ValueKind::Coordinate(_)
                        | ValueKind::Trace(_)
                        | ValueKind::Sensor(_)
                        | ValueKind::Level(_)
                        | ValueKind::Synapse => true,
                        // Formals of functions inside are bound by their call; those of this place were looked at above.
                        ValueKind::Formal => false,
                        ValueKind::Param { .. } => self.of_model(*id, cx),
                        _ => false,
                    }
            }
            _ => false,
        })
    }

    fn of_model(&self, id: ValueId, cx: &Cx) -> bool {
        cx.body().is_some_and(|b| self.program.model(b.model).names.contains(&id))
    }

    /// The same in every step: reads no state, input, noise or time, nor a param that follows them.
    fn unchanging(&self, e: &hir::Expr, cx: &Cx) -> bool {
        let program = self.program;
        let Some(body) = cx.body() else { return true };
        !reads(e, program, &mut |x| match &x.kind {
            ExprKind::Time | ExprKind::Xi(_) | ExprKind::Crosses(..) => true,
            ExprKind::Value(id) => match &program.value(*id).kind {
                ValueKind::State { .. } | ValueKind::Input | ValueKind::Noise => true,
                ValueKind::Sensor(_) | ValueKind::Level(_) => true,
                ValueKind::Formal => cx.formals.contains_key(id),
                ValueKind::Param { .. } => match body.bound.get(id) {
                    Some(Bound::Live(_)) => true,
                    Some(Bound::Slot(k)) => body.dynamics.params[*k as usize].settable,
                    Some(_) => false,
                    // Not bound yet: bind it first by translating it alone.
                    None => program.model(body.model).names.contains(id),
                },
                _ => false,
            },
            _ => false,
        })
    }

    /// Whether a value follows time or what is set.
    pub(super) fn varies(&self, e: &hir::Expr, cx: &Cx) -> bool {
        !self.unchanging(e, cx)
    }

    /// Translates what stays the same for a neuron into the arena of the build.
    pub(super) fn build_own(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(e.span, "this")) };
        let mut inner = Cx {
            network: cx.network,
            mode: Mode::Build { own: Some(body), ends: None, columns: &[] },
            formals: HashMap::new(),
            tables: cx.tables,
            lets: HashMap::new(),
        };
        self.translate(e, &mut inner)
    }

    fn lift(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let built = self.build_own(e, cx)?;
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(e.span, "this")) };
        Ok(body.lifted(&cx.network.build, built, "fixed"))
    }

    fn leaf(&mut self, e: Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let built = cx.network.build.intern(e);
        match &mut cx.mode {
            Mode::Build { .. } | Mode::Rule(_) => Ok(built),
            Mode::Dynamics(body) => Ok(body.lifted(&cx.network.build, built, "element")),
        }
    }

    fn noise(&mut self, key: (Option<u32>, Option<ValueId>), span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        match &mut cx.mode {
            Mode::Dynamics(body) => {
                let next = body.noise_leaves.len() as u32;
                let k = *body.noise_leaves.entry(key).or_insert(next);
                Ok(body.dynamics.exprs.intern(Expr::Noise(k)))
            }
            Mode::Build { .. } | Mode::Rule(_) => Err(not_static(span, "noise")),
        }
    }

    pub(super) fn translate_value(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let Some(e) = cx.formals.get(&id) {
            return Ok(*e);
        }
        let program = self.program;
        match &program.value(id).kind {
            ValueKind::Param { .. } => {
                if !self.of_model(id, cx) {
                    let v = self.param_value(id)?;
                    let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(span, "here"))?;
                    return Ok(cx.arena().real(v));
                }
                let bound = self.bound(id, span, cx)?;
                match (bound, &mut cx.mode) {
                    (Bound::Const(v), _) => Ok(cx.arena().real(v)),
                    (Bound::Slot(k), Mode::Dynamics(body)) => Ok(body.dynamics.exprs.intern(Expr::Param(k))),
                    (Bound::Slot(k), Mode::Build { .. }) => {
                        Ok(cx.network.build.intern(Expr::Element(Side::Own, Attribute::Param(k))))
                    }
                    (Bound::Live(e), Mode::Dynamics(_)) => Ok(e),
                    (Bound::Slot(_), Mode::Rule(_)) => Err(not_static(span, "a param of a cell")),
                    (Bound::Live(_), Mode::Build { .. } | Mode::Rule(_)) => {
                        Err(not_static(span, "a param that follows time"))
                    }
                    (Bound::List(_), _) => {
                        Err(Diagnostic::error(EVALUATION, "this param is a list").label(span, "one number is needed"))
                    }
                }
            }
            ValueKind::State { .. } => match &cx.mode {
                Mode::Dynamics(body) => {
                    let k = self.state_index(body.model, id);
                    Ok(cx.arena().intern(Expr::State(k)))
                }
                Mode::Build { .. } | Mode::Rule(_) => Err(not_static(span, "a state")),
            },
            ValueKind::Trace(_) | ValueKind::Synapse => match &mut cx.mode {
                Mode::Rule(body) => {
                    let k = body.variables.get(&id).copied().unwrap_or(0);
                    Ok(body.exprs.intern(Expr::State(k)))
                }
                _ => Err(not_static(span, "what belongs to a rule")),
            },
            ValueKind::Input => self.input(id, span, cx),
            ValueKind::Sensor(k) => self.sensed(id, *k, &[], span, cx),
            ValueKind::Level(p) => self.level_read(id, *p, span, cx),
            ValueKind::Let(inner) => {
                if reads_draw(inner, program) && matches!(cx.mode, Mode::Build { .. }) && !self.model_let(id, cx) {
                    let table = self.random_table(id, &[], inner, span, cx)?;
                    return Ok(cx.network.build.intern(Expr::Table { table, indices: Vec::new() }));
                }
                if reads_draw(inner, program) && !self.model_let(id, cx) {
                    let e = hir::Expr { kind: ExprKind::Value(id), span, ty: inner.ty };
                    return self.lift(&e, cx);
                }
                if let Some(done) = cx.lets.get(&id) {
                    return Ok(*done);
                }
                // A let sees the names around its definition, never the formals of a call it is used in.
                let formals = std::mem::take(&mut cx.formals);
                let value = self.deeper(span, |s| s.translate(inner, cx));
                cx.formals = formals;
                let value = value?;
                cx.lets.insert(id, value);
                Ok(value)
            }
            ValueKind::Output(inner) => self.deeper(span, |s| s.translate(inner, cx)),
            ValueKind::Axis(k) => self.leaf(Expr::Element(Side::Own, Attribute::Axis(*k)), cx),
            ValueKind::Coordinate(k) => {
                let bound = cx.body().and_then(|b| b.coordinates.get(*k as usize)).cloned();
                match bound {
                    Some(Bound::Slot(k)) => self.leaf(Expr::Element(Side::Own, Attribute::Param(k)), cx),
                    Some(Bound::Const(v)) => Ok(cx.arena().real(v)),
                    _ => Err(not_static(span, "a position")),
                }
            }
            ValueKind::Noise => self.noise((None, Some(id)), span, cx),
            ValueKind::Label(k) => {
                let v = f64::from(*k);
                Ok(cx.arena().real(v))
            }
            _ => {
                let e = hir::Expr { kind: ExprKind::Value(id), span, ty: program.value(id).ty };
                let v = self.constant(&e)?;
                let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(span, "here"))?;
                Ok(cx.arena().real(v))
            }
        }
    }

    fn model_let(&self, id: ValueId, cx: &Cx) -> bool {
        self.of_model(id, cx)
    }

    pub(super) fn state_index(&self, model: ModelId, id: ValueId) -> u32 {
        self.program.model(model).states.iter().position(|s| *s == id).unwrap_or(0) as u32
    }

    /// Binds a param of the model on first need.
    fn bound(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<Bound, Fail> {
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
        Ok(Bound::Slot(body.param(shown, dim, ParamKind::PerNeuron(built), settable)))
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
    fn input(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
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

    fn attribute(&mut self, side: hir::Side, name: &str, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let Mode::Rule(body) = &mut cx.mode {
            return Ok(body.read(RuleRead::Cell(name.to_string())));
        }
        let Mode::Build { ends: Some((pre, post)), .. } = &cx.mode else {
            return Err(not_static(span, "an end of a projection"));
        };
        let (info, side) = if side == hir::Side::Pre { (*pre, Side::Pre) } else { (*post, Side::Post) };
        if let Some(k) = info.axes.iter().position(|a| a == name) {
            return Ok(cx.network.build.intern(Expr::Element(side, Attribute::Axis(k as u32))));
        }
        match info.params.get(name) {
            Some(Bound::Const(v)) => {
                let v = *v;
                Ok(cx.network.build.real(v))
            }
            Some(Bound::Slot(k)) => {
                let k = *k;
                Ok(cx.network.build.intern(Expr::Element(side, Attribute::Param(k))))
            }
            _ => Err(Diagnostic::error(EVALUATION, format!("`{name}` has no fixed value at this end"))
                .label(span, "it follows time, or is not a param of these cells")),
        }
    }

    fn call(&mut self, f: Func, args: &[hir::Expr], span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let (Func::Dot, [a, b]) = (f, args) {
            return self.dot(a, b, span, cx);
        }
        if f.reduces() || f == Func::Subsets {
            return Err(Diagnostic::error(
                EVALUATION,
                format!("`{f}` of a list can't be computed for each neuron or synapse"),
            )
            .label(span, "here"));
        }
        let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
        let x = cx.arena();
        if let (Some(op), [a]) = (UnaryOp::of_func(f), args.as_slice()) {
            return Ok(x.unary(op, *a));
        }
        let reduced = match f {
            Func::Min => args.into_iter().reduce(|a, b| x.binary(BinaryOp::Min, a, b)),
            Func::Max => args.into_iter().reduce(|a, b| x.binary(BinaryOp::Max, a, b)),
            Func::Clip => match args.as_slice() {
                [v, lo, hi] => {
                    let above = x.binary(BinaryOp::Max, *v, *lo);
                    Some(x.binary(BinaryOp::Min, above, *hi))
                }
                _ => None,
            },
            Func::Sign => args.first().map(|a| {
                let (zero, one) = (x.real(0.0), x.real(1.0));
                let minus = x.real(-1.0);
                let (up, down) = (x.compare(Compare::Gt, *a, zero), x.compare(Compare::Lt, *a, zero));
                let below = x.select(down, minus, zero);
                x.select(up, one, below)
            }),
            _ => None,
        };
        reduced
            .ok_or_else(|| Diagnostic::error(EVALUATION, format!("`{f}` can't be computed here")).label(span, "here"))
    }

    /// An element of a constant or random table.
    fn index(&mut self, list: &hir::Expr, slots: &[hir::Slot], span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let ExprKind::Value(id) = &list.kind
            && let ValueKind::Sensor(k) = self.program.value(*id).kind
        {
            return self.sensed(*id, k, slots, span, cx);
        }
        if matches!(cx.mode, Mode::Dynamics(_)) {
            let e = hir::Expr { kind: ExprKind::IndexList(Box::new(list.clone()), slots.to_vec()), span, ty: list.ty };
            if self.unchanging(&e, cx) {
                return self.lift(&e, cx);
            }
            return Err(Diagnostic::error(EVALUATION, "a table is indexed by what stays the same in every step")
                .label(span, "the index varies in time"));
        }
        let indices = slots
            .iter()
            .map(|s| match s {
                hir::Slot::At(e) => self.translate(e, cx),
                hir::Slot::Range(..) => {
                    Err(Diagnostic::error(EVALUATION, "one element is needed here").label(span, "a range of them"))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let ExprKind::Value(id) = &list.kind
            && let ValueKind::Table { axes, value } = &self.program.value(*id).kind
            && reads_draw(value, self.program)
        {
            let (axes, value) = (axes.clone(), value.clone());
            let table = self.random_table(*id, &axes, &value, span, cx)?;
            return Ok(cx.network.build.intern(Expr::Table { table, indices }));
        }
        let value = self.constant(list)?;
        let mut shape = Vec::new();
        let data = dense(&value, &mut shape, 0).ok_or_else(|| {
            Diagnostic::error(EVALUATION, "this table is ragged: its rows have different lengths")
                .label(list.span, "indexed here")
        })?;
        if indices.len() != shape.len() {
            return Err(Diagnostic::error(
                EVALUATION,
                format!("{} indices into a table {} deep", indices.len(), shape.len()),
            )
            .label(span, "one number is needed here"));
        }
        let name = match &list.kind {
            ExprKind::Value(id) => self.name(*id).to_string(),
            _ => "list".to_string(),
        };
        let table = Table { name, shape, data, draw: None };
        let k = match cx.network.tables.iter().position(|t| *t == table) {
            Some(k) => k,
            None => {
                cx.network.tables.push(table);
                cx.network.tables.len() - 1
            }
        };
        Ok(cx.network.build.intern(Expr::Table { table: k as u32, indices }))
    }

    /// A let with draws in it: one table, filled once when the network is built, so that all its readers see the same numbers.
    pub(super) fn random_table(
        &mut self,
        id: ValueId,
        axes: &[hir::TableAxis],
        value: &hir::Expr,
        span: Span,
        cx: &mut Cx,
    ) -> Result<u32, Fail> {
        if let Some(k) = cx.tables.get(&id) {
            return Ok(*k);
        }
        let mut shape = Vec::new();
        let mut formals = HashMap::new();
        for (k, axis) in axes.iter().enumerate() {
            shape.push(self.constant_count(&axis.size, 100_000_000)? as u32);
            if let Some(v) = axis.variable {
                let at = cx.network.build.intern(Expr::Element(Side::Own, Attribute::Axis(k as u32)));
                formals.insert(v, at);
            }
        }
        let mut inner = Cx {
            network: cx.network,
            mode: Mode::Build { own: None, ends: None, columns: &[] },
            formals,
            tables: cx.tables,
            lets: HashMap::new(),
        };
        let draw = self.deeper(span, |s| s.translate(value, &mut inner))?;
        let name = self.name(id).to_string();
        cx.network.tables.push(Table { name, shape, data: Vec::new(), draw: Some(draw) });
        let k = cx.network.tables.len() as u32 - 1;
        cx.tables.insert(id, k);
        Ok(k)
    }

    /// Everything of a population but its arrivals.
    pub(super) fn body(
        &mut self,
        body: &mut Body,
        network: &mut ir::Network,
        tables: &mut HashMap<ValueId, u32>,
    ) -> Result<(), Fail> {
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
            SpikeRule::Times(_) => Spike::Schedule(Vec::new()),
        };
        let reset = self.assign_list(&model.reset, &mut cx)?;
        let spike = match spike {
            Spike::When(condition) => Spike::When(kept_from_the_start(condition, &mut cx)),
            other => other,
        };
        if let Mode::Dynamics(body) = &mut cx.mode {
            body.dynamics.spike = spike;
            body.dynamics.reset = reset;
        }
        Ok(())
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
        tables: &mut HashMap<ValueId, u32>,
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

fn body_model(cx: &Cx) -> ModelId {
    cx.body().map_or(ModelId(0), |b| b.model)
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

pub(super) fn reads_draw(e: &hir::Expr, program: &hir::Program) -> bool {
    reads(e, program, &mut |x| matches!(x.kind, ExprKind::Draw { .. }))
}

fn side_of(side: hir::Side) -> Side {
    match side {
        hir::Side::Own => Side::Own,
        hir::Side::Pre => Side::Pre,
        hir::Side::Post => Side::Post,
    }
}

pub(super) fn binary(x: &mut Exprs, op: hir::BinaryOp, a: ExprId, b: ExprId) -> ExprId {
    use hir::BinaryOp as H;
    match op {
        H::Add => x.binary(BinaryOp::Add, a, b),
        H::Sub => x.binary(BinaryOp::Sub, a, b),
        H::Mul => x.binary(BinaryOp::Mul, a, b),
        H::Div => x.binary(BinaryOp::Div, a, b),
        H::Pow => x.binary(BinaryOp::Pow, a, b),
        H::And => x.binary(BinaryOp::And, a, b),
        H::Or => x.binary(BinaryOp::Or, a, b),
        H::Eq => x.compare(Compare::Eq, a, b),
        H::Ne => x.compare(Compare::Ne, a, b),
        H::Lt => x.compare(Compare::Lt, a, b),
        H::Le => x.compare(Compare::Le, a, b),
        H::Gt => x.compare(Compare::Gt, a, b),
        H::Ge => x.compare(Compare::Ge, a, b),
    }
}

/// Row-major numbers of a rectangular nested list.
fn dense(v: &Value, shape: &mut Vec<u32>, depth: usize) -> Option<Vec<f64>> {
    match v {
        Value::List(_) | Value::Mask(_) => {
            let items = v.elements();
            match shape.get(depth) {
                Some(n) if *n as usize != items.len() => return None,
                Some(_) => {}
                None => shape.push(items.len() as u32),
            }
            let mut out = Vec::new();
            for i in &items {
                out.extend(dense(i, shape, depth + 1)?);
            }
            Some(out)
        }
        scalar if shape.len() == depth => Some(vec![scalar.number().ok()?]),
        _ => None,
    }
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

fn not_static(span: Span, what: &str) -> Fail {
    Diagnostic::error(EVALUATION, format!("{what} can't be read here"))
        .label(span, "this place is computed when the network is built")
}
