//! Sets of small numbers as bits.

use super::dispatch::multiversion;

/// How far [`list_wide`] and [`list_narrow`] may write past their last result.
pub const SLACK: usize = 4;

multiversion! {
    /// Writes the places of set bits, ascending, from `at` on; gives where they end. `out` has room for them and [`SLACK`] more.
    pub fn list_wide / list_wide_at(words: &[u64], out: &mut [u32], at: usize) -> usize {
        list(words, |place| place, out, at)
    }
}

multiversion! {
    /// As [`list_wide`] below 2^16.
    pub fn list_narrow / list_narrow_at(words: &[u64], out: &mut [u16], at: usize) -> usize {
        list(words, |place| place as u16, out, at)
    }
}

#[inline(always)]
fn list<T>(words: &[u64], make: impl Fn(u32) -> T, out: &mut [T], mut at: usize) -> usize {
    for (base, word) in (0..).step_by(64).zip(words) {
        let mut bits = *word;
        let end = at + bits.count_ones() as usize;
        // Some at a time without asking whether they are there: mispredicted branches cost more than idle writes.
        while at < end {
            for place in &mut out[at..at + SLACK] {
                *place = make(base + bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            at += SLACK;
        }
        at = end;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::dispatch::Level;

    #[test]
    fn places_of_all_sets() {
        let words = [0, 1, u64::MAX, 1 << 63, 0x8000_0001_0010_0401, 0, 6];
        let expected: Vec<u32> =
            (0..64 * words.len() as u32).filter(|k| words[*k as usize / 64] >> (k % 64) & 1 == 1).collect();
        for level in Level::ALL {
            let (mut wide, mut narrow) = (vec![7; 200], vec![7; 200]);
            let ends = (list_wide_at(level, &words, &mut wide, 3), list_narrow_at(level, &words, &mut narrow, 5));
            assert_eq!(ends, (3 + expected.len(), 5 + expected.len()));
            assert_eq!((&wide[..3], &wide[3..ends.0]), (&[7; 3][..], &expected[..]));
            assert!(narrow[5..ends.1].iter().map(|k| u32::from(*k)).eq(expected.iter().copied()));
        }
    }
}
