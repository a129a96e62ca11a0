//! Names and populations that nothing reads, and axes that hide a param.
//!
//! Only what the compiled file itself declares is told, and names only where it has experiments: what a library offers is for
//! others. A name that begins with `_` is meant to stand unread.

use super::error::*;
use crate::base::{Diagnostic, Diagnostics, FileId, Span};
use crate::hir::{
    self, Cells, Experiment, Expr, ExprKind, Item, Loop, Model, Network, PopulationId, Program, Record, Rule, Slot,
    SpikeRule, Stmt, StmtKind, TableAxis, ValueId, ValueKind, Window,
};
use std::collections::{BTreeSet, HashSet};

/// What is read anywhere.
#[derive(Default)]
struct Reads {
    values: HashSet<ValueId>,
    /// Members that are named with a dot or in `record`: of whose model is not asked.
    names: BTreeSet<String>,
}

/// Warns of params, lets, states and variables that nothing reads.
pub(super) fn names(program: &Program, file: FileId, experiments: &[&Experiment], diags: &mut Diagnostics) {
    if experiments.is_empty() {
        return;
    }
    let reads = Reads::of(program);
    let unread = |name: &str, span: Span, what: &str| {
        Diagnostic::warning(UNUSED_NAME, format!("nothing reads the {what} `{name}`"))
            .label(span, "declared here")
            .help(format!("leave it out, or call it `_{name}` to keep it"))
    };
    let mut tell = |id: ValueId, what: &str| {
        let def = program.value(id);
        let read = reads.values.contains(&id) || reads.names.contains(&def.name);
        if def.span.file == file && !read && !def.name.starts_with('_') {
            diags.push(unread(&def.name, def.span, what));
        }
    };
    for m in program.models.iter().filter(|m| !m.broken) {
        for v in &m.names {
            match &program.value(*v).kind {
                ValueKind::Param { .. } => tell(*v, "param"),
                ValueKind::Let(_) => tell(*v, "let"),
                // A level is read by the modulator's name.
                ValueKind::State { .. } if m.level != Some(*v) => tell(*v, "state"),
                _ => {}
            }
        }
    }
    // A network that no experiment runs is a part, and its params and lets are for others.
    let run = |k: usize| experiments.iter().any(|e| e.network.0 as usize == k);
    for (_, n) in program.networks.iter().enumerate().filter(|(k, n)| !n.broken && run(*k)) {
        for v in &n.names {
            match &program.value(*v).kind {
                ValueKind::Param { .. } => tell(*v, "param"),
                ValueKind::Let(_) | ValueKind::Table { .. } | ValueKind::Function { .. } => tell(*v, "let"),
                _ => {}
            }
        }
    }
    for e in experiments.iter().filter(|e| !e.broken) {
        for v in &e.names {
            if matches!(program.value(*v).kind, ValueKind::Param { .. }) {
                tell(*v, "param");
            }
        }
        visit_statements(&mut e.body.iter().chain(&e.conclude), &mut |s| match &s.kind {
            StmtKind::Assign { variable, .. } => {
                // A later assignment stands apart from the declaration.
                let at = program.value(*variable).span;
                if s.span.start <= at.start && at.start < s.span.end {
                    tell(*variable, "let");
                }
            }
            StmtKind::Fill { variable, .. } => tell(*variable, "variable"),
            _ => {}
        });
    }
    for l in program.labels.iter().filter(|l| l.span.file == file && !l.used && !l.name.starts_with('_')) {
        if !l.members.iter().any(|m| reads.values.contains(m)) {
            diags.push(unread(&l.name, l.span, "labels"));
        }
    }
}

/// Warns of populations with which nothing is done.
pub(super) fn populations(program: &Program, file: FileId, experiments: &[&Experiment], diags: &mut Diagnostics) {
    let reads = Reads::of(program);
    for (k, n) in program.networks.iter().enumerate() {
        let of: Vec<_> = experiments.iter().filter(|e| e.network.0 as usize == k).collect();
        if n.broken || of.is_empty() {
            continue;
        }
        let mut touched: BTreeSet<PopulationId> = BTreeSet::new();
        items(&n.items, &mut touched);
        let mut of_interest = BTreeSet::new();
        of.iter().for_each(|e| asked(e, &mut of_interest));
        // An experiment that asks for nothing is after the figures that every run gives of all populations.
        if of_interest.is_empty() {
            continue;
        }
        touched.extend(of_interest);
        // Populations of an array of regions are one text: something is done with it where it is with one of them.
        let text = |p: &hir::Population| (p.span.file, p.span.start, p.span.end);
        let mut told: BTreeSet<_> = touched.iter().map(|id| text(&n.populations[id.0 as usize])).collect();
        for (k, p) in n.populations.iter().enumerate() {
            // The name of a modulator is its level.
            let level_read = p.level.is_some_and(|v| reads.values.contains(&v));
            if level_read || touched.contains(&PopulationId(k as u32)) || p.span.file != file || p.name.starts_with('_')
            {
                continue;
            }
            if !told.insert(text(p)) {
                continue;
            }
            let what = if p.source { "source" } else { "population" };
            diags.push(
                Diagnostic::warning(UNUSED_POPULATION, format!("nothing is done with the {what} `{}`", p.name))
                    .label(p.span, "no projection, no drive, and no experiment asks for it")
                    .help("connect it, record it, or leave it out"),
            );
        }
    }
}

