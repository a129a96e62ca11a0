//! Rates that agree with themselves: `r = phi(r)` over all groups.
//!
//! The relaxation `dr/ds = phi(r) - r` is followed by implicit steps whose length grows as the residual falls, so that it begins as
//! an integration of the dynamics and ends as Newton's method (pseudo-transient continuation: Kelley and Keyes 1998, SIAM J.
//! Numer. Anal. 35:508). From silence it comes to the state that a network at rest comes to; from high rates it finds a second
//! one, if there is one. With inhibition the slopes are far from 1 and plain iteration would swing.

use super::cell::{Input, Point};
use super::linear;
use super::siegert;
use super::{From, Kind, Unit};

/// Steps of the relaxation. A network of two populations takes about 20.
const MOST_STEPS: usize = 400;
/// Relative change at which a rate is found.
const TOLERANCE: f64 = 1e-10;

pub(super) struct Equations<'u, 'n> {
    units: &'u [Unit<'n>],
    /// Positions of the groups whose rate is sought.
    sought: Vec<usize>,
}

impl<'u, 'n> Equations<'u, 'n> {
    pub fn new(units: &'u [Unit<'n>]) -> Equations<'u, 'n> {
        let sought = (0..units.len()).filter(|k| matches!(units[*k].kind, Kind::Lif(_))).collect();
        Equations { units, sought }
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
        let inputs: Vec<Input> = self.units[k]
            .links
            .iter()
            .map(|l| match l.from {
                From::Group(i) => Input { rate: l.input.rate * rates[i], ..l.input.clone() },
                From::Train => l.input.clone(),
            })
            .collect();
        Some(lif.settle(&inputs, rates[k]))
    }

    fn phi(&self, k: usize, rates: &[f64]) -> f64 {
        let (Some(p), Kind::Lif(lif)) = (self.point(k, rates), &self.units[k].kind) else { return f64::NAN };
        siegert::rate(lif.threshold, p.mu, p.sigma, p.tau, p.filter)
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
            let mut matrix = vec![0.0; n * n];
            for column in 0..n {
                let mut moved = r.clone();
                let h = 1e-6 * (r[column] + 1e-3);
                moved[column] += h;
                let there = self.slope_column(column, &moved, &f, h);
                for row in 0..n {
                    matrix[row * n + column] = -there[row] + if row == column { 1.0 / length } else { 0.0 };
                }
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

    /// The slopes of all residuals along one rate: only the groups that it reaches are asked again.
    fn slope_column(&self, column: usize, moved: &[f64], f: &[f64], h: f64) -> Vec<f64> {
        let rates = self.all(moved);
        let source = self.sought[column];
        let rows = self.sought.iter().enumerate().map(|(row, k)| {
            let reached =
                row == column || self.units[*k].links.iter().any(|l| matches!(l.from, From::Group(i) if i == source));
            if reached { (self.phi(*k, &rates) - moved[row] - f[row]) / h } else { 0.0 }
        });
        rows.collect()
    }
}
