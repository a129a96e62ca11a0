//! Neuromorphic chips: recorded vectors of Lava's fixed-point models, run through emitted packages.
//!
//! The vectors lie in `tests/golden`, or in the folder that `NSM_GOLDEN` names. Missing or empty vectors are a failure.

mod beside;
mod host;
mod learning;
mod program;
mod sanafe;
mod threads;

use nsm::chip::assign;
use nsm::chip::build::{self, Built};
use nsm::chip::emit::{Assignment, HOST, emit};
use nsm::chip::emulator::{Counters, Emulator, Mode};
use nsm::chip::fixed::{
    Factor, FixedBody, FixedNetwork, FixedPopulation, FixedProjection, FixedSynapse, Gate, HostSpike, LearningRule,
    Product, Sign, SynapseFormat, Trace, TraceWrite, Variable, Words,
};
use nsm::chip::limits::Limits;
use nsm::chip::map;
use nsm::chip::microcode::assemble;
use nsm::chip::package::{Package, breaches, demands};
use nsm::chip::target::Target as Chip;
use nsm::driver::{self, Options, Target};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

const LIF: &str = include_str!("../../src/chip/microcode/lif.asm");
const RELAY: &str = ".program relay\n.acc a\n.local x\nRDC x, a\nLT 0, x\nSKP_B 1\nSPIKE 1\n";

fn cases(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("NSM_GOLDEN").map_or_else(|| PathBuf::from("tests/golden"), PathBuf::from);
    let file = folder.join(file);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let all: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let cases = all["cases"].as_array().unwrap_or_else(|| panic!("{}: no cases", file.display())).clone();
    assert!(!cases.is_empty(), "{}: no cases", file.display());
    cases
}

fn int(v: &Value) -> i64 {
    v.as_i64().unwrap_or_else(|| panic!("{v} is no whole number"))
}

fn row(v: &Value) -> Vec<i32> {
    v.as_array().unwrap_or_else(|| panic!("{v} is no list")).iter().map(|n| int(n) as i32).collect()
}

fn matrix(v: &Value) -> Vec<Vec<i32>> {
    v.as_array().unwrap_or_else(|| panic!("{v} is no list")).iter().map(row).collect()
}

fn sign(case: &Value) -> Sign {
    match case["sign_mode"].as_str() {
        Some("mixed") => Sign::Mixed,
        Some("excitatory") => Sign::Excitatory,
        _ => Sign::Inhibitory,
    }
}

fn input(path: &str, size: usize, graded: bool) -> FixedPopulation {
    FixedPopulation { path: path.into(), size: size as u32, body: None, graded }
}

/// Synapses of a matrix `[target][source]`.
fn synapses(weights: &[Vec<i32>], delays: Option<&[Vec<i32>]>, format: SynapseFormat) -> Vec<FixedSynapse> {
    let mut out = Vec::new();
    for (post, row) in weights.iter().enumerate() {
        for (pre, w) in row.iter().enumerate() {
            let delay = delays.map_or(0, |d| d[post][pre] as u32);
            out.push(FixedSynapse { pre: pre as u32, post: post as u32, weight: format.store(*w), delay });
        }
    }
    out
}

/// The spikes of a matrix `[step][cell]`, of which the first row is sent in step `first`.
fn events(rows: &[Vec<i32>], first: u64, base: u32) -> Vec<HostSpike> {
    let mut out = Vec::new();
    for (t, row) in rows.iter().enumerate() {
        for (k, payload) in row.iter().enumerate().filter(|(_, p)| **p != 0) {
            out.push(HostSpike { step: first + t as u64, neuron: base + k as u32, payload: *payload });
        }
    }
    out
}

