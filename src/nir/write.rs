//! A circuit as a graph of NIR. What NIR has no node for is refused where it was written, and nothing is left out.
//!
//! - A population is a `LIF`, `IF`, `CubaLIF`, `LI` or `CubaLI`. A constant drive is part of `v_leak`: V rests there.
//! - A source is an `Input`: what it sends is data to NIR. Whose spikes an experiment records has an `Output`; where none does, each
//!   population that no other listens to, or all.
//! - A projection is a dense `Linear`, one for each delay that its synapses have, behind a `Delay` where that is longer than a step.

use super::MOST_NUMBERS;
use super::graph::{Graph, Node, Tensor};
use super::recognise::{Cells, cells};
use crate::backend::RunError;
use crate::backend::build::{Elements, Listed, PopulationElements, SynapsePlan, elements, list};
use crate::base::{Code, Diagnostic};
use crate::ir::artefact::Unit;
use crate::ir::protocol::Record;
use crate::ir::{Network, Population, ProjectionId, Spike};
use crate::lower::Origins;
use crate::units::{Dimension, to_si};
use crate::valid::{Validated, validate};
use std::collections::BTreeMap;

/// Cells that NIR has no node for.
pub const CELLS: Code = Code("E1201");
/// A connection that NIR has no node for.
pub const CONNECTION: Code = Code("E1202");
/// Weights that can't be built, or whose matrix is too large.
pub const WEIGHTS: Code = Code("E1203");

/// All codes of this room.
pub const CODES: [Code; 3] = [CELLS, CONNECTION, WEIGHTS];

/// Seed of the elements that are looked at where nothing is written.
const SEED: u64 = 1;

/// What of a unit NIR has no node for.
pub fn judge(unit: &Unit, origins: &Origins) -> Vec<Diagnostic> {
    // A network that is not valid was reported by whoever made it.
    let Ok(network) = validate(&unit.network) else { return vec![] };
    examine(network.network(), origins, SEED).map_or_else(|found| found, |_| vec![])
}

/// The graph of a unit's circuit as it is before its experiment begins; `seed` is that of what is drawn.
///
/// # Errors
/// Everything that NIR has no node for.
pub fn graph(unit: &Unit, origins: &Origins, seed: u64) -> Result<Graph, Vec<Diagnostic>> {
    let network: Validated<'_> = validate(&unit.network)
        .map_err(|e| vec![Diagnostic::error(WEIGHTS, format!("the network is not valid: {e}"))])?;
    let network = network.network();
    let (elements, all) = examine(network, origins, seed)?;
    let mut writer = Writer { network, origins, elements, all, graph: Graph::default(), numbers: 0, findings: vec![] };
    let dt = to_si(network.dt_ms, Dimension::TIME);
    writer.graph.metadata.insert("dt".to_string(), Tensor::number(dt));
    writer.populations(dt);
    for (id, ..) in network.projections() {
        if let Err(d) = writer.projection(id, seed) {
            writer.findings.push(d);
        }
    }
    writer.outputs(unit);
    writer.root();
    if writer.findings.is_empty() { Ok(writer.graph) } else { Err(writer.findings) }
}

/// Elements, and what each population is; `None` for sources.
fn examine(network: &Network, origins: &Origins, seed: u64) -> Result<(Elements, Vec<Option<Cells>>), Vec<Diagnostic>> {
    let mut findings = connections(network, origins);
    let elements = elements(network, seed).map_err(|e| vec![Diagnostic::error(WEIGHTS, words(&e))])?;
    let mut all = Vec::new();
    for ((_, p), built) in network.populations().zip(&elements.populations) {
        all.push(match is_source(p) {
            true => None,
            false => population(p, built, network, origins).map_err(|d| findings.push(d)).ok(),
        });
    }
    if findings.is_empty() { Ok((elements, all)) } else { Err(findings) }
}

fn is_source(p: &Population) -> bool {
    p.source || matches!(p.dynamics.spike, Spike::Schedule(_))
}

fn population(
    p: &Population,
    built: &PopulationElements,
    network: &Network,
    origins: &Origins,
) -> Result<Cells, Diagnostic> {
    cells(p, built, network.dt_ms).map_err(|why| {
        let span = origins.populations.get(&p.path).copied();
        told(CELLS, format!("NIR has no cell for `{}`", p.path), span, &why).help(
            "its cells leak towards a constant, take spikes in by a jump of V or of one current that decays, and jump to a constant \
             when they fire: `LifDelta`, `LifCuba` or `LifExp` with `tau_inh = tau_exc`, all with `t_ref = 0 ms`",
        )
    })
}

fn told(code: Code, message: String, span: Option<crate::base::Span>, label: &str) -> Diagnostic {
    let d = Diagnostic::error(code, message);
    match span {
        Some(span) => d.label(span, label.to_string()),
        None => d.note(label.to_string()),
    }
}

