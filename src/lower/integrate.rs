//! Which method integrates which state, and the assignments that do it.
//!
//! * **exact**: the states of a closed linear system with constant coefficients go through its matrix exponential over one step,
//!   forcing held over the step. Nearly equal time constants are no special case: the exponential of the whole matrix is
//!   computed, not a quotient of differences. Noise with a constant coefficient enters with its exact covariance (van Loan 1978).
//! * **exponential Euler**: a state that is linear in itself, the others held: `x + h f(x) exprel(a h)`. Closed linear states that
//!   it reads enter at their exact value in the middle of the step, which makes the pair second order.
//! * **exponential midpoint**: states that are each linear in themselves and read one another: half a step of exponential Euler
//!   gives their values in the middle, with which the whole step is made. Second order, and stable where the coefficients are large,
//!   as the conductances of an action potential are.
//! * **implicit tree**: voltages of coupled compartments, see [`cable`].
//! * **rkf45**: steps whose length follows the error, see [`adaptive`].
//! * **rk4**, **euler**: the classical schemes; closed linear states enter at their exact values at the stage's time.
//!
//! Noise that is not handled exactly is Euler-Maruyama (Ito): `g sqrt(h) normal`.

mod adaptive;
mod cable;

use super::dynamics::{Cx, Mode};
use super::error::*;
use super::linear::{Linear, Variable, contains, split};
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Method};
use crate::ir::{Assign, BinaryOp, Derived, Expr, ExprId, Exprs, SolverChoice, Stage, System, UnaryOp};
use crate::numerics::matrix;
use std::collections::{BTreeMap, HashMap};

/// States of one matrix exponential: a row of its cost per state, and `numerics::matrix` is made for small ones.
const LARGEST_SYSTEM: usize = 32;

/// A closed linear system over some states.
struct Closed {
    states: Vec<u32>,
    /// Row-major, expressions of params.
    a: Vec<ExprId>,
    forcing: Vec<ExprId>,
    /// Noise leaf and its coefficient in each row.
    noises: Vec<u32>,
    g: Vec<ExprId>,
}

/// The derivative of each state, 0 where it has no equation.
struct Equations {
    rhs: Vec<ExprId>,
    has: Vec<bool>,
    spans: Vec<Option<Span>>,
}

