//! A segment as a list of vector instructions over values, each of which is made once.

use super::super::plan::{Id, Node, Plan, filled_before};
use super::super::translate::Slots;
use crate::ir::{BinaryOp, Compare, Real, UnaryOp};
use crate::runtime::RingKind;
use std::collections::HashMap;

/// A value: numbers or truths, one in each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Truth,
}

/// What an instruction reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    Value(Value),
    /// A scalar slot, spread over the lanes.
    Scalar(u32),
}

/// What an array holds of each neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// In the precision of the plan.
    Number,
    /// What arrived in a ring: sums are in double precision always.
    Arrived(RingKind),
}

/// An array of the table of pointers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array {
    pub slot: usize,
    pub element: Element,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Load(Array),
    /// One scalar in all lanes.
    Spread,
    Add,
    Sub,
    Mul,
    Div,
    /// The second where the first is not less (more): also where one is no number.
    Min,
    Max,
    Sqrt,
    /// To the nearest even, down or up: the low bits of the instruction's immediate.
    Round(u8),
    /// Flips and clears the bits of a scalar.
    Xor,
    And,
    Compare(Compare),
    Both,
    Either,
    Not,
    /// Condition, then, else: numbers.
    Choose,
    /// The same of truths.
    ChooseTruth,
    /// 1 where true, else 0.
    ToNumber,
    /// Whether not 0.
    ToTruth,
    Store(Array),
    /// Fills with zeros.
    Clear(Array),
    /// Spikes: two bits of a byte for each pair of neurons.
    Spikes,
    /// Notes lanes that are not finite.
    Fault,
    /// An operation where the last argument holds, and the first argument elsewhere.
    Within(Arithmetic),
    /// A comparison that is false where the last argument does not hold.
    CompareWithin(Compare),
}

/// Operations on two numbers that can be done in some lanes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    pub op: Op,
    pub to: Option<Value>,
    pub args: Vec<Arg>,
}

#[derive(Debug, Default)]
pub struct List {
    pub instructions: Vec<Instruction>,
    pub kinds: Vec<Kind>,
}

/// Scalars that follow those of the plan: constants of every kernel, then those of the graph.
pub const ONE: usize = 0;
pub const SIGN: usize = 1;
pub const MAGNITUDE: usize = 2;
/// In single precision, two scalars wide.
pub const PAIRS: usize = 3;
const FIXED: [u64; 4] = [0x3ff0_0000_0000_0000, 1 << 63, !(1 << 63), 0x0303_0303];
const FIXED_SINGLE: [u32; 5] = [0x3f80_0000, 1 << 31, !(1 << 31), 0x0303_0303, 0x0303_0303];

impl Plan {
    /// Bits of what follows the scalars of the plan: see [`ONE`] and what stands beside it, then the constants of the graph.
    pub fn constants(&self) -> Vec<u64> {
        followed(&FIXED, &self.nodes, f64::to_bits)
    }

    /// The same in single precision.
    pub fn single_constants(&self) -> Vec<u32> {
        followed(&FIXED_SINGLE, &self.nodes, |v| (v as f32).to_bits())
    }
}

/// What is fixed, then each constant once.
fn followed<B: Copy + PartialEq>(fixed: &[B], nodes: &[Node], bits: impl Fn(f64) -> B) -> Vec<B> {
    let mut out = fixed.to_vec();
    for node in nodes {
        if let Node::Const(Real(v)) = node
            && !out[fixed.len()..].contains(&bits(*v))
        {
            out.push(bits(*v));
        }
    }
    out
}

struct Lister<'p> {
    plan: &'p Plan,
    slots: Slots,
    ready: HashMap<Id, u32>,
    /// Slots of constants by their bits.
    constants: HashMap<u64, u32>,
    list: List,
    own: HashMap<Id, Arg>,
    numbers: HashMap<Id, Arg>,
    truths: HashMap<Id, Arg>,
}

/// What segment `k` computes.
pub fn list(plan: &Plan, k: usize) -> List {
    let base = plan.scalars.len() as u32;
    let (constants, fixed) = if plan.single {
        (plan.single_constants().into_iter().map(u64::from).collect(), FIXED_SINGLE.len())
    } else {
        (plan.constants(), FIXED.len())
    };
    let mut lister = Lister {
        plan,
        slots: Slots::of(plan),
        ready: filled_before(plan, k),
        constants: constants.iter().zip(base..).skip(fixed).map(|(bits, slot)| (*bits, slot)).collect(),
        list: List::default(),
        own: HashMap::new(),
        numbers: HashMap::new(),
        truths: HashMap::new(),
    };
    lister.segment(k);
    lister.list
}

