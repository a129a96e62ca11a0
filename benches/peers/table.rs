//! The printed figures of a model.

use crate::Run;
use crate::models::Model;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A table of the model's runs, fastest first, and the ratios that matter.
pub fn of(model: &Model, runs: &[Run], bound: f64) -> String {
    let mut groups: BTreeMap<(usize, &str), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        groups.entry((run.threads, &run.program)).or_default().push(run);
    }
    let mut text = format!("## {}: {} ms\n\n", model.name, model.sim_ms);
    text.push_str("| program | threads | runs | Hz | compile s | build s | run s (least) | ns/event | ns/update | B/synapse | MB | run, of nsmc's |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    let mut rows: Vec<Row> = groups.iter().map(|((threads, name), runs)| Row::of(name, *threads, runs)).collect();
    rows.extend(recorded(model, &rows));
    rows.sort_by(|a, b| (a.threads, a.run_s).partial_cmp(&(b.threads, b.run_s)).unwrap_or(std::cmp::Ordering::Equal));
    for row in &rows {
        let ours = rows.iter().find(|r| r.name == "nsmc" && r.threads == row.threads);
        row.write(&mut text, ours.map(|r| r.run_s));
    }
    text.push('\n');
    let ours = |name: &str, threads: usize| rows.iter().find(|r| r.name == name && r.threads == threads);
    let peers = || rows.iter().filter(|r| !r.name.starts_with("nsmc"));
    let fastest = |rows: &mut dyn Iterator<Item = &Row>| -> Option<(String, usize, f64)> {
        rows.min_by(|a, b| a.run_s.total_cmp(&b.run_s)).map(|r| (r.name.clone(), r.threads, r.run_s))
    };
    for name in ["nsmc", "nsmc f32"] {
        let Some(one) = ours(name, 1) else { continue };
        if let Some((peer, _, run_s)) = fastest(&mut peers().filter(|r| r.threads == 1)) {
            let _ = writeln!(
                text,
                "- {name}, 1 thread: {:.2} times as fast as the fastest peer ({peer})",
                run_s / one.run_s
            );
        }
        if let Some(nest) = peers().find(|r| r.name == "nest" && r.threads == 1) {
            let _ = writeln!(text, "- {name}, 1 thread: {:.1} times as fast as NEST", nest.run_s / one.run_s);
        }
        if let Some(two) = ours(name, 2) {
            let (ratio, least) = (one.run_s / two.run_s, one.least_s / two.least_s);
            let _ = writeln!(
                text,
                "- {name}, 2 threads: {ratio:.2} times as fast as on 1 (least against least {least:.2})"
            );
            if let Some((peer, threads, run_s)) = fastest(&mut peers()) {
                let ratio = run_s / one.run_s.min(two.run_s);
                let _ = writeln!(text, "- {name}, best against best: {ratio:.2} times ({peer} on {threads} thread(s))");
            }
        }
        let ns = one.run_s * 1e9 / one.events;
        let _ =
            writeln!(text, "- {name}, the whole run for each synaptic event: {:.2} times the scatter-add", ns / bound);
    }
    text
}

struct Row {
    name: String,
    threads: usize,
    runs: usize,
    rate_hz: f64,
    compile_s: f64,
    build_s: f64,
    run_s: f64,
    least_s: f64,
    events: f64,
    updates: f64,
    synapses: f64,
    synapse_bytes: Option<f64>,
    memory_mb: f64,
}

impl Row {
    fn of(name: &str, threads: usize, runs: &[&Run]) -> Row {
        let median = |f: &dyn Fn(&Run) -> f64| median(runs.iter().map(|r| f(r)).collect());
        Row {
            name: name.to_owned(),
            threads,
            runs: runs.len(),
            rate_hz: median(&|r| r.rate_hz),
            // Peers keep what they compiled once: the longest is what an edit costs.
            compile_s: runs.iter().map(|r| r.compile_s).fold(0.0, f64::max),
            build_s: median(&|r| r.build_s),
            run_s: median(&|r| r.run_s),
            least_s: runs.iter().map(|r| r.run_s).fold(f64::INFINITY, f64::min),
            events: median(&|r| r.events),
            updates: median(&|r| r.neurons * r.sim_ms / r.dt_ms),
            synapses: median(&|r| r.synapses),
            synapse_bytes: runs.first().and_then(|r| r.synapse_bytes),
            memory_mb: median(&|r| r.memory_mb),
        }
    }

    fn write(&self, text: &mut String, ours: Option<f64>) {
        let bytes = self.synapse_bytes.unwrap_or(self.memory_mb * 1048576.0) / self.synapses;
        let ratio = ours.map_or(String::new(), |o| format!("{:.2}", self.run_s / o));
        if self.runs == 0 {
            let _ = writeln!(text, "| {} (recorded) | 1 | | | | | {:.3} | | | | | {ratio} |", self.name, self.run_s);
            return;
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.3} | {:.3} | {:.3} ({:.3}) | {:.2} | {:.2} | {bytes:.1} | {:.0} | {ratio} |",
            self.name,
            self.threads,
            self.runs,
            self.rate_hz,
            self.compile_s,
            self.build_s,
            self.run_s,
            self.least_s,
            self.run_s * 1e9 / self.events,
            self.run_s * 1e9 / self.updates,
            self.memory_mb,
        );
    }
}

/// Peers of which a ratio to Brian2 is known, at Brian2's time of this very run.
fn recorded(model: &Model, rows: &[Row]) -> Vec<Row> {
    let Some(brian2) = rows.iter().find(|r| r.name == "brian2" && r.threads == 1) else { return Vec::new() };
    let known = model.recorded.iter().map(|(name, ratio)| Row {
        name: (*name).to_owned(),
        threads: 1,
        runs: 0,
        rate_hz: f64::NAN,
        compile_s: f64::NAN,
        build_s: f64::NAN,
        run_s: brian2.run_s * ratio,
        least_s: f64::NAN,
        events: f64::NAN,
        updates: f64::NAN,
        synapses: f64::NAN,
        synapse_bytes: None,
        memory_mb: f64::NAN,
    });
    known.collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}
