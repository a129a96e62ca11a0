//! A network as a graph in the language of Graphviz: populations as nodes, projections as edges.

use crate::ir::{Network, Node, Weight};
use petgraph::visit::{EdgeRef, IntoEdgeReferences};
use std::fmt::Write;

/// `dot -Tsvg` draws it. Inhibitory projections end in a bar, as in the field's figures.
pub(super) fn dot(network: &Network) -> String {
    let mut out =
        format!("digraph {} {{\n  rankdir=LR; node [shape=ellipse, fontname=Helvetica]\n", quote(&network.name));
    for id in network.graph.node_indices() {
        let (label, shape) = match &network.graph[id] {
            Node::Population(p) => {
                (format!("{}\n{} x {}", p.path, p.size, p.dynamics.model), if p.source { "box" } else { "ellipse" })
            }
            Node::Private { path, model } => (format!("{path}\n{model}"), "box"),
        };
        // Writing to a String never fails.
        let _ = writeln!(out, "  n{} [label={}, shape={shape}]", id.index(), quote(&label));
    }
    for edge in (&network.graph).edge_references() {
        let p = edge.weight();
        let head = match p.weight {
            Weight::Constant(w) if w < 0.0 => ", arrowhead=tee",
            _ => "",
        };
        let style = if p.private { ", style=dashed" } else { "" };
        let (from, to) = (edge.source().index(), edge.target().index());
        let _ = writeln!(out, "  n{from} -> n{to} [label={}{head}{style}]", quote(&p.path));
    }
    out.push_str("}\n");
    out
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let mut network = Network { name: "a \"b\"".into(), ..Network::default() };
        network.graph.add_node(Node::Private { path: "x\\y".into(), model: "Poisson".into() });
        let text = dot(&network);
        assert!(text.starts_with("digraph \"a \\\"b\\\"\" {\n"));
        assert!(text.contains(r#"n0 [label="x\\y\nPoisson", shape=box]"#), "{text}");
    }
}
