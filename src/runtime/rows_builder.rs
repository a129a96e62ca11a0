//! From synapses target by target to rows by presynaptic neuron: a counting sort.
//!
//! What is gathered is held as narrow as the rows will hold it, so that the largest projection decides how much more than the
//! finished rows is needed for a moment.

use super::indices::Indices;
use super::pages;
use super::pair_map::PairMap;
use super::rows::{Delays, Rows, Weights};
use crate::numerics::bits::{SLACK, list_wide};

/// How rows hold weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl DelayForm {
    /// Whether rows of both hold delays alike.
    pub fn is_like(self, other: DelayForm) -> bool {
        match (self, other) {
            (DelayForm::AtMost(a), DelayForm::AtMost(b)) => (a < NARROW) == (b < NARROW),
            _ => self == other,
        }
    }
}

/// Delays below it are held in a byte each.
const NARROW: u32 = 256;

/// Rows that are filled at a time: the lines of the cache that they grow into stay in the innermost one.
const ROWS: usize = 512;

/// One in so many pairs is connected where a map of the pairs takes the room of a list: 1 bit of a pair, 16 of a source.
const DENSE: usize = 16;

/// Gathers synapses target by target and sorts them into rows.
pub struct RowsBuilder {
    n_pre: u32,
    range: u32,
    /// In place of the lists below, where all synapses are alike and many.
    map: Option<PairMap>,
    /// Target offset and where its synapses start in the lists below.
    blocks: Vec<(u32, usize)>,
    /// Presynaptic neurons.
    pres: Indices,
    /// Sources of each target ascend.
    ascending: bool,
    weights: Weights,
    delays: Delays,
    counts: Vec<u32>,
}

impl RowsBuilder {
    /// For `range` target neurons and `n_pre` presynaptic ones; about `expected` synapses.
    pub fn new(n_pre: u32, range: u32, expected: usize, weights: WeightForm, delays: DelayForm) -> RowsBuilder {
        // Six standard deviations of a random number of synapses: growing a list copies it and needs room for both.
        let room = expected + 6 * expected.isqrt() + 1;
        let alike = weights == WeightForm::Constant && matches!(delays, DelayForm::Constant(_));
        let dense = alike && expected > (n_pre as usize * range as usize) / DENSE;
        // A map that turns out not to do makes lists of what it holds.
        let room = if dense { 0 } else { room };
        RowsBuilder {
            n_pre,
            range,
            map: dense.then(|| PairMap::new(n_pre, range)),
            blocks: Vec::with_capacity(range as usize),
            pres: Indices::with_room(Indices::fit(n_pre.into()), room),
            ascending: true,
            weights: match weights {
                WeightForm::Constant => Weights::Constant,
                WeightForm::Single => Weights::Single(pages::with_room(room)),
                WeightForm::Double => Weights::Double(pages::with_room(room)),
            },
            delays: match delays {
                DelayForm::Constant(d) => Delays::Constant(d),
                DelayForm::AtMost(most) if most < NARROW => Delays::Narrow(pages::with_room(room)),
                DelayForm::AtMost(_) => Delays::Wide(pages::with_room(room)),
            },
            counts: vec![0; n_pre as usize],
        }
    }

    /// The synapses of the target at offset `target`; targets ascend from call to call.
    pub fn push(&mut self, target: u32, pres: &[u32], weights: &[f64], delays: &[u32]) {
        if let Some(map) = &mut self.map {
            if map.push(target, pres) {
                return;
            }
            self.make_lists();
        }
        let before = self.pres.len();
        match &mut self.pres {
            Indices::Narrow(all) => all.extend(pres.iter().map(|p| *p as u16)),
            Indices::Wide(all) => all.extend_from_slice(pres),
        }
        self.blocks.push((target, before));
        match &mut self.weights {
            Weights::Constant => {}
            Weights::Single(all) => all.extend(weights.iter().map(|w| *w as f32)),
            Weights::Double(all) => all.extend_from_slice(weights),
        }
        match &mut self.delays {
            Delays::Constant(_) | Delays::Sorted(_) => {}
            Delays::Narrow(all) => all.extend(delays.iter().map(|d| *d as u8)),
            Delays::Wide(all) => all.extend_from_slice(delays),
        }
        self.ascending &= pres.is_sorted();
        for p in pres {
            self.counts[*p as usize] += 1;
        }
    }

    /// Whether all synapses are alike and so many that [`RowsBuilder::push_marked`] takes them as they are.
    pub fn takes_marks(&self) -> bool {
        self.map.is_some()
    }

