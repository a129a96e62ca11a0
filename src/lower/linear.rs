//! Symbolic linearity: an expression as (sum of coefficient x variable) + rest, or the proof that it is none.

use crate::ir::{BinaryOp, Expr, ExprId, Exprs, UnaryOp};
use std::collections::{BTreeMap, HashMap};

/// What an expression may be linear in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    State(u32),
    Noise(u32),
}

#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub coefficients: BTreeMap<Variable, ExprId>,
    /// `None`: nothing but the linear part.
    pub rest: Option<ExprId>,
}

/// Splits `id` by the variables that `is_variable` names; everything else counts as constant. `None` if it is not linear.
pub(super) fn split(x: &mut Exprs, id: ExprId, is_variable: &dyn Fn(Variable) -> bool) -> Option<Linear> {
    split_node(x, id, is_variable, &mut HashMap::new())
}

/// Parts that several parents share are split once: a chain of lets that name the one before twice has 2^n paths.
type Done = HashMap<ExprId, Option<Linear>>;

fn split_node(x: &mut Exprs, id: ExprId, is_variable: &dyn Fn(Variable) -> bool, done: &mut Done) -> Option<Linear> {
    if let Some(known) = done.get(&id) {
        return known.clone();
    }
    let result = split_new(x, id, is_variable, done);
    done.insert(id, result.clone());
    result
}

fn split_new(x: &mut Exprs, id: ExprId, is_variable: &dyn Fn(Variable) -> bool, done: &mut Done) -> Option<Linear> {
    let e = x.get(id).clone();
    match e {
        Expr::State(k) if is_variable(Variable::State(k)) => Some(single(x, Variable::State(k))),
        Expr::Noise(k) if is_variable(Variable::Noise(k)) => Some(single(x, Variable::Noise(k))),
        _ if !contains(x, id, is_variable) => Some(Linear { coefficients: BTreeMap::new(), rest: Some(id) }),
        Expr::Unary(UnaryOp::Neg, a) => {
            let a = split_node(x, a, is_variable, done)?;
            Some(map(x, a, &mut |x, c| x.unary(UnaryOp::Neg, c)))
        }
        Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
            let mut a = split_node(x, a, is_variable, done)?;
            let mut b = split_node(x, b, is_variable, done)?;
            if op == BinaryOp::Sub {
                b = map(x, b, &mut |x, c| x.unary(UnaryOp::Neg, c));
            }
            for (v, c) in b.coefficients {
                let sum = match a.coefficients.get(&v) {
                    Some(old) => x.add(*old, c),
                    None => c,
                };
                a.coefficients.insert(v, sum);
            }
            a.rest = match (a.rest, b.rest) {
                (Some(p), Some(q)) => Some(x.add(p, q)),
                (p, q) => p.or(q),
            };
            Some(a)
        }
        Expr::Binary(BinaryOp::Mul, a, b) => {
            let (left, right) = (contains(x, a, is_variable), contains(x, b, is_variable));
            match (left, right) {
                (true, true) => None,
                (true, false) => {
                    let a = split_node(x, a, is_variable, done)?;
                    Some(map(x, a, &mut |x, c| x.mul(c, b)))
                }
                _ => {
                    let b = split_node(x, b, is_variable, done)?;
                    Some(map(x, b, &mut |x, c| x.mul(a, c)))
                }
            }
        }
        Expr::Binary(BinaryOp::Div, a, b) if !contains(x, b, is_variable) => {
            let a = split_node(x, a, is_variable, done)?;
            Some(map(x, a, &mut |x, c| x.div(c, b)))
        }
        Expr::Select(c, a, b) if !contains(x, c, is_variable) => {
            let a = split_node(x, a, is_variable, done)?;
            let b = split_node(x, b, is_variable, done)?;
            let zero = x.real(0.0);
            let mut coefficients = BTreeMap::new();
            for v in a.coefficients.keys().chain(b.coefficients.keys()).copied().collect::<Vec<_>>() {
                let p = a.coefficients.get(&v).copied().unwrap_or(zero);
                let q = b.coefficients.get(&v).copied().unwrap_or(zero);
                coefficients.insert(v, x.select(c, p, q));
            }
            let rest = match (a.rest, b.rest) {
                (None, None) => None,
                (p, q) => Some(x.select(c, p.unwrap_or(zero), q.unwrap_or(zero))),
            };
            Some(Linear { coefficients, rest })
        }
        _ => None,
    }
}

