//! The integration tests: one binary over the corpus of `.nsm` files.

// Tests write scratch files as they like; the product goes through `cli::files`.
#![allow(clippy::disallowed_methods)]

mod balance;
mod behaviour;
mod checkpoint;
mod chip;
mod cli;
mod closed_loop;
mod codes;
mod common;
mod depth;
mod equivalence;
mod errors;
mod golden;
mod guide;
mod lab;
mod layering;
mod nir;
mod printed;
mod project;
mod report;
mod simulation;
mod statements;
mod tools;
