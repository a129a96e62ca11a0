//! Circuits on the chip beside the same circuits on this machine, and what of quantising spoils a rate.

use super::program::{run, text, write};
use serde_json::Value;
use std::path::Path;

/// A package of a file, run beside this machine: its populations as the summary has them.
fn populations(file: &str, folder: &Path) -> Vec<Value> {
    let package = folder.join("circuit.nsmpkg").to_string_lossy().into_owned();
    let out = run(&["compile", file, "--target", "loihi2", "-o", &package]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let out = run(&["run", &package, "--backend", "loihi2", "--against", "native", "--summary", "json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let summary: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let list = summary["beside"]["populations"].as_array().expect("populations").clone();
    assert!(!list.is_empty(), "{file}");
    list
}

/// Rates within 5 %, as the issue asks; trains are correlated where both sides hear the same.
#[test]
fn rates_are_those_of_this_machine_and_trains_go_together() {
    let folder = tempfile::tempdir().expect("a folder");
    // The least correlation of cells. A spike may move by one step, out of its bin in one of five cases. What a cell without input is
    // off in one interval adds up over the next ones, and through feedback such shifts grow until only what the trains dictate is the
    // same.
    for (name, least) in [("chip_forward", 0.9), ("chip_adapting", 0.3), ("chip_recurrent", 0.3)] {
        for p in populations(&format!("tests/corpus/ok/circuits/{name}.nsm"), folder.path()) {
            let number = |key: &str| p[key].as_f64().unwrap_or_else(|| panic!("{name}: {key} of {p}"));
            let (chip, here) = (number("chip_hz"), number("here_hz"));
            // Without noise, and 28 spikes at least: 5 % are more than the one at the end that may be there or not.
            assert!(here > 0.0 && (chip / here - 1.0).abs() <= 0.05, "{name}: {p}");
            assert!(number("cells") >= least, "{name}: {p}");
            assert!(number("together").abs() <= 1.0 + 1e-9, "{name}: {p}");
        }
    }
}

const HEAD: &str = "use std.neurons.LifExp\nuse std.sources.Regular\n";

/// What `--quantise report` says of a circuit.
fn report(folder: &Path, circuit: &str) -> String {
    let file = write(folder, "circuit.nsm", circuit);
    let package = folder.join("circuit.nsmpkg").to_string_lossy().into_owned();
    let out = run(&["compile", &file, "--target", "loihi2", "-o", &package, "--quantise", "report"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    text(&out)
}

/// Three hundred weak synapses beside one that is 600 times as strong: 8 bits hold the strong one alone.
#[test]
fn weights_that_8_bits_lose_are_named_where_they_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let circuit = |strongest: &str| {
        format!(
            "{HEAD}
network Beside {{
    dt 1 ms
    source trains[k: 300]: Regular(interval = 20 ms, start = 1 ms + k * 0.06 ms)
    population cell[n: 10]: LifExp
    population other[10]: LifExp
    projection weak: trains -> cell.exc {{
        connect all_to_all
        weight if pre.k == 0 and post.n == 9 then {strongest} else 25 pA
        delay 1 ms
    }}
    projection trains -> other.exc {{ connect all_to_all  weight 25 pA  delay 1 ms }}
}}
experiment Run of Beside {{
    simulate 1 s
}}
"
        )
    };
    let spoilt = report(folder.path(), &circuit("15 nA"));
    assert!(spoilt.contains("`cell` fires -"), "{spoilt}");
    assert!(spoilt.contains("by the weights of `weak`: 2999 of 3000 became 0"), "{spoilt}");
    assert!(spoilt.contains("circuit.nsm:9:"), "{spoilt}");
    assert!(!spoilt.contains("`other` fires"), "{spoilt}");
    let fine = report(folder.path(), &circuit("50 pA"));
    assert!(fine.contains("no rate changes by more than 5 %"), "{fine}");
}

/// A state that lasts for minutes loses more to cut-off products than it takes to fire. It has a wider word, but where synapses reach it.
#[test]
fn a_state_that_decays_too_slowly_is_named_with_its_population() {
    let folder = tempfile::tempdir().expect("a folder");
    let circuit = |tau: &str, receptor: &str| {
        format!(
            "neuron Slow {{
    param tau = {tau}, drive = 14 mV
    state V = 0 mV, a = 0 mV
    V' = (drive - a - V) / (20 ms)
    a' = -a / tau
    {receptor}
    spike when V >= 10 mV {{ V = 0 mV  a += 0.1 mV }}
}}
network Tired {{
    dt 1 ms
    population cell[8]: Slow(drive = uniform(13.5 mV, 14.5 mV))
}}
experiment Run of Tired {{
    simulate 60 s
}}
"
        )
    };
    let spoilt = report(folder.path(), &circuit("1000 s", "receptor tire(w: voltage) { a += w }"));
    assert!(spoilt.contains("`cell` fires") && spoilt.contains("by `a` of `cell`, which may be off by"), "{spoilt}");
    assert!(spoilt.contains("circuit.nsm:11:16"), "{spoilt}");
    let mut bytes = vec![];
    for tau in ["200 ms", "10 s", "1000 s"] {
        let fine = report(folder.path(), &circuit(tau, ""));
        assert!(fine.contains("no rate changes by more than 5 %"), "{fine}");
        // Operations, then bytes.
        let row = fine.split_once("cell Slow ").and_then(|(_, row)| row.split(' ').nth(1));
        bytes.push(row.and_then(|bytes| bytes.parse::<u32>().ok()).expect("bytes of a cell"));
    }
    assert_eq!([bytes[1], bytes[2]], [bytes[0] + 1; 2], "a byte more for `a`");
}

const CHAIN: &str = "use std.sources.Regular
neuron Delayed {
    param tau = 20 ms
    state V = 0 mV, a = 0 mV, b = 0 mV, c = 0 mV, d = 0 mV
    a' = -a / tau
    b' = (a - b) / tau
    c' = (b - c) / tau
    d' = (c - d) / tau
    V' = (d - V) / (10 ms)
    receptor exc(w: voltage) { a += w }
    spike when V >= 10 mV { V = 0 mV }
}
network Chain {
    dt 1 ms
    source train[1]: Regular(interval = 20 ms)
    population cell[20]: Delayed(tau = uniform(20 ms, 60 ms))
    projection train -> cell.exc { connect all_to_all  weight WEIGHT  delay 1 ms }
}
experiment Run of Chain {
    simulate 2 s
}
";

/// The first state of a chain does next to nothing to the last one in a step, and all of it in the end.
#[test]
fn synapses_onto_a_chain_of_states_keep_their_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let fine = report(folder.path(), &CHAIN.replace("WEIGHT", "12 mV"));
    assert!(fine.contains("no rate changes by more than 5 %"), "{fine}");
    let hz = fine.split("steps (").nth(1).and_then(|t| t.split(" cell ").nth(1)).expect("a row of rates");
    assert!(hz.split_whitespace().next().and_then(|n| n.parse().ok()).is_some_and(|n: f64| n > 1.0), "{fine}");
    // Far below what one integer of the state is worth.
    let file = write(folder.path(), "weak.nsm", &CHAIN.replace("WEIGHT", "1e-9 mV"));
    let package = folder.path().join("weak.nsmpkg").to_string_lossy().into_owned();
    let out = run(&["compile", &file, "--target", "loihi2", "-o", &package]);
    let said = text(&out);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("E1106") && said.contains("weak.nsm:17:") && said.contains("all become 0"), "{said}");
    assert!(said.contains("larger weights, or remove the projection"), "{said}");
}
