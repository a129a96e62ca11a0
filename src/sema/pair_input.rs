//! Inputs that read both sides: `input I_gap(g: conductance, other: voltage): current = g * (other - V)`.
//!
//! The body is summed over connections, so it is split once into `c0 + c1 g + c2 other + c3 g other` with coefficients that
//! read the cell alone: then four sums do for any number of connections (their number, the weights, the values, the products).

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, BinaryOp, Expr, ExprKind, Kind, PairInput, Type, UnaryOp, ValueId, ValueKind};
use crate::syntax::ast;

/// Coefficients of 1, weight, other, weight x other.
type Terms = [Option<Expr>; 4];

const NONE: Terms = [None, None, None, None];

impl Sema<'_> {
    pub(super) fn half_an_input(&mut self, name: &ast::Name, formals: bool) {
        let missing = if formals { "no body" } else { "no weight and other" };
        self.diags.push(
            Diagnostic::error(NOT_BILINEAR, format!("input `{}` has {missing}", name.text))
                .label(name.span, "an input that reads both sides names them and says what it makes of them")
                .help(format!(
                    "write `input {0}(g: conductance, other: voltage): current = g * (other - V)`, or `input {0}: current`",
                    name.text
                )),
        );
    }

    pub(super) fn pair_input(
        &mut self,
        out: &mut hir::Model,
        name: &ast::Name,
        formals: &[ast::Formal],
        value: &ast::Expr,
        scope: ScopeId,
    ) {
        let Some(Entity::Value(input)) = self.lookup(scope, &name.text) else { return };
        let [weight, other] = formals else {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, format!("input `{}` reads a weight and a value", name.text))
                    .label(
                        name.span,
                        format!("{} argument{}", formals.len(), if formals.len() == 1 { "" } else { "s" }),
                    )
                    .help(format!("input {}(g: conductance, other: voltage): current = ...", name.text)),
            );
            return;
        };
        let inner = self.new_scope(Some(scope));
        let mut ids = Vec::new();
        for f in [weight, other] {
            let Some(written) = &f.dim else {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_DIMENSION, format!("`{}` has no dimension", f.name.text))
                        .label(f.name.span, "write it, as in `g: conductance`"),
                );
                return;
            };
            let Some(dim) = self.dimension(written) else { return };
            let id = self.new_value(&f.name, Type::quantity(dim), ValueKind::Formal);
            self.declare_formal(inner, &f.name, id);
            ids.push((id, dim));
        }
        let [(weight, weight_dim), (other, other_dim)] = ids.as_slice() else { return };
        let ty = self.program.value(input).ty;
        let known = ty.kind != Kind::Unknown;
        let place = Place::Dynamics;
        let body = self.expr(value, Cx { scope: inner, place: &place }, Some(ty.dimension()).filter(|_| known));
        if !known || !self.scalar(&body) {
            return;
        }
        let why = format!("input `{}` is {}", name.text, dimension_words(ty.dimension()));
        if !self.fits(&body, ty.dimension(), DIMENSION_MISMATCH, &why) {
            return;
        }
        match self.bilinear(&body, *weight, *other) {
            Ok(terms) => {
                out.pair_inputs.push(PairInput { input, weight: *weight_dim, other: *other_dim, terms });
            }
            Err(span) => self.diags.push(
                Diagnostic::error(
                    NOT_BILINEAR,
                    format!("input `{}` is not a sum of products of its weight and the other's value", name.text),
                )
                .label(span, "here the weight or the other's value is more than a factor")
                .help(
                    "what all connections bring is summed first, so write a body such as `g * (other - V)`; \
                     put a function of the other's value into an output of its cell",
                ),
            ),
        }
    }

    /// Splits a body, or gives the place where that can't be done.
    fn bilinear(&self, e: &Expr, weight: ValueId, other: ValueId) -> Result<Terms, Span> {
        let mut reads = false;
        super::query::walk(e, &mut |x| {
            reads |= matches!(x.kind, ExprKind::Value(v) if v == weight || v == other);
            true
        });
        if !reads {
            return Ok([Some(e.clone()), None, None, None]);
        }
        let split = |x: &Expr| self.bilinear(x, weight, other);
        match &e.kind {
            ExprKind::Value(v) => {
                let one =
                    Expr { kind: ExprKind::Const(crate::script::Value::Number(1.0)), span: e.span, ty: Type::NUMBER };
                let mut terms = NONE;
                terms[if *v == weight { 1 } else { 2 }] = Some(one);
                Ok(terms)
            }
            ExprKind::Unary(UnaryOp::Neg, a) => Ok(split(a)?.map(|t| t.map(|t| negated(t, e.span)))),
            ExprKind::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
                let (mut out, b) = (split(a)?, split(b)?);
                for (x, y) in out.iter_mut().zip(b) {
                    *x = match (x.take(), y) {
                        (Some(x), Some(y)) => Some(binary(*op, x, y, e.span)),
                        (None, Some(y)) if *op == BinaryOp::Sub => Some(negated(y, e.span)),
                        (x, y) => x.or(y),
                    };
                }
                Ok(out)
            }
            ExprKind::Binary(BinaryOp::Mul, a, b) => {
                let (a, b) = (split(a)?, split(b)?);
                let mut out = NONE;
                for (j, x) in a.iter().enumerate() {
                    for (k, y) in b.iter().enumerate() {
                        let (Some(x), Some(y)) = (x, y) else { continue };
                        // Bits of the index name the factors: one that stands in both is squared.
                        if j & k != 0 {
                            return Err(e.span);
                        }
                        let product = binary(BinaryOp::Mul, x.clone(), y.clone(), e.span);
                        out[j | k] = Some(match out[j | k].take() {
                            Some(sum) => binary(BinaryOp::Add, sum, product, e.span),
                            None => product,
                        });
                    }
                }
                Ok(out)
            }
            ExprKind::Binary(BinaryOp::Div, a, b) => match split(b)? {
                [Some(by), None, None, None] => {
                    Ok(split(a)?.map(|t| t.map(|t| binary(BinaryOp::Div, t, by.clone(), e.span))))
                }
                _ => Err(b.span),
            },
            ExprKind::If(c, a, b) => {
                let [Some(_), None, None, None] = split(c)? else { return Err(c.span) };
                let (a, b) = (split(a)?, split(b)?);
                let mut out = NONE;
                for (k, (x, y)) in a.into_iter().zip(b).enumerate() {
                    let ty = match (&x, &y) {
                        (None, None) => continue,
                        (Some(x), _) => x.ty,
                        (None, Some(y)) => y.ty,
                    };
                    let zero = || Expr { kind: ExprKind::Const(crate::script::Value::Number(0.0)), span: e.span, ty };
                    let (x, y) = (x.unwrap_or_else(zero), y.unwrap_or_else(zero));
                    out[k] = Some(Expr { kind: ExprKind::If(c.clone(), Box::new(x), Box::new(y)), span: e.span, ty });
                }
                Ok(out)
            }
            _ => Err(e.span),
        }
    }
}

fn negated(e: Expr, span: Span) -> Expr {
    Expr { ty: e.ty, kind: ExprKind::Unary(UnaryOp::Neg, Box::new(e)), span }
}

fn binary(op: BinaryOp, a: Expr, b: Expr, span: Span) -> Expr {
    let (p, q) = (a.ty.dimension(), b.ty.dimension());
    let ty = match op {
        BinaryOp::Mul => Type::quantity(p * q),
        BinaryOp::Div => Type::quantity(p / q),
        _ => a.ty,
    };
    Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), span, ty }
}
