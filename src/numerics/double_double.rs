//! Numbers of 106 bits as unevaluated sums of two `f64` (Dekker 1971), just enough for small matrices.
//!
//! Propagators are computed once and used billions of times, and differences of nearly equal exponentials (equal time
//! constants) cancel; twice the working precision removes that worry without case distinctions.

use std::ops::{Add, Mul};

/// `high + low`, where `low` is below half a unit in the last place of `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DoubleDouble {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl DoubleDouble {
    pub(super) const ZERO: DoubleDouble = DoubleDouble { high: 0.0, low: 0.0 };
    pub(super) const ONE: DoubleDouble = DoubleDouble { high: 1.0, low: 0.0 };

    #[inline(always)]
    pub(super) fn new(value: f64) -> DoubleDouble {
        DoubleDouble { high: value, low: 0.0 }
    }

    /// The exact product of two numbers.
    #[inline(always)]
    pub(super) fn product(a: f64, b: f64) -> DoubleDouble {
        let high = a * b;
        DoubleDouble { high, low: a.mul_add(b, -high) }
    }

    #[inline(always)]
    fn renormalised(high: f64, low: f64) -> DoubleDouble {
        let sum = high + low;
        DoubleDouble { high: sum, low: low - (sum - high) }
    }

    /// Divides by a small whole number.
    #[inline(always)]
    pub(super) fn divided_by(self, divisor: f64) -> DoubleDouble {
        let quotient = self.high / divisor;
        let rest = (-quotient).mul_add(divisor, self.high) + self.low;
        DoubleDouble::renormalised(quotient, rest / divisor)
    }

    /// Exact: `factor` is a power of two.
    #[inline(always)]
    pub(super) fn scaled(self, factor: f64) -> DoubleDouble {
        DoubleDouble { high: self.high * factor, low: self.low * factor }
    }

    #[inline(always)]
    pub(super) fn rounded(self) -> f64 {
        self.high + self.low
    }
}

impl Add for DoubleDouble {
    type Output = DoubleDouble;

    #[inline(always)]
    fn add(self, other: DoubleDouble) -> DoubleDouble {
        let sum = self.high + other.high;
        let back = sum - self.high;
        let error = (self.high - (sum - back)) + (other.high - back);
        // The low parts get an error-free sum of their own: terms of opposite sign occur.
        let low = self.low + other.low;
        let low_back = low - self.low;
        let low_error = (self.low - (low - low_back)) + (other.low - low_back);
        let first = DoubleDouble::renormalised(sum, error + low);
        DoubleDouble::renormalised(first.high, first.low + low_error)
    }
}

impl Mul for DoubleDouble {
    type Output = DoubleDouble;

    #[inline(always)]
    fn mul(self, other: DoubleDouble) -> DoubleDouble {
        let product = DoubleDouble::product(self.high, other.high);
        DoubleDouble::renormalised(product.high, product.low + self.high.mul_add(other.low, self.low * other.high))
    }
}
