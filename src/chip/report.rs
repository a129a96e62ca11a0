//! How a circuit came to lie on a chip, in figures: what the command line prints, as text, JSON or a page.

use super::beside::Rates;
use super::build::Built;
use super::energy::{self, Estimate};
use super::map::{Order, Summary};
use super::microcode::{Program, assemble};
use super::package::{Core, Package, demands, synapses};
use super::quantise;
use super::target::{Mark, Target};
use crate::base::Span;
use crate::lower::Origins;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub network: String,
    pub chip: Chip,
    pub fit: Fit,
    /// What the chip runs out of first.
    pub binding: Option<Binding>,
    /// Outermost regions, where there are some.
    pub regions: Vec<Placed>,
    pub populations: Vec<Placed>,
    pub traffic: Traffic,
    pub energy: Vec<Estimate>,
    pub quantising: quantise::Report,
    /// Where it was asked for.
    pub rates: Option<Rates>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chip {
    pub name: String,
    pub version: String,
    pub about: String,
    /// Limits of a core that are no more than assumptions, by key.
    pub assumed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    pub cores: usize,
    pub chips: u32,
    /// Cores of one chip, tiles of its mesh, and cores of a tile.
    pub cores_per_chip: u32,
    pub mesh: (u32, u32),
    pub cores_per_tile: u32,
    /// The fewest cores that any mapping could need, and what asks for them.
    pub bound: u64,
    pub bound_resource: Option<&'static str>,
    /// Cores that what this mapping stores fills when none has a gap.
    pub packed: u64,
    pub resources: Vec<Share>,
    pub per_core: Vec<CoreFit>,
}

/// A resource over all cores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    pub resource: &'static str,
    /// What a core has; `None`: nothing limits it.
    pub limit: Option<u64>,
    pub total: u64,
    /// On the core that takes most of it.
    pub most: u64,
    /// The mean core over the limit.
    pub mean_part: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoreFit {
    pub core: usize,
    /// Chip, and column and row of the tile.
    pub site: (u32, u32, u32),
    /// Number on its chip.
    pub slot: u32,
    /// Cells of each population that is here.
    pub populations: Vec<(String, u32)>,
    /// Resources in the order of [`Fit::resources`].
    pub used: Vec<u64>,
    /// The resource that is fullest here, and the part of it that is taken.
    pub fullest: Option<&'static str>,
    pub part: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Binding {
    pub resource: &'static str,
    /// Of the mean core.
    pub part: f64,
    /// Who takes most of it first.
    pub users: Vec<User>,
}

/// A population or projection that takes some of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct User {
    pub path: String,
    pub amount: u64,
    /// File, line and column where it is written.
    pub place: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placed {
    pub path: String,
    pub size: u32,
    /// Cores that hold some of it; 0 for one that the host plays in.
    pub cores: usize,
}

/// Expected packets, by the rates of a trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traffic {
    /// Steps of the trial that the rates come from.
    pub trial_steps: u64,
    /// What ended it early.
    pub trial_fault: Option<String>,
    pub mapping: Figures,
    /// The fewest packets per step of any mapping.
    pub bound: f64,
    /// Simple mappings; `None` for one that does not fit.
    pub baselines: Vec<(&'static str, Option<Figures>)>,
}

/// Per step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub cores: u32,
    pub packets: f64,
    pub leaving: f64,
    pub hops: f64,
    pub longest: u32,
    pub busiest_link: f64,
    /// Sending and travelling, by the target's costs.
    pub network_pj: f64,
    /// The core that takes longest, and the mean one, by the target's times.
    pub slowest_ns: f64,
    pub mean_ns: f64,
}

impl Figures {
    fn new(s: &Summary) -> Figures {
        Figures {
            cores: s.cores,
            packets: s.packets,
            leaving: s.leaving,
            hops: s.hops,
            longest: s.longest,
            busiest_link: s.busiest_link,
            network_pj: s.energy_pj,
            slowest_ns: s.slowest_ns,
            mean_ns: s.mean_ns,
        }
    }
}

