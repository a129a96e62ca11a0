//! Elementary functions of one or two numbers, alone and over whole arrays.
//!
//! Each function exists as a scalar `f(x)` and as `f_batch(&mut [f64])`, which replaces every element by its function
//! value; both run the same branch-free kernel, so they agree in every bit. `f_batch_f32` computes in `f64` and rounds
//! once, which is correct to within a hair of half a unit in the last place of `f32`.
//!
//! Errors are in units in the last place (ulp) of the exact result: the largest found against 60-digit arithmetic (MPFR)
//! over 10^5 to 10^6 arguments of all magnitudes per function, rounded up. NaN gives NaN; signed zeros, infinities, overflow and gradual underflow follow IEEE 754
//! (and C's annex F for `pow` and `atan2`). Which NaN comes out (sign, payload) is not specified.

mod exponential;
mod logarithm;
mod single;
mod trigonometric;

#[cfg(test)]
mod tests;

use crate::numerics::dispatch::multiversion;

/// The kernels themselves, for loops of other rooms that are multiversioned on their own.
pub(crate) mod kernel {
    pub(crate) use super::exponential::{cosh, exp, expm1, exprel, sinh, tanh};
    pub(crate) use super::logarithm::{ln, ln_normal, ln1p, log2, log10, pow};
    pub(crate) use super::single::{exp_single, exprel_single};
    pub(crate) use super::trigonometric::{atan, atan2, cos, sin, sincos_turn, tan};
}

