//! What a rule does to one synapse, or to the traces of one neuron, as a dataflow graph cut into loops.
//!
//! As for cells, nothing is folded or reassociated, so the graph computes the interpreter's bits, and it is cut at elementary
//! functions and random draws, which `numerics` and `random` compute. What depends on the time since a synapse was last touched and
//! on nothing else is a function of a whole number of steps: it stands in a table, filled by the evaluator that the interpreter uses
//! too.

use crate::ir::plasticity::{Handler, Place, Plasticity};
use crate::ir::{Assign, BinaryOp, Compare, Expr, ExprId, Real, UnaryOp, rest};
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

/// What a program runs over, and so where its operands lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The synapses of one lane, side by side: the presynaptic traces are one for all.
    Row,
    /// The synapses onto one target, by their index: the postsynaptic traces are one for all.
    Column,
    /// Neurons of one side: its traces, side by side.
    Traces(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    Const(Real),
    /// A variable of the synapse, or in [`Mode::Traces`] of the neuron.
    Own(u32),
    /// A trace of the neuron whose synapses they all are.
    Near(u32),
    /// A trace of the neuron at the other end.
    Far(u32),
    /// What is read of the postsynaptic neuron.
    Read(u32),
    /// What is read and is the same for all of them.
    Level(u32),
    /// The sum of the weights that leave the neuron of the lane.
    Leaving,
    /// End of the step, ms.
    Time,
    Uniform,
    /// A function of the steps since the synapse was last touched.
    Table(u32),
    /// An integral over the steps since then.
    Integral(u32),
    /// 1 where no step has passed since.
    Still,
    /// 1 while weights stand still.
    Frozen,
    /// Rounded to single precision.
    Single(Id),
    Unary(UnaryOp, Id),
    Binary(BinaryOp, Id, Id),
    Compare(Compare, Id, Id),
    Select(Id, Id, Id),
}

impl Node {
    pub fn children(&self) -> impl Iterator<Item = Id> + use<> {
        let list = match *self {
            Node::Unary(_, a) | Node::Single(a) => [Some(a), None, None],
            Node::Binary(_, a, b) | Node::Compare(_, a, b) => [Some(a), Some(b), None],
            Node::Select(c, a, b) => [Some(c), Some(a), Some(b)],
            _ => [None; 3],
        };
        list.into_iter().flatten()
    }

    /// Computed over arrays by a call rather than by instructions.
    fn by_call(&self) -> bool {
        match self {
            Node::Unary(op, _) => op.transcendental(),
            Node::Binary(BinaryOp::Pow, ..) | Node::Uniform => true,
            _ => false,
        }
    }
}

/// A call over a chunk between two segments. Rows are scratch rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    Unary {
        op: UnaryOp,
        row: u32,
    },
    /// base in `row`, exponent in `exponent`; the result replaces the base.
    Pow {
        row: u32,
        exponent: u32,
    },
    Uniform {
        row: u32,
    },
}

impl Call {
    pub fn row(&self) -> u32 {
        match *self {
            Call::Unary { row, .. } | Call::Pow { row, .. } | Call::Uniform { row } => row,
        }
    }
}

/// One loop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Calls made before it.
    pub calls: Vec<Call>,
    /// Values it stores: (scratch row, node).
    pub stores: Vec<(u32, Id)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub mode: Mode,
    pub nodes: Vec<Node>,
    /// New values: (position among the variables of the place, node).
    pub writes: Vec<(u32, Id)>,
    /// Written to rows of scratch instead of in place.
    pub aside: bool,
    /// What is sent on.
    pub deliver: Option<Id>,
    pub segments: Vec<Segment>,
    /// Nodes that are one for all, in order, and the scalar slots of those that others need.
    pub uniform: Vec<Id>,
    pub scalars: HashMap<Id, u32>,
    /// Scratch row that holds a node after its segment or call.
    pub rows: BTreeMap<Id, u32>,
    pub scratch_rows: u32,
    pub varying: Vec<bool>,
    /// Nodes that are one for all, each with the truth by which all variables stay as they are, and what is sent on is the weight.
    pub rests: Vec<(Id, bool)>,
}

/// When a variable stays as it is.
#[derive(Clone)]
enum Unchanged {
    Always,
    /// Where one of these nodes has this truth, and perhaps else.
    When(Vec<(Id, bool)>),
}

