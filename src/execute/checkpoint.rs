//! The whole state of a run at one step, and where it comes from: what a run goes on from, bit for bit.
//!
//! A checkpoint holds three sections (see [`sections`](crate::base::sections)): where it comes from and where the walk over the
//! statements was (RON, bounded in depth), and the arrays (postcard). What network, seed and experiment determine is not in it;
//! it is made again, and the origin says whether it will be the same.

use super::activity::Windows;
use super::environments::EnvironmentState;
use super::events::Events;
use super::expectation::Ledger;
use super::flow::Variables;
use super::position::Frame;
use super::rows::Rows;
use super::settings::Temporary;
use super::sleep::Sleep;
use super::statistics::Steps;
use super::synapses::SynapseLog;
use crate::backend::EngineState;
use crate::base::sections::{Broken, Format};
use crate::ir::Node;
use crate::ir::artefact::{Job, Unit};
use crate::ir::protocol::{Protocol, Stmt};
use crate::script::Expr;
use crate::units::{Dimension, display};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

const FORMAT: Format = Format { magic: *b"NSMCKP\x1a\n", version: 2 };
/// Values of an experiment are lists in lists; each level takes two levels of RON.
const DEPTH: usize = 4096;

const ORIGIN: u32 = 1;
const WALK: u32 = 2;
const ARRAYS: u32 = 3;

/// What a run was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the nsmc that wrote it.
    nsmc: String,
    network: String,
    experiment: String,
    dt_ms: f64,
    seed: u64,
    /// Of the values that the sweep gives this run.
    sweep: u64,
    /// Whether what `record` and `plot` ask for was kept.
    recorded: bool,
    /// Of the whole network, and of each population and projection by its path.
    circuit: u64,
    parts: Vec<(String, u64)>,
    /// Of the experiment, without the time of its only `simulate`.
    protocol: u64,
}

/// What a walk over the statements knows besides the engine's state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct WalkState {
    pub position: Vec<Frame>,
    pub simulating: Option<Steps>,
    pub variables: Variables,
    pub draws: BTreeMap<u32, u64>,
    pub windows: BTreeMap<String, Steps>,
    pub activity: Windows,
    pub temporary: Temporary,
    pub ledger: Ledger,
    pub rows: Rows,
    pub sensors: Vec<Vec<f64>>,
    pub events: Events,
    pub sleep: Sleep,
    pub environments: Vec<EnvironmentState>,
    /// Wall time spent in the engine, seconds.
    pub spent_s: f64,
}

/// What may be long.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Arrays {
    pub engine: EngineState,
    pub synapses: SynapseLog,
}

#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub origin: Origin,
    pub(super) walk: WalkState,
    pub(super) arrays: Arrays,
}

/// Why a checkpoint does not fit a run: what differs, and what to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    pub message: String,
    pub help: String,
}

impl Origin {
    /// Of the run with `seed` at a point of a job. `recorded`: what `record` and `plot` ask for is kept.
    pub fn of(job: &Job, point: usize, seed: u64, recorded: bool) -> Option<Origin> {
        let point = job.points.get(point)?;
        let unit = job.units.get(point.unit)?;
        let network = &unit.network;
        let populations = network.graph.node_weights().map(|n| match n {
            Node::Population(p) => (p.path.clone(), hash(p)),
            other => (String::new(), hash(other)),
        });
        let projections = network.graph.edge_weights().map(|p| (p.path.clone(), hash(p)));
        Some(Origin {
            nsmc: env!("CARGO_PKG_VERSION").to_string(),
            network: job.network.clone(),
            experiment: job.experiment.clone(),
            dt_ms: network.dt_ms,
            seed,
            sweep: hash(&point.sweep),
            recorded,
            circuit: hash(network),
            parts: populations.chain(projections).collect(),
            protocol: hash(&without_duration(&unit.protocol)),
        })
    }

    /// What keeps a run of origin `now` from going on where this one was.
    fn mismatch(&self, now: &Origin) -> Option<Mismatch> {
        let named = |name: &str| if name.is_empty() { "no experiment".to_string() } else { format!("`{name}`") };
        let differ = |message: String, help: &str| Some(Mismatch { message, help: help.to_string() });
        if self.network != now.network {
            return differ(
                format!("it is of the circuit `{}`, this one is `{}`", self.network, now.network),
                "resume it with the file that it was made from",
            );
        }
        if self.experiment != now.experiment {
            return differ(
                format!("it is of {}, this run is of {}", named(&self.experiment), named(&now.experiment)),
                "choose the experiment with `--experiment`",
            );
        }
        if self.dt_ms.to_bits() != now.dt_ms.to_bits() {
            let ms = |v| display(v, Dimension::TIME);
            return differ(
                format!("it was made in steps of {}, this circuit has steps of {}", ms(self.dt_ms), ms(now.dt_ms)),
                "give the same `--dt`; what is under way is counted in steps",
            );
        }
        if self.seed != now.seed {
            return differ(
                format!("it was made with seed {}, this run has seed {}", self.seed, now.seed),
                "give the same `--seed`: synapses are drawn again from it, not stored",
            );
        }
        if self.sweep != now.sweep {
            return differ("it is of another point of the sweep".to_string(), "leave the sweep as it was");
        }
        if self.recorded != now.recorded {
            let (was, help) = match self.recorded {
                true => ("with", "give `--out` again"),
                false => ("without", "leave `--out` away, or start anew: what was not recorded is not in it"),
            };
            return differ(format!("it was made {was} `--out`"), help);
        }
        // Some parts have no path, so parts are looked for as they are.
        let unlike = |these: &[(String, u64)], those: &[(String, u64)]| {
            these.iter().find(|part| !those.contains(part)).map(|(path, _)| path.clone())
        };
        let changed = unlike(&self.parts, &now.parts).or_else(|| unlike(&now.parts, &self.parts));
        if let Some(path) = changed.filter(|path| !path.is_empty()) {
            return differ(
                format!("`{path}` is not what it was (a size, a value, an equation or a rule)"),
                "resume with the circuit and the `--set` that it was made with",
            );
        }
        if self.circuit != now.circuit {
            return differ(
                format!("the circuit `{}` is not what it was", self.network),
                "resume with the circuit and the `--set` that it was made with",
            );
        }
        if self.protocol != now.protocol {
            return differ(
                "the statements of the experiment are not what they were".to_string(),
                "only the time of its one `simulate` may change: `--for`",
            );
        }
        None
    }
}

