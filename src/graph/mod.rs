//! A network as a drawing: populations as nodes, regions as boxes around them, projections as edges.
//!
//! [`figure`] takes from the IR what a drawing shows, [`layout`] gives everything its place, [`draw`] makes it SVG. The same
//! network gives the same bytes. Colours tell the sign of a projection, and so does its end (an arrow or a bar); widths grow
//! with the logarithm of the number of synapses.

pub mod draw;
pub mod layout;

use crate::connect::Rule;
use crate::ir::{BinaryOp, Delay, Expr, Exprs, Network, Node, Projection, UnaryOp, Weight};
use crate::script::Distribution;
use petgraph::visit::{EdgeRef, IntoEdgeReferences};

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    pub name: String,
    pub nodes: Vec<Cell>,
    pub edges: Vec<Edge>,
}

/// A population or a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// With the regions that it lies in: `bg.D1`.
    pub path: String,
    pub model: String,
    pub source: bool,
    /// `None` for a source that gives each target a train of its own.
    pub size: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    pub path: String,
    /// Positions in [`Figure::nodes`].
    pub from: usize,
    pub to: usize,
    pub sign: Sign,
    /// Expected number; `None` where each target has a train of its own.
    pub synapses: Option<f64>,
    /// What is said where the pointer rests on it.
    pub note: String,
}

/// What a spike does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    Excites,
    Inhibits,
    /// Weights of both signs, or of a sign that only the run knows.
    Mixed,
}

/// What the drawing of a network shows.
pub fn figure(network: &Network) -> Figure {
    let ranges = ranges(network);
    let mut out = Figure { name: network.name.clone(), ..Figure::default() };
    // Removing a node leaves a gap in the graph's indices.
    let mut places = vec![0; network.graph.node_indices().map(|n| n.index() + 1).max().unwrap_or(0)];
    for id in network.graph.node_indices() {
        let cell = match &network.graph[id] {
            Node::Population(p) => {
                Cell { path: p.path.clone(), model: p.dynamics.model.clone(), source: p.source, size: Some(p.size) }
            }
            Node::Private { path, model } => {
                Cell { path: path.clone(), model: model.clone(), source: true, size: None }
            }
        };
        // The trains that a private source has for one projection are `source@projection`: to a reader they are the source.
        let whose = cell.path.split('@').next().unwrap_or_default();
        let own = out.nodes.iter().position(|c: &Cell| c.size.is_none() && c.path == whose && cell.path != whose);
        places[id.index()] = own.unwrap_or(out.nodes.len());
        if own.is_none() {
            out.nodes.push(cell);
        }
    }
    let mut parts: Vec<(Option<String>, usize)> = Vec::new();
    for edge in (&network.graph).edge_references() {
        let p = edge.weight();
        let (from, to) = (places[edge.source().index()], places[edge.target().index()]);
        let target = network.population(edge.target());
        let receptor = target.and_then(|t| t.dynamics.receptors.get(p.receptor as usize)).map(|r| r.name.clone());
        let synapses = match (out.nodes[from].size, out.nodes[to].size) {
            (Some(pre), Some(post)) if !p.private => Some(expected(p, pre, post)),
            _ => None,
        };
        let sign = sign(p, receptor.as_deref().unwrap_or_default(), &ranges);
        // What a loop unrolled, or slices of the same two populations, is one edge.
        let same = (0..out.edges.len()).find(|k| {
            let e = &out.edges[*k];
            (e.from, e.to, e.sign, e.synapses.is_some()) == (from, to, sign, synapses.is_some())
                && parts[*k].0 == receptor
        });
        if let Some(k) = same {
            let e = &mut out.edges[k];
            e.synapses = e.synapses.zip(synapses).map(|(a, b)| a + b);
            parts[k].1 += 1;
            continue;
        }
        let note = note(p, receptor.as_deref(), network.dt_ms);
        out.edges.push(Edge { path: p.path.clone(), from, to, sign, synapses, note });
        parts.push((receptor, 0));
    }
    for (e, (_, more)) in out.edges.iter_mut().zip(parts) {
        if let Some(n) = e.synapses {
            e.note.push_str(&format!("\n{} synapses", count(n)));
        }
        if more > 0 {
            e.note.push_str(&format!(" of this and {more} more projections"));
        }
    }
    out
}

/// Expected number of synapses; with a `where`, of the candidates before it.
fn expected(p: &Projection, pre: u32, post: u32) -> f64 {
    let (n_pre, n_post) = (f64::from(p.pre.len(pre)), f64::from(p.post.len(post)));
    match &p.spec.rule {
        Rule::OneToOne => n_post,
        Rule::Bernoulli { p } => p * n_pre * n_post,
        Rule::FixedIndegree { k } => f64::from(*k) * n_post,
        Rule::FixedOutdegree { k } => f64::from(*k) * n_pre,
        Rule::FixedTotalNumber { n } => *n as f64,
        Rule::Pairs { pre, .. } => pre.len() as f64,
        Rule::AllToAll => n_pre * n_post,
    }
}

