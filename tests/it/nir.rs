//! NIR: what is written is read back and does the same, what can't be written is told, what is damaged is refused.
//!
//! The reference is the `nir` package: `pip install nir==1.0.8`, then
//! `NSM_PYTHON=python cargo test --test it nir_package -- --ignored`.

use crate::common::fresh_root;
use crate::lab::{Files, INTERP, Lab};
use nsm::driver::{self, Options, Outcome, Target};
use nsm::nir::graph::{Graph, Node, Tensor};
use nsm::nir::{hdf5, read, text, write};
use std::path::Path;
use std::process::{Command, Output};

const TRAINS: &str = "[[5 ms, 9 ms, 14 ms, 15 ms, 16.5 ms], [6 ms, 7.3 ms, 20 ms], [1 ms, 2 ms, 3 ms, 4 ms, 33 ms]]";

/// Every kind of cell with a counterpart, cells that differ, delays that differ, both signs, a loop.
fn circuit() -> String {
    format!(
        "use std.neurons.LifDelta
use std.neurons.LifCuba
use std.neurons.LifExp
use std.sources.SpikeTimes
neuron Sum {{
    param V_th = 30 mV
    state V = 0 mV
    receptor syn(w: voltage) {{ V += w }}
    spike when V > V_th {{ V = 0 mV }}
}}
neuron Trace {{
    state V = 0 mV
    V' = -V / 20 ms
    receptor syn(w: voltage) {{ V += w }}
}}
network Net {{
    dt 0.1 ms
    source drive[3]: SpikeTimes(times = {TRAINS})
    let taus[cell: 5] = 10 ms + 2 ms * cell
    population A[cell: 5]: LifDelta(t_ref = 0 ms, tau_m = taus[cell]) {{ mixed }}
    population B[4]: LifCuba(t_ref = 0 ms, tau_exc = 5 ms, tau_inh = 5 ms, bias = 15 mV) {{ mixed }}
    population C[2]: LifExp(t_ref = 0 ms) {{ mixed }}
    population D[3]: Sum {{ mixed }}
    population T[2]: Trace
    projection drive -> A {{ connect all_to_all  weight normal(9 mV, 2 mV)  delay 0.1 ms }}
    projection A -> A {{ connect bernoulli(0.5)  weight normal(1 mV, 2 mV)  delay 0.3 ms * floor(uniform(1, 4)) }}
    projection A -> B.exc {{ connect all_to_all  weight 25 mV  delay 1.5 ms }}
    projection B -> C.exc {{ connect all_to_all  weight 2000 pA  delay 1 ms }}
    projection A -> C.inh {{ connect all_to_all  weight -100 pA  delay 0.1 ms }}
    projection C -> D {{ connect all_to_all  weight 7 mV  delay 0.2 ms }}
    projection D -> T {{ connect all_to_all  weight 1 mV  delay 0.1 ms }}
}}
experiment Run of Net {{ record spikes of A, B, C, D; record V of T; simulate 60 ms }}
"
    )
}

fn compiled(files: &Files) -> Outcome {
    let out = driver::compile(files, "main.nsm", &Options { target: Target::Nir, ..Options::default() });
    assert_eq!(out.jobs.len(), 1, "{}\n{}", crate::lab::messages(&out), files.0["main.nsm"]);
    out
}

fn graph(files: &Files) -> Graph {
    let out = compiled(files);
    write::graph(&out.jobs[0].units[0], &out.origins[0][0], 1).unwrap_or_else(|d| panic!("{d:?}"))
}

/// The text of a graph, its source sending the trains of the first circuit.
fn imported(graph: &Graph) -> Files {
    let circuit = read::circuit(graph, None).unwrap_or_else(|e| panic!("{e}"));
    let made = text::text(&circuit, "net.nir", "net");
    made.edges.iter().fold(Files::new(&made.text), |files, (name, content)| files.and(name, content))
}

