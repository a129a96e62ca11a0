//! Experiments: statements in the order of time, in the scope of their network.

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, BinaryOp, Kind, NetworkId, Plot, Record, Stmt, StmtKind, Type, ValueKind};
use crate::script::PlotKind;
use crate::syntax::ast;
use crate::units::Dimension;
use std::collections::BTreeMap;

/// What the statements of one experiment have in common while they are resolved.
pub(super) struct Flow {
    pub network: NetworkId,
    /// The outermost scope.
    root: ScopeId,
    records: Vec<Record>,
    plots: Vec<Plot>,
    /// Loop and sweep variables by name: the columns of the rows.
    variables: BTreeMap<String, hir::ValueId>,
    measures: BTreeMap<String, Type>,
    windows: Vec<(String, Span)>,
}

impl Flow {
    fn new(network: NetworkId, root: ScopeId) -> Flow {
        Flow {
            network,
            root,
            records: Vec::new(),
            plots: Vec::new(),
            variables: BTreeMap::new(),
            measures: BTreeMap::new(),
            windows: Vec::new(),
        }
    }
}

impl Sema<'_> {
    /// Statements that neither move time nor name windows: those of an environment.
    pub(super) fn computing(&mut self, block: &ast::Block, scope: ScopeId, place: &Place) -> Vec<Stmt> {
        // Only windows ask for the network.
        self.statements(block, scope, place, &mut Flow::new(NetworkId(0), scope))
    }

    pub(super) fn resolve_experiment(&mut self, e: &ast::Experiment, file_scope: ScopeId) {
        let errors = self.diags.error_count();
        let Some(network) = self.experiment_network(&e.of, file_scope) else { return };
        let scope = self.new_scope(Some(self.network_scopes[network.0 as usize]));
        // The experiment's own file may import more than the network's.
        for (name, entity) in self.scopes[file_scope.0].names.clone() {
            if self.lookup(scope, &name).is_none() {
                self.scopes[scope.0].names.insert(name, entity);
            }
        }
        let place = Place::Experiment(network);
        let cx = Cx { scope, place: &place };
        self.measured.clear();
        let mut flow = Flow::new(network, scope);
        self.environments.clear();
        let mut out = hir::Experiment {
            name: e.name.text.clone(),
            span: e.name.span,
            network,
            args: Vec::new(),
            names: Vec::new(),
            seeds: None,
            sweeps: Vec::new(),
            environments: Vec::new(),
            records: Vec::new(),
            plots: Vec::new(),
            body: Vec::new(),
            conclude: Vec::new(),
            curves: Vec::new(),
            fronts: Vec::new(),
            broken: false,
        };
        // Declarations hold wherever they stand.
        for item in &e.body {
            match &item.kind {
                ast::ExperimentKind::Param(list) => {
                    out.names.extend(self.declare_params(list, scope, &Place::Constant))
                }
                ast::ExperimentKind::Labels(l) => self.declare_labels(l, scope),
                ast::ExperimentKind::Environment { name, model } => self.environment(name, model, scope),
                _ => {}
            }
        }
        let constant = Place::Constant;
        for item in &e.body {
            match &item.kind {
                ast::ExperimentKind::Sweep(l) => {
                    let loops = self.loops(std::slice::from_ref(l), scope, &constant);
                    for l in &loops {
                        flow.variables.insert(self.program.value(l.variable).name.clone(), l.variable);
                    }
                    out.sweeps.extend(loops);
                }
                ast::ExperimentKind::Seeds(n) => {
                    if out.seeds.is_some() {
                        self.diags.push(
                            Diagnostic::error(NAME_TAKEN, "`seeds` is given twice").label(item.span, "second one"),
                        );
                    }
                    out.seeds = Some(self.number(n, Cx { scope, place: &constant }, Dimension::NUMBER));
                }
                _ => {}
            }
        }
        out.args = self.bind_network(network, &e.of, Cx { scope, place: &constant });
        self.bind_environments(&e.body, scope);
        for item in &e.body {
            match &item.kind {
                ast::ExperimentKind::Stmt(s) => self.statement(s, item.span, cx, &mut flow, &mut out.body),
                ast::ExperimentKind::Record { what, of, every } => self.record(what, of, every.as_ref(), cx, &mut flow),
                ast::ExperimentKind::Plot(p) => self.plot(p, item.span, cx, &mut flow),
                _ => {}
            }
        }
        for item in &e.body {
            if let ast::ExperimentKind::Conclude(items) = &item.kind {
                self.conclude(items, scope, &mut flow, &mut out);
            }
        }
        out.environments = std::mem::take(&mut self.environments);
        out.records = flow.records;
        out.plots = flow.plots;
        out.broken = self.diags.error_count() > errors;
        self.program.experiments.push(out);
    }

    fn experiment_network(&mut self, of: &ast::Instance, scope: ScopeId) -> Option<NetworkId> {
        let (head, rest) = of.path.names.split_first()?;
        let Some(mut entity) = self.lookup(scope, &head.text) else {
            let networks: Vec<String> = self
                .visible(scope)
                .into_iter()
                .filter(|n| matches!(self.lookup(scope, n), Some(Entity::Network(_))))
                .collect();
            let near = did_you_mean(&head.text, networks.iter().map(String::as_str));
            self.diags.push(
                Diagnostic::error(UNKNOWN_NAME, format!("there is no network `{}` here", head.text))
                    .label(head.span, "not found")
                    .maybe_help(near.map(|n| format!("did you mean `{n}`?"))),
            );
            return None;
        };
        for name in rest {
            entity = self.member_of(&entity, name)?;
        }
        match entity {
            Entity::Network(n) => Some(n),
            Entity::Poison => None,
            other => {
                self.diags.push(
                    Diagnostic::error(
                        WRONG_THING,
                        format!("an experiment is `of` a network; this is {}", other.words()),
                    )
                    .label(of.path.span, "not a network"),
                );
                None
            }
        }
    }

    pub(super) fn statements(
        &mut self,
        block: &ast::Block,
        scope: ScopeId,
        place: &Place,
        flow: &mut Flow,
    ) -> Vec<Stmt> {
        let cx = Cx { scope, place };
        let mut out = Vec::new();
        for s in &block.stmts {
            self.statement(&s.kind, s.span, cx, flow, &mut out);
        }
        out
    }

    fn statement(&mut self, s: &ast::StmtKind, span: Span, cx: Cx, flow: &mut Flow, out: &mut Vec<Stmt>) {
        let mut push = |kind| out.push(Stmt { kind, span });
        match s {
            ast::StmtKind::Simulate { time, window } => {
                let time = self.number(time, cx, Dimension::TIME);
                if let Some(w) = window {
                    self.declare_window(w, flow);
                }
                push(StmtKind::Simulate { time, window: window.as_ref().map(|w| w.text.clone()) });
            }
            ast::StmtKind::Set(set) => self.set(set, cx, &mut push),
            ast::StmtKind::Let(l) => {
                if !matches!(l.params, ast::LetParams::None) {
                    // A table or function is declared and stays one: it reads no run.
                    let id = self.declare_let(l, cx.scope, cx.place.clone());
                    self.ensure(id);
                    if !matches!(self.program.value(id).kind, ValueKind::Table { .. }) {
                        return;
                    }
                    let def = self.program.value(id).clone();
                    if let ValueKind::Table { axes, value } = def.kind {
                        let unnamed = axes.iter().all(|a| a.variable.is_none());
                        if unnamed {
                            self.told.insert(id, value.clone());
                        }
                        let whole = unnamed && value.ty.rank as usize >= axes.len();
                        self.program.values[id.0 as usize].kind = ValueKind::Variable;
                        push(StmtKind::Fill { variable: id, axes, value, whole });
                    }
                    return;
                }
                let value = self.expr(&l.value, cx, None);
                let ty = Type { dim: Some(value.ty.dimension()), ..value.ty };
                let id = self.new_value(&l.name, ty, ValueKind::Variable);
                self.declare(cx.scope, &l.name, Entity::Value(id));
                self.told.insert(id, value.clone());
                push(StmtKind::Assign { variable: id, slots: Vec::new(), op: None, value });
            }
            ast::StmtKind::Var { name, axes, value } => {
                let (axes, inner) = match axes {
                    Some(axes) => self.table_axes(axes, cx),
                    None => (Vec::new(), cx.scope),
                };
                let value = self.expr(value, Cx { scope: inner, place: cx.place }, None);
                let rank = value.ty.rank + axes.len() as u8;
                let ty = Type { dim: Some(value.ty.dimension()), ..value.ty }.with_rank(rank);
                let id = self.new_value(name, ty, ValueKind::Variable);
                self.mutable.insert(id);
                self.declare(cx.scope, name, Entity::Value(id));
                push(StmtKind::Fill { variable: id, axes, value, whole: false });
            }
            ast::StmtKind::Assign { target, op, value } => self.assign(target, *op, value, cx, &mut push),
            ast::StmtKind::For { loops, body } => {
                let inner = self.new_scope(Some(cx.scope));
                let loops = self.loops(loops, inner, cx.place);
                for l in &loops {
                    let name = self.program.value(l.variable).name.clone();
                    flow.variables.entry(name).or_insert(l.variable);
                }
                let turns = self.in_turns(loops, &mut |s| {
                    let turn = s.new_scope(Some(inner));
                    s.statements(body, turn, cx.place, flow)
                });
                turns.into_iter().for_each(|(loops, body)| push(StmtKind::For { loops, body }));
            }
            ast::StmtKind::Repeat { times, until, body } => {
                let times = self.number(times, cx, Dimension::NUMBER);
                let until = until.as_ref().map(|u| self.condition(u, cx));
                let inner = self.new_scope(Some(cx.scope));
                let body = self.statements(body, inner, cx.place, flow);
                push(StmtKind::Repeat { times, until, body });
            }
            ast::StmtKind::If(i) => {
                let kind = self.stmt_if(i, cx, flow);
                push(kind);
            }
            ast::StmtKind::Expect(e) => {
                let kind = self.expect(e, cx);
                push(kind);
            }
            ast::StmtKind::Measure { name, value } => {
                let value = self.expr(value, cx, None);
                if value.ty.rank > 0 || value.ty.kind == Kind::Mask {
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, "`measure` writes one value")
                            .label(value.span, "a list")
                            .help("measure its elements in a loop, or an aggregate of it"),
                    );
                }
                self.measured.insert(name.text.clone());
                self.measure_hides_nothing(name, cx.scope);
                let old = flow.measures.insert(name.text.clone(), value.ty);
                if let Some(old) = old
                    && value.ty.kind != Kind::Unknown
                    && old.kind != Kind::Unknown
                    && old.dimension() != value.ty.dimension()
                {
                    self.diags.push(
                        Diagnostic::error(
                            DIMENSION_MISMATCH,
                            format!("`{}` was measured as {} before", name.text, dimension_words(old.dimension())),
                        )
                        .label(value.span, dimension_words(value.ty.dimension())),
                    );
                }
                push(StmtKind::Measure { name: name.text.clone(), value });
            }
            ast::StmtKind::Broken => {}
            ast::StmtKind::Deliver(_) | ast::StmtKind::RemoveWhen(_) => self.diags.push(
                Diagnostic::error(NOT_HERE, "this statement belongs to a plasticity rule")
                    .label(span, "not in an experiment"),
            ),
            ast::StmtKind::Update { target, body } => {
                for target in self.each_of(target, cx.scope) {
                    let Some(projection) = self.projections_of(&target, cx) else { return };
                    let (scope, variables) = self.update_scope(&projection, target.span, cx);
                    let body = self.statements(body, scope, cx.place, flow);
                    push(StmtKind::Update { projection, variables, body });
                }
            }
            ast::StmtKind::Downscale { targets, by } => {
                let by = self.number(by, cx, Dimension::NUMBER);
                let targets = self.spread_all(targets, cx.scope);
                let of = targets.iter().filter_map(|t| self.projections_of(t, cx)).collect();
                push(StmtKind::Downscale { of, by });
            }
            ast::StmtKind::Switch(s) => {
                if let Some(of) = self.switched(s, cx) {
                    push(StmtKind::Learning { on: s.on, of });
                }
            }
            ast::StmtKind::Reset { what, of } => {
                if let Some(kind) = self.reset(what, of, cx) {
                    push(kind);
                }
            }
            ast::StmtKind::Sleep { schedule, cycles } => {
                if let Some(kind) = self.sleep(schedule, cycles, cx, flow) {
                    push(kind);
                }
            }
            ast::StmtKind::Step { environment, lasting } => {
                if let Some(kind) = self.step_environment(environment, lasting.as_ref(), cx) {
                    push(kind);
                }
            }
            ast::StmtKind::Emit { event, after } => {
                if let Some(kind) = self.emit(event, after.as_ref(), cx) {
                    push(kind);
                }
            }
        }
    }

    /// One name may mark several windows: the latest holds. Its second declaration is no clash.
    pub(super) fn declare_window(&mut self, w: &ast::Name, flow: &mut Flow) {
        if !flow.windows.iter().any(|(n, _)| *n == w.text) {
            flow.windows.push((w.text.clone(), w.span));
            self.declare(flow.root, w, Entity::Window);
        }
    }

    /// What one may want to set but can't: a value of the network or of the experiment.
    fn out_of_reach(&self, target: &ast::Expr, cx: Cx) -> Option<Diagnostic> {
        let ast::ExprKind::Name(name) = &target.kind else { return None };
        let Entity::Value(_) = self.lookup(cx.scope, name)? else { return None };
        let help = "a variable is assigned to without `set`; a param of the network is swept, or a param of cells set: `set E.bias = 5 mV`";
        Some(
            Diagnostic::error(NOT_SETTABLE, format!("`{name}` is not of the cells"))
                .label(target.span, "`set` writes an input or a param of cells")
                .help(help),
        )
    }

    pub(super) fn set(&mut self, set: &ast::Set, cx: Cx, push: &mut dyn FnMut(StmtKind)) {
        for target in self.each_of(&set.target, cx.scope) {
            self.set_one(&ast::Set { target, ..set.clone() }, cx, push);
        }
    }

    fn set_one(&mut self, set: &ast::Set, cx: Cx, push: &mut dyn FnMut(StmtKind)) {
        if let Some(kind) = self.set_sensor(set, cx) {
            kind.into_iter().for_each(push);
            return;
        }
        let lasting = set.lasting.as_ref().map(|t| self.number(t, cx, Dimension::TIME));
        if let ast::ExprKind::Field(base, member) = &set.target.kind
            && member.text == "gain"
            && let Some(Entity::Projection(projection)) = self.thing(base, cx.scope)
        {
            let value = self.number(&set.value, cx, Dimension::NUMBER);
            push(StmtKind::SetGain { projection, op: set_op(set.op), value, lasting });
            return;
        }
        if let Some(d) = self.out_of_reach(&set.target, cx) {
            self.diags.push(d);
            self.expr(&set.value, cx, None);
            return;
        }
        let Some(s) = self.select(&set.target, cx) else {
            self.expr(&set.value, cx, None);
            return;
        };
        let p = self.population_of(&s).clone();
        if !self.part_is_one(&s) {
            self.expr(&set.value, cx, None);
            return;
        }
        let names = self.selected_names(&s);
        let settable: Vec<&(String, hir::ValueId)> = names
            .iter()
            .filter(|(_, v)| matches!(self.program.value(*v).kind, ValueKind::Input | ValueKind::Param { .. }))
            .collect();
        let found = s.member.as_ref().and_then(|m| settable.iter().find(|(n, _)| *n == m.text).map(|(_, v)| *v));
        let Some(v) = found else {
            if !self.program.model(p.model).broken {
                let all: Vec<&str> = settable.iter().map(|(n, _)| n.as_str()).collect();
                let near = s.member.as_ref().and_then(|m| did_you_mean(&m.text, all.iter().copied()));
                let help = near.map_or_else(
                    || if all.is_empty() { "it has neither".to_string() } else { format!("it has {}", all.join(", ")) },
                    |n| format!("did you mean `{n}`?"),
                );
                self.diags.push(
                    Diagnostic::error(NOT_SETTABLE, format!("`set` writes an input or a param of `{}`", p.name))
                        .label(set.target.span, "not one")
                        .help(help),
                );
            }
            self.expr(&set.value, cx, None);
            return;
        };
        let ty = self.program.value(v).ty;
        let scale = set.op == ast::AssignOp::Multiply;
        let dim = if scale { Dimension::NUMBER } else { ty.dimension() };
        let value = self.expr(&set.value, cx, Some(dim));
        if ty.kind == Kind::Unknown {
            return;
        }
        let name = s.member.as_ref().map(|m| m.text.clone()).unwrap_or_default();
        if !matches!(value.ty.kind, Kind::Number | Kind::Unknown) {
            self.scalar(&value);
            return;
        }
        let why =
            if scale { "a factor is a number".to_string() } else { format!("`{name}` is {}", dimension_words(dim)) };
        self.fits(&value, dim, DIMENSION_MISMATCH, &why);
        push(StmtKind::Set { target: s.cells, name, op: set_op(set.op), value, lasting });
    }

    fn assign(
        &mut self,
        target: &ast::Expr,
        op: ast::AssignOp,
        value: &ast::Expr,
        cx: Cx,
        push: &mut dyn FnMut(StmtKind),
    ) {
        let (name, slots, span): (&str, &[ast::Slot], Span) = match &target.kind {
            ast::ExprKind::Name(n) => (n, &[], target.span),
            ast::ExprKind::Index(base, slots) => match &base.kind {
                ast::ExprKind::Name(n) => (n, slots, base.span),
                _ => ("", &[], target.span),
            },
            _ => ("", &[], target.span),
        };
        let variable = match self.lookup(cx.scope, name) {
            Some(Entity::Value(v)) if self.mutable.contains(&v) => v,
            Some(Entity::Poison) => return,
            found => {
                let d = Diagnostic::error(ASSIGN_TARGET, "only a `var` of the experiment can be assigned");
                let d = match found {
                    Some(Entity::Value(v)) if matches!(self.program.value(v).kind, ValueKind::Variable) => {
                        let declared = self.program.value(v).span;
                        d.label(span, "keeps the value that it was given")
                            .label(declared, "declared here")
                            .help(format!("declare it as what changes: `var {name} = ..`"))
                    }
                    _ => {
                        let example = if name.is_empty() { "x" } else { name };
                        d.label(span, "not a variable").help(format!(
                            "declare it: `var {example} = 0`; a circuit's inputs and params are written with `set`"
                        ))
                    }
                };
                self.diags.push(d);
                self.expr(value, cx, None);
                return;
            }
        };
        let ty = self.program.value(variable).ty;
        let mut out_slots = Vec::new();
        for s in slots {
            match s {
                ast::Slot::At(e) => out_slots.push(self.number(e, cx, Dimension::NUMBER)),
                ast::Slot::Range(..) => {
                    self.diags.push(
                        Diagnostic::error(ASSIGN_TARGET, "one element at a time is assigned").label(span, "a range"),
                    );
                    return;
                }
            }
        }
        let by_number = matches!(op, ast::AssignOp::Multiply | ast::AssignOp::Divide);
        let dim = if by_number { Dimension::NUMBER } else { ty.dimension() };
        let value = self.expr(value, cx, Some(dim));
        let why = format!("`{name}` is {}", dimension_words(ty.dimension()));
        self.fits(&value, dim, DIMENSION_MISMATCH, &why);
        let op = match op {
            ast::AssignOp::Set => None,
            ast::AssignOp::Add => Some(BinaryOp::Add),
            ast::AssignOp::Subtract => Some(BinaryOp::Sub),
            ast::AssignOp::Multiply => Some(BinaryOp::Mul),
            ast::AssignOp::Divide => Some(BinaryOp::Div),
        };
        push(StmtKind::Assign { variable, slots: out_slots, op, value });
    }

    fn stmt_if(&mut self, i: &ast::StmtIf, cx: Cx, flow: &mut Flow) -> StmtKind {
        let condition = self.condition(&i.condition, cx);
        // As in a circuit: of a turn that is resolved by itself, the branch that it takes.
        let taken = self.settled(&condition);
        let inner = self.new_scope(Some(cx.scope));
        let then = match taken {
            Some(false) => Vec::new(),
            _ => self.statements(&i.then, inner, cx.place, flow),
        };
        let otherwise = match i.otherwise.as_ref().filter(|_| taken != Some(true)) {
            None => Vec::new(),
            Some(ast::StmtElse::Block(b)) => {
                let inner = self.new_scope(Some(cx.scope));
                self.statements(b, inner, cx.place, flow)
            }
            Some(ast::StmtElse::If(next)) => {
                let kind = self.stmt_if(next, cx, flow);
                vec![Stmt { kind, span: next.condition.span }]
            }
        };
        StmtKind::If { condition, then, otherwise }
    }

    fn expect(&mut self, e: &ast::Expect, cx: Cx) -> StmtKind {
        let condition = self.condition(&e.condition, cx);
        let within = e.within.as_ref().map(|w| {
            // `within 5 %` is relative, `within 2 ms` absolute: the unit says which.
            let relative = matches!(&w.kind, ast::ExprKind::Number { unit: Some(u), .. } if u.text == "%");
            let dim = if relative { Dimension::NUMBER } else { self.compared_dimension(&condition) };
            (self.number(w, cx, dim), relative)
        });
        if within.is_some() && !matches!(&condition.kind, hir::ExprKind::Binary(BinaryOp::Eq, ..)) {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, "`within` goes with `==`").label(condition.span, "not an equality"),
            );
        }
        let text = self.sources.snippet(e.condition.span).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = match &e.within {
            Some(w) => format!("{text} within {}", self.sources.snippet(w.span)),
            None => text,
        };
        StmtKind::Expect { condition, within, text }
    }

    fn compared_dimension(&self, condition: &hir::Expr) -> Dimension {
        match &condition.kind {
            hir::ExprKind::Binary(_, a, b) => a.ty.dim.or(b.ty.dim).unwrap_or(Dimension::NUMBER),
            _ => Dimension::NUMBER,
        }
    }

    fn record(&mut self, what: &[ast::Name], of: &[ast::Expr], every: Option<&ast::Expr>, cx: Cx, flow: &mut Flow) {
        let every = every.map(|e| self.number(e, cx, Dimension::TIME));
        for target in &self.spread_all(of, cx.scope) {
            for name in what {
                if name.text == "weights" {
                    if let Some(projection) = self.projections_of(target, cx) {
                        flow.records.push(Record::Weights { projection, every: every.clone(), span: name.span });
                    }
                    continue;
                }
                if name.text == "spikes" {
                    if let Some(cells) = self.cells(target, cx) {
                        flow.records.push(Record::Spikes(cells));
                    }
                    continue;
                }
                let Some(s) = self.select(target, cx) else { continue };
                if let Some(member) = &s.member {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_MEMBER, "cells are expected after `of`")
                            .label(member.span, "a member of their model")
                            .help(format!("write `record {} of ...` with the cells alone", name.text)),
                    );
                    continue;
                }
                if self.observable(&s, name).is_some() {
                    flow.records.push(Record::Observable {
                        of: s.cells,
                        name: name.text.clone(),
                        every: every.clone(),
                        span: name.span,
                    });
                }
            }
        }
    }

    fn plot(&mut self, p: &ast::Plot, span: Span, cx: Cx, flow: &mut Flow) {
        let kind = match p.kind.text.as_str() {
            "raster" => PlotKind::Raster,
            "trace" => PlotKind::Trace,
            "rate" => PlotKind::Rate,
            "isi" => PlotKind::Isi,
            "weights" => {
                let targets: Vec<ast::Expr> = p.of.iter().flat_map(|a| self.each_of(&a.value, cx.scope)).collect();
                let weights = targets.iter().filter_map(|t| self.projections_of(t, cx)).collect();
                flow.plots.push(Plot { kind: PlotKind::Weights, of: Vec::new(), weights, span });
                return;
            }
            other => {
                let near = did_you_mean(other, ["raster", "trace", "rate", "isi", "weights"]);
                self.diags.push(
                    Diagnostic::error(UNKNOWN_MEMBER, format!("there is no plot `{other}`"))
                        .label(p.kind.span, "not known")
                        .help(
                            near.map_or(
                                "plots are raster, trace, rate, isi, weights, and curve and pareto in `conclude`"
                                    .to_string(),
                                |n| format!("did you mean `{n}`?"),
                            ),
                        ),
                );
                return;
            }
        };
        let mut of = Vec::new();
        let targets: Vec<ast::Expr> = p.of.iter().flat_map(|a| self.each_of(&a.value, cx.scope)).collect();
        for target in targets {
            let Some(s) = self.select(&target, cx) else { continue };
            match (&s.member, kind) {
                (Some(m), PlotKind::Trace) => {
                    let m = m.clone();
                    if self.observable(&s, &m).is_some() {
                        of.push((s.cells, Some(m.text)));
                    }
                }
                (None, PlotKind::Trace) => self.diags.push(
                    Diagnostic::error(WRONG_THING, "a trace is of a state")
                        .label(target.span, "cells alone")
                        .help("write E.V"),
                ),
                _ => {
                    if let Some(cells) = self.cells(&target, cx) {
                        of.push((cells, None));
                    }
                }
            }
        }
        flow.plots.push(Plot { kind, of, weights: Vec::new(), span });
    }

    fn conclude(
        &mut self,
        items: &[ast::Documented<ast::ConcludeKind>],
        scope: ScopeId,
        flow: &mut Flow,
        out: &mut hir::Experiment,
    ) {
        let inner = self.new_scope(Some(scope));
        let place = Place::Conclude(flow.network);
        let cx = Cx { scope: inner, place: &place };
        for (name, ty) in flow.measures.clone() {
            let name = ast::Name { text: name, span: out.span };
            let ty = Type { dim: Some(ty.dimension()), ..ty };
            let id = self.new_value(&name, ty, ValueKind::Measure);
            if self.lookup(inner, &name.text).is_none() {
                self.declare(inner, &name, Entity::Value(id));
            }
        }
        for (name, id) in &flow.variables {
            if self.lookup(inner, name).is_none() {
                self.scopes[inner.0].names.insert(name.clone(), Entity::Value(*id));
            }
        }
        let seed = ast::Name { text: "seed".to_string(), span: out.span };
        if self.lookup(inner, "seed").is_none() {
            let id = self.new_value(&seed, Type::NUMBER, ValueKind::Variable);
            self.declare(inner, &seed, Entity::Value(id));
            out.names.push(id);
        }
        for item in items {
            match &item.kind {
                ast::ConcludeKind::Let(l) => {
                    let value = self.expr(&l.value, cx, None);
                    let ty = Type { dim: Some(value.ty.dimension()), ..value.ty };
                    let id = self.new_value(&l.name, ty, ValueKind::Variable);
                    self.declare(inner, &l.name, Entity::Value(id));
                    let kind = StmtKind::Assign { variable: id, slots: Vec::new(), op: None, value };
                    out.conclude.push(Stmt { kind, span: item.span });
                }
                ast::ConcludeKind::Expect(e) => {
                    let kind = self.expect(e, cx);
                    out.conclude.push(Stmt { kind, span: item.span });
                }
                ast::ConcludeKind::Plot(p) => match p.kind.text.as_str() {
                    "curve" => {
                        for arg in &p.of {
                            if let Some((e, _)) = self.grouped(arg, cx) {
                                out.curves.push((e, arg.span));
                            }
                        }
                    }
                    "pareto" => self.pareto(p, cx, out),
                    _ => self.diags.push(
                        Diagnostic::error(NOT_HERE, "`conclude` plots curves and Pareto fronts over rows")
                            .label(p.kind.span, "belongs before `conclude`"),
                    ),
                },
            }
        }
    }

    /// `plot pareto of mean(correct by model), -mean(joules by model)`: what is better the larger it is, all by one variable.
    fn pareto(&mut self, p: &ast::Plot, cx: Cx, out: &mut hir::Experiment) {
        if p.of.len() < 2 {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, "a Pareto front is of two aims or more")
                    .label(p.kind.span, "of one the best is its largest")
                    .help("write plot pareto of mean(correct by model), -mean(joules by model)"),
            );
            return;
        }
        let found: Vec<_> = p.of.iter().map(|arg| (self.grouped(arg, cx), arg.span)).collect();
        let mut names = found.iter().filter_map(|(g, span)| g.as_ref().map(|(_, by)| (by.clone(), *span)));
        if let Some((first, at)) = names.next()
            && let Some((other, span)) = names.find(|(by, _)| *by != first)
        {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, "the aims of a Pareto front are `by` one variable")
                    .label(at, format!("by `{first}`"))
                    .label(span, format!("by `{other}`")),
            );
            return;
        }
        let aims: Vec<(hir::Expr, Span)> =
            found.into_iter().filter_map(|(g, span)| g.map(|(e, _)| (e, span))).collect();
        if aims.len() == p.of.len() {
            out.fronts.push(aims);
        }
    }

    /// One number for each value of a variable of the rows, and the variable: `mean(m by x)`, or a formula over such.
    fn grouped(&mut self, arg: &ast::Arg, cx: Cx) -> Option<(hir::Expr, String)> {
        let e = self.expr(&arg.value, cx, None);
        let mut groups: Vec<String> = Vec::new();
        super::query::walk(&e, &mut |x| {
            if let hir::ExprKind::Rows { by: Some(by), .. } = &x.kind
                && !groups.contains(by)
            {
                groups.push(by.clone());
            }
            true
        });
        let wrong = match groups.as_slice() {
            _ if e.ty.kind == Kind::Unknown => return None,
            [] => "such as mean(m by coherence)".to_string(),
            [_] if e.ty.kind != Kind::Number || e.ty.rank != 1 => {
                "this is not one number for each value of it".to_string()
            }
            [_] => return groups.pop().map(|by| (e, by)),
            [a, b, ..] => format!("by `{a}` and by `{b}`"),
        };
        self.diags.push(
            Diagnostic::error(KIND_MISMATCH, "what is drawn over rows is an aggregate `by` one variable")
                .label(arg.span, wrong)
                .help("or a formula over such: 1 - mean(m by x) / mean(n by x)"),
        );
        None
    }
}

/// What a `set` does with the value that is there; `None`: replaces it.
pub(super) fn set_op(op: ast::AssignOp) -> Option<BinaryOp> {
    match op {
        ast::AssignOp::Add => Some(BinaryOp::Add),
        ast::AssignOp::Subtract => Some(BinaryOp::Sub),
        ast::AssignOp::Multiply => Some(BinaryOp::Mul),
        ast::AssignOp::Divide => Some(BinaryOp::Div),
        ast::AssignOp::Set => None,
    }
}
