//! Numbers that are known before the run and can't be meant: negative rates and durations, time constants that are not positive,
//! lists that don't fit the cells they are set on.

use super::dynamics::Body;
use super::error::*;
use super::network::Elaborated;
use super::{Fail, Lowering, reads};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, ExprKind, ValueId};
use crate::ir::{ExprId, Exprs};
use crate::random::MAX_POISSON_MEAN;
use crate::script::{self, Expr, NoHost, Value};
use crate::units::{self, Dimension};
use std::collections::HashMap;

/// The value of what reads neither the run nor a variable.
pub(super) fn known(e: &Expr) -> Option<Value> {
    script::eval(e, &mut NoHost::default()).ok()
}

impl Lowering<'_> {
    /// A param's value, known when the network is laid out: a time by which an equation divides is a time constant.
    pub(super) fn plausible_constant(&self, id: ValueId, v: f64, span: Span) -> Result<(), Fail> {
        let def = self.program.value(id);
        if v.is_nan() {
            return Err(Diagnostic::error(EVALUATION, format!("`{}` is not a number", def.name))
                .label(span, "comes to NaN")
                .label(def.span, "declared here")
                .help("look for 0 / 0, infinity - infinity, or a root or logarithm of what is negative"));
        }
        if v > 0.0 || def.ty.dimension() != Dimension::TIME || !self.time_constant(id) {
            return Ok(());
        }
        let found = units::display(v, Dimension::TIME);
        Err(Diagnostic::error(NEGATIVE, format!("`{}` is {found}, and an equation divides by it", def.name))
            .label(span, "a time constant is positive")
            .label(def.span, "declared here")
            .help("a state that grows instead of decaying has a positive term in its equation, not a negative time"))
    }

    fn time_constant(&self, id: ValueId) -> bool {
        let program = self.program;
        let divides = |e: &hir::Expr| {
            reads(e, program, &mut |x| match &x.kind {
                ExprKind::Binary(hir::BinaryOp::Div, _, b) => matches!(b.kind, ExprKind::Value(v) if v == id),
                _ => false,
            })
        };
        program.models.iter().filter(|m| m.names.contains(&id)).any(|m| m.equations.iter().any(|q| divides(&q.value)))
    }

    /// A hazard that is a constant.
    pub(super) fn plausible_rate(&self, x: &Exprs, rate: ExprId, span: Span) -> Result<(), Fail> {
        match x.as_const(rate) {
            Some(v) if v.is_nan() => Err(Diagnostic::error(EVALUATION, "a rate that is not a number")
                .label(span, "comes to NaN")
                .help("look for 0 / 0, infinity - infinity, or a root or logarithm of what is negative")),
            Some(v) if v < 0.0 => {
                let found = units::display(v, Dimension::RATE);
                Err(Diagnostic::error(NEGATIVE, format!("a rate of {found}"))
                    .label(span, "a rate of spikes is not negative")
                    .help("where a formula may fall below, cut it: `max(0 Hz, ...)`"))
            }
            _ => Ok(()),
        }
    }

    /// The rate of trains that only their counts per step are drawn of, a constant.
    pub(super) fn countable_rate(&self, x: &Exprs, rate: ExprId, span: Span) -> Result<(), Fail> {
        self.plausible_rate(x, rate, span)?;
        match x.as_const(rate) {
            Some(v) if v * self.dt > MAX_POISSON_MEAN => {
                let found = units::display(v, Dimension::RATE);
                let most = units::display(MAX_POISSON_MEAN / self.dt, Dimension::RATE);
                Err(Diagnostic::error(OUT_OF_BOUNDS, format!("a rate of {found}"))
                    .label(span, format!("above {most}, which is a million events in a step"))
                    .help("so many events are a current: give its mean and let `xi` bring its variance"))
            }
            _ => Ok(()),
        }
    }

    /// A duration that is a constant.
    pub(super) fn not_negative(&self, time: &Expr, span: Span, what: &str) -> Result<(), Fail> {
        match known(time).and_then(|v| v.number().ok()) {
            Some(v) if v < 0.0 => {
                let found = units::display(v, Dimension::TIME);
                Err(Diagnostic::error(NEGATIVE, format!("{what} of {found}"))
                    .label(span, "a duration is not negative")
                    .help("time only goes forward; `reset` takes a circuit back to its start"))
            }
            Some(v) if !v.is_finite() => {
                Err(Diagnostic::error(NEGATIVE, format!("{what} of {}", units::display(v, Dimension::TIME)))
                    .label(span, "a duration is finite")
                    .help("what should go on until something happens is `repeat ... until`"))
            }
            _ => Ok(()),
        }
    }

    /// The interval of a `record ... every`: where it is a constant, a number of steps.
    pub(super) fn record_interval(&mut self, e: &hir::Expr, out: &mut Elaborated) -> Result<Expr, Fail> {
        let lowered = self.live_script(e, out)?;
        let Some(ms) = known(&lowered).and_then(|v| v.number().ok()) else { return Ok(lowered) };
        let steps = (ms / self.dt).round();
        let (found, step) = (units::display(ms, Dimension::TIME), units::display(self.dt, Dimension::TIME));
        if !(1.0..=1e15).contains(&steps) {
            return Err(Diagnostic::error(NEGATIVE, format!("an interval of {found}"))
                .label(e.span, format!("at least one step of {step}"))
                .help("without `every`, each step is recorded"));
        }
        self.whole_steps(ms, e.span, "an interval");
        Ok(lowered)
    }

    /// How often a `repeat` runs: where it is a constant, a whole number.
    pub(super) fn repetitions(&mut self, times: &hir::Expr, out: &mut Elaborated) -> Result<Expr, Fail> {
        let lowered = self.live_script(times, out)?;
        if let Some(v) = known(&lowered)
            && let Err(why) = v.count()
        {
            return Err(Diagnostic::error(NEGATIVE_SIZE, format!("`repeat` counts: {}", why.message))
                .label(times.span, "not a whole number of times"));
        }
        Ok(lowered)
    }

    /// A list that is set on cells has a value for each of them.
    pub(super) fn fits_cells(
        &mut self,
        value: &Expr,
        target: &hir::Cells,
        span: Span,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let n = match value {
            Expr::Const(Value::List(items)) => items.len(),
            Expr::List(items) => items.len(),
            _ => return Ok(()),
        };
        let Some(size) = out.placed.get(&target.population).filter(|p| !p.private).map(|p| p.size) else {
            return Ok(());
        };
        // Cells that are chosen while the circuit runs are counted then.
        let Ok(subset) = self.subset(target, out) else { return Ok(()) };
        let cells = subset.len(size) as usize;
        if n == cells {
            return Ok(());
        }
        Err(Diagnostic::error(SIZES_DIFFER, format!("{n} values are set on {cells} cells"))
            .label(span, format!("{n} values"))
            .label(target.span, format!("{cells} cells"))
            .help("give one value for all, or one for each cell"))
    }

    /// Initial values of a population's states where they are constants.
    pub(super) fn initial_values(&mut self, body: &Body) -> HashMap<u32, f64> {
        let program = self.program;
        let mut out = HashMap::new();
        for (id, k) in program.model(body.model).states.iter().zip(0_u32..) {
            let hir::ValueKind::State { initial } = &program.value(*id).kind else { continue };
            let given = body.args.iter().find(|(p, _)| p == id).map_or(initial, |(_, e)| e);
            let direct = match &given.kind {
                ExprKind::Value(v) => match body.bound.get(v) {
                    Some(super::dynamics::Bound::Const(v)) => Some(*v),
                    _ => None,
                },
                ExprKind::Const(v) => v.number().ok(),
                ExprKind::Unary(hir::UnaryOp::Neg, a) => match &a.kind {
                    ExprKind::Const(v) => v.number().ok().map(|v| -v),
                    _ => None,
                },
                _ => None,
            };
            out.extend(direct.map(|v| (k, v)));
        }
        out
    }
}
