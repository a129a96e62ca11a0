//! Neurons to cores, cores to places on the mesh, packets to routes.
//!
//! - `problem`: what is to be mapped, from wherever it comes.
//! - `resource`: what a core runs out of.
//! - `hypergraph`: the problem in units and nets; `ledger`: the books of a partition.
//! - `partition`: the baselines (sequential, round-robin, random) and growth; `refine`: local search on any of them; `gather`: what
//!   single moves don't find.
//! - `mesh`: sites and routes; `place`: cores to sites.
//! - `statistics`: a mapping in figures, and the bound that none can beat.
//! - `check`: recomputes all of it from the problem and the result alone.
//!
//! What is minimised is packets: a spike costs one for each core that its list reaches (the connectivity of a hypergraph whose
//! nets are the lists, weighted by expected rates), and a little for each that leaves its own core.

mod check;
mod gather;
mod hypergraph;
mod ledger;
mod mesh;
mod partition;
mod place;
mod problem;
mod refine;
mod resource;
mod statistics;

#[cfg(test)]
mod tests;

pub use check::{CheckError, check, check_partition, check_sites, check_summary};
pub use mesh::Site;
pub use problem::{Fans, Format, Group, MAX_RATE, Neuron, Problem, ProblemError, Profile, Program};
pub use resource::{Resource, Usage};
pub use statistics::{Bound, Summary};

use crate::chip::target::Target;
use hypergraph::{Hypergraph, NONE, weight};
use ledger::Ledger;
use mesh::Mesh;
use partition::Ground;
use place::{Placement, Traffic};
use resource::Limits;
use thiserror::Error;

/// What a user may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Of all random choices: the same seed, the same mapping.
    pub seed: u64,
    /// Chips at most; the target's number by default.
    pub chips: Option<u32>,
}

/// How a baseline orders neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they are declared, one core after the other.
    Sequential,
    /// One for each core in turn.
    RoundRobin,
    /// At random, one core after the other.
    Random,
}

/// What a simple mapping would amount to, its cores placed in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// How it orders neurons.
    pub order: Order,
    /// `None` if no mapping came of it.
    pub summary: Option<Summary>,
}

/// A mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Core of each neuron; `None` for those that the host plays in.
    pub core_of: Vec<Option<u32>>,
    /// Site of each core.
    pub sites: Vec<Site>,
    /// What each core holds.
    pub usage: Vec<Usage>,
    /// The whole in figures.
    pub summary: Summary,
    /// What no mapping can be below.
    pub bound: Bound,
    /// Cores that the amounts of this mapping fill when none has a gap. Above `bound` by what splitting lists costs.
    pub packed: u64,
    /// What simple mappings amount to.
    pub baselines: Vec<Baseline>,
}

/// Why there is no mapping.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MapError {
    /// The problem makes no sense.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// A neuron has more state than the chip gives one neuron.
    #[error("neuron {neuron} takes {bytes} bytes of state, the chip gives a neuron {limit}")]
    NeuronState {
        /// The neuron.
        neuron: usize,
        /// What it takes.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A neuron, or an atomic group, fills more than one core alone.
    #[error("neuron {neuron} and what shares its atomic group take {needs} {resource}, a core has {limit}")]
    TooLarge {
        /// The neuron, or the first of its group.
        neuron: usize,
        /// What there is too little of.
        resource: Resource,
        /// What it takes.
        needs: u64,
        /// What a core has.
        limit: u64,
    },
    /// An atomic group holds neurons that lie in no core.
    #[error("the atomic group `{group}` holds neurons that the host plays in: they lie in no core")]
    Group {
        /// Its name.
        group: String,
    },
    /// More cores than there are.
    #[error("the network takes {needs} cores, {chips} chips have {available}")]
    Cores {
        /// What it takes.
        needs: u64,
        /// What there is.
        available: u64,
        /// On so many chips.
        chips: u32,
    },
}

impl MapError {
    /// The neuron that it is about.
    #[must_use]
    pub fn neuron(&self) -> Option<usize> {
        match self {
            MapError::NeuronState { neuron, .. } | MapError::TooLarge { neuron, .. } => Some(*neuron),
            _ => None,
        }
    }
}

