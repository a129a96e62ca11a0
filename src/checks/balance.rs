//! Warnings from the mean-field theory: populations that nothing excites, and recurrent networks whose stationary state is silent or
//! at the limit of what cells can do.
//!
//! Of the points of a sweep only what holds at all of them is told: an author who sweeps a strength wants to see where it breaks.

use super::error::*;
use crate::base::{Diagnostic, Diagnostics, Span};
use crate::ir::artefact::{Job, Unit};
use crate::ir::protocol::Record;
use crate::ir::{Network, PopulationId};
use crate::lower::Origins;
use crate::meanfield::{self, Expected, Prediction, Share, Treatment};
use crate::units::{self, Dimension};
use petgraph::algo::tarjan_scc;
use std::collections::BTreeSet;

/// Units of a sweep that are looked at; networks of many points differ little.
const MOST_UNITS: usize = 8;
/// A cell that spends more than half of its time refractory no longer tells its inputs apart.
const LIMIT: f64 = 0.5;
/// Fastest rate of a cell without a refractory time that is no runaway, ms^-1.
const FASTEST: f64 = 0.5;
/// Fewer spikes than this are expected of all cells in the whole run.
const NO_SPIKES: f64 = 0.01;

pub(super) fn judge(job: &Job, origins: &[Origins], diags: &mut Diagnostics) {
    let mut common: Option<Vec<Diagnostic>> = None;
    for (unit, origins) in job.units.iter().zip(origins).take(MOST_UNITS) {
        let (network, duration) = (&unit.network, unit.protocol.duration_hint_ms);
        // Of what is not stationary only silence is told.
        let nothing = !meanfield::stationary(network) && meanfield::all_may_fire(network, duration) == Ok(true);
        let found = if nothing {
            Vec::new()
        } else {
            let Ok(prediction) = meanfield::predict(network, duration) else { return };
            findings(unit, origins, &prediction)
        };
        let same = |a: &Diagnostic, b: &Diagnostic| a.code == b.code && a.span() == b.span();
        common = Some(match common {
            None => found,
            Some(before) => before.into_iter().filter(|b| found.iter().any(|f| same(b, f))).collect(),
        });
    }
    common.into_iter().flatten().for_each(|d| diags.push(d));
}

fn findings(unit: &Unit, origins: &Origins, prediction: &Prediction) -> Vec<Diagnostic> {
    let network = &unit.network;
    let mut out = Vec::new();
    let asked = asked(unit);
    let loops = loops(network);
    for (position, ((id, p), e)) in (0..).zip(network.populations().zip(&prediction.populations)) {
        let Some(span) = origins.populations.get(&p.path) else { continue };
        if e.silent
            && e.treatment == Treatment::Lif
            && (asked.contains(&position) || network.graph.neighbors(id).any(|n| n != id))
        {
            out.push(nothing_excites(e, *span));
            continue;
        }
        let recurrent = loops.iter().find(|l| l.contains(&id));
        if !(prediction.solved && prediction.stationary && e.treatment == Treatment::Lif) {
            continue;
        }
        let Some(members) = recurrent else { continue };
        let from_within =
            |s: &Share| network.projections().any(|(_, from, _, q)| q.path == s.projection && members.contains(&from));
        let limit = if e.t_ref > 0.0 { LIMIT / e.t_ref } else { FASTEST };
        let time = unit.protocol.duration_hint_ms.unwrap_or(1000.0);
        if e.rate > limit {
            let strongest = e.shares.iter().filter(|s| s.mean > 0.0).max_by(|a, b| a.mean.total_cmp(&b.mean));
            // Inhibition that learns may bring it down: how it begins does not tell how it ends.
            let learns =
                |s: &Share| network.plasticity.iter().any(|r| network.graph[r.projection].path == s.projection);
            if e.shares.iter().any(|s| s.mean <= 0.0 && learns(s)) {
                continue;
            }
            // A cell that a source drives so hard does what it is told.
            if let Some(s) = strongest.filter(|s| from_within(s)) {
                out.push(runaway(e, s, *span, origins));
            }
        } else if !e.silent && e.rate * f64::from(p.size) * time < NO_SPIKES {
            out.push(silent_state(e, *span, origins));
        }
    }
    out
}

