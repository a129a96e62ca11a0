//! Making checkpoints, and taking a run up from one.

use super::super::checkpoint::{Arrays, Checkpoint, WalkState};
use super::super::environments::EnvironmentState;
use super::super::error::Halt;
use super::super::position::{Frame, Position, foreign};
use super::super::settings::Place;
use super::{STEP_LIMIT, Walker};
use crate::ir::{self, Population};
use std::collections::BTreeMap;
use std::time::Duration;

impl Walker<'_> {
    /// The next step at which a checkpoint is due, after `now`.
    pub(super) fn next_checkpoint(&self, now: u64) -> Option<u64> {
        let saving = self.saving.filter(|s| s.write.is_some())?;
        saving.every.map(|e| (now / e.max(1) + 1).saturating_mul(e.max(1)))
    }

    /// Saves what is due at the present step of a `simulate` that ends at step `end`.
    pub(super) fn save_if_due(&mut self, now: u64, end: u64) {
        let Some(saving) = self.saving else { return };
        let due = saving.every.is_some_and(|e| now.is_multiple_of(e.max(1)));
        // When time is over: with a longer time the run can go on from there, whatever comes after.
        let last = now >= end && !self.position.time_may_come(&self.unit.protocol.statements);
        if (due || last) && now > 0 && self.saved != Some(now) {
            self.save(self.position.frames());
        }
    }

    /// The last checkpoint, after the walk has ended.
    pub(super) fn save_end(&mut self, walked: &Result<(), Halt>) {
        let frames = match walked {
            Ok(()) if self.saved == Some(self.engine.step()) => return,
            Ok(()) => vec![Frame::Statement(self.unit.protocol.statements.len())],
            Err(Halt::Interrupted) => self.position.frames(),
            // The latest good one stays.
            Err(Halt::Failed(_)) => return,
        };
        self.save(frames);
    }

    fn save(&mut self, position: Vec<Frame>) {
        let Some((saving, write)) = self.saving.and_then(|s| Some((s, s.write?))) else { return };
        if self.held {
            return;
        }
        self.saved = Some(self.engine.step());
        write(&Checkpoint {
            origin: saving.origin.clone(),
            walk: WalkState {
                position,
                simulating: self.simulating,
                variables: self.variables.clone(),
                draws: self.draws.clone(),
                windows: self.windows.clone(),
                activity: self.activity.clone(),
                temporary: self.temporary.clone(),
                ledger: self.ledger.clone(),
                rows: self.rows.clone(),
                sensors: self.sensors.values().to_vec(),
                events: self.events.clone(),
                sleep: self.sleep.clone(),
                environments: self.environments.save(),
                spent_s: self.spent.as_secs_f64(),
            },
            arrays: Arrays { engine: self.engine.save(), synapses: self.synapses.clone() },
        });
    }

    /// Everything as it was; the walk that follows goes on from there.
    pub(super) fn take_up(&mut self, checkpoint: Checkpoint) -> Result<(), Halt> {
        let Checkpoint { walk, arrays, .. } = checkpoint;
        // A checksum says that nothing changed, not that it was right.
        let step = arrays.engine.step;
        let times = walk.simulating.is_none_or(|s| s.start <= step) && step as f64 <= STEP_LIMIT;
        let windows = walk.windows.values().all(|w| w.start <= w.end && w.end <= step);
        let activity = walk.activity.fits(self.populations.len());
        let temporary = walk.temporary.places().all(|(place, mut cells)| {
            let (p, param) = match place {
                Place::Param(p, param) => (p, param),
                Place::Sensor(k) => {
                    let n = self.unit.network.sensors.get(k as usize).map_or(0, ir::Sensor::len);
                    return cells.all(|c| (c as usize) < n);
                }
            };
            let settable = |p: &&Population| p.dynamics.params.get(param as usize).is_some_and(|q| q.settable);
            let found = self.populations.get(p).filter(|p| settable(p));
            found.is_some_and(|p| cells.all(|c| c < p.size))
        });
        let events = walk.events.fits(self.unit.network.events.len()) && self.sensors.load(walk.sensors);
        let logs = walk.rows.fits(&self.rows) && arrays.synapses.is_sound();
        let sleep = walk.sleep.fits(&self.unit.protocol, &self.populations, step);
        if !(times
            && windows
            && activity
            && temporary
            && logs
            && events
            && sleep
            && self.variables.load(walk.variables))
        {
            return Err(foreign());
        }
        self.engine.load(arrays.engine)?;
        self.environments.load(walk.environments)?;
        self.synapses = arrays.synapses;
        self.position = Position::again(walk.position);
        self.simulating = walk.simulating;
        self.draws = walk.draws;
        self.windows = walk.windows;
        self.activity = walk.activity;
        self.temporary = walk.temporary;
        self.ledger = walk.ledger;
        self.rows = walk.rows;
        self.events = walk.events;
        self.sleep = walk.sleep;
        self.spent = Duration::try_from_secs_f64(walk.spent_s).unwrap_or_default();
        Ok(())
    }

    /// Where there are checkpoints: what an interruption in the middle of an environment's statement must not leave half done.
    pub(in super::super) fn before_environment(&mut self) -> Option<(Vec<EnvironmentState>, BTreeMap<u32, u64>)> {
        self.saving.and_then(|s| s.write)?;
        Some((self.environments.save(), self.draws.clone()))
    }

    pub(in super::super) fn restore_draws(&mut self, draws: BTreeMap<u32, u64>) {
        self.draws = draws;
    }

    /// No checkpoints until it is let go.
    pub(in super::super) fn hold(&mut self, on: bool) {
        self.held = on;
    }
}