/// Runs a kernel where fused multiply-add is one instruction, if this machine has it.
macro_rules! scalar {
    ($(#[$meta:meta])* $name:ident($($arg:ident),+)) => {
        scalar! { $(#[$meta])* $name($($arg),+): f64 }
    };
    ($(#[$meta:meta])* $name:ident($($arg:ident),+): $number:ty) => {
        $(#[$meta])*
        #[inline]
        pub fn $name($($arg: $number),+) -> $number {
            #[cfg(target_arch = "x86_64")]
            {
                use crate::numerics::dispatch::Level;

                #[target_feature(enable = "avx2,fma")]
                fn fused($($arg: $number),+) -> $number {
                    kernel::$name($($arg),+)
                }
                if Level::detected() >= Level::Avx2 {
                    // SAFETY: the processor has AVX2 and FMA.
                    return unsafe { fused($($arg),+) };
                }
            }
            kernel::$name($($arg),+)
        }
    };
}

/// Elements that [`exprel_batch`] looks at before it computes them.
const NEAR_BLOCK: usize = 64;

/// A function of one number with its batch versions.
macro_rules! unary {
    ($(#[$meta:meta])* $name:ident, $batch:ident / $batch_at:ident, $batch_f32:ident / $batch_f32_at:ident) => {
        scalar!($(#[$meta])* $name(x));

        multiversion! {
            #[doc = concat!("Replaces every element `x` by [`", stringify!($name), "`]`(x)`, bit for bit.")]
            pub fn $batch / $batch_at(values: &mut [f64]) {
                for value in values {
                    *value = kernel::$name(*value);
                }
            }
        }

        multiversion! {
            #[doc = concat!("Replaces every element `x` by [`", stringify!($name), "`]`(x)`, rounded to `f32`.")]
            pub fn $batch_f32 / $batch_f32_at(values: &mut [f32]) {
                for value in values {
                    *value = kernel::$name(f64::from(*value)) as f32;
                }
            }
        }
    };
}

/// As `unary`, for kernels that reduce their argument by a multiple of pi/2: blocks with an argument beyond the reach
/// of the vector reduction go element by element through the exact one.
macro_rules! periodic {
    ($(#[$meta:meta])* $name:ident, $batch:ident / $batch_at:ident, $batch_f32:ident / $batch_f32_at:ident) => {
        scalar!($(#[$meta])* $name(x));

        multiversion! {
            #[doc = concat!("Replaces every element `x` by [`", stringify!($name), "`]`(x)`, bit for bit.")]
            pub fn $batch / $batch_at(values: &mut [f64]) {
                for block in values.chunks_mut(trigonometric::BLOCK) {
                    if block.iter().fold(true, |all, x| all & trigonometric::is_small(*x)) {
                        for value in block {
                            *value = trigonometric::small::$name(*value);
                        }
                    } else {
                        for value in block {
                            *value = $name(*value);
                        }
                    }
                }
            }
        }

        multiversion! {
            #[doc = concat!("Replaces every element `x` by [`", stringify!($name), "`]`(x)`, rounded to `f32`.")]
            pub fn $batch_f32 / $batch_f32_at(values: &mut [f32]) {
                for block in values.chunks_mut(trigonometric::BLOCK) {
                    if block.iter().fold(true, |all, x| all & trigonometric::is_small(f64::from(*x))) {
                        for value in block {
                            *value = trigonometric::small::$name(f64::from(*value)) as f32;
                        }
                    } else {
                        for value in block {
                            *value = $name(f64::from(*value)) as f32;
                        }
                    }
                }
            }
        }
    };
}

/// A function of two numbers with its batch versions.
macro_rules! binary {
    ($(#[$meta:meta])* $name:ident($first:ident, $second:ident), $batch:ident / $batch_at:ident,
     $batch_f32:ident / $batch_f32_at:ident) => {
        scalar!($(#[$meta])* $name($first, $second));

        multiversion! {
            #[doc = concat!("Replaces every element of the first slice by [`", stringify!($name), "`] of it and the ")]
            #[doc = "element at the same place of the second, bit for bit. Elements beyond the shorter slice stay."]
            pub fn $batch / $batch_at($first: &mut [f64], $second: &[f64]) {
                for (a, b) in $first.iter_mut().zip($second) {
                    *a = kernel::$name(*a, *b);
                }
            }
        }

        multiversion! {
            #[doc = concat!("As [`", stringify!($batch), "`], computed in `f64` and rounded to `f32`.")]
            pub fn $batch_f32 / $batch_f32_at($first: &mut [f32], $second: &[f32]) {
                for (a, b) in $first.iter_mut().zip($second) {
                    *a = kernel::$name(f64::from(*a), f64::from(*b)) as f32;
                }
            }
        }
    };
}

unary! {
    /// e to the power x. Error at most 0.92 ulp.
    exp, exp_batch / exp_batch_at, exp_batch_f32 / exp_batch_f32_at
}
unary! {
    /// e^x - 1, accurate for small x too. Error at most 0.82 ulp.
    expm1, expm1_batch / expm1_batch_at, expm1_batch_f32 / expm1_batch_f32_at
}
scalar! {
    /// (e^x - 1) / x, with its limit 1 at x = 0: the rate functions of Hodgkin-Huxley gates need it, and every step of a conductance.
    /// Error at most 1.8 ulp: it is a good part of the time of such cells, and what would make it exact as much again.
    exprel(x)
}

multiversion! {
    /// Replaces every element `x` by [`exprel`]`(x)`, bit for bit.
    pub fn exprel_batch / exprel_batch_at(values: &mut [f64]) {
        // Steps of conductances are short against their time constants: most blocks need no division.
        for block in values.chunks_mut(NEAR_BLOCK) {
            if block.iter().fold(true, |all, x| all & exponential::is_near(*x)) {
                for value in block {
                    *value = exponential::exprel_near(*value);
                }
            } else {
                for value in block {
                    *value = kernel::exprel(*value);
                }
            }
        }
    }
}

multiversion! {
    /// Replaces every element `x` by [`exprel`]`(x)`, rounded to `f32`.
    pub fn exprel_batch_f32 / exprel_batch_f32_at(values: &mut [f32]) {
        for value in values {
            *value = kernel::exprel(f64::from(*value)) as f32;
        }
    }
}

/// A function of single precision with its batch version.
macro_rules! unary_single {
    ($(#[$meta:meta])* $name:ident, $batch:ident / $batch_at:ident) => {
        scalar!($(#[$meta])* $name(x): f32);

        multiversion! {
            #[doc = concat!("Replaces every element `x` by [`", stringify!($name), "`]`(x)`, bit for bit.")]
            pub fn $batch / $batch_at(values: &mut [f32]) {
                for value in values {
                    *value = kernel::$name(*value);
                }
            }
        }
    };
}

unary_single! {
    /// e to the power x in single precision. Error at most 0.98 ulp.
    exp_single, exp_single_batch / exp_single_batch_at
}
unary_single! {
    /// [`exprel`] in single precision. Error at most 1.9 ulp.
    exprel_single, exprel_single_batch / exprel_single_batch_at
}
unary! {
    /// Hyperbolic sine. Error at most 0.75 ulp.
    sinh, sinh_batch / sinh_batch_at, sinh_batch_f32 / sinh_batch_f32_at
}
unary! {
    /// Hyperbolic cosine. Error at most 0.84 ulp.
    cosh, cosh_batch / cosh_batch_at, cosh_batch_f32 / cosh_batch_f32_at
}
unary! {
    /// Hyperbolic tangent. Error at most 0.70 ulp.
    tanh, tanh_batch / tanh_batch_at, tanh_batch_f32 / tanh_batch_f32_at
}
unary! {
    /// Natural logarithm: -inf at 0, NaN below. Error at most 0.84 ulp.
    ln, ln_batch / ln_batch_at, ln_batch_f32 / ln_batch_f32_at
}
unary! {
    /// ln(1 + x), accurate for small x too: -inf at -1, NaN below. Error at most 0.84 ulp.
    ln1p, ln1p_batch / ln1p_batch_at, ln1p_batch_f32 / ln1p_batch_f32_at
}
unary! {
    /// Logarithm to base 2: exact for powers of two. Error at most 0.51 ulp.
    log2, log2_batch / log2_batch_at, log2_batch_f32 / log2_batch_f32_at
}
unary! {
    /// Logarithm to base 10. Error at most 0.51 ulp.
    log10, log10_batch / log10_batch_at, log10_batch_f32 / log10_batch_f32_at
}
periodic! {
    /// Sine of an angle in radians, of any magnitude; NaN for an infinite one. Error at most 0.82 ulp.
    sin, sin_batch / sin_batch_at, sin_batch_f32 / sin_batch_f32_at
}
periodic! {
    /// Cosine of an angle in radians, of any magnitude; NaN for an infinite one. Error at most 0.80 ulp.
    cos, cos_batch / cos_batch_at, cos_batch_f32 / cos_batch_f32_at
}
periodic! {
    /// Tangent of an angle in radians, of any magnitude; NaN for an infinite one. Error at most 0.92 ulp.
    tan, tan_batch / tan_batch_at, tan_batch_f32 / tan_batch_f32_at
}
unary! {
    /// Inverse tangent, in radians within -pi/2 .. pi/2. Error at most 0.75 ulp.
    atan, atan_batch / atan_batch_at, atan_batch_f32 / atan_batch_f32_at
}
binary! {
    /// Angle of the point (x, y) in radians within -pi .. pi. Error at most 0.78 ulp.
    atan2(y, x), atan2_batch / atan2_batch_at, atan2_batch_f32 / atan2_batch_f32_at
}
binary! {
    /// `base` to the power `exponent`. Error at most 0.66 ulp. As in C, anything to the power 0 is 1, and so is 1 to any power, even with NaN.
    pow(base, exponent), pow_batch / pow_batch_at, pow_batch_f32 / pow_batch_f32_at
}
