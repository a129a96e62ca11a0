//! Subsets, repetitions and permutations from a stream: the raw material of connectivity.

use super::Stream;
use super::draws::open_unit;
use super::stream::BUFFER;
use crate::numerics::bits::{SLACK, list};
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
    pub fn sample_sorted(&mut self, n: u32, k: u32, out: &mut Vec<u32>) {
        out.clear();
        if k >= n {
            out.extend(0..n);
            return;
        }
        if k == 0 {
            return;
        }
        // A map of all candidates costs n / 32 words and an uncertain branch per 64 of them, sorting some 10 ns per chosen
        // one and more the longer the list.
        if k <= FEW || u64::from(n) > 256 * u64::from(k) {
            self.sample_by_sorting(n, k, out);
        } else {
            self.sample_by_map(n, k, out);
        }
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

    fn sample_by_map(&mut self, n: u32, k: u32, out: &mut Vec<u32>) {
        let inverted = k > n / 2;
        let wanted = if inverted { n - k } else { k };
        // The map lives behind the result: no allocation once `out` has grown.
        let room = k as usize + SLACK;
        let map_words = n.div_ceil(64) as usize * 2;
        out.resize(room + map_words, 0);
        let (result, map) = out.split_at_mut(room);
        self.mark_distinct(n, wanted, map);
        if inverted {
            for word in map.iter_mut() {
                *word = !*word;
            }
            clear_beyond(n, map);
        }
        list_bits(map, result);
        out.truncate(k as usize);
    }

    /// Sets `wanted` distinct bits among the first `n` of a clear map.
    fn mark_distinct(&mut self, n: u32, wanted: u32, map: &mut [u32]) {
        // Lemire's method with the threshold computed once.
        let threshold = n.wrapping_neg() % n;
        let mut missing = wanted as usize;
        while missing > 0 {
            let words = self.available();
            // No more than are missing, so the loop can't overshoot and needs no branch.
            let count = words.len().min(missing);
            let mut fresh = 0;
            for &word in &words[..count] {
                let product = u64::from(word) * u64::from(n);
                let fair = u32::from(product as u32 >= threshold);
                let chosen = (product >> 32) as u32;
                let place = &mut map[(chosen / 32) as usize];
                fresh += (!*place >> (chosen % 32)) & fair;
                *place |= fair << (chosen % 32);
            }
            self.consume(count);
            missing -= fresh as usize;
        }
    }

    /// Replaces `out` by `k` independent numbers of 0 .. `n`, in the order drawn; none if `n` is 0.
    pub fn sample_with_replacement(&mut self, n: u32, k: u32, out: &mut Vec<u32>) {
        out.clear();
        if n == 0 {
            return;
        }
        let threshold = n.wrapping_neg() % n;
        let mut missing = k as usize;
        out.reserve(missing);
        while missing > 0 {
            let words = self.available();
            let count = words.len().min(missing);
            let before = out.len();
            out.extend(words[..count].iter().filter_map(|&word| {
                let product = u64::from(word) * u64::from(n);
                (product as u32 >= threshold).then_some((product >> 32) as u32)
            }));
            missing -= out.len() - before;
            self.consume(count);
        }
    }

    /// As [`Stream::sample_with_replacement`], in ascending order; `scratch` is overwritten.
    pub fn sample_with_replacement_sorted(&mut self, n: u32, k: u32, out: &mut Vec<u32>, scratch: &mut Vec<u32>) {
        self.sample_with_replacement(n, k, out);
        sort_below(n, out, scratch);
    }

    /// Replaces `out` by those of 0 .. `n` that succeed independently with probability `p`, in ascending order. `p` is
    /// clamped to 0 .. 1, NaN counts as 0.
    ///
    /// Below 1/4 by geometric skips (53-bit uniforms through a logarithm), else by comparing one 32-bit word each, which
    /// rounds `p` to a multiple of 2^-32.
    pub fn bernoulli_indices(&mut self, n: u32, p: f64, out: &mut Vec<u32>) {
        out.clear();
        if p.is_nan() || p <= 0.0 || n == 0 {
            return;
        }
        if p >= 1.0 {
            out.extend(0..n);
        } else if p < 0.25 {
            self.bernoulli_by_skips(n, p, out);
        } else {
            self.bernoulli_by_words(n, p, out);
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

    fn bernoulli_by_words(&mut self, n: u32, p: f64, out: &mut Vec<u32>) {
        // p >= 1/4, so there is a largest word that succeeds; p next to 1 makes it the largest of all.
        let largest = ((p * 4294967296.0).round() - 1.0) as u32;
        let room = n as usize + SLACK;
        let map_words = n.div_ceil(64) as usize * 2;
        out.resize(room + map_words, 0);
        let (result, map) = out.split_at_mut(room);
        for pair in map.as_chunks_mut::<2>().0 {
            let mask = successes(self.fresh(), largest);
            *pair = [mask as u32, (mask >> 32) as u32];
        }
        clear_beyond(n, map);
        let kept = list_bits(map, result);
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

/// Clears the bits of a map from `n` on.
fn clear_beyond(n: u32, map: &mut [u32]) {
    if !n.is_multiple_of(32) {
        map[(n / 32) as usize] &= (1 << (n % 32)) - 1;
    }
    for word in &mut map[n.div_ceil(32) as usize..] {
        *word = 0;
    }
}

/// So few are sorted rather than marked.
const FEW: u32 = 12;

/// Writes the positions of all set bits, ascending, and returns how many; `result` has room for them and `SLACK` more.
fn list_bits(map: &[u32], result: &mut [u32]) -> usize {
    let pairs = map.as_chunks::<2>().0.iter();
    list(pairs.map(|[low, high]| u64::from(*high) << 32 | u64::from(*low)), |place| place, result, 0)
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
        let mut out = vec![99; 7];
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
                stream(element).sample_sorted(n, k, &mut out);
                assert_eq!(out.len(), k.min(n) as usize, "{k} of {n}");
                assert!(is_strictly_ascending(&out) && out.iter().all(|&i| i < n), "{k} of {n}");
            }
        }
    }

    #[test]
    fn every_subset_is_equally_likely() {
        // All 20 subsets of 3 out of 6 (by map) and, inverted, 15 of 4 out of 6.
        for (k, subsets) in [(3, 20), (4, 15)] {
            let mut counts = std::collections::BTreeMap::new();
            let mut out = Vec::new();
            let mut stream = stream(1);
            for _ in 0..20_000 {
                stream.sample_sorted(6, k, &mut out);
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
            let mut out = Vec::new();
            for element in 0..runs {
                stream(element).sample_sorted(n, k, &mut out);
                for &i in &out {
                    counts[(i * 10 / n) as usize] += 1;
                }
            }
            assert_chi_square("members", &counts, &[0.1; 10]);
        }
    }

    #[test]
    fn with_replacement() {
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
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
                stream(9).sample_with_replacement_sorted(n, k, &mut out, &mut scratch);
                assert_eq!(out, expected, "{k} of {n}");
            }
        }
    }

    #[test]
    fn bernoulli_counts_and_places() {
        let mut out = Vec::new();
        for p in [1e-4, 0.01, 0.1, 0.2499, 0.25, 0.5, 0.9, 0.9999] {
            let (n, runs) = (2000u32, 2000u32);
            let mut places = vec![0u64; 10];
            let (mut total, mut squares) = (0.0, 0.0);
            for element in 0..runs {
                stream(u64::from(element)).bernoulli_indices(n, p, &mut out);
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
            stream(0).bernoulli_indices(5, p, &mut out);
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
        stream(4).sample_sorted(100, 6, &mut out);
        let mut skips = Vec::new();
        stream(4).bernoulli_indices(60, 0.1, &mut skips);
        assert_eq!(out, [0, 10, 13, 22, 33, 86]);
        assert_eq!(skips, [1, 14, 15, 28, 34, 36, 41, 56]);
    }
}