/// Populations in circles of projections.
fn loops(network: &Network) -> Vec<Vec<PopulationId>> {
    let graph = &network.graph;
    tarjan_scc(graph).into_iter().filter(|c| c.len() > 1 || c.iter().any(|n| graph.contains_edge(*n, *n))).collect()
}

fn nothing_excites(e: &Expected, span: Span) -> Diagnostic {
    let settles = if e.mu.is_finite() {
        format!("at rest {} below a threshold of {}", millivolts(e.theta - e.mu), millivolts(e.theta))
    } else {
        "below its threshold at rest".to_string()
    };
    Diagnostic::warning(NOTHING_EXCITES, format!("`{}` never fires: nothing excites it", e.path))
        .label(span, settles)
        .help("give it a projection, a `drive` or a bias; or ask for its states alone")
}

fn runaway(e: &Expected, s: &Share, span: Span, origins: &Origins) -> Diagnostic {
    let limit = if e.t_ref > 0.0 {
        format!("{} % of its refractory limit", (100.0 * e.rate * e.t_ref).round())
    } else {
        "without a refractory time".to_string()
    };
    let d = Diagnostic::warning(RUNAWAY, format!("`{}` is expected to run away: {}, {limit}", e.path, hertz(e.rate)))
        .label(span, format!("mean input {} against a threshold of {}", millivolts(e.mu), millivolts(e.theta)));
    dominant(d, s, origins)
        .note("the stationary state of the mean-field equations; `nsmc check --balance` has the whole table")
        .help("stronger inhibition, weaker excitation or less drive")
}

fn silent_state(e: &Expected, span: Span, origins: &Origins) -> Diagnostic {
    let d = Diagnostic::warning(SILENT_STATE, format!("`{}` is expected to stay silent: {}", e.path, hertz(e.rate)))
        .label(
            span,
            format!(
                "mean input {}, noise {}, against a threshold of {}",
                millivolts(e.mu),
                millivolts(e.sigma),
                millivolts(e.theta)
            ),
        );
    let d = match e.shares.iter().max_by(|a, b| a.mean.abs().total_cmp(&b.mean.abs())) {
        Some(s) if s.mean != 0.0 => dominant(d, s, origins),
        _ => d,
    };
    let d = match e.other {
        Some(rate) => d.note(format!("a second state has {}: a strong start may reach it", hertz(rate))),
        None => d,
    };
    d.note("the stationary state of the mean-field equations; `nsmc check --balance` has the whole table")
        .help("more drive, or weaker inhibition")
}

/// Adds the projection that dominates.
fn dominant(d: Diagnostic, s: &Share, origins: &Origins) -> Diagnostic {
    match origins.projections.get(&s.projection) {
        Some(span) => d.label(*span, format!("dominates with {}", millivolts(s.mean))),
        None => d,
    }
}

/// Four digits: theory promises no more.
fn rounded(v: f64) -> f64 {
    // What is left of a cancellation is nothing.
    if v.abs() < 1e-9 { 0.0 } else { units::rounded(v) }
}

fn millivolts(v: f64) -> String {
    units::display(rounded(v), Dimension::VOLTAGE)
}

fn hertz(v: f64) -> String {
    units::display(rounded(v), Dimension::RATE)
}

/// Populations whose spikes the experiment records or plots. What it expects of them it judges itself.
fn asked(unit: &Unit) -> BTreeSet<u32> {
    let recorded = unit.protocol.records.iter().filter_map(|r| match r {
        Record::Spikes { of } => Some(of.population),
        Record::Observable { .. } | Record::Weights { .. } => None,
    });
    let plotted = unit.protocol.plots.iter().flat_map(|p| &p.of).filter(|i| i.observable.is_none());
    recorded.chain(plotted.map(|i| i.cells.population)).collect()
}
