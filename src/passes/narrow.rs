use crate::ir::{Network, Node};

/// Lets cells compute in single precision, all but those with adaptive steps: an error that is controlled needs the digits. Synapses
/// that learn hold their variables in single precision.
pub fn narrow(network: &mut Network) {
    for node in network.graph.node_weights_mut() {
        if let Node::Population(population) = node {
            population.dynamics.single = population.dynamics.adaptive.is_none();
        }
    }
    network.plasticity.iter_mut().for_each(|rule| rule.single = true);
}
