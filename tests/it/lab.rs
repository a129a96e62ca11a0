//! What the tests of behaviour share: circuits given as text, run from beginning to end on a chosen back end.
//!
//! Every function panics where a circuit doesn't compile or a run fails: for a test that is a failure.

use nsm::backend::native::Lanes;
use nsm::backend::{Engine, Keep, TraceLog};
use nsm::base::{Diagnostic, LoadError, Loader};
use nsm::driver::{self, Backend, MemoryLimit, Options, Outcome};
use nsm::execute::{self, Control, Needs, RunOutcome};
use nsm::ir::Population;
use nsm::ir::artefact::{Job, Unit};
use nsm::ir::protocol::Point;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// A cell that counts what arrives and sends nothing.
pub const COUNTER: &str = "neuron Counter {
    state n = 0
    receptor syn(w: number) { n += w }
    spike when t < 0 ms { n = 0 }
}
";

/// One projection between or within populations `A` and `B` of such cells, of these sizes.
pub fn wired((a, b): (usize, usize), ends: &str, connect: &str, weight: &str) -> Lab {
    Lab::new(&format!(
        "{COUNTER}network Wired {{
    population A[{a}]: Counter
    population B[{b}]: Counter
    projection {ends} {{ connect {connect}  weight {weight}  delay 1 ms }}
}}
experiment Short of Wired {{ simulate 1 ms }}
"
    ))
}

/// Files in memory; `main.nsm` is the one that is compiled.
#[derive(Default)]
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    pub fn new(main: &str) -> Files {
        Files::default().and("main.nsm", main)
    }

    pub fn and(mut self, name: &str, text: &str) -> Files {
        self.0.insert(name.to_string(), text.to_string());
        self
    }
}

impl Loader for Files {
    fn resolve(&self, _: &str, path: &str) -> Result<String, LoadError> {
        if self.0.contains_key(path) { Ok(path.to_string()) } else { Err(LoadError::NotFound) }
    }

    fn folder(&self, _: &str) -> Option<Vec<String>> {
        None
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::NotFound)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        self.text(name).map(String::into_bytes)
    }
}

/// Where a run happens.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub backend: Backend,
    pub threads: usize,
}

pub const INTERP: Place = Place { backend: Backend::Interp, threads: 1 };
pub const NATIVE: Place = native(2);
/// As on machines without the widest vectors.
pub const NARROW: [Place; 2] = [
    Place { backend: Backend::Narrow(Lanes::Two), threads: 2 },
    Place { backend: Backend::Narrow(Lanes::Four), threads: 2 },
];

pub const fn native(threads: usize) -> Place {
    Place { backend: Backend::Native, threads }
}

/// The findings of a compilation as one text.
pub fn messages(out: &Outcome) -> String {
    let place = |d: &Diagnostic| match d.span() {
        Some(s) => {
            let (line, column) = out.sources.line_column(s.file, s.start);
            format!("{}:{line}:{column}", out.sources.file(s.file).name)
        }
        None => "nowhere".to_string(),
    };
    let lines: Vec<String> =
        out.diagnostics.iter().map(|d| format!("{} {} at {}", d.code.0, d.message, place(d))).collect();
    lines.join("\n")
}

/// A compiled text with one network and at most one experiment.
pub struct Lab {
    pub job: Job,
    /// Codes of the warnings.
    pub warnings: Vec<&'static str>,
}

impl Lab {
    pub fn new(text: &str) -> Lab {
        Lab::of(&Files::new(text), &Options::default())
    }

    /// The same text in steps of `dt` ms.
    pub fn in_steps(text: &str, dt: f64) -> Lab {
        Lab::of(&Files::new(text), &Options { dt: Some(format!("{dt} ms")), ..Options::default() })
    }

