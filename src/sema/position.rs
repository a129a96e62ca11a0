//! Where cells lie: layouts become formulas of a cell's index, axes and draws.

use super::error::*;
use super::{Cx, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, BinaryOp, Expr, ExprKind, Position, Side, Type, ValueKind};
use crate::script::{Distribution, Func, Value};
use crate::syntax::ast;
use crate::units::Dimension;

/// Names of the coordinates: `pos.x`.
pub(super) const COORDINATES: [&str; 3] = ["x", "y", "z"];

/// Formulas at one place of the text.
#[derive(Clone, Copy)]
struct Formulas {
    span: Span,
}

impl Formulas {
    fn expr(self, kind: ExprKind, dim: Dimension) -> Expr {
        Expr { kind, span: self.span, ty: Type::quantity(dim) }
    }

    fn number(self, v: f64) -> Expr {
        self.expr(ExprKind::Const(Value::Number(v)), Dimension::NUMBER)
    }

    fn binary(self, op: BinaryOp, a: Expr, b: Expr) -> Expr {
        let (x, y) = (a.ty.dimension(), b.ty.dimension());
        let dim = match op {
            BinaryOp::Mul => x * y,
            BinaryOp::Div => x / y,
            _ => x,
        };
        self.expr(ExprKind::Binary(op, Box::new(a), Box::new(b)), dim)
    }

    fn mul(self, a: Expr, b: Expr) -> Expr {
        self.binary(BinaryOp::Mul, a, b)
    }

    fn div(self, a: Expr, b: Expr) -> Expr {
        self.binary(BinaryOp::Div, a, b)
    }

    fn call(self, f: Func, a: Expr) -> Expr {
        let dim = a.ty.dimension();
        self.expr(ExprKind::Call(f, vec![a]), dim)
    }

    fn index(self) -> Expr {
        self.expr(ExprKind::Index(Side::Own), Dimension::NUMBER)
    }

    /// Column and row of a cell in a block that is as wide as high, and the numbers of both.
    fn block(self, size: Expr) -> (Expr, Expr, Expr, Expr) {
        let columns = self.call(Func::Ceil, self.call(Func::Sqrt, size.clone()));
        let rows = self.call(Func::Ceil, self.div(size, columns.clone()));
        let row = self.call(Func::Floor, self.div(self.index(), columns.clone()));
        let before = self.mul(row.clone(), columns.clone());
        (self.binary(BinaryOp::Sub, self.index(), before), row, columns, rows)
    }
}

