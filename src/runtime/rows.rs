//! Synapses of one projection that land on one thread's neurons: a row of targets for each presynaptic neuron.
//!
//! No objects: targets are 16-bit offsets where the range allows, a constant weight or delay takes no space, others lie in arrays
//! parallel to the targets. Rows are ascending in the target.

use super::indices::Indices;
use super::pages::prefetch;
use super::ring::{Appender, Ring, RingData};
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
        if let Some(appender) = ring.appender() {
            return self.append(senders, step as usize, appender);
        }
        match (&self.targets, &self.delays) {
            (Indices::Narrow(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Indices::Wide(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Indices::Narrow(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Narrow(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Wide(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Indices::Wide(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
        }
    }

    /// The row of a presynaptic neuron, to be delivered soon.
    pub fn next(&self, sender: u32) -> Row<'_> {
        let (from, to) = self.row(sender);
        Row { rows: self, from, to }
    }

    /// Asks for where the row of a presynaptic neuron begins.
    pub fn fetch_start(&self, sender: u32) {
        prefetch(&self.starts, sender as usize);
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
        }
    }

    /// As [`Rows::deliver`], into lists.
    fn append(&self, senders: Senders, step: usize, mut to: Appender) -> u64 {
        // What has other weights lands in other rings.
        let Weights::Single(weights) = &self.weights else { return 0 };
        match (&self.targets, &self.delays) {
            (Indices::Narrow(t), Delays::Narrow(d)) => self.append_slots(senders, t, d, weights, step, &mut to),
            (Indices::Wide(t), Delays::Narrow(d)) => self.append_slots(senders, t, d, weights, step, &mut to),
            (Indices::Narrow(t), Delays::Wide(d)) => self.append_slots(senders, t, d, weights, step, &mut to),
            (Indices::Wide(t), Delays::Wide(d)) => self.append_slots(senders, t, d, weights, step, &mut to),
            (t, Delays::Constant(d)) => self.blocks(senders, |block| {
                block.for_each(|k| to.push(step + *d as usize, t.get(k), weights[k]));
            }),
        }
    }

    fn append_slots<T, D>(
        &self,
        senders: Senders,
        targets: &[T],
        delays: &[D],
        weights: &[f32],
        step: usize,
        to: &mut Appender,
    ) -> u64
    where
        T: Copy + Into<u32>,
        D: Copy + Into<u32>,
    {
        self.blocks(senders, |block| {
            let all = targets[block.clone()].iter().zip(&delays[block.clone()]).zip(&weights[block]);
            all.for_each(|((t, d), w)| to.push(step + (*d).into() as usize, (*t).into(), *w));
        })
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
