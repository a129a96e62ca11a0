//! What a package asks of a chip, against what the chip has.

use super::{Core, Package, Profile, synapses};
use crate::chip::fixed::LearningRule;
use crate::chip::microcode::Program;
use std::collections::BTreeSet;
use std::fmt;

/// A capacity that is exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// As it is called among the limits.
    pub resource: &'static str,
    /// What asks for it: a core, a program, a projection.
    pub of: String,
    pub found: u64,
    pub limit: u64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}, the chip has {}", self.of, self.found, self.resource, self.limit)
    }
}

/// Every capacity that the package exceeds, by core and by name.
pub fn breaches(package: &Package, programs: &[Program]) -> Vec<Breach> {
    let l = &package.manifest.target;
    let mut out = Vec::new();
    let mut demand = |resource: &'static str, of: &dyn Fn() -> String, found: u64, limit: Option<u64>| {
        if let Some(limit) = limit.filter(|limit| found > *limit) {
            out.push(Breach { resource, of: of(), found, limit });
        }
    };
    for p in programs {
        let of = || format!("program {}", p.name);
        demand("operations", &of, p.ops.len() as u64, Some(l.core.program_ops));
        demand("bytes of state", &of, u64::from(p.state_bytes()), Some(l.core.neuron_bytes));
        demand("accumulators", &of, p.accumulators.len() as u64, l.core.accumulators);
    }
    for p in &package.manifest.projections {
        let of = || format!("projection {}", p.path);
        demand("bits of weight", &of, u64::from(p.format.bits), Some(u64::from(l.numbers.weight_bits)));
        // Delays of a projection share a width; the longest that one of them has was judged before.
        let longest = (1_u64 << p.format.delay_bits.min(32)) - 1;
        let limit = (u64::from(l.numbers.delay_steps) + 1).next_power_of_two() - 1;
        demand("steps of delay", &of, longest, Some(limit));
    }
    for (k, core) in package.cores.iter().enumerate() {
        let of = || format!("core {k}");
        for (resource, found, limit) in demands(package, programs, core) {
            demand(resource, &of, found, limit);
        }
    }
    out
}

/// What a core takes of each resource, and its limit.
pub fn demands(package: &Package, programs: &[Program], core: &Core) -> [(&'static str, u64, Option<u64>); 10] {
    let (m, l) = (&package.manifest, &package.manifest.target);
    let profiles: BTreeSet<u32> = core.compartments.iter().map(|c| c.profile).collect();
    let profile = |k: u32| m.profiles.get(k as usize);
    let program = |p: &Profile| programs.get(p.program as usize);
    let used: BTreeSet<u32> = profiles.iter().filter_map(|k| Some(profile(*k)?.program)).collect();
    let program_words: u64 = used.iter().filter_map(|k| programs.get(*k as usize)).map(|p| p.ops.len() as u64).sum();
    let states = core.compartments.iter().filter_map(|c| program(profile(c.profile)?));
    let mut bytes: u64 = states.map(|p| u64::from(p.state_bytes())).sum();
    let (mut words, mut synapses) = (0, 0);
    let (mut formats, mut rules) = (Vec::new(), BTreeSet::new());
    // Compartments whose post traces some projection keeps, once for each projection.
    let learns = m.projections.iter().filter(|p| p.format.rule.is_some());
    for p in learns {
        let target = m.populations.get(p.target as usize).and_then(|p| p.profile);
        let kept = core.compartments.iter().filter(|c| Some(c.profile) == target).count() as u64;
        bytes += kept * LearningRule::TARGET_BYTES;
    }
    for a in &core.axons_in {
        let Some(p) = m.projections.get(a.format as usize) else { continue };
        let n = synapses::count(&core.words, a.word);
        synapses += n;
        words += l.synapse.words(n, synapses::width(p.format, core.index_bits));
        if !formats.contains(&p.format) {
            formats.push(p.format);
        }
        if let Some(rule) = p.format.rule {
            rules.insert(rule);
            bytes += LearningRule::SOURCE_BYTES;
        }
    }
    let axons_out: u64 = core.axons_out.iter().map(|a| a.len() as u64).sum();
    let axons_in = core.axons_in.len() as u64;
    bytes += u64::from(l.synapse.word_bits).div_ceil(8) * words
        + l.core.axon_bytes * (axons_in + axons_out)
        + l.core.program_word_bytes * program_words;
    [
        ("neurons", core.compartments.len() as u64, Some(l.core.compartments)),
        ("words of synapses", words, l.core.synapse_words),
        ("synapses", synapses, l.core.synapses),
        ("axons in", axons_in, l.core.axons_in),
        ("axons out", axons_out, l.core.axons_out),
        ("words of programs", program_words, l.core.program_words),
        ("profiles", profiles.len() as u64, l.core.profiles),
        ("synapse formats", formats.len() as u64, l.core.formats),
        ("learning rules", rules.len() as u64, l.core.rules),
        ("bytes of memory", bytes, l.core.memory_bytes),
    ]
}
