//! Frequency against current of `WangBuzsaki`, held to a solution of the published equations that knows nothing of the compiler.

use crate::lab::{Lab, NATIVE};

/// Times at which V crosses 0 mV upwards, ms: Wang and Buzsaki (1996), RK4 in steps of `h` ms, crossings by a straight line.
fn reference(current: f64, time: f64, h: f64) -> Vec<f64> {
    let ratio = |x: f64| x / -(-x).exp_m1();
    let slope = |s: [f64; 3]| {
        let [v, gate, n] = s;
        let (am, bm) = (ratio((v + 35.0) / 10.0), 4.0 * (-(v + 60.0) / 18.0).exp());
        let m = am / (am + bm);
        let (ah, bh) = (0.07 * (-(v + 58.0) / 20.0).exp(), 1.0 / (1.0 + (-(v + 28.0) / 10.0).exp()));
        let (an, bn) = (0.1 * ratio((v + 34.0) / 10.0), 0.125 * (-(v + 44.0) / 80.0).exp());
        let i = 35.0 * m.powi(3) * gate * (55.0 - v) + 9.0 * n.powi(4) * (-90.0 - v) + 0.1 * (-65.0 - v) + current;
        [i, 5.0 * (ah * (1.0 - gate) - bh * gate), 5.0 * (an * (1.0 - n) - bn * n)]
    };
    let shift = |s: [f64; 3], k: [f64; 3], h: f64| std::array::from_fn(|i| s[i] + h * k[i]);
    let (mut s, mut out) = ([-64.0, 0.78, 0.09], Vec::new());
    for step in 0..(time / h).round() as usize {
        let k1 = slope(s);
        let k2 = slope(shift(s, k1, h / 2.0));
        let k3 = slope(shift(s, k2, h / 2.0));
        let k4 = slope(shift(s, k3, h));
        let next: [f64; 3] = std::array::from_fn(|i| s[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
        if s[0] < 0.0 && next[0] >= 0.0 {
            out.push((step as f64 + s[0] / (s[0] - next[0])) * h);
        }
        s = next;
    }
    out
}

fn frequency(spikes: &[f64]) -> f64 {
    let late: Vec<f64> = spikes.iter().copied().filter(|t| *t > 200.0).collect();
    match late.as_slice() {
        [first, .., last] => 1000.0 * (late.len() - 1) as f64 / (last - first),
        _ => 0.0,
    }
}

#[test]
fn frequency_follows_the_current_as_the_published_equations_say() {
    let currents = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0];
    let list: Vec<String> = currents.iter().map(|i| format!("{i:?} uA/cm^2")).collect();
    let (time, dt) = (1200.0, 0.02);
    let text = format!(
        "use std.neurons.WangBuzsaki
network Cells {{
    let current[cell: {n}] = [{list}]
    population P[cell: {n}]: WangBuzsaki
    drive P.I = current[cell]
}}
experiment Go of Cells {{ simulate {time} ms }}
",
        n = currents.len(),
        list = list.join(", "),
    );
    let lab = Lab::in_steps(&text, dt);
    let ran = lab.run(NATIVE);
    let mut found = Vec::new();
    for (cell, current) in currents.iter().enumerate() {
        let spikes: Vec<f64> = ran.train("P", cell as u32).iter().map(|s| *s as f64 * dt).collect();
        let exact = reference(*current, time, 0.01);
        assert_eq!(spikes.len(), exact.len(), "{current} uA/cm^2");
        // A spike is stamped with the end of its step. The RK4 steps of 0.02 ms are off by far less than that.
        for (a, b) in spikes.iter().zip(&exact) {
            assert!((-dt..2.0 * dt).contains(&(a - b)), "{current} uA/cm^2: spike at {a} ms, expected {b} ms");
        }
        found.push(frequency(&spikes));
    }
    // The paper's figure 1: class 1, with an onset between 0.1 and 0.2 uA/cm^2 and some 60 Hz at 1 uA/cm^2.
    assert_eq!(found[0], 0.0);
    assert!((0.5..20.0).contains(&found[1]), "{found:?} Hz");
    assert!((55.0..70.0).contains(&found[4]), "{found:?} Hz");
    let gains: Vec<f64> =
        (1..currents.len()).map(|k| (found[k] - found[k - 1]) / (currents[k] - currents[k - 1])).collect();
    assert!(gains[1..].windows(2).all(|g| g[1] < g[0]), "gains {gains:?} Hz per uA/cm^2");
}
