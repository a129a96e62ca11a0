//! What the syntax can find wrong. One type, plain data, turned into a diagnostic at the door of the room.

use crate::base::{Code, Diagnostic, Span};

/// The codes of this room; each has its page under `nsmc explain`.
pub mod codes {
    use crate::base::Code;

    /// Something else was expected here.
    pub const UNEXPECTED: Code = Code("E0001");
    /// Nested deeper than 256.
    pub const TOO_DEEP: Code = Code("E0002");
    /// A file over 16 MiB.
    pub const FILE_TOO_LARGE: Code = Code("E0003");
    /// A name over 1 KiB.
    pub const NAME_TOO_LONG: Code = Code("E0004");
    /// `5 mV/tau`: an operator sticks to a unit.
    pub const UNIT_OPERATOR: Code = Code("E0005");
    /// A string without its closing quote on the same line.
    pub const OPEN_STRING: Code = Code("E0006");
    /// A bracket that is never closed, or one that closes nothing.
    pub const UNBALANCED: Code = Code("E0007");
    /// `.5`, `1.`, `1_`.
    pub const BAD_NUMBER: Code = Code("E0008");
    /// A word that opens no item here: a slip of the pen, or an item of another body.
    pub const UNKNOWN_ITEM: Code = Code("E0009");
    /// `"\q"`
    pub const BAD_ESCAPE: Code = Code("E0010");
    /// `#`, `@`, a letter outside ASCII.
    pub const BAD_CHARACTER: Code = Code("E0011");
    /// `&&`, `**`, `!`: an operator of another language.
    pub const FOREIGN_OPERATOR: Code = Code("E0012");
    /// `param at = 3`
    pub const RESERVED_NAME: Code = Code("E0013");
    /// `rate (E)`, `E [3]`: a bracket that must attach to its name.
    pub const DETACHED: Code = Code("E0014");
    /// `a < b < c`
    pub const CHAINED_COMPARISON: Code = Code("E0015");
    /// The tree builder met a shape that the grammar does not make: a bug in this room, not in the source.
    pub const INTERNAL: Code = Code("E0099");
}

#[derive(Clone, Debug, PartialEq)]
pub struct SyntaxError {
    pub code: Code,
    /// What was found and what was expected, in words.
    pub message: String,
    pub span: Span,
    /// What the span is marked with.
    pub label: String,
    /// What to try.
    pub help: Option<String>,
}

impl SyntaxError {
    pub fn new(code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) -> SyntaxError {
        SyntaxError { code, message: message.into(), span, label: label.into(), help: None }
    }

    pub fn help(mut self, text: impl Into<String>) -> SyntaxError {
        self.help = Some(text.into());
        self
    }

    pub fn into_diagnostic(self) -> Diagnostic {
        Diagnostic::error(self.code, self.message).label(self.span, self.label).maybe_help(self.help)
    }
}
