//! `nsmc graph`: the circuit as a drawing.

use super::args::GraphArgs;
use super::codes::{self, usage};
use super::terminal::{self, Terminal};
use super::{Status, files, source};
use crate::base::Diagnostic;
use crate::driver::Outcome;
use crate::graph;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) fn graph(args: &GraphArgs, terminal: &Terminal) -> Status {
    let outcome = match source::compile(&args.file, &args.circuit, false) {
        Ok(outcome) => outcome,
        Err(d) => return source::fail_in(&d, args.message_format, terminal),
    };
    let status = source::report(&outcome, args.message_format, terminal);
    if status != Status::Fine {
        return status;
    }
    let done =
        drawing(&outcome, &args.file).and_then(|svg| write(&svg, &args.file, args.output.as_deref(), "svg", terminal));
    match done {
        Ok(()) => status,
        Err(d) => source::fail_in(&d, args.message_format, terminal),
    }
}

/// Of several experiments with one network, the first one's sizes are drawn.
fn drawing(outcome: &Outcome, file: &str) -> Result<String, Diagnostic> {
    let first = outcome.jobs.first();
    if let Some(other) = outcome.jobs.iter().find(|j| first.is_some_and(|f| f.network != j.network)) {
        let network = first.map_or("", |f| f.network.as_str());
        let message = format!("`{file}` has several circuits: `{network}` and `{}` among them", other.network);
        return Err(usage(message).help("choose one by an experiment of it: --experiment NAME"));
    }
    let unit = first.and_then(|j| j.units.first());
    let unit = unit.ok_or_else(|| usage(format!("`{file}` has neither an experiment nor a network to draw")))?;
    Ok(graph::draw::svg(&graph::figure(&unit.network)))
}

/// Writes a result to `output`, to standard output for `-`, else to the file's own name with `extension` in this folder.
pub(super) fn write(
    text: &str,
    file: &str,
    output: Option<&Path>,
    extension: &str,
    terminal: &Terminal,
) -> Result<(), Diagnostic> {
    let path = match output {
        Some(path) => path.to_path_buf(),
        None => match Path::new(file).file_stem() {
            Some(stem) if file != "-" => PathBuf::from(stem).with_extension(extension),
            _ => PathBuf::from("-"),
        },
    };
    if path == Path::new("-") {
        terminal::out(text);
        return Ok(());
    }
    files::write_atomic(&path, |w| w.write_all(text.as_bytes())).map_err(|e| codes::unwritable(&path, &e))?;
    if !terminal.quiet {
        terminal::err(&format!("{}: {} bytes\n", path.display(), text.len()));
    }
    Ok(())
}
