//! Continuous projections: the sums that a target cell reads, the values that are read of the source, and the order in which one
//! needs the other.
//!
//! Inputs are read by equations, so their sums get their leaves before any dynamics are made ([`Lowering::join`]); the edges
//! follow with the other projections, when all populations stand ([`Lowering::couple`]).

use super::dynamics::{Cx, Mode};
use super::error::*;
use super::network::Elaborated;
use super::sleep::with_gain;
use super::translate::body_model;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, PopulationId, ValueId};
use crate::ir::{Coupled, CoupledSum, Coupling, Delay, Expr, ExprId, Gather, ProjectionId, Subset};
use crate::units::{self, Dimension};
use std::collections::HashMap;

/// What one projection brings to an input of a body: a leaf for each sum that the input's body needs.
#[derive(Clone)]
pub(super) struct Joined {
    pub input: ValueId,
    /// By power: 1, weight, other, weight x other.
    pub leaves: [Option<u32>; 4],
    /// Factor of the weight, in the target's dynamics.
    pub gain: Option<ExprId>,
}

/// A continuous projection that has its edge.
pub(super) struct Laid {
    pub edge: ProjectionId,
    from: PopulationId,
    value: ValueId,
    input: ValueId,
    span: Span,
}

const SUMS: [CoupledSum; 4] = [CoupledSum::Count, CoupledSum::Weights, CoupledSum::Values, CoupledSum::Weighted];

