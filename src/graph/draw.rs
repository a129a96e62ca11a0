//! The drawing as SVG: light and dark by the reader's choice, no script, the same bytes for the same figure.

use super::layout::{Layout, Point, Rect, layout};
use super::{Cell, Edge, Figure, Sign, count};
use crate::numerics;
use std::fmt::Write;

/// Around everything.
const MARGIN: f64 = 24.0;
/// Height of the title and of the legend.
const TITLE: f64 = 40.0;
const LEGEND: f64 = 58.0;
/// Width that the legend needs.
const LEGEND_WIDTH: f64 = 560.0;

/// A figure's colours are of Okabe and Ito's set, told apart by every kind of colour vision.
const STYLE: &str = "\
.nsm{--bg:#ffffff;--ink:#1f2328;--muted:#656d76;--node:#f3f6fa;--source:#fbf6e9;--line:#aab4c0;--box:#8b95a1;\
--exc:#0b66a8;--inh:#c4460c;--mix:#7d4f9e}\
@media(prefers-color-scheme:dark){.nsm{--bg:#15191f;--ink:#e6e9ee;--muted:#9aa4b0;--node:#232a33;--source:#33301f;\
--line:#525d6a;--box:#6b7683;--exc:#5db0ee;--inh:#f0884e;--mix:#c39be0}}\
.nsm{background:var(--bg);font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
.nsm text{fill:var(--ink);font-size:11px}.nsm .h{font-size:15px;font-weight:600}.nsm .b{font-size:13px;font-weight:600}\
.nsm .m{fill:var(--muted)}.nsm .node{fill:var(--node);stroke:var(--line)}.nsm .source{fill:var(--source);stroke:var(--line)}\
.nsm .box{fill:none;stroke:var(--box);stroke-dasharray:2 3}.nsm .e{fill:none;opacity:.85}\
.nsm .x{stroke:var(--exc)}.nsm .i{stroke:var(--inh)}.nsm .d{stroke:var(--mix)}.nsm .own{stroke-dasharray:5 4}\
.nsm .fx{fill:var(--exc)}.nsm .fi{fill:var(--inh)}.nsm .fd{fill:var(--mix)}";

/// The ends of edges: an arrow excites, a bar inhibits, a diamond does either.
const MARKERS: &str = "<defs>\
<marker id=\"nsm-x\" markerUnits=\"userSpaceOnUse\" markerWidth=\"12\" markerHeight=\"12\" refX=\"10\" refY=\"6\" orient=\"auto\">\
<path class=\"fx\" d=\"M0 1L11 6L0 11Z\"/></marker>\
<marker id=\"nsm-i\" markerUnits=\"userSpaceOnUse\" markerWidth=\"8\" markerHeight=\"16\" refX=\"4\" refY=\"8\" orient=\"auto\">\
<path class=\"fi\" d=\"M2 1H5V15H2Z\"/></marker>\
<marker id=\"nsm-d\" markerUnits=\"userSpaceOnUse\" markerWidth=\"14\" markerHeight=\"12\" refX=\"11\" refY=\"6\" orient=\"auto\">\
<path class=\"fd\" d=\"M0 6L6 1L12 6L6 11Z\"/></marker></defs>";

/// The two lines of a node.
pub(super) fn texts(cell: &Cell) -> (String, String) {
    let name = cell.path.rsplit('.').next().unwrap_or(&cell.path).to_string();
    let second = match cell.size {
        Some(n) => format!("{n} × {}", cell.model),
        None => cell.model.clone(),
    };
    (name, second)
}

/// The figure as a file of its own, or to stand in a page.
pub fn svg(figure: &Figure) -> String {
    let places = layout(figure);
    let width = places.width.max(LEGEND_WIDTH) + 2.0 * MARGIN;
    let height = places.height + TITLE + LEGEND + 2.0 * MARGIN;
    let mut out = String::new();
    let (w, h) = (px(width), px(height));
    // Writing to a String never fails, here and below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"nsm\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         role=\"img\" aria-label=\"{}\">",
        escape(&format!("Circuit of {}", figure.name))
    );
    let _ = writeln!(out, "<style>{STYLE}</style>{MARKERS}");
    let _ = writeln!(out, "<rect width=\"{w}\" height=\"{h}\" style=\"fill:var(--bg)\"/>");
    text(&mut out, "h", MARGIN, MARGIN + 14.0, &figure.name);
    let _ = writeln!(out, "<g transform=\"translate({} {})\">", px(MARGIN), px(MARGIN + TITLE));
    for (path, r) in &places.regions {
        rect(&mut out, "box", *r, 12.0);
        text(&mut out, "b m", r.x + 12.0, r.y + 20.0, path.rsplit('.').next().unwrap_or(path));
    }
    for (k, e) in figure.edges.iter().enumerate() {
        edge(&mut out, e, k, figure, &places);
    }
    for (cell, r) in figure.nodes.iter().zip(&places.nodes) {
        node(&mut out, cell, *r);
    }
    out.push_str("</g>\n");
    legend(&mut out, figure, MARGIN, height - LEGEND);
    out.push_str("</svg>\n");
    out
}

