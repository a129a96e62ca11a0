//! A graph of NIR as populations and lists of synapses. Linear nodes between cells become weights and delays of synapses, by
//! following every way from cell to cell.

use super::graph::{Graph, Node, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// The step where neither the file nor the user names one, s.
const STEP: f64 = 1e-4;
/// Synapses that a way may have: more would take gigabytes.
const MOST_SYNAPSES: usize = 1 << 24;
/// Linear nodes on one way.
const MOST_NODES: usize = 64;
/// Edges that all ways take: where ways part and meet again and again, there are more of them than nodes can be told.
const MOST_EDGES: usize = 1 << 16;
/// Part of a step by which a delay may miss a whole number of steps: rounding alone.
const OFF_GRID: f64 = 1e-6;
/// Rounding of `tau / dt`, written, times `dt / tau`, read.
const UNIT: f64 = 4.0 * f64::EPSILON;

/// What a graph is.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// s
    pub dt: f64,
    pub populations: Vec<Population>,
    pub projections: Vec<Projection>,
    /// What was rounded, in words.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// By the graph.
    pub name: String,
    pub size: usize,
    /// `None`: spikes come from outside.
    pub cells: Option<Cells>,
    /// It has an `Output`.
    pub shown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Lif,
    If,
    CubaLif,
    Li,
    CubaLi,
}

/// Numbers of each cell, s and V.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    pub kind: Kind,
    /// By name, as the text names them.
    pub params: BTreeMap<&'static str, Vec<f64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Positions among the populations.
    pub source: usize,
    pub target: usize,
    /// In order of (source, target, delay).
    pub synapses: Vec<Synapse>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synapse {
    pub pre: usize,
    pub post: usize,
    /// Jump of V, or of the synaptic current in volts.
    pub weight: f64,
    /// Steps, the one that every spike takes among them.
    pub delay: u32,
}

/// A node, its arrays checked.
enum Part {
    Input(usize),
    /// An input that its writer put there for shapes alone.
    Placeholder,
    Output(usize),
    Cells(Vec<f64>, Cells),
    Linear {
        rows: usize,
        columns: usize,
        weight: Vec<f64>,
        bias: Option<Vec<f64>>,
    },
    Scale(Vec<f64>),
    Delay(Vec<f64>),
    /// Ends of graphs within graphs, and `Flatten`: what comes in goes out.
    Pass,
}

type Fail = String;

/// The circuit of a graph; `dt`, in seconds, where the user says it.
///
/// # Errors
/// In words, what of it is damaged or has no counterpart here.
pub fn circuit(graph: &Graph, dt: Option<f64>) -> Result<Circuit, Fail> {
    let named = graph.metadata.get("dt").and_then(|t| t.data.first()).copied();
    let dt = dt.or(named).unwrap_or(STEP);
    if !(dt.is_finite() && dt > 0.0) {
        return Err(format!("its step is {dt} s"));
    }
    let mut flat = Flat::default();
    flat.add(graph, "", dt)?;
    let mut reader = Reader { flat: &flat, dt, numbers: BTreeMap::new(), edges: 0, notes: vec![] };
    reader.read()
}

/// All nodes, graphs within graphs unfolded; edges by number.
#[derive(Default)]
struct Flat {
    names: Vec<String>,
    parts: Vec<Part>,
    next: Vec<Vec<usize>>,
}