impl Unchanged {
    /// Whether this truth of a node is enough.
    fn by(&self, g: &(Id, bool)) -> bool {
        match self {
            Unchanged::Always => true,
            Unchanged::When(list) => list.contains(g),
        }
    }

    fn and(self, other: Unchanged) -> Unchanged {
        match (self, other) {
            (Unchanged::Always, x) | (x, Unchanged::Always) => x,
            (Unchanged::When(mut a), Unchanged::When(b)) => {
                a.retain(|x| b.contains(x));
                Unchanged::When(a)
            }
        }
    }
}

/// What the programs of a rule have in common.
#[derive(Default)]
pub struct Layout {
    /// Place of each variable and its position among the variables there.
    pub slots: Vec<(Place, usize)>,
    /// Variables of pre, post and synapse.
    pub counts: [usize; 3],
    /// Whether it matters when a synapse was last touched.
    pub remembers: bool,
    /// Functions of the time since then.
    pub tables: Vec<ExprId>,
    /// Of each integral, whether what was gained decays on.
    pub integrals: Vec<bool>,
    /// Synapses' variables are held in single precision.
    pub single: bool,
    /// Targets of synapses are held in 16 bits.
    pub narrow: bool,
}

impl Layout {
    pub fn new(rule: &Plasticity, narrow: bool) -> Layout {
        let mut counts = [0; 3];
        let slots = rule
            .variables
            .iter()
            .map(|v| {
                counts[v.place as usize] += 1;
                (v.place, counts[v.place as usize] - 1)
            })
            .collect();
        let integrals = rule.integrals.iter().map(|i| i.own != 0.0).collect();
        let (remembers, single) = (rule.lazy && !rule.drift.is_empty(), rule.single);
        Layout { slots, counts, remembers, tables: Vec::new(), integrals, single, narrow }
    }

    /// Variables of a synapse.
    pub fn words(&self) -> usize {
        self.counts[Place::Synapse as usize]
    }

    /// Bytes of a synapse's variables.
    pub fn stride(&self) -> usize {
        self.words() * if self.single { 4 } else { 8 }
    }
}

/// What an expression depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Constant,
    /// The time since the synapse was last touched.
    Elapsed,
    Else,
}

struct Builder<'r> {
    rule: &'r Plasticity,
    layout: &'r mut Layout,
    mode: Mode,
    dt: f64,
    kinds: Vec<Kind>,
    nodes: Vec<Node>,
    index: HashMap<Node, Id>,
}

