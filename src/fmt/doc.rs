//! A small layout engine after Wadler (2003): a document says where lines may break, the printer decides which do.
//!
//! A group is printed on one line if it fits the width, else all its own lines break. A fill breaks only where it must.
//! Printing walks an explicit stack, and every document knows its flat width, so the time is linear in its size.

/// Longest line that the formatter makes if it can.
pub(super) const WIDTH: usize = 120;
const INDENT: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Doc {
    kind: Kind,
    /// Width on one line; `None` if it can't stand on one.
    flat: Option<usize>,
}

#[derive(Clone, Debug)]
enum Kind {
    Text(String),
    /// A possible line break: `flat` stands in its place if the group is on one line; `None` always breaks. With `blank` an
    /// empty line is left if it breaks.
    Line {
        flat: Option<&'static str>,
        blank: bool,
    },
    /// A comment for the end of the line; whatever is printed next starts a new one.
    Suffix(String),
    Nest(Box<Doc>),
    Group(Box<Doc>),
    Concat(Vec<Doc>),
    /// Content and separators in turn.
    Fill(Vec<Doc>),
}

pub(super) fn text(text: impl Into<String>) -> Doc {
    let text = text.into();
    let flat = Some(text.chars().count());
    Doc { kind: Kind::Text(text), flat }
}

pub(super) fn nil() -> Doc {
    Doc { kind: Kind::Concat(Vec::new()), flat: Some(0) }
}

/// A break that reads as `flat` where it is not taken.
pub(super) fn line(flat: &'static str) -> Doc {
    Doc { kind: Kind::Line { flat: Some(flat), blank: false }, flat: Some(flat.len()) }
}

/// [`line`] that leaves an empty line where it is taken.
pub(super) fn line_or_blank(flat: &'static str, blank: bool) -> Doc {
    Doc { kind: Kind::Line { flat: Some(flat), blank }, flat: Some(flat.len()) }
}

pub(super) fn hard(blank: bool) -> Doc {
    Doc { kind: Kind::Line { flat: None, blank }, flat: None }
}

pub(super) fn suffix(comment: &str) -> Doc {
    Doc { kind: Kind::Suffix(comment.to_owned()), flat: None }
}

/// A comment on a line of its own: nothing around it fits on one line.
pub(super) fn comment(text: &str) -> Doc {
    Doc { kind: Kind::Text(text.to_owned()), flat: None }
}

pub(super) fn nest(doc: Doc) -> Doc {
    Doc { flat: doc.flat, kind: Kind::Nest(Box::new(doc)) }
}

pub(super) fn group(doc: Doc) -> Doc {
    Doc { flat: doc.flat, kind: Kind::Group(Box::new(doc)) }
}

fn sum(parts: &[Doc]) -> Option<usize> {
    parts.iter().map(|d| d.flat).sum()
}

pub(super) fn concat(parts: Vec<Doc>) -> Doc {
    Doc { flat: sum(&parts), kind: Kind::Concat(parts) }
}

/// `contents` with `separator` between, broken only where the next content does not fit.
pub(super) fn fill(contents: Vec<Doc>, separator: &Doc) -> Doc {
    let mut parts = Vec::with_capacity(contents.len() * 2);
    for content in contents {
        if !parts.is_empty() {
            parts.push(separator.clone());
        }
        parts.push(content);
    }
    Doc { flat: sum(&parts), kind: Kind::Fill(parts) }
}

impl Doc {
    pub(super) fn fits_on_a_line(&self) -> bool {
        self.flat.is_some()
    }
}

#[derive(Clone, Copy)]
struct Frame<'d> {
    indent: usize,
    flat: bool,
    what: Work<'d>,
}

