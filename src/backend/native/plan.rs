//! One step of a neuron as a single dataflow graph, cut into loops.
//!
//! The statements of `ir::Dynamics` become one graph from (old states, params, arrivals, draws) to (new states, spike): held states
//! and resets are selects, sub-steps are substitution. Nothing is folded or reassociated here, so the graph computes the
//! interpreter's bits.
//!
//! Elementary functions and random draws are computed by `numerics` and `random` over arrays, not by instructions of ours: the graph
//! is cut at each of them. A *segment* is a loop over a chunk of neurons that stores the arguments of the calls after it; the last
//! segment stores states and spikes. What crosses a cut waits in a scratch row. Values that are the same for all neurons are
//! computed once per step by the runtime.

use crate::ir::{
    self, Arrival, BinaryOp, Compare, Dynamics, Expr, ExprId, Real, Refractory, Spike, Stage, UnaryOp, single,
};
use crate::runtime::RingKind;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    Const(Real),
    State(u32),
    Param(u32),
    /// Start or end of the step, ms.
    Time {
        end: bool,
    },
    Noise(u32),
    Uniform,
    /// Steps of refractoriness left.
    Counter,
    /// What arrived in a ring, as a number.
    Ring(u32),
    /// A sum over continuous projections.
    Coupled(u32),
    /// A value that is the same for all neurons, rounded to single precision.
    Single(Id),
    /// Spikes of a Poisson input; the argument is the mean count.
    Poisson(u32, Id),
    Unary(UnaryOp, Id),
    Binary(BinaryOp, Id, Id),
    Compare(Compare, Id, Id),
    Select(Id, Id, Id),
}

/// A ring buffer of one population: a receptor's arrival term.
#[derive(Clone, Debug, PartialEq)]
pub struct RingPlan {
    pub kind: RingKind,
    /// Longest delay of its projections, steps.
    pub longest: u32,
    pub projections: Vec<ir::ProjectionId>,
    /// Weights that never change and have the digits of single precision: what is to come may wait in lists.
    pub steady: bool,
}

/// Whether a param is one number or one per neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    One,
    Each,
}

/// A call over a chunk between two segments. Rows are scratch rows.
#[derive(Clone, Debug, PartialEq)]
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
    Normal {
        draw: u32,
        row: u32,
    },
    Uniform {
        row: u32,
    },
    /// One mean for all neurons: a scalar slot.
    PoissonOne {
        input: u32,
        mean: u32,
        row: u32,
    },
    /// A mean for each neuron: a scratch row.
    PoissonEach {
        input: u32,
        mean: u32,
        row: u32,
    },
}

/// One loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Calls made before it.
    pub calls: Vec<Call>,
    /// Values it stores: (scratch row, node).
    pub stores: Vec<(u32, Id)>,
    pub last: bool,
}

/// What a population's kernels compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub nodes: Vec<Node>,
    /// New value of each state.
    pub states: Vec<Id>,
    /// New counter, where there is refractoriness.
    pub counter: Option<Id>,
    pub spike: Option<Id>,
    /// How far above its threshold a cell is, where that decides who sends a spike.
    pub margin: Option<Id>,
    pub segments: Vec<Segment>,
    pub rings: Vec<RingPlan>,
    /// Number of sums over continuous projections.
    pub coupled: usize,
    pub forms: Vec<Form>,
    /// Nodes that the runtime computes once per step, in order, and their scalar slots.
    pub uniform: Vec<Id>,
    pub scalars: HashMap<Id, u32>,
    /// Scratch row that holds a node after its segment or call.
    pub rows: BTreeMap<Id, u32>,
    pub scratch_rows: u32,
    /// Nodes that differ between neurons.
    pub varying: Vec<bool>,
    /// What differs between neurons is computed and held in single precision; and which nodes are, see [`ir::single`].
    pub single: bool,
    pub singles: Vec<bool>,
}

/// Nodes from which an arena may nest too deep for recursion.
const DEEP: usize = 1000;

struct Builder<'d> {
    d: &'d Dynamics,
    nodes: Vec<Node>,
    /// Which of the nodes are in single precision.
    singles: Vec<bool>,
    index: HashMap<Node, Id>,
    forms: Vec<Form>,
    dt: f64,
}

/// What leaves mean at one moment of the step.
struct Moment {
    states: Vec<Id>,
    end: bool,
    arrival: Option<Id>,
}