/// Warns of events of a network that none of its experiments sends: who waits for a reward then learns nothing.
pub(super) fn events(program: &Program, file: FileId, experiments: &[&Experiment], diags: &mut Diagnostics) {
    for (k, n) in program.networks.iter().enumerate() {
        let of: Vec<_> = experiments.iter().filter(|e| e.network.0 as usize == k).collect();
        if n.broken || of.is_empty() || of.iter().any(|e| e.broken) {
            continue;
        }
        let mut sent = BTreeSet::new();
        for e in of {
            visit_statements(&mut e.body.iter(), &mut |s| {
                if let StmtKind::Emit { event, .. } = &s.kind {
                    sent.insert(*event);
                }
            });
        }
        for (event, port) in n.events.iter().enumerate() {
            if sent.contains(&(event as u32)) || port.span.file != file || port.path.starts_with('_') {
                continue;
            }
            let call = if port.dim.is_some() { format!("{}(1)", port.path) } else { port.path.clone() };
            diags.push(
                Diagnostic::warning(EVENT_NOT_SENT, format!("no experiment sends the event `{}`", port.path))
                    .label(port.span, "waited for, and never sent")
                    .help(format!("send it where it happens: `emit {call}`; or leave the event out")),
            );
        }
    }
}

fn items(list: &[Item], touched: &mut BTreeSet<PopulationId>) {
    for item in list {
        match item {
            Item::Population(_) => {}
            Item::Projection(p) => {
                touched.extend(p.from.iter().map(|c| c.population));
                touched.extend(p.to.iter().map(|(c, _)| c.population));
            }
            Item::Drive { target, .. } => {
                touched.insert(target.population);
            }
            Item::For { items: inner, .. } => items(inner, touched),
            Item::If { then, otherwise, .. } => {
                items(then, touched);
                items(otherwise, touched);
            }
        }
    }
}

fn asked(e: &Experiment, touched: &mut BTreeSet<PopulationId>) {
    for r in &e.records {
        if let Record::Spikes(of) | Record::Observable { of, .. } = r {
            touched.insert(of.population);
        }
    }
    touched.extend(e.plots.iter().flat_map(|p| &p.of).map(|(c, _)| c.population));
    visit_statements(&mut e.body.iter().chain(&e.conclude), &mut |s| {
        if let StmtKind::Set { target, .. } = &s.kind {
            touched.insert(target.population);
        }
        statement_expressions(s, &mut |e| {
            visit(e, &mut |x| {
                if let ExprKind::Spikes { of, .. } | ExprKind::Trace { of, .. } = &x.kind {
                    touched.insert(of.population);
                }
            });
        });
    });
}

/// Warns where `pre.x` would be an axis although the model has a param of that name.
pub(super) fn hidden_params(program: &Program, file: FileId, diags: &mut Diagnostics) {
    for p in program.networks.iter().filter(|n| !n.broken).flat_map(|n| &n.populations) {
        let Some(model) = program.models.get(p.model.0 as usize) else { continue };
        for v in &p.axis_values {
            let axis = program.value(*v);
            let param = model.names.iter().map(|n| program.value(*n)).find(|d| d.name == axis.name);
            if let Some(d) = param
                && axis.span.file == file
                && matches!(d.kind, ValueKind::Param { .. })
            {
                diags.push(
                    Diagnostic::warning(AXIS_HIDES_PARAM, format!("the axis `{0}` hides the param `{0}`", axis.name))
                        .label(axis.span, format!("`pre.{}` and `post.{0}` mean the axis", axis.name))
                        .help(format!("rename the axis: `{}` has a param of this name", model.name)),
                );
            }
        }
    }
}

