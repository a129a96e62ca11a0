//! NumPy's `default_rng`: PCG64 (O'Neill 2014, XSL-RR 128/64) seeded by `SeedSequence`. Lava's learning draws from it, so equality
//! with Lava needs it; the numbers were compared with NumPy 1.26 and 2.4.

const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

#[derive(Clone, Debug)]
pub(super) struct Pcg {
    state: u128,
    increment: u128,
    /// Upper half of a 64-bit number whose lower half was given out.
    half: Option<u32>,
}

impl Pcg {
    pub(super) fn new(seed: u64) -> Pcg {
        let w = seed_words(seed);
        let pair = |k: usize| (u128::from(w[k]) << 64) | u128::from(w[k + 1]);
        let mut out = Pcg { state: 0, increment: (pair(2) << 1) | 1, half: None };
        out.step();
        out.state = out.state.wrapping_add(pair(0));
        out.step();
        out
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// Uniform in [0, 1): `random()`.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// 0 to 127: `integers(0, 128)`.
    pub(super) fn seven_bits(&mut self) -> i32 {
        let word = match self.half.take() {
            Some(half) => half,
            None => {
                let both = self.next();
                self.half = Some((both >> 32) as u32);
                both as u32
            }
        };
        (word >> 25) as i32
    }
}

/// Four 64-bit words of `SeedSequence(seed)`.
fn seed_words(seed: u64) -> [u64; 4] {
    let entropy = [seed as u32, (seed >> 32) as u32];
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |v: u32| {
        let v = v ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let v = v.wrapping_mul(constant);
        v ^ (v >> 16)
    };
    let mut pool = [hash(entropy[0]), hash(entropy[1]), hash(0), hash(0)];
    for s in 0..4 {
        for d in 0..4 {
            if s != d {
                let r = 0xca01_f9dd_u32.wrapping_mul(pool[d]).wrapping_sub(0x4973_f715_u32.wrapping_mul(hash(pool[s])));
                pool[d] = r ^ (r >> 16);
            }
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    let mut half = |k: usize| {
        let v = pool[k % 4] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let v = v.wrapping_mul(constant);
        u64::from(v ^ (v >> 16))
    };
    [0, 2, 4, 6].map(|k| {
        let low = half(k);
        low | (half(k + 1) << 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_numpy() {
        // numpy.random.default_rng(12345).random() and .integers(0, 128)
        let mut a = Pcg::new(12345);
        assert_eq!([a.uniform(), a.uniform()], [0.22733602246716966, 0.31675833970975287]);
        let mut b = Pcg::new(12345);
        assert_eq!([b.seven_bits(), b.seven_bits(), b.seven_bits()], [89, 29, 100]);
    }
}
