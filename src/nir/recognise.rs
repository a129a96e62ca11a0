//! Which cell of NIR a population's dynamics are. Lowering has made steps of the equations, exact ones for linear equations, so
//! time constants are read off the propagators.

use super::shortest;
use crate::backend::build::{ParamValues, PopulationElements};
use crate::backend::eval;
use crate::ir::{BinaryOp, Compare, Dynamics, Expr, ExprId, Population, Real, Spike, UnaryOp};
use crate::numerics::{exp, expm1, ln};
use crate::units::{Dimension, to_si};

/// A population's cells, numbers in SI units.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Cells {
    /// Of each cell; infinite where nothing leaks.
    pub tau: Vec<f64>,
    /// Of the synaptic current; empty: spikes move V.
    pub tau_syn: Vec<f64>,
    /// V per unit of the synaptic current.
    pub r: Vec<f64>,
    pub v_leak: Vec<f64>,
    /// Threshold and reset; empty: it never fires.
    pub threshold: Vec<f64>,
    pub reset: Vec<f64>,
    /// V at the start.
    pub start: Vec<f64>,
    /// By receptor: what a weight of it is multiplied by at each cell, so that it is a jump in SI units.
    pub receptors: Vec<Vec<f64>>,
}

/// Steps of a relative rounding error that a propagator and what is computed from it may have: it is a chain of some ten
/// operations, each good to half a step of the last place.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Why there is no such cell.
type Refusal = String;

/// A sum of states, of what arrives, and of a constant.
#[derive(Clone, Debug, PartialEq)]
struct Affine {
    constant: f64,
    arrival: f64,
    states: Vec<f64>,
}

/// What a population's cells are.
///
/// # Errors
/// In words, what of them NIR has no cell for.
pub(super) fn cells(p: &Population, built: &PopulationElements, dt_ms: f64) -> Result<Cells, Refusal> {
    let d = &p.dynamics;
    if d.adaptive.is_some() || d.solvers.iter().any(|s| s.method != "exact propagator") {
        let other = d.solvers.iter().find(|s| s.method != "exact propagator");
        let what = other.map_or("rkf45".to_string(), |s| format!("`{}` by {}", s.states.join("`, `"), s.method));
        return Err(format!("equations that are not linear with constant coefficients ({what})"));
    }
    if d.noises > 0 {
        return Err("noise".to_string());
    }
    if !d.every.is_empty() {
        return Err("statements that run at intervals".to_string());
    }
    if !d.coupled.is_empty() {
        return Err("values of other neurons at every step".to_string());
    }
    let mut out = Cells { receptors: vec![vec![]; d.receptors.len()], ..Cells::default() };
    for cell in 0..p.size {
        Reader { d, built, cell, dt_ms }.add(&mut out)?;
    }
    let leaks = out.tau.iter().filter(|t| t.is_finite()).count();
    match leaks {
        0 if out.threshold.is_empty() => Err("a potential that neither leaks nor fires".to_string()),
        k if k > 0 && k < out.tau.len() => Err("cells that leak beside cells that don't".to_string()),
        _ => Ok(out),
    }
}

struct Reader<'p> {
    d: &'p Dynamics,
    built: &'p PopulationElements,
    cell: u32,
    dt_ms: f64,
}

