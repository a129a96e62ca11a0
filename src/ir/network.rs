//! Populations as nodes, projections as edges, dynamics as statements over expression arenas.

use super::coupling::{Coupled, Coupling};
use super::expr::{ExprId, Exprs};
use super::protocol::Bounds;
use crate::connect::{Rule, Spec};
use crate::units::Dimension;
use petgraph::Direction;
use petgraph::stable_graph::{EdgeIndex, NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef, IntoEdgeReferences};
use serde::{Deserialize, Serialize};

pub type PopulationId = NodeIndex<u32>;
pub type ProjectionId = EdgeIndex<u32>;

/// A whole circuit with every size, param and delay fixed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Network {
    pub name: String,
    pub dt_ms: f64,
    pub graph: StableDiGraph<Node, Projection, u32>,
    /// Expressions evaluated once per element while the network is built.
    pub build: Exprs,
    /// Constant tables that build expressions look up.
    pub tables: Vec<Table>,
    /// Populations of which only some cells may fire.
    pub winners: Vec<Winners>,
    /// Rules by which synapses change, in order of projections.
    pub plasticity: Vec<super::plasticity::Plasticity>,
    /// Params that hold what an experiment put into an input.
    pub inputs: Vec<(PopulationId, u32)>,
    /// Projections whose weights the experiment changes.
    pub mutable: Vec<ProjectionId>,
    /// What is set from outside while the circuit runs.
    pub sensors: Vec<Sensor>,
    pub events: Vec<EventPort>,
}

/// `event reward(r: number)`: for the one step that it reaches, a flag is 1 and its number stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventPort {
    pub path: String,
    /// Of the number that it carries, if it carries one.
    pub dimension: Option<Dimension>,
    /// Settable params that hold the flag and the number.
    pub readers: Vec<EventReader>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventReader {
    pub population: PopulationId,
    pub flag: u32,
    pub number: u32,
}

/// Numbers that are set from outside, and the params that follow them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    pub path: String,
    pub dimension: Dimension,
    /// Sizes of its axes; none: one number. Row-major.
    pub shape: Vec<u32>,
    /// Of every position, at the start.
    pub initial: f64,
    /// Of a rule's param that has some.
    pub bounds: Option<super::protocol::Bounds>,
    pub readers: Vec<Reader>,
}

impl Sensor {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|n| *n as usize).product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A settable param that follows a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    pub population: PopulationId,
    pub param: u32,
    /// The param that holds each neuron's position in the sensor; all read the only number where there is none.
    pub index: Option<u32>,
}

/// k-winners-take-all: in any `window` steps at most `most` distinct cells of the population send a spike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Winners {
    pub population: PopulationId,
    pub most: u32,
    pub window: u64,
    /// How far a cell is above its threshold when it is tested, in its [`Dynamics::exprs`].
    pub margin: ExprId,
}

impl PartialEq for Network {
    fn eq(&self, other: &Network) -> bool {
        let nodes = |n: &Network| n.graph.node_indices().collect::<Vec<_>>();
        let edges =
            |n: &Network| n.graph.edge_references().map(|e| (e.id(), e.source(), e.target())).collect::<Vec<_>>();
        self.name == other.name
            && self.dt_ms.to_bits() == other.dt_ms.to_bits()
            && self.build == other.build
            && self.tables == other.tables
            && self.winners == other.winners
            && self.plasticity == other.plasticity
            && self.inputs == other.inputs
            && self.mutable == other.mutable
            && self.sensors == other.sensors
            && self.events == other.events
            && nodes(self) == nodes(other)
            && edges(self) == edges(other)
            && self.graph.node_weights().eq(other.graph.node_weights())
            && self.graph.edge_weights().eq(other.graph.edge_weights())
    }
}

/// A dense array of numbers, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    pub shape: Vec<u32>,
    /// Empty where `draw` fills it.
    pub data: Vec<f64>,
    /// An expression in [`Network::build`] evaluated once per element when the network is built, `Element(Own, Axis(k))` being
    /// the k-th index: a table with random draws in it.
    pub draw: Option<ExprId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Node {
    Population(Population),
    /// A source without a size: an independent train for each target neuron, generated where it lands.
    Private {
        path: String,
        model: String,
    },
}

