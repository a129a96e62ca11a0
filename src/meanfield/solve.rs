//! Rates that agree with themselves: `r = phi(r)` over all groups.
//!
//! The relaxation `dr/ds = phi(r) - r` is followed by implicit steps whose length grows as the residual falls, so that it begins as
//! an integration of the dynamics and ends as Newton's method (pseudo-transient continuation: Kelley and Keyes 1998, SIAM J.
//! Numer. Anal. 35:508). From silence it comes to the state that a network at rest comes to; from high rates it finds a second
//! one, if there is one. With inhibition the slopes are far from 1 and plain iteration would swing.

use super::cell::{self, Input, Part, Point};
use super::linear;
use super::siegert::{self, Threshold};
use super::{From, Kind, Link, Unit};
use std::collections::BTreeSet;

/// Steps of the relaxation. A network of two populations takes about 20.
const MOST_STEPS: usize = 400;
/// Relative change at which a rate is found.
const TOLERANCE: f64 = 1e-10;

pub(super) struct Equations<'u, 'n> {
    units: &'u [Unit<'n>],
    /// Positions of the groups whose rate is sought.
    sought: Vec<usize>,
    /// For each of them, those whose rates it follows, itself among them: ascending positions in `sought`.
    reaching: Vec<Vec<usize>>,
    /// By group: what each rate adds, where that does not depend on the others.
    sums: Vec<Option<Sum>>,
}

/// A group onto which inputs add up.
struct Sum {
    /// Without input.
    rest: Moments,
    /// What a spike per ms of its own adds to the mean, mV.
    own: f64,
    /// By link.
    parts: Vec<Part>,
}

/// What the rate of a group follows from: see [`cell::Point`](super::cell::Point).
#[derive(Clone, Copy, PartialEq)]
struct Moments {
    mu: f64,
    sigma: f64,
    tau: f64,
    filter: f64,
}

impl std::convert::From<&Point> for Moments {
    fn from(p: &Point) -> Moments {
        Moments { mu: p.mu, sigma: p.sigma, tau: p.tau, filter: p.filter }
    }
}

impl Sum {
    fn of(unit: &Unit) -> Option<Sum> {
        let Kind::Lif(lif) = &unit.kind else { return None };
        let parts = unit.links.iter().map(|l| lif.part(&l.input)).collect::<Option<Vec<_>>>()?;
        let rest = lif.settle(&[], 0.0);
        Some(Sum { own: lif.settle(&[], 1.0).mu - rest.mu, rest: Moments::from(&rest), parts })
    }

    fn at(&self, unit: &Unit, own: f64, rates: &[f64]) -> Moments {
        let Moments { mu, sigma, tau, filter } = self.rest;
        let variance = sigma * sigma;
        let mut all = Part { mean: mu + own * self.own, variance, filtered: 2.0 / siegert::ALPHA * filter * variance };
        for (link, part) in unit.links.iter().zip(&self.parts) {
            let rate = link.rate(rates);
            all.mean += rate * part.mean;
            all.variance += rate * part.variance;
            all.filtered += rate * part.filtered;
        }
        Moments { mu: all.mean, sigma: all.variance.sqrt(), tau, filter: cell::filter(all) }
    }
}

/// How a rate follows its moments: the slopes along each.
struct Slopes {
    here: Moments,
    rate: f64,
    along: [f64; 4],
}

impl Slopes {
    fn new(threshold: Threshold, here: Moments) -> Slopes {
        let rate = |m: Moments| siegert::rate(threshold, m.mu, m.sigma, m.tau, m.filter);
        let base = rate(here);
        let step = 1e-6;
        let (mu, sigma, tau) = (step * (threshold.theta - threshold.reset), step * here.sigma, step * here.tau);
        let moved = [
            (Moments { mu: here.mu + mu, ..here }, mu),
            (Moments { sigma: here.sigma + sigma, ..here }, sigma),
            (Moments { tau: here.tau + tau, ..here }, tau),
            (Moments { filter: here.filter + step, ..here }, step),
        ];
        Slopes { here, rate: base, along: moved.map(|(m, h)| if h == 0.0 { 0.0 } else { (rate(m) - base) / h }) }
    }

    /// The change of the rate with a small change of its moments. Close to no noise the rate is not linear in the noise.
    fn change(&self, threshold: Threshold, to: Moments) -> f64 {
        let here = self.here;
        let d = [to.mu - here.mu, to.sigma - here.sigma, to.tau - here.tau, to.filter - here.filter];
        if d[1].abs() > 1e-3 * here.sigma {
            return siegert::rate(threshold, to.mu, to.sigma, to.tau, to.filter) - self.rate;
        }
        d.iter().zip(&self.along).filter(|(d, _)| **d != 0.0).map(|(d, a)| d * a).sum()
    }
}

