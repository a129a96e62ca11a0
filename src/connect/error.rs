//! What is wrong with a rule for its ends.

use thiserror::Error;

/// Why a rule cannot be carried out. Positions count from 0 within the ends of the projection.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConnectError {
    /// A probability is not within 0 .. 1.
    #[error("a connection probability lies within 0 .. 1, found {p}")]
    Probability {
        /// What was given.
        p: f64,
    },
    /// `one_to_one` between ends of different sizes.
    #[error("one_to_one needs ends of one size, found {pre} source and {post} target cells")]
    SizesDiffer {
        /// Source cells.
        pre: u32,
        /// Target cells.
        post: u32,
    },
    /// More distinct sources wanted than there are.
    #[error("fixed_indegree({k}) wants more distinct sources than the {candidates} candidates of target {post}")]
    IndegreeTooLarge {
        /// The in-degree.
        k: u32,
        /// Sources that the target may have.
        candidates: u32,
        /// The first such target.
        post: u32,
    },
    /// More distinct targets wanted than there are.
    #[error("fixed_outdegree({k}) wants more distinct targets than the {candidates} candidates of source {pre}")]
    OutdegreeTooLarge {
        /// The out-degree.
        k: u32,
        /// Targets that the source may have.
        candidates: u32,
        /// The first such source.
        pre: u32,
    },
    /// More synapses wanted than there are pairs.
    #[error("fixed_total_number({n}) wants more synapses than the {possible} candidate pairs")]
    TotalTooLarge {
        /// The total.
        n: u64,
        /// Candidate pairs.
        possible: u64,
    },
    /// More synapses fell onto one target than can be counted.
    #[error("{count} synapses would fall onto target {post}, at most 4294967295 can")]
    TargetOverfull {
        /// Synapses drawn.
        count: u64,
        /// The target.
        post: u32,
    },
    /// The two lists of `pairs` differ in length.
    #[error("a list of pairs has {pre} sources but {post} targets")]
    PairsLength {
        /// Listed sources.
        pre: usize,
        /// Listed targets.
        post: usize,
    },
    /// More listed pairs than an edge number can tell apart.
    #[error("a list of pairs has at most {max} entries, found {found}")]
    TooManyPairs {
        /// Listed pairs.
        found: usize,
        /// The limit.
        max: u32,
    },
    /// A listed source does not exist.
    #[error("pair {edge} has source {index}, but there are {size} source cells")]
    PairSourceOutOfRange {
        /// Position in the list.
        edge: usize,
        /// The source.
        index: u32,
        /// Source cells.
        size: u32,
    },
    /// A listed target does not exist.
    #[error("pair {edge} has target {index}, but there are {size} target cells")]
    PairTargetOutOfRange {
        /// Position in the list.
        edge: usize,
        /// The target.
        index: u32,
        /// Target cells.
        size: u32,
    },
    /// A pair is listed twice without `with multapses`.
    #[error("pairs {first} and {second} both connect source {pre} to target {post}, which takes `with multapses`")]
    DuplicatePair {
        /// Position in the list.
        first: u32,
        /// Position in the list.
        second: u32,
        /// The source.
        pre: u32,
        /// The target.
        post: u32,
    },
    /// A cell is listed as its own target without `with autapses`.
    #[error("pair {edge} connects a cell to itself (source {pre}, target {post}), which takes `with autapses`")]
    AutapsePair {
        /// Position in the list.
        edge: usize,
        /// The source.
        pre: u32,
        /// The target.
        post: u32,
    },
}
