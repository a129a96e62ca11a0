//! What of a circuit a chip can't do, said where it was written, and what to use instead.

use super::quantise::{self, Finding, Kind, Place};
use super::target::Target;
use crate::backend::Setting;
use crate::base::{Code, Diagnostic, Diagnostics};
use crate::ir::artefact::{Job, Unit};
use crate::ir::protocol::Stmt;
use crate::lower::Origins;
use crate::script::Value;
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
        let settings = match settings(unit) {
            Ok(settings) => settings,
            Err(d) => {
                diags.push(d);
                vec![]
            }
        };
        // A network that is not valid was reported by whoever made it.
        if let Ok(network) = valid::validate(&unit.network) {
            let findings = quantise::legalise(network, SEED, &settings, &target.numbers);
            findings.iter().for_each(|f| diags.push(diagnostic(f, origins)));
        }
    }
}

pub(super) fn diagnostic(finding: &Finding, origins: &Origins) -> Diagnostic {
    let (span, name) = match &finding.place {
        Place::Population(path) => (origins.populations.get(path), path),
        Place::Projection(path) => (origins.projections.get(path), path),
    };
    let (code, message, help) = match finding.kind {
        Kind::Dynamics => (
            DYNAMICS,
            format!("a neuron core can't compute `{name}`"),
            "cores compute sums and products of up to three states: use current-based synapses (`LifExp`, `LifDelta`, `LifCuba`), \
             `Izhikevich`, or `integrate with` a solver whose step is a polynomial",
        ),
        Kind::Delay => (DELAY, format!("the delays of `{name}` are too long"), "shorten them, or lengthen `dt`"),
        Kind::Continuous => (
            CONTINUOUS,
            format!("`{name}` brings values, and a chip sends spikes"),
            "connect by spikes: `RateToSpikes` makes them of a rate",
        ),
        Kind::Plasticity => (
            PLASTICITY,
            format!("the rule of `{name}` is no sum of products of traces"),
            "the learning engine adds products of traces that decay, weights and constants: `PairStdp` with `mu_plus = 0` and \
             `mu_minus = 0`, `RewardStdp`",
        ),
        Kind::Winners => (
            WINNERS,
            format!("`{name}` has winners that no core can choose"),
            "let inhibitory cells do it: a population that all cells excite and that inhibits all",
        ),
        Kind::Weights => (
            WEIGHTS,
            format!("the weights of `{name}` are none for a chip"),
            "weights are fixed when the circuit is built",
        ),
    };
    let d = Diagnostic::error(code, message).help(help);
    match span {
        Some(span) => d.label(*span, finding.what.clone()),
        None => d.note(finding.what.clone()),
    }
}

/// What the experiment sets before it simulates: on the chip, values at the start.
///
/// # Errors
/// A statement that the host of a chip would have to execute while the circuit runs.
pub fn settings(unit: &Unit) -> Result<Vec<Setting>, Diagnostic> {
    let mut out = Vec::new();
    let mut started = false;
    for stmt in &unit.protocol.statements {
        match stmt {
            Stmt::Simulate { .. } => started = true,
            Stmt::Set { target, op: None, value, lasting: None, place } => match value.as_const() {
                Some(Value::Number(v)) if !started && target.cells.slots.is_empty() => out.push(Setting {
                    population: target.cells.population as usize,
                    param: target.param,
                    cells: None,
                    op: None,
                    values: vec![*v],
                }),
                _ => return Err(refuse(place)),
            },
            other => {
                if let Some(place) = acts(other) {
                    return Err(refuse(place));
                }
            }
        }
    }
    Ok(out)
}

/// Where a statement changes the circuit, itself or within.
fn acts(stmt: &Stmt) -> Option<&str> {
    match stmt {
        Stmt::Set { place, .. }
        | Stmt::Emit { place, .. }
        | Stmt::SetSensor { place, .. }
        | Stmt::Update { place, .. }
        | Stmt::Downscale { place, .. }
        | Stmt::Reset { place, .. } => Some(place),
        Stmt::Learning { .. } => Some("a `learning` statement"),
        Stmt::For { body, .. } | Stmt::Repeat { body, .. } => body.iter().find_map(acts),
        Stmt::If { then, otherwise, .. } => then.iter().chain(otherwise).find_map(acts),
        _ => None,
    }
}

fn refuse(place: &str) -> Diagnostic {
    Diagnostic::error(PROTOCOL, "a package holds a circuit, and this statement changes it while it runs")
        .note(place.to_string())
        .help("set whole params to constants before the first `simulate`")
}
