//! Delayed input of neurons: one row per step to come, read once and cleared by its readers.

use super::aligned::{Aligned, filled};
use super::pages::prefetch;
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
/// all over, and where these fit no cache, that costs several times what appending and reading a list does. Each sum is made of the
/// same terms in the same order as in a row.
#[derive(Clone, Debug)]
struct Queue {
    /// `[slot]`: target in the low half, the bits of its weight in single precision in the high half.
    events: Vec<Vec<u64>>,
    /// `[slot]`: sums that the events are added to, where a state was taken over; empty otherwise.
    sums: Vec<Vec<f64>>,
}

impl Queue {
    /// Adds what waits in a slot to a row.
    fn add_to(&self, slot: usize, row: &mut [f64]) {
        let sums = &self.sums[slot];
        row[..sums.len()].copy_from_slice(sums);
        for event in &self.events[slot] {
            row[*event as u32 as usize] += f64::from(f32::from_bits((*event >> 32) as u32));
        }
    }

    fn clear(&mut self, slot: usize) {
        self.events[slot].clear();
        self.sums[slot] = Vec::new();
    }
}

/// Bytes of a ring's rows beyond which what is to come waits in lists: a part of the cache that a core has for itself, where more than
/// one ring must fit.
const ROWS: usize = 1 << 18;

/// Events of two lines of the cache.
const AHEAD: usize = 16;

/// Appends to the lists of a ring with a queue.
pub struct Appender<'r> {
    events: &'r mut [Vec<u64>],
}

impl Appender<'_> {
    /// `weight` for the neuron at offset `target`, to be read in step `step`.
    pub fn push(&mut self, step: usize, target: u32, weight: f32) {
        let slot = step & (self.events.len() - 1);
        let list = &mut self.events[slot];
        // A list is written where it was read long ago: the line after the next is fetched meanwhile.
        prefetch(list, list.len() + AHEAD);
        list.push(u64::from(target) | u64::from(weight.to_bits()) << 32);
    }
}

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
        if rows > ROWS { Ring::queued(stride, longest) } else { Ring::new(RingKind::Sum, stride, longest) }
    }

    /// The same, in lists.
    fn queued(stride: usize, longest: u32) -> Ring {
        let slots = (longest.max(1) as usize).next_power_of_two();
        let queue = Queue { events: vec![Vec::new(); slots], sums: vec![Vec::new(); slots] };
        Ring { data: RingData::Sum(filled(0.0, stride)), stride, slots, queue: Some(queue) }
    }

    /// Whether what is to come is kept in lists.
    pub fn is_queued(&self) -> bool {
        self.queue.is_some()
    }

    /// Where to append what arrives, in a ring with lists.
    pub fn appender(&mut self) -> Option<Appender<'_>> {
        self.queue.as_mut().map(|q| Appender { events: &mut q.events })
    }

    /// Makes the row that step `step` reads, once, before it is read. Gives how many events it took.
    pub fn arrive(&mut self, step: u64) -> u64 {
        let (Some(queue), RingData::Sum(row)) = (&mut self.queue, &mut self.data) else { return 0 };
        let slot = step as usize & (self.slots - 1);
        queue.add_to(slot, row);
        let events = queue.events[slot].len() as u64;
        queue.clear(slot);
        events
    }

    /// The sums that step `step` will read, as far as they are known, of some neurons of a ring of sums.
    pub fn sums(&self, step: u64, neurons: Range<usize>) -> Vec<f64> {
        let RingData::Sum(data) = &self.data else { return Vec::new() };
        let Some(queue) = &self.queue else {
            let at = self.row(step);
            return data[at..at + self.stride][neurons].to_vec();
        };
        let mut row = vec![0.0; self.stride];
        queue.add_to(step as usize & (self.slots - 1), &mut row);
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
    pub fn clear(&mut self, neurons: Range<usize>) {
        for slot in 0..self.slots {
            let at = self.row(slot as u64);
            let cells = at + neurons.start..at + neurons.end;
            match &mut self.data {
                RingData::Count16(v) => v[cells].fill(0),
                RingData::Count32(v) => v[cells].fill(0),
                RingData::Sum(v) => v[cells].fill(0.0),
            }
        }
        if let Some(queue) = &mut self.queue {
            for list in &mut queue.events {
                list.retain(|event| !neurons.contains(&(*event as u32 as usize)));
            }
            queue.sums.iter_mut().filter(|sums| !sums.is_empty()).for_each(|sums| sums[neurons.clone()].fill(0.0));
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
    use crate::runtime::{Delays, Indices, Rows, Weights};

    /// Lists give the bits of rows, in what they hold and in what steps read, also where a state is taken over on the way.
    #[test]
    fn lists_hold_what_rows_hold() {
        let n = 1000;
        let (mut targets, mut weights, mut delays, mut starts) = (Vec::new(), Vec::new(), Vec::new(), vec![0]);
        for pre in 0..50_u32 {
            for k in 0..200_u32 {
                targets.push((k * 5 + pre % 5) as u16);
                weights.push(((pre * 200 + k) % 97) as f32 / 7.0 - 6.0);
                delays.push((1 + (pre * 31 + k * 17) % 60) as u8);
            }
            starts.push(targets.len() as u64);
        }
        let targets = Indices::Narrow(targets);
        let rows =
            Rows { starts, targets, weights: Weights::Single(weights), delays: Delays::Narrow(delays), range: n };
        let n = n as usize;
        let (mut dense, mut queued) = (Ring::new(RingKind::Sum, n, 60), Ring::queued(n, 60));
        let mut sent = 0;
        for step in 0..200_u64 {
            queued.arrive(step);
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
                assert_eq!(rows.deliver(&senders, step, &mut queued, None), events);
                sent += events;
            }
            for ahead in step + 1..step + 64 {
                assert_eq!(dense.sums(ahead, 0..n), queued.sums(ahead, 0..n), "after step {step}, of step {ahead}");
            }
            if step == 77 {
                let held: Vec<Vec<f64>> = (step + 1..step + 65).map(|s| queued.sums(s, 300..700)).collect();
                queued.clear(300..700);
                assert!(queued.sums(step + 3, 300..700).iter().all(|v| *v == 0.0));
                held.iter().zip(step + 1..).for_each(|(row, s)| queued.set_sums(s, 300, row));
            }
        }
        assert!(sent > 100_000, "{sent}");
    }
}
