//! The graph that the synapses of a projection make: degrees, clustering, lengths of paths.
//!
//! Clustering and lengths are those of Watts and Strogatz (1998), Nature 393:440, of the graph without directions: two cells
//! are neighbours if a synapse leads from either to the other; autapses and further synapses of a pair add nothing.

use std::collections::VecDeque;

/// So many cells stand for all in larger populations, at equal distances by index: lengths of paths take a walk through the
/// whole graph from each.
const SAMPLE: usize = 1000;

/// How often each of `size` cells occurs.
pub fn degrees(ends: impl Iterator<Item = u32>, size: usize) -> Vec<u32> {
    let mut counts = vec![0; size];
    for end in ends {
        if let Some(count) = counts.get_mut(end as usize) {
            *count += 1;
        }
    }
    counts
}

/// Neighbours of each cell, ascending.
pub struct Neighbours(Vec<Vec<u32>>);

impl Neighbours {
    /// From (presynaptic, postsynaptic cell) of each synapse.
    pub fn new(edges: &[(u32, u32)], size: usize) -> Neighbours {
        let mut of = vec![Vec::new(); size];
        for (a, b) in edges.iter().filter(|(a, b)| a != b && (*a.max(b) as usize) < size) {
            of[*a as usize].push(*b);
            of[*b as usize].push(*a);
        }
        for list in &mut of {
            list.sort_unstable();
            list.dedup();
        }
        Neighbours(of)
    }

    fn sample(&self) -> impl Iterator<Item = usize> {
        let (size, taken) = (self.0.len(), self.0.len().min(SAMPLE));
        (0..taken).map(move |k| k * size / taken)
    }

    /// Clustering coefficient: of the pairs of a cell's neighbours, how many are neighbours of each other; mean over cells
    /// with at least two. `None` without such a cell.
    pub fn clustering(&self) -> Option<f64> {
        let mut near = vec![false; self.0.len()];
        let (mut sum, mut cells) = (0.0, 0.0);
        for cell in self.sample() {
            let own = &self.0[cell];
            if own.len() < 2 {
                continue;
            }
            own.iter().for_each(|c| near[*c as usize] = true);
            // Each pair is seen from both of its ends.
            let ends: usize =
                own.iter().map(|c| self.0[*c as usize].iter().filter(|d| near[**d as usize]).count()).sum();
            own.iter().for_each(|c| near[*c as usize] = false);
            sum += ends as f64 / (own.len() * (own.len() - 1)) as f64;
            cells += 1.0;
        }
        (cells > 0.0).then(|| sum / cells)
    }

    /// Mean length of the shortest paths between pairs of cells that any path connects. `None` where there is none.
    pub fn path_length(&self) -> Option<f64> {
        let (mut sum, mut pairs) = (0_u64, 0_u64);
        let mut far = vec![u64::MAX; self.0.len()];
        let mut queue = VecDeque::new();
        for start in self.sample() {
            far.fill(u64::MAX);
            far[start] = 0;
            queue.push_back(start);
            while let Some(cell) = queue.pop_front() {
                for next in &self.0[cell] {
                    let next = *next as usize;
                    if far[next] == u64::MAX {
                        far[next] = far[cell] + 1;
                        sum += far[next];
                        pairs += 1;
                        queue.push_back(next);
                    }
                }
            }
        }
        (pairs > 0).then(|| sum as f64 / pairs as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of n cells, each with a synapse to the next k.
    fn ring(n: u32, k: u32) -> Vec<(u32, u32)> {
        (0..n).flat_map(|a| (1..=k).map(move |d| (a, (a + d) % n))).collect()
    }

    #[test]
    fn a_ring_has_the_clustering_and_the_paths_of_the_formulas() {
        // Watts and Strogatz: C = 3 (K - 2) / (4 (K - 1)) with K neighbours.
        let graph = Neighbours::new(&ring(100, 3), 100);
        assert!((graph.clustering().unwrap() - 3.0 * 4.0 / (4.0 * 5.0)).abs() < 1e-12);
        // Steps of up to 3 either way: distance d takes ceil(d / 3), mean over 1 ..= 50, the last once.
        let expected = (1..=49).map(|d: u32| 2 * d.div_ceil(3)).sum::<u32>() + 17;
        assert!((graph.path_length().unwrap() - f64::from(expected) / 99.0).abs() < 1e-12);
    }

    #[test]
    fn directions_autapses_and_further_synapses_add_nothing() {
        let triangle = [(0, 1), (1, 0), (1, 2), (2, 0), (0, 0), (0, 1), (3, 3), (9, 0)];
        let graph = Neighbours::new(&triangle, 4);
        assert_eq!((graph.clustering(), graph.path_length()), (Some(1.0), Some(1.0)));
        let nothing = Neighbours::new(&[(3, 3)], 4);
        assert_eq!((nothing.clustering(), nothing.path_length()), (None, None));
        assert_eq!(Neighbours::new(&[], 0).path_length(), None);
        assert_eq!(degrees([0, 2, 2, 7].into_iter(), 3), [1, 0, 2]);
    }

    #[test]
    fn a_sample_of_a_large_graph_stands_for_it() {
        let graph = Neighbours::new(&ring(5000, 2), 5000);
        assert!((graph.clustering().unwrap() - 0.5).abs() < 1e-12);
        // Distance d takes ceil(d / 2): 625.4 on average of a ring of 5000.
        assert!((graph.path_length().unwrap() - 625.375).abs() < 0.5);
    }
}
