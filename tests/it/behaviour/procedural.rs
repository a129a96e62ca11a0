//! Projections whose synapses are made anew for each spike: what their rows are, and what arrives.

use crate::lab::{COUNTER, INTERP, Lab, Place, native, wired};
use nsm::driver::Backend;

/// Cells of the populations of [`edges`]: several blocks of what a row is drawn in, and no multiple of any.
const A: usize = 200;
const B: usize = 1100;

/// The connections (pre, post) of one projection; each weight is a code of its ends.
fn edges(ends: &str, connect: &str, place: Place) -> Vec<(u32, u32)> {
    let lab = wired((A, B), ends, connect, "10000 * pre + post");
    let mut ran = lab.run(place);
    let edges: Vec<(u32, u32)> = ran.engine.weights(0).iter().map(|w| (*w as u32 / 10000, *w as u32 % 10000)).collect();
    assert_eq!(edges, ran.engine.edges(0), "{connect}");
    if matches!(place.backend, Backend::Native) {
        assert_eq!(ran.engine.synapse_bytes(), 0);
    }
    edges
}

fn degrees(edges: &[(u32, u32)], size: usize, of: impl Fn(&(u32, u32)) -> u32) -> Vec<f64> {
    let mut out = vec![0.0; size];
    edges.iter().for_each(|e| out[of(e) as usize] += 1.0);
    out
}

#[test]
fn rows_are_the_same_on_any_number_of_threads() {
    let cases = [
        ("A -> B", "bernoulli(0.3) procedural"),
        ("A -> A", "bernoulli(0.9) with autapses procedural"),
        ("A[10 .. 150] -> B[7 .. 1003]", "bernoulli(0.25) procedural"),
        ("A[.. 60] -> B", "bernoulli(0.4) where abs(pre - post / 5) < 100 procedural"),
        ("A[.. 60] -> B", "bernoulli(exp(-abs(pre - post) / 100)) procedural"),
        ("A -> A", "fixed_outdegree(70) procedural"),
        ("A -> B", "fixed_outdegree(150) with multapses procedural"),
        ("A[.. 20] -> B[100 .. 1090]", "all_to_all procedural"),
    ];
    for (ends, connect) in cases {
        let one = edges(ends, connect, native(1));
        assert!(one.len() > 2000 && one.is_sorted(), "{connect}: {} synapses", one.len());
        assert_eq!(one.windows(2).any(|e| e[0] == e[1]), connect.contains("multapses"), "{connect}");
        let own = ends == "A -> A" && one.iter().any(|e| e.0 == e.1);
        assert_eq!(own, connect.contains("autapses"), "{connect}");
        for place in [INTERP, native(4)] {
            assert_eq!(one, edges(ends, connect, place), "{connect} {place:?}");
        }
    }
}

#[test]
fn rules_that_draw_by_source_anyway_make_the_same_rows() {
    let cases = [
        ("A -> B", "fixed_outdegree(20)"),
        ("A -> A", "fixed_outdegree(150) with autapses"),
        ("A -> A[3 .. 150]", "fixed_outdegree(40) with multapses"),
        ("A[.. 20] -> A", "all_to_all where pre < post"),
        ("A[.. 20] -> B", "bernoulli(1 / (1 + abs(pre - post)))"),
    ];
    for (ends, connect) in cases {
        let kept = format!("{connect} procedural");
        let edges = |connect: &str| wired((A, B), ends, connect, "1").run(native(2)).engine.edges(0);
        assert_eq!(edges(connect), edges(&kept), "{connect}");
    }
}

