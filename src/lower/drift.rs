//! What a synapse does between two events: equations as sums of exponentials, and the proof that they may wait.
//!
//! An equation `x' = a x + sum of terms` has an exact integral if each term is something that stands still times variables that decay.
//! If what stands still is the same number at all times, the integral is a function of the time since the last event. If it is a
//! level, which changes from step to step but is the same for all synapses, it is a sum that is kept once for all
//! (`ir::plasticity::Integral`). Both leave a synapse alone between two events.
//!
//! Bounds hold a weight in every step. To clip it once, when it is touched, gives the same only if it did not turn in between: if it
//! has one term, which keeps its sign as long as the level does, or if it goes to a fixed point. Otherwise it is stepped.

use super::linear::{Variable, split};
use crate::base::Span;
use crate::ir::plasticity::{Integral, Place};
use crate::ir::{BinaryOp, Expr, ExprId, Exprs, UnaryOp};
use std::collections::HashMap;

/// What has an equation of its own: the rate of what decays by itself, `None` for all else.
pub(super) type Moving = HashMap<u32, Option<f64>>;

/// `level` x `own` x the product of `states`, which decays with `rate`.
#[derive(Clone)]
struct Term {
    /// Numbers and what is read, levels among it.
    level: ExprId,
    /// What reads the synapse and stands still.
    own: Option<ExprId>,
    /// Variables, ascending.
    states: Vec<u32>,
    rate: f64,
}

/// `x' = rate x + terms`
pub(super) struct Solved {
    rate: f64,
    terms: Vec<Term>,
}

/// Why a variable can't wait for its next event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stepped {
    /// It is solved over a step, but follows something of the cell, time, a draw ...
    Cell(Option<u32>),
    /// ... a trace ...
    Trace(u32),
    /// ... something that grows ...
    Grows,
    /// ... or turns within its bounds.
    Bounds,
    /// No exponential solves it: it stands in a product with itself or in a function ...
    NotLinear,
    /// ... what it is multiplied with changes, with a variable or something else ...
    Rate(Option<u32>),
    /// ... it follows a variable that does more than decay ...
    Follows(u32),
    /// ... or a function of what changes.
    NoProduct,
}

impl Stepped {
    /// In words, with names for variables and for what is read of the cell.
    pub fn words<'n>(self, variable: &dyn Fn(u32) -> &'n str, read: &dyn Fn(u32) -> &'n str) -> String {
        match self {
            Stepped::Cell(Some(k)) => format!("it follows the cell, by `{}`", read(k)),
            Stepped::Cell(None) => "it follows the cell, by time or chance".to_string(),
            Stepped::Trace(k) => format!("it follows a trace, `{}`", variable(k)),
            Stepped::Grows => "what it follows grows".to_string(),
            Stepped::Bounds => "within its bounds it may turn between events".to_string(),
            Stepped::NotLinear => "its equation is not linear in it".to_string(),
            Stepped::Rate(Some(k)) => format!("the rate of its decay changes with `{}`", variable(k)),
            Stepped::Rate(None) => "the rate of its decay is no constant".to_string(),
            Stepped::Follows(k) => format!("it follows `{}`, whose equation is no mere decay", variable(k)),
            Stepped::NoProduct => "a term of its equation is no product of what decays".to_string(),
        }
    }
}

pub(super) fn moving(x: &mut Exprs, equations: &[(u32, ExprId, Span)]) -> Moving {
    let mut rate = |k: u32, rhs: ExprId| {
        let l = split(x, rhs, &|v| v == Variable::State(k)).filter(|l| l.rest.is_none())?;
        x.as_const(*l.coefficients.get(&Variable::State(k))?)
    };
    equations.iter().map(|(k, rhs, _)| (*k, rate(*k, *rhs))).collect()
}

/// The equation of variable `k` as a sum of exponentials, or why it is none.
pub(super) fn solve(x: &mut Exprs, k: u32, rhs: ExprId, moving: &Moving) -> Result<Solved, Stepped> {
    let own = split(x, rhs, &|v| v == Variable::State(k)).ok_or(Stepped::NotLinear)?;
    let rate = match own.coefficients.get(&Variable::State(k)) {
        None => 0.0,
        Some(c) => x.as_const(*c).ok_or_else(|| Stepped::Rate(first_state(x, *c, &|_| true)))?,
    };
    let terms = match own.rest {
        Some(rest) => expand(x, rest, moving).ok_or_else(|| no_terms(x, rest, moving))?,
        None => Vec::new(),
    };
    Ok(Solved { rate, terms: gathered(x, terms) })
}

