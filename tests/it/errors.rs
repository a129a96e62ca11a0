//! The wrong inputs of `corpus/err`: each file yields exactly the codes that it is marked with, at the marked lines, and its
//! messages read as recorded; the corrected file beside it yields nothing.
//!
//! A marker is a comment at the end of the line of the primary label: `//~ E0302`, or several codes. Files that a wrong file
//! imports carry their own markers. Takes for granted that tests run in the package's folder.

use crate::common;
use nsm::base::{Diagnostic, Severity, SourceMap};
use nsm::cli::FileLoader;
use nsm::driver::{self, Options, Outcome, Target};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the corpus lies, from the package's folder.
pub const ROOT: &str = "tests/corpus/err";

/// Every file of the corpus that is compiled itself, wrong ones and fixed ones, in order.
pub fn files() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for room in ["syntax", "sema", "lower", "checks", "chip", "nir"] {
        let folder = fs::read_dir(Path::new(ROOT).join(room)).unwrap();
        out.extend(folder.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "nsm")));
    }
    out.sort();
    out
}

/// `E0302_sum` of `sema/E0302_sum.fixed.nsm`, and whether it is the corrected one.
pub fn name(path: &Path) -> (String, bool) {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    match stem.strip_suffix(".fixed") {
        Some(stem) => (stem.to_string(), true),
        None => (stem.to_string(), false),
    }
}

fn compile(path: &Path) -> Outcome {
    let (loader, name) = FileLoader::open(path.to_str().unwrap()).unwrap();
    driver::compile(&loader, &name, &Options { target: target(&self::name(path).0), ..Options::default() })
}

/// What a finding of a code is made for: chips and NIR have their own.
pub fn target(code: &str) -> Target {
    match code.get(..3) {
        Some("E11") => crate::chip::loihi2(),
        Some("E12") => Target::Nir,
        _ => Target::Native,
    }
}

/// File, line and code.
type Finding = (String, usize, String);

fn found(out: &Outcome) -> Vec<Finding> {
    let place = |d: &Diagnostic| match d.span() {
        Some(s) => (out.sources.file(s.file).name.clone(), out.sources.line_column(s.file, s.start).0),
        None => (String::new(), 0),
    };
    let mut all: Vec<Finding> = out
        .diagnostics
        .iter()
        .map(|d| {
            let (file, line) = place(d);
            (file, line, d.code.0.to_string())
        })
        .collect();
    all.sort();
    all
}

fn marked(sources: &SourceMap) -> Vec<Finding> {
    let mut all = Vec::new();
    for (_, file) in sources.iter() {
        for (k, line) in file.text.lines().enumerate() {
            let codes = line.split_once("//~").map_or("", |(_, codes)| codes);
            all.extend(codes.split_whitespace().map(|c| (file.name.clone(), k + 1, c.to_string())));
        }
    }
    all.sort();
    all
}

/// The diagnostics as plain text: what the rendered form is made of, without its drawing.
fn plain(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let kind = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        out += &format!("{kind} {}: {}\n", d.code.0, d.message);
        for l in &d.labels {
            let file = sources.file(l.span.file);
            let (line, column) = sources.line_column(l.span.file, l.span.start);
            let snippet: String = sources.snippet(l.span).chars().take(60).collect();
            let shown = file.name.strip_prefix(ROOT).unwrap_or(&file.name).trim_start_matches('/');
            out += &format!("  {shown}:{line}:{column}  {}  <- {}\n", snippet.lines().next().unwrap_or(""), l.text);
        }
        for n in &d.notes {
            out += &format!("  note: {n}\n");
        }
        if let Some(h) = &d.help {
            out += &format!("  help: {h}\n");
        }
    }
    out
}

#[test]
fn wrong_files_yield_what_they_are_marked_with() {
    let mut wrong = Vec::new();
    for path in files().iter().filter(|p| !name(p).1) {
        let out = compile(path);
        let (found, marked) = (found(&out), marked(&out.sources));
        let code = name(path).0[..5].to_string();
        assert!(marked.iter().any(|m| m.2 == code), "{}: marks no {code}", path.display());
        if found != marked {
            let text = plain(&out.diagnostics.sorted(), &out.sources);
            wrong.push(format!("{}\n  marked {marked:?}\n  found  {found:?}\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fixed_files_yield_nothing() {
    let mut wrong = Vec::new();
    for path in files().iter().filter(|p| name(p).1) {
        let out = compile(path);
        if !out.diagnostics.is_empty() {
            wrong.push(format!("{}\n{}", path.display(), plain(&out.diagnostics.sorted(), &out.sources)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_read_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in files().iter().filter(|p| !name(p).1) {
            let out = compile(path);
            insta::assert_snapshot!(format!("err_{}", name(path).0), plain(&out.diagnostics.sorted(), &out.sources));
        }
    });
}

#[test]
fn every_diagnostic_points_somewhere_and_no_two_say_the_same() {
    for path in files().iter().filter(|p| !name(p).1) {
        let out = compile(path);
        for d in out.diagnostics.iter() {
            let span = d.span().unwrap_or_else(|| panic!("{}: `{}` has no place", path.display(), d.message));
            let file = &out.sources.file(span.file).name;
            assert!(!file.starts_with("std/"), "{}: `{}` blames {file}", path.display(), d.message);
        }
        let mut places: Vec<_> = out.diagnostics.iter().map(|d| (d.span(), &d.message)).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), out.diagnostics.iter().count(), "{}", path.display());
    }
}

/// Every circuit that is shown or measured is free of errors and warnings, those too that no test runs.
#[test]
fn examples_and_benches_are_free_of_findings() {
    let files: Vec<String> = ["examples", "benches"].into_iter().flat_map(common::everywhere).collect();
    assert!(files.len() >= 70, "{files:?}");
    for file in files {
        let out = common::compile_file(&file);
        let warnings: Vec<&str> =
            out.diagnostics.iter().filter(|d| d.severity == Severity::Warning).map(|d| d.message.as_str()).collect();
        assert!(warnings.is_empty(), "{file}: {warnings:?}");
    }
}
