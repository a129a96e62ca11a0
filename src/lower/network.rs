//! A network with every size fixed: blocks unrolled, populations placed, drives and dynamics lowered.

use super::dynamics::{Body, Bound, Cx, EndInfo, Mode};
use super::error::*;
use super::sleep::{self, Switches, only_in};
use super::{Fail, Lowering, Origins};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Item, PopulationId, SpikeRule, StmtKind, ValueId, ValueKind};
use crate::ir::{self, Axis, Node, Population, Subset};
use crate::script::Value;
use petgraph::stable_graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The drawn tables by the lets that they are of; of those within loops, by turn.
pub(super) type Tables = HashMap<(ValueId, String), u32>;

/// A lowered network and what the experiment needs to find its way in it.
pub(super) struct Elaborated {
    pub network: ir::Network,
    pub placed: BTreeMap<PopulationId, Placed>,
    pub tables: Tables,
    /// Leaves of the continuous projections whose edges are not there yet, in order of declaration.
    pub joined: VecDeque<[Option<u32>; 4]>,
    /// Those that have an edge.
    pub laid: Vec<super::coupling::Laid>,
    pub origins: Origins,
    /// Signs of the weights, for Dale's law.
    pub outgoing: Vec<super::dale::Outgoing>,
    pub switches: Switches,
}

impl Elaborated {
    /// Of no circuit at all.
    pub fn empty() -> Elaborated {
        Elaborated {
            network: ir::Network::default(),
            placed: BTreeMap::new(),
            tables: HashMap::new(),
            joined: VecDeque::new(),
            laid: Vec::new(),
            origins: Origins::default(),
            outgoing: Vec::new(),
            switches: Switches::default(),
        }
    }
}

/// Where a population went.
pub(super) struct Placed {
    pub node: NodeIndex<u32>,
    pub body: Body,
    pub axes: Vec<Axis>,
    pub size: u32,
    pub info: EndInfo,
    /// Without a size: its trains live at its targets.
    pub private: bool,
    /// Where the params of a private source ended up, by name: (target, position).
    pub scattered: Vec<(PopulationId, String, u32)>,
}

/// A projection or drive of one turn of its loops.
struct Unrolled<'h, T> {
    item: &'h T,
    loops: Vec<(ValueId, Value)>,
}

struct DriveItem<'h> {
    target: &'h hir::Cells,
    input: &'h str,
    value: &'h hir::Expr,
}

#[derive(Default)]
struct Flat<'h> {
    populations: Vec<PopulationId>,
    projections: Vec<Unrolled<'h, hir::Projection>>,
    drives: Vec<(DriveItem<'h>, Vec<(ValueId, Value)>)>,
}

const UNROLL_LIMIT: usize = 1_000_000;

/// Why a binding has to be known.
const SCHEDULE: &str = "the times of `spike at` are one list for all cells, known when the circuit is built";

