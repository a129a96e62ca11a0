//! Sets of small numbers as bits.

/// How far [`list`] may write past its last result.
pub const SLACK: usize = 8;

/// Writes the places of set bits, ascending, from `at` on; gives where they end. `out` has room for them and [`SLACK`] more.
pub fn list<T: Copy + Default>(
    words: impl IntoIterator<Item = u64>,
    make: impl Fn(u32) -> T,
    out: &mut [T],
    mut at: usize,
) -> usize {
    for (base, mut bits) in (0..).step_by(64).zip(words) {
        let mut left = bits.count_ones() as usize;
        // Eight at a time without asking whether they are there: mispredicted branches cost more than idle writes.
        while left > 0 {
            let mut eight = [T::default(); SLACK];
            for place in &mut eight {
                *place = make(base + bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            out[at..at + SLACK].copy_from_slice(&eight);
            let taken = left.min(SLACK);
            at += taken;
            left -= taken;
        }
    }
    at
}
