//! The whole state of a running network between two steps, in a form that no back end and no number of threads has a part in.
//!
//! What the build makes from network and seed (elements, synapses that stand still) is no part of it: a state is loaded into an
//! engine that was built from the same network with the same seed. Arrays are over all cells of a population or all synapses of a
//! projection, presynaptic cell by presynaptic cell, each row ascending in the target, as [`Engine::weights`](super::Engine)
//! gives them. Time is a number of steps throughout.

use super::build::ParamValues;
use super::engine::{RunError, SpikeLog, Touches, TraceLog};
use crate::ir::{Arrival, Dynamics, Network, ParamKind};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineState {
    /// Steps done.
    pub step: u64,
    pub synaptic_events: u64,
    /// Synapses that rules went through.
    pub touches: Touches,
    pub populations: Vec<PopulationState>,
    /// Continuous projections, in order of their declaration.
    pub couplings: Vec<CouplingState>,
    /// Weights of spiking projections that an experiment may write and that no rule changes: (projection, weights).
    pub weights: Vec<(u32, Vec<f64>)>,
    /// Projections that learn, in order of `ir::Network::plasticity`.
    pub plastic: Vec<PlasticState>,
    pub spikes: Vec<SpikeLog>,
    pub traces: Vec<TraceLog>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PopulationState {
    /// `[state][cell]`
    pub states: Vec<Vec<f64>>,
    /// Steps for which a cell is refractory still.
    pub refractory: Vec<u64>,
    /// Params that were or may be written, and what is derived from others: (param, values).
    pub params: Vec<(u32, ParamValues)>,
    /// Spikes on their way, for each arrival term that takes them, in order of receptors and terms.
    pub arrivals: Vec<InFlight>,
    /// Sums over continuous projections: `[leaf][cell]`.
    pub coupled: Vec<Vec<f64>>,
    /// Spikes that hold places among the winners: (step, cell), in order.
    pub senders: Vec<(u64, u32)>,
}

/// What one arrival term will take in the steps to come; the first row is the next step's. An empty row has nothing in it, and rows
/// after the last have none either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InFlight {
    Counts(Vec<Vec<u64>>),
    Sums(Vec<Vec<f64>>),
}

/// What a continuous projection reads: values of the source's cells, of the latest step and of those before it, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CouplingState {
    pub past: Vec<Vec<f64>>,
}

/// A projection that learns. Lanes are the pairs (presynaptic cell, axonal delay in steps) that have synapses, ascending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlasticState {
    pub lanes: Vec<(u32, u32)>,
    /// (presynaptic, postsynaptic cell) of each synapse where synapses come and go; else empty.
    pub edges: Vec<(u32, u32)>,
    /// Presynaptic variables: `[variable][lane]`.
    pub pre: Vec<Vec<f64>>,
    /// Postsynaptic variables: `[variable][cell]`.
    pub post: Vec<Vec<f64>>,
    /// Variables of synapses, the weight first: `[variable][synapse]`.
    pub synapse: Vec<Vec<f64>>,
    /// Step at whose end each synapse was brought up to date; empty where all are in every step.
    pub touched: Vec<u64>,
    /// What the rule's integrals added up since all synapses were up to date: `[integral][step]`, the last step's last.
    pub integrals: Vec<Vec<f64>>,
    /// Presynaptic spikes on their way: (step at whose end they arrive, lane), ascending.
    pub due: Vec<(u64, u32)>,
    /// Postsynaptic spikes on their way back: (step, cell), ascending.
    pub back: Vec<(u64, u32)>,
    /// Traces that take a new value with the next step: (variable, lane or cell, value), ascending.
    pub pending: Vec<(u32, u32, f64)>,
    /// Weights stand still.
    pub frozen: bool,
}

impl InFlight {
    /// Leaves out what holds nothing.
    pub fn trimmed(self) -> InFlight {
        fn trim<T>(mut rows: Vec<Vec<T>>, nothing: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
            for row in &mut rows {
                if row.iter().all(&nothing) {
                    row.clear();
                }
            }
            while rows.last().is_some_and(Vec::is_empty) {
                rows.pop();
            }
            rows
        }
        match self {
            InFlight::Counts(rows) => InFlight::Counts(trim(rows, |n| *n == 0)),
            // A sum that came back to 0 is +0.0, as one that nothing was added to.
            InFlight::Sums(rows) => InFlight::Sums(trim(rows, |v| v.to_bits() == 0)),
        }
    }
}

