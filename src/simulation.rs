//! A circuit inside another program: set its sensors, let time pass, read its actuators, send it events.
//!
//! ```
//! use nsm::Simulation;
//! use nsm::simulation::Setup;
//! use std::time::Duration;
//!
//! let text = "
//! use std.neurons.LifCuba
//! use std.sources.Poisson
//!
//! network Reflex {
//!     dt 1 ms
//!     sensor light[side: 2]: rate = 0 Hz
//!     source eye[side: 2, cell: 20]: Poisson(rate = light[side])
//!     population motor[side: 2, cell: 10]: LifCuba(tau_m = 10 ms)
//!     projection eye -> motor.exc { connect all_to_all where pre.side == post.side  weight 4 mV  delay 1 ms }
//!     actuator turn = argmax(rate(motor by side over 50 ms))
//! }
//! ";
//! let mut reflex = Simulation::from_text(text, &Setup { seed: 7, ..Setup::default() })?;
//! reflex.set_sensor("light", &[0.0, 100.0])?; // Hz
//! reflex.step(Duration::from_millis(100))?;
//! assert_eq!(reflex.read_actuator("turn")?, [1.0]);
//! # Ok::<(), nsm::simulation::Failure>(())
//! ```
//!
//! Numbers are in coherent units of the SI: Hz, V, A, s; those without a dimension are plain. Time passes in `step` alone.
//!
//! Two simulations of one text, seed and order of calls give the same bits, on whatever back end and threads, as runs do.
//!
//! # Cost
//!
//! A call looks its name up and sets up what it needs; `set_sensor` writes one param per cell that reads the
//! sensor; `read_actuator` goes through the spikes of its own window. `tests/it/simulation.rs` measures them
//! (`cargo test --release --test it cost_of_calls -- --ignored --nocapture`). Spikes that an actuator or
//! [`Setup::spikes`] asks for are kept from the start, 12 bytes each.

use crate::backend::{Keep, RunError};
use crate::base::{Code, Diagnostic, LoadError, Loader, Severity, SourceMap, diag};
use crate::cli::{self, FileLoader};
use crate::driver::{self, Backend, MemoryLimit, Options, Precision};
use crate::execute::{self, Needs, Session};
use crate::ir::artefact::Unit;
use crate::units::{Dimension, from_si, to_si};
use std::fmt;
use std::time::Duration;

/// A name that the circuit does not have, or values that do not fit.
pub const CALL: Code = Code("E0708");

/// How a simulation is made.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which network; `None`: the only one of the file.
    pub network: Option<String>,
    /// Params of the network as text: `("rate", "5 Hz")`.
    pub set: Vec<(String, String)>,
    pub seed: u64,
    pub threads: usize,
    pub backend: Backend,
    /// What cells compute in.
    pub precision: Precision,
    pub memory: MemoryLimit,
    /// Populations whose spikes [`Simulation::spikes`] gives.
    pub spikes: Vec<String>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            network: None,
            set: Vec::new(),
            seed: 1,
            threads: 1,
            backend: Backend::Native,
            precision: Precision::F64,
            memory: MemoryLimit::Default,
            spikes: Vec::new(),
        }
    }
}

/// What went wrong, as diagnostics; displayed as the command line shows them.
#[derive(Clone, Debug)]
pub struct Failure {
    pub diagnostics: Vec<Diagnostic>,
    text: String,
}

impl Failure {
    fn new(diagnostics: Vec<Diagnostic>, sources: &SourceMap) -> Failure {
        let text = diagnostics.iter().map(|d| cli::plain(d, sources)).collect::<Vec<_>>().join("\n");
        Failure { diagnostics, text }
    }

    fn one(diagnostic: Diagnostic) -> Failure {
        Failure::new(vec![diagnostic], &SourceMap::default())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.text.trim_end())
    }
}

impl std::error::Error for Failure {}

/// One spike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// s
    pub time: f64,
    /// Position in its population.
    pub neuron: u32,
}

/// A circuit that runs as far as it is told to.
pub struct Simulation {
    unit: Unit,
    session: Session,
    /// Step before the latest [`Simulation::step`].
    before: u64,
    /// By population: whether its spikes are kept.
    kept: Vec<bool>,
    warnings: Vec<Diagnostic>,
}

/// One text, which can import the standard library alone.
struct Text<'t>(&'t str);

const TEXT: &str = "circuit.nsm";

impl Loader for Text<'_> {
    fn resolve(&self, _: &str, _: &str) -> Result<String, LoadError> {
        Err(LoadError::NotFound)
    }

    fn folder(&self, _: &str) -> Option<Vec<String>> {
        None
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        if name == TEXT { Ok(self.0.to_string()) } else { Err(LoadError::NotFound) }
    }

    fn bytes(&self, _: &str) -> Result<Vec<u8>, LoadError> {
        Err(LoadError::NotFound)
    }
}

