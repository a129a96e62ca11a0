//! When cells fire: closed formulas of the leaky integrate-and-fire cell, and the refractory rule, to the step.

use crate::lab::{INTERP, Lab, NATIVE};

/// Steps that `time` ms take, rounded up: a threshold crossed within a step is found at its end.
///
/// A time that falls on the grid could go either way by a rounding error; such cases prove nothing and are refused.
fn steps_up(time: f64, dt: f64) -> u64 {
    let steps = time / dt;
    assert!((steps - steps.round()).abs() > 1e-6, "{time} ms lies on the grid");
    steps.ceil() as u64
}

/// Time from `from` to `to` on the way to `rest + mu`, ms.
fn passage(tau: f64, mu: f64, from: f64, to: f64) -> f64 {
    tau * ((mu - from) / (mu - to)).ln()
}

/// The steps at which a cell fires that starts at `start`: the way up, then dead time and way up again.
fn expected_train(start: u64, interval: u64, last: u64) -> Vec<u64> {
    (0..).map(|k| start + k * interval).take_while(|s| *s <= last).collect()
}

#[test]
fn constant_drive_gives_the_intervals_of_the_closed_formula() {
    let drives = [20.5, 21.0, 22.3, 25.0, 30.0, 47.0, 100.0, 1000.0];
    let list: Vec<String> = drives.iter().map(|d| format!("{d:?} mV")).collect();
    for (dt, t_ref) in [(0.1, 2.0), (0.05, 2.0), (0.1, 0.5), (0.05, 5.0)] {
        let text = format!(
            "use std.neurons.LifDelta
network Driven {{
    let drive_of[cell: {n}] = [{list}]
    population P[cell: {n}]: LifDelta(tau_m = 20 ms, V_th = 20 mV, V_reset = 10 mV, t_ref = {t_ref} ms, bias = drive_of[cell])
}}
experiment Half of Driven {{ record spikes of P; simulate 500 ms }}
",
            n = drives.len(),
            list = list.join(", "),
        );
        let lab = Lab::in_steps(&text, dt);
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            for (cell, mu) in drives.iter().enumerate() {
                let first = steps_up(passage(20.0, *mu, 0.0, 20.0), dt);
                let interval = (t_ref / dt).round() as u64 + steps_up(passage(20.0, *mu, 10.0, 20.0), dt);
                let expected = expected_train(first, interval, (500.0 / dt).round() as u64);
                assert_eq!(ran.train("P", cell as u32), expected, "drive {mu} mV, dt {dt} ms, {place:?}");
            }
        }
    }
}

#[test]
fn constant_current_gives_the_intervals_of_the_closed_formula() {
    // 15 mV to threshold, C / tau = 25 nS: 375 pA would never get there.
    let currents = [376.0, 400.0, 500.0, 700.0, 1500.0];
    for dt in [0.1, 0.05] {
        let list: Vec<String> = currents.iter().map(|d| format!("{d:?} pA")).collect();
        let text = format!(
            "use std.neurons.LifExp
network Driven {{
    let current[cell: {n}] = [{list}]
    population P[cell: {n}]: LifExp(I_e = current[cell])
}}
experiment Half of Driven {{ record spikes of P; simulate 500 ms }}
",
            n = currents.len(),
            list = list.join(", "),
        );
        let lab = Lab::in_steps(&text, dt);
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            for (cell, current) in currents.iter().enumerate() {
                let way = steps_up(passage(10.0, current * 10.0 / 250.0, 0.0, 15.0), dt);
                let dead = (2.0 / dt).round() as u64;
                let expected = expected_train(way, dead + way, (500.0 / dt).round() as u64);
                assert_eq!(ran.train("P", cell as u32), expected, "{current} pA, dt {dt} ms, {place:?}");
            }
        }
    }
}

#[test]
fn the_earliest_next_spike_is_one_step_after_the_refractory_time() {
    // The drive is so strong that each free step ends above threshold.
    for dt in [0.1, 0.05] {
        for t_ref in [0.0, 0.1, 0.2, 1.0, 2.0, 2.5] {
            let text = format!(
                "use std.neurons.LifDelta
network Strong {{
    let same[cell: 3] = [{t_ref:?} ms, {t_ref:?} ms, 3 ms]
    population one[2]: LifDelta(bias = 1000 V, t_ref = {t_ref:?} ms)
    population each[cell: 3]: LifDelta(bias = 1000 V, t_ref = same[cell])
}}
experiment Short of Strong {{ simulate 20 ms }}
"
            );
            let lab = Lab::in_steps(&text, dt);
            let interval = (t_ref / dt).round() as u64 + 1;
            let expected = expected_train(1, interval, (20.0 / dt).round() as u64);
            for place in [NATIVE, INTERP] {
                let ran = lab.run(place);
                for (path, cell) in [("one", 0), ("one", 1), ("each", 0), ("each", 1)] {
                    assert_eq!(
                        ran.train(path, cell),
                        expected,
                        "t_ref {t_ref} ms, dt {dt} ms, {path}[{cell}], {place:?}"
                    );
                }
                let slow = expected_train(1, (3.0 / dt).round() as u64 + 1, (20.0 / dt).round() as u64);
                assert_eq!(ran.train("each", 2), slow);
            }
        }
    }
}

