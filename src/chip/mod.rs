//! Circuits on neuromorphic chips: what a chip can hold, and which core holds what.
//!
//! - `target`: the figures of a chip, each with its mark and source.
//! - `map`: neurons to cores, cores to places on the mesh, packets to routes; with checks that recompute what each promises.

pub mod map;
pub mod target;
