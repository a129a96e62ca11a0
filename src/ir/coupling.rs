//! Continuous projections: what of the source cells is read at every step, and what a target cell sums of it.
//!
//! Section 0 of the order of a step, at the head of this room, says when values are read and in which order they are added.

use super::expr::ExprId;
use super::network::ProjectionId;
use serde::{Deserialize, Serialize};

/// What makes a projection continuous: instead of spikes, a value of each source cell reaches the target at every step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coupling {
    /// What is read, in the source's `Dynamics::exprs`; no noise, no draw, no `Before`.
    pub value: ExprId,
    /// The round of the step in which the value is computed: after all sums that it reads.
    pub rank: u32,
    pub gather: Gather,
}

/// How the values of one projection are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gather {
    /// Synapse by synapse.
    #[default]
    Rows,
    /// All to all, one weight for each pair of classes: class by class, then the own cell taken off.
    Classes,
}

/// `Expr::Coupled(k)` is the k-th of `Dynamics::coupled`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coupled {
    pub projection: ProjectionId,
    pub sum: CoupledSum,
}

/// A sum over the synapses that a projection has onto one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CoupledSum {
    /// Number of synapses; the same in every step.
    Count,
    /// Sum of the weights; the same in every step.
    Weights,
    /// Sum of the values.
    Values,
    /// Sum of weight times value.
    Weighted,
}

impl CoupledSum {
    /// Whether it follows the source cells.
    pub fn moves(self) -> bool {
        matches!(self, CoupledSum::Values | CoupledSum::Weighted)
    }

    pub fn name(self) -> &'static str {
        match self {
            CoupledSum::Count => "count",
            CoupledSum::Weights => "weights",
            CoupledSum::Values => "values",
            CoupledSum::Weighted => "weighted",
        }
    }
}
