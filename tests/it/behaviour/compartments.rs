//! Compartments against cable theory: how far a voltage reaches, how fast it settles, how fast a spike runs.

use crate::lab::{Files, INTERP, Lab, NATIVE, native, same_bits};
use nsm::driver::Options;

fn lab(text: &str, dt: f64) -> Lab {
    Lab::of(&Files::new(text), &Options { dt: Some(format!("{dt} ms")), ..Options::default() })
}

/// A passive cable of length 1 mm and lambda = 816 um, in n compartments.
fn cable(n: u32, statements: &str) -> String {
    format!(
        "use std.neurons.PassiveCable
network Alone {{ population P[1]: PassiveCable(n = {n}) }}
experiment Go of Alone {{ {statements} }}"
    )
}

const LENGTH: f64 = 1000.0;

/// um: sqrt(d R_m / (4 R_a)) of the standard cable, d = 2 um, 20000 Ohm cm^2, 150 Ohm cm.
fn lambda() -> f64 {
    (2e-4_f64 * 20_000.0 / (4.0 * 150.0)).sqrt() * 1e4
}

fn middle(k: u32, n: u32) -> f64 {
    (f64::from(k) + 0.5) * LENGTH / f64::from(n)
}

#[test]
fn a_steady_voltage_falls_as_cosh_along_a_sealed_cable() {
    let n = 60;
    let text = cable(n, "set P.seg[0].I = 50 pA; simulate 400 ms");
    let lab = lab(&text, 0.1);
    let run = lab.run(NATIVE);
    let rise = |k: u32| run.state("P", &format!("seg[{k}].V"))[0] + 70.0;
    let ideal = |k: u32| ((LENGTH - middle(k, n)) / lambda()).cosh();
    for k in [1, 10, 30, 59] {
        let (found, exact) = (rise(k) / rise(0), ideal(k) / ideal(0));
        // The specification's bound; the compartments' own error is of order (dx / lambda)^2 = 4e-4.
        assert!((found / exact - 1.0).abs() < 0.01, "seg[{k}]: {found} and {exact}");
    }
    assert!(rise(0) > 1.0 && rise(59) < 0.7 * rise(0), "{} and {}", rise(0), rise(59));
}

#[test]
fn a_cable_settles_with_the_time_constant_of_its_membrane() {
    // After 60 ms the faster modes, of tau / (1 + (pi lambda / L)^2) = 2.6 ms and less, are gone.
    let text = cable(
        60,
        "set P.seg[0].I = 50 pA; simulate 300 ms; set P.seg[0].I = 0 pA; record V of P.seg[20] every 20 ms; simulate 100 ms",
    );
    let lab = lab(&text, 0.1);
    let trace = lab.run(NATIVE).samples("P", "seg[20].V", 0);
    let (early, late) = (trace[18] + 70.0, trace[19] + 70.0);
    let tau = 20.0 / (early / late).ln();
    assert!((tau / 20.0 - 1.0).abs() < 0.01, "{tau} ms");
}

#[test]
fn small_linear_cells_are_exact_and_long_ones_implicit() {
    let method = |n: u32| {
        let lab = lab(&cable(n, "simulate 1 ms"), 0.1);
        let (_, p) = lab.unit().network.populations().next().expect("a population");
        p.dynamics.solvers.iter().map(|s| s.method.clone()).collect::<Vec<_>>()
    };
    assert_eq!(method(32), ["exact propagator"]);
    assert_eq!(method(33), ["implicit tree"]);
}

#[test]
fn a_stiff_coupling_is_stable() {
    // The fastest mode is 4 g / C = 4e5 per ms: explicit steps of 0.1 ms would grow 40000-fold each, and Crank-Nicolson's would
    // ring for 10000 of them.
    let text = "neuron Stiff {
    param n = 40
    compartment c[k: n] {
        state V = if k == 0 then 0 mV else -70 mV
        V' = (1 nS * (-70 mV - V) + I_axial) / 10 pF
    }
    for k in 0 .. n - 1 { couple c[k] <-> c[k + 1] by 1_000_000 nS }
}
network Alone { population P[1]: Stiff }
experiment Go of Alone { simulate 200 ms }";
    let lab = lab(text, 0.1);
    let run = lab.run(NATIVE);
    for k in [0, 20, 39] {
        let v = run.state("P", &format!("c[{k}].V"))[0];
        // 20 time constants of the leak.
        assert!((v + 70.0).abs() < 1e-3, "c[{k}] is at {v} mV");
    }
}

