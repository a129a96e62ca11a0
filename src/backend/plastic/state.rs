//! Saving and loading what a rule keeps: parts over ranges of targets become one state over all of them, and the other way round.

use super::Plastic;
use crate::backend::engine::RunError;
use crate::backend::state::{PlasticState, same, unfit};
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

impl Plastic {
    /// (presynaptic cell, synapse) in order of presynaptic, then postsynaptic cell.
    fn ordered(&self) -> Vec<(u32, u32)> {
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(self.targets.len());
        for (pre, lanes) in (0..).zip(self.sources.windows(2)) {
            let from = out.len();
            out.extend((self.starts[lanes[0] as usize]..self.starts[lanes[1] as usize]).map(|k| (pre, k)));
            out[from..].sort_by_key(|(_, k)| self.targets[*k as usize]);
        }
        out
    }

    /// (presynaptic cell, axonal delay) of each lane.
    fn lane_keys(&self) -> Vec<(u32, u32)> {
        let rows = (0..).zip(self.sources.windows(2));
        rows.flat_map(|(pre, l)| (l[0]..l[1]).map(move |lane| (pre, self.delays[lane as usize]))).collect()
    }

    /// What is here at the end of `step` steps; nothing is brought up to date.
    pub fn save(&self, step: u64) -> Part {
        let order = self.ordered();
        let pick = |v: &Vec<f64>| order.iter().map(|(_, k)| v[*k as usize]).collect();
        let slots = |ring: &[Vec<u32>], first: u32| -> Vec<(u64, u32)> {
            let at = |s: u64| ring[(s & (ring.len() as u64 - 1)) as usize].iter().map(move |e| (s, first + e));
            (step..step + ring.len() as u64).flat_map(at).collect()
        };
        let touched = if self.touched.is_empty() { &[][..] } else { &order };
        let mut pending = BTreeMap::new();
        for (place, slot, element, value) in &self.pending {
            let variable = self.slots.iter().position(|s| *s == (*place, *slot)).unwrap_or(0) as u32;
            let first = if *place == Place::Pre { 0 } else { self.lo };
            // Of several values the last one holds.
            pending.insert((variable, first + element), *value);
        }
        Part {
            sources: order.iter().map(|(pre, _)| *pre).collect(),
            presynaptic: self.slots.iter().map(|(place, _)| *place == Place::Pre).collect(),
            state: PlasticState {
                lanes: self.lane_keys(),
                pre: self.pre.clone(),
                post: self.post.clone(),
                synapse: self.synapse.iter().map(pick).collect(),
                touched: touched.iter().map(|(_, k)| self.touched[*k as usize]).collect(),
                due: slots(&self.due, 0),
                back: slots(&self.back, self.lo),
                pending: pending.into_iter().map(|((k, e), v)| (k, e, v)).collect(),
                frozen: self.frozen,
            },
        }
    }

    /// Takes over this range's part of a state at the end of `step` steps. `own` are the positions of its synapses among all, in
    /// order of presynaptic, then postsynaptic cell.
    pub fn load(&mut self, step: u64, state: &PlasticState, own: &[u32]) -> Result<(), RunError> {
        let order = self.ordered();
        let lanes = self.lane_keys();
        let at: Option<Vec<usize>> = lanes.iter().map(|l| state.lanes.binary_search(l).ok()).collect();
        let Some(at) = at else { return Err(unfit("axonal delays")) };
        same(own.len(), order.len(), "synapses of a rule")?;
        let total = state.synapse.first().map_or(0, Vec::len);
        let inside = own.iter().all(|k| (*k as usize) < total);
        let all = |rows: &[Vec<f64>], n: usize| rows.iter().all(|r| r.len() == n);
        same((state.synapse.len(), all(&state.synapse, total), inside), (self.synapse.len(), true, true), "synapses")?;
        same((state.pre.len(), all(&state.pre, state.lanes.len())), (self.pre.len(), true), "presynaptic traces")?;
        let (lo, n) = (self.lo as usize, self.n as usize);
        same(state.post.len(), self.post.len(), "postsynaptic traces")?;
        same(state.post.iter().all(|r| r.len() >= lo + n), true, "postsynaptic traces")?;
        let lazy = !self.touched.is_empty();
        same(!lazy || state.touched.len() == total, true, "times of synapses")?;

        for (values, saved) in self.pre.iter_mut().zip(&state.pre) {
            values.iter_mut().zip(&at).for_each(|(v, k)| *v = saved[*k]);
        }
        for (values, saved) in self.post.iter_mut().zip(&state.post) {
            values.copy_from_slice(&saved[lo..lo + n]);
        }
        for ((_, synapse), from) in order.iter().zip(own) {
            for (values, saved) in self.synapse.iter_mut().zip(&state.synapse) {
                values[*synapse as usize] = saved[*from as usize];
            }
            if lazy {
                self.touched[*synapse as usize] = state.touched[*from as usize];
            }
        }
        let lane = |k: u32| state.lanes.get(k as usize).and_then(|key| lanes.binary_search(key).ok()).map(|l| l as u32);
        let target = |cell: u32| cell.checked_sub(self.lo).filter(|t| *t < self.n);
        let spread = |ring: &mut Vec<Vec<u32>>, spikes: &[(u64, u32)], of: &dyn Fn(u32) -> Option<u32>| {
            ring.iter_mut().for_each(Vec::clear);
            for (at, element) in spikes.iter().filter_map(|(at, e)| Some((*at, of(*e)?))) {
                let slots = ring.len() as u64;
                same((step..step + slots).contains(&at), true, "spikes on their way to a rule")?;
                ring[(at & (slots - 1)) as usize].push(element);
            }
            Ok(())
        };
        spread(&mut self.due, &state.due, &lane)?;
        spread(&mut self.back, &state.back, &target)?;
        self.pending.clear();
        for (variable, element, value) in &state.pending {
            let Some((place, slot)) = self.slots.get(*variable as usize).copied() else { return Err(unfit("traces")) };
            let element = if place == Place::Pre { lane(*element) } else { target(*element) };
            self.pending.extend(element.map(|e| (place, slot, e, *value)));
        }
        self.frozen = state.frozen;
        Ok(())
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
        touched: order.iter().filter_map(|(_, part, k)| parts[*part].state.touched.get(*k).copied()).collect(),
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
