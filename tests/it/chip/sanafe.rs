//! Mapped packages against SANA-FE, which counts traffic and energy by itself, and computes spikes and potentials where its cells
//! can.
//!
//! `pip install sanafe==2.2.9`, then `NSM_PYTHON=python cargo test --test it sanafe -- --ignored`.

use super::{LIF, WAVE, built, chip, dealt, input, narrow};
use nsm::chip::build::{self, Options};
use nsm::chip::emit::emit;
use nsm::chip::emulator::{Counters, Emulator, Mode};
use nsm::chip::energy::LOIHI1_SANAFE;
use nsm::chip::fixed::{
    FixedBody, FixedNetwork, FixedPopulation, FixedProjection, FixedSynapse, HostSpike, Sign, SynapseFormat, Words,
};
use nsm::chip::limits::Limits;
use nsm::chip::microcode::assemble;
use nsm::chip::package::Package;
use nsm::driver::{self, Target};
use nsm::random::{Purpose, StreamKey, philox4x32_10};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const SCRIPT: &str = "
import json, sys, sanafe
arch = sanafe.load_loihi()
chip = sanafe.SpikingChip(arch)
chip.load(sanafe.load_net(sys.argv[1], arch))
r = chip.sim(int(sys.argv[2]), timing_model='simple', processing_threads=1)
print(json.dumps({'packets': r['packets_sent'], 'synapses': r['spikes'], **{k: float(v) for k, v in r['energy'].items()}}))
";

/// What SANA-FE says of a network file.
fn sanafe(script: &str, network: &Path, steps: u64, name: &str) -> serde_json::Value {
    let python = std::env::var("NSM_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let mut command = Command::new(python);
    let out = command.args(["-c", script]).arg(network).arg(steps.to_string()).output().expect("Python starts");
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(text.lines().last().unwrap_or("")).unwrap()
}

fn same_traffic(said: &serde_json::Value, cores: &Counters, host: &Counters, name: &str) {
    let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
    assert_eq!(number("packets"), (cores.packets_out + host.packets_out) as f64, "{name}: packets");
    assert_eq!(number("synapses"), cores.synaptic_operations as f64, "{name}: synaptic events");
}

/// Sums of the same terms in another order.
fn same(name: &str, what: &str, a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b, "{name}, {what}: {a}, {b}");
}

#[test]
#[ignore = "needs Python with sanafe 2.2.9"]
fn sanafe_counts_the_same_packets_and_energy() {
    let dir = tempfile::tempdir().expect("a folder");
    for (file, each, seed) in [(WAVE, 16, 1), (WAVE, 40, 2), (WAVE, 100, 3)] {
        let made = built(file, &narrow(each), Options { seed, apart: false });
        let mut chip = Emulator::load(&made.package.write().unwrap(), Mode::Strict).unwrap();
        chip.run(200).unwrap();
        let network = nsm::chip::sanafe::network(&chip).unwrap();
        let path = dir.path().join("network.yaml");
        std::fs::write(&path, network).expect("temporary file");
        // The first bit of a train is for what is sent before the first step.
        let said = sanafe(SCRIPT, &path, 201, file);
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let (cores, host) = (Counters::sum(chip.counters()), chip.host_counters());
        let ours = LOIHI1_SANAFE.energy(&cores, &host);
        same_traffic(&said, &cores, &host, file);
        let same = |what: &str, a: f64, b: f64| same(file, what, a, b);
        same("synapses", number("synapse"), ours.synapses);
        if host.packets_out == 0 {
            same("network", number("network"), ours.network);
        }
        // One step more than ours, in which cells are updated and nothing fires.
        let updates = cores.updates as f64 / 200.0 * 201.0;
        same("cells", number("soma"), updates * LOIHI1_SANAFE.update);
    }
}

