//! A circuit on a chip beside the same on this machine.

use super::{Backend, MemoryLimit, allowed, checked, here, kernels, run_error};
use crate::backend::{Keep, RunError};
use crate::base::Diagnostic;
use crate::chip::beside::{Beside, Places, Rates, Trial, Tried};
use crate::chip::build::Built;
use crate::chip::emulator::{Emulator, Mode};
use crate::chip::host::Machine;
use crate::chip::legalise::WEIGHTS;
use crate::execute::{self, Control};
use crate::ir::artefact::Unit;
use crate::ir::protocol::Point;
use crate::ir::{PopulationId, Projection, ProjectionId};
use crate::passes;

/// The rates of a circuit's first steps on its chip and here, and what of quantising changes them. Nothing of what the experiment does
/// after its first `simulate` is in them.
///
/// # Errors
/// What can't be built or run here.
pub fn rates(unit: &Unit, point: &Point, built: &Built, places: Places<'_>) -> Result<Rates, Diagnostic> {
    let allowed = allowed(MemoryLimit::Default);
    let mut writable = unit.clone();
    let network = &mut writable.network;
    // Rows that are made anew for each spike hold no weights.
    let stored: Vec<_> = network.projections().filter(|(.., p)| p.procedural.is_none()).map(|(id, ..)| id).collect();
    network.mutable.clone_from(&stored);
    passes::run(network);
    let (own, same) = (checked(unit, allowed)?, checked(&writable, allowed)?);
    let dt_ms = unit.network.dt_ms;
    let fail = |e: RunError| run_error(&e, dt_ms);
    let broken = |what: String| Diagnostic::error(WEIGHTS, format!("the package can't be run: {what}"));
    let bytes = built.package.write().map_err(broken)?;
    let machine = Machine::new(bytes, Mode::Strict).map_err(|e| broken(e.to_string()))?;
    let (kernels, _) = kernels(same, Backend::Native)?;
    let keep = vec![Keep::None; unit.network.populations().count()];
    let tried = |(id, _, to, p): (ProjectionId, _, PopulationId, &Projection)| Tried {
        path: p.path.clone(),
        target: unit.network.populations().position(|(population, _)| population == to),
        stored: stored.contains(&id),
        learns: unit.network.plasticity.iter().any(|r| r.projection == id).then(|| f64::from(p.delay.max()) * dt_ms),
    };
    let trial = Trial {
        populations: unit.network.populations().map(|(_, p)| (p.path.clone(), p.size)).collect(),
        projections: unit.network.projections().map(tried).collect(),
        dt_ms,
        duration_ms: unit.protocol.duration_hint_ms,
        quantising: &built.quantising,
        places,
    };
    let seed = built.package.manifest.seed;
    let fresh = || {
        let mut engine = here(same, kernels.as_ref(), seed, vec![], &keep, 1)?;
        execute::open(unit, point, seed, engine.as_mut())?;
        Ok(engine)
    };
    let mut chip = machine.engine(unit, own, vec![], &keep, 1).map_err(fail)?;
    execute::open(unit, point, seed, &mut chip).map_err(fail)?;
    trial.rates(&mut chip, &fresh).map_err(fail)
}

/// Executes the run of a package once more on this machine and compares the spikes.
///
/// # Errors
/// What can't be built or run here.
pub fn beside(
    unit: &Unit,
    point: &Point,
    chip: &Emulator,
    backend: Backend,
    limit: MemoryLimit,
    threads: usize,
    control: &Control<'_>,
) -> Result<Vec<Beside>, Diagnostic> {
    let network = checked(unit, allowed(limit))?;
    let fail = |e: RunError| run_error(&e, unit.network.dt_ms);
    let traces = execute::needs(unit, point, false).map_err(fail)?.traces;
    let (kernels, _) = kernels(network, backend)?;
    let keep = vec![Keep::All; unit.network.populations().count()];
    let seed = chip.manifest().seed;
    let mut engine = here(network, kernels.as_ref(), seed, traces, &keep, threads).map_err(fail)?;
    let outcome = execute::run(unit, point, seed, engine.as_mut(), control);
    if let Some(e) = outcome.error {
        return Err(fail(e));
    }
    let logs: Vec<_> = (0..keep.len()).map(|k| engine.spikes(k).clone()).collect();
    Ok(Beside::all(chip, engine.step(), &logs))
}
