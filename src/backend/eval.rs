//! Evaluates expression DAGs one element at a time: build expressions for every back end, dynamics for the interpreter and for
//! recorded observables.

use crate::ir::single::round;
use crate::ir::{Expr, ExprId, Exprs, Real};

/// Evaluates `id` with an explicit answer for each leaf. `scratch` is reused between calls to save its allocation.
///
/// Children stand before their parents in an arena, so one ascending pass over the needed nodes suffices.
pub fn evaluate(exprs: &Exprs, order: &[ExprId], scratch: &mut Vec<f64>, leaf: &mut dyn FnMut(&Expr, &[f64]) -> f64) {
    evaluate_single(exprs, &[], order, scratch, leaf);
}

/// As [`evaluate`], with the expressions that `singles` names in single precision; see [`crate::ir::single`].
pub fn evaluate_single(
    exprs: &Exprs,
    singles: &[bool],
    order: &[ExprId],
    scratch: &mut Vec<f64>,
    leaf: &mut dyn FnMut(&Expr, &[f64]) -> f64,
) {
    scratch.resize(exprs.len(), 0.0);
    for id in order {
        let single = singles.get(id.0 as usize) == Some(&true);
        let at = |k: &ExprId| {
            let v = scratch[k.0 as usize];
            if single { round(v) } else { v }
        };
        let v = match exprs.get(*id) {
            Expr::Const(Real(v)) => *v,
            Expr::Unary(op, a) if single => op.compute_single(at(a)),
            Expr::Unary(op, a) => op.compute(at(a)),
            Expr::Binary(op, a, b) => op.compute(at(a), at(b)),
            Expr::Compare(op, a, b) => f64::from(u8::from(op.compute(at(a), at(b)))),
            Expr::Select(c, a, b) => at(if at(c) != 0.0 { a } else { b }),
            other => leaf(other, scratch),
        };
        scratch[id.0 as usize] = if single { round(v) } else { v };
    }
}

/// The nodes that `roots` need, children first. `Before(e)` is a leaf here: its inside is another moment's.
pub fn order(exprs: &Exprs, roots: &[ExprId]) -> Vec<ExprId> {
    let mut needed = vec![false; exprs.len()];
    let mut stack: Vec<ExprId> = roots.to_vec();
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut needed[id.0 as usize], true) {
            continue;
        }
        let e = exprs.get(id);
        if !matches!(e, Expr::Before(_)) {
            e.children(&mut |c| stack.push(c));
        }
    }
    needed.iter().zip(0..).filter(|(n, _)| **n).map(|(_, k)| ExprId(k)).collect()
}
