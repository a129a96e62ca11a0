//! A population's dynamics as a leaky integrate-and-fire cell, found in the IR by what one step does.
//!
//! The step of a cell is a map of its states. It is that of a leaky integrate-and-fire cell if one state `V` is compared with a fixed
//! threshold, is reset to a fixed value, and moves linearly in itself towards a drive that follows the other states; and if those
//! others are linear among themselves and don't follow `V`. The map is evaluated, not read, so it does not matter how the author
//! wrote the equations or which method integrates them. What follows is all that a rate needs: the membrane time constant, and for
//! each receptor the charge of one spike (the area of what it adds to the drive, in mV) and how long that charge lasts.
//!
//! Where the drive depends on `V` (conductances) the map is taken at the mean of the other states: `tau` is then the effective time
//! constant and a spike acts with the driving force at the mean voltage (Kuhn, Aertsen and Rotter 2004, J. Neurosci. 24:2345).

use super::linear;
use super::siegert::Threshold;
use crate::backend::eval;
use crate::ir::{Assign, BinaryOp, Compare, Dynamics, Expr, ExprId, Spike};
use crate::numerics;

/// What an expression of the dynamics reads.
struct At<'a> {
    states: &'a [f64],
    arrival: f64,
    noise: Option<u32>,
}

/// One cell of a population, its params being means over the cells that it stands for.
pub(super) struct Cell<'n> {
    dynamics: &'n Dynamics,
    params: Vec<f64>,
    time: f64,
    dt: f64,
    /// What each stage of a step evaluates, in order.
    stages: Vec<Vec<ExprId>>,
}

