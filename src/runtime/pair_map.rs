//! A bit for every pair of neurons: what dense rows are made from where all synapses are alike.
//!
//! Where more than one pair in sixteen is connected, a map takes no more room than a list, and turning it from targets to sources is
//! a matter of a few operations for 64 pairs, where a list is sorted synapse by synapse.

use super::indices::Indices;
use super::pages;
use crate::numerics::bits::{SLACK, list_narrow, list_wide};

/// Words of 64 sources that are turned together: a line of the cache.
const BAND: usize = 8;

/// Blocks of 64 targets that are turned together: what they read stays in the nearest cache for all words of a band, and what they
/// write lies side by side.
const BLOCKS: usize = 4;

/// `[target][source]`, sources in words of 64, the lowest in the first byte.
pub struct PairMap {
    n_pre: u32,
    /// Words of a target.
    stride: usize,
    bytes: Vec<u8>,
    /// Targets that were given.
    targets: u32,
}

impl PairMap {
    pub fn new(n_pre: u32, range: u32) -> PairMap {
        let stride = n_pre.div_ceil(64) as usize;
        PairMap { n_pre, stride, bytes: pages::filled(8 * stride * range as usize), targets: 0 }
    }

    /// Takes the sources of a target. False where it can't hold them: not strictly ascending, or of a target before the last.
    pub fn push(&mut self, target: u32, pres: &[u32]) -> bool {
        if target < self.targets || !pres.is_sorted_by(|a, b| a < b) {
            return false;
        }
        self.targets = target + 1;
        let row = &mut self.bytes[8 * target as usize * self.stride..][..8 * self.stride];
        for pre in pres {
            // Bytes: the fewer synapses change the same one, the fewer wait for each other.
            row[(*pre / 8) as usize] |= 1 << (*pre % 8);
        }
        true
    }

    /// As [`PairMap::push`], with a bit for each source in words of 64. False where the target is one before the last.
    pub fn push_marked(&mut self, target: u32, pres: &[u64]) -> bool {
        if target < self.targets {
            return false;
        }
        self.targets = target + 1;
        let row = &mut self.bytes[8 * target as usize * self.stride..][..8 * self.stride];
        for (bytes, word) in row.as_chunks_mut::<8>().0.iter_mut().zip(pres) {
            *bytes = word.to_le_bytes();
        }
        true
    }

    fn word(&self, target: usize, word: usize) -> u64 {
        let at = 8 * (target * self.stride + word);
        self.bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Targets that were given, with their sources, ascending.
    pub fn lists(&self, mut each: impl FnMut(u32, &[u32])) {
        for target in 0..self.targets {
            let words: Vec<u64> = (0..self.stride).map(|k| self.word(target as usize, k)).collect();
            let mut pres = vec![0; count(&words) + SLACK];
            let listed = list_wide(&words, &mut pres, 0);
            each(target, &pres[..listed]);
        }
    }

    /// Starts of the rows of all sources, and their targets; narrow where 16 bits hold them.
    pub fn rows(&self, narrow: bool) -> (Vec<u64>, Indices) {
        if narrow {
            let (starts, targets) = self.listed(list_narrow);
            (starts, Indices::Narrow(targets))
        } else {
            let (starts, targets) = self.listed(list_wide);
            (starts, Indices::Wide(targets))
        }
    }

    fn listed<T: Copy + Default>(&self, list: impl Fn(&[u64], &mut [T], usize) -> usize) -> (Vec<u64>, Vec<T>) {
        let across = (self.targets as usize).div_ceil(64);
        let mut starts = Vec::with_capacity(self.n_pre as usize + 1);
        starts.push(0);
        let total: usize =
            self.bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w).count_ones() as usize).sum();
        let (mut targets, mut listed) = (pages::filled::<T>(total + SLACK), 0);
        let mut turned = vec![0_u64; BAND * 64 * across];
        for first in (0..self.stride).step_by(BAND) {
            let words = BAND.min(self.stride - first);
            for (blocks, word) in (0..across).step_by(BLOCKS).flat_map(|b| (0..words).map(move |word| (b, word))) {
                for block in blocks..across.min(blocks + BLOCKS) {
                    let inside = 64.min(self.targets as usize - 64 * block);
                    let mut square = [0; 64];
                    for (k, bits) in square[..inside].iter_mut().enumerate() {
                        *bits = self.word(64 * block + k, first + word);
                    }
                    transpose(&mut square);
                    for (k, bits) in square.into_iter().enumerate() {
                        turned[(64 * word + k) * across + block] = bits;
                    }
                }
            }
            let sources = (64 * words).min(self.n_pre as usize - 64 * first);
            for row in turned.chunks_exact(across.max(1)).take(sources) {
                listed = list(row, &mut targets, listed);
                starts.push(listed as u64);
            }
        }
        targets.truncate(total);
        starts.resize(self.n_pre as usize + 1, total as u64);
        (starts, targets)
    }
}

