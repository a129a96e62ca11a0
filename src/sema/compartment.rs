//! Compartments of a model: what each declares, how they are coupled, and names that reach into one (`soma.V`, `dend[3].exc`).
//!
//! A compartment stands here once, whatever their number: sizes and indices are expressions until a population is elaborated.

use super::error::*;
use super::query::Selected;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Compartment, Coupling, ExprKind, Kind, ModelId, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;
use std::collections::BTreeSet;

/// The current that couplings bring into a compartment, by its name in the equations.
const AXIAL: &str = "I_axial";
/// The state that couplings compare.
const VOLTAGE: &str = "V";

impl Sema<'_> {
    /// Declares the compartments of a model and all their names, then resolves the couplings, which say what `I_axial` is. Gives
    /// the scope of each.
    pub(super) fn declare_compartments(
        &mut self,
        id: ModelId,
        out: &mut hir::Model,
        m: &ast::Model,
        scope: ScopeId,
    ) -> Vec<ScopeId> {
        let mut scopes = Vec::new();
        for member in &m.members {
            let ast::MemberKind::Compartment { name, axes, members } = &member.kind else { continue };
            if out.source {
                self.source_member("compartments", name.span);
            }
            self.declare(scope, name, Entity::Compartment(id, out.compartments.len() as u32));
            scopes.push(self.declare_compartment(out, name, axes, members, scope));
        }
        // Names that reach in are looked up there from now on.
        self.program.models[id.0 as usize] = out.clone();
        let mut loops = Vec::new();
        self.couplings(out, &m.members, scope, &mut loops);
        self.axial_dimensions(out);
        scopes
    }

    fn declare_compartment(
        &mut self,
        out: &mut hir::Model,
        name: &ast::Name,
        axes: &[ast::Axis],
        members: &[ast::Member],
        scope: ScopeId,
    ) -> ScopeId {
        let place = Place::Dynamics;
        let cx = Cx { scope, place: &place };
        let (mut table, inner) = self.table_axes(axes, cx);
        if axes.len() > 1 {
            self.diags.push(
                Diagnostic::error(COUPLING, format!("compartment `{}` has {} axes", name.text, axes.len()))
                    .label(name.span, "one axis numbers compartments along a branch")
                    .help("declare one compartment for each branch: `compartment apical[k: n]`, `compartment basal[k: m]`"),
            );
        }
        let axial_name = ast::Name { text: AXIAL.to_string(), span: name.span };
        let axial = self.new_value(&axial_name, Type::UNKNOWN, ValueKind::Axial);
        self.declare(inner, &axial_name, Entity::Value(axial));
        let mut part = Compartment {
            name: name.text.clone(),
            span: name.span,
            axis: if table.is_empty() { None } else { Some(table.swap_remove(0)) },
            names: vec![axial],
            states: Vec::new(),
            equations: Vec::new(),
            receptors: Vec::new(),
            every: Vec::new(),
            axial,
        };
        for member in members {
            self.declare_member(member, inner, out.source, &mut part.names, &mut part.states);
        }
        out.compartments.push(part);
        inner
    }

    /// Names of a member of a model or a compartment; true where it declares some.
    pub(super) fn declare_member(
        &mut self,
        member: &ast::Member,
        scope: ScopeId,
        source: bool,
        names: &mut Vec<ValueId>,
        states: &mut Vec<ValueId>,
    ) {
        match &member.kind {
            ast::MemberKind::Param(list) => names.extend(self.declare_params(list, scope, &Place::Dynamics)),
            ast::MemberKind::Let(l) => names.push(self.declare_let(l, scope, Place::Dynamics)),
            ast::MemberKind::State(list) => {
                for b in list {
                    let state = self.broken_value(&b.name);
                    self.declare(scope, &b.name, Entity::Value(state));
                    self.pending.insert(state, (Pending::State(b.clone()), scope, Place::Dynamics));
                    names.push(state);
                    states.push(state);
                }
            }
            ast::MemberKind::Input { name, formals, dim, value } => {
                if source {
                    self.source_member("inputs", name.span);
                }
                if formals.is_some() != value.is_some() {
                    self.half_an_input(name, formals.is_some());
                }
                let ty = self.dimension(dim).map_or(Type::UNKNOWN, Type::quantity);
                let input = self.new_value(name, ty, ValueKind::Input);
                self.declare(scope, name, Entity::Value(input));
                names.push(input);
            }
            ast::MemberKind::Output { name, value } => {
                let output = self.broken_value(name);
                self.declare(scope, name, Entity::Value(output));
                self.pending.insert(output, (Pending::Output(value.clone()), scope, Place::Dynamics));
                names.push(output);
            }
            ast::MemberKind::Noise(name) => {
                let noise = self.new_value(name, Type::quantity(Dimension::NOISE), ValueKind::Noise);
                self.declare(scope, name, Entity::Value(noise));
                names.push(noise);
            }
            _ => {}
        }
    }

    fn couplings(&mut self, out: &mut hir::Model, members: &[ast::Member], scope: ScopeId, loops: &mut Vec<hir::Loop>) {
        let place = Place::Dynamics;
        let cx = Cx { scope, place: &place };
        for member in members {
            match &member.kind {
                ast::MemberKind::Couple { a, b, by } => {
                    let ends = (self.end_of_coupling(a, cx), self.end_of_coupling(b, cx));
                    let conductance = self.expr(by, cx, None);
                    self.scalar(&conductance);
                    if let (Some((_, a)), Some((_, b))) = ends {
                        out.couplings.push(Coupling { loops: loops.clone(), a, b, conductance, span: member.span });
                    }
                }
                ast::MemberKind::For { variable, range, members } => {
                    let inner = self.new_scope(Some(scope));
                    let one = ast::Loop { variable: variable.clone(), range: range.clone() };
                    let mut new = self.loops(&[one], inner, &place);
                    let depth = loops.len();
                    loops.append(&mut new);
                    for m in members {
                        if !matches!(
                            m.kind,
                            ast::MemberKind::Couple { .. } | ast::MemberKind::For { .. } | ast::MemberKind::Broken
                        ) {
                            self.diags.push(
                                Diagnostic::error(NOT_HERE, "a loop in a model repeats `couple` alone")
                                    .label(m.span, "not a coupling")
                                    .help("what every compartment has stands in `compartment name[k: n] { ... }`"),
                            );
                        }
                    }
                    self.couplings(out, members, inner, loops);
                    loops.truncate(depth);
                }
                _ => {}
            }
        }
    }

    /// `soma`, `dend[k + 1]`: the compartment at one end of a coupling.
    fn end_of_coupling(&mut self, e: &ast::Expr, cx: Cx) -> Option<(ModelId, hir::Place)> {
        let (name, slots): (&str, &[ast::Slot]) = match &e.kind {
            ast::ExprKind::Name(n) => (n, &[]),
            ast::ExprKind::Index(base, slots) => match &base.kind {
                ast::ExprKind::Name(n) => (n, slots),
                _ => ("", &[]),
            },
            _ => ("", &[]),
        };
        match self.lookup(cx.scope, name) {
            Some(Entity::Compartment(model, k)) => Some((model, self.place(model, k, slots, e.span, cx)?)),
            Some(Entity::Poison) => None,
            Some(other) => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{name}` is {}, not a compartment", other.words()))
                        .label(e.span, "a compartment is coupled"),
                );
                None
            }
            None if name.is_empty() => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a compartment is expected here")
                        .label(e.span, "not one")
                        .help("write `couple soma <-> dend[0] by g`"),
                );
                None
            }
            None => {
                self.unknown_name(cx.scope, name, e.span, &[], "compartment", None);
                None
            }
        }
    }

    /// One compartment by its name and its index, which must be there where it has an axis.
    pub(super) fn place(
        &mut self,
        model: ModelId,
        compartment: u32,
        slots: &[ast::Slot],
        span: Span,
        cx: Cx,
    ) -> Option<hir::Place> {
        let c = &self.program.model(model).compartments[compartment as usize];
        let (name, many) = (c.name.clone(), c.axis.is_some());
        let index = match (slots, many) {
            ([], false) => None,
            ([ast::Slot::At(e)], true) => Some(Box::new(self.number(e, cx, Dimension::NUMBER))),
            _ => {
                self.which_compartment(&name, many, span);
                return None;
            }
        };
        Some(hir::Place { compartment, index, span })
    }

    fn which_compartment(&mut self, name: &str, many: bool, span: Span) {
        let (message, help) = if many {
            (format!("`{name}` has several compartments: name one"), format!("write `{name}[0]`"))
        } else {
            (format!("`{name}` is one compartment and has no index"), format!("write `{name}`"))
        };
        self.diags.push(Diagnostic::error(COUPLING, message).label(span, "which one?").help(help));
    }

    /// `I_axial` is conductance x voltage, of one dimension for all couplings of a compartment.
    fn axial_dimensions(&mut self, out: &mut hir::Model) {
        let mut known: Vec<Option<(Dimension, Span)>> = vec![None; out.compartments.len()];
        for c in out.couplings.clone() {
            let mut voltages = Vec::new();
            for place in [&c.a, &c.b] {
                let part = &out.compartments[place.compartment as usize];
                let (name, at) = (part.name.clone(), part.span);
                let state = part.states.iter().copied().find(|s| self.program.value(*s).name == VOLTAGE);
                let Some(state) = state else {
                    self.diags.push(
                        Diagnostic::error(COUPLING, format!("compartment `{name}` has no state `{VOLTAGE}` to couple"))
                            .label(c.span, format!("compares `{VOLTAGE}` of both ends"))
                            .label(at, "has none")
                            .help(format!("declare `state {VOLTAGE} = -70 mV` in it")),
                    );
                    continue;
                };
                self.ensure(state);
                voltages.push(self.program.value(state).ty);
            }
            let [x, y] = voltages.as_slice() else { continue };
            if x.kind == Kind::Unknown || y.kind == Kind::Unknown || c.conductance.ty.kind == Kind::Unknown {
                continue;
            }
            let dim = c.conductance.ty.dimension() * x.dimension();
            for place in [&c.a, &c.b] {
                match known[place.compartment as usize] {
                    None => known[place.compartment as usize] = Some((dim, c.conductance.span)),
                    Some((other, at)) if other != dim => {
                        self.diags.push(
                            Diagnostic::error(DIMENSION_MISMATCH, "couplings of one compartment have one dimension")
                                .label(c.conductance.span, format!("brings {}", dimension_words(dim)))
                                .label(at, format!("brings {}", dimension_words(other))),
                        );
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
        for (c, dim) in out.compartments.iter().zip(known) {
            // Without a coupling it is no current at all, and fits as one.
            self.program.values[c.axial.0 as usize].ty =
                Type::quantity(dim.map_or(Dimension::VOLTAGE * Dimension::CONDUCTANCE, |d| d.0));
        }
    }

    /// Equations and receptors of the compartments.
    pub(super) fn compartment_bodies(&mut self, out: &mut hir::Model, m: &ast::Model, scopes: &[ScopeId]) {
        let bodies = m.members.iter().filter_map(|member| match &member.kind {
            ast::MemberKind::Compartment { members, .. } => Some(members),
            _ => None,
        });
        for ((k, members), scope) in bodies.enumerate().zip(scopes) {
            let place = Place::Dynamics;
            let cx = Cx { scope: *scope, place: &place };
            let part = out.compartments[k].clone();
            // Equations, receptors and assignments are judged as a model's own are, against the states of the compartment.
            let mut alone = hir::Model {
                name: part.name.clone(),
                names: part.names.clone(),
                states: part.states.clone(),
                equations: Vec::new(),
                receptors: Vec::new(),
                every: Vec::new(),
                ..out.clone()
            };
            for member in members {
                match &member.kind {
                    ast::MemberKind::Equation(e) => self.equation(&mut alone, e, cx),
                    ast::MemberKind::Receptor { name, formals, body } => {
                        self.receptor(&mut alone, name, formals, body, *scope)
                    }
                    ast::MemberKind::Every { period, body } => {
                        let every = self.every(&alone, period, body, cx);
                        alone.every.push(every);
                    }
                    ast::MemberKind::Param(_)
                    | ast::MemberKind::Let(_)
                    | ast::MemberKind::State(_)
                    | ast::MemberKind::Input { .. }
                    | ast::MemberKind::Output { .. }
                    | ast::MemberKind::Noise(_)
                    | ast::MemberKind::Broken => {}
                    _ => self.diags.push(
                        Diagnostic::error(NOT_HERE, "this belongs to the cell, not to one compartment")
                            .label(member.span, "here")
                            .help("move it out: `spike when soma.V >= ...`, `refractory 2 ms holds soma.V`"),
                    ),
                }
            }
            let coupled = out
                .couplings
                .iter()
                .find(|c| c.a.compartment as usize == k || c.b.compartment as usize == k)
                .map(|c| c.span);
            let voltage = part.states.iter().any(|s| self.program.value(*s).name == VOLTAGE);
            if let Some(at) = coupled.filter(|_| voltage) {
                self.reads_axial(&alone, part.axial, part.span, at);
            }
            out.compartments[k].equations = alone.equations;
            out.compartments[k].receptors = alone.receptors;
            out.compartments[k].every = alone.every;
        }
    }

    /// A coupling without `I_axial` in the equation of V would do nothing.
    fn reads_axial(&mut self, part: &hir::Model, axial: ValueId, span: Span, coupling: Span) {
        let equation = part.equations.iter().find(|q| self.program.value(q.state).name == VOLTAGE);
        let mut seen = BTreeSet::new();
        let mut next: Vec<&hir::Expr> = equation.iter().map(|q| &q.value).collect();
        while let Some(e) = next.pop() {
            let mut named = Vec::new();
            super::query::walk(e, &mut |x| {
                if let ExprKind::Value(v) | ExprKind::Apply(v, _) = x.kind {
                    named.push(v);
                }
                true
            });
            for v in named {
                if seen.insert(v)
                    && let ValueKind::Let(inner) | ValueKind::Function { value: inner, .. } =
                        &self.program.value(v).kind
                {
                    next.push(inner);
                }
            }
        }
        let found = seen.contains(&axial);
        let broken = equation.is_some_and(|q| q.value.ty.kind == Kind::Unknown);
        if !found && !broken {
            let name = part.name.clone();
            self.diags.push(
                Diagnostic::error(
                    COUPLING,
                    format!("`{name}` is coupled, but its `{VOLTAGE}` does not read `{AXIAL}`"),
                )
                .label(equation.map_or(span, |q| q.value.span), format!("no `{AXIAL}` here"))
                .label(coupling, "coupled here")
                .help(format!("add it to the currents: `{VOLTAGE}' = (... + {AXIAL}) / C`")),
            );
        }
    }

    /// `soma.V`, `dend[k - 1].g` in a model: the value that stands for it. `None` where `base` is no compartment; errors give a
    /// broken value.
    pub(super) fn part_value(&mut self, base: &ast::Expr, name: &ast::Name, span: Span, cx: Cx) -> Option<ValueId> {
        let (head, slots): (&str, &[ast::Slot]) = match &base.kind {
            ast::ExprKind::Name(n) => (n, &[]),
            ast::ExprKind::Index(inner, slots) => match &inner.kind {
                ast::ExprKind::Name(n) => (n, slots),
                _ => return None,
            },
            _ => return None,
        };
        let Some(Entity::Compartment(model, k)) = self.lookup(cx.scope, head) else { return None };
        let text = self.sources.snippet(span).split_whitespace().collect::<String>();
        let shown = ast::Name { text, span };
        let value = self.value_in(model, k, name);
        let place = self.place(model, k, slots, base.span, cx);
        Some(match (value, place) {
            (Some(value), Some(place)) => {
                self.ensure(value);
                let ty = self.program.value(value).ty;
                self.new_value(&shown, ty, ValueKind::Part { place, value })
            }
            _ => self.broken_value(&shown),
        })
    }

    /// A value of a compartment by name; reports what is not there.
    fn value_in(&mut self, model: ModelId, compartment: u32, name: &ast::Name) -> Option<ValueId> {
        let part = &self.program.model(model).compartments[compartment as usize];
        let names: Vec<(String, ValueId)> =
            part.names.iter().map(|v| (self.program.value(*v).name.clone(), *v)).collect();
        let found = names.iter().find(|(n, _)| *n == name.text).map(|(_, v)| *v);
        if found.is_none() && !self.program.model(model).broken {
            let what = part.name.clone();
            let near = did_you_mean(&name.text, names.iter().map(|(n, _)| n.as_str()));
            let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
            let help = near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
            self.diags.push(
                Diagnostic::error(UNKNOWN_MEMBER, format!("compartment `{what}` has no `{}`", name.text))
                    .label(name.span, "not in it")
                    .help(help),
            );
        }
        found
    }

    /// Values that a selection may name: those of the compartment that it goes into, else those of the model.
    pub(super) fn selected_names(&self, s: &Selected) -> Vec<(String, ValueId)> {
        let model = self.population_of(s).model;
        match &s.cells.part {
            Some(p) => self.program.model(model).compartments[p.compartment as usize]
                .names
                .iter()
                .map(|v| (self.program.value(*v).name.clone(), *v))
                .collect(),
            None => self.model_names(model),
        }
    }

    pub(super) fn selected_receptors(&self, s: &Selected) -> &[hir::Receptor] {
        let model = self.program.model(self.population_of(s).model);
        match &s.cells.part {
            Some(p) => &model.compartments[p.compartment as usize].receptors,
            None => &model.receptors,
        }
    }

    /// `dend[0].exc`: how the receptors of a model's compartments are written.
    pub(super) fn receptors_inside(&self, model: &hir::Model) -> Vec<String> {
        let named = |c: &Compartment, r: &hir::Receptor| {
            format!("{}{}.{}", c.name, if c.axis.is_some() { "[0]" } else { "" }, r.name)
        };
        model.compartments.iter().flat_map(|c| c.receptors.iter().map(move |r| named(c, r))).collect()
    }

    /// Whether a compartment with an axis was given its index; reports where not.
    pub(super) fn part_is_one(&mut self, s: &Selected) -> bool {
        let Some(p) = &s.cells.part else { return true };
        let c = &self.program.model(self.population_of(s).model).compartments[p.compartment as usize];
        if c.axis.is_some() == p.index.is_some() {
            return true;
        }
        let (name, many, span) = (c.name.clone(), c.axis.is_some(), p.span);
        self.which_compartment(&name, many, span);
        false
    }

    /// `E.dend`, and `E.dend[3]`, of cells that have such a compartment.
    pub(super) fn part_of_cells(&self, s: &Selected, name: &ast::Name) -> Option<hir::Place> {
        if s.cells.part.is_some() {
            return None;
        }
        let model = self.program.models.get(self.population_of(s).model.0 as usize)?;
        let compartment = model.compartments.iter().position(|c| c.name == name.text)? as u32;
        Some(hir::Place { compartment, index: None, span: name.span })
    }
}
