//! Checks a network before a back end sees it. What an author can get wrong was said in `sema` and `lower`; a failure here is a bug
//! of the compiler or a damaged artefact, and says so.
//!
//! Rules:
//! 1. dt is positive and finite; every population has at least one cell and axes that multiply to its size.
//! 2. Every expression reads only nodes before it, params, states, noises and tables that exist, and leaves of its own kind:
//!    dynamics no build leaves, build expressions no states.
//! 3. Every state has an initial value; every assignment names a state; every held state exists.
//! 4. Every projection ends at two populations (a private one starts at a private source), at a receptor that exists, with delays
//!    of at least one step, cells inside the populations and ascending.
//! 5. Every synaptic projection is taken by exactly one arrival term of its receptor.
//!    The same holds of continuous projections, but that they may have no delay; what they are is checked in [`coupling`].
//! 6. A rule belongs to one synaptic projection, reads its own variables and expressions of its target that exist, and writes only
//!    what its events may.
//! 7. A sensor has a position for each neuron that follows it, and its readers are settable params that exist.
//! 8. Schedules have one ascending list, or one per train, and only sources have schedules.

mod budget;
mod coupling;
mod plasticity;
mod protocol;

pub use crate::units::bytes_text;
pub use budget::{Estimate, estimate, table};

use crate::connect::Rule;
use crate::ir::{
    Arrival, Assign, Delay, Derived, Dynamics, Expr, ExprId, Exprs, Network, Node, ParamKind, Population, ProjectionId,
    Spike, Subset, Trains, Weight,
};
use std::collections::BTreeMap;

/// A network that keeps every rule of this room. Only [`validate`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Validated<'n>(&'n Network);

impl<'n> Validated<'n> {
    pub fn network(self) -> &'n Network {
        self.0
    }
}

/// A broken rule, in words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{where_}: {what}")]
pub struct Invalid {
    pub where_: String,
    pub what: String,
}

/// Checks all rules of the head of this file.
pub fn validate(network: &Network) -> Result<Validated<'_>, Invalid> {
    let broken = |where_: &str, what: String| Invalid { where_: where_.to_string(), what };
    let fail = |where_: &str, what: String| Err(broken(where_, what));
    if !(network.dt_ms > 0.0 && network.dt_ms.is_finite()) {
        return fail(&network.name, format!("dt is {} ms", network.dt_ms));
    }
    check_arena(&network.build).map_err(|what| broken("build expressions", what))?;
    for (id, e) in network.build.iter() {
        let wrong = match e {
            Expr::State(_)
            | Expr::Param(_)
            | Expr::Arrival
            | Expr::Time
            | Expr::Noise(_)
            | Expr::Uniform
            | Expr::Held
            | Expr::Read(_)
            | Expr::Elapsed
            | Expr::Integral(_)
            | Expr::Coupled(_)
            | Expr::Before(_) => true,
            Expr::Table { table, indices } => match network.tables.get(*table as usize) {
                Some(t) => t.shape.len() != indices.len(),
                None => true,
            },
            _ => false,
        };
        if wrong {
            return fail("build expressions", format!("node {} is {e:?}", id.0));
        }
    }
    for t in &network.tables {
        let n: u64 = t.shape.iter().map(|s| u64::from(*s)).product();
        match t.draw {
            Some(draw) if draw.0 as usize >= network.build.len() || !t.data.is_empty() || n > u64::from(u32::MAX) => {
                return fail(&t.name, "a drawn table with data or without a formula".to_string());
            }
            Some(_) => {}
            None if n != t.data.len() as u64 => {
                return fail(&t.name, format!("{} values in a table of shape {:?}", t.data.len(), t.shape));
            }
            None => {}
        }
    }
    for (id, p) in network.populations() {
        check_population(network, p).map_err(|what| broken(&p.path, what))?;
        let mut taken: BTreeMap<ProjectionId, usize> = BTreeMap::new();
        for r in &p.dynamics.receptors {
            for a in &r.arrivals {
                match a {
                    Arrival::Count { projections, .. } | Arrival::Sum { projections, .. } => {
                        for e in projections {
                            *taken.entry(*e).or_default() += 1;
                        }
                    }
                    Arrival::Poisson(k) => {
                        if *k as usize >= p.dynamics.poisson.len() {
                            return fail(&p.path, format!("Poisson input {k} does not exist"));
                        }
                    }
                }
            }
        }
        for e in taken.keys() {
            if network.graph.edge_endpoints(*e).map(|(_, to)| to) != Some(id) {
                return fail(&p.path, format!("takes projection {} of another population", e.index()));
            }
        }
        for (e, projection) in network.incoming(id) {
            if taken.get(&e).copied().unwrap_or(0) != 1 {
                return fail(&projection.path, "is not taken by exactly one arrival term".to_string());
            }
        }
    }
    for rule in &network.plasticity {
        plasticity::check(network, rule).map_err(|what| broken(&rule.name, what))?;
    }
    if network.mutable.iter().any(|e| network.graph.edge_weight(*e).is_none()) {
        return fail(&network.name, "weights of a projection that does not exist".to_string());
    }
    for w in &network.winners {
        let ok = network.population(w.population).is_some_and(|p| {
            (w.margin.0 as usize) < p.dynamics.exprs.len()
                && (1..=p.size).contains(&w.most)
                && w.window >= 1
                && matches!(p.dynamics.spike, Spike::When(_))
        });
        if !ok {
            return fail(&network.name, "winners of a population that has none".to_string());
        }
    }
    for e in network.graph.edge_indices() {
        check_projection(network, e).map_err(|what| broken(&network.graph[e].path, what))?;
    }
    coupling::check(network)?;
    Ok(Validated(network))
}

