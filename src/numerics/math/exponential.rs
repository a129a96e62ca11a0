//! Kernels of the exponential family: exp, expm1, exprel and the hyperbolic functions.
//!
//! x = n ln 2 + r with |r| <= ln(2)/2 (Cody and Waite's two-part reduction, exact here thanks to fused multiply-add),
//! then a near-minimax polynomial for e^r, then an exact scaling by 2^n. Branch-free, so that loops over them
//! vectorise. Differences with cancellation (expm1 and what is built on it) carry a low part along.

use super::logarithm::{LN2, LN2_TAIL};

/// 1.5 * 2^52: adding it rounds to an integer, which then sits in the low bits of the sum.
pub(super) const ROUND: f64 = 6755399441055744.0;

/// Coefficients of (e^r - 1 - r - r^2/2) / r^3, lowest first; the error relative to e^r is below 2^-61.
const TAIL: [f64; 10] = [
    0.16666666666666669,
    0.041666666666666664,
    0.008333333333330062,
    0.0013888888888886552,
    0.00019841269863053618,
    2.4801587317144498e-05,
    2.7557268459997064e-06,
    2.755728296954995e-07,
    2.510038549551032e-08,
    2.0911236630261545e-09,
];

/// Defines Horner's scheme for a type of numbers, lowest coefficient first, and a clamp to bounds.
macro_rules! defines {
    ($number:ty) => {
        #[inline(always)]
        pub(super) fn polynomial<const N: usize>(x: $number, coefficients: &[$number; N]) -> $number {
            let mut sum = coefficients[N - 1];
            let mut i = N - 1;
            while i > 0 {
                i -= 1;
                sum = sum.mul_add(x, coefficients[i]);
            }
            sum
        }

        #[inline(always)]
        fn clamp(x: $number, low: $number, high: $number) -> $number {
            // NaN fails both comparisons and stays.
            let x = if x > high { high } else { x };
            if x < low { low } else { x }
        }
    };
}
pub(super) use defines;

defines!(f64);

/// 2^n for an integer -1023 < n < 1024.
#[inline(always)]
pub(super) fn power_of_two(n: f64) -> f64 {
    f64::from_bits((n + (ROUND + 1023.0)).to_bits() << 52)
}

/// `a + b` with its rounding error, for |a| >= |b| or a = 0.
#[inline(always)]
pub(super) fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// `a + b` with its rounding error (Knuth).
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let back = sum - a;
    (sum, (a - (sum - back)) + (b - back))
}

/// (nh + nl) / (dh + dl), rounded about once.
#[inline(always)]
pub(super) fn ratio(nh: f64, nl: f64, dh: f64, dl: f64) -> f64 {
    let (quotient, correction) = ratio_parts(nh, nl, dh, dl);
    quotient + correction
}

/// (nh + nl) / (dh + dl) as a quotient and its correction.
#[inline(always)]
pub(super) fn ratio_parts(nh: f64, nl: f64, dh: f64, dl: f64) -> (f64, f64) {
    let inverse = 1.0 / dh;
    let quotient = nh * inverse;
    let rest = (-quotient).mul_add(dh, nh) + (-quotient).mul_add(dl, nl);
    (quotient, rest * inverse)
}

/// n and r with x = n ln 2 + r + r_low.
#[inline(always)]
fn reduce(x: f64) -> (f64, f64, f64) {
    let n = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    let high = (-n).mul_add(LN2, x);
    let r = (-n).mul_add(LN2_TAIL, high);
    (n, r, (-n).mul_add(LN2_TAIL, high - r))
}

/// `mantissa * 2^n` for |n| < 2046, in two steps so that the result may overflow or become subnormal.
#[inline(always)]
fn scale(mantissa: f64, n: f64) -> f64 {
    let half = n.mul_add(0.5, ROUND) - ROUND;
    mantissa * power_of_two(half) * power_of_two(n - half)
}

/// Beyond these bounds the result has long since saturated.
const SATURATED: f64 = 1000.0;

#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = clamp(x, -SATURATED, SATURATED);
    let (n, r, _) = reduce(x);
    let tail = (r * r) * polynomial(r, &TAIL).mul_add(r, 0.5);
    scale(1.0 + (r + tail), n)
}

/// e^(x + low) for |low| << 1.
#[inline(always)]
pub(super) fn exp_parts(x: f64, low: f64) -> f64 {
    let saturated = x.abs() >= SATURATED;
    let x = clamp(x, -SATURATED, SATURATED);
    let low = if saturated { 0.0 } else { low };
    let (n, r, r_low) = reduce(x);
    let tail = (r * r) * polynomial(r, &TAIL).mul_add(r, 0.5);
    // e^(r + low) = e^r + low e^r, with e^r = 1 + r + tail.
    let low = r_low + low;
    let (sum, rest) = fast_two_sum(1.0, r);
    scale(sum + (rest + low.mul_add(r + tail, tail + low)), n)
}

