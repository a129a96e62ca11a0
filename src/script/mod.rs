//! The small language of values: what sizes, tables, sweeps and experiments are computed with.
//!
//! Lowering turns resolved expressions into [`Expr`] (units gone, names are slots); the same evaluator serves constants at
//! compile time and experiments at run time, where a [`Host`] answers what only a run knows (statistics, rows, draws).
//! It takes for granted that dimensions were checked; what is left to go wrong here is shapes, ranges and emptiness.

mod eval;
mod functions;
mod value;

pub use eval::{EvalError, Host, NoHost, eval};
pub use functions::{Func, maximum, minimum, sign};
pub use value::{Value, binary, unary};

use crate::random::{Stream, StreamKey, first_normals, first_uniforms, tries_plain};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

/// A distribution that an experiment or a network draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Distribution {
    /// mean, standard deviation
    Normal,
    /// mean and standard deviation of the logarithm's exponential: `lognormal(median, sigma)`
    Lognormal,
    /// low, high
    Uniform,
    /// mean
    Exponential,
    /// shape, scale
    Gamma,
    /// probability; 1 or 0
    Bernoulli,
    /// mean; a count
    Poisson,
    /// mean, standard deviation, low, high: a normal number given that it lies within the bounds
    TruncatedNormal,
}

impl Distribution {
    pub const ALL: [Distribution; 8] = [
        Distribution::Normal,
        Distribution::Lognormal,
        Distribution::Uniform,
        Distribution::Exponential,
        Distribution::Gamma,
        Distribution::Bernoulli,
        Distribution::Poisson,
        Distribution::TruncatedNormal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Distribution::Normal => "normal",
            Distribution::Lognormal => "lognormal",
            Distribution::Uniform => "uniform",
            Distribution::Exponential => "exponential",
            Distribution::Gamma => "gamma",
            Distribution::Bernoulli => "bernoulli",
            Distribution::Poisson => "poisson",
            Distribution::TruncatedNormal => "truncated_normal",
        }
    }

    pub fn by_name(name: &str) -> Option<Distribution> {
        Distribution::ALL.into_iter().find(|d| d.name() == name)
    }

    pub fn arity(self) -> usize {
        match self {
            Distribution::Normal | Distribution::Lognormal | Distribution::Uniform | Distribution::Gamma => 2,
            Distribution::Exponential | Distribution::Bernoulli | Distribution::Poisson => 1,
            Distribution::TruncatedNormal => 4,
        }
    }

    /// One draw from `stream` with evaluated arguments. The number of words taken may vary; streams are private to an element.
    pub fn draw(self, stream: &mut Stream, args: &[f64]) -> f64 {
        let arg = |k: usize| args.get(k).copied().unwrap_or(f64::NAN);
        match self {
            Distribution::Normal => arg(0) + arg(1) * stream.normal(),
            Distribution::Lognormal => arg(0) * crate::numerics::exp(arg(1) * stream.normal()),
            Distribution::Uniform => arg(0) + (arg(1) - arg(0)) * stream.uniform(),
            Distribution::Exponential => arg(0) * stream.exponential(),
            Distribution::Gamma => arg(1) * stream.gamma(arg(0)),
            Distribution::Bernoulli => f64::from(u8::from(stream.uniform() < arg(0))),
            Distribution::Poisson => {
                let mean = arg(0);
                if mean >= 0.0 && mean.is_finite() { stream.poisson(mean) as f64 } else { f64::NAN }
            }
            Distribution::TruncatedNormal => {
                let t = Truncation::new([arg(0), arg(1), arg(2), arg(3)]);
                t.value(stream.normal_within(t.low, t.high))
            }
        }
    }

    /// One draw for each of the elements `first`, `first + 1`, ...: `out[i]` is what [`Distribution::draw`] gives for the stream
    /// of element `first + i` under `key`, bit for bit, at a fraction of the time where normal or uniform numbers are needed.
    ///
    pub fn draw_run(self, key: StreamKey, first: u64, args: &[Argument], out: &mut [f64]) {
        let arg = |k: usize, i: usize| args.get(k).map_or(f64::NAN, |a| a.at(i));
        let four = |i: usize| [arg(0, i), arg(1, i), arg(2, i), arg(3, i)];
        let one = |i: usize| self.draw(&mut Stream::new(key, first.wrapping_add(i as u64)), &four(i)[..self.arity()]);
        match self {
            Distribution::Uniform | Distribution::Bernoulli => first_uniforms(key, first, out),
            Distribution::Normal | Distribution::Lognormal | Distribution::TruncatedNormal => {
                first_normals(key, first, out);
            }
            _ => {}
        }
        let all = out.iter_mut().enumerate();
        match self {
            Distribution::Uniform => all.for_each(|(i, v)| *v = arg(0, i) + (arg(1, i) - arg(0, i)) * *v),
            Distribution::Bernoulli => all.for_each(|(i, v)| *v = f64::from(u8::from(*v < arg(0, i)))),
            Distribution::Normal => all.for_each(|(i, v)| *v = arg(0, i) + arg(1, i) * *v),
            Distribution::Lognormal => all.for_each(|(i, v)| *v = arg(0, i) * crate::numerics::exp(arg(1, i) * *v)),
            // The first number of a stream mostly serves.
            Distribution::TruncatedNormal if args.iter().all(|a| matches!(a, Argument::One(_))) => {
                let t = Truncation::new(four(0));
                let (mut others, mut listed) = (vec![0; out.len()], 0);
                for (i, v) in out.iter().enumerate() {
                    others[listed] = i;
                    listed += usize::from(!t.takes(*v));
                }
                out.iter_mut().for_each(|v| *v = t.value(*v));
                others[..listed].iter().for_each(|i| out[*i] = one(*i));
            }
            Distribution::TruncatedNormal => all.for_each(|(i, v)| {
                let t = Truncation::new(four(i));
                *v = if t.takes(*v) { t.value(*v) } else { one(i) };
            }),
            _ => all.for_each(|(i, v)| *v = one(i)),
        }
    }
}