fn lif_network(case: &Value) -> FixedNetwork {
    let weights = matrix(&case["weights"]);
    let delays = case["delays"].as_array().map(|_| matrix(&case["delays"]));
    let (n, m) = (weights[0].len(), weights.len());
    let graded = case["graded"].as_bool().expect("graded");
    let format = SynapseFormat {
        bits: int(&case["num_weight_bits"]) as u32,
        sign: sign(case),
        exponent: int(&case["weight_exp"]) as i32,
        delay_bits: 3,
        accumulator: 0,
        rule: None,
        third_factor: None,
    };
    let bias = row(&case["bias_mant"]).iter().zip(row(&case["bias_exp"])).map(|(m, e)| m << e).collect();
    let (du, dv, vth) = (int(&case["du"]) as i32, int(&case["dv"]) as i32, int(&case["vth"]) as i32);
    let body = FixedBody {
        program: 0,
        params: vec![4095 - du, 4096 - dv, vth << 6],
        states: vec![Words::One(0), Words::One(0), Words::Each(bias)],
    };
    let lif = FixedPopulation { path: "lif".into(), size: m as u32, body: Some(body), graded: false };
    let dense = FixedProjection {
        path: "in->lif".into(),
        source: 0,
        target: 1,
        format,
        synapses: synapses(&weights, delays.as_deref(), format),
    };
    let events = events(&matrix(&case["input"]), 1, 0);
    FixedNetwork {
        name: "lava".into(),
        step_ns: 1_000_000,
        programs: vec![assemble(LIF).unwrap()],
        populations: vec![input("in", n, graded), lif],
        projections: vec![dense],
        events,
        ..FixedNetwork::default()
    }
}

fn chip(name: &str) -> Chip {
    Chip::built_in(name).unwrap()
}

/// What circuits of the tests are compiled for.
pub fn loihi2() -> Target {
    Target::Chip(Arc::new(chip("loihi2")))
}

fn load(network: &FixedNetwork, assignment: &Assignment) -> Emulator {
    let bytes = emit(network, assignment, &Limits::new(&chip("loihi2"))).write().unwrap();
    Emulator::load(&bytes, Mode::Lava010).unwrap_or_else(|e| panic!("{e}"))
}

/// Neurons dealt out to `n` cores.
fn dealt(network: &FixedNetwork, n: u32) -> Assignment {
    let mut next = 0;
    let mut core = Vec::new();
    for p in &network.populations {
        for _ in 0..p.size {
            core.push(if p.body.is_some() { next % n } else { HOST });
            next += u32::from(p.body.is_some());
        }
    }
    Assignment { core, sites: Limits::new(&chip("loihi2")).in_order(n) }
}

#[test]
fn golden_lava_lif() {
    let cases = cases("lava_lif.json");
    let (mut wrong, mut compared) = (0, 0);
    for case in &cases {
        let network = lif_network(case);
        for assignment in [dealt(&network, 1), dealt(&network, 3)] {
            let mut chip = load(&network, &assignment);
            for (u, v) in matrix(&case["u"]).iter().zip(matrix(&case["v"])) {
                chip.run(1).unwrap();
                compared += 1;
                wrong += usize::from(chip.state(1, "u") != *u || chip.state(1, "v") != v);
            }
        }
    }
    assert_eq!((cases.len(), wrong), (60, 0), "nets, steps that differ");
    assert_eq!(compared, 2 * 60 * 60);
}

/// Lava's text of a sum of products.
fn products(text: &str, k: &mut u32) -> Vec<Product> {
    let mut out = Vec::new();
    let mut sign = 1;
    let mut depth = 0;
    let mut start = 0;
    let text = text.trim();
    let bytes = text.as_bytes();
    for at in 0..=bytes.len() {
        let ends =
            at == bytes.len() || (depth == 0 && matches!(bytes[at], b'+' | b'-') && at > 0 && bytes[at - 1] == b' ');
        if at < bytes.len() && bytes[at] == b'(' {
            depth += 1;
        }
        if at < bytes.len() && bytes[at] == b')' {
            depth -= 1;
        }
        if ends {
            out.push(product(text[start..at].trim(), sign, k));
            sign = if at < bytes.len() && bytes[at] == b'-' { -1 } else { 1 };
            start = at + 1;
        }
    }
    out
}

