//! Numbers that come out the same everywhere: elementary functions and small matrices.
//!
//! Everything here is built from operations that IEEE 754 defines exactly (add, multiply, divide, square root, fused
//! multiply-add, comparison), in one fixed order. So a result has the same bits on every machine, for every vector
//! width and for any split of an array over threads; the system's own `libm` promises none of that.
//!
//! The room knows nothing of the language. It imports no other room.

pub mod bits;
pub mod dispatch;
pub mod math;
pub mod matrix;

mod double_double;
pub use math::*;
