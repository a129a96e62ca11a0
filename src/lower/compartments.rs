//! Compartments unrolled: a model with compartments becomes, for each population of it, a plain model whose names are `soma.V`,
//! `dend[3].exc`, and whose `I_axial` are sums over the couplings.
//!
//! A size may read params, so this needs the population's bindings. What is unrolled is the typed model: everything after it knows
//! states, receptors and inputs with longer names, and nothing of compartments but that their voltages are the edges of trees
//! (`hir::Model::axial`), which is what the implicit solver needs.

use super::error::*;
use super::{Fail, Lowering, reads};
use crate::base::{Diagnostic, Span};
use crate::hir::{
    self, Assign, BinaryOp, CellStmt, Expr, ExprKind, ModelId, NetworkId, Place, Receptor, SpikeRule, Type, ValueDef,
    ValueId, ValueKind,
};
use crate::script::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Compartments of one cell at most: their solver is unrolled into the step of a neuron.
const LARGEST_CELL: u64 = 2000;

impl Lowering<'_> {
    /// The program with the compartments of a network's populations unrolled; `None` where there are none.
    pub(super) fn unrolled(
        &mut self,
        network: NetworkId,
        experiment: Option<&hir::Experiment>,
    ) -> Result<Option<hir::Program>, Fail> {
        let program = self.program;
        let written = program.network(network);
        let branched = |p: &hir::Population| !program.model(p.model).compartments.is_empty();
        if !written.populations.iter().any(branched) {
            return Ok(None);
        }
        let mut out = program.clone();
        for (k, p) in written.populations.iter().enumerate().filter(|(_, p)| branched(p)) {
            let set = experiment.map(|e| set_names(&e.body, hir::PopulationId(k as u32))).unwrap_or_default();
            self.values.mark();
            let model = self.unroll_population(p, &set, &mut out);
            self.values.back();
            if model.is_err() {
                // What is wrong may stand in a model of the library: the use is what its author can change.
                self.user = Some(p.model_span);
            }
            out.models.push(model?);
            out.networks[network.0 as usize].populations[k].model = ModelId(out.models.len() as u32 - 1);
        }
        Ok(Some(out))
    }

    fn unroll_population(
        &mut self,
        p: &hir::Population,
        set: &BTreeMap<String, Span>,
        out: &mut hir::Program,
    ) -> Result<hir::Model, Fail> {
        let model = self.program.model(p.model);
        for param in self.structural(model) {
            let def = self.program.value(param);
            if let Some(at) = set.get(&def.name) {
                return Err(Diagnostic::error(
                    crate::sema::error::NOT_SETTABLE,
                    format!("`{}` can't be set while the circuit runs", def.name),
                )
                .label(*at, "set here")
                .label(def.span, "it fixes the number of compartments or how they are coupled"));
            }
            if let Some((_, given)) = p.args.iter().find(|(v, _)| *v == param) {
                let value = self.constant(given)?;
                self.check_bounds(param, &value, given.span)?;
                self.values.insert(param, value);
            }
        }
        let mut starts = Vec::new();
        let mut cells = Vec::new();
        for (k, c) in model.compartments.iter().enumerate() {
            let n = match &c.axis {
                Some(axis) => self.constant_count(&axis.size, LARGEST_CELL)? as u32,
                None => 1,
            };
            starts.push((cells.len(), n));
            cells.extend((0..n).map(|at| (k, at)));
        }
        if cells.len() as u64 > LARGEST_CELL {
            return Err(Diagnostic::error(TOO_LARGE, format!("a cell of {} compartments", cells.len()))
                .label(p.model_span, "this population's")
                .help(format!("at most {LARGEST_CELL}: the solver is unrolled into the step of each neuron")));
        }
        let joined = (0..cells.len()).collect();
        let (ids, copies) = (BTreeMap::new(), HashMap::new());
        let mut u = Unroller { lowering: self, out, model, starts, cells, joined, ids, copies };
        u.model()
    }

    /// Params that sizes, couplings and indices of compartments read.
    fn structural(&self, model: &hir::Model) -> BTreeSet<ValueId> {
        let mut shape: Vec<&Expr> = Vec::new();
        for c in &model.compartments {
            shape.extend(c.axis.iter().map(|a| &a.size));
        }
        for c in &model.couplings {
            shape.extend(c.loops.iter().flat_map(|l| std::iter::once(&l.start).chain(&l.end)));
            shape.extend([&c.a, &c.b].into_iter().filter_map(|p| p.index.as_deref()));
        }
        for v in &self.program.values {
            if let ValueKind::Part { place, value } = &v.kind
                && model.compartments.iter().any(|c| c.names.contains(value))
            {
                shape.extend(place.index.as_deref());
            }
        }
        let mut out = BTreeSet::new();
        for e in shape {
            reads(e, self.program, &mut |x| {
                if let ExprKind::Value(v) = x.kind
                    && model.names.contains(&v)
                    && matches!(self.program.value(v).kind, ValueKind::Param { .. })
                {
                    out.insert(v);
                }
                false
            });
        }
        out
    }

    /// The full name of a value that a selection names: `dend[3].V`, or the name itself.
    pub(super) fn name_on_cells(&mut self, model: ModelId, cells: &hir::Cells, name: &str) -> Result<String, Fail> {
        let Some(place) = &cells.part else { return Ok(name.to_string()) };
        let program = self.program;
        let model = program.model(model);
        let written = &model.compartments[place.compartment as usize];
        let at = match &place.index {
            Some(e) => {
                // A place on the cell is part of the layout, so the values of this point of the sweep hold.
                let live = std::mem::replace(&mut self.live, false);
                let at = self.constant_number(e);
                self.live = live;
                Some(at?)
            }
            None => None,
        };
        let full = full_name(&written.name, at, name);
        if model.names.iter().any(|v| program.value(*v).name == full) || at.is_none() {
            return Ok(full);
        }
        let marker = full_name(&written.name, Some(0.0), "I_axial");
        let prefix = marker.trim_end_matches("0].I_axial");
        let count = model
            .names
            .iter()
            .filter(|v| {
                let n = &program.value(**v).name;
                n.starts_with(prefix) && n.ends_with("].I_axial")
            })
            .count();
        Err(no_such(at.unwrap_or(f64::NAN), &written.name, count as u32, place.span))
    }

    /// Position of a receptor in the unrolled model.
    pub(super) fn receptor_position(&mut self, model: ModelId, cells: &hir::Cells, written: u32) -> Result<u32, Fail> {
        let Some(place) = &cells.part else { return Ok(written) };
        let program = self.program;
        let part = &program.model(model).compartments[place.compartment as usize];
        let name = part.receptors.get(written as usize).map_or("", |r| r.name.as_str());
        let axial = self.name_on_cells(model, cells, "I_axial")?;
        let full = format!("{}.{name}", axial.trim_end_matches(".I_axial"));
        let found = program.model(model).receptors.iter().position(|r| r.name == full);
        found.map(|k| k as u32).ok_or_else(|| {
            Diagnostic::error(EVALUATION, format!("there is no receptor `{full}`")).label(place.span, "here")
        })
    }
}