impl Reads {
    /// Of everything in a program.
    fn of(program: &Program) -> Reads {
        let mut reads = Reads::default();
        reads.values.extend(&program.read);
        for k in 0..program.values.len() {
            reads.definition(program, ValueId(k as u32));
        }
        program.models.iter().for_each(|m| reads.model(m));
        for e in &program.environments {
            let mut handlers = e.on_step.iter().chain(&e.on_reset);
            visit_statements(&mut handlers, &mut |s| statement_expressions(s, &mut |x| reads.expression(x)));
        }
        program.networks.iter().for_each(|n| reads.network(n));
        program.experiments.iter().for_each(|e| reads.experiment(e));
        reads
    }

    fn expression(&mut self, e: &Expr) {
        self.except(e, None);
    }

    /// Everything that `e` reads but `own`: what a state does to itself is no use of it.
    fn except(&mut self, e: &Expr, own: Option<ValueId>) {
        visit(e, &mut |x| match &x.kind {
            ExprKind::Value(v) | ExprKind::Apply(v, _) if Some(*v) != own => {
                self.values.insert(*v);
            }
            ExprKind::Attribute(_, name)
            | ExprKind::Trace { name, .. }
            | ExprKind::Environment { output: name, .. } => {
                self.names.insert(name.clone());
            }
            ExprKind::Spikes { by: Some(name), .. } | ExprKind::Rows { by: Some(name), .. } => {
                self.names.insert(name.clone());
            }
            _ => {}
        });
    }

    fn definition(&mut self, program: &Program, id: ValueId) {
        match &program.value(id).kind {
            ValueKind::Param { default, bounds } => {
                default.iter().for_each(|e| self.expression(e));
                bounds.iter().for_each(|(a, b)| [a, b].into_iter().for_each(|e| self.expression(e)));
            }
            ValueKind::Let(e) | ValueKind::Output(e) | ValueKind::State { initial: e } => self.expression(e),
            ValueKind::Table { axes, value } => {
                self.axes(axes);
                self.expression(value);
            }
            ValueKind::Function { value, .. } => self.expression(value),
            _ => {}
        }
    }

    fn axes(&mut self, axes: &[TableAxis]) {
        axes.iter().for_each(|a| self.expression(&a.size));
    }

    fn model(&mut self, m: &Model) {
        m.equations.iter().for_each(|q| self.except(&q.value, Some(q.state)));
        let events = m.events.iter().flat_map(|e| e.handlers.iter().flat_map(|(_, body)| body));
        for a in m.receptors.iter().flat_map(|r| &r.body).chain(&m.reset).chain(events) {
            self.except(&a.value, Some(a.state));
        }
        match &m.spike {
            SpikeRule::Never => {}
            SpikeRule::When(e) | SpikeRule::Rate(e) | SpikeRule::Times(e) => self.expression(e),
        }
        m.refractory.iter().for_each(|(e, _)| self.expression(e));
        self.every(&m.every);
        m.pair_inputs.iter().flat_map(|p| p.terms.iter().flatten()).for_each(|e| self.expression(e));
        for c in &m.compartments {
            c.axis.iter().for_each(|a| self.expression(&a.size));
            c.equations.iter().for_each(|q| self.except(&q.value, Some(q.state)));
            for a in c.receptors.iter().flat_map(|r| &r.body) {
                self.except(&a.value, Some(a.state));
            }
            self.every(&c.every);
        }
        for c in &m.couplings {
            self.loops(&c.loops);
            self.expression(&c.conductance);
            [&c.a, &c.b].into_iter().filter_map(|p| p.index.as_deref()).for_each(|e| self.expression(e));
        }
    }

    fn every(&mut self, list: &[hir::Every]) {
        for e in list {
            self.expression(&e.period);
            self.cell_statements(&e.body);
        }
    }

    fn cell_statements(&mut self, list: &[hir::CellStmt]) {
        for s in list {
            match s {
                hir::CellStmt::Set(a) => self.except(&a.value, Some(a.state)),
                hir::CellStmt::If(c, a, b) => {
                    self.expression(c);
                    self.cell_statements(a);
                    self.cell_statements(b);
                }
            }
        }
    }

    fn rule(&mut self, rule: &hir::Plasticity) {
        for v in &rule.variables {
            self.expression(&v.initial);
            v.equation.iter().for_each(|e| self.expression(e));
        }
        rule.drift.iter().for_each(|e| self.expression(e));
        rule.regrow.iter().for_each(|e| self.expression(e));
        rule.bounds.iter().for_each(|(a, b)| [a, b].into_iter().for_each(|e| self.expression(e)));
        for h in &rule.handlers {
            if let hir::Event::Every(e) = &h.event {
                self.expression(e);
            }
            self.handler(&h.body);
        }
    }

