//! Plasticity rules, resolved anew for each projection that they are attached to: there the dimension of a weight is known, and
//! what the postsynaptic cell has.

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Event, Expr, ExprKind, RuleStmt, RuleVariable, Side, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(pub usize);

/// A rule as declared.
#[derive(Clone)]
pub(super) struct DeclaredRule {
    pub ast: Rc<ast::Plasticity>,
    /// Scope of its file.
    pub file: ScopeId,
}

/// What a rule at hand may read of the projection that it is attached to.
#[derive(Clone, Debug)]
pub(super) struct RulePlace {
    pub weight: Dimension,
    /// Models of the postsynaptic cells.
    pub targets: Vec<hir::ModelId>,
    /// What `needs post.V: voltage` names.
    pub reads: Vec<(String, Type)>,
    /// What `needs event reward(r: number)` names: the network's event, and what it carries.
    pub events: Vec<(String, u32, Option<Dimension>)>,
    /// The handler at hand is one of `every`: all synapses of a cell are at one moment there.
    pub periodic: bool,
    /// The rule's weight, where it is declared already.
    pub weight_id: Option<ValueId>,
}

impl Sema<'_> {
    pub(super) fn declare_rule(&mut self, p: &ast::Plasticity, scope: ScopeId) {
        let id = RuleId(self.rules.len());
        self.rules.push(DeclaredRule { ast: Rc::new(p.clone()), file: scope });
        self.declare(scope, &p.name, Entity::Rule(id));
    }

    /// Whether any projection of this file may have looked into a rule: one that nobody uses is looked into with a number's weight.
    pub(super) fn check_rule_alone(&mut self, id: RuleId) {
        if self.used_rules.contains(&id.0) {
            return;
        }
        let declared = self.rules[id.0].clone();
        // Most weights are conductances; a literal of another dimension in the rule says otherwise.
        let text = self.sources.snippet(declared.ast.name.span).to_string();
        let weight = declared.ast.items.iter().find_map(|i| match &i.kind {
            ast::PlasticityKind::Param(list) => list.iter().find_map(literal_weight),
            ast::PlasticityKind::Weight { bounds: Some((lo, hi)), .. } => {
                [lo, hi].into_iter().find_map(literal_dimension)
            }
            _ => None,
        });
        let weight = weight.unwrap_or(Dimension::CONDUCTANCE);
        let name = ast::Name { text, span: declared.ast.name.span };
        let instance = ast::Instance {
            path: ast::Path { names: vec![name], span: declared.ast.name.span },
            args: None,
            span: declared.ast.name.span,
        };
        let place = RulePlace {
            weight,
            targets: Vec::new(),
            reads: Vec::new(),
            events: Vec::new(),
            periodic: false,
            weight_id: None,
        };
        self.attached_rule(&declared, &instance, place, None);
    }

    /// `plasticity RewardStdp(eta = 1 nS/s) + TsodyksMarkram` of a projection onto cells of `targets`.
    pub(super) fn projection_rules(
        &mut self,
        list: &[ast::Instance],
        weight: Dimension,
        targets: &[hir::ModelId],
        cx: Cx,
    ) -> Vec<hir::Plasticity> {
        let mut out: Vec<hir::Plasticity> = Vec::new();
        for instance in list {
            match self.instance_entity(&instance.path, cx.scope) {
                Some(Entity::Rule(id)) => {
                    self.used_rules.insert(id.0);
                    let declared = self.rules[id.0].clone();
                    let place = RulePlace {
                        weight,
                        targets: targets.to_vec(),
                        reads: Vec::new(),
                        events: Vec::new(),
                        periodic: false,
                        weight_id: None,
                    };
                    out.extend(self.attached_rule(&declared, instance, place, Some(cx.scope)));
                }
                Some(Entity::Poison) => {}
                Some(other) => self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("this is {}, not a plasticity rule", other.words()))
                        .label(instance.path.span, "a rule is expected here"),
                ),
                None => {
                    let head = &instance.path.names[0];
                    let mut names = self.visible(cx.scope);
                    names.retain(|n| matches!(self.lookup(cx.scope, n), Some(Entity::Rule(_))));
                    let near = did_you_mean(&head.text, names.iter().map(String::as_str));
                    let file = format!("std/plasticity/{}.nsm", super::modules::snake_case(&head.text));
                    let help = near.map(|n| format!("did you mean `{n}`?")).or_else(|| {
                        self.loader
                            .text(&file)
                            .is_ok()
                            .then(|| format!("import it: `use std.plasticity.{}`", head.text))
                    });
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_NAME, format!("there is no plasticity rule `{}` here", head.text))
                            .label(head.span, "not found")
                            .maybe_help(help),
                    );
                }
            }
        }
        let delivering: Vec<Span> = out
            .iter()
            .filter(|r| r.handlers.iter().any(|h| h.body.iter().any(RuleStmt::delivers)))
            .map(|r| r.use_span)
            .collect();
        if let [first, second, ..] = delivering.as_slice() {
            self.diags.push(
                Diagnostic::error(SECOND_DELIVER, "two rules of one projection say what a spike carries")
                    .label(*second, "delivers too")
                    .label(*first, "delivers")
                    .help("at most one rule of a sum may `deliver`"),
            );
        }
        out
    }

    fn attached_rule(
        &mut self,
        declared: &DeclaredRule,
        instance: &ast::Instance,
        mut place: RulePlace,
        outer: Option<ScopeId>,
    ) -> Option<hir::Plasticity> {
        let errors = self.diags.error_count();
        let rule = declared.ast.clone();
        let scope = self.new_scope(Some(declared.file));
        let before = self.weight_dim.replace(place.weight);
        let mut out = hir::Plasticity {
            name: rule.name.text.clone(),
            use_span: instance.span,
            params: Vec::new(),
            levels: Vec::new(),
            variables: Vec::new(),
            weight: None,
            bounds: None,
            drift: None,
            handlers: Vec::new(),
            regrow: None,
        };
        // What it needs of the cell comes first: everything else may read it.
        for item in &rule.items {
            if let ast::PlasticityKind::Needs(n) = &item.kind {
                self.rule_needs(n, item.span, &mut place, scope, &mut out, outer, instance);
            }
        }
        let held = Place::Rule(place.clone());
        let mut equations: Vec<(ValueId, ast::Equation)> = Vec::new();
        for item in &rule.items {
            if let ast::PlasticityKind::Param(list) = &item.kind {
                let ids = self.declare_params(list, scope, &held);
                out.params.extend(ids);
            }
        }
        // Before anything reads a param: a trace may start at one.
        if let Some(outer) = outer {
            let levels = out.levels.clone();
            self.bind_rule(instance, outer, &rule.name, &out.params, &levels);
        }
        for item in &rule.items {
            match &item.kind {
                ast::PlasticityKind::Let(l) => {
                    self.declare_let(l, scope, held.clone());
                }
                ast::PlasticityKind::Trace { side, name, value, equation } => {
                    let side = if *side == ast::Side::Pre { Side::Pre } else { Side::Post };
                    self.rule_variable(
                        name,
                        value.as_ref(),
                        equation.as_ref(),
                        Some(side),
                        scope,
                        &held,
                        &mut out,
                        &mut equations,
                    );
                }
                ast::PlasticityKind::Synapse { name, value, equation } => {
                    self.rule_variable(
                        name,
                        value.as_ref(),
                        equation.as_ref(),
                        None,
                        scope,
                        &held,
                        &mut out,
                        &mut equations,
                    );
                }
                ast::PlasticityKind::Weight { name, equation, .. } => {
                    if out.weight.is_some() {
                        self.diags.push(
                            Diagnostic::error(NAME_TAKEN, "a rule has one weight").label(name.span, "second one"),
                        );
                        continue;
                    }
                    let ty = Type::quantity(self.weight_dim.unwrap_or(Dimension::NUMBER));
                    let id = self.new_value(name, ty, ValueKind::Synapse);
                    self.declare(scope, name, Entity::Value(id));
                    out.weight = Some(id);
                    if let Some(e) = equation {
                        equations.push((id, e.clone()));
                    }
                }
                _ => {}
            }
        }
        let periodic = Place::Rule(RulePlace { periodic: true, weight_id: out.weight, ..place });
        let cx = Cx { scope, place: &held };
        for item in &rule.items {
            match &item.kind {
                ast::PlasticityKind::Equation(e) => match self.lookup(scope, &e.name.text) {
                    Some(Entity::Value(v)) if out.variables.iter().any(|x| x.value == v) || out.weight == Some(v) => {
                        equations.push((v, e.clone()));
                    }
                    Some(Entity::Poison) => {}
                    _ => self.not_a_variable(&e.name, &out),
                },
                ast::PlasticityKind::Weight { bounds: Some((lo, hi)), .. } => {
                    let dim = self.weight_dim.unwrap_or(Dimension::NUMBER);
                    let lo = self.number(lo, cx, dim);
                    let hi = self.number(hi, cx, dim);
                    out.bounds = Some((lo, hi));
                }
                ast::PlasticityKind::On { event, formals, body } => {
                    let cx = Cx { scope: self.new_scope(Some(scope)), place: &held };
                    if let Some(event) = self.rule_event(event, formals.as_deref(), cx) {
                        self.handler(event, body, &mut out, cx);
                    }
                }
                ast::PlasticityKind::Every { period, body } => {
                    let period = self.number(period, cx, Dimension::TIME);
                    let cx = Cx { scope, place: &periodic };
                    self.handler(Event::Every(period), body, &mut out, cx);
                }
                ast::PlasticityKind::Regrow { to, weight } => self.regrow(to, weight, item.span, &mut out, cx),
                _ => {}
            }
        }
        for (v, e) in equations {
            self.rule_equation(v, &e, &mut out, cx);
        }
        for id in out.params.clone() {
            self.ensure(id);
        }
        if out.weight.is_none() && self.diags.error_count() == errors {
            self.diags.push(
                Diagnostic::error(RULE_WEIGHT, format!("rule `{}` names no weight", out.name))
                    .label(rule.name.span, "without one it changes nothing")
                    .help("declare it: `weight w`, or with bounds `weight w in 0 .. w_max`"),
            );
        }
        if let Some(w) = &out.regrow
            && !out.handlers.iter().any(|h| h.body.iter().any(RuleStmt::removes))
        {
            self.diags.push(
                Diagnostic::error(REGROW, format!("rule `{}` regrows what nothing removes", out.name))
                    .label(w.span, "no synapse is ever missing")
                    .help("say when one goes: `every 1 s { remove when w < w_min }`"),
            );
        }
        self.weight_dim = before;
        (self.diags.error_count() == errors).then_some(out)
    }

    /// `regrow to indegree with weight w_new`
    fn regrow(&mut self, to: &ast::Name, weight: &ast::Expr, span: Span, out: &mut hir::Plasticity, cx: Cx) {
        let dim = self.weight_dim.unwrap_or(Dimension::NUMBER);
        let weight = self.number(weight, cx, dim);
        if to.text != "indegree" {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("synapses regrow to the `indegree`, not to `{}`", to.text))
                    .label(to.span, "not known")
                    .help("write `regrow to indegree with weight w_new`"),
            );
        } else if out.regrow.is_some() {
            self.diags.push(Diagnostic::error(NAME_TAKEN, "a rule regrows once").label(span, "second one"));
        }
        out.regrow = Some(weight);
    }

    fn rule_needs(
        &mut self,
        n: &ast::Needs,
        span: Span,
        place: &mut RulePlace,
        scope: ScopeId,
        out: &mut hir::Plasticity,
        attached: Option<ScopeId>,
        instance: &ast::Instance,
    ) {
        match n {
            ast::Needs::Value { place: e, dim } => {
                let name = match &e.kind {
                    ast::ExprKind::Field(base, name) if matches!(&base.kind, ast::ExprKind::Name(n) if n == "post") => {
                        name
                    }
                    _ => {
                        self.diags.push(
                            Diagnostic::error(
                                LOCALITY,
                                "a rule reads its synapse, its traces, modulators, and its postsynaptic cell",
                            )
                            .label(e.span, "not at the synapse")
                            .help("write `needs post.V: voltage`; what another cell does comes by a modulator"),
                        );
                        return;
                    }
                };
                let Some(dim) = self.dimension(dim) else { return };
                for m in place.targets.clone() {
                    let found = self.model_names(m).into_iter().find(|(n, _)| *n == name.text).map(|(_, v)| v);
                    let fits = found.is_some_and(|v| {
                        let ty = self.program.value(v).ty;
                        ty.kind == hir::Kind::Unknown || ty.dimension() == dim
                    });
                    if !fits && !self.program.model(m).broken {
                        let model = self.program.model(m);
                        let what = match found {
                            None => format!("`{}` has no `{}`", model.name, name.text),
                            Some(v) => format!(
                                "`{}` of `{}` is {}",
                                name.text,
                                model.name,
                                dimension_words(self.program.value(v).ty.dimension())
                            ),
                        };
                        let d = Diagnostic::error(RULE_NEEDS, format!("the rule needs `post.{}`: {what}", name.text))
                            .label(instance.span, "attached to cells without it")
                            .label(span, format!("needs {}", dimension_words(dim)))
                            .help("use a cell that has it, or another rule");
                        self.diags.push(d);
                    }
                }
                place.reads.push((name.text.clone(), Type::quantity(dim)));
            }
            ast::Needs::Modulator { name, value } => {
                let arg = instance.args.iter().flatten().find(|a| a.name.as_ref().is_some_and(|n| n.text == name.text));
                if let (Some(arg), Some(outer)) = (arg, attached) {
                    // What is bound stands in its place: a level, or what is made of levels.
                    let value = self.broken_value(name);
                    let bound = ast::Let { name: name.clone(), params: ast::LetParams::None, value: arg.value.clone() };
                    self.pending.insert(value, (Pending::Let(bound), outer, Place::Binding));
                    self.ensure(value);
                    let ty = self.program.value(value).ty;
                    if ty.kind != hir::Kind::Unknown && (ty.rank > 0 || ty.dimension() != Dimension::NUMBER) {
                        let words = if ty.rank > 0 { "a list".to_string() } else { dimension_words(ty.dimension()) };
                        self.diags.push(
                            Diagnostic::error(DIMENSION_MISMATCH, format!("a modulator is a number, found {words}"))
                                .label(arg.value.span, "bound here")
                                .label(span, "needed here"),
                        );
                    }
                    self.declare(scope, name, Entity::Value(value));
                    out.levels.push(name.text.clone());
                    return;
                }
                let binding = ast::Binding {
                    name: name.clone(),
                    dim: None,
                    value: Some(value.clone().unwrap_or(ast::Expr {
                        kind: ast::ExprKind::Number { text: "1".to_string(), unit: None },
                        span: name.span,
                    })),
                    bounds: None,
                };
                let bound =
                    instance.args.iter().flatten().any(|a| a.name.as_ref().is_some_and(|n| n.text == name.text));
                if attached.is_some() && !bound && value.is_none() {
                    self.diags.push(
                        Diagnostic::error(UNBOUND_PARAM, format!("the rule needs the modulator `{}`", name.text))
                            .label(instance.span, "not bound here")
                            .help(format!("bind it: {}({} = ...)", out.name, name.text)),
                    );
                }
                let ids = self.declare_params(&[binding], scope, &Place::Binding);
                out.params.extend(ids);
            }
            ast::Needs::Event { name, formals } => {
                let Some(dim) = self.carried(formals.as_deref(), name.span) else { return };
                let arg = instance.args.iter().flatten().find(|a| a.name.as_ref().is_some_and(|n| n.text == name.text));
                let found = match (arg, attached) {
                    (Some(arg), Some(outer)) => self.event_named(&arg.value, outer, dim, span).map(|(_, k)| k),
                    (None, Some(_)) => {
                        self.diags.push(
                            Diagnostic::error(UNBOUND_PARAM, format!("the rule needs the event `{}`", name.text))
                                .label(instance.span, "not bound here")
                                .help(format!("bind an event of the network: {}({} = ...)", out.name, name.text)),
                        );
                        None
                    }
                    _ => None,
                };
                out.levels.push(name.text.clone());
                place.events.push((name.text.clone(), found.unwrap_or(0), dim));
            }
        }
    }

    /// Binds the params of a use; the right sides are the projection's.
    fn bind_rule(
        &mut self,
        instance: &ast::Instance,
        outer: ScopeId,
        rule: &ast::Name,
        params: &[ValueId],
        levels: &[String],
    ) {
        let names: Vec<(String, ValueId)> = params.iter().map(|v| (self.program.value(*v).name.clone(), *v)).collect();
        for arg in instance.args.iter().flatten() {
            let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
            if levels.iter().any(|l| l == written) {
                continue;
            }
            let Some((_, v)) = names.iter().find(|(n, _)| n == written) else {
                let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, format!("rule `{}` has no param `{written}`", rule.text))
                        .label(arg.span, "not known")
                        .help(params_help(written, &all)),
                );
                continue;
            };
            if let Some((Pending::Param(b), inner, place)) = self.pending.remove(v) {
                self.pending.insert(*v, (Pending::Bound(b, arg.value.clone(), outer), inner, place));
            }
        }
        for (name, v) in &names {
            if let Some((Pending::Param(b), ..)) = self.pending.get(v)
                && b.value.is_none()
            {
                let d = Diagnostic::error(UNBOUND_PARAM, format!("rule `{}` needs `{name}`", rule.text))
                    .label(instance.span, format!("`{name}` is not bound here"))
                    .label(b.name.span, "it has no default")
                    .help(format!("bind it: {}({name} = ...)", rule.text));
                self.diags.push(d);
            }
        }
    }

    fn rule_variable(
        &mut self,
        name: &ast::Name,
        value: Option<&ast::Expr>,
        equation: Option<&ast::Equation>,
        side: Option<Side>,
        scope: ScopeId,
        place: &Place,
        out: &mut hir::Plasticity,
        equations: &mut Vec<(ValueId, ast::Equation)>,
    ) {
        let cx = Cx { scope, place };
        let initial = match value {
            Some(e) => self.expr(e, cx, None),
            None => Expr {
                kind: ExprKind::Const(crate::script::Value::Number(0.0)),
                span: name.span,
                ty: Type { dim: None, ..Type::NUMBER },
            },
        };
        let ty = match initial.ty.dim {
            Some(dim) => Type::quantity(dim),
            None if initial.ty.kind == hir::Kind::Unknown => Type::UNKNOWN,
            None => Type::NUMBER,
        };
        let kind = match side {
            Some(side) => ValueKind::Trace(side),
            None => ValueKind::Synapse,
        };
        let id = self.new_value(name, ty, kind);
        self.declare(scope, name, Entity::Value(id));
        out.variables.push(RuleVariable { value: id, side, initial, equation: None });
        if let Some(e) = equation {
            if e.name.text != name.text {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_STATE, format!("this is the equation of `{}`", name.text))
                        .label(e.name.span, "another name"),
                );
                return;
            }
            equations.push((id, e.clone()));
        }
    }

    fn not_a_variable(&mut self, name: &ast::Name, out: &hir::Plasticity) {
        let all: Vec<String> = out
            .variables
            .iter()
            .map(|v| v.value)
            .chain(out.weight)
            .map(|v| self.program.value(v).name.clone())
            .collect();
        let near = did_you_mean(&name.text, all.iter().map(String::as_str));
        let help = near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
        self.diags.push(
            Diagnostic::error(
                UNKNOWN_STATE,
                format!("`{}` is no trace, synapse state or weight of the rule", name.text),
            )
            .label(name.span, "a rule writes only those")
            .help(help),
        );
    }

    fn rule_event(&mut self, event: &ast::Path, formals: Option<&[ast::Formal]>, cx: Cx) -> Option<Event> {
        let names: Vec<&str> = event.names.iter().map(|n| n.text.as_str()).collect();
        let event_span = event.span;
        match names.as_slice() {
            ["pre"] if formals.is_none() => Some(Event::Pre),
            ["post"] if formals.is_none() => Some(Event::Post),
            ["post", receptor] => {
                let Place::Rule(place) = cx.place else { return None };
                for m in &place.targets {
                    let model = self.program.model(*m);
                    if !model.broken && !model.receptors.iter().any(|r| r.name == *receptor) {
                        let d = Diagnostic::error(RULE_NEEDS, format!("`{}` has no receptor `{receptor}`", model.name))
                            .label(event.span, "a spike that arrives there is the event")
                            .help("attach the rule to cells that have this receptor");
                        self.diags.push(d);
                        return None;
                    }
                }
                Some(Event::Receptor(receptor.to_string()))
            }
            [name] => {
                let Place::Rule(place) = cx.place else { return None };
                let Some((_, event, dim)) = place.events.iter().find(|(n, ..)| n == name) else {
                    let known = place.events.iter().map(|(n, ..)| n.as_str()).chain(["pre", "post"]);
                    let near = did_you_mean(name, known).map(|n| format!("did you mean `{n}`?"));
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_NAME, format!("the rule needs no event `{name}`"))
                            .label(event.span, "not known")
                            .help(near.unwrap_or_else(|| format!("declare it: `needs event {name}`"))),
                    );
                    return None;
                };
                let formal = self.event_formal(formals.unwrap_or_default(), *dim, event_span, cx.scope);
                Some(Event::Named(*event, formal))
            }
            _ => {
                self.diags.push(
                    Diagnostic::error(
                        LOCALITY,
                        "a rule answers to spikes of its two cells, and to events that it needs",
                    )
                    .label(event.span, "none of these")
                    .help("`on pre`, `on post`, `on post.cf`, `on reward(r)`"),
                );
                None
            }
        }
    }

    fn rule_equation(&mut self, v: ValueId, e: &ast::Equation, out: &mut hir::Plasticity, cx: Cx) {
        let def = self.program.value(v);
        let (name, ty) = (def.name.clone(), def.ty);
        let dim = ty.dimension() / Dimension::TIME;
        let value = self.expr(&e.value, cx, Some(dim));
        if ty.kind != hir::Kind::Unknown && self.scalar(&value) {
            let of = in_words(ty.dimension());
            self.fits(
                &value,
                dim,
                EQUATION_DIMENSION,
                &format!("`{name}` {of}, so `{name}'` is {}", dimension_words(dim)),
            );
        }
        let side = out.variables.iter().find(|x| x.value == v).and_then(|x| x.side);
        self.check_sides(&value, side, &name);
        let slot = match out.variables.iter_mut().find(|x| x.value == v) {
            Some(variable) => &mut variable.equation,
            None => &mut out.drift,
        };
        if slot.is_some() {
            self.diags.push(
                Diagnostic::error(SECOND_EQUATION, format!("`{name}` has two equations"))
                    .label(e.name.span, "second one"),
            );
        }
        *slot = Some(value);
    }

    /// A trace of one side lives once per neuron: it can't read what is of the other side or of one synapse.
    fn check_sides(&mut self, value: &Expr, side: Option<Side>, name: &str) {
        let Some(side) = side else { return };
        let mut wrong: Option<(Span, String)> = None;
        self.rule_reads(value, &mut |s, id, x| {
            let def = s.program.value(id);
            let other = match &def.kind {
                ValueKind::Trace(of) => *of != side,
                ValueKind::Synapse => true,
                _ => false,
            };
            if other {
                wrong.get_or_insert((x.span, def.name.clone()));
            }
        });
        let mut reads_other = None;
        super::query::walk(value, &mut |x| {
            let of = match x.kind {
                ExprKind::Attribute(Side::Post, _) | ExprKind::SumIn => Side::Post,
                ExprKind::SumOut => Side::Pre,
                _ => return true,
            };
            if of != side {
                reads_other.get_or_insert(x.span);
            }
            true
        });
        if let Some(span) = reads_other {
            let other = if side == Side::Pre { "post" } else { "pre" };
            wrong.get_or_insert((span, other.to_string()));
        }
        if let Some((span, other)) = wrong {
            let which = if side == Side::Pre { "presynaptic" } else { "postsynaptic" };
            self.diags.push(
                Diagnostic::error(LOCALITY, format!("trace `{name}` lives once per {which} neuron"))
                    .label(span, format!("`{other}` differs from synapse to synapse"))
                    .help("make it a `synapse` state, or let it read what is on its own side"),
            );
        }
    }

    /// Calls `see` for every value that an expression reads, through lets.
    fn rule_reads(&self, e: &Expr, see: &mut dyn FnMut(&Self, ValueId, &Expr)) {
        let mut stack = vec![e.clone()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(e) = stack.pop() {
            super::query::walk(&e, &mut |x| {
                if let ExprKind::Value(id) = &x.kind
                    && seen.insert(*id)
                {
                    if let ValueKind::Let(inner) = &self.program.value(*id).kind {
                        let mut inner = inner.clone();
                        inner.span = x.span;
                        stack.push(inner);
                    }
                    see(self, *id, x);
                }
                true
            });
        }
    }

    /// `sum_in(w)`, `sum_out(w)`
    pub(super) fn sum_of_weights(&mut self, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        let Place::Rule(place) = cx.place else {
            return self.not_here(name, span, "a rule's `every` knows the sum of a cell's weights");
        };
        if !place.periodic {
            return self.not_here(name, span, "only `every` sees all synapses of a cell at one moment");
        }
        let weight = match args {
            [arg] => match &arg.value.kind {
                ast::ExprKind::Name(n) => match self.lookup(cx.scope, n) {
                    Some(Entity::Value(v)) => matches!(self.program.value(v).kind, ValueKind::Synapse).then_some(v),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        let weight = weight.filter(|v| place.weight_id == Some(*v));
        if weight.is_none() {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{name}` adds up the rule's weight"))
                    .label(span, "of something else")
                    .help(format!("write `{name}(w)`, with the name that `weight` gives")),
            );
            return self.error_expr(span);
        }
        let kind = if name == "sum_in" { ExprKind::SumIn } else { ExprKind::SumOut };
        Expr { kind, span, ty: Type::quantity(place.weight) }
    }

    fn handler(&mut self, event: Event, body: &ast::Block, out: &mut hir::Plasticity, cx: Cx) {
        let mut list = Vec::new();
        let inner = self.new_scope(Some(cx.scope));
        self.rule_block(body, &event, out, Cx { scope: inner, place: cx.place }, &mut list);
        out.handlers.push(hir::Handler { event, body: list });
    }

    fn rule_block(
        &mut self,
        body: &ast::Block,
        event: &Event,
        out: &hir::Plasticity,
        cx: Cx,
        list: &mut Vec<RuleStmt>,
    ) {
        for s in &body.stmts {
            match &s.kind {
                ast::StmtKind::Assign { target, op, value } => {
                    self.rule_assign(target, *op, value, event, out, cx, s.span, list)
                }
                ast::StmtKind::Let(l) => {
                    let id = self.declare_let(l, cx.scope, cx.place.clone());
                    self.ensure(id);
                }
                ast::StmtKind::Deliver(e) => {
                    if !matches!(event, Event::Pre) {
                        self.diags.push(
                            Diagnostic::error(NOT_HERE, "only `on pre` has a spike to deliver")
                                .label(s.span, "no spike here"),
                        );
                        continue;
                    }
                    let dim = self.weight_dim.unwrap_or(Dimension::NUMBER);
                    let value = self.number(e, cx, dim);
                    list.push(RuleStmt::Deliver(value));
                }
                ast::StmtKind::RemoveWhen(e) => {
                    if !matches!(event, Event::Every(_)) {
                        self.diags.push(
                            Diagnostic::error(NOT_HERE, "synapses go at intervals, not with a spike")
                                .label(s.span, "in a handler of spikes or events")
                                .help("write it in `every 1 s { remove when ... }`"),
                        );
                        continue;
                    }
                    let condition = self.condition(e, cx);
                    list.push(RuleStmt::Remove(condition));
                }
                ast::StmtKind::If(i) => {
                    let condition = self.condition(&i.condition, cx);
                    let mut then = Vec::new();
                    let scope = self.new_scope(Some(cx.scope));
                    self.rule_block(&i.then, event, out, Cx { scope, place: cx.place }, &mut then);
                    let mut otherwise = Vec::new();
                    match &i.otherwise {
                        Some(ast::StmtElse::Block(b)) => {
                            let scope = self.new_scope(Some(cx.scope));
                            self.rule_block(b, event, out, Cx { scope, place: cx.place }, &mut otherwise);
                        }
                        Some(ast::StmtElse::If(next)) => {
                            let block = ast::Block {
                                stmts: vec![ast::Stmt {
                                    doc: Vec::new(),
                                    kind: ast::StmtKind::If((**next).clone()),
                                    span: next.condition.span,
                                }],
                                span: next.condition.span,
                            };
                            self.rule_block(&block, event, out, cx, &mut otherwise);
                        }
                        None => {}
                    }
                    if then.iter().chain(&otherwise).any(RuleStmt::delivers) {
                        self.diags.push(
                            Diagnostic::error(NOT_HERE, "`deliver` stands outside of `if`")
                                .label(s.span, "in a branch")
                                .help("deliver a choice: `deliver if c then a else b`"),
                        );
                        continue;
                    }
                    list.push(RuleStmt::If(condition, then, otherwise));
                }
                ast::StmtKind::Broken => {}
                _ => self.diags.push(
                    Diagnostic::error(NOT_HERE, "a rule's handler assigns, delivers and branches")
                        .label(s.span, "belongs to an experiment"),
                ),
            }
        }
    }

    fn rule_assign(
        &mut self,
        target: &ast::Expr,
        op: ast::AssignOp,
        value: &ast::Expr,
        event: &Event,
        out: &hir::Plasticity,
        cx: Cx,
        span: Span,
        list: &mut Vec<RuleStmt>,
    ) {
        let name = match &target.kind {
            ast::ExprKind::Name(n) => ast::Name { text: n.clone(), span: target.span },
            _ => {
                self.diags.push(
                    Diagnostic::error(LOCALITY, "a rule writes only its traces, its synapse and its weight")
                        .label(target.span, "not one of them"),
                );
                return;
            }
        };
        let variable = match self.lookup(cx.scope, &name.text) {
            Some(Entity::Value(v))
                if matches!(self.program.value(v).kind, ValueKind::Trace(_) | ValueKind::Synapse) =>
            {
                v
            }
            Some(Entity::Poison) => return,
            _ => {
                self.not_a_variable(&name, out);
                return;
            }
        };
        let def = self.program.value(variable);
        let (ty, kind) = (def.ty, def.kind.clone());
        let by_number = matches!(op, ast::AssignOp::Multiply | ast::AssignOp::Divide);
        let dim = if by_number { Dimension::NUMBER } else { ty.dimension() };
        let v = self.expr(value, cx, Some(dim));
        if !self.scalar(&v) {
            return;
        }
        let why = if by_number {
            format!("`{}` is scaled by a number", name.text)
        } else {
            format!("`{}` is {}", name.text, dimension_words(dim))
        };
        if !self.fits(&v, dim, DIMENSION_MISMATCH, &why) {
            return;
        }
        if let ValueKind::Trace(side) = kind {
            let own = match event {
                Event::Pre => side == Side::Pre,
                Event::Post | Event::Receptor(_) => side == Side::Post,
                Event::Every(_) | Event::Named(..) => true,
            };
            if !own {
                let (of, other) = if side == Side::Pre { ("pre", "a presynaptic") } else { ("post", "a postsynaptic") };
                self.diags.push(
                    Diagnostic::error(LOCALITY, format!("`{}` is {other} trace: only `on {of}` changes it", name.text))
                        .label(span, "written at an event of the other side"),
                );
                return;
            }
            self.check_sides(&v, Some(side), &name.text);
        }
        let value = super::model::combine(ty, variable, op, v, span);
        list.push(RuleStmt::Set { variable, value });
    }
}

impl RuleStmt {
    fn delivers(&self) -> bool {
        match self {
            RuleStmt::Deliver(_) => true,
            RuleStmt::If(_, a, b) => a.iter().chain(b).any(RuleStmt::delivers),
            RuleStmt::Set { .. } | RuleStmt::Remove(_) => false,
        }
    }

    pub fn removes(&self) -> bool {
        match self {
            RuleStmt::Remove(_) => true,
            RuleStmt::If(_, a, b) => a.iter().chain(b).any(RuleStmt::removes),
            RuleStmt::Set { .. } | RuleStmt::Deliver(_) => false,
        }
    }
}

/// The dimension that a literal default gives to a param declared as a weight.
fn literal_weight(b: &ast::Binding) -> Option<Dimension> {
    let [only] = b.dim.as_ref()?.factors.as_slice() else { return None };
    if only.name.text != "weight" {
        return None;
    }
    literal_dimension(b.value.as_ref()?)
}

/// The dimension of a literal; 0 fits any.
fn literal_dimension(e: &ast::Expr) -> Option<Dimension> {
    match &e.kind {
        ast::ExprKind::Number { unit: Some(unit), .. } => {
            crate::units::parse_unit(&unit.text).ok().map(|u| u.dimension())
        }
        ast::ExprKind::Number { text, unit: None } if text.parse::<f64>().is_ok_and(|v| v != 0.0) => {
            Some(Dimension::NUMBER)
        }
        _ => None,
    }
}
