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
mod rows;
#[cfg(test)]
mod tests;

use super::build;
use super::engine::{Engine, RunError, Setting, SpikeLog, TraceLog, TraceRequest};
use crate::ir::Network;
use cells::Cells;
use couplings::Couplings;
use rows::Rows;
use std::sync::atomic::{AtomicBool, Ordering};

/// A network that is walked step by step.
pub struct Interpreter {
    step: u64,
    populations: Vec<Cells>,
    projections: Vec<Rows>,
    couplings: Couplings,
    spikes: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    synaptic_events: u64,
}

impl Interpreter {
    /// Builds all elements and synapses of `network` under `seed`.
    ///
    /// `keep_spikes` says for each population whether every spike is kept; populations beyond its end keep none.
    ///
    /// # Errors
    /// [`RunError::Build`] with what could not be built.
    pub fn new(
        network: &Network,
        seed: u64,
        traces: Vec<TraceRequest>,
        keep_spikes: &[bool],
    ) -> Result<Interpreter, RunError> {
        let elements = build::elements(network, seed)?;
        let projections: Vec<Rows> =
            network.projections().map(|(id, ..)| Rows::new(network, &elements, id, seed)).collect::<Result<_, _>>()?;
        let mut populations: Vec<Cells> = network
            .populations()
            .zip(&elements.populations)
            .map(|((id, population), elements)| Cells::new(network, id, population, elements.clone(), seed))
            .collect();
        let couplings = Couplings::new(network, &elements, seed, &mut populations)?;
        let spikes = populations
            .iter()
            .enumerate()
            .map(|(k, cells)| SpikeLog::new(cells.size(), keep_spikes.get(k).copied().unwrap_or(false)))
            .collect();
        let traces = traces.into_iter().map(|request| TraceLog { request, steps: vec![], values: vec![] }).collect();
        Ok(Interpreter { step: 0, populations, projections, couplings, spikes, traces, synaptic_events: 0 })
    }

    fn advance_one(&mut self) -> Result<(), RunError> {
        let k = self.step;
        self.couplings.couple(k, &mut self.populations);
        let fired: Vec<Vec<u32>> = self.populations.iter_mut().map(|cells| cells.advance(k)).collect();
        self.step = k + 1;
        for (log, neurons) in self.spikes.iter_mut().zip(&fired) {
            log.push(self.step, neurons);
        }
        for rows in &self.projections {
            for pre in &fired[rows.from] {
                self.synaptic_events += self.populations[rows.to].queue(rows, *pre);
            }
        }
        for cells in &self.populations {
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

    fn weights(&self, projection: usize) -> Vec<f64> {
        self.projections[projection].weights()
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
}
