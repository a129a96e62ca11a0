//! How likely a drawn weight or delay falls below a limit: from the distributions, without drawing.
//!
//! Known for a normal, uniform, exponential or lognormal number with fixed arguments, what is added to it and multiplied with it,
//! limits put on it, tables and columns of files; for anything else the answer is that it is not known. Draws that stand apart in
//! the text are independent.

use crate::ir::{self, BinaryOp, Expr, ExprId, Real, UnaryOp};
use crate::numerics;
use crate::script::Distribution;

/// Shares below this are of no consequence: one synapse in a million.
pub(super) const NEGLIGIBLE: f64 = 1e-6;

pub(super) struct Chance<'c> {
    pub network: &'c ir::Network,
    pub columns: &'c [Vec<f64>],
}

/// `shift + scale * X`, X of the family's standard form.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Law {
    shift: f64,
    scale: f64,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Family {
    Fixed,
    Normal,
    /// 0 .. 1
    Uniform,
    /// Mean 1.
    Exponential,
    /// Median 1, and the standard deviation of its logarithm.
    Lognormal(f64),
}

impl Law {
    fn fixed(v: f64) -> Law {
        Law { shift: v, scale: 0.0, family: Family::Fixed }
    }

    fn below(self, limit: f64) -> f64 {
        let cumulated = |x: f64| match self.family {
            Family::Fixed => f64::from(u8::from(0.0 < x)),
            Family::Normal => normal_below(x),
            Family::Uniform => x.clamp(0.0, 1.0),
            Family::Exponential => -numerics::expm1(-x.max(0.0)),
            Family::Lognormal(sigma) if x > 0.0 => normal_below(numerics::ln(x) / sigma),
            Family::Lognormal(_) => 0.0,
        };
        let x = (limit - self.shift) / self.scale;
        match self.scale {
            0.0 => f64::from(u8::from(self.shift < limit)),
            s if s > 0.0 => cumulated(x),
            _ => 1.0 - cumulated(x),
        }
    }

    fn scaled(self, by: f64) -> Law {
        Law { shift: self.shift * by, scale: self.scale * by, ..self }
    }
}