/// What the experiment's `set` statements write of a population itself, and where.
fn set_names(body: &[hir::Stmt], of: hir::PopulationId) -> BTreeMap<String, Span> {
    let mut out = BTreeMap::new();
    let mut stack: Vec<&hir::Stmt> = body.iter().collect();
    while let Some(s) = stack.pop() {
        match &s.kind {
            hir::StmtKind::Set { target, name, .. } if target.population == of && target.part.is_none() => {
                out.insert(name.clone(), s.span);
            }
            hir::StmtKind::Replay { target, name, .. } if target.population == of && target.part.is_none() => {
                out.insert(name.clone(), s.span);
            }
            _ => {}
        }
        stack.extend(s.kind.blocks().into_iter().flatten());
    }
    out
}

fn full_name(compartment: &str, index: Option<f64>, name: &str) -> String {
    match index {
        Some(k) => format!("{compartment}[{k}].{name}"),
        None => format!("{compartment}.{name}"),
    }
}

fn no_such(at: f64, name: &str, count: u32, span: Span) -> Fail {
    Diagnostic::error(SLICE, format!("{at} is no position among {count} compartments `{name}`"))
        .label(span, "positions are whole and count from 0")
}

/// Two compartments and the conductance between them.
struct Edge {
    a: usize,
    b: usize,
    conductance: Expr,
}

