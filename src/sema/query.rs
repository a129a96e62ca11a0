//! What an experiment asks of a run: cells and their statistics, observables now or over a window, and aggregates over rows.

use super::error::*;
use super::scope::Entity;
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Cells, Expr, ExprKind, Kind, Type, ValueKind, Window};
use crate::script::{Func, Stat, Value, Wiring};
use crate::syntax::ast;
use crate::units::Dimension;

/// Cells and, where the path goes on, the member of their model that it names.
pub(super) struct Selected {
    pub cells: Cells,
    pub network: hir::NetworkId,
    pub member: Option<ast::Name>,
    /// The path leads into a region.
    pub reached: bool,
}

impl Sema<'_> {
    fn selected(&mut self, entity: Entity, name: &str, span: Span, reached: bool) -> Option<Selected> {
        match entity {
            Entity::Population(network, population) => Some(Selected {
                cells: Cells { population, slots: Vec::new(), part: None, span },
                network,
                member: None,
                reached,
            }),
            Entity::Poison => None,
            Entity::Value(id) if self.program.value(id).ty.kind == Kind::Unknown && !self.pending.contains_key(&id) => {
                None
            }
            other => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{name}` is {}, not a population", other.words()))
                        .label(span, "cells are expected here"),
                );
                None
            }
        }
    }

    /// `E`, `E[2, ..10]`, `E.A`, `E.V`, `E.A.ampa`. Reports and gives `None` where it is no population.
    pub(super) fn select(&mut self, e: &ast::Expr, cx: Cx) -> Option<Selected> {
        match &e.kind {
            ast::ExprKind::Name(name) => match self.lookup(cx.scope, name) {
                Some(entity) => self.selected(entity, name, e.span, false),
                None => {
                    self.unknown_name(cx.scope, name, e.span, &[], "population or source", None);
                    None
                }
            },
            ast::ExprKind::Paren(items) if items.len() == 1 => self.select(&items[0], cx),
            ast::ExprKind::Index(base, slots) => {
                let mut s = self.select(base, cx)?;
                if let Some(member) = &s.member {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "indices stand before the member")
                            .label(member.span, "write the indices before this")
                            .label(e.span, "indexed here"),
                    );
                    return None;
                }
                if let Some(part) = s.cells.part.take() {
                    let model = self.population_of(&s).model;
                    let place = self.place(model, part.compartment, slots, e.span, cx)?;
                    s.cells.part = Some(place);
                    s.cells.span = e.span;
                    return Some(s);
                }
                let mut slots = self.slots(slots, cx);
                s.cells.slots.append(&mut slots);
                s.cells.span = e.span;
                let axes = self.axes_of(&s).len();
                let mask = s.cells.slots.iter().any(|x| matches!(x, hir::Slot::At(e) if e.ty.kind == Kind::Mask));
                if s.cells.slots.len() > axes || (mask && s.cells.slots.len() > 1) {
                    self.diags.push(
                        Diagnostic::error(
                            KIND_MISMATCH,
                            format!(
                                "{} indices, but the population has {axes} ax{}s",
                                s.cells.slots.len(),
                                if axes == 1 { "i" } else { "e" }
                            ),
                        )
                        .label(e.span, "here")
                        .maybe_help(mask.then(|| "a mask stands alone and covers the whole population".to_string())),
                    );
                    return None;
                }
                Some(s)
            }
            ast::ExprKind::Field(base, name) => {
                if let Some(Entity::Region(_) | Entity::Regions(_) | Entity::Poison) = self.thing(base, cx.scope) {
                    let entity = self.thing(e, cx.scope)?;
                    return self.selected(entity, &name.text, e.span, true);
                }
                let mut s = self.select(base, cx)?;
                if let Some(member) = &s.member {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no member `{}`", member.text, name.text))
                            .label(name.span, "not known"),
                    );
                    return None;
                }
                s.cells.span = e.span;
                let axes = self.axes_of(&s);
                let label = axes.get(s.cells.slots.len()).and_then(|a| a.labels.iter().position(|l| *l == name.text));
                match label {
                    Some(k) => s.cells.slots.push(hir::Slot::At(Expr {
                        kind: ExprKind::Const(Value::Number(k as f64)),
                        span: name.span,
                        ty: Type::NUMBER,
                    })),
                    None => match self.part_of_cells(&s, name) {
                        Some(part) => s.cells.part = Some(part),
                        None => s.member = Some(name.clone()),
                    },
                }
                Some(s)
            }
            _ => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a population or a part of one is expected here")
                        .label(e.span, "not cells"),
                );
                None
            }
        }
    }

    pub(super) fn population_of(&self, s: &Selected) -> &hir::Population {
        &self.program.network(s.network).populations[s.cells.population.0 as usize]
    }

    fn axes_of(&self, s: &Selected) -> Vec<hir::Axis> {
        self.population_of(s).axes.clone().unwrap_or_default()
    }

    /// Cells alone: a member is an error.
    pub(super) fn cells(&mut self, e: &ast::Expr, cx: Cx) -> Option<Cells> {
        let s = self.select(e, cx)?;
        if let Some(member) = &s.member {
            let axis_labels: Vec<String> = self.axes_of(&s).into_iter().flat_map(|a| a.labels).collect();
            let near = did_you_mean(&member.text, axis_labels.iter().map(String::as_str));
            let what = self.population_of(&s).name.clone();
            self.diags.push(
                Diagnostic::error(UNKNOWN_MEMBER, format!("`{what}` has no part `{}`", member.text))
                    .label(member.span, "cells are expected here, not a member of their model")
                    .maybe_help(near.map(|n| format!("did you mean `{n}`?"))),
            );
            return None;
        }
        if let Some(part) = &s.cells.part {
            self.diags.push(
                Diagnostic::error(WRONG_THING, "a compartment is no cell")
                    .label(part.span, "cells are expected here")
                    .help("cells spike, compartments have states: ask for a state, such as `cell.soma.V`"),
            );
            return None;
        }
        if self.population_of(&s).axes.is_none() {
            let what = self.population_of(&s).name.clone();
            self.diags.push(
                Diagnostic::error(STATISTIC_TARGET, format!("`{what}` is a source without a size"))
                    .label(e.span, "its trains exist only at its targets")
                    .help(format!("give it a size to record it: source {what}[100]: ...")),
            );
            return None;
        }
        Some(s.cells)
    }

    /// The number of cells of a population, here or in a region; `None` where `e` names none.
    pub(super) fn population_size(&mut self, e: &ast::Expr, cx: Cx) -> Option<Expr> {
        let Some(Entity::Population(network, id)) = self.thing(e, cx.scope) else { return None };
        let axes = self.program.network(network).populations[id.0 as usize].axes.clone()?;
        // The product of the sizes; axes of differing sizes are summed when the network is elaborated.
        let mut sizes = axes.into_iter().map(|a| a.size);
        let first = sizes.next()?;
        Some(sizes.fold(first, |acc, next| Expr {
            kind: ExprKind::Binary(hir::BinaryOp::Mul, Box::new(acc), Box::new(next)),
            span: e.span,
            ty: Type::NUMBER,
        }))
    }

    /// A value, state, input, output or let of the cells' model that can be observed.
    pub(super) fn observable(&mut self, s: &Selected, name: &ast::Name) -> Option<Type> {
        if !self.part_is_one(s) {
            return None;
        }
        let p = self.population_of(s).clone();
        let names = self.selected_names(s);
        let found = names.iter().find(|(n, _)| *n == name.text).map(|(_, id)| *id);
        if let Some(id) = found {
            let def = self.program.value(id);
            if !matches!(def.kind, ValueKind::Function { .. } | ValueKind::Table { .. } | ValueKind::Noise) {
                return Some(def.ty);
            }
        }
        if self.program.model(p.model).broken {
            return None;
        }
        let model = self.program.model(p.model).name.clone();
        let near = did_you_mean(&name.text, names.iter().map(|(n, _)| n.as_str()));
        let help = near.map(|n| format!("did you mean `{n}`?")).or_else(|| {
            let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
            Some(format!("it has {}", all.join(", ")))
        });
        self.diags.push(
            Diagnostic::error(UNKNOWN_MEMBER, format!("the cells of `{}` have no state `{}`", p.name, name.text))
                .label(name.span, format!("not in `{model}`"))
                .maybe_help(help),
        );
        None
    }

    /// `E.V` where a value stands: its present value, one per cell.
    pub(super) fn state_now(&mut self, base: &ast::Expr, name: &ast::Name, span: Span, cx: Cx) -> Expr {
        let whole = ast::Expr { kind: ast::ExprKind::Field(Box::new(base.clone()), name.clone()), span };
        let Some(s) = self.select(&whole, cx) else { return self.error_expr(span) };
        let Some(member) = s.member.clone() else {
            self.diags.push(
                Diagnostic::error(WRONG_THING, "cells are not a value")
                    .label(span, "ask for a state or a statistic of them"),
            );
            return self.error_expr(span);
        };
        let Some(ty) = self.observable(&s, &member) else { return self.error_expr(span) };
        let rank = u8::from(!self.is_one_cell(&s.cells, cx));
        let kind = ExprKind::Trace { of: s.cells, name: member.text, window: None };
        Expr { kind, span, ty: ty.with_rank(rank) }
    }

    fn window(&mut self, e: &ast::Expr, end: Option<&Option<ast::Expr>>, cx: Cx) -> Window {
        if let Some(end) = end {
            let lo = self.number(e, cx, Dimension::TIME);
            let hi = end.as_ref().map(|x| Box::new(self.number(x, cx, Dimension::TIME)));
            return Window::Interval(Box::new(lo), hi);
        }
        let (name, part) = match &e.kind {
            ast::ExprKind::Name(name) => (name, None),
            ast::ExprKind::Index(base, slots) => match (&base.kind, slots.as_slice()) {
                (ast::ExprKind::Name(name), [ast::Slot::Range(lo, hi)]) => (name, Some((lo, hi))),
                _ => return self.bad_window(e.span),
            },
            _ => return self.bad_window(e.span),
        };
        match self.lookup(cx.scope, name) {
            Some(Entity::Window) => {}
            Some(Entity::Poison) => return Window::Whole,
            _ => {
                let windows: Vec<String> = self
                    .visible(cx.scope)
                    .into_iter()
                    .filter(|n| self.lookup(cx.scope, n) == Some(Entity::Window))
                    .collect();
                let near = did_you_mean(name, windows.iter().map(String::as_str));
                self.diags.push(
                    Diagnostic::error(UNKNOWN_WINDOW, format!("there is no window `{name}` before this"))
                        .label(e.span, "not found")
                        .help(match near {
                            Some(n) => format!("did you mean `{n}`?"),
                            None if windows.is_empty() => "name one: simulate 100 ms as recall".to_string(),
                            None => format!("there are {}; name one: simulate 100 ms as recall", windows.join(", ")),
                        }),
                );
                return Window::Whole;
            }
        }
        let part = part.map(|(lo, hi)| {
            let zero = Expr {
                kind: ExprKind::Const(Value::Number(0.0)),
                span: e.span,
                ty: Type { dim: None, ..Type::NUMBER },
            };
            let lo = lo.as_ref().map_or(zero, |x| self.number(x, cx, Dimension::TIME));
            let hi = hi.as_ref().map(|x| Box::new(self.number(x, cx, Dimension::TIME)));
            (Box::new(lo), hi)
        });
        Window::Named(name.clone(), part)
    }

    fn bad_window(&mut self, span: Span) -> Window {
        self.diags.push(
            Diagnostic::error(UNKNOWN_WINDOW, "not a window of time")
                .label(span, "here")
                .help("during a named window `w`, a part of it `w[60 ms .. 110 ms]`, or run time `100 ms .. 1 s`"),
        );
        Window::Whole
    }

    /// Statistics and row aggregates; `None` where the call is an ordinary function.
    pub(super) fn query_call(&mut self, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Option<Expr> {
        match cx.place {
            Place::Experiment(_) | Place::Conclude(_) => {}
            _ => return None,
        }
        if name == "weight" && matches!(cx.place, Place::Experiment(_)) {
            return Some(self.weight_query(args, span, cx));
        }
        if let Some(stat) = Wiring::by_name(name)
            && matches!(cx.place, Place::Experiment(_))
        {
            return Some(self.wiring_query(stat, name, args, span, cx));
        }
        if let Some(stat) = Stat::by_name(name) {
            return Some(self.spike_statistic(stat, name, args, span, cx));
        }
        let func = Func::by_name(name)?;
        if matches!(cx.place, Place::Conclude(_)) && (func.reduces() || matches!(func, Func::Min | Func::Max)) {
            return self.row_aggregate(func, args, span, cx);
        }
        // `mean(E.V during w)`
        let [arg] = args else { return None };
        let during = arg.modifiers.iter().find(|m| matches!(m, ast::Modifier::During(..) | ast::Modifier::Over(_)))?;
        let window = match during {
            ast::Modifier::During(e, end) => self.window(e, end.as_ref(), cx),
            ast::Modifier::Over(e) => Window::Last(Box::new(self.number(e, cx, Dimension::TIME))),
            _ => Window::Whole,
        };
        let s = self.select(&arg.value, cx);
        let Some(s) = s else { return Some(self.error_expr(span)) };
        let Some(member) = s.member.clone() else {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{name}` needs a state of these cells"))
                    .label(arg.span, "such as E.V"),
            );
            return Some(self.error_expr(span));
        };
        let Some(ty) = self.observable(&s, &member) else { return Some(self.error_expr(span)) };
        let trace = Expr {
            kind: ExprKind::Trace { of: s.cells, name: member.text, window: Some(window) },
            span: arg.span,
            ty: ty.with_rank(1),
        };
        Some(self.call_of(func, vec![trace], span))
    }

    fn spike_statistic(&mut self, stat: Stat, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        let Some((first, rest)) = args.split_first() else {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, format!("`{name}` needs a population")).label(span, "called here"),
            );
            return self.error_expr(span);
        };
        if matches!(cx.place, Place::Conclude(_)) {
            self.diags.push(
                Diagnostic::error(NOT_HERE, format!("`{name}` belongs to a run; `conclude` sees the rows of all runs"))
                    .label(span, "asked after the runs")
                    .help(format!("measure it in the run: `measure m = {name}(...)`, and aggregate `mean(m)` here")),
            );
            return self.error_expr(span);
        }
        if let Some(list) = self.spread(&first.value, cx.scope) {
            let each = |value: ast::Expr| {
                let one = ast::Arg { value, ..first.clone() };
                let args: Vec<ast::Arg> = std::iter::once(one).chain(rest.iter().cloned()).collect();
                self.spike_statistic(stat, name, &args, span, cx)
            };
            let items: Vec<Expr> = list.into_iter().map(each).collect();
            let Some(ty) = items.first().map(|x| x.ty) else { return self.error_expr(span) };
            return Expr { kind: ExprKind::List(items), span, ty: ty.with_rank(ty.rank + 1) };
        }
        let Some(of) = self.cells(&first.value, cx) else { return self.error_expr(span) };
        let mut window = Window::Whole;
        let mut by = None;
        for m in &first.modifiers {
            match m {
                ast::Modifier::During(e, end) => window = self.window(e, end.as_ref(), cx),
                ast::Modifier::Over(e) => window = Window::Last(Box::new(self.number(e, cx, Dimension::TIME))),
                ast::Modifier::By(axis) if by.is_some() => {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_ARGUMENT, format!("`{name}` goes along one axis"))
                            .label(axis.span, "a second `by`")
                            .help("ask for a part at a time: count(E[k] by cell) in a loop over k"),
                    );
                    return self.error_expr(span);
                }
                ast::Modifier::By(axis) => {
                    let network = match cx.place {
                        Place::Experiment(n) | Place::Conclude(n) => *n,
                        _ => return self.error_expr(span),
                    };
                    let axes = self.program.network(network).populations[of.population.0 as usize]
                        .axes
                        .clone()
                        .unwrap_or_default();
                    let names: Vec<String> = axes.iter().filter_map(|a| a.name.clone()).collect();
                    if !names.contains(&axis.text) {
                        let near = did_you_mean(&axis.text, names.iter().map(String::as_str));
                        self.diags.push(
                            Diagnostic::error(UNKNOWN_MEMBER, format!("the population has no axis `{}`", axis.text))
                                .label(axis.span, "not an axis of it")
                                .maybe_help(near.map(|n| format!("did you mean `{n}`?"))),
                        );
                        return self.error_expr(span);
                    }
                    by = Some(axis.text.clone());
                }
                ast::Modifier::Where(e) => {
                    self.diags.push(
                        Diagnostic::error(NOT_HERE, format!("`{name}` takes no `where`"))
                            .label(e.span, "index the population instead: E[mask]"),
                    );
                }
            }
        }
        let mut bin = None;
        for arg in rest {
            match &arg.name {
                Some(n) if n.text == "bin" && stat.takes_bin() => {
                    bin = Some(Box::new(self.number(&arg.value, cx, Dimension::TIME)));
                }
                None if stat.of_rhythm() && bin.is_none() => {
                    bin = Some(Box::new(self.number(&arg.value, cx, Dimension::RATE)));
                }
                _ => {
                    let what = arg.name.as_ref().map_or("a second one".to_string(), |n| format!("`{}`", n.text));
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_ARGUMENT, format!("`{name}` has no such argument"))
                            .label(arg.span, what),
                    );
                }
            }
        }
        if stat.of_rhythm() && bin.is_none() {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, format!("`{name}` takes a population and a frequency"))
                    .label(span, "no frequency")
                    .help(format!("write {name}(E, 40 Hz)")),
            );
            return self.error_expr(span);
        }
        let base = match stat {
            Stat::Rate => Type::quantity(Dimension::RATE),
            Stat::FirstSpike => Type::quantity(Dimension::TIME).with_rank(u8::from(!self.is_one_cell(&of, cx))),
            Stat::Active => Type::MASK,
            Stat::Avalanches => Type::NUMBER.with_rank(1),
            _ => Type::NUMBER,
        };
        let ty = if by.is_some() { base.with_rank(base.rank + 1) } else { base };
        Expr { kind: ExprKind::Spikes { stat, of, window, by, bin }, span, ty }
    }

    /// Whether an index along each axis picks one cell.
    fn is_one_cell(&self, of: &hir::Cells, cx: Cx) -> bool {
        let (Place::Experiment(n) | Place::Conclude(n)) = cx.place else { return false };
        let population = &self.program.network(*n).populations[of.population.0 as usize];
        let axes = population.axes.as_ref().map_or(1, Vec::len);
        let one = |s: &hir::Slot| matches!(s, hir::Slot::At(e) if e.ty.kind != Kind::Mask && e.ty.rank == 0);
        of.slots.len() == axes && of.slots.iter().all(one)
    }

    fn row_aggregate(&mut self, func: Func, args: &[ast::Arg], span: Span, cx: Cx) -> Option<Expr> {
        if !self.arguments(func.name(), args, func.arity(), span) {
            return Some(self.error_expr(span));
        }
        let modified = args.iter().any(|a| !a.modifiers.is_empty());
        let values: Vec<Expr> = args.iter().map(|a| self.expr(&a.value, cx, None)).collect();
        if values.iter().any(|v| v.ty.kind == Kind::Unknown) {
            return Some(self.error_expr(span));
        }
        if !modified && !values.iter().any(|v| self.reads_measure(v)) {
            // An ordinary function of aggregates: `max(sqrt(mean(a by k)))`.
            return Some(self.call_of(func, values, span));
        }
        if !values.iter().any(|v| self.reads_measure(v)) {
            self.diags.push(
                Diagnostic::error(
                    STATISTIC_TARGET,
                    format!("`{func}` aggregates what `measure` wrote; this reads no measure"),
                )
                .label(args[0].span, "no measure in it"),
            );
            return Some(self.error_expr(span));
        }
        let (mut filter, mut by) = (None, None);
        for m in args.iter().flat_map(|a| &a.modifiers) {
            match m {
                ast::Modifier::Where(e) => filter = Some(Box::new(self.condition(e, cx))),
                ast::Modifier::By(name) if by.is_some() => {
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_ARGUMENT, "rows are grouped by one variable")
                            .label(name.span, "a second `by`")
                            .help("choose the other one by `where`: mean(m where k == 2 by x)"),
                    );
                    return Some(self.error_expr(span));
                }
                ast::Modifier::By(name) => {
                    let known = name.text == "seed"
                        || matches!(self.lookup(cx.scope, &name.text), Some(Entity::Value(id)) if matches!(self.program.value(id).kind, ValueKind::Variable | ValueKind::Measure));
                    if !known {
                        let help =
                            "rows are grouped by a `sweep`, a loop's variable, what was measured with them, or `seed`";
                        self.unknown_name(cx.scope, &name.text, name.span, &["seed"], "row variable", Some(help));
                    }
                    by = Some(name.text.clone());
                }
                ast::Modifier::During(e, _) | ast::Modifier::Over(e) => {
                    self.diags.push(
                        Diagnostic::error(NOT_HERE, "rows have no time")
                            .label(e.span, "use `where` on their variables"),
                    );
                }
            }
        }
        let first = values[0].ty;
        let call =
            self.call_of(func, values.iter().map(|v| Expr { ty: v.ty.with_rank(1), ..v.clone() }).collect(), span);
        let mut ty = Type { dim: call.ty.dim.or(first.dim), ..call.ty };
        if by.is_some() {
            ty = ty.with_rank(ty.rank + 1);
        }
        Some(Expr { kind: ExprKind::Rows { func, values, filter, by }, span, ty })
    }

    /// Whether a measure is read outside of an aggregate.
    fn reads_measure(&self, e: &Expr) -> bool {
        let mut found = false;
        walk(e, &mut |x| match &x.kind {
            ExprKind::Value(id) => {
                found |= matches!(self.program.value(*id).kind, ValueKind::Measure);
                true
            }
            ExprKind::Rows { .. } => false,
            _ => true,
        });
        found
    }
}

