//! The params of a population as numbers: what is derived from others, and what an experiment writes.
//!
//! A `Scalar` param is [`ParamValues::One`] until single cells of it are set; a `PerNeuron` one is always
//! [`ParamValues::Each`]; a derived one is `Each` exactly where something that it reads is.

use crate::backend::engine::{RunError, Setting};
use crate::backend::eval;
use crate::ir::{Derived, Dynamics, Expr, ExprId, ParamKind};
use crate::numerics::matrix;
use crate::script::BinaryOp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The values of one param.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParamValues {
    One(f64),
    /// One for each neuron.
    Each(Vec<f64>),
}

impl ParamValues {
    pub fn at(&self, neuron: u32) -> f64 {
        match self {
            ParamValues::One(v) => *v,
            ParamValues::Each(v) => v[neuron as usize],
        }
    }

    pub fn one(&self) -> Option<f64> {
        match self {
            ParamValues::One(v) => Some(*v),
            ParamValues::Each(_) => None,
        }
    }
}

/// Computes all derived params, in order of what reads what; called when the network is built.
///
/// `dt_ms` is the step. A covariance that has no factor and a matrix that is not finite give NaN, which the first step
/// reports as a state that is not finite.
pub fn derive(dynamics: &Dynamics, dt_ms: f64, params: &mut [ParamValues], size: u32) {
    derive_after(dynamics, dt_ms, params, size, |_| true);
}

/// Computes the derived params that are `stale` or read, directly or not, one that is.
fn derive_after(dynamics: &Dynamics, dt_ms: f64, params: &mut [ParamValues], size: u32, stale: impl Fn(u32) -> bool) {
    let reads: Vec<Vec<u32>> = (0..params.len() as u32).map(|j| dependencies(dynamics, j)).collect();
    // A circle is refused when the network is built; what stands on one has no value to keep.
    let Ok(order) = dependency_order(params.len(), |j| reads[j as usize].clone()) else { return };
    let mut touched = vec![false; params.len()];
    for j in order {
        touched[j as usize] = stale(j) || reads[j as usize].iter().any(|k| touched[*k as usize]);
        if touched[j as usize] {
            derive_group(dynamics, dt_ms, params, size, j);
        }
    }
}

/// Computes the derived param `j` from others that stand, and with it all later ones that come out of the same matrix.
/// Does nothing for a param that is not derived, or not the first of its matrix.
pub(super) fn derive_group(dynamics: &Dynamics, dt_ms: f64, params: &mut [ParamValues], size: u32, j: u32) {
    let ParamKind::Derived(derived) = dynamics.params[j as usize].kind else { return };
    let members = group(dynamics, derived, j);
    // Members read the same params, so none of them stands before the first in the order.
    if members.first() != Some(&j) {
        return;
    }
    let reads = dependencies(dynamics, j);
    let work = Derivation::new(dynamics, &members, dt_ms);
    let mut scratch = vec![];
    if reads.iter().all(|k| params[*k as usize].one().is_some()) {
        let values = work.compute(&mut scratch, &|k| params[k as usize].at(0));
        for (member, value) in members.iter().zip(values) {
            params[*member as usize] = ParamValues::One(value);
        }
        return;
    }
    let mut each: Vec<Vec<f64>> = vec![Vec::with_capacity(size as usize); members.len()];
    // Neighbours with the same coefficients share one computation: blocks of equal neurons cost one exponential.
    let mut before: Vec<u64> = vec![];
    let mut values = vec![];
    for neuron in 0..size {
        let now: Vec<u64> = reads.iter().map(|k| params[*k as usize].at(neuron).to_bits()).collect();
        if neuron == 0 || now != before {
            values = work.compute(&mut scratch, &|k| params[k as usize].at(neuron));
            before = now;
        }
        each.iter_mut().zip(&values).for_each(|(list, value)| list.push(*value));
    }
    for (member, list) in members.iter().zip(each) {
        params[*member as usize] = ParamValues::Each(list);
    }
}

