//! The resolved, typed model: names are ids, every expression has a dimension, equations are still equations.
//!
//! Made by `sema`, read by `lower`. Nothing here has a size yet: params keep their defaults until a network is elaborated.

mod experiment;

use crate::base::Span;
pub use crate::script::{BinaryOp, UnaryOp};
use crate::script::{Distribution, Func, ListDraw, Stat, Value, Wiring};
use crate::units::Dimension;
pub use experiment::{Experiment, GatedDrive, Kick, Periodic, Plot, Record, ResetWhat, SleepPhase, Stmt, StmtKind};
use std::collections::BTreeSet;

/// A named value of the program: one arena for params, lets, states, loop variables ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkId(pub u32);

/// A population or source of a network, by position in [`Network::populations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PopulationId(pub u32);

#[derive(Clone, Debug, Default)]
pub struct Program {
    pub values: Vec<ValueDef>,
    pub models: Vec<Model>,
    pub networks: Vec<Network>,
    pub experiments: Vec<Experiment>,
    pub labels: Vec<Labels>,
    pub environments: Vec<EnvironmentModel>,
    pub fixed: Vec<Fixed>,
    /// What was read when names were resolved, of which nothing else may be left.
    pub read: BTreeSet<ValueId>,
}

/// A param that the shape of the circuit followed when names were resolved: it keeps this value.
#[derive(Clone, Debug)]
pub struct Fixed {
    pub param: ValueId,
    pub value: Value,
    /// What read it.
    pub span: Span,
}

/// `environment Pendulum { ... }`: a world that an experiment steps.
#[derive(Clone, Debug)]
pub struct EnvironmentModel {
    pub name: String,
    pub span: Span,
    /// Its names and equations, and those states that are one number: what moves in time is lowered as a cell is.
    pub model: ModelId,
    /// All states, lists too, in order of declaration.
    pub states: Vec<ValueId>,
    /// Of `on step(a: number)`.
    pub formals: Vec<ValueId>,
    pub on_step: Vec<Stmt>,
    pub on_reset: Vec<Stmt>,
    /// A process answers for it.
    pub outside: bool,
    pub broken: bool,
}

/// `environment maze: GridWorld(size = 5)` in an experiment.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: String,
    pub span: Span,
    /// By position in [`Program::environments`].
    pub model: u32,
    /// Params and first values of states.
    pub args: Vec<(ValueId, Expr)>,
}

/// `labels Pool { A, B }`
#[derive(Clone, Debug)]
pub struct Labels {
    pub name: String,
    pub span: Span,
    pub members: Vec<ValueId>,
    /// Whether an axis has them.
    pub used: bool,
}

impl Program {
    pub fn value(&self, id: ValueId) -> &ValueDef {
        &self.values[id.0 as usize]
    }

    pub fn model(&self, id: ModelId) -> &Model {
        &self.models[id.0 as usize]
    }

    pub fn network(&self, id: NetworkId) -> &Network {
        &self.networks[id.0 as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Bool,
    Text,
    Mask,
    /// Already reported: fits everything.
    Unknown,
}

/// What an expression is. `dim` is `None` for a bare 0 or inf, which fits any dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    pub kind: Kind,
    /// Depth of list nesting.
    pub rank: u8,
    pub dim: Option<Dimension>,
}

impl Type {
    pub const UNKNOWN: Type = Type { kind: Kind::Unknown, rank: 0, dim: None };
    pub const BOOL: Type = Type { kind: Kind::Bool, rank: 0, dim: Some(Dimension::NUMBER) };
    pub const TEXT: Type = Type { kind: Kind::Text, rank: 0, dim: Some(Dimension::NUMBER) };
    pub const NUMBER: Type = Type { kind: Kind::Number, rank: 0, dim: Some(Dimension::NUMBER) };
    pub const MASK: Type = Type { kind: Kind::Mask, rank: 0, dim: Some(Dimension::NUMBER) };

    pub fn quantity(dim: Dimension) -> Type {
        Type { kind: Kind::Number, rank: 0, dim: Some(dim) }
    }

    pub fn with_rank(self, rank: u8) -> Type {
        Type { rank, ..self }
    }

