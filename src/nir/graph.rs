//! A graph as the file holds it: what its nodes mean is for others.

use std::collections::BTreeMap;

/// An array, row-major; no axes: a number.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Tensor {
    pub fn vector(data: Vec<f64>) -> Tensor {
        Tensor { shape: vec![data.len()], data }
    }

    pub fn number(value: f64) -> Tensor {
        Tensor { shape: vec![], data: vec![value] }
    }
}

/// A node: its type by NIR's name, and its arrays.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Node {
    pub kind: String,
    pub fields: BTreeMap<String, Tensor>,
    pub metadata: BTreeMap<String, Tensor>,
    /// Of a `NIRGraph` within a graph.
    pub inner: Option<Box<Graph>>,
}

impl Node {
    pub fn new(kind: &str, fields: impl IntoIterator<Item = (&'static str, Tensor)>) -> Node {
        let fields = fields.into_iter().map(|(name, t)| (name.to_string(), t)).collect();
        Node { kind: kind.to_string(), fields, ..Node::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    pub nodes: BTreeMap<String, Node>,
    pub edges: Vec<(String, String)>,
    pub metadata: BTreeMap<String, Tensor>,
}
