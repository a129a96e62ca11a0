//! What a compiled network runs on: ring buffers, synapse rows, the barrier. Knows no IR and no compiler.
//!
//! Targets are partitioned among the threads: each owns contiguous ranges of every population, with their states, their ring
//! buffers and the synapses that land on them. Spikes of a window of minimum delay are exchanged at one barrier; then every
//! thread delivers all of them into its own rings, in the same order whatever the partition.

pub mod aligned;
pub mod barrier;
pub mod ring;
pub mod rows;
pub mod rows_builder;
mod winners;

pub use aligned::Aligned;
pub use barrier::Barrier;
pub use ring::{Ring, RingData, RingKind};
pub use rows::{Delays, Rows, Targets, Weights};
pub use rows_builder::{DelayForm, RowsBuilder, WeightForm};
pub use winners::Winners;

/// Neurons of one thread: `lo .. hi` of `n` neurons in blocks of 64, so that draws and masks fall on whole words.
pub fn share(n: u32, thread: usize, threads: usize) -> (u32, u32) {
    let blocks = u64::from(n.div_ceil(64));
    let at = |t: usize| ((blocks * t as u64 / threads as u64) * 64).min(u64::from(n)) as u32;
    (at(thread), at(thread + 1))
}
