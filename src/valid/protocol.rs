//! An experiment against its network: what it names exists.

use super::Invalid;
use crate::ir::Population;
use crate::ir::artefact::Unit;
use crate::ir::environment::{Environment, World};
use crate::ir::protocol::{Record, SetTarget, Stmt};
use crate::script::{Cells, Expr, Query, Slot, Window};

struct Check<'u> {
    populations: Vec<&'u Population>,
    projections: usize,
    sensors: usize,
    events: usize,
    memories: usize,
    tables: usize,
    variables: u32,
    environments: &'u [Environment],
}

pub(super) fn check(unit: &Unit) -> Result<(), Invalid> {
    let c = Check {
        populations: unit.network.populations().map(|(_, p)| p).collect(),
        projections: unit.network.projections().count(),
        sensors: unit.network.sensors.len(),
        events: unit.network.events.len(),
        memories: unit.protocol.memories.len(),
        tables: unit.protocol.tables.len(),
        variables: unit.protocol.variables.len() as u32,
        environments: &unit.protocol.environments,
    };
    let p = &unit.protocol;
    let result = (|| {
        p.actuators.iter().try_for_each(|a| c.expr(&a.value))?;
        let drawn = |k: &u32| unit.network.tables.get(*k as usize).is_some_and(|t| t.draw.is_some());
        if let Some(k) = p.tables.iter().find(|k| !drawn(k)) {
            return Err(format!("table {k} of the network is not drawn"));
        }
        for r in &p.records {
            match r {
                Record::Spikes { of } => c.cells(of)?,
                Record::Observable { of, observable, every } => {
                    c.observable(of, *observable)?;
                    every.iter().try_for_each(|e| c.expr(e))?;
                }
                Record::Weights { projection, every } => {
                    c.projections(&[*projection])?;
                    every.iter().try_for_each(|e| c.expr(e))?;
                }
            }
        }
        for plot in &p.plots {
            c.projections(&plot.weights)?;
            for item in &plot.of {
                match item.observable {
                    Some(o) => c.observable(&item.cells, o)?,
                    None => c.cells(&item.cells)?,
                }
            }
        }
        p.memories.iter().try_for_each(|m| c.cells(&m.of))?;
        for e in &p.environments {
            environment(e)?;
        }
        c.statements(&p.statements)?;
        c.statements(&p.conclude)
    })();
    result.map_err(|what| Invalid { where_: "experiment".to_string(), what })
}

/// What an environment computes reads its own variables, and its cell is a network like any other.
fn environment(e: &Environment) -> Result<(), String> {
    let World::Written(w) = &e.world else { return Ok(()) };
    let c = Check {
        populations: Vec::new(),
        projections: 0,
        sensors: 0,
        events: 0,
        memories: 0,
        tables: 0,
        variables: w.variables.len() as u32,
        environments: &[],
    };
    for (v, first) in &w.states {
        c.variable(*v)?;
        c.expr(first)?;
    }
    w.takes.iter().try_for_each(|(_, v)| c.variable(*v))?;
    w.outputs.iter().try_for_each(|o| c.expr(o))?;
    c.statements(&w.on_step)?;
    c.statements(&w.on_reset)?;
    let Some(q) = &w.equations else { return Ok(()) };
    super::validate(&q.network).map_err(|e| e.to_string())?;
    let mut cells = q.network.populations().map(|(_, p)| p);
    let (Some(cell), None) = (cells.next(), cells.next()) else {
        return Err(format!("the equations of {} are not those of one cell", e.name));
    };
    q.states.iter().chain(q.inputs.iter().map(|(v, _)| v)).try_for_each(|v| c.variable(*v))?;
    let settable = |k: &u32| cell.dynamics.params.get(*k as usize).is_some_and(|p| p.settable);
    if cell.size != 1 || cell.dynamics.states.len() < q.states.len() || !q.inputs.iter().all(|(_, k)| settable(k)) {
        return Err(format!("the equations of {} do not fit its states and inputs", e.name));
    }
    Ok(())
}

