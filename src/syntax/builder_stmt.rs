//! Experiments, blocks and statements.

use super::ast::*;
use super::builder::Builder;
use super::parser::{Pair, Parts, Rule};

impl Builder<'_> {
    pub(super) fn experiment(&mut self, pair: Pair<'_>) -> Option<Experiment> {
        let mut parts = Parts::of(pair);
        let (name, of) = self.experiment_head(parts.opt(Rule::experiment_head)?)?;
        let body = self.inside(|b| parts.all(Rule::experiment_item).map(|p| b.experiment_item(p)).collect())?;
        Some(Experiment { name, of, body })
    }

    pub(super) fn experiment_head(&mut self, pair: Pair<'_>) -> Option<(Name, Instance)> {
        let mut parts = Parts::of(pair);
        Some((self.next_name(&mut parts)?, self.next_inst(&mut parts)?))
    }

    pub(super) fn experiment_item(&mut self, pair: Pair<'_>) -> Option<Documented<ExperimentKind>> {
        self.documented(pair, |b, p| b.experiment_kind(p.into_inner().next()?))
    }

    fn experiment_kind(&mut self, pair: Pair<'_>) -> Option<ExperimentKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::param_item => return self.bindings(pair).map(ExperimentKind::Param),
            Rule::labels_item => return self.labels(pair).map(ExperimentKind::Labels),
            Rule::plot => return self.plot(pair).map(ExperimentKind::Plot),
            Rule::stmt => return self.stmt_kind(pair.into_inner().next()?).map(ExperimentKind::Stmt),
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::seeds => ExperimentKind::Seeds(self.next_expr(&mut parts)?),
            Rule::sweep => ExperimentKind::Sweep(self.loop_range(parts.opt(Rule::loop_range)?)?),
            Rule::environment_item => {
                ExperimentKind::Environment { name: self.next_name(&mut parts)?, model: self.next_inst(&mut parts)? }
            }
            Rule::record => ExperimentKind::Record {
                what: self.names(&mut Parts::of(parts.opt(Rule::record_what)?)),
                of: self.places(&mut parts)?,
                every: self.opt_expr(&mut parts)?,
            },
            Rule::conclude => ExperimentKind::Conclude(
                self.inside(|b| parts.all(Rule::conclude_item).map(|p| b.conclude_item(p)).collect())?,
            ),
            _ => return None,
        })
    }

    fn conclude_item(&mut self, pair: Pair<'_>) -> Option<Documented<ConcludeKind>> {
        self.documented(pair, |b, p| {
            let inner = p.into_inner().next()?;
            Some(match inner.as_rule() {
                Rule::let_item => ConcludeKind::Let(b.let_item(inner)?),
                Rule::expect => ConcludeKind::Expect(b.expect(inner)?),
                Rule::plot => ConcludeKind::Plot(b.plot(inner)?),
                _ => return None,
            })
        })
    }

    fn plot(&mut self, pair: Pair<'_>) -> Option<Plot> {
        let mut parts = Parts::of(pair);
        let kind = self.next_name(&mut parts)?;
        Some(Plot { kind, of: parts.all(Rule::arg).map(|p| self.arg(p)).collect::<Option<_>>()? })
    }

    fn expect(&mut self, pair: Pair<'_>) -> Option<Expect> {
        let mut parts = Parts::of(pair);
        Some(Expect { condition: self.next_expr(&mut parts)?, within: self.opt_expr(&mut parts)? })
    }

    pub(super) fn block(&mut self, pair: Pair<'_>) -> Option<Block> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let stmts = self.inside(|b| parts.all(Rule::stmt).map(|p| b.stmt(p)).collect())?;
        Some(Block { stmts, span })
    }

    pub(super) fn next_block(&mut self, parts: &mut Parts<'_>) -> Option<Block> {
        parts.opt(Rule::block).and_then(|p| self.block(p))
    }

    pub(super) fn opt_block(&mut self, parts: &mut Parts<'_>) -> Option<Option<Block>> {
        parts.opt(Rule::block).map_or(Some(None), |p| self.block(p).map(Some))
    }

    fn stmt(&mut self, pair: Pair<'_>) -> Option<Stmt> {
        self.documented(pair, |b, p| b.stmt_kind(p.into_inner().next()?))
    }

    fn stmt_kind(&mut self, pair: Pair<'_>) -> Option<StmtKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::let_item => return self.let_item(pair).map(StmtKind::Let),
            Rule::set => return self.set(pair).map(StmtKind::Set),
            Rule::switch => return self.switch(pair).map(StmtKind::Switch),
            Rule::expect => return self.expect(pair).map(StmtKind::Expect),
            Rule::if_stmt => return self.if_stmt(pair).map(StmtKind::If),
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::assign | Rule::assign_other => StmtKind::Assign {
                target: self.next_place(&mut parts)?,
                op: assign_op(parts.opt(Rule::assign_op)?.as_str())?,
                value: self.next_expr(&mut parts)?,
            },
            Rule::var_item => StmtKind::Var {
                name: self.next_name(&mut parts)?,
                axes: self.opt_axes(&mut parts)?,
                value: self.next_expr(&mut parts)?,
            },
            Rule::deliver => StmtKind::Deliver(self.next_expr(&mut parts)?),
            Rule::remove => StmtKind::RemoveWhen(self.next_expr(&mut parts)?),
            Rule::simulate => {
                StmtKind::Simulate { time: self.next_expr(&mut parts)?, window: self.next_name(&mut parts) }
            }
            Rule::update => {
                StmtKind::Update { target: self.next_place(&mut parts)?, body: self.next_block(&mut parts)? }
            }
            Rule::downscale => {
                StmtKind::Downscale { targets: self.places(&mut parts)?, by: self.next_expr(&mut parts)? }
            }
            Rule::reset => StmtKind::Reset { what: self.next_name(&mut parts)?, of: self.of_places(&mut parts)? },
            Rule::sleep_stmt => {
                StmtKind::Sleep { schedule: self.next_inst(&mut parts)?, cycles: self.next_expr(&mut parts)? }
            }
            Rule::step => {
                StmtKind::Step { environment: self.next_inst(&mut parts)?, lasting: self.opt_expr(&mut parts)? }
            }
            Rule::emit => StmtKind::Emit { event: self.next_inst(&mut parts)?, after: self.opt_expr(&mut parts)? },
            Rule::measure => {
                StmtKind::Measure { name: self.next_name(&mut parts)?, value: self.next_expr(&mut parts)? }
            }
            Rule::for_stmt => StmtKind::For { loops: self.loops(&mut parts)?, body: self.next_block(&mut parts)? },
            Rule::repeat => StmtKind::Repeat {
                times: self.next_expr(&mut parts)?,
                until: self.opt_expr(&mut parts)?,
                body: self.next_block(&mut parts)?,
            },
            _ => return None,
        })
    }

    /// `if a {..} else if b {..} else {..}`: each `else if` nests one deeper.
    fn if_stmt(&mut self, pair: Pair<'_>) -> Option<StmtIf> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let mut arms = vec![(self.next_expr(&mut parts)?, self.next_block(&mut parts)?)];
        while let Some(arm) = parts.opt(Rule::elif) {
            if !self.depth_allowed(self.level + arms.len(), span) {
                break;
            }
            let mut arm = Parts::of(arm);
            arms.push((self.next_expr(&mut arm)?, self.next_block(&mut arm)?));
        }
        let mut otherwise = match parts.opt(Rule::else_part) {
            Some(p) => Some(StmtElse::Block(self.next_block(&mut Parts::of(p))?)),
            None => None,
        };
        while let Some((condition, then)) = arms.pop() {
            let nested = StmtIf { condition, then, otherwise: otherwise.take() };
            if arms.is_empty() {
                return Some(nested);
            }
            otherwise = Some(StmtElse::If(Box::new(nested)));
        }
        None
    }

    pub(super) fn set(&mut self, pair: Pair<'_>) -> Option<Set> {
        let mut parts = Parts::of(pair);
        Some(Set {
            target: self.next_place(&mut parts)?,
            op: assign_op(parts.opt(Rule::set_op)?.as_str())?,
            value: self.next_expr(&mut parts)?,
            lasting: self.opt_expr(&mut parts)?,
        })
    }

    pub(super) fn switch(&mut self, pair: Pair<'_>) -> Option<Switch> {
        let mut parts = Parts::of(pair);
        let way = Parts::of(parts.opt(Rule::switch_way)?);
        Some(Switch { on: way.has(Rule::kw_on), of: self.of_places(&mut parts)? })
    }

    fn of_places(&mut self, parts: &mut Parts<'_>) -> Option<Vec<Expr>> {
        match parts.opt(Rule::of_places) {
            Some(p) => self.places(&mut Parts::of(p)),
            None => Some(Vec::new()),
        }
    }
}

fn assign_op(text: &str) -> Option<AssignOp> {
    Some(match text {
        "=" => AssignOp::Set,
        "+=" => AssignOp::Add,
        "-=" => AssignOp::Subtract,
        "*=" => AssignOp::Multiply,
        "/=" => AssignOp::Divide,
        _ => return None,
    })
}
