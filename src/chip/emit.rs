//! A fixed network and the core of each neuron, as a package: compartments, packed synapses, axon tables.

use super::fixed::{FixedNetwork, FixedPopulation};
use super::limits::Limits;
use super::package::synapses::{MAX_SYNAPSES, Stored, pack, unpack};
use super::package::{
    AxonIn, AxonOut, Compartment, Core, Host, Manifest, Package, PopulationRecord, Profile, ProjectionRecord,
};

/// Which core each neuron is on, by its number in the network; [`HOST`] for those that the host drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub core: Vec<u32>,
    /// Of each core: chip, and column and row of its tile on the mesh of all chips.
    pub sites: Vec<(u32, u32, u32)>,
}

/// The core of a neuron that is on no core.
pub const HOST: u32 = u32::MAX;

/// Makes the package. `assignment` has one entry for each neuron and a site for each core that it names.
pub fn emit(network: &FixedNetwork, assignment: &Assignment, limits: &Limits) -> Package {
    let mut profiles = Vec::new();
    let mut populations = Vec::new();
    for p in &network.populations {
        let profile = p.body.as_ref().map(|body| {
            profiles.push(Profile { program: body.program, params: body.params.clone() });
            profiles.len() as u32 - 1
        });
        populations.push(PopulationRecord { path: p.path.clone(), size: p.size, profile, graded: p.graded });
    }
    let mut cores = vec![Core::default(); assignment.sites.len()];
    let index = place(network, &populations, assignment, limits, &mut cores);
    let mut host = Host { axons_out: vec![], events: network.events.clone(), writes: network.writes.clone() };
    let driven = network.populations.iter().filter(|p| p.body.is_none()).map(|p| p.size as usize).sum();
    host.axons_out = vec![vec![]; driven];
    connect(network, assignment, &index, &mut cores, &mut host);
    let projections = network.projections.iter().map(|p| ProjectionRecord {
        path: p.path.clone(),
        source: p.source,
        target: p.target,
        format: p.format,
    });
    let manifest = Manifest {
        nsmc: env!("CARGO_PKG_VERSION").to_string(),
        network: network.name.clone(),
        step_ns: network.step_ns,
        seed: network.seed,
        steps: network.steps,
        part: false,
        target: limits.clone(),
        programs: network.programs.iter().map(ToString::to_string).collect(),
        profiles,
        populations,
        projections: projections.collect(),
        rules: network.rules.clone(),
        sites: assignment.sites.clone(),
    };
    Package { manifest, cores, host, experiment: vec![] }
}

/// Number of the first neuron of each population.
pub fn bases(populations: &[FixedPopulation]) -> Vec<u32> {
    let sizes = populations.iter().map(|p| p.size);
    sizes.scan(0, |next, n| Some(std::mem::replace(next, *next + n))).collect()
}

/// Fills the compartments, in order of neurons. Gives each neuron's number on its core, or among those of the host.
fn place(
    network: &FixedNetwork,
    records: &[PopulationRecord],
    assignment: &Assignment,
    limits: &Limits,
    cores: &mut [Core],
) -> Vec<u32> {
    let mut index = vec![0; assignment.core.len()];
    let (mut neuron, mut driven) = (0_u32, 0);
    for (p, record) in network.populations.iter().zip(records) {
        for k in 0..p.size {
            match (&p.body, record.profile) {
                (Some(body), Some(profile)) => {
                    let core = &mut cores[assignment.core[neuron as usize] as usize];
                    index[neuron as usize] = core.compartments.len() as u32;
                    let state = body.states.iter().map(|s| s.at(k).unwrap_or_default()).collect();
                    core.compartments.push(Compartment { profile, neuron, state });
                    core.axons_out.push(vec![]);
                }
                _ => {
                    index[neuron as usize] = driven;
                    driven += 1;
                }
            }
            neuron += 1;
        }
    }
    for core in cores {
        core.index_bits = limits.index_bits(core.compartments.len());
    }
    index
}