fn product(text: &str, sign: i32, k: &mut u32) -> Product {
    let (mut gate, mut mantissa, mut exponent, mut factors) = (None, sign, 0, Vec::new());
    for part in text.split('*').map(str::trim) {
        if let Some(e) = part.strip_prefix("2^") {
            exponent += e.parse::<i32>().unwrap();
        } else if let Ok(m) = part.parse::<i32>() {
            mantissa *= m;
        } else if gate.is_none() && ["x0", "y0"].contains(&part) {
            gate = Some(if part == "x0" { Gate::X0 } else { Gate::Y0 });
        } else if let Some(n) = part.strip_prefix('u') {
            gate = Some(Gate::U);
            *k = n.parse().unwrap();
        } else {
            factors.push(factor(part));
        }
    }
    Product { gate: gate.expect("a gate"), mantissa, exponent, factors }
}

fn factor(text: &str) -> Factor {
    let (sign, inner) = match text.strip_prefix("sgn") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let inner = inner.trim_matches(['(', ')']);
    let words: Vec<&str> = inner.split_whitespace().collect();
    let constant = match words.as_slice() {
        [_] => 0,
        [_, "+", c] => c.parse().unwrap(),
        [_, "-", c] => -c.parse::<i32>().unwrap(),
        _ => panic!("{text}"),
    };
    let variable = match words[0] {
        "x0" => Variable::X0,
        "x1" => Variable::X1,
        "x2" => Variable::X2,
        "y0" => Variable::Y0,
        "y1" => Variable::Y1,
        "y2" => Variable::Y2,
        "y3" => Variable::Y3,
        "w" => Variable::W,
        "d" => Variable::D,
        "t" => Variable::T,
        other => panic!("{other}"),
    };
    Factor { variable, constant, sign }
}

fn trace(case: &Value, name: &str) -> Trace {
    let of = |what: &str| case["traces"][format!("{name}_{what}")].as_f64();
    // A three-factor rule is given y from outside; within an epoch Lava's default has it decay so slowly that it hardly does.
    let (impulse, tau) = (of("impulse").unwrap_or(0.0), of("tau").unwrap_or(65_535.0));
    let fraction = ((impulse - impulse.floor()) * 256.0).round() as u32;
    let decay = (tau != 0.0).then(|| nsm::numerics::exp(-1.0 / tau).to_bits());
    Trace { impulse: impulse.floor() as u32, fraction, decay, resting: None }
}

fn learning_network(case: &Value) -> FixedNetwork {
    let weights = matrix(&case["weights"]);
    let (n, m) = (weights[0].len(), weights.len());
    let three_factor = int(&case["factors"]) == 3;
    let mut k = 0;
    let mut of = |name: &str| case["rule"][name].as_str().map_or_else(Vec::new, |text| products(text, &mut k));
    let (weight, delay, tag) = (of("dw"), of("dd"), of("dt"));
    let rule = LearningRule {
        name: "rule".into(),
        epoch: int(&case["t_epoch"]) as u32,
        three_factor,
        seed: int(&case["rng_seed"]) as u64,
        k,
        x: ["x1", "x2"].map(|t| trace(case, t)),
        y: ["y1", "y2", "y3"].map(|t| trace(case, t)),
        weight,
        delay,
        tag,
    };
    let format = SynapseFormat {
        bits: 8,
        sign: sign(case),
        exponent: 0,
        delay_bits: 0,
        accumulator: 0,
        rule: Some(0),
        third_factor: None,
    };
    let teach = SynapseFormat { bits: 8, sign: Sign::Excitatory, rule: None, ..format };
    let body = FixedBody { program: 0, params: vec![], states: vec![] };
    let learned = FixedProjection {
        path: "pre->post".into(),
        source: 0,
        target: 2,
        // The learned signal goes to an accumulator that the relay does not read.
        format: SynapseFormat { accumulator: 1, ..format },
        synapses: synapses(&weights, None, format),
    };
    let one = |k: u32| FixedSynapse { pre: k, post: k, weight: 1, delay: 0 };
    let teacher = FixedProjection {
        path: "teacher->post".into(),
        source: 1,
        target: 2,
        format: teach,
        synapses: (0..m as u32).map(one).collect(),
    };
    // What the host sends in step t reaches the relays in t + 1.
    let mut events = [events(&matrix(&case["pre"]), 1, 0), events(&matrix(&case["post"]), 0, n as u32)].concat();
    events.sort();
    let mut writes = Vec::new();
    for (t, channels) in case["y_ports"].as_array().into_iter().flatten().enumerate() {
        for (c, values) in matrix(channels).iter().enumerate() {
            for (j, value) in values.iter().enumerate() {
                let neuron = (n + m + j) as u32;
                writes.push(TraceWrite { step: t as u64 + 1, projection: 0, neuron, trace: c as u32, value: *value });
            }
        }
    }
    let post = FixedPopulation { path: "post".into(), size: m as u32, body: Some(body), graded: false };
    FixedNetwork {
        name: "lava".into(),
        step_ns: 1_000_000,
        programs: vec![assemble(&RELAY.replace(".local", ".acc unread\n.local")).unwrap()],
        populations: vec![input("pre", n, false), input("teacher", m, false), post],
        projections: vec![learned, teacher],
        rules: vec![rule],
        events,
        writes,
        ..FixedNetwork::default()
    }
}

