//! Synapses of one projection that land on one thread's neurons: a row of targets for each presynaptic neuron.
//!
//! No objects: targets are 16-bit offsets where the range allows, a constant weight or delay takes no space, others lie in arrays
//! parallel to the targets. Rows are ascending in the target.

use super::ring::{Ring, RingData};
use std::ops::Range;

/// Offsets into the thread's range of the target population.
#[derive(Clone, Debug)]
pub enum Targets {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

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
    pub targets: Targets,
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
        let targets = match &self.targets {
            Targets::Narrow(t) => t.len() * 2,
            Targets::Wide(t) => t.len() * 4,
        };
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
        (targets + weights + delays) as u64
    }

    /// Target of the k-th synapse, counted in the range.
    pub fn target(&self, k: usize) -> u32 {
        match &self.targets {
            Targets::Narrow(t) => u32::from(t[k]),
            Targets::Wide(t) => t[k],
        }
    }

    pub fn row(&self, pre: u32) -> (usize, usize) {
        (self.starts[pre as usize] as usize, self.starts[pre as usize + 1] as usize)
    }

    /// Delivers spikes of `senders` (ascending), sent in step `step`, into the ring. Gives the number of synaptic events.
    pub fn deliver(&self, senders: &[u32], step: u64, ring: &mut Ring) -> u64 {
        debug_assert!(ring.stride >= self.range as usize);
        match (&self.targets, &self.delays) {
            (Targets::Narrow(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Targets::Wide(t), Delays::Constant(d)) => self.deliver_row(senders, t, step + u64::from(*d), ring),
            (Targets::Narrow(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Targets::Narrow(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Targets::Wide(t), Delays::Narrow(d)) => self.deliver_slots(senders, t, d, step, ring),
            (Targets::Wide(t), Delays::Wide(d)) => self.deliver_slots(senders, t, d, step, ring),
        }
    }

    /// Calls `f` for all synapses of the senders' rows in turn, a few at a time; meanwhile the next row is fetched from memory.
    fn blocks(&self, senders: &[u32], mut f: impl FnMut(Range<usize>)) -> u64 {
        let mut events = 0;
        let mut next = senders.first().map_or((0, 0), |s| self.row(*s));
        for k in 0..senders.len() {
            let (from, to) = next;
            next = senders.get(k + 1).map_or((to, to), |s| self.row(*s));
            events += (to - from) as u64;
            for at in (from..to).step_by(BLOCK) {
                let ahead = next.0 + (at - from);
                if ahead < next.1 {
                    self.fetch(ahead);
                }
                f(at..(at + BLOCK).min(to));
            }
        }
        events
    }

    /// Asks for a block of synapses that will be read soon.
    fn fetch(&self, k: usize) {
        match &self.targets {
            Targets::Narrow(t) => prefetch(t, k),
            Targets::Wide(t) => prefetch(t, k),
        }
        match &self.weights {
            Weights::Constant => {}
            Weights::Single(w) => prefetch(w, k),
            Weights::Double(w) => prefetch(w, k),
        }
        match &self.delays {
            Delays::Constant(_) => {}
            Delays::Narrow(d) => prefetch(d, k),
            Delays::Wide(d) => prefetch(d, k),
        }
    }

    fn deliver_row<T: Copy + Into<u32>>(&self, senders: &[u32], targets: &[T], arrival: u64, ring: &mut Ring) -> u64 {
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

    fn deliver_slots<T, D>(&self, senders: &[u32], targets: &[T], delays: &[D], step: u64, ring: &mut Ring) -> u64
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

/// Asks for the line of element `k`, which need not exist; nothing waits for it.
fn prefetch<T>(list: &[T], k: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing as far as the program can tell; any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(list.as_ptr().wrapping_add(k).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (list, k);
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
