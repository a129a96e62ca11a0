//! What the command line changes: `--set`, `--dt`, `--for`.

use super::{Fail, Lowering, error};
use crate::base::Diagnostic;
use crate::base::diag::did_you_mean;
use crate::hir::{self, ValueId, ValueKind};
use crate::script::Value;
use crate::sema::given;
use crate::units::Dimension;

/// What the command line may change.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--set name=value`
    pub set: Vec<(String, String)>,
    /// `--dt "0.1 ms"`
    pub dt: Option<String>,
    /// `--for "2 s"`
    pub duration: Option<String>,
}

/// A time as a flag gives it, such as `10 s`, in ms; an error is what is wrong and what to write.
pub fn time_ms(text: &str) -> Result<f64, (String, String)> {
    let help = || "write a number and a unit, such as 10 ms".to_string();
    given(text, Dimension::TIME, hir::Kind::Number)?.number().map_err(|e| (e.message, help()))
}

/// Params of the network and the experiment.
fn params<'p>(
    program: &'p hir::Program,
    network: hir::NetworkId,
    experiment: Option<&'p hir::Experiment>,
) -> impl Iterator<Item = ValueId> + 'p {
    let named = program.network(network).names.iter().chain(experiment.into_iter().flat_map(|e| &e.names)).copied();
    named.filter(move |v| matches!(program.value(*v).kind, ValueKind::Param { .. }))
}

/// What `--set` may name: params of the network and the experiment, and what the experiment sweeps.
pub fn overridable<'p>(
    program: &'p hir::Program,
    network: hir::NetworkId,
    experiment: Option<&'p hir::Experiment>,
) -> impl Iterator<Item = ValueId> + 'p {
    params(program, network, experiment).chain(experiment.into_iter().flat_map(|e| e.sweeps.iter().map(|l| l.variable)))
}

impl Lowering<'_> {
    /// Binds the params that `--set` names. Names of other experiments are no mistake: who asks for all of them says which are.
    pub(super) fn apply_overrides(
        &mut self,
        network: hir::NetworkId,
        experiment: Option<&hir::Experiment>,
        overrides: &Overrides,
    ) {
        let program = self.program;
        for (name, text) in &overrides.set {
            let Some(id) = params(program, network, experiment).find(|v| program.value(*v).name == *name) else {
                continue;
            };
            let def = program.value(id);
            match given(text, def.ty.dimension(), def.ty.kind) {
                Ok(value) => {
                    if let Err(d) = self.check_bounds(id, &value, def.span) {
                        self.diags.push(d);
                    }
                    self.values.insert(id, value);
                }
                Err((why, help)) => self.diags.push(
                    Diagnostic::error(error::OVERRIDE, format!("--set {name}={text}: {why}"))
                        .label(def.span, "the param that it overrides")
                        .help(help),
                ),
            }
        }
    }

    /// The values that `--set` leaves a sweep, separated by commas, where it names its variable.
    fn chosen(&self, sweep: &hir::Loop, overrides: &Overrides) -> Result<Option<Vec<Value>>, Fail> {
        let def = self.program.value(sweep.variable);
        let Some((name, text)) = overrides.set.iter().rev().find(|(name, _)| *name == def.name) else {
            return Ok(None);
        };
        let labels = self.label_names(sweep);
        let value = |text: &str| {
            if labels.is_empty() {
                return given(text, def.ty.dimension(), def.ty.kind);
            }
            match labels.iter().position(|l| l == text) {
                Some(k) => Ok(Value::Number(k as f64)),
                None => {
                    let near = did_you_mean(text, labels.iter().map(String::as_str));
                    let help = near
                        .map_or_else(|| format!("there are {}", labels.join(", ")), |n| format!("did you mean `{n}`?"));
                    Err((format!("there is no label `{text}`"), help))
                }
            }
        };
        let values: Result<Vec<Value>, _> = text.split(',').map(|part| value(part.trim())).collect();
        values.map(Some).map_err(|(why, help)| {
            Diagnostic::error(error::OVERRIDE, format!("--set {name}={text}: {why}"))
                .label(def.span, "the sweep that it narrows")
                .help(help)
        })
    }

    pub(super) fn sweep_points(
        &mut self,
        sweeps: &[hir::Loop],
        overrides: &Overrides,
    ) -> Option<Vec<Vec<(ValueId, Value)>>> {
        let mut points: Vec<Vec<(ValueId, Value)>> = vec![Vec::new()];
        for l in sweeps {
            let chosen = self.chosen(l, overrides);
            let items = match self.report(chosen)? {
                Some(chosen) => chosen,
                None => {
                    let items = self.loop_values(l);
                    self.report(items)?
                }
            };
            if items.is_empty() {
                self.diags.push(
                    Diagnostic::error(error::LOOP_LENGTH, "a sweep over nothing has no run")
                        .label(l.start.span, "no value")
                        .help("a range leaves its end out: `0 .. 3` is 0, 1, 2"),
                );
                return None;
            }
            points = points
                .into_iter()
                .flat_map(|p| {
                    items.iter().map(move |v| {
                        let mut p = p.clone();
                        p.push((l.variable, v.clone()));
                        p
                    })
                })
                .collect();
            if points.len() > 100_000 {
                self.diags.push(
                    Diagnostic::error(error::LOOP_LENGTH, format!("the sweeps have {} points", points.len()))
                        .label(l.start.span, "with this one")
                        .help("at most 100000 runs"),
                );
                return None;
            }
        }
        Some(points)
    }
}
