//! The little linear algebra that mean-field equations need: row-major matrices of a few rows.

/// `a x`
pub(super) fn times(a: &[f64], x: &[f64]) -> Vec<f64> {
    let n = x.len();
    (0..n).map(|row| (0..n).map(|c| a[row * n + c] * x[c]).sum()).collect()
}

/// The solution of `a x = b` by elimination with partial pivots; `None` where `a` is singular to rounding.
pub(super) fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let (mut a, mut x) = (a.to_vec(), b.to_vec());
    let scale = a.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    // Circuits of many groups are sparse, and neighbours have numbers close by: entries stay in a band around the diagonal, which
    // pivots widen upwards by its lower half.
    let (below, above) = band(&a, n);
    for k in 0..n {
        let rows = (k + below + 1).min(n);
        let end = (rows + above).min(n);
        let best = (k..rows).max_by(|i, j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs()))?;
        if !(a[best * n + k].abs() > 1e-14 * scale) {
            return None;
        }
        if best != k {
            (k..end).for_each(|c| a.swap(k * n + c, best * n + c));
            x.swap(k, best);
        }
        for row in k + 1..rows {
            let factor = a[row * n + k] / a[k * n + k];
            if factor != 0.0 {
                (k..end).for_each(|c| a[row * n + c] -= factor * a[k * n + c]);
                x[row] -= factor * x[k];
            }
        }
    }
    for k in (0..n).rev() {
        let end = (k + below + above + 1).min(n);
        let rest: f64 = (k + 1..end).map(|c| a[k * n + c] * x[c]).sum();
        x[k] = (x[k] - rest) / a[k * n + k];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// How far entries lie below and above the diagonal at most.
fn band(a: &[f64], n: usize) -> (usize, usize) {
    let (mut below, mut above) = (0, 0);
    for (k, row) in a.chunks(n.max(1)).enumerate() {
        below = below.max(row[..k].iter().position(|v| *v != 0.0).map_or(0, |c| k - c));
        above = above.max(row[k..].iter().rposition(|v| *v != 0.0).unwrap_or(0));
    }
    (below, above)
}

/// `a^-1`; `None` where `a` is singular to rounding.
pub(super) fn inverse(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut out = vec![0.0; n * n];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        let x = solve(a, &unit)?;
        (0..n).for_each(|row| out[row * n + column] = x[row]);
    }
    Some(out)
}

/// The sum over k of `m^k b b^T (m^T)^k`, for a map `m` that decays: doubled, `S(2k) = S(k) + m^k S(k) m^k^T`.
pub(super) fn products(m: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let product = |a: &[f64], c: &[f64]| -> Vec<f64> {
        (0..n * n).map(|k| (0..n).map(|j| a[k / n * n + j] * c[j * n + k % n]).sum()).collect()
    };
    let mut sum: Vec<f64> = (0..n * n).map(|k| b[k / n] * b[k % n]).collect();
    let mut step = m.to_vec();
    // 2^40 steps: nothing that decays at all is left.
    for _ in 0..40 {
        let transposed: Vec<f64> = (0..n * n).map(|k| step[k % n * n + k / n]).collect();
        let more = product(&product(&step, &sum), &transposed);
        let longer: Vec<f64> = sum.iter().zip(&more).map(|(s, x)| s + x).collect();
        if longer == sum {
            break;
        }
        sum = longer;
        step = product(&step, &step);
    }
    sum
}

/// `h . a h`
pub(super) fn form(a: &[f64], h: &[f64]) -> f64 {
    times(a, h).iter().zip(h).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved_and_singular_ones_refused() {
        let a = [0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 3.0, 0.0, -1.0];
        let x = solve(&a, &[8.0, 3.0, -1.0]).unwrap();
        let b = times(&a, &x);
        assert!(b.iter().zip([8.0, 3.0, -1.0]).all(|(p, q)| (p - q).abs() < 1e-12), "{b:?}");
        assert_eq!(solve(&[1.0, 2.0, 2.0, 4.0], &[1.0, 1.0]), None);
        // A band of which a pivot is below the diagonal.
        #[rustfmt::skip]
        let a = [
            0.1, 2.0, 0.0, 0.0, 0.0,
            4.0, 1.0, 3.0, 0.0, 0.0,
            0.0, 5.0, 0.2, 1.0, 0.0,
            0.0, 0.0, 6.0, 0.0, 2.0,
            0.0, 0.0, 0.0, 7.0, 1.0,
        ];
        assert_eq!(band(&a, 5), (1, 1));
        let x = solve(&a, &times(&a, &[1.0, -2.0, 3.0, -4.0, 5.0])).unwrap();
        assert!(x.iter().zip([1.0, -2.0, 3.0, -4.0, 5.0]).all(|(p, q)| (p - q).abs() < 1e-12), "{x:?}");
        assert_eq!(inverse(&[], 0), Some(vec![]));
    }

    /// A geometric series, and a chain of two whose first 200 terms are added one by one.
    #[test]
    fn the_power_of_a_response_is_its_sum_of_squares() {
        let power = |m: &[f64], b: &[f64], h: &[f64]| form(&products(m, b), h);
        assert!((power(&[0.5], &[3.0], &[2.0]) - 36.0 / 0.75).abs() < 1e-12);
        let (m, h) = ([0.9, 0.2, 0.0, 0.7], [1.0_f64, 0.5]);
        let (mut x, mut sum) = (vec![0.0_f64, 1.0], 0.0_f64);
        for _ in 0..400 {
            sum += (h[0] * x[0] + h[1] * x[1]).powi(2);
            x = times(&m, &x);
        }
        assert!((power(&m, &[0.0, 1.0], &h) - sum).abs() < 1e-9 * sum);
    }
}
