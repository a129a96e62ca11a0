//! Kernels of the circular functions and their inverses.
//!
//! Angles up to 2^30 are reduced with pi/2 in three parts (Cody and Waite), which vectorises; larger ones by Payne and
//! Hanek's method (ACM SIGNUM 18, 1983) with 1280 bits of 2/pi, one at a time. Both leave the reduced angle as a sum of
//! two numbers, so that even arguments next to a multiple of pi/2 come out right. Polynomials on -pi/4 .. pi/4 follow
//! the form of fdlibm.

use super::exponential::{ROUND, TINY, fast_two_sum, polynomial, ratio, ratio_parts, two_sum};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, PI};

/// pi/2 beyond its first 53 bits.
const FRAC_PI_2_MIDDLE: f64 = 6.123233995736766e-17;
const FRAC_PI_2_TAIL: f64 = -1.4973849048591698e-33;

/// Coefficients of (sin r / r - 1) / r^2 in r^2, lowest first.
const SINE: [f64; 6] = [
    -0.16666666666666666,
    0.008333333333330946,
    -0.0001984126983675497,
    2.755731610068303e-06,
    -2.5051131455427946e-08,
    1.591810123027412e-10,
];

/// Coefficients of (cos r - 1 + r^2/2) / r^4 in r^2, lowest first.
const COSINE: [f64; 6] = [
    0.041666666666666664,
    -0.0013888888888887395,
    2.4801587298763433e-05,
    -2.7557317270560326e-07,
    2.0876146024689747e-09,
    -1.1382614868556325e-11,
];

/// Coefficients of (atan q / q - 1) / q^2 in q^2, lowest first, for |q| < 7/16.
const ARCTANGENT: [f64; 11] = [
    -0.33333333333333326,
    0.19999999999987744,
    -0.14285714283144457,
    0.11111110900259029,
    -0.09090900184586848,
    0.07692087120366835,
    -0.06663236416463504,
    0.05847702282571461,
    -0.05033837562503339,
    0.03782249492335978,
    -0.017544246015330268,
];

/// 2/pi, most significant word first.
const TWO_OVER_PI: [u64; 20] = [
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];

/// How many elements a batch function checks at once for large angles.
pub(super) const BLOCK: usize = 64;

/// Whether the vector reduction is exact enough for this angle; false for NaN.
#[inline(always)]
pub(super) fn is_small(x: f64) -> bool {
    x.abs() <= 1073741824.0
}

/// An angle as quadrant and remainder: x = quadrant pi/2 + high + low, |high| <= pi/4.
struct Reduced {
    quadrant: u64,
    high: f64,
    low: f64,
}

#[inline(always)]
fn reduce_small(x: f64) -> Reduced {
    let rounded = x.mul_add(FRAC_2_PI, ROUND);
    let n = rounded - ROUND;
    // Exact: both terms are multiples of 2^-54, and the difference is below 1.
    let first = (-n).mul_add(FRAC_PI_2, x);
    let product = n * FRAC_PI_2_MIDDLE;
    let product_low = n.mul_add(FRAC_PI_2_MIDDLE, -product);
    let (sum, rest) = two_sum(first, -product);
    let (high, low) = fast_two_sum(sum, (-n).mul_add(FRAC_PI_2_TAIL, rest - product_low));
    Reduced { quadrant: rounded.to_bits(), high, low }
}

/// 64 bits of a little-endian number from bit `offset` up; what lies outside of it is 0.
fn bits_from(words: &[u64; 5], offset: i64) -> u64 {
    let word = |i: i64| usize::try_from(i).ok().and_then(|i| words.get(i)).copied().unwrap_or(0);
    let (index, shift) = (offset.div_euclid(64), offset.rem_euclid(64));
    let low = word(index) >> shift;
    if shift == 0 { low } else { low | word(index + 1) << (64 - shift) }
}