/// SANA-FE's Loihi with buffers that deliver delays, which is what the files of cells say that they are for.
const CELLS: &str = "
import json, sys, sanafe, tempfile, os
from importlib.resources import files
text = (files('sanafe.examples') / 'loihi.yaml').read_text()
for old, new in [('buffer_position: soma', 'buffer_position: dendrite'), ('buffer_inside_unit: false', 'buffer_inside_unit: true')]:
    assert text.count(old) == 1, old
    text = text.replace(old, new)
path = os.path.join(os.path.dirname(sys.argv[1]), 'arch.yaml')
open(path, 'w').write(text)
arch = sanafe.load_arch(path)
chip = sanafe.SpikingChip(arch)
chip.load(sanafe.load_net(sys.argv[1], arch))
r = chip.sim(int(sys.argv[2]), timing_model='simple', processing_threads=1, spike_trace=True, potential_trace=True)
print(json.dumps({'packets': r['packets_sent'], 'synapses': r['spikes'], **{k: float(v) for k, v in r['energy'].items()},
    'fired': [[str(n) for n in step] for step in r['spike_trace']], 'potentials': [[float(v) for v in step] for step in r['potential_trace']]}))
";

/// A circuit of plain integrate-and-fire cells, and compartments of a core: so it takes several.
struct Case {
    name: &'static str,
    each: u64,
    body: String,
}

/// Trains of `n` cells: cell k fires every `every + k mod 5` steps.
fn trains(n: u32, every: u32) -> String {
    let train = |k: u32| {
        let times: Vec<String> =
            (1..).map(|j| j * (every + k % 5)).take_while(|t| *t < 300).map(|t| format!("{t} ms")).collect();
        format!("[{}]", times.join(", "))
    };
    format!("[{}]", (0..n).map(train).collect::<Vec<_>>().join(", "))
}

const REST: &str = "E_L = -70 mV, V_th = -50 mV, V_reset = -70 mV, t_ref = 0 ms";

