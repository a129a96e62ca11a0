//! What `record` and `plot` ask for, taken out of an engine's logs.

use super::cells::Selection;
use super::needs::interval;
use super::run::Walker;
use crate::backend::{Keep, RunError, TraceLog};
use crate::ir::protocol::{Protocol, Record};
use crate::record::{PopulationSpikes, Recording, StateTraces};
use crate::script::{Cells, EvalError, PlotKind};

/// One `plot`: its kind and the data it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotData {
    pub kind: PlotKind,
    /// The cells shown, in the order in which they were named: several slices of one population are one entry.
    pub recording: Recording,
    /// The cells of each entry of `recording.spikes`, silent ones too.
    pub cells: Vec<Vec<u32>>,
}

/// What `record` and `plot` asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Collected {
    pub recording: Recording,
    /// The cells of each entry of `recording.spikes`, silent ones too.
    pub cells: Vec<Vec<u32>>,
    pub plots: Vec<PlotData>,
}

/// Everything that was asked for, up to the engine's present step. Spikes and traces that weren't kept (because nothing is to
/// be written) are left out.
pub(super) fn collect(protocol: &Protocol, walker: &mut Walker) -> Result<Collected, EvalError> {
    let mut weights = Vec::new();
    let mut recorded = Parts::default();
    for record in &protocol.records {
        match record {
            Record::Spikes { of } => recorded.spikes(of, walker)?,
            Record::Observable { of, observable, every } => {
                let dt = walker.unit.network.dt_ms;
                let every = interval(every.as_ref(), dt, walker).map_err(|e| match e {
                    RunError::Script { message, .. } => EvalError::new(message),
                    other => EvalError::new(format!("{other:?}")),
                })?;
                recorded.trace(of, *observable, Some(every), walker)?;
            }
            Record::Weights { projection, .. } => weights.push(*projection),
        }
    }
    let mut plots = Vec::with_capacity(protocol.plots.len());
    for plot in &protocol.plots {
        let mut parts = Parts::default();
        for item in &plot.of {
            match item.observable {
                None => parts.spikes(&item.cells, walker)?,
                Some(observable) => parts.trace(&item.cells, observable, None, walker)?,
            }
        }
        let (mut recording, cells) = parts.recording(walker)?;
        recording.weights = walker.synapses.traces(&plot.weights);
        plots.push(PlotData { kind: plot.kind, recording, cells });
    }
    let (mut recording, cells) = recorded.recording(walker)?;
    recording.weights = walker.synapses.traces(&weights);
    Ok(Collected { recording, cells, plots })
}

/// What to take, before it is taken: cells of one population that are named twice are written once.
#[derive(Default)]
struct Parts {
    /// (population, cells ascending)
    spikes: Vec<(u32, Vec<u32>)>,
    /// (population, observable, interval if it matters, cells ascending)
    traces: Vec<(u32, u32, Option<u64>, Vec<u32>)>,
}

impl Parts {
    fn spikes(&mut self, of: &Cells, walker: &mut Walker) -> Result<(), EvalError> {
        let Selection { cells, .. } = walker.select(of)?;
        match self.spikes.iter_mut().find(|(p, _)| *p == of.population) {
            Some((_, known)) => unite(known, cells),
            None => self.spikes.push((of.population, cells)),
        }
        Ok(())
    }

    fn trace(&mut self, of: &Cells, observable: u32, every: Option<u64>, walker: &mut Walker) -> Result<(), EvalError> {
        let Selection { cells, .. } = walker.select(of)?;
        let same = |t: &&mut (u32, u32, Option<u64>, Vec<u32>)| (t.0, t.1, t.2) == (of.population, observable, every);
        match self.traces.iter_mut().find(same) {
            Some((.., known)) => unite(known, cells),
            None => self.traces.push((of.population, observable, every, cells)),
        }
        Ok(())
    }

    /// The data, and the cells of each population whose spikes are in it.
    fn recording(self, walker: &Walker) -> Result<(Recording, Vec<Vec<u32>>), EvalError> {
        let mut kept = Vec::new();
        let mut out = Recording {
            dt_ms: walker.unit.network.dt_ms,
            duration_steps: walker.engine.step(),
            phases: walker.phases(),
            ..Recording::default()
        };
        for (index, cells) in self.spikes {
            let population = walker.population(index)?;
            let log = walker.engine.spikes(index as usize);
            if log.keep != Keep::All {
                continue;
            }
            let mut chosen = vec![false; population.size as usize];
            cells.iter().for_each(|c| chosen[*c as usize] = true);
            let mut part = PopulationSpikes::new(population.path.clone(), population.size);
            for (step, sender) in log.steps.iter().zip(&log.senders) {
                if chosen.get(*sender as usize).copied().unwrap_or(false) {
                    part.push(*step, *sender);
                }
            }
            out.spikes.push(part);
            kept.push(cells);
        }
        for (index, observable, every, cells) in self.traces {
            let population = walker.population(index)?;
            let Some(what) = population.dynamics.observables.get(observable as usize) else { continue };
            let logs = walker.engine.traces();
            let found = match every {
                Some(every) => columns(logs, index, observable, every, &cells),
                None => coarsest(logs, index, observable, &cells),
            };
            let Some((log, columns)) = found else { continue };
            let width = log.request.cells.len();
            let rows = log.values.chunks_exact(width.max(1));
            out.states.push(StateTraces {
                path: population.path.clone(),
                variable: what.name.clone(),
                dimension: what.dimension,
                neurons: cells,
                steps: log.steps.clone(),
                values: rows.flat_map(|row| columns.iter().map(|c| row[*c])).collect(),
            });
        }
        Ok((out, kept))
    }
}

fn unite(known: &mut Vec<u32>, cells: Vec<u32>) {
    known.extend(cells);
    known.sort_unstable();
    known.dedup();
}

/// The log of an observable at an interval, and in it the columns of `cells`; `None` if they aren't all in it.
pub(super) fn columns<'a>(
    logs: &'a [TraceLog],
    population: u32,
    observable: u32,
    every: u64,
    cells: &[u32],
) -> Option<(&'a TraceLog, Vec<usize>)> {
    let right = |l: &&TraceLog| {
        let r = &l.request;
        (r.population, r.observable, r.every) == (population as usize, observable, every)
    };
    logs.iter().filter(right).find_map(|l| Some((l, find(&l.request.cells, cells)?)))
}

/// Plots take the log with the fewest samples: it is the one that `record ... every` asked for.
fn coarsest<'a>(
    logs: &'a [TraceLog],
    population: u32,
    observable: u32,
    cells: &[u32],
) -> Option<(&'a TraceLog, Vec<usize>)> {
    let right =
        logs.iter().filter(|l| l.request.population == population as usize && l.request.observable == observable);
    let fitting = right.filter_map(|l| Some((l, find(&l.request.cells, cells)?)));
    fitting.max_by_key(|(l, _)| l.request.every)
}

/// Positions of `cells` in the ascending list `all`.
fn find(all: &[u32], cells: &[u32]) -> Option<Vec<usize>> {
    cells.iter().map(|c| all.binary_search(c).ok()).collect()
}
