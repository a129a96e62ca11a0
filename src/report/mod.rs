//! What came of an experiment as one HTML page: results, figures, activity, checks of plausibility, functions, energy.
//!
//! Everything on it was counted or recorded in the runs, or is said to be estimated. A number stands in a `data` element whose value
//! is the number itself; what a reader sees of it is rounded. The page needs no network and no script. Text of the author reaches it
//! escaped.

mod activity;
mod energy;
mod figures;
mod functions;
mod learning;
mod validation;

pub use figures::{Figure, curve_figure, figure};
pub use validation::{Judgement, judgements};

use crate::doc;
use crate::execute::{Curve, Expectation, Front, Ledger, Number, Rows, RunOutcome, Summary};
use crate::ir::artefact::{Job, Unit};
use crate::ir::protocol::Point;
use crate::units::{Dimension, display, number, rounded};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What a page is made of.
pub struct Source<'a> {
    pub job: &'a Job,
    pub summary: &'a Summary,
    /// In order; their recordings may be gone.
    pub runs: &'a [RunOutcome],
    pub rows: &'a Rows,
    /// Of all runs and of `conclude`.
    pub expectations: &'a Ledger,
    /// Of `conclude`.
    pub curves: &'a [Curve],
    pub fronts: &'a [Front],
    /// What one run recorded.
    pub recorded: &'a Recorded,
    /// Mean excitatory and inhibitory input of each population at the measured rates, mV; or why there is none.
    pub received: Result<Vec<Option<(f64, f64)>>, String>,
    /// Flags that changed the circuit.
    pub given: &'a [(String, String)],
    /// Why the experiment ended early.
    pub stopped: Option<String>,
}

/// What is kept of one run for its page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    pub figures: Vec<Figure>,
    pub states: Vec<activity::State>,
}

impl Recorded {
    /// Draws and sums up what a run recorded.
    pub fn of(outcome: &RunOutcome) -> Recorded {
        Recorded { figures: figures::all(outcome), states: activity::states(&outcome.recording) }
    }
}

const STYLE: &str = "\
.bad{color:#b42318;font-weight:600}.good{color:#0a7d4f}@media(prefers-color-scheme:dark){.bad{color:#ff8a7a}.good{color:#5fd3a0}}\
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}tr.region td{font-weight:600}.note{color:var(--muted);font-size:.9rem}\
figcaption{color:var(--muted);font-size:.9rem}";

