//! Values between cells: what is read at the start of a step or a delay before it, against recursions and closed formulas.

use crate::lab::{INTERP, Lab, NATIVE, native, run};

/// h' = (-h + w r(t - d) + b) / tau with r = max(0, h), in steps over which the input is held, is the recursion
/// h[k + 1] = p h[k] + (1 - p) (b + w r[k - d]); before the run r is what it is at its start.
#[test]
fn a_delayed_unit_follows_its_recursion() {
    for delay in [0_usize, 1, 7, 30] {
        let text = format!(
            "use std.neurons.RateLinear
network Self {{
    population R[1]: RateLinear(tau = 5 ms, bias = 4 Hz, h = 1 Hz)
    projection R.r -> R.I {{ connect all_to_all with autapses  weight -0.8  delay {delay} * 0.1 ms }}
}}
experiment Runs of Self {{ record h of R; simulate 20 ms }}
"
        );
        let lab = Lab::new(&text);
        let ran = lab.run(NATIVE);
        let found = ran.samples("R", "h", 0);
        let p = (-0.1_f64 / 5.0).exp();
        let mut h = vec![1e-3];
        for k in 0..200 {
            let read: f64 = h[k - delay.min(k)];
            h.push(p * h[k] + (1.0 - p) * (4e-3 - 0.8 * read.max(0.0)));
        }
        for (k, (a, b)) in found.iter().zip(&h[1..]).enumerate() {
            // 200 steps of a few roundings each.
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-3), "delay {delay}, step {k}: {a} and {b}");
        }
        assert_eq!(found.len(), 200);
    }
}

/// Ohm's law for two cells at rest: V_B = V_A g / (g + g_L), whatever the two leaks.
#[test]
fn gap_junctions_divide_the_voltage() {
    for (g, leak_a, leak_b) in [(1.0, 10.0, 10.0), (4.0, 10.0, 2.5), (0.3, 7.0, 20.0)] {
        let text = format!(
            "use std.neurons.LifGap
network Two {{
    population A[1]: LifGap(g_L = {leak_a:?} nS)
    population B[1]: LifGap(g_L = {leak_b:?} nS)
    projection A.V -> B.I_gap {{ connect all_to_all  weight {g:?} nS }}
    projection B.V -> A.I_gap {{ connect all_to_all  weight {g:?} nS }}
}}
experiment Rests of Two {{ set A.I = 30 pA; simulate 2 s }}
"
        );
        let lab = Lab::new(&text);
        let ran = lab.run(NATIVE);
        let (a, b) = (ran.state("A", "V")[0] + 65.0, ran.state("B", "V")[0] + 65.0);
        let expected = 30.0 / (leak_a + g * leak_b / (g + leak_b));
        // 2 s are 25 of the longest time constants; voltages of 65 mV are rounded at 1e-14 of them.
        assert!((a - expected).abs() < 1e-9 * expected, "{a} mV instead of {expected} mV");
        assert!((b / a - g / (g + leak_b)).abs() < 1e-9, "coupling coefficient {}", b / a);
    }
}

/// tau r' = -r + [W r + I]+ : the fixed point (1 - W)^-1 I is reached where the spectral radius of W is below 1, and left where it is
/// above, until a state is no longer finite, which ends the run. W = [[0, a], [b, 0]] has the radius sqrt(a b).
#[test]
fn linear_units_converge_below_a_spectral_radius_of_one() {
    for (a, b) in [(0.5, 0.5), (1.8, 0.5), (0.99, 0.99), (1.2, 0.9), (2.0, 2.0)] {
        let text = format!(
            "use std.neurons.RateLinear
network Pair {{
    population A[1]: RateLinear
    population B[1]: RateLinear
    projection B.r -> A.I {{ connect all_to_all  weight {a:?} }}
    projection A.r -> B.I {{ connect all_to_all  weight {b:?} }}
}}
experiment Runs of Pair {{ set A.I = 1 Hz; set B.I = 2 Hz; record h of A; simulate {time} }}
",
            time = if a * b < 1.0 { "20 s" } else { "500 ms" },
        );
        let radius = f64::sqrt(a * b);
        let lab = Lab::in_steps(&text, 1.0);
        let ran = lab.run(NATIVE);
        let trace = ran.samples("A", "h", 0);
        let end = trace[trace.len() - 1];
        if radius < 1.0 {
            let expected = 1e-3 * (1.0 + a * 2.0) / (1.0 - a * b);
            // The slowest mode, of radius 0.99, has had 20 of its time constants of 1 s.
            assert!((end - expected).abs() < 1e-8 * expected, "{a}, {b}: {end} instead of {expected}");
        } else {
            // Steps of 1 ms multiply the distance from the fixed point by p + (1 - p) radius; the other mode decays.
            let p = (-0.1_f64).exp();
            let growth = (p + (1.0 - p) * radius).powi(125);
            let found = (trace[499] - trace[374]) / (trace[374] - trace[249]);
            assert!((found - growth).abs() < 1e-6 * growth, "{a}, {b}: {found} instead of {growth}");
            let forever = Lab::in_steps(&text.replace("500 ms", "200 s"), 1.0);
            let ran = run(forever.unit(), &forever.job.points[0], 1, NATIVE, false).expect("an engine");
            assert!(ran.outcome.error.is_some(), "{a}, {b}: {:?}", ran.state("A", "h"));
        }
    }
}