impl Lowering<'_> {
    pub(super) fn network(&mut self, id: hir::NetworkId, experiment: Option<&hir::Experiment>) -> Option<Elaborated> {
        let program = self.program;
        let network = program.network(id);
        for v in &network.names {
            if matches!(program.value(*v).kind, ValueKind::Param { .. }) {
                let r = self.param_value(*v);
                self.report(r)?;
            }
        }
        let mut sensors = Vec::new();
        let port = |e: &hir::EventPort| ir::EventPort { path: e.path.clone(), dimension: e.dim, readers: Vec::new() };
        let events = network.events.iter().map(port).collect();
        let mut flat = Flat::default();
        let r = self.flatten(&network.items, &mut Vec::new(), &mut flat);
        self.report(r)?;
        if flat.populations.is_empty() {
            self.diags.push(
                Diagnostic::error(EMPTY_CIRCUIT, format!("network `{}` has no population", network.name))
                    .label(network.span, "nothing to simulate")
                    .help("declare one: population E[100]: LifDelta"),
            );
            return None;
        }
        for s in &network.sensors {
            let laid = self.sensor(s);
            let laid = self.report(laid)?;
            sensors.push(laid);
        }
        let settable = experiment.map(|e| self.settable(network, &e.body)).transpose();
        let settable = self.report(settable)?.unwrap_or_default();
        let mut out = Elaborated {
            network: ir::Network {
                name: network.name.clone(),
                dt_ms: self.dt,
                sensors,
                events,
                ..ir::Network::default()
            },
            switches: experiment.map_or_else(Switches::default, |e| Switches::of(&e.body)),
            ..Elaborated::empty()
        };
        out.origins.sensors = network.sensors.iter().map(|s| (s.path.clone(), s.span)).collect();
        let asleep = experiment.map_or_else(Vec::new, |e| sleep::phases(&e.body));
        let errors = self.diags.error_count();
        for p in &flat.populations {
            let set = settable.get(p).cloned().unwrap_or_default();
            let r = self.place_population(network, *p, set, &mut out);
            self.report(r);
        }
        if self.diags.error_count() > errors {
            return None;
        }
        for p in &flat.populations {
            if let (Some(position), Some(here)) = (&network.populations[p.0 as usize].position, out.placed.get_mut(p)) {
                let r = self.place_cells(position, &mut here.body, &mut out.network, &mut out.tables);
                if let Some(space) = self.report(r) {
                    here.info.space = space;
                }
            }
        }
        for (drive, loops) in &flat.drives {
            let r = self.in_loop(loops, |s| s.drive(drive, &mut out));
            self.report(r);
        }
        for drive in asleep.iter().flat_map(|p| &p.drives) {
            let r = self.gated_drive(drive, &mut out);
            self.report(r);
        }
        for p in &flat.projections {
            let r = self.in_loop(&p.loops, |s| s.join(p.item, &mut out));
            self.report(r);
        }
        for p in &flat.populations {
            let population = &network.populations[p.0 as usize];
            self.user = Some(population.model_span);
            let r = self.population_body(*p, &mut out);
            self.report(r);
            self.user = None;
            if let Some(w) = &population.winners {
                let r = self.winners(*p, w, &mut out);
                self.report(r);
            }
        }
        if self.diags.error_count() > errors {
            return None;
        }
        for p in &flat.projections {
            let r = self.in_loop(&p.loops, |s| s.projection(network, p.item, &mut out));
            self.report(r);
        }
        for kick in asleep.iter().flat_map(|p| &p.kicks) {
            let r = self.kick(kick, &mut out);
            self.report(r);
        }
        if self.diags.error_count() == errors {
            self.join_levels(network, &mut out);
            self.rank_couplings(network, &mut out);
        }
        self.dale(network, &out);
        if self.diags.error_count() > errors {
            return None;
        }
        Some(out)
    }

    /// Moves the finished dynamics into their nodes.
    pub(super) fn seal(&mut self, out: &mut Elaborated) {
        for placed in out.placed.values_mut().filter(|p| !p.private) {
            if let Some(Node::Population(p)) = out.network.graph.node_weight_mut(placed.node) {
                p.dynamics = placed.body.dynamics.clone();
                out.network.inputs.extend(placed.body.input_params.iter().map(|k| (placed.node, *k)));
                out.network.follow(placed.node, &placed.body.sensed, &placed.body.events);
            }
        }
    }

    fn in_loop<T>(
        &mut self,
        loops: &[(ValueId, Value)],
        f: impl FnOnce(&mut Self) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        if loops.is_empty() {
            return f(self);
        }
        // Lets inside the block may read the loop's variable: what they gave in another turn does not hold.
        self.values.mark();
        for (v, value) in loops {
            self.values.insert(*v, value.clone());
        }
        self.turn = loops.iter().map(|(_, value)| turn(value)).collect();
        let out = f(self);
        self.turn.clear();
        self.values.back();
        out
    }

    fn flatten<'h>(
        &mut self,
        items: &'h [Item],
        loops: &mut Vec<(ValueId, Value)>,
        out: &mut Flat<'h>,
    ) -> Result<(), Fail> {
        for item in items {
            match item {
                Item::Population(p) => {
                    if !out.populations.contains(p) {
                        out.populations.push(*p);
                    }
                }
                Item::Projection(p) => out.projections.push(Unrolled { item: p, loops: loops.clone() }),
                Item::Drive { target, input, value, .. } => {
                    out.drives.push((DriveItem { target, input, value }, loops.clone()));
                }
                Item::If { condition, then, otherwise } => {
                    let branch = if self.constant_bool(condition)? { then } else { otherwise };
                    self.flatten(branch, loops, out)?;
                }
                Item::For { loops: variables, items } => self.unroll(variables, items, loops, out)?,
            }
            if out.projections.len() + out.drives.len() > UNROLL_LIMIT {
                return Err(Diagnostic::error(LOOP_LENGTH, format!("more than {UNROLL_LIMIT} projections and drives")));
            }
        }
        Ok(())
    }

    fn unroll<'h>(
        &mut self,
        variables: &'h [hir::Loop],
        items: &'h [Item],
        loops: &mut Vec<(ValueId, Value)>,
        out: &mut Flat<'h>,
    ) -> Result<(), Fail> {
        let Some((first, rest)) = variables.split_first() else {
            return self.flatten(items, loops, out);
        };
        for value in self.loop_values(first)? {
            // As in `in_loop`: what a let gave in one turn does not hold in the next.
            self.values.mark();
            self.values.insert(first.variable, value.clone());
            loops.push((first.variable, value));
            let r = self.unroll(rest, items, loops, out);
            loops.pop();
            self.values.back();
            r?;
        }
        Ok(())
    }

    /// The names that the experiment's `set` statements write, by population.
    fn settable(
        &mut self,
        network: &hir::Network,
        body: &[hir::Stmt],
    ) -> Result<BTreeMap<PopulationId, BTreeSet<String>>, Fail> {
        let mut out: BTreeMap<PopulationId, BTreeSet<String>> = BTreeMap::new();
        let mut stack: Vec<&hir::Stmt> = body.iter().collect();
        while let Some(s) = stack.pop() {
            match &s.kind {
                StmtKind::Set { target, name, .. } => {
                    let model = network.populations[target.population.0 as usize].model;
                    let name = self.name_on_cells(model, target, name)?;
                    out.entry(target.population).or_default().insert(name);
                }
                StmtKind::Replay { target, name, .. } => {
                    let model = network.populations[target.population.0 as usize].model;
                    let name = self.name_on_cells(model, target, name)?;
                    out.entry(target.population).or_default().insert(name);
                }
                _ => {}
            }
            stack.extend(s.kind.blocks().into_iter().flatten());
        }
        Ok(out)
    }

    fn place_population(
        &mut self,
        network: &hir::Network,
        id: PopulationId,
        settable: BTreeSet<String>,
        out: &mut Elaborated,
    ) -> Result<(), Fail> {
        let p = &network.populations[id.0 as usize];
        let model = self.program.model(p.model);
        let mut body = Body::new(p.model, &model.name, p.args.clone(), settable);
        body.bound_events = p.events.clone();
        let (axes, size, node) = match &p.axes {
            Some(axes) => {
                let (axes, size) = self.sizes(p, axes)?;
                let population = Population {
                    path: p.name.clone(),
                    source: p.source,
                    size,
                    axes: axes.clone(),
                    dynamics: body.dynamics.clone(),
                };
                (axes, size, Node::Population(population))
            }
            None => (Vec::new(), 0, Node::Private { path: p.name.clone(), model: model.name.clone() }),
        };
        let node = out.network.graph.add_node(node);
        out.origins.populations.insert(p.name.clone(), p.span);
        let info =
            EndInfo { axes: axes.iter().map(|a| a.name.clone().unwrap_or_default()).collect(), ..EndInfo::default() };
        let placed = Placed { node, body, axes, size, info, private: p.axes.is_none(), scattered: Vec::new() };
        out.placed.insert(id, placed);
        Ok(())
    }

    fn sizes(&mut self, p: &hir::Population, axes: &[hir::Axis]) -> Result<(Vec<Axis>, u32), Fail> {
        let mut out: Vec<Axis> = Vec::new();
        for (k, axis) in axes.iter().enumerate() {
            let previous = k.checked_sub(1);
            let variable = previous.and_then(|before| {
                p.axis_values.iter().copied().find(|v| self.program.value(*v).kind_axis() == Some(before as u32))
            });
            let depends = variable.is_some_and(|v| {
                super::reads(&axis.size, self.program, &mut |x| matches!(x.kind, hir::ExprKind::Value(w) if w == v))
            });
            let mut sizes = Vec::new();
            if let (true, Some(v), Some(before)) = (depends, variable, previous) {
                for position in 0..out[before].max_size() {
                    self.values.insert(v, Value::Number(f64::from(position)));
                    let n = self.axis_size(axis, p.span);
                    self.values.remove(v);
                    sizes.push(n?);
                }
            } else {
                sizes.push(self.axis_size(axis, p.span)?);
            }
            if sizes.windows(2).all(|w| w[0] == w[1]) {
                sizes.truncate(1);
            }
            out.push(Axis { name: axis.name.clone(), labels: axis.labels.clone(), sizes });
        }
        let size = total(&out);
        match u32::try_from(size) {
            Ok(0) => Err(Diagnostic::error(NEGATIVE_SIZE, format!("population `{}` has no cell", p.name))
                .label(p.span, "its size is 0")
                .help("a population has at least one cell; leave it out with `if` where it should not be")),
            Ok(size) => Ok((out, size)),
            Err(_) => Err(Diagnostic::error(TOO_LARGE, format!("population `{}` would have {size} cells", p.name))
                .label(p.span, "this population")
                .help(format!("at most {} cells", u32::MAX))),
        }
    }

    fn axis_size(&mut self, axis: &hir::Axis, at: Span) -> Result<u32, Fail> {
        let n = self.constant_count(&axis.size, u64::from(u32::MAX));
        let n = n.map_err(|mut d| {
            d.labels.push(crate::base::Label { span: at, text: "a size of this population".to_string() });
            if d.code == TOO_LARGE {
                d.help = Some(format!("a population has at most {} cells", u32::MAX));
            }
            d
        })?;
        Ok(n as u32)
    }

    fn drive(&mut self, drive: &DriveItem, out: &mut Elaborated) -> Result<(), Fail> {
        let subset = self.subset(drive.target, out)?;
        let Elaborated { network, placed, tables, .. } = out;
        let Some(placed) = placed.get_mut(&drive.target.population) else { return Ok(()) };
        let size = placed.size;
        let input = self.name_on_cells(placed.body.model, drive.target, drive.input)?;
        let mut cx = Cx {
            network,
            mode: Mode::Dynamics(&mut placed.body),
            formals: HashMap::new(),
            tables,
            lets: HashMap::new(),
        };
        let value = self.translate(drive.value, &mut cx)?;
        let value = only_in(&mut cx, value, &subset, size, "driven");
        placed.body.drives.push((input, value));
        Ok(())
    }

    fn population_body(&mut self, id: PopulationId, out: &mut Elaborated) -> Result<(), Fail> {
        let Elaborated { network: ir, placed, tables, .. } = out;
        let Some(here) = placed.get_mut(&id) else { return Ok(()) };
        if here.private {
            return Ok(());
        }
        self.body(&mut here.body, ir, tables)?;
        if let SpikeRule::Times(e) = &self.program.model(here.body.model).spike {
            let times = self.times(&here.body, e)?;
            here.body.dynamics.spike = ir::Spike::Schedule(self.schedule(&times, here.size, e.span)?);
        }
        let names = &self.program.model(here.body.model).names;
        here.info.params = names
            .iter()
            .filter_map(|v| here.body.bound.get(v).map(|b| (self.program.value(*v).name.clone(), b.clone())))
            .collect();
        let coordinates = ["pos.x", "pos.y", "pos.z"].iter().zip(&here.body.coordinates);
        here.info.params.extend(coordinates.map(|(n, b)| (n.to_string(), b.clone())));
        Ok(())
    }

    /// `active at most 2 % within 80 ms`.
    fn winners(&mut self, id: PopulationId, w: &hir::Winners, out: &mut Elaborated) -> Result<(), Fail> {
        let dt = self.dt;
        let most = self.constant_number(&w.most)?;
        let within = self.constant_number(&w.within)?;
        let Elaborated { network: ir, placed, tables, .. } = out;
        let Some(here) = placed.get_mut(&id) else { return Ok(()) };
        let most = if w.fraction { (most * f64::from(here.size)).round() } else { most };
        if !(most >= 1.0 && most <= f64::from(here.size) && most == most.trunc()) {
            return Err(Diagnostic::error(WINNERS_COUNT, format!("{most} of {} cells may be active", here.size))
                .label(w.most.span, "at least one cell, at most all, a whole number")
                .help("write a number of cells, or a fraction such as `2 %`"));
        }
        let steps = (within / dt).round_ties_even();
        if !(1.0..=1e9).contains(&steps) {
            let shown = crate::units::display(within, crate::units::Dimension::TIME);
            return Err(Diagnostic::error(WINNERS_COUNT, format!("a window of {shown}"))
                .label(w.within.span, "at least one step"));
        }
        // Where all may fire, nothing is chosen.
        if most == f64::from(here.size) {
            return Ok(());
        }
        let SpikeRule::When(condition) = &self.program.model(here.body.model).spike else { return Ok(()) };
        let Some((above, threshold)) = crate::sema::threshold(condition) else { return Ok(()) };
        let mut cx = Cx {
            network: ir,
            mode: Mode::Dynamics(&mut here.body),
            formals: HashMap::new(),
            tables,
            lets: HashMap::new(),
        };
        let (a, b) = (self.translate(above, &mut cx)?, self.translate(threshold, &mut cx)?);
        let margin = cx.arena().sub(a, b);
        ir.winners.push(ir::Winners { population: here.node, most: most as u32, window: steps as u64, margin });
        Ok(())
    }

    /// The list of times of `spike at`, bound or default.
    pub(super) fn times(&mut self, body: &Body, e: &hir::Expr) -> Result<Value, Fail> {
        let mut read = Vec::new();
        super::reads(e, self.program, &mut |x| {
            read.extend(match x.kind {
                hir::ExprKind::Value(id) => Some(id),
                _ => None,
            });
            false
        });
        self.values.mark();
        let bound = read.iter().try_for_each(|id| {
            let value = match body.bound.get(id) {
                Some(Bound::List(v)) => v.clone(),
                Some(Bound::Const(v)) => Value::Number(*v),
                Some(Bound::Slot(_) | Bound::Live(_)) => match body.args.iter().find(|(param, _)| param == id) {
                    Some((_, given)) => self.constant(given).map_err(|why| why.note(SCHEDULE))?,
                    None => return Ok(()),
                },
                None => return Ok(()),
            };
            self.values.insert(*id, value);
            Ok(())
        });
        let times = bound.and_then(|()| self.constant(e));
        self.values.back();
        times
    }

    /// Steps of each train: one list for all, or one list per train.
    pub(super) fn schedule(&mut self, times: &Value, size: u32, span: Span) -> Result<ir::Trains, Fail> {
        let Value::List(items) = times else { return Ok(ir::Trains::Same(self.train(times, span)?)) };
        if !items.iter().any(|i| matches!(i, Value::List(_))) {
            return Ok(ir::Trains::Same(self.train(times, span)?));
        }
        if items.len() != size as usize {
            return Err(Diagnostic::error(SIZES_DIFFER, format!("{} lists of times for {size} trains", items.len()))
                .label(span, "one list for each train, or one list for all"));
        }
        Ok(ir::Trains::Each(items.iter().map(|row| self.train(row, span)).collect::<Result<_, _>>()?))
    }

    /// Steps of one train, ascending.
    fn train(&self, times: &Value, span: Span) -> Result<Vec<u64>, Fail> {
        let mut steps = Vec::new();
        for t in times.numbers().map_err(|why| Diagnostic::error(EVALUATION, why.message).label(span, "here"))? {
            let exact = t / self.dt;
            if !(exact > 0.0 && exact < 9.0e15) {
                return Err(Diagnostic::error(OUT_OF_BOUNDS, format!("a spike at {t} ms"))
                    .label(span, "spike times are positive: the first step ends at dt"));
            }
            steps.push((exact.round_ties_even() as u64).max(1));
        }
        steps.sort_unstable();
        steps.dedup();
        Ok(steps)
    }

    /// The cells that slots choose, fixed when the network is laid out.
    pub(super) fn subset(&mut self, cells: &hir::Cells, out: &Elaborated) -> Result<Subset, Fail> {
        let Some(placed) = out.placed.get(&cells.population) else {
            return Err(
                Diagnostic::error(EVALUATION, "this population is left out by an `if`").label(cells.span, "used here")
            );
        };
        if cells.slots.is_empty() {
            return Ok(Subset::All);
        }
        if let [hir::Slot::At(e)] = cells.slots.as_slice()
            && e.ty.kind == hir::Kind::Mask
        {
            let Value::Mask(flags) = self.constant(e)? else {
                return Err(Diagnostic::error(SLICE, "not a mask").label(e.span, "here"));
            };
            if flags.len() != placed.size as usize {
                return Err(Diagnostic::error(
                    SLICE,
                    format!("a mask over {} cells for a population of {}", flags.len(), placed.size),
                )
                .label(e.span, "here"));
            }
            let chosen = flags.iter().zip(0..).filter(|(f, _)| **f).map(|(_, k)| k).collect();
            return Ok(Subset::Cells(chosen));
        }
        let mut limits = Vec::new();
        for (k, axis) in placed.axes.iter().enumerate() {
            let size = axis.max_size();
            let (lo, hi, span) = match cells.slots.get(k) {
                None => (0, size, cells.span),
                Some(hir::Slot::At(e)) => {
                    let at = self.slot(e, size, size.saturating_sub(1))?;
                    (at, at.saturating_add(1), e.span)
                }
                Some(hir::Slot::Range(lo, hi)) => {
                    let bound = |s: &mut Self, e: &Option<hir::Expr>, d: u32| match e {
                        Some(e) => s.slot(e, size, size),
                        None => Ok(d),
                    };
                    let (a, b) = (bound(self, lo, 0)?, bound(self, hi, size)?);
                    let span = lo.as_ref().or(hi.as_ref()).map_or(cells.span, |e| e.span);
                    (a, b, span)
                }
            };
            if lo >= hi || hi > size {
                let what = if lo >= hi { "chooses no cell of" } else { "is outside" };
                return Err(Diagnostic::error(SLICE, format!("{lo} .. {hi} {what} an axis of {size}"))
                    .label(span, "counted from 0, the end left out"));
            }
            limits.push((lo, hi));
        }
        let population = Population {
            path: String::new(),
            source: false,
            size: placed.size,
            axes: placed.axes.clone(),
            dynamics: Body::new(placed.body.model, "", Vec::new(), BTreeSet::new()).dynamics,
        };
        let chosen = population.select(&limits);
        Ok(compact(chosen, placed.size))
    }
}

