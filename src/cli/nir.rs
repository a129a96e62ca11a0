//! `nsmc compile --target nir` and `nsmc import`: files of the Neuromorphic Intermediate Representation.

use super::args::{CompileArgs, ImportArgs};
use super::codes::{self, usage};
use super::compile::{output, save, the_circuit};
use super::terminal::{self, Terminal};
use super::{Status, source};
use crate::base::{Diagnostic, LoadError, SourceMap};
use crate::driver::{self, Outcome};
use crate::nir::{hdf5, read, text};
use crate::{fmt as layout, syntax};
use std::path::{Path, PathBuf};

/// A file that is read has at most so many bytes: what it unpacks to has a limit of its own.
const LARGEST: u64 = 1 << 30;

/// Writes the one circuit that is meant.
pub(super) fn export(args: &CompileArgs, outcome: &Outcome, terminal: &Terminal) -> Status {
    let fail = |d: &Diagnostic| source::fail_with(d, &outcome.sources, args.message_format, terminal);
    let (unit, origins) = match the_circuit(args, outcome, "a NIR file") {
        Ok((_, unit, origins)) => (unit, origins),
        Err(d) => return fail(&d),
    };
    let bytes = match driver::nir(unit, origins, args.seed) {
        Ok(bytes) => bytes,
        Err(list) => return list.iter().map(fail).max().unwrap_or(Status::Wrong),
    };
    let path = match output(args, "nir") {
        Ok(path) => path,
        Err(d) => return fail(&d),
    };
    if let Err(d) = save(&path, &bytes) {
        return fail(&d);
    }
    if !terminal.quiet {
        terminal::err(&format!("{}: {} bytes\n", path.display(), bytes.len()));
    }
    Status::Fine
}

/// Writes a NIR file as text, its edges beside it.
pub(super) fn import(args: &ImportArgs, terminal: &Terminal) -> Status {
    match imported(args, terminal) {
        Ok(()) => Status::Fine,
        Err(d) => source::fail_in(&d, args.message_format, terminal),
    }
}

fn imported(args: &ImportArgs, terminal: &Terminal) -> Result<(), Diagnostic> {
    let unreadable = |e: std::io::Error| {
        let known =
            if e.kind() == std::io::ErrorKind::NotFound { LoadError::NotFound } else { LoadError::Io(e.to_string()) };
        codes::unreadable(&args.file, &known)
    };
    let wrong = |what: String| {
        Diagnostic::error(codes::NIR, format!("`{}` can't be read as NIR: {what}", args.file))
            .help("`nsmc explain E0809` says what is read")
    };
    let dt = match args.dt.as_deref().map(driver::time_ms).transpose() {
        Ok(dt) => dt.map(|ms| ms / 1e3),
        Err((what, help)) => return Err(usage(format!("`--dt`: {what}")).help(help)),
    };
    if args.output.as_deref() == Some(Path::new("-")) {
        return Err(usage("edges are files beside the circuit, and standard output has no folder").help("name a file"));
    }
    let size = std::fs::metadata(&args.file).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(wrong(format!("it has {size} bytes, and at most {LARGEST} are read")));
    }
    let bytes = std::fs::read(&args.file).map_err(unreadable)?;
    let graph = hdf5::decode(bytes).map_err(wrong)?;
    let circuit = read::circuit(&graph, dt).map_err(wrong)?;
    let name =
        Path::new(&args.file).file_name().map_or_else(|| args.file.clone(), |n| n.to_string_lossy().into_owned());
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(&name).with_extension("nsm"));
    let stem = output.file_stem().map_or_else(|| "circuit".to_string(), |s| s.to_string_lossy().into_owned());
    let files = text::text(&circuit, &name, &stem);
    for (name, content) in &files.edges {
        save(&output.with_file_name(name), content.as_bytes())?;
    }
    save(&output, formatted(&files.text).as_bytes())?;
    if !terminal.quiet {
        circuit.notes.iter().for_each(|n| terminal::err(&format!("{}: {n}\n", args.file)));
        let edges = files.edges.len();
        terminal::err(&format!(
            "{}: {} populations, edges in {edges} files\n",
            output.display(),
            circuit.populations.len()
        ));
    }
    Ok(())
}

/// In the one layout of files.
fn formatted(text: &str) -> String {
    let mut sources = SourceMap::default();
    let id = sources.add("imported.nsm", text);
    layout::format(&syntax::parse(id, text).file, text)
}
