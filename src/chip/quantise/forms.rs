//! From expressions of the IR to forms. What a neuron core can't compute is refused by name.

use super::dynamics::Outside;
use super::values::{Form, Leaf, Polynomial, Test, Values};
use crate::backend::build::ParamValues;
use crate::backend::eval;
use crate::ir::plasticity::{Integral, Plasticity};
use crate::ir::{BinaryOp, Compare, Dynamics, Expr, ExprId, Exprs, Real, UnaryOp};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the expressions of one population.
pub(super) struct Reader<'p> {
    exprs: &'p Exprs,
    params: &'p [ParamValues],
    /// Params that the host writes while the circuit runs, and what is derived from them.
    live: &'p BTreeSet<u32>,
    /// Params that hold flags of events.
    flags: &'p BTreeSet<u32>,
    /// By state: what its integer is measured from.
    offsets: &'p [f64],
    /// Of the modulators that cells follow: position among the coupled sums, and the level at the start.
    follows: &'p [(u32, f64)],
    /// Whether anything arrives at the receptor at hand.
    pub arrives: bool,
    /// A rule of plasticity, with what it takes for the time since its last event.
    rule: Option<RuleReader<'p>>,
}

/// What a rule's expressions have besides those of cells.
struct RuleReader<'p> {
    /// ms
    elapsed: f64,
    integrals: &'p [Integral],
    /// By read: its value, where that never changes.
    constants: Vec<Option<f64>>,
}

/// What an expression is that no core computes, in words.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub what: String,
    /// What to do, where it is not to take another model.
    pub instead: Option<&'static str>,
}

impl From<String> for Refusal {
    fn from(what: String) -> Refusal {
        Refusal { what, instead: None }
    }
}

impl From<&str> for Refusal {
    fn from(what: &str) -> Refusal {
        what.to_string().into()
    }
}

#[derive(Clone)]
enum Node {
    Form(Form),
    Test(Test),
    /// A condition that is the same for all neurons.
    Known(bool),
}

