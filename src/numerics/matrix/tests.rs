//! Closed forms, scaling laws and structure.

use super::*;
use crate::numerics::math::{cos, exp, expm1, sin};

fn close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * expected.abs(),
        "{found:e}, expected {expected:e}: relative error {:e}",
        error / expected.abs()
    );
}

const ROUNDING: f64 = 3e-16;

/// (1 - e^-x) / x for small |x| by its series, else from the library of this room.
fn relative_decay(x: f64) -> f64 {
    if x.abs() < 1e-3 { 1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0))) } else { -expm1(-x) / x }
}

#[test]
fn diagonal_and_nilpotent() {
    let p = expm(&[-1.0, 0.0, 0.0, 3.0], 2);
    close(p[0], exp(-1.0), ROUNDING);
    close(p[3], exp(3.0), ROUNDING);
    assert_eq!((p[1], p[2]), (0.0, 0.0));
    assert_eq!(expm(&[0.0, 5.0, 0.0, 0.0], 2), [1.0, 5.0, 0.0, 1.0]);
    assert_eq!(expm(&[0.0; 9], 3), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert!(expm(&[], 0).is_empty());
}

#[test]
fn rotation() {
    for angle in [0.1, 1.0, 10.0, 1000.0] {
        let p = expm(&[0.0, -angle, angle, 0.0], 2);
        // The angle itself is exact, so only rounding separates the two, however many turns there are.
        assert!((p[0] - cos(angle)).abs() < 3e-16 && (p[2] - sin(angle)).abs() < 3e-16, "{angle}");
        assert_eq!(p[1], -p[2]);
    }
}

/// LIF with exponential current: I' = -I / ts, V' = -V / tm + I / c.
#[test]
fn exponential_current_through_the_singularity() {
    let (tm, c, h) = (10.0, 250.0, 0.1);
    for exponent in -10..=-1 {
        for sign in [-1.0, 0.0, 1.0] {
            let ts: f64 = tm + sign * 10f64.powi(exponent);
            let (p, _) = propagator(&[-1.0 / ts, 0.0, 1.0 / c, -1.0 / tm], 2, h);
            // V from I: e^(-h/tm) (h / c) (1 - e^-x) / x with x = h (1/ts - 1/tm), which has no singularity. The
            // difference is formed from the rounded rates that the matrix holds.
            let x = h * (1.0 / ts - 1.0 / tm);
            close(p[0], exp(-h / ts), ROUNDING);
            close(p[3], exp(-h / tm), ROUNDING);
            close(p[2], exp(-h / tm) * h / c * relative_decay(x), 5e-16);
            assert_eq!(p[1], 0.0);
        }
    }
}

/// LIF with alpha current: D' = -D / ts, I' = D - I / ts, V' = -V / tm + I / c.
#[test]
fn alpha_current_through_the_singularity() {
    let (tm, c, h) = (10.0, 250.0, 0.1);
    for delta in [0.0, 1e-10, -1e-8, 1e-6, -1e-4, 1e-2, 0.1, -5.0] {
        let ts: f64 = tm + delta;
        let a = [-1.0 / ts, 0.0, 0.0, 1.0, -1.0 / ts, 0.0, 0.0, 1.0 / c, -1.0 / tm];
        let (p, _) = propagator(&a, 3, h);
        // The integral of s e^(-x s / h) over 0 .. h is h^2 sum over k of (-x)^k / (k! (k + 2)).
        let x = h * (1.0 / ts - 1.0 / tm);
        let (mut sum, mut term) = (0.0, 1.0);
        for k in 0..20 {
            sum += term / f64::from(k + 2);
            term *= -x / f64::from(k + 1);
        }
        close(p[3], h * exp(-h / ts), ROUNDING);
        close(p[6], exp(-h / tm) * h * h / c * sum, 5e-16);
        close(p[7], exp(-h / tm) * h / c * relative_decay(x), 5e-16);
        assert_eq!((p[1], p[2], p[5]), (0.0, 0.0, 0.0));
    }
}

#[test]
fn stiff_time_constants() {
    // 1 us next to 1 s, over 0.1 ms and over a second.
    let (fast, slow) = (1e-3, 1e3);
    for h in [0.1, 1000.0] {
        let (p, phi) = propagator(&[-1.0 / fast, 0.0, 1.0, -1.0 / slow], 2, h);
        close(p[3], exp(-h / slow), ROUNDING);
        close(phi[0], fast * -expm1(-h / fast), ROUNDING);
        close(phi[3], slow * -expm1(-h / slow), 5e-16);
        close(p[2], (exp(-h / slow) - exp(-h / fast)) / (1.0 / fast - 1.0 / slow), 1e-15);
        // e^-100 relative to its own size: h / fast is rounded to 53 bits, hence the factor 100.
        if h < 1.0 {
            close(p[0], exp(-100.0), 100.0 * ROUNDING);
        }
    }
}

#[test]
fn phi_is_the_response_to_constant_input() {
    // a Phi = P - 1, for a matrix without structure and with complex eigenvalues.
    let a = [-0.3, 0.7, -0.2, -1.1, -0.4, 0.5, 0.9, -0.6, -0.1];
    let (p, phi) = propagator(&a, 3, 0.8);
    for i in 0..3 {
        for j in 0..3 {
            let sum: f64 = (0..3).map(|k| a[i * 3 + k] * phi[k * 3 + j]).sum();
            let expected = p[i * 3 + j] - f64::from(u8::from(i == j));
            assert!((sum - expected).abs() < 1e-15, "{i} {j}: {sum} {expected}");
        }
    }
    // Singular a: a pure integrator ramps.
    let (p, phi) = propagator(&[0.0], 1, 0.25);
    assert_eq!((p[0], phi[0]), (1.0, 0.25));
}

#[test]
fn two_half_steps_make_one() {
    let n = 6;
    let mut state = 7u64;
    let a: Vec<f64> = (0..n * n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / 9007199254740992.0 * 6.0 - 3.0
        })
        .collect();
    let (half, _) = propagator(&a, n, 0.5);
    let (whole, _) = propagator(&a, n, 1.0);
    for i in 0..n {
        for j in 0..n {
            let square: f64 = (0..n).map(|k| half[i * n + k] * half[k * n + j]).sum();
            assert!((square - whole[i * n + j]).abs() < 1e-14 * whole.iter().fold(0.0f64, |m, x| m.max(x.abs())));
        }
    }
}

