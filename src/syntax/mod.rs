//! Text to tree. [`parse`] never fails: it gives a tree and the list of what is wrong.
//!
//! It takes for granted only that the text is UTF-8. It leaves true: spans are exact byte ranges of the file; the tree is at
//! most [`scan::MAX_DEPTH`] levels deep, so that later rooms may recurse over it; every item that did not parse is a
//! `Broken` node with one error, and everything else is in the tree. Parsing takes time linear in the text.
//!
//! The path of a text: [`scan`] (comments, hostile nesting) -> `parser` (pest, `grammar/nsm.pest`) -> `builder`; if the
//! parser stops, `recover` cuts the text into items and tries each alone, and `message` says what is wrong with it.

pub mod ast;
mod builder;
mod builder_circuit;
mod builder_expr;
mod builder_model;
mod builder_stmt;
pub mod error;
pub mod lexical;
mod message;
mod parser;
mod recover;
pub mod scan;
#[cfg(test)]
pub(crate) mod tests;
mod words;

pub use error::{SyntaxError, codes};

use crate::base::{FileId, Span};

/// What a text gives: a tree in any case, and the errors in order of place.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    pub file: ast::File,
    pub errors: Vec<SyntaxError>,
    /// Names that pieces of bodies would have declared, had they been readable.
    pub lost: Vec<String>,
}

/// Most errors reported of one file; a text that breaks this often is no `.nsm` file.
pub const MAX_ERRORS: usize = 200;

/// Parses one file. Never panics; a text over the limits gives an empty tree and an error. Of more than [`MAX_ERRORS`]
/// errors the first ones are kept.
pub fn parse(file: FileId, text: &str) -> Parsed {
    if text.len() > scan::MAX_FILE {
        let megabytes = text.len() >> 20;
        let error = SyntaxError::new(
            codes::FILE_TOO_LARGE,
            Span::new(file, 0, 0),
            format!("a file of {megabytes} MiB; the largest allowed has {} MiB", scan::MAX_FILE >> 20),
            "this file",
        )
        .help("keep tables of numbers in data files and read them with `file(\"..\")`");
        return Parsed { errors: vec![error], ..Parsed::default() };
    }
    // A byte order mark is not part of the text.
    let from = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let mut scan = scan::Scan::new(file, text, from);
    let mut errors = std::mem::take(&mut scan.errors);
    let (items, lost) =
        if scan.excess { Default::default() } else { with_room(file, text, from, &mut scan, &mut errors) };
    errors.sort_by_key(|e| (e.span, e.code));
    errors.dedup();
    errors.truncate(MAX_ERRORS);
    Parsed { file: ast::File { items, comments: scan.plain_comments(file, text) }, errors, lost }
}

/// Nesting up to which the caller's stack is sure to do: a level costs the parser up to 10 KiB in an unoptimised build, and
/// threads may have as little as 2 MiB.
const SHALLOW: usize = 48;
/// Enough for [`scan::MAX_DEPTH`] levels in any build; only what is touched is ever backed by memory.
const DEEP_STACK: usize = 64 << 20;

/// Parses on a stack that is large enough for the nesting that the scan has seen.
fn with_room(
    file: FileId,
    text: &str,
    from: usize,
    scan: &mut scan::Scan,
    errors: &mut Vec<SyntaxError>,
) -> (Vec<ast::Item>, Vec<String>) {
    if scan.depth <= SHALLOW {
        return recover::items(file, text, from, scan, errors);
    }
    let mut items = None;
    std::thread::scope(|scope| {
        let parse = || items = Some(recover::items(file, text, from, scan, errors));
        // Without a thread there is no tree; the error below says so.
        if let Ok(thread) = std::thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, parse) {
            let _ = thread.join();
        }
    });
    items.unwrap_or_else(|| {
        errors.push(scan::too_deep(Span::new(file, from, from)));
        Default::default()
    })
}
