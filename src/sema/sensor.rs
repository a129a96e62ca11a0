//! What is set from outside while a circuit runs: sensors, and modulators that are nothing but a level; and what is read from it,
//! actuators.

use super::error::*;
use super::region::RegionId;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, NetworkId, Sensor, StmtKind, Type, ValueId, ValueKind};
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

impl Sema<'_> {
    pub(super) fn declare_modulator(&mut self, m: &ast::Model, scope: ScopeId) {
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
        let place = Place::Binding;
        let cx = Cx { scope, place: &place };
        let mut sizes = Vec::new();
        for axis in axes.unwrap_or_default() {
            sizes.push(match self.labels_size(&axis.size, cx) {
                Some(size) => size,
                None => self.number(&axis.size, cx, Dimension::NUMBER),
            });
        }
        let initial = match value {
            Some(e) => self.number(e, cx, dim),
            None => zero(name.span, dim),
        };
        self.new_sensor(id, name, dim, sizes, initial, scope);
    }

    fn new_sensor(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        dim: Dimension,
        sizes: Vec<Expr>,
        initial: Expr,
        scope: ScopeId,
    ) {
        let path = self.path_of(&name.text);
        let at = self.program.networks[id.0 as usize].sensors.len() as u32;
        let ty = Type::quantity(dim).with_rank(sizes.len() as u8);
        let value = self.new_value(name, ty, ValueKind::Sensor(at));
        self.program.networks[id.0 as usize].sensors.push(Sensor { path, span: name.span, value, sizes, initial });
        self.declare(scope, name, Entity::Value(value));
    }

    /// `modulator dopamine: Level(baseline = 0)`: a level that is set from outside.
    pub(super) fn declare_level(&mut self, id: NetworkId, name: &ast::Name, model: &ast::Instance, scope: ScopeId) {
        let found = self.instance_entity(&model.path, scope);
        let modulator = match found {
            Some(Entity::Modulator(m)) => m,
            Some(Entity::Poison | Entity::Unsupported(_)) => {
                self.poison(scope, name);
                return;
            }
            other => {
                let head = &model.path.names[0].text;
                let standard = format!("std/modulators/{}.nsm", super::modules::snake_case(head));
                let help =
                    self.loader.text(&standard).is_ok().then(|| format!("import it: `use std.modulators.{head}`"));
                let what = other.map_or("not found".to_string(), |e| format!("this is {}", e.words()));
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
                _ => {
                    self.diags.push(not_yet("a modulator with dynamics of its own", name.span));
                    self.poison(scope, name);
                    return;
                }
            }
        }
        for arg in model.args.iter().flatten() {
            let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
            let names: Vec<(String, ValueId)> =
                params.iter().map(|v| (self.program.value(*v).name.clone(), *v)).collect();
            let Some((_, v)) = names.iter().find(|(n, _)| n == written) else {
                let near = did_you_mean(written, names.iter().map(|(n, _)| n.as_str()));
                let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
                let help = near
                    .map_or_else(|| format!("its params are {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, format!("the modulator has no param `{written}`"))
                        .label(arg.span, "not known")
                        .help(help),
                );
                continue;
            };
            if let Some((Pending::Param(b), s, place)) = self.pending.remove(v) {
                self.pending.insert(*v, (Pending::Bound(b, arg.value.clone(), scope), s, place));
            }
        }
        let place = Place::Binding;
        let cx = Cx { scope: inner, place: &place };
        let initial = match level.as_ref().and_then(|l| l.value.as_ref()) {
            Some(e) => self.number(e, cx, Dimension::NUMBER),
            None => zero(name.span, Dimension::NUMBER),
        };
        self.new_sensor(id, name, Dimension::NUMBER, Vec::new(), initial, scope);
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
                Some(Entity::Value(v)) if self.is_level(v) => {
                    self.declare(scope, name, Entity::Value(v));
                    return;
                }
                Some(Entity::Poison | Entity::Unsupported(_)) => {
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
        let place = Place::Binding;
        let cx = Cx { scope, place: &place };
        let initial = match value {
            Some(e) => self.number(e, cx, Dimension::NUMBER),
            None => {
                Expr { kind: ExprKind::Const(crate::script::Value::Number(1.0)), span: name.span, ty: Type::NUMBER }
            }
        };
        self.new_sensor(id, name, Dimension::NUMBER, Vec::new(), initial, scope);
    }

    /// One number that is set from outside.
    pub(super) fn is_level(&self, v: ValueId) -> bool {
        let def = self.program.value(v);
        matches!(def.kind, ValueKind::Sensor(_)) && def.ty.rank == 0
    }

    /// `actuator move = argmin(...)`: a question to the circuit, asked where its name stands.
    pub(super) fn declare_actuator(&mut self, id: NetworkId, name: &ast::Name, value: &ast::Expr, scope: ScopeId) {
        let asked = ast::Let { name: name.clone(), params: ast::LetParams::None, value: value.clone() };
        self.declare_let(&asked, scope, Place::Experiment(id));
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
                Some(Entity::Region(_)) => self.thing(path, cx.scope),
                _ => None,
            },
            _ => None,
        };
        let Some(Entity::Value(v)) = head else { return None };
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
        let op = match set.op {
            ast::AssignOp::Add => Some(hir::BinaryOp::Add),
            ast::AssignOp::Subtract => Some(hir::BinaryOp::Sub),
            ast::AssignOp::Multiply => Some(hir::BinaryOp::Mul),
            ast::AssignOp::Divide => Some(hir::BinaryOp::Div),
            ast::AssignOp::Set => None,
        };
        Some(Some(StmtKind::SetSensor { sensor, slots, op, value, lasting }))
    }
}

fn zero(span: Span, dim: Dimension) -> Expr {
    Expr { kind: ExprKind::Const(crate::script::Value::Number(0.0)), span, ty: Type::quantity(dim) }
}
