//! What one of a state's integers is worth. The distance from where a state starts to the threshold is 2^18: fine enough that the
//! truncation of every product stays far below what noise does, with 2^5 such distances of room on either side in 24 bits. A state
//! that drives another one is scaled by the steady response of the other to it, so that both use their bits alike.

use super::code::nearly_one;
use super::values::{Form, Leaf, Polynomial, Test, Values};

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

/// What moves a state that is nothing but a count, such as the time to the next spike: by the same constant in each step, by constants at a
/// spike, and read by nothing but the condition of one.
pub(super) struct Count<'f> {
    pub state: u32,
    /// Its new value in a step, and at a spike.
    pub step: &'f Form,
    pub reset: Option<&'f Form>,
    pub test: &'f Test,
    /// What its integers are measured from, and the furthest from there at the start.
    pub offset: f64,
    pub initial: f64,
}

/// Bits that a count keeps of its 24: one for the sign, one to spare.
const COUNT_BITS: i32 = 22;

impl Count<'_> {
    /// Integers per unit by which a step is a power of two, so that no step loses anything and what lies half a step off is told apart; as
    /// many as the furthest that a count comes leaves room for. `None` where it is no count, or comes too far.
    pub(super) fn scale(&self) -> Option<f64> {
        let own = [Leaf::State(self.state)];
        let moved = |form: &Form| {
            let Form::Polynomial(p) = form else { return None };
            let constant = p.coefficient(&[]);
            let alone = p.0.keys().all(|m| m.is_empty() || **m == own);
            (alone && !constant.live).then(|| (constant.map(|v| v - self.offset), p.coefficient(&own)))
        };
        let stays = |by: &Values| !by.live && by.each.iter().all(|v| nearly_one(*v) == 1.0);
        let (step, kept) = moved(self.step)?;
        let unit = step.largest();
        let even = unit > 0.0 && step.each.iter().all(|v| (v.abs() / unit - 1.0).abs() < 1e-9);
        if !even || !stays(&kept) {
            return None;
        }
        let mut furthest = self.initial;
        if let Some(reset) = self.reset {
            let (by, kept) = moved(reset)?;
            if !stays(&kept) && !kept.always(0.0) {
                return None;
            }
            furthest = furthest.max(by.largest());
        }
        let mut alone = true;
        self.test.each(&mut |p| {
            let reads = p.0.keys().any(|m| m.contains(&Leaf::State(self.state)));
            let by = p.coefficient(&own);
            if reads {
                alone &= p.0.keys().all(|m| m.is_empty() || **m == own) && by.each.iter().all(|v| *v != 0.0);
                furthest = furthest.max(p.coefficient(&[]).zip(&by, |away, by| away / by).largest());
            }
        });
        let steps = furthest / unit + 1.0;
        let bits = COUNT_BITS - 1 - floor_log2(steps);
        (alone && steps.is_finite() && bits >= 1).then(|| 2_f64.powi(bits) / unit)
    }
}

/// The exponent of the largest power of two that is no more than `v`; exact on every machine. Takes a positive, normal number.
pub(super) fn floor_log2(v: f64) -> i32 {
    ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023
}
