//! The page that `nsmc run --report html` writes: as recorded, and number by number against what the run wrote beside it.

use crate::common::fresh_root;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

const CIRCUIT: &str = r#"
use std.neurons.LifCuba
use std.plasticity.PairStdp
use std.sources.Poisson

region Pair {
    population E[20]: LifCuba(bias = 18 mV, sigma = 2 mV) { exempt active_fraction because "all cells are driven <alike>" }
    population I[5]: LifCuba(bias = 19 mV, sigma = 1 mV)
    projection E -> I.exc { connect all_to_all  weight 1 mV  delay 1 ms }
    projection I -> E.inh { connect all_to_all  weight -0.5 mV  delay 1 ms }
    port input drive = E.exc weight 1 mV
    port output out = E
}

network Small {
    dt 0.5 ms
    region left: Pair
    region right: Pair
    source noise: Poisson(rate = 1 kHz)
    projection noise -> left.drive { weight left.drive.weight }
    projection learnt: left.out -> right.drive {
        connect all_to_all
        weight uniform(0.1 mV, 0.3 mV)
        delay 1 ms
        plasticity PairStdp(w_max = 1 mV)
    }
    function "Working memory" by left shown by Trials
    function "relay" by right.E
}

experiment Trials of Small {
    seeds 2
    record spikes of left.E, left.I, right.E, right.I
    record V of left.E[..2] every 1 ms
    record weights of learnt
    plot rate of left.E
    for trial in 0 .. 3 {
        simulate 40 ms
        simulate 60 ms as probe
        measure fired = count(left.E during probe)
    }
    expect rate(left.E) > 1 Hz
    expect rate(right.I) > 1000 Hz
    conclude {
        expect mean(fired) > 0
        plot curve of mean(fired by trial)
    }
}
"#;

/// From a folder, so that places of the page are the same wherever it lies.
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_nsmc"));
    c.env("NO_COLOR", "1").current_dir(folder).args(["--quiet"]).args(args).output().expect("nsmc starts")
}

/// The folder of a finished run with its page.
struct Ran {
    folder: tempfile::TempDir,
    page: String,
}

fn ran(circuit: &str) -> Ran {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("small.nsm"), circuit).expect("circuit");
    let args = ["run", "small.nsm", "--out", "out", "--report", "html", "--threads", "1"];
    let done = run(folder.path(), &args);
    // One expectation can't hold.
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).expect("a report");
    Ran { folder, page }
}

/// What stands between the first `from` and the next `to` after it.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap_or_else(|| panic!("no {to} after {from}"))]
}

/// The numbers of one row of a table, by name. `row` is its attributes.
fn numbers(page: &str, section: &str, row: &str) -> BTreeMap<String, f64> {
    let section = between(page, &format!("<section id=\"{section}\">"), "</section>");
    let row = between(section, &format!("<tr {row}>"), "</tr>");
    row.split("<data class=\"")
        .skip(1)
        .map(|d| {
            let (name, rest) = d.split_once("\" value=\"").expect("a value");
            (name.to_string(), rest.split('"').next().and_then(|v| v.parse().ok()).expect("a number"))
        })
        .collect()
}

/// Time in ms and cell of each spike.
type Train = Vec<(f64, u32)>;

fn spikes(folder: &Path, path: &str) -> Train {
    let file = std::fs::File::open(folder.join("spikes.npz")).expect("spikes.npz");
    let mut zip = zip::ZipArchive::new(file).expect("a zip");
    let mut data = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(&format!("{path}/{name}.npy")).expect(name).read_to_end(&mut bytes).expect("bytes");
        // Magic, version and a 16-bit length stand before the header.
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        bytes.split_off(header)
    };
    let times = data("times_ms").chunks(8).map(|b| f64::from_le_bytes(b.try_into().expect("8"))).collect::<Vec<_>>();
    let senders = data("senders").chunks(4).map(|b| u32::from_le_bytes(b.try_into().expect("4"))).collect::<Vec<_>>();
    times.into_iter().zip(senders).collect()
}

