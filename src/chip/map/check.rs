//! Recomputes what a mapping promises, from the problem and the result alone: nothing here shares code with the stages that
//! are checked, but for the figures of the target.

use super::problem::Problem;
use super::resource::{Limits, Resource, Usage};
use super::{Mapping, Site};
use crate::chip::target::Target;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What a mapping promises and does not keep.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CheckError {
    /// A list has another length than what it lists.
    #[error("{found} {what}, there are {expected}")]
    Length {
        /// Entries of what.
        what: &'static str,
        /// Entries.
        found: usize,
        /// What there is.
        expected: usize,
    },
    /// A neuron lies nowhere, or in a core that there is none of; or one of the host lies in a core.
    #[error("neuron {neuron} lies in core {core:?} of {cores}")]
    Neuron {
        /// The neuron.
        neuron: usize,
        /// Its core.
        core: Option<u32>,
        /// Cores.
        cores: usize,
    },
    /// A core holds nothing.
    #[error("core {core} is empty")]
    Empty {
        /// The core.
        core: usize,
    },
    /// An atomic group lies in two cores.
    #[error("the atomic group `{group}` lies in cores {a} and {b}")]
    Torn {
        /// Its name.
        group: String,
        /// One core.
        a: u32,
        /// Another.
        b: u32,
    },
    /// A core holds neurons of two domains.
    #[error("core {core} holds neurons of domains {a} and {b}")]
    Mixed {
        /// The core.
        core: u32,
        /// One domain.
        a: u32,
        /// Another.
        b: u32,
    },
    /// A core holds more than it can.
    #[error("core {core} takes {needs} {resource}, it has {limit}")]
    Exceeded {
        /// The core.
        core: usize,
        /// What it runs out of.
        resource: Resource,
        /// What it takes.
        needs: u64,
        /// What it has.
        limit: u64,
    },
    /// The stated use of a core is not what it holds.
    #[error("core {core} is said to take {stated} {resource}, it takes {found}")]
    Usage {
        /// The core.
        core: usize,
        /// Of what.
        resource: Resource,
        /// As stated.
        stated: u64,
        /// As recomputed.
        found: u64,
    },
    /// A site that the chips do not have.
    #[error("core {core} lies at {site:?}, which {chips} chips of the target do not have")]
    Site {
        /// The core.
        core: usize,
        /// Its site.
        site: Site,
        /// Chips.
        chips: u32,
    },
    /// Two cores in one site.
    #[error("two cores lie at {site:?}")]
    Shared {
        /// The site.
        site: Site,
    },
    /// A stated figure is another when recomputed.
    #[error("{what} is stated as {stated}, recomputed {found}")]
    Figure {
        /// Its name.
        what: &'static str,
        /// As stated.
        stated: f64,
        /// As recomputed.
        found: f64,
    },
}

/// All checks.
///
/// # Errors
/// The first promise that is not kept.
pub fn check(problem: &Problem, target: &Target, mapping: &Mapping) -> Result<(), CheckError> {
    let usage = check_partition(problem, target, &mapping.core_of, mapping.sites.len())?;
    if usage.len() != mapping.usage.len() {
        let (found, expected) = (mapping.usage.len(), usage.len());
        return Err(CheckError::Length { what: "uses of cores", found, expected });
    }
    for (core, (found, stated)) in usage.iter().zip(&mapping.usage).enumerate() {
        if let Some(resource) = Resource::ALL.into_iter().find(|r| found[*r] != stated[*r]) {
            return Err(CheckError::Usage { core, resource, stated: stated[resource], found: found[resource] });
        }
    }
    check_sites(target, &mapping.sites, mapping.summary.chips)?;
    check_summary(problem, target, mapping)
}

/// Whether each neuron lies in a core, atomic groups are whole, domains apart, and no core exceeds a limit. Gives what each of
/// `cores` cores takes.
///
/// # Errors
/// The first of these that does not hold.
pub fn check_partition(
    problem: &Problem,
    target: &Target,
    core_of: &[Option<u32>],
    cores: usize,
) -> Result<Vec<Usage>, CheckError> {
    if core_of.len() != problem.neurons.len() {
        let expected = problem.neurons.len();
        return Err(CheckError::Length { what: "neurons in cores", found: core_of.len(), expected });
    }
    for (neuron, core) in core_of.iter().enumerate() {
        let right =
            if problem.neurons[neuron].host { core.is_none() } else { core.is_some_and(|c| (c as usize) < cores) };
        if !right {
            return Err(CheckError::Neuron { neuron, core: *core, cores });
        }
    }
    check_groups(problem, core_of)?;
    let usage = recount(problem, target, core_of, cores);
    let limits = Limits::new(target, problem.index_bits);
    for (core, usage) in usage.iter().enumerate() {
        if usage[Resource::Compartments] == 0 && !core_of.contains(&Some(core as u32)) {
            return Err(CheckError::Empty { core });
        }
        if let Some((resource, needs, limit)) = limits.exceeded_by_core(usage) {
            return Err(CheckError::Exceeded { core, resource, needs, limit });
        }
    }
    Ok(usage)
}

