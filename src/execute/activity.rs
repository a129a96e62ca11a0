//! What populations did in the windows that an experiment names, summed up as each ends: no spike has to be kept for it.

use super::run::Walker;
use super::statistics::Steps;
use serde::{Deserialize, Serialize};

/// All times that a run went through the windows of one name: `simulate ... as NAME`, and phases of sleep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowFigures {
    pub name: String,
    /// How often.
    pub times: u64,
    /// Of all times together.
    pub steps: u64,
    /// In the order of [`RunOutcome::populations`](super::RunOutcome::populations).
    pub populations: Vec<Activity>,
}

/// A population in the windows of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Of all times together.
    pub spikes: u64,
    /// Highest mean rate of one time, Hz.
    pub highest_hz: f64,
    /// Cells with at least one spike, summed over the times.
    pub active: u64,
    /// Most such cells of one time.
    pub most_active: u64,
}

/// The windows so far, and the one that is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Windows {
    /// Spikes of each population when the open window began.
    begun: Option<Vec<u64>>,
    pub done: Vec<WindowFigures>,
}

impl Windows {
    /// Whether they could be those of a run of a circuit with so many populations.
    pub fn fits(&self, populations: usize) -> bool {
        let lengths = self.done.iter().map(|w| w.populations.len());
        lengths.chain(self.begun.iter().map(Vec::len)).all(|n| n == populations)
    }
}

impl Walker<'_> {
    pub(super) fn open_window(&mut self) {
        let counts = (0..self.unit.network.populations().count()).map(|k| self.engine.spikes(k).count);
        self.activity.begun = Some(counts.collect());
    }

    /// Takes in the window that was opened; one in which no time passed says nothing.
    pub(super) fn close_window(&mut self, name: &str, span: Steps) {
        let Some(begun) = self.activity.begun.take() else { return };
        if span.len() == 0 {
            return;
        }
        let seconds = span.len() as f64 * self.dt() * 1e-3;
        let sizes = self.unit.network.populations().map(|(_, p)| p.size);
        let now: Vec<(u64, u64, f64)> = sizes
            .zip(&begun)
            .enumerate()
            .map(|(k, (size, before))| {
                let log = self.engine.spikes(k);
                let spikes = log.count.saturating_sub(*before);
                (spikes, log.active_since(span.start), spikes as f64 / (f64::from(size.max(1)) * seconds))
            })
            .collect();
        let done = &mut self.activity.done;
        let at = done.iter().position(|w| w.name == name).unwrap_or_else(|| {
            let populations = vec![Activity::default(); now.len()];
            done.push(WindowFigures { name: name.to_string(), populations, ..WindowFigures::default() });
            done.len() - 1
        });
        let figures = &mut done[at];
        figures.times += 1;
        figures.steps += span.len();
        for (a, (spikes, active, rate)) in figures.populations.iter_mut().zip(now) {
            a.spikes += spikes;
            a.active += active;
            a.highest_hz = a.highest_hz.max(rate);
            a.most_active = a.most_active.max(active);
        }
    }
}
