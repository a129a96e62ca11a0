//! From a file of the command line to compiled jobs, with its diagnostics shown.

use super::args::{CircuitArgs, MessageFormat, PrecisionArg};
use super::codes::{self, usage};
use super::terminal::{self, Terminal};
use super::{Status, loader::FileLoader, messages, render};
use crate::base::{Diagnostic, LoadError, Severity, SourceMap};
use crate::driver::{self, Options, Outcome, Target};
use std::fs;
use std::path::Path;

/// Compiles `file`. `Err` where it can't be read or a flag asks for what isn't there; diagnostics of the circuit are in the
/// outcome and have not been shown.
pub(super) fn compile(file: &str, circuit: &CircuitArgs, quick: bool) -> Result<Outcome, Diagnostic> {
    compile_for(file, circuit, quick, Target::Native)
}

/// As [`compile`], with what the target can't do among the diagnostics.
pub(super) fn compile_for(
    file: &str,
    circuit: &CircuitArgs,
    quick: bool,
    target: Target,
) -> Result<Outcome, Diagnostic> {
    // Asked before the file is opened: flags are wrong whatever the file says.
    if circuit.precision == PrecisionArg::F32 && matches!(target, Target::Chip(_)) {
        let d = usage("`--precision f32` is of this machine, and a chip has numbers of its own");
        return Err(d.help("leave `--precision` out; `--quantise report` says what the chip's numbers cost"));
    }
    let (loader, name) = FileLoader::open(file).map_err(|e| codes::unreadable(file, &e))?;
    Ok(driver::compile(&loader, &name, &Options { target, ..options(circuit, quick) }))
}

pub(super) fn options(circuit: &CircuitArgs, quick: bool) -> Options {
    Options {
        set: circuit.set.clone(),
        dt: circuit.dt.clone(),
        experiment: circuit.experiment.clone(),
        for_time: circuit.for_time.clone(),
        alone: false,
        quick,
        precision: circuit.precision.precision(),
        target: Target::Native,
    }
}

/// Shows all diagnostics and says what they mean for the exit status.
pub(super) fn report(outcome: &Outcome, format: MessageFormat, terminal: &Terminal) -> Status {
    let list = outcome.diagnostics.sorted();
    match format {
        MessageFormat::Human => render::show(&list, &outcome.sources, terminal),
        MessageFormat::Json => list.iter().for_each(|d| terminal::out(&messages::json(d, &outcome.sources))),
    }
    list.iter().map(status_of).max().unwrap_or(Status::Fine)
}

/// Shows one diagnostic that belongs to no source.
pub(super) fn fail(diagnostic: &Diagnostic, terminal: &Terminal) -> Status {
    render::show([diagnostic], &SourceMap::default(), terminal);
    status_of(diagnostic)
}

/// Prints a result for people. Standard output holds JSON alone where messages are JSON.
pub(super) fn tell(text: &str, format: MessageFormat) {
    match format {
        MessageFormat::Human => terminal::out(text),
        MessageFormat::Json => terminal::err(text),
    }
}

/// As [`fail`], in either format.
pub(super) fn fail_in(diagnostic: &Diagnostic, format: MessageFormat, terminal: &Terminal) -> Status {
    fail_with(diagnostic, &SourceMap::default(), format, terminal)
}

/// Shows one diagnostic of these sources.
pub(super) fn fail_with(
    diagnostic: &Diagnostic,
    sources: &SourceMap,
    format: MessageFormat,
    terminal: &Terminal,
) -> Status {
    match format {
        MessageFormat::Human => render::show([diagnostic], sources, terminal),
        MessageFormat::Json => terminal::out(&messages::json(diagnostic, sources)),
    }
    status_of(diagnostic)
}

/// Codes of flags that the circuit refuses: `--set`, `--for`, `--experiment`.
const USAGE_CODES: [&str; 3] = ["E0514", "E0604", "E0605"];
/// Codes of limits and of kernels that this machine can't make.
const LIMIT_CODES: [&str; 2] = ["E0520", "E0607"];

/// What a diagnostic means for the exit status. E07.. are those of runs, E08.. those of files and usage; all others but a few
/// say that the circuit is wrong.
pub(super) fn status_of(d: &Diagnostic) -> Status {
    let code = d.code.0;
    match d.severity {
        Severity::Error if code.starts_with("E07") || LIMIT_CODES.contains(&code) => Status::Failed,
        Severity::Error if code.starts_with("E08") || USAGE_CODES.contains(&code) => Status::Usage,
        Severity::Error => Status::Wrong,
        Severity::Warning | Severity::Note => Status::Fine,
    }
}

/// The files meant by `paths`: files as they are, folders by the `.nsm` files below them, in order of name. The flag says
/// whether a file was named itself.
pub(super) fn collect(paths: &[String]) -> Result<Vec<(String, bool)>, Diagnostic> {
    let mut all = Vec::new();
    for path in paths {
        if path != "-" && Path::new(path).is_dir() {
            let mut below = Vec::new();
            walk(Path::new(path), 0, &mut below)?;
            below.sort();
            all.extend(below.into_iter().map(|p| (p, false)));
        } else {
            all.push((path.clone(), true));
        }
    }
    Ok(all)
}

/// Folders within folders; deeper ones are a loop of links.
const FOLDER_DEPTH: usize = 64;

fn walk(folder: &Path, depth: usize, out: &mut Vec<String>) -> Result<(), Diagnostic> {
    let fail = |e: std::io::Error| codes::unreadable(&folder.to_string_lossy(), &LoadError::Io(e.to_string()));
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(fail)?;
        let path = entry.path();
        if kind.is_dir() && !hidden && depth < FOLDER_DEPTH {
            walk(&path, depth + 1, out)?;
        } else if path.extension().is_some_and(|x| x == "nsm") && path.is_file() {
            out.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
