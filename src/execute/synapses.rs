//! What the statements of an experiment do to synapses and states between the steps.

use super::error::{Halt, script};
use super::flow::{Actor, walk};
use super::run::Walker;
use super::settings::Place;
use crate::backend::{RunError, Setting, build};
use crate::ir::plasticity::Plasticity;
use crate::ir::protocol::{Protocol, Record, Stmt};
use crate::record::WeightTrace;
use crate::record::wiring::{self, Neighbours};
use crate::script::{EvalError, Expr, Host, Value, VarId, Wiring, eval};
use crate::units::Dimension;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Weights that are sampled while time moves, and those that `reset` brings back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SynapseLog {
    /// By projection: interval in steps (none: at the start and the end), and what was sampled.
    samples: BTreeMap<u32, (Option<u64>, WeightTrace)>,
    initial: BTreeMap<u32, Vec<f64>>,
    /// The synapses that these belong to, where they come and go.
    built: BTreeMap<u32, Vec<(u32, u32)>>,
    /// How often states were reset: each time draws anew.
    resets: u64,
}

/// Projections whose first weights some `reset` asks for.
fn returning(list: &[Stmt], out: &mut BTreeSet<u32>) {
    for s in list {
        match s {
            Stmt::Reset { projections, .. } => out.extend(projections),
            Stmt::For { body, .. } | Stmt::Repeat { body, .. } => returning(body, out),
            Stmt::Phase(phase) => phase.blocks().for_each(|block| returning(block, out)),
            Stmt::If { then, otherwise, .. } => {
                returning(then, out);
                returning(otherwise, out);
            }
            _ => {}
        }
    }
}

impl SynapseLog {
    /// The next step at which something is sampled, after `now`.
    pub fn next(&self, now: u64) -> Option<u64> {
        self.samples.values().filter_map(|(every, _)| every.map(|e| (now / e + 1) * e)).min()
    }

    /// Whether the samples are whole; a log that was read may be anything.
    pub fn is_sound(&self) -> bool {
        self.samples.values().all(|(every, t)| *every != Some(0) && t.values.len() == t.steps.len() * t.edges.len())
    }

    /// What was sampled of some projections.
    pub fn traces(&self, projections: &[u32]) -> Vec<WeightTrace> {
        self.samples.iter().filter(|(p, _)| projections.contains(p)).map(|(_, (_, t))| t.clone()).collect()
    }
}

