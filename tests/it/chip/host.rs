//! Experiments that the host of a chip executes, beside the same on this machine.

use super::{built, chip, unit};
use nsm::chip::build::Options;
use nsm::chip::emulator::Mode;
use nsm::chip::host::Machine;
use nsm::driver::{self, Backend, MemoryLimit};
use nsm::execute::{self, Control, RunOutcome};
use nsm::ir::artefact::Unit;
use nsm::ir::protocol::Point;
use std::sync::atomic::AtomicBool;

const HOSTED: &str = "tests/corpus/ok/circuits/chip_host.nsm";
const WORLD: &str = "tests/corpus/ok/circuits/chip_world.nsm";
const SCALED: &str = "tests/corpus/ok/circuits/chip_scaled.nsm";
const SEED: u64 = 3;

fn machine(file: &str) -> Machine {
    let package = built(file, &chip("loihi2"), Options { seed: SEED, apart: false }).package;
    Machine::new(package.write().unwrap(), Mode::Strict).unwrap()
}

fn run(unit: &Unit, point: &Point, engine: &mut dyn nsm::backend::Engine) -> RunOutcome {
    let stop = AtomicBool::new(false);
    let out = execute::run(
        unit,
        point,
        SEED,
        engine,
        &Control { stop: &stop, progress: &|_| {}, quick: false, memory: f64::INFINITY },
    );
    assert_eq!(out.error, None);
    out
}

/// A run on the emulated chip and one of the interpreter, in both of which all expectations hold and the measures are the same.
fn beside(unit: &Unit, point: &Point, machine: &Machine) -> (RunOutcome, RunOutcome) {
    let needs = execute::needs(unit, point, true).unwrap();
    let prepared = driver::prepare_on_chip(unit, machine, f64::INFINITY).unwrap();
    let (mut on_chip, _) = prepared.engine(SEED, needs.traces.clone(), &needs.spikes, 1).unwrap();
    let limit = MemoryLimit::Default;
    let (mut here, _) = driver::engine(unit, SEED, needs.traces, &needs.spikes, Backend::Interp, 1, limit).unwrap();
    let (on_chip, here) = (run(unit, point, on_chip.as_mut()), run(unit, point, here.as_mut()));
    for out in [&on_chip, &here] {
        let failed: Vec<_> = out.expectations.iter().filter(|e| !e.holds()).map(|e| &e.text).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
    // Cells have no noise, and what they count lies far from where a rounded weight would matter.
    let rows = |out: &RunOutcome| out.rows.summaries().iter().map(|m| (m.name.clone(), m.spread)).collect::<Vec<_>>();
    assert_eq!(rows(&on_chip), rows(&here));
    (on_chip, here)
}

#[test]
fn the_host_of_a_chip_does_what_this_machine_does() {
    let (unit, points) = super::job(HOSTED);
    let machine = machine(HOSTED);
    for point in &points {
        let (on_chip, here) = beside(&unit, point, &machine);
        let voltage = |out: &RunOutcome| out.recording.states[0].values.clone();
        let (a, b) = (voltage(&on_chip), voltage(&here));
        assert_eq!(a.len(), b.len());
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Coefficients of 24 bits, and a state whose steps are 10 mV / 2^18, over 100 steps.
        assert!(worst < 0.01, "{worst} mV");
    }
    assert_eq!(machine.chips().len(), points.len());
}

/// The circuit's own expectations say what each of these does; here they are held to it on the chip and on this machine.
#[test]
fn the_host_of_a_chip_sends_events_steps_a_world_and_switches_learning() {
    let (unit, points) = super::job(WORLD);
    let (on_chip, _) = beside(&unit, &points[0], &machine(WORLD));
    let rows = on_chip.rows.summaries();
    let mean = |name: &str| rows.iter().find(|m| m.name == name).and_then(|m| m.spread).map(|s| s.mean);
    assert_eq!((mean("at_once"), mean("late"), mean("won")), (Some(12.0), Some(12.0), Some(2.0 / 3.0)));
    assert_eq!(on_chip.expectations.iter().count(), 7);
}

/// The circuit's own expectations and counts, as above.
#[test]
fn a_param_that_scales_what_arrives_counts_from_when_it_is_set() {
    let (unit, points) = super::job(SCALED);
    beside(&unit, &points[0], &machine(SCALED));
}

#[test]
fn a_package_runs_no_other_circuit() {
    let machine = machine(HOSTED);
    let other = unit(super::WAVE);
    let prepared = driver::prepare_on_chip(&other, &machine, f64::INFINITY).unwrap();
    let refused = prepared.engine(SEED, vec![], &[], 1).err().expect("another circuit");
    assert_eq!(refused.code.0, "E0702");
    assert!(refused.message.contains("another program for"), "{}", refused.message);
}

#[test]
fn the_examples_for_chips_are_legal_there() {
    let mut files: Vec<_> = std::fs::read_dir("examples/chip").unwrap().map(|f| f.unwrap().path()).collect();
    files.extend(["selection", "relay", "separation", "sequence"].map(|f| format!("examples/regions/{f}.nsm").into()));
    files.push("examples/agent.nsm".into());
    for file in files {
        let (loader, name) = nsm::cli::FileLoader::open(file.to_str().unwrap()).unwrap();
        let options = driver::Options { target: super::loihi2(), quick: true, ..driver::Options::default() };
        let out = driver::compile(&loader, &name, &options);
        assert!(!out.diagnostics.has_errors(), "{}: {:?}", file.display(), out.diagnostics);
    }
}