    pub fn of(files: &Files, options: &Options) -> Lab {
        let mut out = driver::compile(files, "main.nsm", options);
        let text = || format!("{}\n{}", messages(&out), files.0["main.nsm"]);
        assert_eq!(out.jobs.len(), 1, "{}", text());
        assert_eq!(out.jobs[0].units.len(), 1, "{}", text());
        let warnings = out.diagnostics.iter().map(|d| d.code.0).collect();
        Lab { job: out.jobs.remove(0), warnings }
    }

    pub fn unit(&self) -> &Unit {
        &self.job.units[0]
    }

    /// Runs the experiment with seed 1.
    pub fn run(&self, place: Place) -> Ran<'_> {
        self.run_seed(place, 1)
    }

    pub fn run_seed(&self, place: Place, seed: u64) -> Ran<'_> {
        let ran = run(self.unit(), &self.job.points[0], seed, place, false);
        let ran = ran.unwrap_or_else(|e| panic!("{e}"));
        if let Some(e) = &ran.outcome.error {
            panic!("{e:?}");
        }
        ran
    }
}

/// Runs the protocol of a unit; every spike is kept and everything that is to be recorded is recorded.
pub fn run<'u>(unit: &'u Unit, point: &Point, seed: u64, place: Place, quick: bool) -> Result<Ran<'u>, String> {
    let Needs { mut spikes, traces } = execute::needs(unit, point, true).map_err(|e| format!("{e:?}"))?;
    spikes.fill(Keep::All);
    let made = driver::engine(unit, seed, traces, &spikes, place.backend, place.threads, MemoryLimit::Default);
    let (mut engine, _) = made.map_err(|d| d.message)?;
    let stop = AtomicBool::new(false);
    let outcome = execute::run(
        unit,
        point,
        seed,
        engine.as_mut(),
        &Control { stop: &stop, progress: &|_| {}, quick, memory: f64::INFINITY },
    );
    Ok(Ran { unit, engine, outcome })
}

/// A finished run, with the engine as the run left it.
pub struct Ran<'u> {
    unit: &'u Unit,
    pub engine: Box<dyn Engine>,
    pub outcome: RunOutcome,
}

impl Ran<'_> {
    fn population(&self, path: &str) -> (usize, &Population) {
        let all = self.unit.network.populations().map(|(_, p)| p).enumerate();
        let mut named = all.filter(|(_, p)| p.path == path);
        named.next().unwrap_or_else(|| panic!("no population `{path}`"))
    }

    /// (step, neuron), in order.
    pub fn spikes(&self, path: &str) -> Vec<(u64, u32)> {
        let log = self.engine.spikes(self.population(path).0);
        log.steps.iter().copied().zip(log.senders.iter().copied()).collect()
    }

    /// Steps at which one neuron fired.
    pub fn train(&self, path: &str, neuron: u32) -> Vec<u64> {
        self.spikes(path).iter().filter(|(_, n)| *n == neuron).map(|(s, _)| *s).collect()
    }

    /// A state of all cells at the end.
    pub fn state(&self, path: &str, name: &str) -> Vec<f64> {
        let (index, population) = self.population(path);
        let state = population.dynamics.states.iter().position(|s| s.name == name);
        let state = state.unwrap_or_else(|| panic!("`{path}` has no state `{name}`"));
        self.engine.state(index, state as u32)
    }

    /// What was recorded of an observable.
    pub fn trace(&self, path: &str, name: &str) -> &TraceLog {
        let (index, population) = self.population(path);
        let observable = population.dynamics.observables.iter().position(|o| o.name == name);
        let wanted = |t: &&TraceLog| t.request.population == index && Some(t.request.observable as usize) == observable;
        self.engine.traces().iter().find(wanted).unwrap_or_else(|| panic!("`{path}.{name}` is not recorded"))
    }

    /// What was recorded of one cell, one value for each sample.
    pub fn samples(&self, path: &str, name: &str, cell: u32) -> Vec<f64> {
        let log = self.trace(path, name);
        let column = log.request.cells.iter().position(|c| *c == cell).expect("the cell is recorded");
        log.values.chunks(log.request.cells.len()).map(|row| row[column]).collect()
    }
}

/// Equal to the last bit.
pub fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}
