//! The environments of a run: those in the language, and the doors to those outside.

use super::error::{Halt, script};
use super::expectation::Ledger;
use super::flow::{Actor, Variables, walk};
use super::outside::Process;
use super::position::{Position, foreign};
use super::run::{self, Walker};
use crate::backend::interp::Interpreter;
use crate::backend::{Engine, EngineState, RunError, Setting};
use crate::ir::environment::{World, Written};
use crate::ir::protocol::{Protocol, Stmt};
use crate::random::{Purpose, Stream, StreamKey};
use crate::script::{Distribution, EvalError, Expr, Host, ListDraw, Query, RowQuery, Value, VarId, eval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the first reset of an environment is told to have happened.
const START: &str = "the start of the run";

/// All environments of a run, by position.
pub(super) struct Environments<'a> {
    worlds: Vec<Door<'a>>,
}

struct Door<'a> {
    inside: Inside<'a>,
    /// As its own first reset left it: nobody stepped or read it since.
    fresh: bool,
}

enum Inside<'a> {
    Written(Box<Running<'a>>),
    Outside(Box<Process<'a>>),
}

impl<'a> Environments<'a> {
    pub fn new(protocol: &'a Protocol, seed: u64, dt_ms: f64, stop: &'a AtomicBool) -> Environments<'a> {
        let worlds = protocol.environments.iter().map(|e| {
            let key = StreamKey::new(seed, &e.name, Purpose::Environment);
            let inside = match &e.world {
                World::Written(w) => Inside::Written(Box::new(Running::new(w, key, seed, dt_ms, stop))),
                World::Outside(o) => Inside::Outside(Box::new(Process::new(o, &e.name, key, dt_ms, stop))),
            };
            Door { inside, fresh: false }
        });
        Environments { worlds: worlds.collect() }
    }

    /// The first reset of all.
    pub fn begin(&mut self) -> Result<(), Halt> {
        for door in &mut self.worlds {
            door.reset(START)?;
            door.fresh = true;
        }
        Ok(())
    }

    pub fn reset(&mut self, environment: u32, place: &str) -> Result<(), Halt> {
        let door = self.door(environment).map_err(|e| script(place, e))?;
        // Nobody has seen the one of the start: a second one would only draw again.
        if std::mem::take(&mut door.fresh) { Ok(()) } else { door.reset(place) }
    }

    /// One step with what it is given, over `lasting` steps of its own time (one without).
    pub fn step(
        &mut self,
        environment: u32,
        given: &[(&str, Value)],
        lasting: Option<u64>,
        place: &str,
    ) -> Result<(), Halt> {
        let door = self.door(environment).map_err(|e| script(place, e))?;
        door.fresh = false;
        match &mut door.inside {
            Inside::Written(w) => w.step(given, lasting.unwrap_or(1), place),
            Inside::Outside(p) => p.step(given, lasting, place),
        }
    }

    pub fn show(&mut self, environment: u32, output: u32) -> Result<Value, EvalError> {
        let door = self.door(environment)?;
        door.fresh = false;
        match &mut door.inside {
            Inside::Written(w) => w.show(output),
            Inside::Outside(p) => p.show(output),
        }
    }

    /// What a checkpoint can't hold, and why.
    pub fn unsaved(&self) -> Option<RunError> {
        self.worlds.iter().find_map(|door| match &door.inside {
            Inside::Written(_) => None,
            Inside::Outside(p) => Some(p.unsaved()),
        })
    }

    pub fn save(&mut self) -> Vec<EnvironmentState> {
        let state = |door: &mut Door| match &mut door.inside {
            Inside::Written(w) => w.save(door.fresh),
            Inside::Outside(_) => EnvironmentState::default(),
        };
        self.worlds.iter_mut().map(state).collect()
    }

    pub fn load(&mut self, states: Vec<EnvironmentState>) -> Result<(), Halt> {
        if states.len() != self.worlds.len() {
            return Err(foreign());
        }
        for (door, state) in self.worlds.iter_mut().zip(states) {
            door.fresh = state.fresh;
            match &mut door.inside {
                Inside::Written(w) => w.load(state)?,
                Inside::Outside(_) => return Err(foreign()),
            }
        }
        Ok(())
    }

    fn door(&mut self, environment: u32) -> Result<&mut Door<'a>, EvalError> {
        let found = self.worlds.get_mut(environment as usize);
        found.ok_or_else(|| EvalError::new(format!("the experiment has no environment number {environment}")))
    }
}

