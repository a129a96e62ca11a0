//! The reference interpreter and the native back end agree to the last bit, on any number of threads; and the experiments of
//! the corpus and of the examples hold what they expect.

use crate::lab::{Files, INTERP, Lab, NARROW, Place, Ran, messages, native, run, same_bits};
use nsm::backend::Engine;
use nsm::cli::FileLoader;
use nsm::driver::{self, Options, Outcome, Precision};
use nsm::execute::{self, Ledger, Rows};
use nsm::ir::Network;
use nsm::ir::artefact::Job;
use std::path::{Path, PathBuf};

/// Circuits of so many synapses are run in full only where they are asked for (`--ignored`).
const HEAVY: f64 = 2e6;

/// Sizes that make the large examples small; the tests of equality need no particular state of the network.
const SMALL: &[(&str, &[(&str, &str)])] = &[
    ("examples/agent.nsm", &[("episodes", "1"), ("moves", "2")]),
    ("examples/brunel.nsm", &[("C_E", "40")]),
    ("examples/coba.nsm", &[("n", "800")]),
    ("examples/coding/context.nsm", &[("trials", "2")]),
    ("examples/coding/information.nsm", &[("trials", "20")]),
    ("examples/coding/population_vector.nsm", &[("trials", "1")]),
    ("examples/cuba.nsm", &[("n", "800")]),
    ("examples/microcircuit.nsm", &[("scale", "0.02")]),
    ("examples/decision.nsm", &[("cells", "50")]),
    ("examples/realism.nsm", &[("tests", "1"), ("exam", "1"), ("blocks", "1")]),
    ("examples/nights.nsm", &[("days", "1"), ("episodes", "1"), ("moves", "2")]),
    (
        "examples/whole_agent.nsm",
        &[
            ("days", "1"),
            ("walks", "1"),
            ("moves", "1"),
            ("length", "1 s"),
            ("ca3", "100"),
            ("granule", "200"),
            ("per_item", "20"),
        ],
    ),
    ("examples/learning/brunel_stdp.nsm", &[("C_E", "40")]),
    ("examples/learning/pruning.nsm", &[("rounds", "1"), ("tests", "2")]),
    (
        "examples/learning/inhibition.nsm",
        &[("part", "0.05"), ("start", "9 ms"), ("lesson", "9 ms"), ("watched", "9 ms")],
    ),
];

fn nsm_files(folder: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut files: Vec<PathBuf> =
        all.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "nsm")).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn circuits() -> Vec<PathBuf> {
    let folders = [
        "examples",
        "examples/coding",
        "examples/learning",
        "stdlib/modulators",
        "stdlib/neurons",
        "stdlib/physics",
        "tests/corpus/ok/circuits",
    ];
    let mut files = folders.map(nsm_files).concat();
    // Some modules of the library are shown by a circuit of the corpus.
    files.retain(|f| std::fs::read_to_string(f).expect("readable").contains("\nnetwork "));
    files
}

fn compile(path: &Path, options: &Options) -> Outcome {
    let (loader, name) = FileLoader::open(path.to_str().unwrap()).unwrap();
    driver::compile(&loader, &name, options)
}

/// The experiments of a file, each 50 ms long where it has one `simulate`, and with the sizes of [`SMALL`].
pub fn short(path: &Path) -> Vec<Job> {
    short_in(path, Precision::F64)
}

fn short_in(path: &Path, precision: Precision) -> Vec<Job> {
    let known = SMALL.iter().find(|(file, _)| Path::new(file) == path);
    let set = known.map_or(Vec::new(), |(_, set)| set.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect());
    let full = Options { set, precision, ..Options::default() };
    let out = compile(path, &full);
    assert!(!out.jobs.is_empty(), "{}\n{}", path.display(), messages(&out));
    let short = |job: &Job| {
        let options = Options {
            experiment: Some(job.experiment.clone()).filter(|e| !e.is_empty()),
            for_time: Some("50 ms".to_string()),
            ..full.clone()
        };
        let mut out = compile(path, &options);
        // Several `simulate`s can't be replaced.
        if out.jobs.is_empty() { job.clone() } else { out.jobs.remove(0) }
    };
    out.jobs.iter().map(short).collect()
}

fn synapses(network: &Network) -> f64 {
    let populations = network.populations().count();
    nsm::valid::estimate(network).iter().skip(populations).map(|e| e.items).sum()
}