impl Simulation {
    /// A circuit from source text, which may import the standard library.
    ///
    /// # Errors
    /// All findings of the compiler that are errors; a network that needs more memory than it may have.
    pub fn from_text(text: &str, setup: &Setup) -> Result<Simulation, Failure> {
        Simulation::load(&Text(text), TEXT, setup)
    }

    /// A circuit from a file, which may import others of its project.
    ///
    /// # Errors
    /// As [`Simulation::from_text`]; a file that can't be read.
    pub fn from_file(path: &str, setup: &Setup) -> Result<Simulation, Failure> {
        let (loader, name) = FileLoader::open(path).map_err(|e| Failure::one(cli::unreadable(path, &e)))?;
        Simulation::load(&loader, &name, setup)
    }

    /// A circuit whose files come through a loader.
    ///
    /// # Errors
    /// As [`Simulation::from_text`].
    pub fn load(loader: &dyn Loader, file: &str, setup: &Setup) -> Result<Simulation, Failure> {
        let (set, precision) = (setup.set.clone(), setup.precision);
        let options = Options { set, precision, alone: true, ..Options::default() };
        let mut out = driver::compile(loader, file, &options);
        let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) =
            out.diagnostics.sorted().into_iter().partition(|d| d.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(Failure::new(errors, &out.sources));
        }
        let names: Vec<String> = out.jobs.iter().map(|j| j.network.clone()).collect();
        let at = match &setup.network {
            Some(name) => names.iter().position(|n| n == name).ok_or_else(|| unknown("network", name, &names))?,
            None if names.len() == 1 => 0,
            None => {
                let message = format!("the file has {} networks", names.len());
                let help = format!("name one of them in `Setup::network`: {}", names.join(", "));
                return Err(Failure::one(Diagnostic::error(CALL, message).help(help)));
            }
        };
        let mut units = out.jobs.swap_remove(at).units;
        let Some(unit) = units.pop() else {
            return Err(Failure::one(Diagnostic::error(CALL, "the file has no network")));
        };
        let questions = unit.protocol.actuators.iter().map(|a| &a.value);
        let Needs { mut spikes, traces } = execute::needs_of(&unit, questions);
        let populations: Vec<String> = unit.network.populations().map(|(_, p)| p.path.clone()).collect();
        let mut kept = vec![false; populations.len()];
        for name in &setup.spikes {
            let at = position("population", name, &populations)?;
            (kept[at], spikes[at]) = (true, Keep::All);
        }
        let made = driver::engine(&unit, setup.seed, traces, &spikes, setup.backend, setup.threads, setup.memory);
        let (engine, _) = made.map_err(|d| Failure::new(vec![d], &out.sources))?;
        let session = Session::new(&unit, engine, setup.seed);
        Ok(Simulation { unit, session, before: 0, kept, warnings })
    }

    /// What the compiler warned of.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Length of a time step.
    pub fn dt(&self) -> Duration {
        Duration::from_secs_f64(self.unit.network.dt_ms * 1e-3)
    }

    /// Time that has passed in the circuit.
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.session.engine().step() as f64 * self.unit.network.dt_ms * 1e-3)
    }

    /// Lets time pass: the nearest number of time steps.
    ///
    /// # Errors
    /// A state that is no longer finite (E0701), a solver without end (E0705). The simulation is of no use then.
    pub fn step(&mut self, duration: Duration) -> Result<(), Failure> {
        // The cast saturates, and a run that long does not end.
        let steps = (duration.as_secs_f64() * 1e3 / self.unit.network.dt_ms).round() as u64;
        self.before = self.session.engine().step();
        let advanced = self.session.advance(&self.unit, steps);
        advanced.map_err(|e| self.failure(&e))
    }

    /// Sets all positions of a sensor, row-major over its axes; one value for all of them is enough. They hold until they are set
    /// again.
    ///
    /// # Errors
    /// E0708: an unknown name, another number of values than the sensor has positions, a value that is not finite.
    pub fn set_sensor(&mut self, sensor: &str, values: &[f64]) -> Result<(), Failure> {
        let sensors = &self.unit.network.sensors;
        let Some(at) = sensors.iter().position(|s| s.path == sensor) else {
            let all: Vec<String> = sensors.iter().map(|s| s.path.clone()).collect();
            return Err(unknown("sensor", sensor, &all));
        };
        let (n, dimension) = (sensors[at].len(), sensors[at].dimension);
        if values.len() != n && values.len() != 1 {
            let message = format!("{} values for the {n} positions of `{sensor}`", values.len());
            return Err(Failure::one(Diagnostic::error(CALL, message).help("one for each position, or one for all")));
        }
        if let Some(v) = values.iter().find(|v| !v.is_finite()) {
            return Err(not_finite(&format!("`{sensor}` is set to {v}")));
        }
        let internal: Vec<f64> = values.iter().map(|v| from_si(*v, dimension)).collect();
        let written = self.session.set_sensor(&self.unit, at as u32, &internal);
        written.map_err(|e| self.failure(&e))
    }

    /// The present value of an actuator: one number, or a list of them.
    ///
    /// # Errors
    /// E0708: an unknown name. E0703: a value that does not exist yet, such as a rate before time has passed.
    pub fn read_actuator(&mut self, actuator: &str) -> Result<Vec<f64>, Failure> {
        let actuators = &self.unit.protocol.actuators;
        let Some(found) = actuators.iter().find(|a| a.path == actuator) else {
            let all: Vec<String> = actuators.iter().map(|a| a.path.clone()).collect();
            return Err(unknown("actuator", actuator, &all));
        };
        let numbers = self.session.ask(&self.unit, &found.value).and_then(|v| v.numbers());
        let failed = |message| RunError::Script { place: format!("the actuator `{actuator}`"), message, help: None };
        let numbers = numbers.map_err(|e| self.failure(&failed(e.message)))?;
        Ok(numbers.into_iter().map(|v| to_si(v, found.dimension)).collect())
    }

    /// Sends an event, which reaches the circuit with the next time step after the delay. `value` is the number that it carries,
    /// where it carries one.
    ///
    /// # Errors
    /// E0708: an unknown name, a number where the event carries none or the other way round, a number that is not finite.
    pub fn emit(&mut self, event: &str, value: Option<f64>, after: Duration) -> Result<(), Failure> {
        let events = &self.unit.network.events;
        let Some(at) = events.iter().position(|e| e.path == event) else {
            let all: Vec<String> = events.iter().map(|e| e.path.clone()).collect();
            return Err(unknown("event", event, &all));
        };
        let value = match (value, events[at].dimension) {
            (Some(v), Some(_)) if !v.is_finite() => return Err(not_finite(&format!("`{event}` is sent with {v}"))),
            (Some(v), Some(dimension)) => Some(from_si(v, dimension)),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Failure::one(Diagnostic::error(
                    CALL,
                    format!("`{event}` carries a number, and none is given"),
                )));
            }
            (Some(v), None) => {
                let message = format!("`{event}` carries no number, and {v} is given");
                return Err(Failure::one(Diagnostic::error(CALL, message)));
            }
        };
        let after = from_si(after.as_secs_f64(), Dimension::TIME);
        let sent = self.session.emit(&self.unit, at as u32, value, after);
        sent.map_err(|e| self.failure(&e))
    }

    /// The spikes of a population in the latest [`Simulation::step`], in order of (time, neuron).
    ///
    /// # Errors
    /// E0708: an unknown name, or a population that [`Setup::spikes`] does not name.
    pub fn spikes(&self, population: &str) -> Result<Vec<Spike>, Failure> {
        let all: Vec<String> = self.unit.network.populations().map(|(_, p)| p.path.clone()).collect();
        let at = position("population", population, &all)?;
        if !self.kept[at] {
            let message = format!("the spikes of `{population}` are not kept");
            return Err(Failure::one(Diagnostic::error(CALL, message).help("name it in `Setup::spikes`")));
        }
        let log = self.session.engine().spikes(at);
        let first = log.steps.partition_point(|s| *s <= self.before);
        let dt = self.unit.network.dt_ms * 1e-3;
        let pairs = log.steps[first..].iter().zip(&log.senders[first..]);
        Ok(pairs.map(|(step, neuron)| Spike { time: *step as f64 * dt, neuron: *neuron }).collect())
    }

    fn failure(&self, error: &RunError) -> Failure {
        Failure::one(execute::diagnostic(error, self.unit.network.dt_ms))
    }
}

fn position(what: &str, name: &str, all: &[String]) -> Result<usize, Failure> {
    all.iter().position(|n| n == name).ok_or_else(|| unknown(what, name, all))
}

fn unknown(what: &str, name: &str, all: &[String]) -> Failure {
    let near = diag::did_you_mean(name, all.iter().map(String::as_str));
    let help = match near {
        Some(n) => format!("did you mean `{n}`?"),
        None if all.is_empty() => format!("it has no {what}"),
        None => format!("it has {}", all.join(", ")),
    };
    Failure::one(Diagnostic::error(CALL, format!("the circuit has no {what} `{name}`")).help(help))
}

fn not_finite(message: &str) -> Failure {
    Failure::one(Diagnostic::error(CALL, message).help("a finite number is needed"))
}
