//! How the synapses of a projection change.
//!
//! # Variables
//!
//! `State(k)` in [`Plasticity::exprs`] is the k-th of [`Plasticity::variables`]; the first is the weight. A trace lives once per
//! presynaptic neuron (for each delay that its synapses have) or once per postsynaptic neuron, everything else once per synapse.
//! `Read(k)` is an expression of the postsynaptic neuron: its value after phase 3 of the last step that it went through. `Elapsed`
//! is the time in ms since a synapse was last brought up to date, `Integral(k)` the k-th of [`Plasticity::integrals`] over that time.
//!
//! # The order of one step
//!
//! `t + dt` is the step's end. A presynaptic spike stamped `s` reaches its synapse at `s` + axonal delay and the cell at that plus
//! the dendritic delay; a postsynaptic spike stamped `s` reaches its synapses at `s` + dendritic delay. For each rule, in order of
//! projections:
//!
//! 1. What the events of the step before wrote into traces takes effect.
//! 2. If the rule is not lazy, all its synapses advance by dt ([`Plasticity::drift`], reading the traces at `t`). Traces advance by
//!    dt ([`Plasticity::advance`]), all at once.
//! 3. Where the dendritic delay is at least one step: postsynaptic spikes that reach their synapses at `t + dt`.
//! 4. Presynaptic spikes that reach their synapses at `t + dt`, in order of (presynaptic neuron, delay), each synapse in order of
//!    its target: it is brought up to date if the rule is lazy, then the handler runs and its spike is sent on. Without a dendritic
//!    delay it is among the arrivals of this very step.
//! 5. The cell integrates, receives and spikes (head of `ir`). Events at its receptors are those of this step's arrivals.
//! 6. Without a dendritic delay: postsynaptic spikes of this step. Then handlers of receptors, then those of the network's events,
//!    then those of `every`; the last two run for all synapses, and for the traces of both sides.
//!
//! A lazy rule with integrals brings all synapses up to date at the start of a step in which one of them that is guarded takes a value
//! of the other sign than the last one that was not 0, and of a step before which `backend::running::HORIZON` steps are kept.
//!
//! Where a handler of `every` writes [`Plasticity::remove`], the synapses for which it is not 0 then are gone, unless weights stand
//! still. With [`Plasticity::regrow`] each target, in order, gets as many new ones as it lacks of those that were built, from sources
//! that the projection's rule allows, all equally likely; a spike on its way along an axon finds the synapses that are there when it
//! arrives. The new ones begin at once, with all variables as at the start.
//!
//! Every handler reads the traces of both sides as they were before the instant; its own statements see what it wrote itself.

use super::expr::{ExprId, Exprs};
use super::network::{Assign, ProjectionId};
use crate::units::Dimension;
use serde::{Deserialize, Serialize};

/// Targets whose weights are added up before the sum of all that leave a neuron is.
pub const SUMMED: u32 = 64;

/// The rules of one projection, made one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plasticity {
    pub projection: ProjectionId,
    /// `RewardStdp + TsodyksMarkram`
    pub name: String,
    /// Of the weight, both ends included: handlers and drift clip it to them as they write it, experiments what they write.
    pub bounds: (f64, f64),
    pub exprs: Exprs,
    pub variables: Vec<Variable>,
    /// Expressions in the target's [`super::Dynamics::exprs`].
    pub reads: Vec<ExprId>,
    /// Those of `reads` that are the same for all targets: levels of modulators, held over a step.
    pub levels: Vec<u32>,
    /// That of `reads` that is no expression of the cell but the sum of the weights onto it, as they are before a handler of `every`.
    pub total: Option<u32>,
    /// The same of the sum of the weights that leave the presynaptic neuron: of the sums over each [`SUMMED`] targets, ascending. They are as
    /// postsynaptic spikes, arrivals and named events of the moment left them, before any handler of `every`.
    pub total_out: Option<u32>,
    /// Variable of a synapse that is to go, where synapses can.
    pub remove: Option<u32>,
    /// Weight of the synapses that come in the place of those that went.
    pub regrow: Option<f64>,
    /// Traces over one step.
    pub advance: Vec<Assign>,
    /// Synaptic variables over `Elapsed` (lazy) or over one step.
    pub drift: Vec<Assign>,
    /// What a lazy rule's drift takes from levels.
    pub integrals: Vec<Integral>,
    /// Synapses are brought up to date when an event touches them, not in every step.
    pub lazy: bool,
    /// Why it is not lazy: each variable that can't wait, in words.
    pub stepped: Vec<String>,
    pub handlers: Vec<Handler>,
    /// Steps of the delay that lie in the dendrite.
    pub dendritic: u32,
    /// Synapses hold their variables in single precision: what is computed in double precision is rounded where it is held.
    pub single: bool,
    /// Which form was proved for what, and why.
    pub notes: Vec<String>,
}

