//! Synapse memory: bits of 64-bit words.

use crate::chip::fixed::{Sign, SynapseFormat};

/// A synapse as it lies in the memory of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    pub compartment: u32,
    pub weight: i32,
    pub delay: u32,
}

/// Synapses of one axon at most: its header counts with 16 bits.
pub const MAX_SYNAPSES: usize = 0xffff;

const HEADER_BITS: u32 = 32;

/// Bits of a synapse.
pub fn width(format: SynapseFormat, index_bits: u32) -> u32 {
    index_bits + format.bits + format.delay_bits
}

/// Words that an axon with `n` synapses takes in a package.
fn words(format: SynapseFormat, index_bits: u32, n: usize) -> u64 {
    (n as u64 * u64::from(width(format, index_bits)) + u64::from(HEADER_BITS)).div_ceil(64)
}

/// Appends an axon. Takes for granted that fields fit: at most [`MAX_SYNAPSES`] of them, mantissas as the format stores them.
pub fn pack(format: SynapseFormat, index_bits: u32, synapses: &[Stored], out: &mut Vec<u64>) {
    let mut at = out.len() as u64 * 64;
    out.resize(out.len() + words(format, index_bits, synapses.len()) as usize, 0);
    let mut put = |value: u64, bits: u32| {
        // A field that does not exist may lie past the last word.
        if bits == 0 {
            return;
        }
        let value = value & mask(bits);
        let (word, shift) = ((at / 64) as usize, (at % 64) as u32);
        out[word] |= value << shift;
        if shift + bits > 64 {
            out[word + 1] |= value >> (64 - shift);
        }
        at += u64::from(bits);
    };
    put(synapses.len() as u64, HEADER_BITS);
    for s in synapses {
        let t = format.truncated();
        let mantissa = if format.sign == Sign::Inhibitory { -s.weight } else { s.weight } >> t;
        put(u64::from(s.compartment), index_bits);
        put(mantissa as u64, format.bits);
        put(u64::from(s.delay), format.delay_bits);
    }
}

/// Synapses of the axon at `word`, as its header says.
pub fn count(memory: &[u64], word: u32) -> u64 {
    get(memory, u64::from(word) * 64, HEADER_BITS).unwrap_or(0)
}

/// Reads the axon at `word`. `None` where it leaves the memory or its header is damaged.
pub fn unpack(format: SynapseFormat, index_bits: u32, memory: &[u64], word: u32) -> Option<Vec<Stored>> {
    let start = u64::from(word) * 64;
    let n = get(memory, start, HEADER_BITS)?;
    let n = usize::try_from(n).ok().filter(|n| *n <= MAX_SYNAPSES)?;
    let end = u64::from(word) + words(format, index_bits, n);
    if end > memory.len() as u64 {
        return None;
    }
    let mut at = start + u64::from(HEADER_BITS);
    let mut next = |bits: u32| {
        let value = get(memory, at, bits);
        at += u64::from(bits);
        value
    };
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        let compartment = next(index_bits)? as u32;
        let raw = next(format.bits)? as i32;
        let delay = next(format.delay_bits)? as u32;
        let t = format.truncated();
        let weight = match format.sign {
            Sign::Excitatory => raw << t,
            Sign::Inhibitory => -(raw << t),
            // The sign bit is the highest one stored.
            Sign::Mixed => (raw - ((raw >> (format.bits - 1)) << format.bits)) << t,
        };
        out.push(Stored { compartment, weight, delay });
    }
    Some(out)
}

fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

fn get(memory: &[u64], at: u64, bits: u32) -> Option<u64> {
    if bits == 0 {
        return Some(0);
    }
    let (word, shift) = (usize::try_from(at / 64).ok()?, (at % 64) as u32);
    let mut value = memory.get(word)? >> shift;
    if shift + bits > 64 {
        value |= memory.get(word + 1)? << (64 - shift);
    }
    Some(value & mask(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format() -> impl Strategy<Value = SynapseFormat> {
        let sign = prop_oneof![Just(Sign::Mixed), Just(Sign::Excitatory), Just(Sign::Inhibitory)];
        (1..9_u32, sign, 0..7_u32).prop_map(|(bits, sign, delay_bits)| SynapseFormat {
            bits,
            sign,
            exponent: 0,
            delay_bits,
            accumulator: 0,
            rule: None,
            third_factor: None,
        })
    }

    proptest! {
        #[test]
        fn memory_unpacks_to_what_was_packed(
            format in format(),
            index_bits in 1..14_u32,
            raw in proptest::collection::vec((any::<u32>(), -300..300_i32, any::<u32>()), 0..50),
        ) {
            let synapses: Vec<Stored> = raw.iter().map(|(c, w, d)| Stored {
                compartment: c & mask(index_bits) as u32,
                weight: format.store(*w),
                delay: d & mask(format.delay_bits) as u32,
            }).collect();
            let mut memory = vec![u64::MAX];
            pack(format, index_bits, &synapses, &mut memory);
            prop_assert_eq!(memory.len() as u64, 1 + words(format, index_bits, synapses.len()));
            prop_assert_eq!(unpack(format, index_bits, &memory, 1), Some(synapses));
            prop_assert_eq!(unpack(format, index_bits, &memory[..memory.len() - 1], 1), None);
        }
    }
}
