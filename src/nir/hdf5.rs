//! Graphs as HDF5 files, in the layout of the `nir` package: `/version`, and `/node` with `type`, `edges` and `nodes`, each node a
//! group with a string `type` and a dataset for each array.

use super::MOST_NUMBERS;
use super::graph::{Graph, Node, Tensor};
use hdf5_pure::{DType, Dataset, File, FileBuilder, FinishedGroup, Group, GroupBuilder, VlenStringReadOptions};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The release of the `nir` package whose layout this is.
const VERSION: &str = "1.0.8";
/// Graphs within graphs.
const DEPTH: usize = 16;
/// Strings of a file: types and ends of edges.
const MOST_STRINGS: usize = 1 << 22;
/// Bytes of them.
const MOST_TEXT: usize = 1 << 28;

/// The bytes of the file.
///
/// # Errors
/// In words, what the library says.
pub fn encode(graph: &Graph) -> Result<Vec<u8>, String> {
    let mut file = FileBuilder::new();
    file.create_dataset("version").with_vlen_strings(&[VERSION]).with_shape(&[]);
    let node = file.create_group("node");
    file.add_group(write_graph(graph, node));
    file.finish().map_err(|e| e.to_string())
}

fn write_graph(graph: &Graph, mut group: GroupBuilder) -> FinishedGroup {
    group.create_dataset("type").with_vlen_strings(&["NIRGraph"]).with_shape(&[]);
    let ends: Vec<&str> = graph.edges.iter().flat_map(|(a, b)| [a.as_str(), b.as_str()]).collect();
    group.create_dataset("edges").with_vlen_strings(&ends).with_shape(&[graph.edges.len() as u64, 2]);
    let mut nodes = group.create_group("nodes");
    for (name, node) in &graph.nodes {
        let inner = nodes.create_group(name);
        nodes.add_group(write_node(node, inner));
    }
    group.add_group(nodes.finish());
    write_metadata(&graph.metadata, &mut group);
    group.finish()
}

fn write_node(node: &Node, mut group: GroupBuilder) -> FinishedGroup {
    if let Some(graph) = &node.inner {
        return write_graph(graph, group);
    }
    group.create_dataset("type").with_vlen_strings(&[&node.kind]).with_shape(&[]);
    for (name, t) in &node.fields {
        // Shapes are whole numbers there.
        if name == "shape" {
            let whole: Vec<i64> = t.data.iter().map(|v| *v as i64).collect();
            group.create_dataset(name).with_i64_data(&whole).with_shape(&dims(t));
        } else {
            group.create_dataset(name).with_f64_data(&t.data).with_shape(&dims(t));
        }
    }
    write_metadata(&node.metadata, &mut group);
    group.finish()
}

fn write_metadata(all: &BTreeMap<String, Tensor>, group: &mut GroupBuilder) {
    if all.is_empty() {
        return;
    }
    let mut metadata = group.create_group("metadata");
    for (name, t) in all {
        metadata.create_dataset(name).with_f64_data(&t.data).with_shape(&dims(t));
    }
    group.add_group(metadata.finish());
}

fn dims(t: &Tensor) -> Vec<u64> {
    t.shape.iter().map(|n| *n as u64).collect()
}

/// The graph of a file's bytes.
///
/// # Errors
/// In words, what of it is no NIR.
pub fn decode(bytes: Vec<u8>) -> Result<Graph, String> {
    // The library is young, and what it reads here may come from anywhere: a defect of it is an error of the file.
    let read = catch_unwind(AssertUnwindSafe(|| Reader { numbers: 0 }.file(bytes)));
    read.unwrap_or_else(|_| Err("it is damaged in a way that the HDF5 library can't tell".to_string()))
}

struct Reader {
    /// Numbers read so far.
    numbers: usize,
}

impl Reader {
    fn file(mut self, bytes: Vec<u8>) -> Result<Graph, String> {
        let file = File::from_bytes(bytes).map_err(|e| format!("no HDF5 file: {e}"))?;
        let root = file.root();
        let node = root.group("node").map_err(|_| "an HDF5 file without `/node`".to_string())?;
        self.graph(&node, "/node", 0)
    }

