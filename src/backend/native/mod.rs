//! Machine code for a network, and the engine that runs it.
//!
//! `plan` turns the statements of a step into loops and calls, `translate` turns loops into Cranelift IR, `jit` owns the code,
//! `worker` is one thread's share of the simulation. The bits are the interpreter's.

mod couplings;
mod jit;
mod learning;
mod plan;
mod procedural;
mod rules;
mod threads;
mod tracts;
mod translate;
mod values;
mod wide;
mod worker;

use crate::backend::build::{self, Circuit, Elements, ParamValues, SynapsePlan};
use crate::backend::engine::{Engine, Keep, RunError, Setting, SpikeLog, Touches, TraceLog, TraceRequest};
use crate::backend::held::merge;
use crate::backend::profile::Profile;
use crate::backend::state::{self, EngineState, same};
use crate::base;
use crate::ir::{Dynamics, ExprId, Network, Population, ProjectionId, Weight, single};
use crate::runtime::{RingKind, Stages, Winners, shares};
use crate::valid::Validated;
pub use jit::Lanes;
use learning::Learning;
use plan::{Plan, RingPlan};
use rules::{Draft, Rule, Synapses};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;
pub use threads::busy;
use tracts::{TractBuilder, TractPlan, Tracts};
use translate::GRAIN;
use worker::{Batch, Block, BlockSource, Board, Contest, Fault, Recorder, Sequence, Shared, Worker};

/// The code generator refused: a bug.
pub const CODEGEN: base::Code = base::Code("E0607");

/// Steps of a window where nothing is delayed.
const FREE_WINDOW: u64 = 256;

/// Statements that run by themselves within a step, their plan and their kernels.
type Inner = (Dynamics, Arc<Plan>, Vec<jit::Kernel>);

/// Compiled kernels of a network, for any number of engines.
pub struct Kernels {
    code: Arc<jit::Code>,
    kernels: Vec<Vec<jit::Kernel>>,
    plans: Vec<Plan>,
    /// What the blocks of each population read: one for all that have the same code, so that a step over hundreds of small populations
    /// finds it in a near cache.
    shared: Vec<Arc<Plan>>,
    /// Of the populations with adaptive steps: statements, plan and kernels of what precedes them and of a trial.
    adaptive: Vec<Option<[Inner; 2]>>,
    /// Of each population: what happens at intervals.
    every: Vec<Vec<Inner>>,
    /// In the order of `Network::plasticity`.
    rules: Vec<Arc<Rule>>,
}

fn drafts(network: &Network) -> Vec<Draft> {
    network.plasticity.iter().map(|rule| Draft::new(network, rule)).collect()
}

fn plans(network: &Network) -> Vec<Plan> {
    let bounds: HashMap<ProjectionId, u64> = network
        .projections()
        .map(|(e, ..)| e)
        .zip(build::estimate(network).into_iter().map(|e| e.max_indegree))
        .collect();
    network
        .populations()
        .map(|(id, p)| {
            let margin = network.winners.iter().find(|w| w.population == id).map(|w| w.margin);
            plan::plan(&p.dynamics, network.dt_ms, margin, &|projections, count| {
                let longest = projections.iter().map(|e| network.graph[*e].delay.max()).max().unwrap_or(1);
                // In one step a synapse brings at most one spike, so the in-degree bounds the count.
                let most = projections
                    .iter()
                    .fold(0_u64, |sum, e| sum.saturating_add(bounds.get(e).copied().unwrap_or(u64::MAX)));
                let kind = match count {
                    false => RingKind::Sum,
                    true if most <= u64::from(u16::MAX) => RingKind::Count16,
                    true => RingKind::Count32,
                };
                let steady = |e: &ProjectionId| {
                    let single = matches!(network.graph[*e].weight, Weight::PerSynapse { single: true, .. });
                    single && !network.mutable.contains(e) && network.rule(*e).is_none()
                };
                let (steady, projections) = (projections.iter().all(steady), projections.to_vec());
                RingPlan { kind, longest, projections, steady: steady && kind == RingKind::Sum }
            })
        })
        .collect()
}

