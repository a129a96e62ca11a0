//! The cells of one population as a state, and back.

use super::{Cells, Pending};
use crate::backend::engine::RunError;
use crate::backend::state::{InFlight, PopulationState, moving_params, unfit};

impl Cells {
    /// All but the spikes that hold places among winners.
    pub fn save(&self) -> PopulationState {
        let dynamics = &self.population.dynamics;
        let states = 0..dynamics.states.len();
        PopulationState {
            states: states.map(|s| self.state(s as u32)).collect(),
            refractory: self.refractory.clone(),
            params: moving_params(dynamics).map(|k| (k as u32, self.params[k].clone())).collect(),
            arrivals: self.terms().map(|(r, t)| self.in_flight(r, t)).collect(),
            coupled: self.coupled.clone(),
            senders: vec![],
        }
    }

    /// Goes on from a state.
    pub fn load(&mut self, state: &PopulationState) -> Result<(), RunError> {
        state.check(&self.population.dynamics, self.population.size)?;
        for (n, values) in self.states.iter_mut().enumerate() {
            values.iter_mut().zip(&state.states).for_each(|(v, all)| *v = all[n]);
        }
        self.refractory.clone_from(&state.refractory);
        for (k, values) in &state.params {
            self.params[*k as usize].clone_from(values);
        }
        self.coupled.clone_from(&state.coupled);
        let terms: Vec<(usize, usize)> = self.terms().collect();
        for ((r, t), saved) in terms.into_iter().zip(&state.arrivals) {
            let rows = match saved {
                InFlight::Counts(rows) => rows.len(),
                InFlight::Sums(rows) => rows.len(),
            };
            if rows > self.inboxes.len() {
                return Err(unfit("delays"));
            }
            for (k, inbox) in self.inboxes.iter_mut().enumerate() {
                match (&mut inbox[r][t], saved) {
                    (Pending::Counts(counts), InFlight::Counts(rows)) => fill(counts, rows.get(k), 0),
                    (Pending::Sums(sums), InFlight::Sums(rows)) => fill(sums, rows.get(k), 0.0),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Arrival terms that take spikes of the network: (receptor, term).
    fn terms(&self) -> impl Iterator<Item = (usize, usize)> {
        let receptors = self.population.dynamics.receptors.iter().enumerate();
        receptors.flat_map(|(r, receptor)| {
            let queued = |(_, a): &(usize, &_)| crate::backend::state::is_queued(a);
            receptor.arrivals.iter().enumerate().filter(queued).map(move |(t, _)| (r, t))
        })
    }

    fn in_flight(&self, receptor: usize, term: usize) -> InFlight {
        let pending = || self.inboxes.iter().map(|inbox| &inbox[receptor][term]);
        let counts = |p: &Pending| if let Pending::Counts(c) = p { Some(c.clone()) } else { None };
        let sums = |p: &Pending| if let Pending::Sums(s) = p { Some(s.clone()) } else { None };
        match pending().map(counts).collect() {
            Some(rows) => InFlight::Counts(rows),
            None => InFlight::Sums(pending().filter_map(sums).collect()),
        }
        .trimmed()
    }
}

fn fill<T: Copy>(values: &mut [T], saved: Option<&Vec<T>>, nothing: T) {
    match saved {
        Some(row) if !row.is_empty() => values.copy_from_slice(row),
        _ => values.fill(nothing),
    }
}
