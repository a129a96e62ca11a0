//! Picks, once per process, the widest vector instructions that this machine has.
//!
//! The `multiversion!` macro compiles one loop body three times (AVX-512, AVX2 with FMA, and the target's baseline)
//! and calls the widest version that may run. The bodies hold only exactly defined operations, so the versions
//! differ in speed alone; every test of a batch function runs all of them and compares bits.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of vector instructions, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the compilation target has. `mul_add` may be a call here: slow, but the same bits.
    Baseline,
    /// 256-bit vectors with fused multiply-add, and the bit operations that came with them.
    Avx2,
    /// 512-bit vectors, and what [`Level::Avx2`] has.
    Avx512,
}

impl Level {
    /// All levels, for tests that compare them.
    pub const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

    /// The widest level that this machine can run; measured at the first call.
    #[inline]
    pub fn detected() -> Level {
        const UNKNOWN: u8 = u8::MAX;
        static CACHE: AtomicU8 = AtomicU8::new(UNKNOWN);
        // Relaxed is enough: every thread would compute the same value.
        match CACHE.load(Ordering::Relaxed) {
            0 => Level::Baseline,
            1 => Level::Avx2,
            2 => Level::Avx512,
            _ => {
                let level = Level::measure();
                CACHE.store(level as u8, Ordering::Relaxed);
                level
            }
        }
    }

    #[cold]
    fn measure() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let fused = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt");
            if fused
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
            {
                return Level::Avx512;
            }
            if fused {
                return Level::Avx2;
            }
        }
        Level::Baseline
    }
}

/// Defines `$name(args)`, which runs `$body` at the widest level of this machine, and `$at(level, args)`, which runs it
/// at `level` or the widest available one below. A body may return a value.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident / $at:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            $at($crate::numerics::dispatch::Level::detected(), $($arg),*)
        }

        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
        fn $at(level: $crate::numerics::dispatch::Level, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::numerics::dispatch::Level;

                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,bmi1,popcnt")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }

                #[target_feature(enable = "avx2,fma,bmi1,popcnt")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }

                match level.min(Level::detected()) {
                    // SAFETY: `detected` is at least this level, so the processor has these instructions.
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use multiversion;
