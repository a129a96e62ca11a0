//! Rules with a third factor: a synapse that waits for its next event, taking up running integrals of a modulator then, gets the
//! weight of one that follows the modulator step by step.

use crate::lab::{INTERP, Lab, Place, native, same_bits};

/// 20 x 10 synapses whose weights move no cell, so that all forms see the same spikes. `bounds` and `drift` are those of the
/// weight; `seconds` are the network's.
fn circuit(bounds: &str, drift: &str, dt: &str, seconds: f64) -> String {
    format!(
        "use std.neurons.LifDelta
use std.sources.Poisson
use std.modulators.Transient
plasticity Rule {{
    param eta: weight/time, tau = 20 ms, tau_e = 200 ms, tiny: weight/time/voltage
    needs modulator M
    needs post.V: voltage
    pre trace x: x' = -x / tau
    post trace y: y' = -y / tau
    synapse e: e' = -e / tau_e
    weight w {bounds}: w' = {drift}
    on pre {{ x += 1; e -= 1.2 * y }}
    on post {{ y += 1; e += x }}
}}
network Modulated {{
    dt {dt}
    event reward(r: number)
    modulator dopamine: Transient(tau = 150 ms, reward = reward)
    source input[20]: Poisson(rate = 8 Hz)
    source teacher[10]: Poisson(rate = 8 Hz)
    population cell[10]: LifDelta
    projection teacher -> cell {{ connect one_to_one  weight 25 mV  delay 1 ms }}
    projection syn: input -> cell {{
        connect all_to_all
        weight 5e-7 mV
        delay 1.5 ms
        plasticity Rule(eta = 2e-5 mV/s, tiny = 1e-40 Hz, M = dopamine)
    }}
}}
experiment Go of Modulated {{
    for k in 0 .. {} {{
        emit reward(1)
        simulate 250 ms
        emit reward(-1.4)
        simulate 250 ms
    }}
}}
",
        (seconds * 2.0) as u32
    )
}

/// (weights, synapses gone through because a step went by) of a rule of which is known whether it waits.
fn outcome(text: &str, waits: bool, places: &[Place]) -> (Vec<f64>, u64) {
    let lab = Lab::new(text);
    let network = &lab.unit().network;
    let rule = &network.plasticity[0];
    assert_eq!(rule.lazy, waits, "{:?}", rule.notes);
    let at = network.projections().position(|(id, ..)| id == rule.projection).unwrap();
    let mut all = places.iter().map(|place| {
        let mut ran = lab.run(*place);
        let touches = ran.engine.touches().in_steps;
        (ran.engine.weights(at), touches)
    });
    let first = all.next().unwrap();
    for other in all {
        assert!(same_bits(&first.0, &other.0) && first.1 == other.1);
    }
    first
}

/// The same rule in both forms, in short steps and in long ones, over more than a horizon of steps. The term that makes a rule
/// follow its cell is too small to count.
#[test]
fn waiting_synapses_get_the_weights_of_stepped_ones() {
    let cases = [
        ("", "eta * M * e", "0.1 ms", 4.0),
        ("in 0 .. 1e-6 mV", "eta * (M - 0.1) * e", "0.1 ms", 2.0),
        ("", "eta * (M * M * e - 0.02 * e + 0.01 * M) - w / (300 ms)", "0.5 ms", 2.0),
    ];
    for (bounds, drift, dt, seconds) in cases {
        let (waiting, touched) = outcome(&circuit(bounds, drift, dt, seconds), true, &[native(3), native(1), INTERP]);
        let stepped = circuit(bounds, &format!("{drift} + tiny * post.V"), dt, seconds);
        let (stepped, every) = outcome(&stepped, false, &[native(2)]);
        let moved = stepped.iter().map(|w| (w - 5e-7).abs()).fold(0.0, f64::max);
        assert!(moved > 1e-7, "{drift}: {moved}");
        // 40,000 additions, each with an error of 1e-16 of the largest weight.
        let wrong = waiting.iter().zip(&stepped).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(wrong < 4e-12 * moved.max(5e-7), "{drift}: {wrong}");
        let (steps, synapses) = ((seconds * 1e3 / dt.trim_end_matches(" ms").parse::<f64>().unwrap()) as u64, 200);
        assert_eq!(every, steps * synapses);
        // Once for each horizon, and where the level turns that a bounded weight follows.
        assert!(touched <= (steps / 32_768 + 1 + if bounds.is_empty() { 0 } else { 20 }) * synapses, "{touched}");
        let held = stepped.iter().filter(|w| **w == 0.0 || **w == 1e-6).count();
        assert!(bounds.is_empty() || held > 20, "{held} of 200 weights at their bounds");
    }
}

/// What can't wait says why.
#[test]
fn what_cannot_wait_is_stepped() {
    let cases = [
        ("", "eta * M * e * x", "it follows a trace"),
        ("", "eta * e * post.V / (1 mV)", "it follows the cell"),
        ("in 0 .. 1e-6 mV", "eta * M * e - w / (300 ms)", "within its bounds it may turn between events"),
        ("", "eta * M * e * e / (1 + e)", "no sum of exponentials"),
    ];
    for (bounds, drift, why) in cases {
        let lab = Lab::new(&circuit(bounds, drift, "1 ms", 1.0));
        let rule = &lab.unit().network.plasticity[0];
        assert!(!rule.lazy && rule.notes.iter().any(|n| n.contains(why)), "{drift}: {:?}", rule.notes);
    }
}
