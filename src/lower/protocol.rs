//! Experiments to bounded programs over the lowered network.

use super::dynamics::{Cx, Mode};
use super::error::*;
use super::network::Elaborated;
use super::plausible::known;
use super::sleep;
use super::{Fail, Lowering, Overrides};
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{self, ExprKind, PopulationId, StmtKind, ValueId, ValueKind};
use crate::ir::protocol::{
    Actuator, Bounds, CurvePlot, Expect, Loop, Plot, PlotItem, Protocol, Record, SetTarget, Stmt, Variable,
};
use crate::script::{self, BinaryOp, Cells, Expr, Func, NoHost, Query, RowQuery, Value, VarId, Window};
use crate::sema::given;
use crate::units::Dimension;
use std::collections::{BTreeMap, HashMap};

/// Length of a run of a circuit without an experiment, where `--for` does not say: ms.
const DEFAULT_DURATION: f64 = 1000.0;

const RECORDED: &str = "weights that are made anew for each spike are not recorded";

impl Lowering<'_> {
    pub(super) fn protocol(
        &mut self,
        network: hir::NetworkId,
        experiment: Option<&hir::Experiment>,
        out: &mut Elaborated,
        overrides: &Overrides,
        point: &[(ValueId, Value)],
    ) -> Option<(Protocol, Vec<(VarId, Value)>)> {
        let errors = self.diags.error_count();
        let duration = match &overrides.duration {
            Some(text) => match given(text, Dimension::TIME, hir::Kind::Number) {
                Ok(v) => v.number().ok(),
                Err((why, help)) => {
                    self.diags.push(Diagnostic::error(OVERRIDE, format!("--for {text}: {why}")).help(help));
                    return None;
                }
            },
            None => None,
        };
        let mut protocol = Protocol::default();
        let Some(e) = experiment else {
            let time = Expr::number(duration.unwrap_or(DEFAULT_DURATION));
            protocol.duration_hint_ms = duration.or(Some(DEFAULT_DURATION));
            protocol.statements.push(Stmt::Simulate { time, window: None, place: "--for".to_string() });
            protocol.actuators = self.actuators(network, out);
            let tables = self.drawn_tables(out);
            protocol.tables = self.report(tables)?;
            self.seal(out);
            return Some((protocol, Vec::new()));
        };
        self.live = true;
        self.drawn = Some(Vec::new());
        self.declare_variables(e, &mut protocol);
        let mut sweep = Vec::new();
        for (v, value) in point {
            if let Some(slot) = self.slots.get(v) {
                sweep.push((*slot, value.clone()));
            }
        }
        for r in &e.records {
            let lowered = self.record(r, out);
            protocol.records.extend(self.report(lowered).into_iter().flatten());
        }
        for p in &e.plots {
            let lowered = self.plot(p, out);
            if let Some(p) = self.report(lowered) {
                protocol.plots.push(p);
            }
        }
        if sleep::replays(&e.body) {
            let program = self.program;
            let memories = self.memories(program.network(e.network), out);
            protocol.memories = self.report(memories).unwrap_or_default();
        }
        protocol.statements = self.statements(&e.body, out);
        protocol.conclude = self.statements(&e.conclude, out);
        for (curve, span) in &e.curves {
            let lowered = self.curve(curve, *span, out);
            if let Some(c) = self.report(lowered) {
                protocol.conclude_plots.push(c);
            }
        }
        for aims in &e.fronts {
            let lowered: Result<Vec<CurvePlot>, Fail> =
                aims.iter().map(|(aim, span)| self.curve(aim, *span, out)).collect();
            if let Some(aims) = self.report(lowered) {
                protocol.conclude_fronts.push(aims);
            }
        }
        self.live = false;
        let tables = self.drawn_tables(out);
        protocol.tables = self.report(tables)?;
        protocol.environments = self.environments(e);
        if let Some(ms) = duration {
            self.replace_duration(e, &mut protocol, ms);
        }
        protocol.duration_hint_ms = hint(&protocol.statements);
        self.seal(out);
        (self.diags.error_count() == errors).then_some((protocol, sweep))
    }

    /// The network's own tables of those that the experiment reads.
    fn drawn_tables(&mut self, out: &mut Elaborated) -> Result<Vec<u32>, Fail> {
        let mut tables = Vec::new();
        for id in self.drawn.take().unwrap_or_default() {
            let (axes, value) = match &self.program.value(id).kind {
                ValueKind::Let(value) => (&[] as &[hir::TableAxis], value),
                ValueKind::Table { axes, value } => (axes.as_slice(), value),
                _ => continue,
            };
            let Elaborated { network, tables: known, .. } = &mut *out;
            let mode = Mode::Build { own: None, ends: None, columns: &[] };
            let mut cx = Cx { network, mode, formals: HashMap::new(), tables: known, lets: HashMap::new() };
            tables.push(self.random_table(id, axes, value, value.span, &mut cx)?);
        }
        Ok(tables)
    }

    fn replace_duration(&mut self, e: &hir::Experiment, protocol: &mut Protocol, ms: f64) {
        let mut times = Vec::new();
        find_simulate(&mut protocol.statements, &mut times, false);
        let several = times.len() != 1 || times.iter().any(|(_, looped)| *looped);
        match times.into_iter().next() {
            Some((time, _)) if !several => *time = Expr::number(ms),
            _ => self.diags.push(
                Diagnostic::error(
                    FOR_TIME,
                    "--for replaces the only `simulate` of an experiment; this one has none or several",
                )
                .label(e.span, "of this experiment")
                .help("make the durations params and override those: --set duration=..."),
            ),
        }
    }

    /// Every variable that a statement assigns or a loop runs through gets a slot; sweeps first.
    fn declare_variables(&mut self, e: &hir::Experiment, protocol: &mut Protocol) {
        let mut add = |me: &mut Self, v: ValueId, of: Option<&hir::Loop>| {
            if me.slots.contains_key(&v) {
                return;
            }
            let def = me.program.value(v);
            me.slots.insert(v, protocol.variables.len() as VarId);
            protocol.variables.push(Variable {
                name: def.name.clone(),
                dimension: def.ty.dimension(),
                labels: of.map_or_else(Vec::new, |l| me.label_names(l)),
                in_rows: of.is_some(),
            });
        };
        for l in &e.sweeps {
            add(self, l.variable, Some(l));
        }
        assigned(&e.body, &mut |v, of| add(self, v, of));
        for s in &e.conclude {
            if let StmtKind::Assign { variable, .. } = &s.kind {
                add(self, *variable, None);
            }
        }
        // Measures and `seed` are read only in aggregates; they are found there.
        for (k, def) in self.program.values.iter().enumerate() {
            let id = ValueId(k as u32);
            if matches!(def.kind, ValueKind::Measure) && def.span == e.span {
                add(self, id, None);
            }
        }
        for v in &e.names {
            if matches!(self.program.value(*v).kind, ValueKind::Variable) {
                add(self, *v, None);
            }
        }
    }

    /// What the values of a loop's variable are called, where they are labels of one set.
    pub(super) fn label_names(&self, l: &hir::Loop) -> Vec<String> {
        let found = self.labels_in(&l.start).filter(|_| l.end.is_none());
        let members = found.map(|k| self.program.labels[k].members.as_slice()).unwrap_or_default();
        members.iter().map(|v| self.program.value(*v).name.clone()).collect()
    }

    /// The set of labels, by position, that every element of a list is of.
    fn labels_in(&self, e: &hir::Expr) -> Option<usize> {
        match &e.kind {
            ExprKind::List(items) => {
                let mut sets = items.iter().map(|x| self.labels_in(x));
                let first = sets.next().flatten();
                first.filter(|_| sets.all(|s| s == first))
            }
            ExprKind::If(_, a, b) => self.labels_in(a).filter(|k| Some(*k) == self.labels_in(b)),
            ExprKind::Value(v) => match &self.program.value(*v).kind {
                ValueKind::Label(_) => self.program.labels.iter().position(|l| l.members.contains(v)),
                ValueKind::Let(inner) => self.labels_in(inner),
                _ => None,
            },
            _ => None,
        }
    }

    fn actuators(&mut self, network: hir::NetworkId, out: &mut Elaborated) -> Vec<Actuator> {
        self.live = true;
        self.drawn = Some(Vec::new());
        let mut all = Vec::new();
        for (path, id) in self.program.network(network).actuators.clone() {
            let def = self.program.value(id);
            let named = hir::Expr { kind: ExprKind::Value(id), span: def.span, ty: def.ty };
            let value = self.live_script(&named, out);
            let Some(value) = self.report(value) else { continue };
            all.push(Actuator { path, value, dimension: def.ty.dim.unwrap_or(Dimension::NUMBER) });
        }
        all
    }

    pub(super) fn statements(&mut self, list: &[hir::Stmt], out: &mut Elaborated) -> Vec<Stmt> {
        let mut result = Vec::new();
        for s in list {
            let lowered = self.statement(s, out);
            if let Some(mut lowered) = self.report(lowered) {
                result.append(&mut lowered);
            }
        }
        result
    }

    /// Statements that a run may leave out.
    pub(super) fn inner(&mut self, list: &[hir::Stmt], out: &mut Elaborated) -> Vec<Stmt> {
        let before = std::mem::replace(&mut self.certain, false);
        let result = self.statements(list, out);
        self.certain = before;
        result
    }

    fn statement(&mut self, s: &hir::Stmt, out: &mut Elaborated) -> Result<Vec<Stmt>, Fail> {
        let place = self.place(s.span);
        Ok(vec![match &s.kind {
            StmtKind::Simulate { time: given, window } => {
                let time = self.live_script(given, out)?;
                self.not_negative(&time, given.span, "a simulation")?;
                Stmt::Simulate { time, window: window.clone(), place }
            }
            StmtKind::Set { target, name, op, value, lasting } => {
                let given = value;
                let value = self.live_script(given, out)?;
                self.fits_cells(&value, target, given.span, out)?;
                let bounds = self.declared_bounds(target, name, out)?;
                if let Some((bounds, declared)) = &bounds {
                    self.set_within(bounds, *declared, *op, &value, given.span)?;
                }
                let lasting = self.duration(lasting.as_ref(), "a setting", out)?;
                let mut all = Vec::new();
                for target in self.set_targets(target, name, s.span, out)? {
                    let bounds = bounds.as_ref().map(|(b, _)| b.clone());
                    all.push(Stmt::Set {
                        target: SetTarget { bounds, ..target },
                        op: *op,
                        value: value.clone(),
                        lasting: lasting.clone(),
                        place: place.clone(),
                    });
                }
                return Ok(all);
            }
            StmtKind::Sleep { cycles, phases } => self.sleep(cycles, phases, place, out)?,
            StmtKind::Replay { memory, target, name, by, lasting, site } => {
                let mut all = Vec::new();
                for t in self.set_targets(target, name, s.span, out)? {
                    all.push(self.replay(*memory, t, by, lasting, *site, place.clone(), out)?);
                }
                return Ok(all);
            }
            StmtKind::SetGain { projection, op, value, lasting } => {
                let given = value;
                let value = self.live_script(given, out)?;
                let lasting = self.duration(lasting.as_ref(), "a setting", out)?;
                let of = self.set_gain(projection, s.span, out)?.into_iter();
                return Ok(of
                    .map(|target| Stmt::Set {
                        target,
                        op: *op,
                        value: value.clone(),
                        lasting: lasting.clone(),
                        place: place.clone(),
                    })
                    .collect());
            }
            StmtKind::Emit { event, value, after } => {
                let value = value.as_ref().map(|v| self.live_script(v, out)).transpose()?;
                let later = self.duration(after.as_ref(), "a wait", out)?;
                Stmt::Emit { event: *event, value, after: later, place }
            }
            StmtKind::SetSensor { sensor, slots, op, value, lasting } => {
                let lasting = self.duration(lasting.as_ref(), "a setting", out)?;
                let slots = slots
                    .iter()
                    .map(|slot| match slot {
                        hir::Slot::At(e) => self.live_script(e, out),
                        hir::Slot::Range(..) => Err(Diagnostic::error(SLICE, "a range of a sensor can't be set")
                            .label(s.span, "set all of it with a list, or one position after the other")),
                    })
                    .collect::<Result<Vec<_>, Fail>>()?;
                let span = value.span;
                let value = self.live_script(value, out)?;
                self.fills_sensor(&value, *sensor, slots.len(), span, out);
                if let Some(s) = out.network.sensors.get(*sensor as usize)
                    && let (Some(bounds), Some(declared)) = (&s.bounds, out.origins.sensors.get(&s.path))
                {
                    self.set_within(bounds, *declared, *op, &value, span)?;
                }
                Stmt::SetSensor { sensor: *sensor, slots, op: *op, value, lasting, place }
            }
            StmtKind::Assign { variable, slots, op, value } => Stmt::Assign {
                variable: self.slots.get(variable).copied().unwrap_or(0),
                slots: slots.iter().map(|e| self.live_script(e, out)).collect::<Result<_, _>>()?,
                op: *op,
                value: self.live_script(value, out)?,
                place,
            },
            StmtKind::Fill { variable, axes, value, whole } => {
                let value = match axes.is_empty() || *whole {
                    true => {
                        let given = self.live_script(value, out)?;
                        if let (true, Ok(list)) = (*whole, script::eval(&given, &mut NoHost::default())) {
                            self.check_shape(axes, &list, value.span)?;
                        }
                        given
                    }
                    false => self.script_table(axes, value)?,
                };
                Stmt::Assign {
                    variable: self.slots.get(variable).copied().unwrap_or(0),
                    slots: Vec::new(),
                    op: None,
                    value,
                    place,
                }
            }
            StmtKind::For { loops, body } => {
                let loops = loops
                    .iter()
                    .map(|l| {
                        Ok(Loop {
                            variable: self.slots.get(&l.variable).copied().unwrap_or(0),
                            start: self.live_script(&l.start, out)?,
                            end: l.end.as_ref().map(|e| self.live_script(e, out)).transpose()?,
                        })
                    })
                    .collect::<Result<_, Fail>>()?;
                Stmt::For { loops, body: self.inner(body, out), place }
            }
            StmtKind::Repeat { times, until, body } => Stmt::Repeat {
                times: self.repetitions(times, out)?,
                until: until.as_ref().map(|u| self.live_script(u, out)).transpose()?,
                body: self.inner(body, out),
                place,
            },
            StmtKind::If { condition, then, otherwise } => Stmt::If {
                condition: self.live_script(condition, out)?,
                then: self.inner(then, out),
                otherwise: self.inner(otherwise, out),
                place,
            },
            StmtKind::Expect { condition, within, text } => {
                Stmt::Expect(self.expect(condition, within.as_ref(), text, place, out)?)
            }
            StmtKind::Learning { on, of } => {
                let projections = match of.as_slice() {
                    [] => out
                        .network
                        .projections()
                        .zip(0..)
                        .filter(|((id, ..), _)| out.network.rule(*id).is_some())
                        .map(|(_, k)| k)
                        .collect(),
                    of => self.projections(of, s.span, out)?,
                };
                Stmt::Learning { on: *on, projections }
            }
            StmtKind::Update { projection, variables, body } => {
                let projections = self.projections(std::slice::from_ref(projection), s.span, out)?;
                self.make_mutable(&projections, s.span, out)?;
                let variables = variables.map(|v| self.slots.get(&v).copied().unwrap_or(0));
                Stmt::Update { projections, variables, body: self.inner(body, out), place }
            }
            StmtKind::Downscale { of, by } => {
                let projections = self.projections(of, s.span, out)?;
                self.make_mutable(&projections, s.span, out)?;
                Stmt::Downscale { projections, by: self.live_script(by, out)?, place }
            }
            StmtKind::Reset { what, of } => {
                let inside = |path: &str| {
                    of.is_empty() || of.iter().any(|o| path == o || o.ends_with('.') && path.starts_with(o))
                };
                let populations: Vec<u32> = match what {
                    hir::ResetWhat::Weights => Vec::new(),
                    _ => out
                        .network
                        .populations()
                        .zip(0..)
                        .filter(|((_, p), _)| inside(&p.path))
                        .map(|(_, k)| k)
                        .collect(),
                };
                let projections: Vec<u32> = match what {
                    hir::ResetWhat::State => Vec::new(),
                    _ => {
                        let all = out.network.projections().zip(0..);
                        all.filter(|((.., p), _)| inside(p.path.split(':').next().unwrap_or(&p.path)))
                            // What nothing can change is what it was.
                            .filter(|((.., p), _)| p.procedural.is_none())
                            .map(|(_, k)| k)
                            .collect()
                    }
                };
                let sensors: Vec<u32> = match what {
                    hir::ResetWhat::Weights => Vec::new(),
                    _ => out.network.sensors.iter().zip(0..).filter(|(s, _)| inside(&s.path)).map(|(_, k)| k).collect(),
                };
                Stmt::Reset { populations, projections, sensors, place }
            }
            StmtKind::Step { environment, args, lasting } => {
                let lasting = self.duration(lasting.as_ref(), "a step of an environment", out)?;
                let given = args
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.live_script(value, out)?)))
                    .collect::<Result<_, Fail>>()?;
                Stmt::Step { environment: *environment, given, lasting, place }
            }
            StmtKind::ResetEnvironment { environment } => Stmt::ResetEnvironment { environment: *environment, place },
            StmtKind::Measure { name, value } => Stmt::Measure {
                name: name.clone(),
                dimension: value.ty.dimension(),
                value: self.live_script(value, out)?,
                place,
            },
        }])
    }

    /// A time that a statement may give.
    fn duration(&mut self, e: Option<&hir::Expr>, what: &str, out: &mut Elaborated) -> Result<Option<Expr>, Fail> {
        let Some(e) = e else { return Ok(None) };
        let time = self.live_script(e, out)?;
        self.not_negative(&time, e.span, what)?;
        Ok(Some(time))
    }

    fn expect(
        &mut self,
        condition: &hir::Expr,
        within: Option<&(hir::Expr, bool)>,
        text: &str,
        place: String,
        out: &mut Elaborated,
    ) -> Result<Expect, Fail> {
        let (left, right) = match &condition.kind {
            ExprKind::Binary(op, a, b) if !matches!(op, hir::BinaryOp::And | hir::BinaryOp::Or) => {
                (Some(a.as_ref()), Some(b.as_ref()))
            }
            ExprKind::In(a, ..) => (Some(a.as_ref()), None),
            _ => (None, None),
        };
        let dimension =
            left.map_or(Dimension::NUMBER, |l| l.ty.dim.or(right.and_then(|r| r.ty.dim)).unwrap_or(Dimension::NUMBER));
        let measured = left.map(|l| self.live_script(l, out)).transpose()?;
        let condition = match (within, &measured, right) {
            (Some((width, relative)), Some(a), Some(b)) => {
                let b = self.live_script(b, out)?;
                let width = self.live_script(width, out)?;
                let off = Expr::Binary(BinaryOp::Sub, Box::new(a.clone()), Box::new(b.clone()));
                let off = Expr::Call(Func::Abs, vec![off]);
                let allowed = if *relative {
                    Expr::Binary(BinaryOp::Mul, Box::new(width), Box::new(Expr::Call(Func::Abs, vec![b])))
                } else {
                    width
                };
                Expr::Binary(BinaryOp::Le, Box::new(off), Box::new(allowed))
            }
            _ => self.live_script(condition, out)?,
        };
        Ok(Expect { text: text.to_string(), condition, measured, dimension, place })
    }

    /// A script expression that may ask the run.
    pub(super) fn live_script(&mut self, e: &hir::Expr, out: &mut Elaborated) -> Result<Expr, Fail> {
        self.nest(e.span, |me| me.live_node(e, out))
    }

    /// The one projection that a path stands for, by position.
    fn one_projection(&mut self, path: &String, span: Span, out: &mut Elaborated) -> Result<u32, Fail> {
        let found = self.projections(std::slice::from_ref(path), span, out)?;
        match found.as_slice() {
            [one] => Ok(*one),
            several => Err(Diagnostic::error(EVALUATION, "this name stands for several projections")
                .label(span, format!("{} of them: one source and one target each", several.len()))
                .help(format!("write one with a name of its own for each; `weight({path})` lists the weights of all"))),
        }
    }

    fn live_node(&mut self, e: &hir::Expr, out: &mut Elaborated) -> Result<Expr, Fail> {
        let asks = super::reads(e, self.program, &mut |x| {
            matches!(
                x.kind,
                ExprKind::Spikes { .. }
                    | ExprKind::Trace { .. }
                    | ExprKind::Rows { .. }
                    | ExprKind::Weights { .. }
                    | ExprKind::Wiring { .. }
            ) || matches!(&x.kind, ExprKind::Value(v) if matches!(self.program.value(*v).kind, ValueKind::Sensor(_) | ValueKind::Level(_)))
        });
        if !asks {
            return self.script(e);
        }
        let each = |me: &mut Self, items: &[hir::Expr], out: &mut Elaborated| {
            items.iter().map(|x| me.live_script(x, out)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match &e.kind {
            ExprKind::Spikes { stat, of, window, by, bin } => {
                let cells = self.cells(of, out)?;
                let axes = out.placed.get(&of.population).map(|p| p.info.axes.clone()).unwrap_or_default();
                let by = by.as_ref().and_then(|name| axes.iter().position(|a| a == name)).map(|k| k as u32);
                let bin = bin.as_ref().map(|b| self.live_script(b, out)).transpose()?;
                Expr::Query(Box::new(Query::Spikes {
                    stat: *stat,
                    of: cells,
                    window: self.window(window, out)?,
                    by,
                    bin,
                }))
            }
            ExprKind::Trace { of, name, window } => {
                let observable = self.observe(of, name, out)?;
                let window = window.as_ref().map(|w| self.window(w, out)).transpose()?;
                Expr::Query(Box::new(Query::Trace { of: self.cells(of, out)?, observable, window }))
            }
            ExprKind::Weights { projection, pair } => {
                let query = match pair {
                    Some((pre, post)) => Query::Weight {
                        projection: self.one_projection(projection, e.span, out)?,
                        pre: self.live_script(pre, out)?,
                        post: self.live_script(post, out)?,
                    },
                    None => {
                        Query::Weights { projections: self.projections(std::slice::from_ref(projection), e.span, out)? }
                    }
                };
                Expr::Query(Box::new(query))
            }
            ExprKind::Wiring { stat, projection } => {
                let projection = self.one_projection(projection, e.span, out)?;
                Expr::Query(Box::new(Query::Wiring { stat: *stat, projection }))
            }
            // What a let stands for is asked where its name stands.
            ExprKind::Value(id) => match &self.program.value(*id).kind {
                ValueKind::Sensor(k) => Expr::Query(Box::new(Query::Sensor(*k))),
                ValueKind::Level(p) => {
                    let cells = hir::Cells { population: *p, slots: Vec::new(), part: None, span: e.span };
                    let model = out.placed.get(p).map(|p| p.body.model);
                    let level = model.and_then(|m| self.program.model(m).level);
                    let name = level.map_or("", |l| self.program.value(l).name.as_str()).to_string();
                    let observable = self.observe(&cells, &name, out)?;
                    let now = Query::Trace { of: self.cells(&cells, out)?, observable, window: None };
                    let first = script::Slot::At(Expr::number(0.0));
                    Expr::Index(Box::new(Expr::Query(Box::new(now))), vec![first])
                }
                ValueKind::Let(inner) => stack::deep(|| self.live_script(inner, out))?,
                _ => return self.script(e),
            },
            ExprKind::Rows { func, values, filter, by } => {
                Expr::Rows(Box::new(self.rows(*func, values, filter.as_deref(), by.as_ref())?))
            }
            ExprKind::Unary(op, a) => Expr::Unary(*op, Box::new(self.live_script(a, out)?)),
            ExprKind::Binary(op, a, b) => {
                Expr::Binary(*op, Box::new(self.live_script(a, out)?), Box::new(self.live_script(b, out)?))
            }
            ExprKind::In(a, b, c) => Expr::In(
                Box::new(self.live_script(a, out)?),
                Box::new(self.live_script(b, out)?),
                Box::new(self.live_script(c, out)?),
            ),
            ExprKind::If(c, a, b) => Expr::If(
                Box::new(self.live_script(c, out)?),
                Box::new(self.live_script(a, out)?),
                Box::new(self.live_script(b, out)?),
            ),
            ExprKind::List(items) => Expr::List(each(self, items, out)?),
            ExprKind::Call(f, args) => Expr::Call(*f, each(self, args, out)?),
            ExprKind::Draw { distribution, args, site } => {
                Expr::Draw { distribution: *distribution, args: each(self, args, out)?, site: self.own_site(*site) }
            }
            ExprKind::ListDraw { kind, args, site } => {
                Expr::ListDraw { kind: *kind, args: each(self, args, out)?, site: self.own_site(*site) }
            }
            ExprKind::IndexList(a, slots) => {
                Expr::Index(Box::new(self.live_script(a, out)?), self.live_slots(slots, out)?)
            }
            _ => return self.script(e),
        })
    }

    fn live_slots(&mut self, slots: &[hir::Slot], out: &mut Elaborated) -> Result<Vec<script::Slot>, Fail> {
        slots
            .iter()
            .map(|s| {
                Ok(match s {
                    hir::Slot::At(e) => script::Slot::At(self.live_script(e, out)?),
                    hir::Slot::Range(lo, hi) => script::Slot::Range(
                        lo.as_ref().map(|e| self.live_script(e, out)).transpose()?,
                        hi.as_ref().map(|e| self.live_script(e, out)).transpose()?,
                    ),
                })
            })
            .collect()
    }

    fn window(&mut self, w: &hir::Window, out: &mut Elaborated) -> Result<Window, Fail> {
        Ok(match w {
            hir::Window::Whole => Window::Whole,
            hir::Window::Named(name, part) => {
                let part = match part {
                    Some((lo, hi)) => {
                        let lo = self.live_script(lo, out)?;
                        Some((lo, hi.as_ref().map(|h| self.live_script(h, out)).transpose()?))
                    }
                    None => None,
                };
                Window::Named(name.clone(), part)
            }
            hir::Window::Interval(lo, hi) => {
                let lo = self.live_script(lo, out)?;
                Window::Interval(lo, hi.as_ref().map(|h| self.live_script(h, out)).transpose()?)
            }
            hir::Window::Last(t) => Window::Last(self.live_script(t, out)?),
        })
    }

    /// Position among the network's populations, in order of declaration.
    pub(super) fn position(&self, id: PopulationId, out: &Elaborated, span: Span) -> Result<u32, Fail> {
        let node = out.placed.get(&id).filter(|p| !p.private).map(|p| p.node);
        node.and_then(|node| out.network.populations().position(|(n, _)| n == node)).map(|k| k as u32).ok_or_else(
            || {
                Diagnostic::error(EVALUATION, "these cells are not in the network as it is laid out")
                    .label(span, "left out by an `if`, or without a size")
            },
        )
    }

    pub(super) fn cells(&mut self, c: &hir::Cells, out: &mut Elaborated) -> Result<Cells, Fail> {
        let population = self.position(c.population, out, c.span)?;
        // What is known now is checked now; the rest when the run asks.
        if self.certain
            && let Err(d) = self.subset(c, out)
            && d.code == SLICE
        {
            return Err(d);
        }
        Ok(Cells { population, slots: self.live_slots(&c.slots, out)? })
    }

    /// Positions of the projections that a name stands for: one, all of its ends, or all in a region (`bg.`).
    pub(super) fn projections(&mut self, names: &[String], span: Span, out: &Elaborated) -> Result<Vec<u32>, Fail> {
        let mut found = Vec::new();
        for name in names {
            let before = found.len();
            for ((.., p), k) in out.network.projections().zip(0..) {
                let own = p.path == *name
                    || p.path.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([':', '#']));
                if own || name.ends_with('.') && p.path.starts_with(name.as_str()) {
                    found.push(k);
                }
            }
            if found.len() == before {
                return Err(Diagnostic::error(
                    EVALUATION,
                    format!("`{name}` has no synapses in the network as it is laid out"),
                )
                .label(span, "left out by an `if`, of a source without a size, or continuous"));
            }
        }
        Ok(found)
    }

    /// Weights that change are stored one by one, even where they start equal.
    fn make_mutable(&mut self, projections: &[u32], span: Span, out: &mut Elaborated) -> Result<(), Fail> {
        self.kept(projections, span, "synapses that are made anew for each spike can't be changed", out)?;
        let ids: Vec<_> = out.network.projections().map(|(id, ..)| id).collect();
        for p in projections {
            if let Some(id) = ids.get(*p as usize)
                && !out.network.mutable.contains(id)
            {
                out.network.mutable.push(*id);
            }
        }
        Ok(())
    }

    /// Refuses what needs weights that are kept.
    fn kept(&self, projections: &[u32], span: Span, what: &str, out: &Elaborated) -> Result<(), Fail> {
        let found = projections.iter().filter_map(|k| out.network.projections().nth(*k as usize));
        match found.map(|(.., p)| p).find(|p| p.procedural.is_some()) {
            None => Ok(()),
            Some(p) => Err(Diagnostic::error(crate::sema::error::PROCEDURAL, what)
                .label(span, format!("`{}` is procedural", p.path))
                .help("leave `procedural` out of its `connect`; `weight(...)` reads its weights as they are")),
        }
    }

    fn observe(&mut self, c: &hir::Cells, name: &str, out: &mut Elaborated) -> Result<u32, Fail> {
        let Elaborated { network, placed, tables, .. } = out;
        match placed.get_mut(&c.population) {
            Some(p) if !p.private => {
                let name = self.name_on_cells(p.body.model, c, name)?;
                self.observable(&mut p.body, network, tables, &name, c.span)
            }
            _ => Err(Diagnostic::error(EVALUATION, "these cells are not in the network as it is laid out")
                .label(c.span, "here")),
        }
    }

    fn set_targets(
        &mut self,
        c: &hir::Cells,
        name: &str,
        span: Span,
        out: &mut Elaborated,
    ) -> Result<Vec<SetTarget>, Fail> {
        let text = self.sources.snippet(c.span).to_string();
        let Some(placed) = out.placed.get(&c.population) else {
            return Err(Diagnostic::error(EVALUATION, "these cells are not in the network as it is laid out")
                .label(c.span, "here"));
        };
        if placed.private {
            let places: Vec<(PopulationId, u32)> =
                placed.scattered.iter().filter(|(_, n, _)| n == name).map(|(p, _, k)| (*p, *k)).collect();
            if places.is_empty() {
                return Err(Diagnostic::error(crate::sema::error::NOT_SETTABLE, format!("`{name}` can't be set here"))
                    .label(span, "it fixes structure, follows time, or its source reaches nothing"));
            }
            return places
                .into_iter()
                .map(|(p, param)| {
                    Ok(SetTarget {
                        cells: Cells { population: self.position(p, out, c.span)?, slots: Vec::new() },
                        param,
                        text: text.clone(),
                        bounds: None,
                    })
                })
                .collect();
        }
        let shown = self.name_on_cells(placed.body.model, c, name)?;
        let found = placed.body.dynamics.params.iter().position(|p| p.settable && p.name == shown);
        let Some(param) = found else {
            // An input that no equation reads, or a param that only shapes the network.
            return Err(Diagnostic::error(
                crate::sema::error::NOT_SETTABLE,
                format!("`{name}` can't be set while the circuit runs"),
            )
            .label(span, "nothing in the dynamics reads it, or it follows time"));
        };
        Ok(vec![SetTarget { cells: self.cells(c, out)?, param: param as u32, text, bounds: None }])
    }

    /// The bounds of a param of some cells, and where it is declared.
    fn declared_bounds(
        &mut self,
        c: &hir::Cells,
        name: &str,
        out: &Elaborated,
    ) -> Result<Option<(Bounds, Span)>, Fail> {
        let Some(placed) = out.placed.get(&c.population) else { return Ok(None) };
        let shown = self.name_on_cells(placed.body.model, c, name)?;
        let program = self.program;
        let mut names = program.model(placed.body.model).names.iter().copied();
        let Some(v) = names.find(|v| program.value(*v).name == shown) else { return Ok(None) };
        Ok(self.param_bounds(v)?.map(|bounds| (bounds, program.value(v).span)))
    }

    /// A value that a param is set to, where it is known and the statement is sure to be reached.
    fn set_within(
        &self,
        bounds: &Bounds,
        declared: Span,
        op: Option<BinaryOp>,
        value: &Expr,
        span: Span,
    ) -> Result<(), Fail> {
        match known(value) {
            Some(v) if op.is_none() && self.certain => self.within_bounds(bounds, &v, span, declared),
            _ => Ok(()),
        }
    }

    fn record(&mut self, r: &hir::Record, out: &mut Elaborated) -> Result<Vec<Record>, Fail> {
        Ok(match r {
            hir::Record::Spikes(c) => vec![Record::Spikes { of: self.cells(c, out)? }],
            hir::Record::Observable { of, name, every, .. } => {
                let observable = self.observe(of, name, out)?;
                let every = every.as_ref().map(|e| self.record_interval(e, out)).transpose()?;
                vec![Record::Observable { of: self.cells(of, out)?, observable, every }]
            }
            hir::Record::Weights { projection, every, span } => {
                let found = self.projections(std::slice::from_ref(projection), *span, out)?;
                self.kept(&found, *span, RECORDED, out)?;
                let every = every.as_ref().map(|e| self.record_interval(e, out)).transpose()?;
                found.into_iter().map(|projection| Record::Weights { projection, every: every.clone() }).collect()
            }
        })
    }

    fn plot(&mut self, p: &hir::Plot, out: &mut Elaborated) -> Result<Plot, Fail> {
        let mut of = Vec::new();
        for (cells, name) in &p.of {
            let observable = name.as_ref().map(|n| self.observe(cells, n, out)).transpose()?;
            of.push(PlotItem { cells: self.cells(cells, out)?, observable });
        }
        let weights = self.projections(&p.weights, p.span, out)?;
        self.kept(&weights, p.span, RECORDED, out)?;
        Ok(Plot { kind: p.kind, of, weights })
    }

    fn curve(&mut self, e: &hir::Expr, span: Span, out: &mut Elaborated) -> Result<CurvePlot, Fail> {
        let mut grouped = Vec::new();
        super::reads(e, self.program, &mut |x| {
            if let ExprKind::Rows { func, values, filter, by: Some(by) } = &x.kind {
                grouped.push((*func, values.clone(), filter.clone(), by.clone()));
            }
            false
        });
        let mut rows = Vec::with_capacity(grouped.len());
        for (func, values, filter, by) in grouped {
            rows.push(self.rows(func, &values, filter.as_deref(), Some(&by))?);
        }
        // On one line, as the formatter would write it if it fitted.
        let title = self.sources.snippet(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let title = title.replace("( ", "(").replace(" )", ")");
        Ok(CurvePlot {
            title,
            rows,
            value: self.live_script(e, out)?,
            dimension: e.ty.dimension(),
            place: self.place(span),
        })
    }

    fn rows(
        &mut self,
        func: Func,
        values: &[hir::Expr],
        filter: Option<&hir::Expr>,
        by: Option<&String>,
    ) -> Result<RowQuery, Fail> {
        let mut measures = Vec::new();
        let mut variables: BTreeMap<VarId, String> = BTreeMap::new();
        for e in values.iter().chain(filter) {
            super::reads(e, self.program, &mut |x| {
                if let ExprKind::Value(id) = &x.kind
                    && let Some(slot) = self.slots.get(id)
                {
                    let def = self.program.value(*id);
                    match def.kind {
                        ValueKind::Measure => {
                            if !measures.contains(&def.name) {
                                measures.push(def.name.clone());
                            }
                            variables.insert(*slot, def.name.clone());
                        }
                        // Lets of `conclude` are no row variables: they are known when the aggregate is taken.
                        ValueKind::Variable => {
                            variables.insert(*slot, def.name.clone());
                        }
                        _ => {}
                    }
                }
                false
            });
        }
        Ok(RowQuery {
            function: func,
            measures,
            variables: variables.into_iter().collect(),
            value: values.iter().map(|v| self.script(v)).collect::<Result<_, _>>()?,
            filter: filter.map(|f| self.script(f)).transpose()?,
            by: by.cloned(),
        })
    }
}

