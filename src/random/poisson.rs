//! Poisson counts, one per element and step, by inversion of one 32-bit word each.
//!
//! A count is the number of thresholds that the word w reaches: k = #{j : w + 1 > V_j}, where V_j = 2^32 P(X <= j) + 1/2
//! grows by one fixed recurrence. Constant means run it once into a table; means that differ between elements run it
//! per element, in lanes. Both compare the same numbers, so they agree in every bit for equal means.
//!
//! Words have 32 bits, so probabilities are multiples of 2^-32 = 2.3e-10: a count whose tail probability is below half
//! of that is never drawn (beyond about 6.2 standard deviations, more to the right for small means), and the rate of a
//! mean m is off by at most 2^-33 / m in relative terms (1e-4 for m = 1e-6, which is 0.01 spikes/s at a step of 0.1 ms).
//!
//! Addressing: the Philox counter is [block, step low, step high, draw]; a block serves four elements. Elements come in
//! groups of 32: word w of block 8 g + l serves element 32 g + 8 w + l, so that whole vectors are stored in place.

use super::StreamKey;
use super::draws::Site;
use super::philox::{LANES, philox4x32_10};
use crate::numerics::dispatch::multiversion;
use crate::numerics::math::kernel;

/// Elements that share eight Philox blocks.
const GROUP: usize = 4 * LANES;

/// Elements whose words are drawn before any is counted: draws and counts each keep the processor busy without the other's
/// latencies and branches in between, and both arrays stay in the nearest cache.
const TILE: usize = 8 * GROUP;

/// Largest mean count per step that is drawn; larger ones saturate here.
pub const MAX_POISSON_MEAN: f64 = 1e6;

/// Means up to here start their recurrence at zero spikes: e^-256 is far from underflow.
const START_AT_ZERO: f64 = 256.0;

/// Limits that are compared at once in the lane search.
const CHUNK: usize = 2;

/// Tables up to this length are searched in lanes; longer ones through a guide.
const LANE_SEARCH: usize = 24;

/// The guide has one entry per 2^GUIDE_SHIFT words.
const GUIDE_SHIFT: u32 = 22;

const TWO_32: f64 = 4294967296.0;

/// Why a mean cannot be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PoissonError {
    /// The mean is negative or NaN.
    #[error("a Poisson count needs a mean of 0 or more, found {0}")]
    Negative(f64),
    /// The mean exceeds [`MAX_POISSON_MEAN`].
    #[error("a mean of {0} counts in one step is too large (at most {MAX_POISSON_MEAN})")]
    TooLarge(f64),
}

/// The thresholds of one mean, for drawing many counts.
#[derive(Clone, Debug, PartialEq)]
pub struct PoissonTable {
    mean: f64,
    /// The count of a word below all thresholds.
    start: u32,
    /// A word above `limits[j]` counts at least `start + j + 1`; ascending, filled up to whole chunks with `u32::MAX`,
    /// which no word is above.
    limits: Vec<u32>,
    /// For long tables: the number of limits below the first word of each 2^22.
    guide: Vec<u32>,
    largest: u32,
}

impl PoissonTable {
    /// The table of a mean count per step.
    ///
    /// # Errors
    /// If the mean is negative, NaN or above [`MAX_POISSON_MEAN`].
    pub fn new(mean: f64) -> Result<PoissonTable, PoissonError> {
        if mean.is_nan() || mean < 0.0 {
            return Err(PoissonError::Negative(mean));
        }
        if mean > MAX_POISSON_MEAN {
            return Err(PoissonError::TooLarge(mean));
        }
        let mut recurrence = Recurrence::start(mean);
        // Counts that every word reaches.
        while recurrence.bound < 1.0 {
            recurrence.advance();
        }
        let start = recurrence.count;
        let mut limits = Vec::new();
        while recurrence.bound < TWO_32 && limits.len() < Recurrence::LONGEST {
            // A word w satisfies w + 1 > V exactly if w > floor(V) - 1.
            limits.push(recurrence.bound as u32 - 1);
            recurrence.advance();
        }
        let largest = start + limits.len() as u32;
        let mut guide = Vec::new();
        if limits.len() > LANE_SEARCH {
            let mut below = 0;
            for first in (0..=u32::MAX >> GUIDE_SHIFT).map(|i| i << GUIDE_SHIFT) {
                while below < limits.len() && limits[below] < first {
                    below += 1;
                }
                guide.push(below as u32);
            }
        }
        limits.resize(limits.len().next_multiple_of(CHUNK), u32::MAX);
        Ok(PoissonTable { mean, start, limits, guide, largest })
    }

