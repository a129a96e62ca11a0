//! Dale's law, and delays that a step is too long for: what the sign or size of drawn numbers means.
//!
//! A neuron releases the same transmitters at all its synapses (Eccles 1976 on Dale 1935), so the weights of one population's
//! projections have one sign. What is certain is an error: two projections of opposite sign, or a weight whose stated limits have
//! both signs. What only the tail of a normal distribution does is a warning with its share. Sources are exempt: their trains stand
//! for cells that the circuit does not have; so are continuous projections, since a rate unit or a voltage is no transmitter. Weights
//! of which nothing is known are taken as right. A conductance that spikes make smaller than none is a warning, wherever they come from.

use super::Lowering;
use super::chance::{Chance, NEGLIGIBLE, percent};
use super::error::*;
use super::network::Elaborated;
use super::projection::{Bounds, Extents};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, PopulationId};
use crate::ir::{self, Expr, ExprId, Projection, Subset, Weight};
use crate::units::{self, Dimension};
use std::collections::HashSet;

/// The weight of one projection of a population.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    population: PopulationId,
    span: Span,
    sign: Sign,
    /// The weight in words.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    Excites,
    Inhibits,
    /// Its limits have both.
    Both,
}

/// Whether slices or `where` leave pairs of the two populations out.
fn some_pairs(p: &Projection) -> bool {
    p.filter.is_some() || p.pre != Subset::All || p.post != Subset::All
}

/// Whether the weight follows from which cells are joined.
fn reads_ends(network: &ir::Network, p: &Projection) -> bool {
    let Weight::PerSynapse { value, .. } = p.weight else { return false };
    let (mut open, mut seen) = (vec![value], HashSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let e = network.build.get(id);
        if matches!(e, Expr::Element(..)) {
            return true;
        }
        e.children(&mut |child| open.push(child));
    }
    false
}