#[test]
fn a_circuit_comes_back_from_its_file_and_does_the_same() {
    let original = Files::new(&circuit());
    let written = graph(&original);
    let bytes = hdf5::encode(&written).unwrap();
    assert_eq!(hdf5::decode(bytes).unwrap(), written, "the file holds the graph");
    let kinds: Vec<&str> = ["A", "B", "C", "D", "T"].iter().map(|n| written.nodes[*n].kind.as_str()).collect();
    assert_eq!(kinds, ["LIF", "CubaLIF", "CubaLIF", "IF", "LI"]);
    let tau = &written.nodes["A"].fields["tau"].data;
    assert_eq!(tau, &[0.01, 0.012, 0.014, 0.016, 0.018], "time constants are those of the text");
    assert_eq!(written.nodes["B"].fields["v_leak"].data, [-0.055; 4], "a drive is part of the leak");
    assert_eq!(written.nodes["B"].fields["w_in"].data, [50.0; 4]);
    assert_eq!(written.nodes["A->B.exc, delay"].fields["delay"].data, [0.0014; 5], "one step is the edge's own");

    let back = imported(&written);
    assert_eq!(imported(&graph(&back)).0, back.0, "what is read is written alike");
    let text = back.0["main.nsm"].replace("Poisson(rate = input_rate)", &format!("SpikeTimes(times = {TRAINS})"));
    let text =
        text.replace("std.sources.Poisson", "std.sources.SpikeTimes").replace("simulate 100 ms", "simulate 60 ms");
    let files = Files(back.0.into_iter().chain([("main.nsm".to_string(), text)]).collect());
    let (first, second) = (Lab::of(&original, &Options::default()), Lab::of(&files, &Options::default()));
    let (first, second) = (first.run(INTERP), second.run(INTERP));
    for name in ["A", "B", "C", "D"] {
        assert!(first.spikes(name).len() > 2, "{name} is silent and proves nothing");
        assert_eq!(first.spikes(name), second.spikes(name), "{name}");
    }
    // Weights in amperes are read in volts, so sums round elsewhere.
    let (a, b) = (first.state("T", "V"), second.state("T", "V"));
    assert!(a.iter().zip(&b).all(|(a, b)| *a > 0.0 && (a - b).abs() < 1e-9 * a), "{a:?} {b:?}");
}

#[test]
fn a_circuit_without_a_source_has_an_input_that_reaches_nothing() {
    let text = "use std.neurons.LifDelta
network Alone {
    population E[4]: LifDelta(t_ref = 0 ms, bias = 30 mV) { mixed }
    projection E -> E { connect all_to_all  weight -1 mV  delay 1 ms }
}";
    let written = graph(&Files::new(text));
    assert!(written.nodes.values().any(|n| n.kind == "Input"));
    let circuit = read::circuit(&written, None).unwrap();
    assert_eq!(circuit.populations.len(), 1);
    assert!(circuit.populations[0].shown, "nothing is recorded, and nothing else listens");
}

fn vector(values: &[f64]) -> Tensor {
    Tensor::vector(values.to_vec())
}

fn lif(n: usize) -> Node {
    let all = |v: f64| vector(&vec![v; n]);
    // A step is 0.1 ms, so a spike moves V by its weight.
    Node::new("LIF", [("tau", all(0.01)), ("r", all(100.0)), ("v_leak", all(0.0)), ("v_threshold", all(1.0))])
}

fn matrix(rows: usize, data: &[f64]) -> Tensor {
    Tensor { shape: vec![rows, data.len() / rows], data: data.to_vec() }
}