fn check_groups(problem: &Problem, core_of: &[Option<u32>]) -> Result<(), CheckError> {
    let mut of_group: BTreeMap<u32, u32> = BTreeMap::new();
    let mut of_core: BTreeMap<u32, u32> = BTreeMap::new();
    for (neuron, core) in problem.neurons.iter().zip(core_of) {
        let Some(core) = *core else { continue };
        let group = &problem.groups[neuron.group as usize];
        let first = *of_group.entry(neuron.group).or_insert(core);
        if group.atomic && first != core {
            return Err(CheckError::Torn { group: group.name.clone(), a: first, b: core });
        }
        let domain = *of_core.entry(core).or_insert(group.domain);
        if domain != group.domain {
            return Err(CheckError::Mixed { core, a: domain, b: group.domain });
        }
    }
    Ok(())
}

/// What each core takes, counted list by list.
fn recount(problem: &Problem, target: &Target, core_of: &[Option<u32>], cores: usize) -> Vec<Usage> {
    let mut usage = vec![Usage::default(); cores];
    let mut profiles = vec![BTreeSet::new(); cores];
    let mut formats = vec![BTreeSet::new(); cores];
    for (neuron, core) in problem.neurons.iter().zip(core_of) {
        let Some(core) = *core else { continue };
        let (usage, profile) = (&mut usage[core as usize], &problem.profiles[neuron.profile as usize]);
        usage[Resource::Compartments] += u64::from(profile.compartments);
        usage[Resource::StateBytes] += u64::from(profile.state_bytes);
        usage[Resource::AxonsOut] += u64::from(neuron.observed);
        profiles[core as usize].insert(neuron.profile);
    }
    for fan in 0..problem.fans.len() {
        let format = &problem.formats[usize::from(problem.fans.format[fan])];
        let reached = reached(problem, core_of, fan);
        for (core, synapses) in &reached {
            let core = *core as usize;
            usage[core][Resource::AxonsIn] += 1;
            usage[core][Resource::Synapses] += synapses;
            usage[core][Resource::SynapseWords] += target.synapse.words(*synapses, format.bits);
            usage[core][Resource::TraceBytes] += u64::from(format.trace_bytes);
            formats[core].insert(problem.fans.format[fan]);
        }
        if let Some(core) = core_of[problem.fans.source[fan] as usize] {
            usage[core as usize][Resource::AxonsOut] += reached.len() as u64;
        }
    }
    let limits = Limits::new(target, problem.index_bits);
    for (core, usage) in usage.iter_mut().enumerate() {
        let programs: BTreeSet<u32> = profiles[core].iter().map(|p| problem.profiles[*p as usize].program).collect();
        usage[Resource::ProgramWords] = programs.iter().map(|p| u64::from(problem.programs[*p as usize].words)).sum();
        usage[Resource::Profiles] = profiles[core].len() as u64;
        usage[Resource::Formats] = formats[core].len() as u64;
        let rules: BTreeSet<u32> = formats[core].iter().filter_map(|f| problem.formats[usize::from(*f)].rule).collect();
        usage[Resource::Rules] = rules.len() as u64;
        *usage = limits.of_core(usage);
    }
    usage
}

/// Cores that a list reaches, with the synapses in each.
fn reached(problem: &Problem, core_of: &[Option<u32>], fan: usize) -> Vec<(u32, u64)> {
    let mut cores: Vec<u32> = problem.fans.targets_of(fan).iter().filter_map(|t| core_of[*t as usize]).collect();
    cores.sort_unstable();
    cores.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect()
}

/// Whether each core has a site of its own that the chips have.
///
/// # Errors
/// The first site that is none, or that two cores share.
pub fn check_sites(target: &Target, sites: &[Site], chips: u32) -> Result<(), CheckError> {
    let mut seen = BTreeSet::new();
    let chip = &target.chip;
    for (core, site) in sites.iter().enumerate() {
        let tile = site.core / chip.cores_per_tile;
        let there = site.chip < chips
            && site.core < chip.cores
            && (site.x, site.y) == (tile / chip.height, tile % chip.height)
            && site.x < chip.width;
        if !there {
            return Err(CheckError::Site { core, site: *site, chips });
        }
        if !seen.insert(*site) {
            return Err(CheckError::Shared { site: *site });
        }
    }
    Ok(())
}