impl Report {
    /// Of a package that was just built.
    pub fn new(
        built: &Built,
        target: &Target,
        origins: &Origins,
        place: &dyn Fn(&Span) -> String,
        rates: Option<Rates>,
    ) -> Report {
        let manifest = &built.package.manifest;
        // They were assembled from text when the package was made.
        let programs: Vec<Program> = manifest.programs.iter().filter_map(|p| assemble(p).ok()).collect();
        let fit = fit(built, &programs, target);
        let order = |o| match o {
            Order::Sequential => "sequential",
            Order::RoundRobin => "round-robin",
            Order::Random => "random",
        };
        let baselines =
            built.mapping.baselines.iter().map(|b| (order(b.order), b.summary.as_ref().map(Figures::new))).collect();
        Report {
            network: manifest.network.clone(),
            chip: Chip {
                name: target.name.clone(),
                version: target.version.clone(),
                about: target.about.clone(),
                assumed: target
                    .figures
                    .iter()
                    .filter(|(key, f)| key.starts_with("core.") && f.mark == Mark::Assumed)
                    .map(|(key, _)| key.clone())
                    .collect(),
            },
            binding: binding(&built.package, &programs, &fit, origins, place),
            regions: regions(&built.package),
            populations: placed(&built.package, |p| Some(p)),
            traffic: Traffic {
                trial_steps: built.trial.steps,
                trial_fault: built.trial.fault.as_ref().map(ToString::to_string),
                mapping: Figures::new(&built.mapping.summary),
                bound: built.mapping.bound.packets,
                baselines,
            },
            energy: energy::estimates(built),
            quantising: built.quantising.clone(),
            rates,
            fit,
        }
    }
}

