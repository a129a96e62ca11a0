//! What an experiment writes to a circuit, known before it runs: by this a package is made so that its host can do it.

use crate::backend::Setting;
use crate::backend::build::followers;
use crate::ir::artefact::Unit;
use crate::ir::protocol::{Phase, SetTarget, Stmt};
use crate::script::Value;
use std::collections::BTreeSet;

/// Writes of an experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// Constants for whole params before anything is simulated: values at the start.
    pub settings: Vec<Setting>,
    /// By population: every other param that is written, and what is derived from it.
    pub live: Vec<BTreeSet<u32>>,
}

impl Writes {
    pub fn of(unit: &Unit) -> Writes {
        let mut all = Collector { unit, started: false, out: Writes::default() };
        all.out.live = vec![BTreeSet::new(); unit.network.populations().count()];
        all.statements(&unit.protocol.statements, true);
        let mut out = all.out;
        for (live, (_, p)) in out.live.iter_mut().zip(unit.network.populations()) {
            *live = followers(&p.dynamics, live);
        }
        out
    }

    /// Whether a param of a population is written while the circuit runs, or derived from one that is.
    pub fn live(&self, population: usize) -> BTreeSet<u32> {
        self.live.get(population).cloned().unwrap_or_default()
    }
}

struct Collector<'u> {
    unit: &'u Unit,
    started: bool,
    out: Writes,
}

impl Collector<'_> {
    /// `once`: each statement is executed exactly once, in this order.
    fn statements(&mut self, list: &[Stmt], once: bool) {
        for stmt in list {
            match stmt {
                Stmt::Simulate { .. } => self.started = true,
                Stmt::Set { target, op: None, value, lasting: None, .. }
                    if once && !self.started && target.cells.slots.is_empty() && value.as_const().is_some() =>
                {
                    self.fixed(target, value.as_const());
                }
                Stmt::Set { target, .. } | Stmt::Replay { target, .. } => {
                    self.live(target.cells.population as usize, target.param);
                }
                Stmt::SetSensor { sensor, .. } => self.sensor(*sensor),
                Stmt::Reset { populations, sensors, .. } => {
                    sensors.iter().for_each(|s| self.sensor(*s));
                    self.inputs(populations);
                }
                Stmt::Emit { event, .. } => self.event(*event),
                Stmt::For { body, .. } | Stmt::Repeat { body, .. } => self.statements(body, false),
                Stmt::If { then, otherwise, .. } => {
                    self.statements(then, false);
                    self.statements(otherwise, false);
                }
                Stmt::Phase(phase) => self.phase(phase),
                // They write synapses or nothing of a circuit.
                Stmt::Assign { .. }
                | Stmt::Learning { .. }
                | Stmt::Update { .. }
                | Stmt::Downscale { .. }
                | Stmt::Step { .. }
                | Stmt::ResetEnvironment { .. }
                | Stmt::Expect(_)
                | Stmt::Measure { .. } => {}
            }
        }
    }

    fn phase(&mut self, phase: &Phase) {
        self.started = true;
        phase.blocks().for_each(|b| self.statements(b, false));
    }

    fn fixed(&mut self, target: &SetTarget, value: Option<&Value>) {
        let population = target.cells.population as usize;
        match value {
            Some(Value::Number(v)) => self.out.settings.push(Setting {
                population,
                param: target.param,
                cells: None,
                op: None,
                values: vec![*v],
            }),
            _ => self.live(population, target.param),
        }
    }

    fn live(&mut self, population: usize, param: u32) {
        if let Some(live) = self.out.live.get_mut(population) {
            live.insert(param);
        }
    }

    fn position(&self, id: crate::ir::PopulationId) -> Option<usize> {
        self.unit.network.populations().position(|(p, _)| p == id)
    }

    fn sensor(&mut self, sensor: u32) {
        let Some(s) = self.unit.network.sensors.get(sensor as usize) else { return };
        for reader in &s.readers {
            if let Some(at) = self.position(reader.population) {
                self.live(at, reader.param);
            }
        }
    }

    fn event(&mut self, event: u32) {
        let Some(port) = self.unit.network.events.get(event as usize) else { return };
        for reader in &port.readers {
            if let Some(at) = self.position(reader.population) {
                self.live(at, reader.flag);
                self.live(at, reader.number);
            }
        }
    }

    /// A reset takes back what was put into an input, if something was.
    fn inputs(&mut self, populations: &[u32]) {
        for (id, param) in &self.unit.network.inputs {
            if let Some(at) = self.position(*id).filter(|at| populations.contains(&(*at as u32)))
                && self.out.settings.iter().any(|s| (s.population, s.param) == (at, *param))
            {
                self.live(at, *param);
            }
        }
    }
}
