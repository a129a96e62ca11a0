//! Mean-field theory of a network: what each population receives on average, and the stationary rates that agree with themselves.
//!
//! Every group of like cells ([`groups`]) fires at the rate that Siegert's formula ([`siegert`]) gives for its mean input and noise;
//! those follow from the rates of all groups that reach it: `mu = sum(K w r)`, `sigma^2 = sum(K w^2 r)` with the number of synapses
//! `K`. Brunel (2000), J. Comput. Neurosci. 8:183. Takes a validated network. Assumes trains that are independent and nearly Poisson,
//! weights small against the threshold, and a state that stays: drives and rates that follow time are taken as they are at the end
//! of the run, params that an experiment sets as they are at first, params that differ between cells at their mean.
//!
//! What can't be treated is said per population ([`Treatment`]) and makes unknown what it reaches.

mod cell;
mod groups;
mod inputs;
mod linear;
pub mod siegert;
mod solve;

use crate::backend::RunError;
use crate::backend::build::{self, Elements, ParamValues};
use crate::ir::{Expr, Network, Population, PopulationId, Projection, Spike};
use cell::{Cell, Input, Lif};
use groups::Group;
use inputs::{Drawn, Moments, Pairs};
use solve::Equations;
use std::collections::BTreeMap;
use std::ops::Range;

/// More cells take longer to lay out than a check may.
const MOST_CELLS: u64 = 2_000_000;
/// Steps over which a source that runs like a clock is counted.
const CLOCK_STEPS: u32 = 20_000;
/// Length of a run where the experiment does not say: ms.
const DEFAULT_TIME: f64 = 1000.0;

/// How a population enters the equations.
#[derive(Clone, Debug, PartialEq)]
pub enum Treatment {
    Lif,
    /// The trains of a source, at a known rate.
    Source,
    /// Why it has no rate.
    Unknown(String),
}

/// One projection's part in the mean input of a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Path of the projection.
    pub projection: String,
    /// mV
    pub mean: f64,
}

/// What is expected of a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub path: String,
    pub treatment: Treatment,
    /// Mean excitatory and inhibitory input, mV. Not numbers where unknown.
    pub excitation: f64,
    pub inhibition: f64,
    /// Mean and noise of the voltage without threshold, mV; `sigma^2` is twice the variance.
    pub mu: f64,
    pub sigma: f64,
    /// Threshold, mV.
    pub theta: f64,
    /// Spikes per ms.
    pub rate: f64,
    /// The rate of a second state that agrees with itself as well, reached from high rates.
    pub other: Option<f64>,
    /// Refractory time, ms.
    pub t_ref: f64,
    /// Nothing excites it and it rests below its threshold, so no cell of it ever fires.
    pub silent: bool,
    pub shares: Vec<Share>,
}

/// The expectations for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    pub populations: Vec<Expected>,
    /// Whether the equations were solved; if not, rates are not numbers.
    pub solved: bool,
    /// Whether nothing in it follows time or is set while it runs: the stationary state is what a run comes to.
    pub stationary: bool,
}

/// The expectations for `network`, a run of which lasts `duration` ms.
///
/// # Errors
/// In words, where the network can't be laid out or is too large.
pub fn predict(network: &Network, duration: Option<f64>) -> Result<Prediction, String> {
    let (groups, mut units) = lay_out(network, duration)?;
    exclude(&mut units);
    Ok(summary(network, &groups, units))
}

