//! From a validated network to one of integers. Floats end here.
//!
//! States: [`scale`]; equations: [`forms`] and [`code`]; synapses: one exponent for each projection, chosen so that the largest
//! weight just fits, and mantissas rounded to the nearest; rules: [`learning`], and what they read of the outside, [`factors`]. What each
//! of them costs stands in the [`Report`].

mod code;
mod deployed;
mod dynamics;
mod factors;
mod forms;
mod learning;
mod rounding;
mod scale;
mod values;
mod weights;

use super::emit::bases;
use super::fixed::{
    FixedBody, FixedNetwork, FixedPopulation, FixedProjection, FixedSynapse, HostSpike, Sign, SynapseFormat, TraceWrite,
};
use super::microcode::{Program, assemble};
use super::target::Numbers;
use super::writes::Writes;
use crate::backend::build::{Elements, PopulationElements, SynapsePlan, apply, elements, list};
use crate::backend::{RunError, Setting, eval};
use crate::ir::{Coupled, Expr, ExprId, Network, Population, PopulationId, ProjectionId, Spike};
use crate::valid::Validated;
pub use deployed::{CellCode, Deployment, SynapseCode, ThirdFactor};
use dynamics::{Lowered, Outside};
use factors::Origin;
pub use factors::RESTING;
use forms::Refusal;
pub use learning::TermReport;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something of a circuit that the chip doesn't do.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: Kind,
    pub place: Place,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An equation, a condition or a reset; what to do, where it is not to take another model.
    Dynamics {
        instead: Option<&'static str>,
    },
    Delay,
    /// A connection that is no spike.
    Continuous,
    Plasticity,
    Winners,
    /// Weights or elements that can't be built or stored.
    Weights,
    /// Weights that all become 0.
    Zeros,
    /// What the experiment changes and the host can't.
    Host,
}

/// Where it stands, by path.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Population(String),
    Projection(String),
}

