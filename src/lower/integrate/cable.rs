//! Coupled compartments: the voltages of a tree step implicitly together (Hines 1984, "Efficient computation of branched nerve
//! equations"), gates and synapses by the exponential midpoint around them.
//!
//! One step of length h, second order and stable for any coupling:
//! 1. Every gate goes half a step by exponential Euler, from the values at the start.
//! 2. The voltages go half a step by backward Euler, all together: `V_half = V + h/2 (a V_half + r + sum of c_j V_j,half)`, with a
//!    and r as they are for the gates half way. The matrix is a tree, so elimination from the leaves to the root and substitution
//!    back take a number of operations proportional to the number of compartments. Then `V_new = 2 V_half - V`, which is
//!    Crank-Nicolson's step. Where an equation is not linear in its own voltage, a and r depend on it: they are taken at V for a
//!    first solution and at that solution, which is the voltage half way to first order, for the second.
//! 3. Every gate goes its whole step with the voltages and the other gates half way.
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
        let order = self.from_the_root(voltages);

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
            let guess = self.solve(&rows, &order, &half, &HashMap::new());
            half.extend(guess);
        }
        let solved = self.solve(&rows, &order, &half, &noise);
        let mut out = Vec::new();
        for s in voltages {
            let x = self.x();
            let (two, old) = (x.real(2.0), x.intern(Expr::State(*s)));
            let twice = x.mul(two, solved[s]);
            let value = x.sub(twice, old);
            out.push(Assign { state: *s, value });
        }
        half.extend(solved);
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
    fn from_the_root(&self, voltages: &[u32]) -> Vec<(u32, Option<u32>)> {
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

    /// The voltages half way. `at` are the values that coefficients are taken for.
    fn solve(
        &mut self,
        rows: &[Row],
        order: &[(u32, Option<u32>)],
        at: &HashMap<u32, ExprId>,
        noise: &HashMap<u32, ExprId>,
    ) -> HashMap<u32, ExprId> {
        let h = self.dt;
        let held = self.body.dynamics.refractory.as_ref().map(|r| r.held.clone()).unwrap_or_default();
        let mut diagonal: HashMap<u32, ExprId> = HashMap::new();
        let mut right: HashMap<u32, ExprId> = HashMap::new();
        let mut off: HashMap<(u32, u32), ExprId> = HashMap::new();
        for row in rows {
            let s = row.state;
            let still = held.contains(&s);
            // A held voltage is its own solution: its row reads V_half = V.
            let moving = |me: &mut Self, e: ExprId| {
                let e = me.substitute(e, at);
                let x = me.x();
                if !still {
                    return e;
                }
                let (flag, zero) = (x.intern(Expr::Held), x.real(0.0));
                x.select(flag, zero, e)
            };
            let (a, r) = (moving(self, row.a), moving(self, row.r));
            let near: Vec<(u32, ExprId)> = row.near.iter().map(|(k, c)| (*k, moving(self, *c))).collect();
            let shake = noise.get(&s).map(|e| moving(self, *e));
            let x = self.x();
            let (step, one, old) = (x.real(h / 2.0), x.real(1.0), x.intern(Expr::State(s)));
            let own = x.mul(step, a);
            diagonal.insert(s, x.sub(one, own));
            let drive = x.mul(step, r);
            let mut sum = x.add(old, drive);
            if let Some(e) = shake {
                // Half of it here is the whole of it in 2 V_half - V.
                let part = x.real(0.5);
                let part = x.mul(part, e);
                sum = x.add(sum, part);
            }
            right.insert(s, sum);
            for (k, c) in near {
                let x = self.x();
                let term = x.mul(step, c);
                off.insert((s, k), term);
            }
        }
        let zero = self.x().real(0.0);
        let one = self.x().real(1.0);
        let mut inverse: HashMap<u32, ExprId> = HashMap::new();
        for (s, parent) in order.iter().rev() {
            let x = self.x();
            let inv = x.div(one, diagonal[s]);
            inverse.insert(*s, inv);
            let Some(p) = parent else { continue };
            let (up, down) = (off.get(&(*p, *s)).copied().unwrap_or(zero), off.get(&(*s, *p)).copied().unwrap_or(zero));
            let factor = x.mul(up, inv);
            let less = x.mul(factor, down);
            let more = x.mul(factor, right[s]);
            diagonal.insert(*p, x.sub(diagonal[p], less));
            right.insert(*p, x.add(right[p], more));
        }
        let mut out: HashMap<u32, ExprId> = HashMap::new();
        for (s, parent) in order {
            let mut sum = right[s];
            let x = self.x();
            if let Some(p) = parent {
                let down = off.get(&(*s, *p)).copied().unwrap_or(zero);
                let from_above = x.mul(down, out[p]);
                sum = x.add(sum, from_above);
            }
            out.insert(*s, x.mul(sum, inverse[s]));
        }
        out
    }
}