/// Mean excitatory and inhibitory input of each population, mV, if every population fires at `rates` (spikes per ms, in the order of
/// `Network::populations`): no theory but `K w r`, with the weights that synapses are built with. `None` for cells that are no LIF
/// cells. `duration` as for [`predict`].
///
/// # Errors
/// As [`predict`].
pub fn received(network: &Network, rates: &[f64], duration: Option<f64>) -> Result<Vec<Option<(f64, f64)>>, String> {
    let (groups, units) = lay_out(network, duration)?;
    let equations = Equations::new(&units);
    let rates: Vec<f64> = groups.iter().map(|g| rates.get(g.position).copied().unwrap_or(f64::NAN)).collect();
    let of = |members: Range<usize>| -> Option<(f64, f64)> {
        let cells: f64 = groups[members.clone()].iter().map(|g| g.cells.len() as f64).sum();
        let (mut excitation, mut inhibition) = (0.0, 0.0);
        for k in members {
            for share in equations.point(k, &rates)?.shares {
                let part = share * groups[k].cells.len() as f64 / cells;
                if part > 0.0 { excitation += part } else { inhibition += part }
            }
        }
        Some((excitation, inhibition)).filter(|_| cells > 0.0 && (excitation + inhibition).is_finite())
    };
    Ok(members(network, &groups).into_iter().map(of).collect())
}

/// Whether each population of cells that the theory can treat has cells that may fire. It looks at no more links than that takes, so
/// it is much cheaper than [`predict`]; where it is so, none of what that gives is `silent`.
///
/// # Errors
/// As [`predict`].
pub fn all_may_fire(network: &Network, duration: Option<f64>) -> Result<bool, String> {
    let (elements, groups, units) = alone(network, duration)?;
    let mut silent = resting(network, &groups, &units);
    let members = members(network, &groups);
    let drawn = Drawn::default();
    let mut left: Vec<(Pairs, usize, usize)> = Vec::new();
    for (projection, ends) in ends(network) {
        for j in members[ends[1].0].clone().filter(|j| silent[*j]) {
            let pairs = |i| (Pairs { network, elements: &elements, projection, ends, drawn: &drawn }, i, j);
            left.extend(members[ends[0].0].clone().map(pairs));
        }
    }
    loop {
        let before = left.len();
        left.retain(|(pairs, i, j)| {
            let Kind::Lif(lif) = &units[*j].kind else { return false };
            if !silent[*j] || silent[*i] {
                return silent[*j];
            }
            let links = links(pairs, (*i, &groups[*i]), &groups[*j], &units[*j].kind);
            silent[*j] = !links.iter().flatten().any(|l| lif.excites(&l.input));
            false
        });
        if left.len() == before {
            break;
        }
    }
    Ok(members.into_iter().all(|members| {
        let kinds = || members.clone().map(|k| &units[k].kind);
        members.clone().any(|k| !silent[k])
            || kinds().any(|kind| matches!(kind, Kind::Unknown(_)))
            || kinds().all(|kind| matches!(kind, Kind::Source(_)))
    }))
}

/// The groups of a network and what reaches each of them.
fn lay_out(network: &Network, duration: Option<f64>) -> Result<(Vec<Group>, Vec<Unit<'_>>), String> {
    let (elements, groups, mut units) = alone(network, duration)?;
    connect(network, &elements, &groups, &mut units);
    Ok((groups, units))
}

/// The elements of a network, and its groups without what reaches them.
fn alone(network: &Network, duration: Option<f64>) -> Result<(Elements, Vec<Group>, Vec<Unit<'_>>), String> {
    let cells: u64 = network.populations().map(|(_, p)| u64::from(p.size)).sum();
    if cells > MOST_CELLS {
        return Err(format!("{cells} cells are more than the {MOST_CELLS} that are looked at"));
    }
    let elements = build::elements(network, 1).map_err(|e| match e {
        RunError::Build(why) | RunError::Limit(why) => why,
        _ => "its params can't be computed".to_string(),
    })?;
    let groups = groups::groups(network, &elements);
    let time = duration.unwrap_or(DEFAULT_TIME);
    let units = groups.iter().map(|g| Unit::of(network, &elements, g, time)).collect();
    Ok((elements, groups, units))
}

/// A group as the equations see it.
struct Unit<'n> {
    kind: Kind<'n>,
    links: Vec<Link>,
}

enum Kind<'n> {
    Lif(Box<Lif<'n>>),
    /// Spikes per ms.
    Source(f64),
    Unknown(String),
}

