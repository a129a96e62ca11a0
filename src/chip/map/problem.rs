//! What is to be mapped: neurons with what they take of a core, and who sends spikes to whom. Nothing here knows where it
//! comes from; any quantised network can be written so.

use thiserror::Error;

/// A program that neurons run. A core holds it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// For messages.
    pub name: String,
    /// Words of program memory.
    pub words: u32,
}

/// What neurons of one kind take and share. A core holds the set of constants once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// For messages.
    pub name: String,
    /// Index of the program.
    pub program: u32,
    /// Compartments of each neuron.
    pub compartments: u32,
    /// Bytes of state of each neuron, with the traces that learning keeps of it.
    pub state_bytes: u32,
}

/// The layout of a list of synapses. A core holds it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// For messages.
    pub name: String,
    /// Bits of each synapse: weight, index, delay, tag.
    pub bits: u32,
    /// Bytes of presynaptic traces that each core keeps for a list of this format.
    pub trace_bytes: u32,
    /// Index of the learning rule, which a core holds once.
    pub rule: Option<u32>,
}

/// Neurons that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// For messages.
    pub name: String,
    /// All of them lie in one core.
    pub atomic: bool,
    /// Neurons of different domains never share a core.
    pub domain: u32,
}

/// One neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// Index of the profile.
    pub profile: u32,
    /// Index of the group.
    pub group: u32,
    /// Expected spikes per step.
    pub rate: f64,
    /// A source that the host plays in: it takes no core, its packets enter at the port of the first chip.
    pub host: bool,
    /// The host reads its spikes: one packet more per spike, to the port of the first chip.
    pub observed: bool,
}

/// Out-lists. List i holds synapses of one format from one neuron; in each core that has one of its targets it is an axon, and
/// each spike sends it one packet. A target may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fans {
    /// Source neuron of each list.
    pub source: Vec<u32>,
    /// Format of each list.
    pub format: Vec<u16>,
    /// `starts[i] .. starts[i + 1]` are the targets of list i; one more than lists.
    pub starts: Vec<usize>,
    /// Target neurons.
    pub targets: Vec<u32>,
}

impl Fans {
    /// No lists.
    #[must_use]
    pub fn new() -> Fans {
        Fans { starts: vec![0], ..Fans::default() }
    }

    /// Appends a list.
    pub fn push(&mut self, source: u32, format: u16, targets: impl IntoIterator<Item = u32>) {
        self.source.push(source);
        self.format.push(format);
        self.targets.extend(targets);
        self.starts.push(self.targets.len());
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The targets of a list.
    #[must_use]
    pub fn targets_of(&self, fan: usize) -> &[u32] {
        &self.targets[self.starts[fan]..self.starts[fan + 1]]
    }
}

/// A network to map.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Programs that profiles name.
    pub programs: Vec<Program>,
    /// Profiles that neurons name.
    pub profiles: Vec<Profile>,
    /// Formats that lists name.
    pub formats: Vec<Format>,
    /// Bits of a synapse of any format that number its target within a core: at most 2^`index_bits` compartments, or lists grow.
    pub index_bits: u32,
    /// Groups that neurons name.
    pub groups: Vec<Group>,
    /// All neurons.
    pub neurons: Vec<Neuron>,
    /// All synapses.
    pub fans: Fans,
}

/// Why a problem makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProblemError {
    /// An index points at nothing.
    #[error("{what} {index} is named, there are {count}")]
    Index {
        /// What the index counts.
        what: &'static str,
        /// The index.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The lists do not fit each other.
    #[error("out-lists need one source, format and start each and ascending starts that end at {targets} targets")]
    Lists {
        /// Targets that there are.
        targets: usize,
    },
    /// A rate that is no number of spikes per step.
    #[error("neuron {neuron} has a rate of {rate} spikes per step, expected 0 .. {MAX_RATE}")]
    Rate {
        /// The neuron.
        neuron: usize,
        /// Its rate.
        rate: f64,
    },
    /// A synapse onto a source that the host plays in.
    #[error("neuron {neuron} is played in by the host and has a synapse onto it: only neurons on the chip have inputs")]
    HostTarget {
        /// The neuron.
        neuron: usize,
    },
    /// More neurons or lists than indices of 32 bits count.
    #[error("{count} {what}, at most {} can be mapped", u32::MAX - 1)]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

/// The highest rate, spikes per step; keeps sums of weighted packets within 64 bits.
pub const MAX_RATE: f64 = 256.0;

impl Problem {
    /// Whether all indices point at something and all rates are rates.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ProblemError> {
        let index = |what, index: usize, count: usize| {
            if index < count { Ok(()) } else { Err(ProblemError::Index { what, index, count }) }
        };
        let limit = u32::MAX as usize - 1;
        for (what, count) in [("neurons", self.neurons.len()), ("out-lists", self.fans.len())] {
            if count > limit {
                return Err(ProblemError::TooMany { what, count });
            }
        }
        for profile in &self.profiles {
            index("program", profile.program as usize, self.programs.len())?;
        }
        for (i, neuron) in self.neurons.iter().enumerate() {
            index("profile", neuron.profile as usize, self.profiles.len())?;
            index("group", neuron.group as usize, self.groups.len())?;
            if !(neuron.rate >= 0.0 && neuron.rate <= MAX_RATE) {
                return Err(ProblemError::Rate { neuron: i, rate: neuron.rate });
            }
        }
        let fans = &self.fans;
        let fit = fans.starts.len() == fans.len() + 1
            && fans.format.len() == fans.len()
            && fans.starts[0] == 0
            && fans.starts.is_sorted()
            && fans.starts[fans.len()] == fans.targets.len();
        if !fit {
            return Err(ProblemError::Lists { targets: fans.targets.len() });
        }
        for (source, format) in fans.source.iter().zip(&fans.format) {
            index("neuron", *source as usize, self.neurons.len())?;
            index("format", usize::from(*format), self.formats.len())?;
        }
        for target in &fans.targets {
            index("neuron", *target as usize, self.neurons.len())?;
            if self.neurons[*target as usize].host {
                return Err(ProblemError::HostTarget { neuron: *target as usize });
            }
        }
        Ok(())
    }
}
