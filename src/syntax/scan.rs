//! One linear walk over the text before the parser: tokens for recovery, comments with their places, hostile nesting.
//!
//! It knows words, numbers, strings, comments and brackets, and nothing of the grammar. It leaves true: if [`Scan::new`]
//! reports no excess, the parser recurses at most [`MAX_DEPTH`] brackets and pending `if`s deep.

use super::error::{SyntaxError, codes};
use crate::base::{FileId, Span};

/// Deepest nesting of the tree, and of brackets and pending `if`s in the text.
pub const MAX_DEPTH: usize = 256;
/// Largest source file in bytes.
pub const MAX_FILE: usize = 16 << 20;
/// Longest name in bytes.
pub const MAX_NAME: usize = 1 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Word,
    Number,
    /// Closed on its line.
    String,
    /// Runs to the end of its line without a closing quote.
    OpenString,
    Comment,
    /// One of `( [ {`.
    Open(u8),
    /// One of `) ] }`.
    Close(u8),
    /// An operator or mark of one to three characters.
    Mark,
    /// A character that no rule of the language begins with.
    Stray,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn text(self, source: &str) -> &str {
        &source[self.start..self.end]
    }
}

/// The tokens of a text, white space left out; never fails, covers every other byte.
pub struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str, from: usize) -> Lexer<'t> {
        Lexer { text, at: from }
    }

    fn run(&self, from: usize, keep: impl Fn(u8) -> bool) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while at < bytes.len() && keep(bytes[at]) {
            at += 1;
        }
        at
    }

    fn number_end(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let digits = |from: usize| self.run(from, |b| b.is_ascii_digit() || b == b'_');
        let mut end = digits(start);
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digit(end + 1 + sign) {
                end = digits(end + 1 + sign);
            }
        }
        end
    }

    fn string_end(&self, start: usize) -> (usize, TokenKind) {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => return (at + 1, TokenKind::String),
                b'\n' | b'\r' => return (at, TokenKind::OpenString),
                b'\\' if at + 1 < bytes.len() && !matches!(bytes[at + 1], b'\n' | b'\r') => at += 2,
                _ => at += 1,
            }
        }
        // A backslash may have stepped into the middle of a character, but never past the end of the text.
        (bytes.len(), TokenKind::OpenString)
    }
}

const LONG_MARKS: [&str; 14] = ["<->", "->", "<-", "..", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "&&", "||"];

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.run(self.at, |b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        let bytes = self.text.as_bytes();
        let first = *bytes.get(start)?;
        let rest = &self.text[start..];
        let (end, kind) = match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                (self.run(start, |b| b.is_ascii_alphanumeric() || b == b'_'), TokenKind::Word)
            }
            b'0'..=b'9' => (self.number_end(start), TokenKind::Number),
            b'"' => self.string_end(start),
            b'/' if rest.starts_with("//") => (self.run(start, |b| b != b'\n'), TokenKind::Comment),
            b'(' | b'[' | b'{' => (start + 1, TokenKind::Open(first)),
            b')' | b']' | b'}' => (start + 1, TokenKind::Close(first)),
            _ => {
                let long = LONG_MARKS.iter().find(|m| rest.starts_with(**m));
                let width = long.map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), |m| m.len());
                // `%` and micro signs are parts of units.
                let known =
                    long.is_some() || b".,:;=+-*/^<>'%".contains(&first) || rest.starts_with(['\u{B5}', '\u{3BC}']);
                (start + width, if known { TokenKind::Mark } else { TokenKind::Stray })
            }
        };
        self.at = end;
        Some(Token { kind, start, end })
    }
}

/// A comment as found; `claimed` once an item has taken it for its documentation.
#[derive(Clone, Debug)]
pub struct RawComment {
    pub start: usize,
    pub end: usize,
    pub own_line: bool,
    claimed: bool,
}

/// What the walk leaves behind.
#[derive(Debug, Default)]
pub struct Scan {
    pub comments: Vec<RawComment>,
    /// Runs of `///` lines: where the item after them starts, and which comments they are. In order of place.
    docs: Vec<(usize, Vec<usize>)>,
    /// Findings that need no grammar.
    pub errors: Vec<SyntaxError>,
    /// True if parsing must not be tried.
    pub excess: bool,
    /// The deepest nesting of brackets and pending `if`s.
    pub depth: usize,
    /// Set once the excess of nesting is reported, so that it is reported once.
    pub deep_reported: bool,
}

