//! Where the weights of a projection that learns start: within the bounds of its rules.
//!
//! A rule clips a weight after handlers that write it, so one that starts outside would jump at the first of these, and the
//! weights before and after a run could not be compared. A weight that is certainly outside is an error; what only the tail of a
//! normal distribution does is a warning with its share.

use super::chance::{Chance, NEGLIGIBLE, percent};
use super::error::*;
use super::network::Elaborated;
use super::projection::{Bounds, Extents};
use super::{Fail, Lowering};
use crate::base::Diagnostic;
use crate::hir;
use crate::ir::{Projection, Weight};
use crate::units::{self, Dimension};

impl Lowering<'_> {
    /// Compares the weights that a projection is built with, in base units, with the bounds of each of its rules.
    pub(super) fn initial_weights(
        &mut self,
        p: &hir::Projection,
        projection: &Projection,
        sizes: (&Extents, &Extents),
        out: &Elaborated,
    ) -> Result<(), Fail> {
        let Some(weight) = &p.weight else { return Ok(()) };
        for rule in &p.rules {
            let Some((lo, hi)) = &rule.bounds else { continue };
            self.rule_params(rule)?;
            let (low, high) = (self.constant_number(lo)?, self.constant_number(hi)?);
            let network = &out.network;
            let inside = |(a, b): (f64, f64)| a >= low && b <= high;
            let bounds = || Bounds::new(network, &projection.columns, sizes);
            let range = match &projection.weight {
                Weight::Constant(w) => (*w, *w),
                Weight::PerSynapse { value, .. } => bounds().of(*value),
            };
            // Bounds the wrong way round have an error of their own; NaN is told of where the weight is built.
            if inside(range) || !(low <= high) || range.0.is_nan() {
                continue;
            }
            let dimension = rule.weight.map_or(Dimension::NUMBER, |w| self.program.value(w).ty.dimension());
            let shown = |v: f64| units::display(v, dimension);
            let limits = format!("{} .. {}", shown(low), shown(high));
            let lower = low.is_finite().then(|| format!("max({}, ...)", shown(low)));
            let clip = match (low.is_finite(), high.is_finite()) {
                (true, true) => format!("clip(..., {}, {})", shown(low), shown(high)),
                _ => lower.unwrap_or_else(|| format!("min({}, ...)", shown(high))),
            };
            if let Weight::PerSynapse { value, .. } = &projection.weight
                && inside(bounds().of_means().of(*value))
            {
                let chance = Chance { network, columns: &projection.columns };
                let above = chance.below(*value, high).map(|below| if high.is_finite() { 1.0 - below } else { 0.0 });
                let share = chance.below(*value, low).zip(above).map(|(below, above)| below + above);
                if share.is_some_and(|s| s < NEGLIGIBLE) {
                    continue;
                }
                let many = share.map_or("some".to_string(), percent);
                self.tell(
                    Diagnostic::warning(
                        STARTS_OUTSIDE_BY_CHANCE,
                        format!("{many} of these weights start outside of the bounds of `{}`", rule.name),
                    )
                    .label(weight.span, "a normal distribution has tails on both sides")
                    .label(rule.use_span, format!("keeps weights in {limits}"))
                    .help(format!("cut it: `{clip}`")),
                );
                continue;
            }
            if range == (f64::NEG_INFINITY, f64::INFINITY) {
                // Nothing is known of it.
                continue;
            }
            let end = |v: f64| if v.is_finite() { shown(v) } else { "any size".to_string() };
            let found =
                if range.0 == range.1 { shown(range.0) } else { format!("{} .. {}", end(range.0), end(range.1)) };
            return Err(Diagnostic::error(
                STARTS_OUTSIDE,
                format!("a weight starts outside of the bounds of `{}`", rule.name),
            )
            .label(weight.span, format!("starts at {found}"))
            .label(rule.use_span, format!("keeps weights in {limits}"))
            .help(format!("start inside: `{clip}`, or give the rule other bounds")));
        }
        Ok(())
    }
}
