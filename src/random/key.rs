//! Keys of random streams: 64 bits that depend on the seed, the entity and the purpose, and on nothing else.
//!
//! The hash is part of the output contract (DESIGN.md, section 5): changing it changes every network. It is FNV-1a over
//! the bytes of seed (little-endian), path and purpose number, finished with the mixer of SplitMix64 (Steele, Lea and
//! Flood 2014), which spreads FNV's weak upper bits. With 10^6 keys the chance that any two agree is below 10^-7.

use std::fmt;

/// What random numbers are drawn for. Different purposes of one entity have independent numbers.
///
/// The numbers are part of the output contract: new purposes go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Which cells are connected.
    Connect = 0,
    /// Synaptic weights.
    Weight = 1,
    /// Synaptic delays.
    Delay = 2,
    /// Parameters that differ between elements.
    Parameter = 3,
    /// Initial values of states.
    InitialState = 4,
    /// The white noise of an equation.
    Noise = 5,
    /// Whether or how often a stochastic element fires in a step.
    Spike = 6,
    /// Private inputs of each target, such as Poisson drive.
    Input = 7,
    /// Draws of an experiment's statements.
    Experiment = 8,
    /// Positions in space.
    Position = 9,
    /// Stochastic decisions of a plasticity rule or a synapse.
    Plasticity = 10,
    /// Built-in environments.
    Environment = 11,
    /// Choice among stored patterns for replay.
    Replay = 12,
    /// Order and moves of placing a network on a chip.
    Mapping = 13,
}

/// The key of one family of random numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct StreamKey(u64);

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({:#018x})", self.0)
    }
}

impl StreamKey {
    /// The key of `purpose` at the entity `path` (its dotted name from the network down) under `seed`.
    #[must_use]
    pub fn new(seed: u64, path: &str, purpose: Purpose) -> StreamKey {
        let mut hash = FNV_OFFSET;
        for byte in seed.to_le_bytes().into_iter().chain(path.bytes()).chain([purpose as u8]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        StreamKey(mix(hash))
    }

    /// The key of part `index` of this one: a statement, an iteration, a site inside an equation.
    #[must_use]
    pub fn derive(self, index: u64) -> StreamKey {
        // Two rounds, so that derive(a).derive(b) and derive(b).derive(a) differ.
        StreamKey(mix(self.0 ^ mix(index.wrapping_add(GOLDEN))))
    }

    /// A key for sequential streams that never meets this key's step draws.
    pub(super) fn sequential(self) -> StreamKey {
        StreamKey(mix(self.0.wrapping_add(0x5345_5155_454e_4345)))
    }

    /// The 64 bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The key as Philox takes it: lower half first.
    #[must_use]
    pub fn words(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: a bijection in which every input bit moves every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn fnv_matches_published_values() {
        // FNV-1a 64 of "foobar" (Noll's test vectors), through the same loop.
        let hash = b"foobar".iter().fold(FNV_OFFSET, |h, b| (h ^ u64::from(*b)).wrapping_mul(FNV_PRIME));
        assert_eq!(hash, 0x85944171f73967e8);
    }

    #[test]
    fn mixer_matches_splitmix64() {
        // First outputs of SplitMix64 with seed 1234567 (Vigna's reference code).
        let outputs: Vec<u64> = (1..=3u64).map(|i| mix(1234567u64.wrapping_add(GOLDEN.wrapping_mul(i)))).collect();
        assert_eq!(outputs, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn keys_are_pinned() {
        // A change here changes every network that anyone has published: it needs a new major version.
        assert_eq!(StreamKey::new(1, "net.E", Purpose::Connect).bits(), 2503550254936082503);
        assert_eq!(StreamKey::new(1, "net.E", Purpose::Connect).derive(3).bits(), 8432385822296475255);
    }

    #[test]
    fn every_part_matters() {
        let mut keys = BTreeSet::new();
        let mut count = 0;
        for seed in [0, 1, 2, u64::MAX] {
            for path in ["", "a", "b", "ab", "a.b", "net.E"] {
                for purpose in [Purpose::Connect, Purpose::Weight, Purpose::Noise, Purpose::Replay] {
                    let key = StreamKey::new(seed, path, purpose);
                    keys.insert(key.bits());
                    keys.insert(key.sequential().bits());
                    for index in 0..50 {
                        keys.insert(key.derive(index).bits());
                        keys.insert(key.derive(index).derive(1000).bits());
                        keys.insert(key.derive(1000).derive(index).bits());
                    }
                    count += 2 + 150;
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn one_bit_of_the_seed_moves_half_of_the_key() {
        let mut moved = 0;
        for bit in 0..64 {
            let a = StreamKey::new(42, "net.E", Purpose::Noise).bits();
            let b = StreamKey::new(42 ^ 1 << bit, "net.E", Purpose::Noise).bits();
            moved += (a ^ b).count_ones();
        }
        // 4096 bits of which half should move: 2048 with a standard deviation of 32.
        assert!((1900..2200).contains(&moved), "{moved} of 4096 bits moved");
    }
}
