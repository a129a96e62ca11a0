//! Runs a package, and nothing else: it never sees the circuit that the package was made of.
//!
//! # A step
//!
//! 1. Every core runs the program of each of its compartments, in order. A program reads what arrived for this step.
//! 2. Spikes, and those that the host sends in this step, travel along their axons: one packet for each destination.
//! 3. Every core takes its packets: a synapse with a delay of d steps adds to what arrives in step t + 1 + d. Sums don't depend on
//!    their order. A packet with a third factor sets a post trace of its targets instead, to the trace's resting value plus the payload.
//! 4. Learning ([`learning`]): traces take in the spikes of the step, what the host writes to traces is written, and at the end of
//!    an epoch weights and tags change.
//!
//! Nothing depends on which core a neuron is on, or on how many threads run the cores: random numbers are functions of (seed, neuron, step, draw), and those of learning
//! of the projection.

mod access;
mod core;
mod learning;
mod load;
mod pcg;
mod together;

pub use access::Address;
pub use load::LoadError;

use self::core::CoreState;
use self::together::HostMail;
use super::fixed::{HostSpike, TraceWrite};
use super::limits::Limits;
use super::microcode::Program;
use super::package::{AxonOut, Manifest};
use std::fmt;

/// How it deals with what doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Whatever leaves its range ends the run.
    #[default]
    Strict,
    /// As lava-nc 0.10.0: wraps once, saturates, checks no width.
    Lava010,
}

/// What ended a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step}, core {core}, neuron {neuron}: {what}")]
pub struct Fault {
    pub core: u32,
    /// Number in the network.
    pub neuron: u32,
    pub step: u64,
    pub what: Overflow,
}

/// Which range was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    Register,
    Wrap24,
    Clip24,
    /// A word of state, by position in its program.
    State(u32),
    Payload,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overflow::Register => write!(f, "a register leaves its 48 bits"),
            Overflow::Wrap24 => write!(f, "X.WRAP24 meets a value that leaves 24 bits"),
            Overflow::Clip24 => write!(f, "X.CLIP24 meets a value that leaves 24 bits"),
            Overflow::State(k) => write!(f, "word {k} of its state leaves its width"),
            Overflow::Payload => write!(f, "the payload of a spike leaves its width"),
        }
    }
}

/// What was done on a core so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Compartments advanced.
    pub updates: u64,
    /// Operations of microcode.
    pub operations: u64,
    pub spikes: u64,
    /// Spikes taken in by axons.
    pub packets_in: u64,
    pub packets_out: u64,
    /// Of packets sent: steps along the rows and columns of the mesh, and from chip to chip.
    pub hops_x: u64,
    pub hops_y: u64,
    pub hops_chip: u64,
    pub synaptic_operations: u64,
    /// Synapses that a learning rule went over.
    pub learning_operations: u64,
    /// Of the packets taken in: those that brought a third factor.
    pub third_factors: u64,
    /// Words and traces that the host wrote between two steps.
    pub host_writes: u64,
}

/// A spike of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spike {
    pub step: u64,
    pub neuron: u32,
    pub payload: i32,
}

/// Number of a neuron in the network, and its x1 and x2 or its y1, y2 and y3.
pub type SourceTraces = (u32, [i32; 2]);
pub type TargetTraces = (u32, [i32; 3]);

/// A package that runs.
pub struct Emulator {
    manifest: Manifest,
    programs: Vec<Program>,
    cores: Vec<CoreState>,
    host: HostState,
    mode: Mode,
    step: u64,
    spikes: Vec<Spike>,
    /// Of each neuron: core and compartment; `None` for those of the host.
    place: Vec<Option<(u32, u32)>>,
    /// Words of synapse memory.
    memory: u64,
    /// That a run may take.
    threads: usize,
    /// Operations of a step, as far as programs say.
    expected: u64,
}

struct HostState {
    /// By neuron of the host.
    axons_out: Vec<Vec<AxonOut>>,
    /// Neuron of the network to neuron of the host.
    driven: Vec<Option<u32>>,
    events: Vec<HostSpike>,
    next_event: usize,
    writes: Vec<TraceWrite>,
    next_write: usize,
    counters: Counters,
}