impl Lowering<'_> {
    /// Notes where a projection was written and what sign it has, and warns where chance alone gives it both.
    pub(super) fn outgoing(
        &mut self,
        network: &hir::Network,
        (from, to): (&hir::Cells, &hir::Cells),
        p: &hir::Projection,
        projection: &Projection,
        sizes: (&Extents, &Extents),
        out: &mut Elaborated,
    ) {
        out.origins.projections.insert(projection.path.clone(), p.span);
        let Some(placed) = out.placed.get(&from.population) else { return };
        let source = out.network.population(placed.node).is_some_and(|p| p.source);
        let Some(weight) = &p.weight else { return };
        let Some(receiver) = out.placed.get(&to.population) else { return };
        if p.continuous.is_some() {
            return;
        }
        // A gain that is no constant is read as positive.
        let gain = projection.gain.and_then(|g| receiver.body.dynamics.exprs.as_const(g)).unwrap_or(1.0);
        let receptor = receiver.body.dynamics.receptors.get(projection.receptor as usize);
        let dimension = receptor.map_or(Dimension::NUMBER, |r| r.dimension);
        let shown = |v: f64| units::display(v, dimension);
        let (low, high, text) = match projection.weight {
            Weight::Constant(w) => (w, w, shown(w)),
            Weight::PerSynapse { value, .. } => {
                let (low, high) = Bounds::new(&out.network, &projection.columns, sizes).of(value);
                if low < 0.0 && high > 0.0 {
                    let usual = Bounds::new(&out.network, &projection.columns, sizes).of_means().of(value);
                    let chance = Chance { network: &out.network, columns: &projection.columns };
                    match self.by_chance(&chance, value, usual, weight.span) {
                        Some(d) => {
                            let mixed = source || network.populations[from.population.0 as usize].mixed;
                            if let (Some(d), false) = (d, mixed) {
                                self.tell(d);
                            }
                            (usual.0, usual.1, "usually".to_string())
                        }
                        None => (low, high, String::new()),
                    }
                } else {
                    let end = |v: f64| if v.is_finite() { shown(v) } else { "any size".to_string() };
                    (low, high, format!("{} .. {}", end(low), end(high)))
                }
            }
        };
        let (low, high) = if gain < 0.0 { (-high, -low) } else { (low, high) };
        self.negative_conductance(dimension, (low, high), gain, weight.span);
        if source {
            return;
        }
        let sign = match (low < 0.0, high > 0.0) {
            _ if gain == 0.0 => return,
            (false, false) => return,
            (false, true) => Sign::Excites,
            (true, false) => Sign::Inhibits,
            // Nothing bounds it: nothing is known.
            (true, true) if low == f64::NEG_INFINITY && high == f64::INFINITY => return,
            // Limits are those of all pairs; which sign those pairs have that are joined is not known.
            (true, true) if some_pairs(projection) && reads_ends(&out.network, projection) => return,
            (true, true) => Sign::Both,
        };
        out.outgoing.push(Outgoing { population: from.population, span: weight.span, sign, text });
    }

    /// Warns where spikes of these weights make a conductance smaller than none.
    pub(super) fn negative_conductance(
        &mut self,
        dimension: Dimension,
        (low, high): (f64, f64),
        gain: f64,
        span: Span,
    ) {
        let opens = dimension == Dimension::CONDUCTANCE || dimension == Dimension::CONDUCTANCE / Dimension::AREA;
        if opens && low < 0.0 && high <= 0.0 {
            let label = if gain < 0.0 { "times a gain below zero" } else { "no channel does that" };
            self.tell(
                Diagnostic::warning(NEGATIVE_CONDUCTANCE, "spikes make a conductance smaller than none")
                    .label(span, label)
                    .help("give the weight without the minus: which way a conductance drives V is up to its reversal potential"),
            );
        }
    }

    /// `None` where the weight has both signs without any tail; else the warning, if there is enough in the tail.
    fn by_chance(&self, chance: &Chance, value: ExprId, usual: (f64, f64), span: Span) -> Option<Option<Diagnostic>> {
        if usual.0 < 0.0 && usual.1 > 0.0 {
            return None;
        }
        let excites = usual.1 > 0.0 || usual.0 == 0.0;
        let share = chance.below(value, 0.0).map(|below| if excites { below } else { 1.0 - below });
        if share.is_some_and(|s| s < NEGLIGIBLE) {
            return Some(None);
        }
        let many = share.map_or("some".to_string(), percent);
        let (wrong, limit) = if excites { ("negative", "max(0, ...)") } else { ("positive", "min(0, ...)") };
        Some(Some(
            Diagnostic::warning(DALE_BY_CHANCE, format!("{many} of these weights come out {wrong}"))
                .label(span, "a normal distribution has tails on both sides")
                .help(format!("cut it: `{limit}`; or let the population say `mixed`")),
        ))
    }

    /// Judges all populations once their projections are known.
    pub(super) fn dale(&mut self, network: &hir::Network, out: &Elaborated) {
        for (k, p) in network.populations.iter().enumerate().filter(|(_, p)| !p.mixed && !p.source) {
            let of: Vec<&Outgoing> = out.outgoing.iter().filter(|o| o.population == PopulationId(k as u32)).collect();
            let first = |sign: Sign| of.iter().find(|o| o.sign == sign);
            let help = "a cell releases the same transmitter at all its synapses (Dale's law): make two populations of it, or write \
                        `mixed` in its body";
            let message = format!("`{}` both excites and inhibits", p.name);
            if let Some(both) = first(Sign::Both) {
                self.tell(
                    Diagnostic::error(DALE, message)
                        .label(both.span, "weights of both signs")
                        .label(p.span, "of this population")
                        .help(help),
                );
            } else if let (Some(up), Some(down)) = (first(Sign::Excites), first(Sign::Inhibits)) {
                let word = |o: &Outgoing| if o.sign == Sign::Excites { "excites" } else { "inhibits" };
                let (a, b) = if up.span < down.span { (up, down) } else { (down, up) };
                self.tell(
                    Diagnostic::error(DALE, message)
                        .label(b.span, format!("{} here: {}", word(b), b.text))
                        .label(a.span, format!("{} here: {}", word(a), a.text))
                        .help(help),
                );
            }
        }
    }

    /// Warns of the part of drawn delays that is shorter than a step and will be one step.
    pub(super) fn short_delays(&mut self, value: ExprId, columns: &[Vec<f64>], span: Span, network: &ir::Network) {
        let dt = self.dt;
        // As much below dt as rounding to the nearest step would forgive a constant.
        let Some(share) = (Chance { network, columns }).below(value, dt * (1.0 - 1e-9)) else { return };
        if share < NEGLIGIBLE {
            return;
        }
        let step = units::display(dt, Dimension::TIME);
        self.tell(
            Diagnostic::warning(SHORT_DELAYS, format!("{} of these delays are below dt = {step}", percent(share)))
                .label(span, format!("raised to {step}"))
                .help(format!("say so: `max({step}, ...)`; or lower dt")),
        );
    }
}
