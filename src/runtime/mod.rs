//! What a compiled network runs on: ring buffers, synapse rows, stages of shared work. Knows no IR and no compiler.
//!
//! Targets are partitioned into as many shares as there are threads: each holds contiguous ranges of every population, with their
//! states, their ring buffers and the synapses that land on them. A window of minimum delay is one stage: it delivers all spikes of
//! the window before into each share's own rings, in the same order whatever the partition, and makes the share's steps.

pub mod aligned;
mod column;
mod indices;
pub mod pages;
mod pair_map;
pub mod ring;
pub mod rows;
pub mod rows_builder;
pub mod stages;
mod winners;

pub use aligned::Aligned;
pub use column::Column;
pub use indices::Indices;
pub use ring::{Ring, RingData, RingKind};
pub use rows::{Delays, Rows, Weights};
pub use rows_builder::{DelayForm, RowsBuilder, WeightForm};
pub use stages::Stages;
pub use winners::Winners;

/// Neurons of one share: `lo .. hi` of `n` neurons in blocks of 64, so that draws and masks fall on whole words.
pub fn share(n: u32, thread: usize, threads: usize) -> (u32, u32) {
    let blocks = u64::from(n.div_ceil(64));
    let at = |t: usize| ((blocks * t as u64 / threads as u64) * 64).min(u64::from(n)) as u32;
    (at(thread), at(thread + 1))
}
