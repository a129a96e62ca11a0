//! What a mapping amounts to, in the units of reports.

use super::hypergraph::{Hypergraph, NONE, ONE};
use super::ledger::Ledger;
use super::place::{Placement, Traffic};
use super::resource::{Limits, Resource, Usage};

/// A mapping in figures. Packets and operations are expected numbers per step.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Cores.
    pub cores: u32,
    /// Chips.
    pub chips: u32,
    /// One for each spike, list and core that the list reaches.
    pub packets: f64,
    /// Of these, from the host and to other cores than their own.
    pub leaving: f64,
    /// Packets times tiles they cross; those that the host reads included.
    pub hops: f64,
    /// Tiles of the longest way.
    pub longest: u32,
    /// pJ of sending and travelling.
    pub energy_pj: f64,
    /// Packets over the busiest link.
    pub busiest_link: f64,
    /// Synaptic operations.
    pub synaptic: f64,
    /// ns of the core that takes longest, by the times of the target.
    pub slowest_ns: f64,
    /// ns of the mean core.
    pub mean_ns: f64,
    /// All cores together.
    pub total: Usage,
    /// The largest of each resource in one core.
    pub largest: Usage,
}

/// What no mapping can be below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Cores.
    pub cores: u64,
    /// What binds in the domain with most cores; `None` without neurons.
    pub resource: Option<Resource>,
    /// Packets per step: each list reaches as many cores as its targets fill.
    pub packets: f64,
}

impl Bound {
    /// From sums over each domain that no mapping can be below: lists are whole, so they have fewest words and axons. Where a core may
    /// number its compartments with fewer bits than lists are counted with, words are not those of all mappings; there each neuron
    /// counts with the part of a core that it has in any.
    pub(super) fn new(h: &Hypergraph, limits: &Limits) -> Bound {
        let domains = h.domain.iter().max().map_or(0, |d| *d as usize + 1);
        let mut sums = vec![Usage::default(); domains];
        for unit in 0..h.units() {
            let sum = &mut sums[h.domain[unit as usize] as usize];
            sum.add(&h.fixed[unit as usize]);
            sum[Resource::AxonsOut] += h.owned.row(unit).iter().filter(|n| !h.pins.row(**n).is_empty()).count() as u64;
        }
        let mut pins: Vec<(u32, u64)> = Vec::new();
        for net in 0..h.nets() {
            pins.clear();
            pins.extend(h.reached(net).map(|(u, many)| (h.domain[u as usize], many)));
            pins.sort_unstable();
            for run in pins.chunk_by(|a, b| a.0 == b.0) {
                let synapses = run.iter().map(|p| p.1).sum();
                let sum = &mut sums[run[0].0 as usize];
                sum[Resource::Synapses] += synapses;
                sum[Resource::SynapseWords] += h.words(net, synapses);
                sum[Resource::AxonsIn] += 1;
                sum[Resource::TraceBytes] += h.net_format(net).trace_bytes;
            }
        }
        let mut bound = Bound { cores: 0, resource: None, packets: fewest_packets(h, limits) as f64 / ONE };
        let mut most = 0;
        for (sum, domain) in sums.iter().zip(0..) {
            let (cores, resource) = fewest_cores(h, limits, sum, domain);
            bound.cores += cores;
            if cores > most {
                (most, bound.resource) = (cores, Some(resource));
            }
        }
        bound
    }
}

/// The fewest cores of a domain with this sum, and what binds.
fn fewest_cores(h: &Hypergraph, limits: &Limits, sum: &Usage, domain: u32) -> (u64, Resource) {
    if limits.part_of_shorter(WHOLE).is_none() {
        return packing(sum, limits);
    }
    let stored = [Resource::SynapseWords, Resource::MemoryBytes];
    let stored: Vec<Resource> = stored.into_iter().filter(|r| limits.of(*r).is_some()).collect();
    let mut rest = *sum;
    stored.iter().for_each(|r| rest[*r] = 0);
    let parts = parts(h, limits, &stored);
    let units = || (0..h.units() as usize).filter(|u| h.domain[*u] == domain);
    let cores = |k: usize| units().map(|u| parts[u * stored.len() + k]).sum::<u64>().div_ceil(WHOLE);
    let all = stored.iter().enumerate().map(|(k, r)| (cores(k), *r)).chain([packing(&rest, limits)]);
    all.max_by_key(|(cores, r)| (*cores, std::cmp::Reverse(*r))).unwrap_or((0, Resource::Compartments))
}

/// A whole core, in the parts that [`parts`] counts.
const WHOLE: u64 = 1 << 32;

/// Packets per step (in [`ONE`]th) if each list reached no more cores than its targets fill when nothing else lies there.
fn fewest_packets(h: &Hypergraph, limits: &Limits) -> u64 {
    let bound: Vec<Resource> = Resource::ALL.into_iter().filter(|r| limits.of(*r).is_some()).collect();
    let parts = parts(h, limits, &bound);
    let mut pins: Vec<u32> = Vec::new();
    let mut sums = vec![0; bound.len()];
    let mut packets = 0;
    for net in 0..h.nets() {
        pins.clear();
        pins.extend(h.pins.row(net));
        pins.sort_by_key(|unit| h.domain[*unit as usize]);
        for run in pins.chunk_by(|a, b| h.domain[*a as usize] == h.domain[*b as usize]) {
            sums.fill(0);
            for unit in run {
                let own = &parts[*unit as usize * bound.len()..][..bound.len()];
                sums.iter_mut().zip(own).for_each(|(sum, part)| *sum += part);
            }
            let cores = sums.iter().map(|sum: &u64| sum.div_ceil(WHOLE)).max().unwrap_or(0);
            packets += h.net[net as usize].weight * cores.max(1);
        }
    }
    packets
}