#[test]
fn golden_lava_learning() {
    let cases = cases("lava_learning.json");
    let mut wrong = Vec::new();
    for case in &cases {
        let network = learning_network(case);
        for assignment in [dealt(&network, 1), dealt(&network, 3)] {
            let mut chip = load(&network, &assignment);
            for (t, expected) in case["steps"].as_array().expect("steps").iter().enumerate() {
                chip.run(1).unwrap();
                let mut synapses = chip.synapses(0);
                synapses.sort_by_key(|s| (s.target, s.source));
                let flat = |name: &str| matrix(&expected[name]).concat();
                let (x, y) = chip.traces(0);
                let same = synapses.iter().map(|s| s.weight).eq(flat("w"))
                    && synapses.iter().map(|s| s.tag).eq(flat("tag"))
                    && synapses.iter().map(|s| s.learned_delay).eq(flat("delay"))
                    && ["x1", "x2"].iter().enumerate().all(|(k, n)| x.iter().map(|x| x.1[k]).eq(row(&expected[n])))
                    && ["y1", "y2", "y3"]
                        .iter()
                        .enumerate()
                        .all(|(k, n)| y.iter().map(|y| y.1[k]).eq(row(&expected[n])));
                if !same {
                    wrong.push((int(&case["seed"]), t + 1));
                }
            }
        }
    }
    assert_eq!(cases.len(), 40);
    assert!(wrong.is_empty(), "{} steps differ: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}

/// Circuits that are brought to the chip and compared with the interpreter.
const WAVE: &str = "tests/corpus/ok/circuits/chip_wave.nsm";
const ADAPTING: &str = "tests/corpus/ok/circuits/chip_adapting.nsm";
const BURSTING: &str = "tests/corpus/ok/circuits/chip_izhikevich.nsm";

fn unit(file: &str) -> nsm::ir::artefact::Unit {
    job(file).0
}

/// The circuit of a file and the points of its sweep.
fn job(file: &str) -> (nsm::ir::artefact::Unit, Vec<nsm::ir::protocol::Point>) {
    let (loader, name) = nsm::cli::FileLoader::open(file).unwrap();
    let options = Options { target: loihi2(), ..Options::default() };
    let out = driver::compile(&loader, &name, &options);
    assert!(!out.diagnostics.has_errors(), "{file}: {:?}", out.diagnostics);
    (out.jobs[0].units[0].clone(), out.jobs[0].points.clone())
}

fn built(file: &str, chip: &Chip, options: build::Options) -> Built {
    build::build(&unit(file), &Default::default(), chip, options).unwrap_or_else(|e| panic!("{file}: {e:?}"))
}

fn package(file: &str) -> Package {
    built(file, &chip("loihi2"), build::Options { seed: 1, apart: false }).package
}

/// Mean rates of the populations, Hz.
fn chip_rates(package: &Package) -> Vec<f64> {
    let mut chip = Emulator::load(&package.write().unwrap(), Mode::Strict).unwrap();
    let m = &package.manifest;
    chip.run(m.steps).unwrap_or_else(|f| panic!("{f}"));
    let seconds = m.steps as f64 * m.step_ns as f64 * 1e-9;
    let mut first = 0;
    let mut out = Vec::new();
    for p in &m.populations {
        let count = chip.spikes().iter().filter(|s| (first..first + p.size).contains(&s.neuron)).count();
        out.push(count as f64 / f64::from(p.size) / seconds);
        first += p.size;
    }
    out
}

fn interpreter_rates(file: &str) -> Vec<f64> {
    let unit = unit(file);
    let keep = vec![nsm::backend::Keep::All; unit.network.populations().count()];
    let limit = driver::MemoryLimit::Default;
    let (mut engine, _) =
        driver::engine(&unit, 1, vec![], &keep, driver::Backend::Interp, 1, limit).unwrap_or_else(|d| panic!("{d:?}"));
    for s in nsm::chip::writes::Writes::of(&unit).settings {
        engine.set(&s).unwrap();
    }
    let ms = unit.protocol.duration_hint_ms.unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    engine.advance((ms / unit.network.dt_ms).round() as u64, &stop).unwrap();
    let sizes: Vec<u32> = unit.network.populations().map(|(_, p)| p.size).collect();
    let rate = |(k, n): (usize, &u32)| engine.spikes(k).count as f64 / f64::from(*n) / ms * 1e3;
    sizes.iter().enumerate().map(rate).collect()
}

#[test]
fn the_chip_fires_as_the_interpreter_does() {
    for file in [WAVE, ADAPTING, BURSTING] {
        let (chip, interpreter) = (chip_rates(&package(file)), interpreter_rates(file));
        // Issue: rates within 5 %; one spike of a population counts as that much where it fires rarely.
        for (a, b) in chip.iter().zip(&interpreter) {
            assert!((a - b).abs() <= 0.05 * b.max(1.0), "{file}: chip {chip:?}, interpreter {interpreter:?}");
        }
        assert!(chip.iter().any(|r| *r > 1.0), "{file}: {chip:?}");
    }
}

#[test]
fn programs_are_listed_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, file) in [("wave", WAVE), ("adapting", ADAPTING), ("izhikevich", BURSTING)] {
            let package = package(file);
            let text = package.manifest.programs.join("\n");
            for program in &package.manifest.programs {
                assert_eq!(assemble(program).unwrap().to_string(), *program);
            }
            insta::assert_snapshot!(format!("chip_{name}"), text);
        }
    });
}

