//! What a run would have cost, from counts of what happened. Public figures only: a profile names where its own come from.

use super::build::Built;
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
            third_factors: a.third_factors + b.third_factors,
            host_writes: a.host_writes + b.host_writes,
        })
    }
}

/// Joule for a synaptic event on Loihi 2 and for a multiply-add on a GPU, as the paper that nsm follows states them; no public
/// measurement says so.
pub const PAPER_EVENT: f64 = 10e-12;
pub const PAPER_MAC: f64 = 100e-12;

/// Joule for a multiply-add of an A100 at its peak: 312e12 operations of 16 bits per second at 400 W, two for a multiply-add.
pub const A100_MAC: f64 = 2.0 * 400.0 / 312e12;

/// What a step costs, and what has to be believed for that.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub name: &'static str,
    pub low_j: f64,
    pub high_j: f64,
    /// What is counted, per step.
    pub counts: String,
    pub assumes: &'static str,
}

/// The energy of a mean step of the trial, by all profiles, and that of a dense network of the same size.
pub fn estimates(built: &Built) -> Vec<Estimate> {
    let (trial, summary) = (&built.trial, &built.mapping.summary);
    let per_step = |n: u64| n as f64 / trial.steps.max(1) as f64;
    let (updates, spikes) = (per_step(trial.counters.updates), per_step(trial.counters.spikes));
    let events = per_step(trial.counters.synaptic_operations);
    let synapses: u64 = built.quantising.projections.iter().map(|p| p.synapses).sum();
    let macs = synapses as f64;
    let p = LOIHI1_SANAFE;
    let loihi1 = updates * p.update + spikes * p.spike + events * p.synaptic_operation + summary.energy_pj * 1e-12;
    let counted = format!("{events:.1} synaptic events");
    let point = |name, j, counts: String, assumes| Estimate { name, low_j: j, high_j: j, counts, assumes };
    vec![
        point(
            "loihi1-sanafe",
            loihi1,
            format!("{updates:.0} updates, {spikes:.1} spikes, {counted}, {:.1} packets", summary.packets),
            "Loihi 1 as SANA-FE 2.2.9 has it (72.8 pJ an update, 69.3 a spike, 35.5 a synaptic event), packets and ways by the \
             target's costs; static power is not in it",
        ),
        Estimate {
            name: "loihi2-bounds",
            low_j: events * LOIHI2_BOUNDS.0,
            high_j: events * LOIHI2_BOUNDS.1,
            counts: counted.clone(),
            assumes: "per event between the best case of dense 8-bit networks (15 TOPS/W) and Hala Point's largest power over its \
                      peak rate (2600 W at 380e12 events per second), everything else included",
        },
        point(
            "paper",
            events * PAPER_EVENT,
            counted,
            "10 pJ a synaptic event and nothing else, as the paper that nsm follows states; no public measurement says so",
        ),
        point(
            "gpu-paper",
            macs * PAPER_MAC,
            format!("{synapses} multiply-adds, one for each synapse in each step"),
            "100 pJ a multiply-add on an A100, as the paper that nsm follows states: far from its peak, as with single small inputs",
        ),
        point(
            "gpu-peak",
            macs * A100_MAC,
            format!("{synapses} multiply-adds, one for each synapse in each step"),
            "an A100 that does nothing but 16-bit multiply-adds at its peak (312e12 operations per second at 400 W)",
        ),
    ]
}