#[derive(Clone, Copy)]
enum Work<'d> {
    Doc(&'d Doc),
    /// The rest of a fill.
    Fill(&'d [Doc]),
}

struct Printer {
    out: String,
    column: usize,
    suffix: String,
}

impl Printer {
    fn newline(&mut self, indent: usize, blank: bool) {
        if !self.suffix.is_empty() {
            self.out.push(' ');
            self.out.push_str(&std::mem::take(&mut self.suffix));
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push_str(if blank { "\n\n" } else { "\n" });
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    fn text(&mut self, text: &str, indent: usize) {
        if !self.suffix.is_empty() && !text.is_empty() {
            // What follows a comment on its line would be part of it.
            self.newline(indent, false);
        }
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}

/// The text of `doc`, without a line end at its end.
pub(super) fn print(doc: &Doc) -> String {
    let mut printer = Printer { out: String::new(), column: 0, suffix: String::new() };
    let mut stack = vec![Frame { indent: 0, flat: false, what: Work::Doc(doc) }];
    while let Some(frame) = stack.pop() {
        let Frame { indent, flat, what } = frame;
        let doc = match what {
            Work::Doc(doc) => doc,
            Work::Fill(parts) => {
                print_fill(parts, indent, &mut stack, &printer);
                continue;
            }
        };
        match &doc.kind {
            Kind::Text(text) => printer.text(text, indent),
            Kind::Line { flat: Some(text), .. } if flat && printer.suffix.is_empty() => printer.text(text, indent),
            Kind::Line { blank, .. } => printer.newline(indent, *blank),
            Kind::Suffix(comment) => {
                if !printer.suffix.is_empty() {
                    printer.newline(indent, false);
                }
                printer.suffix = comment.clone();
            }
            Kind::Nest(inner) => {
                stack.push(Frame { indent: indent + INDENT, flat, what: Work::Doc(inner) });
            }
            Kind::Group(inner) => {
                let flat = flat || fits(inner, &stack, printer.column);
                stack.push(Frame { indent, flat, what: Work::Doc(inner) });
            }
            Kind::Concat(parts) => {
                stack.extend(parts.iter().rev().map(|d| Frame { indent, flat, what: Work::Doc(d) }));
            }
            Kind::Fill(parts) if flat => {
                stack.extend(parts.iter().rev().map(|d| Frame { indent, flat, what: Work::Doc(d) }));
            }
            Kind::Fill(parts) => stack.push(Frame { indent, flat, what: Work::Fill(parts) }),
        }
    }
    printer.newline(0, false);
    printer.out.truncate(printer.out.trim_end_matches('\n').len());
    printer.out
}

/// One step of a fill: its first content, and the separator after it, broken if the next content does not fit behind.
fn print_fill<'d>(parts: &'d [Doc], indent: usize, stack: &mut Vec<Frame<'d>>, printer: &Printer) {
    let Some((content, rest)) = parts.split_first() else {
        return;
    };
    let content_fits = content.flat.is_some_and(|w| printer.column + w <= WIDTH);
    if let Some((separator, after)) = rest.split_first() {
        let both = content.flat.zip(separator.flat).zip(after.first().and_then(|d| d.flat));
        // One column more for the comma behind the next content.
        let next_fits = both.is_some_and(|((c, s), n)| printer.column + c + s + n <= WIDTH);
        stack.push(Frame { indent, flat: false, what: Work::Fill(after) });
        stack.push(Frame { indent, flat: next_fits, what: Work::Doc(separator) });
    }
    stack.push(Frame { indent, flat: content_fits, what: Work::Doc(content) });
}

/// True if `doc` and what follows it up to the next line end fit behind `column`.
fn fits(doc: &Doc, rest: &[Frame<'_>], column: usize) -> bool {
    let Some(width) = doc.flat else {
        return false;
    };
    let Some(mut left) = WIDTH.checked_sub(column + width) else {
        return false;
    };
    let mut ahead: Vec<Frame<'_>> = Vec::new();
    for frame in rest.iter().rev() {
        ahead.push(*frame);
        while let Some(Frame { indent, flat, what }) = ahead.pop() {
            let (parts, flat) = match what {
                Work::Fill(parts) => (parts, false),
                Work::Doc(doc) => match &doc.kind {
                    Kind::Text(text) => match left.checked_sub(text.chars().count()) {
                        Some(l) => {
                            left = l;
                            continue;
                        }
                        None => return false,
                    },
                    Kind::Line { flat: Some(text), .. } if flat => match left.checked_sub(text.len()) {
                        Some(l) => {
                            left = l;
                            continue;
                        }
                        None => return false,
                    },
                    Kind::Line { .. } | Kind::Suffix(_) => return true,
                    Kind::Nest(inner) | Kind::Group(inner) => (std::slice::from_ref(&**inner), flat),
                    Kind::Concat(parts) | Kind::Fill(parts) => (parts.as_slice(), flat),
                },
            };
            ahead.extend(parts.iter().rev().map(|d| Frame { indent, flat, what: Work::Doc(d) }));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &[String]) -> Doc {
        let args = args.iter().map(|a| concat(vec![text(a.clone())])).collect::<Vec<_>>();
        let n = args.len();
        let args = args.into_iter().enumerate().map(|(k, a)| if k + 1 < n { concat(vec![a, text(",")]) } else { a });
        group(concat(vec![
            text("f("),
            nest(concat(vec![line(""), fill(args.collect(), &line(" "))])),
            line(""),
            text(")"),
        ]))
    }

    #[test]
    fn a_group_breaks_only_if_it_must() {
        assert_eq!(print(&call(&["a".into(), "b".into()])), "f(a, b)");
        let wide: Vec<String> = (0..60).map(|k| format!("a{k}")).collect();
        let out = print(&call(&wide));
        assert!(out.lines().count() > 2 && out.lines().all(|l| l.len() <= WIDTH), "{out}");
    }

    #[test]
    fn nothing_is_printed_behind_a_comment() {
        let doc = group(concat(vec![text("a"), suffix("// c"), text("b"), line(" "), text("c")]));
        assert_eq!(print(&doc), "a // c\nb\nc");
    }

    #[test]
    fn blank_lines_carry_no_spaces() {
        let doc = nest(concat(vec![text("a"), hard(true), text("b")]));
        assert_eq!(print(&doc), "a\n\n    b");
    }
}
