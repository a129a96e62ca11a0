//! How well equations are solved: exactly where the compiler says so, and elsewhere with the order of the method.

use crate::lab::{INTERP, Lab, NATIVE};

/// A state of the only cell of `P` after `time` ms in steps of `dt` ms.
fn end(model: &str, state: &str, time: f64, dt: f64) -> f64 {
    let text = format!("{model}\nexperiment Go of Alone {{ simulate {time} ms }}\n");
    Lab::in_steps(&text, dt).run(NATIVE).state("P", state)[0]
}

/// Errors at the end for each dt, which halves from one to the next, and the quotients of neighbours.
fn quotients(model: &str, state: &str, time: f64, dts: &[f64], exact: f64) -> Vec<f64> {
    let errors: Vec<f64> = dts.iter().map(|dt| end(model, state, time, *dt) - exact).collect();
    errors.windows(2).map(|w| w[0] / w[1]).collect()
}

/// Logistic growth: the shortest equation that no exact method takes. x(t) = 1 / (1 + 9 exp(-t / tau)).
fn logistic(method: &str) -> String {
    format!(
        "neuron Logistic {{
    param tau = 5 ms
    state x = 0.1
    x' = x * (1 - x) / tau
    {method}
}}
network Alone {{ population P[1]: Logistic }}"
    )
}

const HALVINGS: [f64; 4] = [1.0, 0.5, 0.25, 0.125];

fn logistic_at_10_ms() -> f64 {
    1.0 / (1.0 + 9.0 * (-2.0_f64).exp())
}

/// An error C h^p (1 + c h + ...) gives quotients 2^p (1 + c h / 2 + ...). The steps are h = tau / 5 ... tau / 40, so c of
/// order one leaves some per cent: the bound is 15 % for the first pair of steps and half of it for each next one.
fn has_order(quotients: &[f64], order: i32) {
    let ideal = f64::from(2_i32.pow(order as u32));
    for (k, q) in quotients.iter().enumerate() {
        let bound = 0.15 * 0.5_f64.powi(k as i32);
        assert!((q / ideal - 1.0).abs() < bound, "quotients {quotients:?}, order {order} gives {ideal}");
    }
}

#[test]
fn runge_kutta_is_of_fourth_order() {
    let q = quotients(&logistic("integrate with rk4(substeps = 1)"), "x", 10.0, &HALVINGS, logistic_at_10_ms());
    has_order(&q, 4);
}

#[test]
fn the_method_that_is_chosen_for_a_nonlinear_equation_is_of_fourth_order() {
    let q = quotients(&logistic(""), "x", 10.0, &HALVINGS, logistic_at_10_ms());
    has_order(&q, 4);
}

#[test]
fn substeps_are_steps() {
    let four = end(&logistic("integrate with rk4(substeps = 4)"), "x", 10.0, 1.0);
    let one = end(&logistic("integrate with rk4(substeps = 1)"), "x", 10.0, 0.25);
    assert!((four - one).abs() < 1e-14, "{four} and {one}");
}

#[test]
fn forward_euler_is_of_first_order() {
    let q = quotients(&logistic("integrate with euler(substeps = 1)"), "x", 10.0, &HALVINGS, logistic_at_10_ms());
    has_order(&q, 1);
}

/// A conductance that decays from 50 nS and a membrane that follows it.
fn conductance_cell(method: &str) -> String {
    format!(
        "neuron Cell {{
    param C_m = 250 pF, g_L = 25 nS, tau_exc = 5 ms
    state V = -70 mV, g_exc = 50 nS
    V' = (g_L * (-70 mV - V) + g_exc * (0 mV - V)) / C_m
    g_exc' = -g_exc / tau_exc
    {method}
}}
network Alone {{ population P[1]: Cell }}"
    )
}

/// V of `conductance_cell` after `time` ms, in RK4 steps that are far finer than anything compared with it.
fn conductance_reference(time: f64) -> f64 {
    let slope = |t: f64, v: f64| (25.0 * (-70.0 - v) - 50.0 * (-t / 5.0).exp() * v) / 250.0;
    let n = 20_000;
    let h = time / f64::from(n);
    let mut v = -70.0;
    for k in 0..n {
        let t = f64::from(k) * h;
        let k1 = slope(t, v);
        let k2 = slope(t + h / 2.0, v + h / 2.0 * k1);
        let k3 = slope(t + h / 2.0, v + h / 2.0 * k2);
        let k4 = slope(t + h, v + h * k3);
        v += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    }
    v
}

