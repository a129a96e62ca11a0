//! Between a fixed network and the mapper: what each neuron takes and how often it fires; and where the mapper put it.

use super::emit::{Assignment, HOST, bases, emit};
use super::emulator::{Counters, Emulator, Fault, Mode};
use super::fixed::{FixedNetwork, FixedProjection, LearningRule, SynapseFormat};
use super::limits::Limits;
use super::map::{Fans, Format, Group, Mapping, Neuron, Problem, Profile, Program};
use super::target::Target;
use std::collections::BTreeMap;

/// What a circuit did in the first steps of its run, all neurons on one core.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Trial {
    pub steps: u64,
    /// Spikes of each neuron.
    pub spikes: Vec<u32>,
    /// Of the core; packets among them are those to itself.
    pub counters: Counters,
    /// What ended it early.
    pub fault: Option<Fault>,
}

impl Trial {
    /// Spikes per step of a neuron.
    pub fn rate(&self, neuron: usize) -> f64 {
        f64::from(self.spikes.get(neuron).copied().unwrap_or(0)) / self.steps.max(1) as f64
    }
}

/// Steps of a trial at most.
const TRIAL_STEPS: u64 = 1000;
/// Operations after which a trial is long enough.
const TRIAL_WORK: u64 = 20_000_000;
/// Steps between looks at the work.
const TRIAL_CHUNK: u64 = 20;

/// Runs the first steps of a network, as many as a fixed amount of work allows.
///
/// # Errors
/// In words, what of it no emulator can load.
pub fn trial(network: &FixedNetwork, target: &Target) -> Result<Trial, String> {
    let driven = network.populations.iter().flat_map(|p| std::iter::repeat_n(p.body.is_none(), p.size as usize));
    let core: Vec<u32> = driven.map(|driven| if driven { HOST } else { 0 }).collect();
    let limits = Limits::new(target).unbounded();
    let cores = u32::from(core.contains(&0));
    let assignment = Assignment { sites: limits.in_order(cores), core };
    let bytes = emit(network, &assignment, &limits).write()?;
    let mut chip = Emulator::load(&bytes, Mode::Strict).map_err(|e| e.to_string())?;
    let mut out = Trial { spikes: vec![0; assignment.core.len()], ..Trial::default() };
    let wanted = network.steps.min(TRIAL_STEPS);
    while out.fault.is_none() && chip.step() < wanted {
        out.fault = chip.run(TRIAL_CHUNK.min(wanted - chip.step())).err();
        let done = Counters::sum(chip.counters());
        if done.operations + done.synaptic_operations + done.learning_operations > TRIAL_WORK {
            break;
        }
    }
    // A step that did not end has no spikes.
    out.steps = chip.step();
    out.counters = Counters::sum(chip.counters());
    for s in chip.spikes() {
        out.spikes[s.neuron as usize] += 1;
    }
    Ok(out)
}

/// Bits of a compartment's number with which the network fills least of the target's cores: what a synapse takes grows with the
/// compartments that its core may have.
pub fn index_bits(network: &FixedNetwork, target: &Target) -> u32 {
    let neurons: u64 = network.populations.iter().filter(|p| p.body.is_some()).map(|p| u64::from(p.size)).sum();
    let limits = Limits::new(target);
    let most = limits.index_bits(usize::try_from(neurons.min(target.core.compartments)).unwrap_or(usize::MAX));
    let lists = lengths(network);
    // As many cores, and parts of one, as lists fill that are not split.
    let cores = |bits: u32| {
        let words =
            lists.iter().map(|((format, synapses), lists)| lists * target.synapse.words(*synapses, bits + format));
        let words = target.core.synapse_words.map_or(0.0, |limit| words.sum::<u64>() as f64 / limit as f64);
        words.max(neurons as f64 / target.core.compartments.min(1 << bits) as f64)
    };
    // Of equals the one that binds least.
    let choices = (target.synapse.index_bits.max(1)..=most).rev();
    choices.min_by(|a, b| cores(*a).total_cmp(&cores(*b))).unwrap_or(most)
}

/// How many lists there are of so many bits, but for the index, and so many synapses.
fn lengths(network: &FixedNetwork) -> BTreeMap<(u32, u64), u64> {
    let mut out = BTreeMap::new();
    for p in &network.projections {
        let mut synapses = vec![0; network.populations[p.source as usize].size as usize];
        p.synapses.iter().for_each(|s| synapses[s.pre as usize] += 1);
        for n in synapses.into_iter().filter(|n| *n > 0) {
            *out.entry((p.format.bits + p.format.delay_bits, n)).or_default() += 1;
        }
    }
    out
}