/// Compiles the kernels of every population; those of rules have two lanes always.
pub fn compile(network: Validated, lanes: Lanes) -> Result<Kernels, String> {
    let plans = plans(network.network());
    let dt = network.network().dt_ms;
    let adaptive: Vec<_> = network.network().populations().map(|(_, p)| plan::adaptive(&p.dynamics, dt)).collect();
    let every: Vec<_> = network.network().populations().map(|(_, p)| plan::every(&p.dynamics, dt)).collect();
    let inner = adaptive.iter().flatten().flatten().chain(every.iter().flatten()).map(|(_, plan)| plan);
    let mut shared = shared(plans.iter().chain(inner));
    let (code, mut kernels, rules) = jit::compile(&shared, drafts(network.network()), lanes)?;
    let mut inner = shared.split_off(plans.len()).into_iter().zip(kernels.split_off(plans.len()));
    let mut with_kernels = |(d, plan)| {
        let (plan, kernels) = inner.next().unwrap_or_else(|| (Arc::new(plan), Vec::new()));
        (d, plan, kernels)
    };
    let adaptive = adaptive.into_iter().map(|two| two.map(|two| two.map(&mut with_kernels))).collect();
    let every = every.into_iter().map(|list| list.into_iter().map(&mut with_kernels).collect()).collect();
    let rules = rules.into_iter().map(Arc::new).collect();
    Ok(Kernels { code: Arc::new(code), kernels, plans, shared, adaptive, every, rules })
}

/// The same plans; of those with the same code, the first for all.
fn shared<'p>(plans: impl Iterator<Item = &'p Plan>) -> Vec<Arc<Plan>> {
    let (mut distinct, mut out): (Vec<Arc<Plan>>, Vec<Arc<Plan>>) = (Vec::new(), Vec::new());
    for plan in plans {
        let known = distinct.iter().find(|known| known.same_code(plan)).cloned();
        out.push(known.unwrap_or_else(|| {
            distinct.push(Arc::new(plan.clone()));
            distinct[distinct.len() - 1].clone()
        }));
    }
    out
}

/// The plans of a network, with what each is of.
fn named(network: &Network) -> Vec<(String, Plan)> {
    let of = |((_, p), plan): ((_, &Population), Plan)| {
        let times = p.dynamics.every.iter().map(|e| format!("{} every {} steps", p.path, e.steps));
        let every = times.zip(plan::every(&p.dynamics, network.dt_ms)).map(|(name, (_, plan))| (name, plan));
        std::iter::once((p.path.clone(), plan)).chain(every).collect::<Vec<_>>()
    };
    network.populations().zip(plans(network)).flat_map(of).collect()
}

/// Cranelift IR of all kernels.
pub fn clif(network: Validated) -> Result<String, String> {
    jit::text(&named(network.network()), drafts(network.network()), false)
}

/// Machine code of all kernels.
pub fn disassembly(network: Validated) -> Result<String, String> {
    jit::text(&named(network.network()), drafts(network.network()), true)
}

struct TraceParts {
    request: TraceRequest,
    /// For each share, positions among the request's cells.
    parts: Vec<Vec<u32>>,
}

/// A running network.
pub struct Native {
    dt: f64,
    step: u64,
    paths: Vec<String>,
    dynamics: Vec<Dynamics>,
    sizes: Vec<u32>,
    params: Vec<Vec<ParamValues>>,
    ranges: Vec<Vec<(u32, u32)>>,
    shared: Arc<Shared>,
    /// All but the caller's.
    threads: Vec<JoinHandle<()>>,
    turns: u64,
    logs: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    trace_parts: Vec<TraceParts>,
    constant_weights: Vec<Option<f64>>,
    /// Projections that no rule changes and whose weights may be written.
    written: Vec<usize>,
    reaches: Vec<couplings::Reach>,
    /// Target population of each projection.
    targets: Vec<usize>,
    /// Names of the tracts.
    tracts: Vec<String>,
    events: u64,
    touches: Touches,
    synapses: u64,
    bytes: u64,
    /// Path, synapses and bytes of each projection.
    projections: Vec<(String, u64, u64)>,
    // Last, so that the threads are joined before their code is freed; see `Drop`.
    code: Option<Arc<jit::Code>>,
}

