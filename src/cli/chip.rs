//! `nsmc compile --target loihi2` and `nsmc run PACKAGE --backend loihi2`.

mod report;

use super::args::{AgainstArg, BackendArg, CompileArgs, Emit, ReportFormat, RunArgs};
use super::codes::{self, usage};
use super::compile::{output, save, write_text};
use super::job::{self, JobResult, Settings};
use super::output::Output;
use super::progress::{self, Bar};
use super::terminal::{self, Terminal};
use super::{Status, artefact, files, source};
use crate::base::{Diagnostic, LoadError, Span};
use crate::chip::beside::{BIN_MS, Beside, Places};
use crate::chip::build::Options;
use crate::chip::emulator::{Counters, Emulator, Mode};
use crate::chip::energy::{LOIHI1_SANAFE, LOIHI2_BOUNDS};
use crate::chip::host::Machine;
use crate::chip::package::{FORMAT, Package};
use crate::chip::report::Report;
use crate::chip::sanafe;
use crate::chip::target::Target;
use crate::driver::{self, Backend, Outcome};
use crate::execute::Control;
use crate::ir::artefact::{Job, Unit};
use crate::ir::protocol::Point;
use crate::units;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) fn is_package(bytes: &[u8]) -> bool {
    FORMAT.begins(bytes)
}

/// One circuit of what was compiled.
struct Circuit<'o> {
    outcome: &'o Outcome,
    /// Number of the experiment, and among its circuits.
    experiment: usize,
    at: usize,
}

impl Circuit<'_> {
    fn job(&self) -> &Job {
        &self.outcome.jobs[self.experiment]
    }

    fn unit(&self) -> &Unit {
        &self.job().units[self.at]
    }

    /// Whether its experiment has other circuits as well.
    fn is_part(&self) -> bool {
        self.job().units.len() > 1
    }

    /// The experiment with this circuit alone. What is drawn is of one seed, so a package is for the runs of that seed.
    fn alone(&self) -> Job {
        let own = self.job().points.iter().filter(|p| p.unit == self.at);
        Job {
            seeds: 1,
            units: vec![self.unit().clone()],
            points: own.map(|p| Point { unit: 0, ..p.clone() }).collect(),
            ..self.job().clone()
        }
    }

    /// Its package beside that of the others.
    fn path(&self, of: &Path) -> PathBuf {
        let mut name = of.file_stem().unwrap_or_default().to_os_string();
        name.push(format!("-{}", self.job().experiment));
        if self.is_part() {
            name.push(format!("-{}", self.at + 1));
        }
        of.with_file_name(name).with_extension(of.extension().unwrap_or("nsmpkg".as_ref()))
    }
}

/// Writes the package of each circuit, or lists the programs of the only one.
pub(super) fn compile(args: &CompileArgs, target: &Target, outcome: &Outcome, terminal: &Terminal) -> Status {
    let fail = |d: &Diagnostic| source::fail_with(d, &outcome.sources, args.message_format, terminal);
    let of = |experiment: usize| {
        (0..outcome.jobs[experiment].units.len()).map(move |at| Circuit { outcome, experiment, at })
    };
    let circuits: Vec<_> = (0..outcome.jobs.len()).flat_map(of).collect();
    if circuits.len() != 1 && (circuits.is_empty() || args.emit.is_some()) {
        let d = usage(format!("one circuit is wanted, and `{}` has {}", args.file, circuits.len()));
        return fail(&d.help("choose an experiment with `--experiment`; one with a sweep over params has several"));
    }
    let path = match output(args, "nsmpkg") {
        Ok(path) => path,
        Err(_) if args.emit.is_some() => PathBuf::new(),
        Err(d) => return fail(&d),
    };
    let several = circuits.len() > 1;
    for circuit in &circuits {
        let path = if several { circuit.path(&path) } else { path.clone() };
        let status = compile_one(circuit, &path, args, target, terminal);
        if status != Status::Fine {
            return status;
        }
    }
    Status::Fine
}