/// P(X < x) of a standard normal number, to 1e-7 (Abramowitz and Stegun 26.2.17): a share that is told in percent.
fn normal_below(x: f64) -> f64 {
    const B: [f64; 5] = [0.319_381_53, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let sum = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = numerics::exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt() * sum;
    if x < 0.0 { tail } else { 1.0 - tail }
}

impl Chance<'_> {
    /// P(value < limit); `None` where it is not known.
    pub fn below(&self, id: ExprId, limit: f64) -> Option<f64> {
        let x = &self.network.build;
        if let Some(law) = self.law(id) {
            return Some(law.below(limit));
        }
        let share = |values: &[f64]| {
            (!values.is_empty()).then(|| values.iter().filter(|v| **v < limit).count() as f64 / values.len() as f64)
        };
        match x.get(id) {
            Expr::Unary(UnaryOp::Neg, a) => Some(1.0 - self.below(*a, -limit)?),
            Expr::Binary(BinaryOp::Max, a, b) => Some(self.below(*a, limit)? * self.below(*b, limit)?),
            Expr::Binary(BinaryOp::Min, a, b) => {
                Some(1.0 - (1.0 - self.below(*a, limit)?) * (1.0 - self.below(*b, limit)?))
            }
            Expr::Binary(BinaryOp::Add, a, b) => match (x.as_const(*a), x.as_const(*b)) {
                (Some(c), _) => self.below(*b, limit - c),
                (_, Some(c)) => self.below(*a, limit - c),
                _ => None,
            },
            Expr::Binary(BinaryOp::Sub, a, b) => match (x.as_const(*a), x.as_const(*b)) {
                (Some(c), _) => Some(1.0 - self.below(*b, c - limit)?),
                (_, Some(c)) => self.below(*a, limit + c),
                _ => None,
            },
            Expr::Binary(op @ (BinaryOp::Mul | BinaryOp::Div), a, b) => match (x.as_const(*a), x.as_const(*b)) {
                (Some(c), _) if *op == BinaryOp::Mul && c > 0.0 => self.below(*b, limit / c),
                (Some(c), _) if *op == BinaryOp::Mul && c < 0.0 => Some(1.0 - self.below(*b, limit / c)?),
                (_, Some(c)) if c != 0.0 => {
                    let at = if *op == BinaryOp::Mul { limit / c } else { limit * c };
                    let p = self.below(*a, at)?;
                    Some(if c > 0.0 { p } else { 1.0 - p })
                }
                // The sign of a product needs no more than the signs of its factors.
                _ if limit == 0.0 => {
                    let (p, q) = (self.below(*a, 0.0)?, self.below(*b, 0.0)?);
                    Some(p * (1.0 - q) + q * (1.0 - p))
                }
                _ => None,
            },
            Expr::Table { table, .. } => {
                let t = self.network.tables.get(*table as usize)?;
                match t.draw {
                    Some(draw) => self.below(draw, limit),
                    None => share(&t.data),
                }
            }
            Expr::Column(k) => share(self.columns.get(*k as usize)?),
            _ => None,
        }
    }

    fn law(&self, id: ExprId) -> Option<Law> {
        let fixed = |l: Law| (l.family == Family::Fixed).then_some(l.shift);
        Some(match self.network.build.get(id) {
            Expr::Const(Real(v)) => Law::fixed(*v),
            Expr::Unary(UnaryOp::Neg, a) => self.law(*a)?.scaled(-1.0),
            Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
                let (p, q) = (self.law(*a)?, self.law(*b)?);
                let q = if *op == BinaryOp::Sub { q.scaled(-1.0) } else { q };
                match (p.family, q.family) {
                    (_, Family::Fixed) => Law { shift: p.shift + q.shift, ..p },
                    (Family::Fixed, _) => Law { shift: p.shift + q.shift, ..q },
                    (Family::Normal, Family::Normal) if a != b => {
                        Law { shift: p.shift + q.shift, scale: p.scale.hypot(q.scale), family: Family::Normal }
                    }
                    _ => return None,
                }
            }
            Expr::Binary(BinaryOp::Mul, a, b) => {
                let (p, q) = (self.law(*a)?, self.law(*b)?);
                match (fixed(p), fixed(q)) {
                    (_, Some(c)) => p.scaled(c),
                    (Some(c), _) => q.scaled(c),
                    _ => return None,
                }
            }
            Expr::Binary(BinaryOp::Div, a, b) => self.law(*a)?.scaled(1.0 / fixed(self.law(*b)?)?),
            Expr::Random { distribution, args, .. } => {
                let arg = |k: usize| fixed(self.law(*args.get(k)?)?);
                match distribution {
                    Distribution::Normal => Law { shift: arg(0)?, scale: arg(1)?.abs(), family: Family::Normal },
                    Distribution::Uniform => Law { shift: arg(0)?, scale: arg(1)? - arg(0)?, family: Family::Uniform },
                    Distribution::Exponential => Law { shift: 0.0, scale: arg(0)?, family: Family::Exponential },
                    Distribution::Lognormal if arg(1)? > 0.0 => {
                        Law { shift: 0.0, scale: arg(0)?, family: Family::Lognormal(arg(1)?) }
                    }
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

/// `2.3 %`, to two digits.
pub(super) fn percent(share: f64) -> String {
    let p = 100.0 * share;
    let digits = if p >= 10.0 { 0 } else { 1 - p.log10().floor() as i32 };
    format!("{p:.*} %", digits.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream, StreamKey};

    #[test]
    fn shares_have_two_digits() {
        assert_eq!(
            [0.5, 0.023, 0.000_429, 0.999_1].map(percent),
            ["50 %".to_string(), "2.3 %".to_string(), "0.043 %".to_string(), "100 %".to_string()]
        );
    }

    /// Against as many draws as make three digits certain.
    #[test]
    fn shares_are_those_of_draws() {
        let mut network = ir::Network::default();
        let x = &mut network.build;
        let numbers = [1.0, 0.4, 2.0, -0.5].map(|v| x.real(v));
        let [one, spread, two, minus] = numbers;
        let random = |x: &mut ir::Exprs, distribution, args: &[ExprId], site| {
            x.intern(Expr::Random { distribution, args: args.to_vec(), site })
        };
        let normal = random(x, Distribution::Normal, &[one, spread], 0);
        let second = random(x, Distribution::Normal, &[minus, spread], 1);
        let uniform = random(x, Distribution::Uniform, &[minus, two], 2);
        let exponential = random(x, Distribution::Exponential, &[two], 3);
        let lognormal = random(x, Distribution::Lognormal, &[two, spread], 4);
        let zero = x.real(0.0);
        let cases = [
            normal,
            uniform,
            exponential,
            lognormal,
            x.add(normal, second),
            x.mul(normal, minus),
            x.binary(BinaryOp::Max, normal, zero),
            x.binary(BinaryOp::Min, uniform, exponential),
            x.sub(one, lognormal),
        ];
        let product = x.mul(normal, second);
        let chance = Chance { network: &network, columns: &[] };
        let x = &network.build;
        let draw = |id: ExprId, k: u64| {
            let mut values: Vec<f64> = Vec::new();
            for (_, e) in x.iter() {
                let at = |k: &ExprId| values[k.0 as usize];
                let v = match e {
                    Expr::Const(Real(v)) => *v,
                    Expr::Unary(op, a) => op.compute(at(a)),
                    Expr::Binary(op, a, b) => op.compute(at(a), at(b)),
                    Expr::Random { distribution, args, site } => {
                        let key = StreamKey::new(7, &site.to_string(), Purpose::Weight);
                        let args: Vec<f64> = args.iter().map(at).collect();
                        distribution.draw(&mut Stream::new(key, k), &args)
                    }
                    _ => f64::NAN,
                };
                values.push(v);
            }
            values[id.0 as usize]
        };
        let n = 20_000_u64;
        let share = |id: ExprId, limit: f64| (0..n).filter(|k| draw(id, *k) < limit).count() as f64 / n as f64;
        for (id, limit) in
            cases.into_iter().flat_map(|id| [-0.2, 0.0, 0.3, 1.4].map(|l| (id, l))).chain([(product, 0.0)])
        {
            let (found, want) = (chance.below(id, limit).unwrap(), share(id, limit));
            // Five standard errors of a share.
            let error = 5.0 * (found * (1.0 - found) / n as f64).sqrt() + 1e-6;
            assert!((found - want).abs() <= error, "{:?} < {limit}: {found}, drawn {want}", x.get(id));
        }
        assert_eq!(chance.below(product, 0.1), None);
    }
}
