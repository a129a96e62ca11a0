//! `summary.json`: one object with what a reader or a script wants to know of an experiment (DESIGN.md, section 8).
//!
//! Figures of several runs are means over the runs; `synapse_bytes`, `threads` and `dt_ms` are those of the first. Numbers
//! that carry a unit are in the typical unit of their dimension (Hz, mV, ms), which stands beside them as `unit`. What is not
//! finite is written as a text.

use super::expectation::{Expectation, Ledger, value_text};
use super::rows::{MeasureSummary, Rows, Spread};
use super::run::RunOutcome;
use crate::units::number;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// What the caller knows of an experiment and its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub network: String,
    pub experiment: String,
    /// The first seed.
    pub seed: u64,
    pub threads: usize,
    pub backend: &'static str,
    /// From source text to callable kernels, mean over runs.
    pub compile_s: f64,
    /// Making the synapses, mean over runs.
    pub build_s: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub network: String,
    pub experiment: String,
    pub seed: u64,
    pub dt_ms: f64,
    pub duration_ms: f64,
    pub threads: usize,
    pub backend: &'static str,
    #[serde(serialize_with = "in_order")]
    pub populations: Vec<(String, Population)>,
    pub neurons: u64,
    pub synapses: Mean,
    pub synaptic_events: Mean,
    /// Times that rules of plasticity went through a synapse: for an event, and because a step went by.
    pub synapses_touched: Mean,
    pub synapses_stepped: Mean,
    pub synapse_bytes: Mean,
    pub compile_s: f64,
    pub build_s: f64,
    pub run_s: f64,
    pub expectations: Vec<Judged>,
    pub runs: usize,
    #[serde(serialize_with = "in_order")]
    pub measures: Vec<(String, Measured)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Population {
    pub size: u32,
    pub spikes: Mean,
    pub rate_hz: f64,
    /// Mean over the runs that have one.
    pub cv_isi: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    pub text: String,
    pub holds: bool,
    pub measured: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Nothing was measured, which `--quick` allows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Rows with a value; the others are in no figure but `without`.
    pub n: usize,
    /// Rows whose value is not a number.
    #[serde(skip_serializing_if = "is_zero")]
    pub without: usize,
    pub mean: Number,
    pub sd: Number,
    pub min: Number,
    pub max: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Measured {
    /// `n`, and of how many rows where some have no value.
    pub fn count(&self) -> String {
        match self.without {
            0 => self.n.to_string(),
            without => format!("{} of {}", self.n, self.n + without),
        }
    }
}

/// A mean of counts: a whole number stays one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean(pub f64);

impl Serialize for Mean {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 == self.0.trunc() && self.0.abs() < 9.0e15 {
            s.serialize_i64(self.0 as i64)
        } else {
            s.serialize_f64(self.0)
        }
    }
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A number, or a text where there is none that JSON can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Value(f64),
    Text(String),
    /// Nothing to take it from.
    Missing,
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Value(v) => f.write_str(&number(*v)),
            Number::Text(t) => f.write_str(t),
            Number::Missing => f.write_str("-"),
        }
    }
}

impl From<f64> for Number {
    fn from(v: f64) -> Number {
        // Fifteen digits: what a change of units adds behind them is noise.
        let tidy = || format!("{v:.14e}").parse().unwrap_or(v);
        if v.is_finite() { Number::Value(tidy()) } else { Number::Text(v.to_string()) }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Number::Value(v) => Mean(*v).serialize(s),
            Number::Text(t) => s.serialize_str(t),
            Number::Missing => s.serialize_none(),
        }
    }
}

fn in_order<T: Serialize, S: Serializer>(list: &[(String, T)], s: S) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(list.len()))?;
    for (name, value) in list {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// The summary of all runs; `expectations` holds those of the runs and of `conclude`.
pub fn summarise(setup: &Setup, runs: &[RunOutcome], expectations: &Ledger, rows: &Rows) -> Summary {
    let mean = |f: &dyn Fn(&RunOutcome) -> f64| average(runs.iter().map(f)).unwrap_or(0.0);
    let first = runs.first().map_or(&[][..], |r| &r.populations);
    let populations = first.iter().map(|p| {
        let each = || runs.iter().filter_map(|r| r.populations.iter().find(|q| q.path == p.path));
        let figures = Population {
            size: p.size,
            spikes: Mean(average(each().map(|q| q.spikes as f64)).unwrap_or(0.0)),
            rate_hz: average(each().map(|q| q.rate_hz)).unwrap_or(0.0),
            cv_isi: average(each().filter_map(|q| q.cv_isi)),
        };
        (p.path.clone(), figures)
    });
    Summary {
        network: setup.network.clone(),
        experiment: setup.experiment.clone(),
        seed: setup.seed,
        dt_ms: runs.first().map_or(0.0, |r| r.dt_ms),
        duration_ms: mean(&|r| r.duration_ms()),
        threads: setup.threads,
        backend: setup.backend,
        populations: populations.collect(),
        neurons: first.iter().filter(|p| !p.source).map(|p| u64::from(p.size)).sum(),
        synapses: Mean(mean(&|r| r.synapses as f64)),
        synaptic_events: Mean(mean(&|r| r.synaptic_events as f64)),
        synapses_touched: Mean(mean(&|r| r.touches.at_events as f64)),
        synapses_stepped: Mean(mean(&|r| r.touches.in_steps as f64)),
        synapse_bytes: Mean(mean(&|r| r.synapse_bytes as f64)),
        compile_s: setup.compile_s,
        build_s: setup.build_s,
        run_s: mean(&|r| r.run_s),
        expectations: expectations.iter().map(judged).collect(),
        runs: runs.len(),
        measures: rows.summaries().into_iter().map(|m| (m.name.clone(), measured(m))).collect(),
    }
}

fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0_u64, 0.0), |(n, sum), v| (n + 1, sum + v));
    (n > 0).then(|| sum / n as f64)
}

