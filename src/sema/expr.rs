//! Expressions: names to ids, dimensions inferred and checked on the way.

use super::error::*;
use super::scope::Entity;
use super::{Cx, Pending, Place, Sema};
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{self, BinaryOp, Expr, ExprKind, Kind, Side, Slot, Type, UnaryOp, ValueId, ValueKind};
use crate::script::{Distribution, Func, Value};
use crate::syntax::ast;
use crate::units::{self, Dimension};

impl Sema<'_> {
    /// Resolves a declared let, param or state that was not needed before now.
    pub(super) fn ensure(&mut self, id: ValueId) {
        if self.resolving.contains(&id) {
            let def = self.program.value(id);
            let (name, span) = (def.name.clone(), def.span);
            let start = self.resolving.iter().position(|v| *v == id).unwrap_or(0);
            let chain: Vec<String> = self.resolving[start..]
                .iter()
                .map(|v| self.program.value(*v).name.clone())
                .chain([name.clone()])
                .collect();
            self.diags.push(
                Diagnostic::error(CYCLIC_DEFINITION, format!("`{name}` is defined by itself"))
                    .label(span, format!("{} needs itself", chain.join(" needs ")))
                    .help("give one of them a value that does not depend on the others"),
            );
            return;
        }
        let Some((pending, scope, place)) = self.pending.remove(&id) else { return };
        self.resolving.push(id);
        let cx = Cx { scope, place: &place };
        let (ty, kind) = stack::deep(|| match &pending {
            Pending::Let(l) => self.resolve_let(l, cx),
            Pending::Param(b) => self.resolve_param(b, cx),
            Pending::State(b) => self.resolve_state(b, cx),
            Pending::Bound(b, value, outer) => self.resolve_bound(b, value, *outer, cx),
            Pending::Output(e) => {
                let value = self.expr(e, cx, None);
                (value.ty, ValueKind::Output(value))
            }
        });
        let def = &mut self.program.values[id.0 as usize];
        def.ty = ty;
        def.kind = kind;
        self.resolving.pop();
    }

    fn resolve_let(&mut self, l: &ast::Let, cx: Cx) -> (Type, ValueKind) {
        match &l.params {
            ast::LetParams::None => {
                let value = self.expr(&l.value, cx, None);
                (value.ty, ValueKind::Let(value))
            }
            ast::LetParams::Function(formals) => {
                let scope = self.new_scope(Some(cx.scope));
                let mut ids = Vec::new();
                for f in formals {
                    let ty = match &f.dim {
                        Some(d) => self.dimension(d).map_or(Type::UNKNOWN, Type::quantity),
                        None => Type::NUMBER,
                    };
                    let id = self.new_value(&f.name, ty, ValueKind::Formal);
                    self.declare_formal(scope, &f.name, id);
                    ids.push(id);
                }
                let value = self.expr(&l.value, Cx { scope, place: cx.place }, None);
                (value.ty, ValueKind::Function { formals: ids, value })
            }
            ast::LetParams::Table(axes) => {
                let (mut axes, scope) = self.table_axes(axes, cx);
                let value = self.expr(&l.value, Cx { scope, place: cx.place }, None);
                let mut reads_axis = false;
                super::query::walk(&value, &mut |x| {
                    reads_axis |= matches!(x.kind, ExprKind::Value(v) if axes.iter().any(|a| a.variable == Some(v)));
                    true
                });
                // A list as deep as the axes that reads none of them is the table itself.
                if !reads_axis && value.ty.rank as usize >= axes.len() {
                    axes.iter_mut().for_each(|a| a.variable = None);
                }
                let named = axes.iter().filter(|a| a.variable.is_some()).count() as u8;
                // Without named axes the right side is the table itself; with them it is one element.
                let rank =
                    if named > 0 { value.ty.rank + axes.len() as u8 } else { value.ty.rank.max(axes.len() as u8) };
                (value.ty.with_rank(rank), ValueKind::Table { axes, value })
            }
        }
    }

    pub(super) fn table_axes(&mut self, axes: &[ast::Axis], cx: Cx) -> (Vec<hir::TableAxis>, super::ScopeId) {
        let scope = self.new_scope(Some(cx.scope));
        let mut out = Vec::new();
        for axis in axes {
            let size = match self.labels_size(&axis.size, cx) {
                Some(size) => size,
                None => self.number(&axis.size, cx, Dimension::NUMBER),
            };
            let variable = axis.name.as_ref().map(|name| {
                let id = self.new_value(name, Type::NUMBER, ValueKind::Variable);
                self.declare(scope, name, Entity::Value(id));
                id
            });
            out.push(hir::TableAxis { variable, size });
        }
        (out, scope)
    }

    /// The number of labels, where a size names a set of them.
    pub(super) fn labels_size(&mut self, e: &ast::Expr, cx: Cx) -> Option<Expr> {
        let ids = self.labels_named(e, cx)?;
        Some(Expr { kind: ExprKind::Const(Value::Number(ids.len() as f64)), span: e.span, ty: Type::NUMBER })
    }

    /// The list of all labels, where a loop goes over a set of them.
    pub(super) fn labels_listed(&mut self, e: &ast::Expr, cx: Cx) -> Option<Expr> {
        let ids = self.labels_named(e, cx)?;
        let one = |id| Expr { kind: ExprKind::Value(id), span: e.span, ty: Type::NUMBER };
        let all = ids.into_iter().map(one).collect();
        Some(Expr { kind: ExprKind::List(all), span: e.span, ty: Type::NUMBER.with_rank(1) })
    }

    /// The labels of a set that is named.
    fn labels_named(&mut self, e: &ast::Expr, cx: Cx) -> Option<Vec<ValueId>> {
        let ast::ExprKind::Name(name) = &e.kind else { return None };
        let Some(Entity::Labels(ids)) = self.lookup(cx.scope, name) else { return None };
        self.program.labels.iter_mut().filter(|l| l.members == ids).for_each(|l| l.used = true);
        Some(ids)
    }

    pub(super) fn resolve_param(&mut self, b: &ast::Binding, cx: Cx) -> (Type, ValueKind) {
        let declared = b.dim.as_ref().and_then(|d| self.dimension(d));
        let default = b.value.as_ref().map(|v| self.expr(v, cx, declared));
        if let (Some(dim), Some(d)) = (declared, &default) {
            self.fits(d, dim, BINDING_DIMENSION, &format!("`{}` is declared as {}", b.name.text, dimension_words(dim)));
        }
        let ty = match (declared, &default) {
            (Some(dim), d) => Type::quantity(dim).with_rank(d.as_ref().map_or(0, |d| d.ty.rank)),
            // `param n = 0` without a place that asks for a dimension is a number.
            (None, Some(d)) => Type { dim: Some(d.ty.dimension()), ..d.ty },
            // What was declared has been reported.
            (None, None) if b.dim.is_some() => Type::UNKNOWN,
            (None, None) => {
                self.diags.push(
                    Diagnostic::error(UNKNOWN_DIMENSION, format!("the dimension of `{}` is not known", b.name.text))
                        .label(b.name.span, "no default and no dimension")
                        .help(format!("declare it: `param {}: voltage`, or give it a default", b.name.text)),
                );
                Type::UNKNOWN
            }
        };
        let bounds = b.bounds.as_ref().map(|(lo, hi)| {
            let dim = ty.dimension();
            (self.number(lo, cx, dim), self.number(hi, cx, dim))
        });
        (ty, ValueKind::Param { default, bounds })
    }

    fn resolve_state(&mut self, b: &ast::Binding, cx: Cx) -> (Type, ValueKind) {
        let declared = b.dim.as_ref().and_then(|d| self.dimension(d));
        let initial = match &b.value {
            Some(v) => self.expr(v, cx, declared),
            None if declared.is_some() => Expr {
                kind: ExprKind::Const(Value::Number(0.0)),
                span: b.name.span,
                ty: Type { dim: None, ..Type::NUMBER },
            },
            None if b.dim.is_some() => self.error_expr(b.name.span),
            None => {
                self.diags.push(
                    Diagnostic::error(
                        UNKNOWN_DIMENSION,
                        format!("the dimension of state `{}` is not known", b.name.text),
                    )
                    .label(b.name.span, "no initial value and no dimension")
                    .help(format!("write its initial value: `state {} = 0 mV`", b.name.text)),
                );
                self.error_expr(b.name.span)
            }
        };
        if let Some(dim) = declared {
            self.fits(
                &initial,
                dim,
                BINDING_DIMENSION,
                &format!("`{}` is declared as {}", b.name.text, dimension_words(dim)),
            );
        }
        let list = initial.ty.rank > 0 && matches!(cx.place, Place::Environment);
        let rank = if list { initial.ty.rank } else { 0 };
        if list {
            self.scalar(&Expr { ty: initial.ty.with_rank(0), ..initial.clone() });
        } else if initial.ty.rank > 0 {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, format!("state `{}` starts as a list", b.name.text))
                    .label(initial.span, "a state is one number per neuron"),
            );
        } else {
            self.scalar(&initial);
        }
        let ty = match declared.or(initial.ty.dim) {
            Some(dim) => Type::quantity(dim),
            None if initial.ty.kind == Kind::Unknown => Type::UNKNOWN,
            None => Type::NUMBER,
        };
        let ty = ty.with_rank(rank);
        (ty, ValueKind::State { initial })
    }

    /// A dimension written by names: `voltage/time`. `None` where it was reported.
    pub(super) fn dimension(&mut self, d: &ast::Dim) -> Option<Dimension> {
        let mut out = Dimension::NUMBER;
        for f in &d.factors {
            let base = match f.name.text.as_str() {
                "1" => Some(Dimension::NUMBER),
                "weight" if self.weight_dim.is_some() => self.weight_dim,
                name => Dimension::by_name(name),
            };
            let Some(base) = base else {
                let near = crate::base::diag::did_you_mean(&f.name.text, Dimension::names());
                let unit = crate::units::parse_unit(&f.name.text).ok().map(|u| u.dimension());
                let help = match near {
                    _ if unit.is_some() => {
                        let of = unit.and_then(Dimension::name).unwrap_or("voltage/time");
                        format!("this is a unit; a dimension is named by what is measured: `{of}`")
                    }
                    Some(n) => format!("did you mean `{n}`?"),
                    None => format!("dimensions are {}", Dimension::names().collect::<Vec<_>>().join(", ")),
                };
                self.diags.push(
                    Diagnostic::error(UNKNOWN_DIMENSION, format!("there is no dimension `{}`", f.name.text))
                        .label(f.name.span, "not known")
                        .help(help),
                );
                return None;
            };
            let power = f.power.as_deref().unwrap_or("1");
            let halves = power.parse::<f64>().ok().map(|p| p * 2.0).filter(|h| *h == h.trunc() && h.abs() <= 32.0);
            let raised = halves.and_then(|h| base.pow(h as i32, 2));
            let Some(raised) = raised else {
                self.diags.push(
                    Diagnostic::error(
                        EXPONENT,
                        format!("the power `{power}` of a dimension is not a whole or half number"),
                    )
                    .label(f.name.span, "raised to it"),
                );
                return None;
            };
            out = if f.divided { out / raised } else { out * raised };
        }
        Some(out)
    }

    pub(super) fn error_expr(&self, span: Span) -> Expr {
        Expr { kind: ExprKind::Error, span, ty: Type::UNKNOWN }
    }

    /// An expression that must be one number of the given dimension.
    pub(super) fn number(&mut self, e: &ast::Expr, cx: Cx, dim: Dimension) -> Expr {
        let out = self.expr(e, cx, Some(dim));
        if self.scalar(&out) {
            self.fits(&out, dim, DIMENSION_MISMATCH, &expected_here(dim));
        }
        out
    }

    /// Reports lists and texts where a number is needed; false if it reported or knows nothing.
    pub(super) fn scalar(&mut self, e: &Expr) -> bool {
        match (e.ty.kind, e.ty.rank) {
            (Kind::Unknown, _) => false,
            (Kind::Number, 0) => true,
            (kind, rank) => {
                let found = match (kind, rank) {
                    (Kind::Bool, 0) => "a truth value",
                    (Kind::Text, 0) => "a text",
                    (Kind::Mask, _) => "a mask",
                    _ => "a list",
                };
                self.diags.push(
                    Diagnostic::error(KIND_MISMATCH, format!("expected a number, found {found}")).label(e.span, found),
                );
                false
            }
        }
    }

    pub(super) fn condition(&mut self, e: &ast::Expr, cx: Cx) -> Expr {
        let out = self.expr(e, cx, None);
        if !matches!(out.ty.kind, Kind::Bool | Kind::Unknown) {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, "expected a condition, found a value")
                    .label(out.span, format!("this is {}", kind_words(out.ty)))
                    .help("compare it: `x > 0`, `a == b`"),
            );
        } else if out.ty.kind == Kind::Bool && out.ty.rank > 0 {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, "expected one condition, found a list of them")
                    .label(out.span, "true or false for each element")
                    .help("`all(...)` or `any(...)` of them is one condition"),
            );
        }
        out
    }

    /// Checks that `e` has dimension `dim`; says what is missing where a bare number stands for a quantity.
    pub(super) fn fits(&mut self, e: &Expr, dim: Dimension, code: crate::base::Code, why: &str) -> bool {
        let Some(found) = e.ty.dim else { return true };
        if e.ty.kind == Kind::Unknown || found == dim {
            return true;
        }
        if found.is_number() && is_literal(e) {
            let unit = dim.typical_unit();
            let text = self.sources.snippet(e.span).to_string();
            // Models that are written without units count in milliseconds.
            let or = if dim == Dimension::RATE { format!(" or `{text} ms^-1`") } else { String::new() };
            self.diags.push(
                Diagnostic::error(MISSING_UNIT, format!("`{text}` has no unit"))
                    .label(e.span, why.to_string())
                    .help(format!("write its unit: `{text} {unit}`{or}")),
            );
            return false;
        }
        let d = Diagnostic::error(code, format!("expected {}, found {}", dimension_words(dim), dimension_words(found)))
            .label(e.span, format!("this is {}", dimension_words(found)))
            .maybe_help(bridge(found, dim));
        // The message says as much itself.
        let plain = why == expected_here(dim);
        self.diags.push(if plain { d } else { d.note(why) });
        false
    }

    pub(super) fn expr(&mut self, e: &ast::Expr, cx: Cx, want: Option<Dimension>) -> Expr {
        let span = e.span;
        match &e.kind {
            ast::ExprKind::Number { text, unit } => self.literal(text, unit.as_ref(), span, cx, want),
            ast::ExprKind::String(s) => Expr { kind: ExprKind::Const(Value::Text(s.clone())), span, ty: Type::TEXT },
            ast::ExprKind::Bool(b) => Expr { kind: ExprKind::Const(Value::Bool(*b)), span, ty: Type::BOOL },
            ast::ExprKind::Name(name) => self.name(name, span, cx),
            ast::ExprKind::List(items) => {
                let mut out: Vec<Expr> = Vec::new();
                for item in items {
                    let x = self.expr(item, cx, want);
                    if let Some(first) = out.first() {
                        self.same(first.ty, first.span, &x, "elements of one list");
                    }
                    out.push(x);
                }
                let ty = out
                    .iter()
                    .find(|x| x.ty.dim.is_some())
                    .or(out.first())
                    .map_or(Type { dim: None, ..Type::NUMBER }, |x| x.ty);
                Expr { ty: ty.with_rank(ty.rank.saturating_add(1)), kind: ExprKind::List(out), span }
            }
            ast::ExprKind::Paren(items) => match items.as_slice() {
                [one] => self.expr(one, cx, want),
                _ => {
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, "several values in parentheses are not one value")
                            .label(span, "here")
                            .help("a list has brackets: [a, b]"),
                    );
                    self.error_expr(span)
                }
            },
            ast::ExprKind::Unary(op, a) => match op {
                ast::UnaryOp::Neg => {
                    let a = self.expr(a, cx, want);
                    let text = a.ty.kind == Kind::Text;
                    if text {
                        self.scalar(&a);
                    }
                    let ty = if text { Type::UNKNOWN } else { a.ty };
                    Expr { kind: ExprKind::Unary(UnaryOp::Neg, Box::new(a)), span, ty }
                }
                ast::UnaryOp::Not => {
                    let a = self.expr(a, cx, None);
                    let ty = self.logical(&a);
                    Expr { kind: ExprKind::Unary(UnaryOp::Not, Box::new(a)), span, ty }
                }
            },
            ast::ExprKind::Binary(op, a, b) => self.binary(*op, a, b, span, cx, want),
            ast::ExprKind::In(v, lo, hi) => {
                let v = self.expr(v, cx, None);
                let lo = self.expr(lo, cx, v.ty.dim);
                let hi = self.expr(hi, cx, v.ty.dim);
                self.same(v.ty.with_rank(0), v.span, &lo, "both sides of `in`");
                self.same(v.ty.with_rank(0), v.span, &hi, "both sides of `in`");
                let rank = v.ty.rank;
                let kind = ExprKind::In(Box::new(v), Box::new(lo), Box::new(hi));
                Expr { kind, span, ty: Type::BOOL.with_rank(rank) }
            }
            ast::ExprKind::If(c, a, b) => {
                let c = self.condition(c, cx);
                let a = self.expr(a, cx, want);
                let b = self.expr(b, cx, want.or(a.ty.dim));
                let ty = self.same(a.ty, a.span, &b, "both branches of `if`");
                Expr { kind: ExprKind::If(Box::new(c), Box::new(a), Box::new(b)), span, ty }
            }
            ast::ExprKind::Call(callee, args) => self.call(callee, args, span, cx, want),
            ast::ExprKind::Index(list, slots) => self.index(list, slots, span, cx),
            ast::ExprKind::Field(base, name) => self.field(base, name, span, cx),
        }
    }

    fn literal(&mut self, text: &str, unit: Option<&ast::Name>, span: Span, cx: Cx, want: Option<Dimension>) -> Expr {
        let parsed = match unit {
            None => None,
            Some(u) => match units::parse_unit(&u.text) {
                Ok(unit) => Some(unit),
                Err(e) => {
                    let help = match e.suggestion() {
                        Some(s) => Some(format!("did you mean `{s}`?")),
                        None if self.lookup(cx.scope, &u.text).is_some() => {
                            Some(format!("`{0}` is a name here; was `{text} * {0}` meant?", u.text))
                        }
                        None => want.map(|d| format!("{} is expected here", dimension_words(d))),
                    };
                    self.diags.push(
                        Diagnostic::error(UNKNOWN_UNIT, format!("there is no unit `{}`", u.text))
                            .label(u.span, "not a unit")
                            .maybe_help(help)
                            .note("any word on the same line after a number is read as its unit"),
                    );
                    return self.error_expr(span);
                }
            },
        };
        let value = match units::quantity_value(text, parsed.as_ref()) {
            Ok(v) => v,
            Err(e) => {
                self.diags.push(
                    Diagnostic::error(LITERAL_RANGE, format!("the number `{text}` can't be used: {e}"))
                        .label(span, "here")
                        .help("numbers are IEEE doubles: about 1e-308 to 1e308"),
                );
                return self.error_expr(span);
            }
        };
        let dim = match &parsed {
            Some(u) => Some(u.dimension()),
            None if value == 0.0 => None,
            None => Some(Dimension::NUMBER),
        };
        Expr { kind: ExprKind::Const(Value::Number(value)), span, ty: Type { kind: Kind::Number, rank: 0, dim } }
    }

    fn name(&mut self, name: &str, span: Span, cx: Cx) -> Expr {
        let built_in = |kind, ty| Expr { kind, span, ty };
        match name {
            "pi" => return built_in(ExprKind::Const(Value::Number(std::f64::consts::PI)), Type::NUMBER),
            "inf" => {
                let ty = Type { dim: None, ..Type::NUMBER };
                return built_in(ExprKind::Const(Value::Number(f64::INFINITY)), ty);
            }
            "quick" => return built_in(ExprKind::Const(Value::Bool(self.quick)), Type::BOOL),
            "dt" => return built_in(ExprKind::Step, Type::quantity(Dimension::TIME)),
            "t" => {
                if matches!(cx.place, Place::Constant | Place::Synapse { .. }) {
                    return self.not_here("t", span, "nothing here varies in time");
                }
                return built_in(ExprKind::Time, Type::quantity(Dimension::TIME));
            }
            "index" => {
                if !matches!(cx.place, Place::Binding | Place::Dynamics) {
                    return self.not_here(
                        "index",
                        span,
                        "there is no one neuron here; use `pre` or `post` in a projection",
                    );
                }
                return built_in(ExprKind::Index(Side::Own), Type::NUMBER);
            }
            "energy" if matches!(cx.place, Place::Experiment(_)) => {
                // 10 pJ for each synaptic event, the figure of neuromorphic comparisons.
                let each = units::parse_unit("pJ").ok().and_then(|u| units::quantity_value("10", Some(&u)).ok());
                let number = |kind| Expr { kind, span, ty: Type::NUMBER };
                let events = number(ExprKind::SynapticEvents);
                let each = number(ExprKind::Const(Value::Number(each.unwrap_or(f64::NAN))));
                let kind = ExprKind::Binary(BinaryOp::Mul, Box::new(events), Box::new(each));
                return built_in(kind, Type::quantity(Dimension::ENERGY));
            }
            "synaptic_events" if matches!(cx.place, Place::Experiment(_)) => {
                return built_in(ExprKind::SynapticEvents, Type::NUMBER);
            }
            "pre" | "post" if self.update_variable(cx, name).is_some() => {
                let id = self.update_variable(cx, name).unwrap_or(ValueId(0));
                return built_in(ExprKind::Value(id), Type::NUMBER);
            }
            "pre" | "post" => {
                if !matches!(cx.place, Place::Synapse { .. }) {
                    return self.not_here(name, span, "only a projection's weight, delay and `where` have two ends");
                }
                let side = if name == "pre" { Side::Pre } else { Side::Post };
                return built_in(ExprKind::Index(side), Type::NUMBER);
            }
            "xi" => {
                if !matches!(cx.place, Place::Dynamics) {
                    return self.not_here("xi", span, "noise stands in the equation of a neuron");
                }
                let k = self.xis;
                self.xis += 1;
                return built_in(ExprKind::Xi(k), Type::quantity(Dimension::NOISE));
            }
            "distance" => {
                let Place::Synapse { pre, post } = cx.place else {
                    return self.not_here("distance", span, "it lies between the two cells of a synapse");
                };
                return self.distance(span, (pre, post));
            }
            _ => {}
        }
        match self.lookup(cx.scope, name) {
            Some(Entity::Value(id)) => {
                self.ensure(id);
                let def = self.program.value(id);
                if matches!(def.kind, ValueKind::Function { .. }) {
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, format!("`{name}` is a function"))
                            .label(span, "not a value")
                            .help(format!("call it: {name}(...)")),
                    );
                    return self.error_expr(span);
                }
                let ty = def.ty;
                Expr { kind: ExprKind::Value(id), span, ty }
            }
            Some(Entity::Poison) => self.error_expr(span),
            Some(Entity::Population(n, p)) if self.level(n, p).is_some() => match self.level(n, p) {
                Some(level) => Expr { kind: ExprKind::Value(level), span, ty: Type::NUMBER },
                None => self.error_expr(span),
            },
            Some(other) => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("`{name}` is {}, not a value", other.words()))
                        .label(span, "a value is expected here"),
                );
                self.error_expr(span)
            }
            None => {
                let mut extra: Vec<&str> = Func::ALL.iter().map(|f| f.name()).collect();
                extra.extend(Distribution::ALL.iter().map(|d| d.name()));
                let otherwise = match cx.place {
                    Place::Rule(_) => Some(
                        "a rule sees its own names and what it needs: `needs post.V: voltage` of its cell, `needs modulator M`",
                    ),
                    Place::Synapse { .. } => Some(
                        "of the two cells it sees `pre` and `post`, which are their positions, and `pre.x`; of a file of edges `column(\"w\")`",
                    ),
                    Place::Conclude(_) => Some("what is concluded from was measured in the runs: `measure x = ..`"),
                    _ => None,
                };
                self.unknown_name(cx.scope, name, span, &extra, "name", otherwise);
                self.error_expr(span)
            }
        }
    }

    /// `pre` and `post` where an experiment goes through synapses.
    fn update_variable(&self, cx: Cx, name: &str) -> Option<ValueId> {
        match self.lookup(cx.scope, name) {
            Some(Entity::Value(id)) if matches!(cx.place, Place::Experiment(_)) => Some(id),
            _ => None,
        }
    }

    pub(super) fn not_here(&mut self, name: &str, span: Span, why: &str) -> Expr {
        self.diags
            .push(Diagnostic::error(NOT_HERE, format!("`{name}` can't be used here")).label(span, why.to_string()));
        self.error_expr(span)
    }

    /// Both of one kind and dimension, or an error that shows both. Gives the common type.
    pub(super) fn same(&mut self, a: Type, a_span: Span, b: &Expr, what: &str) -> Type {
        if a.kind == Kind::Unknown || b.ty.kind == Kind::Unknown {
            return Type::UNKNOWN;
        }
        let rank = a.rank.max(b.ty.rank);
        let kinds_fit = a.kind == b.ty.kind
            || (matches!(a.kind, Kind::Mask | Kind::Bool) && matches!(b.ty.kind, Kind::Mask | Kind::Bool));
        if !kinds_fit {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, format!("{what} differ in kind"))
                    .label(b.span, kind_words(b.ty))
                    .label(a_span, kind_words(a)),
            );
            return Type::UNKNOWN;
        }
        let (Some(x), Some(y)) = (a.dim, b.ty.dim) else {
            return if a.dim.is_some() { a.with_rank(rank) } else { b.ty.with_rank(rank) };
        };
        if x != y {
            if y.is_number() && is_literal(b) {
                self.fits(b, x, DIMENSION_MISMATCH, &format!("{what} have one dimension: {}", dimension_words(x)));
            } else {
                self.diags.push(
                    Diagnostic::error(
                        DIMENSION_MISMATCH,
                        format!(
                            "{what} must have one dimension: found {} and {}",
                            dimension_words(x),
                            dimension_words(y)
                        ),
                    )
                    .label(b.span, dimension_words(y))
                    .label(a_span, dimension_words(x))
                    .maybe_help(bridge(y, x)),
                );
            }
            return Type::UNKNOWN;
        }
        a.with_rank(rank)
    }

    fn logical(&mut self, a: &Expr) -> Type {
        match a.ty.kind {
            Kind::Bool | Kind::Mask | Kind::Unknown => a.ty,
            _ => {
                self.diags.push(
                    Diagnostic::error(KIND_MISMATCH, "expected a condition, found a value")
                        .label(a.span, format!("this is {}", dimension_words(a.ty.dimension()))),
                );
                Type::UNKNOWN
            }
        }
    }

    fn binary(
        &mut self,
        op: ast::BinaryOp,
        a: &ast::Expr,
        b: &ast::Expr,
        span: Span,
        cx: Cx,
        want: Option<Dimension>,
    ) -> Expr {
        use ast::BinaryOp as A;
        let node = |op, a: Expr, b: Expr, ty| Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), span, ty };
        match op {
            A::Add | A::Sub => {
                let mut a = self.expr(a, cx, want);
                let mut b = self.expr(b, cx, a.ty.dim.or(want));
                // A truth value counts as 1 or 0: `bernoulli(p) - expected`.
                for side in [&mut a, &mut b] {
                    if side.ty.kind == Kind::Bool {
                        side.ty.kind = Kind::Number;
                    }
                }
                let ty =
                    self.same(a.ty, a.span, &b, if op == A::Add { "both sides of `+`" } else { "both sides of `-`" });
                node(if op == A::Add { BinaryOp::Add } else { BinaryOp::Sub }, a, b, ty)
            }
            A::Mul | A::Div => {
                let a = self.expr(a, cx, None);
                let b = self.expr(b, cx, None);
                for side in [&a, &b] {
                    if matches!(side.ty.kind, Kind::Text) {
                        self.scalar(side);
                    }
                }
                let ty = if a.ty.kind == Kind::Unknown || b.ty.kind == Kind::Unknown {
                    Type::UNKNOWN
                } else {
                    let (x, y) = (a.ty.dimension(), b.ty.dimension());
                    // 0 x anything stays a zero that fits everywhere.
                    let dim = match (op, a.ty.dim, b.ty.dim) {
                        (A::Mul, None, _) | (A::Mul, _, None) | (A::Div, None, _) => None,
                        (A::Mul, ..) => Some(x * y),
                        _ => Some(x / y),
                    };
                    Type { kind: Kind::Number, rank: a.ty.rank.max(b.ty.rank), dim }
                };
                node(if op == A::Mul { BinaryOp::Mul } else { BinaryOp::Div }, a, b, ty)
            }
            A::Pow => {
                let a = self.expr(a, cx, None);
                let b = self.expr(b, cx, Some(Dimension::NUMBER));
                self.fits(&b, Dimension::NUMBER, EXPONENT, "an exponent is a number");
                let ty = match a.ty.dim {
                    _ if a.ty.kind == Kind::Unknown => Type::UNKNOWN,
                    Some(d) if !d.is_number() => {
                        let halves =
                            constant_number(&b).map(|v| v * 2.0).filter(|h| *h == h.trunc() && h.abs() <= 32.0);
                        match halves.and_then(|h| d.pow(h as i32, 2)) {
                            Some(d) => Type { dim: Some(d), ..a.ty },
                            None => {
                                self.diags.push(
                                    Diagnostic::error(
                                        EXPONENT,
                                        "the power of a quantity has a constant whole or half exponent",
                                    )
                                    .label(b.span, "not a constant whole or half number")
                                    .label(a.span, format!("this is {}", dimension_words(d)))
                                    .help("divide the quantity by a unit first: (V / 1 mV)^k"),
                                );
                                Type::UNKNOWN
                            }
                        }
                    }
                    _ => Type { dim: Some(Dimension::NUMBER), ..a.ty },
                };
                node(BinaryOp::Pow, a, b, ty)
            }
            A::And | A::Or => {
                let a = self.expr(a, cx, None);
                let b = self.expr(b, cx, None);
                let (x, y) = (self.logical(&a), self.logical(&b));
                let ty = if x.kind == Kind::Mask || y.kind == Kind::Mask {
                    Type::MASK
                } else {
                    Type::BOOL.with_rank(x.rank.max(y.rank))
                };
                node(if op == A::And { BinaryOp::And } else { BinaryOp::Or }, a, b, ty)
            }
            A::Crosses => {
                let a = self.expr(a, cx, None);
                let b = self.expr(b, cx, a.ty.dim);
                self.same(a.ty, a.span, &b, "both sides of `crosses`");
                if !matches!(cx.place, Place::Dynamics) {
                    return self.not_here(
                        "crosses",
                        span,
                        "it compares two moments of a neuron: use it in `spike when`",
                    );
                }
                Expr { kind: ExprKind::Crosses(Box::new(a), Box::new(b)), span, ty: Type::BOOL }
            }
            A::Eq | A::Ne | A::Lt | A::Le | A::Gt | A::Ge => {
                let a = self.expr(a, cx, None);
                let b = self.expr(b, cx, a.ty.dim);
                self.same(a.ty, a.span, &b, "both sides of a comparison");
                let op = match op {
                    A::Eq => BinaryOp::Eq,
                    A::Ne => BinaryOp::Ne,
                    A::Lt => BinaryOp::Lt,
                    A::Le => BinaryOp::Le,
                    A::Gt => BinaryOp::Gt,
                    _ => BinaryOp::Ge,
                };
                let rank = a.ty.rank.max(b.ty.rank);
                node(op, a, b, Type::BOOL.with_rank(rank))
            }
        }
    }

    pub(super) fn slots(&mut self, slots: &[ast::Slot], cx: Cx) -> Vec<Slot> {
        slots
            .iter()
            .map(|slot| match slot {
                ast::Slot::At(e) => Slot::At(self.number_or_mask(e, cx)),
                ast::Slot::Range(lo, hi) => {
                    let mut bound = |e: &Option<ast::Expr>| e.as_ref().map(|e| self.number(e, cx, Dimension::NUMBER));
                    Slot::Range(bound(lo), bound(hi))
                }
            })
            .collect()
    }

    fn index(&mut self, list: &ast::Expr, slots: &[ast::Slot], span: Span, cx: Cx) -> Expr {
        let list = self.expr(list, cx, None);
        let slots = self.slots(slots, cx);
        if list.ty.kind == Kind::Unknown {
            return self.error_expr(span);
        }
        let depth = list.ty.rank + u8::from(list.ty.kind == Kind::Mask);
        if (slots.len() as u8) > depth {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, format!("{} indices into something {} deep", slots.len(), depth))
                    .label(span, "too many indices")
                    .label(
                        list.span,
                        if depth == 0 { "not a list".to_string() } else { format!("a list {depth} deep") },
                    ),
            );
            return self.error_expr(span);
        }
        let taken = slots.iter().filter(|s| matches!(s, Slot::At(e) if e.ty.kind != Kind::Mask)).count() as u8;
        let ty = if list.ty.kind == Kind::Mask && taken > list.ty.rank {
            Type::BOOL
        } else {
            list.ty.with_rank(list.ty.rank.saturating_sub(taken))
        };
        Expr { kind: ExprKind::IndexList(Box::new(list), slots), span, ty }
    }

    fn field(&mut self, base: &ast::Expr, name: &ast::Name, span: Span, cx: Cx) -> Expr {
        if let Some(param) = self.rule_param(base, name, cx) {
            return match param {
                Some(id) => Expr { kind: ExprKind::Value(id), span, ty: self.program.value(id).ty },
                None => self.error_expr(span),
            };
        }
        if let (ast::ExprKind::Field(end, pos), Place::Synapse { pre, post }) = (&base.kind, cx.place)
            && pos.text == "pos"
            && let ast::ExprKind::Name(head) = &end.kind
            && (head == "pre" || head == "post")
        {
            let (side, ends) = if head == "pre" { (Side::Pre, pre.clone()) } else { (Side::Post, post.clone()) };
            return self.end_position(side, &ends, name, span);
        }
        if let ast::ExprKind::Name(head) = &base.kind {
            if head == "pos"
                && let Some(Entity::Value(id)) = self.lookup(cx.scope, &format!("pos.{}", name.text))
            {
                return Expr { kind: ExprKind::Value(id), span, ty: self.program.value(id).ty };
            }
            if let ("pre" | "post", Place::Rule(place)) = (head.as_str(), cx.place) {
                let found = place.reads.iter().find(|(n, _)| head == "post" && *n == name.text).map(|(_, ty)| *ty);
                return match found {
                    Some(ty) => Expr { kind: ExprKind::Attribute(Side::Post, name.text.clone()), span, ty },
                    None => {
                        let d = if head == "post" {
                            Diagnostic::error(LOCALITY, "a rule says what it reads of its cell")
                                .label(span, "not declared")
                                .help(format!("write `needs post.{}: voltage` in the rule", name.text))
                        } else {
                            Diagnostic::error(LOCALITY, "a rule reads no state of its presynaptic cell")
                                .label(span, "not at the synapse")
                                .help(
                                    "what the sender did is in the traces of its spikes: `pre trace x: x' = -x / tau`",
                                )
                        };
                        self.diags.push(d);
                        self.error_expr(span)
                    }
                };
            }
            if let ("pre" | "post", Place::Synapse { pre, post }) = (head.as_str(), cx.place) {
                let (side, ends) = if head == "pre" { (Side::Pre, pre.clone()) } else { (Side::Post, post.clone()) };
                return self.attribute(side, &ends, name, span);
            }
            match self.lookup(cx.scope, head) {
                Some(Entity::Labels(ids)) => {
                    let found = ids.iter().find(|id| self.program.value(**id).name == name.text).copied();
                    return match found {
                        Some(id) => Expr { kind: ExprKind::Value(id), span, ty: Type::NUMBER },
                        None => {
                            self.diags.push(
                                Diagnostic::error(UNKNOWN_MEMBER, format!("`{head}` has no label `{}`", name.text))
                                    .label(name.span, "not one of them"),
                            );
                            self.error_expr(span)
                        }
                    };
                }
                Some(container @ (Entity::Module(_) | Entity::Folder(_))) => {
                    return match self.member_of(&container, name) {
                        Some(Entity::Value(id)) => {
                            self.ensure(id);
                            let ty = self.program.value(id).ty;
                            Expr { kind: ExprKind::Value(id), span, ty }
                        }
                        Some(other) => {
                            self.diags.push(
                                Diagnostic::error(
                                    WRONG_THING,
                                    format!("`{}` is {}, not a value", name.text, other.words()),
                                )
                                .label(span, "a value is expected here"),
                            );
                            self.error_expr(span)
                        }
                        None => self.error_expr(span),
                    };
                }
                _ => {}
            }
        }
        if let Some(found) = self.environment_value(base, name, span, cx) {
            return found;
        }
        if let Some(found) = self.region_value(base, name, span, cx) {
            return found;
        }
        if matches!(cx.place, Place::Dynamics)
            && let Some(id) = self.part_value(base, name, span, cx)
        {
            let ty = self.program.value(id).ty;
            return Expr { kind: ExprKind::Value(id), span, ty };
        }
        if matches!(cx.place, Place::Experiment(_) | Place::Conclude(_)) {
            return self.state_now(base, name, span, cx);
        }
        // Says what is wrong with the head, if anything; else the dot itself is.
        let head = self.expr(base, cx, None);
        if head.ty.kind != Kind::Unknown {
            self.diags.push(
                Diagnostic::error(UNKNOWN_MEMBER, format!("a value has no `.{}`", name.text))
                    .label(name.span, "not known"),
            );
        }
        self.error_expr(span)
    }

    fn attribute(&mut self, side: Side, ends: &[super::End], name: &ast::Name, span: Span) -> Expr {
        let mut ty = Type::UNKNOWN;
        for end in ends {
            let here = if end.axes.contains(&name.text) {
                Some(Type::NUMBER)
            } else {
                self.model_names(end.model)
                    .into_iter()
                    .find(|(n, _)| *n == name.text)
                    .filter(|(_, id)| matches!(self.program.value(*id).kind, ValueKind::Param { .. }))
                    .map(|(_, id)| self.program.value(id).ty)
            };
            match here {
                Some(here) => ty = here,
                None if self.program.model(end.model).broken => return self.error_expr(span),
                None => {
                    let mut all = end.axes.clone();
                    all.extend(self.model_names(end.model).into_iter().map(|(n, _)| n));
                    let near = crate::base::diag::did_you_mean(&name.text, all.iter().map(String::as_str));
                    let help = match (near, &end.axes[..]) {
                        (Some(near), _) => Some(format!("did you mean `{near}`?")),
                        (None, []) => Some(
                            "axes have names where the population gives them: with `E[k: 100]` it is `pre.k`".into(),
                        ),
                        (None, axes) => Some(format!("its axes are `{}`", axes.join("`, `"))),
                    };
                    self.diags.push(
                        Diagnostic::error(
                            UNKNOWN_MEMBER,
                            format!("the cells at this end have no axis or param `{}`", name.text),
                        )
                        .label(name.span, format!("not in `{}`", self.program.model(end.model).name))
                        .maybe_help(help),
                    );
                    return self.error_expr(span);
                }
            }
        }
        Expr { kind: ExprKind::Attribute(side, name.text.clone()), span, ty }
    }

    pub(super) fn model_names(&self, model: hir::ModelId) -> Vec<(String, ValueId)> {
        self.program.model(model).names.iter().map(|id| (self.program.value(*id).name.clone(), *id)).collect()
    }
}

