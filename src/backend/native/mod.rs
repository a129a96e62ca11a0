//! Machine code for a network, and the engine that runs it.
//!
//! `plan` turns the statements of a step into loops and calls, `translate` turns loops into Cranelift IR, `jit` owns the code,
//! `worker` is one thread's share of the simulation. The bits are the interpreter's.

mod couplings;
mod jit;
mod learning;
mod plan;
mod rules;
mod translate;
mod values;
mod wide;
mod worker;

use crate::backend::build::{self, ParamValues, SynapsePlan, positions};
use crate::backend::engine::{Engine, Keep, RunError, Setting, SpikeLog, Touches, TraceLog, TraceRequest};
use crate::backend::held::{Part, merge};
use crate::backend::profile::{Profile, ThreadProfile};
use crate::backend::state::{self, EngineState, PopulationState, same};
use crate::base;
use crate::ir::{Delay, Dynamics, ExprId, Network, ProjectionId, Weight};
use crate::runtime::{
    Aligned, Barrier, DelayForm, Delays, RingKind, RowsBuilder, WeightForm, Weights, Winners, aligned, share,
};
use crate::valid::Validated;
pub use jit::Lanes;
use learning::Learning;
use plan::Plan;
use rules::{Draft, Rule, Synapses};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;
use worker::{Batch, Block, BlockSource, Fault, Incoming, ParamBlock, Shared, Worker};

/// The code generator refused: a bug.
pub const CODEGEN: base::Code = base::Code("E0607");

/// Steps of a window where nothing is delayed.
const FREE_WINDOW: u64 = 256;

/// Statements that run by themselves within a step, their plan and their kernels.
type Inner = (Dynamics, Plan, Vec<jit::Kernel>);

/// Compiled kernels of a network, for any number of engines.
pub struct Kernels {
    code: Arc<jit::Code>,
    kernels: Vec<Vec<jit::Kernel>>,
    plans: Vec<Plan>,
    /// Of the populations with adaptive steps: statements, plan and kernels of what precedes them and of a trial.
    adaptive: Vec<Option<[Inner; 2]>>,
    /// In the order of `Network::plasticity`.
    rules: Vec<Arc<Rule>>,
}

fn drafts(network: &Network) -> Vec<Draft> {
    network.plasticity.iter().map(|rule| Draft::new(rule, network.dt_ms)).collect()
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
                (kind, longest)
            })
        })
        .collect()
}

/// Compiles the kernels of every population; those of rules have two lanes always.
pub fn compile(network: Validated, lanes: Lanes) -> Result<Kernels, String> {
    let plans = plans(network.network());
    let adaptive: Vec<_> =
        network.network().populations().map(|(_, p)| plan::adaptive(&p.dynamics, network.network().dt_ms)).collect();
    let mut all = plans.clone();
    all.extend(adaptive.iter().flatten().flatten().map(|(_, plan)| plan.clone()));
    let (code, mut kernels, rules) = jit::compile(&all, drafts(network.network()), lanes)?;
    let mut inner = kernels.split_off(plans.len()).into_iter();
    let adaptive = adaptive
        .into_iter()
        .map(|two| two.map(|two| two.map(|(d, plan)| (d, plan, inner.next().unwrap_or_default()))))
        .collect();
    let rules = rules.into_iter().map(Arc::new).collect();
    Ok(Kernels { code: Arc::new(code), kernels, plans, adaptive, rules })
}

/// Cranelift IR of all kernels.
pub fn clif(network: Validated) -> Result<String, String> {
    jit::text(network.network(), &plans(network.network()), drafts(network.network()), false)
}

/// Machine code of all kernels.
pub fn disassembly(network: Validated) -> Result<String, String> {
    jit::text(network.network(), &plans(network.network()), drafts(network.network()), true)
}

