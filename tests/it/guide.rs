//! The guide in `docs/`: its circuits do what it says, its reference names every rule of the grammar, its list of errors and
//! its table of contents are complete.
//!
//! A block of source says in its fence how it is checked:
//! - `nsm`: a whole file that compiles without a finding;
//! - `nsm,run`: the same, and its experiments run and hold;
//! - `nsm,file NAME`: the same as `nsm`, and the blocks after it on its page may import it by NAME;
//! - `nsm,wrong CODE`: a whole file that gives this code and no other;
//! - `nsm,fragment WHERE`: parses as part of a `neuron`, `plasticity`, `network`, `experiment` or `sleep`, or as an `expr`;
//! - `nsm,later`: a whole file that parses and is in its layout, for what this version gives no meaning yet.

use crate::lab::{self, Files};
use nsm::base::FileId;
use nsm::driver::{self, Options};
use nsm::script::{Distribution, Func, Stat};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BOOK: &str = "docs/src";

fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("folder of the guide").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|x| x == "md") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(Path::new(BOOK), &mut out);
    out
}

struct Block {
    page: String,
    line: usize,
    kind: String,
    text: String,
    /// The files that stand before it on its page: name and text.
    beside: Vec<(String, String)>,
}

impl Block {
    fn files(&self) -> Files {
        self.beside.iter().fold(Files::new(&self.text), |files, (name, text)| files.and(name, text))
    }

    fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// Every block of `.nsm` in the guide. The pages of errors have their own test.
fn blocks() -> Vec<Block> {
    let mut out = Vec::new();
    for path in pages().iter().filter(|p| !p.ends_with("errors.md")) {
        let text = std::fs::read_to_string(path).expect("page");
        let mut lines = text.lines().enumerate();
        let mut beside: Vec<(String, String)> = Vec::new();
        while let Some((k, line)) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else { continue };
            let body: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect();
            if kind == "nsm" || kind.starts_with("nsm,") {
                let kind = kind.strip_prefix("nsm").unwrap_or(kind).trim_start_matches(',').to_string();
                let text = body.join("\n") + "\n";
                let file = kind.strip_prefix("file ").map(|name| (name.to_string(), text.clone()));
                out.push(Block { page: path.display().to_string(), line: k + 1, kind, text, beside: beside.clone() });
                beside.extend(file);
            }
        }
    }
    out
}

fn syntax_errors(text: &str) -> Vec<String> {
    let parsed = nsm::syntax::parse(FileId(0), text);
    parsed.errors.into_iter().map(|e| e.into_diagnostic().message).collect()
}

/// The file that a fragment stands in.
fn wrapped(place: &str, text: &str) -> Option<String> {
    Some(match place {
        "neuron" => format!("neuron Wrapped {{\n{text}}}\n"),
        "plasticity" => format!("plasticity Wrapped {{\n{text}}}\n"),
        "network" => format!("network Wrapped {{\n{text}}}\n"),
        "experiment" => format!("experiment Wrapped of Some {{\n{text}}}\n"),
        "conclude" => format!("experiment Wrapped of Some {{ conclude {{\n{text}}} }}\n"),
        "phase" => format!("sleep Wrapped of Some {{ cycle {{ phase one 1 s {{\n{text}}} }} }}\n"),
        "expr" => text.lines().enumerate().map(|(k, l)| format!("let x{k} = {l}\n")).collect(),
        "file" => text.to_string(),
        _ => return None,
    })
}

