//! Random numbers as pure functions of where they are used.
//!
//! Every number comes from Philox4x32-10 with a key made of the seed, the path of the entity and the purpose, and a
//! counter made of the element, the time step and the number of the draw. Nothing about threads, chunk sizes or call
//! order enters, so any partition of the work gives the same bits.
//!
//! - `key`: who draws, and for what.
//! - `philox`: the generator.
//! - `draws`: one number per element and step, alone and over arrays (inner loops of a simulation).
//! - `poisson`: the same for Poisson counts.
//! - `stream`: as many numbers as it takes, one after another (building a network).
//! - `distribution`: gamma, binomial and the like from a stream.
//! - `truncated`: normal numbers within bounds.
//! - `sample`: subsets and permutations from a stream.

mod distribution;
mod draws;
mod key;
mod philox;
mod poisson;
mod sample;
mod stream;
mod truncated;

#[cfg(test)]
mod check;

pub use draws::{normal, normal_batch, normal_batch_f32, uniform, uniform_batch, uniform_batch_f32};
pub use key::{Purpose, StreamKey};
pub use philox::philox4x32_10;
pub use poisson::{
    MAX_POISSON_MEAN, PoissonError, PoissonTable, poisson, poisson_batch, poisson_batch_f32, poisson_batch_u8,
    poisson_each, poisson_each_batch, poisson_each_batch_f32, widen_counts, widen_counts_f32,
};
pub use sample::Room;
pub use stream::{Stream, first_normals, first_uniforms};
pub use truncated::tries_plain;