impl Builder<'_> {
    fn node(&mut self, n: Node) -> Id {
        let (n, single) = if self.d.single { self.matched(n) } else { (n, false) };
        if let Some(id) = self.index.get(&n) {
            return *id;
        }
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(n.clone());
        self.singles.push(single);
        self.index.insert(n, id);
        id
    }

    /// A node with operands of one precision, and whether it is single.
    fn matched(&mut self, n: Node) -> (Node, bool) {
        let own = if matches!(n, Node::Single(_)) { Some(true) } else { differs(&n, &self.forms) };
        if let Some(single) = own {
            return (n, single);
        }
        if !children(&n).iter().any(|c| self.singles[c.0 as usize]) {
            return (n, false);
        }
        let n = match n {
            Node::Unary(op, a) => Node::Unary(op, self.operand(a)),
            Node::Binary(op, a, b) => Node::Binary(op, self.operand(a), self.operand(b)),
            Node::Compare(op, a, b) => Node::Compare(op, self.operand(a), self.operand(b)),
            Node::Select(c, a, b) => Node::Select(self.operand(c), self.operand(a), self.operand(b)),
            other => other,
        };
        (n, true)
    }

    /// A value as an operation of single precision reads it.
    fn operand(&mut self, id: Id) -> Id {
        match self.nodes[id.0 as usize] {
            Node::Const(Real(v)) => self.real(single::round(v)),
            _ => self.narrow(id),
        }
    }

    /// A value as cells hold it.
    fn narrow(&mut self, id: Id) -> Id {
        if !self.d.single || self.singles[id.0 as usize] { id } else { self.node(Node::Single(id)) }
    }

    fn real(&mut self, v: f64) -> Id {
        self.node(Node::Const(Real(v)))
    }

    fn select(&mut self, c: Id, a: Id, b: Id) -> Id {
        if a == b { a } else { self.node(Node::Select(c, a, b)) }
    }

    fn compose(&mut self, e: ExprId, m: &Moment, start: &Moment, memo: &mut HashMap<ExprId, Id>) -> Id {
        if let Some(done) = memo.get(&e) {
            return *done;
        }
        // The elimination over a tree of compartments nests as deep as the tree is long: children first keeps the stack flat.
        if self.d.exprs.len() > DEEP {
            for below in crate::backend::eval::order(&self.d.exprs, &[e]) {
                self.compose_node(below, m, start, memo);
            }
        }
        self.compose_node(e, m, start, memo)
    }

    fn compose_node(&mut self, e: ExprId, m: &Moment, start: &Moment, memo: &mut HashMap<ExprId, Id>) -> Id {
        if let Some(done) = memo.get(&e) {
            return *done;
        }
        let id = match self.d.exprs.get(e).clone() {
            Expr::Const(r) => self.node(Node::Const(r)),
            Expr::State(k) => m.states[k as usize],
            Expr::Param(k) => self.node(Node::Param(k)),
            Expr::Arrival => match m.arrival {
                Some(a) => a,
                None => self.real(0.0),
            },
            Expr::Time => self.node(Node::Time { end: m.end }),
            Expr::Noise(k) => self.node(Node::Noise(k)),
            Expr::Uniform => self.node(Node::Uniform),
            Expr::Held => self.held(),
            Expr::Coupled(k) => self.node(Node::Coupled(k)),
            Expr::Before(inner) => self.compose(inner, start, start, &mut HashMap::new()),
            Expr::Unary(op, a) => {
                let a = self.compose_node(a, m, start, memo);
                self.node(Node::Unary(op, a))
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.compose_node(a, m, start, memo), self.compose_node(b, m, start, memo));
                self.node(Node::Binary(op, a, b))
            }
            Expr::Compare(op, a, b) => {
                let (a, b) = (self.compose_node(a, m, start, memo), self.compose_node(b, m, start, memo));
                self.node(Node::Compare(op, a, b))
            }
            Expr::Select(c, a, b) => {
                let c = self.compose_node(c, m, start, memo);
                let (a, b) = (self.compose_node(a, m, start, memo), self.compose_node(b, m, start, memo));
                self.node(Node::Select(c, a, b))
            }
            // `valid` keeps leaves of other places out of dynamics.
            Expr::Element(..)
            | Expr::Random { .. }
            | Expr::Table { .. }
            | Expr::Column(_)
            | Expr::Read(_)
            | Expr::Elapsed
            | Expr::Integral(_) => self.real(f64::NAN),
        };
        memo.insert(e, id);
        id
    }

    /// 1 where the counter was positive at the start of the step.
    fn held(&mut self) -> Id {
        let (counter, zero) = (self.node(Node::Counter), self.real(0.0));
        self.node(Node::Compare(Compare::Gt, counter, zero))
    }

    /// What a state is at the end of a step.
    fn settled(&mut self, state: u32, value: Id) -> Id {
        if self.nodes[value.0 as usize] == Node::State(state) {
            return value;
        }
        let magnitude = self.node(Node::Unary(UnaryOp::Abs, value));
        let (smallest, zero) = (self.real(single::SMALLEST), self.real(0.0));
        let next_to_nothing = self.node(Node::Compare(Compare::Lt, magnitude, smallest));
        self.node(Node::Select(next_to_nothing, zero, value))
    }

    fn all_states(&mut self) -> Vec<Id> {
        (0..self.d.states.len() as u32).map(|k| self.node(Node::State(k))).collect()
    }
}