impl Flat {
    /// Gives its inputs, each with 0, and its outputs, each with 1.
    fn add(&mut self, graph: &Graph, prefix: &str, dt: f64) -> Result<Vec<(usize, usize)>, Fail> {
        let mut ends = BTreeMap::new();
        for (name, node) in &graph.nodes {
            let path = format!("{prefix}{name}");
            let at = match &node.inner {
                Some(inner) => self.inner(inner, &path, dt)?,
                None => {
                    // Within a graph these are its ends.
                    let part = match node.kind.as_str() {
                        "Input" | "Output" if !prefix.is_empty() => Part::Pass,
                        _ => part(node, dt).map_err(|e| format!("node `{path}`: {e}"))?,
                    };
                    let k = self.push(path, part);
                    (k, k)
                }
            };
            ends.insert(name.as_str(), at);
        }
        for (from, to) in &graph.edges {
            let (Some((_, from)), Some((to, _))) = (ends.get(from.as_str()), ends.get(to.as_str())) else { continue };
            if !self.next[*from].contains(to) {
                self.next[*from].push(*to);
            }
        }
        let which = |node: &Node| match node.kind.as_str() {
            "Input" => Some(0),
            "Output" => Some(1),
            _ => None,
        };
        Ok(graph.nodes.iter().filter_map(|(name, node)| Some((ends[name.as_str()].0, which(node)?))).collect())
    }

    fn inner(&mut self, graph: &Graph, path: &str, dt: f64) -> Result<(usize, usize), Fail> {
        let found = self.add(graph, &format!("{path}."), dt)?;
        let one = |which: usize, what: &str| {
            let all: Vec<usize> = found.iter().filter(|(_, w)| *w == which).map(|(k, _)| *k).collect();
            match all.as_slice() {
                [k] => Ok(*k),
                _ => Err(format!("node `{path}`: a graph with {} {what}s, where edges need one", all.len())),
            }
        };
        Ok((one(0, "Input")?, one(1, "Output")?))
    }

    fn push(&mut self, name: String, part: Part) -> usize {
        self.names.push(name);
        self.parts.push(part);
        self.next.push(vec![]);
        self.parts.len() - 1
    }
}

fn field<'n>(node: &'n Node, name: &str) -> Result<&'n Tensor, Fail> {
    let t = node.fields.get(name).ok_or_else(|| format!("a `{}` without `{name}`", node.kind))?;
    match t.data.iter().find(|v| !v.is_finite()) {
        Some(bad) => Err(format!("`{name}` holds {bad}")),
        None => Ok(t),
    }
}

fn size(node: &Node) -> Result<usize, Fail> {
    let shape = field(node, "shape")?;
    let count = shape.data.iter().try_fold(1_usize, |n, k| {
        let whole = (*k >= 0.0 && k.fract() == 0.0 && *k < MOST_SYNAPSES as f64).then_some(*k as usize);
        n.checked_mul(whole?).filter(|n| *n <= MOST_SYNAPSES)
    });
    count.filter(|n| *n > 0).ok_or_else(|| format!("the shape {:?}", shape.data))
}

fn part(node: &Node, dt: f64) -> Result<Part, Fail> {
    Ok(match node.kind.as_str() {
        "Input" if node.metadata.contains_key("placeholder") => Part::Placeholder,
        "Input" => Part::Input(size(node)?),
        "Output" => Part::Output(size(node)?),
        "Flatten" => Part::Pass,
        "Scale" => Part::Scale(field(node, "scale")?.data.clone()),
        "Delay" => Part::Delay(field(node, "delay")?.data.clone()),
        "Linear" | "Affine" => {
            let weight = field(node, "weight")?;
            let [rows, columns] = weight.shape[..] else {
                return Err(format!("weights of the shape {:?}, where a matrix has two axes", weight.shape));
            };
            if rows.checked_mul(columns) != Some(weight.data.len()) {
                return Err(format!("{} weights of the shape {:?}", weight.data.len(), weight.shape));
            }
            let bias = match node.kind.as_str() {
                "Affine" => Some(field(node, "bias")?.data.clone()),
                _ => None,
            };
            if let Some(b) = bias.as_ref().filter(|b| b.len() != rows) {
                return Err(format!("{} biases for {rows} rows", b.len()));
            }
            Part::Linear { rows, columns, weight: weight.data.clone(), bias }
        }
        "LIF" => cells(node, Kind::Lif, dt)?,
        "IF" => cells(node, Kind::If, dt)?,
        "CubaLIF" => cells(node, Kind::CubaLif, dt)?,
        "LI" => cells(node, Kind::Li, dt)?,
        "CubaLI" => cells(node, Kind::CubaLi, dt)?,
        other => {
            return Err(format!(
                "a `{other}`; read are Input, Output, Linear, Affine, Scale, Delay, Flatten, LIF, IF, CubaLIF, LI, CubaLI and NIRGraph"
            ));
        }
    })
}