/// Rates are rounded to 2^-20 of a spike per step, and none is below that: the error of each packet's rate.
const ROUNDING: f64 = 1e-6;

/// What sums of floating-point numbers in another order may differ by, as a part.
const SUMMING: f64 = 1e-9;

/// Whether packets, hops, link loads and operations are what the lists and the sites give, each packet walked tile by tile, and
/// neither cores nor packets below what is said of any mapping.
///
/// # Errors
/// The first figure that is another.
pub fn check_summary(problem: &Problem, target: &Target, mapping: &Mapping) -> Result<(), CheckError> {
    let chip = &target.chip;
    let columns = (1..=mapping.summary.chips.max(1)).find(|c| c * c >= mapping.summary.chips).unwrap_or(1);
    let tile = |core: Option<u32>| match core {
        Some(core) => {
            let site = mapping.sites[core as usize];
            (
                i64::from(site.chip % columns * chip.width + site.x),
                i64::from(site.chip / columns * chip.height + site.y),
            )
        }
        None => (0, 0),
    };
    let mut found = Walked::default();
    for fan in 0..problem.fans.len() {
        let source = problem.fans.source[fan] as usize;
        let (rate, from) = (problem.neurons[source].rate, mapping.core_of[source]);
        for (core, synapses) in reached(problem, &mapping.core_of, fan) {
            found.packets += rate;
            found.ways += 1.0;
            found.synapses += synapses as f64;
            found.synaptic += rate * synapses as f64;
            found.leaving += if from == Some(core) { 0.0 } else { rate };
            found.walk(tile(from), tile(Some(core)), rate);
        }
    }
    for (neuron, core) in problem.neurons.iter().zip(&mapping.core_of) {
        if neuron.observed && core.is_some() {
            found.walk(tile(*core), (0, 0), neuron.rate);
        }
    }
    let summary = &mapping.summary;
    let busiest = found.links.values().copied().fold(0.0, f64::max);
    let figures = [
        ("packets per step", summary.packets, found.packets, found.ways),
        ("packets that leave their core", summary.leaving, found.leaving, found.ways),
        ("synaptic operations per step", summary.synaptic, found.synaptic, found.synapses),
        ("hops per step", summary.hops, found.hops, found.steps),
        ("packets over the busiest link", summary.busiest_link, busiest, found.steps),
        ("the longest way", f64::from(summary.longest), found.longest as f64, 0.0),
        ("cores", f64::from(summary.cores), mapping.sites.len() as f64, 0.0),
    ];
    for (what, stated, found, rounded) in figures {
        if !((stated - found).abs() <= SUMMING * found + ROUNDING * rounded) {
            return Err(CheckError::Figure { what, stated, found });
        }
    }
    let bounds = [
        ("the fewest cores of any mapping", mapping.bound.cores as f64, mapping.sites.len() as f64, 0.0),
        ("the fewest packets of any mapping", mapping.bound.packets, found.packets, found.ways),
    ];
    for (what, stated, found, rounded) in bounds {
        if !(stated <= found + SUMMING * found + ROUNDING * rounded) {
            return Err(CheckError::Figure { what, stated, found });
        }
    }
    Ok(())
}

/// A tile of the grid of all chips.
type Tile = (i64, i64);

#[derive(Default)]
struct Walked {
    packets: f64,
    leaving: f64,
    synaptic: f64,
    hops: f64,
    /// What the figures above are sums of: lists in cores, their synapses, tiles crossed.
    ways: f64,
    synapses: f64,
    steps: f64,
    longest: i64,
    links: BTreeMap<(Tile, Tile), f64>,
}

impl Walked {
    /// One tile at a time, x before y.
    fn walk(&mut self, from: Tile, to: Tile, rate: f64) {
        let mut at = from;
        let mut steps = 0;
        while at != to {
            let step = if at.0 != to.0 { ((to.0 - at.0).signum(), 0) } else { (0, (to.1 - at.1).signum()) };
            let next = (at.0 + step.0, at.1 + step.1);
            *self.links.entry((at, next)).or_insert(0.0) += rate;
            self.hops += rate;
            steps += 1;
            at = next;
        }
        self.steps += steps as f64;
        self.longest = self.longest.max(steps);
    }
}