/// Payne and Hanek: multiplies the 53-bit mantissa by those bits of 2/pi that matter modulo 4.
fn reduce_large(x: f64) -> Reduced {
    if !x.is_finite() {
        return Reduced { quadrant: 0, high: f64::NAN, low: 0.0 };
    }
    let bits = x.to_bits();
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    // |x| = mantissa * 2^exponent; only called for |x| > 2^30.
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1075;
    // Words of 2/pi whose product is a multiple of 4 are skipped; of the others the first four give 138 fraction bits.
    let skipped = ((exponent - 2).max(0) / 64) as usize;
    let mut product = [0u64; 5];
    let mut carry = 0u128;
    for (place, word) in product.iter_mut().zip(TWO_OVER_PI[skipped..skipped + 4].iter().rev()) {
        let sum = mantissa * u128::from(*word) + carry;
        *place = sum as u64;
        carry = sum >> 64;
    }
    product[4] = carry as u64;
    let point = 256 - (exponent - 64 * skipped as i64);
    let mut quadrant = bits_from(&product, point) & 3;
    let mut fraction =
        [bits_from(&product, point - 64), bits_from(&product, point - 128), bits_from(&product, point - 192)];
    // To the nearest quadrant: a fraction of 1/2 or more becomes negative.
    let mut negative = false;
    if fraction[0] >> 63 != 0 {
        quadrant += 1;
        negative = true;
        for word in &mut fraction {
            *word = !*word;
        }
    }
    let zeros = if fraction[0] == 0 { 64 + fraction[1].leading_zeros() } else { fraction[0].leading_zeros() };
    let reversed = [0, 0, fraction[2], fraction[1], fraction[0]];
    let top = bits_from(&reversed, 256 - i64::from(zeros));
    let next = bits_from(&reversed, 192 - i64::from(zeros));
    let unit = f64::from_bits(u64::from(1023 - zeros) << 52);
    let high = (top >> 11) as f64 * (1.0 / 9007199254740992.0) * unit;
    let low = ((top & 0x7ff) << 53 | next >> 11) as f64 * (1.0 / 9007199254740992.0 / 18446744073709551616.0) * unit;
    // Times pi/2.
    let product = high * FRAC_PI_2;
    let product_low = high.mul_add(FRAC_PI_2, -product) + high.mul_add(FRAC_PI_2_MIDDLE, low * FRAC_PI_2);
    let (mut high, mut low) = fast_two_sum(product, product_low);
    if negative != (x < 0.0) {
        (high, low) = (-high, -low);
    }
    if x < 0.0 {
        quadrant = quadrant.wrapping_neg();
    }
    Reduced { quadrant, high, low }
}

#[inline(always)]
fn reduce(x: f64) -> Reduced {
    if is_small(x) { reduce_small(x) } else { reduce_large(x) }
}

/// sin(high + low) as a sum of two numbers.
#[inline(always)]
fn sine_parts(high: f64, low: f64) -> (f64, f64) {
    let z = high * high;
    let cube = z * high;
    // sin(h + l) = sin h + l cos h, with cos h = 1 - h^2/2 near enough for l.
    let correction = (-0.5 * z).mul_add(low, low);
    (high, cube.mul_add(polynomial(z, &SINE), correction))
}

/// cos(high + low) as a sum of two numbers.
#[inline(always)]
fn cosine_parts(high: f64, low: f64) -> (f64, f64) {
    let z = high * high;
    let z_low = high.mul_add(high, -z);
    let (one, rest) = fast_two_sum(1.0, -0.5 * z);
    let tail = (z * z) * polynomial(z, &COSINE);
    (one, rest + ((-0.5f64).mul_add(z_low, tail) - high * low))
}

#[inline(always)]
fn flip_sign(x: f64, quadrant: u64) -> f64 {
    f64::from_bits(x.to_bits() ^ (quadrant & 2) << 62)
}

#[inline(always)]
fn finish_sin(x: f64, reduced: &Reduced) -> f64 {
    let (s, s_low) = sine_parts(reduced.high, reduced.low);
    let (c, c_low) = cosine_parts(reduced.high, reduced.low);
    let swap = reduced.quadrant & 1 != 0;
    let value = flip_sign(if swap { c + c_low } else { s + s_low }, reduced.quadrant);
    if x.abs() < TINY { x } else { value }
}

#[inline(always)]
fn finish_cos(reduced: &Reduced) -> f64 {
    let (s, s_low) = sine_parts(reduced.high, reduced.low);
    let (c, c_low) = cosine_parts(reduced.high, reduced.low);
    let swap = reduced.quadrant & 1 != 0;
    flip_sign(if swap { s + s_low } else { c + c_low }, reduced.quadrant.wrapping_add(1))
}

#[inline(always)]
fn finish_tan(x: f64, reduced: &Reduced) -> f64 {
    let (s, s_low) = sine_parts(reduced.high, reduced.low);
    let (s, s_low) = fast_two_sum(s, s_low);
    let (c, c_low) = cosine_parts(reduced.high, reduced.low);
    let (c, c_low) = fast_two_sum(c, c_low);
    let swap = reduced.quadrant & 1 != 0;
    let value = if swap { ratio(-c, -c_low, s, s_low) } else { ratio(s, s_low, c, c_low) };
    if x.abs() < TINY { x } else { value }
}

/// The kernels for angles that satisfy `is_small`, free of branches.
pub(super) mod small {
    use super::{finish_cos, finish_sin, finish_tan, reduce_small};

    #[inline(always)]
    pub(in super::super) fn sin(x: f64) -> f64 {
        finish_sin(x, &reduce_small(x))
    }

    #[inline(always)]
    pub(in super::super) fn cos(x: f64) -> f64 {
        finish_cos(&reduce_small(x))
    }

    #[inline(always)]
    pub(in super::super) fn tan(x: f64) -> f64 {
        finish_tan(x, &reduce_small(x))
    }
}

#[inline(always)]
pub(crate) fn sin(x: f64) -> f64 {
    finish_sin(x, &reduce(x))
}

#[inline(always)]
pub(crate) fn cos(x: f64) -> f64 {
    finish_cos(&reduce(x))
}

#[inline(always)]
pub(crate) fn tan(x: f64) -> f64 {
    finish_tan(x, &reduce(x))
}

