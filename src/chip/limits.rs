//! What of a target a package carries along, so that whoever loads the package can check it: its limits, not what work costs.

use super::target::{Chip, Core, Numbers, SynapseMemory, Target};
use serde::{Deserialize, Serialize};

/// The limits of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub name: String,
    /// Of the figures.
    pub version: String,
    pub chip: Chip,
    pub core: Core,
    pub synapse: SynapseMemory,
    pub numbers: Numbers,
}

impl Limits {
    /// Those of a target.
    pub fn new(target: &Target) -> Limits {
        let Target { chip, core, synapse, numbers, .. } = target;
        Limits {
            name: target.name.clone(),
            version: target.version.clone(),
            chip: *chip,
            core: *core,
            synapse: *synapse,
            numbers: *numbers,
        }
    }

    /// Whether sums over what a package holds can be made by these figures: they may come from a file that anyone wrote.
    pub fn sound(&self) -> bool {
        const MOST: u64 = 1 << 16;
        let SynapseMemory { word_bits, header_bits, index_bits, part } = self.synapse;
        let Chip { cores, width, height, cores_per_tile, .. } = self.chip;
        (1..=MOST).contains(&u64::from(word_bits))
            && u64::from(header_bits) <= MOST
            && index_bits <= 20
            && part != Some(0)
            && self.core.axon_bytes.max(self.core.program_word_bytes) <= MOST
            && [cores, width, height, cores_per_tile].into_iter().all(|n| (1..=MOST).contains(&u64::from(n)))
    }

    /// The same without any limit to what a core holds: for a run that asks what a circuit does, not where it fits.
    pub fn unbounded(mut self) -> Limits {
        let Core { axon_bytes, program_word_bytes, .. } = self.core;
        self.core = Core {
            compartments: u64::MAX,
            neuron_bytes: u64::MAX,
            synapse_words: None,
            synapses: None,
            axons_in: None,
            axons_out: None,
            program_words: None,
            program_ops: u64::MAX,
            accumulators: None,
            profiles: None,
            formats: None,
            rules: None,
            memory_bytes: None,
            axon_bytes,
            program_word_bytes,
        };
        self
    }

    /// Where cores lie that have these numbers on these of `chips` chips: chip, and column and row of the tile on the mesh of all
    /// chips, which stand in a grid that is as square as it can be.
    pub fn sites(&self, cores: &[(u32, u32)], chips: u32) -> Vec<(u32, u32, u32)> {
        let Chip { width, height, cores_per_tile, .. } = self.chip;
        let columns = (1..=chips).find(|c| c * c >= chips).unwrap_or(1);
        let site = |(chip, core): &(u32, u32)| {
            let tile = core / cores_per_tile.max(1);
            let (x, y) = (tile / height.max(1), tile % height.max(1));
            (*chip, chip % columns * width + x, chip / columns * height + y)
        };
        cores.iter().map(site).collect()
    }

    /// Sites of so many cores, in order of their numbers, chip after chip.
    pub fn in_order(&self, cores: u32) -> Vec<(u32, u32, u32)> {
        let size = self.chip.cores.max(1);
        let slots: Vec<_> = (0..cores).map(|k| (k / size, k % size)).collect();
        self.sites(&slots, cores.div_ceil(size))
    }

    /// Borders between chips that a packet crosses on its way from one tile to another.
    pub fn borders(&self, from: (u32, u32), to: (u32, u32)) -> u32 {
        let (width, height) = (self.chip.width.max(1), self.chip.height.max(1));
        (from.0 / width).abs_diff(to.0 / width) + (from.1 / height).abs_diff(to.1 / height)
    }

    /// Bits that name one of `compartments` on a core.
    pub fn index_bits(&self, compartments: usize) -> u32 {
        ((compartments.max(2) - 1).ilog2() + 1).max(self.synapse.index_bits)
    }
}
