//! Expressions into the IR: where each of their values comes from, and how often it changes.

use super::dynamics::{Bound, Cx, Mode};
use super::error::*;
use super::leaves::Leaf;
use super::plasticity::RuleRead;
use super::{Fail, Lowering, reads};
use crate::base::{Diagnostic, Span, stack};
use crate::hir::{self, ExprKind, ModelId, ValueId, ValueKind};
use crate::ir::{Attribute, BinaryOp, Compare, Expr, ExprId, Exprs, Side, Table, UnaryOp};
use crate::script::{Func, Value};
use std::collections::HashMap;

impl Lowering<'_> {
    /// Translates an expression into the arena of `cx`.
    pub(super) fn translate(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        self.nest(e.span, |me| me.translate_node(e, cx))
    }

    fn translate_node(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        if self.plain(e, cx) {
            let v = self.constant(e)?;
            let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))?;
            return Ok(cx.arena().real(v));
        }
        // In dynamics, what no step changes is computed once per neuron.
        if matches!(cx.mode, Mode::Dynamics(_))
            && cx.formals.is_empty()
            && !matches!(e.kind, ExprKind::Value(_))
            && self.unchanging(e, cx)
        {
            return self.lift(e, cx);
        }
        match &e.kind {
            ExprKind::Const(v) => {
                let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(e.span, "here"))?;
                Ok(cx.arena().real(v))
            }
            ExprKind::Step => {
                let dt = self.dt;
                Ok(cx.arena().real(dt))
            }
            ExprKind::Time => match cx.mode {
                Mode::Dynamics(_) | Mode::Rule(_) => Ok(cx.arena().intern(Expr::Time)),
                Mode::Build { .. } => Err(not_static(e.span, "time")),
            },
            ExprKind::Value(id) => self.translate_value(*id, e.span, cx),
            ExprKind::Index(side) => self.leaf(Expr::Element(side_of(*side), Attribute::Index), cx),
            ExprKind::Attribute(side, name) => self.attribute(*side, name, e.span, cx),
            ExprKind::Distance => self.translate_distance(e.span, cx),
            ExprKind::Xi(k) => self.noise((Some(*k), None), e.span, cx),
            ExprKind::Unary(op, a) => {
                let a = self.translate(a, cx)?;
                let op = match op {
                    hir::UnaryOp::Neg => UnaryOp::Neg,
                    hir::UnaryOp::Not => UnaryOp::Not,
                };
                Ok(cx.arena().unary(op, a))
            }
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.translate(a, cx)?, self.translate(b, cx)?);
                Ok(binary(cx.arena(), *op, a, b))
            }
            ExprKind::Crosses(a, b) => {
                let (a, b) = (self.translate(a, cx)?, self.translate(b, cx)?);
                let x = cx.arena();
                let below = x.compare(Compare::Lt, a, b);
                let below = x.intern(Expr::Before(below));
                let above = x.compare(Compare::Ge, a, b);
                Ok(x.binary(BinaryOp::And, below, above))
            }
            ExprKind::In(v, lo, hi) => {
                let (v, lo, hi) = (self.translate(v, cx)?, self.translate(lo, cx)?, self.translate(hi, cx)?);
                let x = cx.arena();
                let (above, below) = (x.compare(Compare::Ge, v, lo), x.compare(Compare::Le, v, hi));
                Ok(x.binary(BinaryOp::And, above, below))
            }
            ExprKind::If(c, a, b) => {
                let (c, a, b) = (self.translate(c, cx)?, self.translate(a, cx)?, self.translate(b, cx)?);
                Ok(cx.arena().select(c, a, b))
            }
            ExprKind::Call(f, args) => self.call(*f, args, e.span, cx),
            ExprKind::Apply(id, args) => {
                let program = self.program;
                let ValueKind::Function { formals, value } = &program.value(*id).kind else {
                    return Err(not_static(e.span, "this"));
                };
                let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
                let saved = cx.formals.clone();
                cx.formals.extend(formals.iter().copied().zip(args));
                let out = self.deeper(e.span, |s| s.translate(value, cx));
                cx.formals = saved;
                out
            }
            ExprKind::Draw { distribution, args, site } => {
                if matches!(cx.mode, Mode::Dynamics(_)) {
                    return self.lift(e, cx);
                }
                if let (Mode::Rule(_), [p]) = (&cx.mode, args.as_slice()) {
                    // Drawn anew for each synapse and event.
                    let p = self.translate(p, cx)?;
                    let u = cx.arena().intern(Expr::Uniform);
                    return Ok(cx.arena().compare(Compare::Lt, u, p));
                }
                let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
                Ok(cx.network.build.intern(Expr::Random { distribution: *distribution, args, site: *site }))
            }
            ExprKind::IndexList(list, slots) => self.index(list, slots, e.span, cx),
            ExprKind::SumIn => match &mut cx.mode {
                Mode::Rule(body) => Ok(body.read(RuleRead::Total)),
                _ => Err(not_static(e.span, "`sum_in`")),
            },
            ExprKind::SumOut => match &mut cx.mode {
                Mode::Rule(body) => Ok(body.read(RuleRead::TotalOut)),
                _ => Err(not_static(e.span, "`sum_out`")),
            },
            ExprKind::Column(name) => match &cx.mode {
                Mode::Build { columns, .. } => match columns.iter().position(|c| c == name) {
                    Some(k) => Ok(cx.network.build.intern(Expr::Column(k as u32))),
                    None => Err(Diagnostic::error(EDGE_LIST, format!("the edge file has no column `{name}`"))
                        .label(e.span, "not found")
                        .help(if columns.is_empty() {
                            "column(...) reads the file of `connect edges(\"...\")`".to_string()
                        } else {
                            format!("its columns are {}", columns.join(", "))
                        })),
                },
                Mode::Dynamics(_) | Mode::Rule(_) => Err(not_static(e.span, "a column")),
            },
            _ => Err(Diagnostic::error(EVALUATION, "this can't be computed for each neuron or synapse")
                .label(e.span, "lists and statistics belong to an experiment")),
        }
    }

    fn deeper<T>(&mut self, span: Span, f: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        self.depth += 1;
        if self.depth > 200 {
            self.depth -= 1;
            return Err(Diagnostic::error(EVALUATION, "definitions that need each other more than 200 deep")
                .label(span, "needed here"));
        }
        let out = stack::deep(|| f(self));
        self.depth = self.depth.saturating_sub(1);
        out
    }

    /// Known without a neuron, a synapse or a step, and not through a param of the model at hand.
    fn plain(&self, e: &hir::Expr, cx: &Cx) -> bool {
        !self.any_leaf(e, &mut |leaf| match leaf {
            Leaf::Time | Leaf::Noise | Leaf::Crossing | Leaf::Draw | Leaf::Place => true,
            Leaf::Value(id) => {
                cx.formals.contains_key(&id)
                    || match &self.program.value(id).kind {
                        ValueKind::State { .. }
                        | ValueKind::Input
                        | ValueKind::Noise
                        | ValueKind::Axis(_)
                        | ValueKind::Coordinate(_)
                        | ValueKind::Trace(_)
                        | ValueKind::Sensor(_)
                        | ValueKind::Level(_)
                        | ValueKind::Synapse => true,
                        // Formals of functions inside are bound by their call; those of this place were looked at above.
                        ValueKind::Formal => false,
                        ValueKind::Param { .. } => self.of_model(id, cx),
                        _ => false,
                    }
            }
        })
    }

    pub(super) fn of_model(&self, id: ValueId, cx: &Cx) -> bool {
        cx.body().is_some_and(|b| self.program.model(b.model).names.contains(&id))
    }

    /// The same in every step: reads no state, input, noise or time, nor a param that follows them.
    pub(super) fn unchanging(&self, e: &hir::Expr, cx: &Cx) -> bool {
        let program = self.program;
        let Some(body) = cx.body() else { return true };
        !self.any_leaf(e, &mut |leaf| match leaf {
            Leaf::Time | Leaf::Noise | Leaf::Crossing => true,
            Leaf::Draw | Leaf::Place => false,
            Leaf::Value(id) => match &program.value(id).kind {
                ValueKind::State { .. } | ValueKind::Input | ValueKind::Noise => true,
                ValueKind::Sensor(_) | ValueKind::Level(_) => true,
                ValueKind::Formal => cx.formals.contains_key(&id),
                ValueKind::Param { .. } => match body.bound.get(&id) {
                    Some(Bound::Live(_)) => true,
                    Some(Bound::Slot(k)) => body.dynamics.params[*k as usize].settable,
                    Some(_) => false,
                    // Not bound yet: bind it first by translating it alone.
                    None => program.model(body.model).names.contains(&id),
                },
                _ => false,
            },
        })
    }

    /// Whether a value follows time or what is set.
    pub(super) fn varies(&self, e: &hir::Expr, cx: &Cx) -> bool {
        !self.unchanging(e, cx)
    }

    /// Translates what stays the same for a neuron into the arena of the build.
    pub(super) fn build_own(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(e.span, "this")) };
        let mut inner = Cx {
            network: cx.network,
            mode: Mode::Build { own: Some(body), ends: None, columns: &[] },
            formals: HashMap::new(),
            tables: cx.tables,
            lets: HashMap::new(),
        };
        self.translate(e, &mut inner)
    }

    fn lift(&mut self, e: &hir::Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let built = self.build_own(e, cx)?;
        let Mode::Dynamics(body) = &mut cx.mode else { return Err(not_static(e.span, "this")) };
        Ok(body.lifted(&cx.network.build, built, "fixed"))
    }

    fn leaf(&mut self, e: Expr, cx: &mut Cx) -> Result<ExprId, Fail> {
        let built = cx.network.build.intern(e);
        match &mut cx.mode {
            Mode::Build { .. } | Mode::Rule(_) => Ok(built),
            Mode::Dynamics(body) => Ok(body.lifted(&cx.network.build, built, "element")),
        }
    }

    fn noise(&mut self, key: (Option<u32>, Option<ValueId>), span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        match &mut cx.mode {
            Mode::Dynamics(body) => {
                let next = body.noise_leaves.len() as u32;
                let k = *body.noise_leaves.entry(key).or_insert(next);
                Ok(body.dynamics.exprs.intern(Expr::Noise(k)))
            }
            Mode::Build { .. } | Mode::Rule(_) => Err(not_static(span, "noise")),
        }
    }

    pub(super) fn translate_value(&mut self, id: ValueId, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let Some(e) = cx.formals.get(&id) {
            return Ok(*e);
        }
        let program = self.program;
        match &program.value(id).kind {
            ValueKind::Param { .. } => {
                if !self.of_model(id, cx) {
                    let v = self.param_value(id)?;
                    let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(span, "here"))?;
                    return Ok(cx.arena().real(v));
                }
                let bound = self.bound(id, span, cx)?;
                match (bound, &mut cx.mode) {
                    (Bound::Const(v), _) => Ok(cx.arena().real(v)),
                    (Bound::Slot(k), Mode::Dynamics(body)) => Ok(body.dynamics.exprs.intern(Expr::Param(k))),
                    (Bound::Slot(k), Mode::Build { .. }) => {
                        Ok(cx.network.build.intern(Expr::Element(Side::Own, Attribute::Param(k))))
                    }
                    (Bound::Live(e), Mode::Dynamics(_)) => Ok(e),
                    (Bound::Slot(_), Mode::Rule(_)) => Err(not_static(span, "a param of a cell")),
                    (Bound::Live(_), Mode::Build { .. } | Mode::Rule(_)) => {
                        Err(not_static(span, "a param that follows time"))
                    }
                    (Bound::List(_), _) => {
                        Err(Diagnostic::error(EVALUATION, "this param is a list").label(span, "one number is needed"))
                    }
                }
            }
            ValueKind::State { .. } => match &cx.mode {
                Mode::Dynamics(body) => {
                    let k = self.state_index(body.model, id);
                    Ok(cx.arena().intern(Expr::State(k)))
                }
                Mode::Build { .. } | Mode::Rule(_) => Err(not_static(span, "a state")),
            },
            ValueKind::Trace(_) | ValueKind::Synapse => match &mut cx.mode {
                Mode::Rule(body) => {
                    let k = body.variables.get(&id).copied().unwrap_or(0);
                    Ok(body.exprs.intern(Expr::State(k)))
                }
                _ => Err(not_static(span, "what belongs to a rule")),
            },
            ValueKind::Input => self.input(id, span, cx),
            ValueKind::Sensor(k) => self.sensed(id, *k, &[], span, cx),
            ValueKind::Level(p) => self.level_read(id, *p, span, cx),
            ValueKind::Let(inner) => {
                if reads_draw(inner, program) && matches!(cx.mode, Mode::Build { .. }) && !self.model_let(id, cx) {
                    let table = self.random_table(id, &[], inner, span, cx)?;
                    return Ok(cx.network.build.intern(Expr::Table { table, indices: Vec::new() }));
                }
                if reads_draw(inner, program) && !self.model_let(id, cx) {
                    let e = hir::Expr { kind: ExprKind::Value(id), span, ty: inner.ty };
                    return self.lift(&e, cx);
                }
                if let Some(done) = cx.lets.get(&id) {
                    return Ok(*done);
                }
                // A let sees the names around its definition, never the formals of a call it is used in.
                let formals = std::mem::take(&mut cx.formals);
                let value = self.deeper(span, |s| s.translate(inner, cx));
                cx.formals = formals;
                let value = value?;
                cx.lets.insert(id, value);
                Ok(value)
            }
            ValueKind::Output(inner) => self.deeper(span, |s| s.translate(inner, cx)),
            ValueKind::Axis(k) => self.leaf(Expr::Element(Side::Own, Attribute::Axis(*k)), cx),
            ValueKind::Coordinate(k) => {
                let bound = cx.body().and_then(|b| b.coordinates.get(*k as usize)).cloned();
                match bound {
                    Some(Bound::Slot(k)) => self.leaf(Expr::Element(Side::Own, Attribute::Param(k)), cx),
                    Some(Bound::Const(v)) => Ok(cx.arena().real(v)),
                    _ => Err(not_static(span, "a position")),
                }
            }
            ValueKind::Noise => self.noise((None, Some(id)), span, cx),
            ValueKind::Label(k) => {
                let v = f64::from(*k);
                Ok(cx.arena().real(v))
            }
            _ => {
                let e = hir::Expr { kind: ExprKind::Value(id), span, ty: program.value(id).ty };
                let v = self.constant(&e)?;
                let v = v.number().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(span, "here"))?;
                Ok(cx.arena().real(v))
            }
        }
    }

    fn model_let(&self, id: ValueId, cx: &Cx) -> bool {
        self.of_model(id, cx)
    }

    fn attribute(&mut self, side: hir::Side, name: &str, span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let Mode::Rule(body) = &mut cx.mode {
            return Ok(body.read(RuleRead::Cell(name.to_string())));
        }
        let Mode::Build { ends: Some((pre, post)), .. } = &cx.mode else {
            return Err(not_static(span, "an end of a projection"));
        };
        let (info, side) = if side == hir::Side::Pre { (*pre, Side::Pre) } else { (*post, Side::Post) };
        if let Some(k) = info.axes.iter().position(|a| a == name) {
            return Ok(cx.network.build.intern(Expr::Element(side, Attribute::Axis(k as u32))));
        }
        match info.params.get(name) {
            Some(Bound::Const(v)) => {
                let v = *v;
                Ok(cx.network.build.real(v))
            }
            Some(Bound::Slot(k)) => {
                let k = *k;
                Ok(cx.network.build.intern(Expr::Element(side, Attribute::Param(k))))
            }
            _ => Err(Diagnostic::error(EVALUATION, format!("`{name}` has no fixed value at this end"))
                .label(span, "it follows time, or is not a param of these cells")),
        }
    }

    fn call(&mut self, f: Func, args: &[hir::Expr], span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let (Func::Dot, [a, b]) = (f, args) {
            return self.dot(a, b, span, cx);
        }
        if f.reduces() || f == Func::Subsets {
            return Err(Diagnostic::error(
                EVALUATION,
                format!("`{f}` of a list can't be computed for each neuron or synapse"),
            )
            .label(span, "here"));
        }
        if f == Func::Atan2 {
            return Err(Diagnostic::error(EVALUATION, "`atan2` can't be computed for each neuron or synapse")
                .label(span, "here")
                .help("compare directions by their products: the cosine of the angle between a and b is (a.x b.x + a.y b.y) / (|a| |b|)"));
        }
        let args = args.iter().map(|a| self.translate(a, cx)).collect::<Result<Vec<_>, _>>()?;
        let x = cx.arena();
        if let (Some(op), [a]) = (UnaryOp::of_func(f), args.as_slice()) {
            return Ok(x.unary(op, *a));
        }
        let reduced = match f {
            Func::Min => args.into_iter().reduce(|a, b| x.binary(BinaryOp::Min, a, b)),
            Func::Max => args.into_iter().reduce(|a, b| x.binary(BinaryOp::Max, a, b)),
            Func::Clip => match args.as_slice() {
                [v, lo, hi] => {
                    let above = x.binary(BinaryOp::Max, *v, *lo);
                    Some(x.binary(BinaryOp::Min, above, *hi))
                }
                _ => None,
            },
            Func::Sign => args.first().map(|a| {
                let (zero, one) = (x.real(0.0), x.real(1.0));
                let minus = x.real(-1.0);
                let (up, down) = (x.compare(Compare::Gt, *a, zero), x.compare(Compare::Lt, *a, zero));
                let below = x.select(down, minus, zero);
                x.select(up, one, below)
            }),
            _ => None,
        };
        reduced
            .ok_or_else(|| Diagnostic::error(EVALUATION, format!("`{f}` can't be computed here")).label(span, "here"))
    }

    /// An element of a constant or random table.
    fn index(&mut self, list: &hir::Expr, slots: &[hir::Slot], span: Span, cx: &mut Cx) -> Result<ExprId, Fail> {
        if let ExprKind::Value(id) = &list.kind
            && let ValueKind::Sensor(k) = self.program.value(*id).kind
        {
            return self.sensed(*id, k, slots, span, cx);
        }
        if matches!(cx.mode, Mode::Dynamics(_)) {
            let e = hir::Expr { kind: ExprKind::IndexList(Box::new(list.clone()), slots.to_vec()), span, ty: list.ty };
            if self.unchanging(&e, cx) {
                return self.lift(&e, cx);
            }
            return Err(Diagnostic::error(EVALUATION, "a table is indexed by what stays the same in every step")
                .label(span, "the index varies in time"));
        }
        let indices = slots
            .iter()
            .map(|s| match s {
                hir::Slot::At(e) => self.translate(e, cx),
                hir::Slot::Range(..) => {
                    Err(Diagnostic::error(EVALUATION, "one element is needed here").label(span, "a range of them"))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let ExprKind::Value(id) = &list.kind
            && let ValueKind::Table { axes, value } = &self.program.value(*id).kind
            && reads_draw(value, self.program)
        {
            let (axes, value) = (axes.clone(), value.clone());
            let table = self.random_table(*id, &axes, &value, span, cx)?;
            return Ok(cx.network.build.intern(Expr::Table { table, indices }));
        }
        let value = self.constant(list)?;
        let mut shape = Vec::new();
        let data = dense(&value, &mut shape, 0).ok_or_else(|| {
            Diagnostic::error(EVALUATION, "this table is ragged: its rows have different lengths")
                .label(list.span, "indexed here")
        })?;
        if indices.len() != shape.len() {
            return Err(Diagnostic::error(
                EVALUATION,
                format!("{} indices into a table {} deep", indices.len(), shape.len()),
            )
            .label(span, "one number is needed here"));
        }
        let name = match &list.kind {
            ExprKind::Value(id) => self.name(*id).to_string(),
            _ => "list".to_string(),
        };
        let table = Table { name, shape, data, draw: None };
        let k = match cx.network.tables.iter().position(|t| *t == table) {
            Some(k) => k,
            None => {
                cx.network.tables.push(table);
                cx.network.tables.len() - 1
            }
        };
        Ok(cx.network.build.intern(Expr::Table { table: k as u32, indices }))
    }

    /// A let with draws in it: one table, filled once when the network is built, so that all its readers see the same numbers.
    pub(super) fn random_table(
        &mut self,
        id: ValueId,
        axes: &[hir::TableAxis],
        value: &hir::Expr,
        span: Span,
        cx: &mut Cx,
    ) -> Result<u32, Fail> {
        // Within a loop each turn has its own.
        let def = self.program.value(id);
        let key = (id, self.turn[..def.loops.min(self.turn.len())].concat());
        if let Some(k) = cx.tables.get(&key) {
            return Ok(*k);
        }
        let mut shape = Vec::new();
        let mut formals = HashMap::new();
        for (k, axis) in axes.iter().enumerate() {
            shape.push(self.constant_count(&axis.size, 100_000_000)? as u32);
            if let Some(v) = axis.variable {
                let at = cx.network.build.intern(Expr::Element(Side::Own, Attribute::Axis(k as u32)));
                formals.insert(v, at);
            }
        }
        let mut inner = Cx {
            network: cx.network,
            mode: Mode::Build { own: None, ends: None, columns: &[] },
            formals,
            tables: cx.tables,
            lets: HashMap::new(),
        };
        let draw = self.deeper(span, |s| s.translate(value, &mut inner))?;
        // Its numbers are keyed by its name, and two uses of a region draw their own.
        let name = format!("{}{}", def.path, key.1);
        cx.network.tables.push(Table { name, shape, data: Vec::new(), draw: Some(draw) });
        let k = cx.network.tables.len() as u32 - 1;
        cx.tables.insert(key, k);
        Ok(k)
    }
}

pub(super) fn body_model(cx: &Cx) -> ModelId {
    cx.body().map_or(ModelId(0), |b| b.model)
}

pub(super) fn reads_draw(e: &hir::Expr, program: &hir::Program) -> bool {
    reads(e, program, &mut |x| matches!(x.kind, ExprKind::Draw { .. }))
}

fn side_of(side: hir::Side) -> Side {
    match side {
        hir::Side::Own => Side::Own,
        hir::Side::Pre => Side::Pre,
        hir::Side::Post => Side::Post,
    }
}

pub(super) fn binary(x: &mut Exprs, op: hir::BinaryOp, a: ExprId, b: ExprId) -> ExprId {
    use hir::BinaryOp as H;
    match op {
        H::Add => x.binary(BinaryOp::Add, a, b),
        H::Sub => x.binary(BinaryOp::Sub, a, b),
        H::Mul => x.binary(BinaryOp::Mul, a, b),
        H::Div => x.binary(BinaryOp::Div, a, b),
        H::Pow => x.binary(BinaryOp::Pow, a, b),
        H::And => x.binary(BinaryOp::And, a, b),
        H::Or => x.binary(BinaryOp::Or, a, b),
        H::Eq => x.compare(Compare::Eq, a, b),
        H::Ne => x.compare(Compare::Ne, a, b),
        H::Lt => x.compare(Compare::Lt, a, b),
        H::Le => x.compare(Compare::Le, a, b),
        H::Gt => x.compare(Compare::Gt, a, b),
        H::Ge => x.compare(Compare::Ge, a, b),
    }
}

/// Row-major numbers of a rectangular nested list.
fn dense(v: &Value, shape: &mut Vec<u32>, depth: usize) -> Option<Vec<f64>> {
    match v {
        Value::List(_) | Value::Mask(_) => {
            let items = v.elements();
            match shape.get(depth) {
                Some(n) if *n as usize != items.len() => return None,
                Some(_) => {}
                None => shape.push(items.len() as u32),
            }
            let mut out = Vec::new();
            for i in &items {
                out.extend(dense(i, shape, depth + 1)?);
            }
            Some(out)
        }
        scalar if shape.len() == depth => Some(vec![scalar.number().ok()?]),
        _ => None,
    }
}

pub(super) fn not_static(span: Span, what: &str) -> Fail {
    Diagnostic::error(EVALUATION, format!("{what} can't be read here"))
        .label(span, "this place is computed when the network is built")
}
