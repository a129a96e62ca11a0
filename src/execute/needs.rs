//! What an engine has to keep while it runs, so that every question of the protocol can be answered.

use super::cells::{everything, select};
use crate::backend::{Keep, RunError, TraceRequest};
use crate::ir::Population;
use crate::ir::artefact::Unit;
use crate::ir::protocol::{Point, Record, Stmt};
use crate::script::{Cells, Expr, Host, NoHost, Query, Slot, Stat, Window, eval};
use std::collections::BTreeMap;

/// What to ask of an engine before it is built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// For each population which spikes are kept.
    pub spikes: Vec<Keep>,
    /// One for each (population, observable, interval).
    pub traces: Vec<TraceRequest>,
}

/// What the run at `point` needs: of its statements, and with `recording` of its `record` and `plot` too.
///
/// Where a slice depends on what happens in the run, all cells are kept. An error is an interval that is not known beforehand
/// or an index outside its population.
pub fn needs(unit: &Unit, point: &Point, recording: bool) -> Result<Needs, RunError> {
    let populations: Vec<&Population> = unit.network.populations().map(|(_, p)| p).collect();
    let mut host = NoHost::default();
    for (id, value) in &point.sweep {
        host.bind(*id, value.clone());
    }
    let mut collector = Collector {
        needs: Needs { spikes: vec![Keep::None; populations.len()], traces: Vec::new() },
        populations,
        host,
        dt: unit.network.dt_ms,
    };
    let protocol = &unit.protocol;
    statements(&protocol.statements, &mut |e| expression(e, &mut |q| collector.query(q)));
    protocol.memories.iter().for_each(|m| collector.spikes(&m.of));
    if recording {
        let mut recorded = BTreeMap::new();
        for record in &protocol.records {
            match record {
                Record::Spikes { of } => collector.spikes(of),
                Record::Observable { of, observable, every } => {
                    let every = collector.interval(every.as_ref())?;
                    let key = (of.population, *observable);
                    if *recorded.entry(key).or_insert(every) != every {
                        return Err(two_intervals(&collector.populations, of.population, *observable));
                    }
                    collector.trace(of, *observable, every);
                }
                // Asked of the engine when they are due.
                Record::Weights { .. } => {}
            }
        }
        for item in protocol.plots.iter().flat_map(|p| &p.of) {
            match item.observable {
                None => collector.spikes(&item.cells),
                Some(observable) => collector.plotted(&item.cells, observable),
            }
        }
    }
    Ok(collector.needs)
}

/// What these questions need, wherever they are asked.
pub fn needs_of<'e>(unit: &Unit, questions: impl IntoIterator<Item = &'e Expr>) -> Needs {
    let populations: Vec<&Population> = unit.network.populations().map(|(_, p)| p).collect();
    let needs = Needs { spikes: vec![Keep::None; populations.len()], traces: Vec::new() };
    let mut collector = Collector { needs, populations, host: NoHost::default(), dt: unit.network.dt_ms };
    questions.into_iter().for_each(|e| expression(e, &mut |q| collector.query(q)));
    collector.needs
}

/// One file can't hold one observable on two grids of time.
fn two_intervals(populations: &[&Population], population: u32, observable: u32) -> RunError {
    let name = populations.get(population as usize).and_then(|p| {
        let o = p.dynamics.observables.get(observable as usize)?;
        Some(format!("{}.{}", p.path, o.name))
    });
    let message = format!("`{}` is recorded at two different intervals", name.unwrap_or_default());
    RunError::Script { place: "`record`".to_string(), message, help: None }
}

/// The interval of a `record ... every T` in steps; every step without one.
pub(super) fn interval(every: Option<&Expr>, dt: f64, host: &mut dyn Host) -> Result<u64, RunError> {
    let Some(e) = every else { return Ok(1) };
    let fail = |message: String| RunError::Script { place: "`record ... every`".to_string(), message, help: None };
    let ms = eval(e, host).and_then(|v| v.number()).map_err(|e| fail(e.message))?;
    let steps = (ms / dt).round();
    if (1.0..=1e15).contains(&steps) {
        Ok(steps as u64)
    } else {
        Err(fail(format!("an interval of {ms} ms; it has to be at least one step of {dt} ms")))
    }
}

