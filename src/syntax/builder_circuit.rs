//! What a network or a region holds, and sleeps.

use super::ast::*;
use super::builder::Builder;
use super::parser::{Pair, Parts, Rule};

impl Builder<'_> {
    pub(super) fn network(&mut self, pair: Pair<'_>) -> Option<Network> {
        let mut parts = Parts::of(pair);
        let (region, name) = self.network_head(parts.opt(Rule::network_head)?)?;
        let items = self.inside(|b| parts.all(Rule::circuit).map(|p| b.circuit(p)).collect())?;
        Some(Network { region, name, items })
    }

    pub(super) fn network_head(&mut self, pair: Pair<'_>) -> Option<(bool, Name)> {
        let mut parts = Parts::of(pair);
        let region = Parts::of(parts.opt(Rule::network_kind)?).has(Rule::kw_region);
        Some((region, self.next_name(&mut parts)?))
    }

    fn circuits(&mut self, parts: &mut Parts<'_>) -> Option<Vec<Circuit>> {
        let mut items = Parts::of(parts.opt(Rule::circuits)?);
        self.inside(|b| items.all(Rule::circuit).map(|p| b.circuit(p)).collect())
    }

    pub(super) fn circuit(&mut self, pair: Pair<'_>) -> Option<Circuit> {
        self.documented(pair, |b, p| b.circuit_kind(p.into_inner().next()?))
    }

    fn circuit_kind(&mut self, pair: Pair<'_>) -> Option<CircuitKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::param_item => return self.bindings(pair).map(CircuitKind::Param),
            Rule::let_item => return self.let_item(pair).map(CircuitKind::Let),
            Rule::labels_item => return self.labels(pair).map(CircuitKind::Labels),
            Rule::needs_item => return self.needs(pair).map(CircuitKind::Needs),
            Rule::event_item => return self.event(pair).map(|(name, formals)| CircuitKind::Event { name, formals }),
            Rule::population => return self.population(pair).map(CircuitKind::Population),
            Rule::matrix => return self.matrix(pair).map(CircuitKind::Matrix),
            Rule::drive_item => return self.drive(pair).map(|(target, value)| CircuitKind::Drive { target, value }),
            Rule::circuit_if => return self.circuit_if(pair).map(CircuitKind::If),
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::dt_item => CircuitKind::Dt(self.next_expr(&mut parts)?),
            Rule::projection => CircuitKind::Projection(Projection {
                name: self.next_name(&mut parts),
                from: self.ends(&mut parts)?,
                to: self.ends(&mut parts)?,
                clauses: self.clauses(parts.opt(Rule::clauses)?)?,
            }),
            Rule::memory => CircuitKind::Memory {
                name: self.next_name(&mut parts)?,
                of: self.next_place(&mut parts)?,
                window: self.next_expr(&mut parts)?,
                keep: self.next_expr(&mut parts)?,
                at_least: self.opt_expr(&mut parts)?,
            },
            Rule::source_item => CircuitKind::Source {
                name: self.next_name(&mut parts)?,
                axes: self.opt_axes(&mut parts)?,
                model: self.next_inst(&mut parts)?,
            },
            Rule::modulator_item => {
                CircuitKind::Modulator { name: self.next_name(&mut parts)?, model: self.next_inst(&mut parts)? }
            }
            Rule::region_item => CircuitKind::Region {
                name: self.next_name(&mut parts)?,
                axes: self.opt_axes(&mut parts)?,
                model: self.next_inst(&mut parts)?,
                overrides: match parts.opt(Rule::overrides) {
                    Some(p) => {
                        Parts::of(p).all(Rule::override_item).map(|p| self.override_item(p)).collect::<Option<_>>()?
                    }
                    None => Vec::new(),
                },
            },
            Rule::sensor_item => CircuitKind::Sensor {
                name: self.next_name(&mut parts)?,
                axes: self.opt_axes(&mut parts)?,
                dim: self.next_dim(&mut parts)?,
                value: self.opt_expr(&mut parts)?,
            },
            Rule::actuator_item => {
                CircuitKind::Actuator { name: self.next_name(&mut parts)?, value: self.next_expr(&mut parts)? }
            }
            Rule::port_item => CircuitKind::Port {
                output: Parts::of(parts.opt(Rule::port_side)?).has(Rule::kw_output),
                name: self.next_name(&mut parts)?,
                ends: self.ends(&mut parts)?,
                weight: self.opt_expr(&mut parts)?,
            },
            Rule::function_item => CircuitKind::Function {
                text: parts.opt(Rule::string).map(|p| self.string(&p))?,
                by: self.next_path(&mut parts)?,
                shown: self.next_path(&mut parts),
            },
            Rule::circuit_for => CircuitKind::For { loops: self.loops(&mut parts)?, items: self.circuits(&mut parts)? },
            _ => return None,
        })
    }

    /// `if a {..} else if b {..} else {..}`: each `else if` nests one deeper.
    fn circuit_if(&mut self, pair: Pair<'_>) -> Option<CircuitIf> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let mut arms = vec![(self.next_expr(&mut parts)?, self.circuits(&mut parts)?)];
        while let Some(arm) = parts.opt(Rule::circuit_elif) {
            if !self.depth_allowed(self.level + arms.len(), span) {
                break;
            }
            let mut arm = Parts::of(arm);
            arms.push((self.next_expr(&mut arm)?, self.circuits(&mut arm)?));
        }
        let mut otherwise = match parts.opt(Rule::circuit_else) {
            Some(p) => Some(CircuitElse::Items(self.circuits(&mut Parts::of(p))?)),
            None => None,
        };
        while let Some((condition, then)) = arms.pop() {
            let nested = CircuitIf { condition, then, otherwise: otherwise.take() };
            if arms.is_empty() {
                return Some(nested);
            }
            otherwise = Some(CircuitElse::If(Box::new(nested)));
        }
        None
    }

    pub(super) fn drive(&mut self, pair: Pair<'_>) -> Option<(Expr, Expr)> {
        let mut parts = Parts::of(pair);
        Some((self.next_place(&mut parts)?, self.next_expr(&mut parts)?))
    }

    fn override_item(&mut self, pair: Pair<'_>) -> Option<Override> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let target = self.next_place(&mut parts)?;
        let what = match parts.opt(Rule::clauses) {
            Some(p) => OverrideKind::Clauses(self.clauses(p)?),
            None => OverrideKind::Value(self.next_expr(&mut parts)?),
        };
        Some(Override { target, what, span })
    }

    fn population(&mut self, pair: Pair<'_>) -> Option<Population> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let axes = self.axes(parts.opt(Rule::axes)?)?;
        let model = self.next_inst(&mut parts)?;
        let body = match parts.opt(Rule::population_body) {
            Some(p) => {
                Parts::of(p).all(Rule::population_clause).map(|p| self.population_clause(p)).collect::<Option<_>>()?
            }
            None => Vec::new(),
        };
        Some(Population { name, axes, model, body })
    }

    fn population_clause(&mut self, pair: Pair<'_>) -> Option<PopulationClause> {
        let inner = pair.into_inner().next()?;
        let span = self.span(&inner);
        let rule = inner.as_rule();
        let mut parts = Parts::of(inner);
        Some(match rule {
            Rule::position => PopulationClause::Position {
                layout: self.next_place(&mut parts)?,
                periodic: parts.has(Rule::kw_periodic),
                span,
            },
            Rule::active => PopulationClause::Active {
                most: self.next_expr(&mut parts)?,
                within: self.next_expr(&mut parts)?,
                span,
            },
            Rule::mixed => PopulationClause::Mixed { span },
            Rule::exempt => PopulationClause::Exempt {
                check: self.next_name(&mut parts)?,
                reason: parts.opt(Rule::string).map(|p| self.string(&p))?,
                span,
            },
            _ => return None,
        })
    }

    fn ends(&mut self, parts: &mut Parts<'_>) -> Option<Ends> {
        let pair = parts.opt(Rule::ends)?;
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let parenthesised = parts.has(Rule::open_paren);
        Some(Ends { list: self.places(&mut parts)?, parenthesised, span })
    }

    fn clauses(&mut self, pair: Pair<'_>) -> Option<Vec<Clause>> {
        Parts::of(pair).all(Rule::clause).map(|p| self.clause(p)).collect()
    }

    fn clause(&mut self, pair: Pair<'_>) -> Option<Clause> {
        let inner = pair.into_inner().next()?;
        let span = self.span(&inner);
        let rule = inner.as_rule();
        let mut parts = Parts::of(inner);
        let kind = match rule {
            Rule::connect => ClauseKind::Connect(self.connect(&mut parts)?),
            Rule::weight_clause => ClauseKind::Weight(self.next_expr(&mut parts)?),
            Rule::delay_clause => ClauseKind::Delay(self.delay(&mut parts)?),
            Rule::gain_clause => ClauseKind::Gain(self.next_expr(&mut parts)?),
            Rule::plasticity_clause => {
                ClauseKind::Plasticity(parts.all(Rule::inst).map(|p| self.inst(p)).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Clause { kind, span })
    }

    fn connect(&mut self, parts: &mut Parts<'_>) -> Option<Connect> {
        let symmetric = parts.has(Rule::kw_symmetric);
        let procedural = parts.has(Rule::kw_procedural);
        let rule = self.next_place(parts)?;
        let filter = self.opt_expr(parts)?;
        let (mut autapses, mut multapses) = (false, false);
        for with in parts.all(Rule::connect_with) {
            let with = Parts::of(with);
            autapses |= with.has(Rule::kw_autapses);
            multapses |= with.has(Rule::kw_multapses);
        }
        Some(Connect { rule, filter, autapses, multapses, symmetric, procedural })
    }

    fn delay(&mut self, parts: &mut Parts<'_>) -> Option<Delay> {
        if let Some(total) = self.opt_expr(parts)? {
            return Some(Delay::Total(total));
        }
        let mut part = |rule| match parts.opt(rule) {
            Some(p) => self.next_expr(&mut Parts::of(p)).map(Some),
            None => Some(None),
        };
        Some(Delay::Parts { axonal: part(Rule::delay_axonal)?, dendritic: part(Rule::delay_dendritic)? })
    }

    fn matrix(&mut self, pair: Pair<'_>) -> Option<Matrix> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let clauses = parts.all(Rule::clause).map(|p| self.clause(p)).collect::<Option<_>>()?;
        let mut columns = Parts::of(parts.opt(Rule::columns)?);
        let columns = columns.all(Rule::path).map(|p| self.path(p)).collect();
        let mut rows = Vec::new();
        for row in parts.all(Rule::matrix_row) {
            let mut row = Parts::of(row);
            let region = self.next_path(&mut row)?;
            let cells = row.all(Rule::matrix_cell).map(|p| self.name(&p)).collect();
            rows.push(MatrixRow { region, cells });
        }
        Some(Matrix { name, clauses, columns, rows })
    }

    pub(super) fn sleep(&mut self, pair: Pair<'_>) -> Option<Sleep> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let of = self.next_path(&mut parts)?;
        let mut header = Vec::new();
        for item in parts.all(Rule::sleep_header) {
            header.push(self.documented(item, |b, p| b.circuit_kind(p.into_inner().next()?))?);
        }
        let phases = self.inside(|b| parts.all(Rule::phase).map(|p| b.phase(p)).collect())?;
        Some(Sleep { name, of, header, phases })
    }

    fn phase(&mut self, pair: Pair<'_>) -> Option<SleepPhase> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let length = self.next_expr(&mut parts)?;
        let mut list = Parts::of(parts.opt(Rule::actions)?);
        let actions = self.inside(|b| list.all(Rule::action).map(|p| b.action(p)).collect())?;
        Some(SleepPhase { name, length, actions, span })
    }

    fn action(&mut self, pair: Pair<'_>) -> Option<Documented<ActionKind>> {
        self.documented(pair, |b, p| b.action_kind(p.into_inner().next()?))
    }

    fn action_kind(&mut self, pair: Pair<'_>) -> Option<ActionKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::set => return self.set(pair).map(ActionKind::Set),
            Rule::switch => return self.switch(pair).map(ActionKind::Switch),
            Rule::let_item => return self.let_item(pair).map(ActionKind::Let),
            Rule::drive_item => return self.drive(pair).map(|(target, value)| ActionKind::Drive { target, value }),
            Rule::every_item => return self.every(pair).map(|(period, body)| ActionKind::Every { period, body }),
            _ => {}
        }
        let mut parts = Parts::of(pair);
        Some(match rule {
            Rule::kick => ActionKind::Kick {
                target: self.next_place(&mut parts)?,
                by: self.next_expr(&mut parts)?,
                at: self.next_expr(&mut parts)?,
            },
            Rule::at_item => ActionKind::At {
                end: Parts::of(parts.opt(Rule::at_edge)?).has(Rule::kw_end),
                body: self.next_block(&mut parts)?,
            },
            Rule::replay => ActionKind::Replay {
                target: self.next_place(&mut parts)?,
                by: self.next_expr(&mut parts)?,
                from: self.next_place(&mut parts)?,
                every: self.next_expr(&mut parts)?,
                lasting: self.next_expr(&mut parts)?,
            },
            _ => return None,
        })
    }
}
