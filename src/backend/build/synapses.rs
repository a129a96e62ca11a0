//! The synapses of one projection, target by target, with weights and delays.
//!
//! Which cells are connected comes from `connect`; what a synapse weighs and how long it takes comes from build
//! expressions. Weights and delays are not stored: those of a target are made when asked for, by any thread, with the
//! same bits. Cells of a subset are taken in its order; it is ascending, and so are the sources of a target.

use super::by_target::ByTarget;
use super::columns::{COLUMN, Columns, Run};
use super::elements::Elements;
use super::ends::{End, ends, of_side};
use super::filter::Filter;
use super::formula::{Formula, Leaves, Level, Values};
use super::mirror::mirrored;
use super::procedural::SourceRows;
use crate::backend::engine::RunError;
use crate::connect::{
    Candidates, Cells, Ends, Expansion, Outgoing, Rule, Sources, expected_synapses, max_indegree_bound,
};
use crate::ir::{Attribute, Delay, ExprId, Network, Population, Projection, ProjectionId, Side, Weight};
use crate::numerics::dispatch::multiversion;
use crate::random::{Purpose, StreamKey};
use std::ops::Range;
use std::sync::Arc;

/// Takes the synapses of one target: its index in the population; the indices of its sources, ascending; their weights;
/// their delays in steps. Weights and delays are empty where the projection has one for all ([`Weight::Constant`],
/// [`Delay::Constant`]).
pub type Sink<'s> = dyn FnMut(u32, &[u32], &[f64], &[u32]) + 's;

/// What a projection's synapses are made from: its ends as built and its expressions, prepared.
pub struct SynapsePlan<'n> {
    network: &'n Network,
    projection: &'n Projection,
    pre: Arc<End<'n>>,
    post: Arc<End<'n>>,
    ends: Ends<'n>,
    connect: StreamKey,
    filter: Option<Filter<'n>>,
    /// With whether values are rounded to single precision.
    weight: Option<(Formula<'n>, bool)>,
    /// With the most steps.
    delay: Option<(Formula<'n>, u32)>,
}

/// The synapses of one projection, ready to be enumerated; may be shared between threads.
pub struct Synapses<'p> {
    plan: &'p SynapsePlan<'p>,
    /// `None` where rows are made by source.
    expansion: Option<Expansion<'p>>,
    /// Those that are known all together only: both directions of a symmetric projection, or rows made by source.
    listed: Option<ByTarget>,
}

