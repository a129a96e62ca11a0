//! Pure functions on values, by name.

use super::Value;
use super::eval::EvalError;
use crate::numerics as math;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! functions {
    ($($variant:ident $name:literal $low:literal ..= $high:literal;)*) => {
        /// A pure function of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Func { $($variant),* }

        impl Func {
            pub const ALL: &'static [Func] = &[$(Func::$variant),*];
            pub fn name(self) -> &'static str { match self { $(Func::$variant => $name),* } }
            pub fn by_name(name: &str) -> Option<Func> { match name { $($name => Some(Func::$variant),)* _ => None } }
            /// Least and largest number of arguments.
            pub fn arity(self) -> (usize, usize) { match self { $(Func::$variant => ($low, $high)),* } }
        }
    };
}

functions! {
    Abs "abs" 1 ..= 1; Sqrt "sqrt" 1 ..= 1; Exp "exp" 1 ..= 1; Expm1 "expm1" 1 ..= 1; Exprel "exprel" 1 ..= 1;
    Ln "ln" 1 ..= 1; Ln1p "ln1p" 1 ..= 1; Log2 "log2" 1 ..= 1; Log10 "log10" 1 ..= 1;
    Sin "sin" 1 ..= 1; Cos "cos" 1 ..= 1; Tan "tan" 1 ..= 1; Tanh "tanh" 1 ..= 1;
    Floor "floor" 1 ..= 1; Ceil "ceil" 1 ..= 1; Round "round" 1 ..= 1; Sign "sign" 1 ..= 1;
    Min "min" 1 ..= 16; Max "max" 1 ..= 16; Clip "clip" 3 ..= 3; Atan2 "atan2" 2 ..= 2;
    Sum "sum" 1 ..= 1; Mean "mean" 1 ..= 1; Sd "sd" 1 ..= 1; Variance "variance" 1 ..= 1; Sem "sem" 1 ..= 1;
    Median "median" 1 ..= 1; Quantile "quantile" 2 ..= 2; N "n" 1 ..= 1; Size "size" 1 ..= 1;
    All "all" 1 ..= 1; Any "any" 1 ..= 1; Argmax "argmax" 1 ..= 1; Argmin "argmin" 1 ..= 1; Corr "corr" 2 ..= 2;
    Dot "dot" 2 ..= 2; Information "information" 2 ..= 2; Subsets "subsets" 1 ..= 1;
}

/// Shows numbers in order to whom it is given; `false` where it has none to show.
pub type Scan<'s> = dyn FnMut(&mut dyn FnMut(f64)) -> Result<bool, EvalError> + 's;

impl Func {
    /// One number in, one number out, element by element over lists.
    pub fn pointwise(self, x: f64) -> Option<f64> {
        Some(match self {
            Func::Abs => x.abs(),
            Func::Sqrt => x.sqrt(),
            Func::Exp => math::exp(x),
            Func::Expm1 => math::expm1(x),
            Func::Exprel => math::exprel(x),
            Func::Ln => math::ln(x),
            Func::Ln1p => math::ln1p(x),
            Func::Log2 => math::log2(x),
            Func::Log10 => math::log10(x),
            Func::Sin => math::sin(x),
            Func::Cos => math::cos(x),
            Func::Tan => math::tan(x),
            Func::Tanh => math::tanh(x),
            Func::Floor => x.floor(),
            Func::Ceil => x.ceil(),
            Func::Round => x.round_ties_even(),
            Func::Sign => sign(x),
            _ => return None,
        })
    }

    /// Reduces a list of numbers to one value.
    pub fn reduces(self) -> bool {
        use Func::*;
        matches!(
            self,
            Sum | Mean
                | Sd
                | Variance
                | Sem
                | Median
                | Quantile
                | N
                | Size
                | All
                | Any
                | Argmax
                | Argmin
                | Corr
                | Dot
                | Information
        )
    }

