//! Coupled compartments: the voltages of a tree step implicitly together (Hines 1984, "Efficient computation of branched nerve
//! equations"), gates and synapses by the exponential midpoint around them.
//!
//! One step of length h, second order and stable for any coupling:
//! 1. Every gate goes half a step by exponential Euler, from the values at the start.
//! 2. The voltages go a whole step by Alexander's second-order L-stable method (1977, SIAM J. Numer. Anal. 14:1006), two implicit
//!    stages with g = 1 - 1/sqrt(2): `V1 = V + g h F(V1)`, `V2 = V + (1 - g) h F(V1) + g h F(V2)`, where
//!    `F(V) = a V + r + sum of c_j V_j` with a and r as they are for the gates half way. Fast modes are damped within a step, where
//!    Crank-Nicolson's would ring. The matrix `1 - g h A` is a tree, the same in both stages, so elimination from the leaves to the
//!    root and substitution back take a number of operations proportional to the number of compartments. Where an equation is not
//!    linear in its own voltage, a and r depend on it: they are taken at a first solution half way, by backward Euler.
//! 3. Every gate goes its whole step with the other gates half way and the voltages at the mean of start and end.
//!
//! Gates half way stand for both stages: the stages' times g h and h, weighted 1 - g and g, have the mean h / 2.
//!
//! The elimination is written out symbolically: what is constant in it is folded here, and back ends see plain expressions.

use super::super::linear::{Variable, contains, lean, split};
use super::{AXIAL_NOT_LINEAR, Solver};
use crate::base::Diagnostic;
use crate::ir::{Assign, Expr, ExprId};
use crate::lower::Fail;
use std::collections::HashMap;

/// The equation of one voltage: `V' = a V + r + sum of c_j V_j`, plus noise.
struct Row {
    state: u32,
    a: ExprId,
    r: ExprId,
    /// Neighbours and what they weigh.
    near: Vec<(u32, ExprId)>,
}

/// A tree's matrix after elimination. Entries off the diagonal are kept with the sign that they are added with.
struct Eliminated {
    inverse: HashMap<u32, ExprId>,
    /// What a compartment's right-hand side adds to its parent's.
    up: HashMap<u32, ExprId>,
    /// What the parent's solution adds to a compartment's.
    down: HashMap<u32, ExprId>,
}

/// 1 - 1 / sqrt(2)
const GAMMA: f64 = 1.0 - std::f64::consts::FRAC_1_SQRT_2;