impl<'p> Reader<'p> {
    pub(super) fn new(
        dynamics: &'p Dynamics,
        params: &'p [ParamValues],
        live: &'p BTreeSet<u32>,
        offsets: &'p [f64],
        outside: &'p Outside,
    ) -> Reader<'p> {
        let (flags, follows) = (&outside.flags, outside.follows.as_slice());
        Reader { exprs: &dynamics.exprs, params, live, flags, offsets, follows, arrives: false, rule: None }
    }

    /// Reads a rule of plasticity, synapses being brought up to date every `dt_ms`. `constants`: its reads that never change.
    pub(super) fn of_rule(rule: &'p Plasticity, dt_ms: f64, constants: Vec<Option<f64>>) -> Reader<'p> {
        const NONE: &BTreeSet<u32> = &BTreeSet::new();
        let of = RuleReader { elapsed: dt_ms, integrals: &rule.integrals, constants };
        let exprs = &rule.exprs;
        Reader {
            exprs,
            params: &[],
            live: NONE,
            flags: NONE,
            offsets: &[],
            follows: &[],
            arrives: false,
            rule: Some(of),
        }
    }

    pub(super) fn form(&self, id: ExprId) -> Result<Form, Refusal> {
        match self.node(id)? {
            Node::Form(form) => Ok(form),
            Node::Test(t) => Ok(Form::Select(Box::new(t), Box::new(Form::one(1.0)), Box::new(Form::one(0.0)))),
            Node::Known(k) => Ok(Form::one(f64::from(u8::from(k)))),
        }
    }

    /// A value that no state enters.
    pub(super) fn constant(&self, id: ExprId, what: &str) -> Result<Values, Refusal> {
        self.form(id)?.as_constant().ok_or_else(|| format!("{what} that changes while the circuit runs").into())
    }

    /// A condition; `Err` with the value inside where it is known.
    pub(super) fn test(&self, id: ExprId) -> Result<Result<Test, bool>, Refusal> {
        Ok(match self.node(id)? {
            Node::Test(t) => Ok(t),
            Node::Known(k) => Err(k),
            Node::Form(f) => match f.as_constant() {
                Some(v) if v.each.len() == 1 && !v.live => Err(v.at(0) != 0.0),
                _ => return Err("a condition that is a number".into()),
            },
        })
    }

    fn node(&self, id: ExprId) -> Result<Node, Refusal> {
        let mut done: BTreeMap<ExprId, Node> = BTreeMap::new();
        for at in eval::order(self.exprs, &[id]) {
            let node = self.read(self.exprs.get(at), &done)?;
            done.insert(at, node);
        }
        done.remove(&id).ok_or_else(|| "nothing".into())
    }

    fn of_synapse(&self, e: &Expr, rule: &RuleReader<'_>) -> Result<Node, Refusal> {
        match e {
            // Over one step an integral is its value at the start.
            Expr::Integral(k) => {
                self.node(rule.integrals.get(*k as usize).ok_or("an integral that is not there")?.value)
            }
            Expr::Read(k) => Ok(Node::Form(match rule.constants.get(*k as usize) {
                Some(Some(v)) => Form::one(*v),
                _ => Form::Polynomial(Polynomial::leaf(Leaf::Read(*k))),
            })),
            _ => Ok(Node::Form(Form::one(rule.elapsed))),
        }
    }

    fn read(&self, e: &Expr, done: &BTreeMap<ExprId, Node>) -> Result<Node, Refusal> {
        let leaf = |l: Leaf| Ok(Node::Form(Form::Polynomial(Polynomial::leaf(l))));
        let form = |id: &ExprId| -> Result<Form, Refusal> {
            match done.get(id) {
                Some(Node::Form(f)) => Ok(f.clone()),
                Some(Node::Known(k)) => Ok(Form::one(f64::from(u8::from(*k)))),
                Some(Node::Test(t)) => {
                    Ok(Form::Select(Box::new(t.clone()), Box::new(Form::one(1.0)), Box::new(Form::one(0.0))))
                }
                None => Err("an expression that is not there".into()),
            }
        };
        match e {
            Expr::Const(Real(v)) => Ok(Node::Form(Form::one(*v))),
            Expr::Param(k) => {
                let values = self.params.get(*k as usize).ok_or("a param that is not there")?;
                let values = match values {
                    ParamValues::One(v) => vec![*v],
                    ParamValues::Each(v) => v.clone(),
                };
                let live = self.live.contains(k);
                let values = Values { each: values, live, flag: self.flags.contains(k).then_some(*k) };
                Ok(Node::Form(Form::Polynomial(Polynomial::constant(values))))
            }
            Expr::State(k) => {
                let offset = self.offsets.get(*k as usize).copied().unwrap_or(0.0);
                let constant = Polynomial::constant(Values::one(offset));
                Ok(Node::Form(Form::Polynomial(Polynomial::leaf(Leaf::State(*k)).plus(&constant))))
            }
            Expr::Arrival if self.arrives => leaf(Leaf::Arrival),
            Expr::Arrival => Ok(Node::Form(Form::one(0.0))),
            Expr::Noise(k) => leaf(Leaf::Noise(*k)),
            Expr::Uniform => leaf(Leaf::Uniform),
            Expr::Unary(op, a) => unary(*op, done.get(a).cloned(), &form(a)?),
            Expr::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => both(*op, done.get(a), done.get(b)),
            Expr::Binary(op, a, b) => binary(*op, &form(a)?, &form(b)?).map(Node::Form),
            Expr::Compare(op, a, b) => compare(*op, &form(a)?, &form(b)?),
            Expr::Select(c, a, b) => match done.get(c) {
                Some(Node::Test(t)) => choice(t, form(a)?, form(b)?).map(Node::Form),
                Some(Node::Known(k)) => Ok(Node::Form(form(if *k { a } else { b })?)),
                _ => Err("a choice by something that is no condition".into()),
            },
            Expr::Elapsed | Expr::Integral(_) | Expr::Read(_) => match &self.rule {
                Some(rule) => self.of_synapse(e, rule),
                None => Err("something of a synapse".into()),
            },
            Expr::Time => Err("the time".into()),
            Expr::Held => Err("whether the neuron is refractory, within an equation".into()),
            Expr::Before(_) => Err("a value from before the step".into()),
            Expr::Coupled(k) => match self.follows.iter().find(|(followed, _)| followed == k) {
                Some((_, start)) => {
                    let constant = Polynomial::constant(Values::one(*start));
                    Ok(Node::Form(Form::Polynomial(Polynomial::leaf(Leaf::Coupled(*k)).plus(&constant))))
                }
                None => Err("values of other neurons at every step".into()),
            },
            _ => Err("something that only the building of a network knows".into()),
        }
    }
}

/// One of two. Where params alone decide between params, it is a number of each neuron, as they are.
fn choice(test: &Test, a: Form, b: Form) -> Result<Form, Refusal> {
    Ok(match (test.as_constant(), a.as_constant(), b.as_constant()) {
        (Some(holds), Some(a), Some(b)) => {
            let neurons = holds.each.len().max(a.each.len()).max(b.each.len());
            let each = (0..neurons).map(|k| if holds.at(k) != 0.0 { a.at(k) } else { b.at(k) }).collect();
            let live = holds.live || a.live || b.live;
            Form::Polynomial(Polynomial::constant(Values { each, live, flag: None }))
        }
        _ => Form::Select(Box::new(test.clone()), Box::new(a), Box::new(b)),
    })
}

