//! Experiments, blocks and statements.

use super::Formatter;
use super::doc::{Doc, concat, group, line, nest, text};
use super::expr::names;
use crate::base::Span;
use crate::syntax::ast::*;

fn end(span: Span) -> usize {
    span.end as usize
}

/// True for a statement that holds no block, so that it can share a line.
fn is_plain(stmt: &Stmt) -> bool {
    stmt.doc.is_empty()
        && !matches!(
            stmt.kind,
            StmtKind::Update { .. }
                | StmtKind::For { .. }
                | StmtKind::Repeat { .. }
                | StmtKind::If(_)
                | StmtKind::Broken
        )
}

/// True for a block that a loop or an `if` may have on its line.
fn is_short(block: &Block) -> bool {
    matches!(block.stmts.as_slice(), [] | [_]) && block.stmts.iter().all(is_plain)
}

impl<'a> Formatter<'a> {
    pub(super) fn experiment(&mut self, e: &'a Experiment, close: usize) -> Doc {
        let of = self.instance(&e.of);
        let body = self.things(&e.body, end(e.of.span), close, |f, i, s| f.experiment_item(i, s));
        concat(vec![text(format!("experiment {} of ", e.name.text)), of, text(" "), body.braced()])
    }

    fn experiment_item(&mut self, item: &'a ExperimentKind, span: Span) -> Doc {
        match item {
            ExperimentKind::Param(list) => self.bindings("param", list, span.start as usize),
            ExperimentKind::Labels(l) => text(format!("labels {} {{ {} }}", l.name.text, names(&l.members))),
            ExperimentKind::Seeds(e) => self.worded("seeds", e),
            ExperimentKind::Sweep(l) => {
                let range = self.loop_range(&l.variable, &l.range);
                concat(vec![text("sweep "), nest(range)])
            }
            ExperimentKind::Environment { name, model } => {
                let model = self.instance(model);
                concat(vec![text(format!("environment {}: ", name.text)), model])
            }
            ExperimentKind::Record { what, of, every } => {
                let of = self.places(of);
                let mut parts = vec![text(format!("record {} of ", names(what))), of];
                if let Some(every) = every {
                    parts.push(self.worded(" every", every));
                }
                concat(parts)
            }
            ExperimentKind::Plot(p) => self.plot(p),
            ExperimentKind::Conclude(list) => {
                let from = span.start as usize + "conclude".len();
                let close = end(span).saturating_sub(1);
                let body = self.things(list, from, close, |f, c, _| match c {
                    ConcludeKind::Let(l) => f.let_item(l),
                    ConcludeKind::Expect(e) => f.expect(e),
                    ConcludeKind::Plot(p) => f.plot(p),
                });
                concat(vec![text("conclude "), body.braced()])
            }
            ExperimentKind::Stmt(s) => self.stmt(s, span),
            ExperimentKind::Broken => self.verbatim(span),
        }
    }

    fn plot(&mut self, p: &'a Plot) -> Doc {
        let mut parts = Vec::new();
        for (k, arg) in p.of.iter().enumerate() {
            if k > 0 {
                parts.extend([text(","), line(" ")]);
            }
            parts.push(group(self.arg(arg)));
        }
        concat(vec![text(format!("plot {} of ", p.kind.text)), group(nest(concat(parts)))])
    }

    fn expect(&mut self, e: &'a Expect) -> Doc {
        let condition = self.worded("expect", &e.condition);
        match &e.within {
            Some(within) => {
                let within = self.worded(" within", within);
                concat(vec![condition, within])
            }
            None => condition,
        }
    }

    fn block_things(&mut self, block: &'a Block) -> super::Things {
        let (from, to) = (block.span.start as usize + 1, end(block.span).saturating_sub(1));
        self.things(&block.stmts, from, to, |f, s, span| f.stmt(s, span))
    }

    /// The block of a receptor, a handler or a spike.
    pub(super) fn handler(&mut self, block: &'a Block) -> Doc {
        let plain = block.stmts.iter().all(is_plain);
        let things = self.block_things(block);
        if plain { group(things.braced_with("; ")) } else { things.braced() }
    }

    /// The block of a loop.
    fn body(&mut self, block: &'a Block) -> Doc {
        let things = self.block_things(block);
        if is_short(block) { group(things.braced_with("; ")) } else { things.braced() }
    }

