//! What every room needs: source files and spans, diagnostics with stable codes, and how imports reach files.

pub mod diag;
pub mod source;

pub use diag::{Code, Diagnostic, Diagnostics, Label, Severity};
pub use source::{FileId, LoadError, Loader, SourceFile, SourceMap, Span};
pub use source::{LibraryError, ManifestPlace, ProjectError, ProjectFault};
