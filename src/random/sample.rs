//! Subsets, repetitions and permutations from a stream: the raw material of connectivity.

use super::Stream;
use super::draws::open_unit;
use super::stream::BUFFER;
use crate::numerics::bits::{SLACK, list_wide};
use crate::numerics::dispatch::multiversion;
use crate::numerics::math::{kernel, ln1p};

impl Stream {
    /// Puts a slice into random order, each equally likely (Fisher and Yates, from the back).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.below(last as u64 + 1) as usize;
            items.swap(last, chosen);
        }
    }

    /// Replaces `out` by `k` distinct numbers of 0 .. `n` in ascending order, every subset equally likely. All of them
    /// if `k` exceeds `n`.
    ///
    /// Numbers are drawn and those already present drawn again. More than half of all are chosen by what they leave
    /// out.
    pub fn sample_sorted(&mut self, n: u32, k: u32, out: &mut Vec<u32>, room: &mut Room) {
        out.clear();
        if k >= n {
            out.extend(0..n);
        } else if is_marked(n, k) {
            self.mark(n, k, room);
            out.resize(k as usize + SLACK, 0);
            list_wide(&room.words, out, 0);
            out.truncate(k as usize);
        } else {
            self.sample_by_sorting(n, k, out);
        }
    }

    /// The same choice as words of 64 bits, the lowest in the first, where it is made so; `None` where it is made otherwise.
    pub fn sample_marked<'r>(&mut self, n: u32, k: u32, room: &'r mut Room) -> Option<&'r mut Vec<u64>> {
        if k >= n || !is_marked(n, k) {
            return None;
        }
        self.mark(n, k, room);
        Some(&mut room.words)
    }

    fn sample_by_sorting(&mut self, n: u32, k: u32, out: &mut Vec<u32>) {
        let k = k as usize;
        while out.len() < k {
            // Exactly as many as are missing, so that no choice among too many is needed.
            for _ in out.len()..k {
                let candidate = self.below(u64::from(n)) as u32;
                out.push(candidate);
            }
            out.sort_unstable();
            out.dedup();
        }
    }

    /// Replaces the words of `room` by `k` of `n` bits.
    fn mark(&mut self, n: u32, k: u32, room: &mut Room) {
        let inverted = k > n / 2;
        let wanted = if inverted { n - k } else { k };
        let words = n.div_ceil(64) as usize;
        room.words.clear();
        room.words.resize(words, 0);
        let mut missing = wanted;
        if n / BYTES < wanted {
            room.bytes.clear();
            room.bytes.resize(64 * words, 0);
            self.mark_bytes(n, wanted, &mut room.bytes);
            missing -= pack(&room.bytes, &mut room.words);
        }
        self.mark_bits(n, missing, &mut room.words);
        if inverted {
            for word in &mut room.words {
                *word = !*word;
            }
            clear_beyond(n, &mut room.words);
        }
    }

    /// Draws `draws` of the first `n` bytes and sets them to 1, whether or not they are set.
    fn mark_bytes(&mut self, n: u32, draws: u32, bytes: &mut [u8]) {
        let mut left = draws as usize;
        let mut chosen = [0; BUFFER];
        while left > 0 {
            let (drawn, kept) = self.choose_next(n, &mut chosen[..left.min(BUFFER)]);
            for place in &chosen[..kept] {
                bytes[*place as usize] = 1;
            }
            left -= drawn;
        }
    }

    /// Sets `missing` bits more among the first `n`.
    fn mark_bits(&mut self, n: u32, missing: u32, bits: &mut [u64]) {
        let mut missing = missing as usize;
        let mut chosen = [0; BUFFER];
        while missing > 0 {
            // No more than are missing, so the loop can't overshoot and needs no branch.
            let (_, kept) = self.choose_next(n, &mut chosen[..missing.min(BUFFER)]);
            let mut fresh = 0;
            for place in &chosen[..kept] {
                let word = &mut bits[(*place / 64) as usize];
                fresh += !*word >> (*place % 64) & 1;
                *word |= 1 << (*place % 64);
            }
            missing -= fresh as usize;
        }
    }

    /// Replaces `out` by `k` independent numbers of 0 .. `n`, in the order drawn; none if `n` is 0.
    pub fn sample_with_replacement(&mut self, n: u32, k: u32, out: &mut Vec<u32>) {
        out.clear();
        if n == 0 {
            return;
        }
        out.resize(k as usize, 0);
        let mut missing = out.as_mut_slice();
        while !missing.is_empty() {
            let (_, kept) = self.choose_next(n, missing);
            missing = &mut missing[kept..];
        }
    }

    /// Lets as many of the available words as there is room for choose of 0 .. `n`; gives how many these were, and how many of them chose.
    fn choose_next(&mut self, n: u32, chosen: &mut [u32]) -> (usize, usize) {
        let words = self.available();
        let count = words.len().min(chosen.len());
        let kept = choose(&words[..count], n, &mut chosen[..count]);
        self.consume(count);
        (count, kept)
    }

    /// As [`Stream::sample_with_replacement`], in ascending order.
    pub fn sample_with_replacement_sorted(&mut self, n: u32, k: u32, out: &mut Vec<u32>, room: &mut Room) {
        self.sample_with_replacement(n, k, out);
        sort_below(n, out, &mut room.sorting);
    }

    /// Replaces `out` by those of 0 .. `n` that succeed independently with probability `p`, in ascending order. `p` is
    /// clamped to 0 .. 1, NaN counts as 0.
    ///
    /// Below 1/4 by geometric skips (53-bit uniforms through a logarithm), else by comparing one 32-bit word each, which
    /// rounds `p` to a multiple of 2^-32.
    pub fn bernoulli_indices(&mut self, n: u32, p: f64, out: &mut Vec<u32>, room: &mut Room) {
        out.clear();
        if p.is_nan() || p <= 0.0 || n == 0 {
            return;
        }
        if p >= 1.0 {
            out.extend(0..n);
        } else if p < 0.25 {
            self.bernoulli_by_skips(n, p, out);
        } else {
            self.bernoulli_by_words(n, p, out, room);
        }
    }

    fn bernoulli_by_skips(&mut self, n: u32, p: f64, out: &mut Vec<u32>) {
        let inverse = 1.0 / ln1p(-p);
        let end = u64::from(n);
        let mut passed = 0;
        let mut skips = [0; SKIPS];
        let mut places = [0; SKIPS];
        loop {
            geometric_skips(self.fresh(), inverse, &mut skips);
            let mut kept = 0;
            for (place, skip) in places.iter_mut().zip(&skips) {
                passed += skip;
                *place = passed.wrapping_sub(1) as u32;
                kept += usize::from(passed <= end);
            }
            out.extend_from_slice(&places[..kept]);
            if kept < SKIPS {
                return;
            }
        }
    }

    fn bernoulli_by_words(&mut self, n: u32, p: f64, out: &mut Vec<u32>, room: &mut Room) {
        // p >= 1/4, so there is a largest word that succeeds; p next to 1 makes it the largest of all.
        let largest = ((p * 4294967296.0).round() - 1.0) as u32;
        out.resize(n as usize + SLACK, 0);
        room.words.clear();
        room.words.extend((0..n.div_ceil(64)).map(|_| successes(self.fresh(), largest)));
        clear_beyond(n, &mut room.words);
        let kept = list_wide(&room.words, out, 0);
        out.truncate(kept);
    }
}