impl<'n> SynapsePlan<'n> {
    /// `elements` are those that [`super::elements()`] built for `network` under the same `seed`.
    ///
    /// # Errors
    /// [`RunError::Build`] where an end has no elements or axes that do not fit its size.
    pub fn new(
        network: &'n Network,
        elements: &'n Elements,
        id: ProjectionId,
        seed: u64,
    ) -> Result<SynapsePlan<'n>, RunError> {
        SynapsePlan::filtered(network, elements, id, seed, "where")
    }

    /// What new synapses may be chosen from while the network runs: where pairs are candidates by chance, they are drawn anew.
    ///
    /// # Errors
    /// As [`SynapsePlan::new`].
    pub fn regrown(
        network: &'n Network,
        elements: &'n Elements,
        id: ProjectionId,
        seed: u64,
    ) -> Result<SynapsePlan<'n>, RunError> {
        SynapsePlan::filtered(network, elements, id, seed, "regrow")
    }

    fn filtered(
        network: &'n Network,
        elements: &'n Elements,
        id: ProjectionId,
        seed: u64,
        filter: &str,
    ) -> Result<SynapsePlan<'n>, RunError> {
        let Some((from, to)) = network.graph.edge_endpoints(id) else {
            return Err(RunError::Build(format!("there is no projection {}", id.index())));
        };
        let projection = &network.graph[id];
        let path = &projection.path;
        let row = if projection.procedural.is_some() { Side::Pre } else { Side::Post };
        let formula_of = |row: Side, value: ExprId, path: &str, purpose| {
            let key = StreamKey::new(seed, path, purpose);
            Formula::by(row, &network.build, elements.tables(network), value, key)
        };
        let formula = |value, purpose| formula_of(row, value, path, purpose);
        let weight = match projection.weight {
            Weight::Constant(_) => None,
            Weight::PerSynapse { value, single } => Some((formula(value, Purpose::Weight), single)),
        };
        let delay = match projection.delay {
            Delay::Constant(_) => None,
            Delay::PerSynapse { value, max } => Some((formula(value, Purpose::Delay), max.max(1))),
        };
        // Apart from the draws of the rule, which are keyed by the path itself.
        let filter =
            projection.filter.map(|value| formula_of(Side::Post, value, &format!("{path}.{filter}"), Purpose::Connect));
        let mut reads: Vec<(Side, Attribute)> = vec![];
        let formulas = [weight.as_ref().map(|w| &w.0), delay.as_ref().map(|d| &d.0), filter.as_ref()];
        formulas.into_iter().flatten().for_each(|f| reads.extend(f.attributes()));
        let pre = Arc::new(End::new(network, elements, from, &of_side(&reads, Side::Pre))?);
        let post = Arc::new(End::new(network, elements, to, &of_side(&reads, Side::Post))?);
        let ends = ends(projection, pre.population, post.population, from == to);
        let filter = filter.map(|f| Filter::new(path, f, (pre.clone(), ends.pre), (post.clone(), ends.post)));
        let connect = StreamKey::new(seed, path, Purpose::Connect);
        Ok(SynapsePlan { network, projection, pre, post, ends, connect, filter, weight, delay })
    }

    /// Checks the rule against its ends and draws what concerns several targets at once.
    ///
    /// # Errors
    /// [`RunError::Build`] with the projection's path where the rule cannot be carried out or `where` fails.
    pub fn expand(&self) -> Result<Synapses<'_>, RunError> {
        if self.projection.procedural.is_some() {
            return Ok(Synapses { plan: self, expansion: None, listed: Some(SourceRows::new(self)?.all()?) });
        }
        let candidates = self.candidates();
        let expansion = Expansion::prepare(&self.projection.spec, self.ends, candidates, self.connect);
        // A filter that failed gives wrong candidates, so its error comes before what they lead to.
        self.filter_fault()?;
        let expansion = expansion.map_err(|e| RunError::Build(format!("{}: {e}", self.projection.path)))?;
        let mut out = Synapses { plan: self, expansion: Some(expansion), listed: None };
        if self.projection.symmetric {
            out.listed = Some(mirrored(&out)?);
        }
        Ok(out)
    }

    /// The rule of a procedural projection, ready to make the row of any source.
    ///
    /// # Errors
    /// [`RunError::Build`] with the projection's path where the rule cannot be carried out.
    pub(super) fn outgoing(&self) -> Result<Outgoing<'_>, RunError> {
        let wrong = |what: String| RunError::Build(format!("{}: {what}", self.projection.path));
        let filter = self.candidates().filter;
        let rule = Outgoing::prepare(&self.projection.spec, self.ends, filter, self.connect);
        let by_target = || wrong(format!("{} makes no row of one source", self.projection.spec.rule.name()));
        rule.map_err(|e| wrong(e.to_string()))?.ok_or_else(by_target)
    }

    fn candidates(&self) -> Candidates<'_> {
        self.filter.as_ref().map_or(Candidates::ALL, Filter::candidates)
    }

    /// The number of synapses, where a rule draws them one by one the expected one, without drawing any; a `where` is asked for
    /// every pair.
    ///
    /// # Errors
    /// [`RunError::Build`] where `where` fails.
    pub fn count(&self) -> Result<u64, RunError> {
        let synapses = expected_synapses(&self.projection.spec, &self.ends, &self.candidates());
        self.filter_fault()?;
        Ok(synapses.round() as u64)
    }

    /// The weight and delay that all synapses share, NaN and 0 where they differ.
    pub fn constants(&self) -> (f64, u32) {
        let weight = if let Weight::Constant(w) = self.projection.weight { w } else { f64::NAN };
        let delay = if let Delay::Constant(d) = self.projection.delay { d } else { 0 };
        (weight, delay)
    }

    pub(super) fn ends(&self) -> &Ends<'n> {
        &self.ends
    }

    /// Whether weights or delays may turn out to be no numbers.
    pub(super) fn fallible(&self) -> bool {
        let formulas = [self.weight.as_ref().map(|w| &w.0), self.delay.as_ref().map(|d| &d.0)];
        formulas.into_iter().flatten().any(|f| !f.sound())
    }

    /// Source cells as indices, in the order of their positions.
    pub(super) fn pres(&self) -> impl Iterator<Item = u32> {
        (0..self.ends.pre.len()).map(|k| self.ends.pre.id(k))
    }

    /// Whether positions of source cells are their indices.
    fn takes_positions(&self) -> bool {
        self.ends.pre == Cells::all(self.pre.population.size)
    }

    /// The target cell at a position.
    pub(super) fn post(&self, position: u32) -> u32 {
        self.ends.post.id(position)
    }

    /// Whether a cell that stands at both ends is left out as its own source.
    pub(super) fn without_self(&self) -> bool {
        self.ends.same_population && !self.projection.spec.autapses
    }

    /// The bits of what the weight reads of one end: cells that agree in them have the same weights.
    pub(super) fn weight_key(&self, side: Side, neuron: u32) -> Vec<u64> {
        let end = if side == Side::Pre { &self.pre } else { &self.post };
        let attributes = self.weight.as_ref().map_or_else(Vec::new, |(formula, _)| formula.attributes());
        of_side(&attributes, side).iter().map(|a| end.attribute(neuron, a).to_bits()).collect()
    }

    /// The weight between two cells, where it reads them alone.
    pub(super) fn weight_between(&self, pre: u32, post: u32) -> Result<f64, RunError> {
        let Some((formula, single)) = &self.weight else { return Ok(self.constants().0) };
        let at = Place { pre, post, element: 0, edge: None };
        let mut values = formula.values();
        compute(self, formula, Level::Row, &mut values, &at);
        compute(self, formula, Level::Element, &mut values, &at);
        self.weight(formula, *single, &values, &at)
    }

    /// The source population and its position in [`Network::populations`].
    pub fn source(&self) -> (usize, &'n Population) {
        (self.pre.position, self.pre.population)
    }

    /// The target population and its position in [`Network::populations`].
    pub fn target(&self) -> (usize, &'n Population) {
        (self.post.position, self.post.population)
    }

    /// The number of target cells: positions `0 .. posts` are what [`Synapses::incoming`] takes.
    pub fn posts(&self) -> u32 {
        self.ends.post.len()
    }

    pub(super) fn filter_fault(&self) -> Result<(), RunError> {
        self.filter.as_ref().map_or(Ok(()), Filter::fault)
    }

    /// The weight of the synapse whose leaves are in `at`.
    fn weight(&self, formula: &Formula, single: bool, values: &Values, at: &Place) -> Result<f64, RunError> {
        let w = formula.result(values).map_err(|message| self.wrong("weight", at, &message))?;
        let w = if single { f64::from(w as f32) } else { w };
        if w.is_finite() { Ok(w) } else { Err(self.wrong("weight", at, &format!("it is {w}"))) }
    }

    /// The delay in steps.
    fn delay(&self, formula: &Formula, max: u32, values: &Values, at: &Place) -> Result<u32, RunError> {
        let ms = formula.result(values).map_err(|message| self.wrong("delay", at, &message))?;
        if ms.is_nan() {
            return Err(self.wrong("delay", at, "it is NaN"));
        }
        Ok(self.steps(ms, max))
    }

    /// The nearest number of steps within what the projection allows, 1 ..= `max` unless it states a shortest delay.
    fn steps(&self, ms: f64, max: u32) -> u32 {
        let mut steps = [0];
        count_steps(&[ms], self.network.dt_ms, self.shortest(max), max, &mut steps);
        steps[0]
    }

    fn shortest(&self, max: u32) -> u32 {
        self.projection.procedural.map_or(1, |p| p.shortest).min(max)
    }

    fn attribute(&self, at: &Place, side: Side, attribute: &Attribute) -> f64 {
        match side {
            Side::Pre => self.pre.attribute(at.pre, attribute),
            Side::Post => self.post.attribute(at.post, attribute),
            // A synapse is no neuron; `valid` refuses such an expression.
            Side::Own => f64::NAN,
        }
    }

    fn column(&self, at: &Place, k: u32) -> f64 {
        let column = self.projection.columns.get(k as usize);
        column.zip(at.edge).and_then(|(values, edge)| values.get(edge as usize)).copied().unwrap_or(f64::NAN)
    }

    fn wrong(&self, what: &str, at: &Place, message: &str) -> RunError {
        RunError::Build(format!(
            "{}: the {what} of the synapse from {}[{}] to {}[{}]: {message}",
            self.projection.path, self.pre.population.path, at.pre, self.post.population.path, at.post
        ))
    }
}