#[test]
fn exponential_euler_with_exact_conductances_is_of_second_order() {
    let q = quotients(&conductance_cell(""), "V", 8.0, &HALVINGS, conductance_reference(8.0));
    has_order(&q, 2);
}

#[test]
fn exponential_euler_alone_is_of_first_order() {
    let model = conductance_cell("integrate with exponential_euler");
    let q = quotients(&model, "V", 8.0, &HALVINGS, conductance_reference(8.0));
    has_order(&q, 1);
}

/// (exp(a t) - 1) / a, also where a is small or 0.
fn growth(a: f64, t: f64) -> f64 {
    if a == 0.0 { t } else { (a * t).exp_m1() / a }
}

/// Answer of a membrane (tau_m, C = 250 pF) to a current that is 1 pA at time 0 and decays with tau_s, mV.
fn exponential_psp(tau_m: f64, tau_s: f64, t: f64) -> f64 {
    (-t / tau_m).exp() * growth(1.0 / tau_m - 1.0 / tau_s, t) / 250.0
}

/// Answer to a current (t / tau_s) exp(1 - t / tau_s) pA. The time constants are equal or far apart.
fn alpha_psp(tau_m: f64, tau_s: f64, t: f64) -> f64 {
    let a = 1.0 / tau_m - 1.0 / tau_s;
    let integral = if a == 0.0 { t * t / 2.0 } else { (t * (a * t).exp() - growth(a, t)) / a };
    1.0_f64.exp() / tau_s * (-t / tau_m).exp() * integral / 250.0
}

/// Largest difference over a trace that starts at step 1, mV.
fn largest(found: &[f64], dt: f64, exact: impl Fn(f64) -> f64) -> f64 {
    assert!(!found.is_empty());
    let errors = found.iter().enumerate().map(|(k, v)| (v - exact((k + 1) as f64 * dt)).abs());
    errors.fold(0.0, f64::max)
}

/// Rounding: some 10^2 steps within a time constant, half a unit in the last place of 70 mV (7e-15 mV) in each of a few sums.
const ROUNDING: f64 = 1e-11;

const STEPS: [f64; 5] = [0.02, 0.05, 0.1, 0.5, 1.0];

#[test]
fn exponential_currents_are_solved_to_the_last_digits() {
    // Time constants apart, equal, and so close that a quotient of differences would lose half of the digits.
    for (tau_m, tau_exc, tau_inh) in [(10.0, 2.0, 7.0), (10.0, 10.0, 10.0), (10.0, 10.000001, 9.999)] {
        let text = format!(
            "use std.neurons.LifExp
network Alone {{
    population P[1]: LifExp(tau_m = {tau_m:?} ms, tau_exc = {tau_exc:?} ms, tau_inh = {tau_inh:?} ms, V_th = 1 V,
                            I_exc = 300 pA, I_inh = -200 pA, I_e = 100 pA, V = -60 mV)
}}
experiment Go of Alone {{ record V of P; simulate 40 ms }}
"
        );
        let exact = |t: f64| {
            let leak = (-t / tau_m).exp();
            -70.0 + 10.0 * leak + 100.0 * tau_m / 250.0 * (1.0 - leak) + 300.0 * exponential_psp(tau_m, tau_exc, t)
                - 200.0 * exponential_psp(tau_m, tau_inh, t)
        };
        for dt in STEPS {
            let lab = Lab::in_steps(&text, dt);
            for place in [NATIVE, INTERP] {
                let worst = largest(&lab.run(place).samples("P", "V", 0), dt, exact);
                assert!(worst < ROUNDING, "taus {tau_m} {tau_exc} {tau_inh}, dt {dt} ms: {worst:e} mV");
            }
        }
    }
}

