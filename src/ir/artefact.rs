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
    /// What a report says of the circuit and nothing that runs reads.
    #[serde(default)]
    pub notes: Notes,
}

/// What an author wrote about a circuit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    pub functions: Vec<Function>,
    pub exemptions: Vec<Exemption>,
}

/// `function "action selection" by bg shown by Bandit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub text: String,
    /// Path of the region or population.
    pub by: String,
    pub experiment: Option<String>,
}

/// `exempt active_fraction because "..."`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemption {
    /// Path of the population.
    pub population: String,
    pub check: Check,
    pub reason: String,
}

/// What a report holds every population of neurons to, unless it is exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    ActiveFraction,
    Rate,
}

/// A network with the program that runs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub network: Network,
    pub protocol: Protocol,
}
