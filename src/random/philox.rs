//! Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! A counter-based generator: a bijection of 128-bit counters under a 64-bit key that passes BigCrush. The lane form
//! runs eight counters side by side in a shape that compiles to one widening multiply per round and word.

const MULTIPLIER: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// Counters that the lane form processes at once: 8 lanes of 64 bits fill the widest vectors there are.
pub(super) const LANES: usize = 8;

/// The 128 random bits at `counter` under `key`.
#[must_use]
#[inline]
pub const fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    let mut round = 0;
    while round < ROUNDS {
        let p0 = MULTIPLIER[0] as u64 * a as u64;
        let p1 = MULTIPLIER[1] as u64 * c as u64;
        (a, b, c, d) = ((p1 >> 32) as u32 ^ b ^ k0, p1 as u32, (p0 >> 32) as u32 ^ d ^ k1, p0 as u32);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
        round += 1;
    }
    [a, b, c, d]
}

/// One counter in 64-bit lanes whose upper halves may hold anything on the way: a widening multiply reads the lower
/// halves only, so nothing has to be masked until the end.
#[inline(always)]
pub(super) fn philox_lane(counter: [u64; 4], key: [u32; 2]) -> [u64; 4] {
    const LOW: u64 = 0xffff_ffff;
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let p0 = (a & LOW) * MULTIPLIER[0] as u64;
        let p1 = (c & LOW) * MULTIPLIER[1] as u64;
        (a, b, c, d) = ((p1 >> 32) ^ b ^ k0 as u64, p1, (p0 >> 32) ^ d ^ k1 as u64, p0);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [a & LOW, b & LOW, c & LOW, d & LOW]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // Random123's kat_vectors, "philox4x32 10".
        let ones = u32::MAX;
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox4x32_10([ones; 4], [ones; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox4x32_10([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn lane_form_equals_plain_form() {
        let mut counter = [1u32, 2, 3, 4];
        for i in 0..10_000u32 {
            let key = [i.wrapping_mul(0x9e3779b9), !i];
            let plain = philox4x32_10(counter, key);
            assert_eq!(philox_lane(counter.map(u64::from), key), plain.map(u64::from));
            counter = plain;
        }
    }
}
