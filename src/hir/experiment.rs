//! Experiments: what is bound, recorded, done and concluded.

use super::{Cells, Environment, Expr, Loop, NetworkId, Slot, TableAxis, ValueId};
use crate::base::Span;
use crate::script::{BinaryOp, PlotKind};

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
    pub environments: Vec<Environment>,
    pub records: Vec<Record>,
    pub plots: Vec<Plot>,
    pub body: Vec<Stmt>,
    pub conclude: Vec<Stmt>,
    pub curves: Vec<(Expr, Span)>,
    /// `plot pareto of ...` in `conclude`: the aims of each.
    pub fronts: Vec<Vec<(Expr, Span)>>,
    pub broken: bool,
}

#[derive(Clone, Debug)]
pub enum Record {
    Spikes(Cells),
    Observable {
        of: Cells,
        name: String,
        every: Option<Expr>,
        span: Span,
    },
    /// Of a named projection.
    Weights {
        projection: String,
        every: Option<Expr>,
        span: Span,
    },
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub kind: PlotKind,
    pub of: Vec<(Cells, Option<String>)>,
    /// Named projections, of a plot of weights.
    pub weights: Vec<String>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

/// `reset state`, `weights` or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetWhat {
    State,
    Weights,
    All,
}

/// What holds while a phase of sleep lasts, and what happens in it.
#[derive(Clone, Debug)]
pub struct SleepPhase {
    pub name: String,
    pub span: Span,
    pub length: Expr,
    /// Which projections learn, or don't, while it lasts.
    pub switches: Vec<(bool, Vec<String>)>,
    pub drives: Vec<GatedDrive>,
    pub kicks: Vec<Kick>,
    /// What is set while it lasts, then what is done at its start.
    pub begin: Vec<Stmt>,
    pub end: Vec<Stmt>,
    pub every: Vec<Periodic>,
}

/// `every T { ... }`, counted from the start of the phase.
#[derive(Clone, Debug)]
pub struct Periodic {
    pub period: Expr,
    /// Also at the very start.
    pub first: bool,
    pub body: Vec<Stmt>,
}

/// `drive pfc.E.I = ...` while a phase lasts.
#[derive(Clone, Debug)]
pub struct GatedDrive {
    pub target: Cells,
    pub input: String,
    pub value: Expr,
    /// Its own number in the program.
    pub gate: u32,
}

/// `kick P.exc by w at 5 Hz`: an independent Poisson train onto each cell while a phase lasts.
#[derive(Clone, Debug)]
pub struct Kick {
    pub target: Cells,
    pub receptor: u32,
    pub weight: Expr,
    pub rate: Expr,
    pub gate: u32,
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
    /// A cycle of phases, so many times.
    Sleep {
        cycles: Expr,
        phases: Vec<SleepPhase>,
    },
    /// Drives the cells of a pattern that a memory holds.
    Replay {
        memory: u32,
        target: Cells,
        name: String,
        by: Expr,
        lasting: Expr,
        site: u32,
    },
    /// `set inh.gain = 0.5`: a factor on what a projection delivers.
    SetGain {
        projection: String,
        op: Option<BinaryOp>,
        value: Expr,
        lasting: Option<Expr>,
    },
    /// Sends an event, now or later.
    Emit {
        event: u32,
        value: Option<Expr>,
        after: Option<Expr>,
    },
    SetSensor {
        sensor: u32,
        slots: Vec<Slot>,
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
    /// `var x[4] = 0`: the value repeated along the axes; or a list that is the `whole` table: `let x[3] = [1, 2, 3]`.
    Fill {
        variable: ValueId,
        axes: Vec<TableAxis>,
        value: Expr,
        whole: bool,
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
    /// `plasticity off of rec`; of nothing: everywhere.
    Learning {
        on: bool,
        of: Vec<String>,
    },
    /// Once for each synapse; `w`, `pre` and `post` are variables.
    Update {
        projection: String,
        variables: [ValueId; 3],
        body: Vec<Stmt>,
    },
    Downscale {
        of: Vec<String>,
        by: Expr,
    },
    Reset {
        what: ResetWhat,
        of: Vec<String>,
    },
    /// `step plant(u = 3) lasting 50 ms`
    Step {
        environment: u32,
        args: Vec<(String, Expr)>,
        lasting: Option<Expr>,
    },
    /// `reset plant`
    ResetEnvironment {
        environment: u32,
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

impl StmtKind {
    /// The statements inside this one.
    pub fn blocks(&self) -> Vec<&[Stmt]> {
        match self {
            StmtKind::For { body, .. } | StmtKind::Repeat { body, .. } | StmtKind::Update { body, .. } => vec![body],
            StmtKind::If { then, otherwise, .. } => vec![then, otherwise],
            StmtKind::Sleep { phases, .. } => {
                let all = phases.iter().flat_map(|p| {
                    let ends = [p.begin.as_slice(), p.end.as_slice()];
                    ends.into_iter().chain(p.every.iter().map(|e| e.body.as_slice()))
                });
                all.collect()
            }
            _ => Vec::new(),
        }
    }
}
