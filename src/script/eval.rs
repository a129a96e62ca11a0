//! The evaluator. Recursion is bounded by the depth of the source (256) that the parser allows.

use super::value::{binary, unary};
use super::{BinaryOp, Distribution, Expr, ListDraw, Query, RowQuery, Slot, Value, VarId};

/// What went wrong, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalError {
    pub message: String,
    /// An aggregate over no rows: skipped with a note where that is allowed.
    pub empty: bool,
    /// What to try.
    pub help: Option<String>,
}

impl EvalError {
    pub fn new(message: impl Into<String>) -> EvalError {
        EvalError { message: message.into(), empty: false, help: None }
    }

    pub fn empty(message: impl Into<String>) -> EvalError {
        EvalError { message: message.into(), empty: true, help: None }
    }

    pub fn help(self, help: impl Into<String>) -> EvalError {
        EvalError { help: Some(help.into()), ..self }
    }
}

/// Answers what an expression can't know by itself.
pub trait Host {
    fn variable(&self, id: VarId) -> Result<Value, EvalError>;
    /// One element of a list in a variable, without a copy of the list; `None` where it is none.
    fn element(&self, id: VarId, path: &[usize]) -> Option<Value> {
        self.variable(id).ok()?.element(path)
    }
    fn bind(&mut self, id: VarId, value: Value);
    fn query(&mut self, query: &Query) -> Result<Value, EvalError>;
    /// Shows `visit` all numbers of what `query` would give, depth first, without making the lists. `false`: this query has to be
    /// made.
    fn scan(&mut self, query: &Query, visit: &mut dyn FnMut(f64)) -> Result<bool, EvalError>;
    fn rows(&mut self, rows: &RowQuery) -> Result<Value, EvalError>;
    fn draw(&mut self, distribution: Distribution, args: &[f64], site: u32) -> Result<f64, EvalError>;
    fn list_draw(&mut self, kind: ListDraw, args: &[Value], site: u32) -> Result<Value, EvalError>;
}

/// Compile time: nothing runs and nothing is drawn.
#[derive(Default)]
pub struct NoHost {
    variables: Vec<(VarId, Value)>,
}

impl Host for NoHost {
    fn variable(&self, id: VarId) -> Result<Value, EvalError> {
        let found = self.variables.iter().rev().find(|(v, _)| *v == id);
        found.map(|(_, v)| v.clone()).ok_or_else(|| EvalError::new("this value is known only while the circuit runs"))
    }

    fn element(&self, id: VarId, path: &[usize]) -> Option<Value> {
        self.variables.iter().rev().find(|(v, _)| *v == id).and_then(|(_, v)| v.element(path))
    }

    fn bind(&mut self, id: VarId, value: Value) {
        match self.variables.iter_mut().find(|(v, _)| *v == id) {
            Some(slot) => slot.1 = value,
            None => self.variables.push((id, value)),
        }
    }

    fn query(&mut self, _: &Query) -> Result<Value, EvalError> {
        Err(EvalError::new("this value is known only while the circuit runs"))
    }

    fn scan(&mut self, _: &Query, _: &mut dyn FnMut(f64)) -> Result<bool, EvalError> {
        Ok(false)
    }

    fn rows(&mut self, _: &RowQuery) -> Result<Value, EvalError> {
        Err(EvalError::new("measured rows are known only after the runs"))
    }

    fn draw(&mut self, _: Distribution, _: &[f64], _: u32) -> Result<f64, EvalError> {
        Err(EvalError::new("a random draw has no value here; draw it in an experiment, or per neuron or synapse"))
    }

    fn list_draw(&mut self, _: ListDraw, _: &[Value], _: u32) -> Result<Value, EvalError> {
        Err(EvalError::new("a random draw has no value here; draw it in an experiment"))
    }
}

/// At most so many elements in one table; a slip in a size should not take the machine's memory.
const TABLE_LIMIT: u64 = 10_000_000;

