//! What the parts cost, each by itself: `cargo bench --bench parts`, or `-- construction` for one of them.

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use nsm::backend::Engine;
use nsm::backend::native::Lanes;
use nsm::cli::FileLoader;
use nsm::connect::{Cells, Ends, Outgoing, Rule, Scratch, Spec};
use nsm::driver::{self, Backend, MemoryLimit, Options, Outcome, Precision};
use nsm::random::{Purpose, StreamKey};
use nsm::runtime::{DelayForm, Ring, RingKind, Rows, RowsBuilder, WeightForm};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A file of the examples as IR, with params set.
fn compiled(file: &str, set: &[(&str, &str)], precision: Precision) -> Outcome {
    let path = format!("{}/examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let set = set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let (loader, name) = FileLoader::open(&path).expect("the example is there");
    driver::compile(&loader, &name, &Options { set, precision, ..Options::default() })
}

fn engine(outcome: &Outcome) -> Box<dyn Engine> {
    engine_of(outcome, Backend::Native)
}

fn engine_of(outcome: &Outcome, backend: Backend) -> Box<dyn Engine> {
    let unit = &outcome.jobs[0].units[0];
    let made = driver::engine(unit, 1, Vec::new(), &[], backend, 1, MemoryLimit::Default);
    made.unwrap_or_else(|e| panic!("{}", e.message)).0
}

/// Text to verified IR, and IR to callable kernels.
fn compile(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    for file in ["cuba.nsm", "brunel.nsm", "microcircuit.nsm", "agent.nsm"] {
        group.bench_function(format!("{file}, text to IR"), |b| {
            b.iter(|| black_box(compiled(file, &[], Precision::F64)));
        });
        let outcome = compiled(file, &[], Precision::F64);
        group.bench_function(format!("{file}, IR to kernels"), |b| {
            b.iter(|| driver::prepare(&outcome.jobs[0].units[0], Backend::Native, f64::INFINITY).is_ok());
        });
    }
}

/// Elements and synapses: equal dense ones, and ones with weights and delays of their own.
fn construction(c: &mut Criterion) {
    let mut group = c.benchmark_group("construction");
    for (file, set) in [("brunel.nsm", ("C_E", "400")), ("microcircuit.nsm", ("scale", "0.05"))] {
        let outcome = compiled(file, &[set], Precision::F64);
        group.throughput(Throughput::Elements(engine(&outcome).synapses()));
        group.bench_function(file, |b| b.iter(|| black_box(engine(&outcome))));
    }
}

/// Rows of 1000 targets among 10,000 for 200 senders: a tenth of the synapses of a network like Brunel's.
fn rows(weights: WeightForm, delays: DelayForm) -> Rows {
    let (n_pre, range, indegree) = (1000, 10_000, 100);
    let mut builder = RowsBuilder::new(n_pre, range, (range * indegree) as usize, weights, delays);
    let (values, steps) = (vec![0.5; indegree as usize], vec![7; indegree as usize]);
    for post in 0..range {
        let pres: Vec<u32> = (0..indegree).map(|k| k * 10 + (post * 7 + k * k) % 10).collect();
        builder.push(post, &pres, &values, &steps);
    }
    builder.finish()
}

fn delivery(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery");
    let senders: Vec<u32> = (0..1000).step_by(5).collect();
    let cases = [
        ("one weight, one delay", rows(WeightForm::Constant, DelayForm::Constant(15)), RingKind::Count16),
        ("weights, one delay", rows(WeightForm::Single, DelayForm::Constant(15)), RingKind::Sum),
        ("weights and delays", rows(WeightForm::Single, DelayForm::AtMost(60)), RingKind::Sum),
    ];
    for (name, rows, kind) in cases {
        let mut ring = Ring::new(kind, 10_000, 64);
        let mut step = 0;
        group.throughput(Throughput::Elements(rows.deliver(&senders, 0, &mut ring, None)));
        group.bench_function(name, |b| {
            b.iter(|| {
                step += 1;
                // What arrived is taken, as cells do.
                if step % 64 == 0 {
                    ring.clear(0..10_000, |_| &rows);
                }
                rows.deliver(&senders, step, &mut ring, None)
            });
        });
    }
    let rows = rows(WeightForm::Single, DelayForm::AtMost(60)).by_delay();
    let mut ring = Ring::of_steady(10_000, 60);
    let mut step = 0;
    group.throughput(Throughput::Elements(rows.announce(0, &senders, 0, &mut ring)));
    group.bench_function("weights and delays, listed and read", |b| {
        b.iter(|| {
            step += 1;
            ring.arrive(step, |_| &rows);
            rows.announce(0, &senders, step, &mut ring)
        });
    });
}

/// Rows that are made anew: about 1000 targets among 10,000 and among a million, without delivering them.
fn making(c: &mut Criterion) {
    let mut group = c.benchmark_group("making");
    let key = StreamKey::new(1, "E->E", Purpose::Connect);
    for targets in [10_000, 1_000_000] {
        for rule in [Rule::Bernoulli { p: 1000.0 / f64::from(targets) }, Rule::FixedOutdegree { k: 1000 }] {
            let name = format!("{}, {targets} targets", rule.name());
            let spec = Spec { rule, autapses: false, multapses: false };
            let ends = Ends { pre: Cells::all(10_000), post: Cells::all(targets), same_population: false };
            let rows = Outgoing::prepare(&spec, ends, None, key).expect("possible").expect("by source");
            let (mut scratch, mut pre) = (Scratch::default(), 0);
            group.throughput(Throughput::Elements(1000));
            group.bench_function(name, |b| {
                b.iter(|| {
                    pre = (pre + 1) % 10_000;
                    let mut sum = 0;
                    rows.row(pre, 0..targets, &mut scratch, &mut |_, part| sum += part.len());
                    sum
                });
            });
        }
    }
}

/// Steps of whole networks: cells alone, cells with elementary functions, Poisson input, learning.
fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("steps");
    group.measurement_time(Duration::from_secs(8));
    let models: [(&str, &[(&str, &str)]); 4] = [
        ("cuba.nsm", &[]),
        ("cobahh.nsm", &[]),
        ("microcircuit.nsm", &[("scale", "0.05")]),
        ("learning/brunel_stdp.nsm", &[("C_E", "200")]),
    ];
    for (file, set) in models {
        for precision in [Precision::F64, Precision::F32] {
            let outcome = compiled(file, set, precision);
            advance(&mut group, &format!("{file}, {precision:?}"), &|| engine(&outcome));
        }
    }
}

