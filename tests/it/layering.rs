//! The import table of ARCHITECTURE.md: which room may use which. Folders don't keep layers; this does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Room and the rooms that it may import.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("units", &[]),
    ("numerics", &[]),
    ("stdlib", &[]),
    ("runtime", &["numerics"]),
    ("random", &["numerics"]),
    ("connect", &["random"]),
    ("record", &["numerics", "units"]),
    ("plot", &["record", "units"]),
    ("script", &["numerics", "random"]),
    ("syntax", &["base"]),
    ("fmt", &["base", "syntax"]),
    ("hir", &["base", "script", "units"]),
    ("sema", &["base", "hir", "record", "script", "syntax", "units"]),
    ("ir", &["connect", "numerics", "script", "units"]),
    ("lower", &["base", "connect", "hir", "ir", "numerics", "random", "script", "sema", "units"]),
    ("valid", &["connect", "ir", "script", "units"]),
    ("passes", &["connect", "ir"]),
    ("graph", &["connect", "ir", "numerics", "script"]),
    ("doc", &["base", "hir", "syntax", "units"]),
    ("backend", &["base", "connect", "ir", "numerics", "random", "runtime", "script", "valid"]),
    ("execute", &["backend", "base", "ir", "random", "record", "script", "units"]),
    ("report", &["chip", "doc", "execute", "ir", "plot", "record", "script", "units"]),
    ("meanfield", &["backend", "connect", "ir", "numerics", "random"]),
    ("chip", &["backend", "base", "ir", "lower", "numerics", "random", "runtime", "script", "units", "valid"]),
    ("nir", &["backend", "base", "ir", "lower", "numerics", "syntax", "units", "valid"]),
    ("checks", &["base", "hir", "ir", "lower", "meanfield", "units"]),
    (
        "driver",
        &[
            "backend",
            "base",
            "checks",
            "chip",
            "execute",
            "hir",
            "ir",
            "lower",
            "meanfield",
            "nir",
            "passes",
            "sema",
            "stdlib",
            "syntax",
            "valid",
        ],
    ),
    ("simulation", &["backend", "base", "cli", "driver", "execute", "ir", "units"]),
    (
        "cli",
        &[
            "base", "chip", "doc", "driver", "execute", "fmt", "graph", "ir", "nir", "plot", "record", "report",
            "syntax", "units",
        ],
    ),
];

fn sources(path: &Path, out: &mut Vec<std::path::PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(path).expect("readable folder").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        entries.iter().for_each(|e| sources(e, out));
    } else if path.is_file() && path.extension().is_some_and(|e| e == "rs") {
        out.push(path.to_path_buf());
    }
}

/// The first names after `crate::` in a file, groups in braces included. Comments are left out: links in docs are no imports.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let names: Vec<&str> = match part.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| match c {
                    '{' => {
                        depth += 1;
                        false
                    }
                    '}' if depth == 0 => true,
                    '}' => {
                        depth -= 1;
                        false
                    }
                    _ => false,
                });
                let mut depth = 0;
                group[..end.unwrap_or(0)]
                    .split(|c| {
                        match c {
                            '{' => depth += 1,
                            '}' => depth -= 1,
                            _ => {}
                        }
                        c == ',' && depth == 0
                    })
                    .collect()
            }
            None => vec![part],
        };
        for name in names {
            let word: String = name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if word.chars().next().is_some_and(|c| c.is_ascii_lowercase()) {
                found.insert(word);
            }
        }
    }
    found
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (room, allowed) in TABLE {
        let mut files = Vec::new();
        sources(&src.join(room), &mut files);
        sources(&src.join(format!("{room}.rs")), &mut files);
        assert!(!files.is_empty(), "room {room} has no file");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("readable source");
            // Unit tests may look wherever they need.
            let code = text.split("#[cfg(test)]\nmod").next().unwrap_or("");
            if file.file_stem().is_some_and(|s| s == "tests" || s == "check") {
                continue;
            }
            for import in imports(code) {
                let is_room = TABLE.iter().any(|(r, _)| *r == import);
                if is_room && import != *room && !allowed.contains(&import.as_str()) {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
                used.entry(room).or_default().insert(import);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (room, allowed) in TABLE {
        for a in *allowed {
            let uses = used.get(room).is_some_and(|u| u.contains(*a));
            assert!(uses, "{room} no longer imports {a}: take it out of the table and of ARCHITECTURE.md");
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    while placed.len() < TABLE.len() {
        let next = TABLE.iter().find(|(r, deps)| !placed.contains(r) && deps.iter().all(|d| placed.contains(d)));
        let (room, _) = next.expect("a circle among the rooms");
        placed.insert(room);
    }
}

#[test]
fn every_room_is_in_the_table() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    for line in lib.lines() {
        if let Some(room) = line.trim().strip_prefix("pub mod ").and_then(|r| r.strip_suffix(';')) {
            assert!(TABLE.iter().any(|(r, _)| *r == room), "room {room} is not in the table");
        }
    }
}