/// Sizes, delays, signs, fan-in, chains, rings and loops. A population has one projection, so that a spike is one packet for
/// each core here as there.
fn cases() -> Vec<Case> {
    let source = |n, every| format!("source drive[{n}]: SpikeTimes(times = {})\n", trains(n, every));
    let cells =
        |name: &str, n: u32, more: &str| format!("population {name}[{n}]: LifDelta({REST}{more}) {{ mixed }}\n");
    let link = |ends: &str, rest: &str| format!("projection {ends} {{ {rest} }}\n");
    let case = |name, each, parts: &[String]| Case { name, each, body: parts.concat() };
    vec![
        case(
            "chain",
            16,
            &[
                source(20, 7),
                cells("A", 40, ""),
                cells("B", 40, ""),
                cells("C", 30, ""),
                link("drive -> A", "connect bernoulli(0.4)  weight 4 mV  delay 1 ms"),
                link("A -> B", "connect bernoulli(0.3)  weight 5 mV  delay 1 ms"),
                link("B -> C", "connect bernoulli(0.3)  weight 6 mV  delay 1 ms"),
            ],
        ),
        case(
            "delays",
            24,
            &[
                source(30, 5),
                cells("A", 60, ""),
                cells("B", 50, ""),
                link("drive -> A", "connect bernoulli(0.3)  weight 4 mV  delay 1 ms * floor(uniform(1, 7))"),
                link("A -> B", "connect bernoulli(0.3)  weight normal(4 mV, 2 mV)  delay 1 ms * floor(uniform(1, 7))"),
            ],
        ),
        case(
            "recurrent",
            32,
            &[
                source(40, 6),
                cells("P", 150, ""),
                link("drive -> P", "connect bernoulli(0.3)  weight 3 mV  delay 1 ms"),
                link(
                    "P -> P",
                    "connect bernoulli(0.1)  weight normal(0.5 mV, 2 mV)  delay 1 ms * floor(uniform(1, 7))",
                ),
            ],
        ),
        case(
            "ring",
            12,
            &[
                source(10, 4),
                cells("A", 30, ""),
                cells("B", 25, ""),
                cells("C", 35, ""),
                link("drive -> A", "connect bernoulli(0.5)  weight 4 mV  delay 2 ms"),
                link("A -> B", "connect bernoulli(0.4)  weight 3 mV  delay 3 ms"),
                link("B -> C", "connect bernoulli(0.4)  weight 3 mV  delay 4 ms"),
                link("C -> A", "connect bernoulli(0.4)  weight 1 mV  delay 6 ms"),
            ],
        ),
        case(
            "inhibition",
            20,
            &[
                cells("P", 100, ", bias = 30 mV"),
                link("P -> P", "connect bernoulli(0.2)  weight -2.5 mV  delay 1 ms * floor(uniform(1, 7))"),
            ],
        ),
        case(
            "fan-in",
            8,
            &[
                source(200, 11),
                cells("P", 24, ""),
                link("drive -> P", "connect all_to_all  weight uniform(0.1 mV, 0.6 mV)  delay 1 ms"),
            ],
        ),
        case(
            "currents",
            30,
            &[
                "let drift[cell: 90] = 18 mV + 0.1 mV * cell\n".to_string(),
                format!("population P[cell: 90]: LifDelta({REST}, bias = drift[cell]) {{ mixed }}\n"),
                link("P -> P", "connect bernoulli(0.1)  weight normal(0 mV, 1 mV)  delay 2 ms"),
            ],
        ),
        case(
            "wide",
            8,
            &[
                source(50, 8),
                cells("P", 600, ""),
                link("drive -> P", "connect bernoulli(0.2)  weight 4 mV  delay 1 ms"),
                link(
                    "P -> P",
                    "connect fixed_indegree(10)  weight normal(0.5 mV, 1 mV)  delay 1 ms * floor(uniform(1, 7))",
                ),
            ],
        ),
        case(
            "slow and fast",
            16,
            &[
                source(20, 5),
                cells("S", 50, ", tau_m = 200 ms"),
                cells("F", 50, ", tau_m = 1.5 ms"),
                link("drive -> S", "connect bernoulli(0.5)  weight 1.5 mV  delay 5 ms"),
                link("S -> F", "connect bernoulli(0.5)  weight 9 mV  delay 1 ms"),
            ],
        ),
        case(
            "deep reset",
            16,
            &[
                source(30, 6),
                "population P[60]: LifDelta(E_L = -70 mV, V_reset = -82 mV, V_th = -61 mV, t_ref = 0 ms) { mixed }\n"
                    .to_string(),
                cells("Q", 60, ""),
                link("drive -> P", "connect bernoulli(0.5)  weight 3 mV  delay 1 ms"),
                link("P -> Q", "connect one_to_one  weight 16 mV  delay 6 ms"),
            ],
        ),
    ]
}

fn mapped(case: &Case, dir: &Path) -> Package {
    let text = format!(
        "use std.neurons.LifDelta\nuse std.sources.SpikeTimes\nnetwork Net {{\ndt 1 ms\n{}}}\nexperiment Run of Net {{ simulate 300 ms }}\n",
        case.body
    );
    let path = dir.join("net.nsm");
    std::fs::write(&path, text).expect("temporary file");
    let mut target = chip("loihi1");
    target.core.compartments = case.each;
    let (loader, name) = nsm::cli::FileLoader::open(&path.to_string_lossy()).unwrap();
    let options = driver::Options { target: Target::Chip(Arc::new(target.clone())), ..driver::Options::default() };
    let out = driver::compile(&loader, &name, &options);
    assert!(!out.diagnostics.has_errors(), "{}: {:?}", case.name, out.diagnostics);
    let made = build::build(&out.jobs[0].units[0], &Default::default(), &target, Options { seed: 1, apart: false });
    made.unwrap_or_else(|e| panic!("{}: {e:?}", case.name)).package
}

