//! From the bytes of a package to something that runs. Whatever the tables say is checked against what they point to, so that
//! nothing is looked up later that isn't there.

use super::core::{Axon, CoreState, Scratch, Synapses};
use super::learning::Learner;
use super::{Counters, Emulator, HostState, Mode};
use crate::base::sections::Broken;
use crate::chip::fixed::{LearningRule, Variable};
use crate::chip::microcode::Program;
use crate::chip::package::{Breach, Core, Manifest, Package, breaches, synapses};
use crate::random::{Purpose, StreamKey};

/// Why a package can't be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Broken(Broken),
    /// Tables that point nowhere, values outside of their range.
    #[error("{0}")]
    Unsound(String),
    /// More than the chip of the package has.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Capacity(Vec<Breach>),
}

/// Bytes that the rings of a package may take: more than any chip's worth.
const MAX_RING_BYTES: u64 = 4 << 30;
/// Neurons of a package.
const MAX_NEURONS: u64 = 1 << 30;
/// Steps of an epoch.
const MAX_EPOCH: u32 = 64;
const MAX_EXPONENT: i32 = 24;

fn unsound(what: impl Into<String>) -> LoadError {
    LoadError::Unsound(what.into())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), LoadError> {
    if holds { Ok(()) } else { Err(LoadError::Unsound(what())) }
}

impl Emulator {
    /// Loads a package.
    ///
    /// # Errors
    /// [`LoadError`]; a package that needs more than its chip has is refused in every mode.
    pub fn load(bytes: &[u8], mode: Mode) -> Result<Emulator, LoadError> {
        let (package, programs) = Package::read(bytes).map_err(LoadError::Broken)?;
        check_manifest(&package, &programs)?;
        let total: u64 = package.manifest.populations.iter().map(|p| u64::from(p.size)).sum();
        ensure(total <= MAX_NEURONS, || format!("it has {total} neurons"))?;
        check_tables(&package, total)?;
        let over = breaches(&package, &programs);
        if !over.is_empty() {
            return Err(LoadError::Capacity(over));
        }
        let mut place = vec![None; total as usize];
        for (c, core) in package.cores.iter().enumerate() {
            for (k, compartment) in core.compartments.iter().enumerate() {
                let at = &mut place[compartment.neuron as usize];
                ensure(at.is_none(), || format!("neuron {} is there twice", compartment.neuron))?;
                *at = Some((c as u32, k as u32));
            }
        }
        let driven = driven(&package.manifest);
        let homeless = (0..place.len()).find(|n| place[*n].is_none() && driven[*n].is_none());
        ensure(homeless.is_none(), || format!("neuron {} is on no core", homeless.unwrap_or_default()))?;
        let mut rings = 0_u64;
        let memory = package.cores.iter().map(|c| c.words.len() as u64).sum();
        let Package { manifest, cores, host, .. } = package;
        let mut states = Vec::with_capacity(cores.len());
        for (k, core) in cores.into_iter().enumerate() {
            let state = core_state(k as u32, core, &manifest, &programs, &mut rings)?;
            states.push(state);
        }
        let host = HostState {
            axons_out: host.axons_out,
            driven,
            events: host.events,
            next_event: 0,
            writes: host.writes,
            next_write: 0,
            counters: Counters::default(),
        };
        let operations = |profile: &u32| programs[manifest.profiles[*profile as usize].program as usize].ops.len();
        let expected = states.iter().flat_map(|c| &c.profiles).map(|p| operations(p) as u64).sum();
        let mut out = Emulator {
            manifest,
            programs,
            cores: states,
            host,
            mode,
            step: 0,
            spikes: vec![],
            place,
            memory,
            threads: 1,
            expected,
        };
        out.begin();
        Ok(out)
    }
}

/// The number among the host's neurons of each neuron that the host drives.
fn driven(manifest: &Manifest) -> Vec<Option<u32>> {
    let mut next = 0;
    let mut out = Vec::new();
    for p in &manifest.populations {
        for _ in 0..p.size {
            out.push(p.profile.is_none().then_some(next));
            next += u32::from(p.profile.is_none());
        }
    }
    out
}

