//! The statements that a run and a `conclude` share: variables, branches, bounded loops, expectations.

use super::error::{Halt, script};
use super::expectation::{Expectation, Ledger};
use super::position::{Frame, Position, Rounds};
use crate::backend::RunError;
use crate::ir::protocol::{Expect, Loop, Protocol, Stmt};
use crate::script::{BinaryOp, EvalError, Expr, Host, Value, VarId, binary, eval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More rounds of one loop than this are a slip, not an experiment.
pub(super) const ROUND_LIMIT: u64 = 1_000_000_000;

/// Who walks: a run, or the conclusion after all runs.
pub(super) trait Actor: Host {
    fn variables(&mut self) -> &mut Variables;
    fn ledger(&mut self) -> &mut Ledger;
    /// Expectations without data are skipped instead of failing.
    fn quick(&self) -> bool;
    fn interrupted(&self) -> bool;
    /// A variable whose value could not be found; `Err` where nothing can go on.
    fn without_value(&mut self, _: VarId, e: EvalError) -> Result<(), EvalError> {
        Err(e)
    }
    fn position(&mut self) -> &mut Position;
    /// A statement that is not shared.
    fn act(&mut self, stmt: &Stmt) -> Result<(), Halt>;
}

/// Values by slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Variables {
    #[serde(skip)]
    names: Vec<String>,
    values: Vec<Option<Value>>,
    /// Index variables of tables: they have no name, and their slots lie far above the others.
    indices: BTreeMap<VarId, Value>,
}

impl Variables {
    pub fn new(protocol: &Protocol) -> Variables {
        Variables::named(protocol.variables.iter().map(|v| v.name.clone()).collect())
    }

    /// By slot.
    pub fn named(names: Vec<String>) -> Variables {
        Variables { values: vec![None; names.len()], names, indices: BTreeMap::new() }
    }

    /// Takes over the values of others; `false` where those are not variables of the same experiment.
    pub fn load(&mut self, other: Variables) -> bool {
        let fits = other.values.len() == self.values.len();
        (self.values, self.indices) = (other.values, other.indices);
        fits
    }

    pub fn get(&self, id: VarId) -> Result<Value, EvalError> {
        self.bound(id).cloned().ok_or_else(|| {
            let name = self.names.get(id as usize).map_or("an index", String::as_str);
            EvalError::new(format!("`{name}` has no value here"))
        })
    }

    pub fn bound(&self, id: VarId) -> Option<&Value> {
        match self.values.get(id as usize) {
            Some(value) => value.as_ref(),
            None => self.indices.get(&id),
        }
    }

    pub fn bind(&mut self, id: VarId, value: Option<Value>) {
        match (self.values.get_mut(id as usize), value) {
            (Some(slot), value) => *slot = value,
            (None, Some(value)) => drop(self.indices.insert(id, value)),
            (None, None) => drop(self.indices.remove(&id)),
        }
    }
}

pub(super) fn walk<A: Actor>(actor: &mut A, stmts: &[Stmt]) -> Result<(), Halt> {
    let first = actor.position().back(|f| if let Frame::Statement(k) = f { Some(k) } else { None })?;
    for (k, stmt) in stmts.iter().enumerate().skip(first.unwrap_or(0)) {
        actor.position().enter(Frame::Statement(k));
        if !actor.position().returning() && actor.interrupted() {
            return Err(Halt::Interrupted);
        }
        match stmt {
            Stmt::Assign { variable, slots, op, value, place } => {
                let assigned = assign(actor, *variable, slots, *op, value);
                assigned.or_else(|e| actor.without_value(*variable, e)).map_err(|e| script(place, e))?;
            }
            Stmt::If { condition, then, otherwise, place } => {
                let holds = match actor.position().back(|f| if let Frame::Branch(b) = f { Some(b) } else { None })? {
                    Some(held) => held,
                    None => truth(condition, actor).map_err(|e| script(place, e))?,
                };
                actor.position().enter(Frame::Branch(holds));
                walk(actor, if holds { then } else { otherwise })?;
                actor.position().leave();
            }
            Stmt::For { loops, body, place } => {
                let mut rounds = 0;
                nest(actor, loops, body, place, &mut rounds)?;
            }
            Stmt::Repeat { times, until, body, place } => {
                let saved = |f| if let Frame::Repeat { times, round } = f { Some((times, round)) } else { None };
                let (n, first) = match actor.position().back(saved)? {
                    Some(under_way) => under_way,
                    None => (eval(times, actor).and_then(|v| v.count()).map_err(|e| script(place, e))?, 0),
                };
                too_many(n, place)?;
                for round in first..n {
                    actor.position().enter(Frame::Repeat { times: n, round });
                    walk(actor, body)?;
                    actor.position().leave();
                    if let Some(until) = until
                        && truth(until, actor).map_err(|e| script(place, e))?
                    {
                        break;
                    }
                }
            }
            Stmt::Expect(expect) => judge(actor, expect)?,
            Stmt::Simulate { .. }
            | Stmt::Set { .. }
            | Stmt::SetSensor { .. }
            | Stmt::Emit { .. }
            | Stmt::Measure { .. }
            | Stmt::Learning { .. }
            | Stmt::Update { .. }
            | Stmt::Downscale { .. }
            | Stmt::Phase(_)
            | Stmt::Replay { .. }
            | Stmt::Reset { .. }
            | Stmt::Step { .. }
            | Stmt::ResetEnvironment { .. } => actor.act(stmt)?,
        }
        actor.position().leave();
    }
    Ok(())
}

