//! Rewrites of a network, one file one function, in the order of [`run`].

mod accumulate;

pub use accumulate::accumulate;

use crate::ir::Network;

/// All passes, in order. What comes out is validated again.
pub fn run(network: &mut Network) {
    accumulate(network);
}
