//! The mean-field prediction against runs, and what the command line prints of it.

use crate::common::fresh_root;
use crate::lab::{Files, Lab, NATIVE};
use nsm::driver::{self, Expected, Options, Prediction, Treatment};
use nsm::meanfield::siegert;
use std::process::Command;

fn nsmc(args: &[&str]) -> String {
    let out =
        Command::new(env!("CARGO_BIN_EXE_nsmc")).args(args).current_dir(fresh_root()).output().expect("nsmc starts");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn check_prints_the_table() {
    let text = nsmc(&["check", "examples/brunel.nsm", "--balance"]);
    for part in ["E input", "I input", "37.95 Hz", "115.9 mV"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = nsmc(&["check", "examples/brunel.nsm", "--balance", "--set", "g=4.5", "--set", "eta=0.9"]);
    assert!(text.contains("6.517 Hz"), "{text}");
    let text = nsmc(&["check", "examples/brunel.nsm", "--budget"]);
    assert!(text.contains("E->E.syn") && text.contains("1.564e7"), "{text}");
}

#[test]
fn run_prints_it_beside_what_was_measured() {
    let text = nsmc(&["run", "examples/cuba.nsm", "--for", "100 ms", "--balance", "--set", "n=1000"]);
    let table = text.split("expected rate").nth(1).unwrap_or_else(|| panic!("no table in {text}"));
    assert!(table.contains("measured") && table.matches("Hz").count() >= 4, "{text}");
}

/// Cells that only filter noise, their mean input above threshold. Theory leaves out the size of a jump and that the threshold is
/// looked at once a step (both lift it by about half a jump: some percent of the rate here), and takes sqrt(tau_s / tau) = 0.22 to
/// first order.
#[test]
fn predicted_rates_are_those_of_runs() {
    for (model, args, receptor, weight, tolerance) in
        [("LifDelta", "", "syn", "0.2 mV", 0.06), ("LifExp", "(tau_m = 20 ms, tau_exc = 1 ms)", "exc", "37.5 pA", 0.12)]
    {
        let text = format!(
            "use std.neurons.{model}\nuse std.sources.Poisson\nnetwork A {{\n population E[400]: {model}{args}\n source d: \
             Poisson(rate = 6 kHz)\n projection d -> E.{receptor} {{ weight {weight} }}\n}}\nexperiment X of A {{ record spikes of E; \
             simulate 1 s }}\n"
        );
        let lab = Lab::new(&text);
        let expected = driver::balance(lab.unit()).unwrap().populations[0].rate * 1e3;
        let run = lab.run(NATIVE);
        let measured = run.outcome.populations[0].rate_hz;
        assert!(expected > 10.0, "{model}: {expected} Hz");
        assert!((measured - expected).abs() < tolerance * expected, "{model}: {measured} Hz, expected {expected} Hz");
    }
}

fn predicted(text: &str, set: &[(&str, &str)]) -> Prediction {
    let set = set.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    let lab = Lab::of(&Files::new(text), &Options { set, ..Options::default() });
    driver::balance(lab.unit()).unwrap()
}

fn hz(p: &Prediction, path: &str) -> f64 {
    of(p, path).rate * 1e3
}

/// Columns that are alike are solved for once; those that differ by a billionth are solved for by themselves, to the same rates but for
/// what that makes of them.
#[test]
fn columns_alike_have_the_rates_that_they_have_by_themselves() {
    let rates = |shift: &str, closed: &str| -> Vec<f64> {
        let text = format!(
            "use std.neurons.LifCuba\nregion Column {{\n param shift = 0 mV\n population E[80]: LifCuba(bias = 14 mV + shift, sigma = 2.5 mV)\n \
             population I[20]: LifCuba(bias = 14 mV, sigma = 2.5 mV)\n projection E -> I.exc {{ connect bernoulli(0.1) weight 0.6 mV delay 1 ms \
             }}\n projection I -> E.inh {{ connect bernoulli(0.2) weight -1.5 mV delay 1 ms }}\n port input fibres = E.exc weight 0.4 mV\n \
             port output out = E\n}}\nnetwork Row {{\n param n = 6\n region c[k: n]: Column(shift = {shift})\n for k in 0 .. n {{\n if k < n \
             - 1 {{ projection c[k].out -> c[k + 1].fibres {{ connect bernoulli(0.5) weight 0.4 mV delay 2 ms }} }}\n {closed}\n }}\n}}\n\
             experiment X of Row {{ simulate 1 s }}\n"
        );
        let p = predicted(&text, &[]);
        (0..6).map(|k| hz(&p, &format!("c[{k}].E"))).collect()
    };
    let close = "else { projection c[k].out -> c[0].fibres { connect bernoulli(0.5) weight 0.4 mV delay 2 ms } }";
    for closed in [close, ""] {
        let (alike, apart) = (rates("0 mV", closed), rates("1e-9 mV * k", closed));
        assert!(alike.iter().all(|r| *r > 1.0), "{alike:?}");
        // Picovolts, where a millivolt is worth some Hz.
        assert!(alike.iter().zip(&apart).all(|(a, b)| (a - b).abs() < 1e-6 * a), "{alike:?} {apart:?}");
        match closed.is_empty() {
            true => assert!(alike[0] < alike[1] && alike[1] < alike[2], "{alike:?}"),
            false => assert!(alike.iter().all(|r| *r == alike[0]) && alike != apart, "{alike:?} {apart:?}"),
        }
    }
}

/// Brunel (2000), model A: the roots of the self-consistent equation in three of its states.
#[test]
fn brunel_s_network_has_the_rates_of_its_theory() {
    let text = include_str!("../../examples/brunel.nsm");
    for (set, want) in
        [(&[][..], 37.95), (&[("g", "6"), ("eta", "4")][..], 55.84), (&[("g", "4.5"), ("eta", "0.9")][..], 6.52)]
    {
        let p = predicted(text, set);
        assert!(p.solved && p.stationary);
        for path in ["E", "I"] {
            // The roots are given to four digits.
            assert!((hz(&p, path) - want).abs() < 1e-3 * want, "{set:?}: {} Hz, not {want}", hz(&p, path));
        }
    }
}

fn of<'p>(p: &'p Prediction, path: &str) -> &'p Expected {
    p.populations.iter().find(|e| e.path == path).unwrap()
}