#[test]
fn bernoulli_rows_give_binomial_degrees() {
    for p in [0.02, 0.2, 0.6] {
        let edges = edges("A -> B", &format!("bernoulli({p}) procedural"), native(2));
        assert!(edges.windows(2).all(|e| e[0] < e[1]), "a pair has one synapse at most");
        let (a, b) = (A as f64, B as f64);
        let pairs = a * b;
        // Four standard deviations of a binomial number.
        assert!((edges.len() as f64 - p * pairs).abs() < 4.0 * (p * (1.0 - p) * pairs).sqrt());
        for (degrees, others) in [(degrees(&edges, B, |e| e.1), a), (degrees(&edges, A, |e| e.0), b)] {
            let (n, variance) = (degrees.len() as f64, others * p * (1.0 - p));
            let mean = degrees.iter().sum::<f64>() / n;
            assert!((mean - others * p).abs() < 4.0 * (variance / n).sqrt(), "mean {mean} at {p}");
            let spread = degrees.iter().map(|d| (d - others * p).powi(2)).sum::<f64>() / n;
            // The variance of a mean of squares of nearly normal numbers.
            let error = variance * ((2.0 + 1.0 / variance) / n).sqrt();
            assert!((spread - variance).abs() < 4.0 * error, "variance {spread}, expected {variance} at {p}");
        }
    }
}

#[test]
fn weights_and_delays_have_the_moments_of_their_distributions() {
    let text = [
        COUNTER,
        "network Drawn {
    population A[40]: Counter
    population B[500]: Counter
    projection of_normal: A -> B { connect all_to_all procedural  weight normal(3, 0.5)  delay 1 ms }
    projection of_uniform: A -> B { connect all_to_all procedural  weight uniform(1, 7)  delay 1 ms }
}
experiment Short of Drawn { simulate 1 ms }
",
    ]
    .concat();
    let lab = Lab::new(&text);
    let mut ran = lab.run(native(2));
    for (projection, mean, variance) in [(0, 3.0, 0.25), (1, 4.0, 3.0)] {
        let weights = ran.engine.weights(projection);
        let n = weights.len() as f64;
        assert_eq!(n, 20_000.0);
        let found = weights.iter().sum::<f64>() / n;
        assert!((found - mean).abs() < 4.0 * (variance / n).sqrt(), "{found}");
        let spread = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
        // Normal: the fourth central moment is 3 variance^2; less for uniform numbers.
        assert!((spread - variance).abs() < 4.0 * variance * (2.0 / n).sqrt(), "{spread}");
    }
}

#[test]
fn spikes_arrive_over_the_synapses_that_are_read() {
    let text = [
        "use std.sources.SpikeTimes\n",
        COUNTER,
        "network Told {
    source A[30]: SpikeTimes(times = [2 ms, 3 ms])
    population B[1100]: Counter
    projection A -> B { connect bernoulli(0.4) procedural  weight uniform(0, 8)  delay uniform(1 ms, 4 ms) }
}
experiment Short of Told { simulate 10 ms }
",
    ]
    .concat();
    for place in [INTERP, native(1), native(5)] {
        let lab = Lab::new(&text);
        let mut ran = lab.run(place);
        let (edges, weights) = (ran.engine.edges(0), ran.engine.weights(0));
        let mut expected = vec![0.0; 1100];
        edges.iter().zip(&weights).for_each(|((_, post), w)| expected[*post as usize] += 2.0 * w);
        let found = ran.state("B", "n");
        // Sums of some 24 numbers in another order.
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-10));
        assert_eq!(ran.outcome.synaptic_events, 2 * edges.len() as u64);
        // Where pairs are drawn one by one, the expected number is reported.
        assert_eq!(ran.outcome.synapses, 13_200);
    }
}

#[test]
fn a_weight_that_is_no_number_is_found_when_the_network_is_built() {
    let text = [
        COUNTER,
        "network Broken {
    population A[600]: Counter
    population B[50]: Counter
    projection A -> B { connect all_to_all procedural  weight 1 / (pre - 431)  delay 1 ms }
}
experiment Short of Broken { simulate 1 ms }
",
    ]
    .concat();
    let lab = Lab::new(&text);
    for place in [INTERP, native(1), native(2)] {
        let ran = crate::lab::run(lab.unit(), &lab.job.points[0], 1, place, false);
        let message = ran.err().unwrap_or_default();
        assert!(message.contains("the weight of the synapse from A[431] to B[0]: it is inf"), "{place:?}: {message}");
    }
}
