//! Ends of continuous projections: a value of the source's cells, an input of the target's.

use super::Sema;
use super::error::*;
use super::query::Selected;
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Kind, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;

impl Sema<'_> {
    /// The state, output or let that a source end names.
    pub(super) fn source_value(&mut self, pop: &hir::Population, member: &ast::Name) -> Option<ValueId> {
        let model = self.program.model(pop.model);
        let (broken, model_name) = (model.broken, model.name.clone());
        let names = self.model_names(pop.model);
        let found = names.iter().find(|(n, _)| *n == member.text).map(|(_, v)| *v);
        let readable = |v: &ValueId| {
            matches!(self.program.value(*v).kind, ValueKind::State { .. } | ValueKind::Output(_) | ValueKind::Let(_))
        };
        let values: Vec<&str> = names.iter().filter(|(_, v)| readable(v)).map(|(n, _)| n.as_str()).collect();
        match found {
            _ if broken => None,
            Some(v) if readable(&v) => {
                let ty = self.program.value(v).ty;
                if ty.kind == Kind::Unknown {
                    return None;
                }
                if ty.kind != Kind::Number || ty.rank > 0 {
                    let found = super::expr::kind_words(ty);
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, format!("a projection carries numbers, found {found}"))
                            .label(member.span, format!("`{}` is {found}", member.text)),
                    );
                    return None;
                }
                if pop.axes.is_none() {
                    self.diags.push(
                        Diagnostic::error(CONTINUOUS_ENDS, format!("`{}` is a source without a size", pop.name))
                            .label(member.span, "its trains have no value that others could read")
                            .help(format!("give it a size: source {}[100]: ...", pop.name)),
                    );
                    return None;
                }
                Some(v)
            }
            Some(v) => {
                let what = match self.program.value(v).kind {
                    ValueKind::Param { .. } => "a param",
                    ValueKind::Input => "an input",
                    ValueKind::Noise => "a noise",
                    _ => "no value of a cell",
                };
                self.diags.push(
                    Diagnostic::error(
                        CONTINUOUS_ENDS,
                        format!("`{}` is {what}: nothing reads it from outside", member.text),
                    )
                    .label(member.span, "a state, output or let is expected")
                    .help(format!("write an output in `{model_name}`: output x = {}", member.text)),
                );
                None
            }
            None => {
                let receptor = self.program.model(pop.model).receptors.iter().any(|r| r.name == member.text);
                let near = did_you_mean(&member.text, values.iter().copied());
                let help = match near {
                    _ if receptor => format!("spikes leave from the cells themselves: write `{}`", pop.name),
                    Some(n) => format!("did you mean `{n}`?"),
                    None if values.is_empty() => "declare one in its model: `output r = ...`".to_string(),
                    None => format!("it has {}", values.join(", ")),
                };
                self.diags.push(
                    Diagnostic::error(
                        UNKNOWN_MEMBER,
                        format!("the cells of `{}` have no value `{}`", pop.name, member.text),
                    )
                    .label(member.span, format!("not a state, output or let of `{model_name}`"))
                    .help(help),
                );
                None
            }
        }
    }

    /// Either all source ends name a value or none: a projection carries spikes or values, not both.
    pub(super) fn one_kind_of_ends(&mut self, p: &ast::Projection, values: usize, ends: usize) -> bool {
        if values == 0 || values == ends {
            return true;
        }
        self.diags.push(
            Diagnostic::error(CONTINUOUS_ENDS, "a projection carries either spikes or values")
                .label(p.from.span, "some of these ends name a value, some do not")
                .help("write two projections"),
        );
        false
    }

    /// The input at a target end; may be left out where there is one.
    pub(super) fn target_input(&mut self, pop: &hir::Population, s: &Selected, span: Span) -> Option<ValueId> {
        if pop.source {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{}` is a source: nothing lands on it", pop.name))
                    .label(span, "a source"),
            );
            return None;
        }
        let model = self.program.model(pop.model);
        if model.broken {
            return None;
        }
        let receptors: Vec<String> = model.receptors.iter().map(|r| r.name.clone()).collect();
        let model_name = model.name.clone();
        let inputs: Vec<(String, ValueId)> = self
            .model_names(pop.model)
            .into_iter()
            .filter(|(_, v)| matches!(self.program.value(*v).kind, ValueKind::Input))
            .collect();
        let named = |text: &str| inputs.iter().find(|(n, _)| n == text).map(|(_, v)| *v);
        let all = || inputs.iter().map(|(n, _)| format!("{}.{n}", pop.name)).collect::<Vec<_>>().join(", ");
        let declare = || format!("declare one in `{model_name}`: `input I: current`");
        let diagnostic = match (&s.member, inputs.as_slice()) {
            (None, [(_, only)]) => return Some(*only),
            (None, []) => Diagnostic::error(RECEPTOR_CHOICE, format!("`{}` has no input", pop.name))
                .label(span, "no value can land here")
                .help(declare()),
            (None, many) => {
                Diagnostic::error(RECEPTOR_CHOICE, format!("`{}` has {} inputs: name one", pop.name, many.len()))
                    .label(span, "which one?")
                    .help(format!("write one of {}", all()))
            }
            (Some(member), _) => {
                if let Some(v) = named(&member.text) {
                    return Some(v);
                }
                if receptors.contains(&member.text) {
                    let help = if inputs.is_empty() { declare() } else { format!("write one of {}", all()) };
                    Diagnostic::error(CONTINUOUS_ENDS, "a receptor takes spikes, not values")
                        .label(member.span, format!("`{}` is a receptor", member.text))
                        .help(format!("values land on inputs: {help}"))
                } else {
                    let near = did_you_mean(&member.text, inputs.iter().map(|(n, _)| n.as_str()));
                    let help = match near {
                        Some(n) => format!("did you mean `{n}`?"),
                        None if inputs.is_empty() => declare(),
                        None => format!("its inputs are {}", all()),
                    };
                    Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no input `{}`", pop.name, member.text))
                        .label(member.span, format!("not in `{model_name}`"))
                        .help(help)
                }
            }
        };
        self.diags.push(diagnostic);
        None
    }

    /// What the weight must be for each value that lands on the input; false where a value itself does not fit.
    pub(super) fn coupled_dimensions(
        &mut self,
        pop: &hir::Population,
        input: ValueId,
        values: &[ValueId],
        ends: &[ast::Expr],
        dims: &mut Vec<(Dimension, String, Span)>,
    ) -> bool {
        let def = self.program.value(input);
        if def.ty.kind == Kind::Unknown {
            return false;
        }
        let (name, dim, span) = (def.name.clone(), def.ty.dimension(), def.span);
        let pair = self.program.model(pop.model).pair_inputs.iter().find(|i| i.input == input);
        let pair = pair.map(|i| (i.weight, i.other));
        let mut ok = true;
        for (value, end) in values.iter().zip(ends) {
            let of = self.program.value(*value);
            let (found, text) = (of.ty.dimension(), of.name.clone());
            match pair {
                Some((weight, other)) => {
                    if of.ty.dim.is_some() && found != other {
                        self.diags.push(
                            Diagnostic::error(
                                DIMENSION_MISMATCH,
                                format!("expected {}, found {}", dimension_words(other), dimension_words(found)),
                            )
                            .label(end.span, format!("`{text}` is {}", dimension_words(found)))
                            .label(span, format!("`{name}` reads {} of the other cell", dimension_words(other))),
                        );
                        ok = false;
                    }
                    dims.push((weight, format!("input `{name}` of `{}`", pop.name), span));
                }
                None => {
                    let what = format!("input `{name}` of `{}`, fed with `{text}`,", pop.name);
                    dims.push((dim / found, what, span));
                }
            }
        }
        ok
    }

    /// `E -> E.g_nmda`: a spike has no value that an input could hold.
    pub(super) fn spike_onto_input(&mut self, population: &str, member: &ast::Name) {
        self.diags.push(
            Diagnostic::error(CONTINUOUS_ENDS, "an input takes values, not spikes")
                .label(member.span, format!("`{}` is an input of `{population}`", member.text))
                .help("name the value that it reads: `projection E.s -> ...`; or land on a receptor"),
        );
    }
}