    /// The mean that the table was made for.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The largest count that can be drawn.
    #[must_use]
    pub fn largest(&self) -> u32 {
        self.largest
    }

    #[inline(always)]
    fn count(&self, word: u32) -> u32 {
        let mut reached = self.guide.get((word >> GUIDE_SHIFT) as usize).map_or(0, |&g| g as usize);
        while reached < self.limits.len() && word > self.limits[reached] {
            reached += 1;
        }
        self.start + reached as u32
    }
}

/// V_j for j = count, count + 1, ...
struct Recurrence {
    mean: f64,
    count: u32,
    /// 2^32 P(X = count).
    term: f64,
    /// 2^32 P(X <= count) + 1/2.
    bound: f64,
}

impl Recurrence {
    /// More steps than any mean needs: 16 sqrt(MAX_POISSON_MEAN) = 16000. Bounds the loops whatever rounding does.
    const LONGEST: usize = 1 << 16;

    #[inline(always)]
    fn start(mean: f64) -> Recurrence {
        let (count, term) = if mean <= START_AT_ZERO { (0, first_term(mean)) } else { far_start(mean) };
        Recurrence { mean, count, term, bound: term + 0.5 }
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.count += 1;
        self.term *= self.mean * (1.0 / f64::from(self.count));
        self.bound += self.term;
    }
}

/// 2^32 P(X = 0) for means up to `START_AT_ZERO`.
#[inline(always)]
fn first_term(mean: f64) -> f64 {
    kernel::exp(-mean) * TWO_32
}

/// A count eight standard deviations below a large mean (what lies below has a probability under 2^-49) and 2^32 times
/// its probability, by Loader's saddle-point form (2000), which does not cancel.
fn far_start(mean: f64) -> (u32, f64) {
    let count = (mean - 8.0 * mean.sqrt()).floor();
    let deviation = (count - mean) / mean;
    // count ln(count / mean) - (count - mean) = mean ((1 + d) ln(1 + d) - d).
    let exponent = mean * ((1.0 + deviation) * kernel::ln1p(deviation) - deviation);
    let probability = kernel::exp(-exponent - stirling_error(count)) / (std::f64::consts::TAU * count).sqrt();
    (count as u32, probability * TWO_32)
}

/// ln n! - ln(sqrt(2 pi n) (n / e)^n), for n >= 16.
pub(super) fn stirling_error(n: f64) -> f64 {
    let square = 1.0 / (n * n);
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - square / 1188.0) * square) * square) * square) / n
}

/// A mean as it is drawn: negative ones and NaN count nothing, huge ones saturate.
#[inline(always)]
fn admissible(mean: f64) -> f64 {
    let mean = if mean > 0.0 { mean } else { 0.0 };
    if mean > MAX_POISSON_MEAN { MAX_POISSON_MEAN } else { mean }
}

/// The word of one element.
#[inline]
fn word(key: StreamKey, step: u64, element: u32, draw: u32) -> u32 {
    let place = element % GROUP as u32;
    let block = element / GROUP as u32 * LANES as u32 + place % LANES as u32;
    philox4x32_10([block, step as u32, (step >> 32) as u32, draw], key.words())[(place / LANES as u32) as usize]
}

