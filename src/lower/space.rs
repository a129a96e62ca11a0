//! Positions, distances, and what depends on them.

use super::dynamics::{Body, Bound, Cx, Mode};
use super::error::*;
use super::network::Tables;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir;
use crate::ir::{self, Attribute, BinaryOp, Compare, Expr, ExprId, ParamKind, Side, UnaryOp};
use crate::units::{self, Dimension};
use std::collections::HashMap;

/// Where the cells of one population lie, as formulas of its elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Space {
    coordinates: Vec<Bound>,
    /// um; set where the space closes on itself.
    extent: Option<Vec<f64>>,
    /// Place along a circle and the circle's circumference, um.
    arc: Option<(Bound, f64)>,
    /// Intervals that hold the coordinates, by param.
    pub within: Vec<(u32, (f64, f64))>,
}

impl Space {
    pub fn placed(&self) -> bool {
        !self.coordinates.is_empty()
    }
}

/// Axons conduct at most so fast: 120 m/s in um/ms (the fastest myelinated fibres).
const FASTEST: f64 = 120e3;

impl Lowering<'_> {
    /// Computes the coordinates of every cell into params `pos.x`, `pos.y`, `pos.z`.
    pub(super) fn place_cells(
        &mut self,
        position: &hir::Position,
        body: &mut Body,
        network: &mut ir::Network,
        tables: &mut Tables,
    ) -> Result<Space, Fail> {
        let mut space = Space::default();
        let mut coordinate = |me: &mut Self, body: &mut Body, name: &str, e: &hir::Expr| -> Result<Bound, Fail> {
            let mut cx =
                Cx { network, mode: Mode::Dynamics(body), formals: HashMap::new(), tables, lets: HashMap::new() };
            let value = me.build_own(e, &mut cx)?;
            if let Some(v) = network.build.as_const(value) {
                return Ok(Bound::Const(v));
            }
            Ok(Bound::Slot(body.param(name.to_string(), Dimension::LENGTH, ParamKind::PerNeuron(value), false)))
        };
        for (e, name) in position.coordinates.iter().zip(["pos.x", "pos.y", "pos.z"]) {
            let bound = coordinate(self, body, name, e)?;
            body.coordinates.push(bound.clone());
            space.coordinates.push(bound);
        }
        if let Some((along, round)) = &position.arc {
            let bound = coordinate(self, body, "pos.arc", along)?;
            let round = self.constant_number(round)?;
            if let Bound::Slot(k) = bound {
                space.within.push((k, (0.0, round)));
            }
            space.arc = Some((bound, round));
        }
        if let Some(extent) = &position.extent {
            let extent: Vec<f64> = extent.iter().map(|e| self.constant_number(e)).collect::<Result<_, _>>()?;
            if let Some(wrong) = extent.iter().find(|e| !(**e > 0.0 && e.is_finite())) {
                let shown = units::display(*wrong, Dimension::LENGTH);
                return Err(Diagnostic::error(OUT_OF_BOUNDS, format!("a space {shown} wide"))
                    .label(position.span, "a layout has a positive extent"));
            }
            for (bound, wide) in space.coordinates.iter().zip(&extent) {
                if let Bound::Slot(k) = bound {
                    space.within.push((*k, (0.0, *wide)));
                }
            }
            space.extent = position.periodic.then_some(extent);
        }
        Ok(space)
    }

    /// The distance of a synapse's two cells: along the circle on a ring, else straight, around the edge where both ends' space
    /// is periodic with one extent. um.
    pub(super) fn translate_distance(&mut self, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        let Mode::Build { ends: Some((pre, post)), .. } = &cx.mode else {
            return Err(Diagnostic::error(EVALUATION, "there is no synapse here").label(span, "a distance of nothing"));
        };
        let (pre, post) = (pre.space.clone(), post.space.clone());
        let x = &mut cx.network.build;
        if let (Some((a, round)), Some((b, other))) = (&pre.arc, &post.arc)
            && round.to_bits() == other.to_bits()
        {
            let (a, b) = (end(x, Side::Pre, a), end(x, Side::Post, b));
            return Ok(apart(x, a, b, Some(*round)));
        }
        let around = match (&pre.extent, &post.extent) {
            (Some(a), Some(b)) if a == b => Some(a.clone()),
            _ => None,
        };
        let mut sum = None;
        for (k, (a, b)) in pre.coordinates.iter().zip(&post.coordinates).enumerate() {
            let (a, b) = (end(x, Side::Pre, a), end(x, Side::Post, b));
            let round = around.as_ref().and_then(|e| e.get(k)).copied();
            let d = apart(x, a, b, round);
            let square = x.mul(d, d);
            sum = Some(match sum {
                None => square,
                Some(s) => x.add(s, square),
            });
        }
        let sum = sum.unwrap_or_else(|| x.real(0.0));
        Ok(x.unary(UnaryOp::Sqrt, sum))
    }

    /// A delay that asks for conduction faster than any axon's: a slip of a unit, usually.
    pub(super) fn check_conduction(&mut self, farthest: f64, fastest: f64, span: Span) {
        let speed = farthest / fastest.max(self.dt);
        if speed > FASTEST {
            self.tell(
                Diagnostic::warning(CONDUCTION, "this delay asks for conduction faster than any axon's")
                    .label(
                        span,
                        format!(
                            "{} over up to {} is {} m/s",
                            units::display(fastest.max(self.dt), Dimension::TIME),
                            units::display(farthest, Dimension::LENGTH),
                            (speed / 1e3).round()
                        ),
                    )
                    .help("axons conduct at 0.5 to 120 m/s: write `delay distance / 0.3 m/s + 0.5 ms`, or mend a unit"),
            );
        }
    }
}

fn end(x: &mut ir::Exprs, side: Side, bound: &Bound) -> ExprId {
    match bound {
        Bound::Slot(k) => x.intern(Expr::Element(side, Attribute::Param(*k))),
        Bound::Const(v) => x.real(*v),
        Bound::Live(_) | Bound::List(_) => x.real(f64::NAN),
    }
}

/// |a - b|, the shorter way around where the axis closes after `round`.
fn apart(x: &mut ir::Exprs, a: ExprId, b: ExprId, round: Option<f64>) -> ExprId {
    let difference = x.sub(a, b);
    let straight = x.unary(UnaryOp::Abs, difference);
    let Some(round) = round else { return straight };
    let whole = x.real(round);
    let other = x.sub(whole, straight);
    let shorter = x.compare(Compare::Lt, other, straight);
    let chosen = x.select(shorter, other, straight);
    let zero = x.real(0.0);
    x.binary(BinaryOp::Max, chosen, zero)
}
