//! Kernels in single precision, for functions that cells of single precision compute all the time. The others go through double
//! precision.

/// 1.5 * 2^23: adding it rounds to an integer, which then sits in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
const LN2: f32 = std::f32::consts::LN_2;
/// What `LN2` lacks.
const LN2_TAIL: f32 = -1.904_654_2e-9;

/// Coefficients of (e^r - 1 - r - r^2/2) / r^3 for |r| <= ln(2)/2, lowest first; the error relative to e^r is below 2^-32.
const TAIL: [f32; 5] = [0.166_666_66, 0.041_666_46, 0.008_333_587, 0.001_393_533_9, 0.000_197_332_19];

super::exponential::defines!(f32);

/// 2^n for an integer -127 < n < 128.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    f32::from_bits((n + (ROUND + 127.0)).to_bits() << 23)
}

/// n and r with x = n ln 2 + r.
#[inline(always)]
fn reduce(x: f32) -> (f32, f32) {
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    (n, (-n).mul_add(LN2_TAIL, (-n).mul_add(LN2, x)))
}

/// Beyond these bounds the result has long since saturated.
const SATURATED: f32 = 120.0;

#[inline(always)]
pub(crate) fn exp_single(x: f32) -> f32 {
    let (n, r) = reduce(clamp(x, -SATURATED, SATURATED));
    let mantissa = 1.0 + (r * r).mul_add(polynomial(r, &TAIL).mul_add(r, 0.5), r);
    // In two steps, so that the result may overflow or become subnormal.
    let half = n.mul_add(0.5, ROUND) - ROUND;
    mantissa * power_of_two(half) * power_of_two(n - half)
}

/// 2^-16 leaves room for quotients whose value is finite although e^x is not.
const DOWN: f32 = 1.0 / 65536.0;
/// Past the point where (e^x - 1) / x overflows.
const HIGH: f32 = 96.0;
/// Where e^x is lost beside 1.
const LOW: f32 = -30.0;
/// Up to here n = 0 and r = x in `reduce`.
const NEAR: f32 = 0.34;

#[inline(always)]
pub(crate) fn exprel_single(x: f32) -> f32 {
    let (n, r) = reduce(clamp(x, LOW, HIGH));
    let power = power_of_two(n - 16.0);
    let half = polynomial(r, &TAIL).mul_add(r, 0.5);
    let value = power.mul_add((r * r).mul_add(half, r), power - DOWN) / (x * DOWN);
    let value = if x.abs() <= NEAR { half.mul_add(r, 1.0) } else { value };
    if x > HIGH { f32::INFINITY } else { value }
}
