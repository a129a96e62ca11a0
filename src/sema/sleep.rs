//! Schedules of sleep and the memories that they replay.
//!
//! A schedule is resolved anew at each `sleep` statement, in the scope of its file and of the network's names, with its params
//! standing for what the statement binds.

use super::error::*;
use super::experiment::Flow;
use super::scope::{Entity, ScopeId};
use super::{Cx, Pending, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, GatedDrive, Kick, Memory, NetworkId, Periodic, SleepPhase, Stmt, StmtKind, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleId(pub usize);

#[derive(Clone)]
pub(super) struct DeclaredSchedule {
    ast: Rc<ast::Sleep>,
    file: ScopeId,
}

impl Sema<'_> {
    pub(super) fn declare_schedule(&mut self, s: &ast::Sleep, scope: ScopeId) {
        let id = ScheduleId(self.schedules.len());
        self.schedules.push(DeclaredSchedule { ast: Rc::new(s.clone()), file: scope });
        self.declare(scope, &s.name, Entity::Schedule(id));
    }

    /// `memory episodes of CA3 { window 100 ms keep 200 at least 6 }`; its cells are looked up once all names are known.
    pub(super) fn declare_memory(&mut self, id: NetworkId, name: &ast::Name, item: &ast::Circuit, scope: ScopeId) {
        let path = self.path_of(&name.text);
        let zero = self.error_expr(name.span);
        let nothing = hir::Cells { population: hir::PopulationId(0), slots: Vec::new(), part: None, span: name.span };
        let memories = &mut self.program.networks[id.0 as usize].memories;
        memories.push(Memory { path, span: name.span, of: nothing, window: zero.clone(), keep: zero, least: None });
        let k = memories.len() as u32 - 1;
        self.declare(scope, name, Entity::Memory(id, k));
        self.memories.push((id, scope, item.clone()));
    }

    pub(super) fn resolve_memories(&mut self, id: NetworkId) {
        let (mine, others) = std::mem::take(&mut self.memories).into_iter().partition(|(n, ..)| *n == id);
        self.memories = others;
        for (_, scope, item) in mine {
            let ast::CircuitKind::Memory { name, of, window, keep, at_least } = &item.kind else { continue };
            let Some(Entity::Memory(_, k)) = self.scopes[scope.0].names.get(&name.text).cloned() else { continue };
            let place = Place::Binding;
            let cx = Cx { scope, place: &place };
            let window = self.number(window, cx, Dimension::TIME);
            let keep = self.number(keep, cx, Dimension::NUMBER);
            let least = at_least.as_ref().map(|e| self.number(e, cx, Dimension::NUMBER));
            let Some(s) = self.select(of, cx) else { continue };
            if let Some(member) = &s.member {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a memory is of cells").label(member.span, "a part of each of them"),
                );
                continue;
            }
            let m = &mut self.program.networks[id.0 as usize].memories[k as usize];
            (m.of, m.window, m.keep, m.least) = (s.cells, window, keep, least);
        }
    }

    /// `sleep Night(lambda = 2 %) for 2 cycles`
    pub(super) fn sleep(
        &mut self,
        schedule: &ast::Instance,
        cycles: &ast::Expr,
        cx: Cx,
        flow: &mut Flow,
    ) -> Option<StmtKind> {
        let cycles = self.number(cycles, cx, Dimension::NUMBER);
        let mut found = self.lookup(cx.scope, &schedule.path.names.first()?.text);
        for name in schedule.path.names.iter().skip(1) {
            found = found.and_then(|f| self.member_of(&f, name));
        }
        let Some(Entity::Schedule(id)) = found else {
            if !matches!(found, Some(Entity::Poison)) {
                let what = Entity::seen(found.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a schedule of sleep is expected here")
                        .label(schedule.path.span, what)
                        .help("declare it: `sleep Night of Network { cycle { phase sws 60 s { ... } } }`"),
                );
            }
            return None;
        };
        let DeclaredSchedule { ast: s, file } = self.schedules[id.0].clone();
        let of = self.lookup(file, &s.of.names.first()?.text);
        match of {
            Some(Entity::Network(n)) if n == flow.network => {}
            Some(Entity::Poison) => return None,
            other => {
                let name = self.program.network(flow.network).name.clone();
                let what = match other {
                    Some(Entity::Network(n)) => format!("of `{}`", self.program.network(n).name),
                    _ => "of nothing that is known".to_string(),
                };
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{name}` can't sleep by `{}`", s.name.text))
                        .label(schedule.path.span, format!("a schedule {what}"))
                        .label(s.of.span, "said here"),
                );
                return None;
            }
        }
        // The network's names, and those of the schedule's own file; none of who sleeps by it.
        let scope = self.new_scope(Some(self.network_scopes[flow.network.0 as usize]));
        for (name, entity) in self.scopes[file.0].names.clone() {
            if self.lookup(scope, &name).is_none() {
                self.scopes[scope.0].names.insert(name, entity);
            }
        }
        self.schedule_params(&s, schedule, scope, cx);
        let place = Place::Experiment(flow.network);
        let phases = s.phases.iter().map(|p| self.phase(p, Cx { scope, place: &place }, flow)).collect();
        Some(StmtKind::Sleep { cycles, phases })
    }

    fn schedule_params(&mut self, s: &ast::Sleep, use_: &ast::Instance, scope: ScopeId, cx: Cx) {
        let mut names = Vec::new();
        for item in &s.header {
            match &item.kind {
                ast::CircuitKind::Param(list) => {
                    for b in list {
                        names.push(b.name.text.clone());
                        let mut given = use_.args.iter().flatten();
                        let given = given.rfind(|a| a.name.as_ref().is_some_and(|n| n.text == b.name.text));
                        let (value, from, place) = match (given, &b.value) {
                            (Some(arg), _) => (arg.value.clone(), cx.scope, cx.place.clone()),
                            (None, Some(value)) => (value.clone(), scope, Place::Binding),
                            (None, None) => {
                                self.diags.push(
                                    Diagnostic::error(UNBOUND_PARAM, format!("`{}` has no value", b.name.text))
                                        .label(use_.span, "not bound here")
                                        .label(b.name.span, "no default"),
                                );
                                self.poison(scope, &b.name);
                                continue;
                            }
                        };
                        let id = self.broken_value(&b.name);
                        let bound = ast::Let { name: b.name.clone(), params: ast::LetParams::None, value };
                        self.pending.insert(id, (Pending::Let(bound), from, place));
                        self.scopes[scope.0].names.insert(b.name.text.clone(), Entity::Value(id));
                        self.ensure(id);
                    }
                }
                ast::CircuitKind::Let(l) => {
                    let id = self.declare_let(l, scope, Place::Binding);
                    self.ensure(id);
                }
                _ => {}
            }
        }
        for arg in use_.args.iter().flatten() {
            let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
            if !names.iter().any(|n| n == written) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.diags.push(
                    Diagnostic::error(UNKNOWN_ARGUMENT, format!("the schedule has no param `{written}`"))
                        .label(arg.span, "not known")
                        .help(params_help(written, &names)),
                );
            }
        }
    }

    fn phase(&mut self, p: &ast::SleepPhase, cx: Cx, flow: &mut Flow) -> SleepPhase {
        self.declare_window(&p.name, flow);
        if self.lookup(cx.scope, &p.name.text) != Some(Entity::Window) {
            self.declare(cx.scope, &p.name, Entity::Window);
        }
        let scope = self.new_scope(Some(cx.scope));
        let cx = Cx { scope, place: cx.place };
        let length = self.number(&p.length, cx, Dimension::TIME);
        let mut out = SleepPhase {
            name: p.name.text.clone(),
            span: p.span,
            length,
            switches: Vec::new(),
            drives: Vec::new(),
            kicks: Vec::new(),
            begin: Vec::new(),
            end: Vec::new(),
            every: Vec::new(),
        };
        let mut start = Vec::new();
        for action in &p.actions {
            self.action(&action.kind, action.span, &p.length, cx, flow, &mut out, &mut start);
        }
        out.begin.append(&mut start);
        out
    }

    fn action(
        &mut self,
        a: &ast::ActionKind,
        span: Span,
        length: &ast::Expr,
        cx: Cx,
        flow: &mut Flow,
        out: &mut SleepPhase,
        start: &mut Vec<Stmt>,
    ) {
        let fixed = Place::Binding;
        let fx = Cx { scope: cx.scope, place: &fixed };
        match a {
            ast::ActionKind::Set(set) => {
                if let Some(lasting) = &set.lasting {
                    self.diags.push(
                        Diagnostic::error(NOT_HERE, "what a phase sets lasts as long as the phase")
                            .label(lasting.span, "leave this out"),
                    );
                }
                let set = ast::Set { lasting: Some(length.clone()), ..set.clone() };
                self.set(&set, cx, &mut |kind| out.begin.push(Stmt { kind, span }));
            }
            ast::ActionKind::Switch(s) => {
                if let Some(of) = self.switched(s, cx) {
                    out.switches.push((s.on, of));
                }
            }
            ast::ActionKind::Let(l) => {
                let id = self.declare_let(l, cx.scope, Place::Binding);
                self.ensure(id);
            }
            ast::ActionKind::Drive { target, value } => {
                for target in self.each_of(target, cx.scope) {
                    let Some((s, input)) = self.input_of(&target, cx) else {
                        self.expr(value, fx, None);
                        return;
                    };
                    let dim = self.program.value(input).ty.dimension();
                    let name = self.program.value(input).name.clone();
                    let value = self.number(value, fx, dim);
                    let gate = self.gate();
                    out.drives.push(GatedDrive { target: s, input: name, value, gate });
                }
            }
            ast::ActionKind::Kick { target, by, at } => {
                let rate = self.number(at, cx, Dimension::RATE);
                let Some(found) = self.cells_at(target, cx, false) else {
                    self.expr(by, fx, None);
                    return;
                };
                for s in found {
                    let population = self.population_of(&s).clone();
                    let Some(receptor) = self.receptor_of(&population, &s, target.span) else { continue };
                    let dim = self.selected_receptors(&s)[receptor as usize].dim;
                    let weight = self.number(by, fx, dim);
                    let gate = self.gate();
                    out.kicks.push(Kick { target: s.cells, receptor, weight, rate: rate.clone(), gate, span });
                }
            }
            ast::ActionKind::At { end, body } => {
                self.no_time(body);
                let inner = self.new_scope(Some(cx.scope));
                let list = self.statements(body, inner, cx.place, flow);
                if *end { out.end.extend(list) } else { start.extend(list) }
            }
            ast::ActionKind::Every { period, body } => {
                self.no_time(body);
                let period = self.number(period, cx, Dimension::TIME);
                let inner = self.new_scope(Some(cx.scope));
                let body = self.statements(body, inner, cx.place, flow);
                out.every.push(Periodic { period, first: false, body });
            }
            ast::ActionKind::Replay { target, by, from, every, lasting } => {
                let period = self.number(every, cx, Dimension::TIME);
                let lasting = self.number(lasting, cx, Dimension::TIME);
                let memory = match self.thing(from, cx.scope) {
                    Some(Entity::Memory(_, k)) => Some(k),
                    Some(Entity::Poison) => None,
                    other => {
                        let what = Entity::seen(other.as_ref());
                        self.diags.push(
                            Diagnostic::error(WRONG_THING, "a memory is expected here")
                                .label(from.span, what)
                                .help("declare it in the network: `memory episodes of CA3 { window 100 ms keep 200 }`"),
                        );
                        None
                    }
                };
                let Some((cells, input)) = self.input_of(target, cx) else {
                    self.expr(by, cx, None);
                    return;
                };
                let dim = self.program.value(input).ty.dimension();
                let by = self.number(by, cx, dim);
                let Some(memory) = memory else { return };
                let held = self.program.network(flow.network).memories[memory as usize].clone();
                if held.of.population != cells.population {
                    let name = |s: &Self, p: hir::PopulationId| {
                        s.program.network(flow.network).populations[p.0 as usize].name.clone()
                    };
                    let (of, to) = (name(self, held.of.population), name(self, cells.population));
                    self.diags.push(
                        Diagnostic::error(REPLAY, format!("a memory of `{of}` can't drive `{to}`"))
                            .label(target.span, format!("cells of `{to}`"))
                            .label(from.span, format!("holds which cells of `{of}` fired"))
                            .help(format!("replay it on `{of}`, or keep a memory of `{to}`")),
                    );
                    return;
                }
                let name = self.program.value(input).name.clone();
                let site = self.site();
                let kind = StmtKind::Replay { memory, target: cells, name, by, lasting, site };
                out.every.push(Periodic { period, first: true, body: vec![Stmt { kind, span }] });
            }
        }
    }

    /// `pfc.E.I`: cells and one of their inputs.
    fn input_of(&mut self, target: &ast::Expr, cx: Cx) -> Option<(hir::Cells, hir::ValueId)> {
        let s = self.select(target, cx)?;
        let names = self.selected_names(&s);
        let inputs: Vec<&(String, hir::ValueId)> =
            names.iter().filter(|(_, v)| matches!(self.program.value(*v).kind, ValueKind::Input)).collect();
        let found = s.member.as_ref().and_then(|m| inputs.iter().find(|(n, _)| *n == m.text)).map(|(_, v)| *v);
        if found.is_none() {
            let all: Vec<&str> = inputs.iter().map(|(n, _)| n.as_str()).collect();
            let help = if all.is_empty() { "it has none".to_string() } else { format!("it has {}", all.join(", ")) };
            self.diags.push(
                Diagnostic::error(UNKNOWN_MEMBER, "an input of cells is expected here")
                    .label(target.span, "not one")
                    .help(help),
            );
        }
        Some((s.cells, found?))
    }

    fn gate(&mut self) -> u32 {
        self.gates += 1;
        self.gates - 1
    }

    /// Time does not move inside `at` and `every`.
    fn no_time(&mut self, body: &ast::Block) {
        for s in &body.stmts {
            match &s.kind {
                ast::StmtKind::Simulate { .. } | ast::StmtKind::Sleep { .. } => self.diags.push(
                    Diagnostic::error(NOT_HERE, "time moves by the phase alone")
                        .label(s.span, "would move it here")
                        .help("give the phase the length that it should have"),
                ),
                ast::StmtKind::For { body, .. } | ast::StmtKind::Repeat { body, .. } => self.no_time(body),
                ast::StmtKind::If(i) => self.no_time_if(i),
                _ => {}
            }
        }
    }

    fn no_time_if(&mut self, i: &ast::StmtIf) {
        self.no_time(&i.then);
        match &i.otherwise {
            Some(ast::StmtElse::If(next)) => self.no_time_if(next),
            Some(ast::StmtElse::Block(b)) => self.no_time(b),
            None => {}
        }
    }
}
