//! Environments of an experiment: params fixed, handlers and outputs as script, equations as a network of one cell.

use super::dynamics::Body;
use super::error::*;
use super::network::Elaborated;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, ExprKind, ValueId, ValueKind};
use crate::ir::environment::{Environment, Equations, Outside, World, Written};
use crate::ir::{Axis, Network, Node, Population};
use crate::script::{Expr, NoHost, Query, Value, VarId, eval};
use std::collections::{BTreeSet, HashMap};

/// A process that answers later than this is taken for dead: ms.
const LONGEST_WAIT: f64 = 1e9;

/// Numbers of one observation.
const OBSERVATION_LIMIT: u64 = 1_000_000;

/// A sensor, or a part of it, that is set to what an environment shows.
pub struct Filling {
    environment: u32,
    output: u32,
    sensor: String,
    /// Positions that are set.
    positions: usize,
    span: Span,
}

/// The environment and the output that are all there is in an expression besides plain numbers: a list as long as the output.
fn lone_output(e: &Expr) -> Option<(u32, u32)> {
    match e {
        Expr::Query(q) => match q.as_ref() {
            Query::Environment { environment, output } => Some((*environment, *output)),
            _ => None,
        },
        Expr::Unary(_, a) => lone_output(a),
        Expr::Binary(_, a, b) if matches!(a.as_const(), Some(Value::Number(_))) => lone_output(b),
        Expr::Binary(_, a, b) if matches!(b.as_const(), Some(Value::Number(_))) => lone_output(a),
        _ => None,
    }
}

/// How many numbers an output has, where that is known before a run.
fn length(world: &World, output: u32) -> Option<u64> {
    let k = output as usize;
    match world {
        World::Outside(o) if o.outputs.get(k)? == "observation" => o.observations.map(u64::from),
        World::Outside(_) => None,
        World::Written(w) => match w.outputs.get(k)? {
            Expr::Table { axes, .. } => {
                let mut host = NoHost::default();
                axes.iter().map(|(_, n)| eval(n, &mut host).ok()?.count().ok()).product()
            }
            Expr::List(items) => Some(items.len() as u64),
            _ => None,
        },
    }
}

