//! Learning, compiled: the handlers, the drift and the traces of each rule as kernels over rows and columns of synapses.
//!
//! The meaning and its order are those of `ir::plasticity`; the interpreter's `plastic` is that text as code. Here a synapse's
//! variables lie side by side, lane by lane, so that an event at either end costs one stretch of memory for each synapse. The traces
//! of all neurons are multiplied in every step: at usual rates a trace is read oftener than once in a few steps, and a product costs
//! less than finding out how much was missed.

mod incoming;
mod program;
mod run;
mod synapses;
mod translate;

pub use run::Rings;
pub use synapses::Synapses;

use super::jit::Kernel;
use crate::backend::build::Lanes;
use crate::backend::eval;
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{Assign, BinaryOp, Expr, ExprId, Network, Real};
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::FunctionBuilderContext;
use program::{Layout, Mode, Program};
use translate::Slots;

/// A program with its place in the tables that its kernels read.
pub struct Loops {
    program: Program,
    slots: Slots,
    kernels: Vec<Kernel>,
}

/// Traces of one side over a step.
enum Advance {
    /// Each is multiplied by its own constant: (position on its side, factor).
    Decay(Vec<(usize, f64)>),
    Loops(Loops),
}

/// What an event does.
struct Handler {
    event: Event,
    row: Option<Loops>,
    column: Option<Loops>,
    /// It says which synapses go.
    removes: bool,
    /// Traces that it writes on either side.
    pre: Option<Loops>,
    post: Option<Loops>,
}

/// A rule's kernels, and what is needed to run them.
pub struct Rule {
    rule: Plasticity,
    layout: Layout,
    dt: f64,
    handlers: Vec<Handler>,
    /// For presynaptic spikes while the rule rests.
    carry: Option<Loops>,
    drift: Option<Loops>,
    advance: [Option<Advance>; 2],
    /// The order that computes each table's entries, and the value of each integral.
    orders: Vec<Vec<ExprId>>,
    integrated: Vec<Vec<ExprId>>,
}

/// Takes what a kernel is and how to fill its function; gives what stands for it.
pub type Define<'d, T> = dyn FnMut(&str, &mut dyn FnMut(&mut Function)) -> Result<T, String> + 'd;

/// A rule whose kernels are still to be made.
pub struct Draft(Rule);

impl Draft {
    pub fn new(network: &Network, rule: &Plasticity) -> Draft {
        let dt = network.dt_ms;
        let mut layout = Layout::new(rule, Lanes::are_narrow(network, rule));
        let layout = &mut layout;
        let trace = |layout: &mut Layout, side, list: &[Assign], aside| {
            Some(program::traces(rule, layout, side, list, aside, dt)).filter(|p| !p.is_empty())
        };
        let mut handlers = Vec::new();
        for h in &rule.handlers {
            let (rows, columns) = match h.event {
                Event::Pre | Event::Every(_) | Event::Named(..) => (true, false),
                Event::Post | Event::Receptor(_) => (false, true),
            };
            let changes = h.deliver.is_some() || h.assigns.iter().any(|a| rule.place(a.state) == Place::Synapse);
            let mut of = |mode| program::handler(rule, layout, mode, h, dt);
            // A handler of `pre` or `every` that changes nothing still touches its synapses: when that happens decides how they round.
            let row = rows.then(|| of(Mode::Row)).filter(|p| !p.is_empty());
            let column = (columns && changes).then(|| of(Mode::Column));
            let pre = trace(layout, Place::Pre, &h.assigns, true);
            let post = trace(layout, Place::Post, &h.assigns, true);
            let removes = h.assigns.iter().any(|a| Some(a.state) == rule.remove);
            handlers.push((h.event, removes, row, column, pre, post));
        }
        let sends = |p: &Program| p.deliver.is_some() && !p.rests.is_empty();
        let carry = handlers.iter().any(|(_, _, row, ..)| row.as_ref().is_some_and(sends)).then(program::carry);
        let drift = (!rule.drift.is_empty()).then(|| program::drift(rule, layout, dt));
        let advance = [Place::Pre, Place::Post].map(|side| match decay(rule, layout, side) {
            Some(list) => (Some(list), None),
            None => (None, trace(layout, side, &rule.advance, false)),
        });
        // Only now are all tables known.
        let loops = |p: Option<Program>| {
            p.map(|program| {
                let slots = Slots::of(&program, layout, rule.reads.len());
                Loops { program, slots, kernels: Vec::new() }
            })
        };
        let handlers = handlers
            .into_iter()
            .map(|(event, removes, row, column, pre, post)| Handler {
                event,
                removes,
                row: loops(row),
                column: loops(column),
                pre: loops(pre),
                post: loops(post),
            })
            .collect();
        let (carry, drift) = (loops(carry), loops(drift));
        let advance = advance.map(|(decay, other)| match decay {
            Some(list) => Some(list).filter(|l| !l.is_empty()).map(Advance::Decay),
            None => loops(other).map(Advance::Loops),
        });
        let orders = layout.tables.iter().map(|t| eval::order(&rule.exprs, &[*t])).collect();
        let integrated = rule.integrals.iter().map(|i| eval::order(&rule.exprs, &[i.value])).collect();
        let layout = std::mem::take(layout);
        Draft(Rule { rule: rule.clone(), layout, dt, handlers, carry, drift, advance, orders, integrated })
    }

