//! All runs of one experiment, several at once, and what they give together: the same as one after the other.

use super::checkpoint::Checkpoints;
use super::output::Output;
use super::pool::{Pool, Task};
use super::progress::{self, Bar};
use crate::base::Diagnostic;
use crate::chip::host::Machine;
use crate::driver::Profile;
use crate::driver::{self, Backend, MemoryLimit, Prepared};
use crate::execute::{
    self, Checkpoint, Conclusion, Control, Front, Ledger, Needs, Origin, Progress, Rows, RunOutcome, Saving, Setup,
    Summary, needs,
};
use crate::ir::artefact::{Job, Unit};
use crate::report::{self, Recorded};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How runs are executed.
pub(super) struct Settings<'a> {
    pub seed: u64,
    pub threads: usize,
    /// That many were asked for: a small network runs on them, too.
    pub chosen: bool,
    pub backend: Backend,
    pub backend_name: &'static str,
    /// Runs on this in the place of the back end.
    pub chip: Option<&'a Machine>,
    pub limit: MemoryLimit,
    /// A part of the experiment is run: an expectation without data is skipped.
    pub part: bool,
    /// From source text to IR.
    pub compile_s: f64,
    pub checkpoints: Option<&'a Checkpoints>,
    /// Where the time of the first run goes is measured.
    pub measured: bool,
    pub stop: &'a AtomicBool,
    pub bar: &'a Bar,
}

/// What came of an experiment, complete or up to where it stopped.
pub(super) struct JobResult {
    pub summary: Summary,
    /// Of all runs and of `conclude`.
    pub expectations: Ledger,
    /// `plot pareto` of `conclude`.
    pub fronts: Vec<Front>,
    /// Without recordings: those are written when their run ends.
    pub runs: Vec<RunOutcome>,
    /// What stopped it.
    pub error: Option<Diagnostic>,
    pub interrupted: bool,
    /// Files within the folder of `--out`.
    pub written: Vec<String>,
    /// Of the first run, where it was measured.
    pub profile: Option<Profile>,
}

/// Executes every point of the sweep with every seed.
///
/// As many runs at once as there are threads and as the memory allows; threads that are left over are shared out among them.
pub(super) fn execute(job: &Job, settings: &Settings, output: Option<&Output>) -> JobResult {
    let name = if job.experiment.is_empty() { &job.network } else { &job.experiment };
    let runs = job.points.len().saturating_mul(usize::try_from(job.seeds).unwrap_or(usize::MAX));
    let allowed = driver::allowed(settings.limit);
    let lanes = lanes(job, runs, settings.threads, allowed);
    let units = job.units.iter().map(|unit| Shared { unit, prepared: OnceLock::new() }).collect();
    let series =
        Series { job, settings, recorded: output.is_some(), units, allowed, lanes, threads: settings.threads / lanes };
    let mut all = Together::default();
    let watch = RefCell::new(Watch::new(name, runs, settings.bar));
    let pool = Pool { runs, lanes, stop: settings.stop, work: &|task| series.run(task) };
    let taken = pool.execute(&mut |run, progress| watch.borrow_mut().moved(run, progress), &mut |run, done| {
        watch.borrow_mut().done(run);
        match done.and_then(|done| all.take(run, done, output)) {
            Ok(()) => {}
            Err(d) => all.error = Some(d),
        }
        if all.error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    settings.bar.finish();
    // A stop may fall between two runs.
    all.interrupted |= taken < runs && all.error.is_none();
    let compiled = series.units.iter().filter_map(|u| Some(u.prepared.get()?.as_ref().ok()?.compile_s));
    all.compile_s = compiled.collect();
    all.finish(job, settings, output)
}

/// Whether `--set` leaves a sweep some of its values: what the others would have given is not judged.
pub(super) fn narrowed(job: &Job, set: &[(String, String)]) -> bool {
    job.points.iter().take(1).any(|point| {
        let variables = job.units.get(point.unit).map_or(&[][..], |u| &u.protocol.variables);
        let names = point.sweep.iter().filter_map(|(v, _)| variables.get(*v as usize)).map(|v| &v.name);
        names.into_iter().any(|name| set.iter().any(|(given, _)| given == name))
    })
}

/// The number of runs at once.
fn lanes(job: &Job, runs: usize, threads: usize, allowed: f64) -> usize {
    let largest = job.units.iter().map(driver::memory).fold(0.0, f64::max);
    let fit = if largest > 0.0 { (allowed / largest) as usize } else { usize::MAX };
    threads.min(runs).min(fit).max(1)
}

/// A unit that the first of its runs prepares for all.
struct Shared<'j> {
    unit: &'j Unit,
    prepared: OnceLock<Result<Prepared<'j>, Diagnostic>>,
}

/// What all runs share.
struct Series<'j> {
    job: &'j Job,
    settings: &'j Settings<'j>,
    /// What `record` asks for is wanted.
    recorded: bool,
    units: Vec<Shared<'j>>,
    /// Bytes for one network.
    allowed: f64,
    /// Runs at the same time.
    lanes: usize,
    /// Threads of one run.
    threads: usize,
}

