//! `--balance`: what mean-field theory expects of each population, alone or beside what a run measured.

use super::job::JobResult;
use super::report;
use crate::driver::{self, Expected, Prediction, Treatment};
use crate::ir::artefact::Job;
use crate::report::sweep_values;
use crate::units::{Dimension, display, number, rounded};

/// Points of a sweep that are shown.
const MOST_UNITS: usize = 16;

/// The rate of a population in a run, Hz.
type Measured<'m> = &'m dyn Fn(&str) -> Option<f64>;

/// One table per network of each experiment.
pub(super) fn tables(jobs: &[Job]) -> String {
    let mut out = String::new();
    for job in jobs {
        for (k, unit) in job.units.iter().enumerate().take(MOST_UNITS) {
            out.push_str(&heading(job, k));
            out.push_str(&match driver::balance(unit) {
                Ok(p) => table(&p, None),
                Err(why) => format!("  nothing can be predicted: {why}\n"),
            });
        }
        if job.units.len() > MOST_UNITS {
            out.push_str(&format!("and {} more networks of this sweep\n", job.units.len() - MOST_UNITS));
        }
    }
    out
}

/// The table of the first network with the measured rates, which are means over all runs.
pub(super) fn beside(job: &Job, result: &JobResult) -> String {
    let Some(unit) = job.units.first() else { return String::new() };
    let note = if job.units.len() > 1 { "  expected at the first point of the sweep, measured over all\n" } else { "" };
    match driver::balance(unit) {
        Ok(p) => {
            let measured = |path: &str| {
                result.summary.populations.iter().find(|(name, _)| name == path).map(|(_, figures)| figures.rate_hz)
            };
            format!("\n{note}{}", table(&p, Some(&measured)))
        }
        Err(why) => format!("\n  nothing can be predicted: {why}\n"),
    }
}

/// `Experiment of Network`, and the point of a sweep.
pub(super) fn heading(job: &Job, unit: usize) -> String {
    let name =
        if job.experiment.is_empty() { job.network.clone() } else { format!("{} of {}", job.experiment, job.network) };
    let Some(u) = job.units.get(unit).filter(|_| job.units.len() > 1) else { return format!("{name}\n") };
    let Some(point) = job.points.iter().find(|p| p.unit == unit) else { return format!("{name}\n") };
    format!("{name}, {}\n", sweep_values(u, point))
}

fn table(p: &Prediction, measured: Option<Measured>) -> String {
    let mut heads = vec!["population", "E input", "I input", "mean", "noise", "threshold", "expected rate"];
    heads.extend(measured.map(|_| "measured"));
    let mut notes = Vec::new();
    let rows = p.populations.iter().map(|e| {
        let rate = if e.rate.is_finite() { report::rate(e.rate * 1e3) } else { "-".to_string() };
        let voltages = match e.treatment {
            Treatment::Lif => [e.excitation, e.inhibition, e.mu, e.sigma, e.theta].map(millivolts),
            _ => [(); 5].map(|()| String::new()),
        };
        notes.extend(note(e));
        let mut row = vec![e.path.clone()];
        row.extend(voltages);
        row.push(rate);
        row.extend(measured.map(|m| m(&e.path).map_or_else(|| "-".to_string(), report::rate)));
        row
    });
    let mut out = String::new();
    let rows = rows.collect();
    report::table(&mut out, &heads, rows);
    notes.iter().for_each(|n| out.push_str(&format!("  {n}\n")));
    if !p.solved {
        out.push_str("  no rates were found that agree with themselves\n");
    }
    if !p.stationary {
        out.push_str(
            "  something in it follows time or is set: this is its state at the end of the run, params as at first\n",
        );
    }
    out
}

fn note(e: &Expected) -> Option<String> {
    if e.silent {
        return Some(format!("{}: nothing excites it", e.path));
    }
    match (&e.treatment, e.other) {
        (Treatment::Unknown(why), _) => Some(format!("{}: no rate, {why}", e.path)),
        (_, Some(rate)) => Some(format!("{}: a second state has {}", e.path, report::rate(rate * 1e3))),
        _ => None,
    }
}

/// Four digits: theory promises no more.
fn millivolts(v: f64) -> String {
    // What is left of a cancellation is no voltage.
    let v = if v.abs() < 1e-9 { 0.0 } else { rounded(v) };
    if v.is_finite() { display(v, Dimension::VOLTAGE) } else { number(v) }
}