/// Peak of the soma's EPSP and its time, ms, for a synapse on one compartment.
fn epsp(k: u32) -> (f64, f64) {
    let text = format!(
        "use std.neurons.BallAndStick
use std.sources.SpikeTimes
network Alone {{
    source s[1]: SpikeTimes(times = 5 ms)
    population P[1]: BallAndStick(n = 50)
    projection s -> P.dend[{k}].exc {{ connect all_to_all  weight 0.3 nS  delay 0.1 ms }}
}}
experiment Go of Alone {{ record V of P.soma every 0.05 ms; simulate 60 ms }}"
    );
    let lab = lab(&text, 0.05);
    let trace = lab.run(NATIVE).samples("P", "soma.V", 0);
    let (at, peak) =
        trace.iter().enumerate().fold((0, f64::MIN), |best, (k, v)| if *v > best.1 { (k, *v) } else { best });
    (peak + 70.0, (at + 1) as f64 * 0.05 - 5.0)
}

#[test]
fn an_epsp_from_farther_out_is_later_and_smaller() {
    let all: Vec<(f64, f64)> = [0, 12, 25, 37, 49].into_iter().map(epsp).collect();
    assert!(all[0].0 > 0.1, "{all:?}");
    for pair in all.windows(2) {
        assert!(pair[1].1 > pair[0].1 && pair[1].0 < pair[0].0, "{all:?}");
    }
}

/// m/s: how fast a spike runs from 40 % to 80 % of an axon of 50 mm.
fn velocity(n: u32, dt: f64) -> f64 {
    let (a, b) = (n * 2 / 5, n * 4 / 5);
    let text = format!(
        "use std.neurons.ActiveCable
network Alone {{ population P[1]: ActiveCable(n = {n}) }}
experiment Go of Alone {{
    record V of P.node[{a}], P.node[{b}]
    set P.node[0].I = {} uA/cm^2 lasting 0.4 ms
    simulate 4 ms
}}",
        40 * n
    );
    let lab = lab(&text, dt);
    let run = lab.run(NATIVE);
    // Linear between samples: within 0.01 ms V is straight to some uV per mV of its 30 mV per 0.1 ms.
    let crossing = |k: u32| {
        let v = run.samples("P", &format!("node[{k}].V"), 0);
        let at = v.windows(2).position(|w| w[0] < 0.0 && w[1] >= 0.0).expect("the spike passes");
        (at as f64 + 1.0 + v[at] / (v[at] - v[at + 1])) * dt
    };
    f64::from(b - a) * 50.0 / f64::from(n) / (crossing(b) - crossing(a))
}

#[test]
fn conduction_velocity_converges_and_is_that_of_the_squid_axon() {
    let by_dt: Vec<f64> = [0.02, 0.01, 0.005].into_iter().map(|dt| velocity(50, dt)).collect();
    let by_n: Vec<f64> = [25, 50, 100].into_iter().map(|n| velocity(n, 0.01)).collect();
    let shrinks = |v: &[f64]| (v[1] - v[0]) / (v[2] - v[1]);
    // Second order in both gives 4; 2.5 leaves room for the next order at these coarse steps.
    assert!(shrinks(&by_dt) > 2.5, "{by_dt:?}");
    assert!(shrinks(&by_n) > 2.5, "{by_n:?}");
    // Hodgkin and Huxley computed 18.8 m/s for 18.5 degC.
    assert!((by_n[2] / 18.8 - 1.0).abs() < 0.03, "{by_n:?}");
}

/// Differences between the ends of runs in steps that halve, and the quotients of neighbours: 4 for second order.
fn quotients(text: &str, state: &str, dts: &[f64]) -> Vec<f64> {
    let ends: Vec<f64> = dts.iter().map(|dt| lab(text, *dt).run(NATIVE).state("P", state)[0]).collect();
    let steps: Vec<f64> = ends.windows(2).map(|w| w[1] - w[0]).collect();
    steps.windows(2).map(|w| w[0] / w[1]).collect()
}

