//! What `run` tells a person: populations, expectations, measures, times, files.

use super::alike::together;
use super::job::JobResult;
use super::terminal::Terminal;
use crate::driver::Profile;
use crate::execute::{Expectation, Number, PopulationSummary, Summary};
use crate::report::Judgement;
use crate::units::{Dimension, display, number, rounded};
use std::fmt::Write;

/// The whole report. `folder` is where files were written.
pub(super) fn report(result: &JobResult, folder: Option<&str>, terminal: &Terminal) -> String {
    let s = &result.summary;
    let mut out = head(s);
    out.push('\n');
    let rows = together(s.populations.iter().map(|(path, p)| (path.clone(), p))).into_iter();
    let rows = rows.map(|(path, like)| [vec![path], population(&like)].concat());
    table(&mut out, &["population", "size", "spikes", "rate", "CV ISI"], rows.collect());
    if !result.expectations.is_empty() {
        out.push('\n');
        let width = result.expectations.iter().map(|e| e.text.chars().count()).max().unwrap_or(0).min(72);
        for e in result.expectations.iter() {
            out.push_str(&expectation(e, width, terminal));
        }
    }
    if !s.measures.is_empty() {
        out.push('\n');
        let rows = s.measures.iter().map(|(name, m)| {
            let unit = m.unit.clone().unwrap_or_default();
            let shown = |v: &Number| match v {
                Number::Missing => v.to_string(),
                _ => format!("{v} {unit}").trim_end().to_string(),
            };
            vec![name.clone(), m.count(), shown(&m.mean), shown(&m.sd), shown(&m.min), shown(&m.max)]
        });
        table(&mut out, &["measure", "n", "mean", "sd", "min", "max"], rows.collect());
    }
    for front in &result.fronts {
        out.push('\n');
        let mut heads = vec![front.by.as_str()];
        heads.extend(front.aims.iter().map(|(text, _)| text.as_str()));
        heads.push("of the front");
        let rows = front.points.iter().map(|p| {
            let mut row = vec![p.label.clone()];
            row.extend(front.values(p).map(|(v, d)| display(v, d)));
            row.push(if p.best { terminal.check_mark().to_string() } else { String::new() });
            row
        });
        table(&mut out, &heads, rows.collect());
    }
    out.push('\n');
    out.push_str(&costs(s));
    if let Some(folder) = folder {
        let _ = writeln!(out, "  written to {folder}: {}", files(&result.written));
    }
    out
}

/// Size, spikes, rate and mean CV of one population, or of one in each element of an array.
fn population(like: &[&PopulationSummary]) -> Vec<String> {
    let sizes: Vec<u64> = like.iter().map(|p| u64::from(p.size)).collect();
    let cells: u64 = sizes.iter().sum();
    let size = match sizes.as_slice() {
        [one] => one.to_string(),
        [first, ..] if sizes.iter().all(|s| s == first) => format!("{} x {first}", sizes.len()),
        _ => cells.to_string(),
    };
    let spikes: f64 = like.iter().map(|p| p.spikes.0).sum();
    let hz = match like {
        [one] => one.rate_hz,
        _ => like.iter().map(|p| p.rate_hz * f64::from(p.size)).sum::<f64>() / cells.max(1) as f64,
    };
    let known: Vec<f64> = like.iter().filter_map(|p| p.cv_isi).collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let cv = if mean.is_nan() { "-".to_string() } else { format!("{mean:.2}") };
    vec![size, number(spikes), rate(hz), cv]
}

/// What a plausible circuit keeps, and whether this one did; worst first where it did not.
pub(super) fn plausibility(judged: &[Judgement], terminal: &Terminal) -> String {
    let mut out = "\n".to_string();
    let mut sorted: Vec<&Judgement> = judged.iter().collect();
    sorted.sort_by_key(|j| (!j.fails(), j.holds));
    let rows = sorted.into_iter().map(|j| {
        let verdict = match (j.holds, j.exempt) {
            (true, _) => terminal.check_mark().to_string(),
            (false, Some(reason)) => format!("exempt: {reason}"),
            (false, None) => terminal.cross().to_string(),
        };
        vec![j.path.to_string(), j.check().to_string(), j.found(), j.place.clone(), verdict]
    });
    table(&mut out, &["plausible", "check", "worst", "where", ""], rows.collect());
    out.push_str("  learning is local: the compiler accepts no other rule (E0551)\n");
    out
}