impl<'n> Cell<'n> {
    pub fn new(dynamics: &'n Dynamics, params: Vec<f64>, time: f64, dt: f64) -> Cell<'n> {
        let values = |assigns: &[Assign]| assigns.iter().map(|a| a.value).collect::<Vec<_>>();
        let stages = dynamics.integrate.iter().map(|s| eval::order(&dynamics.exprs, &values(&s.assigns))).collect();
        Cell { dynamics, params, time, dt, stages }
    }

    fn value(&self, id: ExprId, at: &At) -> f64 {
        let mut scratch = Vec::new();
        self.values(&eval::order(&self.dynamics.exprs, &[id]), at, &mut scratch);
        scratch[id.0 as usize]
    }

    /// All expressions of `order`, each at its place.
    fn values(&self, order: &[ExprId], at: &At, scratch: &mut Vec<f64>) {
        eval::evaluate(&self.dynamics.exprs, order, scratch, &mut |e, _| match e {
            Expr::State(k) => at.states[*k as usize],
            Expr::Param(k) => self.params[*k as usize],
            Expr::Arrival => at.arrival,
            Expr::Time => self.time,
            Expr::Noise(k) => f64::from(u8::from(at.noise == Some(*k))),
            Expr::Held => 0.0,
            _ => f64::NAN,
        });
    }

    /// An expression that reads neither states nor arrivals.
    pub fn constant(&self, id: ExprId) -> f64 {
        let states = vec![f64::NAN; self.dynamics.states.len()];
        self.value(id, &At { states: &states, arrival: f64::NAN, noise: None })
    }

    /// The states after one step without arrivals; `noise` sets one normal number to 1, the others are 0.
    fn step(&self, states: &[f64], noise: Option<u32>) -> Vec<f64> {
        let mut now = states.to_vec();
        let mut scratch = Vec::new();
        for (stage, order) in self.dynamics.integrate.iter().zip(&self.stages) {
            self.values(order, &At { states: &now, arrival: 0.0, noise }, &mut scratch);
            for a in &stage.assigns {
                now[a.state as usize] = scratch[a.value.0 as usize];
            }
        }
        now
    }

    /// The assignments of a receptor or a reset, one after the other.
    fn assigned(&self, states: &[f64], list: &[Assign], arrival: f64) -> Vec<f64> {
        let mut now = states.to_vec();
        for a in list {
            let value = self.value(a.value, &At { states: &now, arrival, noise: None });
            now[a.state as usize] = value;
        }
        now
    }

    /// What one arrival of weight 1 adds to each state.
    fn jump(&self, receptor: usize, states: &[f64]) -> Vec<f64> {
        let Some(r) = self.dynamics.receptors.get(receptor) else { return vec![0.0; states.len()] };
        let moved = self.assigned(states, &r.body, 1.0);
        moved.iter().zip(states).map(|(a, b)| a - b).collect()
    }

    /// The probability of a spike in one step of a cell without memory.
    pub fn hazard(&self) -> Option<f64> {
        let Spike::When(c) = &self.dynamics.spike else { return None };
        let x = &self.dynamics.exprs;
        let Expr::Compare(Compare::Lt, a, b) = x.get(*c) else { return None };
        let random = matches!(x.get(*a), Expr::Uniform);
        let alone = !x.any(*b, &mut |e| matches!(e, Expr::State(_) | Expr::Uniform | Expr::Before(_)));
        (random && alone).then(|| self.constant(*b)).filter(|p| (0.0..=1.0).contains(p))
    }

    /// Spikes per ms of a cell that nothing reaches and that draws nothing, over so many steps.
    pub fn clockwork(&self, initial: &[f64], steps: u32) -> Option<f64> {
        let Spike::When(c) = &self.dynamics.spike else { return None };
        let x = &self.dynamics.exprs;
        let chance = |e: &Expr| matches!(e, Expr::Uniform | Expr::Noise(_) | Expr::Before(_));
        if x.any(*c, &mut |e| chance(e)) || self.dynamics.noises > 0 {
            return None;
        }
        let (mut states, mut spikes) = (initial.to_vec(), 0_u32);
        let mut here = Cell { params: self.params.clone(), stages: self.stages.clone(), ..*self };
        for k in 0..steps {
            here.time = f64::from(k) * self.dt;
            states = here.step(&states, None);
            here.time += self.dt;
            if here.value(*c, &At { states: &states, arrival: 0.0, noise: None }) != 0.0 {
                spikes += 1;
                states = here.assigned(&states, &self.dynamics.reset, 0.0);
            }
        }
        Some(f64::from(spikes) / (f64::from(steps) * self.dt))
    }
}

/// Spikes onto one receptor, all of one sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Input {
    pub receptor: usize,
    /// Mean weight of a spike and mean of its square, in the receptor's own unit.
    pub weight: f64,
    pub square: f64,
    /// Spikes per ms and cell.
    pub rate: f64,
}

/// Where the voltage would settle without a threshold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// mV
    pub mu: f64,
    /// mV; `sigma^2` is twice the variance.
    pub sigma: f64,
    /// ms
    pub tau: f64,
    /// Raises the limits, in units of sigma.
    pub filter: f64,
    /// What each input adds to `mu`, mV.
    pub shares: Vec<f64>,
}

/// What one impulse does to the states.
struct Jump {
    voltage: f64,
    others: Vec<f64>,
    /// What each of the others sums to afterwards, times dt.
    response: Vec<f64>,
    /// Row-major: the sums over all later steps of products of two of the others.
    products: Vec<f64>,
}

/// What one spike per ms of an input adds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// To the mean, mV.
    pub mean: f64,
    /// To sigma^2, mV^2.
    pub variance: f64,
    /// The same times the root of the relative correlation time.
    pub filtered: f64,
}

/// A cell that is recognised.
pub(super) struct Lif<'n> {
    cell: Cell<'n>,
    voltage: usize,
    /// The other states, and the map of one step among them: row-major, then the constant part.
    others: Vec<usize>,
    map: Vec<f64>,
    forcing: Vec<f64>,
    /// `(1 - map)^-1`
    inverse: Vec<f64>,
    pub threshold: Threshold,
    /// What its own spike adds to the other states: adaptation.
    own: Vec<f64>,
    /// By receptor: what a unit spike does.
    jumps: Vec<Jump>,
    /// By normal number: the same.
    noises: Vec<Jump>,
    /// The slopes of the step of the voltage along itself and along each of the others, where they are the same everywhere.
    slopes: Option<(f64, Vec<f64>)>,
    initial: Vec<f64>,
    /// Which of the others only a jump would move.
    still: Vec<bool>,
}