impl Lowering<'_> {
    /// Notes what a sensor is set to, for when the environments are known.
    pub(super) fn fills_sensor(&mut self, value: &Expr, sensor: u32, slots: usize, span: Span, out: &Elaborated) {
        let (Some((environment, output)), Some(s)) = (lone_output(value), out.network.sensors.get(sensor as usize))
        else {
            return;
        };
        let positions = s.shape.get(slots..).unwrap_or_default().iter().map(|n| *n as usize).product();
        self.fillings.push(Filling { environment, output, sensor: s.path.clone(), positions, span });
    }

    fn check_fillings(&mut self, environments: &[Environment]) {
        for f in std::mem::take(&mut self.fillings) {
            let found = environments.get(f.environment as usize).and_then(|e| length(&e.world, f.output));
            let Some(n) = found.filter(|n| *n != 1 && *n != f.positions as u64) else { continue };
            let of = if f.positions == 1 { "one position".to_string() } else { format!("{} positions", f.positions) };
            self.diags.push(
                Diagnostic::error(SIZES_DIFFER, format!("{n} numbers for the {of} of `{}`", f.sensor))
                    .label(f.span, format!("the environment shows {n}"))
                    .help("the axes of the sensor and what the environment shows have to agree"),
            );
        }
    }

    /// The question for an output of an environment, which is noted as read.
    pub(super) fn environment_query(&mut self, environment: u32, output: &str) -> Expr {
        let k = environment as usize;
        if self.shown.len() <= k {
            self.shown.resize(k + 1, Vec::new());
        }
        let shown = &mut self.shown[k];
        let output = shown.iter().position(|o| o == output).unwrap_or_else(|| {
            shown.push(output.to_string());
            shown.len() - 1
        });
        Expr::Query(Box::new(Query::Environment { environment, output: output as u32 }))
    }

    /// The environments of an experiment, after all that reads them.
    pub(super) fn environments(&mut self, e: &hir::Experiment) -> Vec<Environment> {
        let shown = std::mem::take(&mut self.shown);
        let mut out = Vec::new();
        for (k, environment) in e.environments.iter().enumerate() {
            let shown = shown.get(k).map_or(&[][..], Vec::as_slice);
            // Its variables, draws and known lets are its own.
            let mut inner = Lowering::new(self.program, self.sources, self.diags);
            inner.values = self.values.clone();
            inner.dt = self.dt;
            inner.live = true;
            inner.user = Some(environment.span);
            let lowered = inner.environment(environment, shown);
            out.extend(inner.report(lowered));
        }
        if out.len() == e.environments.len() {
            self.check_fillings(&out);
        }
        out
    }

    fn environment(&mut self, e: &hir::Environment, shown: &[String]) -> Result<Environment, Fail> {
        let model = &self.program.environments[e.model as usize];
        let names = &self.program.model(model.model).names;
        for (v, value) in &e.args {
            if matches!(self.program.value(*v).kind, ValueKind::Param { .. }) {
                let fixed = self.constant(value)?;
                self.check_bounds(*v, &fixed, value.span)?;
                self.values.insert(*v, fixed);
            }
        }
        for v in names {
            if matches!(self.program.value(*v).kind, ValueKind::Param { .. }) {
                self.param_value(*v)?;
            }
        }
        let world = if model.outside {
            World::Outside(self.outside(e, names, shown)?)
        } else {
            World::Written(self.written(e, model, shown)?)
        };
        Ok(Environment { name: e.name.clone(), world })
    }

    fn outside(&mut self, e: &hir::Environment, names: &[ValueId], shown: &[String]) -> Result<Outside, Fail> {
        let param = |name: &str| {
            let id = names.iter().find(|v| self.name(**v) == name);
            id.and_then(|v| self.values.get(*v)).cloned().unwrap_or(Value::Number(f64::NAN))
        };
        let wrong = |why: String| Diagnostic::error(OUT_OF_BOUNDS, why).label(e.span, "this environment");
        let Value::Text(command) = param("command") else { return Err(wrong("`command` is a text".to_string())) };
        if shlex::split(&command).is_none_or(|words| words.is_empty()) {
            let why = format!("`{command}` is no command");
            return Err(wrong(why).help("a program and its arguments; quote as in a shell: \"python3 'my task.py'\""));
        }
        let observations = match param("observations").count() {
            Ok(0) => None,
            Ok(n) if n <= OBSERVATION_LIMIT => Some(n as u32),
            _ => return Err(wrong(format!("`observations` is a count up to {OBSERVATION_LIMIT}"))),
        };
        let timeout_ms = param("timeout").number().unwrap_or(f64::NAN);
        if !(timeout_ms > 0.0 && timeout_ms <= LONGEST_WAIT) {
            return Err(wrong(format!("a `timeout` of {timeout_ms} ms")).help("a positive time, such as 30 s"));
        }
        // As data files: relative to the file that names them.
        let file = &self.sources.file(e.span.file).name;
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
        Ok(Outside { command, folder, observations, timeout_ms, outputs: shown.to_vec() })
    }

    fn written(
        &mut self,
        e: &hir::Environment,
        model: &hir::EnvironmentModel,
        shown: &[String],
    ) -> Result<Written, Fail> {
        let names = &self.program.model(model.model).names;
        let inputs: Vec<ValueId> =
            names.iter().copied().filter(|v| matches!(self.program.value(*v).kind, ValueKind::Input)).collect();
        let mut variables = Vec::new();
        let mut own: Vec<ValueId> = model.states.iter().chain(&inputs).chain(&model.formals).copied().collect();
        super::protocol::assigned(&model.on_step, &mut |v, _| own.push(v));
        super::protocol::assigned(&model.on_reset, &mut |v, _| own.push(v));
        for v in own {
            if let std::collections::btree_map::Entry::Vacant(slot) = self.slots.entry(v) {
                slot.insert(variables.len() as VarId);
                variables.push(self.program.value(v).name.clone());
            }
        }
        let mut states = Vec::new();
        for s in &model.states {
            let given = e.args.iter().find(|(v, _)| v == s).map(|(_, e)| e);
            let ValueKind::State { initial } = &self.program.value(*s).kind else { continue };
            states.push((self.own_slot(*s), self.script(given.unwrap_or(initial))?));
        }
        let mut nothing = Elaborated::empty();
        let on_step = self.statements(&model.on_step, &mut nothing);
        let on_reset = self.statements(&model.on_reset, &mut nothing);
        let mut outputs = Vec::new();
        for name in shown {
            let id = names.iter().copied().find(|v| self.name(*v) == name);
            let Some(id) = id else {
                return Err(Diagnostic::error(EVALUATION, format!("`{}` has no `{name}`", e.name))
                    .label(e.span, "asked of this environment"));
            };
            outputs.push(self.script_value(id, self.program.value(id).span)?);
        }
        let equations = self.equations(e, model, &inputs)?;
        let taken = model.formals.iter().chain(&inputs);
        Ok(Written {
            variables,
            states,
            takes: taken.map(|v| (self.name(*v).to_string(), self.own_slot(*v))).collect(),
            on_step,
            on_reset,
            outputs,
            equations,
        })
    }

    fn own_slot(&self, v: ValueId) -> VarId {
        self.slots.get(&v).copied().unwrap_or(0)
    }

    /// What moves by itself, as the dynamics of one cell whose states the environment sets before it runs.
    fn equations(
        &mut self,
        e: &hir::Environment,
        environment: &hir::EnvironmentModel,
        inputs: &[ValueId],
    ) -> Result<Option<Equations>, Fail> {
        let model = self.program.model(environment.model);
        if model.equations.is_empty() {
            return Ok(None);
        }
        let number = |v: f64| hir::Expr {
            kind: ExprKind::Const(Value::Number(v)),
            span: e.span,
            ty: hir::Type { dim: None, ..hir::Type::NUMBER },
        };
        let mut args: Vec<(ValueId, hir::Expr)> = model.states.iter().map(|s| (*s, number(0.0))).collect();
        for v in &model.names {
            if let (ValueKind::Param { .. }, Some(fixed)) = (&self.program.value(*v).kind, self.values.get(*v)) {
                let ty = self.program.value(*v).ty;
                args.push((*v, hir::Expr { kind: ExprKind::Const(fixed.clone()), span: e.span, ty }));
            }
        }
        let settable: BTreeSet<String> = inputs.iter().map(|v| self.name(*v).to_string()).collect();
        let mut body = Body::new(environment.model, &model.name, args, settable);
        let mut network = Network { name: e.name.clone(), dt_ms: self.dt, ..Network::default() };
        let cell = |dynamics| Population {
            path: e.name.clone(),
            source: false,
            size: 1,
            axes: vec![Axis { name: None, labels: Vec::new(), sizes: vec![1] }],
            dynamics,
        };
        let node = network.graph.add_node(Node::Population(cell(body.dynamics.clone())));
        self.body(&mut body, &mut network, &mut HashMap::new())?;
        let params = &body.dynamics.params;
        let follows = |v: &ValueId| {
            let k = params.iter().position(|p| p.settable && p.name == self.name(*v))?;
            Some((self.own_slot(*v), k as u32))
        };
        let inputs = inputs.iter().filter_map(follows).collect();
        if let Some(Node::Population(p)) = network.graph.node_weight_mut(node) {
            *p = cell(body.dynamics);
        }
        let states = model.states.iter().map(|s| self.own_slot(*s)).collect();
        Ok(Some(Equations { network, states, inputs }))
    }
}
