//! Intervals of `LifEscape` against the theory of renewal processes: with the hazard known at each time since the last spike,
//! so is the distribution of intervals.

use crate::lab::{INTERP, Lab, NATIVE};

/// Probability of each interval, by steps: index k is an interval of k steps.
///
/// After `held` steps V follows `bias` from reset with `tau`, and a step ends with a spike with probability 1 - exp(-hazard
/// dt), the hazard that of V at its end.
fn intervals(held: usize, tau: f64, bias: f64, theta: f64, rho: f64, delta: f64, dt: f64) -> Vec<f64> {
    let (mut out, mut survival, mut k) = (vec![0.0; held + 1], 1.0, 1);
    while survival > 1e-12 {
        let v = bias * -(-(k as f64) * dt / tau).exp_m1();
        let p = -(-rho * ((v - theta) / delta).exp() * dt).exp_m1();
        out.push(survival * p);
        survival *= 1.0 - p;
        k += 1;
    }
    out
}

#[test]
fn intervals_have_the_distribution_of_a_renewal_process() {
    let dt = 0.1;
    // (drive mV, delta mV, rho 1/ms, t_ref ms): far below threshold, near it, above it with little noise.
    for (bias, delta, rho, t_ref) in [(14.0, 3.0, 0.2, 2.0), (20.0, 2.0, 0.1, 2.0), (26.0, 0.5, 1.0, 4.0)] {
        let text = format!(
            "use std.neurons.LifEscape
network Cells {{
    population P[400]: LifEscape(bias = {bias:?} mV, delta = {delta:?} mV, rho = {rho:?} ms^-1, t_ref = {t_ref:?} ms)
}}
experiment Go of Cells {{ simulate 1 s }}
"
        );
        let expected = intervals((t_ref / dt) as usize, 20.0, bias, 20.0, rho, delta, dt);
        let moment = |p: i32| expected.iter().enumerate().map(|(k, q)| q * (k as f64 * dt).powi(p)).sum::<f64>();
        let mean = moment(1);
        let variance = moment(2) - mean * mean;
        let fourth: f64 = expected.iter().enumerate().map(|(k, q)| q * (k as f64 * dt - mean).powi(4)).sum();
        let lab = Lab::in_steps(&text, dt);
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            // Of each cell the intervals that begin in the first half: whether one counts must not depend on its length.
            let mut trains = vec![Vec::new(); 400];
            ran.spikes("P").iter().for_each(|(step, cell)| trains[*cell as usize].push(*step));
            let begin = |t: &&[u64]| t[0] <= 5000;
            let found: Vec<f64> = trains
                .iter()
                .flat_map(|t| t.windows(2).filter(begin).map(|t| (t[1] - t[0]) as f64 * dt).collect::<Vec<_>>())
                .collect();
            // None that began then may still be open at the end.
            assert!(trains.iter().all(|t| t.last().is_some_and(|s| *s > 5000)), "{place:?}");
            let n = found.len() as f64;
            assert!(n > 1000.0, "{n} intervals");
            let found_mean = found.iter().sum::<f64>() / n;
            let found_variance = found.iter().map(|i| (i - found_mean).powi(2)).sum::<f64>() / (n - 1.0);
            let errors = (found_mean - mean) / (variance / n).sqrt();
            assert!(
                errors.abs() < 4.0,
                "drive {bias}: mean {found_mean}, expected {mean} ms, {errors:.1} standard errors"
            );
            let errors = (found_variance - variance) / ((fourth - variance * variance) / n).sqrt();
            assert!(
                errors.abs() < 4.0,
                "drive {bias}: variance {found_variance}, expected {variance}, {errors:.1} errors"
            );
            // Kolmogorov and Smirnov: a distance above 2.2 / sqrt(n) has probability 2 exp(-2 * 2.2^2) = 1e-4.
            let mut counts = vec![0.0; expected.len()];
            found.iter().for_each(|i| counts[((i / dt).round() as usize).min(expected.len() - 1)] += 1.0 / n);
            let (mut a, mut b, mut distance) = (0.0, 0.0, 0.0_f64);
            for (x, y) in counts.iter().zip(&expected) {
                (a, b) = (a + x, b + y);
                distance = distance.max((a - b).abs());
            }
            assert!(distance < 2.2 / n.sqrt(), "drive {bias}: distance {distance} of {n} intervals");
        }
    }
}