/// 2^-16, the factor of `expm1_parts`.
const DOWN: f64 = 1.0 / 65536.0;
const UP: f64 = 65536.0;
/// Largest argument that `expm1_parts` resolves: past the point where (e^x - 1) / x overflows.
const EXPM1_HIGH: f64 = 720.0;
const EXPM1_LOW: f64 = -60.0;

/// (e^x - 1) * 2^-16 as an unevaluated sum of two numbers. The factor leaves room for quotients whose value is finite
/// although e^x is not. Arguments saturate at -60 (where the value is -1 but for 1e-26) and 720.
#[inline(always)]
fn expm1_parts(x: f64) -> (f64, f64) {
    let (n, r, r_low) = reduce(clamp(x, EXPM1_LOW, EXPM1_HIGH));
    // Next to n = 1 the first two terms cancel to a third of their size, so the third keeps its rounding errors as well.
    let square = r * r;
    let low = r.mul_add(r, -square).mul_add(0.5, r_low);
    let cubic = (square * r).mul_add(polynomial(r, &TAIL), low);
    let power = power_of_two(n - 16.0);
    let (less, less_low) = two_sum(power, -DOWN);
    let (first, first_low) = two_sum(less, power * r);
    let (second, second_low) = fast_two_sum(first, 0.5 * power * square);
    fast_two_sum(second, second_low + (first_low + power.mul_add(cubic, less_low)))
}

/// Below this magnitude x^2/6 is lost in rounding: sin, tan, sinh, tanh, atan of x are x.
pub(super) const TINY: f64 = 1.0 / 134217728.0;

#[inline(always)]
pub(crate) fn expm1(x: f64) -> f64 {
    let (high, low) = expm1_parts(x);
    let value = (high + low) * UP;
    if x.abs() < TINY * TINY { x } else { value }
}

/// Up to here n = 0 and r = x in `reduce`.
const NEAR: f64 = 0.34;

/// Whether `exprel_near` is `exprel`.
#[inline(always)]
pub(super) fn is_near(x: f64) -> bool {
    x.abs() <= NEAR
}

/// (e^x - 1) / x close to 0, where no division is needed.
#[inline(always)]
pub(super) fn exprel_near(x: f64) -> f64 {
    polynomial(x, &TAIL).mul_add(x, 0.5).mul_add(x, 1.0)
}

#[inline(always)]
pub(crate) fn exprel(x: f64) -> f64 {
    // e^x - 1 = 2^n (e^r - 1) + (2^n - 1), times 2^-16 as in `expm1_parts`, over x times 2^-16. Little cancels: where n is not 0, e^x is not near 1. Below
    // -60 the sum is -1 whatever x, and the quotient is still that by x.
    let (n, r, _) = reduce(clamp(x, EXPM1_LOW, EXPM1_HIGH));
    let power = power_of_two(n - 16.0);
    let half = polynomial(r, &TAIL).mul_add(r, 0.5);
    let value = power.mul_add((r * r).mul_add(half, r), power - DOWN) / (x * DOWN);
    let value = if is_near(x) { half.mul_add(r, 1.0) } else { value };
    if x > EXPM1_HIGH { f64::INFINITY } else { value }
}

#[inline(always)]
pub(crate) fn sinh(x: f64) -> f64 {
    // With E = e^|x| - 1: sinh |x| = (E + E / (E + 1)) / 2.
    let (high, low) = expm1_parts(x.abs());
    let (one_more, one_more_low) = two_sum(high, DOWN);
    let (quotient, correction) = ratio_parts(high, low, one_more, one_more_low + low);
    let (sum, rest) = two_sum(high, quotient * DOWN);
    let value = (sum + (rest + correction.mul_add(DOWN, low))) * (0.5 * UP);
    if x.abs() < TINY { x } else { value.copysign(x) }
}

#[inline(always)]
pub(crate) fn cosh(x: f64) -> f64 {
    let (high, low) = expm1_parts(x.abs());
    let (exp, exp_low) = two_sum(high, DOWN);
    let exp_low = exp_low + low;
    let (sum, rest) = fast_two_sum(exp, DOWN * (DOWN / exp));
    (sum + (rest + exp_low)) * (0.5 * UP)
}

#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    // With E = e^(2|x|) - 1: tanh |x| = E / (E + 2). It rounds to 1 from |x| = 19.1 on.
    const ONE: f64 = 22.0;
    let magnitude = clamp(x.abs(), 0.0, ONE);
    let (high, low) = expm1_parts(2.0 * magnitude);
    let (two_more, two_more_low) = two_sum(high, 2.0 * DOWN);
    let value = ratio(high, low, two_more, two_more_low + low);
    if x.abs() < TINY { x } else { value.copysign(x) }
}