fn words(e: &RunError) -> String {
    match e {
        RunError::Build(what) => what.clone(),
        other => format!("{other:?}"),
    }
}

/// What the shape of the network alone rules out.
fn connections(network: &Network, origins: &Origins) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut refuse = |path: &str, why: &str, help: &str| {
        let span = origins.projections.get(path).copied();
        out.push(told(CONNECTION, format!("NIR has no node for `{path}`"), span, why).help(help.to_string()));
    };
    for (_, _, _, p, _) in network.couplings() {
        refuse(&p.path, "a value at every step, and edges between cells carry spikes", "connect by spikes");
    }
    for rule in &network.plasticity {
        if let Some(p) = network.graph.edge_weight(rule.projection) {
            refuse(
                &p.path,
                &format!("its weights learn by {}, and NIR's are constants", rule.name),
                "leave the rule out",
            );
        }
    }
    for (_, p) in network.populations() {
        for input in &p.dynamics.poisson {
            let why = "a train of its own for each cell, and an `Input` has a size";
            refuse(&input.path, why, "give the source a size, and connect it `one_to_one`");
        }
    }
    for w in &network.winners {
        if let Some(p) = network.population(w.population) {
            let span = origins.populations.get(&p.path).copied();
            let why = format!("at most {} of {} active, and cells of NIR don't see each other", w.most, p.size);
            let d = told(CELLS, format!("NIR has no cell for `{}`", p.path), span, &why);
            out.push(d.help("let a population of inhibitory cells choose the winners"));
        }
    }
    out
}

struct Writer<'n> {
    network: &'n Network,
    origins: &'n Origins,
    elements: Elements,
    all: Vec<Option<Cells>>,
    graph: Graph,
    /// Numbers of all matrices so far.
    numbers: usize,
    findings: Vec<Diagnostic>,
}

