//! Spikes that are kept: a task of its own in every stage, for whoever is done first.

use super::Shared;
use super::window::{Contest, Spikes, Stage};
use crate::backend::engine::SpikeLog;
use crate::backend::profile::{Clock, ThreadProfile, Work};
use std::time::Instant;

pub struct Recorder {
    /// Of each population, while steps are made.
    pub logs: Vec<SpikeLog>,
    pub contest: Contest,
    clock: Option<Clock>,
    together: Vec<u32>,
}

impl Recorder {
    pub fn new(contest: Contest) -> Recorder {
        Recorder { logs: Vec::new(), contest, clock: None, together: Vec::new() }
    }

    /// Measures itself from now on.
    pub fn measure(&mut self, epoch: Instant) {
        self.clock = Some(Clock::new(epoch));
    }

    /// What was measured.
    pub fn profile(&self) -> ThreadProfile {
        self.clock.as_ref().map_or_else(ThreadProfile::default, |c| c.profile.clone())
    }

    /// Keeps the spikes that the shares deliver in this stage.
    pub fn run(&mut self, shared: &Shared, stage: &Stage) {
        let Some(window) = stage.delivered else { return };
        if let Some(clock) = &mut self.clock {
            clock.start();
        }
        let batches: Vec<_> = shared.batches(window.parity).collect();
        let chosen = self.contest.choose(&batches, window);
        let spikes = Spikes { batches: &batches, populations: shared.populations, chosen: &chosen };
        let mut kept = 0;
        for k in 0..window.steps {
            for (p, log) in self.logs.iter_mut().enumerate() {
                self.together.clear();
                spikes.of(k as usize, p).for_each(|senders| self.together.extend_from_slice(senders));
                if !self.together.is_empty() {
                    log.push(window.first + k + 1, &self.together);
                    kept += self.together.len() as u64;
                }
            }
        }
        if let Some(clock) = &mut self.clock {
            clock.lap(Work::Record, kept, None);
        }
    }
}
