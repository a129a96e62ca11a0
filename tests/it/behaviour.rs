//! What circuits do, against what mathematics says that they do: closed formulas, orders of convergence, moments of random
//! numbers, degrees of random graphs, and published properties of the library's cells.
//!
//! Seeds are fixed, so a test of a random quantity gives the same value every time; its bound is four standard errors, which a
//! right program misses for one seed in 16,000.

mod adaptation;
mod adaptive;
mod axon;
mod compartments;
mod coupling;
mod escape;
mod firing;
mod integration;
mod interneuron;
mod learning;
mod modulated;
mod procedural;
mod randomness;
mod receptors;
mod rewiring;
mod windows;
mod wiring;
