//! One uniform or normal number per element and step, addressed by element: any partition gives the same bits.
//!
//! A draw is a function of (key, step, element, draw), where `draw` numbers the places in a model that draw (two places
//! with one key and one number would see the same bits). The Philox counter is [block, step low, step high, draw]; a
//! block serves two elements. Elements come in groups of 16, served by the blocks 8 g .. 8 g + 8: lane l of a group
//! gives the elements 16 g + l and 16 g + 8 + l, so that whole vectors are stored without shuffling.

use super::StreamKey;
use super::philox::{LANES, philox_lane, philox4x32_10};
use crate::numerics::dispatch::multiversion;
use crate::numerics::math::kernel;

/// Elements that share eight Philox blocks.
const GROUP: usize = 2 * LANES;

/// A uniform number in the open interval (0, 1), a multiple of 2^-53 with 52 random bits.
#[must_use]
pub fn uniform(key: StreamKey, step: u64, element: u32, draw: u32) -> f64 {
    let (block, second) = address(element);
    let words = philox4x32_10([block, step as u32, (step >> 32) as u32, draw], key.words()).map(u64::from);
    if second { open_unit(words[2], words[3]) } else { open_unit(words[0], words[1]) }
}

multiversion! {
    /// A normal number with mean 0 and variance 1 (Box and Muller 1958); at most 8.58 in magnitude.
    #[must_use]
    pub fn normal / normal_at(key: StreamKey, step: u64, element: u32, draw: u32) -> f64 {
        let (block, second) = address(element);
        let words = philox4x32_10([block, step as u32, (step >> 32) as u32, draw], key.words()).map(u64::from);
        let (first_value, second_value) = box_muller(open_unit(words[0], words[1]), open_unit(words[2], words[3]));
        if second { second_value } else { first_value }
    }
}

/// The block of an element, and whether it is the second of the block.
#[inline]
fn address(element: u32) -> (u32, bool) {
    let group = element / GROUP as u32;
    let place = element % GROUP as u32;
    (group * LANES as u32 + place % LANES as u32, place >= LANES as u32)
}

/// 52 bits and a half: symmetric about 1/2, never 0 or 1.
#[inline(always)]
pub(super) fn open_unit(low: u64, high: u64) -> f64 {
    const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;
    let bits = (high << 32 | low) >> 12;
    f64::from_bits(bits | 1.0f64.to_bits()) - BELOW_ONE
}

/// Rounds to `f32`, but never to 1: `ln(1 - u)` must stay finite.
#[inline(always)]
fn below_one(value: f64) -> f32 {
    const LARGEST: f32 = 1.0 - f32::EPSILON / 2.0;
    let value = value as f32;
    if value > LARGEST { LARGEST } else { value }
}

/// Two independent normal numbers from two uniform ones in (0, 1).
#[inline(always)]
pub(super) fn box_muller(first: f64, second: f64) -> (f64, f64) {
    let radius = (-2.0 * kernel::ln_normal(first)).sqrt();
    let (sin, cos) = kernel::sincos_turn(second);
    (radius * cos, radius * sin)
}

/// Where in the space of counters a batch draws.
#[derive(Clone, Copy)]
pub(super) struct Site {
    pub(super) key: [u32; 2],
    pub(super) step: u64,
    pub(super) draw: u32,
}

impl Site {
    #[inline(always)]
    pub(super) fn new(key: StreamKey, step: u64, draw: u32) -> Site {
        Site { key: key.words(), step, draw }
    }

    /// The four words of a block, in 64-bit lanes.
    #[inline(always)]
    pub(super) fn block(&self, block: u64) -> [u64; 4] {
        philox_lane([block, self.step & 0xffff_ffff, self.step >> 32, u64::from(self.draw)], self.key)
    }
}

#[inline(always)]
fn uniform_group(site: &Site, group: u32) -> [f64; GROUP] {
    let mut values = [0.0; GROUP];
    let (low, high) = values.split_at_mut(LANES);
    for lane in 0..LANES {
        let words = site.block(u64::from(group * LANES as u32) + lane as u64);
        low[lane] = open_unit(words[0], words[1]);
        high[lane] = open_unit(words[2], words[3]);
    }
    values
}

#[inline(always)]
fn normal_group(site: &Site, group: u32) -> [f64; GROUP] {
    let mut values = [0.0; GROUP];
    let (low, high) = values.split_at_mut(LANES);
    for lane in 0..LANES {
        let words = site.block(u64::from(group * LANES as u32) + lane as u64);
        (low[lane], high[lane]) = box_muller(open_unit(words[0], words[1]), open_unit(words[2], words[3]));
    }
    values
}

