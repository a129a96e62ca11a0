//! Single precision: what [`Dynamics::single`] means.
//!
//! An expression is *single* if it reads anything that differs between cells: a state, a param with a value for each cell, an arrival,
//! a sum over a continuous projection, a draw, whether the cell is refractory, or what such an expression was before. All others
//! (time, constants, params with one value, and what follows from these) are computed in double precision. A single operation
//! rounds its operands and its result to single precision; `exp` and `exprel` have kernels of their own, other elementary
//! functions are computed in double precision between the two roundings. What is assigned to a state is rounded, too, and at the end of a step a state whose magnitude is below [`SMALLEST`]
//! is 0: a value that decays would come to the numbers that processors handle slowly. Spikes that arrive with different weights
//! are summed in double precision, as are the sums of continuous projections, and what a synapse learns.

use super::expr::{BinaryOp, Expr, ExprId, UnaryOp};
use super::network::{Derived, Dynamics, ParamKind};
use crate::numerics::math;

/// 2^-100, far above where single precision loses digits (2^-126) and far below what any unit of the language makes of a quantity.
pub const SMALLEST: f64 = 1.0 / (1_u128 << 100) as f64;

/// To the nearest number of single precision.
pub fn round(x: f64) -> f64 {
    f64::from(x as f32)
}

/// What a state is at the end of a step: 0 where it is next to nothing.
pub fn settle(x: f64) -> f64 {
    let x = round(x);
    if x.abs() < SMALLEST { 0.0 } else { x }
}

/// A uniform number of [0, 1) cut to the 24 bits that single precision holds: rounding would make 1 of the largest.
pub fn uniform(u: f64) -> f64 {
    const BITS: f64 = (1 << 24) as f64;
    (u * BITS).floor() / BITS
}

impl UnaryOp {
    /// In single precision, of any number.
    pub fn compute_single(self, a: f64) -> f64 {
        match self {
            UnaryOp::Exp => f64::from(math::exp_single(a as f32)),
            UnaryOp::Exprel => f64::from(math::exprel_single(a as f32)),
            _ => round(self.compute(round(a))),
        }
    }

    /// In single precision, of every element.
    pub fn compute_singles(self, x: &mut [f32]) {
        match self {
            UnaryOp::Exp => math::exp_single_batch(x),
            UnaryOp::Exprel => math::exprel_single_batch(x),
            UnaryOp::Expm1 => math::expm1_batch_f32(x),
            UnaryOp::Ln => math::ln_batch_f32(x),
            UnaryOp::Ln1p => math::ln1p_batch_f32(x),
            UnaryOp::Log2 => math::log2_batch_f32(x),
            UnaryOp::Log10 => math::log10_batch_f32(x),
            UnaryOp::Sin => math::sin_batch_f32(x),
            UnaryOp::Cos => math::cos_batch_f32(x),
            UnaryOp::Tan => math::tan_batch_f32(x),
            UnaryOp::Tanh => math::tanh_batch_f32(x),
            other => x.iter_mut().for_each(|v| *v = other.compute_single(f64::from(*v)) as f32),
        }
    }
}

impl BinaryOp {
    /// In single precision, of any numbers. Double precision has more than twice the digits, so rounding its sums, products and quotients once
    /// more gives those of single precision.
    pub fn compute_single(self, a: f64, b: f64) -> f64 {
        round(self.compute(round(a), round(b)))
    }
}

impl Dynamics {
    /// For each param, whether every cell has a value of its own: a setting may address single cells, so what can be set has.
    pub fn per_neuron(&self) -> Vec<bool> {
        let mut each: Vec<bool> =
            self.params.iter().map(|p| p.settable || matches!(p.kind, ParamKind::PerNeuron(_))).collect();
        // Derived params may read derived ones: repeat until nothing changes.
        loop {
            let mut changed = false;
            for (k, p) in self.params.iter().enumerate() {
                let ParamKind::Derived(derived) = &p.kind else { continue };
                let roots: Vec<ExprId> = match derived {
                    Derived::Expr(e) => vec![*e],
                    Derived::Propagator { system, .. }
                    | Derived::Integral { system, .. }
                    | Derived::Noise { system, .. } => self
                        .systems
                        .get(*system as usize)
                        .map(|s| s.a.iter().chain(&s.g).copied().collect())
                        .unwrap_or_default(),
                };
                let reads = |e: &Expr| matches!(e, Expr::Param(j) if each.get(*j as usize) == Some(&true));
                if !each[k] && roots.iter().any(|r| self.exprs.any(*r, &mut |e| reads(e))) {
                    each[k] = true;
                    changed = true;
                }
            }
            if !changed {
                return each;
            }
        }
    }

