//! Where a walk over statements is, so that another walk can go on from there.
//!
//! A walk that goes on enters the statements, branches and rounds of a saved position one after the other, without evaluating what
//! led into them; from the innermost one it is a walk like any other.

use super::error::Halt;
use super::statistics::Steps;
use crate::backend::RunError;
use crate::ir::protocol::Stmt;
use crate::script::Value;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// A statement of a list, by position. One past the end: the list is done.
    Statement(usize),
    /// An `if` whose condition held or did not.
    Branch(bool),
    /// A round of a `repeat`.
    Repeat { times: u64, round: u64 },
    /// A round of one loop of a `for`. `rounds` of the innermost loop began before it.
    Loop { over: Rounds, round: u64, rounds: u64 },
    /// A phase of sleep.
    Phase(Asleep),
}

/// A phase that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asleep {
    /// First step, and the step at which it ends.
    pub span: Steps,
    /// Steps between turns of each thing that it repeats.
    pub periods: Vec<u64>,
    /// Projections whose learning it switched, and whether they learned before.
    pub learned: Vec<(u32, bool)>,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Stage {
    Begin,
    /// What is repeated, by position.
    Turn {
        at: u64,
        which: usize,
    },
    /// Time moves up to a step.
    Until(u64),
    End,
}

/// What a loop runs over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Rounds {
    Count(u64, u64),
    List(Vec<Value>),
}

impl Rounds {
    pub fn len(&self) -> u64 {
        match self {
            Rounds::Count(low, high) => high.saturating_sub(*low),
            Rounds::List(items) => items.len() as u64,
        }
    }

    pub fn value(&self, round: u64) -> Option<Value> {
        match self {
            Rounds::Count(low, _) => Some(Value::Number(low.saturating_add(round) as f64)),
            Rounds::List(items) => items.get(usize::try_from(round).ok()?).cloned(),
        }
    }
}

/// What is under way, outermost first.
#[derive(Debug, Default)]
pub(super) struct Position {
    frames: Vec<Frame>,
    /// The rest of the way to where an earlier walk was.
    ahead: VecDeque<Frame>,
}

impl Position {
    /// Leads to where an earlier walk was.
    pub fn again(frames: Vec<Frame>) -> Position {
        Position { frames: Vec::new(), ahead: frames.into() }
    }

    pub fn enter(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    pub fn leave(&mut self) {
        self.frames.pop();
    }

    /// The innermost frame.
    pub fn top(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// Whether the walk has not come to where the earlier one was.
    pub fn returning(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// The next frame of an earlier walk, as `kind` reads it; `None` where there is no such walk or it has been caught up with.
    pub fn back<T>(&mut self, kind: impl Fn(Frame) -> Option<T>) -> Result<Option<T>, Halt> {
        let Some(frame) = self.ahead.pop_front() else { return Ok(None) };
        kind(frame).map(Some).ok_or_else(foreign)
    }

    /// All frames, those ahead too.
    pub fn frames(&self) -> Vec<Frame> {
        self.frames.iter().chain(&self.ahead).cloned().collect()
    }

    /// Whether another `simulate` may come after the one that is under way.
    pub fn time_may_come(&self, statements: &[Stmt]) -> bool {
        may_come(statements, &self.frames)
    }
}

/// A position that is not one in these statements.
pub(super) fn foreign() -> Halt {
    Halt::Failed(RunError::Build("the saved position does not fit the experiment".to_string()))
}

fn may_come(statements: &[Stmt], frames: &[Frame]) -> bool {
    let Some((Frame::Statement(k), rest)) = frames.split_first() else { return false };
    if statements.iter().skip(k + 1).any(simulates) {
        return true;
    }
    match (statements.get(*k), rest) {
        (Some(Stmt::If { then, otherwise, .. }), [Frame::Branch(b), rest @ ..]) => {
            may_come(if *b { then } else { otherwise }, rest)
        }
        (Some(Stmt::Phase(_)), [Frame::Phase(p), ..]) => match p.stage {
            Stage::Begin | Stage::Turn { .. } => true,
            Stage::Until(at) => at < p.span.end,
            Stage::End => false,
        },
        (Some(Stmt::Repeat { body, .. }), [Frame::Repeat { times, round }, rest @ ..]) => {
            round.saturating_add(1) < *times || may_come(body, rest)
        }
        (Some(Stmt::For { loops, body, .. }), rest) => {
            let (rounds, rest) = rest.split_at(loops.len().min(rest.len()));
            let more = |f: &Frame| matches!(f, Frame::Loop { over, round, .. } if round.saturating_add(1) < over.len());
            rounds.iter().any(more) || may_come(body, rest)
        }
        _ => false,
    }
}

/// Whether time may move in a statement.
pub(super) fn simulates(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Simulate { .. } | Stmt::Phase(_) => true,
        Stmt::If { then, otherwise, .. } => then.iter().chain(otherwise).any(simulates),
        Stmt::For { body, .. } | Stmt::Repeat { body, .. } | Stmt::Update { body, .. } => body.iter().any(simulates),
        _ => false,
    }
}
