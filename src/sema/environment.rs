//! Environments: their models, their declaration in an experiment, what steps them and what is read of them.
//!
//! An environment computes with the values of experiments: its states may be lists, `on step` and `on reset` have variables, loops
//! and draws. Its equations alone are those of a cell.

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Cx, ModuleId, Pending, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, EnvironmentModel, Expr, ExprKind, Kind, StmtKind, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;

/// The model that a process answers for: its members come with the process.
const OUTSIDE: &str = "std/environments/exec.nsm";

impl Sema<'_> {
    pub(super) fn declare_environment(&mut self, module: ModuleId, m: &ast::Model, scope: ScopeId) {
        let model = self.new_model(m);
        let id = self.program.environments.len() as u32;
        self.program.environments.push(EnvironmentModel {
            name: m.name.text.clone(),
            span: m.name.span,
            model,
            states: Vec::new(),
            formals: Vec::new(),
            on_step: Vec::new(),
            on_reset: Vec::new(),
            outside: self.modules[module.0].name == OUTSIDE,
            broken: false,
        });
        self.declare(scope, &m.name, Entity::EnvironmentModel(id));
    }

    pub(super) fn resolve_environment(&mut self, id: u32, m: &ast::Model, file_scope: ScopeId) {
        let errors = self.diags.error_count();
        self.xis = 0;
        let scope = self.new_scope(Some(file_scope));
        let mut out = self.program.environments[id as usize].clone();
        let mut model = self.program.model(out.model).clone();
        for member in &m.members {
            self.environment_member(member, scope, &mut model.names, &mut out.states);
        }
        for v in model.names.clone() {
            self.ensure(v);
        }
        let one = |s: &&ValueId| self.program.value(**s).ty.rank == 0;
        model.states = out.states.iter().filter(one).copied().collect();
        // A state is what the environment's own statements assign to.
        self.mutable.extend(&out.states);
        let dynamics = Place::Dynamics;
        let cx = Cx { scope, place: &dynamics };
        for member in &m.members {
            match &member.kind {
                ast::MemberKind::Equation(e) => self.equation(&mut model, e, cx),
                ast::MemberKind::IntegrateWith(e) => {
                    let method = self.method(&model, e, cx);
                    model.integrate = method.map(|method| hir::Integrate { method, span: e.span });
                }
                ast::MemberKind::On { event, formals, body } => {
                    self.environment_handler(&mut out, event, formals.as_deref(), body, scope);
                }
                _ => {}
            }
        }
        model.xis = self.xis;
        let unread = m.members.iter().any(|m| matches!(m.kind, ast::MemberKind::Broken));
        model.broken = unread || self.diags.error_count() > errors;
        out.broken = model.broken;
        self.program.models[out.model.0 as usize] = model;
        self.program.environments[id as usize] = out;
    }

    fn environment_member(
        &mut self,
        member: &ast::Member,
        scope: ScopeId,
        names: &mut Vec<ValueId>,
        states: &mut Vec<ValueId>,
    ) {
        match &member.kind {
            ast::MemberKind::Param(list) => names.extend(self.declare_params(list, scope, &Place::Constant)),
            ast::MemberKind::Let(l) => names.push(self.declare_let(l, scope, Place::Environment)),
            ast::MemberKind::State(list) => {
                for b in list {
                    let state = self.broken_value(&b.name);
                    self.declare(scope, &b.name, Entity::Value(state));
                    self.pending.insert(state, (Pending::State(b.clone()), scope, Place::Environment));
                    names.push(state);
                    states.push(state);
                }
            }
            ast::MemberKind::Input { name, formals: None, dim, value: None } => {
                let ty = self.dimension(dim).map_or(Type::UNKNOWN, Type::quantity);
                let input = self.new_value(name, ty, ValueKind::Input);
                self.declare(scope, name, Entity::Value(input));
                names.push(input);
            }
            ast::MemberKind::Output { name, value } => {
                let output = self.broken_value(name);
                self.declare(scope, name, Entity::Value(output));
                self.pending.insert(output, (Pending::Output(value.clone()), scope, Place::Environment));
                names.push(output);
            }
            ast::MemberKind::Noise(name) => {
                let noise = self.new_value(name, Type::quantity(Dimension::NOISE), ValueKind::Noise);
                self.declare(scope, name, Entity::Value(noise));
                names.push(noise);
            }
            ast::MemberKind::Equation(_)
            | ast::MemberKind::IntegrateWith(_)
            | ast::MemberKind::On { .. }
            | ast::MemberKind::Broken => {}
            _ => self.diags.push(
                Diagnostic::error(ENVIRONMENT_MEMBER, "this does not belong into an environment")
                    .label(member.span, "no part of a world without cells")
                    .help("it has params, lets, states, inputs, outputs, equations, `on step` and `on reset`"),
            ),
        }
    }

    fn environment_handler(
        &mut self,
        out: &mut EnvironmentModel,
        event: &ast::Path,
        formals: Option<&[ast::Formal]>,
        body: &ast::Block,
        scope: ScopeId,
    ) {
        let inner = self.new_scope(Some(scope));
        let place = Place::Environment;
        let step = match event.names.as_slice() {
            [n] if n.text == "step" => true,
            [n] if n.text == "reset" && formals.is_none_or(<[_]>::is_empty) => false,
            _ => {
                self.diags.push(
                    Diagnostic::error(ENVIRONMENT_MEMBER, "an environment acts on a step and on a reset")
                        .label(event.span, "neither")
                        .help("write `on step(action: number) { ... }` or `on reset { ... }`"),
                );
                return;
            }
        };
        for f in formals.unwrap_or_default() {
            let ty = match &f.dim {
                Some(d) => self.dimension(d).map_or(Type::UNKNOWN, Type::quantity),
                None => Type::NUMBER,
            };
            let formal = self.new_value(&f.name, ty, ValueKind::Variable);
            self.declare(inner, &f.name, Entity::Value(formal));
            out.formals.push(formal);
        }
        self.only_computes(body);
        let body = self.computing(body, inner, &place);
        if step { out.on_step.extend(body) } else { out.on_reset.extend(body) }
    }

    fn only_computes(&mut self, block: &ast::Block) {
        use ast::StmtKind as S;
        for s in &block.stmts {
            match &s.kind {
                S::Assign { .. } | S::Let(_) | S::Var { .. } | S::Broken => {}
                S::For { body, .. } | S::Repeat { body, .. } => self.only_computes(body),
                S::If(i) => self.branches_compute(i),
                _ => self.diags.push(
                    Diagnostic::error(NOT_HERE, "an environment computes; it has no hand in the circuit")
                        .label(s.span, "belongs to an experiment")
                        .help("assign to its states here, and show them with `output`"),
                ),
            }
        }
    }

    fn branches_compute(&mut self, i: &ast::StmtIf) {
        self.only_computes(&i.then);
        match &i.otherwise {
            None => {}
            Some(ast::StmtElse::Block(b)) => self.only_computes(b),
            Some(ast::StmtElse::If(next)) => self.branches_compute(next),
        }
    }

    /// `environment maze: GridWorld(size = 5)`; what it binds is resolved by [`Sema::bind_environments`].
    pub(super) fn environment(&mut self, name: &ast::Name, model: &ast::Instance, scope: ScopeId) {
        match self.instance_entity(&model.path, scope) {
            Some(Entity::EnvironmentModel(m)) => {
                let at = self.environments.len() as u32;
                let new = hir::Environment { name: name.text.clone(), span: name.span, model: m, args: Vec::new() };
                self.environments.push(new);
                self.declare(scope, name, Entity::Environment(at));
                return;
            }
            Some(Entity::Poison) => {}
            other => {
                let last = &model.path.names[model.path.names.len() - 1].text;
                let standard = format!("std/environments/{}.nsm", super::modules::snake_case(last));
                let known = self.loader.text(&standard).is_ok();
                let visible: Vec<String> = self
                    .visible(scope)
                    .into_iter()
                    .filter(|n| matches!(self.lookup(scope, n), Some(Entity::EnvironmentModel(_))))
                    .collect();
                let near = did_you_mean(last, visible.iter().map(String::as_str));
                let help = match near {
                    Some(n) => Some(format!("did you mean `{n}`?")),
                    None => known.then(|| format!("import it: `use std.environments.{last}`")),
                };
                let what = Entity::seen(other.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a model of an environment is expected here")
                        .label(model.path.span, what)
                        .maybe_help(help),
                );
            }
        }
        self.poison(scope, name);
    }

    /// Params and first values of states, once the sweeps are known.
    pub(super) fn bind_environments(&mut self, items: &[ast::Documented<ast::ExperimentKind>], scope: ScopeId) {
        for item in items {
            let ast::ExperimentKind::Environment { name, model: given } = &item.kind else { continue };
            let Some(at) = self.environments.iter().position(|e| e.span == name.span) else { continue };
            let model = self.program.environments[self.environments[at].model as usize].clone();
            let names = self.model_names(model.model);
            let mut args: Vec<(ValueId, Expr)> = Vec::new();
            for arg in given.args.iter().flatten() {
                let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
                let found = names.iter().find(|(n, _)| n == written).map(|(_, v)| *v);
                let bound = found.filter(|v| {
                    matches!(self.program.value(*v).kind, ValueKind::Param { .. } | ValueKind::State { .. })
                });
                let Some(v) = bound else {
                    self.expr(&arg.value, Cx { scope, place: &Place::Constant }, None);
                    if !model.broken {
                        self.unknown_binding(&model, &names, written, arg.span);
                    }
                    continue;
                };
                let state = matches!(self.program.value(v).kind, ValueKind::State { .. });
                let place = if state { Place::Environment } else { Place::Constant };
                let ty = self.program.value(v).ty;
                let known = ty.kind != Kind::Unknown;
                let value = self.expr(&arg.value, Cx { scope, place: &place }, ty.dim.filter(|_| known));
                if known {
                    self.fits_value(&value, ty, written, BINDING_DIMENSION);
                }
                args.push((v, value));
            }
            for (n, v) in &names {
                let needed = match &self.program.value(*v).kind {
                    ValueKind::Param { default, .. } => default.is_none() || model.outside && n == "command",
                    _ => false,
                };
                if needed && !args.iter().any(|(w, _)| w == v) && !model.broken {
                    self.diags.push(
                        Diagnostic::error(UNBOUND_PARAM, format!("the environment needs `{n}`"))
                            .label(given.span, format!("`{n}` is not bound here"))
                            .help(format!("bind it: {}({n} = ...)", model.name)),
                    );
                }
            }
            self.environments[at].args = args;
        }
    }

    fn unknown_binding(&mut self, model: &EnvironmentModel, names: &[(String, ValueId)], written: &str, span: Span) {
        let all: Vec<&str> = names
            .iter()
            .filter(|(_, v)| matches!(self.program.value(*v).kind, ValueKind::Param { .. } | ValueKind::State { .. }))
            .map(|(n, _)| n.as_str())
            .collect();
        let near = did_you_mean(written, all.iter().copied());
        let help = near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
        self.diags.push(
            Diagnostic::error(UNKNOWN_ARGUMENT, format!("`{}` has no param or state `{written}`", model.name))
                .label(span, "not known")
                .help(help),
        );
    }

    /// Kind, depth and dimension of what is bound to a name.
    fn fits_value(&mut self, value: &Expr, ty: Type, name: &str, code: crate::base::Code) {
        if value.ty.kind == Kind::Unknown || ty.kind == Kind::Unknown {
            return;
        }
        // One number for a list would be a list of one: the author says which.
        if value.ty.kind != ty.kind || value.ty.rank != ty.rank {
            let words = |ty: Type| match (ty.rank, ty.kind) {
                (0, Kind::Number) => "a number".to_string(),
                (0, _) => super::expr::kind_words(ty),
                (1, _) => "a list".to_string(),
                (n, _) => format!("a list {n} deep"),
            };
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, format!("`{name}` is {}, found {}", words(ty), words(value.ty)))
                    .label(value.span, words(value.ty)),
            );
            return;
        }
        let dim = ty.dimension();
        self.fits(value, dim, code, &format!("`{name}` is {}", dimension_words(dim)));
    }

    /// The environment of the experiment that a name means.
    fn environment_named(&self, name: &str, scope: ScopeId) -> Option<(u32, EnvironmentModel)> {
        match self.lookup(scope, name) {
            Some(Entity::Environment(k)) => {
                let model = self.environments.get(k as usize)?.model;
                Some((k, self.program.environments[model as usize].clone()))
            }
            _ => None,
        }
    }

    /// `step maze(action = move) lasting 50 ms`
    pub(super) fn step_environment(
        &mut self,
        of: &ast::Instance,
        lasting: Option<&ast::Expr>,
        cx: Cx,
    ) -> Option<StmtKind> {
        let lasting = lasting.map(|e| self.number(e, cx, Dimension::TIME));
        let head = &of.path.names[0];
        let found = if of.path.names.len() == 1 { self.environment_named(&head.text, cx.scope) } else { None };
        let Some((environment, model)) = found else {
            of.args.iter().flatten().for_each(|a| drop(self.expr(&a.value, cx, None)));
            match self.lookup(cx.scope, &head.text) {
                Some(Entity::Poison) => {}
                other => {
                    let all: Vec<&str> = self.environments.iter().map(|e| e.name.as_str()).collect();
                    let near = did_you_mean(&head.text, all.iter().copied()).map(|n| format!("did you mean `{n}`?"));
                    let help = near.unwrap_or_else(|| {
                        format!("declare one in the experiment: `environment {}: GridWorld(size = 5)`", head.text)
                    });
                    let what = Entity::seen(other.as_ref());
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "`step` advances an environment of the experiment")
                            .label(of.path.span, what)
                            .help(help),
                    );
                }
            }
            return None;
        };
        let mut args: Vec<(String, Expr)> = Vec::new();
        // What is given by a wrong name is not told to be missing, too.
        let mut misnamed = false;
        for arg in of.args.iter().flatten() {
            let Some(name) = &arg.name else {
                misnamed = true;
                self.expr(&arg.value, cx, None);
                self.diags.push(
                    Diagnostic::error(ENVIRONMENT_STEP, "what a step is given has a name")
                        .label(arg.span, "no name")
                        .help(format!("write `step {}(action = ...)`", head.text)),
                );
                continue;
            };
            if args.iter().any(|(n, _)| *n == name.text) {
                self.diags.push(
                    Diagnostic::error(ENVIRONMENT_STEP, format!("`{}` is given twice", name.text))
                        .label(name.span, "second one"),
                );
            }
            if model.outside {
                args.push((name.text.clone(), self.sent(&arg.value, cx)));
                continue;
            }
            let Some(v) = self.taken(&model).into_iter().find(|v| self.program.value(*v).name == name.text) else {
                misnamed = true;
                self.expr(&arg.value, cx, None);
                self.not_taken(&model, name);
                continue;
            };
            let ty = self.program.value(v).ty;
            let value = self.expr(&arg.value, cx, ty.dim);
            self.fits_value(&value, ty, &name.text, DIMENSION_MISMATCH);
            args.push((name.text.clone(), value));
        }
        for f in &model.formals {
            let name = self.program.value(*f).name.clone();
            if !args.iter().any(|(n, _)| *n == name) && !model.broken && !misnamed {
                self.diags.push(
                    Diagnostic::error(ENVIRONMENT_STEP, format!("a step of `{}` needs `{name}`", head.text))
                        .label(of.span, format!("`{name}` is not given"))
                        .help(format!("write `step {}({name} = ...)`", head.text)),
                );
            }
        }
        Some(StmtKind::Step { environment, args, lasting })
    }

    /// What goes to a process: bare numbers, truth values, texts and lists of them.
    fn sent(&mut self, value: &ast::Expr, cx: Cx) -> Expr {
        let value = self.expr(value, cx, None);
        self.fits(&value, Dimension::NUMBER, DIMENSION_MISMATCH, "a process is sent bare numbers: divide by a unit");
        value
    }

    /// What `step` may give: the formals of `on step`, and the inputs.
    fn taken(&self, model: &EnvironmentModel) -> Vec<ValueId> {
        let inputs = self.program.model(model.model).names.iter().copied();
        let inputs = inputs.filter(|v| matches!(self.program.value(*v).kind, ValueKind::Input));
        model.formals.iter().copied().chain(inputs).collect()
    }

    fn not_taken(&mut self, model: &EnvironmentModel, name: &ast::Name) {
        if model.broken {
            return;
        }
        let all: Vec<String> = self.taken(model).iter().map(|v| self.program.value(*v).name.clone()).collect();
        let near = did_you_mean(&name.text, all.iter().map(String::as_str));
        let help = match near {
            Some(n) => format!("did you mean `{n}`?"),
            None if all.is_empty() => "it takes nothing: `on step` has no arguments, and there is no input".to_string(),
            None => format!("it takes {}", all.join(", ")),
        };
        self.diags.push(
            Diagnostic::error(ENVIRONMENT_STEP, format!("a step of `{}` takes no `{}`", model.name, name.text))
                .label(name.span, "neither an argument of `on step` nor an input")
                .help(help),
        );
    }

    /// `reset maze`; `None` where the name is no environment.
    pub(super) fn reset_environment(&mut self, what: &ast::Name, of: &[ast::Expr], cx: Cx) -> Option<StmtKind> {
        let (environment, _) = self.environment_named(&what.text, cx.scope)?;
        if let Some(e) = of.first() {
            self.diags.push(
                Diagnostic::error(NOT_HERE, "an environment is reset as a whole")
                    .label(e.span, "no part of it")
                    .help(format!("write `reset {}`", what.text)),
            );
        }
        Some(StmtKind::ResetEnvironment { environment })
    }

    /// `maze.done`; `None` where the head is no environment.
    pub(super) fn environment_value(&mut self, base: &ast::Expr, name: &ast::Name, span: Span, cx: Cx) -> Option<Expr> {
        let ast::ExprKind::Name(head) = &base.kind else { return None };
        let (environment, model) = self.environment_named(head, cx.scope)?;
        if !matches!(cx.place, Place::Experiment(_)) {
            let help = format!("measure it in the run: `measure m = {head}.{}`", name.text);
            self.diags.push(
                Diagnostic::error(NOT_HERE, "an environment is read by the statements of its experiment")
                    .label(span, "not known here")
                    .help(help),
            );
            return Some(self.error_expr(span));
        }
        let kind = ExprKind::Environment { environment, output: name.text.clone() };
        if model.outside {
            return Some(Expr { kind, span, ty: self.answered(environment, &model, &name.text) });
        }
        let names = self.model_names(model.model);
        let shown = |v: &ValueId| {
            use ValueKind as K;
            let kind = &self.program.value(*v).kind;
            matches!(
                kind,
                K::State { .. } | K::Output(_) | K::Let(_) | K::Param { .. } | K::Input | K::Table { .. } | K::Broken
            )
        };
        if let Some((_, v)) = names.iter().find(|(n, v)| *n == name.text && shown(v)) {
            return Some(Expr { kind, span, ty: self.program.value(*v).ty });
        }
        if !model.broken {
            let all: Vec<&str> = names.iter().filter(|(_, v)| shown(v)).map(|(n, _)| n.as_str()).collect();
            let near = did_you_mean(&name.text, all.iter().copied());
            let help = near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
            self.diags.push(
                Diagnostic::error(ENVIRONMENT_OUTPUT, format!("`{head}` has no output `{}`", name.text))
                    .label(name.span, format!("not in `{}`", model.name))
                    .help(help),
            );
        }
        Some(self.error_expr(span))
    }

    /// What a field of a process's answers is: `done` a truth value, `observation` a list where its length was given, the rest
    /// numbers.
    fn answered(&self, environment: u32, model: &EnvironmentModel, field: &str) -> Type {
        let listed = self
            .environments
            .get(environment as usize)
            .is_some_and(|e| e.args.iter().any(|(v, _)| self.program.value(*v).name == "observations"));
        match field {
            _ if model.broken => Type::UNKNOWN,
            "done" => Type::BOOL,
            "observation" if listed => Type::NUMBER.with_rank(1),
            _ => Type::NUMBER,
        }
    }
}