fn close(a: f64, b: f64, relative: f64) {
    assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
}

fn driven(model: &str, receptor: &str, weight: &str, rate: &str) -> String {
    let name = model.split('(').next().unwrap_or(model);
    format!(
        "use std.neurons.{name}\nuse std.sources.Poisson\nnetwork A {{\n population E[100]: {model}\n source d: Poisson(rate = \
         {rate})\n projection d -> E.{receptor} {{ weight {weight} }}\n}}\n"
    )
}

/// Mean, noise and rate of each kind of synapse against the formulas of its equations. A step adds errors of the order of
/// (dt / tau_s)^2 / 24, here 1e-4.
#[test]
fn every_kind_of_current_synapse_is_what_its_formula_says() {
    let cell = siegert::Threshold { theta: -55.0, reset: -70.0, t_ref: 2.0 };
    let (tau, c, nu, w, tau_s) = (10.0, 250.0, 8.0, 60.0, 2.0);
    // Exponential: the charge of a spike is w tau_s. Alpha: w e tau_s, with twice the correlation time.
    for (model, charge, lasts) in
        [("LifExp", w * tau_s, tau_s), ("LifAlpha", w * tau_s * std::f64::consts::E, 2.0 * tau_s)]
    {
        let w = if model == "LifAlpha" { w / 2.0 } else { w };
        let charge = if model == "LifAlpha" { charge / 2.0 } else { charge };
        let p = predicted(&driven(model, "exc", &format!("{w} pA"), "8 kHz"), &[]);
        let e = of(&p, "E");
        let mu = -70.0 + tau / c * charge * nu;
        let sigma = (tau * (charge / c).powi(2) * nu).sqrt();
        close(e.mu, mu, 1e-3);
        close(e.sigma, sigma, 1e-3);
        close(e.excitation, mu + 70.0, 1e-3);
        assert_eq!(e.inhibition, 0.0);
        let filter = siegert::ALPHA / 2.0 * (lasts / tau).sqrt();
        close(e.rate, siegert::rate(cell, e.mu, e.sigma, tau, filter), 1e-2);
    }
}

/// Conductances: the effective time constant and the mean voltage (Kuhn et al. 2004).
#[test]
fn conductances_shorten_the_time_constant_and_pull_the_voltage() {
    let text = driven("LifCondExp(tau_exc = 2 ms)", "exc", "0.5 nS", "4 kHz");
    let p = predicted(&text, &[]);
    let e = of(&p, "E");
    let g = 0.5 * 2.0 * 4.0;
    let total = 16.6667 + g;
    let mu = (16.6667 * -70.0) / total;
    close(e.mu, mu, 1e-3);
    // Charge of a spike at that voltage.
    let (tau, area) = (250.0 / total, 0.5 * 2.0 * (0.0 - mu) / 250.0);
    close(e.sigma, (tau * area * area * 4.0).sqrt(), 2e-3);
    close(e.excitation, g * (0.0 - mu) / total, 2e-3);
}

/// The stationary deviation of the model's own noise, and the convention that sigma^2 is twice the variance.
#[test]
fn noise_of_the_equation_counts() {
    let text = "use std.neurons.LifCuba\nnetwork A { population E[10]: LifCuba(sigma = 3 mV, bias = 10 mV) }";
    let p = predicted(text, &[]);
    let e = of(&p, "E");
    close(e.sigma, 3.0 * 2.0_f64.sqrt(), 1e-9);
    close(e.mu, -60.0, 1e-9);
    assert!(e.rate > 0.0 && !e.silent);
}