#[test]
fn the_implicit_tree_is_of_second_order() {
    // A synaptic conductance on a dendrite too long for one matrix: linear in each voltage.
    let stick = "neuron Stick {
    compartment c[k: 40] {
        param E = -70 mV
        state V = E, x = if k == 39 then 2 nS else 0 nS
        V' = (0.5 nS * (E - V) + x * (0 mV - V) + I_axial) / 10 pF
        x' = -x / 2 ms
    }
    for k in 0 .. 39 { couple c[k] <-> c[k + 1] by 20 nS }
}
network Alone { population P[1]: Stick }
experiment Go of Alone { simulate 8 ms }";
    for state in ["c[36].V", "c[30].V"] {
        let q = quotients(stick, state, &[0.1, 0.05, 0.025]);
        assert!((q[0] / 4.0 - 1.0).abs() < 0.01, "{state}: {q:?}");
    }
    // Calcium that activates at once (Morris and Lecar 1981): not linear in V, so coefficients are taken at a first solution.
    let fast = "neuron MorrisLecar {
    compartment soma {
        state V = -60 mV, w = 0.01
        let m = 0.5 * (1 + tanh((V + 1.2 mV) / 18 mV))
        let w_inf = 0.5 * (1 + tanh((V - 2 mV) / 30 mV))
        let speed = 0.04 ms^-1 * (exp((V - 2 mV) / 60 mV) + exp(-(V - 2 mV) / 60 mV)) / 2
        V' = (2 nS * (-60 mV - V) + 4.4 nS * m * (120 mV - V) + 8 nS * w * (-84 mV - V) + 120 pA + I_axial) / 20 pF
        w' = (w_inf - w) * speed
    }
    compartment dend {
        state V = -60 mV
        V' = (1 nS * (-60 mV - V) + I_axial) / 20 pF
    }
    couple soma <-> dend by 1 nS
}
network Alone { population P[1]: MorrisLecar }
experiment Go of Alone { simulate 40 ms }";
    for state in ["soma.V", "soma.w", "dend.V"] {
        let q = quotients(fast, state, &[0.1, 0.05, 0.025]);
        // In the upstroke of a spike: the next order of the error is some per cent at these steps.
        assert!((q[0] / 4.0 - 1.0).abs() < 0.1, "{state}: {q:?}");
    }
}

#[test]
fn a_held_soma_stays_while_the_dendrite_moves() {
    let text = "use std.neurons.BallAndStick
network Alone { population P[1]: BallAndStick(n = 40, t_ref = 5 ms) }
experiment Go of Alone { record V of P.soma, P.dend[0]; set P.soma.I = 500 pA; simulate 60 ms }";
    let lab = lab(text, 0.1);
    let run = lab.run(NATIVE);
    let first = run.train("P", 0)[0] as usize;
    let (soma, dend) = (run.samples("P", "soma.V", 0), run.samples("P", "dend[0].V", 0));
    // Samples start after step 1: the spike of step s is set back in sample s - 1.
    // Set back in that step, held in the 50 after it.
    for k in first - 1..=first + 49 {
        assert_eq!(soma[k], -60.0, "sample {k} after a spike in step {first}");
    }
    assert!(soma[first + 50] != -60.0 && dend[first + 10] != dend[first + 20]);
}

#[test]
fn both_back_ends_give_the_same_bits() {
    let text = "use std.neurons.(BallAndStick, PinskyRinzel)
use std.sources.Poisson
network Alone {
    source drive: Poisson(rate = 500 Hz)
    population P[5]: BallAndStick(n = 40, g_a = uniform(10 nS, 30 nS))
    population Q[5]: PinskyRinzel(I_s = uniform(0 uA/cm^2, 2 uA/cm^2))
    projection drive -> P.dend[20].exc { weight 1 nS }
    projection drive -> Q.dend.exc { weight 0.01 mS/cm^2 }
    projection P -> P.dend[39].exc { connect all_to_all  weight 1 nS  delay 1 ms }
}
experiment Go of Alone { set P.soma.I = 150 pA; simulate 100 ms }";
    let lab = lab(text, 0.05);
    let (a, b, c) = (lab.run(INTERP), lab.run(NATIVE), lab.run(native(3)));
    assert!(!a.spikes("P").is_empty());
    for (path, state) in [("P", "soma.V"), ("P", "dend[39].g"), ("Q", "soma.V"), ("Q", "dend.Ca")] {
        let x = a.state(path, state);
        assert!(same_bits(&x, &b.state(path, state)) && same_bits(&x, &c.state(path, state)), "{path}.{state}");
    }
    assert_eq!(a.spikes("P"), b.spikes("P"));
}