/// Spikes of one sign from another group, or from a private train.
struct Link {
    from: From,
    projection: String,
    input: Input,
}

impl Link {
    /// Spikes per ms and cell at the rates of all groups.
    fn rate(&self, rates: &[f64]) -> f64 {
        match self.from {
            From::Group(i) => self.input.rate * rates[i],
            From::Train => self.input.rate,
        }
    }
}

enum From {
    /// `Input::rate` is the number of synapses per cell, to be multiplied by this group's rate.
    Group(usize),
    /// `Input::rate` is the rate.
    Train,
}

impl<'n> Unit<'n> {
    fn of(network: &'n Network, elements: &Elements, group: &Group, time: f64) -> Unit<'n> {
        let unknown = |why: String| Unit { kind: Kind::Unknown(why), links: Vec::new() };
        let Some(p) = network.population(group.population) else { return unknown("it is not there".to_string()) };
        let d = &p.dynamics;
        let built = &elements.populations[group.position];
        let mean =
            |values: &[f64]| group.cells.iter().map(|c| values[*c as usize]).sum::<f64>() / group.cells.len() as f64;
        let params = built.params.iter().map(|v| match v {
            ParamValues::One(v) => *v,
            ParamValues::Each(values) => mean(values),
        });
        let initial: Vec<f64> = built.initial.iter().map(|v| mean(v)).collect();
        let cell = Cell::new(d, params.collect(), time, network.dt_ms);
        if let Some(p) = cell.hazard() {
            return Unit { kind: Kind::Source(p / network.dt_ms), links: Vec::new() };
        }
        if p.source {
            return match &d.spike {
                // A list of times has an end: nothing comes of it in the long run.
                Spike::Schedule(_) => Unit { kind: Kind::Source(0.0), links: Vec::new() },
                _ if !d.every.is_empty() => unknown("its states change at intervals".to_string()),
                _ => match cell.clockwork(&initial, CLOCK_STEPS) {
                    Some(rate) => Unit { kind: Kind::Source(rate), links: Vec::new() },
                    None => unknown("its rate follows from its states".to_string()),
                },
            };
        }
        let trains: Vec<Link> = d
            .poisson
            .iter()
            .map(|i| {
                let weight = cell.constant(i.weight);
                let input = Input {
                    receptor: i.receptor as usize,
                    weight,
                    square: weight * weight,
                    rate: cell.constant(i.rate),
                };
                Link { from: From::Train, projection: i.path.clone(), input }
            })
            .collect();
        if trains.iter().any(|t| !t.input.rate.is_finite() || !t.input.weight.is_finite()) {
            return unknown("the rate of a train onto it follows from its states".to_string());
        }
        match Lif::of(cell, &initial) {
            Ok(lif) => Unit { kind: Kind::Lif(Box::new(lif)), links: trains },
            Err(why) => unknown(why),
        }
    }
}

/// Gives every unit the links from the groups that reach it.
fn connect(network: &Network, elements: &Elements, groups: &[Group], units: &mut [Unit]) {
    let drawn = Drawn::default();
    let members = members(network, groups);
    for (projection, ends) in ends(network) {
        let pairs = Pairs { network, elements, projection, ends, drawn: &drawn };
        for j in members[ends[1].0].clone() {
            for i in members[ends[0].0].clone() {
                match links(&pairs, (i, &groups[i]), &groups[j], &units[j].kind) {
                    Some(links) => units[j].links.extend(links),
                    None => {
                        units[j].kind = Kind::Unknown("the gain of a projection onto it follows a state".to_string());
                    }
                }
            }
        }
    }
}

/// The groups of each population, which lie side by side.
fn members(network: &Network, groups: &[Group]) -> Vec<Range<usize>> {
    let from = |position: usize| groups.partition_point(|g| g.position < position);
    (0..network.populations().count()).map(|p| from(p)..from(p + 1)).collect()
}

/// Source and target of a projection with their positions in `Network::populations`.
type Ends<'n> = [(usize, &'n Population); 2];

