//! The models, and what is known of peers that can't be installed from a registry.

use std::ops::RangeInclusive;

pub struct Model {
    pub name: &'static str,
    /// Below `examples`.
    pub file: &'static str,
    pub ours: &'static [&'static str],
    /// What follows the peer's name in the name of its script.
    pub script: &'static str,
    pub theirs: &'static [&'static str],
    pub sim_ms: f64,
    /// Mean rates that a run may have: those of all peers, and what seeds change.
    pub rate_hz: RangeInclusive<f64>,
    /// Simulators in single precision whose time is known as a multiple of that of Brian2 (C++ standalone, one thread) on the
    /// same machine: GeNN 5.4 and Auryn 0.8.3, medians of three runs.
    pub recorded: &'static [(&'static str, f64)],
}

pub const MODELS: &[Model] = &[
    Model {
        name: "cuba",
        file: "cuba.nsm",
        ours: &[],
        script: "cuba",
        theirs: &[],
        sim_ms: 2000.0,
        rate_hz: 4.5..=7.0,
        recorded: &[("genn", 0.228 / 0.158)],
    },
    Model {
        name: "cuba20k",
        file: "cuba.nsm",
        ours: &["--set", "n=20000"],
        script: "cuba",
        theirs: &["--n", "20000", "--sim-ms", "500"],
        sim_ms: 500.0,
        rate_hz: 2.4..=3.4,
        recorded: &[("genn", 0.257 / 0.204)],
    },
    Model {
        name: "coba",
        file: "coba.nsm",
        ours: &[],
        script: "coba",
        theirs: &[],
        sim_ms: 1000.0,
        rate_hz: 15.0..=24.0,
        recorded: &[("genn", 0.168 / 0.156), ("auryn", 0.145 / 0.156)],
    },
    Model {
        name: "brunel",
        file: "brunel.nsm",
        ours: &[],
        script: "brunel",
        theirs: &[],
        sim_ms: 300.0,
        rate_hz: 35.0..=41.0,
        recorded: &[("genn", 1.301 / 1.714), ("auryn", 1.518 / 1.714)],
    },
    Model {
        name: "brunel_stdp",
        file: "learning/brunel_stdp.nsm",
        ours: &[],
        script: "brunel_stdp",
        theirs: &[],
        sim_ms: 500.0,
        rate_hz: 8.0..=13.0,
        recorded: &[("genn", 0.576 / 0.630), ("auryn", 0.591 / 0.630)],
    },
    Model {
        name: "microcircuit",
        file: "microcircuit.nsm",
        ours: &[],
        script: "microcircuit",
        theirs: &[],
        sim_ms: 500.0,
        rate_hz: 2.4..=3.2,
        recorded: &[("genn", 0.465 / 0.495)],
    },
    Model {
        name: "cobahh",
        file: "cobahh.nsm",
        ours: &[],
        script: "hh",
        theirs: &[],
        sim_ms: 200.0,
        rate_hz: 30.0..=55.0,
        recorded: &[("genn", 0.419 / 0.876)],
    },
];