/// sin and cos of 2 pi u, for u in 0 .. 1; two units in the last place.
#[inline(always)]
pub(crate) fn sincos_turn(u: f64) -> (f64, f64) {
    let rounded = u.mul_add(4.0, ROUND);
    // Exact: 4 u has as many bits as u, and subtracting the nearest integer only clears some.
    let angle = u.mul_add(4.0, -(rounded - ROUND)) * FRAC_PI_2;
    let z = angle * angle;
    let s = (z * angle).mul_add(polynomial(z, &SINE), angle);
    let c = (z * z).mul_add(polynomial(z, &COSINE), (-0.5f64).mul_add(z, 1.0));
    let quadrant = rounded.to_bits();
    let swap = quadrant & 1 != 0;
    let (sin, cos) = if swap { (c, s) } else { (s, c) };
    (flip_sign(sin, quadrant), flip_sign(cos, quadrant.wrapping_add(1)))
}

/// The angle of the point (x, y) in the upper half plane: y >= 0, both finite and not both 0.
#[inline(always)]
fn upper_angle(y: f64, x: f64) -> f64 {
    // fdlibm's five centres: atan t = atan c + atan((t - c) / (1 + t c)), with t = n / d and c = b / a.
    const HALF: (f64, f64) = (0.4636476090008061, 2.2698777452961687e-17);
    const ONE: (f64, f64) = (FRAC_PI_4, 3.061616997868383e-17);
    const THREE_HALVES: (f64, f64) = (0.982793723247329, 1.3903311031230998e-17);
    const INFINITE: (f64, f64) = (FRAC_PI_2, FRAC_PI_2_MIDDLE);
    let (n, d) = (y, x.abs());
    let (a, b, centre, centre_low) = (1.0, 0.0, 0.0, 0.0);
    let pick = |take: bool, old: (f64, f64, f64, f64), a: f64, b: f64, c: (f64, f64)| {
        (
            if take { a } else { old.0 },
            if take { b } else { old.1 },
            if take { c.0 } else { old.2 },
            if take { c.1 } else { old.3 },
        )
    };
    let choice = (a, b, centre, centre_low);
    let choice = pick(n >= 0.4375 * d, choice, 2.0, 1.0, HALF);
    let choice = pick(n >= 0.6875 * d, choice, 1.0, 1.0, ONE);
    let choice = pick(n >= 1.1875 * d, choice, 2.0, 3.0, THREE_HALVES);
    let (a, b, centre, centre_low) = pick(n >= 2.4375 * d, choice, 0.0, 1.0, INFINITE);

    let (bd, bd_low) = (b * d, b.mul_add(d, -(b * d)));
    let (bn, bn_low) = (b * n, b.mul_add(n, -(b * n)));
    let (numerator, numerator_low) = two_sum(a * n, -bd);
    let (denominator, denominator_low) = two_sum(a * d, bn);
    let (q, correction) = ratio_parts(numerator, numerator_low - bd_low, denominator, denominator_low + bn_low);
    let (q, q_low) = fast_two_sum(q, correction);
    let z = q * q;
    let rest = (q * z).mul_add(polynomial(z, &ARCTANGENT), q_low);

    // Left of the vertical axis the angle is pi minus that of the mirrored point.
    let left = x.to_bits() >> 63 != 0;
    let (centre, centre_low) = {
        let (high, error) = two_sum(PI, -centre);
        let low = (2.0 * FRAC_PI_2_MIDDLE - centre_low) + error;
        (if left { high } else { centre }, if left { low } else { centre_low })
    };
    let (q, rest) = (if left { -q } else { q }, if left { -rest } else { rest });
    let (sum, error) = fast_two_sum(centre, q);
    sum + (error + (rest + centre_low))
}

#[inline(always)]
pub(crate) fn atan(x: f64) -> f64 {
    const FAR: f64 = 1e300;
    let magnitude = x.abs();
    // From 1e300 on the angle is pi/2 to all places.
    let value = upper_angle(if magnitude > FAR { FAR } else { magnitude }, 1.0).copysign(x);
    if magnitude < TINY { x } else { value }
}

#[inline(always)]
pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    let (n, d) = (y.abs(), x.abs());
    let (n_infinite, d_infinite) = (n == f64::INFINITY, d == f64::INFINITY);
    // Only the ratio counts, so an infinite side is 1 against 0, two infinite sides are equal, and the origin is
    // taken as a point on the horizontal axis.
    let both = n_infinite & d_infinite;
    let any = n_infinite | d_infinite;
    let finite_n = if any { if n_infinite { 1.0 } else { 0.0 } } else { n };
    let finite_d = if any { if d_infinite { 1.0 } else { 0.0 } } else { d };
    let finite_d = if (n == 0.0) & (d == 0.0) | both { 1.0 } else { finite_d };
    let largest = if finite_n > finite_d { finite_n } else { finite_d };
    let factor = if largest > 8.452712498170644e270 { 6.223015277861142e-61 } else { 1.0 };
    let factor = if largest < 3.054936363499605e-151 { 4.149515568880993e180 } else { factor };
    let value = upper_angle(finite_n * factor, (finite_d * factor).copysign(x)).copysign(y);
    if y.is_nan() | x.is_nan() { f64::NAN } else { value }
}
