//! What every back end offers to the walker of experiments.

use super::profile::Profile;
use super::state::EngineState;
use crate::script::BinaryOp;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// A network that can be stepped. Populations are numbered in order of declaration
/// (`ir::Network::populations`), projections likewise (`ir::Network::projections`).
pub trait Engine {
    /// Steps done so far.
    fn step(&self) -> u64;

    /// Runs up to `steps` steps, recording as asked. Stops early, at a step boundary, when `stop` is set or a state is no longer
    /// finite. Gives the number of steps done.
    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError>;

    /// Writes a settable param; takes effect with the next step. Params derived from it follow.
    fn set(&mut self, setting: &Setting) -> Result<(), RunError>;

    /// Current values of a param, one per cell asked for (in their order).
    fn param(&self, population: usize, param: u32, cells: &[u32]) -> Vec<f64>;

    /// Current values of an observable, one per cell asked for.
    fn observe(&self, population: usize, observable: u32, cells: &[u32]) -> Vec<f64>;

    /// A state by position, all cells: for comparison of back ends.
    fn state(&self, population: usize, state: u32) -> Vec<f64>;

    fn spikes(&self, population: usize) -> &SpikeLog;

    fn traces(&self) -> &[TraceLog];

    /// Weights of a projection, rows by presynaptic cell, each ascending in the target; brought up to date first.
    fn weights(&mut self, projection: usize) -> Vec<f64>;

    /// (presynaptic cell, target) of each weight, in that order.
    fn edges(&mut self, projection: usize) -> Vec<(u32, u32)>;

    /// Writes the weights of a projection that is mutable or plastic, in that order.
    fn set_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), RunError>;

    /// Takes over these synapses, in that order, for a projection whose synapses come and go; those that are there keep their weight
    /// and state.
    fn set_edges(&mut self, projection: usize, edges: &[(u32, u32)]) -> Result<(), RunError>;

    /// States of a population as given (`[state][neuron]`), nobody refractory, nothing on its way to it; traces and synaptic states of
    /// what lands on it as at the start.
    fn reset(&mut self, population: usize, initial: &[Vec<f64>]) -> Result<(), RunError>;

    /// Whether the rules of a projection change its weights from now on; traces run on.
    fn set_learning(&mut self, projection: usize, on: bool);

    /// Everything that the next step depends on and all that was recorded. Changes nothing: lazy synapses stay as they are.
    fn save(&mut self) -> EngineState;

    /// Goes on from a state that an engine of the same network, seed and recordings saved, on whatever back end and threads.
    ///
    /// # Errors
    /// [`RunError::Build`] where the state is of another network; the engine is of no use then.
    fn load(&mut self, state: EngineState) -> Result<(), RunError>;

    /// Synapses that exist.
    fn synapses(&self) -> u64;

    /// Bytes that hold them.
    fn synapse_bytes(&self) -> u64;

    /// Spikes x out-degree delivered so far.
    fn synaptic_events(&self) -> u64;

    /// How often rules went through a synapse so far.
    fn touches(&self) -> Touches;

    /// From now on, notes where the time goes: some percent of a run of small networks.
    fn measure(&mut self) {}

    /// What was noted since; nothing where it is not measured.
    fn profile(&mut self) -> Option<Profile> {
        None
    }
}

/// How often rules of plasticity went through a synapse, which is what learning costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touches {
    /// For a spike at either end, or for `every`.
    pub at_events: u64,
    /// Because a step went by: none where every rule is lazy.
    pub in_steps: u64,
}

impl std::ops::AddAssign for Touches {
    fn add_assign(&mut self, other: Touches) {
        self.at_events += other.at_events;
        self.in_steps += other.in_steps;
    }
}

/// A write to a settable param.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub population: usize,
    pub param: u32,
    /// `None`: all cells.
    pub cells: Option<Vec<u32>>,
    /// `None`: replace.
    pub op: Option<BinaryOp>,
    /// One for all cells, or one for each.
    pub values: Vec<f64>,
}

/// An observable to be sampled while the network runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceRequest {
    pub population: usize,
    pub observable: u32,
    pub cells: Vec<u32>,
    /// Samples are taken after steps that are multiples of this; 1 is every step.
    pub every: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceLog {
    pub request: TraceRequest,
    /// The sample after step `s` (time `s * dt`).
    pub steps: Vec<u64>,
    /// Time-major: one row of `cells` for each of `steps`.
    pub values: Vec<f64>,
}

impl TraceLog {
    /// Memory of the samples.
    pub fn bytes(&self) -> usize {
        size_of_val(self.steps.as_slice()) + size_of_val(self.values.as_slice())
    }
}

