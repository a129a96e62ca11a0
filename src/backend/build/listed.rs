//! The synapses of a projection one by one, for whoever takes a circuit elsewhere.

use super::{Elements, ParamValues, PopulationElements, SynapsePlan};
use crate::backend::RunError;
use crate::backend::eval;
use crate::ir::{Delay, Expr, Network, Population, Projection, ProjectionId, Weight};

/// A synapse with its weight at arrival, and its delay in steps.
pub struct Listed {
    pub pre: u32,
    pub post: u32,
    pub weight: f64,
    pub delay: u32,
}

/// The gain of a projection at each of its targets; no number where it changes while the circuit runs.
pub fn gains(p: &Projection, target: &Population, built: &PopulationElements) -> Vec<f64> {
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
///
/// # Errors
/// [`RunError::Build`] where a weight or a delay can't be computed.
pub fn list(
    network: &Network,
    elements: &Elements,
    id: ProjectionId,
    plan: &SynapsePlan<'_>,
) -> Result<Vec<Listed>, RunError> {
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
            out.push(Listed { pre: *pre, post, weight: weight * gain, delay });
        }
    })?;
    Ok(out)
}