impl Reader<'_> {
    fn param(&self, k: u32) -> Result<f64, Refusal> {
        let value = self.built.params.get(k as usize).map(|v: &ParamValues| v.at(self.cell));
        value.ok_or_else(|| "a param that is not there".to_string())
    }

    fn affine(&self, id: ExprId) -> Result<Affine, Refusal> {
        let exprs = &self.d.exprs;
        let order = eval::order(exprs, &[id]);
        let mut done: Vec<Option<Affine>> = vec![None; exprs.len()];
        for at in order {
            let value = self.node(exprs.get(at), &done)?;
            done[at.0 as usize] = Some(value);
        }
        done[id.0 as usize].take().ok_or_else(|| "nothing".to_string())
    }

    fn constant(&self, value: f64) -> Affine {
        Affine { constant: value, arrival: 0.0, states: vec![0.0; self.d.states.len()] }
    }

    fn node(&self, e: &Expr, done: &[Option<Affine>]) -> Result<Affine, Refusal> {
        let at = |id: &ExprId| done[id.0 as usize].clone().ok_or_else(|| "nothing".to_string());
        match e {
            Expr::Const(Real(v)) => Ok(self.constant(*v)),
            Expr::Param(k) => Ok(self.constant(self.param(*k)?)),
            Expr::State(k) => {
                let mut out = self.constant(0.0);
                out.states[*k as usize] = 1.0;
                Ok(out)
            }
            Expr::Arrival => Ok(Affine { arrival: 1.0, ..self.constant(0.0) }),
            Expr::Unary(UnaryOp::Neg, a) => Ok(at(a)?.times(-1.0)),
            Expr::Unary(op, a) => match at(a)?.known() {
                Some(v) => Ok(self.constant(op.compute(v))),
                None => Err(format!("{} of a state", op.name())),
            },
            Expr::Binary(op, a, b) => {
                let (a, b) = (at(a)?, at(b)?);
                match (op, a.known(), b.known()) {
                    (_, Some(x), Some(y)) => Ok(self.constant(op.compute(x, y))),
                    (BinaryOp::Add, ..) => Ok(a.plus(&b, 1.0)),
                    (BinaryOp::Sub, ..) => Ok(a.plus(&b, -1.0)),
                    (BinaryOp::Mul, Some(x), _) => Ok(b.times(x)),
                    (BinaryOp::Mul, _, Some(y)) => Ok(a.times(y)),
                    (BinaryOp::Div, _, Some(y)) => Ok(a.divided(y)),
                    _ => Err("a product of states, or another function of them".to_string()),
                }
            }
            Expr::Compare(op, a, b) => match (at(a)?.known(), at(b)?.known()) {
                (Some(x), Some(y)) => Ok(self.constant(f64::from(u8::from(op.compute(x, y))))),
                _ => Err("a choice by a state".to_string()),
            },
            Expr::Select(c, a, b) => match at(c)?.known() {
                Some(c) => at(if c != 0.0 { a } else { b }),
                None => Err("a choice by a state".to_string()),
            },
            Expr::Time => Err("the time".to_string()),
            Expr::Held => Err("whether the neuron is refractory".to_string()),
            Expr::Before(_) => Err("a value from before the step".to_string()),
            _ => Err("noise, or values of other neurons".to_string()),
        }
    }

    fn add(&self, out: &mut Cells) -> Result<(), Refusal> {
        self.refractory()?;
        let (n, dt) = (self.d.states.len(), self.dt_ms);
        let v = self.membrane()?;
        let rows = self.propagator()?;
        let used = self.used(v)?;
        for k in (0..n).filter(|k| used[*k]) {
            let others = (0..n).filter(|j| used[*j] && *j != k && rows[k].states[*j] != 0.0);
            if k != v && (others.count() > 0 || rows[k].constant != 0.0) {
                return Err(format!("a state `{}` that does more than decay", self.name(k)));
            }
        }
        let leak = rows[v].states[v];
        let tau = tau(leak, dt).ok_or_else(|| format!("`{}` grows by itself", self.name(v)))?;
        let volts = self.d.states[v].dimension;
        // What drives V, as the V at which it comes to rest.
        let drive = rows[v].constant;
        let rest = match tau.is_finite() {
            true => shortest(drive / -expm1(-dt / tau), ROUNDING * (1.0 + tau / dt)),
            false if drive == 0.0 => 0.0,
            false => return Err("a constant drive without a leak".to_string()),
        };
        out.tau.push(to_si(tau, Dimension::TIME));
        out.v_leak.push(to_si(rest, volts));
        out.start.push(to_si(self.initial(v), volts));
        self.fires(v, volts, out)?;
        let currents: Vec<usize> = (0..n).filter(|k| used[*k] && *k != v).collect();
        if !currents.is_empty() {
            self.currents(v, tau, &rows, &currents, out)?;
        }
        self.arrivals(v, &currents, &rows, out)
    }

    fn refractory(&self) -> Result<(), Refusal> {
        let Some(r) = &self.d.refractory else { return Ok(()) };
        match self.affine(r.steps)?.known() {
            Some(0.0) => Ok(()),
            Some(steps) => Err(format!("a refractory time of {} ms", steps * self.dt_ms)),
            None => Err("a refractory time that changes".to_string()),
        }
    }

    /// The state that the condition of a spike compares; of a cell that never fires, the one that depends on others, or is alone.
    fn membrane(&self) -> Result<usize, Refusal> {
        let n = self.d.states.len();
        if let Spike::When(c) = &self.d.spike {
            let Expr::Compare(op, a, b) = self.d.exprs.get(*c) else {
                return Err("a spike whose condition is no comparison".to_string());
            };
            let margin = match op {
                Compare::Gt | Compare::Ge => self.affine(*a)?.plus(&self.affine(*b)?, -1.0),
                Compare::Lt | Compare::Le => self.affine(*b)?.plus(&self.affine(*a)?, -1.0),
                _ => return Err("a spike whose condition is an equality".to_string()),
            };
            let mut read = (0..n).filter(|k| margin.states[*k] != 0.0);
            return match (read.next(), read.next()) {
                (Some(k), None) if margin.states[k] > 0.0 => Ok(k),
                _ => Err("a spike that is not one state above a threshold".to_string()),
            };
        }
        let rows = self.propagator()?;
        let driven = (0..n).find(|k| (0..n).any(|j| j != *k && rows[*k].states[j] != 0.0));
        driven.or((n == 1).then_some(0)).ok_or_else(|| "no state that stands for a potential".to_string())
    }

    fn fires(&self, v: usize, volts: Dimension, out: &mut Cells) -> Result<(), Refusal> {
        let Spike::When(c) = &self.d.spike else { return Ok(()) };
        let Expr::Compare(_, a, b) = self.d.exprs.get(*c) else { return Ok(()) };
        let margin = self.affine(*a)?.plus(&self.affine(*b)?, -1.0);
        out.threshold.push(to_si(-margin.constant / margin.states[v], volts));
        let [reset] = self.d.reset.as_slice() else {
            return Err("a spike that sets several states, or none".to_string());
        };
        let to = self.affine(reset.value)?.known().filter(|_| reset.state as usize == v);
        out.reset.push(to_si(to.ok_or("a spike that does more than to set the potential to a value")?, volts));
        Ok(())
    }

    /// One row for each state: what it is after a step.
    fn propagator(&self) -> Result<Vec<Affine>, Refusal> {
        let n = self.d.states.len();
        let unit = |k: usize| {
            let mut out = self.constant(0.0);
            out.states[k] = 1.0;
            out
        };
        let mut rows: Vec<Affine> = (0..n).map(unit).collect();
        match self.d.integrate.as_slice() {
            [] => {}
            [stage] => {
                for a in &stage.assigns {
                    rows[a.state as usize] = self.affine(a.value)?;
                }
            }
            _ => return Err("equations in several stages".to_string()),
        }
        Ok(rows)
    }

    /// States that matter: V, and those that anything arrives at or that don't start at 0.
    fn used(&self, v: usize) -> Result<Vec<bool>, Refusal> {
        let mut used: Vec<bool> = (0..self.d.states.len()).map(|k| k == v).collect();
        for r in self.d.receptors.iter().filter(|r| !r.arrivals.is_empty()) {
            r.body.iter().for_each(|a| used[a.state as usize] = true);
        }
        for k in 0..used.len() {
            let start = self.initial(k);
            if k != v && start != 0.0 {
                return Err(format!("a state `{}` that starts at {start}, where a current starts at 0", self.name(k)));
            }
        }
        Ok(used)
    }

    /// The one time constant of all synaptic currents, and what the first of them moves V by.
    fn currents(
        &self,
        v: usize,
        tau: f64,
        rows: &[Affine],
        currents: &[usize],
        out: &mut Cells,
    ) -> Result<(), Refusal> {
        let dt = self.dt_ms;
        let first = currents[0];
        let decay = rows[first].states[first];
        if let Some(other) = currents.iter().find(|k| rows[**k].states[**k] != decay) {
            return Err(format!(
                "two time constants of synaptic currents (`{}` and `{}`)",
                self.name(first),
                self.name(*other)
            ));
        }
        let tau_syn = self::tau(decay, dt).filter(|t| t.is_finite());
        let tau_syn = tau_syn.ok_or_else(|| format!("a current `{}` that does not decay", self.name(first)))?;
        out.tau_syn.push(to_si(tau_syn, Dimension::TIME));
        if tau.is_infinite() {
            return Err("a synaptic current onto a potential that does not leak".to_string());
        }
        let moved = response(tau, tau_syn, dt);
        let dimension = self.d.states[v].dimension / self.d.states[first].dimension;
        let r = shortest(rows[v].states[first] / moved, 4.0 * ROUNDING);
        out.r.push(to_si(r, dimension));
        Ok(())
    }

    /// What a weight at each receptor is multiplied by.
    fn arrivals(&self, v: usize, currents: &[usize], rows: &[Affine], out: &mut Cells) -> Result<(), Refusal> {
        for (receptor, factors) in self.d.receptors.iter().zip(&mut out.receptors) {
            if receptor.arrivals.is_empty() {
                factors.push(0.0);
                continue;
            }
            let refused = || format!("what arrives at `{}` is not added to one state", receptor.name);
            let [a] = receptor.body.as_slice() else { return Err(refused()) };
            let (k, after) = (a.state as usize, self.affine(a.value)?);
            let mut plain = self.constant(0.0);
            (plain.states[k], plain.arrival) = (1.0, after.arrival);
            if after != plain {
                return Err(refused());
            }
            let (to, scale) = match currents.first() {
                None => (v, 1.0),
                Some(first) if currents.contains(&k) => (*first, rows[v].states[k] / rows[v].states[*first]),
                Some(_) => return Err("spikes that move the potential beside those that bring a current".to_string()),
            };
            factors.push(to_si(after.arrival * scale, self.d.states[to].dimension / receptor.dimension));
        }
        Ok(())
    }

    fn initial(&self, k: usize) -> f64 {
        self.built.initial.get(k).and_then(|v| v.get(self.cell as usize)).copied().unwrap_or(0.0)
    }

    fn name(&self, k: usize) -> &str {
        &self.d.states[k].name
    }
}

