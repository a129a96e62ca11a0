//! Who fired how much: by region, by population, in the windows of the experiment; what recorded states were.

use super::{Source, percent, rate, region, rounded, table, value};
use crate::execute::RunOutcome;
use crate::record::Recording;
use crate::units::{Dimension, Unit, display, number};
use maud::{Markup, html};

/// A population over all runs.
pub(super) struct Line<'a> {
    pub path: &'a str,
    pub source: bool,
    size: f64,
    spikes: f64,
    rate_hz: f64,
    /// Share of the cells that fired at all, mean over the runs.
    active: f64,
    /// Mean CV of intervals, and the cells that it is the mean over.
    cv: Option<(f64, f64)>,
    /// Mean excitatory and inhibitory input, mV.
    received: Option<(f64, f64)>,
}

pub(super) fn lines<'a>(source: &'a Source) -> Vec<Line<'a>> {
    let runs = source.runs.len().max(1) as f64;
    let received = |k: usize| source.received.as_ref().ok().and_then(|all| all.get(k).copied().flatten());
    let line = |(k, (path, p)): (usize, &'a (String, crate::execute::PopulationSummary))| {
        let each = || source.runs.iter().filter_map(|r| r.populations.iter().find(|q| q.path == *path));
        let shares = each().map(|q| q.active as f64 / f64::from(q.size.max(1)));
        let cells = each().map(|q| q.cv_cells as f64).sum::<f64>() / runs;
        Line {
            path,
            source: each().next().is_some_and(|q| q.source),
            size: f64::from(p.size),
            spikes: p.spikes.0,
            rate_hz: p.rate_hz,
            active: shares.sum::<f64>() / runs,
            cv: p.cv_isi.map(|cv| (cv, cells)),
            received: received(k),
        }
    };
    source.summary.populations.iter().enumerate().map(line).collect()
}

/// All neurons of a region as one line.
fn together<'a>(path: &'a str, members: &[&Line]) -> Line<'a> {
    let neurons = || members.iter().filter(|l| !l.source);
    let size: f64 = neurons().map(|l| l.size).sum();
    let weighted = |f: &dyn Fn(&Line) -> f64| neurons().map(|l| l.size * f(l)).sum::<f64>() / size.max(1.0);
    let (cells, cv) = neurons().filter_map(|l| l.cv).fold((0.0, 0.0), |(n, sum), (cv, k)| (n + k, sum + cv * k));
    Line {
        path,
        source: false,
        size,
        spikes: neurons().map(|l| l.spikes).sum(),
        rate_hz: weighted(&|l| l.rate_hz),
        active: weighted(&|l| l.active),
        cv: (cells > 0.0).then(|| (cv / cells, cells)),
        received: None,
    }
}

pub(super) fn section(source: &Source) -> Option<Markup> {
    let lines = lines(source);
    if lines.is_empty() {
        return None;
    }
    let mut regions: Vec<Option<&str>> = Vec::new();
    for l in &lines {
        let r = region(l.path);
        if !regions.contains(&r) {
            regions.push(r);
        }
    }
    let heads = [
        "region, population",
        "cells",
        "spikes",
        "mean rate",
        "active in the run",
        "CV of intervals",
        "E input",
        "I input",
    ];
    let changes = changing(source);
    Some(html! {
        (table(&heads, html! {
            @for r in &regions {
                @let members: Vec<&Line> = lines.iter().filter(|l| region(l.path) == *r).collect();
                @if regions.len() > 1 {
                    (row(&together(r.unwrap_or(&source.summary.network), &members), true))
                }
                @for l in members { (row(l, false)) }
            }
        }))
        @if source.summary.runs > 1 { p.note { "Means over " (source.summary.runs) " runs. " } }
        p.note {
            "Rate, spikes, active cells (those with at least one spike) and the coefficient of variation of intervals (mean over the cells "
            "with three spikes) are counted. A region's line is of its neurons, without the trains of sources."
        }
        @match &source.received {
            Ok(all) if all.iter().any(Option::is_some) => p.note {
                "E and I input are estimated: what the counted rates, the expected number of synapses and the mean weight bring to the membrane, "
                "as the voltage that it would add without a threshold. "
                @if !changes.is_empty() { "Weights are those that synapses were built with, although " (changes.join(", ")) " may change. " }
                "Cells without such an estimate have none."
            },
            Ok(_) => p.note { "E and I input are estimated for leaky integrate-and-fire cells alone; here there are none." },
            Err(why) => p.note { "E and I input are not estimated: " (why) "." },
        }
        @let windows = windows(source.runs);
        @if !windows.is_empty() { h3 { "In the windows of the experiment" } (window_table(&windows, &lines)) }
        @if !source.recorded.states.is_empty() { h3 { "Recorded states" } (state_table(&source.recorded.states)) }
    })
}

/// Projections whose weights are not what they were built with.
fn changing(source: &Source) -> Vec<String> {
    let Some(network) = source.job.units.first().map(|u| &u.network) else { return Vec::new() };
    let learning = network.plasticity.iter().map(|p| p.projection);
    let mut out: Vec<String> = Vec::new();
    for id in learning.chain(network.mutable.iter().copied()) {
        if let Some(p) = network.graph.edge_weight(id)
            && !out.contains(&p.path)
        {
            out.push(p.path.clone());
        }
    }
    out
}