/// Skips made from one buffer of words.
const SKIPS: usize = BUFFER / 2;

multiversion! {
    /// Distances from one success to the next, at least 1; beyond 2^33 they are cut off there. `inverse` is
    /// 1 / ln(1 - p).
    fn geometric_skips / geometric_skips_at(words: &[u32; BUFFER], inverse: f64, skips: &mut [u64; SKIPS]) {
        const FAR: f64 = 8589934592.0;
        let (low, high) = words.split_at(SKIPS);
        for i in 0..SKIPS {
            let skip = kernel::ln_normal(open_unit(u64::from(low[i]), u64::from(high[i]))) * inverse;
            let skip = skip.floor() + 1.0;
            skips[i] = if skip < FAR { skip } else { FAR } as u64;
        }
    }
}

multiversion! {
    /// A bit for every word that is at most `largest`.
    fn successes / successes_at(words: &[u32; BUFFER], largest: u32) -> u64 {
        let mut mask = 0;
        for (i, &word) in words.iter().enumerate() {
            mask |= u64::from(word <= largest) << i;
        }
        mask
    }
}

/// What choices need, kept between calls.
#[derive(Default)]
pub struct Room {
    /// A bit for each candidate.
    words: Vec<u64>,
    /// A byte for each candidate.
    bytes: Vec<u8>,
    sorting: Vec<u32>,
}

