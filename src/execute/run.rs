//! One run of an experiment: a seed, a sweep point, an engine.

use super::activity::{WindowFigures, Windows};
use super::cells::{self, Selection};
use super::checkpoint::{Checkpoint, Origin};
use super::environments::Environments;
use super::error::{Halt, diagnostic, script};
use super::events::Events;
use super::expectation::Ledger;
use super::flow::{Actor, Variables, walk};
use super::position::Position;
use super::recording::{self, PlotData};
use super::rows::Rows;
use super::sensors::{Sensors, nested};
use super::settings::{Place, Return, Temporary};
use super::sleep::Sleep;
use super::statistics::{Spikes, Steps};
use super::synapses::SynapseLog;
use crate::backend::{Engine, RunError, Setting, Touches, TraceLog, build};
use crate::base::stack;
use crate::ir::Population;
use crate::ir::artefact::Unit;
use crate::ir::protocol::{Bounds, Point, SetTarget, Stmt};
use crate::random::{Purpose, Room, Stream, StreamKey};
use crate::record::Recording;
use crate::script::{
    BinaryOp, Cells, Distribution, EvalError, Expr, Host, ListDraw, Query, RowQuery, Value, VarId, Window, binary, eval,
};
use crate::units::bytes_text;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a run is watched and stopped.
pub struct Control<'a> {
    /// Set from outside: the run stops at the next step and keeps what it has.
    pub stop: &'a AtomicBool,
    /// Called about thirty times a second while time moves.
    pub progress: &'a dyn Fn(Progress),
    /// A part of the experiment is run, as by `nsmc test --quick`: an expectation without data is skipped.
    pub quick: bool,
    /// Bytes that spikes, traces and rows of the run may take.
    pub memory: f64,
}

/// How a run is saved, and what it goes on from.
pub struct Saving<'a> {
    /// What the run is made from.
    pub origin: Origin,
    /// A checkpoint of that origin.
    pub from: Option<Checkpoint>,
    /// Steps between checkpoints; without, there is one at the end.
    pub every: Option<u64>,
    /// Takes each checkpoint; `None`: none are made.
    pub write: Option<&'a dyn Fn(&Checkpoint)>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// ms of the run that have been simulated
    pub time_ms: f64,
    /// ms that the run will take, where that is known beforehand
    pub total_ms: Option<f64>,
    /// wall time spent in the engine
    pub spent: Duration,
}

/// What one run gave, complete or up to where it stopped.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    pub seed: u64,
    pub dt_ms: f64,
    /// Steps done.
    pub steps: u64,
    pub populations: Vec<PopulationFigures>,
    /// In the order in which they first ended.
    pub windows: Vec<WindowFigures>,
    pub expectations: Ledger,
    pub rows: Rows,
    /// What `record` asks for.
    pub recording: Recording,
    /// The cells of each entry of `recording.spikes`, silent ones too.
    pub recorded: Vec<Vec<u32>>,
    /// What `plot` asks for.
    pub plots: Vec<PlotData>,
    pub synapses: u64,
    pub synapse_bytes: u64,
    pub synaptic_events: u64,
    pub touches: Touches,
    /// Wall time in the simulation loop alone.
    pub run_s: f64,
    pub interrupted: bool,
    pub error: Option<RunError>,
}

impl RunOutcome {
    pub fn duration_ms(&self) -> f64 {
        self.steps as f64 * self.dt_ms
    }
}

/// What a population did over a whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct PopulationFigures {
    pub path: String,
    /// Trains of a source, not neurons.
    pub source: bool,
    pub size: u32,
    pub spikes: u64,
    pub rate_hz: f64,
    /// `None` where no neuron has three spikes.
    pub cv_isi: Option<f64>,
    /// Neurons that it is the mean over.
    pub cv_cells: u64,
    /// Neurons with at least one spike.
    pub active: u64,
}

/// Executes the protocol of `unit` on `engine`, which was built from its network with `seed` and what
/// [`needs`](super::needs) asked for.
///
/// Errors and interruptions are part of the outcome: what was recorded until then is in it.
pub fn run(unit: &Unit, point: &Point, seed: u64, engine: &mut dyn Engine, control: &Control) -> RunOutcome {
    go_on(unit, point, seed, engine, control, None)
}