impl Node {
    pub fn path(&self) -> &str {
        match self {
            Node::Population(p) => &p.path,
            Node::Private { path, .. } => path,
        }
    }
}

/// Neurons, or the trains of a sized source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    pub path: String,
    pub source: bool,
    pub size: u32,
    pub axes: Vec<Axis>,
    pub dynamics: Dynamics,
}

/// One axis of a population. `starts` is the flat layout: see [`Population::coordinate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    pub name: Option<String>,
    /// Names of the positions, where the axis is a set of labels.
    pub labels: Vec<String>,
    /// One size for all positions of the axes before it, or one for each.
    pub sizes: Vec<u32>,
}

impl Population {
    /// One coordinate of a flat index: without the others where all blocks around it are equally long.
    pub fn coordinate(&self, index: u32, axis: usize) -> Option<u32> {
        if axis >= self.axes.len() {
            return None;
        }
        let even = |depth: usize| self.even_block(depth).filter(|b| *b > 0);
        let rest = if axis == 0 { Some(index) } else { even(axis).map(|outer| index % outer) };
        match (rest, even(axis + 1)) {
            (Some(rest), Some(block)) => Some(rest / block),
            _ => self.coordinates(index).get(axis).copied(),
        }
    }

    /// All coordinates of a flat index.
    pub fn coordinates(&self, index: u32) -> Vec<u32> {
        let mut out = Vec::with_capacity(self.axes.len());
        let mut rest = index;
        for depth in 0..self.axes.len() {
            let here = self.axes[depth].size_at(&out);
            if let Some(block) = self.even_block(depth + 1).filter(|b| *b > 0) {
                let position = rest / block;
                rest %= block;
                out.push(position.min(here.saturating_sub(1)));
                continue;
            }
            let mut position = 0;
            while position < here {
                let block = self.block(&out, position, depth);
                if rest < block {
                    break;
                }
                rest -= block;
                position += 1;
            }
            out.push(position.min(here.saturating_sub(1)));
        }
        out
    }

    /// Flat indices of the cells whose coordinate along each axis lies in `limits` (low, high; the end left out), ascending.
    /// Where an axis is shorter at some positions, what lies outside it is left out.
    pub fn select(&self, limits: &[(u32, u32)]) -> Vec<u32> {
        let mut out = Vec::new();
        self.select_below(limits, &mut Vec::new(), &mut 0, &mut out);
        out
    }

    fn select_below(&self, limits: &[(u32, u32)], prefix: &mut Vec<u32>, next: &mut u32, out: &mut Vec<u32>) {
        let depth = prefix.len();
        let n = self.axes[depth].size_at(prefix);
        let (lo, hi) = limits[depth];
        if depth + 1 == self.axes.len() {
            out.extend((lo.min(n)..hi.min(n)).map(|k| *next + k));
            *next += n;
            return;
        }
        for k in 0..n {
            if (lo..hi).contains(&k) {
                prefix.push(k);
                self.select_below(limits, prefix, next, out);
                prefix.pop();
            } else {
                *next += self.block(prefix, k, depth);
            }
        }
    }

    /// Number of cells below `prefix` extended by `position` at `depth`.
    fn block(&self, prefix: &[u32], position: u32, depth: usize) -> u32 {
        let mut at: Vec<u32> = prefix.to_vec();
        at.push(position);
        self.cells_below(&at, depth + 1)
    }

    /// Number of cells at each position before the axis `depth`, where it is the same at all.
    fn even_block(&self, depth: usize) -> Option<u32> {
        let sizes = self.axes[depth..].iter().map(|a| match a.sizes.as_slice() {
            [one] => Some(*one),
            _ => None,
        });
        sizes.product()
    }

