//! A circuit that is stepped, fed and asked from outside, without an experiment.

use super::super::error::Halt;
use super::super::events::Events;
use super::super::sensors::Sensors;
use super::{Control, Walker};
use crate::backend::{Engine, RunError};
use crate::ir::artefact::Unit;
use crate::script::{EvalError, Expr, Value, eval};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// An engine with what is between its steps: sensors, events on their way, the numbers of draws. Each call is given the unit
/// that the engine was built from.
pub struct Session {
    engine: Box<dyn Engine>,
    seed: u64,
    sensors: Sensors,
    events: Events,
    draws: BTreeMap<u32, u64>,
    slice: u64,
}

impl Session {
    pub fn new(unit: &Unit, engine: Box<dyn Engine>, seed: u64) -> Session {
        let sensors = Sensors::new(&unit.network);
        Session { engine, seed, sensors, events: Events::default(), draws: BTreeMap::new(), slice: 1 }
    }

    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// Lets `steps` pass.
    ///
    /// # Errors
    /// What stops a run: a state that is not finite, a solver without end.
    pub fn advance(&mut self, unit: &Unit, steps: u64) -> Result<(), RunError> {
        self.with(unit, |walker| {
            let end = walker.engine.step().saturating_add(steps);
            walker.advance(end).map_err(failure)
        })
    }

    /// Writes all numbers of a sensor, in internal units, row-major; one number for all is enough.
    ///
    /// # Errors
    /// Another number of values, or one that is not finite.
    pub fn set_sensor(&mut self, unit: &Unit, sensor: u32, values: &[f64]) -> Result<(), RunError> {
        let n = unit.network.sensors.get(sensor as usize).map_or(0, |s| s.len());
        let all = |v: f64| Value::List(vec![Value::Number(v); n]);
        let value = match values {
            [one] => all(*one),
            several => Value::List(several.iter().map(|v| Value::Number(*v)).collect()),
        };
        self.with(unit, |walker| {
            walker.set_sensor(sensor, &[], None, &Expr::Const(value), None, "`set_sensor`").map_err(failure)
        })
    }

    /// Sends an event, `after` ms from now.
    ///
    /// # Errors
    /// A number that is not finite.
    pub fn emit(&mut self, unit: &Unit, event: u32, value: Option<f64>, after: f64) -> Result<(), RunError> {
        let (value, after) = (value.map(Expr::number), Expr::number(after));
        self.with(unit, |walker| walker.emit(event, value.as_ref(), Some(&after), "`emit`").map_err(failure))
    }

    /// The answer to a question, in internal units.
    ///
    /// # Errors
    /// A question that has no answer now, such as a rate over a time that is not over.
    pub fn ask(&mut self, unit: &Unit, question: &Expr) -> Result<Value, EvalError> {
        self.with(unit, |walker| eval(question, walker))
    }

    fn with<T>(&mut self, unit: &Unit, act: impl FnOnce(&mut Walker) -> T) -> T {
        let stop = AtomicBool::new(false);
        let control = Control { stop: &stop, progress: &|_| {}, quick: false, memory: f64::INFINITY };
        let mut walker = Walker::new(unit, self.seed, self.engine.as_mut(), &control);
        walker.sensors = std::mem::take(&mut self.sensors);
        walker.events = std::mem::take(&mut self.events);
        walker.draws = std::mem::take(&mut self.draws);
        walker.slice = self.slice;
        let result = act(&mut walker);
        self.sensors = std::mem::take(&mut walker.sensors);
        self.events = std::mem::take(&mut walker.events);
        self.draws = std::mem::take(&mut walker.draws);
        self.slice = walker.slice;
        result
    }
}

fn failure(halt: Halt) -> RunError {
    match halt {
        Halt::Failed(e) => e,
        // Nobody stops it.
        Halt::Interrupted => RunError::Limit("the simulation was interrupted".to_string()),
    }
}
