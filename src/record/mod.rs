//! What a run recorded, as plain data, with its statistics and its files.
//!
//! Takes for granted that spikes come in the order of time and that senders are below their population's size; no
//! function here panics if they are not. Nothing here knows a file system: writers go into `impl Write + Seek`,
//! readers come from bytes and text.

pub mod csv;
pub mod npy;
pub mod npz;
pub mod spikes;
pub mod statistics;
pub mod traces;
pub mod weights;
pub mod wiring;

use serde::{Deserialize, Serialize};

pub use csv::{CsvError, read_csv_columns};
pub use npy::{NpyArray, NpyError, read_npy};
pub use npz::{NpzWriter, write_spikes_npz, write_states_npz, write_weights_npz};
pub use spikes::{Neurons, PopulationSpikes, Window};
pub use traces::StateTraces;
pub use weights::WeightTrace;

/// All that one run recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The time step in ms.
    pub dt_ms: f64,
    /// How many steps the run took: times lie in `0 .. duration_steps`.
    pub duration_steps: u64,
    pub spikes: Vec<PopulationSpikes>,
    pub states: Vec<StateTraces>,
    pub weights: Vec<WeightTrace>,
    /// Phases of sleep, in order of time.
    #[serde(default)]
    pub phases: Vec<PhaseSpan>,
}

/// A phase of sleep, as steps of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSpan {
    pub name: String,
    pub from: u64,
    pub to: u64,
}

impl Recording {
    /// The time of a step in ms.
    pub fn time_ms(&self, step: u64) -> f64 {
        step as f64 * self.dt_ms
    }

    /// The whole run.
    pub fn window(&self) -> Window {
        Window { from: 0, to: self.duration_steps, dt_ms: self.dt_ms }
    }

    /// `phases.csv`: the phases of sleep, a line for each in order of time, as `phase,from_ms,to_ms`.
    pub fn phases_csv(&self) -> String {
        let line = |p: &PhaseSpan| format!("{},{},{}\n", p.name, self.time_ms(p.from), self.time_ms(p.to));
        std::iter::once("phase,from_ms,to_ms\n".to_string()).chain(self.phases.iter().map(line)).collect()
    }

    /// The spikes of a population by its path.
    pub fn population(&self, path: &str) -> Option<&PopulationSpikes> {
        self.spikes.iter().find(|p| p.path == path)
    }
}
