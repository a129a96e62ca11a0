//! What a rule keeps for a range of targets, saved and loaded: parts become one state over all targets, and the other way round.

use super::build::Lanes;
use super::engine::RunError;
use super::state::{PlasticState, same, unfit};
use crate::ir::plasticity::Place;
use std::collections::BTreeMap;

/// What one range of targets holds. Synapses stand in order of their presynaptic, then postsynaptic cell; `state.due` and
/// `state.pending` name lanes by their position in `state.lanes`.
pub struct Part {
    /// Presynaptic cell of each synapse.
    sources: Vec<u32>,
    /// Whether a variable is one of the presynaptic cell.
    presynaptic: Vec<bool>,
    state: PlasticState,
}

/// Where a range's synapses and variables lie.
pub struct Reach<'r> {
    pub lanes: &'r Lanes,
    /// First target of the range, and their number.
    pub lo: u32,
    pub n: u32,
    /// Of each variable its place and its position there.
    pub slots: &'r [(Place, usize)],
    /// Synapses come and go.
    pub changes: bool,
}

/// What a range holds, synapses in the order of its lanes.
#[derive(Default)]
pub struct Held {
    /// `[variable][lane]`, `[variable][target]`, `[variable][synapse]`
    pub pre: Vec<Vec<f64>>,
    pub post: Vec<Vec<f64>>,
    pub synapse: Vec<Vec<f64>>,
    /// Step at whose end each synapse was brought up to date; empty where all are in every step.
    pub touched: Vec<u64>,
    /// What integrals added up since all synapses were up to date.
    pub integrals: Vec<Vec<f64>>,
    /// Lanes and targets whose spikes are on their way, by step: rings of a power of two.
    pub due: Vec<Vec<u32>>,
    pub back: Vec<Vec<u32>>,
    /// What traces take with the next step: (place, position there, lane or target, value).
    pub pending: Vec<(Place, usize, u32, f64)>,
    pub frozen: bool,
}

/// Which of all synapses are those of a range: their positions in the list, and their two cells, the second counted in the range.
pub fn own_edges(edges: &[(u32, u32)], lo: u32, n: u32) -> (Vec<u32>, Vec<(u32, u32)>) {
    let inside = (0..).zip(edges).filter(|(_, (_, post))| (lo..lo + n).contains(post));
    inside.map(|(k, (pre, post))| (k, (*pre, post - lo))).unzip()
}

impl Reach<'_> {
    /// (presynaptic cell, axonal delay) of each lane.
    fn lane_keys(&self) -> Vec<(u32, u32)> {
        self.lanes.neurons().into_iter().zip(self.lanes.delays.iter().copied()).collect()
    }
}

impl Held {
    /// The part of a state at the end of `step` steps.
    pub fn save(self, reach: &Reach, step: u64) -> Part {
        let order: Vec<(u32, u32)> = reach.lanes.ordered().collect();
        let pick = |v: &Vec<f64>| order.iter().map(|(_, k)| v[*k as usize]).collect();
        let slots = |ring: &[Vec<u32>], first: u32| -> Vec<(u64, u32)> {
            let at = |s: u64| ring[(s & (ring.len() as u64 - 1)) as usize].iter().map(move |e| (s, first + e));
            (step..step + ring.len() as u64).flat_map(at).collect()
        };
        let touched = if self.touched.is_empty() { &[][..] } else { &order };
        let mut pending = BTreeMap::new();
        for (place, slot, element, value) in &self.pending {
            let variable = reach.slots.iter().position(|s| *s == (*place, *slot)).unwrap_or(0) as u32;
            let first = if *place == Place::Pre { 0 } else { reach.lo };
            // Of several values the last one holds.
            pending.insert((variable, first + element), *value);
        }
        Part {
            sources: order.iter().map(|(pre, _)| *pre).collect(),
            presynaptic: reach.slots.iter().map(|(place, _)| *place == Place::Pre).collect(),
            state: PlasticState {
                lanes: reach.lane_keys(),
                edges: if reach.changes { reach.lanes.edges(reach.lo) } else { Vec::new() },
                synapse: self.synapse.iter().map(pick).collect(),
                touched: touched.iter().map(|(_, k)| self.touched[*k as usize]).collect(),
                integrals: self.integrals,
                due: slots(&self.due, 0),
                back: slots(&self.back, reach.lo),
                pending: pending.into_iter().map(|((k, e), v)| (k, e, v)).collect(),
                pre: self.pre,
                post: self.post,
                frozen: self.frozen,
            },
        }
    }

