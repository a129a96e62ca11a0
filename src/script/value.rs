//! Values and element-by-element arithmetic on them.

use super::eval::EvalError;
use super::{BinaryOp, UnaryOp};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// In internal units (ms, mV, pA).
    Number(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
    /// A set of cells: one flag per cell.
    Mask(Vec<bool>),
}

impl Value {
    /// The element at a path of positions; `None` where there is none, or where lists would have to be copied.
    pub fn element(&self, path: &[usize]) -> Option<Value> {
        match (self, path) {
            (Value::List(items), [k, rest @ ..]) => items.get(*k)?.element(rest),
            (Value::Mask(flags), [k]) => flags.get(*k).map(|f| Value::Bool(*f)),
            (Value::List(_) | Value::Mask(_), []) | (_, [_, ..]) => None,
            (scalar, []) => Some(scalar.clone()),
        }
    }

    pub fn number(&self) -> Result<f64, EvalError> {
        match self {
            Value::Number(v) => Ok(*v),
            Value::Bool(b) => Ok(f64::from(u8::from(*b))),
            other => Err(EvalError::new(format!("expected a number, found {}", other.describe()))),
        }
    }

    pub fn boolean(&self) -> Result<bool, EvalError> {
        match self {
            Value::Bool(b) => Ok(*b),
            other => Err(EvalError::new(format!("expected true or false, found {}", other.describe()))),
        }
    }

    /// A whole number that is not negative, for sizes and indices.
    pub fn count(&self) -> Result<u64, EvalError> {
        let v = self.number()?;
        if !(0.0..=9.0e15).contains(&v) {
            return Err(EvalError::new(format!("expected a whole number that is not negative, found {v}")));
        }
        // `C_E / 4` or `10 * 30 %` may miss the whole number by rounding; more than that is the author's slip.
        let whole = v.round();
        if (v - whole).abs() > 1e-9 * whole.max(1.0) {
            return Err(EvalError::new(format!("expected a whole number, found {v}")));
        }
        Ok(whole as u64)
    }

    /// The elements of a list or mask; a scalar is a list of one.
    pub fn elements(&self) -> Vec<Value> {
        match self {
            Value::List(items) => items.clone(),
            Value::Mask(flags) => flags.iter().map(|b| Value::Bool(*b)).collect(),
            other => vec![other.clone()],
        }
    }

    /// All numbers in it, depth first.
    pub fn numbers(&self) -> Result<Vec<f64>, EvalError> {
        let mut out = Vec::new();
        self.push_numbers(&mut out)?;
        Ok(out)
    }

    fn push_numbers(&self, out: &mut Vec<f64>) -> Result<(), EvalError> {
        match self {
            Value::List(items) => items.iter().try_for_each(|v| v.push_numbers(out)),
            Value::Mask(flags) => {
                out.extend(flags.iter().map(|b| f64::from(u8::from(*b))));
                Ok(())
            }
            scalar => {
                out.push(scalar.number()?);
                Ok(())
            }
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Value::Number(v) => format!("the number {v}"),
            Value::Bool(b) => format!("{b}"),
            Value::Text(t) => format!("the text \"{t}\""),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Mask(flags) => format!("a mask over {} cells", flags.len()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(v) => write!(f, "{v}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Text(t) => write!(f, "{t}"),
            Value::List(items) => {
                write!(f, "[")?;
                for (k, v) in items.iter().enumerate() {
                    write!(f, "{}{v}", if k > 0 { ", " } else { "" })?;
                }
                write!(f, "]")
            }
            Value::Mask(flags) => write!(f, "mask of {} in {}", flags.iter().filter(|b| **b).count(), flags.len()),
        }
    }
}

pub fn unary(op: UnaryOp, v: &Value) -> Result<Value, EvalError> {
    match (op, v) {
        (_, Value::List(items)) => Ok(Value::List(items.iter().map(|x| unary(op, x)).collect::<Result<_, _>>()?)),
        (UnaryOp::Not, Value::Mask(flags)) => Ok(Value::Mask(flags.iter().map(|b| !b).collect())),
        (UnaryOp::Neg, v) => Ok(Value::Number(-v.number()?)),
        (UnaryOp::Not, v) => Ok(Value::Bool(!v.boolean()?)),
    }
}

/// Element by element where one side is a list; a mask counts as its flags.
pub fn binary(op: BinaryOp, a: &Value, b: &Value) -> Result<Value, EvalError> {
    use BinaryOp::*;
    match (a, b) {
        (Value::Mask(x), Value::Mask(y)) if matches!(op, And | Or | Eq | Ne) => {
            same_length(x.len(), y.len())?;
            let merge = |(p, q): (&bool, &bool)| match op {
                And => *p && *q,
                Or => *p || *q,
                Eq => p == q,
                _ => p != q,
            };
            Ok(Value::Mask(x.iter().zip(y).map(merge).collect()))
        }
        (Value::List(_) | Value::Mask(_), Value::List(_) | Value::Mask(_)) => {
            let (x, y) = (a.elements(), b.elements());
            same_length(x.len(), y.len())?;
            Ok(Value::List(x.iter().zip(&y).map(|(p, q)| binary(op, p, q)).collect::<Result<_, _>>()?))
        }
        (Value::List(_) | Value::Mask(_), _) => {
            Ok(Value::List(a.elements().iter().map(|p| binary(op, p, b)).collect::<Result<_, _>>()?))
        }
        (_, Value::List(_) | Value::Mask(_)) => {
            Ok(Value::List(b.elements().iter().map(|q| binary(op, a, q)).collect::<Result<_, _>>()?))
        }
        (Value::Text(x), Value::Text(y)) if matches!(op, Eq | Ne) => Ok(Value::Bool((x == y) == (op == Eq))),
        (Value::Bool(x), Value::Bool(y)) if matches!(op, Eq | Ne) => Ok(Value::Bool((x == y) == (op == Eq))),
        _ => match op {
            And => Ok(Value::Bool(a.boolean()? && b.boolean()?)),
            Or => Ok(Value::Bool(a.boolean()? || b.boolean()?)),
            _ => {
                let (x, y) = (a.number()?, b.number()?);
                Ok(match op {
                    Add => Value::Number(x + y),
                    Sub => Value::Number(x - y),
                    Mul => Value::Number(x * y),
                    Div => Value::Number(x / y),
                    Pow => Value::Number(power(x, y)),
                    Eq => Value::Bool(x == y),
                    Ne => Value::Bool(x != y),
                    Lt => Value::Bool(x < y),
                    Le => Value::Bool(x <= y),
                    Gt => Value::Bool(x > y),
                    _ => Value::Bool(x >= y),
                })
            }
        },
    }
}

/// `x^y`: whole exponents by repeated multiplication (exact where the product is), halves by the square root.
pub fn power(x: f64, y: f64) -> f64 {
    if y == y.trunc() && y.abs() <= 64.0 {
        let mut result = 1.0;
        let (mut base, mut n) = (x, y.abs() as u32);
        while n > 0 {
            if n & 1 == 1 {
                result *= base;
            }
            base *= base;
            n >>= 1;
        }
        if y < 0.0 { 1.0 / result } else { result }
    } else if y == 0.5 {
        x.sqrt()
    } else {
        crate::numerics::pow(x, y)
    }
}

fn same_length(a: usize, b: usize) -> Result<(), EvalError> {
    if a == b { Ok(()) } else { Err(EvalError::new(format!("lists of different lengths: {a} and {b}"))) }
}
