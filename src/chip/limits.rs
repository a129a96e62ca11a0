//! What a chip holds. A package carries the limits that it was made for, so that whoever loads it can check them.

use serde::{Deserialize, Serialize};

/// Capacities, per core where not said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub name: String,
    /// Cores of a chip, and of a row of its mesh.
    pub cores: u32,
    pub columns: u32,
    pub neurons: u32,
    /// Words of 64 bits for synapses.
    pub synapse_words: u32,
    /// Bytes that states, synapses and tables share.
    pub memory_bytes: u64,
    pub axons_in: u32,
    pub axons_out: u32,
    /// Bytes of one neuron's state.
    pub state_bytes: u32,
    pub accumulators: u32,
    /// Operations of one program.
    pub operations: u32,
    /// Largest delay of a synapse, steps.
    pub delay: u32,
    pub weight_bits: u32,
    pub payload_bits: u32,
}

/// Bytes of an entry of an axon table.
pub const AXON_BYTES: u64 = 8;

impl Limits {
    /// Loihi 2 as far as it is public. 120 usable cores (Lava's `NUM_VIRTUAL_CORES_L3`), 2^20 / 128 neurons, 12,000 units of
    /// synapse memory (the budget in Intel's published compile logs; that a unit is 64 bits is inferred), 192 KiB in all and 4096
    /// bytes of state (technology brief, recalled), delays of 6 bits, weights of 8 bits, payloads of 24 bits (Lava). Sizes of
    /// programs and axon tables and the number of accumulators are not public: the ones here are assumed.
    pub fn loihi2() -> Limits {
        Limits {
            name: "loihi2".to_string(),
            cores: 120,
            columns: 12,
            neurons: 8192,
            synapse_words: 12_000,
            memory_bytes: 192 << 10,
            axons_in: 16_384,
            axons_out: 16_384,
            state_bytes: 4096,
            accumulators: 8,
            operations: 256,
            delay: 63,
            weight_bits: 8,
            payload_bits: 24,
        }
    }

    /// Where a core lies: chip, column, row.
    pub fn site(&self, core: u32) -> (u32, u32, u32) {
        let (chip, k) = (core / self.cores.max(1), core % self.cores.max(1));
        (chip, k % self.columns.max(1), k / self.columns.max(1))
    }
}
