//! Segments to vectors wider than Cranelift's 128 bits: eight f64 or sixteen f32 lanes of AVX-512, four or eight of AVX2.
//!
//! The same graph, the same operations in the same order, so the same bits as [`super::translate`]; the signature and the table of
//! pointers are that module's, too. A segment is first listed as instructions over values without names of registers
//! ([`list`]), some of which become one where masks do that ([`fuse`]); then values get registers, and what does not fit waits on the
//! stack ([`emit`]). Constants and what is the same for all neurons lie in memory and are spread over the lanes, by AVX-512 as an
//! operand of another instruction.

mod emit;
mod fuse;
mod list;
mod shape;

use super::plan::Plan;
#[cfg(target_arch = "x86_64")]
use crate::numerics::dispatch::Level;

/// Lanes of double precision in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// AVX2.
    Four,
    /// AVX-512.
    Eight,
}

impl Width {
    /// Whether this machine runs the code.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let level = if self == Width::Eight { Level::Avx512 } else { Level::Avx2 };
            Level::detected() >= level && is_x86_feature_detected!("bmi2") && cfg!(unix)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }
}

fn instructions(plan: &Plan, k: usize, width: Width) -> Result<Vec<iced_x86::Instruction>, String> {
    let (list, masks) = (list::list(plan, k), width == Width::Eight);
    emit::instructions(plan, &if masks { fuse::fused(list) } else { list }, masks)
}

/// Machine code of segment `k`, to be placed anywhere.
///
/// # Errors
/// In words, where an instruction can't be encoded.
pub fn segment(plan: &Plan, k: usize, width: Width) -> Result<Vec<u8>, String> {
    emit::bytes(&instructions(plan, k, width)?)
}

/// The instructions of segment `k`, a line each.
///
/// # Errors
/// As [`segment`].
pub fn text(plan: &Plan, k: usize, width: Width) -> Result<String, String> {
    use iced_x86::{Formatter, NasmFormatter};
    let mut formatter = NasmFormatter::new();
    let mut out = String::new();
    for instruction in instructions(plan, k, width)? {
        out.push_str("  ");
        formatter.format(&instruction, &mut out);
        out.push('\n');
    }
    Ok(out)
}