/// An argument of many draws.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    One(f64),
    Each(&'a [f64]),
}

impl Argument<'_> {
    #[inline]
    pub fn at(self, i: usize) -> f64 {
        match self {
            Argument::One(v) => v,
            Argument::Each(values) => values[i],
        }
    }
}

/// The arguments of a truncated normal distribution, with the bounds in standard deviations from the mean.
struct Truncation {
    args: [f64; 4],
    low: f64,
    high: f64,
}

impl Truncation {
    fn new(args: [f64; 4]) -> Truncation {
        let [mean, sd, low, high] = args;
        let sd = sd.abs();
        if sd == 0.0 && (low..=high).contains(&mean) {
            // No spread: the mean itself.
            return Truncation { args, low: 0.0, high: 0.0 };
        }
        Truncation { args, low: (low - mean) / sd, high: (high - mean) / sd }
    }

    /// Whether a plain normal number serves.
    fn takes(&self, z: f64) -> bool {
        tries_plain(self.low, self.high) && (self.low..=self.high).contains(&z)
    }

    /// The value of a standardised number; rounding must not carry it out of the bounds.
    fn value(&self, z: f64) -> f64 {
        let [mean, sd, low, high] = self.args;
        if z.is_nan() { z } else { (mean + sd.abs() * z).max(low).min(high) }
    }
}

/// Draws that give lists or masks; experiments only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ListDraw {
    /// `choose(n)`: one of 0 .. n
    Choose,
    /// `permutation(n)`
    Permutation,
    /// `sample(n, k)` of a population of n cells, or `sample(mask, k)` of some of them: a mask
    Sample,
}

/// A variable of an experiment: sweep and loop variables, lets, vars.
pub type VarId = u32;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    Const(Value),
    Var(VarId),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `e in lo .. hi`, both ends counted.
    In(Box<Expr>, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    /// Tables: one value for each index, the body reading the index variables.
    Table {
        axes: Vec<(VarId, Expr)>,
        body: Box<Expr>,
    },
    Call(Func, Vec<Expr>),
    Draw {
        distribution: Distribution,
        args: Vec<Expr>,
        site: u32,
    },
    ListDraw {
        kind: ListDraw,
        args: Vec<Expr>,
        site: u32,
    },
    Index(Box<Expr>, Vec<Slot>),
    /// Something only the run knows.
    Query(Box<Query>),
    /// An aggregate over the rows that `measure` wrote.
    Rows(Box<RowQuery>),
}

