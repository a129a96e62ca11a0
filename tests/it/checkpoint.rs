//! A run that is saved and taken up again gives what it gives in one go, to the last bit; what is no checkpoint of it is refused.

use crate::equivalence::short;
use crate::lab::{Files, INTERP, Lab, Place, native};
use nsm::base::sections::Broken;
use nsm::driver::{self, MemoryLimit, Options};
use nsm::execute::{self, Checkpoint, Control, Needs, Origin, RunOutcome, Saving};
use nsm::ir::artefact::Job;
use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A run that ended: what it gave, the state of its engine as bytes, and its checkpoints as files.
struct Went {
    outcome: RunOutcome,
    engine: Vec<u8>,
    files: Vec<Vec<u8>>,
}

/// How a run is made.
#[derive(Clone, Copy)]
struct How<'a> {
    place: Place,
    every: Option<u64>,
    /// Checkpoints are made.
    saved: bool,
    /// The run is stopped at its so-many-th checkpoint.
    stop_at: Option<usize>,
    from: Option<&'a [u8]>,
}

const PLAIN: How = How { place: native(2), every: None, saved: false, stop_at: None, from: None };

fn origin(job: &Job, point: usize) -> Origin {
    Origin::of(job, point, 3, true).expect("a point of the job")
}

fn go(job: &Job, point: usize, how: How) -> Went {
    let unit = &job.units[job.points[point].unit];
    let Needs { spikes, traces } = execute::needs(unit, &job.points[point], true).expect("needs");
    let How { place, .. } = how;
    let made = driver::engine(unit, 3, traces, &spikes, place.backend, place.threads, MemoryLimit::Default);
    let (mut engine, _) = made.unwrap_or_else(|d| panic!("{}", d.message));
    let files = RefCell::new(Vec::new());
    let stop = AtomicBool::new(false);
    let write = |c: &Checkpoint| {
        let mut bytes = Vec::new();
        c.write(&mut bytes).expect("a checkpoint has a form");
        files.borrow_mut().push(bytes);
        if Some(files.borrow().len()) == how.stop_at {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let from = how.from.map(|bytes| {
        let checkpoint = Checkpoint::read(bytes).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(checkpoint.mismatch(&origin(job, point), unit), None);
        checkpoint
    });
    let write = how.saved.then_some(&write as &dyn Fn(&Checkpoint));
    let saving = Saving { origin: origin(job, point), from, every: how.every, write };
    let control = Control { stop: &stop, progress: &|_| {}, quick: true, memory: f64::INFINITY };
    let mut outcome = execute::go_on(unit, &job.points[point], 3, engine.as_mut(), &control, Some(saving));
    // Of the machine, and of how synapses are held.
    (outcome.run_s, outcome.synapse_bytes) = (0.0, 0);
    let engine = postcard::to_stdvec(&engine.save()).expect("a state has a form");
    Went { outcome, engine, files: files.into_inner() }
}

fn same(name: &str, a: &Went, b: &Went) {
    // Printed, because a measured NaN is not equal to itself; numbers are printed to their last bit.
    let (x, y) = (format!("{:?}", a.outcome), format!("{:?}", b.outcome));
    if x != y {
        let at = x.bytes().zip(y.bytes()).take_while(|(a, b)| a == b).count();
        let near = |s: &str| s.chars().skip(at.saturating_sub(120)).take(240).collect::<String>();
        panic!("{name}: results differ\n{}\nand\n{}", near(&x), near(&y));
    }
    assert!(a.engine == b.engine, "{name}: states of the engines differ at the end");
}

/// Five cuts of a run, each taken up on another number of threads or back end.
fn cuts(name: &str, job: &Job, point: usize) {
    let plain = go(job, point, PLAIN);
    assert_eq!(plain.outcome.error, None, "{name}");
    let steps = plain.outcome.steps;
    let every = Some((steps / 6).max(1));
    let saved = go(job, point, How { every, saved: true, ..PLAIN });
    same(&format!("{name}, saved in between"), &plain, &saved);
    assert!(saved.files.len() >= 6.min(steps as usize), "{name}: {} checkpoints of {steps} steps", saved.files.len());
    let places = [native(1), native(3), INTERP, native(2), native(1)];
    for (k, (file, place)) in saved.files.iter().zip(places).enumerate() {
        let again = go(job, point, How { place, from: Some(file), ..PLAIN });
        same(&format!("{name}, cut {k}, taken up on {place:?}"), &plain, &again);
    }
    let end = saved.files.last().expect("a checkpoint at the end");
    same(&format!("{name}, its end"), &plain, &go(job, point, How { from: Some(end), ..PLAIN }));
    // The interpreter saves what native code takes up.
    let oracle = go(job, point, How { place: INTERP, every, saved: true, ..PLAIN });
    same(&format!("{name}, interpreter"), &plain, &oracle);
    let again = go(job, point, How { from: Some(&oracle.files[1]), ..PLAIN });
    same(&format!("{name}, saved by the interpreter"), &plain, &again);
}

/// Cuts all experiments of some circuits of the corpus.
fn cut_all(names: &[&str]) {
    for name in names {
        for job in short(Path::new(&format!("tests/corpus/ok/circuits/{name}.nsm"))) {
            cuts(&format!("{name} {}", job.experiment), &job, job.points.len() - 1);
        }
    }
}

#[test]
fn cells_and_what_is_on_its_way_are_taken_up() {
    cut_all(&["balanced_small", "delays_random", "delays_long", "adaptive", "noise", "lif_alpha", "source_regular"]);
}

#[test]
fn values_of_continuous_projections_are_taken_up() {
    cut_all(&["coupling_delays", "gap_junctions", "rate_sigmoid", "rate_spikes"]);
}

#[test]
fn winners_and_regions_are_taken_up() {
    cut_all(&["positions", "regions"]);
}

#[test]
fn synapses_that_learn_are_taken_up() {
    cut_all(&["plasticity_rules", "updates", "modulators", "rewiring"]);
}

#[test]
fn experiments_are_taken_up() {
    cut_all(&["set_lasting", "statements", "records_plots", "sweep_seeds", "sensors", "trials", "resets"]);
}

const SHORT_TERM: &str = "
use std.neurons.LifCuba
use std.sources.Poisson
use std.plasticity.(TsodyksMarkram, Release)
network Resources {
    source input[40]: Poisson(rate = 60 Hz)
    population E[50]: LifCuba(bias = 14 mV, sigma = 2 mV)
    population F[30]: LifCuba(bias = 18 mV, sigma = 2 mV)
    projection ff: input -> E.exc {
        connect bernoulli(0.5)  weight uniform(1 mV, 4 mV)  delay uniform(0.5 ms, 8 ms)
        plasticity TsodyksMarkram(U = 0.5, tau_rec = 80 ms, tau_facil = 20 ms)
    }
    projection out: E -> F.exc { connect bernoulli(0.4)  weight 3 mV  delay 5 ms  plasticity Release(p = 0.4) }
}
experiment Go of Resources {
    record spikes of E, F
    simulate 40 ms
    let active = rate(E over 10 ms)
    simulate 30 ms
    measure late = rate(E over 15 ms) - active
    measure last = rate(F)
    expect count(E) > 0
}
";

#[test]
fn short_term_plasticity_is_taken_up() {
    cuts("short-term plasticity", &Lab::new(SHORT_TERM).job, 0);
}

#[test]
#[ignore = "minutes: every circuit of the corpus"]
fn all_circuits_of_the_corpus_can_be_taken_up() {
    let mut files: Vec<_> =
        std::fs::read_dir("tests/corpus/ok/circuits").expect("corpus").map(|f| f.expect("file").path()).collect();
    files.retain(|f| f.extension().is_some_and(|x| x == "nsm"));
    files.sort();
    for path in files {
        for job in short(&path) {
            cuts(&format!("{} {}", path.display(), job.experiment), &job, 0);
        }
    }
}

const LOOPS: &str = "
use std.neurons.LifDelta
use std.sources.Poisson
network Loops {
    source d: Poisson(rate = 10 kHz)
    population E[130]: LifDelta
    projection d -> E { weight 0.3 mV }
    projection E -> E { connect bernoulli(0.1)  weight 0.2 mV  delay uniform(0.2 ms, 4 ms) }
}
experiment Go of Loops {
    let order = permutation(3)
    var seen[k: 3] = 0
    for round in 0 .. 2, k in order {
        let width = uniform(1 ms, 3 ms)
        if round == 1 { set E[..40].I = 5 mV lasting 4 ms } else { set E.V_th = 19 mV lasting 2.5 ms }
        simulate width as trial
        seen[k] += count(E during trial)
        measure fired = count(E during trial)
    }
    repeat 50 until seen[0] > 100 {
        simulate 2 ms as more
        seen[0] += count(E during more)
        if bernoulli(0.5) { measure late = count(E during more[1 ms ..]) }
    }
    expect seen[0] > 0
    measure total = sum(seen)
}
";

#[test]
fn a_run_is_taken_up_within_loops_and_branches() {
    let lab = Lab::new(LOOPS);
    cuts("loops", &lab.job, 0);
    // Stopped again and again: at each of its checkpoints, and wherever the stop is seen.
    let plain = go(&lab.job, 0, PLAIN);
    let (mut from, mut stops): (Option<Vec<u8>>, u32) = (None, 0);
    let last = loop {
        let how = How { every: Some(7), saved: true, stop_at: Some(2), from: from.as_deref(), ..PLAIN };
        let went = go(&lab.job, 0, how);
        if !went.outcome.interrupted {
            break went;
        }
        stops += 1;
        assert!(stops < 10_000, "it does not move");
        from = went.files.last().cloned();
    };
    assert!(stops > 10, "{stops} stops prove little");
    same("stopped again and again", &plain, &last);
}

/// The job of a text with a total time.
fn timed(text: &str, time: &str) -> Job {
    Lab::of(&Files::new(text), &Options { for_time: Some(time.to_string()), ..Options::default() }).job
}

const LEARNING: &str = "
use std.neurons.LifCuba
use std.sources.Poisson
use std.plasticity.PairStdp
network Learning {
    source input[70]: Poisson(rate = 30 Hz)
    population E[90]: LifCuba(bias = 18 mV, sigma = 2 mV)
    projection ff: input -> E.exc {
        connect bernoulli(0.5)  weight uniform(0 mV, 1 mV)  delay uniform(0.5 ms, 3 ms)
        plasticity PairStdp(w_max = 1 mV)
    }
}
experiment Go of Learning {
    record spikes of E
    record V of E[..3] every 0.3 ms
    record weights of ff every 7 ms
    simulate 30 ms
    measure rate = rate(E)
    expect mean(weight(ff)) > 0 mV
}
";

#[test]
fn a_run_goes_on_beyond_its_first_end() {
    let (one, two) = (timed(LEARNING, "30 ms"), timed(LEARNING, "75 ms"));
    let first = go(&one, 0, How { saved: true, ..PLAIN });
    let [end] = first.files.as_slice() else { panic!("{} checkpoints", first.files.len()) };
    let again = go(&two, 0, How { place: native(3), from: Some(end), ..PLAIN });
    same("longer", &go(&two, 0, PLAIN), &again);
    // Back in time it can't go.
    let short = timed(LEARNING, "20 ms");
    let found = Checkpoint::read(end).unwrap().mismatch(&origin(&short, 0), &short.units[0]).unwrap();
    assert_eq!(found.message, "it is of t = 30 ms, after the end of this run at 20 ms");
}

#[test]
fn a_checkpoint_of_something_else_says_what_differs() {
    let job = timed(LEARNING, "30 ms");
    let file = go(&job, 0, How { saved: true, ..PLAIN }).files.remove(0);
    let checkpoint = Checkpoint::read(&file).unwrap();
    let message = |job: &Job, seed: u64, recorded: bool| {
        let origin = Origin::of(job, 0, seed, recorded).unwrap();
        checkpoint.mismatch(&origin, &job.units[0]).map(|m| m.message).unwrap_or_default()
    };
    let text = |from: &str, to: &str| {
        assert!(LEARNING.contains(from), "{from}");
        message(&timed(&LEARNING.replace(from, to), "30 ms"), 3, true)
    };
    assert_eq!(text("rate = 30 Hz", "rate = 30 Hz"), "");
    assert_eq!(text("Learning", "Other"), "it is of the circuit `Learning`, this one is `Other`");
    assert_eq!(text("experiment Go", "experiment Stay"), "it is of `Go`, this run is of `Stay`");
    assert_eq!(
        text("source input", "dt 0.2 ms\nsource input"),
        "it was made in steps of 100 us, this circuit has steps of 200 us"
    );
    let changed = |path: &str| format!("`{path}` is not what it was (a size, a value, an equation or a rule)");
    assert_eq!(text("E[90]", "E[91]"), changed("E"));
    assert_eq!(text("rate = 30 Hz", "rate = 31 Hz"), changed("input"));
    assert_eq!(text("delay uniform(0.5 ms", "delay uniform(0.6 ms"), changed("ff"));
    assert_eq!(text("PairStdp(w_max = 1 mV)", "PairStdp(w_max = 2 mV)"), "the circuit `Learning` is not what it was");
    assert_eq!(text("every 7 ms", "every 8 ms"), "the statements of the experiment are not what they were");
    assert_eq!(message(&job, 4, true), "it was made with seed 3, this run has seed 4");
    assert_eq!(message(&job, 3, false), "it was made with `--out`");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let lab = Lab::new(
        "use std.neurons.LifDelta\nnetwork A { population E[2]: LifDelta }\nexperiment Go of A { simulate 1 ms }",
    );
    let file = go(&lab.job, 0, How { saved: true, ..PLAIN }).files.remove(0);
    assert!(Checkpoint::read(&file).is_ok());
    for n in 0..file.len() {
        assert!(Checkpoint::read(&file[..n]).is_err(), "{n} bytes");
        for bit in [0x01, 0x80] {
            let mut changed = file.clone();
            changed[n] ^= bit;
            assert!(Checkpoint::read(&changed).is_err(), "byte {n}");
        }
    }
    let mut longer = file.clone();
    longer.push(0);
    let length = file.len() as u64;
    assert_eq!(Checkpoint::read(&longer).err(), Some(Broken::Length { found: length + 1, expected: length }));
    let mut other = file;
    other[8] = 9;
    assert_eq!(Checkpoint::read(&other).err(), Some(Broken::Version { found: 9, known: 2 }));
    assert!(Checkpoint::read(b"network A {}").is_err());
}

/// A state whose sections are whole but which is of another network is refused by both back ends, and nothing panics.
#[test]
fn a_state_of_another_network_is_refused() {
    let (a, b) = (timed(LEARNING, "5 ms"), timed(&LEARNING.replace("E[90]", "E[100]"), "5 ms"));
    let file = go(&a, 0, How { saved: true, ..PLAIN }).files.remove(0);
    for place in [INTERP, native(2)] {
        let unit = &b.units[0];
        let Needs { spikes, traces } = execute::needs(unit, &b.points[0], true).unwrap();
        let made = driver::engine(unit, 3, traces, &spikes, place.backend, place.threads, MemoryLimit::Default);
        let mut engine = made.unwrap_or_else(|d| panic!("{}", d.message)).0;
        let from = Checkpoint::read(&file).ok();
        let saving = Saving { origin: origin(&b, 0), from, every: None, write: None };
        let control = Control { stop: &AtomicBool::new(false), progress: &|_| {}, quick: false, memory: f64::INFINITY };
        let outcome = execute::go_on(unit, &b.points[0], 3, engine.as_mut(), &control, Some(saving));
        let error = format!("{:?}", outcome.error);
        assert!(error.contains("does not fit the network"), "{error}");
    }
}

mod program;
