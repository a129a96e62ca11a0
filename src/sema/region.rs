//! Regions: circuits in a box, resolved once for each use, with what the user binds and overrides.
//!
//! A use of a region is an instance of its text: its params, populations and projections are declared anew under the path of the
//! use, in a scope whose parent is the file of the region. So a region sees its own names and its file's, never those of its user.

use super::error::*;
use super::query::Selected;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, Item, NetworkId, ValueId, ValueKind};
use crate::syntax::ast;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionId(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortId(pub usize);

/// A network or region as declared.
#[derive(Clone)]
pub(super) struct Declared {
    pub ast: Rc<ast::Network>,
    /// Scope of its file.
    pub file: ScopeId,
    pub progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    Waiting,
    Running,
    Done,
}

/// One use of a region.
pub(super) struct Region {
    /// `bg.`
    pub prefix: String,
    pub items: Rc<ast::Network>,
    pub scope: ScopeId,
    /// Where its arguments and overrides are written.
    outer: ScopeId,
    args: Vec<ast::Arg>,
    overrides: Vec<Override>,
}

/// A change that a user makes by path.
#[derive(Clone)]
struct Override {
    path: Vec<ast::Name>,
    what: ast::OverrideKind,
    span: Span,
    outer: ScopeId,
    used: bool,
}

/// Where others may land in a region, or what they may tap.
pub(super) struct Port {
    pub output: bool,
    pub ends: ast::Ends,
    pub scope: ScopeId,
    pub weight: Option<ValueId>,
}

impl Sema<'_> {
    pub(super) fn path_of(&self, name: &str) -> String {
        match self.here {
            Some(r) => format!("{}{name}", self.regions[r.0].prefix),
            None => name.to_string(),
        }
    }

    /// `region bg: BasalGanglia(actions = 4) { override ... }`: declares the names of the use, in the first scope. What it binds and
    /// overrides is written in the second. `None` where it is wrong, which is reported.
    pub(super) fn declare_use(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        model: &ast::Instance,
        overrides: &[ast::Override],
        (scope, outer): (ScopeId, ScopeId),
    ) -> Option<RegionId> {
        let network = match self.instance_entity(&model.path, scope) {
            Some(Entity::Network(n)) if self.program.network(n).region => n,
            Some(Entity::Poison) => {
                self.poison(scope, name);
                return None;
            }
            Some(other) => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("this is {}, not a region", other.words()))
                        .label(model.path.span, "a region is expected here")
                        .help("declare it with `region`, and what runs with `network`"),
                );
                self.poison(scope, name);
                return None;
            }
            None => {
                let head = &model.path.names[0];
                let standard = format!("std/regions/{}.nsm", super::modules::snake_case(&head.text));
                let mut names = self.visible(scope);
                names.retain(|n| matches!(self.lookup(scope, n), Some(Entity::Network(_))));
                let near = did_you_mean(&head.text, names.iter().map(String::as_str));
                let help = near.map(|n| format!("did you mean `{n}`?")).or_else(|| {
                    self.loader.text(&standard).is_ok().then(|| format!("import it: `use std.regions.{}`", head.text))
                });
                self.diags.push(
                    Diagnostic::error(UNKNOWN_NAME, format!("there is no region `{}` here", head.text))
                        .label(head.span, "not found")
                        .maybe_help(help),
                );
                self.poison(scope, name);
                return None;
            }
        };
        if self.declared[network.0 as usize].progress == Progress::Running {
            self.diags.push(
                Diagnostic::error(CYCLIC_DEFINITION, "a region can't be part of itself")
                    .label(model.path.span, "it contains the region that it stands in")
                    .label(self.program.network(network).span, "declared here"),
            );
            self.poison(scope, name);
            return None;
        }
        self.resolve_network(network);
        if self.program.network(network).broken {
            self.poison(scope, name);
            return None;
        }
        let declared = self.declared[network.0 as usize].clone();
        let inner = self.new_scope(Some(declared.file));
        let mut all = self.overrides_for(&name.text);
        for o in overrides {
            match override_path(&o.target) {
                Some(path) => all.push(Override { path, what: o.what.clone(), span: o.span, outer, used: false }),
                None => self.diags.push(
                    Diagnostic::error(OVERRIDE_TARGET, "an override names a param or a projection by its path")
                        .label(o.target.span, "not a path")
                        .help("override E.tau_m = 25 ms, or override rec { weight 2 mV }"),
                ),
            }
        }
        let region = RegionId(self.regions.len());
        self.regions.push(Region {
            prefix: self.path_of(&format!("{}.", name.text)),
            items: declared.ast.clone(),
            scope: inner,
            outer,
            args: model.args.clone().unwrap_or_default(),
            overrides: all,
        });
        self.declare(scope, name, Entity::Region(region));
        self.within(region, |s| s.declare_items(id, &declared.ast.items, inner, false));
        self.bind_region(region, network, model.span);
        self.within(region, |s| s.declare_arrays(id, &declared.ast.items, inner));
        Some(region)
    }

    fn within<T>(&mut self, region: RegionId, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.here.replace(region);
        let out = f(self);
        self.here = before;
        out
    }

    /// Overrides of the region at hand that go on into its own region `name`.
    fn overrides_for(&mut self, name: &str) -> Vec<Override> {
        let Some(here) = self.here else { return Vec::new() };
        // Of an array, what is said of all of them, too.
        let array = name.split('[').next().unwrap_or(name);
        let mut out = Vec::new();
        for o in &mut self.regions[here.0].overrides {
            let named = o.path[0].text == name || o.path[0].text == array;
            if named && (o.path.len() > 2 || matches!(o.what, ast::OverrideKind::Clauses(_)) && o.path.len() == 2) {
                o.used = true;
                out.push(Override { path: o.path[1..].to_vec(), used: false, ..o.clone() });
            }
        }
        out
    }

    /// Gives the params of a use what its user binds.
    fn bind_region(&mut self, region: RegionId, network: NetworkId, span: Span) {
        let (scope, outer) = (self.regions[region.0].scope, self.regions[region.0].outer);
        let args = self.regions[region.0].args.clone();
        let params: Vec<(String, ValueId)> = self.scopes[scope.0]
            .names
            .iter()
            .filter_map(|(n, e)| match e {
                Entity::Value(v) if matches!(self.pending.get(v), Some((Pending::Param(_), ..))) => {
                    Some((n.clone(), *v))
                }
                _ => None,
            })
            .collect();
        let models = self.model_params(region);
        for arg in &args {
            let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
            if models.iter().any(|m| m == written) {
                continue;
            }
            let Some((_, v)) = params.iter().find(|(n, _)| n == written) else {
                let all: Vec<&str> =
                    params.iter().map(|(n, _)| n.as_str()).chain(models.iter().map(String::as_str)).collect();
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, format!("the region has no param `{written}`"))
                        .label(arg.span, "not known")
                        .help(params_help(written, &all)),
                );
                continue;
            };
            if let Some((Pending::Param(binding), inner, place)) = self.pending.remove(v) {
                self.pending.insert(*v, (Pending::Bound(binding, arg.value.clone(), outer), inner, place));
            }
        }
        for (name, v) in &params {
            if let Some((Pending::Param(b), ..)) = self.pending.get(v)
                && b.value.is_none()
            {
                let d = Diagnostic::error(UNBOUND_PARAM, format!("the region needs `{name}`"))
                    .label(span, format!("`{name}` is not bound here"))
                    .help(format!("bind it: {}({name} = ...)", self.program.network(network).name));
                self.diags.push(d);
            }
        }
    }

    /// Names of a use that stand for models and modulators.
    fn model_params(&self, region: RegionId) -> Vec<String> {
        let mut out = Vec::new();
        for item in &self.regions[region.0].items.items {
            match &item.kind {
                ast::CircuitKind::Param(list) => {
                    out.extend(list.iter().filter(|b| model_kind(b).is_some()).map(|b| b.name.text.clone()));
                }
                ast::CircuitKind::Needs(ast::Needs::Modulator { name, .. } | ast::Needs::Event { name, .. }) => {
                    out.push(name.text.clone())
                }
                _ => {}
            }
        }
        out
    }

    /// What the user of a region binds to a name, and where.
    pub(super) fn region_argument(&self, region: RegionId, name: &str) -> Option<(ast::Expr, ScopeId)> {
        let region = &self.regions[region.0];
        let arg = region.args.iter().find(|a| a.name.as_ref().is_some_and(|n| n.text == name))?;
        Some((arg.value.clone(), region.outer))
    }

    /// `param Cell: neuron = LifCuba`: the name stands for a model. Gives whether it is such a param.
    pub(super) fn declare_model_param(&mut self, b: &ast::Binding, scope: ScopeId) -> bool {
        let Some(kind) = model_kind(b) else { return false };
        let given = self.here.and_then(|r| self.region_argument(r, &b.name.text));
        let chosen = given.or_else(|| b.value.clone().map(|v| (v, scope)));
        let Some((value, from)) = chosen else {
            if self.here.is_some() {
                self.diags.push(
                    Diagnostic::error(UNBOUND_PARAM, format!("the region needs `{}`", b.name.text))
                        .label(b.name.span, format!("a {kind} that its user binds")),
                );
            }
            self.poison(scope, &b.name);
            return true;
        };
        let Some(path) = override_path(&value) else {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{}` is a {kind}", b.name.text))
                    .label(value.span, "the name of a model is expected here"),
            );
            self.poison(scope, &b.name);
            return true;
        };
        let path = ast::Path { names: path, span: value.span };
        let entity = self.instance_entity(&path, from);
        let fits = match &entity {
            Some(Entity::Model(m)) => (kind == "source") == self.program.model(*m).source && kind != "plasticity",
            Some(Entity::Rule(_)) => kind == "plasticity",
            Some(Entity::Poison) => true,
            _ => false,
        };
        match entity {
            Some(entity) if fits => self.declare(scope, &b.name, entity),
            found => {
                let what = found.map_or("not known here".to_string(), |e| e.words().to_string());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{}` is a {kind}", b.name.text))
                        .label(value.span, what)
                        .help(format!("bind the name of a {kind} model")),
                );
                self.poison(scope, &b.name);
            }
        }
        true
    }

    /// What a path names, through modules and regions; nothing is reported where its first name is not known.
    pub(super) fn instance_entity(&mut self, path: &ast::Path, scope: ScopeId) -> Option<Entity> {
        let (head, rest) = path.names.split_first()?;
        let mut entity = self.lookup(scope, &head.text)?;
        for name in rest {
            entity = match entity {
                Entity::Region(r) => self.region_member(r, name)?,
                Entity::Poison => return Some(entity),
                other => self.member_of(&other, name)?,
            };
        }
        Some(entity)
    }

    /// A name in a use of a region; reported where there is none.
    pub(super) fn region_member(&mut self, region: RegionId, name: &ast::Name) -> Option<Entity> {
        let r = &self.regions[region.0];
        let names = &self.scopes[r.scope.0].names;
        if let Some(e) = names.get(&name.text) {
            return Some(e.clone());
        }
        let near = did_you_mean(&name.text, names.keys().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
        let all: Vec<&str> = names.keys().map(String::as_str).collect();
        let help = near.unwrap_or_else(|| format!("it has {}", all.join(", ")));
        let d =
            Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no `{}`", r.prefix.trim_end_matches('.'), name.text))
                .label(name.span, "not in the region")
                .help(help);
        self.diags.push(d);
        None
    }

    /// The region, port or other thing that `bg.cortex` names, where its head is a region.
    pub(super) fn thing(&mut self, e: &ast::Expr, scope: ScopeId) -> Option<Entity> {
        match &e.kind {
            ast::ExprKind::Name(n) => self.lookup(scope, n),
            ast::ExprKind::Paren(items) if items.len() == 1 => self.thing(&items[0], scope),
            ast::ExprKind::Field(base, name) => match self.thing(base, scope)? {
                Entity::Region(r) => Some(self.region_member(r, name).unwrap_or(Entity::Poison)),
                Entity::Regions(a) => Some(match self.labelled(a, &name.text) {
                    Some(r) => Entity::Region(r),
                    None => {
                        self.which_one(a, base.span);
                        Entity::Poison
                    }
                }),
                Entity::Poison => Some(Entity::Poison),
                _ => None,
            },
            ast::ExprKind::Index(base, slots) => match self.thing(base, scope)? {
                Entity::Regions(a) => Some(self.element(a, slots, e.span, scope)),
                Entity::Poison => Some(Entity::Poison),
                _ => None,
            },
            _ => None,
        }
    }

    /// `bg.slow`, `bg.cortex.weight` where a value stands; `None` where the head is no region.
    pub(super) fn region_value(&mut self, base: &ast::Expr, name: &ast::Name, span: Span, cx: Cx) -> Option<Expr> {
        let id = match self.thing(base, cx.scope)? {
            Entity::Region(r) => match self.region_member(r, name) {
                Some(Entity::Value(id)) => id,
                Some(Entity::Population(n, p)) if self.level(n, p).is_some() => self.level(n, p)?,
                Some(Entity::Poison) | None => return Some(self.error_expr(span)),
                // Cells and the like are left to who can use them.
                Some(_) => return None,
            },
            Entity::Regions(a) => match self.labelled(a, &name.text) {
                Some(_) => return None,
                None => {
                    self.which_one(a, base.span);
                    return Some(self.error_expr(span));
                }
            },
            Entity::Poison => return Some(self.error_expr(span)),
            Entity::Port(p) if name.text == "weight" => match self.ports[p.0].weight {
                Some(id) => id,
                None => {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_MEMBER, "this port names no weight")
                            .label(span, "asked for here")
                            .help("give it one: port input cortex = E.exc weight 1.5 mV"),
                    );
                    return Some(self.error_expr(span));
                }
            },
            _ => return None,
        };
        self.ensure(id);
        let ty = self.program.value(id).ty;
        Some(Expr { kind: ExprKind::Value(id), span, ty })
    }

    pub(super) fn declare_port(
        &mut self,
        output: bool,
        name: &ast::Name,
        ends: &ast::Ends,
        weight: Option<&ast::Expr>,
        scope: ScopeId,
    ) {
        let weight = weight.map(|w| {
            let id = self.broken_value(name);
            let hidden = ast::Let { name: name.clone(), params: ast::LetParams::None, value: w.clone() };
            self.pending.insert(id, (Pending::Let(hidden), scope, Place::Binding));
            id
        });
        let id = PortId(self.ports.len());
        self.ports.push(Port { output, ends: ends.clone(), scope, weight });
        self.declare(scope, name, Entity::Port(id));
    }

    /// The cells that an end of a projection names: one population, or all that a port stands for.
    pub(super) fn end(&mut self, e: &ast::Expr, cx: Cx, output: bool) -> Option<Vec<Selected>> {
        let found = self.cells_at(e, cx, output)?;
        if let Some(s) = found.iter().find(|s| s.reached) {
            let population = self.population_of(s).name.clone();
            let help = self.port_help(&population, output);
            self.diags.push(
                Diagnostic::error(
                    ONLY_PORTS,
                    format!("`{population}` lies inside a region: only its ports can be wired"),
                )
                .label(e.span, "reaches into the region")
                .help(help),
            );
            return None;
        }
        Some(found)
    }

    /// As [`Self::end`], but it may reach into regions.
    pub(super) fn cells_at(&mut self, e: &ast::Expr, cx: Cx, output: bool) -> Option<Vec<Selected>> {
        if let Some(list) = self.spread(e, cx.scope) {
            let found = list.iter().map(|x| self.cells_at(x, cx, output)).collect::<Option<Vec<_>>>()?;
            return Some(found.into_iter().flatten().collect());
        }
        let (path, slots) = match &e.kind {
            ast::ExprKind::Index(base, slots) => (base.as_ref(), Some(slots)),
            _ => (e, None),
        };
        if let Some(Entity::Port(p)) = self.thing(path, cx.scope) {
            let (is_output, ends, scope) =
                (self.ports[p.0].output, self.ports[p.0].ends.clone(), self.ports[p.0].scope);
            if is_output != output {
                let (is, wants) = if output { ("an input", "output") } else { ("an output", "input") };
                self.diags.push(
                    Diagnostic::error(PORT_SIDE, format!("this is {is} port, an {wants} port is expected"))
                        .label(e.span, is)
                        .label(ends.span, "declared here"),
                );
                return None;
            }
            let inner = Cx { scope, place: cx.place };
            let mut all = Vec::new();
            for end in &ends.list {
                let mut found = self.end(end, inner, output)?;
                for s in &mut found {
                    if let Some(slots) = slots
                        && s.cells.slots.is_empty()
                    {
                        s.cells.slots = self.slots(slots, cx);
                    }
                }
                all.extend(found);
            }
            return Some(all);
        }
        Some(vec![self.select(e, cx)?])
    }

    /// What to wire instead of a population within a region: a port that it has, or one to declare.
    fn port_help(&self, population: &str, output: bool) -> String {
        let holding = self.regions.iter().filter(|r| population.starts_with(&r.prefix));
        let Some(region) = holding.max_by_key(|r| r.prefix.len()) else { return String::new() };
        let names = self.scopes[region.scope.0].names.iter();
        let ports = names.filter(|(_, e)| matches!(e, Entity::Port(p) if self.ports[p.0].output == output));
        let ports: Vec<String> = ports.map(|(n, _)| format!("`{}{n}`", region.prefix)).collect();
        let kind = if output { "output" } else { "input" };
        let inside = &population[region.prefix.len()..];
        let declared = if output {
            format!("`port output out = {inside}`")
        } else {
            format!("`port input cortex = {inside}.exc weight 1 mV`")
        };
        let has = match ports.as_slice() {
            [] => String::new(),
            list => format!("wire {}, or ", list.join(" or ")),
        };
        let own = &region.items.name.text;
        let rest = "only projections need one; `set`, `drive`, `kick` and what is read may reach inside";
        format!("{has}declare an {kind} port in `{own}`, such as {declared}; {rest}")
    }

    /// Populations of a use of a region.
    pub(super) fn region_populations(&mut self, id: NetworkId, name: &ast::Name, scope: ScopeId) {
        for r in self.uses_named(name, scope) {
            let (items, inner) = (self.regions[r.0].items.clone(), self.regions[r.0].scope);
            self.within(r, |s| s.resolve_populations(id, &items.items, inner));
        }
    }

    /// The use of a region that a name declares, or those of an array.
    fn uses_named(&self, name: &ast::Name, scope: ScopeId) -> Vec<RegionId> {
        match self.scopes[scope.0].names.get(&name.text) {
            Some(Entity::Region(r)) => vec![*r],
            Some(Entity::Regions(a)) => self.elements(*a),
            _ => Vec::new(),
        }
    }

    /// Projections, drives and ports of a use of a region.
    pub(super) fn region_items(&mut self, id: NetworkId, name: &ast::Name, scope: ScopeId, out: &mut Vec<Item>) {
        for r in self.uses_named(name, scope) {
            self.use_items(id, r, out);
        }
    }

    fn use_items(&mut self, id: NetworkId, r: RegionId, out: &mut Vec<Item>) {
        let (items, inner) = (self.regions[r.0].items.clone(), self.regions[r.0].scope);
        self.within(r, |s| s.resolve_items(id, &items.items, inner, out));
        for o in std::mem::take(&mut self.regions[r.0].overrides) {
            if !o.used {
                let text: Vec<&str> = o.path.iter().map(|n| n.text.as_str()).collect();
                self.diags.push(
                    Diagnostic::error(OVERRIDE_TARGET, format!("the region has no `{}` to override", text.join(".")))
                        .label(o.span, "changes nothing")
                        .help("name a param or initial state of a population, or a named projection"),
                );
            }
        }
    }

    /// What overrides bind in a population: name, value and the scope it is written in.
    pub(super) fn overridden_params(&mut self, population: &str) -> Vec<(ast::Name, ast::Expr, ScopeId)> {
        let Some(here) = self.here else { return Vec::new() };
        let mut out = Vec::new();
        for o in &mut self.regions[here.0].overrides {
            if let ([p, param], ast::OverrideKind::Value(value)) = (o.path.as_slice(), &o.what)
                && p.text == population
            {
                o.used = true;
                out.push((param.clone(), value.clone(), o.outer));
            }
        }
        out
    }

    /// A projection's clauses with those that overrides replace, each with the scope it is written in.
    pub(super) fn overridden_clauses(&mut self, p: &ast::Projection, scope: ScopeId) -> Vec<(ast::Clause, ScopeId)> {
        let mut out: Vec<(ast::Clause, ScopeId)> = p.clauses.iter().map(|c| (c.clone(), scope)).collect();
        let (Some(here), Some(name)) = (self.here, &p.name) else { return out };
        for o in &mut self.regions[here.0].overrides {
            if let ([path], ast::OverrideKind::Clauses(clauses)) = (o.path.as_slice(), &o.what)
                && path.text == name.text
            {
                o.used = true;
                for c in clauses {
                    let same = |k: &ast::ClauseKind| std::mem::discriminant(k) == std::mem::discriminant(&c.kind);
                    out.retain(|(old, _)| !same(&old.kind));
                    out.push((c.clone(), o.outer));
                }
            }
        }
        out
    }

    /// `function "working memory" by pfc shown by FindsGoal`.
    pub(super) fn function_tag(
        &mut self,
        id: NetworkId,
        text: &str,
        by: &ast::Path,
        shown: Option<&ast::Path>,
        span: Span,
        scope: ScopeId,
    ) {
        let mut carriers = vec![by.clone()];
        match self.instance_entity(by, scope) {
            Some(Entity::Region(_) | Entity::Population(..) | Entity::Poison) => {}
            // Each of them carries it.
            Some(Entity::Regions(a)) => carriers = self.element_paths(a, by),
            found => {
                let what = found.map_or("not found".to_string(), |e| e.words().to_string());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a function is carried by a region or a population")
                        .label(by.span, what),
                );
                return;
            }
        }
        let words = |p: &ast::Path| p.names.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(".");
        let experiment = shown.map(words);
        for by in carriers {
            let by = self.path_of(&words(&by));
            let function = hir::Function { text: text.to_string(), by, experiment: experiment.clone(), span };
            self.program.networks[id.0 as usize].functions.push(function);
        }
    }

    /// A param with what the user of its region binds.
    pub(super) fn resolve_bound(
        &mut self,
        b: &ast::Binding,
        value: &ast::Expr,
        outer: ScopeId,
        cx: Cx,
    ) -> (hir::Type, ValueKind) {
        let (declared, kind) = self.resolve_param(b, cx);
        let ValueKind::Param { bounds, .. } = kind else { return (declared, kind) };
        let known = declared.kind != hir::Kind::Unknown;
        let place = Place::Binding;
        let given = self.expr(value, Cx { scope: outer, place: &place }, Some(declared.dimension()).filter(|_| known));
        if known {
            let why = format!("`{}` is {}", b.name.text, dimension_words(declared.dimension()));
            self.fits(&given, declared.dimension(), BINDING_DIMENSION, &why);
        }
        (declared.with_rank(given.ty.rank), ValueKind::Param { default: Some(given), bounds })
    }
}