impl Native {
    pub fn new(
        network: Validated,
        kernels: &Kernels,
        seed: u64,
        traces: Vec<TraceRequest>,
        keep_spikes: &[Keep],
        threads: usize,
    ) -> Result<Native, RunError> {
        let network = network.network();
        let populations: Vec<_> = network.populations().map(|(_, p)| p).collect();
        // A thread with less than a block of neurons would only wait for the others.
        let neurons: u64 = populations.iter().map(|p| u64::from(p.size)).sum();
        let threads = threads.clamp(1, usize::try_from(neurons.div_ceil(64)).unwrap_or(1).max(1));
        let elements = Arc::new(build::elements(network, seed)?);
        let ids: Vec<ProjectionId> = network.projections().map(|(e, ..)| e).collect();
        let plans =
            ids.iter().map(|e| SynapsePlan::new(network, &elements, *e, seed)).collect::<Result<Vec<_>, _>>()?;
        let stored = |e: &ProjectionId| network.graph[*e].procedural.is_none();
        let synapses = ids.iter().zip(&plans).map(|(e, p)| stored(e).then(|| p.expand()).transpose());
        let synapses = synapses.collect::<Result<Vec<_>, _>>()?;
        let procedural = procedural_projections(network, &elements, &ids, seed, threads)?;
        let estimates = build::estimate(network);

        let layout = couplings::Layout::new(network, &elements, seed)?;
        let layout = layout.expand()?;
        let sizes: Vec<u32> = populations.iter().map(|p| p.size).collect();
        let ranges = shares(&sizes, threads);
        let places = |ranges: &Vec<(u32, u32)>| {
            let largest = ranges.iter().map(|(lo, hi)| hi - lo).max();
            u64::from(largest.unwrap_or(0)).next_multiple_of(GRAIN as u64)
        };
        let places: Vec<u64> = ranges.iter().map(places).collect();
        let fleets = worker::fleets(&kernels.shared, &places, |k| kernels.adaptive[k].is_some());
        let tracts = Tracts::new(network, &ids, &plans, &kernels.plans, (&places, &fleets));
        let contest = || {
            let winners = network.populations().map(|(id, p)| {
                let w = network.winners.iter().find(|w| w.population == id)?;
                Some(Winners::new(p.size, w.most, w.window))
            });
            Contest(winners.collect())
        };
        let make = |thread: usize| -> Result<Worker, RunError> {
            let mut blocks = Vec::new();
            for (k, p) in populations.iter().enumerate() {
                let (lo, hi) = ranges[k][thread];
                let source = BlockSource {
                    path: &p.path,
                    dynamics: &p.dynamics,
                    plan: &kernels.shared[k],
                    kernels: &kernels.kernels[k],
                    params: &elements.populations[k].params,
                    initial: &elements.populations[k].initial,
                    seed,
                };
                let mut block = Block::new(&source, lo, hi);
                let inner = |(dynamics, plan, kernels): &Inner| {
                    // States and params are lent to it by the block around it.
                    Block::new(&BlockSource { dynamics, plan, kernels, params: &[], initial: &[], ..source }, lo, hi)
                };
                if let (Some(two), Some(a)) = (&kernels.adaptive[k], &p.dynamics.adaptive) {
                    block.adapt(two.each_ref().map(inner), a);
                }
                for (e, stage) in p.dynamics.every.iter().zip(&kernels.every[k]) {
                    block.repeat(e.steps, inner(stage));
                }
                blocks.push(block);
            }
            let rings = tracts.rings(&kernels.plans, &mut blocks);
            let mut learning = Vec::new();
            for (k, rule) in network.plasticity.iter().enumerate() {
                let Some(j) = ids.iter().position(|e| *e == rule.projection) else { continue };
                let ((source, _), (target, _)) = (plans[j].source(), plans[j].target());
                let Some((_, ring)) = tracts.receptor(j) else { return Err(tracts::nowhere(network, ids[j])) };
                let lo = blocks[target].lo;
                let range = lo..lo + blocks[target].n;
                let synapses = Synapses::new(network, &elements, &kernels.rules[k], seed, range)?;
                let end = network.graph.edge_endpoints(ids[j]).map(|x| x.1);
                let decided = network.winners.iter().any(|w| Some(w.population) == end);
                let plan = &kernels.plans[target];
                learning.push(Learning::new(j, (source, target), ring, synapses, plan, populations[target], decided));
            }
            let builder = TractBuilder { network, ids: &ids, plans: &plans, procedural: &procedural, tracts: &tracts };
            let make = |plan: &TractPlan| builder.build(plan, &rings, &blocks, &synapses, &estimates);
            let made = tracts.tracts.iter().map(make).collect::<Result<Vec<_>, _>>()?;
            let couplings = layout.couplings(&mut blocks)?;
            let mut worker = Worker::new(thread, (blocks, &fleets), rings, made, couplings, learning, contest());
            worker.order();
            Ok(worker)
        };
        let mut workers: Vec<Worker> = if threads == 1 {
            vec![make(0)?]
        } else {
            std::thread::scope(|s| {
                let handles: Vec<_> = (0..threads)
                    .map(|t| {
                        s.spawn({
                            let make = &make;
                            move || make(t)
                        })
                    })
                    .collect();
                handles
                    .into_iter()
                    .map(|h| {
                        h.join().unwrap_or_else(|_| {
                            Err(RunError::Build("a thread that builds synapses failed".to_string()))
                        })
                    })
                    .collect::<Result<_, _>>()
            })?
        };

        let all = || workers.iter().flat_map(|w| &w.tracts);
        let learning = || workers.iter().flat_map(|w| &w.learning);
        let axonal = learning().filter_map(|l| l.synapses.shortest());
        let window = all()
            .filter(|t| !t.rows.is_empty())
            .filter_map(|t| t.rows.delays.shortest())
            .chain(axonal)
            .chain(ids.iter().filter_map(|e| network.graph[*e].procedural).map(|p| p.shortest))
            .min()
            .map_or(FREE_WINDOW, u64::from)
            .clamp(1, FREE_WINDOW);
        // Who won, and what leaves a neuron to all targets, is known when the threads have met: rules that wait for it need that after
        // every step.
        let window = if learning().any(|l| l.decided || l.synapses.waits()) { 1 } else { window };
        let total = all().map(|t| t.rows.len()).sum::<u64>()
            + learning().map(|l| l.synapses.synapses()).sum::<u64>()
            + procedural.iter().flatten().map(build::Procedural::synapses).sum::<u64>()
            + couplings::synapses(&workers);
        let bytes = all().map(|t| t.rows.synapse_bytes()).sum::<u64>()
            + learning().map(|l| l.synapses.bytes()).sum::<u64>()
            + couplings::bytes(&workers);
        let mut held = vec![(0, 0); ids.len()];
        let mut hold = |j: usize, synapses: u64, bytes: u64| held[j] = (held[j].0 + synapses, held[j].1 + bytes);
        for tract in all() {
            // Synapses of a tract take the same room each.
            let each = tract.rows.synapse_bytes() / tract.rows.len().max(1);
            tract.members.iter().for_each(|m| hold(m.projection, m.synapses, each * m.synapses));
        }
        learning().for_each(|l| hold(l.projection, l.synapses.synapses(), l.synapses.bytes()));
        procedural.iter().enumerate().for_each(|(j, p)| hold(j, p.iter().map(build::Procedural::synapses).sum(), 0));
        let path = |(e, (synapses, bytes)): (&ProjectionId, _)| (network.graph[*e].path.clone(), synapses, bytes);
        let projections = ids.iter().zip(held).map(path).collect();
        let mut trace_parts = Vec::new();
        for request in &traces {
            let observable = populations
                .get(request.population)
                .and_then(|p| p.dynamics.observables.get(request.observable as usize))
                .ok_or_else(|| RunError::Build("a trace of what does not exist".to_string()))?;
            let parts = workers
                .iter_mut()
                .map(|w| w.add_trace(request.population, observable.value, &request.cells, request.every))
                .collect();
            trace_parts.push(TraceParts { request: request.clone(), parts });
        }
        let turns = workers.iter().map(Worker::turns).max().unwrap_or(0);
        if threads > 1 {
            workers.iter_mut().for_each(Worker::draw_ahead);
        }
        let ahead = workers.iter().map(|w| w.ahead.clone()).collect();
        let shared = Arc::new(Shared {
            // And what is recorded.
            stages: Stages::new(threads + 1),
            workers: workers.into_iter().map(Mutex::new).collect(),
            sequence: Mutex::new(Sequence::default()),
            board: Board::default(),
            recorder: Mutex::new(Recorder::new(contest())),
            batches: (0..threads).map(|_| [RwLock::new(Batch::default()), RwLock::new(Batch::default())]).collect(),
            halt: AtomicBool::new(false),
            fault: Mutex::new(None),
            populations: populations.len(),
            channels: layout.channels(),
            ahead,
            measured: AtomicBool::new(false),
            window,
            dt: network.dt_ms,
        });
        let mut native = Native {
            dt: network.dt_ms,
            step: 0,
            paths: populations.iter().map(|p| p.path.clone()).collect(),
            dynamics: populations.iter().map(|p| p.dynamics.clone()).collect(),
            sizes,
            params: elements.populations.iter().map(|p| p.params.clone()).collect(),
            ranges,
            shared,
            threads: Vec::new(),
            turns,
            logs: populations
                .iter()
                .enumerate()
                .map(|(k, p)| SpikeLog::new(p.size, keep_spikes.get(k).copied().unwrap_or(Keep::All)))
                .collect(),
            traces: traces
                .into_iter()
                .map(|request| TraceLog { request, steps: Vec::new(), values: Vec::new() })
                .collect(),
            trace_parts,
            constant_weights: ids
                .iter()
                .map(|e| match network.graph[*e].weight {
                    _ if network.mutable.contains(e) || network.rule(*e).is_some() => None,
                    Weight::Constant(v) => Some(v),
                    Weight::PerSynapse { .. } => None,
                })
                .collect(),
            written: state::written(network),
            reaches: layout.reaches(),
            targets: plans.iter().map(|p| p.target().0).collect(),
            tracts: tracts.tracts.iter().map(|t| t.name(network, &ids)).collect(),
            events: 0,
            touches: Touches::default(),
            synapses: total,
            bytes,
            projections,
            code: Some(kernels.code.clone()),
        };
        for home in 1..threads {
            native.threads.push(spawn(home, native.shared.clone())?);
        }
        Ok(native)
    }