struct Collector<'a> {
    needs: Needs,
    populations: Vec<&'a Population>,
    host: NoHost,
    dt: f64,
}

impl Collector<'_> {
    fn query(&mut self, query: &Query) {
        match query {
            // The running sums of the log answer these.
            Query::Spikes {
                stat: Stat::Rate | Stat::Count | Stat::CvIsi, of, window: Window::Whole, by: None, ..
            } if of.slots.is_empty() => {}
            Query::Spikes { of, window: Window::Last(time), .. } => self.last_spikes(of, time),
            Query::Spikes { of, .. } => self.spikes(of),
            Query::Trace { of, observable, window: Some(_) } => self.trace(of, *observable, 1),
            Query::Trace { window: None, .. }
            | Query::Weights { .. }
            | Query::Weight { .. }
            | Query::Wiring { .. }
            | Query::Sensor(_)
            | Query::Environment { .. }
            | Query::Table(_)
            | Query::SynapticEvents
            | Query::Time => {}
        }
    }

    fn spikes(&mut self, of: &Cells) {
        if let Some(keep) = self.needs.spikes.get_mut(of.population as usize) {
            *keep = Keep::All;
        }
    }

    /// The spikes of the last `time`; all of them where it is known only while the circuit runs.
    fn last_spikes(&mut self, of: &Cells, time: &Expr) {
        let steps = eval(time, &mut self.host).and_then(|v| v.number()).map(|ms| (ms / self.dt).round());
        let steps = steps.ok().filter(|s| (0.0..=1e15).contains(s));
        let (Some(steps), Some(keep)) = (steps, self.needs.spikes.get_mut(of.population as usize)) else {
            return self.spikes(of);
        };
        *keep = match *keep {
            Keep::None => Keep::Last(steps as u64),
            Keep::Last(known) => Keep::Last(known.max(steps as u64)),
            Keep::All => Keep::All,
        };
    }

    fn interval(&mut self, every: Option<&Expr>) -> Result<u64, RunError> {
        interval(every, self.dt, &mut self.host)
    }

    fn trace(&mut self, of: &Cells, observable: u32, every: u64) {
        let Some(population) = self.populations.get(of.population as usize) else { return };
        let cells = self.cells(population, of);
        let index = of.population as usize;
        let same = |t: &&mut TraceRequest| t.population == index && t.observable == observable && t.every == every;
        match self.needs.traces.iter_mut().find(same) {
            Some(request) => {
                request.cells.extend(cells);
                request.cells.sort_unstable();
                request.cells.dedup();
            }
            None => self.needs.traces.push(TraceRequest { population: index, observable, cells, every }),
        }
    }

    /// A plot is content with the interval at which its observable is recorded.
    fn plotted(&mut self, of: &Cells, observable: u32) {
        let index = of.population as usize;
        let known = self.needs.traces.iter().filter(|t| t.population == index && t.observable == observable);
        let every = known.map(|t| t.every).min().unwrap_or(1);
        self.trace(of, observable, every);
    }

    fn cells(&mut self, population: &Population, of: &Cells) -> Vec<u32> {
        match select(population, &of.slots, &mut self.host) {
            Ok(selection) => selection.cells,
            // Known only while the circuit runs; what is out of range is told then.
            Err(_) => everything(population).cells,
        }
    }
}

