//! Where the time of a run went: measured by each thread for itself, between one piece of work and the next.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// A piece of work; populations and projections by their position in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Random numbers and elementary functions of a population, drawn and computed over arrays.
    Draw(usize),
    /// States of a population.
    Update(usize),
    /// Spikes into a ring buffer, by the rows of one or more projections of a source.
    Deliver(usize),
    /// What waited in the lists of a ring buffer, into the row that a step reads.
    Arrive(usize),
    /// Rules of a projection.
    Learn(usize),
    /// Values of continuous projections.
    Couple,
    /// Poisson counts of later steps, drawn while waiting.
    Ahead,
    /// For the slowest thread, at the end of a window.
    Wait,
    /// Spikes and samples that are kept.
    Record,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub ns: u64,
    /// Neurons updated, synaptic events delivered, spikes kept.
    pub count: u64,
}

/// One piece of work in time, ns since the run began.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub work: Work,
    pub start: u64,
    pub ns: u64,
}

/// The most spans that a thread keeps: 10 MB. Totals go on.
const SPANS: usize = 400_000;

/// Of one thread.
#[derive(Clone, Debug, Default)]
pub struct ThreadProfile {
    pub totals: BTreeMap<Work, Total>,
    pub spans: Vec<Span>,
}

/// Measures a thread.
#[derive(Clone, Debug)]
pub struct Clock {
    epoch: Instant,
    last: u64,
    pub profile: ThreadProfile,
}

impl Clock {
    /// Times are counted from `epoch`, which the threads of a run share.
    pub fn new(epoch: Instant) -> Clock {
        Clock { epoch, last: 0, profile: ThreadProfile::default() }
    }

    /// What went by since the last piece of work is nobody's.
    pub fn start(&mut self) {
        self.last = self.epoch.elapsed().as_nanos() as u64;
    }

    /// What went by since the last piece of work was this one; `of_it` ns of it were another.
    pub fn lap(&mut self, work: Work, count: u64, of_it: Option<(Work, u64)>) {
        let ns = self.pass(work);
        let inner = of_it.map_or(0, |(_, inner)| inner.min(ns));
        self.add(work, ns - inner, count);
        if let Some((other, _)) = of_it {
            self.add(other, inner, 0);
        }
    }

    /// What went by since the last piece of work were steps of populations computed together, (position, neurons); `drawn` ns of it
    /// were their draws.
    pub fn lap_among(&mut self, parts: &[(usize, u64)], drawn: u64) {
        let Some((first, _)) = parts.first() else { return };
        let ns = self.pass(Work::Update(*first));
        let (all, drawn) = (parts.iter().map(|part| part.1).sum::<u64>().max(1), drawn.min(ns));
        for (population, n) in parts {
            self.add(Work::Update(*population), (ns - drawn) * n / all, *n);
            self.add(Work::Draw(*population), drawn * n / all, 0);
        }
    }

    /// The time since the last piece of work, of which this one is kept.
    fn pass(&mut self, work: Work) -> u64 {
        let now = self.epoch.elapsed().as_nanos() as u64;
        let (start, ns) = (self.last, now.saturating_sub(self.last));
        self.last = now;
        if self.profile.spans.len() < SPANS {
            self.profile.spans.push(Span { work, start, ns });
        }
        ns
    }

    fn add(&mut self, work: Work, ns: u64, count: u64) {
        let total = self.profile.totals.entry(work).or_default();
        total.ns += ns;
        total.count += count;
    }
}

/// Of a whole run.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub threads: Vec<ThreadProfile>,
    /// Of what any of the threads does: keeping spikes.
    pub recorder: ThreadProfile,
    /// Path and cells of each population.
    pub populations: Vec<(String, u64)>,
    /// Path, synapses and the bytes that hold them.
    pub projections: Vec<(String, u64, u64)>,
    /// What is delivered together, by name.
    pub tracts: Vec<String>,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub work: String,
    /// Of all threads together, s.
    pub seconds: f64,
    /// Of the time of all threads.
    pub share: f64,
    pub count: u64,
    /// What `count` counts; nothing where it counts nothing.
    pub unit: &'static str,
}

