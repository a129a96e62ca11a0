//! `nsmc compile`: an artefact, or one stage of the compilation as text.

use super::args::{CompileArgs, Emit, TargetArg};
use super::codes::{self, usage};
use super::terminal::{self, Terminal};
use super::{Status, artefact, chip, dot, files, nir, source, target};
use crate::base::Diagnostic;
use crate::driver::{self, Circuit, EmitKind, Outcome, Target};
use crate::ir;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) fn compile(args: &CompileArgs, terminal: &Terminal) -> Status {
    let fail = |d: &Diagnostic| source::fail_in(d, args.message_format, terminal);
    if args.target != TargetArg::Loihi2 && args.report.is_some() {
        return fail(&usage("`--report` says how a circuit fits on a chip").help("add `--target loihi2`"));
    }
    if args.target != TargetArg::Loihi2 && args.quantise.is_some() {
        return fail(&usage("`--quantise` says what a chip's numbers cost").help("add `--target loihi2`"));
    }
    if args.target != TargetArg::Loihi2 && args.emit == Some(Emit::Sanafe) {
        return fail(&usage("`--emit sanafe` writes what a chip's package holds").help("add `--target loihi2`"));
    }
    if args.target != TargetArg::Loihi2 && args.apart {
        return fail(&usage("`--apart` says how a circuit is laid out on a chip").help("add `--target loihi2`"));
    }
    let target = match target::target(args.target, &args.chip, args.message_format, terminal) {
        Ok(target) => target,
        Err(status) => return status,
    };
    let outcome = match source::compile_for(&args.file, &args.circuit, false, target.clone()) {
        Ok(outcome) => outcome,
        Err(d) => return fail(&d),
    };
    let status = source::report(&outcome, args.message_format, terminal);
    // A tree exists for wrong files too, and is the more useful there.
    if status != Status::Fine && args.emit != Some(Emit::Ast) {
        return status;
    }
    if let (Target::Chip(target), None | Some(Emit::Asm | Emit::Sanafe)) = (&target, args.emit) {
        return status.max(chip::compile(args, target, &outcome, terminal));
    }
    if target == Target::Nir && args.emit.is_none() {
        return status.max(nir::export(args, &outcome, terminal));
    }
    let result = match args.emit {
        Some(stage) => emit(stage, &outcome).and_then(|text| write_text(&text, args.output.as_deref())),
        None => write_artefact(args, &outcome, terminal),
    };
    match result {
        Ok(()) => status,
        Err(d) => status.max(fail(&d)),
    }
}

fn emit(stage: Emit, outcome: &Outcome) -> Result<String, Diagnostic> {
    if stage == Emit::Ast {
        return Ok(outcome.ast.as_ref().map_or_else(String::new, |ast| format!("{ast:#?}\n")));
    }
    let mut out = String::new();
    for job in &outcome.jobs {
        if stage == Emit::Ron {
            let text = artefact::pretty(job).map_err(|e| usage(format!("the circuit has no RON form: {e}")))?;
            out.push_str(&text);
            out.push('\n');
            continue;
        }
        for (k, unit) in job.units.iter().enumerate() {
            let text = match stage {
                Emit::Dot => dot::dot(&unit.network),
                Emit::Clif => driver::emit(unit, EmitKind::Clif)?,
                Emit::Asm => driver::emit(unit, EmitKind::Asm)?,
                Emit::Ir | Emit::Ast | Emit::Ron | Emit::Sanafe => ir::print(&unit.network),
            };
            // Where there are several texts, each says whose it is, in the comment that its language has.
            if outcome.jobs.len() > 1 || job.units.len() > 1 {
                let comment = if matches!(stage, Emit::Ir | Emit::Dot) { "//" } else { ";" };
                out.push_str(&format!("{comment} experiment {}, unit {k}\n", job.experiment));
            }
            out.push_str(&text);
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    Ok(out)
}

pub(super) fn write_text(text: &str, output: Option<&Path>) -> Result<(), Diagnostic> {
    match output {
        Some(path) if path != Path::new("-") => save(path, text.as_bytes()),
        _ => {
            terminal::out(text);
            Ok(())
        }
    }
}

/// Where to write: as asked, else the file's name with an extension.
pub(super) fn output(args: &CompileArgs, extension: &str) -> Result<PathBuf, Diagnostic> {
    match (&args.output, Path::new(&args.file).file_stem()) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(stem)) if args.file != "-" => Ok(PathBuf::from(stem).with_extension(extension)),
        _ => Err(usage("standard input has no name; say where to write with `-o`")),
    }
}

/// The one circuit of a file, where `what` holds one.
pub(super) fn the_circuit<'o>(args: &CompileArgs, outcome: &'o Outcome, what: &str) -> Result<Circuit<'o>, Diagnostic> {
    let circuits: Vec<Circuit> = outcome.circuits().collect();
    match circuits.as_slice() {
        [one] => Ok(*one),
        _ => Err(usage(format!("{what} holds one circuit, and `{}` has {}", args.file, circuits.len()))
            .help("choose an experiment with `--experiment`; one with a sweep over params has several")),
    }
}

fn write_artefact(args: &CompileArgs, outcome: &Outcome, terminal: &Terminal) -> Result<(), Diagnostic> {
    let path = output(args, "nsmart")?;
    if outcome.jobs.is_empty() {
        let d =
            usage(format!("`{}` has neither an experiment nor a network, so there is nothing to compile", args.file));
        return Err(d);
    }
    let hash = artefact::source_hash(&outcome.sources);
    let bytes = artefact::write(&outcome.jobs, hash).map_err(|e| usage(format!("the circuit has no RON form: {e}")))?;
    save(&path, &bytes)?;
    if !terminal.quiet {
        terminal::err(&format!("{}: {} bytes\n", path.display(), bytes.len()));
    }
    Ok(())
}

pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    files::write_atomic(path, |w| w.write_all(bytes)).map_err(|e| codes::unwritable(path, &e))
}
