//! The receptors of `LifSynapses`: time courses against their closed form, the block of NMDA receptors against the formula of
//! Jahr and Stevens (1990), measured as the displacement of a cell that a large leak holds near a voltage.

use crate::lab::{INTERP, Lab, NATIVE};

/// Time and height of the peak of exp(-t / fall) - exp(-t / rise), ms.
fn peak(rise: f64, fall: f64) -> (f64, f64) {
    let t = rise * fall / (fall - rise) * (fall / rise).ln();
    (t, (-t / fall).exp() - (-t / rise).exp())
}

/// A conductance whose peak is `w`, `t` ms after its spike arrived.
fn course(w: f64, rise: f64, fall: f64, t: f64) -> f64 {
    if t < 0.0 { 0.0 } else { w * ((-t / fall).exp() - (-t / rise).exp()) / peak(rise, fall).1 }
}

#[test]
fn slow_conductances_are_differences_of_exponentials_with_the_weight_as_peak() {
    // (receptor, what is recorded, rise, fall, weight nS)
    let cases = [("nmda", "g_nmda", 2.0, 80.0, 3.0), ("gaba_b", "g_gaba_b", 30.0, 150.0, 0.7)];
    for (receptor, conductance, rise, fall, w) in cases {
        let text = format!(
            "use std.neurons.LifSynapses
use std.sources.SpikeTimes
network One {{
    source one: SpikeTimes(times = [1 ms])
    population P[1]: LifSynapses
    projection one -> P.{receptor} {{ weight {w} nS  delay 1 ms }}
}}
experiment Go of One {{ record {conductance} of P; simulate 300 ms }}
"
        );
        let (peak_at, _) = peak(rise, fall);
        for dt in [0.1, 1.0] {
            let lab = Lab::in_steps(&text, dt);
            for place in [NATIVE, INTERP] {
                let g = lab.run(place).samples("P", conductance, 0);
                // Exact propagators: only rounding is left, some 10^-16 of the weight in each of up to 3000 steps.
                for (k, found) in g.iter().enumerate() {
                    let exact = course(w, rise, fall, (k + 1) as f64 * dt - 2.0);
                    assert!((found - exact).abs() < 1e-12 * w * 300.0, "{receptor}: {found}, expected {exact}");
                }
                let (top, highest) = g.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
                let found_at = (top + 1) as f64 * dt - 2.0;
                assert!((found_at - peak_at).abs() <= dt, "{receptor}: peak at {found_at}, expected {peak_at} ms");
                // The grid misses the peak by half a step; there g falls short by w (dt / 2)^2 / (2 rise fall), about.
                let bound = 1.5 * w * dt * dt / (8.0 * rise * fall);
                assert!((-1e-12..=bound).contains(&(w - highest)), "{receptor}: {highest} nS, expected {w} nS");
            }
        }
    }
}

/// Open part of the NMDA conductance with `mg` mM of magnesium at `v` mV.
fn open(mg: f64, v: f64) -> f64 {
    1.0 / (1.0 + mg / 3.57 * (-0.062 * v).exp())
}

#[test]
fn magnesium_blocks_nmda_receptors_as_jahr_and_stevens_say() {
    // A leak of 10 uS holds each cell near its E_L. At the peak of a conductance g the voltage stands still where
    // leak (V - E_L) = g open(V) (0 mV - V), so the displacement gives the open part.
    let (leak, g) = (10_000.0, 100.0);
    let held = [-100.0, -90.0, -80.0, -70.0, -60.0, -50.0, -40.0, -30.0, -20.0, -10.0, 10.0, 20.0, 40.0];
    let list: Vec<String> = held.iter().map(|v| format!("{v:?} mV")).collect();
    for mg in [0.0, 0.5, 1.0, 2.0] {
        let text = format!(
            "use std.neurons.LifSynapses
use std.sources.SpikeTimes
network Clamped {{
    dt 0.02 ms
    let held[cell: {n}] = [{list}]
    source one: SpikeTimes(times = [1 ms])
    population P[cell: {n}]: LifSynapses(
        g_L = {leak} nS, E_L = held[cell], V_th = 1 V, Mg = {mg:?} mM, rise_nmda = 2 ms, tau_nmda = 80 ms
    )
    projection one -> P.nmda {{ weight {g} nS  delay 1 ms }}
}}
experiment Go of Clamped {{ record V of P; simulate 12 ms }}
",
            n = held.len(),
            list = list.join(", "),
        );
        let lab = Lab::new(&text);
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            let (peak_at, _) = peak(2.0, 80.0);
            let step = ((2.0 + peak_at) / 0.02).round() as usize;
            let mut least = f64::INFINITY;
            for (cell, e_l) in held.iter().enumerate() {
                let v = ran.samples("P", "V", cell as u32)[step - 1];
                let conductance = course(g, 2.0, 80.0, step as f64 * 0.02 - 2.0);
                let found = leak * (v - e_l) / (conductance * -v);
                // V follows the conductance within C / leak = 0.025 ms. At the peak that changes it by its curvature only,
                // 0.025^2 / (2 * 80) = 4e-6 of itself; rounding is 1e-14 mV in some 0.01 mV.
                assert!((found / open(mg, v) - 1.0).abs() < 2e-5, "{mg} mM, {v} mV: {found}, expected {}", open(mg, v));
                least = least.min(found);
            }
            assert!(if mg == 0.0 { (least - 1.0).abs() < 2e-5 } else { least < 0.02 }, "{mg} mM: {least}");
        }
    }
}