/// Why an expression is no sum of products of what decays.
fn no_terms(x: &Exprs, e: ExprId, moving: &Moving) -> Stepped {
    first_state(x, e, &|k| moving.get(&k) == Some(&None)).map_or(Stepped::NoProduct, Stepped::Follows)
}

/// The first variable in an expression that `is` names.
fn first_state(x: &Exprs, e: ExprId, is: &dyn Fn(u32) -> bool) -> Option<u32> {
    let mut found = None;
    x.any(e, &mut |e| {
        found = match e {
            Expr::State(k) if is(*k) => Some(*k),
            _ => None,
        };
        found.is_some()
    });
    found
}

impl Solved {
    /// Whether the variable may wait for its next event: `Ok(true)` if it then takes up integrals of levels, or why not.
    pub(super) fn waits(&self, x: &Exprs, places: &[Place], levels: &[bool], bounded: bool) -> Result<bool, Stepped> {
        let foreign = |e: &Expr| match e {
            Expr::Read(k) if !levels.get(*k as usize).is_some_and(|l| *l) => Some(Stepped::Cell(Some(*k))),
            Expr::Time | Expr::Uniform => Some(Stepped::Cell(None)),
            _ => None,
        };
        let trace = |k: u32| places.get(k as usize).is_none_or(|p| *p != Place::Synapse);
        let mut integrates = false;
        for t in &self.terms {
            let mut found = t.states.iter().find(|k| trace(**k)).map(|k| Stepped::Trace(*k));
            if let Some(own) = t.own {
                x.any(own, &mut |e| {
                    found = found.or(match e {
                        Expr::State(k) if trace(*k) => Some(Stepped::Trace(*k)),
                        _ => None,
                    });
                    false
                });
                x.any(own, &mut |e| {
                    found = found.or(match e {
                        Expr::Read(_) => foreign(e).or(Some(Stepped::NoProduct)),
                        other => foreign(other),
                    });
                    false
                });
            }
            x.any(t.level, &mut |e| {
                found = found.or(foreign(e));
                false
            });
            if let Some(why) = found {
                return Err(why);
            }
            if t.varies(x) {
                integrates = true;
                if t.rate > 0.0 || self.rate > 0.0 {
                    return Err(Stepped::Grows);
                }
            }
        }
        let one_way = self.rate == 0.0 && self.terms.len() == 1;
        let settles = self.terms.iter().all(|t| t.rate == 0.0 && !t.varies(x));
        if bounded && !one_way && !settles { Err(Stepped::Bounds) } else { Ok(integrates) }
    }

    /// The value after one step; what is read holds over it.
    pub(super) fn over_step(self, x: &mut Exprs, old: ExprId, dt: f64) -> ExprId {
        let time = x.real(dt);
        let mut sum = self.kept(x, old, time);
        for t in &self.terms {
            let c = t.at_start(x);
            let factor = self.factor(x, t.rate, time);
            let term = x.mul(c, factor);
            sum = x.add(sum, term);
        }
        sum
    }

    /// The value after the time since the last event. Adds the integrals that it takes.
    pub(super) fn over_time(
        self,
        x: &mut Exprs,
        old: ExprId,
        dt: f64,
        guarded: bool,
        integrals: &mut Vec<Integral>,
    ) -> ExprId {
        let (elapsed, step) = (x.intern(Expr::Elapsed), x.real(dt));
        let mut sum = self.kept(x, old, elapsed);
        for t in &self.terms {
            let term = if t.varies(x) {
                let over_step = self.factor(x, t.rate, step);
                let value = x.mul(t.level, over_step);
                let integral = Integral { value, decay: t.rate, own: self.rate, guarded };
                let known = integrals.iter().position(|i| *i == integral);
                let at = known.unwrap_or_else(|| {
                    integrals.push(integral);
                    integrals.len() - 1
                });
                let integral = x.intern(Expr::Integral(at as u32));
                let one = x.real(1.0);
                let gain = Term { level: one, ..t.clone() }.at_start(x);
                x.mul(gain, integral)
            } else {
                let c = t.at_start(x);
                let factor = self.factor(x, t.rate, elapsed);
                x.mul(c, factor)
            };
            sum = x.add(sum, term);
        }
        sum
    }

    /// What is left of the old value.
    fn kept(&self, x: &mut Exprs, old: ExprId, time: ExprId) -> ExprId {
        let decay = self.decay(x, time);
        x.mul(decay, old)
    }

