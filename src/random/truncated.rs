//! Normal numbers within bounds.

use super::Stream;
use crate::numerics::math::exp;

/// Bounds about the mean that are wider than this hold a draw often enough: proposals from the normal distribution itself are
/// then accepted at least as often as uniform ones (Robert 1995).
const WIDE: f64 = 2.506628274631; // sqrt(2 pi)

/// Whether [`Stream::normal_within`] tries plain normal numbers, one after another, until one lies inside.
#[must_use]
pub fn tries_plain(low: f64, high: f64) -> bool {
    low <= 0.0 && high >= 0.0 && high - low >= WIDE
}

impl Stream {
    /// A normal number with mean 0 and variance 1, given that it lies within `low ..= high`.
    ///
    /// NaN unless `low <= high`. Rejection from the normal, a uniform or a shifted exponential distribution, whichever is
    /// accepted more often (Robert, Statistics and Computing 5, 1995), so that bounds far out in a tail cost no more.
    pub fn normal_within(&mut self, low: f64, high: f64) -> f64 {
        if !(low <= high) || low == f64::INFINITY || high == f64::NEG_INFINITY {
            return f64::NAN;
        }
        if tries_plain(low, high) {
            loop {
                let z = self.normal();
                if (low..=high).contains(&z) {
                    return z;
                }
            }
        }
        if low > 0.0 {
            return self.normal_above(low, high);
        }
        if high < 0.0 {
            return -self.normal_above(-high, -low);
        }
        // Narrow about the mean.
        self.normal_by_uniform(low, high, 0.0)
    }

    /// For 0 < low <= high.
    fn normal_above(&mut self, low: f64, high: f64) -> f64 {
        let root = (low * low + 4.0).sqrt();
        let slope = 0.5 * (low + root);
        // Beyond this width the exponential is the better proposal (Robert, equation 2.2).
        let turn = 2.0 / (low + root) * exp(0.5 + 0.25 * (low * low - low * root));
        if high - low <= turn {
            return self.normal_by_uniform(low, high, low);
        }
        loop {
            let z = low + self.exponential() / slope;
            let d = z - slope;
            if self.uniform_open() <= exp(-0.5 * d * d) && z <= high {
                return z;
            }
        }
    }

    /// `mode` is where the density is largest within the bounds.
    fn normal_by_uniform(&mut self, low: f64, high: f64, mode: f64) -> f64 {
        loop {
            let z = (low + (high - low) * self.uniform_open()).clamp(low, high);
            if self.uniform_open() <= exp(0.5 * (mode - z) * (mode + z)) {
                return z;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, StreamKey};

    #[test]
    fn moments_are_those_of_the_law() {
        // Mean and variance by scipy.stats.truncnorm(low, high).
        let cases = [
            (-1.9333, 6.0, 0.063241, 0.873737),
            (-1.0, 0.5, -0.206631, 0.172773),
            (0.5, 9.0, 1.141078, 0.268480),
            (1.0, 1.2, 1.096341, 0.003321),
            (6.0, f64::INFINITY, 6.158483, 0.023988),
            (f64::NEG_INFINITY, -2.0, -2.373216, 0.114279),
        ];
        for (k, (low, high, mean, variance)) in cases.into_iter().enumerate() {
            let mut s = Stream::new(StreamKey::new(1, "net.E", Purpose::Delay), k as u64);
            let n = 100_000;
            let values: Vec<f64> = (0..n).map(|_| s.normal_within(low, high)).collect();
            assert!(values.iter().all(|z| (low..=high).contains(z)), "{low} .. {high}");
            let m = values.iter().sum::<f64>() / f64::from(n);
            let v = values.iter().map(|z| (z - m) * (z - m)).sum::<f64>() / f64::from(n);
            // Five standard errors of the mean. That of the variance is 0.9 % where the law is nearly exponential, the longest
            // tail of these, so the bound is more than four of them.
            assert!((m - mean).abs() < 5.0 * (variance / f64::from(n)).sqrt() + 2e-6, "{low} .. {high}: mean {m}");
            assert!((v / variance - 1.0).abs() < 0.04, "{low} .. {high}: variance {v}");
        }
    }

    #[test]
    fn bounds_that_hold_nothing_give_nan() {
        let mut s = Stream::new(StreamKey::new(1, "net.E", Purpose::Delay), 0);
        assert!(s.normal_within(1.0, -1.0).is_nan());
        assert!(s.normal_within(f64::NAN, 1.0).is_nan());
        assert!(s.normal_within(f64::INFINITY, f64::INFINITY).is_nan());
        assert_eq!(s.normal_within(3.0, 3.0), 3.0);
        assert_eq!(s.normal_within(0.0, 0.0), 0.0);
    }
}
