//! Checks continuous projections: a back end takes for granted that every value can be computed in the round that it names.
//!
//! 1. The value stands in the source's arena and reads no noise, draw, arrival or `Before`.
//! 2. A value reads sums without delay of smaller ranks only.
//! 3. Every `Coupled` leaf belongs to a continuous projection onto its population.
//! 4. Values are gathered by classes only where the rule is all to all, without `where`, with one delay.

use super::Invalid;
use crate::connect::Rule;
use crate::ir::{Delay, Expr, Gather, Network, Population, ProjectionId};

pub(super) fn check(network: &Network) -> Result<(), Invalid> {
    let fail = |where_: &str, what: &str| Err(Invalid { where_: where_.to_string(), what: what.to_string() });
    for (id, p) in network.populations() {
        for c in &p.dynamics.coupled {
            let ends = network.graph.edge_endpoints(c.projection);
            let continuous = network.graph.edge_weight(c.projection).is_some_and(|e| e.coupling.is_some());
            if !continuous || ends.is_none_or(|(_, to)| to != id) {
                return fail(&p.path, "sums a projection that does not land on it");
            }
        }
    }
    for (_, from, _, p, coupling) in network.couplings() {
        let Some(source) = network.population(from) else {
            return fail(&p.path, "starts at a private source");
        };
        let exprs = &source.dynamics.exprs;
        if coupling.value.0 as usize >= exprs.len() {
            return fail(&p.path, "its value does not exist");
        }
        if coupling.rank as usize > network.graph.edge_count() {
            return fail(&p.path, "its rank is above the number of projections");
        }
        let stray = exprs.any(coupling.value, &mut |e| {
            matches!(e, Expr::Noise(_) | Expr::Uniform | Expr::Arrival | Expr::Before(_))
        });
        if stray {
            return fail(&p.path, "its value reads what the start of a step does not have");
        }
        if let Some(last) = immediate(network, source, coupling.value).max()
            && last >= coupling.rank
        {
            return fail(&p.path, "its value is computed before what it reads");
        }
        let classes = coupling.gather == Gather::Classes;
        let plain = p.spec.rule == Rule::AllToAll && p.filter.is_none() && matches!(p.delay, Delay::Constant(_));
        if classes && !plain {
            return fail(&p.path, "is gathered by classes, but has none");
        }
    }
    Ok(())
}

/// Ranks of the projections without delay whose sums a value reads.
fn immediate<'n>(
    network: &'n Network,
    source: &'n Population,
    value: crate::ir::ExprId,
) -> impl Iterator<Item = u32> + 'n {
    let mut read: Vec<ProjectionId> = Vec::new();
    source.dynamics.exprs.any(value, &mut |e| {
        if let Expr::Coupled(k) = e
            && let Some(c) = source.dynamics.coupled.get(*k as usize)
            && c.sum.moves()
        {
            read.push(c.projection);
        }
        false
    });
    read.into_iter().filter_map(|e| {
        let p = network.graph.edge_weight(e)?;
        (p.delay == Delay::Constant(0)).then_some(p.coupling?.rank)
    })
}