/// Mean CV of the intervals of cells with three spikes.
fn cv(spikes: &[(f64, u32)], size: u32) -> Option<f64> {
    let of = |cell: u32| {
        let times: Vec<f64> = spikes.iter().filter(|s| s.1 == cell).map(|s| s.0).collect();
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / gaps.len() as f64;
        (gaps.len() >= 2).then(|| variance.sqrt() / mean)
    };
    let all: Vec<f64> = (0..size).filter_map(of).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// Share of the cells with a spike in (from, to].
fn active(spikes: &[(f64, u32)], size: u32, from: f64, to: f64) -> f64 {
    let fired = (0..size).filter(|c| spikes.iter().any(|(t, s)| s == c && *t > from && *t <= to)).count();
    fired as f64 / f64::from(size)
}

fn near(found: f64, expected: f64, what: &str) {
    // Sums in another order.
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: {found}, expected {expected}");
}

#[test]
fn every_number_is_the_recorded_one() {
    let Ran { folder, page } = ran(CIRCUIT);
    let out = folder.path().join("out");
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).expect("summary")).expect("JSON");
    let mut energy = (0.0, 0.0);
    for (path, size) in [("left.E", 20), ("left.I", 5), ("right.E", 20), ("right.I", 5)] {
        let runs = [spikes(&out.join("run-0"), path), spikes(&out.join("run-1"), path)];
        let mean = |f: &dyn Fn(&Train) -> f64| (f(&runs[0]) + f(&runs[1])) / 2.0;
        let row = numbers(&page, "activity", &format!("data-path=\"{path}\""));
        let count = mean(&|s| s.len() as f64);
        near(row["size"], f64::from(size), path);
        near(row["spikes"], count, path);
        near(row["rate_hz"], count / (f64::from(size) * 0.3), path);
        near(row["active"], mean(&|s| active(s, size, 0.0, 300.0)), path);
        let cvs: Vec<f64> = runs.iter().filter_map(|s| cv(s, size)).collect();
        match row.get("cv_isi") {
            Some(found) => near(*found, cvs.iter().sum::<f64>() / cvs.len() as f64, path),
            None => assert!(cvs.is_empty(), "{path}"),
        }
        let figures = &summary["populations"][path];
        near(row["rate_hz"], figures["rate_hz"].as_f64().expect("rate"), path);
        // Three windows of 60 ms in each run.
        let windows = || runs.iter().flat_map(|s| [40.0, 140.0, 240.0].map(|from| (s, from)));
        let row = numbers(&page, "activity", &format!("data-window=\"probe\" data-path=\"{path}\""));
        let shares: Vec<f64> = windows().map(|(s, from)| active(s, size, from, from + 60.0)).collect();
        near(row["active"], shares.iter().sum::<f64>() / 6.0, path);
        near(row["most_active"], shares.iter().copied().fold(0.0, f64::max), path);
        let inside =
            |s: &[(f64, u32)], from: f64| s.iter().filter(|(t, _)| *t > from && *t <= from + 60.0).count() as f64;
        let rates: Vec<f64> = windows().map(|(s, from)| inside(s, from) / (f64::from(size) * 0.06)).collect();
        near(row["rate_hz"], rates.iter().sum::<f64>() / 6.0, path);
        near(row["highest_hz"], rates.iter().copied().fold(0.0, f64::max), path);
        // What is judged is the worst of these.
        let judged = numbers(&page, "validation", &format!("data-path=\"{path}\" data-check=\"active_fraction\""));
        near(judged["worst"], row["most_active"], path);
        energy.0 += count;
        // One population's spikes go to all cells of the next; those of left.E to right.E as well.
        energy.1 += count
            * if path == "left.E" {
                25.0
            } else if path == "right.E" {
                5.0
            } else {
                20.0
            };
    }
    let counted = |name: &str| numbers(&page, "energy", &format!("data-count=\"{name}\""))["run"];
    near(counted("spikes"), energy.0, "spikes");
    near(counted("synaptic_events"), summary["synaptic_events"].as_f64().expect("events"), "events");
    // Spikes of the last 1 ms are still on their way.
    assert!(counted("synaptic_events") <= energy.1 && counted("synaptic_events") > 0.9 * energy.1);
    near(counted("updates"), 50.0 * 600.0, "updates");
    near(counted("dense"), summary["synapses"].as_f64().expect("synapses") * 600.0, "dense");
    let joule = |by: &str| numbers(&page, "energy", &format!("data-by=\"{by}\""));
    // Of a run and of a step stand in one row; the step's is read last.
    near(joule("Loihi 2, as often given")["joule"], counted("synaptic_events") * 1e-11 / 600.0, "10 pJ");
    let fired = numbers(&page, "results", "data-measure=\"fired\"");
    near(fired["mean"], summary["measures"]["fired"]["mean"].as_f64().expect("mean"), "fired");
}

/// The page without drawings, looks, wall times and versions, a tag to a line.
fn masked(page: &str) -> String {
    let mut text = page.to_string();
    for (from, to) in [("<svg", "</svg>"), ("<style>", "</style>"), ("<tr class=\"wall\">", "</tr>")] {
        while let Some(start) = text.find(from) {
            let end = start + text[start..].find(to).expect("an end") + to.len();
            text.replace_range(start..end, &format!("[{}]", from.trim_matches(['<', '>'])));
        }
    }
    let version = between(&text, "versions</th><td>", "</td>").to_string();
    text.replace(&version, "[version]").replace("><", ">\n<").replace("\n<td", " <td").replace("\n</td", "</td")
}

#[test]
fn a_small_circuit_is_told_as_recorded() {
    let Ran { page, .. } = ran(CIRCUIT);
    // The name of SVG is no address.
    assert_eq!(page.matches("http").count(), page.matches("xmlns=\"http").count(), "nothing is loaded");
    assert!(!page.contains("<script") && !page.contains("<link"));
    assert!(page.contains("all cells are driven &lt;alike&gt;"), "text of the author is escaped");
    insta::assert_snapshot!("report", masked(&page));
}

#[test]
fn an_artefact_gives_the_same_page() {
    let Ran { folder, page } = ran(CIRCUIT);
    assert!(run(folder.path(), &["compile", "small.nsm", "-o", "small.nsmart"]).status.success());
    run(folder.path(), &["run", "small.nsmart", "--out", "again", "--report", "html", "--threads", "1"]);
    let again = std::fs::read_to_string(folder.path().join("again/report.html")).expect("a report");
    assert_eq!(masked(&page), masked(&again));
}

#[test]
fn a_report_wants_a_folder() {
    let out = run(&fresh_root(), &["run", "examples/lif.nsm", "--report", "html"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--out"));
}
