//! What is set from outside: sensors as params of the cells that read them.

use super::dynamics::Body;
use super::dynamics::{Cx, Mode};
use super::error::*;
use super::network::Elaborated;
use super::plasticity::{RuleBody, RuleRead};
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::connect::{Rule, Spec};
use crate::hir::{self, ExprKind, ValueId, ValueKind};
use crate::ir::{self, BinaryOp, Coupled, CoupledSum, Coupling, Expr, ExprId, Gather, ParamKind, ProjectionId, Subset};
use crate::script::Value;
use crate::units::Dimension;
use std::ops::Range;

/// A number of a sensor as one population reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sensed {
    pub sensor: u32,
    /// Which of its numbers, in the build's arena; a sensor without axes has one.
    pub position: Option<ExprId>,
    /// The settable param that follows it.
    pub param: u32,
    /// The param that holds the position.
    pub index: Option<u32>,
}

impl ir::Network {
    /// Lets params of a population follow sensors and events.
    pub(super) fn follow(&mut self, population: ir::PopulationId, sensed: &[Sensed], events: &[(u32, (u32, u32))]) {
        for (event, (flag, number)) in events {
            let reader = ir::EventReader { population, flag: *flag, number: *number };
            self.events[*event as usize].readers.push(reader);
        }
        for s in sensed {
            self.sensors[s.sensor as usize].readers.push(ir::Reader { population, param: s.param, index: s.index });
        }
    }
}

impl Body {
    /// The params that hold an event's flag and number.
    pub(super) fn event(&mut self, event: u32, network: &ir::Network) -> (u32, u32) {
        if let Some((_, params)) = self.events.iter().find(|(e, _)| *e == event) {
            return *params;
        }
        let (path, dimension) = match network.events.get(event as usize) {
            Some(e) => (e.path.clone(), e.dimension.unwrap_or(Dimension::NUMBER)),
            None => (String::new(), Dimension::NUMBER),
        };
        let flag = self.param(format!("event {path}"), Dimension::NUMBER, ParamKind::Scalar(0.0), true);
        let number = self.param(format!("number of {path}"), dimension, ParamKind::Scalar(0.0), true);
        self.events.push((event, (flag, number)));
        (flag, number)
    }
}

impl RuleBody {
    /// A leaf for what a rule reads; equal reads share one.
    pub(super) fn read(&mut self, what: RuleRead) -> ExprId {
        let k = self.reads.iter().position(|r| *r == what).unwrap_or_else(|| {
            self.reads.push(what);
            self.reads.len() - 1
        });
        self.exprs.intern(Expr::Read(k as u32))
    }
}

