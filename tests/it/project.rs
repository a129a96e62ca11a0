//! Projects, libraries and re-exports: what can be reached, under which name, and what can't.

use nsm::base::SourceMap;
use nsm::cli::FileLoader;
use nsm::driver::{self, Options, Outcome};
use std::path::{Path, PathBuf};

const APP: &str = "tests/corpus/ok/project/app";

fn compile(file: &Path) -> Outcome {
    let (loader, name) = FileLoader::open(&file.to_string_lossy()).expect("the file is there");
    driver::compile(&loader, &name, &Options::default())
}

fn findings(out: &Outcome) -> Vec<String> {
    out.diagnostics.iter().map(|d| format!("{} {}", d.code.0, d.message)).collect()
}

#[test]
fn every_way_to_a_model_leads_to_it() {
    let out = compile(&Path::new(APP).join("main.nsm"));
    assert!(out.diagnostics.is_empty(), "{:?}", findings(&out));
    let models: Vec<(String, String)> =
        out.jobs[0].units[0].network.populations().map(|(_, p)| (p.path.clone(), p.dynamics.model.clone())).collect();
    let wanted = [
        ("by_library", "Leaky"),
        ("renamed", "Leaky"),
        ("from_folder", "Fast"),
        ("also_from_folder", "Slow"),
        ("of_dependency", "Passive"),
        ("through_module", "Leaky"),
        ("folder_as_module", "Slow"),
        ("file_as_module", "Leaky"),
        ("own_folder", "Own"),
        ("own_file", "Own"),
    ];
    assert_eq!(models, wanted.map(|(a, b)| (a.to_string(), b.to_string())));
}

/// A copy of the projects in a folder of its own, with one file of the app replaced.
fn with(name: &str, file: &str, text: &str) -> (PathBuf, Outcome) {
    let folder = std::env::temp_dir().join(format!("nsm-project-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    copy(Path::new("tests/corpus/ok/project"), &folder);
    let path = folder.join(file);
    std::fs::write(&path, text).expect("temporary file");
    let main = if file.ends_with(".nsm") { path } else { folder.join("app/main.nsm") };
    let out = compile(&main);
    (folder, out)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("temporary folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry").path();
        let target = to.join(entry.file_name().expect("name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("copied");
        }
    }
}

#[test]
fn what_is_not_declared_or_not_passed_on_is_not_reached() {
    let cases = [
        // The library of a library is that library's business.
        ("undeclared", "use base.Passive\n", "E0201 there is no library `base`"),
        ("hidden", "use cells.all.Hidden\n", "E0105"),
        ("beside", "use \"../cells/leaky.nsm\".Leaky\n", "E0103"),
        ("none", "use cells.none.Leaky\n", "E0105"),
        ("typo", "use cels.Leaky\n", "E0201 there is no library `cels`"),
    ];
    for (name, text, wanted) in cases {
        let (_, out) = with(name, "app/wrong.nsm", text);
        let found = findings(&out);
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}: {found:?}");
    }
    let (_, out) = with("suggestion", "app/wrong.nsm", "use cels.Leaky\n");
    let help: Vec<_> = out.diagnostics.iter().filter_map(|d| d.help.as_deref()).collect();
    assert_eq!(help, ["did you mean `cells`?"]);
}

/// The tests of a library import it as its users do; those of another project don't.
#[test]
fn a_project_goes_by_its_own_name() {
    let text = "use cells.Leaky\nuse cells.deep.fast.Fast\nuse base.Passive\n\
                network Own { population a[1]: Leaky  population b[1]: Fast  population c[1]: Passive }\n";
    let (folder, out) = with("own-name", "cells/deep/test.nsm", text);
    assert!(out.diagnostics.is_empty(), "{:?}", findings(&out));
    // A dependency of the same name is meant where there is one.
    let manifest = "[project]\nname = \"cells\"\n[dependencies]\ncells = { path = \"../base\" }\n";
    std::fs::write(folder.join("cells/nsm.toml"), manifest).expect("manifest");
    std::fs::write(folder.join("cells/deep/test.nsm"), "use cells.Passive\nnetwork Own { population a[1]: Passive }\n")
        .expect("temporary file");
    let out = compile(&folder.join("cells/deep/test.nsm"));
    assert!(out.diagnostics.is_empty(), "{:?}", findings(&out));
    let (_, out) = with("other-name", "base/test.nsm", "use cells.Leaky\n");
    let found = findings(&out);
    assert!(found.len() == 1 && found[0].starts_with("E0201 there is no library `cells`"), "{found:?}");
}

#[test]
fn a_library_stays_in_its_own_folder() {
    let (_, out) = with("inside", "cells/leaky.nsm", "use \"../app/parts/own.nsm\".Own\n");
    let found = findings(&out);
    assert!(found.iter().all(|f| f.starts_with("E0103")) && !found.is_empty(), "{found:?}");
}

#[test]
fn a_file_imports_from_its_own_folder() {
    // What is asked for stands in the last file; those before it, the asking one among them, are not asked what they mean.
    let text = "use \".\".Zero\nnetwork Both { population a[1]: Zero }\n";
    let (folder, _) = with("own-folder", "cells/deep/both.nsm", text);
    let zero = "use \".\".Both\nneuron Zero {\n    state V = 0 mV\n    V' = -V / 1 ms\n}\n";
    std::fs::write(folder.join("cells/deep/x.nsm"), zero.lines().skip(1).collect::<Vec<_>>().join("\n")).expect("file");
    std::fs::write(folder.join("app/main.nsm"), "use cells.deep.Both\nexperiment Go of Both { simulate 1 ms }\n")
        .expect("temporary file");
    let out = compile(&folder.join("app/main.nsm"));
    assert!(out.diagnostics.is_empty(), "{:?}", findings(&out));
    // Two files that need each other are a circle still.
    std::fs::write(folder.join("cells/deep/x.nsm"), zero).expect("file");
    let found = findings(&compile(&folder.join("app/main.nsm")));
    assert!(found.len() == 1 && found[0].starts_with("E0102"), "{found:?}");
}

#[test]
fn what_a_project_is_stands_beside_what_lies_outside() {
    let (folder, _) = with("outside", "app/main.nsm", "use \"../cells/leaky.nsm\".Leaky\n");
    let help = |file: &str| {
        let out = compile(&folder.join(file));
        let d = out.diagnostics.iter().next().expect("a finding").clone();
        assert!(d.code.0 == "E0103" && d.message.contains("the folder `"), "{}", d.message);
        d.help.unwrap_or_default()
    };
    assert!(help("app/main.nsm").starts_with("its nsm.toml lies there"));
    std::fs::remove_file(folder.join("app/nsm.toml")).expect("manifest");
    assert!(help("app/main.nsm").starts_with("without an nsm.toml"));
    std::fs::write(folder.join("nsm.toml"), "").expect("manifest");
    let found = findings(&compile(&folder.join("app/main.nsm")));
    assert!(found.is_empty(), "{found:?}");
}

/// File and text of every label.
fn labels(out: &Outcome, sources: &SourceMap) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for d in out.diagnostics.iter() {
        for l in &d.labels {
            let name = sources.file(l.span.file).name.clone();
            let tail: Vec<&str> = name.rsplit('/').take(2).collect();
            all.push((format!("{}/{}", tail[1], tail[0]), sources.snippet(l.span).to_string()));
        }
    }
    all
}