/// A run that ended, well or not.
struct Done {
    outcome: RunOutcome,
    build_s: f64,
    threads: usize,
    profile: Option<Profile>,
}

impl Series<'_> {
    /// Runs are numbered point by point, seeds within.
    fn run(&self, task: &Task) -> Result<Done, Diagnostic> {
        let Series { job, settings, .. } = self;
        let seeds = usize::try_from(job.seeds).unwrap_or(usize::MAX).max(1);
        let point = &job.points[task.run / seeds];
        let Some(Shared { unit, prepared }) = self.units.get(point.unit) else {
            return Err(super::codes::usage(format!("`{}` has no network number {}", job.experiment, point.unit)));
        };
        // Seeds wrap around: any first seed is as good as any other.
        let seed = settings.seed.wrapping_add((task.run % seeds) as u64);
        let (origin, from, every) = self.saved(task.run, seeds, seed, unit)?;
        let needs = needs(unit, point, self.recorded);
        let Needs { spikes, traces } = needs.map_err(|e| execute::diagnostic(&e, unit.network.dt_ms))?;
        let prepared = prepared.get_or_init(|| match settings.chip {
            Some(machine) => driver::prepare_on_chip(unit, machine, self.allowed),
            None => driver::prepare(unit, settings.backend, self.allowed),
        });
        let prepared = prepared.as_ref().map_err(Diagnostic::clone)?;
        let threads = if settings.chosen { self.threads } else { prepared.busy(self.threads) };
        let (mut engine, build_s) = prepared.engine(seed, traces, &spikes, threads)?;
        // Runs at the same time share what their networks leave.
        let memory = self.allowed / self.lanes as f64 - driver::memory(unit);
        let control = Control { stop: task.stop, progress: task.progress, quick: settings.part, memory };
        let write = |c: &Checkpoint| {
            if let Some(checkpoints) = settings.checkpoints {
                checkpoints.save(task.run, c);
            }
        };
        let writes = settings.checkpoints.is_some_and(Checkpoints::writes);
        let write = writes.then_some(&write as &dyn Fn(&Checkpoint));
        let saving = origin.map(|origin| Saving { origin, from, every, write });
        let measured = settings.measured && task.run == 0;
        if measured {
            engine.measure();
        }
        progress::begun();
        let outcome = execute::go_on(unit, point, seed, engine.as_mut(), &control, saving);
        let profile = if measured { engine.profile() } else { None };
        Ok(Done { outcome, build_s, threads, profile })
    }
}

/// The origin of a run's checkpoints, what it goes on from, and the steps between checkpoints.
type Saved = (Option<Origin>, Option<Checkpoint>, Option<u64>);

impl Series<'_> {
    /// What is known of a run's checkpoints before it is built.
    fn saved(&self, run: usize, seeds: usize, seed: u64, unit: &Unit) -> Result<Saved, Diagnostic> {
        let Some(checkpoints) = self.settings.checkpoints else { return Ok((None, None, None)) };
        let Some(origin) = Origin::of(self.job, run / seeds, seed, self.recorded) else {
            return Ok((None, None, None));
        };
        let from = checkpoints.load(run, &origin, unit)?;
        let every = checkpoints.every(unit.network.dt_ms)?;
        Ok((Some(origin), from, every))
    }
}

/// The progress of all runs together.
struct Watch<'b> {
    bar: &'b Bar,
    runs: usize,
    /// Of the runs under way, in ms.
    times: BTreeMap<usize, f64>,
    /// Of the runs that ended.
    ended_ms: f64,
    begin: Instant,
}

impl<'b> Watch<'b> {
    fn new(name: &str, runs: usize, bar: &'b Bar) -> Watch<'b> {
        bar.begin(&if runs > 1 { format!("{name}, {runs} runs") } else { name.to_string() });
        Watch { bar, runs, times: BTreeMap::new(), ended_ms: 0.0, begin: Instant::now() }
    }

    fn moved(&mut self, run: usize, p: Progress) {
        self.times.insert(run, p.time_ms);
        self.bar.update(Progress {
            time_ms: self.ended_ms + self.times.values().sum::<f64>(),
            total_ms: p.total_ms.map(|t| t * self.runs as f64),
            // A single run is timed without its build.
            spent: if self.runs > 1 { self.begin.elapsed() } else { p.spent },
        });
    }

    fn done(&mut self, run: usize) {
        self.ended_ms += self.times.remove(&run).unwrap_or(0.0);
    }
}

#[derive(Default)]
struct Together {
    runs: Vec<RunOutcome>,
    rows: Rows,
    expectations: Ledger,
    /// By unit.
    compile_s: Vec<f64>,
    build_s: Vec<f64>,
    /// Of a run.
    threads: usize,
    written: Vec<String>,
    /// Of the first run, where a report is wanted.
    recorded: Recorded,
    profile: Option<Profile>,
    error: Option<Diagnostic>,
    interrupted: bool,
}

impl Together {
    fn take(&mut self, run: usize, done: Done, output: Option<&Output>) -> Result<(), Diagnostic> {
        let Done { mut outcome, build_s, threads, profile } = done;
        self.threads = self.threads.max(threads);
        self.profile = profile.or(self.profile.take());
        self.build_s.push(build_s);
        self.interrupted |= outcome.interrupted;
        self.error = outcome.error.take().map(|e| execute::diagnostic(&e, outcome.dt_ms));
        self.rows.append(std::mem::take(&mut outcome.rows), run);
        self.expectations.extend(&outcome.expectations);
        let written = output.map(|o| o.run(run, &outcome)).transpose();
        if self.runs.is_empty() && output.is_some_and(|o| o.report().is_some()) {
            self.recorded = Recorded::of(&outcome);
        }
        // Of many runs, only figures are kept in memory.
        outcome.recording = Default::default();
        outcome.plots = Vec::new();
        self.runs.push(outcome);
        self.written.extend(written?.unwrap_or_default());
        Ok(())
    }

