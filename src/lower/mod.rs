//! From the typed model to the IR: params fixed, loops unrolled, solvers chosen, units gone.
//!
//! A job is lowered once per sweep point; points whose networks come out equal share one unit.

mod chance;
mod compartments;
mod coupling;
mod dale;
mod drift;
mod dynamics;
mod environment;
pub mod error;
mod initial;
mod integrate;
mod known;
mod leaves;
mod linear;
mod network;
mod overrides;
mod plasticity;
mod plausible;
mod projection;
mod protocol;
mod scripts;
mod sensors;
mod sleep;
mod space;
mod translate;

use crate::base::{Diagnostic, Diagnostics, Label, SourceMap, Span, stack};
use crate::hir::{self, ExprKind, ValueId, ValueKind};
use crate::ir::artefact::{Check, Exemption, Function, Job, Notes, Unit};
use crate::ir::protocol::Point;
use crate::script::{Value, VarId};
use crate::sema::given;
use crate::units::{self, Dimension};
use known::Known;
use leaves::Leaf;
pub use overrides::{Overrides, overridable, time_ms};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Where the parts of a lowered network were written, by path: it has no spans of its own, and what is found in it later is told
/// at these.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins {
    pub populations: BTreeMap<String, Span>,
    pub projections: BTreeMap<String, Span>,
    pub sensors: BTreeMap<String, Span>,
}

/// A job and where it comes from.
#[derive(Clone, Debug)]
pub struct Lowered {
    pub job: Job,
    /// By unit.
    pub origins: Vec<Origins>,
}

/// Everything that lowering one point of one experiment knows.
pub(crate) struct Lowering<'a> {
    pub program: &'a hir::Program,
    pub sources: &'a SourceMap,
    pub diags: &'a mut Diagnostics,
    /// Bound params, loop variables, values of sweeps.
    pub values: Known,
    /// Bodies of functions being inlined.
    pub formals: HashMap<ValueId, crate::script::Expr>,
    /// Experiment variables by slot.
    pub slots: BTreeMap<ValueId, VarId>,
    /// While the protocol is lowered sweep variables stay variables, so that points that differ in them alone share a network.
    pub live: bool,
    /// What definitions come down to, of those that were looked through.
    pub leaves: RefCell<HashMap<ValueId, Rc<BTreeSet<Leaf>>>>,
    /// Lets being inlined, to stop at a definition by itself.
    pub depth: u32,
    /// Draws of the experiment, numbered in its own order: those of other experiments of the file don't move them.
    pub sites: BTreeMap<u32, u32>,
    /// Nodes around the one that is being written.
    pub nested: u32,
    /// Nodes written so far while definitions are unfolded.
    pub work: u64,
    /// The values of the circuit's loops around what is at hand: `[2]`.
    pub turn: Vec<String>,
    pub dt: f64,
    /// Where the model at hand is used.
    pub user: Option<Span>,
    /// Outputs of the environments that were read so far, by environment.
    pub shown: Vec<Vec<String>>,
    /// What environments show and sensors are set to.
    pub fillings: Vec<environment::Filling>,
    /// What an experiment reads of what its circuit draws, while its statements are lowered.
    pub drawn: Option<Vec<ValueId>>,
    /// Whether the statement at hand runs in every run: not within a loop or an `if`.
    pub certain: bool,
}

/// Terms that all definitions of one circuit may unfold into.
const UNFOLD_LIMIT: u64 = 5_000_000;

/// Nodes of an expression around each other, once the definitions in it are unfolded: whoever walks it recurses as deep.
const DEEPEST: u32 = 2000;

/// A millisecond of shorter steps would be a million of them, and no membrane knows a nanosecond: ms.
const SHORTEST_STEP: f64 = 1e-6;

/// The values of a point of a sweep.
type Sweep<Id> = Vec<(Id, Value)>;

/// A failure that is reported once and unwinds to the statement at hand.
pub(crate) type Fail = Diagnostic;

