//! How many threads a network keeps busy.

use super::{FREE_WINDOW, Kernels};
use crate::backend::build;
use crate::ir::{Delay, Network};

/// Work of a stage that is worth a thread, in ns. Where threads meet after less than that, the lines of the cache that pass between
/// them cost more than the work that is shared out: measured with `LifExp` and windows of one step, two threads are half as fast as
/// one with 125 cells, as fast with 1250, and 1.1 and 1.4 times as fast with 2500 and 5000.
const WORTH: f64 = 2000.0;

// What is known of a circuit before it runs tells its work to within a factor of two or so, which is all that is needed.

/// ns of an operation on one cell in vectors.
const OPERATION: f64 = 0.04;
/// ns of a draw or an elementary function for one cell.
const CALL: f64 = 3.0;
/// ns of a synaptic event, at rest and where it learns.
const EVENT: [f64; 2] = [2.0, 20.0];
/// Spikes per ms that a cell is taken to send.
const RATE: f64 = 0.01;

/// Threads that have enough to do between two meetings, of those that there are.
pub fn busy(network: &Network, kernels: &Kernels, most: usize) -> usize {
    let constant = |delay: Delay| match delay {
        Delay::Constant(steps) => u64::from(steps),
        Delay::PerSynapse { .. } => 1,
    };
    let projections = || network.projections().map(|(e, .., p)| (e, p));
    let window =
        projections().map(|(_, p)| constant(p.delay)).min().unwrap_or(FREE_WINDOW).clamp(1, FREE_WINDOW) as f64;
    let cells: f64 = network
        .populations()
        .zip(&kernels.plans)
        .map(|((_, p), plan)| {
            let calls: usize = plan.segments.iter().map(|s| s.calls.len()).sum();
            f64::from(p.size) * (OPERATION * plan.nodes.len() as f64 + CALL * calls as f64)
        })
        .sum();
    let events: f64 = projections()
        .zip(build::estimate(network))
        .map(|((id, _), e)| {
            let learns = network.plasticity.iter().any(|rule| rule.projection == id);
            e.synapses * RATE * network.dt_ms * EVENT[usize::from(learns)]
        })
        .sum();
    ((window * (cells + events) / WORTH) as usize).clamp(1, most.max(1))
}
