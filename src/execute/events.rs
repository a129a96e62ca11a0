//! Events that an experiment sends: each reaches the circuit in one step, as a flag and a number in the params that wait for it.

use super::error::{Halt, script};
use super::run::Walker;
use crate::backend::{RunError, Setting};
use crate::script::{EvalError, Expr, eval};
use serde::{Deserialize, Serialize};

/// Events on their way, and those of the step at hand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Events {
    /// Step before which it is due, event, number; in order of the statements.
    waiting: Vec<(u64, u32, f64)>,
    /// Events whose flags are set; none between two steps.
    now: Vec<u32>,
}

impl Events {
    /// The next step, after `now`, before which one is due.
    pub fn next(&self, now: u64) -> Option<u64> {
        self.waiting.iter().map(|(step, ..)| *step).filter(|s| *s > now).min()
    }

    /// Whether all are events of a circuit that has `n`.
    pub fn fits(&self, n: usize) -> bool {
        self.now.is_empty() && self.waiting.iter().all(|(_, e, v)| (*e as usize) < n && v.is_finite())
    }

    /// Takes those that are due: one of a kind, the others wait for the next step.
    fn due(&mut self, now: u64) -> Vec<(u32, f64)> {
        let mut out: Vec<(u32, f64)> = Vec::new();
        self.waiting.retain(|(step, event, value)| {
            let goes = *step <= now && !out.iter().any(|(e, _)| e == event);
            if goes {
                out.push((*event, *value));
            }
            !goes
        });
        out
    }
}

impl Walker<'_> {
    pub fn emit(&mut self, event: u32, value: Option<&Expr>, after: Option<&Expr>, place: &str) -> Result<(), Halt> {
        let at = |e| script(place, e);
        let value = match value {
            Some(e) => eval(e, self).and_then(|v| v.number()).map_err(at)?,
            None => 0.0,
        };
        if !value.is_finite() {
            return Err(at(EvalError::new(format!("an event with the number {value}"))));
        }
        let steps = after.map(|t| self.steps(t)).transpose().map_err(at)?.unwrap_or(0);
        self.events.waiting.push((self.engine.step().saturating_add(steps), event, value));
        Ok(())
    }

    /// Sets the flags of what is due. Gives whether there was anything.
    pub fn send_events(&mut self, now: u64) -> Result<bool, RunError> {
        let due = self.events.due(now);
        for (event, value) in &due {
            self.flag(*event, 1.0, *value)?;
            self.events.now.push(*event);
        }
        Ok(!due.is_empty())
    }

    /// After the step that events reached.
    pub fn end_events(&mut self) -> Result<(), RunError> {
        for event in std::mem::take(&mut self.events.now) {
            self.flag(event, 0.0, 0.0)?;
        }
        Ok(())
    }

    fn flag(&mut self, event: u32, flag: f64, number: f64) -> Result<(), RunError> {
        let Some(port) = self.unit.network.events.get(event as usize) else { return Ok(()) };
        for reader in &port.readers {
            let Some(population) = self.unit.network.populations().position(|(id, _)| id == reader.population) else {
                continue;
            };
            for (param, value) in [(reader.flag, flag), (reader.number, number)] {
                self.engine.set(&Setting { population, param, cells: None, op: None, values: vec![value] })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_goes_in_a_step() {
        let mut e = Events { waiting: vec![(5, 0, 1.0), (5, 1, 2.0), (5, 0, 3.0), (9, 0, 4.0)], now: Vec::new() };
        assert_eq!(e.next(4), Some(5));
        assert_eq!(e.due(4), []);
        assert_eq!(e.due(5), [(0, 1.0), (1, 2.0)]);
        assert_eq!(e.due(6), [(0, 3.0)]);
        assert_eq!(e.next(6), Some(9));
    }
}
