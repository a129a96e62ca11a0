//! Checkpoints as a user meets them: files, flags, Ctrl-C, a process that is killed.

use nsm::execute::Checkpoint;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

const CIRCUIT: &str = "
use std.neurons.LifDelta
use std.sources.Poisson
network Net {
    source d: Poisson(rate = 20 kHz)
    population E[3000]: LifDelta
    projection d -> E { weight 0.1 mV }
    projection E -> E { connect fixed_indegree(10)  weight 0.1 mV  delay uniform(1 ms, 20 ms) }
}
experiment Go of Net {
    record spikes of E[..50]
    record V of E[..3]
    plot raster of E[..50]
    simulate 1 s
    measure rate = rate(E)
    expect rate(E) in 0 Hz .. 500 Hz
}
experiment Sweep of Net {
    seeds 3
    simulate 20 ms
    measure rate = rate(E)
}
";

/// Synapses that learn, with variables of their own and spikes on their way.
const PLASTIC: &str = "
use std.neurons.LifDelta
use std.plasticity.RewardStdp
use std.sources.Poisson
network Net {
    param reward = 0.3
    source d: Poisson(rate = 20 kHz)
    population E[600]: LifDelta
    projection d -> E { weight 0.1 mV }
    projection rec: E -> E {
        connect fixed_indegree(20)  weight uniform(0 mV, 0.2 mV)  delay uniform(1 ms, 20 ms)
        plasticity RewardStdp(eta = 1 mV/s, w_max = 0.2 mV, M = reward)
    }
}
experiment Go of Net {
    record spikes of E[..50]
    record weights of rec every 20 ms
    simulate 1 s
    measure rate = rate(E)
}
";

fn nsmc(folder: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_nsmc"));
    c.env("NO_COLOR", "1").current_dir(folder).args(args).stdin(Stdio::null());
    c
}

fn run(folder: &Path, args: &[&str]) -> Output {
    nsmc(folder, args).output().expect("nsmc starts")
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("net.nsm"), CIRCUIT).expect("circuit");
    folder
}

/// Every file of a folder of results, the summary without its times.
fn results(folder: PathBuf) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|f| f.expect("file").path())
        .map(|p| (p.file_name().expect("name").to_string_lossy().into_owned(), std::fs::read(&p).expect("content")))
        .collect();
    all.sort();
    for (name, bytes) in &mut all {
        if name == "summary.json" {
            let lines = String::from_utf8_lossy(bytes).into_owned();
            let times = ["\"compile_s\"", "\"build_s\"", "\"run_s\"", "\"threads\""];
            let kept = lines.lines().filter(|l| !times.iter().any(|t| l.contains(t)));
            *bytes = kept.collect::<Vec<_>>().join("\n").into_bytes();
        }
    }
    all
}

const GO: [&str; 4] = ["run", "net.nsm", "--experiment", "Go"];

#[test]
fn a_run_in_parts_writes_the_files_of_one_run() {
    let f = folder();
    let go = |rest: &[&str]| {
        let out = run(f.path(), &[&GO[..], rest].concat());
        assert_eq!(out.status.code(), Some(0), "{rest:?}: {}", text(&out));
    };
    go(&["--for", "90 ms", "--out", "whole", "--threads", "2"]);
    go(&["--for", "40 ms", "--out", "parts", "--threads", "2", "--checkpoint", "state", "--every", "15 ms"]);
    go(&["--for", "70 ms", "--out", "parts", "--threads", "1", "--resume", "state", "--checkpoint", "state"]);
    go(&["--for", "90 ms", "--out", "parts", "--threads", "2", "--resume", "state"]);
    let (whole, parts) = (results(f.path().join("whole")), results(f.path().join("parts")));
    for ((name, a), (other, b)) in whole.iter().zip(&parts) {
        assert_eq!(name, other);
        assert!(a == b, "{name} differs");
    }
    assert_eq!(whole.len(), parts.len());
    assert!(whole.len() >= 5, "{} files", whole.len());
}

#[test]
fn runs_of_a_series_have_files_of_their_own() {
    let f = folder();
    let sweep = |rest: &[&str]| {
        let out = run(f.path(), &[&["run", "net.nsm", "--experiment", "Sweep"], rest].concat());
        assert_eq!(out.status.code(), Some(0), "{rest:?}: {}", text(&out));
    };
    sweep(&["--out", "whole", "--checkpoint", "state.ckpt"]);
    let mut names: Vec<String> = std::fs::read_dir(f.path())
        .expect("folder")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .filter(|n| n.starts_with("state"))
        .collect();
    names.sort();
    assert_eq!(names, ["state-0.ckpt", "state-1.ckpt", "state-2.ckpt"]);
    // One run that was not begun yet, two that were done.
    std::fs::remove_file(f.path().join("state-1.ckpt")).expect("it was there");
    sweep(&["--out", "again", "--resume", "state.ckpt"]);
    assert_eq!(results(f.path().join("whole").join("..").join("whole")), results(f.path().join("again")));
}