    /// This range's part of a state at the end of `step` steps. `rings` are the lengths of `due` and `back`, `own` the positions of
    /// the range's synapses among all, in order of presynaptic, then postsynaptic cell.
    ///
    /// # Errors
    /// [`RunError::Build`] where the state is another network's.
    pub fn load(
        reach: &Reach,
        rings: (usize, usize),
        lazy: bool,
        step: u64,
        state: &PlasticState,
        own: &[u32],
    ) -> Result<Held, RunError> {
        let order: Vec<(u32, u32)> = reach.lanes.ordered().collect();
        let lanes = reach.lane_keys();
        let at: Option<Vec<usize>> = lanes.iter().map(|l| state.lanes.binary_search(l).ok()).collect();
        let Some(at) = at else { return Err(unfit("axonal delays")) };
        same(own.len(), order.len(), "synapses of a rule")?;
        let total = state.synapse.first().map_or(0, Vec::len);
        let inside = own.iter().all(|k| (*k as usize) < total);
        let all = |rows: &[Vec<f64>], n: usize| rows.iter().all(|r| r.len() == n);
        let count = |place| reach.slots.iter().filter(|(p, _)| *p == place).count();
        let found = (state.synapse.len(), all(&state.synapse, total), inside);
        same(found, (count(Place::Synapse), true, true), "synapses")?;
        let found = (state.pre.len(), all(&state.pre, state.lanes.len()));
        same(found, (count(Place::Pre), true), "presynaptic traces")?;
        let (lo, n) = (reach.lo as usize, reach.n as usize);
        same(state.post.len(), count(Place::Post), "postsynaptic traces")?;
        same(state.post.iter().all(|r| r.len() >= lo + n), true, "postsynaptic traces")?;
        same(!lazy || state.touched.len() == total, true, "times of synapses")?;
        same(state.touched.iter().all(|t| *t <= step), true, "times of synapses")?;

        let mut touched = vec![0; if lazy { order.len() } else { 0 }];
        let mut synapse = vec![vec![0.0; order.len()]; state.synapse.len()];
        for ((_, k), from) in order.iter().zip(own) {
            for (values, saved) in synapse.iter_mut().zip(&state.synapse) {
                values[*k as usize] = saved[*from as usize];
            }
            if lazy {
                touched[*k as usize] = state.touched[*from as usize];
            }
        }
        let lane = |k: u32| state.lanes.get(k as usize).and_then(|key| lanes.binary_search(key).ok()).map(|l| l as u32);
        let target = |cell: u32| cell.checked_sub(reach.lo).filter(|t| *t < reach.n);
        let spread = |slots: usize, spikes: &[(u64, u32)], of: &dyn Fn(u32) -> Option<u32>| {
            let mut ring = vec![Vec::new(); slots];
            for (at, element) in spikes.iter().filter_map(|(at, e)| Some((*at, of(*e)?))) {
                same((step..step + slots as u64).contains(&at), true, "spikes on their way to a rule")?;
                ring[(at & (slots as u64 - 1)) as usize].push(element);
            }
            Ok(ring)
        };
        let mut pending = Vec::new();
        for (variable, element, value) in &state.pending {
            let Some((place, slot)) = reach.slots.get(*variable as usize).copied() else { return Err(unfit("traces")) };
            let element = if place == Place::Pre { lane(*element) } else { target(*element) };
            pending.extend(element.map(|e| (place, slot, e, *value)));
        }
        same(pending.iter().all(|(place, ..)| *place != Place::Synapse), true, "traces")?;
        Ok(Held {
            pre: state.pre.iter().map(|saved| at.iter().map(|k| saved[*k]).collect()).collect(),
            post: state.post.iter().map(|saved| saved[lo..lo + n].to_vec()).collect(),
            synapse,
            touched,
            integrals: state.integrals.clone(),
            due: spread(rings.0, &state.due, &lane)?,
            back: spread(rings.1, &state.back, &target)?,
            pending,
            frozen: state.frozen,
        })
    }
}

/// The parts of all targets, ascending, as one state.
pub fn merge(parts: Vec<Part>) -> PlasticState {
    let mut lanes: Vec<(u32, u32)> = parts.iter().flat_map(|p| p.state.lanes.iter().copied()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let mut order: Vec<(u32, usize, usize)> = Vec::new();
    for (part, p) in parts.iter().enumerate() {
        order.extend(p.sources.iter().enumerate().map(|(k, pre)| (*pre, part, k)));
    }
    // Stable, and parts ascend: targets ascend within a row.
    order.sort_by_key(|(pre, ..)| *pre);
    let widths = parts.first().map_or((0, 0, 0), |p| (p.state.pre.len(), p.state.post.len(), p.state.synapse.len()));
    let mut out = PlasticState {
        pre: vec![vec![0.0; lanes.len()]; widths.0],
        post: vec![Vec::new(); widths.1],
        synapse: (0..widths.2)
            .map(|v| order.iter().map(|(_, part, k)| parts[*part].state.synapse[v][*k]).collect())
            .collect(),
        edges: order.iter().filter_map(|(_, part, k)| parts[*part].state.edges.get(*k).copied()).collect(),
        touched: order.iter().filter_map(|(_, part, k)| parts[*part].state.touched.get(*k).copied()).collect(),
        // A range without cells reads no level.
        integrals: parts
            .iter()
            .map(|p| &p.state.integrals)
            .max_by_key(|i| (i.len(), i.first().map_or(0, Vec::len)))
            .cloned()
            .unwrap_or_default(),
        frozen: parts.iter().any(|p| p.state.frozen),
        ..PlasticState::default()
    };
    let mut pending = BTreeMap::new();
    for Part { presynaptic, state, .. } in parts {
        let at: Vec<usize> = state.lanes.iter().map(|l| lanes.binary_search(l).unwrap_or(0)).collect();
        for (all, values) in out.pre.iter_mut().zip(&state.pre) {
            // A lane that several ranges have is the same in each.
            values.iter().zip(&at).for_each(|(v, k)| all[*k] = *v);
        }
        out.post.iter_mut().zip(&state.post).for_each(|(all, part)| all.extend(part));
        out.due.extend(state.due.iter().map(|(s, lane)| (*s, at[*lane as usize] as u32)));
        out.back.extend(&state.back);
        for (variable, element, value) in state.pending {
            let lane = presynaptic[variable as usize];
            pending.insert((variable, if lane { at[element as usize] as u32 } else { element }), value);
        }
    }
    out.due.sort_unstable();
    out.due.dedup();
    out.back.sort_unstable();
    out.pending = pending.into_iter().map(|((k, e), v)| (k, e, v)).collect();
    out.lanes = lanes;
    out
}
