//! Which receptors lie side by side in one ring buffer, and which projections share the rows of their source.
//!
//! A spike of a source with many targets costs a place in memory for each row that it has, so what can be delivered as one row is one:
//! a *tract* holds the synapses of one source onto all receptors of a *field*, which is one ring buffer over the cells of several
//! populations. What a receptor sums is what it sums without, in the same order: tracts are delivered in the order of their
//! projections wherever these land on the same receptor.

use super::plan::Plan;
use super::procedural::Procedural;
use super::worker::{Block, Landing, Member, Tract};
use crate::backend::build::{self, SynapsePlan, positions};
use crate::backend::engine::RunError;
use crate::connect::Sources;
use crate::ir::{Delay, Network, ProjectionId, Weight};
use crate::runtime::{DelayForm, Indices, Ring, RingKind, RowsBuilder, WeightForm};
use std::collections::{HashMap, HashSet};

/// A population's receptor: positions of the population and of the ring in its plan.
type Receptor = (usize, usize);

/// A ring buffer over the cells of receptors.
pub struct Field {
    pub kind: RingKind,
    /// What is to come may wait in lists, of rows that are stored.
    pub steady: bool,
    /// Longest delay, steps.
    pub longest: u32,
    /// In the order of their places, each with the cells of its population one after the other.
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

impl TractPlan {
    /// Its projections in words: the first and how many more.
    pub fn name(&self, network: &Network, ids: &[ProjectionId]) -> String {
        let first = self.projections.iter().min().map_or("", |j| network.graph[ids[*j]].path.as_str());
        match self.projections.len() {
            0 | 1 => first.to_string(),
            n => format!("{first} and {} more", n - 1),
        }
    }
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
            learns: network.rule(id).is_some(),
            procedural: p.procedural.is_some(),
            written,
        })
    }
}

