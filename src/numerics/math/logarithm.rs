//! Kernels of the logarithms and of pow.
//!
//! x = 2^k (1 + f) with 1 + f in sqrt(1/2) .. sqrt(2), s = f / (2 + f), ln(1 + f) = 2 artanh(s): the scheme of fdlibm
//! (Sun Microsystems, 1993) with coefficients of our own. Where a logarithm is multiplied afterwards (log2, log10,
//! pow) it is computed to 65 bits as an unevaluated sum of two numbers.

use super::exponential::{ROUND, exp_parts, fast_two_sum, polynomial, power_of_two, ratio_parts, two_sum};

/// ln 2 and what it lacks of the exact value.
pub(super) const LN2: f64 = std::f64::consts::LN_2;
pub(super) const LN2_TAIL: f64 = 2.3190468138462996e-17;

/// The upper 32 bits of ln 2, so that an exponent times this is exact, and the rest.
const LN2_32: f64 = 0.6931471803691238;
const LN2_32_TAIL: f64 = 1.9082149292705877e-10;
/// The same with 42 bits.
const LN2_42: f64 = 0.6931471805598903;
const LN2_42_TAIL: f64 = 5.497923018708371e-14;

const LOG2_E_TAIL: f64 = 2.0355273740931033e-17;
const LOG10_E_TAIL: f64 = 1.098319650216765e-17;

const TWO_54: f64 = 18014398509481984.0;
const TWO_52: f64 = 4503599627370496.0;

/// Coefficients of (2 artanh(s) / s - 2) / s^2 in s^2, lowest first.
const ARTANH: [f64; 7] = [
    0.666666666666667,
    0.39999999999899444,
    0.2857142862600327,
    0.22222211130259878,
    0.18182889455674947,
    0.15331710618210773,
    0.14616585424888623,
];

/// Coefficients of (2 artanh(s) / s - 2 - 2/3 s^2) / s^4 in s^2, lowest first.
const ARTANH_TAIL: [f64; 8] = [
    0.4,
    0.28571428571429364,
    0.22222222221655885,
    0.18181818335392802,
    0.1538459496251843,
    0.1333480469384731,
    0.11706236339491206,
    0.11723178623876518,
];

/// k and f with x = 2^k (1 + f), for positive finite x; anything for others.
#[inline(always)]
fn decompose(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    decompose_normal(if subnormal { x * TWO_54 } else { x }, if subnormal { 1024.0 + 54.0 } else { 1024.0 })
}

/// As `decompose`, for normal x times 2^(bias - 1024).
#[inline(always)]
fn decompose_normal(x: f64, bias: f64) -> (f64, f64) {
    /// The bits of sqrt(1/2).
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits();
    // k + 1024, which is positive: vectors have no arithmetic shift of 64-bit lanes before AVX-512.
    let exponent = bits.wrapping_sub(ROOT_HALF).wrapping_add(1024 << 52) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub(exponent << 52).wrapping_add(1024 << 52));
    (f64::from_bits(exponent | TWO_52.to_bits()) - (TWO_52 + bias), mantissa - 1.0)
}

/// The logarithm's values where `decompose` has none.
#[inline(always)]
fn with_edges(x: f64, value: f64) -> f64 {
    let value = if x == f64::INFINITY { x } else { value };
    let value = if x > 0.0 { value } else { f64::NAN };
    if x == 0.0 { f64::NEG_INFINITY } else { value }
}

/// k ln 2 + ln(1 + f) + low.
#[inline(always)]
fn assemble(k: f64, f: f64, low: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let half_square = 0.5 * f * f;
    let series = s * z.mul_add(polynomial(z, &ARTANH), half_square);
    let small = k.mul_add(LN2_32_TAIL, low) + series;
    let (sum, rest) = fast_two_sum(k * LN2_32, f);
    sum + (rest - (half_square - small))
}

#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let (k, f) = decompose(x);
    with_edges(x, assemble(k, f, 0.0))
}

/// ln x for normal positive finite x only; equals `ln` there.
#[inline(always)]
pub(crate) fn ln_normal(x: f64) -> f64 {
    let (k, f) = decompose_normal(x, 1024.0);
    assemble(k, f, 0.0)
}

