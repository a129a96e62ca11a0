//! Which receptors lie side by side in one ring buffer, and which projections share the rows of their source.
//!
//! A spike of a source with many targets costs a place in memory for each row that it has, so what can be delivered as one row is one:
//! a *tract* holds the synapses of one source onto all receptors of a *field*, which is one ring buffer over the cells of several
//! populations. What a receptor sums is what it sums without, in the same order: tracts are delivered in the order of their
//! projections wherever these land on the same receptor.

use super::plan::Plan;
use crate::backend::build::SynapsePlan;
use crate::ir::{Delay, Network, ProjectionId, Weight};
use crate::runtime::{DelayForm, Indices, RingKind, WeightForm};
use std::collections::HashMap;

/// A population's receptor: positions of the population and of the ring in its plan.
type Receptor = (usize, usize);

/// A ring buffer over the cells of receptors.
pub struct Field {
    pub kind: RingKind,
    /// What is to come may wait in lists, of rows that are stored.
    pub steady: bool,
    /// Longest delay, steps.
    pub longest: u32,
    /// Ascending, each with the cells of its population one after the other.
    pub receptors: Vec<Receptor>,
}

/// Projections that share rows, or one that is made anew for each spike.
pub struct TractPlan {
    /// Position of the source population.
    pub source: usize,
    pub field: usize,
    pub weights: WeightForm,
    pub delays: DelayForm,
    /// Positions in the network, in the order of their receptors in the field.
    pub projections: Vec<usize>,
    /// Nothing may be added: weights are written, or rows are not stored.
    alone: bool,
}

/// The fields and tracts of a network.
pub struct Tracts {
    pub fields: Vec<Field>,
    pub tracts: Vec<TractPlan>,
    /// Receptor of each projection; none where it has no ring.
    receptors: Vec<Option<Receptor>>,
}

/// A projection with what decides about its place.
struct Candidate {
    receptor: Receptor,
    source: usize,
    weights: WeightForm,
    delays: DelayForm,
    learns: bool,
    procedural: bool,
    written: bool,
}

impl Candidate {
    fn new(network: &Network, id: ProjectionId, synapses: &SynapsePlan, plans: &[Plan]) -> Option<Candidate> {
        let p = &network.graph[id];
        let (target, _) = synapses.target();
        let ring = plans[target].rings.iter().position(|r| r.projections.contains(&id))?;
        let written = network.mutable.contains(&id);
        Some(Candidate {
            receptor: (target, ring),
            source: synapses.source().0,
            weights: match p.weight {
                // What is written has all its digits.
                _ if written => WeightForm::Double,
                Weight::Constant(_) => WeightForm::Constant,
                Weight::PerSynapse { single: true, .. } => WeightForm::Single,
                Weight::PerSynapse { .. } => WeightForm::Double,
            },
            delays: match p.delay {
                Delay::Constant(d) => DelayForm::Constant(d),
                Delay::PerSynapse { max, .. } => DelayForm::AtMost(max.max(1)),
            },
            learns: network.plasticity.iter().any(|r| r.projection == id),
            procedural: p.procedural.is_some(),
            written,
        })
    }
}