    /// The shares of the network, one after the other; no step is under way.
    fn shares(&self) -> impl Iterator<Item = MutexGuard<'_, Worker>> {
        (0..self.shared.workers.len()).map(|share| self.shared.worker(share))
    }

    /// States, counters and coupled sums of a population, all neurons.
    fn gather(&self, population: usize) -> (Vec<Vec<f64>>, Vec<f64>, Vec<Vec<f64>>) {
        let d = &self.dynamics[population];
        let (mut states, mut coupled) = (vec![Vec::new(); d.states.len()], vec![Vec::new(); d.coupled.len()]);
        let mut counter = Vec::new();
        for worker in self.shares() {
            let block = &worker.blocks[population];
            let n = block.n as usize;
            let columns = block.states.iter().chain(&block.coupled);
            for (all, part) in states.iter_mut().chain(&mut coupled).zip(columns) {
                all.extend(part.first(n));
            }
            counter.extend(block.counter.first(n));
        }
        (states, counter, coupled)
    }

    /// Gives all shares the values of the params that may have changed.
    fn spread_params(&mut self, p: usize) {
        for mut worker in self.shares() {
            for k in state::moving_params(&self.dynamics[p]) {
                worker.set_param(p, k, &self.params[p][k]);
            }
        }
    }

    /// Sums of the time before the run, which the delays of continuous projections reach into at first.
    fn couple_first(&self) {
        let mut workers: Vec<_> = self.shares().collect();
        for round in 0..self.turns as u32 {
            for worker in &mut workers {
                let Worker { couplings, blocks, .. } = &mut **worker;
                couplings.write(0, round, 0.0, blocks, &self.shared.channels);
            }
            for worker in &mut workers {
                let Worker { couplings, blocks, .. } = &mut **worker;
                couplings.sum(0, round, blocks, &self.shared.channels);
            }
        }
    }

    fn merge(&mut self, from: u64, done: u64, samples: &[Vec<Vec<f64>>]) {
        for (k, t) in self.trace_parts.iter().enumerate() {
            let every = t.request.every.max(1);
            let width = t.request.cells.len();
            let steps: Vec<u64> = (from + 1..=from + done).filter(|s| s % every == 0).collect();
            let log = &mut self.traces[k];
            let base = log.values.len();
            log.values.resize(base + steps.len() * width, f64::NAN);
            for (samples, part) in samples.iter().zip(&t.parts).filter(|(_, part)| !part.is_empty()) {
                let (first, n) = (part[0] as usize, part.len());
                let side_by_side = (first..first + n).eq(part.iter().map(|at| *at as usize));
                let rows = log.values[base..].chunks_exact_mut(width);
                for (row, sampled) in rows.zip(samples[k].chunks_exact(n)) {
                    match side_by_side {
                        true => row[first..first + n].copy_from_slice(sampled),
                        false => part.iter().zip(sampled).for_each(|(at, v)| row[*at as usize] = *v),
                    }
                }
            }
            log.steps.extend(steps);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.shared.stages.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // Nobody is left who calls kernels.
        self.code.take();
    }
}

