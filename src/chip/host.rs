//! The host of a chip: it executes an experiment on the emulator that runs the package of its circuit.
//!
//! Between two steps a host reads the spikes and the words of neurons, writes words, and loads synapse memory. So a statement that
//! changes a circuit becomes writes: a param that is set, words of the neurons that have it; weights that are updated, mantissas and
//! the exponent that they share; a reset, the states of the start and empty accumulators. What such a write rounds off is part of what
//! quantising costs. Draws of the experiment are those of any other engine with the same seed; noise of cells is the chip's own.

use super::emulator::{Address, Emulator, LoadError, Mode};
use super::fixed::{LearningRule, Variable};
use super::package::{Manifest, ProjectionRecord};
use super::quantise::{CellCode, Deployment, RESTING, ThirdFactor};
use super::writes::Writes;
use crate::backend::{Engine, EngineState, Keep, RunError, Setting, SpikeLog, Touches, TraceLog, TraceRequest, eval};
use crate::ir::artefact::Unit;
use crate::ir::{Expr, Network, Population, Projection};
use crate::valid::Validated;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A package on emulated chips, one for each run.
pub struct Machine {
    bytes: Vec<u8>,
    mode: Mode,
    manifest: Manifest,
    /// Chips whose runs are over, in the order in which they ended.
    done: Mutex<Vec<Emulator>>,
}

impl Machine {
    /// # Errors
    /// A package that can't be run.
    pub fn new(bytes: Vec<u8>, mode: Mode) -> Result<Machine, LoadError> {
        let manifest = Emulator::load(&bytes, mode)?.manifest().clone();
        Ok(Machine { bytes, mode, manifest, done: Mutex::new(vec![]) })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes the chips of all runs that are over.
    pub fn chips(&self) -> Vec<Emulator> {
        std::mem::take(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A chip with the package, ready for a run of the unit that the package was made of, on so many threads.
    ///
    /// # Errors
    /// [`RunError::Build`] where it was made of another one.
    pub fn engine<'m>(
        &'m self,
        unit: &'m Unit,
        network: Validated<'m>,
        traces: Vec<TraceRequest>,
        keep_spikes: &[Keep],
        threads: usize,
    ) -> Result<Host<'m>, RunError> {
        let mut chip = Emulator::load(&self.bytes, self.mode).map_err(|e| RunError::Build(e.to_string()))?;
        chip.set_threads(threads);
        let deployment = Deployment::new(network, self.manifest.seed, Writes::of(unit))?;
        let mut cells = Vec::new();
        let mut first = 0;
        for (k, (_, p)) in deployment.network().populations().enumerate() {
            let code = deployment.code(k).map_err(RunError::Build)?;
            let record = self.manifest.populations.get(k).filter(|r| (&r.path, r.size) == (&p.path, p.size));
            let same = record.is_some_and(|r| made_of(&self.manifest, r.profile, code.as_ref()));
            if !same {
                return Err(RunError::Build(format!("the package has another program for `{}`", p.path)));
            }
            let thirds = deployment.third_factors(k);
            let paces = thirds.iter().map(|third| pace(&self.manifest, k, third.trace)).collect();
            cells.push(Cells { first, size: p.size, code, thirds, paces, stale: false });
            first += p.size;
        }
        let position = |id| deployment.network().populations().position(|(p, _)| p == id);
        let ends = deployment.network().projections().map(|(_, from, to, p)| (position(from), position(to), &p.path));
        // After those come the packets of modulators.
        let all = &self.manifest.projections;
        let (own, modulators) = all.split_at(deployment.network().projections().count().min(all.len()));
        let level = |r: &ProjectionRecord| deployment.network().couplings().any(|(_, _, _, p, _)| p.path == r.path);
        let spikes = own.iter().map(|r| (Some(r.source as usize), Some(r.target as usize), &r.path));
        if !ends.eq(spikes) || !modulators.iter().all(level) {
            return Err(RunError::Build("the package has other projections".to_string()));
        }
        let keep = |k: usize| keep_spikes.get(k).copied().unwrap_or_default();
        Ok(Host {
            machine: self,
            spikes: cells.iter().enumerate().map(|(k, c)| SpikeLog::new(c.size, keep(k))).collect(),
            seen: chip.spikes().len(),
            traces: traces.into_iter().map(|request| TraceLog { request, steps: vec![], values: vec![] }).collect(),
            addresses: vec![None; self.manifest.projections.len()],
            deployment,
            cells,
            pulses: vec![],
            chip: Some(chip),
        })
    }
}

/// Whether a population of the package runs this code.
fn made_of(manifest: &Manifest, profile: Option<u32>, code: Option<&CellCode>) -> bool {
    let (Some(profile), Some(code)) = (profile, code) else { return profile.is_none() && code.is_none() };
    let Some(profile) = manifest.profiles.get(profile as usize) else { return false };
    let program = manifest.programs.get(profile.program as usize);
    profile.params == code.params() && program.is_some_and(|p| code.program().is_ok_and(|q| q == *p))
}

/// Steps between two in which what learns onto a population acts with time by a post trace.
fn pace(manifest: &Manifest, population: usize, trace: u32) -> u64 {
    let onto = manifest.projections.iter().filter(|p| p.target as usize == population);
    let rules = onto.filter_map(|p| manifest.rules.get(p.format.rule? as usize));
    let variable = [Variable::Y1, Variable::Y2, Variable::Y3].get(trace as usize).copied();
    let reads = |r: &&LearningRule| {
        r.weight.iter().chain(&r.tag).any(|p| p.factors.iter().any(|f| Some(f.variable) == variable))
    };
    rules.filter(reads).map(|r| 1 << r.k.min(63)).max().unwrap_or(1)
}

/// An experiment's view of a chip while it runs.
pub struct Host<'m> {
    machine: &'m Machine,
    deployment: Deployment<'m>,
    cells: Vec<Cells>,
    /// There until the run is over.
    chip: Option<Emulator>,
    /// Spikes of the chip that are in the logs.
    seen: usize,
    spikes: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    /// What events have brought to post traces that are to be taken back.
    pulses: Vec<Pulse>,
    /// Of each projection, once somebody asks.
    addresses: Vec<Option<Vec<Address>>>,
}