/// How params are stored.
fn forms(d: &Dynamics) -> Vec<Form> {
    d.per_neuron().into_iter().map(|each| if each { Form::Each } else { Form::One }).collect()
}

/// Gives the ring that projections need, of counts or not.
pub type RingOf<'r> = dyn Fn(&[ir::ProjectionId], bool) -> RingPlan + 'r;

/// Plans the step of one population.
pub fn plan(d: &Dynamics, dt: f64, margin: Option<ExprId>, ring_of: &RingOf) -> Plan {
    let mut b = Builder { d, nodes: Vec::new(), singles: Vec::new(), index: HashMap::new(), forms: forms(d), dt };
    let mut rings = Vec::new();
    let initial = b.all_states();
    let start = Moment { states: initial.clone(), end: false, arrival: None };
    let refractory = d.refractory.as_ref();
    let held_states: Vec<u32> = refractory.map(|r| r.held.clone()).unwrap_or_default();
    let keep = |b: &mut Builder, state: u32, old: Id, new: Id| {
        if held_states.contains(&state) {
            let flag = b.held();
            b.select(flag, old, new)
        } else {
            new
        }
    };
    let mut now = Moment { states: initial, end: false, arrival: None };
    for stage in &d.integrate {
        let mut memo = HashMap::new();
        let mut next = now.states.clone();
        for a in &stage.assigns {
            let value = b.compose(a.value, &now, &start, &mut memo);
            let value = b.narrow(value);
            let old = now.states[a.state as usize];
            next[a.state as usize] = keep(&mut b, a.state, old, value);
        }
        now.states = next;
    }
    for r in &d.receptors {
        let mut total: Option<Id> = None;
        for arrival in &r.arrivals {
            let mut memo = HashMap::new();
            let term = match arrival {
                Arrival::Count { projections, weight, gain } => {
                    rings.push(ring_of(projections, true));
                    let count = b.node(Node::Ring(rings.len() as u32 - 1));
                    let w = b.compose(*weight, &now, &start, &mut memo);
                    let product = b.node(Node::Binary(BinaryOp::Mul, count, w));
                    scaled(&mut b, product, *gain, &now, &start, &mut memo)
                }
                Arrival::Sum { projections, gain } => {
                    rings.push(ring_of(projections, false));
                    let sum = b.node(Node::Ring(rings.len() as u32 - 1));
                    scaled(&mut b, sum, *gain, &now, &start, &mut memo)
                }
                Arrival::Poisson(k) => {
                    let input = &d.poisson[*k as usize];
                    let rate = b.compose(input.rate, &start, &start, &mut HashMap::new());
                    let dt = b.dt;
                    let step = b.real(dt);
                    let mean = b.node(Node::Binary(BinaryOp::Mul, rate, step));
                    let count = b.node(Node::Poisson(*k, mean));
                    let w = b.compose(input.weight, &now, &start, &mut memo);
                    b.node(Node::Binary(BinaryOp::Mul, count, w))
                }
            };
            total = Some(match total {
                None => term,
                Some(sum) => b.node(Node::Binary(BinaryOp::Add, sum, term)),
            });
        }
        let arrival = match total {
            Some(t) => t,
            None => b.real(0.0),
        };
        now.arrival = Some(b.narrow(arrival));
        for a in &r.body {
            let value = b.compose(a.value, &now, &start, &mut HashMap::new());
            let value = b.narrow(value);
            let old = now.states[a.state as usize];
            now.states[a.state as usize] = keep(&mut b, a.state, old, value);
        }
        now.arrival = None;
    }
    now.end = true;
    let mut spike = None;
    let mut counter = None;
    let margin = margin.map(|m| {
        let margin = b.compose(m, &now, &start, &mut HashMap::new());
        b.narrow(margin)
    });
    if let Spike::When(c) = &d.spike {
        let condition = b.compose(*c, &now, &start, &mut HashMap::new());
        let fire = if refractory.is_some() {
            let flag = b.held();
            let free = b.node(Node::Unary(UnaryOp::Not, flag));
            b.node(Node::Binary(BinaryOp::And, condition, free))
        } else {
            condition
        };
        for a in &d.reset {
            let value = b.compose(a.value, &now, &start, &mut HashMap::new());
            let value = b.narrow(value);
            let old = now.states[a.state as usize];
            now.states[a.state as usize] = b.select(fire, value, old);
        }
        spike = Some(fire);
        if let Some(r) = refractory {
            let steps = b.compose(r.steps, &now, &start, &mut HashMap::new());
            let whole = match b.nodes[steps.0 as usize] {
                Node::Const(Real(v)) => b.real(if v > 0.0 { v.floor() } else { 0.0 }),
                _ => {
                    // NaN and what is negative count as none.
                    let zero = b.real(0.0);
                    let positive = b.node(Node::Compare(Compare::Gt, steps, zero));
                    let floor = b.node(Node::Unary(UnaryOp::Floor, steps));
                    b.node(Node::Select(positive, floor, zero))
                }
            };
            let old = b.node(Node::Counter);
            let one = b.real(1.0);
            let less = b.node(Node::Binary(BinaryOp::Sub, old, one));
            let flag = b.held();
            let counted = b.node(Node::Select(flag, less, old));
            counter = Some(b.node(Node::Select(fire, whole, counted)));
        }
    }
    if d.single {
        for (k, state) in now.states.iter_mut().enumerate() {
            *state = b.settled(k as u32, *state);
        }
    }
    let mut plan = cut(b.nodes, now.states, [counter, spike, margin], rings, b.forms);
    plan.coupled = d.coupled.len();
    (plan.single, plan.singles) = (d.single, b.singles);
    plan
}

