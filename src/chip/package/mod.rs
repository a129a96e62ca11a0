//! What a chip would load, as one file.
//!
//! A package is a file of sections with checksums (`base::sections`): the manifest as canonical JSON (kind 1), the tables of each
//! core in order (kind 2), the host's part (kind 3), the experiment that the host executes (kind 4; what `nsmc compile` makes of it
//! without a target). The binary sections are little-endian:
//!
//! | section | what |
//! |---|---|
//! | core | number of compartments; of each: profile u32, neuron u32, words of its state i32 |
//! | | bits of a compartment's number u32 |
//! | | number of axons in; of each: format u32, first word u32 |
//! | | number of words of synapse memory; the words u64 |
//! | | of each compartment the number of axons out; of each: core u32, axon in u32 |
//! | host | of each neuron that the host drives, in order: its axons out as above |
//! | | number of events u64; of each: step u64, neuron u32, payload i32 |
//! | | number of trace writes u64; of each: step u64, projection u32, neuron u32, trace u32, value i32 |
//!
//! Numbers are u32 where nothing else is said. An axon in the synapse memory is a header of 32 bits (number of synapses in its
//! lower half), then for each synapse, lowest bit first and without gaps: compartment, mantissa (its truncated bits left out;
//! magnitude, or two's complement where signs are mixed), delay. It begins at a word. Axons with third factors are of the same form;
//! their mantissas mean nothing.

mod bytes;
mod capacity;
pub mod synapses;

pub use bytes::FORMAT;
pub use capacity::{Breach, breaches, demands};

use super::fixed::{HostSpike, LearningRule, SynapseFormat, TraceWrite};
use super::limits::Limits;
use serde::{Deserialize, Serialize};

/// A whole package.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    pub manifest: Manifest,
    pub cores: Vec<Core>,
    pub host: Host,
    /// An artefact, for whoever drives the chip; the chip itself never sees it.
    pub experiment: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version that wrote it.
    pub nsmc: String,
    pub network: String,
    pub step_ns: u64,
    pub seed: u64,
    /// Steps of a run.
    pub steps: u64,
    /// The experiment has other circuits, which are in other packages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    pub target: Limits,
    /// Assembly.
    pub programs: Vec<String>,
    pub profiles: Vec<Profile>,
    pub populations: Vec<PopulationRecord>,
    pub projections: Vec<ProjectionRecord>,
    pub rules: Vec<LearningRule>,
    /// Of each core: chip, and column and row of its tile on the mesh of all chips.
    pub sites: Vec<(u32, u32, u32)>,
}

/// A program with the constants that a population shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub program: u32,
    pub params: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationRecord {
    pub path: String,
    pub size: u32,
    /// `None`: spikes come from the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<u32>,
    pub graded: bool,
}

/// A projection; the numbers of formats in the tables are positions among these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectionRecord {
    pub path: String,
    pub source: u32,
    pub target: u32,
    pub format: SynapseFormat,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Core {
    pub compartments: Vec<Compartment>,
    /// Bits of a compartment's number in the synapse memory.
    pub index_bits: u32,
    pub axons_in: Vec<AxonIn>,
    pub words: Vec<u64>,
    /// By compartment.
    pub axons_out: Vec<Vec<AxonOut>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Compartment {
    pub profile: u32,
    /// Number in the network.
    pub neuron: u32,
    /// Initial words of its state.
    pub state: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxonIn {
    /// Projection.
    pub format: u32,
    /// Where its synapses begin.
    pub word: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxonOut {
    pub core: u32,
    pub axon: u32,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Host {
    /// By neuron that the host drives, in order.
    pub axons_out: Vec<Vec<AxonOut>>,
    pub events: Vec<HostSpike>,
    pub writes: Vec<TraceWrite>,
}
