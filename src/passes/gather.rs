//! Decides how the values of continuous projections are added up.
//!
//! All to all among N cells is N^2 synapses, which every step would have to walk. Where the weight reads nothing but axes and
//! params, cells that agree in those are one class: the values of a class are added once, and each target adds the classes. That
//! is N additions for all targets together and one for each (target, class).

use crate::connect::Rule;
use crate::ir::{Delay, Expr, Gather, Network, ProjectionId, Weight};

pub fn gather(network: &mut Network) {
    let ids: Vec<ProjectionId> = network.couplings().map(|(id, ..)| id).collect();
    for id in ids {
        let Some(p) = network.graph.edge_weight(id) else { continue };
        let by_class = match p.weight {
            Weight::Constant(_) => true,
            // One weight for both directions is no function of two classes.
            Weight::PerSynapse { .. } if p.symmetric => false,
            Weight::PerSynapse { value, .. } => {
                !network.build.any(value, &mut |e| matches!(e, Expr::Random { .. } | Expr::Column(_)))
            }
        };
        let plain = p.spec.rule == Rule::AllToAll && p.filter.is_none() && matches!(p.delay, Delay::Constant(_));
        if let Some(coupling) = network.graph.edge_weight_mut(id).and_then(|p| p.coupling.as_mut()) {
            coupling.gather = if by_class && plain { Gather::Classes } else { Gather::Rows };
        }
    }
}
