//! What of a circuit a chip can't do, said where it was written, and what to use instead.

use super::quantise::{self, Finding, Kind, Place};
use super::target::Target;
use super::writes::Writes;
use crate::base::{Code, Diagnostic, Diagnostics};
use crate::ir::artefact::Job;
use crate::lower::Origins;
use crate::valid;

pub const DYNAMICS: Code = Code("E1101");
pub const DELAY: Code = Code("E1102");
pub const CONTINUOUS: Code = Code("E1103");
pub const PLASTICITY: Code = Code("E1104");
pub const WINNERS: Code = Code("E1105");
pub const WEIGHTS: Code = Code("E1106");
pub const PROTOCOL: Code = Code("E1107");
pub const CAPACITY: Code = Code("E1108");
/// A stage of the way to a package did not do what it says: a bug.
pub const MAPPING: Code = Code("E1109");

/// All codes of this room.
pub const CODES: [Code; 9] = [DYNAMICS, DELAY, CONTINUOUS, PLASTICITY, WINNERS, WEIGHTS, PROTOCOL, CAPACITY, MAPPING];

/// Seed of the elements that are looked at where nothing is emitted.
const SEED: u64 = 1;

/// Reports everything in a job that the chip doesn't do; `origins` by unit.
pub fn judge(job: &Job, origins: &[Origins], target: &Target, diags: &mut Diagnostics) {
    for (unit, origins) in job.units.iter().zip(origins) {
        // A network that is not valid was reported by whoever made it.
        if let Ok(network) = valid::validate(&unit.network) {
            let findings = quantise::legalise(network, SEED, &Writes::of(unit), &target.numbers);
            findings.iter().for_each(|f| diags.push(diagnostic(f, origins)));
        }
    }
}

pub(super) fn diagnostic(finding: &Finding, origins: &Origins) -> Diagnostic {
    let (span, name) = match &finding.place {
        Place::Population(path) => (origins.populations.get(path), path),
        Place::Projection(path) => {
            // What brings a modulator to cells was written where they are.
            let target = || path.split_once("->").and_then(|(_, to)| origins.populations.get(to));
            (origins.projections.get(path).or_else(target), path)
        }
    };
    let (code, message, help) = match finding.kind {
        Kind::Dynamics { instead } => (
            DYNAMICS,
            format!("a neuron core can't compute `{name}`"),
            instead.unwrap_or("cores compute sums and products of up to three states: use current-based synapses (`LifExp`, `LifDelta`, `LifCuba`), \
             `Izhikevich`, or `integrate with` a solver whose step is a polynomial"),
        ),
        Kind::Delay => (DELAY, format!("the delays of `{name}` are too long"), "shorten them, or lengthen `dt`"),
        Kind::Continuous => (
            CONTINUOUS,
            format!("`{name}` brings values, and a chip sends spikes"),
            "connect by spikes: `RateToSpikes` makes them of a rate; cells and rules take a modulator each of their own; what a gain or a \
             rate follows can be a sensor that the host sets",
        ),
        Kind::Plasticity => (
            PLASTICITY,
            format!("the rule of `{name}` is no sum of products of traces"),
            "the learning engine adds products of traces that decay, weights, constants, levels of modulators, sensors and numbers of \
             events: `PairStdp` with `mu_plus = 0` and `mu_minus = 0`, `RewardStdp`, `DopamineStdp`, `PhasicDopamine`, `ValueLearning`",
        ),
        Kind::Winners => (
            WINNERS,
            format!("`{name}` has winners that no core can choose"),
            "let inhibitory cells do it: a population that all cells excite and that inhibits all",
        ),
        Kind::Weights => (
            WEIGHTS,
            format!("the weights of `{name}` are none for a chip"),
            "give it weights that are numbers when the circuit is built; what changes them later is a rule, or an `update` of the experiment",
        ),
        Kind::Zeros => (
            WEIGHTS,
            format!("no weight of `{name}` is left on a chip"),
            "larger weights, or remove the projection if cells can do without it",
        ),
        Kind::Host => (
            PROTOCOL,
            format!("the experiment changes the gain of `{name}`, and the host of a chip can't"),
            "`update` its weights instead",
        ),
    };
    let d = Diagnostic::error(code, message).help(help);
    match span {
        Some(span) => d.label(*span, finding.what.clone()),
        None => d.note(finding.what.clone()),
    }
}
