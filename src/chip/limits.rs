//! What a chip holds, as a package carries it along, so that whoever loads the package can check it. The figures are those of
//! a [`Target`]; none stands here.

use super::target::{SynapseMemory, Target};
use serde::{Deserialize, Serialize};

/// Capacities, per core where not said otherwise. `None`: there is no such limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub name: String,
    /// Of the figures.
    pub version: String,
    /// Cores of a chip.
    pub cores: u32,
    /// Tiles of a chip from west to east and from north to south, and cores of a tile.
    pub width: u32,
    pub height: u32,
    pub cores_per_tile: u32,
    pub neurons: u64,
    /// Bytes of one neuron's state.
    pub state_bytes: u64,
    pub synapse_words: Option<u64>,
    pub synapses: Option<u64>,
    pub axons_in: Option<u64>,
    pub axons_out: Option<u64>,
    /// Operations of all programs, and of one.
    pub program_words: Option<u64>,
    pub operations: u64,
    pub accumulators: Option<u64>,
    pub profiles: Option<u64>,
    pub formats: Option<u64>,
    pub rules: Option<u64>,
    /// Bytes that states, traces, synapses and tables share, and what an entry of the tables takes of them.
    pub memory_bytes: Option<u64>,
    pub axon_bytes: u64,
    pub program_word_bytes: u64,
    pub memory: SynapseMemory,
    /// Largest delay of a synapse, steps.
    pub delay: u32,
    pub weight_bits: u32,
    pub payload_bits: u32,
}

impl Limits {
    /// Those of a target.
    pub fn new(target: &Target) -> Limits {
        let Target { chip, core, numbers, .. } = target;
        Limits {
            name: target.name.clone(),
            version: target.version.clone(),
            cores: chip.cores,
            width: chip.width,
            height: chip.height,
            cores_per_tile: chip.cores_per_tile,
            neurons: core.compartments,
            state_bytes: core.neuron_bytes,
            synapse_words: core.synapse_words,
            synapses: core.synapses,
            axons_in: core.axons_in,
            axons_out: core.axons_out,
            program_words: core.program_words,
            operations: core.program_ops,
            accumulators: core.accumulators,
            profiles: core.profiles,
            formats: core.formats,
            rules: core.rules,
            memory_bytes: core.memory_bytes,
            axon_bytes: core.axon_bytes,
            program_word_bytes: core.program_word_bytes,
            memory: target.synapse,
            delay: numbers.delay_steps,
            weight_bits: numbers.weight_bits,
            payload_bits: numbers.payload_bits,
        }
    }

    /// Whether sums over what a package holds can be made by these figures: they may come from a file that anyone wrote.
    pub fn sound(&self) -> bool {
        const MOST: u64 = 1 << 16;
        let SynapseMemory { word_bits, header_bits, index_bits, part } = self.memory;
        let tiles = [self.width, self.height, self.cores_per_tile, self.cores];
        (1..=MOST).contains(&u64::from(word_bits))
            && u64::from(header_bits) <= MOST
            && index_bits <= 20
            && part != Some(0)
            && self.axon_bytes.max(self.program_word_bytes) <= MOST
            && tiles.into_iter().all(|n| (1..=MOST).contains(&u64::from(n)))
    }

    /// The same without any limit to what a core holds: for a run that asks what a circuit does, not where it fits.
    pub fn unbounded(mut self) -> Limits {
        self.neurons = u64::MAX;
        self.state_bytes = u64::MAX;
        self.operations = u64::MAX;
        for limit in [
            &mut self.synapse_words,
            &mut self.synapses,
            &mut self.axons_in,
            &mut self.axons_out,
            &mut self.program_words,
            &mut self.accumulators,
            &mut self.profiles,
            &mut self.formats,
            &mut self.rules,
            &mut self.memory_bytes,
        ] {
            *limit = None;
        }
        self
    }

    /// Where cores lie that have these numbers on these of `chips` chips: chip, and column and row of the tile on the mesh of all
    /// chips, which stand in a grid that is as square as it can be.
    pub fn sites(&self, cores: &[(u32, u32)], chips: u32) -> Vec<(u32, u32, u32)> {
        let columns = (1..=chips).find(|c| c * c >= chips).unwrap_or(1);
        let site = |(chip, core): &(u32, u32)| {
            let tile = core / self.cores_per_tile.max(1);
            let (x, y) = (tile / self.height.max(1), tile % self.height.max(1));
            (*chip, chip % columns * self.width + x, chip / columns * self.height + y)
        };
        cores.iter().map(site).collect()
    }

    /// Sites of so many cores, in order of their numbers, chip after chip.
    pub fn in_order(&self, cores: u32) -> Vec<(u32, u32, u32)> {
        let size = self.cores.max(1);
        let slots: Vec<_> = (0..cores).map(|k| (k / size, k % size)).collect();
        self.sites(&slots, cores.div_ceil(size))
    }

    /// Borders between chips that a packet crosses on its way from one tile to another.
    pub fn borders(&self, from: (u32, u32), to: (u32, u32)) -> u32 {
        let (width, height) = (self.width.max(1), self.height.max(1));
        (from.0 / width).abs_diff(to.0 / width) + (from.1 / height).abs_diff(to.1 / height)
    }

    /// Bits that name one of `compartments` on a core.
    pub fn index_bits(&self, compartments: usize) -> u32 {
        ((compartments.max(2) - 1).ilog2() + 1).max(self.memory.index_bits)
    }
}