impl Lister<'_> {
    fn segment(&mut self, k: usize) {
        let plan = self.plan;
        for (row, id) in &plan.segments[k].stores {
            let value = self.number(*id);
            self.store(self.slots.scratch + *row as usize, value);
        }
        if !plan.segments[k].last {
            return;
        }
        let news: Vec<Arg> = plan.states.iter().map(|id| self.number(*id)).collect();
        let counter = plan.counter.map(|c| self.number(c));
        let spike = plan.spike.map(|s| self.truth(s));
        let margin = plan.margin.map(|m| self.number(m));
        let mut sum: Option<Arg> = None;
        for (slot, value) in news.into_iter().enumerate() {
            if plan.nodes[plan.states[slot].0 as usize] == Node::State(slot as u32) {
                continue;
            }
            let value = self.lanes(value);
            self.store(slot, value);
            sum = Some(match sum {
                None => value,
                Some(sum) => self.number_of(Op::Add, vec![sum, value]),
            });
        }
        if let Some(sum) = sum {
            // Their sum is finite where they are, or too large: then the states are looked at one by one.
            self.effect(Op::Fault, vec![sum]);
        }
        if let Some(counter) = counter {
            self.store(self.slots.counter, counter);
        }
        for (k, ring) in plan.rings.iter().enumerate() {
            let element = Element::Arrived(ring.kind);
            self.effect(Op::Clear(Array { slot: self.slots.rings + k, element }), Vec::new());
        }
        if let Some(margin) = margin {
            self.store(self.slots.margin, margin);
        }
        if let Some(spike) = spike {
            let pairs = self.fixed(PAIRS);
            self.effect(Op::Spikes, vec![spike, pairs]);
        }
    }

    fn make(&mut self, kind: Kind, op: Op, args: Vec<Arg>) -> Arg {
        let to = Value(self.list.kinds.len() as u32);
        self.list.kinds.push(kind);
        self.list.instructions.push(Instruction { op, to: Some(to), args });
        Arg::Value(to)
    }

    fn number_of(&mut self, op: Op, args: Vec<Arg>) -> Arg {
        self.make(Kind::Number, op, args)
    }

    fn effect(&mut self, op: Op, args: Vec<Arg>) {
        self.list.instructions.push(Instruction { op, to: None, args });
    }

    fn store(&mut self, slot: usize, value: Arg) {
        let value = self.lanes(value);
        self.effect(Op::Store(Array { slot, element: Element::Number }), vec![value]);
    }

    fn fixed(&self, which: usize) -> Arg {
        Arg::Scalar(self.plan.scalars.len() as u32 + which as u32)
    }

    /// A value rather than a scalar, for operands that can't be in memory.
    fn lanes(&mut self, arg: Arg) -> Arg {
        match arg {
            Arg::Scalar(_) => self.number_of(Op::Spread, vec![arg]),
            value => value,
        }
    }

    fn is_truth(&self, id: Id) -> bool {
        self.plan.is_bool(id) && !self.ready.contains_key(&id)
    }

    fn number(&mut self, id: Id) -> Arg {
        if let Some(done) = self.numbers.get(&id) {
            return *done;
        }
        let own = self.value(id);
        let number = if self.is_truth(id) {
            let one = self.fixed(ONE);
            self.number_of(Op::ToNumber, vec![own, one])
        } else {
            own
        };
        self.numbers.insert(id, number);
        number
    }

    fn truth(&mut self, id: Id) -> Arg {
        if let Some(done) = self.truths.get(&id) {
            return *done;
        }
        let own = self.value(id);
        let truth = if self.is_truth(id) {
            own
        } else {
            let own = self.lanes(own);
            self.make(Kind::Truth, Op::ToTruth, vec![own])
        };
        self.truths.insert(id, truth);
        truth
    }

    /// What a node is computed from in this segment.
    fn inputs(&self, id: Id) -> Vec<Id> {
        let leaf = self.ready.contains_key(&id) || !self.plan.varying[id.0 as usize];
        if leaf { Vec::new() } else { super::super::plan::children(&self.plan.nodes[id.0 as usize]) }
    }

    /// Makes a node, its children first; the stack is our own, as graphs of many compartments nest deep.
    fn value(&mut self, root: Id) -> Arg {
        let mut stack = vec![root];
        while let Some(id) = stack.last().copied() {
            if self.own.contains_key(&id) {
                stack.pop();
                continue;
            }
            let missing: Vec<Id> = self.inputs(id).into_iter().filter(|c| !self.own.contains_key(c)).collect();
            if missing.is_empty() {
                stack.pop();
                let made = self.compute(id);
                self.own.insert(id, made);
            } else {
                // The first operand is made first.
                stack.extend(missing.into_iter().rev());
            }
        }
        self.own[&root]
    }

    fn compute(&mut self, id: Id) -> Arg {
        let number = |slot| Op::Load(Array { slot, element: Element::Number });
        if let Some(row) = self.ready.get(&id) {
            return self.number_of(number(self.slots.scratch + *row as usize), Vec::new());
        }
        let node = self.plan.nodes[id.0 as usize].clone();
        if let Node::Const(Real(v)) = node {
            let bits = if self.plan.single { u64::from((v as f32).to_bits()) } else { v.to_bits() };
            return Arg::Scalar(self.constants.get(&bits).copied().unwrap_or_default());
        }
        if !self.plan.varying[id.0 as usize] {
            return Arg::Scalar(self.plan.scalars.get(&id).copied().unwrap_or_default());
        }
        match node {
            Node::State(k) => self.number_of(number(k as usize), Vec::new()),
            Node::Counter => self.number_of(number(self.slots.counter), Vec::new()),
            Node::Param(k) => self.number_of(number(self.slots.params + k as usize), Vec::new()),
            Node::Coupled(k) => self.number_of(number(self.slots.coupled + k as usize), Vec::new()),
            Node::Ring(k) => {
                let element = Element::Arrived(self.plan.rings[k as usize].kind);
                self.number_of(Op::Load(Array { slot: self.slots.rings + k as usize, element }), Vec::new())
            }
            Node::Unary(UnaryOp::Not, a) => {
                let a = self.truth(a);
                self.make(Kind::Truth, Op::Not, vec![a])
            }
            Node::Unary(op, a) => {
                let a = self.number(a);
                let a = self.lanes(a);
                match op {
                    UnaryOp::Neg => self.number_of(Op::Xor, vec![a, self.fixed(SIGN)]),
                    UnaryOp::Abs => self.number_of(Op::And, vec![a, self.fixed(MAGNITUDE)]),
                    UnaryOp::Sqrt => self.number_of(Op::Sqrt, vec![a]),
                    UnaryOp::Floor => self.number_of(Op::Round(1), vec![a]),
                    UnaryOp::Ceil => self.number_of(Op::Round(2), vec![a]),
                    _ => self.number_of(Op::Round(0), vec![a]),
                }
            }
            Node::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let (a, b) = (self.truth(a), self.truth(b));
                self.make(Kind::Truth, if op == BinaryOp::And { Op::Both } else { Op::Either }, vec![a, b])
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                let (op, symmetric) = match op {
                    BinaryOp::Add => (Op::Add, true),
                    BinaryOp::Sub => (Op::Sub, false),
                    BinaryOp::Mul => (Op::Mul, true),
                    BinaryOp::Div => (Op::Div, false),
                    BinaryOp::Min => (Op::Min, false),
                    _ => (Op::Max, false),
                };
                // Only the second operand may lie in memory.
                let (a, b) = if symmetric && matches!(a, Arg::Scalar(_)) { (b, a) } else { (a, b) };
                let a = self.lanes(a);
                self.number_of(op, vec![a, b])
            }
            Node::Compare(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                let a = self.lanes(a);
                self.make(Kind::Truth, Op::Compare(op), vec![a, b])
            }
            Node::Select(c, a, b) => {
                let c = self.truth(c);
                if self.plan.is_bool(id) {
                    let (a, b) = (self.truth(a), self.truth(b));
                    return self.make(Kind::Truth, Op::ChooseTruth, vec![c, a, b]);
                }
                let (a, b) = (self.number(a), self.number(b));
                let b = self.lanes(b);
                self.number_of(Op::Choose, vec![c, a, b])
            }
            // Values of calls come from their rows.
            Node::Const(_)
            | Node::Time { .. }
            | Node::Single(_)
            | Node::Noise(_)
            | Node::Uniform
            | Node::Poisson(..) => self.fixed(ONE),
        }
    }
}
