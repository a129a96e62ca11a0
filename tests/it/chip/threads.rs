//! A package on several threads.

use super::{build, built, narrow};
use nsm::chip::emulator::{Counters, Emulator, Mode, Spike};

const DENSE: &str = "tests/corpus/ok/circuits/chip_threads.nsm";

/// What a run leaves: spikes, counters of cores and host, weights and traces.
fn left(bytes: &[u8], threads: usize) -> (Vec<Spike>, Vec<Counters>, Counters, String) {
    let mut chip = Emulator::load(bytes, Mode::Strict).unwrap();
    chip.set_threads(threads);
    // In pieces, as hosts do: some long enough for threads, some not.
    for steps in [1, 60, 2, 137] {
        chip.run(steps).unwrap_or_else(|f| panic!("{f}"));
    }
    let projections = 0..chip.manifest().projections.len();
    let learnt: Vec<_> = projections.map(|k| (chip.synapses(k), chip.traces(k))).collect();
    (chip.spikes().to_vec(), chip.counters().collect(), chip.host_counters(), format!("{learnt:?}"))
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let package = built(DENSE, &narrow(64), build::Options { seed: 1, apart: false }).package;
    assert!(package.cores.len() > 7, "{} cores", package.cores.len());
    let bytes = package.write().unwrap();
    let one = left(&bytes, 1);
    // Enough for the emulator to think threads worth it.
    let work: u64 = one.1.iter().map(|c| c.operations + c.synaptic_operations + c.learning_operations).sum();
    assert!(work / 200 > 10_000, "{work} operations");
    for threads in [2, 3, 7] {
        assert!(left(&bytes, threads) == one, "{threads} threads");
    }
}

/// A fault is the first one, whoever finds one first.
#[test]
fn any_number_of_threads_finds_the_same_fault() {
    let package = built(DENSE, &narrow(64), build::Options { seed: 1, apart: false }).package;
    let mut broken = package.clone();
    // Refractory times of two cells on two cores that are more than their words of 16 bits hold.
    for core in [2, 5] {
        broken.cores[core].compartments[3].state[3] = 40_000;
    }
    let bytes = broken.write().unwrap();
    let fault = |threads: usize| {
        let mut emulator = Emulator::load(&bytes, Mode::Strict).unwrap();
        emulator.set_threads(threads);
        let fault = emulator.run(100).expect_err("leaves its range");
        (fault, emulator.step(), emulator.spikes().to_vec())
    };
    let one = fault(1);
    assert_eq!(one.0.core, 2, "{}", one.0);
    for threads in [2, 3, 7] {
        assert!(fault(threads) == one, "{threads} threads");
    }
}