    /// The dimension, taking "fits any" for a number.
    pub fn dimension(self) -> Dimension {
        self.dim.unwrap_or(Dimension::NUMBER)
    }
}

#[derive(Clone, Debug)]
pub struct ValueDef {
    pub name: String,
    /// With the path of the use of a region that it belongs to: `left.code`.
    pub path: String,
    /// Loops of the circuit around its declaration: each turn has its own.
    pub loops: usize,
    pub span: Span,
    pub ty: Type,
    pub kind: ValueKind,
}

#[derive(Clone, Debug)]
pub enum ValueKind {
    Param {
        default: Option<Expr>,
        bounds: Option<(Expr, Expr)>,
    },
    Let(Expr),
    /// `let N[Layer] = ...`: with named axes the body is evaluated for each position; without, it is a list of that shape.
    Table {
        axes: Vec<TableAxis>,
        value: Expr,
    },
    Function {
        formals: Vec<ValueId>,
        value: Expr,
    },
    State {
        initial: Expr,
    },
    Input,
    Output(Expr),
    Noise,
    /// Formal of a function or receptor.
    Formal,
    /// Loop variable, sweep variable, `var` or `let` of an experiment: a slot at run time or an unrolled constant.
    Variable,
    /// An axis of the population at hand.
    Axis(u32),
    /// One of a set of labels.
    Label(u32),
    /// A coordinate of the cell at hand.
    Coordinate(u32),
    /// Of a plasticity rule: lives once per neuron of one side.
    Trace(Side),
    /// Of a plasticity rule: lives once per synapse.
    Synapse,
    /// Set from outside, by position in [`Network::sensors`].
    Sensor(u32),
    /// The level of a modulator that has dynamics of its own.
    Level(PopulationId),
    /// A column that `measure` writes.
    Measure,
    /// `soma.V`, `dend[k + 1].g`: a value of one compartment, read or written from outside it. Gone once compartments are unrolled.
    Part {
        place: Place,
        value: ValueId,
    },
    /// `I_axial` of a compartment. Gone once compartments are unrolled.
    Axial,
    /// Its definition was wrong; already reported.
    Broken,
}

/// One compartment of a model: `soma`, `dend[3]`.
#[derive(Clone, Debug)]
pub struct Place {
    /// By position in [`Model::compartments`].
    pub compartment: u32,
    pub index: Option<Box<Expr>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct TableAxis {
    pub variable: Option<ValueId>,
    pub size: Expr,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
    pub ty: Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Own,
    Pre,
    Post,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A literal in internal units, a data file's content, `pi`, `quick`.
    Const(Value),
    Value(ValueId),
    /// `t`, ms
    Time,
    /// `dt`, ms
    Step,
    /// `index` (own), bare `pre`, `post`
    Index(Side),
    /// `pre.channel`, `post.V_th`: an axis or a param of the population at that end.
    Attribute(Side, String),
    /// Between the two cells of a synapse.
    Distance,
    /// The n-th `xi` of its model.
    Xi(u32),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Crosses(Box<Expr>, Box<Expr>),
    In(Box<Expr>, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Call(Func, Vec<Expr>),
    Apply(ValueId, Vec<Expr>),
    Draw {
        distribution: Distribution,
        args: Vec<Expr>,
        site: u32,
    },
    ListDraw {
        kind: ListDraw,
        args: Vec<Expr>,
        site: u32,
    },
    IndexList(Box<Expr>, Vec<Slot>),
    /// `column("w")` of the projection's edge file.
    Column(String),
    /// `sum_in(w)`: all weights onto the postsynaptic neuron.
    SumIn,
    /// `sum_out(w)`: all weights of the projection that leave the presynaptic neuron.
    SumOut,
    /// A statistic of spikes.
    Spikes {
        stat: Stat,
        of: Cells,
        window: Window,
        by: Option<String>,
        bin: Option<Box<Expr>>,
    },
    /// An observable over a window, or now.
    Trace {
        of: Cells,
        name: String,
        window: Option<Window>,
    },
    /// Weights of a named projection: all, or that of a pair of cells.
    Weights {
        projection: String,
        pair: Option<(Box<Expr>, Box<Expr>)>,
    },
    /// Who is connected to whom in a named projection.
    Wiring {
        stat: Wiring,
        projection: String,
    },
    SynapticEvents,
    /// `maze.done`: what an environment of the experiment shows, by position in [`Experiment::environments`].
    Environment {
        environment: u32,
        output: String,
    },
    /// `mean(m where c by v)`
    Rows {
        func: Func,
        values: Vec<Expr>,
        filter: Option<Box<Expr>>,
        by: Option<String>,
    },
    Error,
}

#[derive(Clone, Debug)]
pub enum Slot {
    At(Expr),
    Range(Option<Expr>, Option<Expr>),
}

/// `E[2, ..10]`, `E.A`: a population and what narrows it, axis by axis.
#[derive(Clone, Debug)]
pub struct Cells {
    pub population: PopulationId,
    pub slots: Vec<Slot>,
    /// `E.dend[3]`: where on the cells.
    pub part: Option<Place>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Window {
    Whole,
    Named(String, Option<(Box<Expr>, Option<Box<Expr>>)>),
    Interval(Box<Expr>, Option<Box<Expr>>),
    Last(Box<Expr>),
}

/// A neuron or source model.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub source: bool,
    pub modulator: bool,
    /// The state that a modulator's name stands for.
    pub level: Option<ValueId>,
    pub events: Vec<ModelEvent>,
    pub span: Span,
    /// Params, lets, states, inputs, outputs in order of declaration.
    pub names: Vec<ValueId>,
    pub states: Vec<ValueId>,
    pub equations: Vec<Equation>,
    pub receptors: Vec<Receptor>,
    /// Inputs with a body of their own.
    pub pair_inputs: Vec<PairInput>,
    pub spike: SpikeRule,
    pub reset: Vec<Assign>,
    pub refractory: Option<(Expr, Vec<ValueId>)>,
    pub every: Vec<Every>,
    pub integrate: Option<Integrate>,
    /// Written once each, whatever their number; kept beside the unrolled names, which are found through them.
    pub compartments: Vec<Compartment>,
    pub couplings: Vec<Coupling>,
    /// Pairs of voltages that are coupled, in an unrolled model: the edges of a tree, or of several.
    pub axial: Vec<(ValueId, ValueId)>,
    /// Number of `xi` in it.
    pub xis: u32,
    /// Its definition had errors: uses are not checked further.
    pub broken: bool,
}

/// `needs event reward(r: number)` and what `on reward(r)` does.
#[derive(Clone, Debug)]
pub struct ModelEvent {
    pub name: String,
    pub span: Span,
    /// Of the number that it carries, if it carries one.
    pub dim: Option<Dimension>,
    /// The number's name in the body, and its statements.
    pub handlers: Vec<(Option<ValueId>, Vec<Assign>)>,
}

/// `compartment dend[k: n] { ... }`: what each of them has.
#[derive(Clone, Debug)]
pub struct Compartment {
    pub name: String,
    pub span: Span,
    pub axis: Option<TableAxis>,
    /// Params, lets, states, inputs, outputs in order of declaration, and `I_axial`.
    pub names: Vec<ValueId>,
    pub states: Vec<ValueId>,
    pub equations: Vec<Equation>,
    pub receptors: Vec<Receptor>,
    pub every: Vec<Every>,
    pub axial: ValueId,
}

/// `couple a <-> b by g`, once for each turn of the loops around it.
#[derive(Clone, Debug)]
pub struct Coupling {
    pub loops: Vec<Loop>,
    pub a: Place,
    pub b: Place,
    pub conductance: Expr,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Equation {
    pub state: ValueId,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub struct Assign {
    pub state: ValueId,
    pub value: Expr,
}

/// `every 1 s { ... }` of a cell.
#[derive(Clone, Debug)]
pub struct Every {
    pub period: Expr,
    pub body: Vec<CellStmt>,
}

#[derive(Clone, Debug)]
pub enum CellStmt {
    Set(Assign),
    If(Expr, Vec<CellStmt>, Vec<CellStmt>),
}

#[derive(Clone, Debug)]
pub struct Receptor {
    pub name: String,
    pub span: Span,
    pub weight: ValueId,
    pub dim: Dimension,
    pub body: Vec<Assign>,
}

/// `input I_gap(g: conductance, other: voltage): current = g * (other - V)`, split as
/// `terms[0] + terms[1] * g + terms[2] * other + terms[3] * g * other`.
#[derive(Clone, Debug)]
pub struct PairInput {
    pub input: ValueId,
    pub weight: Dimension,
    pub other: Dimension,
    /// `None`: 0.
    pub terms: [Option<Expr>; 4],
}

#[derive(Clone, Debug)]
pub enum SpikeRule {
    Never,
    When(Expr),
    /// A hazard, ms^-1.
    Rate(Expr),
    /// Given times, ms.
    Times(Expr),
}

/// `integrate with METHOD`.
#[derive(Clone, Debug)]
pub struct Integrate {
    pub method: Method,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    Exact,
    ExponentialEuler,
    Rk4 {
        substeps: u32,
    },
    Euler {
        substeps: u32,
    },
    /// Steps whose length follows the error. `longest` in ms; the step of the network where not given.
    Rkf45 {
        tolerance: f64,
        longest: Option<f64>,
    },
    /// Forward Euler, one equation after the other in the order written, each with its own number of sub-steps.
    SequentialEuler {
        substeps: Vec<(ValueId, u32)>,
    },
}

#[derive(Clone, Debug)]
pub struct Network {
    pub name: String,
    pub span: Span,
    /// Declared with `region`.
    pub region: bool,
    /// Params and lets of the network, in order of declaration (those inside `if` and `for` too).
    pub names: Vec<ValueId>,
    pub dt: Option<Expr>,
    pub populations: Vec<Population>,
    pub items: Vec<Item>,
    pub functions: Vec<Function>,
    pub sensors: Vec<Sensor>,
    pub events: Vec<EventPort>,
    pub memories: Vec<Memory>,
    /// Path and formula of what is read from outside.
    pub actuators: Vec<(String, ValueId)>,
    pub broken: bool,
}

/// `memory episodes of CA3 { window 100 ms keep 200 at least 6 }`: which cells fired together while awake.
#[derive(Clone, Debug)]
pub struct Memory {
    pub path: String,
    pub span: Span,
    pub of: Cells,
    pub window: Expr,
    pub keep: Expr,
    /// Fewest cells of a pattern; 1 where not given.
    pub least: Option<Expr>,
}

/// `event reward(r: number)` of a network.
#[derive(Clone, Debug)]
pub struct EventPort {
    pub path: String,
    pub span: Span,
    /// Of the number that it carries, if it carries one.
    pub dim: Option<Dimension>,
}

/// Numbers that are set from outside while the circuit runs.
#[derive(Clone, Debug)]
pub struct Sensor {
    pub path: String,
    pub span: Span,
    pub value: ValueId,
    /// One for each axis; none: one number.
    pub sizes: Vec<Expr>,
    /// Of every position, at the start.
    pub initial: Expr,
    /// Of a rule's param that has some.
    pub bounds: Option<(Expr, Expr)>,
}

/// `function "action selection" by bg shown by Bandit`: what part of the circuit carries a cognitive function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub text: String,
    /// Path of the region or population.
    pub by: String,
    pub experiment: Option<String>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Population {
    /// Path: `D1`, or `bg.D1` in a use of a region.
    pub name: String,
    pub span: Span,
    pub source: bool,
    /// `None` for a private source.
    pub axes: Option<Vec<Axis>>,
    pub model: ModelId,
    /// Params and initial states bound, in the network's scope plus the axes.
    pub args: Vec<(ValueId, Expr)>,
    /// The axis variables of the population's own scope.
    pub axis_values: Vec<ValueId>,
    pub model_span: Span,
    pub position: Option<Position>,
    /// `active at most`.
    pub winners: Option<Winners>,
    /// Its weights may have both signs.
    pub mixed: bool,
    /// At most one of each check.
    pub exemptions: Vec<Exemption>,
    /// A modulator: what its name stands for.
    pub level: Option<ValueId>,
    /// Events that its model needs, by position: the network's that is bound.
    pub events: Vec<Option<u32>>,
}

/// `exempt active_fraction because "..."`: what a population is let off.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemption {
    pub check: Check,
    pub reason: String,
}

/// What a report holds every population of neurons to, unless it is exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Few of its cells fire in a window that the experiment names.
    ActiveFraction,
    /// Its mean rate is moderate.
    Rate,
}

impl Check {
    pub const ALL: [Check; 2] = [Check::ActiveFraction, Check::Rate];

    /// What it is called in a circuit.
    pub fn name(self) -> &'static str {
        match self {
            Check::ActiveFraction => "active_fraction",
            Check::Rate => "rate",
        }
    }
}

/// Where the cells of a population lie; lengths.
#[derive(Clone, Debug)]
pub struct Position {
    pub coordinates: Vec<Expr>,
    /// Size of the space in each coordinate, where the layout has one.
    pub extent: Option<Vec<Expr>>,
    /// On a ring: the place along the circle, and its circumference.
    pub arc: Option<(Expr, Expr)>,
    pub periodic: bool,
    pub span: Span,
}

/// `active at most 2 % within 80 ms`: in any such window at most so many distinct cells fire.
#[derive(Clone, Debug)]
pub struct Winners {
    /// A fraction of the cells, or their number.
    pub most: Expr,
    pub fraction: bool,
    pub within: Expr,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Axis {
    pub name: Option<String>,
    pub labels: Vec<String>,
    pub size: Expr,
}

#[derive(Clone, Debug)]
pub enum Item {
    Population(PopulationId),
    Projection(Projection),
    Drive { target: Cells, input: String, value: Expr, span: Span },
    For { loops: Vec<Loop>, items: Vec<Item> },
    If { condition: Expr, then: Vec<Item>, otherwise: Vec<Item> },
}

#[derive(Clone, Debug)]
pub struct Loop {
    pub variable: ValueId,
    pub start: Expr,
    pub end: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Projection {
    pub name: Option<String>,
    pub span: Span,
    /// Every source end with every target end.
    pub from: Vec<Cells>,
    /// Cells and the receptor's position in the target's model, or in the compartment that the cells name.
    pub to: Vec<(Cells, u32)>,
    pub connect: Option<Connect>,
    pub weight: Option<Expr>,
    pub delay: Option<Expr>,
    pub gain: Option<Expr>,
    /// Part of the delay that lies in the dendrite.
    pub dendritic: Option<Expr>,
    pub rules: Vec<Plasticity>,
    pub continuous: Option<Continuous>,
}

/// A plasticity rule as attached to a projection.
#[derive(Clone, Debug)]
pub struct Plasticity {
    pub name: String,
    pub use_span: Span,
    pub params: Vec<ValueId>,
    /// Names of the modulators that were bound.
    pub levels: Vec<String>,
    /// Traces and synaptic states.
    pub variables: Vec<RuleVariable>,
    pub weight: Option<ValueId>,
    pub bounds: Option<(Expr, Expr)>,
    /// `w' = ...`
    pub drift: Option<Expr>,
    pub handlers: Vec<Handler>,
    /// Weight of the synapses that come in the place of those that were removed.
    pub regrow: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct RuleVariable {
    pub value: ValueId,
    /// `None`: per synapse.
    pub side: Option<Side>,
    pub initial: Expr,
    pub equation: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Handler {
    pub event: Event,
    pub body: Vec<RuleStmt>,
}

#[derive(Clone, Debug)]
pub enum Event {
    Pre,
    Post,
    /// A spike arrives at this receptor of the postsynaptic neuron.
    Receptor(String),
    /// An event of the network, and the name of its number.
    Named(u32, Option<ValueId>),
    Every(Expr),
}

#[derive(Clone, Debug)]
pub enum RuleStmt {
    Set {
        variable: ValueId,
        value: Expr,
    },
    Deliver(Expr),
    If(Expr, Vec<RuleStmt>, Vec<RuleStmt>),
    /// The synapse goes if this holds.
    Remove(Expr),
}

/// What makes a projection continuous: the value read at each source end, the input at each target end. The receptors of its
/// target ends mean nothing.
#[derive(Clone, Debug)]
pub struct Continuous {
    pub values: Vec<ValueId>,
    pub inputs: Vec<ValueId>,
}

#[derive(Clone, Debug)]
pub struct Connect {
    pub rule: Rule,
    pub span: Span,
    pub filter: Option<Expr>,
    pub autapses: bool,
    pub multapses: bool,
    pub symmetric: bool,
    pub procedural: bool,
}

#[derive(Clone, Debug)]
pub enum Rule {
    OneToOne,
    AllToAll,
    Bernoulli(Expr),
    FixedIndegree(Expr),
    FixedOutdegree(Expr),
    FixedTotalNumber(Expr),
    Pairs(Expr),
    /// Columns of a file, by name; the first two are pre and post.
    Edges {
        columns: Vec<(String, Vec<f64>)>,
        file: String,
    },
}