/// Whether an arrival term takes spikes that are sent within the network.
pub fn is_queued(arrival: &Arrival) -> bool {
    !matches!(arrival, Arrival::Poisson(_))
}

/// Params that are not what the build made of them for good.
pub fn moving_params(dynamics: &Dynamics) -> impl Iterator<Item = usize> {
    let any = dynamics.params.iter().any(|p| p.settable);
    let derived = |k: usize| matches!(dynamics.params[k].kind, ParamKind::Derived(_));
    (0..dynamics.params.len()).filter(move |k| any && (dynamics.params[*k].settable || derived(*k)))
}

/// Projections by position whose weights an experiment may write and that no rule changes.
pub fn written(network: &Network) -> Vec<usize> {
    let learns = |id| network.rule(id).is_some();
    let ids = network.projections().map(|(id, ..)| id).enumerate();
    ids.filter(|(_, id)| network.mutable.contains(id) && !learns(*id)).map(|(k, _)| k).collect()
}

/// A state that is not one of this network.
pub fn unfit(what: &str) -> RunError {
    RunError::Build(format!("the saved state does not fit the network: {what}"))
}

/// `Ok` where both are equal.
pub fn same<T: PartialEq>(found: T, expected: T, what: &str) -> Result<(), RunError> {
    if found == expected { Ok(()) } else { Err(unfit(what)) }
}

impl PopulationState {
    /// Checks every length against a population of `size` cells.
    pub fn check(&self, dynamics: &Dynamics, size: u32) -> Result<(), RunError> {
        let n = size as usize;
        let wide = |rows: &[Vec<f64>]| rows.iter().all(|r| r.len() == n);
        same(self.states.len(), dynamics.states.len(), "states")?;
        same(self.coupled.len(), dynamics.coupled.len(), "sums over continuous projections")?;
        same(wide(&self.states) && wide(&self.coupled) && self.refractory.len() == n, true, "cells")?;
        let ids = self.params.iter().map(|(k, _)| *k as usize);
        same(ids.eq(moving_params(dynamics)), true, "params")?;
        let each = |v: &ParamValues| if let ParamValues::Each(v) = v { v.len() == n } else { true };
        same(self.params.iter().all(|(_, v)| each(v)), true, "values of params")?;
        let terms: Vec<&Arrival> =
            dynamics.receptors.iter().flat_map(|r| &r.arrivals).filter(|a| is_queued(a)).collect();
        same(self.arrivals.len(), terms.len(), "receptors")?;
        for (arrival, term) in self.arrivals.iter().zip(terms) {
            let fits = match (arrival, term) {
                (InFlight::Counts(rows), Arrival::Count { .. }) => rows.iter().all(|r| r.is_empty() || r.len() == n),
                (InFlight::Sums(rows), Arrival::Sum { .. }) => rows.iter().all(|r| r.is_empty() || r.len() == n),
                _ => false,
            };
            same(fits, true, "spikes on their way")?;
        }
        same(self.senders.iter().all(|(_, cell)| *cell < size), true, "winners")
    }
}

/// The logs of a state, in place of those that an engine has, which must keep the same.
pub fn load_logs(
    state: &mut EngineState,
    spikes: &mut Vec<SpikeLog>,
    traces: &mut Vec<TraceLog>,
) -> Result<(), RunError> {
    same(state.spikes.len(), spikes.len(), "recorded populations")?;
    same(state.spikes.iter().zip(&*spikes).all(|(a, b)| a.fits(b, state.step)), true, "which spikes are kept")?;
    same(state.traces.len(), traces.len(), "recorded observables")?;
    let whole = |t: &TraceLog| t.values.len() == t.steps.len() * t.request.cells.len();
    let kept = state.traces.iter().zip(&*traces).all(|(a, b)| a.request == b.request && whole(a));
    same(kept, true, "which observables are recorded")?;
    *spikes = std::mem::take(&mut state.spikes);
    *traces = std::mem::take(&mut state.traces);
    Ok(())
}
