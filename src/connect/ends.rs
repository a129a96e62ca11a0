//! The cells at the two ends of a projection, and which pairs of them are candidates.

use std::collections::BTreeMap;

/// The cells of one end, as indices within their population. They are distinct.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cells<'a> {
    /// `first`, `first + step`, ... , `count` of them. `step` is at least 1.
    Range {
        /// Index of the first cell.
        first: u32,
        /// Distance of neighbours.
        step: u32,
        /// Number of cells.
        count: u32,
    },
    /// An explicit list.
    List(&'a [u32]),
}

impl Cells<'_> {
    /// A whole population of `count` cells.
    #[must_use]
    pub fn all(count: u32) -> Cells<'static> {
        Cells::Range { first: 0, step: 1, count }
    }

    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Cells::Range { count, .. } => *count,
            Cells::List(ids) => ids.len() as u32,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of the cell with this index within the population; lists must ascend.
    #[inline]
    #[must_use]
    pub fn position(&self, id: u32) -> Option<u32> {
        match self {
            Cells::Range { first, step, count } => {
                let distance = id.checked_sub(*first)?;
                let position = distance / step;
                (distance.is_multiple_of(*step) && position < *count).then_some(position)
            }
            Cells::List(ids) => ids.binary_search(&id).ok().map(|k| k as u32),
        }
    }

    /// The index within the population of the cell at `position`.
    #[inline]
    #[must_use]
    pub fn id(&self, position: u32) -> u32 {
        match self {
            Cells::Range { first, step, .. } => first + step * position,
            Cells::List(ids) => ids[position as usize],
        }
    }
}

/// The two ends of a projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends<'a> {
    /// The sources.
    pub pre: Cells<'a>,
    /// The targets.
    pub post: Cells<'a>,
    /// Whether both index the same population, so that equal indices are the same cell.
    pub same_population: bool,
}

/// A restriction on pairs, by their positions within the ends; without a filter every pair is a candidate.
#[derive(Clone, Copy, Default)]
pub struct Candidates<'a> {
    /// Whether the pair (source position, target position) is a candidate.
    pub filter: Option<&'a (dyn Fn(u32, u32) -> bool + Sync)>,
    /// A label of the target position. Targets with one label have the same candidates, which are listed once.
    pub class: Option<&'a (dyn Fn(u32) -> u64 + Sync)>,
}

impl Candidates<'_> {
    /// Every pair.
    pub const ALL: Candidates<'static> = Candidates { filter: None, class: None };
}