impl Door<'_> {
    fn reset(&mut self, place: &str) -> Result<(), Halt> {
        match &mut self.inside {
            Inside::Written(w) => w.reset(place),
            Inside::Outside(p) => p.reset(place),
        }
    }
}

impl Walker<'_> {
    pub fn act_on_environment(&mut self, stmt: &Stmt) -> Result<(), Halt> {
        let before = self.before_environment();
        let acted = match stmt {
            Stmt::Step { environment, given, lasting, place } => {
                self.step_environment(*environment, given, lasting.as_ref(), place)
            }
            Stmt::ResetEnvironment { environment, place } => self.environments.reset(*environment, place),
            _ => Ok(()),
        };
        if let (Err(Halt::Interrupted), Some((environments, draws))) = (&acted, before) {
            self.environments.load(environments)?;
            self.restore_draws(draws);
        }
        acted
    }

    fn step_environment(
        &mut self,
        environment: u32,
        given: &[(String, Expr)],
        lasting: Option<&Expr>,
        place: &str,
    ) -> Result<(), Halt> {
        let at = |e| script(place, e);
        let mut values = Vec::with_capacity(given.len());
        for (name, value) in given {
            values.push((name.as_str(), eval(value, self).map_err(at)?));
        }
        let lasting = lasting.map(|e| self.steps(e)).transpose().map_err(at)?;
        self.environments.step(environment, &values, lasting, place)
    }
}

/// What an environment of the language is between two of its steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct EnvironmentState {
    fresh: bool,
    variables: Variables,
    draws: BTreeMap<u32, u64>,
    steps: u64,
    /// Of what moves by itself, from the first step on.
    cell: Option<EngineState>,
}

/// An environment in the language.
struct Running<'a> {
    program: &'a Written,
    variables: Variables,
    key: StreamKey,
    /// Draws so far at each place of its text: a reset goes on, and so draws anew.
    draws: BTreeMap<u32, u64>,
    seed: u64,
    /// What moves by itself, from the first step on.
    cell: Option<Interpreter>,
    /// Steps of its own time.
    steps: u64,
    dt_ms: f64,
    stop: &'a AtomicBool,
    /// It expects nothing and is never taken up in its middle; a walk asks for both.
    ledger: Ledger,
    position: Position,
}

