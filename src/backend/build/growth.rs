//! Synapses that go while the network runs, and those that come in their place.
//!
//! New synapses are drawn per target from the step and the target alone, among what its own synapses leave, so any split of the
//! targets over threads gives the same ones.

use super::lanes::positions;
use super::{Elements, Lanes, SynapsePlan};
use crate::backend::engine::RunError;
use crate::connect::Rule;
use crate::ir::Network;
use crate::ir::plasticity::Plasticity;
use crate::random::{Purpose, Room, Stream, StreamKey};
use crate::runtime::Indices;
use std::ops::Range;

/// Where a range's targets may get new synapses from.
pub struct Growth {
    /// Synapses of each target as built; empty where none come back.
    indegree: Vec<u32>,
    pool: Pool,
    /// Two cells may have several synapses.
    multapses: bool,
    key: StreamKey,
    /// First target of the range.
    lo: u32,
    /// Lanes and targets of the synapses as built, in that order, where lanes can't be told by their presynaptic neuron.
    built: Vec<(u32, u32)>,
}

/// Sources that the projection's rule allows.
enum Pool {
    /// All of these, but for the target itself where `own` is left out.
    All { sources: Vec<u32>, own: bool },
    /// Those of target j: `list[starts[j] .. starts[j + 1]]`, 4 bytes for each candidate pair.
    Lists { starts: Vec<usize>, list: Vec<u32> },
}

/// Synapses in a new order, along with where each was before; `None` for those that have just come.
pub struct Rewired {
    pub lanes: Lanes,
    pub from: Vec<Option<u32>>,
}

impl Growth {
    /// For a rule whose synapses can go; `lanes` are those of the range as built.
    ///
    /// # Errors
    /// [`RunError::Build`] where the projection's candidates can't be found.
    pub fn new(
        network: &Network,
        elements: &Elements,
        rule: &Plasticity,
        seed: u64,
        range: Range<u32>,
        lanes: &Lanes,
    ) -> Result<Option<Growth>, RunError> {
        if rule.remove.is_none() {
            return Ok(None);
        }
        let projection = &network.graph[rule.projection];
        let key = StreamKey::new(seed, &format!("{}.regrow", projection.path), Purpose::Connect);
        let mut out = Growth {
            indegree: Vec::new(),
            pool: Pool::All { sources: Vec::new(), own: true },
            multapses: projection.spec.multapses,
            key,
            lo: range.start,
            built: Vec::new(),
        };
        if rule.regrow.is_none() {
            out.built = lanes.of_synapses().into_iter().zip(lanes.targets.iter()).collect();
            return Ok(Some(out));
        }
        out.indegree = vec![0; (range.end - range.start) as usize];
        lanes.targets.iter().for_each(|t| out.indegree[t as usize] += 1);
        let plan = SynapsePlan::regrown(network, elements, rule.projection, seed)?;
        let listed = matches!(projection.spec.rule, Rule::OneToOne | Rule::Pairs { .. });
        if projection.filter.is_none() && !listed {
            out.pool = Pool::All { sources: plan.pres().collect(), own: !plan.without_self() };
            return Ok(Some(out));
        }
        let posts = positions(&projection.post, plan.target().1.size, range.start, range.end);
        let (mut starts, mut list) = (vec![0; out.indegree.len() + 1], Vec::new());
        let mut next = 0;
        plan.expand()?.candidates(posts, &mut |post, sources| {
            let target = (post - range.start) as usize;
            starts[next..=target].fill(list.len());
            next = target + 1;
            list.extend_from_slice(sources);
        })?;
        starts[next..].fill(list.len());
        out.pool = Pool::Lists { starts, list };
        Ok(Some(out))
    }

    /// The synapses at the end of `now` steps, without those that go and with those that come; `None` if none does either.
    pub fn rewired(&self, lanes: &Lanes, goes: &dyn Fn(u32) -> bool, now: u64) -> Option<Rewired> {
        let count = lanes.targets.len();
        // Most turns change nothing.
        if self.indegree.iter().sum::<u32>() as usize <= count && !(0..count as u32).any(goes) {
            return None;
        }
        let lane_of = lanes.of_synapses();
        let mut all: Vec<(u32, u32, Option<u32>)> = Vec::with_capacity(lane_of.len());
        for ((k, lane), target) in (0..).zip(lane_of).zip(lanes.targets.iter()) {
            if !goes(k) {
                all.push((lane, target, Some(k)));
            }
        }
        let kept = all.len();
        if !self.indegree.is_empty() {
            self.grow(lanes, now, &mut all);
        }
        if kept == count && all.len() == kept {
            return None;
        }
        // Stable: of several synapses between two cells the older come first.
        all.sort_by_key(|(lane, target, _)| (*lane, *target));
        Some(ordered(lanes, &all))
    }

