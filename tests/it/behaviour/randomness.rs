//! Moments of what is random, and what random numbers depend on.

use crate::lab::{INTERP, Lab, NATIVE, Ran, same_bits};

/// A cell that counts what arrives.
const COUNTER: &str = "use std.sources.Poisson
neuron Counter {
    state n = 0
    receptor syn(w: number) { n += w }
}
";

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let ((ma, va), (mb, vb)) = (moments(a), moments(b));
    let products = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>();
    products / (a.len() as f64 - 1.0) / (va * vb).sqrt()
}

#[track_caller]
fn within_four_errors(what: &str, found: f64, expected: f64, standard_error: f64) {
    let errors = (found - expected) / standard_error;
    assert!(
        errors.abs() < 4.0,
        "{what}: {found}, expected {expected}: {errors:.1} standard errors of {standard_error}"
    );
}

/// Counts that should be Poisson with mean `lambda`: the standard error of their mean is sqrt(lambda / n), that of their
/// variance sqrt((2 lambda^2 + lambda) / n), from the fourth central moment 3 lambda^2 + lambda.
#[track_caller]
fn is_poisson(what: &str, counts: &[f64], lambda: f64) {
    let n = counts.len() as f64;
    let (mean, variance) = moments(counts);
    within_four_errors(&format!("{what}, mean"), mean, lambda, (lambda / n).sqrt());
    within_four_errors(&format!("{what}, variance"), variance, lambda, ((2.0 * lambda * lambda + lambda) / n).sqrt());
}

#[test]
fn private_trains_have_the_counts_of_a_poisson_process() {
    let text = format!(
        "{COUNTER}
network Trains {{
    source slow: Poisson(rate = 20 Hz)
    source fast: Poisson(rate = 60 kHz)
    population P[2000]: Counter
    population Q[2000]: Counter
    population busy[400]: Counter
    projection slow -> P {{ weight 1 }}
    projection slow -> Q {{ weight 1 }}
    projection fast -> busy {{ weight 1 }}
}}
experiment Second of Trains {{
    record n of busy
    simulate 200 ms
}}
"
    );
    let lab = Lab::new(&text);
    for place in [NATIVE, INTERP] {
        let ran = lab.run(place);
        let (p, q) = (ran.state("P", "n"), ran.state("Q", "n"));
        is_poisson("20 Hz, 200 ms", &p, 4.0);
        is_poisson("the same source onto another population", &q, 4.0);
        // Each target has a train of its own. The standard error of a correlation of independent pairs is 1 / sqrt(n).
        within_four_errors("correlation of two projections", correlation(&p, &q), 0.0, 2000_f64.sqrt().recip());
        within_four_errors("correlation of neighbours", correlation(&p[1..], &p[..1999]), 0.0, 1999_f64.sqrt().recip());
        // Six in each step, on average. Nothing arrives in the first step: a spike of step 0 would have to be sent before.
        let total = &ran.trace("busy", "n").values;
        let counts: Vec<f64> = total.iter().zip(&total[400..]).map(|(before, after)| after - before).collect();
        is_poisson("60 kHz, one step", &counts, 6.0);
        let pairs = correlation(&counts[400..], &counts[..counts.len() - 400]);
        within_four_errors("correlation of two steps", pairs, 0.0, (counts.len() as f64).sqrt().recip());
    }
}

#[test]
fn a_rate_that_changes_is_followed_step_by_step() {
    let text = format!(
        "{COUNTER}
network Trains {{
    source switched: Poisson(rate = if t < 50 ms then 200 Hz else 0 Hz)
    population P[2000]: Counter
    projection switched -> P {{ weight 1 }}
}}
experiment Tenth of Trains {{
    record n of P[0]
    simulate 100 ms
}}
"
    );
    // 50 ms at 200 Hz, whatever the step.
    for dt in [0.1, 0.5] {
        let ran = Lab::in_steps(&text, dt);
        let ran = ran.run(NATIVE);
        is_poisson("200 Hz, 50 ms", &ran.state("P", "n"), 10.0);
        let n = ran.samples("P", "n", 0);
        let switched = (50.0 / dt).round() as usize;
        assert!(n[switched..].iter().all(|v| *v == n[switched]), "nothing comes after 50 ms and one step");
    }
}

