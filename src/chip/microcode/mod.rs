//! The programs that a neuron core runs for each of its compartments.
//!
//! The operations are those that Intel's public technology brief on Loihi 2 lists; their operands, rounding and text form are
//! nsmc's own, since no encoding is public. Operations that the brief does not list begin with `X.`. A program runs once per step
//! and compartment, from its first operation to its last, and can only go forwards, so it always ends.
//!
//! | text | what |
//! |---|---|
//! | `RDC d, acc` | reads a dendritic accumulator and clears it |
//! | `RMW s` | opens a word of the compartment's state: read and written from here on |
//! | `MOV d, a` · `NEG d, a` | copies, negates |
//! | `SEL d, a, b` | a where the flag c is set, else b |
//! | `ADD` `AND` `OR` `MIN d, a, b` | |
//! | `SHL d, a, n` | a times 2^n |
//! | `MUL_SHR d, a, b, n` | a times b over 2^n, cut towards zero |
//! | `LT` `GE` `EQ a, b` | sets c |
//! | `SKP_A n` · `SKP_B n` | leaves out the next n (at most 7) operations where c is set · clear |
//! | `JMP_A n` · `JMP_B n` | the same, at most 255 |
//! | `SPIKE p` | sends a spike with payload p at the end of the step |
//! | `X.WRAP24 s` | one correction by 2^24 where s leaves -2^23 < s <= 2^23, as Lava's fixed-point LIF does |
//! | `X.CLIP24 s` | saturates at 2^23 - 1 on both sides |
//! | `X.RAND d, n` | n random bits |
//!
//! Operands are words of the state, locals (cleared at the start), shared constants of the profile, or whole numbers. Registers
//! hold 48 bits.

mod assemble;
mod isa;

pub use assemble::{Syntax, assemble};
pub use isa::{Binary, Compare, Op, Operand, Place, Program, StateWord};

/// Bits of a register.
pub const REGISTER_BITS: u32 = 48;
/// Operations that `SKP` may leave out.
pub const MAX_SKIP: u32 = 7;
/// Operations that `JMP` may leave out.
pub const MAX_JUMP: u32 = 255;
