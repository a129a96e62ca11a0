//! Populations and sources: models, bindings, and what is said of their cells.

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::Diagnostic;
use crate::base::diag::did_you_mean;
use crate::hir::{self, Expr, NetworkId, SpikeRule, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;

/// What kind of model stands after the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Neuron,
    Source,
    Modulator,
}

impl Wanted {
    fn words(self) -> &'static str {
        match self {
            Wanted::Neuron => "a neuron",
            Wanted::Source => "a source",
            Wanted::Modulator => "a modulator",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Wanted::Neuron => "neurons",
            Wanted::Source => "sources",
            Wanted::Modulator => "modulators",
        }
    }

    fn keyword(self) -> &'static str {
        match self {
            Wanted::Neuron => "population",
            Wanted::Source => "source",
            Wanted::Modulator => "modulator",
        }
    }
}

impl Sema<'_> {
    pub(super) fn population(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        axes: Option<&[ast::Axis]>,
        instance: &ast::Instance,
        body: &[ast::PopulationClause],
        scope: ScopeId,
        wanted: Wanted,
    ) {
        let Some(Entity::Population(owner, at)) = self.lookup(scope, &name.text) else { return };
        if owner != id || self.program.network(id).populations[at.0 as usize].span != name.span {
            return;
        }
        let inner = self.new_scope(Some(scope));
        let place = Place::Binding;
        let cx = Cx { scope: inner, place: &place };
        let mut out_axes = Vec::new();
        let mut axis_values = Vec::new();
        for (k, axis) in axes.unwrap_or_default().iter().enumerate() {
            let labels = match &axis.size.kind {
                ast::ExprKind::Name(n) => match self.lookup(scope, n) {
                    Some(Entity::Labels(ids)) => ids.iter().map(|v| self.program.value(*v).name.clone()).collect(),
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            let size = match self.labels_size(&axis.size, cx) {
                Some(size) => size,
                None => self.number(&axis.size, cx, Dimension::NUMBER),
            };
            if let Some(axis_name) = &axis.name {
                let v = self.new_value(axis_name, Type::NUMBER, ValueKind::Axis(k as u32));
                self.declare(inner, axis_name, Entity::Value(v));
                axis_values.push(v);
            }
            out_axes.push(hir::Axis { name: axis.name.as_ref().map(|n| n.text.clone()), labels, size });
        }
        for name in position_names(body) {
            let k = super::position::COORDINATES.iter().position(|c| name.text.ends_with(c)).unwrap_or(0);
            let v = self.new_value(&name, Type::quantity(Dimension::LENGTH), ValueKind::Coordinate(k as u32));
            self.scopes[inner.0].names.insert(name.text, Entity::Value(v));
            axis_values.push(v);
        }
        let model = self.instance_model(instance, scope, wanted);
        let events = model.map(|m| self.bind_events(m, instance, scope)).unwrap_or_default();
        let args = match model {
            Some(model) => {
                let overrides = self.overridden_params(&name.text);
                self.bind(model, instance, overrides, cx)
            }
            None => {
                // Still look at the arguments: their own mistakes are worth saying now.
                for arg in instance.args.iter().flatten() {
                    self.expr(&arg.value, cx, None);
                }
                Vec::new()
            }
        };
        let failed = model.is_none();
        let p = &mut self.program.networks[id.0 as usize].populations[at.0 as usize];
        p.axis_values = axis_values;
        let p = &mut self.program.networks[id.0 as usize].populations[at.0 as usize];
        p.axes = axes.map(|_| out_axes);
        p.args = args;
        p.events = events;
        p.model_span = instance.span;
        match model {
            Some(model) => p.model = model,
            None => p.model = hir::ModelId(u32::MAX),
        }
        if failed {
            // Uses of a population without a model say nothing more.
            self.scopes[scope.0].names.insert(name.text.clone(), Entity::Poison);
        }
    }

    /// Position, k-winners-take-all and what silences checks.
    pub(super) fn population_clauses(&mut self, id: NetworkId, p: &ast::Population, scope: ScopeId) {
        let Some(Entity::Population(owner, at)) = self.scopes[scope.0].names.get(&p.name.text).cloned() else { return };
        if owner != id {
            return;
        }
        let place = Place::Binding;
        let axes = self.program.network(id).populations[at.0 as usize].axes.clone().unwrap_or_default();
        let known = self.program.network(id).populations[at.0 as usize].clone();
        for clause in &p.body {
            match clause {
                ast::PopulationClause::Position { layout, periodic, span } => {
                    let inner = self.axis_scope(&known, scope);
                    let position = self.position(layout, *periodic, *span, &axes, Cx { scope: inner, place: &place });
                    let p = &mut self.program.networks[id.0 as usize].populations[at.0 as usize];
                    if p.position.is_some() {
                        self.diags.push(
                            Diagnostic::error(NAME_TAKEN, "`position` is given twice").label(*span, "second one"),
                        );
                        continue;
                    }
                    p.position = position;
                }
                ast::PopulationClause::Active { most, within, span } => {
                    let cx = Cx { scope, place: &place };
                    let fraction = matches!(&most.kind, ast::ExprKind::Number { unit: Some(u), .. } if u.text == "%");
                    let most = self.number(most, cx, Dimension::NUMBER);
                    let within = self.number(within, cx, Dimension::TIME);
                    let model = self.program.networks[id.0 as usize].populations[at.0 as usize].model;
                    let can = self.program.models.get(model.0 as usize).is_none_or(|m| {
                        m.broken || matches!(&m.spike, SpikeRule::When(c) if super::expr::threshold(c).is_some())
                    });
                    if !can {
                        self.diags.push(
                            Diagnostic::error(WINNERS, "who wins is decided by how far a cell is above its threshold")
                                .label(*span, "asked for here")
                                .label(self.program.model(model).span, "this cell does not say `spike when a >= b`")
                                .help("use a cell that fires at a threshold, or inhibition"),
                        );
                        continue;
                    }
                    let winners = hir::Winners { most, fraction, within, span: *span };
                    self.program.networks[id.0 as usize].populations[at.0 as usize].winners = Some(winners);
                }
                ast::PopulationClause::Mixed { .. } => {
                    self.program.networks[id.0 as usize].populations[at.0 as usize].mixed = true;
                }
                ast::PopulationClause::Exempt { check, reason, .. } => {
                    let exemption = self.exemption(check, reason);
                    let p = &mut self.program.networks[id.0 as usize].populations[at.0 as usize];
                    let Some(exemption) = exemption else { continue };
                    if p.exemptions.iter().any(|e| e.check == exemption.check) {
                        self.diags.push(
                            Diagnostic::error(NAME_TAKEN, format!("`{}` is exempt from this twice", p.name))
                                .label(check.span, "second one")
                                .help("say both reasons in one"),
                        );
                        continue;
                    }
                    p.exemptions.push(exemption);
                }
            }
        }
    }

    /// `None` where the check is unknown.
    fn exemption(&mut self, check: &ast::Name, reason: &str) -> Option<hir::Exemption> {
        let Some(found) = hir::Check::ALL.into_iter().find(|c| c.name() == check.text) else {
            let names = hir::Check::ALL.map(hir::Check::name);
            let help = match did_you_mean(&check.text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("populations can be exempt from `{}`", names.join("`, `")),
            };
            self.diags.push(
                Diagnostic::error(UNKNOWN_NAME, format!("there is no check `{}`", check.text))
                    .label(check.span, "not found")
                    .help(help),
            );
            return None;
        };
        Some(hir::Exemption { check: found, reason: reason.to_string() })
    }

    fn instance_model(&mut self, instance: &ast::Instance, scope: ScopeId, wanted: Wanted) -> Option<hir::ModelId> {
        let (head, rest) = instance.path.names.split_first()?;
        let mut entity = match self.lookup(scope, &head.text) {
            Some(e) => e,
            None => {
                let models: Vec<String> = self
                    .visible(scope)
                    .into_iter()
                    .filter(|n| matches!(self.lookup(scope, n), Some(Entity::Model(_))))
                    .collect();
                let near =
                    did_you_mean(&head.text, models.iter().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
                let folder = wanted.folder();
                let standard =
                    self.loader.text(&format!("std/{folder}/{}.nsm", super::modules::snake_case(&head.text)));
                let help =
                    near.or_else(|| standard.is_ok().then(|| format!("import it: `use std.{folder}.{}`", head.text)));
                self.diags.push(
                    Diagnostic::error(UNKNOWN_NAME, format!("there is no model `{}` here", head.text))
                        .label(head.span, "not found")
                        .maybe_help(help),
                );
                return None;
            }
        };
        for name in rest {
            entity = self.member_of(&entity, name)?;
        }
        match entity {
            Entity::Model(m) => {
                let model = self.program.model(m);
                let found = match (model.source, model.modulator) {
                    (true, _) => Wanted::Source,
                    (_, true) => Wanted::Modulator,
                    _ => Wanted::Neuron,
                };
                if found != wanted {
                    let (is, wants) = (found.words(), wanted.words());
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, format!("`{}` is {is}, {wants} is expected", model.name))
                            .label(instance.path.span, is)
                            .help(format!("declare it with `{}`", found.keyword())),
                    );
                    return None;
                }
                Some(m)
            }
            Entity::Poison => None,
            other => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{}` is {}, not a model", head.text, other.words()))
                        .label(instance.path.span, "a neuron or source model is expected"),
                );
                None
            }
        }
    }

    /// Bindings of a model's params and initial states.
    fn bind(
        &mut self,
        model: hir::ModelId,
        instance: &ast::Instance,
        overrides: Vec<(ast::Name, ast::Expr, ScopeId)>,
        cx: Cx,
    ) -> Vec<(ValueId, Expr)> {
        let names = self.model_names(model);
        let broken = self.program.model(model).broken;
        let mut out: Vec<(ValueId, Expr)> = Vec::new();
        let overridden =
            |arg: &ast::Arg| overrides.iter().any(|(n, ..)| arg.name.as_ref().is_some_and(|a| a.text == n.text));
        let mut args: Vec<(ast::Arg, ScopeId)> =
            instance.args.iter().flatten().filter(|a| !overridden(a)).map(|a| (a.clone(), cx.scope)).collect();
        for (name, value, outer) in overrides {
            // The axes of the population have their names there too.
            let scope = self.new_scope(Some(outer));
            self.scopes[scope.0].names = self.scopes[cx.scope.0].names.clone();
            let span = value.span;
            args.push((ast::Arg { name: Some(name), value, modifiers: Vec::new(), span }, scope));
        }
        for (arg, scope) in &args {
            let cx = Cx { scope: *scope, place: cx.place };
            let Some(name) = &arg.name else {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, "what is bound needs a name")
                        .label(arg.span, "no name")
                        .help("write `tau_m = 10 ms`"),
                );
                self.expr(&arg.value, cx, None);
                continue;
            };
            let found = names.iter().find(|(n, _)| *n == name.text).map(|(_, v)| *v);
            let bindable = found.filter(|v| {
                matches!(
                    self.program.value(*v).kind,
                    ValueKind::Param { .. } | ValueKind::State { .. } | ValueKind::Broken
                )
            });
            if self.program.model(model).events.iter().any(|e| e.name == name.text) {
                continue;
            }
            let Some(v) = bindable else {
                self.expr(&arg.value, cx, None);
                if broken {
                    continue;
                }
                let all: Vec<&str> = names
                    .iter()
                    .filter(|(_, v)| {
                        matches!(self.program.value(*v).kind, ValueKind::Param { .. } | ValueKind::State { .. })
                    })
                    .map(|(n, _)| n.as_str())
                    .collect();
                let input = found.is_some_and(|v| matches!(self.program.value(v).kind, ValueKind::Input));
                let help = match did_you_mean(&name.text, all.iter().copied()) {
                    _ if input => format!(
                        "an input is driven: `drive E.{0} = ...` in the network, or `set E.{0} = ...` in an experiment",
                        name.text
                    ),
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", all.join(", ")),
                };
                let model_name = self.program.model(model).name.clone();
                let what = if found.is_some() { "can't be bound: it is no param or state" } else { "is not known" };
                let d = Diagnostic::error(UNKNOWN_ARGUMENT, format!("`{}` of `{model_name}` {what}", name.text))
                    .label(name.span, "not a param or state of the model")
                    .help(help);
                self.diags.push(d);
                continue;
            };
            if out.iter().any(|(w, _)| *w == v) {
                self.diags.push(
                    Diagnostic::error(NAME_TAKEN, format!("`{}` is bound twice", name.text))
                        .label(name.span, "second time"),
                );
            }
            let def = self.program.value(v);
            let (ty, def_span) = (def.ty, def.span);
            let known = ty.kind != hir::Kind::Unknown;
            let value = self.expr(&arg.value, cx, Some(ty.dimension()).filter(|_| known));
            let ok = known
                && self.fits(
                    &value,
                    ty.dimension(),
                    BINDING_DIMENSION,
                    &format!("`{}` is {}", name.text, dimension_words(ty.dimension())),
                );
            if ok && value.ty.kind != hir::Kind::Unknown && value.ty.kind != ty.kind {
                let (wanted, found) = (super::expr::kind_words(ty), super::expr::kind_words(value.ty));
                self.diags.push(
                    Diagnostic::error(KIND_MISMATCH, format!("`{}` is {wanted}, found {found}", name.text))
                        .label(value.span, found)
                        .label(def_span, "declared here"),
                );
            }
            let lists = ty.rank > 0 || self.takes_times(model, v);
            if ok && value.ty.rank > 0 && !lists {
                self.diags.push(
                    Diagnostic::error(
                        KIND_MISMATCH,
                        format!("`{}` takes one number per cell, found a list", name.text),
                    )
                    .label(value.span, "a list")
                    .label(def_span, "declared here")
                    .help("index the list by an axis or by `index`: values[index]"),
                );
            }
            out.push((v, value));
        }
        for (name, v) in &names {
            if let ValueKind::Param { default: None, .. } = &self.program.value(*v).kind
                && !out.iter().any(|(w, _)| w == v)
            {
                let unit = self.program.value(*v).ty.dimension().typical_unit();
                let model_name = self.program.model(model).name.clone();
                let def = self.program.value(*v).span;
                self.diags.push(
                    Diagnostic::error(UNBOUND_PARAM, format!("`{model_name}` needs `{name}`"))
                        .label(instance.span, format!("`{name}` is not bound here"))
                        .label(def, "it has no default")
                        .help(format!("bind it: {model_name}({name} = ... {unit})")),
                );
            }
        }
        out
    }

    /// The param whose value is the list of times of `spike at`.
    fn takes_times(&self, model: hir::ModelId, param: ValueId) -> bool {
        match &self.program.model(model).spike {
            SpikeRule::Times(e) => {
                let mut reads = false;
                super::query::walk(e, &mut |x| {
                    reads |= matches!(x.kind, hir::ExprKind::Value(v) if v == param);
                    true
                });
                reads
            }
            _ => false,
        }
    }
}

/// `pos.x`, `pos.y` of a population that says where its cells lie.
fn position_names(body: &[ast::PopulationClause]) -> Vec<ast::Name> {
    let Some((layout, span)) = body.iter().find_map(|c| match c {
        ast::PopulationClause::Position { layout, span, .. } => Some((layout, *span)),
        _ => None,
    }) else {
        return Vec::new();
    };
    let n = match &layout.kind {
        ast::ExprKind::Paren(items) => items.len(),
        ast::ExprKind::Call(callee, args) if matches!(&callee.kind, ast::ExprKind::Name(n) if n == "box") => args.len(),
        _ => 2,
    };
    let names = super::position::COORDINATES.iter().take(n);
    names.map(|c| ast::Name { text: format!("pos.{c}"), span }).collect()
}
