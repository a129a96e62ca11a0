//! Evaluates expression DAGs one element at a time: build expressions for every back end, dynamics for the interpreter and for
//! recorded observables.

use crate::ir::{Expr, ExprId, Exprs, Real};

/// Evaluates `id` with an explicit answer for each leaf. `scratch` is reused between calls to save its allocation.
///
/// Children stand before their parents in an arena, so one ascending pass over the needed nodes suffices.
pub fn evaluate(exprs: &Exprs, order: &[ExprId], scratch: &mut Vec<f64>, leaf: &mut dyn FnMut(&Expr, &[f64]) -> f64) {
    scratch.resize(exprs.len(), 0.0);
    for id in order {
        let e = exprs.get(*id);
        let at = |k: ExprId, s: &[f64]| s[k.0 as usize];
        let v = match e {
            Expr::Const(Real(v)) => *v,
            Expr::Unary(op, a) => op.compute(at(*a, scratch)),
            Expr::Binary(op, a, b) => op.compute(at(*a, scratch), at(*b, scratch)),
            Expr::Compare(op, a, b) => f64::from(u8::from(op.compute(at(*a, scratch), at(*b, scratch)))),
            Expr::Select(c, a, b) => {
                if at(*c, scratch) != 0.0 {
                    at(*a, scratch)
                } else {
                    at(*b, scratch)
                }
            }
            other => leaf(other, scratch),
        };
        scratch[id.0 as usize] = v;
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