/// Lava's own fixed-point model, whose current lasts one step where du is 4095.
fn lava() -> Package {
    let key = StreamKey::new(1, "sanafe", Purpose::Parameter);
    let draw = |k: u32, n: u32| philox4x32_10([k, 0, 0, 0], key.words())[0] % n;
    let (n, m) = (20, 70);
    let format = SynapseFormat {
        bits: 8,
        sign: Sign::Mixed,
        exponent: 1,
        delay_bits: 3,
        accumulator: 0,
        rule: None,
        third_factor: None,
    };
    let synapses = |from: u32, salt: u32| -> Vec<FixedSynapse> {
        let pair = |k: u32| FixedSynapse {
            pre: k / m,
            post: k % m,
            weight: format.store(draw(k + salt, 200) as i32 - 70),
            delay: draw(k + salt + 1, 6),
        };
        (0..from * m).filter(|k| draw(k + salt + 2, 5) == 0).map(pair).collect()
    };
    let bias = (0..m).map(|k| (draw(k + 9000, 60) << 6) as i32).collect();
    let body = FixedBody {
        program: 0,
        params: vec![0, 4096 - 300, 700 << 6],
        states: vec![Words::One(0), Words::One(0), Words::Each(bias)],
    };
    let link =
        |path: &str, source, synapses| FixedProjection { path: path.into(), source, target: 1, format, synapses };
    let network = FixedNetwork {
        name: "lava".into(),
        step_ns: 1_000_000,
        steps: 300,
        programs: vec![assemble(LIF).unwrap()],
        populations: vec![
            input("in", n as usize, false),
            FixedPopulation { path: "lif".into(), size: m, body: Some(body), graded: false },
        ],
        projections: vec![link("in->lif", 0, synapses(n, 0)), link("lif->lif", 1, synapses(m, 100_000))],
        events: (1..300)
            .flat_map(|step| {
                (0..n).filter(move |k| (step + u64::from(*k)) % 9 == 0).map(move |neuron| HostSpike {
                    step,
                    neuron,
                    payload: 1,
                })
            })
            .collect(),
        ..FixedNetwork::default()
    };
    emit(&network, &dealt(&network, 9), &Limits::new(&chip("loihi1")))
}

#[test]
fn cells_are_written_with_their_dynamics_and_others_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = |body: &str| {
        let case = Case { name: "case", each: 100, body: body.to_string() };
        nsm::chip::sanafe::cells::network(&mapped(&case, dir.path()))
    };
    let source = "source s[2]: SpikeTimes(times = [[2 ms], [3 ms, 5 ms]])\n";
    let cells = |bindings: &str| format!("population P[2]: LifDelta({bindings})\n");
    let link = |rest: &str| format!("projection s -> P {{ connect one_to_one  {rest} }}\n");
    let written = network(&[source, &cells("t_ref = 0 ms"), &link("weight 3 mV  delay 4 ms")].concat()).unwrap();
    assert_eq!(written.matches("delay: 3}").count(), 2, "{written}");
    assert_eq!(written.matches("threshold: ").count(), 2, "{written}");
    assert!(written.contains("- 1: [spikes: [0, 0, 1, 0, 1, 0,"), "{written}");
    let refused = |body: &[&str], words: &str| {
        let found = network(&body.concat());
        assert!(found.as_ref().is_err_and(|e| e.contains(words)), "expected {words} in {found:?}");
    };
    refused(&[source, &cells("t_ref = 2 ms"), &link("weight 3 mV  delay 1 ms")], "cells of `P`");
    refused(&[source, &cells("t_ref = 0 ms"), &link("weight 3 mV  delay 7 ms")], "delays of 7 steps");
    let apart = "population P[cell: 2]: LifDelta(t_ref = 0 ms, V = 5 mV * cell)\n";
    refused(&[source, apart, &link("weight 3 mV  delay 1 ms")], "start");
    let twice = "population Q[2]: LifDelta(t_ref = 0 ms)
