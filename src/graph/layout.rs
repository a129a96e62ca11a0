//! Places: a layered drawing from left to right (Sugiyama, Tagawa and Toda 1981, IEEE Trans. SMC 11:109), one for each
//! region, the innermost first; a laid-out region is one node of the region around it.
//!
//! Edges that close a circle are turned round for the layers only. Edges over several layers pass through empty places, so
//! that they don't run across nodes of their own region. Everything is decided by the order of declaration and never by
//! chance.

use super::{Cell, Edge, Figure};

/// A point in px, y running down.
pub type Point = (f64, f64);

/// A rectangle in px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    fn middle(self) -> f64 {
        self.y + self.height / 2.0
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    pub width: f64,
    pub height: f64,
    /// One for each node.
    pub nodes: Vec<Rect>,
    /// Paths of regions with their boxes, outer ones first.
    pub regions: Vec<(String, Rect)>,
    /// One for each edge: where it begins, what it passes through, where it ends; empty for a loop.
    pub routes: Vec<Vec<Point>>,
}

const LAYER_GAP: f64 = 92.0;
const ROW_GAP: f64 = 30.0;
/// Between a region's frame and what it holds; its name stands in the upper margin.
const MARGIN: f64 = 18.0;
const HEAD: f64 = 24.0;
/// Room for loops above a node.
const LOOP: f64 = 22.0;
/// Height of the empty place that an edge passes through.
const LANE: f64 = 6.0;

/// The size of a node's rectangle, from its texts.
fn size(cell: &Cell) -> (f64, f64) {
    let (first, second) = super::draw::texts(cell);
    // Mean widths of a sans-serif font's letters at 13 px bold and 11 px.
    let width = (first.chars().count() as f64 * 7.8).max(second.chars().count() as f64 * 6.1) + 22.0;
    if cell.source { (width.max(60.0), 34.0) } else { (width.max(84.0), 44.0) }
}

/// What a region holds.
enum Part {
    Node(usize),
    Region(Region),
}

struct Region {
    path: String,
    parts: Vec<Part>,
}

/// Places everything of a figure.
pub fn layout(figure: &Figure) -> Layout {
    let mut root = Region { path: String::new(), parts: Vec::new() };
    for (k, node) in figure.nodes.iter().enumerate() {
        root.insert(&node.path, 0, k);
    }
    let mut out = Layout {
        nodes: figure.nodes.iter().map(size).map(|(width, height)| Rect { width, height, ..Rect::default() }).collect(),
        routes: vec![Vec::new(); figure.edges.len()],
        ..Layout::default()
    };
    (out.width, out.height) = place(&root, figure, &mut out);
    // Outer boxes are drawn first.
    out.regions.reverse();
    connect(figure, &mut out);
    out
}

impl Region {
    /// Puts node `k` at the place that its path from byte `from` on says.
    fn insert(&mut self, path: &str, from: usize, k: usize) {
        let Some(dot) = path[from..].find('.') else {
            self.parts.push(Part::Node(k));
            return;
        };
        let name = &path[..from + dot];
        let there = self.parts.iter_mut().find_map(|p| match p {
            Part::Region(r) if r.path == name => Some(r),
            _ => None,
        });
        if let Some(region) = there {
            return region.insert(path, from + dot + 1, k);
        }
        let mut region = Region { path: name.to_string(), parts: Vec::new() };
        region.insert(path, from + dot + 1, k);
        self.parts.push(Part::Region(region));
    }

    fn holds(&self, k: usize) -> bool {
        self.parts.iter().any(|p| p.holds(k))
    }

    fn nodes(&self, out: &mut Vec<usize>) {
        for part in &self.parts {
            match part {
                Part::Node(n) => out.push(*n),
                Part::Region(r) => r.nodes(out),
            }
        }
    }

    /// Moves what was placed in it `by` px: nodes, boxes, and what edges between them pass through.
    fn shift(&self, by: Point, figure: &Figure, out: &mut Layout) {
        let mut nodes = Vec::new();
        self.nodes(&mut nodes);
        let mut inside = vec![false; figure.nodes.len()];
        for n in nodes {
            inside[n] = true;
            out.nodes[n].x += by.0;
            out.nodes[n].y += by.1;
        }
        let below = format!("{}.", self.path);
        for (_, b) in out.regions.iter_mut().filter(|(path, _)| *path == self.path || path.starts_with(&below)) {
            b.x += by.0;
            b.y += by.1;
        }
        for (_, route) in figure.edges.iter().zip(&mut out.routes).filter(|(e, _)| inside[e.from] && inside[e.to]) {
            for p in route {
                p.0 += by.0;
                p.1 += by.1;
            }
        }
    }
}