    fn graph(&mut self, group: &Group, path: &str, depth: usize) -> Result<Graph, String> {
        if depth > DEPTH {
            return Err(format!("`{path}`: graphs within graphs, {depth} deep"));
        }
        let kind = kind(group, path)?;
        if kind != "NIRGraph" {
            return Err(format!("`{path}` is a `{kind}`, and a file holds a `NIRGraph`"));
        }
        let mut out = Graph { metadata: self.metadata(group, path)?, ..Graph::default() };
        let nodes = group.group("nodes").map_err(|_| format!("`{path}` has no `nodes`"))?;
        for name in nodes.groups().map_err(|e| format!("`{path}/nodes`: {e}"))? {
            let path = format!("{path}/nodes/{name}");
            let inner = nodes.group(&name).map_err(|e| format!("`{path}`: {e}"))?;
            let node = self.node(&inner, &path, depth)?;
            out.nodes.insert(name, node);
        }
        let edges = group.dataset("edges").map_err(|_| format!("`{path}` has no `edges`"))?;
        let shape = edges.shape().map_err(|e| format!("`{path}/edges`: {e}"))?;
        // An empty list has no pairs to tell its shape.
        let ends = if shape.contains(&0) { vec![] } else { strings(&edges, &format!("{path}/edges"))? };
        if !ends.is_empty() && shape.get(1) != Some(&2) {
            return Err(format!("`{path}/edges` has the shape {shape:?}, and an edge has two ends"));
        }
        for pair in ends.chunks_exact(2) {
            let [from, to] = pair else { continue };
            if let Some(lost) = [from, to].into_iter().find(|n| !out.nodes.contains_key(*n)) {
                return Err(format!("an edge of `{path}` ends at `{lost}`, and there is no such node"));
            }
            out.edges.push((from.clone(), to.clone()));
        }
        Ok(out)
    }

    fn node(&mut self, group: &Group, path: &str, depth: usize) -> Result<Node, String> {
        let kind = kind(group, path)?;
        if kind == "NIRGraph" {
            let inner = self.graph(group, path, depth + 1)?;
            return Ok(Node { kind, inner: Some(Box::new(inner)), ..Node::default() });
        }
        let mut node = Node { kind, metadata: self.metadata(group, path)?, ..Node::default() };
        for name in group.datasets().map_err(|e| format!("`{path}`: {e}"))? {
            if name == "type" {
                continue;
            }
            let path = format!("{path}/{name}");
            let data = group.dataset(&name).map_err(|e| format!("`{path}`: {e}"))?;
            // A string, such as `padding` of a convolution, is no array of a node that is read here.
            if let Some(t) = self.tensor(&data, &path)? {
                node.fields.insert(name, t);
            }
        }
        Ok(node)
    }

    /// Numbers of a `metadata` group; whatever else stands there is somebody else's.
    fn metadata(&mut self, group: &Group, path: &str) -> Result<BTreeMap<String, Tensor>, String> {
        let mut out = BTreeMap::new();
        let Ok(metadata) = group.group("metadata") else { return Ok(out) };
        for name in metadata.datasets().map_err(|e| format!("`{path}/metadata`: {e}"))? {
            let path = format!("{path}/metadata/{name}");
            let data = metadata.dataset(&name).map_err(|e| format!("`{path}`: {e}"))?;
            if let Some(t) = self.tensor(&data, &path)? {
                out.insert(name, t);
            }
        }
        Ok(out)
    }

    /// An array of numbers; `None` where it is none.
    fn tensor(&mut self, data: &Dataset, path: &str) -> Result<Option<Tensor>, String> {
        let fail = |e: hdf5_pure::Error| format!("`{path}`: {e}");
        use DType::{F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        if !matches!(data.dtype().map_err(fail)?, F32 | F64 | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64) {
            return Ok(None);
        }
        let shape = data.shape().map_err(fail)?;
        let count = shape.iter().try_fold(1_usize, |n, k| n.checked_mul(usize::try_from(*k).ok()?));
        let total = count.and_then(|n| self.numbers.checked_add(n)).filter(|n| *n <= MOST_NUMBERS);
        self.numbers = total.ok_or_else(|| format!("`{path}`: the arrays have more than {MOST_NUMBERS} numbers"))?;
        let values = data.read_f64().map_err(fail)?;
        if Some(values.len()) != count {
            return Err(format!("`{path}` holds {} numbers for the shape {shape:?}", values.len()));
        }
        Ok(Some(Tensor { shape: shape.iter().map(|n| *n as usize).collect(), data: values }))
    }
}

fn kind(group: &Group, path: &str) -> Result<String, String> {
    let data = group.dataset("type").map_err(|_| format!("`{path}` has no `type`"))?;
    let mut names = strings(&data, &format!("{path}/type"))?;
    names.pop().filter(|_| names.is_empty()).ok_or_else(|| format!("the `type` of `{path}` is not one string"))
}

fn strings(data: &Dataset, path: &str) -> Result<Vec<String>, String> {
    let fail = |e: hdf5_pure::Error| format!("`{path}`: {e}");
    match data.dtype().map_err(fail)? {
        DType::VariableLengthString => {
            let limits = VlenStringReadOptions::new().with_max_elements(MOST_STRINGS).with_max_payload_bytes(MOST_TEXT);
            data.read_vlen_strings(limits).map_err(fail)
        }
        DType::String => {
            let count = data.shape().map_err(fail)?.iter().try_fold(1_u64, |n, k| n.checked_mul(*k));
            let bytes = count.and_then(|n| n.checked_mul(data.element_size().ok()?));
            match bytes {
                Some(bytes) if bytes <= MOST_TEXT as u64 => data.read_string().map_err(fail),
                _ => Err(format!("`{path}` has too much text")),
            }
        }
        other => Err(format!("`{path}` is no string but {other}")),
    }
}
