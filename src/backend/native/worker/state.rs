//! One thread's share as a part of a state, and back.

use super::{Block, Tract, Worker};
use crate::backend::engine::RunError;
use crate::backend::held::Part;
use crate::backend::state::{EngineState, InFlight, PopulationState, unfit};
use crate::runtime::{Column, Ring, RingData};
use std::ops::Range;

impl Block {
    /// The cells of this block at the end of `step` steps, without what the engine keeps for all: params and winners.
    fn save(&self, step: u64, rings: &[Ring], tracts: &[Tract]) -> PopulationState {
        let n = self.n as usize;
        let rows = |all: &[Column]| all.iter().map(|v| v.first(n)).collect();
        PopulationState {
            states: rows(&self.states),
            // Whole numbers; what is beyond the range of integers never ends.
            refractory: self.counter.first(n).into_iter().map(|c| c as u64).collect(),
            params: Vec::new(),
            arrivals: self.landings.iter().map(|l| in_flight(&rings[l.ring], step, l.at..l.at + n, tracts)).collect(),
            coupled: rows(&self.coupled),
            senders: Vec::new(),
        }
    }

    /// Takes over its cells of a whole population, whose lengths were checked.
    fn load(
        &mut self,
        step: u64,
        state: &PopulationState,
        rings: &mut [Ring],
        tracts: &[Tract],
    ) -> Result<(), RunError> {
        let range = self.lo as usize..(self.lo + self.n) as usize;
        for (values, saved) in self.states.iter_mut().zip(&state.states) {
            values.put(saved[range.clone()].iter().copied());
        }
        for (values, saved) in self.coupled.iter_mut().zip(&state.coupled) {
            values.put(saved[range.clone()].iter().copied());
        }
        self.counter.put(state.refractory[range.clone()].iter().map(|c| *c as f64));
        for (landing, saved) in self.landings.iter().zip(&state.arrivals) {
            let ring = &mut rings[landing.ring];
            ring.clear(landing.at..landing.at + range.len(), |tract| &tracts[tract as usize].rows);
            fill(ring, landing.at, saved, step, range.clone())?;
        }
        self.next = self.schedule.partition_point(|(at, _)| *at <= step);
        Ok(())
    }
}

/// Some cells of the rows of a ring, from the one that step `step` reads.
fn in_flight(ring: &Ring, step: u64, cells: Range<usize>, tracts: &[Tract]) -> InFlight {
    let rows = |tract: u32| &tracts[tract as usize].rows;
    let steps = step..step + ring.slots as u64;
    let starts = steps.clone().map(|s| ring.row(s) + cells.start);
    let n = cells.len();
    match &ring.data {
        RingData::Count16(v) => {
            InFlight::Counts(starts.map(|a| v[a..a + n].iter().map(|c| (*c).into()).collect()).collect())
        }
        RingData::Count32(v) => {
            InFlight::Counts(starts.map(|a| v[a..a + n].iter().map(|c| (*c).into()).collect()).collect())
        }
        RingData::Sum(_) => InFlight::Sums(steps.map(|s| ring.sums(s, cells.clone(), rows)).collect()),
    }
}

/// Takes over the cells `range` of what is on its way to a population, into those of a ring from `first` on, to which nothing is on
/// its way.
fn fill(ring: &mut Ring, first: usize, saved: &InFlight, step: u64, range: Range<usize>) -> Result<(), RunError> {
    fn narrow<T: TryFrom<u64>>(out: &mut [T], row: &[u64]) -> Result<(), RunError> {
        for (cell, count) in out.iter_mut().zip(row) {
            *cell = T::try_from(*count).map_err(|_| unfit("more spikes on their way than synapses"))?;
        }
        Ok(())
    }
    let n = range.len();
    let starts: Vec<usize> = (step..step + ring.slots as u64).map(|s| ring.row(s) + first).collect();
    let rows = match saved {
        InFlight::Counts(rows) => rows.len(),
        InFlight::Sums(rows) => rows.len(),
    };
    if rows > ring.slots {
        return Err(unfit("delays"));
    }
    match (&mut ring.data, saved) {
        (RingData::Count16(v), InFlight::Counts(rows)) => {
            for (row, a) in rows.iter().zip(starts).filter(|(row, _)| !row.is_empty()) {
                narrow(&mut v[a..a + n], &row[range.clone()])?;
            }
        }
        (RingData::Count32(v), InFlight::Counts(rows)) => {
            for (row, a) in rows.iter().zip(starts).filter(|(row, _)| !row.is_empty()) {
                narrow(&mut v[a..a + n], &row[range.clone()])?;
            }
        }
        (RingData::Sum(_), InFlight::Sums(rows)) => {
            for (row, at) in rows.iter().zip(step..).filter(|(row, _)| !row.is_empty()) {
                ring.set_sums(at, first, &row[range.clone()]);
            }
        }
        _ => return Err(unfit("receptors")),
    }
    Ok(())
}

impl Worker {
    /// Cells of each population and synapses of each rule that are here.
    pub fn save(&self, step: u64) -> (Vec<PopulationState>, Vec<Part>) {
        let learning = self.learning.iter().map(|l| l.synapses.save(step));
        (self.blocks.iter().map(|b| b.save(step, &self.common.rings, &self.tracts)).collect(), learning.collect())
    }

    /// Takes over this thread's part. `own` are, for each rule here, the positions of its synapses among all.
    pub fn load(&mut self, state: &EngineState, own: &[Vec<u32>]) -> Result<(), RunError> {
        for (block, saved) in self.blocks.iter_mut().zip(&state.populations) {
            block.load(state.step, saved, &mut self.common.rings, &self.tracts)?;
        }
        self.contest.load(state.populations.iter().map(|p| p.senders.as_slice()));
        for ((l, saved), own) in self.learning.iter_mut().zip(&state.plastic).zip(own) {
            l.synapses.load(state.step, saved, own)?;
        }
        Ok(())
    }
}

/// Blocks of one population, ascending, as one.
pub fn join(parts: &mut dyn Iterator<Item = PopulationState>) -> PopulationState {
    let Some(mut all) = parts.next() else { return PopulationState::default() };
    for part in parts {
        let cells = all.states.iter_mut().zip(part.states).chain(all.coupled.iter_mut().zip(part.coupled));
        cells.for_each(|(whole, more)| whole.extend(more));
        all.refractory.extend(part.refractory);
        for (whole, more) in all.arrivals.iter_mut().zip(part.arrivals) {
            match (whole, more) {
                (InFlight::Counts(whole), InFlight::Counts(more)) => {
                    whole.iter_mut().zip(more).for_each(|(w, m)| w.extend(m));
                }
                (InFlight::Sums(whole), InFlight::Sums(more)) => {
                    whole.iter_mut().zip(more).for_each(|(w, m)| w.extend(m));
                }
                _ => {}
            }
        }
    }
    all.arrivals = all.arrivals.into_iter().map(InFlight::trimmed).collect();
    all
}