    pub fn apply(self, args: &[Value]) -> Result<Value, EvalError> {
        let first = args.first().ok_or_else(|| EvalError::new(format!("{self} needs an argument")))?;
        if self.pointwise(0.0).is_some() {
            return self.map(first);
        }
        match self {
            Func::Min | Func::Max if args.len() == 1 => {
                let all = first.numbers()?;
                let start = nonempty(self, &all)?;
                Ok(Value::Number(all.iter().fold(start, |a, b| self.pick(a, *b))))
            }
            Func::Min | Func::Max => {
                let mut acc = first.clone();
                for next in &args[1..] {
                    acc = self.zip(&acc, next)?;
                }
                Ok(acc)
            }
            // The crate's, not the platform's: the same bits everywhere.
            Func::Atan2 => zip(first, &args[1], &libm::atan2),
            Func::Clip => {
                let low = Func::Max.zip(first, &args[1])?;
                Func::Min.zip(&low, &args[2])
            }
            Func::Sum => Ok(Value::Number(first.numbers()?.iter().sum())),
            Func::N => Ok(Value::Number(first.elements().len() as f64)),
            Func::Size => Ok(Value::Number(match first {
                Value::Mask(flags) => flags.iter().filter(|b| **b).count() as f64,
                other => other.elements().len() as f64,
            })),
            Func::All => Ok(Value::Bool(first.numbers()?.iter().all(|v| *v != 0.0))),
            Func::Any => Ok(Value::Bool(first.numbers()?.iter().any(|v| *v != 0.0))),
            Func::Argmax | Func::Argmin => {
                let all = first.numbers()?;
                nonempty(self, &all)?;
                let better = |a: f64, b: f64| if self == Func::Argmax { b > a } else { b < a };
                let mut best = 0;
                for (k, v) in all.iter().enumerate() {
                    if better(all[best], *v) {
                        best = k;
                    }
                }
                Ok(Value::Number(best as f64))
            }
            Func::Quantile => {
                let q = args[1].number()?;
                if !(0.0..=1.0).contains(&q) {
                    return Err(EvalError::new(format!("a quantile lies between 0 and 1, found {q}")));
                }
                Ok(Value::Number(quantile(&mut first.numbers()?, q, self)?))
            }
            Func::Median => Ok(Value::Number(quantile(&mut first.numbers()?, 0.5, self)?)),
            Func::Corr | Func::Dot | Func::Information => {
                let (x, y) = (first.numbers()?, args[1].numbers()?);
                if x.len() != y.len() {
                    return Err(EvalError::new(format!("{self} of lists of {} and {} values", x.len(), y.len())));
                }
                if self == Func::Dot {
                    return Ok(Value::Number(x.iter().zip(&y).map(|(a, b)| a * b).sum()));
                }
                nonempty(self, &x)?;
                if self == Func::Information {
                    return Ok(Value::Number(information(&x, &y)));
                }
                let (mx, my) = (mean(&x), mean(&y));
                let sxy: f64 = x.iter().zip(&y).map(|(a, b)| (a - mx) * (b - my)).sum();
                let sxx: f64 = x.iter().map(|a| (a - mx) * (a - mx)).sum();
                let syy: f64 = y.iter().map(|b| (b - my) * (b - my)).sum();
                Ok(Value::Number(sxy / (sxx * syy).sqrt()))
            }
            Func::Subsets => {
                let n = first.count()?;
                if n > 16 {
                    return Err(EvalError::new(format!("subsets({n}) would be 2^{n} masks; at most subsets(16)")));
                }
                let mask = |bits: u64| Value::Mask((0..n).map(|k| bits >> k & 1 == 1).collect());
                Ok(Value::List((0..1_u64 << n).map(mask).collect()))
            }
            _ => {
                // Mean, Sd, Variance, Sem
                let all = first.numbers()?;
                nonempty(self, &all)?;
                let m = mean(&all);
                if self == Func::Mean {
                    return Ok(Value::Number(m));
                }
                // The sample variance; of one value it is 0 / 0, which is the honest answer.
                let n = all.len() as f64;
                let variance = all.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / (n - 1.0);
                Ok(Value::Number(match self {
                    Func::Variance => variance,
                    Func::Sd => variance.sqrt(),
                    _ => (variance / n).sqrt(),
                }))
            }
        }
    }

