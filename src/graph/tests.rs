//! Layouts hold what a reader takes for granted, and drawings are well-formed and the same every time.

use super::layout::{Rect, layout};
use super::*;

fn cell(path: &str, source: bool) -> Cell {
    Cell { path: path.to_string(), model: "LifDelta".to_string(), source, size: (!source).then_some(100) }
}

fn edge(from: usize, to: usize, sign: Sign) -> Edge {
    Edge { path: format!("{from}->{to}"), from, to, sign, synapses: Some(1e4), note: "a <note>".to_string() }
}

/// Sources, a circle, a loop, a long edge, two regions of which one lies in the other.
fn example() -> Figure {
    let paths = ["drive", "E", "I", "bg.D1", "bg.core.GPi", "bg.core.GPe", "Thal"];
    let nodes = paths.iter().map(|p| cell(p, *p == "drive")).collect();
    let links = [(0, 1), (1, 2), (2, 1), (1, 1), (1, 3), (3, 4), (5, 4), (4, 5), (4, 6), (0, 6), (6, 1)];
    let edges = links.iter().map(|(a, b)| edge(*a, *b, if *a == 2 { Sign::Inhibits } else { Sign::Excites })).collect();
    Figure { name: "Example".to_string(), nodes, edges }
}

fn apart(a: Rect, b: Rect) -> bool {
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
}

fn within(a: Rect, b: Rect) -> bool {
    a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height
}

#[test]
fn nodes_stay_apart_and_in_their_regions() {
    let figure = example();
    let places = layout(&figure);
    for (k, a) in places.nodes.iter().enumerate() {
        for b in &places.nodes[k + 1..] {
            assert!(apart(*a, *b), "{a:?} {b:?}");
        }
        let whole = Rect { x: -0.01, y: -0.01, width: places.width + 0.02, height: places.height + 0.02 };
        assert!(within(*a, whole), "{a:?} in {whole:?}");
    }
    assert_eq!(places.regions.iter().map(|(p, _)| p.as_str()).collect::<Vec<_>>(), ["bg", "bg.core"]);
    for (path, frame) in &places.regions {
        for (cell, r) in figure.nodes.iter().zip(&places.nodes) {
            let inside = cell.path.starts_with(&format!("{path}."));
            assert!(if inside { within(*r, *frame) } else { apart(*r, *frame) }, "{} and {path}", cell.path);
        }
    }
}

#[test]
fn what_feeds_stands_left_of_what_it_feeds() {
    let places = layout(&example());
    let x = |k: usize| places.nodes[k].x;
    assert!(x(0) < x(1) && x(1) < x(2) && x(1) < x(3) && x(3) < x(6));
    // Loops have no route, all others begin and end on their nodes' sides.
    for (e, route) in example().edges.iter().zip(&places.routes) {
        assert_eq!(route.is_empty(), e.from == e.to);
        for (node, p) in [(e.from, route.first()), (e.to, route.last())] {
            let r = places.nodes[node];
            if let Some(p) = p {
                assert!(p.0 == r.x || p.0 == r.x + r.width, "{e:?}");
                assert!(p.1 > r.y && p.1 < r.y + r.height, "{e:?}");
            }
        }
    }
}

#[test]
fn a_drawing_is_escaped_and_always_the_same() {
    let text = draw::svg(&example());
    assert_eq!(text, draw::svg(&example()));
    assert!(text.contains("a &lt;note&gt;") && !text.contains("<note>"));
    for tag in ["g", "svg", "text", "marker", "title", "style", "defs"] {
        let opened = text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(text.matches("<title>").count(), 7 + 11);
    // An empty circuit is a drawing too.
    assert!(draw::svg(&Figure::default()).ends_with("</svg>\n"));
}

#[test]
fn counts_read_well() {
    let shown: Vec<String> = [0.0, 1.0, 9999.0, 12_500.0, 15.6e6, 2.04e9].into_iter().map(count).collect();
    assert_eq!(shown, ["0", "1", "9999", "12.5 k", "15.6 M", "2 G"]);
}
