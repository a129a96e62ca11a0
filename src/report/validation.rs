//! What a plausible circuit keeps: moderate rates, sparse activity, local learning. What a population is exempt from stands in the
//! source with its reason, and is shown with it.

use super::activity::{self, Window};
use super::{Source, percent, rate, table, value};
use crate::execute::RunOutcome;
use crate::ir::artefact::{Check, Job};
use crate::ir::{Network, Spike};
use crate::units::{Dimension, display};
use maud::{Markup, html};

/// Cortical cells fire at 1 to 10 Hz on average and below 100 Hz at their peak; what is at or above it is not plausible as a mean.
const RATE_LIMIT_HZ: f64 = 100.0;
/// Share of cells that fire in a window: sparse codes stay below it.
const ACTIVE_LIMIT: f64 = 0.1;

/// One check of one population.
pub struct Judgement<'a> {
    pub path: &'a str,
    check: Check,
    /// What was worst: a rate in Hz or a share of the cells.
    found: f64,
    /// Where it was.
    pub place: String,
    pub holds: bool,
    /// Why the population need not keep to it.
    pub exempt: Option<&'a str>,
}

impl Judgement<'_> {
    pub fn fails(&self) -> bool {
        !self.holds && self.exempt.is_none()
    }

    /// The check as an exemption names it.
    pub fn check(&self) -> &'static str {
        match self.check {
            Check::Rate => "rate",
            Check::ActiveFraction => "active_fraction",
        }
    }

    /// What was worst, as a reader sees it.
    pub fn found(&self) -> String {
        match self.check {
            Check::Rate => rate(self.found),
            Check::ActiveFraction => percent(self.found),
        }
    }
}

pub(super) fn section(source: &Source) -> Option<Markup> {
    let network = source.job.units.first().map(|u| &u.network)?;
    let windows = activity::windows(source.runs);
    let judged = of_windows(source.job, source.runs, &windows);
    if judged.is_empty() && network.plasticity.is_empty() {
        return None;
    }
    let failed = judged.iter().filter(|j| j.fails()).count();
    Some(html! {
        p {
            @if failed == 0 { span.good { "All checks hold" } } @else { span.bad { (failed) " of " (judged.len()) " checks fail" } }
            ": mean rates below " (rate(RATE_LIMIT_HZ)) " in every run and every window, less than " (percent(ACTIVE_LIMIT))
            " of a population active in any window, learning that is local."
        }
        (table(&["population", "check", "worst", "where", "", "reason of the exemption"], html! { @for j in &judged { (row(j)) } }))
        @if windows.is_empty() {
            p.note {
                "Activity is judged in the windows that an experiment names (" code { "simulate 100 ms as recall" }
                ", phases of sleep); this one names none."
            }
        }
        (locality(network))
    })
}

fn row(j: &Judgement) -> Markup {
    html! {
        tr data-path=(j.path) data-check=(j.check()) {
            td { (j.path) }
            td { code { (j.check()) } }
            td.n { (value("worst", j.found, &j.found())) }
            td { (j.place) }
            td { @match (j.holds, j.exempt) {
                (true, _) => span.good { "holds" },
                (false, Some(_)) => "exempt",
                (false, None) => span.bad { "fails" },
            } }
            td { @if let Some(reason) = j.exempt { (reason) } }
        }
    }
}

/// The checks of all neurons that can fire, over all runs.
pub fn judgements<'a>(job: &'a Job, runs: &[RunOutcome]) -> Vec<Judgement<'a>> {
    of_windows(job, runs, &activity::windows(runs))
}

fn of_windows<'a>(job: &'a Job, runs: &[RunOutcome], windows: &[Window]) -> Vec<Judgement<'a>> {
    let mut out = Vec::new();
    let Some(network) = job.units.first().map(|u| &u.network) else { return out };
    for (k, (_, p)) in network.populations().enumerate() {
        if p.source || p.dynamics.spike == Spike::Never {
            continue;
        }
        let exempt = |check: Check| {
            let of = |e: &&crate::ir::artefact::Exemption| e.population == p.path && e.check == check;
            job.notes.exemptions.iter().find(of).map(|e| e.reason.as_str())
        };
        let whole = runs.iter().filter_map(|r| Some((r.populations.get(k)?.rate_hz, "a whole run".to_string())));
        let named = windows.iter().filter_map(|w| Some((w.populations.get(k)?, w)));
        let place =
            |w: &Window| format!("window {} of {}", w.name, display(super::rounded(w.length_ms()), Dimension::TIME));
        let rates = whole.chain(named.clone().map(|(p, w)| (p.highest_hz, place(w))));
        let shares = named.map(|(p, w)| (p.most_active, place(w)));
        let mut judge = |check: Check, worst: Option<(f64, String)>, limit: f64| {
            if let Some((found, place)) = worst {
                out.push(Judgement { path: &p.path, check, found, place, holds: found < limit, exempt: exempt(check) });
            }
        };
        judge(Check::Rate, worst(rates), RATE_LIMIT_HZ);
        judge(Check::ActiveFraction, worst(shares), ACTIVE_LIMIT);
    }
    out
}

fn worst(all: impl Iterator<Item = (f64, String)>) -> Option<(f64, String)> {
    all.reduce(|a, b| if b.0 > a.0 { b } else { a })
}

fn locality(network: &Network) -> Markup {
    let path = |id| network.graph.edge_weight(id).map_or("", |p| p.path.as_str());
    html! {
        h3 { "Learning" }
        @if network.plasticity.is_empty() {
            p { "No synapse learns." }
        } @else {
            p {
                span.good { "Local." } " A rule reads its synapse, its two cells and modulators that are bound to it; the compiler accepts no other ("
                code { "nsmc explain E0551" } ")."
            }
            (table(&["projection", "rule", "synapses are brought up to date"], html! {
                @for p in &network.plasticity {
                    tr {
                        td { (path(p.projection)) }
                        td { (p.name) }
                        td { @if p.lazy { "at events" } @else { "in every step" } }
                    }
                }
            }))
        }
    }
}