#[test]
fn structural_zeros_stay_zero() {
    // Two cells without a path between them, and a chain whose entries run one way.
    let a = [-1.0, 2.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0, 4.0, -8.0];
    let (p, phi) = propagator(&a, 4, 2.0);
    let q = noise_covariance(&a, 4, &[1.0, 0.0, 0.0, 1.0], 1, 2.0);
    for i in 0..4 {
        for j in 0..4 {
            // Reachable: same pair of cells; b within a pair only downwards or upwards as written.
            let linked = i == j || (i, j) == (0, 1) || (i, j) == (3, 2) || (i, j) == (1, 0);
            if !linked {
                assert_eq!((p[i * 4 + j].to_bits(), phi[i * 4 + j].to_bits()), (0, 0), "{i} {j}");
            }
        }
    }
    // Nothing leads from the noisy states to the third.
    assert!((0..4).all(|i| q[i * 4 + 2].to_bits() == 0 && q[8 + i].to_bits() == 0) && q[3] > 0.0 && q[15] > 0.0);
}

#[test]
fn ornstein_uhlenbeck_variance() {
    for (tau, sigma, h) in [(5.0, 2.0, 0.1), (0.001, 3.0, 10.0), (1e6, 1.0, 0.1)] {
        // sigma sqrt(2 / tau) xi has the stationary variance sigma^2.
        let g: f64 = sigma * (2.0f64 / tau).sqrt();
        let q = noise_covariance(&[-1.0 / tau], 1, &[g], 1, h);
        close(q[0], g * g * tau / 2.0 * -expm1(-2.0 * h / tau), 1e-15);
    }
}

