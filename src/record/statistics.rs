//! Statistics of spikes and spike trains: pure functions of a population, a choice of its neurons and a window.
//!
//! Variances divide by the number of values (not by one less), as Elephant and the cited papers do. A statistic that
//! the spikes do not determine (no neuron chosen, an empty window, too few spikes) is `None`, never a NaN. Bins begin
//! at the window's first step; an incomplete last bin is left out.

use super::spikes::{Neurons, PopulationSpikes, Window};
use crate::numerics;

/// Mean firing rate of the chosen neurons in Hz: spikes per neuron and second.
pub fn mean_rate(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Option<f64> {
    let (cells, seconds) = (neurons.count(spikes.size), window.seconds());
    if cells == 0 || seconds <= 0.0 {
        return None;
    }
    Some(spikes.within(neurons, window).count() as f64 / (cells as f64 * seconds))
}

/// How many spikes the chosen neurons fired together.
pub fn count(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> u64 {
    spikes.within(neurons, window).count() as u64
}

/// How many spikes each chosen neuron fired, in the order of their indices.
pub fn spike_counts(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Vec<u64> {
    let mut counts = vec![0; spikes.size as usize];
    for (_, i) in spikes.within(neurons, window) {
        counts[i as usize] += 1;
    }
    chosen(neurons, spikes.size, &counts)
}

/// The step of the first spike of each chosen neuron, in the order of their indices; `None` for a silent one.
pub fn first_spikes(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Vec<Option<u64>> {
    let mut first = vec![None; spikes.size as usize];
    for (step, i) in spikes.within(neurons, window) {
        first[i as usize].get_or_insert(step);
    }
    chosen(neurons, spikes.size, &first)
}

/// Which of all neurons of the population are chosen and fired at least once.
pub fn active(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Vec<bool> {
    let mut mask = vec![false; spikes.size as usize];
    for (_, i) in spikes.within(neurons, window) {
        mask[i as usize] = true;
    }
    mask
}

/// The part of the chosen neurons that fired at least once.
pub fn active_fraction(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Option<f64> {
    let cells = neurons.count(spikes.size);
    let firing = active(spikes, neurons, window).iter().filter(|a| **a).count();
    (cells > 0).then(|| firing as f64 / cells as f64)
}

/// Sparseness of the firing rates r over neurons, mean(r)^2 / mean(r^2): 1 where all fire alike, 1/n where one of n
/// does. Treves and Rolls (1991), Network 2:371.
pub fn sparseness(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Option<f64> {
    let counts = spike_counts(spikes, neurons, window);
    let sum: f64 = counts.iter().map(|c| *c as f64).sum();
    let squares: f64 = counts.iter().map(|c| (*c as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (squares * counts.len() as f64))
}

/// Coefficient of variation of the inter-spike intervals: standard deviation over mean for each neuron with at least
/// three spikes in the window, then the mean over these neurons; `None` if there is no such neuron.
///
/// A Poisson train has 1, a clock 0. Softky and Koch (1993), J Neurosci 13:334.
pub fn cv_isi(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Option<f64> {
    #[derive(Clone, Default)]
    struct Train {
        last: Option<u64>,
        intervals: u64,
        sum: f64,
        squares: f64,
    }
    let mut trains = vec![Train::default(); spikes.size as usize];
    for (step, i) in spikes.within(neurons, window) {
        let train = &mut trains[i as usize];
        if let Some(last) = train.last {
            // Intervals are whole numbers of steps, so both sums are exact up to 2^53.
            let interval = step.saturating_sub(last) as f64;
            train.intervals += 1;
            train.sum += interval;
            train.squares += interval * interval;
        }
        train.last = Some(step);
    }
    let each = trains.iter().filter(|t| t.intervals >= 2 && t.sum > 0.0).map(|t| {
        let n = t.intervals as f64;
        let mean = t.sum / n;
        (t.squares / n - mean * mean).max(0.0).sqrt() / mean
    });
    mean(each)
}

/// All inter-spike intervals of the chosen neurons, in steps, in the order of their ends.
pub fn intervals(spikes: &PopulationSpikes, neurons: &Neurons, window: Window) -> Vec<u64> {
    let mut last = vec![None; spikes.size as usize];
    let mut out = Vec::new();
    for (step, i) in spikes.within(neurons, window) {
        if let Some(before) = last[i as usize].replace(step) {
            out.push(step.saturating_sub(before));
        }
    }
    out
}

/// Spikes of the chosen neurons together in each complete bin of `bin` steps.
pub fn binned_counts(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Vec<u64> {
    let bin = bin.max(1);
    let mut counts = vec![0; usize::try_from(window.steps() / bin).unwrap_or(0)];
    for (step, _) in spikes.within(neurons, window) {
        if let Some(c) = counts.get_mut(((step - window.from) / bin) as usize) {
            *c += 1;
        }
    }
    counts
}

/// Fano factor: variance over mean of a neuron's spike counts in successive bins of `bin` steps, averaged over the
/// chosen neurons that fired; 1 for a Poisson train. `None` below two bins or without a spike.
///
/// Fano (1947), Phys Rev 72:26; a bin of 100 ms is usual.
pub fn fano_factor(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Option<f64> {
    let counts = BinnedTrains::new(spikes, neurons, window, bin)?;
    mean(counts.moments.iter().filter(|m| m.sum > 0.0).map(|m| {
        let mean = m.sum / counts.bins;
        (m.squares / counts.bins - mean * mean).max(0.0) / mean
    }))
}

/// Synchrony: variance over mean of the population's spike counts in bins of `bin` steps; 1 for independent Poisson
/// trains, larger the more spikes come together. `None` below two bins or without a spike.
///
/// Potjans and Diesmann (2014), Cereb Cortex 24:785, with bins of 3 ms. It grows with the number of neurons.
pub fn synchrony(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Option<f64> {
    let counts = binned_counts(spikes, neurons, window, bin);
    let n = counts.len() as f64;
    let sum: f64 = counts.iter().map(|c| *c as f64).sum();
    if counts.len() < 2 || sum == 0.0 {
        return None;
    }
    let mean = sum / n;
    let variance = counts.iter().map(|c| (*c as f64 - mean).powi(2)).sum::<f64>() / n;
    Some(variance / mean)
}

/// Mean Pearson correlation of the spike counts in bins of `bin` steps over all pairs of chosen neurons whose counts
/// vary; `None` if there are fewer than two such neurons.
///
/// All pairs enter exactly, in time linear in spikes: with z the standardised counts, the sum of all correlations is
/// the mean over bins of (sum of z over neurons)^2. Bins of 2 ms are usual: Senk et al. (2018), arXiv:1811.12318.
pub fn correlation(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Option<f64> {
    let counts = BinnedTrains::new(spikes, neurons, window, bin)?;
    let scales: Vec<f64> = counts
        .moments
        .iter()
        .map(|m| {
            let mean = m.sum / counts.bins;
            let variance = m.squares / counts.bins - mean * mean;
            // Counts are whole numbers: a variance this small is a rounding error of zero.
            if variance > 1e-12 { 1.0 / variance.sqrt() } else { 0.0 }
        })
        .collect();
    let varying = scales.iter().filter(|s| **s > 0.0).count() as f64;
    if varying < 2.0 {
        return None;
    }
    let offset: f64 = counts.moments.iter().zip(&scales).map(|(m, s)| m.sum / counts.bins * s).sum();
    let mut z = vec![0.0; counts.bins as usize];
    for (step, i) in spikes.within(neurons, window) {
        if let Some(z) = z.get_mut(((step - window.from) / bin.max(1)) as usize) {
            *z += scales[i as usize];
        }
    }
    let total = z.iter().map(|z| (z - offset).powi(2)).sum::<f64>() / counts.bins;
    Some((total - varying) / (varying * (varying - 1.0)))
}

/// Sum over spikes of exp(-2 pi i f t), and their number; `frequency` is f in 1/ms.
fn phases(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, frequency: f64) -> (f64, f64, f64) {
    let (mut re, mut im, mut n) = (0.0, 0.0, 0.0);
    for (step, _) in spikes.within(neurons, window) {
        // Whole turns carry no phase: taking them away keeps the argument small.
        let turns = frequency * step as f64 * window.dt_ms;
        let angle = std::f64::consts::TAU * (turns - turns.floor());
        re += numerics::cos(angle);
        im += numerics::sin(angle);
        n += 1.0;
    }
    (re, im, n)
}

/// Power of the spikes as points at `frequency` (1/ms), over their number: about 1 for independent Poisson trains, the number
/// of spikes if all come in one phase. `None` without a spike.
///
/// Bartlett (1963), J R Stat Soc B 25:264.
pub fn power(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, frequency: f64) -> Option<f64> {
    let (re, im, n) = phases(spikes, neurons, window, frequency);
    (n > 0.0).then(|| (re * re + im * im) / n)
}

/// How far spikes keep to one phase of a rhythm of `frequency` (1/ms): the length of the mean of exp(-2 pi i f t), 1 where all
/// do and about 1 / sqrt(spikes) where none does. `None` without a spike.
///
/// Goldberg and Brown (1969), J Neurophysiol 32:613, whose vector strength it is.
pub fn phase_locking(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, frequency: f64) -> Option<f64> {
    let (re, im, n) = phases(spikes, neurons, window, frequency);
    (n > 0.0).then(|| (re * re + im * im).sqrt() / n)
}

/// Spikes in each avalanche, in the order of time: a run of bins of `bin` steps that all have spikes, between two without.
/// A run that the window cuts off at its start or its end is left out, since its size is not known.
///
/// Beggs and Plenz (2003), J Neurosci 23:11167; near a critical point sizes s have a density of about s^-1.5.
pub fn avalanches(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Vec<u64> {
    let counts = binned_counts(spikes, neurons, window, bin);
    let runs = counts.split(|c| *c == 0).map(|run| run.iter().sum());
    // What stands before the first empty bin and after the last one.
    let whole = counts.iter().filter(|c| **c == 0).count().saturating_sub(1);
    runs.skip(1).take(whole).filter(|size| *size > 0).collect()
}

/// First and second moment of the counts of one neuron, over bins.
#[derive(Clone, Copy, Default)]
struct Moments {
    sum: f64,
    squares: f64,
}

/// Moments of every neuron's binned counts; neurons that are not chosen have none.
struct BinnedTrains {
    bins: f64,
    moments: Vec<Moments>,
}

impl BinnedTrains {
    /// `None` if there are fewer than two complete bins.
    fn new(spikes: &PopulationSpikes, neurons: &Neurons, window: Window, bin: u64) -> Option<BinnedTrains> {
        let bin = bin.max(1);
        let bins = window.steps() / bin;
        if bins < 2 {
            return None;
        }
        let size = spikes.size as usize;
        let mut moments = vec![Moments::default(); size];
        // The open bin of each neuron; spikes come in the order of time, so it closes with the first spike beyond it.
        let mut open = vec![(0_u64, 0_u64); size];
        let close = |moments: &mut Moments, count: u64| {
            moments.sum += count as f64;
            moments.squares += (count * count) as f64;
        };
        for (step, i) in spikes.within(neurons, window) {
            let b = (step - window.from) / bin;
            if b >= bins {
                break;
            }
            let (at, count) = &mut open[i as usize];
            if *at != b {
                close(&mut moments[i as usize], *count);
                (*at, *count) = (b, 0);
            }
            *count += 1;
        }
        for (m, (_, count)) in moments.iter_mut().zip(&open) {
            close(m, *count);
        }
        Some(BinnedTrains { bins: bins as f64, moments })
    }
}

fn chosen<T: Clone>(neurons: &Neurons, size: u32, values: &[T]) -> Vec<T> {
    neurons.of(size).map(|i| values[i as usize].clone()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn population(size: u32, spikes: &[(u64, u32)]) -> PopulationSpikes {
        let mut sorted = spikes.to_vec();
        sorted.sort();
        PopulationSpikes {
            path: "E".into(),
            size,
            steps: sorted.iter().map(|s| s.0).collect(),
            senders: sorted.iter().map(|s| s.1).collect(),
        }
    }

    fn window(from: u64, to: u64) -> Window {
        Window { from, to, dt_ms: 0.1 }
    }

    /// A linear congruence, so that tests need no random crate (Knuth, MMIX).
    fn draws(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 2_f64.powi(53)
        }
    }

    /// Independent Bernoulli trains with probability `p` per step.
    fn poisson(size: u32, steps: u64, p: f64) -> PopulationSpikes {
        let mut draw = draws(1);
        let mut all = Vec::new();
        for step in 0..steps {
            for i in 0..size {
                if draw() < p {
                    all.push((step, i));
                }
            }
        }
        population(size, &all)
    }

    #[test]
    fn rates_and_counts_respect_neurons_and_window() {
        let p = population(4, &[(0, 0), (10, 1), (10, 2), (99, 2), (100, 3)]);
        let mask = [false, false, true, true];
        assert_eq!(count(&p, &Neurons::All, window(0, 100)), 4);
        assert_eq!(count(&p, &Neurons::All, window(0, 101)), 5);
        assert_eq!(mean_rate(&p, &Neurons::All, window(0, 100)), Some(4.0 / (4.0 * 0.01)));
        assert_eq!(spike_counts(&p, &Neurons::Range(1..3), window(0, 100)), [1, 2]);
        assert_eq!(spike_counts(&p, &Neurons::Mask(&mask), window(10, 101)), [2, 1]);
        assert_eq!(first_spikes(&p, &Neurons::Mask(&mask), window(0, 100)), [Some(10), None]);
        assert_eq!(active(&p, &Neurons::Range(1..4), window(0, 100)), [false, true, true, false]);
        assert_eq!(active_fraction(&p, &Neurons::All, window(50, 100)), Some(0.25));
        assert_eq!(mean_rate(&p, &Neurons::Range(2..2), window(0, 100)), None);
        assert_eq!(mean_rate(&p, &Neurons::All, window(100, 100)), None);
        assert_eq!(mean_rate(&p, &Neurons::All, window(100, 50)), None);
        assert_eq!(Neurons::Range(2..9).count(4), 2);
        assert_eq!(Neurons::Mask(&[true; 9]).count(4), 4);
    }

    #[test]
    fn senders_beyond_the_population_are_left_out() {
        let p = population(2, &[(0, 0), (1, 7), (2, 1)]);
        assert_eq!(spike_counts(&p, &Neurons::All, window(0, 10)), [1, 1]);
        assert!(intervals(&p, &Neurons::All, window(0, 10)).is_empty());
        assert!(correlation(&p, &Neurons::All, window(0, 10), 1).is_some());
    }

    #[test]
    fn cv_needs_three_spikes_and_is_a_mean_over_neurons() {
        // A clock; intervals 1 and 3: mean 2, deviation 1; two spikes only.
        let p = population(3, &[(0, 0), (5, 0), (10, 0), (20, 1), (21, 1), (24, 1), (3, 2), (9, 2)]);
        assert_eq!(cv_isi(&p, &Neurons::Range(0..1), window(0, 100)), Some(0.0));
        assert_eq!(cv_isi(&p, &Neurons::Range(1..2), window(0, 100)), Some(0.5));
        assert_eq!(cv_isi(&p, &Neurons::All, window(0, 100)), Some(0.25));
        assert_eq!(cv_isi(&p, &Neurons::Range(2..3), window(0, 100)), None);
        assert_eq!(intervals(&p, &Neurons::Range(0..2), window(0, 100)), [5, 5, 1, 3]);
    }

    #[test]
    fn poisson_trains_have_the_statistics_of_theory() {
        // 40 neurons at 20 Hz for 20 s: 16,000 spikes.
        let p = poisson(40, 200_000, 0.002);
        let w = window(0, 200_000);
        let near = |value: Option<f64>, expected: f64, by: f64| {
            assert!((value.unwrap() - expected).abs() < by, "{value:?}, expected {expected}");
        };
        near(mean_rate(&p, &Neurons::All, w), 20.0, 0.5);
        near(cv_isi(&p, &Neurons::All, w), 1.0, 0.03);
        near(fano_factor(&p, &Neurons::All, w, w.bin(100.0)), 1.0, 0.05);
        near(synchrony(&p, &Neurons::All, w, w.bin(3.0)), 1.0, 0.05);
        near(correlation(&p, &Neurons::All, w, w.bin(2.0)), 0.0, 0.002);
        // A periodogram scatters as widely as it is high, so the mean over 200 frequencies is taken.
        let powers = (1..=200).map(|f| power(&p, &Neurons::All, w, f64::from(f) * 1e-3).unwrap());
        near(mean(powers), 1.0, 0.2);
        // Of 16,000 phases at random, 1 / sqrt(16,000) is left.
        let locking = (1..=200).map(|f| phase_locking(&p, &Neurons::All, w, f64::from(f) * 1e-3).unwrap());
        near(mean(locking), 0.0, 0.01);
    }

    #[test]
    fn spikes_in_step_are_synchronous_and_correlated() {
        let mut all = Vec::new();
        for step in (0..10_000).step_by(100) {
            all.extend((0..10).map(|i| (step, i)));
        }
        let p = population(10, &all);
        let w = window(0, 10_000);
        assert!((correlation(&p, &Neurons::All, w, 10).unwrap() - 1.0).abs() < 1e-9);
        // Counts are 10 in one bin of ten: mean 1, variance 9.
        assert!((synchrony(&p, &Neurons::All, w, 10).unwrap() - 9.0).abs() < 1e-9);
        // Every 10 ms: all power at 100 Hz and its harmonics.
        let at = power(&p, &Neurons::All, w, 0.1).unwrap();
        let off = power(&p, &Neurons::All, w, 0.093).unwrap();
        assert!((at - 1000.0).abs() < 1e-6 && off < 1e-6 * at, "{at} {off}");
        assert!((phase_locking(&p, &Neurons::All, w, 0.1).unwrap() - 1.0).abs() < 1e-12);
        assert!(phase_locking(&p, &Neurons::All, w, 0.093).unwrap() < 1e-3);
        assert_eq!(phase_locking(&population(1, &[]), &Neurons::All, w, 0.1), None);
    }

    #[test]
    fn avalanches_lie_between_silent_bins() {
        // Bins of 2 steps: 1 | 0 | 2 1 | 0 0 | 3 | 0 | 1: the first and the last run may go on outside.
        let spikes = [(1, 0), (4, 0), (5, 1), (6, 0), (12, 0), (12, 1), (13, 0), (16, 1)];
        let p = population(2, &spikes);
        assert_eq!(avalanches(&p, &Neurons::All, window(0, 18), 2), [3, 3]);
        assert_eq!(avalanches(&p, &Neurons::Range(1..2), window(0, 18), 2), [1, 1]);
        assert!(avalanches(&p, &Neurons::All, window(0, 2), 2).is_empty());
        // With a silent bin at the end, the last one is whole.
        assert_eq!(avalanches(&p, &Neurons::All, window(0, 20), 2), [3, 3, 1]);
        assert!(avalanches(&population(2, &[]), &Neurons::All, window(0, 20), 2).is_empty());
    }

    #[test]
    fn sparseness_runs_from_one_neuron_to_all() {
        let one = population(5, &[(1, 2), (2, 2), (3, 2)]);
        assert_eq!(sparseness(&one, &Neurons::All, window(0, 10)), Some(0.2));
        let all = population(5, &[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
        assert_eq!(sparseness(&all, &Neurons::All, window(0, 10)), Some(1.0));
        assert_eq!(sparseness(&all, &Neurons::All, window(5, 10)), None);
    }

    proptest! {
        #[test]
        fn correlation_is_the_mean_over_all_pairs(
            spikes in prop::collection::vec((0_u64..60, 0_u32..5), 0..80),
            bin in 1_u64..8,
        ) {
            let p = population(5, &spikes);
            let w = window(3, 60);
            let bins = (w.steps() / bin) as usize;
            let trains: Vec<Vec<f64>> = (0..5)
                .map(|i| binned_counts(&p, &Neurons::Range(i..i + 1), w, bin).iter().map(|c| *c as f64).collect())
                .collect();
            let mean_of = |x: &[f64]| x.iter().sum::<f64>() / bins as f64;
            let covariance = |x: &[f64], y: &[f64]| {
                let (mx, my) = (mean_of(x), mean_of(y));
                x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum::<f64>() / bins as f64
            };
            let varying: Vec<&Vec<f64>> = trains.iter().filter(|x| covariance(x, x) > 1e-12).collect();
            let mut pairs = Vec::new();
            for (k, x) in varying.iter().enumerate() {
                for y in &varying[..k] {
                    pairs.push(covariance(x, y) / (covariance(x, x) * covariance(y, y)).sqrt());
                }
            }
            let expected = mean(pairs.into_iter());
            match (correlation(&p, &Neurons::All, w, bin), expected) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b),
                (a, b) => prop_assert_eq!(a, b),
            }
        }

        #[test]
        fn binned_counts_hold_the_spikes_of_complete_bins(
            spikes in prop::collection::vec((0_u64..100, 0_u32..3), 0..50),
            from in 0_u64..100, to in 0_u64..100, bin in 0_u64..20,
        ) {
            let p = population(3, &spikes);
            let counts = binned_counts(&p, &Neurons::All, window(from, to), bin);
            let complete = from + counts.len() as u64 * bin.max(1);
            prop_assert_eq!(counts.iter().sum::<u64>(), count(&p, &Neurons::All, window(from, complete)));
        }
    }
}
