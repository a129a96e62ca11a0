//! Networks: populations, sources, projections, drives, and the blocks that unroll.

use super::error::*;
use super::query;
use super::region::{Declared, Progress};
use super::scope::{Entity, ScopeId};
use super::{Cx, End, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, Item, NetworkId, PopulationId, Rule, SpikeRule, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;
use std::rc::Rc;

const RULES: [&str; 8] = [
    "one_to_one",
    "all_to_all",
    "bernoulli",
    "fixed_indegree",
    "fixed_outdegree",
    "fixed_total_number",
    "pairs",
    "edges",
];

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
    pub(super) fn declare_network(&mut self, n: &ast::Network, scope: ScopeId) {
        let id = NetworkId(self.program.networks.len() as u32);
        self.program.networks.push(hir::Network {
            name: n.name.text.clone(),
            span: n.name.span,
            region: n.region,
            names: Vec::new(),
            dt: None,
            populations: Vec::new(),
            items: Vec::new(),
            functions: Vec::new(),
            sensors: Vec::new(),
            events: Vec::new(),
            memories: Vec::new(),
            actuators: Vec::new(),
            broken: false,
        });
        let inner = self.new_scope(Some(scope));
        self.network_scopes.push(inner);
        self.declared.push(Declared { ast: Rc::new(n.clone()), file: scope, progress: Progress::Waiting });
        self.declare(scope, &n.name, Entity::Network(id));
    }

    /// Resolves a network or region unless that was done: a region is needed whole before its first use.
    pub(super) fn resolve_network(&mut self, id: NetworkId) {
        let declared = &mut self.declared[id.0 as usize];
        if declared.progress != Progress::Waiting {
            return;
        }
        declared.progress = Progress::Running;
        let n = declared.ast.clone();
        let errors = self.diags.error_count();
        let scope = self.network_scopes[id.0 as usize];
        let outside = self.here.take();
        self.declare_items(id, &n.items, scope, false);
        // Populations before what reads them: `pre.V_th` and receptors need their models.
        let mut items = Vec::new();
        self.resolve_populations(id, &n.items, scope);
        self.resolve_items(id, &n.items, scope, &mut items);
        self.resolve_sensors(id);
        self.resolve_memories(id);
        self.check_matrices(id, &items);
        let network = &mut self.program.networks[id.0 as usize];
        network.items = items;
        network.broken = self.diags.error_count() > errors || any_broken(&n.items);
        self.here = outside;
        self.declared[id.0 as usize].progress = Progress::Done;
    }

    pub(super) fn declare_items(&mut self, id: NetworkId, items: &[ast::Circuit], scope: ScopeId, in_loop: bool) {
        for item in items {
            match &item.kind {
                ast::CircuitKind::Param(list) => {
                    if in_loop {
                        self.diags.push(
                            Diagnostic::error(NOT_HERE, "a param can't stand in a `for`")
                                .label(item.span, "it would be several")
                                .help("use `let`, or declare the param outside"),
                        );
                    }
                    let list: Vec<ast::Binding> =
                        list.iter().filter(|b| !self.declare_model_param(b, scope)).cloned().collect();
                    let ids = self.declare_params(&list, scope, &Place::Binding);
                    self.own_names(id, ids);
                }
                ast::CircuitKind::Let(l) => {
                    let v = self.declare_let(l, scope, Place::Binding);
                    self.own_names(id, vec![v]);
                }
                ast::CircuitKind::Labels(l) => self.declare_labels(l, scope),
                ast::CircuitKind::Population(p) => {
                    if in_loop {
                        self.population_in_loop(&p.name);
                        continue;
                    }
                    self.declare_population(id, &p.name, false, scope);
                }
                ast::CircuitKind::Source { name, .. } => {
                    if in_loop {
                        self.population_in_loop(name);
                        continue;
                    }
                    self.declare_population(id, name, true, scope);
                }
                ast::CircuitKind::Projection(p) => {
                    if let Some(name) = &p.name
                        && !in_loop
                    {
                        let path = self.path_of(&name.text);
                        self.declare(scope, name, Entity::Projection(path));
                    }
                }
                ast::CircuitKind::If(c) => self.declare_if(id, c, scope, in_loop),
                ast::CircuitKind::Broken { name: Some(name) } => self.poison(scope, name),
                ast::CircuitKind::Region { name, axes, model, overrides } => {
                    if in_loop {
                        self.population_in_loop(name);
                        continue;
                    }
                    self.declare_region(id, name, axes.as_deref(), model, overrides, scope);
                }
                ast::CircuitKind::Modulator { name, model } => self.declare_unit(id, name, model, scope, in_loop),
                ast::CircuitKind::Sensor { name, axes, dim, value } => {
                    self.declare_sensor(id, name, axes.as_deref(), dim, value.as_ref(), scope)
                }
                ast::CircuitKind::Actuator { name, value } => self.declare_actuator(id, name, value, scope),
                ast::CircuitKind::Event { name, formals } => self.declare_event(id, name, formals.as_deref(), scope),
                ast::CircuitKind::Memory { name, .. } => self.declare_memory(id, name, item, scope),
                ast::CircuitKind::Matrix(m) => {
                    let path = self.path_of(&m.name.text);
                    self.declare(scope, &m.name, Entity::Projection(path));
                }
                ast::CircuitKind::Port { output, name, ends, weight } => {
                    self.declare_port(*output, name, ends, weight.as_ref(), scope)
                }
                ast::CircuitKind::Needs(ast::Needs::Modulator { name, value }) => {
                    self.region_modulator(id, name, value.as_ref(), item.span, scope)
                }
                ast::CircuitKind::Needs(ast::Needs::Event { name, formals }) => {
                    self.region_event(name, formals.as_deref(), item.span, scope)
                }
                ast::CircuitKind::Needs(_) => self.diags.push(not_yet("this `needs`", item.span)),
                ast::CircuitKind::Function { .. }
                | ast::CircuitKind::For { .. }
                | ast::CircuitKind::Dt(_)
                | ast::CircuitKind::Drive { .. }
                | ast::CircuitKind::Broken { name: None } => {}
            }
        }
    }

    /// Params and lets of the outermost circuit are what the command line and experiments may bind.
    fn own_names(&mut self, id: NetworkId, ids: Vec<ValueId>) {
        if self.here.is_none() {
            self.program.networks[id.0 as usize].names.extend(ids);
        }
    }

    fn declare_if(&mut self, id: NetworkId, c: &ast::CircuitIf, scope: ScopeId, in_loop: bool) {
        self.declare_items(id, &c.then, scope, in_loop);
        match &c.otherwise {
            Some(ast::CircuitElse::Items(items)) => self.declare_items(id, items, scope, in_loop),
            Some(ast::CircuitElse::If(next)) => self.declare_if(id, next, scope, in_loop),
            None => {}
        }
    }

    pub(super) fn population_in_loop(&mut self, name: &ast::Name) {
        self.diags.push(
            Diagnostic::error(NOT_HERE, format!("`{}` would be declared once per turn of the loop", name.text))
                .label(name.span, "in a `for`")
                .help(format!("give the population an axis instead: population {}[k: n, cell: m]: ...", name.text)),
        );
    }

    pub(super) fn declare_population(&mut self, id: NetworkId, name: &ast::Name, source: bool, scope: ScopeId) {
        let path = self.path_of(&name.text);
        let network = &mut self.program.networks[id.0 as usize];
        let p = PopulationId(network.populations.len() as u32);
        network.populations.push(hir::Population {
            name: path,
            span: name.span,
            source,
            axes: Some(Vec::new()),
            model: hir::ModelId(0),
            args: Vec::new(),
            axis_values: Vec::new(),
            model_span: name.span,
            position: None,
            winners: None,
            mixed: false,
            exemptions: Vec::new(),
            level: None,
            events: Vec::new(),
        });
        self.declare(scope, name, Entity::Population(id, p));
    }

    pub(super) fn resolve_populations(&mut self, id: NetworkId, items: &[ast::Circuit], scope: ScopeId) {
        for item in items {
            match &item.kind {
                ast::CircuitKind::Population(p) => {
                    self.population(id, &p.name, Some(&p.axes), &p.model, &p.body, scope, Wanted::Neuron);
                    self.population_clauses(id, p, scope);
                }
                ast::CircuitKind::Source { name, axes, model } => {
                    self.population(id, name, axes.as_deref(), model, &[], scope, Wanted::Source);
                }
                ast::CircuitKind::Modulator { name, model } => {
                    self.population(id, name, Some(&[]), model, &[], scope, Wanted::Modulator);
                    self.unit_size(id, name, scope);
                }
                ast::CircuitKind::If(c) => self.resolve_populations_if(id, c, scope),
                ast::CircuitKind::Region { name, .. } => self.region_populations(id, name, scope),
                _ => {}
            }
        }
    }

    fn resolve_populations_if(&mut self, id: NetworkId, c: &ast::CircuitIf, scope: ScopeId) {
        self.resolve_populations(id, &c.then, scope);
        match &c.otherwise {
            Some(ast::CircuitElse::Items(items)) => self.resolve_populations(id, items, scope),
            Some(ast::CircuitElse::If(next)) => self.resolve_populations_if(id, next, scope),
            None => {}
        }
    }

    fn population(
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
    fn population_clauses(&mut self, id: NetworkId, p: &ast::Population, scope: ScopeId) {
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
            Entity::Poison | Entity::Unsupported(_) => None,
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
                let near = did_you_mean(&name.text, all.iter().copied());
                let help =
                    near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
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

    pub(super) fn resolve_items(&mut self, id: NetworkId, items: &[ast::Circuit], scope: ScopeId, out: &mut Vec<Item>) {
        let place = Place::Binding;
        let cx = Cx { scope, place: &place };
        for item in items {
            match &item.kind {
                ast::CircuitKind::Dt(e) => {
                    let constant = Place::Constant;
                    let dt = self.number(e, Cx { scope, place: &constant }, Dimension::TIME);
                    // The outermost circuit's step holds.
                    if self.here.is_some() {
                        continue;
                    }
                    if self.program.network(id).dt.is_some() {
                        self.diags
                            .push(Diagnostic::error(NAME_TAKEN, "`dt` is given twice").label(item.span, "second one"));
                    }
                    self.program.networks[id.0 as usize].dt = Some(dt);
                }
                ast::CircuitKind::Population(p) => self.population_item(&p.name, scope, out),
                ast::CircuitKind::Source { name, .. } => self.population_item(name, scope, out),
                ast::CircuitKind::Projection(p) => {
                    if let Some(p) = self.projection(id, p, item.span, cx) {
                        out.push(Item::Projection(p));
                    }
                }
                ast::CircuitKind::Matrix(m) => self.matrix(id, m, scope, out),
                ast::CircuitKind::Drive { target, value } => self.drive(target, value, item.span, cx, out),
                ast::CircuitKind::For { loops, items } => {
                    let inner = self.new_scope(Some(scope));
                    let loops = self.loops(loops, inner, &place);
                    self.declare_items(id, items, inner, true);
                    let mut body = Vec::new();
                    self.resolve_items(id, items, inner, &mut body);
                    out.push(Item::For { loops, items: body });
                }
                ast::CircuitKind::If(c) => {
                    let resolved = self.circuit_if(id, c, scope);
                    out.push(resolved);
                }
                ast::CircuitKind::Region { name, .. } => self.region_items(id, name, scope, out),
                ast::CircuitKind::Port { output, ends, .. } => {
                    for end in &ends.list {
                        for s in self.end(end, cx, *output).unwrap_or_default() {
                            let pop = self.population_of(&s).clone();
                            match (&s.member, output) {
                                (Some(member), true) => drop(self.observable(&s, member)),
                                (None, true) => {}
                                (_, false) if self.names_input(&s) => {}
                                (_, false) => drop(self.receptor_of(&pop, &s, end.span)),
                            }
                        }
                    }
                }
                ast::CircuitKind::Modulator { name, .. } => self.population_item(name, scope, out),
                ast::CircuitKind::Function { text, by, shown } => {
                    self.function_tag(id, text, by, shown.as_ref(), item.span, scope)
                }
                _ => {}
            }
        }
    }

    fn population_item(&mut self, name: &ast::Name, scope: ScopeId, out: &mut Vec<Item>) {
        if let Some(Entity::Population(_, p)) = self.lookup(scope, &name.text) {
            out.push(Item::Population(p));
        }
    }

    fn circuit_if(&mut self, id: NetworkId, c: &ast::CircuitIf, scope: ScopeId) -> Item {
        let place = Place::Constant;
        let condition = self.condition(&c.condition, Cx { scope, place: &place });
        let mut then = Vec::new();
        self.resolve_items(id, &c.then, scope, &mut then);
        let mut otherwise = Vec::new();
        match &c.otherwise {
            Some(ast::CircuitElse::Items(items)) => self.resolve_items(id, items, scope, &mut otherwise),
            Some(ast::CircuitElse::If(next)) => otherwise.push(self.circuit_if(id, next, scope)),
            None => {}
        }
        Item::If { condition, then, otherwise }
    }

    /// Loop variables are declared in `scope`, each visible to the ranges after it.
    pub(super) fn loops(&mut self, loops: &[ast::Loop], scope: ScopeId, place: &Place) -> Vec<hir::Loop> {
        let cx = Cx { scope, place };
        loops
            .iter()
            .map(|l| {
                let start = self.expr(&l.range.start, cx, None);
                let end = l.range.end.as_ref().map(|e| self.number(e, cx, start.ty.dimension()));
                let ty = if start.ty.rank > 0 { start.ty.with_rank(start.ty.rank - 1) } else { start.ty };
                let ty = Type { dim: Some(ty.dimension()), ..ty };
                let variable = self.new_value(&l.variable, ty, ValueKind::Variable);
                self.declare(scope, &l.variable, Entity::Value(variable));
                hir::Loop { variable, start, end }
            })
            .collect()
    }

    fn drive(&mut self, target: &ast::Expr, value: &ast::Expr, span: Span, cx: Cx, out: &mut Vec<Item>) {
        let Some(s) = self.select(target, cx) else {
            self.expr(value, cx, None);
            return;
        };
        let p = self.population_of(&s).clone();
        let inputs: Vec<(String, ValueId)> = self
            .selected_names(&s)
            .into_iter()
            .filter(|(_, v)| matches!(self.program.value(*v).kind, ValueKind::Input))
            .collect();
        if !self.part_is_one(&s) {
            self.expr(value, cx, None);
            return;
        }
        let chosen = match &s.member {
            Some(m) => inputs.iter().find(|(n, _)| *n == m.text).cloned(),
            None if inputs.len() == 1 => inputs.first().cloned(),
            None => None,
        };
        let Some((name, v)) = chosen else {
            let found =
                s.member.as_ref().map_or("no input is named".to_string(), |m| format!("`{}` is not one", m.text));
            let names: Vec<&str> = inputs.iter().map(|(n, _)| n.as_str()).collect();
            let near = s.member.as_ref().and_then(|m| did_you_mean(&m.text, names.iter().copied()));
            let help = match near {
                Some(n) => format!("did you mean `{n}`?"),
                None if names.is_empty() => "declare one in its model: `input I: current`".to_string(),
                None => format!("it has {}", names.join(", ")),
            };
            if !self.program.model(p.model).broken {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_MEMBER, format!("a drive lands on an input of `{}`", p.name))
                        .label(target.span, found)
                        .help(help),
                );
            }
            self.expr(value, cx, None);
            return;
        };
        let ty = self.program.value(v).ty;
        let (dim, known) = (ty.dimension(), ty.kind != hir::Kind::Unknown);
        let inner = self.axis_scope(&p, cx.scope);
        let value = self.expr(value, Cx { scope: inner, place: cx.place }, Some(dim).filter(|_| known));
        if known && self.scalar(&value) {
            self.fits(&value, dim, DIMENSION_MISMATCH, &format!("input `{name}` is {}", dimension_words(dim)));
        }
        out.push(Item::Drive { target: s.cells, input: name, value, span });
    }

    /// A scope in which the axes of a population have their names.
    fn axis_scope(&mut self, p: &hir::Population, scope: ScopeId) -> ScopeId {
        let inner = self.new_scope(Some(scope));
        for v in &p.axis_values {
            let def = self.program.value(*v);
            let name = ast::Name { text: def.name.clone(), span: def.span };
            self.declare(inner, &name, Entity::Value(*v));
        }
        inner
    }

    pub(super) fn projection(
        &mut self,
        id: NetworkId,
        p: &ast::Projection,
        span: Span,
        cx: Cx,
    ) -> Option<hir::Projection> {
        let mut from = Vec::new();
        let mut private = None;
        let mut ok = true;
        let mut pre_ends = Vec::new();
        let mut values = Vec::new();
        let mut values_named = false;
        for end in &p.from.list {
            let Some(found) = self.end(end, cx, true) else {
                ok = false;
                continue;
            };
            for s in found {
                let pop = self.population_of(&s).clone();
                if let Some(part) = &s.cells.part {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "a spike leaves the cell, not one of its compartments")
                            .label(part.span, "a compartment")
                            .help(format!("write `{} -> ...`", pop.name)),
                    );
                    ok = false;
                    continue;
                }
                if let Some(member) = &s.member {
                    values_named = true;
                    match self.source_value(&pop, member) {
                        Some(v) => values.push(v),
                        None => {
                            ok = false;
                            continue;
                        }
                    }
                }
                let is_private = pop.axes.is_none();
                if *private.get_or_insert(is_private) != is_private {
                    self.diags.push(
                        Diagnostic::error(
                            CONNECT_RULE,
                            "a source without a size and one with a size can't share a projection",
                        )
                        .label(end.span, "of the other kind")
                        .help("write two projections"),
                    );
                    ok = false;
                }
                pre_ends.push(end_of(&pop));
                from.push(s.cells);
            }
        }
        let private = private.unwrap_or(false);
        let mut to = Vec::new();
        let mut post_ends = Vec::new();
        let mut dims: Vec<(Dimension, String, Span)> = Vec::new();
        let mut inputs = Vec::new();
        // A value that was wrong has been reported: what the targets say of it would only repeat that.
        let continuous = !values.is_empty() || (!ok && values_named);
        ok &= self.one_kind_of_ends(p, values.len(), from.len());
        for end in &p.to.list {
            let Some(found) = self.end(end, cx, false) else {
                ok = false;
                continue;
            };
            for s in found {
                let pop = self.population_of(&s).clone();
                if continuous {
                    match self.target_input(&pop, &s, end.span) {
                        Some(input) => {
                            ok &= self.coupled_dimensions(&pop, input, &values, &p.from.list, &mut dims);
                            post_ends.push(end_of(&pop));
                            to.push((s.cells, 0));
                            inputs.push(input);
                        }
                        None => ok = false,
                    }
                    continue;
                }
                match self.receptor_of(&pop, &s, end.span) {
                    Some(k) => {
                        let r = &self.selected_receptors(&s)[k as usize];
                        dims.push((r.dim, format!("receptor `{}` of `{}`", r.name, pop.name), r.span));
                        post_ends.push(end_of(&pop));
                        to.push((s.cells, k));
                    }
                    None => ok = false,
                }
            }
        }
        if !ok {
            // What the ends mean is not known, so weights and rules can't be judged.
            return None;
        }
        // A private source has one synapse per target: its weight is drawn per neuron.
        if let (Some(name), Some((dim, ..))) = (&p.name, dims.first()) {
            self.projection_dims.insert((id, self.path_of(&name.text)), *dim);
        }
        let post_models: Vec<hir::ModelId> = post_ends.iter().map(|e| e.model).collect();
        let place = if private { Place::Binding } else { Place::Synapse { pre: pre_ends, post: post_ends } };
        let sx = Cx { scope: cx.scope, place: &place };
        let mut out = hir::Projection {
            name: p.name.as_ref().map(|n| self.path_of(&n.text)),
            span,
            from,
            to,
            connect: None,
            weight: None,
            delay: None,
            gain: None,
            dendritic: None,
            rules: Vec::new(),
            continuous: continuous.then_some(hir::Continuous { values, inputs }),
        };
        let mut connects = false;
        for (clause, scope) in &self.overridden_clauses(p, cx.scope) {
            let (cx, sx) = (Cx { scope: *scope, place: cx.place }, Cx { scope: *scope, place: sx.place });
            connects |= matches!(clause.kind, ast::ClauseKind::Connect(_));
            let twice = match &clause.kind {
                ast::ClauseKind::Connect(c) => {
                    if private {
                        self.diags.push(
                            Diagnostic::error(CONNECT_RULE, "a source without a size has no connection rule")
                                .label(clause.span, "each target has its own train")
                                .help("give the source a size to connect its trains: source drive[100]: ..."),
                        );
                    }
                    let twice = out.connect.is_some();
                    out.connect = self.connect(c, clause.span, cx, sx);
                    twice
                }
                ast::ClauseKind::Weight(e) => {
                    let twice = out.weight.is_some();
                    let want = dims.first().map(|d| d.0);
                    let w = self.expr(e, sx, want);
                    if self.scalar(&w) {
                        for (dim, what, at) in &dims {
                            let why = format!("{what} takes {}", dimension_words(*dim));
                            if !self.weight_fits(&w, *dim, &why, *at) {
                                break;
                            }
                        }
                    }
                    out.weight = Some(w);
                    twice
                }
                ast::ClauseKind::Delay(d) => {
                    let twice = out.delay.is_some();
                    match d {
                        ast::Delay::Total(e) => out.delay = Some(self.number(e, sx, Dimension::TIME)),
                        ast::Delay::Parts { axonal, dendritic } => {
                            let axonal = axonal.as_ref().map(|e| self.number(e, sx, Dimension::TIME));
                            out.dendritic = dendritic.as_ref().map(|e| self.number(e, sx, Dimension::TIME));
                            let parts: Vec<Expr> = axonal.into_iter().chain(out.dendritic.clone()).collect();
                            out.delay = parts.into_iter().reduce(|a, b| Expr {
                                span: a.span,
                                ty: a.ty,
                                kind: hir::ExprKind::Binary(hir::BinaryOp::Add, Box::new(a), Box::new(b)),
                            });
                        }
                    }
                    twice
                }
                ast::ClauseKind::Gain(e) => {
                    let twice = out.gain.is_some();
                    out.gain = Some(self.number(e, cx, Dimension::NUMBER));
                    twice
                }
                ast::ClauseKind::Plasticity(list) => {
                    let twice = !out.rules.is_empty();
                    if private {
                        self.diags.push(
                            Diagnostic::error(CONNECT_RULE, "the trains of a source without a size have no synapses")
                                .label(clause.span, "nothing that could learn")
                                .help("give the source a size: source input[100]: ..."),
                        );
                        continue;
                    }
                    if let Some((other, what, at)) = dims.iter().find(|d| d.0 != dims[0].0) {
                        self.diags.push(
                            Diagnostic::error(WEIGHT_DIMENSION, format!("{what} takes {}", dimension_words(*other)))
                                .label(*at, "another dimension than the first target's")
                                .label(clause.span, "one rule needs one"),
                        );
                        continue;
                    }
                    if continuous {
                        self.diags.push(
                            Diagnostic::error(CONTINUOUS_ENDS, "rules change synapses that carry spikes")
                                .label(clause.span, "this projection carries values")
                                .help("let the weight be a state of the target's model instead"),
                        );
                        continue;
                    }
                    let weight = dims.first().map_or(Dimension::NUMBER, |d| d.0);
                    let targets: Vec<hir::ModelId> = post_models.clone();
                    out.rules = self.projection_rules(list, weight, &targets, cx);
                    twice
                }
            };
            if twice {
                self.diags.push(
                    Diagnostic::error(NAME_TAKEN, "this clause is written twice").label(clause.span, "second one"),
                );
            }
        }
        if out.weight.is_none() {
            let unit = dims.first().map_or_else(String::new, |d| d.0.typical_unit());
            self.diags.push(
                Diagnostic::error(NO_WEIGHT, "this projection has no weight")
                    .label(span, "no `weight`")
                    .help(format!("write `weight 1 {unit}`")),
            );
        }
        if !private && out.connect.is_none() && !connects {
            self.diags.push(
                Diagnostic::error(CONNECT_RULE, "this projection has no rule")
                    .label(span, "no `connect`")
                    .help(format!("rules are {}", RULES.join(", "))),
            );
        }
        if !private && !continuous && out.delay.is_none() {
            self.diags.push(
                Diagnostic::error(NO_DELAY, "this projection has no delay")
                    .label(span, "no `delay`")
                    .help("a spike needs at least one step: write `delay 1 ms`"),
            );
        }
        self.check_procedural(&out);
        Some(out)
    }

    /// Whether the member that a path ends in is an input of the cells.
    fn names_input(&self, s: &super::query::Selected) -> bool {
        s.member.as_ref().is_some_and(|member| {
            let named = |(n, v): &(String, ValueId)| {
                *n == member.text && matches!(self.program.value(*v).kind, ValueKind::Input)
            };
            self.selected_names(s).iter().any(named)
        })
    }

    fn weight_fits(&mut self, w: &Expr, dim: Dimension, why: &str, at: Span) -> bool {
        let before = self.diags.error_count();
        if w.ty.dim.is_some_and(|d| d != dim && !(d.is_number() && super::expr::is_literal(w))) {
            let found = w.ty.dimension();
            self.diags.push(
                Diagnostic::error(WEIGHT_DIMENSION, format!("the weight is {}, but {why}", dimension_words(found)))
                    .label(w.span, format!("this is {}", dimension_words(found)))
                    .label(at, format!("takes {}", dimension_words(dim)))
                    .help(format!("write the weight in {}", dim.typical_unit())),
            );
        } else {
            self.fits(w, dim, WEIGHT_DIMENSION, why);
        }
        self.diags.error_count() == before
    }

    pub(super) fn receptor_of(&mut self, pop: &hir::Population, s: &super::query::Selected, span: Span) -> Option<u32> {
        let model = self.program.model(pop.model).clone();
        if pop.source {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{}` is a source: nothing lands on it", pop.name))
                    .label(span, "a source"),
            );
            return None;
        }
        if !self.part_is_one(s) {
            return None;
        }
        let receptors = self.selected_receptors(s).to_vec();
        let names: Vec<&str> = receptors.iter().map(|r| r.name.as_str()).collect();
        match &s.member {
            None if names.len() == 1 => Some(0),
            None => {
                if !model.broken {
                    let inside = self.receptors_inside(&model);
                    let help = if s.cells.part.is_none() && !inside.is_empty() {
                        let all: Vec<String> = inside.iter().map(|n| format!("{}.{n}", pop.name)).collect();
                        format!("its compartments have receptors: write one of {}", all.join(", "))
                    } else if names.is_empty() {
                        "declare one in its model: `receptor exc(w: current) { ... }`".to_string()
                    } else {
                        format!(
                            "write one of {}",
                            names.iter().map(|n| format!("{}.{n}", pop.name)).collect::<Vec<_>>().join(", ")
                        )
                    };
                    let (message, label) = match names.len() {
                        0 => (format!("`{}` has no receptor", pop.name), "no spike can land here"),
                        n => (format!("`{}` has {n} receptors: name one", pop.name), "which one?"),
                    };
                    self.diags.push(Diagnostic::error(RECEPTOR_CHOICE, message).label(span, label).help(help));
                }
                None
            }
            Some(member) => {
                let found = names.iter().position(|n| *n == member.text);
                if found.is_none() && !model.broken {
                    if self.names_input(s) {
                        self.spike_onto_input(&pop.name, member);
                        return None;
                    }
                    let near = did_you_mean(&member.text, names.iter().copied());
                    let help = near.map_or_else(
                        || format!("its receptors are {}", names.join(", ")),
                        |n| format!("did you mean `{n}`?"),
                    );
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no receptor `{}`", pop.name, member.text))
                            .label(member.span, format!("not in `{}`", model.name))
                            .help(help),
                    );
                }
                found.map(|k| k as u32)
            }
        }
    }

    fn connect(&mut self, c: &ast::Connect, span: Span, cx: Cx, sx: Cx) -> Option<hir::Connect> {
        let filter = c.filter.as_ref().map(|f| self.condition(f, sx));
        let rule = self.rule(&c.rule, cx, sx)?;
        Some(hir::Connect {
            rule,
            span,
            filter,
            autapses: c.autapses,
            multapses: c.multapses,
            symmetric: c.symmetric,
            procedural: c.procedural,
        })
    }

    fn rule(&mut self, e: &ast::Expr, cx: Cx, sx: Cx) -> Option<Rule> {
        let (name, args): (&str, &[ast::Arg]) = match &e.kind {
            ast::ExprKind::Name(n) => (n, &[]),
            ast::ExprKind::Call(callee, args) => match &callee.kind {
                ast::ExprKind::Name(n) => (n, args),
                _ => ("", &[]),
            },
            _ => ("", &[]),
        };
        let arity = match name {
            "one_to_one" | "all_to_all" => 0,
            _ if RULES.contains(&name) => 1,
            _ => {
                let near = did_you_mean(name, RULES);
                let help =
                    near.map_or_else(|| format!("rules are {}", RULES.join(", ")), |n| format!("did you mean `{n}`?"));
                self.diags.push(
                    Diagnostic::error(CONNECT_RULE, "there is no such connection rule")
                        .label(e.span, "not known")
                        .help(help),
                );
                return None;
            }
        };
        if args.len() != arity {
            self.diags.push(
                Diagnostic::error(
                    ARGUMENT_COUNT,
                    format!(
                        "`{name}` takes {}, found {}",
                        if arity == 0 { "no argument" } else { "one argument" },
                        args.len()
                    ),
                )
                .label(e.span, "here"),
            );
            return None;
        }
        let place = Place::Constant;
        let fixed = Cx { scope: cx.scope, place: &place };
        Some(match name {
            "one_to_one" => Rule::OneToOne,
            "all_to_all" => Rule::AllToAll,
            // A probability may differ from pair to pair.
            "bernoulli" => {
                let p = self.number(&args[0].value, sx, Dimension::NUMBER);
                let mut drawn = None;
                query::walk(&p, &mut |e| {
                    if let ExprKind::Draw { distribution, .. } = &e.kind {
                        drawn = Some((distribution.name(), e.span));
                    }
                    true
                });
                if let Some((draw, at)) = drawn {
                    self.not_here(
                        draw,
                        at,
                        "the pair is drawn with this probability; a probability is not drawn itself",
                    );
                }
                Rule::Bernoulli(p)
            }
            "fixed_indegree" => Rule::FixedIndegree(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "fixed_outdegree" => Rule::FixedOutdegree(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "fixed_total_number" => Rule::FixedTotalNumber(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "pairs" => Rule::Pairs(self.expr(&args[0].value, fixed, Some(Dimension::NUMBER))),
            _ => {
                let ast::ExprKind::String(path) = &args[0].value.kind else {
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, "`edges` takes the name of a file")
                            .label(args[0].span, "such as edges(\"e.csv\")"),
                    );
                    return None;
                };
                Rule::Edges { columns: self.edge_file(path, args[0].span)?, file: path.clone() }
            }
        })
    }

    fn edge_file(&mut self, path: &str, span: Span) -> Option<Vec<(String, Vec<f64>)>> {
        let columns = if path.ends_with(".npy") {
            let (shape, data) = self.read_data(path, span)?;
            let [rows, width] = shape.as_slice() else {
                self.diags.push(
                    Diagnostic::error(
                        DATA_FILE,
                        format!("`{path}` has {} dimensions; edges are rows x columns", shape.len()),
                    )
                    .label(span, "read here"),
                );
                return None;
            };
            let name = |k: usize| match k {
                0 => "pre".to_string(),
                1 => "post".to_string(),
                k => format!("{k}"),
            };
            (0..*width).map(|c| (name(c), (0..*rows).map(|r| data[r * width + c]).collect())).collect::<Vec<_>>()
        } else {
            let bytes = self.data_bytes(path, span)?;
            let text = std::str::from_utf8(&bytes).map_err(|e| e.to_string());
            match text.and_then(|t| crate::record::read_csv_columns(t).map_err(|e| e.to_string())) {
                Ok(columns) => columns,
                Err(why) => {
                    self.diags.push(
                        Diagnostic::error(DATA_FILE, format!("`{path}` can't be used: {why}")).label(span, "read here"),
                    );
                    return None;
                }
            }
        };
        if columns.len() < 2 {
            self.diags.push(
                Diagnostic::error(
                    DATA_FILE,
                    format!("`{path}` has {} column{}", columns.len(), if columns.len() == 1 { "" } else { "s" }),
                )
                .label(span, "read here")
                .help("an edge file has at least the columns pre and post"),
            );
            return None;
        }
        Some(columns)
    }
}

fn end_of(p: &hir::Population) -> End {
    End {
        axes: p.axes.iter().flatten().filter_map(|a| a.name.clone()).collect(),
        model: p.model,
        coordinates: p.position.as_ref().map_or(0, |p| p.coordinates.len()),
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

fn any_broken(items: &[ast::Circuit]) -> bool {
    items.iter().any(|i| match &i.kind {
        ast::CircuitKind::Broken { .. } => true,
        ast::CircuitKind::For { items, .. } => any_broken(items),
        ast::CircuitKind::If(c) => {
            any_broken(&c.then)
                || match &c.otherwise {
                    Some(ast::CircuitElse::Items(items)) => any_broken(items),
                    _ => false,
                }
        }
        _ => false,
    })
}