/// As much of `id` as can be written `a x + r` with the state `x` in `a` and `r` taken as it stands: exact where `id` is linear in
/// `x`; where a product has `x` in both factors, the one that is linear in it by itself is opened, so that `m(x)^2 (E - x)` gives
/// `a = -m(x)^2`, the conductance. What opens nowhere goes into `r`.
pub(super) fn lean(x: &mut Exprs, id: ExprId, state: u32) -> (ExprId, ExprId) {
    lean_node(x, id, state, &mut HashMap::new())
}

fn lean_node(x: &mut Exprs, id: ExprId, state: u32, done: &mut HashMap<ExprId, (ExprId, ExprId)>) -> (ExprId, ExprId) {
    if let Some(known) = done.get(&id) {
        return *known;
    }
    let is_state = |v: Variable| v == Variable::State(state);
    let (zero, one) = (x.real(0.0), x.real(1.0));
    let e = x.get(id).clone();
    let result = match e {
        Expr::State(k) if k == state => (one, zero),
        _ if !contains(x, id, &is_state) => (zero, id),
        Expr::Unary(UnaryOp::Neg, a) => {
            let (a, r) = lean_node(x, a, state, done);
            (x.unary(UnaryOp::Neg, a), x.unary(UnaryOp::Neg, r))
        }
        Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
            let (a, r) = lean_node(x, a, state, done);
            let (b, s) = lean_node(x, b, state, done);
            (x.binary(op, a, b), x.binary(op, r, s))
        }
        Expr::Binary(BinaryOp::Mul, a, b) => {
            let opened = |x: &mut Exprs, e| contains(x, e, &is_state) && split(x, e, &is_state).is_some();
            let (factor, inner) = match (opened(x, a), opened(x, b)) {
                (_, true) => (a, b),
                (true, false) => (b, a),
                _ if contains(x, b, &is_state) => (a, b),
                _ => (b, a),
            };
            let (a, r) = lean_node(x, inner, state, done);
            (x.mul(factor, a), x.mul(factor, r))
        }
        Expr::Binary(BinaryOp::Div, a, b) => {
            let (a, r) = lean_node(x, a, state, done);
            (x.div(a, b), x.div(r, b))
        }
        Expr::Select(c, a, b) => {
            let (a, r) = lean_node(x, a, state, done);
            let (b, s) = lean_node(x, b, state, done);
            (x.select(c, a, b), x.select(c, r, s))
        }
        _ => (zero, id),
    };
    done.insert(id, result);
    result
}

/// Whether any variable occurs in it.
pub(super) fn contains(x: &Exprs, id: ExprId, is_variable: &dyn Fn(Variable) -> bool) -> bool {
    x.any(id, &mut |e| match e {
        Expr::State(k) => is_variable(Variable::State(*k)),
        Expr::Noise(k) => is_variable(Variable::Noise(*k)),
        _ => false,
    })
}

fn single(x: &mut Exprs, v: Variable) -> Linear {
    Linear { coefficients: BTreeMap::from([(v, x.real(1.0))]), rest: None }
}

fn map(x: &mut Exprs, l: Linear, f: &mut dyn FnMut(&mut Exprs, ExprId) -> ExprId) -> Linear {
    let coefficients = l.coefficients.into_iter().map(|(v, c)| (v, f(x, c))).collect();
    let rest = l.rest.map(|r| f(x, r));
    Linear { coefficients, rest }
}
