//! Third factors: numbers that rules read and that no synapse keeps. Each is a post trace that stands still until it is written.
//!
//! A modulator is a cell of its own on the chip. It adds its level up, and once in so many steps it sends the mean as the payload of
//! a spike, to whatever learns by it, if that is another one than before. What 7 bits cut off it keeps for the next time, so that
//! over time a rule gets all of it. What a rule reads of params (sensors) the host writes, between two steps. What an event brings the
//! host writes too, and takes back after the next step in which rules act with time, so that one such step sees it.
//!
//! Where cells read a modulator, it sends them by how much its level has changed, and they add that up. A modulator does one of the two,
//! for a spike has one payload.

use super::learning;
use crate::backend::eval;
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{Arrival, CoupledSum, Expr, ExprId, Network, Population, PopulationId, ProjectionId, Spike};
use std::collections::BTreeSet;

/// What stands for 0 in a trace of 0 to 127.
pub const RESTING: i32 = 64;
/// Integers that stand for 1 of a modulator's mean: what is beyond 1 is sent later.
pub(super) const LEVEL: f64 = 64.0;
/// Integers that stand for 1 of what a modulator tells cells.
pub(super) const TOLD: f64 = 2048.0;
/// Integers of the cells' own word for each of those.
pub(super) const HEARD: i32 = 128;
/// Integers that stand for 1 of what the host writes: it reaches from -2 to nearly 2.
pub(super) const WRITTEN: f64 = 32.0;
/// Post traces of the engine.
const TRACES: u32 = 3;

/// A third factor of what learns onto a population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factor {
    pub target: PopulationId,
    /// 0 to 2: y1 to y3.
    pub trace: u32,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// What the only cell of a population sends.
    Modulator(Modulator),
    /// An expression over params of the target.
    Host(ExprId),
    /// The param of the target that holds the number of an event, or its flag.
    Event(ExprId),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Modulator {
    pub source: PopulationId,
    pub projection: ProjectionId,
    /// In the source's expressions.
    pub value: ExprId,
}

/// What one of a rule's reads is to the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    Constant(f64),
    Trace { trace: u32, scale: f64 },
}

/// All third factors of a network, in order of rules.
pub(super) fn factors(network: &Network) -> Vec<Factor> {
    let mut out: Vec<Factor> = Vec::new();
    for rule in &network.plasticity {
        let Some((_, target)) = network.graph.edge_endpoints(rule.projection) else { continue };
        for read in 0..rule.reads.len() as u32 {
            let Ok(Some(origin)) = origin(network, target, rule, read) else { continue };
            if out.iter().any(|f| (f.target, f.origin) == (target, origin)) {
                continue;
            }
            let before = out.iter().filter(|f| f.target == target).count() as u32;
            out.push(Factor { target, trace: own_traces(network, target) + before, origin });
        }
    }
    out.retain(|f| f.trace < TRACES);
    out
}

/// Post traces that the rules onto a population need for themselves.
fn own_traces(network: &Network, target: PopulationId) -> u32 {
    let onto = |r: &&Plasticity| network.graph.edge_endpoints(r.projection).is_some_and(|(_, to)| to == target);
    let own = |r: &Plasticity| r.variables.iter().filter(|v| v.place == Place::Post).count() as u32;
    network.plasticity.iter().filter(onto).map(own).max().unwrap_or(0)
}

/// What the reads of a rule are.
///
/// # Errors
/// In words, the first that the engine has no trace for.
pub(super) fn reads(network: &Network, rule: &Plasticity) -> Result<Vec<Read>, String> {
    if rule.total.is_some() {
        return Err("it reads the sum of the weights onto a cell".to_string());
    }
    let Some((_, target)) = network.graph.edge_endpoints(rule.projection) else { return Ok(vec![]) };
    let Some(cells) = network.population(target) else { return Ok(vec![]) };
    let all = factors(network);
    let read = |(id, k): (&ExprId, u32)| {
        let Some(origin) = origin(network, target, rule, k)? else {
            return Ok(Read::Constant(cells.dynamics.exprs.as_const(*id).unwrap_or_default()));
        };
        let factor = all.iter().find(|f| (f.target, f.origin) == (target, origin));
        let factor =
            factor.ok_or("with what the other rules onto its target need, it has more than three post traces")?;
        let scale = if matches!(origin, Origin::Modulator(_)) { LEVEL } else { WRITTEN };
        Ok(Read::Trace { trace: factor.trace, scale })
    };
    rule.reads.iter().zip(0..).map(read).collect()
}

