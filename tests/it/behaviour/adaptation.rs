//! Adaptation of `LifAdaptive`: first and last interval, and the time constant between them, against theory.

use crate::lab::{Lab, NATIVE};

const C: f64 = 250.0;
const TAU: f64 = 20.0;
const THETA: f64 = 20.0;
const T_REF: f64 = 2.0;

/// V above rest `s` ms after the end of the refractory time, under `drive` pA less a current that is `w` pA then and decays
/// with `tau_w`, mV.
fn voltage(drive: f64, w: f64, tau_w: f64, s: f64) -> f64 {
    let leak = (-s / TAU).exp();
    drive * TAU / C * (1.0 - leak) - w / C * ((-s / tau_w).exp() - leak) / (1.0 / TAU - 1.0 / tau_w)
}

/// Interval that follows a spike which leaves `w` pA, ms: V rises until it crosses, so bisection finds it.
fn interval(drive: f64, w: f64, tau_w: f64) -> f64 {
    let held = w * (-T_REF / tau_w).exp();
    let (mut low, mut high) = (0.0, 10_000.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if voltage(drive, held, tau_w, middle) < THETA { low = middle } else { high = middle }
    }
    T_REF + high
}

/// Current after a spike, and interval, in the steady state: what decays in an interval is what a spike adds.
fn steady(drive: f64, b: f64, tau_w: f64) -> (f64, f64) {
    let mut w = 0.0;
    for _ in 0..100_000 {
        w = w * (-interval(drive, w, tau_w) / tau_w).exp() + b;
        if (w * (-interval(drive, w, tau_w) / tau_w).exp() + b - w).abs() < 1e-12 {
            break;
        }
    }
    (w, interval(drive, w, tau_w))
}

/// Slope of the least-squares line.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

#[test]
fn a_cell_adapts_from_the_rate_of_its_drive_to_that_of_what_is_left_with_the_time_constant_of_both() {
    // A fine step: the intervals are rounded up to it.
    let dt = 0.01;
    for (drive, b, tau_w) in [(500.0, 5.0, 1000.0), (600.0, 10.0, 400.0), (400.0, 2.0, 1000.0)] {
        let text = format!(
            "use std.neurons.LifAdaptive
network Alone {{ population P[1]: LifAdaptive(b = {b:?} pA, tau_w = {tau_w:?} ms, I_e = {drive:?} pA) }}
experiment Go of Alone {{ simulate {} ms }}
",
            8.0 * tau_w
        );
        let lab = Lab::in_steps(&text, dt);
        let train: Vec<f64> = lab.run(NATIVE).train("P", 0).iter().map(|s| *s as f64 * dt).collect();
        let intervals: Vec<f64> = train.windows(2).map(|t| t[1] - t[0]).collect();
        let (last_w, last) = steady(drive, b, tau_w);
        // The first interval begins with one spike's worth of adaptation; the time to the first spike with none.
        let first = interval(drive, b, tau_w);
        let start = TAU * (drive * TAU / C / (drive * TAU / C - THETA)).ln();
        assert!((0.0..=dt + 1e-9).contains(&(train[0] - start)), "first spike at {}, expected {start}", train[0]);
        assert!((0.0..=dt + 1e-9).contains(&(intervals[0] - first)), "{} ms, expected {first} ms", intervals[0]);
        // Rounding every interval up lets the current decay by dt more, so the last ones differ by at most two steps.
        let found = *intervals.last().unwrap();
        assert!((found - last).abs() < 2.0 * dt, "{found} ms, expected {last} ms");
        assert!(last / first > 1.25, "f_0 / f_inf is {}", last / first);

        // Benda and Herz (2003): near the end the rate relaxes with tau_w / (1 + b tau_w |df / dw|).
        let mean = b * tau_w / last;
        let rate = |w: f64| {
            let mu = (drive - w) * TAU / C;
            1.0 / (T_REF + TAU * (mu / (mu - THETA)).ln())
        };
        let fall = (rate(mean - 0.5) - rate(mean + 0.5)).abs();
        let expected = tau_w / (1.0 + b * tau_w * fall);
        // From where the rest of the way is 20 % of the interval, so that f is nearly linear in w, to where the rounding of
        // the intervals would count.
        let rest = |k: usize| (last - intervals[k]) / last;
        let part = (0..intervals.len()).filter(|k| (0.005..0.2).contains(&rest(*k)));
        let points: Vec<(f64, f64)> = part.map(|k| (train[k], rest(k).ln())).collect();
        assert!(points.len() >= 5, "{} points", points.len());
        let tau = -1.0 / slope(&points);
        // 10 %: the curvature of the rate over that part of the way.
        assert!((tau / expected - 1.0).abs() < 0.1, "{tau} ms, expected {expected} ms; current {last_w} pA");
        let recovered = tau * (1.0 + b * tau_w * fall);
        assert!((recovered / tau_w - 1.0).abs() < 0.1, "tau_w comes out as {recovered} ms");
    }
}
