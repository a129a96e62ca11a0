//! Both directions of a symmetric projection, with one weight and one delay for each pair.
//!
//! The rule is drawn as ever; of the two directions that all-to-all and random rules give each pair, the one from the lower to the
//! higher cell counts. Listed pairs count as they are listed. Every synapse then stands for both directions.

use super::by_target::{ByTarget, Synapse};
use super::synapses::Synapses;
use crate::backend::engine::RunError;
use crate::connect::Rule;

/// # Errors
/// [`RunError::Build`] as of [`Synapses::incoming`], and where a pair is listed in both directions.
pub(super) fn mirrored(rule: &Synapses) -> Result<ByTarget, RunError> {
    let (plan, projection) = (rule.plan(), rule.projection());
    let listed = matches!(projection.spec.rule, Rule::Pairs { .. });
    let (mut with_weights, mut with_delays) = (false, false);
    let mut once: Vec<Synapse> = vec![];
    rule.directed(0..plan.posts(), &mut |post, sources, weights, delays| {
        with_weights |= !weights.is_empty();
        with_delays |= !delays.is_empty();
        for (k, pre) in sources.iter().enumerate() {
            if listed || *pre <= post {
                let weight = weights.get(k).copied().unwrap_or(f64::NAN);
                once.push(Synapse { post, pre: *pre, weight, delay: delays.get(k).copied().unwrap_or(0) });
            }
        }
    })?;
    let mut both = Vec::with_capacity(2 * once.len());
    for s in once {
        both.push(s);
        if s.pre != s.post {
            both.push(Synapse { post: s.pre, pre: s.post, ..s });
        }
    }
    let out = ByTarget::new(both, with_weights, with_delays);
    if let Some(pair) = out.repeated()
        && !projection.spec.multapses
    {
        let (a, b) = (pair.pre.min(pair.post), pair.pre.max(pair.post));
        return Err(RunError::Build(format!(
            "{}: the pair of {a} and {b} is listed twice; a symmetric projection needs each pair once",
            projection.path
        )));
    }
    Ok(out)
}
