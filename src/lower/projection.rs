//! Projections: every source end with every target end, rules with numbers, weights and delays as what they turn out to be.

use super::coupling::end_names;
use super::dynamics::{Body, Bound, Cx, EndInfo, Mode};
use super::error::*;
use super::network::Elaborated;
use super::sleep::{only_in, with_gain};
use super::translate::reads_draw;
use super::{Fail, Lowering};
use crate::base::{Diagnostic, Span};
use crate::connect::{Rule, Spec};
use crate::hir::{self, SpikeRule};
use crate::ir::{
    self, Attribute, BinaryOp, Delay, Expr, ExprId, Node, PoissonInput, Population, Projection, Real, Spike, Subset,
    UnaryOp, Weight,
};
use crate::script::Distribution;
use crate::units::{self, Dimension};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// Draws beyond so many standard deviations are clamped where a bound is needed (the ring buffers' length).
const SIGMAS: f64 = 6.0;
/// Site of the draw that decides a pair; those of the text count from 0.
const PAIR_DRAW: u32 = u32::MAX;
/// Longest delay in steps: the ring buffers have one slot each.
pub(super) const DELAY_LIMIT: f64 = 1e6;

impl Lowering<'_> {
    pub(super) fn projection(
        &mut self,
        network: &hir::Network,
        p: &hir::Projection,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        for (k, from) in p.from.iter().enumerate() {
            for (j, (to, receptor)) in p.to.iter().enumerate() {
                if let Some(c) = &p.continuous {
                    self.synaptic(network, p, from, to, *receptor, out)?;
                    if let (Some(value), Some(input)) = (c.values.get(k), c.inputs.get(j)) {
                        self.couple(p, from, to, *value, *input, out)?;
                    }
                    continue;
                }
                let model = network.populations[to.population.0 as usize].model;
                let receptor = &self.receptor_position(model, to, *receptor)?;
                let private = out.placed.get(&from.population).is_some_and(|s| s.private);
                if private {
                    let source = &network.populations[from.population.0 as usize];
                    self.user = Some(source.model_span);
                    let r = self.private(network, p, from, to, *receptor, out);
                    self.report(r);
                    self.user = None;
                } else {
                    self.synaptic(network, p, from, to, *receptor, out)?;
                }
            }
        }
        Ok(())
    }

    fn path(
        &self,
        network: &hir::Network,
        p: &hir::Projection,
        from: &hir::Cells,
        to: &hir::Cells,
        receptor: u32,
        out: &Elaborated,
    ) -> String {
        let name = |c: &hir::Cells| {
            let population = &network.populations[c.population.0 as usize];
            if c.slots.is_empty() {
                return population.name.clone();
            }
            let written = self.sources.snippet(c.span).split_whitespace().collect::<String>();
            let written = written.trim_end_matches('.').to_string();
            // Cells of a region are written there without the region's own path.
            let at = population.name.rfind('.').map_or(0, |k| k + 1);
            let (prefix, local) = population.name.split_at(at);
            if written.starts_with(&population.name) {
                written
            } else if written.starts_with(local) {
                format!("{prefix}{written}")
            } else {
                format!("{}[..]", population.name)
            }
        };
        let model = self.program.model(network.populations[to.population.0 as usize].model);
        let continuous = end_names(self.program, p, from, to);
        let receptor = match continuous {
            Some((_, input)) => input,
            None => model.receptors.get(receptor as usize).map_or("", |r| r.name.as_str()),
        };
        let name = |c: &hir::Cells| match continuous {
            Some((value, _)) if std::ptr::eq(c, from) && c.slots.is_empty() => format!("{}.{value}", name(c)),
            _ => name(c),
        };
        let target = name(to);
        let target = target.strip_suffix(&format!(".{receptor}")).unwrap_or(&target).to_string();
        let base = match &p.name {
            Some(n) if p.from.len() == 1 && p.to.len() == 1 => n.clone(),
            Some(n) => format!("{n}:{}->{target}.{receptor}", name(from)),
            None => format!("{}->{target}.{receptor}", name(from)),
        };
        let taken = |text: &str| out.origins.projections.contains_key(text);
        if !taken(&base) {
            return base;
        }
        (2..).map(|k| format!("{base}#{k}")).find(|t| !taken(t)).unwrap_or(base)
    }

    fn synaptic(
        &mut self,
        network: &hir::Network,
        p: &hir::Projection,
        from: &hir::Cells,
        to: &hir::Cells,
        receptor: u32,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let (pre, post) = (self.subset(from, out)?, self.subset(to, out)?);
        let path = self.path(network, p, from, to, receptor, out);
        let (Some(source), Some(target)) = (out.placed.get(&from.population), out.placed.get(&to.population)) else {
            return Ok(());
        };
        let (from_node, to_node) = (source.node, target.node);
        let (n_pre, n_post) = (pre.len(source.size), post.len(target.size));
        let ends = (source.info.clone(), target.info.clone());
        let same = from.population == to.population;
        let sizes = (Extents::of(source), Extents::of(target));
        let Some(connect) = &p.connect else { return Ok(()) };
        let mut columns = Vec::new();
        let mut column_data = Vec::new();
        let (rule, chance) = self.rule(connect, (n_pre, n_post), &ends, same, &mut columns, &mut column_data, out)?;
        let spec = Spec { rule, autapses: connect.autapses, multapses: connect.multapses };
        if spec.rule == Rule::OneToOne && same && !spec.autapses && pre == post {
            return Err(Diagnostic::error(DEGREE, "one_to_one of a population with itself has no pair to join")
                .label(connect.span, "each pair is a cell and itself")
                .help("write `one_to_one with autapses` if cells are to reach themselves"));
        }
        self.check_symmetric(connect, same, &pre, &post)?;
        let mut filter = match &connect.filter {
            Some(f) => Some(self.build(f, Some(&ends), &columns, out)?),
            None => None,
        };
        if let Some(p) = chance {
            // A probability that differs from pair to pair is a draw for each pair.
            let x = &mut out.network.build;
            let drawn =
                x.intern(Expr::Random { distribution: Distribution::Bernoulli, args: vec![p], site: PAIR_DRAW });
            filter = Some(match filter {
                Some(f) => x.binary(BinaryOp::And, f, drawn),
                None => drawn,
            });
        }
        let weight = match &p.weight {
            Some(w) => {
                let value = self.build(w, Some(&ends), &columns, out)?;
                match out.network.build.as_const(value) {
                    Some(v) if !v.is_finite() => {
                        return Err(Diagnostic::error(EVALUATION, "a weight must be finite")
                            .label(w.span, format!("this is {v}")));
                    }
                    Some(v) => Weight::Constant(v),
                    None => Weight::PerSynapse { value, single: reads_draw(w, self.program) },
                }
            }
            None => Weight::Constant(0.0),
        };
        let at_once = match &p.delay {
            Some(d) if p.continuous.is_some() => {
                let value = self.build(d, Some(&ends), &columns, out)?;
                self.coupling_delay(d, out.network.build.as_const(value))?
            }
            None if p.continuous.is_some() => Some(Delay::Constant(0)),
            _ => None,
        };
        let delay = match (at_once, &p.delay) {
            (Some(delay), _) => delay,
            (None, Some(d)) => {
                let delay = self.delay(d, Some(&ends), &columns, &column_data, (&sizes.0, &sizes.1), out)?;
                self.conduction(d, &ends, &column_data, (&sizes.0, &sizes.1), out)?;
                delay
            }
            (None, None) => Delay::Constant(1),
        };
        let procedural = connect.procedural.then(|| {
            let shortest = match delay {
                Delay::Constant(d) => d,
                Delay::PerSynapse { value, max } => {
                    let ms = Bounds::new(&out.network, &column_data, (&sizes.0, &sizes.1)).of(value).0;
                    (ms / self.dt).floor().clamp(1.0, f64::from(max)).max(1.0) as u32
                }
            };
            ir::Procedural { shortest }
        });
        let gain = {
            let Elaborated { network, placed, tables, switches, .. } = out;
            let Some(target) = placed.get_mut(&to.population) else { return Ok(()) };
            let set = match p.continuous {
                // It is in the sum that reaches the input.
                Some(_) => None,
                None => switches.gain(p.name.as_deref(), to.population, &mut target.body),
            };
            let mut cx = Cx {
                network,
                mode: Mode::Dynamics(&mut target.body),
                formals: HashMap::new(),
                tables,
                lets: HashMap::new(),
            };
            let gain = p.gain.as_ref().map(|g| self.translate(g, &mut cx)).transpose()?;
            with_gain(gain.filter(|g| cx.arena().as_const(*g) != Some(1.0)), set, &mut cx)
        };
        let projection = Projection {
            path,
            receptor,
            pre,
            post,
            spec,
            filter,
            weight,
            delay,
            gain,
            columns: column_data,
            private: false,
            coupling: None,
            symmetric: connect.symmetric,
            procedural,
        };
        self.outgoing(network, (from, to), p, &projection, (&sizes.0, &sizes.1), out);
        self.initial_weights(p, &projection, (&sizes.0, &sizes.1), out)?;
        let id = out.network.graph.add_edge(from_node, to_node, projection);
        let winners = network.populations[to.population.0 as usize].winners.as_ref();
        self.rules(p, id, to.population, winners, out)
    }

    /// Compares a delay with the distance that it covers, at the farthest and at shorter distances.
    fn conduction(
        &mut self,
        e: &hir::Expr,
        ends: &(EndInfo, EndInfo),
        data: &[Vec<f64>],
        sizes: (&Extents, &Extents),
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        if !ends.0.space.placed() || !ends.1.space.placed() {
            return Ok(());
        }
        let distance = hir::Expr { kind: hir::ExprKind::Distance, span: e.span, ty: e.ty };
        let distance = self.build(&distance, Some(ends), &[], out)?;
        let delay = self.build(e, Some(ends), &[], out)?;
        let bounds = |network: &ir::Network, id| Bounds::new(network, data, sizes).of(id);
        let farthest = bounds(&out.network, distance).1;
        // A delay that follows the distance is taken at the farthest; any other at its shortest.
        if farthest.is_finite() {
            let at = out.network.build.real(farthest);
            let there = out.network.build.rewrite(delay, &mut HashMap::from([(distance, at)]), &mut |_, _| None);
            let shortest = bounds(&out.network, there).0;
            self.check_conduction(farthest, shortest, e.span);
        }
        Ok(())
    }

    /// A build expression per synapse (`ends`) or of nothing but constants.
    fn build(
        &mut self,
        e: &hir::Expr,
        ends: Option<&(EndInfo, EndInfo)>,
        columns: &[String],
        out: &mut Elaborated,
    ) -> Result<ExprId, Fail> {
        let Elaborated { network, tables, .. } = out;
        let mode = Mode::Build { own: None, ends: ends.map(|(a, b)| (a, b)), columns };
        let mut cx = Cx { network, mode, formals: HashMap::new(), tables, lets: HashMap::new() };
        self.translate(e, &mut cx)
    }

    fn rule(
        &mut self,
        c: &hir::Connect,
        (n_pre, n_post): (u32, u32),
        ends: &(EndInfo, EndInfo),
        same: bool,
        columns: &mut Vec<String>,
        column_data: &mut Vec<Vec<f64>>,
        out: &mut Elaborated,
    ) -> Result<(Rule, Option<ExprId>), Fail> {
        let candidates = |own: bool, n: u32| if same && !c.autapses && own { n.saturating_sub(1) } else { n };
        let mut chance = None;
        let rule = match &c.rule {
            hir::Rule::OneToOne => {
                if n_pre != n_post {
                    return Err(Diagnostic::error(SIZES_DIFFER, format!("one_to_one of {n_pre} and {n_post} cells"))
                        .label(c.span, "pairs equal positions")
                        .help("slice the larger end, or choose another rule"));
                }
                Rule::OneToOne
            }
            hir::Rule::AllToAll => Rule::AllToAll,
            hir::Rule::Bernoulli(p) => {
                let value = self.build(p, Some(ends), columns, out)?;
                match out.network.build.as_const(value) {
                    // An `if` may have left one number of what reads the pair.
                    Some(alike) => probability(alike, p.span)?,
                    None => {
                        chance = Some(value);
                        Rule::AllToAll
                    }
                }
            }
            hir::Rule::FixedIndegree(k) => {
                let n = self.constant_count(k, u64::from(u32::MAX))? as u32;
                let most = candidates(true, n_pre);
                if !c.multapses && c.filter.is_none() && n > most {
                    return Err(self.degree(k.span, "an in-degree", n, most, "sources"));
                }
                if n_pre == 0 && n > 0 {
                    return Err(self.degree(k.span, "an in-degree", n, 0, "sources"));
                }
                Rule::FixedIndegree { k: n }
            }
            hir::Rule::FixedOutdegree(k) => {
                let n = self.constant_count(k, u64::from(u32::MAX))? as u32;
                let most = candidates(true, n_post);
                if !c.multapses && c.filter.is_none() && n > most {
                    return Err(self.degree(k.span, "an out-degree", n, most, "targets"));
                }
                Rule::FixedOutdegree { k: n }
            }
            hir::Rule::FixedTotalNumber(k) => {
                let n = self.constant_count(k, 1 << 48)?;
                let most = u64::from(n_pre) * u64::from(n_post)
                    - if same && !c.autapses { u64::from(n_pre.min(n_post)) } else { 0 };
                if !c.multapses && c.filter.is_none() && n > most {
                    return Err(Diagnostic::error(DEGREE, format!("{n} synapses among {most} pairs"))
                        .label(k.span, "more than there are pairs")
                        .help("allow several synapses per pair: `with multapses`"));
                }
                Rule::FixedTotalNumber { n }
            }
            hir::Rule::Pairs(e) => {
                let v = self.constant(e)?;
                let mut pre = Vec::new();
                let mut post = Vec::new();
                for pair in v.elements() {
                    let ij = pair.numbers().unwrap_or_default();
                    let [i, j] = ij.as_slice() else {
                        return Err(Diagnostic::error(EDGE_LIST, "a pair is [pre, post]")
                            .label(e.span, format!("found {}", pair.describe()))
                            .help("write pairs([[0, 1], [2, 0]])"));
                    };
                    pre.push(self.end_index(*i, n_pre, "pre", e.span)?);
                    post.push(self.end_index(*j, n_post, "post", e.span)?);
                }
                Rule::Pairs { pre, post }
            }
            hir::Rule::Edges { columns: data, file } => {
                let find = |name: &str, k: usize| data.iter().position(|(n, _)| n == name).unwrap_or(k);
                let (a, b) = (find("pre", 0), find("post", 1));
                let mut pre = Vec::new();
                let mut post = Vec::new();
                for (i, j) in data[a].1.iter().zip(&data[b].1) {
                    pre.push(self.end_index(*i, n_pre, "pre", c.span)?);
                    post.push(self.end_index(*j, n_post, "post", c.span)?);
                }
                for (name, values) in data {
                    if let Some(row) = values.iter().position(|v| !v.is_finite()) {
                        return Err(Diagnostic::error(
                            EDGE_LIST,
                            format!("`{file}` has {} in column `{name}`, row {row}", values[row]),
                        )
                        .label(c.span, "read here"));
                    }
                    columns.push(name.clone());
                    column_data.push(values.clone());
                }
                Rule::Pairs { pre, post }
            }
        };
        Ok((rule, chance))
    }

    fn degree(&self, span: Span, what: &str, n: u32, most: u32, of: &str) -> Fail {
        Diagnostic::error(DEGREE, format!("{what} of {n} with {most} {of}"))
            .label(span, format!("there are {most} {of} to choose from"))
            .help("lower it, or allow several synapses per pair: `with multapses`")
    }

    fn end_index(&self, v: f64, n: u32, what: &str, span: Span) -> Result<u32, Fail> {
        if v >= 0.0 && v < f64::from(n) && v == v.trunc() {
            return Ok(v as u32);
        }
        Err(Diagnostic::error(EDGE_LIST, format!("{what} index {v} for {n} cells"))
            .label(span, "counted from 0, whole numbers"))
    }

    fn delay(
        &mut self,
        e: &hir::Expr,
        ends: Option<&(EndInfo, EndInfo)>,
        columns: &[String],
        data: &[Vec<f64>],
        sizes: (&Extents, &Extents),
        out: &mut Elaborated,
    ) -> Result<Delay, Fail> {
        let value = self.build(e, ends, columns, out)?;
        let dt = self.dt;
        if let Some(ms) = out.network.build.as_const(value) {
            let shown = units::display(ms, Dimension::TIME);
            if ms.is_nan() {
                return Err(Diagnostic::error(EVALUATION, "this delay is not a number")
                    .label(e.span, "a division of zero by zero?"));
            }
            // Half a step is the least that rounds to one.
            if !(ms >= dt * (1.0 - 1e-9)) {
                return Err(Diagnostic::error(
                    DELAY_BELOW_STEP,
                    format!("a delay of {shown} is below dt = {}", units::display(dt, Dimension::TIME)),
                )
                .label(e.span, "shorter than one step")
                .help(format!(
                    "write at least `delay {}`, or lower dt; every loop of spikes needs a positive delay",
                    units::display(dt, Dimension::TIME)
                )));
            }
            if ms / dt > DELAY_LIMIT {
                return Err(Diagnostic::error(TOO_LARGE, format!("a delay of {shown} is {} steps", ms / dt))
                    .label(e.span, "here")
                    .help(format!("at most {DELAY_LIMIT} steps")));
            }
            return Ok(Delay::Constant(self.whole_steps(ms, e.span, "a delay").max(1) as u32));
        }
        let bound = Bounds::new(&out.network, data, sizes).of(value).1;
        let steps = (bound / dt).round_ties_even();
        if !(steps <= DELAY_LIMIT) {
            return Err(Diagnostic::error(DELAY_UNBOUNDED, "the longest delay of this distribution is not known")
                .label(e.span, "no upper bound, or one above a million steps")
                .help("bound it: clip(..., 0.1 ms, 20 ms)"));
        }
        self.short_delays(value, data, e.span, &out.network);
        Ok(Delay::PerSynapse { value, max: (steps as u32).max(1) })
    }

    /// A source without a size: independent trains for each target.
    fn private(
        &mut self,
        network: &hir::Network,
        p: &hir::Projection,
        from: &hir::Cells,
        to: &hir::Cells,
        receptor: u32,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let post = self.subset(to, out)?;
        let path = self.path(network, p, from, to, receptor, out);
        let source = &network.populations[from.population.0 as usize];
        let model = self.program.model(source.model);
        let Some(from_node) = out.placed.get(&from.population).map(|s| s.node) else { return Ok(()) };
        let Some(to_node) = out.placed.get(&to.population).map(|s| s.node) else { return Ok(()) };
        let delay = match &p.delay {
            Some(d) => {
                let nothing = Extents::default();
                let delay = self.delay(d, None, &[], &[], (&nothing, &nothing), out)?;
                match delay {
                    Delay::Constant(d) => d,
                    Delay::PerSynapse { .. } => {
                        return Err(Diagnostic::error(EVALUATION, "a private source has one delay")
                            .label(d.span, "drawn per synapse"));
                    }
                }
            }
            None => 1,
        };
        let Some(weight) = &p.weight else { return Ok(()) };
        let rate = match &model.spike {
            SpikeRule::Rate(rate) if model.states.is_empty() && model.reset.is_empty() => rate,
            _ => return self.private_copies(network, p, from, to, receptor, &path, delay, out),
        };
        let settable = out.placed.get(&from.population).map(|s| s.body.settable.clone()).unwrap_or_default();
        let Elaborated { network: ir, placed, tables, switches, .. } = out;
        let Some(target) = placed.get_mut(&to.population) else { return Ok(()) };
        // The source's params are bound in the target's own dynamics: one train per neuron, one rate per neuron.
        let mut guest = Body::new(source.model, &model.name, source.args.clone(), settable);
        guest.prefix = format!("{}.", source.name);
        std::mem::swap(&mut guest.dynamics, &mut target.body.dynamics);
        let mut cx =
            Cx { network: ir, mode: Mode::Dynamics(&mut guest), formals: HashMap::new(), tables, lets: HashMap::new() };
        let span = rate.span;
        let bound = self.bind_all(source.model, &mut cx).and_then(|()| self.translate(rate, &mut cx));
        let bound = bound.and_then(|rate| self.countable_rate(cx.arena(), rate, span).map(|()| rate));
        let params: Vec<(String, u32)> = guest
            .bound
            .iter()
            .filter_map(|(v, b)| match b {
                Bound::Slot(k) => Some((self.program.value(*v).name.clone(), *k)),
                _ => None,
            })
            .collect();
        std::mem::swap(&mut guest.dynamics, &mut target.body.dynamics);
        // What follows a sensor, an event or a level does so among the target's own params.
        target.body.sensed.append(&mut guest.sensed);
        target.body.events.append(&mut guest.events);
        target.body.levels.append(&mut guest.levels);
        let mut rate = bound?;
        let mut cx = Cx {
            network: ir,
            mode: Mode::Dynamics(&mut target.body),
            formals: HashMap::new(),
            tables,
            lets: HashMap::new(),
        };
        let at = weight.span;
        let mut weight = self.translate(weight, &mut cx)?;
        let alike = cx.arena().as_const(weight);
        let size = target_size(&cx.network.graph, to_node);
        rate = only_in(&mut cx, rate, &post, size, "reached");
        if let Some(gain) = switches.gain(p.name.as_deref(), to.population, &mut target.body) {
            weight = target.body.dynamics.exprs.mul(gain, weight);
        }
        let dimension = target.body.dynamics.receptors.get(receptor as usize).map(|r| r.dimension);
        if let (Some(w), Some(dimension)) = (alike, dimension) {
            self.negative_conductance(dimension, (w, w), 1.0, at);
        }
        target.body.dynamics.poisson.push(PoissonInput { path: path.clone(), receptor, rate, weight, delay });
        let mut params = params;
        params.sort();
        if let Some(s) = placed.get_mut(&from.population) {
            for (name, k) in params {
                s.scattered.push((to.population, name, k));
            }
        }
        let edge = Projection {
            path,
            receptor,
            pre: Subset::All,
            post,
            spec: Spec { rule: Rule::OneToOne, autapses: false, multapses: false },
            filter: None,
            weight: Weight::Constant(0.0),
            delay: Delay::Constant(delay),
            gain: None,
            columns: Vec::new(),
            private: true,
            coupling: None,
            symmetric: false,
            procedural: None,
        };
        out.origins.projections.insert(edge.path.clone(), p.span);
        out.network.graph.add_edge(from_node, to_node, edge);
        Ok(())
    }

    fn bind_all(&mut self, model: hir::ModelId, cx: &mut Cx) -> Result<(), Fail> {
        let program = self.program;
        for v in &program.model(model).names {
            if matches!(program.value(*v).kind, hir::ValueKind::Param { .. }) {
                let e = hir::Expr {
                    kind: hir::ExprKind::Value(*v),
                    span: program.value(*v).span,
                    ty: program.value(*v).ty,
                };
                self.translate(&e, cx)?;
            }
        }
        Ok(())
    }

    /// A private source with states or given times: one copy of it for each target cell.
    fn private_copies(
        &mut self,
        network: &hir::Network,
        p: &hir::Projection,
        from: &hir::Cells,
        to: &hir::Cells,
        receptor: u32,
        path: &str,
        delay: u32,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let post = self.subset(to, out)?;
        let source = &network.populations[from.population.0 as usize];
        let model = self.program.model(source.model);
        let Some(target) = out.placed.get(&to.population) else { return Ok(()) };
        let n = post.len(target.size);
        let (to_node, target_info) = (target.node, target.info.clone());
        let settable = out.placed.get(&from.population).map(|s| s.body.settable.clone()).unwrap_or_default();
        if let Some(name) = settable.first() {
            return Err(Diagnostic::error(
                crate::sema::error::NOT_SETTABLE,
                format!("`{name}` of `{}` can't be set", source.name),
            )
            .label(source.span, "a source without a size whose trains have states")
            .help("give the source a size and connect it one_to_one"));
        }
        let mut body = Body::new(source.model, &model.name, source.args.clone(), BTreeSet::new());
        {
            let Elaborated { network: ir, tables, .. } = out;
            self.body(&mut body, ir, tables)?;
        }
        if let SpikeRule::Times(e) = &model.spike {
            let times = self.times(&body, e)?;
            body.dynamics.spike = Spike::Schedule(self.schedule(&times, n, e.span)?);
        }
        let Some(weight) = &p.weight else { return Ok(()) };
        let ends = (EndInfo::default(), target_info);
        let value = {
            // A weight drawn per target reads the target's index as its own.
            let Elaborated { network: ir, tables, .. } = out;
            let mode = Mode::Build { own: None, ends: Some((&ends.0, &ends.1)), columns: &[] };
            let mut cx = Cx { network: ir, mode, formals: HashMap::new(), tables, lets: HashMap::new() };
            self.translate(weight, &mut cx)?
        };
        let weight = match out.network.build.as_const(value) {
            Some(v) => Weight::Constant(v),
            None => Weight::PerSynapse { value, single: reads_draw(weight, self.program) },
        };
        if let Some((modulator, _)) = body.levels.first() {
            let name = &network.populations[modulator.0 as usize].name;
            return Err(Diagnostic::error(
                EVALUATION,
                format!("`{}` can't follow the level of `{name}` without a size", source.name),
            )
            .label(source.span, "a source without a size whose trains have states")
            .help("give the source a size and connect it one_to_one"));
        }
        let (sensed, events) = (std::mem::take(&mut body.sensed), std::mem::take(&mut body.events));
        let node = out.network.graph.add_node(Node::Population(Population {
            path: format!("{}@{path}", source.name),
            source: true,
            size: n,
            axes: vec![ir::Axis { name: None, labels: Vec::new(), sizes: vec![n] }],
            dynamics: body.dynamics,
        }));
        out.network.follow(node, &sensed, &events);
        let edge = Projection {
            path: path.to_string(),
            receptor,
            pre: Subset::All,
            post,
            spec: Spec { rule: Rule::OneToOne, autapses: false, multapses: false },
            filter: None,
            weight,
            delay: Delay::Constant(delay),
            gain: None,
            columns: Vec::new(),
            private: false,
            coupling: None,
            symmetric: false,
            procedural: None,
        };
        out.origins.projections.insert(edge.path.clone(), p.span);
        out.network.graph.add_edge(node, to_node, edge);
        Ok(())
    }
}

