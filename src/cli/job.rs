//! All runs of one experiment, one after the other, and what they give together.

use super::output::Output;
use super::progress::Bar;
use crate::base::Diagnostic;
use crate::driver::{self, Backend, MemoryLimit};
use crate::execute::{self, Conclusion, Control, Ledger, Needs, Rows, RunOutcome, Setup, Summary, needs};
use crate::ir::artefact::Job;
use crate::ir::protocol::Point;
use std::sync::atomic::AtomicBool;

/// How runs are executed.
pub(super) struct Settings<'a> {
    pub seed: u64,
    pub threads: usize,
    pub backend: Backend,
    pub backend_name: &'static str,
    pub limit: MemoryLimit,
    pub quick: bool,
    /// From source text to IR.
    pub compile_s: f64,
    pub stop: &'a AtomicBool,
    pub bar: &'a Bar,
}

/// What came of an experiment, complete or up to where it stopped.
pub(super) struct JobResult {
    pub summary: Summary,
    /// Of all runs and of `conclude`.
    pub expectations: Ledger,
    /// Without recordings: those are written when their run ends.
    pub runs: Vec<RunOutcome>,
    /// What stopped it.
    pub error: Option<Diagnostic>,
    pub interrupted: bool,
    /// Files within the folder of `--out`.
    pub written: Vec<String>,
}

/// Executes every point of the sweep with every seed.
pub(super) fn execute(job: &Job, settings: &Settings, output: Option<&Output>) -> JobResult {
    let mut all = Together::default();
    let total = job.points.len() as u64 * job.seeds;
    let pairs = job.points.iter().flat_map(|p| (0..job.seeds).map(move |k| (p, k)));
    for (run, (point, k)) in pairs.enumerate() {
        let name = if job.experiment.is_empty() { &job.network } else { &job.experiment };
        settings.bar.begin(&if total > 1 { format!("{name}, run {} of {total}", run + 1) } else { name.clone() });
        // Seeds wrap around: any first seed is as good as any other.
        let seed = settings.seed.wrapping_add(k);
        if let Err(d) = all.run(job, point, run, seed, settings, output) {
            all.error = Some(d);
        }
        if all.error.is_some() || all.interrupted {
            break;
        }
    }
    settings.bar.finish();
    all.finish(job, settings, output)
}

#[derive(Default)]
struct Together {
    runs: Vec<RunOutcome>,
    rows: Rows,
    expectations: Ledger,
    compile_s: Vec<f64>,
    build_s: Vec<f64>,
    written: Vec<String>,
    error: Option<Diagnostic>,
    interrupted: bool,
}

impl Together {
    fn run(
        &mut self,
        job: &Job,
        point: &Point,
        run: usize,
        seed: u64,
        settings: &Settings,
        output: Option<&Output>,
    ) -> Result<(), Diagnostic> {
        let Some(unit) = job.units.get(point.unit) else {
            return Err(super::codes::usage(format!("`{}` has no network number {}", job.experiment, point.unit)));
        };
        let dt = unit.network.dt_ms;
        let Needs { spikes, traces } = needs(unit, point, output.is_some()).map_err(|e| execute::diagnostic(&e, dt))?;
        let (mut engine, timings) =
            driver::engine(unit, seed, traces, &spikes, settings.backend, settings.threads, settings.limit)?;
        let progress = |p| settings.bar.update(p);
        let control = Control { stop: settings.stop, progress: &progress, quick: settings.quick };
        let mut outcome = execute::run(unit, point, seed, engine.as_mut(), &control);
        drop(engine);
        self.compile_s.push(timings.compile_s);
        self.build_s.push(timings.build_s);
        self.interrupted = outcome.interrupted;
        self.error = outcome.error.take().map(|e| execute::diagnostic(&e, dt));
        self.rows.append(std::mem::take(&mut outcome.rows), run);
        self.expectations.extend(&outcome.expectations);
        let written = output.map(|o| o.run(run, &outcome)).transpose();
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
            conclusion = execute::conclude(&unit.protocol, &self.rows, settings.quick);
            self.expectations.extend(&conclusion.expectations);
            self.error = conclusion.error.take().map(|e| execute::diagnostic(&e, unit.network.dt_ms));
        }
        let mean = |v: &[f64]| if v.is_empty() { 0.0 } else { v.iter().sum::<f64>() / v.len() as f64 };
        let setup = Setup {
            network: job.network.clone(),
            experiment: job.experiment.clone(),
            seed: settings.seed,
            threads: settings.threads,
            backend: settings.backend_name,
            compile_s: settings.compile_s + mean(&self.compile_s),
            build_s: mean(&self.build_s),
        };
        let summary = execute::summarise(&setup, &self.runs, &self.expectations, &self.rows);
        match output.map(|o| o.all(&self.rows, &conclusion.curves, &summary)) {
            Some(Ok(written)) => self.written.extend(written),
            // A run's own error is the earlier news.
            Some(Err(d)) => self.error = self.error.or(Some(d)),
            None => {}
        }
        JobResult {
            summary,
            expectations: self.expectations,
            runs: self.runs,
            error: self.error,
            interrupted: self.interrupted,
            written: self.written,
        }
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