enum Command {
    Advance {
        from: u64,
        steps: u64,
    },
    Params {
        population: usize,
        values: Vec<(usize, ParamBlock)>,
    },
    States {
        population: usize,
    },
    Weights {
        projection: usize,
        step: u64,
    },
    Edges {
        projection: usize,
    },
    /// Weights of this thread's part, row by row.
    SetWeights {
        projection: usize,
        step: u64,
        values: Vec<f64>,
    },
    /// Synapses of all threads.
    SetEdges {
        projection: usize,
        step: u64,
        edges: Arc<Vec<(u32, u32)>>,
    },
    Learn {
        projection: usize,
        step: u64,
        on: bool,
    },
    Save {
        step: u64,
    },
    /// For each rule, where its synapses here stand among all.
    Load {
        state: Arc<EngineState>,
        own: Vec<Vec<u32>>,
    },
    Reset {
        population: usize,
        step: u64,
        initial: Arc<Vec<Vec<f64>>>,
    },
    Measure {
        epoch: Instant,
    },
    Profile,
    Quit,
}

enum Reply {
    Done {
        steps: u64,
        events: u64,
        touches: Touches,
        samples: Vec<Vec<f64>>,
    },
    States {
        states: Vec<Vec<f64>>,
        counter: Vec<f64>,
        coupled: Vec<Vec<f64>>,
    },
    /// Row lengths and weights, row by row.
    Weights {
        lengths: Vec<usize>,
        weights: Vec<f64>,
    },
    Edges(Vec<(u32, u32)>),
    Saved(Vec<PopulationState>, Vec<Part>),
    Failed(RunError),
    Profile(ThreadProfile),
    Ok,
}

struct Thread {
    commands: Sender<Command>,
    replies: Receiver<Reply>,
    handle: Option<JoinHandle<()>>,
}

struct TraceParts {
    request: TraceRequest,
    /// For each thread, positions among the request's cells.
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
    local: Worker,
    threads: Vec<Thread>,
    logs: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    trace_parts: Vec<TraceParts>,
    constant_weights: Vec<Option<f64>>,
    /// Projections that no rule changes and whose weights may be written.
    written: Vec<usize>,
    reaches: Vec<couplings::Reach>,
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
        // A thread with less than a block of neurons would only wait at barriers.
        let neurons: u64 = populations.iter().map(|p| u64::from(p.size)).sum();
        let threads = threads.clamp(1, usize::try_from(neurons.div_ceil(64)).unwrap_or(1).max(1));
        let elements = build::elements(network, seed)?;
        let ids: Vec<ProjectionId> = network.projections().map(|(e, ..)| e).collect();
        let plans =
            ids.iter().map(|e| SynapsePlan::new(network, &elements, *e, seed)).collect::<Result<Vec<_>, _>>()?;
        let synapses = plans.iter().map(|p| p.expand()).collect::<Result<Vec<_>, _>>()?;
        let estimates = build::estimate(network);