impl Writer<'_> {
    fn populations(&mut self, dt: f64) {
        for ((_, p), cells) in self.network.populations().zip(&self.all) {
            let node = match cells {
                None => Node::new("Input", [("shape", shape(p.size))]),
                Some(cells) => node(cells, dt),
            };
            self.graph.nodes.insert(p.path.clone(), node);
        }
    }

    fn projection(&mut self, id: ProjectionId, seed: u64) -> Result<(), Diagnostic> {
        let network = self.network;
        let p = &network.graph[id];
        let span = self.origins.projections.get(&p.path).copied();
        let fail = |what: String| told(WEIGHTS, format!("the weights of `{}` can't be written", p.path), span, &what);
        let plan = SynapsePlan::new(network, &self.elements, id, seed).map_err(|e| fail(words(&e)))?;
        let synapses = list(network, &self.elements, id, &plan).map_err(|e| fail(words(&e)))?;
        let ((from, source), (to, target)) = (plan.source(), plan.target());
        let factors = self.all[to].as_ref().map(|c| &c.receptors[p.receptor as usize]);
        let Some(factors) = factors else { return Err(fail("they end at a source".to_string())) };
        if let Some(bad) = synapses.iter().find(|s| !s.weight.is_finite()) {
            let what = format!("that from cell {} to cell {} changes, or is no number", bad.pre, bad.post);
            return Err(fail(what));
        }
        if self.all[from].as_ref().is_some_and(|c| c.threshold.is_empty()) {
            return Err(fail("they begin at cells that never fire".to_string()));
        }
        let mut by_delay: BTreeMap<u32, Vec<&Listed>> = BTreeMap::new();
        synapses.iter().for_each(|s| by_delay.entry(s.delay).or_default().push(s));
        let (rows, columns) = (target.size as usize, source.size as usize);
        let all = rows.checked_mul(columns).and_then(|n| n.checked_mul(by_delay.len()));
        match all.and_then(|n| n.checked_add(self.numbers)).filter(|n| *n <= MOST_NUMBERS) {
            Some(total) => self.numbers = total,
            None => {
                let what = format!("{} matrices of {rows} x {columns} numbers, one for each delay", by_delay.len());
                return Err(fail(what).help(format!(
                    "NIR's matrices are dense; a file has at most {MOST_NUMBERS} numbers here. Fewer cells or fewer different delays"
                )));
            }
        }
        let several = by_delay.len() > 1;
        let dimension = target.dynamics.receptors[p.receptor as usize].dimension;
        for (delay, synapses) in by_delay {
            let mut weight = vec![0.0; rows * columns];
            for s in synapses {
                let (pre, post) = (s.pre as usize, s.post as usize);
                weight[post * columns + pre] += to_si(s.weight, dimension) * factors[post];
            }
            let name = if several { format!("{} after {delay} steps", p.path) } else { p.path.clone() };
            let linear = Node::new("Linear", [("weight", Tensor { shape: vec![rows, columns], data: weight })]);
            self.graph.nodes.insert(name.clone(), linear);
            let mut from = source.path.clone();
            if delay > 1 {
                let beyond = to_si(f64::from(delay - 1) * network.dt_ms, Dimension::TIME);
                let beyond = super::shortest(beyond, f64::EPSILON);
                let node = Node::new("Delay", [("delay", Tensor::vector(vec![beyond; columns]))]);
                let name = format!("{name}, delay");
                self.graph.nodes.insert(name.clone(), node);
                self.graph.edges.push((from, name.clone()));
                from = name;
            }
            self.graph.edges.push((from, name.clone()));
            self.graph.edges.push((name, target.path.clone()));
        }
        Ok(())
    }

    /// An output for each population whose spikes are recorded, or that nothing listens to.
    fn outputs(&mut self, unit: &Unit) {
        let recorded = |k: usize| {
            unit.protocol.records.iter().any(|r| match r {
                Record::Spikes { of } => of.population as usize == k,
                Record::Observable { of, .. } => {
                    of.population as usize == k && self.all[k].as_ref().is_some_and(|c| c.threshold.is_empty())
                }
                Record::Weights { .. } => false,
            })
        };
        let paths: Vec<(usize, &Population)> = self.network.populations().map(|(_, p)| p).enumerate().collect();
        let cells = || paths.iter().filter(|(k, _)| self.all[*k].is_some());
        let mut chosen: Vec<&Population> = cells().filter(|(k, _)| recorded(*k)).map(|(_, p)| *p).collect();
        if chosen.is_empty() {
            let ends: Vec<_> = self.network.projections().map(|(_, from, to, _)| (from, to)).collect();
            let heard: Vec<bool> =
                self.network.populations().map(|(id, _)| ends.iter().any(|(a, b)| *a == id && *b != id)).collect();
            chosen = cells().filter(|(k, _)| !heard[*k]).map(|(_, p)| *p).collect();
        }
        if chosen.is_empty() {
            chosen = cells().map(|(_, p)| *p).collect();
        }
        for p in chosen {
            let name = format!("{}, output", p.path);
            self.graph.nodes.insert(name.clone(), Node::new("Output", [("shape", shape(p.size))]));
            self.graph.edges.push((p.path.clone(), name));
        }
    }

    /// The `nir` package follows edges from an `Input` to learn shapes. A circuit that lives by itself gets one that reaches nothing.
    fn root(&mut self) {
        let graph = &mut self.graph;
        let begins = |(from, _): &(String, String)| graph.nodes.get(from).is_some_and(|n| n.kind == "Input");
        if graph.edges.iter().any(begins) {
            return;
        }
        let first = self.network.populations().zip(&self.all).find(|(_, cells)| cells.is_some());
        let Some(((_, p), _)) = first else { return };
        let mut input = Node::new("Input", [("shape", shape(1))]);
        input.metadata.insert("placeholder".to_string(), Tensor::number(1.0));
        let none = Tensor { shape: vec![p.size as usize, 1], data: vec![0.0; p.size as usize] };
        graph.nodes.insert("nothing".to_string(), input);
        graph.nodes.insert("nothing, weights".to_string(), Node::new("Linear", [("weight", none)]));
        graph.edges.push(("nothing".to_string(), "nothing, weights".to_string()));
        graph.edges.push(("nothing, weights".to_string(), p.path.clone()));
    }
}

fn shape(n: u32) -> Tensor {
    Tensor::vector(vec![f64::from(n)])
}

/// The node of a population.
fn node(c: &Cells, dt: f64) -> Node {
    let fires = !c.threshold.is_empty();
    let leaks = c.tau.iter().all(|t| t.is_finite());
    let kind = match (c.tau_syn.is_empty(), fires, leaks) {
        (true, true, false) => "IF",
        (true, true, true) => "LIF",
        (true, false, _) => "LI",
        (false, true, _) => "CubaLIF",
        (false, false, _) => "CubaLI",
    };
    let each = |f: &dyn Fn(f64) -> f64, of: &[f64]| Tensor::vector(of.iter().map(|v| f(*v)).collect());
    let plain = |of: &[f64]| Tensor::vector(of.to_vec());
    let mut node = Node::new(kind, []);
    let mut put = |name: &str, t: Tensor| node.fields.insert(name.to_string(), t);
    match kind {
        "IF" => {
            put("r", each(&|_| 1.0 / dt, &c.tau));
        }
        "LIF" | "LI" => {
            put("tau", plain(&c.tau));
            put("r", each(&|tau| tau / dt, &c.tau));
        }
        _ => {
            put("tau_mem", plain(&c.tau));
            put("tau_syn", plain(&c.tau_syn));
            put("r", plain(&c.r));
            put("w_in", each(&|tau| tau / dt, &c.tau_syn));
        }
    }
    if kind != "IF" {
        put("v_leak", plain(&c.v_leak));
    }
    if fires {
        put("v_threshold", plain(&c.threshold));
        put("v_reset", plain(&c.reset));
    }
    node.metadata.insert("v".to_string(), plain(&c.start));
    node
}