#[test]
fn a_refractory_time_off_the_grid_is_rounded_with_a_warning() {
    let text = "use std.neurons.LifDelta
network Strong { dt 0.1 ms; population P[1]: LifDelta(bias = 1000 V, t_ref = 0.26 ms) }
experiment Short of Strong { simulate 5 ms }
";
    let lab = Lab::new(text);
    assert_eq!(lab.warnings.len(), 1, "{:?}", lab.warnings);
    assert!(lab.warnings[0].starts_with('W'));
    assert_eq!(lab.run(NATIVE).train("P", 0), expected_train(1, 4, 50));
}

#[test]
fn what_arrives_while_the_voltage_is_held_is_lost_and_the_first_free_step_counts() {
    // The first spike of the source arrives at step 101 and makes the cell fire; it is held in steps 102 to 121.
    let text = "use std.neurons.LifDelta
use std.sources.SpikeTimes
network Two {
    dt 0.1 ms
    source last_held: SpikeTimes(times = [10 ms, 12 ms])
    source first_free: SpikeTimes(times = [10 ms, 12.1 ms])
    population held[1]: LifDelta
    population free[1]: LifDelta
    projection last_held -> held { weight 30 mV  delay 0.1 ms }
    projection first_free -> free { weight 30 mV  delay 0.1 ms }
}
experiment Short of Two { record V of held; simulate 20 ms }
";
    let lab = Lab::new(text);
    for place in [NATIVE, INTERP] {
        let ran = lab.run(place);
        assert_eq!(ran.train("held", 0), [101]);
        assert_eq!(ran.train("free", 0), [101, 122]);
        // samples[k] is the value after step k + 1
        let v = ran.samples("held", "V", 0);
        assert!(v[100..=120].iter().all(|v| *v == 10.0), "{:?}", &v[100..=121]);
        assert!((v[121] - 10.0 * (-0.1_f64 / 20.0).exp()).abs() < 1e-12, "{}", v[121]);
    }
}

#[test]
fn currents_run_on_while_the_voltage_is_held() {
    // The current of the first volley decays through the refractory time, and what arrives then adds to it.
    let text = "use std.neurons.LifExp
use std.sources.SpikeTimes
network Two {
    dt 0.1 ms
    source volley: SpikeTimes(times = [1 ms, 2 ms])
    population P[1]: LifExp(I_e = 1000 nA, t_ref = 10 ms)
    projection volley -> P.exc { weight 100 pA  delay 0.1 ms }
}
experiment Short of Two { simulate 5 ms }
";
    let lab = Lab::new(text);
    for place in [NATIVE, INTERP] {
        let ran = lab.run(place);
        assert_eq!(ran.train("P", 0), [1]);
        assert_eq!(ran.state("P", "V"), [-70.0]);
        let expected = 100.0 * ((-3.9_f64 / 2.0).exp() + (-2.9_f64 / 2.0).exp());
        let found = ran.state("P", "I_exc")[0];
        assert!((found - expected).abs() < 1e-10, "{found} pA, expected {expected} pA");
    }
}

#[test]
fn a_spike_arrives_after_its_delay_to_the_nearest_step() {
    for (delay, dt, steps, warnings) in
        [(0.1, 0.1, 1, 0), (1.5, 0.1, 15, 0), (1.26, 0.1, 13, 1), (1.24, 0.1, 12, 1), (1.25, 0.05, 25, 0)]
    {
        let text = format!(
            "use std.neurons.LifDelta
use std.sources.SpikeTimes
network Line {{
    source one[1]: SpikeTimes(times = [2 ms])
    population P[1]: LifDelta
    population Q[1]: LifDelta
    projection one -> P {{ connect one_to_one  weight 30 mV  delay {delay:?} ms }}
    projection P -> Q {{ connect one_to_one  weight 30 mV  delay {delay:?} ms }}
}}
experiment Short of Line {{ simulate 10 ms }}
"
        );
        let lab = Lab::in_steps(&text, dt);
        assert_eq!(lab.warnings.len(), 2 * warnings, "delay {delay} ms: {:?}", lab.warnings);
        let start = (2.0 / dt).round() as u64;
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            assert_eq!(ran.train("P", 0), [start + steps], "delay {delay} ms, dt {dt} ms");
            assert_eq!(ran.train("Q", 0), [start + 2 * steps], "delay {delay} ms, dt {dt} ms");
        }
    }
}