fn count(words: &[u64]) -> usize {
    words.iter().map(|w| w.count_ones() as usize).sum()
}

/// Exchanges rows and columns: bit j of word i becomes bit i of word j (Warren, Hacker's Delight, 7-3).
fn transpose(square: &mut [u64; 64]) {
    exchange::<32>(square, 0x0000_0000_ffff_ffff);
    exchange::<16>(square, 0x0000_ffff_0000_ffff);
    exchange::<8>(square, 0x00ff_00ff_00ff_00ff);
    exchange::<4>(square, 0x0f0f_0f0f_0f0f_0f0f);
    exchange::<2>(square, 0x3333_3333_3333_3333);
    exchange::<1>(square, 0x5555_5555_5555_5555);
}

/// Exchanges the squares of `WIDTH` off the diagonal; `mask` has the lower half of the bits of two of them.
#[inline(always)]
fn exchange<const WIDTH: usize>(square: &mut [u64; 64], mask: u64) {
    for pair in square.chunks_exact_mut(2 * WIDTH) {
        let (upper, lower) = pair.split_at_mut(WIDTH);
        for (a, b) in upper.iter_mut().zip(lower) {
            let exchanged = (*a >> WIDTH ^ *b) & mask;
            *a ^= exchanged << WIDTH;
            *b ^= exchanged;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_what_targets_were_given() {
        for (n_pre, range) in [(1, 1), (64, 64), (65, 130), (700, 3), (3, 700), (1000, 300)] {
            let mut map = PairMap::new(n_pre, range);
            let connected = |pre: u32, post: u32| (pre * 31 + post * 17 + pre * post) % 7 < 2;
            for post in 0..range {
                let pres: Vec<u32> = (0..n_pre).filter(|pre| connected(*pre, post)).collect();
                assert!(map.push(post, &pres));
            }
            let mut marked = PairMap::new(n_pre, range);
            for post in 0..range {
                let mut words = vec![0_u64; n_pre.div_ceil(64) as usize];
                (0..n_pre)
                    .filter(|pre| connected(*pre, post))
                    .for_each(|pre| words[pre as usize / 64] |= 1 << (pre % 64));
                assert!(marked.push_marked(post, &words));
            }
            assert!(marked.bytes == map.bytes);
            for narrow in [false, true] {
                let (starts, targets) = map.rows(narrow);
                assert_eq!((starts.len(), targets.is_narrow()), (n_pre as usize + 1, narrow));
                for pre in 0..n_pre {
                    let row =
                        (starts[pre as usize] as usize..starts[pre as usize + 1] as usize).map(|k| targets.get(k));
                    assert!(row.eq((0..range).filter(|post| connected(pre, *post))), "row {pre} of {n_pre} x {range}");
                }
            }
            map.lists(|post, pres| {
                assert!(pres.iter().copied().eq((0..n_pre).filter(|pre| connected(*pre, post))), "{post}");
            });
        }
    }

    #[test]
    fn what_it_cannot_hold_is_refused() {
        let mut map = PairMap::new(10, 5);
        assert!(map.push(1, &[2, 3]) && !map.push(2, &[4, 4]) && !map.push(2, &[5, 1]) && !map.push(1, &[]));
        assert!(map.push(4, &[]));
        assert!(!map.push_marked(3, &[1]));
        assert_eq!(map.rows(true), (vec![0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2], Indices::Narrow(vec![1, 1])));
    }
}
