//! Delayed input of neurons: one row per step to come, read once and cleared by its readers.

use super::aligned::{Aligned, filled};
use super::rows::{LONGEST, Rows};
use std::ops::Range;

/// How what arrives is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingKind {
    /// Spikes of equal weight, counted.
    Count16,
    Count32,
    /// Weights, summed.
    Sum,
}

impl RingKind {
    /// Bytes of a neuron's entry.
    pub fn bytes(self) -> u32 {
        match self {
            RingKind::Count16 => 2,
            RingKind::Count32 => 4,
            RingKind::Sum => 8,
        }
    }
}

/// Row-major `[slot][neuron]`.
#[derive(Clone, Debug)]
pub enum RingData {
    Count16(Aligned<u16>),
    Count32(Aligned<u32>),
    Sum(Aligned<f64>),
}

#[derive(Clone, Debug)]
pub struct Ring {
    pub data: RingData,
    /// Neurons per row, padded.
    pub stride: usize,
    /// A power of two, at least the longest delay: a spike sent in a window lies in a row that no step of that window reads.
    pub slots: usize,
    /// Where there is one, `data` is a single row, and what is to come waits here.
    queue: Option<Queue>,
}

/// What is to come as a list for each step, in the order in which it was sent: a row of sums for each step to come would be written
/// all over, and where these fit no cache, that costs several times what reading a list does. What is listed are synapses of rows
/// that lie side by side, which are read when they arrive. Each sum is made of the same terms in the same order as in a row.
#[derive(Clone, Debug)]
struct Queue {
    /// `[slot]`
    stretches: Vec<Vec<Stretch>>,
    /// `[slot]`: sums that they are added to, where a state was taken over; empty otherwise.
    sums: Vec<Vec<f64>>,
}

/// Synapses of a row that arrive in one step.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Which of the rows that lead to the ring.
    pub rows: u32,
    pub len: u32,
    /// The first of them among the synapses of the rows.
    pub from: u64,
}

impl Stretch {
    pub fn range(self) -> Range<usize> {
        self.from as usize..self.from as usize + self.len as usize
    }
}

/// Stretches that are fetched from memory while the ones before them are added.
const AHEAD: usize = 8;

impl Queue {
    /// Adds what waits in a slot to a row; gives how many synapses that took.
    fn add_to<'r>(&self, slot: usize, row: &mut [f64], rows: impl Fn(u32) -> &'r Rows) -> u64 {
        let sums = &self.sums[slot];
        row[..sums.len()].copy_from_slice(sums);
        let list = &self.stretches[slot];
        let fetch = |s: &Stretch| rows(s.rows).fetch_stretch(s.range());
        list.iter().take(AHEAD).for_each(fetch);
        let mut events = 0;
        for (k, stretch) in list.iter().enumerate() {
            list.get(k + AHEAD).into_iter().for_each(fetch);
            rows(stretch.rows).add_stretch(stretch.range(), row);
            events += u64::from(stretch.len);
        }
        events
    }

    fn clear(&mut self, slot: usize) {
        self.stretches[slot].clear();
        self.sums[slot] = Vec::new();
    }
}

/// Bytes of a ring's rows beyond which what is to come waits in lists: a part of the cache that a core has for itself, where more than
/// one ring must fit.
const ROWS: usize = 1 << 18;

impl Ring {
    /// Rows for delays up to `longest` steps over `stride` neurons.
    pub fn new(kind: RingKind, stride: usize, longest: u32) -> Ring {
        let slots = (longest.max(1) as usize).next_power_of_two();
        let n = stride * slots;
        let data = match kind {
            RingKind::Count16 => RingData::Count16(filled(0, n)),
            RingKind::Count32 => RingData::Count32(filled(0, n)),
            RingKind::Sum => RingData::Sum(filled(0.0, n)),
        };
        Ring { data, stride, slots, queue: None }
    }

    /// A ring of sums for weights in single precision that stay what they are: in rows, or in lists where rows take too much of a cache.
    pub fn of_steady(stride: usize, longest: u32) -> Ring {
        let rows = stride * longest.max(1).next_power_of_two() as usize * RingKind::Sum.bytes() as usize;
        let lists = rows > ROWS && longest <= LONGEST;
        if lists { Ring::queued(stride, longest) } else { Ring::new(RingKind::Sum, stride, longest) }
    }

    /// The same, in lists.
    fn queued(stride: usize, longest: u32) -> Ring {
        let slots = (longest.max(1) as usize).next_power_of_two();
        let queue = Queue { stretches: vec![Vec::new(); slots], sums: vec![Vec::new(); slots] };
        Ring { data: RingData::Sum(filled(0.0, stride)), stride, slots, queue: Some(queue) }
    }

    /// Whether what is to come is kept in lists.
    pub fn is_queued(&self) -> bool {
        self.queue.is_some()
    }

    /// Lists what arrives in step `step`, in a ring with lists.
    pub fn announce(&mut self, step: u64, stretch: Stretch) {
        if let Some(queue) = &mut self.queue {
            queue.stretches[step as usize & (self.slots - 1)].push(stretch);
        }
    }

