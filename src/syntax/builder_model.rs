//! Models, plasticity rules, networks and regions: bodies whose items each stand alone.

use super::ast::*;
use super::builder::Builder;
use super::parser::{Pair, Parts, Rule};

impl Builder<'_> {
    pub(super) fn model(&mut self, pair: Pair<'_>) -> Option<Model> {
        let mut parts = Parts::of(pair);
        let (kind, name) = self.model_head(parts.opt(Rule::model_head)?)?;
        let members = self.inside(|b| parts.all(Rule::member).map(|p| b.member(p)).collect())?;
        Some(Model { kind, name, members })
    }

    pub(super) fn model_head(&mut self, pair: Pair<'_>) -> Option<(ModelKind, Name)> {
        let mut parts = Parts::of(pair);
        let kind = match parts.opt(Rule::model_kind)?.into_inner().next()?.as_rule() {
            Rule::kw_neuron => ModelKind::Neuron,
            Rule::kw_source => ModelKind::Source,
            Rule::kw_modulator => ModelKind::Modulator,
            Rule::kw_environment => ModelKind::Environment,
            _ => return None,
        };
        Some((kind, self.next_name(&mut parts)?))
    }

    fn members(&mut self, parts: &mut Parts<'_>) -> Option<Vec<Member>> {
        let mut members = Parts::of(parts.opt(Rule::members)?);
        self.inside(|b| members.all(Rule::member).map(|p| b.member(p)).collect())
    }

    pub(super) fn member(&mut self, pair: Pair<'_>) -> Option<Member> {
        self.documented(pair, |b, p| b.member_kind(p.into_inner().next()?))
    }

    fn member_kind(&mut self, pair: Pair<'_>) -> Option<MemberKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::equation => return self.equation(pair).map(MemberKind::Equation),
            Rule::param_item => return self.bindings(pair).map(MemberKind::Param),
            Rule::let_item => return self.let_item(pair).map(MemberKind::Let),
            Rule::needs_item => return self.needs(pair).map(MemberKind::Needs),
            Rule::state_item => return self.bindings(pair).map(MemberKind::State),
            Rule::event_item => return self.event(pair).map(|(name, formals)| MemberKind::Event { name, formals }),
            Rule::every_item => return self.every(pair).map(|(period, body)| MemberKind::Every { period, body }),
            Rule::on_item => {
                return self.on(pair).map(|(event, formals, body)| MemberKind::On { event, formals, body });
            }
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::level_item => MemberKind::Level(self.binding(parts.opt(Rule::binding)?)?),
            Rule::noise_item => MemberKind::Noise(self.next_name(&mut parts)?),
            Rule::input_item => MemberKind::Input {
                name: self.next_name(&mut parts)?,
                formals: self.opt_formals(&mut parts)?,
                dim: self.next_dim(&mut parts)?,
                value: self.opt_expr(&mut parts)?,
            },
            Rule::output_item => {
                MemberKind::Output { name: self.next_name(&mut parts)?, value: self.next_expr(&mut parts)? }
            }
            Rule::receptor => MemberKind::Receptor {
                name: self.next_name(&mut parts)?,
                formals: self.formals(parts.opt(Rule::formals)?)?,
                body: self.next_block(&mut parts)?,
            },
            Rule::spike => {
                let how = parts.any()?;
                let when = how.as_rule() == Rule::spike_when;
                let expr = self.next_expr(&mut Parts::of(how))?;
                let body = self.opt_block(&mut parts)?;
                if when {
                    MemberKind::SpikeWhen { condition: expr, body }
                } else {
                    MemberKind::SpikeAt { rate: expr, body }
                }
            }
            Rule::refractory => MemberKind::Refractory {
                time: self.next_expr(&mut parts)?,
                holds: parts.all(Rule::path).map(|p| self.path(p)).collect(),
            },
            Rule::integrate => MemberKind::IntegrateWith(self.next_place(&mut parts)?),
            Rule::compartment => MemberKind::Compartment {
                name: self.next_name(&mut parts)?,
                axes: self.opt_axes(&mut parts)?.unwrap_or_default(),
                members: self.members(&mut parts)?,
            },
            Rule::couple => MemberKind::Couple {
                a: self.next_place(&mut parts)?,
                b: self.next_place(&mut parts)?,
                by: self.next_expr(&mut parts)?,
            },
            Rule::member_for => {
                let Loop { variable, range } = self.loop_range(parts.opt(Rule::loop_range)?)?;
                MemberKind::For { variable, range, members: self.members(&mut parts)? }
            }
            _ => return None,
        })
    }

    /// `x' = ...` from an `equation` or an `own_rate`.
    fn equation(&mut self, pair: Pair<'_>) -> Option<Equation> {
        let mut parts = Parts::of(pair);
        let mark = parts.any()?;
        let (name, leibniz) = if mark.as_rule() == Rule::leibniz {
            let mut name = self.name(&mark);
            // Of `dV/dt` the name is what stands between `d` and `/dt`.
            name.text = mark.as_str().strip_prefix('d')?.strip_suffix("/dt")?.to_owned();
            name.span.start += 1;
            name.span.end -= 3;
            (name, true)
        } else {
            (self.next_name(&mut Parts::of(mark))?, false)
        };
        Some(Equation { name, leibniz, value: self.next_expr(&mut parts)? })
    }

    pub(super) fn every(&mut self, pair: Pair<'_>) -> Option<(Expr, Block)> {
        let mut parts = Parts::of(pair);
        Some((self.next_expr(&mut parts)?, self.next_block(&mut parts)?))
    }

    fn on(&mut self, pair: Pair<'_>) -> Option<(Path, Option<Vec<Formal>>, Block)> {
        let mut parts = Parts::of(pair);
        Some((self.next_path(&mut parts)?, self.opt_formals(&mut parts)?, self.next_block(&mut parts)?))
    }

    pub(super) fn plasticity(&mut self, pair: Pair<'_>) -> Option<Plasticity> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut Parts::of(parts.opt(Rule::plasticity_head)?))?;
        let items = self.inside(|b| parts.all(Rule::plasticity_item).map(|p| b.plasticity_item(p)).collect())?;
        Some(Plasticity { name, items })
    }

    pub(super) fn plasticity_item(&mut self, pair: Pair<'_>) -> Option<PlasticityItem> {
        self.documented(pair, |b, p| b.plasticity_kind(p.into_inner().next()?))
    }

    fn plasticity_kind(&mut self, pair: Pair<'_>) -> Option<PlasticityKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::equation => return self.equation(pair).map(PlasticityKind::Equation),
            Rule::param_item => return self.bindings(pair).map(PlasticityKind::Param),
            Rule::let_item => return self.let_item(pair).map(PlasticityKind::Let),
            Rule::needs_item => return self.needs(pair).map(PlasticityKind::Needs),
            Rule::every_item => return self.every(pair).map(|(period, body)| PlasticityKind::Every { period, body }),
            Rule::on_item => {
                return self.on(pair).map(|(event, formals, body)| PlasticityKind::On { event, formals, body });
            }
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::trace_item => {
                let side = match parts.opt(Rule::trace_side)?.into_inner().next()?.as_rule() {
                    Rule::kw_pre => Side::Pre,
                    _ => Side::Post,
                };
                PlasticityKind::Trace {
                    side,
                    name: self.next_name(&mut parts)?,
                    value: self.opt_expr(&mut parts)?,
                    equation: self.opt_own_rate(&mut parts)?,
                }
            }
            Rule::synapse_item => PlasticityKind::Synapse {
                name: self.next_name(&mut parts)?,
                value: self.opt_expr(&mut parts)?,
                equation: self.opt_own_rate(&mut parts)?,
            },
            Rule::weight_item => PlasticityKind::Weight {
                name: self.next_name(&mut parts)?,
                bounds: self.opt_bounds(&mut parts)?,
                equation: self.opt_own_rate(&mut parts)?,
            },
            Rule::regrow => {
                PlasticityKind::Regrow { to: self.next_name(&mut parts)?, weight: self.next_expr(&mut parts)? }
            }
            _ => return None,
        })
    }

    fn opt_own_rate(&mut self, parts: &mut Parts<'_>) -> Option<Option<Equation>> {
        parts.opt(Rule::own_rate).map_or(Some(None), |p| self.equation(p).map(Some))
    }
}