#[test]
fn alpha_currents_are_solved_to_the_last_digits() {
    for (tau_m, tau_exc, tau_inh) in [(10.0, 2.0, 5.0), (10.0, 10.0, 20.0), (8.0, 2.0, 8.0)] {
        let text = format!(
            "use std.neurons.LifAlpha
network Alone {{
    population P[1]: LifAlpha(tau_m = {tau_m:?} ms, tau_exc = {tau_exc:?} ms, tau_inh = {tau_inh:?} ms, V_th = 1 V,
                              rise_exc = 300 pA * exp(1) / {tau_exc:?} ms, rise_inh = -200 pA * exp(1) / {tau_inh:?} ms)
}}
experiment Go of Alone {{ record V of P; simulate 40 ms }}
"
        );
        let exact = |t: f64| -70.0 + 300.0 * alpha_psp(tau_m, tau_exc, t) - 200.0 * alpha_psp(tau_m, tau_inh, t);
        for dt in STEPS {
            let lab = Lab::in_steps(&text, dt);
            for place in [NATIVE, INTERP] {
                let worst = largest(&lab.run(place).samples("P", "V", 0), dt, exact);
                assert!(worst < ROUNDING, "taus {tau_m} {tau_exc} {tau_inh}, dt {dt} ms: {worst:e} mV");
            }
        }
    }
}

#[test]
fn a_spike_arrives_at_its_time_and_gives_the_peak_of_the_formula() {
    let (tau_m, tau_s, w) = (10.0_f64, 2.0_f64, 100.0);
    let text = "use std.neurons.LifExp
use std.sources.SpikeTimes
network Alone {
    source one[1]: SpikeTimes(times = [1 ms])
    population P[1]: LifExp
    projection one -> P.exc { connect one_to_one  weight 100 pA  delay 1.5 ms }
}
experiment Go of Alone { record V of P; simulate 40 ms }
";
    let peak_at = (tau_m / tau_s).ln() * tau_m * tau_s / (tau_m - tau_s);
    let peak = w / 250.0 * tau_m * tau_s / (tau_m - tau_s) * ((-peak_at / tau_m).exp() - (-peak_at / tau_s).exp());
    for dt in [0.05, 0.1, 0.5] {
        let lab = Lab::in_steps(text, dt);
        for place in [NATIVE, INTERP] {
            let v = lab.run(place).samples("P", "V", 0);
            let after = |t: f64| if t < 2.5 { -70.0 } else { -70.0 + w * exponential_psp(tau_m, tau_s, t - 2.5) };
            let worst = largest(&v, dt, after);
            assert!(worst < ROUNDING, "dt {dt} ms: {worst:e} mV");
            let (top, highest) = v.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            let found_at = (top + 1) as f64 * dt - 2.5;
            assert!((found_at - peak_at).abs() <= dt, "the peak is at {found_at} ms, expected {peak_at} ms");
            // The grid misses the peak by half a step at most; there V falls short by |V''| (dt / 2)^2 / 2, and at the peak
            // |V''| = w exp(-peak_at / tau_s) / (C tau_s).
            let bend = w / 250.0 * (-peak_at / tau_s).exp() / tau_s;
            let short = peak - (highest + 70.0);
            let bound = 1.2 * bend * dt * dt / 8.0;
            assert!((-1e-12..=bound).contains(&short), "dt {dt} ms: {short:e} mV below the peak, at most {bound:e}");
        }
    }
}

/// The squid axon of Hodgkin and Huxley (1952) under 10 uA/cm^2.
const AXON: &str = "neuron Squid {
    let alpha_m(V: voltage) = 1 ms^-1 / exprel(-(V + 40 mV) / 10 mV)
    let beta_m(V: voltage) = 4 ms^-1 * exp(-(V + 65 mV) / 18 mV)
    let alpha_h(V: voltage) = 0.07 ms^-1 * exp(-(V + 65 mV) / 20 mV)
    let beta_h(V: voltage) = 1 ms^-1 / (1 + exp(-(V + 35 mV) / 10 mV))
    let alpha_n(V: voltage) = 0.1 ms^-1 / exprel(-(V + 55 mV) / 10 mV)
    let beta_n(V: voltage) = 0.125 ms^-1 * exp(-(V + 65 mV) / 80 mV)
    state V = -65 mV, m = 0.053, h = 0.596, n = 0.3177
    V' = (120 mS/cm^2 * m^3 * h * (50 mV - V) + 36 mS/cm^2 * n^4 * (-77 mV - V)
        + 0.3 mS/cm^2 * (-54.4 mV - V) + 10 uA/cm^2) / 1 uF/cm^2
    m' = alpha_m(V) * (1 - m) - beta_m(V) * m
    h' = alpha_h(V) * (1 - h) - beta_h(V) * h
    n' = alpha_n(V) * (1 - n) - beta_n(V) * n
    spike when V crosses 0 mV
}
network Alone { population P[1]: Squid }";