impl Lowering<'_> {
    pub(crate) fn report<T>(&mut self, r: Result<T, Fail>) -> Option<T> {
        match r {
            Ok(v) => Some(v),
            Err(d) => {
                self.tell(d);
                None
            }
        }
    }

    /// Reports a finding. The models of the standard library are right as they are, so what is found in one is told at the
    /// place of its use.
    pub(crate) fn tell(&mut self, mut d: Diagnostic) {
        if let (Some(user), Some(first)) = (self.user, d.span())
            && self.sources.file(first.file).name.starts_with("std/")
        {
            d.labels.insert(0, Label { span: user, text: "in this use of the model".to_string() });
        }
        self.diags.push(d);
    }

    /// The experiment's own number of a draw.
    pub(crate) fn own_site(&mut self, site: u32) -> u32 {
        let next = self.sites.len() as u32;
        *self.sites.entry(site).or_insert(next)
    }

    /// Counts a node; functions that call one another twice unfold without end, so there is one.
    pub(crate) fn unfold(&mut self, span: Span) -> Result<(), Fail> {
        self.work += 1;
        if self.work > UNFOLD_LIMIT {
            return Err(Diagnostic::error(
                error::EVALUATION,
                format!("definitions unfold into more than {UNFOLD_LIMIT} terms"),
            )
            .label(span, "unfolding this")
            .help("a function that calls another one twice doubles it: keep the value in a `let`"));
        }
        Ok(())
    }

    /// Lowers one node of an expression, with what lies below it.
    pub(crate) fn nest<T>(&mut self, span: Span, node: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        self.unfold(span)?;
        self.nested += 1;
        let out = if self.nested <= DEEPEST {
            node(self)
        } else {
            Err(Diagnostic::error(
                error::EVALUATION,
                format!("definitions unfold into an expression more than {DEEPEST} deep"),
            )
            .label(span, "needed here")
            .help("give what is computed on the way names that a run keeps: a `state`, or a `let` of an experiment"))
        };
        self.nested -= 1;
        out
    }

    pub(crate) fn place(&self, span: Span) -> String {
        self.sources.place(span)
    }

    pub(crate) fn name(&self, id: ValueId) -> &str {
        &self.program.value(id).name
    }
}

/// Lowers an experiment, or a network alone. `None` where errors were reported.
pub fn lower(
    program: &hir::Program,
    sources: &SourceMap,
    network: hir::NetworkId,
    experiment: Option<usize>,
    overrides: &Overrides,
    diags: &mut Diagnostics,
) -> Option<Lowered> {
    let errors = diags.error_count();
    let experiment = experiment.map(|k| &program.experiments[k]);
    let mut first = Lowering::new(program, sources, diags);
    first.apply_overrides(network, experiment, overrides);
    if let Some(e) = experiment {
        for id in &e.names {
            if matches!(program.value(*id).kind, ValueKind::Param { .. }) {
                let r = first.param_value(*id);
                first.report(r);
            }
        }
    }
    let seeds = match experiment.and_then(|e| e.seeds.as_ref()) {
        Some(e) => {
            let n = first.constant_count(e, 1_000_000).and_then(|n| match n {
                0 => Err(Diagnostic::error(error::NEGATIVE_SIZE, "an experiment has at least one seed")
                    .label(e.span, "none")),
                n => Ok(n),
            });
            first.report(n).unwrap_or(1)
        }
        None => 1,
    };
    let points = match experiment {
        Some(e) => first.sweep_points(&e.sweeps, overrides),
        None => Some(vec![Vec::new()]),
    };
    let given = std::mem::take(&mut first.values);
    let points = points?;
    let mut job = Job {
        network: program.network(network).name.clone(),
        experiment: experiment.map_or_else(String::new, |e| e.name.clone()),
        seeds,
        units: Vec::new(),
        points: Vec::new(),
        notes: notes(program.network(network)),
    };
    let mut origins = Vec::new();
    // What points that were laid out asked for of their sweeps, their variables and their units.
    let mut done: Vec<(Sweep<ValueId>, Vec<VarId>, usize)> = Vec::new();
    for point in points {
        let same = |read: &Sweep<ValueId>| read.iter().all(|asked| point.contains(asked));
        if let Some((_, variables, unit)) = done.iter().find(|(read, ..)| same(read)) {
            let values = point.iter().map(|(_, value)| value.clone());
            job.points.push(Point { sweep: variables.iter().copied().zip(values).collect(), unit: *unit });
            continue;
        }
        let mut lowering = Lowering::new(program, sources, diags);
        lowering.values = given.at(&point);
        let known = lowering.values.clone();
        let Some((unit, from, sweep)) = lowering.unit(network, experiment, overrides, &point) else {
            // The next point would mostly repeat what was just reported.
            return None;
        };
        let index = match job.units.iter().position(|u| *u == unit) {
            Some(k) => k,
            None => {
                job.units.push(unit);
                origins.push(from);
                job.units.len() - 1
            }
        };
        let read = known.read();
        // What asked for everything is like no other point.
        if read.len() < point.len() {
            done.push((read, sweep.iter().map(|(v, _)| *v).collect(), index));
        }
        job.points.push(Point { sweep, unit: index });
    }
    (diags.error_count() == errors).then_some(Lowered { job, origins })
}