/// One weight for both directions: what flows out of one cell flows into the other, so the sum of the currents is zero.
#[test]
fn symmetric_junctions_balance() {
    for rule in ["bernoulli(0.1)", "all_to_all", "pairs([[0, 1], [5, 2], [7, 30], [30, 1]])"] {
        let text = format!(
            "neuron Cell {{
    param tau = 10 ms
    state x = 0
    input flow(g: number, other: number): number = g * (other - x)
    output out = flow
    x' = (flow - x) / tau
}}
network Net {{
    population P[40]: Cell(x = uniform(-1, 1))
    projection P.x -> P.flow {{ connect {rule} symmetric  weight uniform(0.05, 0.15) }}
}}
experiment Runs of Net {{ record out of P; simulate 1 ms }}
"
        );
        let lab = Lab::new(&text);
        let (a, b) = (lab.run(INTERP), lab.run(native(3)));
        let log = a.trace("P", "out");
        // The sums are those of the start of the step, the cell's own state that of its end: the last record follows both.
        let first: Vec<f64> = a.state("P", "x");
        assert!(first.iter().all(|v| v.is_finite()) && log.values.iter().any(|v| *v != 0.0), "{rule}");
        assert_eq!(a.engine.synapses() % 2, 0, "{rule}");
        if rule.starts_with("pairs") {
            assert_eq!(a.engine.synapses(), 8);
        }
        let total = |values: &[f64]| values.iter().sum::<f64>();
        let start: f64 = total(&initial(&lab));
        // x' = (flow - x) / tau summed over cells is -sum x / tau, as the flows cancel; 10 steps of exponential Euler hold the
        // other cells over a step of 1 % of tau.
        let expected = start * (-0.1_f64).exp();
        let spread: f64 = first.iter().map(|v| v.abs()).sum();
        assert!((total(&first) - expected).abs() < 0.01 * spread, "{rule}: {} and {expected}", total(&first));
        assert_eq!(total(&first).to_bits(), total(&b.state("P", "x")).to_bits(), "{rule}");
    }
}

/// The states before the first step.
fn initial(lab: &Lab) -> Vec<f64> {
    let unit = lab.unit();
    let made = nsm::driver::engine(
        unit,
        1,
        Vec::new(),
        &[],
        nsm::driver::Backend::Interp,
        1,
        nsm::driver::MemoryLimit::Default,
    );
    made.expect("an engine").0.state(0, 0)
}

/// All to all by classes and synapse by synapse are the same sums but for rounding.
#[test]
fn classes_and_rows_agree() {
    let under = |rule: &str| {
        let text = format!(
            "use std.neurons.RateLinear
network Net {{
    labels Kind {{ A, B, C }}
    let n[Kind] = [5, 20, 11]
    let w[Kind, Kind] = [[0.1, -0.2, 0.3], [0.02, 0.01, -0.1], [0.2, 0.02, 0]]
    population R[kind: Kind, cell: n[kind]]: RateLinear(bias = uniform(1 Hz, 5 Hz), h = uniform(0 Hz, 9 Hz))
    projection R.r -> R.I {{ connect {rule}  weight w[post.kind, pre.kind]  delay 0.2 ms }}
}}
experiment Runs of Net {{ simulate 30 ms }}
"
        );
        let lab = Lab::new(&text);
        let ran = lab.run(NATIVE);
        (ran.state("R", "h"), ran.engine.synapses(), ran.engine.synapse_bytes())
    };
    for flags in ["", " with autapses"] {
        let (classes, n, small) = under(&format!("all_to_all{flags}"));
        // A condition that always holds makes synapses of it.
        let (rows, m, large) = under(&format!("all_to_all where pre >= 0{flags}"));
        assert_eq!(n, m);
        assert!(small < large, "{small} and {large} bytes");
        for (a, b) in classes.iter().zip(&rows) {
            // 36 terms of at most a few Hz, 300 steps, each contracting.
            assert!((a - b).abs() < 1e-14, "{a} and {b}");
        }
    }
}
