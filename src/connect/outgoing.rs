//! Rows by source: the targets of one source, made whenever they are asked for, for rules that can draw them alone.
//!
//! A row is drawn in blocks of targets, each from a stream of its own, so that whoever needs some of the targets draws
//! little more than these. Whether a pair is a candidate is asked after the draw, which changes nothing of what is
//! drawn for the others.

use super::ends::{Choice, Ends, OwnCell};
use super::error::ConnectError;
use super::rule::{Rule, Spec};
use crate::random::{Room, Stream, StreamKey};
use std::ops::Range;

/// Synapses that a block of a random row holds on average, at least; twice as many at most. A block of fewer wastes much
/// of the words that a stream makes at once, one of more is drawn in vain where a thread's targets end within it.
const BLOCK: f64 = 128.0;

/// Targets of a block where all are connected.
const WHOLE: u32 = 1024;

/// A rule that makes the row of each source on its own. May be shared between threads; each brings its own [`Scratch`].
pub struct Outgoing<'a> {
    kind: Kind,
    ends: Ends<'a>,
    /// Finds a source's own cell among the targets.
    own: OwnCell<'a>,
    filter: Option<&'a (dyn Fn(u32, u32) -> bool + Sync)>,
    key: StreamKey,
}

#[derive(Clone, Copy)]
enum Kind {
    All,
    /// Each target of a block with probability `p`; a block has `block` targets.
    Each {
        p: f64,
        block: u32,
    },
    Fixed {
        k: u32,
        multapses: bool,
    },
}

/// Room for a row.
#[derive(Default)]
pub struct Scratch {
    targets: Vec<u32>,
    room: Room,
}

impl<'a> Outgoing<'a> {
    /// `filter` says which pairs (source position, target position) are candidates; it must be `None` where out-degrees are fixed.
    /// `None` where the rule draws the sources of a target, so that a row can't be made alone.
    ///
    /// # Errors
    /// If the rule cannot be carried out; see [`ConnectError`].
    pub fn prepare(
        spec: &Spec,
        ends: Ends<'a>,
        filter: Option<&'a (dyn Fn(u32, u32) -> bool + Sync)>,
        key: StreamKey,
    ) -> Result<Option<Outgoing<'a>>, ConnectError> {
        let own = OwnCell::new(Ends { pre: ends.post, post: ends.pre, ..ends }, spec.autapses);
        let kind = match spec.rule {
            Rule::AllToAll => Kind::All,
            Rule::Bernoulli { p } => {
                if !(0.0..=1.0).contains(&p) {
                    return Err(ConnectError::Probability { p });
                }
                let wanted = (BLOCK / p).min(f64::from(1_u32 << 31)) as u32;
                Kind::Each { p, block: wanted.next_power_of_two() }
            }
            Rule::FixedOutdegree { k } if filter.is_none() => Kind::Fixed { k, multapses: spec.multapses },
            _ => return Ok(None),
        };
        let outgoing = Outgoing { kind, ends, own, filter, key };
        outgoing.check()?;
        Ok(Some(outgoing))
    }

    fn check(&self) -> Result<(), ConnectError> {
        let Kind::Fixed { k, multapses } = self.kind else { return Ok(()) };
        let least = if multapses { k.min(1) } else { k };
        for pre in 0..self.ends.pre.len() {
            let candidates = self.choice(pre).count;
            if candidates < least {
                return Err(ConnectError::OutdegreeTooLarge { k, candidates, pre });
            }
        }
        Ok(())
    }

    fn choice(&self, pre: u32) -> Choice<'static> {
        Choice::new(None, self.ends.post.len(), self.own.of(pre))
    }

    /// Calls `sink` with the targets of the source at position `pre` that lie in `posts`, by position and ascending, in one or
    /// more parts. With each goes a number for its first synapse; those of a part count on from there. The number of a
    /// synapse does not depend on `posts`, and no two of a row share one.
    pub fn row(&self, pre: u32, posts: Range<u32>, scratch: &mut Scratch, sink: &mut impl FnMut(u64, &[u32])) {
        let n = self.ends.post.len();
        let posts = posts.start..posts.end.min(n);
        if posts.is_empty() {
            return;
        }
        let block = match self.kind {
            Kind::All => WHOLE,
            Kind::Each { block, .. } => block,
            Kind::Fixed { k, multapses } => {
                let mut stream = Stream::new(self.key, u64::from(pre));
                let (choice, targets) = (self.choice(pre), &mut scratch.targets);
                if multapses {
                    stream.sample_with_replacement_sorted(choice.count, k, targets, &mut scratch.room);
                } else {
                    stream.sample_sorted(choice.count, k, targets, &mut scratch.room);
                }
                choice.resolve(targets);
                within(targets, 0, &posts, sink);
                return;
            }
        };
        let own = self.own.of(pre);
        for b in posts.start / block..=(posts.end - 1) / block {
            let first = b * block;
            let length = block.min(n - first);
            let targets = &mut scratch.targets;
            if let Kind::Each { p, .. } = self.kind {
                let mut stream = Stream::new(self.key, u64::from(pre) << 32 | u64::from(b));
                stream.bernoulli_indices(length, p, targets, &mut scratch.room);
                targets.iter_mut().for_each(|t| *t += first);
            } else {
                targets.clear();
                targets.extend(first..first + length);
            }
            if let Some(own) = own
                && let Ok(at) = targets.binary_search(&own)
            {
                targets.remove(at);
            }
            if let Some(filter) = self.filter {
                targets.retain(|t| filter(pre, *t));
            }
            within(targets, first.into(), &posts, sink);
        }
    }
}

/// Gives the ascending `targets` that lie in `posts`; the first of all has the number `number`.
fn within(targets: &[u32], number: u64, posts: &Range<u32>, sink: &mut impl FnMut(u64, &[u32])) {
    // Mostly all of them do.
    let from = if targets.first() >= Some(&posts.start) { 0 } else { targets.partition_point(|t| *t < posts.start) };
    let to =
        if targets.last() < Some(&posts.end) { targets.len() } else { targets.partition_point(|t| *t < posts.end) };
    if from < to {
        sink(number + from as u64, &targets[from..to]);
    }
}