impl Solver<'_> {
    /// Steps the voltages of coupled compartments and what depends on them. `middle` are other states half way.
    pub(super) fn cable(
        &mut self,
        voltages: &[u32],
        gates: &[u32],
        middle: &HashMap<u32, ExprId>,
    ) -> Result<Vec<Assign>, Fail> {
        let h = self.dt;
        let all: Vec<u32> = voltages.iter().chain(gates).copied().collect();
        let noise = self.noise_terms(&all, h);
        let rows = voltages.iter().map(|s| self.row(*s, voltages)).collect::<Result<Vec<_>, _>>()?;
        let order = self.order_from_root(voltages);

        let mut half = middle.clone();
        for s in gates {
            let value = self.gate_step(*s, &HashMap::new(), h / 2.0);
            let value = self.unless_held(*s, value);
            half.insert(*s, value);
        }
        let frozen = rows.iter().any(|row| {
            [row.a, row.r].iter().any(|e| {
                contains(&self.body.dynamics.exprs, *e, &|v| matches!(v, Variable::State(k) if voltages.contains(&k)))
            })
        });
        if frozen {
            let taken = self.taken(&rows, &half);
            let tree = self.eliminate(&taken, &order, h / 2.0);
            let right = self.right(&taken, h / 2.0);
            let guess = self.substitute_back(&tree, &order, right);
            half.extend(guess);
        }
        let taken = self.taken(&rows, &half);
        let tree = self.eliminate(&taken, &order, GAMMA * h);
        let right = self.right(&taken, GAMMA * h);
        let first = self.substitute_back(&tree, &order, right.clone());
        let mut later = right;
        for row in &taken {
            let x = self.x();
            let (old, ahead) = (x.intern(Expr::State(row.state)), x.real((1.0 - GAMMA) / GAMMA));
            let moved = x.sub(first[&row.state], old);
            let moved = x.mul(ahead, moved);
            let mut sum = x.add(later[&row.state], moved);
            if let Some(e) = noise.get(&row.state) {
                let e = self.zero_where_held(row.state, *e);
                sum = self.x().add(sum, e);
            }
            later.insert(row.state, sum);
        }
        let solved = self.substitute_back(&tree, &order, later);
        let mut out = Vec::new();
        for s in voltages {
            out.push(Assign { state: *s, value: solved[s] });
            let x = self.x();
            let (part, old) = (x.real(0.5), x.intern(Expr::State(*s)));
            let sum = x.add(old, solved[s]);
            let mean = x.mul(part, sum);
            half.insert(*s, mean);
        }
        for s in gates {
            let mut others = half.clone();
            if self.own_linear(*s).is_some() {
                others.remove(s);
            }
            let value = self.gate_step(*s, &others, h);
            out.push(self.moved(*s, value, &noise));
        }
        Ok(out)
    }

    /// Exponential Euler where the gate is linear in itself; else its slope times the step.
    fn gate_step(&mut self, s: u32, others: &HashMap<u32, ExprId>, h: f64) -> ExprId {
        if self.own_linear(s).is_some() {
            return self.exponential_step(s, others, h);
        }
        let (drift, _) = self.drift(s);
        let slope = self.substitute(drift, others);
        let x = self.x();
        let (hh, old) = (x.real(h), x.intern(Expr::State(s)));
        let step = x.mul(hh, slope);
        x.add(old, step)
    }

    fn unless_held(&mut self, s: u32, value: ExprId) -> ExprId {
        if !self.body.dynamics.refractory.as_ref().is_some_and(|r| r.held.contains(&s)) {
            return value;
        }
        let x = self.x();
        let (flag, old) = (x.intern(Expr::Held), x.intern(Expr::State(s)));
        x.select(flag, old, value)
    }

    fn row(&mut self, s: u32, voltages: &[u32]) -> Result<Row, Fail> {
        let neighbours: Vec<u32> = self
            .axial
            .iter()
            .filter_map(|(a, b)| {
                if *a == s {
                    Some(*b)
                } else if *b == s {
                    Some(*a)
                } else {
                    None
                }
            })
            .collect();
        let (drift, _) = self.drift(s);
        let linear = split(self.x(), drift, &|v| matches!(v, Variable::State(k) if neighbours.contains(&k)));
        let near: Option<Vec<(u32, ExprId)>> = linear.as_ref().map(|l| {
            l.coefficients
                .iter()
                .filter_map(|(v, c)| match v {
                    Variable::State(k) => Some((*k, *c)),
                    Variable::Noise(_) => None,
                })
                .collect()
        });
        let reads = |e: ExprId| {
            contains(&self.body.dynamics.exprs, e, &|v| matches!(v, Variable::State(k) if voltages.contains(&k)))
        };
        let (Some(linear), Some(near)) = (linear, near.filter(|n| !n.iter().any(|(_, c)| reads(*c)))) else {
            let d =
                Diagnostic::error(AXIAL_NOT_LINEAR, format!("`{}` is not linear in `I_axial`", self.names[s as usize]))
                    .help("write `V' = (... + I_axial) / C`, with a factor that no voltage is in");
            return Err(match self.eq.spans[s as usize] {
                Some(at) => d.label(at, "`I_axial` stands in it otherwise than times a factor without V"),
                None => d,
            });
        };
        let zero = self.x().real(0.0);
        let (a, r) = lean(self.x(), linear.rest.unwrap_or(zero), s);
        Ok(Row { state: s, a, r, near })
    }

    /// Every compartment after the one that it hangs on: (state, parent).
    fn order_from_root(&self, voltages: &[u32]) -> Vec<(u32, Option<u32>)> {
        let mut out: Vec<(u32, Option<u32>)> = Vec::new();
        for root in voltages {
            if out.iter().any(|(s, _)| s == root) {
                continue;
            }
            let mut at = out.len();
            out.push((*root, None));
            while at < out.len() {
                let (here, parent) = out[at];
                for (a, b) in &self.axial {
                    let there = if *a == here {
                        *b
                    } else if *b == here {
                        *a
                    } else {
                        continue;
                    };
                    if Some(there) != parent && voltages.contains(&there) {
                        out.push((there, Some(here)));
                    }
                }
                at += 1;
            }
        }
        out
    }

    /// A held voltage does not move: its row reads V_new = V.
    fn zero_where_held(&mut self, s: u32, e: ExprId) -> ExprId {
        if !self.body.dynamics.refractory.as_ref().is_some_and(|r| r.held.contains(&s)) {
            return e;
        }
        let x = self.x();
        let (flag, zero) = (x.intern(Expr::Held), x.real(0.0));
        x.select(flag, zero, e)
    }

    /// The rows with their coefficients for the states in `at`.
    fn taken(&mut self, rows: &[Row], at: &HashMap<u32, ExprId>) -> Vec<Row> {
        let mut one = |s: u32, e: ExprId| {
            let e = self.substitute(e, at);
            self.zero_where_held(s, e)
        };
        rows.iter()
            .map(|row| Row {
                state: row.state,
                a: one(row.state, row.a),
                r: one(row.state, row.r),
                near: row.near.iter().map(|(k, c)| (*k, one(row.state, *c))).collect(),
            })
            .collect()
    }

    /// `V + h r`
    fn right(&mut self, rows: &[Row], h: f64) -> HashMap<u32, ExprId> {
        let x = self.x();
        let step = x.real(h);
        rows.iter()
            .map(|row| {
                let old = x.intern(Expr::State(row.state));
                let drive = x.mul(step, row.r);
                (row.state, x.add(old, drive))
            })
            .collect()
    }

    /// Eliminates `1 - h A` from the leaves to the root.
    fn eliminate(&mut self, rows: &[Row], order: &[(u32, Option<u32>)], h: f64) -> Eliminated {
        let x = self.x();
        let (step, zero, one) = (x.real(h), x.real(0.0), x.real(1.0));
        let mut diagonal: HashMap<u32, ExprId> = HashMap::new();
        let mut off: HashMap<(u32, u32), ExprId> = HashMap::new();
        for row in rows {
            let own = x.mul(step, row.a);
            diagonal.insert(row.state, x.sub(one, own));
            for (k, c) in &row.near {
                off.insert((row.state, *k), x.mul(step, *c));
            }
        }
        let entry = |a: u32, b: u32| off.get(&(a, b)).copied().unwrap_or(zero);
        let mut out = Eliminated { inverse: HashMap::new(), up: HashMap::new(), down: HashMap::new() };
        for (s, parent) in order.iter().rev() {
            let inverse = x.div(one, diagonal[s]);
            out.inverse.insert(*s, inverse);
            let Some(p) = parent else { continue };
            let down = entry(*s, *p);
            let up = x.mul(entry(*p, *s), inverse);
            let less = x.mul(up, down);
            diagonal.insert(*p, x.sub(diagonal[p], less));
            out.up.insert(*s, up);
            out.down.insert(*s, down);
        }
        out
    }

    /// Solves for a right-hand side: sums it up to the root, and substitutes back to the leaves.
    fn substitute_back(
        &mut self,
        tree: &Eliminated,
        order: &[(u32, Option<u32>)],
        mut right: HashMap<u32, ExprId>,
    ) -> HashMap<u32, ExprId> {
        let x = self.x();
        for (s, parent) in order.iter().rev() {
            let Some(p) = parent else { continue };
            let more = x.mul(tree.up[s], right[s]);
            right.insert(*p, x.add(right[p], more));
        }
        let mut out: HashMap<u32, ExprId> = HashMap::new();
        for (s, parent) in order {
            let mut sum = right[s];
            if let Some(p) = parent {
                let from_above = x.mul(tree.down[s], out[p]);
                sum = x.add(sum, from_above);
            }
            out.insert(*s, x.mul(sum, tree.inverse[s]));
        }
        out
    }
}