impl Builder<'_> {
    fn new<'r>(rule: &'r Plasticity, layout: &'r mut Layout, mode: Mode, dt: f64) -> Builder<'r> {
        let mut kinds: Vec<Kind> = Vec::with_capacity(rule.exprs.len());
        for (_, e) in rule.exprs.iter() {
            let mut kind = match e {
                Expr::Const(_) | Expr::Unary(..) | Expr::Binary(..) | Expr::Compare(..) | Expr::Select(..) => {
                    Kind::Constant
                }
                Expr::Elapsed => Kind::Elapsed,
                _ => Kind::Else,
            };
            e.children(&mut |c| kind = kind.max(kinds[c.0 as usize]));
            kinds.push(kind);
        }
        Builder { rule, layout, mode, dt, kinds, nodes: Vec::new(), index: HashMap::new() }
    }

    fn node(&mut self, n: Node) -> Id {
        if let Some(id) = self.index.get(&n) {
            return *id;
        }
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(n);
        self.index.insert(n, id);
        id
    }

    fn select(&mut self, c: Node, a: Id, b: Id) -> Id {
        let c = self.node(c);
        if a == b { a } else { self.node(Node::Select(c, a, b)) }
    }

    /// The nodes that `root` needs, children first, down to what stands in tables.
    fn order(&self, root: ExprId) -> Vec<ExprId> {
        let mut needed = vec![false; root.0 as usize + 1];
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.0 as usize], true) && !self.tabled(id) {
                self.rule.exprs.get(id).children(&mut |c| stack.push(c));
            }
        }
        needed.iter().zip(0..).filter(|(n, _)| **n).map(|(_, k)| ExprId(k)).collect()
    }

    fn tabled(&self, id: ExprId) -> bool {
        self.layout.remembers && self.kinds[id.0 as usize] == Kind::Elapsed
    }

    /// `synapse` holds what stands for the synapse's variables.
    fn compose(&mut self, root: ExprId, synapse: &[Id]) -> Id {
        let mut done: HashMap<ExprId, Id> = HashMap::new();
        for e in self.order(root) {
            let id = if self.tabled(e) {
                let known = self.layout.tables.iter().position(|t| *t == e);
                let at = known.unwrap_or_else(|| {
                    self.layout.tables.push(e);
                    self.layout.tables.len() - 1
                });
                self.node(Node::Table(at as u32))
            } else {
                let node = match *self.rule.exprs.get(e) {
                    Expr::Const(r) => Node::Const(r),
                    Expr::State(k) => match (self.mode, self.layout.slots[k as usize]) {
                        (Mode::Row | Mode::Column, (Place::Synapse, slot)) => {
                            done.insert(e, synapse[slot]);
                            continue;
                        }
                        (Mode::Row, (Place::Pre, slot)) | (Mode::Column, (Place::Post, slot)) => {
                            Node::Near(slot as u32)
                        }
                        (Mode::Row | Mode::Column, (_, slot)) => Node::Far(slot as u32),
                        (Mode::Traces(side), (place, slot)) if side == place => Node::Own(slot as u32),
                        // `valid` keeps traces apart from what isn't theirs.
                        _ => Node::Const(Real(f64::NAN)),
                    },
                    Expr::Read(k) if self.rule.levels.contains(&k) => Node::Level(k),
                    Expr::Read(k) if self.rule.total_out == Some(k) => Node::Leaving,
                    // `valid` lets no presynaptic trace read the other neuron.
                    Expr::Read(_) if self.mode == Mode::Traces(Place::Pre) => Node::Const(Real(f64::NAN)),
                    Expr::Read(k) => Node::Read(k),
                    Expr::Time => Node::Time,
                    Expr::Uniform => Node::Uniform,
                    Expr::Elapsed => Node::Const(Real(self.dt)),
                    Expr::Integral(k) if self.layout.remembers => Node::Integral(k),
                    Expr::Unary(op, a) => Node::Unary(op, done[&a]),
                    Expr::Binary(op, a, b) => Node::Binary(op, done[&a], done[&b]),
                    Expr::Compare(op, a, b) => Node::Compare(op, done[&a], done[&b]),
                    Expr::Select(c, a, b) => Node::Select(done[&c], done[&a], done[&b]),
                    // `valid` refuses other leaves in a rule.
                    _ => Node::Const(Real(f64::NAN)),
                };
                self.node(node)
            };
            done.insert(e, id);
        }
        done[&root]
    }

    fn old(&mut self) -> Vec<Id> {
        (0..self.layout.counts[Place::Synapse as usize] as u32).map(|k| self.node(Node::Own(k))).collect()
    }

    /// The synapse's variables with these assignments, all at once; a frozen weight stays.
    fn assigned(&mut self, list: &[Assign], from: &[Id]) -> Vec<Id> {
        let mut out = from.to_vec();
        for a in list.iter().filter(|a| self.rule.place(a.state) == Place::Synapse) {
            let (_, slot) = self.layout.slots[a.state as usize];
            let value = self.compose(a.value, from);
            out[slot] = if a.state == 0 { self.select(Node::Frozen, from[slot], value) } else { value };
        }
        out
    }

    /// The synapse's variables after they decayed, in code what [`Plasticity::settled`] says.
    fn drifted(&mut self, old: &[Id]) -> Vec<Id> {
        let mut out = self.assigned(&self.rule.drift, old);
        for (new, _) in out.iter_mut().zip(old).skip(1).filter(|(new, old)| new != old) {
            if !self.layout.single {
                let (magnitude, smallest) =
                    (self.node(Node::Unary(UnaryOp::Abs, *new)), self.node(Node::Const(Real(rest::SMALLEST))));
                let zero = self.node(Node::Const(Real(0.0)));
                *new = self.select(Node::Compare(Compare::Lt, magnitude, smallest), zero, *new);
            }
        }
        out
    }

    /// The synapse's variables brought up to date where the rule is lazy, as they would be held.
    fn touched(&mut self) -> Vec<Id> {
        let old = self.old();
        if !self.layout.remembers {
            return old;
        }
        let moved = self.drifted(&old);
        let single = self.layout.single;
        let mut held = |old: Id, new: Id| if single && new != old { self.node(Node::Single(new)) } else { new };
        let moved: Vec<Id> = old.iter().zip(moved).map(|(old, new)| held(*old, new)).collect();
        old.iter().zip(moved).map(|(old, new)| self.select(Node::Still, *old, new)).collect()
    }

    fn finish(self, values: Vec<Id>, deliver: Option<Id>, aside: bool) -> Program {
        let own = |k: usize, id: Id| self.nodes[id.0 as usize] == Node::Own(k as u32);
        let writes: Vec<(u32, Id)> = values
            .into_iter()
            .enumerate()
            .filter(|(k, id)| aside || !own(*k, *id))
            .map(|(k, v)| (k as u32, v))
            .collect();
        cut(self.mode, self.nodes, writes, deliver, aside)
    }
}

