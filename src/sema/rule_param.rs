//! `rec.RewardStdp.eta`: a param of a rule, by the projection that the rule is attached to; read and set by experiments.

use super::error::*;
use super::query::walk;
use super::scope::Entity;
use super::{Cx, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, stack};
use crate::hir::{Event, Expr, ExprKind, Item, Kind, NetworkId, Plasticity, Sensor, Type, ValueId, ValueKind};
use crate::syntax::ast;

/// A param, and what of the circuit it fixes, if anything.
type Found = (ValueId, Option<&'static str>);

impl Sema<'_> {
    /// The param that `base.param` names; `Some(None)` where that was tried and is reported, `None` where it is something else.
    pub(super) fn rule_param(&mut self, base: &ast::Expr, param: &ast::Name, cx: Cx) -> Option<Option<ValueId>> {
        self.found_param(base, param, cx).map(|(.., found)| found.map(|(id, _)| id))
    }

    /// The same where it is set: from now on it is a sensor, unless nothing gives it a first value, which lowering reports.
    pub(super) fn settable_rule_param(&mut self, target: &ast::Expr, cx: Cx) -> Option<Option<ValueId>> {
        let ast::ExprKind::Field(base, param) = &target.kind else { return None };
        let (network, path, found) = self.found_param(base, param, cx)?;
        let Some((id, fixed)) = found else { return Some(None) };
        if let Some(what) = fixed {
            self.diags.push(
                Diagnostic::error(NOT_SETTABLE, format!("`{}` fixes {what}", param.text))
                    .label(target.span, "can't change while the circuit runs")
                    .help("bind it where the rule is attached; to compare values sweep a param of the network"),
            );
            return Some(None);
        }
        self.make_sensor(network, path, id);
        Some(matches!(self.program.value(id).kind, ValueKind::Sensor(_)).then_some(id))
    }

    fn found_param(
        &mut self,
        base: &ast::Expr,
        param: &ast::Name,
        cx: Cx,
    ) -> Option<(NetworkId, String, Option<Found>)> {
        let Place::Experiment(network) = cx.place else { return None };
        let ast::ExprKind::Field(projection, rule) = &base.kind else { return None };
        let Some(Entity::Projection(path)) = self.thing(projection, cx.scope) else { return None };
        let found = self.param_of_rule(*network, &path, rule, param);
        Some((*network, format!("{path}.{}.{}", rule.text, param.text), found))
    }

    fn param_of_rule(&mut self, network: NetworkId, path: &str, rule: &ast::Name, param: &ast::Name) -> Option<Found> {
        let rules = rules_of(&self.program.networks[network.0 as usize].items, path).unwrap_or_default();
        let names: Vec<&str> = rules.iter().map(|r| r.name.as_str()).collect();
        let mut named = rules.iter().filter(|r| r.name == rule.text);
        let (found, twice) = (named.next(), named.next());
        let d = match (found, twice) {
            (None, _) => {
                let near = did_you_mean(&rule.text, names.iter().copied());
                let help = near.map(|n| format!("did you mean `{n}`?")).unwrap_or_else(|| match names.as_slice() {
                    [] => format!("give it one: plasticity {}(...)", rule.text),
                    _ => format!("it has {}", names.join(", ")),
                });
                Diagnostic::error(UNKNOWN_MEMBER, format!("`{path}` has no rule `{}`", rule.text))
                    .label(rule.span, "not attached there")
                    .help(help)
            }
            (Some(_), Some(_)) => Diagnostic::error(WRONG_THING, format!("`{path}` has two rules `{}`", rule.text))
                .label(rule.span, "which of them?")
                .help("a rule of another name, declared in a file of its own, can be told apart"),
            (Some(found), None) => {
                let params: Vec<(&str, ValueId)> = found
                    .params
                    .iter()
                    .map(|v| (self.program.value(*v).name.as_str(), *v))
                    .filter(|(_, v)| is_number(self.program.value(*v).ty))
                    .collect();
                if let Some((_, v)) = params.iter().find(|(n, _)| *n == param.text) {
                    return Some((*v, self.fixed_by(found, *v)));
                }
                let all: Vec<&str> = params.iter().map(|(n, _)| *n).collect();
                let help = if found.levels.contains(&param.text) {
                    format!("`{}` is a modulator: set what is bound to it", param.text)
                } else {
                    params_help(&param.text, &all)
                };
                Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no param `{}`", rule.text, param.text))
                    .label(param.span, "not known")
                    .help(help)
            }
        };
        self.diags.push(d);
        None
    }

    /// What a param decides before the circuit runs.
    fn fixed_by(&self, rule: &Plasticity, param: ValueId) -> Option<&'static str> {
        let bounds = rule.bounds.iter().flat_map(|(low, high)| [low, high]).map(|e| (e, "the bounds of weights"));
        let starts = rule.variables.iter().map(|v| (&v.initial, "what a trace starts from"));
        let periods = rule.handlers.iter().filter_map(|h| match &h.event {
            Event::Every(period) => Some((period, "how often `every` comes")),
            _ => None,
        });
        let regrown = rule.regrow.iter().map(|e| (e, "the weight of what grows back"));
        let mut places = bounds.chain(starts).chain(periods).chain(regrown);
        places.find(|(e, _)| self.follows(e, param)).map(|(_, what)| what)
    }

    /// Whether an expression reads a param, through lets and other params too.
    fn follows(&self, e: &Expr, param: ValueId) -> bool {
        let mut found = false;
        walk(e, &mut |x| {
            if let ExprKind::Value(id) = &x.kind {
                found |= *id == param
                    || match &self.program.value(*id).kind {
                        ValueKind::Let(inner) | ValueKind::Param { default: Some(inner), .. } => {
                            stack::deep(|| self.follows(inner, param))
                        }
                        _ => false,
                    };
            }
            !found
        });
        found
    }

    /// A param that changes is no constant: a level that starts from what was bound.
    fn make_sensor(&mut self, network: NetworkId, path: String, id: ValueId) {
        let def = self.program.value(id).clone();
        let ValueKind::Param { default: Some(initial), bounds } = def.kind else { return };
        let sensors = &mut self.program.networks[network.0 as usize].sensors;
        let at = sensors.len() as u32;
        sensors.push(Sensor { path, span: def.span, value: id, sizes: Vec::new(), initial, bounds });
        self.program.values[id.0 as usize].kind = ValueKind::Sensor(at);
    }
}

fn is_number(ty: Type) -> bool {
    ty.rank == 0 && matches!(ty.kind, Kind::Number | Kind::Unknown)
}

/// The rules of the projection of that name.
fn rules_of<'a>(items: &'a [Item], path: &str) -> Option<&'a [Plasticity]> {
    items.iter().find_map(|i| match i {
        Item::Projection(p) if p.name.as_deref() == Some(path) => Some(p.rules.as_slice()),
        Item::For { items, .. } => rules_of(items, path),
        Item::If { then, otherwise, .. } => rules_of(then, path).or_else(|| rules_of(otherwise, path)),
        _ => None,
    })
}
