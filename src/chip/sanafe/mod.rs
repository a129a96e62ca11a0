//! What a run sent, as a network of SANA-FE 2.2.9, which counts packets, hops and their energy by itself: the one outside check of
//! where a mapping puts neurons and of what that costs. Packages of plain integrate-and-fire cells are written with their
//! dynamics, too ([`cells`]), so that SANA-FE computes spikes and potentials for itself.
//!
//! Every list of a neuron (its axons of one projection) becomes an input of its core that plays the spikes back, and every neuron a
//! cell of its core that takes them in and never fires. So SANA-FE sees the packets of the run and nothing of its dynamics, and a
//! list costs a packet for each core, as here. Spikes of the host enter at the tile of its port.

pub mod cells;
mod lif;

use super::emulator::Emulator;
use super::package::Manifest;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Neurons that a core of SANA-FE's Loihi has, inputs among them.
const PER_CORE: usize = 1024;

/// A threshold that no sum of weights reaches.
const NEVER: &str = "1.0e+12";

/// The text of the network file. A run of as many steps as each input has bits plays all of it back.
///
/// # Errors
/// In words, where nothing is sent or SANA-FE's Loihi can't hold it.
pub fn network(chip: &Emulator) -> Result<String, String> {
    let m = chip.manifest();
    let cores = cores(m)?;
    let mut trains: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    chip.spikes().iter().for_each(|s| trains.entry(s.neuron).or_default().push(s.step));
    // Cells and inputs of each core of SANA-FE; the host's spikes enter at the first.
    let mut held: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    const PORT: &str = "0.0";
    let mut out = String::from("network:\n  name: nsmc\n  groups:\n    - name: cells\n      neurons:\n");
    let mut mappings = String::from("mappings:\n");
    // Writing to a string can't fail, here and below.
    let neurons: u32 = m.populations.iter().map(|p| p.size).sum();
    let mut number: BTreeMap<u32, u32> = BTreeMap::new();
    for neuron in 0..neurons {
        let Some(core) = chip.core_of(neuron) else { continue };
        let k = number.len() as u32;
        number.insert(neuron, k);
        held.entry(&cores[core as usize]).or_default().0 += 1;
        let _ = writeln!(
            out,
            "        - {k}: [soma: {{threshold: {NEVER}, leak_decay: 0.0, input_decay: 0.0, bias: 0.0, reset: 0.0, \
             reset_mode: hard, force_update: true}}]"
        );
        let _ = writeln!(
            mappings,
            "  - cells.{k}: [core: {}, soma: loihi_lif, synapse: loihi_dense_synapse, dendrite: loihi_dendrites]",
            cores[core as usize]
        );
    }
    let mut lists = String::new();
    let mut edges = String::new();
    let mut count = 0_u32;
    for p in 0..m.projections.len() {
        let mut synapses = chip.synapses(p);
        synapses.sort_unstable();
        for list in synapses.chunk_by(|a, b| a.source == b.source) {
            let source = list[0].source;
            let core = chip.core_of(source).map_or(PORT, |c| cores[c as usize].as_str());
            let inputs = &mut held.entry(core).or_default().1;
            let input = *inputs;
            *inputs += 1;
            let train = trains.get(&source).map_or(&[][..], Vec::as_slice);
            let bits: Vec<&str> =
                (0..=chip.step()).map(|t| if train.binary_search(&t).is_ok() { "1" } else { "0" }).collect();
            let _ = writeln!(lists, "        - {count}: [spikes: [{}]]", bits.join(", "));
            let _ = writeln!(mappings, "  - lists.{count}: [core: {core}, soma: \"loihi_inputs[{input}]\"]");
            for s in list {
                let Some(target) = number.get(&s.target) else { continue };
                let _ = writeln!(edges, "    - lists.{count} -> cells.{target}: {{weight: {}}}", s.weight);
            }
            count += 1;
        }
    }
    if count == 0 {
        return Err("the package has no synapses, so no packet is sent".to_string());
    }
    if let Some((core, (cells, lists))) = held.iter().find(|(_, (cells, lists))| cells + lists > PER_CORE) {
        let what = format!("core {core} has {cells} cells and {lists} lists, each a neuron of SANA-FE");
        return Err(format!("{what}; a core of its Loihi has {PER_CORE}"));
    }
    let _ = write!(out, "    - name: lists\n      neurons:\n{lists}  edges:\n{edges}{mappings}");
    Ok(out)
}

/// The name of each core there: tile, and number on the tile.
fn cores(m: &Manifest) -> Result<Vec<String>, String> {
    if m.sites.iter().any(|s| s.0 != 0) {
        return Err("SANA-FE's Loihi is one chip, and the package takes several".to_string());
    }
    let mut next: BTreeMap<u64, u32> = BTreeMap::new();
    let name = |(_, x, y): &(u32, u32, u32)| {
        let tile = u64::from(*x) * u64::from(m.target.chip.height) + u64::from(*y);
        let slot = next.entry(tile).or_default();
        *slot += 1;
        format!("{tile}.{}", *slot - 1)
    };
    Ok(m.sites.iter().map(name).collect())
}
