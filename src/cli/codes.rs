//! What can go wrong between the command line and the files: codes E0801 to E0809.

use crate::base::{Code, Diagnostic, LoadError};
use std::io;
use std::path::Path;

/// A file that can't be read.
pub(super) const UNREADABLE: Code = Code("E0801");
/// An artefact that is damaged or of another format.
pub(super) const ARTEFACT: Code = Code("E0802");
/// A file or folder that can't be written.
pub(super) const UNWRITABLE: Code = Code("E0803");
/// A flag that does not fit the file: an unknown experiment, two experiments where one is meant.
pub(super) const USAGE: Code = Code("E0804");
/// Something that this version does not offer.
pub(super) const NOT_OFFERED: Code = Code("E0805");

/// A checkpoint that is damaged or of another format.
pub(super) const CHECKPOINT: Code = Code("E0806");
/// A checkpoint of another circuit, experiment or run.
pub(super) const OTHER_RUN: Code = Code("E0807");
/// A file of a chip's figures that can't be used.
pub(super) const FIGURES: Code = Code("E0808");

/// A file that is no NIR, or holds what has no counterpart here.
pub(super) const NIR: Code = Code("E0809");

/// All codes of this room.
pub const CLI_CODES: [Code; 9] =
    [UNREADABLE, ARTEFACT, UNWRITABLE, USAGE, NOT_OFFERED, CHECKPOINT, OTHER_RUN, FIGURES, NIR];

/// A file of the command line that can't be read.
pub fn unreadable(name: &str, error: &LoadError) -> Diagnostic {
    let (message, help) = match error {
        LoadError::NotFound => (format!("there is no file `{name}`"), None),
        LoadError::Outside { .. } => (format!("`{name}` lies outside the project"), None),
        LoadError::NotUtf8 { valid_up_to } => (
            format!("`{name}` is not UTF-8 text (byte {valid_up_to} is the first bad one)"),
            Some("save the file with the encoding UTF-8".to_string()),
        ),
        LoadError::TooLarge { bytes, limit } => {
            (format!("`{name}` has {bytes} bytes; a source file has at most {limit}"), None)
        }
        LoadError::Io(why) => (format!("`{name}` can't be read: {why}"), None),
    };
    Diagnostic::error(UNREADABLE, message).maybe_help(help)
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(UNWRITABLE, format!("`{}` can't be written: {error}", path.display()))
}

pub(super) fn usage(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(USAGE, message)
}

pub(super) fn not_offered(what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(NOT_OFFERED, format!("{what} is not available in nsmc {}", env!("CARGO_PKG_VERSION"))).help(help)
}