struct Unroller<'u, 'a> {
    lowering: &'u mut Lowering<'a>,
    out: &'u mut hir::Program,
    model: &'a hir::Model,
    /// First of each written compartment in `cells`, and their number.
    starts: Vec<(usize, u32)>,
    /// Each compartment of the cell: the written one and its index.
    cells: Vec<(usize, u32)>,
    /// The tree that each is in so far, by one of its compartments.
    joined: Vec<usize>,
    ids: BTreeMap<(usize, ValueId), ValueId>,
    /// Lets of the model itself that reach into compartments, rewritten; by the compartment that they are read in.
    copies: HashMap<(Option<usize>, ValueId), ValueId>,
}

impl Unroller<'_, '_> {
    fn model(&mut self) -> Result<hir::Model, Fail> {
        let model = self.model;
        for cell in 0..self.cells.len() {
            for id in &model.compartments[self.cells[cell].0].names {
                let def = self.lowering.program.value(*id);
                let name = self.name(cell, &def.name);
                let new = self.push(ValueDef {
                    path: name.clone(),
                    name,
                    loops: 0,
                    span: def.span,
                    ty: def.ty,
                    kind: ValueKind::Broken,
                });
                self.ids.insert((cell, *id), new);
            }
        }
        let edges = self.edges()?;
        let axial: Vec<(ValueId, ValueId)> =
            edges.iter().filter_map(|e| Some((self.voltage(e.a)?, self.voltage(e.b)?))).collect();
        let mut out = hir::Model {
            names: Vec::new(),
            states: model.states.clone(),
            equations: Vec::new(),
            receptors: Vec::new(),
            every: self.every(&model.every, None)?,
            couplings: Vec::new(),
            axial,
            xis: model.xis * (self.cells.len() as u32 + 1),
            ..model.clone()
        };
        for id in &model.names {
            let id = self.mapped(*id, None)?;
            out.names.push(id);
        }
        for q in &model.equations {
            let value = self.rewrite(&q.value, None)?;
            out.equations.push(hir::Equation { state: q.state, value });
        }
        for r in &model.receptors {
            let body = self.assigns(&r.body, None)?;
            out.receptors.push(Receptor { body, ..r.clone() });
        }
        for cell in 0..self.cells.len() {
            self.lowering.values.mark();
            let r = self.compartment(cell, &edges, &mut out);
            self.lowering.values.back();
            r?;
        }
        out.spike = match &model.spike {
            SpikeRule::Never => SpikeRule::Never,
            SpikeRule::When(e) => SpikeRule::When(self.rewrite(e, None)?),
            SpikeRule::Rate(e) => SpikeRule::Rate(self.rewrite(e, None)?),
            SpikeRule::Times(e) => SpikeRule::Times(e.clone()),
        };
        out.reset = self.assigns(&model.reset, None)?;
        for term in out.pair_inputs.iter_mut().flat_map(|i| &mut i.terms).flatten() {
            *term = self.rewrite(term, None)?;
        }
        for (_, body) in out.events.iter_mut().flat_map(|e| &mut e.handlers) {
            *body = self.assigns(body, None)?;
        }
        if let Some((time, held)) = &model.refractory {
            let held = held.iter().map(|v| self.mapped(*v, None)).collect::<Result<_, _>>()?;
            out.refractory = Some((self.rewrite(time, None)?, held));
        }
        Ok(out)
    }

