//! One build expression, prepared for many elements: what does not vary is computed once, what varies with the target
//! (or the source, where rows are made by source) once per row, the rest per element.
//!
//! All nodes are computed, both sides of a condition too; a table index out of range is a fault only where its value is
//! needed, so `if pre.k > 0 then W[pre.k - 1] else 0` is sound.

use super::tables::Tables;
use crate::backend::eval;
use crate::ir::{Attribute, BinaryOp, Expr, ExprId, Exprs, Real, Side, UnaryOp};
use crate::random::{Stream, StreamKey};
use crate::script::Distribution;

/// How often a node has to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Reads nothing that varies.
    Once,
    /// Reads attributes of the cell that a row belongs to: mostly the target.
    Row,
    /// Reads the element itself: the neuron, the cell at the other end, draws, columns.
    Element,
}

/// What the leaves of one element are.
pub struct Leaves<'l> {
    /// Keys the draws.
    pub element: u64,
    pub attribute: &'l dyn Fn(Side, &Attribute) -> f64,
    pub column: &'l dyn Fn(u32) -> f64,
}

/// A prepared expression. Shared between threads; each brings its own [`Values`].
pub struct Formula<'n> {
    pub(super) exprs: &'n Exprs,
    tables: Tables<'n>,
    pub(super) root: ExprId,
    pub(super) order: [Vec<ExprId>; 3],
    /// Every draw and its stream.
    pub(super) sites: Vec<(&'n Expr, StreamKey)>,
}

/// The values of all nodes, and the levels at which a table index was out of range.
pub struct Values {
    pub(super) scratch: Vec<f64>,
    faulty: [bool; 3],
}

/// The draws below `root`, each once, in the order in which a walk from the root meets them.
fn draws(exprs: &Exprs, root: ExprId) -> Vec<&Expr> {
    let mut seen = vec![false; exprs.len()];
    let (mut stack, mut out) = (vec![root], vec![]);
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut seen[id.0 as usize], true) {
            continue;
        }
        let e = exprs.get(id);
        if matches!(e, Expr::Random { .. }) {
            out.push(e);
        }
        let mut below = vec![];
        e.children(&mut |child| below.push(child));
        stack.extend(below.into_iter().rev());
    }
    out
}