/// What quantising cost.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Report {
    pub populations: Vec<PopulationReport>,
    pub projections: Vec<ProjectionReport>,
    pub terms: Vec<TermReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PopulationReport {
    pub path: String,
    pub program: String,
    /// Operations of the program.
    pub operations: usize,
    pub state_bytes: u32,
    /// Largest relative error of a coefficient.
    pub coefficient_error: f64,
    /// The state that may be furthest off because products are cut off, and by which part of the way to threshold.
    pub cut_off: Option<(String, f64)>,
    /// State, its offset and what one integer is worth, in internal units.
    pub states: Vec<(String, f64, f64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectionReport {
    pub path: String,
    pub synapses: u64,
    /// Bits of the mantissa and the shared exponent.
    pub bits: u32,
    pub exponent: i32,
    /// One unit of the mantissa, in internal units.
    pub unit: f64,
    /// Root mean square and mean of the error over the root mean square of the weights; the largest error over the largest weight.
    pub rms_error: f64,
    pub mean_error: f64,
    pub largest_error: f64,
    /// Weights that are 0 now and were not.
    pub lost: u64,
}

/// A network as integers, and what that cost. `steps` is how long schedules of sources are kept; `writes` is what the host will
/// change of it.
///
/// # Errors
/// Everything that the chip doesn't do.
pub fn quantise(
    network: Validated<'_>,
    seed: u64,
    steps: u64,
    writes: &Writes,
    numbers: &Numbers,
) -> Result<(FixedNetwork, Report), Vec<Finding>> {
    let network = network.network();
    let (elements, lowered, mut findings) = examine(network, seed, writes, numbers);
    let Some(elements) = elements.filter(|_| findings.is_empty()) else { return Err(findings) };
    let mut out = FixedNetwork {
        name: network.name.clone(),
        step_ns: (network.dt_ms * 1e6).round() as u64,
        seed,
        steps,
        ..FixedNetwork::default()
    };
    let mut report = Report::default();
    let mut base = 0;
    for ((_, p), lowered) in network.populations().zip(&lowered) {
        match lowered {
            Some(l) => population(p, l, &mut out, &mut report, &mut findings),
            None => {
                schedule(p, base, steps, &mut out.events);
                let path = p.path.clone();
                out.populations.push(FixedPopulation { path, size: p.size, body: None, graded: false });
            }
        }
        base += p.size;
    }
    out.events.sort();
    let pace = learning::pace(network);
    let position: BTreeMap<_, _> = network.populations().zip(0_u32..).map(|((id, _), k)| (id, k)).collect();
    for (id, from, to, p) in network.projections() {
        let receptor = lowered[position[&to] as usize].as_ref().and_then(|l| l.receptors[p.receptor as usize]);
        let Some(receptor) = receptor else { continue };
        let rule = network.plasticity.iter().find(|r| r.projection == id);
        let learned = rule.and_then(|r| Some((r, learning::recognise(network, r).ok()?)));
        let most = learned.as_ref().map_or(0.0, |(_, r)| r.most);
        let fail = |kind, what| Finding { kind, place: Place::Projection(p.path.clone()), what };
        let (mut format, synapses, costs) = match projection(network, &elements, id, seed, receptor, most, numbers) {
            Ok(made) => made,
            Err((kind, what)) => {
                findings.push(fail(kind, what));
                continue;
            }
        };
        if let Some((rule, recognised)) = learned {
            let pace = pace.filter(|_| learning::keeps_pace(network, rule));
            match learning::quantise(&rule.name, &recognised, costs.unit, network.dt_ms, seed, pace) {
                Ok((rule, terms)) => {
                    format.rule = Some(out.rules.len() as u32);
                    out.rules.push(rule);
                    report.terms.extend(terms);
                }
                Err(what) => findings.push(fail(Kind::Plasticity, what)),
            }
        }
        report.projections.push(costs);
        let (source, target) = (position[&from], position[&to]);
        out.projections.push(FixedProjection { path: p.path.clone(), source, target, format, synapses });
    }
    third_factors(network, &elements, &position, &mut out, &mut findings);
    levels_of_cells(network, &lowered, &position, &mut out);
    if findings.is_empty() { Ok((out, report)) } else { Err(findings) }
}

/// Packets of modulators, after all projections; what the host writes, as it is at the start.
fn third_factors(
    network: &Network,
    elements: &Elements,
    position: &BTreeMap<PopulationId, u32>,
    out: &mut FixedNetwork,
    findings: &mut Vec<Finding>,
) {
    let bases = bases(&out.populations);
    for f in factors::factors(network) {
        let (Some(target), Some(cells)) = (position.get(&f.target), network.population(f.target)) else { continue };
        match f.origin {
            Origin::Modulator(m) => {
                let Some(source) = position.get(&m.source) else { continue };
                // No weight, but a packet has to say who takes it.
                let format = SynapseFormat {
                    bits: 1,
                    sign: Sign::Excitatory,
                    exponent: 0,
                    delay_bits: 0,
                    accumulator: 0,
                    rule: None,
                    third_factor: Some(f.trace),
                };
                let one = |post| FixedSynapse { pre: 0, post, weight: format.store(255), delay: 0 };
                out.projections.push(FixedProjection {
                    path: network.graph[m.projection].path.clone(),
                    source: *source,
                    target: *target,
                    format,
                    synapses: (0..cells.size).map(one).collect(),
                });
            }
            // Nothing comes before the first step.
            Origin::Event(_) => {}
            Origin::Host(value) => {
                let first = bases[*target as usize];
                let learns = |p: &FixedProjection| p.target == *target && p.format.rule.is_some();
                let projections = (0_u32..).zip(&out.projections).filter(|(_, p)| learns(p)).map(|(k, _)| k);
                let built = &elements.populations[*target as usize];
                let values = written(cells, built, value);
                if values.contains(&None) {
                    let place = Place::Population(cells.path.clone());
                    let what = "a rule reads a number beyond 2, which is all that a trace holds".to_string();
                    findings.push(Finding { kind: Kind::Plasticity, place, what });
                }
                for projection in projections {
                    let moved = (first..).zip(&values).filter_map(|(neuron, v)| Some((neuron, v.filter(|v| *v != 0)?)));
                    out.writes.extend(moved.map(|(neuron, v)| TraceWrite {
                        step: 1,
                        projection,
                        neuron,
                        trace: f.trace,
                        value: factors::RESTING + v,
                    }));
                }
            }
        }
    }
}

/// Packets of modulators that cells follow.
fn levels_of_cells(
    network: &Network,
    lowered: &[Option<Lowered>],
    position: &BTreeMap<PopulationId, u32>,
    out: &mut FixedNetwork,
) {
    for (id, cells) in network.populations() {
        let Some((target, own)) = position.get(&id).and_then(|at| Some((*at, lowered[*at as usize].as_ref()?))) else {
            continue;
        };
        // Behind those of receptors.
        let first = own.receptors.iter().flatten().count() as u32;
        for (followed, accumulator) in factors::followed(network, id).into_iter().flatten().zip(first..) {
            let Some(source) = position.get(&followed.modulator.source) else { continue };
            let format = SynapseFormat {
                bits: 1,
                sign: Sign::Excitatory,
                exponent: 0,
                delay_bits: 0,
                accumulator,
                rule: None,
                third_factor: None,
            };
            let one = |post| FixedSynapse { pre: 0, post, weight: format.store(factors::HEARD), delay: 0 };
            out.projections.push(FixedProjection {
                path: network.graph[followed.modulator.projection].path.clone(),
                source: *source,
                target,
                format,
                synapses: (0..cells.size).map(one).collect(),
            });
        }
    }
}

/// What the host writes for each cell, from the resting value; `None`: more than a trace holds.
fn written(cells: &Population, built: &PopulationElements, value: ExprId) -> Vec<Option<i32>> {
    let exprs = &cells.dynamics.exprs;
    let order = eval::order(exprs, &[value]);
    let mut scratch = vec![];
    let mut one = |cell: u32| {
        eval::evaluate(exprs, &order, &mut scratch, &mut |e, _| match e {
            Expr::Param(k) => built.params.get(*k as usize).map_or(f64::NAN, |v| v.at(cell)),
            _ => f64::NAN,
        });
        let whole = (scratch[value.0 as usize] * factors::WRITTEN).round();
        let fits = (f64::from(-factors::RESTING)..=f64::from(127 - factors::RESTING)).contains(&whole);
        fits.then_some(whole as i32)
    };
    (0..cells.size).map(&mut one).collect()
}

/// Everything that the chip doesn't do of a network, without building its synapses.
pub fn legalise(network: Validated<'_>, seed: u64, writes: &Writes, numbers: &Numbers) -> Vec<Finding> {
    examine(network.network(), seed, writes, numbers).2
}

/// Elements, and each population's program where it has one.
fn examine(
    network: &Network,
    seed: u64,
    writes: &Writes,
    numbers: &Numbers,
) -> (Option<Elements>, Vec<Option<Lowered>>, Vec<Finding>) {
    let mut findings = structure(network, numbers);
    findings.extend(gains(network, writes));
    let elements = match elements(network, seed).and_then(|e| set(network, e, &writes.settings)) {
        Ok(elements) => elements,
        Err(e) => {
            let place = Place::Population(network.name.clone());
            findings.push(Finding { kind: Kind::Weights, place, what: format!("{e:?}") });
            return (None, vec![], findings);
        }
    };
    let carried = factors::carried(network);
    let mut lowered = Vec::new();
    for (k, (id, p)) in network.populations().enumerate() {
        // What continuous projections bring was told at each of them, unless it is for rules, or a level that cells follow.
        let followed = factors::followed(network, id);
        let follows = |c: &Coupled| followed.iter().flatten().any(|f| f.modulator.projection == c.projection);
        if p.dynamics.coupled.iter().any(|c| !carried.contains(&c.projection) && !follows(c)) {
            lowered.push(None);
            continue;
        }
        lowered.push(lower(network, k, &elements, writes, &[]).unwrap_or_else(|refusals| {
            // What has the same remedy is told at once.
            let mut told: Vec<(Option<&'static str>, Vec<String>)> = Vec::new();
            for r in refusals {
                match told.iter_mut().find(|(instead, _)| *instead == r.instead) {
                    Some((_, list)) => list.push(r.what),
                    None => told.push((r.instead, vec![r.what])),
                }
            }
            findings.extend(told.into_iter().map(|(instead, list)| Finding {
                kind: Kind::Dynamics { instead },
                place: Place::Population(p.path.clone()),
                what: list.join("; "),
            }));
            None
        }));
    }
    (Some(elements), lowered, findings)
}

/// A population's program and words; `None` where spikes come from the host.
fn lower(
    network: &Network,
    population: usize,
    elements: &Elements,
    writes: &Writes,
    arrivals: &[f64],
) -> Result<Option<Lowered>, Vec<Refusal>> {
    match network.populations().nth(population) {
        Some((id, p)) if !matches!(p.dynamics.spike, Spike::Schedule(_)) => {
            let (live, bounds) = (writes.live(population), bounds(network, id, p));
            let outside = outside(network, elements, id)?;
            let built = &elements.populations[population];
            dynamics::lower(p, built, &live, network.dt_ms, &bounds, &outside, arrivals).map(Some)
        }
        _ => Ok(None),
    }
}

/// What a population sends as a modulator, what modulators its cells follow, and what events it hears.
fn outside(network: &Network, elements: &Elements, id: PopulationId) -> Result<Outside, Vec<Refusal>> {
    let start = |source: PopulationId, value: ExprId| -> Result<f64, Vec<Refusal>> {
        let at = network.populations().position(|(p, _)| p == source);
        let level = at.and_then(|at| Some(first_level(network.population(source)?, &elements.populations[at], value)));
        // What it is told by is a multiple of this; so both sides begin with the same.
        let level = level.map(|level| (level * factors::TOLD).round() / factors::TOLD);
        level.filter(|v| v.is_finite()).ok_or_else(|| vec!["a level that has no value at the start".into()])
    };
    let followed = factors::followed(network, id).into_iter().flatten();
    let follows = followed.map(|f| Ok((f.coupled, start(f.modulator.source, f.modulator.value)?)));
    let follows = follows.collect::<Result<_, Vec<Refusal>>>()?;
    let told = factors::told(network, id).map(|value| start(id, value).map(|first| (value, first))).transpose()?;
    let readers = network.events.iter().flat_map(|e| &e.readers).filter(|r| r.population == id);
    let flags = readers.map(|r| r.flag).collect();
    Ok(Outside { taught: factors::level(network, id), told, follows, flags })
}

/// The level of a modulator before the first step.
fn first_level(cell: &Population, built: &PopulationElements, value: ExprId) -> f64 {
    let exprs = &cell.dynamics.exprs;
    let order = eval::order(exprs, &[value]);
    let mut scratch = vec![];
    eval::evaluate(exprs, &order, &mut scratch, &mut |e, _| match e {
        Expr::Param(k) => built.params.get(*k as usize).map_or(f64::NAN, |v| v.at(0)),
        Expr::State(k) => built.initial.get(*k as usize).and_then(|v| v.first()).copied().unwrap_or(f64::NAN),
        _ => f64::NAN,
    });
    scratch[value.0 as usize]
}

/// Gains that the experiment changes: weights are stored with them.
fn gains(network: &Network, writes: &Writes) -> Vec<Finding> {
    let mut out = Vec::new();
    for (_, _, to, p) in network.projections() {
        let (Some(gain), Some(at)) = (p.gain, network.populations().position(|(id, _)| id == to)) else { continue };
        let (exprs, live) = (&network.graph[to], writes.live(at));
        let crate::ir::Node::Population(target) = exprs else { continue };
        let exprs = &target.dynamics.exprs;
        let changes = |id: &ExprId| matches!(exprs.get(*id), Expr::Param(k) if live.contains(k));
        if eval::order(exprs, &[gain]).iter().any(changes) {
            let what = "weights are stored together with their gain".to_string();
            out.push(Finding { kind: Kind::Host, place: Place::Projection(p.path.clone()), what });
        }
    }
    out
}

/// Params as the experiment sets them before it begins.
fn set(network: &Network, mut elements: Elements, settings: &[Setting]) -> Result<Elements, RunError> {
    for setting in settings {
        let population = network.populations().nth(setting.population);
        if let (Some((_, p)), Some(built)) = (population, elements.populations.get_mut(setting.population)) {
            apply(&p.dynamics, network.dt_ms, &mut built.params, p.size, setting)?;
        }
    }
    Ok(elements)
}

/// By receptor: the upper bound of weights onto it that learn.
fn bounds(network: &Network, target: PopulationId, p: &Population) -> Vec<Option<f64>> {
    let mut out = vec![None; p.dynamics.receptors.len()];
    for rule in &network.plasticity {
        let ends = network.graph.edge_endpoints(rule.projection);
        let (Some((_, to)), Some(p)) = (ends, network.graph.edge_weight(rule.projection)) else { continue };
        if let (true, Ok(rule)) = (to == target, learning::recognise(network, rule))
            && let Some(bound) = out.get_mut(p.receptor as usize)
        {
            *bound = Some(bound.map_or(rule.most, |b: f64| b.max(rule.most)));
        }
    }
    out
}

/// What the shape of the network alone rules out.
fn structure(network: &Network, numbers: &Numbers) -> Vec<Finding> {
    let mut out = Vec::new();
    // The one step that every spike takes, and those of the synapse.
    let longest = numbers.delay_steps + 1;
    let projection = |kind, path: &str, what: String| Finding { kind, place: Place::Projection(path.into()), what };
    for (_, _, _, p) in network.projections() {
        if p.delay.max() > longest {
            let ms = f64::from(p.delay.max()) * network.dt_ms;
            let most = f64::from(longest) * network.dt_ms;
            let what =
                format!("a delay of {} steps ({ms} ms); a synapse has at most {longest} ({most} ms)", p.delay.max());
            out.push(projection(Kind::Delay, &p.path, what));
        }
    }
    let carried = factors::carried(network);
    for (id, _, to, p, _) in network.couplings().filter(|(id, ..)| !carried.contains(id)) {
        let read = factors::followed(network, to).into_iter().find(|f| match f {
            Ok(f) => f.modulator.projection == id,
            Err((projection, _)) => *projection == id,
        });
        match read {
            Some(Ok(_)) => {}
            Some(Err((_, what))) => out.push(projection(Kind::Continuous, &p.path, what)),
            None => out.push(projection(Kind::Continuous, &p.path, "a value at every step".to_string())),
        }
    }
    for w in &network.winners {
        if let Some(p) = network.population(w.population) {
            let what = format!("at most {} of {} active: no core sees all cells of a population", w.most, p.size);
            out.push(Finding { kind: Kind::Winners, place: Place::Population(p.path.clone()), what });
        }
    }
    for rule in &network.plasticity {
        if let (Err(what), Some(p)) = (learning::recognise(network, rule), network.graph.edge_weight(rule.projection)) {
            out.push(projection(Kind::Plasticity, &p.path, format!("{}: {what}", rule.name)));
        }
    }
    out
}

fn population(p: &Population, l: &Lowered, out: &mut FixedNetwork, report: &mut Report, findings: &mut Vec<Finding>) {
    let program: Program = match assemble(&l.text) {
        Ok(program) => program,
        Err(e) => {
            let place = Place::Population(p.path.clone());
            let what = format!("its program is too large: {e}");
            findings.push(Finding { kind: Kind::Dynamics { instead: None }, place, what });
            return;
        }
    };
    report.populations.push(PopulationReport {
        path: p.path.clone(),
        program: program.name.clone(),
        operations: program.ops.len(),
        state_bytes: program.state_bytes(),
        coefficient_error: l.error,
        cut_off: p
            .dynamics
            .states
            .iter()
            .zip(&l.rounding)
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(s, part)| (s.name.clone(), *part)),
        states: p
            .dynamics
            .states
            .iter()
            .zip(&l.offsets)
            .zip(&l.scales)
            .map(|((s, o), k)| (s.name.clone(), *o, 1.0 / k))
            .collect(),
    });
    // Populations of one model share its program.
    let at = out.programs.iter().position(|q| *q == program).unwrap_or_else(|| {
        out.programs.push(program);
        out.programs.len() - 1
    });
    let body = FixedBody { program: at as u32, params: l.params.clone(), states: l.states.clone() };
    out.populations.push(FixedPopulation {
        path: p.path.clone(),
        size: p.size,
        body: Some(body),
        graded: l.level.is_some() || l.told.is_some(),
    });
}

/// The spikes of a scheduled source within `steps` steps. One at step s of the IR is sent at the end of it.
fn schedule(p: &Population, base: u32, steps: u64, out: &mut Vec<HostSpike>) {
    let Spike::Schedule(trains) = &p.dynamics.spike else { return };
    for k in 0..p.size {
        let kept = trains.of(k as usize).iter().filter(|s| **s <= steps);
        out.extend(kept.map(|s| HostSpike { step: *s, neuron: base + k, payload: 1 }));
    }
}

type Stored = (super::fixed::SynapseFormat, Vec<super::fixed::FixedSynapse>, ProjectionReport);

fn projection(
    network: &Network,
    elements: &Elements,
    id: ProjectionId,
    seed: u64,
    (accumulator, scale): (u32, f64),
    most: f64,
    numbers: &Numbers,
) -> Result<Stored, (Kind, String)> {
    let words = |e: RunError| (Kind::Weights, format!("{e:?}"));
    let plan = SynapsePlan::new(network, elements, id, seed).map_err(words)?;
    let list = list(network, elements, id, &plan).map_err(words)?;
    let made = weights::quantise(&network.graph[id], &list, numbers.weight_bits, accumulator, scale, most)
        .map_err(|what| (Kind::Weights, what))?;
    // A projection that does nothing is another circuit.
    if made.2.lost > 0 && made.1.iter().all(|s| s.weight == 0) {
        let largest = list.iter().fold(0.0, |m: f64, s| m.max(s.weight.abs())) * scale;
        let what = format!(
            "its strongest synapse is {largest:.1e} of the least that the state at its end holds, so all become 0"
        );
        return Err((Kind::Zeros, what));
    }
    Ok(made)
}
