//! The program as a user meets it: exit status, messages, files, artefacts, interruption.

use crate::common::fresh_root;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn nsmc() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_nsmc"));
    c.env("NO_COLOR", "1").current_dir(fresh_root());
    c
}

fn run(args: &[&str]) -> Output {
    nsmc().args(args).output().expect("nsmc starts")
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nsm-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("temporary folder");
    path
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("temporary file");
    path.to_string_lossy().into_owned()
}

/// Runs a file's text and checks status and code; no panic ever.
fn wrong(folder: &Path, name: &str, content: impl AsRef<[u8]>, status: i32, code: &str) -> String {
    let file = write(folder, name, content);
    let out = run(&["run", &file]);
    let text = text(&out);
    assert_eq!(out.status.code(), Some(status), "{name}: {text}");
    assert!(text.contains(code), "{name}: expected {code} in {text}");
    assert!(!text.contains("panicked"), "{name}: {text}");
    text
}

const USES: &str = "use std.neurons.LifDelta\nuse std.neurons.LifExp\n";

fn circuit(body: &str) -> String {
    format!("{USES}network A {{ {body} }}\n")
}

#[test]
fn wrong_input_is_refused_with_its_code() {
    let f = folder("wrong");
    let edge = |rule: &str, weight: &str, delay: &str| {
        circuit(&format!(
            "population E[30]: LifDelta; projection E -> E {{ connect {rule}  weight {weight}  delay {delay} }}"
        ))
    };
    wrong(&f, "missing_unit.nsm", circuit("population E[3]: LifDelta(tau_m = 20)"), 1, "E0309");
    let cell = |rhs: &str| {
        format!("neuron B {{ param tau = 20 ms; state V = 0 mV; V' = {rhs} }}\nnetwork A {{ population E[3]: B }}\n")
    };
    wrong(&f, "equation.nsm", cell("(5 pA - V) / tau"), 1, "E0302");
    wrong(&f, "equation_rate.nsm", cell("-V * tau"), 1, "E0303");
    let weight = "population E[30]: LifExp; projection E -> E.exc { connect bernoulli(0.1)  weight 5 mV  delay 1 ms }";
    wrong(&f, "weight.nsm", circuit(weight), 1, "E0306");
    let text = wrong(&f, "name.nsm", circuit("population E[3]: LifDelt"), 1, "E0201");
    assert!(text.contains("did you mean `LifDelta`"), "{text}");
    wrong(&f, "delay.nsm", edge("bernoulli(0.1)", "1 mV", "0.01 ms"), 1, "E0507");
    wrong(&f, "size.nsm", circuit("population E[-5]: LifDelta"), 1, "E0505");
    wrong(&f, "probability.nsm", edge("bernoulli(1.2)", "1 mV", "1 ms"), 1, "E0508");
    wrong(&f, "indegree.nsm", edge("fixed_indegree(31)", "1 mV", "1 ms"), 1, "E0509");
    wrong(&f, "population.nsm", circuit("population E[1_000_000_000_000]: LifDelta"), 1, "E0506");
    wrong(&f, "literal.nsm", "let a = 1e999\n", 1, "E0310");
    write(&f, "b.nsm", "use \"circle.nsm\"\n");
    let text = wrong(&f, "circle.nsm", "use \"b.nsm\"\n", 1, "E0102");
    assert!(text.contains("b.nsm"), "{text}");
    wrong(&f, "missing.nsm", "use \"nowhere.nsm\"\n", 1, "E0101");
    wrong(&f, "outside.nsm", "use \"../../../../etc/passwd\"\n", 1, "E0103");
    wrong(&f, "deep.nsm", format!("let a = {}1{}\n", "(".repeat(10_000), ")".repeat(10_000)), 1, "E0002");
    wrong(&f, "utf8.nsm", b"let a = 1 \xff\xfe\n", 2, "E0801");
    wrong(&f, "empty.nsm", "", 2, "E0804");
}

#[test]
fn too_large_a_network_is_refused_before_anything_is_allocated() {
    let f = folder("memory");
    let body = "population E[1_000_000]: LifDelta; population F[1_000_000]: LifDelta\n\
                projection E -> F { connect all_to_all  weight 1 mV  delay 1 ms }";
    let text = wrong(&f, "all.nsm", circuit(body), 3, "E0520");
    assert!(text.contains("E->F"), "the estimate names the projection: {text}");
}

