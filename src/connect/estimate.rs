//! How many synapses a rule will make, without drawing any.

use super::ends::{Candidates, Choice, Ends, OwnCell, Pool};
use super::rule::{Rule, Spec};

/// The expected number of synapses. Asks a filter once per class and source, or for every pair if there are no classes;
/// pass [`Candidates::ALL`] for a bound without asking.
///
/// A rule that cannot be carried out gives what it asks for.
#[must_use]
pub fn expected_synapses(spec: &Spec, ends: &Ends<'_>, candidates: &Candidates<'_>) -> f64 {
    let (sources, targets) = (f64::from(ends.pre.len()), f64::from(ends.post.len()));
    match &spec.rule {
        Rule::FixedIndegree { k } => f64::from(*k) * targets,
        Rule::FixedOutdegree { k } => f64::from(*k) * sources,
        Rule::FixedTotalNumber { n } => *n as f64,
        Rule::Pairs { pre, post } => {
            let pool = Pool::new(ends, candidates);
            let inside = |i: u32, j: u32| i < ends.pre.len() && j < ends.post.len();
            pre.iter().zip(post).filter(|&(&i, &j)| inside(i, j) && pool.contains(i, j)).count() as f64
        }
        Rule::OneToOne => {
            let (own, pool) = (OwnCell::new(*ends, spec.autapses), Pool::new(ends, candidates));
            let pairs = 0..ends.pre.len().min(ends.post.len());
            pairs.filter(|&i| own.of(i) != Some(i) && pool.contains(i, i)).count() as f64
        }
        Rule::AllToAll => candidate_pairs(spec, ends, candidates),
        Rule::Bernoulli { p } => p * candidate_pairs(spec, ends, candidates),
    }
}

/// A number of synapses that no target exceeds, whatever is drawn.
///
/// Hard bounds, so often far above what is likely: every source for `bernoulli`, for instance. Filters are not asked.
#[must_use]
pub fn max_indegree_bound(spec: &Spec, ends: &Ends<'_>) -> u64 {
    let sources = u64::from(ends.pre.len());
    if ends.post.is_empty() {
        return 0;
    }
    match &spec.rule {
        Rule::OneToOne => sources.min(1),
        Rule::AllToAll | Rule::Bernoulli { .. } => sources,
        Rule::FixedIndegree { k } => u64::from(*k),
        Rule::FixedOutdegree { k } => {
            if spec.multapses {
                sources * u64::from(*k)
            } else {
                sources * u64::from((*k).min(1))
            }
        }
        Rule::FixedTotalNumber { n } => {
            if spec.multapses {
                *n
            } else {
                (*n).min(sources)
            }
        }
        Rule::Pairs { post, .. } => {
            let mut counts = vec![0u64; ends.post.len() as usize];
            for &target in post {
                if let Some(count) = counts.get_mut(target as usize) {
                    *count += 1;
                }
            }
            counts.into_iter().max().unwrap_or(0)
        }
    }
}

fn candidate_pairs(spec: &Spec, ends: &Ends<'_>, candidates: &Candidates<'_>) -> f64 {
    let (own, pool) = (OwnCell::new(*ends, spec.autapses), Pool::new(ends, candidates));
    let mut list = Vec::new();
    let counts = (0..ends.post.len()).map(|post| {
        let sources = ends.pre.len();
        u64::from(Choice::new(pool.of(post, sources, &mut list), sources, own.of(post)).count)
    });
    counts.sum::<u64>() as f64
}
