//! How much memory a network will take, and how long its making, before anything is allocated.

use crate::connect::Rule;
use crate::ir::{Delay, Gather, Network, ParamKind, Projection, Spike, Weight};
use crate::units::bytes_text;

/// Bytes of one part of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub path: String,
    /// Cells or synapses.
    pub items: f64,
    pub bytes: f64,
    /// Seconds that one core takes to make it, to a factor of about two.
    pub seconds: f64,
}

/// Seconds per synapse: choosing its ends and storing it (Brunel's network: 12 ns); each formula that is drawn for it (uniform 70
/// ns, normal 180 ns). Processor time of the release build on a server core of 2020 or so.
const SYNAPSE: f64 = 1.5e-8;
const DRAW: f64 = 1.2e-7;
/// Seconds per pair that a rule or a `where` looks at without making a synapse.
const PAIR: f64 = 2e-9;
/// Seconds per state or param of a cell.
const CELL: f64 = 2e-8;
/// Bytes of a spike at a given step: the step and the element.
const SCHEDULED: f64 = 16.0;

/// Upper estimates: one entry per population and per projection. Random rules count their mean and six standard deviations, and
/// the largest projection what building it takes.
pub fn estimate(network: &Network) -> Vec<Estimate> {
    let mut out = Vec::new();
    let mut most = (0, 0.0);
    for (_, p) in network.populations() {
        let d = &p.dynamics;
        let arrays = d.states.len() + 2 + d.params.iter().filter(|q| !matches!(q.kind, ParamKind::Scalar(_))).count();
        // 24 bytes per cell keep the running statistics of its intervals.
        let given = match &d.spike {
            Spike::Schedule(trains) => trains.spikes(p.size) as f64 * SCHEDULED,
            _ => 0.0,
        };
        let bytes = f64::from(p.size) * (arrays as f64 * 8.0 + 24.0) + given;
        let seconds = f64::from(p.size) * arrays as f64 * CELL;
        out.push(Estimate { path: p.path.clone(), items: f64::from(p.size), bytes, seconds });
    }
    for (edge, from, to, p) in network.projections() {
        let (Some(source), Some(target)) = (network.population(from), network.population(to)) else { continue };
        let (n_pre, n_post) = (f64::from(p.pre.len(source.size)), f64::from(p.post.len(target.size)));
        let synapses = synapses(p, n_pre, n_post);
        let index = if target.size <= 1 << 16 { 2.0 } else { 4.0 };
        let weight = match p.weight {
            Weight::Constant(_) => 0.0,
            Weight::PerSynapse { single: true, .. } => 4.0,
            Weight::PerSynapse { .. } => 8.0,
        };
        let delay = match p.delay {
            Delay::Constant(_) => 0.0,
            Delay::PerSynapse { max, .. } => {
                if max < 256 {
                    1.0
                } else {
                    4.0
                }
            }
        };
        // What is made anew for each spike takes no room and no time beforehand.
        let kept = if p.procedural.is_some() { 0.0 } else { 1.0 };
        let rows = f64::from(source.size) * 8.0;
        let ring = f64::from(target.size) * f64::from(p.delay.max()) * 8.0;
        // Synapses that learn lie in lanes of one delay, with the lane and the place of each in order of targets, and their variables.
        let rule = network.plasticity.iter().find(|r| r.projection == edge);
        let each = rule.map_or(index + weight + delay, |r| index + 6.0 + r.bytes() as f64);
        let bytes = kept * (synapses * each + rows) + ring;
        // Source, weight and delay of each synapse as gathered, before they are sorted into rows.
        let gathered = kept * synapses * (4.0 + weight + delay);
        if gathered > most.1 {
            most = (out.len(), gathered);
        }
        let drawn = [matches!(p.weight, Weight::PerSynapse { .. }), matches!(p.delay, Delay::PerSynapse { .. })];
        let draws = drawn.iter().filter(|d| **d).count() as f64;
        let looked_at = if p.filter.is_some() { n_pre * n_post * PAIR } else { 0.0 };
        let seconds = kept * synapses * (SYNAPSE + draws * DRAW) + looked_at;
        out.push(Estimate { path: p.path.clone(), items: synapses, bytes, seconds });
    }
    // Projections are built one after the other.
    if let Some(largest) = out.get_mut(most.0) {
        largest.bytes += most.1;
    }
    for (_, from, to, p, coupling) in network.couplings() {
        let (Some(source), Some(target)) = (network.population(from), network.population(to)) else { continue };
        let (n_pre, n_post) = (f64::from(p.pre.len(source.size)), f64::from(p.post.len(target.size)));
        let synapses = synapses(p, n_pre, n_post) * if p.symmetric { 2.0 } else { 1.0 };
        // Classes of one cell each are the worst case; rows hold a source, a weight and perhaps a delay.
        let bytes = match (coupling.gather, p.weight) {
            (Gather::Classes, Weight::Constant(_)) => n_pre * 4.0,
            (Gather::Classes, Weight::PerSynapse { .. }) => synapses * 8.0,
            (Gather::Rows, _) => synapses * 16.0 * 1.3,
        };
        let ring = f64::from(source.size) * (f64::from(p.delay.max()) + 2.0) * 8.0;
        out.push(Estimate { path: p.path.clone(), items: synapses, bytes: bytes + ring, seconds: synapses * SYNAPSE });
    }
    out
}

fn synapses(p: &Projection, n_pre: f64, n_post: f64) -> f64 {
    match &p.spec.rule {
        Rule::OneToOne => n_post,
        Rule::AllToAll => n_pre * n_post,
        Rule::Bernoulli { p } => {
            let mean = p * n_pre * n_post;
            mean + 6.0 * (mean * (1.0 - p)).sqrt()
        }
        Rule::FixedIndegree { k } => f64::from(*k) * n_post,
        Rule::FixedOutdegree { k } => f64::from(*k) * n_pre,
        Rule::FixedTotalNumber { n } => *n as f64,
        Rule::Pairs { pre, .. } => pre.len() as f64,
    }
}

/// The estimate as a table, largest part first, at most `rows` lines.
pub fn table(parts: &[Estimate], rows: usize) -> String {
    let mut sorted: Vec<&Estimate> = parts.iter().collect();
    sorted.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    let mut out = String::new();
    for e in sorted.iter().take(rows) {
        out.push_str(&format!("{:>10}  {:>14.4e}  {}\n", bytes_text(e.bytes), e.items, e.path));
    }
    if sorted.len() > rows {
        out.push_str(&format!("      and {} more\n", sorted.len() - rows));
    }
    out
}