impl<'n> Lif<'n> {
    /// `Err` says in words why the cell is none.
    pub fn of(cell: Cell<'n>, initial: &[f64]) -> Result<Lif<'n>, String> {
        let d = cell.dynamics;
        if !d.every.is_empty() {
            return Err("its states change at intervals".to_string());
        }
        let (voltage, theta) = threshold(&cell)?;
        let name = |k: usize| d.states[k].name.as_str();
        let others: Vec<usize> = (0..d.states.len()).filter(|k| *k != voltage).collect();
        let mut reset = None;
        let mut own = vec![0.0; others.len()];
        for a in &d.reset {
            let at = |v: f64| {
                let mut states = initial.to_vec();
                states[a.state as usize] = v;
                cell.value(a.value, &At { states: &states, arrival: 0.0, noise: None })
            };
            let (low, high) = (at(0.0), at(1.0));
            if a.state as usize == voltage {
                if low != high || d.exprs.any(a.value, &mut |e| matches!(e, Expr::State(_))) {
                    return Err(format!("its reset depends on where `{}` was", name(voltage)));
                }
                reset = Some(low);
            } else if (high - low - 1.0).abs() < 1e-9
                && let Some(k) = others.iter().position(|o| *o == a.state as usize)
            {
                own[k] = low;
            } else {
                return Err(format!("a spike sets `{}`", name(a.state as usize)));
            }
        }
        let Some(reset) = reset else { return Err(format!("a spike does not reset `{}`", name(voltage))) };
        let t_ref = match &d.refractory {
            Some(r) if r.held.iter().any(|s| *s as usize != voltage) => {
                return Err("its refractory time holds more than the voltage".to_string());
            }
            Some(r) => cell.constant(r.steps) * cell.dt,
            None => 0.0,
        };
        if !(theta.is_finite() && reset.is_finite() && t_ref.is_finite() && reset < theta) {
            return Err("its threshold, reset or refractory time is not a fixed number".to_string());
        }
        let mut lif = Lif {
            voltage,
            map: vec![0.0; others.len() * others.len()],
            forcing: vec![0.0; others.len()],
            inverse: Vec::new(),
            threshold: Threshold { theta, reset, t_ref },
            own,
            jumps: Vec::new(),
            noises: Vec::new(),
            slopes: None,
            initial: initial.to_vec(),
            still: vec![false; others.len()],
            others,
            cell,
        };
        lif.learn_others(initial)?;
        lif.learn_voltage()?;
        lif.learn_inputs()?;
        Ok(lif)
    }

    /// An expression of the dynamics that reads no state.
    pub fn constant(&self, id: ExprId) -> f64 {
        self.cell.constant(id)
    }

    fn joined(&self, v: f64, others: &[f64]) -> Vec<f64> {
        let mut states = vec![v; others.len() + 1];
        for (k, o) in self.others.iter().enumerate() {
            states[*o] = others[k];
        }
        states[self.voltage] = v;
        states
    }

    fn step(&self, v: f64, others: &[f64], noise: Option<u32>) -> (f64, Vec<f64>) {
        let next = self.cell.step(&self.joined(v, others), noise);
        (next[self.voltage], self.others.iter().map(|o| next[*o]).collect())
    }

    /// The map of the other states; an error where it is not linear or follows the voltage.
    fn learn_others(&mut self, initial: &[f64]) -> Result<(), String> {
        let n = self.others.len();
        let Threshold { theta, reset, .. } = self.threshold;
        let zero = vec![0.0; n];
        self.forcing = self.step(reset, &zero, None).1;
        for k in 0..n {
            let mut unit = zero.clone();
            unit[k] = 1.0;
            let column = self.step(reset, &unit, None).1;
            for row in 0..n {
                self.map[row * n + k] = column[row] - self.forcing[row];
            }
        }
        let probe: Vec<f64> = (0..n).map(|k| 1.7 + 0.9 * k as f64).collect();
        let want = self.next_others(&probe);
        for v in [reset, 0.5 * (reset + theta), theta] {
            let found = self.step(v, &probe, None).1;
            for k in 0..n {
                if !((found[k] - want[k]).abs() <= 1e-9 * (1.0 + want[k].abs())) {
                    let name = &self.cell.dynamics.states[self.others[k]].name;
                    return Err(format!("`{name}` follows the voltage, or is not linear"));
                }
            }
        }
        // A state that only a jump moves stays where it is: it has no mean of its own.
        for k in 0..n {
            let row = &self.map[k * n..(k + 1) * n];
            let still = row.iter().enumerate().all(|(c, v)| *v == if c == k { 1.0 } else { 0.0 });
            self.still[k] = still;
            if still {
                self.map[k * n + k] = 0.0;
                self.forcing[k] = initial[self.others[k]];
            }
        }
        let mut gap: Vec<f64> = self.map.iter().map(|v| -v).collect();
        (0..n).for_each(|k| gap[k * n + k] += 1.0);
        self.inverse = linear::inverse(&gap, n).ok_or("a state other than the voltage does not decay")?;
        Ok(())
    }

    fn next_others(&self, x: &[f64]) -> Vec<f64> {
        let moved = linear::times(&self.map, x);
        moved.iter().zip(&self.forcing).map(|(a, b)| a + b).collect()
    }

    fn learn_voltage(&mut self) -> Result<(), String> {
        let Threshold { theta, reset, .. } = self.threshold;
        for others in [vec![0.0; self.others.len()], linear::times(&self.inverse, &self.forcing)] {
            let [a, b, c] = [reset, 0.5 * (reset + theta), theta].map(|v| self.step(v, &others, None).0);
            if !((a + c - 2.0 * b).abs() <= 1e-9 * (a.abs() + b.abs() + c.abs())) {
                return Err("its voltage is not linear in itself".to_string());
            }
            let slope = (c - a) / (theta - reset);
            if !(slope > 0.0 && slope < 1.0) {
                return Err("its voltage does not leak".to_string());
            }
        }
        // Where the slopes are the same at two places, the step is linear: then no rate needs the map again.
        let n = self.others.len();
        let slopes = |v: f64, at: f64| -> (f64, Vec<f64>) {
            let x = vec![at; n];
            let here = self.step(v, &x, None).0;
            let along = |k: usize| {
                let mut moved = x.clone();
                moved[k] += 1.0;
                self.step(v, &moved, None).0 - here
            };
            (self.step(v + 1.0, &x, None).0 - here, (0..n).map(along).collect())
        };
        let (first, second) = (slopes(reset, 0.0), slopes(theta, 1.7));
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1e-3 + a.abs());
        let same = close(first.0, second.0) && first.1.iter().zip(&second.1).all(|(a, b)| close(*a, *b));
        self.slopes = same.then_some(first);
        Ok(())
    }