    fn compartment(&mut self, cell: usize, edges: &[Edge], out: &mut hir::Model) -> Result<(), Fail> {
        let (written, index) = self.cells[cell];
        let c = &self.model.compartments[written];
        if let Some(v) = c.axis.as_ref().and_then(|a| a.variable) {
            self.lowering.values.insert(v, Value::Number(f64::from(index)));
        }
        let program = self.lowering.program;
        for id in &c.names {
            let new = self.ids[&(cell, *id)];
            let kind = match &program.value(*id).kind {
                ValueKind::Axial => ValueKind::Let(self.axial(cell, edges, program.value(*id).ty)),
                other => self.kind(other, Some(cell))?,
            };
            self.out.values[new.0 as usize].kind = kind;
            out.names.push(new);
        }
        for id in &c.states {
            out.states.push(self.ids[&(cell, *id)]);
        }
        for q in &c.equations {
            let value = self.rewrite(&q.value, Some(cell))?;
            out.equations.push(hir::Equation { state: self.ids[&(cell, q.state)], value });
        }
        for r in &c.receptors {
            let body = self.assigns(&r.body, Some(cell))?;
            out.receptors.push(Receptor { name: self.name(cell, &r.name), body, ..r.clone() });
        }
        out.every.extend(self.every(&c.every, Some(cell))?);
        Ok(())
    }

    /// `g * (V_other - V)` of every coupling, summed.
    fn axial(&self, cell: usize, edges: &[Edge], ty: Type) -> Expr {
        let span = self.model.compartments[self.cells[cell].0].span;
        let node = |kind| Expr { kind, span, ty };
        let mut sum: Option<Expr> = None;
        for e in edges.iter().filter(|e| e.a == cell || e.b == cell) {
            let other = if e.a == cell { e.b } else { e.a };
            let (Some(far), Some(near)) = (self.voltage(other), self.voltage(cell)) else { continue };
            let (far, near) = (node(ExprKind::Value(far)), node(ExprKind::Value(near)));
            let drop = node(ExprKind::Binary(BinaryOp::Sub, Box::new(far), Box::new(near)));
            let term = node(ExprKind::Binary(BinaryOp::Mul, Box::new(e.conductance.clone()), Box::new(drop)));
            sum = Some(match sum {
                Some(s) => node(ExprKind::Binary(BinaryOp::Add, Box::new(s), Box::new(term))),
                None => term,
            });
        }
        sum.unwrap_or_else(|| node(ExprKind::Const(Value::Number(0.0))))
    }

    fn voltage(&self, cell: usize) -> Option<ValueId> {
        let states = &self.model.compartments[self.cells[cell].0].states;
        let v = states.iter().find(|s| self.lowering.program.value(**s).name == "V")?;
        self.ids.get(&(cell, *v)).copied()
    }

    fn name(&self, cell: usize, name: &str) -> String {
        let (written, index) = self.cells[cell];
        let c = &self.model.compartments[written];
        full_name(&c.name, c.axis.as_ref().map(|_| f64::from(index)), name)
    }

    fn push(&mut self, def: ValueDef) -> ValueId {
        self.out.values.push(def);
        ValueId(self.out.values.len() as u32 - 1)
    }

    fn cell(&mut self, place: &Place) -> Result<usize, Fail> {
        let (start, n) = self.starts[place.compartment as usize];
        let Some(index) = &place.index else { return Ok(start) };
        let at = self.lowering.constant_number(index)?;
        if at >= 0.0 && at < f64::from(n) && at == at.trunc() {
            return Ok(start + at as usize);
        }
        Err(no_such(at, &self.model.compartments[place.compartment as usize].name, n, place.span))
    }

    fn edges(&mut self) -> Result<Vec<Edge>, Fail> {
        let mut out = Vec::new();
        for c in &self.model.couplings {
            self.couple(c, &c.loops, &mut out)?;
        }
        Ok(out)
    }

    fn couple(&mut self, c: &hir::Coupling, loops: &[hir::Loop], out: &mut Vec<Edge>) -> Result<(), Fail> {
        let Some((first, rest)) = loops.split_first() else {
            let (a, b) = (self.cell(&c.a)?, self.cell(&c.b)?);
            let conductance = self.rewrite(&c.conductance, None)?;
            out.push(Edge { a, b, conductance });
            let (one, other) = (self.joined[a], self.joined[b]);
            if one == other {
                return Err(self.circle(out, c.span));
            }
            self.joined.iter_mut().filter(|t| **t == other).for_each(|t| *t = one);
            return Ok(());
        };
        for value in self.lowering.loop_values(first)? {
            // As everywhere in a loop: what a let gave in one turn does not hold in the next.
            self.lowering.values.mark();
            self.lowering.values.insert(first.variable, value);
            let r = self.couple(c, rest, out);
            self.lowering.values.back();
            // A let that read the loop's variable was rewritten for this turn.
            self.copies.clear();
            r?;
        }
        Ok(())
    }

