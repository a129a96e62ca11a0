//! Weights of a projection over time.

use crate::units::Dimension;
use serde::{Deserialize, Serialize};

/// Samples of all synapses of one projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightTrace {
    pub path: String,
    pub dimension: Dimension,
    /// (presynaptic, postsynaptic cell) of each synapse that was there in a sample, ascending.
    pub edges: Vec<(u32, u32)>,
    /// Steps at whose end the samples were taken.
    pub steps: Vec<u64>,
    /// Time-major: one row of all synapses for each of `steps`, in internal units; NaN where a synapse was not there.
    pub values: Vec<f64>,
}

impl WeightTrace {
    /// Adds a sample; `edges` are its synapses, ascending, where they are not always the same.
    pub fn take(&mut self, step: u64, edges: Option<&[(u32, u32)]>, weights: &[f64]) {
        self.steps.push(step);
        let Some(edges) = edges.filter(|e| *e != self.edges) else {
            self.values.extend_from_slice(weights);
            return;
        };
        // Where each synapse of either list stands among those of both; of several between two cells the k-th is the k-th.
        let (mut all, mut old, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let (mut a, mut b) = (self.edges.iter().peekable(), edges.iter().peekable());
        while let Some(next) = a.peek().copied().into_iter().chain(b.peek().copied()).min().copied() {
            if a.next_if(|e| **e == next).is_some() {
                old.push(all.len());
            }
            if b.next_if(|e| **e == next).is_some() {
                new.push(all.len());
            }
            all.push(next);
        }
        let width = self.edges.len();
        let rows = self.steps.len() - 1;
        let mut values = vec![f64::NAN; all.len() * (rows + 1)];
        let mut fill = |row: usize, from: &[f64], at: &[usize]| {
            from.iter().zip(at).for_each(|(v, k)| values[row * all.len() + k] = *v);
        };
        for row in 0..rows {
            fill(row, &self.values[row * width..(row + 1) * width], &old);
        }
        fill(rows, weights, &new);
        (self.edges, self.values) = (all, values);
    }

    /// The k-th sample.
    pub fn sample(&self, k: usize) -> &[f64] {
        let n = self.edges.len();
        self.values.get(k * n..(k + 1) * n).unwrap_or_default()
    }
}
