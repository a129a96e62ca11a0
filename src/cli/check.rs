//! `nsmc check`: everything that can be said of a circuit without running it.

use super::args::{CheckArgs, MessageFormat};
use super::terminal::{self, Terminal};
use super::{Status, balance, budget, source, target};
use crate::ir::artefact::Job;

pub(super) fn check(args: &CheckArgs, terminal: &Terminal) -> Status {
    let target = match target::target(args.target, &args.chip, args.message_format, terminal) {
        Ok(target) => target,
        Err(status) => return status,
    };
    let outcome = match source::compile_for(&args.file, &args.circuit, false, target) {
        Ok(outcome) => outcome,
        Err(d) => return source::fail_in(&d, args.message_format, terminal),
    };
    let status = source::report(&outcome, args.message_format, terminal);
    let human = args.message_format == MessageFormat::Human;
    if status == Status::Fine && human && !terminal.quiet {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let experiments: Vec<_> = outcome.jobs.iter().filter(|j| !j.experiment.is_empty()).collect();
        let points: usize = experiments.iter().map(|j| j.points.len()).sum();
        let swept =
            if points > experiments.len() { format!(" at {}", count(points, "sweep point")) } else { String::new() };
        terminal::err(&format!("{}: fine, {}{swept}\n", args.file, count(experiments.len(), "experiment")));
        terminal::err(&rules(&outcome.jobs));
    }
    // With JSON the standard output is for messages alone.
    if status == Status::Fine && human {
        if args.balance {
            terminal::out(&balance::tables(&outcome.jobs));
        }
        if args.budget {
            terminal::out(&budget::tables(&outcome.jobs));
        }
    }
    status
}

/// Projections that are named of each rule.
const MOST_PROJECTIONS: usize = 4;

/// One line for each rule and form that was proved for it: on which projections, what a synapse keeps, why it is stepped if it is.
fn rules(jobs: &[Job]) -> String {
    let mut found: Vec<(&str, String, Vec<&str>)> = Vec::new();
    for network in jobs.iter().flat_map(|j| &j.units).map(|u| &u.network) {
        for rule in &network.plasticity {
            let Some(path) = network.graph.edge_weight(rule.projection).map(|p| p.path.as_str()) else { continue };
            let form = rule.summary();
            match found.iter_mut().find(|(name, known, _)| *name == rule.name && *known == form) {
                Some((.., paths)) if paths.contains(&path) => {}
                Some((.., paths)) => paths.push(path),
                None => found.push((&rule.name, form, vec![path])),
            }
        }
    }
    let mut out = String::new();
    for (name, form, paths) in found {
        let mut list = paths.iter().take(MOST_PROJECTIONS).copied().collect::<Vec<_>>().join(", ");
        if paths.len() > MOST_PROJECTIONS {
            list.push_str(&format!(" and {} more", paths.len() - MOST_PROJECTIONS));
        }
        out.push_str(&format!("  {name} ({list}): {form}\n"));
    }
    out
}