impl Check<'_> {
    fn world(&self, k: u32) -> Result<&Environment, String> {
        self.environments.get(k as usize).ok_or_else(|| format!("environment {k} does not exist"))
    }

    fn cells(&self, cells: &Cells) -> Result<(), String> {
        let Some(p) = self.populations.get(cells.population as usize) else {
            return Err(format!("population {} does not exist", cells.population));
        };
        if cells.slots.len() > p.axes.len() {
            return Err(format!("{} indices into {}", cells.slots.len(), p.path));
        }
        self.slots(&cells.slots)
    }

    fn slots(&self, slots: &[Slot]) -> Result<(), String> {
        slots.iter().try_for_each(|s| match s {
            Slot::At(e) => self.expr(e),
            Slot::Range(lo, hi) => lo.iter().chain(hi).try_for_each(|e| self.expr(e)),
        })
    }

    fn observable(&self, cells: &Cells, k: u32) -> Result<(), String> {
        self.cells(cells)?;
        let p = self.populations[cells.population as usize];
        if k as usize >= p.dynamics.observables.len() {
            return Err(format!("observable {k} of {} does not exist", p.path));
        }
        Ok(())
    }

    fn projections(&self, list: &[u32]) -> Result<(), String> {
        match list.iter().find(|p| **p as usize >= self.projections) {
            Some(p) => Err(format!("projection {p} does not exist")),
            None => Ok(()),
        }
    }

    fn settable(&self, target: &SetTarget) -> Result<(), String> {
        self.cells(&target.cells)?;
        let p = self.populations[target.cells.population as usize];
        match p.dynamics.params.get(target.param as usize) {
            Some(q) if q.settable => Ok(()),
            _ => Err(format!("param {} of {} can't be set", target.param, p.path)),
        }
    }

    fn sensor(&self, k: u32) -> Result<(), String> {
        if (k as usize) < self.sensors { Ok(()) } else { Err(format!("sensor {k} does not exist")) }
    }

    fn variable(&self, v: u32) -> Result<(), String> {
        if v < self.variables { Ok(()) } else { Err(format!("variable {v} does not exist")) }
    }

    fn statements(&self, list: &[Stmt]) -> Result<(), String> {
        for s in list {
            match s {
                Stmt::Simulate { time, .. } => self.expr(time)?,
                Stmt::Set { target, value, lasting, .. } => {
                    self.settable(target)?;
                    self.expr(value)?;
                    lasting.iter().try_for_each(|e| self.expr(e))?;
                }
                Stmt::Phase(phase) => {
                    self.expr(&phase.length)?;
                    phase.learning.iter().try_for_each(|(_, of)| self.projections(of))?;
                    phase.every.iter().try_for_each(|e| self.expr(&e.period))?;
                    phase.blocks().try_for_each(|b| self.statements(b))?;
                }
                Stmt::Replay { memory, target, value, lasting, .. } => {
                    if *memory as usize >= self.memories {
                        return Err(format!("memory {memory} does not exist"));
                    }
                    self.settable(target)?;
                    [value, lasting].into_iter().try_for_each(|e| self.expr(e))?;
                }
                Stmt::Emit { event, value, after, .. } => {
                    if *event as usize >= self.events {
                        return Err(format!("event {event} does not exist"));
                    }
                    value.iter().chain(after).try_for_each(|e| self.expr(e))?;
                }
                Stmt::SetSensor { sensor, slots, value, lasting, .. } => {
                    self.sensor(*sensor)?;
                    slots.iter().chain([value]).chain(lasting).try_for_each(|e| self.expr(e))?;
                }
                Stmt::Assign { variable, slots, value, .. } => {
                    self.variable(*variable)?;
                    slots.iter().try_for_each(|e| self.expr(e))?;
                    self.expr(value)?;
                }
                Stmt::For { loops, body, .. } => {
                    for l in loops {
                        self.variable(l.variable)?;
                        self.expr(&l.start)?;
                        l.end.iter().try_for_each(|e| self.expr(e))?;
                    }
                    self.statements(body)?;
                }
                Stmt::Repeat { times, until, body, .. } => {
                    self.expr(times)?;
                    until.iter().try_for_each(|e| self.expr(e))?;
                    self.statements(body)?;
                }
                Stmt::If { condition, then, otherwise, .. } => {
                    self.expr(condition)?;
                    self.statements(then)?;
                    self.statements(otherwise)?;
                }
                Stmt::Expect(e) => {
                    self.expr(&e.condition)?;
                    e.measured.iter().try_for_each(|m| self.expr(m))?;
                }
                Stmt::Step { environment, given, lasting, .. } => {
                    self.world(*environment)?;
                    given.iter().map(|(_, e)| e).chain(lasting).try_for_each(|e| self.expr(e))?;
                }
                Stmt::ResetEnvironment { environment, .. } => drop(self.world(*environment)?),
                Stmt::Measure { value, .. } => self.expr(value)?,
                Stmt::Learning { projections, .. } => self.projections(projections)?,
                Stmt::Update { projections, variables, body, .. } => {
                    self.projections(projections)?;
                    variables.iter().try_for_each(|v| self.variable(*v))?;
                    self.statements(body)?;
                }
                Stmt::Downscale { projections, by, .. } => {
                    self.projections(projections)?;
                    self.expr(by)?;
                }
                Stmt::Reset { populations, projections, sensors, .. } => {
                    sensors.iter().try_for_each(|s| self.sensor(*s))?;
                    self.projections(projections)?;
                    if populations.iter().any(|p| *p as usize >= self.populations.len()) {
                        return Err("a reset of a population that does not exist".to_string());
                    }
                }
            }
        }
        Ok(())
    }

    fn expr(&self, e: &Expr) -> Result<(), String> {
        match e {
            // Variables of tables lie above those of the experiment and are bound by the table.
            Expr::Const(_) | Expr::Var(_) | Expr::Rows(_) => Ok(()),
            Expr::Unary(_, a) => self.expr(a),
            Expr::Binary(_, a, b) => self.expr(a).and_then(|()| self.expr(b)),
            Expr::In(a, b, c) | Expr::If(a, b, c) => [a, b, c].into_iter().try_for_each(|x| self.expr(x)),
            Expr::List(items) | Expr::Call(_, items) => items.iter().try_for_each(|x| self.expr(x)),
            Expr::Draw { args, .. } | Expr::ListDraw { args, .. } => args.iter().try_for_each(|x| self.expr(x)),
            Expr::Table { axes, body } => {
                axes.iter().try_for_each(|(_, x)| self.expr(x)).and_then(|()| self.expr(body))
            }
            Expr::Index(a, slots) => self.expr(a).and_then(|()| self.slots(slots)),
            Expr::Query(q) => match q.as_ref() {
                Query::Spikes { of, window, by, bin, .. } => {
                    self.cells(of)?;
                    if by.is_some_and(|a| a as usize >= self.populations[of.population as usize].axes.len()) {
                        return Err("`by` names an axis that does not exist".to_string());
                    }
                    bin.iter().try_for_each(|e| self.expr(e))?;
                    self.window(window)
                }
                Query::Trace { of, observable, window } => {
                    self.observable(of, *observable)?;
                    window.iter().try_for_each(|w| self.window(w))
                }
                Query::Weights { projections } => self.projections(projections),
                Query::Weight { projection, pre, post } => {
                    self.projections(&[*projection])?;
                    self.expr(pre)?;
                    self.expr(post)
                }
                Query::Wiring { projection, .. } => self.projections(&[*projection]),
                Query::Sensor(k) => self.sensor(*k),
                Query::Table(k) if *k as usize >= self.tables => Err(format!("table {k} does not exist")),
                Query::Environment { environment, output } => {
                    if *output as usize >= self.world(*environment)?.outputs() {
                        return Err(format!("output {output} of environment {environment} does not exist"));
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    fn window(&self, w: &Window) -> Result<(), String> {
        match w {
            Window::Whole | Window::Named(_, None) => Ok(()),
            Window::Named(_, Some((lo, hi))) | Window::Interval(lo, hi) => {
                self.expr(lo)?;
                hi.iter().try_for_each(|e| self.expr(e))
            }
            Window::Last(t) => self.expr(t),
        }
    }
}