impl HostState {
    fn mail(&mut self) -> HostMail<'_> {
        let HostState { axons_out, driven, events, next_event, counters, .. } = self;
        HostMail { axons_out, driven, events, next_event, counters }
    }
}

impl Emulator {
    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All spikes so far, those of the host among them, in order of (step, neuron).
    pub fn spikes(&self) -> &[Spike] {
        &self.spikes
    }

    /// What each core did.
    pub fn counters(&self) -> impl Iterator<Item = Counters> + '_ {
        self.cores.iter().map(|c| c.counters)
    }

    /// The core of a neuron; `None` where the host drives it, or there is none.
    pub fn core_of(&self, neuron: u32) -> Option<u32> {
        self.place.get(neuron as usize).copied().flatten().map(|(core, _)| core)
    }

    /// What the host sent.
    pub fn host_counters(&self) -> Counters {
        self.host.counters
    }

    /// A word of the state of every neuron of a population; empty where there is none of that name.
    pub fn state(&self, population: usize, word: &str) -> Vec<i32> {
        let m = &self.manifest;
        let base: u32 = m.populations.iter().take(population).map(|p| p.size).sum();
        let Some(p) = m.populations.get(population) else { return vec![] };
        let program = p.profile.and_then(|k| m.profiles.get(k as usize)).map(|k| &self.programs[k.program as usize]);
        let Some(at) = program.and_then(|p| p.states.iter().position(|s| s.name == word)) else { return vec![] };
        let places = (base..base + p.size).filter_map(|n| self.place[n as usize]);
        places.map(|(core, k)| self.cores[core as usize].state_of(k)[at]).collect()
    }

    /// Where the spikes of a neuron go.
    fn axons_of(&self, neuron: u32) -> &[AxonOut] {
        let n = neuron as usize;
        match (self.place[n], self.host.driven[n]) {
            (Some((core, k)), _) => &self.cores[core as usize].axons_out[k as usize],
            (None, Some(k)) => &self.host.axons_out[k as usize],
            (None, None) => &[],
        }
    }

    /// The synapses of a projection as they are now: source and target within their populations, in this order.
    pub fn synapses(&self, projection: usize) -> Vec<SynapseState> {
        let mut out = Vec::new();
        for source in 0..self.place.len() as u32 {
            for a in self.axons_of(source) {
                self.cores[a.core as usize].synapses_of(a.axon, projection as u32, source, &mut out);
            }
        }
        out.sort_unstable();
        out
    }

    /// Traces of a projection that learns: of each source (x1, x2) and of each target (y1, y2, y3), by neuron of the network.
    pub fn traces(&self, projection: usize) -> (Vec<SourceTraces>, Vec<TargetTraces>) {
        let (mut pre, mut post) = (vec![], vec![]);
        for (n, place) in self.place.iter().enumerate() {
            let axons = self.axons_of(n as u32);
            let x = axons.iter().find_map(|a| self.cores[a.core as usize].pre_trace(a.axon, projection as u32));
            pre.extend(x.map(|x| (n as u32, x)));
            if let Some((core, k)) = place {
                post.extend(self.cores[*core as usize].post_trace(*k, projection as u32).map(|y| (n as u32, y)));
            }
        }
        (pre, post)
    }

    /// What the host sends before the first step.
    fn begin(&mut self) {
        let mut packets = vec![];
        self.host.mail().route(0, self.cores.iter_mut(), &mut self.spikes, &mut packets, &self.manifest);
        for (to, payload) in packets {
            self.cores[to.core as usize].inbox.push((to.axon, payload));
        }
        for core in &mut self.cores {
            core.deliver(0, &self.manifest);
        }
    }
}

impl Counters {
    /// A packet from one site to another.
    fn travel(&mut self, from: (u32, u32, u32), to: (u32, u32, u32), limits: &Limits) {
        self.packets_out += 1;
        self.hops_x += u64::from(from.1.abs_diff(to.1));
        self.hops_y += u64::from(from.2.abs_diff(to.2));
        self.hops_chip += u64::from(limits.borders((from.1, from.2), (to.1, to.2)));
    }
}

/// A synapse while the network runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SynapseState {
    /// Numbers in the network.
    pub source: u32,
    pub target: u32,
    pub delay: u32,
    pub weight: i32,
    pub tag: i32,
    /// The variable that rules call `d`. It delays nothing.
    pub learned_delay: i32,
}
