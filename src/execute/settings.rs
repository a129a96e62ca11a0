//! `set ... lasting T`: which values hold for a while, and what returns when they end.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is written for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Place {
    /// One param of one population; its cells.
    Param(usize, u32),
    /// A sensor; its positions.
    Sensor(u32),
}

/// Values that hold until a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Layer {
    end: u64,
    values: BTreeMap<u32, f64>,
}

/// The temporary values of one param, oldest first, over the values that return after them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Stack {
    base: BTreeMap<u32, f64>,
    layers: Vec<Layer>,
}

/// All temporary values of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Temporary {
    stacks: BTreeMap<Place, Stack>,
}

/// A value that returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Return {
    pub place: Place,
    pub cells: Vec<u32>,
    pub values: Vec<f64>,
}

impl Temporary {
    /// `values` hold for `cells` up to step `end`; `before` are the values they replace.
    pub fn begin(&mut self, place: Place, cells: &[u32], before: &[f64], values: &[f64], end: u64) {
        let stack = self.stacks.entry(place).or_default();
        for (cell, value) in cells.iter().zip(before) {
            // Under another temporary value lies the base, not that value.
            stack.base.entry(*cell).or_insert(*value);
        }
        stack.layers.push(Layer { end, values: cells.iter().copied().zip(values.iter().copied()).collect() });
    }

    /// A plain `set` on these cells: nothing returns there any more.
    pub fn overwrite(&mut self, place: Place, cells: &[u32]) {
        let Some(stack) = self.stacks.get_mut(&place) else { return };
        for cell in cells {
            stack.base.remove(cell);
            for layer in &mut stack.layers {
                layer.values.remove(cell);
            }
        }
    }

    /// What temporary values are of: params, with the cells.
    pub fn places(&self) -> impl Iterator<Item = (Place, impl Iterator<Item = u32>)> {
        let cells = |s: &'_ Stack| {
            let layers = s.layers.iter().flat_map(|l| l.values.keys());
            s.base.keys().chain(layers).copied().collect::<Vec<u32>>().into_iter()
        };
        self.stacks.iter().map(move |(place, s)| (*place, cells(s)))
    }

    /// The next step at which something ends.
    pub fn next(&self) -> Option<u64> {
        self.stacks.values().flat_map(|s| s.layers.iter().map(|l| l.end)).min()
    }

    /// Ends what lasts until `step` and says what to write, in order of (population, param).
    pub fn end(&mut self, step: u64) -> Vec<Return> {
        let mut out = Vec::new();
        for (place, stack) in &mut self.stacks {
            let (ended, lasting): (Vec<Layer>, Vec<Layer>) = stack.layers.drain(..).partition(|l| l.end <= step);
            stack.layers = lasting;
            let mut touched = BTreeMap::new();
            for cell in ended.iter().flat_map(|l| l.values.keys()) {
                let above = stack.layers.iter().rev().find_map(|l| l.values.get(cell));
                let value = match above {
                    Some(v) => Some(*v),
                    None => stack.base.get(cell).copied(),
                };
                touched.extend(value.map(|v| (*cell, v)));
            }
            stack.base.retain(|cell, _| stack.layers.iter().any(|l| l.values.contains_key(cell)));
            if !touched.is_empty() {
                let (cells, values) = touched.into_iter().unzip();
                out.push(Return { place: *place, cells, values });
            }
        }
        self.stacks.retain(|_, s| !s.layers.is_empty());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Place = Place::Param(0, 2);

    fn back(cells: &[u32], values: &[f64]) -> Vec<Return> {
        vec![Return { place: P, cells: cells.to_vec(), values: values.to_vec() }]
    }

    #[test]
    fn the_value_from_before_returns() {
        let mut t = Temporary::default();
        t.begin(P, &[0, 1], &[1.0, 2.0], &[9.0, 9.0], 10);
        assert_eq!(t.next(), Some(10));
        assert_eq!(t.end(9), []);
        assert_eq!(t.end(10), back(&[0, 1], &[1.0, 2.0]));
        assert_eq!(t.next(), None);
    }

    #[test]
    fn the_latest_wins_while_it_lasts() {
        // A long one, then a short one on top: the long one shows again.
        let mut t = Temporary::default();
        t.begin(P, &[0, 1], &[1.0, 1.0], &[5.0, 5.0], 20);
        t.begin(P, &[1], &[5.0], &[7.0], 10);
        assert_eq!(t.end(10), back(&[1], &[5.0]));
        assert_eq!(t.end(20), back(&[0, 1], &[1.0, 1.0]));
        // A short one, then a long one on top: the end of the short one changes nothing.
        t.begin(P, &[0], &[1.0], &[5.0], 30);
        t.begin(P, &[0], &[5.0], &[7.0], 40);
        assert_eq!(t.end(30), back(&[0], &[7.0]));
        assert_eq!(t.end(40), back(&[0], &[1.0]));
    }

    #[test]
    fn a_plain_set_ends_them_for_its_cells() {
        let mut t = Temporary::default();
        t.begin(P, &[0, 1], &[1.0, 2.0], &[9.0, 9.0], 10);
        t.overwrite(P, &[0]);
        t.begin(P, &[0], &[3.0], &[4.0], 10);
        assert_eq!(t.end(10), back(&[0, 1], &[3.0, 2.0]));
    }
}
