//! What a core runs out of.

use crate::chip::target::Target;
use std::fmt;
use std::ops::{Index, IndexMut};

/// A resource of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Compartments of all neurons.
    Compartments,
    /// Bytes of state of all neurons.
    StateBytes,
    /// Words of synapse memory.
    SynapseWords,
    /// Synapses.
    Synapses,
    /// Lists of synapses.
    AxonsIn,
    /// Bytes of traces that lists keep.
    TraceBytes,
    /// Destinations of packets.
    AxonsOut,
    /// Words of all programs.
    ProgramWords,
    /// Sets of constants.
    Profiles,
    /// Layouts of lists.
    Formats,
    /// Learning rules.
    Rules,
    /// Bytes of all of it.
    MemoryBytes,
}

impl Resource {
    /// All, in the order of their numbers.
    pub const ALL: [Resource; 12] = [
        Resource::Compartments,
        Resource::StateBytes,
        Resource::SynapseWords,
        Resource::Synapses,
        Resource::AxonsIn,
        Resource::TraceBytes,
        Resource::AxonsOut,
        Resource::ProgramWords,
        Resource::Profiles,
        Resource::Formats,
        Resource::Rules,
        Resource::MemoryBytes,
    ];

    /// As messages and reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Resource::Compartments => "compartments",
            Resource::StateBytes => "bytes of state",
            Resource::SynapseWords => "words of synapse memory",
            Resource::Synapses => "synapses",
            Resource::AxonsIn => "input axons",
            Resource::TraceBytes => "bytes of traces",
            Resource::AxonsOut => "output axons",
            Resource::ProgramWords => "program words",
            Resource::Profiles => "profiles",
            Resource::Formats => "synapse formats",
            Resource::Rules => "learning rules",
            Resource::MemoryBytes => "bytes of memory",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An amount of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage([u64; Resource::ALL.len()]);

impl Index<Resource> for Usage {
    type Output = u64;

    fn index(&self, r: Resource) -> &u64 {
        &self.0[r as usize]
    }
}

impl IndexMut<Resource> for Usage {
    fn index_mut(&mut self, r: Resource) -> &mut u64 {
        &mut self.0[r as usize]
    }
}

impl Usage {
    /// Adds all of another.
    pub fn add(&mut self, other: &Usage) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }

    /// Takes away what was added before.
    pub(super) fn subtract(&mut self, other: &Usage) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a -= b);
    }
}

/// The limits of a target, in the order of [`Resource::ALL`].
#[derive(Clone, Debug)]
pub(super) struct Limits {
    limit: [Option<u64>; Resource::ALL.len()],
    word_bytes: u64,
    axon_bytes: u64,
    program_word_bytes: u64,
}

impl Limits {
    pub fn new(target: &Target) -> Limits {
        let core = &target.core;
        Limits {
            limit: Resource::ALL.map(|r| match r {
                Resource::Compartments => Some(core.compartments),
                Resource::StateBytes | Resource::TraceBytes => None,
                Resource::SynapseWords => core.synapse_words,
                Resource::Synapses => core.synapses,
                Resource::AxonsIn => core.axons_in,
                Resource::AxonsOut => core.axons_out,
                Resource::ProgramWords => core.program_words,
                Resource::Profiles => core.profiles,
                Resource::Formats => core.formats,
                Resource::Rules => core.rules,
                Resource::MemoryBytes => core.memory_bytes,
            }),
            word_bytes: u64::from(target.synapse.word_bits).div_ceil(8),
            axon_bytes: core.axon_bytes,
            program_word_bytes: core.program_word_bytes,
        }
    }

    /// The limit of a resource, if it has one.
    pub fn of(&self, r: Resource) -> Option<u64> {
        self.limit[r as usize]
    }

    /// Fills in the sum over the others.
    pub fn with_memory(&self, usage: &Usage) -> Usage {
        let mut out = *usage;
        out[Resource::MemoryBytes] = usage[Resource::StateBytes]
            + usage[Resource::TraceBytes]
            + self.word_bytes * usage[Resource::SynapseWords]
            + self.axon_bytes * (usage[Resource::AxonsIn] + usage[Resource::AxonsOut])
            + self.program_word_bytes * usage[Resource::ProgramWords];
        out
    }

    /// The first resource that is exceeded, what is used of it, and its limit.
    pub fn exceeded(&self, usage: &Usage) -> Option<(Resource, u64, u64)> {
        let usage = self.with_memory(usage);
        Resource::ALL.into_iter().find_map(|r| self.of(r).filter(|l| usage[r] > *l).map(|l| (r, usage[r], l)))
    }

    /// The largest part of a limit that is used.
    pub fn fullness(&self, usage: &Usage) -> f64 {
        let usage = self.with_memory(usage);
        let part = |r: Resource| self.of(r).map_or(0.0, |l| usage[r] as f64 / l as f64);
        Resource::ALL.into_iter().map(part).fold(0.0, f64::max)
    }
}
