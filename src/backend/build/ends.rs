//! The two ends of a projection: their cells, and what build expressions read of them.

use super::coordinates;
use super::elements::Elements;
use super::params::ParamValues;
use crate::backend::engine::RunError;
use crate::connect::{Cells, Ends};
use crate::ir::{Attribute, Network, Node, Population, PopulationId, Projection, Side, Subset};

/// One end: a population as built.
pub struct End<'n> {
    /// By position in [`Network::populations`].
    pub position: usize,
    pub population: &'n Population,
    params: &'n [ParamValues],
    /// Empty unless an expression reads one.
    coordinates: Vec<Vec<u32>>,
}

impl<'n> End<'n> {
    /// `reads` holds the attributes of this end that expressions read.
    pub fn new(
        network: &'n Network,
        elements: &'n Elements,
        id: PopulationId,
        reads: &[&Attribute],
    ) -> Result<End<'n>, RunError> {
        let found = network.populations().zip(&elements.populations).enumerate().find(|(_, ((k, _), _))| *k == id);
        let Some((position, ((_, population), elements))) = found else {
            let path = network.graph.node_weight(id).map_or("?", Node::path);
            return Err(RunError::Build(format!("{path}: a source without a size has no synapses")));
        };
        let axes = reads.iter().any(|a| matches!(a, Attribute::Axis(_)));
        let coordinates = if axes { coordinates(population)? } else { vec![] };
        Ok(End { position, population, params: &elements.params, coordinates })
    }

    /// An attribute of one neuron, by its index in the population.
    pub fn attribute(&self, neuron: u32, attribute: &Attribute) -> f64 {
        match attribute {
            Attribute::Index => f64::from(neuron),
            Attribute::Axis(k) => {
                let list = self.coordinates.get(*k as usize);
                list.and_then(|list| list.get(neuron as usize)).map_or(f64::NAN, |at| f64::from(*at))
            }
            Attribute::Param(j) => self.params.get(*j as usize).map_or(f64::NAN, |values| values.at(neuron)),
        }
    }
}

/// The attributes of one side among all that expressions read.
pub fn of_side(all: &[(Side, Attribute)], side: Side) -> Vec<&Attribute> {
    all.iter().filter(|(s, _)| *s == side).map(|(_, a)| a).collect()
}

/// A subset as `connect` takes it.
pub fn cells(subset: &Subset, size: u32) -> Cells<'_> {
    match subset {
        Subset::All => Cells::all(size),
        Subset::Range(first, end) => Cells::Range { first: *first, step: 1, count: end.saturating_sub(*first) },
        Subset::Cells(list) => Cells::List(list),
    }
}

/// Both ends as `connect` takes them.
pub fn ends<'n>(projection: &'n Projection, pre: &Population, post: &Population, same_population: bool) -> Ends<'n> {
    Ends { pre: cells(&projection.pre, pre.size), post: cells(&projection.post, post.size), same_population }
}
