//! A formula for many elements at once, one column of values per node: the same bits as one element at a time, without
//! walking the nodes anew and starting a stream for each.

use super::formula::{Formula, Level, Values};
use crate::ir::{Attribute, BinaryOp, Expr, ExprId, Real, Side};
use crate::script::Argument;

/// Elements in a column: the columns of a formula stay in the first cache.
pub const COLUMN: usize = 512;

/// What the leaves of up to [`COLUMN`] elements are.
pub struct Run<'r> {
    /// Keys the draws: those of element i are keyed by `first + i`.
    pub first: u64,
    pub length: usize,
    /// Attribute of element i.
    pub attribute: &'r dyn Fn(Side, &Attribute, usize) -> f64,
    /// Edge column of element i.
    pub column: &'r dyn Fn(u32, usize) -> f64,
}

/// Room for the nodes of a formula that vary with the element.
pub struct Columns {
    /// Position among `nodes`, by node; `None` for what is constant along a column.
    place: Vec<Option<usize>>,
    nodes: Vec<Vec<f64>>,
}

impl Columns {
    /// `None` where a table is read per element: only the element-wise evaluation tells which lookups count.
    pub fn new(formula: &Formula) -> Option<Columns> {
        let order = &formula.order[Level::Element as usize];
        if order.iter().any(|id| matches!(formula.exprs.get(*id), Expr::Table { .. })) {
            return None;
        }
        let mut place = vec![None; formula.exprs.len()];
        order.iter().enumerate().for_each(|(k, id)| place[id.0 as usize] = Some(k));
        Some(Columns { place, nodes: vec![vec![0.0; COLUMN]; order.len()] })
    }

    /// The formula's values for a run of elements; those of the levels below must stand in `values`.
    pub fn compute(&mut self, formula: &Formula, values: &Values, run: &Run) -> &[f64] {
        let n = run.length.min(COLUMN);
        for (k, id) in formula.order[Level::Element as usize].iter().enumerate() {
            // Children stand before their parents.
            let (before, rest) = self.nodes.split_at_mut(k);
            let Some(out) = rest.first_mut().map(|column| &mut column[..n]) else { continue };
            let operand = |id: &ExprId| match self.place[id.0 as usize] {
                Some(j) if j < k => Argument::Each(&before[j][..n]),
                _ => Argument::One(values.scratch[id.0 as usize]),
            };
            let e = formula.exprs.get(*id);
            match e {
                Expr::Const(Real(v)) => out.fill(*v),
                Expr::Unary(op, a) => each(out, operand(a), |x| op.compute(x)),
                Expr::Binary(op, a, b) => binary(out, *op, operand(a), operand(b)),
                Expr::Compare(op, a, b) => {
                    both(out, operand(a), operand(b), |x, y| f64::from(u8::from(op.compute(x, y))));
                }
                Expr::Select(c, a, b) => {
                    let (c, a, b) = (operand(c), operand(a), operand(b));
                    let choose = |i: usize| if c.at(i) != 0.0 { a.at(i) } else { b.at(i) };
                    out.iter_mut().enumerate().for_each(|(i, v)| *v = choose(i));
                }
                Expr::Element(side, attribute) => {
                    out.iter_mut().enumerate().for_each(|(i, v)| *v = (run.attribute)(*side, attribute, i));
                }
                Expr::Column(c) => out.iter_mut().enumerate().for_each(|(i, v)| *v = (run.column)(*c, i)),
                Expr::Random { distribution, args, .. } => match formula.sites.iter().find(|(known, _)| *known == e) {
                    Some((_, key)) => {
                        let args: Vec<Argument> = args.iter().map(operand).collect();
                        distribution.draw_run(*key, run.first, &args, out);
                    }
                    None => out.fill(f64::NAN),
                },
                // Tables are refused above; leaves of dynamics have no place in the arena of the build.
                _ => out.fill(f64::NAN),
            }
        }
        match self.place[formula.root.0 as usize] {
            Some(k) => &self.nodes[k][..n],
            // Nothing varies: a row of the one value is wanted all the same.
            None => {
                self.nodes.resize(self.nodes.len().max(1), vec![0.0; COLUMN]);
                self.nodes[0][..n].fill(values.scratch[formula.root.0 as usize]);
                &self.nodes[0][..n]
            }
        }
    }
}

fn each(out: &mut [f64], a: Argument, f: impl Fn(f64) -> f64) {
    match a {
        Argument::One(x) => out.fill(f(x)),
        Argument::Each(a) => out.iter_mut().zip(a).for_each(|(v, x)| *v = f(*x)),
    }
}

/// Common operations in loops of their own, which are compiled for vectors.
fn binary(out: &mut [f64], op: BinaryOp, a: Argument, b: Argument) {
    match op {
        BinaryOp::Add => both(out, a, b, |x, y| x + y),
        BinaryOp::Sub => both(out, a, b, |x, y| x - y),
        BinaryOp::Mul => both(out, a, b, |x, y| x * y),
        BinaryOp::Div => both(out, a, b, |x, y| x / y),
        _ => both(out, a, b, |x, y| op.compute(x, y)),
    }
}

fn both(out: &mut [f64], a: Argument, b: Argument, f: impl Fn(f64, f64) -> f64) {
    match (a, b) {
        (Argument::One(x), Argument::One(y)) => out.fill(f(x, y)),
        (Argument::Each(a), Argument::One(y)) => out.iter_mut().zip(a).for_each(|(v, x)| *v = f(*x, y)),
        (Argument::One(x), Argument::Each(b)) => out.iter_mut().zip(b).for_each(|(v, y)| *v = f(x, *y)),
        (Argument::Each(a), Argument::Each(b)) => {
            out.iter_mut().zip(a).zip(b).for_each(|((v, x), y)| *v = f(*x, *y));
        }
    }
}