    /// As [`Func::apply`] of one list, whose numbers `scan` shows in order as often as it is called: samples of many cells need
    /// not stand in memory once more. `None` where the function needs the list itself or `scan` gives `false`.
    pub fn apply_scanned(self, scan: &mut Scan) -> Result<Option<Value>, EvalError> {
        use Func::{Max, Mean, Min, Sd, Sem, Sum, Variance};
        if !matches!(self, Sum | Mean | Sd | Variance | Sem | Min | Max) {
            return Ok(None);
        }
        let (mut n, mut total, mut extreme) = (0_u64, std::iter::empty::<f64>().sum::<f64>(), None);
        let all = scan(&mut |v| {
            n += 1;
            total += v;
            extreme = Some(self.pick(extreme.unwrap_or(v), v));
        })?;
        if !all {
            return Ok(None);
        }
        if self == Sum {
            return Ok(Some(Value::Number(total)));
        }
        let Some(extreme) = extreme else { return Err(EvalError::empty(format!("{self} over nothing"))) };
        let m = total / n as f64;
        Ok(Some(Value::Number(match self {
            Min | Max => extreme,
            Mean => m,
            _ => {
                let mut squares = std::iter::empty::<f64>().sum::<f64>();
                scan(&mut |v| squares += (v - m) * (v - m))?;
                let variance = squares / (n as f64 - 1.0);
                match self {
                    Variance => variance,
                    Sd => variance.sqrt(),
                    _ => (variance / n as f64).sqrt(),
                }
            }
        })))
    }

    fn map(self, v: &Value) -> Result<Value, EvalError> {
        match v {
            Value::List(items) => Ok(Value::List(items.iter().map(|x| self.map(x)).collect::<Result<_, _>>()?)),
            scalar => {
                let x = scalar.number()?;
                self.pointwise(x).map(Value::Number).ok_or_else(|| EvalError::new(format!("{self} of one number")))
            }
        }
    }

    fn pick(self, a: f64, b: f64) -> f64 {
        if self == Func::Min { minimum(a, b) } else { maximum(a, b) }
    }

    fn zip(self, a: &Value, b: &Value) -> Result<Value, EvalError> {
        zip(a, b, &|x, y| self.pick(x, y))
    }
}

/// f of pairs of elements of lists of equal length, or of each element of one with a number.
fn zip(a: &Value, b: &Value, f: &dyn Fn(f64, f64) -> f64) -> Result<Value, EvalError> {
    match (a, b) {
        (Value::List(x), Value::List(y)) if x.len() == y.len() => {
            Ok(Value::List(x.iter().zip(y).map(|(p, q)| zip(p, q, f)).collect::<Result<_, _>>()?))
        }
        (Value::List(x), scalar) => Ok(Value::List(x.iter().map(|p| zip(p, scalar, f)).collect::<Result<_, _>>()?)),
        (scalar, Value::List(y)) => Ok(Value::List(y.iter().map(|q| zip(scalar, q, f)).collect::<Result<_, _>>()?)),
        _ => Ok(Value::Number(f(a.number()?, b.number()?))),
    }
}