// Loops, not `map`, whose closure is compiled apart, for narrower lanes.
#[inline(always)]
fn uniform_group_f32(site: &Site, group: u32) -> [f32; GROUP] {
    let mut values = [0.0; GROUP];
    for (to, from) in values.iter_mut().zip(uniform_group(site, group)) {
        *to = below_one(from);
    }
    values
}

#[inline(always)]
fn normal_group_f32(site: &Site, group: u32) -> [f32; GROUP] {
    let mut values = [0.0; GROUP];
    for (to, from) in values.iter_mut().zip(normal_group(site, group)) {
        *to = from as f32;
    }
    values
}

/// Fills a slice with the elements from `$first` on, through whole groups of `$size`; ragged ends are cut out of theirs.
///
/// A macro, because a closure handed to a function may be compiled apart, for the baseline instructions.
macro_rules! fill_groups {
    ($first:expr, $out:expr, $size:expr, |$group:ident| $values:expr) => {{
        let out = $out;
        let mut done = 0;
        while done < out.len() {
            let element = $first.wrapping_add(done as u32);
            let offset = element as usize % $size;
            let $group = element / $size as u32;
            let values = $values;
            let rest = &mut out[done..];
            if offset == 0 && rest.len() >= $size {
                rest[..$size].copy_from_slice(&values);
                done += $size;
            } else {
                let count = ($size - offset).min(rest.len());
                rest[..count].copy_from_slice(&values[offset..offset + count]);
                done += count;
            }
        }
    }};
}

multiversion! {
    /// `out[i]` = [`uniform`] of element `first + i`, bit for bit. Fastest if `first` is a multiple of 16.
    pub fn uniform_batch / uniform_batch_at(key: StreamKey, step: u64, first: u32, draw: u32, out: &mut [f64]) {
        let site = Site::new(key, step, draw);
        fill_groups!(first, out, GROUP, |group| uniform_group(&site, group));
    }
}

multiversion! {
    /// As [`uniform_batch`], rounded to `f32` within the open interval: at most 1 - 2^-24.
    pub fn uniform_batch_f32 / uniform_batch_f32_at(key: StreamKey, step: u64, first: u32, draw: u32, out: &mut [f32]) {
        let site = Site::new(key, step, draw);
        fill_groups!(first, out, GROUP, |group| uniform_group_f32(&site, group));
    }
}

multiversion! {
    /// `out[i]` = [`normal`] of element `first + i`, bit for bit. Fastest if `first` is a multiple of 16.
    pub fn normal_batch / normal_batch_at(key: StreamKey, step: u64, first: u32, draw: u32, out: &mut [f64]) {
        let site = Site::new(key, step, draw);
        fill_groups!(first, out, GROUP, |group| normal_group(&site, group));
    }
}

