//! A package as a network of SANA-FE 2.2.9 that computes for itself: cells with their dynamics, synapses with their delays. What
//! SANA-FE's Loihi does bit for bit as the package does is taken, and nothing else: one state that leaks and takes in what arrives,
//! a threshold, a reset, delays of up to 5 steps, no payloads, no learning.
//!
//! Potentials there are in 64ths of the integers here. Host spikes enter at the core that takes them, one input for each packet, so
//! their way costs nothing, as here.

use super::{PER_CORE, cores};
use crate::chip::microcode::{Program, assemble};
use crate::chip::package::{AxonOut, Package, synapses::unpack};
use crate::chip::sanafe::lif::{Unit, recognise};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Longest delay of SANA-FE's dendrites, steps beyond the one that every spike takes.
const LONGEST: u32 = 5;
/// Integers of a package in one unit of SANA-FE's potential.
const SCALE: f64 = 64.0;

/// The text of the network file; its cells are in order of the package's neurons. Runs of as many steps as the package says hold all that the host sends.
///
/// # Errors
/// In words, what of the package SANA-FE's Loihi doesn't do.
pub fn network(package: &Package) -> Result<String, String> {
    let m = &package.manifest;
    let names = cores(m)?;
    if !m.rules.is_empty() {
        return Err("synapses that learn are not SANA-FE's".to_string());
    }
    if let Some(p) = m.populations.iter().find(|p| p.graded) {
        return Err(format!("spikes of `{}` carry numbers, and SANA-FE's carry none", p.path));
    }
    let programs: Vec<Program> = m
        .programs
        .iter()
        .map(|text| assemble(text).map_err(|e| format!("a program: {e}")))
        .collect::<Result<_, _>>()?;
    let mut out = Network::default();
    let mut there = BTreeMap::new();
    for (core, name) in package.cores.iter().zip(&names) {
        there.extend(core.compartments.iter().map(|c| (c.neuron, (c, name))));
    }
    for (neuron, (c, name)) in there {
        let unit = unit(package, &programs, c.profile, &c.state).map_err(|why| {
            format!("cells of `{}` have what SANA-FE's Loihi doesn't do: {why}", path(package, neuron))
        })?;
        out.cell(unit, neuron, name);
    }
    for (k, core) in package.cores.iter().enumerate() {
        for (c, axons) in core.compartments.iter().zip(&core.axons_out) {
            let from = format!("cells.{}", out.numbers[&c.neuron]);
            let mut reached = BTreeSet::new();
            if let Some(twice) = axons.iter().find(|a| !reached.insert(a.core)) {
                let path = path(package, c.neuron);
                return Err(format!(
                    "a spike of a cell of `{path}` on core {k} is sent twice to core {}, once for each projection, and SANA-FE \
                     sends one packet: keep the targets on cores of their own (`--apart`)",
                    twice.core
                ));
            }
            axons.iter().try_for_each(|a| out.synapses(package, *a, &from))?;
        }
    }
    out.host(package, &names)?;
    out.text(&names)
}

/// The unit that a compartment is.
fn unit(package: &Package, programs: &[Program], profile: u32, state: &[i32]) -> Result<Unit, String> {
    let lost = || "its profile is not there".to_string();
    let profile = package.manifest.profiles.get(profile as usize).ok_or_else(lost)?;
    let program = programs.get(profile.program as usize).ok_or_else(lost)?;
    let unit = recognise(program, &profile.params, state)?;
    match state.get(unit.word) {
        Some(0) => Ok(unit),
        _ => Err("a start away from rest".to_string()),
    }
}

fn path(package: &Package, mut neuron: u32) -> &str {
    for p in &package.manifest.populations {
        if neuron < p.size {
            return &p.path;
        }
        neuron -= p.size;
    }
    "?"
}

#[derive(Default)]
struct Network {
    /// Of each neuron of the package: its number among the cells.
    numbers: BTreeMap<u32, u32>,
    units: BTreeMap<u32, Unit>,
    cells: String,
    inputs: String,
    edges: String,
    mappings: String,
    /// Cells and inputs by core.
    held: BTreeMap<String, (usize, usize)>,
}

