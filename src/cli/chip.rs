//! `nsmc compile --target loihi2` and `nsmc run PACKAGE --backend loihi2`.

use super::args::{BackendArg, CompileArgs, Emit, ReportFormat, RunArgs};
use super::codes::{self, usage};
use super::compile::{save, write_text};
use super::terminal::{self, Terminal};
use super::{Status, files, source};
use crate::base::{Diagnostic, LoadError};
use crate::chip::emulator::{Counters, Emulator, Mode};
use crate::chip::energy::{LOIHI1_SANAFE, LOIHI2_BOUNDS};
use crate::chip::limits::Limits;
use crate::chip::package::{FORMAT, Package};
use crate::chip::quantise::Report;
use crate::driver::{self, Outcome};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(super) fn is_package(bytes: &[u8]) -> bool {
    FORMAT.begins(bytes)
}

/// Writes the package of the one circuit that is meant, or lists its programs.
pub(super) fn compile(args: &CompileArgs, outcome: &Outcome, terminal: &Terminal) -> Status {
    let fail = |d: &Diagnostic| source::fail_in(d, args.message_format, terminal);
    let units: Vec<_> = outcome.jobs.iter().flat_map(|j| &j.units).collect();
    let [unit] = units.as_slice() else {
        let d = usage(format!("a package holds one circuit, and `{}` has {}", args.file, units.len()));
        return fail(&d.help("choose an experiment with `--experiment`; one with a sweep over params has several"));
    };
    let (package, report) = match driver::package(unit, args.seed, &Limits::loihi2()) {
        Ok(made) => made,
        Err(list) => return list.iter().map(fail).max().unwrap_or(Status::Wrong),
    };
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
    let bytes = match package.write() {
        Ok(bytes) => bytes,
        Err(e) => return fail(&usage(format!("the package has no manifest: {e}"))),
    };
    if let Err(d) = save(&path, &bytes) {
        return fail(&d);
    }
    match args.report {
        Some(ReportFormat::Text) => source::tell(&text(&package, &report), args.message_format),
        Some(ReportFormat::Json) => {
            terminal::out(&format!("{}\n", json!({ "fit": fit(&package), "quantising": report })));
        }
        None => {}
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

/// Use over limit of every resource, the fullest core of each.
fn fit(package: &Package) -> serde_json::Value {
    let l = &package.manifest.target;
    let most = |f: &dyn Fn(&crate::chip::package::Core) -> usize| package.cores.iter().map(f).max().unwrap_or(0);
    let out = |c: &crate::chip::package::Core| c.axons_out.iter().map(Vec::len).sum();
    json!({
        "target": l.name,
        "cores": package.cores.len(),
        "neurons": { "most": most(&|c| c.compartments.len()), "limit": l.neurons },
        "words of synapses": { "most": most(&|c| c.words.len()), "limit": l.synapse_words },
        "axons in": { "most": most(&|c| c.axons_in.len()), "limit": l.axons_in },
        "axons out": { "most": most(&out), "limit": l.axons_out },
    })
}

fn text(package: &Package, report: &Report) -> String {
    let fit = fit(package);
    // Writing to a string can't fail.
    let mut out =
        format!("{} on {}: {} cores\n\n", package.manifest.network, package.manifest.target.name, package.cores.len());
    for name in ["neurons", "words of synapses", "axons in", "axons out"] {
        let (most, limit) = (fit[name]["most"].as_u64().unwrap_or(0), fit[name]["limit"].as_u64().unwrap_or(1));
        let part = most as f64 / limit.max(1) as f64 * 100.0;
        let _ = writeln!(out, "  {name:<18} {most:>8} of {limit:>8} on the fullest core, {part:.1} %");
    }
    let _ = writeln!(out, "\n  population      program          operations  bytes  largest error of a coefficient");
    for p in &report.populations {
        let _ = writeln!(
            out,
            "  {:<15} {:<16} {:>10} {:>6}  {:.2e}",
            p.path, p.program, p.operations, p.state_bytes, p.coefficient_error
        );
    }
    let _ = writeln!(out, "\n  projection            synapses  exponent  rms error  mean error  largest  became 0");
    for p in &report.projections {
        let _ = writeln!(
            out,
            "  {:<20} {:>9} {:>9}  {:>8.3} %  {:>8.3} %  {:>5.2} %  {:>8}",
            p.path,
            p.synapses,
            p.exponent,
            100.0 * p.rms_error,
            100.0 * p.mean_error,
            100.0 * p.largest_error,
            p.lost
        );
    }
    out
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
