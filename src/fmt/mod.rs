//! Tree to canonical text: one layout, no options.
//!
//! It takes for granted that the tree comes from `text`. It leaves true: the text it gives parses to the same tree, formats
//! to itself, and holds every comment. The layout depends on the tree alone, except that an empty line between two items
//! stays (one at most).
//!
//! - Four spaces, at most 120 columns where a break is possible, one item per line, no `;` between lines.
//! - Bodies of models, rules, circuits, experiments and sleeps always have one item per line.
//! - Clauses of a projection, population, region or memory stand on one line, two spaces apart, if they fit.
//! - The block of a receptor, a handler or a spike stands on one line if it fits and holds no further block; the block of a
//!   loop or an `if` only if it holds a single such statement.
//! - A comment between two items, arguments or clauses stays there; one inside an expression moves above its item.

mod doc;
mod expr;
mod items;
mod stmts;
#[cfg(test)]
mod tests;

use crate::base::Span;
use crate::syntax::ast::*;
use crate::syntax::scan::{Lexer, TokenKind};

use doc::{Doc, comment as comment_line, concat, group, hard, line, line_or_blank, nest, nil, print, suffix, text};

/// The canonical text of `file`, which was parsed from `text`. Items that did not parse are given back as they stand.
pub fn format(file: &File, text: &str) -> String {
    let mut formatter = Formatter { text, comments: &file.comments, next: 0, hoisted: Vec::new() };
    let things = formatter.things(&file.items, 0, text.len(), |f, item, span| f.item(item, span));
    let mut out = print(&things.stacked());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

struct Formatter<'a> {
    text: &'a str,
    comments: &'a [Comment],
    /// The first comment not yet placed.
    next: usize,
    /// Comments of the current item that have no place inside it.
    hoisted: Vec<&'a Comment>,
}

/// What stands in a body, in order: comments and items, each with whether an empty line comes before it.
#[derive(Default)]
struct Things {
    /// A comment behind the opening brace.
    head: Option<Doc>,
    list: Vec<(bool, Doc)>,
}

impl Things {
    /// One per line.
    fn stacked(self) -> Doc {
        let mut parts = Vec::new();
        for (k, (blank, doc)) in self.list.into_iter().enumerate() {
            if k > 0 {
                parts.push(hard(blank));
            }
            parts.push(doc);
        }
        concat(parts)
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty() && self.head.is_none()
    }

    /// `{ .. }` with one thing per line.
    fn braced(self) -> Doc {
        self.braced_by(hard)
    }

    /// `{ .. }` on one line with `separator` between things where the group around it fits.
    fn braced_with(self, separator: &'static str) -> Doc {
        self.braced_by(|blank| line_or_blank(separator, blank))
    }

    fn braced_by(self, separator: impl Fn(bool) -> Doc) -> Doc {
        if self.is_empty() {
            return text("{}");
        }
        let mut parts = vec![self.head.unwrap_or_else(nil)];
        let mut soft = true;
        for (k, (blank, doc)) in self.list.into_iter().enumerate() {
            let between = if k == 0 { separator(false) } else { separator(blank) };
            soft &= between.fits_on_a_line();
            parts.push(match k {
                0 if soft => line(" "),
                _ => between,
            });
            parts.push(doc);
        }
        let end = if soft { line(" ") } else { hard(false) };
        concat(vec![text("{"), nest(concat(parts)), end, text("}")])
    }
}

impl<'a> Formatter<'a> {
    fn gap(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// True if an empty line stands between two things of which the later may have documentation before it.
    fn blank_between(&self, from: usize, to: usize) -> bool {
        let gap = self.gap(from, to);
        let gap = gap.split("///").next().unwrap_or_default();
        gap.bytes().filter(|b| *b == b'\n').count() > 1
    }

    fn comment_before(&mut self, end: usize) -> Option<&'a Comment> {
        let comment = self.comments.get(self.next).filter(|c| (c.span.start as usize) < end)?;
        self.next += 1;
        Some(comment)
    }