/// Plans of what adaptive steps do before a step and in each trial: stages alone, with the same states and params.
pub fn adaptive(d: &Dynamics, dt: f64) -> Option<[(Dynamics, Plan); 2]> {
    let a = d.adaptive.as_ref()?;
    Some([&a.before, &a.trial].map(|stage| stage_alone(d, stage, d.refractory.clone(), dt)))
}

/// Plans of what happens at intervals. Their kernels run between two steps: whoever runs them gives the same time as the start and
/// the end of a step.
pub fn every(d: &Dynamics, dt: f64) -> Vec<(Dynamics, Plan)> {
    d.every.iter().map(|e| stage_alone(d, &e.stage, None, dt)).collect()
}

fn stage_alone(d: &Dynamics, stage: &Stage, refractory: Option<Refractory>, dt: f64) -> (Dynamics, Plan) {
    let alone = Dynamics {
        adaptive: None,
        integrate: vec![stage.clone()],
        receptors: Vec::new(),
        poisson: Vec::new(),
        spike: Spike::Never,
        reset: Vec::new(),
        refractory,
        every: Vec::new(),
        ..d.clone()
    };
    let none = RingPlan { kind: RingKind::Sum, longest: 1, projections: Vec::new(), steady: false };
    let plan = plan(&alone, dt, None, &|_, _| none.clone());
    (alone, plan)
}

fn scaled(
    b: &mut Builder,
    value: Id,
    gain: Option<ExprId>,
    now: &Moment,
    start: &Moment,
    memo: &mut HashMap<ExprId, Id>,
) -> Id {
    match gain {
        Some(g) => {
            let g = b.compose(g, now, start, memo);
            b.node(Node::Binary(BinaryOp::Mul, value, g))
        }
        None => value,
    }
}

pub fn children(n: &Node) -> Vec<Id> {
    match n {
        Node::Unary(_, a) | Node::Poisson(_, a) | Node::Single(a) => vec![*a],
        Node::Binary(_, a, b) | Node::Compare(_, a, b) => vec![*a, *b],
        Node::Select(c, a, b) => vec![*c, *a, *b],
        _ => Vec::new(),
    }
}

/// Whether a node is something of each neuron by itself; `None` where that depends on its operands.
fn differs(n: &Node, forms: &[Form]) -> Option<bool> {
    match n {
        Node::State(_)
        | Node::Counter
        | Node::Ring(_)
        | Node::Coupled(_)
        | Node::Noise(_)
        | Node::Uniform
        | Node::Poisson(..) => Some(true),
        Node::Param(k) => Some(forms[*k as usize] == Form::Each),
        _ => None,
    }
}