impl Lowering<'_> {
    /// Gives the sums of a continuous projection their leaves in the targets' dynamics.
    pub(super) fn join(&mut self, p: &hir::Projection, out: &mut Elaborated) -> Result<(), Fail> {
        let Some(c) = &p.continuous else { return Ok(()) };
        let program = self.program;
        for _ in &p.from {
            for ((to, _), input) in p.to.iter().zip(&c.inputs) {
                let Elaborated { network, placed, tables, joined, switches, .. } = &mut *out;
                let Some(target) = placed.get_mut(&to.population) else {
                    // Reported where the end itself is looked at.
                    joined.push_back([None; 4]);
                    continue;
                };
                let pair = program.model(target.body.model).pair_inputs.iter().find(|i| i.input == *input);
                let mut leaves = [None; 4];
                for (k, leaf) in leaves.iter_mut().enumerate() {
                    let needed = match pair {
                        Some(pair) => pair.terms[k].is_some(),
                        None => SUMS[k] == CoupledSum::Weighted,
                    };
                    if needed {
                        *leaf = Some(target.body.dynamics.coupled.len() as u32);
                        // The edge is known once all populations stand.
                        target.body.dynamics.coupled.push(Coupled { projection: ProjectionId::end(), sum: SUMS[k] });
                    }
                }
                let set = switches.gain(p.name.as_deref(), to.population, &mut target.body);
                let mut cx = Cx {
                    network,
                    mode: Mode::Dynamics(&mut target.body),
                    formals: HashMap::new(),
                    tables,
                    lets: HashMap::new(),
                };
                let gain = p.gain.as_ref().map(|g| self.translate(g, &mut cx)).transpose()?;
                let gain = with_gain(gain, set, &mut cx);
                target.body.joined.push(Joined { input: *input, leaves, gain });
                joined.push_back(leaves);
            }
        }
        Ok(())
    }

    /// What one projection adds to its input: `c0 n + c1 (gain W) + c2 V + c3 (gain S)`, where `n`, `W`, `V`, `S` are the number
    /// of its synapses and the sums of weights, of values, and of their products.
    pub(super) fn joined_term(&mut self, joined: &Joined, cx: &mut Cx) -> Result<ExprId, Fail> {
        let program = self.program;
        let Mode::Dynamics(body) = &cx.mode else { return Ok(cx.arena().real(0.0)) };
        let pair = program.model(body.model).pair_inputs.iter().find(|i| i.input == joined.input);
        let mut sum = cx.arena().real(0.0);
        for (k, leaf) in joined.leaves.iter().enumerate() {
            let Some(leaf) = leaf else { continue };
            let mut value = cx.arena().intern(Expr::Coupled(*leaf));
            if let Some(gain) = joined.gain
                && k & 1 == 1
            {
                value = cx.arena().mul(gain, value);
            }
            if let Some(factor) = pair.and_then(|p| p.terms[k].as_ref()) {
                let factor = self.translate(factor, cx)?;
                value = cx.arena().mul(factor, value);
            }
            sum = cx.arena().add(sum, value);
        }
        Ok(sum)
    }

    /// Makes the edge that was just added for (`from`, `to`) a continuous one.
    pub(super) fn couple(
        &mut self,
        p: &hir::Projection,
        from: &hir::Cells,
        to: &hir::Cells,
        value: ValueId,
        input: ValueId,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let Some(edge) = out.network.graph.edge_indices().next_back() else { return Ok(()) };
        let leaves = out.joined.pop_front().unwrap_or([None; 4]);
        if let Some(target) = out.placed.get_mut(&to.population) {
            for leaf in leaves.into_iter().flatten() {
                if let Some(c) = target.body.dynamics.coupled.get_mut(leaf as usize) {
                    c.projection = edge;
                }
            }
        }
        let Elaborated { network, placed, tables, .. } = &mut *out;
        let Some(source) = placed.get_mut(&from.population) else { return Ok(()) };
        let mut cx = Cx {
            network,
            mode: Mode::Dynamics(&mut source.body),
            formals: HashMap::new(),
            tables,
            lets: HashMap::new(),
        };
        // Compartments were unrolled: what was written has an id of its own on these cells.
        let program = self.program;
        let written = &program.value(value).name;
        let mut names = program.model(body_model(&cx)).names.iter().copied();
        let value = names.find(|v| program.value(*v).name == *written).unwrap_or(value);
        let def = program.value(value);
        let whole = hir::Expr { kind: hir::ExprKind::Value(value), span: def.span, ty: def.ty };
        let read = self.translate(&whole, &mut cx)?;
        if cx.arena().any(read, &mut |e| matches!(e, Expr::Noise(_) | Expr::Before(_))) {
            return Err(Diagnostic::error(XI_PLACE, format!("`{}` has no value at the start of a step", def.name))
                .label(p.span, "read by this projection")
                .label(def.span, "reads noise, or compares two moments")
                .help("let a state follow it, and read the state"));
        }
        if let Some(edge) = network.graph.edge_weight_mut(edge) {
            edge.coupling = Some(Coupling { value: read, rank: 0, gather: Gather::Rows });
        }
        out.laid.push(Laid { edge, from: from.population, value, input, span: p.span });
        Ok(())
    }

    /// The delay of a continuous projection: none by default.
    pub(super) fn coupling_delay(&mut self, e: &hir::Expr, value: Option<f64>) -> Result<Option<Delay>, Fail> {
        let Some(ms) = value else { return Ok(None) };
        if !(ms >= 0.0 && ms / self.dt <= super::projection::DELAY_LIMIT) {
            return Err(Diagnostic::error(
                if ms >= 0.0 { TOO_LARGE } else { OUT_OF_BOUNDS },
                format!("a delay of {}", units::display(ms, Dimension::TIME)),
            )
            .label(e.span, "not between 0 and a million steps"));
        }
        Ok(Some(Delay::Constant(self.whole_steps(ms, e.span, "a delay") as u32)))
    }

    /// `symmetric` needs ends that are the same cells and a rule that draws pairs one by one.
    pub(super) fn check_symmetric(
        &self,
        connect: &hir::Connect,
        same: bool,
        pre: &Subset,
        post: &Subset,
    ) -> Result<(), Fail> {
        if !connect.symmetric {
            return Ok(());
        }
        let by_pair = matches!(
            connect.rule,
            hir::Rule::AllToAll | hir::Rule::Bernoulli(_) | hir::Rule::Pairs(_) | hir::Rule::Edges { .. }
        );
        if !by_pair {
            return Err(Diagnostic::error(SYMMETRIC, "this rule does not draw pairs of cells")
                .label(connect.span, "a degree or a number holds for one direction only")
                .help("`symmetric` goes with all_to_all, bernoulli, pairs and edges"));
        }
        if !same || pre != post {
            return Err(Diagnostic::error(SYMMETRIC, "a symmetric projection joins cells of one end with each other")
                .label(connect.span, "its two ends are not the same cells")
                .help("write the same cells on both sides; between two populations write two projections"));
        }
        Ok(())
    }

    /// Computes in which round each value can be read, and reports loops in which values would need themselves at once.
    pub(super) fn rank_couplings(&mut self, network: &hir::Network, out: &mut Elaborated) {
        let n = out.laid.len();
        let place: HashMap<ProjectionId, usize> = out.laid.iter().enumerate().map(|(k, l)| (l.edge, k)).collect();
        // What each value reads of the same moment.
        let mut reads: Vec<Vec<usize>> = vec![Vec::new(); n];
        for (k, l) in out.laid.iter().enumerate() {
            let (Some(edge), Some(source)) = (out.network.graph.edge_weight(l.edge), out.placed.get(&l.from)) else {
                continue;
            };
            let Some(coupling) = edge.coupling else { continue };
            let d = &source.body.dynamics;
            d.exprs.any(coupling.value, &mut |e| {
                if let Expr::Coupled(leaf) = e
                    && let Some(c) = d.coupled.get(*leaf as usize)
                    && c.sum.moves()
                    && out.network.graph.edge_weight(c.projection).is_some_and(|p| p.delay == Delay::Constant(0))
                    && let Some(j) = place.get(&c.projection)
                    && !reads[k].contains(j)
                {
                    reads[k].push(*j);
                }
                false
            });
        }
        let mut ranks: Vec<Option<u32>> = vec![None; n];
        loop {
            let ready: Vec<(usize, u32)> = (0..n)
                .filter(|k| ranks[*k].is_none())
                .filter_map(|k| {
                    let mut rank = 0;
                    for j in &reads[k] {
                        rank = rank.max(ranks[*j]? + 1);
                    }
                    Some((k, rank))
                })
                .collect();
            if ready.is_empty() {
                break;
            }
            ready.into_iter().for_each(|(k, rank)| ranks[k] = Some(rank));
        }
        if let Some(start) = ranks.iter().position(Option::is_none) {
            let cycle = cycle(&reads, &ranks, start);
            let d = self.zero_delay_loop(network, &cycle, out);
            self.tell(d);
            return;
        }
        for (l, rank) in out.laid.iter().zip(ranks) {
            if let Some(c) = out.network.graph.edge_weight_mut(l.edge).and_then(|e| e.coupling.as_mut()) {
                c.rank = rank.unwrap_or(0);
            }
        }
    }

    fn zero_delay_loop(&self, network: &hir::Network, cycle: &[usize], out: &Elaborated) -> Fail {
        let program = self.program;
        let name = |p: &PopulationId| network.populations[p.0 as usize].name.as_str();
        let value = |l: &Laid| format!("{}.{}", name(&l.from), program.value(l.value).name);
        let laid: Vec<&Laid> = cycle.iter().map(|k| &out.laid[*k]).collect();
        let Some(first) = laid.first() else {
            return Diagnostic::error(ZERO_DELAY_LOOP, "values go round in a circle without delay");
        };
        let mut d = Diagnostic::error(ZERO_DELAY_LOOP, String::new());
        let mut round = Vec::new();
        for (k, l) in laid.iter().enumerate() {
            let next = laid.get(k + 1).unwrap_or(first);
            let input = format!("{}.{}", name(&next.from), program.value(l.input).name);
            round.push(value(l));
            round.push(input.clone());
            d = d.label(l.span, format!("`{}` reaches `{input}` in the same moment", value(l)));
            let reader = program.value(next.value);
            if reader.span.file == l.span.file {
                d = d.label(reader.span, format!("`{}` follows `{input}` in the same moment", reader.name));
            }
        }
        round.push(value(first));
        d.message = format!("values go round in a circle without delay: {}", round.join(" -> "));
        d.help("give one of these projections a `delay`, or read a state: states are read as they were at the start of the step")
    }
}

