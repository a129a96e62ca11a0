//! `nsmc test`: circuits carry their own tests, and this runs them.

use super::args::{MessageFormat, TestArgs};
use super::codes::not_offered;
use super::job::{self, JobResult, Settings};
use super::progress::{self, Bar};
use super::terminal::{self, Terminal};
use super::{Status, report, source};
use crate::base::Diagnostic;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) fn test(args: &TestArgs, terminal: &Terminal) -> Status {
    match all(args, terminal) {
        Ok(status) => status,
        Err(d) => source::fail_in(&d, args.message_format, terminal),
    }
}

fn all(args: &TestArgs, terminal: &Terminal) -> Result<Status, Diagnostic> {
    let execution = &args.execution;
    let backend = execution.backend.backend().ok_or_else(|| {
        not_offered(
            "the back end `loihi2`",
            "`--backend native` runs on this machine, `--backend interp` is the reference",
        )
    })?;
    let files = source::collect(&args.paths)?;
    let stop = progress::stop_flag();
    let bar = Bar::new(terminal.watched);
    let (json, format) = (execution.summary.is_some(), args.message_format);
    let mut tally = Tally { json, format, terminal, passed: 0, failed: 0, status: Status::Fine };
    for (file, named) in &files {
        let outcome = match source::compile(file, &args.circuit, args.quick) {
            Ok(outcome) => outcome,
            Err(d) => {
                tally.broken(file, "can't be read", source::fail_in(&d, format, terminal));
                continue;
            }
        };
        let status = source::report(&outcome, format, terminal);
        if status != Status::Fine {
            tally.broken(file, "does not compile", status);
            continue;
        }
        // A circuit alone expects nothing.
        let experiments: Vec<_> = outcome.jobs.iter().filter(|j| !j.experiment.is_empty()).collect();
        if experiments.is_empty() && *named {
            tally.line("--", file, "no experiment");
        }
        for job in experiments {
            let settings = Settings {
                measured: false,
                seed: execution.seed(),
                threads: execution.threads(),
                chosen: execution.threads.is_some(),
                backend,
                backend_name: execution.backend.name(),
                chip: None,
                limit: execution.limit(),
                part: args.quick || job::narrowed(job, &args.circuit.set),
                compile_s: outcome.compile_s,
                checkpoints: None,
                stop,
                bar: &bar,
            };
            let begin = Instant::now();
            let result = job::execute(job, &settings, None);
            tally.judge(file, &job.experiment, &result, begin.elapsed().as_secs_f64());
            if stop.load(Ordering::Relaxed) {
                return Ok(tally.finish());
            }
        }
    }
    Ok(tally.finish())
}

/// The summary as one line of JSON on standard output.
pub(super) fn print_summary(result: &JobResult) {
    match serde_json::to_string(&result.summary) {
        Ok(json) => terminal::out(&format!("{json}\n")),
        Err(e) => terminal::err(&format!("nsmc: the summary has no JSON form: {e}\n")),
    }
}

struct Tally<'a> {
    json: bool,
    format: MessageFormat,
    terminal: &'a Terminal,
    passed: usize,
    failed: usize,
    status: Status,
}

impl Tally<'_> {
    fn judge(&mut self, file: &str, experiment: &str, result: &JobResult, seconds: f64) {
        let status = result.status();
        self.status = self.status.max(status);
        let good = status == Status::Fine;
        if good {
            self.passed += 1;
        } else if !result.interrupted {
            self.failed += 1;
        }
        if self.json {
            print_summary(result);
        } else if !good || !self.terminal.quiet {
            let n = result.expectations.iter().count();
            let expectations = format!("{n} expectation{}", if n == 1 { "" } else { "s" });
            let word = match (good, result.interrupted) {
                (true, _) => "ok",
                (false, true) => "stopped",
                (false, false) => "FAIL",
            };
            self.line(word, file, &format!("{experiment} ({expectations}, {})", report::short(seconds)));
            let notable = result.expectations.iter().filter(|e| !e.holds() || e.was_skipped());
            notable.for_each(|e| {
                let text = report::expectation(e, 0, self.terminal);
                source::tell(&format!("      {}", text.trim_start()), self.format)
            });
        }
        if let Some(d) = &result.error {
            source::fail_in(d, self.format, self.terminal);
        }
    }

    fn broken(&mut self, file: &str, why: &str, status: Status) {
        self.status = self.status.max(status);
        self.failed += 1;
        self.line("FAIL", file, why);
    }

    fn line(&self, word: &str, file: &str, what: &str) {
        if !self.json {
            let word = format!("{word:<7}");
            let word = self.terminal.verdict(!word.starts_with("FAIL"), &word);
            source::tell(&format!("{word} {file}: {what}\n"), self.format);
        }
    }

    fn finish(self) -> Status {
        if !self.json {
            source::tell(&format!("{} passed, {} failed\n", self.passed, self.failed), self.format);
        }
        self.status
    }
}