struct Cells {
    /// Number of its first neuron.
    first: u32,
    size: u32,
    /// `None`: the host plays its spikes.
    code: Option<CellCode>,
    /// What the host writes to traces, as it stands there.
    thirds: Vec<ThirdFactor>,
    /// Of each of them, steps between two in which rules act with time by it.
    paces: Vec<u64>,
    /// Params have changed that its words don't show yet.
    stale: bool,
}

/// What events have brought to a post trace of the cells of a population.
struct Pulse {
    /// It stands there until the end of this step.
    until: u64,
    /// Number of the first cell.
    first: u32,
    trace: u32,
    /// By cell.
    values: Vec<i32>,
}

/// Writes what an event brings to a post trace, beside what others have brought since rules last acted by it.
///
/// # Errors
/// In words, where that is more than a trace holds.
fn pulse(
    pulses: &mut Vec<Pulse>,
    chip: &mut Emulator,
    first: u32,
    third: &ThirdFactor,
    pace: u64,
) -> Result<(), String> {
    if third.values.iter().all(|value| *value == Some(0)) {
        return Ok(());
    }
    let until = (chip.step() / pace + 1) * pace;
    let at = pulses.iter().position(|p| (p.first, p.trace) == (first, third.trace)).unwrap_or_else(|| {
        let values = vec![0; third.values.len()];
        pulses.push(Pulse { until, first, trace: third.trace, values });
        pulses.len() - 1
    });
    for ((neuron, sum), new) in (first..).zip(&mut pulses[at].values).zip(&third.values) {
        let together = new.map(|new| *sum + new).filter(|sum| (-RESTING..128 - RESTING).contains(sum));
        *sum = together.ok_or_else(|| {
            format!("the numbers of events within {pace} steps add up to more than 2, which is all that a trace holds")
        })?;
        chip.write_third_factor(neuron, third.trace, *sum);
    }
    Ok(())
}