fn node(out: &mut String, cell: &Cell, r: Rect) {
    let (first, second) = texts(cell);
    let size = match cell.size {
        Some(n) => format!("{n} cells"),
        None => "a train of its own for each target".to_string(),
    };
    let _ = write!(out, "<g><title>{}</title>", escape(&format!("{}: {}, {size}", cell.path, cell.model)));
    let (class, radius) = if cell.source { ("source", r.height / 2.0) } else { ("node", 9.0) };
    rect(out, class, r, radius);
    let middle = r.x + r.width / 2.0;
    centred(out, "b", middle, r.y + r.height / 2.0 - 2.0, &first);
    centred(out, "m", middle, r.y + r.height / 2.0 + 12.0, &second);
    out.push_str("</g>\n");
}

/// px of an edge with so many synapses: 1.2 and 0.8 for each power of ten.
fn stroke(synapses: Option<f64>) -> f64 {
    synapses.map_or(1.6, |n| 1.2 + 0.8 * numerics::ln(n.clamp(1.0, 1e9)) / std::f64::consts::LN_10)
}

fn edge(out: &mut String, e: &Edge, k: usize, figure: &Figure, places: &Layout) {
    let d = match places.routes[k].as_slice() {
        [] => {
            // Several loops of a node stand side by side.
            let before = figure.edges[..k].iter().filter(|o| o.from == e.from && o.to == e.to).count();
            let r = places.nodes[e.from];
            let x = r.x + 16.0 + 26.0 * before as f64;
            format!("M{} {1}C{0} {2} {3} {2} {3} {1}", px(x), px(r.y), px(r.y - 30.0), px(x + 18.0))
        }
        route => curve(route),
    };
    let (class, marker) = class(e.sign);
    let own = if e.synapses.is_none() { " own" } else { "" };
    let _ = writeln!(
        out,
        "<path class=\"e {class}{own}\" d=\"{d}\" stroke-width=\"{}\" marker-end=\"url(#{marker})\"><title>{}</title></path>",
        px(stroke(e.synapses)),
        escape(&e.note)
    );
}

fn class(sign: Sign) -> (&'static str, &'static str) {
    match sign {
        Sign::Excites => ("x", "nsm-x"),
        Sign::Inhibits => ("i", "nsm-i"),
        Sign::Mixed => ("d", "nsm-d"),
    }
}

/// A curve that runs level through all points.
fn curve(points: &[Point]) -> String {
    let mut d = String::new();
    for (k, p) in points.iter().enumerate() {
        match k.checked_sub(1).map(|b| points[b]) {
            None => {
                let _ = write!(d, "M{} {}", px(p.0), px(p.1));
            }
            Some(q) => {
                let half = (p.0 - q.0) / 2.0;
                // Ends one above the other still leave sideways.
                let half = if half.abs() < 12.0 { if half < 0.0 { -12.0 } else { 12.0 } } else { half };
                let (a, b) = (q.0 + half, p.0 - half);
                let _ = write!(d, "C{} {} {} {} {} {}", px(a), px(q.1), px(b), px(p.1), px(p.0), px(p.1));
            }
        }
    }
    d
}

fn legend(out: &mut String, figure: &Figure, x: f64, y: f64) {
    let mut at = x;
    let mut sample = |out: &mut String, class: &str, marker: &str, width: f64, label: &str| {
        let _ = writeln!(
            out,
            "<path class=\"e {class}\" d=\"M{} {1}H{2}\" stroke-width=\"{3}\" marker-end=\"url(#{marker})\"/>",
            px(at),
            px(y),
            px(at + 30.0),
            px(width)
        );
        text(out, "m", at + 40.0, y + 4.0, label);
        at += 52.0 + label.chars().count() as f64 * 6.1;
    };
    for (sign, label) in [(Sign::Excites, "excites"), (Sign::Inhibits, "inhibits"), (Sign::Mixed, "either")] {
        if figure.edges.iter().any(|e| e.sign == sign) {
            let (class, marker) = class(sign);
            sample(out, class, marker, 2.0, label);
        }
    }
    if figure.edges.iter().any(|e| e.synapses.is_none()) {
        sample(out, "x own", "nsm-x", 1.6, "own train for each target");
    }
    let mut at = x;
    let powers = [1.0, 1e3, 1e6];
    for n in powers.into_iter().take_while(|_| figure.edges.iter().any(|e| e.synapses.is_some())) {
        let width = px(stroke(Some(n)));
        let (y, end) = (y + 24.0, at + 30.0);
        let _ = writeln!(
            out,
            "<path d=\"M{} {1}H{2}\" style=\"stroke:var(--muted)\" stroke-width=\"{width}\"/>",
            px(at),
            px(y),
            px(end)
        );
        let label = if n == 1.0 { "1 synapse".to_string() } else { format!("{} synapses", count(n)) };
        text(out, "m", at + 40.0, y + 4.0, &label);
        at += 52.0 + label.chars().count() as f64 * 6.1;
    }
}

fn rect(out: &mut String, class: &str, r: Rect, radius: f64) {
    let [x, y, w, h, radius] = [r.x, r.y, r.width, r.height, radius].map(px);
    let _ = writeln!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\"/>");
}

fn text(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", px(x), px(y), escape(text));
}

fn centred(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let (x, y, text) = (px(x), px(y), escape(text));
    let _ = writeln!(out, "<text class=\"{class}\" text-anchor=\"middle\" x=\"{x}\" y=\"{y}\">{text}</text>");
}

/// Tenths are finer than a reader sees.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").map(str::to_string).unwrap_or(text);
    if text == "-0" { "0".to_string() } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