/// What is to be mapped. `apart`: the outermost regions share no core.
pub fn problem(network: &FixedNetwork, target: &Target, trial: &Trial, apart: bool) -> Problem {
    let index_bits = index_bits(network, target);
    let (formats, format_of) = formats(network, index_bits);
    let mut problem = Problem {
        programs: network
            .programs
            .iter()
            .map(|p| Program { name: p.name.clone(), words: p.ops.len() as u32 })
            .collect(),
        profiles: vec![],
        formats,
        index_bits,
        groups: vec![],
        neurons: vec![],
        fans: Fans::new(),
    };
    let mut regions: BTreeMap<&str, u32> = BTreeMap::new();
    for (k, p) in network.populations.iter().enumerate() {
        let profile = problem.profiles.len() as u32;
        if let Some(body) = &p.body {
            let learn = network.projections.iter().filter(|q| q.target == k as u32 && q.format.rule.is_some()).count();
            let state = network.programs[body.program as usize].state_bytes();
            problem.profiles.push(Profile {
                name: p.path.clone(),
                program: body.program,
                compartments: 1,
                state_bytes: state + learn as u32 * LearningRule::TARGET_BYTES as u32,
            });
        }
        let next = regions.len() as u32;
        let region = p.path.split_once('.').map_or("", |(first, _)| first);
        let domain = if apart { *regions.entry(region).or_insert(next) } else { 0 };
        problem.groups.push(Group { name: p.path.clone(), atomic: false, domain });
        for _ in 0..p.size {
            let rate = trial.rate(problem.neurons.len());
            let host = p.body.is_none();
            // The profile of one that is on no core is never asked for.
            let profile = if host { 0 } else { profile };
            problem.neurons.push(Neuron { profile, group: k as u32, rate, host, observed: false });
        }
    }
    if problem.profiles.is_empty() {
        problem.programs.push(Program { name: "none".into(), words: 0 });
        problem.profiles.push(Profile { name: "none".into(), program: 0, compartments: 0, state_bytes: 0 });
    }
    let bases = bases(&network.populations);
    for (p, format) in network.projections.iter().zip(format_of) {
        let (from, to) = (bases[p.source as usize], bases[p.target as usize]);
        for (pre, posts) in by_source(p, network.populations[p.source as usize].size) {
            problem.fans.push(from + pre, format, posts.iter().map(|post| to + post));
        }
    }
    problem
}

/// Layouts of lists, and that of each projection.
fn formats(network: &FixedNetwork, index_bits: u32) -> (Vec<Format>, Vec<u16>) {
    let mut kinds: Vec<SynapseFormat> = vec![];
    let mut of = vec![];
    for p in &network.projections {
        let at = kinds.iter().position(|f| *f == p.format).unwrap_or_else(|| {
            kinds.push(p.format);
            kinds.len() - 1
        });
        // A network has far fewer layouts than that: they differ in a few small numbers, or in their rule.
        of.push(u16::try_from(at).unwrap_or(u16::MAX));
    }
    let formats = kinds.iter().map(|f| Format {
        name: format!("{:?} of {} bits, exponent {}", f.sign, f.bits, f.exponent).to_lowercase(),
        bits: index_bits + f.bits + f.delay_bits,
        trace_bytes: if f.rule.is_some() { LearningRule::SOURCE_BYTES as u32 } else { 0 },
        rule: f.rule,
    });
    (formats.collect(), of)
}

/// The targets of each source that has some.
fn by_source(p: &FixedProjection, sources: u32) -> Vec<(u32, Vec<u32>)> {
    let mut out: Vec<(u32, Vec<u32>)> = (0..sources).map(|pre| (pre, vec![])).collect();
    p.synapses.iter().for_each(|s| out[s.pre as usize].1.push(s.post));
    out.retain(|(_, posts)| !posts.is_empty());
    out
}

/// A mapping as what a package is made by.
pub fn assignment(mapping: &Mapping, limits: &Limits) -> Assignment {
    let slots: Vec<(u32, u32)> = mapping.sites.iter().map(|s| (s.chip, s.core)).collect();
    Assignment {
        core: mapping.core_of.iter().map(|c| c.unwrap_or(HOST)).collect(),
        sites: limits.sites(&slots, mapping.summary.chips),
    }
}