/// Where the time of a run went, and how large each projection is.
pub(super) fn profile(profile: &Profile) -> String {
    let mut out = "\n".to_string();
    let rows = together(profile.lines().into_iter().map(|l| (l.work.clone(), l))).into_iter().map(|(work, like)| {
        let (mut seconds, mut share, mut done) = (0.0, 0.0, 0);
        for l in &like {
            (seconds, share, done) = (seconds + l.seconds, share + l.share, done + l.count);
        }
        let each = if done > 0 { format!("{:.2} ns", seconds * 1e9 / done as f64) } else { String::new() };
        let count = if done > 0 { format!("{done} {}", like[0].unit) } else { String::new() };
        (seconds, vec![work, format!("{seconds:.4} s"), format!("{:.1} %", 100.0 * share), count, each])
    });
    let mut rows: Vec<(f64, Vec<String>)> = rows.collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows = rows.into_iter().map(|(_, row)| row);
    let title = format!("work of {} thread(s)", profile.threads.len());
    table(&mut out, &[&title, "time", "share", "count", "each"], rows.collect());
    out.push('\n');
    let sizes = profile.projections.iter().map(|(path, synapses, bytes)| (path.clone(), (*synapses, *bytes)));
    let rows = together(sizes).into_iter().map(|(path, like)| {
        let (synapses, bytes) = like.iter().fold((0, 0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let each = if synapses > 0 { format!("{:.1}", bytes as f64 / synapses as f64) } else { String::new() };
        vec![path, synapses.to_string(), bytes.to_string(), each]
    });
    table(&mut out, &["projection", "synapses", "bytes", "each"], rows.collect());
    out
}

fn head(s: &Summary) -> String {
    let what = if s.experiment.is_empty() { s.network.clone() } else { format!("{} of {}", s.experiment, s.network) };
    let seed = match s.runs {
        0 | 1 => format!("seed {}", s.seed),
        n => format!("{n} runs, first seed {}", s.seed),
    };
    let time = |ms: f64| display(ms, Dimension::TIME);
    format!("{what}, {seed}: {} in steps of {} ms\n", time(s.duration_ms), number(s.dt_ms))
}

pub(super) fn rate(hz: f64) -> String {
    display(rounded(hz * 1e-3), Dimension::RATE)
}

/// One expectation on one line: mark, text, what was measured, and where it stands if it failed.
pub(super) fn expectation(e: &Expectation, width: usize, terminal: &Terminal) -> String {
    let mark = match e.holds() {
        true => terminal.verdict(true, terminal.check_mark()),
        false => terminal.verdict(false, terminal.cross()),
    };
    let measured = match e.measured_text() {
        Some(text) => text,
        None => "skipped: nothing to judge in this part of the experiment".to_string(),
    };
    let mut line = format!("  {mark} {:width$}  {measured}", e.text);
    if !e.holds() {
        let times = if e.judged > 1 { format!(", failed {} of {} times", e.failed, e.judged) } else { String::new() };
        let _ = write!(line, "  ({}{times})", e.place);
    }
    format!("{}\n", line.trim_end())
}

fn costs(s: &Summary) -> String {
    let mut out = String::new();
    let plural = |n: f64, what: &str| format!("{} {what}{}", number(n), if n == 1.0 { "" } else { "s" });
    let _ = write!(out, "  {}, {}", plural(s.neurons as f64, "neuron"), plural(s.synapses.0, "synapse"));
    if s.synapses.0 > 0.0 {
        let _ = write!(out, " of {:.1} bytes", s.synapse_bytes.0 / s.synapses.0);
    }
    let _ = write!(out, ", {}", plural(s.synaptic_events.0, "synaptic event"));
    let _ = match s.synapses_touched.0 + s.synapses_stepped.0 {
        0.0 => writeln!(out),
        touched => writeln!(out, ", {} of learning", plural(touched, "update")),
    };
    let _ = write!(out, "  compile {}, build {}, run {}", short(s.compile_s), short(s.build_s), short(s.run_s));
    if s.duration_ms > 0.0 {
        let _ = write!(out, " = {} x real time", factor(s.run_s * 1e3 / s.duration_ms));
    }
    let _ = writeln!(out, " ({}, {} thread{})", s.backend, s.threads, if s.threads == 1 { "" } else { "s" });
    out
}

/// A ratio to two digits or so.
pub(super) fn factor(f: f64) -> String {
    match f {
        f if f >= 10.0 => format!("{f:.0}"),
        f if f >= 1.0 => format!("{f:.1}"),
        f if f >= 0.1 => format!("{f:.2}"),
        f => format!("{f:.4}"),
    }
}

/// Wall time to three digits.
pub(super) fn short(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s => format!("{:.1} ms", s * 1e3),
    }
}

/// Names of files; those of many runs are told by the first one's.
fn files(names: &[String]) -> String {
    let runs = names.iter().filter_map(|n| n.split_once('/').map(|(run, _)| run));
    let mut runs: Vec<&str> = runs.collect();
    runs.dedup();
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return names.join(", ") };
    let of_first = names.iter().filter_map(|n| n.split_once('/')).filter(|(run, _)| run == first);
    let each: Vec<&str> = of_first.map(|(_, file)| file).collect();
    let together: Vec<&str> = names.iter().filter(|n| !n.contains('/')).map(String::as_str).collect();
    format!("{} in {first} .. {last}; {}", each.join(", "), together.join(", "))
}

/// First column to the left, the others to the right.
pub(super) fn table(out: &mut String, heads: &[&str], rows: Vec<Vec<String>>) {
    let length = |t: &str| t.chars().count();
    let width = |k: usize| rows.iter().map(|r| length(&r[k])).chain([length(heads[k])]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut line = |cells: &[String]| {
        let mut text = format!("  {:1$}", cells[0], widths[0]);
        for (cell, w) in cells.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>w$}");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&heads.iter().map(|h| h.to_string()).collect::<Vec<_>>());
    rows.iter().for_each(|r| line(r));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut out = String::new();
        table(&mut out, &["name", "n"], vec![vec!["µ".into(), "10000".into()], vec!["population".into(), "2".into()]]);
        assert_eq!(out, "  name            n\n  µ           10000\n  population      2\n");
    }

    #[test]
    fn many_runs_are_told_by_the_first() {
        let names: Vec<String> =
            ["run-0/a.npz", "run-0/b.svg", "run-1/a.npz", "run-1/b.svg", "summary.json"].map(String::from).to_vec();
        assert_eq!(files(&names), "a.npz, b.svg in run-0 .. run-1; summary.json");
        assert_eq!(files(&names[4..]), "summary.json");
    }

    #[test]
    fn times_are_short() {
        assert_eq!((short(0.0123), short(1.234), short(123.4)), ("12.3 ms".into(), "1.23 s".into(), "123 s".into()));
    }
}