impl Checkpoint {
    /// Time of the run, ms.
    pub fn time_ms(&self) -> f64 {
        self.arrays.engine.step as f64 * self.origin.dt_ms
    }

    /// What keeps a run of `unit` with origin `now` from going on from here.
    pub fn mismatch(&self, now: &Origin, unit: &Unit) -> Option<Mismatch> {
        self.origin.mismatch(now).or_else(|| {
            let Some(Stmt::Simulate { time, .. }) = only_simulate(&unit.protocol.statements) else { return None };
            let (ms, begun) = (time.as_const()?.number().ok()?, self.walk.simulating?);
            let end = begun.start as f64 + (ms / now.dt_ms).round();
            if end >= self.arrays.engine.step as f64 {
                return None;
            }
            let text = |ms| display(ms, Dimension::TIME);
            Some(Mismatch {
                message: format!(
                    "it is of t = {}, after the end of this run at {}",
                    text(self.time_ms()),
                    text(end * now.dt_ms)
                ),
                help: "`--for` is the total time, that before the checkpoint counted".to_string(),
            })
        })
    }

    /// Writes it as sections with checksums.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let ron = |text: ron::Result<String>| text.map(String::into_bytes).map_err(io::Error::other);
        let sections = [
            (ORIGIN, ron(options().to_string(&self.origin))?),
            (WALK, ron(options().to_string(&self.walk))?),
            (ARRAYS, postcard::to_stdvec(&self.arrays).map_err(io::Error::other)?),
        ];
        FORMAT.write(&sections, out)
    }

    /// Reads what [`Checkpoint::write`] wrote.
    ///
    /// # Errors
    /// [`Broken`] where it is incomplete, damaged or of another format.
    pub fn read(bytes: &[u8]) -> Result<Checkpoint, Broken> {
        let damaged = |what: &str| Broken::Damaged(what.to_string());
        if !FORMAT.begins(bytes) {
            return Err(damaged("it does not begin like one"));
        }
        let sections = FORMAT.read(bytes)?;
        let [(ORIGIN, origin), (WALK, walk), (ARRAYS, arrays)] = sections.as_slice() else {
            return Err(damaged("its sections are not those of a checkpoint"));
        };
        let read = |e: postcard::Error| Broken::Damaged(format!("its arrays can't be read: {e}"));
        let (arrays, rest) = postcard::take_from_bytes(arrays).map_err(read)?;
        if !rest.is_empty() {
            return Err(damaged("its arrays are longer than they say"));
        }
        Ok(Checkpoint { origin: from_ron(origin)?, walk: from_ron(walk)?, arrays })
    }
}

fn options() -> ron::Options {
    ron::Options::default().with_recursion_limit(DEPTH)
}

fn from_ron<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    options().from_bytes(bytes).map_err(|e| Broken::Damaged(format!("its content can't be read: {e}")))
}

/// The one `simulate` of some statements, if there is one and no more.
pub(super) fn only_simulate(statements: &[Stmt]) -> Option<&Stmt> {
    fn find<'s>(list: &'s [Stmt], out: &mut Vec<&'s Stmt>) {
        for stmt in list {
            match stmt {
                Stmt::Simulate { .. } => out.push(stmt),
                // Time moves in it, by a length of its own.
                Stmt::Phase(p) => {
                    out.extend([stmt; 2]);
                    p.blocks().for_each(|b| find(b, out));
                }
                Stmt::If { then, otherwise, .. } => {
                    find(then, out);
                    find(otherwise, out);
                }
                Stmt::For { body, .. } | Stmt::Repeat { body, .. } | Stmt::Update { body, .. } => find(body, out),
                _ => {}
            }
        }
    }
    let mut all = Vec::new();
    find(statements, &mut all);
    if let [one] = all.as_slice() { Some(one) } else { None }
}

/// The experiment with nothing of how long its only `simulate` lasts.
fn without_duration(protocol: &Protocol) -> Protocol {
    fn erase(list: &mut [Stmt]) {
        for stmt in list {
            match stmt {
                Stmt::Simulate { time, .. } if time.as_const().is_some() => *time = Expr::number(0.0),
                Stmt::If { then, otherwise, .. } => {
                    erase(then);
                    erase(otherwise);
                }
                Stmt::For { body, .. } | Stmt::Repeat { body, .. } | Stmt::Update { body, .. } => erase(body),
                _ => {}
            }
        }
    }
    let mut out = protocol.clone();
    if only_simulate(&protocol.statements).is_some() {
        erase(&mut out.statements);
        out.duration_hint_ms = None;
    }
    out
}

/// FNV-1a over the text form of a value: 64 bits.
fn hash(value: &impl Serialize) -> u64 {
    struct Hasher(u64);
    impl fmt::Write for Hasher {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.0 = s.bytes().fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
            Ok(())
        }
    }
    let mut hasher = Hasher(0xcbf2_9ce4_8422_2325);
    // What can't be written as text is the same nothing each time; IR always can.
    let _ = options().to_writer(&mut hasher, value);
    hasher.0
}
