//! States over a window: as a value of the experiment, or number by number for what reduces them.

use super::super::cells::Selection;
use super::super::recording;
use super::super::statistics::Steps;
use super::Walker;
use crate::backend::TraceLog;
use crate::script::{Cells, EvalError, Value, Window};

/// Samples of an observable: rows of a log, and the columns of the cells asked for.
struct Samples<'l> {
    log: &'l TraceLog,
    columns: Vec<usize>,
    rows: std::ops::Range<usize>,
}

impl Samples<'_> {
    fn row(&self, row: usize) -> impl Iterator<Item = f64> {
        let start = row * self.log.request.cells.len();
        self.columns.iter().map(move |c| self.log.values[start + c])
    }
}

/// At most so many samples in one value of the experiment: about 2 GiB.
const SAMPLE_LIMIT: usize = 1 << 26;

impl Walker<'_> {
    pub(super) fn trace(&mut self, of: &Cells, observable: u32, window: Option<&Window>) -> Result<Value, EvalError> {
        let population = self.population(of.population)?;
        let Some(name) = population.dynamics.observables.get(observable as usize).map(|o| o.name.as_str()) else {
            return Err(EvalError::new(format!("`{}` has no observable number {observable}", population.path)));
        };
        let cells = self.select(of)?;
        let window = window.map(|w| self.window(w)).transpose()?;
        let one = |values: &[f64]| match values {
            [v] if cells.single => Value::Number(*v),
            all => Value::List(all.iter().map(|v| Value::Number(*v)).collect()),
        };
        let Some(window) = window else {
            return Ok(one(&self.engine.observe(of.population as usize, observable, &cells.cells)));
        };
        let samples = self.samples(of.population, observable, &cells, window, name)?;
        if samples.rows.len().saturating_mul(samples.columns.len()) > SAMPLE_LIMIT {
            let message = format!(
                "{} samples of {} cells are too many for one value; take fewer cells or a shorter window",
                samples.rows.len(),
                samples.columns.len()
            );
            return Err(EvalError::new(message));
        }
        Ok(Value::List(samples.rows.clone().map(|row| one(&samples.row(row).collect::<Vec<_>>())).collect()))
    }

    /// What was kept of an observable within a window.
    fn samples(
        &self,
        population: u32,
        observable: u32,
        cells: &Selection,
        window: Steps,
        name: &str,
    ) -> Result<Samples<'_>, EvalError> {
        let found = recording::columns(self.engine.traces(), population, observable, 1, &cells.cells);
        let (log, columns) = found.ok_or_else(|| {
            let path = self.populations.get(population as usize).map_or("?", |p| p.path.as_str());
            EvalError::new(format!("`{path}.{name}` was not kept over time"))
        })?;
        let from = log.steps.partition_point(|s| *s <= window.start);
        let to = log.steps.partition_point(|s| *s <= window.end).max(from);
        Ok(Samples { log, columns, rows: from..to })
    }

    /// Shows all samples, step by step.
    pub(super) fn scan_trace(
        &mut self,
        of: &Cells,
        observable: u32,
        window: &Window,
        visit: &mut dyn FnMut(f64),
    ) -> Result<(), EvalError> {
        let population = self.population(of.population)?;
        let Some(name) = population.dynamics.observables.get(observable as usize).map(|o| o.name.as_str()) else {
            return Err(EvalError::new(format!("`{}` has no observable number {observable}", population.path)));
        };
        let cells = self.select(of)?;
        let window = self.window(window)?;
        let samples = self.samples(of.population, observable, &cells, window, name)?;
        samples.rows.clone().for_each(|row| samples.row(row).for_each(&mut *visit));
        Ok(())
    }
}