/// The words of a group of elements, in lanes as wide as those they are made in: narrower ones would be loaded across
/// two stores, which stalls.
#[inline(always)]
fn group_words(site: &Site, group: u32) -> [u64; GROUP] {
    let mut words = [0; GROUP];
    let (low, high) = words.split_at_mut(2 * LANES);
    let ((a, b), (c, d)) = (low.split_at_mut(LANES), high.split_at_mut(LANES));
    for lane in 0..LANES {
        let block = site.block(u64::from(group * LANES as u32) + lane as u64);
        a[lane] = block[0];
        b[lane] = block[1];
        c[lane] = block[2];
        d[lane] = block[3];
    }
    words
}

/// A Poisson count of the table's mean.
#[must_use]
pub fn poisson(key: StreamKey, step: u64, element: u32, draw: u32, table: &PoissonTable) -> f64 {
    f64::from(table.count(word(key, step, element, draw)))
}

multiversion! {
    /// A Poisson count of any mean; equals [`poisson`] with the table of that mean. Negative means and NaN give 0, means
    /// above [`MAX_POISSON_MEAN`] are drawn as that.
    #[must_use]
    pub fn poisson_each / poisson_each_at(key: StreamKey, step: u64, element: u32, draw: u32, mean: f64) -> f64 {
        count_by_recurrence(f64::from(word(key, step, element, draw)) + 1.0, admissible(mean))
    }
}

#[inline(always)]
fn count_by_recurrence(word_plus_one: f64, mean: f64) -> f64 {
    let mut recurrence = Recurrence::start(mean);
    for _ in 0..Recurrence::LONGEST {
        if word_plus_one <= recurrence.bound {
            break;
        }
        recurrence.advance();
    }
    f64::from(recurrence.count)
}

/// `counts[i]` = the count of `words[i]`; single precision holds every count, and adds under a mask in one operation. Loops over
/// slices, since a closure may be compiled apart, for narrower lanes.
#[inline(always)]
fn tile_counts(table: &PoissonTable, words: &[u32], counts: &mut [f32]) {
    if !table.guide.is_empty() {
        for (count, &word) in counts.iter_mut().zip(words) {
            *count = table.count(word) as f32;
        }
        return;
    }
    counts.fill(table.start as f32);
    for limits in table.limits.as_chunks::<CHUNK>().0 {
        let mut open = 0;
        for (count, &word) in counts.iter_mut().zip(words) {
            let mut reached = *count;
            for limit in limits {
                reached = if word > *limit { reached + 1.0 } else { reached };
            }
            *count = reached;
            open |= u32::from(word > limits[CHUNK - 1]);
        }
        if open == 0 {
            break;
        }
    }
}

/// Fills a slice with the counts of the elements from `$first` on, a tile after the other; tiles end where groups do.
macro_rules! fill_tiles {
    ($site:expr, $table:expr, $first:expr, $out:expr, $type:ty) => {{
        let (site, table, out) = ($site, $table, $out);
        let mut words = [0u32; TILE];
        let mut counts = [0f32; TILE];
        let mut done = 0;
        while done < out.len() {
            let element = $first.wrapping_add(done as u32);
            let offset = element as usize % GROUP;
            let count = (TILE - offset).min(out.len() - done);
            let groups = (offset + count).div_ceil(GROUP);
            for (g, words) in words.as_chunks_mut::<GROUP>().0[..groups].iter_mut().enumerate() {
                let group = group_words(&site, element.wrapping_add((g * GROUP) as u32) / GROUP as u32);
                for (to, from) in words.iter_mut().zip(group) {
                    *to = from as u32;
                }
            }
            tile_counts(table, &words[offset..offset + count], &mut counts[..count]);
            for (to, from) in out[done..done + count].iter_mut().zip(&counts) {
                *to = *from as $type;
            }
            done += count;
        }
    }};
}