#[inline(always)]
pub(crate) fn ln1p(x: f64) -> f64 {
    let (u, missing) = two_sum(1.0, x);
    let (k, high) = decompose(u);
    // For k = 0 this sum is x itself; for huge x nothing is missing that matters.
    let unit = if k > 1000.0 { 0.0 } else { power_of_two(-k) };
    let (f, low) = two_sum(high, missing * unit);
    // d ln(1 + f) = low / (1 + f); a hundredth of `low` is far below the last place.
    let slope = polynomial(f, &[0.9986610811647221, -1.0113323536187728, 1.1027370505448955, -0.8874433048003344]);
    let value = with_edges(u, assemble(k, f, low * slope));
    if x.abs() < 1.0 / TWO_54 { x } else { value }
}

/// ln(1 + f) to 65 bits.
#[inline(always)]
fn ln_mantissa(f: f64) -> (f64, f64) {
    const TWO_THIRDS: f64 = 2.0 / 3.0;
    const TWO_THIRDS_TAIL: f64 = 3.700743415417188e-17;
    let (denominator, denominator_low) = fast_two_sum(2.0, f);
    let (quotient, correction) = ratio_parts(f, 0.0, denominator, denominator_low);
    let (s, s_low) = fast_two_sum(quotient, correction);
    let z = s * s;
    let z_low = s.mul_add(s, -z) + 2.0 * s * s_low;
    // 2 s + s (z (2/3 + z tail)): the innermost sum is rounded, the rest carried exactly.
    let (inner, inner_low) = fast_two_sum(TWO_THIRDS, z * polynomial(z, &ARTANH_TAIL));
    let inner_low = inner_low + TWO_THIRDS_TAIL;
    let u = z * inner;
    let u_low = z.mul_add(inner, -u) + z.mul_add(inner_low, z_low * inner);
    let v = s * u;
    let v_low = s.mul_add(u, -v) + s.mul_add(u_low, s_low * u);
    let (sum, rest) = fast_two_sum(2.0 * s, v);
    fast_two_sum(sum, rest + 2.0f64.mul_add(s_low, v_low))
}

/// ln x to 65 bits, for positive finite x.
#[inline(always)]
fn ln_parts(x: f64) -> (f64, f64) {
    let (k, f) = decompose(x);
    let (high, low) = ln_mantissa(f);
    let (sum, rest) = fast_two_sum(k * LN2_42, high);
    fast_two_sum(sum, rest + k.mul_add(LN2_42_TAIL, low))
}

#[inline(always)]
pub(crate) fn log2(x: f64) -> f64 {
    let (k, f) = decompose(x);
    let (high, low) = ln_mantissa(f);
    let product = high * std::f64::consts::LOG2_E;
    let product_low =
        high.mul_add(std::f64::consts::LOG2_E, -product) + high.mul_add(LOG2_E_TAIL, low * std::f64::consts::LOG2_E);
    let (sum, rest) = fast_two_sum(k, product);
    with_edges(x, sum + (rest + product_low))
}

#[inline(always)]
pub(crate) fn log10(x: f64) -> f64 {
    let (high, low) = ln_parts(x);
    let product = high * std::f64::consts::LOG10_E;
    let product_low =
        high.mul_add(std::f64::consts::LOG10_E, -product) + high.mul_add(LOG10_E_TAIL, low * std::f64::consts::LOG10_E);
    with_edges(x, product + product_low)
}

#[inline(always)]
pub(crate) fn pow(base: f64, exponent: f64) -> f64 {
    let magnitude = base.abs();
    let (high, low) = ln_parts(magnitude);
    let product = exponent * high;
    let product_low = exponent.mul_add(high, -product) + exponent * low;
    let value = exp_parts(product, product_low);

    // Edges of the magnitude. An infinite exponent needs no case: the product is infinite then.
    let zero_or_infinite = if (magnitude == 0.0) == (exponent > 0.0) { 0.0 } else { f64::INFINITY };
    let value = if magnitude == 0.0 || magnitude == f64::INFINITY { zero_or_infinite } else { value };
    let value = if magnitude == 1.0 { 1.0 } else { value };

    // The sign of a negative base.
    let half = 0.5 * exponent;
    let whole = exponent.floor() == exponent;
    let odd = whole & (half.floor() != half);
    let negative = base.to_bits() >> 63 != 0;
    let value = if negative & odd { -value } else { value };
    let no_root = (base < 0.0) & (magnitude < f64::INFINITY) & !whole;
    let value = if no_root | base.is_nan() | exponent.is_nan() { f64::NAN } else { value };
    if (exponent == 0.0) | (base == 1.0) { 1.0 } else { value }
}

/// Keeps the two rounding constants in step: `decompose` relies on 2^52, `exponential` on 1.5 * 2^52.
const _: () = assert!(ROUND == 1.5 * TWO_52);
