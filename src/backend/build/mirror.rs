//! Both directions of a symmetric projection, with one weight and one delay for each pair.
//!
//! The rule is drawn as ever; of the two directions that all-to-all and random rules give each pair, the one from the lower to the
//! higher cell counts. Listed pairs count as they are listed. Every synapse then stands for both directions.

use super::synapses::{Sink, Synapses};
use crate::backend::engine::RunError;
use crate::connect::Rule;

/// All synapses, ascending in (target, source).
pub(super) struct Mirrored {
    synapses: Vec<Synapse>,
    /// Whether each has a weight and a delay of its own.
    weights: bool,
    delays: bool,
}

#[derive(Clone, Copy)]
struct Synapse {
    post: u32,
    pre: u32,
    weight: f64,
    delay: u32,
}

impl Mirrored {
    /// # Errors
    /// [`RunError::Build`] as of [`Synapses::incoming`], and where a pair is listed in both directions.
    pub(super) fn new(rule: &Synapses) -> Result<Mirrored, RunError> {
        let (plan, projection) = (rule.plan(), rule.projection());
        let listed = matches!(projection.spec.rule, Rule::Pairs { .. });
        let mut out = Mirrored { synapses: vec![], weights: false, delays: false };
        let mut once: Vec<Synapse> = vec![];
        rule.directed(0..plan.posts(), &mut |post, sources, weights, delays| {
            out.weights |= !weights.is_empty();
            out.delays |= !delays.is_empty();
            for (k, pre) in sources.iter().enumerate() {
                if listed || *pre <= post {
                    let weight = weights.get(k).copied().unwrap_or(f64::NAN);
                    once.push(Synapse { post, pre: *pre, weight, delay: delays.get(k).copied().unwrap_or(0) });
                }
            }
        })?;
        for s in &once {
            out.synapses.push(*s);
            if s.pre != s.post {
                out.synapses.push(Synapse { post: s.pre, pre: s.post, ..*s });
            }
        }
        // Stable: several synapses of one pair stay in the order in which they were made.
        out.synapses.sort_by_key(|s| (s.post, s.pre));
        let twice = out.synapses.windows(2).find(|w| (w[0].post, w[0].pre) == (w[1].post, w[1].pre));
        if let Some(pair) = twice
            && !projection.spec.multapses
        {
            let (a, b) = (pair[0].pre.min(pair[0].post), pair[0].pre.max(pair[0].post));
            return Err(RunError::Build(format!(
                "{}: the pair of {a} and {b} is listed twice; a symmetric projection needs each pair once",
                projection.path
            )));
        }
        Ok(out)
    }

    /// The synapses of each target cell in turn.
    pub(super) fn incoming(&self, posts: impl Iterator<Item = u32>, sink: &mut Sink) {
        let (mut pres, mut weights, mut delays) = (vec![], vec![], vec![]);
        for post in posts {
            let start = self.synapses.partition_point(|s| s.post < post);
            let row = self.synapses[start..].iter().take_while(|s| s.post == post);
            pres.clear();
            weights.clear();
            delays.clear();
            for s in row {
                pres.push(s.pre);
                if self.weights {
                    weights.push(s.weight);
                }
                if self.delays {
                    delays.push(s.delay);
                }
            }
            sink(post, &pres, &weights, &delays);
        }
    }
}
