//! An experiment as a bounded program over the network: what runs between the steps.

use super::environment::Environment;
use crate::script::{BinaryOp, Cells, Expr, PlotKind, Value, VarId};
use crate::units::{self, Dimension};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What one run does. Populations and params are positions in the network that it belongs to.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Protocol {
    pub statements: Vec<Stmt>,
    pub records: Vec<Record>,
    pub plots: Vec<Plot>,
    /// What is kept of the activity while awake, for sleep to replay.
    pub memories: Vec<Memory>,
    /// After all runs.
    pub conclude: Vec<Stmt>,
    pub conclude_plots: Vec<CurvePlot>,
    /// `plot pareto of ...`: the aims of each, all by the same.
    #[serde(default)]
    pub conclude_fronts: Vec<Vec<CurvePlot>>,
    /// Names of the variables, by slot.
    pub variables: Vec<Variable>,
    pub environments: Vec<Environment>,
    /// Tables of the network with random draws in them that the experiment reads.
    pub tables: Vec<u32>,
    /// What is read from outside: of a circuit that runs without an experiment.
    pub actuators: Vec<Actuator>,
    /// Sum of the `simulate` times where they are constants: for the progress bar and the budget, ms.
    pub duration_hint_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub dimension: Dimension,
    /// Names of its values 0, 1, ... where it runs through labels.
    pub labels: Vec<String>,
    /// Written into the rows of `measure`.
    pub in_rows: bool,
}

impl Variable {
    /// The label that a value stands for.
    pub fn label(&self, value: f64) -> Option<&str> {
        let whole = value >= 0.0 && value == value.trunc();
        self.labels.get(value as usize).filter(|_| whole).map(String::as_str)
    }
}

/// `actuator move = argmin(...)`: a question to the circuit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actuator {
    pub path: String,
    pub value: Expr,
    pub dimension: Dimension,
}

/// Where a statement was written: `file:line:column`, for messages of a run.
pub type Place = String;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stmt {
    Simulate {
        /// ms
        time: Expr,
        window: Option<String>,
        place: Place,
    },
    Set {
        target: SetTarget,
        /// `None`: replace.
        op: Option<BinaryOp>,
        value: Expr,
        /// ms
        lasting: Option<Expr>,
        place: Place,
    },
    /// Sends an event, now or later.
    Emit {
        /// Position in the network.
        event: u32,
        value: Option<Expr>,
        /// ms
        after: Option<Expr>,
        place: Place,
    },
    SetSensor {
        /// Position in the network.
        sensor: u32,
        slots: Vec<Expr>,
        /// `None`: replace.
        op: Option<BinaryOp>,
        value: Expr,
        /// ms
        lasting: Option<Expr>,
        place: Place,
    },
    Assign {
        variable: VarId,
        slots: Vec<Expr>,
        op: Option<BinaryOp>,
        value: Expr,
        place: Place,
    },
    For {
        loops: Vec<Loop>,
        body: Vec<Stmt>,
        place: Place,
    },
    Repeat {
        times: Expr,
        until: Option<Expr>,
        body: Vec<Stmt>,
        place: Place,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
        place: Place,
    },
    /// Whether rules change the weights of these projections.
    Learning {
        on: bool,
        projections: Vec<u32>,
    },
    /// Once for each synapse, with its weight and its cells in the variables (w, pre, post).
    Update {
        projections: Vec<u32>,
        variables: [VarId; 3],
        body: Vec<Stmt>,
        place: Place,
    },
    /// A phase of sleep: time moves in it, and what it switches is as before when it ends.
    Phase(Phase),
    /// Draws a pattern from a memory and adds to an input of its cells.
    Replay {
        /// Position in the protocol.
        memory: u32,
        target: SetTarget,
        value: Expr,
        /// ms
        lasting: Expr,
        /// Keys the draw.
        site: u32,
        place: Place,
    },
    /// w <- (1 - by) w
    Downscale {
        projections: Vec<u32>,
        by: Expr,
        place: Place,
    },
    /// States of populations, weights of projections as at the start.
    Reset {
        populations: Vec<u32>,
        projections: Vec<u32>,
        sensors: Vec<u32>,
        place: Place,
    },
    /// One step of an environment, by position, and what it is given, by name.
    Step {
        environment: u32,
        given: Vec<(String, Expr)>,
        /// ms of the environment's own time
        lasting: Option<Expr>,
        place: Place,
    },
    ResetEnvironment {
        environment: u32,
        place: Place,
    },
    Expect(Expect),
    Measure {
        name: String,
        value: Expr,
        dimension: Dimension,
        place: Place,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Of its window, and in plots.
    pub name: String,
    /// ms
    pub length: Expr,
    /// Whether rules change the weights of these projections, in order.
    pub learning: Vec<(bool, Vec<u32>)>,
    pub begin: Vec<Stmt>,
    pub every: Vec<Periodic>,
    pub end: Vec<Stmt>,
    pub place: Place,
}

impl Phase {
    /// The lists of statements in it.
    pub fn blocks(&self) -> impl Iterator<Item = &Vec<Stmt>> {
        [&self.begin, &self.end].into_iter().chain(self.every.iter().map(|e| &e.body))
    }
}

/// What is done in a phase at multiples of a time from its start on, before its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Periodic {
    /// ms
    pub period: Expr,
    /// Also at the very start.
    pub first: bool,
    pub body: Vec<Stmt>,
}

/// Which cells of a population fired together: one pattern for each full window, counted from when the circuit woke.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub path: String,
    pub of: Cells,
    /// Steps.
    pub window: u64,
    /// So many of the latest patterns.
    pub keep: u64,
    /// Fewest cells of a pattern.
    pub least: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    pub variable: VarId,
    pub start: Expr,
    /// `None`: `start` is a count or a list.
    pub end: Option<Expr>,
}

/// A param of a population's dynamics, for some of its cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetTarget {
    pub cells: Cells,
    pub param: u32,
    /// The cells as written.
    pub text: String,
    pub bounds: Option<Bounds>,
}

/// What a param has to stay within when an experiment sets it, both ends included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The param as written.
    pub name: String,
    pub low: f64,
    pub high: f64,
    pub dimension: Dimension,
}

impl Bounds {
    /// A NaN is outside of all bounds.
    pub fn hold(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    /// A value of the param with its unit.
    pub fn display(&self, value: f64) -> String {
        units::display(value, self.dimension)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} .. {}", self.display(self.low), self.display(self.high))
    }
}

/// What an author keeps true of the circuit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    pub text: String,
    pub condition: Expr,
    /// The side whose value is reported.
    pub measured: Option<Expr>,
    pub dimension: Dimension,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Spikes {
        of: Cells,
    },
    Observable {
        of: Cells,
        observable: u32,
        /// ms; every step where not given.
        every: Option<Expr>,
    },
    /// Weights of a projection, by position.
    Weights {
        projection: u32,
        /// ms; at the start and the end where not given.
        every: Option<Expr>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    pub kind: PlotKind,
    pub of: Vec<PlotItem>,
    /// Projections, of a plot of weights.
    pub weights: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlotItem {
    pub cells: Cells,
    pub observable: Option<u32>,
}

/// `plot curve of mean(m by x)`, or an expression over such aggregates: y over the values of a row variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePlot {
    pub title: String,
    /// The aggregates, all `by` the same; their groups must be the same.
    pub rows: Vec<crate::script::RowQuery>,
    /// A list: y of each group.
    pub value: Expr,
    pub dimension: Dimension,
    pub place: Place,
}

/// One run of an experiment: its sweep values and which unit it executes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub sweep: Vec<(VarId, Value)>,
    pub unit: usize,
}