fn check_arena(x: &Exprs) -> Result<(), String> {
    for (id, e) in x.iter() {
        let mut bad = None;
        e.children(&mut |c| {
            if c.0 >= id.0 {
                bad = Some(c.0);
            }
        });
        if let Some(c) = bad {
            return Err(format!("node {} reads node {c}", id.0));
        }
    }
    Ok(())
}

fn check_population(network: &Network, p: &Population) -> Result<(), String> {
    let d = &p.dynamics;
    if p.size == 0 || p.axes.is_empty() {
        return Err("has no cell".to_string());
    }
    let mut positions = 1_u32;
    for (k, a) in p.axes.iter().enumerate() {
        // One size, or one for each position of the axis before.
        if a.sizes.is_empty() || (a.sizes.len() > 1 && (k == 0 || a.sizes.len() != positions as usize)) {
            return Err(format!("axis {k} has {} sizes", a.sizes.len()));
        }
        positions = a.max_size();
    }
    let whole: Vec<(u32, u32)> = p.axes.iter().map(|a| (0, a.max_size())).collect();
    let product: u64 = p.axes.iter().map(|a| u64::from(a.max_size())).product();
    let ragged = p.axes.iter().any(|a| a.sizes.len() > 1);
    if (!ragged && product != u64::from(p.size))
        || (ragged && (product > 1 << 33 || p.select(&whole).len() != p.size as usize))
    {
        return Err(format!("its axes do not make {} cells", p.size));
    }
    check_arena(&d.exprs)?;
    let inside = |e: ExprId| (e.0 as usize) < d.exprs.len();
    let in_build = |e: ExprId| (e.0 as usize) < network.build.len();
    for (id, e) in d.exprs.iter() {
        let wrong = match e {
            Expr::State(k) => *k as usize >= d.states.len(),
            Expr::Param(k) => *k as usize >= d.params.len(),
            Expr::Element(..)
            | Expr::Random { .. }
            | Expr::Table { .. }
            | Expr::Column(_)
            | Expr::Read(_)
            | Expr::Elapsed
            | Expr::Integral(_) => true,
            Expr::Coupled(k) => *k as usize >= d.coupled.len(),
            _ => false,
        };
        if wrong {
            return Err(format!("node {} is {e:?}", id.0));
        }
    }
    for param in &d.params {
        let ok = match &param.kind {
            ParamKind::Scalar(_) => true,
            ParamKind::PerNeuron(e) => in_build(*e),
            ParamKind::Derived(Derived::Expr(e)) => inside(*e),
            ParamKind::Derived(
                Derived::Propagator { system, row, column }
                | Derived::Integral { system, row, column }
                | Derived::Noise { system, row, column },
            ) => d.systems.get(*system as usize).is_some_and(|s| *row < s.n && *column < s.n),
        };
        if !ok {
            return Err(format!("param {} has no source", param.name));
        }
    }
    for s in &d.systems {
        let (n, m) = (s.n as usize, s.m as usize);
        let sized = n > 0 && n <= 64 && m <= 64 && s.a.len() == n * n && s.g.len() == n * m;
        let spans = s.span > 0.0 && s.span <= 1.0;
        if !(sized && spans && s.a.iter().chain(&s.g).all(|e| inside(*e))) {
            return Err("a linear system is malformed".to_string());
        }
    }
    if let Some(s) = d.states.iter().find(|s| !in_build(s.initial)) {
        return Err(format!("state {} has no initial value", s.name));
    }
    let assigns = |list: &[Assign]| list.iter().all(|a| (a.state as usize) < d.states.len() && inside(a.value));
    let stages = d.integrate.iter().all(|s| assigns(&s.assigns))
        && d.adaptive.as_ref().is_none_or(|a| {
            assigns(&a.before.assigns) && assigns(&a.trial.assigns) && (a.elapsed as usize) < d.states.len()
        });
    let receptors = d.receptors.iter().all(|r| {
        assigns(&r.body)
            && r.arrivals.iter().all(|a| match a {
                Arrival::Count { weight, gain, .. } => inside(*weight) && gain.is_none_or(inside),
                Arrival::Sum { gain, .. } => gain.is_none_or(inside),
                Arrival::Poisson(_) => true,
            })
    });
    let poisson = d
        .poisson
        .iter()
        .all(|i| (i.receptor as usize) < d.receptors.len() && inside(i.rate) && inside(i.weight) && i.delay >= 1);
    let refractory =
        d.refractory.as_ref().is_none_or(|r| inside(r.steps) && r.held.iter().all(|s| (*s as usize) < d.states.len()));
    let every = d.every.iter().all(|e| e.steps > 0 && assigns(&e.stage.assigns));
    let observables = d.observables.iter().all(|o| inside(o.value));
    if !(stages && receptors && poisson && refractory && every && observables && assigns(&d.reset)) {
        return Err("a statement names a state or expression that does not exist".to_string());
    }
    match &d.spike {
        Spike::When(c) if !inside(*c) => Err("its condition does not exist".to_string()),
        Spike::Schedule(trains) => {
            let rising = |r: &Vec<u64>| r.first().is_none_or(|s| *s >= 1) && r.windows(2).all(|w| w[0] < w[1]);
            let fits = !matches!(trains, Trains::Each(each) if each.len() != p.size as usize);
            if !p.source || !fits || !trains.distinct().iter().all(rising) {
                return Err("its schedule is not one ascending list, or one per train".to_string());
            }
            Ok(())
        }
        _ => no_stray_leaves(d),
    }
}