    fn cells_below(&self, prefix: &[u32], depth: usize) -> u32 {
        if depth == self.axes.len() {
            return 1;
        }
        let n = self.axes[depth].size_at(prefix);
        if let Some(block) = self.even_block(depth + 1) {
            return n * block;
        }
        (0..n)
            .map(|k| {
                let mut at = prefix.to_vec();
                at.push(k);
                self.cells_below(&at, depth + 1)
            })
            .sum()
    }
}

impl Axis {
    /// Size where the axes before it stand at `prefix`. Only the axis just before may set different sizes.
    pub fn size_at(&self, prefix: &[u32]) -> u32 {
        match self.sizes.as_slice() {
            [one] => *one,
            many => prefix.last().and_then(|p| many.get(*p as usize)).copied().unwrap_or(0),
        }
    }

    pub fn max_size(&self) -> u32 {
        self.sizes.iter().copied().max().unwrap_or(0)
    }
}

/// What one neuron of a population does in a step; see the head of this room for the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dynamics {
    pub model: String,
    pub exprs: Exprs,
    pub params: Vec<Param>,
    pub states: Vec<State>,
    pub systems: Vec<System>,
    /// Standard normals drawn per neuron and step.
    pub noises: u32,
    /// Runs before `integrate`: steps of their own length within the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive: Option<Adaptive>,
    pub integrate: Vec<Stage>,
    pub receptors: Vec<Receptor>,
    pub poisson: Vec<PoissonInput>,
    /// Sums that continuous projections bring.
    pub coupled: Vec<Coupled>,
    pub spike: Spike,
    pub reset: Vec<Assign>,
    pub refractory: Option<Refractory>,
    /// What happens at intervals, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub every: Vec<Every>,
    pub observables: Vec<Observable>,
    pub solvers: Vec<SolverChoice>,
    /// A step is computed in single precision: see [`super::single`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
}

/// Trial steps, repeated for each neuron until its own time has reached the end of the network's step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adaptive {
    /// Once, at the start: sets the time gone to 0, and keeps what the spike condition compares with.
    pub before: Stage,
    /// One trial. It changes nothing of a neuron that has arrived, so neurons may be tried together.
    pub trial: Stage,
    /// State that counts the time gone, ms: a neuron has arrived where it is dt.
    pub elapsed: u32,
    /// Trials after which the run fails.
    pub limit: u32,
}

/// Assignments that happen at once: every right side reads the states before the stage.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Stage {
    pub assigns: Vec<Assign>,
}

/// A stage that runs at the end of each step whose end is a multiple of so many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Every {
    pub steps: u64,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assign {
    pub state: u32,
    pub value: ExprId,
}

/// A number that a kernel reads: one for the population or one per neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    pub name: String,
    pub dimension: Dimension,
    pub kind: ParamKind,
    /// The experiment writes it while the circuit runs.
    pub settable: bool,
    /// Of values that differ between neurons: known only when the network is built.
    pub bounds: Option<Bounds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParamKind {
    Scalar(f64),
    /// Expression in [`Network::build`], evaluated for each neuron.
    PerNeuron(ExprId),
    /// Computed from other params when the network is built and again when one of them is set.
    Derived(Derived),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Derived {
    /// An expression over params in [`Dynamics::exprs`].
    Expr(ExprId),
    /// Entry (row, column) of `exp(A dt)` of a system.
    Propagator { system: u32, row: u32, column: u32 },
    /// Entry of the integral of `exp(A s)` over one step.
    Integral { system: u32, row: u32, column: u32 },
    /// Entry of the Cholesky factor of the noise covariance over one step.
    Noise { system: u32, row: u32, column: u32 },
}

/// A linear system `x' = A x + forcing + G xi` whose coefficients differ between neurons or may be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Row-major n x n, expressions over params in [`Dynamics::exprs`], ms^-1 times units.
    pub a: Vec<ExprId>,
    /// Row-major n x m.
    pub g: Vec<ExprId>,
    pub n: u32,
    pub m: u32,
    /// Time that it is advanced by, as a fraction of dt: 1, or 0.5 for values at mid-step.
    pub span: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub name: String,
    pub dimension: Dimension,
    /// In [`Network::build`].
    pub initial: ExprId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receptor {
    pub name: String,
    pub dimension: Dimension,
    /// Filled by the pass that decides how arrivals are accumulated.
    pub arrivals: Vec<Arrival>,
    pub body: Vec<Assign>,
}

/// One term of what arrives at a receptor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Arrival {
    /// Spikes are counted and multiplied by a weight that they share. Expressions in [`Dynamics::exprs`].
    Count { projections: Vec<ProjectionId>, weight: ExprId, gain: Option<ExprId> },
    /// Weights are summed in the order that the head of this room gives.
    Sum { projections: Vec<ProjectionId>, gain: Option<ExprId> },
    /// Position in [`Dynamics::poisson`].
    Poisson(u32),
}