fn cells(node: &Node, kind: Kind, dt: f64) -> Result<Part, Fail> {
    let names: &[&str] = match kind {
        Kind::Lif => &["tau", "r", "v_leak", "v_threshold"],
        Kind::If => &["r", "v_threshold"],
        Kind::CubaLif => &["tau_mem", "tau_syn", "r", "v_leak", "v_threshold"],
        Kind::Li => &["tau", "r", "v_leak"],
        Kind::CubaLi => &["tau_mem", "tau_syn", "r", "v_leak"],
    };
    let mut n = 1;
    for name in names {
        n = n.max(field(node, name)?.data.len());
    }
    let optional = |t: Option<&Tensor>, missing: f64| match t {
        None => Ok(vec![missing; n]),
        Some(t) if t.data.len() == n => Ok(t.data.clone()),
        Some(t) if t.data.len() == 1 => Ok(vec![t.data[0]; n]),
        Some(t) => Err(format!("arrays of {n} and of {} cells", t.data.len())),
    };
    let of = |name: &str| optional(Some(field(node, name)?), 0.0);
    let fires = names.contains(&"v_threshold");
    let current = names.contains(&"tau_syn");
    let mut params = BTreeMap::new();
    let r = of("r")?;
    let gain: Vec<f64> = match kind {
        Kind::If => r.iter().map(|r| unit(r * dt)).collect(),
        Kind::Lif | Kind::Li => r.iter().zip(of("tau")?).map(|(r, tau)| unit(r * dt / tau)).collect(),
        Kind::CubaLif | Kind::CubaLi => {
            let w_in = optional(node.fields.get("w_in"), 1.0)?;
            let jump = w_in.iter().zip(of("tau_syn")?).map(|(w, tau)| unit(w * dt / tau));
            params.insert("I_gain", w_in.iter().zip(&r).map(|(w, r)| w * r).collect::<Vec<f64>>());
            jump.zip(&r).map(|(jump, r)| jump * r).collect()
        }
    };
    if kind != Kind::If {
        let tau = of(if current { "tau_mem" } else { "tau" })?;
        params.insert("tau", tau);
        params.insert("V_leak", of("v_leak")?);
        if current {
            params.insert("tau_syn", of("tau_syn")?);
        }
        for name in ["tau", "tau_syn"] {
            if let Some(bad) = params.get(name).and_then(|v: &Vec<f64>| v.iter().find(|t| !(**t > 0.0))) {
                return Err(format!("a time constant of {bad} s"));
            }
        }
    } else {
        params.insert("drive", vec![0.0; n]);
    }
    if !current {
        params.insert("I_gain", r);
    }
    if fires {
        params.insert("V_th", of("v_threshold")?);
        params.insert("V_reset", optional(node.fields.get("v_reset"), 0.0)?);
    }
    let rest = params.get("V_leak").cloned().unwrap_or_else(|| vec![0.0; n]);
    let start = node.metadata.get("v").filter(|t| t.data.iter().all(|v| v.is_finite()));
    let start = start.map_or(Ok(rest), |t| optional(Some(t), 0.0))?;
    params.insert("V", start);
    if current {
        params.insert("I", vec![0.0; n]);
    }
    Ok(Part::Cells(gain, Cells { kind, params }))
}

