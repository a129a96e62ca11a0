//! What a run would have cost, from counts of what happened. Public figures only: a profile names where its own come from.

use super::emulator::Counters;
use serde::Serialize;

/// Joule per event of Loihi 1, as SANA-FE 2.2.9 has them (`arch/loihi.yaml`); several of its values are fitted.
pub const LOIHI1_SANAFE: Profile = Profile {
    name: "loihi1-sanafe",
    update: 72.8e-12,
    spike: 69.3e-12,
    synaptic_operation: 35.5e-12,
    packet: 111e-12,
    hop_x: 3.0e-12,
    hop_y: 4.2e-12,
};

/// Joule per synaptic operation of Loihi 2, everything else included. No energy of a single operation is public: the lower bound is
/// the published best case of dense 8-bit networks (15 TOPS/W), the upper one Hala Point's largest power over its peak rate (2600 W
/// at 380e12 operations per second).
pub const LOIHI2_BOUNDS: (f64, f64) = (0.067e-12, 6.8e-12);

/// Joule per event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    pub name: &'static str,
    pub update: f64,
    pub spike: f64,
    pub synaptic_operation: f64,
    pub packet: f64,
    pub hop_x: f64,
    pub hop_y: f64,
}

/// Joule, by what took it.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize)]
pub struct Energy {
    pub neurons: f64,
    pub synapses: f64,
    pub network: f64,
}

impl Energy {
    pub fn total(self) -> f64 {
        self.neurons + self.synapses + self.network
    }
}

impl Profile {
    /// `cores` are the counts of the chip, `host` those of what it was sent.
    pub fn energy(&self, cores: &Counters, host: &Counters) -> Energy {
        let packets = (cores.packets_out + host.packets_out) as f64;
        Energy {
            neurons: cores.updates as f64 * self.update + cores.spikes as f64 * self.spike,
            synapses: cores.synaptic_operations as f64 * self.synaptic_operation,
            network: packets * self.packet + cores.hops_x as f64 * self.hop_x + cores.hops_y as f64 * self.hop_y,
        }
    }
}

impl Counters {
    /// The counts of several cores together.
    pub fn sum(all: impl Iterator<Item = Counters>) -> Counters {
        all.fold(Counters::default(), |a, b| Counters {
            updates: a.updates + b.updates,
            operations: a.operations + b.operations,
            spikes: a.spikes + b.spikes,
            packets_in: a.packets_in + b.packets_in,
            packets_out: a.packets_out + b.packets_out,
            hops_x: a.hops_x + b.hops_x,
            hops_y: a.hops_y + b.hops_y,
            hops_chip: a.hops_chip + b.hops_chip,
            synaptic_operations: a.synaptic_operations + b.synaptic_operations,
            learning_operations: a.learning_operations + b.learning_operations,
        })
    }
}