/// The same cells with narrower lanes than this machine may have.
fn lanes(c: &mut Criterion) {
    let mut group = c.benchmark_group("lanes");
    group.measurement_time(Duration::from_secs(8));
    for file in ["cuba.nsm", "coba.nsm", "cobahh.nsm"] {
        for precision in [Precision::F64, Precision::F32] {
            let outcome = compiled(file, &[], precision);
            for lanes in [Lanes::Eight, Lanes::Four, Lanes::Two] {
                let name = format!("{file}, {precision:?}, {lanes:?}");
                advance(&mut group, &name, &|| engine_of(&outcome, Backend::Narrow(lanes)));
            }
        }
    }
}

/// 100 steps of a network.
fn advance(group: &mut BenchmarkGroup<WallTime>, name: &str, engine: &dyn Fn() -> Box<dyn Engine>) {
    let go = AtomicBool::new(false);
    group.throughput(Throughput::Elements(100));
    group.bench_function(name, |b| {
        b.iter_batched_ref(
            || {
                let mut engine = engine();
                // Past its start, where spikes come in volleys.
                engine.advance(1000, &go).expect("it runs");
                engine
            },
            |engine| engine.advance(100, &go).expect("it runs"),
            BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1));
    targets = compile, construction, delivery, making, steps, lanes
}
criterion_main!(parts);
