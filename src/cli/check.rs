//! `nsmc check`: everything that can be said of a circuit without running it.

use super::args::{CheckArgs, MessageFormat};
use super::terminal::{self, Terminal};
use super::{Status, balance, budget, source, target};

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
