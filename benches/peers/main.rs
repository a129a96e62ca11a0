//! nsmc beside the peers on seven published models: `cargo bench --bench peers`.
//!
//! Every round runs each program once, one after the other, so that a busy minute of the machine hits all of them. Each run is a
//! process of its own; what is compared is the time of the simulation loop alone, as each program measures it itself. A run whose
//! mean rate lies outside the model's range is refused. `--help` lists the options; docs/performance.md says what the columns mean.

mod bound;
mod models;
mod table;

use clap::Parser;
use models::{MODELS, Model};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// One timed run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub model: String,
    pub program: String,
    pub threads: usize,
    pub neurons: f64,
    pub synapses: f64,
    pub sim_ms: f64,
    pub dt_ms: f64,
    /// From text to something that can run, s.
    pub compile_s: f64,
    pub build_s: f64,
    pub run_s: f64,
    pub rate_hz: f64,
    /// Spikes times the mean number of synapses of a neuron, where the program does not count them.
    pub events: f64,
    /// Largest resident memory, MB, less what the program holds before it has a network.
    pub memory_mb: f64,
    /// What synapses alone take, where the program says so.
    pub synapse_bytes: Option<f64>,
}

#[derive(Parser)]
#[command(about = "Run nsmc and every simulator found on the same models, interleaved, and print the table")]
struct Options {
    /// Rounds; medians are of all of them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Models to run, of cuba, cuba20k, coba, brunel, brunel_stdp, microcircuit, cobahh
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Thread counts
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Peers to run, of nest, brian2, annarchy; none: nsmc alone
    #[arg(long, value_delimiter = ',', default_values_t = ["nest".to_owned(), "brian2".to_owned(), "annarchy".to_owned()])]
    peers: Vec<String>,
    /// Precisions of nsmc's cells, of f64, f32
    #[arg(long, value_delimiter = ',', default_values_t = ["f64".to_owned(), "f32".to_owned()])]
    precision: Vec<String>,
    /// The Python that the peers are installed in (see benches/peers/install.sh)
    #[arg(long, env = "PEERS_PYTHON")]
    python: Option<PathBuf>,
    /// The nsmc to measure; several are compared with one another
    #[arg(long, value_delimiter = ',')]
    nsmc: Vec<PathBuf>,
    /// Where each run is written down, one JSON object a line
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers.jsonl"))]
    log: PathBuf,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match compare(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compare(mut options: Options) -> Result<(), String> {
    if options.nsmc.is_empty() {
        options.nsmc.push(PathBuf::from(env!("CARGO_BIN_EXE_nsmc")));
    }
    let python = options.python.clone().or_else(default_python);
    if python.is_none() {
        eprintln!("no Python with peers found: nsmc alone (bash benches/peers/install.sh, or --python)");
        options.peers.clear();
    }
    let chosen = |m: &&Model| options.models.is_empty() || options.models.iter().any(|name| name == m.name);
    let unwritten = |e: std::io::Error| format!("{}: {e}", options.log.display());
    options.log.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(unwritten)?;
    let mut log = OpenOptions::new().create(true).append(true).open(&options.log).map_err(unwritten)?;
    let bound = bound::scatter_add();
    println!("streaming scatter-add, constant weight: {bound:.2} ns an event on one thread\n");
    for model in MODELS.iter().filter(chosen) {
        let mut runs = Vec::new();
        for round in 1..=options.rounds {
            for threads in &options.threads {
                for (k, nsmc) in options.nsmc.iter().enumerate() {
                    let name = if k == 0 { "nsmc".to_owned() } else { format!("nsmc{}", k + 1) };
                    for precision in &options.precision {
                        let name = if precision == "f64" { name.clone() } else { format!("{name} {precision}") };
                        runs.extend(run_nsmc(model, nsmc, &name, precision, *threads, round));
                    }
                }
                for peer in &options.peers {
                    if let Some(python) = &python {
                        runs.extend(run_peer(model, python, peer, *threads, round));
                    }
                }
            }
        }
        for run in &runs {
            let line = serde_json::to_string(run).map_err(|e| e.to_string())?;
            writeln!(log, "{line}").map_err(unwritten)?;
        }
        let (timed, refused): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|r| model.rate_hz.contains(&r.rate_hz));
        for run in refused {
            println!("refused: {} on {} gave {:.2} Hz", run.program, run.model, run.rate_hz);
        }
        println!("{}", table::of(model, &timed, bound));
    }
    Ok(())
}

fn default_python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join(".cache")))?;
    Some(cache.join("nsm-peers/bin/python")).filter(|p| p.exists())
}