/// A gain that is 1 but for the rounding of two divisions.
fn unit(gain: f64) -> f64 {
    if (gain - 1.0).abs() <= UNIT { 1.0 } else { gain }
}

/// What comes through a chain of linear nodes from one population.
#[derive(Clone)]
struct Way {
    /// Elements that come out.
    width: usize,
    /// (source, element, delay): weight. Delays are steps beyond the first.
    synapses: BTreeMap<(usize, usize, u32), f64>,
    /// Nothing but copies so far.
    plain: bool,
    length: usize,
}

struct Reader<'f> {
    flat: &'f Flat,
    dt: f64,
    /// Position among the populations, by node.
    numbers: BTreeMap<usize, usize>,
    /// Taken so far.
    edges: usize,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<Circuit, Fail> {
        let mut populations = Vec::new();
        for (k, part) in self.flat.parts.iter().enumerate() {
            let (size, cells) = match part {
                Part::Input(n) => (*n, None),
                Part::Cells(gain, cells) => (gain.len(), Some(cells.clone())),
                _ => continue,
            };
            self.numbers.insert(k, populations.len());
            populations.push(Population { name: self.flat.names[k].clone(), size, cells, shown: false });
        }
        if populations.iter().all(|p| p.cells.is_none()) {
            return Err("it has no cells".to_string());
        }
        let mut found: BTreeMap<(usize, usize), Way> = BTreeMap::new();
        for (node, source) in self.numbers.clone() {
            let size = populations[source].size;
            let synapses = (0..size).map(|k| ((k, k, 0), 1.0)).collect();
            let way = Way { width: size, synapses, plain: true, length: 0 };
            self.follow(node, source, way, &mut populations, &mut found)?;
        }
        for (k, part) in self.flat.parts.iter().enumerate() {
            if let Part::Linear { bias: Some(bias), .. } = part {
                self.drive(k, bias.clone(), 0, &mut populations)?;
            }
        }
        let projections = found.into_iter().filter(|(_, way)| !way.synapses.is_empty());
        let projections = projections.map(|((source, target), way)| Projection {
            source,
            target,
            synapses: way
                .synapses
                .into_iter()
                .map(|((pre, post, delay), weight)| Synapse { pre, post, weight, delay: delay + 1 })
                .collect(),
        });
        let projections = projections.collect();
        let notes = std::mem::take(&mut self.notes);
        Ok(Circuit { dt: self.dt, populations, projections, notes })
    }

    /// Follows all edges out of a node.
    fn follow(
        &mut self,
        node: usize,
        source: usize,
        way: Way,
        populations: &mut [Population],
        found: &mut BTreeMap<(usize, usize), Way>,
    ) -> Result<(), Fail> {
        self.step(way.length)?;
        for to in &self.flat.next[node] {
            let (part, name) = (&self.flat.parts[*to], &self.flat.names[*to]);
            if let Part::Output(n) | Part::Linear { columns: n, .. } = part {
                self.fits(node, *to, way.width, *n)?;
            }
            match part {
                Part::Output(_) if way.plain => populations[source].shown = true,
                Part::Output(_) => {
                    return Err(format!("`{name}` shows a weighted sum of `{}`", populations[source].name));
                }
                Part::Input(_) | Part::Placeholder => return Err(format!("an edge into `{name}`, an input")),
                Part::Cells(gain, _) => {
                    self.fits(node, *to, way.width, gain.len())?;
                    let from = &populations[source];
                    if from.cells.as_ref().is_some_and(|c| matches!(c.kind, Kind::Li | Kind::CubaLi)) {
                        let from = &from.name;
                        return Err(format!(
                            "`{from}` gives its V to `{name}`, and only spikes go from cell to cell here"
                        ));
                    }
                    arrive((source, self.numbers[to]), &way, gain, found)?;
                }
                Part::Pass | Part::Scale(_) | Part::Delay(_) | Part::Linear { .. } => {
                    let next = self.through(node, *to, &way)?;
                    self.follow(*to, source, next, populations, found)?;
                }
            }
        }
        Ok(())
    }

    fn fits(&self, from: usize, to: usize, gives: usize, takes: usize) -> Result<(), Fail> {
        match gives == takes {
            true => Ok(()),
            false => {
                let (from, to) = (&self.flat.names[from], &self.flat.names[to]);
                Err(format!("`{from}` gives {gives} values, and `{to}` takes {takes}"))
            }
        }
    }

    /// One more node, the last of so many linear ones.
    fn step(&mut self, length: usize) -> Result<(), Fail> {
        self.edges += 1;
        match (length > MOST_NODES, self.edges > MOST_EDGES) {
            (true, _) => Err(format!("a circle of linear nodes, or more than {MOST_NODES} in a row")),
            (_, true) => Err(format!("more than {MOST_EDGES} ways between its cells")),
            _ => Ok(()),
        }
    }

    /// What comes out of a linear node.
    fn through(&mut self, from: usize, node: usize, way: &Way) -> Result<Way, Fail> {
        let flat = self.flat;
        let name = &flat.names[node];
        let list = |values: &[f64]| match spread(values, way.width) {
            Some(list) => Ok(list),
            None => self.fits(from, node, way.width, values.len()).map(|()| vec![]),
        };
        match &flat.parts[node] {
            Part::Scale(scale) => {
                let scale = list(scale)?;
                way.map(way.width, |(pre, at, d), w| vec![((pre, at, d), w * scale[at])])
            }
            Part::Delay(delay) => {
                let delay = list(delay)?;
                let steps = self.steps(&delay, name)?;
                let longer = |d: u32, k: u32| d.checked_add(k).filter(|d| *d < u32::MAX / 2);
                if way.synapses.keys().any(|(_, at, d)| longer(*d, steps[*at]).is_none()) {
                    return Err(format!("the delays of `{name}` are too long"));
                }
                let out = way.map(way.width, |(pre, at, d), w| vec![((pre, at, d + steps[at]), w)])?;
                Ok(Way { plain: way.plain, ..out })
            }
            Part::Linear { rows, columns, weight, .. } => way.map(*rows, |(pre, at, d), w| {
                let entry = |row: usize| weight[row * columns + at];
                (0..*rows).filter(|r| entry(*r) != 0.0).map(|r| ((pre, r, d), w * entry(r))).collect()
            }),
            _ => Ok(Way { length: way.length + 1, ..way.clone() }),
        }
    }

    /// Whole steps of delays in seconds.
    fn steps(&mut self, delays: &[f64], name: &str) -> Result<Vec<u32>, Fail> {
        let mut rounded = false;
        let mut out = Vec::with_capacity(delays.len());
        for d in delays {
            let steps = (d / self.dt).round();
            if !(*d >= 0.0 && steps < f64::from(u32::MAX / 2)) {
                return Err(format!("node `{name}`: a delay of {d:?} s"));
            }
            rounded |= (d / self.dt - steps).abs() > OFF_GRID;
            out.push(steps as u32);
        }
        let note =
            format!("the delays of `{name}` are no whole numbers of steps of {} s: the nearest were taken", self.dt);
        if rounded && !self.notes.contains(&note) {
            self.notes.push(note);
        }
        Ok(out)
    }

    /// Adds a constant that comes out of a node to what drives the cells that it reaches.
    fn drive(
        &mut self,
        node: usize,
        value: Vec<f64>,
        length: usize,
        populations: &mut [Population],
    ) -> Result<(), Fail> {
        self.step(length)?;
        for to in &self.flat.next[node] {
            let wrong = |n: usize| format!("{} values meet {n} at `{}`", value.len(), self.flat.names[*to]);
            let next = match &self.flat.parts[*to] {
                Part::Cells(gain, _) if gain.len() == value.len() => {
                    let Some(cells) = &mut populations[self.numbers[to]].cells else { continue };
                    cells.drive(&value);
                    continue;
                }
                Part::Cells(gain, _) => return Err(wrong(gain.len())),
                Part::Linear { rows, columns, weight, .. } if *columns == value.len() => {
                    let row = |r: usize| weight[r * columns..][..*columns].iter().zip(&value).map(|(w, v)| w * v).sum();
                    (0..*rows).map(row).collect()
                }
                Part::Linear { columns, .. } => return Err(wrong(*columns)),
                Part::Scale(s) => {
                    let s = spread(s, value.len()).ok_or_else(|| wrong(s.len()))?;
                    value.iter().zip(&s).map(|(v, s)| v * s).collect()
                }
                Part::Delay(_) | Part::Pass => value.clone(),
                Part::Output(_) | Part::Input(_) | Part::Placeholder => continue,
            };
            self.drive(*to, next, length + 1, populations)?;
        }
        Ok(())
    }
}

