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
use std::collections::{BTreeMap, BTreeSet};

/// Steps of the relaxation. A network of two populations takes about 20.
const MOST_STEPS: usize = 400;
/// Relative change at which a rate is found.
const TOLERANCE: f64 = 1e-10;

pub(super) struct Equations<'u, 'n> {
    units: &'u [Unit<'n>],
    /// The groups whose rates are sought, in classes that have one rate for all, by their positions.
    classes: Vec<Vec<usize>>,
    /// For each class, those whose rates it follows, itself among them: ascending positions in `classes`.
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
        let sums: Vec<Option<Sum>> = units.iter().map(Sum::of).collect();
        let alike = alike(units, &sums);
        let mut numbers = BTreeMap::new();
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for k in (0..units.len()).filter(|k| matches!(units[*k].kind, Kind::Lif(_))) {
            let class = *numbers.entry(alike[k]).or_insert(classes.len());
            classes.resize_with(classes.len().max(class + 1), Vec::new);
            classes[class].push(k);
        }
        let reaching = classes.iter().enumerate().map(|(own, members)| {
            let from = |l: &Link| match l.from {
                From::Group(i) => numbers.get(&alike[i]).copied(),
                From::Train => None,
            };
            let all: BTreeSet<usize> = units[members[0]].links.iter().filter_map(from).chain([own]).collect();
            all.into_iter().collect()
        });
        Equations { reaching: reaching.collect(), units, classes, sums }
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
        for (class, rate) in self.classes.iter().zip(r) {
            class.iter().for_each(|k| out[*k] = *rate);
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
        self.classes.iter().zip(r).map(|(class, r)| self.phi(class[0], &rates) - r).collect()
    }

    /// The state that silence leads to.
    pub fn low_state(&self) -> Option<Vec<f64>> {
        self.relax(vec![0.0; self.classes.len()])
    }

    /// The state that high rates lead to.
    pub fn high_state(&self) -> Option<Vec<f64>> {
        let start = self.classes.iter().map(|class| match &self.units[class[0]].kind {
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
            matrix.iter_mut().for_each(|v| *v = -*v);
            (0..n).for_each(|k| matrix[k * n + k] += 1.0 / length + 1.0);
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
        for (row, class) in self.classes.iter().enumerate() {
            let k = class[0];
            let (Some(here), Some(threshold)) = (self.moments(k, &rates), self.threshold(k)) else { continue };
            let slopes = Slopes::new(threshold, here);
            for column in self.reaching[row].iter().copied() {
                let h = 1e-6 * (r[column] + 1e-3);
                self.classes[column].iter().for_each(|k| rates[*k] = r[column] + h);
                if let Some(moved) = self.moments(k, &rates) {
                    out[row * n + column] = slopes.change(threshold, moved) / h;
                }
                self.classes[column].iter().for_each(|k| rates[*k] = r[column]);
            }
        }
        out
    }
}

/// For each group, a number that it shares with those that have the same equation: the same cell, and inputs alike from groups that
/// are alike in turn. That is the coarsest equitable partition of the groups, found by refinement (Paige and Tarjan 1987, SIAM J.
/// Comput. 16:973, in its plain form), and a state that relaxes from equal rates has equal rates in each of its classes.
fn alike(units: &[Unit], sums: &[Option<Sum>]) -> Vec<usize> {
    let bits = |part: &Part, l: &Link| [part.mean, part.variance, part.filtered, l.input.rate].map(f64::to_bits);
    let mut out = numbered(units.iter().zip(sums).enumerate().map(|(k, (unit, sum))| match (&unit.kind, sum) {
        (Kind::Lif(lif), Some(sum)) => {
            let (t, r) = (lif.threshold, sum.rest);
            let own = [t.theta, t.reset, t.t_ref, r.mu, r.sigma, r.tau, r.filter, sum.own];
            own.map(f64::to_bits).to_vec()
        }
        (Kind::Source(rate), _) => vec![rate.to_bits()],
        _ => vec![k as u64, 0],
    }));
    loop {
        let finer = numbered(units.iter().zip(sums).enumerate().map(|(k, (unit, sum))| {
            let from = |l: &Link| match l.from {
                From::Group(i) => out[i],
                From::Train => usize::MAX,
            };
            let parts = sum.iter().flat_map(|s| &s.parts);
            let mut inputs: Vec<_> = unit.links.iter().zip(parts).map(|(l, p)| (from(l), bits(p, l))).collect();
            inputs.sort_unstable();
            (out[k], inputs)
        }));
        if finer == out {
            return out;
        }
        out = finer;
    }
}

/// Numbers in the order in which keys are first seen.
fn numbered<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut known = BTreeMap::new();
    keys.map(|key| {
        let next = known.len();
        *known.entry(key).or_insert(next)
    })
    .collect()
}