/// Executes what stands before the first moment that is simulated, and leaves `engine` there.
///
/// # Errors
/// What went wrong in it.
pub fn open(unit: &Unit, point: &Point, seed: u64, engine: &mut dyn Engine) -> Result<(), RunError> {
    let control = Control { stop: &AtomicBool::new(true), progress: &|_| {}, quick: false, memory: f64::INFINITY };
    run(unit, point, seed, engine, &control).error.map_or(Ok(()), Err)
}

/// As [`run`], from a checkpoint if there is one, making checkpoints if that is wanted: every so many steps, when the last
/// `simulate` has ended, and on an interruption. Within an `update` there is none.
///
/// What a run gives is the same to the last bit, but for wall times, whether or not it was saved and taken up again in between.
pub fn go_on(
    unit: &Unit,
    point: &Point,
    seed: u64,
    engine: &mut dyn Engine,
    control: &Control,
    saving: Option<Saving>,
) -> RunOutcome {
    stack::deep(|| walked(unit, point, seed, engine, control, saving))
}

fn walked(
    unit: &Unit,
    point: &Point,
    seed: u64,
    engine: &mut dyn Engine,
    control: &Control,
    mut saving: Option<Saving>,
) -> RunOutcome {
    let protocol = &unit.protocol;
    let mut variables = Variables::new(protocol);
    for (id, value) in &point.sweep {
        variables.bind(*id, Some(value.clone()));
    }
    let mut walker = Walker::new(unit, seed, engine, control);
    walker.variables = variables;
    let from = saving.as_mut().and_then(|s| s.from.take());
    walker.saving = saving.as_ref();
    let prepared = match (saving.as_ref().and_then(|_| walker.environments.unsaved()), from) {
        (Some(error), _) => Err(Halt::Failed(error)),
        (None, Some(checkpoint)) => walker.take_up(checkpoint),
        (None, None) => {
            let synapses = walker.prepare_synapses(protocol).map_err(Halt::Failed);
            synapses.and_then(|()| walker.environments.begin())
        }
    };
    let walked = prepared.and_then(|()| walk(&mut walker, &protocol.statements));
    walker.save_end(&walked);
    walker.finish_weights();
    let mut outcome = walker.outcome(seed);
    match walked {
        Ok(()) => {}
        Err(Halt::Interrupted) => outcome.interrupted = true,
        Err(Halt::Failed(e)) => outcome.error = Some(e),
    }
    // Slices may read variables, so this is done by the walker even after an error; its own failure is the lesser news.
    match recording::collect(protocol, &mut walker) {
        Ok(all) => (outcome.recording, outcome.recorded, outcome.plots) = (all.recording, all.cells, all.plots),
        Err(e) => {
            outcome.error.get_or_insert(RunError::Script {
                place: "`record` or `plot`".to_string(),
                message: e.message,
                help: e.help,
            });
        }
    }
    outcome
}

pub(super) struct Walker<'a> {
    pub unit: &'a Unit,
    populations: Vec<&'a Population>,
    pub engine: &'a mut dyn Engine,
    control: &'a Control<'a>,
    key: StreamKey,
    /// Draws so far at each place of the text.
    draws: BTreeMap<u32, u64>,
    variables: Variables,
    pub windows: BTreeMap<String, Steps>,
    pub activity: Windows,
    pub temporary: Temporary,
    pub sensors: Sensors,
    pub environments: Environments<'a>,
    pub events: Events,
    pub sleep: Sleep,
    ledger: Ledger,
    rows: Rows,
    pub synapses: SynapseLog,
    pub seed: u64,
    /// Tables of the circuit that were drawn when it was built; drawn again on first need.
    tables: Option<Vec<Vec<f64>>>,
    spent: Duration,
    /// Steps that take about one frame of the progress bar.
    slice: u64,
    position: Position,
    /// First and last step of the `simulate` that is under way.
    simulating: Option<Steps>,
    /// Within a statement that can't be taken up in its middle.
    held: bool,
    /// Step of the latest checkpoint.
    saved: Option<u64>,
    saving: Option<&'a Saving<'a>>,
}

/// The engine is asked to advance for about so long at a time.
const FRAME: Duration = Duration::from_millis(30);

/// Rows of `measure` after which the memory that they take is looked at.
const ROWS_BETWEEN_COUNTS: usize = 4096;

/// Times beyond this many steps would lose whole steps in a 64-bit float.
const STEP_LIMIT: f64 = 9.0e15;

