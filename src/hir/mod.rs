//! The resolved, typed model: names are ids, every expression has a dimension, equations are still equations.
//!
//! Made by `sema`, read by `lower`. Nothing here has a size yet: params keep their defaults until a network is elaborated.

use crate::base::Span;
pub use crate::script::{BinaryOp, UnaryOp};
use crate::script::{Distribution, Func, ListDraw, PlotKind, Stat, Value};
use crate::units::Dimension;

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
    /// A column that `measure` writes.
    Measure,
    /// Its definition was wrong; already reported.
    Broken,
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
    SynapticEvents,
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
    pub span: Span,
    /// Params, lets, states, inputs, outputs in order of declaration.
    pub names: Vec<ValueId>,
    pub states: Vec<ValueId>,
    pub equations: Vec<Equation>,
    pub receptors: Vec<Receptor>,
    pub spike: SpikeRule,
    pub reset: Vec<Assign>,
    pub refractory: Option<(Expr, Vec<ValueId>)>,
    pub integrate: Option<Integrate>,
    /// Number of `xi` in it.
    pub xis: u32,
    /// Its definition had errors: uses are not checked further.
    pub broken: bool,
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

#[derive(Clone, Debug)]
pub struct Receptor {
    pub name: String,
    pub span: Span,
    pub weight: ValueId,
    pub dim: Dimension,
    pub body: Vec<Assign>,
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
    /// Forward Euler, one equation after the other in the order written, each with its own number of sub-steps.
    SequentialEuler {
        substeps: Vec<(ValueId, u32)>,
    },
}

#[derive(Clone, Debug)]
pub struct Network {
    pub name: String,
    pub span: Span,
    /// Params and lets of the network, in order of declaration (those inside `if` and `for` too).
    pub names: Vec<ValueId>,
    pub dt: Option<Expr>,
    pub populations: Vec<Population>,
    pub items: Vec<Item>,
    pub broken: bool,
}

#[derive(Clone, Debug)]
pub struct Population {
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
    /// Whether its cells may both excite and inhibit.
    pub mixed: bool,
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
    /// Cells and the receptor's position in the target's model.
    pub to: Vec<(Cells, u32)>,
    pub connect: Option<Connect>,
    pub weight: Option<Expr>,
    pub delay: Option<Expr>,
    pub gain: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Connect {
    pub rule: Rule,
    pub span: Span,
    pub filter: Option<Expr>,
    pub autapses: bool,
    pub multapses: bool,
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

#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    pub span: Span,
    pub network: NetworkId,
    /// Params of the network bound, in the experiment's scope.
    pub args: Vec<(ValueId, Expr)>,
    pub names: Vec<ValueId>,
    pub seeds: Option<Expr>,
    pub sweeps: Vec<Loop>,
    pub records: Vec<Record>,
    pub plots: Vec<Plot>,
    pub body: Vec<Stmt>,
    pub conclude: Vec<Stmt>,
    pub curves: Vec<(Expr, Span)>,
    pub broken: bool,
}

#[derive(Clone, Debug)]
pub enum Record {
    Spikes(Cells),
    Observable { of: Cells, name: String, every: Option<Expr>, span: Span },
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub kind: PlotKind,
    pub of: Vec<(Cells, Option<String>)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    Simulate {
        time: Expr,
        window: Option<String>,
    },
    Set {
        target: Cells,
        name: String,
        op: Option<BinaryOp>,
        value: Expr,
        lasting: Option<Expr>,
    },
    Assign {
        variable: ValueId,
        slots: Vec<Expr>,
        op: Option<BinaryOp>,
        value: Expr,
    },
    /// `var x[4] = 0`: the value repeated along the axes.
    Fill {
        variable: ValueId,
        axes: Vec<TableAxis>,
        value: Expr,
    },
    For {
        loops: Vec<Loop>,
        body: Vec<Stmt>,
    },
    Repeat {
        times: Expr,
        until: Option<Expr>,
        body: Vec<Stmt>,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    Expect {
        condition: Expr,
        within: Option<(Expr, bool)>,
        text: String,
    },
    Measure {
        name: String,
        value: Expr,
    },
}