impl Walker<'_> {
    /// Notes what the protocol will ask of synapses, and takes the first samples.
    pub fn prepare_synapses(&mut self, protocol: &Protocol) -> Result<(), RunError> {
        let mut back = BTreeSet::new();
        returning(&protocol.statements, &mut back);
        for p in back {
            let weights = self.engine.weights(p as usize);
            self.synapses.initial.insert(p, weights);
            if self.rewires(p) {
                let edges = self.engine.edges(p as usize);
                self.synapses.built.insert(p, edges);
            }
        }
        let mut wanted: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        for record in &protocol.records {
            if let Record::Weights { projection, every } = record {
                let dt = self.unit.network.dt_ms;
                let every = match every {
                    Some(e) => Some(super::needs::interval(Some(e), dt, self)?),
                    None => None,
                };
                wanted.insert(*projection, every);
            }
        }
        for p in protocol.plots.iter().flat_map(|p| &p.weights) {
            wanted.entry(*p).or_insert(None);
        }
        for (p, every) in wanted {
            let network = &self.unit.network;
            let Some((_, _, to, projection)) = network.projections().nth(p as usize) else { continue };
            let receptor = network.population(to).and_then(|t| t.dynamics.receptors.get(projection.receptor as usize));
            let dimension = receptor.map_or(Dimension::NUMBER, |r| r.dimension);
            let path = projection.path.clone();
            let edges = self.engine.edges(p as usize);
            let trace = WeightTrace { path, dimension, edges, steps: Vec::new(), values: Vec::new() };
            self.synapses.samples.insert(p, (every, trace));
            self.sample_weights(p);
        }
        Ok(())
    }

    /// The rule of a projection by its position.
    fn rule(&self, projection: u32) -> Option<&Plasticity> {
        let network = &self.unit.network;
        network.projections().nth(projection as usize).and_then(|(id, ..)| network.rule(id))
    }

    /// Whether synapses of a projection come and go.
    fn rewires(&self, projection: u32) -> bool {
        self.rule(projection).is_some_and(|rule| rule.remove.is_some())
    }

    /// What the rules of a projection hold its weights within; without rules there is no such thing.
    fn weight_bounds(&self, projection: u32) -> (f64, f64) {
        self.rule(projection).map_or((f64::NEG_INFINITY, f64::INFINITY), |rule| rule.bounds)
    }

    /// Samples what is due at the present step.
    pub fn due_weights(&mut self) {
        let now = self.engine.step();
        let due: Vec<u32> = self
            .synapses
            .samples
            .iter()
            .filter(|(_, (every, trace))| {
                every.is_some_and(|e| now.is_multiple_of(e)) && trace.steps.last() != Some(&now)
            })
            .map(|(p, _)| *p)
            .collect();
        due.into_iter().for_each(|p| self.sample_weights(p));
    }

    /// The last sample of those without an interval.
    pub fn finish_weights(&mut self) {
        let now = self.engine.step();
        let last: Vec<u32> = self
            .synapses
            .samples
            .iter()
            .filter(|(_, (_, trace))| trace.steps.last() != Some(&now))
            .map(|(p, _)| *p)
            .collect();
        last.into_iter().for_each(|p| self.sample_weights(p));
    }

    fn sample_weights(&mut self, projection: u32) {
        let now = self.engine.step();
        let weights = self.engine.weights(projection as usize);
        let edges = self.rewires(projection).then(|| self.engine.edges(projection as usize));
        if let Some((_, trace)) = self.synapses.samples.get_mut(&projection) {
            trace.take(now, edges.as_deref(), &weights);
        }
    }

    /// Weights of projections, one projection after the other.
    pub fn weights(&mut self, projections: &[u32]) -> Result<Value, EvalError> {
        let mut all = Vec::new();
        for projection in projections {
            all.extend(self.weights_of(*projection)?.into_iter().map(Value::Number));
        }
        Ok(Value::List(all))
    }

    /// Weights of one projection, in order of (presynaptic, postsynaptic cell).
    pub fn weights_of(&mut self, projection: u32) -> Result<Vec<f64>, EvalError> {
        if projection as usize >= self.unit.network.projections().count() {
            return Err(EvalError::new(format!("the network has no projection number {projection}")));
        }
        Ok(self.engine.weights(projection as usize))
    }

    /// The weight from one cell to another: the sum, where they have several synapses.
    pub fn weight(&mut self, projection: u32, pre: &Expr, post: &Expr) -> Result<Value, EvalError> {
        let weights = self.weights_of(projection)?;
        let (pre, post) = (eval(pre, self)?.count()?, eval(post, self)?.count()?);
        let edges = self.engine.edges(projection as usize);
        let found: Vec<f64> = edges
            .iter()
            .zip(&weights)
            .filter(|((a, b), _)| (u64::from(*a), u64::from(*b)) == (pre, post))
            .map(|(_, w)| *w)
            .collect();
        match found.as_slice() {
            [] => Err(EvalError::new(format!("there is no synapse from cell {pre} to cell {post}"))),
            several => Ok(Value::Number(several.iter().sum())),
        }
    }

    pub fn wiring(&mut self, stat: Wiring, projection: u32) -> Result<Value, EvalError> {
        let network = &self.unit.network;
        let Some((_, from, to, synapses)) = network.projections().nth(projection as usize) else {
            return Err(EvalError::new(format!("the network has no projection number {projection}")));
        };
        let size = |p| network.population(p).map_or(0, |p| p.size as usize);
        let (sources, targets, recurrent, path) = (size(from), size(to), from == to, synapses.path.clone());
        let edges = self.engine.edges(projection as usize);
        let list = |counts: Vec<u32>| Value::List(counts.into_iter().map(|c| Value::Number(f64::from(c))).collect());
        match stat {
            Wiring::Indegree => Ok(list(wiring::degrees(edges.iter().map(|(_, post)| *post), targets))),
            Wiring::Outdegree => Ok(list(wiring::degrees(edges.iter().map(|(pre, _)| *pre), sources))),
            Wiring::Clustering | Wiring::PathLength if !recurrent => Err(EvalError::new(format!(
                "`{path}` leads from one population to another; paths are of cells that are connected among themselves"
            ))),
            Wiring::Clustering => Ok(Value::Number(Neighbours::new(&edges, sources).clustering().unwrap_or(f64::NAN))),
            Wiring::PathLength => Ok(Value::Number(Neighbours::new(&edges, sources).path_length().unwrap_or(f64::NAN))),
        }
    }

    pub fn update(
        &mut self,
        projections: &[u32],
        variables: [VarId; 3],
        body: &[Stmt],
        place: &str,
    ) -> Result<(), Halt> {
        let [w, pre, post] = variables;
        self.hold(true);
        for p in projections {
            let (low, high) = self.weight_bounds(*p);
            let edges = self.engine.edges(*p as usize);
            let mut weights = self.engine.weights(*p as usize);
            for ((a, b), weight) in edges.iter().zip(&mut weights) {
                self.bind(w, Value::Number(*weight));
                self.bind(pre, Value::Number(f64::from(*a)));
                self.bind(post, Value::Number(f64::from(*b)));
                walk(self, body)?;
                *weight = self.variable(w).and_then(|v| v.number()).map_err(|e| script(place, e))?;
                if !weight.is_finite() {
                    let message = format!("the weight from cell {a} to cell {b} becomes {weight}");
                    return Err(script(place, EvalError::new(message)));
                }
                *weight = weight.max(low).min(high);
            }
            self.engine.set_weights(*p as usize, &weights)?;
        }
        for v in variables {
            self.variables().bind(v, None);
        }
        self.hold(false);
        Ok(())
    }

    pub fn downscale(&mut self, projections: &[u32], by: &Expr, place: &str) -> Result<(), Halt> {
        let by = eval(by, self).and_then(|v| v.number()).map_err(|e| script(place, e))?;
        if !(0.0..=1.0).contains(&by) {
            return Err(script(
                place,
                EvalError::new(format!("weights are scaled down by a part of themselves, found {by}")),
            ));
        }
        for p in projections {
            let (low, high) = self.weight_bounds(*p);
            let mut weights = self.engine.weights(*p as usize);
            weights.iter_mut().for_each(|w| *w = (*w * (1.0 - by)).max(low).min(high));
            self.engine.set_weights(*p as usize, &weights)?;
        }
        Ok(())
    }

    /// States as at the start, drawn anew; inputs at 0; what is on its way dropped. Weights as they were built.
    pub fn reset(&mut self, populations: &[u32], projections: &[u32]) -> Result<(), Halt> {
        if !populations.is_empty() {
            self.synapses.resets += 1;
            // Another seed for each reset, far from those that users count up.
            let seed = self.seed ^ self.synapses.resets.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let elements = build::elements(&self.unit.network, seed)?;
            for p in populations {
                let index = *p as usize;
                let Some(built) = elements.populations.get(index) else { continue };
                self.engine.reset(index, &built.initial)?;
                let node = self.unit.network.populations().nth(index).map(|(id, _)| id);
                for (_, param) in self.unit.network.inputs.iter().filter(|(id, _)| Some(*id) == node) {
                    let size = self.population(*p).map_or(0, |p| p.size);
                    let cells: Vec<u32> = (0..size).collect();
                    self.temporary.overwrite(Place::Param(index, *param), &cells);
                    self.engine.set(&Setting {
                        population: index,
                        param: *param,
                        cells: None,
                        op: None,
                        values: vec![0.0],
                    })?;
                }
            }
        }
        for p in projections {
            if let Some(edges) = self.synapses.built.get(p).cloned() {
                self.engine.set_edges(*p as usize, &edges)?;
            }
            if let Some(weights) = self.synapses.initial.get(p).cloned() {
                self.engine.set_weights(*p as usize, &weights)?;
            }
        }
        Ok(())
    }
}
