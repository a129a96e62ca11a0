//! Statistics for the tests of this room. Seeds are fixed, so a test either always passes or always fails; the bounds
//! are some five standard deviations wide.

/// Pearson's statistic must not exceed what chance gives: its mean is the degrees of freedom, its variance twice that.
pub(super) fn assert_chi_square(what: &str, observed: &[u64], probabilities: &[f64]) {
    assert_eq!(observed.len(), probabilities.len());
    let total = observed.iter().sum::<u64>() as f64;
    let statistic: f64 = observed
        .iter()
        .zip(probabilities)
        .map(|(&count, p)| {
            let expected = total * p;
            (count as f64 - expected) * (count as f64 - expected) / expected
        })
        .sum();
    let freedom = (observed.len() - 1) as f64;
    let bound = freedom + 5.0 * (2.0 * freedom).sqrt() + 5.0;
    assert!(statistic < bound, "{what}: chi-square {statistic:.1} at {freedom} degrees of freedom, {observed:?}");
}

/// Counts of values up to each edge (inclusive) and beyond the last.
pub(super) fn histogram(values: impl IntoIterator<Item = f64>, edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.iter().take_while(|edge| value > **edge).count()] += 1;
    }
    counts
}

/// Ten equally likely bins.
pub(super) fn assert_deciles(what: &str, values: impl IntoIterator<Item = f64>, edges: &[f64; 9]) {
    assert_chi_square(what, &histogram(values, edges), &[0.1; 10]);
}

/// Mean and variance against their exact values, within five standard errors; `kurtosis` is the fourth standardised
/// moment of the law (3 for a normal one).
pub(super) fn assert_moments(what: &str, values: &[f64], mean: f64, variance: f64, kurtosis: f64) {
    let n = values.len() as f64;
    let found = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    assert!((found - mean).abs() < 5.0 * (variance / n).sqrt(), "{what}: mean {found}, expected {mean}");
    // The second term is the square of the error of the mean: all there is for a fair coin, whose kurtosis is 1.
    let bound = 5.0 * variance * ((kurtosis - 1.0) / n).sqrt() + 25.0 * variance / n;
    assert!((spread - variance).abs() < bound, "{what}: variance {spread}, expected {variance}");
}

/// The correlation of two sequences of independent numbers with the given mean and variance.
pub(super) fn assert_uncorrelated(what: &str, a: &[f64], b: &[f64], mean: f64, variance: f64) {
    let n = a.len().min(b.len()) as f64;
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - mean) * (y - mean)).sum();
    assert!((sum / n / variance).abs() < 5.0 / n.sqrt(), "{what}: correlation {}", sum / n / variance);
}
