//! Synapses of one projection that land on one thread's neurons: a row of targets for each presynaptic neuron.
//!
//! No objects: targets are 16-bit offsets where the range allows, a constant weight or delay takes no space, others lie in arrays
//! parallel to the targets. Rows are ascending in the target, unless they are sorted by delay for a ring with lists. Synapses
//! between the same two neurons ascend in the delay.

use super::indices::Indices;
use super::pages::prefetch;
use super::ring::{Ring, RingData, Stretch};
use std::ops::Range;

#[derive(Clone, Debug)]
pub enum Weights {
    /// One for all: its spikes are counted.
    Constant,
    Single(Vec<f32>),
    Double(Vec<f64>),
}

#[derive(Clone, Debug)]
pub enum Delays {
    /// Steps.
    Constant(u32),
    Narrow(Vec<u8>),
    Wide(Vec<u32>),
    /// Each row ascends in the delay, and for each delay in the target.
    Sorted(Runs),
}

/// Synapses of equal delay within rows.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// `starts[i] .. starts[i + 1]` are those of presynaptic neuron i.
    starts: Vec<u64>,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    delay: u16,
    /// Synapses; more than fit are several runs.
    len: u16,
}

/// The longest delay that rows are sorted by, steps.
pub const LONGEST: u32 = u16::MAX as u32;

impl Runs {
    fn of(&self, pre: u32) -> &[Run] {
        &self.runs[self.starts[pre as usize] as usize..self.starts[pre as usize + 1] as usize]
    }
}