fn weights_of(w: &mut Worker, projection: usize, step: u64) -> (Vec<usize>, Vec<f64>) {
    if let Some(all) = w.learned_weights(projection, step) {
        return all;
    }
    w.still_weights(projection)
}

/// Those of the projections whose rows are made anew for each spike.
fn procedural_projections(
    network: &Network,
    elements: &Arc<Elements>,
    ids: &[ProjectionId],
    seed: u64,
    threads: usize,
) -> Result<Vec<Option<build::Procedural>>, RunError> {
    if ids.iter().all(|e| network.graph[*e].procedural.is_none()) {
        return Ok(ids.iter().map(|_| None).collect());
    }
    let circuit = Arc::new(Circuit { network: network.clone(), elements: elements.clone() });
    let make = |e: &ProjectionId| {
        let procedural = network.graph[*e].procedural;
        procedural.map(|_| build::Procedural::new(&circuit, *e, seed, threads)).transpose()
    };
    ids.iter().map(make).collect()
}

/// A thread that helps with every stage.
fn spawn(home: usize, shared: Arc<Shared>) -> Result<JoinHandle<()>, RunError> {
    let body = move || {
        while shared.stages.await_open() {
            work(&shared, home, &mut || {});
        }
    };
    std::thread::Builder::new()
        .name("nsm-worker".to_string())
        .spawn(body)
        .map_err(|e| RunError::Limit(format!("a thread can't be started: {e}")))
}