/// Which of a rule's reads says that an event of the network came, and with what: the event's number where the rule reads it there, else
/// its flag.
pub(super) fn carrier(rule: &Plasticity, (flag, number): (u32, u32)) -> u32 {
    let of_it = rule.handlers(Event::Named(flag, number)).flat_map(|h| &h.assigns);
    let values: Vec<ExprId> = of_it.map(|a| a.value).collect();
    let reads = |id: ExprId| matches!(rule.exprs.get(id), Expr::Read(k) if *k == number);
    if eval::order(&rule.exprs, &values).into_iter().any(reads) { number } else { flag }
}

/// Where a rule's k-th read comes from; `None` for a constant, and for what an event has and the rule does not need.
fn origin(network: &Network, target: PopulationId, rule: &Plasticity, k: u32) -> Result<Option<Origin>, String> {
    let (Some(cells), Some(read)) = (network.population(target), rule.reads.get(k as usize).copied()) else {
        return Ok(None);
    };
    let exprs = &cells.dynamics.exprs;
    let event = rule.handlers.iter().find_map(|h| match h.event {
        Event::Named(flag, number) if [flag, number].contains(&k) => Some((flag, number)),
        _ => None,
    });
    if let Some(event) = event {
        return Ok((carrier(rule, event) == k).then_some(Origin::Event(read)));
    }
    match exprs.get(read) {
        Expr::Const(_) => return Ok(None),
        Expr::Coupled(k) => return modulator(network, cells, *k).map(|m| Some(Origin::Modulator(m))),
        _ => {}
    }
    for id in eval::order(exprs, &[read]) {
        match exprs.get(id) {
            Expr::State(_) | Expr::Before(_) | Expr::Held => return Err("it reads the postsynaptic neuron".to_string()),
            Expr::Coupled(_) => return Err("it reads more of a modulator than its level".to_string()),
            Expr::Time => return Err("it reads the time".to_string()),
            _ => {}
        }
    }
    Ok(Some(Origin::Host(read)))
}

/// The modulator behind a value that reaches every cell of a population.
fn modulator(network: &Network, cells: &Population, coupled: u32) -> Result<Modulator, String> {
    let no = |what: &str| Err(format!("it reads {what}, and third factors come from modulators"));
    let Some(coupled) = cells.dynamics.coupled.get(coupled as usize) else { return no("what is not there") };
    let Some((source, _)) = network.graph.edge_endpoints(coupled.projection) else { return no("what is not there") };
    let (p, Some(from)) = (&network.graph[coupled.projection], network.population(source)) else {
        return no("what is not there");
    };
    match p.coupling {
        Some(c)
            if from.size == 1
                && p.is_full()
                && coupled.sum == CoupledSum::Values
                && matches!(from.dynamics.spike, Spike::Never) =>
        {
            Ok(Modulator { source, projection: coupled.projection, value: c.value })
        }
        _ => no("values of other cells"),
    }
}

/// Continuous projections that are nothing but third factors: rules read what they bring, and cells don't.
pub(super) fn carried(network: &Network) -> BTreeSet<ProjectionId> {
    let mut out: BTreeSet<ProjectionId> = BTreeSet::new();
    for f in factors(network) {
        let (Origin::Modulator(m), Some(cells)) = (f.origin, network.population(f.target)) else { continue };
        if !read_by_cells(network, f.target, cells).contains(&m.projection) {
            out.insert(m.projection);
        }
    }
    out
}

/// Continuous projections that the cells of a population read themselves.
fn read_by_cells(network: &Network, id: PopulationId, cells: &Population) -> BTreeSet<ProjectionId> {
    let d = &cells.dynamics;
    let read = read_in_steps(cells).into_iter().chain(read_beside(network, id, cells));
    read.filter_map(|k| d.coupled.get(k as usize).map(|c| c.projection)).collect()
}

/// Coupled sums that the program of a cell reads.
fn read_in_steps(cells: &Population) -> BTreeSet<u32> {
    let d = &cells.dynamics;
    let mut roots: Vec<ExprId> = d.reset.iter().map(|a| a.value).collect();
    roots.extend(d.integrate.iter().flat_map(|s| &s.assigns).map(|a| a.value));
    roots.extend(d.receptors.iter().flat_map(|r| &r.body).map(|a| a.value));
    if let Spike::When(c) = d.spike {
        roots.push(c);
    }
    coupled(cells, &roots)
}