/// A synapse: its neurons by index, what keys its draws, and its edge in an edge file.
struct Place {
    pre: u32,
    post: u32,
    element: u64,
    edge: Option<u32>,
}

impl<'p> Synapses<'p> {
    pub(super) fn plan(&self) -> &'p SynapsePlan<'p> {
        self.plan
    }

    pub(super) fn projection(&self) -> &'p Projection {
        self.plan.projection
    }

    /// Calls `sink` for the targets at the positions `posts` of the target subset in order, also for those without
    /// synapses. Any split of the positions over threads gives the same synapses.
    ///
    /// A draw for the i-th source of the target at position p is keyed by (seed, path, site, p * 2^32 + i).
    ///
    /// # Errors
    /// [`RunError::Build`] with projection, source and target where a weight is NaN or infinite, a delay is NaN, or a
    /// table index is out of range; nothing is given to `sink` from that target on.
    pub fn incoming(&self, posts: Range<u32>, sink: &mut Sink) -> Result<(), RunError> {
        match &self.listed {
            Some(list) => {
                list.incoming(posts.map(|position| self.plan.ends.post.id(position)), sink);
                Ok(())
            }
            None => self.directed(posts, sink),
        }
    }

    /// As [`Synapses::incoming`] without weights and delays; sources may be marked by index.
    ///
    /// # Errors
    /// As [`Synapses::incoming`].
    pub fn alike(&self, posts: Range<u32>, sink: &mut dyn FnMut(u32, Sources)) -> Result<(), RunError> {
        let ends = &self.plan.ends;
        match &self.expansion {
            Some(expansion) if self.listed.is_none() && self.plan.takes_positions() => {
                expansion.marked(posts, &mut |position, sources| sink(ends.post.id(position), sources));
                self.plan.filter_fault()
            }
            _ => self.incoming(posts, &mut |post, sources, _, _| sink(post, Sources::Listed(sources))),
        }
    }

    /// Calls `sink` for the targets at the positions `posts` in order with all sources that the rule may choose from, by index and
    /// ascending.
    ///
    /// # Errors
    /// [`RunError::Build`] where `where` fails.
    pub fn candidates(&self, posts: Range<u32>, sink: &mut dyn FnMut(u32, &[u32])) -> Result<(), RunError> {
        let ends = &self.plan.ends;
        let mut indices: Vec<u32> = vec![];
        let Some(expansion) = &self.expansion else { return Ok(()) };
        expansion.candidates(posts, &mut |position, sources| {
            indices.clear();
            indices.extend(sources.iter().map(|k| ends.pre.id(*k)));
            sink(ends.post.id(position), &indices);
        });
        self.plan.filter_fault()
    }

    /// What the rule itself draws.
    pub(super) fn directed(&self, posts: Range<u32>, sink: &mut Sink) -> Result<(), RunError> {
        let plan = self.plan;
        let Some(expansion) = &self.expansion else { return Ok(()) };
        let mut row = Row::new(plan);
        let whole = plan.takes_positions();
        let mut indices: Vec<u32> = vec![];
        let mut result = Ok(());
        expansion.incoming(posts, &mut |position, sources, edges| {
            if result.is_err() {
                return;
            }
            let sources = if whole {
                sources
            } else {
                indices.clear();
                indices.extend(sources.iter().map(|k| plan.ends.pre.id(*k)));
                &indices
            };
            let post = plan.ends.post.id(position);
            let first = u64::from(position) << 32;
            match row.fill(&Line { row: Side::Post, first, own: post, others: sources, edges }) {
                Ok(()) => sink(post, sources, &row.weights, &row.delays),
                Err(e) => result = Err(e),
            }
        });
        plan.filter_fault()?;
        result
    }
}

