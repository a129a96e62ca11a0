//! A circuit read from NIR as `.nsm` text, with an edge file for each projection.

use super::read::{Cells, Circuit, Kind, Projection, names};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Text, and files beside it: name and content.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    pub text: String,
    pub edges: Vec<(String, String)>,
}

/// The text of a circuit. `from` is the file that it comes from, `stem` begins the names of the edge files.
pub fn text(circuit: &Circuit, from: &str, stem: &str) -> Files {
    let names = names(&circuit.populations);
    let mut out = String::new();
    // A name with a line break would end its comment.
    let line = |s: &str| s.replace(|c: char| c.is_control(), " ");
    let from = line(from);
    let plain = |c: char| if c.is_alphanumeric() || ['_', '-', '.'].contains(&c) { c } else { '_' };
    let stem: String = stem.chars().map(plain).collect();
    // Writing to a string can't fail, here and below.
    let _ = writeln!(out, "// Read from {from} by `nsmc import`. In NIR a spike is an input of height 1 for one step.");
    for note in &circuit.notes {
        let _ = writeln!(out, "// Rounded: {}.", line(note));
    }
    if circuit.populations.iter().any(|p| p.cells.is_none()) {
        out.push_str("use std.sources.Poisson\n");
    }
    let kinds: BTreeSet<Kind> = circuit.populations.iter().filter_map(|p| Some(p.cells.as_ref()?.kind)).collect();
    kinds.iter().for_each(|k| out.push_str(model(*k)));
    let dt = circuit.dt;
    let _ = writeln!(out, "\nnetwork Imported {{\n    dt {dt:?} s");
    if circuit.populations.iter().any(|p| p.cells.is_none()) {
        out.push_str("    /// What an input sends is not in NIR: let it be this, or another source.\n    param input_rate = 10 Hz\n");
    }
    for (p, name) in circuit.populations.iter().zip(&names) {
        let size = p.size;
        match &p.cells {
            None => {
                let _ = writeln!(out, "    source {name}[{size}]: Poisson(rate = input_rate)");
            }
            Some(cells) => population(name, size, cells, &mut out),
        }
    }
    let mut edges = Vec::new();
    for p in &circuit.projections {
        let (source, target) = (&names[p.source], &names[p.target]);
        let file = format!("{stem}.{source}.{target}.csv");
        projection(p, source, target, &file, &mut out);
        edges.push((file, csv(p)));
    }
    out.push_str("}\n\nexperiment Run of Imported {\n");
    for (p, name) in circuit.populations.iter().zip(&names).filter(|(p, _)| p.shown) {
        let what = match &p.cells {
            Some(c) if matches!(c.kind, Kind::Li | Kind::CubaLi) => "V",
            _ => "spikes",
        };
        let _ = writeln!(out, "    record {what} of {name}");
    }
    out.push_str("    simulate 100 ms\n}\n");
    Files { text: out, edges }
}

/// NIR's equations of a cell, potentials and currents in volts. A spike needs V above the threshold, not at it.
fn model(kind: Kind) -> &'static str {
    match kind {
        Kind::Lif => {
            "
/// NIR's LIF.
neuron Lif {
    param tau = 10 ms, V_leak = 0 V, V_th = 1 V, V_reset = 0 V
    state V = 0 V
    V' = (V_leak - V) / tau
    receptor syn(w: voltage) { V += w }
    spike when V > V_th { V = V_reset }
}
"
        }
        Kind::If => {
            "
/// NIR's IF.
neuron If {
    param drive = 0 V/s, V_th = 1 V, V_reset = 0 V
    state V = 0 V
    V' = drive
    receptor syn(w: voltage) { V += w }
    spike when V > V_th { V = V_reset }
}
"
        }
        Kind::CubaLif => {
            "
/// NIR's CubaLIF; its resistance is in I.
neuron CubaLif {
    param tau = 10 ms, tau_syn = 5 ms, V_leak = 0 V, V_th = 1 V, V_reset = 0 V
    state V = 0 V, I = 0 V
    V' = (V_leak - V + I) / tau
    I' = -I / tau_syn
    receptor syn(w: voltage) { I += w }
    spike when V > V_th { V = V_reset }
}
"
        }
        Kind::Li => {
            "
/// NIR's LI: it shows its V and sends nothing.
neuron Li {
    param tau = 10 ms, V_leak = 0 V
    state V = 0 V
    V' = (V_leak - V) / tau
    receptor syn(w: voltage) { V += w }
}
"
        }
        Kind::CubaLi => {
            "
/// NIR's CubaLI; its resistance is in I. It shows its V and sends nothing.
neuron CubaLi {
    param tau = 10 ms, tau_syn = 5 ms, V_leak = 0 V
    state V = 0 V, I = 0 V
    V' = (V_leak - V + I) / tau
    I' = -I / tau_syn
    receptor syn(w: voltage) { I += w }
}
"
        }
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Lif => "Lif",
        Kind::If => "If",
        Kind::CubaLif => "CubaLif",
        Kind::Li => "Li",
        Kind::CubaLi => "CubaLi",
    }
}

fn unit(param: &str) -> &'static str {
    match param {
        "tau" | "tau_syn" => "s",
        "drive" => "V/s",
        _ => "V",
    }
}

fn population(name: &str, size: usize, cells: &Cells, out: &mut String) {
    let mut bindings = Vec::new();
    for (param, values) in &cells.params {
        // Only the reader needs it.
        if *param == "I_gain" {
            continue;
        }
        let unit = unit(param);
        match values.first() {
            Some(one) if values.iter().all(|v| v == one) => bindings.push(format!("{param} = {one:?} {unit}")),
            _ => {
                let list: Vec<String> = values.iter().map(|v| format!("{v:?} {unit}")).collect();
                let _ = writeln!(out, "    let {param}_of_{name}[cell: {size}] = [{}]", list.join(", "));
                bindings.push(format!("{param} = {param}_of_{name}[cell]"));
            }
        }
    }
    let (kind, bindings) = (name_of(cells.kind), bindings.join(", "));
    let _ = writeln!(out, "    population {name}[cell: {size}]: {kind}({bindings}) {{ mixed }}");
}

/// The one delay of a projection, if it has one.
fn delay(p: &Projection) -> Option<u32> {
    let first = p.synapses.first()?.delay;
    p.synapses.iter().all(|s| s.delay == first).then_some(first)
}

fn projection(p: &Projection, source: &str, target: &str, file: &str, out: &mut String) {
    let mut rule = format!("connect edges(\"{file}\")");
    if p.source == p.target {
        rule.push_str(" with autapses");
    }
    let mut pairs = p.synapses.iter().map(|s| (s.pre, s.post));
    let mut before = pairs.next();
    if pairs.any(|pair| before.replace(pair) == Some(pair)) {
        rule.push_str(" with multapses");
    }
    let delay = delay(p).map_or("dt * column(\"steps\")".to_string(), |d| format!("{d} * dt"));
    let _ = writeln!(
        out,
        "    projection {source} -> {target} {{\n        {rule}\n        weight 1 V * column(\"weight\")\n        delay {delay}\n    }}"
    );
}

fn csv(p: &Projection) -> String {
    let steps = delay(p).is_none();
    let mut out = String::from(if steps { "pre,post,weight,steps\n" } else { "pre,post,weight\n" });
    for s in &p.synapses {
        let _ = write!(out, "{},{},{:?}", s.pre, s.post, s.weight);
        let _ = if steps { writeln!(out, ",{}", s.delay) } else { writeln!(out) };
    }
    out
}