/// The first loop is the outermost.
fn nest<A: Actor>(actor: &mut A, loops: &[Loop], body: &[Stmt], place: &str, rounds: &mut u64) -> Result<(), Halt> {
    let Some((outer, inner)) = loops.split_first() else {
        *rounds += 1;
        too_many(*rounds, place)?;
        return walk(actor, body);
    };
    let saved = |f| if let Frame::Loop { over, round, rounds } = f { Some((over, round, rounds)) } else { None };
    let under_way = actor.position().back(saved)?;
    // The first round of a walk that goes on has its variable, which its body may have changed.
    let mut bound = under_way.is_some();
    let (over, first, begun) = match under_way {
        Some(under_way) => under_way,
        None => (rounds_of(actor, outer).map_err(|e| script(place, e))?, 0, *rounds),
    };
    *rounds = begun;
    let n = over.len();
    if let Rounds::Count(..) = over {
        too_many(n, place)?;
    }
    actor.position().enter(Frame::Loop { over, round: first, rounds: begun });
    for k in first..n {
        let mut value = None;
        if let Some(Frame::Loop { over, round, rounds: begun }) = actor.position().top() {
            (*round, *begun) = (k, *rounds);
            value = over.value(k);
        }
        if let Some(value) = value.filter(|_| !std::mem::take(&mut bound)) {
            actor.bind(outer.variable, value);
        }
        nest(actor, inner, body, place, rounds)?;
    }
    actor.position().leave();
    // Rows that are measured after the loop don't belong to its last round.
    actor.variables().bind(outer.variable, None);
    Ok(())
}

fn rounds_of<A: Actor>(actor: &mut A, l: &Loop) -> Result<Rounds, EvalError> {
    let start = eval(&l.start, actor)?;
    match (&l.end, start) {
        (Some(end), start) => Ok(Rounds::Count(start.count()?, eval(end, actor)?.count()?)),
        (None, Value::List(items)) => Ok(Rounds::List(items)),
        (None, mask @ Value::Mask(_)) => Ok(Rounds::List(mask.elements())),
        (None, count) => Ok(Rounds::Count(0, count.count()?)),
    }
}

fn too_many(rounds: u64, place: &str) -> Result<(), Halt> {
    if rounds <= ROUND_LIMIT {
        return Ok(());
    }
    let message = format!("a loop of {rounds} rounds at {place}; at most {ROUND_LIMIT} are allowed");
    Err(Halt::Failed(RunError::Limit(message)))
}

fn truth<A: Actor>(condition: &Expr, actor: &mut A) -> Result<bool, EvalError> {
    match eval(condition, actor)? {
        list @ (Value::List(_) | Value::Mask(_)) => {
            let message = format!("expected true or false, found {}; say all(...) or any(...) of it", list.describe());
            Err(EvalError::new(message))
        }
        v => v.boolean(),
    }
}

fn judge<A: Actor>(actor: &mut A, expect: &Expect) -> Result<(), Halt> {
    let mut entry = Expectation {
        text: expect.text.clone(),
        place: expect.place.clone(),
        dimension: expect.dimension,
        judged: 1,
        failed: 0,
        skipped: 0,
        measured: None,
    };
    match truth(&expect.condition, actor) {
        Ok(holds) => {
            entry.failed = u64::from(!holds);
            // The condition had a value, so its parts have one; a draw in it would be drawn anew, which is nothing to report.
            entry.measured = expect.measured.as_ref().and_then(|m| eval(m, actor).ok());
            entry.measured = entry.measured.or(Some(Value::Bool(holds)));
        }
        Err(e) if e.empty && actor.quick() => (entry.judged, entry.skipped) = (0, 1),
        Err(e) => return Err(script(&expect.place, e)),
    }
    actor.ledger().add(&entry);
    Ok(())
}

fn assign<A: Actor>(
    actor: &mut A,
    variable: VarId,
    slots: &[Expr],
    op: Option<BinaryOp>,
    value: &Expr,
) -> Result<(), EvalError> {
    let value = eval(value, actor)?;
    if slots.is_empty() && op.is_none() {
        actor.bind(variable, value);
        return Ok(());
    }
    let mut path = Vec::with_capacity(slots.len());
    for slot in slots {
        path.push(eval(slot, actor)?.count()? as usize);
    }
    let mut whole = actor.variable(variable)?;
    write(&mut whole, &path, op, value)?;
    actor.bind(variable, whole);
    Ok(())
}

fn write(target: &mut Value, path: &[usize], op: Option<BinaryOp>, value: Value) -> Result<(), EvalError> {
    let Some((k, rest)) = path.split_first() else {
        *target = match op {
            Some(op) => binary(op, target, &value)?,
            None => value,
        };
        return Ok(());
    };
    let outside = |n: usize| EvalError::new(format!("index {k} is outside a list of {n}"));
    match target {
        Value::List(items) => {
            let n = items.len();
            write(items.get_mut(*k).ok_or_else(|| outside(n))?, rest, op, value)
        }
        Value::Mask(flags) if rest.is_empty() => {
            let n = flags.len();
            let flag = flags.get_mut(*k).ok_or_else(|| outside(n))?;
            let mut new = Value::Bool(*flag);
            write(&mut new, &[], op, value)?;
            *flag = new.boolean()?;
            Ok(())
        }
        other => Err(EvalError::new(format!("only a list has elements; this is {}", other.describe()))),
    }
}