impl Tracts {
    /// For shares in which population k has `cells[k]` places at most. `ids` and `synapses` are those of the network in order.
    pub fn new(
        network: &Network,
        ids: &[ProjectionId],
        synapses: &[SynapsePlan],
        plans: &[Plan],
        cells: &[u64],
    ) -> Tracts {
        let candidates: Vec<Option<Candidate>> =
            ids.iter().zip(synapses).map(|(id, s)| Candidate::new(network, *id, s, plans)).collect();
        let fields = fields(&candidates, plans, cells);
        let field_of = |receptor: Receptor| fields.iter().position(|f| f.receptors.contains(&receptor));
        let mut tracts: Vec<TractPlan> = Vec::new();
        // The last tract that lands on each receptor.
        let mut last: HashMap<Receptor, usize> = HashMap::new();
        for (j, c) in candidates.iter().enumerate() {
            let Some((c, field)) = c.as_ref().and_then(|c| Some((c, field_of(c.receptor)?))) else { continue };
            if c.learns {
                continue;
            }
            let alone = c.procedural || c.written;
            let from = last.get(&c.receptor).map_or(0, |tract| tract + 1);
            let open = |t: &TractPlan| {
                !alone
                    && !t.alone
                    && (t.source, t.field, t.weights) == (c.source, field, c.weights)
                    && t.delays.is_like(c.delays)
            };
            let at = (from..tracts.len()).find(|at| open(&tracts[*at]));
            let at = at.unwrap_or_else(|| {
                let (source, weights, delays) = (c.source, c.weights, c.delays);
                tracts.push(TractPlan { source, field, weights, delays, projections: Vec::new(), alone });
                tracts.len() - 1
            });
            if let (DelayForm::AtMost(most), DelayForm::AtMost(own)) = (&mut tracts[at].delays, c.delays) {
                *most = own.max(*most);
            }
            tracts[at].projections.push(j);
            last.insert(c.receptor, at);
        }
        let receptors: Vec<Option<Receptor>> = candidates.iter().map(|c| c.as_ref().map(|c| c.receptor)).collect();
        tracts.iter_mut().for_each(|t| t.projections.sort_by_key(|j| receptors[*j]));
        Tracts { fields, tracts, receptors }
    }

    /// Population and ring that a projection lands on.
    pub fn receptor(&self, projection: usize) -> Option<(usize, usize)> {
        self.receptors[projection]
    }
}

/// Receptors that a source reaches with equal rows, together as far as 16-bit offsets reach.
fn fields(candidates: &[Option<Candidate>], plans: &[Plan], cells: &[u64]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut field_of: HashMap<Receptor, usize> = HashMap::new();
    for (population, plan) in plans.iter().enumerate() {
        for (k, ring) in plan.rings.iter().enumerate() {
            field_of.insert((population, k), fields.len());
            let made = |c: &&Candidate| c.procedural && c.receptor == (population, k);
            let steady = ring.steady && !candidates.iter().flatten().any(|c| made(&c));
            let (kind, longest) = (ring.kind, ring.longest);
            fields.push(Field { kind, steady, longest, receptors: vec![(population, k)] });
        }
    }
    // Rules and rows that are made anew know the ring of one population alone.
    let apart: Vec<Receptor> =
        candidates.iter().flatten().filter(|c| c.learns || c.procedural).map(|c| c.receptor).collect();
    let joins = |c: &&Candidate| !c.written && !apart.contains(&c.receptor);
    // By source and weights, the fields that its projections lead to.
    let mut reached: HashMap<(usize, WeightForm), Vec<(usize, DelayForm)>> = HashMap::new();
    for c in candidates.iter().flatten().filter(joins) {
        let own = field_of[&c.receptor];
        let others = reached.entry((c.source, c.weights)).or_default();
        let size = |f: &Field| f.receptors.iter().map(|(p, _)| cells[*p]).sum::<u64>();
        let fits = |a: &Field, b: &Field| {
            (a.kind, a.steady, a.longest.next_power_of_two()) == (b.kind, b.steady, b.longest.next_power_of_two())
                && Indices::fit(size(a) + size(b))
        };
        let other = others.iter().find(|(f, d)| *f != own && d.is_like(c.delays) && fits(&fields[*f], &fields[own]));
        let Some((into, _)) = other.copied() else {
            others.push((own, c.delays));
            continue;
        };
        let moved = std::mem::take(&mut fields[own].receptors);
        moved.iter().for_each(|receptor| {
            field_of.insert(*receptor, into);
        });
        fields[into].longest = fields[into].longest.max(fields[own].longest);
        fields[into].receptors.extend(moved);
        reached.values_mut().flatten().filter(|(f, _)| *f == own).for_each(|(f, _)| *f = into);
    }
    fields.retain(|f| !f.receptors.is_empty());
    fields.iter_mut().for_each(|f| f.receptors.sort_unstable());
    fields
}