#[test]
fn adaptation_lowers_the_rate_by_its_mean() {
    let text = |b: &str| {
        format!(
            "neuron A {{ param tau = 20 ms, tau_w = 100 ms, b = {b}\n state V = 0 mV, w = 0 mV\n V' = (30 mV - V - w) / tau\n \
             w' = -w / tau_w\n spike when V >= 20 mV {{ V = 10 mV; w += b }}\n}}\nnetwork N {{ population E[1]: A }}"
        )
    };
    let (free, adapted) = (predicted(&text("0 mV"), &[]), predicted(&text("0.5 mV"), &[]));
    let (free, adapted) = (of(&free, "E"), of(&adapted, "E"));
    close(free.rate, 1.0 / (20.0 * 2.0_f64.ln()), 1e-9);
    // A jump of b per spike that decays with tau_w: b tau_w rate on average.
    close(adapted.mu, 30.0 - 0.5 * 100.0 * adapted.rate, 1e-3);
    assert!(adapted.rate < 0.8 * free.rate);
}

/// Parts of populations, `where`, clocks: the same mean input by four ways of writing it.
#[test]
fn rules_and_parts_give_the_same_number_of_synapses() {
    let cells = "use std.neurons.LifDelta\nuse std.sources.Regular\nnetwork A {\n source c[k: 4, n: 15]: Regular(interval = 10 ms)\n \
                 population E[k: 4, n: 10]: LifDelta\n";
    for projection in [
        "projection c -> E { connect all_to_all where pre.k == post.k  weight 0.05 mV  delay 1 ms }",
        "for j in 0 .. 4 { projection c[j] -> E[j] { connect fixed_indegree(15)  weight 0.05 mV  delay 1 ms } }",
        "projection c -> E { connect bernoulli(0.25)  weight 0.05 mV  delay 1 ms }",
        "projection c -> E { connect fixed_total_number(600)  weight 0.05 mV  delay 1 ms }",
    ] {
        let p = predicted(&format!("{cells}{projection}\n}}"), &[]);
        // 15 inputs at 100 Hz, 20 ms of memory.
        close(of(&p, "c").rate, 0.1, 1e-3);
        close(of(&p, "E").excitation, 15.0 * 0.1 * 0.05 * 20.0, 1e-2);
    }
}

#[test]
fn drawn_weights_enter_with_mean_and_mean_square() {
    let text = "use std.neurons.LifDelta\nuse std.sources.Poisson\nnetwork A {\n source c[100]: Poisson(rate = 10 Hz)\n \
                population E[50]: LifDelta { mixed }\n population F[50]: LifDelta\n projection c -> F { connect all_to_all  weight \
                normal(0.1 mV, 0.2 mV)  delay 1 ms }\n}";
    let p = predicted(text, &[]);
    let f = of(&p, "F");
    // 2500 draws: a mean is off by 0.2 / 50, a mean square by sqrt(2) 0.05 / 50; five times that.
    let (mean, square) = (0.1, 0.2_f64.powi(2) + 0.1_f64.powi(2));
    close(f.excitation + f.inhibition, mean * 20.0, 5.0 * 0.2 / 50.0 / mean);
    close(f.sigma, (20.0 * square).sqrt(), 0.1);
    assert!(f.inhibition < 0.0);
}

#[test]
fn what_has_no_rate_says_why_and_hides_what_it_reaches() {
    let text = "use std.neurons.(Izhikevich, LifDelta)\nnetwork A {\n population X[10]: Izhikevich\n population E[10]: LifDelta\n \
                population F[10]: LifDelta(bias = 30 mV)\n projection X -> E { connect all_to_all  weight 1 mV  delay 1 ms }\n}";
    let p = predicted(text, &[]);
    let why = |path: &str| match &of(&p, path).treatment {
        Treatment::Unknown(why) => why.clone(),
        other => format!("{other:?}"),
    };
    assert!(why("X").contains("`u`"), "{}", why("X"));
    assert!(why("E").contains("not known"), "{}", why("E"));
    assert!(of(&p, "E").rate.is_nan() && of(&p, "F").rate > 0.0);
}

/// Strong recurrent excitation: silence and a fast state both agree with themselves.
#[test]
fn a_second_state_is_found() {
    let text = "use std.neurons.LifDelta\nnetwork A {\n population E[1000]: LifDelta\n projection E -> E { connect \
                fixed_indegree(100)  weight 0.5 mV  delay 1 ms }\n}";
    let p = predicted(text, &[]);
    let e = of(&p, "E");
    assert_eq!(e.rate, 0.0);
    assert!(e.other.is_some_and(|r| r > 0.1), "{:?}", e.other);
    assert!(e.silent);
}