    fn finish(mut self, job: &Job, settings: &Settings, output: Option<&Output>) -> JobResult {
        let mut conclusion = Conclusion::default();
        // Half of the runs prove nothing.
        if self.error.is_none()
            && !self.interrupted
            && let Some(unit) = job.units.first()
        {
            conclusion = execute::conclude(&unit.protocol, &self.rows, settings.part);
            self.expectations.extend(&conclusion.expectations);
            self.error = conclusion.error.take().map(|e| execute::diagnostic(&e, unit.network.dt_ms));
        }
        let mean = |v: &[f64]| if v.is_empty() { 0.0 } else { v.iter().sum::<f64>() / v.len() as f64 };
        let setup = Setup {
            network: job.network.clone(),
            experiment: job.experiment.clone(),
            seed: settings.seed,
            // Of one run; of all at once where there are several.
            threads: if self.runs.len() > 1 { settings.threads } else { self.threads },
            backend: settings.backend_name,
            compile_s: settings.compile_s + mean(&self.compile_s),
            build_s: mean(&self.build_s),
        };
        let summary = execute::summarise(&setup, &self.runs, &self.expectations, &self.rows);
        match output.map(|o| o.all(&self.rows, &conclusion, &summary)) {
            Some(Ok(written)) => self.written.extend(written),
            // A run's own error is the earlier news.
            Some(Err(d)) => self.error = self.error.or(Some(d)),
            None => {}
        }
        if let Some(output) = output
            && let Err(d) = self.report(job, &summary, &conclusion, output)
        {
            self.error = self.error.or(Some(d));
        }
        // That a checkpoint is missing spoils no result.
        self.error = self.error.or_else(|| settings.checkpoints.and_then(Checkpoints::failure));
        JobResult {
            summary,
            expectations: self.expectations,
            fronts: conclusion.fronts,
            runs: self.runs,
            error: self.error,
            interrupted: self.interrupted,
            written: self.written,
            profile: self.profile,
        }
    }
}

impl Together {
    /// Writes the page of the experiment where one is wanted.
    fn report(
        &mut self,
        job: &Job,
        summary: &Summary,
        conclusion: &Conclusion,
        output: &Output,
    ) -> Result<(), Diagnostic> {
        let Some(given) = output.report() else { return Ok(()) };
        let stopped = match (&self.error, self.interrupted) {
            (Some(d), _) => Some(d.message.clone()),
            (None, true) => Some("it was interrupted".to_string()),
            (None, false) => None,
        };
        let source = report::Source {
            job,
            summary,
            runs: &self.runs,
            rows: &self.rows,
            expectations: &self.expectations,
            curves: &conclusion.curves,
            fronts: &conclusion.fronts,
            recorded: &self.recorded,
            received: self.received(job),
            given,
            stopped,
        };
        self.written.push(output.write_report(&source)?);
        Ok(())
    }

    /// Mean inputs of the first network at the mean rates of its runs.
    fn received(&self, job: &Job) -> Result<Vec<Option<(f64, f64)>>, String> {
        let Some(unit) = job.units.first() else { return Err("there is no network".to_string()) };
        let seeds = usize::try_from(job.seeds).unwrap_or(usize::MAX).max(1);
        let own = |k: usize| job.points.get(k / seeds).is_some_and(|p| p.unit == 0);
        let runs: Vec<&RunOutcome> = self.runs.iter().enumerate().filter(|(k, _)| own(*k)).map(|(_, r)| r).collect();
        let rate = |k: usize| {
            let each = runs.iter().filter_map(|r| Some(r.populations.get(k)?.rate_hz * 1e-3));
            each.sum::<f64>() / runs.len() as f64
        };
        let rates: Vec<f64> = (0..unit.network.populations().count()).map(rate).collect();
        driver::received(unit, &rates)
    }
}

impl JobResult {
    /// What the result means for the exit status.
    pub fn status(&self) -> super::Status {
        if self.interrupted {
            return super::Status::Interrupted;
        }
        let broken = self.error.as_ref().map_or(super::Status::Fine, super::source::status_of);
        let judged = if self.expectations.all_hold() { super::Status::Fine } else { super::Status::Wrong };
        broken.max(judged)
    }
}