impl Part {
    fn holds(&self, k: usize) -> bool {
        match self {
            Part::Node(n) => *n == k,
            Part::Region(r) => r.holds(k),
        }
    }

    fn shift(&self, by: Point, figure: &Figure, out: &mut Layout) {
        match self {
            Part::Node(n) => {
                out.nodes[*n].x += by.0;
                out.nodes[*n].y += by.1;
            }
            Part::Region(r) => r.shift(by, figure, out),
        }
    }
}

/// An edge between two parts of one region: those of the figure that run there.
struct Link {
    from: usize,
    to: usize,
    edges: Vec<usize>,
    /// It closes a circle and counts the other way for the layers.
    turned: bool,
}

/// A place in a layer: a part, or where a link passes.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Part(usize),
    Lane(usize),
}

/// Places the parts of a region with the region's corner at 0, 0, and gives its size. Regions in it are placed first.
fn place(region: &Region, figure: &Figure, out: &mut Layout) -> (f64, f64) {
    let mut sizes = Vec::new();
    for part in &region.parts {
        sizes.push(match part {
            Part::Node(n) => {
                let loops = figure.edges.iter().any(|e| e.from == *n && e.to == *n);
                let rect = &mut out.nodes[*n];
                rect.y = if loops { LOOP } else { 0.0 };
                (rect.width, rect.height + rect.y)
            }
            Part::Region(inner) => {
                let (width, height) = place(inner, figure, out);
                inner.shift((MARGIN, MARGIN + HEAD), figure, out);
                let size = (width + 2.0 * MARGIN, height + 2.0 * MARGIN + HEAD);
                out.regions.push((inner.path.clone(), Rect { x: 0.0, y: 0.0, width: size.0, height: size.1 }));
                size
            }
        });
    }
    let mut links = links(region, &figure.edges);
    let layers = layers(sizes.len(), &mut links);
    let (mut columns, lanes) = columns(&layers, &links);
    order(&mut columns, &links, &lanes);
    let rows = rows(&columns, &links, &lanes, &sizes);
    let mut x = 0.0;
    let mut height: f64 = 0.0;
    for (column, ys) in columns.iter().zip(&rows) {
        let width = column.iter().map(|s| slot_size(*s, &sizes).0).fold(0.0, f64::max);
        for (slot, y) in column.iter().zip(ys) {
            let (w, h) = slot_size(*slot, &sizes);
            height = height.max(y + h);
            match slot {
                Slot::Part(k) => region.parts[*k].shift((x + (width - w) / 2.0, *y), figure, out),
                Slot::Lane(l) => {
                    let link = &links[lanes[*l].0];
                    for e in &link.edges {
                        out.routes[*e].push((x + width / 2.0, y + h / 2.0));
                    }
                }
            }
        }
        x += width + LAYER_GAP;
    }
    // An edge passes its places in its own direction.
    for link in links.iter().filter(|l| l.turned) {
        for e in &link.edges {
            out.routes[*e].reverse();
        }
    }
    ((x - LAYER_GAP).max(0.0), height)
}

fn slot_size(slot: Slot, sizes: &[(f64, f64)]) -> (f64, f64) {
    match slot {
        Slot::Part(k) => sizes[k],
        Slot::Lane(_) => (0.0, LANE),
    }
}

fn links(region: &Region, edges: &[Edge]) -> Vec<Link> {
    let part = |node: usize| region.parts.iter().position(|p| p.holds(node));
    let mut out: Vec<Link> = Vec::new();
    for (k, e) in edges.iter().enumerate() {
        let (Some(from), Some(to)) = (part(e.from), part(e.to)) else { continue };
        if from == to {
            continue;
        }
        match out.iter_mut().find(|l| l.from == from && l.to == to) {
            Some(link) => link.edges.push(k),
            None => out.push(Link { from, to, edges: vec![k], turned: false }),
        }
    }
    out
}

