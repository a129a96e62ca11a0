//! What is legal, but hardly meant: a network that must run away or stay silent, names that nothing reads, expectations that no run
//! can change. All of it is warnings, told at the places that the author wrote, never at the standard library's.
//!
//! [`written`] looks at the typed model, before a size is known; [`laid_out`] at the lowered networks of an experiment.

mod balance;
pub mod error;
mod expectations;
mod unused;

use crate::base::{Diagnostics, FileId};
use crate::hir::Program;
use crate::ir::artefact::Job;
use crate::lower::Origins;

/// Warnings about what `file` says; experiments of other files don't count.
pub fn written(program: &Program, file: FileId, experiments: &[usize], diags: &mut Diagnostics) {
    let own: Vec<_> = experiments.iter().map(|k| &program.experiments[*k]).collect();
    unused::names(program, file, &own, diags);
    unused::populations(program, file, &own, diags);
    unused::hidden_params(program, file, diags);
    unused::events(program, file, &own, diags);
    own.iter().for_each(|e| expectations::constant(program, e, diags));
}

/// Warnings about the networks of a job; `origins` by unit.
pub fn laid_out(job: &Job, origins: &[Origins], diags: &mut Diagnostics) {
    // A network without an experiment is a part: what it lacks may come from who uses it.
    if !job.experiment.is_empty() {
        balance::judge(job, origins, diags);
    }
}
