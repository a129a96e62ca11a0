//! Runge-Kutta-Fehlberg 4(5): steps whose length follows the error, neuron by neuron, within one step of the network.
//!
//! Fehlberg (1969), NASA TR R-315: six slopes give a solution of fifth order, which is kept, and one of fourth, whose distance from
//! it is the error. The control is GSL's standard one, as NEST uses it. What is allowed is `D = tolerance * scale`: the scale of a
//! voltage x is 1 mV, since its zero is arbitrary and its size says nothing; that of any other state is its unit (1 pA, 1 nS ...,
//! for a gate 1) plus its size. With q the largest `error / D`, a trial is taken back where q is above 1.1, and repeated with
//! `0.9 q^(-1/5)` of its length, at least 0.2; below 0.5 the next one is `0.9 q^(-1/6)` as long, at most 5 times.
//!
//! The length is kept from one step of the network to the next; inputs are held over the step, and it ends exactly at its end.
//! Where a state is no longer finite the step ends at once, and the run with it.

use super::Solver;
use crate::ir::{Adaptive, Assign, BinaryOp, Compare, Expr, ExprId, Stage, State, UnaryOp};
use crate::units::Dimension;
use std::collections::HashMap;

/// Trial steps in one step of the network at most.
const LIMIT: u32 = 100_000;

/// Slopes that a stage's states are moved by.
const STAGES: [&[f64]; 5] = [
    &[1.0 / 4.0],
    &[3.0 / 32.0, 9.0 / 32.0],
    &[1932.0 / 2197.0, -7200.0 / 2197.0, 7296.0 / 2197.0],
    &[439.0 / 216.0, -8.0, 3680.0 / 513.0, -845.0 / 4104.0],
    &[-8.0 / 27.0, 2.0, -3544.0 / 2565.0, 1859.0 / 4104.0, -11.0 / 40.0],
];
/// Weights of the fifth order, and of its difference from the fourth.
const FIFTH: [f64; 6] = [16.0 / 135.0, 0.0, 6656.0 / 12825.0, 28561.0 / 56430.0, -9.0 / 50.0, 2.0 / 55.0];
const ERROR: [f64; 6] = [1.0 / 360.0, 0.0, -128.0 / 4275.0, -2197.0 / 75240.0, 1.0 / 50.0, 2.0 / 55.0];