/// The layer of every part: each link leads to a later one, circles apart. Links that close a circle are marked.
fn layers(parts: usize, links: &mut [Link]) -> Vec<usize> {
    // Depth first from parts without input, then in order of declaration; what leads back into the path closes a circle.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; parts];
    let fed = |k: usize, links: &[Link]| links.iter().any(|l| l.to == k);
    let mut starts: Vec<usize> = (0..parts).filter(|k| !fed(*k, links)).collect();
    starts.extend((0..parts).filter(|k| fed(*k, links)));
    for start in starts {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.pop() {
            match links[next..].iter().position(|l| l.from == at).map(|k| next + k) {
                None => marks[at] = Mark::Done,
                Some(k) => {
                    path.push((at, k + 1));
                    let to = links[k].to;
                    match marks[to] {
                        Mark::Open => links[k].turned = true,
                        Mark::Done => {}
                        Mark::New => {
                            marks[to] = Mark::Open;
                            path.push((to, 0));
                        }
                    }
                }
            }
        }
    }
    let mut layers = vec![0; parts];
    // The longest path: no circle is left, so as many rounds as there are parts settle it.
    for _ in 0..parts {
        let mut moved = false;
        for l in links.iter() {
            let (a, b) = if l.turned { (l.to, l.from) } else { (l.from, l.to) };
            if layers[b] < layers[a] + 1 {
                layers[b] = layers[a] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    // A part that feeds others and is fed by none stands right before the first of them.
    for k in 0..parts {
        let fed = links.iter().any(|l| if l.turned { l.from == k } else { l.to == k });
        let first: Option<usize> = links
            .iter()
            .filter_map(|l| match (l.turned, l.from == k, l.to == k) {
                (false, true, _) => Some(layers[l.to]),
                (true, _, true) => Some(layers[l.from]),
                _ => None,
            })
            .min();
        if let (false, Some(first)) = (fed, first) {
            layers[k] = first.saturating_sub(1);
        }
    }
    layers
}

/// The slots of each layer, and of each lane its link and layer.
fn columns(layers: &[usize], links: &[Link]) -> (Vec<Vec<Slot>>, Vec<(usize, usize)>) {
    let mut columns = vec![Vec::new(); layers.iter().max().map_or(0, |m| m + 1)];
    for (k, layer) in layers.iter().enumerate() {
        columns[*layer].push(Slot::Part(k));
    }
    let mut lanes = Vec::new();
    for (n, l) in links.iter().enumerate() {
        let (a, b) = (layers[l.from].min(layers[l.to]), layers[l.from].max(layers[l.to]));
        for (layer, column) in columns.iter_mut().enumerate().take(b).skip(a + 1) {
            column.push(Slot::Lane(lanes.len()));
            lanes.push((n, layer));
        }
    }
    (columns, lanes)
}

/// The slots of the layer before (`-1`) or after (`+1`) that a slot is linked to.
fn neighbours(
    slot: Slot,
    column: usize,
    by: isize,
    columns: &[Vec<Slot>],
    links: &[Link],
    lanes: &[(usize, usize)],
) -> Vec<usize> {
    let Some(there) = column.checked_add_signed(by).filter(|c| *c < columns.len()) else { return Vec::new() };
    let linked = |n: usize, s: &Slot| match s {
        Slot::Part(k) => links[n].from == *k || links[n].to == *k,
        Slot::Lane(l) => lanes[*l].0 == n,
    };
    let mine: Vec<usize> = match slot {
        Slot::Part(k) => (0..links.len()).filter(|n| links[*n].from == k || links[*n].to == k).collect(),
        Slot::Lane(l) => vec![lanes[l].0],
    };
    let found = |s: &Slot| *s != slot && mine.iter().any(|n| linked(*n, s));
    columns[there].iter().enumerate().filter(|(_, s)| found(s)).map(|(k, _)| k).collect()
}

/// Few crossings: each slot goes to the mean place of what it is linked to in the layer before, then in the layer after.
fn order(columns: &mut [Vec<Slot>], links: &[Link], lanes: &[(usize, usize)]) {
    for sweep in 0..8 {
        let forward = sweep % 2 == 0;
        let by: isize = if forward { -1 } else { 1 };
        let sequence: Vec<usize> =
            if forward { (0..columns.len()).collect() } else { (0..columns.len()).rev().collect() };
        for c in sequence {
            let mut keyed: Vec<(f64, Slot)> = columns[c]
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let near = neighbours(*s, c, by, columns, links, lanes);
                    let mean = near.iter().sum::<usize>() as f64 / near.len() as f64;
                    (if near.is_empty() { k as f64 } else { mean }, *s)
                })
                .collect();
            // Stable: equal means keep their order.
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[c] = keyed.into_iter().map(|(_, s)| s).collect();
        }
    }
}

/// Upper edges of the slots, column by column: near the middle of what they are linked to, without overlap, the least at 0.
fn rows(columns: &[Vec<Slot>], links: &[Link], lanes: &[(usize, usize)], sizes: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let heights: Vec<Vec<f64>> = columns.iter().map(|c| c.iter().map(|s| slot_size(*s, sizes).1).collect()).collect();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for hs in &heights {
        let total: f64 = hs.iter().sum::<f64>() + ROW_GAP * hs.len().saturating_sub(1) as f64;
        let mut y = -total / 2.0;
        rows.push(
            hs.iter()
                .map(|h| {
                    let here = y;
                    y += h + ROW_GAP;
                    here
                })
                .collect(),
        );
    }
    for sweep in 0..6 {
        let by: isize = if sweep % 2 == 0 { -1 } else { 1 };
        let sequence: Vec<usize> =
            if by < 0 { (0..columns.len()).collect() } else { (0..columns.len()).rev().collect() };
        for c in sequence {
            let wanted: Vec<f64> = columns[c]
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let near = neighbours(*s, c, by, columns, links, lanes);
                    if near.is_empty() {
                        return rows[c][k];
                    }
                    let there = c.saturating_add_signed(by);
                    let middle = near.iter().map(|n| rows[there][*n] + heights[there][*n] / 2.0).sum::<f64>();
                    middle / near.len() as f64 - heights[c][k] / 2.0
                })
                .collect();
            rows[c] = spread(&wanted, &heights[c]);
        }
    }
    let least = rows.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    rows.iter_mut().flatten().for_each(|y| *y -= least);
    rows
}

