//! `nsm`: a declarative language and compiler for brain-inspired spiking circuits.
//!
//! The path of a circuit: [`syntax`] (text to tree) -> [`sema`] (names, imports, units: tree to [`hir`]) -> [`lower`] (params fixed,
//! loops unrolled, solvers chosen, units gone) -> [`ir`] (a graph of populations and projections) -> [`passes`] -> [`valid`] ->
//! [`backend`] (interpreter or machine code) -> [`execute`] (walks the experiment) -> [`record`], [`plot`]. [`driver`] is the only
//! place that names this order. [`Simulation`] embeds a circuit in a program of its own.

// Unit tests compare with the system's own functions and write scratch files.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod backend;
pub mod base;
pub mod checks;
pub mod chip;
pub mod cli;
pub mod connect;
pub mod doc;
pub mod driver;
pub mod execute;
pub mod fmt;
pub mod graph;
pub mod hir;
pub mod ir;
pub mod lower;
pub mod meanfield;
pub mod nir;
pub mod numerics;
pub mod passes;
pub mod plot;
pub mod random;
pub mod record;
pub mod report;
pub mod runtime;
pub mod script;
pub mod sema;
pub mod simulation;
pub mod stdlib;
pub mod syntax;
pub mod units;
pub mod valid;

pub use simulation::Simulation;