/// The counts of a group whose means differ.
#[inline(always)]
fn group_counts_each(words: &[u64; GROUP], means: &[f64; GROUP]) -> [f64; GROUP] {
    let mut counts = [0.0; GROUP];
    let mut largest = 0.0;
    for &mean in means {
        largest = if mean > largest { mean } else { largest };
    }
    if largest > START_AT_ZERO {
        for i in 0..GROUP {
            counts[i] = count_by_recurrence(words[i] as f64 + 1.0, means[i]);
        }
        return counts;
    }
    let mut targets = [0.0; GROUP];
    let mut terms = [0.0; GROUP];
    let mut bounds = [0.0; GROUP];
    for i in 0..GROUP {
        targets[i] = words[i] as f64 + 1.0;
        terms[i] = first_term(means[i]);
        bounds[i] = terms[i] + 0.5;
    }
    // Four counts per round: a step too many changes nothing, since bounds only grow.
    for next in (1..=Recurrence::LONGEST as u32).step_by(4) {
        let mut inverse = [0.0; 4];
        for (i, inverse) in inverse.iter_mut().enumerate() {
            *inverse = 1.0 / f64::from(next + i as u32);
        }
        let mut open = 0;
        for i in 0..GROUP {
            let mut count = counts[i];
            for inverse in inverse {
                count += if targets[i] > bounds[i] { 1.0 } else { 0.0 };
                terms[i] *= means[i] * inverse;
                bounds[i] += terms[i];
            }
            counts[i] = count;
            open |= u64::from(targets[i] > bounds[i]);
        }
        if open == 0 {
            break;
        }
    }
    counts
}

/// Runs `group_counts_each` over a range of elements, whose means and counts may be of another type.
macro_rules! fill_each {
    ($site:expr, $first:expr, $means:expr, $out:expr, $type:ty) => {{
        let (site, means, out) = ($site, $means, $out);
        let length = out.len().min(means.len());
        let mut done = 0;
        while done < length {
            let element = $first.wrapping_add(done as u32);
            let offset = element as usize % GROUP;
            let count = (GROUP - offset).min(length - done);
            let mut group_means = [0.0; GROUP];
            for (to, from) in group_means[offset..offset + count].iter_mut().zip(&means[done..done + count]) {
                *to = admissible(f64::from(*from));
            }
            let counts = group_counts_each(&group_words(&site, element / GROUP as u32), &group_means);
            for (to, from) in out[done..done + count].iter_mut().zip(&counts[offset..offset + count]) {
                *to = *from as $type;
            }
            done += count;
        }
    }};
}

multiversion! {
    /// `out[i]` = [`poisson`] of element `first + i`, bit for bit. Fastest if `first` is a multiple of 32.
    pub fn poisson_batch / poisson_batch_at(
        key: StreamKey, step: u64, first: u32, draw: u32, table: &PoissonTable, out: &mut [f64]
    ) {
        fill_tiles!(Site::new(key, step, draw), table, first, out, f64);
    }
}

multiversion! {
    /// As [`poisson_batch`] with counts as `f32`.
    pub fn poisson_batch_f32 / poisson_batch_f32_at(
        key: StreamKey, step: u64, first: u32, draw: u32, table: &PoissonTable, out: &mut [f32]
    ) {
        fill_tiles!(Site::new(key, step, draw), table, first, out, f32);
    }
}

multiversion! {
    /// As [`poisson_batch`] with counts as bytes, for tables whose counts fit.
    pub fn poisson_batch_u8 / poisson_batch_u8_at(
        key: StreamKey, step: u64, first: u32, draw: u32, table: &PoissonTable, out: &mut [u8]
    ) {
        fill_tiles!(Site::new(key, step, draw), table, first, out, u8);
    }
}

multiversion! {
    /// Counts as numbers.
    pub fn widen_counts / widen_counts_at(counts: &[u8], out: &mut [f64]) {
        for (to, from) in out.iter_mut().zip(counts) {
            *to = f64::from(*from);
        }
    }
}

multiversion! {
    /// As [`widen_counts`] in single precision.
    pub fn widen_counts_f32 / widen_counts_f32_at(counts: &[u8], out: &mut [f32]) {
        for (to, from) in out.iter_mut().zip(counts) {
            *to = f32::from(*from);
        }
    }
}

