//! What one of a state's integers is worth. The distance from where a state starts to the threshold is 2^18: fine enough that the
//! truncation of every product stays far below what noise does, with 2^5 such distances of room on either side in 24 bits. A state
//! that drives another one is scaled by the steady response of the other to it, so that both use their bits alike.

use super::values::{Form, Leaf, Polynomial, Test};

/// Bits of the distance to threshold.
const DISTANCE_BITS: i32 = 18;
pub(super) const DISTANCE: f64 = (1 << DISTANCE_BITS) as f64;

/// Integers per unit, by state.
///
/// `updates` are the assignments of a step (state, new value), `test` is the condition of a spike, `initial` the largest magnitude
/// of each state at the start, from its offset.
pub(super) fn scales(updates: &[(u32, Form)], test: Option<&Test>, initial: &[f64]) -> Vec<f64> {
    let distance = DISTANCE;
    let mut out: Vec<Option<f64>> = vec![None; initial.len()];
    if let Some(test) = test {
        test.each(&mut |p| thresholds(p, distance, &mut out));
    }
    while let Some((state, scale)) = next(updates, &out, initial) {
        out[state] = Some(scale);
    }
    let spare = |k: usize| distance / initial[k].max(1.0);
    let all = out.iter().enumerate();
    all.map(|(k, s)| s.filter(|s| s.is_finite() && *s > 0.0).unwrap_or_else(|| spare(k))).collect()
}

/// Of the states that are not scaled yet and drive one that is: the one that drives most. So each gets its scale along the way by which it
/// does most. In a chain, the first one does next to nothing to the last within a step, and all of it by way of the second.
fn next(updates: &[(u32, Form)], scaled: &[Option<f64>], initial: &[f64]) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for (state, form) in updates {
        let Some(own) = scaled[*state as usize] else { continue };
        form.each(&mut |p| {
            let kept = p.coefficient(&[Leaf::State(*state)]);
            // Of each neuron: what one decays fast by is another's slow decay.
            let steady = |by: f64, kept: f64| by / (1.0 - kept).abs().clamp(2_f64.powi(-10), 1.0);
            for (monomial, by) in &p.0 {
                for leaf in monomial {
                    let Leaf::State(k) = leaf else { continue };
                    let k = *k as usize;
                    let linear = monomial.len() == 1;
                    let scale =
                        if linear { own * by.zip(&kept, steady).largest() } else { DISTANCE / initial[k].max(1.0) };
                    let scale = if scale.is_nan() { 0.0 } else { scale };
                    if scaled[k].is_none() && best.is_none_or(|(_, most)| scale > most) {
                        best = Some((k, scale));
                    }
                }
            }
        });
    }
    best
}

fn thresholds(p: &Polynomial, distance: f64, out: &mut [Option<f64>]) {
    let away = p.coefficient(&[]).largest();
    for (monomial, by) in &p.0 {
        if let [Leaf::State(k)] = monomial.as_slice()
            && out[*k as usize].is_none()
        {
            let away = if away > 0.0 { away } else { by.largest() };
            out[*k as usize] = Some(distance * by.largest() / away);
        }
    }
}

/// The exponent of the largest power of two that is no more than `v`; exact on every machine. Takes a positive, normal number.
pub(super) fn floor_log2(v: f64) -> i32 {
    ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023
}
