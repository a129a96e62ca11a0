//! What circuits do, against what mathematics says that they do: closed formulas, orders of convergence, moments of random
//! numbers, degrees of random graphs.
//!
//! Seeds are fixed, so a test of a random quantity gives the same value every time; its bound is four standard errors, which a
//! right program misses for one seed in 16,000.

mod coupling;
mod firing;
mod integration;
mod randomness;
mod wiring;
