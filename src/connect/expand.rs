//! From a rule to synapses.

use super::ends::{Candidates, Choice, Ends, OwnCell, Pool};
use super::error::ConnectError;
use super::rule::{Rule, Spec};
use crate::random::{Room, Stream, StreamKey};
use std::ops::Range;

/// A rule made ready for its ends: everything that concerns more than one target is drawn, the rest is drawn in
/// [`Expansion::incoming`]. May be shared between threads.
pub struct Expansion<'a> {
    rule: &'a Rule,
    multapses: bool,
    ends: Ends<'a>,
    own: OwnCell<'a>,
    pool: Pool<'a>,
    key: StreamKey,
    drawn: Drawn,
}

/// Takes the synapses of one target: its position, the positions of its sources in ascending order, and for listed pairs
/// the number of the edge behind each synapse.
pub type Sink<'a> = dyn FnMut(u32, &[u32], Option<&[u32]>) + 'a;

/// The sources of one target, by position.
pub enum Sources<'s> {
    /// Ascending.
    Listed(&'s [u32]),
    /// A bit for each of all, in words of 64, the lowest in the first.
    Marked(&'s [u64]),
}

/// What was drawn beforehand.
enum Drawn {
    Nothing,
    /// Synapses of each target.
    Counts(Vec<u32>),
    /// All synapses.
    Rows(Rows),
}

/// Synapses by target: those of target j are `starts[j] .. starts[j + 1]`.
struct Rows {
    starts: Vec<usize>,
    sources: Vec<u32>,
    /// The listed edge behind each synapse, for listed pairs.
    edges: Option<Vec<u32>>,
}

impl<'a> Expansion<'a> {
    /// Checks a rule against its ends and draws what concerns several targets at once.
    ///
    /// With a filter but no class this asks the filter for every pair, where the rule has to know how many candidates
    /// there are (fixed degrees and totals).
    ///
    /// # Errors
    /// If the rule cannot be carried out; see [`ConnectError`].
    pub fn prepare(
        spec: &'a Spec,
        ends: Ends<'a>,
        candidates: Candidates<'a>,
        key: StreamKey,
    ) -> Result<Expansion<'a>, ConnectError> {
        let mut expansion = Expansion {
            rule: &spec.rule,
            multapses: spec.multapses,
            ends,
            own: OwnCell::new(ends, spec.autapses),
            pool: Pool::new(&ends, &candidates),
            key,
            drawn: Drawn::Nothing,
        };
        expansion.drawn = match &spec.rule {
            Rule::AllToAll => Drawn::Nothing,
            Rule::OneToOne => {
                let (pre, post) = (ends.pre.len(), ends.post.len());
                if pre != post {
                    return Err(ConnectError::SizesDiffer { pre, post });
                }
                Drawn::Nothing
            }
            Rule::Bernoulli { p } => {
                if !(0.0..=1.0).contains(p) {
                    return Err(ConnectError::Probability { p: *p });
                }
                Drawn::Nothing
            }
            Rule::FixedIndegree { k } => {
                expansion.check_indegree(*k)?;
                Drawn::Nothing
            }
            Rule::FixedOutdegree { k } => Drawn::Rows(expansion.draw_outdegree(*k)?),
            Rule::FixedTotalNumber { n } => Drawn::Counts(expansion.draw_counts(*n)?),
            Rule::Pairs { pre, post } => Drawn::Rows(expansion.sort_pairs(pre, post)?),
        };
        Ok(expansion)
    }

    /// Calls `sink` for every target of `posts` in order, also for those without synapses. Targets beyond the end of the
    /// projection are left out.
    pub fn incoming(&self, posts: Range<u32>, sink: &mut Sink<'_>) {
        let (mut sources, mut room, mut list) = (Vec::new(), Room::default(), Vec::new());
        for post in posts.start..posts.end.min(self.ends.post.len()) {
            if let Drawn::Rows(rows) = &self.drawn {
                let row = rows.starts[post as usize]..rows.starts[post as usize + 1];
                sink(post, &rows.sources[row.clone()], rows.edges.as_ref().map(|edges| &edges[row]));
                continue;
            }
            if let Rule::OneToOne = self.rule {
                sink(post, self.partner(post).as_slice(), None);
                continue;
            }
            let choice = self.choice(post, &mut list);
            let mut stream = Stream::new(self.key, u64::from(post));
            match (self.rule, &self.drawn) {
                (Rule::Bernoulli { p }, _) => stream.bernoulli_indices(choice.count, *p, &mut sources, &mut room),
                (Rule::FixedIndegree { k }, _) => {
                    self.draw_sources(&mut stream, choice.count, *k, &mut sources, &mut room);
                }
                (_, Drawn::Counts(counts)) => {
                    let count = counts[post as usize];
                    self.draw_sources(&mut stream, choice.count, count, &mut sources, &mut room);
                }
                _ => {
                    sources.clear();
                    sources.extend(0..choice.count);
                }
            }
            choice.resolve(&mut sources);
            sink(post, &sources, None);
        }
    }

    /// As [`Expansion::incoming`], but sources that are marked as they are drawn are not listed.
    pub fn marked(&self, posts: Range<u32>, sink: &mut dyn FnMut(u32, Sources)) {
        let (Rule::FixedIndegree { k }, Pool::All, false) = (self.rule, &self.pool, self.multapses) else {
            return self.incoming(posts, &mut |post, sources, _| sink(post, Sources::Listed(sources)));
        };
        let (mut sources, mut room) = (Vec::new(), Room::default());
        for post in posts.start..posts.end.min(self.ends.post.len()) {
            let choice = Choice::new(None, self.ends.pre.len(), self.own.of(post));
            let mut stream = Stream::new(self.key, u64::from(post));
            if let Some(marks) = stream.sample_marked(choice.count, *k, &mut room) {
                choice.resolve_marks(marks);
                sink(post, Sources::Marked(marks));
            } else {
                stream.sample_sorted(choice.count, *k, &mut sources, &mut room);
                choice.resolve(&mut sources);
                sink(post, Sources::Listed(&sources));
            }
        }
    }

    /// Calls `sink` for every target of `posts` in order with the positions of all sources that the rule may choose from,
    /// ascending: the listed ones for listed pairs, else every candidate.
    pub fn candidates(&self, posts: Range<u32>, sink: &mut dyn FnMut(u32, &[u32])) {
        let (mut sources, mut list) = (Vec::new(), Vec::new());
        for post in posts.start..posts.end.min(self.ends.post.len()) {
            sources.clear();
            match (self.rule, &self.drawn) {
                (Rule::Pairs { .. }, Drawn::Rows(rows)) => {
                    sources.extend(&rows.sources[rows.starts[post as usize]..rows.starts[post as usize + 1]]);
                    sources.dedup();
                }
                (Rule::OneToOne, _) => sources.extend(self.partner(post)),
                _ => {
                    let choice = self.choice(post, &mut list);
                    sources.extend(0..choice.count);
                    choice.resolve(&mut sources);
                }
            }
            sink(post, &sources);
        }
    }

    /// The source of a target whose cells are connected one by one.
    fn partner(&self, post: u32) -> Option<u32> {
        (self.own.of(post) != Some(post) && self.pool.contains(post, post)).then_some(post)
    }

    fn draw_sources(&self, stream: &mut Stream, n: u32, k: u32, sources: &mut Vec<u32>, room: &mut Room) {
        if self.multapses {
            stream.sample_with_replacement_sorted(n, k, sources, room);
        } else {
            stream.sample_sorted(n, k, sources, room);
        }
    }

    fn choice<'b>(&'b self, post: u32, list: &'b mut Vec<u32>) -> Choice<'b> {
        let sources = self.ends.pre.len();
        Choice::new(self.pool.of(post, sources, list), sources, self.own.of(post))
    }

    fn check_indegree(&self, k: u32) -> Result<(), ConnectError> {
        let mut list = Vec::new();
        for post in 0..self.ends.post.len() {
            let candidates = self.choice(post, &mut list).count;
            if candidates < if self.multapses { k.min(1) } else { k } {
                return Err(ConnectError::IndegreeTooLarge { k, candidates, post });
            }
        }
        Ok(())
    }

    /// Draws the targets of every source and sorts them by target.
    fn draw_outdegree(&self, k: u32) -> Result<Rows, ConnectError> {
        let (sources, targets) = (self.ends.pre.len(), self.ends.post.len());
        // Seen from its source, a pair is forbidden if it is a target's own cell: invert that relation once.
        let mut own_target = vec![u32::MAX; sources as usize];
        for post in 0..targets {
            if let Some(pre) = self.own.of(post) {
                own_target[pre as usize] = post;
            }
        }
        let mut drawn = Vec::with_capacity(sources as usize * k as usize);
        let mut starts = vec![0usize; targets as usize + 1];
        let (mut row, mut room, mut list) = (Vec::new(), Room::default(), Vec::new());
        for pre in 0..sources {
            let candidates = match self.pool {
                Pool::All => None,
                _ => {
                    list.clear();
                    list.extend((0..targets).filter(|&post| self.pool.contains(pre, post)));
                    Some(list.as_slice())
                }
            };
            let own = own_target[pre as usize];
            let choice = Choice::new(candidates, targets, (own != u32::MAX).then_some(own));
            if choice.count < if self.multapses { k.min(1) } else { k } {
                return Err(ConnectError::OutdegreeTooLarge { k, candidates: choice.count, pre });
            }
            let mut stream = Stream::new(self.key, u64::from(pre));
            self.draw_sources(&mut stream, choice.count, k, &mut row, &mut room);
            choice.resolve(&mut row);
            for &post in &row {
                starts[post as usize + 1] += 1;
            }
            drawn.extend_from_slice(&row);
        }
        accumulate(&mut starts);
        let by_target = sort_by_target(&drawn, k as usize, &starts);
        Ok(Rows { starts, sources: by_target, edges: None })
    }

    /// Draws how many of the `n` synapses every target gets.
    ///
    /// Target by target, given what is left: binomial with replacement, hypergeometric without. Together that is the
    /// multinomial or multivariate hypergeometric law of a uniform choice of pairs.
    fn draw_counts(&self, n: u64) -> Result<Vec<u32>, ConnectError> {
        let mut list = Vec::new();
        let candidates: Vec<u32> = (0..self.ends.post.len()).map(|post| self.choice(post, &mut list).count).collect();
        let possible: u64 = candidates.iter().map(|&m| u64::from(m)).sum();
        if possible < if self.multapses { n.min(1) } else { n } {
            return Err(ConnectError::TotalTooLarge { n, possible });
        }
        // Apart from the streams of the targets, which are `key` itself.
        let mut stream = Stream::new(self.key.derive(0), 0);
        let (mut pairs_left, mut left) = (possible, n);
        let mut counts = Vec::with_capacity(candidates.len());
        for (post, m) in (0..).zip(candidates.into_iter().map(u64::from)) {
            let count = if m == pairs_left {
                left
            } else if self.multapses {
                stream.binomial(left, m as f64 / pairs_left as f64)
            } else {
                stream.hypergeometric(m, pairs_left - m, left)
            };
            pairs_left -= m;
            left -= count;
            let Ok(fits) = u32::try_from(count) else { return Err(ConnectError::TargetOverfull { count, post }) };
            counts.push(fits);
        }
        Ok(counts)
    }

    /// Checks listed pairs and sorts them by target and source.
    fn sort_pairs(&self, pre: &[u32], post: &[u32]) -> Result<Rows, ConnectError> {
        if pre.len() != post.len() {
            return Err(ConnectError::PairsLength { pre: pre.len(), post: post.len() });
        }
        if u32::try_from(pre.len()).is_err() {
            return Err(ConnectError::TooManyPairs { found: pre.len(), max: u32::MAX });
        }
        let (sources, targets) = (self.ends.pre.len(), self.ends.post.len());
        let mut order: Vec<u32> = Vec::with_capacity(pre.len());
        let mut starts = vec![0usize; targets as usize + 1];
        for (edge, (&source, &target)) in pre.iter().zip(post).enumerate() {
            if source >= sources {
                return Err(ConnectError::PairSourceOutOfRange { edge, index: source, size: sources });
            }
            if target >= targets {
                return Err(ConnectError::PairTargetOutOfRange { edge, index: target, size: targets });
            }
            if self.own.of(target) == Some(source) {
                return Err(ConnectError::AutapsePair { edge, pre: source, post: target });
            }
            if self.pool.contains(source, target) {
                starts[target as usize + 1] += 1;
                order.push(edge as u32);
            }
        }
        order.sort_unstable_by_key(|&edge| (post[edge as usize], pre[edge as usize], edge));
        if !self.multapses {
            for two in order.windows(2) {
                let (first, second) = (two[0], two[1]);
                let (source, target) = (pre[second as usize], post[second as usize]);
                if pre[first as usize] == source && post[first as usize] == target {
                    return Err(ConnectError::DuplicatePair { first, second, pre: source, post: target });
                }
            }
        }
        accumulate(&mut starts);
        let sources = order.iter().map(|&edge| pre[edge as usize]).collect();
        Ok(Rows { starts, sources, edges: Some(order) })
    }
}

/// Turns rows of `k` targets by source into rows of ascending sources by target, which start at `starts`.
fn sort_by_target(drawn: &[u32], k: usize, starts: &[usize]) -> Vec<u32> {
    let mut next = starts.to_vec();
    let mut sources = vec![0; drawn.len()];
    for (pre, row) in (0..).zip(drawn.chunks_exact(k.max(1))) {
        for &post in row {
            let place = &mut next[post as usize];
            sources[*place] = pre;
            *place += 1;
        }
    }
    sources
}

fn accumulate(starts: &mut [usize]) {
    let mut sum = 0;
    for start in starts {
        sum += *start;
        *start = sum;
    }
}
