//! From synapses target by target to rows by presynaptic neuron: a counting sort.
//!
//! What is gathered is held as narrow as the rows will hold it, so that the largest projection decides how much more than the
//! finished rows is needed for a moment.

use super::rows::{Delays, Rows, Targets, Weights};

/// How rows hold weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightForm {
    Constant,
    Single,
    Double,
}

/// How rows hold delays, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayForm {
    Constant(u32),
    AtMost(u32),
}

/// Gathers synapses target by target and sorts them into rows.
pub struct RowsBuilder {
    n_pre: u32,
    range: u32,
    /// Target offset and where its synapses start in the lists below.
    blocks: Vec<(u32, usize)>,
    pres: Vec<u32>,
    weights: Weights,
    delays: Delays,
    counts: Vec<u64>,
}

impl RowsBuilder {
    /// For `range` target neurons and `n_pre` presynaptic ones; about `expected` synapses.
    pub fn new(n_pre: u32, range: u32, expected: usize, weights: WeightForm, delays: DelayForm) -> RowsBuilder {
        // Six standard deviations of a random number of synapses: growing a list copies it and needs room for both.
        let room = expected + 6 * expected.isqrt() + 1;
        RowsBuilder {
            n_pre,
            range,
            blocks: Vec::with_capacity(range as usize),
            pres: Vec::with_capacity(room),
            weights: match weights {
                WeightForm::Constant => Weights::Constant,
                WeightForm::Single => Weights::Single(Vec::with_capacity(room)),
                WeightForm::Double => Weights::Double(Vec::with_capacity(room)),
            },
            delays: match delays {
                DelayForm::Constant(d) => Delays::Constant(d),
                DelayForm::AtMost(most) if most < 256 => Delays::Narrow(Vec::with_capacity(room)),
                DelayForm::AtMost(_) => Delays::Wide(Vec::with_capacity(room)),
            },
            counts: vec![0; n_pre as usize + 1],
        }
    }

    /// The synapses of the target at offset `target`; targets ascend from call to call.
    pub fn push(&mut self, target: u32, pres: &[u32], weights: &[f64], delays: &[u32]) {
        self.blocks.push((target, self.pres.len()));
        self.pres.extend_from_slice(pres);
        match &mut self.weights {
            Weights::Constant => {}
            Weights::Single(all) => all.extend(weights.iter().map(|w| *w as f32)),
            Weights::Double(all) => all.extend_from_slice(weights),
        }
        match &mut self.delays {
            Delays::Constant(_) => {}
            Delays::Narrow(all) => all.extend(delays.iter().map(|d| *d as u8)),
            Delays::Wide(all) => all.extend_from_slice(delays),
        }
        for p in pres {
            self.counts[*p as usize + 1] += 1;
        }
    }

    /// Sorts what was pushed into rows.
    pub fn finish(mut self) -> Rows {
        for k in 0..self.n_pre as usize {
            self.counts[k + 1] += self.counts[k];
        }
        let starts = std::mem::take(&mut self.counts);
        assert!(self.blocks.iter().all(|(t, _)| *t < self.range.max(1)), "a synapse leads outside its range");
        let weights = match &self.weights {
            Weights::Constant => Weights::Constant,
            Weights::Single(all) => Weights::Single(self.sorted(&starts, all)),
            Weights::Double(all) => Weights::Double(self.sorted(&starts, all)),
        };
        self.weights = Weights::Constant;
        let delays = match &self.delays {
            Delays::Constant(d) => Delays::Constant(*d),
            Delays::Narrow(all) => Delays::Narrow(self.sorted(&starts, all)),
            Delays::Wide(all) => Delays::Wide(self.sorted(&starts, all)),
        };
        self.delays = Delays::Constant(1);
        let targets = if self.range <= 1 << 16 {
            Targets::Narrow(self.targets(&starts, |t| t as u16))
        } else {
            Targets::Wide(self.targets(&starts, |t| t))
        };
        Rows { starts, targets, weights, delays, range: self.range }
    }

    /// The values of the synapses in order of rows.
    fn sorted<T: Copy + Default>(&self, starts: &[u64], values: &[T]) -> Vec<T> {
        let mut cursor = starts.to_vec();
        let mut out = vec![T::default(); values.len()];
        for (pre, value) in self.pres.iter().zip(values) {
            let at = &mut cursor[*pre as usize];
            out[*at as usize] = *value;
            *at += 1;
        }
        out
    }

    fn targets<T: Copy + Default>(&self, starts: &[u64], form: impl Fn(u32) -> T) -> Vec<T> {
        let mut cursor = starts.to_vec();
        let mut out = vec![T::default(); self.pres.len()];
        for (k, (target, from)) in self.blocks.iter().enumerate() {
            let to = self.blocks.get(k + 1).map_or(self.pres.len(), |b| b.1);
            let value = form(*target);
            for pre in &self.pres[*from..to] {
                let at = &mut cursor[*pre as usize];
                out[*at as usize] = value;
                *at += 1;
            }
        }
        out
    }
}
