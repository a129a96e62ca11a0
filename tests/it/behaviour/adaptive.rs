//! Steps that follow the error: against fine fixed steps, against the tolerance, and where they can't arrive.

use crate::lab::{INTERP, Lab, NATIVE, native, run, same_bits};
use nsm::backend::RunError;

/// The membrane of Hodgkin and Huxley (1952), driven by 10 uA/cm^2.
fn squid(method: &str, size: u32) -> String {
    format!(
        "neuron Squid {{
    param I_0 = 10 uA/cm^2
    let alpha_m = 1 ms^-1 / exprel(-(V + 40 mV) / 10 mV)
    let beta_m = 4 ms^-1 * exp(-(V + 65 mV) / 18 mV)
    let alpha_h = 0.07 ms^-1 * exp(-(V + 65 mV) / 20 mV)
    let beta_h = 1 ms^-1 / (1 + exp(-(V + 35 mV) / 10 mV))
    let alpha_n = 0.1 ms^-1 / exprel(-(V + 55 mV) / 10 mV)
    let beta_n = 0.125 ms^-1 * exp(-(V + 65 mV) / 80 mV)
    state V = -65 mV, m = 0.053, h = 0.596, n = 0.318
    V' = (120 mS/cm^2 * m^3 * h * (50 mV - V) + 36 mS/cm^2 * n^4 * (-77 mV - V) + 0.3 mS/cm^2 * (-54.4 mV - V) + I_0) / 1 uF/cm^2
    m' = alpha_m * (1 - m) - beta_m * m
    h' = alpha_h * (1 - h) - beta_h * h
    n' = alpha_n * (1 - n) - beta_n * n
    spike when V crosses 0 mV
    integrate with {method}
}}
network Alone {{ population P[{size}]: Squid(I_0 = 10 uA/cm^2 + index * 0.1 uA/cm^2) }}
experiment Go of Alone {{ record V of P[0] every 0.5 ms; simulate 20 ms }}"
    )
}

fn trace(method: &str, dt: f64) -> Vec<f64> {
    Lab::in_steps(&squid(method, 1), dt).run(NATIVE).samples("P", "V", 0)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()))
}

#[test]
fn adaptive_steps_and_very_fine_ones_agree() {
    // Two spikes within 20 ms. RK4 in steps of 1 us and of 0.5 us differ by 5e-9 mV; 1e-9 mV in each of some hundred adaptive
    // steps grows tenfold where a spike rises.
    let fine = trace("rk4", 0.001);
    assert!(fine.iter().any(|v| *v > 0.0));
    let off = distance(&trace("rkf45(tolerance = 1e-9)", 0.1), &fine);
    assert!(off < 1e-6, "{off} mV");
}

#[test]
fn the_error_follows_the_tolerance() {
    let fine = trace("rk4", 0.001);
    let off: Vec<f64> = ["1e-3", "1e-5", "1e-7"]
        .iter()
        .map(|t| distance(&trace(&format!("rkf45(tolerance = {t})"), 0.5), &fine))
        .collect();
    // A hundredth of the tolerance gives a hundredth of the error, about: a tenth at least.
    assert!(off[0] > 10.0 * off[1] && off[1] > 10.0 * off[2] && off[2] < 1e-3, "{off:?} mV");
}

#[test]
fn the_network_s_step_hardly_matters() {
    // Samples every 0.5 ms; nothing is put in within a step, so only rounding and the tolerance are left.
    let off = distance(&trace("rkf45(tolerance = 1e-8)", 0.1), &trace("rkf45(tolerance = 1e-8)", 0.5));
    assert!(off < 1e-4, "{off} mV");
}

#[test]
fn both_back_ends_give_the_same_bits() {
    // More neurons than a chunk, each with its own steps.
    let lab = Lab::in_steps(&squid("rkf45(tolerance = 1e-5, step = 0.05 ms)", 300), 0.1);
    let (a, b, c) = (lab.run(INTERP), lab.run(NATIVE), lab.run(native(3)));
    for state in ["V", "m", "rkf45_step"] {
        let x = a.state("P", state);
        assert!(same_bits(&x, &b.state("P", state)) && same_bits(&x, &c.state("P", state)), "{state}");
    }
    assert!(!a.spikes("P").is_empty());
    assert_eq!(a.spikes("P"), b.spikes("P"));
    assert_eq!(a.spikes("P"), c.spikes("P"));
}

#[test]
fn a_held_state_is_held_and_crosses_sees_the_start_of_the_step() {
    let text = "neuron Q {
    state V = -70 mV, w = 0 mV
    V' = ((V + 50 mV) * (V + 70 mV) / 10 mV + 30 mV) / 5 ms
    w' = (V - w) / 3 ms
    spike when V >= -30 mV { V = -65 mV }
    refractory 2 ms holds V
    integrate with rkf45(tolerance = 1e-8)
}
network Alone { population P[1]: Q }
experiment Go of Alone { record V, w of P; simulate 50 ms }";
    let lab = Lab::in_steps(text, 0.1);
    let (a, b) = (lab.run(INTERP), lab.run(NATIVE));
    let first = b.train("P", 0)[0] as usize;
    let v = b.samples("P", "V", 0);
    assert!(v[first - 1..first + 19].iter().all(|v| *v == -65.0), "{:?}", &v[first - 1..first + 20]);
    // While V is held, w decays to it as exp(-t / 3 ms): 1 ms apart.
    let w = b.samples("P", "w", 0);
    let quotient = (w[first + 14] + 65.0) / (w[first + 4] + 65.0);
    // 1e-8 mV in each of some ten steps, over the mV that are left of w.
    assert!((quotient / (-1.0_f64 / 3.0).exp() - 1.0).abs() < 1e-5, "{quotient}");
    assert!(same_bits(&a.samples("P", "w", 0), &w));
}

#[test]
fn a_neuron_that_can_t_arrive_is_named() {
    let text = "neuron Jumps {
    state x = 1
    x' = (if x > 0 then -1 else 1) / 1 ms
    integrate with rkf45(tolerance = 1e-12)
}
network Alone { population P[3]: Jumps(x = 0.25 * (3 - index)) }
experiment Go of Alone { simulate 2 ms }";
    let lab = Lab::in_steps(text, 0.1);
    for place in [INTERP, NATIVE] {
        let ran = run(lab.unit(), &lab.job.points[0], 1, place, false).expect("it starts");
        // x of the last neuron is 0 at 0.25 ms, within the third step.
        let expected = RunError::TooManySteps { population: "P".to_string(), neuron: 2, step: 3, limit: 100_000 };
        assert_eq!(ran.outcome.error, Some(expected));
    }
}
