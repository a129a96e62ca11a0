//! Elements and synapses, made once for every back end, so that all of them run the same circuit to the last bit.
//!
//! Takes a validated network and a seed for granted. [`elements()`] gives each neuron its params and initial states;
//! [`Synapses`] enumerate what lands on a target, in a fixed order, for any split of the targets over threads.
//! Random values are functions of (seed, path, site, element), so neither order nor threads can change them.
//! What can still go wrong (a table index out of range, a weight that is no number) is reported as [`RunError::Build`].

mod by_target;
mod columns;
mod elements;
mod ends;
mod filter;
mod formula;
mod gathered;
mod growth;
mod lanes;
mod listed;
mod mirror;
mod params;
mod procedural;
mod synapses;
mod tables;

pub use elements::{Elements, PopulationElements, elements};
pub use gathered::{Gathered, GatheredClasses, GatheredRows};
pub use growth::{Growth, Rewired};
pub use lanes::{Lanes, positions};
pub use listed::{Listed, gains, list};
pub use params::{ParamValues, apply, derive, followers};
pub use procedural::{Circuit, Procedural, ProceduralRows};
pub use synapses::{Estimate, Sink, SynapsePlan, Synapses, estimate};
pub use tables::draw as draw_tables;

use super::engine::RunError;
use crate::ir::Population;

/// Coordinates of every neuron, axis by axis: `[axis][neuron]`.
///
/// The same as [`Population::coordinates`] for each index, at a cost of O(size) per axis.
fn coordinates(population: &Population) -> Result<Vec<Vec<u32>>, RunError> {
    fn fill(population: &Population, prefix: &mut Vec<u32>, out: &mut [Vec<u32>]) {
        let Some(axis) = population.axes.get(prefix.len()) else {
            out.iter_mut().zip(prefix.iter()).for_each(|(list, at)| list.push(*at));
            return;
        };
        for position in 0..axis.size_at(prefix) {
            prefix.push(position);
            fill(population, prefix, out);
            prefix.pop();
        }
    }
    let mut out = vec![Vec::with_capacity(population.size as usize); population.axes.len()];
    fill(population, &mut Vec::new(), &mut out);
    match out.iter().find(|list| list.len() != population.size as usize) {
        None => Ok(out),
        Some(list) => Err(RunError::Build(format!(
            "{}: its axes hold {} cells, its size is {}",
            population.path,
            list.len(),
            population.size
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Axis, Dynamics, Exprs, Spike};

    pub(super) fn dynamics() -> Dynamics {
        Dynamics {
            model: "Test".into(),
            exprs: Exprs::default(),
            params: vec![],
            states: vec![],
            systems: vec![],
            noises: 0,
            adaptive: None,
            integrate: vec![],
            receptors: vec![],
            poisson: vec![],
            coupled: Vec::new(),
            spike: Spike::Never,
            reset: vec![],
            refractory: None,
            every: vec![],
            observables: vec![],
            solvers: vec![],
            single: false,
        }
    }

    #[test]
    fn bulk_coordinates_are_those_of_each_index() {
        let axis = |sizes: &[u32]| Axis { name: None, labels: vec![], sizes: sizes.to_vec() };
        let ragged = Population {
            path: "E".into(),
            source: false,
            size: 2 * (3 + 5),
            axes: vec![axis(&[2]), axis(&[2]), axis(&[3, 5])],
            dynamics: dynamics(),
        };
        let even = Population { size: 24, axes: vec![axis(&[2]), axis(&[3]), axis(&[4])], ..ragged.clone() };
        for population in [&ragged, &even] {
            let bulk = coordinates(population).unwrap();
            for index in 0..population.size {
                let all: Vec<u32> = bulk.iter().map(|list| list[index as usize]).collect();
                assert_eq!(all, population.coordinates(index));
                let each: Vec<u32> = (0..3).filter_map(|axis| population.coordinate(index, axis)).collect();
                assert_eq!(all, each);
                assert_eq!(population.coordinate(index, 3), None);
            }
        }
        assert!(coordinates(&Population { size: 17, ..ragged }).is_err());
    }
}
