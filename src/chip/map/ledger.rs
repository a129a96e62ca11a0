//! The books of a partition: which unit lies in which core, and what that takes. Every change goes through `place` and `remove`,
//! which keep all sums; `check` recomputes them from nothing.

use super::hypergraph::{Hypergraph, NONE, Net};
use super::resource::{Limits, Resource, Usage};
use crate::chip::target::{Costs, Target};

/// The cost of a packet, in units of what a packet pays for leaving its core. At SANA-FE's figures for Loihi 1 sending takes
/// 111 pJ and four hops about 14.
pub(super) const SEND: u64 = 8;

#[derive(Clone)]
pub(super) struct Ledger<'a> {
    pub h: &'a Hypergraph,
    pub limits: &'a Limits,
    /// Core of each unit, or [`NONE`].
    pub core_of: Vec<u32>,
    /// Units of each core, in no order that means anything; `place_in` finds them.
    pub units: Vec<Vec<u32>>,
    place_in: Vec<u32>,
    pub usage: Vec<Usage>,
    pub domain: Vec<u32>,
    /// Packets per step (in [`super::hypergraph::ONE`]th), all and those that stay in their core.
    pub packets: u64,
    pub inside: u64,
    /// Work per step of each core on what it sends and on what it receives, in units of `Time`.
    pub sends: Vec<u64>,
    pub receives: Vec<u64>,
    time: Time,
    /// For each net, at the place of its pins: cores that it reaches, ascending.
    reached: Vec<u32>,
    reach: Vec<Reach>,
    /// Users of each item in each core.
    item_users: Vec<u32>,
}

/// A core that a net reaches, and its synapses there.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach {
    pub core: u32,
    pub synapses: u32,
}

/// Times in tenths of a nanosecond, so that loads are whole numbers.
#[derive(Clone, Copy)]
struct Time {
    compartment: u64,
    spike: u64,
    packet_out: u64,
    packet_in: u64,
    synapse: u64,
}

impl Time {
    fn new(costs: &Costs) -> Time {
        let tenths = |ns: f64| (ns * 10.0).round() as u64;
        Time {
            compartment: tenths(costs.neuron_ns),
            spike: tenths(costs.spike_ns),
            packet_out: tenths(costs.packet_out_ns),
            packet_in: tenths(costs.packet_in_ns),
            synapse: tenths(costs.synapse_ns),
        }
    }
}