impl Expr {
    pub fn number(v: f64) -> Expr {
        Expr::Const(Value::Number(v))
    }

    pub fn as_const(&self) -> Option<&Value> {
        if let Expr::Const(v) = self { Some(v) } else { None }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Slot {
    At(Expr),
    Range(Option<Expr>, Option<Expr>),
}

/// Cells of a population, by its position in the network and index slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cells {
    pub population: u32,
    pub slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stat {
    Rate,
    Count,
    CvIsi,
    Fano,
    Correlation,
    Synchrony,
    Active,
    ActiveFraction,
    FirstSpike,
    Sparseness,
    Power,
    PhaseLocking,
    Avalanches,
}

impl Stat {
    pub const ALL: [(&'static str, Stat); 13] = [
        ("rate", Stat::Rate),
        ("count", Stat::Count),
        ("cv_isi", Stat::CvIsi),
        ("fano", Stat::Fano),
        ("correlation", Stat::Correlation),
        ("synchrony", Stat::Synchrony),
        ("active", Stat::Active),
        ("active_fraction", Stat::ActiveFraction),
        ("first_spike", Stat::FirstSpike),
        ("sparseness", Stat::Sparseness),
        ("power", Stat::Power),
        ("phase_locking", Stat::PhaseLocking),
        ("avalanches", Stat::Avalanches),
    ];

    /// Whether it counts spikes in bins, whose length may be given.
    pub fn takes_bin(self) -> bool {
        matches!(self, Stat::Synchrony | Stat::Correlation | Stat::Fano | Stat::Avalanches)
    }

    /// Whether it is of a rhythm, whose frequency has to be given.
    pub fn of_rhythm(self) -> bool {
        matches!(self, Stat::Power | Stat::PhaseLocking)
    }

    pub fn by_name(name: &str) -> Option<Stat> {
        Stat::ALL.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
    }
}

/// What is asked of the graph that a projection's synapses make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wiring {
    Indegree,
    Outdegree,
    Clustering,
    PathLength,
}

impl Wiring {
    pub const ALL: [(&'static str, Wiring); 4] = [
        ("indegree", Wiring::Indegree),
        ("outdegree", Wiring::Outdegree),
        ("clustering", Wiring::Clustering),
        ("path_length", Wiring::PathLength),
    ];

    pub fn by_name(name: &str) -> Option<Wiring> {
        Wiring::ALL.iter().find(|(n, _)| *n == name).map(|(_, w)| *w)
    }
}

/// What `plot` draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlotKind {
    Raster,
    Trace,
    Rate,
    Isi,
    Weights,
}

impl PlotKind {
    pub fn name(self) -> &'static str {
        match self {
            PlotKind::Raster => "raster",
            PlotKind::Trace => "trace",
            PlotKind::Rate => "rate",
            PlotKind::Isi => "isi",
            PlotKind::Weights => "weights",
        }
    }
}

/// When a statistic looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Window {
    Whole,
    /// The latest window of that name; a part of it in ms from its start.
    Named(String, Option<(Expr, Option<Expr>)>),
    /// Run time in ms.
    Interval(Expr, Option<Expr>),
    /// The last so many ms.
    Last(Expr),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Query {
    /// A statistic of spikes, one value or one for each index along an axis.
    Spikes { stat: Stat, of: Cells, window: Window, by: Option<u32>, bin: Option<Expr> },
    /// An observable's values: now (one per cell), or over a window (time x cell, reduced by the function around it).
    Trace { of: Cells, observable: u32, window: Option<Window> },
    /// Weights of projections as a list, one projection after the other.
    Weights { projections: Vec<u32> },
    /// The weight from a presynaptic to a postsynaptic cell.
    Weight { projection: u32, pre: Expr, post: Expr },
    /// Who is connected to whom in a projection.
    Wiring { stat: Wiring, projection: u32 },
    /// What a sensor holds: a number, or a list as deep as it has axes.
    Sensor(u32),
    /// What an environment shows, both by position.
    Environment { environment: u32, output: u32 },
    /// A table of the circuit that was drawn when it was built, by position in the protocol.
    Table(u32),
    /// Synaptic events delivered so far.
    SynapticEvents,
    /// Run time in ms.
    Time,
}

/// `mean(m where c by v)` over the rows of all runs. The condition and the grouped variable are read from the row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowQuery {
    pub function: Func,
    /// One or two measures (two for `corr`), each an expression over `RowVar`s named in `measures`.
    pub measures: Vec<String>,
    /// Variables of the row that `filter` and `value` read: slot in the evaluator and name in the row.
    pub variables: Vec<(VarId, String)>,
    /// What is aggregated; reads the measure through its variable.
    pub value: Vec<Expr>,
    pub filter: Option<Expr>,
    pub by: Option<String>,
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn a_run_of_draws_is_each_draw() {
        let key = StreamKey::new(3, "net.rec", Purpose::Delay);
        // Third column: bounds that are wide, narrow, in a tail, without spread, impossible.
        let bounds = [(0.0, 4.0), (1.4, 1.6), (4.0, f64::INFINITY), (1.0, 2.0), (2.0, 1.0)];
        let arg = |k: usize, i: usize| match k {
            0 => 1.5,
            1 => {
                if i % 5 == 3 {
                    0.0
                } else {
                    0.75
                }
            }
            2 => bounds[i % 5].0,
            _ => bounds[i % 5].1,
        };
        let columns: Vec<Vec<f64>> = (0..4).map(|k| (0..5000).map(|i| arg(k, i)).collect()).collect();
        let each: Vec<Argument> = columns.iter().map(|column| Argument::Each(column)).collect();
        for d in Distribution::ALL {
            // Not a multiple of any number of lanes.
            let mut run = vec![0.0; 203];
            d.draw_run(key, 7 << 32, &each, &mut run);
            for case in 0..5 {
                let args = [0, 1, 2, 3].map(|k| arg(k, case));
                let mut run = vec![0.0; 203];
                d.draw_run(key, 9, &args.map(Argument::One), &mut run);
                for (i, v) in run.iter().enumerate() {
                    let alone = d.draw(&mut Stream::new(key, 9 + i as u64), &args[..d.arity()]);
                    assert!(v.to_bits() == alone.to_bits() || v.is_nan() && alone.is_nan(), "{} {case} {i}", d.name());
                }
            }
            for (i, v) in run.iter().enumerate() {
                let args = [arg(0, i), arg(1, i), arg(2, i), arg(3, i)];
                let alone = d.draw(&mut Stream::new(key, (7 << 32) + i as u64), &args[..d.arity()]);
                assert!(
                    v.to_bits() == alone.to_bits() || v.is_nan() && alone.is_nan(),
                    "{} {i}: {v} {alone}",
                    d.name()
                );
            }
        }
        let mut run = vec![0.0; 5000];
        Distribution::TruncatedNormal.draw_run(key, 0, &each, &mut run);
        for (i, v) in run.iter().enumerate() {
            let (low, high) = bounds[i % 5];
            match i % 5 {
                3 => assert_eq!(*v, 1.5),
                4 => assert!(v.is_nan()),
                _ => assert!((low..=high).contains(v), "{v} of {low} .. {high}"),
            }
        }
    }

    #[test]
    fn scanned_numbers_reduce_as_lists_do() {
        let numbers = [3.5, -1.25, 7.0, 0.1, 0.2, 1e9, -0.3];
        for n in 0..numbers.len() {
            let rows = numbers[..n].chunks(2).map(|r| Value::List(r.iter().map(|v| Value::Number(*v)).collect()));
            let list = Value::List(rows.collect());
            for func in Func::ALL.iter().filter(|f| f.arity().0 == 1) {
                let scan = &mut |visit: &mut dyn FnMut(f64)| {
                    numbers[..n].iter().for_each(|v| visit(*v));
                    Ok(true)
                };
                let Some(found) = func.apply_scanned(scan).transpose() else { continue };
                match (found, func.apply(std::slice::from_ref(&list))) {
                    (Ok(Value::Number(a)), Ok(Value::Number(b))) => {
                        assert!(a == b || a.is_nan() && b.is_nan(), "{func} of {n}: {a} {b}");
                    }
                    (a, b) => assert_eq!(a, b, "{func} of {n}"),
                }
            }
        }
    }
}