/// The page of an experiment.
pub fn page(source: &Source) -> String {
    let title = title(source.summary);
    let sections = [
        ("results", "Results", results(source)),
        ("learning", "Measures over time", learning::curves(source)),
        ("pareto", "Trade-offs", fronts(source)),
        ("figures", "Figures", figures(source)),
        ("activity", "Activity", activity::section(source)),
        ("validation", "Plausibility", validation::section(source)),
        ("functions", "Functions", functions::section(source)),
        ("energy", "Energy", energy::section(source)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(doc::STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (title) } (head(source)) }
                nav aria-label="Contents" {
                    ul {
                        @for (id, name, body) in &sections {
                            @if body.is_some() { li { a href={ "#" (id) } { (name) } } }
                        }
                    }
                }
                main {
                    @for (id, name, body) in &sections {
                        @if let Some(body) = body {
                            section id=(id) { h2 { (name) } (body) }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn title(s: &Summary) -> String {
    if s.experiment.is_empty() { s.network.clone() } else { format!("{} of {}", s.experiment, s.network) }
}

/// What was run, on what, and how long it took.
fn head(source: &Source) -> Markup {
    let s = source.summary;
    let wall = |seconds: f64| display(rounded(seconds * 1e3), Dimension::TIME);
    let runs = match (s.runs, source.job.points.len()) {
        (1, _) => "1".to_string(),
        (n, 1) => format!("{n}, seeds {} .. {}", s.seed, s.seed.wrapping_add(source.job.seeds.saturating_sub(1))),
        (n, points) => format!("{n}: {points} points of the sweep, {} seeds each", source.job.seeds),
    };
    html! {
        @if let Some(why) = &source.stopped { p.bad { "Not complete: " (why) } }
        table {
            tr { th scope="row" { "circuit" } td { (s.network) } }
            @if !s.experiment.is_empty() { tr { th scope="row" { "experiment" } td { (s.experiment) } } }
            @for (name, value) in source.given { tr { th scope="row" { (name) } td { (value) } } }
            tr { th scope="row" { "runs" } td { (runs) } }
            tr { th scope="row" { "first seed" } td { (s.seed) } }
            tr { th scope="row" { "step" } td { (value("dt_ms", s.dt_ms, &display(s.dt_ms, Dimension::TIME))) } }
            tr { th scope="row" { "duration" } td { (value("duration_ms", s.duration_ms, &display(s.duration_ms, Dimension::TIME))) @if s.runs > 1 { ", mean of the runs" } } }
            tr { th scope="row" { "neurons" } td { (value("neurons", s.neurons as f64, &s.neurons.to_string())) } }
            tr { th scope="row" { "synapses" } td { (value("synapses", s.synapses.0, &number(s.synapses.0))) } }
            tr { th scope="row" { "versions" } td { "nsmc " (env!("CARGO_PKG_VERSION")) ", " (std::env::consts::OS) " on " (std::env::consts::ARCH) } }
            tr { th scope="row" { "back end" } td { (s.backend) ", " (s.threads) @if s.threads == 1 { " thread" } @else { " threads" } } }
            tr.wall { th scope="row" { "wall time" } td { "compile " (wall(s.compile_s)) ", build " (wall(s.build_s)) ", run " (wall(s.run_s)) @if s.runs > 1 { " (means of the runs)" } } }
            @if s.duration_ms > 0.0 {
                tr.wall { th scope="row" { "real-time factor" } td { (number(rounded(s.run_s * 1e3 / s.duration_ms))) " s of wall time for 1 s of the circuit's" } }
            }
        }
    }
}

fn results(source: &Source) -> Option<Markup> {
    let failed = source.expectations.iter().filter(|e| !e.holds()).count();
    let all = source.expectations.iter().count();
    let measures = &source.summary.measures;
    if all == 0 && measures.is_empty() {
        return None;
    }
    Some(html! {
        @if all > 0 {
            p { @if failed == 0 { span.good { "All " (all) " expectations hold." } } @else { span.bad { (failed) " of " (all) " expectations failed." } } }
            (table(&["expected", "found", "judged", "failed", "", "where"], html! {
                @for e in source.expectations.iter() { (expectation(e)) }
            }))
        }
        @if !measures.is_empty() {
            h3 { "Measures" }
            (table(&["measure", "n", "mean", "SD", "least", "greatest"], html! {
                @for (name, m) in measures {
                    tr data-measure=(name) {
                        td { (name) @if let Some(unit) = &m.unit { " (" (unit) ")" } }
                        td.n { (value("n", m.n as f64, &m.count())) }
                        td.n { (loose("mean", &m.mean)) }
                        td.n { (loose("sd", &m.sd)) }
                        td.n { (loose("min", &m.min)) }
                        td.n { (loose("max", &m.max)) }
                    }
                }
            }))
        }
    })
}

fn expectation(e: &Expectation) -> Markup {
    html! {
        tr {
            td { code { (e.text) } }
            td { (e.measured_text().unwrap_or_default()) }
            td.n { (e.judged) }
            td.n { (e.failed) }
            td { @if e.was_skipped() { "skipped" } @else if e.holds() { span.good { "holds" } } @else { span.bad { "fails" } } }
            td { (e.place) }
        }
    }
}

fn figures(source: &Source) -> Option<Markup> {
    let curves = source.curves.iter().map(|c| Figure { caption: c.title.clone(), svg: curve_figure(c) });
    let all: Vec<Figure> = source.recorded.figures.iter().cloned().chain(curves).collect();
    if all.is_empty() {
        return None;
    }
    let drawn = !source.recorded.figures.is_empty();
    Some(html! {
        @if drawn && source.summary.runs > 1 {
            p.note { "Of the first run (" (run_label(source, 0)) "); those of the others lie in their folders. Curves are of all runs." }
        }
        @for f in &all { (shown(f)) }
    })
}

/// What is better in one respect and worse in another: `plot pareto of ...`.
fn fronts(source: &Source) -> Option<Markup> {
    if source.fronts.is_empty() {
        return None;
    }
    Some(html! {
        p.note { "The larger the better, in every column. Marked is what no other row is at least as good as in all and better than in one." }
        @for front in source.fronts {
            @let heads: Vec<&str> = [front.by.as_str()].into_iter().chain(front.aims.iter().map(|(text, _)| text.as_str())).chain(["on the front"]).collect();
            (table(&heads, html! {
                @for p in &front.points {
                    tr {
                        td { (p.label) }
                        @for (v, d) in front.values(p) { td.n { (display(v, d)) } }
                        td { @if p.best { span.good { "yes" } } }
                    }
                }
            }))
        }
    })
}

fn shown(f: &Figure) -> Markup {
    html! { figure { (PreEscaped(&f.svg)) figcaption { (f.caption) } } }
}

/// Seed and point of a run.
fn run_label(source: &Source, run: usize) -> String {
    let seeds = usize::try_from(source.job.seeds).unwrap_or(usize::MAX).max(1);
    let seed = source.runs.get(run).map_or(source.summary.seed, |r| r.seed);
    let at = source.job.points.get(run / seeds).and_then(|p| Some(sweep_values(source.job.units.get(p.unit)?, p)));
    match at.filter(|a| !a.is_empty()) {
        Some(at) => format!("seed {seed}, {at}"),
        None => format!("seed {seed}"),
    }
}

/// `coherence = 51.2 %, killed = 0 %`: where a sweep stands.
pub fn sweep_values(unit: &Unit, point: &Point) -> String {
    let at = point.sweep.iter().filter_map(|(v, value)| {
        let variable = unit.protocol.variables.get(*v as usize)?;
        let shown = match value.number() {
            Ok(x) => variable.label(x).map_or_else(|| display(x, variable.dimension), str::to_string),
            Err(_) => value.describe(),
        };
        Some(format!("{} = {shown}", variable.name))
    });
    at.collect::<Vec<_>>().join(", ")
}

/// A number of the runs, by the name that it has in the summary, and what a reader sees of it.
fn value(name: &str, v: f64, text: &str) -> Markup {
    html! { data class=(name) value=(v) { (text) } }
}

fn loose(name: &str, n: &Number) -> Markup {
    match n {
        Number::Value(v) => value(name, *v, &number(rounded(*v))),
        Number::Text(t) => html! { (t) },
        Number::Missing => html! { (n.to_string()) },
    }
}

/// A table with heads; the rows are ready.
fn table(heads: &[&str], rows: Markup) -> Markup {
    html! {
        div.wide { table {
            thead { tr { @for h in heads { th scope="col" { (h) } } } }
            tbody { (rows) }
        } }
    }
}

fn rate(hz: f64) -> String {
    display(rounded(hz) * 1e-3, Dimension::RATE)
}

fn percent(share: f64) -> String {
    format!("{} %", number(rounded(share * 100.0)))
}

/// The region that a population lies in, by the part of its path before the last dot; none for the circuit's own.
fn region(path: &str) -> Option<&str> {
    // The trains of a source without a size are named after what they drive: `drive@drive->bg.D1.exc`.
    let own = path.split('@').next().unwrap_or(path);
    own.rsplit_once('.').map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_paths_without_their_last_name() {
        assert_eq!(
            ["E", "bg.D1", "left.bg.D1", "drive@x->bg.D1.exc", "bg.in@x->E"].map(region),
            [None, Some("bg"), Some("left.bg"), None, Some("bg")]
        );
    }

    #[test]
    fn numbers_are_rounded_for_readers_and_whole_for_programs() {
        let shown = value("rate_hz", 17.123_456, &rate(17.123_456)).into_string();
        assert_eq!(shown, "<data class=\"rate_hz\" value=\"17.123456\">17.12 Hz</data>");
        assert_eq!([percent(0.123_46), percent(0.0)], ["12.35 %", "0 %"]);
    }
}
