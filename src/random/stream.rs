//! Sequential streams for building: as many numbers as a draw happens to need, one after another.
//!
//! A stream is private to (key, element): word i is a word of Philox at the counter [block low, block high, element low,
//! element high], so streams of different elements never meet and can be drawn in any order. How many words a method
//! consumes may depend on the numbers drawn (rejection), and is part of the output contract.

use super::StreamKey;
use super::draws::{box_muller, open_unit};
use super::philox::{LANES, philox_lane};
use crate::numerics::dispatch::multiversion;

/// Words of eight blocks: number `8 w + l` is word w of block l.
const GROUP: usize = 4 * LANES;

/// Words made at once: two groups, whose latencies overlap.
pub(super) const BUFFER: usize = 2 * GROUP;

/// A sequence of independent random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    element: u64,
    /// The next block of counters.
    block: u64,
    words: [u32; BUFFER],
    /// Words of the buffer already used.
    used: usize,
    pub(super) spare_normal: Option<f64>,
}

multiversion! {
    fn refill / refill_at(words: &mut [u32; BUFFER], block: u64, element: u64, key: [u32; 2]) {
        for (group, words) in words.chunks_exact_mut(GROUP).enumerate() {
            let (low, high) = words.split_at_mut(2 * LANES);
            let ((a, b), (c, d)) = (low.split_at_mut(LANES), high.split_at_mut(LANES));
            // A multiple of the blocks of a buffer plus less than that carries nothing into the upper word.
            let first = (block & 0xffff_ffff) + (group * LANES) as u64;
            for lane in 0..LANES {
                let counter = [first + lane as u64, block >> 32, element & 0xffff_ffff, element >> 32];
                let words = philox_lane(counter, key);
                a[lane] = words[0] as u32;
                b[lane] = words[1] as u32;
                c[lane] = words[2] as u32;
                d[lane] = words[3] as u32;
            }
        }
    }
}

/// Word `block` of a stream's first eight.
#[inline(always)]
fn first_word(block: u64, element: u64, key: [u32; 2]) -> u64 {
    philox_lane([block, 0, element & 0xffff_ffff, element >> 32], key)[0]
}

/// `out[i]` = the value of element `first + i`, lane by lane. A macro, since a closure may be compiled for narrower lanes than what
/// calls it.
macro_rules! fill_first {
    ($first:ident, $out:ident, $element:ident => $value:expr) => {
        for (chunk, out) in $out.chunks_mut(LANES).enumerate() {
            let first = $first.wrapping_add((chunk * LANES) as u64);
            let mut values = [0.0; LANES];
            for (lane, value) in values.iter_mut().enumerate() {
                let $element = first.wrapping_add(lane as u64);
                *value = $value;
            }
            out.copy_from_slice(&values[..out.len()]);
        }
    };
}

multiversion! {
    /// `out[i]` = `Stream::new(key, first + i).normal()`, bit for bit, without a buffer of words for each.
    pub fn first_normals / first_normals_at(key: StreamKey, first: u64, out: &mut [f64]) {
        let key = key.sequential().words();
        fill_first!(first, out, element => {
            let a = open_unit(first_word(0, element, key), first_word(1, element, key));
            let b = open_unit(first_word(2, element, key), first_word(3, element, key));
            box_muller(a, b).0
        });
    }
}

multiversion! {
    /// `out[i]` = `Stream::new(key, first + i).uniform()`, bit for bit, without a buffer of words for each.
    pub fn first_uniforms / first_uniforms_at(key: StreamKey, first: u64, out: &mut [f64]) {
        let key = key.sequential().words();
        fill_first!(first, out, element => unit(first_word(1, element, key) << 32 | first_word(0, element, key)));
    }
}

/// 64 random bits as a number in [0, 1), a multiple of 2^-53.
#[inline(always)]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9007199254740992.0)
}

impl Stream {
    /// The stream of `element` under `key`.
    #[must_use]
    pub fn new(key: StreamKey, element: u64) -> Stream {
        Stream {
            key: key.sequential().words(),
            element,
            block: 0,
            words: [0; BUFFER],
            used: BUFFER,
            spare_normal: None,
        }
    }

