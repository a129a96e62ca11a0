//! Rewrites of a network, one file one function, in the order of [`run`].

mod accumulate;
mod gather;
mod narrow;

pub use accumulate::accumulate;
pub use gather::gather;
pub use narrow::narrow;

use crate::ir::Network;

/// All passes, in order. What comes out is validated again.
pub fn run(network: &mut Network) {
    accumulate(network);
    gather(network);
}
