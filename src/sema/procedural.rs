//! `procedural`: which projections can make the row of one source whenever it fires, instead of keeping it.

use super::Sema;
use super::error::*;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Rule};

impl Sema<'_> {
    pub(super) fn check_procedural(&mut self, p: &hir::Projection) {
        let Some(connect) = p.connect.as_ref().filter(|c| c.procedural) else { return };
        if let Some(why) = by_target(&connect.rule) {
            self.not_procedural(connect.span, "this rule makes no row of one source", why, RULES);
        } else if matches!(connect.rule, Rule::FixedOutdegree(_)) && connect.filter.is_some() {
            self.not_procedural(
                connect.span,
                "a fixed out-degree among some of the targets takes a list of them",
                "`where` would be asked for every target at every spike",
                "write `bernoulli(p) where ...`, whose draws `where` only thins out, or leave `procedural` out",
            );
        }
        if connect.symmetric {
            self.not_procedural(
                connect.span,
                "a symmetric projection is drawn pair by pair, not row by row",
                "both directions share what was drawn once",
                "leave `procedural` or `symmetric` out",
            );
        }
        if p.continuous.is_some() {
            self.not_procedural(
                connect.span,
                "a projection that carries values reads all synapses in every step",
                "no spike at which a row could be made",
                "leave `procedural` out",
            );
        }
        if let Some(rule) = p.rules.first() {
            self.not_procedural(
                rule.use_span,
                "synapses that learn must be kept",
                "this rule changes synapses that are made anew for each spike",
                "leave `procedural` out of this projection's `connect`",
            );
        }
    }

    fn not_procedural(&mut self, span: Span, message: &str, label: &str, help: &str) {
        self.diags.push(Diagnostic::error(PROCEDURAL, message).label(span, label).help(help));
    }
}

const RULES: &str = "`procedural` goes with all_to_all, bernoulli and fixed_outdegree; without it any rule does";

/// Why the rule can't draw the targets of one source alone, if it can't.
fn by_target(rule: &Rule) -> Option<&'static str> {
    match rule {
        Rule::AllToAll | Rule::Bernoulli(_) | Rule::FixedOutdegree(_) => None,
        Rule::OneToOne => Some("a row has one synapse: nothing would be saved"),
        Rule::FixedIndegree(_) => Some("it draws the sources of each target"),
        Rule::FixedTotalNumber(_) => Some("it shares out one number among all cells"),
        Rule::Pairs(_) | Rule::Edges { .. } => Some("its synapses are listed one by one"),
    }
}