impl Tracts {
    /// For shares in which population k has `cells[k]` places at most and is computed with the others of fleet `fleets[k]`. `ids` and
    /// `synapses` are those of the network in order.
    pub fn new(
        network: &Network,
        ids: &[ProjectionId],
        synapses: &[SynapsePlan],
        plans: &[Plan],
        (cells, fleets): (&[u64], &[usize]),
    ) -> Tracts {
        let candidates: Vec<Option<Candidate>> =
            ids.iter().zip(synapses).map(|(id, s)| Candidate::new(network, *id, s, plans)).collect();
        let fields = fields(&candidates, plans, cells, fleets);
        let places = fields.iter().enumerate().flat_map(|(k, f)| f.receptors.iter().map(move |r| (*r, k)));
        let field_of: HashMap<Receptor, usize> = places.collect();
        let mut tracts: Vec<TractPlan> = Vec::new();
        // The last tract that lands on each receptor.
        let mut last: HashMap<Receptor, usize> = HashMap::new();
        for (j, c) in candidates.iter().enumerate() {
            // Rules keep the synapses of what learns.
            let Some(c) = c.as_ref().filter(|c| !c.learns) else { continue };
            let field = field_of[&c.receptor];
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
        let place = |j: &usize| receptors[*j].map(|r| place(r, fleets));
        tracts.iter_mut().for_each(|t| t.projections.sort_by_key(place));
        Tracts { fields, tracts, receptors }
    }

    /// The rings of a share, where its blocks find them.
    pub fn rings(&self, plans: &[Plan], blocks: &mut [Block]) -> Vec<Ring> {
        for (block, plan) in blocks.iter_mut().zip(plans) {
            block.landings = vec![Landing { ring: 0, at: 0 }; plan.rings.len()];
        }
        let ring = |(k, field): (usize, &Field)| {
            let mut places = 0;
            for (population, receptor) in &field.receptors {
                let block = &mut blocks[*population];
                block.landings[*receptor] = Landing { ring: k, at: places };
                places += block.places();
            }
            match field.steady {
                true => Ring::of_steady(places, field.longest),
                false => Ring::new(field.kind, places, field.longest),
            }
        };
        self.fields.iter().enumerate().map(ring).collect()
    }

    /// Population and ring that a projection lands on.
    pub fn receptor(&self, projection: usize) -> Option<(usize, usize)> {
        self.receptors[projection]
    }
}

/// The order of receptors: those of the same ring in the kernels of a fleet lie side by side.
fn place((population, ring): Receptor, fleets: &[usize]) -> (usize, usize, usize) {
    (fleets[population], ring, population)
}

/// Places of a fleet that begin with one field. What sources reach is joined as far as offsets of 16 bits allow, so that a fleet falls
/// into a few pieces, whichever of its cells they reach.
const GROUP: u64 = 1 << 14;

/// Receptors that a fleet reads or that a source reaches with equal rows, together as far as 16-bit offsets reach.
fn fields(candidates: &[Option<Candidate>], plans: &[Plan], cells: &[u64], fleets: &[usize]) -> Vec<Field> {
    let among = |f: fn(&Candidate) -> bool| -> HashSet<Receptor> {
        candidates.iter().flatten().filter(|c| f(c)).map(|c| c.receptor).collect()
    };
    let procedural = among(|c| c.procedural);
    // Rules and rows that are made anew know the ring of one population alone.
    let apart = among(|c| c.learns || c.procedural);
    let size = |f: &Field| f.receptors.iter().map(|(p, _)| cells[*p]).sum::<u64>();
    let like = |a: &Field, b: &Field| {
        (a.kind, a.steady, a.longest.next_power_of_two()) == (b.kind, b.steady, b.longest.next_power_of_two())
    };
    let mut fields: Vec<Field> = Vec::new();
    let mut field_of: HashMap<Receptor, usize> = HashMap::new();
    // Of each ring of each fleet, the last field.
    let mut last: HashMap<(usize, usize), usize> = HashMap::new();
    for (population, plan) in plans.iter().enumerate() {
        for (k, ring) in plan.rings.iter().enumerate() {
            let receptor = (population, k);
            let steady = ring.steady && !procedural.contains(&receptor);
            let own = Field { kind: ring.kind, steady, longest: ring.longest, receptors: vec![receptor] };
            let open = last.get(&(fleets[population], k)).copied().filter(|f| {
                !apart.contains(&receptor) && like(&fields[*f], &own) && size(&fields[*f]) + size(&own) <= GROUP
            });
            if let Some(into) = open {
                fields[into].longest = fields[into].longest.max(own.longest);
                fields[into].receptors.push(receptor);
                field_of.insert(receptor, into);
                continue;
            }
            if !apart.contains(&receptor) {
                last.insert((fleets[population], k), fields.len());
            }
            field_of.insert(receptor, fields.len());
            fields.push(own);
        }
    }
    let joins = |c: &&Candidate| !c.written && !apart.contains(&c.receptor);
    let fits = |a: &Field, b: &Field| like(a, b) && Indices::fit(size(a) + size(b));
    // By source and weights, the fields that its projections lead to.
    let mut reached: HashMap<(usize, WeightForm), Vec<(usize, DelayForm)>> = HashMap::new();
    for c in candidates.iter().flatten().filter(joins) {
        let own = field_of[&c.receptor];
        let others = reached.entry((c.source, c.weights)).or_default();
        let other = others.iter().find(|(f, d)| *f != own && d.is_like(c.delays) && fits(&fields[*f], &fields[own]));
        let Some((into, _)) = other.copied() else {
            if !others.iter().any(|(f, d)| *f == own && d.is_like(c.delays)) {
                others.push((own, c.delays));
            }
            continue;
        };
        join(&mut fields, &mut field_of, own, into);
        reached.values_mut().flatten().filter(|(f, _)| *f == own).for_each(|(f, _)| *f = into);
    }
    fields.retain(|f| !f.receptors.is_empty());
    fields.iter_mut().for_each(|f| f.receptors.sort_unstable_by_key(|r| place(*r, fleets)));
    fields
}

/// Moves the receptors of a field to another.
fn join(fields: &mut [Field], field_of: &mut HashMap<Receptor, usize>, own: usize, into: usize) {
    let moved = std::mem::take(&mut fields[own].receptors);
    moved.iter().for_each(|receptor| {
        field_of.insert(*receptor, into);
    });
    fields[into].longest = fields[into].longest.max(fields[own].longest);
    fields[into].receptors.extend(moved);
}

pub fn nowhere(network: &Network, id: ProjectionId) -> RunError {
    RunError::Build(format!("projection {} lands nowhere", network.graph[id].path))
}

/// Makes the rows of a share.
pub struct TractBuilder<'b> {
    pub network: &'b Network,
    pub ids: &'b [ProjectionId],
    pub plans: &'b [SynapsePlan<'b>],
    pub procedural: &'b [Option<build::Procedural>],
    pub tracts: &'b Tracts,
}

