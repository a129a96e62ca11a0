//! Who is connected to whom, values that differ from cell to cell, and values that are set for a while.

use crate::lab::{INTERP, Lab, NATIVE, Place, same_bits, wired};

/// The connections (pre, post) of one projection between two populations, or within one where `rule` stands after `A -> A`.
///
/// Each weight is a code of its ends: 1000 * pre + post.
fn edges(ends: &str, connect: &str, place: Place) -> Vec<(u32, u32)> {
    let lab = wired((40, 60), ends, connect, "1000 * pre + post");
    let mut ran = lab.run(place);
    let weights = ran.engine.weights(0);
    assert_eq!(ran.engine.synapses(), weights.len() as u64);
    assert_eq!(ran.outcome.synapses, weights.len() as u64);
    let edges: Vec<(u32, u32)> = weights.iter().map(|w| (*w as u32 / 1000, *w as u32 % 1000)).collect();
    assert!(edges.windows(2).all(|e| e[0] <= e[1]), "rows by source, each ascending");
    edges
}

fn degrees(edges: &[(u32, u32)], size: usize, of: impl Fn(&(u32, u32)) -> u32) -> Vec<usize> {
    let mut out = vec![0; size];
    edges.iter().for_each(|e| out[of(e) as usize] += 1);
    out
}

fn distinct(edges: &[(u32, u32)]) -> bool {
    edges.windows(2).all(|e| e[0] != e[1])
}

const PLACES: [Place; 2] = [NATIVE, INTERP];

#[test]
fn every_target_has_the_in_degree_that_was_asked_for() {
    for place in PLACES {
        let e = edges("A -> B", "fixed_indegree(7)", place);
        assert_eq!(degrees(&e, 60, |e| e.1), [7; 60]);
        assert!(distinct(&e));
        // 420 edges on 40 sources: about 10 for each, and none of them without any.
        assert!(degrees(&e, 40, |e| e.0).iter().all(|d| (1..=25).contains(d)));

        let e = edges("A -> A", "fixed_indegree(39)", place);
        assert_eq!(degrees(&e, 40, |e| e.1), [39; 40]);
        assert!(distinct(&e) && e.iter().all(|e| e.0 != e.1), "39 others are all others");

        let e = edges("A -> A", "fixed_indegree(40) with autapses", place);
        assert_eq!(e.iter().filter(|e| e.0 == e.1).count(), 40);

        let e = edges("A -> B", "fixed_indegree(30) with multapses", place);
        assert_eq!(degrees(&e, 60, |e| e.1), [30; 60]);
        assert!(!distinct(&e), "30 draws of 40 without a repetition: never");
    }
}

#[test]
fn every_source_has_the_out_degree_that_was_asked_for() {
    for place in PLACES {
        let e = edges("A -> B", "fixed_outdegree(9)", place);
        assert_eq!(degrees(&e, 40, |e| e.0), [9; 40]);
        assert!(distinct(&e));
        let e = edges("A -> A", "fixed_outdegree(39)", place);
        assert_eq!(degrees(&e, 40, |e| e.0), [39; 40]);
        assert!(e.iter().all(|e| e.0 != e.1));
    }
}

#[test]
fn other_rules_give_the_edges_that_they_name() {
    for place in PLACES {
        assert_eq!(edges("A -> B", "fixed_total_number(123)", place).len(), 123);
        assert_eq!(edges("A -> B", "all_to_all", place).len(), 2400);
        assert_eq!(edges("A -> A", "all_to_all", place).len(), 40 * 39);
        assert_eq!(edges("A -> A", "all_to_all with autapses", place).len(), 1600);
        let diagonal: Vec<(u32, u32)> = (0..40).map(|k| (k, k)).collect();
        assert_eq!(edges("A -> B[..40]", "one_to_one", place), diagonal);
        assert_eq!(edges("A -> B", "pairs([[3, 5], [0, 59], [39, 0]])", place), [(0, 59), (3, 5), (39, 0)]);
        let e = edges("A -> B", "all_to_all where (pre + post) / 2 == pre", place);
        assert_eq!(e, diagonal);
    }
}

#[test]
fn a_bernoulli_graph_has_binomial_degrees() {
    for place in PLACES {
        let e = edges("A -> B", "bernoulli(0.25)", place);
        assert!(distinct(&e));
        // 2400 candidates: mean 600, standard deviation 21.2
        assert!((e.len() as f64 - 600.0).abs() < 4.0 * 21.2, "{} edges", e.len());
        // In-degrees: mean 10, variance 7.5; the standard error of the variance of 60 of them is 7.5 sqrt(2 / 59) = 1.38.
        let d = degrees(&e, 60, |e| e.1);
        let mean = d.iter().sum::<usize>() as f64 / 60.0;
        let variance = d.iter().map(|d| (*d as f64 - mean).powi(2)).sum::<f64>() / 59.0;
        assert!((variance - 7.5).abs() < 4.0 * 1.38, "variance {variance}");
    }
}