    /// Lays out the items of a body with the comments before, between and after them. `from` is where the body's head ends,
    /// `to` where the body ends.
    fn things<T>(
        &mut self,
        items: &'a [Documented<T>],
        from: usize,
        to: usize,
        mut each: impl FnMut(&mut Self, &'a T, Span) -> Doc,
    ) -> Things {
        let mut things = Things::default();
        let mut last = from;
        for item in items {
            let (start, end) = (item.span.start as usize, item.span.end as usize);
            last = self.loose_comments(&mut things, last, start);
            let outer = std::mem::take(&mut self.hoisted);
            let body = each(self, &item.kind, item.span);
            while let Some(comment) = self.comment_before(end) {
                self.hoisted.push(comment);
            }
            let mut parts = Vec::new();
            for comment in std::mem::replace(&mut self.hoisted, outer) {
                parts.extend([text(&comment.text), hard(false)]);
            }
            for doc in &item.doc {
                parts.extend([text(format!("/// {doc}").trim_end()), hard(false)]);
            }
            parts.push(body);
            things.list.push((self.blank_between(last, start), concat(parts)));
            last = end;
        }
        self.loose_comments(&mut things, last, to);
        things
    }

    /// Places the comments before byte `to` that belong to no item; gives the end of the last thing before `to`.
    fn loose_comments(&mut self, things: &mut Things, last: usize, to: usize) -> usize {
        let mut last = last;
        let mut may_trail = true;
        while let Some(comment) = self.comment_before(to) {
            let start = comment.span.start as usize;
            let trails = !comment.own_line && may_trail && !(things.list.is_empty() && last == 0);
            if trails {
                match things.list.last_mut() {
                    Some((_, doc)) => *doc = concat(vec![std::mem::replace(doc, nil()), suffix(&comment.text)]),
                    None => things.head = Some(suffix(&comment.text)),
                }
            } else {
                things.list.push((self.blank_between(last, start), comment_line(&comment.text)));
            }
            may_trail = false;
            last = comment.span.end as usize;
        }
        last
    }

    /// Lays out parts of one item that are set apart by `separator` (`,` or nothing): arguments, bindings, clauses. Comments
    /// between them stay between them. `from` is where the part before the first ends; comments up to `to` that follow the
    /// last part belong to it.
    fn parts<T>(
        &mut self,
        list: &'a [T],
        separator: &str,
        from: usize,
        to: Option<usize>,
        span: impl Fn(&T) -> (usize, usize),
        mut each: impl FnMut(&mut Self, &'a T) -> Doc,
    ) -> Vec<Doc> {
        let mut docs: Vec<Doc> = Vec::with_capacity(list.len());
        let mut last = from;
        for (k, part) in list.iter().enumerate() {
            let (start, end) = span(part);
            let mut lead = Vec::new();
            while let Some(comment) = self.comment_before(start) {
                if (comment.span.start as usize) < last {
                    self.hoisted.push(comment);
                } else if comment.own_line || docs.is_empty() || !lead.is_empty() {
                    lead.extend([text(&comment.text), hard(false)]);
                } else if let Some(before) = docs.last_mut() {
                    *before = concat(vec![std::mem::replace(before, nil()), suffix(&comment.text)]);
                }
            }
            lead.push(each(self, part));
            if k + 1 < list.len() {
                lead.push(text(separator));
            }
            docs.push(concat(lead));
            last = end;
        }
        if let (Some(to), Some(doc)) = (to, docs.last_mut()) {
            let mut tail = vec![std::mem::replace(doc, nil())];
            let mut trailing = true;
            while let Some(comment) = self.comment_before(to) {
                if (comment.span.start as usize) < last {
                    self.hoisted.push(comment);
                } else if trailing && !comment.own_line {
                    tail.push(suffix(&comment.text));
                } else {
                    tail.extend([hard(false), text(&comment.text)]);
                }
                trailing = false;
            }
            *doc = concat(tail);
        }
        docs
    }

    /// Clauses in braces: on one line, two spaces apart, if they fit.
    fn clauses_in_braces(&self, docs: Vec<Doc>) -> Doc {
        let list = docs.into_iter().map(|d| (false, d)).collect();
        group(Things { head: None, list }.braced_with("  "))
    }

    /// The offset of the `}` that closes a body whose last part ends at `from`.
    fn close_after(&self, from: usize) -> usize {
        Lexer::new(self.text, from.min(self.text.len()))
            .find(|t| t.kind == TokenKind::Close(b'}'))
            .map_or(self.text.len(), |t| t.start)
    }

    /// What did not parse, as it stands; its comments are part of it.
    fn verbatim(&mut self, span: Span) -> Doc {
        while self.comment_before(span.end as usize).is_some() {}
        let mut parts = Vec::new();
        for (k, piece) in self.gap(span.start as usize, span.end as usize).lines().enumerate() {
            if k > 0 {
                parts.push(hard(false));
            }
            parts.push(text(piece.trim()));
        }
        concat(parts)
    }
}