#[test]
fn a_run_that_diverges_says_where_and_when() {
    let f = folder("nan");
    let body = "neuron B { state V = 1 mV; V' = V * V / (1 mV * 1 ms) }\nnetwork A { population E[3]: B }\nexperiment X of A { simulate 1 s }\n";
    let text = wrong(&f, "nan.nsm", body, 3, "E0701");
    for part in ["`V`", "E[0]", "ms"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [
        &["run"][..],
        &["run", "no-such-file.nsm"],
        &["fly", "examples/lif.nsm"],
        &["run", "examples/lif.nsm", "--out", "/proc/nsm-out"],
        &["run", "examples/lif.nsm", "--threads", "none"],
        &["explain", "E9999"],
    ] {
        let out = run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out));
    }
}

#[test]
fn an_override_keeps_its_dimension() {
    for (set, code) in [("J=4", "E0514"), ("jj=4", "E0514"), ("J=0.1 mw", "E0514")] {
        let out = run(&["run", "examples/brunel.nsm", "--set", set]);
        assert_ne!(out.status.code(), Some(0), "{set}");
        assert!(text(&out).contains(code), "{set}: {}", text(&out));
    }
}

/// Columns of an array whose number follows a param, and an experiment with two sweeps beside one with none.
fn columns(n: u32) -> String {
    format!(
        "{USES}labels Drive {{ none, some }}
region Column {{ population E[20]: LifExp(I_e = 380 pA) }}
network Columns {{ param n = {n}  region c[n]: Column }}
experiment Driven of Columns {{
    param time = 50 ms
    sweep drive in [none, some]
    sweep current in [400 pA, 500 pA, 600 pA]
    set c[0].E.I_e = if drive == some then current else 0 pA
    simulate time
    measure spikes = count(c[0].E)
    measure fired = count(c[0].E) > 0
    conclude {{
        expect mean(spikes where drive == none) == 0
        expect mean(spikes where drive == some and current == 500 pA) > 0
        expect min(spikes where fired) > 0
    }}
}}
experiment Alone of Columns {{ simulate 10 ms  expect count(c[0].E) == 0 }}
"
    )
}

#[test]
fn sweeps_and_shapes_follow_the_command_line() {
    let f = folder("narrowed");
    let file = write(&f, "columns.nsm", columns(2));
    let driven = |more: &[&str]| run(&[&["run", &file, "--experiment", "Driven"], more].concat());
    let all = driven(&[]);
    assert_eq!(all.status.code(), Some(0), "{}", text(&all));
    assert!(text(&all).contains("6 runs"), "{}", text(&all));
    // What other values would have given is not judged.
    let some = driven(&["--set", "drive=some", "--set", "current=500 pA, 600 pA"]);
    assert_eq!(some.status.code(), Some(0), "{}", text(&some));
    for part in ["2 runs", "skipped"] {
        assert!(text(&some).contains(part), "{part}: {}", text(&some));
    }
    for (set, part) in [("drive=sme", "`some`"), ("current=5 mV", "voltage"), ("driv=some", "`drive`")] {
        let out = driven(&["--set", set]);
        assert_eq!(out.status.code(), Some(2), "{set}: {}", text(&out));
        for part in ["E0514", part] {
            assert!(text(&out).contains(part), "{set}: {part} in {}", text(&out));
        }
    }
    // A param that one experiment alone has is none of the other's business.
    let both = run(&["test", &file, "--set", "time=40 ms"]);
    assert_eq!(both.status.code(), Some(0), "{}", text(&both));
    let wide = run(&["run", &file, "--experiment", "Alone", "--set", "n=5"]);
    assert_eq!(wide.status.code(), Some(0), "{}", text(&wide));
    assert!(text(&wide).contains("c[4].E"), "{}", text(&wide));
    let none = run(&["run", &file, "--experiment", "Alone", "--set", "n=0.5"]);
    assert!(text(&none).contains("E0223"), "{}", text(&none));
}

#[test]
fn what_is_wrong_with_each_region_of_an_array_is_told_once() {
    let f = folder("alike");
    let column = "region Column {
    population E[80]: LifExp(I_e = 380 pA)
    population I[20]: LifExp
    projection E -> I.exc { connect bernoulli(0.1)  weight 20 pA  delay 1 ms }
    projection I -> E.inh { connect bernoulli(0.1)  weight -100 pA  delay 1 ms }
}
network Columns { region c[40]: Column }
experiment Go of Columns { simulate 1 s  expect rate(c[0].E) > 0 Hz }
";
    let file = write(&f, "quiet.nsm", format!("{USES}{column}"));
    let out = run(&["check", &file]);
    let text = text(&out);
    assert_eq!(text.matches("W1005").count(), 1, "{text}");
    assert!(text.contains("the same of `c[1].I`, `c[2].I`, `c[3].I` and 36 more"), "{text}");
}

