//! What a range of target cells sums of a continuous projection: rows of synapses by target, or classes of sources.

use super::synapses::{SynapsePlan, Synapses};
use crate::backend::engine::RunError;
use crate::ir::{Gather, Side};
use std::collections::BTreeMap;
use std::ops::Range;

/// The synapses of one continuous projection onto the target cells at some positions of its target end.
#[derive(Clone, Debug, PartialEq)]
pub enum Gathered {
    Rows(GatheredRows),
    Classes(GatheredClasses),
}

/// Synapse by synapse: those of `posts[j]` are `starts[j] .. starts[j + 1]`, in the order in which they are added.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredRows {
    /// Target cells by index in the population.
    pub posts: Vec<u32>,
    pub starts: Vec<usize>,
    pub pres: Vec<u32>,
    /// One for each synapse, or a single one for all.
    pub weights: Vec<f64>,
    /// Steps; one for each synapse, or a single one for all.
    pub delays: Vec<u32>,
}

/// Class by class.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredClasses {
    /// Members of each class of source cells, ascending; classes in order of their first member.
    pub classes: Vec<Vec<u32>>,
    /// Target cells by index in the population.
    pub posts: Vec<u32>,
    /// Row of `weights` of each target.
    pub rows: Vec<u32>,
    /// `[row][class]`
    pub weights: Vec<f64>,
    /// The class that a target is in as a source, where its own value is taken off.
    pub own: Vec<Option<u32>>,
    /// Steps.
    pub delay: u32,
}

impl Gathered {
    /// # Errors
    /// [`RunError::Build`] as of [`Synapses::incoming`].
    pub fn new(
        plan: &SynapsePlan,
        synapses: &Synapses,
        gather: Gather,
        posts: Range<u32>,
    ) -> Result<Gathered, RunError> {
        match gather {
            Gather::Rows => rows(plan, synapses, posts).map(Gathered::Rows),
            Gather::Classes => classes(plan, posts).map(Gathered::Classes),
        }
    }

    /// (target, number of synapses, sum of weights) for each target.
    pub fn fixed(&self) -> Vec<(u32, f64, f64)> {
        match self {
            Gathered::Rows(r) => (0..r.posts.len())
                .map(|j| {
                    let mut sum = 0.0;
                    for k in r.starts[j]..r.starts[j + 1] {
                        sum += r.weight(k);
                    }
                    (r.posts[j], (r.starts[j + 1] - r.starts[j]) as f64, sum)
                })
                .collect(),
            Gathered::Classes(c) => (0..c.posts.len())
                .map(|j| {
                    let (mut count, mut sum) = (0.0, 0.0);
                    let weights = c.weights_of(j);
                    for (members, w) in c.classes.iter().zip(weights) {
                        let n = members.len() as f64;
                        count += n;
                        sum += w * n;
                    }
                    if let Some(own) = c.own[j] {
                        count -= 1.0;
                        sum -= weights[own as usize];
                    }
                    (c.posts[j], count, sum)
                })
                .collect(),
        }
    }

    pub fn synapses(&self) -> u64 {
        match self {
            Gathered::Rows(r) => r.pres.len() as u64,
            Gathered::Classes(c) => {
                let all: usize = c.classes.iter().map(Vec::len).sum();
                let own = c.own.iter().filter(|o| o.is_some()).count();
                (all * c.posts.len() - own) as u64
            }
        }
    }

    /// Bytes that hold the synapses.
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Gathered::Rows(r) => r.pres.len() * 4 + r.weights.len() * 8 + r.delays.len() * 4 + r.starts.len() * 8,
            Gathered::Classes(c) => {
                c.weights.len() * 8 + c.classes.iter().map(|m| m.len() * 4).sum::<usize>() + c.posts.len() * 16
            }
        };
        bytes as u64
    }
}

impl GatheredRows {
    pub fn weight(&self, k: usize) -> f64 {
        if self.weights.len() == 1 { self.weights[0] } else { self.weights[k] }
    }

    pub fn delay(&self, k: usize) -> u32 {
        if self.delays.len() == 1 { self.delays[0] } else { self.delays[k] }
    }
}

impl GatheredClasses {
    /// Whether all targets have the same sum: their weights are alike, and none is a source of its own.
    pub fn alike(&self) -> bool {
        self.rows.iter().all(|row| *row == 0) && self.own.iter().all(Option::is_none)
    }

    /// Weights of the j-th target, by class.
    pub fn weights_of(&self, j: usize) -> &[f64] {
        let n = self.classes.len();
        let row = self.rows[j] as usize;
        &self.weights[row * n..(row + 1) * n]
    }
}

fn rows(plan: &SynapsePlan, synapses: &Synapses, posts: Range<u32>) -> Result<GatheredRows, RunError> {
    let (weight, delay) = plan.constants();
    let mut out = GatheredRows { posts: vec![], starts: vec![0], pres: vec![], weights: vec![], delays: vec![] };
    synapses.incoming(posts, &mut |post, sources, weights, delays| {
        out.posts.push(post);
        out.pres.extend_from_slice(sources);
        out.weights.extend_from_slice(weights);
        out.delays.extend_from_slice(delays);
        out.starts.push(out.pres.len());
    })?;
    if out.weights.is_empty() {
        out.weights.push(weight);
    }
    if out.delays.is_empty() {
        out.delays.push(delay);
    }
    Ok(out)
}

fn classes(plan: &SynapsePlan, posts: Range<u32>) -> Result<GatheredClasses, RunError> {
    let mut classes: Vec<Vec<u32>> = vec![];
    let mut known: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
    let mut class_of: BTreeMap<u32, u32> = BTreeMap::new();
    for pre in plan.pres() {
        let class = *known.entry(plan.weight_key(Side::Pre, pre)).or_insert(classes.len());
        if class == classes.len() {
            classes.push(vec![]);
        }
        classes[class].push(pre);
        class_of.insert(pre, class as u32);
    }
    let firsts: Vec<u32> = classes.iter().filter_map(|members| members.first().copied()).collect();
    let mut out = GatheredClasses {
        classes,
        posts: vec![],
        rows: vec![],
        weights: vec![],
        own: vec![],
        delay: plan.constants().1,
    };
    let mut rows: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
    for position in posts {
        let post = plan.post(position);
        let next = rows.len() as u32;
        let row = *rows.entry(plan.weight_key(Side::Post, post)).or_insert(next);
        if row == next {
            for first in &firsts {
                out.weights.push(plan.weight_between(*first, post)?);
            }
        }
        out.posts.push(post);
        out.rows.push(row);
        out.own.push(if plan.without_self() { class_of.get(&post).copied() } else { None });
    }
    Ok(out)
}