fn notes(network: &hir::Network) -> Notes {
    let functions = network.functions.iter().map(|f| Function {
        text: f.text.clone(),
        by: f.by.clone(),
        experiment: f.experiment.clone(),
    });
    let check = |c: hir::Check| match c {
        hir::Check::ActiveFraction => Check::ActiveFraction,
        hir::Check::Rate => Check::Rate,
    };
    let exemptions = network.populations.iter().flat_map(|p| {
        p.exemptions.iter().map(move |e| Exemption {
            population: p.name.clone(),
            check: check(e.check),
            reason: e.reason.clone(),
        })
    });
    Notes { functions: functions.collect(), exemptions: exemptions.collect() }
}

/// What one point of a sweep runs, where its parts were written, and the values of its sweep variables.
type LaidOut = (Unit, Origins, Sweep<VarId>);

impl<'a> Lowering<'a> {
    fn new(program: &'a hir::Program, sources: &'a SourceMap, diags: &'a mut Diagnostics) -> Lowering<'a> {
        Lowering {
            program,
            sources,
            diags,
            values: Known::default(),
            formals: HashMap::new(),
            slots: BTreeMap::new(),
            live: false,
            leaves: RefCell::default(),
            depth: 0,
            sites: BTreeMap::new(),
            work: 0,
            turn: Vec::new(),
            dt: 0.1,
            user: None,
            shown: Vec::new(),
            fillings: Vec::new(),
            drawn: None,
            nested: 0,
            certain: true,
        }
    }

    /// What the shape of the circuit followed when names were resolved holds still.
    fn check_fixed(&mut self, network: hir::NetworkId, experiment: Option<&hir::Experiment>) -> Result<(), Fail> {
        let program = self.program;
        for fixed in &program.fixed {
            let own = &program.network(network).names;
            if !own.contains(&fixed.param) && !experiment.is_some_and(|e| e.names.contains(&fixed.param)) {
                continue;
            }
            let value = self.param_value(fixed.param)?;
            if value != fixed.value {
                let def = program.value(fixed.param);
                let (name, read, now) = (&def.name, &fixed.value, &value);
                return Err(Diagnostic::error(
                    crate::sema::error::REGION_ARRAY,
                    format!("`{name}` can't be {now}: which regions there are follows it"),
                )
                .label(fixed.span, format!("resolved with {read}"))
                .label(def.span, "its value in the text holds")
                .help(
                    "change it there or with `--set`: names are resolved before sweeps and experiments bind params",
                ));
            }
        }
        Ok(())
    }

    fn unit(
        &mut self,
        network: hir::NetworkId,
        experiment: Option<&hir::Experiment>,
        overrides: &Overrides,
        point: &[(ValueId, Value)],
    ) -> Option<LaidOut> {
        if let Some(e) = experiment {
            for (param, value) in &e.args {
                if self.values.has(*param) {
                    continue;
                }
                let v = self.constant(value);
                let v = v.and_then(|v| self.check_bounds(*param, &v, value.span).map(|()| v));
                if let Some(v) = self.report(v) {
                    self.values.insert(*param, v);
                }
            }
        }
        let fixed = self.check_fixed(network, experiment);
        self.report(fixed)?;
        let unrolled = self.unrolled(network, experiment);
        if let Some(program) = self.report(unrolled)? {
            let mut inner = Lowering::new(&program, self.sources, self.diags);
            inner.values = self.values.clone();
            return inner.laid_out(network, experiment, overrides, point);
        }
        self.laid_out(network, experiment, overrides, point)
    }

    fn laid_out(
        &mut self,
        network: hir::NetworkId,
        experiment: Option<&hir::Experiment>,
        overrides: &Overrides,
        point: &[(ValueId, Value)],
    ) -> Option<LaidOut> {
        self.dt = self.step_length(network, overrides)?;
        let mut elaborated = self.network(network, experiment)?;
        let (protocol, sweep) = self.protocol(network, experiment, &mut elaborated, overrides, point)?;
        Some((Unit { network: elaborated.network, protocol }, elaborated.origins, sweep))
    }

    fn step_length(&mut self, network: hir::NetworkId, overrides: &Overrides) -> Option<f64> {
        let (value, span) = match (&overrides.dt, &self.program.network(network).dt) {
            (Some(text), _) => match given(text, Dimension::TIME, hir::Kind::Number) {
                Ok(v) => (v, None),
                Err((why, help)) => {
                    self.diags.push(Diagnostic::error(error::OVERRIDE, format!("--dt {text}: {why}")).help(help));
                    return None;
                }
            },
            (None, Some(e)) => {
                let v = self.constant(e);
                (self.report(v)?, Some(e.span))
            }
            (None, None) => return Some(0.1),
        };
        let dt = value.number().unwrap_or(f64::NAN);
        if !(dt >= SHORTEST_STEP && dt.is_finite()) {
            let (found, least) = (units::display(dt, Dimension::TIME), units::display(SHORTEST_STEP, Dimension::TIME));
            let d = Diagnostic::error(
                error::STEP_LENGTH,
                if dt > 0.0 {
                    format!("a step of {found} is too short: the least is {least}")
                } else {
                    format!("a step lasts a positive time, found {found}")
                },
            );
            self.diags.push(match span {
                Some(s) => d.label(s, "this is `dt`"),
                None => d,
            });
            return None;
        }
        Some(dt)
    }
}

/// Whether an expression's value is known without a run, a neuron or a synapse.
pub(crate) fn reads(e: &hir::Expr, program: &hir::Program, test: &mut dyn FnMut(&hir::Expr) -> bool) -> bool {
    let mut found = false;
    visit(e, program, &mut HashSet::new(), &mut |x| {
        found |= test(x);
        !found
    });
    found
}

/// Visits an expression and the lets and functions that it names.
///
/// Each definition is entered once: what it reads does not depend on where it is named, and a chain of definitions that name the
/// one before twice would otherwise double at every link.
fn visit(e: &hir::Expr, program: &hir::Program, seen: &mut HashSet<ValueId>, go: &mut dyn FnMut(&hir::Expr) -> bool) {
    if !go(e) {
        return;
    }
    let entered = match &e.kind {
        ExprKind::Value(id) | ExprKind::Apply(id, _) => seen.insert(*id),
        _ => true,
    };
    let mut below = |x: &hir::Expr| visit(x, program, seen, go);
    if let ExprKind::Value(id) | ExprKind::Apply(id, _) = &e.kind {
        match &program.value(*id).kind {
            _ if !entered => {}
            ValueKind::Let(x) | ValueKind::Output(x) => stack::deep(|| below(x)),
            ValueKind::Table { value, .. } | ValueKind::Function { value, .. } => stack::deep(|| below(value)),
            _ => {}
        }
    }
    children(e, &mut below);
}

/// The expressions that one is written with, but for those that its names stand for.
fn children(e: &hir::Expr, below: &mut dyn FnMut(&hir::Expr)) {
    match &e.kind {
        ExprKind::Unary(_, a) => below(a),
        ExprKind::Binary(_, a, b) | ExprKind::Crosses(a, b) => {
            below(a);
            below(b);
        }
        ExprKind::In(a, b, c) | ExprKind::If(a, b, c) => {
            below(a);
            below(b);
            below(c);
        }
        ExprKind::List(items) | ExprKind::Call(_, items) | ExprKind::Apply(_, items) => items.iter().for_each(below),
        ExprKind::Draw { args, .. } | ExprKind::ListDraw { args, .. } => args.iter().for_each(below),
        ExprKind::IndexList(a, slots) => {
            below(a);
            for s in slots {
                match s {
                    hir::Slot::At(x) => below(x),
                    hir::Slot::Range(lo, hi) => lo.iter().chain(hi).for_each(&mut *below),
                }
            }
        }
        ExprKind::Weights { pair: Some((a, b)), .. } => {
            below(a);
            below(b);
        }
        _ => {}
    }
}