/// Does tasks until the run is over; calls `each` before every one.
fn work(shared: &Shared, home: usize, each: &mut dyn FnMut()) {
    let mut run = |task: usize| {
        each();
        shared.task(task);
    };
    let mut next = || shared.next();
    let mut idle = || shared.prepare(home);
    shared.stages.work(home, &mut run, &mut next, &mut idle);
}

impl Engine for Native {
    fn step(&self) -> u64 {
        self.step
    }

    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError> {
        if steps == 0 {
            return Ok(0);
        }
        let from = self.step;
        let shared = self.shared.clone();
        let lock = || shared.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        shared.halt.store(false, Ordering::Relaxed);
        let sequence = Sequence::new(from, from + steps, shared.window, self.turns);
        shared.board.post(&sequence.stage);
        *lock() = sequence;
        shared.recorder().logs = std::mem::take(&mut self.logs);
        if from == 0 {
            self.couple_first();
        }
        self.shares().for_each(|mut worker| worker.start());
        shared.stages.open();
        work(&shared, 0, &mut || {
            if stop.load(Ordering::Relaxed) {
                shared.halt.store(true, Ordering::Relaxed);
            }
        });
        self.logs = std::mem::take(&mut shared.recorder().logs);
        let done = lock().done();
        let mut samples = Vec::new();
        let (mut events, mut touches) = (0, Touches::default());
        for mut worker in self.shares() {
            events += worker.take_events();
            touches += worker.take_touches();
            samples.push(worker.take_samples());
        }
        self.events += events;
        self.touches += touches;
        self.step += done;
        self.merge(from, done, &samples);
        let fault = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Fault { step, population, neuron, stuck: Some(limit), .. }) = fault {
            let population = self.paths[population].clone();
            return Err(RunError::TooManySteps { population, neuron, step, limit });
        }
        if let Some(Fault { step, population, neuron, state, value, .. }) = fault {
            return Err(RunError::NotFinite {
                population: self.paths[population].clone(),
                neuron,
                step,
                variable: self.dynamics[population].states[state].name.clone(),
                value,
            });
        }
        Ok(done)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), RunError> {
        let p = setting.population;
        let Some(dynamics) = self.dynamics.get(p) else {
            return Err(RunError::Build("a setting of what does not exist".to_string()));
        };
        build::apply(dynamics, self.dt, &mut self.params[p], self.sizes[p], setting)?;
        self.spread_params(p);
        Ok(())
    }

    fn param(&self, population: usize, param: u32, cells: &[u32]) -> Vec<f64> {
        let values = &self.params[population][param as usize];
        cells.iter().map(|c| values.at(*c)).collect()
    }

    fn observe(&self, population: usize, observable: u32, cells: &[u32]) -> Vec<f64> {
        let d = &self.dynamics[population];
        let value: ExprId = d.observables[observable as usize].value;
        let order = crate::backend::eval::order(&d.exprs, &[value]);
        let (states, counter, coupled) = self.gather(population);
        let narrow = d.narrow_params();
        let t = self.step as f64 * self.dt;
        let mut scratch = Vec::new();
        cells
            .iter()
            .map(|c| {
                let at = *c as usize;
                crate::backend::eval::evaluate(&d.exprs, &order, &mut scratch, &mut |e, _| match e {
                    crate::ir::Expr::State(k) => states[*k as usize][at],
                    crate::ir::Expr::Param(k) => {
                        let v = self.params[population][*k as usize].at(*c);
                        if narrow[*k as usize] { single::round(v) } else { v }
                    }
                    crate::ir::Expr::Time => t,
                    crate::ir::Expr::Coupled(k) => coupled[*k as usize][at],
                    crate::ir::Expr::Held => f64::from(u8::from(counter[at] > 0.0)),
                    _ => 0.0,
                });
                scratch[value.0 as usize]
            })
            .collect()
    }

    fn state(&self, population: usize, state: u32) -> Vec<f64> {
        self.gather(population).0.swap_remove(state as usize)
    }

    fn spikes(&self, population: usize) -> &SpikeLog {
        &self.logs[population]
    }

    fn traces(&self) -> &[TraceLog] {
        &self.traces
    }

    fn weights(&mut self, projection: usize) -> Vec<f64> {
        let parts: Vec<_> = self.shares().map(|mut worker| weights_of(&mut worker, projection, self.step)).collect();
        if let Some(w) = self.constant_weights[projection] {
            return vec![w; parts.iter().flat_map(|p| &p.0).sum()];
        }
        let mut at = vec![0; parts.len()];
        let mut out = Vec::new();
        for row in 0..parts[0].0.len() {
            for (k, (lengths, weights)) in parts.iter().enumerate() {
                out.extend_from_slice(&weights[at[k]..at[k] + lengths[row]]);
                at[k] += lengths[row];
            }
        }
        out
    }

    fn edges(&mut self, projection: usize) -> Vec<(u32, u32)> {
        let mut all: Vec<(u32, u32)> = self.shares().flat_map(|mut worker| worker.edges(projection)).collect();
        // Each share has its own targets, so a stable sort by source keeps targets ascending within a row.
        all.sort_by_key(|(pre, _)| *pre);
        all
    }

    fn set_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), RunError> {
        let edges = self.edges(projection);
        let Some(target) = self.targets.get(projection).copied() else {
            return Err(RunError::Build("weights of what does not exist".to_string()));
        };
        for (mut worker, (lo, hi)) in self.shares().zip(&self.ranges[target]) {
            let here = edges.iter().zip(values).filter(|((_, post), _)| (lo..hi).contains(&post));
            let part: Vec<f64> = here.map(|(_, v)| *v).collect();
            worker.set_weights(projection, self.step, &part);
        }
        Ok(())
    }

    fn set_edges(&mut self, projection: usize, edges: &[(u32, u32)]) -> Result<(), RunError> {
        self.shares().try_for_each(|mut worker| worker.set_edges(projection, self.step, edges))
    }

    fn reset(&mut self, population: usize, initial: &[Vec<f64>]) -> Result<(), RunError> {
        self.shares().for_each(|mut worker| worker.reset(&self.shared, population, self.step, initial));
        self.shared.recorder().contest.clear(population);
        Ok(())
    }

    fn set_learning(&mut self, projection: usize, on: bool) {
        self.shares().for_each(|mut worker| worker.learn(projection, self.step, on));
    }

    fn save(&mut self) -> EngineState {
        let step = self.step;
        let parts = self.shares().map(|worker| worker.save(step));
        let (mut blocks, mut rules): (Vec<_>, Vec<_>) = parts.map(|(b, r)| (b.into_iter(), r.into_iter())).unzip();
        let populations = (0..self.sizes.len()).map(|p| {
            let mut state = worker::join(&mut blocks.iter_mut().filter_map(Iterator::next));
            state.params =
                state::moving_params(&self.dynamics[p]).map(|k| (k as u32, self.params[p][k].clone())).collect();
            state.senders = self.shared.recorder().contest.senders(p);
            state
        });
        let populations = populations.collect();
        let count = self.shared.worker(0).learning.len();
        let plastic = (0..count).map(|_| merge(rules.iter_mut().filter_map(Iterator::next).collect())).collect();
        let written = self.written.clone();
        EngineState {
            step,
            synaptic_events: self.events,
            touches: self.touches,
            populations,
            couplings: self.reaches.iter().map(|r| r.save(step, &self.shared.channels)).collect(),
            weights: written.into_iter().map(|p| (p as u32, self.weights(p))).collect(),
            plastic,
            spikes: self.logs.clone(),
            traces: self.traces.clone(),
        }
    }

    fn load(&mut self, mut state: EngineState) -> Result<(), RunError> {
        state::load_logs(&mut state, &mut self.logs, &mut self.traces)?;
        same(state.populations.len(), self.sizes.len(), "populations")?;
        for (p, saved) in state.populations.iter().enumerate() {
            saved.check(&self.dynamics[p], self.sizes[p])?;
            for (k, values) in &saved.params {
                self.params[p][*k as usize].clone_from(values);
            }
            self.spread_params(p);
        }
        same(state.weights.iter().map(|(p, _)| *p as usize).eq(self.written.iter().copied()), true, "weights")?;
        for (p, weights) in std::mem::take(&mut state.weights) {
            same(weights.len(), self.edges(p as usize).len(), "weights")?;
            self.set_weights(p as usize, &weights)?;
        }
        same(state.couplings.len(), self.reaches.len(), "continuous projections")?;
        for (reach, saved) in self.reaches.iter().zip(&state.couplings) {
            reach.load(state.step, saved, &self.shared.channels)?;
        }
        let rules: Vec<(usize, usize)> =
            self.shared.worker(0).learning.iter().map(|l| (l.projection, l.target)).collect();
        same(state.plastic.len(), rules.len(), "rules")?;
        let rules: Vec<(Vec<(u32, u32)>, usize)> = rules.into_iter().map(|(p, t)| (self.edges(p), t)).collect();
        for (share, mut worker) in self.shares().enumerate() {
            // Where the synapses of each rule stand among all.
            let here = |(edges, target): &(Vec<(u32, u32)>, usize)| {
                let (lo, hi) = self.ranges[*target][share];
                let inside = (0..).zip(edges).filter(|(_, (_, post))| (lo..hi).contains(post));
                inside.map(|(k, _)| k).collect()
            };
            let own: Vec<Vec<u32>> = rules.iter().map(here).collect();
            worker.load(&state, &own)?;
        }
        self.shared.recorder().contest.load(state.populations.iter().map(|p| p.senders.as_slice()));
        (self.step, self.events, self.touches) = (state.step, state.synaptic_events, state.touches);
        Ok(())
    }

    fn synapses(&self) -> u64 {
        self.synapses
    }

    fn synapse_bytes(&self) -> u64 {
        self.bytes
    }

    fn synaptic_events(&self) -> u64 {
        self.events
    }

    fn touches(&self) -> Touches {
        self.touches
    }

    fn measure(&mut self) {
        let epoch = Instant::now();
        self.shared.measured.store(true, Ordering::Relaxed);
        self.shares().for_each(|mut worker| worker.measure(epoch));
        self.shared.recorder().measure(epoch);
    }

    fn profile(&mut self) -> Option<Profile> {
        let threads = self.shares().map(|worker| worker.profile()).collect();
        let populations = self.paths.iter().cloned().zip(self.sizes.iter().map(|n| u64::from(*n))).collect();
        let (projections, tracts) = (self.projections.clone(), self.tracts.clone());
        Some(Profile { threads, recorder: self.shared.recorder().profile(), populations, projections, tracts })
    }
}