#[test]
fn another_version_is_told_with_both_manifests() {
    let text = "[project]\nname = \"cells\"\nversion = \"0.3.0\"\n";
    let (_, out) = with("version", "cells/nsm.toml", text);
    let found = findings(&out);
    assert!(found[0].starts_with("E0110") && found[0].contains("0.3.0") && found[0].contains("^0.2"), "{found:?}");
    let labels = labels(&out, &out.sources);
    for wanted in [("app/main.nsm", "cells"), ("app/nsm.toml", "\"0.2\""), ("cells/nsm.toml", "\"0.3.0\"")] {
        assert!(labels.contains(&(wanted.0.to_string(), wanted.1.to_string())), "{wanted:?} in {labels:?}");
    }
}

#[test]
fn the_main_manifest_is_checked_even_if_nothing_is_imported() {
    for (name, text, code) in [
        ("broken", "[project]\nname = app\n", "E0108"),
        ("compiler", "[project]\nname = \"app\"\nnsm = \">=99\"\n", "E0111"),
    ] {
        let (folder, _) = with(name, "app/nsm.toml", text);
        std::fs::write(folder.join("app/alone.nsm"), "let x = 1\n").expect("temporary file");
        let found = findings(&compile(&folder.join("app/alone.nsm")));
        assert!(found.len() == 1 && found[0].starts_with(code), "{name}: {found:?}");
    }
}

#[test]
fn libraries_that_need_each_other_are_no_circle() {
    let text = "[project]\nname = \"base\"\nversion = \"1.0.0\"\n[dependencies]\ncells = { path = \"../cells\" }\n";
    let (_, out) = with("mutual", "base/nsm.toml", text);
    assert!(out.diagnostics.is_empty(), "{:?}", findings(&out));
}