impl Solver<'_> {
    /// `initial` are the values of the hidden states in the build: time gone (0) and first length.
    pub(super) fn rkf45(
        &mut self,
        states: &[u32],
        tolerance: f64,
        longest: f64,
        (zero_built, longest_built): (ExprId, ExprId),
    ) -> Adaptive {
        let hidden = |me: &mut Self, name: &str, initial: ExprId| {
            let name = name.to_string();
            me.body.dynamics.states.push(State { name, dimension: Dimension::TIME, initial });
            me.body.dynamics.states.len() as u32 - 1
        };
        let elapsed = hidden(self, "rkf45_elapsed", zero_built);
        let length = hidden(self, "rkf45_step", longest_built);

        let dt = self.dt;
        let x = self.x();
        let (end, gone, wanted) = (x.real(dt), x.intern(Expr::State(elapsed)), x.intern(Expr::State(length)));
        let left = x.sub(end, gone);
        let active = x.compare(Compare::Lt, gone, end);
        let last = x.compare(Compare::Ge, wanted, left);
        let h = x.select(last, left, wanted);

        let mut slopes = vec![self.slopes(states, &HashMap::new())];
        for weights in STAGES {
            let at = states.iter().enumerate().map(|(row, s)| (*s, self.moved_by(*s, row, h, &slopes, weights)));
            let at: Vec<(u32, ExprId)> = at.collect();
            slopes.push(self.slopes(states, &at.into_iter().collect()));
        }
        let fifth: Vec<ExprId> =
            states.iter().enumerate().map(|(row, s)| self.moved_by(*s, row, h, &slopes, &FIFTH)).collect();
        // The largest error in units of what is allowed, and a sum that is not finite where one of them is not.
        let zero = self.x().real(0.0);
        let (mut worst, mut all) = (zero, zero);
        let voltage: Vec<bool> =
            states.iter().map(|s| self.body.dynamics.states[*s as usize].dimension == Dimension::VOLTAGE).collect();
        for (row, new) in fifth.iter().enumerate() {
            let error = self.weighted(row, &slopes, &ERROR);
            let x = self.x();
            let error = x.mul(h, error);
            let error = x.unary(UnaryOp::Abs, error);
            let (one, tolerance) = (x.real(1.0), x.real(tolerance));
            let scale = if voltage[row] {
                one
            } else {
                let size = x.unary(UnaryOp::Abs, *new);
                x.add(one, size)
            };
            let allowed = x.mul(tolerance, scale);
            let ratio = x.div(error, allowed);
            worst = x.binary(BinaryOp::Max, ratio, worst);
            all = x.add(all, ratio);
        }
        let x = self.x();
        let infinite = x.real(f64::INFINITY);
        let finite = x.compare(Compare::Lt, all, infinite);
        let broken = x.unary(UnaryOp::Not, finite);
        let most = x.real(1.1);
        let above = x.compare(Compare::Gt, worst, most);
        let rejected = x.binary(BinaryOp::And, above, finite);
        let (shrinking, growing) = (x.real(-1.0 / 5.0), x.real(-1.0 / 6.0));
        let exponent = x.select(rejected, shrinking, growing);
        let power = x.binary(BinaryOp::Pow, worst, exponent);
        let safety = x.real(0.9);
        let power = x.mul(safety, power);
        let (fifth_part, half, one, five) = (x.real(0.2), x.real(0.5), x.real(1.0), x.real(5.0));
        let shorter = x.binary(BinaryOp::Max, power, fifth_part);
        let longer = x.binary(BinaryOp::Min, power, five);
        let longer = x.binary(BinaryOp::Max, longer, one);
        let small = x.compare(Compare::Lt, worst, half);
        let kept = x.select(small, longer, one);
        let factor = x.select(rejected, shorter, kept);
        let next = x.mul(h, factor);
        // A step cut short by the end of the network's says nothing against the length that was wanted.
        let no_shorter = x.binary(BinaryOp::Max, next, wanted);
        let cut = x.unary(UnaryOp::Not, rejected);
        let cut = x.binary(BinaryOp::And, last, cut);
        let next = x.select(cut, no_shorter, next);
        let longest = x.real(longest);
        let next = x.binary(BinaryOp::Min, next, longest);
        let next = x.select(finite, next, wanted);
        let there = x.add(gone, h);
        let arrived = x.binary(BinaryOp::Or, last, broken);
        let there = x.select(arrived, end, there);
        let there = x.select(rejected, gone, there);

        let mut assigns = Vec::new();
        let values = states.iter().zip(fifth).map(|(s, new)| (*s, Some(rejected), new));
        for (state, back, new) in values.chain([(elapsed, None, there), (length, None, next)]) {
            let old = x.intern(Expr::State(state));
            let new = back.map_or(new, |r| x.select(r, old, new));
            assigns.push(Assign { state, value: x.select(active, new, old) });
        }
        Adaptive {
            before: Stage { assigns: vec![Assign { state: elapsed, value: zero }] },
            trial: Stage { assigns },
            elapsed,
            limit: LIMIT,
        }
    }

    /// Derivatives with some states elsewhere; that of a held state is 0 while it is held.
    fn slopes(&mut self, states: &[u32], at: &HashMap<u32, ExprId>) -> Vec<ExprId> {
        let held = self.body.dynamics.refractory.as_ref().map(|r| r.held.clone()).unwrap_or_default();
        states
            .iter()
            .map(|s| {
                let (drift, _) = self.drift(*s);
                let slope = self.substitute(drift, at);
                let x = self.x();
                if !held.contains(s) {
                    return slope;
                }
                let (flag, zero) = (x.intern(Expr::Held), x.real(0.0));
                x.select(flag, zero, slope)
            })
            .collect()
    }

    fn weighted(&mut self, row: usize, slopes: &[Vec<ExprId>], weights: &[f64]) -> ExprId {
        let x = self.x();
        let mut sum = x.real(0.0);
        for (k, w) in slopes.iter().zip(weights) {
            let w = x.real(*w);
            let term = x.mul(w, k[row]);
            sum = x.add(sum, term);
        }
        sum
    }

    /// `x + h * sum of weights * slopes`
    fn moved_by(&mut self, s: u32, row: usize, h: ExprId, slopes: &[Vec<ExprId>], weights: &[f64]) -> ExprId {
        let sum = self.weighted(row, slopes, weights);
        let x = self.x();
        let step = x.mul(h, sum);
        let old = x.intern(Expr::State(s));
        x.add(old, step)
    }
}