    /// The circle that the last edge closes: the implicit solver eliminates from the leaves of a tree, and there is none.
    fn circle(&self, edges: &[Edge], span: Span) -> Fail {
        let circle =
            Diagnostic::error(COUPLED_IN_A_CIRCLE, "couplings of compartments form a tree; these close a circle")
                .help("leave one of them out");
        let Some((last, before)) = edges.split_last() else { return circle };
        // The way from b to a over the edges before.
        let mut from: BTreeMap<usize, usize> = BTreeMap::from([(last.b, last.b)]);
        let mut next = vec![last.b];
        while let Some(here) = next.pop() {
            for e in before.iter().filter(|e| e.a == here || e.b == here) {
                let there = if e.a == here { e.b } else { e.a };
                if let std::collections::btree_map::Entry::Vacant(new) = from.entry(there) {
                    new.insert(here);
                    next.push(there);
                }
            }
        }
        let mut way = vec![last.a];
        while let Some(here) = way.last().copied().filter(|k| *k != last.b) {
            way.push(from.get(&here).copied().unwrap_or(last.b));
        }
        way.push(last.a);
        let names: Vec<String> = way.iter().map(|k| self.name(*k, "").trim_end_matches('.').to_string()).collect();
        circle.label(span, names.join(" - "))
    }

    fn assigns(&mut self, list: &[Assign], cell: Option<usize>) -> Result<Vec<Assign>, Fail> {
        list.iter().map(|a| self.assign(a, cell)).collect()
    }

    fn assign(&mut self, a: &Assign, cell: Option<usize>) -> Result<Assign, Fail> {
        Ok(Assign { state: self.mapped(a.state, cell)?, value: self.rewrite(&a.value, cell)? })
    }

    fn every(&mut self, list: &[hir::Every], cell: Option<usize>) -> Result<Vec<hir::Every>, Fail> {
        let one = |e: &hir::Every| {
            let period = self.rewrite(&e.period, cell)?;
            Ok(hir::Every { period, body: self.statements(&e.body, cell)? })
        };
        list.iter().map(one).collect()
    }

    fn statements(&mut self, list: &[CellStmt], cell: Option<usize>) -> Result<Vec<CellStmt>, Fail> {
        let one = |s: &CellStmt| {
            Ok(match s {
                CellStmt::Set(a) => CellStmt::Set(self.assign(a, cell)?),
                CellStmt::If(c, a, b) => {
                    CellStmt::If(self.rewrite(c, cell)?, self.statements(a, cell)?, self.statements(b, cell)?)
                }
            })
        };
        list.iter().map(one).collect()
    }

    fn kind(&mut self, kind: &ValueKind, cell: Option<usize>) -> Result<ValueKind, Fail> {
        Ok(match kind {
            ValueKind::Param { default, bounds } => ValueKind::Param {
                default: default.as_ref().map(|e| self.rewrite(e, cell)).transpose()?,
                bounds: match bounds {
                    Some((lo, hi)) => Some((self.rewrite(lo, cell)?, self.rewrite(hi, cell)?)),
                    None => None,
                },
            },
            ValueKind::Let(e) => ValueKind::Let(self.rewrite(e, cell)?),
            ValueKind::Output(e) => ValueKind::Output(self.rewrite(e, cell)?),
            ValueKind::State { initial } => ValueKind::State { initial: self.rewrite(initial, cell)? },
            ValueKind::Function { formals, value } => {
                ValueKind::Function { formals: formals.clone(), value: self.rewrite(value, cell)? }
            }
            ValueKind::Table { axes, value } => {
                ValueKind::Table { axes: axes.clone(), value: self.rewrite(value, cell)? }
            }
            other => other.clone(),
        })
    }

