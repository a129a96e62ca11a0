//! Synapses of one projection that land on one thread's neurons: a row of targets for each presynaptic neuron.
//!
//! No objects: targets are 16-bit offsets where the range allows, a constant weight or delay takes no space, others lie in arrays
//! parallel to the targets. Rows are ascending in the target.

use super::ring::{Ring, RingData};

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

    fn deliver_row<T: Copy + Into<u32>>(&self, senders: &[u32], targets: &[T], arrival: u64, ring: &mut Ring) -> u64 {
        let start = ring.row(arrival);
        let end = start + ring.stride;
        let mut events = 0;
        match (&mut ring.data, &self.weights) {
            (RingData::Count16(data), Weights::Constant) => {
                let row = &mut data[start..end];
                for s in senders {
                    let (a, b) = self.row(*s);
                    events += (b - a) as u64;
                    count(&targets[a..b], row);
                }
            }
            (RingData::Count32(data), Weights::Constant) => {
                let row = &mut data[start..end];
                for s in senders {
                    let (a, b) = self.row(*s);
                    events += (b - a) as u64;
                    count(&targets[a..b], row);
                }
            }
            (RingData::Sum(data), weights) => {
                let row = &mut data[start..end];
                for s in senders {
                    let (a, b) = self.row(*s);
                    events += (b - a) as u64;
                    match weights {
                        Weights::Single(w) => add(&targets[a..b], &w[a..b], row),
                        Weights::Double(w) => add(&targets[a..b], &w[a..b], row),
                        Weights::Constant => {}
                    }
                }
            }
            // Rows with weights land in sums; the plan of the network pairs them so.
            _ => {}
        }
        events
    }

    fn deliver_slots<T, D>(&self, senders: &[u32], targets: &[T], delays: &[D], step: u64, ring: &mut Ring) -> u64
    where
        T: Copy + Into<u32>,
        D: Copy + Into<u32>,
    {
        let (mask, stride) = (ring.slots - 1, ring.stride);
        let slot = |d: D| ((step as usize + d.into() as usize) & mask) * stride;
        let mut events = 0;
        for s in senders {
            let (a, b) = self.row(*s);
            events += (b - a) as u64;
            let (targets, delays) = (&targets[a..b], &delays[a..b]);
            match (&mut ring.data, &self.weights) {
                (RingData::Count16(data), Weights::Constant) => {
                    for (t, d) in targets.iter().zip(delays) {
                        data[slot(*d) + (*t).into() as usize] += 1;
                    }
                }
                (RingData::Count32(data), Weights::Constant) => {
                    for (t, d) in targets.iter().zip(delays) {
                        data[slot(*d) + (*t).into() as usize] += 1;
                    }
                }
                (RingData::Sum(data), Weights::Single(w)) => {
                    for ((t, d), w) in targets.iter().zip(delays).zip(&w[a..b]) {
                        data[slot(*d) + (*t).into() as usize] += f64::from(*w);
                    }
                }
                (RingData::Sum(data), Weights::Double(w)) => {
                    for ((t, d), w) in targets.iter().zip(delays).zip(&w[a..b]) {
                        data[slot(*d) + (*t).into() as usize] += *w;
                    }
                }
                _ => {}
            }
        }
        events
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
