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
mod part;
pub mod ring;
pub mod rows;
pub mod rows_builder;
pub mod stages;
mod winners;

pub use aligned::Aligned;
pub use column::Column;
pub use indices::Indices;
pub use part::Part;
pub use ring::{Ring, RingData, RingKind};
pub use rows::{Delays, Rows, Weights};
pub use rows_builder::{DelayForm, RowsBuilder, WeightForm};
pub use stages::Stages;
pub use winners::Winners;

/// The neurons of each share in populations of these sizes: `[population][share]`, `lo .. hi` in blocks of 64, so that draws and masks
/// fall on whole words. Small populations among many are not cut; each goes to the share that has the fewest neurons so far.
pub fn shares(sizes: &[u32], threads: usize) -> Vec<Vec<(u32, u32)>> {
    let all: u64 = sizes.iter().map(|n| u64::from(*n)).sum();
    let mut given = vec![0_u64; threads];
    let mut out = Vec::with_capacity(sizes.len());
    for n in sizes.iter().copied() {
        let blocks = u64::from(n.div_ceil(64));
        let whole = blocks < 2 * threads as u64 && u64::from(n) * 4 * threads as u64 <= all;
        let least = (0..threads).min_by_key(|t| given[*t]).unwrap_or(0);
        let at = |t: usize| match whole {
            true => u32::from(t > least) * n,
            false => ((blocks * t as u64 / threads as u64) * 64).min(u64::from(n)) as u32,
        };
        let ranges: Vec<(u32, u32)> = (0..threads).map(|t| (at(t), at(t + 1))).collect();
        ranges.iter().zip(&mut given).for_each(|((lo, hi), given)| *given += u64::from(hi - lo));
        out.push(ranges);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn shares_are_of_one_size_and_hold_every_neuron_once() {
        assert_eq!(shares(&[1000, 70], 1), [[(0, 1000)], [(0, 70)]]);
        assert_eq!(shares(&[1000], 2), [[(0, 512), (512, 1000)]]);
        // Too few populations to give whole ones away.
        assert_eq!(shares(&[128], 2), [[(0, 64), (64, 128)]]);
        let sizes: Vec<u32> = (0..300).map(|k| if k % 2 == 0 { 80 } else { 20 }).collect();
        let all = shares(&sizes, 3);
        for (n, ranges) in sizes.iter().zip(&all) {
            assert_eq!((ranges[0].0, ranges[2].1), (0, *n));
            assert!(ranges.windows(2).all(|w| w[0].1 == w[1].0));
        }
        let of = |t: usize| all.iter().map(|r| r[t].1 - r[t].0).sum::<u32>();
        assert!((0..3).all(|t| of(t).abs_diff(5000) <= 80), "{:?}", [of(0), of(1), of(2)]);
    }
}