    /// What an id of the written model is on this cell, seen from one of its compartments.
    fn mapped(&mut self, id: ValueId, cell: Option<usize>) -> Result<ValueId, Fail> {
        if let Some(c) = cell
            && let Some(new) = self.ids.get(&(c, id))
        {
            return Ok(*new);
        }
        let program = self.lowering.program;
        let def = program.value(id);
        let definition = match &def.kind {
            ValueKind::Part { place, value } => {
                let there = self.cell(place)?;
                return Ok(self.ids.get(&(there, *value)).copied().unwrap_or(id));
            }
            ValueKind::Let(e) | ValueKind::Output(e) => e,
            ValueKind::Function { value, .. } | ValueKind::Table { value, .. } => value,
            _ => return Ok(id),
        };
        if let Some(new) = self.copies.get(&(cell, id)) {
            return Ok(*new);
        }
        let ids = &self.ids;
        let values = &self.lowering.values;
        let varies = reads(definition, program, &mut |x| match x.kind {
            ExprKind::Value(v) | ExprKind::Apply(v, _) => {
                cell.is_some_and(|c| ids.contains_key(&(c, v)))
                    || matches!(program.value(v).kind, ValueKind::Part { .. })
                    || (matches!(program.value(v).kind, ValueKind::Variable) && values.has(v))
            }
            _ => false,
        });
        if !varies {
            self.copies.insert((cell, id), id);
            return Ok(id);
        }
        let new = self.push(ValueDef { kind: ValueKind::Broken, ..def.clone() });
        self.copies.insert((cell, id), new);
        let kind = self.kind(&def.kind, cell)?;
        self.out.values[new.0 as usize].kind = kind;
        Ok(new)
    }

    fn rewrite(&mut self, e: &Expr, cell: Option<usize>) -> Result<Expr, Fail> {
        self.lowering.unfold(e.span)?;
        let mut one = |x: &Expr| self.rewrite(x, cell).map(Box::new);
        let kind = match &e.kind {
            ExprKind::Value(id) => {
                if matches!(self.lowering.program.value(*id).kind, ValueKind::Variable)
                    && let Some(v) = self.lowering.values.get(*id)
                {
                    ExprKind::Const(v.clone())
                } else {
                    ExprKind::Value(self.mapped(*id, cell)?)
                }
            }
            ExprKind::Apply(id, args) => ExprKind::Apply(self.mapped(*id, cell)?, self.all(args, cell)?),
            // Every compartment has its own noises and draws.
            ExprKind::Xi(k) => ExprKind::Xi(k + self.model.xis * cell.map_or(0, |c| c as u32 + 1)),
            ExprKind::Draw { distribution, args, site } => ExprKind::Draw {
                distribution: *distribution,
                args: self.all(args, cell)?,
                site: site.wrapping_add((cell.map_or(0, |c| c as u32 + 1)) << 16),
            },
            ExprKind::Unary(op, a) => ExprKind::Unary(*op, one(a)?),
            ExprKind::Binary(op, a, b) => ExprKind::Binary(*op, one(a)?, one(b)?),
            ExprKind::Crosses(a, b) => ExprKind::Crosses(one(a)?, one(b)?),
            ExprKind::In(a, b, c) => ExprKind::In(one(a)?, one(b)?, one(c)?),
            ExprKind::If(a, b, c) => ExprKind::If(one(a)?, one(b)?, one(c)?),
            ExprKind::List(items) => ExprKind::List(self.all(items, cell)?),
            ExprKind::Call(f, args) => ExprKind::Call(*f, self.all(args, cell)?),
            ExprKind::IndexList(list, slots) => {
                let list = one(list)?;
                let slots = slots
                    .iter()
                    .map(|s| {
                        Ok(match s {
                            hir::Slot::At(x) => hir::Slot::At(self.rewrite(x, cell)?),
                            range => range.clone(),
                        })
                    })
                    .collect::<Result<_, Fail>>()?;
                ExprKind::IndexList(list, slots)
            }
            other => other.clone(),
        };
        Ok(Expr { kind, span: e.span, ty: e.ty })
    }

    fn all(&mut self, list: &[Expr], cell: Option<usize>) -> Result<Vec<Expr>, Fail> {
        list.iter().map(|x| self.rewrite(x, cell)).collect()
    }
}