    fn impulse(&self, all: &[f64]) -> Jump {
        let others: Vec<f64> = self.others.iter().map(|o| all[*o]).collect();
        let response = linear::times(&self.inverse, &others.iter().map(|j| j * self.cell.dt).collect::<Vec<_>>());
        Jump { voltage: all[self.voltage], products: linear::products(&self.map, &others), response, others }
    }

    fn learn_inputs(&mut self) -> Result<(), String> {
        let n = self.others.len();
        let Threshold { theta, reset, .. } = self.threshold;
        let zero = vec![0.0; n];
        for r in 0..self.cell.dynamics.receptors.len() {
            let one = self.cell.jump(r, &self.joined(reset, &zero));
            let two = self.cell.jump(r, &self.joined(theta, &vec![1.0; n]));
            if one.iter().zip(&two).any(|(a, b)| !((a - b).abs() <= 1e-9 * (1e-9 + a.abs()))) {
                let name = &self.cell.dynamics.receptors[r].name;
                return Err(format!("what a spike does at `{name}` depends on the state of the cell"));
            }
            self.jumps.push(self.impulse(&one));
        }
        for k in 0..self.cell.dynamics.noises {
            let still = self.joined(reset, &zero);
            let (with, without) = (self.cell.step(&still, Some(k)), self.cell.step(&still, None));
            let moved: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
            self.noises.push(self.impulse(&moved));
        }
        let moves = |k: usize| self.own[k] != 0.0 || self.jumps.iter().chain(&self.noises).any(|j| j.others[k] != 0.0);
        match (0..n).find(|k| self.still[*k] && moves(*k)) {
            Some(k) => Err(format!("`{}` keeps for ever what arrives", self.cell.dynamics.states[self.others[k]].name)),
            None => Ok(()),
        }
    }