/// A handler's part for synapses.
pub fn handler(rule: &Plasticity, layout: &mut Layout, mode: Mode, h: &Handler, dt: f64) -> Program {
    let mut b = Builder::new(rule, layout, mode, dt);
    let now = b.touched();
    let deliver = h.deliver.map(|d| {
        let deliver = b.compose(d, &now);
        let still = h.still.map(|s| b.compose(s, &now));
        still.map_or(deliver, |still| b.select(Node::Frozen, still, deliver))
    });
    let values = b.assigned(&h.assigns, &now);
    b.finish(values, deliver, false)
}

/// What synapses do between events: over the time since they were touched, or over one step.
pub fn drift(rule: &Plasticity, layout: &mut Layout, dt: f64) -> Program {
    let mut b = Builder::new(rule, layout, Mode::Row, dt);
    let values = if b.layout.remembers {
        b.touched()
    } else {
        let old = b.old();
        b.drifted(&old)
    };
    b.finish(values, None, false)
}

/// Assignments to the traces of one side; `aside`: every one of them goes to the scratch row of its position in the list.
pub fn traces(rule: &Plasticity, layout: &mut Layout, side: Place, list: &[Assign], aside: bool, dt: f64) -> Program {
    let mut b = Builder::new(rule, layout, Mode::Traces(side), dt);
    let mine: Vec<Assign> = list.iter().filter(|a| rule.place(a.state) == side).copied().collect();
    let values: Vec<(u32, Id)> =
        mine.iter().map(|a| (b.layout.slots[a.state as usize].1 as u32, b.compose(a.value, &[]))).collect();
    cut(b.mode, b.nodes, values, None, aside)
}

/// What a presynaptic spike does where a rule rests: it carries the weight on.
pub fn carry() -> Program {
    cut(Mode::Row, vec![Node::Own(0)], Vec::new(), Some(Id(0)), false)
}