/// Maps a network onto a chip.
///
/// # Errors
/// If the problem makes no sense, something fits in no core, or there are too few cores.
pub fn map(problem: &Problem, target: &Target, options: &Options) -> Result<Mapping, MapError> {
    problem.validate()?;
    groups_are_whole(problem)?;
    states_fit(problem, target)?;
    let h = Hypergraph::new(problem, target);
    let limits = Limits::new(target, problem.index_bits);
    let counted = limits.as_counted();
    let ground = Ground { h: &h, limits: &limits, counted: &counted, target, seed: options.seed };
    units_fit(&ground)?;
    let bound = Bound::new(&h, &limits);
    let (mut baselines, mut best) = (Vec::new(), None);
    let (simple_ones, grown) = std::thread::scope(|scope| {
        let grown = scope.spawn(|| ground.grow().map(|ledger| improved(&ground, ledger)));
        let sequential = ground.sequential();
        let round_robin = sequential.as_ref().ok().and_then(|s| ground.round_robin(s).ok());
        let random = ground.random().ok();
        let simple = [(Order::Sequential, sequential.ok()), (Order::RoundRobin, round_robin), (Order::Random, random)];
        (simple, grown.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for (order, ledger) in simple_ones {
        let summary = ledger.as_ref().map(|ledger| simple(problem, target, ledger));
        baselines.push(Baseline { order, summary });
        let better = |l: &Ledger<'_>| best.as_ref().is_none_or(|b: &Ledger<'_>| l.packets < b.packets);
        if let Some(ledger) = ledger.filter(better) {
            best = Some(ledger);
        }
    }
    let simplest = best.clone();
    let ledger = optimise(&ground, grown, best, &bound)?;
    let finish = |ledger| finish(problem, target, options, &ground, ledger, bound, baselines.clone());
    let mapping = finish(ledger)?;
    // Fewer packets may have to go longer ways.
    match simplest {
        Some(ledger) if simple(problem, target, &ledger).energy_pj < mapping.summary.energy_pj => finish(ledger),
        _ => Ok(mapping),
    }
}

fn groups_are_whole(problem: &Problem) -> Result<(), MapError> {
    let broken = problem.neurons.iter().find(|n| n.host && problem.groups[n.group as usize].atomic);
    broken.map_or(Ok(()), |n| Err(MapError::Group { group: problem.groups[n.group as usize].name.clone() }))
}

fn states_fit(problem: &Problem, target: &Target) -> Result<(), MapError> {
    let limit = target.core.neuron_bytes;
    let bytes = |n: &Neuron| u64::from(problem.profiles[n.profile as usize].state_bytes);
    match problem.neurons.iter().position(|n| !n.host && bytes(n) > limit) {
        Some(neuron) => Err(MapError::NeuronState { neuron, bytes: bytes(&problem.neurons[neuron]), limit }),
        None => Ok(()),
    }
}

fn units_fit(ground: &Ground<'_>) -> Result<(), MapError> {
    for unit in 0..ground.h.units() {
        if let Some((resource, needs, limit)) = ground.limits.exceeded(&partition::alone(ground.h, unit)) {
            let neuron = ground.h.unit_of.iter().position(|u| *u == unit).unwrap_or(0);
            return Err(MapError::TooLarge { neuron, resource, needs, limit });
        }
    }
    Ok(())
}

/// A grown partition saves at least this part of the packets of the best baseline, or that baseline is refined too.
const CLEAR: f64 = 0.7;

/// Cores above the bound that fewer packets may take, as a part of it.
const SPREAD: f64 = 0.05;

/// Packets that the balance of cores may cost, as a part of them.
const BALANCE: f64 = 0.01;

/// What local search makes of a partition.
fn improved<'a>(ground: &Ground<'a>, mut ledger: Ledger<'a>) -> Ledger<'a> {
    refine::refine(ground, &mut ledger);
    refine::dissolve(&mut ledger);
    gather::gather(ground, ledger)
}

/// The best of what growth and local search made of the problem and of what local search makes of its best baseline.
fn optimise<'a>(
    ground: &Ground<'a>,
    grown: Result<Ledger<'a>, MapError>,
    baseline: Option<Ledger<'a>>,
    bound: &Bound,
) -> Result<Ledger<'a>, MapError> {
    let most = baseline.as_ref().map_or(u64::MAX, |b| b.packets);
    let clear = grown.as_ref().is_ok_and(|g| g.packets as f64 <= CLEAR * most as f64);
    let mut candidates = Vec::new();
    let error = match grown {
        Ok(ledger) => {
            candidates.push(ledger);
            None
        }
        Err(e) => Some(e),
    };
    if !clear {
        candidates.extend(baseline.clone().map(|ledger| improved(ground, ledger)));
        // Local search may take a few packets more where many more then stay in their core.
        if candidates.iter().all(|l| l.packets > most) {
            candidates.extend(baseline);
        }
    }
    let fewest = candidates.iter().map(Ledger::cores).min().unwrap_or(0);
    let enough = f64::from(fewest).max(bound.cores as f64 * (1.0 + SPREAD));
    let key = |l: &Ledger<'_>| (l.packets > most, f64::from(l.cores()) > enough, l.packets);
    match (candidates.into_iter().min_by_key(key), error) {
        (Some(mut ledger), _) => {
            let allowed = ledger.packets + (BALANCE * ledger.packets as f64) as u64;
            let allowed = allowed.min(most.max(ledger.packets));
            refine::rebalance(ground, &mut ledger, allowed);
            Ok(ledger)
        }
        (None, Some(e)) => Err(e),
        (None, None) => {
            Err(MapError::Problem(ProblemError::TooMany { what: "neurons", count: ground.h.units() as usize }))
        }
    }
}