/// Adds what comes through to the synapses of (source, target).
fn arrive(
    ends: (usize, usize),
    way: &Way,
    gain: &[f64],
    found: &mut BTreeMap<(usize, usize), Way>,
) -> Result<(), Fail> {
    let empty = Way { width: way.width, synapses: BTreeMap::new(), plain: false, length: 0 };
    let all = found.entry(ends).or_insert(empty);
    for ((pre, post, d), w) in &way.synapses {
        *all.synapses.entry((*pre, *post, *d)).or_insert(0.0) += w * gain[*post];
    }
    match all.synapses.values().find(|w| !w.is_finite()) {
        Some(bad) => Err(format!("a weight of {bad}")),
        None => Ok(()),
    }
}

/// A list of `n`, or one number for all.
fn spread(list: &[f64], n: usize) -> Option<Vec<f64>> {
    match list {
        [one] => Some(vec![*one; n]),
        _ => (list.len() == n).then(|| list.to_vec()),
    }
}

type Key = (usize, usize, u32);

impl Way {
    fn map(&self, width: usize, f: impl Fn(Key, f64) -> Vec<(Key, f64)>) -> Result<Way, Fail> {
        let mut synapses = BTreeMap::new();
        for (key, weight) in &self.synapses {
            for (key, w) in f(*key, *weight) {
                *synapses.entry(key).or_insert(0.0) += w;
            }
            if synapses.len() > MOST_SYNAPSES {
                return Err(format!("more than {MOST_SYNAPSES} synapses on one way"));
            }
        }
        Ok(Way { width, synapses, plain: false, length: self.length + 1 })
    }
}