impl Delays {
    /// The least of them, where there are synapses; a constant one in any case.
    pub fn shortest(&self) -> Option<u32> {
        match self {
            Delays::Constant(d) => Some(*d),
            Delays::Narrow(d) => d.iter().min().map(|d| u32::from(*d)),
            Delays::Wide(d) => d.iter().min().copied(),
            Delays::Sorted(runs) => runs.runs.iter().map(|r| u32::from(r.delay)).min(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Rows {
    /// `starts[i] .. starts[i + 1]` is the row of presynaptic neuron i.
    pub starts: Vec<u64>,
    /// Offsets into the thread's range of the target population.
    pub targets: Indices,
    pub weights: Weights,
    pub delays: Delays,
    /// Neurons of the target range, for the bounds of the offsets.
    pub range: u32,
}

impl Rows {
    pub fn len(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that hold the synapses, without the row starts.
    pub fn synapse_bytes(&self) -> u64 {
        let weights = match &self.weights {
            Weights::Constant => 0,
            Weights::Single(w) => w.len() * 4,
            Weights::Double(w) => w.len() * 8,
        };
        let delays = match &self.delays {
            Delays::Constant(_) => 0,
            Delays::Narrow(d) => d.len(),
            Delays::Wide(d) => d.len() * 4,
            Delays::Sorted(runs) => size_of_val(runs.runs.as_slice()),
        };
        self.targets.bytes() + (weights + delays) as u64
    }

    /// Target of the k-th synapse, counted in the range.
    pub fn target(&self, k: usize) -> u32 {
        self.targets.get(k)
    }

    pub fn row(&self, pre: u32) -> (usize, usize) {
        (self.starts[pre as usize] as usize, self.starts[pre as usize + 1] as usize)
    }

    /// Delivers spikes of `senders` (ascending), sent in step `step`, into the ring; `next` is the row that will be delivered after
    /// them. Gives the number of synaptic events.
    pub fn deliver(&self, senders: &[u32], step: u64, ring: &mut Ring, next: Option<Row>) -> u64 {
        debug_assert!(ring.stride >= self.range as usize);
        let senders = Senders { list: senders, next };
        match (&self.targets, &self.delays) {
            (Indices::Narrow(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Indices::Wide(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Indices::Narrow(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Narrow(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Wide(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Wide(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
            // These are announced.
            (_, Delays::Sorted(_)) => 0,
        }
    }

    /// Lists the synapses of `senders` (ascending), which sent in step `step`, in a ring with lists, where these rows have the number
    /// `number`. Gives the number of synaptic events.
    pub fn announce(&self, number: u32, senders: &[u32], step: u64, ring: &mut Ring) -> u64 {
        let mut events = 0;
        senders.iter().take(NEAR).for_each(|s| self.fetch_start(*s));
        for (k, sender) in senders.iter().enumerate() {
            senders.get(k + NEAR).into_iter().for_each(|s| self.fetch_start(*s));
            senders.get(k + 1).into_iter().for_each(|s| self.fetch_runs(*s));
            let (from, to) = self.row(*sender);
            let (whole, mut from) = ((to - from) as u32, from as u64);
            let mut list = |delay: u32, len: u32| {
                ring.announce(step + u64::from(delay), Stretch { rows: number, len, from });
                from += u64::from(len);
            };
            match &self.delays {
                Delays::Sorted(runs) => runs.of(*sender).iter().for_each(|r| list(r.delay.into(), r.len.into())),
                Delays::Constant(delay) => list(*delay, whole),
                // Rows that lead to a ring with lists are sorted.
                Delays::Narrow(_) | Delays::Wide(_) => {}
            }
            events += from - self.starts[*sender as usize];
        }
        events
    }

    /// Adds the weights of synapses that lie side by side to their targets.
    pub fn add_stretch(&self, range: Range<usize>, row: &mut [f64]) {
        debug_assert!(row.len() >= self.range as usize);
        match (&self.targets, &self.weights) {
            (Indices::Narrow(t), Weights::Single(w)) => add(&t[range.clone()], &w[range], row),
            (Indices::Wide(t), Weights::Single(w)) => add(&t[range.clone()], &w[range], row),
            // What has other weights lands in other rings.
            _ => {}
        }
    }

    /// Asks for the lines of such synapses.
    pub fn fetch_stretch(&self, range: Range<usize>) {
        range.step_by(BLOCK).for_each(|k| self.fetch(k));
    }

    /// The same rows, with synapses between the same two neurons in order of their delays; those of equal delay stay as they are.
    pub fn with_ties_by_delay(mut self) -> Rows {
        let Rows { starts, targets, weights, delays, .. } = &mut self;
        match delays {
            Delays::Narrow(delays) => order_ties(starts, targets, weights, delays),
            Delays::Wide(delays) => order_ties(starts, targets, weights, delays),
            Delays::Constant(_) | Delays::Sorted(_) => {}
        }
        self
    }

    /// The same rows for a ring with lists: sorted by delay, what has the same one as before.
    pub fn by_delay(mut self) -> Rows {
        match std::mem::replace(&mut self.delays, Delays::Constant(1)) {
            Delays::Narrow(delays) => self.delays = Delays::Sorted(self.sort_by(&delays)),
            Delays::Wide(delays) => self.delays = Delays::Sorted(self.sort_by(&delays)),
            as_it_is => self.delays = as_it_is,
        }
        self
    }

    fn sort_by<D: Copy + Into<u32>>(&mut self, delays: &[D]) -> Runs {
        let mut sorted = Runs { starts: vec![0], runs: Vec::new() };
        let longest = delays.iter().map(|d| (*d).into()).max().unwrap_or(0) as usize;
        let (mut ends, mut places) = (vec![0_u32; longest + 1], Vec::new());
        for pre in 1..self.starts.len() {
            let row = self.starts[pre - 1] as usize..self.starts[pre] as usize;
            ends.fill(0);
            delays[row.clone()].iter().for_each(|d| ends[(*d).into() as usize] += 1);
            let mut end = 0;
            for (delay, count) in (0..).zip(&mut ends).filter(|(_, count)| **count > 0) {
                let mut left = std::mem::replace(count, end);
                end += left;
                while left > 0 {
                    let len = left.min(u16::MAX.into()) as u16;
                    sorted.runs.push(Run { delay, len });
                    left -= u32::from(len);
                }
            }
            places.clear();
            places.extend(delays[row.clone()].iter().map(|d| {
                let next = &mut ends[(*d).into() as usize];
                *next += 1;
                *next as usize - 1
            }));
            match &mut self.targets {
                Indices::Narrow(all) => permute(&mut all[row.clone()], &places),
                Indices::Wide(all) => permute(&mut all[row.clone()], &places),
            }
            match &mut self.weights {
                Weights::Constant => {}
                Weights::Single(all) => permute(&mut all[row], &places),
                Weights::Double(all) => permute(&mut all[row], &places),
            }
            sorted.starts.push(sorted.runs.len() as u64);
        }
        sorted.runs.shrink_to_fit();
        sorted
    }

    /// The row of a presynaptic neuron, to be delivered soon.
    pub fn next(&self, sender: u32) -> Row<'_> {
        let (from, to) = self.row(sender);
        Row { rows: self, from, to }
    }

    /// Asks for where the row of a presynaptic neuron begins.
    pub fn fetch_start(&self, sender: u32) {
        prefetch(&self.starts, sender as usize);
        if let Delays::Sorted(runs) = &self.delays {
            prefetch(&runs.starts, sender as usize);
        }
    }

    /// Asks for the delays of a presynaptic neuron, where its row is sorted by them.
    fn fetch_runs(&self, sender: u32) {
        if let Delays::Sorted(runs) = &self.delays {
            let own = runs.of(sender);
            (0..own.len()).step_by(LINE / size_of::<Run>()).for_each(|k| prefetch(own, k));
        }
    }

    /// Calls `f` for all synapses of the senders' rows in turn, a few at a time; meanwhile the next row is fetched from memory.
    fn blocks(&self, senders: Senders, mut f: impl FnMut(Range<usize>)) -> u64 {
        let mut events = 0;
        let mut row = senders.list.first().map_or((0, 0), |s| self.row(*s));
        for k in 0..senders.list.len() {
            if let Some(sender) = senders.list.get(k + 2) {
                self.fetch_start(*sender);
            }
            let (from, to) = row;
            let next = match senders.list.get(k + 1) {
                Some(sender) => Some(self.next(*sender)),
                None => senders.next,
            };
            row = next.map_or((to, to), |n| (n.from, n.to));
            events += (to - from) as u64;
            for at in (from..to).step_by(BLOCK) {
                if let Some(next) = next {
                    next.fetch(at - from);
                }
                f(at..(at + BLOCK).min(to));
            }
            if let Some(next) = next {
                (0..MORE).for_each(|k| next.fetch((to - from).next_multiple_of(BLOCK) + k * BLOCK));
            }
        }
        events
    }

    /// Asks for a block of synapses that will be read soon.
    fn fetch(&self, k: usize) {
        match &self.targets {
            Indices::Narrow(t) => prefetch(t, k),
            Indices::Wide(t) => lines(t, k),
        }
        match &self.weights {
            Weights::Constant => {}
            Weights::Single(w) => lines(w, k),
            Weights::Double(w) => lines(w, k),
        }
        match &self.delays {
            Delays::Constant(_) => {}
            Delays::Narrow(d) => prefetch(d, k),
            Delays::Wide(d) => lines(d, k),
            Delays::Sorted(_) => {}
        }
    }

    fn deliver_row<T: Copy + Into<u32>>(&self, senders: Senders, targets: &[T], arrival: u64, ring: &mut Ring) -> u64 {
        let start = ring.row(arrival);
        let end = start + ring.stride;
        match (&mut ring.data, &self.weights) {
            (RingData::Count16(data), Weights::Constant) => {
                let row = &mut data[start..end];
                self.blocks(senders, |block| count(&targets[block], row))
            }
            (RingData::Count32(data), Weights::Constant) => {
                let row = &mut data[start..end];
                self.blocks(senders, |block| count(&targets[block], row))
            }
            (RingData::Sum(data), Weights::Single(w)) => {
                let row = &mut data[start..end];
                self.blocks(senders, |block| add(&targets[block.clone()], &w[block], row))
            }
            (RingData::Sum(data), Weights::Double(w)) => {
                let row = &mut data[start..end];
                self.blocks(senders, |block| add(&targets[block.clone()], &w[block], row))
            }
            // Rows with weights land in sums; the plan of the network pairs them so.
            _ => 0,
        }
    }

    fn deliver_slots<T, D>(&self, senders: Senders, targets: &[T], delays: &[D], step: u64, ring: &mut Ring) -> u64
    where
        T: Copy + Into<u32>,
        D: Copy + Into<u32>,
    {
        let (mask, stride) = (ring.slots - 1, ring.stride);
        let cell = |(t, d): (&T, &D)| ((step as usize + (*d).into() as usize) & mask) * stride + (*t).into() as usize;
        let cells = |block: Range<usize>| targets[block.clone()].iter().zip(&delays[block]).map(cell);
        match (&mut ring.data, &self.weights) {
            (RingData::Count16(data), Weights::Constant) => {
                self.blocks(senders, |block| cells(block).for_each(|c| data[c] += 1))
            }
            (RingData::Count32(data), Weights::Constant) => {
                self.blocks(senders, |block| cells(block).for_each(|c| data[c] += 1))
            }
            (RingData::Sum(data), Weights::Single(w)) => self.blocks(senders, |block| {
                cells(block.clone()).zip(&w[block]).for_each(|(c, w)| data[c] += f64::from(*w));
            }),
            (RingData::Sum(data), Weights::Double(w)) => self.blocks(senders, |block| {
                cells(block.clone()).zip(&w[block]).for_each(|(c, w)| data[c] += *w);
            }),
            _ => 0,
        }
    }
}

/// Synapses between two looks ahead: a line of the cache of 16-bit targets.
const BLOCK: usize = 32;

/// Blocks of the next row beyond the length of the row before it that are fetched at most.
const MORE: usize = 16;

/// Senders whose rows are looked up ahead.
const NEAR: usize = 3;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// A row that will be delivered soon.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    rows: &'r Rows,
    from: usize,
    to: usize,
}

impl Row<'_> {
    fn fetch(&self, offset: usize) {
        if self.from + offset < self.to {
            self.rows.fetch(self.from + offset);
        }
    }
}

/// Presynaptic neurons whose rows are delivered, and the row after them.
struct Senders<'s> {
    list: &'s [u32],
    next: Option<Row<'s>>,
}

/// Asks for the lines of a block.
fn lines<T>(list: &[T], k: usize) {
    (0..BLOCK).step_by(LINE / size_of::<T>()).for_each(|ahead| prefetch(list, k + ahead));
}

/// Puts each value into its place.
fn permute<T: Copy>(values: &mut [T], places: &[usize]) {
    let before = values.to_vec();
    before.into_iter().zip(places).for_each(|(v, place)| values[*place] = v);
}

/// See [`Rows::with_ties_by_delay`].
fn order_ties<D: Copy + Ord>(starts: &[u64], targets: &Indices, weights: &mut Weights, delays: &mut [D]) {
    for span in starts.windows(2) {
        let (from, to) = (span[0] as usize, span[1] as usize);
        for k in from + 1..to {
            // Few neurons are connected twice: each synapse moves down past those that it precedes.
            let mut at = k;
            while at > from && delays[at - 1] > delays[at] && targets.get(at - 1) == targets.get(at) {
                delays.swap(at - 1, at);
                match weights {
                    Weights::Constant => {}
                    Weights::Single(w) => w.swap(at - 1, at),
                    Weights::Double(w) => w.swap(at - 1, at),
                }
                at -= 1;
            }
        }
    }
}

/// One more spike for each target.
fn count<T: Copy + Into<u32>, C: Copy + std::ops::AddAssign + From<u8>>(targets: &[T], row: &mut [C]) {
    let one = C::from(1);
    for t in targets {
        let t: u32 = (*t).into();
        debug_assert!((t as usize) < row.len());
        // SAFETY: `RowsBuilder::finish` checked that every target lies below `range`, and a ring's stride is at least the
        // range (asserted in `deliver`); `row` is one whole stride.
        unsafe { *row.get_unchecked_mut(t as usize) += one };
    }
}

fn add<T: Copy + Into<u32>, W: Copy + Into<f64>>(targets: &[T], weights: &[W], row: &mut [f64]) {
    for (t, w) in targets.iter().zip(weights) {
        let t: u32 = (*t).into();
        debug_assert!((t as usize) < row.len());
        // SAFETY: as in `count`.
        unsafe { *row.get_unchecked_mut(t as usize) += (*w).into() };
    }
}
