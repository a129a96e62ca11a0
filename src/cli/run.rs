//! `nsmc run`: one experiment of a source file or an artefact.

use super::args::{CircuitArgs, PrecisionArg, RunArgs, RunReport};
use super::checkpoint::Checkpoints;
use super::codes::{self, not_offered, usage};
use super::job::{self, JobResult, Settings};
use super::output::Output;
use super::progress::{self, Bar};
use super::terminal::{self, Terminal};
use super::{Status, artefact, balance, chip, files, report, source};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, LoadError};
use crate::driver;
use crate::ir::artefact::Job;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> Status {
    if begins(&args.file, chip::is_package) {
        return chip::run(args, terminal);
    }
    let only = [("--sanafe", args.sanafe.is_some()), ("--against", args.against.is_some())];
    // A file that is not there is told as such.
    if let Some((flag, _)) = only.iter().find(|(_, given)| *given && Path::new(&args.file).exists()) {
        let d = usage(format!("`{flag}` is for packages of a chip, and `{}` is none", args.file));
        return source::fail_in(
            &d.help("compile it with `nsmc compile --target loihi2`"),
            args.message_format,
            terminal,
        );
    }
    let loaded = if begins(&args.file, artefact::is_artefact) { load(args) } else { compile(args, terminal) };
    let done = match loaded {
        Ok((jobs, compile_s)) => choose(&jobs, args).and_then(|job| execute(job, args, compile_s, terminal)),
        Err(Stop::Shown(status)) => return status,
        Err(Stop::Failed(d)) => Err(d),
    };
    done.unwrap_or_else(|d| source::fail_in(&d, args.message_format, terminal))
}

enum Stop {
    Failed(Diagnostic),
    /// The reason has been shown.
    Shown(Status),
}

impl From<Diagnostic> for Stop {
    fn from(d: Diagnostic) -> Stop {
        Stop::Failed(d)
    }
}

/// Jobs, and the seconds that it took to get them.
fn compile(args: &RunArgs, terminal: &Terminal) -> Result<(Vec<Job>, f64), Stop> {
    let outcome = source::compile(&args.file, &args.circuit, false)?;
    match source::report(&outcome, args.message_format, terminal) {
        Status::Fine => Ok((outcome.jobs, outcome.compile_s)),
        status => Err(Stop::Shown(status)),
    }
}

/// Looks at the first bytes; what can't be read is reported by whoever reads it.
fn begins(file: &str, with: fn(&[u8]) -> bool) -> bool {
    if file == "-" || !Path::new(file).is_file() {
        return false;
    }
    let mut start = [0; 8];
    File::open(file).and_then(|mut f| f.read_exact(&mut start)).is_ok() && with(&start)
}

fn load(args: &RunArgs) -> Result<(Vec<Job>, f64), Stop> {
    let begin = Instant::now();
    let fixed = &args.circuit;
    unchanged(fixed)?;
    let read = std::fs::read(&args.file);
    let bytes = read.map_err(|e| codes::unreadable(&args.file, &LoadError::Io(e.to_string())))?;
    let broken = |what: String| {
        Diagnostic::error(codes::ARTEFACT, format!("`{}` is no artefact that can be run: {what}", args.file))
            .help("compile the source again with `nsmc compile`")
    };
    let artefact = artefact::read(&bytes).map_err(|e| broken(e.to_string()))?;
    for job in &artefact.jobs {
        // A checksum says that nothing changed, not that it was right.
        driver::verify(job).map_err(|d| broken(d.message))?;
    }
    Ok((artefact.jobs, begin.elapsed().as_secs_f64()))
}

/// Refuses flags that change a circuit where it is compiled already.
pub(super) fn unchanged(circuit: &CircuitArgs) -> Result<(), Diagnostic> {
    let same = circuit.set.is_empty() && circuit.dt.is_none() && circuit.for_time.is_none();
    if same && circuit.precision == PrecisionArg::F64 {
        return Ok(());
    }
    let d = usage("`--set`, `--dt`, `--for` and `--precision` change a circuit, and that of an artefact is fixed");
    Err(d.help("give them to `nsmc compile`, or run the source"))
}

/// The experiment that is meant.
fn choose<'a>(jobs: &'a [Job], args: &RunArgs) -> Result<&'a Job, Diagnostic> {
    // A circuit without experiments goes by its own name.
    let name = |j: &'a Job| if j.experiment.is_empty() { j.network.as_str() } else { j.experiment.as_str() };
    let names = || jobs.iter().map(name);
    if let Some(wanted) = &args.circuit.experiment {
        return jobs.iter().find(|j| j.experiment == *wanted).ok_or_else(|| {
            let hint = did_you_mean(wanted, names()).map(|n| format!("did you mean `{n}`?"));
            usage(format!("there is no experiment `{wanted}` in `{}`", args.file)).maybe_help(hint)
        });
    }
    match jobs {
        [job] => Ok(job),
        [] => Err(usage(format!("`{}` has neither an experiment nor a network to run", args.file))),
        _ => {
            let list: Vec<&str> = names().collect();
            let what = if jobs.iter().any(|j| j.experiment.is_empty()) { "networks" } else { "experiments" };
            Err(usage(format!("`{}` has {} {what}: {}", args.file, list.len(), list.join(", ")))
                .help("choose an experiment with `--experiment`, or run all of them with `nsmc test`"))
        }
    }
}

