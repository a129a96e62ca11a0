//! The mean-field prediction against runs, and what the command line prints of it.

use crate::common::fresh_root;
use crate::lab::{Lab, NATIVE};
use nsm::driver;
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
    assert!(text.contains("6.52"), "{text}");
    let text = nsmc(&["check", "examples/brunel.nsm", "--budget"]);
    assert!(text.contains("E->E.syn") && text.contains("1.564e7"), "{text}");
}

#[test]
fn run_prints_it_beside_what_was_measured() {
    let text = nsmc(&["run", "examples/cuba.nsm", "--for", "100 ms", "--balance", "--set", "n=1000"]);
    let table = text.split("expected rate").nth(1).unwrap_or_else(|| panic!("no table in {text}"));
    assert!(table.contains("measured") && table.matches("Hz").count() >= 4, "{text}");
}

/// Cells that only filter noise: theory is exact but for the size of a jump (diffusion approximation) and the step.
#[test]
fn predicted_rates_are_those_of_runs() {
    for (cell, receptor, weight, tolerance) in [
        // Jumps of a hundredth of the threshold and steps of a two-hundredth of tau: some percent.
        ("LifDelta", "syn", "0.2 mV", 0.06),
        // To first order in sqrt(tau_s / tau) = 0.22.
        ("LifExp(tau_m = 20 ms, tau_exc = 1 ms)", "exc", "37.5 pA", 0.12),
    ] {
        let text = format!(
            "use std.neurons.{}\nuse std.sources.Poisson\nnetwork A {{\n population E[400]: {cell}\n source d: Poisson(rate = {})\n \
             projection d -> E.{receptor} {{ weight {weight} }}\n}}\nexperiment X of A {{ record spikes of E; simulate 2 s }}\n",
            cell.split('(').next().unwrap(),
            if receptor == "syn" { "4.5 kHz" } else { "4.8 kHz" },
        );
        let lab = Lab::new(&text);
        let expected = driver::balance(&lab.job.units[0]).unwrap().populations[0].rate * 1e3;
        let run = lab.run(NATIVE);
        let measured = run.outcome.populations[0].rate_hz;
        assert!(expected > 2.0, "{cell}: {expected} Hz");
        assert!((measured - expected).abs() < tolerance * expected, "{cell}: {measured} Hz, expected {expected} Hz");
    }
}