/// `Arrival` stands in receptor bodies only, `Uniform` in conditions only, noises within what is drawn.
fn no_stray_leaves(d: &Dynamics) -> Result<(), String> {
    for stage in d.integrate.iter().chain(d.adaptive.iter().flat_map(|a| [&a.before, &a.trial])) {
        for a in &stage.assigns {
            let stray = d.exprs.any(a.value, &mut |e| match e {
                Expr::Noise(k) => *k >= d.noises,
                Expr::Arrival | Expr::Uniform | Expr::Before(_) => true,
                _ => false,
            });
            if stray {
                return Err("integration reads what is not there".to_string());
            }
        }
    }
    let mut between = d.every.iter().flat_map(|e| &e.stage.assigns);
    let stray = |e: &Expr| matches!(e, Expr::Noise(_) | Expr::Arrival | Expr::Uniform | Expr::Before(_));
    if between.any(|a| d.exprs.any(a.value, &mut |e| stray(e))) {
        return Err("what happens at intervals reads what is not there".to_string());
    }
    Ok(())
}

fn check_projection(network: &Network, id: ProjectionId) -> Result<(), String> {
    let p = &network.graph[id];
    let Some((from, to)) = network.graph.edge_endpoints(id) else { return Err("has no ends".to_string()) };
    let Node::Population(target) = &network.graph[to] else { return Err("lands on a source".to_string()) };
    if p.coupling.is_none() && p.receptor as usize >= target.dynamics.receptors.len() {
        return Err(format!("receptor {} does not exist", p.receptor));
    }
    check_subset(&p.post, target.size)?;
    if p.private {
        return if matches!(network.graph[from], Node::Private { .. }) {
            Ok(())
        } else {
            Err("is private, but its source is not".to_string())
        };
    }
    let Node::Population(source) = &network.graph[from] else { return Err("starts at a private source".to_string()) };
    check_subset(&p.pre, source.size)?;
    let (n_pre, n_post) = (p.pre.len(source.size), p.post.len(target.size));
    if let Rule::Pairs { pre, post } = &p.spec.rule {
        if pre.len() != post.len() || p.columns.iter().any(|c| c.len() != pre.len()) {
            return Err("its list of edges has columns of different lengths".to_string());
        }
        if pre.iter().any(|i| *i >= n_pre) || post.iter().any(|j| *j >= n_post) {
            return Err("an edge leads outside its ends".to_string());
        }
    }
    let in_build = |e: ExprId| (e.0 as usize) < network.build.len();
    let weight = match p.weight {
        Weight::Constant(v) => v.is_finite(),
        Weight::PerSynapse { value, .. } => in_build(value),
    };
    let delay = match p.delay {
        Delay::Constant(d) => d >= 1 || p.coupling.is_some(),
        Delay::PerSynapse { value, max } => in_build(value) && max >= 1,
    };
    if let Some(procedural) = p.procedural {
        let by_source = match p.spec.rule {
            Rule::AllToAll | Rule::Bernoulli { .. } => true,
            Rule::FixedOutdegree { .. } => p.filter.is_none(),
            _ => false,
        };
        let learns = network.rule(id).is_some() || network.mutable.contains(&id);
        let plain = p.coupling.is_none() && !p.symmetric && !learns;
        if !by_source || !plain || !(1..=p.delay.max()).contains(&procedural.shortest) {
            return Err("its synapses can't be made anew for each spike".to_string());
        }
    }
    if !weight
        || !delay
        || p.filter.is_some_and(|f| !in_build(f))
        || p.gain.is_some_and(|g| g.0 as usize >= target.dynamics.exprs.len())
    {
        return Err("its weight, delay, filter or gain is malformed".to_string());
    }
    let value = |w: &Weight| if let Weight::PerSynapse { value, .. } = w { Some(*value) } else { None };
    let time = |d: &Delay| if let Delay::PerSynapse { value, .. } = d { Some(*value) } else { None };
    // Other projections' columns stand in the same arena: only what this one evaluates is its own.
    let own = [value(&p.weight), time(&p.delay), p.filter];
    let stray = own
        .into_iter()
        .flatten()
        .any(|root| network.build.any(root, &mut |e| matches!(e, Expr::Column(k) if *k as usize >= p.columns.len())));
    if stray { Err("reads a column that its file does not have".to_string()) } else { Ok(()) }
}

fn check_subset(s: &Subset, size: u32) -> Result<(), String> {
    let ok = match s {
        Subset::All => true,
        Subset::Range(a, b) => a <= b && *b <= size,
        Subset::Cells(c) => c.windows(2).all(|w| w[0] < w[1]) && c.last().is_none_or(|l| *l < size),
    };
    if ok { Ok(()) } else { Err("its cells lie outside the population".to_string()) }
}

/// Checks that an experiment names populations, params and observables that its network has. What its expressions compute is
/// checked while they run.
pub fn protocol(unit: &crate::ir::artefact::Unit) -> Result<(), Invalid> {
    protocol::check(unit)
}
