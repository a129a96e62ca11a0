//! A circuit all the way to its package: integers, a trial run, a mapping, tables, each with its check.

use super::emit::{self, emit};
use super::fixed::FixedNetwork;
use super::legalise::{self, CAPACITY, MAPPING, WEIGHTS};
use super::limits::Limits;
use super::map::{self, MapError, Mapping};
use super::package::{Package, breaches};
use super::target::Target;
use super::writes::Writes;
use super::{assign, quantise};
use crate::base::Diagnostic;
use crate::ir::artefact::Unit;
use crate::lower::Origins;
use crate::valid;

/// What a user may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of what is drawn when the package is made, of draws on the chip and of the search for a mapping.
    pub seed: u64,
    /// The outermost regions share no core.
    pub apart: bool,
}

/// A package, and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    pub package: Package,
    pub quantising: quantise::Report,
    pub trial: assign::Trial,
    pub mapping: Mapping,
}

/// Makes the package.
///
/// # Errors
/// What the chip doesn't do or doesn't hold.
pub fn build(unit: &Unit, origins: &Origins, target: &Target, options: Options) -> Result<Built, Vec<Diagnostic>> {
    // Where nobody knows how long it lasts, sources play all that they have.
    let steps = unit.protocol.duration_hint_ms.map_or(u64::MAX, |ms| (ms / unit.network.dt_ms).round() as u64);
    let network = valid::validate(&unit.network)
        .map_err(|e| vec![Diagnostic::error(WEIGHTS, format!("the network is not valid: {e}"))])?;
    let (fixed, quantising) = quantise::quantise(network, options.seed, steps, &Writes::of(unit), &target.numbers)
        .map_err(|findings| findings.iter().map(|f| legalise::diagnostic(f, origins)).collect::<Vec<_>>())?;
    let one = |d: Diagnostic| vec![d];
    let (trial, mapping) = place(&fixed, target, options).map_err(|e| one(refused(&e, &fixed, origins, target)))?;
    let limits = Limits::new(target);
    let assignment = assign::assignment(&mapping, &limits);
    let package = emit(&fixed, &assignment, &limits);
    emit::check(&fixed, &assignment, &package)
        .map_err(|what| one(refused(&Refusal::Check(what), &fixed, origins, target)))?;
    match breaches(&package, &fixed.programs).first() {
        Some(first) => Err(one(full(target, first.to_string()))),
        None => Ok(Built { package, quantising, trial, mapping }),
    }
}

/// Why there is no mapping.
enum Refusal {
    Map(MapError),
    Check(String),
}

/// Rates, and the mapping for them.
fn place(network: &FixedNetwork, target: &Target, options: Options) -> Result<(assign::Trial, Mapping), Refusal> {
    // Where no trial can be run, all rates count as equal.
    let trial = assign::trial(network, target).unwrap_or_default();
    let numbered = assign::numbered(network, target);
    let problem = assign::problem(network, &numbered, &trial, options.apart);
    let chosen = map::Options { seed: options.seed, chips: None };
    let mapping = map::map(&problem, &numbered, &chosen).map_err(Refusal::Map)?;
    map::check(&problem, &numbered, &mapping).map_err(|e| Refusal::Check(e.to_string()))?;
    Ok((trial, mapping))
}

fn full(target: &Target, what: String) -> Diagnostic {
    Diagnostic::error(CAPACITY, format!("the circuit does not fit on `{}`", target.name))
        .note(what)
        .help("fewer synapses onto each cell, fewer cells, or a chip with larger figures (`--chip`)")
}

fn refused(refusal: &Refusal, network: &FixedNetwork, origins: &Origins, target: &Target) -> Diagnostic {
    let (what, neuron) = match refusal {
        Refusal::Check(what) => {
            let d = Diagnostic::error(MAPPING, "the mapping of the circuit is not what it says of itself");
            return d.note(what.clone()).note("this is a bug of nsmc");
        }
        Refusal::Map(e) => (e, e.neuron()),
    };
    let Some((path, cell)) = neuron.and_then(|n| cell(network, n)) else { return full(target, what.to_string()) };
    let words = match what {
        MapError::NeuronState { bytes, limit, .. } => {
            format!("cell {cell} takes {bytes} bytes of state, the chip gives a neuron {limit}")
        }
        MapError::TooLarge { resource, needs, limit, .. } => {
            format!("cell {cell} alone takes {needs} {resource}, a core has {limit}")
        }
        other => other.to_string(),
    };
    let d = full(target, format!("`{path}`: {words}"));
    match origins.populations.get(path) {
        Some(span) => d.label(*span, words),
        None => d,
    }
}

/// Population and cell of a neuron.
fn cell(network: &FixedNetwork, mut neuron: usize) -> Option<(&str, usize)> {
    for p in &network.populations {
        if neuron < p.size as usize {
            return Some((&p.path, neuron));
        }
        neuron -= p.size as usize;
    }
    None
}