/// Computed over arrays by a call rather than by instructions.
fn by_call(n: &Node) -> bool {
    match n {
        Node::Unary(op, _) => op.transcendental(),
        Node::Binary(BinaryOp::Pow, ..) | Node::Noise(_) | Node::Uniform | Node::Poisson(..) => true,
        _ => false,
    }
}

/// Cuts the graph into segments.
fn cut(
    nodes: Vec<Node>,
    states: Vec<Id>,
    [counter, spike, margin]: [Option<Id>; 3],
    rings: Vec<RingPlan>,
    forms: Vec<Form>,
) -> Plan {
    let n = nodes.len();
    // Only what the outputs need.
    let mut needed = vec![false; n];
    let mut stack: Vec<Id> = states.iter().copied().chain(counter).chain(spike).chain(margin).collect();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut needed[id.0 as usize], true) {
            stack.extend(children(&nodes[id.0 as usize]));
        }
    }
    // Children stand before parents: the builder adds them first.
    let mut varying = vec![false; n];
    for k in 0..n {
        varying[k] =
            differs(&nodes[k], &forms).unwrap_or_else(|| children(&nodes[k]).iter().any(|c| varying[c.0 as usize]));
    }
    let mut level = vec![0_u32; n];
    for k in 0..n {
        let inside = children(&nodes[k]).iter().filter(|c| varying[c.0 as usize]).map(|c| level[c.0 as usize]).max();
        level[k] = match inside {
            Some(l) if by_call(&nodes[k]) => l + 1,
            Some(l) => l,
            None => 0,
        };
    }
    let last = (0..n).filter(|k| needed[*k]).map(|k| level[k]).max().unwrap_or(0);
    let mut plan = Plan {
        nodes,
        states,
        counter,
        spike,
        margin,
        segments: (0..=last).map(|s| Segment { calls: Vec::new(), stores: Vec::new(), last: s == last }).collect(),
        rings,
        coupled: 0,
        forms,
        uniform: Vec::new(),
        scalars: HashMap::new(),
        rows: BTreeMap::new(),
        scratch_rows: 0,
        varying,
        single: false,
        singles: Vec::new(),
    };
    // Segments that read each node: users stand after what they use, so they are known first.
    let mut used = vec![Vec::new(); n];
    for id in plan.states.iter().copied().chain(plan.counter).chain(plan.spike).chain(plan.margin) {
        used[id.0 as usize].push(last);
    }
    let mut stores = Vec::new();
    for k in (0..n).rev().filter(|k| needed[*k] && plan.varying[*k]) {
        used[k].sort_unstable();
        used[k].dedup();
        let node = &plan.nodes[k];
        let computed_in = if by_call(node) {
            vec![level[k].saturating_sub(1)]
        } else if at_hand(node, &plan) {
            used[k].clone()
        } else {
            // As late as its first reader: what waits for later ones waits in a row.
            if used[k].len() > 1 {
                stores.push((used[k][0], Id(k as u32)));
            }
            used[k][..1].to_vec()
        };
        for c in children(node) {
            used[c.0 as usize].extend(&computed_in);
        }
    }
    for k in 0..n {
        let id = Id(k as u32);
        if !needed[k] {
            continue;
        }
        if !plan.varying[k] {
            if !matches!(plan.nodes[k], Node::Const(_)) {
                plan.uniform.push(id);
                let slot = plan.scalars.len() as u32;
                plan.scalars.insert(id, slot);
            }
            continue;
        }
        if by_call(&plan.nodes[k]) {
            let row = plan.row(id);
            let at = level[k] as usize;
            let call = match plan.nodes[k].clone() {
                Node::Unary(op, a) => {
                    plan.store(at - 1, row, a);
                    Call::Unary { op, row }
                }
                Node::Binary(_, a, b) => {
                    let exponent = plan.fresh();
                    plan.store(at - 1, row, a);
                    plan.store(at - 1, exponent, b);
                    Call::Pow { row, exponent }
                }
                Node::Noise(draw) => Call::Normal { draw, row },
                Node::Uniform => Call::Uniform { row },
                Node::Poisson(input, mean) if plan.varying[mean.0 as usize] => {
                    let means = plan.fresh();
                    plan.store(at - 1, means, mean);
                    Call::PoissonEach { input, mean: means, row }
                }
                Node::Poisson(input, mean) => {
                    let slot = match plan.scalars.get(&mean) {
                        Some(s) => *s,
                        None => {
                            // A constant mean is a scalar like any other.
                            plan.uniform.push(mean);
                            let s = plan.scalars.len() as u32;
                            plan.scalars.insert(mean, s);
                            s
                        }
                    };
                    Call::PoissonOne { input, mean: slot, row }
                }
                _ => continue,
            };
            plan.segments[at].calls.push(call);
        }
    }
    for (segment, id) in stores.into_iter().rev() {
        let row = plan.row(id);
        plan.store(segment as usize, row, id);
    }
    plan
}