#[test]
fn what_can_not_be_resumed_is_refused_with_its_code() {
    let f = folder();
    let go = |rest: &[&str]| run(f.path(), &[&GO[..], rest].concat());
    let wrong = |rest: &[&str], code: &str, words: &str| {
        let out = go(rest);
        let text = text(&out);
        assert_eq!(out.status.code(), Some(2), "{rest:?}: {text}");
        assert!(text.contains(code) && text.contains(words) && !text.contains("panicked"), "{rest:?}: {text}");
    };
    assert_eq!(go(&["--for", "5 ms", "--checkpoint", "state"]).status.code(), Some(0));
    let later = ["--for", "9 ms", "--resume", "state"];
    let with = |more: &'static [&'static str]| [&later[..], more].concat();
    assert_eq!(go(&later).status.code(), Some(0));
    wrong(&with(&["--seed", "2"]), "E0807", "seed 1, this run has seed 2");
    wrong(&with(&["--dt", "0.2 ms"]), "E0807", "steps of 100 us");
    wrong(&with(&["--out", "out"]), "E0807", "without `--out`");
    wrong(&["--for", "4 ms", "--resume", "state"], "E0807", "t = 5 ms");
    wrong(&["--for", "9 ms", "--resume", "nowhere"], "E0801", "nowhere");
    wrong(&["--for", "9 ms", "--resume", "net.nsm"], "E0806", "does not begin like one");
    wrong(&["--for", "9 ms", "--checkpoint", "no/such/state"], "E0803", "no/such");
    wrong(&["--for", "9 ms", "--checkpoint", "x", "--every", "1 mV"], "E0804", "time");
    wrong(&["--for", "9 ms", "--checkpoint", "x", "--every", "1 us"], "E0804", "step");
    assert_eq!(go(&["--for", "9 ms", "--every", "1 ms"]).status.code(), Some(2));
    let mut bytes = std::fs::read(f.path().join("state")).expect("state");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(f.path().join("state"), &bytes).expect("state");
    wrong(&later, "E0806", "checksum");
    bytes.truncate(middle);
    std::fs::write(f.path().join("state"), &bytes).expect("state");
    wrong(&later, "E0806", "bytes");
    std::fs::write(f.path().join("other.nsm"), CIRCUIT.replace("3000", "2999")).expect("circuit");
    assert_eq!(go(&["--for", "5 ms", "--checkpoint", "state"]).status.code(), Some(0));
    let out = run(f.path(), &["run", "other.nsm", "--experiment", "Go", "--for", "9 ms", "--resume", "state"]);
    assert!(text(&out).contains("E0807") && text(&out).contains("`E` is not what it was"), "{}", text(&out));
}

/// Starts a run that writes checkpoints without end.
fn endless(folder: &Path, more: &[&str]) -> Child {
    let args = [&GO[..], &["--for", "100000 s", "--checkpoint", "state"], more].concat();
    nsmc(folder, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nsmc starts")
}

/// When a file was written, if it is there.
fn written(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

/// Waits until a file is there that is not the one written at `before`.
fn wait_for(path: &Path, before: Option<SystemTime>) {
    let begin = Instant::now();
    while written(path).is_none_or(|now| Some(now) == before) {
        assert!(begin.elapsed() < Duration::from_secs(120), "no new {}", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A file that is being written in the folder, or was when its writer died.
#[cfg(unix)]
fn half_written(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder").map(|e| e.expect("entry").path());
    entries.into_iter().find(|p| p.extension().is_some_and(|x| x == "tmp"))
}

/// Twenty times: a run is taken up where it is, goes on, and is killed while it writes or at any moment in between.
#[cfg(unix)]
#[test]
fn a_killed_run_leaves_a_checkpoint() {
    let f = folder();
    std::fs::write(f.path().join("net.nsm"), PLASTIC).expect("circuit");
    let path = f.path().join("state");
    let (mut latest, mut cut_short) = (0.0, 0);
    for kill in 0..20_u64 {
        let more = ["--every", "1 ms", "--out", "out", "--resume", "state"];
        let mut child = endless(f.path(), &more[..if kill == 0 { 4 } else { 6 }]);
        // The first may be that of the moment that it was resumed at.
        for _ in 0..2 {
            wait_for(&path, written(&path));
        }
        if kill.is_multiple_of(2) {
            // Moments that have nothing to do with those of the program, within some of its files.
            std::thread::sleep(Duration::from_micros(31_337 * kill % 53_000));
        } else {
            let begin = Instant::now();
            while half_written(f.path()).is_none() {
                assert!(begin.elapsed() < Duration::from_secs(120), "no checkpoint is written");
            }
            std::thread::sleep(Duration::from_micros(137 * kill));
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        let checkpoint = Checkpoint::read(&std::fs::read(&path).expect("a file")).unwrap_or_else(|e| panic!("{e}"));
        assert!(checkpoint.time_ms() > latest, "kill {kill}: from {latest} to {} ms", checkpoint.time_ms());
        latest = checkpoint.time_ms();
        if let Some(half) = half_written(f.path()) {
            cut_short += 1;
            std::fs::remove_file(half).expect("a temporary file");
        }
    }
    println!("{cut_short} of 20 kills came while a checkpoint was written, the last at {latest} ms");
    assert!(cut_short > 0, "no kill came while a checkpoint was written");
    let end = format!("{} ms", latest + 3.0);
    for (dir, more) in [("out", &["--resume", "state"][..]), ("whole", &[])] {
        let out = run(f.path(), &[&GO[..], &["--for", &end, "--out", dir], more].concat());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    }
    assert!(results(f.path().join("out")) == results(f.path().join("whole")), "results differ after the kills");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_a_checkpoint_and_can_go_on() {
    let f = folder();
    // Small ones at short intervals say that the run is under way; the last is that of the interruption.
    let child = endless(f.path(), &["--every", "5 ms", "--out", "out"]);
    wait_for(&f.path().join("state"), None);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(out.status.code(), Some(130));
    let bytes = std::fs::read(f.path().join("state")).expect("a file");
    let stopped = Checkpoint::read(&bytes).unwrap_or_else(|e| panic!("{e}")).time_ms();
    let time = format!("{} ms", stopped.ceil() + 5.0);
    for (dir, more) in [("out", &["--resume", "state"][..]), ("whole", &[])] {
        let out = run(f.path(), &[&GO[..], &["--for", &time, "--out", dir], more].concat());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    }
    assert!(results(f.path().join("out")) == results(f.path().join("whole")), "results differ after the interruption");
}
