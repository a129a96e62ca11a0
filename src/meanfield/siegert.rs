//! Firing rate of a leaky integrate-and-fire cell whose input is white noise: Siegert's formula.
//!
//! Source: Siegert (1951), Phys. Rev. 81:617; as used by Brunel (2000), J. Comput. Neurosci. 8:183, equation 21:
//! `1 / rate = t_ref + tau sqrt(pi) * integral of exp(u^2) (1 + erf u) du` from `(reset - mu) / sigma` to `(theta - mu) / sigma`,
//! with `sigma^2 = tau * sum(weight^2 * rate)`: twice the variance of the voltage without a threshold. The integrand is
//! `erfcx(-u)`, which neither overflows nor cancels below 0; above, its growing part is integrated from the top down.

use crate::numerics;
use std::sync::LazyLock;

/// sqrt(pi)
const ROOT_PI: f64 = 1.772_453_850_905_516;
/// `sqrt(2) |zeta(1/2)|`: Fourcaud and Brunel (2002), Neural Comput. 14:2057.
pub const ALPHA: f64 = 2.065_253_101_2;
/// Beyond, `exp(-y^2)` spikes per millisecond are none in the age of the universe.
const NEVER: f64 = 12.0;

/// A cell seen as a threshold element: its limits in mV, its times in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    pub theta: f64,
    pub reset: f64,
    pub t_ref: f64,
}

/// Spikes per ms at the mean `mu` (mV), noise `sigma` (mV) and membrane time constant `tau` (ms).
///
/// `filter` raises both limits, in units of sigma, for noise that a synapse has filtered: `alpha / 2 * sqrt(tau_s / tau)` to first
/// order (Fourcaud and Brunel 2002). Without noise the rate is that of the constant input. Not a number for a reset at or above
/// the threshold.
pub fn rate(cell: Threshold, mu: f64, sigma: f64, tau: f64, filter: f64) -> f64 {
    let Threshold { theta, reset, t_ref } = cell;
    if !(reset < theta) || !mu.is_finite() {
        return f64::NAN;
    }
    // So little noise changes no digit, and its quotients would overflow.
    if sigma < 1e-6 * (theta - reset) {
        if mu <= theta {
            return 0.0;
        }
        return 1.0 / (t_ref + tau * numerics::ln((mu - reset) / (mu - theta)));
    }
    let (low, high) = ((reset - mu) / sigma + filter, (theta - mu) / sigma + filter);
    if high > NEVER {
        return 0.0;
    }
    1.0 / (t_ref + tau * ROOT_PI * integral(low, high))
}

/// The integral of `erfcx(-u)` from `low` to `high`, `low < high`.
fn integral(low: f64, high: f64) -> f64 {
    let mut sum = 0.0;
    if low < 0.0 {
        // Below 0 it falls like 1 / |u|: panels may grow with the distance.
        let (mut near, far) = ((-high).max(0.0), -low);
        while near < far {
            let next = (near + 0.5 * near.max(1.0)).min(far);
            sum += panel(near, next, |_, value| value);
            near = next;
        }
    }
    if high > 0.0 {
        let end = low.max(0.0);
        let mut top = high;
        // exp(-42) of the top is below the last digit of the sum.
        while top > end && top * top > high * high - 42.0 {
            let next = (top - 0.5 / top.max(1.0)).max(end);
            sum += panel(next, top, |u, value| 2.0 * numerics::exp(u * u) - value);
            top = next;
        }
    }
    sum
}

