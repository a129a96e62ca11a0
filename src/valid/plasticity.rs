//! Rules of plasticity: what they read and write exists and is theirs.

use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{Assign, Delay, Expr, ExprId, Network};

pub(super) fn check(network: &Network, rule: &Plasticity) -> Result<(), String> {
    super::check_arena(&rule.exprs)?;
    let Some(projection) = network.graph.edge_weight(rule.projection).filter(|p| !p.private) else {
        return Err("belongs to no projection with synapses".to_string());
    };
    let target = network.graph.edge_endpoints(rule.projection).and_then(|(_, to)| network.population(to));
    let Some(target) = target else { return Err("belongs to no population".to_string()) };
    let n = rule.variables.len();
    if n == 0 || rule.variables[0].place != Place::Synapse {
        return Err("has no weight".to_string());
    }
    for (id, e) in rule.exprs.iter() {
        let ok = match e {
            Expr::State(k) => (*k as usize) < n,
            Expr::Read(k) => (*k as usize) < rule.reads.len(),
            Expr::Integral(k) => (*k as usize) < rule.integrals.len(),
            Expr::Const(_)
            | Expr::Unary(..)
            | Expr::Binary(..)
            | Expr::Compare(..)
            | Expr::Select(..)
            | Expr::Time
            | Expr::Uniform
            | Expr::Elapsed => true,
            _ => false,
        };
        if !ok {
            return Err(format!("node {} is {e:?}", id.0));
        }
    }
    if rule.reads.iter().any(|r| r.0 as usize >= target.dynamics.exprs.len()) {
        return Err("reads what its cell does not have".to_string());
    }
    if rule.levels.iter().any(|k| *k as usize >= rule.reads.len()) {
        return Err("names a level that it does not read".to_string());
    }
    for k in [rule.total, rule.total_out].into_iter().flatten() {
        let reads = |e: ExprId| rule.exprs.any(e, &mut |e| *e == Expr::Read(k));
        let elsewhere = rule.handlers.iter().filter(|h| !matches!(h.event, Event::Every(_)));
        let others = elsewhere.flat_map(|h| h.assigns.iter().map(|a| a.value).chain(h.deliver).chain(h.still));
        let steady = rule.advance.iter().chain(&rule.drift).map(|a| a.value);
        if k as usize >= rule.reads.len() || others.chain(steady).any(reads) {
            return Err("reads a sum of weights that is not there".to_string());
        }
    }
    if rule.remove.is_some_and(|k| k == 0 || k as usize >= n || rule.place(k) != Place::Synapse) {
        return Err("marks what goes by no variable of a synapse".to_string());
    }
    if let Some(w) = rule.regrow
        && !(rule.remove.is_some() && w.is_finite() && matches!(projection.delay, Delay::Constant(_)))
    {
        return Err("regrows what can't be missing".to_string());
    }
    for i in &rule.integrals {
        let own = |e: &Expr| match e {
            Expr::Read(k) => rule.levels.contains(k),
            Expr::State(_) | Expr::Time | Expr::Uniform | Expr::Elapsed | Expr::Integral(_) => false,
            _ => true,
        };
        let known = (i.value.0 as usize) < rule.exprs.len();
        if !rule.lazy || !known || rule.exprs.any(i.value, &mut |e| !own(e)) {
            return Err("integrates what is not the same for all synapses".to_string());
        }
        if !(i.decay <= 0.0 && i.own <= 0.0 && i.decay.is_finite() && i.own.is_finite()) {
            return Err("integrates what grows".to_string());
        }
    }
    if projection.delay.max() < rule.dendritic {
        return Err("its dendritic delay is longer than the whole".to_string());
    }
    let inside = |a: &Assign| (a.state as usize) < n && (a.value.0 as usize) < rule.exprs.len();
    let of = |a: &Assign, places: &[Place]| inside(a) && places.contains(&rule.place(a.state));
    if !rule.advance.iter().all(|a| of(a, &[Place::Pre, Place::Post]))
        || !rule.drift.iter().all(|a| of(a, &[Place::Synapse]))
    {
        return Err("moves what is not its own".to_string());
    }
    for h in &rule.handlers {
        let places: &[Place] = match h.event {
            Event::Pre => &[Place::Pre, Place::Synapse],
            Event::Post => &[Place::Post, Place::Synapse],
            Event::Receptor(r) if (r as usize) < target.dynamics.receptors.len() => &[Place::Post, Place::Synapse],
            Event::Named(flag, number) if (flag.max(number) as usize) < rule.reads.len() => {
                &[Place::Pre, Place::Post, Place::Synapse]
            }
            Event::Every(steps) if steps > 0 => &[Place::Pre, Place::Post, Place::Synapse],
            _ => return Err(format!("an event {:?} that does not exist", h.event)),
        };
        if !h.assigns.iter().all(|a| of(a, places)) {
            return Err(format!("writes on {:?} what is not its own", h.event));
        }
        let missing = |d: ExprId| d.0 as usize >= rule.exprs.len() || h.event != Event::Pre;
        if h.deliver.is_some_and(missing) || h.still.is_some_and(|d| missing(d) || h.deliver.is_none()) {
            return Err("delivers what is not there".to_string());
        }
    }
    Ok(())
}
