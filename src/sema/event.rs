//! Events that a network sends to its models, rules and regions; and what a modulator's model has beside a neuron's.

use super::error::*;
use super::region::RegionId;
use super::scope::{Entity, ScopeId};
use super::{Cx, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, NetworkId, StmtKind, Type, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;

impl Sema<'_> {
    /// `level d = 0` of a modulator, and the events that a model needs.
    pub(super) fn declare_level_and_events(&mut self, m: &ast::Model, scope: ScopeId, out: &mut hir::Model) {
        for member in &m.members {
            match &member.kind {
                ast::MemberKind::Level(b) if !out.modulator => {
                    self.not_here(&b.name.text, b.name.span, "only a modulator has a `level`");
                }
                ast::MemberKind::Level(b) if out.level.is_some() => self.diags.push(
                    Diagnostic::error(NAME_TAKEN, "a modulator has one `level`").label(b.name.span, "second one"),
                ),
                ast::MemberKind::Level(b) => {
                    let kind = ast::MemberKind::State(vec![b.clone()]);
                    let state = ast::Member { kind, ..member.clone() };
                    self.declare_member(&state, scope, false, &mut out.names, &mut out.states);
                    out.level = out.states.last().copied();
                }
                ast::MemberKind::Needs(ast::Needs::Event { name, formals }) => {
                    let Some(dim) = self.carried(formals.as_deref(), name.span) else { continue };
                    let event = hir::ModelEvent { name: name.text.clone(), span: name.span, dim, handlers: Vec::new() };
                    out.events.push(event);
                }
                _ => {}
            }
        }
        if out.modulator && out.level.is_none() {
            self.diags.push(
                Diagnostic::error(UNKNOWN_STATE, format!("modulator `{}` has no level", out.name))
                    .label(m.name.span, "its name stands for its level")
                    .help("declare it: `level d = 0`, and `d' = ...` if it moves by itself"),
            );
        }
    }

    /// The dimension of the number that an event carries; `None` where it says something wrong.
    pub(super) fn carried(&mut self, formals: Option<&[ast::Formal]>, span: Span) -> Option<Option<Dimension>> {
        match formals.unwrap_or_default() {
            [] => Some(None),
            [one] => match &one.dim {
                Some(d) => self.dimension(d).map(Some),
                None => Some(Some(Dimension::NUMBER)),
            },
            several => {
                self.diags.push(
                    Diagnostic::error(ARGUMENT_COUNT, format!("an event carries one number, found {}", several.len()))
                        .label(span, "at most one")
                        .help("send two events, or set a sensor"),
                );
                None
            }
        }
    }

    /// `on reward(r) { d += r }`
    pub(super) fn on_event(
        &mut self,
        out: &mut hir::Model,
        event: &ast::Path,
        formals: Option<&[ast::Formal]>,
        body: &ast::Block,
        scope: ScopeId,
    ) {
        let name = event.names.last().map_or("", |n| n.text.as_str()).to_string();
        let Some(k) = out.events.iter().position(|e| e.name == name) else {
            let names: Vec<&str> = out.events.iter().map(|e| e.name.as_str()).collect();
            let near = did_you_mean(&name, names.iter().copied()).map(|n| format!("did you mean `{n}`?"));
            self.diags.push(
                Diagnostic::error(UNKNOWN_NAME, format!("the model needs no event `{name}`"))
                    .label(event.span, "not known")
                    .help(near.unwrap_or_else(|| format!("declare it: `needs event {name}`"))),
            );
            return;
        };
        let inner = self.new_scope(Some(scope));
        let formal = self.event_formal(formals.unwrap_or_default(), out.events[k].dim, event.span, inner);
        let assigns = self.assigns(out, body, inner);
        out.events[k].handlers.push((formal, assigns));
    }

    /// Declares the name that a handler has for the number of its event.
    pub(super) fn event_formal(
        &mut self,
        formals: &[ast::Formal],
        dim: Option<Dimension>,
        span: Span,
        scope: ScopeId,
    ) -> Option<ValueId> {
        match (formals, dim) {
            ([], _) => None,
            ([one], Some(dim)) => {
                let value = self.new_value(&one.name, Type::quantity(dim), ValueKind::Formal);
                self.declare_formal(scope, &one.name, value);
                Some(value)
            }
            _ => {
                let n = usize::from(dim.is_some());
                self.diags.push(
                    Diagnostic::error(
                        ARGUMENT_COUNT,
                        format!("the event carries {n} numbers, found {}", formals.len()),
                    )
                    .label(span, "names for more than it carries"),
                );
                None
            }
        }
    }

    /// `event reward(r: number)` of a network.
    pub(super) fn declare_event(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        formals: Option<&[ast::Formal]>,
        scope: ScopeId,
    ) {
        let Some(dim) = self.carried(formals, name.span) else {
            self.poison(scope, name);
            return;
        };
        let path = self.path_of(&name.text);
        let events = &mut self.program.networks[id.0 as usize].events;
        events.push(hir::EventPort { path, span: name.span, dim });
        let k = events.len() as u32 - 1;
        self.declare(scope, name, Entity::Event(id, k));
    }

    /// `needs event reward(r: number)` of a region: what its user binds.
    pub(super) fn region_event(
        &mut self,
        name: &ast::Name,
        formals: Option<&[ast::Formal]>,
        span: Span,
        scope: ScopeId,
    ) {
        let given = self.here.and_then(|r: RegionId| self.region_argument(r, &name.text));
        let Some(dim) = self.carried(formals, name.span) else {
            self.poison(scope, name);
            return;
        };
        let found = match &given {
            Some((e, from)) => self.event_named(e, *from, dim, span),
            None => {
                if self.here.is_some() {
                    self.diags.push(
                        Diagnostic::error(UNBOUND_PARAM, format!("the region needs the event `{}`", name.text))
                            .label(span, "nothing binds it")
                            .help(format!(
                                "bind an event of the network: {}(... {} = {})",
                                "Region", name.text, name.text
                            )),
                    );
                }
                None
            }
        };
        match found {
            Some((n, k)) => self.declare(scope, name, Entity::Event(n, k)),
            None => self.poison(scope, name),
        }
    }

    /// The event that an argument names; reports where it is none, or carries something else.
    pub(super) fn event_named(
        &mut self,
        e: &ast::Expr,
        scope: ScopeId,
        dim: Option<Dimension>,
        needed: Span,
    ) -> Option<(NetworkId, u32)> {
        match self.thing(e, scope) {
            Some(Entity::Event(n, k)) => {
                let found = self.program.network(n).events[k as usize].dim;
                if found != dim && dim.is_some() {
                    let words = |d: Option<Dimension>| d.map_or("nothing".to_string(), dimension_words);
                    self.diags.push(
                        Diagnostic::error(DIMENSION_MISMATCH, format!("the event carries {}", words(found)))
                            .label(e.span, "this one")
                            .label(needed, format!("{} is needed", words(dim))),
                    );
                    return None;
                }
                Some((n, k))
            }
            Some(Entity::Poison) => None,
            other => {
                let what = Entity::seen(other.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "an event is expected here")
                        .label(e.span, what)
                        .label(needed, "needed here")
                        .help("declare it in the network: `event reward(r: number)`"),
                );
                None
            }
        }
    }

    /// Which of the network's events a use binds to those that its model needs.
    pub(super) fn bind_events(
        &mut self,
        model: hir::ModelId,
        instance: &ast::Instance,
        scope: ScopeId,
    ) -> Vec<Option<u32>> {
        let events = self.program.model(model).events.clone();
        events
            .iter()
            .map(|event| {
                let named = |a: &&ast::Arg| a.name.as_ref().is_some_and(|n| n.text == event.name);
                match instance.args.iter().flatten().find(named) {
                    Some(arg) => self.event_named(&arg.value, scope, event.dim, event.span).map(|(_, k)| k),
                    None => {
                        self.diags.push(
                            Diagnostic::error(UNBOUND_PARAM, format!("the model needs the event `{}`", event.name))
                                .label(instance.span, "not bound here")
                                .help(format!("bind an event of the network: {} = ...", event.name)),
                        );
                        None
                    }
                }
            })
            .collect()
    }

    /// `emit reward(1) after 2 s`
    pub(super) fn emit(&mut self, event: &ast::Instance, after: Option<&ast::Expr>, cx: Cx) -> Option<StmtKind> {
        let mut found = self.lookup(cx.scope, &event.path.names.first()?.text);
        for name in event.path.names.iter().skip(1) {
            found = match found {
                Some(Entity::Region(r)) => self.region_member(r, name),
                _ => None,
            };
        }
        let Some(Entity::Event(network, k)) = found else {
            if !matches!(found, Some(Entity::Poison)) {
                let what = Entity::seen(found.as_ref());
                self.diags.push(
                    Diagnostic::error(WRONG_THING, "an event is expected here")
                        .label(event.path.span, what)
                        .help("declare it in the network: `event reward(r: number)`"),
                );
            }
            return None;
        };
        let dim = self.program.network(network).events[k as usize].dim;
        let args: Vec<&ast::Arg> = event.args.iter().flatten().collect();
        let value = match (args.as_slice(), dim) {
            ([], None) => None,
            ([one], Some(dim)) => Some(self.number(&one.value, cx, dim)),
            (args, dim) => {
                let n = usize::from(dim.is_some());
                self.diags.push(
                    Diagnostic::error(ARGUMENT_COUNT, format!("the event carries {n} numbers, found {}", args.len()))
                        .label(event.span, "here"),
                );
                return None;
            }
        };
        let after = after.map(|t| self.number(t, cx, Dimension::TIME));
        Some(StmtKind::Emit { event: k, value, after })
    }
}
