//! The tree of what was written: spans, documentation and comments, no meaning.
//!
//! One variant per production of `grammar/nsm.pest`. Names are kept as text; numbers keep their source text, so that a later
//! room can round once.

use crate::base::Span;

/// One parsed file.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub items: Vec<Item>,
    /// Every `//` comment in order of place; the formatter weaves them back in by span.
    pub comments: Vec<Comment>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub span: Span,
    /// With its slashes, without the line end.
    pub text: String,
    /// Nothing but blanks stands before it on its line.
    pub own_line: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// `a.b.c`
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub names: Vec<Name>,
    pub span: Span,
}

/// Something that may carry `///` lines before it.
#[derive(Clone, Debug)]
pub struct Documented<T> {
    /// Lines without their slashes.
    pub doc: Vec<String>,
    pub kind: T,
    pub span: Span,
}

pub type Item = Documented<ItemKind>;
pub type Member = Documented<MemberKind>;
pub type Circuit = Documented<CircuitKind>;
pub type PlasticityItem = Documented<PlasticityKind>;
pub type Stmt = Documented<StmtKind>;

#[derive(Clone, Debug)]
pub enum ItemKind {
    Use(Use),
    Let(Let),
    Labels(Labels),
    Model(Model),
    Plasticity(Plasticity),
    /// `region` or `network`
    Network(Network),
    Sleep(Sleep),
    Experiment(Experiment),
    /// An item that did not parse; its name, if one could be made out, so that its uses raise no second error.
    Broken {
        name: Option<Name>,
    },
}

#[derive(Clone, Debug)]
pub struct Use {
    pub export: bool,
    pub source: UseSource,
    pub select: UseSelect,
    pub alias: Option<Name>,
}

#[derive(Clone, Debug)]
pub enum UseSource {
    File {
        text: String,
        span: Span,
    },
    /// `std.neurons.LifDelta`: the last name may be a module or a thing in one.
    Path(Path),
}

#[derive(Clone, Debug)]
pub enum UseSelect {
    /// The module itself, or what the last name of the path means.
    Whole,
    /// `"file".name`
    One(Name),
    /// `.(a, b)`
    Many(Vec<Name>),
}

