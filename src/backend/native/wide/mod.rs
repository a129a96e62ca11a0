//! Segments to AVX-512 code: eight f64 lanes where Cranelift has two, sixteen f32 lanes where it has four.
//!
//! The same graph, the same operations in the same order, so the same bits as [`super::translate`]; the signature and the table of
//! pointers are that module's, too. A segment is first listed as instructions over values without names of registers
//! ([`list`]), some of which become one ([`fuse`]); then values get registers, and what does not fit waits on the stack ([`emit`]). Constants and what is the same for
//! all neurons are operands in memory, which the processor spreads over the lanes by itself.

mod emit;
mod fuse;
mod list;
mod shape;

use super::plan::Plan;
use crate::numerics::dispatch::Level;

/// Whether this machine runs the code.
pub fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        Level::detected() >= Level::Avx512 && is_x86_feature_detected!("bmi2") && cfg!(unix)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Machine code of segment `k`, to be placed anywhere.
///
/// # Errors
/// In words, where an instruction can't be encoded.
pub fn segment(plan: &Plan, k: usize) -> Result<Vec<u8>, String> {
    emit::bytes(&emit::instructions(plan, &fuse::fused(list::list(plan, k)))?)
}

/// The instructions of segment `k`, a line each.
///
/// # Errors
/// As [`segment`].
pub fn text(plan: &Plan, k: usize) -> Result<String, String> {
    use iced_x86::{Formatter, NasmFormatter};
    let mut formatter = NasmFormatter::new();
    let mut out = String::new();
    for instruction in emit::instructions(plan, &fuse::fused(list::list(plan, k)))? {
        out.push_str("  ");
        formatter.format(&instruction, &mut out);
        out.push('\n');
    }
    Ok(out)
}