    /// Whether it starts and stays below its threshold when nothing reaches it.
    pub fn rests(&self) -> bool {
        let still = self.settle(&[], 0.0);
        let calm = self.others.iter().all(|o| self.initial[*o] == 0.0) && self.forcing.iter().all(|f| *f == 0.0);
        calm && still.sigma == 0.0
            && still.mu < self.threshold.theta
            && self.initial[self.voltage] < self.threshold.theta
    }

    /// Whether these spikes raise the voltage.
    pub fn excites(&self, input: &Input) -> bool {
        self.settle(&[Input { rate: 1e-3, ..input.clone() }], 0.0).shares.iter().any(|s| *s > 0.0)
    }

    /// Drive of the voltage (mV/ms) at `v` with the others at `x`, and the decay rate (1/ms, negative).
    fn drive(&self, v: f64, x: &[f64]) -> (f64, f64) {
        let dt = self.cell.dt;
        let base = self.threshold.reset;
        let low = self.step(base, x, None).0;
        let slope = self.step(base + 1.0, x, None).0 - low;
        let decay = numerics::ln(slope) / dt;
        // One step of v' = decay v + u is slope v + (slope - 1) / decay u.
        let u = (low - slope * base) * decay / (slope - 1.0);
        (decay * v + u, decay)
    }

    /// What a spike per ms of `input` adds where it adds the same everywhere, that is, where the voltage is linear.
    pub fn part(&self, input: &Input) -> Option<Part> {
        let (slope, along) = self.slopes.as_ref()?;
        let jump = self.jumps.get(input.receptor)?;
        let decay = numerics::ln(*slope) / self.cell.dt;
        let gradient: Vec<f64> = along.iter().map(|a| a * decay / (slope - 1.0)).collect();
        Some(self.part_at(jump, input.weight, input.square, -1.0 / decay, &gradient))
    }

    /// What impulses at a rate of 1 per ms add, of this mean size and mean square, at a membrane time constant and a gradient of the
    /// drive along the other states.
    fn part_at(&self, jump: &Jump, weight: f64, square: f64, tau: f64, gradient: &[f64]) -> Part {
        let slow = dot(gradient, &jump.response);
        let all = jump.voltage + slow;
        let variance = tau * all * all * square;
        // A kernel c has the correlation time (its area)^2 / (2 * area of c^2): tau_s where it is exponential.
        let filtered = if slow == 0.0 {
            0.0
        } else {
            let power = linear::form(&jump.products, gradient) * self.cell.dt;
            variance * (slow * slow / (2.0 * power) / tau).sqrt()
        };
        Part { mean: tau * weight * all, variance, filtered }
    }

