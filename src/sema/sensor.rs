//! What is set from outside while a circuit runs: sensors, and modulators that are nothing but a level; and what is read from it,
//! actuators.

use super::error::*;
use super::region::RegionId;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, NetworkId, Sensor, StmtKind, Type, ValueId, ValueKind};
use crate::script::Value;
use crate::syntax::ast;
use crate::units::Dimension;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModulatorId(pub usize);

/// A modulator model as declared.
#[derive(Clone)]
pub(super) struct DeclaredModulator {
    pub ast: Rc<ast::Model>,
    pub file: ScopeId,
}

/// What is written of a sensor, and where.
pub(super) struct Waiting {
    sizes: Vec<ast::Expr>,
    initial: Option<ast::Expr>,
    scope: ScopeId,
}

impl Sema<'_> {
    pub(super) fn declare_modulator(&mut self, m: &ast::Model, scope: ScopeId) {
        let plain = m
            .members
            .iter()
            .all(|m| matches!(m.kind, ast::MemberKind::Param(_) | ast::MemberKind::Let(_) | ast::MemberKind::Level(_)));
        if !plain {
            self.declare_model(m, scope);
            return;
        }
        let id = ModulatorId(self.modulators.len());
        self.modulators.push(DeclaredModulator { ast: Rc::new(m.clone()), file: scope });
        self.declare(scope, &m.name, Entity::Modulator(id));
    }

    /// `sensor place[cell: 25]: rate = 0 Hz`
    pub(super) fn declare_sensor(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        axes: Option<&[ast::Axis]>,
        dim: &ast::Dim,
        value: Option<&ast::Expr>,
        scope: ScopeId,
    ) {
        let Some(dim) = self.dimension(dim) else {
            self.poison(scope, name);
            return;
        };
        let sizes = axes.unwrap_or_default().iter().map(|a| a.size.clone()).collect();
        self.new_sensor(id, name, dim, Waiting { sizes, initial: value.cloned(), scope }, 0.0, scope);
    }

    /// Declares it; its sizes and first value wait until all names are known.
    fn new_sensor(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        dim: Dimension,
        waiting: Waiting,
        usual: f64,
        scope: ScopeId,
    ) {
        let path = self.path_of(&name.text);
        let at = self.program.networks[id.0 as usize].sensors.len() as u32;
        let ty = Type::quantity(dim).with_rank(waiting.sizes.len() as u8);
        let value = self.new_value(name, ty, ValueKind::Sensor(at));
        let initial = Expr { kind: ExprKind::Const(Value::Number(usual)), span: name.span, ty: Type::quantity(dim) };
        let sensor = Sensor { path, span: name.span, value, sizes: Vec::new(), initial, bounds: None };
        self.program.networks[id.0 as usize].sensors.push(sensor);
        self.sensors.push((id, at, waiting));
        self.declare(scope, name, Entity::Value(value));
    }

    /// Sizes and first values of a network's sensors, once all names are known.
    pub(super) fn resolve_sensors(&mut self, id: NetworkId) {
        let (mine, others) = std::mem::take(&mut self.sensors).into_iter().partition(|(n, ..)| *n == id);
        self.sensors = others;
        for (_, at, waiting) in mine {
            let place = Place::Binding;
            let cx = Cx { scope: waiting.scope, place: &place };
            let mut sizes = Vec::new();
            for size in &waiting.sizes {
                sizes.push(match self.labels_size(size, cx) {
                    Some(size) => size,
                    None => self.number(size, cx, Dimension::NUMBER),
                });
            }
            let dim = self.program.networks[id.0 as usize].sensors[at as usize].initial.ty.dimension();
            let initial = waiting.initial.as_ref().map(|e| self.number(e, cx, dim));
            let sensor = &mut self.program.networks[id.0 as usize].sensors[at as usize];
            sensor.sizes = sizes;
            if let Some(initial) = initial {
                sensor.initial = initial;
            }
        }
    }

    /// `modulator dopamine: Level(baseline = 0)`: a level that is set from outside, or a unit with dynamics of its own.
    pub(super) fn declare_unit(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        model: &ast::Instance,
        scope: ScopeId,
        in_loop: bool,
    ) {
        if in_loop {
            self.population_in_loop(name);
            return;
        }
        let found = self.instance_entity(&model.path, scope);
        let modulator = match found {
            Some(Entity::Modulator(m)) => m,
            Some(Entity::Model(m)) if self.program.model(m).modulator => {
                self.declare_population(id, name, false, scope);
                if let Some(Entity::Population(_, p)) = self.lookup(scope, &name.text) {
                    let value = self.new_value(name, Type::NUMBER, ValueKind::Level(p));
                    self.program.networks[id.0 as usize].populations[p.0 as usize].level = Some(value);
                }
                return;
            }
            Some(Entity::Poison) => {
                self.poison(scope, name);
                return;
            }
            other => {
                let head = &model.path.names[0].text;
                let standard = format!("std/modulators/{}.nsm", super::modules::snake_case(head));
                let help =
                    self.loader.text(&standard).is_ok().then(|| format!("import it: `use std.modulators.{head}`"));
                let what = Entity::seen(other.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a modulator model is expected here")
                        .label(model.path.span, what)
                        .maybe_help(help),
                );
                self.poison(scope, name);
                return;
            }
        };
        let declared = self.modulators[modulator.0].clone();
        let inner = self.new_scope(Some(declared.file));
        let mut level = None;
        let mut params = Vec::new();
        for member in &declared.ast.members {
            match &member.kind {
                ast::MemberKind::Param(list) => params.extend(self.declare_params(list, inner, &Place::Binding)),
                ast::MemberKind::Let(l) => {
                    self.declare_let(l, inner, Place::Binding);
                }
                ast::MemberKind::Level(b) => level = Some(b.clone()),
                _ => {}
            }
        }
        for arg in model.args.iter().flatten() {
            let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
            let names: Vec<(String, ValueId)> =
                params.iter().map(|v| (self.program.value(*v).name.clone(), *v)).collect();
            let Some((_, v)) = names.iter().find(|(n, _)| n == written) else {
                let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, format!("the modulator has no param `{written}`"))
                        .label(arg.span, "not known")
                        .help(params_help(written, &all)),
                );
                continue;
            };
            if let Some((Pending::Param(b), s, place)) = self.pending.remove(v) {
                self.pending.insert(*v, (Pending::Bound(b, arg.value.clone(), scope), s, place));
            }
        }
        let waiting = Waiting { sizes: Vec::new(), initial: level.and_then(|l| l.value), scope: inner };
        self.new_sensor(id, name, Dimension::NUMBER, waiting, 0.0, scope);
    }

    /// `needs modulator M` of a region: what its user binds, or a level of its own.
    pub(super) fn region_modulator(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        value: Option<&ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) {
        let given = self.here.and_then(|r: RegionId| self.region_argument(r, &name.text));
        if let Some((e, from)) = given {
            match self.thing(&e, from) {
                Some(found) if self.is_level(&found) => {
                    self.declare(scope, name, found);
                    return;
                }
                Some(Entity::Poison) => {
                    self.poison(scope, name);
                    return;
                }
                _ => {}
            }
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{}` is a modulator", name.text))
                    .label(e.span, "no modulator")
                    .label(span, "needed here"),
            );
            self.poison(scope, name);
            return;
        }
        // What scales with a modulator that nobody sets is as it is written.
        let waiting = Waiting { sizes: Vec::new(), initial: value.cloned(), scope };
        self.new_sensor(id, name, Dimension::NUMBER, waiting, 1.0, scope);
    }

    /// One number that is set from outside, or the level of a modulator.
    fn is_level(&self, found: &Entity) -> bool {
        match found {
            Entity::Value(v) => {
                let def = self.program.value(*v);
                matches!(def.kind, ValueKind::Sensor(_)) && def.ty.rank == 0
            }
            Entity::Population(n, p) => self.level(*n, *p).is_some(),
            _ => false,
        }
    }

    /// What the name of a modulator stands for.
    pub(super) fn level(&self, network: NetworkId, population: hir::PopulationId) -> Option<ValueId> {
        self.program.network(network).populations.get(population.0 as usize)?.level
    }

    /// A modulator is one unit.
    pub(super) fn unit_size(&mut self, id: NetworkId, name: &ast::Name, scope: ScopeId) {
        let Some(Entity::Population(owner, at)) = self.lookup(scope, &name.text) else { return };
        let p = &mut self.program.networks[owner.0 as usize].populations[at.0 as usize];
        if owner == id && p.span == name.span {
            let one = Expr { kind: ExprKind::Const(Value::Number(1.0)), span: name.span, ty: Type::NUMBER };
            p.axes = Some(vec![hir::Axis { name: None, labels: Vec::new(), size: one }]);
        }
    }

    /// `actuator move = argmin(...)`: a question to the circuit, asked where its name stands.
    pub(super) fn declare_actuator(&mut self, id: NetworkId, name: &ast::Name, value: &ast::Expr, scope: ScopeId) {
        let asked = ast::Let { name: name.clone(), params: ast::LetParams::None, value: value.clone() };
        let value = self.declare_let(&asked, scope, Place::Experiment(id));
        let path = self.path_of(&name.text);
        self.program.networks[id.0 as usize].actuators.push((path, value));
    }

    /// `set salience[k] = 2 mV lasting 100 ms`; `None` where the target is no sensor.
    pub(super) fn set_sensor(&mut self, set: &ast::Set, cx: Cx) -> Option<Option<StmtKind>> {
        let (path, slots): (&ast::Expr, &[ast::Slot]) = match &set.target.kind {
            ast::ExprKind::Index(base, slots) => (base, slots),
            _ => (&set.target, &[]),
        };
        let head = match &path.kind {
            ast::ExprKind::Name(n) => self.lookup(cx.scope, n),
            ast::ExprKind::Field(base, _) => match self.thing(base, cx.scope) {
                Some(Entity::Region(_) | Entity::Regions(_)) => self.thing(path, cx.scope),
                _ => None,
            },
            _ => None,
        };
        let v = match head {
            Some(Entity::Value(v)) => v,
            Some(_) => return None,
            None => match self.settable_rule_param(path, cx)? {
                Some(v) => v,
                None => {
                    self.expr(&set.value, cx, None);
                    return Some(None);
                }
            },
        };
        let ValueKind::Sensor(sensor) = self.program.value(v).kind else { return None };
        let ty = self.program.value(v).ty;
        let slots = self.slots(slots, cx);
        if slots.len() > ty.rank as usize {
            self.diags.push(
                Diagnostic::error(
                    KIND_MISMATCH,
                    format!("{} indices into a sensor with {} axes", slots.len(), ty.rank),
                )
                .label(set.target.span, "too many"),
            );
            return Some(None);
        }
        let scale = set.op == ast::AssignOp::Multiply;
        let dim = if scale { Dimension::NUMBER } else { ty.dimension() };
        let value = self.expr(&set.value, cx, Some(dim));
        let name = self.program.value(v).name.clone();
        let why =
            if scale { "a factor is a number".to_string() } else { format!("`{name}` is {}", dimension_words(dim)) };
        self.fits(&value, dim, DIMENSION_MISMATCH, &why);
        let lasting = set.lasting.as_ref().map(|t| self.number(t, cx, Dimension::TIME));
        let op = super::experiment::set_op(set.op);
        Some(Some(StmtKind::SetSensor { sensor, slots, op, value, lasting }))
    }
}