impl hir::ValueDef {
    pub(super) fn kind_broken(&self) -> bool {
        matches!(self.kind, ValueKind::Broken)
    }
}

/// The two sides of `a >= b` or `a crosses b`: how far a cell is above its threshold is their difference.
pub fn threshold(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match &condition.kind {
        ExprKind::Binary(BinaryOp::Ge | BinaryOp::Gt, a, b) | ExprKind::Crosses(a, b) => Some((a, b)),
        ExprKind::Binary(BinaryOp::Le | BinaryOp::Lt, a, b) => Some((b, a)),
        _ => None,
    }
}

/// A number as written, possibly negated.
pub(super) fn is_literal(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Const(Value::Number(_)) => true,
        ExprKind::Unary(UnaryOp::Neg, a) => is_literal(a),
        _ => false,
    }
}

/// The value of an expression of literals alone, for exponents.
pub(super) fn constant_number(e: &Expr) -> Option<f64> {
    match &e.kind {
        ExprKind::Const(Value::Number(v)) => Some(*v),
        ExprKind::Unary(UnaryOp::Neg, a) => Some(-constant_number(a)?),
        ExprKind::Binary(op, a, b) => {
            let (x, y) = (constant_number(a)?, constant_number(b)?);
            match op {
                BinaryOp::Add => Some(x + y),
                BinaryOp::Sub => Some(x - y),
                BinaryOp::Mul => Some(x * y),
                BinaryOp::Div => Some(x / y),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn kind_words(ty: Type) -> String {
    match (ty.kind, ty.rank) {
        (_, 1..) => "a list".to_string(),
        (Kind::Bool, _) => "a truth value".to_string(),
        (Kind::Text, _) => "a text".to_string(),
        (Kind::Mask, _) => "a mask".to_string(),
        _ => dimension_words(ty.dimension()),
    }
}

fn expected_here(dim: Dimension) -> String {
    format!("{} is expected here", dimension_words(dim))
}

/// The physical quantity that turns one dimension into the other, if it has a name: the likeliest slip.
fn bridge(found: Dimension, wanted: Dimension) -> Option<String> {
    let words = |d: Dimension| d.name().filter(|n| *n != "number");
    let factor = wanted / found;
    // A time constant left out is likelier than a rate.
    if factor == Dimension::RATE {
        return Some("divide by a time?".to_string());
    }
    if let Some(n) = words(factor) {
        return Some(format!("multiply by a {n}?"));
    }
    words(found / wanted).map(|n| format!("divide by a {n}?"))
}