impl<'a> Walker<'a> {
    /// At the start of a run.
    fn new(unit: &'a Unit, seed: u64, engine: &'a mut dyn Engine, control: &'a Control<'a>) -> Walker<'a> {
        Walker {
            unit,
            populations: unit.network.populations().map(|(_, p)| p).collect(),
            engine,
            control,
            key: StreamKey::new(seed, "", Purpose::Experiment),
            draws: BTreeMap::new(),
            variables: Variables::new(&unit.protocol),
            windows: BTreeMap::new(),
            activity: Windows::default(),
            temporary: Temporary::default(),
            sensors: Sensors::new(&unit.network),
            environments: Environments::new(&unit.protocol, seed, unit.network.dt_ms, control.stop),
            events: Events::default(),
            sleep: Sleep::new(&unit.protocol),
            ledger: Ledger::default(),
            rows: Rows::new(&unit.protocol, seed),
            synapses: SynapseLog::default(),
            seed,
            tables: None,
            spent: Duration::ZERO,
            slice: 1,
            position: Position::default(),
            simulating: None,
            held: false,
            saved: None,
            saving: None,
        }
    }

    pub fn population(&self, index: u32) -> Result<&'a Population, EvalError> {
        let found = self.populations.get(index as usize).copied();
        found.ok_or_else(|| EvalError::new(format!("the network has no population number {index}")))
    }

    pub fn select(&mut self, cells: &Cells) -> Result<Selection, EvalError> {
        let population = self.population(cells.population)?;
        cells::select(population, &cells.slots, self)
    }

    pub(super) fn dt(&self) -> f64 {
        self.unit.network.dt_ms
    }

    /// A time in ms as a number of steps, the nearest.
    pub fn steps(&mut self, time: &Expr) -> Result<u64, EvalError> {
        let ms = eval(time, self)?.number()?;
        let steps = (ms / self.dt()).round();
        if !(0.0..=STEP_LIMIT).contains(&steps) {
            return Err(EvalError::new(format!("a time of {ms} ms; it has to be finite and not negative")));
        }
        Ok(steps as u64)
    }

    fn simulate(&mut self, time: &Expr, window: Option<&str>, place: &str) -> Result<(), Halt> {
        let now = self.engine.step();
        let span = match self.simulating {
            // Taken up: a time that is no constant was evaluated when it began.
            Some(begun) if time.as_const().is_none() => begun,
            begun => {
                let steps = self.steps(time).map_err(|e| script(place, e))?;
                let start = begun.map_or(now, |b| b.start);
                Steps { start, end: start.saturating_add(steps) }
            }
        };
        // What is taken up in its middle was opened before.
        if window.is_some() && self.simulating.is_none() {
            self.open_window();
        }
        self.simulating = Some(span);
        let advanced = self.advance(span.end);
        if let Some(name) = window {
            self.windows.insert(name.to_string(), Steps { start: span.start, end: self.engine.step() });
            if advanced.is_ok() {
                self.close_window(name, span);
            }
        }
        if advanced.is_ok() {
            self.simulating = None;
        }
        advanced
    }

    pub(super) fn advance(&mut self, target: u64) -> Result<(), Halt> {
        loop {
            let now = self.engine.step();
            for r in self.temporary.end(now) {
                self.write_back(r)?;
            }
            self.due_weights();
            self.save_if_due(now, target);
            if now >= target {
                return Ok(());
            }
            if self.control.stop.load(Ordering::Relaxed) {
                return Err(Halt::Interrupted);
            }
            let pause = self.temporary.next().unwrap_or(target).min(target);
            let pause = self.next_checkpoint(now).map_or(pause, |s| s.min(pause));
            let pause = self.synapses.next(now).map_or(pause, |s| s.min(pause));
            let pause = self.events.next(now).map_or(pause, |s| s.min(pause));
            let sent = self.send_events(now)?;
            let chunk = if sent { 1 } else { (pause - now).min(self.slice) };
            let begin = Instant::now();
            let done = self.engine.advance(chunk, self.control.stop);
            let elapsed = begin.elapsed();
            self.spent += elapsed;
            let done = done?;
            self.end_events()?;
            self.within_memory()?;
            self.pace(done, elapsed);
            (self.control.progress)(Progress {
                time_ms: self.engine.step() as f64 * self.dt(),
                total_ms: self.unit.protocol.duration_hint_ms,
                spent: self.spent,
            });
            if self.control.stop.load(Ordering::Relaxed) {
                return Err(Halt::Interrupted);
            }
            if done == 0 {
                return Err(Halt::Failed(RunError::Build("the engine stopped without a reason".to_string())));
            }
        }
    }

    /// What was recorded and measured fits twice: it is copied when it is written.
    fn within_memory(&self) -> Result<(), Halt> {
        let spikes = (0..self.populations.len()).map(|p| self.engine.spikes(p).bytes()).sum::<usize>();
        let traces = self.engine.traces().iter().map(TraceLog::bytes).sum::<usize>();
        let rows = self.rows.bytes();
        let kept = 2.0 * (spikes + traces + rows) as f64;
        if kept <= self.control.memory {
            return Ok(());
        }
        let what = [(spikes, "the spikes"), (traces, "the traces"), (rows, "the rows of `measure`")];
        let most = what.into_iter().max_by_key(|(bytes, _)| *bytes).map_or("", |(_, name)| name);
        Err(Halt::Failed(RunError::Memory {
            message: format!(
                "what is kept of the run needs {} to be written, allowed are {}",
                bytes_text(kept),
                bytes_text(self.control.memory)
            ),
            most: most.to_string(),
            step: self.engine.step(),
        }))
    }

    /// Slices grow or shrink towards a frame, at most fourfold at once: one slow slice says little.
    fn pace(&mut self, done: u64, elapsed: Duration) {
        let wanted = done as f64 * FRAME.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        let slice = self.slice as f64;
        self.slice = wanted.clamp(slice / 4.0, slice * 4.0).clamp(1.0, 1e9) as u64;
    }

    fn write_back(&mut self, r: Return) -> Result<(), Halt> {
        let (population, param) = match r.place {
            Place::Param(population, param) => (population, param),
            Place::Sensor(sensor) => return Ok(self.write_sensor(sensor, &r.cells, &r.values)?),
        };
        let whole = self.populations.get(population).is_some_and(|p| p.size as usize == r.cells.len());
        let same = r.values.windows(2).all(|w| w[0].to_bits() == w[1].to_bits());
        let values = if same { r.values[..1].to_vec() } else { r.values };
        let cells = (!whole).then_some(r.cells);
        Ok(self.engine.set(&Setting { population, param, cells, op: None, values })?)
    }

    fn set(
        &mut self,
        target: &SetTarget,
        op: Option<BinaryOp>,
        value: &Expr,
        lasting: Option<&Expr>,
        place: &str,
    ) -> Result<(), Halt> {
        let at = |e| script(place, e);
        let population = self.population(target.cells.population).map_err(at)?;
        match population.dynamics.params.get(target.param as usize) {
            Some(p) if p.settable => {}
            _ => return Err(at(EvalError::new(format!("`{}` can't be set while the circuit runs", target.text)))),
        }
        let of = self.select(&target.cells).map_err(at)?;
        let values = self.values(value, &of, &target.text).map_err(at)?;
        let lasting = lasting.map(|e| self.steps(e)).transpose().map_err(at)?;
        if of.cells.is_empty() {
            return Ok(());
        }
        let index = target.cells.population as usize;
        let key = Place::Param(index, target.param);
        let cells = (!of.whole).then(|| of.cells.clone());
        if let Some(bounds) = &target.bounds {
            let after = match op {
                None => Ok(values.clone()),
                Some(op) => {
                    let before = self.engine.param(index, target.param, &of.cells);
                    let pairs = before.into_iter().zip(values.iter().copied().cycle());
                    let numbers = |(a, b)| binary(op, &Value::Number(a), &Value::Number(b))?.number();
                    pairs.map(numbers).collect()
                }
            };
            after.and_then(|after| check_bounds(bounds, &after)).map_err(at)?;
        }
        let setting = Setting { population: index, param: target.param, cells, op, values };
        let Some(steps) = lasting else {
            self.engine.set(&setting)?;
            self.temporary.overwrite(key, &of.cells);
            return Ok(());
        };
        self.lasting(&setting, &of.cells, steps)
    }

    /// Writes a param of some cells until so many steps have passed.
    pub(super) fn lasting(&mut self, setting: &Setting, cells: &[u32], steps: u64) -> Result<(), Halt> {
        let (population, param) = (setting.population, setting.param);
        let before = self.engine.param(population, param, cells);
        self.engine.set(setting)?;
        let after = self.engine.param(population, param, cells);
        let end = self.engine.step().saturating_add(steps);
        self.temporary.begin(Place::Param(population, param), cells, &before, &after, end);
        Ok(())
    }

    /// One value for all cells, or one for each.
    fn values(&mut self, value: &Expr, of: &Selection, text: &str) -> Result<Vec<f64>, EvalError> {
        let value = eval(value, self)?;
        let values = value.numbers()?;
        if values.iter().any(|v| v.is_nan()) {
            return Err(EvalError::new(format!("what `{text}` is set to is not a number")));
        }
        if !matches!(value, Value::List(_) | Value::Mask(_)) || values.len() == of.cells.len() {
            return Ok(values);
        }
        Err(EvalError::new(format!("{} values for the {} cells of `{text}`", values.len(), of.cells.len())))
    }

    /// A table of the circuit, as it was drawn when the circuit was built.
    fn table(&mut self, k: u32) -> Result<Value, EvalError> {
        let missing = || EvalError::new(format!("the network has no drawn table number {k}"));
        let at = *self.unit.protocol.tables.get(k as usize).ok_or_else(missing)? as usize;
        if self.tables.is_none() {
            let drawn = build::draw_tables(&self.unit.network, self.seed);
            self.tables = Some(drawn.map_err(|e| EvalError::new(diagnostic(&e, self.dt()).message))?);
        }
        let values = self.tables.as_ref().and_then(|t| t.get(at)).ok_or_else(missing)?;
        let shape = &self.unit.network.tables.get(at).ok_or_else(missing)?.shape;
        Ok(nested(shape, values))
    }

    fn spikes(
        &mut self,
        stat: crate::script::Stat,
        of: &Cells,
        window: &Window,
        by: Option<u32>,
        bin: Option<&Expr>,
    ) -> Result<Value, EvalError> {
        let population = self.population(of.population)?;
        let window = self.window(window)?;
        let bin = bin.map(|e| eval(e, self)?.number()).transpose()?;
        let groups = match by {
            None => vec![self.select(of)?],
            Some(axis) => cells::select_by(population, &of.slots, axis as usize, self)?,
        };
        let log = self.engine.spikes(of.population as usize);
        let spikes = Spikes::new(log, population.size, window, self.dt());
        let mut each = groups.iter().map(|g| spikes.statistic(stat, g, bin));
        match by {
            None => each.next().unwrap_or_else(|| Err(EvalError::empty("a statistic of no cells"))),
            Some(_) => Ok(Value::List(each.collect::<Result<_, _>>()?)),
        }
    }

    fn window(&mut self, window: &Window) -> Result<Steps, EvalError> {
        let now = self.engine.step();
        match window {
            Window::Whole => Ok(Steps { start: 0, end: now }),
            Window::Last(time) => {
                let steps = self.steps(time)?;
                Ok(Steps { start: now.saturating_sub(steps), end: now })
            }
            Window::Interval(from, to) => {
                let start = self.steps(from)?;
                let end = to.as_ref().map(|e| self.steps(e)).transpose()?.unwrap_or(now);
                within("the run so far", start, end, now, self.dt())?;
                Ok(Steps { start, end })
            }
            Window::Named(name, part) => {
                let Some(whole) = self.windows.get(name).copied() else {
                    return Err(EvalError::new(format!("nothing has been simulated as `{name}` yet")));
                };
                let Some((from, to)) = part else { return Ok(whole) };
                let start = self.steps(from)?;
                let end = to.as_ref().map(|e| self.steps(e)).transpose()?.unwrap_or(whole.len());
                within(&format!("`{name}`"), start, end, whole.len(), self.dt())?;
                Ok(Steps { start: whole.start + start, end: whole.start + end })
            }
        }
    }

    pub(super) fn stream(&mut self, site: u32) -> Stream {
        let n = self.draws.entry(site).or_default();
        let stream = Stream::new(self.key.derive(u64::from(site)), *n);
        *n += 1;
        stream
    }

    fn outcome(&mut self, seed: u64) -> RunOutcome {
        let steps = self.engine.step();
        let seconds = steps as f64 * self.dt() * 1e-3;
        let figures = self.populations.iter().enumerate().map(|(k, p)| {
            let log = self.engine.spikes(k);
            let cell_seconds = f64::from(p.size) * seconds;
            PopulationFigures {
                path: p.path.clone(),
                source: p.source,
                size: p.size,
                spikes: log.count,
                rate_hz: if cell_seconds > 0.0 { log.count as f64 / cell_seconds } else { 0.0 },
                cv_isi: log.cv_isi(),
                cv_cells: log.with_intervals(),
                active: log.active_since(0),
            }
        });
        RunOutcome {
            seed,
            dt_ms: self.dt(),
            steps,
            populations: figures.collect(),
            windows: std::mem::take(&mut self.activity.done),
            expectations: std::mem::take(&mut self.ledger),
            rows: std::mem::take(&mut self.rows),
            synapses: self.engine.synapses(),
            synapse_bytes: self.engine.synapse_bytes(),
            synaptic_events: self.engine.synaptic_events(),
            touches: self.engine.touches(),
            run_s: self.spent.as_secs_f64(),
            ..RunOutcome::default()
        }
    }
}