impl Lowering<'_> {
    /// A position on an axis of `size`, at most `last`.
    fn slot(&mut self, e: &hir::Expr, size: u32, last: u32) -> Result<u32, Fail> {
        let v = self.constant_number(e)?;
        if v >= 0.0 && v <= f64::from(last) && v == v.trunc() {
            return Ok(v as u32);
        }
        Err(Diagnostic::error(SLICE, format!("{v} is no position on an axis of {size}"))
            .label(e.span, format!("positions are whole, from 0 to {last}")))
    }
}

/// The value of a loop's variable as a part of a path: `[2]`.
fn turn(value: &Value) -> String {
    match value {
        // In words two of them may look alike.
        Value::Mask(flags) => format!("[{}]", flags.iter().map(|f| if *f { '1' } else { '0' }).collect::<String>()),
        value => format!("[{value}]"),
    }
}

/// A range where the cells are consecutive.
fn compact(cells: Vec<u32>, size: u32) -> Subset {
    match (cells.first(), cells.last()) {
        (Some(a), Some(b)) if (b - a) as usize + 1 == cells.len() => {
            if *a == 0 && *b + 1 == size {
                Subset::All
            } else {
                Subset::Range(*a, *b + 1)
            }
        }
        _ => Subset::Cells(cells),
    }
}