#[test]
fn a_package_is_the_same_for_the_same_circuit_and_refused_when_a_byte_changes() {
    let bytes = package(ADAPTING).write().unwrap();
    assert_eq!(bytes, package(ADAPTING).write().unwrap());
    for k in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[k] ^= 0x10;
        assert!(Emulator::load(&changed, Mode::Strict).is_err(), "byte {k}");
    }
    for k in 0..bytes.len().min(4000) {
        assert!(Emulator::load(&bytes[..k], Mode::Strict).is_err(), "{k} bytes");
    }
}

/// A chip with cores of so many compartments, so that small circuits take several.
fn narrow(compartments: u64) -> Chip {
    let mut chip = chip("loihi2");
    chip.core.compartments = compartments;
    chip
}

fn quantised(file: &str) -> FixedNetwork {
    let unit = unit(file);
    let network = nsm::valid::validate(&unit.network).unwrap();
    let steps = 300;
    let numbers = chip("loihi2").numbers;
    nsm::chip::quantise::quantise(network, 1, steps, &Default::default(), &numbers)
        .unwrap_or_else(|f| panic!("{f:?}"))
        .0
}

/// Neurons in the order of `of`, so many to a core.
fn filled(network: &FixedNetwork, each: u32, of: impl Fn(u32) -> u64) -> Assignment {
    let mut out = dealt(network, 1);
    let mut order: Vec<u32> = (0..out.core.len() as u32).filter(|n| out.core[*n as usize] != HOST).collect();
    order.sort_by_key(|n| (of(*n), *n));
    order.iter().enumerate().for_each(|(k, n)| out.core[*n as usize] = k as u32 / each);
    out.sites = Limits::new(&chip("loihi2")).in_order((order.len() as u32).div_ceil(each));
    out
}