fn cut(mode: Mode, nodes: Vec<Node>, writes: Vec<(u32, Id)>, deliver: Option<Id>, aside: bool) -> Program {
    let n = nodes.len();
    let outputs: Vec<Id> = writes.iter().map(|(_, id)| *id).chain(deliver).collect();
    let mut needed = vec![false; n];
    let mut stack = outputs.clone();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut needed[id.0 as usize], true) {
            stack.extend(nodes[id.0 as usize].children());
        }
    }
    let mut varying = vec![false; n];
    let mut level = vec![0_usize; n];
    for k in 0..n {
        varying[k] = match nodes[k] {
            Node::Own(_) | Node::Far(_) | Node::Uniform | Node::Table(_) | Node::Integral(_) | Node::Still => true,
            Node::Read(_) => mode != Mode::Column,
            Node::Leaving => matches!(mode, Mode::Traces(_)),
            node => node.children().any(|c| varying[c.0 as usize]),
        };
        if varying[k] {
            let inside = nodes[k].children().filter(|c| varying[c.0 as usize]).map(|c| level[c.0 as usize]).max();
            level[k] = inside.map_or(0, |l| l + usize::from(nodes[k].by_call()));
        }
    }
    let last = (0..n).filter(|k| needed[*k]).map(|k| level[k]).max().unwrap_or(0);
    let mut last_use = vec![0_usize; n];
    for k in (0..n).filter(|k| needed[*k] && varying[*k]) {
        let used_at = level[k].saturating_sub(usize::from(nodes[k].by_call()));
        nodes[k].children().for_each(|c| last_use[c.0 as usize] = last_use[c.0 as usize].max(used_at));
    }
    outputs.iter().for_each(|id| last_use[id.0 as usize] = last);
    let mut p = Program {
        mode,
        nodes,
        writes,
        aside,
        deliver,
        segments: vec![Segment::default(); last + 1],
        uniform: Vec::new(),
        scalars: HashMap::new(),
        rows: BTreeMap::new(),
        // Where values go aside, they take the first rows.
        scratch_rows: 0,
        varying,
        rests: Vec::new(),
    };
    if !matches!(mode, Mode::Traces(_)) {
        p.rests = p.resting();
    }
    if aside {
        p.scratch_rows = p.writes.len() as u32;
    }
    for k in (0..n).filter(|k| needed[*k]) {
        let (id, at) = (Id(k as u32), level[k]);
        if !p.varying[k] {
            if !matches!(p.nodes[k], Node::Const(_)) {
                p.uniform.push(id);
                let slot = p.scalars.len() as u32;
                p.scalars.insert(id, slot);
            }
            continue;
        }
        if p.nodes[k].by_call() {
            let row = p.row(id);
            let call = match p.nodes[k] {
                Node::Unary(op, a) => {
                    p.segments[at - 1].stores.push((row, a));
                    Call::Unary { op, row }
                }
                Node::Binary(_, a, b) => {
                    let exponent = p.fresh();
                    p.segments[at - 1].stores.extend([(row, a), (exponent, b)]);
                    Call::Pow { row, exponent }
                }
                _ => Call::Uniform { row },
            };
            p.segments[at].calls.push(call);
        } else if last_use[k] > at && p.nodes[k].children().next().is_some() {
            let row = p.row(id);
            p.segments[at].stores.push((row, id));
        }
    }
    p
}

impl Program {
    fn resting(&self) -> Vec<(Id, bool)> {
        let written = self.writes.iter().map(|(k, id)| self.unchanged(*id, *k));
        let all = written.chain(self.deliver.map(|id| self.unchanged(id, 0))).reduce(Unchanged::and);
        match all {
            Some(Unchanged::When(list)) => list,
            // Where nothing is written, there is nothing to leave out.
            Some(Unchanged::Always) | None => Vec::new(),
        }
    }

    /// When a node is variable `k` as it was. Children stand before parents, and many may share one, so each is looked at once.
    fn unchanged(&self, root: Id, k: u32) -> Unchanged {
        let mut all: Vec<Unchanged> = Vec::with_capacity(root.0 as usize + 1);
        for node in &self.nodes[..=root.0 as usize] {
            all.push(match *node {
                Node::Own(own) if own == k => Unchanged::Always,
                Node::Select(c, a, b) => {
                    let (a, b) = (&all[a.0 as usize], &all[b.0 as usize]);
                    match a.clone().and(b.clone()) {
                        Unchanged::Always => Unchanged::Always,
                        Unchanged::When(mut list) => {
                            let other = self.needed_for(c).into_iter().filter(|g| b.by(g));
                            let this = (c, true);
                            let this = (self.one_for_all(c) && a.by(&this)).then_some(this);
                            for g in other.chain(this) {
                                if !list.contains(&g) {
                                    list.push(g);
                                }
                            }
                            Unchanged::When(list)
                        }
                    }
                }
                _ => Unchanged::When(Vec::new()),
            });
        }
        all.pop().unwrap_or(Unchanged::Always)
    }

    fn one_for_all(&self, id: Id) -> bool {
        !self.varying[id.0 as usize] && !matches!(self.nodes[id.0 as usize], Node::Const(_))
    }

    /// Nodes that are one for all and without which a condition doesn't hold.
    fn needed_for(&self, condition: Id) -> Vec<(Id, bool)> {
        let mut seen = vec![condition];
        let mut next = 0;
        let mut out = Vec::new();
        while let Some(id) = seen.get(next).copied() {
            next += 1;
            if self.one_for_all(id) {
                out.push((id, false));
            } else if let Node::Binary(BinaryOp::And, a, b) = self.nodes[id.0 as usize] {
                let new: Vec<Id> = [a, b].into_iter().filter(|id| !seen.contains(id)).collect();
                seen.extend(new);
            }
        }
        out
    }