    /// Draws what is missing.
    fn grow(&self, lanes: &Lanes, now: u64, all: &mut Vec<(u32, u32, Option<u32>)>) {
        let neurons = lanes.neurons();
        let mut present: Vec<Vec<u32>> = vec![Vec::new(); self.indegree.len()];
        for (lane, target, _) in all.iter() {
            present[*target as usize].push(neurons[*lane as usize]);
        }
        let (mut free, mut drawn, mut room) = (Vec::new(), Vec::new(), Room::default());
        for ((target, have), wanted) in (0..).zip(&present).zip(&self.indegree) {
            let missing = wanted.saturating_sub(have.len() as u32);
            if missing == 0 {
                continue;
            }
            self.candidates(target, have, &mut free);
            let mut stream = Stream::new(self.key.derive(now), u64::from(self.lo + target));
            let n = free.len() as u32;
            if self.multapses && n > 0 {
                stream.sample_with_replacement_sorted(n, missing, &mut drawn, &mut room);
            } else {
                stream.sample_sorted(n, missing.min(n), &mut drawn, &mut room);
            }
            all.extend(drawn.iter().map(|k| (lanes.sources[free[*k as usize] as usize], target, None)));
        }
    }

    /// Sources that a target may get a synapse from, ascending; `have` are those it has one from, ascending.
    fn candidates(&self, target: u32, have: &[u32], free: &mut Vec<u32>) {
        free.clear();
        let (allowed, own) = match &self.pool {
            Pool::All { sources, own } => (&sources[..], *own),
            Pool::Lists { starts, list } => (&list[starts[target as usize]..starts[target as usize + 1]], true),
        };
        let cell = self.lo + target;
        let taken = |pre: u32| !self.multapses && have.binary_search(&pre).is_ok();
        free.extend(allowed.iter().copied().filter(|pre| (own || *pre != cell) && !taken(*pre)));
    }

    /// The given synapses, (presynaptic neuron, target in the range) in that order; those that are there keep what they have. `None`
    /// where one of them can't be.
    pub fn restored(&self, lanes: &Lanes, edges: &[(u32, u32)]) -> Option<Rewired> {
        let neurons = lanes.neurons();
        let mut wanted: Vec<(u32, u32)> = Vec::with_capacity(edges.len());
        if self.indegree.is_empty() {
            // Each is one of those that were built, in their order.
            let mut built: Vec<(u32, u32, u32)> =
                self.built.iter().map(|(lane, target)| (neurons[*lane as usize], *target, *lane)).collect();
            built.sort_unstable();
            let mut at = built.iter();
            for edge in edges {
                let (_, target, lane) = at.by_ref().find(|(pre, target, _)| (*pre, *target) == *edge)?;
                wanted.push((*lane, *target));
            }
        } else {
            for (pre, target) in edges {
                let known = (*target as usize) < self.indegree.len() && (*pre as usize) + 1 < lanes.sources.len();
                wanted.push((*lanes.sources.get(*pre as usize).filter(|_| known)?, *target));
            }
        }
        wanted.sort_unstable();
        let mut there = lanes.of_synapses().into_iter().zip(lanes.targets.iter()).zip(0_u32..).peekable();
        let all: Vec<(u32, u32, Option<u32>)> = wanted
            .into_iter()
            .map(|key| {
                while there.next_if(|(at, _)| *at < key).is_some() {}
                (key.0, key.1, there.next_if(|(at, _)| *at == key).map(|(_, k)| k))
            })
            .collect();
        Some(ordered(lanes, &all))
    }
}

/// Lanes with the given synapses, in order of (lane, target).
fn ordered(lanes: &Lanes, all: &[(u32, u32, Option<u32>)]) -> Rewired {
    let mut starts = vec![0_u32; lanes.starts.len()];
    all.iter().for_each(|(lane, ..)| starts[*lane as usize + 1] += 1);
    for k in 1..starts.len() {
        starts[k] += starts[k - 1];
    }
    Rewired {
        lanes: Lanes {
            sources: lanes.sources.clone(),
            delays: lanes.delays.clone(),
            starts,
            targets: Indices::of(lanes.targets.is_narrow(), all.iter().map(|(_, target, _)| *target)),
            weights: Vec::new(),
        },
        from: all.iter().map(|(.., from)| *from).collect(),
    }
}