    /// Where the voltage settles under these inputs, the cell itself firing `own` spikes per ms.
    pub fn settle(&self, inputs: &[Input], own: f64) -> Point {
        let dt = self.cell.dt;
        // Means at the start of a step: what arrived at its end still stands undiminished.
        let mut mean = linear::times(&self.inverse, &self.forcing);
        let add = |mean: &mut [f64], response: &[f64], by: f64| {
            response.iter().zip(mean).for_each(|(r, m)| *m += by * r);
        };
        for i in inputs {
            if let Some(jump) = self.jumps.get(i.receptor) {
                add(&mut mean, &jump.response, i.rate * i.weight);
            }
        }
        let own_jump: Vec<f64> = self.own.iter().map(|j| j * dt).collect();
        add(&mut mean, &linear::times(&self.inverse, &own_jump), own);
        let (at_zero, decay) = self.drive(0.0, &mean);
        let tau = -1.0 / decay;
        let direct: f64 =
            inputs.iter().map(|i| i.rate * i.weight * self.jumps.get(i.receptor).map_or(0.0, |j| j.voltage)).sum();
        let mu = tau * (at_zero + direct);
        // What the drive at the mean voltage gains from each of the other states.
        let here = at_zero + decay * mu;
        let gradient: Vec<f64> = (0..mean.len())
            .map(|k| {
                let mut moved = mean.clone();
                moved[k] += 1.0;
                // The voltage's own decay may change with the state: the whole drive counts.
                self.drive(mu, &moved).0 - here
            })
            .collect();
        let mut all = Part::default();
        let mut noise = |part: Part, intensity: f64| {
            all.variance += part.variance * intensity;
            all.filtered += part.filtered * intensity;
            part.mean * intensity
        };
        let shares = inputs.iter().map(|i| match self.jumps.get(i.receptor) {
            Some(jump) => noise(self.part_at(jump, i.weight, i.square, tau, &gradient), i.rate),
            None => 0.0,
        });
        let shares = shares.collect();
        for n in &self.noises {
            // A unit normal per step: twice the variance that a chain with this decay per step settles at, as a rate of impulses.
            let rate = -2.0 / numerics::expm1(2.0 * decay * dt) / tau;
            noise(self.part_at(n, 0.0, 1.0, tau, &gradient), rate);
        }
        Point { mu, sigma: all.variance.sqrt(), tau, filter: filter(all), shares }
    }
}

/// Raises the limits of the rate, in units of sigma.
pub(super) fn filter(all: Part) -> f64 {
    if all.variance > 0.0 { super::siegert::ALPHA / 2.0 * all.filtered / all.variance } else { 0.0 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The state that is compared with a fixed threshold, and that threshold.
fn threshold(cell: &Cell) -> Result<(usize, f64), String> {
    let d = cell.dynamics;
    let x = &d.exprs;
    let condition = match &d.spike {
        Spike::When(c) => *c,
        Spike::Never => return Err("it never spikes".to_string()),
        Spike::Schedule(_) => return Err("it spikes at given times".to_string()),
    };
    if x.any(condition, &mut |e| matches!(e, Expr::Uniform)) {
        return Err("it spikes by chance".to_string());
    }
    let no = || Err("it does not spike at a fixed threshold of one state".to_string());
    let (state, limit) = match x.get(condition) {
        Expr::Compare(Compare::Ge | Compare::Gt, a, b) => (*a, *b),
        Expr::Compare(Compare::Le | Compare::Lt, a, b) => (*b, *a),
        // `crosses`: the second half is the plain comparison.
        Expr::Binary(BinaryOp::And, _, above) => match x.get(*above) {
            Expr::Compare(Compare::Ge, a, b) => (*a, *b),
            _ => return no(),
        },
        _ => return no(),
    };
    let Expr::State(v) = x.get(state) else { return no() };
    if x.any(limit, &mut |e| matches!(e, Expr::State(_) | Expr::Noise(_) | Expr::Before(_))) {
        return Err("its threshold moves".to_string());
    }
    Ok((*v as usize, cell.constant(limit)))
}