/// Packs the synapses onto each core, axon by axon, and tells the sources of each axon.
fn connect(network: &FixedNetwork, assignment: &Assignment, index: &[u32], cores: &mut [Core], host: &mut Host) {
    let bases = bases(&network.populations);
    for (k, p) in network.projections.iter().enumerate() {
        let (from, to) = (bases[p.source as usize], bases[p.target as usize]);
        // (source, core, synapse), in this order: one axon for each source and core.
        let mut all: Vec<(u32, u32, Stored)> = Vec::with_capacity(p.synapses.len());
        for s in &p.synapses {
            let post = (to + s.post) as usize;
            let stored = Stored { compartment: index[post], weight: s.weight, delay: s.delay };
            all.push((from + s.pre, assignment.core[post], stored));
        }
        all.sort_unstable();
        for group in all.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (source, core) = (group[0].0, group[0].1);
            for part in group.chunks(MAX_SYNAPSES) {
                let stored: Vec<Stored> = part.iter().map(|s| s.2).collect();
                let target = &mut cores[core as usize];
                let axon = AxonOut { core, axon: target.axons_in.len() as u32 };
                target.axons_in.push(AxonIn { format: k as u32, word: target.words.len() as u32 });
                pack(p.format, target.index_bits, &stored, &mut target.words);
                let at = index[source as usize] as usize;
                match assignment.core[source as usize] {
                    HOST => host.axons_out[at].push(axon),
                    c => cores[c as usize].axons_out[at].push(axon),
                }
            }
        }
    }
}

/// Unpacks the tables of a package and compares: each neuron is where it was put, and its axons lead to its synapses, all of them
/// and no others.
///
/// # Errors
/// In words, the first that is not so.
pub fn check(network: &FixedNetwork, assignment: &Assignment, package: &Package) -> Result<(), String> {
    let mut found: Vec<Vec<FoundSynapse>> = vec![vec![]; network.projections.len()];
    let mut there = 0;
    for (k, core) in package.cores.iter().enumerate() {
        for (c, axons) in core.compartments.iter().zip(&core.axons_out) {
            if assignment.core.get(c.neuron as usize) != Some(&(k as u32)) {
                return Err(format!("neuron {} lies on core {k}, where it was not put", c.neuron));
            }
            follow(package, c.neuron, axons, &mut found)?;
            there += 1;
        }
    }
    if there != assignment.core.iter().filter(|c| **c != HOST).count() {
        return Err(format!("the tables hold {there} neurons"));
    }
    let driven = (0_u32..).zip(&assignment.core).filter(|(_, core)| **core == HOST).map(|(neuron, _)| neuron);
    for (neuron, axons) in driven.zip(&package.host.axons_out) {
        follow(package, neuron, axons, &mut found)?;
    }
    let bases = bases(&network.populations);
    for (p, mut found) in network.projections.iter().zip(found) {
        let (from, to) = (bases[p.source as usize], bases[p.target as usize]);
        let mut wanted: Vec<FoundSynapse> =
            p.synapses.iter().map(|s| (from + s.pre, to + s.post, s.weight, s.delay)).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        if wanted != found {
            return Err(format!("the tables hold other synapses of `{}` than the circuit", p.path));
        }
    }
    Ok(())
}

/// Source, target, mantissa, delay.
type FoundSynapse = (u32, u32, i32, u32);

fn follow(package: &Package, source: u32, axons: &[AxonOut], out: &mut [Vec<FoundSynapse>]) -> Result<(), String> {
    for a in axons {
        let lost =
            || format!("an axon of neuron {source} leads to axon {} of core {}, which is not there", a.axon, a.core);
        let core = package.cores.get(a.core as usize).ok_or_else(lost)?;
        let axon = core.axons_in.get(a.axon as usize).ok_or_else(lost)?;
        let projection = package.manifest.projections.get(axon.format as usize).ok_or_else(lost)?;
        let stored = unpack(projection.format, core.index_bits, &core.words, axon.word).ok_or_else(lost)?;
        for s in stored {
            let target = core.compartments.get(s.compartment as usize).ok_or_else(lost)?.neuron;
            out[axon.format as usize].push((source, target, s.weight, s.delay));
        }
    }
    Ok(())
}
