//! The reference interpreter: the text at the head of `ir` as code, one neuron and one synapse at a time.
//!
//! It is the oracle that compiled kernels are compared with, so it shares with them only what defines the circuit: its
//! elements and synapses (`build`), the evaluation of expressions (`eval`), `numerics` and `random`. It takes a
//! validated network for granted. Speed is no aim of it.
//!
//! What that text leaves open and both back ends must do alike: the sum over the terms of a receptor begins with its
//! first term; a sum of weights begins with 0; gains, weights and receptor bodies see `Time` = `t`, and the states as
//! they stand by then; reset statements and the refractory time see `t + dt`; a state that is not finite is reported
//! for the first population, then the first neuron, then the first state that has one.

mod cells;
mod couplings;
mod plastic;
mod rows;
#[cfg(test)]
mod tests;
mod winners;

use super::build;
use super::engine::{Engine, Keep, RunError, Setting, SpikeLog, Touches, TraceLog, TraceRequest};
use super::held::merge;
use super::state::{self, EngineState, same, unfit};
use crate::ir::Network;
use cells::Cells;
use couplings::Couplings;
use plastic::Plastic;
use rows::Rows;
use std::sync::atomic::{AtomicBool, Ordering};
use winners::Senders;

/// A projection whose synapses change.
struct Learning {
    projection: usize,
    /// Populations by position.
    from: usize,
    to: usize,
    receptor: usize,
    /// The arrival term that takes its spikes.
    term: usize,
    plastic: Plastic,
}

/// A network that is walked step by step.
pub struct Interpreter {
    step: u64,
    populations: Vec<Cells>,
    projections: Vec<Rows>,
    senders: Vec<Option<Senders>>,
    plastic: Vec<Learning>,
    couplings: Couplings,
    spikes: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    /// Projections that no rule changes and whose weights may be written.
    written: Vec<usize>,
    synaptic_events: u64,
    touches: Touches,
}