fn fit(built: &Built, programs: &[Program], target: &Target) -> Fit {
    let package = &built.package;
    let mut resources: Vec<Share> = vec![];
    let mut per_core = Vec::with_capacity(package.cores.len());
    for (k, core) in package.cores.iter().enumerate() {
        let all = demands(package, programs, core);
        if resources.is_empty() {
            let empty = |(resource, _, limit)| Share { resource, limit, total: 0, most: 0, mean_part: None };
            resources.extend(all.map(empty));
        }
        let mut fullest: (f64, Option<&'static str>) = (0.0, None);
        for (share, (resource, used, limit)) in resources.iter_mut().zip(all) {
            share.total += used;
            share.most = share.most.max(used);
            if let Some(limit) = limit
                && used as f64 / limit as f64 > fullest.0
            {
                fullest = (used as f64 / limit as f64, Some(resource));
            }
        }
        let mut cells: BTreeMap<u32, u32> = BTreeMap::new();
        core.compartments.iter().for_each(|c| *cells.entry(c.profile).or_default() += 1);
        let of = |profile: &u32| package.manifest.populations.iter().find(|p| p.profile == Some(*profile));
        per_core.push(CoreFit {
            core: k,
            site: package.manifest.sites[k],
            slot: built.mapping.sites[k].core,
            populations: cells.iter().filter_map(|(p, n)| Some((of(p)?.path.clone(), *n))).collect(),
            used: all.map(|(_, used, _)| used).to_vec(),
            fullest: fullest.1,
            part: fullest.0,
        });
    }
    let cores = package.cores.len();
    for share in &mut resources {
        share.mean_part = share.limit.map(|l| share.total as f64 / (l as f64 * cores as f64));
    }
    Fit {
        cores,
        chips: built.mapping.summary.chips,
        cores_per_chip: target.chip.cores,
        mesh: (target.chip.width, target.chip.height),
        cores_per_tile: target.chip.cores_per_tile,
        bound: built.mapping.bound.cores,
        bound_resource: built.mapping.bound.resource.map(|r| r.name()),
        packed: built.mapping.packed,
        resources,
        per_core,
    }
}

/// Users that a report names.
const USERS: usize = 5;

fn binding(
    package: &Package,
    programs: &[Program],
    fit: &Fit,
    origins: &Origins,
    place: &dyn Fn(&Span) -> String,
) -> Option<Binding> {
    let parts = fit.resources.iter().filter_map(|s| Some((s.mean_part?, s.resource)));
    let (part, resource) = parts.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let mut users = users(package, programs, resource);
    users.retain(|u| u.amount > 0);
    users.sort_by(|a, b| b.amount.cmp(&a.amount).then(a.path.cmp(&b.path)));
    users.truncate(USERS);
    for user in &mut users {
        let span = origins.projections.get(&user.path).or_else(|| origins.populations.get(&user.path));
        user.place = span.map(place);
    }
    Some(Binding { resource, part, users })
}

/// What each population and projection takes of a resource.
fn users(package: &Package, programs: &[Program], resource: &str) -> Vec<User> {
    let (m, l) = (&package.manifest, &package.manifest.target);
    let mut cells = vec![0_u64; m.profiles.len()];
    // Axons, synapses, words.
    let mut lists = vec![(0_u64, 0_u64, 0_u64); m.projections.len()];
    for core in &package.cores {
        core.compartments.iter().for_each(|c| cells[c.profile as usize] += 1);
        for a in &core.axons_in {
            let n = synapses::count(&core.words, a.word);
            let format = m.projections[a.format as usize].format;
            let list = &mut lists[a.format as usize];
            list.0 += 1;
            list.1 += n;
            list.2 += l.synapse.words(n, synapses::width(format, core.index_bits));
        }
    }
    let user = |path: &str, amount| User { path: path.to_string(), amount, place: None };
    let state = |profile: usize| {
        let program = programs.get(m.profiles[profile].program as usize);
        program.map_or(0, |p| u64::from(p.state_bytes()))
    };
    let population = |of: &dyn Fn(usize) -> u64| -> Vec<User> {
        let on_chip = m.populations.iter().filter_map(|p| Some((p, p.profile? as usize)));
        on_chip.map(|(p, k)| user(&p.path, of(k))).collect()
    };
    let projection = |of: &dyn Fn(usize) -> u64| -> Vec<User> {
        m.projections.iter().enumerate().map(|(k, p)| user(&p.path, of(k))).collect()
    };
    let from_host = |k: usize| m.populations[m.projections[k].source as usize].profile.is_none();
    let word_bytes = u64::from(l.synapse.word_bits).div_ceil(8);
    match resource {
        "neurons" => population(&|k| cells[k]),
        "words of synapses" => projection(&|k| lists[k].2),
        "synapses" => projection(&|k| lists[k].1),
        "axons in" => projection(&|k| lists[k].0),
        "axons out" => projection(&|k| if from_host(k) { 0 } else { lists[k].0 }),
        "bytes of memory" => {
            let mut all = population(&|k| cells[k] * state(k));
            all.extend(projection(&|k| {
                let out = if from_host(k) { 0 } else { lists[k].0 };
                lists[k].2 * word_bytes + l.core.axon_bytes * (lists[k].0 + out)
            }));
            all
        }
        _ => vec![],
    }
}

/// Cells and cores of what `name` puts together, by the path of a population, in order.
fn placed(package: &Package, name: impl Fn(&str) -> Option<&str>) -> Vec<Placed> {
    let mut out: Vec<(Placed, BTreeSet<u32>)> = vec![];
    for p in &package.manifest.populations {
        let Some(path) = name(&p.path) else { continue };
        let at = out.iter().position(|(q, _)| q.path == path).unwrap_or_else(|| {
            out.push((Placed { path: path.to_string(), size: 0, cores: 0 }, BTreeSet::new()));
            out.len() - 1
        });
        out[at].0.size += p.size;
        out[at].1.extend(p.profile);
    }
    let count = |(mut placed, profiles): (Placed, BTreeSet<u32>)| {
        let here = |c: &&Core| c.compartments.iter().any(|c| profiles.contains(&c.profile));
        placed.cores = package.cores.iter().filter(here).count();
        placed
    };
    out.into_iter().map(count).collect()
}

fn regions(package: &Package) -> Vec<Placed> {
    placed(package, |path| path.split_once('.').map(|(region, _)| region))
}