    fn if_stmt(&mut self, item: &'a StmtIf) -> Doc {
        let mut short = true;
        let mut arm = item;
        loop {
            short &= is_short(&arm.then);
            match &arm.otherwise {
                None => break,
                Some(StmtElse::If(next)) => arm = next,
                Some(StmtElse::Block(block)) => {
                    short &= is_short(block);
                    break;
                }
            }
        }
        let braced = |f: &mut Self, block: &'a Block| {
            let things = f.block_things(block);
            if short { things.braced_with("; ") } else { things.braced() }
        };
        let mut parts = Vec::new();
        let mut arm = item;
        loop {
            let condition = self.expr(&arm.condition);
            parts.extend([text("if "), nest(condition), text(" "), braced(self, &arm.then)]);
            match &arm.otherwise {
                None => break,
                Some(StmtElse::If(next)) => {
                    parts.push(text(" else "));
                    arm = next;
                }
                Some(StmtElse::Block(block)) => {
                    parts.extend([text(" else "), braced(self, block)]);
                    break;
                }
            }
        }
        // The arms break together.
        group(concat(parts))
    }

    pub(super) fn set(&mut self, s: &'a Set) -> Doc {
        let target = self.expr(&s.target);
        let mut parts = vec![text("set "), target, text(format!(" {} ", assign_op(s.op))), self.value(&s.value)];
        if let Some(lasting) = &s.lasting {
            parts.push(self.worded(" lasting", lasting));
        }
        concat(parts)
    }

    pub(super) fn switch(&mut self, s: &'a Switch) -> Doc {
        let word = if s.on { "plasticity on" } else { "plasticity off" };
        self.of_places(text(word), &s.of)
    }

    fn of_places(&mut self, head: Doc, of: &'a [Expr]) -> Doc {
        if of.is_empty() {
            return head;
        }
        let of = self.places(of);
        concat(vec![head, text(" of "), of])
    }

    fn stmt(&mut self, stmt: &'a StmtKind, span: Span) -> Doc {
        match stmt {
            StmtKind::Assign { target, op, value } => {
                let target = self.expr(target);
                concat(vec![target, text(format!(" {} ", assign_op(*op))), self.value(value)])
            }
            StmtKind::Let(l) => self.let_item(l),
            StmtKind::Var { name, axes, value } => {
                let axes = self.opt_axes(axes);
                self.define(concat(vec![text(format!("var {}", name.text)), axes]), value)
            }
            StmtKind::Deliver(e) => self.worded("deliver", e),
            StmtKind::RemoveWhen(e) => self.worded("remove when", e),
            StmtKind::Simulate { time, window } => {
                let time = self.worded("simulate", time);
                let window = window.as_ref().map_or_else(String::new, |w| format!(" as {}", w.text));
                concat(vec![time, text(window)])
            }
            StmtKind::Set(s) => self.set(s),
            StmtKind::Update { target, body } => {
                let target = self.worded("update", target);
                let body = self.body(body);
                concat(vec![target, text(" "), body])
            }
            StmtKind::Downscale { targets, by } => {
                let targets = self.places(targets);
                let by = self.worded(" by", by);
                concat(vec![text("downscale "), targets, by])
            }
            StmtKind::Switch(s) => self.switch(s),
            StmtKind::Expect(e) => self.expect(e),
            StmtKind::Reset { what, of } => self.of_places(text(format!("reset {}", what.text)), of),
            StmtKind::Sleep { schedule, cycles } => {
                let schedule = self.instance(schedule);
                let cycles = self.worded(" for", cycles);
                concat(vec![text("sleep "), schedule, cycles, text(" cycles")])
            }
            StmtKind::Step { environment, lasting } => {
                let environment = self.instance(environment);
                let mut parts = vec![text("step "), environment];
                if let Some(lasting) = lasting {
                    parts.push(self.worded(" lasting", lasting));
                }
                concat(parts)
            }
            StmtKind::Emit { event, after } => {
                let event = self.instance(event);
                let mut parts = vec![text("emit "), event];
                if let Some(after) = after {
                    parts.push(self.worded(" after", after));
                }
                concat(parts)
            }
            StmtKind::Measure { name, value } => self.define(text(format!("measure {}", name.text)), value),
            StmtKind::For { loops, body } => {
                let loops = self.loops(loops);
                let body = self.body(body);
                concat(vec![text("for "), loops, text(" "), body])
            }
            StmtKind::Repeat { times, until, body } => {
                let mut parts = vec![self.worded("repeat", times)];
                if let Some(until) = until {
                    parts.push(self.worded(" until", until));
                }
                let body = self.body(body);
                parts.extend([text(" "), body]);
                concat(parts)
            }
            StmtKind::If(i) => self.if_stmt(i),
            StmtKind::Broken => self.verbatim(span),
        }
    }
}

fn assign_op(op: AssignOp) -> &'static str {
    match op {
        AssignOp::Set => "=",
        AssignOp::Add => "+=",
        AssignOp::Subtract => "-=",
        AssignOp::Multiply => "*=",
        AssignOp::Divide => "/=",
    }
}
