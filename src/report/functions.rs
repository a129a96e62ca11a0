//! What the parts of a circuit are for, and which experiment shows it.

use super::{Source, table};
use crate::ir::artefact::Function;
use maud::{Markup, html};

/// Cognitive functions of a whole brain-like architecture: what each may be called in a circuit, the region that carries it, and how.
const FUNCTIONS: [(&[&str], &str, &str); 10] = [
    (&["working memory"], "prefrontal cortex", "attractors"),
    (&["planning", "sequencing", "planning/sequencing"], "prefrontal cortex", "sequences"),
    (&["episodic memory"], "hippocampus", "storage and retrieval of patterns"),
    (&["spatial navigation"], "hippocampus", "place and grid cells"),
    (&["action selection"], "basal ganglia", "winner takes all"),
    (&["habit formation"], "basal ganglia", "stimulus and response"),
    (&["motor prediction"], "cerebellum", "forward model"),
    (&["error correction"], "cerebellum", "supervised learning"),
    (&["sensory processing"], "thalamus", "gating, routing"),
    (&["feature extraction"], "sensory cortex", "hierarchical coding"),
];

pub(super) fn section(source: &Source) -> Option<Markup> {
    let tags = &source.job.notes.functions;
    if tags.is_empty() {
        return None;
    }
    let is = |f: &Function, names: &[&str]| names.iter().any(|n| f.text.eq_ignore_ascii_case(n));
    let others = tags.iter().filter(|f| !FUNCTIONS.iter().any(|(names, ..)| is(f, names)));
    let shown =
        FUNCTIONS.iter().filter(|(names, ..)| tags.iter().any(|f| is(f, names) && demonstrated(source, f))).count();
    Some(html! {
        p { (shown) " of " (FUNCTIONS.len()) " functions of a whole architecture are demonstrated by this experiment." }
        (table(&["function", "usual region", "by way of", "carried by", "shown by", ""], html! {
            @for (names, region, means) in &FUNCTIONS {
                @let mut own = tags.iter().filter(|f| is(f, names)).peekable();
                @if own.peek().is_none() {
                    tr { td { (names[0]) } td { (region) } td { (means) } td {} td {} td { "not in this circuit" } }
                }
                @for f in own { (row(source, f, region, means)) }
            }
            @for f in others { (row(source, f, "", "")) }
        }))
    })
}

fn row(source: &Source, f: &Function, region: &str, means: &str) -> Markup {
    html! {
        tr data-function=(f.text) {
            td { (f.text) }
            td { (region) }
            td { (means) }
            td { code { (f.by) } }
            td { @if let Some(e) = &f.experiment { (e) } }
            td { (verdict(source, f)) }
        }
    }
}

/// Whether it is this experiment that shows it, complete, with expectations that all hold.
fn demonstrated(source: &Source, f: &Function) -> bool {
    let this = f.experiment.as_deref() == Some(source.summary.experiment.as_str());
    this && source.stopped.is_none() && !source.expectations.is_empty() && source.expectations.all_hold()
}

fn verdict(source: &Source, f: &Function) -> Markup {
    let failed = source.expectations.iter().filter(|e| !e.holds()).count();
    match &f.experiment {
        None => html! { "no experiment is named" },
        Some(e) if *e != source.summary.experiment => html! { "not run here" },
        Some(_) if source.stopped.is_some() => html! { "not complete" },
        Some(_) if source.expectations.is_empty() => html! { "nothing was expected" },
        Some(_) if failed == 1 => html! { span.bad { "an expectation fails" } },
        Some(_) if failed > 0 => html! { span.bad { (failed) " expectations fail" } },
        Some(_) => html! { span.good { "demonstrated" } },
    }
}
