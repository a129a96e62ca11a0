//! What a host reads and writes between two steps.

use super::Emulator;
use crate::chip::fixed::{Sign, SynapseFormat};
use std::ops::Range;

/// A synapse of a projection, and where it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Numbers in the network.
    pub source: u32,
    pub target: u32,
    core: u32,
    at: u32,
}

impl Emulator {
    /// Writes a word of a neuron's state; nothing happens where the host plays its spikes.
    pub fn write(&mut self, neuron: u32, word: usize, value: i32) {
        let Some((core, k)) = self.place.get(neuron as usize).copied().flatten() else { return };
        let core = &mut self.cores[core as usize];
        let start = core.state_start[k as usize];
        if let Some(there) = core.state[start..core.state_start[k as usize + 1]].get_mut(word) {
            *there = value;
            self.host.counters.host_writes += 1;
        }
    }

    /// Sets a post trace that third factors write, of whatever learns onto a neuron, to its resting value plus `value`.
    pub fn write_third_factor(&mut self, neuron: u32, trace: u32, value: i32) {
        let Some((core, k)) = self.place.get(neuron as usize).copied().flatten() else { return };
        for learner in &mut self.cores[core as usize].learners {
            self.host.counters.host_writes += u64::from(learner.third_factor(k, trace, value));
        }
    }

    /// A word of a neuron's state; 0 where there is none.
    pub fn word(&self, neuron: u32, word: usize) -> i32 {
        let place = self.place.get(neuron as usize).copied().flatten();
        let state = place.map(|(core, k)| self.cores[core as usize].state_of(k));
        state.and_then(|s| s.get(word)).copied().unwrap_or(0)
    }

    /// Nothing is on its way to these neurons any more, and of synapses onto them that learn the traces and tags begin anew.
    pub fn clear(&mut self, neurons: Range<u32>) {
        for core in &mut self.cores {
            let meant: Vec<bool> = core.neurons.iter().map(|n| neurons.contains(n)).collect();
            if !meant.contains(&true) {
                continue;
            }
            let cells = core.ring.chunks_mut(core.accumulators).zip(meant.iter().cycle());
            cells.filter(|(_, meant)| **meant).for_each(|(cell, _)| cell.fill(0));
            for k in (0..).zip(&meant).filter(|(_, meant)| **meant).map(|(k, _)| k) {
                core.learners.iter_mut().for_each(|l| l.forget(k));
            }
            let s = &mut core.synapses;
            for axon in core.axons.iter().filter(|a| a.learner.is_some()) {
                for at in (axon.start..axon.end).filter(|at| meant[s.target[*at] as usize]) {
                    (s.tag[at], s.learned_delay[at]) = (0, 0);
                }
            }
        }
    }

    /// The presynaptic traces of a projection that learns begin anew.
    pub fn clear_sources(&mut self, projection: usize) {
        for core in &mut self.cores {
            for learner in core.learners.iter_mut().filter(|l| l.projection == projection as u32) {
                (0..learner.x.len() as u32).for_each(|source| learner.forget_source(source));
            }
        }
    }

    /// The synapses of a projection, in order of source and target.
    pub fn addresses(&self, projection: usize) -> Vec<Address> {
        let mut out = Vec::new();
        for source in 0..self.place.len() as u32 {
            for a in self.axons_of(source) {
                let core = &self.cores[a.core as usize];
                let axon = core.axons[a.axon as usize];
                if axon.projection == projection as u32 {
                    out.extend((axon.start..axon.end).map(|at| {
                        let target = core.neurons[core.synapses.target[at] as usize];
                        Address { source, target, core: a.core, at: at as u32 }
                    }));
                }
            }
        }
        out.sort_unstable();
        out
    }

    pub fn mantissa(&self, address: Address) -> i32 {
        self.cores[address.core as usize].synapses.weight[address.at as usize]
    }

    /// Writes a mantissa as the format of its projection holds it.
    pub fn set_mantissa(&mut self, address: Address, format: SynapseFormat, mantissa: i32) {
        self.cores[address.core as usize].synapses.weight[address.at as usize] = format.store(mantissa);
    }

    /// What the mantissas of a projection are worth from now on. Those that are there stay as they are.
    pub fn set_worth(&mut self, projection: usize, sign: Sign, exponent: i32) {
        if let Some(p) = self.manifest.projections.get_mut(projection) {
            (p.format.sign, p.format.exponent) = (sign, exponent);
        }
    }

    /// Whether learning changes the weights of a projection.
    pub fn set_learning(&mut self, projection: usize, on: bool) {
        for core in &mut self.cores {
            core.learners.iter_mut().filter(|l| l.projection == projection as u32).for_each(|l| l.frozen = !on);
        }
    }

    /// Bytes of synapse memory that are taken.
    pub fn synapse_bytes(&self) -> u64 {
        self.memory * 8
    }

    /// Synapses on all cores.
    pub fn synapse_count(&self) -> u64 {
        self.cores.iter().map(|c| c.synapses.target.len() as u64).sum()
    }
}