/// Visits an expression top down; `visit` says whether to go below.
pub(super) fn walk(e: &Expr, visit: &mut dyn FnMut(&Expr) -> bool) {
    if !visit(e) {
        return;
    }
    match &e.kind {
        ExprKind::Unary(_, a) => walk(a, visit),
        ExprKind::Binary(_, a, b) | ExprKind::Crosses(a, b) => {
            walk(a, visit);
            walk(b, visit);
        }
        ExprKind::In(a, b, c) | ExprKind::If(a, b, c) => {
            walk(a, visit);
            walk(b, visit);
            walk(c, visit);
        }
        ExprKind::List(items) | ExprKind::Call(_, items) | ExprKind::Apply(_, items) => {
            items.iter().for_each(|i| walk(i, visit));
        }
        ExprKind::Draw { args, .. } | ExprKind::ListDraw { args, .. } => args.iter().for_each(|i| walk(i, visit)),
        ExprKind::IndexList(a, slots) => {
            walk(a, visit);
            for s in slots {
                match s {
                    hir::Slot::At(e) => walk(e, visit),
                    hir::Slot::Range(lo, hi) => lo.iter().chain(hi).for_each(|e| walk(e, visit)),
                }
            }
        }
        ExprKind::Weights { pair: Some((a, b)), .. } => {
            walk(a, visit);
            walk(b, visit);
        }
        ExprKind::Rows { values, filter, .. } => {
            values.iter().for_each(|v| walk(v, visit));
            filter.iter().for_each(|f| walk(f, visit));
        }
        _ => {}
    }
}