/// What differs first between two runs of one circuit.
fn difference(network: &Network, a: &mut Ran, b: &mut Ran) -> Option<String> {
    let (ea, eb) = (a.engine.as_mut(), b.engine.as_mut());
    if ea.step() != eb.step() {
        return Some(format!("{} and {} steps", ea.step(), eb.step()));
    }
    for (index, (_, population)) in network.populations().enumerate() {
        let (x, y) = (ea.spikes(index), eb.spikes(index));
        if x != y {
            let pairs = x.steps.iter().zip(&x.senders).zip(y.steps.iter().zip(&y.senders));
            let k = pairs.take_while(|(a, b)| a == b).count();
            let at = |log: &nsm::backend::SpikeLog| log.steps.get(k).copied().zip(log.senders.get(k).copied());
            return Some(format!("spike {k} of `{}` is {:?} and {:?}", population.path, at(x), at(y)));
        }
        for (state, of) in population.dynamics.states.iter().enumerate() {
            let (x, y) = (ea.state(index, state as u32), eb.state(index, state as u32));
            if !same_bits(&x, &y) {
                let k = (0..x.len().min(y.len())).find(|k| x[*k].to_bits() != y[*k].to_bits()).unwrap_or(0);
                let (x, y) = (x.get(k), y.get(k));
                return Some(format!("`{}.{}` of cell {k} is {x:?} and {y:?}", population.path, of.name));
            }
        }
    }
    for (x, y) in ea.traces().iter().zip(eb.traces()) {
        if x.request != y.request || x.steps != y.steps || !same_bits(&x.values, &y.values) {
            let k = x.values.iter().zip(&y.values).take_while(|(a, b)| a.to_bits() == b.to_bits()).count();
            return Some(format!("trace {:?} differs at value {k}", x.request));
        }
    }
    for projection in 0..network.projections().count() {
        if !same_bits(&ea.weights(projection), &eb.weights(projection)) {
            return Some(format!("the weights of projection {projection}"));
        }
    }
    let figures = |e: &mut dyn Engine| (e.traces().len(), e.synapses(), e.synaptic_events(), e.touches());
    if figures(ea) != figures(eb) {
        return Some(format!("traces, synapses, events, touches: {:?} and {:?}", figures(ea), figures(eb)));
    }
    // Printed, because a measured NaN is not equal to itself.
    let judged = |r: &Ran| format!("{:?} {:?} {:?}", r.outcome.expectations, r.outcome.rows, r.outcome.error);
    let (x, y) = (judged(a), judged(b));
    (x != y).then(|| format!("what was judged:\n{x}\nand\n{y}"))
}

#[test]
fn interpreter_and_native_code_agree_to_the_last_bit() {
    agree_everywhere(Precision::F64, &[1, 2, 3, 7]);
}

#[test]
fn they_agree_in_single_precision_too() {
    agree_everywhere(Precision::F32, &[2]);
}

