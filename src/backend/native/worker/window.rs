//! Windows of steps, the stages of a run, and the spikes that shares exchange after each window.

use crate::runtime::Winners;
use std::sync::RwLockReadGuard;
use std::sync::atomic::{AtomicU64, Ordering};

/// The spikes of one share in one window. Lines of the cache of its own: another share writes the next one meanwhile.
#[derive(Default)]
#[repr(align(128))]
pub struct Batch {
    pub ids: Vec<u32>,
    /// For populations with winners: the margins of their candidates, in order.
    pub margins: Vec<f64>,
    /// End in `margins` likewise.
    pub margin_ends: Vec<usize>,
    /// End in `ids` for each (step of the window, population).
    pub ends: Vec<usize>,
    /// Of rules that wait for them, by their position: sums of the weights that leave each neuron to targets of the share.
    pub leaving: Vec<(usize, Vec<f64>)>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
        self.margins.clear();
        self.margin_ends.clear();
        self.leaving.clear();
    }

    /// The sums of a rule, where it waits for them.
    pub fn leaving(&self, rule: usize) -> Option<&[f64]> {
        self.leaving.iter().find(|(r, _)| *r == rule).map(|(_, sums)| sums.as_slice())
    }

    fn slice(&self, k: usize) -> &[u32] {
        let start = k.checked_sub(1).map_or(0, |p| self.ends[p]);
        &self.ids[start..self.ends[k]]
    }

    fn margins(&self, k: usize) -> &[f64] {
        let start = k.checked_sub(1).map_or(0, |p| self.margin_ends[p]);
        &self.margins[start..self.margin_ends[k]]
    }
}

/// Steps whose spikes are exchanged together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub first: u64,
    pub steps: u64,
    pub parity: usize,
}

/// What every share does before the next stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stage {
    /// Spikes to deliver.
    pub delivered: Option<Window>,
    /// Steps to make, and which turn of them: one for each round of continuous projections in each step, and one for the rest.
    pub window: Option<(Window, u64)>,
}

/// The stages of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    pub stage: Stage,
    from: u64,
    to: u64,
    /// Steps of a window at most.
    window: u64,
    /// Turns of a step.
    turns: u64,
}

impl Sequence {
    /// Of the steps `from .. to`, at least one.
    pub fn new(from: u64, to: u64, window: u64, turns: u64) -> Sequence {
        let mut sequence = Sequence { stage: Stage::default(), from, to, window, turns };
        sequence.stage.window = Some((sequence.window(from, 0), 0));
        sequence
    }

    fn window(&self, first: u64, parity: usize) -> Window {
        Window { first, steps: self.window.min(self.to - first), parity }
    }

    /// Goes on to the next stage; `halt` ends the run with the window at hand. False where there is none.
    pub fn advance(&mut self, halt: bool) -> bool {
        let Some((window, turn)) = self.stage.window else { return false };
        let end = window.first + window.steps;
        self.stage = if turn < window.steps * self.turns {
            Stage { delivered: None, window: Some((window, turn + 1)) }
        } else if halt || end == self.to {
            self.to = end;
            Stage { delivered: Some(window), window: None }
        } else {
            Stage { delivered: Some(window), window: Some((self.window(end, 1 - window.parity), 0)) }
        };
        true
    }

    /// Steps that were made.
    pub fn done(&self) -> u64 {
        self.to - self.from
    }
}

/// Where the stage at hand is read by all: who may do a task of it knows that it is posted, and none is posted before all tasks of
/// the one before are done, so the order of the loads decides nothing.
#[derive(Default)]
pub struct Board([AtomicU64; 6]);

impl Board {
    pub fn post(&self, stage: &Stage) {
        let none = Window { first: 0, steps: 0, parity: 0 };
        let delivered = stage.delivered.unwrap_or(none);
        let (window, turn) = stage.window.unwrap_or((none, 0));
        let parities = (delivered.parity | window.parity << 1) as u64;
        let values = [delivered.first, delivered.steps, window.first, window.steps, turn, parities];
        self.0.iter().zip(values).for_each(|(cell, v)| cell.store(v, Ordering::Relaxed));
    }

    pub fn read(&self) -> Stage {
        let [from, sent, first, steps, turn, parities] = self.0.each_ref().map(|cell| cell.load(Ordering::Relaxed));
        // A window has a step at least.
        let window = |first: u64, steps: u64, parity: u64| {
            (steps > 0).then_some(Window { first, steps, parity: parity as usize })
        };
        Stage {
            delivered: window(from, sent, parities & 1),
            window: window(first, steps, parities >> 1).map(|window| (window, turn)),
        }
    }
}

/// The spikes of all threads in a window.
pub struct Spikes<'s> {
    pub batches: &'s [RwLockReadGuard<'s, Batch>],
    pub populations: usize,
    /// For (step, population): who sends, where winners are chosen.
    pub chosen: &'s [Option<Vec<u32>>],
}

impl Spikes<'_> {
    /// The senders of (step of the window, population), ascending from part to part.
    pub fn of(&self, step: usize, population: usize) -> impl Iterator<Item = &[u32]> {
        let k = step * self.populations + population;
        let chosen = self.chosen.get(k).and_then(Option::as_deref);
        let parts = if chosen.is_some() { &[] } else { self.batches };
        chosen.into_iter().chain(parts.iter().map(move |b| b.slice(k)))
    }
}

/// Who sends, of the populations whose winners alone do; everybody who needs to know finds the same.
pub struct Contest(pub Vec<Option<Winners>>);

impl Contest {
    /// For each (step, population) of a window; nothing where no population has winners.
    pub fn choose(&mut self, batches: &[RwLockReadGuard<Batch>], window: Window) -> Vec<Option<Vec<u32>>> {
        if self.0.iter().all(Option::is_none) {
            return Vec::new();
        }
        let populations = self.0.len();
        let mut out = vec![None; window.steps as usize * populations];
        let mut candidates = Vec::new();
        for step in 0..window.steps as usize {
            for (p, winners) in self.0.iter_mut().enumerate() {
                let Some(winners) = winners else { continue };
                let k = step * populations + p;
                candidates.clear();
                for b in batches {
                    candidates.extend(b.slice(k).iter().copied().zip(b.margins(k).iter().copied()));
                }
                let mut senders = Vec::new();
                winners.choose(window.first + step as u64 + 1, &candidates, &mut senders);
                out[k] = Some(senders);
            }
        }
        out
    }

    pub fn clear(&mut self, population: usize) {
        if let Some(Some(winners)) = self.0.get_mut(population) {
            winners.clear();
        }
    }

    /// Spikes that hold places among the winners of a population.
    pub fn senders(&self, population: usize) -> Vec<(u64, u32)> {
        self.0.get(population).and_then(Option::as_ref).map_or(Vec::new(), Winners::senders)
    }

    /// Takes them over, for each population.
    pub fn load<'s>(&mut self, senders: impl Iterator<Item = &'s [(u64, u32)]>) {
        for (winners, saved) in self.0.iter_mut().zip(senders) {
            if let Some(winners) = winners {
                winners.load(saved);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_read() {
        let window = |first, parity| Window { first, steps: 15, parity };
        let board = Board::default();
        for stage in [
            Stage::default(),
            Stage { delivered: None, window: Some((window(0, 0), 3)) },
            Stage { delivered: Some(window(0, 1)), window: Some((window(15, 0), 0)) },
            Stage { delivered: Some(window(30, 0)), window: None },
        ] {
            board.post(&stage);
            let read = board.read();
            assert_eq!((read.delivered, read.window), (stage.delivered, stage.window));
        }
    }
}