    /// The loops that need kernels, with what they are.
    fn loops(&mut self) -> Vec<(String, &mut Loops)> {
        let rule = &mut self.0;
        let mut out = Vec::new();
        for h in &mut rule.handlers {
            let named =
                [("synapses", &mut h.row), ("synapses", &mut h.column), ("pre", &mut h.pre), ("post", &mut h.post)];
            out.extend(named.into_iter().filter_map(|(n, l)| Some((format!("{:?}, {n}", h.event), l.as_mut()?))));
        }
        let others = [("carry", &mut rule.carry), ("drift", &mut rule.drift)];
        out.extend(others.into_iter().filter_map(|(n, l)| Some((n.to_string(), l.as_mut()?))));
        for a in rule.advance.iter_mut().flatten() {
            if let Advance::Loops(l) = a {
                out.push(("traces".to_string(), l));
            }
        }
        out
    }

    /// Builds every kernel's function.
    ///
    /// # Errors
    /// Those of `define`.
    pub fn define<T>(
        &mut self,
        context: &mut FunctionBuilderContext,
        config: TargetFrontendConfig,
        define: &mut Define<T>,
    ) -> Result<Vec<T>, String> {
        let layout = std::mem::take(&mut self.0.layout);
        let reads = self.0.rule.reads.len();
        let mut out = Vec::new();
        for (name, l) in self.loops() {
            for k in 0..l.program.segments.len() {
                let name = format!("{name}, segment {k}");
                out.push(define(&name, &mut |func| {
                    translate::segment(func, context, &l.program, &layout, reads, k, config)
                })?);
            }
        }
        self.0.layout = layout;
        Ok(out)
    }

    /// The rule with its kernels, in the order in which `define` saw them.
    pub fn finish(mut self, kernels: &mut impl Iterator<Item = Kernel>) -> Rule {
        for (_, l) in self.loops() {
            l.kernels = kernels.by_ref().take(l.program.segments.len()).collect();
        }
        self.0
    }

    pub fn name(&self) -> &str {
        &self.0.rule.name
    }
}

/// The traces of a side with their factors, where each is multiplied by a constant and by nothing else.
fn decay(rule: &Plasticity, layout: &Layout, side: Place) -> Option<Vec<(usize, f64)>> {
    let mine = rule.advance.iter().filter(|a| rule.place(a.state) == side);
    let one = |a: &Assign| match *rule.exprs.get(a.value) {
        Expr::Binary(BinaryOp::Mul, c, x) if *rule.exprs.get(x) == Expr::State(a.state) => match rule.exprs.get(c) {
            Expr::Const(Real(c)) => Some((layout.slots[a.state as usize].1, *c)),
            _ => None,
        },
        _ => None,
    };
    mine.map(one).collect()
}