/// The time constant of a propagator, ms; infinite where it is 1, `None` where it isn't one.
fn tau(propagator: f64, dt: f64) -> Option<f64> {
    match propagator {
        1.0 => Some(f64::INFINITY),
        k if k > 0.0 && k < 1.0 => {
            let tau = -dt / ln(k);
            // The logarithm of a number near 1 knows its rounding alone.
            Some(shortest(tau, ROUNDING * (1.0 + tau / dt)))
        }
        _ => None,
    }
}

/// By how much a unit of current at the start of a step moves V in it.
fn response(tau: f64, tau_syn: f64, dt: f64) -> f64 {
    let rate = 1.0 / tau - 1.0 / tau_syn;
    let grown = if rate == 0.0 { dt } else { expm1(dt * rate) / rate };
    exp(-dt / tau) * grown / tau
}

impl Affine {
    /// Its value where nothing but a constant is in it.
    fn known(&self) -> Option<f64> {
        (self.arrival == 0.0 && self.states.iter().all(|s| *s == 0.0)).then_some(self.constant)
    }

    fn map(mut self, f: impl Fn(f64) -> f64) -> Affine {
        self.constant = f(self.constant);
        self.arrival = f(self.arrival);
        self.states.iter_mut().for_each(|s| *s = f(*s));
        self
    }

    fn times(self, by: f64) -> Affine {
        self.map(|v| v * by)
    }

    fn divided(self, by: f64) -> Affine {
        self.map(|v| v / by)
    }

    fn plus(mut self, other: &Affine, sign: f64) -> Affine {
        self.constant += sign * other.constant;
        self.arrival += sign * other.arrival;
        self.states.iter_mut().zip(&other.states).for_each(|(a, b)| *a += sign * b);
        self
    }
}