/// Which spikes of a population are kept one by one. Count and intervals are summed up in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    #[default]
    None,
    /// At least those of the last so many steps.
    Last(u64),
    All,
}

/// The spikes of one population, in order of (step, neuron).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpikeLog {
    pub keep: Keep,
    pub steps: Vec<u64>,
    pub senders: Vec<u32>,
    pub count: u64,
    neurons: Vec<Intervals>,
}

/// Running sums of one neuron's inter-spike intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Intervals {
    /// Step of the last spike; 0 where there was none (a spike is stamped 1 at the earliest).
    last: u64,
    n: u32,
    sum: f64,
    squares: f64,
}

impl SpikeLog {
    pub fn new(size: u32, keep: Keep) -> SpikeLog {
        SpikeLog { keep, neurons: vec![Intervals::default(); size as usize], ..SpikeLog::default() }
    }

    /// Whether it could be the state of `other` after `step` steps: of as many neurons, keeping as much.
    pub fn fits(&self, other: &SpikeLog, step: u64) -> bool {
        let whole = self.steps.len() == self.senders.len() && self.steps.is_sorted();
        let known = self.senders.iter().all(|s| (*s as usize) < self.neurons.len());
        let past = self.steps.last().is_none_or(|s| *s <= step) && self.neurons.iter().all(|n| n.last <= step);
        (self.neurons.len(), self.keep) == (other.neurons.len(), other.keep) && whole && known && past
    }

    /// Memory of the spikes that are kept one by one.
    pub fn bytes(&self) -> usize {
        size_of_val(self.steps.as_slice()) + size_of_val(self.senders.as_slice())
    }

    /// Appends the spikes stamped `step`, neurons ascending.
    pub fn push(&mut self, step: u64, neurons: &[u32]) {
        self.count += neurons.len() as u64;
        for neuron in neurons {
            let i = &mut self.neurons[*neuron as usize];
            if i.last > 0 {
                let interval = (step - i.last) as f64;
                i.n += 1;
                i.sum += interval;
                i.squares += interval * interval;
            }
            i.last = step;
        }
        if self.keep == Keep::None {
            return;
        }
        self.steps.extend(std::iter::repeat_n(step, neurons.len()));
        self.senders.extend_from_slice(neurons);
        if let Keep::Last(steps) = self.keep {
            self.forget(step, steps);
        }
    }

    /// Drops what is older than the last `steps` steps once a window's worth of it has come together: so each spike is moved
    /// about once. When depends on the spikes alone, not on who counts them or on where a run was cut.
    fn forget(&mut self, now: u64, steps: u64) {
        if self.steps.first().is_some_and(|first| now - first > steps.saturating_mul(2)) {
            let old = self.steps.partition_point(|s| now - s > steps);
            self.steps.drain(..old);
            self.senders.drain(..old);
        }
    }

    /// Neurons with a spike after `step`.
    pub fn active_since(&self, step: u64) -> u64 {
        self.neurons.iter().filter(|n| n.last > step).count() as u64
    }

    /// Neurons with at least two intervals, over which [`cv_isi`](Self::cv_isi) is the mean.
    pub fn with_intervals(&self) -> u64 {
        self.neurons.iter().filter(|n| n.n >= 2).count() as u64
    }

    /// Mean over neurons with at least three spikes of (SD of the intervals) / (their mean).
    pub fn cv_isi(&self) -> Option<f64> {
        let mut sum = 0.0;
        let mut n = 0_u64;
        for i in &self.neurons {
            if i.n >= 2 {
                let count = f64::from(i.n);
                let mean = i.sum / count;
                let variance = (i.squares / count - mean * mean).max(0.0);
                sum += variance.sqrt() / mean;
                n += 1;
            }
        }
        (n > 0).then(|| sum / n as f64)
    }
}

/// Why a run could not go on.
#[derive(Clone, Debug, PartialEq)]
pub enum RunError {
    /// A state is NaN or infinite.
    NotFinite { population: String, neuron: u32, step: u64, variable: String, value: f64 },
    /// Adaptive steps did not reach the end of the network's step.
    TooManySteps { population: String, neuron: u32, step: u64, limit: u32 },
    /// What could not be built, in words.
    Build(String),
    /// An expression of the experiment failed.
    Script { place: String, message: String, help: Option<String> },
    /// A process that answers for an environment is gone, silent or wrong.
    Outside { place: String, message: String, notes: Vec<String>, help: Option<String> },
    /// The circuit asks for more than it may have.
    Limit(String),
    /// What is kept of the run outgrew its memory at a step; most of it is what `most` says.
    Memory { message: String, most: String, step: u64 },
    /// A chip stopped, or can't do what the experiment asks of it.
    Chip { message: String, help: Option<String> },
}
