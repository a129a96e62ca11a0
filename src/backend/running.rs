//! Running integrals of levels: what a synapse that waits for its next event gains from what is the same for all synapses.
//!
//! [`Integral`](crate::ir::plasticity::Integral) is a sum over the steps since a synapse was last touched, in which the value of each
//! step has decayed until the end. One number that grows step by step would do, if each synapse kept what it was at its last touch;
//! but it grows as exp(t / tau), and where it is large, differences of it have lost their digits. So steps are taken together in spans
//! of [`SPAN`], and only sums that run backwards from the end of a span, or from now, are kept: all their terms are multiplied by
//! factors of at most 1, and nothing is subtracted.
//!
//! Both back ends ask this for the same sums, so their bits are the same. Spans begin at multiples of their length, so a sum does not
//! depend on when the one before it ended.

use crate::ir::plasticity::Integral;
use crate::numerics;

/// Steps of a span.
pub const SPAN: u64 = 64;

/// Steps that are kept at most: then all synapses are brought up to date, once in so many steps. A table of so many sums takes
/// 256 KiB.
pub const HORIZON: u64 = 1 << 15;

/// The integrals of a rule over the steps since all its synapses were up to date.
pub struct Running {
    sums: Vec<Sums>,
    /// All synapses were up to date at the end of so many steps.
    base: u64,
    /// Steps done; those from `base` on are known.
    now: u64,
    /// Whether the tables are those of `now`.
    ready: bool,
}

/// Tables by which [`Running::since`] finds an integral: positions count from the begin of the span in which `base` lies.
pub struct Sums {
    guarded: bool,
    /// Values of the steps from `base` on.
    values: Vec<f64>,
    /// Sign of the last of them that is not 0.
    sign: f64,
    /// What is left of a value's weight, and of what was gained, after so many steps; then after so many spans.
    weights: [f64; SPAN as usize + 1],
    kept: [f64; SPAN as usize + 1],
    weights_of_spans: Vec<f64>,
    kept_of_spans: Vec<f64>,
    /// `weights` backwards: from a position in a span to the span's end.
    pub gaps: [f64; SPAN as usize],
    /// From a step to the end of its span, or to now.
    pub within: Vec<f64>,
    /// For each span: from its end to the end of the last whole span; from its end to now; what is left until now of what was gained
    /// in it.
    whole: Vec<f64>,
    pub later: Vec<f64>,
    pub left: Vec<f64>,
}

