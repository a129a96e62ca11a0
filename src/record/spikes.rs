//! Spikes of one population, and which of them a question is about.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The spikes of one population: who fired in which step.
///
/// `steps` never decreases; both lists are of one length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PopulationSpikes {
    /// The population as it is written, such as `bg.D1`.
    pub path: String,
    /// How many neurons the population has, silent ones included.
    pub size: u32,
    /// The step of each spike; the time is this times dt, and this is the truth.
    pub steps: Vec<u64>,
    /// The flat index of the neuron of each spike.
    pub senders: Vec<u32>,
}

impl PopulationSpikes {
    pub fn new(path: impl Into<String>, size: u32) -> PopulationSpikes {
        PopulationSpikes { path: path.into(), size, steps: Vec::new(), senders: Vec::new() }
    }

    pub fn push(&mut self, step: u64, sender: u32) {
        self.steps.push(step);
        self.senders.push(sender);
    }

    pub fn len(&self) -> usize {
        self.steps.len().min(self.senders.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spikes of `neurons` within `window` as (step, sender), in the order of time.
    pub fn within<'a>(&'a self, neurons: &'a Neurons<'a>, window: Window) -> impl Iterator<Item = (u64, u32)> + 'a {
        let first = self.steps.partition_point(|s| *s < window.from);
        let last = self.steps.partition_point(|s| *s < window.to).max(first);
        let senders = self.senders.iter().skip(first);
        let pairs = self.steps[first..last].iter().zip(senders);
        pairs.map(|(s, i)| (*s, *i)).filter(move |(_, i)| *i < self.size && neurons.contains(*i))
    }
}

/// Neurons of one population.
#[derive(Clone, Debug, PartialEq)]
pub enum Neurons<'a> {
    All,
    Range(Range<u32>),
    /// One entry per neuron; neurons past its end are not chosen.
    Mask(&'a [bool]),
}

impl Neurons<'_> {
    pub fn contains(&self, neuron: u32) -> bool {
        match self {
            Neurons::All => true,
            Neurons::Range(range) => range.contains(&neuron),
            Neurons::Mask(mask) => mask.get(neuron as usize).copied().unwrap_or(false),
        }
    }

    /// The chosen neurons of a population of `size`, in ascending order.
    pub fn of(&self, size: u32) -> impl Iterator<Item = u32> + '_ {
        (0..size).filter(|i| self.contains(*i))
    }

    /// How many neurons of a population of `size` are chosen.
    pub fn count(&self, size: u32) -> usize {
        match self {
            Neurons::All => size as usize,
            Neurons::Range(range) => range.end.min(size).saturating_sub(range.start) as usize,
            Neurons::Mask(_) => self.of(size).count(),
        }
    }
}

/// The steps `from .. to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub from: u64,
    pub to: u64,
    /// The time step in ms.
    pub dt_ms: f64,
}

impl Window {
    pub fn steps(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    pub fn seconds(self) -> f64 {
        self.steps() as f64 * self.dt_ms * 1e-3
    }

    /// How many steps make a bin of `milliseconds`: the nearest number, at least one.
    pub fn bin(self, milliseconds: f64) -> u64 {
        ((milliseconds / self.dt_ms).round() as u64).max(1)
    }
}