    fn decay(&self, x: &mut Exprs, time: ExprId) -> ExprId {
        let rate = x.real(self.rate);
        let exponent = x.mul(rate, time);
        x.unary(UnaryOp::Exp, exponent)
    }

    /// The integral of exp(a (T - u)) exp(r u) over u = 0 .. T, a being the variable's own rate.
    fn factor(&self, x: &mut Exprs, r: f64, time: ExprId) -> ExprId {
        let difference = x.real(r - self.rate);
        let exponent = x.mul(difference, time);
        let relative = x.unary(UnaryOp::Exprel, exponent);
        let decay = self.decay(x, time);
        let factor = x.mul(time, decay);
        x.mul(factor, relative)
    }
}

impl Term {
    /// Whether it changes in other ways than by decaying.
    fn varies(&self, x: &Exprs) -> bool {
        x.any(self.level, &mut |e| matches!(e, Expr::Read(_)))
    }

    fn at_start(&self, x: &mut Exprs) -> ExprId {
        let mut product = match self.own {
            Some(own) => x.mul(self.level, own),
            None => self.level,
        };
        for k in &self.states {
            let state = x.intern(Expr::State(*k));
            product = x.mul(product, state);
        }
        product
    }
}

/// Terms that differ in their level alone made one: `(M - b) e` has one sign as long as `M - b` has.
fn gathered(x: &mut Exprs, terms: Vec<Term>) -> Vec<Term> {
    let mut out: Vec<Term> = Vec::new();
    for t in terms {
        match out.iter_mut().find(|o| o.own == t.own && o.states == t.states) {
            Some(o) => o.level = x.add(o.level, t.level),
            None => out.push(t),
        }
    }
    out
}

/// An expression as a sum of terms; `None` where it is no such sum.
fn expand(x: &mut Exprs, e: ExprId, moving: &Moving) -> Option<Vec<Term>> {
    let moves = |x: &Exprs, e: ExprId| x.any(e, &mut |e| matches!(e, Expr::State(k) if moving.contains_key(k)));
    let one = x.real(1.0);
    if !moves(x, e) {
        let synaptic = x.any(e, &mut |e| matches!(e, Expr::State(_)));
        let reads = x.any(e, &mut |e| matches!(e, Expr::Read(_)));
        let opens = match x.get(e) {
            Expr::Unary(UnaryOp::Neg, _) => true,
            Expr::Binary(op, ..) => matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div),
            _ => false,
        };
        if !synaptic {
            return Some(vec![Term { level: e, own: None, states: Vec::new(), rate: 0.0 }]);
        }
        if !reads || !opens {
            return Some(vec![Term { level: one, own: Some(e), states: Vec::new(), rate: 0.0 }]);
        }
    }
    match x.get(e).clone() {
        Expr::State(k) => {
            let rate = (*moving.get(&k)?)?;
            Some(vec![Term { level: one, own: None, states: vec![k], rate }])
        }
        Expr::Unary(UnaryOp::Neg, a) => {
            let a = expand(x, a, moving)?;
            Some(negated(x, a))
        }
        Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
            let mut a = expand(x, a, moving)?;
            let b = expand(x, b, moving)?;
            a.extend(if op == BinaryOp::Sub { negated(x, b) } else { b });
            Some(a)
        }
        Expr::Binary(BinaryOp::Mul, a, b) => {
            let (a, b) = (expand(x, a, moving)?, expand(x, b, moving)?);
            let mut out = Vec::new();
            for t in &a {
                for u in &b {
                    let mut states = [t.states.as_slice(), &u.states].concat();
                    states.sort_unstable();
                    let own = match (t.own, u.own) {
                        (Some(t), Some(u)) => Some(x.mul(t, u)),
                        (t, u) => t.or(u),
                    };
                    out.push(Term { level: x.mul(t.level, u.level), own, states, rate: t.rate + u.rate });
                }
            }
            (out.len() <= 16).then_some(out)
        }
        Expr::Binary(BinaryOp::Div, a, b) if !moves(x, b) => {
            let synaptic = x.any(b, &mut |e| matches!(e, Expr::State(_)));
            let mut out = expand(x, a, moving)?;
            for t in &mut out {
                if synaptic {
                    t.own = Some(x.div(t.own.unwrap_or(one), b));
                } else {
                    t.level = x.div(t.level, b);
                }
            }
            Some(out)
        }
        _ => None,
    }
}

fn negated(x: &mut Exprs, mut terms: Vec<Term>) -> Vec<Term> {
    terms.iter_mut().for_each(|t| t.level = x.unary(UnaryOp::Neg, t.level));
    terms
}