/// `a < b ? a : b`: what one compare and one select give, the same in every back end (a NaN on the left loses).
pub fn minimum(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// `a > b ? a : b`.
pub fn maximum(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// -1, 0 or 1.
pub fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len() as f64
}

fn nonempty(func: Func, all: &[f64]) -> Result<f64, EvalError> {
    all.first().copied().ok_or_else(|| EvalError::empty(format!("{func} over nothing")))
}

/// Mutual information of two discrete variables in bits, from their values in each trial: the entropies of what was seen,
/// each with the correction (values seen - 1) / (2 trials ln 2) for the bias of few trials (Miller 1955; Panzeri and Treves
/// 1996, Network 7:87). So it may come out below 0, by chance.
fn information(x: &[f64], y: &[f64]) -> f64 {
    let entropy = |symbols: &mut dyn Iterator<Item = (u64, u64)>| {
        let mut seen: BTreeMap<(u64, u64), f64> = BTreeMap::new();
        let mut trials = 0.0;
        for symbol in symbols {
            *seen.entry(symbol).or_insert(0.0) += 1.0;
            trials += 1.0;
        }
        let nats: f64 = seen.values().map(|n| -n / trials * math::ln(n / trials)).sum();
        (nats + (seen.len() as f64 - 1.0) / (2.0 * trials)) / std::f64::consts::LN_2
    };
    // 0 and -0 are one value.
    let bits = |v: f64| (v + 0.0).to_bits();
    let one = |values: &[f64]| entropy(&mut values.iter().map(|v| (bits(*v), 0)));
    one(x) + one(y) - entropy(&mut x.iter().zip(y).map(|(a, b)| (bits(*a), bits(*b))))
}

/// Linear interpolation between order statistics (Hyndman and Fan's type 7).
fn quantile(all: &mut [f64], q: f64, func: Func) -> Result<f64, EvalError> {
    nonempty(func, all)?;
    all.sort_by(f64::total_cmp);
    let position = q * (all.len() - 1) as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    Ok(all[low] + (all[high] - all[low]) * (position - position.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lists_tell_of_each_other_what_their_entropies_share() {
        let of = |values: &[f64]| Value::List(values.iter().map(|v| Value::Number(*v)).collect());
        let bits = |x: &[f64], y: &[f64]| Func::Information.apply(&[of(x), of(y)]).unwrap().number().unwrap();
        // A hundred trials; the correction of the entropy of m values is (m - 1) / (200 ln 2).
        let unit = 1.0 / (200.0 * std::f64::consts::LN_2);
        let coin: Vec<f64> = (0..100).map(|k| f64::from(k % 2)).collect();
        let other: Vec<f64> = (0..100).map(|k| f64::from(k / 2 % 2)).collect();
        let turned: Vec<f64> = coin.iter().map(|v| 7.0 - 3.0 * v).collect();
        assert!((bits(&coin, &turned) - (1.0 + unit)).abs() < 1e-12);
        assert!((bits(&coin, &other) + unit).abs() < 1e-12, "four pairs, two values each, and nothing in common");
        // Zero has one value, whatever its sign.
        let signs: Vec<f64> = coin.iter().map(|v| 0.0 * (v - 0.5)).collect();
        assert!(bits(&coin, &signs).abs() < 1e-12);
        assert!(Func::Information.apply(&[of(&coin), of(&coin[..50])]).is_err());
        assert!(Func::Information.apply(&[of(&[]), of(&[])]).unwrap_err().empty);
    }

    #[test]
    fn an_angle_has_the_quadrant_of_its_vector() {
        let of = |y: f64, x: f64| Func::Atan2.apply(&[Value::Number(y), Value::Number(x)]).unwrap().number().unwrap();
        let turn = std::f64::consts::TAU;
        for k in -7..8 {
            let angle = f64::from(k) * turn / 16.0;
            assert!((of(3.0 * angle.sin(), 3.0 * angle.cos()) - angle).abs() < 1e-15 * turn, "{k}/16 of a turn");
        }
        let list = Value::List(vec![Value::Number(1.0), Value::Number(-1.0)]);
        let angles = Func::Atan2.apply(&[list, Value::Number(0.0)]).unwrap().numbers().unwrap();
        assert_eq!(angles, [turn / 4.0, -turn / 4.0]);
    }
}