/// Standard output of a command, and the most memory it held, MB.
fn output(command: &mut Command) -> Result<(String, f64), String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|e| e.to_string())?;
    let status = format!("/proc/{}/status", child.id());
    // The kernel keeps the peak; it is read until the process has gone.
    let watch = std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let Some(line) = text.lines().find_map(|l| l.strip_prefix("VmHWM:")) else { break };
            let kb = line.split_whitespace().next().and_then(|v| v.parse::<f64>().ok());
            peak = peak.max(kb.unwrap_or(0.0) / 1024.0);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        peak
    });
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    let peak = watch.join().unwrap_or(0.0);
    Ok((String::from_utf8_lossy(&out.stdout).into_owned(), peak))
}

fn run_nsmc(model: &Model, nsmc: &Path, name: &str, precision: &str, threads: usize, round: usize) -> Option<Run> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(model.file);
    let base = |ms: f64, threads: usize| {
        let mut command = Command::new(nsmc);
        command.arg("run").arg(&file).args(["--quiet", "--summary", "json", "--for"]).arg(format!("{ms} ms"));
        command.arg("--threads").arg(threads.to_string()).arg("--seed").arg(round.to_string()).args(model.ours);
        command.args(["--precision", precision]);
        command
    };
    let told = output(&mut base(model.sim_ms, threads)).and_then(|(text, peak)| {
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        Ok((json, peak))
    });
    let (json, peak) = match told {
        Ok(told) => told,
        Err(e) => {
            println!("failed: {name} on {}: {e}", model.name);
            return None;
        }
    };
    let number = |key: &str| json[key].as_f64().unwrap_or(f64::NAN);
    let spikes: f64 = json["populations"].as_object()?.values().filter_map(|p| p["spikes"].as_f64()).sum();
    Some(Run {
        model: model.name.to_owned(),
        program: name.to_owned(),
        threads,
        neurons: number("neurons"),
        synapses: number("synapses"),
        sim_ms: model.sim_ms,
        dt_ms: number("dt_ms"),
        compile_s: number("compile_s"),
        build_s: number("build_s"),
        run_s: number("run_s"),
        rate_hz: spikes / number("neurons") / model.sim_ms * 1e3,
        events: number("synaptic_events"),
        memory_mb: peak,
        synapse_bytes: Some(number("synapse_bytes")),
    })
}

/// What the scripts of `benches/peers` print.
#[derive(Deserialize)]
struct Told {
    n: f64,
    synapses: f64,
    sim_ms: f64,
    dt_ms: f64,
    build_s: f64,
    codegen_s: Option<f64>,
    run_s: f64,
    spikes: f64,
    mean_rate_hz: f64,
    peak_rss_mb: f64,
    base_rss_mb: Option<f64>,
}

fn run_peer(model: &Model, python: &Path, peer: &str, threads: usize, round: usize) -> Option<Run> {
    let script = format!("{}/benches/peers/{peer}_{}.py", env!("CARGO_MANIFEST_DIR"), model.script);
    if !Path::new(&script).exists() {
        return None;
    }
    let mut command = Command::new(python);
    command.arg(&script).args(model.theirs).arg("--threads").arg(threads.to_string());
    command.arg("--seed").arg(round.to_string()).env("OMP_NUM_THREADS", threads.to_string());
    if let (Some(bin), Some(path)) = (python.parent(), std::env::var_os("PATH")) {
        // ANNarchy calls cmake and its own tools by name.
        let paths = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths).ok()?);
    }
    let (text, _) = output(&mut command).ok()?;
    let told = text.lines().find(|l| l.starts_with('{')).and_then(|l| serde_json::from_str::<Told>(l).ok());
    let Some(t) = told else {
        println!("failed: {peer} on {} with {threads} thread(s)", model.name);
        return None;
    };
    Some(Run {
        model: model.name.to_owned(),
        program: peer.to_owned(),
        threads,
        neurons: t.n,
        synapses: t.synapses,
        sim_ms: t.sim_ms,
        dt_ms: t.dt_ms,
        compile_s: t.codegen_s.unwrap_or(0.0),
        build_s: t.build_s,
        run_s: t.run_s,
        rate_hz: t.mean_rate_hz,
        events: t.spikes * t.synapses / t.n,
        memory_mb: t.peak_rss_mb - t.base_rss_mb.unwrap_or(0.0),
        synapse_bytes: None,
    })
}