impl<'n> Formula<'n> {
    /// `exprs` is the arena of the build; `key` the stream of the value that is built. Every draw derives its own from its place
    /// in the formula, counted from the root down: nothing that stands elsewhere in the circuit moves it.
    pub fn new(exprs: &'n Exprs, tables: Tables<'n>, root: ExprId, key: StreamKey) -> Formula<'n> {
        Formula::by(Side::Post, exprs, tables, root, key)
    }

    /// As [`Formula::new`], for elements in rows that belong to one cell each of this side.
    pub fn by(row: Side, exprs: &'n Exprs, tables: Tables<'n>, root: ExprId, key: StreamKey) -> Formula<'n> {
        let mut levels = vec![Level::Once; exprs.len()];
        let mut order = [vec![], vec![], vec![]];
        let sites = draws(exprs, root).into_iter().zip(0..).map(|(e, k)| (e, key.derive(k))).collect();
        for id in eval::order(exprs, &[root]) {
            let e = exprs.get(id);
            let mut level = match e {
                Expr::Element(side, _) if *side == row => Level::Row,
                Expr::Element(..) | Expr::Random { .. } | Expr::Column(_) => Level::Element,
                _ => Level::Once,
            };
            e.children(&mut |child| level = level.max(levels[child.0 as usize]));
            levels[id.0 as usize] = level;
            order[level as usize].push(id);
        }
        Formula { exprs, tables, root, order, sites }
    }

    /// Whether every element gets the same value.
    pub fn constant(&self) -> bool {
        self.order[Level::Row as usize].is_empty() && self.order[Level::Element as usize].is_empty()
    }

    /// Whether all values are finite whatever is drawn: a sum, product or bound of constants and draws with constant arguments.
    pub fn sound(&self) -> bool {
        let fixed = |id: &ExprId| match self.exprs.get(*id) {
            Expr::Const(Real(v)) if v.is_finite() => Some(*v),
            _ => None,
        };
        self.order.iter().flatten().all(|id| match self.exprs.get(*id) {
            Expr::Const(Real(v)) => v.is_finite(),
            Expr::Unary(UnaryOp::Neg | UnaryOp::Abs, _) => true,
            Expr::Binary(op, ..) => {
                matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max)
            }
            Expr::Random { distribution, args, .. } => {
                let value = |k: usize| args.get(k).and_then(fixed);
                args.iter().all(|a| fixed(a).is_some())
                    && match distribution {
                        Distribution::Normal | Distribution::Uniform => true,
                        Distribution::TruncatedNormal => value(2) <= value(3),
                        _ => false,
                    }
            }
            _ => false,
        })
    }

    /// Whether it draws random numbers.
    pub fn draws(&self) -> bool {
        !self.sites.is_empty()
    }

    /// The attributes that it reads, each once, in order of appearance.
    pub fn attributes(&self) -> Vec<(Side, Attribute)> {
        let mut out = vec![];
        for id in self.order.iter().flatten() {
            if let Expr::Element(side, attribute) = self.exprs.get(*id) {
                out.push((*side, attribute.clone()));
            }
        }
        out
    }

    /// Working space with everything computed that does not vary.
    pub fn values(&self) -> Values {
        let mut values = Values { scratch: vec![0.0; self.exprs.len()], faulty: [false; 3] };
        // Nothing at this level reads a leaf of an element.
        let leaves = Leaves { element: 0, attribute: &|_, _| f64::NAN, column: &|_| f64::NAN };
        self.compute(Level::Once, &mut values, &leaves);
        values
    }

    /// Computes the nodes of one level; those of the levels below must stand.
    pub fn compute(&self, level: Level, values: &mut Values, leaves: &Leaves) {
        let mut faulty = false;
        eval::evaluate(self.exprs, &self.order[level as usize], &mut values.scratch, &mut |e, at| match e {
            Expr::Element(side, attribute) => (leaves.attribute)(*side, attribute),
            Expr::Column(k) => (leaves.column)(*k),
            Expr::Random { distribution, args, .. } => {
                let Some((_, key)) = self.sites.iter().find(|(known, _)| *known == e) else {
                    return f64::NAN;
                };
                let mut numbers = [0.0; 4];
                let n = args.len().min(numbers.len());
                for (number, arg) in numbers.iter_mut().zip(args) {
                    *number = at[arg.0 as usize];
                }
                distribution.draw(&mut Stream::new(*key, leaves.element), &numbers[..n])
            }
            Expr::Table { table, indices } => self.lookup(*table, indices, at).unwrap_or_else(|| {
                faulty = true;
                f64::NAN
            }),
            // Leaves of dynamics have no place in the arena of the build.
            _ => f64::NAN,
        });
        values.faulty[level as usize] = faulty;
    }

    /// The value of the whole, or what was wrong with a table index that it depends on.
    pub fn result(&self, values: &Values) -> Result<f64, String> {
        if values.faulty.contains(&true)
            && let Some(fault) = self.fault(values)
        {
            return Err(fault);
        }
        Ok(values.scratch[self.root.0 as usize])
    }

    /// Row-major; `None` where an index is no position of its axis.
    fn lookup(&self, table: u32, indices: &[ExprId], at: &[f64]) -> Option<f64> {
        let shape = &self.tables.tables.get(table as usize)?.shape;
        if shape.len() != indices.len() {
            return None;
        }
        let mut flat = 0_usize;
        for (size, id) in shape.iter().zip(indices) {
            flat = flat * *size as usize + position(at[id.0 as usize], *size)?;
        }
        self.tables.data(table).get(flat).copied()
    }

    /// The first bad lookup on which the root depends.
    fn fault(&self, values: &Values) -> Option<String> {
        let at = &values.scratch;
        let mut nodes: Vec<ExprId> = self.order.iter().flatten().copied().collect();
        nodes.sort_unstable();
        // The lookup that spoils a node, if one does.
        let mut spoilt: Vec<Option<ExprId>> = vec![None; self.exprs.len()];
        for id in nodes {
            let by = |k: &ExprId| spoilt[k.0 as usize];
            let holds = |k: &ExprId| at[k.0 as usize] != 0.0;
            let e = self.exprs.get(id);
            let mut cause = None;
            match e {
                Expr::Select(c, a, b) => cause = by(c).or(if holds(c) { by(a) } else { by(b) }),
                Expr::Binary(BinaryOp::And, a, b) => cause = by(a).or(if holds(a) { by(b) } else { None }),
                Expr::Binary(BinaryOp::Or, a, b) => cause = by(a).or(if holds(a) { None } else { by(b) }),
                _ => e.children(&mut |child| cause = cause.or(by(&child))),
            }
            if let Expr::Table { table, indices } = e
                && self.lookup(*table, indices, at).is_none()
            {
                cause = cause.or(Some(id));
            }
            spoilt[id.0 as usize] = cause;
        }
        let Expr::Table { table, indices } = self.exprs.get(spoilt[self.root.0 as usize]?) else {
            return None;
        };
        let found: Vec<String> = indices.iter().map(|k| at[k.0 as usize].to_string()).collect();
        let found = found.join(", ");
        Some(match self.tables.tables.get(*table as usize) {
            Some(t) => {
                let shape: Vec<String> = t.shape.iter().map(u32::to_string).collect();
                format!("index [{found}] is out of range in the table {} of shape [{}]", t.name, shape.join(", "))
            }
            None => format!("index [{found}] into a table that is not there"),
        })
    }
}

/// A whole number below `size`; what misses one by rounding alone counts as it.
fn position(v: f64, size: u32) -> Option<usize> {
    let whole = v.round();
    ((v - whole).abs() <= 1e-9 * whole.max(1.0) && whole >= 0.0 && whole < f64::from(size)).then_some(whole as usize)
}
