//! Small dense matrices (up to some 32 rows): exponentials, propagators, noise covariances.
//!
//! Matrices are row-major slices. Everything runs in twice the working precision and is rounded once at the end, so
//! that stiff systems, oscillators and nearly equal time constants all come out to rounding error, and an entry that
//! no path through the matrix reaches is exactly 0. Time is spent when a model is built, never in the step loop.
//!
//! A matrix or step that is not finite, or whose result overflows, gives entries that are not finite; callers check.

use super::dispatch::multiversion;
use super::double_double::DoubleDouble;

type Matrix = Vec<DoubleDouble>;

/// The matrix to be exponentiated is halved until its norm is at most this.
const TAYLOR_NORM: f64 = 0.5;
/// Terms of the Taylor series: 0.5^27 / 27! is below 2^-119.
const TAYLOR_TERMS: usize = 27;

/// e^a for an `n` x `n` matrix.
///
/// Scaling and squaring with a Taylor series (Moler and Van Loan 2003, method 3).
#[must_use]
pub fn expm(a: &[f64], n: usize) -> Vec<f64> {
    propagator(a, n, 1.0).0
}

/// The exact solution over one step `h` of x' = a x + b with constant b: x(t + h) = P x(t) + Phi b.
///
/// Returns (P, Phi) = (e^(a h), integral of e^(a s) ds over 0 .. h), the upper blocks of the exponential of the
/// augmented matrix [[a, 1], [0, 0]] h. Phi needs no inverse of `a`.
#[must_use]
pub fn propagator(a: &[f64], n: usize, h: f64) -> (Vec<f64>, Vec<f64>) {
    if !all_finite(a) || !h.is_finite() {
        return (vec![f64::NAN; n * n], vec![f64::NAN; n * n]);
    }
    let (p, phi, _) = solve(a, n, h, None);
    (round(&p), round(&phi))
}

/// Covariance after a time `h` of x' = a x + g xi from a known start, with `m` independent unit white noises xi and `g`
/// of `n` x `m`: the integral of e^(a s) g g^T e^(a^T s) ds over 0 .. h.
///
/// The doubling form of Van Loan's integral (IEEE Trans. Autom. Control 23, 1978): Q(2 h) = Q(h) + P(h) Q(h) P(h)^T
/// adds positive terms only, while Van Loan's own e^(-a h) overflows for stiff systems. The result is symmetric.
#[must_use]
pub fn noise_covariance(a: &[f64], n: usize, g: &[f64], m: usize, h: f64) -> Vec<f64> {
    if !all_finite(a) || !all_finite(g) || !h.is_finite() {
        return vec![f64::NAN; n * n];
    }
    let (_, _, q) = solve(a, n, h, Some((g, m)));
    round(&q)
}

/// A lower triangular L with L L^T = `q`, for a symmetric positive semi-definite `q`.
///
/// A pivot that is zero or negative within rounding (2^-40 of the diagonal entry it came from) gives a zero column.
/// `None` if the matrix is indefinite or not finite.
#[must_use]
pub fn cholesky(q: &[f64], n: usize) -> Option<Vec<f64>> {
    const TOLERANCE: f64 = 1.0 / 1099511627776.0;
    if !all_finite(q) {
        return None;
    }
    let mut lower = vec![0.0; n * n];
    for j in 0..n {
        let rest = |i: usize, lower: &[f64]| {
            let mut sum = DoubleDouble::new(q[i * n + j]);
            for k in 0..j {
                sum = sum + DoubleDouble::product(-lower[i * n + k], lower[j * n + k]);
            }
            sum.rounded()
        };
        let pivot = rest(j, &lower);
        if pivot > TOLERANCE * q[j * n + j] {
            let root = pivot.sqrt();
            lower[j * n + j] = root;
            for i in j + 1..n {
                lower[i * n + j] = rest(i, &lower) / root;
            }
        } else {
            if pivot < -TOLERANCE * q[j * n + j].abs() {
                return None;
            }
            // The row has no variance of its own left, so it cannot covary with what follows.
            for i in j + 1..n {
                let bound = (q[i * n + i] * q[j * n + j]).abs().sqrt();
                if rest(i, &lower).abs() > TOLERANCE.sqrt() * bound {
                    return None;
                }
            }
        }
    }
    Some(lower)
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|v| v.is_finite())
}

fn round(matrix: &[DoubleDouble]) -> Vec<f64> {
    // Adding 0 turns a negative zero into a positive one.
    matrix.iter().map(|x| x.rounded() + 0.0).collect()
}

