//! Decides how spikes are gathered at their targets.
//!
//! Synapses of one constant weight need no sum of weights: their spikes are counted, and the count is multiplied where it is read.
//! A count takes two bytes where a sum takes eight, so the row of counters of ten thousand cells stays in the innermost cache; and a
//! gain that changes acts on spikes in flight, as it should. Projections with the same weight and gain onto the same receptor share
//! their counters. All others share one sum per receptor and gain.

use crate::ir::{Arrival, ExprId, Network, PopulationId, ProjectionId, Weight};
use std::collections::HashSet;

pub fn accumulate(network: &mut Network) {
    let plastic: HashSet<ProjectionId> = network.plasticity.iter().map(|p| p.projection).collect();
    let mutable: HashSet<ProjectionId> = network.mutable.iter().copied().collect();
    let ids: Vec<PopulationId> = network.populations().map(|(id, _)| id).collect();
    for id in ids {
        let incoming: Vec<(ProjectionId, u32, Weight, Option<ExprId>)> =
            network.incoming(id).map(|(e, p)| (e, p.receptor, p.weight, p.gain)).collect();
        let Some(population) = network.population_mut(id) else { continue };
        let d = &mut population.dynamics;
        for r in &mut d.receptors {
            r.arrivals.clear();
        }
        for (e, receptor, weight, gain) in incoming {
            let constant = match weight {
                Weight::Constant(v) if !plastic.contains(&e) && !mutable.contains(&e) => Some(d.exprs.real(v)),
                _ => None,
            };
            let Some(r) = d.receptors.get_mut(receptor as usize) else { continue };
            if plastic.contains(&e) {
                // Its spikes are sent on when they reach the synapse, not when they leave: a sum of its own.
                r.arrivals.push(Arrival::Sum { projections: vec![e], gain });
                continue;
            }
            let shared = r.arrivals.iter_mut().find_map(|a| match (a, constant) {
                (Arrival::Count { projections, weight, gain: g }, Some(w)) if *weight == w && *g == gain => {
                    Some(projections)
                }
                (Arrival::Sum { projections, gain: g }, None)
                    if *g == gain && !projections.iter().any(|p| plastic.contains(p)) =>
                {
                    Some(projections)
                }
                _ => None,
            });
            match (shared, constant) {
                (Some(projections), _) => projections.push(e),
                (None, Some(weight)) => r.arrivals.push(Arrival::Count { projections: vec![e], weight, gain }),
                (None, None) => r.arrivals.push(Arrival::Sum { projections: vec![e], gain }),
            }
        }
        for (k, input) in d.poisson.iter().enumerate() {
            if let Some(r) = d.receptors.get_mut(input.receptor as usize) {
                r.arrivals.push(Arrival::Poisson(k as u32));
            }
        }
    }
}