impl<'u, 'n> Equations<'u, 'n> {
    pub fn new(units: &'u [Unit<'n>]) -> Equations<'u, 'n> {
        let sought: Vec<usize> = (0..units.len()).filter(|k| matches!(units[*k].kind, Kind::Lif(_))).collect();
        let reaching = sought.iter().map(|k| {
            let from = |l: &Link| match l.from {
                From::Group(i) => sought.binary_search(&i).ok(),
                _ => None,
            };
            let own = sought.binary_search(k).ok();
            let all: BTreeSet<usize> = units[*k].links.iter().filter_map(from).chain(own).collect();
            all.into_iter().collect()
        });
        Equations { reaching: reaching.collect(), units, sought, sums: units.iter().map(Sum::of).collect() }
    }

    /// Rates of all groups from those that are sought; unknown ones are not numbers.
    fn all(&self, r: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = self
            .units
            .iter()
            .map(|u| match u.kind {
                Kind::Source(rate) => rate,
                _ => f64::NAN,
            })
            .collect();
        for (k, rate) in self.sought.iter().zip(r) {
            out[*k] = *rate;
        }
        out
    }

    /// Where the voltage of group `k` settles at the rates of all groups.
    pub fn point(&self, k: usize, rates: &[f64]) -> Option<Point> {
        let Kind::Lif(lif) = &self.units[k].kind else { return None };
        let inputs: Vec<Input> =
            self.units[k].links.iter().map(|l| Input { rate: l.rate(rates), ..l.input.clone() }).collect();
        Some(lif.settle(&inputs, rates[k]))
    }

    fn moments(&self, k: usize, rates: &[f64]) -> Option<Moments> {
        match &self.sums[k] {
            Some(sum) => Some(sum.at(&self.units[k], rates[k], rates)),
            None => self.point(k, rates).as_ref().map(Moments::from),
        }
    }

    fn threshold(&self, k: usize) -> Option<Threshold> {
        match &self.units[k].kind {
            Kind::Lif(lif) => Some(lif.threshold),
            _ => None,
        }
    }

    fn phi(&self, k: usize, rates: &[f64]) -> f64 {
        let (Some(m), Some(threshold)) = (self.moments(k, rates), self.threshold(k)) else { return f64::NAN };
        siegert::rate(threshold, m.mu, m.sigma, m.tau, m.filter)
    }

    fn residual(&self, r: &[f64]) -> Vec<f64> {
        let rates = self.all(r);
        self.sought.iter().zip(r).map(|(k, r)| self.phi(*k, &rates) - r).collect()
    }

    /// The state that silence leads to.
    pub fn low_state(&self) -> Option<Vec<f64>> {
        self.relax(vec![0.0; self.sought.len()])
    }

    /// The state that high rates lead to.
    pub fn high_state(&self) -> Option<Vec<f64>> {
        let start = self.sought.iter().map(|k| match &self.units[*k].kind {
            Kind::Lif(lif) => 0.5 / (lif.threshold.t_ref + 1.0),
            _ => 0.0,
        });
        self.relax(start.collect())
    }

    /// Rates of all groups; `None` where the steps don't come to an end.
    fn relax(&self, mut r: Vec<f64>) -> Option<Vec<f64>> {
        let n = r.len();
        let size = |f: &[f64]| f.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut f = self.residual(&r);
        let mut length = 0.1;
        for _ in 0..MOST_STEPS {
            let found = f.iter().zip(&r).all(|(f, r)| f.abs() <= TOLERANCE * (r + 1e-6));
            if found {
                return Some(self.all(&r));
            }
            // (1 / length - df/dr) d = f
            let mut matrix = self.slopes(&r);
            for (k, v) in matrix.iter_mut().enumerate() {
                *v = if k / n == k % n { 1.0 / length + 1.0 } else { 0.0 } - *v;
            }
            let Some(d) = linear::solve(&matrix, &f) else {
                length *= 0.5;
                continue;
            };
            let next: Vec<f64> = r.iter().zip(&d).map(|(r, d)| (r + d).max(0.0)).collect();
            let g = self.residual(&next);
            let (before, after) = (size(&f), size(&g));
            if !after.is_finite() || after > 2.0 * before {
                length *= 0.25;
                if length < 1e-12 {
                    return None;
                }
                continue;
            }
            length = (length * (before / after.max(1e-300)).clamp(0.5, 10.0)).min(1e12);
            (r, f) = (next, g);
        }
        None
    }

    /// The slopes of all rates along all rates that reach them: row-major.
    fn slopes(&self, r: &[f64]) -> Vec<f64> {
        let n = r.len();
        let mut rates = self.all(r);
        let mut out = vec![0.0; n * n];
        for (row, k) in self.sought.iter().enumerate() {
            let (Some(here), Some(threshold)) = (self.moments(*k, &rates), self.threshold(*k)) else { continue };
            let slopes = Slopes::new(threshold, here);
            for column in self.reaching[row].iter().copied() {
                let source = &self.sought[column];
                let (h, before) = (1e-6 * (r[column] + 1e-3), rates[*source]);
                rates[*source] = before + h;
                if let Some(moved) = self.moments(*k, &rates) {
                    out[row * n + column] = slopes.change(threshold, moved) / h;
                }
                rates[*source] = before;
            }
        }
        out
    }
}
