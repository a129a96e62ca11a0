//! What a projection's `connect` clause says.

use serde::{Deserialize, Serialize};

/// A connectivity rule. Indices are positions within the ends of the projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// Cell i to cell i.
    OneToOne,
    /// Every candidate pair.
    AllToAll,
    /// Every candidate pair independently with probability `p`.
    Bernoulli {
        /// Probability within 0 .. 1.
        p: f64,
    },
    /// `k` synapses onto every target cell.
    FixedIndegree {
        /// Synapses per target.
        k: u32,
    },
    /// `k` synapses from every source cell.
    FixedOutdegree {
        /// Synapses per source.
        k: u32,
    },
    /// `n` synapses in all, every choice of candidate pairs equally likely.
    FixedTotalNumber {
        /// Synapses of the projection.
        n: u64,
    },
    /// The listed pairs: edge e leads from source `pre[e]` to target `post[e]`.
    Pairs {
        /// Source of every edge.
        pre: Vec<u32>,
        /// Target of every edge.
        post: Vec<u32>,
    },
}

impl Rule {
    /// The rule's name in the language.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Rule::OneToOne => "one_to_one",
            Rule::AllToAll => "all_to_all",
            Rule::Bernoulli { .. } => "bernoulli",
            Rule::FixedIndegree { .. } => "fixed_indegree",
            Rule::FixedOutdegree { .. } => "fixed_outdegree",
            Rule::FixedTotalNumber { .. } => "fixed_total_number",
            Rule::Pairs { .. } => "pairs",
        }
    }
}

/// A rule with its flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The rule.
    pub rule: Rule,
    /// Whether a cell may connect to itself. If not, the own cell is no candidate.
    pub autapses: bool,
    /// Whether a pair may have several synapses: fixed degrees and totals then draw with replacement, and listed pairs
    /// may repeat.
    pub multapses: bool,
}