/// Finds the position of a target's own cell among the sources.
pub(super) enum OwnCell<'a> {
    /// The ends share no cell, or a cell may connect to itself.
    Allowed,
    /// Sources in a range.
    Range { post: Cells<'a>, first: u32, step: u32, count: u32 },
    /// Sources from a list: (index, position), ascending.
    Sorted { post: Cells<'a>, index: Vec<(u32, u32)> },
}

impl<'a> OwnCell<'a> {
    pub(super) fn new(ends: Ends<'a>, autapses: bool) -> OwnCell<'a> {
        if autapses || !ends.same_population {
            return OwnCell::Allowed;
        }
        match ends.pre {
            Cells::Range { first, step, count } => OwnCell::Range { post: ends.post, first, step: step.max(1), count },
            Cells::List(ids) => {
                let mut index: Vec<(u32, u32)> = ids.iter().copied().zip(0..).collect();
                index.sort_unstable();
                OwnCell::Sorted { post: ends.post, index }
            }
        }
    }

    /// The source position that is the same cell as this target, if that pair is forbidden.
    #[inline]
    pub(super) fn of(&self, target: u32) -> Option<u32> {
        match self {
            OwnCell::Allowed => None,
            OwnCell::Range { post, first, step, count } => {
                let distance = post.id(target).checked_sub(*first)?;
                let position = distance / step;
                (distance.is_multiple_of(*step) && position < *count).then_some(position)
            }
            OwnCell::Sorted { post, index } => {
                let id = post.id(target);
                let found = index.binary_search_by_key(&id, |entry| entry.0).ok()?;
                Some(index[found].1)
            }
        }
    }
}

/// The candidate sources of every target, before its own cell is taken out.
pub(super) enum Pool<'a> {
    /// All sources.
    All,
    /// Lists by class, and the class of every target.
    Classes { lists: Vec<Vec<u32>>, class_of: Vec<u32> },
    /// To be asked for every pair.
    Filter(&'a (dyn Fn(u32, u32) -> bool + Sync)),
}

impl<'a> Pool<'a> {
    pub(super) fn new(ends: &Ends<'_>, candidates: &Candidates<'a>) -> Pool<'a> {
        let Some(filter) = candidates.filter else { return Pool::All };
        let Some(class) = candidates.class else { return Pool::Filter(filter) };
        let mut numbers = BTreeMap::new();
        let mut lists = Vec::new();
        let mut class_of = Vec::with_capacity(ends.post.len() as usize);
        for post in 0..ends.post.len() {
            let number = *numbers.entry(class(post)).or_insert_with(|| {
                lists.push((0..ends.pre.len()).filter(|&pre| filter(pre, post)).collect());
                lists.len() as u32 - 1
            });
            class_of.push(number);
        }
        Pool::Classes { lists, class_of }
    }

    /// The candidates of a target; `None` stands for all sources. `scratch` may be overwritten.
    #[inline]
    pub(super) fn of<'b>(&'b self, post: u32, sources: u32, scratch: &'b mut Vec<u32>) -> Option<&'b [u32]> {
        match self {
            Pool::All => None,
            Pool::Classes { lists, class_of } => Some(&lists[class_of[post as usize] as usize]),
            Pool::Filter(filter) => {
                scratch.clear();
                scratch.extend((0..sources).filter(|&pre| filter(pre, post)));
                Some(scratch)
            }
        }
    }

    /// Whether a pair is a candidate.
    #[inline]
    pub(super) fn contains(&self, pre: u32, post: u32) -> bool {
        match self {
            Pool::All => true,
            Pool::Classes { lists, class_of } => lists[class_of[post as usize] as usize].binary_search(&pre).is_ok(),
            Pool::Filter(filter) => filter(pre, post),
        }
    }
}

/// The candidates of one target with its own cell left out: they are numbered 0 .. `count`.
#[derive(Clone, Copy)]
pub(super) struct Choice<'b> {
    /// Source positions, or all of them.
    list: Option<&'b [u32]>,
    /// Number of the entry that is left out; `u32::MAX` for none.
    skipped: u32,
    /// How many are left.
    pub(super) count: u32,
}

impl<'b> Choice<'b> {
    pub(super) fn new(list: Option<&'b [u32]>, sources: u32, own: Option<u32>) -> Choice<'b> {
        let all = list.map_or(sources, |list| list.len() as u32);
        let skipped = own.and_then(|own| match list {
            None => Some(own),
            Some(list) => list.binary_search(&own).ok().map(|i| i as u32),
        });
        match skipped {
            Some(skipped) => Choice { list, skipped, count: all - 1 },
            None => Choice { list, skipped: u32::MAX, count: all },
        }
    }

    /// Turns candidate numbers into source positions; ascending numbers give ascending positions.
    pub(super) fn resolve(&self, numbers: &mut [u32]) {
        if self.skipped != u32::MAX {
            for number in numbers.iter_mut() {
                *number += u32::from(*number >= self.skipped);
            }
        }
        if let Some(list) = self.list {
            for number in numbers {
                *number = list[*number as usize];
            }
        }
    }

    /// As [`Choice::resolve`], of numbers as bits, where all sources are candidates: those from the one that is left out on move up.
    pub(super) fn resolve_marks(&self, words: &mut Vec<u64>) {
        if self.skipped == u32::MAX {
            return;
        }
        words.resize((self.count as usize + 1).div_ceil(64), 0);
        let (mut below, mut carried) = ((1 << (self.skipped % 64)) - 1, 0);
        for word in &mut words[(self.skipped / 64) as usize..] {
            let moving = *word & !below;
            *word = *word & below | moving << 1 | carried;
            (below, carried) = (0, moving >> 63);
        }
    }
}
