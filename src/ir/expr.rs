//! Expressions: a hash-consed DAG in an arena, so that shared parts are computed once and deep formulas stay small.
//!
//! Building folds constants with the same functions that the back ends call, so folding never changes a bit of the result.
//! The one algebraic liberty: a factor that is exactly 0 removes its term, and neutral elements vanish.

use crate::numerics as math;
use crate::script::{Distribution, Func};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// An expression of one arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExprId(pub u32);

/// A constant; equal when its bits are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    Neg,
    Not,
    Abs,
    Sqrt,
    Floor,
    Ceil,
    Round,
    Exp,
    Expm1,
    Exprel,
    Ln,
    Ln1p,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Tanh,
}

impl UnaryOp {
    /// Computed by `numerics` over slices rather than by instructions.
    pub fn transcendental(self) -> bool {
        use UnaryOp::*;
        matches!(self, Exp | Expm1 | Exprel | Ln | Ln1p | Log2 | Log10 | Sin | Cos | Tan | Tanh)
    }

    pub fn name(self) -> &'static str {
        use UnaryOp::*;
        match self {
            Neg => "-",
            Not => "not",
            Abs => "abs",
            Sqrt => "sqrt",
            Floor => "floor",
            Ceil => "ceil",
            Round => "round",
            Exp => "exp",
            Expm1 => "expm1",
            Exprel => "exprel",
            Ln => "ln",
            Ln1p => "ln1p",
            Log2 => "log2",
            Log10 => "log10",
            Sin => "sin",
            Cos => "cos",
            Tan => "tan",
            Tanh => "tanh",
        }
    }

    pub fn of_func(func: Func) -> Option<UnaryOp> {
        use UnaryOp::*;
        Some(match func {
            Func::Abs => Abs,
            Func::Sqrt => Sqrt,
            Func::Exp => Exp,
            Func::Expm1 => Expm1,
            Func::Exprel => Exprel,
            Func::Ln => Ln,
            Func::Ln1p => Ln1p,
            Func::Log2 => Log2,
            Func::Log10 => Log10,
            Func::Sin => Sin,
            Func::Cos => Cos,
            Func::Tan => Tan,
            Func::Tanh => Tanh,
            Func::Floor => Floor,
            Func::Ceil => Ceil,
            Func::Round => Round,
            _ => return None,
        })
    }

    /// The one definition of what the operation computes; every back end calls or matches it.
    pub fn compute(self, x: f64) -> f64 {
        use UnaryOp::*;
        match self {
            Neg => -x,
            Not => f64::from(u8::from(x == 0.0)),
            Abs => x.abs(),
            Sqrt => x.sqrt(),
            Floor => x.floor(),
            Ceil => x.ceil(),
            Round => x.round_ties_even(),
            Exp => math::exp(x),
            Expm1 => math::expm1(x),
            Exprel => math::exprel(x),
            Ln => math::ln(x),
            Ln1p => math::ln1p(x),
            Log2 => math::log2(x),
            Log10 => math::log10(x),
            Sin => math::sin(x),
            Cos => math::cos(x),
            Tan => math::tan(x),
            Tanh => math::tanh(x),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    /// `a < b ? a : b`
    Min,
    /// `a > b ? a : b`
    Max,
    Pow,
    And,
    Or,
}

impl BinaryOp {
    pub fn compute(self, a: f64, b: f64) -> f64 {
        let flag = |c: bool| f64::from(u8::from(c));
        match self {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            BinaryOp::Min => crate::script::minimum(a, b),
            BinaryOp::Max => crate::script::maximum(a, b),
            BinaryOp::Pow => math::pow(a, b),
            BinaryOp::And => flag(a != 0.0 && b != 0.0),
            BinaryOp::Or => flag(a != 0.0 || b != 0.0),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Compare {
    pub fn compute(self, a: f64, b: f64) -> bool {
        match self {
            Compare::Eq => a == b,
            Compare::Ne => a != b,
            Compare::Lt => a < b,
            Compare::Le => a <= b,
            Compare::Gt => a > b,
            Compare::Ge => a >= b,
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Compare::Eq => "==",
            Compare::Ne => "!=",
            Compare::Lt => "<",
            Compare::Le => "<=",
            Compare::Gt => ">",
            Compare::Ge => ">=",
        }
    }
}

/// Whose attribute a build expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The neuron itself (params, initial states).
    Own,
    Pre,
    Post,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attribute {
    /// Flat index in its population.
    Index,
    /// Coordinate along an axis.
    Axis(u32),
    /// A param of its dynamics, as built.
    Param(u32),
}

/// A node. Booleans are 1 and 0; `Compare`, `Not`, `And`, `Or` make them, conditions consume them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expr {
    Const(Real),
    Unary(UnaryOp, ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    Compare(Compare, ExprId, ExprId),
    Select(ExprId, ExprId, ExprId),
    // Dynamics only:
    State(u32),
    Param(u32),
    /// Sum of what arrived at the receptor whose body this is.
    Arrival,
    /// ms
    Time,
    /// Standard normal draw.
    Noise(u32),
    /// Uniform draw of the spike test.
    Uniform,
    /// 1 where the refractory counter was positive at the start of the step.
    Held,
    /// What continuous projections bring in this step: position in `Dynamics::coupled`.
    Coupled(u32),
    /// The value at the start of the step.
    Before(ExprId),
    // Plasticity rules only (besides `State` and `Time`):
    /// What is read of the postsynaptic neuron.
    Read(u32),
    /// ms since the synapse was last brought up to date.
    Elapsed,
    /// A sum over the steps since then: position in `Plasticity::integrals`.
    Integral(u32),
    // Build only (params, initial states, weights, delays, `where`):
    Element(Side, Attribute),
    Random {
        distribution: Distribution,
        args: Vec<ExprId>,
        site: u32,
    },
    Table {
        table: u32,
        indices: Vec<ExprId>,
    },
    /// A column of the edge file, by position.
    Column(u32),
}

impl Expr {
    pub fn children(&self, visit: &mut dyn FnMut(ExprId)) {
        match self {
            Expr::Unary(_, a) | Expr::Before(a) => visit(*a),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
                visit(*a);
                visit(*b);
            }
            Expr::Select(c, a, b) => {
                visit(*c);
                visit(*a);
                visit(*b);
            }
            Expr::Random { args, .. } => args.iter().for_each(|a| visit(*a)),
            Expr::Table { indices, .. } => indices.iter().for_each(|a| visit(*a)),
            _ => {}
        }
    }
}

/// An arena. Children stand before their parents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exprs {
    nodes: Vec<Expr>,
    #[serde(skip)]
    index: HashMap<Expr, ExprId>,
}

impl PartialEq for Exprs {
    fn eq(&self, other: &Exprs) -> bool {
        self.nodes == other.nodes
    }
}

impl Exprs {
    pub fn get(&self, id: ExprId) -> &Expr {
        &self.nodes[id.0 as usize]
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (ExprId, &Expr)> {
        self.nodes.iter().enumerate().map(|(k, e)| (ExprId(k as u32), e))
    }

    /// Adds a node unless it is there; no folding.
    pub fn intern(&mut self, e: Expr) -> ExprId {
        if self.index.len() != self.nodes.len() {
            // Loaded from a file: the index is not stored.
            self.index = self.nodes.iter().cloned().zip((0..).map(ExprId)).collect();
        }
        if let Some(id) = self.index.get(&e) {
            return *id;
        }
        let id = ExprId(self.nodes.len() as u32);
        self.nodes.push(e.clone());
        self.index.insert(e, id);
        id
    }

    pub fn real(&mut self, v: f64) -> ExprId {
        self.intern(Expr::Const(Real(v)))
    }

    pub fn as_const(&self, id: ExprId) -> Option<f64> {
        match self.get(id) {
            Expr::Const(Real(v)) => Some(*v),
            _ => None,
        }
    }

    pub fn unary(&mut self, op: UnaryOp, a: ExprId) -> ExprId {
        if let Some(x) = self.as_const(a) {
            return self.real(op.compute(x));
        }
        match (op, self.get(a)) {
            (UnaryOp::Neg, Expr::Unary(UnaryOp::Neg, inner)) => *inner,
            // A division costs as much as ten products, and these functions are smooth: the last digit of their argument does not count.
            (op, Expr::Binary(BinaryOp::Div, value, by)) if op.transcendental() => {
                let (value, by) = (*value, self.as_const(*by));
                match by.map(|c| 1.0 / c).filter(|f| f.is_normal()) {
                    Some(factor) => {
                        let factor = self.real(factor);
                        let argument = self.mul(value, factor);
                        self.intern(Expr::Unary(op, argument))
                    }
                    None => self.intern(Expr::Unary(op, a)),
                }
            }
            _ => self.intern(Expr::Unary(op, a)),
        }
    }

    pub fn binary(&mut self, op: BinaryOp, a: ExprId, b: ExprId) -> ExprId {
        let (x, y) = (self.as_const(a), self.as_const(b));
        if let (Some(x), Some(y)) = (x, y) {
            return self.real(op.compute(x, y));
        }
        match (op, x, y) {
            (BinaryOp::Add, Some(0.0), _) | (BinaryOp::Mul, Some(1.0), _) => b,
            (BinaryOp::Add | BinaryOp::Sub, _, Some(0.0)) | (BinaryOp::Mul | BinaryOp::Div, _, Some(1.0)) => a,
            (BinaryOp::Mul, Some(0.0), _) | (BinaryOp::Mul, _, Some(0.0)) | (BinaryOp::Div, Some(0.0), _) => {
                self.real(0.0)
            }
            (BinaryOp::Sub, Some(0.0), _) => self.unary(UnaryOp::Neg, b),
            (BinaryOp::And, Some(c), _) => {
                if c != 0.0 {
                    b
                } else {
                    a
                }
            }
            (BinaryOp::Or, Some(c), _) => {
                if c != 0.0 {
                    a
                } else {
                    b
                }
            }
            (BinaryOp::Pow, _, Some(n)) => self.power(a, n),
            _ => self.intern(Expr::Binary(op, a, b)),
        }
    }

    /// `a^n`: whole exponents up to 64 as products (by squaring), 1/2 as a root, else `pow`.
    fn power(&mut self, a: ExprId, n: f64) -> ExprId {
        if n == 0.5 {
            return self.unary(UnaryOp::Sqrt, a);
        }
        if n != n.trunc() || n.abs() > 64.0 {
            let n = self.real(n);
            return self.intern(Expr::Binary(BinaryOp::Pow, a, n));
        }
        let mut result: Option<ExprId> = None;
        let (mut base, mut left) = (a, n.abs() as u32);
        while left > 0 {
            if left & 1 == 1 {
                result = Some(match result {
                    None => base,
                    Some(r) => self.binary(BinaryOp::Mul, r, base),
                });
            }
            left >>= 1;
            if left > 0 {
                base = self.binary(BinaryOp::Mul, base, base);
            }
        }
        let one = self.real(1.0);
        let result = result.unwrap_or(one);
        if n < 0.0 { self.binary(BinaryOp::Div, one, result) } else { result }
    }

    pub fn compare(&mut self, op: Compare, a: ExprId, b: ExprId) -> ExprId {
        match (self.as_const(a), self.as_const(b)) {
            (Some(x), Some(y)) => self.real(f64::from(u8::from(op.compute(x, y)))),
            _ => self.intern(Expr::Compare(op, a, b)),
        }
    }

    pub fn select(&mut self, c: ExprId, a: ExprId, b: ExprId) -> ExprId {
        match self.as_const(c) {
            Some(v) if v != 0.0 => a,
            Some(_) => b,
            None if a == b => a,
            None => self.intern(Expr::Select(c, a, b)),
        }
    }

    pub fn add(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryOp::Add, a, b)
    }

    pub fn sub(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryOp::Sub, a, b)
    }

    pub fn mul(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryOp::Mul, a, b)
    }

    pub fn div(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryOp::Div, a, b)
    }

    /// Whether any node below `id` (itself included) satisfies `test`.
    pub fn any(&self, id: ExprId, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        let mut seen = vec![false; id.0 as usize + 1];
        let mut stack = vec![id];
        while let Some(next) = stack.pop() {
            if std::mem::replace(&mut seen[next.0 as usize], true) {
                continue;
            }
            let e = self.get(next);
            if test(e) {
                return true;
            }
            e.children(&mut |c| stack.push(c));
        }
        false
    }

    /// Rebuilds `id` with leaves replaced where `leaf` answers. `memo` carries over between calls with the same `leaf`.
    pub fn rewrite(
        &mut self,
        id: ExprId,
        memo: &mut HashMap<ExprId, ExprId>,
        leaf: &mut dyn FnMut(&mut Exprs, &Expr) -> Option<ExprId>,
    ) -> ExprId {
        if let Some(done) = memo.get(&id) {
            return *done;
        }
        let e = self.get(id).clone();
        let new = match leaf(self, &e) {
            Some(new) => new,
            None => match e {
                Expr::Unary(op, a) => {
                    let a = self.rewrite(a, memo, leaf);
                    self.unary(op, a)
                }
                Expr::Binary(op, a, b) => {
                    let (a, b) = (self.rewrite(a, memo, leaf), self.rewrite(b, memo, leaf));
                    self.binary(op, a, b)
                }
                Expr::Compare(op, a, b) => {
                    let (a, b) = (self.rewrite(a, memo, leaf), self.rewrite(b, memo, leaf));
                    self.compare(op, a, b)
                }
                Expr::Select(c, a, b) => {
                    let c = self.rewrite(c, memo, leaf);
                    let (a, b) = (self.rewrite(a, memo, leaf), self.rewrite(b, memo, leaf));
                    self.select(c, a, b)
                }
                Expr::Before(a) => {
                    let a = self.rewrite(a, memo, leaf);
                    self.intern(Expr::Before(a))
                }
                Expr::Random { distribution, args, site } => {
                    let args = args.into_iter().map(|a| self.rewrite(a, memo, leaf)).collect();
                    self.intern(Expr::Random { distribution, args, site })
                }
                Expr::Table { table, indices } => {
                    let indices = indices.into_iter().map(|a| self.rewrite(a, memo, leaf)).collect();
                    self.intern(Expr::Table { table, indices })
                }
                _ => id,
            },
        };
        memo.insert(id, new);
        new
    }
}