/// The projections between populations.
fn ends(network: &Network) -> Vec<(&Projection, Ends<'_>)> {
    let all: BTreeMap<PopulationId, (usize, &Population)> =
        network.populations().enumerate().map(|(k, (id, p))| (id, (k, p))).collect();
    let of = |id| all.get(&id).copied();
    network.projections().filter_map(|(e, from, to, _)| Some((&network.graph[e], [of(from)?, of(to)?]))).collect()
}

/// What reaches a cell of one group, which is of a kind, from the cells of another by one projection; `None` where its gain is not
/// known.
fn links(pairs: &Pairs, (i, pre): (usize, &Group), post: &Group, kind: &Kind) -> Option<Vec<Link>> {
    let projection = pairs.projection;
    let synapses = pairs.indegree(pre, post);
    if synapses <= 0.0 {
        return Some(Vec::new());
    }
    let gain = match (kind, projection.gain) {
        (_, None) => 1.0,
        (Kind::Lif(lif), Some(g)) => lif.constant(g),
        _ => f64::NAN,
    };
    if !gain.is_finite() {
        return None;
    }
    let link = |m: Moments| {
        let input = Input {
            receptor: projection.receptor as usize,
            weight: gain * m.weight,
            square: gain * gain * m.square,
            rate: synapses * m.share,
        };
        Link { from: From::Group(i), projection: projection.path.clone(), input }
    };
    Some(pairs.weights(pre, post).into_iter().map(link).collect())
}

/// The targets of the links that each unit has to others.
fn reached(units: &[Unit]) -> Vec<Vec<usize>> {
    let mut out = vec![Vec::new(); units.len()];
    for (k, unit) in units.iter().enumerate() {
        for link in &unit.links {
            if let From::Group(i) = link.from {
                out[i].push(k);
            }
        }
    }
    out
}

/// Units that an unknown one reaches are unknown too.
fn exclude(units: &mut [Unit]) {
    let reached = reached(units);
    let mut unknown: Vec<usize> = (0..units.len()).filter(|k| matches!(units[*k].kind, Kind::Unknown(_))).collect();
    while let Some(k) = unknown.pop() {
        for target in &reached[k] {
            if matches!(units[*target].kind, Kind::Lif(_)) {
                units[*target].kind = Kind::Unknown("it receives from cells whose rate is not known".to_string());
                unknown.push(*target);
            }
        }
    }
}