/// A sum over the n steps since a synapse was last brought up to date, j = 0 .. n - 1: the value in step j, read at its start, times
/// exp(`decay` j dt), times exp(`own` (n - 1 - j) dt).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Integral {
    /// Of levels alone.
    pub value: ExprId,
    /// Rates, ms^-1, at most 0: of what the value is multiplied with, and of what gains by it.
    pub decay: f64,
    pub own: f64,
    /// The weight that gains by it has bounds: it must not turn unnoticed.
    pub guarded: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub dimension: Dimension,
    pub place: Place,
    /// The weight has its own.
    pub initial: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    Pre,
    Post,
    Synapse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Pre,
    Post,
    /// Spikes arrive at a receptor of the postsynaptic neuron, by its position.
    Receptor(u32),
    /// An event of the network: in the step in which the first of these reads is not 0; the second is its number.
    Named(u32, u32),
    /// Every so many steps.
    Every(u64),
}

/// What an event does: every right side reads the values before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handler {
    pub event: Event,
    pub assigns: Vec<Assign>,
    /// What the spike carries on.
    pub deliver: Option<ExprId>,
    /// What it carries on where weights stand still, if it is something else: no statement of the handler has written one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<ExprId>,
}

/// How synapses keep up with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing happens between two events.
    Events,
    /// What happens between two events is made up for at the second.
    Lazy,
    /// All synapses advance in every step.
    Clock,
}

impl Plasticity {
    pub fn form(&self) -> Form {
        match (self.lazy, self.drift.is_empty()) {
            (_, true) => Form::Events,
            (true, false) => Form::Lazy,
            (false, false) => Form::Clock,
        }
    }

    /// What a synapse keeps, by name.
    pub fn state(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|v| v.place == Place::Synapse).map(|v| v.name.as_str())
    }

    /// Bytes of what a synapse keeps.
    pub fn bytes(&self) -> usize {
        self.state().count() * if self.single { 4 } else { 8 }
    }

    /// The form that was proved, what a synapse keeps, and why it is the clock where it is.
    pub fn summary(&self) -> String {
        let mut out = match self.form() {
            Form::Events => "event-driven".to_string(),
            Form::Lazy if self.integrals.is_empty() => "lazily decayed, brought up to date at events".to_string(),
            Form::Lazy => "lazily decayed, brought up to date at events by running integrals of levels".to_string(),
            Form::Clock => "clock-driven, every synapse in every step".to_string(),
        };
        let state: Vec<&str> = self.state().collect();
        out.push_str(&format!("; {} bytes a synapse ({})", self.bytes(), state.join(", ")));
        if !self.stepped.is_empty() {
            out.push_str("; because ");
            out.push_str(&self.stepped.join("; "));
        }
        out
    }

    pub fn place(&self, variable: u32) -> Place {
        self.variables.get(variable as usize).map_or(Place::Synapse, |v| v.place)
    }

    pub fn handlers(&self, event: Event) -> impl Iterator<Item = &Handler> {
        self.handlers.iter().filter(move |h| h.event == event)
    }
}
