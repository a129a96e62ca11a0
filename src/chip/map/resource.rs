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
    word_bits: u64,
    part: Option<u64>,
    /// Bits of a compartment's number that lists are counted with, and the fewest that a core may have.
    index_bits: u32,
    least_bits: u32,
    axon_bytes: u64,
    program_word_bytes: u64,
}

impl Limits {
    pub fn new(target: &Target, index_bits: u32) -> Limits {
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
            word_bits: u64::from(target.synapse.word_bits),
            part: target.synapse.part.map(u64::from),
            index_bits,
            least_bits: target.synapse.index_bits,
            axon_bytes: core.axon_bytes,
            program_word_bytes: core.program_word_bytes,
        }
    }

    /// The limit of a resource, if it has one.
    pub fn of(&self, r: Resource) -> Option<u64> {
        self.limit[r as usize]
    }

    /// Fills in the sum over the others; also of more than one core.
    pub fn with_memory(&self, usage: &Usage) -> Usage {
        let mut out = *usage;
        out[Resource::MemoryBytes] = usage[Resource::StateBytes]
            + usage[Resource::TraceBytes]
            + self.word_bits.div_ceil(8) * usage[Resource::SynapseWords]
            + self.axon_bytes * (usage[Resource::AxonsIn] + usage[Resource::AxonsOut])
            + self.program_word_bytes * usage[Resource::ProgramWords];
        out
    }

    /// What a core takes that holds all of this. Numbers of more compartments than `index_bits` tell apart are longer in each synapse,
    /// and no list grows by more than those bits and the rest of a word.
    pub fn of_core(&self, usage: &Usage) -> Usage {
        let mut out = *usage;
        let needed = (usage[Resource::Compartments].max(2) - 1).ilog2() + 1;
        if let Some(longer) = needed.checked_sub(self.index_bits).filter(|bits| *bits > 0) {
            let synapses = usage[Resource::Synapses];
            let runs = usage[Resource::AxonsIn] + self.part.map_or(0, |part| synapses / part);
            out[Resource::SynapseWords] += (synapses * u64::from(longer)).div_ceil(self.word_bits) + runs;
        }
        self.with_memory(&out)
    }

    /// The same for cores whose lists are no longer than they were counted.
    pub fn as_counted(&self) -> Limits {
        let mut out = self.clone();
        let compartments = &mut out.limit[Resource::Compartments as usize];
        *compartments = compartments.map(|limit| limit.min(1 << self.index_bits.min(63)));
        out
    }

    /// The part of a core that each of its neurons has at the least where numbers are shorter than lists are counted with: so few fit
    /// into it. `None`: no core has shorter ones.
    pub fn part_of_shorter(&self, whole: u64) -> Option<u64> {
        (self.index_bits > self.least_bits).then(|| whole >> (self.index_bits - 1))
    }

    /// The first resource that is exceeded, what is used of it, and its limit.
    pub fn exceeded(&self, usage: &Usage) -> Option<(Resource, u64, u64)> {
        self.exceeded_by_core(&self.of_core(usage))
    }

    /// The same of what [`Limits::of_core`] gave.
    pub fn exceeded_by_core(&self, usage: &Usage) -> Option<(Resource, u64, u64)> {
        Resource::ALL.into_iter().find_map(|r| self.of(r).filter(|l| usage[r] > *l).map(|l| (r, usage[r], l)))
    }

    /// The largest part of a limit that is used.
    pub fn fullness(&self, usage: &Usage) -> f64 {
        let usage = self.of_core(usage);
        let part = |r: Resource| self.of(r).map_or(0.0, |l| usage[r] as f64 / l as f64);
        Resource::ALL.into_iter().map(part).fold(0.0, f64::max)
    }
}
