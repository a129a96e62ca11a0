//! Phases of sleep and what is replayed in them: patterns of cells that fired together while the circuit was awake.

use super::error::{Halt, script};
use super::flow::{Actor, walk};
use super::position::{Asleep, Frame, Stage};
use super::run::Walker;
use super::statistics::Steps;
use crate::backend::{Setting, SpikeLog};
use crate::ir::Population;
use crate::ir::protocol::{self, Memory, Periodic, Phase, Protocol, SetTarget};
use crate::record::PhaseSpan;
use crate::script::{BinaryOp, EvalError, Expr, eval};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What a run knows of sleep.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sleep {
    /// Step since which the circuit is awake, or was up to where the memories have been filled.
    awake: u64,
    /// Phases so far, in order of time: name, first and last step.
    pub phases: Vec<(String, Steps)>,
    /// Whether the rules of a projection change its weights, where that was ever switched.
    learning: BTreeMap<u32, bool>,
    /// Patterns of each memory: the cells that fired, ascending; latest last.
    patterns: Vec<VecDeque<Vec<u32>>>,
}

impl Sleep {
    pub fn new(protocol: &Protocol) -> Sleep {
        Sleep { patterns: vec![VecDeque::new(); protocol.memories.len()], ..Sleep::default() }
    }

    /// Whether it could be that of a run of `protocol` at `step`.
    pub fn fits(&self, protocol: &Protocol, populations: &[&Population], step: u64) -> bool {
        let spans = self.phases.iter().all(|(_, s)| s.start <= s.end);
        let known = |m: &Memory, cells: &[u32]| {
            let n = populations.get(m.of.population as usize).map_or(0, |p| p.size);
            cells.iter().all(|c| *c < n)
        };
        let fitting = self.patterns.len() == protocol.memories.len()
            && protocol.memories.iter().zip(&self.patterns).all(|(m, all)| all.iter().all(|p| known(m, p)));
        self.awake <= step && spans && fitting
    }
}

/// The cells among `of` (ascending) that fired in each full window of `length` steps, counted from `span.start`.
fn patterns(log: &SpikeLog, span: Steps, length: u64, of: &[u32]) -> Vec<Vec<u32>> {
    let windows = (span.end - span.start) / length;
    let mut out = Vec::new();
    let mut at = log.steps.partition_point(|s| *s <= span.start);
    for k in 0..windows {
        // A spike is stamped at the end of its step.
        let end = span.start + (k + 1) * length;
        let from = at;
        at += log.steps[at..].partition_point(|s| *s <= end);
        let mut cells: Vec<u32> = log.senders[from..at].to_vec();
        cells.sort_unstable();
        cells.dedup();
        cells.retain(|c| of.binary_search(c).is_ok());
        out.push(cells);
    }
    out
}

/// The next turn after `after`, or at it where a thing of a higher position is due at the same step.
fn next_turn(p: &Asleep, every: &[Periodic], after: Option<(u64, usize)>) -> Option<(u64, usize)> {
    let of = |(k, (period, e)): (usize, (&u64, &Periodic))| {
        let first = if e.first { p.span.start } else { p.span.start.saturating_add(*period) };
        let at = match after {
            None => first,
            Some((at, which)) => {
                let rounds = at.saturating_sub(first).div_ceil(*period);
                let next = first.saturating_add(rounds.saturating_mul(*period));
                // The one that has just had its turn, and those before it.
                if next == at && k <= which { next.saturating_add(*period) } else { next }
            }
        };
        (at < p.span.end).then_some((at, k))
    };
    p.periods.iter().zip(every).enumerate().filter_map(of).min()
}

/// What follows a stage; `None` after the last.
fn next_stage(p: &Asleep, every: &[Periodic]) -> Option<Stage> {
    let (now, turn) = match p.stage {
        Stage::Begin => (p.span.start, next_turn(p, every, None)),
        Stage::Turn { at, which } => (at, next_turn(p, every, Some((at, which)))),
        Stage::Until(at) if at >= p.span.end => return Some(Stage::End),
        // No turn is before the step up to which time has moved.
        Stage::Until(at) => (at, next_turn(p, every, Some((at - 1, every.len())))),
        Stage::End => return None,
    };
    Some(match turn {
        Some((at, which)) if at == now => Stage::Turn { at, which },
        Some((at, _)) => Stage::Until(at),
        None => Stage::Until(p.span.end),
    })
}