/// An independent Poisson train onto each neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoissonInput {
    /// Path of the projection: it keys the random numbers.
    pub path: String,
    pub receptor: u32,
    /// ms^-1, in [`Dynamics::exprs`]; evaluated at the step of arrival's start.
    pub rate: ExprId,
    /// In [`Dynamics::exprs`].
    pub weight: ExprId,
    pub delay: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Spike {
    #[default]
    Never,
    /// A condition in [`Dynamics::exprs`].
    When(ExprId),
    /// Given steps.
    Schedule(Trains),
}

/// The steps at which the trains of a source spike, ascending in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trains {
    /// One train that all elements send.
    Same(Vec<u64>),
    /// A train for each element.
    Each(Vec<Vec<u64>>),
}

impl Trains {
    /// The steps of one element.
    pub fn of(&self, element: usize) -> &[u64] {
        match self {
            Trains::Same(train) => train,
            Trains::Each(trains) => trains.get(element).map_or(&[], |t| t),
        }
    }

    /// The trains that differ.
    pub fn distinct(&self) -> &[Vec<u64>] {
        match self {
            Trains::Same(train) => std::slice::from_ref(train),
            Trains::Each(trains) => trains,
        }
    }

    /// Spikes of `size` elements.
    pub fn spikes(&self, size: u32) -> u64 {
        match self {
            Trains::Same(train) => train.len() as u64 * u64::from(size),
            Trains::Each(trains) => trains.iter().map(|t| t.len() as u64).sum(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refractory {
    /// Whole steps, in [`Dynamics::exprs`].
    pub steps: ExprId,
    pub held: Vec<u32>,
}

/// Something that may be recorded or asked for: evaluated after the step with `Time` = its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observable {
    pub name: String,
    pub dimension: Dimension,
    pub value: ExprId,
}

/// Which method integrates which states, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SolverChoice {
    pub states: Vec<String>,
    pub method: String,
    pub reason: String,
}

/// Cells of one end of a projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Subset {
    All,
    Range(u32, u32),
    Cells(Vec<u32>),
}

impl Subset {
    pub fn len(&self, size: u32) -> u32 {
        match self {
            Subset::All => size,
            Subset::Range(a, b) => b - a,
            Subset::Cells(c) => c.len() as u32,
        }
    }

    /// The population index of the k-th cell.
    pub fn cell(&self, k: u32) -> u32 {
        match self {
            Subset::All => k,
            Subset::Range(a, _) => a + k,
            Subset::Cells(c) => c[k as usize],
        }
    }
}

/// Synapses between two populations (or from a private source: then only for the graph, see [`PoissonInput`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    pub path: String,
    /// Position among the target's receptors.
    pub receptor: u32,
    pub pre: Subset,
    pub post: Subset,
    pub spec: Spec,
    /// `where`, in [`Network::build`].
    pub filter: Option<ExprId>,
    pub weight: Weight,
    pub delay: Delay,
    /// Factor at arrival, in the target's [`Dynamics::exprs`].
    pub gain: Option<ExprId>,
    /// Columns of an edge file, one value per edge.
    pub columns: Vec<Vec<f64>>,
    /// Set for the edge of a private source.
    pub private: bool,
    /// Set for a continuous projection; `receptor` means nothing then.
    pub coupling: Option<Coupling>,
    /// Every synapse stands for both directions: drawn once for a pair, with one weight and one delay.
    pub symmetric: bool,
    /// Set where synapses are not stored: their rows are drawn by source, and anew for each spike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procedural: Option<Procedural>,
}

