//! What every room needs: source files and spans, diagnostics with stable codes, how imports reach files, and files of sections
//! with checksums, room on the stack.

pub mod diag;
pub mod sections;
pub mod source;
pub mod stack;

pub use diag::{Code, Diagnostic, Diagnostics, Label, Severity};
pub use source::{FileId, LoadError, Loader, SourceFile, SourceMap, Span};
pub use source::{LibraryError, ManifestPlace, ProjectError, ProjectFault};