impl Walker<'_> {
    /// Switches rules on or off.
    pub fn learn(&mut self, projections: &[u32], on: bool) {
        for p in projections {
            self.sleep.learning.insert(*p, on);
            self.engine.set_learning(*p as usize, on);
        }
    }

    /// One phase: what it sets and switches, what it repeats, and its end.
    pub fn phase(&mut self, phase: &Phase) -> Result<(), Halt> {
        let saved = self.position().back(|f| if let Frame::Phase(p) = f { Some(p) } else { None })?;
        let mut asleep = match saved {
            Some(p) if p.periods.len() == phase.every.len() && !p.periods.contains(&0) => p,
            Some(_) => return Err(super::position::foreign()),
            None => self.fall_asleep(phase)?,
        };
        loop {
            self.position().enter(Frame::Phase(asleep.clone()));
            match asleep.stage {
                Stage::Begin => walk(self, &phase.begin)?,
                Stage::Turn { which, .. } => {
                    let Some(e) = phase.every.get(which) else { return Err(super::position::foreign()) };
                    walk(self, &e.body)?;
                }
                Stage::Until(at) => {
                    let advanced = self.advance(at.min(asleep.span.end));
                    // What has been slept is a window and a phase, whatever comes.
                    self.slept(&phase.name, asleep.span.start);
                    advanced?;
                }
                Stage::End => walk(self, &phase.end)?,
            }
            self.position().leave();
            match next_stage(&asleep, &phase.every) {
                Some(stage) => asleep.stage = stage,
                None => break,
            }
        }
        self.close_window(&phase.name, asleep.span);
        for (p, on) in &asleep.learned {
            self.learn(&[*p], *on);
        }
        self.sleep.awake = self.engine.step();
        Ok(())
    }

    fn fall_asleep(&mut self, phase: &Phase) -> Result<Asleep, Halt> {
        let at = |e| script(&phase.place, e);
        let start = self.engine.step();
        let steps = self.steps(&phase.length).map_err(at)?;
        let mut periods = Vec::with_capacity(phase.every.len());
        for e in &phase.every {
            let period = self.steps(&e.period).map_err(at)?;
            if period == 0 {
                return Err(at(EvalError::new("what is repeated takes at least one step from turn to turn")));
            }
            periods.push(period);
        }
        self.remember()?;
        let mut learned = Vec::new();
        for (on, projections) in &phase.learning {
            for p in projections {
                let before = self.sleep.learning.get(p).copied().unwrap_or(true);
                if !learned.iter().any(|(q, _)| q == p) {
                    learned.push((*p, before));
                }
            }
            self.learn(projections, *on);
        }
        let span = Steps { start, end: start.saturating_add(steps) };
        self.open_window();
        Ok(Asleep { span, periods, learned, stage: Stage::Begin })
    }

    fn slept(&mut self, name: &str, start: u64) {
        let span = Steps { start, end: self.engine.step() };
        self.windows.insert(name.to_string(), span);
        match self.sleep.phases.last_mut() {
            Some((last, s)) if last == name && s.start == start => *s = span,
            _ => self.sleep.phases.push((name.to_string(), span)),
        }
    }

    /// Takes the patterns of the time since the circuit woke into the memories.
    fn remember(&mut self) -> Result<(), Halt> {
        let span = Steps { start: self.sleep.awake, end: self.engine.step() };
        let unit = self.unit;
        for (k, m) in unit.protocol.memories.iter().enumerate() {
            let of = self.select(&m.of).map_err(|e| script(&m.path, e))?.cells;
            let mut of = of;
            of.sort_unstable();
            let log = self.engine.spikes(m.of.population as usize);
            let found = patterns(log, span, m.window.max(1), &of);
            let kept = &mut self.sleep.patterns[k];
            kept.extend(found.into_iter().filter(|p| p.len() as u64 >= m.least));
            let over = kept.len().saturating_sub(usize::try_from(m.keep).unwrap_or(usize::MAX));
            kept.drain(..over);
        }
        // Phases that follow each other have no waking time between them.
        self.sleep.awake = span.end;
        Ok(())
    }

    /// Draws a pattern and adds `value` to an input of its cells for a while.
    pub fn replay(
        &mut self,
        memory: u32,
        target: &SetTarget,
        value: &Expr,
        lasting: &Expr,
        site: u32,
        place: &str,
    ) -> Result<(), Halt> {
        let at = |e| script(place, e);
        let m: &protocol::Memory = &self.unit.protocol.memories[memory as usize];
        let n = self.sleep.patterns[memory as usize].len() as u64;
        if n == 0 {
            let cells = if m.least == 1 { "any cell".to_string() } else { format!("{} cells", m.least) };
            let window = crate::units::display(m.window as f64 * self.dt(), crate::units::Dimension::TIME);
            return Err(at(EvalError::new(format!(
                "the memory `{}` is empty: {cells} firing within {window} has not been seen while awake",
                m.path
            ))));
        }
        let drawn = self.stream(site).below(n);
        let of = self.select(&target.cells).map_err(at)?.cells;
        let value = eval(value, self).and_then(|v| v.number()).map_err(at)?;
        let steps = self.steps(lasting).map_err(at)?;
        let mut cells = self.sleep.patterns[memory as usize][drawn as usize].clone();
        cells.retain(|c| of.contains(c));
        if cells.is_empty() {
            return Ok(());
        }
        let population = target.cells.population as usize;
        let (op, values) = (Some(BinaryOp::Add), vec![value]);
        let setting = Setting { population, param: target.param, cells: Some(cells.clone()), op, values };
        self.lasting(&setting, &cells, steps)
    }

    /// Phases so far, for plots.
    pub fn phases(&self) -> Vec<PhaseSpan> {
        let span = |(name, s): &(String, Steps)| PhaseSpan { name: name.clone(), from: s.start, to: s.end };
        self.sleep.phases.iter().map(span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Keep;

    fn turns(span: Steps, every: &[(u64, bool)]) -> Vec<Stage> {
        let list: Vec<Periodic> = every
            .iter()
            .map(|(_, first)| Periodic { period: Expr::number(0.0), first: *first, body: Vec::new() })
            .collect();
        let periods = every.iter().map(|(p, _)| *p).collect();
        let mut p = Asleep { span, periods, learned: Vec::new(), stage: Stage::Begin };
        let mut out = Vec::new();
        while let Some(stage) = next_stage(&p, &list) {
            out.push(stage);
            p.stage = stage;
        }
        out
    }

    #[test]
    fn what_is_repeated_has_its_turns_before_the_end() {
        let span = Steps { start: 100, end: 110 };
        let turn = |at, which| Stage::Turn { at, which };
        assert_eq!(turns(span, &[]), [Stage::Until(110), Stage::End]);
        assert_eq!(
            turns(span, &[(5, true)]),
            [turn(100, 0), Stage::Until(105), turn(105, 0), Stage::Until(110), Stage::End]
        );
        // The end is no turn, nor is the start where it is not asked for.
        assert_eq!(turns(span, &[(10, false)]), [Stage::Until(110), Stage::End]);
        // Two at one step are in their order.
        assert_eq!(
            turns(span, &[(6, false), (3, true)]),
            [
                turn(100, 1),
                Stage::Until(103),
                turn(103, 1),
                Stage::Until(106),
                turn(106, 0),
                turn(106, 1),
                Stage::Until(109),
                turn(109, 1),
                Stage::Until(110),
                Stage::End
            ]
        );
        assert_eq!(turns(Steps { start: 7, end: 7 }, &[(1, true)]), [Stage::Until(7), Stage::End]);
    }

    #[test]
    fn patterns_are_of_whole_windows() {
        let mut log = SpikeLog::new(4, Keep::All);
        for (step, cells) in [(10, vec![3]), (11, vec![0, 1]), (14, vec![1]), (15, vec![2]), (21, vec![0])] {
            log.push(step, &cells);
        }
        // A spike at step 10 is before a span that begins there; the last window is not full.
        let span = Steps { start: 10, end: 22 };
        assert_eq!(patterns(&log, span, 5, &[0, 1, 2, 3]), [vec![0, 1, 2], vec![]]);
        assert_eq!(patterns(&log, span, 5, &[1, 3]), [vec![1], vec![]]);
    }
}