/// Coupled sums that are read where a program has numbers: rates, gains, margins of winners, lengths.
fn read_beside(network: &Network, id: PopulationId, cells: &Population) -> BTreeSet<u32> {
    let d = &cells.dynamics;
    let mut roots: Vec<ExprId> = d.poisson.iter().flat_map(|p| [p.rate, p.weight]).collect();
    roots.extend(d.adaptive.iter().flat_map(|a| a.before.assigns.iter().chain(&a.trial.assigns)).map(|a| a.value));
    roots.extend(d.refractory.iter().map(|r| r.steps));
    roots.extend(network.winners.iter().filter(|w| w.population == id).map(|w| w.margin));
    roots.extend(network.incoming(id).filter_map(|(_, p)| p.gain));
    for a in d.receptors.iter().flat_map(|r| &r.arrivals) {
        match a {
            Arrival::Count { weight, gain, .. } => roots.extend(std::iter::once(*weight).chain(*gain)),
            Arrival::Sum { gain, .. } => roots.extend(*gain),
            Arrival::Poisson(_) => {}
        }
    }
    coupled(cells, &roots)
}

fn coupled(cells: &Population, roots: &[ExprId]) -> BTreeSet<u32> {
    let exprs = &cells.dynamics.exprs;
    let read = eval::order(exprs, roots).into_iter();
    read.filter_map(|e| if let Expr::Coupled(k) = exprs.get(e) { Some(*k) } else { None }).collect()
}

/// A modulator that the cells of a population follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Followed {
    /// Position among the coupled sums of the cells.
    pub coupled: u32,
    pub modulator: Modulator,
}

/// The modulators that the cells of a population follow: each sends by how much its level has changed, and they add that up.
///
/// # Errors
/// Of those that they read and can't follow: the continuous projection, and why, in words.
pub(super) fn followed(network: &Network, id: PopulationId) -> Vec<Result<Followed, (ProjectionId, String)>> {
    let Some(cells) = network.population(id) else { return vec![] };
    let beside = read_beside(network, id, cells);
    let all = read_in_steps(cells).union(&beside).copied().collect::<BTreeSet<u32>>();
    let follow = |k: u32| {
        let sum = cells.dynamics.coupled.get(k as usize)?;
        let refuse = |what: &str| Err((sum.projection, what.to_string()));
        let delayed = network.graph[sum.projection].delay.max() > 0;
        Some(match modulator(network, cells, k) {
            Err(_) => refuse("a value at every step"),
            Ok(_) if delayed => refuse("a level of some steps before"),
            Ok(_) if beside.contains(&k) => {
                refuse("a level that a gain, a rate, a refractory time or a margin of winners follows")
            }
            Ok(m) if teaches(network, m.source) => {
                refuse("a level that rules read too, to which it sends other numbers")
            }
            Ok(m) if told(network, m.source) != Some(m.value) => refuse("another number of a modulator than its level"),
            Ok(modulator) => Ok(Followed { coupled: k, modulator }),
        })
    };
    all.into_iter().filter_map(follow).collect()
}

/// Whether rules read a modulator.
fn teaches(network: &Network, population: PopulationId) -> bool {
    factors(network).iter().any(|f| matches!(f.origin, Origin::Modulator(m) if m.source == population))
}

/// What a modulator tells cells that follow it: the first of what they read of it.
pub(super) fn told(network: &Network, population: PopulationId) -> Option<ExprId> {
    let modulators = network.populations().flat_map(|(_, cells)| {
        let read = read_in_steps(cells).into_iter();
        read.filter_map(|k| modulator(network, cells, k).ok())
    });
    modulators.into_iter().find(|m| m.source == population && !teaches(network, population)).map(|m| m.value)
}

/// What a modulator sends, and how often: its value, and k of 2^k steps. `None` for a population that is none.
pub(super) fn level(network: &Network, population: PopulationId) -> Option<(ExprId, u32)> {
    let of = |f: &Factor| match f.origin {
        Origin::Modulator(m) if m.source == population => Some(m.value),
        _ => None,
    };
    let value = factors(network).iter().find_map(of)?;
    // Where no rule can be written with any, that is said at the rules.
    Some((value, learning::pace(network).unwrap_or(0)))
}
