//! Neuron and source models: members, equations, receptors, spiking.

use super::error::*;
use super::expr::constant_number;
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{
    self, Assign, BinaryOp, CellStmt, Every, Expr, ExprKind, Integrate, Kind, Method, ModelId, SpikeRule, Type,
    ValueId, ValueKind,
};
use crate::syntax::ast;
use crate::units::Dimension;
use std::collections::HashMap;

const METHODS: [&str; 6] = ["exact", "exponential_euler", "rk4", "rkf45", "euler", "sequential_euler"];

impl Sema<'_> {
    pub(super) fn declare_model(&mut self, m: &ast::Model, scope: ScopeId) {
        let id = self.new_model(m);
        self.declare(scope, &m.name, Entity::Model(id));
    }

    /// Room for a model whose members are resolved later.
    pub(super) fn new_model(&mut self, m: &ast::Model) -> ModelId {
        let id = ModelId(self.program.models.len() as u32);
        self.program.models.push(hir::Model {
            name: m.name.text.clone(),
            source: m.kind == ast::ModelKind::Source,
            modulator: m.kind == ast::ModelKind::Modulator,
            level: None,
            events: Vec::new(),
            span: m.name.span,
            names: Vec::new(),
            states: Vec::new(),
            equations: Vec::new(),
            receptors: Vec::new(),
            pair_inputs: Vec::new(),
            spike: SpikeRule::Never,
            reset: Vec::new(),
            refractory: None,
            every: Vec::new(),
            integrate: None,
            compartments: Vec::new(),
            couplings: Vec::new(),
            axial: Vec::new(),
            xis: 0,
            broken: false,
        });
        id
    }

    pub(super) fn resolve_model(&mut self, id: ModelId, m: &ast::Model, file_scope: ScopeId) {
        let errors_before = self.diags.error_count();
        self.xis = 0;
        let scope = self.new_scope(Some(file_scope));
        let place = Place::Dynamics;
        let cx = Cx { scope, place: &place };
        let mut out = self.program.model(id).clone();

        // Names first: members may stand in any order.
        for member in &m.members {
            self.declare_member(member, scope, out.source, &mut out.names, &mut out.states);
        }
        self.declare_level_and_events(m, scope, &mut out);
        let inside = self.declare_compartments(id, &mut out, m, scope);
        for v in out.names.iter().chain(out.compartments.iter().flat_map(|c| &c.names)).copied().collect::<Vec<_>>() {
            self.ensure(v);
        }
        // What the values themselves declare is fixed now; `integrate with` and the rest read it.
        self.program.models[id.0 as usize] = out.clone();

        let mut spike_span: Option<Span> = None;
        for member in &m.members {
            match &member.kind {
                ast::MemberKind::Equation(e) => self.equation(&mut out, e, cx),
                ast::MemberKind::Input { name, formals: Some(formals), value: Some(value), .. } => {
                    self.pair_input(&mut out, name, formals, value, scope);
                }
                ast::MemberKind::Receptor { name, formals, body } => {
                    if out.source {
                        self.source_member("receptors", name.span);
                    }
                    self.receptor(&mut out, name, formals, body, scope);
                }
                ast::MemberKind::SpikeWhen { condition, body } => {
                    self.second_spike(&mut spike_span, member.span);
                    let c = self.condition(condition, cx);
                    let plain = matches!(&c.kind, ExprKind::Binary(BinaryOp::Ge | BinaryOp::Gt, ..));
                    if let Some(b) = body {
                        out.reset = self.assigns(&out, b, scope);
                    }
                    let resets = body.as_ref().is_some_and(|b| !b.stmts.is_empty());
                    if plain && !resets && !out.source && out.refractory.is_none() && !has_refractory(m) {
                        self.diags.push(
                            Diagnostic::warning(NO_RESET, "this cell spikes in every step above its threshold")
                                .label(condition.span, "nothing brings it back below")
                                .help("write `V crosses V_th` for one spike per upward crossing, or a reset `{ V = V_reset }`"),
                        );
                    }
                    out.spike = SpikeRule::When(c);
                }
                ast::MemberKind::SpikeAt { rate, body } => {
                    self.second_spike(&mut spike_span, member.span);
                    let r = self.expr(rate, cx, None);
                    if let Some(b) = body {
                        out.reset = self.assigns(&out, b, scope);
                    }
                    out.spike = if r.ty.dimension() == Dimension::TIME {
                        if !out.source {
                            self.diags.push(
                                Diagnostic::error(SOURCE_MODEL, "only a source spikes at given times")
                                    .label(rate.span, "this is a list of times")
                                    .help("a neuron spikes at a rate, or when a condition holds"),
                            );
                        }
                        SpikeRule::Times(r)
                    } else {
                        if self.scalar(&r) {
                            self.fits(
                                &r,
                                Dimension::RATE,
                                DIMENSION_MISMATCH,
                                "`spike at` takes a rate, or the times of a source",
                            );
                        }
                        SpikeRule::Rate(r)
                    };
                }
                ast::MemberKind::Refractory { time, holds } => {
                    let t = self.number(time, cx, Dimension::TIME);
                    let mut held = Vec::new();
                    for path in holds {
                        let name = &path.names[path.names.len() - 1];
                        if let [head, name] = path.names.as_slice() {
                            let head = ast::Expr { kind: ast::ExprKind::Name(head.text.clone()), span: head.span };
                            if let Some(v) = self.part_value(&head, name, path.span, cx) {
                                held.extend(self.part_state(v, path.span));
                                continue;
                            }
                        }
                        match self.lookup(scope, &name.text) {
                            Some(Entity::Value(v)) if out.states.contains(&v) => held.push(v),
                            _ => self.not_a_state(&out, name),
                        }
                    }
                    out.refractory = Some((t, held));
                }
                ast::MemberKind::IntegrateWith(e) => {
                    out.integrate = self.method(&out, e, cx).map(|method| Integrate { method, span: e.span });
                }
                ast::MemberKind::Every { period, body } => {
                    let every = self.every(&out, period, body, cx);
                    out.every.push(every);
                }
                ast::MemberKind::On { event, formals, body } => {
                    self.on_event(&mut out, event, formals.as_deref(), body, scope);
                }
                ast::MemberKind::Needs(ast::Needs::Event { .. }) | ast::MemberKind::Level(_) => {}
                ast::MemberKind::Needs(ast::Needs::Modulator { name, .. }) => self.diags.push(
                    Diagnostic::error(NOT_HERE, "a cell reads a modulator through a param")
                        .label(member.span, "rules and regions need modulators by name")
                        .help(format!(
                            "declare `param {0} = 0` and bind the modulator: {1}({0} = ...)",
                            name.text, out.name
                        )),
                ),
                ast::MemberKind::Needs(_) => self.diags.push(
                    Diagnostic::error(NOT_HERE, "a cell reads its own states")
                        .label(member.span, "what a plasticity rule needs of its cell")
                        .help("values of other cells come in through an input: `input I: current`"),
                ),
                ast::MemberKind::Event { name, .. } => self.diags.push(
                    Diagnostic::error(NOT_HERE, "an event is declared in the network that it is sent to")
                        .label(member.span, "in a model")
                        .help(format!(
                            "write `needs event {0}` here, and bind it where the model is used: {0} = ...",
                            name.text
                        )),
                ),
                ast::MemberKind::Param(_)
                | ast::MemberKind::Let(_)
                | ast::MemberKind::State(_)
                | ast::MemberKind::Input { .. }
                | ast::MemberKind::Output { .. }
                | ast::MemberKind::Noise(_)
                | ast::MemberKind::Compartment { .. }
                | ast::MemberKind::Couple { .. }
                | ast::MemberKind::For { .. }
                | ast::MemberKind::Broken => {}
            }
        }
        self.compartment_bodies(&mut out, m, &inside);
        out.xis = self.xis;
        out.broken = self.diags.error_count() > errors_before
            || m.members.iter().any(|m| matches!(m.kind, ast::MemberKind::Broken));
        self.program.models[id.0 as usize] = out;
    }

    pub(super) fn source_member(&mut self, what: &str, span: Span) {
        self.diags.push(
            Diagnostic::error(SOURCE_MODEL, format!("a source has no {what}"))
                .label(span, "here")
                .help("a source only sends; write it as a `neuron` if something lands on it"),
        );
    }

    fn second_spike(&mut self, first: &mut Option<Span>, span: Span) {
        if let Some(first) = *first {
            self.diags.push(
                Diagnostic::error(SECOND_SPIKE_RULE, "a model has one `spike`")
                    .label(span, "second")
                    .label(first, "first")
                    .help("join the conditions: `spike when a or b`"),
            );
        }
        *first = Some(span);
    }

    pub(super) fn equation(&mut self, out: &mut hir::Model, e: &ast::Equation, cx: Cx) {
        let state = match self.lookup(cx.scope, &e.name.text) {
            Some(Entity::Value(v)) if out.states.contains(&v) => v,
            Some(Entity::Poison) => return,
            found => {
                self.not_a_state(out, &e.name);
                // Its other uses would say the same.
                if found.is_none() {
                    self.poison(cx.scope, &e.name);
                }
                self.expr(&e.value, cx, None);
                return;
            }
        };
        if out.equations.iter().any(|q| q.state == state) {
            self.diags.push(
                Diagnostic::error(SECOND_EQUATION, format!("`{}` has two equations", e.name.text))
                    .label(e.name.span, "second one")
                    .help("add the terms in one equation"),
            );
        }
        let ty = self.program.value(state).ty;
        let known = ty.kind != Kind::Unknown;
        let dim = ty.dimension() / Dimension::TIME;
        let value = self.expr(&e.value, cx, Some(dim).filter(|_| known));
        if known && self.scalar(&value) {
            let x = &e.name.text;
            let of = in_words(self.program.value(state).ty.dimension());
            let why = format!("`{x}` {of}, so `{x}'` is {}", dimension_words(dim));
            self.fits(&value, dim, EQUATION_DIMENSION, &why);
        }
        self.no_draw(&value, "`xi` is the noise of an equation");
        out.equations.push(hir::Equation { state, value });
    }

    /// A distribution is drawn once per neuron, when the network is built: in a statement that runs at every step or spike it would
    /// be the same number for ever, which nobody means.
    fn no_draw(&mut self, e: &Expr, help: &str) {
        let mut found: Option<Span> = None;
        super::query::walk(e, &mut |x| {
            if matches!(x.kind, ExprKind::Draw { .. }) {
                found.get_or_insert(x.span);
            }
            true
        });
        if let Some(span) = found {
            self.diags.push(
                Diagnostic::error(NOT_HERE, "a distribution is drawn once per neuron, not at every step")
                    .label(span, "would be one number for ever")
                    .help(help.to_string()),
            );
        }
    }

    fn not_a_state(&mut self, out: &hir::Model, name: &ast::Name) {
        let states: Vec<String> = out.states.iter().map(|s| self.program.value(*s).name.clone()).collect();
        let near = did_you_mean(&name.text, states.iter().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
        let help = near.or_else(|| Some(format!("declare it: `state {} = ...`", name.text)));
        self.diags.push(
            Diagnostic::error(UNKNOWN_STATE, format!("`{}` is not a state of `{}`", name.text, out.name))
                .label(name.span, "not a state")
                .maybe_help(help),
        );
    }

    pub(super) fn receptor(
        &mut self,
        out: &mut hir::Model,
        name: &ast::Name,
        formals: &[ast::Formal],
        body: &ast::Block,
        scope: ScopeId,
    ) {
        let inner = self.new_scope(Some(scope));
        let [formal] = formals else {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, format!("receptor `{}` takes one weight", name.text))
                    .label(name.span, format!("{} arguments", formals.len()))
                    .help(format!("receptor {}(w: current) {{ ... }}", name.text)),
            );
            return;
        };
        if out.receptors.iter().any(|r| r.name == name.text) {
            self.diags.push(
                Diagnostic::error(NAME_TAKEN, format!("there are two receptors `{}`", name.text))
                    .label(name.span, "second one"),
            );
        }
        let dim = match &formal.dim {
            Some(d) => match self.dimension(d) {
                Some(dim) => dim,
                None => return,
            },
            None => {
                self.diags.push(
                    Diagnostic::error(
                        UNKNOWN_DIMENSION,
                        format!("the weight of receptor `{}` has no dimension", name.text),
                    )
                    .label(formal.name.span, "write it: w: current")
                    .help("it is the dimension of the weights of all projections that land here"),
                );
                return;
            }
        };
        let weight = self.new_value(&formal.name, Type::quantity(dim), ValueKind::Formal);
        self.declare_formal(inner, &formal.name, weight);
        let errors = self.diags.error_count();
        let assigns = self.assigns(out, body, inner);
        if self.diags.error_count() == errors {
            for (a, s) in assigns.iter().zip(&body.stmts) {
                self.check_linear(a, weight, s.span);
            }
        }
        out.receptors.push(hir::Receptor { name: name.text.clone(), span: name.span, weight, dim, body: assigns });
    }

    /// The body runs once for the sum of what arrives, and in every step: it must add what is proportional to the weight.
    fn check_linear(&mut self, a: &Assign, weight: ValueId, span: Span) {
        let degree = match &a.value.kind {
            ExprKind::Binary(BinaryOp::Add | BinaryOp::Sub, x, added) if matches!(x.kind, ExprKind::Value(v) if v == a.state) => {
                self.degree(added, weight, &mut HashMap::new())
            }
            _ => None,
        };
        if degree != Some(Degree::Linear) {
            self.diags.push(
                Diagnostic::error(RECEPTOR_NOT_LINEAR, "a receptor adds what is proportional to the weight")
                    .label(span, if degree == Some(Degree::Constant) { "this does not depend on the weight" } else { "not linear in the weight" })
                    .help("what arrives in one step is summed first, so write `x += w` or `x += c * w`; what depends on the sender belongs in a plasticity rule's `deliver`"),
            );
        }
    }

    fn degree(&self, e: &Expr, weight: ValueId, lets: &mut HashMap<ValueId, Option<Degree>>) -> Option<Degree> {
        use Degree::*;
        let both = |a: Option<Degree>, b: Option<Degree>| Some((a?, b?));
        match &e.kind {
            ExprKind::Value(v) if *v == weight => Some(Linear),
            ExprKind::Value(v) => match &self.program.value(*v).kind {
                ValueKind::Let(inner) => match lets.get(v) {
                    Some(known) => *known,
                    None => {
                        let degree = stack::deep(|| self.degree(inner, weight, lets));
                        lets.insert(*v, degree);
                        degree
                    }
                },
                _ => Some(Constant),
            },
            ExprKind::Unary(hir::UnaryOp::Neg, a) => self.degree(a, weight, lets),
            ExprKind::Binary(BinaryOp::Add | BinaryOp::Sub, a, b) => {
                match both(self.degree(a, weight, lets), self.degree(b, weight, lets))? {
                    (x, y) if x == y => Some(x),
                    _ => None,
                }
            }
            ExprKind::Binary(BinaryOp::Mul, a, b) => {
                match both(self.degree(a, weight, lets), self.degree(b, weight, lets))? {
                    (Linear, Linear) => None,
                    (Constant, Constant) => Some(Constant),
                    _ => Some(Linear),
                }
            }
            ExprKind::Binary(BinaryOp::Div, a, b) => {
                match both(self.degree(a, weight, lets), self.degree(b, weight, lets))? {
                    (x, Constant) => Some(x),
                    _ => None,
                }
            }
            _ => {
                let mut reads = false;
                super::query::walk(e, &mut |x| {
                    reads |= matches!(x.kind, ExprKind::Value(v) if v == weight);
                    true
                });
                (!reads).then_some(Constant)
            }
        }
    }

    /// Statements of a receptor or a reset: assignments to states, lets before them.
    pub(super) fn assigns(&mut self, out: &hir::Model, block: &ast::Block, scope: ScopeId) -> Vec<Assign> {
        let place = Place::Dynamics;
        let inner = self.new_scope(Some(scope));
        let cx = Cx { scope: inner, place: &place };
        let mut list = Vec::new();
        for s in &block.stmts {
            match &s.kind {
                ast::StmtKind::Assign { target, op, value } => {
                    list.extend(self.cell_assign(out, target, *op, value, s.span, cx));
                }
                ast::StmtKind::Let(l) => {
                    let id = self.declare_let(l, inner, Place::Dynamics);
                    self.ensure(id);
                }
                ast::StmtKind::Broken => {}
                _ => {
                    let branch = matches!(s.kind, ast::StmtKind::If(_));
                    self.diags.push(
                        Diagnostic::error(ASSIGN_TARGET, "a receptor or a reset only assigns to states")
                            .label(s.span, "not an assignment")
                            .maybe_help(branch.then(|| "assign a choice: `x = if c then a else b`".to_string())),
                    );
                }
            }
        }
        list
    }

    /// `every 1 s { ... }` of a model or of a compartment.
    pub(super) fn every(&mut self, out: &hir::Model, period: &ast::Expr, body: &ast::Block, cx: Cx) -> Every {
        let period = self.number(period, cx, Dimension::TIME);
        Every { period, body: self.cell_block(out, body, cx) }
    }

    fn cell_block(&mut self, out: &hir::Model, block: &ast::Block, cx: Cx) -> Vec<CellStmt> {
        let cx = Cx { scope: self.new_scope(Some(cx.scope)), place: cx.place };
        let mut list = Vec::new();
        for s in &block.stmts {
            match &s.kind {
                ast::StmtKind::Assign { target, op, value } => {
                    list.extend(self.cell_assign(out, target, *op, value, s.span, cx).map(CellStmt::Set));
                }
                ast::StmtKind::Let(l) => {
                    let id = self.declare_let(l, cx.scope, Place::Dynamics);
                    self.ensure(id);
                }
                ast::StmtKind::If(i) => list.push(self.cell_branch(out, i, cx)),
                ast::StmtKind::Broken => {}
                _ => self.diags.push(
                    Diagnostic::error(ASSIGN_TARGET, "`every` in a model assigns to states and branches")
                        .label(s.span, "neither")
                        .help("what happens to a whole network at intervals stands in a phase of `sleep`, or in a loop of an experiment"),
                ),
            }
        }
        list
    }

    fn cell_branch(&mut self, out: &hir::Model, i: &ast::StmtIf, cx: Cx) -> CellStmt {
        let condition = self.condition(&i.condition, cx);
        self.no_draw(&condition, "draw it into a param");
        let then = self.cell_block(out, &i.then, cx);
        let otherwise = match &i.otherwise {
            Some(ast::StmtElse::Block(b)) => self.cell_block(out, b, cx),
            Some(ast::StmtElse::If(next)) => vec![self.cell_branch(out, next, cx)],
            None => Vec::new(),
        };
        CellStmt::If(condition, then, otherwise)
    }

    /// `x += 1` where `x` is a state of the cell.
    fn cell_assign(
        &mut self,
        out: &hir::Model,
        target: &ast::Expr,
        op: ast::AssignOp,
        value: &ast::Expr,
        span: Span,
        cx: Cx,
    ) -> Option<Assign> {
        let state = match &target.kind {
            ast::ExprKind::Name(n) => {
                let name = ast::Name { text: n.clone(), span: target.span };
                match self.lookup(cx.scope, n) {
                    Some(Entity::Value(v)) if out.states.contains(&v) => Some(v),
                    Some(Entity::Poison) => None,
                    _ => {
                        self.not_a_state(out, &name);
                        None
                    }
                }
            }
            ast::ExprKind::Field(base, name) => match self.part_value(base, name, target.span, cx) {
                Some(v) => self.part_state(v, target.span),
                None => {
                    self.not_a_state(out, name);
                    None
                }
            },
            _ => {
                self.diags.push(
                    Diagnostic::error(ASSIGN_TARGET, "only a state of this cell can be assigned")
                        .label(target.span, "not a state's name"),
                );
                None
            }
        };
        let dim = state.map(|v| self.program.value(v).ty.dimension());
        let by_number = matches!(op, ast::AssignOp::Multiply | ast::AssignOp::Divide);
        let want = if by_number { Some(Dimension::NUMBER) } else { dim };
        let v = self.expr(value, cx, want);
        let (state, want) = (state?, want?);
        if self.program.value(state).ty.kind == Kind::Unknown || !self.scalar(&v) {
            return None;
        }
        let name = self.program.value(state).name.clone();
        let why = if by_number {
            format!("`{name}` is scaled by a number")
        } else {
            format!("`{name}` is {}", dimension_words(want))
        };
        self.fits(&v, want, DIMENSION_MISMATCH, &why);
        self.no_draw(&v, "draw it into a param, or let `xi` move a state");
        let value = combine(self.program.value(state).ty, state, op, v, span);
        Some(Assign { state, value })
    }

    /// A value of a compartment that is assigned or held: it must be a state.
    fn part_state(&mut self, v: ValueId, span: Span) -> Option<ValueId> {
        match &self.program.value(v).kind {
            ValueKind::Part { value, .. } if matches!(self.program.value(*value).kind, ValueKind::State { .. }) => {
                Some(v)
            }
            ValueKind::Part { .. } => {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_STATE, format!("`{}` is not a state", self.program.value(v).name))
                        .label(span, "only a state moves"),
                );
                None
            }
            _ => None,
        }
    }

    pub(super) fn method(&mut self, out: &hir::Model, e: &ast::Expr, cx: Cx) -> Option<Method> {
        let (name, args) = e.named().unwrap_or(("", &[]));
        if name == "rkf45" {
            return self.rkf45(args, cx);
        }
        let mut substeps = 1_u32;
        let mut per_state = Vec::new();
        for arg in args {
            let count = self.number(&arg.value, cx, Dimension::NUMBER);
            let n = constant_number(&count).filter(|v| *v >= 1.0 && *v <= 1000.0 && *v == v.trunc());
            let Some(n) = n else {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_METHOD, "sub-steps are a whole number from 1 to 1000")
                        .label(arg.span, "here"),
                );
                return None;
            };
            let state = arg
                .name
                .as_ref()
                .and_then(|n| out.states.iter().copied().find(|s| self.program.value(*s).name == n.text));
            match (&arg.name, name, state) {
                (Some(key), "rk4" | "euler", _) if key.text == "substeps" => substeps = n as u32,
                (Some(_), "sequential_euler", Some(state)) => per_state.push((state, n as u32)),
                _ => {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_METHOD, format!("`{name}` has no such setting"))
                            .label(arg.span, "here")
                            .help("rk4(substeps = n), euler(substeps = n), sequential_euler(STATE = n)"),
                    );
                    return None;
                }
            }
        }
        match name {
            "exact" => Some(Method::Exact),
            "exponential_euler" => Some(Method::ExponentialEuler),
            "rk4" => Some(Method::Rk4 { substeps }),
            "euler" => Some(Method::Euler { substeps }),
            "sequential_euler" => Some(Method::SequentialEuler { substeps: per_state }),
            _ => {
                let near = did_you_mean(name, METHODS);
                let help = near
                    .map_or_else(|| format!("methods are {}", METHODS.join(", ")), |n| format!("did you mean `{n}`?"));
                self.diags.push(
                    Diagnostic::error(UNKNOWN_METHOD, "this is no method of integration")
                        .label(e.span, "not known")
                        .help(help),
                );
                None
            }
        }
    }
}