impl<'a> Ledger<'a> {
    pub fn new(h: &'a Hypergraph, limits: &'a Limits, target: &Target) -> Ledger<'a> {
        Ledger {
            h,
            limits,
            core_of: vec![NONE; h.units() as usize],
            units: Vec::new(),
            place_in: vec![0; h.units() as usize],
            usage: Vec::new(),
            domain: Vec::new(),
            packets: 0,
            inside: 0,
            sends: Vec::new(),
            receives: Vec::new(),
            time: Time::new(&target.costs),
            reached: vec![0; h.nets() as usize],
            reach: vec![Reach::default(); h.pins.len()],
            item_users: Vec::new(),
        }
    }

    pub fn cores(&self) -> u32 {
        self.usage.len() as u32
    }

    /// What is minimised: packets, and a little for each that leaves its core.
    pub fn cost(&self) -> u64 {
        (SEND + 1) * self.packets - self.inside
    }

    /// An empty core for units of a domain.
    pub fn open(&mut self, domain: u32) -> u32 {
        self.units.push(Vec::new());
        self.usage.push(Usage::default());
        self.domain.push(domain);
        self.sends.push(0);
        self.receives.push(0);
        self.item_users.resize(self.usage.len() * self.h.item_cost.len(), 0);
        self.cores() - 1
    }

    /// The cores that a net reaches, ascending.
    pub fn reach(&self, net: u32) -> &[Reach] {
        let start = self.h.net[net as usize].start;
        &self.reach[start..start + self.reached[net as usize] as usize]
    }

    /// Synapses of a net in a core.
    pub fn synapses(&self, net: u32, core: u32) -> u32 {
        let reach = self.reach(net);
        reach.binary_search_by_key(&core, |r| r.core).map_or(0, |i| reach[i].synapses)
    }

    pub fn reaches(&self, net: u32, core: u32) -> bool {
        self.reach(net).binary_search_by_key(&core, |r| r.core).is_ok()
    }

    /// Puts a unit that lies nowhere into a core, whether it fits or not.
    pub fn place(&mut self, unit: u32, core: u32) {
        let h = self.h;
        for (net, many) in h.inputs.row(unit) {
            self.reach_more(*net, core, *many);
        }
        let mut axons = 0;
        for net in h.owned.row(unit) {
            let reached = u64::from(self.reached[*net as usize]);
            axons += reached;
            let w = h.net[*net as usize].weight;
            self.sends[core as usize] += w * reached * self.time.packet_out;
            if self.reaches(*net, core) {
                self.inside += w;
            }
        }
        for item in h.items.row(unit) {
            self.use_item(core, *item);
        }
        let usage = &mut self.usage[core as usize];
        usage.add(&h.fixed[unit as usize]);
        usage[Resource::AxonsOut] += axons;
        self.sends[core as usize] += self.own_work(unit);
        self.core_of[unit as usize] = core;
        self.place_in[unit as usize] = self.units[core as usize].len() as u32;
        self.units[core as usize].push(unit);
    }

    /// Takes a unit out of its core.
    pub fn remove(&mut self, unit: u32) {
        let h = self.h;
        let core = self.core_of[unit as usize];
        self.core_of[unit as usize] = NONE;
        let at = self.place_in[unit as usize] as usize;
        self.units[core as usize].swap_remove(at);
        if let Some(moved) = self.units[core as usize].get(at) {
            self.place_in[*moved as usize] = at as u32;
        }
        let mut axons = 0;
        for net in h.owned.row(unit) {
            let reached = u64::from(self.reached[*net as usize]);
            axons += reached;
            let w = h.net[*net as usize].weight;
            self.sends[core as usize] -= w * reached * self.time.packet_out;
            if self.reaches(*net, core) {
                self.inside -= w;
            }
        }
        for item in h.items.row(unit) {
            self.drop_item(core, *item);
        }
        let usage = &mut self.usage[core as usize];
        usage.subtract(&h.fixed[unit as usize]);
        usage[Resource::AxonsOut] -= axons;
        self.sends[core as usize] -= self.own_work(unit);
        for (net, many) in h.inputs.row(unit) {
            self.reach_less(*net, core, *many);
        }
    }

    pub fn shift(&mut self, unit: u32, core: u32) {
        self.remove(unit);
        self.place(unit, core);
    }

    fn own_work(&self, unit: u32) -> u64 {
        let each_step = self.h.compartments[unit as usize] * super::hypergraph::ONE as u64;
        each_step * self.time.compartment + self.h.spikes[unit as usize] * self.time.spike
    }

    fn reach_more(&mut self, net: u32, core: u32, many: u32) {
        let h = self.h;
        let Net { start, weight: w, .. } = h.net[net as usize];
        let reached = self.reached[net as usize] as usize;
        let usage = &mut self.usage[core as usize];
        usage[Resource::Synapses] += u64::from(many);
        self.receives[core as usize] += w * u64::from(many) * self.time.synapse;
        match self.reach[start..start + reached].binary_search_by_key(&core, |r| r.core) {
            Ok(i) => {
                let before = u64::from(self.reach[start + i].synapses);
                usage[Resource::SynapseWords] += h.words(net, before + u64::from(many)) - h.words(net, before);
                self.reach[start + i].synapses += many;
            }
            Err(i) => {
                self.reach.copy_within(start + i..start + reached, start + i + 1);
                self.reach[start + i] = Reach { core, synapses: many };
                self.reached[net as usize] += 1;
                usage[Resource::SynapseWords] += h.words(net, u64::from(many));
                usage[Resource::AxonsIn] += 1;
                usage[Resource::TraceBytes] += h.net_format(net).trace_bytes;
                self.receives[core as usize] += w * self.time.packet_in;
                self.packets += w;
                if let Some(source) = self.source_core(net) {
                    self.usage[source as usize][Resource::AxonsOut] += 1;
                    self.sends[source as usize] += w * self.time.packet_out;
                    self.inside += if source == core { w } else { 0 };
                }
                for item in &h.net_format(net).items {
                    self.use_item(core, *item);
                }
            }
        }
    }

    fn reach_less(&mut self, net: u32, core: u32, many: u32) {
        let h = self.h;
        let Net { start, weight: w, .. } = h.net[net as usize];
        let reached = self.reached[net as usize] as usize;
        // `remove` is only called of units that `place` put here, so the core is in the list.
        let i = self.reach[start..start + reached].partition_point(|r| r.core < core);
        let before = u64::from(self.reach[start + i].synapses);
        let after = before - u64::from(many);
        let usage = &mut self.usage[core as usize];
        usage[Resource::Synapses] -= u64::from(many);
        usage[Resource::SynapseWords] -= h.words(net, before) - h.words(net, after);
        self.receives[core as usize] -= w * u64::from(many) * self.time.synapse;
        self.reach[start + i].synapses -= many;
        if after > 0 {
            return;
        }
        self.reach.copy_within(start + i + 1..start + reached, start + i);
        self.reached[net as usize] -= 1;
        usage[Resource::AxonsIn] -= 1;
        usage[Resource::TraceBytes] -= h.net_format(net).trace_bytes;
        self.receives[core as usize] -= w * self.time.packet_in;
        self.packets -= w;
        if let Some(source) = self.source_core(net) {
            self.usage[source as usize][Resource::AxonsOut] -= 1;
            self.sends[source as usize] -= w * self.time.packet_out;
            self.inside -= if source == core { w } else { 0 };
        }
        for item in &h.net_format(net).items {
            self.drop_item(core, *item);
        }
    }

    fn source_core(&self, net: u32) -> Option<u32> {
        let owner = self.h.net[net as usize].owner;
        if owner == NONE { None } else { Some(self.core_of[owner as usize]).filter(|c| *c != NONE) }
    }

    fn users(&mut self, core: u32, item: u32) -> &mut u32 {
        &mut self.item_users[core as usize * self.h.item_cost.len() + item as usize]
    }

    fn use_item(&mut self, core: u32, item: u32) {
        *self.users(core, item) += 1;
        if *self.users(core, item) == 1 {
            let (resource, amount) = self.h.item_cost[item as usize];
            self.usage[core as usize][resource] += amount;
        }
    }

    fn drop_item(&mut self, core: u32, item: u32) {
        *self.users(core, item) -= 1;
        if *self.users(core, item) == 0 {
            let (resource, amount) = self.h.item_cost[item as usize];
            self.usage[core as usize][resource] -= amount;
        }
    }

    /// The first resource of a core that is exceeded.
    pub fn exceeded(&self, core: u32) -> Option<(Resource, u64, u64)> {
        self.limits.exceeded(&self.usage[core as usize])
    }

    /// Places a unit if its core stays within its limits. The tables of those that drive it may grow too long: where that is so no
    /// other core would help, and their cores are emptied afterwards.
    pub fn try_place(&mut self, unit: u32, core: u32) -> bool {
        if self.domain[core as usize] != self.h.domain[unit as usize] || self.certainly_full(unit, core) {
            return false;
        }
        self.place(unit, core);
        if self.exceeded(core).is_none() {
            return true;
        }
        self.remove(unit);
        false
    }

    /// Moves a unit if all cores stay within their limits, also those that drive it; else leaves it.
    pub fn try_shift(&mut self, unit: u32, core: u32) -> bool {
        let from = self.core_of[unit as usize];
        if self.domain[core as usize] != self.h.domain[unit as usize] || self.certainly_full(unit, core) {
            return false;
        }
        self.remove(unit);
        if self.try_place(unit, core) && self.sources_fit(unit) && self.exceeded(from).is_none() {
            return true;
        }
        if self.core_of[unit as usize] != NONE {
            self.remove(unit);
        }
        self.place(unit, from);
        false
    }

    /// A cheap test that refuses most of what cannot fit.
    fn certainly_full(&self, unit: u32, core: u32) -> bool {
        let usage = &self.usage[core as usize];
        let fixed = &self.h.fixed[unit as usize];
        let over = |r: Resource, more: u64| self.limits.of(r).is_some_and(|l| usage[r] + more > l);
        over(Resource::Compartments, fixed[Resource::Compartments]) || over(Resource::SynapseWords, 0)
    }

    /// Whether the cores that drive a unit hold their tables of destinations.
    pub fn sources_fit(&self, unit: u32) -> bool {
        let mut last = NONE;
        self.h.inputs.row(unit).iter().filter_map(|(net, _)| self.source_core(*net)).all(|core| {
            let seen = core == last;
            last = core;
            seen || self.exceeded(core).is_none()
        })
    }

    /// The change of cost (negative: better) of moving a unit, to first order: nets that the unit both drives and hears are
    /// counted as if it stayed.
    pub fn change(&self, unit: u32, core: u32) -> i64 {
        let from = self.core_of[unit as usize];
        let h = self.h;
        let mut change = 0;
        for (net, many) in h.inputs.row(unit) {
            let w = h.net[*net as usize].weight as i64;
            let source = self.source_core(*net);
            if self.synapses(*net, from) == *many {
                change -= w * (SEND as i64 + i64::from(source != Some(from)));
            }
            if self.synapses(*net, core) == 0 {
                change += w * (SEND as i64 + i64::from(source != Some(core)));
            }
        }
        for net in h.owned.row(unit) {
            let w = h.net[*net as usize].weight as i64;
            change += w * (i64::from(self.reaches(*net, from)) - i64::from(self.reaches(*net, core)));
        }
        change
    }

    /// The time of a core's step, in tenths of a nanosecond times `ONE`.
    pub fn load(&self, core: u32) -> u64 {
        self.sends[core as usize].max(self.receives[core as usize])
    }

    /// Forgets an empty core; the last one takes its number.
    pub fn close(&mut self, core: u32) {
        let last = self.cores() - 1;
        if core != last {
            for unit in self.units[last as usize].clone() {
                self.shift(unit, core);
            }
            self.domain[core as usize] = self.domain[last as usize];
        }
        self.units.pop();
        self.usage.pop();
        self.domain.pop();
        self.sends.pop();
        self.receives.pop();
        self.item_users.truncate(self.usage.len() * self.h.item_cost.len());
    }
}