multiversion! {
    /// `out[i]` = [`poisson_each`] of element `first + i` and mean `means[i]`, bit for bit. Cost grows with the mean.
    /// Elements beyond the shorter slice stay. Fastest if `first` is a multiple of 32.
    pub fn poisson_each_batch / poisson_each_batch_at(
        key: StreamKey, step: u64, first: u32, draw: u32, means: &[f64], out: &mut [f64]
    ) {
        fill_each!(Site::new(key, step, draw), first, means, out, f64);
    }
}

multiversion! {
    /// As [`poisson_each_batch`] with means and counts as `f32`.
    pub fn poisson_each_batch_f32 / poisson_each_batch_f32_at(
        key: StreamKey, step: u64, first: u32, draw: u32, means: &[f32], out: &mut [f32]
    ) {
        fill_each!(Site::new(key, step, draw), first, means, out, f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::dispatch::Level;
    use crate::random::Purpose;
    use crate::random::check::{assert_chi_square, assert_moments, histogram};

    fn key() -> StreamKey {
        StreamKey::new(7, "net.drive", Purpose::Input)
    }

    const MEANS: [f64; 22] = [
        0.0, 1e-12, 1e-6, 0.001, 0.1, 0.7, 1.0, 2.0, 5.5, 10.0, 22.0, 23.5, 30.0, 64.0, 255.0, 256.0, 257.0, 700.0,
        1000.0, 5000.0, 1e5, 1e6,
    ];

    #[test]
    fn table_equals_recurrence_for_every_word() {
        let mut words: Vec<u32> = (0..2000u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        words.extend([0, 1, u32::MAX, u32::MAX - 1, 1 << 22, (1 << 22) - 1]);
        for mean in MEANS {
            let table = PoissonTable::new(mean).unwrap();
            let few = if mean > 1e4 { 50 } else { words.len() };
            let near_limits =
                table.limits.iter().take(200).flat_map(|&l| [l.saturating_sub(1), l, l.saturating_add(1)]);
            for word in words[..few].iter().copied().chain(near_limits) {
                let expected = count_by_recurrence(f64::from(word) + 1.0, mean);
                assert_eq!(f64::from(table.count(word)), expected, "mean {mean}, word {word}");
            }
            assert_eq!(f64::from(table.largest()), count_by_recurrence(TWO_32, mean), "mean {mean}");
        }
    }

    #[test]
    fn limits_follow_the_law() {
        // Cumulative probabilities by scipy.stats.poisson.
        let cases: [(f64, &[(u32, f64)]); 7] = [
            (0.1, &[(0, 0.9048374180359595), (1, 0.9953211598395555), (4, 0.9999999233219832)]),
            (
                2.0,
                &[(0, 0.1353352832366127), (2, 0.6766764161830634), (5, 0.9834363915193856), (12, 0.9999997926530418)],
            ),
            (
                23.5,
                &[
                    (5, 4.661658324515026e-06),
                    (16, 0.068142536406834),
                    (26, 0.7389708206816474),
                    (50, 0.9999993919634687),
                ],
            ),
            (256.0, &[(184, 1.335859102939752e-06), (256, 0.5166143010472156), (336, 0.9999992340722696)]),
            (257.0, &[(185, 1.4040782118691184e-06), (257, 0.5165819781980396), (337, 0.9999992006532348)]),
            (1000.0, &[(853, 1.0273597246481023e-06), (1000, 0.508409367168506), (1154, 0.9999990903410068)]),
            (1e5, &[(98500, 1.000950668642661e-06), (100000, 0.5008410430993401), (101507, 0.9999990114766788)]),
        ];
        for (mean, values) in cases {
            let table = PoissonTable::new(mean).unwrap();
            for &(count, expected) in values {
                let limit = table.limits[(count - table.start) as usize];
                let found = (f64::from(limit) + 1.0) / TWO_32;
                assert!((found - expected).abs() < 1.01 / TWO_32, "P(X <= {count}) for {mean}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn batches_equal_scalars_for_any_partition() {
        for level in Level::ALL {
            for (first, length) in
                [(0, 1), (0, 32), (0, 200), (3, 5), (4, 64), (31, 2), (1000, 99), (u32::MAX - 31, 32)]
            {
                for mean in [0.0, 0.1, 2.0, 23.5, 60.0, 1000.0] {
                    let table = PoissonTable::new(mean).unwrap();
                    let means: Vec<f64> = (0..length).map(|i| if i % 7 == 0 { 0.5 } else { mean }).collect();
                    let means_f32: Vec<f32> = means.iter().map(|m| *m as f32).collect();
                    let (mut one, mut each) = (vec![0.0; length], vec![0.0; length]);
                    let (mut one_f32, mut each_f32) = (vec![0.0; length], vec![0.0; length]);
                    poisson_batch_at(level, key(), 1 << 33, first, 2, &table, &mut one);
                    poisson_each_batch_at(level, key(), 1 << 33, first, 2, &means, &mut each);
                    poisson_batch_f32_at(level, key(), 1 << 33, first, 2, &table, &mut one_f32);
                    poisson_each_batch_f32_at(level, key(), 1 << 33, first, 2, &means_f32, &mut each_f32);
                    for i in 0..length {
                        let element = first + i as u32;
                        assert_eq!(one[i], poisson(key(), 1 << 33, element, 2, &table));
                        assert_eq!(each[i], poisson_each(key(), 1 << 33, element, 2, means[i]));
                        assert_eq!(one_f32[i], one[i] as f32);
                        let mean_f32 = f64::from(means_f32[i]);
                        assert_eq!(f64::from(each_f32[i]), poisson_each(key(), 1 << 33, element, 2, mean_f32));
                        if means[i] == mean {
                            assert_eq!(each[i], one[i]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn counts_follow_the_law() {
        let n = 400_000;
        let mut values = vec![0.0; n];
        for mean in [0.001, 0.1, 2.0, 10.0, 60.0, 300.0, 2000.0] {
            poisson_batch(key(), 3, 0, 0, &PoissonTable::new(mean).unwrap(), &mut values);
            assert_moments(&format!("Poisson {mean}"), &values, mean, mean, 3.0 + 1.0 / mean);
        }
        // scipy.stats.poisson(5), bins up to 2, 3, ... , 8 and beyond.
        poisson_batch(key(), 4, 0, 0, &PoissonTable::new(5.0).unwrap(), &mut values);
        let probabilities = [
            0.12465201948308108,
            0.1403738958142805,
            0.175467369767851,
            0.17546736976785038,
            0.14622280813987576,
            0.1044448629570538,
            0.06527803934815912,
            0.06809363472184837,
        ];
        let observed = histogram(values, &[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_chi_square("Poisson 5", &observed, &probabilities);
    }

    #[test]
    fn counts_are_pinned() {
        let table = PoissonTable::new(2.0).unwrap();
        let found: Vec<f64> = (0..12).map(|element| poisson(key(), 9, element, 0, &table)).collect();
        assert_eq!(found, [1.0, 0.0, 3.0, 3.0, 3.0, 2.0, 0.0, 3.0, 4.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn inadmissible_means() {
        assert_eq!(PoissonTable::new(-1.0), Err(PoissonError::Negative(-1.0)));
        assert!(matches!(PoissonTable::new(f64::NAN), Err(PoissonError::Negative(_))));
        assert_eq!(PoissonTable::new(1e7), Err(PoissonError::TooLarge(1e7)));
        let found = [-1.0, f64::NAN, 0.0].map(|mean| poisson_each(key(), 0, 0, 0, mean));
        assert_eq!(found, [0.0; 3]);
        assert_eq!(poisson_each(key(), 0, 0, 0, f64::INFINITY), poisson_each(key(), 0, 0, 0, MAX_POISSON_MEAN));
        assert_eq!(PoissonTable::new(0.0).unwrap().largest(), 0);
    }
}