        let layout = couplings::Layout::new(network, &elements, seed)?;
        let layout = layout.expand()?;
        let make = |thread: usize| -> Result<Worker, RunError> {
            let mut blocks = Vec::new();
            for (k, p) in populations.iter().enumerate() {
                let (lo, hi) = share(p.size, thread, threads);
                let source = BlockSource {
                    path: &p.path,
                    dynamics: &p.dynamics,
                    plan: &kernels.plans[k],
                    kernels: &kernels.kernels[k],
                    params: &elements.populations[k].params,
                    initial: &elements.populations[k].initial,
                    seed,
                };
                let mut block = Block::new(&source, lo, hi);
                if let (Some(two), Some(a)) = (&kernels.adaptive[k], &p.dynamics.adaptive) {
                    let inner = two.each_ref().map(|(dynamics, plan, kernels)| {
                        // States and params are lent to it by the block around it.
                        Block::new(
                            &BlockSource { dynamics, plan, kernels, params: &[], initial: &[], ..source },
                            lo,
                            hi,
                        )
                    });
                    block.adapt(inner, a);
                }
                blocks.push(block);
            }
            let mut incoming = Vec::new();
            let mut learning = Vec::new();
            for (j, e) in ids.iter().enumerate() {
                let p = &network.graph[*e];
                let (source, from) = plans[j].source();
                let (target, _) = plans[j].target();
                let (lo, n) = (blocks[target].lo, blocks[target].n);
                let learns = network.plasticity.iter().position(|r| r.projection == *e).map(|k| &kernels.rules[k]);
                let part = f64::from(n) / f64::from(populations[target].size.max(1));
                let weights = match p.weight {
                    Weight::Constant(_) if network.mutable.contains(e) => WeightForm::Double,
                    Weight::Constant(_) => WeightForm::Constant,
                    Weight::PerSynapse { single: true, .. } => WeightForm::Single,
                    Weight::PerSynapse { .. } => WeightForm::Double,
                };
                let delays = match p.delay {
                    Delay::Constant(d) => DelayForm::Constant(d),
                    Delay::PerSynapse { max, .. } => DelayForm::AtMost(max.max(1)),
                };
                let ring = kernels.plans[target].rings.iter().position(|r| r.projections.contains(e));
                let Some(ring) = ring else {
                    return Err(RunError::Build(format!("projection {} lands nowhere", p.path)));
                };
                // Synapses that learn are kept by their rule.
                let expected = if learns.is_some() { 0 } else { (estimates[j].synapses * part) as usize };
                let mut builder = RowsBuilder::new(from.size, n, expected, weights, delays);
                if let Some(rule) = learns {
                    let synapses = Synapses::new(network, &elements, rule, seed, lo..lo + n)?;
                    let end = network.graph.edge_endpoints(*e).map(|x| x.1);
                    let decided = network.winners.iter().any(|w| Some(w.population) == end);
                    let plan = &kernels.plans[target];
                    let ends = (source, target);
                    learning.push(Learning::new(j, ends, ring, synapses, plan, populations[target], decided));
                } else {
                    let posts = positions(&p.post, populations[target].size, lo, lo + n);
                    let constant = match p.weight {
                        Weight::Constant(w) if network.mutable.contains(e) => Some(w),
                        _ => None,
                    };
                    let mut filled = Vec::new();
                    synapses[j].incoming(posts, &mut |post, pres, weights, delays| {
                        let weights = match constant {
                            Some(w) => {
                                filled.clear();
                                filled.resize(pres.len(), w);
                                &filled
                            }
                            None => weights,
                        };
                        builder.push(post - lo, pres, weights, delays)
                    })?;
                }
                incoming.push(Incoming { projection: j, source, target, ring, rows: builder.finish() });
            }
            let winners = network
                .populations()
                .map(|(id, p)| {
                    let w = network.winners.iter().find(|w| w.population == id)?;
                    Some(Winners::new(p.size, w.most, w.window))
                })
                .collect();
            let couplings = layout.couplings(&mut blocks)?;
            Ok(Worker::new(thread, blocks, incoming, couplings, learning, winners))
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

        let all = || workers.iter().flat_map(|w| &w.incoming);
        let learning = || workers.iter().flat_map(|w| &w.learning);
        let axonal = learning().filter_map(|l| l.synapses.shortest());
        let window = all()
            .filter(|i| !i.rows.is_empty())
            .filter_map(|i| shortest(&i.rows.delays))
            .chain(axonal)
            .min()
            .map_or(FREE_WINDOW, u64::from)
            .clamp(1, FREE_WINDOW);
        // Who won is known when the threads have met: rules that wait for it need that after every step.
        let window = if learning().any(|l| l.decided) { 1 } else { window };
        let total = all().map(|i| i.rows.len()).sum::<u64>()
            + learning().map(|l| l.synapses.synapses()).sum::<u64>()
            + couplings::synapses(&workers);
        let bytes = all().map(|i| i.rows.synapse_bytes()).sum::<u64>()
            + learning().map(|l| l.synapses.bytes()).sum::<u64>()
            + couplings::bytes(&workers);
        let of = |j: usize| -> (u64, u64) {
            let rows = all().filter(|i| i.projection == j).map(|i| (i.rows.len(), i.rows.synapse_bytes()));
            let learnt = learning().filter(|l| l.projection == j).map(|l| (l.synapses.synapses(), l.synapses.bytes()));
            rows.chain(learnt).fold((0, 0), |(n, b), (m, c)| (n + m, b + c))
        };
        let paths = ids.iter().enumerate().map(|(j, e)| (network.graph[*e].path.clone(), of(j)));
        let projections = paths.map(|(path, (synapses, bytes))| (path, synapses, bytes)).collect();
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
        let shared = Arc::new(Shared {
            barrier: Barrier::new(threads),
            batches: (0..threads).map(|_| [RwLock::new(Batch::default()), RwLock::new(Batch::default())]).collect(),
            halt: [AtomicBool::new(false), AtomicBool::new(false)],
            fault: Mutex::new(None),
            populations: populations.len(),
            channels: layout.channels(),
            window,
            dt: network.dt_ms,
        });
        let ranges = populations.iter().map(|p| (0..threads).map(|t| share(p.size, t, threads)).collect()).collect();
        let mut rest = workers.split_off(1);
        let Some(local) = workers.pop() else { return Err(RunError::Build("no thread".to_string())) };
        let threads = rest.drain(..).map(|w| spawn(w, shared.clone())).collect::<Result<_, _>>()?;
        Ok(Native {
            dt: network.dt_ms,
            step: 0,
            paths: populations.iter().map(|p| p.path.clone()).collect(),
            dynamics: populations.iter().map(|p| p.dynamics.clone()).collect(),
            sizes: populations.iter().map(|p| p.size).collect(),
            params: elements.populations.iter().map(|p| p.params.clone()).collect(),
            ranges,
            shared,
            local,
            threads,
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
                    _ if network.mutable.contains(e) || network.plasticity.iter().any(|r| r.projection == *e) => None,
                    Weight::Constant(v) => Some(v),
                    Weight::PerSynapse { .. } => None,
                })
                .collect(),
            written: state::written(network),
            reaches: layout.reaches(),
            events: 0,
            touches: Touches::default(),
            synapses: total,
            bytes,
            projections,
            code: Some(kernels.code.clone()),
        })
    }

    fn send(&self, command: impl Fn(usize) -> Command) {
        for (k, t) in self.threads.iter().enumerate() {
            // A thread that is gone answers nothing; its reply is then missing below.
            let _ = t.commands.send(command(k + 1));
        }
    }

    fn replies(&self) -> Vec<Reply> {
        self.threads.iter().filter_map(|t| t.replies.recv().ok()).collect()
    }

    /// What came of a command here and on all other threads.
    fn done(&self, local: Result<(), RunError>) -> Result<(), RunError> {
        self.replies().into_iter().fold(local, |result, reply| match reply {
            Reply::Failed(e) => Err(e),
            _ => result,
        })
    }

    /// States, counters and coupled sums of a population, all neurons.
    fn gather(&self, population: usize) -> (Vec<Vec<f64>>, Vec<f64>, Vec<Vec<f64>>) {
        self.send(|_| Command::States { population });
        let (mut states, mut counter, mut coupled) = states_of(&self.local, population);
        for reply in self.replies() {
            if let Reply::States { states: more, counter: c, coupled: sums } = reply {
                for (all, part) in states.iter_mut().zip(more).chain(coupled.iter_mut().zip(sums)) {
                    all.extend(part);
                }
                counter.extend(c);
            }
        }
        (states, counter, coupled)
    }

    /// Gives all threads the values of the params that may have changed.
    fn spread_params(&mut self, p: usize) {
        let follow: Vec<usize> = state::moving_params(&self.dynamics[p]).collect();
        let params = &self.params[p];
        for k in &follow {
            self.local.blocks[p].params[*k] = self.local.blocks[p].param_block(*k, &params[*k]);
        }
        let ranges = &self.ranges[p];
        self.send(|thread| {
            let (lo, hi) = ranges[thread];
            let padded = ((hi - lo) as usize).next_multiple_of(translate::GRAIN);
            let values = follow
                .iter()
                .map(|k| {
                    let block = match (&params[*k], &self.local.blocks[p].params[*k]) {
                        (v, ParamBlock::One(_)) => ParamBlock::One(v.at(0)),
                        (v, ParamBlock::Each(_)) => {
                            let part: Vec<f64> = (lo..hi).map(|i| v.at(i)).collect();
                            ParamBlock::Each(aligned::padded(&part, part.last().copied().unwrap_or(0.0), padded))
                        }
                    };
                    (*k, block)
                })
                .collect();
            Command::Params { population: p, values }
        });
        self.replies();
    }

    fn merge(&mut self, from: u64, done: u64, samples: &[Vec<Vec<f64>>]) {
        for (k, t) in self.trace_parts.iter().enumerate() {
            let every = t.request.every.max(1);
            let width = t.request.cells.len();
            let steps: Vec<u64> = (from + 1..=from + done).filter(|s| s % every == 0).collect();
            let log = &mut self.traces[k];
            let base = log.values.len();
            log.values.resize(base + steps.len() * width, f64::NAN);
            for (thread, part) in t.parts.iter().enumerate() {
                for row in 0..steps.len() {
                    for (c, at) in part.iter().enumerate() {
                        log.values[base + row * width + *at as usize] = samples[thread][k][row * part.len() + c];
                    }
                }
            }
            log.steps.extend(steps);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.send(|_| Command::Quit);
        for t in &mut self.threads {
            if let Some(h) = t.handle.take() {
                let _ = h.join();
            }
        }
        // All holders of kernels but `local` are gone, and `local` runs nothing any more.
        self.code.take();
    }
}

