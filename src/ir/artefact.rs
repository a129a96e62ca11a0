//! What `nsmc compile -o` writes: networks and their protocols as verified IR, never machine code.

use super::network::Network;
use super::protocol::{Point, Protocol};
use serde::{Deserialize, Serialize};

/// An experiment compiled: every distinct network that its sweep points need, and the points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub network: String,
    /// Empty where a circuit is run without an experiment.
    pub experiment: String,
    /// Number of seeds: run k takes the first seed + k.
    pub seeds: u64,
    pub units: Vec<Unit>,
    pub points: Vec<Point>,
}

/// A network with the program that runs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub network: Network,
    pub protocol: Protocol,
}