/// Every variable that a statement assigns, with its loop if it is one's.
pub(super) fn assigned(list: &[hir::Stmt], add: &mut dyn FnMut(ValueId, Option<&hir::Loop>)) {
    for s in list {
        match &s.kind {
            StmtKind::Assign { variable, .. } | StmtKind::Fill { variable, .. } => add(*variable, None),
            StmtKind::For { loops, .. } => loops.iter().for_each(|l| add(l.variable, Some(l))),
            StmtKind::Update { variables, .. } => variables.iter().for_each(|v| add(*v, None)),
            _ => {}
        }
        s.kind.blocks().into_iter().for_each(|block| assigned(block, add));
    }
}

/// Every `simulate`, and whether a loop or branch stands around it.
fn find_simulate<'s>(list: &'s mut [Stmt], out: &mut Vec<(&'s mut Expr, bool)>, looped: bool) {
    for s in list {
        match s {
            Stmt::Simulate { time, .. } => out.push((time, looped)),
            // Its length is a time like another, but the schedule's.
            Stmt::Phase(p) => out.push((&mut p.length, true)),
            Stmt::For { body, .. } | Stmt::Repeat { body, .. } => find_simulate(body, out, true),
            Stmt::If { then, otherwise, .. } => {
                find_simulate(then, out, true);
                find_simulate(otherwise, out, true);
            }
            _ => {}
        }
    }
}

/// Simulated time where it is known without running.
fn hint(list: &[Stmt]) -> Option<f64> {
    let mut sum = 0.0;
    for s in list {
        sum += match s {
            Stmt::Simulate { time, .. } => time.as_const()?.number().ok()?,
            Stmt::Phase(p) => p.length.as_const()?.number().ok()?,
            Stmt::For { loops, body, .. } => {
                let mut turns = 1.0;
                for l in loops {
                    let start = l.start.as_const()?;
                    turns *= match &l.end {
                        Some(end) => end.as_const()?.number().ok()? - start.number().ok()?,
                        None => match start {
                            Value::Number(n) => *n,
                            list => list.elements().len() as f64,
                        },
                    };
                }
                turns * hint(body)?
            }
            Stmt::Repeat { times, until: None, body, .. } => times.as_const()?.number().ok()? * hint(body)?,
            Stmt::Repeat { .. } => return None,
            Stmt::If { then, otherwise, .. } => {
                let (a, b) = (hint(then)?, hint(otherwise)?);
                if a != b {
                    return None;
                }
                a
            }
            _ => 0.0,
        };
    }
    Some(sum)
}