/// `a.b.c` written as an expression; an element of an array is a name, `a[0]`.
fn override_path(e: &ast::Expr) -> Option<Vec<ast::Name>> {
    let word = |slot: &ast::Slot| match slot {
        ast::Slot::At(ast::Expr { kind: ast::ExprKind::Number { text, unit: None }, .. }) => Some(text.clone()),
        ast::Slot::At(ast::Expr { kind: ast::ExprKind::Name(n), .. }) => Some(n.clone()),
        _ => None,
    };
    match &e.kind {
        ast::ExprKind::Index(base, slots) => {
            let mut path = override_path(base)?;
            let words = slots.iter().map(word).collect::<Option<Vec<_>>>()?;
            let last = path.last_mut()?;
            last.text = format!("{}[{}]", last.text, words.join(", "));
            Some(path)
        }
        ast::ExprKind::Name(n) => Some(vec![ast::Name { text: n.clone(), span: e.span }]),
        ast::ExprKind::Field(base, name) => {
            let mut path = override_path(base)?;
            path.push(name.clone());
            Some(path)
        }
        _ => None,
    }
}

/// The kind of model that a param stands for.
fn model_kind(b: &ast::Binding) -> Option<&'static str> {
    let dim = b.dim.as_ref()?;
    let [only] = dim.factors.as_slice() else { return None };
    ["neuron", "source", "plasticity", "modulator"].into_iter().find(|k| *k == only.name.text)
}