impl Cells {
    fn has(&self, neuron: u32) -> bool {
        (self.first..self.first + self.size).contains(&neuron)
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if let Some(chip) = self.chip.take() {
            self.machine.done.lock().unwrap_or_else(PoisonError::into_inner).push(chip);
        }
    }
}

impl Host<'_> {
    fn chip(&self) -> Result<&Emulator, RunError> {
        self.chip.as_ref().ok_or_else(gone)
    }

    fn population(&self, population: usize) -> Option<&Population> {
        self.deployment.network().populations().nth(population).map(|(_, p)| p)
    }

    /// Writes the words of populations whose params have changed.
    fn flush(&mut self) -> Result<(), RunError> {
        let Some(chip) = &mut self.chip else { return Err(gone()) };
        for (k, cells) in self.cells.iter_mut().enumerate().filter(|(_, c)| c.stale) {
            cells.stale = false;
            let Some(old) = &cells.code else { continue };
            let path = self.deployment.network().populations().nth(k).map_or("", |(_, p)| p.path.as_str());
            let refuse = |what: &str| refused(format!("the host can't write the params of `{path}`: {what}"));
            let new = self.deployment.code(k).map_err(|what| refuse(&what))?;
            let new = new.filter(|new| new.fits(old)).ok_or_else(|| refuse("their program would be another one"))?;
            for ((at, before), (_, after)) in old.live().zip(new.live()) {
                for cell in 0..cells.size {
                    let value = after.at(cell).unwrap_or_default();
                    if before.at(cell) != Some(value) {
                        chip.write(cells.first + cell, at, value);
                    }
                }
            }
            cells.code = Some(new);
            let thirds = self.deployment.third_factors(k);
            for ((before, after), pace) in cells.thirds.iter().zip(&thirds).zip(&cells.paces) {
                if after.event {
                    pulse(&mut self.pulses, chip, cells.first, after, *pace).map_err(|what| refuse(&what))?;
                    continue;
                }
                for (neuron, (old, new)) in (cells.first..).zip(before.values.iter().zip(&after.values)) {
                    let new =
                        new.ok_or_else(|| refuse("a rule reads a sensor beyond -2 to 2, which is all that a trace holds: divide it, and multiply in the rule"))?;
                    if *old != Some(new) {
                        chip.write_third_factor(neuron, after.trace, new);
                    }
                }
            }
            cells.thirds = thirds;
        }
        Ok(())
    }

    /// Takes back what events brought to rules that have acted by it.
    fn end_pulses(&mut self) -> Result<(), RunError> {
        let Some(chip) = &mut self.chip else { return Err(gone()) };
        let step = chip.step();
        for pulse in self.pulses.extract_if(.., |p| p.until <= step) {
            let there = (pulse.first..).zip(&pulse.values).filter(|(_, value)| **value != 0);
            there.for_each(|(neuron, _)| chip.write_third_factor(neuron, pulse.trace, 0));
        }
        Ok(())
    }

    /// Steps until something of the chip is to be read.
    fn until_sample(&self) -> u64 {
        let step = self.step();
        let left = |every: u64| every - step % every;
        self.traces.iter().map(|t| left(t.request.every.max(1))).min().unwrap_or(CHUNK)
    }

    fn advance_by(&mut self, steps: u64) -> Result<(), RunError> {
        let Some(chip) = &mut self.chip else { return Err(gone()) };
        let before = chip.step();
        let ran = chip.run(steps);
        let mut new = &chip.spikes()[self.seen..];
        self.seen += new.len();
        let mut fired = Vec::new();
        for step in before + 1..=chip.step() {
            let mut here;
            (here, new) = new.split_at(new.partition_point(|s| s.step <= step));
            // Spikes of a step stand in order of neurons.
            for (cells, log) in self.cells.iter().zip(&mut self.spikes) {
                let (mine, rest) = here.split_at(here.partition_point(|s| s.neuron < cells.first + cells.size));
                fired.clear();
                if cells.code.as_ref().is_none_or(|c| !c.sends_levels()) {
                    fired.extend(mine.iter().map(|s| s.neuron - cells.first));
                }
                log.push(step, &fired);
                here = rest;
            }
        }
        ran.map_err(|fault| {
            let own = |c: &Cells| fault.neuron.checked_sub(c.first).filter(|k| *k < c.size);
            let at = self.cells.iter().zip(self.deployment.network().populations());
            let cell = at.filter_map(|(c, (_, p))| Some(format!("{fault} (`{}`, cell {})", p.path, own(c)?))).next();
            stopped(cell.unwrap_or_else(|| fault.to_string()), Some(OVERFLOW))
        })?;
        let step = self.step();
        for k in 0..self.traces.len() {
            let request = &self.traces[k].request;
            if step.is_multiple_of(request.every.max(1)) {
                let values = self.observe(request.population, request.observable, &request.cells);
                self.traces[k].steps.push(step);
                self.traces[k].values.extend(values);
            }
        }
        Ok(())
    }

    /// Cells of which nothing is on its way know what modulators have told them.
    fn hear_again(&mut self, population: usize) -> Result<(), RunError> {
        let network = self.deployment.network();
        let Some((_, p)) = network.populations().nth(population) else { return Ok(()) };
        let Some(chip) = &mut self.chip else { return Err(gone()) };
        let own = &self.cells[population];
        for (coupled, word) in own.code.iter().flat_map(CellCode::heard) {
            let ends =
                p.dynamics.coupled.get(coupled as usize).and_then(|c| network.graph.edge_endpoints(c.projection));
            let source = ends.and_then(|(source, _)| network.populations().position(|(id, _)| id == source));
            let Some(modulator) = source.map(|k| &self.cells[k]) else { continue };
            let Some(told) = modulator.code.as_ref().and_then(CellCode::told) else { continue };
            let value = told(&|k| chip.word(modulator.first, k));
            (own.first..own.first + own.size).for_each(|neuron| chip.write(neuron, word, value));
        }
        Ok(())
    }

    fn edge(&self, projection: usize) -> Option<(&Projection, usize, usize)> {
        let network: &Network = self.deployment.network();
        let at = |id| network.populations().position(|(p, _)| p == id);
        let (_, from, to, p) = network.projections().nth(projection)?;
        Some((p, at(from)?, at(to)?))
    }

    /// Synapses of a projection in order of source and target.
    fn addresses(&mut self, projection: usize) -> &[Address] {
        let Some((_, from, to)) = self.edge(projection) else { return &[] };
        let (from, to) = (&self.cells[from], &self.cells[to]);
        let (chip, slot) = (&self.chip, &mut self.addresses[projection]);
        slot.get_or_insert_with(|| {
            let mut all = chip.as_ref().map_or(vec![], |c| c.addresses(projection));
            // What leads elsewhere in a damaged package is nobody's to write.
            all.retain(|a| from.has(a.source) && to.has(a.target));
            all
        })
    }

    fn cell_pairs(&mut self, projection: usize) -> Vec<(u32, u32)> {
        let Some((_, from, to)) = self.edge(projection) else { return vec![] };
        let (from, to) = (self.cells[from].first, self.cells[to].first);
        self.addresses(projection).iter().map(|a| (a.source - from, a.target - to)).collect()
    }

    fn write_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), String> {
        let pairs = self.cell_pairs(projection);
        let Some((p, _, to)) = self.edge(projection) else { return Ok(()) };
        let code = self.cells[to].code.as_ref().and_then(|c| self.deployment.synapses(p, to, c));
        let (Some(code), Some(chip)) = (code, self.chip.as_ref()) else { return Ok(()) };
        let format = chip.manifest().projections[projection].format;
        let (format, mantissas) = code.mantissas(p, format, &pairs, values)?;
        let addresses = self.addresses[projection].as_deref().unwrap_or_default();
        if let Some(chip) = &mut self.chip {
            chip.set_worth(projection, format.sign, format.exponent);
            addresses.iter().zip(&mantissas).for_each(|(a, m)| chip.set_mantissa(*a, format, *m));
        }
        Ok(())
    }
}