    fn handler(&mut self, list: &[hir::RuleStmt]) {
        for s in list {
            match s {
                hir::RuleStmt::Set { value: e, .. } | hir::RuleStmt::Deliver(e) | hir::RuleStmt::Remove(e) => {
                    self.expression(e)
                }
                hir::RuleStmt::If(c, a, b) => {
                    self.expression(c);
                    self.handler(a);
                    self.handler(b);
                }
            }
        }
    }

    fn network(&mut self, n: &Network) {
        n.dt.iter().for_each(|e| self.expression(e));
        for p in &n.populations {
            p.axes.iter().flatten().for_each(|a| self.expression(&a.size));
            p.args.iter().for_each(|(_, e)| self.expression(e));
            if let Some(at) = &p.position {
                at.coordinates.iter().chain(at.extent.iter().flatten()).for_each(|e| self.expression(e));
                at.arc.iter().for_each(|(a, b)| [a, b].into_iter().for_each(|e| self.expression(e)));
            }
            p.winners.iter().for_each(|w| [&w.most, &w.within].into_iter().for_each(|e| self.expression(e)));
        }
        self.items(&n.items);
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Population(_) => {}
                Item::Projection(p) => {
                    p.from.iter().chain(p.to.iter().map(|(c, _)| c)).for_each(|c| self.cells(c));
                    if let Some(c) = &p.connect {
                        c.filter.iter().for_each(|e| self.expression(e));
                        match &c.rule {
                            Rule::Bernoulli(e)
                            | Rule::FixedIndegree(e)
                            | Rule::FixedOutdegree(e)
                            | Rule::FixedTotalNumber(e)
                            | Rule::Pairs(e) => self.expression(e),
                            Rule::OneToOne | Rule::AllToAll | Rule::Edges { .. } => {}
                        }
                    }
                    p.rules.iter().for_each(|r| self.rule(r));
                    self.values.extend(p.continuous.iter().flat_map(|c| c.values.iter().chain(&c.inputs)));
                    [&p.weight, &p.delay, &p.gain, &p.dendritic].into_iter().flatten().for_each(|e| self.expression(e));
                }
                Item::Drive { target, value, .. } => {
                    self.cells(target);
                    self.expression(value);
                }
                Item::For { loops, items } => {
                    self.loops(loops);
                    self.items(items);
                }
                Item::If { condition, then, otherwise } => {
                    self.expression(condition);
                    self.items(then);
                    self.items(otherwise);
                }
            }
        }
    }

    fn loops(&mut self, loops: &[Loop]) {
        for l in loops {
            self.expression(&l.start);
            l.end.iter().for_each(|e| self.expression(e));
        }
    }

    fn cells(&mut self, c: &Cells) {
        slots(&c.slots, &mut |e| self.expression(e));
    }

    fn experiment(&mut self, e: &Experiment) {
        e.args.iter().for_each(|(_, x)| self.expression(x));
        e.seeds.iter().for_each(|x| self.expression(x));
        e.environments.iter().flat_map(|n| &n.args).for_each(|(_, x)| self.expression(x));
        self.loops(&e.sweeps);
        for r in &e.records {
            match r {
                Record::Spikes(of) => self.cells(of),
                Record::Observable { of, name, every, .. } => {
                    self.cells(of);
                    self.names.insert(name.clone());
                    every.iter().for_each(|x| self.expression(x));
                }
                Record::Weights { every, .. } => every.iter().for_each(|x| self.expression(x)),
            }
        }
        for (cells, name) in e.plots.iter().flat_map(|p| &p.of) {
            self.cells(cells);
            self.names.extend(name.clone());
        }
        e.curves.iter().chain(e.fronts.iter().flatten()).for_each(|(x, _)| self.expression(x));
        visit_statements(&mut e.body.iter().chain(&e.conclude), &mut |s| {
            if let StmtKind::Set { target, .. } = &s.kind {
                self.cells(target);
            }
            statement_expressions(s, &mut |x| self.expression(x));
        });
    }
}

fn slots(list: &[Slot], go: &mut dyn FnMut(&Expr)) {
    for s in list {
        match s {
            Slot::At(e) => go(e),
            Slot::Range(lo, hi) => lo.iter().chain(hi).for_each(&mut *go),
        }
    }
}