/// Gauss-Legendre quadrature with ten points, of a function of u and `erfcx(u)`.
fn panel(a: f64, b: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    const POINTS: [(f64, f64); 5] = [
        (0.148_874_338_981_631_2, 0.295_524_224_714_752_87),
        (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
        (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
        (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
        (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
    ];
    let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
    let at: [f64; 10] = std::array::from_fn(|k| {
        let x = half * POINTS[k / 2].0;
        if k % 2 == 0 { middle - x } else { middle + x }
    });
    let values = erfcx_each(at);
    half * (0..10).map(|k| POINTS[k / 2].1 * f(at[k], values[k])).sum::<f64>()
}

/// `exp(x^2) erfc(x)` for x >= 0, to about 1e-14.
///
/// A Chebyshev series in `(x - 3.75) / (x + 3.75)` for `(1 + 2x) erfcx(x)`, which is smooth over the whole half line (Shepherd and
/// Laframboise 1981, Math. Comput. 36:249); its coefficients are taken from `erfcx_by_terms` at the first call. The sums of several numbers go
/// side by side, as each waits for itself.
fn erfcx_each<const N: usize>(x: [f64; N]) -> [f64; N] {
    const MIDDLE: f64 = 3.75;
    const TERMS: usize = 30;
    static SERIES: LazyLock<[f64; TERMS]> = LazyLock::new(|| {
        let turn = std::f64::consts::PI / TERMS as f64;
        let samples: [f64; TERMS] = std::array::from_fn(|j| {
            let y = numerics::cos((j as f64 + 0.5) * turn);
            let x = MIDDLE * (1.0 + y) / (1.0 - y);
            (1.0 + 2.0 * x) * erfcx_by_terms(x)
        });
        std::array::from_fn(|k| {
            let term = |j: usize| samples[j] * numerics::cos(k as f64 * (j as f64 + 0.5) * turn);
            (0..TERMS).map(term).sum::<f64>() * if k == 0 { 1.0 } else { 2.0 } / TERMS as f64
        })
    });
    let series = &*SERIES;
    let y = x.map(|x| (x - MIDDLE) / (x + MIDDLE));
    let (mut b, mut after) = ([0.0; N], [0.0; N]);
    for c in series[1..].iter().rev() {
        for k in 0..N {
            (b[k], after[k]) = (2.0 * y[k] * b[k] - after[k] + c, b[k]);
        }
    }
    std::array::from_fn(|k| (y[k] * b[k] - after[k] + series[0]) / (1.0 + 2.0 * x[k]))
}

/// The same below 2 from the series of `exp(x^2) erf(x)`, all of whose terms are positive; above from the continued fraction of
/// Laplace (Abramowitz and Stegun 7.1.14).
fn erfcx_by_terms(x: f64) -> f64 {
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term > 1e-17 * sum {
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        return numerics::exp(x * x) - 2.0 / ROOT_PI * sum;
    }
    let terms = if x < 4.0 { 120 } else { 40 };
    let tail = (1..=terms).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    1.0 / (ROOT_PI * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erfcx(x: f64) -> f64 {
        erfcx_each([x])[0]
    }

    /// `exp(x^2) erfc(x)` from the C library's `erfc`, and at 50 from the asymptotic series.
    #[test]
    fn erfcx_is_right_on_both_sides_of_the_seam() {
        for (x, want) in [
            (0.0, 1.0),
            (0.5, 0.615_690_344_192_925_9),
            (1.0, 0.427_583_576_155_807),
            (1.999_999_999, 0.255_395_676_5),
            (2.0, 0.255_395_676_310_505_75),
            (5.0, 0.110_704_637_733_068_6),
            (50.0, 0.011_281_536_265_323_772),
        ] {
            let tolerance = if x == 1.999_999_999 { 1e-9 } else { 1e-12 };
            assert!((erfcx(x) - want).abs() < tolerance, "erfcx({x}) = {}, not {want}", erfcx(x));
        }
        // The series is as good between the points that it goes through; beside the forms' own errors (1e-13 at the seams).
        for k in 0..2000 {
            let x = 1e-3 * f64::from(k * k);
            let (fast, slow) = (erfcx(x), erfcx_by_terms(x));
            assert!((fast - slow).abs() < 3e-13 * slow, "erfcx({x}) = {fast}, not {slow}");
        }
        // No step at the seams of the two forms and of the two lengths of the fraction.
        for seam in [2.0, 4.0] {
            let (a, b) = (erfcx_by_terms(seam - 1e-9), erfcx_by_terms(seam + 1e-9));
            assert!(a > b && a - b < 1e-9, "{a} {b}");
        }
    }

    const CELL: Threshold = Threshold { theta: 20.0, reset: 10.0, t_ref: 2.0 };

    /// Simpson's rule over the plain integrand, where that neither overflows nor cancels.
    fn plain(mu: f64, sigma: f64) -> f64 {
        let (a, b) = ((CELL.reset - mu) / sigma, (CELL.theta - mu) / sigma);
        let n = 20_000;
        let h = (b - a) / f64::from(n);
        let f = |u: f64| if u <= 0.0 { erfcx(-u) } else { 2.0 * (u * u).exp() - erfcx(u) };
        let inner: f64 = (1..n).map(|k| f(a + f64::from(k) * h) * if k % 2 == 1 { 4.0 } else { 2.0 }).sum();
        1.0 / (CELL.t_ref + 20.0 * ROOT_PI * (f(a) + inner + f(b)) * h / 3.0)
    }

    #[test]
    fn the_panels_agree_with_a_fine_grid() {
        for (mu, sigma) in [(15.0, 5.0), (19.0, 2.0), (25.0, 3.0), (10.0, 4.0), (60.0, 8.0), (0.0, 6.0)] {
            let (fast, slow) = (rate(CELL, mu, sigma, 20.0, 0.0), plain(mu, sigma));
            assert!((fast - slow).abs() < 1e-9 * slow, "{mu} {sigma}: {fast} is not {slow}");
        }
    }

    #[test]
    fn the_limits_are_right() {
        let constant = |mu: f64| 1.0 / (2.0 + 20.0 * ((mu - 10.0) / (mu - 20.0)).ln());
        // Little noise: the rate of the constant input, from the formula as from the limit.
        let near = rate(CELL, 30.0, 1e-3, 20.0, 0.0);
        assert!((near - constant(30.0)).abs() < 1e-6 * near);
        assert_eq!(rate(CELL, 30.0, 0.0, 20.0, 0.0), constant(30.0));
        assert_eq!(rate(CELL, 19.9, 0.0, 20.0, 0.0), 0.0);
        assert_eq!(rate(CELL, -1e6, 1.0, 20.0, 0.0), 0.0);
        // Strong input: the refractory time alone.
        assert!((rate(CELL, 1e9, 10.0, 20.0, 0.0) - 0.5).abs() < 1e-6);
        assert!(rate(Threshold { reset: 20.0, ..CELL }, 30.0, 1.0, 20.0, 0.0).is_nan());
        // Filtered noise fires less below threshold.
        assert!(rate(CELL, 15.0, 5.0, 20.0, 0.3) < rate(CELL, 15.0, 5.0, 20.0, 0.0));
    }
}