/// What a param is set to stays within its bounds.
pub(super) fn check_bounds(bounds: &Bounds, values: &[f64]) -> Result<(), EvalError> {
    let Some(v) = values.iter().find(|v| !bounds.hold(**v)) else { return Ok(()) };
    let shown = crate::units::display(*v, bounds.dimension);
    Err(EvalError::new(format!("`{}` is set to {shown}, outside its bounds {bounds}", bounds.name)))
}

fn within(what: &str, start: u64, end: u64, length: u64, dt: f64) -> Result<(), EvalError> {
    if start <= end && end <= length {
        return Ok(());
    }
    let ms = |steps: u64| crate::units::display(steps as f64 * dt, crate::units::Dimension::TIME);
    Err(EvalError::new(format!("{} .. {} is outside {what}, which is {} long", ms(start), ms(end), ms(length))))
}

impl Actor for Walker<'_> {
    fn variables(&mut self) -> &mut Variables {
        &mut self.variables
    }

    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn quick(&self) -> bool {
        self.control.quick
    }

    fn interrupted(&self) -> bool {
        // What can't be taken up in its middle is finished first, so that it can be saved.
        let finish = self.held && self.saving.is_some();
        !finish && self.control.stop.load(Ordering::Relaxed)
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn act(&mut self, stmt: &Stmt) -> Result<(), Halt> {
        match stmt {
            Stmt::Simulate { time, window, place } => self.simulate(time, window.as_deref(), place),
            Stmt::Set { target, op, value, lasting, place } => self.set(target, *op, value, lasting.as_ref(), place),
            Stmt::Emit { event, value, after, place } => self.emit(*event, value.as_ref(), after.as_ref(), place),
            Stmt::SetSensor { sensor, slots, op, value, lasting, place } => {
                self.set_sensor(*sensor, slots, *op, value, lasting.as_ref(), place)
            }
            Stmt::Measure { name, value, dimension, place } => {
                let value = eval(value, self).and_then(|v| v.number()).map_err(|e| script(place, e))?;
                self.rows.measure(name, *dimension, value, &self.variables);
                // Counting all that is kept takes longer than a row does.
                if self.rows.list.len().is_multiple_of(ROWS_BETWEEN_COUNTS) { self.within_memory() } else { Ok(()) }
            }
            Stmt::Learning { on, projections } => {
                self.learn(projections, *on);
                Ok(())
            }
            Stmt::Phase(phase) => self.phase(phase),
            Stmt::Replay { memory, target, value, lasting, site, place } => {
                self.replay(*memory, target, value, lasting, *site, place)
            }
            Stmt::Update { projections, variables, body, place } => self.update(projections, *variables, body, place),
            Stmt::Downscale { projections, by, place } => self.downscale(projections, by, place),
            Stmt::Reset { populations, projections, sensors, .. } => {
                sensors.iter().try_for_each(|s| self.reset_sensor(*s))?;
                self.reset(populations, projections)
            }
            Stmt::Step { .. } | Stmt::ResetEnvironment { .. } => self.act_on_environment(stmt),
            // The shared ones never come here.
            _ => Ok(()),
        }
    }
}