/// Weights and delays of one row at a time; empty where the projection has one for all.
pub(super) struct Row<'p> {
    plan: &'p SynapsePlan<'p>,
    weight: Option<(Part<'p>, bool)>,
    delay: Option<(Part<'p>, u32)>,
    pub(super) weights: Vec<f64>,
    pub(super) delays: Vec<u32>,
}

/// A formula with room for its values.
struct Part<'p> {
    formula: &'p Formula<'p>,
    values: Values,
    /// Unless it has to be computed element by element.
    columns: Option<Columns>,
}

impl<'p> Part<'p> {
    fn new(formula: &'p Formula<'p>) -> Part<'p> {
        Part { formula, values: formula.values(), columns: Columns::new(formula) }
    }
}

impl<'p> Row<'p> {
    pub(super) fn new(plan: &'p SynapsePlan<'p>) -> Row<'p> {
        Row {
            plan,
            weight: plan.weight.as_ref().map(|(formula, single)| (Part::new(formula), *single)),
            delay: plan.delay.as_ref().map(|(formula, max)| (Part::new(formula), *max)),
            weights: vec![],
            delays: vec![],
        }
    }

    pub(super) fn fill(&mut self, line: &Line) -> Result<(), RunError> {
        let plan = self.plan;
        if let Some((part, single)) = &mut self.weight {
            let weights = &mut self.weights;
            weights.clear();
            if *single {
                line.columns(plan, part, &mut |run| weights.extend(run.iter().map(|w| f64::from(*w as f32))));
            } else {
                line.columns(plan, part, &mut |run| weights.extend_from_slice(run));
            }
            // All of them, which is quicker than to stop at the first.
            let sound = weights.iter().fold(true, |sound, w| sound & w.is_finite());
            if weights.len() < line.others.len() || !sound {
                weights.clear();
                line.each(plan, part, &mut |values, place| {
                    weights.push(plan.weight(part.formula, *single, values, place)?);
                    Ok(())
                })?;
            }
        }
        if let Some((part, max)) = &mut self.delay {
            let delays = &mut self.delays;
            let (mut sound, shortest) = (true, plan.shortest(*max));
            delays.clear();
            line.columns(plan, part, &mut |run| {
                let before = delays.len();
                delays.resize(before + run.len(), 0);
                sound &= count_steps(run, plan.network.dt_ms, shortest, *max, &mut delays[before..]);
            });
            if delays.len() < line.others.len() || !sound {
                delays.clear();
                line.each(plan, part, &mut |values, place| {
                    delays.push(plan.delay(part.formula, *max, values, place)?);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

multiversion! {
    /// Steps of `dt` that are nearest to times, within bounds; false where a time is no number.
    fn count_steps / count_steps_at(ms: &[f64], dt: f64, least: u32, most: u32, steps: &mut [u32]) -> bool {
        let mut sound = true;
        for (ms, steps) in ms.iter().zip(steps) {
            sound &= !ms.is_nan();
            *steps = (ms / dt).round().clamp(f64::from(least), f64::from(most)) as u32;
        }
        sound
    }
}

/// Synapses that share the cell at one end.
pub(super) struct Line<'t> {
    /// Which end that is.
    pub(super) row: Side,
    /// Keys the draws of the first synapse; those of the others count on from there.
    pub(super) first: u64,
    pub(super) own: u32,
    /// The cells at the other end.
    pub(super) others: &'t [u32],
    pub(super) edges: Option<&'t [u32]>,
}

impl Line<'_> {
    fn between(&self, other: u32, element: u64, edge: Option<u32>) -> Place {
        let (pre, post) = if self.row == Side::Pre { (self.own, other) } else { (other, self.own) };
        Place { pre, post, element, edge }
    }

    fn place(&self, i: usize) -> Place {
        let edge = self.edges.and_then(|edges| edges.get(i)).copied();
        self.between(self.others[i], self.first + i as u64, edge)
    }

    /// What reads the row's own cell alone is computed before any other is looked at.
    fn prepare(&self, plan: &SynapsePlan, formula: &Formula, values: &mut Values) {
        compute(plan, formula, Level::Row, values, &self.between(0, 0, None));
    }

    /// Gives the values of all synapses in order, a column at a time; nothing where the formula has no columns.
    fn columns(&self, plan: &SynapsePlan, part: &mut Part, take: &mut dyn FnMut(&[f64])) {
        let Some(columns) = &mut part.columns else { return };
        self.prepare(plan, part.formula, &mut part.values);
        for start in (0..self.others.len()).step_by(COLUMN) {
            let run = Run {
                first: self.first + start as u64,
                length: self.others.len() - start,
                attribute: &|side, attribute, i| plan.attribute(&self.place(start + i), side, attribute),
                column: &|k, i| plan.column(&self.place(start + i), k),
            };
            take(columns.compute(part.formula, &part.values, &run));
        }
    }

    /// One synapse after the other.
    fn each(
        &self,
        plan: &SynapsePlan,
        part: &mut Part,
        take: &mut dyn FnMut(&Values, &Place) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        self.prepare(plan, part.formula, &mut part.values);
        for place in (0..self.others.len()).map(|i| self.place(i)) {
            compute(plan, part.formula, Level::Element, &mut part.values, &place);
            take(&part.values, &place)?;
        }
        Ok(())
    }
}

/// Computes one level of a formula at one synapse.
fn compute(plan: &SynapsePlan, formula: &Formula, level: Level, values: &mut Values, at: &Place) {
    let leaves = Leaves {
        element: at.element,
        attribute: &|side, attribute| plan.attribute(at, side, attribute),
        column: &|k| plan.column(at, k),
    };
    formula.compute(level, values, &leaves);
}

/// What a projection will take, before anything is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub path: String,
    /// Expected number of synapses; where a filter restricts the candidates, of the rule without it.
    pub synapses: f64,
    /// No target has more.
    pub max_indegree: u64,
}

/// Estimates all projections, in the order of [`Network::projections`].
pub fn estimate(network: &Network) -> Vec<Estimate> {
    network
        .projections()
        .filter_map(|(_, from, to, projection)| {
            let (pre, post) = network.population(from).zip(network.population(to))?;
            let ends = ends(projection, pre, post, from == to);
            let mut synapses = expected_synapses(&projection.spec, &ends, &Candidates::ALL);
            let mut max_indegree = max_indegree_bound(&projection.spec, &ends);
            if projection.symmetric
                && let Rule::Pairs { pre, .. } = &projection.spec.rule
            {
                // Every listed pair may touch the same cell, from either side.
                synapses *= 2.0;
                max_indegree = pre.len() as u64;
            }
            Some(Estimate { path: projection.path.clone(), synapses, max_indegree })
        })
        .collect()
}

#[cfg(test)]
mod tests;
