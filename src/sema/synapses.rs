//! What an experiment does to synapses: update, downscale, learning on and off, weights asked for, resets.

use super::error::*;
use super::scope::Entity;
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, ResetWhat, Type, ValueKind};
use crate::script::Wiring;
use crate::syntax::ast;
use crate::units::Dimension;

impl Sema<'_> {
    /// The projections that a rule is switched on or off at. `None` where something else is named, which is reported.
    pub(super) fn switched(&mut self, s: &ast::Switch, cx: Cx) -> Option<Vec<String>> {
        let targets = self.spread_all(&s.of, cx.scope);
        let of: Vec<String> = targets.iter().filter_map(|t| self.projections_of(t, cx)).collect();
        (of.len() == targets.len()).then_some(of)
    }

    /// The path of a named projection, or of all in a region: `rec`, `bg.rec`, `bg`.
    pub(super) fn projections_of(&mut self, e: &ast::Expr, cx: Cx) -> Option<String> {
        match self.thing(e, cx.scope) {
            Some(Entity::Projection(path)) => Some(path),
            Some(Entity::Region(r)) => Some(self.regions[r.0].prefix.clone()),
            Some(Entity::Poison) => None,
            found => {
                let named: Vec<String> = self
                    .visible(cx.scope)
                    .into_iter()
                    .filter(|n| matches!(self.lookup(cx.scope, n), Some(Entity::Projection(_))))
                    .collect();
                let text = self.sources.snippet(e.span).to_string();
                let near = did_you_mean(&text, named.iter().map(String::as_str));
                let help = near.map_or_else(
                    || "give the projection a name: `projection rec: E -> E.exc { ... }`".to_string(),
                    |n| format!("did you mean `{n}`?"),
                );
                let what = Entity::seen(found.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "a named projection is expected here")
                        .label(e.span, what)
                        .help(help),
                );
                None
            }
        }
    }

    /// Of a named projection in the network of the experiment at hand.
    fn weight_dimension(&self, path: &str, cx: Cx) -> Option<Dimension> {
        let Place::Experiment(network) = cx.place else { return None };
        self.projection_dims.get(&(*network, path.to_string())).copied()
    }

    /// `weight(rec)`: all weights, rows by source; `weight(rec[pre, post])`: that of one pair.
    pub(super) fn weight_query(&mut self, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        let [arg] = args else {
            self.diags
                .push(Diagnostic::error(ARGUMENT_COUNT, "`weight` takes one projection").label(span, "called here"));
            return self.error_expr(span);
        };
        let (path, slots) = match &arg.value.kind {
            ast::ExprKind::Index(base, slots) => (base.as_ref(), Some(slots)),
            _ => (&arg.value, None),
        };
        let Some(projection) = self.projections_of(path, cx) else { return self.error_expr(span) };
        let dim = self.weight_dimension(&projection, cx).unwrap_or(Dimension::NUMBER);
        let pair = match slots.map(Vec::as_slice) {
            None => None,
            Some([ast::Slot::At(pre), ast::Slot::At(post)]) => {
                let pre = self.number(pre, cx, Dimension::NUMBER);
                let post = self.number(post, cx, Dimension::NUMBER);
                Some((Box::new(pre), Box::new(post)))
            }
            Some(_) => {
                self.diags.push(
                    Diagnostic::error(KIND_MISMATCH, "a synapse is named by its two cells")
                        .label(arg.span, "not a pair")
                        .help("write weight(rec[pre, post]), or weight(rec) for all of them"),
                );
                return self.error_expr(span);
            }
        };
        let ty = Type::quantity(dim).with_rank(u8::from(pair.is_none()));
        Expr { kind: ExprKind::Weights { projection, pair }, span, ty }
    }

    /// `indegree(rec)`, one for each target; `clustering(rec)`, a number.
    pub(super) fn wiring_query(&mut self, stat: Wiring, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        let [arg] = args else {
            let message = format!("`{name}` takes one projection");
            self.diags.push(Diagnostic::error(ARGUMENT_COUNT, message).label(span, "called here"));
            return self.error_expr(span);
        };
        let Some(projection) = self.projections_of(&arg.value, cx) else { return self.error_expr(span) };
        let list = matches!(stat, Wiring::Indegree | Wiring::Outdegree);
        Expr { kind: ExprKind::Wiring { stat, projection }, span, ty: Type::NUMBER.with_rank(u8::from(list)) }
    }

    /// `w`, `pre` and `post` of an `update`, declared in a scope of their own.
    pub(super) fn update_scope(&mut self, path: &str, span: Span, cx: Cx) -> (super::ScopeId, [hir::ValueId; 3]) {
        let scope = self.new_scope(Some(cx.scope));
        // A projection whose ends are wrong has no dimension: what is wrong was said.
        let known = self.weight_dimension(path, cx);
        let weight = known.map_or(Type::UNKNOWN, Type::quantity);
        let mut variable = |name: &str, ty: Type| {
            let name = ast::Name { text: name.to_string(), span };
            let id = self.new_value(&name, ty, ValueKind::Variable);
            self.declare_formal(scope, &name, id);
            id
        };
        let w = variable("w", weight);
        let ids = [w, variable("pre", Type::NUMBER), variable("post", Type::NUMBER)];
        self.mutable.insert(w);
        (scope, ids)
    }

    /// `reset state of E, rec`.
    pub(super) fn reset(&mut self, what: &ast::Name, of: &[ast::Expr], cx: Cx) -> Option<hir::StmtKind> {
        if let Some(kind) = self.reset_environment(what, of, cx) {
            return Some(kind);
        }
        let kind = match what.text.as_str() {
            "state" => ResetWhat::State,
            "weights" => ResetWhat::Weights,
            "all" => ResetWhat::All,
            _ => {
                let near = did_you_mean(&what.text, ["state", "weights", "all"]);
                self.diags.push(
                    Diagnostic::error(UNKNOWN_MEMBER, format!("`reset {}` is not known", what.text))
                        .label(what.span, "not something to reset")
                        .help(
                            near.map_or("reset state, weights or all".to_string(), |n| format!("did you mean `{n}`?")),
                        ),
                );
                return None;
            }
        };
        let mut paths = Vec::new();
        for e in &self.spread_all(of, cx.scope) {
            let path = match self.thing(e, cx.scope) {
                Some(Entity::Region(r)) => Some(self.regions[r.0].prefix.clone()),
                Some(Entity::Projection(_)) if kind == ResetWhat::State => {
                    let help = "`reset state of` the population that it lands on takes its traces and spikes on their way, too";
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "the state of a projection is reset with its target")
                            .label(e.span, "this is a projection")
                            .help(help),
                    );
                    None
                }
                Some(Entity::Population(..)) if kind == ResetWhat::Weights => {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "a population has no weights")
                            .label(e.span, "this is a population")
                            .help("name projections, `reset weights of rec`, or a region"),
                    );
                    None
                }
                Some(Entity::Projection(path)) => Some(path),
                Some(Entity::Population(n, p)) => Some(self.program.network(n).populations[p.0 as usize].name.clone()),
                Some(Entity::Poison) => None,
                found => {
                    let what = Entity::seen(found.as_ref());
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "a population, projection or region is reset")
                            .label(e.span, what),
                    );
                    None
                }
            };
            paths.extend(path);
        }
        Some(hir::StmtKind::Reset { what: kind, of: paths })
    }
}