/// So few are sorted rather than marked.
const FEW: u32 = 12;

/// Whether `k` of `n` are marked rather than sorted: a map of all candidates costs n / 64 words and an uncertain branch for each of
/// them, sorting some 10 ns per chosen one and more the longer the list.
fn is_marked(n: u32, k: u32) -> bool {
    k > FEW && u64::from(n) <= 256 * u64::from(k)
}

/// Where more than one in so many is chosen, bytes are marked first, and bits only for what is missing then: a byte's mark waits for
/// no other, and turning bytes into bits costs a few operations for 8 candidates.
const BYTES: u32 = 16;

/// What words choose of 0 .. `n` by Lemire's method, without those that have to be left out; gives how many choose.
fn choose(words: &[u32], n: u32, chosen: &mut [u32]) -> usize {
    let threshold = n.wrapping_neg() % n;
    if all_choose(words, n, threshold, chosen) {
        return words.len();
    }
    let mut kept = 0;
    for word in words {
        let product = u64::from(*word) * u64::from(n);
        chosen[kept] = (product >> 32) as u32;
        kept += usize::from(product as u32 >= threshold);
    }
    kept
}

multiversion! {
    /// What every word would choose; false where one of them has to be left out.
    fn all_choose / all_choose_at(words: &[u32], n: u32, threshold: u32, chosen: &mut [u32]) -> bool {
        let mut left_out = false;
        for (word, chosen) in words.iter().zip(chosen) {
            let product = u64::from(*word) * u64::from(n);
            *chosen = (product >> 32) as u32;
            left_out |= (product as u32) < threshold;
        }
        !left_out
    }
}

multiversion! {
    /// Bytes of 0 or 1 as bits; gives how many are set.
    fn pack / pack_at(bytes: &[u8], words: &mut [u64]) -> u32 {
        let mut set = 0;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<64>().0) {
            *word = 0;
            for (k, sixteen) in bytes.as_chunks::<16>().0.iter().enumerate() {
                *word |= u64::from(pack_sixteen(sixteen)) << (16 * k);
            }
            set += word.count_ones();
        }
        set
    }
}

/// Bytes of 0 or 1 as bits.
#[inline(always)]
fn pack_sixteen(bytes: &[u8; 16]) -> u16 {
    let [low, high] = [&bytes[..8], &bytes[8..]].map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()));
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_movemask_epi8, _mm_set_epi64x, _mm_slli_epi16};
        // It takes the highest bit of each byte.
        // SAFETY: SSE2 is a part of x86-64.
        unsafe { _mm_movemask_epi8(_mm_slli_epi16::<7>(_mm_set_epi64x(high.cast_signed(), low.cast_signed()))) as u16 }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // Bit 8 i of the word goes to bit 56 + i of the product, and nothing else meets it there.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let gather = |eight: u64| eight.wrapping_mul(GATHER) >> 56;
        (gather(low) | gather(high) << 8) as u16
    }
}

/// Clears the bits from `n` on, all of them in the last word.
fn clear_beyond(n: u32, words: &mut [u64]) {
    if let Some(last) = words.last_mut()
        && !n.is_multiple_of(64)
    {
        *last &= (1 << (n % 64)) - 1;
    }
}

