//! Resolved expressions to script expressions, and constants: sizes, tables, sweeps, bound params.

use super::error::*;
use super::translate::reads_draw;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{self, BinaryOp, ExprKind, ValueId, ValueKind};
use crate::ir::protocol::Bounds;
use crate::script::{self, Expr, NoHost, Value, VarId};
use crate::units::{self, Dimension};

/// Slots of table variables lie above those of the experiment.
const TABLE_SLOTS: VarId = 1 << 20;

/// Whether a formula draws lists, which only an experiment does.
fn lists_drawn(e: &hir::Expr, program: &hir::Program) -> bool {
    super::reads(e, program, &mut |x| matches!(x.kind, ExprKind::ListDraw { .. }))
}

impl Lowering<'_> {
    pub(super) fn script(&mut self, e: &hir::Expr) -> Result<Expr, Fail> {
        self.nest(e.span, |me| me.script_node(e))
    }

    fn script_node(&mut self, e: &hir::Expr) -> Result<Expr, Fail> {
        Ok(match &e.kind {
            ExprKind::Const(v) => Expr::Const(v.clone()),
            ExprKind::Value(id) => self.script_value(*id, e.span)?,
            ExprKind::Step => Expr::number(self.dt),
            ExprKind::Time => Expr::Query(Box::new(script::Query::Time)),
            ExprKind::Unary(op, a) => Expr::Unary(*op, Box::new(self.script(a)?)),
            ExprKind::Binary(op, a, b) => Expr::Binary(*op, Box::new(self.script(a)?), Box::new(self.script(b)?)),
            ExprKind::In(a, b, c) => {
                Expr::In(Box::new(self.script(a)?), Box::new(self.script(b)?), Box::new(self.script(c)?))
            }
            ExprKind::If(c, a, b) => {
                Expr::If(Box::new(self.script(c)?), Box::new(self.script(a)?), Box::new(self.script(b)?))
            }
            ExprKind::List(items) => Expr::List(items.iter().map(|x| self.script(x)).collect::<Result<_, _>>()?),
            ExprKind::Call(f, args) => Expr::Call(*f, args.iter().map(|x| self.script(x)).collect::<Result<_, _>>()?),
            ExprKind::Apply(id, args) => {
                let ValueKind::Function { formals, value } = &self.program.value(*id).kind else {
                    return Err(unknown_now(e.span));
                };
                self.enter(e.span)?;
                let args = args.iter().map(|x| self.script(x)).collect::<Result<Vec<_>, _>>()?;
                let saved: Vec<_> = formals.iter().map(|f| (*f, self.formals.get(f).cloned())).collect();
                for (f, a) in formals.iter().zip(args) {
                    self.formals.insert(*f, a);
                }
                let body = self.script(value);
                for (f, old) in saved {
                    match old {
                        Some(old) => self.formals.insert(f, old),
                        None => self.formals.remove(&f),
                    };
                }
                self.depth -= 1;
                body?
            }
            ExprKind::Draw { distribution, args, site } => Expr::Draw {
                distribution: *distribution,
                args: args.iter().map(|x| self.script(x)).collect::<Result<_, _>>()?,
                site: self.own_site(*site),
            },
            ExprKind::ListDraw { kind, args, site } => Expr::ListDraw {
                kind: *kind,
                args: args.iter().map(|x| self.script(x)).collect::<Result<_, _>>()?,
                site: self.own_site(*site),
            },
            ExprKind::IndexList(a, slots) => {
                let list = self.script(a)?;
                Expr::Index(Box::new(list), self.script_slots(slots)?)
            }
            ExprKind::Environment { environment, output } => self.environment_query(*environment, output),
            ExprKind::SynapticEvents => Expr::Query(Box::new(script::Query::SynapticEvents)),
            ExprKind::Spikes { .. }
            | ExprKind::Trace { .. }
            | ExprKind::Rows { .. }
            | ExprKind::Weights { .. }
            | ExprKind::Wiring { .. } => {
                return Err(Diagnostic::error(EVALUATION, "this is known only while the circuit runs")
                    .label(e.span, "a value is needed before the run"));
            }
            _ => return Err(unknown_now(e.span)),
        })
    }

    pub(super) fn script_slots(&mut self, slots: &[hir::Slot]) -> Result<Vec<script::Slot>, Fail> {
        slots
            .iter()
            .map(|s| {
                Ok(match s {
                    hir::Slot::At(e) => script::Slot::At(self.script(e)?),
                    hir::Slot::Range(lo, hi) => script::Slot::Range(
                        lo.as_ref().map(|e| self.script(e)).transpose()?,
                        hi.as_ref().map(|e| self.script(e)).transpose()?,
                    ),
                })
            })
            .collect()
    }

    fn enter(&mut self, span: Span) -> Result<(), Fail> {
        self.depth += 1;
        if self.depth > 200 {
            self.depth -= 1;
            return Err(Diagnostic::error(EVALUATION, "definitions that need each other more than 200 deep")
                .label(span, "needed here"));
        }
        Ok(())
    }

    pub(super) fn script_value(&mut self, id: ValueId, span: Span) -> Result<Expr, Fail> {
        if let Some(e) = self.formals.get(&id) {
            return Ok(e.clone());
        }
        if self.live
            && let Some(slot) = self.slots.get(&id)
        {
            let def = self.program.value(id);
            let value = Expr::Var(*slot);
            // Rows hold numbers.
            let truth = matches!(def.kind, ValueKind::Measure) && def.ty.kind == hir::Kind::Bool;
            return Ok(match truth {
                true => Expr::Binary(BinaryOp::Ne, Box::new(value), Box::new(Expr::number(0.0))),
                false => value,
            });
        }
        if let Some(v) = self.values.get(id) {
            return Ok(Expr::Const(v.clone()));
        }
        let program = self.program;
        match &program.value(id).kind {
            ValueKind::Let(e) | ValueKind::Table { value: e, .. } if self.experiment() && lists_drawn(e, program) => {
                let name = &program.value(id).name;
                Err(Diagnostic::error(EVALUATION, format!("`{name}` would be drawn anew wherever it is read"))
                    .label(span, "read here")
                    .label(e.span, "what it stands for")
                    .help("draw it before: `let order = permutation(4)` in the experiment, and give `order`"))
            }
            // What the circuit draws is drawn once, when it is built.
            ValueKind::Let(e) if self.experiment() && reads_draw(e, program) => Ok(self.drawn_table(id)),
            ValueKind::Table { axes, value }
                if self.experiment() && axes.iter().all(|a| a.variable.is_some()) && reads_draw(value, program) =>
            {
                Ok(self.drawn_table(id))
            }
            ValueKind::Param { .. } => Ok(Expr::Const(self.param_value(id)?)),
            ValueKind::Let(e) => {
                self.enter(span)?;
                let out = stack::deep(|| self.script(e));
                self.depth -= 1;
                let out = out?;
                // A let that is known is computed once: it would otherwise be copied into every use.
                if let Ok(v) = script::eval(&out, &mut NoHost::default()) {
                    self.values.insert(id, v.clone());
                    return Ok(Expr::Const(v));
                }
                Ok(out)
            }
            ValueKind::Table { axes, value } => {
                self.enter(span)?;
                let named = axes.iter().any(|a| a.variable.is_some());
                let out = stack::deep(|| if named { self.script_table(axes, value) } else { self.script(value) });
                self.depth -= 1;
                let out = out?;
                if let Ok(v) = script::eval(&out, &mut NoHost::default()) {
                    if !named {
                        self.check_shape(axes, &v, value.span)?;
                    }
                    self.values.insert(id, v.clone());
                    return Ok(Expr::Const(v));
                }
                Ok(out)
            }
            ValueKind::Output(e) => {
                self.enter(span)?;
                let out = self.script(e);
                self.depth -= 1;
                out
            }
            ValueKind::Label(k) => Ok(Expr::number(f64::from(*k))),
            ValueKind::Sensor(_) => Err(Diagnostic::error(
                EVALUATION,
                format!("`{}` can change while the circuit runs", program.value(id).name),
            )
            .label(span, "this is computed when the network is laid out")
            .help("bounds of weights, first values, periods and sizes need constants, params and lets of them")),
            ValueKind::Variable | ValueKind::Measure => match self.slots.get(&id) {
                Some(slot) => Ok(Expr::Var(*slot)),
                None => Err(unknown_now(span)),
            },
            _ => Err(unknown_now(span)),
        }
    }

    pub(super) fn script_table(&mut self, axes: &[hir::TableAxis], value: &hir::Expr) -> Result<Expr, Fail> {
        let mut out = Vec::new();
        let mut bound = Vec::new();
        for (k, axis) in axes.iter().enumerate() {
            let size = self.script(&axis.size)?;
            let slot = TABLE_SLOTS + self.depth * 64 + k as VarId;
            if let Some(v) = axis.variable {
                bound.push((v, self.formals.insert(v, Expr::Var(slot))));
            }
            out.push((slot, size));
        }
        let body = self.script(value);
        for (v, old) in bound {
            match old {
                Some(old) => self.formals.insert(v, old),
                None => self.formals.remove(&v),
            };
        }
        Ok(Expr::Table { axes: out, body: Box::new(body?) })
    }

    /// Whether what is lowered asks a circuit that is built.
    fn experiment(&self) -> bool {
        self.live && self.drawn.is_some()
    }

    /// The question for what the circuit drew, which is noted as read.
    fn drawn_table(&mut self, id: ValueId) -> Expr {
        let drawn = self.drawn.get_or_insert_default();
        let k = drawn.iter().position(|v| *v == id).unwrap_or_else(|| {
            drawn.push(id);
            drawn.len() - 1
        });
        Expr::Query(Box::new(script::Query::Table(k as u32)))
    }

    /// `let N[Layer] = [...]`: the list must have the sizes that the brackets say.
    pub(super) fn check_shape(&mut self, axes: &[hir::TableAxis], v: &Value, span: Span) -> Result<(), Fail> {
        let Some((axis, rest)) = axes.split_first() else { return Ok(()) };
        let n = self.constant_count(&axis.size, u64::from(u32::MAX))?;
        let items = match v {
            Value::List(items) => items,
            _ => return Err(Diagnostic::error(SIZES_DIFFER, "a table is a list").label(span, "not a list")),
        };
        if items.len() as u64 != n {
            return Err(Diagnostic::error(
                SIZES_DIFFER,
                format!("the table has {} values where its axis has {n}", items.len()),
            )
            .label(span, format!("{} values in a row", items.len()))
            .label(axis.size.span, format!("{n} positions")));
        }
        items.iter().try_for_each(|i| self.check_shape(rest, i, span))
    }

    /// The value of a param: bound, overridden or its default; checked against its bounds.
    pub(super) fn param_value(&mut self, id: ValueId) -> Result<Value, Fail> {
        if let Some(v) = self.values.get(id) {
            return Ok(v.clone());
        }
        let def = self.program.value(id);
        let ValueKind::Param { default, .. } = &def.kind else { return Err(unknown_now(def.span)) };
        let Some(default) = default else {
            return Err(Diagnostic::error(crate::sema::error::UNBOUND_PARAM, format!("`{}` has no value", def.name))
                .label(def.span, "no default, and nothing binds it")
                .help(format!("give it one: --set {}=...", def.name)));
        };
        self.enter(def.span)?;
        let v = self.constant(default);
        self.depth -= 1;
        let v = v?;
        self.check_bounds(id, &v, default.span)?;
        self.values.insert(id, v.clone());
        Ok(v)
    }

    pub(super) fn check_bounds(&mut self, id: ValueId, v: &Value, span: Span) -> Result<(), Fail> {
        match self.param_bounds(id)? {
            Some(bounds) => self.within_bounds(&bounds, v, span, self.program.value(id).span),
            None => Ok(()),
        }
    }

    /// The bounds that a param is declared with.
    pub(super) fn param_bounds(&mut self, id: ValueId) -> Result<Option<Bounds>, Fail> {
        let def = self.program.value(id);
        let ValueKind::Param { bounds, .. } = &def.kind else { return Ok(None) };
        self.fixed_bounds(&def.name, bounds.as_ref(), def.ty.dimension())
    }

    /// Bounds as numbers.
    pub(super) fn fixed_bounds(
        &mut self,
        name: &str,
        bounds: Option<&(hir::Expr, hir::Expr)>,
        dimension: Dimension,
    ) -> Result<Option<Bounds>, Fail> {
        let Some((lo, hi)) = bounds else { return Ok(None) };
        // Bounds are part of the layout: the values of this point of the sweep hold.
        let live = std::mem::replace(&mut self.live, false);
        let fixed = self.constant_number(lo).and_then(|low| Ok((low, self.constant_number(hi)?)));
        self.live = live;
        let (low, high) = fixed?;
        Ok(Some(Bounds { name: name.to_string(), low, high, dimension }))
    }

    pub(super) fn within_bounds(&self, bounds: &Bounds, v: &Value, span: Span, declared: Span) -> Result<(), Fail> {
        let found = v.numbers().unwrap_or_default().into_iter().find(|x| !bounds.hold(*x));
        let Some(x) = found else { return Ok(()) };
        let shown = units::display(x, bounds.dimension);
        Err(Diagnostic::error(OUT_OF_BOUNDS, format!("`{}` is {shown}, outside its bounds", bounds.name))
            .label(span, "this value")
            .label(declared, format!("in {bounds}")))
    }

    pub(super) fn constant(&mut self, e: &hir::Expr) -> Result<Value, Fail> {
        let s = self.script(e)?;
        script::eval(&s, &mut NoHost::default())
            .map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "in this expression"))
    }

    pub(super) fn constant_number(&mut self, e: &hir::Expr) -> Result<f64, Fail> {
        let v = self.constant(e)?;
        v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))
    }

    /// A whole number of things, not negative.
    pub(super) fn constant_count(&mut self, e: &hir::Expr, limit: u64) -> Result<u64, Fail> {
        let v = self.constant(e)?;
        let x = v.number().unwrap_or(f64::NAN);
        if x < 0.0 {
            return Err(Diagnostic::error(NEGATIVE_SIZE, format!("expected a size or count, found {x}"))
                .label(e.span, "negative"));
        }
        if x > limit as f64 {
            return Err(Diagnostic::error(TOO_LARGE, format!("{x} is too large here"))
                .label(e.span, format!("this is {x}"))
                .help(format!("at most {limit}")));
        }
        v.count().map_err(|why| Diagnostic::error(NEGATIVE_SIZE, why.message).label(e.span, "here"))
    }

    pub(super) fn constant_bool(&mut self, e: &hir::Expr) -> Result<bool, Fail> {
        let v = self.constant(e)?;
        v.boolean().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))
    }

    /// The values that a loop runs through, where they are known now.
    pub(super) fn loop_values(&mut self, l: &hir::Loop) -> Result<Vec<Value>, Fail> {
        let start = self.constant(&l.start)?;
        let range = match &l.end {
            Some(end) => Some((start.number(), self.constant_number(end)?)),
            None => match start {
                Value::List(items) => return Ok(items),
                Value::Mask(_) => return Ok(start.elements()),
                other => Some((Ok(0.0), other.number().unwrap_or(f64::NAN))),
            },
        };
        let Some((Ok(lo), hi)) = range else {
            return Err(
                Diagnostic::error(EVALUATION, "a loop runs over a range or a list").label(l.start.span, "neither")
            );
        };
        if !(hi - lo <= 1e6) {
            return Err(Diagnostic::error(LOOP_LENGTH, format!("a loop of {} turns is unrolled", hi - lo))
                .label(l.start.span, "here")
                .help("at most 1000000"));
        }
        let n = (hi - lo).max(0.0).round() as u64;
        Ok((0..n).map(|k| Value::Number(lo + k as f64)).collect())
    }
}

fn unknown_now(span: Span) -> Fail {
    Diagnostic::error(EVALUATION, "this value is not known when the network is laid out")
        .label(span, "it varies between neurons, synapses or steps")
        .help("sizes, rules and tables need constants, params and lets of them")
}