#[derive(Clone, Debug)]
pub struct Let {
    pub name: Name,
    pub params: LetParams,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum LetParams {
    None,
    Function(Vec<Formal>),
    Table(Vec<Axis>),
}

/// `name: dim`
#[derive(Clone, Debug)]
pub struct Formal {
    pub name: Name,
    pub dim: Option<Dim>,
}

/// `name: size` or `size` in brackets.
#[derive(Clone, Debug)]
pub struct Axis {
    pub name: Option<Name>,
    pub size: Expr,
}

#[derive(Clone, Debug)]
pub struct Labels {
    pub name: Name,
    pub members: Vec<Name>,
}

/// `voltage/time`: the factors in order; a divided one has a negative power.
#[derive(Clone, Debug, PartialEq)]
pub struct Dim {
    pub factors: Vec<DimFactor>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DimFactor {
    /// The name of a dimension, `1`, `weight`, or a kind of model (`plasticity`, `neuron`).
    pub name: Name,
    pub divided: bool,
    /// Power as written (`2`, `-1`, `0.5`).
    pub power: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Binding {
    pub name: Name,
    pub dim: Option<Dim>,
    pub value: Option<Expr>,
    pub bounds: Option<(Expr, Expr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    Neuron,
    Source,
    Modulator,
    Environment,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub kind: ModelKind,
    pub name: Name,
    pub members: Vec<Member>,
}

#[derive(Clone, Debug)]
pub struct Equation {
    pub name: Name,
    /// Written `dV/dt = ...` rather than `V' = ...`; the formatter prints `V'`.
    pub leibniz: bool,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum Needs {
    Modulator { name: Name, value: Option<Expr> },
    Event { name: Name, formals: Option<Vec<Formal>> },
    Value { place: Expr, dim: Dim },
}

#[derive(Clone, Debug)]
pub enum MemberKind {
    Equation(Equation),
    Param(Vec<Binding>),
    Let(Let),
    Needs(Needs),
    State(Vec<Binding>),
    Level(Binding),
    Noise(Name),
    Event {
        name: Name,
        formals: Option<Vec<Formal>>,
    },
    Input {
        name: Name,
        formals: Option<Vec<Formal>>,
        dim: Dim,
        value: Option<Expr>,
    },
    Output {
        name: Name,
        value: Expr,
    },
    Receptor {
        name: Name,
        formals: Vec<Formal>,
        body: Block,
    },
    SpikeWhen {
        condition: Expr,
        body: Option<Block>,
    },
    SpikeAt {
        rate: Expr,
        body: Option<Block>,
    },
    Refractory {
        time: Expr,
        holds: Vec<Path>,
    },
    IntegrateWith(Expr),
    Every {
        period: Expr,
        body: Block,
    },
    On {
        event: Path,
        formals: Option<Vec<Formal>>,
        body: Block,
    },
    Compartment {
        name: Name,
        axes: Vec<Axis>,
        members: Vec<Member>,
    },
    Couple {
        a: Expr,
        b: Expr,
        by: Expr,
    },
    For {
        variable: Name,
        range: Range,
        members: Vec<Member>,
    },
    /// Did not parse; already reported.
    Broken,
}

#[derive(Clone, Debug)]
pub struct Plasticity {
    pub name: Name,
    pub items: Vec<PlasticityItem>,
}

#[derive(Clone, Debug)]
pub enum PlasticityKind {
    Param(Vec<Binding>),
    Let(Let),
    Needs(Needs),
    Equation(Equation),
    /// `pre trace x = 0: x' = ...`
    Trace {
        side: Side,
        name: Name,
        value: Option<Expr>,
        equation: Option<Equation>,
    },
    Synapse {
        name: Name,
        value: Option<Expr>,
        equation: Option<Equation>,
    },
    Weight {
        name: Name,
        bounds: Option<(Expr, Expr)>,
        equation: Option<Equation>,
    },
    On {
        event: Path,
        formals: Option<Vec<Formal>>,
        body: Block,
    },
    Every {
        period: Expr,
        body: Block,
    },
    Regrow {
        to: Name,
        weight: Expr,
    },
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Pre,
    Post,
}

/// A `network` or a `region`.
#[derive(Clone, Debug)]
pub struct Network {
    pub region: bool,
    pub name: Name,
    pub items: Vec<Circuit>,
}

/// A model, region or rule with what is bound to its params: `LifDelta(tau_m = tau)`.
#[derive(Clone, Debug)]
pub struct Instance {
    pub path: Path,
    /// `None` where no parentheses were written.
    pub args: Option<Vec<Arg>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Loop {
    pub variable: Name,
    pub range: Range,
}

/// `a .. b`, or a single expression (a count, a list).
#[derive(Clone, Debug)]
pub struct Range {
    pub start: Expr,
    pub end: Option<Expr>,
}

#[derive(Clone, Debug)]
pub enum CircuitKind {
    Param(Vec<Binding>),
    Let(Let),
    Labels(Labels),
    Needs(Needs),
    Dt(Expr),
    Event { name: Name, formals: Option<Vec<Formal>> },
    Population(Population),
    Projection(Projection),
    Matrix(Matrix),
    Memory { name: Name, of: Expr, window: Expr, keep: Expr, at_least: Option<Expr> },
    Source { name: Name, axes: Option<Vec<Axis>>, model: Instance },
    Modulator { name: Name, model: Instance },
    Drive { target: Expr, value: Expr },
    Region { name: Name, axes: Option<Vec<Axis>>, model: Instance, overrides: Vec<Override> },
    Sensor { name: Name, axes: Option<Vec<Axis>>, dim: Dim, value: Option<Expr> },
    Actuator { name: Name, value: Expr },
    Port { output: bool, name: Name, ends: Ends, weight: Option<Expr> },
    Function { text: String, by: Path, shown: Option<Path> },
    For { loops: Vec<Loop>, items: Vec<Circuit> },
    If(CircuitIf),
    Broken { name: Option<Name> },
}

#[derive(Clone, Debug)]
pub struct CircuitIf {
    pub condition: Expr,
    pub then: Vec<Circuit>,
    pub otherwise: Option<CircuitElse>,
}

impl CircuitIf {
    /// What stands in each of its branches, from the first on.
    pub fn branches(&self) -> Vec<&[Circuit]> {
        let mut all = vec![self.then.as_slice()];
        match &self.otherwise {
            Some(CircuitElse::Items(items)) => all.push(items),
            Some(CircuitElse::If(next)) => all.extend(next.branches()),
            None => {}
        }
        all
    }
}

#[derive(Clone, Debug)]
pub enum CircuitElse {
    If(Box<CircuitIf>),
    Items(Vec<Circuit>),
}

#[derive(Clone, Debug)]
pub struct Override {
    pub target: Expr,
    pub what: OverrideKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum OverrideKind {
    Value(Expr),
    Clauses(Vec<Clause>),
}

#[derive(Clone, Debug)]
pub struct Population {
    pub name: Name,
    pub axes: Vec<Axis>,
    pub model: Instance,
    pub body: Vec<PopulationClause>,
}

#[derive(Clone, Debug)]
pub enum PopulationClause {
    Position { layout: Expr, periodic: bool, span: Span },
    Active { most: Expr, within: Expr, span: Span },
    Mixed { span: Span },
    Exempt { check: Name, reason: String, span: Span },
}

#[derive(Clone, Debug)]
pub struct Projection {
    pub name: Option<Name>,
    pub from: Ends,
    pub to: Ends,
    pub clauses: Vec<Clause>,
}

/// `E`, `E.exc` or `(E, I)`.
#[derive(Clone, Debug)]
pub struct Ends {
    pub list: Vec<Expr>,
    pub parenthesised: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Clause {
    pub kind: ClauseKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ClauseKind {
    Connect(Connect),
    Weight(Expr),
    Delay(Delay),
    Gain(Expr),
    Plasticity(Vec<Instance>),
}

#[derive(Clone, Debug)]
pub struct Connect {
    pub rule: Expr,
    pub filter: Option<Expr>,
    pub autapses: bool,
    pub multapses: bool,
    pub symmetric: bool,
    pub procedural: bool,
}

#[derive(Clone, Debug)]
pub enum Delay {
    Total(Expr),
    Parts { axonal: Option<Expr>, dendritic: Option<Expr> },
}

#[derive(Clone, Debug)]
pub struct Matrix {
    pub name: Name,
    pub clauses: Vec<Clause>,
    pub columns: Vec<Path>,
    pub rows: Vec<MatrixRow>,
}

#[derive(Clone, Debug)]
pub struct MatrixRow {
    pub region: Path,
    /// `R`, `B`, `->`, `<-`, `.`
    pub cells: Vec<Name>,
}

#[derive(Clone, Debug)]
pub struct Sleep {
    pub name: Name,
    pub of: Path,
    /// Params and lets, as statements of a circuit would have them.
    pub header: Vec<Circuit>,
    pub phases: Vec<SleepPhase>,
}

#[derive(Clone, Debug)]
pub struct SleepPhase {
    pub name: Name,
    pub length: Expr,
    pub actions: Vec<Documented<ActionKind>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ActionKind {
    Set(Set),
    Switch(Switch),
    Let(Let),
    Drive { target: Expr, value: Expr },
    Kick { target: Expr, by: Expr, at: Expr },
    At { end: bool, body: Block },
    Every { period: Expr, body: Block },
    Replay { target: Expr, by: Expr, from: Expr, every: Expr, lasting: Expr },
}

#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: Name,
    pub of: Instance,
    pub body: Vec<Documented<ExperimentKind>>,
}

#[derive(Clone, Debug)]
pub enum ExperimentKind {
    Param(Vec<Binding>),
    Labels(Labels),
    Seeds(Expr),
    Sweep(Loop),
    Environment { name: Name, model: Instance },
    Record { what: Vec<Name>, of: Vec<Expr>, every: Option<Expr> },
    Plot(Plot),
    Conclude(Vec<Documented<ConcludeKind>>),
    Stmt(StmtKind),
    Broken,
}

#[derive(Clone, Debug)]
pub enum ConcludeKind {
    Let(Let),
    Expect(Expect),
    Plot(Plot),
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub kind: Name,
    pub of: Vec<Arg>,
}

#[derive(Clone, Debug)]
pub struct Expect {
    pub condition: Expr,
    pub within: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOp {
    Set,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Debug)]
pub struct Set {
    pub target: Expr,
    /// `=`, `+=` or `*=`
    pub op: AssignOp,
    pub value: Expr,
    pub lasting: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Switch {
    pub on: bool,
    pub of: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    Assign { target: Expr, op: AssignOp, value: Expr },
    Let(Let),
    Var { name: Name, axes: Option<Vec<Axis>>, value: Expr },
    Deliver(Expr),
    RemoveWhen(Expr),
    Simulate { time: Expr, window: Option<Name> },
    Set(Set),
    Update { target: Expr, body: Block },
    Downscale { targets: Vec<Expr>, by: Expr },
    Switch(Switch),
    Expect(Expect),
    Reset { what: Name, of: Vec<Expr> },
    Sleep { schedule: Instance, cycles: Expr },
    Step { environment: Instance, lasting: Option<Expr> },
    Emit { event: Instance, after: Option<Expr> },
    Measure { name: Name, value: Expr },
    For { loops: Vec<Loop>, body: Block },
    Repeat { times: Expr, until: Option<Expr>, body: Block },
    If(StmtIf),
    Broken,
}

#[derive(Clone, Debug)]
pub struct StmtIf {
    pub condition: Expr,
    pub then: Block,
    pub otherwise: Option<StmtElse>,
}

#[derive(Clone, Debug)]
pub enum StmtElse {
    If(Box<StmtIf>),
    Block(Block),
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl Expr {
    /// The name and the arguments of `name` or `name(...)`.
    pub fn named(&self) -> Option<(&str, &[Arg])> {
        match &self.kind {
            ExprKind::Name(name) => Some((name, &[])),
            ExprKind::Call(callee, args) => match &callee.kind {
                ExprKind::Name(name) => Some((name, args)),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// The number's source text (with underscores) and its unit, if one follows.
    Number {
        text: String,
        unit: Option<Name>,
    },
    /// The text between the quotes, escapes resolved.
    String(String),
    Bool(bool),
    Name(String),
    List(Vec<Expr>),
    /// `(e)` or `(e, e)`: kept, so that the formatter gives back what was written.
    Paren(Vec<Expr>),
    Field(Box<Expr>, Name),
    Index(Box<Expr>, Vec<Slot>),
    Call(Box<Expr>, Vec<Arg>),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `e in lo .. hi`, both ends counted.
    In(Box<Expr>, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Crosses,
    And,
    Or,
}

#[derive(Clone, Debug)]
pub enum Slot {
    At(Expr),
    Range(Option<Expr>, Option<Expr>),
}

/// An argument of a call or a binding, with what narrows it: `rate(E by item during w over 50 ms)`.
#[derive(Clone, Debug)]
pub struct Arg {
    pub name: Option<Name>,
    pub value: Expr,
    pub modifiers: Vec<Modifier>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Modifier {
    Where(Expr),
    By(Name),
    /// A window, or `from .. to` (run time; the end may be left out).
    During(Expr, Option<Option<Expr>>),
    Over(Expr),
}
