//! What stops a run, as diagnostics: codes E0701 to E0706 and E0709, each with a page in `base/explain`.

use crate::backend::RunError;
use crate::base::{Code, Diagnostic};
use crate::script::EvalError;
use crate::units::number;

pub const NOT_FINITE: Code = Code("E0701");
pub const NOT_BUILT: Code = Code("E0702");
pub const STATEMENT: Code = Code("E0703");
pub const LIMIT: Code = Code("E0704");
pub const TOO_MANY_STEPS: Code = Code("E0705");
pub const OUTSIDE: Code = Code("E0706");
pub const CHIP: Code = Code("E0709");

/// All codes of this room.
pub const RUN_CODES: [Code; 7] = [NOT_FINITE, NOT_BUILT, STATEMENT, LIMIT, TOO_MANY_STEPS, OUTSIDE, CHIP];

/// Why the walk over the statements ended before the last one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Halt {
    Interrupted,
    Failed(RunError),
}

impl From<RunError> for Halt {
    fn from(e: RunError) -> Halt {
        Halt::Failed(e)
    }
}

/// An expression that failed at `place`.
pub(super) fn script(place: &str, error: EvalError) -> Halt {
    Halt::Failed(RunError::Script { place: place.to_string(), message: error.message, help: error.help })
}

/// A run's error with its code. `dt_ms` turns steps into times.
pub fn diagnostic(error: &RunError, dt_ms: f64) -> Diagnostic {
    match error {
        RunError::NotFinite { population, neuron, step, variable, value } => {
            let time = number(*step as f64 * dt_ms);
            let what = if value.is_nan() { "not a number".to_string() } else { number(*value) };
            Diagnostic::error(NOT_FINITE, format!("`{variable}` of `{population}[{neuron}]` became {what} at {time} ms"))
                .note("what was recorded up to then is kept")
                .help(format!(
                    "a smaller step (`--dt`, now {} ms) or another `integrate with` may help; check divisions and powers in \
                     its equation",
                    number(dt_ms)
                ))
        }
        RunError::TooManySteps { population, neuron, step, limit } => {
            let time = number(*step as f64 * dt_ms);
            Diagnostic::error(
                TOO_MANY_STEPS,
                format!("`{population}[{neuron}]` needed more than {limit} adaptive steps before {time} ms"),
            )
            .note("what was recorded up to then is kept")
            .help("raise the `tolerance` of rkf45; an equation that jumps has no smooth solution")
        }
        RunError::Build(message) => Diagnostic::error(NOT_BUILT, format!("the network could not be built: {message}")),
        RunError::Script { place, message, help } => {
            Diagnostic::error(STATEMENT, message.clone()).note(format!("at {place}")).maybe_help(help.clone())
        }
        RunError::Outside { place, message, notes, help } => {
            let mut d = Diagnostic::error(OUTSIDE, message.clone());
            for note in notes {
                d = d.note(note.clone());
            }
            d.note(format!("at {place}")).maybe_help(help.clone())
        }
        RunError::Limit(message) => Diagnostic::error(LIMIT, message.clone()),
        RunError::Memory { message, most, step } => Diagnostic::error(LIMIT, message.clone())
            .note(format!(
                "at {} ms, most of it for {most}; what was recorded up to then is kept",
                number(*step as f64 * dt_ms)
            ))
            .help("record fewer cells, `every` some milliseconds, or raise the limit: --memory-limit 64GB"),
        RunError::Chip { message, help } => {
            Diagnostic::error(CHIP, format!("the chip stopped: {message}")).maybe_help(help.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_finite_is_told_with_its_place_and_time() {
        let error = RunError::NotFinite {
            population: "bg.D1".into(),
            neuron: 3,
            step: 1234,
            variable: "V".into(),
            value: f64::NEG_INFINITY,
        };
        let d = diagnostic(&error, 0.1);
        assert_eq!(d.code, NOT_FINITE);
        assert_eq!(d.message, "`V` of `bg.D1[3]` became -inf at 123.4 ms");
    }
}
