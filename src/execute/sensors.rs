//! What is set from outside while a circuit runs, and the params that follow it.

use super::error::{Halt, script};
use super::run::{Walker, check_bounds};
use super::settings::Place;
use crate::backend::{RunError, Setting};
use crate::ir::Network;
use crate::script::{BinaryOp, EvalError, Expr, Value, binary, eval};

/// The numbers of every sensor, and which of them each reader holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sensors {
    values: Vec<Vec<f64>>,
    /// By sensor and reader: the position that each neuron reads; found on first need.
    positions: Vec<Vec<Option<Vec<u32>>>>,
}

impl Sensors {
    pub fn new(network: &Network) -> Sensors {
        Sensors {
            values: network.sensors.iter().map(|s| vec![s.initial; s.len()]).collect(),
            positions: network.sensors.iter().map(|s| vec![None; s.readers.len()]).collect(),
        }
    }
}

impl Sensors {
    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// Numbers as they were; `false` where they are of other sensors.
    pub fn load(&mut self, values: Vec<Vec<f64>>) -> bool {
        let sizes = |v: &[Vec<f64>]| v.iter().map(Vec::len).collect::<Vec<_>>();
        let fits = sizes(&values) == sizes(&self.values);
        if fits {
            self.values = values;
        }
        fits
    }
}

impl Walker<'_> {
    /// A number, or a list as deep as the sensor has axes.
    pub fn sensor(&self, sensor: u32) -> Result<Value, EvalError> {
        let k = sensor as usize;
        match (self.unit.network.sensors.get(k), self.sensors.values.get(k)) {
            (Some(s), Some(values)) => Ok(nested(&s.shape, values)),
            _ => Err(EvalError::new(format!("the network has no sensor number {sensor}"))),
        }
    }

    pub fn set_sensor(
        &mut self,
        sensor: u32,
        slots: &[Expr],
        op: Option<BinaryOp>,
        value: &Expr,
        lasting: Option<&Expr>,
        place: &str,
    ) -> Result<(), Halt> {
        let at = |e| script(place, e);
        let Some(s) = self.unit.network.sensors.get(sensor as usize) else {
            return Err(at(EvalError::new(format!("the network has no sensor number {sensor}"))));
        };
        let mut first = 0;
        for (k, slot) in slots.iter().enumerate() {
            let n = s.shape.get(k).copied().unwrap_or(1);
            let position = eval(slot, self).and_then(|v| v.count()).map_err(at)?;
            if position >= u64::from(n) {
                return Err(at(EvalError::new(format!("index {position} is outside an axis of {n} of `{}`", s.path))));
            }
            first = first * n as usize + position as usize;
        }
        let n: usize = s.shape.get(slots.len()..).unwrap_or_default().iter().map(|n| *n as usize).product();
        let first = first * n;
        let value = eval(value, self).map_err(at)?;
        let lasting = lasting.map(|e| self.steps(e)).transpose().map_err(at)?;
        let before = self.sensors.values[sensor as usize][first..first + n].to_vec();
        let value = match op {
            Some(op) => binary(op, &nested(&s.shape[slots.len()..], &before), &value).map_err(at)?,
            None => value,
        };
        let mut after = Vec::new();
        flatten(&value, &mut after).map_err(at)?;
        if after.len() == 1 {
            after.resize(n, after[0]);
        }
        if after.len() != n {
            let message = format!("{} values for the {n} positions of `{}`", after.len(), s.path);
            return Err(at(EvalError::new(message)));
        }
        if let Some(v) = after.iter().find(|v| !v.is_finite()) {
            return Err(at(EvalError::new(format!("`{}` is set to {v}", s.path))));
        }
        if let Some(bounds) = &s.bounds {
            check_bounds(bounds, &after).map_err(at)?;
        }
        let positions: Vec<u32> = (first as u32..(first + n) as u32).collect();
        let place = Place::Sensor(sensor);
        match lasting {
            Some(steps) => {
                let end = self.engine.step().saturating_add(steps);
                self.temporary.begin(place, &positions, &before, &after, end);
            }
            None => self.temporary.overwrite(place, &positions),
        }
        self.write_sensor(sensor, &positions, &after)?;
        Ok(())
    }

    /// Writes numbers of a sensor, and the params that follow it.
    pub fn write_sensor(&mut self, sensor: u32, positions: &[u32], values: &[f64]) -> Result<(), RunError> {
        let k = sensor as usize;
        let (Some(s), Some(held)) = (self.unit.network.sensors.get(k), self.sensors.values.get_mut(k)) else {
            return Ok(());
        };
        for (p, v) in positions.iter().zip(values) {
            if let Some(slot) = held.get_mut(*p as usize) {
                *slot = *v;
            }
        }
        for (r, reader) in s.readers.iter().enumerate() {
            let Some(population) = self.unit.network.populations().position(|(id, _)| id == reader.population) else {
                continue;
            };
            let values = match reader.index {
                None => vec![self.sensors.values[k][0]],
                Some(index) => {
                    if self.sensors.positions[k][r].is_none() {
                        let size = self.unit.network.population(reader.population).map_or(0, |p| p.size);
                        let cells: Vec<u32> = (0..size).collect();
                        let found = self.engine.param(population, index, &cells);
                        self.sensors.positions[k][r] = Some(checked(&found, s.len(), &s.path)?);
                    }
                    let at = self.sensors.positions[k][r].as_deref().unwrap_or_default();
                    at.iter().map(|p| self.sensors.values[k][*p as usize]).collect()
                }
            };
            self.engine.set(&Setting { population, param: reader.param, cells: None, op: None, values })?;
        }
        Ok(())
    }

    /// As at the start.
    pub fn reset_sensor(&mut self, sensor: u32) -> Result<(), RunError> {
        let Some(s) = self.unit.network.sensors.get(sensor as usize) else { return Ok(()) };
        let positions: Vec<u32> = (0..s.len() as u32).collect();
        self.temporary.overwrite(Place::Sensor(sensor), &positions);
        self.write_sensor(sensor, &positions, &vec![s.initial; s.len()])
    }
}

fn checked(found: &[f64], n: usize, path: &str) -> Result<Vec<u32>, RunError> {
    let whole = |v: &f64| (*v >= 0.0 && *v < n as f64 && *v == v.trunc()).then_some(*v as u32);
    found
        .iter()
        .map(|v| {
            whole(v).ok_or_else(|| RunError::Build(format!("a cell reads position {v} of `{path}`, which has {n}")))
        })
        .collect()
}

/// Numbers in row-major order as a list of lists.
pub(super) fn nested(shape: &[u32], values: &[f64]) -> Value {
    match shape.split_first() {
        None => Value::Number(values.first().copied().unwrap_or(f64::NAN)),
        Some((n, rest)) => {
            let each = values.len() / (*n).max(1) as usize;
            Value::List(values.chunks(each.max(1)).map(|part| nested(rest, part)).collect())
        }
    }
}

fn flatten(value: &Value, out: &mut Vec<f64>) -> Result<(), EvalError> {
    match value {
        Value::List(_) | Value::Mask(_) => value.elements().iter().try_for_each(|v| flatten(v, out)),
        one => {
            out.push(one.number()?);
            Ok(())
        }
    }
}