#[test]
fn trains_of_a_sized_source_are_shared_and_bernoulli_in_each_step() {
    let text = format!(
        "{COUNTER}
network Trains {{
    source trains[1000]: Poisson(rate = 1 kHz)
    population P[2]: Counter
    projection trains -> P {{ connect all_to_all  weight 1  delay 1 ms }}
}}
experiment Tenth of Trains {{ record spikes of trains; simulate 100 ms }}
"
    );
    let lab = Lab::new(&text);
    let ran = lab.run(NATIVE);
    let spikes = ran.spikes("trains");
    // With the hazard 1 kHz a step of 0.1 ms has a spike with probability 1 - exp(-0.1), and never two.
    let p = -(-0.1_f64).exp_m1();
    let n = 1000.0 * 1000.0;
    within_four_errors("spikes", spikes.len() as f64, n * p, (n * p * (1.0 - p)).sqrt());
    let mut once = spikes.clone();
    once.dedup();
    assert_eq!(once.len(), spikes.len());
    let each: Vec<f64> = (0..1000).map(|k| spikes.iter().filter(|s| s.1 == k).count() as f64).collect();
    // Binomial: for 1000 steps the variance's own relative error is sqrt(2 / n), the correction to it below a tenth of that.
    let (_, variance) = moments(&each);
    let expected = 1000.0 * p * (1.0 - p);
    within_four_errors("variance of the counts", variance, expected, expected * (2.0 / 999.0_f64).sqrt());
    // Both targets get all of them, 1 ms later.
    let arrived = spikes.iter().filter(|s| s.0 + 10 <= 1000).count() as f64;
    assert_eq!(ran.state("P", "n"), [arrived, arrived]);
}

#[test]
fn noise_has_the_stationary_moments_and_the_correlation_time_of_its_process() {
    let text = "use std.neurons.LifCuba
network Noisy { population P[4000]: LifCuba(sigma = 2 mV, V_th = 1 V) }
experiment Long of Noisy {
    record V of P every 10 ms
    simulate 240 ms
}
";
    // The exact covariance is used, so the step does not matter.
    for dt in [0.1, 1.0] {
        let lab = Lab::in_steps(text, dt);
        let ran = lab.run(NATIVE);
        let log = ran.trace("P", "V");
        let n = 4000.0;
        let at = |ms: f64| {
            let row = log.steps.iter().position(|s| *s == (ms / dt).round() as u64).expect("a sample every 10 ms");
            &log.values[row * 4000..(row + 1) * 4000]
        };
        // Ten time constants after the start, what is missing of the variance is exp(-20).
        for ms in [200.0, 240.0] {
            let (mean, variance) = moments(at(ms));
            within_four_errors("mean", mean, -70.0, 2.0 / f64::sqrt(n));
            within_four_errors("variance", variance, 4.0, 4.0 * f64::sqrt(2.0 / n));
        }
        // Soon after the start: 4 mV^2 (1 - exp(-2 t / tau)).
        let early = 4.0 * -(-1.0_f64).exp_m1();
        within_four_errors("variance after 10 ms", moments(at(10.0)).1, early, early * f64::sqrt(2.0 / n));
        // Over cells, two times L apart have the correlation exp(-L / tau); its standard error is (1 - r^2) / sqrt(n).
        for lag in [10.0, 20.0, 40.0] {
            let expected = f64::exp(-lag / 20.0);
            let found = correlation(at(200.0), at(200.0 + lag));
            let what = format!("correlation over {lag} ms at dt {dt} ms");
            within_four_errors(&what, found, expected, (1.0 - expected * expected) / f64::sqrt(n));
        }
        let neighbours = correlation(&at(200.0)[1..], &at(200.0)[..3999]);
        within_four_errors("correlation of neighbours", neighbours, 0.0, f64::sqrt(n).recip());
    }
}

/// A small network in which everything is random, with room for declarations before and after it.
fn busy(before: &str, after: &str) -> String {
    format!(
        "use std.neurons.(LifCuba, LifDelta)
use std.sources.Poisson
network Busy {{
    {before}
    population E[80]: LifCuba(sigma = 2 mV, bias = 18 mV, V = uniform(-70 mV, -50 mV))
    population I[20]: LifCuba(sigma = 2 mV, bias = 15 mV, tau_m = normal(15 ms, 1 ms))
    source trains[10]: Poisson(rate = 200 Hz)
    source private: Poisson(rate = 500 Hz)
    projection E -> (E.exc, I.exc) {{ connect bernoulli(0.1)  weight uniform(0.1 mV, 0.9 mV)  delay uniform(1 ms, 5 ms) }}
    projection I -> (E.inh, I.inh) {{ connect fixed_indegree(5)  weight -1 mV  delay 1 ms }}
    projection trains -> E.exc {{ connect fixed_total_number(40)  weight 2 mV  delay 1 ms }}
    projection private -> E.exc {{ weight 1 mV }}
    {after}
}}
experiment Go of Busy {{ simulate 100 ms }}
"
    )
}

/// Step and neuron of every spike.
type Spikes = Vec<(u64, u32)>;

/// Everything that a run did to the two populations of [`busy`].
fn fate(ran: &Ran) -> (Spikes, Spikes, Vec<f64>) {
    let states = ["V", "I_exc", "I_inh"].iter().flat_map(|s| [ran.state("E", s), ran.state("I", s)].concat()).collect();
    (ran.spikes("E"), ran.spikes("I"), states)
}