/// The number of threads is chosen by the work where it is not asked for.
#[test]
fn a_small_circuit_runs_on_one_thread() {
    let f = folder("threads");
    let net = |n: u32| {
        circuit(&format!(
            "population E[{n}]: LifExp(I_e = 300 pA); projection E -> E.exc {{ connect fixed_indegree(10)  weight 1 pA  delay 0.1 ms }}"
        )) + "experiment Go of A { simulate 10 ms  expect count(E) >= 0 }"
    };
    let (small, large) = (write(&f, "small.nsm", net(100)), write(&f, "large.nsm", net(40_000)));
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let threads = |file: &str, more: &[&str]| {
        let out = run(&[&["run", file], more].concat());
        let text = text(&out);
        (1..64).find(|n| text.contains(&format!("native, {n} thread"))).expect("the number of threads")
    };
    assert_eq!(threads(&small, &[]), 1);
    assert_eq!(threads(&small, &["--threads", "2"]), 2);
    assert!(threads(&large, &[]) >= cores);
}

#[test]
fn the_summary_is_one_json_object() {
    let f = folder("summary");
    let dir = f.to_string_lossy().into_owned();
    let out = run(&["run", "examples/waveform.nsm", "--summary", "json", "--out", &dir]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let v: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON alone on standard output");
    for key in [
        "network",
        "experiment",
        "seed",
        "dt_ms",
        "duration_ms",
        "threads",
        "backend",
        "populations",
        "neurons",
        "synapses",
        "synaptic_events",
        "synapses_touched",
        "synapses_stepped",
        "synapse_bytes",
        "compile_s",
        "build_s",
        "run_s",
        "expectations",
        "runs",
        "measures",
    ] {
        assert!(v.get(key).is_some(), "no {key} in {v}");
    }
    let saved = std::fs::read_to_string(f.join("summary.json")).expect("summary.json");
    let saved: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
    assert_eq!(saved["populations"], v["populations"]);
}

/// 12 runs: one after the other, several at once, and more threads than runs.
#[test]
fn runs_at_the_same_time_give_what_they_give_alone() {
    let made = |threads: &str| {
        let f = folder(&format!("runs-on-{threads}"));
        let dir = f.to_string_lossy().into_owned();
        let file = "tests/corpus/ok/circuits/sweep_seeds.nsm";
        let out = run(&["run", file, "--threads", threads, "--summary", "json", "--out", &dir]);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
        let v: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let measured = std::fs::read_to_string(f.join("measures.csv")).expect("measures.csv");
        (v["runs"].clone(), v["populations"].clone(), v["measures"].clone(), v["expectations"].clone(), measured)
    };
    let alone = made("1");
    assert_eq!(alone.0, 12);
    assert_eq!(made("3"), alone);
    assert_eq!(made("16"), alone);
}

/// Three sizes: the middle one is beaten by neither, the last by the first in both aims.
#[test]
fn a_front_is_told_and_written() {
    let f = folder("front");
    let source = "use std.neurons.LifCuba\nnetwork A { population E[4]: LifCuba(bias = 21 mV) }\n\
        experiment Price of A {\n  for size in 0 .. 3 {\n    simulate 10 ms\n    measure good = if size == 1 then 4 else 3 - size\n    \
        measure paid = (4 + size * size) * 1 mV\n  }\n  conclude { plot pareto of mean(good by size), -mean(paid by size) }\n}\n";
    let file = write(&f, "price.nsm", source);
    let dir = f.join("out").to_string_lossy().into_owned();
    let out = run(&["run", &file, "--out", &dir, "--report", "html"]);
    let told = text(&out);
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(told.contains("of the front") && told.contains("-8 mV"), "{told}");
    let saved = std::fs::read_to_string(f.join("out/pareto.csv")).expect("pareto.csv");
    assert_eq!(saved, "size,mean(good by size),-mean(paid by size) (mV),front\n0,3,-4,1\n1,4,-5,1\n2,1,-8,0\n");
    let page = std::fs::read_to_string(f.join("out/report.html")).expect("report.html");
    assert!(page.contains("Trade-offs") && page.contains("-mean(paid by size)"));
}

#[test]
fn what_is_not_plausible_fails_where_it_is_asked_for() {
    let f = folder("plausible");
    let fast = |exempt: &str| {
        let body = format!("population E[4]: LifCuba(bias = 100 mV, t_ref = 1 ms) {{ {exempt} }}");
        let circuit = format!("use std.neurons.LifCuba\nnetwork A {{ {body} }}\n");
        write(&f, "fast.nsm", circuit + "experiment Fires of A { simulate 100 ms as shown }\n")
    };
    let file = fast("exempt active_fraction because \"all are driven\"");
    assert_eq!(run(&["run", &file]).status.code(), Some(0));
    let out = run(&["run", &file, "--plausible"]);
    let told = text(&out);
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert!(told.contains("window shown of 100 ms") && told.contains("exempt: all are driven"), "{told}");
    let file = fast("exempt active_fraction because \"all\"; exempt rate because \"a test\"");
    let out = run(&["run", &file, "--plausible"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
}

#[test]
fn an_artefact_runs_like_its_source() {
    let f = folder("artefact");
    let artefact = f.join("chain.nsmart").to_string_lossy().into_owned();
    let out = run(&["compile", "examples/chain.nsm", "--target", "native", "-o", &artefact]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let figures = |file: &str| {
        let out = run(&["run", file, "--experiment", "Propagates", "--summary", "json"]);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
        let v: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        (v["populations"].clone(), v["expectations"].clone())
    };
    assert_eq!(figures("examples/chain.nsm"), figures(&artefact));
}

#[test]
fn a_damaged_artefact_is_refused() {
    let f = folder("damaged");
    let artefact = f.join("lif.nsmart");
    let name = artefact.to_string_lossy().into_owned();
    let out = run(&["compile", "examples/lif.nsm", "--target", "native", "-o", &name]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    let good = std::fs::read(&artefact).expect("artefact");
    // Spread over the file: its head, its length fields, its content, its end.
    for k in 0..24 {
        let mut bad = good.clone();
        let at = k * (good.len() - 1) / 23;
        bad[at] ^= 1 << (k % 8);
        let file = write(&f, &format!("flip{k}.nsmart"), &bad);
        let out = run(&["run", &file]);
        // A flipped magic makes it a source file; that is refused as such.
        assert!(matches!(out.status.code(), Some(1 | 2)), "byte {at}: {}", text(&out));
        assert!(!text(&out).contains("panicked"), "byte {at}: {}", text(&out));
    }
    for len in [0, 1, 7, 16, good.len() / 2, good.len() - 1] {
        let file = write(&f, &format!("cut{len}.nsmart"), &good[..len]);
        let out = run(&["run", &file]);
        assert!(matches!(out.status.code(), Some(1 | 2)), "{len} bytes: {}", text(&out));
        assert!(!text(&out).contains("panicked"), "{len} bytes: {}", text(&out));
    }
}

#[test]
fn check_as_json_gives_one_object_per_finding() {
    let f = folder("json");
    let file = write(&f, "two.nsm", circuit("population E[-5]: LifDelta; population F[2]: LifExp(tau_n = 3 ms)"));
    let out = run(&["check", &file, "--message-format", "json"]);
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON on every line"))
        .collect();
    assert!(lines.iter().any(|l| l.to_string().contains("E0205")), "{lines:?}");
}

#[test]
fn check_says_in_which_form_each_rule_runs() {
    let said = |args: &[&str]| String::from_utf8_lossy(&run(args).stderr).into_owned();
    let oja = said(&["check", "stdlib/plasticity/oja.nsm"]);
    assert!(oja.contains("  Oja (syn): clock-driven") && oja.contains("because `w`: "), "{oja}");
    let tagged = said(&["check", "examples/learning/distal_reward.nsm"]);
    assert!(tagged.contains("  NearestRewardStdp (tagged, rec, out): lazily decayed"), "{tagged}");
    assert_eq!(said(&["check", "stdlib/plasticity/oja.nsm", "--quiet"]), "");
    assert!(!said(&["check", "examples/brunel.nsm"]).contains("event-driven"));
}

#[test]
fn explain_has_a_page_for_every_code_it_lists() {
    let out = run(&["explain", "E0302"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(text(&out).contains("E0302"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_recorded() {
    use std::time::Duration;
    let f = folder("interrupt");
    let file = write(
        &f,
        "long.nsm",
        format!(
            "{USES}use std.sources.Poisson\nnetwork A {{ population E[2000]: LifDelta; source d: Poisson(rate = 20 kHz); projection d -> E {{ weight 0.1 mV }} }}\n\
             experiment X of A {{ record spikes of E; simulate 10000 s }}\n"
        ),
    );
    let dir = f.join("out");
    let child = nsmc()
        .args(["run", &file, "--out", &dir.to_string_lossy(), "--summary", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("nsmc starts");
    std::thread::sleep(Duration::from_millis(1500));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(out.status.code(), Some(130), "{}", text(&out));
    let spikes = std::fs::metadata(dir.join("spikes.npz")).expect("spikes.npz was written");
    assert!(spikes.len() > 1000);
}
