//! Schedules of sleep, what phases gate, what memories keep, and gains that an experiment sets.

use super::dynamics::{Body, Cx, Mode};
use super::error::*;
use super::network::{Elaborated, membership};
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, PopulationId, StmtKind};
use crate::ir::protocol::{Memory, Periodic, Phase, SetTarget, Stmt};
use crate::ir::{self, ExprId, ParamKind, PoissonInput, Subset};
use crate::script::{Cells, Expr};
use crate::units::{self, Dimension};
use std::collections::{BTreeMap, HashMap};

/// Params that an experiment writes and that no model declares.
#[derive(Default)]
pub(super) struct Switches {
    /// Of each drive and kick of a phase: (population, param).
    gates: BTreeMap<u32, (PopulationId, u32)>,
    /// Of each projection whose gain is set, by its name: one for each target population.
    gains: BTreeMap<String, Vec<(PopulationId, u32)>>,
}

/// Every statement of an experiment, those inside others included.
fn all_statements(body: &[hir::Stmt]) -> Vec<&hir::Stmt> {
    let mut out = Vec::new();
    let mut stack: Vec<&hir::Stmt> = body.iter().rev().collect();
    while let Some(s) = stack.pop() {
        out.push(s);
        stack.extend(s.kind.blocks().into_iter().rev().flat_map(|b| b.iter().rev()));
    }
    out
}

/// The phases of all `sleep` statements, in order.
pub(super) fn phases(body: &[hir::Stmt]) -> Vec<&hir::SleepPhase> {
    let mut out = Vec::new();
    for s in all_statements(body) {
        if let StmtKind::Sleep { phases, .. } = &s.kind {
            out.extend(phases);
        }
    }
    out
}

impl Switches {
    /// The projections whose gain is set.
    pub fn of(body: &[hir::Stmt]) -> Switches {
        let set = all_statements(body).into_iter().filter_map(|s| match &s.kind {
            StmtKind::SetGain { projection, .. } => Some((projection.clone(), Vec::new())),
            _ => None,
        });
        Switches { gates: BTreeMap::new(), gains: set.collect() }
    }

    /// The factor that an experiment sets, on what a projection brings to a population.
    pub fn gain(&mut self, projection: Option<&str>, population: PopulationId, body: &mut Body) -> Option<ExprId> {
        // Projections of a matrix are scaled by its name.
        let name = projection?.split(':').next()?;
        let (name, known) = self.gains.get_key_value(name)?;
        let param = match known.iter().find(|(p, _)| *p == population) {
            Some((_, param)) => *param,
            None => {
                let name = name.clone();
                let param = body.param(format!("gain of {name}"), Dimension::NUMBER, ParamKind::Scalar(1.0), true);
                self.gains.entry(name).or_default().push((population, param));
                param
            }
        };
        Some(body.dynamics.exprs.intern(ir::Expr::Param(param)))
    }
}

/// `value` for the cells of a subset, 0 for the others.
pub(super) fn only_in(cx: &mut Cx, value: ExprId, subset: &Subset, size: u32, name: &str) -> ExprId {
    if *subset == Subset::All {
        return value;
    }
    let member = membership(cx.network, subset, size);
    let Mode::Dynamics(body) = &mut cx.mode else { return value };
    let inside = body.lifted(&cx.network.build, member, name);
    let x = &mut body.dynamics.exprs;
    let (zero, one) = (x.real(0.0), x.real(1.0));
    let inside = x.compare(ir::Compare::Eq, inside, one);
    x.select(inside, value, zero)
}