#[test]
fn a_seed_decides_everything() {
    let lab = Lab::new(&busy("", ""));
    let runs: Vec<_> = [7, 7, 8].iter().map(|seed| fate(&lab.run_seed(NATIVE, *seed))).collect();
    assert!(runs[0].0.len() > 50, "{} spikes", runs[0].0.len());
    assert_eq!(runs[0].0, runs[1].0);
    assert_eq!(runs[0].1, runs[1].1);
    assert!(same_bits(&runs[0].2, &runs[1].2));
    assert_ne!(runs[0].0, runs[2].0);
    assert_ne!(runs[0].1, runs[2].1);
    // No voltage of the one run appears in the other, but for that of cells which are held.
    let voltages = |fate: &(Vec<_>, Vec<_>, Vec<f64>)| fate.2[..100].to_vec();
    let pairs = voltages(&runs[0]).into_iter().zip(voltages(&runs[2]));
    assert!(pairs.filter(|(a, _)| *a != -60.0).all(|(a, b)| a != b));
    // The wiring differs too.
    let weights = |seed| lab.run_seed(NATIVE, seed).engine.weights(0);
    assert!(same_bits(&weights(7), &weights(7)));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn what_is_added_to_a_circuit_changes_nothing_in_the_rest() {
    let more = "population X[30]: LifCuba(sigma = 1 mV, bias = 22 mV, V = normal(-65 mV, 2 mV))
    source extra: Poisson(rate = 1 kHz)
    source ticks[7]: Poisson(rate = 100 Hz)
    projection extra -> X.exc { weight 0.5 mV }
    projection ticks -> X.exc { connect bernoulli(0.5)  weight 1 mV  delay 1 ms }
    projection X -> X.inh { connect bernoulli(0.2)  weight -0.1 mV  delay uniform(1 ms, 20 ms) }";
    let alone = Lab::new(&busy("", ""));
    for (before, after) in [(more, ""), ("", more)] {
        let together = Lab::new(&busy(before, after));
        for place in [NATIVE, INTERP] {
            let (a, ran) = (fate(&alone.run(place)), together.run(place));
            let b = fate(&ran);
            assert!(!ran.spikes("X").is_empty());
            assert_eq!(a.0, b.0);
            assert_eq!(a.1, b.1);
            assert!(same_bits(&a.2, &b.2));
        }
    }
    // A population that E sends to, but that sends nothing back.
    let listener = format!("{more}\n    projection E -> X.exc {{ connect all_to_all  weight 0.1 mV  delay 0.1 ms }}");
    let heard = Lab::new(&busy("", &listener));
    let (a, b) = (fate(&alone.run(NATIVE)), fate(&heard.run(NATIVE)));
    assert_eq!(a.0, b.0);
    assert!(same_bits(&a.2, &b.2));
}

#[test]
fn each_use_of_a_region_and_each_turn_of_a_loop_draws_its_own_tables() {
    let lab = Lab::new(
        "neuron Cell { state V = 0; state U = 0; input I: number; U' = I / 1 ms; receptor syn(w: number) { V += w } }
region Box {
    let code[m: 5] = uniform(0, 1)
    let one = uniform(0, 1)
    population P[5]: Cell(V = code[index])
    population Q[5]: Cell(V = one)
}
network Net {
    region a: Box
    region b: Box
    source train[3]: Train
    population E[3]: Cell
    for k in 0 .. 3 {
        let r = uniform(0, 1) + 10 * k
        projection train[k] -> E[k] { connect all_to_all  weight r  delay 1 ms }
        drive E[k].I = r
    }
}
source Train { spike at 10 Hz }
experiment Look of Net { simulate 10 ms }
",
    );
    for place in [NATIVE, INTERP] {
        let ran = lab.run(place);
        let [a, b] = ["a.P", "b.P"].map(|p| ran.state(p, "V"));
        assert!(a.iter().zip(&b).all(|(x, y)| x != y), "{a:?} {b:?}");
        let [a, b] = ["a.Q", "b.Q"].map(|p| ran.state(p, "V"));
        assert!(a[0] != b[0] && a.iter().all(|x| *x == a[0]), "{a:?} {b:?}");
        // The weight and the drive of a turn are one number, which follows the loop's variable: `U` comes to 10 times that.
        let drawn: Vec<f64> = ran.state("E", "U").iter().map(|u| u / 10.0).collect();
        for (k, r) in drawn.iter().enumerate() {
            let below = 10.0 * k as f64;
            assert!(*r >= below && *r < below + 1.0, "{drawn:?}");
        }
        assert!((drawn[1] - 10.0 - drawn[0]).abs() > 1e-6 && (drawn[2] - 20.0 - drawn[0]).abs() > 1e-6, "{drawn:?}");
    }
}

#[test]
fn draws_of_an_experiment_do_not_depend_on_the_circuit() {
    let text = |more: &str| {
        format!(
            "use std.neurons.LifCuba
network Any {{ {more} population P[2]: LifCuba }}
experiment Draws of Any {{
    for k in 0 .. 5 {{ set P.I = normal(0 mV, 1 mV); simulate 1 ms }}
}}
"
        )
    };
    let (few, many) = (Lab::new(&text("")), Lab::new(&text("population X[3]: LifCuba(V = normal(-65 mV, 2 mV))")));
    let (a, b) = (few.run(NATIVE).state("P", "V"), many.run(NATIVE).state("P", "V"));
    assert!(a[0] != -70.0 && same_bits(&a, &b), "{a:?} and {b:?}");
}