impl Lowering<'_> {
    /// A sensor with its sizes fixed, before anything reads it.
    pub(super) fn sensor(&mut self, s: &hir::Sensor) -> Result<ir::Sensor, Fail> {
        let shape = s
            .sizes
            .iter()
            .map(|e| match self.constant_count(e, 100_000_000)? {
                0 => Err(Diagnostic::error(NEGATIVE_SIZE, "an axis of a sensor has at least one position")
                    .label(e.span, "none")),
                n => Ok(n as u32),
            })
            .collect::<Result<Vec<u32>, Fail>>()?;
        let dimension = self.program.value(s.value).ty.dimension();
        let initial = self.constant_number(&s.initial)?;
        let bounds = self.fixed_bounds(&s.path, s.bounds.as_ref(), dimension)?;
        if let Some(b) = &bounds {
            self.within_bounds(b, &Value::Number(initial), s.initial.span, s.span)?;
        }
        Ok(ir::Sensor { path: s.path.clone(), dimension, shape, initial, bounds, readers: Vec::new() })
    }

    /// One number of a sensor where a cell or a rule reads it.
    pub(super) fn sensed(
        &mut self,
        id: ValueId,
        sensor: u32,
        slots: &[hir::Slot],
        span: Span,
        cx: &mut Cx,
    ) -> Result<ExprId, Fail> {
        let shape = cx.network.sensors.get(sensor as usize).map(|s| s.shape.clone()).unwrap_or_default();
        if slots.len() != shape.len() {
            let why = format!("{} indices into a sensor with {} axes", slots.len(), shape.len());
            return Err(Diagnostic::error(EVALUATION, why).label(span, "one number is needed here"));
        }
        match &mut cx.mode {
            Mode::Rule(body) if slots.is_empty() => return Ok(body.read(RuleRead::Level(id))),
            Mode::Dynamics(_) => {}
            _ => {
                return Err(Diagnostic::error(EVALUATION, format!("`{}` can't be read here", self.name(id)))
                    .label(span, "a sensor changes while the circuit runs; this place is computed when it is built"));
            }
        }
        let mut position: Option<ExprId> = None;
        for (slot, n) in slots.iter().zip(&shape) {
            let hir::Slot::At(e) = slot else {
                return Err(Diagnostic::error(EVALUATION, "one number is needed here").label(span, "a range of them"));
            };
            if self.varies(e, cx) {
                return Err(Diagnostic::error(EVALUATION, "a sensor is indexed by what stays the same in every step")
                    .label(e.span, "the index varies in time"));
            }
            let at = self.build_own(e, cx)?;
            let x = &mut cx.network.build;
            if let Some(v) = x.as_const(at)
                && !(v >= 0.0 && v < f64::from(*n) && v == v.trunc())
            {
                return Err(Diagnostic::error(SLICE, format!("{v} is no position on an axis of {n}"))
                    .label(e.span, format!("positions are whole, from 0 to {}", n.saturating_sub(1))));
            }
            position = Some(match position {
                None => at,
                Some(p) => {
                    let n = x.real(f64::from(*n));
                    let row = x.mul(p, n);
                    x.add(row, at)
                }
            });
        }
        let (path, dimension, initial) = {
            let s = &cx.network.sensors[sensor as usize];
            (s.path.clone(), s.dimension, s.initial)
        };
        let Mode::Dynamics(body) = &mut cx.mode else { return Ok(cx.arena().real(0.0)) };
        let param = match body.sensed.iter().find(|s| s.sensor == sensor && s.position == position) {
            Some(known) => known.param,
            None => {
                let param = body.param(format!("sensor {path}"), dimension, ParamKind::Scalar(initial), true);
                let index = position.map(|p| {
                    body.param(format!("position in {path}"), Dimension::NUMBER, ParamKind::PerNeuron(p), false)
                });
                body.sensed.push(Sensed { sensor, position, param, index });
                param
            }
        };
        Ok(body.dynamics.exprs.intern(Expr::Param(param)))
    }

    /// The level of a modulator as a cell or a rule reads it: a sum over its one unit.
    pub(super) fn level_read(
        &mut self,
        id: ValueId,
        modulator: hir::PopulationId,
        span: Span,
        cx: &mut Cx,
    ) -> Result<ExprId, Fail> {
        let body = match &mut cx.mode {
            Mode::Rule(body) => return Ok(body.read(RuleRead::Level(id))),
            Mode::Dynamics(body) => body,
            Mode::Build { .. } => {
                return Err(Diagnostic::error(EVALUATION, format!("`{}` can't be read here", self.name(id)))
                    .label(span, "a level changes while the circuit runs; this place is computed when it is built"));
            }
        };
        let leaf = match body.levels.iter().find(|(m, _)| *m == modulator) {
            Some((_, leaf)) => *leaf,
            None => {
                let leaf = body.dynamics.coupled.len() as u32;
                // The edge is known once all populations stand.
                body.dynamics.coupled.push(Coupled { projection: ProjectionId::end(), sum: CoupledSum::Values });
                body.levels.push((modulator, leaf));
                leaf
            }
        };
        Ok(body.dynamics.exprs.intern(Expr::Coupled(leaf)))
    }

    /// What a model does on an event: a receptor at which nothing arrives, and whose body waits for the event's flag.
    pub(super) fn event_body(&mut self, k: usize, event: &hir::ModelEvent, cx: &mut Cx) -> Result<(), Fail> {
        let Mode::Dynamics(body) = &mut cx.mode else { return Ok(()) };
        let Some(bound) = body.bound_events.get(k).copied().flatten() else { return Ok(()) };
        let (flag, number) = body.event(bound, cx.network);
        let x = &mut body.dynamics.exprs;
        let (flag, number, zero) = (x.intern(Expr::Param(flag)), x.intern(Expr::Param(number)), x.real(0.0));
        let there = x.compare(ir::Compare::Ne, flag, zero);
        let mut assigns = Vec::new();
        for (formal, list) in &event.handlers {
            cx.formals.extend(formal.map(|f| (f, number)));
            assigns.extend(self.assign_list(list, cx)?);
            cx.formals.clear();
        }
        let Mode::Dynamics(body) = &mut cx.mode else { return Ok(()) };
        let x = &mut body.dynamics.exprs;
        for a in &mut assigns {
            let old = x.intern(Expr::State(a.state));
            a.value = x.select(there, a.value, old);
        }
        body.dynamics.receptors.push(ir::Receptor {
            name: format!("on {}", event.name),
            dimension: event.dim.unwrap_or(Dimension::NUMBER),
            arrivals: Vec::new(),
            body: assigns,
        });
        Ok(())
    }

    /// Edges for the levels that the populations read.
    pub(super) fn join_levels(&mut self, network: &hir::Network, out: &mut Elaborated) {
        let wanted: Vec<(hir::PopulationId, hir::PopulationId, u32)> = out
            .placed
            .iter()
            .flat_map(|(to, p)| p.body.levels.iter().map(|(from, leaf)| (*from, *to, *leaf)))
            .collect();
        for (from, to, leaf) in wanted {
            let level = self.program.model(network.populations[from.0 as usize].model).level;
            let (Some(source), Some(level)) = (out.placed.get(&from), level) else { continue };
            let (node, state) = (source.node, self.state_index(source.body.model, level));
            let Some(source) = out.placed.get_mut(&from) else { continue };
            let value = source.body.dynamics.exprs.intern(Expr::State(state));
            let Some(target) = out.placed.get_mut(&to) else { continue };
            let edge = ir::Projection {
                path: format!(
                    "{}->{}",
                    network.populations[from.0 as usize].name, network.populations[to.0 as usize].name
                ),
                receptor: 0,
                pre: Subset::All,
                post: Subset::All,
                spec: Spec { rule: Rule::AllToAll, autapses: true, multapses: false },
                filter: None,
                weight: ir::Weight::Constant(1.0),
                delay: ir::Delay::Constant(0),
                gain: None,
                columns: Vec::new(),
                private: false,
                coupling: Some(Coupling { value, rank: 0, gather: Gather::Rows }),
                symmetric: false,
                procedural: None,
            };
            let id = out.network.graph.add_edge(node, target.node, edge);
            if let Some(c) = target.body.dynamics.coupled.get_mut(leaf as usize) {
                c.projection = id;
            }
        }
    }

    /// The sum of products of two lists, element by element, as cells compute it.
    pub(super) fn dot(&mut self, a: &hir::Expr, b: &hir::Expr, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        let (a, b) = (self.row(a, cx)?, self.row(b, cx)?);
        let (n, m) = (a.elements.len(), b.elements.len());
        if n != m {
            return Err(Diagnostic::error(SIZES_DIFFER, format!("lists of {n} and {m} elements"))
                .label(span, "both sides of `dot` are equally long"));
        }
        let mut sum = cx.arena().real(0.0);
        for (x, y) in a.elements.clone().zip(b.elements.clone()) {
            let (x, y) = (self.translate(&a.element(x), cx)?, self.translate(&b.element(y), cx)?);
            let term = cx.arena().binary(BinaryOp::Mul, x, y);
            sum = cx.arena().add(sum, term);
        }
        Ok(sum)
    }

    /// A list along its first open axis.
    fn row<'e>(&mut self, list: &'e hir::Expr, cx: &Cx) -> Result<Row<'e>, Fail> {
        let (base, slots) = match &list.kind {
            ExprKind::IndexList(base, slots) => (base.as_ref(), &slots[..]),
            _ => (list, &[][..]),
        };
        let open = slots.iter().position(|s| matches!(s, hir::Slot::Range(..)));
        let axis = open.unwrap_or(slots.len());
        let size = match &base.kind {
            ExprKind::Value(id) => match &self.program.value(*id).kind {
                ValueKind::Sensor(k) => {
                    let shape = cx.network.sensors.get(*k as usize).map(|s| &s.shape[..]).unwrap_or_default();
                    Some(*shape.get(axis).ok_or_else(|| no_list(list.span))?)
                }
                ValueKind::Table { axes, .. } => {
                    let size = axes.get(axis).map(|a| a.size.clone()).ok_or_else(|| no_list(list.span))?;
                    Some(self.constant_count(&size, LONGEST)? as u32)
                }
                _ => None,
            },
            _ => None,
        };
        let Some(size) = size else {
            let n = self.constant(list)?.elements().len() as u32;
            // What is constant is a value by itself, of which a slice is indexed from its own beginning.
            return Ok(Row { base: list, slots: &[], axis: 0, elements: 0..n });
        };
        let mut elements = 0..size;
        if let Some(hir::Slot::Range(low, high)) = open.map(|k| &slots[k]) {
            if let Some(low) = low {
                elements.start = self.constant_count(low, u64::from(size))? as u32;
            }
            if let Some(high) = high {
                elements.end = self.constant_count(high, u64::from(size))? as u32;
            }
        }
        Ok(Row { base, slots, axis, elements })
    }
}

/// Elements of a list in `dot` at most: each becomes a product in every cell.
const LONGEST: u64 = 100_000;

/// Elements of `base` along an axis, by slots for the axes before and after it.
struct Row<'e> {
    base: &'e hir::Expr,
    slots: &'e [hir::Slot],
    axis: usize,
    elements: Range<u32>,
}

impl Row<'_> {
    fn element(&self, k: u32) -> hir::Expr {
        let (span, ty) = (self.base.span, hir::Type { rank: 0, ..self.base.ty });
        let number = ExprKind::Const(crate::script::Value::Number(f64::from(k)));
        let at = hir::Slot::At(hir::Expr { kind: number, span, ty: hir::Type::NUMBER });
        let mut slots = self.slots.to_vec();
        match slots.get_mut(self.axis) {
            Some(slot) => *slot = at,
            None => slots.push(at),
        }
        hir::Expr { kind: ExprKind::IndexList(Box::new(self.base.clone()), slots), span, ty }
    }
}

fn no_list(span: Span) -> Fail {
    Diagnostic::error(EVALUATION, "a list is needed here").label(span, "one number")
}