impl Interpreter {
    /// Builds all elements and synapses of `network` under `seed`.
    ///
    /// `keep_spikes` says for each population which spikes are kept; populations beyond its end keep none.
    ///
    /// # Errors
    /// [`RunError::Build`] with what could not be built.
    pub fn new(
        network: &Network,
        seed: u64,
        traces: Vec<TraceRequest>,
        keep_spikes: &[Keep],
    ) -> Result<Interpreter, RunError> {
        let elements = build::elements(network, seed)?;
        let projections: Vec<Rows> =
            network.projections().map(|(id, ..)| Rows::new(network, &elements, id, seed)).collect::<Result<_, _>>()?;
        let plastic = network
            .plasticity
            .iter()
            .map(|rule| {
                let at = network.projections().position(|(id, ..)| id == rule.projection).unwrap_or(0);
                let rows = &projections[at];
                let size = network.populations().nth(rows.to).map_or(0, |(_, p)| p.size);
                let plastic = Plastic::new(network, &elements, rule, seed, 0..size)?;
                Ok(Learning {
                    projection: at,
                    from: rows.from,
                    to: rows.to,
                    receptor: rows.receptor,
                    term: rows.terms[0],
                    plastic,
                })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let mut populations: Vec<Cells> = network
            .populations()
            .zip(&elements.populations)
            .map(|((id, population), elements)| Cells::new(network, id, population, elements.clone(), seed))
            .collect();
        let couplings = Couplings::new(network, &elements, seed, &mut populations)?;
        let spikes = populations
            .iter()
            .enumerate()
            .map(|(k, cells)| SpikeLog::new(cells.size(), keep_spikes.get(k).copied().unwrap_or_default()))
            .collect();
        let senders = network
            .populations()
            .map(|(id, _)| network.winners.iter().find(|w| w.population == id).map(Senders::new))
            .collect();
        let traces = traces.into_iter().map(|request| TraceLog { request, steps: vec![], values: vec![] }).collect();
        Ok(Interpreter {
            step: 0,
            populations,
            projections,
            senders,
            plastic,
            couplings,
            spikes,
            traces,
            written: state::written(network),
            synaptic_events: 0,
            touches: Touches::default(),
        })
    }

    fn advance_one(&mut self) -> Result<(), RunError> {
        let k = self.step;
        self.couplings.couple(k, &mut self.populations);
        for l in &mut self.plastic {
            self.synaptic_events += self.populations[l.to].learn(k, l);
        }
        let arrived: Vec<Vec<(u32, Vec<u32>)>> = self
            .plastic
            .iter()
            .map(|l| l.plastic.receptors().into_iter().map(|r| (r, self.populations[l.to].arriving(r))).collect())
            .collect();
        let mut fired: Vec<Vec<u32>> = self.populations.iter_mut().map(|cells| cells.advance(k)).collect();
        self.step = k + 1;
        for ((senders, cells), fired) in self.senders.iter_mut().zip(&self.populations).zip(&mut fired) {
            if let Some(senders) = senders {
                senders.choose(self.step, fired, cells.margins());
            }
        }
        for (log, neurons) in self.spikes.iter_mut().zip(&fired) {
            log.push(self.step, neurons);
        }
        for (l, arrived) in self.plastic.iter_mut().zip(&arrived) {
            self.populations[l.to].learned(k, l, &fired[l.to], arrived);
            l.plastic.sent(self.step, &fired[l.from]);
            self.touches += l.plastic.take_touches();
        }
        for (at, rows) in self.projections.iter().enumerate() {
            if self.plastic.iter().any(|l| l.projection == at) {
                continue;
            }
            for pre in &fired[rows.from] {
                self.synaptic_events += self.populations[rows.to].queue(rows, *pre);
            }
        }
        for cells in &mut self.populations {
            cells.between(self.step);
            cells.check_finite(self.step)?;
        }
        for log in &mut self.traces {
            let request = &log.request;
            if self.step.is_multiple_of(request.every.max(1)) {
                let cells = &self.populations[request.population];
                log.steps.push(self.step);
                log.values.extend(cells.observe(request.observable, &request.cells, self.step));
            }
        }
        Ok(())
    }
}

impl Engine for Interpreter {
    fn step(&self) -> u64 {
        self.step
    }

    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError> {
        for done in 0..steps {
            // Relaxed: the flag carries no data, and one step sooner or later is all the same.
            if stop.load(Ordering::Relaxed) {
                return Ok(done);
            }
            self.advance_one()?;
        }
        Ok(steps)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), RunError> {
        match self.populations.get_mut(setting.population) {
            Some(cells) => cells.set(setting),
            None => Err(RunError::Script {
                place: String::new(),
                message: format!("there is no population {}", setting.population),
                help: None,
            }),
        }
    }

    fn param(&self, population: usize, param: u32, cells: &[u32]) -> Vec<f64> {
        self.populations[population].param(param, cells)
    }

    fn observe(&self, population: usize, observable: u32, cells: &[u32]) -> Vec<f64> {
        self.populations[population].observe(observable, cells, self.step)
    }

    fn state(&self, population: usize, state: u32) -> Vec<f64> {
        self.populations[population].state(state)
    }

    fn spikes(&self, population: usize) -> &SpikeLog {
        &self.spikes[population]
    }

    fn traces(&self) -> &[TraceLog] {
        &self.traces
    }

    fn weights(&mut self, projection: usize) -> Vec<f64> {
        let step = self.step;
        match self.plastic.iter_mut().find(|l| l.projection == projection) {
            Some(l) => self.populations[l.to].weights(step, l).into_iter().map(|(_, _, w)| w).collect(),
            None => self.projections[projection].weights(),
        }
    }

    fn edges(&mut self, projection: usize) -> Vec<(u32, u32)> {
        let learning = self.plastic.iter().find(|l| l.projection == projection);
        learning.and_then(|l| l.plastic.edges()).unwrap_or_else(|| self.projections[projection].edges())
    }

    fn set_edges(&mut self, projection: usize, edges: &[(u32, u32)]) -> Result<(), RunError> {
        let step = self.step;
        let learning = self.plastic.iter_mut().find(|l| l.projection == projection);
        same(learning.is_some_and(|l| l.plastic.set_edges(step, edges)), true, "synapses")
    }

    fn set_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), RunError> {
        let step = self.step;
        match self.plastic.iter_mut().find(|l| l.projection == projection) {
            Some(l) => self.populations[l.to].set_weights(step, l, values),
            None => self.projections[projection].set_weights(values),
        }
        Ok(())
    }

    fn reset(&mut self, population: usize, initial: &[Vec<f64>]) -> Result<(), RunError> {
        self.populations[population].reset(initial);
        self.couplings.restart(population, self.step, &self.populations[population]);
        if let Some(senders) = &mut self.senders[population] {
            senders.clear();
        }
        let step = self.step;
        for l in self.plastic.iter_mut().filter(|l| l.to == population) {
            self.populations[l.to].clear(step, l);
        }
        Ok(())
    }

    fn set_learning(&mut self, projection: usize, on: bool) {
        let step = self.step;
        for l in self.plastic.iter_mut().filter(|l| l.projection == projection) {
            self.populations[l.to].freeze(step, l, !on);
        }
    }

    fn save(&mut self) -> EngineState {
        let populations = self.populations.iter().zip(&self.senders).map(|(cells, senders)| {
            let mut state = cells.save();
            state.senders = senders.as_ref().map_or(vec![], Senders::senders);
            state
        });
        EngineState {
            step: self.step,
            synaptic_events: self.synaptic_events,
            touches: self.touches,
            populations: populations.collect(),
            couplings: self.couplings.save(),
            weights: self.written.iter().map(|p| (*p as u32, self.projections[*p].weights())).collect(),
            plastic: self.plastic.iter().map(|l| merge(vec![l.plastic.save(self.step)])).collect(),
            spikes: self.spikes.clone(),
            traces: self.traces.clone(),
        }
    }

    fn load(&mut self, mut state: EngineState) -> Result<(), RunError> {
        state::load_logs(&mut state, &mut self.spikes, &mut self.traces)?;
        same(state.populations.len(), self.populations.len(), "populations")?;
        for ((cells, senders), saved) in self.populations.iter_mut().zip(&mut self.senders).zip(&state.populations) {
            cells.load(saved)?;
            if let Some(senders) = senders {
                senders.load(&saved.senders);
            }
        }
        self.couplings.load(state.couplings, &self.populations)?;
        same(state.weights.iter().map(|(p, _)| *p as usize).eq(self.written.iter().copied()), true, "weights")?;
        for (p, weights) in &state.weights {
            let rows = &mut self.projections[*p as usize];
            same(weights.len() as u64, rows.synapses(), "weights")?;
            rows.set_weights(weights);
        }
        same(state.plastic.len(), self.plastic.len(), "rules")?;
        for (l, saved) in self.plastic.iter_mut().zip(&state.plastic) {
            let all = u32::try_from(l.plastic.synapses()).map_err(|_| unfit("synapses"))?;
            l.plastic.load(state.step, saved, &(0..all).collect::<Vec<_>>())?;
        }
        (self.step, self.synaptic_events, self.touches) = (state.step, state.synaptic_events, state.touches);
        Ok(())
    }

    fn synapses(&self) -> u64 {
        self.projections.iter().map(Rows::synapses).sum::<u64>() + self.couplings.synapses()
    }

    fn synapse_bytes(&self) -> u64 {
        self.projections.iter().map(Rows::bytes).sum::<u64>() + self.couplings.bytes()
    }

    fn synaptic_events(&self) -> u64 {
        self.synaptic_events
    }

    fn touches(&self) -> Touches {
        self.touches
    }
}
