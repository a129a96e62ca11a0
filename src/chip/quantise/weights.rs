//! Weights of a projection as mantissas that share an exponent.

use super::ProjectionReport;
use crate::backend::build::Listed;
use crate::chip::fixed::{FixedSynapse, Sign, SynapseFormat};
use crate::ir::Projection;

/// Exponents of a package.
const EXPONENTS: std::ops::RangeInclusive<i32> = 0..=24;

type Quantised = (SynapseFormat, Vec<FixedSynapse>, ProjectionReport);

/// Rounds to mantissas of `bits` bits in units of 2^exponent integers, `scale` integers being one unit of weight; weights may come
/// to be `most`.
pub(super) fn quantise(
    p: &Projection,
    list: &[Listed],
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
    let mut format = SynapseFormat { bits, sign, exponent: 0, delay_bits, accumulator, rule: None, third_factor: None };
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