impl Lowering<'_> {
    pub(super) fn integrate(
        &mut self,
        model: &hir::Model,
        derivatives: &[(u32, ExprId, Span)],
        cx: &mut Cx,
    ) -> Result<(), Fail> {
        let dt = self.dt;
        let hidden = match model.integrate.as_ref().map(|i| &i.method) {
            Some(Method::Rkf45 { longest, .. }) => {
                let longest = longest.unwrap_or(dt).min(dt);
                Some((longest, (cx.network.build.real(0.0), cx.network.build.real(longest))))
            }
            _ => None,
        };
        let Mode::Dynamics(body) = &mut cx.mode else { return Ok(()) };
        let n = body.dynamics.states.len();
        let zero = body.dynamics.exprs.real(0.0);
        let mut eq = Equations { rhs: vec![zero; n], has: vec![false; n], spans: vec![None; n] };
        for (state, rhs, span) in derivatives {
            let x = &mut body.dynamics.exprs;
            if x.any(*rhs, &mut |e| matches!(e, Expr::Before(_))) {
                return Err(Diagnostic::error(crate::sema::error::NOT_HERE, "`crosses` can't stand in an equation")
                    .label(*span, "it compares two moments: use it in `spike when`"));
            }
            let noisy = x.any(*rhs, &mut |e| matches!(e, Expr::Noise(_)));
            if noisy && split(x, *rhs, &|v| matches!(v, Variable::Noise(_))).is_none() {
                return Err(Diagnostic::error(XI_PLACE, "noise is added to an equation, times a factor")
                    .label(*span, "not linear in its noise")
                    .help("write `... + c * xi`; c may depend on states, and is read as Ito"));
            }
            eq.rhs[*state as usize] = *rhs;
            eq.has[*state as usize] = true;
            eq.spans[*state as usize] = Some(*span);
        }
        let names: Vec<String> = body.dynamics.states.iter().map(|s| s.name.clone()).collect();
        let moving: Vec<u32> = (0..n as u32).filter(|s| eq.has[*s as usize]).collect();
        if moving.is_empty() {
            return Ok(());
        }
        let at = |v: &hir::ValueId| model.states.iter().position(|s| s == v).map(|k| k as u32);
        let axial = model.axial.iter().filter_map(|(a, b)| Some((at(a)?, at(b)?))).collect();
        let mut solver = Solver { body, eq, dt, names, axial, noises: 0, stages: Vec::new(), choices: Vec::new() };
        let chosen = model.integrate.as_ref().map(|i| (&i.method, i.span));
        match chosen {
            None => {
                let closed = solver.closed(&moving);
                let rest: Vec<u32> = moving.iter().copied().filter(|s| !closed.contains(s)).collect();
                solver.automatic(&closed, &rest, self)?;
            }
            Some((Method::Exact, span)) => {
                let closed = solver.closed(&moving);
                if let Some(s) = moving.iter().find(|s| !closed.contains(s)) {
                    let name = solver.names[*s as usize].clone();
                    let at = solver.eq.spans[*s as usize].unwrap_or(span);
                    return Err(Diagnostic::error(
                        EXACT_IMPOSSIBLE,
                        format!("`{name}` has no exact solution over a step"),
                    )
                    .label(span, "asked for here")
                    .label(at, solver.why_not_closed(*s))
                    .help("leave `integrate with` out, and the compiler chooses"));
                }
                solver.exact_stage(&closed, "asked for")?;
            }
            Some((Method::ExponentialEuler, span)) => {
                solver.warn_fast(&moving, self);
                for s in &moving {
                    if solver.own_linear(*s).is_none() {
                        let name = solver.names[*s as usize].clone();
                        let at = solver.eq.spans[*s as usize].unwrap_or(span);
                        return Err(Diagnostic::error(
                            NOT_CONDITIONALLY_LINEAR,
                            format!("`{name}` is not linear in itself, so it has no exponential Euler step"),
                        )
                        .label(span, "asked for here")
                        .label(at, format!("`{name}` stands in it otherwise than as a factor"))
                        .help("use rk4, or leave `integrate with` out"));
                    }
                }
                let assigns = solver.exponential_euler(&moving, &HashMap::new());
                solver.stages.push(Stage { assigns });
                solver.choose(&moving, "exponential Euler", "asked for");
            }
            Some((Method::Rk4 { substeps }, _)) => {
                solver.warn_fast(&moving, self);
                for _ in 0..*substeps {
                    let h = dt / f64::from(*substeps);
                    let assigns = solver.rk4(&moving, h, &HashMap::new(), &HashMap::new());
                    solver.stages.push(Stage { assigns });
                }
                solver.choose(&moving, &format!("rk4 with {substeps} sub-steps"), "asked for");
            }
            Some((Method::Rkf45 { tolerance, .. }, span)) => {
                let noisy = moving.iter().find(|s| !solver.drift(**s).1.is_empty()).copied();
                if let Some(s) = noisy {
                    let d = Diagnostic::error(
                        NOISE_IN_ADAPTIVE_STEPS,
                        format!("`{}` has noise, and steps that follow an error have none", solver.names[s as usize]),
                    )
                    .label(span, "asked for here")
                    .help("noise has a new value in every step: take a fixed step, or leave `integrate with` out");
                    return Err(match solver.eq.spans[s as usize] {
                        Some(at) => d.label(at, "its noise"),
                        None => d,
                    });
                }
                if let Some((longest, built)) = hidden {
                    let adaptive = solver.rkf45(&moving, *tolerance, longest, built);
                    solver.body.dynamics.adaptive = Some(adaptive);
                }
                solver.choose(&moving, &format!("rkf45 with tolerance {tolerance}"), "asked for");
            }
            Some((Method::Euler { substeps }, _)) => {
                solver.warn_fast(&moving, self);
                for _ in 0..*substeps {
                    let h = dt / f64::from(*substeps);
                    let assigns = solver.euler(&moving, h);
                    solver.stages.push(Stage { assigns });
                }
                solver.choose(&moving, &format!("forward Euler with {substeps} sub-steps"), "asked for");
            }
            Some((Method::SequentialEuler { substeps }, _)) => {
                for (state, _, _) in derivatives {
                    let count = substeps
                        .iter()
                        .find(|(v, _)| self.state_index(body_of(&solver), *v) == *state)
                        .map_or(1, |(_, c)| *c);
                    for _ in 0..count {
                        let assigns = solver.euler(&[*state], dt / f64::from(count));
                        solver.stages.push(Stage { assigns });
                    }
                }
                solver.choose(&moving, "sequential forward Euler", "asked for");
            }
        }
        let (noises, stages, choices) = (solver.noises, solver.stages, solver.choices);
        body.dynamics.noises = noises;
        body.dynamics.integrate = stages;
        body.dynamics.solvers = choices;
        Ok(())
    }
}

fn body_of(s: &Solver) -> hir::ModelId {
    s.body.model
}