fn row(l: &Line, region: bool) -> Markup {
    let volts = |name: &str, v: f64| value(name, v, &display(rounded(v), Dimension::VOLTAGE));
    html! {
        tr class=[region.then_some("region")] data-path=(l.path) {
            td { (l.path) @if l.source { " " span.kind { "source" } } }
            td.n { (value("size", l.size, &number(l.size))) }
            td.n { (value("spikes", l.spikes, &number(l.spikes))) }
            td.n { (value("rate_hz", l.rate_hz, &rate(l.rate_hz))) }
            td.n { (value("active", l.active, &percent(l.active))) }
            td.n { @if let Some((cv, _)) = l.cv { (value("cv_isi", cv, &format!("{cv:.2}"))) } }
            td.n { @if let Some((e, _)) = l.received { (volts("excitation_mv", e)) } }
            td.n { @if let Some((_, i)) = l.received { (volts("inhibition_mv", i)) } }
        }
    }
}

/// The windows of one name over all runs.
pub(super) struct Window {
    pub name: String,
    pub times: u64,
    seconds: f64,
    pub populations: Vec<InWindow>,
}

/// A population in them.
#[derive(Clone, Copy, Default)]
pub(super) struct InWindow {
    /// Spikes of a cell, all times together.
    per_cell: f64,
    /// Highest rate of one time.
    pub highest_hz: f64,
    /// Share of active cells, summed over the times.
    active: f64,
    /// Largest such share of one time.
    pub most_active: f64,
}

/// By name, in the order in which they first ended; populations as in the runs. Sizes may differ between the points of a sweep.
pub(super) fn windows(runs: &[RunOutcome]) -> Vec<Window> {
    let mut out: Vec<Window> = Vec::new();
    for run in runs {
        for w in &run.windows {
            let at = out.iter().position(|o| o.name == w.name).unwrap_or_else(|| {
                let populations = vec![InWindow::default(); w.populations.len()];
                out.push(Window { name: w.name.clone(), times: 0, seconds: 0.0, populations });
                out.len() - 1
            });
            out[at].times += w.times;
            out[at].seconds += w.steps as f64 * run.dt_ms * 1e-3;
            for ((into, a), p) in out[at].populations.iter_mut().zip(&w.populations).zip(&run.populations) {
                let size = f64::from(p.size.max(1));
                into.per_cell += a.spikes as f64 / size;
                into.highest_hz = into.highest_hz.max(a.highest_hz);
                into.active += a.active as f64 / size;
                into.most_active = into.most_active.max(a.most_active as f64 / size);
            }
        }
    }
    out
}

impl Window {
    /// Mean length, ms.
    pub fn length_ms(&self) -> f64 {
        self.seconds * 1e3 / self.times.max(1) as f64
    }

    fn mean_rate(&self, p: &InWindow) -> f64 {
        if self.seconds > 0.0 { p.per_cell / self.seconds } else { 0.0 }
    }

    fn mean_active(&self, p: &InWindow) -> f64 {
        p.active / self.times.max(1) as f64
    }
}

fn window_table(windows: &[Window], lines: &[Line]) -> Markup {
    let heads = ["window", "population", "times", "length", "mean rate", "highest rate", "mean active", "most active"];
    table(
        &heads,
        html! {
            @for w in windows {
                @for (p, l) in w.populations.iter().zip(lines) {
                    tr data-window=(w.name) data-path=(l.path) {
                        td { (w.name) }
                        td { (l.path) }
                        td.n { (w.times) }
                        td.n { (display(rounded(w.length_ms()), Dimension::TIME)) }
                        td.n { (value("rate_hz", w.mean_rate(p), &rate(w.mean_rate(p)))) }
                        td.n { (value("highest_hz", p.highest_hz, &rate(p.highest_hz))) }
                        td.n { (value("active", w.mean_active(p), &percent(w.mean_active(p)))) }
                        td.n { (value("most_active", p.most_active, &percent(p.most_active))) }
                    }
                }
            }
        },
    )
}

/// A recorded state over all cells and samples, in its typical unit.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    name: String,
    unit: String,
    cells: usize,
    samples: usize,
    mean: f64,
    sd: f64,
    least: f64,
    greatest: f64,
}

pub(super) fn states(recording: &Recording) -> Vec<State> {
    let of = |s: &crate::record::StateTraces| {
        let unit = Unit::typical(s.dimension);
        let n = s.values.len() as f64;
        let values = || s.values.iter().copied().map(unit.reader());
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        State {
            name: format!("{}.{}", s.path, s.variable),
            unit: unit.spelling().to_string(),
            cells: s.neurons.len(),
            samples: s.steps.len(),
            mean,
            sd: variance.sqrt(),
            least: values().fold(f64::INFINITY, f64::min),
            greatest: values().fold(f64::NEG_INFINITY, f64::max),
        }
    };
    recording.states.iter().filter(|s| !s.values.is_empty()).map(of).collect()
}

fn state_table(states: &[State]) -> Markup {
    table(
        &["state", "cells", "samples", "mean", "SD", "least", "greatest", "unit"],
        html! {
            @for s in states {
                tr data-state=(s.name) {
                    td { (s.name) }
                    td.n { (s.cells) }
                    td.n { (s.samples) }
                    @for (name, v) in [("mean", s.mean), ("sd", s.sd), ("least", s.least), ("greatest", s.greatest)] {
                        td.n { (value(name, v, &number(rounded(v)))) }
                    }
                    td { (s.unit) }
                }
            }
        },
    )
}