impl<'a> Running<'a> {
    fn new(program: &'a Written, key: StreamKey, seed: u64, dt_ms: f64, stop: &'a AtomicBool) -> Running<'a> {
        let mut variables = Variables::named(program.variables.clone());
        for (_, v) in &program.takes {
            variables.bind(*v, Some(Value::Number(0.0)));
        }
        Running {
            program,
            variables,
            key,
            draws: BTreeMap::new(),
            seed,
            cell: None,
            steps: 0,
            dt_ms,
            stop,
            ledger: Ledger::default(),
            position: Position::default(),
        }
    }

    fn reset(&mut self, place: &str) -> Result<(), Halt> {
        let program = self.program;
        for (state, first) in &program.states {
            let value = eval(first, self).map_err(|e| script(place, e))?;
            self.variables.bind(*state, Some(value));
        }
        walk(self, &program.on_reset)
    }

    fn step(&mut self, given: &[(&str, Value)], lasting: u64, place: &str) -> Result<(), Halt> {
        let program = self.program;
        for (name, value) in given {
            let taken = program.takes.iter().find(|(n, _)| n == name);
            let Some((_, variable)) = taken else {
                return Err(script(place, EvalError::new(format!("the environment takes no `{name}`"))));
            };
            self.variables.bind(*variable, Some(value.clone()));
        }
        walk(self, &program.on_step)?;
        self.run(lasting, place)?;
        self.steps += lasting;
        Ok(())
    }

    /// The equations, from the states as they stand.
    fn run(&mut self, steps: u64, place: &str) -> Result<(), Halt> {
        let Some(equations) = &self.program.equations else { return Ok(()) };
        let number = |me: &Running, v: VarId| {
            let value = me.variables.get(v).and_then(|v| v.number());
            value.map_err(|e| script(place, e))
        };
        let mut states = Vec::with_capacity(equations.states.len());
        for v in &equations.states {
            states.push(vec![number(self, *v)?]);
        }
        let mut settings = Vec::with_capacity(equations.inputs.len());
        for (v, param) in &equations.inputs {
            let values = vec![number(self, *v)?];
            settings.push(Setting { population: 0, param: *param, cells: None, op: None, values });
        }
        let cell = match &mut self.cell {
            Some(cell) => cell,
            None => self.cell.insert(Interpreter::new(&equations.network, self.seed, Vec::new(), &[])?),
        };
        cell.reset(0, &states)?;
        settings.iter().try_for_each(|s| cell.set(s))?;
        if cell.advance(steps, self.stop)? < steps {
            return Err(Halt::Interrupted);
        }
        for (k, v) in equations.states.iter().enumerate() {
            let value = cell.state(0, k as u32).first().copied().unwrap_or(f64::NAN);
            self.variables.bind(*v, Some(Value::Number(value)));
        }
        Ok(())
    }

    fn show(&mut self, output: u32) -> Result<Value, EvalError> {
        let program = self.program;
        let found = program.outputs.get(output as usize);
        let value = found.ok_or_else(|| EvalError::new(format!("the environment has no output number {output}")))?;
        eval(value, self)
    }

    fn save(&mut self, fresh: bool) -> EnvironmentState {
        EnvironmentState {
            fresh,
            variables: self.variables.clone(),
            draws: self.draws.clone(),
            steps: self.steps,
            cell: self.cell.as_mut().map(Engine::save),
        }
    }

    fn load(&mut self, state: EnvironmentState) -> Result<(), Halt> {
        let EnvironmentState { variables, draws, steps, cell, .. } = state;
        if !self.variables.load(variables) {
            return Err(foreign());
        }
        (self.draws, self.steps) = (draws, steps);
        self.position = Position::default();
        self.cell = match (cell, &self.program.equations) {
            (Some(state), Some(equations)) => {
                let mut cell = Interpreter::new(&equations.network, self.seed, Vec::new(), &[])?;
                cell.load(state)?;
                Some(cell)
            }
            (None, _) => None,
            (Some(_), None) => return Err(foreign()),
        };
        Ok(())
    }

    fn stream(&mut self, site: u32) -> Stream {
        let n = self.draws.entry(site).or_default();
        let stream = Stream::new(self.key.derive(u64::from(site)), *n);
        *n += 1;
        stream
    }
}

impl Actor for Running<'_> {
    fn variables(&mut self) -> &mut Variables {
        &mut self.variables
    }

    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn quick(&self) -> bool {
        false
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn act(&mut self, _: &Stmt) -> Result<(), Halt> {
        // An environment computes; what acts on a circuit is refused when its text is checked.
        Ok(())
    }
}

impl Host for Running<'_> {
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
            Query::Time => Ok(Value::Number(self.steps as f64 * self.dt_ms)),
            _ => Err(EvalError::new("an environment does not see the circuit")),
        }
    }

    fn scan(&mut self, _: &Query, _: &mut dyn FnMut(f64)) -> Result<bool, EvalError> {
        Ok(false)
    }

    fn rows(&mut self, _: &RowQuery) -> Result<Value, EvalError> {
        Err(EvalError::new("measured rows are known only after the runs, in `conclude`"))
    }

    fn draw(&mut self, distribution: Distribution, args: &[f64], site: u32) -> Result<f64, EvalError> {
        run::draw(distribution, args, &mut self.stream(site))
    }

    fn list_draw(&mut self, kind: ListDraw, args: &[Value], site: u32) -> Result<Value, EvalError> {
        run::list_draw(kind, args, &mut self.stream(site))
    }
}