struct Solver<'b> {
    body: &'b mut super::dynamics::Body,
    eq: Equations,
    dt: f64,
    names: Vec<String>,
    /// Pairs of voltages of coupled compartments.
    axial: Vec<(u32, u32)>,
    /// Normals used so far.
    noises: u32,
    stages: Vec<Stage>,
    choices: Vec<SolverChoice>,
}

impl Solver<'_> {
    fn x(&mut self) -> &mut Exprs {
        &mut self.body.dynamics.exprs
    }

    fn choose(&mut self, states: &[u32], method: &str, reason: &str) {
        let states = states.iter().map(|s| self.names[*s as usize].clone()).collect();
        self.choices.push(SolverChoice { states, method: method.to_string(), reason: reason.to_string() });
    }

    /// Constant over a run: reads params only, and none that is computed in the step.
    fn fixed(&self, id: ExprId) -> bool {
        !self.body.dynamics.exprs.any(id, &mut |e| {
            matches!(
                e,
                Expr::State(_)
                    | Expr::Time
                    | Expr::Noise(_)
                    | Expr::Uniform
                    | Expr::Arrival
                    | Expr::Held
                    | Expr::Coupled(_)
                    | Expr::Before(_)
            )
        })
    }

    fn linear(&mut self, s: u32) -> Option<Linear> {
        let rhs = self.eq.rhs[s as usize];
        let l = split(self.x(), rhs, &|_| true)?;
        l.coefficients.values().all(|c| self.fixed(*c)).then_some(l)
    }

    /// The largest set of states whose derivatives are linear, with fixed coefficients, in states of the set.
    fn closed(&mut self, moving: &[u32]) -> Vec<u32> {
        let mut linear: BTreeMap<u32, Linear> = BTreeMap::new();
        for s in moving {
            if let Some(l) = self.linear(*s) {
                linear.insert(*s, l);
            }
        }
        loop {
            let bad = linear.iter().find(|(_, l)| {
                l.coefficients.keys().any(|v| match v {
                    // A state without an equation moves only by jumps: over a step it is a constant.
                    Variable::State(k) => self.eq.has[*k as usize] && !linear.contains_key(k),
                    Variable::Noise(_) => false,
                })
            });
            match bad.map(|(s, _)| *s) {
                Some(s) => linear.remove(&s),
                None => break,
            };
        }
        let out: Vec<u32> = linear.keys().copied().collect();
        self.groups(&out).concat()
    }

    /// Closed states by the systems that are solved together: all in one where that is small enough, else those that read one
    /// another or share a noise, and none of a system that is too large.
    fn groups(&mut self, closed: &[u32]) -> Vec<Vec<u32>> {
        if closed.len() <= LARGEST_SYSTEM {
            return if closed.is_empty() { Vec::new() } else { vec![closed.to_vec()] };
        }
        let mut group: Vec<usize> = (0..closed.len()).collect();
        let mut shared: BTreeMap<Variable, usize> = BTreeMap::new();
        for (row, s) in closed.iter().enumerate() {
            let Some(l) = self.linear(*s) else { continue };
            for v in l.coefficients.keys() {
                let other = match v {
                    Variable::State(k) => closed.iter().position(|c| c == k),
                    Variable::Noise(_) => Some(*shared.entry(*v).or_insert(row)),
                };
                let Some(other) = other else { continue };
                let (keep, drop) = (group[row], group[other]);
                group.iter_mut().filter(|g| **g == drop).for_each(|g| *g = keep);
            }
        }
        let mut out: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for (row, g) in group.iter().enumerate() {
            let at = *first.entry(*g).or_insert(row);
            out.entry(at).or_default().push(closed[row]);
        }
        out.into_values().filter(|g| g.len() <= LARGEST_SYSTEM).collect()
    }

    fn why_not_closed(&mut self, s: u32) -> String {
        match self.linear(s) {
            None => "not linear with constant coefficients".to_string(),
            Some(_) => {
                format!("linear, but it follows a state that is not, or one of more than {LARGEST_SYSTEM} together")
            }
        }
    }

    fn own_linear(&mut self, s: u32) -> Option<Linear> {
        let rhs = self.eq.rhs[s as usize];
        split(self.x(), rhs, &|v| v == Variable::State(s) || matches!(v, Variable::Noise(_)))
            .filter(|l| l.coefficients.keys().all(|v| *v == Variable::State(s) || matches!(v, Variable::Noise(_))))
    }

    fn automatic(&mut self, closed: &[u32], rest: &[u32], lowering: &mut Lowering) -> Result<(), Fail> {
        let mut assigns = Vec::new();
        if !closed.is_empty() {
            assigns = self.exact_all(closed)?;
            let all: Vec<String> = closed.iter().map(|s| self.names[*s as usize].clone()).collect();
            let reason = if rest.is_empty() {
                "linear with constant coefficients"
            } else {
                "a closed linear part with constant coefficients"
            };
            self.choices.push(SolverChoice {
                states: all,
                method: "exact propagator".to_string(),
                reason: reason.to_string(),
            });
        }
        self.warn_fast(closed, lowering);
        self.warn_fast(rest, lowering);
        if !rest.is_empty() {
            let read: Vec<u32> = closed
                .iter()
                .copied()
                .filter(|c| {
                    rest.iter().any(|r| {
                        contains(&self.body.dynamics.exprs, self.eq.rhs[*r as usize], &|v| v == Variable::State(*c))
                    })
                })
                .collect();
            let middle = self.values_at(closed, &read, 0.5)?;
            let (voltages, gates): (Vec<u32>, Vec<u32>) =
                rest.iter().partition(|s| self.axial.iter().any(|(a, b)| a == *s || b == *s));
            if !voltages.is_empty() {
                assigns.extend(self.cable(&voltages, &gates, &middle)?);
                let trees = "compartments coupled in a tree: stable for any coupling, second order in dt";
                self.choose(&voltages, "implicit tree", trees);
                if !gates.is_empty() {
                    let around = "around the implicit step of the voltages: these as they stand in its middle";
                    self.choose(&gates, "exponential midpoint", around);
                }
            } else if rest.iter().all(|s| self.own_linear(*s).is_some()) {
                if self.coupled(rest) {
                    assigns.extend(self.exponential_midpoint(rest, &middle));
                    self.choose(
                        rest,
                        "exponential midpoint",
                        "each linear in itself, the others as they stand in the middle of the step",
                    );
                } else {
                    assigns.extend(self.exponential_euler(rest, &middle));
                    self.choose(
                        rest,
                        "exponential Euler",
                        "linear in itself, what it reads taken in the middle of the step",
                    );
                }
            } else {
                let end = self.values_at(closed, &read, 1.0)?;
                assigns.extend(self.rk4(rest, self.dt, &middle, &end));
                self.choose(rest, "rk4", "not linear in itself; where it is stiff, rkf45 is there to be asked for");
            }
        }
        self.stages.push(Stage { assigns });
        Ok(())
    }

    /// A time constant below the step: exact integration stays right, but what happens within a step is not resolved; the others
    /// become wrong or blow up. Where a rate of decay depends on other states, it is that of their initial values.
    fn warn_fast(&mut self, states: &[u32], lowering: &mut Lowering) {
        let initial = lowering.initial_values(self.body);
        // Compartments share their text: it is told of once, with the fastest of them.
        let mut fastest: BTreeMap<Span, (f64, u32)> = BTreeMap::new();
        for s in states {
            let rate = self.own_rate(*s, &initial);
            if let (Some(a), Some(span)) = (rate, self.eq.spans[*s as usize])
                && -a * self.dt > 1.0
            {
                let known = fastest.entry(span).or_insert((a, *s));
                if a < known.0 {
                    *known = (a, *s);
                }
            }
        }
        for (span, (a, s)) in fastest {
            let shown = |t: f64| crate::units::display(t, crate::units::Dimension::TIME);
            let message =
                format!("dt = {} is longer than a time constant of `{}`", shown(self.dt), self.names[s as usize]);
            lowering.tell(
                Diagnostic::warning(STEP_OVER_TIME_CONSTANT, message)
                    .label(span, format!("decays with {}", shown(-1.0 / a)))
                    .help("choose a smaller dt: what this state does within a step is not resolved"),
            );
        }
    }

    /// Coefficient of a state in its own equation at the initial values, per ms. What flows to coupled compartments is left out:
    /// it brings their voltages together, as fast as it likes, and the implicit step takes any coupling.
    fn own_rate(&self, state: u32, initial: &HashMap<u32, f64>) -> Option<f64> {
        let rhs = self.eq.rhs[state as usize];
        let coefficient = |of: u32| {
            // A look only: the kernel's own arena stays as it is.
            let mut x = self.body.dynamics.exprs.clone();
            let l = split(&mut x, rhs, &|v| v == Variable::State(of))?;
            let c = l.coefficients.get(&Variable::State(of)).copied()?;
            let at_start = x.rewrite(c, &mut HashMap::new(), &mut |x, e| match e {
                Expr::State(k) => initial.get(k).map(|v| x.real(*v)),
                _ => None,
            });
            x.as_const(at_start)
        };
        let other = |(a, b): &(u32, u32)| match state {
            s if s == *a => Some(*b),
            s if s == *b => Some(*a),
            _ => None,
        };
        // A neighbour's coefficient is what this voltage loses to it.
        let lost: f64 = self.axial.iter().filter_map(other).filter_map(coefficient).sum();
        Some(coefficient(state)? + lost)
    }

    fn exact_stage(&mut self, closed: &[u32], reason: &str) -> Result<(), Fail> {
        let assigns = self.exact_all(closed)?;
        self.stages.push(Stage { assigns });
        self.choose(closed, "exact propagator", reason);
        Ok(())
    }

    fn system(&mut self, states: &[u32]) -> Closed {
        let n = states.len();
        let zero = self.x().real(0.0);
        let mut out = Closed {
            states: states.to_vec(),
            a: vec![zero; n * n],
            forcing: vec![zero; n],
            noises: Vec::new(),
            g: Vec::new(),
        };
        let linear: Vec<Option<Linear>> = states.iter().map(|s| self.linear(*s)).collect();
        for l in linear.iter().flatten() {
            for v in l.coefficients.keys() {
                if let Variable::Noise(k) = v
                    && !out.noises.contains(k)
                {
                    out.noises.push(*k);
                }
            }
        }
        let m = out.noises.len();
        out.g = vec![zero; n * m];
        for (row, l) in linear.into_iter().enumerate() {
            let Some(l) = l else { continue };
            let mut forcing = l.rest.unwrap_or(zero);
            for (v, c) in l.coefficients {
                match v {
                    Variable::State(k) => match states.iter().position(|s| *s == k) {
                        Some(column) => out.a[row * n + column] = c,
                        None => {
                            let held = self.x().intern(Expr::State(k));
                            let term = self.x().mul(c, held);
                            forcing = self.x().add(forcing, term);
                        }
                    },
                    Variable::Noise(k) => {
                        if let Some(column) = out.noises.iter().position(|s| *s == k) {
                            out.g[row * m + column] = c;
                        }
                    }
                }
            }
            out.forcing[row] = forcing;
        }
        out
    }

    /// One step of a closed system: `P x + Phi u + L normal`.
    fn exact(&mut self, states: &[u32], span: f64) -> Result<Vec<Assign>, Fail> {
        let system = self.system(states);
        let held = self.body.dynamics.refractory.as_ref().map(|r| r.held.clone()).unwrap_or_default();
        let free = self.advance(&system, span, true);
        // While V is held, what follows V must see it constant, not on its free course.
        let n = states.len();
        let follows_held = (0..n).any(|row| {
            !held.contains(&states[row])
                && (0..n).any(|column| held.contains(&states[column]) && !self.is_zero(system.a[row * n + column]))
        });
        let mut values = free;
        if follows_held {
            let zero = self.x().real(0.0);
            let mut frozen = Closed {
                states: system.states.clone(),
                a: system.a.clone(),
                forcing: system.forcing.clone(),
                noises: system.noises.clone(),
                g: system.g.clone(),
            };
            let m = frozen.noises.len();
            for row in 0..n {
                if held.contains(&states[row]) {
                    frozen.a[row * n..(row + 1) * n].fill(zero);
                    frozen.g[row * m..(row + 1) * m].fill(zero);
                    frozen.forcing[row] = zero;
                }
            }
            let still = self.advance(&frozen, span, true);
            let flag = self.x().intern(Expr::Held);
            for row in 0..n {
                if !held.contains(&states[row]) {
                    values[row] = self.x().select(flag, still[row], values[row]);
                }
            }
        }
        Ok(states.iter().zip(values).map(|(s, value)| Assign { state: *s, value }).collect())
    }

    fn exact_all(&mut self, closed: &[u32]) -> Result<Vec<Assign>, Fail> {
        let mut out = Vec::new();
        for group in self.groups(closed) {
            out.extend(self.exact(&group, 1.0)?);
        }
        Ok(out)
    }

    /// Exact values of the closed states in `read` after a fraction of the step, without their noise.
    fn values_at(&mut self, closed: &[u32], read: &[u32], span: f64) -> Result<HashMap<u32, ExprId>, Fail> {
        if read.is_empty() {
            return Ok(HashMap::new());
        }
        let mut out = HashMap::new();
        for group in self.groups(closed) {
            if group.iter().any(|s| read.contains(s)) {
                let system = self.system(&group);
                let values = self.advance(&system, span, false);
                out.extend(group.iter().copied().zip(values).filter(|(s, _)| read.contains(s)));
            }
        }
        Ok(out)
    }

    fn is_zero(&self, id: ExprId) -> bool {
        self.body.dynamics.exprs.as_const(id) == Some(0.0)
    }

    fn advance(&mut self, s: &Closed, span: f64, noise: bool) -> Vec<ExprId> {
        let n = s.states.len();
        let m = s.noises.len();
        let constants: Option<Vec<f64>> = s.a.iter().map(|c| self.body.dynamics.exprs.as_const(*c)).collect();
        let (p, phi): (Vec<ExprId>, Vec<ExprId>) = match &constants {
            Some(a) => {
                let (p, phi) = matrix::propagator(a, n, self.dt * span);
                let x = self.x();
                (p.into_iter().map(|v| x.real(v)).collect(), phi.into_iter().map(|v| x.real(v)).collect())
            }
            None => {
                let index = self.body.dynamics.systems.len() as u32;
                self.body.dynamics.systems.push(System {
                    a: s.a.clone(),
                    g: s.g.clone(),
                    n: n as u32,
                    m: m as u32,
                    span,
                });
                let reach = self.reachable(&s.a, n);
                let mut p = Vec::new();
                let mut phi = Vec::new();
                for row in 0..n {
                    for column in 0..n {
                        let zero = self.x().real(0.0);
                        if !reach[row * n + column] {
                            p.push(zero);
                            phi.push(zero);
                            continue;
                        }
                        let (r, c) = (row as u32, column as u32);
                        let name = format!(
                            "P_{}_{}",
                            self.names[s.states[row] as usize], self.names[s.states[column] as usize]
                        );
                        p.push(
                            self.body.derived(name.clone(), Derived::Propagator { system: index, row: r, column: c }),
                        );
                        phi.push(if self.is_zero(s.forcing[column]) {
                            zero
                        } else {
                            self.body.derived(
                                format!("Phi{}", &name[1..]),
                                Derived::Integral { system: index, row: r, column: c },
                            )
                        });
                    }
                }
                (p, phi)
            }
        };
        let factors = if noise && m > 0 { self.noise_factors(s, constants.as_deref(), span) } else { Vec::new() };
        (0..n)
            .map(|row| {
                let x = &mut self.body.dynamics.exprs;
                let mut sum: Option<ExprId> = None;
                let mut add = |x: &mut Exprs, term: ExprId| {
                    sum = Some(match sum {
                        Some(old) => x.add(old, term),
                        None => term,
                    });
                };
                for column in 0..n {
                    if x.as_const(p[row * n + column]) != Some(0.0) {
                        let state = x.intern(Expr::State(s.states[column]));
                        let term = x.mul(p[row * n + column], state);
                        add(x, term);
                    }
                }
                for column in 0..n {
                    let term = x.mul(phi[row * n + column], s.forcing[column]);
                    if x.as_const(term) != Some(0.0) {
                        add(x, term);
                    }
                }
                for (k, factor) in factors.iter().filter(|(r, _, _)| *r == row).map(|(_, k, f)| (*k, *f)) {
                    let normal = x.intern(Expr::Noise(k));
                    let term = x.mul(factor, normal);
                    add(x, term);
                }
                let zero = x.real(0.0);
                sum.unwrap_or(zero)
            })
            .collect()
    }

    /// (row, normal, factor) of the noise of one step.
    fn noise_factors(&mut self, s: &Closed, a: Option<&[f64]>, span: f64) -> Vec<(usize, u32, ExprId)> {
        let n = s.states.len();
        let m = s.noises.len();
        let g: Option<Vec<f64>> = s.g.iter().map(|c| self.body.dynamics.exprs.as_const(*c)).collect();
        let mut out = Vec::new();
        if let (Some(a), Some(g)) = (a, &g) {
            let q = matrix::noise_covariance(a, n, g, m, self.dt * span);
            let l = matrix::cholesky(&q, n).unwrap_or_else(|| vec![0.0; n * n]);
            for column in 0..n {
                if (0..n).all(|row| l[row * n + column] == 0.0) {
                    continue;
                }
                let k = self.noises;
                self.noises += 1;
                for row in 0..n {
                    let v = l[row * n + column];
                    if v != 0.0 {
                        let v = self.x().real(v);
                        out.push((row, k, v));
                    }
                }
            }
            return out;
        }
        let index = match self.body.dynamics.systems.last() {
            Some(last) if last.a == s.a && last.g == s.g && last.span == span => {
                self.body.dynamics.systems.len() as u32 - 1
            }
            _ => {
                self.body.dynamics.systems.push(System {
                    a: s.a.clone(),
                    g: s.g.clone(),
                    n: n as u32,
                    m: m as u32,
                    span,
                });
                self.body.dynamics.systems.len() as u32 - 1
            }
        };
        // Rows that noise reaches: its own and those downstream.
        let reach = self.reachable(&s.a, n);
        let hit: Vec<bool> = (0..n)
            .map(|row| (0..n).any(|c| reach[row * n + c] && (0..m).any(|k| !self.is_zero(s.g[c * m + k]))))
            .collect();
        for column in (0..n).filter(|c| hit[*c]) {
            let k = self.noises;
            self.noises += 1;
            for row in (column..n).filter(|r| hit[*r]) {
                let name = format!("noise_{}_{column}", self.names[s.states[row] as usize]);
                let f =
                    self.body.derived(name, Derived::Noise { system: index, row: row as u32, column: column as u32 });
                out.push((row, k, f));
            }
        }
        out
    }

    /// Which entries of the exponential can be other than 0: paths in the graph of the matrix.
    fn reachable(&self, a: &[ExprId], n: usize) -> Vec<bool> {
        let mut r: Vec<bool> = (0..n * n).map(|k| k / n == k % n || !self.is_zero(a[k])).collect();
        for via in 0..n {
            for row in 0..n {
                for column in 0..n {
                    r[row * n + column] |= r[row * n + via] && r[via * n + column];
                }
            }
        }
        r
    }

    /// The drift of a state, and its noise terms: (leaf, coefficient).
    fn drift(&mut self, s: u32) -> (ExprId, Vec<(u32, ExprId)>) {
        let rhs = self.eq.rhs[s as usize];
        match split(self.x(), rhs, &|v| matches!(v, Variable::Noise(_))) {
            Some(l) => {
                let zero = self.x().real(0.0);
                let noise = l
                    .coefficients
                    .into_iter()
                    .filter_map(|(v, c)| match v {
                        Variable::Noise(k) => Some((k, c)),
                        Variable::State(_) => None,
                    })
                    .collect();
                (l.rest.unwrap_or(zero), noise)
            }
            None => (rhs, Vec::new()),
        }
    }

    /// Euler-Maruyama increments of some states over `h`; leaves shared between equations share their normals.
    fn noise_terms(&mut self, states: &[u32], h: f64) -> HashMap<u32, ExprId> {
        let mut drawn: HashMap<u32, u32> = HashMap::new();
        let mut out = HashMap::new();
        for s in states {
            let (_, noise) = self.drift(*s);
            for (leaf, c) in noise {
                let next = self.noises;
                let k = *drawn.entry(leaf).or_insert(next);
                if k == next {
                    self.noises += 1;
                }
                let x = self.x();
                let root = x.real(h.sqrt());
                let scaled = x.mul(c, root);
                let normal = x.intern(Expr::Noise(k));
                let term = x.mul(scaled, normal);
                let sum = match out.get(s) {
                    Some(old) => x.add(*old, term),
                    None => term,
                };
                out.insert(*s, sum);
            }
        }
        out
    }

    /// The assignment of a state's new value, its noise added.
    fn moved(&mut self, s: u32, value: ExprId, noise: &HashMap<u32, ExprId>) -> Assign {
        let value = match noise.get(&s) {
            Some(term) => self.x().add(value, *term),
            None => value,
        };
        Assign { state: s, value }
    }

    fn substitute(&mut self, id: ExprId, values: &HashMap<u32, ExprId>) -> ExprId {
        if values.is_empty() {
            return id;
        }
        self.x().rewrite(id, &mut HashMap::new(), &mut |_, e| match e {
            Expr::State(k) => values.get(k).copied(),
            _ => None,
        })
    }

    fn exponential_euler(&mut self, states: &[u32], middle: &HashMap<u32, ExprId>) -> Vec<Assign> {
        let h = self.dt;
        let noise = self.noise_terms(states, h);
        states
            .iter()
            .map(|s| {
                let value = self.exponential_step(*s, middle, h);
                self.moved(*s, value, &noise)
            })
            .collect()
    }

    /// Whether some of the states read one another.
    fn coupled(&self, states: &[u32]) -> bool {
        states.iter().any(|s| {
            let rhs = self.eq.rhs[*s as usize];
            contains(
                &self.body.dynamics.exprs,
                rhs,
                &|v| matches!(v, Variable::State(k) if k != *s && states.contains(&k)),
            )
        })
    }

    /// `x + h f(x) exprel(a h)` with `f` linear in `s`, and `others` in the place of the states that they name.
    fn exponential_step(&mut self, s: u32, others: &HashMap<u32, ExprId>, h: f64) -> ExprId {
        let (drift, _) = self.drift(s);
        // Split first: a value in the middle of the step reads `s` as it was before, and that is no part of the coefficient.
        let l = split(self.x(), drift, &|v| v == Variable::State(s));
        let a = match l.and_then(|l| l.coefficients.get(&Variable::State(s)).copied()) {
            Some(a) => self.substitute(a, others),
            None => self.x().real(0.0),
        };
        let f = self.substitute(drift, others);
        let x = self.x();
        let ah = over(x, a, h);
        let relative = x.unary(UnaryOp::Exprel, ah);
        let step = over(x, f, h);
        let step = x.mul(step, relative);
        let old = x.intern(Expr::State(s));
        x.add(old, step)
    }

    fn exponential_midpoint(&mut self, states: &[u32], middle: &HashMap<u32, ExprId>) -> Vec<Assign> {
        let h = self.dt;
        let noise = self.noise_terms(states, h);
        let held = self.body.dynamics.refractory.as_ref().map(|r| r.held.clone()).unwrap_or_default();
        let mut half = middle.clone();
        for s in states {
            let mut value = self.exponential_step(*s, &HashMap::new(), h / 2.0);
            if held.contains(s) {
                let x = self.x();
                let (flag, old) = (x.intern(Expr::Held), x.intern(Expr::State(*s)));
                value = x.select(flag, old, value);
            }
            half.insert(*s, value);
        }
        states
            .iter()
            .map(|s| {
                let mut others = half.clone();
                others.remove(s);
                let value = self.exponential_step(*s, &others, h);
                self.moved(*s, value, &noise)
            })
            .collect()
    }

    fn euler(&mut self, states: &[u32], h: f64) -> Vec<Assign> {
        let noise = self.noise_terms(states, h);
        states
            .iter()
            .map(|s| {
                let (drift, _) = self.drift(*s);
                let x = self.x();
                let step = over(x, drift, h);
                let old = x.intern(Expr::State(*s));
                let value = x.add(old, step);
                self.moved(*s, value, &noise)
            })
            .collect()
    }

    fn rk4(
        &mut self,
        states: &[u32],
        h: f64,
        middle: &HashMap<u32, ExprId>,
        end: &HashMap<u32, ExprId>,
    ) -> Vec<Assign> {
        let noise = self.noise_terms(states, h);
        let drifts: Vec<ExprId> = states.iter().map(|s| self.drift(*s).0).collect();
        let held = self.body.dynamics.refractory.as_ref().map(|r| r.held.clone()).unwrap_or_default();
        // A held state is constant within the step for the others too, so its increments vanish while the counter runs.
        let slopes = |me: &mut Self, at: &HashMap<u32, ExprId>| -> Vec<ExprId> {
            drifts
                .iter()
                .zip(states)
                .map(|(d, s)| {
                    let slope = me.substitute(*d, at);
                    if held.contains(s) && states.len() > 1 {
                        let x = me.x();
                        let (flag, zero) = (x.intern(Expr::Held), x.real(0.0));
                        x.select(flag, zero, slope)
                    } else {
                        slope
                    }
                })
                .collect()
        };
        let shifted = |me: &mut Self, slopes: &[ExprId], factor: f64, base: &HashMap<u32, ExprId>| {
            let mut at = base.clone();
            for (s, k) in states.iter().zip(slopes) {
                let x = me.x();
                let f = x.real(factor);
                let step = x.mul(f, *k);
                let old = x.intern(Expr::State(*s));
                let moved = x.add(old, step);
                at.insert(*s, moved);
            }
            at
        };
        let k1 = slopes(self, &HashMap::new());
        let at = shifted(self, &k1, h / 2.0, middle);
        let k2 = slopes(self, &at);
        let at = shifted(self, &k2, h / 2.0, middle);
        let k3 = slopes(self, &at);
        let at = shifted(self, &k3, h, end);
        let k4 = slopes(self, &at);
        states
            .iter()
            .enumerate()
            .map(|(row, s)| {
                let x = &mut self.body.dynamics.exprs;
                let two = x.real(2.0);
                let inner = x.add(k2[row], k3[row]);
                let inner = x.binary(BinaryOp::Mul, two, inner);
                let sum = x.add(k1[row], inner);
                let sum = x.add(sum, k4[row]);
                let sixth = x.real(h / 6.0);
                let step = x.mul(sixth, sum);
                let old = x.intern(Expr::State(*s));
                let value = x.add(old, step);
                self.moved(*s, value, &noise)
            })
            .collect()
    }
}

/// `e` times `h`. The constant that a drift is divided by goes into the factor: a division costs as much as ten products.
fn over(x: &mut Exprs, e: ExprId, h: f64) -> ExprId {
    let (value, factor) = match *x.get(e) {
        Expr::Binary(BinaryOp::Div, value, by) => match x.as_const(by).map(|c| h / c) {
            Some(factor) if factor.is_normal() => (value, factor),
            _ => (e, h),
        },
        _ => (e, h),
    };
    let factor = x.real(factor);
    x.mul(value, factor)
}