impl Scan {
    /// Walks over `text` from byte `from` (past a byte order mark).
    pub fn new(file: FileId, text: &str, from: usize) -> Scan {
        let mut scan = Scan::default();
        let mut run: Vec<usize> = Vec::new();
        // For each open bracket the number of `if`s in it that still wait for their `else`.
        let mut pending: Vec<usize> = vec![0];
        let mut waiting = 0;
        let mut line_start = from;
        let mut last_end = from;
        for token in Lexer::new(text, from) {
            if let Some(k) = text.as_bytes()[last_end..token.start].iter().rposition(|b| *b == b'\n') {
                line_start = last_end + k + 1;
            }
            let own_line = last_end <= line_start;
            last_end = token.end;
            if token.kind == TokenKind::Comment {
                let end = token.start + text[token.start..token.end].trim_end_matches([' ', '\t', '\r']).len();
                let body = &text[token.start..end];
                if own_line && body.starts_with("///") && !body.starts_with("////") {
                    run.push(scan.comments.len());
                }
                scan.comments.push(RawComment { start: token.start, end, own_line, claimed: false });
                continue;
            }
            if !run.is_empty() {
                scan.docs.push((token.start, std::mem::take(&mut run)));
            }
            match token.kind {
                TokenKind::Word => {
                    if token.end - token.start > MAX_NAME {
                        let bytes = token.end - token.start;
                        scan.errors.push(SyntaxError::new(
                            codes::NAME_TOO_LONG,
                            Span::new(file, token.start, token.end),
                            format!("a name of {bytes} bytes; the longest allowed has {MAX_NAME}"),
                            "this name",
                        ));
                    }
                    let here = pending.last_mut();
                    match (token.text(text), here) {
                        ("if", Some(n)) => {
                            *n += 1;
                            waiting += 1;
                        }
                        ("else", Some(n)) if *n > 0 => {
                            *n -= 1;
                            waiting -= 1;
                        }
                        _ => {}
                    }
                }
                TokenKind::Open(bracket) => {
                    if bracket == b'{' {
                        waiting -= pending.last_mut().map_or(0, std::mem::take);
                    }
                    pending.push(0);
                }
                TokenKind::Close(_) if pending.len() > 1 => waiting -= pending.pop().unwrap_or(0),
                TokenKind::Mark if token.text(text) == ";" => waiting -= pending.last_mut().map_or(0, std::mem::take),
                _ => {}
            }
            scan.depth = scan.depth.max(pending.len() - 1 + waiting);
            if scan.depth > MAX_DEPTH {
                scan.errors.push(too_deep(Span::new(file, token.start, token.end)));
                scan.excess = true;
                scan.deep_reported = true;
                break;
            }
        }
        scan
    }

    /// The documentation of the item that starts at `start`, its slashes and one blank cut off.
    pub fn take_docs(&mut self, text: &str, start: usize) -> Vec<String> {
        let Ok(k) = self.docs.binary_search_by_key(&start, |(at, _)| *at) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for id in std::mem::take(&mut self.docs[k].1) {
            let comment = &mut self.comments[id];
            comment.claimed = true;
            let line = &text[comment.start + 3..comment.end];
            lines.push(line.strip_prefix(' ').unwrap_or(line).to_owned());
        }
        lines
    }

    /// Where the last token before `end` ends: white space and comments cut off, but never back past `start`.
    pub fn trim_end(&self, text: &str, start: usize, end: usize) -> usize {
        let mut end = end;
        loop {
            end = start + text[start..end].trim_end_matches([' ', '\t', '\r', '\n']).len();
            match self.comments.binary_search_by_key(&end, |c| c.end) {
                Ok(k) if self.comments[k].start >= start => end = self.comments[k].start,
                _ => return end,
            }
        }
    }

    /// What is left as plain comments.
    pub fn plain_comments(&self, file: FileId, text: &str) -> Vec<super::ast::Comment> {
        self.comments
            .iter()
            .filter(|c| !c.claimed)
            .map(|c| super::ast::Comment {
                span: Span::new(file, c.start, c.end),
                text: text[c.start..c.end].to_owned(),
                own_line: c.own_line,
            })
            .collect()
    }
}

/// The error for nesting beyond [`MAX_DEPTH`].
pub fn too_deep(span: Span) -> SyntaxError {
    SyntaxError::new(
        codes::TOO_DEEP,
        span,
        format!("nested more than {MAX_DEPTH} deep"),
        "the nesting goes too deep here",
    )
    .help("give parts a name with `let`; a long chain of operators counts one level for each, so use `sum([..])` or a table")
}
