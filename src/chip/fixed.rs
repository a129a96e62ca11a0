//! A network of integers. No float comes this far: what quantising made of it is all that there is.

use super::microcode::Program;
use serde::{Deserialize, Serialize};

/// Everything that the chip computes with, before it is known which core does.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FixedNetwork {
    pub name: String,
    /// Length of a step, nanoseconds.
    pub step_ns: u64,
    /// Of every random draw on the chip.
    pub seed: u64,
    /// What a run lasts if nobody says otherwise.
    pub steps: u64,
    pub programs: Vec<Program>,
    /// Neurons are numbered through all of these, in order.
    pub populations: Vec<FixedPopulation>,
    pub projections: Vec<FixedProjection>,
    pub rules: Vec<LearningRule>,
    /// What the host sends, ascending in (step, neuron).
    pub events: Vec<HostSpike>,
    /// What the host writes into post traces, ascending in step.
    pub writes: Vec<TraceWrite>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FixedPopulation {
    pub path: String,
    pub size: u32,
    /// `None`: spikes come from the host.
    pub body: Option<FixedBody>,
    /// Spikes carry a payload other than 1.
    pub graded: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FixedBody {
    /// Position in [`FixedNetwork::programs`].
    pub program: u32,
    /// Values of the program's params.
    pub params: Vec<i32>,
    /// Initial values of the program's states: one for all neurons or one for each.
    pub states: Vec<Words>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Words {
    One(i32),
    Each(Vec<i32>),
}

impl Words {
    pub fn at(&self, neuron: u32) -> Option<i32> {
        match self {
            Words::One(v) => Some(*v),
            Words::Each(v) => v.get(neuron as usize).copied(),
        }
    }
}

/// The range of a synapse's mantissa.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// -256 .. 255
    Mixed,
    /// 0 .. 255
    Excitatory,
    /// -255 .. 0
    Inhibitory,
}

/// How the synapses of a projection are stored and what a mantissa is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynapseFormat {
    /// Bits of the stored mantissa, 1 to 8.
    pub bits: u32,
    pub sign: Sign,
    /// A spike adds mantissa x payload x 2^exponent; where it is negative, the sum of a step is shifted, not each term.
    pub exponent: i32,
    /// Bits of the delay.
    pub delay_bits: u32,
    /// Dendritic accumulator of the target.
    pub accumulator: u32,
    /// Position among the learning rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// A packet brings a third factor: nothing is added anywhere, but this post trace (0 to 2: y1 to y3) of what learns onto a
    /// target becomes its resting value plus the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_factor: Option<u32>,
}

impl SynapseFormat {
    /// Low bits of the mantissa that are not stored.
    pub fn truncated(self) -> u32 {
        8_u32.saturating_sub(self.bits) + u32::from(self.sign == Sign::Mixed)
    }

    /// A mantissa as this format holds it: clipped, low bits cut off its magnitude (of a mixed one towards minus infinity).
    pub fn store(self, mantissa: i32) -> i32 {
        let t = self.truncated();
        match self.sign {
            Sign::Mixed => (mantissa.clamp(-256, 255) >> t) << t,
            Sign::Excitatory => (mantissa.clamp(0, 255) >> t) << t,
            Sign::Inhibitory => -(((-mantissa).clamp(0, 255) >> t) << t),
        }
    }

    /// The mantissas that this format and its learning may hold.
    pub fn range(self) -> (i32, i32) {
        match self.sign {
            Sign::Mixed => (-256, 255),
            Sign::Excitatory => (0, 255),
            Sign::Inhibitory => (-255, 0),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FixedProjection {
    pub path: String,
    /// Positions in [`FixedNetwork::populations`].
    pub source: u32,
    pub target: u32,
    pub format: SynapseFormat,
    pub synapses: Vec<FixedSynapse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedSynapse {
    /// Cells within their populations.
    pub pre: u32,
    pub post: u32,
    /// Mantissa; as [`SynapseFormat::store`] gives it.
    pub weight: i32,
    /// Steps beyond the one that every spike takes.
    pub delay: u32,
}

/// A spike from the host, sent in `step` (0: before the first) as a neuron's would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostSpike {
    pub step: u64,
    /// Number in the network.
    pub neuron: u32,
    pub payload: i32,
}

/// The host sets a post trace of a neuron at the end of `step`, before what is learned in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceWrite {
    pub step: u64,
    /// Position among the projections.
    pub projection: u32,
    /// Number in the network.
    pub neuron: u32,
    /// 0 to 2: y1 to y3.
    pub trace: u32,
    /// 0 to 127.
    pub value: i32,
}

/// Sums of products over traces, as the learning engine takes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRule {
    pub name: String,
    /// Steps between updates.
    pub epoch: u32,
    /// All post traces are what the host writes; nothing decays.
    pub three_factor: bool,
    pub seed: u64,
    /// `u_k` is 1 in every 2^k-th epoch; one k for all products.
    pub k: u32,
    pub x: [Trace; 2],
    pub y: [Trace; 3],
    pub weight: Vec<Product>,
    pub delay: Vec<Product>,
    pub tag: Vec<Product>,
}

impl LearningRule {
    /// Bytes that a core keeps for each axon that learns: x1, x2 and the step of the spike.
    pub const SOURCE_BYTES: u64 = 3;
    /// Bytes that it keeps for each target of a projection that learns: y1, y2, y3 and the step of the spike.
    pub const TARGET_BYTES: u64 = 4;
}

/// A trace of 7 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// What a spike adds: whole part, and 256ths that are rounded stochastically.
    pub impulse: u32,
    pub fraction: u32,
    /// Bits of the double by which a step multiplies it; `None`: a step clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<u64>,
    /// Neither spikes nor steps change it: third factors and the host write it, and it stays what they wrote. At the start it is
    /// this, which stands for a factor of 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub gate: Gate,
    /// -8 .. 7
    pub mantissa: i32,
    /// -7 .. 8
    pub exponent: i32,
    pub factors: Vec<Factor>,
}

/// When a product counts, and at which instant of the epoch its traces are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    X0,
    Y0,
    U,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    pub variable: Variable,
    pub constant: i32,
    /// Only the sign of the sum counts.
    pub sign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variable {
    X0,
    X1,
    X2,
    Y0,
    Y1,
    Y2,
    Y3,
    W,
    D,
    T,
    /// Nothing but the constant.
    C,
}

impl Variable {
    /// As rules are written.
    pub fn name(self) -> &'static str {
        match self {
            Variable::X0 => "x0",
            Variable::X1 => "x1",
            Variable::X2 => "x2",
            Variable::Y0 => "y0",
            Variable::Y1 => "y1",
            Variable::Y2 => "y2",
            Variable::Y3 => "y3",
            Variable::W => "w",
            Variable::D => "d",
            Variable::T => "t",
            Variable::C => "1",
        }
    }

    /// Bits that the engine gives to it.
    pub fn width(self) -> u32 {
        match self {
            Variable::X0 | Variable::Y0 => 1,
            Variable::X1 | Variable::X2 | Variable::Y1 | Variable::Y2 | Variable::Y3 => 7,
            Variable::W | Variable::D | Variable::T => 9,
            Variable::C => 8,
        }
    }
}