fn total(axes: &[Axis]) -> u64 {
    fn below(axes: &[Axis], prefix: &mut Vec<u32>) -> u64 {
        let depth = prefix.len();
        if depth == axes.len() {
            return 1;
        }
        let n = axes[depth].size_at(prefix);
        if axes[depth + 1..].iter().all(|a| a.sizes.len() == 1) {
            return axes[depth + 1..].iter().fold(u64::from(n), |acc, a| acc.saturating_mul(u64::from(a.sizes[0])));
        }
        let mut sum = 0_u64;
        for k in 0..n {
            prefix.push(k);
            sum = sum.saturating_add(below(axes, prefix));
            prefix.pop();
        }
        sum
    }
    below(axes, &mut Vec::new())
}

/// 1 for the cells of a subset, 0 for the others, as a build expression of the neuron's index.
pub(super) fn membership(network: &mut ir::Network, subset: &Subset, size: u32) -> ir::ExprId {
    let x = &mut network.build;
    let index = x.intern(ir::Expr::Element(ir::Side::Own, ir::Attribute::Index));
    match subset {
        Subset::All => x.real(1.0),
        Subset::Range(a, b) => {
            let (a, b) = (x.real(f64::from(*a)), x.real(f64::from(*b)));
            let (above, below) = (x.compare(ir::Compare::Ge, index, a), x.compare(ir::Compare::Lt, index, b));
            x.binary(ir::BinaryOp::And, above, below)
        }
        Subset::Cells(cells) => {
            let mut data = vec![0.0; size as usize];
            for c in cells {
                data[*c as usize] = 1.0;
            }
            network.tables.push(ir::Table { name: "cells".to_string(), shape: vec![size], data, draw: None });
            let table = network.tables.len() as u32 - 1;
            network.build.intern(ir::Expr::Table { table, indices: vec![index] })
        }
    }
}

impl hir::ValueDef {
    fn kind_axis(&self) -> Option<u32> {
        match self.kind {
            ValueKind::Axis(k) => Some(k),
            _ => None,
        }
    }
}