impl Cells {
    /// A constant input: V comes to rest elsewhere. A synaptic current would come to it by and by, so it starts that much below.
    fn drive(&mut self, input: &[f64]) {
        let gain = self.params.get("I_gain").cloned().unwrap_or_default();
        let add = |params: &mut BTreeMap<&'static str, Vec<f64>>, name: &str, sign: f64| {
            let values = params.get_mut(name).into_iter().flatten();
            values.zip(input.iter().zip(&gain)).for_each(|(v, (b, g))| *v += sign * g * b);
        };
        let at = if self.kind == Kind::If { "drive" } else { "V_leak" };
        add(&mut self.params, at, 1.0);
        add(&mut self.params, "I", -1.0);
    }
}

/// Names of populations as the language has them: letters, digits and underscores, each once.
pub fn names(populations: &[Population]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    for p in populations {
        let plain: String = p.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = plain.trim_matches('_').to_string();
        let first = plain.chars().next().is_none_or(|c| !c.is_ascii_alphabetic());
        let stem = match first || crate::syntax::lexical::is_reserved(&plain) {
            true => format!("n_{plain}"),
            false => plain,
        };
        let numbered = (2..).map(|k| format!("{stem}_{k}"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or_default();
        taken.insert(name.clone());
        out.push(name);
    }
    out
}
