//! Delayed input of a range of neurons: one row per step to come, read once and cleared by its reader.

use super::aligned::{Aligned, filled};

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
        Ring { data, stride, slots }
    }

    /// Nothing is on its way.
    pub fn clear(&mut self) {
        match &mut self.data {
            RingData::Count16(v) => v.fill(0),
            RingData::Count32(v) => v.fill(0),
            RingData::Sum(v) => v.fill(0.0),
        }
    }

    /// Start of the row that step `step` reads.
    pub fn row(&self, step: u64) -> usize {
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