/// What is known of the cells at one end.
#[derive(Default)]
pub(super) struct Extents {
    /// Flat size, then the size of each axis.
    sizes: Vec<u32>,
    params: Vec<ir::Param>,
    /// Params whose values are known to lie in an interval: coordinates.
    within: Vec<(u32, (f64, f64))>,
}

impl Extents {
    fn of(p: &super::network::Placed) -> Extents {
        Extents {
            sizes: std::iter::once(p.size).chain(p.axes.iter().map(ir::Axis::max_size)).collect(),
            params: p.body.dynamics.params.clone(),
            within: p.info.space.within.clone(),
        }
    }
}

fn target_size(
    graph: &petgraph::stable_graph::StableDiGraph<Node, Projection, u32>,
    node: petgraph::stable_graph::NodeIndex<u32>,
) -> u32 {
    match &graph[node] {
        Node::Population(p) => p.size,
        Node::Private { .. } => 0,
    }
}

/// What bounds the leaves of a build expression of a projection.
pub(super) struct Bounds<'b> {
    network: &'b ir::Network,
    columns: &'b [Vec<f64>],
    pre: &'b Extents,
    post: &'b Extents,
    /// Whose param is looked at.
    own: Option<&'b Extents>,
    /// Standard deviations of a normal number that count; 0 takes its mean for it.
    sigmas: f64,
    known: RefCell<HashMap<ExprId, (f64, f64)>>,
}

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