    /// Makes the row that step `step` reads, once, before it is read; `rows` are those that stretches name. Gives how many synapses
    /// it took.
    pub fn arrive<'r>(&mut self, step: u64, rows: impl Fn(u32) -> &'r Rows) -> u64 {
        let (Some(queue), RingData::Sum(row)) = (&mut self.queue, &mut self.data) else { return 0 };
        let slot = step as usize & (self.slots - 1);
        let events = queue.add_to(slot, row, rows);
        queue.clear(slot);
        events
    }

    /// The sums that step `step` will read, as far as they are known, of some neurons of a ring of sums.
    pub fn sums<'r>(&self, step: u64, neurons: Range<usize>, rows: impl Fn(u32) -> &'r Rows) -> Vec<f64> {
        let RingData::Sum(data) = &self.data else { return Vec::new() };
        let Some(queue) = &self.queue else {
            let at = self.row(step);
            return data[at..at + self.stride][neurons].to_vec();
        };
        let mut row = vec![0.0; self.stride];
        queue.add_to(step as usize & (self.slots - 1), &mut row, rows);
        row[neurons].to_vec()
    }

    /// Takes over what step `step` will read: sums of neurons from `first` on of a ring of sums, where nothing is on its way to them.
    pub fn set_sums(&mut self, step: u64, first: usize, values: &[f64]) {
        let at = self.row(step) + first;
        let slot = step as usize & (self.slots - 1);
        match (&mut self.queue, &mut self.data) {
            (Some(queue), _) => {
                queue.sums[slot].resize(self.stride, 0.0);
                queue.sums[slot][first..first + values.len()].copy_from_slice(values);
            }
            (None, RingData::Sum(data)) => data[at..at + values.len()].copy_from_slice(values),
            (None, _) => {}
        }
    }

    /// Nothing is on its way to these neurons.
    pub fn clear<'r>(&mut self, neurons: Range<usize>, rows: impl Fn(u32) -> &'r Rows + Copy) {
        for slot in 0..self.slots {
            let at = self.row(slot as u64);
            let cells = at + neurons.start..at + neurons.end;
            match &mut self.data {
                RingData::Count16(v) => v[cells].fill(0),
                RingData::Count32(v) => v[cells].fill(0),
                RingData::Sum(v) => v[cells].fill(0.0),
            }
            let Some(queue) = &mut self.queue else { continue };
            // A stretch may lead to others, too.
            let mut sums = vec![0.0; self.stride];
            let waits = queue.add_to(slot, &mut sums, rows) > 0 || !queue.sums[slot].is_empty();
            queue.clear(slot);
            if waits {
                sums[neurons.clone()].fill(0.0);
                queue.sums[slot] = sums;
            }
        }
    }

    /// Start of the row that step `step` reads.
    pub fn row(&self, step: u64) -> usize {
        if self.queue.is_some() {
            return 0;
        }
        (step as usize & (self.slots - 1)) * self.stride
    }

    pub fn pointer(&mut self) -> *mut u8 {
        match &mut self.data {
            RingData::Count16(v) => v.as_mut_ptr().cast(),
            RingData::Count32(v) => v.as_mut_ptr().cast(),
            RingData::Sum(v) => v.as_mut_ptr().cast(),
        }
    }

    pub fn bytes_per_neuron(&self) -> usize {
        match self.data {
            RingData::Count16(_) => 2,
            RingData::Count32(_) => 4,
            RingData::Sum(_) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Delays, Indices, Weights};

    /// Lists give the bits of rows, in what they hold and in what steps read, also where a state is taken over on the way.
    #[test]
    fn lists_hold_what_rows_hold() {
        let n = 1000;
        let (mut targets, mut weights, mut delays, mut starts) = (Vec::new(), Vec::new(), Vec::new(), vec![0]);
        for pre in 0..50_u32 {
            for k in 0..200_u32 {
                // Neighbours meet in a target, some of them with the same delay.
                targets.push((k / 2 * 10 + pre % 5) as u16);
                weights.push(((pre * 200 + k) % 97) as f32 / 7.0 - 6.0);
                delays.push((1 + (pre * 31 + k / 4 * 17 + k % 3) % 60) as u8);
            }
            starts.push(targets.len() as u64);
        }
        let targets = Indices::Narrow(targets);
        let rows =
            Rows { starts, targets, weights: Weights::Single(weights), delays: Delays::Narrow(delays), range: n };
        let sorted = rows.clone().by_delay();
        let of = |_: u32| &sorted;
        let n = n as usize;
        let (mut dense, mut queued) = (Ring::new(RingKind::Sum, n, 60), Ring::queued(n, 60));
        let mut sent = 0;
        for step in 0..200_u64 {
            queued.arrive(step, of);
            let at = dense.row(step);
            let RingData::Sum(row) = &mut dense.data else { panic!("no sums") };
            let read: Vec<u64> = row[at..at + n].iter().map(|v| v.to_bits()).collect();
            row[at..at + n].fill(0.0);
            let RingData::Sum(row) = &mut queued.data else { panic!("no sums") };
            assert!(read.iter().copied().eq(row.iter().map(|v| v.to_bits())), "step {step}");
            row.fill(0.0);
            if step < 130 {
                let senders: Vec<u32> = (0..50).filter(|s| (u64::from(*s) + step).is_multiple_of(7)).collect();
                let events = rows.deliver(&senders, step, &mut dense, None);
                assert_eq!(sorted.announce(0, &senders, step, &mut queued), events);
                sent += events;
            }
            for ahead in step + 1..step + 64 {
                assert_eq!(
                    dense.sums(ahead, 0..n, of),
                    queued.sums(ahead, 0..n, of),
                    "after step {step}, of step {ahead}"
                );
            }
            if step == 77 {
                let held: Vec<Vec<f64>> = (step + 1..step + 65).map(|s| queued.sums(s, 300..700, of)).collect();
                queued.clear(300..700, of);
                assert!(queued.sums(step + 3, 300..700, of).iter().all(|v| *v == 0.0));
                held.iter().zip(step + 1..).for_each(|(row, s)| queued.set_sums(s, 300, row));
            }
        }
        assert!(sent > 100_000, "{sent}");
    }
}