fn compile_one(circuit: &Circuit<'_>, path: &Path, args: &CompileArgs, target: &Target, terminal: &Terminal) -> Status {
    let outcome = circuit.outcome;
    let origins = &outcome.origins[circuit.experiment][circuit.at];
    let fail = |d: &Diagnostic| source::fail_with(d, &outcome.sources, args.message_format, terminal);
    let options = Options { seed: args.seed, apart: args.apart };
    let mut built = match driver::package(circuit.unit(), origins, target, options) {
        Ok(made) => made,
        Err(list) => return list.iter().map(fail).max().unwrap_or(Status::Wrong),
    };
    built.package.manifest.part = circuit.is_part();
    built.package.experiment = match artefact::write(&[circuit.alone()], artefact::source_hash(&outcome.sources)) {
        Ok(bytes) => bytes,
        Err(e) => return fail(&usage(format!("the experiment can't be packed: {e}"))),
    };
    let package = &built.package;
    if args.emit == Some(Emit::Asm) {
        let text = package.manifest.programs.join("\n");
        return write_text(&text, args.output.as_deref()).map_or_else(|d| fail(&d), |()| Status::Fine);
    }
    if args.emit == Some(Emit::Sanafe) {
        let text = sanafe::cells::network(package).map_err(usage);
        let written = text.and_then(|text| write_text(&text, args.output.as_deref()));
        return written.map_or_else(|d| fail(&d), |()| Status::Fine);
    }
    let page = path.with_extension("html");
    if args.report == Some(ReportFormat::Html) && page == path {
        return fail(
            &usage("the package and the page of its report would be one file").help("name the package otherwise"),
        );
    }
    let bytes = match package.write() {
        Ok(bytes) => bytes,
        Err(e) => return fail(&usage(format!("the package has no manifest: {e}"))),
    };
    if let Err(d) = save(path, &bytes) {
        return fail(&d);
    }
    let place = |span: &Span| outcome.sources.place(*span);
    let rates = args.quantise.and_then(|_| circuit.job().points.iter().find(|p| p.unit == circuit.at)).map(|point| {
        let places = Places { origins, place: &place };
        driver::rates(circuit.unit(), point, &built, places)
    });
    let rates = match rates.transpose() {
        Ok(rates) => rates,
        Err(d) => return fail(&d),
    };
    if args.report.is_some() || rates.is_some() {
        let report = Report::new(&built, target, origins, &place, rates);
        match args.report {
            None => source::tell(&report::quantising(&report), args.message_format),
            Some(ReportFormat::Text) => source::tell(&report::text(&report), args.message_format),
            Some(ReportFormat::Json) => terminal::out(&format!("{}\n", json!(report))),
            Some(ReportFormat::Html) => {
                if let Err(d) = save(&page, report::page(&report).as_bytes()) {
                    return fail(&d);
                }
                if !terminal.quiet {
                    terminal::err(&format!("{}: the report\n", page.display()));
                }
            }
        }
    }
    if !terminal.quiet {
        let cores = package.cores.len();
        terminal::err(&format!(
            "{}: {} bytes, {cores} cores of {}\n",
            path.display(),
            bytes.len(),
            package.manifest.target.name
        ));
    }
    Status::Fine
}

/// Runs a package to the end that it says.
pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> Status {
    execute(args, terminal).unwrap_or_else(|d| source::fail_in(&d, args.message_format, terminal))
}

fn execute(args: &RunArgs, terminal: &Terminal) -> Result<Status, Diagnostic> {
    let execution = &args.execution;
    if args.report.is_some() {
        return Err(codes::not_offered("a report of a package", "`nsmc run` on its source writes one"));
    }
    if args.checkpoint.is_some() || args.resume.is_some() {
        return Err(codes::not_offered("checkpoints of a chip", "run its source with `--backend native`"));
    }
    if execution.backend != BackendArg::Loihi2 {
        return Err(usage(format!("`{}` is a package for a chip", args.file)).help("add `--backend loihi2`"));
    }
    super::run::unchanged(&args.circuit)?;
    let bytes = std::fs::read(&args.file).map_err(|e| codes::unreadable(&args.file, &LoadError::Io(e.to_string())))?;
    let broken = |what: String| {
        Diagnostic::error(codes::ARTEFACT, format!("`{}` is no package that can be run: {what}", args.file))
            .help("compile the source again with `nsmc compile --target loihi2`")
    };
    let job = experiment(&bytes).map_err(broken)?;
    let mode = if args.lava { Mode::Lava010 } else { Mode::Strict };
    let machine = Machine::new(bytes, mode).map_err(|e| broken(e.to_string()))?;
    let own = machine.manifest().seed;
    if let Some(other) = execution.seed.filter(|s| *s != own) {
        return Err(usage(format!("the package has seed {own}, and {other} is asked for"))
            .help(format!("compile the source with `--target loihi2 --seed {other}`")));
    }
    let runs = job.points.len();
    let output = args.out.as_deref().map(|dir| Output::new(dir, runs)).transpose()?;
    let settings = Settings {
        measured: false,
        seed: own,
        threads: execution.threads(),
        chosen: execution.threads.is_some(),
        backend: Backend::default(),
        backend_name: execution.backend.name(),
        chip: Some(&machine),
        limit: execution.limit(),
        // Rows of other circuits of the experiment are in other packages.
        part: machine.manifest().part,
        compile_s: 0.0,
        checkpoints: None,
        stop: progress::stop_flag(),
        bar: &Bar::new(terminal.watched),
    };
    let result = job::execute(&job, &settings, output.as_ref());
    let chips = machine.chips();
    if let (Some(dir), [chip]) = (&args.out, chips.as_slice()) {
        let path = dir.join("spikes.csv");
        files::write_atomic(&path, |w| spikes(chip, w)).map_err(|e| codes::unwritable(&path, &e))?;
    }
    if let Some(path) = &args.sanafe {
        let [chip] = chips.as_slice() else {
            return Err(usage("`--sanafe` takes one run, and the experiment has several").help("leave its sweep out"));
        };
        let network = sanafe::network(chip).map_err(usage)?;
        save(path, network.as_bytes())?;
    }
    let beside = match args.against {
        Some(against) if result.status() != Status::Interrupted => Some(compare(&job, &chips, against, &settings)?),
        _ => None,
    };
    tell(&result, &chips, beside.as_deref(), args, terminal);
    Ok(result.status())
}