fn states_of(w: &Worker, population: usize) -> (Vec<Vec<f64>>, Vec<f64>, Vec<Vec<f64>>) {
    let b = &w.blocks[population];
    let n = b.n as usize;
    let rows = |all: &[Aligned<f64>]| all.iter().map(|s| s[..n].to_vec()).collect();
    (rows(&b.states), b.counter[..n].to_vec(), rows(&b.coupled))
}

fn shortest(d: &Delays) -> Option<u32> {
    match d {
        Delays::Constant(d) => Some(*d),
        Delays::Narrow(d) => d.iter().min().map(|d| u32::from(*d)),
        Delays::Wide(d) => d.iter().min().copied(),
    }
}

fn weights_of(w: &mut Worker, projection: usize, step: u64) -> (Vec<usize>, Vec<f64>) {
    if let Some(all) = w.learned_weights(projection, step) {
        return all;
    }
    let rows = &w.incoming[projection].rows;
    let lengths = rows.starts.windows(2).map(|s| (s[1] - s[0]) as usize).collect();
    let weights = match &rows.weights {
        Weights::Constant => Vec::new(),
        Weights::Single(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Weights::Double(v) => v.clone(),
    };
    (lengths, weights)
}

fn spawn(mut worker: Worker, shared: Arc<Shared>) -> Result<Thread, RunError> {
    let (commands, inbox) = channel::<Command>();
    let (outbox, replies) = channel::<Reply>();
    let body = move || {
        while let Ok(command) = inbox.recv() {
            let reply = match command {
                Command::Advance { from, steps } => {
                    let done = worker.advance(&shared, from, steps, None, &mut |_, _, _| {});
                    let (events, touches) = (worker.take_events(), worker.take_touches());
                    Reply::Done { steps: done, events, touches, samples: worker.take_samples() }
                }
                Command::Params { population, values } => {
                    for (k, v) in values {
                        worker.blocks[population].params[k] = v;
                    }
                    Reply::Ok
                }
                Command::States { population } => {
                    let (states, counter, coupled) = states_of(&worker, population);
                    Reply::States { states, counter, coupled }
                }
                Command::Weights { projection, step } => {
                    let (lengths, weights) = weights_of(&mut worker, projection, step);
                    Reply::Weights { lengths, weights }
                }
                Command::Edges { projection } => Reply::Edges(worker.edges(projection)),
                Command::SetWeights { projection, step, values } => {
                    worker.set_weights(projection, step, &values);
                    Reply::Ok
                }
                Command::SetEdges { projection, step, edges } => match worker.set_edges(projection, step, &edges) {
                    Ok(()) => Reply::Ok,
                    Err(e) => Reply::Failed(e),
                },
                Command::Reset { population, step, initial } => {
                    worker.reset(&shared, population, step, &initial);
                    Reply::Ok
                }
                Command::Learn { projection, step, on } => {
                    worker.learn(projection, step, on);
                    Reply::Ok
                }
                Command::Save { step } => {
                    let (populations, rules) = worker.save(step);
                    Reply::Saved(populations, rules)
                }
                Command::Load { state, own } => match worker.load(&state, &own) {
                    Ok(()) => Reply::Ok,
                    Err(e) => Reply::Failed(e),
                },
                Command::Measure { epoch } => {
                    worker.measure(epoch);
                    Reply::Ok
                }
                Command::Profile => Reply::Profile(worker.profile()),
                Command::Quit => break,
            };
            if outbox.send(reply).is_err() {
                break;
            }
        }
    };
    let handle = std::thread::Builder::new()
        .name("nsm-worker".to_string())
        .spawn(body)
        .map_err(|e| RunError::Limit(format!("a thread can't be started: {e}")))?;
    Ok(Thread { commands, replies, handle: Some(handle) })
}

impl Engine for Native {
    fn step(&self) -> u64 {
        self.step
    }

    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError> {
        let from = self.step;
        self.shared.halt.iter().for_each(|h| h.store(false, Ordering::Relaxed));
        self.send(|_| Command::Advance { from, steps });
        let shared = self.shared.clone();
        let logs = &mut self.logs;
        let mut together = Vec::new();
        let done = self.local.advance(&shared, from, steps, Some(stop), &mut |first, window, spikes| {
            for k in 0..window {
                for (p, log) in logs.iter_mut().enumerate() {
                    together.clear();
                    for part in spikes.of(k as usize, p) {
                        together.extend_from_slice(part);
                    }
                    if together.is_empty() {
                        continue;
                    }
                    log.push(first + k + 1, &together);
                }
            }
        });
        self.events += self.local.take_events();
        self.touches += self.local.take_touches();
        let mut samples = vec![self.local.take_samples()];
        for reply in self.replies() {
            if let Reply::Done { samples: s, steps, events, touches } = reply {
                debug_assert_eq!(steps, done);
                self.events += events;
                self.touches += touches;
                samples.push(s);
            }
        }
        self.step += done;
        if samples.len() == self.threads.len() + 1 {
            self.merge(from, done, &samples);
        }
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
        let t = self.step as f64 * self.dt;
        let mut scratch = Vec::new();
        cells
            .iter()
            .map(|c| {
                let at = *c as usize;
                crate::backend::eval::evaluate(&d.exprs, &order, &mut scratch, &mut |e, _| match e {
                    crate::ir::Expr::State(k) => states[*k as usize][at],
                    crate::ir::Expr::Param(k) => self.params[population][*k as usize].at(*c),
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
        let step = self.step;
        self.send(|_| Command::Weights { projection, step });
        let mut parts = vec![weights_of(&mut self.local, projection, step)];
        for reply in self.replies() {
            if let Reply::Weights { lengths, weights } = reply {
                parts.push((lengths, weights));
            }
        }
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
        self.send(|_| Command::Edges { projection });
        let mut all = self.local.edges(projection);
        for reply in self.replies() {
            if let Reply::Edges(more) = reply {
                all.extend(more);
            }
        }
        // Each thread has its own targets, so a stable sort by source keeps targets ascending within a row.
        all.sort_by_key(|(pre, _)| *pre);
        all
    }

    fn set_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), RunError> {
        let step = self.step;
        let edges = self.edges(projection);
        let Some(target) = self.local.incoming.get(projection).map(|i| i.target) else {
            return Err(RunError::Build("weights of what does not exist".to_string()));
        };
        let part = |(lo, hi): (u32, u32)| -> Vec<f64> {
            edges.iter().zip(values).filter(|((_, post), _)| (lo..hi).contains(post)).map(|(_, v)| *v).collect()
        };
        let ranges = &self.ranges[target];
        self.send(|thread| Command::SetWeights { projection, step, values: part(ranges[thread]) });
        self.local.set_weights(projection, step, &part(ranges[0]));
        self.replies();
        Ok(())
    }

    fn set_edges(&mut self, projection: usize, edges: &[(u32, u32)]) -> Result<(), RunError> {
        let step = self.step;
        let all = Arc::new(edges.to_vec());
        self.send(|_| Command::SetEdges { projection, step, edges: all.clone() });
        let local = self.local.set_edges(projection, step, edges);
        self.done(local)
    }

    fn reset(&mut self, population: usize, initial: &[Vec<f64>]) -> Result<(), RunError> {
        let step = self.step;
        let all = Arc::new(initial.to_vec());
        self.send(|_| Command::Reset { population, step, initial: all.clone() });
        self.local.reset(&self.shared, population, step, initial);
        self.replies();
        Ok(())
    }

    fn set_learning(&mut self, projection: usize, on: bool) {
        let step = self.step;
        self.send(|_| Command::Learn { projection, step, on });
        self.local.learn(projection, step, on);
        self.replies();
    }

    fn save(&mut self) -> EngineState {
        let step = self.step;
        self.send(|_| Command::Save { step });
        let mut parts = vec![self.local.save(step)];
        for reply in self.replies() {
            if let Reply::Saved(populations, rules) = reply {
                parts.push((populations, rules));
            }
        }
        let (mut blocks, mut rules): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|(b, r)| (b.into_iter(), r.into_iter())).unzip();
        let populations = (0..self.sizes.len()).map(|p| {
            let mut state = worker::join(&mut blocks.iter_mut().filter_map(Iterator::next));
            state.params =
                state::moving_params(&self.dynamics[p]).map(|k| (k as u32, self.params[p][k].clone())).collect();
            state.senders = self.local.senders(p);
            state
        });
        let populations = populations.collect();
        let plastic = self.local.learning.iter().map(|_| merge(rules.iter_mut().filter_map(Iterator::next).collect()));
        let plastic = plastic.collect();
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
        same(state.plastic.len(), self.local.learning.len(), "rules")?;
        let rules: Vec<(usize, usize)> = self.local.learning.iter().map(|l| (l.projection, l.target)).collect();
        let rules: Vec<(Vec<(u32, u32)>, usize)> = rules.into_iter().map(|(p, t)| (self.edges(p), t)).collect();
        let own = |thread: usize| -> Vec<Vec<u32>> {
            let here = |(edges, target): &(Vec<(u32, u32)>, usize)| {
                let (lo, hi) = self.ranges[*target][thread];
                let inside = (0..).zip(edges).filter(|(_, (_, post))| (lo..hi).contains(post));
                inside.map(|(k, _)| k).collect()
            };
            rules.iter().map(here).collect()
        };
        let state = Arc::new(state);
        self.send(|thread| Command::Load { state: state.clone(), own: own(thread) });
        let own = own(0);
        let local = self.local.load(&state, &own);
        let result = self.done(local);
        (self.step, self.events, self.touches) = (state.step, state.synaptic_events, state.touches);
        result
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
        self.local.measure(epoch);
        self.send(|_| Command::Measure { epoch });
        let _ = self.replies();
    }

    fn profile(&mut self) -> Option<Profile> {
        self.send(|_| Command::Profile);
        let others = self.replies().into_iter().filter_map(|reply| match reply {
            Reply::Profile(profile) => Some(profile),
            _ => None,
        });
        let threads = std::iter::once(self.local.profile()).chain(others).collect();
        let populations = self.paths.iter().cloned().zip(self.sizes.iter().map(|n| u64::from(*n))).collect();
        Some(Profile { threads, populations, projections: self.projections.clone() })
    }
}
