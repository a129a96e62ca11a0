//! Cells of a population that stand alike: the units of the mean-field equations.
//!
//! Two cells are alike if every projection's ends hold both or neither, and if their params that take few values are equal: the
//! groups of a chain, the pools of a decision network, a drive that rises from cell to cell. Where that makes too many, a
//! population is one group.

use crate::backend::build::{Elements, ParamValues};
use crate::ir::{Network, PopulationId, ProjectionId, Subset};
use petgraph::Direction;
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;

/// More would cost more than a check may.
const MOST_PER_POPULATION: usize = 24;
const MOST: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub population: PopulationId,
    /// Position in `Network::populations`.
    pub position: usize,
    /// Ascending indices in the population.
    pub cells: Vec<u32>,
}

/// All groups, in the order of their populations.
pub(super) fn groups(network: &Network, elements: &Elements) -> Vec<Group> {
    let split = |fine: bool| -> Vec<Group> {
        let mut out = Vec::new();
        for (position, (id, p)) in network.populations().enumerate() {
            let subsets = subsets(network, id);
            let params: Vec<&Vec<f64>> = elements.populations[position]
                .params
                .iter()
                .filter_map(|v| match v {
                    ParamValues::Each(values) => Some(values),
                    ParamValues::One(_) => None,
                })
                .collect();
            let mut classes = classes(p.size, &subsets, if fine { &params } else { &[] });
            if classes.len() > MOST_PER_POPULATION {
                classes = self::classes(p.size, &subsets, &[]);
            }
            if classes.len() > MOST_PER_POPULATION {
                classes = vec![(0..p.size).collect()];
            }
            out.extend(classes.into_iter().map(|cells| Group { population: id, position, cells }));
        }
        out
    };
    let fine = split(true);
    if fine.len() <= MOST {
        return fine;
    }
    let coarse = split(false);
    if coarse.len() <= MOST {
        return coarse;
    }
    let whole = |(position, (population, p)): (usize, (PopulationId, &crate::ir::Population))| Group {
        population,
        position,
        cells: (0..p.size).collect(),
    };
    network.populations().enumerate().map(whole).collect()
}

/// The parts of a population that projections name.
fn subsets(network: &Network, id: PopulationId) -> Vec<&Subset> {
    let of = |direction| network.graph.edges_directed(id, direction);
    let mut ends: Vec<(ProjectionId, &Subset)> = of(Direction::Outgoing).map(|e| (e.id(), &e.weight().pre)).collect();
    ends.extend(of(Direction::Incoming).map(|e| (e.id(), &e.weight().post)));
    // In the order of the projections; of one to itself the source comes first.
    ends.sort_by_key(|(e, _)| *e);
    let mut out: Vec<&Subset> = Vec::new();
    for (_, subset) in ends {
        if *subset != Subset::All && !out.contains(&subset) {
            out.push(subset);
        }
    }
    out
}

/// Cells by what they belong to; in the order of their first cells.
fn classes(size: u32, subsets: &[&Subset], params: &[&Vec<f64>]) -> Vec<Vec<u32>> {
    let mut numbers: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
    let mut out: Vec<Vec<u32>> = Vec::new();
    let holds = |s: &Subset, cell: u32| match s {
        Subset::All => true,
        Subset::Range(a, b) => (*a..*b).contains(&cell),
        Subset::Cells(list) => list.binary_search(&cell).is_ok(),
    };
    for cell in 0..size {
        let member = subsets.iter().map(|s| u64::from(holds(s, cell)));
        let key: Vec<u64> = member.chain(params.iter().map(|p| p[cell as usize].to_bits())).collect();
        let next = out.len();
        let k = *numbers.entry(key).or_insert(next);
        if k == next {
            // So many are merged again: their lists need not be complete.
            if next > MOST_PER_POPULATION {
                return out;
            }
            out.push(Vec::new());
        }
        out[k].push(cell);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_apart_by_ends_and_by_params() {
        let (low, some) = (Subset::Range(0, 3), Subset::Cells(vec![2, 4]));
        assert_eq!(classes(6, &[&low, &some], &[]), [vec![0, 1], vec![2], vec![3, 5], vec![4]]);
        let values = vec![1.0, 1.0, 2.0, 2.0, 2.0, 1.0];
        assert_eq!(classes(6, &[&low], &[&values]), [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
        assert_eq!(classes(3, &[], &[]), [vec![0, 1, 2]]);
        let all: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(classes(100, &[], &[&all]).len() > MOST_PER_POPULATION);
    }
}