/// Whether a node costs less to compute again in each segment than to store and load: it is one operation on what is loaded anyway.
fn at_hand(node: &Node, plan: &Plan) -> bool {
    let loaded = |id: &Id| {
        !plan.varying[id.0 as usize] || by_call(&plan.nodes[id.0 as usize]) || is_leaf(&plan.nodes[id.0 as usize])
    };
    children(node).iter().all(loaded)
}

fn is_leaf(node: &Node) -> bool {
    matches!(node, Node::State(_) | Node::Param(_) | Node::Counter | Node::Ring(_) | Node::Coupled(_))
}

impl Call {
    /// The row that it reads besides its own.
    pub fn other(&self) -> Option<u32> {
        match self {
            Call::Pow { exponent, .. } => Some(*exponent),
            Call::PoissonEach { mean, .. } => Some(*mean),
            _ => None,
        }
    }

    /// The row that holds the result.
    pub fn row(&self) -> u32 {
        match self {
            Call::Unary { row, .. }
            | Call::Pow { row, .. }
            | Call::Normal { row, .. }
            | Call::Uniform { row }
            | Call::PoissonOne { row, .. }
            | Call::PoissonEach { row, .. } => *row,
        }
    }
}

/// Nodes whose rows calls before segment `k` or stores of earlier segments filled.
pub fn filled_before(plan: &Plan, k: usize) -> HashMap<Id, u32> {
    let filled = |id: &Id, row: u32| {
        plan.segments[..=k].iter().any(|s| s.calls.iter().any(|c| c.row() == row))
            || plan.segments[..k].iter().any(|s| s.stores.iter().any(|(r, i)| *r == row && i == id))
    };
    plan.rows.iter().filter(|(id, row)| filled(id, **row)).map(|(id, row)| (*id, *row)).collect()
}

impl Plan {
    /// Whether two plans compile to the same code, and give it the same to read: all but the names of their projections.
    pub fn same_code(&self, other: &Plan) -> bool {
        let kinds = |p: &Plan| -> Vec<RingKind> { p.rings.iter().map(|r| r.kind).collect() };
        self.nodes == other.nodes
            && self.states == other.states
            && self.counter == other.counter
            && self.spike == other.spike
            && self.margin == other.margin
            && self.segments == other.segments
            && self.forms == other.forms
            && self.single == other.single
            && self.singles == other.singles
            && self.uniform == other.uniform
            && self.scalars == other.scalars
            && self.rows == other.rows
            && self.scratch_rows == other.scratch_rows
            && self.varying == other.varying
            && self.coupled == other.coupled
            && kinds(self) == kinds(other)
    }

    /// Whether a step leaves its cells as they are: a source of times that are known.
    pub fn is_idle(&self) -> bool {
        self.states.is_empty() && self.spike.is_none()
    }

    /// Whether what is the same for all neurons differs from step to step.
    pub fn follows_time(&self) -> bool {
        self.uniform.iter().any(|id| matches!(self.nodes[id.0 as usize], Node::Time { .. }))
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

    fn store(&mut self, segment: usize, row: u32, id: Id) {
        self.segments[segment].stores.push((row, id));
    }

    /// Whether a node is computed in single precision.
    pub fn is_single(&self, id: Id) -> bool {
        self.singles.get(id.0 as usize) == Some(&true)
    }

    /// Whether a node is a truth value rather than a number.
    pub fn is_bool(&self, id: Id) -> bool {
        match &self.nodes[id.0 as usize] {
            Node::Compare(..) | Node::Unary(UnaryOp::Not, _) | Node::Binary(BinaryOp::And | BinaryOp::Or, ..) => {
                self.varying[id.0 as usize]
            }
            Node::Select(_, a, b) => self.varying[id.0 as usize] && self.is_bool(*a) && self.is_bool(*b),
            _ => false,
        }
    }
}