projection P -> Q { connect all_to_all  weight 1 mV  delay 1 ms }
projection P -> P { connect all_to_all  weight 1 mV  delay 1 ms }\n";
    refused(&[source, &cells("t_ref = 0 ms"), &link("weight 3 mV  delay 1 ms"), twice], "sent twice");
    let wave = nsm::chip::sanafe::cells::network(&super::package(WAVE));
    assert!(wave.is_err_and(|e| e.contains("doesn't do")));
}

#[test]
#[ignore = "needs Python with sanafe 2.2.9"]
fn sanafe_computes_the_same_spikes_potentials_packets_and_energy() {
    let dir = tempfile::tempdir().expect("a folder");
    let cases = cases();
    let packages = cases.iter().map(|c| (c.name, mapped(c, dir.path()), "V")).chain([("lava", lava(), "v")]);
    for (name, package, word) in packages {
        let mut chip = Emulator::load(&package.write().unwrap(), Mode::Strict).unwrap();
        let steps = package.manifest.steps;
        let path = dir.path().join("network.yaml");
        let network = nsm::chip::sanafe::cells::network(&package).unwrap_or_else(|e| panic!("{name}: {e}"));
        std::fs::write(&path, network).expect("temporary file");
        let said = sanafe(CELLS, &path, steps, name);
        let mut potentials = 0;
        for t in 0..steps as usize {
            chip.run(1).unwrap_or_else(|f| panic!("{name}: {f}"));
            let populations = 0..package.manifest.populations.len();
            let ours: Vec<f64> = populations.flat_map(|p| chip.state(p, word)).map(|v| f64::from(v) / 64.0).collect();
            let theirs: Vec<f64> =
                said["potentials"][t].as_array().expect("a list").iter().map(|v| v.as_f64().unwrap()).collect();
            assert_eq!(ours, theirs, "{name}, step {}", t + 1);
            potentials += ours.len();
        }
        let driven: Vec<bool> =
            package.manifest.populations.iter().flat_map(|p| vec![p.profile.is_none(); p.size as usize]).collect();
        let mut number = 0;
        let cell: Vec<u64> = driven
            .iter()
            .map(|d| {
                if *d {
                    u64::MAX
                } else {
                    number += 1;
                    number - 1
                }
            })
            .collect();
        let ours: Vec<(u64, u64)> =
            chip.spikes().iter().map(|s| (s.step, cell[s.neuron as usize])).filter(|s| s.1 != u64::MAX).collect();
        let mut theirs: Vec<(u64, u64)> = vec![];
        for (step, fired) in (1..).zip(said["fired"].as_array().expect("a list")) {
            let names = fired.as_array().expect("a list").iter().filter_map(|n| n.as_str()?.strip_prefix("cells."));
            theirs.extend(names.map(|n| (step, n.parse::<u64>().expect("a number"))));
        }
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{name}: spikes");
        assert!(ours.len() > 50, "{name}: {} spikes prove little", ours.len());
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let (cores, host) = (Counters::sum(chip.counters()), chip.host_counters());
        let energy = LOIHI1_SANAFE.energy(&cores, &host);
        same_traffic(&said, &cores, &host, name);
        let same = |what: &str, a: f64, b: f64| same(name, what, a, b);
        same("synapses", number("synapse"), energy.synapses);
        same("network", number("network"), energy.network);
        same("cells", number("soma"), energy.neurons);
        same("total", number("total"), energy.total());
        let m = &package.manifest;
        let tiles: std::collections::BTreeSet<_> = m.sites.iter().map(|s| (s.1, s.2)).collect();
        assert!(m.sites.len() > 1);
        println!(
            "| {name} | {} | {} | {} | {} | {potentials} | {} | {} | {} | {:.4e} |",
            cell.iter().filter(|k| **k != u64::MAX).count(),
            m.sites.len(),
            tiles.len(),
            ours.len(),
            number("packets"),
            cores.hops_x + cores.hops_y,
            number("synapses"),
            energy.total()
        );
    }
}