impl Sema<'_> {
    /// `rkf45(tolerance = 1e-6, step = 0.1 ms)`: both may be left out.
    fn rkf45(&mut self, args: &[ast::Arg], cx: Cx) -> Option<Method> {
        let (mut tolerance, mut longest) = (1e-6, None);
        for arg in args {
            let key = arg.name.as_ref().map_or("", |n| n.text.as_str());
            let dim = if key == "step" { Dimension::TIME } else { Dimension::NUMBER };
            let value = self.number(&arg.value, cx, dim);
            let value = constant_number(&value).filter(|v| *v > 0.0 && v.is_finite());
            match (key, value) {
                ("tolerance", Some(v)) if v < 1.0 => tolerance = v,
                ("step", Some(v)) => longest = Some(v),
                _ => {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_METHOD, "rkf45 takes a tolerance below 1 and its longest step")
                            .label(arg.span, "neither, or not a positive constant")
                            .help("rkf45(tolerance = 1e-6), rkf45(tolerance = 1e-6, step = 0.05 ms)"),
                    );
                    return None;
                }
            }
        }
        Some(Method::Rkf45 { tolerance, longest })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Degree {
    Constant,
    Linear,
}

fn has_refractory(m: &ast::Model) -> bool {
    m.members.iter().any(|m| matches!(m.kind, ast::MemberKind::Refractory { .. }))
}

/// `x op= v` as the new value of x.
pub(super) fn combine(ty: Type, state: ValueId, op: ast::AssignOp, v: Expr, span: Span) -> Expr {
    let op = match op {
        ast::AssignOp::Set => return v,
        ast::AssignOp::Add => BinaryOp::Add,
        ast::AssignOp::Subtract => BinaryOp::Sub,
        ast::AssignOp::Multiply => BinaryOp::Mul,
        ast::AssignOp::Divide => BinaryOp::Div,
    };
    let x = Expr { kind: ExprKind::Value(state), span, ty };
    Expr { kind: ExprKind::Binary(op, Box::new(x), Box::new(v)), span, ty }
}
