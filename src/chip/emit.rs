//! A fixed network and the core of each neuron, as a package: compartments, packed synapses, axon tables.

use super::fixed::{FixedNetwork, FixedPopulation};
use super::limits::Limits;
use super::package::synapses::{self, MAX_SYNAPSES, Stored, pack};
use super::package::{
    AxonIn, AxonOut, Compartment, Core, Host, Manifest, Package, PopulationRecord, Profile, ProjectionRecord,
};
use std::collections::HashMap;

/// Which core each neuron is on, by its number in the network; [`HOST`] for those that the host drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub core: Vec<u32>,
    /// Of each core: chip, column, row.
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
    let index = place(network, &populations, assignment, &mut cores);
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
        target: limits.clone(),
        programs: network.programs.iter().map(ToString::to_string).collect(),
        profiles,
        populations,
        projections: projections.collect(),
        rules: network.rules.clone(),
        sites: assignment.sites.clone(),
    };
    Package { manifest, cores, host }
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
        core.index_bits = (core.compartments.len().max(2) - 1).ilog2() + 1;
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
        all.sort();
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

/// Neurons core after core, in order, each as full as the limits allow; cores in order of the mesh.
///
/// What leaves a core depends on where its targets are, so the table of axons out is left to the check of the package.
///
/// # Errors
/// In words, where one neuron alone is more than a core holds.
pub fn sequential(network: &FixedNetwork, limits: &Limits) -> Result<Assignment, String> {
    let inputs = inputs(network);
    let mut core = Vec::with_capacity(inputs.len());
    let (mut now, mut filling) = (0_u32, Filling::default());
    for p in &network.populations {
        for k in 0..p.size {
            let neuron = core.len();
            let Some(body) = &p.body else {
                core.push(HOST);
                continue;
            };
            let state = u64::from(network.programs[body.program as usize].state_bytes());
            filling.add(network, state, &inputs[neuron]);
            if filling.exceeds(limits).is_some() && filling.neurons > 1 {
                now += 1;
                filling = Filling::default();
                filling.add(network, state, &inputs[neuron]);
            }
            if let Some(what) = filling.exceeds(limits) {
                return Err(format!("neuron {k} of `{}` alone needs more {what} than a core has", p.path));
            }
            core.push(now);
        }
    }
    let sites = if core.iter().all(|c| *c == HOST) { 0 } else { now + 1 };
    Ok(Assignment { core, sites: (0..sites).map(|c| limits.site(c)).collect() })
}

/// (projection, source, synapses) by target neuron.
type Inputs = Vec<Vec<(u32, u32, u32)>>;

fn inputs(network: &FixedNetwork) -> Inputs {
    let bases = bases(&network.populations);
    let total: u32 = network.populations.iter().map(|p| p.size).sum();
    let mut out: Inputs = vec![vec![]; total as usize];
    for (k, p) in network.projections.iter().enumerate() {
        for s in &p.synapses {
            let list = &mut out[(bases[p.target as usize] + s.post) as usize];
            match list.last_mut() {
                Some(last) if (last.0, last.1) == (k as u32, s.pre) => last.2 += 1,
                _ => list.push((k as u32, s.pre, 1)),
            }
        }
    }
    out
}

/// What is on a core so far.
#[derive(Default)]
struct Filling {
    neurons: u64,
    state: u64,
    words: u64,
    /// Synapses by (projection, source): one axon each.
    axons: HashMap<(u32, u32), u32>,
}

impl Filling {
    fn add(&mut self, network: &FixedNetwork, state: u64, inputs: &[(u32, u32, u32)]) {
        self.neurons += 1;
        self.state += state;
        for (projection, source, n) in inputs {
            let format = network.projections[*projection as usize].format;
            let size = |n: u32| if n == 0 { 0 } else { synapses::words(format, INDEX_BITS, n as usize) };
            let count = self.axons.entry((*projection, *source)).or_default();
            self.words += size(*count + n) - size(*count);
            *count += n;
        }
    }

    fn exceeds(&self, l: &Limits) -> Option<&'static str> {
        let axons = self.axons.len() as u64;
        let bytes = self.state + 8 * self.words + super::limits::AXON_BYTES * axons;
        let all = [
            ("neurons", self.neurons, u64::from(l.neurons)),
            ("words of synapses", self.words, u64::from(l.synapse_words)),
            ("axons in", axons, u64::from(l.axons_in)),
            ("bytes of memory", bytes, l.memory_bytes),
        ];
        all.into_iter().find(|(_, found, limit)| found > limit).map(|(what, ..)| what)
    }
}

/// Bits that the number of a compartment takes at most, while it isn't known how many share the core.
const INDEX_BITS: u32 = 13;
