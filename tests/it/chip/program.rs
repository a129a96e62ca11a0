//! The commands for chips as a user meets them: which chip, what fits, reports.

use crate::common::fresh_root;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

pub fn run(args: &[&str]) -> Output {
    let mut nsmc = Command::new(env!("CARGO_BIN_EXE_nsmc"));
    nsmc.env("NO_COLOR", "1").current_dir(fresh_root()).args(args).output().expect("nsmc starts")
}

/// Both streams, with lines that were broken to fit a terminal joined again.
pub fn text(out: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    text.replace('│', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("temporary file");
    path.to_string_lossy().into_owned()
}

const WAVE: &str = "tests/corpus/ok/circuits/chip_wave.nsm";
const MISSION: &str = "examples/chip/mission.nsm";

fn figures(rest: &str) -> String {
    format!(
        "Target(\n    form: 1,\n    name: \"ours\",\n    version: \"1\",\n    base: Some(\"loihi2\"),\n    figures: {{\n{rest}    }},\n)\n"
    )
}

fn figure(key: &str, value: &str) -> String {
    figures(&format!("        \"{key}\": (value: {value}, mark: Assumed, source: \"our board\"),\n"))
}

fn compile(package: &Path, more: &[&str]) -> Output {
    let package = package.to_string_lossy();
    let args = [&["compile", WAVE, "--target", "loihi2", "--for", "300 ms", "-o", &package], more].concat();
    run(&args)
}

#[test]
fn a_wrong_chip_is_told_with_its_code_and_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |chip: &str| run(&["check", WAVE, "--target", "loihi2", "--chip", chip]);
    let wrong = |chip: &str, status: i32, words: &[&str]| {
        let out = check(chip);
        let text = text(&out);
        assert_eq!(out.status.code(), Some(status), "{text}");
        for word in words {
            assert!(text.contains(word), "expected {word} in {text}");
        }
    };
    wrong("nsm_papr", 2, &["E0801", "did you mean `nsm_paper`"]);
    wrong("nowhere.ron", 2, &["E0801", "loihi2, loihi1, nsm_paper"]);
    let file = |name: &str, content: &str| write(dir.path(), name, content);
    wrong(&file("key.ron", &figure("core.synapse_word", "9")), 2, &["E0808", "key.ron:7:9", "`core.synapse_words`"]);
    wrong(&file("range.ron", &figure("number.weight_bits", "9")), 2, &["E0808", "range.ron:7:9", "1 .. 8"]);
    wrong(&file("whole.ron", &figure("core.compartments", "1.5")), 2, &["E0808", "a whole number"]);
    wrong(&file("text.ron", "not a target"), 2, &["E0808", "text.ron:1:"]);
    wrong(
        &file("missing.ron", "Target(form: 1, name: \"m\", version: \"1\", figures: {})"),
        2,
        &["E0808", "chip.cores"],
    );
    // The circuit has delays of two steps: one of the synapse's own.
    wrong(&file("short.ron", &figure("number.delay_steps", "0")), 1, &["E1102", "at most 1 (1 ms)"]);
    assert_eq!(check(&file("fine.ron", &figure("core.compartments", "32"))).status.code(), Some(0));
    let out = run(&["check", WAVE, "--chip", "loihi2"]);
    assert!(out.status.code() == Some(2) && text(&out).contains("--target loihi2"), "{}", text(&out));
    let out = run(&["compile", WAVE, "--apart"]);
    assert!(out.status.code() == Some(2) && text(&out).contains("--target loihi2"), "{}", text(&out));
}

#[test]
fn a_circuit_that_fits_no_core_is_told_at_its_population() {
    let dir = tempfile::tempdir().expect("a folder");
    for (key, value, word) in
        [("core.synapse_words", "20", "words of synapse memory"), ("core.neuron_bytes", "5", "bytes of state")]
    {
        let chip = write(dir.path(), "small.ron", &figure(key, value));
        let out = compile(&dir.path().join("none.nsmpkg"), &["--chip", &chip]);
        let text = text(&out);
        assert_eq!(out.status.code(), Some(1), "{text}");
        assert!(text.contains("E1108") && text.contains("chip_wave.nsm:8:16") && text.contains(word), "{text}");
        assert!(!dir.path().join("none.nsmpkg").exists());
        if key == "core.neuron_bytes" {
            let both =
                ["`E`: a cell takes ", "`I`: a cell takes ", ": V 3, ", "all else fits: with room for that, on "];
            both.iter().for_each(|words| assert!(text.contains(words), "{words}: {text}"));
        }
    }
    let chip = write(
        dir.path(),
        "few.ron",
        &figures(
            "        \"core.compartments\": (value: 4, mark: Assumed, source: \"x\"),\n        \"chip.chips\": (value: 1, mark: Assumed, source: \"x\"),\n        \"chip.cores\": (value: 9, mark: Assumed, source: \"x\"),\n",
        ),
    );
    let out = compile(&dir.path().join("none.nsmpkg"), &["--chip", &chip]);
    assert!(text(&out).contains("E1108") && text(&out).contains("1 chips have 9"), "{}", text(&out));
}

