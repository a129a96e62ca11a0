//! Networks: what is declared in them, in which order it is resolved, and the blocks that unroll.

use super::error::*;
use super::population::Wanted;
use super::region::{Declared, Progress};
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Item, NetworkId, PopulationId, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;
use std::rc::Rc;

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
        self.declare_arrays(id, &n.items, scope);
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
                ast::CircuitKind::If(c) => {
                    c.branches().into_iter().for_each(|items| self.declare_items(id, items, scope, in_loop));
                }
                ast::CircuitKind::Broken { name: Some(name) } => self.poison(scope, name),
                ast::CircuitKind::Region { name, axes, model, overrides } => {
                    if in_loop {
                        self.diags.push(
                            Diagnostic::error(
                                NOT_HERE,
                                format!("`{}` would be declared once per turn of the loop", name.text),
                            )
                            .label(name.span, "in a `for`")
                            .help(format!("declare an array outside of it: region {}[k: n]: ...", name.text)),
                        );
                        continue;
                    }
                    // The sizes of arrays may read what is declared further down.
                    if axes.is_none() {
                        self.declare_use(id, name, model, overrides, (scope, scope));
                    }
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
                ast::CircuitKind::Needs(ast::Needs::Value { .. }) => self.diags.push(
                    Diagnostic::error(NOT_HERE, "a circuit needs modulators and events")
                        .label(item.span, "a value of a cell is what a plasticity rule needs")
                        .help("a number that its user gives is a param without a value: `param w: current`"),
                ),
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
                ast::CircuitKind::If(c) => {
                    c.branches().into_iter().for_each(|items| self.resolve_populations(id, items, scope));
                }
                ast::CircuitKind::Region { name, .. } => self.region_populations(id, name, scope),
                _ => {}
            }
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
                ast::CircuitKind::Drive { target, value } => {
                    for target in self.each_of(target, scope) {
                        self.drive(&target, value, item.span, cx, out);
                    }
                }
                ast::CircuitKind::For { loops, items } => {
                    let inner = self.new_scope(Some(scope));
                    let loops = self.loops(loops, inner, &place);
                    let around = loops.len();
                    self.loops_around += around;
                    let turns = self.in_turns(loops, &mut |s| {
                        let turn = s.new_scope(Some(inner));
                        s.declare_items(id, items, turn, true);
                        let mut body = Vec::new();
                        s.resolve_items(id, items, turn, &mut body);
                        body
                    });
                    self.loops_around -= around;
                    // Most turns of loops over pairs of regions take no branch.
                    let full = turns.into_iter().filter(|(_, items)| !items.is_empty());
                    out.extend(full.map(|(loops, items)| Item::For { loops, items }));
                }
                ast::CircuitKind::If(c) => self.circuit_if(id, c, scope, out),
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

    fn circuit_if(&mut self, id: NetworkId, c: &ast::CircuitIf, scope: ScopeId, out: &mut Vec<Item>) {
        let place = Place::Constant;
        let condition = self.condition(&c.condition, Cx { scope, place: &place });
        // In a turn that is resolved by itself the branch that is not taken may reach beyond an array.
        let taken = self.settled(&condition);
        let mut then = Vec::new();
        if taken != Some(false) {
            self.resolve_items(id, &c.then, scope, &mut then);
        }
        let mut otherwise = Vec::new();
        match c.otherwise.as_ref().filter(|_| taken != Some(true)) {
            Some(ast::CircuitElse::Items(items)) => self.resolve_items(id, items, scope, &mut otherwise),
            Some(ast::CircuitElse::If(next)) => self.circuit_if(id, next, scope, &mut otherwise),
            None => {}
        }
        match taken {
            Some(true) => out.append(&mut then),
            Some(false) => out.append(&mut otherwise),
            None => out.push(Item::If { condition, then, otherwise }),
        }
    }

    /// Loop variables are declared in `scope`, each visible to the ranges after it.
    pub(super) fn loops(&mut self, loops: &[ast::Loop], scope: ScopeId, place: &Place) -> Vec<hir::Loop> {
        let cx = Cx { scope, place };
        loops
            .iter()
            .map(|l| {
                let all = if l.range.end.is_none() { self.labels_listed(&l.range.start, cx) } else { None };
                let start = all.unwrap_or_else(|| self.expr(&l.range.start, cx, None));
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
    pub(super) fn axis_scope(&mut self, p: &hir::Population, scope: ScopeId) -> ScopeId {
        let inner = self.new_scope(Some(scope));
        for v in &p.axis_values {
            let def = self.program.value(*v);
            let name = ast::Name { text: def.name.clone(), span: def.span };
            self.declare(inner, &name, Entity::Value(*v));
        }
        inner
    }
}

fn any_broken(items: &[ast::Circuit]) -> bool {
    items.iter().any(|i| match &i.kind {
        ast::CircuitKind::Broken { .. } => true,
        ast::CircuitKind::For { items, .. } => any_broken(items),
        ast::CircuitKind::If(c) => c.branches().into_iter().any(any_broken),
        _ => false,
    })
}
