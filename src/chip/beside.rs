//! A circuit on a chip beside the same circuit on this machine: spike trains, rates, and what a difference comes from.

use super::emulator::Emulator;
use super::quantise;
use crate::backend::{Engine, RunError, SpikeLog};
use crate::base::Span;
use crate::lower::Origins;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Spikes are counted in bins of this width before trains are compared, ms: one that comes a step early or late is the same spike
/// still, and a cell that fires at tens of hertz has hardly two in a bin.
pub const BIN_MS: f64 = 5.0;

/// One population of a run on the chip and of a run here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    pub path: String,
    pub size: u32,
    /// Mean rates, Hz.
    pub chip_hz: f64,
    pub here_hz: f64,
    /// Pearson's correlation of a cell's spike counts there and here, mean of the cells that fired on either side.
    pub cells: Option<f64>,
    /// The same of the counts of all cells together.
    pub together: Option<f64>,
}

/// (step, cell), in any order.
type Spikes = [(u64, u32)];

impl Beside {
    /// Of `steps` steps of `dt_ms`.
    pub fn new(path: &str, size: u32, steps: u64, dt_ms: f64, chip: &Spikes, here: &Spikes) -> Beside {
        let seconds = steps as f64 * dt_ms * 1e-3;
        // A run that stops before its first step has no rates.
        let hz =
            |spikes: &Spikes| if steps == 0 { 0.0 } else { spikes.len() as f64 / f64::from(size.max(1)) / seconds };
        let bins = (steps as f64 * dt_ms / BIN_MS).ceil();
        let bin = |step: u64| (step as f64 * dt_ms / BIN_MS) as u64;
        let (there, own) = (counts(chip, bin, |c| c), counts(here, bin, |c| c));
        let silent = Counts::new();
        let fired = there.keys().chain(own.keys().filter(|c| !there.contains_key(c)));
        let each = fired.filter_map(|c| pearson(bins, there.get(c).unwrap_or(&silent), own.get(c).unwrap_or(&silent)));
        let each: Vec<f64> = each.collect();
        let (there, own) = (counts(chip, bin, |_| 0), counts(here, bin, |_| 0));
        Beside {
            path: path.to_string(),
            size,
            chip_hz: hz(chip),
            here_hz: hz(here),
            cells: (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64),
            together: there.get(&0).zip(own.get(&0)).and_then(|(a, b)| pearson(bins, a, b)),
        }
    }

    /// Every population that sends plain spikes, over the steps that both have done. `here` has the spikes of each population, all of
    /// them, of `steps` steps.
    pub fn all(chip: &Emulator, steps: u64, here: &[SpikeLog]) -> Vec<Beside> {
        let (m, steps) = (chip.manifest(), steps.min(chip.step()));
        let mut first = 0;
        let mut out = vec![];
        for (p, log) in m.populations.iter().zip(here) {
            let own = first..first + p.size;
            first = own.end;
            // Payloads of a modulator are no spikes of the circuit.
            if p.graded {
                continue;
            }
            let there = chip.spikes().iter().filter(|s| own.contains(&s.neuron) && (1..=steps).contains(&s.step));
            let there: Vec<(u64, u32)> = there.map(|s| (s.step, s.neuron - own.start)).collect();
            let here = log.steps.iter().copied().zip(log.senders.iter().copied()).filter(|s| s.0 <= steps);
            let here: Vec<(u64, u32)> = here.collect();
            out.push(Beside::new(&p.path, p.size, steps, m.step_ns as f64 * 1e-6, &there, &here));
        }
        out
    }

    /// The rate on the chip over that here, less 1.
    pub fn difference(&self) -> Option<f64> {
        (self.here_hz > 0.0).then(|| self.chip_hz / self.here_hz - 1.0)
    }
}

/// Spikes by bin, where there are some.
type Counts = BTreeMap<u64, f64>;

fn counts(spikes: &Spikes, bin: impl Fn(u64) -> u64, cell: impl Fn(u32) -> u32) -> BTreeMap<u32, Counts> {
    let mut out: BTreeMap<u32, Counts> = BTreeMap::new();
    for (step, sender) in spikes {
        *out.entry(cell(*sender)).or_default().entry(bin(*step)).or_default() += 1.0;
    }
    out
}

/// `None` where neither varies; 0 where one does.
fn pearson(bins: f64, a: &Counts, b: &Counts) -> Option<f64> {
    let sum = |c: &Counts| c.values().sum::<f64>();
    let spread = |c: &Counts| bins * c.values().map(|v| v * v).sum::<f64>() - sum(c) * sum(c);
    let product: f64 = a.iter().filter_map(|(bin, v)| Some(v * b.get(bin)?)).sum();
    let (x, y) = (spread(a), spread(b));
    match (x > 0.0, y > 0.0) {
        (true, true) => Some((bins * product - sum(a) * sum(b)) / (x * y).sqrt()),
        (false, false) => None,
        _ => Some(0.0),
    }
}

/// A change of a rate by more than this part spoils a circuit.
pub const SPOILT: f64 = 0.05;

/// Parts that a run is cut into, so that their scatter says what a difference is worth.
const PARTS: u64 = 10;

