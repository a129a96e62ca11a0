//! One thread's share as a part of a state, and back.

use super::{Block, Worker};
use crate::backend::engine::RunError;
use crate::backend::held::Part;
use crate::backend::state::{EngineState, InFlight, PopulationState, unfit};
use crate::runtime::{Column, Ring, RingData};

impl Block {
    /// The cells of this block at the end of `step` steps, without what the engine keeps for all: params and winners.
    fn save(&self, step: u64) -> PopulationState {
        let n = self.n as usize;
        let rows = |all: &[Column]| all.iter().map(|v| v.first(n)).collect();
        PopulationState {
            states: rows(&self.states),
            // Whole numbers; what is beyond the range of integers never ends.
            refractory: self.counter.first(n).into_iter().map(|c| c as u64).collect(),
            params: Vec::new(),
            arrivals: self.rings.iter().map(|r| in_flight(r, step, n)).collect(),
            coupled: rows(&self.coupled),
            senders: Vec::new(),
        }
    }

    /// Takes over its cells of a whole population, whose lengths were checked.
    fn load(&mut self, step: u64, state: &PopulationState) -> Result<(), RunError> {
        let range = self.lo as usize..(self.lo + self.n) as usize;
        for (values, saved) in self.states.iter_mut().zip(&state.states) {
            values.put(saved[range.clone()].iter().copied());
        }
        for (values, saved) in self.coupled.iter_mut().zip(&state.coupled) {
            values.put(saved[range.clone()].iter().copied());
        }
        self.counter.put(state.refractory[range.clone()].iter().map(|c| *c as f64));
        for (ring, saved) in self.rings.iter_mut().zip(&state.arrivals) {
            fill(ring, saved, step, range.clone())?;
        }
        self.next = self.schedule.partition_point(|(at, _)| *at <= step);
        Ok(())
    }
}

/// The rows of a ring from the one that step `step` reads.
fn in_flight(ring: &Ring, step: u64, n: usize) -> InFlight {
    let starts = (step..step + ring.slots as u64).map(|s| ring.row(s));
    match &ring.data {
        RingData::Count16(v) => {
            InFlight::Counts(starts.map(|a| v[a..a + n].iter().map(|c| (*c).into()).collect()).collect())
        }
        RingData::Count32(v) => {
            InFlight::Counts(starts.map(|a| v[a..a + n].iter().map(|c| (*c).into()).collect()).collect())
        }
        RingData::Sum(_) => InFlight::Sums((step..step + ring.slots as u64).map(|s| ring.sums(s, n)).collect()),
    }
}

fn fill(ring: &mut Ring, saved: &InFlight, step: u64, range: std::ops::Range<usize>) -> Result<(), RunError> {
    fn narrow<T: TryFrom<u64>>(out: &mut [T], row: &[u64]) -> Result<(), RunError> {
        for (cell, count) in out.iter_mut().zip(row) {
            *cell = T::try_from(*count).map_err(|_| unfit("more spikes on their way than synapses"))?;
        }
        Ok(())
    }
    ring.clear();
    let n = range.len();
    let (slots, starts) = (ring.slots, (step..step + ring.slots as u64).map(|s| ring.row(s)).collect::<Vec<_>>());
    let rows = match saved {
        InFlight::Counts(rows) => rows.len(),
        InFlight::Sums(rows) => rows.len(),
    };
    if rows > slots {
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
                ring.set_sums(at, &row[range.clone()]);
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
        (self.blocks.iter().map(|b| b.save(step)).collect(), learning.collect())
    }

    /// Spikes that hold places among the winners of a population: every thread knows all.
    pub fn senders(&self, population: usize) -> Vec<(u64, u32)> {
        self.winners.get(population).and_then(Option::as_ref).map_or(Vec::new(), |w| w.senders())
    }

    /// Takes over this thread's part. `own` are, for each rule here, the positions of its synapses among all.
    pub fn load(&mut self, state: &EngineState, own: &[Vec<u32>]) -> Result<(), RunError> {
        for (block, saved) in self.blocks.iter_mut().zip(&state.populations) {
            block.load(state.step, saved)?;
        }
        for (winners, saved) in self.winners.iter_mut().zip(&state.populations) {
            if let Some(winners) = winners {
                winners.load(&saved.senders);
            }
        }
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