fn check_manifest(package: &Package, programs: &[Program]) -> Result<(), LoadError> {
    let m = &package.manifest;
    ensure(m.target.sound(), || format!("`{}` is no chip: a figure of it is out of range", m.target.name))?;
    ensure(m.sites.len() == package.cores.len(), || "its cores and their sites differ in number".to_string())?;
    for (k, p) in m.profiles.iter().enumerate() {
        let program = programs.get(p.program as usize).ok_or_else(|| unsound(format!("profile {k} has no program")))?;
        ensure(p.params.len() == program.params.len(), || format!("profile {k} has {} constants", p.params.len()))?;
    }
    for p in &m.populations {
        let there = p.profile.is_none_or(|k| (k as usize) < m.profiles.len());
        ensure(there, || format!("`{}` has no profile", p.path))?;
    }
    for p in &m.projections {
        let ends = (p.source as usize) < m.populations.len() && (p.target as usize) < m.populations.len();
        ensure(ends, || format!("`{}` has no ends", p.path))?;
        let profile = m.populations[p.target as usize].profile;
        let profile = profile.ok_or_else(|| unsound(format!("`{}` ends at the host", p.path)))?;
        let program = &programs[m.profiles[profile as usize].program as usize];
        let f = p.format;
        let sound = (1..=8).contains(&f.bits)
            && f.delay_bits <= 6
            && (-MAX_EXPONENT..=MAX_EXPONENT).contains(&f.exponent)
            && (f.accumulator as usize) < program.accumulators.len()
            && f.rule.is_none_or(|r| (r as usize) < m.rules.len())
            && f.third_factor.is_none_or(|trace| trace < 3);
        ensure(sound, || format!("the synapses of `{}` have no such format", p.path))?;
    }
    m.rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &LearningRule) -> Result<(), LoadError> {
    let traces = rule.x.iter().chain(&rule.y);
    let mut sound = (1..=MAX_EPOCH).contains(&rule.epoch) && rule.k < 32;
    for t in traces {
        let decay = t.decay.map_or(0.0, f64::from_bits);
        sound &= t.impulse <= 127 && t.fraction <= 256 && (0.0..=1.0).contains(&decay);
        sound &= t.resting.is_none_or(|r| (0..=127).contains(&r));
    }
    for p in rule.weight.iter().chain(&rule.delay).chain(&rule.tag) {
        sound &= (-8..=7).contains(&p.mantissa) && (-7..=8).contains(&p.exponent) && p.factors.len() <= 16;
        for f in &p.factors {
            let limit = 1 << Variable::C.width();
            sound &= (-limit..=limit).contains(&f.constant);
        }
    }
    ensure(sound, || format!("the rule `{}` is more than the learning engine does", rule.name))
}

fn check_tables(package: &Package, total: u64) -> Result<(), LoadError> {
    let m = &package.manifest;
    let mut profile_of = Vec::with_capacity(total as usize);
    m.populations.iter().for_each(|p| profile_of.extend(std::iter::repeat_n(p.profile, p.size as usize)));
    for (k, core) in package.cores.iter().enumerate() {
        for c in &core.compartments {
            let expected = profile_of.get(c.neuron as usize).copied().flatten();
            ensure(expected == Some(c.profile), || format!("core {k} has neuron {} with another's profile", c.neuron))?;
        }
        ensure((1..=20).contains(&core.index_bits), || format!("core {k} numbers compartments with no bits"))?;
        for a in &core.axons_in {
            ensure((a.format as usize) < m.projections.len(), || format!("core {k} has an axon of no projection"))?;
        }
    }
    let axons = package.cores.iter().flat_map(|c| &c.axons_out).chain(&package.host.axons_out).flatten();
    for a in axons {
        let there = package.cores.get(a.core as usize).is_some_and(|c| (a.axon as usize) < c.axons_in.len());
        ensure(there, || format!("an axon leads to axon {} of core {}, which is not there", a.axon, a.core))?;
    }
    let host = &package.host;
    let known = |n: u32| u64::from(n) < total;
    let events = host.events.iter().all(|e| known(e.neuron) && profile_of[e.neuron as usize].is_none());
    ensure(events && host.events.is_sorted(), || "the host's spikes are out of order, or no neuron's".to_string())?;
    let writes = host.writes.iter().all(|w| {
        known(w.neuron)
            && w.trace < 3
            && (0..=127).contains(&w.value)
            && m.projections.get(w.projection as usize).is_some_and(|p| p.format.rule.is_some())
    });
    let ordered = host.writes.is_sorted_by_key(|w| w.step);
    ensure(writes && ordered, || "the host writes to traces that are not there".to_string())
}

