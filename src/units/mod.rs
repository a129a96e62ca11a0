//! Dimensions, units and quantities: parse, convert, print.
//!
//! Pure arithmetic on powers of ten; imports nothing of the project. A scale is never a float that is multiplied
//! through: a literal and its unit become one decimal number that is rounded once, so `10 ms` and `0.01 s` are the
//! same bits.
//!
//! Values inside the compiler and the runtime are in **internal units**, a coherent system of powers of ten:
//!
//! | quantity | internal | | quantity | internal |
//! |---|---|---|---|---|
//! | time | ms | | rate | ms^-1 (kHz) |
//! | voltage | mV | | conductance | nS |
//! | current | pA | | capacitance | pF |
//! | length | um | | resistance | GOhm |
//! | concentration | mM | | charge | fC |
//! | temperature | K | | energy, power | aJ, fW |
//!
//! Coherent means that a formula written over quantities holds, unchanged, over the internal numbers.

pub mod decimal;
pub mod dimension;
pub mod display;
pub mod unit;

pub use decimal::{NumberError, quantity_value};
pub use dimension::Dimension;
pub use display::{bytes_text, display, display_in, heading, number, rounded};
pub use unit::{Unit, UnitError, from_si, internal_exponent, parse_unit, to_si};