#[test]
fn where_neurons_are_changes_no_spike() {
    let fixed = quantised(WAVE);
    let target = narrow(16);
    let trial = assign::trial(&fixed, &target).unwrap();
    let problem = assign::problem(&fixed, &target, &trial, false);
    let mapped = |seed| {
        let mapping = map::map(&problem, &target, &map::Options { seed, chips: None }).unwrap();
        map::check(&problem, &target, &mapping).unwrap();
        assert!(mapping.summary.cores > 3, "{:?}", mapping.summary);
        assign::assignment(&mapping, &Limits::new(&target))
    };
    let spikes = |assignment: &Assignment| {
        let mut chip = load(&fixed, assignment);
        chip.run(300).unwrap();
        chip.spikes().to_vec()
    };
    let one = spikes(&dealt(&fixed, 1));
    assert!(!one.is_empty());
    let random = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let others = [dealt(&fixed, 7), filled(&fixed, 16, |_| 0), filled(&fixed, 16, random), mapped(1), mapped(2)];
    for (k, assignment) in others.iter().enumerate() {
        assert!(one == spikes(assignment), "placement {k}");
    }
    assert_eq!(mapped(1), mapped(1));
    assert_ne!(mapped(1), mapped(2));
}

/// The mapper's figures are of a trial; over the steps of the trial itself they are what the emulator counts.
#[test]
fn what_a_mapping_promises_is_what_the_emulator_counts() {
    for (file, each) in [(WAVE, 16), (ADAPTING, 8)] {
        let chip = narrow(each);
        let made = built(file, &chip, build::Options { seed: 3, apart: false });
        let mut emulator = Emulator::load(&made.package.write().unwrap(), Mode::Strict).unwrap();
        emulator.run(made.trial.steps).unwrap();
        let (cores, host) = (Counters::sum(emulator.counters()), emulator.host_counters());
        let steps = made.trial.steps as f64;
        let sent = (cores.packets_out + host.packets_out) as f64;
        // Rates of cells that are silent count 2^-20 of a spike per step, for each axon.
        let silent = 1e-6 * made.package.cores.iter().map(|c| c.axons_in.len() as f64).sum::<f64>();
        let promised = made.mapping.summary.packets;
        assert!((promised - sent / steps).abs() <= silent, "{file}: {promised} packets, {}", sent / steps);
        assert_eq!((cores.spikes, cores.synaptic_operations), {
            let trial = made.trial.counters;
            (trial.spikes, trial.synaptic_operations)
        });
        // Host packets enter at the port, and their way is not counted by the emulator.
        if host.packets_out == 0 {
            let hops = (cores.hops_x + cores.hops_y) as f64 / steps;
            assert!((made.mapping.summary.hops - hops).abs() <= 16.0 * silent, "{file}: {hops} hops");
        }
    }
}

#[test]
fn a_package_with_impossible_figures_is_refused() {
    let package = package(ADAPTING);
    let changes: [fn(&mut Limits); 5] = [
        |l| l.synapse.word_bits = 0,
        |l| l.synapse.part = Some(0),
        |l| l.chip.cores_per_tile = 0,
        |l| l.core.axon_bytes = u64::MAX,
        |l| l.synapse.index_bits = 40,
    ];
    for (k, change) in changes.into_iter().enumerate() {
        let mut package = package.clone();
        change(&mut package.manifest.target);
        let refused = Emulator::load(&package.write().unwrap(), Mode::Strict).err().map(|e| e.to_string());
        assert!(refused.as_ref().is_some_and(|e| e.contains("out of range")), "{k}: {refused:?}");
    }
}

#[test]
fn tables_that_do_not_hold_the_circuit_are_found() {
    let fixed = quantised(WAVE);
    let assignment = dealt(&fixed, 3);
    let package = emit(&fixed, &assignment, &Limits::new(&chip("loihi2")));
    let check = |package: &Package| nsm::chip::emit::check(&fixed, &assignment, package);
    assert_eq!(check(&package), Ok(()));
    let broken = |change: &dyn Fn(&mut Package)| {
        let mut package = package.clone();
        change(&mut package);
        check(&package).expect_err("is broken")
    };
    broken(&|p| p.cores[0].words[0] ^= 1 << 40);
    broken(&|p| _ = p.cores[1].axons_out[0].pop());
    broken(&|p| p.cores[1].axons_out[0][0].axon += 100_000);
    broken(&|p| p.cores[2].compartments.swap(0, 1));
    broken(&|p| p.cores.swap(0, 1));
}