fn summary(network: &Network, groups: &[Group], units: Vec<Unit>) -> Prediction {
    let equations = Equations::new(&units);
    let (low, high) = (equations.low_state(), equations.high_state());
    let nothing = vec![f64::NAN; units.len()];
    let rates = low.as_ref().unwrap_or(&nothing);
    let silent = silent(network, groups, &units);
    let at: Vec<Option<cell::Point>> = (0..units.len()).map(|k| equations.point(k, rates)).collect();
    let populations = network.populations().zip(members(network, groups)).map(|((_, p), members)| {
        let each = || members.clone();
        let cells: f64 = each().map(|k| groups[k].cells.len() as f64).sum();
        let mean = |f: &dyn Fn(usize) -> f64| each().map(|k| groups[k].cells.len() as f64 * f(k)).sum::<f64>() / cells;
        let why = each().find_map(|k| match &units[k].kind {
            Kind::Unknown(why) => Some(Treatment::Unknown(why.clone())),
            _ => None,
        });
        let source = each().all(|k| matches!(units[k].kind, Kind::Source(_)));
        let treatment = why.unwrap_or(if source { Treatment::Source } else { Treatment::Lif });
        let point = |k: usize, f: &dyn Fn(&cell::Point) -> f64| at[k].as_ref().map_or(f64::NAN, f);
        let signed = |sign: f64| mean(&|k| point(k, &|q| q.shares.iter().filter(|s| **s * sign > 0.0).sum()));
        let mut shares: Vec<Share> = Vec::new();
        for k in each() {
            let Some(q) = &at[k] else { continue };
            for (link, share) in units[k].links.iter().zip(&q.shares) {
                let part = share * groups[k].cells.len() as f64 / cells;
                match shares.iter_mut().find(|s| s.projection == link.projection && s.mean * part >= 0.0) {
                    Some(s) => s.mean += part,
                    None => shares.push(Share { projection: link.projection.clone(), mean: part }),
                }
            }
        }
        let threshold = |f: &dyn Fn(siegert::Threshold) -> f64| {
            mean(&|k| match &units[k].kind {
                Kind::Lif(lif) => f(lif.threshold),
                _ => f64::NAN,
            })
        };
        let rate = mean(&|k| rates[k]);
        let second = high.as_ref().map(|h| mean(&|k| h[k]));
        Expected {
            path: p.path.clone(),
            treatment,
            excitation: signed(1.0),
            inhibition: signed(-1.0),
            mu: mean(&|k| point(k, &|q| q.mu)),
            sigma: mean(&|k| point(k, &|q| q.sigma)),
            theta: threshold(&|t| t.theta),
            rate,
            other: second.filter(|r| (r - rate).abs() > 1e-3 * (r + rate) + 1e-9),
            t_ref: threshold(&|t| t.t_ref),
            silent: each().all(|k| silent[k]),
            shares,
        }
    });
    Prediction { populations: populations.collect(), solved: low.is_some(), stationary: stationary(network) }
}

/// The groups that can't fire of themselves, nor by private trains.
fn resting(network: &Network, groups: &[Group], units: &[Unit]) -> Vec<bool> {
    let rests = |(g, u): (&Group, &Unit)| {
        let Some(d) = network.population(g.population).map(|p| &p.dynamics) else { return false };
        let moved = d.params.iter().any(|p| p.settable) || d.exprs.iter().any(|(_, e)| matches!(e, Expr::Time));
        match (&u.kind, &d.spike) {
            _ if moved => false,
            (_, Spike::Schedule(trains)) => trains.distinct().iter().all(Vec::is_empty),
            (Kind::Source(rate), _) => *rate == 0.0,
            (Kind::Lif(lif), _) => {
                let train = |l: &Link| matches!(l.from, From::Train) && l.input.rate > 0.0 && lif.excites(&l.input);
                lif.rests() && !u.links.iter().any(train)
            }
            (Kind::Unknown(_), _) => false,
        }
    };
    groups.iter().zip(units).map(rests).collect()
}

/// The groups that can't fire: what no excitation reaches, but from groups that can't fire either.
fn silent(network: &Network, groups: &[Group], units: &[Unit]) -> Vec<bool> {
    let mut out = resting(network, groups, units);
    let reached = reached(units);
    let mut firing: Vec<usize> = (0..units.len()).filter(|k| !out[*k]).collect();
    while let Some(k) = firing.pop() {
        for target in reached[k].iter().copied() {
            let Kind::Lif(lif) = &units[target].kind else { continue };
            let excites = |l: &Link| matches!(l.from, From::Group(i) if i == k) && lif.excites(&l.input);
            if out[target] && units[target].links.iter().any(excites) {
                out[target] = false;
                firing.push(target);
            }
        }
    }
    out
}

/// Nothing reads the time, nothing is set, no source has an end: the state that [`predict`] finds is what a run comes to.
pub fn stationary(network: &Network) -> bool {
    network.populations().all(|(_, p)| {
        let d = &p.dynamics;
        let ends = matches!(d.spike, Spike::Schedule(_));
        let clock = p.source && matches!(d.spike, Spike::When(_)) && !d.states.is_empty();
        let timed = d.exprs.iter().any(|(_, e)| matches!(e, Expr::Time));
        !ends && !d.params.iter().any(|q| q.settable) && (!timed || clock)
    })
}
