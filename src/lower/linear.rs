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