/// A weight decides by its sign. Conductances are positive whatever they do, so there the receptor's name decides: `inh` and
/// `gaba` are what the library and the field call inhibition.
fn sign(p: &Projection, receptor: &str, ranges: &[(f64, f64)]) -> Sign {
    let (low, high) = match p.weight {
        Weight::Constant(w) => (w, w),
        Weight::PerSynapse { value, .. } => ranges.get(value.0 as usize).copied().unwrap_or(ANY),
    };
    let receptor = receptor.to_ascii_lowercase();
    let inhibits = receptor.starts_with("inh") || receptor.starts_with("gaba");
    match (low >= 0.0, high <= 0.0) {
        (true, _) if inhibits => Sign::Inhibits,
        (true, _) => Sign::Excites,
        (false, true) => Sign::Inhibits,
        (false, false) => Sign::Mixed,
    }
}

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// Bounds of every build expression, children before parents.
fn ranges(network: &Network) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(network.build.len());
    for (_, e) in network.build.iter() {
        let of = |id: &crate::ir::ExprId| out.get(id.0 as usize).copied().unwrap_or(ANY);
        let range = range(e, &of, network, &network.build);
        // A NaN bounds nothing.
        out.push(if range.0 <= range.1 { range } else { ANY });
    }
    out
}

fn range(e: &Expr, of: &dyn Fn(&crate::ir::ExprId) -> (f64, f64), network: &Network, exprs: &Exprs) -> (f64, f64) {
    let hull =
        |values: &[f64]| values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    match e {
        Expr::Const(v) => (v.0, v.0),
        Expr::Unary(UnaryOp::Neg, a) => (-of(a).1, -of(a).0),
        Expr::Unary(UnaryOp::Abs | UnaryOp::Sqrt | UnaryOp::Exp, _) | Expr::Compare(..) => (0.0, f64::INFINITY),
        Expr::Binary(op, a, b) => {
            let (x, y) = (of(a), of(b));
            match op {
                BinaryOp::Add => (x.0 + y.0, x.1 + y.1),
                BinaryOp::Sub => (x.0 - y.1, x.1 - y.0),
                BinaryOp::Mul => {
                    // 0 times a bound that is not there is 0.
                    let times = |p: f64, q: f64| if p == 0.0 || q == 0.0 { 0.0 } else { p * q };
                    hull(&[times(x.0, y.0), times(x.0, y.1), times(x.1, y.0), times(x.1, y.1)])
                }
                BinaryOp::Div if y.0 > 0.0 || y.1 < 0.0 => hull(&[x.0 / y.0, x.0 / y.1, x.1 / y.0, x.1 / y.1]),
                BinaryOp::Min => (x.0.min(y.0), x.1.min(y.1)),
                BinaryOp::Max => (x.0.max(y.0), x.1.max(y.1)),
                BinaryOp::Pow if x.0 >= 0.0 => (0.0, f64::INFINITY),
                _ => ANY,
            }
        }
        Expr::Select(_, a, b) => (of(a).0.min(of(b).0), of(a).1.max(of(b).1)),
        Expr::Element(..) => (f64::NEG_INFINITY, f64::INFINITY),
        Expr::Random { distribution, args, .. } => match (distribution, args.as_slice()) {
            (Distribution::Uniform, [a, b]) => (of(a).0.min(of(b).0), of(a).1.max(of(b).1)),
            (Distribution::Normal, [mean, sd]) if exprs.as_const(*sd) == Some(0.0) => of(mean),
            (Distribution::Normal, _) => ANY,
            (Distribution::Lognormal | Distribution::Exponential | Distribution::Gamma, _) => (0.0, f64::INFINITY),
            _ => ANY,
        },
        Expr::Table { table, .. } => match network.tables.get(*table as usize) {
            Some(t) if !t.data.is_empty() && t.draw.is_none() => hull(&t.data),
            _ => ANY,
        },
        _ => ANY,
    }
}

fn note(p: &Projection, receptor: Option<&str>, dt_ms: f64) -> String {
    let mut out = p.path.clone();
    if let Some(receptor) = receptor.filter(|r| !p.path.ends_with(&format!(".{r}"))) {
        out.push_str(&format!(" onto {receptor}"));
    }
    if p.private {
        out.push_str("\na train of its own for each target");
    } else {
        let condition = if p.filter.is_some() { " where a condition holds, so fewer than said" } else { "" };
        let procedural = if p.procedural.is_some() { ", procedural" } else { "" };
        out.push_str(&format!("\n{}{procedural}{condition}", p.spec.rule.name()));
    }
    match p.delay {
        Delay::Constant(steps) => out.push_str(&format!("\ndelay {} ms", trimmed(f64::from(steps) * dt_ms))),
        Delay::PerSynapse { max, .. } => {
            out.push_str(&format!("\ndelays up to {} ms", trimmed(f64::from(max) * dt_ms)))
        }
    }
    out
}

/// `12 500`, `15.6 M`.
pub(crate) fn count(n: f64) -> String {
    for (size, word) in [(1e9, " G"), (1e6, " M"), (1e4, " k")] {
        if n >= size {
            let scale = if size == 1e4 { 1e3 } else { size };
            return format!("{}{word}", trimmed((n / scale * 10.0).round() / 10.0));
        }
    }
    trimmed(n.round())
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests;
