//! The intermediate representation: a network of populations and projections, without syntax and without units.
//!
//! Everything above produces it, everything below consumes it. Numbers are in the internal units (ms, mV, pA, and what follows
//! from them: pF, nS, GOhm, ms^-1). It has two printed forms: [`print`] for people and snapshots, RON (complete, loads back equal).
//!
//! # The order of one step
//!
//! Time is an integer count of steps; step `k` goes from `t = k * dt` to `t + dt`. For each neuron, in this order:
//!
//! 0. **Couple.** For all neurons of all populations, before any of them is advanced: the value of every continuous projection
//!    ([`Coupling::value`]) is read with the states, params and `Time` = `t` of the start of the step, and every `Coupled(k)` is
//!    summed. First the projections with a delay of `d` >= 1 steps, from the values of step `k - d`; where `k < d`, from those of
//!    the time before the run, which are the values as step 0 would read them if all delayed sums were 0. Then, rank by rank, the values of that rank and the sums of the projections of that rank without delay. A sum begins
//!    with 0. In [`Gather::Rows`] it adds weight x value (or value) of each synapse in order of (presynaptic index, position in
//!    the row). In [`Gather::Classes`], source cells that agree in all attributes that the weight reads are a class, classes
//!    stand in order of their first cell; the values of a class are added in order of index, beginning with 0; the sum adds
//!    weight x (sum of the class) in order of the classes, and then, where a cell may not connect to itself and is a source,
//!    subtracts weight x (its own value). Static sums (`Count`, `Weights`) are made once in the same order, a class of n cells
//!    adding n, or weight x n. Cells outside the target's end have 0. What is summed holds over the step.
//! 1. **Integrate.** Where there is [`Dynamics::adaptive`], its `before` runs once and its `trial` until the neuron's own time is dt.
//!    Then the stages of [`Dynamics::integrate`] run one after the other. Within a stage all right-hand sides read the
//!    states as they were before the stage. `Time` is `t`; params, drives and inputs are those at `t`; `Noise(k)` is the k-th
//!    standard normal of this neuron and step. If the refractory counter is positive at the start of the step, the held states
//!    keep their value.
//! 2. **Arrive.** For each receptor in order: `Arrival` is the sum of its [`Arrival`] terms, first to last; then its body runs,
//!    statement by statement. A statement on a held state of a refractory neuron does nothing. A `Count` term is
//!    (number of spikes) x weight x gain; a `Sum` term is the sum of the weights of the arriving spikes in order of (step of
//!    emission, projection, presynaptic index, position in the row), x gain; a `Poisson` term is a count drawn for this neuron
//!    and the step of emission x weight. What a model does on an [`EventPort`] stands as a receptor at the end of the list: nothing
//!    arrives there, and its body changes states only in the step in which the event's flag is set.
//! 3. **Spike.** Where the counter was positive at the start of the step it is reduced by one and nothing fires. Elsewhere the
//!    condition is tested with `Time` = `t + dt`; `Before(e)` is the value that `e` had at the start of the step (with that
//!    step's `t`), `Uniform` is this neuron's uniform number of this step. A spike is stamped `t + dt`: the reset statements run
//!    in order, then the counter is set to the refractory time in steps.
//!    Of a population with [`Winners`] not every such spike is sent: a cell that sent one within the last `window - 1` steps
//!    sends it; of the others, those with the largest margin (before the reset; of equal ones the lower index) as long as the
//!    number of distinct senders in the window stays at `most`. The states of a loser are reset like a sender's.
//! 4. **Plasticity**: see [`plasticity`], which says where its parts stand among these phases.
//! 5. **Queue.** A spike of step `k` over a delay of `d` steps is in the arrivals of step `k + d`.
//! 6. **At intervals.** Of each [`Every`] whose `steps` divide `k + 1`, in order, the stage runs: `Time` = `t + dt`, `Held` says
//!    whether the refractory counter is positive by now, `Coupled` is what it was in the step. `refractory` holds nothing here:
//!    statements on held states say so themselves.
//!
//! All of this is in double precision, or in the way of [`single`] where [`Dynamics::single`] says so. A condition whose value is NaN is false. No product and sum are contracted into one rounding. `min(a, b)` is
//! `a < b ? a : b`. Random numbers are functions of (seed, entity path, purpose, step, element), see `random`.

pub mod artefact;
mod coupling;
pub mod environment;
mod expr;
mod network;
pub mod plasticity;
mod print;
pub mod protocol;
pub mod rest;
pub mod single;

pub use coupling::{Coupled, CoupledSum, Coupling, Gather};
pub use expr::{Attribute, BinaryOp, Compare, Expr, ExprId, Exprs, Real, Side, UnaryOp};
pub use network::{
    Adaptive, Arrival, Assign, Axis, Delay, Derived, Dynamics, EventPort, EventReader, Every, Network, Node,
    Observable, Param, ParamKind, PoissonInput, Population, PopulationId, Procedural, Projection, ProjectionId, Reader,
    Receptor, Refractory, Sensor, SolverChoice, Spike, Stage, State, Subset, System, Table, Trains, Weight, Winners,
};
pub use print::{expr_text, print};
