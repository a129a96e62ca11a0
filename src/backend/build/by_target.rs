//! Synapses that are known only all together, sorted by target.

use super::synapses::Sink;

/// All synapses of a projection, ascending in (target, source).
#[derive(Default)]
pub(super) struct ByTarget {
    synapses: Vec<Synapse>,
    /// Whether each has a weight and a delay of its own.
    weights: bool,
    delays: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Synapse {
    pub(super) post: u32,
    pub(super) pre: u32,
    pub(super) weight: f64,
    pub(super) delay: u32,
}

impl ByTarget {
    /// From synapses in any order; those of one pair stay in theirs. Weights and delays are read where each has its own.
    pub(super) fn new(mut synapses: Vec<Synapse>, weights: bool, delays: bool) -> ByTarget {
        // Stable, for the synapses of one pair.
        synapses.sort_by_key(|s| (s.post, s.pre));
        ByTarget { synapses, weights, delays }
    }

    /// The first pair that has several synapses.
    pub(super) fn repeated(&self) -> Option<Synapse> {
        let same = |w: &&[Synapse]| (w[0].post, w[0].pre) == (w[1].post, w[1].pre);
        self.synapses.windows(2).find(same).map(|pair| pair[0])
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