pub fn eval(expr: &Expr, host: &mut dyn Host) -> Result<Value, EvalError> {
    match expr {
        Expr::Const(v) => Ok(v.clone()),
        Expr::Var(id) => host.variable(*id),
        Expr::Unary(op, e) => unary(*op, &eval(e, host)?),
        Expr::Binary(op, a, b) => {
            let x = eval(a, host)?;
            // The right side of `and` and `or` may be meaningless where the left one decides.
            match (op, &x) {
                (BinaryOp::And, Value::Bool(false)) | (BinaryOp::Or, Value::Bool(true)) => return Ok(x),
                _ => {}
            }
            binary(*op, &x, &eval(b, host)?)
        }
        Expr::In(e, low, high) => {
            let (v, lo, hi) = (eval(e, host)?, eval(low, host)?, eval(high, host)?);
            let above = binary(BinaryOp::Ge, &v, &lo)?;
            binary(BinaryOp::And, &above, &binary(BinaryOp::Le, &v, &hi)?)
        }
        Expr::If(c, a, b) => {
            if eval(c, host)?.boolean()? {
                eval(a, host)
            } else {
                eval(b, host)
            }
        }
        Expr::List(items) => Ok(Value::List(items.iter().map(|e| eval(e, host)).collect::<Result<_, _>>()?)),
        Expr::Table { axes, body } => {
            let mut total = 1_u64;
            table(axes, body, host, &mut total)
        }
        Expr::Call(func, args) => {
            if let [Expr::Query(query)] = &args[..]
                && let Some(value) = func.apply_scanned(&mut |visit| host.scan(query, visit))?
            {
                return Ok(value);
            }
            let args = args.iter().map(|e| eval(e, host)).collect::<Result<Vec<_>, _>>()?;
            func.apply(&args)
        }
        Expr::Draw { distribution, args, site } => {
            let args = args.iter().map(|e| eval(e, host)?.number()).collect::<Result<Vec<_>, _>>()?;
            let v = host.draw(*distribution, &args, *site)?;
            Ok(if *distribution == Distribution::Bernoulli { Value::Bool(v != 0.0) } else { Value::Number(v) })
        }
        Expr::ListDraw { kind, args, site } => {
            let args = args.iter().map(|e| eval(e, host)).collect::<Result<Vec<_>, _>>()?;
            host.list_draw(*kind, &args, *site)
        }
        Expr::Index(list, slots) => {
            if let Some(found) = element(expr, host) {
                return Ok(found);
            }
            let mut v = eval(list, host)?;
            // Slots left of a range act inside each of the list's elements, so take them one level at a time.
            v = index(v, slots, host)?;
            Ok(v)
        }
        Expr::Query(q) => host.query(q),
        Expr::Rows(r) => host.rows(r),
    }
}

/// `list[k][j]` with plain positions, as in a loop over synapses: the list stays where it is.
fn element(expr: &Expr, host: &mut dyn Host) -> Option<Value> {
    let mut path = Vec::new();
    let mut at = expr;
    while let Expr::Index(inner, slots) = at {
        for slot in slots.iter().rev() {
            let Slot::At(e) = slot else { return None };
            let k = match e {
                Expr::Const(Value::Number(v)) => *v,
                Expr::Var(id) => match host.element(*id, &[])? {
                    Value::Number(v) => v,
                    _ => return None,
                },
                _ => return None,
            };
            if !(k >= 0.0 && k == k.trunc()) {
                return None;
            }
            path.push(k as usize);
        }
        at = inner;
    }
    path.reverse();
    match at {
        Expr::Var(id) => host.element(*id, &path),
        Expr::Const(v) => v.element(&path),
        _ => None,
    }
}

fn table(axes: &[(VarId, Expr)], body: &Expr, host: &mut dyn Host, total: &mut u64) -> Result<Value, EvalError> {
    let Some(((variable, size), rest)) = axes.split_first() else {
        return eval(body, host);
    };
    let n = eval(size, host)?.count()?;
    *total = total.saturating_mul(n.max(1));
    if *total > TABLE_LIMIT {
        return Err(EvalError::new(format!("a table of {total} elements; at most {TABLE_LIMIT}")));
    }
    let mut items = Vec::with_capacity(n as usize);
    let outer = *total;
    for k in 0..n {
        host.bind(*variable, Value::Number(k as f64));
        *total = outer;
        items.push(table(rest, body, host, total)?);
    }
    Ok(Value::List(items))
}

fn index(v: Value, slots: &[Slot], host: &mut dyn Host) -> Result<Value, EvalError> {
    let Some((slot, rest)) = slots.split_first() else {
        return Ok(v);
    };
    if !matches!(v, Value::List(_) | Value::Mask(_)) {
        return Err(EvalError::new(format!("only a list has elements; this is {}", v.describe())));
    }
    let items = v.elements();
    match slot {
        Slot::At(e) => match eval(e, host)? {
            Value::Mask(flags) => {
                let chosen = items.into_iter().zip(&flags).filter(|(_, f)| **f).map(|(v, _)| v).collect();
                index(Value::List(chosen), rest, host)
            }
            at => {
                let k = at.count()? as usize;
                let n = items.len();
                let item = items.into_iter().nth(k);
                let item = item.ok_or_else(|| EvalError::new(format!("index {k} is outside a list of {n}")))?;
                index(item, rest, host)
            }
        },
        Slot::Range(low, high) => {
            let n = items.len();
            let bound = |e: &Option<Expr>, default: usize, host: &mut dyn Host| match e {
                Some(e) => eval(e, host)?.count().map(|c| c as usize),
                None => Ok(default),
            };
            let (lo, hi) = (bound(low, 0, host)?, bound(high, n, host)?);
            if lo > hi || hi > n {
                return Err(EvalError::new(format!("the range {lo} .. {hi} is outside a list of {n}")));
            }
            let part = items[lo..hi].iter().map(|v| index(v.clone(), rest, host)).collect::<Result<_, _>>()?;
            Ok(Value::List(part))
        }
    }
}