#[test]
fn filtered_noise_covariance() {
    // V' = -V / tm + I, I' = -I / ts + xi; stationary values after a long time.
    let (tm, ts) = (20.0, 5.0);
    let q = noise_covariance(&[-1.0 / tm, 1.0, 0.0, -1.0 / ts], 2, &[0.0, 1.0], 1, 5000.0);
    close(q[3], ts / 2.0, 1e-15);
    close(q[1], ts / 2.0 * tm * ts / (tm + ts), 1e-15);
    close(q[0], ts / 2.0 * tm * tm * ts / (tm + ts), 1e-15);
    assert_eq!(q[1], q[2]);
    // And of a step, by adding up two halves.
    let a = [-1.0 / tm, 1.0, 0.0, -1.0 / ts];
    let (half, whole) = (noise_covariance(&a, 2, &[0.0, 1.0], 1, 0.05), noise_covariance(&a, 2, &[0.0, 1.0], 1, 0.1));
    let (p, _) = propagator(&a, 2, 0.05);
    let carried = |i: usize, j: usize| {
        (0..2)
            .flat_map(|k| (0..2).map(move |l| (k, l)))
            .map(|(k, l)| p[i * 2 + k] * half[k * 2 + l] * p[j * 2 + l])
            .sum::<f64>()
    };
    for (i, j) in [(0, 0), (0, 1), (1, 1)] {
        close(half[i * 2 + j] + carried(i, j), whole[i * 2 + j], 1e-15);
    }
}

#[test]
fn cholesky_reproduces_the_matrix() {
    let q = noise_covariance(&[-0.05, 1.0, 0.0, -0.2], 2, &[0.0, 1.0], 1, 0.1);
    let l = cholesky(&q, 2).unwrap();
    assert_eq!(l[1], 0.0);
    close(l[0] * l[0], q[0], ROUNDING);
    close(l[2] * l[0], q[1], ROUNDING);
    close(l[2] * l[2] + l[3] * l[3], q[3], ROUNDING);
}

#[test]
fn cholesky_of_singular_and_indefinite_matrices() {
    // One noise driving two identical states, and states without noise.
    assert_eq!(cholesky(&[4.0, 4.0, 4.0, 4.0], 2).unwrap(), [2.0, 0.0, 2.0, 0.0]);
    assert_eq!(cholesky(&[0.0, 0.0, 0.0, 9.0], 2).unwrap(), [0.0, 0.0, 0.0, 3.0]);
    assert_eq!(cholesky(&[0.0; 4], 2).unwrap(), [0.0; 4]);
    assert_eq!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2), None);
    assert_eq!(cholesky(&[-1.0], 1), None);
    assert_eq!(cholesky(&[0.0, 1.0, 1.0, 1.0], 2), None);
    assert_eq!(cholesky(&[f64::NAN], 1), None);
}

#[test]
fn overflow_and_nan_are_visible() {
    assert!(!expm(&[1e5], 1)[0].is_finite());
    assert!(expm(&[f64::NAN], 1)[0].is_nan());
    assert!(propagator(&[-1.0], 1, f64::INFINITY).0[0].is_nan());
    // A far decay underflows quietly.
    assert_eq!(expm(&[-1e9], 1)[0], 0.0);
}

#[test]
fn all_levels_agree() {
    use crate::numerics::dispatch::Level;
    let n = 5;
    let a: Vec<DoubleDouble> = (0..n * n).map(|i| DoubleDouble::new(1.0 / (i as f64 - 7.3))).collect();
    let mut expected = vec![DoubleDouble::ZERO; n * n];
    multiply_into_at(Level::Baseline, &mut expected, &a, &a, n);
    for level in Level::ALL {
        let mut found = vec![DoubleDouble::ZERO; n * n];
        multiply_into_at(level, &mut found, &a, &a, n);
        assert_eq!(found, expected);
    }
}