    /// For each param, whether it is held in single precision.
    pub fn narrow_params(&self) -> Vec<bool> {
        if self.single { self.per_neuron() } else { vec![false; self.params.len()] }
    }

    /// What a step computes of a cell, as it is held.
    pub fn narrowed(&self, x: f64) -> f64 {
        if self.single { round(x) } else { x }
    }

    /// A value as a state holds it between steps.
    pub fn settled(&self, x: f64) -> f64 {
        if self.single { settle(x) } else { x }
    }

    /// For each expression, whether it is single; none is where the dynamics are not.
    pub fn singles(&self) -> Vec<bool> {
        let mut out = vec![false; self.exprs.len()];
        if self.single {
            let each = self.narrow_params();
            // Children stand before their parents.
            for (id, e) in self.exprs.iter() {
                out[id.0 as usize] = match e {
                    Expr::State(_) | Expr::Arrival | Expr::Coupled(_) | Expr::Noise(_) | Expr::Uniform | Expr::Held => {
                        true
                    }
                    Expr::Param(k) => each.get(*k as usize) == Some(&true),
                    _ => any_child(e, &out),
                };
            }
        }
        out
    }
}

fn any_child(e: &Expr, single: &[bool]) -> bool {
    let mut any = false;
    e.children(&mut |c: ExprId| any |= single[c.0 as usize]);
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every kind, subnormal ones among them.
    fn numbers(count: usize) -> Vec<f32> {
        let mut state = 88172645463325252_u64;
        let mut out = vec![0.0, -0.0, 1.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY, f32::NAN, 1e-45, -3e-42];
        while out.len() < count {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let any = f32::from_bits(state as u32);
            out.push(if state >> 60 > 7 { any } else { (state >> 40) as f32 / 1e6 });
        }
        out
    }

    #[test]
    fn double_precision_rounded_is_single_precision() {
        let all = numbers(4000);
        let same = |a: f64, b: f32| a.to_bits() == f64::from(b).to_bits() || (a.is_nan() && b.is_nan());
        for pair in all.windows(2).chain(all.chunks(2)) {
            let [a, b] = [pair[0], pair[pair.len() - 1]];
            let (x, y) = (f64::from(a), f64::from(b));
            for (op, expected) in
                [(BinaryOp::Add, a + b), (BinaryOp::Sub, a - b), (BinaryOp::Mul, a * b), (BinaryOp::Div, a / b)]
            {
                assert!(same(op.compute_single(x, y), expected), "{op:?} of {a:e} and {b:e}");
            }
            assert!(same(UnaryOp::Sqrt.compute_single(x), a.sqrt()), "sqrt of {a:e}");
        }
    }

    #[test]
    fn rows_and_numbers_agree() {
        use UnaryOp::*;
        let all = numbers(5000);
        for op in [Exp, Expm1, Exprel, Ln, Ln1p, Log2, Log10, Sin, Cos, Tan, Tanh, Abs, Floor] {
            let mut row = all.clone();
            op.compute_singles(&mut row);
            for (x, found) in all.iter().zip(row) {
                let expected = op.compute_single(f64::from(*x)) as f32;
                let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                assert!(same, "{op:?} of {x:e}: {found:e}, {expected:e}");
            }
        }
    }

    #[test]
    fn what_is_cut_stays_below_one() {
        assert_eq!(uniform(1.0 - 2_f64.powi(-53)), 1.0 - 2_f64.powi(-24));
        assert_eq!(uniform(0.25), 0.25);
        assert_eq!((settle(1e-31), settle(-1e-31), settle(1e-29)), (0.0, 0.0, round(1e-29)));
        assert!(settle(f64::NAN).is_nan());
    }
}