/// The run once more on this machine.
fn compare(job: &Job, chips: &[Emulator], against: AgainstArg, settings: &Settings) -> Result<Vec<Beside>, Diagnostic> {
    let ([unit], [point], [chip]) = (job.units.as_slice(), job.points.as_slice(), chips) else {
        let d = usage("`--against` takes one run, and the experiment has several");
        return Err(d.help("leave its sweep out"));
    };
    let control = Control { stop: settings.stop, progress: &|_| {}, quick: settings.part, memory: f64::INFINITY };
    driver::beside(unit, point, chip, against.backend(), settings.limit, settings.threads, &control)
}

/// The experiment in a package.
fn experiment(bytes: &[u8]) -> Result<Job, String> {
    let (package, _) = Package::read(bytes).map_err(|e| e.to_string())?;
    let artefact = artefact::read(&package.experiment).map_err(|e| format!("its experiment: {e}"))?;
    let [job] = <[Job; 1]>::try_from(artefact.jobs).map_err(|_| "it has no experiment, or several".to_string())?;
    // A checksum says that nothing changed, not that it was right.
    driver::verify(&job).map_err(|d| d.message)?;
    Ok(job)
}

/// What came of the experiment, and what the chip did for it.
fn tell(result: &JobResult, chips: &[Emulator], beside: Option<&[Beside]>, args: &RunArgs, terminal: &Terminal) {
    let Some(first) = chips.first() else {
        return super::run::tell(result, args, args.execution.summary.is_some(), terminal);
    };
    let counts = counts(first, chips);
    if args.execution.summary.is_some() {
        let mut summary = json!(result.summary);
        summary["chip"] = counts;
        if let Some(beside) = beside {
            summary["beside"] = json!({ "bin_ms": BIN_MS, "populations": beside });
        }
        terminal::out(&format!("{summary}\n"));
        super::run::tell_error(result, args, terminal);
        return;
    }
    super::run::tell(result, args, false, terminal);
    if !terminal.quiet {
        source::tell(&table(first, &counts), args.message_format);
    }
    if let Some(beside) = beside {
        source::tell(&report::beside(beside), args.message_format);
    }
}

fn spikes(chip: &Emulator, w: &mut dyn std::io::Write) -> std::io::Result<()> {
    writeln!(w, "time_ms,population,neuron,payload")?;
    let m = chip.manifest();
    let step_ms = m.step_ns as f64 * 1e-6;
    for s in chip.spikes() {
        let mut neuron = s.neuron;
        for p in &m.populations {
            if neuron < p.size {
                writeln!(w, "{},{},{neuron},{}", s.step as f64 * step_ms, p.path, s.payload)?;
                break;
            }
            neuron -= p.size;
        }
    }
    Ok(())
}

/// What all chips did, core by core.
fn counts(first: &Emulator, chips: &[Emulator]) -> serde_json::Value {
    let m = first.manifest();
    let cores = (0..m.sites.len()).map(|k| Counters::sum(chips.iter().filter_map(|c| c.counters().nth(k))));
    let cores: Vec<Counters> = cores.collect();
    let (all, host) = (Counters::sum(cores.iter().copied()), Counters::sum(chips.iter().map(Emulator::host_counters)));
    let energy = LOIHI1_SANAFE.energy(&all, &host);
    let operations = all.synaptic_operations as f64;
    json!({
        "target": m.target.name,
        "runs": chips.len(),
        "steps": chips.iter().map(Emulator::step).sum::<u64>(),
        "cores": cores,
        "total": all,
        "host": host,
        "energy": {
            LOIHI1_SANAFE.name: { "neurons_j": energy.neurons, "synapses_j": energy.synapses, "network_j": energy.network, "total_j": energy.total() },
            "loihi2-bounds": { "estimate": "interval", "low_j": operations * LOIHI2_BOUNDS.0, "high_j": operations * LOIHI2_BOUNDS.1 },
        },
    })
}

fn table(chip: &Emulator, counts: &serde_json::Value) -> String {
    let m = chip.manifest();
    let number = |v: &serde_json::Value| v.as_f64().unwrap_or(0.0);
    let (all, energy) = (&counts["total"], &counts["energy"]);
    format!(
        "  {} cores of {}, {} steps of {} ms: {} updates, {} operations, {} synaptic operations, {} packets, {} learning operations\n\
         \x20 energy, an estimate: {:.3e} J with the costs of `loihi1-sanafe`; synapses on Loihi 2 between {:.1e} and {:.1e} J\n",
        m.sites.len(),
        m.target.name,
        counts["steps"],
        units::number(m.step_ns as f64 / 1e6),
        all["updates"],
        all["operations"],
        all["synaptic_operations"],
        number(&all["packets_out"]) + number(&counts["host"]["packets_out"]),
        all["learning_operations"],
        number(&energy["loihi1-sanafe"]["total_j"]),
        number(&energy["loihi2-bounds"]["low_j"]),
        number(&energy["loihi2-bounds"]["high_j"])
    )
}