/// The params that come out of one computation with `derived`, the kind of param `j`; ascending.
fn group(dynamics: &Dynamics, derived: Derived, j: u32) -> Vec<u32> {
    let matrix = |derived: Derived| match derived {
        Derived::Expr(_) => None,
        Derived::Propagator { system, .. } | Derived::Integral { system, .. } => Some((system, false)),
        Derived::Noise { system, .. } => Some((system, true)),
    };
    if matrix(derived).is_none() {
        return vec![j];
    }
    let same = |kind: ParamKind| matches!(kind, ParamKind::Derived(other) if matrix(other) == matrix(derived));
    (0..).zip(&dynamics.params).filter(|(_, p)| same(p.kind)).map(|(k, _)| k).collect()
}

/// A group of derived values with the expressions behind them, in the order of their evaluation.
struct Derivation<'d> {
    dynamics: &'d Dynamics,
    dt_ms: f64,
    members: Vec<Derived>,
    order: Vec<ExprId>,
}

impl<'d> Derivation<'d> {
    fn new(dynamics: &'d Dynamics, members: &[u32], dt_ms: f64) -> Derivation<'d> {
        let members: Vec<Derived> = members
            .iter()
            .filter_map(|k| match dynamics.params[*k as usize].kind {
                ParamKind::Derived(derived) => Some(derived),
                ParamKind::Scalar(_) | ParamKind::PerNeuron(_) => None,
            })
            .collect();
        let needed: Vec<ExprId> = members.first().map_or_else(Vec::new, |derived| roots(dynamics, *derived));
        Derivation { dynamics, dt_ms, members, order: eval::order(&dynamics.exprs, &needed) }
    }

    /// One value for each member; `param` answers for one neuron.
    fn compute(&self, scratch: &mut Vec<f64>, param: &dyn Fn(u32) -> f64) -> Vec<f64> {
        eval::evaluate(&self.dynamics.exprs, &self.order, scratch, &mut |e, _| match e {
            Expr::Param(k) => param(*k),
            // Nothing else is known before the first step.
            _ => f64::NAN,
        });
        let numbers = |ids: &[ExprId]| -> Vec<f64> { ids.iter().map(|id| scratch[id.0 as usize]).collect() };
        let system = |k: u32| &self.dynamics.systems[k as usize];
        let (mut propagator, mut integral, mut factor) = (vec![], vec![], vec![]);
        match self.members.first() {
            Some(Derived::Propagator { system: k, .. } | Derived::Integral { system: k, .. }) => {
                let s = system(*k);
                (propagator, integral) = matrix::propagator(&numbers(&s.a), s.n as usize, self.dt_ms * s.span);
            }
            Some(Derived::Noise { system: k, .. }) => {
                let s = system(*k);
                let (n, m) = (s.n as usize, s.m as usize);
                let covariance = matrix::noise_covariance(&numbers(&s.a), n, &numbers(&s.g), m, self.dt_ms * s.span);
                factor = matrix::cholesky(&covariance, n).unwrap_or_default();
            }
            Some(Derived::Expr(_)) | None => {}
        }
        let entry = |matrix: &[f64], k: u32, row: u32, column: u32| {
            matrix.get(row as usize * system(k).n as usize + column as usize).copied().unwrap_or(f64::NAN)
        };
        let value = |derived: &Derived| match *derived {
            Derived::Expr(id) => scratch[id.0 as usize],
            Derived::Propagator { system: k, row, column } => entry(&propagator, k, row, column),
            Derived::Integral { system: k, row, column } => entry(&integral, k, row, column),
            Derived::Noise { system: k, row, column } => entry(&factor, k, row, column),
        };
        self.members.iter().map(value).collect()
    }
}

/// The expressions that a derived param needs; the same for all of one group.
fn roots(dynamics: &Dynamics, derived: Derived) -> Vec<ExprId> {
    let system = |k: u32| &dynamics.systems[k as usize];
    match derived {
        Derived::Expr(id) => vec![id],
        Derived::Propagator { system: k, .. } | Derived::Integral { system: k, .. } => system(k).a.clone(),
        Derived::Noise { system: k, .. } => system(k).a.iter().chain(&system(k).g).copied().collect(),
    }
}

/// The params that a derived param reads, ascending; none for the others.
pub(super) fn dependencies(dynamics: &Dynamics, j: u32) -> Vec<u32> {
    let ParamKind::Derived(derived) = dynamics.params[j as usize].kind else { return vec![] };
    let mut reads: Vec<u32> = eval::order(&dynamics.exprs, &roots(dynamics, derived))
        .into_iter()
        .filter_map(|id| match dynamics.exprs.get(id) {
            Expr::Param(k) => Some(*k),
            _ => None,
        })
        .collect();
    reads.sort_unstable();
    reads.dedup();
    reads
}

/// Params with all that is derived from them, directly or not.
pub fn followers(dynamics: &Dynamics, of: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut out = of.clone();
    loop {
        let n = out.len();
        let all = 0..dynamics.params.len() as u32;
        let more: Vec<u32> = all.filter(|j| dependencies(dynamics, *j).iter().any(|k| out.contains(k))).collect();
        out.extend(more);
        if out.len() == n {
            return out;
        }
    }
}

/// An order in which each of `0 .. n` stands after what it reads, ties by position; else those that no order can place.
pub(super) fn dependency_order(n: usize, reads: impl Fn(u32) -> Vec<u32>) -> Result<Vec<u32>, Vec<u32>> {
    let mut missing: Vec<usize> = vec![0; n];
    let mut readers: Vec<Vec<u32>> = vec![vec![]; n];
    for j in 0..n as u32 {
        for k in reads(j) {
            readers[k as usize].push(j);
            missing[j as usize] += 1;
        }
    }
    let mut ready: BTreeSet<u32> = (0..n as u32).filter(|j| missing[*j as usize] == 0).collect();
    let mut order = Vec::with_capacity(n);
    while let Some(j) = ready.pop_first() {
        order.push(j);
        for reader in &readers[j as usize] {
            missing[*reader as usize] -= 1;
            if missing[*reader as usize] == 0 {
                ready.insert(*reader);
            }
        }
    }
    if order.len() == n { Ok(order) } else { Err((0..n as u32).filter(|j| missing[*j as usize] > 0).collect()) }
}

/// Writes a settable param and computes again what is derived from it.
///
/// A param with one value for all gets one for each as soon as they can differ.
///
/// # Errors
/// [`RunError::Script`] (without a place) where the param is no settable one, a cell is out of range, the numbers of
/// cells and values differ, or the operator is no arithmetic one. Nothing is written then.
pub fn apply(
    dynamics: &Dynamics,
    dt_ms: f64,
    params: &mut [ParamValues],
    size: u32,
    setting: &Setting,
) -> Result<(), RunError> {
    let refuse = |message: String| Err(RunError::Script { place: String::new(), message, help: None });
    let j = setting.param as usize;
    let Some(param) = dynamics.params.get(j) else {
        return refuse(format!("there is no param {j} to set"));
    };
    if !param.settable || matches!(param.kind, ParamKind::Derived(_)) {
        return refuse(format!("the param {} is fixed when the circuit is built", param.name));
    }
    if let Some(cell) = setting.cells.iter().flatten().find(|cell| **cell >= size) {
        return refuse(format!("the param {} has {size} cells: there is no cell {cell}", param.name));
    }
    let cells = setting.cells.as_ref().map_or(size as usize, Vec::len);
    if setting.values.len() != 1 && setting.values.len() != cells {
        return refuse(format!("{} values for {cells} cells of the param {}", setting.values.len(), param.name));
    }
    let operate: fn(f64, f64) -> f64 = match setting.op {
        None => |_, new| new,
        Some(BinaryOp::Add) => |old, by| old + by,
        Some(BinaryOp::Sub) => |old, by| old - by,
        Some(BinaryOp::Mul) => |old, by| old * by,
        Some(BinaryOp::Div) => |old, by| old / by,
        Some(op) => return refuse(format!("{op:?} cannot change the param {}", param.name)),
    };
    let one_for_all = setting.cells.is_none() && setting.values.len() == 1;
    match &mut params[j] {
        ParamValues::One(v) if one_for_all => *v = operate(*v, setting.values[0]),
        values => {
            if let ParamValues::One(v) = values {
                *values = ParamValues::Each(vec![*v; size as usize]);
            }
            if let ParamValues::Each(each) = values {
                let by = |k: usize| if setting.values.len() == 1 { setting.values[0] } else { setting.values[k] };
                match &setting.cells {
                    None => each.iter_mut().enumerate().for_each(|(k, v)| *v = operate(*v, by(k))),
                    Some(cells) => {
                        for (k, cell) in cells.iter().enumerate() {
                            let v = &mut each[*cell as usize];
                            *v = operate(*v, by(k));
                        }
                    }
                }
            }
        }
    }
    derive_after(dynamics, dt_ms, params, size, |k| k == setting.param);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::dynamics;
    use super::*;
    use crate::ir::{Param, System};
    use crate::units::Dimension;

    fn param(name: &str, kind: ParamKind) -> Param {
        Param { name: name.into(), dimension: Dimension::NUMBER, kind, settable: true, bounds: None }
    }

    /// A one-dimensional system of time constant tau that is advanced by half of dt; twice its propagator stands before
    /// what it reads.
    fn decay() -> Dynamics {
        let mut d = dynamics();
        let tau = d.exprs.intern(Expr::Param(1));
        let one = d.exprs.real(-1.0);
        let a = d.exprs.div(one, tau);
        let g = d.exprs.real(2.0);
        let doubled = d.exprs.intern(Expr::Param(2));
        let doubled = d.exprs.add(doubled, doubled);
        d.systems = vec![System { a: vec![a], g: vec![g], n: 1, m: 1, span: 0.5 }];
        d.params = vec![
            param("twice", ParamKind::Derived(Derived::Expr(doubled))),
            param("tau", ParamKind::Scalar(10.0)),
            param("P", ParamKind::Derived(Derived::Propagator { system: 0, row: 0, column: 0 })),
            param("Phi", ParamKind::Derived(Derived::Integral { system: 0, row: 0, column: 0 })),
            param("L", ParamKind::Derived(Derived::Noise { system: 0, row: 0, column: 0 })),
        ];
        d
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-13 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn derived_params_follow_what_they_read() {
        let d = decay();
        let mut params = vec![ParamValues::One(f64::NAN); 5];
        params[1] = ParamValues::One(10.0);
        derive(&d, 1.0, &mut params, 3);
        let p = (-0.05_f64).exp();
        close(params[0].one().unwrap(), 2.0 * p);
        close(params[3].one().unwrap(), 10.0 * (1.0 - p));
        close(params[4].one().unwrap(), (4.0 * 10.0 / 2.0 * (1.0 - p * p)).sqrt());

        let setting =
            Setting { population: 0, param: 1, cells: Some(vec![2]), op: Some(BinaryOp::Mul), values: vec![2.0] };
        apply(&d, 1.0, &mut params, 3, &setting).unwrap();
        assert_eq!(params[1], ParamValues::Each(vec![10.0, 10.0, 20.0]));
        let ParamValues::Each(twice) = &params[0] else { panic!("still one value") };
        close(twice[1], 2.0 * p);
        close(twice[2], 2.0 * (-0.025_f64).exp());
    }

    #[test]
    fn wrong_settings_change_nothing() {
        let mut d = decay();
        d.params.push(Param { settable: false, ..param("fixed", ParamKind::Scalar(1.0)) });
        let mut params = vec![ParamValues::One(1.0); 6];
        let before = params.clone();
        let good = Setting { population: 0, param: 1, cells: None, op: None, values: vec![2.0] };
        for bad in [
            Setting { param: 9, ..good.clone() },
            Setting { param: 2, ..good.clone() },
            Setting { param: 5, ..good.clone() },
            Setting { cells: Some(vec![3]), ..good.clone() },
            Setting { values: vec![1.0, 2.0], ..good.clone() },
            Setting { values: vec![], ..good.clone() },
            Setting { op: Some(BinaryOp::Lt), ..good.clone() },
        ] {
            assert!(apply(&d, 1.0, &mut params, 3, &bad).is_err(), "{bad:?}");
            assert_eq!(params, before);
        }
        apply(&d, 1.0, &mut params, 3, &good).unwrap();
        assert_eq!(params[1], ParamValues::One(2.0));
    }

    #[test]
    fn a_circle_has_no_order() {
        let reads = |j: u32| match j {
            0 => vec![1],
            1 => vec![2],
            2 => vec![1],
            _ => vec![],
        };
        assert_eq!(dependency_order(4, reads), Err(vec![0, 1, 2]));
        assert_eq!(dependency_order(3, |j| if j == 0 { vec![2] } else { vec![] }), Ok(vec![1, 2, 0]));
    }
}