// Writing to a string can't fail, here and below.
impl Network {
    fn cell(&mut self, unit: Unit, neuron: u32, core: &str) {
        let k = self.numbers.len() as u32;
        self.numbers.insert(neuron, k);
        let of = |v: i64| v as f64 / SCALE;
        let leak = unit.factor as f64 / 2_f64.powi(i32::from(unit.shift));
        let _ = writeln!(
            self.cells,
            "        - {k}: [soma: {{threshold: {:?}, leak_decay: {leak:?}, input_decay: 0.0, bias: {:?}, reset: {:?}, \
             reset_mode: hard, force_update: true}}]",
            of(unit.threshold),
            of(unit.constant),
            of(unit.reset)
        );
        let _ = writeln!(
            self.mappings,
            "  - cells.{k}: [core: {core}, soma: loihi_lif, synapse: loihi_dense_synapse, dendrite: loihi_dendrites_delay]"
        );
        self.units.insert(neuron, unit);
        self.held.entry(core.to_string()).or_default().0 += 1;
    }

    fn synapses(&mut self, package: &Package, axon: AxonOut, from: &str) -> Result<(), String> {
        let lost = || "a table of the package is damaged".to_string();
        let core = package.cores.get(axon.core as usize).ok_or_else(lost)?;
        let axon = core.axons_in.get(axon.axon as usize).ok_or_else(lost)?;
        let projection = package.manifest.projections.get(axon.format as usize).ok_or_else(lost)?;
        let format = projection.format;
        if format.exponent < 0 {
            return Err(format!("weights of `{}` have a negative exponent", projection.path));
        }
        for s in unpack(format, core.index_bits, &core.words, axon.word).ok_or_else(lost)? {
            if s.delay > LONGEST {
                let path = &projection.path;
                return Err(format!("`{path}` has delays of {} steps, SANA-FE's reach {}", s.delay + 1, LONGEST + 1));
            }
            let neuron = core.compartments.get(s.compartment as usize).ok_or_else(lost)?.neuron;
            let (to, unit) = (self.numbers[&neuron], &self.units[&neuron]);
            let worth = unit.worth.get(format.accumulator as usize).copied().unwrap_or(0);
            let weight = f64::from(s.weight) * 2_f64.powi(format.exponent) * worth as f64 / SCALE;
            let _ = writeln!(self.edges, "    - {from} -> cells.{to}: {{weight: {weight:?}, delay: {}}}", s.delay);
        }
        Ok(())
    }

    /// What the host sends: an input on the core of each axon.
    fn host(&mut self, package: &Package, names: &[String]) -> Result<(), String> {
        let m = &package.manifest;
        let mut bases = vec![];
        let mut base = 0;
        for p in &m.populations {
            if p.profile.is_none() {
                bases.extend(base..base + p.size);
            }
            base += p.size;
        }
        let mut trains: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for e in &package.host.events {
            if e.step == 0 {
                return Err("the host sends before the first step, and SANA-FE begins with it".to_string());
            }
            trains.entry(e.neuron).or_default().insert(e.step);
        }
        let mut count = 0;
        for (neuron, axons) in bases.iter().zip(&package.host.axons_out) {
            let none = BTreeSet::new();
            let train = trains.get(neuron).unwrap_or(&none);
            let bits: Vec<&str> = (1..=m.steps).map(|t| if train.contains(&t) { "1" } else { "0" }).collect();
            for a in axons {
                let core = &names[a.core as usize];
                let inputs = &mut self.held.entry(core.clone()).or_default().1;
                let _ = writeln!(self.inputs, "        - {count}: [spikes: [{}]]", bits.join(", "));
                let _ = writeln!(self.mappings, "  - host.{count}: [core: {core}, soma: \"loihi_inputs[{inputs}]\"]");
                *inputs += 1;
                self.synapses(package, *a, &format!("host.{count}"))?;
                count += 1;
            }
        }
        Ok(())
    }

    fn text(self, names: &[String]) -> Result<String, String> {
        if self.edges.is_empty() {
            return Err("the package has no synapses".to_string());
        }
        for core in names {
            let (cells, inputs) = self.held.get(core).copied().unwrap_or_default();
            if cells + inputs > PER_CORE {
                let what = format!("core {core} has {cells} cells and {inputs} inputs, each a neuron of SANA-FE");
                return Err(format!("{what}; a core of its Loihi has {PER_CORE}"));
            }
        }
        let mut out = String::from(
            "# For an architecture whose cores have `buffer_position: dendrite` and `buffer_inside_unit: true`: that of SANA-FE's\n\
             # Loihi as it comes delivers no delays.\nnetwork:\n  name: nsmc\n  groups:\n",
        );
        let _ = write!(
            out,
            "    - name: cells\n      attributes: [log_spikes: true, log_potential: true]\n      neurons:\n{}",
            self.cells
        );
        if !self.inputs.is_empty() {
            let _ = write!(out, "    - name: host\n      neurons:\n{}", self.inputs);
        }
        let _ = write!(out, "  edges:\n{}mappings:\n{}", self.edges, self.mappings);
        Ok(out)
    }
}