fn agree_everywhere(precision: Precision, threads: &[usize]) {
    let mut wrong = Vec::new();
    let (mut compared, mut spikes) = (0, 0);
    let files = circuits();
    for path in &files {
        // The library's experiments are long, and what differs from one to the other are equations, not threads.
        let numbers = if path.starts_with("stdlib") { &[2] } else { threads };
        for job in short_in(path, precision) {
            // The first and the last point of a sweep, on the networks that they need.
            let mut points: Vec<usize> = vec![0, job.points.len() - 1];
            points.dedup();
            for k in points {
                let point = &job.points[k];
                let unit = &job.units[point.unit];
                let name = format!("{}, {} {}, point {k}", path.display(), job.network, job.experiment);
                assert!(synapses(&unit.network) <= HEAVY, "{name} needs an entry in SMALL");
                let at = |place: Place| run(unit, point, 3, place, false).unwrap_or_else(|e| panic!("{name}: {e}"));
                let mut reference = at(INTERP);
                spikes += reference.outcome.populations.iter().map(|p| p.spikes).sum::<u64>();
                compared += 1;
                for threads in numbers.iter().copied() {
                    if let Some(d) = difference(&unit.network, &mut reference, &mut at(native(threads))) {
                        wrong.push(format!("{name}, {threads} threads: {d}"));
                    }
                }
                // One after the other: each circuit in both would take the time of a test in itself.
                let place = NARROW[compared % NARROW.len()];
                if let Some(d) = difference(&unit.network, &mut reference, &mut at(place)) {
                    wrong.push(format!("{name}, {place:?}: {d}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= 30 && compared >= files.len(), "{compared} circuits of {} files", files.len());
    assert!(spikes > 10_000, "{spikes} spikes prove little");
}

/// Runs a text on the interpreter and on several numbers of threads; gives its spikes.
fn agree(text: &str) -> u64 {
    let lab = Lab::new(text);
    let network = &lab.unit().network;
    let mut reference = lab.run(INTERP);
    for threads in [1, 2, 3, 7] {
        let d = difference(network, &mut reference, &mut lab.run(native(threads)));
        assert!(d.is_none(), "{threads} threads: {}\n{text}", d.unwrap_or_default());
    }
    for place in NARROW {
        let d = difference(network, &mut reference, &mut lab.run(place));
        assert!(d.is_none(), "{place:?}: {}\n{text}", d.unwrap_or_default());
    }
    let single = Lab::of(&Files::new(text), &Options { precision: Precision::F32, ..Options::default() });
    let mut alike = single.run(INTERP);
    for place in [native(2), NARROW[0], NARROW[1]] {
        let d = difference(&single.unit().network, &mut alike, &mut single.run(place));
        assert!(d.is_none(), "{place:?} in single precision: {}\n{text}", d.unwrap_or_default());
    }
    reference.outcome.populations.iter().map(|p| p.spikes).sum()
}

/// Sizes around those of a block and of a thread's share, delays beyond a byte, rows without synapses, several receptors,
/// values per cell, noise, and settings while it runs.
/// The regions of the library, small, each driven so that it does what it is for.
#[test]
fn regions_of_the_brain_agree() {
    let circuits = [
        "use std.regions.BasalGanglia
        experiment A of BasalGanglia(channels = 3, msn = 7, cells = 5) {
            for k in 0 .. 3 { set salience[k] = 4 mV + k * 2 mV }
            simulate 100 ms
            expect count(GPi) > 0
        }",
        "use std.regions.Critic
        experiment A of Critic(cells = 17) {
            simulate 100 ms
            expect count(value) > 0
        }",
        "use std.regions.Pfc
        experiment A of Pfc(items = 2, per_item = 23, inh = 11, J = 6 mV) {
            set E[0].I = 12 mV lasting 50 ms
            simulate 100 ms
            expect count(E) > 0
        }",
        "use std.regions.PfcRing
        experiment A of PfcRing(cells = 61, inh = 11, J = 4 mV) {
            set E[.. 9].I = 12 mV lasting 50 ms
            simulate 100 ms
            expect count(E) > 0
        }",
        "use std.regions.Ca3
        experiment A of Ca3(pyramidal = 37, inh = 5) {
            let p = sample(CA3, 10)
            set acetylcholine = 1
            set CA3[p].I = 40 mV
            simulate 40 ms
            set acetylcholine = 0
            simulate 40 ms
            expect sum(weight(rec)) > 0 mV
        }",
        "use std.regions.Hippocampus
        experiment A of Hippocampus(ec = 80, granule = 100, ca3 = 40, ca1 = 40, inh = 5) {
            let p = sample(EC, 30)
            set EC[p].I = drive
            simulate 60 ms
            set acetylcholine = 0
            simulate 30 ms
            expect count(EC_out) > 0
        }",
        "use std.regions.Cerebellum
        use std.sources.Poisson
        network Learner {
            dt 1 ms
            source MF[20]: Poisson(rate = 60 Hz)
            region cb: Cerebellum(granule = 83, golgi = 7, interneurons = 5, outputs = 2, pc = 3, dcn = 3)
            projection MF -> cb.mossy { connect fixed_indegree(4)  weight 2 * cb.mossy.weight  delay 1 ms }
        }
        experiment A of Learner {
            set cb.error = [15 mV, -15 mV]
            simulate 100 ms
            expect count(cb.IO) > 0
            expect sd(weight(cb.pf)) > 0 mV
        }",
        "use std.regions.(Cortex, Instar)
        use std.sources.Poisson
        network Layer {
            dt 1 ms
            source fibres[20]: Poisson(rate = 60 Hz)
            region v1: Cortex(cells = 9, winners = 2)
            projection fibres -> v1.input {
                connect all_to_all  weight uniform(0 mV, 2 mV)  delay 1 ms  plasticity Instar(w_max = 3 mV)
            }
        }
        experiment A of Layer {
            simulate 200 ms
            expect count(v1.L) > 0
        }",
        "use std.regions.Thalamus
        experiment A of Thalamus(channels = 3, cells = 7) {
            set Relay.I = 6 mV
            simulate 100 ms
            expect count(TRN) > 0
        }",
        "use std.regions.PfcChain
        experiment A of PfcChain(items = 3, per_item = 9, inh = 5) {
            for k in 0 .. 3 {
                set E[k].I = 12 mV lasting 40 ms
                simulate 40 ms
            }
            expect sum(weight(chain)) > 0 mV
        }",
        "use std.regions.(Ca3, GridCells, PlaceCells)
        use std.modulators.Level
        network Explorer {
            dt 1 ms
            modulator acetylcholine: Level(baseline = 1)
            region store: Ca3(pyramidal = 37, inh = 5, acetylcholine = acetylcholine)
            region place: PlaceCells(line = 5)
            region grid: GridCells(modules = 2, per_module = 9)
            projection (place.out, grid.out) -> store.direct { connect all_to_all  weight store.direct.weight  delay 1 ms }
        }
        experiment A of Explorer {
            let p = sample(store.CA3, 10)
            set store.CA3[p].I = 40 mV
            set place.x = 0.5 m
            set place.y = 0.5 m
            simulate 100 ms
            expect size(active(store.CA3)) >= 10
            expect count(place.cells) > 0
            expect count(grid.cells) > 0
        }",
    ];
    for text in circuits {
        assert!(agree(text) > 10, "{text}");
    }
}

#[test]
fn awkward_sizes_and_delays_agree() {
    for n in [1, 2, 7, 8, 9, 63, 64, 65, 130] {
        let spikes = agree(&format!(
            "use std.neurons.(LifCuba, LifCondExp, LifAlpha, Izhikevich)
use std.sources.(Poisson, Regular)
network Awkward {{
    population A[{n}]: LifCuba(sigma = 3 mV, bias = 22 mV, tau_m = uniform(10 ms, 20 ms)) {{ mixed }}
    population B[cell: {n}]: LifCondExp(I_e = 300 pA, t_ref = 0.1 ms * (cell + 1), V = normal(-60 mV, 5 mV)) {{ mixed }}
    population C[3]: LifAlpha(I_e = 500 pA)
    population D[2 * {n} + 1]: Izhikevich(bias = 8 mV/ms, sigma = 3 mV/ms)
    source trains[{n}]: Poisson(rate = 2 kHz)
    source dense: Poisson(rate = 30 kHz)
    source beat: Regular(interval = 3 ms)
    projection A -> A.exc {{ connect bernoulli(0.3) with autapses  weight normal(0.1 mV, 1 mV)  delay uniform(0.1 ms, 60 ms) }}
    projection A -> (B.exc, B.inh) {{ connect all_to_all  weight uniform(0 nS, 4 nS)  delay 0.1 ms }}
    projection B -> C.inh {{ connect all_to_all  weight -3 pA  delay 25.6 ms }}
    projection B -> C.exc {{ connect fixed_outdegree(2)  weight 5 pA * (pre + post)  delay 25.5 ms }}
    projection trains -> A.exc {{ connect fixed_indegree(1)  weight 0.1 mV  delay 1 ms }}
    projection trains -> D {{ connect bernoulli(0.02)  weight 1 mV  delay 1 ms + 0.1 ms * post }}
    projection D -> D {{ connect fixed_total_number(1)  weight 2 mV  delay 3 ms }}
    projection dense -> A.exc {{ weight 0.01 mV }}
    projection beat -> B.exc {{ weight 20 nS }}
}}
experiment Go of Awkward {{
    record V of A, B
    simulate 40 ms
    set A.I = 5 mV lasting 7.3 ms
    set B[0].V_th = -57 mV
    set dense.rate = 10 kHz
    simulate 60 ms
}}
"
        ));
        assert!(spikes > 20, "{spikes} spikes with n = {n}");
    }
}

/// Populations around 65,536 cells, where an index no longer fits into two bytes.
/// Rows that are made anew for each spike, cut by threads within the blocks that they are drawn in, and beside stored ones.
#[test]
fn procedural_projections_agree() {
    for (n, k) in [(1, 0), (64, 7), (700, 70), (1100, 30)] {
        let spikes = agree(&format!(
            "use std.neurons.(LifCuba, LifDelta)
use std.sources.Poisson
network Unkept {{
    population A[{n}]: LifCuba(sigma = 3 mV, bias = 22 mV) {{ mixed }}
    population B[{n} + 3]: LifDelta(bias = 21 mV) {{ mixed }}
    source trains[5]: Poisson(rate = 300 Hz)
    projection A -> B {{ connect bernoulli(0.3) procedural  weight 0.01 mV  delay 1 ms }}
    projection A -> A.exc {{ connect bernoulli(0.02) procedural  weight normal(0.1 mV, 1 mV)  delay uniform(0.1 ms, 30 ms) }}
    projection A -> A.exc {{ connect fixed_outdegree(1) with autapses  weight uniform(0 mV, 1 mV)  delay 0.7 ms }}
    projection A -> A.exc {{
        connect fixed_outdegree({k}) with multapses procedural
        weight -0.1 mV * (post + 1)  delay clip(normal(2 ms, 1 ms), 0.3 ms, 26 ms)
    }}
    projection B[.. 4] -> A.inh {{ connect all_to_all where post > 600 * pre procedural  weight -0.01 mV  delay 0.1 ms }}
    projection trains -> B {{ connect bernoulli(0.9) procedural  weight uniform(0 mV, 1 mV)  delay 0.2 ms * (pre + 1) }}
    projection B[.. 1] -> B {{ connect all_to_all with autapses procedural  weight 0.1 mV  delay uniform(2 ms, 5 ms) }}
}}
experiment Go of Unkept {{ simulate 30 ms  set A.bias = 25 mV  simulate 10 ms }}
"
        ));
        assert!(spikes > 20, "{spikes} spikes of {n} cells");
    }
}

#[test]
fn large_populations_agree() {
    for n in [65_536, 65_537] {
        let spikes = agree(&format!(
            "use std.neurons.LifDelta
use std.sources.Poisson
network Large {{
    population P[{n}]: LifDelta(V = uniform(0 mV, 21 mV), bias = 21 mV)
    population last[1]: LifDelta(V = 30 mV)
    source private: Poisson(rate = 100 Hz)
    projection P -> P {{ connect fixed_total_number(100000)  weight uniform(1 mV, 9 mV)  delay uniform(0.1 ms, 0.9 ms) }}
    projection last -> P {{ connect all_to_all  weight 5 mV  delay 0.5 ms }}
    projection private -> P {{ weight 3 mV }}
}}
experiment Go of Large {{ simulate 3 ms }}
"
        ));
        assert!(spikes > 10_000, "{spikes} spikes");
    }
}

/// Runs every seed and point of a job with its expectations, as `nsmc test --quick` does; gives what does not hold.
fn judge(job: &Job) -> Vec<String> {
    let (mut ledger, mut rows, mut problems) = (Ledger::default(), Rows::default(), Vec::new());
    let runs = job.points.iter().flat_map(|p| (0..job.seeds).map(move |k| (p, k)));
    for (index, (point, seed)) in runs.enumerate() {
        match run(&job.units[point.unit], point, 1 + seed, native(2), true) {
            Ok(mut ran) => {
                problems.extend(ran.outcome.error.take().map(|e| format!("{e:?}")));
                ledger.extend(&ran.outcome.expectations);
                rows.append(std::mem::take(&mut ran.outcome.rows), index);
            }
            Err(e) => problems.push(e),
        }
    }
    let conclusion = execute::conclude(&job.units[0].protocol, &rows, true);
    ledger.extend(&conclusion.expectations);
    problems.extend(conclusion.error.map(|e| format!("{e:?}")));
    let failed = ledger.iter().filter(|e| !e.holds());
    problems.extend(failed.map(|e| format!("`{}` at {}: measured {:?}", e.text, e.place, e.measured_text())));
    problems
}

/// Judges every experiment whose network is heavy or not, as asked; gives how many there were.
fn all_hold(heavy: bool) -> usize {
    let (mut judged, mut wrong) = (0, Vec::new());
    // Cells of many compartments take the interpreter minutes; what they are made of agrees in the library's own circuits.
    for path in circuits().into_iter().chain(nsm_files("examples/cells")) {
        let out = compile(&path, &Options { quick: true, ..Options::default() });
        assert!(!out.jobs.is_empty(), "{}\n{}", path.display(), messages(&out));
        for job in out.jobs.iter().filter(|j| !j.experiment.is_empty()) {
            if job.units.iter().any(|u| synapses(&u.network) > HEAVY) == heavy {
                judged += 1;
                let at = |p: String| format!("{}, {}: {p}", path.display(), job.experiment);
                wrong.extend(judge(job).into_iter().map(at));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    judged
}

#[test]
fn experiments_hold_what_they_expect() {
    let judged = all_hold(false);
    assert!(judged >= 40, "{judged} experiments");
}

#[test]
#[ignore = "networks of millions of synapses: a minute and a gigabyte"]
fn heavy_experiments_hold_what_they_expect() {
    let judged = all_hold(true);
    assert!(judged >= 1, "{judged} experiments");
}
