//! Properties of the squid's axon (`HodgkinHuxley`): gates, rate, onset of firing, temperature.

use crate::lab::{INTERP, Lab, NATIVE, Place};

/// V and the gates, every step.
struct Trace {
    v: Vec<f64>,
    gates: [Vec<f64>; 3],
    /// ms
    spikes: Vec<f64>,
}

/// The axon under a constant current (uA/cm^2) for `time` ms in steps of `dt` ms.
fn axon(current: f64, time: f64, dt: f64, place: Place) -> Trace {
    run(&format!("HodgkinHuxley; drive P.I = {current:?} uA/cm^2"), time, dt, place)
}

/// The axon after a shock of 10 nC/cm^2, which takes V from rest to -55 mV at once.
fn shocked(celsius: f64, dt: f64) -> Trace {
    run(&format!("HodgkinHuxley(T = {celsius:?} degC, V = -55 mV)"), 20.0, dt, NATIVE)
}

fn run(cell: &str, time: f64, dt: f64, place: Place) -> Trace {
    let text = format!(
        "use std.neurons.HodgkinHuxley
network Squid {{ population P[1]: {cell} }}
experiment Go of Squid {{ record V, m, h, n of P; simulate {time:?} ms }}
"
    );
    let lab = Lab::in_steps(&text, dt);
    let ran = lab.run(place);
    Trace {
        v: ran.samples("P", "V", 0),
        gates: ["m", "h", "n"].map(|gate| ran.samples("P", gate, 0)),
        spikes: ran.train("P", 0).iter().map(|s| *s as f64 * dt).collect(),
    }
}

/// Spikes a second between the first and the last one after `from` ms.
fn rate(spikes: &[f64], from: f64) -> f64 {
    let late: Vec<f64> = spikes.iter().copied().filter(|t| *t > from).collect();
    match late.as_slice() {
        [first, .., last] => 1000.0 * (late.len() - 1) as f64 / (last - first),
        _ => 0.0,
    }
}

#[test]
fn gates_stay_between_closed_and_open_and_rest_where_opening_balances_closing() {
    // Steps as long as 0.1 ms, and currents that no axon would survive.
    for (current, dt) in [(0.0, 0.05), (10.0, 0.1), (200.0, 0.05), (-50.0, 0.1)] {
        for place in [NATIVE, INTERP] {
            let t = axon(current, 100.0, dt, place);
            for (gate, name) in t.gates.iter().zip(["m", "h", "n"]) {
                assert!(gate.iter().all(|x| (0.0..=1.0).contains(x)), "{name} at {current} uA/cm^2");
            }
        }
    }
    // 300 ms at rest: the slowest of time constants is 8.6 ms, so nothing of the start is left.
    let t = axon(0.0, 300.0, 0.05, NATIVE);
    let v = *t.v.last().unwrap();
    let am = 0.1 * (v + 40.0) / -(-(v + 40.0) / 10.0).exp_m1();
    let bm = 4.0 * (-(v + 65.0) / 18.0).exp();
    let ah = 0.07 * (-(v + 65.0) / 20.0).exp();
    let bh = 1.0 / (1.0 + (-(v + 35.0) / 10.0).exp());
    let an = 0.01 * (v + 55.0) / -(-(v + 55.0) / 10.0).exp_m1();
    let bn = 0.125 * (-(v + 65.0) / 80.0).exp();
    for (gate, expected) in t.gates.iter().zip([am / (am + bm), ah / (ah + bh), an / (an + bn)]) {
        let found = *gate.last().unwrap();
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }
    assert!((v + 65.0).abs() < 0.1, "rest at {v} mV");
}

#[test]
fn ten_microamperes_give_sixty_six_to_seventy_two_spikes_a_second() {
    for (dt, place) in [(0.05, NATIVE), (0.025, NATIVE), (0.05, INTERP)] {
        let t = axon(10.0, 500.0, dt, place);
        let found = rate(&t.spikes, 100.0);
        assert!((66.0..=72.0).contains(&found), "{found} Hz in steps of {dt} ms");
        let peak = t.v[(100.0 / dt) as usize..].iter().copied().fold(f64::MIN, f64::max);
        assert!((30.0..=50.0).contains(&peak), "{peak} mV");
    }
}

#[test]
fn repetitive_firing_begins_at_six_to_seven_microamperes_with_a_rate_of_its_own() {
    assert_eq!(axon(2.0, 500.0, 0.05, NATIVE).spikes.len(), 0);
    assert_eq!(rate(&axon(6.0, 1000.0, 0.05, NATIVE).spikes, 500.0), 0.0, "below the onset a step fires it at first");
    let onset = rate(&axon(7.0, 1000.0, 0.05, NATIVE).spikes, 500.0);
    assert!((50.0..=65.0).contains(&onset), "{onset} Hz");
    // Class 2: a third more current gives some 15 % more spikes.
    let more = rate(&axon(9.3, 1000.0, 0.05, NATIVE).spikes, 500.0);
    assert!((1.05..1.3).contains(&(more / onset)), "{onset} and {more} Hz");
}

/// Time from the upward to the downward crossing of the middle between rest and peak, ms.
fn width(t: &Trace, dt: f64) -> Option<f64> {
    let v = &t.v;
    let level = (peak(t) - 65.0) / 2.0;
    let crossing = |k: usize| (level - v[k]) / (v[k + 1] - v[k]);
    let up = (0..v.len() - 1).find(|k| v[*k] < level && v[*k + 1] >= level)?;
    let down = (up..v.len() - 1).find(|k| v[*k] >= level && v[*k + 1] < level)?;
    Some((down as f64 + crossing(down) - up as f64 - crossing(up)) * dt)
}

fn peak(t: &Trace) -> f64 {
    t.v.iter().copied().fold(f64::MIN, f64::max)
}

#[test]
fn warmth_makes_action_potentials_short_and_low_and_heat_blocks_them() {
    let dt = 0.01;
    let traces: Vec<Trace> = [6.3, 16.3, 26.3].iter().map(|celsius| shocked(*celsius, dt)).collect();
    let widths: Vec<f64> = traces.iter().map(|t| width(t, dt).expect("a spike")).collect();
    let peaks: Vec<f64> = traces.iter().map(peak).collect();
    assert!((1.0..=2.0).contains(&widths[0]), "{} ms at 6.3 degC", widths[0]);
    for k in [0, 1] {
        // The gates are three times as fast, the membrane as slow as before: the width falls, but not by all of that.
        let ratio = widths[k + 1] / widths[k];
        assert!((1.0 / 3.0..0.6).contains(&ratio), "widths {widths:?} ms");
        assert!(peaks[k + 1] < peaks[k], "peaks {peaks:?} mV");
    }
    assert!(traces.iter().all(|t| t.spikes.len() == 1) && peaks[2] > 0.0, "peaks {peaks:?} mV");
    // Above some 30 degC the same shock dies away.
    for celsius in [33.0, 40.0] {
        let t = shocked(celsius, dt);
        assert!(t.spikes.is_empty() && peak(&t) < -50.0, "{} mV at {celsius} degC", peak(&t));
    }
}
