//! Between double and single precision.

use crate::numerics::dispatch::multiversion;

multiversion! {
    /// Single to double precision, exactly.
    pub fn widen / widen_at(from: &[f32], to: &mut [f64]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f64::from(*from);
        }
    }
}

multiversion! {
    /// To the nearest of single precision.
    pub fn narrow / narrow_at(from: &[f64], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from as f32;
        }
    }
}