    /// As [`RowsBuilder::push`], with a bit for each presynaptic neuron in words of 64; all synapses are alike.
    pub fn push_marked(&mut self, target: u32, pres: &[u64]) {
        if let Some(map) = &mut self.map {
            if map.push_marked(target, pres) {
                return;
            }
            self.make_lists();
        }
        let synapses: u32 = pres.iter().map(|word| word.count_ones()).sum();
        let mut listed = vec![0; synapses as usize + SLACK];
        let end = list_wide(pres, &mut listed, 0);
        self.push(target, &listed[..end], &[], &[]);
    }

    /// Goes on with lists in place of a map.
    fn make_lists(&mut self) {
        if let Some(map) = self.map.take() {
            map.lists(|target, pres| self.push(target, pres, &[], &[]));
        }
    }

    /// Sorts what was pushed into rows.
    pub fn finish(self) -> Rows {
        if let (Some(map), Delays::Constant(d)) = (&self.map, &self.delays) {
            let (delays, weights, range) = (Delays::Constant(*d), Weights::Constant, self.range);
            let (starts, targets) = map.rows(Indices::fit(range.into()));
            return Rows { starts, targets, weights, delays, range };
        }
        let mut starts = Vec::with_capacity(self.counts.len() + 1);
        let mut total = 0;
        starts.push(total);
        for count in &self.counts {
            total += u64::from(*count);
            starts.push(total);
        }
        assert!(self.blocks.iter().all(|(t, _)| *t < self.range.max(1)), "a synapse leads outside its range");
        let n = self.pres.len();
        let mut rows = Rows {
            targets: Indices::filled(Indices::fit(self.range.into()), n),
            weights: match &self.weights {
                Weights::Constant => Weights::Constant,
                Weights::Single(_) => Weights::Single(pages::filled(n)),
                Weights::Double(_) => Weights::Double(pages::filled(n)),
            },
            delays: match &self.delays {
                Delays::Narrow(_) => Delays::Narrow(pages::filled(n)),
                Delays::Wide(_) => Delays::Wide(pages::filled(n)),
                Delays::Constant(d) => Delays::Constant(*d),
                // What is pushed is in no order.
                Delays::Sorted(_) => Delays::Constant(1),
            },
            starts,
            range: self.range,
        };
        match &self.pres {
            Indices::Narrow(pres) => self.scatter(pres, &mut rows),
            Indices::Wide(pres) => self.scatter(pres, &mut rows),
        }
        rows
    }

    /// Some rows after the other, from all targets each: where sources ascend, those of the next rows are where the last rows ended.
    fn scatter<P: Copy + Into<u32>>(&self, pres: &[P], rows: &mut Rows) {
        let ends = self.blocks.iter().skip(1).map(|b| b.1).chain([pres.len()]);
        let mut left: Vec<(usize, usize, u32)> =
            self.blocks.iter().zip(ends).map(|((t, from), to)| (*from, to, *t)).collect();
        let n_pre = self.n_pre as usize;
        let at_once = if self.ascending { ROWS } else { n_pre.max(1) };
        let mut places: Vec<usize> = Vec::new();
        for first in (0..n_pre).step_by(at_once) {
            let end = (first + at_once).min(n_pre);
            let mut cursor = rows.starts[first..end].to_vec();
            for (from, to, target) in &mut left {
                places.clear();
                for pre in &pres[*from..*to] {
                    let row = (*pre).into() as usize;
                    let Some(at) = row.checked_sub(first).and_then(|row| cursor.get_mut(row)) else { break };
                    places.push(*at as usize);
                    *at += 1;
                }
                let own = *from..*from + places.len();
                match &mut rows.targets {
                    Indices::Narrow(all) => places.iter().for_each(|at| all[*at] = *target as u16),
                    Indices::Wide(all) => places.iter().for_each(|at| all[*at] = *target),
                }
                match (&self.weights, &mut rows.weights) {
                    (Weights::Single(given), Weights::Single(all)) => put(&given[own.clone()], &places, all),
                    (Weights::Double(given), Weights::Double(all)) => put(&given[own.clone()], &places, all),
                    _ => {}
                }
                match (&self.delays, &mut rows.delays) {
                    (Delays::Narrow(given), Delays::Narrow(all)) => put(&given[own.clone()], &places, all),
                    (Delays::Wide(given), Delays::Wide(all)) => put(&given[own.clone()], &places, all),
                    _ => {}
                }
                *from = own.end;
            }
        }
    }
}

fn put<T: Copy>(given: &[T], places: &[usize], all: &mut [T]) {
    places.iter().zip(given).for_each(|(at, value)| all[*at] = *value);
}