    /// The words that are left of the buffer (at least one) after refilling an empty one.
    #[inline]
    pub(super) fn available(&mut self) -> &[u32] {
        if self.used == BUFFER {
            refill(&mut self.words, self.block, self.element, self.key);
            self.block = self.block.wrapping_add((BUFFER / 4) as u64);
            self.used = 0;
        }
        &self.words[self.used..]
    }

    /// A whole buffer of words; what was left of the last one is dropped.
    #[inline]
    pub(super) fn fresh(&mut self) -> &[u32; BUFFER] {
        self.used = BUFFER;
        self.available();
        self.used = BUFFER;
        &self.words
    }

    /// Marks `count` of the available words as used.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(BUFFER);
    }

    /// 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        let word = self.available()[0];
        self.used += 1;
        word
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        u64::from(self.next_u32()) << 32 | low
    }

    /// A whole number of 0 .. `n`, each equally likely (Lemire, ACM TOMACS 29, 2019); 0 if `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        if let Ok(n) = u32::try_from(n) {
            return u64::from(self.below_u32(n));
        }
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= n || product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    #[inline]
    fn below_u32(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            if product as u32 >= n || product as u32 >= n.wrapping_neg() % n {
                return (product >> 32) as u32;
            }
        }
    }

    /// A uniform number in [0, 1), a multiple of 2^-53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// A uniform number in (0, 1): neither bound, 52 random bits.
    #[inline]
    pub fn uniform_open(&mut self) -> f64 {
        let low = u64::from(self.next_u32());
        open_unit(low, u64::from(self.next_u32()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::check::assert_chi_square;
    use crate::random::{Purpose, philox4x32_10};

    fn key() -> StreamKey {
        StreamKey::new(3, "net.rec", Purpose::Connect)
    }

    fn stream(element: u64) -> Stream {
        Stream::new(key(), element)
    }

    #[test]
    fn words_are_philox_blocks() {
        for element in [0, 5, u64::MAX - 2] {
            let mut stream = stream(element);
            let key = key().sequential().words();
            for group in 0..5u32 {
                for word in 0..4 {
                    for lane in 0..8 {
                        let counter = [group * 8 + lane, 0, element as u32, (element >> 32) as u32];
                        assert_eq!(stream.next_u32(), philox4x32_10(counter, key)[word]);
                    }
                }
            }
        }
    }

    #[test]
    fn levels_agree() {
        use crate::numerics::dispatch::Level;
        let mut expected = [0; BUFFER];
        refill_at(Level::Baseline, &mut expected, (1 << 32) - 16, 77, [3, 4]);
        for level in Level::ALL {
            let mut found = [0; BUFFER];
            refill_at(level, &mut found, (1 << 32) - 16, 77, [3, 4]);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn first_numbers_are_those_of_the_streams() {
        use crate::numerics::dispatch::Level;
        for level in Level::ALL {
            for first in [0, 3, (1 << 32) - 5, u64::MAX - 3] {
                for n in [0, 1, 8, 13] {
                    let (mut normal, mut uniform) = (vec![0.0; n], vec![0.0; n]);
                    first_normals_at(level, key(), first, &mut normal);
                    first_uniforms_at(level, key(), first, &mut uniform);
                    for (k, (a, b)) in (0_u64..).zip(normal.iter().zip(&uniform)) {
                        let element = first.wrapping_add(k);
                        assert_eq!(a.to_bits(), stream(element).normal().to_bits());
                        assert_eq!(b.to_bits(), stream(element).uniform().to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn below_is_fair_and_in_range() {
        let mut stream = stream(1);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        assert_chi_square("a die", &counts, &[1.0 / 6.0; 6]);
        // A bound that 2^32 words cannot share out evenly: without rejection the lowest third would be too likely.
        let n = 3u64 << 30;
        let mut thirds = [0; 3];
        for _ in 0..60_000 {
            thirds[(stream.below(n) / (n / 3)) as usize] += 1;
        }
        assert_chi_square("thirds", &thirds, &[1.0 / 3.0; 3]);
        let n = 3u64 << 62;
        let mut thirds = [0; 3];
        for _ in 0..60_000 {
            thirds[(stream.below(n) / (n / 3)) as usize] += 1;
        }
        assert_chi_square("large thirds", &thirds, &[1.0 / 3.0; 3]);
        assert_eq!((stream.below(0), stream.below(1)), (0, 0));
    }
}