#[test]
fn a_spike_is_delivered_once_over_each_synapse() {
    let text = "use std.sources.SpikeTimes
neuron Counter {
    state n = 0
    receptor syn(w: number) { n += w }
}
network Wired {
    source trains[3]: SpikeTimes(times = [[1 ms, 2 ms, 3 ms], [1 ms], []])
    population B[50]: Counter
    projection trains -> B { connect fixed_outdegree(11)  weight 1  delay 0.7 ms }
    projection trains -> B { connect fixed_indegree(2)  weight 0.25  delay uniform(0.1 ms, 5 ms) }
}
experiment Short of Wired { simulate 10 ms }
";
    let lab = Lab::new(text);
    let mut before = None;
    for place in PLACES {
        let ran = lab.run(place);
        assert_eq!(ran.engine.synapses(), 33 + 100);
        let n: f64 = ran.state("B", "n").iter().sum();
        // The events of the second projection are whatever its sources were, each with a weight of a quarter.
        let events = ran.engine.synaptic_events() as f64;
        assert_eq!(n, 44.0 + (events - 44.0) / 4.0);
        assert!(events > 44.0 && events <= 44.0 + 300.0, "{events}");
        assert_eq!(*before.get_or_insert(events), events);
    }
}

#[test]
fn params_that_differ_between_cells_give_what_constants_give() {
    // Bit for bit: the matrix exponential of a cell is computed by the same function, whether once for a population or
    // once for each cell.
    let taus = ["8 ms", "10 ms", "13.5 ms", "20 ms", "2 ms"];
    let list = taus.join(", ");
    let constants: String = (0..5)
        .map(|k| {
            format!(
                "population c{k}[1]: LifExp(tau_m = {tau}, tau_exc = 3 ms, I_e = 400 pA, V_th = -54 mV, V = -68 mV)
    projection beat -> c{k}.exc {{ weight 80 pA }}
    population d{k}[1]: LifCondExp(C_m = 200 pF, g_L = 10 nS, tau_exc = {tau}, g_exc = 3 nS)
    projection beat -> d{k}.exc {{ weight 2 nS }}
    ",
                tau = taus[k]
            )
        })
        .collect();
    let text = format!(
        "use std.neurons.(LifExp, LifCondExp)
use std.sources.Regular
network Two {{
    let tau[cell: 5] = [{list}]
    source beat: Regular(interval = 1.3 ms)
    population each[cell: 5]: LifExp(tau_m = tau[cell], tau_exc = 3 ms, I_e = 400 pA, V_th = -54 mV, V = -68 mV)
    population conducting[cell: 5]: LifCondExp(C_m = 200 pF, g_L = 10 nS, tau_exc = tau[cell], g_exc = 3 nS)
    projection beat -> each.exc {{ weight 80 pA }}
    projection beat -> conducting.exc {{ weight 2 nS }}
    {constants}
}}
experiment Go of Two {{ simulate 200 ms }}
"
    );
    let lab = Lab::new(&text);
    for place in PLACES {
        let ran = lab.run(place);
        let mut fired = 0;
        for k in 0..5_u32 {
            for (many, one) in [("each", format!("c{k}")), ("conducting", format!("d{k}"))] {
                assert_eq!(ran.train(many, k), ran.train(&one, 0), "{many}[{k}]");
                fired += ran.train(many, k).len();
                let states: &[&str] = if many == "each" { &["V", "I_exc"] } else { &["V", "g_exc"] };
                for state in states {
                    let (a, b) = (ran.state(many, state)[k as usize], ran.state(&one, state)[0]);
                    assert!(same_bits(&[a], &[b]), "{many}[{k}].{state}: {a:e} and {b:e}");
                }
            }
        }
        assert!(fired > 50, "{fired} spikes");
    }
}

#[test]
fn what_is_set_for_a_while_returns() {
    let text = "use std.neurons.LifDelta
network Settable { dt 0.1 ms; population P[3]: LifDelta(V_th = 1 V) }
experiment Pulses of Settable {
    record V of P
    simulate 5 ms
    set P.I = 4 mV
    set P.I = 10 mV lasting 20 ms
    set P[1].I = 30 mV lasting 10 ms
    simulate 40 ms
    set P[2].I += 6 mV lasting 3 ms
    simulate 3 ms
    simulate 12 ms
}
";
    // (until ms, drive) of each cell; a drive holds from the step after it was set.
    let drives: [&[(f64, f64)]; 3] = [
        &[(5.0, 0.0), (25.0, 10.0), (60.0, 4.0)],
        &[(5.0, 0.0), (15.0, 30.0), (25.0, 10.0), (60.0, 4.0)],
        &[(5.0, 0.0), (25.0, 10.0), (45.0, 4.0), (48.0, 10.0), (60.0, 4.0)],
    ];
    let lab = Lab::new(text);
    for place in PLACES {
        let ran = lab.run(place);
        assert_eq!(ran.engine.step(), 600);
        for (cell, drive) in drives.iter().enumerate() {
            let found = ran.samples("P", "V", cell as u32);
            let (mut v, mut step) = (0.0, 0_usize);
            for (until, mu) in *drive {
                while step < (until / 0.1_f64).round() as usize {
                    v = mu + (v - mu) * (-0.1_f64 / 20.0).exp();
                    assert!(
                        (found[step] - v).abs() < 1e-10,
                        "cell {cell} after step {}: {} mV, expected {v} mV",
                        step + 1,
                        found[step]
                    );
                    step += 1;
                }
            }
        }
        let population = lab.unit().network.populations().next().unwrap().1;
        let input = population.dynamics.params.iter().position(|p| p.name == "I").expect("the input");
        assert_eq!(ran.engine.param(0, input as u32, &[0, 1, 2]), [4.0; 3]);
    }
}