    fn fresh(&mut self) -> u32 {
        self.scratch_rows += 1;
        self.scratch_rows - 1
    }

    fn row(&mut self, id: Id) -> u32 {
        let row = self.fresh();
        self.rows.insert(id, row);
        row
    }

    /// Rows that are filled when segment `k` begins.
    pub fn ready(&self, k: usize) -> HashMap<Id, u32> {
        let filled = |id: &Id, row: &u32| {
            self.segments[..=k].iter().any(|s| s.calls.iter().any(|c| c.row() == *row))
                || self.segments[..k].iter().any(|s| s.stores.contains(&(*row, *id)))
        };
        self.rows.iter().filter(|(id, row)| filled(id, row)).map(|(id, row)| (*id, *row)).collect()
    }

    /// Whether a node is a truth value rather than a number.
    pub fn is_bool(&self, id: Id) -> bool {
        self.varying[id.0 as usize]
            && match self.nodes[id.0 as usize] {
                Node::Compare(..)
                | Node::Still
                | Node::Unary(UnaryOp::Not, _)
                | Node::Binary(BinaryOp::And | BinaryOp::Or, ..) => true,
                Node::Select(_, a, b) => self.is_bool(a) && self.is_bool(b),
                _ => false,
            }
    }

    /// Whether it does anything at all.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deliver.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `if level > 0.5 and far > 0.3 { own = 1 }`, twice over: the second with weights that may stand still.
    #[test]
    fn what_is_one_for_all_decides_whether_anything_happens() {
        let real = |v: f64| Node::Const(Real(v));
        let nodes = vec![
            Node::Own(0),
            Node::Level(0),
            real(0.5),
            Node::Compare(Compare::Gt, Id(1), Id(2)),
            Node::Far(0),
            real(0.3),
            Node::Compare(Compare::Gt, Id(4), Id(5)),
            Node::Binary(BinaryOp::And, Id(3), Id(6)),
            real(1.0),
            Node::Select(Id(7), Id(8), Id(0)),
            Node::Frozen,
            Node::Select(Id(10), Id(0), Id(9)),
            // Another variable, which changes by the far trace alone.
            Node::Own(1),
            Node::Select(Id(6), Id(8), Id(12)),
        ];
        let rests = |writes: &[(u32, u32)]| {
            let writes = writes.iter().map(|(k, id)| (*k, Id(*id))).collect();
            cut(Mode::Column, nodes.clone(), writes, None, false).rests
        };
        assert_eq!(rests(&[(0, 9)]), [(Id(3), false)]);
        assert_eq!(rests(&[(0, 11)]), [(Id(3), false), (Id(10), true)]);
        assert_eq!(rests(&[(0, 11), (1, 13)]), []);
        assert_eq!(rests(&[(1, 13)]), []);
        // A value that is not the variable's own.
        assert_eq!(rests(&[(1, 9)]), []);
        // What is sent on: the weight after the handler, or something else.
        let sends = |deliver| cut(Mode::Row, nodes.clone(), vec![(0, Id(11))], Some(Id(deliver)), false).rests;
        assert_eq!(sends(11), [(Id(3), false), (Id(10), true)]);
        assert_eq!(sends(8), []);
    }

    /// `if level { w = if far > 0.3 { 1 } else { w } }` a hundred times: each reads twice what the one before left.
    #[test]
    fn what_many_share_is_looked_at_once() {
        let mut nodes =
            vec![Node::Own(0), Node::Level(0), Node::Far(0), Node::Const(Real(0.3)), Node::Const(Real(1.0))];
        nodes.push(Node::Compare(Compare::Gt, Id(2), Id(3)));
        let mut w = Id(0);
        for _ in 0..100 {
            let n = nodes.len() as u32;
            nodes.extend([Node::Select(Id(5), Id(4), w), Node::Select(Id(1), Id(n), w)]);
            w = Id(n + 1);
        }
        assert_eq!(cut(Mode::Column, nodes, vec![(0, w)], None, false).rests, [(Id(1), false)]);
    }
}