/// Updates and synaptic events after which a trial is long enough.
const WORK: u64 = 20_000_000;

/// Steps of a circuit that nobody knows how long to run.
const STEPS: u64 = 10_000;

/// Rates over the first steps of a circuit: as it is, with weights of the chip, and on the chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    pub steps: u64,
    pub seconds: f64,
    /// What ended the chip's run early.
    pub fault: Option<String>,
    pub populations: Vec<PopulationRates>,
    /// Of each projection whose weights are other ones on the chip: what they do alone.
    pub weights: Vec<Alone>,
    pub spoilt: Vec<Spoilt>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PopulationRates {
    pub path: String,
    pub here_hz: f64,
    /// Here, with all weights as the chip has them.
    pub weights_hz: f64,
    pub chip_hz: f64,
}

/// Here, with the weights of one projection as the chip has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    pub projection: String,
    /// The population whose rate changes most, and by which part of it.
    pub population: String,
    pub change: f64,
    pub place: Option<String>,
}

/// A population that fires at another rate on the chip, and what does most of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spoilt {
    pub population: String,
    pub change: f64,
    pub cause: String,
    pub place: Option<String>,
}

/// Spikes of each population in each part of a run.
struct Run {
    parts: Vec<Vec<u64>>,
    fault: Option<String>,
}

impl Run {
    fn new(engine: &mut dyn Engine, populations: usize, part: u64, most: Option<usize>) -> Result<Run, RunError> {
        let stop = AtomicBool::new(false);
        let mut out = Run { parts: vec![], fault: None };
        let mut before = vec![0; populations];
        while out.parts.len() < most.unwrap_or(PARTS as usize) {
            match engine.advance(part, &stop) {
                Ok(_) => {}
                Err(RunError::Chip { message, .. }) if !out.parts.is_empty() => {
                    out.fault = Some(message);
                    break;
                }
                Err(e) => return Err(e),
            }
            let now: Vec<u64> = (0..populations).map(|k| engine.spikes(k).count).collect();
            out.parts.push(now.iter().zip(&before).map(|(n, b)| n - b).collect());
            before = now;
            if most.is_none() && engine.synaptic_events() + engine.step() * populations as u64 > WORK {
                break;
            }
        }
        Ok(out)
    }

    fn spikes(&self, population: usize) -> u64 {
        self.parts.iter().map(|p| p[population]).sum()
    }

    /// The relative change of a rate from another run to this one, and whether it is more than 5 % and than what the parts scatter.
    fn change(&self, from: &Run, population: usize) -> (f64, bool) {
        let differences = self.parts.iter().zip(&from.parts);
        let each: Vec<f64> = differences.map(|(a, b)| a[population] as f64 - b[population] as f64).collect();
        let n = each.len() as f64;
        let sum: f64 = each.iter().sum();
        let scatter = each.iter().map(|d| (d - sum / n).powi(2)).sum::<f64>();
        // Twice the standard error of a sum of n parts; few parts scatter at least as their spikes would alone.
        let error = match each.len() {
            0..=2 => ((self.spikes(population) + from.spikes(population)) as f64).sqrt(),
            _ => (scatter * n / (n - 1.0)).sqrt(),
        };
        let before = from.spikes(population).max(1) as f64;
        (sum / before, sum.abs() > SPOILT * before && sum.abs() > 2.0 * error)
    }
}

/// Where things are written.
pub struct Places<'a> {
    pub origins: &'a Origins,
    pub place: &'a dyn Fn(&Span) -> String,
}

impl Places<'_> {
    fn projection(&self, path: &str) -> Option<String> {
        self.origins.projections.get(path).map(self.place)
    }

    fn population(&self, path: &str) -> Option<String> {
        self.origins.populations.get(path).map(self.place)
    }
}

/// A projection of a trial.
pub struct Tried {
    pub path: String,
    /// By number.
    pub target: Option<usize>,
    /// Whether its weights can be written.
    pub stored: bool,
    /// Where it learns: its longest delay, ms.
    pub learns: Option<f64>,
}

/// What a trial is of.
pub struct Trial<'a> {
    /// By number: path and size.
    pub populations: Vec<(String, u32)>,
    pub projections: Vec<Tried>,
    pub dt_ms: f64,
    /// How long the experiment lasts, where that is known.
    pub duration_ms: Option<f64>,
    pub quantising: &'a quantise::Report,
    pub places: Places<'a>,
}

