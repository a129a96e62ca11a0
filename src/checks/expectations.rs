//! Expectations that no run can change.

use super::error::CONSTANT_EXPECT;
use super::unused::{statement_expressions, visit};
use crate::base::{Diagnostic, Diagnostics, stack};
use crate::hir::{Experiment, Expr, ExprKind, Program, Stmt, StmtKind, ValueId, ValueKind};
use std::collections::BTreeSet;

pub(super) fn constant(program: &Program, e: &Experiment, diags: &mut Diagnostics) {
    // What variables hold a result: until no more are found.
    let mut results: BTreeSet<ValueId> = BTreeSet::new();
    loop {
        let before = results.len();
        gather(program, &e.body, false, &mut results);
        gather(program, &e.conclude, false, &mut results);
        if results.len() == before {
            break;
        }
    }
    // Within a loop or a branch that a result decides, reaching it says something.
    judge(program, &e.body, &results, diags);
    judge(program, &e.conclude, &results, diags);
}

/// Adds the variables that get a result; `decided`: whether the statements are come to is one.
fn gather(program: &Program, list: &[Stmt], decided: bool, results: &mut BTreeSet<ValueId>) {
    for s in list {
        let mut within = decided;
        match &s.kind {
            // What counts or collects follows the course of the run.
            StmtKind::Assign { variable, value, op, slots }
                if decided || op.is_some() || !slots.is_empty() || of_a_run(program, value, results) =>
            {
                results.insert(*variable);
            }
            StmtKind::Fill { variable, value, .. } if decided || of_a_run(program, value, results) => {
                results.insert(*variable);
            }
            StmtKind::If { .. } | StmtKind::Repeat { .. } | StmtKind::For { .. } => {
                statement_expressions(s, &mut |x| within |= of_a_run(program, x, results));
            }
            _ => {}
        }
        s.kind.blocks().into_iter().for_each(|block| gather(program, block, within, results));
    }
}

fn judge(program: &Program, list: &[Stmt], results: &BTreeSet<ValueId>, diags: &mut Diagnostics) {
    for s in list {
        match &s.kind {
            StmtKind::Expect { condition, text, .. } if !of_a_run(program, condition, results) => diags.push(
                Diagnostic::warning(CONSTANT_EXPECT, format!("`{text}` is the same in every run"))
                    .label(condition.span, "asks for nothing that the circuit does")
                    .help("expect a statistic, such as rate(E), or a state, such as mean(E.V)"),
            ),
            StmtKind::For { body, .. } | StmtKind::Repeat { body, until: None, .. } => {
                judge(program, body, results, diags);
            }
            StmtKind::If { condition, then, otherwise } if !of_a_run(program, condition, results) => {
                judge(program, then, results, diags);
                judge(program, otherwise, results, diags);
            }
            _ => {}
        }
    }
}

fn of_a_run(program: &Program, e: &Expr, results: &BTreeSet<ValueId>) -> bool {
    let mut found = false;
    visit(e, &mut |x| {
        found |= match &x.kind {
            ExprKind::Spikes { .. }
            | ExprKind::Trace { .. }
            | ExprKind::Rows { .. }
            | ExprKind::Weights { .. }
            | ExprKind::Wiring { .. }
            | ExprKind::Environment { .. }
            | ExprKind::SynapticEvents
            | ExprKind::Time
            | ExprKind::Error => true,
            ExprKind::Value(v) => {
                results.contains(v)
                    || match &program.value(*v).kind {
                        ValueKind::Measure | ValueKind::Broken | ValueKind::Sensor(_) | ValueKind::Level(_) => true,
                        // An actuator asks where its name stands.
                        ValueKind::Let(inner) => stack::deep(|| of_a_run(program, inner, results)),
                        _ => false,
                    }
            }
            _ => false,
        };
    });
    found
}
