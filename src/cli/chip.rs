//! `nsmc compile --target loihi2` and `nsmc run PACKAGE --backend loihi2`.

mod report;

use super::args::{BackendArg, CompileArgs, Emit, ReportFormat, RunArgs};
use super::codes::{self, usage};
use super::compile::{save, write_text};
use super::terminal::{self, Terminal};
use super::{Status, files, source};
use crate::base::{Diagnostic, LoadError};
use crate::chip::build::Options;
use crate::chip::emulator::{Counters, Emulator, Mode};
use crate::chip::energy::{LOIHI1_SANAFE, LOIHI2_BOUNDS};
use crate::chip::package::FORMAT;
use crate::chip::report::Report;
use crate::chip::sanafe;
use crate::chip::target::Target;
use crate::driver::{self, Outcome};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(super) fn is_package(bytes: &[u8]) -> bool {
    FORMAT.begins(bytes)
}

/// Writes the package of the one circuit that is meant, or lists its programs.
pub(super) fn compile(args: &CompileArgs, target: &Target, outcome: &Outcome, terminal: &Terminal) -> Status {
    let fail = |d: &Diagnostic| source::fail_with(d, &outcome.sources, args.message_format, terminal);
    let units: Vec<_> = outcome.jobs.iter().flat_map(|j| &j.units).zip(outcome.origins.iter().flatten()).collect();
    let [(unit, origins)] = units.as_slice() else {
        let d = usage(format!("a package holds one circuit, and `{}` has {}", args.file, units.len()));
        return fail(&d.help("choose an experiment with `--experiment`; one with a sweep over params has several"));
    };
    let options = Options { seed: args.seed, apart: args.apart };
    let built = match driver::package(unit, origins, target, options) {
        Ok(made) => made,
        Err(list) => return list.iter().map(fail).max().unwrap_or(Status::Wrong),
    };
    let package = &built.package;
    if args.emit == Some(Emit::Asm) {
        let text = package.manifest.programs.join("\n");
        return write_text(&text, args.output.as_deref()).map_or_else(|d| fail(&d), |()| Status::Fine);
    }
    let path = match &args.output {
        Some(path) => path.clone(),
        None => match Path::new(&args.file).file_stem() {
            Some(stem) if args.file != "-" => PathBuf::from(stem).with_extension("nsmpkg"),
            _ => return fail(&usage("standard input has no name; say where to write with `-o`")),
        },
    };
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
    if let Err(d) = save(&path, &bytes) {
        return fail(&d);
    }
    if let Some(format) = args.report {
        let report = Report::new(&built, target, origins, &outcome.sources);
        match format {
            ReportFormat::Text => source::tell(&report::text(&report), args.message_format),
            ReportFormat::Json => terminal::out(&format!("{}\n", json!(report))),
            ReportFormat::Html => {
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
    if args.report.is_some() {
        return Err(codes::not_offered("a report of a package", "`nsmc run` on its source writes one"));
    }
    if args.execution.backend != BackendArg::Loihi2 {
        return Err(usage(format!("`{}` is a package for a chip", args.file)).help("add `--backend loihi2`"));
    }
    let bytes = std::fs::read(&args.file).map_err(|e| codes::unreadable(&args.file, &LoadError::Io(e.to_string())))?;
    let mode = if args.lava { Mode::Lava010 } else { Mode::Strict };
    let mut chip = Emulator::load(&bytes, mode).map_err(|e| {
        Diagnostic::error(codes::ARTEFACT, format!("`{}` is no package that can be run: {e}", args.file))
            .help("compile the source again with `nsmc compile --target loihi2`")
    })?;
    let steps = chip.manifest().steps;
    let fault = chip.run(steps).err();
    if let Some(dir) = &args.out {
        let path = dir.join("spikes.csv");
        let written = std::fs::create_dir_all(dir).and_then(|()| files::write_atomic(&path, |w| spikes(&chip, w)));
        written.map_err(|e| codes::unwritable(&path, &e))?;
    }
    if let Some(path) = &args.sanafe {
        let network = sanafe::network(&chip).map_err(usage)?;
        save(path, network.as_bytes())?;
    }
    let summary = summary(&chip);
    match args.execution.summary {
        Some(_) => terminal::out(&format!("{summary}\n")),
        None if !terminal.quiet => source::tell(&table(&chip, &summary), args.message_format),
        None => {}
    }
    match fault {
        None => Ok(Status::Fine),
        Some(fault) => Err(Diagnostic::error(codes::CHIP, format!("the chip stopped: {fault}"))
            .help("`--lava` wraps and saturates as lava-nc 0.10.0 does")),
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

fn summary(chip: &Emulator) -> serde_json::Value {
    let m = chip.manifest();
    let seconds = chip.step() as f64 * m.step_ns as f64 * 1e-9;
    let mut first = 0;
    let mut populations = Vec::new();
    for p in &m.populations {
        let mine = first..first + p.size;
        let count = chip.spikes().iter().filter(|s| mine.contains(&s.neuron)).count();
        let rate = count as f64 / f64::from(p.size.max(1)) / seconds.max(f64::MIN_POSITIVE);
        populations.push(json!({ "path": p.path, "size": p.size, "spikes": count, "rate_hz": rate }));
        first += p.size;
    }
    let cores: Vec<Counters> = chip.counters().collect();
    let (all, host) = (Counters::sum(cores.iter().copied()), chip.host_counters());
    let energy = LOIHI1_SANAFE.energy(&all, &host);
    let operations = all.synaptic_operations as f64;
    json!({
        "network": m.network,
        "target": m.target.name,
        "steps": chip.step(),
        "seconds": seconds,
        "populations": populations,
        "cores": cores,
        "total": all,
        "host": host,
        "energy": {
            LOIHI1_SANAFE.name: { "neurons_j": energy.neurons, "synapses_j": energy.synapses, "network_j": energy.network, "total_j": energy.total() },
            "loihi2-bounds": { "estimate": "interval", "low_j": operations * LOIHI2_BOUNDS.0, "high_j": operations * LOIHI2_BOUNDS.1 },
        },
    })
}

fn table(chip: &Emulator, summary: &serde_json::Value) -> String {
    let m = chip.manifest();
    let number = |v: &serde_json::Value| v.as_f64().unwrap_or(0.0);
    let mut out = format!(
        "{} on {}: {} steps of {} ms\n\n  population            size    spikes        rate\n",
        m.network,
        m.target.name,
        chip.step(),
        m.step_ns as f64 * 1e-6
    );
    for p in summary["populations"].as_array().into_iter().flatten() {
        let path = p["path"].as_str().unwrap_or("");
        let _ = writeln!(out, "  {path:<20} {:>5} {:>9} {:>8.2} Hz", p["size"], p["spikes"], number(&p["rate_hz"]));
    }
    let all = &summary["total"];
    let _ = writeln!(
        out,
        "\n  {} cores: {} updates, {} operations, {} synaptic operations, {} packets, {} learning operations",
        m.sites.len(),
        all["updates"],
        all["operations"],
        all["synaptic_operations"],
        number(&all["packets_out"]) + number(&summary["host"]["packets_out"]),
        all["learning_operations"]
    );
    let energy = &summary["energy"];
    let _ = writeln!(
        out,
        "  energy, an estimate: {:.3e} J with the costs of `loihi1-sanafe`; synapses on Loihi 2 between {:.1e} and {:.1e} J",
        number(&energy["loihi1-sanafe"]["total_j"]),
        number(&energy["loihi2-bounds"]["low_j"]),
        number(&energy["loihi2-bounds"]["high_j"])
    );
    out
}