impl Trial<'_> {
    /// Runs the circuit from its start on the chip; here, which `here` gives a new engine for each time; and here with weights of the
    /// chip, all of them and of one projection at a time.
    ///
    /// # Errors
    /// Of an engine that does not run.
    pub fn rates<'e>(
        &self,
        chip: &mut dyn Engine,
        here: &dyn Fn() -> Result<Box<dyn Engine + 'e>, RunError>,
    ) -> Result<Rates, RunError> {
        let n = self.populations.len();
        let cells: u64 = self.populations.iter().map(|p| u64::from(p.1)).sum();
        let steps = self.duration_ms.map_or(STEPS, |ms| (ms / self.dt_ms).round() as u64).min(WORK / cells.max(1));
        let part = (steps / PARTS).max(1);
        let weights: Vec<_> = (0..self.projections.len()).map(|k| (chip.edges(k), chip.weights(k))).collect();
        let on_chip = Run::new(chip, n, part, None)?;
        let most = Some(on_chip.parts.len());
        let exact = Run::new(here()?.as_mut(), n, part, most)?;
        let mut all = here()?;
        let mut alone: Vec<(usize, Run)> = vec![];
        for (k, (edges, stored)) in weights.iter().enumerate().filter(|(k, _)| self.projections[*k].stored) {
            let mut engine = here()?;
            if engine.edges(k) != *edges || engine.weights(k) == *stored {
                continue;
            }
            engine.set_weights(k, stored)?;
            all.set_weights(k, stored)?;
            alone.push((k, Run::new(engine.as_mut(), n, part, most)?));
        }
        let all = Run::new(all.as_mut(), n, part, most)?;
        let done = part * on_chip.parts.len() as u64;
        let seconds = done as f64 * self.dt_ms * 1e-3;
        let hz = |run: &Run, k: usize| run.spikes(k) as f64 / f64::from(self.populations[k].1.max(1)) / seconds;
        let populations = (0..n).map(|k| PopulationRates {
            path: self.populations[k].0.clone(),
            here_hz: hz(&exact, k),
            weights_hz: hz(&all, k),
            chip_hz: hz(&on_chip, k),
        });
        Ok(Rates {
            steps: done,
            seconds,
            populations: populations.collect(),
            weights: alone.iter().filter_map(|(k, run)| self.alone(*k, run, &exact)).collect(),
            spoilt: (0..n).filter_map(|k| self.spoilt(k, &exact, &all, &on_chip, &alone)).collect(),
            fault: on_chip.fault,
        })
    }

    fn alone(&self, projection: usize, run: &Run, exact: &Run) -> Option<Alone> {
        let changes = (0..self.populations.len()).map(|k| (k, run.change(exact, k).0));
        let (most, change) = changes.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
        let path = &self.projections[projection].path;
        Some(Alone {
            projection: path.clone(),
            population: self.populations[most].0.clone(),
            change,
            place: self.places.projection(path),
        })
    }

    fn spoilt(&self, k: usize, exact: &Run, all: &Run, chip: &Run, alone: &[(usize, Run)]) -> Option<Spoilt> {
        let (change, true) = chip.change(exact, k) else { return None };
        let population = self.populations[k].0.clone();
        let moved = alone.iter().map(|(p, run)| (*p, run.change(exact, k))).filter(|(_, (_, counts))| *counts);
        if let Some((p, _)) = moved.max_by(|a, b| a.1.0.abs().total_cmp(&b.1.0.abs())) {
            let path = &self.projections[p].path;
            let cause = format!("the weights of `{path}`{}", self.lost(path));
            return Some(Spoilt { population, change, cause, place: self.places.projection(path) });
        }
        let (cause, place) = match (chip.change(all, k).1, self.cut_off()) {
            (true, Some((path, state, part))) => {
                let cause = format!(
                    "`{state}` of `{path}`, which may be off by {:.0} % of the way to threshold because products are cut off",
                    100.0 * part
                );
                (cause, self.places.population(path))
            }
            (true, None) => match self.learnt(k) {
                Some((path, ms)) => {
                    let cause = format!(
                        "what `{path}` learns: a rule of the chip meets a presynaptic spike when it is sent, {} ms before it arrives, \
                         and computes with traces of 7 bits",
                        crate::units::number(ms)
                    );
                    (cause, self.places.projection(path))
                }
                None => ("its program, or that of a cell that drives it".to_string(), None),
            },
            (false, _) => ("weights together, none alone".to_string(), None),
        };
        Some(Spoilt { population, change, cause, place })
    }

    /// How the weights of a projection are spoilt.
    fn lost(&self, path: &str) -> String {
        match self.quantising.projections.iter().find(|p| p.path == path) {
            Some(p) if p.lost > 0 => format!(
                ": {} of {} became 0 beside the strongest, with which they share {} bits",
                p.lost, p.synapses, p.bits
            ),
            Some(p) => format!(", {:+.1} % on average", 100.0 * p.mean_error),
            None => String::new(),
        }
    }

    /// The projection onto a population that learns, and its delay: the one with the longest.
    fn learnt(&self, population: usize) -> Option<(&str, f64)> {
        let onto = self.projections.iter().filter(|p| p.target == Some(population));
        let learning = onto.filter_map(|p| Some((p.path.as_str(), p.learns?)));
        learning.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The state that is furthest off, if any by as much as would spoil a rate.
    fn cut_off(&self) -> Option<(&str, &str, f64)> {
        let all = self.quantising.populations.iter();
        let all = all.filter_map(|p| p.cut_off.as_ref().map(|(state, part)| (p.path.as_str(), state.as_str(), *part)));
        // One that never decays is as far off as it runs long, a clock too.
        all.filter(|s| s.2 > SPOILT && s.2.is_finite()).max_by(|a, b| a.2.total_cmp(&b.2))
    }
}