fn unary(op: UnaryOp, node: Option<Node>, a: &Form) -> Result<Node, Refusal> {
    match (op, node) {
        (UnaryOp::Not, Some(Node::Test(t))) => return Ok(Node::Test(Test::Not(Box::new(t)))),
        (UnaryOp::Not, Some(Node::Known(k))) => return Ok(Node::Known(!k)),
        _ => {}
    }
    if let Some(v) = a.as_constant() {
        return Ok(Node::Form(Form::Polynomial(Polynomial::constant(v.map(|x| op.compute(x))))));
    }
    let minus = binary(BinaryOp::Sub, &Form::one(0.0), a)?;
    match op {
        UnaryOp::Neg => Ok(Node::Form(minus)),
        UnaryOp::Abs => Ok(Node::Form(larger(a, &minus, true)?)),
        _ => Err(format!("{} of a state", op.name()).into()),
    }
}

fn both(op: BinaryOp, a: Option<&Node>, b: Option<&Node>) -> Result<Node, Refusal> {
    let and = op == BinaryOp::And;
    match (a, b) {
        (Some(Node::Known(k)), Some(other)) | (Some(other), Some(Node::Known(k))) => {
            Ok(if *k == and { other.clone() } else { Node::Known(!and) })
        }
        (Some(Node::Test(a)), Some(Node::Test(b))) => {
            let (a, b) = (Box::new(a.clone()), Box::new(b.clone()));
            Ok(Node::Test(if and { Test::And(a, b) } else { Test::Or(a, b) }))
        }
        _ => Err("a condition over numbers".into()),
    }
}

fn binary(op: BinaryOp, a: &Form, b: &Form) -> Result<Form, Refusal> {
    let product = || Refusal::from("a product of more than three states");
    let minus = Values::one(-1.0);
    match op {
        BinaryOp::Add => a.combine(b, &|a, b| Some(a.plus(b))).ok_or_else(product),
        BinaryOp::Sub => a.combine(b, &|a, b| Some(a.plus(&b.scaled(&minus)))).ok_or_else(product),
        BinaryOp::Mul => a.combine(b, &|a, b| a.times(b)).ok_or_else(product),
        BinaryOp::Div => {
            let by = b.as_constant().ok_or("a division by a state")?;
            // Term by term, as coefficients are products and quotients of params.
            let inverse = Form::Polynomial(Polynomial::constant(by.map(|v| 1.0 / v)));
            binary(BinaryOp::Mul, a, &inverse)
        }
        BinaryOp::Min => larger(a, b, false),
        BinaryOp::Max => larger(a, b, true),
        BinaryOp::Pow => match (a.as_constant(), b.as_constant()) {
            (Some(a), Some(b)) => {
                Ok(Form::Polynomial(Polynomial::constant(a.zip(&b, |a, b| BinaryOp::Pow.compute(a, b)))))
            }
            _ => Err("a power of a state".into()),
        },
        BinaryOp::And | BinaryOp::Or => Err("a condition over numbers".into()),
    }
}

/// The larger or the smaller of two.
fn larger(a: &Form, b: &Form, larger: bool) -> Result<Form, Refusal> {
    let op = if larger { Compare::Gt } else { Compare::Lt };
    if let (Some(x), Some(y)) = (a.as_constant(), b.as_constant()) {
        let pick = |x: f64, y: f64| if op.compute(x, y) { x } else { y };
        return Ok(Form::Polynomial(Polynomial::constant(x.zip(&y, pick))));
    }
    match compare(op, a, b)? {
        Node::Test(t) => Ok(Form::Select(Box::new(t), Box::new(a.clone()), Box::new(b.clone()))),
        Node::Known(k) => Ok(if k { a.clone() } else { b.clone() }),
        Node::Form(_) => Err("a condition that is a number".into()),
    }
}

fn compare(op: Compare, a: &Form, b: &Form) -> Result<Node, Refusal> {
    match binary(BinaryOp::Sub, a, b)? {
        Form::Polynomial(p) => {
            if let Some(v) = p.as_constant() {
                let first = op.compute(v.at(0), 0.0);
                if !v.live && v.each.iter().all(|x| op.compute(*x, 0.0) == first) {
                    return Ok(Node::Known(first));
                }
            }
            Ok(Node::Test(Test::Compare(op, p)))
        }
        Form::Select(..) => Err("a comparison of values that conditions choose".into()),
    }
}
