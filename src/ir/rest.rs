//! States that came to rest. What decays for seconds ends below 2^-1022, where a number has fewer digits, stays there (half of
//! the smallest number rounds back to it) and costs a processor tens of times as long with each operation. So do traces of
//! plasticity; what a synapse keeps beside its weight is looked at whenever it decays.

use super::network::Dynamics;
use super::plasticity::Plasticity;

/// Steps from one look at the states to the next.
const EVERY: u64 = 256;

/// 2^-730. What loses at most half of itself in a step is found before it comes to 2^-1022; what loses more is 0 by itself, 52
/// steps after it came there.
pub const SMALLEST: f64 = f64::from_bits((1023 - 730) << 52);

/// Whether states are looked at where `step` steps are done.
pub fn looks(step: u64) -> bool {
    step.is_multiple_of(EVERY)
}

impl Dynamics {
    /// The same of these cells: states of single precision are looked at in each step (see [`Dynamics::settled`]).
    pub fn looks(&self, step: u64) -> bool {
        !self.single && looks(step)
    }
}

impl Plasticity {
    /// What a variable of a synapse is after it decayed: 0 where it came to rest, but for weights. Single precision has no digits for it.
    pub fn settled(&self, variable: u32, value: f64) -> f64 {
        if variable == 0 || self.single { value } else { rested(value) }
    }
}

/// What becomes of a state that is looked at: 0 where it came to rest.
pub fn rested(x: f64) -> f64 {
    if x.abs() < SMALLEST { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_stays_above_numbers_of_fewer_digits() {
        assert_eq!(SMALLEST, 2_f64.powi(-730));
        for factor in [0.5, 0.6, 0.9, 0.99, 0.999] {
            let (mut x, mut steps) = (1.0_f64, 0);
            while x != 0.0 {
                x *= factor;
                steps += 1;
                assert!(x.is_normal(), "{x:e} after {steps} steps of {factor}");
                if steps % EVERY == 0 {
                    x = rested(x);
                }
            }
        }
        assert_eq!(rested(-1e-219), -1e-219);
        assert!(rested(f64::NAN).is_nan());
    }
}