fn judged(e: &Expectation) -> Judged {
    let (measured, unit) = match e.measured_number() {
        Some((v, unit)) => (Number::from(v), Some(unit.spelling().to_string()).filter(|u| !u.is_empty())),
        None => (Number::Text(e.measured.as_ref().map_or_else(String::new, |v| value_text(v, e.dimension))), None),
    };
    Judged { text: e.text.clone(), holds: e.holds(), measured, unit, skipped: e.was_skipped() }
}

fn measured(m: MeasureSummary) -> Measured {
    let unit = Some(m.unit.spelling().to_string()).filter(|u| !u.is_empty());
    // Values of which one is infinite have no standard deviation.
    let figure = |of: fn(Spread) -> f64| m.spread.map(of).filter(|v| !v.is_nan()).map_or(Number::Missing, Number::from);
    Measured {
        n: m.n,
        without: m.without,
        mean: figure(|s| s.mean),
        sd: figure(|s| s.sd),
        min: figure(|s| s.min),
        max: figure(|s| s.max),
        unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::run::PopulationFigures;
    use crate::script::Value;
    use crate::units::{Dimension, Unit};

    #[test]
    fn infinite_values_have_no_standard_deviation() {
        let spread = Spread { mean: f64::INFINITY, sd: f64::NAN, min: 1.0, max: f64::INFINITY };
        let unit = Unit::typical(Dimension::NUMBER);
        let m = measured(MeasureSummary { name: "latency".into(), unit, n: 2, without: 0, spread: Some(spread) });
        assert_eq!(m.sd, Number::Missing);
        assert_eq!(m.mean.to_string(), "inf");
        assert_eq!(m.min, Number::from(1.0));
    }

    fn outcome(seed: u64, spikes: u64, cv_isi: Option<f64>) -> RunOutcome {
        let figures = |path: &str, source| PopulationFigures {
            path: path.into(),
            source,
            size: 10,
            spikes,
            rate_hz: spikes as f64 / 10.0,
            cv_isi,
            cv_cells: if cv_isi.is_some() { 10 } else { 0 },
            active: spikes.min(10),
        };
        RunOutcome {
            seed,
            dt_ms: 0.1,
            steps: 10_000,
            populations: vec![figures("z.E", false), figures("a.I", false), figures("mf", true)],
            synapses: 100,
            run_s: 0.5,
            ..RunOutcome::default()
        }
    }

    #[test]
    fn figures_are_means_and_keep_their_order() {
        let mut expectations = Ledger::default();
        let e = |text: &str, dimension, measured| Expectation {
            text: text.into(),
            place: String::new(),
            dimension,
            judged: 1,
            failed: 0,
            skipped: 0,
            measured: Some(measured),
        };
        expectations.add(&e("rate(E) > 1 Hz", Dimension::RATE, Value::Number(0.01707)));
        expectations.add(&e("cv_isi(E) > 0.7", Dimension::NUMBER, Value::Number(f64::NAN)));
        let setup = Setup {
            network: "Brunel".into(),
            experiment: "A".into(),
            seed: 3,
            threads: 2,
            backend: "native",
            compile_s: 0.01,
            build_s: 0.02,
        };
        let runs = [outcome(3, 10, None), outcome(4, 11, Some(0.8))];
        let json = serde_json::to_string(&summarise(&setup, &runs, &expectations, &Rows::default())).unwrap();
        assert!(json.starts_with(
            r#"{"network":"Brunel","experiment":"A","seed":3,"dt_ms":0.1,"duration_ms":1000.0,"threads":2,"#
        ));
        assert!(
            json.contains(r#""populations":{"z.E":{"size":10,"spikes":10.5,"rate_hz":1.05,"cv_isi":0.8},"a.I""#),
            "{json}"
        );
        assert!(json.contains(r#""neurons":20,"synapses":100,"#), "{json}");
        assert!(json.contains(r#"{"text":"rate(E) > 1 Hz","holds":true,"measured":17.07,"unit":"Hz"}"#), "{json}");
        assert!(json.contains(r#""measured":"nan""#), "{json}");
        assert!(json.ends_with(r#""runs":2,"measures":{}}"#), "{json}");
    }
}