#[test]
fn every_block_does_what_its_fence_says() {
    let mut bad = Vec::new();
    let mut count = 0;
    for b in blocks() {
        let (kind, rest) = b.kind.split_once(' ').unwrap_or((&b.kind, ""));
        count += 1;
        match kind {
            "" | "run" | "file" => {
                let out = driver::compile(&b.files(), "main.nsm", &Options::default());
                if !out.diagnostics.is_empty() {
                    bad.push(format!("{}: {}", b.place(), lab::messages(&out)));
                }
            }
            "wrong" => {
                let out = driver::compile(&Files::new(&b.text), "main.nsm", &Options::default());
                let found: BTreeSet<&str> = out.diagnostics.iter().map(|d| d.code.0).collect();
                if found != BTreeSet::from([rest]) {
                    bad.push(format!("{}: wanted {rest}, found {}", b.place(), lab::messages(&out)));
                }
            }
            "fragment" => match wrapped(rest, &b.text) {
                Some(text) => bad.extend(syntax_errors(&text).into_iter().map(|e| format!("{}: {e}", b.place()))),
                None => bad.push(format!("{}: a fragment of `{rest}`?", b.place())),
            },
            "later" => bad.extend(syntax_errors(&b.text).into_iter().map(|e| format!("{}: {e}", b.place()))),
            _ => bad.push(format!("{}: what is `{kind}`?", b.place())),
        }
        // Whole files are shown as the formatter would write them.
        if matches!(kind, "" | "run" | "file" | "later") && syntax_errors(&b.text).is_empty() {
            let parsed = nsm::syntax::parse(FileId(0), &b.text);
            let formatted = nsm::fmt::format(&parsed.file, &b.text);
            if formatted != b.text {
                bad.push(format!("{}: not in its layout, which is\n{formatted}", b.place()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(count >= 45, "{count} blocks");
}

#[test]
fn what_the_guide_runs_runs_and_holds() {
    let mut count = 0;
    for b in blocks().iter().filter(|b| b.kind == "run") {
        let out = driver::compile(&b.files(), "main.nsm", &Options::default());
        assert!(!out.jobs.is_empty(), "{}: {}", b.place(), lab::messages(&out));
        for job in &out.jobs {
            for point in &job.points {
                let ran = lab::run(&job.units[point.unit], point, 1, lab::NATIVE, true);
                let ran = ran.unwrap_or_else(|e| panic!("{}: {e}", b.place()));
                assert!(ran.outcome.error.is_none(), "{}: {:?}", b.place(), ran.outcome.error);
                for e in ran.outcome.expectations.iter() {
                    assert!(e.holds() || e.was_skipped(), "{}: `{}` does not hold", b.place(), e.text);
                }
            }
        }
        count += 1;
    }
    assert!(count >= 8, "{count} experiments");
}

/// Rules that are one sign or one word, helpers without a trace, and entry points of the recovery: they have no section of
/// their own.
fn is_detail(rule: &str, kind: &str) -> bool {
    kind.starts_with('_') || rule.starts_with("kw_") || rule.starts_with("piece_") || rule == "COMMENT"
}

#[test]
fn the_reference_names_every_rule_of_the_grammar() {
    let grammar = std::fs::read_to_string("grammar/nsm.pest").expect("grammar");
    let reference = reference();
    let mut missing = Vec::new();
    for line in grammar.lines().filter(|l| !l.starts_with(['/', ' '])) {
        let Some((rule, kind)) = line.split_once('=') else { continue };
        let (rule, kind) = (rule.trim(), kind.trim());
        if !is_detail(rule, kind) && !reference.contains(&format!("`{rule}`")) {
            missing.push(rule.to_string());
        }
    }
    assert!(missing.is_empty(), "not in the reference: {missing:?}");
    // Every keyword is named where its item is described.
    let named: BTreeSet<&str> = reference.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let words = grammar.lines().filter_map(|l| l.strip_prefix("kw_")?.split_whitespace().next());
    let unnamed: Vec<&str> = words.filter(|w| !named.contains(w)).collect();
    assert!(unnamed.is_empty(), "keywords not in the reference: {unnamed:?}");
}

/// The reference as it stands in the table of contents under that word.
fn reference() -> String {
    let of_it = |p: &PathBuf| p.starts_with(Path::new(BOOK).join("reference"));
    pages().iter().filter(|p| of_it(p)).map(|p| std::fs::read_to_string(p).expect("page")).collect()
}

#[test]
fn the_reference_names_every_function_statistic_and_thing_of_the_library() {
    let text = reference();
    let mut names: BTreeSet<String> = Stat::ALL.iter().map(|(name, _)| name.to_string()).collect();
    names.extend(Func::ALL.iter().map(|f| f.name().to_string()));
    names.extend(Distribution::ALL.iter().map(|d| d.name().to_string()));
    for (path, source) in nsm::stdlib::FILES {
        let stem = path.rsplit('/').next().and_then(|f| f.strip_suffix(".nsm")).expect("a file").replace('_', "");
        for line in source.lines() {
            // What is indented belongs to another thing; models by another name than the file's are there for its test.
            let Some((word, rest)) = line.split_once(' ') else { continue };
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if word == "let" || (word != "network" && word != "experiment" && name.to_lowercase() == stem) {
                names.insert(name);
            }
        }
    }
    let missing: Vec<&String> =
        names.iter().filter(|n| !text.contains(&format!("`{n}`")) && !text.contains(&format!("`{n}("))).collect();
    assert!(missing.is_empty(), "not in the reference: {missing:?}");
}

#[test]
fn the_list_of_errors_is_up_to_date() {
    let path = Path::new(BOOK).join("errors.md");
    let wanted = nsm::cli::markdown();
    if std::env::var_os("UPDATE_GUIDE").is_some() {
        std::fs::write(&path, &wanted).expect("docs/src/errors.md");
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "write it anew: nsmc explain --all --markdown > docs/src/errors.md");
}

#[test]
fn every_page_is_in_the_contents_and_every_link_leads_somewhere() {
    let summary = std::fs::read_to_string(Path::new(BOOK).join("SUMMARY.md")).expect("SUMMARY.md");
    let mut bad = Vec::new();
    for path in pages() {
        let name = path.strip_prefix(BOOK).expect("below the book").display().to_string();
        if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
            bad.push(format!("{name} is not in SUMMARY.md"));
        }
        let text = std::fs::read_to_string(&path).expect("page");
        let prose = text.split("\n```").step_by(2);
        for target in prose.flat_map(|part| part.split("](").skip(1)).filter_map(|p| p.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            let there = path.parent().expect("folder").join(file);
            if !target.starts_with("http") && !file.is_empty() && !there.exists() {
                bad.push(format!("{name}: {target} leads nowhere"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn the_reference_of_commands_names_every_command_and_flag() {
    let page = std::fs::read_to_string(Path::new(BOOK).join("commands.md")).expect("commands.md");
    let help = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_nsmc")).args(args).output().expect("nsmc starts");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let mut missing = Vec::new();
    let main = help(&["--help"]);
    let commands = main.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    let commands: Vec<&str> = commands.filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(commands.len() >= 9, "{main}");
    for command in commands {
        if !page.contains(&format!("nsmc {command}")) {
            missing.push(command.to_string());
        }
        for word in help(&[command, "--help"]).split_whitespace().filter(|w| w.starts_with("--")) {
            let flag = word.trim_end_matches([',', '.', ')']);
            if flag.len() > 2 && !page.contains(flag) {
                missing.push(format!("{command} {flag}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in commands.md: {missing:?}");
}

/// A command that can't be run as it stands is worse than none: a file with several experiments asks which of them.
#[test]
fn commands_name_files_and_experiments_that_are_there() {
    let mut texts = pages();
    texts.extend(["README.md", "docs/results.md", "docs/performance.md", "docs/shown.md"].map(PathBuf::from));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in texts {
        let text = std::fs::read_to_string(&page).expect("page");
        for (number, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices("run ") {
                let command = line[at + 4..].split(['`', '|', ';', '#']).next().unwrap_or_default();
                let mut words = command.split_whitespace();
                let file = words.next().unwrap_or_default();
                // `FILE` and `NAME` stand for what the reader puts there.
                let placed = ["examples/", "benches/"].iter().any(|folder| file.starts_with(folder));
                if !placed || !file.ends_with(".nsm") || file.contains("FILE") || file.contains("NAME") {
                    continue;
                }
                seen += 1;
                let place = format!("{}:{}: {command}", page.display(), number + 1);
                let Ok(source) = std::fs::read_to_string(file) else {
                    wrong.push(format!("{place}: no such file"));
                    continue;
                };
                let heads = source.lines().filter_map(|l| l.strip_prefix("experiment "));
                let names: Vec<&str> = heads.filter_map(|l| l.split([' ', '(']).next()).collect();
                match words.find(|w| *w == "--experiment").and_then(|_| words.next()) {
                    Some("NAME") => {}
                    Some(name) if names.contains(&name) => {}
                    None if names.len() <= 1 => {}
                    _ => wrong.push(format!("{place}: its experiments are {}", names.join(", "))),
                }
            }
        }
    }
    assert!(seen > 40, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