fn hull(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

impl<'b> Bounds<'b> {
    pub(super) fn new(
        network: &'b ir::Network,
        columns: &'b [Vec<f64>],
        (pre, post): (&'b Extents, &'b Extents),
    ) -> Bounds<'b> {
        Bounds { network, columns, pre, post, own: None, sigmas: SIGMAS, known: RefCell::default() }
    }

    /// Without the tails of what is normal.
    pub(super) fn of_means(self) -> Bounds<'b> {
        Bounds { sigmas: 0.0, known: RefCell::default(), ..self }
    }

    /// An interval that holds every value, infinite where none is found. Shared parts are bounded once.
    pub(super) fn of(&self, id: ExprId) -> (f64, f64) {
        if let Some(known) = self.known.borrow().get(&id) {
            return *known;
        }
        let found = self.bound(id);
        self.known.borrow_mut().insert(id, found);
        found
    }

    fn bound(&self, id: ExprId) -> (f64, f64) {
        let bounded = |(lo, hi): (f64, f64)| if lo.is_nan() || hi.is_nan() { ANY } else { (lo, hi) };
        match self.network.build.get(id) {
            Expr::Const(Real(v)) => (*v, *v),
            Expr::Unary(UnaryOp::Neg, a) => {
                let (lo, hi) = self.of(*a);
                (-hi, -lo)
            }
            Expr::Unary(UnaryOp::Abs, a) => {
                let (lo, hi) = self.of(*a);
                (0.0, lo.abs().max(hi.abs()))
            }
            Expr::Unary(UnaryOp::Sin | UnaryOp::Cos, _) => (-1.0, 1.0),
            Expr::Unary(op @ (UnaryOp::Exp | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round), a) => {
                // They grow with their argument.
                let (lo, hi) = self.of(*a);
                (op.compute(lo), op.compute(hi))
            }
            Expr::Unary(UnaryOp::Sqrt, a) => {
                let (lo, hi) = self.of(*a);
                (lo.max(0.0).sqrt(), hi.max(0.0).sqrt())
            }
            Expr::Binary(op, a, b) => {
                let (p, q) = (self.of(*a), self.of(*b));
                match op {
                    BinaryOp::Add => bounded((p.0 + q.0, p.1 + q.1)),
                    BinaryOp::Sub => bounded((p.0 - q.1, p.1 - q.0)),
                    BinaryOp::Mul | BinaryOp::Div if *op == BinaryOp::Mul || q.0 > 0.0 || q.1 < 0.0 => {
                        let f = |x: f64, y: f64| if *op == BinaryOp::Mul { x * y } else { x / y };
                        let all = [f(p.0, q.0), f(p.0, q.1), f(p.1, q.0), f(p.1, q.1)];
                        if all.iter().any(|v| v.is_nan()) { ANY } else { hull(all.into_iter()) }
                    }
                    BinaryOp::Min => (p.0.min(q.0), p.1.min(q.1)),
                    BinaryOp::Max => (p.0.max(q.0), p.1.max(q.1)),
                    _ => ANY,
                }
            }
            Expr::Select(_, a, b) => {
                let (p, q) = (self.of(*a), self.of(*b));
                (p.0.min(q.0), p.1.max(q.1))
            }
            Expr::Random { distribution, args, .. } => {
                let arg = |k: usize| args.get(k).map_or(ANY, |a| self.of(*a));
                match distribution {
                    Distribution::Uniform => (arg(0).0, arg(1).1),
                    Distribution::Normal => {
                        let spread = self.sigmas * arg(1).1.abs().max(arg(1).0.abs());
                        bounded((arg(0).0 - spread, arg(0).1 + spread))
                    }
                    Distribution::TruncatedNormal => (arg(2).0, arg(3).1),
                    Distribution::Lognormal => (0.0, arg(0).1 * crate::numerics::exp(SIGMAS * arg(1).1)),
                    // exp(-20) = 2e-9 of the draws lie beyond.
                    Distribution::Exponential => (0.0, 20.0 * arg(0).1),
                    Distribution::Gamma => (0.0, arg(1).1 * (arg(0).1 + SIGMAS * arg(0).1.sqrt() + 20.0)),
                    Distribution::Bernoulli => (0.0, 1.0),
                    Distribution::Poisson => (0.0, arg(0).1 + SIGMAS * arg(0).1.sqrt() + 20.0),
                }
            }
            Expr::Table { table, .. } => match self.network.tables.get(*table as usize) {
                Some(t) => match t.draw {
                    Some(draw) => self.of(draw),
                    None => hull(t.data.iter().copied()),
                },
                None => ANY,
            },
            Expr::Column(k) => self.columns.get(*k as usize).map_or(ANY, |c| hull(c.iter().copied())),
            Expr::Element(side, attribute) => {
                let side = match side {
                    ir::Side::Pre => Some(self.pre),
                    ir::Side::Post => Some(self.post),
                    ir::Side::Own => self.own,
                };
                let Some(end) = side else { return ANY };
                let size = match attribute {
                    Attribute::Index => end.sizes.first(),
                    Attribute::Axis(k) => end.sizes.get(*k as usize + 1),
                    Attribute::Param(k) => {
                        if let Some((_, known)) = end.within.iter().find(|(p, _)| p == k) {
                            return *known;
                        }
                        return match end.params.get(*k as usize).map(|p| p.kind) {
                            Some(ir::ParamKind::Scalar(v)) => (v, v),
                            Some(ir::ParamKind::PerNeuron(e)) => {
                                Bounds { own: Some(end), known: RefCell::default(), ..*self }.of(e)
                            }
                            _ => ANY,
                        };
                    }
                };
                size.map_or(ANY, |n| (0.0, f64::from(n.saturating_sub(1))))
            }
            _ => ANY,
        }
    }
}

/// Every pair with the same probability.
fn probability(p: f64, span: Span) -> Result<Rule, Diagnostic> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Diagnostic::error(PROBABILITY, format!("a probability of {p}"))
            .label(span, "not between 0 and 1")
            .help("2 % is 0.02"));
    }
    Ok(Rule::Bernoulli { p })
}