impl Host for Walker<'_> {
    fn variable(&self, id: VarId) -> Result<Value, EvalError> {
        self.variables.get(id)
    }

    fn element(&self, id: VarId, path: &[usize]) -> Option<Value> {
        self.variables.bound(id).and_then(|v| v.element(path))
    }

    fn bind(&mut self, id: VarId, value: Value) {
        self.variables.bind(id, Some(value));
    }

    fn query(&mut self, query: &Query) -> Result<Value, EvalError> {
        match query {
            Query::Spikes { stat, of, window, by, bin } => self.spikes(*stat, of, window, *by, bin.as_ref()),
            Query::Trace { of, observable, window } => self.trace(of, *observable, window.as_ref()),
            Query::Weights { projections } => self.weights(projections),
            Query::Weight { projection, pre, post } => self.weight(*projection, pre, post),
            Query::Wiring { stat, projection } => self.wiring(*stat, *projection),
            Query::Sensor(k) => self.sensor(*k),
            Query::Table(k) => self.table(*k),
            Query::Environment { environment, output } => self.environments.show(*environment, *output),
            Query::SynapticEvents => Ok(Value::Number(self.engine.synaptic_events() as f64)),
            Query::Time => Ok(Value::Number(self.engine.step() as f64 * self.dt())),
        }
    }

    fn scan(&mut self, query: &Query, visit: &mut dyn FnMut(f64)) -> Result<bool, EvalError> {
        match query {
            Query::Trace { of, observable, window: Some(window) } => self.scan_trace(of, *observable, window, visit)?,
            Query::Weights { projections } => {
                for projection in projections {
                    self.weights_of(*projection)?.into_iter().for_each(&mut *visit);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn rows(&mut self, _: &RowQuery) -> Result<Value, EvalError> {
        Err(EvalError::new("measured rows are known only after the runs, in `conclude`"))
    }

    fn draw(&mut self, distribution: Distribution, args: &[f64], site: u32) -> Result<f64, EvalError> {
        draw(distribution, args, &mut self.stream(site))
    }

    fn list_draw(&mut self, kind: ListDraw, args: &[Value], site: u32) -> Result<Value, EvalError> {
        let mut stream = self.stream(site);
        list_draw(kind, args, &mut stream)
    }
}

/// At most so many elements are drawn at once.
const LIST_LIMIT: u64 = u32::MAX as u64;

pub(super) fn draw(distribution: Distribution, args: &[f64], stream: &mut Stream) -> Result<f64, EvalError> {
    let v = distribution.draw(stream, args);
    if v.is_nan() {
        let args: Vec<String> = args.iter().map(f64::to_string).collect();
        let message = format!("{}({}) has no value: an argument is out of range", distribution.name(), args.join(", "));
        return Err(EvalError::new(message));
    }
    Ok(v)
}

pub(super) fn list_draw(kind: ListDraw, args: &[Value], stream: &mut Stream) -> Result<Value, EvalError> {
    let count = |k: usize| args.get(k).ok_or_else(|| EvalError::new("a draw lacks an argument"))?.count();
    // `sample(mask, k)` chooses among the cells of the mask.
    let among: Option<Vec<usize>> = match (kind, args.first()) {
        (ListDraw::Sample, Some(Value::Mask(flags))) => {
            Some(flags.iter().enumerate().filter(|(_, set)| **set).map(|(cell, _)| cell).collect())
        }
        _ => None,
    };
    let n = among.as_ref().map_or_else(|| count(0), |cells| Ok(cells.len() as u64))?;
    if n > LIST_LIMIT {
        return Err(EvalError::new(format!("a draw from {n} elements; at most {LIST_LIMIT}")));
    }
    match kind {
        ListDraw::Choose if n == 0 => Err(EvalError::new("choose(0): there is nothing to choose from")),
        ListDraw::Choose => Ok(Value::Number(stream.below(n) as f64)),
        ListDraw::Permutation => {
            let mut items: Vec<Value> = (0..n).map(|k| Value::Number(k as f64)).collect();
            stream.shuffle(&mut items);
            Ok(Value::List(items))
        }
        ListDraw::Sample => {
            let k = count(1)?;
            if k > n {
                return Err(EvalError::new(format!("a sample of {k} out of {n}")));
            }
            let mut chosen = Vec::new();
            // Both are at most u32::MAX.
            stream.sample_sorted(n as u32, k as u32, &mut chosen, &mut Room::default());
            let size = if let Some(Value::Mask(flags)) = args.first() { flags.len() } else { n as usize };
            let mut flags = vec![false; size];
            for k in chosen {
                let cell = among.as_ref().map_or(k as usize, |cells| cells[k as usize]);
                flags[cell] = true;
            }
            Ok(Value::Mask(flags))
        }
    }
}

mod saving;
mod session;
mod traces;

pub use session::Session;

#[cfg(test)]
pub(super) mod tests;