impl Lowering<'_> {
    /// Adds a phase's drive to its input: nothing while its gate is shut.
    pub(super) fn gated_drive(&mut self, d: &hir::GatedDrive, out: &mut Elaborated) -> Result<(), Fail> {
        let subset = self.subset(&d.target, out)?;
        let Elaborated { network, placed, tables, switches, .. } = out;
        let Some(placed) = placed.get_mut(&d.target.population) else { return Ok(()) };
        let input = self.name_on_cells(placed.body.model, &d.target, &d.input)?;
        let size = placed.size;
        let gate = placed.body.param(format!("drive {}", d.gate), Dimension::NUMBER, ParamKind::Scalar(0.0), true);
        switches.gates.insert(d.gate, (d.target.population, gate));
        let mode = Mode::Dynamics(&mut placed.body);
        let mut cx = Cx { network, mode, formals: HashMap::new(), tables, lets: HashMap::new() };
        let value = self.translate(&d.value, &mut cx)?;
        let value = only_in(&mut cx, value, &subset, size, "driven");
        let x = &mut placed.body.dynamics.exprs;
        let (open, zero) = (x.intern(ir::Expr::Param(gate)), x.real(0.0));
        let open = x.compare(ir::Compare::Gt, open, zero);
        let value = x.select(open, value, zero);
        placed.body.drives.push((input, value));
        Ok(())
    }

    /// Independent Poisson trains onto the cells of a phase's kick, at a rate that is 0 while the phase does not last.
    pub(super) fn kick(&mut self, k: &hir::Kick, out: &mut Elaborated) -> Result<(), Fail> {
        let subset = self.subset(&k.target, out)?;
        let Elaborated { network, placed, tables, switches, .. } = out;
        let Some(placed) = placed.get_mut(&k.target.population) else { return Ok(()) };
        let size = placed.size;
        let path = {
            let population = network.graph.node_weight(placed.node);
            let population = population.and_then(|n| if let ir::Node::Population(p) = n { Some(p) } else { None });
            format!("kick {}->{}", k.gate, population.map_or("", |p| p.path.as_str()))
        };
        let rate = placed.body.param(path.clone(), Dimension::RATE, ParamKind::Scalar(0.0), true);
        switches.gates.insert(k.gate, (k.target.population, rate));
        let mode = Mode::Dynamics(&mut placed.body);
        let mut cx = Cx { network, mode, formals: HashMap::new(), tables, lets: HashMap::new() };
        let weight = self.translate(&k.weight, &mut cx)?;
        let rate = cx.arena().intern(ir::Expr::Param(rate));
        let rate = only_in(&mut cx, rate, &subset, size, "reached");
        let receptor = k.receptor;
        placed.body.dynamics.poisson.push(PoissonInput { path, receptor, rate, weight, delay: 1 });
        Ok(())
    }

    /// What the memories of a network keep.
    pub(super) fn memories(&mut self, network: &hir::Network, out: &mut Elaborated) -> Result<Vec<Memory>, Fail> {
        let mut all = Vec::new();
        for m in &network.memories {
            let window = self.constant_number(&m.window)?;
            if !(window / self.dt > 0.5) {
                let dt = units::display(self.dt, Dimension::TIME);
                return Err(Diagnostic::error(NEGATIVE, "a memory of windows shorter than a step")
                    .label(m.window.span, format!("a step is {dt}")));
            }
            let window = self.whole_steps(window, m.window.span, "a window").max(1);
            let most = u64::from(u32::MAX);
            let keep = self.constant_count(&m.keep, most)?;
            let least = m.least.as_ref().map(|e| self.constant_count(e, most)).transpose()?.unwrap_or(1);
            if keep == 0 {
                return Err(
                    Diagnostic::error(NEGATIVE_SIZE, "a memory of no patterns").label(m.keep.span, "at least 1")
                );
            }
            all.push(Memory { path: m.path.clone(), of: self.cells(&m.of, out)?, window, keep, least: least.max(1) });
        }
        Ok(all)
    }

    /// `sleep S for n cycles`: so many times one phase after the other.
    pub(super) fn sleep(
        &mut self,
        cycles: &hir::Expr,
        phases: &[hir::SleepPhase],
        place: String,
        out: &mut Elaborated,
    ) -> Result<Stmt, Fail> {
        let times = self.repetitions(cycles, out)?;
        let mut body = Vec::new();
        for p in phases {
            body.push(Stmt::Phase(self.phase(p, out)?));
        }
        Ok(Stmt::Repeat { times, until: None, body, place })
    }

    fn phase(&mut self, p: &hir::SleepPhase, out: &mut Elaborated) -> Result<Phase, Fail> {
        let place = self.place(p.span);
        let length = self.live_script(&p.length, out)?;
        self.not_negative(&length, p.length.span, "a phase")?;
        let mut learning = Vec::new();
        for (on, of) in &p.switches {
            learning.push((*on, self.projections(of, p.span, out)?));
        }
        let mut begin = Vec::new();
        for d in &p.drives {
            begin.extend(self.gate(d.gate, Expr::number(1.0), &length, p.span, out)?);
        }
        for k in &p.kicks {
            let rate = self.live_script(&k.rate, out)?;
            if let Some(v) = rate.as_const().and_then(|v| v.number().ok())
                && v < 0.0
            {
                let found = units::display(v, Dimension::RATE);
                return Err(Diagnostic::error(NEGATIVE, format!("a rate of {found}"))
                    .label(k.rate.span, "a rate of spikes is not negative"));
            }
            begin.extend(self.gate(k.gate, rate, &length, p.span, out)?);
        }
        begin.append(&mut self.statements(&p.begin, out));
        let mut every = Vec::new();
        for e in &p.every {
            let period = self.live_script(&e.period, out)?;
            if let Some(v) = period.as_const().and_then(|v| v.number().ok())
                && !(v / self.dt > 0.5)
            {
                let (found, dt) = (units::display(v, Dimension::TIME), units::display(self.dt, Dimension::TIME));
                return Err(Diagnostic::error(NEGATIVE, format!("something every {found}"))
                    .label(e.period.span, format!("a step is {dt}; it can't happen more often than once in each")));
            }
            every.push(Periodic { period, first: e.first, body: self.inner(&e.body, out) });
        }
        let end = self.inner(&p.end, out);
        Ok(Phase { name: p.name.clone(), length, learning, begin, every, end, place })
    }

    /// Opens a gate for as long as a phase lasts.
    fn gate(
        &mut self,
        gate: u32,
        value: Expr,
        length: &Expr,
        phase: Span,
        out: &Elaborated,
    ) -> Result<Option<Stmt>, Fail> {
        let Some(opened) = out.switches.gates.get(&gate).copied() else { return Ok(None) };
        let target = self.switch(opened, "what a phase drives", phase, out)?;
        Ok(Some(Stmt::Set { target, op: None, value, lasting: Some(length.clone()), place: self.place(phase) }))
    }

    /// `set P.gain = x`: one statement for each population that it reaches.
    pub(super) fn set_gain(&mut self, projection: &str, span: Span, out: &Elaborated) -> Result<Vec<SetTarget>, Fail> {
        let reached = out.switches.gains.get(projection).cloned().unwrap_or_default();
        if reached.is_empty() {
            return Err(Diagnostic::error(
                EVALUATION,
                format!("`{projection}` has no synapses in the network as it is laid out"),
            )
            .label(span, "left out by an `if`"));
        }
        reached.into_iter().map(|r| self.switch(r, &format!("{projection}.gain"), span, out)).collect()
    }

    fn switch(
        &self,
        (population, param): (PopulationId, u32),
        text: &str,
        span: Span,
        out: &Elaborated,
    ) -> Result<SetTarget, Fail> {
        let population = self.position(population, out, span)?;
        Ok(SetTarget { cells: Cells { population, slots: Vec::new() }, param, text: text.to_string(), bounds: None })
    }

    /// A pattern of a memory adds to an input.
    pub(super) fn replay(
        &mut self,
        memory: u32,
        target: SetTarget,
        by: &hir::Expr,
        lasting: &hir::Expr,
        site: u32,
        place: String,
        out: &mut Elaborated,
    ) -> Result<Stmt, Fail> {
        let value = self.live_script(by, out)?;
        let time = self.live_script(lasting, out)?;
        self.not_negative(&time, lasting.span, "a replay")?;
        Ok(Stmt::Replay { memory, target, value, lasting: time, site: self.own_site(site), place })
    }
}

/// Whether an experiment replays.
pub(super) fn replays(body: &[hir::Stmt]) -> bool {
    all_statements(body).iter().any(|s| matches!(s.kind, StmtKind::Replay { .. }))
}

/// `x` times the gain that an experiment sets, if it sets one.
pub(super) fn with_gain(gain: Option<ExprId>, set: Option<ExprId>, cx: &mut Cx) -> Option<ExprId> {
    match (gain, set) {
        (Some(a), Some(b)) => Some(cx.arena().mul(a, b)),
        (a, b) => a.or(b),
    }
}