/// The wanted places, pushed apart where they overlap and moved back by the mean push.
fn spread(wanted: &[f64], heights: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = Vec::with_capacity(wanted.len());
    for (k, w) in wanted.iter().enumerate() {
        let least = if k == 0 { *w } else { out[k - 1] + heights[k - 1] + ROW_GAP };
        out.push(w.max(least));
    }
    let back = out.iter().zip(wanted).map(|(a, b)| a - b).sum::<f64>() / wanted.len().max(1) as f64;
    out.iter_mut().for_each(|y| *y -= back);
    out
}

/// Where edges leave and reach their nodes: along the side that faces the other end, in the order of where they go.
fn connect(figure: &Figure, out: &mut Layout) {
    let mut ports: Vec<(usize, bool, usize, f64)> = Vec::new();
    for (k, e) in figure.edges.iter().enumerate() {
        if e.from == e.to {
            continue;
        }
        let (a, b) = (out.nodes[e.from], out.nodes[e.to]);
        let right = b.x >= a.x + a.width || b.x > a.x;
        let toward = |own: Rect, next: Option<&Point>, other: Rect| next.map_or(other.middle(), |p| p.1) - own.middle();
        ports.push((e.from, right, k, toward(a, out.routes[k].first(), b)));
        ports.push((e.to, !right, k, toward(b, out.routes[k].last(), a)));
    }
    let mut starts = vec![(0.0, 0.0); figure.edges.len()];
    let mut ends = starts.clone();
    for node in 0..figure.nodes.len() {
        for side in [false, true] {
            let mut here: Vec<_> = ports.iter().filter(|p| p.0 == node && p.1 == side).collect();
            here.sort_by(|a, b| a.3.total_cmp(&b.3).then(a.2.cmp(&b.2)));
            let rect = out.nodes[node];
            let x = if side { rect.x + rect.width } else { rect.x };
            for (k, port) in here.iter().enumerate() {
                let y = rect.y + rect.height * (k as f64 + 1.0) / (here.len() as f64 + 1.0);
                if figure.edges[port.2].from == node { starts[port.2] = (x, y) } else { ends[port.2] = (x, y) }
            }
        }
    }
    for (k, e) in figure.edges.iter().enumerate() {
        if e.from != e.to {
            out.routes[k].insert(0, starts[k]);
            out.routes[k].push(ends[k]);
        }
    }
}