/// Every expression of the statements.
fn statements(list: &[Stmt], f: &mut dyn FnMut(&Expr)) {
    for stmt in list {
        match stmt {
            Stmt::Simulate { time, .. } => f(time),
            Stmt::Emit { value, after, .. } => value.iter().chain(after).for_each(&mut *f),
            Stmt::Set { target, value, lasting, .. } => {
                slots(&target.cells.slots, f);
                f(value);
                lasting.iter().for_each(&mut *f);
            }
            Stmt::Assign { slots, value, .. } | Stmt::SetSensor { slots, value, .. } => {
                slots.iter().for_each(&mut *f);
                f(value);
            }
            Stmt::For { loops, body, .. } => {
                for l in loops {
                    f(&l.start);
                    l.end.iter().for_each(&mut *f);
                }
                statements(body, f);
            }
            Stmt::Repeat { times, until, body, .. } => {
                f(times);
                until.iter().for_each(&mut *f);
                statements(body, f);
            }
            Stmt::If { condition, then, otherwise, .. } => {
                f(condition);
                statements(then, f);
                statements(otherwise, f);
            }
            Stmt::Expect(e) => {
                f(&e.condition);
                e.measured.iter().for_each(&mut *f);
            }
            Stmt::Measure { value, .. } => f(value),
            Stmt::Phase(p) => {
                f(&p.length);
                p.every.iter().for_each(|e| f(&e.period));
                p.blocks().for_each(|b| statements(b, f));
            }
            Stmt::Replay { target, value, lasting, .. } => {
                slots(&target.cells.slots, f);
                f(value);
                f(lasting);
            }
            Stmt::Update { body, .. } => statements(body, f),
            Stmt::Downscale { by, .. } => f(by),
            Stmt::Step { given, lasting, .. } => given.iter().map(|(_, e)| e).chain(lasting).for_each(&mut *f),
            Stmt::Learning { .. } | Stmt::Reset { .. } | Stmt::ResetEnvironment { .. } => {}
        }
    }
}

fn slots(list: &[Slot], f: &mut dyn FnMut(&Expr)) {
    for slot in list {
        match slot {
            Slot::At(e) => f(e),
            Slot::Range(low, high) => low.iter().chain(high).for_each(&mut *f),
        }
    }
}

/// Every query in an expression, those inside other queries too.
fn expression(e: &Expr, f: &mut dyn FnMut(&Query)) {
    let mut each = |e: &Expr| expression(e, f);
    match e {
        Expr::Const(_) | Expr::Var(_) => {}
        Expr::Unary(_, a) => each(a),
        Expr::Binary(_, a, b) => [a, b].into_iter().for_each(|e| each(e)),
        Expr::In(a, b, c) | Expr::If(a, b, c) => [a, b, c].into_iter().for_each(|e| each(e)),
        Expr::List(list) | Expr::Call(_, list) => list.iter().for_each(each),
        Expr::Draw { args, .. } | Expr::ListDraw { args, .. } => args.iter().for_each(each),
        Expr::Table { axes, body } => {
            axes.iter().for_each(|(_, e)| each(e));
            each(body);
        }
        Expr::Index(list, at) => {
            each(list);
            slots(at, &mut each);
        }
        Expr::Query(query) => {
            match &**query {
                Query::Spikes { of, window, bin, .. } => {
                    slots(&of.slots, &mut each);
                    self::window(window, &mut each);
                    bin.iter().for_each(&mut each);
                }
                Query::Trace { of, window, .. } => {
                    slots(&of.slots, &mut each);
                    window.iter().for_each(|w| self::window(w, &mut each));
                }
                Query::Weight { pre, post, .. } => [pre, post].into_iter().for_each(&mut each),
                Query::Weights { .. }
                | Query::Wiring { .. }
                | Query::Sensor(_)
                | Query::Environment { .. }
                | Query::Table(_)
                | Query::SynapticEvents
                | Query::Time => {}
            }
            f(query);
        }
        // Rows are read after the runs.
        Expr::Rows(_) => {}
    }
}

fn window(w: &Window, f: &mut dyn FnMut(&Expr)) {
    match w {
        Window::Whole | Window::Named(_, None) => {}
        Window::Last(a) => f(a),
        Window::Named(_, Some((a, b))) | Window::Interval(a, b) => {
            f(a);
            b.iter().for_each(f);
        }
    }
}