/// The same axon in RK4 steps of `h` ms: V at each of them.
fn axon_reference(time: f64, h: f64) -> Vec<f64> {
    // x / (1 - exp(-x)); x = 0 is not met.
    let ratio = |x: f64| x / -(-x).exp_m1();
    let slope = |s: [f64; 4]| {
        let [v, m, h, n] = s;
        let current = 120.0 * m.powi(3) * h * (50.0 - v) + 36.0 * n.powi(4) * (-77.0 - v) + 0.3 * (-54.4 - v) + 10.0;
        let dm = ratio((v + 40.0) / 10.0) * (1.0 - m) - 4.0 * (-(v + 65.0) / 18.0).exp() * m;
        let dh = 0.07 * (-(v + 65.0) / 20.0).exp() * (1.0 - h) - h / (1.0 + (-(v + 35.0) / 10.0).exp());
        let dn = 0.1 * ratio((v + 55.0) / 10.0) * (1.0 - n) - 0.125 * (-(v + 65.0) / 80.0).exp() * n;
        [current, dm, dh, dn]
    };
    let shift = |s: [f64; 4], k: [f64; 4], h: f64| std::array::from_fn(|i| s[i] + h * k[i]);
    let mut s = [-65.0, 0.053, 0.596, 0.3177];
    let mut out = Vec::new();
    for _ in 0..(time / h).round() as usize {
        let k1 = slope(s);
        let k2 = slope(shift(s, k1, h / 2.0));
        let k3 = slope(shift(s, k2, h / 2.0));
        let k4 = slope(shift(s, k3, h));
        s = std::array::from_fn(|i| s[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
        out.push(s[0]);
    }
    out
}

#[test]
fn coupled_conductances_are_solved_to_second_order() {
    // On the way up to the first spike.
    let exact = *axon_reference(1.5, 0.001).last().unwrap();
    has_order(&quotients(AXON, "V", 1.5, &[0.05, 0.025, 0.0125, 0.00625], exact), 2);
}

/// In a spike the membrane's own rate is above 30 ms^-1, so that explicit steps of 0.1 ms would be unstable. V has to stay
/// between the reversal potentials, and the peak has to be that of the equations but for the error of the method, 0.4 mV.
#[test]
fn steps_as_long_as_a_spike_is_steep_are_stable() {
    let peak = axon_reference(200.0, 0.005)[4000..].iter().copied().fold(f64::MIN, f64::max);
    let lab = Lab::in_steps(&format!("{AXON}\nexperiment Go of Alone {{ record V of P; simulate 200 ms }}\n"), 0.1);
    for place in [NATIVE, INTERP] {
        let ran = lab.run(place);
        let v = ran.samples("P", "V", 0);
        assert!(v.iter().all(|v| (-77.0..50.0).contains(v)));
        let found = v[200..].iter().copied().fold(f64::MIN, f64::max);
        assert!((peak - 0.5..=peak).contains(&found), "peak {found} mV, expected {peak} mV");
        assert_eq!(ran.train("P", 0).len(), 14);
    }
}

/// A state that loses 1/e in each step is exp(-511) after 511 steps, below 2^-730, where it comes to rest at the next look, which is
/// after 512 (docs, meaning).
#[test]
fn what_has_decayed_comes_to_rest() {
    let model = "neuron Fading {
    param tau = 1 ms, t_ref = 2000 ms
    state x = 1, V = 1 mV
    x' = -x / tau
    V' = 0 mV / tau
    spike when V >= 1 mV { V = 0 mV }
    refractory t_ref holds V
}
network Alone { population P[3]: Fading }";
    let after = |time: u32, backend| {
        let text = format!("{model}\nexperiment Go of Alone {{ simulate {time} ms }}\n");
        Lab::in_steps(&text, 1.0).run(backend).state("P", "x").to_vec()
    };
    for backend in [INTERP, NATIVE] {
        let faint = (-511.0_f64).exp();
        // 511 products, each rounded once
        assert!(after(511, backend).iter().all(|x| (x / faint - 1.0).abs() < 1e-12));
        assert_eq!(after(512, backend), [0.0; 3]);
    }
    assert_eq!(after(511, INTERP), after(511, NATIVE));
}
