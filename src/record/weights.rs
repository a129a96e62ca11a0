//! Weights of a projection over time.

use crate::units::Dimension;
use serde::{Deserialize, Serialize};

/// Samples of all synapses of one projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightTrace {
    pub path: String,
    pub dimension: Dimension,
    /// (presynaptic, postsynaptic cell) of each synapse.
    pub edges: Vec<(u32, u32)>,
    /// Steps at whose end the samples were taken.
    pub steps: Vec<u64>,
    /// Time-major: one row of all synapses for each of `steps`, in internal units.
    pub values: Vec<f64>,
}

impl WeightTrace {
    /// The k-th sample.
    pub fn sample(&self, k: usize) -> &[f64] {
        let n = self.edges.len();
        self.values.get(k * n..(k + 1) * n).unwrap_or_default()
    }
}