impl Sema<'_> {
    /// `position grid(25 um) periodic` of a population with these axes.
    pub(super) fn position(
        &mut self,
        layout: &ast::Expr,
        periodic: bool,
        span: Span,
        axes: &[hir::Axis],
        cx: Cx,
    ) -> Option<Position> {
        let f = Formulas { span: layout.span };
        let size = axes.iter().map(|a| a.size.clone()).reduce(|a, b| f.mul(a, b))?;
        let mut out = Position { coordinates: Vec::new(), extent: None, arc: None, periodic, span };
        match &layout.kind {
            ast::ExprKind::Paren(items) => {
                out.coordinates = items.iter().map(|e| self.number(e, cx, Dimension::LENGTH)).collect();
                if items.len() > COORDINATES.len() {
                    self.bad_layout(layout.span, "space has at most three coordinates");
                    return None;
                }
                if periodic {
                    self.bad_layout(span, "coordinates of your own have no extent to be periodic over");
                }
            }
            ast::ExprKind::Call(callee, args) => {
                let ast::ExprKind::Name(name) = &callee.kind else {
                    self.bad_layout(layout.span, "not a layout");
                    return None;
                };
                let lengths: Vec<Expr> = args.iter().map(|a| self.number(&a.value, cx, Dimension::LENGTH)).collect();
                match (name.as_str(), lengths.as_slice()) {
                    ("grid", [d]) if axes.len() > 1 => {
                        let shown = axes.iter().enumerate().rev().take(COORDINATES.len());
                        let mut extent = Vec::new();
                        for (k, axis) in shown {
                            let at = ast::Name { text: "axis".to_string(), span };
                            let v = self.new_value(&at, Type::NUMBER, ValueKind::Axis(k as u32));
                            out.coordinates.push(f.mul(f.expr(ExprKind::Value(v), Dimension::NUMBER), d.clone()));
                            extent.push(f.mul(axis.size.clone(), d.clone()));
                        }
                        out.extent = Some(extent);
                    }
                    ("grid", [d]) => {
                        let (column, row, columns, rows) = f.block(size);
                        out.coordinates = vec![f.mul(column, d.clone()), f.mul(row, d.clone())];
                        out.extent = Some(vec![f.mul(columns, d.clone()), f.mul(rows, d.clone())]);
                    }
                    ("hex", [d]) => {
                        let (column, row, columns, rows) = f.block(size);
                        // Every other row is moved by half a distance.
                        let half = f.mul(f.number(0.5), row.clone());
                        let shift = f.binary(BinaryOp::Sub, half.clone(), f.call(Func::Floor, half));
                        let high = f.mul(f.number(0.75_f64.sqrt()), d.clone());
                        let along = f.binary(BinaryOp::Add, column, shift);
                        out.coordinates = vec![f.mul(along, d.clone()), f.mul(row, high.clone())];
                        out.extent = Some(vec![f.mul(columns, d.clone()), f.mul(rows, high)]);
                    }
                    ("box", [_] | [_, _] | [_, _, _]) => {
                        for length in &lengths {
                            let zero = f.expr(ExprKind::Const(Value::Number(0.0)), Dimension::LENGTH);
                            let site = self.site();
                            let args = vec![zero, length.clone()];
                            let draw = ExprKind::Draw { distribution: Distribution::Uniform, args, site };
                            out.coordinates.push(f.expr(draw, Dimension::LENGTH));
                        }
                        out.extent = Some(lengths);
                    }
                    ("ring", [r]) => {
                        let turn = f.number(2.0 * std::f64::consts::PI);
                        let angle = f.div(f.mul(turn.clone(), f.index()), size);
                        out.coordinates = vec![
                            f.mul(f.call(Func::Cos, angle.clone()), r.clone()),
                            f.mul(f.call(Func::Sin, angle.clone()), r.clone()),
                        ];
                        out.arc = Some((f.mul(angle, r.clone()), f.mul(turn, r.clone())));
                    }
                    _ => {
                        self.bad_layout(layout.span, "not a layout");
                        return None;
                    }
                }
            }
            _ => {
                self.bad_layout(layout.span, "not a layout");
                return None;
            }
        }
        Some(out)
    }

    fn bad_layout(&mut self, span: Span, why: &str) {
        self.diags.push(
            Diagnostic::error(LAYOUT, "cells lie on a layout or at coordinates")
                .label(span, why)
                .help("layouts are grid(25 um), hex(25 um), box(1 mm, 1 mm), ring(100 um), or coordinates (x, y)"),
        );
    }

    /// `distance` of a synapse.
    pub(super) fn distance(&mut self, span: Span, ends: (&[super::End], &[super::End])) -> Expr {
        for (side, list) in [("source", ends.0), ("target", ends.1)] {
            if list.iter().any(|e| e.coordinates == 0) {
                self.diags.push(
                    Diagnostic::error(NO_POSITION, format!("the {side} cells have no position"))
                        .label(span, "a distance needs positions at both ends")
                        .help("give the population one: `{ position grid(25 um) }`"),
                );
                return self.error_expr(span);
            }
        }
        let dims: Vec<usize> = ends.0.iter().chain(ends.1).map(|e| e.coordinates).collect();
        if dims.windows(2).any(|w| w[0] != w[1]) {
            self.diags.push(
                Diagnostic::error(NO_POSITION, "the two ends lie in spaces of different dimension")
                    .label(span, "no distance between them"),
            );
            return self.error_expr(span);
        }
        Expr { kind: ExprKind::Distance, span, ty: Type::quantity(Dimension::LENGTH) }
    }

    /// `pre.pos.x`: a coordinate of the cells at one end.
    pub(super) fn end_position(&mut self, side: Side, ends: &[super::End], name: &ast::Name, span: Span) -> Expr {
        let at = COORDINATES.iter().position(|c| *c == name.text);
        match at {
            Some(k) if ends.iter().all(|e| k < e.coordinates) => {
                let kind = ExprKind::Attribute(side, format!("pos.{}", name.text));
                Expr { kind, span, ty: Type::quantity(Dimension::LENGTH) }
            }
            _ => {
                self.diags.push(
                    Diagnostic::error(NO_POSITION, format!("the cells at this end have no coordinate `{}`", name.text))
                        .label(span, "not there")
                        .help("coordinates are pos.x, pos.y, pos.z of a population with a `position`"),
                );
                self.error_expr(span)
            }
        }
    }
}