/// Sorts numbers below `n` by their bytes, least significant first; short lists by comparison.
fn sort_below(n: u32, values: &mut Vec<u32>, scratch: &mut Vec<u32>) {
    if values.len() < 128 {
        values.sort_unstable();
        return;
    }
    scratch.resize(values.len(), 0);
    let bits = 32 - n.saturating_sub(1).leading_zeros();
    let mut shift = 0;
    while shift < bits {
        let mut starts = [0u32; 256];
        for value in values.iter() {
            starts[(value >> shift & 0xff) as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            (*start, sum) = (sum, sum + *start);
        }
        for value in values.iter() {
            let place = &mut starts[(value >> shift & 0xff) as usize];
            scratch[*place as usize] = *value;
            *place += 1;
        }
        std::mem::swap(values, scratch);
        shift += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::check::assert_chi_square;
    use crate::random::{Purpose, StreamKey};

    fn stream(element: u64) -> Stream {
        Stream::new(StreamKey::new(3, "net.rec", Purpose::Connect), element)
    }

    fn is_strictly_ascending(values: &[u32]) -> bool {
        values.windows(2).all(|two| two[0] < two[1])
    }

    #[test]
    fn samples_are_distinct_ascending_and_complete() {
        let (mut out, mut room) = (vec![99; 7], Room::default());
        for (n, k) in [
            (0, 0),
            (1, 0),
            (1, 1),
            (2, 1),
            (5, 9),
            (63, 31),
            (64, 32),
            (64, 33),
            (65, 64),
            (127, 100),
            (128, 1),
            (1000, 10),
            (1000, 999),
            (10_000, 1000),
            (10_000, 9_000),
            (1_000_000, 7),
            (u32::MAX, 3),
            (1 << 20, 1 << 13),
        ] {
            for element in 0..20 {
                stream(element).sample_sorted(n, k, &mut out, &mut room);
                assert_eq!(out.len(), k.min(n) as usize, "{k} of {n}");
                assert!(is_strictly_ascending(&out) && out.iter().all(|&i| i < n), "{k} of {n}");
            }
        }
    }

    #[test]
    fn marks_are_the_choice() {
        let (mut out, mut room, mut marks) = (Vec::new(), Room::default(), Room::default());
        for (n, k) in [(13, 13), (300, 12), (300, 13), (6400, 25), (6401, 25), (6401, 26), (1000, 900), (10_000, 1000)]
        {
            let words = stream(2).sample_marked(n, k, &mut marks).map(|words| words.clone());
            assert_eq!(words.is_some(), k < n && k > 12 && n <= 256 * k, "{k} of {n}");
            let Some(words) = words else { continue };
            stream(2).sample_sorted(n, k, &mut out, &mut room);
            let set = (0..n).filter(|i| words[(i / 64) as usize] >> (i % 64) & 1 == 1);
            assert!(set.eq(out.iter().copied()), "{k} of {n}");
        }
    }

    #[test]
    fn bytes_become_bits() {
        use crate::numerics::dispatch::Level;
        let bytes: Vec<u8> =
            (0..256_u32).map(|k| u8::from(k.wrapping_mul(2_654_435_761) >> 30 == 0 || k < 64)).collect();
        for level in Level::ALL {
            let mut words = [7; 4];
            let set = pack_at(level, &bytes, &mut words);
            assert!((0..256).all(|k| words[k / 64] >> (k % 64) & 1 == u64::from(bytes[k])));
            assert_eq!(set, bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>());
        }
    }

    #[test]
    fn samples_are_the_first_distinct_choices() {
        // By bytes, then by bits.
        for (n, k) in [(100u32, 20u32), (3000, 20)] {
            let (mut expected, mut words) = (std::collections::BTreeSet::new(), stream(5));
            while expected.len() < k as usize {
                expected.insert(words.below(n.into()) as u32);
            }
            let mut out = Vec::new();
            stream(5).sample_sorted(n, k, &mut out, &mut Room::default());
            assert!(out.iter().eq(&expected), "{k} of {n}");
        }
        // A quarter of the words is left out.
        let n = (3 << 30) + 1;
        let (mut found, mut expected, mut words) = (Vec::new(), Vec::new(), stream(6));
        stream(6).sample_with_replacement(n, 1000, &mut found);
        expected.resize_with(1000, || words.below(n.into()) as u32);
        assert_eq!(found, expected);
    }

    #[test]
    fn every_subset_is_equally_likely() {
        // All 20 subsets of 3 out of 6 (by map) and, inverted, 15 of 4 out of 6.
        for (k, subsets) in [(3, 20), (4, 15)] {
            let mut counts = std::collections::BTreeMap::new();
            let (mut out, mut room) = (Vec::new(), Room::default());
            let mut stream = stream(1);
            for _ in 0..20_000 {
                stream.sample_sorted(6, k, &mut out, &mut room);
                *counts.entry(out.clone()).or_insert(0u64) += 1;
            }
            let observed: Vec<u64> = counts.into_values().collect();
            assert_chi_square("subsets", &observed, &vec![1.0 / f64::from(subsets); subsets as usize]);
        }
    }

    #[test]
    fn every_member_is_equally_likely() {
        // Sparse enough for sorting, then for the map and its complement.
        for (n, k, runs) in [(3000u32, 10u32, 30_000), (300, 30, 20_000), (300, 250, 5_000)] {
            let mut counts = vec![0u64; 10];
            let (mut out, mut room) = (Vec::new(), Room::default());
            for element in 0..runs {
                stream(element).sample_sorted(n, k, &mut out, &mut room);
                for &i in &out {
                    counts[(i * 10 / n) as usize] += 1;
                }
            }
            assert_chi_square("members", &counts, &[0.1; 10]);
        }
    }

    #[test]
    fn with_replacement() {
        let (mut out, mut room) = (Vec::new(), Room::default());
        let mut counts = vec![0u64; 8];
        for element in 0..200 {
            stream(element).sample_with_replacement(8, 1000, &mut out);
            assert_eq!(out.len(), 1000);
            for &i in &out {
                counts[i as usize] += 1;
            }
        }
        assert_chi_square("with replacement", &counts, &[0.125; 8]);
        stream(0).sample_with_replacement(0, 5, &mut out);
        assert!(out.is_empty());
        for n in [1, 2, 100, 256, 257, 70_000, 1 << 24, u32::MAX] {
            for k in [0, 5, 127, 128, 1000] {
                let mut expected = Vec::new();
                stream(9).sample_with_replacement(n, k, &mut expected);
                expected.sort_unstable();
                stream(9).sample_with_replacement_sorted(n, k, &mut out, &mut room);
                assert_eq!(out, expected, "{k} of {n}");
            }
        }
    }

    #[test]
    fn bernoulli_counts_and_places() {
        let (mut out, mut room) = (Vec::new(), Room::default());
        for p in [1e-4, 0.01, 0.1, 0.2499, 0.25, 0.5, 0.9, 0.9999] {
            let (n, runs) = (2000u32, 2000u32);
            let mut places = vec![0u64; 10];
            let (mut total, mut squares) = (0.0, 0.0);
            for element in 0..runs {
                stream(u64::from(element)).bernoulli_indices(n, p, &mut out, &mut room);
                assert!(is_strictly_ascending(&out) && out.iter().all(|&i| i < n));
                for &i in &out {
                    places[(i * 10 / n) as usize] += 1;
                }
                let excess = out.len() as f64 - f64::from(n) * p;
                total += excess;
                squares += excess * excess;
            }
            let (runs, variance) = (f64::from(runs), f64::from(n) * p * (1.0 - p));
            assert!((total / runs).abs() < 5.0 * (variance / runs).sqrt(), "mean at {p}");
            let kurtosis = 3.0 + 1.0 / variance;
            assert!(
                (squares / runs / variance - 1.0).abs() < 5.0 * ((kurtosis - 1.0) / runs).sqrt(),
                "variance at {p}"
            );
            assert_chi_square("places", &places, &[0.1; 10]);
        }
        for (p, expected) in [(0.0, 0), (-1.0, 0), (f64::NAN, 0), (1.0, 5), (2.0, 5), (1e-300, 0)] {
            stream(0).bernoulli_indices(5, p, &mut out, &mut room);
            assert_eq!(out.len(), expected, "{p}");
        }
    }

    #[test]
    fn shuffles_are_fair() {
        let mut counts = std::collections::BTreeMap::new();
        let mut stream = stream(2);
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            *counts.entry(items).or_insert(0u64) += 1;
        }
        assert_chi_square("permutations", &counts.into_values().collect::<Vec<_>>(), &[1.0 / 24.0; 24]);
        stream.shuffle::<u8>(&mut []);
    }

    #[test]
    fn samples_are_pinned() {
        let mut out = Vec::new();
        stream(4).sample_sorted(100, 6, &mut out, &mut Room::default());
        let mut skips = Vec::new();
        stream(4).bernoulli_indices(60, 0.1, &mut skips, &mut Room::default());
        assert_eq!(out, [0, 10, 13, 22, 33, 86]);
        assert_eq!(skips, [1, 14, 15, 28, 34, 36, 41, 56]);
    }
}