impl Sums {
    fn new(i: &Integral, dt: f64) -> Sums {
        let power = |rate: f64, steps: usize| numerics::exp(rate * dt * steps as f64);
        let weights = std::array::from_fn(|k| power(i.decay, k));
        Sums {
            guarded: i.guarded,
            values: Vec::new(),
            sign: 0.0,
            weights,
            kept: std::array::from_fn(|k| power(i.own, k)),
            weights_of_spans: (0..=HORIZON / SPAN).map(|k| power(i.decay, (k * SPAN) as usize)).collect(),
            kept_of_spans: (0..=HORIZON / SPAN).map(|k| power(i.own, (k * SPAN) as usize)).collect(),
            gaps: std::array::from_fn(|k| weights[SPAN as usize - k]),
            within: Vec::new(),
            whole: Vec::new(),
            later: Vec::new(),
            left: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.values.clear();
        self.whole.clear();
        self.sign = 0.0;
    }

    /// Makes the tables of the moment `now`.
    fn prepare(&mut self, base: u64, now: u64) {
        let origin = base - base % SPAN;
        let (spans, length) = (((now - origin) / SPAN) as usize, (now - origin) as usize);
        // Something stands there for a synapse that is touched twice in a moment.
        self.within.resize(length + 1, 0.0);
        self.within[length] = 0.0;
        self.later.clear();
        self.later.resize(spans + 1, 0.0);
        self.left.clear();
        self.left.resize(spans + 1, 1.0);
        if now == base {
            return;
        }
        let last = ((now - 1 - origin) / SPAN) as usize;
        let begin = (origin + last as u64 * SPAN).max(base);
        let mut sum = 0.0;
        for step in (begin..now).rev() {
            let own = self.values[(step - base) as usize] * self.kept[(now - 1 - step) as usize];
            sum = own + self.weights[1] * sum;
            self.within[(step - origin) as usize] = sum;
        }
        let kept = self.kept[(now - begin) as usize];
        self.whole.resize(last + 1, 0.0);
        for span in 0..last {
            let between = last - 1 - span;
            self.later[span] = kept * self.whole[span] + self.weights_of_spans[between] * sum;
            self.left[span] = kept * self.kept_of_spans[between];
        }
        if (now - origin).is_multiple_of(SPAN) {
            self.whole.copy_from_slice(&self.later[..=last]);
        }
    }

    fn since(&self, position: u64) -> f64 {
        let (span, within) = ((position / SPAN) as usize, (position % SPAN) as usize);
        self.left[span] * self.within[position as usize] + self.gaps[within] * self.later[span]
    }
}

impl Running {
    /// No step is done.
    pub fn new(integrals: &[Integral], dt: f64) -> Running {
        Running { sums: integrals.iter().map(|i| Sums::new(i, dt)).collect(), base: 0, now: 0, ready: false }
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Begins anew: all synapses are up to date at the end of `step` steps.
    pub fn restart(&mut self, step: u64) {
        self.sums.iter_mut().for_each(Sums::clear);
        (self.base, self.now, self.ready) = (step, step, false);
    }

    /// Whether all synapses are to be brought up to date before the step in which the integrals' values are `values`: because no more
    /// steps are kept, or because a weight with bounds is about to turn, which it must do from where its bounds hold it.
    pub fn ends(&self, values: &[f64]) -> bool {
        let turns = |(s, v): (&Sums, &f64)| s.guarded && s.sign * v < 0.0;
        self.now - self.base >= HORIZON || self.sums.iter().zip(values).any(turns)
    }

    /// Takes the values of the next step; `None` where there is nothing to integrate.
    pub fn push(&mut self, values: Option<&[f64]>) {
        let Some(values) = values else { return };
        for (s, v) in self.sums.iter_mut().zip(values) {
            s.values.push(*v);
            if *v != 0.0 {
                s.sign = v.signum();
            }
        }
        self.now += 1;
        self.ready = false;
        if self.now.is_multiple_of(SPAN) {
            self.prepare();
        }
    }

    /// Makes the tables of this moment, unless they are there.
    pub fn prepare(&mut self) {
        if !self.ready {
            let (base, now) = (self.base, self.now);
            self.sums.iter_mut().for_each(|s| s.prepare(base, now));
            self.ready = true;
        }
    }

    /// An integral from the end of `step` steps until now. The tables must be those of this moment, and `step` one since all synapses
    /// were up to date.
    pub fn since(&self, integral: usize, step: u64) -> f64 {
        self.sums[integral].since(step.clamp(self.base, self.now) - self.origin())
    }

    /// The step at which the tables begin, and their last position.
    pub fn reach(&self) -> (u64, u64) {
        (self.origin(), self.now - self.origin())
    }

    fn origin(&self) -> u64 {
        self.base - self.base % SPAN
    }

    pub fn tables(&mut self) -> &mut [Sums] {
        &mut self.sums
    }

    /// `[integral][step]`: the values since all synapses were up to date.
    pub fn values(&self) -> Vec<Vec<f64>> {
        self.sums.iter().map(|s| s.values.clone()).collect()
    }

    /// Goes on at the end of `step` steps from what [`Running::values`] gave. False where it is not of these integrals.
    pub fn resume(&mut self, step: u64, values: &[Vec<f64>]) -> bool {
        let length = values.first().map_or(0, Vec::len);
        let fits = values.len() == self.sums.len() && values.iter().all(|v| v.len() == length);
        if !fits || length as u64 > HORIZON.min(step) {
            return false;
        }
        self.restart(step - length as u64);
        for k in 0..length {
            let one: Vec<f64> = values.iter().map(|v| v[k]).collect();
            self.push(Some(&one));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ExprId;

    /// The sum term by term.
    fn plain(values: &[f64], since: usize, (weight, kept): (f64, f64)) -> f64 {
        let n = values.len() - since;
        let one = |(j, v): (usize, &f64)| v * weight.powi(j as i32) * kept.powi((n - 1 - j) as i32);
        values[since..].iter().enumerate().map(one).sum()
    }

    /// Every sum that can be asked for, where spans begin and end, from a base within a span, is the plain one to the rounding of
    /// as many products.
    #[test]
    fn sums_are_those_of_their_terms() {
        for (decay, own) in [(-0.02, 0.0), (0.0, 0.0), (-0.001, -0.05), (-1.0, -0.3), (0.0, -0.01)] {
            let integral = Integral { value: ExprId(0), decay, own, guarded: false };
            let factors = (numerics::exp(decay), numerics::exp(own));
            for base in [0, 63, 100] {
                let mut running = Running::new(&[integral], 1.0);
                running.restart(base);
                let mut values = Vec::new();
                for k in 0..300_u64 {
                    let v = ((k * 37 % 101) as f64 - 40.0) / 7.0;
                    values.push(v);
                    running.push(Some(&[v]));
                    running.prepare();
                    let edge = (base + k + 1) % SPAN;
                    if k % 17 != 0 && edge > 1 && edge < SPAN - 1 {
                        continue;
                    }
                    for since in 0..=k + 1 {
                        let (a, b) = (running.since(0, base + since), plain(&values, since as usize, factors));
                        let sizes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
                        let scale = plain(&sizes, since as usize, factors);
                        // 300 products and sums of a relative error of 1e-16 each.
                        assert!((a - b).abs() <= 1e-13 * scale, "{a} and {b} from {since} to {k}, base {base}");
                    }
                }
            }
        }
    }

    #[test]
    fn saved_values_give_the_same_bits() {
        let integral = Integral { value: ExprId(0), decay: -0.01, own: -0.002, guarded: true };
        let (mut one, mut other) = (Running::new(&[integral], 0.1), Running::new(&[integral], 0.1));
        one.restart(50);
        (0..200).for_each(|k| one.push(Some(&[f64::from(k % 7)])));
        assert!(other.resume(250, &one.values()));
        assert!(!Running::new(&[], 0.1).resume(250, &one.values()));
        one.prepare();
        other.prepare();
        assert!((50..=250).all(|s| one.since(0, s).to_bits() == other.since(0, s).to_bits()));
        assert!(one.ends(&[-1.0]) && other.ends(&[-1.0]) && !other.ends(&[1.0]));
    }
}