/// The part of a core that each unit takes of each of some resources at the least, whatever lies beside it: a list costs a target
/// its share where the list has as many other targets there as make that share smallest. Rounded down. What holds of them: those of the
/// units of a core that is not exceeded add up to no more than `WHOLE`.
fn parts(h: &Hypergraph, limits: &Limits, resources: &[Resource]) -> Vec<u64> {
    // Shares of one synapse in this part of a word, an axon or a byte.
    const FINE: u64 = 1 << 20;
    let total: Vec<u64> = (0..h.nets()).map(|net| h.reached(net).map(|(_, many)| many).sum()).collect();
    let words = h.least_words(FINE);
    let mut out = Vec::with_capacity(h.units() as usize * resources.len());
    for unit in 0..h.units() {
        let mut usage = Usage::default();
        Resource::ALL.into_iter().for_each(|r| usage[r] = FINE * h.fixed[unit as usize][r]);
        usage[Resource::AxonsOut] += FINE * h.owned.row(unit).iter().filter(|n| total[**n as usize] > 0).count() as u64;
        for (net, many) in h.inputs.row(unit) {
            let (many, total) = (u64::from(*many), total[*net as usize]);
            let share = &words[usize::from(h.net[*net as usize].format)];
            usage[Resource::Synapses] += FINE * many;
            usage[Resource::SynapseWords] += many * share[(total as usize).min(share.len() - 1)];
            usage[Resource::AxonsIn] += FINE * many / total;
            usage[Resource::TraceBytes] += FINE * many * h.net_format(*net).trace_bytes / total;
        }
        let usage = limits.with_memory(&usage);
        let part = |r: &Resource| {
            let limit = u128::from(limits.of(*r).unwrap_or(u64::MAX).max(1)) * u128::from(FINE);
            let part = (u128::from(usage[*r]) * u128::from(WHOLE) / limit) as u64;
            // Few neurons fit where lists are shorter, so each has this part of the core by its number alone.
            let shorter = limits.part_of_shorter(WHOLE).map(|p| p * h.compartments[unit as usize]);
            match r {
                Resource::SynapseWords | Resource::MemoryBytes => shorter.map_or(part, |p| part.min(p)),
                _ => part,
            }
        };
        out.extend(resources.iter().map(part));
    }
    out
}

/// Cores that a sum fills, and of which resource.
pub(super) fn packing(sum: &Usage, limits: &Limits) -> (u64, Resource) {
    let sum = limits.with_memory(sum);
    let cores = |r: Resource| limits.of(r).map_or(0, |l| sum[r].div_ceil(l));
    let additive = Resource::ALL.into_iter().filter(|r| {
        // Programs, profiles, formats and rules are there once per core and need not add up.
        !matches!(r, Resource::ProgramWords | Resource::Profiles | Resource::Formats | Resource::Rules)
    });
    let binding = additive.max_by_key(|r| (cores(*r), std::cmp::Reverse(*r))).unwrap_or(Resource::Compartments);
    (cores(binding), binding)
}

/// Sums up a placed partition.
pub(super) fn summarise(ledger: &Ledger<'_>, traffic: &Traffic, placement: &Placement<'_>, packet_pj: f64) -> Summary {
    let h = ledger.h;
    let (mut hops, mut longest) = (0, 0);
    for (from, flows) in traffic.out.iter().enumerate() {
        for (to, w) in flows {
            let way = placement.mesh.hops(placement.tile_of(from as u32), placement.tile_of(*to));
            hops += w * u64::from(way);
            longest = longest.max(way);
        }
    }
    let synaptic: u64 =
        (0..h.units()).flat_map(|u| h.inputs.row(u)).map(|(n, m)| h.net[*n as usize].weight * u64::from(*m)).sum();
    let (mut total, mut largest) = (Usage::default(), Usage::default());
    for usage in &ledger.usage {
        let usage = ledger.limits.of_core(usage);
        total.add(&usage);
        Resource::ALL.into_iter().for_each(|r| largest[r] = largest[r].max(usage[r]));
    }
    // Tenths of a nanosecond.
    let ns = |load: u64| load as f64 / ONE / 10.0;
    let loads: Vec<u64> = (0..ledger.cores()).map(|c| ledger.load(c)).collect();
    Summary {
        cores: ledger.cores(),
        chips: placement.mesh.chips,
        packets: ledger.packets as f64 / ONE,
        leaving: (ledger.packets - ledger.inside) as f64 / ONE,
        hops: hops as f64 / ONE,
        longest,
        energy_pj: (ledger.packets as f64 * packet_pj + placement.energy()) / ONE,
        busiest_link: placement.links().into_iter().max().unwrap_or(0) as f64 / ONE,
        synaptic: synaptic as f64 / ONE,
        slowest_ns: ns(loads.iter().copied().max().unwrap_or(0)),
        mean_ns: ns(loads.iter().sum::<u64>() / loads.len().max(1) as u64),
        total,
        largest,
    }
}

/// The expected spikes per step of each core that the host reads.
pub(super) fn observed(ledger: &Ledger<'_>, neurons: impl Iterator<Item = (u32, u64)>) -> Vec<u64> {
    let mut sums = vec![0; ledger.cores() as usize];
    for (unit, w) in neurons.filter(|(unit, _)| *unit != NONE) {
        sums[ledger.core_of[unit as usize] as usize] += w;
    }
    sums
}
