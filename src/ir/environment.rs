//! Environments of an experiment: what a written one computes, or whom to ask.

use super::network::Network;
use super::protocol::Stmt;
use crate::script::{Expr, VarId};
use serde::{Deserialize, Serialize};

/// A world that an experiment steps and reads.
///
/// `Query::Environment` names it and its output by position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// As the experiment calls it; keys its draws.
    pub name: String,
    pub world: World,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum World {
    Written(Written),
    Outside(Outside),
}

/// An environment in the language. All its values are variables of its own.
///
/// A reset gives every state its first value in order, then runs `on_reset`. A step writes what it is given, runs `on_step`, then
/// lets the equations run for its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Names of the variables, by slot.
    pub variables: Vec<String>,
    /// Each state with its first value.
    pub states: Vec<(VarId, Expr)>,
    /// What a step may give, by name: 0 until one does, and kept until another does.
    pub takes: Vec<(String, VarId)>,
    pub on_step: Vec<Stmt>,
    pub on_reset: Vec<Stmt>,
    /// What the experiment reads.
    pub outputs: Vec<Expr>,
    pub equations: Option<Equations>,
}

/// The states that move by themselves, as a network of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equations {
    pub network: Network,
    /// Variables of the first states of the cell, in order.
    pub states: Vec<VarId>,
    /// Variables and the params of the cell that follow them.
    pub inputs: Vec<(VarId, u32)>,
}

/// A process that is asked line by line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outside {
    pub command: String,
    /// Where it is started: the folder of the file that names it.
    pub folder: String,
    /// Length of `observation`; `None`: one number.
    pub observations: Option<u32>,
    /// How long one answer may take, ms of wall time.
    pub timeout_ms: f64,
    /// Fields that the experiment reads.
    pub outputs: Vec<String>,
}

impl Environment {
    pub fn outputs(&self) -> usize {
        match &self.world {
            World::Written(w) => w.outputs.len(),
            World::Outside(o) => o.outputs.len(),
        }
    }
}