fn execute(job: &Job, args: &RunArgs, compile_s: f64, terminal: &Terminal) -> Result<Status, Diagnostic> {
    let execution = &args.execution;
    let backend = execution.backend.backend().ok_or_else(|| {
        not_offered(
            "the back end `loihi2` for circuits that are no package",
            "it runs what `nsmc compile --target loihi2` writes; `--backend native` runs on this machine, `--backend interp` is the reference",
        )
    })?;
    let runs = job.points.len().saturating_mul(usize::try_from(job.seeds).unwrap_or(usize::MAX));
    let output = args.out.as_deref().map(|dir| Output::new(dir, runs)).transpose()?;
    let output = match args.report {
        Some(RunReport::Html) => output.map(|o| o.with_report(given(args))),
        None => output,
    };
    let checkpoint = args.checkpoint.as_deref();
    let checkpoints = Checkpoints::new(checkpoint, args.every.as_deref(), args.resume.as_deref(), runs)?;
    let json = execution.summary.is_some();
    let settings = Settings {
        measured: args.profiling.wanted(),
        seed: execution.seed(),
        threads: execution.threads(),
        chosen: execution.threads.is_some(),
        backend,
        backend_name: execution.backend.name(),
        chip: None,
        limit: execution.limit(),
        part: job::narrowed(job, &args.circuit.set),
        compile_s,
        checkpoints: checkpoints.as_ref(),
        stop: progress::stop_flag(),
        bar: &Bar::new(terminal.watched),
    };
    let result = job::execute(job, &settings, output.as_ref());
    tell(&result, args, json, terminal);
    if args.balance && !json {
        terminal::out(&balance::beside(job, &result));
    }
    let mut status = result.status();
    if args.plausible {
        let judged = crate::report::judgements(job, &result.runs);
        source::tell(&report::plausibility(&judged, terminal), args.message_format);
        if judged.iter().any(crate::report::Judgement::fails) {
            status = status.max(Status::Wrong);
        }
    }
    if let Some(profile) = &result.profile {
        if args.profiling.profile && !json {
            source::tell(&report::profile(profile), args.message_format);
        }
        if let Some(path) = &args.profiling.trace {
            let write = files::write_atomic(path, |w| Ok(serde_json::to_writer(w, &profile.trace())?));
            write.map_err(|e| codes::unwritable(path, &e))?;
        }
    } else if args.profiling.wanted() && result.error.is_none() {
        return Err(usage("only the native back end measures where its time goes"));
    }
    Ok(status)
}

/// The flags that changed the circuit, as they were given.
fn given(args: &RunArgs) -> Vec<(String, String)> {
    let circuit = &args.circuit;
    let set = circuit.set.iter().map(|(name, value)| ("--set".to_string(), format!("{name}={value}")));
    let times = [("--dt", &circuit.dt), ("--for", &circuit.for_time)];
    let times = times.into_iter().filter_map(|(flag, value)| Some((flag.to_string(), value.clone()?)));
    set.chain(times).collect()
}

pub(super) fn tell(result: &JobResult, args: &RunArgs, json: bool, terminal: &Terminal) {
    if json {
        super::test::print_summary(result);
    } else if !result.runs.is_empty() && !terminal.quiet {
        let folder = args.out.as_ref().map(|p| p.display().to_string());
        source::tell(&report::report(result, folder.as_deref(), terminal), args.message_format);
    } else if !result.expectations.all_hold() {
        let failed = result.expectations.iter().filter(|e| !e.holds());
        failed.for_each(|e| source::tell(&report::expectation(e, 0, terminal), args.message_format));
    }
    tell_error(result, args, terminal);
}

/// What stopped a run, and what is kept of it.
pub(super) fn tell_error(result: &JobResult, args: &RunArgs, terminal: &Terminal) {
    if let Some(d) = &result.error {
        source::fail_in(d, args.message_format, terminal);
    }
    if result.interrupted {
        let time = result.runs.last().map_or(0.0, |r| r.duration_ms());
        let mut kept = if args.out.is_some() { "; what was recorded until then is written" } else { "" }.to_string();
        if let Some(file) = &args.checkpoint {
            kept.push_str(&format!("; `--resume {}` goes on from there", file.display()));
        }
        let at = crate::units::display(time, crate::units::Dimension::TIME);
        terminal::err(&format!("nsmc: stopped at t = {at} of run {}{kept}\n", result.runs.len()));
    }
}
