//! Recorded vectors of another simulator: the same circuits give the same spikes at the same steps.
//!
//! The vectors lie in `tests/golden`, or in the folder that `NSM_GOLDEN` names; `tests/golden/README.md` says how they were
//! made. Missing or empty vectors are a failure.

use crate::lab::{Files, INTERP, Lab, NATIVE, Place, Ran};
use nsm::driver::Options;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

/// Largest difference between a voltage and the recorded one, mV: sums are taken in another order, nothing else differs.
const VOLTAGE: f64 = 1e-9;

fn vectors() -> Value {
    let folder = std::env::var_os("NSM_GOLDEN").map_or_else(|| PathBuf::from("tests/golden"), PathBuf::from);
    let file = folder.join("nest.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn cases(all: &Value, key: &str) -> Vec<Value> {
    all[key].as_array().unwrap_or_else(|| panic!("the vectors have no `{key}`")).clone()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap_or_else(|| panic!("{v} is no list")).iter().map(number).collect()
}

/// A list of quantities as the language writes it.
fn list(values: &[f64], unit: &str) -> String {
    let each: Vec<String> = values.iter().map(|v| format!("{v:?} {unit}")).collect();
    format!("[{}]", each.join(", "))
}

/// (step, neuron), in order.
fn recorded(case: &Value) -> Vec<(u64, u32)> {
    let all = case["spikes_step_neuron"].as_array().expect("a list of spikes");
    all.iter().map(|s| (s[0].as_u64().unwrap(), s[1].as_u64().unwrap() as u32)).collect()
}

struct Edge {
    pre: u64,
    post: u64,
    weight: f64,
    /// Steps.
    delay: u64,
}

fn edges(case: &Value, key: &str) -> Vec<Edge> {
    let all = case[key].as_array().expect("a list of edges");
    let edge = |e: &Value| Edge {
        pre: e[0].as_u64().unwrap(),
        post: e[1].as_u64().unwrap(),
        weight: number(&e[2]),
        delay: e[3].as_u64().unwrap(),
    };
    all.iter().map(edge).collect()
}

/// The edges that `wanted` takes as an edge file. Delays are in ms; times are whole steps, so the nearest one is meant.
fn csv(edges: &[Edge], dt: f64, wanted: impl Fn(&Edge) -> bool) -> String {
    let mut out = "pre,post,w,d\n".to_string();
    for e in edges.iter().filter(|e| wanted(e)) {
        writeln!(out, "{},{},{:?},{:?}", e.pre, e.post, e.weight, e.delay as f64 * dt).unwrap();
    }
    out
}

/// NEST's `iaf_psc_exp`: one projection for each receptor.
fn psc_exp(case: &Value, dt: f64, duration_ms: f64) -> Files {
    let p = |name: &str| number(&case["params"][name]);
    let text = format!(
        "use std.neurons.LifExp
network Golden {{
    dt {dt} ms
    let I_e[cell: {size}] = {currents}
    population P[cell: {size}]: LifExp(
        C_m = {C_m:?} pF, tau_m = {tau_m:?} ms, tau_exc = {tau_exc:?} ms, tau_inh = {tau_inh:?} ms, t_ref = {t_ref:?} ms,
        E_L = {E_L:?} mV, V_th = {V_th:?} mV, V_reset = {V_reset:?} mV, I_e = I_e[cell]
    ) {{ mixed }}
    projection P -> P.exc {{ connect edges(\"exc.csv\") with autapses  weight 1 pA * column(\"w\")  delay 1 ms * column(\"d\") }}
    projection P -> P.inh {{ connect edges(\"inh.csv\") with autapses  weight 1 pA * column(\"w\")  delay 1 ms * column(\"d\") }}
}}
experiment Recorded of Golden {{
    record spikes of P
    record V of P[0]
    simulate {duration_ms} ms
}}
",
        size = case["size"],
        currents = list(&numbers(&case["I_e_pA"]), "pA"),
        C_m = p("C_m"),
        tau_m = p("tau_m"),
        tau_exc = p("tau_syn_ex"),
        tau_inh = p("tau_syn_in"),
        t_ref = p("t_ref"),
        E_L = p("E_L"),
        V_th = p("V_th"),
        V_reset = p("V_reset"),
    );
    let edges = edges(case, "edges_pre_post_weight_pA_delay_steps");
    assert!(!edges.is_empty(), "a network without edges");
    Files::new(&text)
        .and("exc.csv", &csv(&edges, dt, |e| e.weight > 0.0))
        .and("inh.csv", &csv(&edges, dt, |e| e.weight <= 0.0))
}

/// NEST's `iaf_psc_delta`: both signs land on the one receptor.
fn psc_delta(case: &Value, dt: f64, duration_ms: f64) -> Files {
    let p = |name: &str| number(&case["params"][name]);
    let bias: Vec<f64> = numbers(&case["I_e_pA"]).iter().map(|i| p("tau_m") / p("C_m") * i).collect();
    let text = format!(
        "use std.neurons.LifDelta
network Golden {{
    dt {dt} ms
    let bias[cell: {size}] = {bias}
    population P[cell: {size}]: LifDelta(
        tau_m = {tau_m:?} ms, t_ref = {t_ref:?} ms,
        E_L = {E_L:?} mV, V_th = {V_th:?} mV, V_reset = {V_reset:?} mV, bias = bias[cell]
    ) {{ mixed }}
    projection P -> P {{ connect edges(\"all.csv\") with autapses  weight 1 mV * column(\"w\")  delay 1 ms * column(\"d\") }}
}}
experiment Recorded of Golden {{
    record spikes of P
    simulate {duration_ms} ms
}}
",
        size = case["size"],
        bias = list(&bias, "mV"),
        tau_m = p("tau_m"),
        t_ref = p("t_ref"),
        E_L = p("E_L"),
        V_th = p("V_th"),
        V_reset = p("V_reset"),
    );
    let edges = edges(case, "edges_pre_post_weight_mV_delay_steps");
    assert!(!edges.is_empty(), "a network without edges");
    Files::new(&text).and("all.csv", &csv(&edges, dt, |_| true))
}

/// What differs first, if anything does.
fn first_difference(found: &[(u64, u32)], expected: &[(u64, u32)]) -> Option<String> {
    if found == expected {
        return None;
    }
    let k = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (found, expected) = (found.get(k), expected.get(k));
    Some(format!("spike {k} (step, neuron) is {found:?}, recorded is {expected:?}"))
}

/// Runs the circuits of `key` on both back ends and collects what differs from the record.
fn compare(
    key: &str,
    count: usize,
    circuit: fn(&Value, f64, f64) -> Files,
    judge: impl Fn(&Value, &Ran) -> Option<String>,
) {
    let all = vectors();
    let (dt, steps) = (number(&all["dt_ms"]), number(&all["steps"]));
    let cases = cases(&all, key);
    assert!(cases.len() >= count, "{} cases of `{key}`", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let lab = Lab::of(&circuit(case, dt, dt * steps), &Options::default());
        assert_eq!(lab.warnings, [""; 0], "{key} {}", case["seed"]);
        let expected = recorded(case);
        assert!(!expected.is_empty(), "{key} {} is silent and proves nothing", case["seed"]);
        for place in [NATIVE, INTERP] {
            let ran = lab.run(place);
            assert_eq!(ran.engine.step(), steps as u64);
            let problems = [first_difference(&ran.spikes("P"), &expected), judge(case, &ran)];
            for problem in problems.into_iter().flatten() {
                wrong.push(format!("{key} {}, {:?}: {problem}", case["seed"], place.backend));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn golden_current_based_networks_spike_at_the_recorded_steps() {
    compare("psc_exp", 12, psc_exp, |case, ran| {
        let expected = numbers(&case["V_m_of_neuron_0_mV"]);
        assert!(expected.len() >= 1000, "{} samples", expected.len());
        let log = ran.trace("P", "V");
        assert_eq!(log.steps[0], 1);
        let found = ran.samples("P", "V", 0);
        let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        (worst > VOLTAGE || found.len() < expected.len()).then(|| format!("V is off by up to {worst:e} mV"))
    });
}

#[test]
fn golden_networks_of_voltage_jumps_spike_at_the_recorded_steps() {
    compare("psc_delta", 12, psc_delta, |_, _| None);
}

/// NEST integrates this cell with an adaptive Runge-Kutta scheme of relative tolerance 1e-3; without input its equation is
/// linear and the exponential Euler step has no error at all. So a spike may lie one step beside the recorded one. Its cells
/// start at -70 mV, whatever E_L is.
fn cond_exp(case: &Value, place: Place) -> (Vec<u64>, Vec<f64>) {
    let p = |name: &str| number(&case["params"][name]);
    let text = format!(
        "use std.neurons.LifCondExp
network Golden {{
    dt 0.1 ms
    population P[1]: LifCondExp(
        C_m = {:?} pF, g_L = {:?} nS, t_ref = {:?} ms, E_L = {:?} mV, V_th = {:?} mV, V_reset = {:?} mV, I_e = {:?} pA, V = -70 mV
    )
}}
experiment Recorded of Golden {{
    record spikes of P
    record V of P
    simulate 500 ms
}}
",
        p("C_m"),
        p("g_L"),
        p("t_ref"),
        p("E_L"),
        p("V_th"),
        p("V_reset"),
        number(&case["I_e_pA"]),
    );
    let lab = Lab::new(&text);
    let ran = lab.run(place);
    (ran.train("P", 0), ran.samples("P", "V", 0))
}

#[test]
fn golden_conductance_cells_spike_within_a_step_of_the_record() {
    let all = vectors();
    let cells: Vec<Value> = cases(&all, "single").into_iter().filter(|c| c["model"] == "iaf_cond_exp").collect();
    assert!(!cells.is_empty(), "no cell of this model");
    for case in &cells {
        let expected: Vec<u64> = numbers(&case["spikes_step"]).iter().map(|s| *s as u64).collect();
        assert!(!expected.is_empty(), "a silent cell proves nothing");
        for place in [NATIVE, INTERP] {
            let (found, voltages) = cond_exp(case, place);
            let far = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            let first = expected[0] as usize - 1;
            let recorded = numbers(&case["V_m_mV"]);
            let off = voltages[..first].iter().zip(&recorded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-3, "seed {}: V is off by up to {off:e} mV before the first spike", case["seed"]);
            assert_eq!(found.len(), expected.len(), "seed {}: {found:?}", case["seed"]);
            assert!(far <= Some(1), "seed {}: found {found:?}, recorded {expected:?}", case["seed"]);
        }
    }
}

/// The cells of `model` in one network, in steps of `dt` ms: for each its recorded spikes and those found, both in recorded
/// steps of 0.1 ms, and the voltages found at each recorded step.
///
/// `bind` gives the bindings of the library's model apart from the current.
fn compare_cells(model: &str, library: &str, dt: f64, bind: impl Fn(&Value) -> String) -> Vec<Cell> {
    let all = vectors();
    let recorded_dt = number(&all["dt_ms"]);
    let cases: Vec<Value> = cases(&all, "single").into_iter().filter(|c| c["model"] == model).collect();
    assert!(cases.len() >= 3, "{} cells of `{model}`", cases.len());
    assert!(cases.iter().all(|c| c["params"] == cases[0]["params"]), "one population needs one set of parameters");
    let currents: Vec<f64> = cases.iter().map(|c| number(&c["I_e_pA"])).collect();
    let text = format!(
        "use std.neurons.{library}
network Golden {{
    dt {dt:?} ms
    let current[cell: {size}] = {currents}
    population P[cell: {size}]: {library}(I_e = current[cell]{bind})
}}
experiment Recorded of Golden {{
    record V of P every {recorded_dt:?} ms
    simulate {duration} ms
}}
",
        size = cases.len(),
        currents = list(&currents, "pA"),
        bind = bind(&cases[0]["params"]),
        duration = number(&all["steps"]) * recorded_dt,
    );
    let lab = Lab::new(&text);
    assert_eq!(lab.warnings, [""; 0], "{model}");
    let ran = lab.run(NATIVE);
    let steps = recorded_dt / dt;
    let cell = |(k, case): (usize, &Value)| Cell {
        expected: numbers(&case["spikes_step"]),
        found: ran.train("P", k as u32).iter().map(|s| *s as f64 / steps).collect(),
        recorded: numbers(&case["V_m_mV"]),
        voltages: ran.samples("P", "V", k as u32),
    };
    cases.iter().enumerate().map(cell).collect()
}

struct Cell {
    expected: Vec<f64>,
    found: Vec<f64>,
    /// mV at steps 1, 2, ...
    recorded: Vec<f64>,
    voltages: Vec<f64>,
}

impl Cell {
    fn is_within_a_step(&self, what: &str) {
        let Cell { expected, found, .. } = self;
        assert!(!expected.is_empty(), "{what}: a silent cell proves nothing");
        assert_eq!(found.len(), expected.len(), "{what}: found {found:?}, recorded {expected:?}");
        let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far <= 1.0, "{what}: {far} steps; found {found:?}, recorded {expected:?}");
    }

    /// Largest difference of the voltages in the first `steps` steps, mV.
    fn largest(&self, steps: usize) -> f64 {
        let pairs = self.voltages.iter().zip(&self.recorded).take(steps);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

/// NEST resets this cell within the step, as soon as V has diverged, and stamps the spike with the end of the step; here a
/// reset waits for the end of the step. That delays each spike by half a step on average, and near the smallest current that
/// fires a cell the next ones by more: 14 steps of 0.1 ms after 500 ms. So the step is a fiftieth of the recorded one.
#[test]
fn golden_adaptive_exponential_cells_spike_within_a_step_of_the_record() {
    let bind = |p: &Value| {
        let of = |name: &str, unit: &str| format!("{:?} {unit}", number(&p[name]));
        format!(
            ", C_m = {}, g_L = {}, E_L = {}, V_th = {}, Delta_T = {}, tau_w = {}, a = {}, b = {}, V_reset = {}, V_peak = {}, t_ref = {}",
            of("C_m", "pF"),
            of("g_L", "nS"),
            of("E_L", "mV"),
            of("V_th", "mV"),
            of("Delta_T", "mV"),
            of("tau_w", "ms"),
            of("a", "nS"),
            of("b", "pA"),
            of("V_reset", "mV"),
            of("V_peak", "mV"),
            of("t_ref", "ms"),
        )
    };
    for cell in compare_cells("aeif_cond_exp", "AdEx", 0.002, bind) {
        cell.is_within_a_step("aeif_cond_exp");
        // Until the upswing of the first spike; NEST's tolerance is 1e-6.
        let off = cell.largest(cell.expected[0] as usize - 10);
        assert!(off < 1e-5, "V is off by up to {off:e} mV before the first spike");
    }
}

/// NEST's defaults are the library's. Its adaptive scheme has a tolerance of 1e-3 mV in each step; in a spike, where V moves
/// by up to 40 mV in a step, what both schemes leave adds up to a hundredth.
#[test]
fn golden_hodgkin_huxley_cells_spike_within_a_step_of_the_record() {
    for cell in compare_cells("hh_psc_alpha", "HhPscAlpha", 0.1, |_| String::new()) {
        cell.is_within_a_step("hh_psc_alpha");
        let off = cell.largest(cell.recorded.len());
        assert!(off < 0.02, "V is off by up to {off:e} mV in {} steps", cell.recorded.len());
    }
}

/// NEST's `stdp_synapse` with a dendritic delay: the weight that each presynaptic spike carries. The postsynaptic cell is made to
/// fire at the recorded times; a second receptor counts what arrives.
fn carried(case: &Value, dt: f64, place: Place) -> Vec<f64> {
    let of = |key: &str| number(&case[key]);
    let delay = of("dendritic_delay_ms");
    let steps = |v: f64| (v / dt).round();
    let (pre, post) = (numbers(&case["pre_spikes_ms"]), numbers(&case["post_spikes_ms"]));
    // A kick that arrives at the end of a step fires the cell at that moment; it is sent one step before.
    let kicks: Vec<f64> = post.iter().map(|t| (steps(*t) - 1.0) * dt).collect();
    let last = pre.iter().chain(&post).copied().fold(0.0, f64::max);
    let text = format!(
        "use std.sources.SpikeTimes; use std.plasticity.PairStdp
neuron Echo {{
    state V = 0, total = 0
    receptor kick(w: number) {{ V += w }}
    receptor learn(w: number) {{ total += w }}
    spike when V >= 0.5 {{ V = 0 }}
}}
network Pair {{
    dt {dt:?} ms
    source before[1]: SpikeTimes(times = {})
    source after[1]: SpikeTimes(times = {})
    population cell[1]: Echo
    projection after -> cell.kick {{ connect all_to_all  weight 1  delay {dt:?} ms }}
    projection before -> cell.learn {{
        connect all_to_all
        weight {:?}
        delay dendritic {delay:?} ms
        plasticity PairStdp(lambda = {:?}, alpha = {:?}, mu_plus = {:?}, mu_minus = {:?}, tau_plus = {:?} ms,
                            tau_minus = {:?} ms, w_max = {:?})
    }}
}}
experiment Carried of Pair {{ record total of cell; simulate {:?} ms }}
",
        list(&pre, "ms"),
        list(&kicks, "ms"),
        of("w0"),
        of("lambda"),
        of("alpha"),
        of("mu_plus"),
        of("mu_minus"),
        of("tau_plus"),
        of("tau_minus_ms"),
        of("Wmax"),
        last + delay + 1.0,
    );
    let lab = Lab::new(&text);
    let ran = lab.run(place);
    let total = &ran.engine.traces()[0].values;
    // Sample k is of the end of step k + 1; what is carried is the jump at the arrival.
    let at = |step: f64| total[step as usize - 1];
    pre.iter().map(|t| steps(*t) + steps(delay)).map(|s| at(s) - at(s - 1.0)).collect()
}

#[test]
fn golden_plastic_synapses_carry_the_recorded_weights() {
    let all = vectors();
    let dt = number(&all["dt_ms"]);
    let cases = cases(&all, "stdp");
    assert!(cases.len() >= 12, "{} cases", cases.len());
    for case in &cases {
        let expected = numbers(&case["weight_used_at_each_pre_spike"]);
        for place in [INTERP, NATIVE] {
            let found = carried(case, dt, place);
            assert_eq!(found.len(), expected.len());
            for (k, (f, e)) in found.iter().zip(&expected).enumerate() {
                // Traces decay step by step here and at spikes there, and a jump is a difference of sums: rounding alone.
                assert!((f - e).abs() <= 1e-9 * e.abs().max(1.0), "seed {} spike {k}: {f} and {e}", case["seed"]);
            }
        }
    }
}
