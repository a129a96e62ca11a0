//! The printed forms of compiled circuits: IR text, RON that loads back equal, CLIF; and what the formatter makes of every file.

use crate::common::{compile_file, corpus, fresh_root};
use nsm::driver::{self, EmitKind};
use nsm::ir;

/// Circuits whose printed forms are kept: every construct of the IR occurs in one of them.
const KEPT: &[&str] = &[
    "examples/brunel.nsm",
    "examples/coba.nsm",
    "examples/izhikevich.nsm",
    "examples/waveform.nsm",
    "tests/corpus/ok/circuits/weights_random.nsm",
    "tests/corpus/ok/circuits/delays_random.nsm",
    "tests/corpus/ok/circuits/connect_where.nsm",
    "tests/corpus/ok/circuits/params_random.nsm",
    "tests/corpus/ok/circuits/crosses.nsm",
    "tests/corpus/ok/circuits/source_times.nsm",
    "tests/corpus/ok/circuits/set_lasting.nsm",
    "tests/corpus/ok/circuits/noise.nsm",
    "tests/corpus/ok/circuits/coupling_delays.nsm",
    "tests/corpus/ok/circuits/gap_junctions.nsm",
    "tests/corpus/ok/circuits/every_threshold.nsm",
];

fn label(file: &str) -> String {
    file.trim_end_matches(".nsm").replace('/', "__")
}

#[test]
fn ir_text() {
    for file in KEPT {
        let out = compile_file(file);
        let text: String =
            out.jobs.iter().flat_map(|j| &j.units).map(|u| ir::print(&u.network)).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(format!("ir__{}", label(file)), text);
    }
}

/// What was proved for each rule of the library, on the circuits of its own file and in the examples of learning.
#[test]
fn forms_of_rules() {
    let mut lines = std::collections::BTreeSet::new();
    for file in crate::common::folder("stdlib/plasticity").iter().chain(&crate::common::folder("examples/learning")) {
        for network in compile_file(file).jobs.iter().flat_map(|j| &j.units).map(|u| &u.network) {
            lines.extend(network.plasticity.iter().map(|r| format!("{}: {}", r.name, r.summary())));
        }
    }
    let text: String = lines.into_iter().collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("forms_of_rules", text);
}

#[test]
fn ron_text() {
    // One in full: the others differ in size, not in kind.
    let out = compile_file("tests/corpus/ok/circuits/lif_exp.nsm");
    let text = ron::ser::to_string_pretty(&out.jobs[0], ron::ser::PrettyConfig::default()).expect("RON");
    insta::assert_snapshot!("ron__lif_exp", text);
}

#[test]
fn ron_loads_back_equal() {
    let mut count = 0;
    for file in corpus() {
        let out = compile_file(&file);
        for job in &out.jobs {
            let text = ron::to_string(job).expect("RON");
            let back: ir::artefact::Job = ron::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(*job, back, "{file}");
            driver::verify(&back).unwrap_or_else(|d| panic!("{file}: {}", d.message));
            count += 1;
        }
    }
    assert!(count >= 50, "{count} jobs");
}

#[test]
fn clif_text() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    for file in ["examples/brunel.nsm", "examples/coba.nsm", "tests/corpus/ok/circuits/every_threshold.nsm"] {
        let out = compile_file(file);
        let text = driver::emit(&out.jobs[0].units[0], EmitKind::Clif).expect("CLIF");
        insta::assert_snapshot!(format!("clif__{}", label(file)), text);
    }
}

#[test]
fn formatting_keeps_every_file() {
    let root = fresh_root();
    let mut count = 0;
    for file in corpus() {
        let text = std::fs::read_to_string(root.join(&file)).expect("corpus file");
        let parse = |t: &str| nsm::syntax::parse(nsm::base::FileId(0), t);
        let first = parse(&text);
        assert!(first.errors.is_empty(), "{file}");
        let once = nsm::fmt::format(&first.file, &text);
        let second = parse(&once);
        assert!(second.errors.is_empty(), "{file} does not parse after formatting:\n{once}");
        assert_eq!(once, nsm::fmt::format(&second.file, &once), "{file}: formatting twice differs");
        if file.starts_with("examples") || file.starts_with("stdlib") {
            assert_eq!(text, once, "{file} is not in canonical layout: run `nsmc fmt {file}`");
        }
        count += 1;
    }
    assert!(count >= 60, "{count} files");
}
