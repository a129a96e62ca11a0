//! Connectivity rules as values, and the one expansion into synapses that every target uses.
//!
//! A rule is drawn per target cell (`fixed_outdegree` per source, counts of `fixed_total_number` once) from streams that
//! depend on the projection's key and the cell's position only. So building in parallel, in parts or again gives the
//! same synapses. Where rows are made anew for each spike ([`Outgoing`]), all draws are per source.
//!
//! Takes for granted: the cells of one end are distinct; a filter is a pure function. Leaves true: sources of a target
//! come in ascending order of their position, and without `multapses` each at most once.

mod ends;
mod error;
mod estimate;
mod expand;
mod outgoing;
mod rule;

pub use ends::{Candidates, Cells, Ends};
pub use error::ConnectError;
pub use estimate::{expected_synapses, max_indegree_bound};
pub use expand::{Expansion, Sink, Sources};
pub use outgoing::{Outgoing, Scratch};
pub use rule::{Rule, Spec};

#[cfg(test)]
mod tests;