/// What must be known of synapses that are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedural {
    /// Steps: shorter delays are set to it. At least 1, at most the longest.
    pub shortest: u32,
}

impl Projection {
    /// Whether every cell of the source has a synapse onto every cell of the target, but perhaps onto itself.
    pub fn is_full(&self) -> bool {
        self.spec.rule == Rule::AllToAll && self.filter.is_none() && self.pre == Subset::All && self.post == Subset::All
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Weight {
    Constant(f64),
    /// In [`Network::build`]. Values drawn from a distribution are rounded to single precision where they are drawn
    /// (`single`), so that they can be stored in half the space; listed ones keep every bit.
    PerSynapse {
        value: ExprId,
        single: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Delay {
    /// Steps, at least 1; 0 only where the projection is continuous.
    Constant(u32),
    /// ms, in [`Network::build`]; rounded to the nearest step, at least one, at most `max` steps.
    PerSynapse { value: ExprId, max: u32 },
}

impl Delay {
    pub fn max(self) -> u32 {
        match self {
            Delay::Constant(d) => d,
            Delay::PerSynapse { max, .. } => max,
        }
    }
}

impl Projection {
    /// Whether spikes go along it: it is no private source's, nor continuous.
    fn spikes(&self) -> bool {
        !self.private && self.coupling.is_none()
    }
}

impl Network {
    /// Populations in order of declaration.
    pub fn populations(&self) -> impl Iterator<Item = (PopulationId, &Population)> {
        self.graph.node_indices().filter_map(|n| match &self.graph[n] {
            Node::Population(p) => Some((n, p)),
            Node::Private { .. } => None,
        })
    }

    pub fn population(&self, id: PopulationId) -> Option<&Population> {
        match self.graph.node_weight(id) {
            Some(Node::Population(p)) => Some(p),
            _ => None,
        }
    }

    pub fn population_mut(&mut self, id: PopulationId) -> Option<&mut Population> {
        match self.graph.node_weight_mut(id) {
            Some(Node::Population(p)) => Some(p),
            _ => None,
        }
    }

    /// How the synapses of a projection change, where they do by themselves.
    pub fn rule(&self, projection: ProjectionId) -> Option<&super::plasticity::Plasticity> {
        self.plasticity.iter().find(|rule| rule.projection == projection)
    }

    /// Spiking projections (no private sources, none that is continuous) in order of declaration, with their ends.
    pub fn projections(&self) -> impl Iterator<Item = (ProjectionId, PopulationId, PopulationId, &Projection)> {
        self.graph.edge_indices().filter_map(|e| {
            let p = &self.graph[e];
            let (from, to) = self.graph.edge_endpoints(e)?;
            p.spikes().then_some((e, from, to, p))
        })
    }

    /// Spiking projections onto a population, in order of declaration.
    pub fn incoming(&self, population: PopulationId) -> impl Iterator<Item = (ProjectionId, &Projection)> {
        let mut found: Vec<(ProjectionId, &Projection)> = self
            .graph
            .edges_directed(population, Direction::Incoming)
            .map(|e| (e.id(), e.weight()))
            .filter(|(_, p)| p.spikes())
            .collect();
        found.sort_unstable_by_key(|(e, _)| *e);
        found.into_iter()
    }

    /// Continuous projections in order of declaration, with their ends.
    pub fn couplings(&self) -> impl Iterator<Item = (ProjectionId, PopulationId, PopulationId, &Projection, Coupling)> {
        self.graph.edge_indices().filter_map(|e| {
            let p = &self.graph[e];
            let (from, to) = self.graph.edge_endpoints(e)?;
            p.coupling.map(|c| (e, from, to, p, c))
        })
    }
}