#[test]
fn reports_are_text_json_and_a_page_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let chip = write(dir.path(), "small.ron", &figure("core.compartments", "32"));
    let package = dir.path().join("wave.nsmpkg");
    let made = |more: &[&str]| {
        let out = compile(&package, &[&["--chip", &chip], more].concat());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
        (out, std::fs::read(&package).expect("a package"))
    };
    let (out, bytes) = made(&["--report", "json"]);
    let report: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let packets = report["traffic"]["mapping"]["packets"].as_f64().expect("packets");
    let baselines = report["traffic"]["baselines"].as_array().expect("baselines");
    assert_eq!(baselines.len(), 3);
    assert!(baselines.iter().all(|b| b[1]["packets"].as_f64().is_some_and(|p| packets <= p)), "{baselines:?}");
    assert!(report["traffic"]["bound"].as_f64().is_some_and(|bound| 0.0 < bound && bound <= packets));
    assert_eq!(report["fit"]["per_core"].as_array().map(Vec::len), report["fit"]["cores"].as_u64().map(|n| n as usize));
    assert_eq!(report["binding"]["resource"], "neurons");
    let place = report["binding"]["users"][0]["place"].as_str().expect("a place");
    assert!(place.ends_with("chip_wave.nsm:8:16"), "{place}");
    let (_, again) = made(&["--report", "text"]);
    assert_eq!(bytes, again, "the same seed gives the same package");
    let (_, other) = made(&["--seed", "2"]);
    assert_ne!(bytes, other);
    // A package is of one seed.
    let wave = package.to_str().expect("a path");
    let out = run(&["run", wave, "--backend", "loihi2", "--seed", "7"]);
    assert!(out.status.code() == Some(2) && text(&out).contains("the package has seed 2"), "{}", text(&out));
    assert_eq!(run(&["run", wave, "--backend", "loihi2", "--seed", "2"]).status.code(), Some(0));
    let (out, _) = made(&["--report", "text"]);
    for word in ["what binds: neurons", "round-robin", "loihi1-sanafe", "gpu-paper", "assumes 10 pJ", "rms error"] {
        assert!(text(&out).contains(word), "expected {word} in {}", text(&out));
    }
    made(&["--report", "html"]);
    let page = std::fs::read_to_string(dir.path().join("wave.html")).expect("a page");
    assert!(page.contains("<svg") && page.contains("core 0: neurons") && page.ends_with("</html>\n"), "{page}");
    for word in ["<script", "<link", "src=", "href="] {
        assert!(!page.contains(word), "the page needs {word}");
    }
}

/// The table of the paper: PFC 8 cores, hippocampus 18, basal ganglia 8, cerebellum 18.
#[test]
fn the_regions_of_the_mission_take_52_cores_of_the_paper() {
    let dir = tempfile::tempdir().expect("a folder");
    let package = dir.path().join("mission.nsmpkg").to_string_lossy().into_owned();
    let flags = ["--target", "loihi2", "--chip", "nsm_paper", "--apart", "--for", "10 ms", "--report", "json"];
    let out = run(&[&["compile", MISSION, "-o", &package], &flags[..]].concat());
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let report: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let regions = report["regions"].as_array().expect("regions").iter();
    let table: Vec<_> =
        regions.map(|r| (r["path"].as_str().unwrap_or(""), r["size"].as_u64(), r["cores"].as_u64())).collect();
    let row = |name, size, cores| (name, Some(size), Some(cores));
    assert_eq!(table, [row("pfc", 1024, 8), row("hc", 2300, 18), row("bg", 900, 8), row("cb", 2250, 18)]);
    assert_eq!(report["fit"]["cores"], 52);
}

/// Dopamine as an event and as a level, and trains of a rate that params choose.
#[test]
fn regions_that_learn_by_dopamine_are_legal_as_they_are() {
    for file in ["examples/regions/bandit.nsm", "examples/regions/values.nsm"] {
        let out = run(&["check", file, "--target", "loihi2"]);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    }
}

/// Two experiments, one with two circuits: what it concludes from both is left open in either package.
#[test]
fn each_circuit_of_a_file_gets_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let text = "use std.neurons.LifDelta\nnetwork Driven {\n    dt 1 ms\n    param bias = 25 mV\n    \
                population E[3]: LifDelta(bias = bias)\n}\nexperiment Sweep of Driven(bias = b) {\n    \
                sweep b in [22 mV, 30 mV]\n    simulate 100 ms\n    measure r = rate(E)\n    conclude {\n        \
                expect mean(r where b == 30 mV) > mean(r where b == 22 mV)\n    }\n}\n\
                experiment Once of Driven {\n    simulate 50 ms\n    expect count(E) > 0\n}\n";
    let file = write(folder.path(), "driven.nsm", text);
    let package = folder.path().join("driven.nsmpkg");
    let out = run(&["compile", &file, "--target", "loihi2", "-o", &package.to_string_lossy()]);
    assert_eq!(out.status.code(), Some(0), "{}", self::text(&out));
    for name in ["driven-Sweep-1", "driven-Sweep-2", "driven-Once"] {
        let package = folder.path().join(name).with_extension("nsmpkg");
        let out = run(&["run", &package.to_string_lossy(), "--backend", "loihi2"]);
        assert_eq!(out.status.code(), Some(0), "{name}: {}", self::text(&out));
    }
}
