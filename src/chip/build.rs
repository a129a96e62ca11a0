//! A circuit all the way to its package: integers, a trial run, a mapping, tables, each with its check.

use super::emit::{self, emit};
use super::fixed::FixedNetwork;
use super::legalise::{self, CAPACITY, MAPPING, WEIGHTS};
use super::limits::Limits;
use super::map::{self, MapError, Mapping, Problem};
use super::microcode::Program;
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
    let refused = |e: &Refusal| one(refused(e, &fixed, origins, target, options));
    let (trial, mapping) = place(&fixed, target, options).map_err(|e| refused(&e))?;
    let limits = Limits::new(target);
    let assignment = assign::assignment(&mapping, &limits);
    let package = emit(&fixed, &assignment, &limits);
    emit::check(&fixed, &assignment, &package).map_err(|what| refused(&Refusal::Check(what)))?;
    match breaches(&package, &fixed.programs).as_slice() {
        [] => Ok(Built { package, quantising, trial, mapping }),
        all => Err(one(all.iter().fold(full(target), |d, breach| d.note(breach.to_string())))),
    }
}

/// Why there is no mapping.
enum Refusal {
    /// Single cells take more than the chip gives one, by population.
    Cells(Vec<Large>),
    Map(MapError),
    Check(String),
}

/// What a cell of a population takes too much of.
struct Large {
    path: String,
    words: String,
}

/// Rates, and the mapping for them.
fn place(network: &FixedNetwork, target: &Target, options: Options) -> Result<(assign::Trial, Mapping), Refusal> {
    // Where no trial can be run, all rates count as equal.
    let trial = assign::trial(network, target).unwrap_or_default();
    let problem = assign::problem(network, target, &trial, options.apart);
    let large = large(network, &problem, target);
    if !large.is_empty() {
        return Err(Refusal::Cells(large));
    }
    let chosen = map::Options { seed: options.seed, chips: None };
    let mapping = map::map(&problem, target, &chosen).map_err(Refusal::Map)?;
    map::check(&problem, target, &mapping).map_err(|e| Refusal::Check(e.to_string()))?;
    Ok((trial, mapping))
}

/// Every population whose cells no core holds, whatever lies beside them.
fn large(network: &FixedNetwork, problem: &Problem, target: &Target) -> Vec<Large> {
    let core = &target.core;
    let cells =
        network.populations.iter().filter_map(|p| Some((p, &network.programs[p.body.as_ref()?.program as usize])));
    let mut out = vec![];
    for ((population, program), profile) in cells.zip(&problem.profiles) {
        let bytes = u64::from(profile.state_bytes);
        let needs = [
            (bytes, "bytes of state", Some(core.neuron_bytes)),
            (program.ops.len() as u64, "operations in each step", Some(core.program_ops)),
            (program.accumulators.len() as u64, "accumulators", core.accumulators),
        ];
        for (needs, what, limit) in needs {
            let Some(limit) = limit.filter(|limit| needs > *limit) else { continue };
            let mut words = format!("a cell takes {needs} {what}, the chip gives a neuron {limit}");
            if what == "bytes of state" {
                words += &format!(": {}", states(program, bytes - u64::from(program.state_bytes())));
            }
            out.push(Large { path: population.path.clone(), words });
        }
    }
    out
}

/// What takes the bytes of a cell: its states, and what the compiler adds to them.
fn states(program: &Program, traces: u64) -> String {
    let bytes = |bits: u32| u64::from(bits.div_ceil(8));
    let is_param =
        |name: &str| name.strip_prefix('p').is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()));
    let (params, own): (Vec<_>, Vec<_>) = program.states.iter().partition(|s| is_param(&s.name));
    let mut list: Vec<String> = own.iter().map(|s| format!("{} {}", s.name, bytes(s.bits))).collect();
    if !params.is_empty() {
        let all: u64 = params.iter().map(|s| bytes(s.bits)).sum();
        list.push(format!("params that differ between cells or that the experiment sets {all}"));
    }
    if traces > 0 {
        list.push(format!("traces of what learns {traces}"));
    }
    list.join(", ")
}

/// All of these populations in one message, and what the rest of the circuit would take.
fn too_large(
    large: &[Large],
    network: &FixedNetwork,
    origins: &Origins,
    target: &Target,
    options: Options,
) -> Diagnostic {
    let mut roomy = target.clone();
    (roomy.core.neuron_bytes, roomy.core.program_ops, roomy.core.accumulators) = (u64::MAX, u64::MAX, None);
    let rest = match place(network, &roomy, options) {
        Ok((_, mapping)) => {
            let by = mapping.bound.resource.map_or_else(String::new, |r| format!(", by {r}"));
            format!("all else fits: with room for that, on {} cores{by}", mapping.summary.cores)
        }
        Err(Refusal::Map(e)) => format!("nor does the rest fit: {e}"),
        // Its own mistake is told when it is all that is left.
        Err(_) => String::new(),
    };
    let help = "fewer receptors, fewer states, fewer params that differ between cells or that the experiment sets, or a chip with larger figures (`--chip`)";
    let mut d = full(target).help(help);
    for Large { path, words } in large {
        d = d.note(format!("`{path}`: {words}"));
        if let Some(span) = origins.populations.get(path) {
            d = d.label(*span, words.clone());
        }
    }
    if rest.is_empty() { d } else { d.note(rest) }
}

fn full(target: &Target) -> Diagnostic {
    Diagnostic::error(CAPACITY, format!("the circuit does not fit on `{}`", target.name))
        .help("fewer synapses onto each cell, fewer cells, or a chip with larger figures (`--chip`)")
}

fn refused(
    refusal: &Refusal,
    network: &FixedNetwork,
    origins: &Origins,
    target: &Target,
    options: Options,
) -> Diagnostic {
    let (what, neuron) = match refusal {
        Refusal::Cells(large) => return too_large(large, network, origins, target, options),
        Refusal::Check(what) => {
            let d = Diagnostic::error(MAPPING, "the mapping of the circuit is not what it says of itself");
            return d.note(what.clone()).note("this is a bug of nsmc");
        }
        Refusal::Map(e) => (e, e.neuron()),
    };
    let Some((path, cell)) = neuron.and_then(|n| cell(network, n)) else { return full(target).note(what.to_string()) };
    let words = match what {
        MapError::TooLarge { resource, needs, limit, .. } => {
            format!("cell {cell} alone takes {needs} {resource}, a core has {limit}")
        }
        other => other.to_string(),
    };
    let d = full(target).note(format!("`{path}`: {words}"));
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
