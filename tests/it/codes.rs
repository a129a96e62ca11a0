//! Every code has a page and, where a file alone can show it, a wrong and a fixed file; every page shows what it says.

use crate::errors;
use nsm::base::{Code, LoadError, Loader};
use nsm::cli::{CLI_CODES, PAGES};
use nsm::driver::{self, Options};
use nsm::execute::RUN_CODES;
use std::collections::{BTreeMap, BTreeSet};

/// Codes that no file alone can show, and why.
const WITHOUT_FILE: &[(&str, &str)] = &[
    ("E0003", "a file of 16 MiB is no example; the room's own tests make one"),
    ("E0099", "an error of the parser's own, which no text is known to show"),
    ("E0514", "--set, --dt and --for"),
    ("E0520", "found when an engine is made, against the memory of the machine"),
    ("E0604", "--for"),
    ("E0605", "--experiment"),
    ("E0606", "a damaged artefact"),
    ("E0607", "a failure of the code generator"),
    ("E0701", "a run"),
    ("E0702", "a run"),
    ("E0703", "a run"),
    ("E0704", "a run"),
    ("E0705", "a run"),
    ("E0706", "a run"),
    ("E0708", "a program that embeds a circuit"),
    ("E0709", "a run on a chip"),
    ("E0801", "the command line"),
    ("E0802", "the command line"),
    ("E0803", "the command line"),
    ("E0804", "the command line"),
    ("E0805", "the command line"),
    ("E0806", "the command line"),
    ("E0807", "the command line"),
    ("E0808", "the command line"),
    ("E0809", "a NIR file"),
    ("E1106", "found when a package is made"),
    ("E1108", "found when a package is made"),
    ("E1109", "a bug of the mapper"),
    ("E1203", "found when a NIR file is made"),
];

/// Pages whose code their text can't show in a block of source, and why.
const WITHOUT_BLOCK: &[(&str, &str)] = &[
    ("E0002", "256 brackets"),
    ("E0004", "a name of 1 KiB"),
    ("E0104", "a file that is not UTF-8"),
    ("E0106", "a folder or a device"),
    ("E0108", "a manifest"),
    ("E0109", "a manifest"),
    ("E0110", "two manifests"),
    ("E0111", "a manifest"),
];

fn all_codes() -> BTreeSet<&'static str> {
    use nsm::syntax::codes as c;
    let syntax = [
        c::UNEXPECTED,
        c::TOO_DEEP,
        c::FILE_TOO_LARGE,
        c::NAME_TOO_LONG,
        c::UNIT_OPERATOR,
        c::OPEN_STRING,
        c::UNBALANCED,
        c::BAD_NUMBER,
        c::UNKNOWN_ITEM,
        c::BAD_ESCAPE,
        c::BAD_CHARACTER,
        c::FOREIGN_OPERATOR,
        c::RESERVED_NAME,
        c::DETACHED,
        c::CHAINED_COMPARISON,
        c::INTERNAL,
    ];
    let mut all: Vec<Code> = syntax.to_vec();
    all.extend(nsm::sema::error::ALL);
    all.extend(nsm::lower::error::ALL);
    all.extend(nsm::checks::error::ALL);
    all.extend([driver::INVALID_IR, nsm::backend::native::CODEGEN]);
    all.extend(RUN_CODES);
    all.extend(CLI_CODES);
    all.extend([nsm::simulation::CALL]);
    all.extend(nsm::chip::legalise::CODES);
    all.extend(nsm::nir::CODES);
    let set: BTreeSet<&str> = all.iter().map(|c| c.0).collect();
    assert_eq!(set.len(), all.len(), "a code is given twice");
    set
}

fn listed(list: &'static [(&str, &str)]) -> BTreeSet<&'static str> {
    list.iter().map(|(code, _)| *code).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: BTreeSet<&str> = PAGES.iter().map(|(code, _)| *code).collect();
    assert_eq!(pages, all_codes());
}

#[test]
fn every_code_has_a_wrong_and_a_fixed_file() {
    let mut wrong = BTreeSet::new();
    let mut fixed = BTreeSet::new();
    for path in errors::files() {
        let (name, is_fixed) = errors::name(&path);
        if is_fixed {
            fixed.insert(name)
        } else {
            wrong.insert(name)
        };
    }
    assert_eq!(wrong, fixed, "a wrong file has its fixed one beside it");
    let shown: BTreeSet<&str> = wrong.iter().map(|n| &n[..5]).collect();
    let without = listed(WITHOUT_FILE);
    assert_eq!(without.intersection(&shown).next(), None, "listed as impossible, but there");
    let both: BTreeSet<&str> = shown.union(&without).copied().collect();
    assert_eq!(both, all_codes());
}

/// The files of a page: its text alone can be imported.
struct Page(BTreeMap<String, String>);

impl Loader for Page {
    fn resolve(&self, _: &str, path: &str) -> Result<String, LoadError> {
        if path.starts_with("..") || path.starts_with('/') {
            return Err(LoadError::Outside { project: ".".to_string(), manifest: false });
        }
        if self.0.contains_key(path) { Ok(path.to_string()) } else { Err(LoadError::NotFound) }
    }

    fn folder(&self, _: &str) -> Option<Vec<String>> {
        None
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::NotFound)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        self.text(name).map(String::into_bytes)
    }
}

/// The fenced blocks of a part of a page: what the fence says, and the text.
fn blocks(part: &str) -> Vec<(&str, String)> {
    let mut out = Vec::new();
    let mut lines = part.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
            out.push((kind, body.join("\n") + "\n"));
        }
    }
    out
}

/// The codes that the first `nsm` block of a part gives; its other blocks are files, each named in its first line: `// a.nsm`
/// or `# a.csv`.
fn codes_of(code: &str, part: &str) -> Option<Vec<&'static str>> {
    let blocks = blocks(part);
    let main = blocks.iter().find(|(kind, _)| *kind == "nsm")?;
    let mut files = BTreeMap::new();
    for (_, text) in &blocks {
        let first = text.lines().next().unwrap_or("").trim_start_matches(['/', '#']).trim();
        if first.ends_with(".nsm") || first.ends_with(".csv") {
            files.insert(first.to_string(), text.clone());
        }
    }
    files.insert("page.nsm".to_string(), main.1.clone());
    let options = Options { target: errors::target(code), ..Options::default() };
    let out = driver::compile(&Page(files), "page.nsm", &options);
    Some(out.diagnostics.iter().map(|d| d.code.0).collect())
}

#[test]
fn pages_show_what_they_say() {
    let without: BTreeSet<&str> = listed(WITHOUT_FILE).union(&listed(WITHOUT_BLOCK)).copied().collect();
    let mut bad = Vec::new();
    for (code, text) in PAGES {
        let Some((wrong, right)) = text.split_once("\nRight:") else {
            if !without.contains(code) {
                bad.push(format!("{code}: no `Right:`"));
            }
            continue;
        };
        let (wrong, right) = (codes_of(code, wrong), codes_of(code, right));
        if without.contains(code) {
            continue;
        }
        if wrong.as_deref() != Some(&[*code]) {
            bad.push(format!("{code}: the wrong example gives {wrong:?}"));
        }
        if right.as_deref() != Some(&[]) {
            bad.push(format!("{code}: the right example gives {right:?}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
