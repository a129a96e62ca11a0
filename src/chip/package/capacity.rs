//! What a package asks of a chip, against what the chip has.

use super::{Package, Profile};
use crate::chip::limits::AXON_BYTES;
use crate::chip::microcode::Program;
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
    let mut demand = |resource: &'static str, of: &dyn Fn() -> String, found: u64, limit: u64| {
        if found > limit {
            out.push(Breach { resource, of: of(), found, limit });
        }
    };
    for p in programs {
        let of = || format!("program {}", p.name);
        demand("operations", &of, p.ops.len() as u64, u64::from(l.operations));
        demand("bytes of state", &of, u64::from(p.state_bytes()), u64::from(l.state_bytes));
        demand("accumulators", &of, p.accumulators.len() as u64, u64::from(l.accumulators));
    }
    for p in &package.manifest.projections {
        let of = || format!("projection {}", p.path);
        demand("bits of weight", &of, u64::from(p.format.bits), u64::from(l.weight_bits));
        let longest = (1_u64 << p.format.delay_bits.min(32)) - 1;
        demand("steps of delay", &of, longest, u64::from(l.delay));
    }
    for (k, core) in package.cores.iter().enumerate() {
        let of = || format!("core {k}");
        let state = |p: &Profile| programs.get(p.program as usize).map_or(0, |p| u64::from(p.state_bytes()));
        let states = core.compartments.iter().filter_map(|c| package.manifest.profiles.get(c.profile as usize));
        let states: u64 = states.map(state).sum();
        let axons_out: u64 = core.axons_out.iter().map(|a| a.len() as u64).sum();
        let axons_in = core.axons_in.len() as u64;
        let words = core.words.len() as u64;
        demand("neurons", &of, core.compartments.len() as u64, u64::from(l.neurons));
        demand("words of synapses", &of, words, u64::from(l.synapse_words));
        demand("axons in", &of, axons_in, u64::from(l.axons_in));
        demand("axons out", &of, axons_out, u64::from(l.axons_out));
        let bytes = states + 8 * words + AXON_BYTES * (axons_in + axons_out);
        demand("bytes of memory", &of, bytes, l.memory_bytes);
    }
    out
}
