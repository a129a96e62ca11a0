//! Runs an experiment: walks an [`ir::protocol::Protocol`](crate::ir::protocol::Protocol) over an engine.
//!
//! It takes for granted that the unit was validated and that the engine was built from it with what [`needs`] asked for. It
//! does no IO: progress goes to a callback, results come back as plain data, an interruption arrives through a flag.
//!
//! # Time
//!
//! Time moves only in `simulate`; a time in ms becomes a whole number of steps (the nearest). A window from a to b, in ms,
//! holds the spikes with a < t <= b, because a spike is stamped at the end of its step: two windows that follow each other
//! share no spike and miss none. Samples of an observable follow the same rule.
//!
//! # What a statement means
//!
//! - `set ... lasting T` holds until T has been simulated, then the value from before returns. Where several hold at once
//!   for one cell, the latest wins while it lasts; a plain `set` ends them.
//! - `repeat N until c` tests `c` after each round. `for` and `repeat` give at most 10^9 rounds.
//! - The n-th draw at one place of the text is a function of (seed, place, n), see DESIGN.md section 5.
//! - `measure` keeps the value, the seed and the row variables (sweep and loop variables) that are bound at that moment.
//! - `update` goes through the synapses in order of their presynaptic, then postsynaptic cell. `reset state` draws states anew and
//!   takes inputs back to 0, sensors to their first values; weights, time and variables stay.
//! - A phase of sleep sets, switches and drives until its length has passed; `every T` has its turns at multiples of T after the
//!   start of the phase and before its end, `replay` at the start too. A memory holds a pattern for each whole window since the
//!   circuit woke.
//! - An environment's time is its own: it moves in `step` alone. Each is reset at the start of the run; a `reset` before anything
//!   has read or stepped it does not reset it again. Its states are numbers of the interpreter, whatever runs the circuit.
//! - What was recorded up to an error or an interruption is kept.

mod activity;
mod cells;
mod checkpoint;
mod conclude;
mod environments;
mod error;
mod events;
mod expectation;
mod flow;
mod needs;
mod outside;
mod position;
mod recording;
mod rows;
mod run;
mod sensors;
mod settings;
mod sleep;
mod statistics;
mod summary;
mod synapses;

pub use activity::{Activity, WindowFigures};
pub use checkpoint::{Checkpoint, Mismatch, Origin};
pub use conclude::{Candidate, Conclusion, Curve, Front, conclude};
pub use error::{RUN_CODES, diagnostic};
pub use expectation::{Expectation, Ledger};
pub use needs::{Needs, needs, needs_of};
pub use recording::PlotData;
pub use rows::{MeasureSummary, Row, Rows, Spread};
pub use run::{Control, PopulationFigures, Progress, RunOutcome, Saving, Session, go_on, open, run};
pub use summary::{Number, Population as PopulationSummary, Setup, Summary, summarise};