/// The projections of a circle, each followed by one whose value reads its sum. `start` has no rank, so what it reads has none
/// either, and walking back must come round.
fn cycle(reads: &[Vec<usize>], ranks: &[Option<u32>], start: usize) -> Vec<usize> {
    let mut seen: Vec<usize> = Vec::new();
    let mut at = start;
    while !seen.contains(&at) {
        seen.push(at);
        match reads[at].iter().find(|j| ranks[**j].is_none()) {
            Some(next) => at = *next,
            None => break,
        }
    }
    let from = seen.iter().position(|k| *k == at).unwrap_or(0);
    let mut round = seen.split_off(from);
    round.reverse();
    // The one that is declared first leads.
    let first = round.iter().zip(0..).min().map_or(0, |(_, k)| k);
    round.rotate_left(first);
    round
}

/// The input's name where a projection lands, and the value's where it starts.
pub(super) fn end_names<'p>(
    program: &'p hir::Program,
    p: &hir::Projection,
    from: &hir::Cells,
    to: &hir::Cells,
) -> Option<(&'p str, &'p str)> {
    let c = p.continuous.as_ref()?;
    let source = p.from.iter().position(|x| std::ptr::eq(x, from))?;
    let target = p.to.iter().position(|(x, _)| std::ptr::eq(x, to))?;
    let name = |v: &ValueId| program.value(*v).name.as_str();
    Some((name(c.values.get(source)?), name(c.inputs.get(target)?)))
}