/// No worse than what simple mappings send, and what each core takes is within what the mapper charged for it.
#[test]
fn a_mapping_is_no_worse_than_its_baselines_and_stays_within_its_own_charges() {
    for file in [WAVE, ADAPTING, BURSTING] {
        let made = built(file, &narrow(16), build::Options { seed: 1, apart: false });
        let programs: Vec<_> = made.package.manifest.programs.iter().map(|p| assemble(p).unwrap()).collect();
        for b in made.mapping.baselines.iter().filter_map(|b| b.summary.as_ref()) {
            assert!(made.mapping.summary.packets <= b.packets, "{file}: {b:?}");
        }
        for (core, usage) in made.package.cores.iter().zip(&made.mapping.usage) {
            let charged = |r| usage[r];
            for (name, found, _) in demands(&made.package, &programs, core) {
                use map::Resource as R;
                let (charge, exact) = match name {
                    "neurons" => (charged(R::Compartments), true),
                    "synapses" => (charged(R::Synapses), true),
                    "axons in" => (charged(R::AxonsIn), true),
                    "axons out" => (charged(R::AxonsOut), true),
                    "words of programs" => (charged(R::ProgramWords), true),
                    "profiles" => (charged(R::Profiles), true),
                    "synapse formats" => (charged(R::Formats), true),
                    "learning rules" => (charged(R::Rules), true),
                    // A core with few compartments numbers them with fewer bits.
                    "words of synapses" => (charged(R::SynapseWords), false),
                    "bytes of memory" => (charged(R::MemoryBytes), false),
                    other => panic!("{other}"),
                };
                assert!(if exact { found == charge } else { found <= charge }, "{file}, {name}: {found}, {charge}");
            }
        }
    }
}

#[test]
fn one_more_than_the_chip_has_is_refused_by_name() {
    let package = package(WAVE);
    let programs: Vec<_> = package.manifest.programs.iter().map(|p| assemble(p).unwrap()).collect();
    assert_eq!(breaches(&package, &programs), []);
    let core = &package.cores[0];
    type Limit = fn(&mut Limits, u64);
    let mut cases: Vec<(&str, u64)> = demands(&package, &programs, core).map(|(name, used, _)| (name, used)).to_vec();
    // A rule is learned by none of these cells.
    cases.retain(|(_, used)| *used > 0);
    cases.push(("operations", programs.iter().map(|p| p.ops.len() as u64).max().unwrap()));
    let field = |name: &str| -> Limit {
        match name {
            "neurons" => |l, v| l.core.compartments = v,
            "words of synapses" => |l, v| l.core.synapse_words = Some(v),
            "synapses" => |l, v| l.core.synapses = Some(v),
            "axons in" => |l, v| l.core.axons_in = Some(v),
            "axons out" => |l, v| l.core.axons_out = Some(v),
            "words of programs" => |l, v| l.core.program_words = Some(v),
            "profiles" => |l, v| l.core.profiles = Some(v),
            "synapse formats" => |l, v| l.core.formats = Some(v),
            "bytes of memory" => |l, v| l.core.memory_bytes = Some(v),
            "operations" => |l, v| l.core.program_ops = v,
            other => panic!("{other}"),
        }
    };
    assert!(cases.len() >= 9, "{cases:?}");
    for (name, used) in cases {
        let mut tight = package.clone();
        field(name)(&mut tight.manifest.target, used);
        assert_eq!(breaches(&tight, &programs), [], "{name}");
        field(name)(&mut tight.manifest.target, used - 1);
        let found = breaches(&tight, &programs);
        assert!(found.iter().all(|b| b.resource == name && b.found == used) && !found.is_empty(), "{found:?}");
        assert!(Emulator::load(&tight.write().unwrap(), Mode::Strict).is_err(), "{name}");
    }
}