multiversion! {
    /// As [`normal_batch`], rounded to `f32`.
    pub fn normal_batch_f32 / normal_batch_f32_at(key: StreamKey, step: u64, first: u32, draw: u32, out: &mut [f32]) {
        let site = Site::new(key, step, draw);
        fill_groups!(first, out, GROUP, |group| normal_group_f32(&site, group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::dispatch::Level;
    use crate::random::Purpose;
    use crate::random::check::{assert_deciles, assert_moments, assert_uncorrelated};

    fn key() -> StreamKey {
        StreamKey::new(7, "net.E", Purpose::Noise)
    }

    const RANGES: [(u32, usize); 12] = [
        (0, 1),
        (0, 16),
        (0, 1000),
        (1, 3),
        (4, 4),
        (8, 8),
        (8, 100),
        (15, 2),
        (16, 33),
        (12345, 77),
        (u32::MAX - 15, 16),
        (u32::MAX, 1),
    ];

    #[test]
    fn batches_equal_scalars_for_any_partition() {
        for level in Level::ALL {
            for (first, length) in RANGES {
                for (step, draw) in [(0, 0), (1, 0), (1 << 40 | 3, 9)] {
                    let (mut u, mut n) = (vec![0.0; length], vec![0.0; length]);
                    let (mut u32s, mut n32s) = (vec![0.0; length], vec![0.0; length]);
                    uniform_batch_at(level, key(), step, first, draw, &mut u);
                    normal_batch_at(level, key(), step, first, draw, &mut n);
                    uniform_batch_f32_at(level, key(), step, first, draw, &mut u32s);
                    normal_batch_f32_at(level, key(), step, first, draw, &mut n32s);
                    for i in 0..length {
                        let element = first + i as u32;
                        assert_eq!(u[i].to_bits(), uniform(key(), step, element, draw).to_bits());
                        assert_eq!(n[i].to_bits(), normal(key(), step, element, draw).to_bits());
                        assert_eq!(u32s[i], below_one(u[i]));
                        assert_eq!(n32s[i], n[i] as f32);
                    }
                }
            }
        }
    }

    #[test]
    fn many_elements_at_all_levels() {
        let mut expected = vec![0.0; 300_000];
        normal_batch_at(Level::Avx512, key(), 11, 0, 0, &mut expected);
        for level in [Level::Baseline, Level::Avx2] {
            let mut found = vec![0.0; 300_000];
            normal_batch_at(level, key(), 11, 0, 0, &mut found);
            assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{level:?}");
        }
    }

    #[test]
    fn draws_are_pinned() {
        // Part of the output contract: these change only with a new major version.
        let found =
            [uniform(key(), 5, 3, 0), uniform(key(), 5, 11, 0), normal(key(), 5, 3, 0), normal(key(), 5, 11, 0)];
        assert_eq!(
            found.map(f64::to_bits),
            [4600347415752386246, 4586432867150656080, 4608788749979727151, 4600526398338544958]
        );
    }

    #[test]
    fn uniform_stays_inside() {
        assert_eq!(open_unit(0, 0), f64::EPSILON / 2.0);
        assert_eq!(open_unit(u32::MAX.into(), u32::MAX.into()), 1.0 - f64::EPSILON / 2.0);
        assert!(open_unit(u32::MAX.into(), u32::MAX.into()) < 1.0);
        assert!(below_one(open_unit(u32::MAX.into(), u32::MAX.into())) < 1.0);
        assert!(below_one(open_unit(0, 0)) > 0.0);
    }

    #[test]
    fn uniform_is_uniform() {
        let mut values = vec![0.0; 200_000];
        uniform_batch(key(), 1, 0, 0, &mut values);
        assert_moments("uniform", &values, 0.5, 1.0 / 12.0, 1.8);
        assert_deciles("uniform", values, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    }

    #[test]
    fn normal_is_normal() {
        let mut values = vec![0.0; 400_000];
        normal_batch(key(), 1, 0, 0, &mut values);
        assert_moments("normal", &values, 0.0, 1.0, 3.0);
        let fourth = values.iter().map(|x| x * x * x * x).sum::<f64>() / values.len() as f64;
        // The fourth power has variance 96.
        assert!((fourth - 3.0).abs() < 5.0 * (96.0 / values.len() as f64).sqrt(), "{fourth}");
        // Deciles by scipy.stats.norm.
        let edges = [
            -1.2815515655446004,
            -0.8416212335729142,
            -0.5244005127080409,
            -0.2533471031357997,
            0.0,
            0.2533471031357997,
            0.5244005127080407,
            0.8416212335729143,
            1.2815515655446004,
        ];
        assert_deciles("normal", values.iter().copied(), &edges);
        let beyond = values.iter().filter(|x| x.abs() > 4.0).count();
        // 2 * 3.167e-5 of them.
        assert!((10..45).contains(&beyond), "{beyond} beyond four standard deviations");
    }

    #[test]
    fn neighbours_steps_draws_and_keys_are_independent() {
        let n = 200_000;
        let batch = |key: StreamKey, step: u64, draw: u32| {
            let mut values = vec![0.0; n];
            normal_batch(key, step, 0, draw, &mut values);
            values
        };
        let a = batch(key(), 1, 0);
        assert_uncorrelated("neighbours", &a, &a[1..], 0.0, 1.0);
        // Both numbers of one block, also in square: Box-Muller pairs share their radius.
        assert_uncorrelated("pairs", &a, &a[8..], 0.0, 1.0);
        let squares: Vec<f64> = a.iter().map(|x| x * x).collect();
        assert_uncorrelated("squares of pairs", &squares, &squares[8..], 1.0, 2.0);
        assert_uncorrelated("steps", &a, &batch(key(), 2, 0), 0.0, 1.0);
        assert_uncorrelated("far steps", &a, &batch(key(), 1 | 1 << 32, 0), 0.0, 1.0);
        assert_uncorrelated("draws", &a, &batch(key(), 1, 1), 0.0, 1.0);
        assert_uncorrelated("keys", &a, &batch(key().derive(0), 1, 0), 0.0, 1.0);
    }
}