fn shape(n: usize) -> [(&'static str, Tensor); 1] {
    [("shape", vector(&[n as f64]))]
}

fn made(nodes: &[(&str, Node)], edges: &[(&str, &str)]) -> Graph {
    Graph {
        nodes: nodes.iter().map(|(n, node)| (n.to_string(), node.clone())).collect(),
        edges: edges.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
        ..Graph::default()
    }
}

/// (source, target, weight, delay) of the only projection.
fn synapses(graph: &Graph) -> Vec<(usize, usize, f64, u32)> {
    let circuit = read::circuit(graph, None).unwrap();
    let [p] = circuit.projections.as_slice() else { panic!("{:?}", circuit.projections) };
    p.synapses.iter().map(|s| (s.pre, s.post, s.weight, s.delay)).collect()
}

#[test]
fn ways_through_linear_nodes_become_synapses() {
    let input = || Node::new("Input", shape(2));
    let linear = |rows, data: &[f64]| Node::new("Linear", [("weight", matrix(rows, data))]);
    let graph =
        made(&[("0", input()), ("1", linear(2, &[0.5, 0.0, -1.0, 2.0])), ("2", lif(2))], &[("0", "1"), ("1", "2")]);
    assert_eq!(synapses(&graph), [(0, 0, 0.5, 1), (0, 1, -1.0, 1), (1, 1, 2.0, 1)]);
    let direct = made(&[("0", input()), ("2", lif(2))], &[("0", "2")]);
    assert_eq!(synapses(&direct), [(0, 0, 1.0, 1), (1, 1, 1.0, 1)]);
    let chain = made(
        &[
            ("in", input()),
            ("late", Node::new("Delay", [("delay", vector(&[0.0003, 0.0]))])),
            ("twice", Node::new("Scale", [("scale", vector(&[2.0, 3.0]))])),
            ("flat", Node::new("Flatten", [])),
            ("a", linear(2, &[1.0, 1.0, 0.0, 1.0])),
            ("b", linear(1, &[1.0, 10.0])),
            ("cells", lif(1)),
        ],
        &[("in", "late"), ("late", "twice"), ("twice", "flat"), ("flat", "a"), ("a", "b"), ("b", "cells")],
    );
    assert_eq!(synapses(&chain), [(0, 0, 2.0, 4), (1, 0, 33.0, 1)]);
    let two = made(
        &[("in", input()), ("a", linear(1, &[1.0, 0.0])), ("b", linear(1, &[0.5, 0.5])), ("cells", lif(1))],
        &[("in", "a"), ("in", "b"), ("a", "cells"), ("b", "cells")],
    );
    assert_eq!(synapses(&two), [(0, 0, 1.5, 1), (1, 0, 0.5, 1)], "edges into a node add up");
}

#[test]
fn graphs_within_graphs_are_unfolded() {
    let inner = made(
        &[("input", Node::new("Input", shape(2))), ("lif", lif(2)), ("output", Node::new("Output", shape(2)))],
        &[("input", "lif"), ("lif", "output")],
    );
    let nested = Node { kind: "NIRGraph".into(), inner: Some(Box::new(inner)), ..Node::default() };
    let graph = made(
        &[("in", Node::new("Input", shape(2))), ("layer", nested), ("out", Node::new("Output", shape(2)))],
        &[("in", "layer"), ("layer", "out")],
    );
    let circuit = read::circuit(&graph, None).unwrap();
    assert_eq!(read::names(&circuit.populations), ["in", "layer_lif"].map(|n| if n == "in" { "n_in" } else { n }));
    assert!(circuit.populations[1].shown && !circuit.populations[0].shown);
    assert_eq!(hdf5::decode(hdf5::encode(&graph).unwrap()).unwrap(), graph);
}

/// The library's cells give the values that the equations have: constant input through an `Affine`.
#[test]
fn constants_of_affine_nodes_drive_cells() {
    let all = |v: f64| vector(&[v]);
    let affine = Node::new("Affine", [("weight", matrix(1, &[0.0])), ("bias", all(0.5))]);
    let cuba = Node::new(
        "CubaLI",
        [("tau_mem", all(0.02)), ("tau_syn", all(0.005)), ("r", all(2.0)), ("v_leak", all(0.1)), ("w_in", all(3.0))],
    );
    let li = Node::new("LI", [("tau", all(0.02)), ("r", all(2.0)), ("v_leak", all(0.1))]);
    let sum = Node::new("IF", [("r", all(2.0)), ("v_threshold", all(1e9))]);
    let graph = made(
        &[("i", Node::new("Input", shape(1))), ("b", affine), ("cuba", cuba), ("li", li), ("if", sum)],
        &[("i", "b"), ("b", "cuba"), ("b", "li"), ("b", "if")],
    );
    let files = imported(&graph);
    let text = files.0["main.nsm"].replace("input_rate = 10 Hz", "input_rate = 0 Hz").replace("100 ms", "10 ms");
    let files = Files(files.0.into_iter().chain([("main.nsm".to_string(), text)]).collect());
    let lab = Lab::of(&files, &Options::default());
    let ran = lab.run(INTERP);
    let of = |name: &str| ran.state(name, "V")[0];
    let e = |tau: f64| nsm::numerics::exp(-0.01 / tau);
    let close = |found: f64, expected: f64| {
        // Exact steps; a state is the sum of a hundred roundings.
        assert!((found - expected).abs() < 1e-10 * expected.abs(), "{found} {expected}");
    };
    // mV: r b is 1 V.
    close(of("li"), 100.0 + 1000.0 * (1.0 - e(0.02)));
    close(of("n_if"), 1000.0 * 0.01);
    // A current that rises to 3 V with tau_syn, low-pass filtered with tau_mem.
    let filtered = 1.0 - e(0.02) - (e(0.02) - e(0.005)) * 0.005 / (0.02 - 0.005);
    close(of("cuba"), 100.0 + 3000.0 * filtered);
}

#[test]
fn graphs_that_have_no_counterpart_are_told() {
    let input = || Node::new("Input", shape(2));
    let one = |kind: &str| Node::new(kind, [("weight", matrix(1, &[1.0, 1.0]))]);
    let without = |node: Node, name: &str| {
        let mut node = node;
        node.fields.remove(name);
        node
    };
    let with = |node: Node, name: &str, t: Tensor| {
        let mut node = node;
        node.fields.insert(name.to_string(), t);
        node
    };
    let li = || Node::new("LI", [("tau", vector(&[0.01])), ("r", vector(&[1.0])), ("v_leak", vector(&[0.0]))]);
    let refused = |nodes: &[(&str, Node)], edges: &[(&str, &str)], words: &str| {
        let found = read::circuit(&made(nodes, edges), None);
        assert!(found.as_ref().is_err_and(|e| e.contains(words)), "expected {words} in {found:?}");
    };
    refused(&[("0", input())], &[], "no cells");
    refused(&[("0", one("Conv2d"))], &[], "node `0`: a `Conv2d`");
    refused(&[("0", without(lif(2), "tau"))], &[], "without `tau`");
    refused(&[("0", with(lif(2), "tau", vector(&[0.01, 0.0])))], &[], "a time constant of 0 s");
    refused(&[("0", with(lif(2), "r", vector(&[f64::NAN, 0.0])))], &[], "`r` holds NaN");
    refused(&[("0", with(lif(2), "r", vector(&[1.0, 1.0, 1.0])))], &[], "arrays of 3 and of 2 cells");
    refused(&[("0", Node::new("Input", shape(0))), ("1", lif(1))], &[], "the shape [0.0]");
    refused(&[("0", Node::new("Input", [("shape", vector(&[1e18]))])), ("1", lif(1))], &[], "the shape");
    refused(&[("0", input()), ("1", lif(3))], &[("0", "1")], "`0` gives 2 values, and `1` takes 3");
    refused(&[("0", li()), ("1", lif(1))], &[("0", "1")], "gives its V");
    refused(
        &[("0", lif(2)), ("1", one("Linear")), ("2", Node::new("Output", shape(1)))],
        &[("0", "1"), ("1", "2")],
        "a weighted sum of `0`",
    );
    refused(&[("0", lif(1)), ("1", Node::new("Input", shape(1)))], &[("0", "1")], "an edge into `1`");
    let late = |d: f64| Node::new("Delay", [("delay", vector(&[d]))]);
    refused(&[("0", lif(1)), ("1", late(-1.0))], &[("0", "1"), ("1", "0")], "a delay of -1.0 s");
    refused(&[("0", lif(1)), ("1", late(1e30))], &[("0", "1"), ("1", "0")], "a delay of 1e30 s");
    refused(&[("0", lif(1)), ("1", late(0.0))], &[("0", "1"), ("1", "1")], "a circle of linear nodes");
    // Ways that part and meet thirty times.
    let names: Vec<String> = (0..60).map(|k| format!("f{k:02}")).collect();
    let mut nodes: Vec<(&str, Node)> = names.iter().map(|n| (n.as_str(), Node::new("Flatten", []))).collect();
    nodes.push(("cells", lif(1)));
    let pairs = (0..58).flat_map(|k| [k / 2 * 2 + 2, k / 2 * 2 + 3].map(|to| (names[k].as_str(), names[to].as_str())));
    let edges: Vec<(&str, &str)> = pairs.chain([("cells", "f00"), ("cells", "f01")]).collect();
    refused(&nodes, &edges, "ways between its cells");
    let affine = Node::new("Affine", [("weight", matrix(1, &[1.0, 1.0])), ("bias", vector(&[1.0, 2.0, 3.0]))]);
    refused(&[("0", affine), ("1", lif(1))], &[], "3 biases for 1 rows");
    let cube = Tensor { shape: vec![1, 2, 2], data: vec![0.0; 4] };
    refused(&[("0", Node::new("Linear", [("weight", cube)]))], &[], "two axes");
    let rounded = made(&[("0", lif(1)), ("1", late(0.000_15))], &[("0", "1"), ("1", "0")]);
    assert_eq!(read::circuit(&rounded, None).unwrap().notes.len(), 1);
    assert!(read::circuit(&rounded, Some(0.0)).is_err());
}

/// Names of nodes become names of the language.
#[test]
fn names_are_made_of_letters_and_each_once() {
    let node = |name: &str| read::Population { name: name.into(), size: 1, cells: None, shown: false };
    let all: Vec<_> = ["0", "lif.1", "lif-1", "of", "", "é"].map(node).into();
    assert_eq!(read::names(&all), ["n_0", "lif_1", "lif_1_2", "n_of", "n_", "n__2"]);
}

fn small() -> Vec<u8> {
    let graph = made(
        &[
            ("in", Node::new("Input", shape(1))),
            ("w", Node::new("Linear", [("weight", matrix(1, &[0.5]))])),
            ("cells", lif(1)),
        ],
        &[("in", "w"), ("w", "cells")],
    );
    hdf5::encode(&graph).unwrap()
}

/// A file that the `nir` package wrote (`tests/golden/README.md`).
fn theirs() -> Vec<u8> {
    std::fs::read(fresh_root().join("tests/golden/nir/layers.nir")).expect("a recorded file")
}

#[test]
fn golden_nir_file_of_the_package_is_read() {
    let circuit = read::circuit(&hdf5::decode(theirs()).unwrap(), None).unwrap();
    let names = read::names(&circuit.populations);
    let sizes: Vec<(&str, usize)> =
        names.iter().map(String::as_str).zip(circuit.populations.iter().map(|p| p.size)).collect();
    assert_eq!(sizes, [("cuba", 1), ("n_in", 3), ("rnn_cell", 2)]);
    let [dense, late, own] = circuit.projections.as_slice() else { panic!("{:?}", circuit.projections) };
    let listed = |p: &read::Projection| p.synapses.iter().map(|s| (s.pre, s.post, s.delay)).collect::<Vec<_>>();
    let order = [dense, own, late].map(|p| (p.source, p.target));
    assert_eq!(order, [(1, 2), (2, 2), (2, 0)], "{:?}", circuit.projections);
    assert_eq!(listed(late), [(0, 0, 21), (1, 0, 21)]);
    assert_eq!(dense.synapses.iter().map(|s| s.weight.round()).collect::<Vec<_>>(), [3.0, 1.0, 4.0, 2.0, 5.0]);
    assert!(own.synapses.iter().all(|s| (s.weight - 0.5).abs() < 1e-7), "the file has single precision: {own:?}");
    assert!(circuit.populations[0].shown && !circuit.populations[2].shown);
    // 0.5 through a resistance of 100.
    let rest = &circuit.populations[2].cells.as_ref().unwrap().params["V_leak"];
    assert_eq!(rest, &[50.0, 0.0]);
}

/// Whatever stands in a file, reading it gives a graph or says why not. Gives whether the HDF5 library had to be caught.
fn read_any(bytes: Vec<u8>) -> bool {
    match hdf5::decode(bytes) {
        Ok(graph) => {
            if let Ok(circuit) = read::circuit(&graph, None) {
                text::text(&circuit, "damaged.nir", "damaged");
            }
            false
        }
        Err(why) => why.contains("can't tell"),
    }
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    let bytes = small();
    assert!(read::circuit(&hdf5::decode(bytes.clone()).unwrap(), None).is_ok());
    for wrong in [&b""[..], b"not HDF5", &bytes[..bytes.len() / 2]] {
        assert!(hdf5::decode(wrong.to_vec()).is_err());
    }
    // Every byte would take minutes in a build without optimisation; `nir_every_byte` does.
    for bytes in [bytes, theirs()] {
        for k in (0..bytes.len()).step_by(bytes.len() / 100) {
            read_any(bytes[..k].to_vec());
            let mut changed = bytes.clone();
            changed[k] ^= 0x41;
            read_any(changed);
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn nir_every_byte() {
    let (mut files, mut caught) = (0, 0);
    for bytes in [small(), theirs()] {
        // Most of a file is room that nothing uses.
        for k in (0..bytes.len()).filter(|k| bytes[*k] != 0) {
            let mut all = vec![bytes[..k].to_vec()];
            for change in [0x01, 0x80, 0xff, 0x10] {
                let mut changed = bytes.clone();
                changed[k] ^= change;
                all.push(changed);
            }
            files += all.len();
            caught += all.into_iter().filter(|bytes| read_any(bytes.clone())).count();
        }
    }
    println!("{files} files, the HDF5 library panicked on {caught} of them");
}

fn nsmc(folder: &Path, args: &[&str]) -> Output {
    let mut nsmc = Command::new(env!("CARGO_BIN_EXE_nsmc"));
    nsmc.env("NO_COLOR", "1").current_dir(folder).args(args).output().expect("nsmc starts")
}

fn said(out: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    text.replace('│', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn files_are_written_and_read_by_the_commands() {
    let dir = tempfile::tempdir().expect("a folder");
    let fine = |args: &[&str]| {
        let out = nsmc(dir.path(), args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", said(&out));
        said(&out)
    };
    let fails = |args: &[&str], status: i32, word: &str| {
        let out = nsmc(dir.path(), args);
        assert!(out.status.code() == Some(status) && said(&out).contains(word), "{args:?}: {}", said(&out));
    };
    std::fs::write(dir.path().join("net.nsm"), circuit()).expect("temporary file");
    fine(&["compile", "net.nsm", "--target", "nir"]);
    fine(&["import", "net.nir", "-o", "back.nsm"]);
    fine(&["check", "back.nsm"]);
    fine(&["fmt", "--check", "back.nsm"]);
    fine(&["run", "back.nsm", "--for", "20 ms", "--out", "out"]);
    fine(&["import", "net.nir", "-o", "coarse.nsm", "--dt", "1 ms"]);
    let text = std::fs::read_to_string(dir.path().join("coarse.nsm")).expect("a circuit");
    assert!(text.contains("dt 0.001 s") && text.contains("// Rounded: the delays"), "{text}");
    fails(&["import", "none.nir"], 2, "E0801");
    fails(&["import", "net.nsm"], 2, "E0809");
    fails(&["import", "net.nir", "--dt", "5 mV"], 2, "E0804");
    let wrong = fresh_root().join("tests/corpus/err/nir/E1201_refractory.nsm");
    let wrong = wrong.to_string_lossy();
    fails(&["compile", &wrong, "--target", "nir", "-o", "wrong.nir"], 1, "E1201");
    fails(&["check", &wrong, "--target", "nir"], 1, "E1201");
    assert!(!dir.path().join("wrong.nir").exists());
    fails(&["compile", "net.nsm", "--emit", "sanafe"], 2, "--target loihi2");
    fails(&["check", "net.nsm", "--target", "nir", "--chip", "loihi1"], 2, "--target loihi2");
    let large = "use std.neurons.LifDelta
network Large {
    population E[20000]: LifDelta(t_ref = 0 ms)
    projection E -> E { connect fixed_indegree(1)  weight 1 mV  delay 1 ms }
}";
    std::fs::write(dir.path().join("large.nsm"), large).expect("temporary file");
    fails(&["compile", "large.nsm", "--target", "nir"], 1, "E1203");
}

/// The package reads and checks what is written here, writes it anew with compression, and graphs of its own.
const PACKAGE: &str = "
import nir, sys, numpy as np
folder = sys.argv[1]
g = nir.read(folder + '/net.nir')
assert type(g.nodes['B']).__name__ == 'CubaLIF' and g.nodes['A'].tau.tolist() == [0.01, 0.012, 0.014, 0.016, 0.018]
assert g.nodes['A->B.exc'].weight.shape == (4, 5) and g.input_type['drive'].tolist() == [3]
nir.write(folder + '/again.nir', g)
nir.read(folder + '/alone.nir')
f = lambda *v: np.array(v, dtype=np.float32)
layers = nir.NIRGraph.from_list(
    nir.Input(np.array([3])), nir.Affine(np.arange(6, dtype=np.float32).reshape(2, 3), f(0.5, 0)), nir.CubaLIF(
        tau_syn=f(.005, .005), tau_mem=f(.01, .02), r=f(1, 1), v_leak=f(0, 0), v_threshold=f(1, 1), w_in=f(50, 50)),
    nir.Linear(np.ones((1, 2))), nir.Delay(np.array([.002])), nir.LIF(tau=f(.01), r=f(100), v_leak=f(0), v_threshold=f(1)), nir.Output(np.array([1])))
nir.write(folder + '/layers.nir', layers)
cell = nir.LIF(tau=f(.01, .01), r=f(100, 100), v_leak=f(0, 0), v_threshold=f(1, 1), v_reset=f(0, 0))
loop = nir.NIRGraph(nodes={'input': nir.Input(np.array([2])), 'cell': cell, 'w': nir.Linear(np.ones((2, 2)) * .5), 'output': nir.Output(np.array([2]))},
    edges=[('input', 'cell'), ('cell', 'w'), ('w', 'cell'), ('cell', 'output')])
outer = nir.NIRGraph(nodes={'in': nir.Input(np.array([2])), 'rnn': loop, 'out': nir.Output(np.array([2]))}, edges=[('in', 'rnn'), ('rnn', 'out')], type_check=False)
nir.write(folder + '/nested.nir', outer)
nir.write(folder + '/conv.nir', nir.NIRGraph.from_list(nir.Input(np.array([1, 8, 8])), nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))))
";

#[test]
#[ignore = "needs Python with nir 1.0.8"]
fn the_nir_package_reads_what_is_written_and_its_files_are_read() {
    let python = std::env::var("NSM_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let written = graph(&Files::new(&circuit()));
    std::fs::write(at("net.nir"), hdf5::encode(&written).unwrap()).expect("temporary file");
    let alone = "use std.neurons.LifDelta
network Alone {
    population E[4]: LifDelta(t_ref = 0 ms, bias = 30 mV) { mixed }
    projection E -> E { connect all_to_all  weight -1 mV  delay 1 ms }
}";
    let alone = hdf5::encode(&graph(&Files::new(alone))).unwrap();
    std::fs::write(at("alone.nir"), alone).expect("temporary file");
    let out = Command::new(&python).args(["-c", PACKAGE]).arg(dir.path()).output().expect("Python starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read =
        |name: &str| hdf5::decode(std::fs::read(at(name)).expect("a file")).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(read("again.nir"), written, "what the package writes of it is the same");
    let layers = read::circuit(&read("layers.nir"), None).unwrap();
    let sizes: Vec<usize> = layers.populations.iter().map(|p| p.size).collect();
    assert_eq!(sizes, [2, 3, 1], "cubalif, input, lif");
    assert!(layers.projections.iter().any(|p| p.synapses.iter().all(|s| s.delay == 21)), "{:?}", layers.projections);
    let nested = read::circuit(&read("nested.nir"), None).unwrap();
    assert_eq!((nested.populations.len(), nested.projections.len()), (2, 2));
    for circuit in [&layers, &nested] {
        let made = text::text(circuit, "theirs.nir", "theirs");
        let files = made.edges.iter().fold(Files::new(&made.text), |files, (n, c)| files.and(n, c));
        Lab::of(&files, &Options::default()).run(INTERP);
    }
    assert!(read::circuit(&read("conv.nir"), None).is_err_and(|e| e.contains("SumPool2d")));
}