/// (P, Phi, Q) over one step; Q only if a noise matrix is given.
fn solve(a: &[f64], n: usize, h: f64, noise: Option<(&[f64], usize)>) -> (Matrix, Matrix, Matrix) {
    // Halve the step until the series converges fast. The norm is the largest absolute row sum of a h.
    let norm = (0..n).map(|i| a[i * n..(i + 1) * n].iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max);
    let mut size = norm * h.abs();
    let mut halvings = 0;
    let mut unit = 1.0;
    while size > TAYLOR_NORM && halvings < 1000 {
        size *= 0.5;
        unit *= 0.5;
        halvings += 1;
    }
    let step = h * unit;
    let scaled: Matrix = a.iter().map(|x| DoubleDouble::product(*x, h).scaled(unit)).collect();

    // P = sum of (a step)^k / k!, and Phi / step = sum of (a step)^k / (k + 1)!.
    let mut p = identity(n);
    let mut phi = identity(n);
    let mut term = identity(n);
    for k in 1..=TAYLOR_TERMS {
        term = multiply(&term, &scaled, n);
        for ((t, p), phi) in term.iter_mut().zip(&mut p).zip(&mut phi) {
            *t = t.divided_by(k as f64);
            *p = *p + *t;
            *phi = *phi + t.divided_by((k + 1) as f64);
        }
    }
    for x in &mut phi {
        *x = *x * DoubleDouble::new(step);
    }
    let mut q = noise.map_or_else(Vec::new, |(g, m)| covariance_series(&scaled, n, g, m, step));

    for _ in 0..halvings {
        // Over the second half the first half's integral is carried along by P.
        let carried = multiply(&p, &phi, n);
        add(&mut phi, &carried);
        if noise.is_some() {
            let carried = multiply(&multiply(&p, &q, n), &transpose(&p, n), n);
            add(&mut q, &carried);
            symmetrise(&mut q, n);
        }
        p = multiply(&p, &p, n);
    }
    (p, phi, q)
}

/// Q over a short step: the Taylor series with Q' = a Q + Q a^T + g g^T.
fn covariance_series(scaled: &[DoubleDouble], n: usize, g: &[f64], m: usize, step: f64) -> Matrix {
    let mut term = vec![DoubleDouble::ZERO; n * n];
    for i in 0..n {
        for j in 0..n {
            for k in 0..m {
                term[i * n + j] = term[i * n + j] + DoubleDouble::product(g[i * m + k], g[j * m + k]);
            }
        }
    }
    for t in &mut term {
        *t = *t * DoubleDouble::new(step);
    }
    let mut q = term.clone();
    // The norm of Q -> a Q + Q a^T is twice that of a, so this series needs more terms: 1 / 33! is below 2^-122.
    for k in 1..=32 {
        let left = multiply(scaled, &term, n);
        let right = transpose(&left, n);
        for (t, (l, r)) in term.iter_mut().zip(left.iter().zip(&right)) {
            *t = (*l + *r).divided_by((k + 1) as f64);
        }
        add(&mut q, &term);
    }
    symmetrise(&mut q, n);
    q
}

fn identity(n: usize) -> Matrix {
    let mut matrix = vec![DoubleDouble::ZERO; n * n];
    for i in 0..n {
        matrix[i * n + i] = DoubleDouble::ONE;
    }
    matrix
}

fn multiply(a: &[DoubleDouble], b: &[DoubleDouble], n: usize) -> Matrix {
    let mut product = vec![DoubleDouble::ZERO; n * n];
    multiply_into(&mut product, a, b, n);
    product
}

multiversion! {
    fn multiply_into / multiply_into_at(product: &mut [DoubleDouble], a: &[DoubleDouble], b: &[DoubleDouble], n: usize) {
        for i in 0..n {
            let row = &mut product[i * n..(i + 1) * n];
            for k in 0..n {
                let factor = a[i * n + k];
                // Zeros of the structure stay exact zeros even against infinities, and cost nothing.
                if factor == DoubleDouble::ZERO {
                    continue;
                }
                for (sum, b) in row.iter_mut().zip(&b[k * n..(k + 1) * n]) {
                    *sum = *sum + factor * *b;
                }
            }
        }
    }
}

fn add(sum: &mut [DoubleDouble], other: &[DoubleDouble]) {
    for (s, o) in sum.iter_mut().zip(other) {
        *s = *s + *o;
    }
}

fn transpose(a: &[DoubleDouble], n: usize) -> Matrix {
    let mut result = Vec::with_capacity(n * n);
    for i in 0..n {
        for j in 0..n {
            result.push(a[j * n + i]);
        }
    }
    result
}

/// Copies the upper triangle to the lower one: rounding must not make a covariance asymmetric.
fn symmetrise(a: &mut [DoubleDouble], n: usize) {
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = a[j * n + i];
        }
    }
}

#[cfg(test)]
mod tests;
