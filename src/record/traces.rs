//! States recorded over time.

use serde::{Deserialize, Serialize};

use crate::units::{Dimension, Unit};

/// One state variable of some neurons of one population, sampled at some steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateTraces {
    /// The population as it is written, such as `bg.D1`.
    pub path: String,
    pub variable: String,
    pub dimension: Dimension,
    /// The flat indices of the recorded neurons: the columns of `values`.
    pub neurons: Vec<u32>,
    /// The steps at whose end the values were read: the rows of `values`.
    pub steps: Vec<u64>,
    /// Internal units, time-major: `[step][neuron]`.
    pub values: Vec<f64>,
}

impl StateTraces {
    /// The values of the k-th recorded neuron over time.
    pub fn of_neuron(&self, k: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(k).step_by(self.neurons.len().max(1)).copied()
    }

    /// The unit in which files and plots show the values: mV, pA, nS, ...
    pub fn unit(&self) -> Unit {
        Unit::typical(self.dimension)
    }
}