/// Steps between two looks at whether to stop.
const CHUNK: u64 = 200;

const OVERFLOW: &str = "`--lava` wraps and saturates as lava-nc 0.10.0 does";

fn stopped(message: String, help: Option<&str>) -> RunError {
    RunError::Chip { message, help: help.map(str::to_string) }
}

fn refused(message: impl Into<String>) -> RunError {
    stopped(message.into(), None)
}

fn gone() -> RunError {
    refused("its run is over")
}

impl Engine for Host<'_> {
    fn step(&self) -> u64 {
        self.chip.as_ref().map_or(0, Emulator::step)
    }

    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError> {
        self.flush()?;
        let mut done = 0;
        while done < steps {
            // Relaxed: the flag carries no data, and one step sooner or later is all the same.
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let pulse = self.pulses.iter().map(|p| p.until - self.step()).min().unwrap_or(CHUNK);
            let chunk = self.until_sample().min(CHUNK).min(pulse).min(steps - done);
            self.advance_by(chunk)?;
            self.end_pulses()?;
            done += chunk;
        }
        Ok(done)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), RunError> {
        self.deployment.set(setting)?;
        self.cells[setting.population].stale = true;
        Ok(())
    }

    fn param(&self, population: usize, param: u32, cells: &[u32]) -> Vec<f64> {
        let values = self.deployment.elements(population).params.get(param as usize);
        cells.iter().map(|c| values.map_or(f64::NAN, |v| v.at(*c))).collect()
    }

    fn observe(&self, population: usize, observable: u32, cells: &[u32]) -> Vec<f64> {
        let (Some(p), Ok(chip)) = (self.population(population), self.chip()) else { return vec![] };
        let Some(observable) = p.dynamics.observables.get(observable as usize) else { return vec![] };
        let (exprs, built, own) = (&p.dynamics.exprs, self.deployment.elements(population), &self.cells[population]);
        let order = eval::order(exprs, &[observable.value]);
        let time = chip.step() as f64 * self.deployment.network().dt_ms;
        let mut scratch = vec![];
        let value = |cell: &u32| {
            let word = |k: usize| chip.word(own.first + cell, k);
            eval::evaluate(exprs, &order, &mut scratch, &mut |e, _| match (e, &own.code) {
                (Expr::State(k), Some(code)) => code.value(*k as usize, word(*k as usize)),
                (Expr::Param(k), _) => built.params.get(*k as usize).map_or(f64::NAN, |v| v.at(*cell)),
                (Expr::Coupled(k), Some(code)) => code.level_heard(*k, &word).unwrap_or(f64::NAN),
                (Expr::Held, Some(code)) => f64::from(u8::from(code.refractory().is_some_and(|k| word(k) > 0))),
                (Expr::Time, _) => time,
                _ => f64::NAN,
            });
            scratch[observable.value.0 as usize]
        };
        cells.iter().map(value).collect()
    }

    fn state(&self, population: usize, state: u32) -> Vec<f64> {
        let (own, Ok(chip)) = (&self.cells[population], self.chip()) else { return vec![] };
        let Some(code) = &own.code else { return vec![] };
        let k = state as usize;
        (own.first..own.first + own.size).map(|n| code.value(k, chip.word(n, k))).collect()
    }

    fn spikes(&self, population: usize) -> &SpikeLog {
        &self.spikes[population]
    }

    fn traces(&self) -> &[TraceLog] {
        &self.traces
    }

    fn weights(&mut self, projection: usize) -> Vec<f64> {
        self.addresses(projection);
        let Some((p, _, to)) = self.edge(projection) else { return vec![] };
        let code = self.cells[to].code.as_ref().and_then(|c| self.deployment.synapses(p, to, c));
        let (Some(code), Ok(chip)) = (code, self.chip()) else { return vec![] };
        let format = chip.manifest().projections[projection].format;
        let first = self.cells[to].first;
        let addresses = self.addresses[projection].iter().flatten();
        addresses.map(|a| code.weight(format, a.target - first, chip.mantissa(*a))).collect()
    }

    fn edges(&mut self, projection: usize) -> Vec<(u32, u32)> {
        self.cell_pairs(projection)
    }

    fn set_weights(&mut self, projection: usize, values: &[f64]) -> Result<(), RunError> {
        let path = self.edge(projection).map_or(String::new(), |(p, ..)| p.path.clone());
        let refuse = |what: String| refused(format!("the host can't write the weights of `{path}`: {what}"));
        self.write_weights(projection, values).map_err(refuse)
    }

    fn set_edges(&mut self, _: usize, _: &[(u32, u32)]) -> Result<(), RunError> {
        Err(refused("synapses of a chip neither come nor go"))
    }

    fn reset(&mut self, population: usize, initial: &[Vec<f64>]) -> Result<(), RunError> {
        let own = &self.cells[population];
        let (Some(code), Some(chip)) = (&own.code, &mut self.chip) else { return Ok(()) };
        for cell in 0..own.size {
            let neuron = own.first + cell;
            for (k, values) in initial.iter().enumerate() {
                let value = values.get(cell as usize).copied().unwrap_or(f64::NAN);
                let outside = || refused(format!("a state of neuron {neuron} is reset to {value}, which has no word"));
                chip.write(neuron, k, code.word(k, value).ok_or_else(outside)?);
            }
            for k in [code.refractory(), code.level()].into_iter().flatten() {
                chip.write(neuron, k, 0);
            }
        }
        chip.clear(own.first..own.first + own.size);
        self.hear_again(population)?;
        for k in 0..self.addresses.len() {
            if self.edge(k).is_some_and(|(_, _, to)| to == population)
                && let Some(chip) = &mut self.chip
            {
                chip.clear_sources(k);
            }
        }
        Ok(())
    }

    fn set_learning(&mut self, projection: usize, on: bool) {
        if let Some(chip) = &mut self.chip {
            chip.set_learning(projection, on);
        }
    }

    /// What was recorded. A chip can't be taken up where it stopped, so nobody loads it.
    fn save(&mut self) -> EngineState {
        let (spikes, traces) = (self.spikes.clone(), self.traces.clone());
        EngineState {
            step: self.step(),
            synaptic_events: self.synaptic_events(),
            spikes,
            traces,
            ..EngineState::default()
        }
    }

    fn load(&mut self, _: EngineState) -> Result<(), RunError> {
        Err(refused("a chip is not taken up where another one stopped"))
    }

    fn synapses(&self) -> u64 {
        self.chip.as_ref().map_or(0, Emulator::synapse_count)
    }

    /// Of the packed lists on all cores.
    fn synapse_bytes(&self) -> u64 {
        self.chip.as_ref().map_or(0, Emulator::synapse_bytes)
    }

    fn synaptic_events(&self) -> u64 {
        self.chip.as_ref().map_or(0, |c| c.counters().map(|c| c.synaptic_operations).sum())
    }

    fn touches(&self) -> Touches {
        let steps = self.chip.as_ref().map_or(0, |c| c.counters().map(|c| c.learning_operations).sum());
        Touches { at_events: 0, in_steps: steps }
    }
}
