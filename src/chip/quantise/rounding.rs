//! What a state may be off by because products are cut off towards 0: up to one unit for each product, and what a constant is rounded
//! by, in every step, over as many steps as the state keeps what it has.

use super::code::nearly_one;
use super::values::{Form, Leaf, Polynomial, Values};

/// By state, the part of the way to threshold, which is `distances` in its integers; infinite where nothing decays. `steps` are the assignments
/// of a step, `reset` those of a spike.
pub(super) fn rounding(
    steps: &[(u32, Form)],
    reset: &[(u32, Form)],
    offsets: &[f64],
    scales: &[f64],
    distances: &[f64],
) -> Vec<f64> {
    let mut out = vec![0.0; scales.len()];
    for (state, form) in steps {
        let mut worst = 0.0_f64;
        let (offset, scale) = (offsets[*state as usize], scales[*state as usize]);
        form.each(&mut |p| worst = worst.max(cut_off(*state, p, offset, scale)));
        out[*state as usize] += worst / distances[*state as usize];
    }
    for (state, form) in reset {
        let mut anew = true;
        form.each(&mut |p| anew &= p.0.keys().all(|monomial| !monomial.contains(&Leaf::State(*state))));
        let there = &mut out[*state as usize];
        // What a spike sets anew adds up from spike to spike alone.
        if anew && there.is_infinite() {
            *there = 0.0;
        }
    }
    out
}

/// In integers of the state.
fn cut_off(state: u32, p: &Polynomial, offset: f64, scale: f64) -> f64 {
    let own = [Leaf::State(state)];
    let constant = p.coefficient(&[]).map(|v| (v - offset) * scale);
    let constant = constant.map(|v| if v.abs() < 1e-6 { 0.0 } else { v - v.round() }).largest();
    let products =
        p.0.iter().filter(|(monomial, by)| **monomial != own || !stays(by)).map(|(monomial, _)| monomial.len() as f64);
    let units = constant + products.sum::<f64>();
    let lost = p.coefficient(&own).each.iter().fold(f64::INFINITY, |least: f64, k| least.min((1.0 - k).abs()));
    if units == 0.0 { 0.0 } else { units / lost }
}

/// Whether the code takes it for 1: solvers leave rounding there.
fn stays(by: &Values) -> bool {
    !by.live && by.each.iter().all(|v| nearly_one(*v) == 1.0)
}