/// Every statement, those inside others included.
pub(super) fn visit_statements<'s>(list: &mut dyn Iterator<Item = &'s Stmt>, go: &mut dyn FnMut(&'s Stmt)) {
    for s in list {
        go(s);
        s.kind.blocks().into_iter().for_each(|block| visit_statements(&mut block.iter(), go));
    }
}

/// The expressions of a statement itself.
pub(super) fn statement_expressions(s: &Stmt, go: &mut dyn FnMut(&Expr)) {
    match &s.kind {
        StmtKind::Simulate { time, .. } => go(time),
        StmtKind::Emit { value, after, .. } => value.iter().chain(after).for_each(go),
        StmtKind::SetSensor { slots: at, value, lasting, .. } => {
            slots(at, go);
            std::iter::once(value).chain(lasting).for_each(go);
        }
        StmtKind::Set { value, lasting, .. } | StmtKind::SetGain { value, lasting, .. } => {
            std::iter::once(value).chain(lasting).for_each(go)
        }
        StmtKind::Replay { by, lasting, .. } => [by, lasting].into_iter().for_each(go),
        StmtKind::Sleep { cycles, phases } => {
            go(cycles);
            for p in phases {
                go(&p.length);
                p.drives.iter().for_each(|d| go(&d.value));
                p.kicks.iter().flat_map(|k| [&k.weight, &k.rate]).for_each(&mut *go);
                p.every.iter().for_each(|e| go(&e.period));
            }
        }
        StmtKind::Assign { slots, value, .. } => slots.iter().chain([value]).for_each(go),
        StmtKind::Fill { axes, value, .. } => axes.iter().map(|a| &a.size).chain([value]).for_each(go),
        StmtKind::For { loops, .. } => loops.iter().flat_map(|l| std::iter::once(&l.start).chain(&l.end)).for_each(go),
        StmtKind::Repeat { times, until, .. } => std::iter::once(times).chain(until).for_each(go),
        StmtKind::If { condition, .. } => go(condition),
        StmtKind::Expect { condition, within, .. } => {
            std::iter::once(condition).chain(within.iter().map(|(e, _)| e)).for_each(go);
        }
        StmtKind::Measure { value, .. } => go(value),
        StmtKind::Downscale { by, .. } => go(by),
        StmtKind::Step { args, lasting, .. } => args.iter().map(|(_, e)| e).chain(lasting).for_each(go),
        StmtKind::Learning { .. }
        | StmtKind::Update { .. }
        | StmtKind::Reset { .. }
        | StmtKind::ResetEnvironment { .. } => {}
    }
}

/// Every part of an expression, what cells and windows are chosen by included.
pub(super) fn visit(e: &Expr, go: &mut dyn FnMut(&Expr)) {
    go(e);
    match &e.kind {
        ExprKind::Unary(_, a) => visit(a, go),
        ExprKind::Binary(_, a, b) | ExprKind::Crosses(a, b) => [a, b].into_iter().for_each(|x| visit(x, go)),
        ExprKind::In(a, b, c) | ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|x| visit(x, go)),
        ExprKind::List(items) | ExprKind::Call(_, items) | ExprKind::Apply(_, items) => {
            items.iter().for_each(|x| visit(x, go));
        }
        ExprKind::Draw { args, .. } | ExprKind::ListDraw { args, .. } => args.iter().for_each(|x| visit(x, go)),
        ExprKind::IndexList(a, list) => {
            visit(a, go);
            slots(list, &mut |x| visit(x, go));
        }
        ExprKind::Spikes { of, window, bin, .. } => {
            slots(&of.slots, &mut |x| visit(x, go));
            in_window(window, go);
            bin.iter().for_each(|x| visit(x, go));
        }
        ExprKind::Trace { of, window, .. } => {
            slots(&of.slots, &mut |x| visit(x, go));
            window.iter().for_each(|w| in_window(w, go));
        }
        ExprKind::Weights { pair: Some((a, b)), .. } => [a, b].into_iter().for_each(|x| visit(x, go)),
        ExprKind::Rows { values, filter, .. } => {
            values.iter().for_each(|x| visit(x, go));
            filter.iter().for_each(|x| visit(x, go));
        }
        _ => {}
    }
}

fn in_window(w: &Window, go: &mut dyn FnMut(&Expr)) {
    let mut ends = |lo: &Expr, hi: &Option<Box<Expr>>| {
        visit(lo, go);
        hi.iter().for_each(|x| visit(x, go));
    };
    match w {
        Window::Whole | Window::Named(_, None) => {}
        Window::Named(_, Some((lo, hi))) => ends(lo, hi),
        Window::Interval(lo, hi) => ends(lo, hi),
        Window::Last(x) => visit(x, go),
    }
}