fn core_state(
    number: u32,
    core: Core,
    manifest: &Manifest,
    programs: &[Program],
    rings: &mut u64,
) -> Result<CoreState, LoadError> {
    let program = |profile: u32| &programs[manifest.profiles[profile as usize].program as usize];
    let mut axons = Vec::with_capacity(core.axons_in.len());
    let mut all = Synapses::default();
    let mut longest = 0;
    for (k, a) in core.axons_in.iter().enumerate() {
        let format = manifest.projections[a.format as usize].format;
        let stored = synapses::unpack(format, core.index_bits, &core.words, a.word)
            .ok_or_else(|| unsound(format!("axon {k} of core {number} leaves the synapse memory")))?;
        let start = all.target.len();
        // Axons may not share memory: a small file could unpack to any size then.
        ensure(start + stored.len() <= core.words.len() * 64, || format!("axons of core {number} overlap"))?;
        for s in stored {
            let compartment = core.compartments.get(s.compartment as usize);
            let fits =
                compartment.is_some_and(|c| (format.accumulator as usize) < program(c.profile).accumulators.len());
            ensure(fits, || format!("axon {k} of core {number} ends at no compartment"))?;
            longest = longest.max(s.delay);
            all.target.push(s.compartment);
            all.weight.push(s.weight);
            all.delay.push(s.delay as u8);
        }
        axons.push(Axon { projection: a.format, start, end: all.target.len(), learner: None });
    }
    let slots = u64::from(longest) + 1;
    let accumulators =
        core.compartments.iter().map(|c| program(c.profile).accumulators.len()).max().unwrap_or(0).max(1);
    let entries = slots.saturating_mul(core.compartments.len() as u64).saturating_mul(accumulators as u64);
    *rings = rings.saturating_add(entries.saturating_mul(8));
    ensure(*rings <= MAX_RING_BYTES, || format!("what is on its way would take {rings} bytes"))?;
    let mut state_start = vec![0];
    let mut state = Vec::new();
    for c in &core.compartments {
        state.extend_from_slice(&c.state);
        state_start.push(state.len());
    }
    let learners = learners(&mut axons, &all, manifest);
    if !learners.is_empty() {
        all.tag = vec![0; all.target.len()];
        all.learned_delay = vec![0; all.target.len()];
    }
    Ok(CoreState {
        number,
        neurons: core.compartments.iter().map(|c| c.neuron).collect(),
        profiles: core.compartments.iter().map(|c| c.profile).collect(),
        axons_out: core.axons_out,
        state_start,
        state,
        ring: vec![0; entries as usize],
        slots,
        accumulators,
        axons,
        synapses: all,
        learners,
        noise: StreamKey::new(manifest.seed, "chip", Purpose::Noise),
        inbox: vec![],
        outbox: vec![],
        counters: Counters::default(),
        scratch: Scratch::default(),
        pending: vec![],
    })
}

/// One learner for each projection that learns and has synapses here.
fn learners(axons: &mut [Axon], synapses: &Synapses, manifest: &Manifest) -> Vec<Learner> {
    let mut out: Vec<Learner> = Vec::new();
    for k in 0..axons.len() {
        let projection = axons[k].projection;
        let format = manifest.projections[projection as usize].format;
        let Some(rule) = format.rule else { continue };
        let at = out.iter().position(|l| l.projection == projection).unwrap_or_else(|| {
            out.push(Learner::new(projection, rule, format, &manifest.rules[rule as usize]));
            out.len() - 1
        });
        let targets = &synapses.target[axons[k].start..axons[k].end];
        axons[k].learner = Some((at as u32, out[at].source(k as u32, targets)));
    }
    out
}
