//! Weights of a projection as mantissas that share an exponent.

use super::ProjectionReport;
use crate::backend::RunError;
use crate::backend::build::{Elements, ParamValues, PopulationElements, SynapsePlan};
use crate::backend::eval;
use crate::chip::fixed::{FixedSynapse, Sign, SynapseFormat};
use crate::ir::{Delay, Expr, Network, Population, Projection, ProjectionId, Weight};

/// A synapse with its weight at arrival, and its delay in steps of the IR.
pub(super) struct Real {
    pub pre: u32,
    pub post: u32,
    pub weight: f64,
    pub delay: u32,
}

/// The gain of a projection at each of its targets.
pub(super) fn gains(p: &Projection, target: &Population, built: &PopulationElements) -> Vec<f64> {
    let Some(gain) = p.gain else { return vec![1.0; target.size as usize] };
    let exprs = &target.dynamics.exprs;
    let order = eval::order(exprs, &[gain]);
    let mut scratch = vec![];
    let mut of = |post: u32| {
        eval::evaluate(exprs, &order, &mut scratch, &mut |e, _| match e {
            Expr::Param(k) => built.params.get(*k as usize).map_or(f64::NAN, |v: &ParamValues| v.at(post)),
            // A gain that follows a state is no weight.
            _ => f64::NAN,
        });
        scratch[gain.0 as usize]
    };
    (0..target.size).map(&mut of).collect()
}

/// All synapses, with the gain of their target.
pub(super) fn collect(
    network: &Network,
    elements: &Elements,
    id: ProjectionId,
    plan: &SynapsePlan<'_>,
) -> Result<Vec<Real>, RunError> {
    let p = &network.graph[id];
    let (target, population) = plan.target();
    let synapses = plan.expand()?;
    let gains = gains(p, population, &elements.populations[target]);
    let mut out = Vec::new();
    synapses.incoming(0..plan.posts(), &mut |post, pres, weights, delays| {
        let gain = gains[post as usize];
        for (k, pre) in pres.iter().enumerate() {
            let weight = match p.weight {
                Weight::Constant(w) => w,
                Weight::PerSynapse { .. } => weights.get(k).copied().unwrap_or(f64::NAN),
            };
            let delay = match p.delay {
                Delay::Constant(d) => d,
                Delay::PerSynapse { .. } => delays.get(k).copied().unwrap_or(1),
            };
            out.push(Real { pre: *pre, post, weight: weight * gain, delay });
        }
    })?;
    Ok(out)
}

/// Exponents of a package.
const EXPONENTS: std::ops::RangeInclusive<i32> = 0..=24;

type Quantised = (SynapseFormat, Vec<FixedSynapse>, ProjectionReport);

/// Rounds to mantissas of `bits` bits in units of 2^exponent integers, `scale` integers being one unit of weight; weights may come
/// to be `most`.
pub(super) fn quantise(
    p: &Projection,
    list: &[Real],
    bits: u32,
    accumulator: u32,
    scale: f64,
    most: f64,
) -> Result<Quantised, String> {
    if let Some(bad) = list.iter().find(|s| !s.weight.is_finite()) {
        return Err(format!(
            "the weight from cell {} to cell {} changes while the circuit runs, or is no number",
            bad.pre, bad.post
        ));
    }
    let (low, high) = list.iter().fold((0.0_f64, most), |(l, h), s| (l.min(s.weight), h.max(s.weight)));
    let sign = match (low < 0.0, high > 0.0) {
        (true, true) => Sign::Mixed,
        (true, false) => Sign::Inhibitory,
        _ => Sign::Excitatory,
    };
    let largest = high.max(-low) * scale;
    let longest = list.iter().map(|s| s.delay.saturating_sub(1)).max().unwrap_or(0);
    let delay_bits = u32::BITS - longest.leading_zeros();
    let mut format = SynapseFormat { bits, sign, exponent: 0, delay_bits, accumulator, rule: None };
    // 255 at 8 bits; 254 with mixed signs, where mantissas are even.
    let full = f64::from((255 >> format.truncated()) << format.truncated());
    let fits = |e: &i32| (largest / 2_f64.powi(*e)).round() <= full;
    format.exponent = EXPONENTS
        .into_iter()
        .find(fits)
        .ok_or_else(|| format!("weights up to {} that no exponent makes {bits} bits of", high.max(-low)))?;
    let unit = 2_f64.powi(format.exponent) / scale;
    let step = f64::from(1_u32 << format.truncated());
    let mut out = Vec::with_capacity(list.len());
    let (mut squares, mut errors, mut sum, mut worst, mut lost) = (0.0, 0.0, 0.0, 0.0_f64, 0);
    for s in list {
        let mantissa = format.store(((s.weight / unit / step).round() * step) as i32);
        let error = f64::from(mantissa) * unit - s.weight;
        squares += s.weight * s.weight;
        errors += error * error;
        sum += error;
        worst = worst.max(error.abs());
        lost += u64::from(mantissa == 0 && s.weight != 0.0);
        out.push(FixedSynapse { pre: s.pre, post: s.post, weight: mantissa, delay: s.delay.saturating_sub(1) });
    }
    let n = (list.len() as f64).max(1.0);
    let rms = (squares / n).sqrt().max(f64::MIN_POSITIVE);
    let report = ProjectionReport {
        path: p.path.clone(),
        synapses: list.len() as u64,
        bits,
        exponent: format.exponent,
        unit,
        rms_error: (errors / n).sqrt() / rms,
        mean_error: sum / n / rms,
        largest_error: worst / high.max(-low).max(f64::MIN_POSITIVE),
        lost,
    };
    Ok((format, out, report))
}