impl Profile {
    pub fn name(&self, work: Work) -> String {
        let population = |k: usize| self.populations.get(k).map_or("", |p| p.0.as_str());
        let projection = |k: usize| self.projections.get(k).map_or("", |p| p.0.as_str());
        match work {
            Work::Draw(k) => format!("draw {}", population(k)),
            Work::Update(k) => format!("update {}", population(k)),
            Work::Deliver(k) => format!("deliver {}", self.tracts.get(k).map_or("", String::as_str)),
            Work::Arrive(k) => format!("arrive {k}"),
            Work::Learn(k) => format!("learn {}", projection(k)),
            Work::Couple => "couple".to_string(),
            Work::Ahead => "draw ahead".to_string(),
            Work::Wait => "wait".to_string(),
            Work::Record => "record".to_string(),
        }
    }

    /// What took longest first.
    pub fn lines(&self) -> Vec<Line> {
        let mut totals: BTreeMap<Work, Total> = BTreeMap::new();
        for (work, total) in self.threads.iter().chain([&self.recorder]).flat_map(|t| &t.totals) {
            let sum = totals.entry(*work).or_default();
            sum.ns += total.ns;
            sum.count += total.count;
        }
        let all: u64 = totals.values().map(|t| t.ns).sum();
        let mut lines: Vec<Line> = totals
            .into_iter()
            .map(|(work, total)| Line {
                work: self.name(work),
                seconds: total.ns as f64 * 1e-9,
                share: total.ns as f64 / all.max(1) as f64,
                count: total.count,
                unit: match work {
                    Work::Update(_) | Work::Learn(_) => "updates",
                    Work::Deliver(_) | Work::Arrive(_) => "events",
                    Work::Record => "spikes",
                    _ => "",
                },
            })
            .collect();
        lines.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        lines
    }

    /// The spans of all threads in the trace event format that Perfetto and Chrome read, times in microseconds.
    pub fn trace(&self) -> serde_json::Value {
        let mut events = Vec::new();
        for (thread, profile) in self.threads.iter().chain([&self.recorder]).enumerate() {
            let name = if thread < self.threads.len() { format!("thread {thread}") } else { "recorder".to_string() };
            events.push(serde_json::json!({
                "ph": "M", "pid": 0, "tid": thread, "name": "thread_name", "args": { "name": name }
            }));
            events.extend(profile.spans.iter().map(|s| {
                serde_json::json!({
                    "ph": "X", "pid": 0, "tid": thread, "name": self.name(s.work),
                    "ts": s.start as f64 / 1e3, "dur": s.ns as f64 / 1e3
                })
            }));
        }
        serde_json::json!({ "displayTimeUnit": "ns", "traceEvents": events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_given_to_what_took_it() {
        let total = |ns, count| Total { ns, count };
        let thread = |waited: u64| ThreadProfile {
            totals: BTreeMap::from([(Work::Update(0), total(600, 50)), (Work::Wait, total(waited, 0))]),
            spans: vec![Span { work: Work::Update(0), start: 1500, ns: 600 }],
        };
        let profile = Profile {
            threads: vec![thread(0), thread(800)],
            populations: vec![("E".to_string(), 100)],
            ..Profile::default()
        };
        let lines = profile.lines();
        assert_eq!((lines[0].work.as_str(), lines[0].count, lines[0].unit), ("update E", 100, "updates"));
        assert_eq!((lines[0].share, lines[1].share), (0.6, 0.4));
        let trace = profile.trace();
        let event = &trace["traceEvents"][3];
        assert_eq!(
            (event["tid"].as_u64(), event["ts"].as_f64(), event["dur"].as_f64()),
            (Some(1), Some(1.5), Some(0.6))
        );
    }

    #[test]
    fn a_clock_splits_what_it_measures() {
        let mut clock = Clock::new(Instant::now());
        clock.start();
        std::thread::sleep(std::time::Duration::from_millis(2));
        clock.lap(Work::Update(0), 7, Some((Work::Draw(0), 1_000_000)));
        let totals = &clock.profile.totals;
        assert_eq!(totals[&Work::Draw(0)].ns, 1_000_000);
        assert!(totals[&Work::Update(0)].ns >= 1_000_000 && totals[&Work::Update(0)].count == 7);
        assert!(clock.profile.spans[0].ns >= 2_000_000);
    }
}