fn traffic(problem: &Problem, ledger: &Ledger<'_>) -> Traffic {
    let read = problem.neurons.iter().zip(&ledger.h.unit_of).filter(|(n, _)| n.observed);
    Traffic::new(ledger, &statistics::observed(ledger, read.map(|(n, unit)| (*unit, weight(n.rate)))))
}

/// A baseline in figures.
fn simple(problem: &Problem, target: &Target, ledger: &Ledger<'_>) -> Summary {
    let traffic = traffic(problem, ledger);
    let mesh = Mesh::new(target, ledger.cores().div_ceil(target.chip.cores).max(1));
    let placement = Placement::in_order(&mesh, &traffic);
    statistics::summarise(ledger, &traffic, &placement, target.costs.packet_pj)
}

fn finish(
    problem: &Problem,
    target: &Target,
    options: &Options,
    ground: &Ground<'_>,
    ledger: Ledger<'_>,
    bound: Bound,
    baselines: Vec<Baseline>,
) -> Result<Mapping, MapError> {
    let chips = options.chips.unwrap_or(target.chip.chips);
    let available = u64::from(chips) * u64::from(target.chip.cores);
    if u64::from(ledger.cores()) > available {
        return Err(MapError::Cores { needs: u64::from(ledger.cores()), available, chips });
    }
    let traffic = traffic(problem, &ledger);
    let mesh = Mesh::new(target, ledger.cores().div_ceil(target.chip.cores).max(1));
    let placement = place::place(ground, &mesh, &traffic);
    let summary = statistics::summarise(&ledger, &traffic, &placement, target.costs.packet_pj);
    let core = |unit: &u32| if *unit == NONE { None } else { Some(ledger.core_of[*unit as usize]) };
    Ok(Mapping {
        core_of: ground.h.unit_of.iter().map(core).collect(),
        sites: placement.slot_of.iter().map(|slot| mesh.site(*slot)).collect(),
        usage: ledger.usage.iter().map(|u| ground.limits.of_core(u)).collect(),
        packed: domain_packing(&ledger),
        summary,
        bound,
        baselines,
    })
}

/// Cores that the amounts of each domain fill.
fn domain_packing(ledger: &Ledger<'_>) -> u64 {
    let domains = ledger.domain.iter().max().map_or(0, |d| *d as usize + 1);
    let mut sums = vec![Usage::default(); domains];
    let usage = ledger.usage.iter().map(|usage| ledger.limits.of_core(usage));
    usage.zip(&ledger.domain).for_each(|(usage, domain)| sums[*domain as usize].add(&usage));
    sums.iter().map(|sum| statistics::packing(sum, ledger.limits).0).sum()
}