impl TractBuilder<'_> {
    pub fn build(
        &self,
        plan: &TractPlan,
        rings: &[Ring],
        blocks: &[Block],
        synapses: &[Option<build::Synapses>],
        estimates: &[build::Estimate],
    ) -> Result<Tract, RunError> {
        let sources = self.plans[plan.projections[0]].source().1.size;
        let stored = plan.projections.iter().filter(|j| synapses[**j].is_some());
        let expected: f64 = stored
            .map(|j| {
                let (target, population) = self.plans[*j].target();
                estimates[*j].synapses * f64::from(blocks[target].n) / f64::from(population.size.max(1))
            })
            .sum();
        let (mut members, mut made) = (Vec::new(), None);
        let n_pre = if plan.projections.iter().all(|j| synapses[*j].is_none()) { 0 } else { sources };
        let range = rings[plan.field].stride as u32;
        let mut builder = RowsBuilder::new(n_pre, range, expected as usize, plan.weights, plan.delays);
        for j in plan.projections.iter().copied() {
            let (p, (target, population)) = (&self.network.graph[self.ids[j]], self.plans[j].target());
            let Some((_, receptor)) = self.tracts.receptor(j) else { return Err(nowhere(self.network, self.ids[j])) };
            let block = &blocks[target];
            let (at, lo, n) = (block.landings[receptor].at as u32, block.lo, block.n);
            let posts = positions(&p.post, population.size, lo, lo + n);
            let mut count = 0;
            if let Some(whole) = &self.procedural[j] {
                made = Some(Procedural::new(whole, posts, lo, self.plans[j].constants())?);
            } else if let Some(synapses) = synapses[j].as_ref().filter(|_| builder.takes_marks()) {
                synapses.alike(posts, &mut |post, sources| match sources {
                    Sources::Listed(pres) => {
                        count += pres.len() as u64;
                        builder.push(at + post - lo, pres, &[], &[]);
                    }
                    Sources::Marked(words) => {
                        count += words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                        builder.push_marked(at + post - lo, words);
                    }
                })?;
            } else if let Some(synapses) = &synapses[j] {
                let constant = match p.weight {
                    Weight::Constant(w) if self.network.mutable.contains(&self.ids[j]) => Some(w),
                    _ => None,
                };
                let mut filled = Vec::new();
                synapses.incoming(posts, &mut |post, pres, weights, delays| {
                    let weights = match constant {
                        Some(w) => {
                            filled.clear();
                            filled.resize(pres.len(), w);
                            &filled
                        }
                        None => weights,
                    };
                    count += pres.len() as u64;
                    builder.push(at + post - lo, pres, weights, delays)
                })?;
            }
            members.push(Member { projection: j, at, lo, n, synapses: count });
        }
        let (source, ring, rows) = (plan.source, plan.field, builder.finish());
        let rows = if rings[ring].is_queued() { rows.by_delay() } else { rows.with_ties_by_delay() };
        Ok(Tract { source, ring, sources, members, rows, procedural: made })
    }
}
