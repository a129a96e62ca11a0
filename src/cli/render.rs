//! Diagnostics for people: the source with marks, the code, what to try.

use super::terminal::Terminal;
use crate::base::{Diagnostic, FileId, Severity, SourceMap, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use std::fmt;
use std::sync::Arc;

/// One diagnostic as text, with a line end.
pub(super) fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool, unicode: bool) -> String {
    let theme = match (color, unicode) {
        (true, true) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (true, false) => GraphicalTheme { characters: miette::ThemeCharacters::ascii(), ..GraphicalTheme::unicode() },
        (false, false) => GraphicalTheme::none(),
    };
    let mut handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
    if !diagnostic.notes.is_empty() {
        // A table keeps its columns on lines of its own.
        let note = |n: &String| if n.contains('\n') { format!("note:\n{n}") } else { format!("note: {n}") };
        let notes: Vec<String> = diagnostic.notes.iter().map(note).collect();
        handler = handler.with_footer(notes.join("\n"));
    }
    let report = Report::new(diagnostic, sources);
    let mut text = String::new();
    if handler.render_report(&mut text, &report).is_err() {
        // Better plain than nothing.
        text = format!("{}: {}\n", diagnostic.code.0, diagnostic.message);
    }
    let mut lines: String = text.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    while lines.ends_with("\n\n") {
        lines.pop();
    }
    lines
}

/// One diagnostic as text without colours, as the command line shows it.
pub fn plain(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    render(diagnostic, sources, false, true)
}

/// `2 errors, 1 warning`; nothing where there is nothing to tell.
pub(super) fn tally(errors: usize, warnings: usize) -> Option<String> {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => None,
        (e, 0) => Some(count(e, "error")),
        (0, w) => Some(count(w, "warning")),
        (e, w) => Some(format!("{}, {}", count(e, "error"), count(w, "warning"))),
    }
}

/// Renders a list to standard error, with a closing line. Under `--quiet`, errors only.
pub(super) fn show<'a>(list: impl IntoIterator<Item = &'a Diagnostic>, sources: &SourceMap, terminal: &Terminal) {
    let (mut errors, mut warnings) = (0, 0);
    for d in list {
        match d.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
            Severity::Note => {}
        }
        if d.severity == Severity::Error || !terminal.quiet {
            super::terminal::err(&format!("{}\n", render(d, sources, terminal.color, terminal.unicode)));
        }
    }
    if let Some(line) = tally(errors, warnings)
        && !terminal.quiet
    {
        super::terminal::err(&format!("{line}\n"));
    }
}

/// A diagnostic as miette wants it. Labels in files other than that of the first one follow as reports of their own.
struct Report<'a> {
    message: &'a str,
    code: Option<&'a str>,
    help: Option<&'a str>,
    severity: miette::Severity,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report<'a>>,
}

impl<'a> Report<'a> {
    fn new(d: &'a Diagnostic, sources: &SourceMap) -> Report<'a> {
        let mut report = Report {
            message: &d.message,
            code: Some(d.code.0),
            help: d.help.as_deref(),
            severity: match d.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Note => miette::Severity::Advice,
            },
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
        };
        let mut files: Vec<FileId> = Vec::new();
        for label in &d.labels {
            if !files.contains(&label.span.file) {
                files.push(label.span.file);
            }
        }
        for (k, id) in files.into_iter().enumerate() {
            let Some(file) = sources.get(id) else { continue };
            let shown = Shown::new(&file.text, d.labels.iter().filter(|l| l.span.file == id).map(|l| l.span));
            let source = NamedSource::new(&file.name, Arc::clone(&shown.text));
            let here = d.labels.iter().enumerate().filter(|(_, l)| l.span.file == id);
            let labels: Vec<LabeledSpan> = here
                .map(|(n, l)| {
                    let text = Some(l.text.clone()).filter(|t| !t.is_empty());
                    let span = clamp(shown.span(l.span), &shown.text);
                    if n == 0 {
                        LabeledSpan::new_primary_with_span(text, span)
                    } else {
                        LabeledSpan::new_with_span(text, span)
                    }
                })
                .collect();
            if k == 0 {
                (report.source, report.labels) = (Some(source), labels);
            } else {
                report.related.push(Report {
                    message: "see also",
                    code: None,
                    help: None,
                    severity: miette::Severity::Advice,
                    source: Some(source),
                    labels,
                    related: Vec::new(),
                });
            }
        }
        report
    }
}

/// Longest line that is shown whole, and how much of a longer one is kept on each side of what is marked, in bytes.
const LONG_LINE: usize = 400;
const KEPT: usize = 100;

/// A file's text with over-long lines cut down to what is marked in them.
struct Shown {
    text: Arc<str>,
    /// Kept stretches: where each began in the file, its length, where it begins here.
    kept: Vec<(usize, usize, usize)>,
}

impl Shown {
    fn new(text: &Arc<str>, marks: impl Iterator<Item = Span>) -> Shown {
        if !text.lines().any(|l| l.len() > LONG_LINE) {
            return Shown { text: Arc::clone(text), kept: vec![(0, text.len(), 0)] };
        }
        let marks: Vec<usize> = marks.map(|s| s.start as usize).collect();
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|k| text.is_char_boundary(*k)).unwrap_or(0);
        let (mut out, mut kept, mut start) = (String::new(), Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let body = start + line.trim_end_matches(['\n', '\r']).len();
            let (from, to) = if body - start <= LONG_LINE {
                (start, end)
            } else {
                let centre = marks.iter().copied().find(|m| (start..end).contains(m)).unwrap_or(start);
                (floor(centre.saturating_sub(KEPT).max(start)), floor((centre + KEPT).min(body)))
            };
            if from > start {
                out.push('…');
            }
            kept.push((from, to - from, out.len()));
            out.push_str(&text[from..to]);
            if to < body {
                out.push('…');
            }
            if to < end {
                out.push_str(&text[body..end]);
            }
            start = end;
        }
        Shown { text: out.into(), kept }
    }

    /// Where a span of the file lies here.
    fn span(&self, span: Span) -> Span {
        let place = |at: u32| {
            let at = at as usize;
            let k = self.kept.partition_point(|(from, ..)| *from <= at).saturating_sub(1);
            let (from, len, here) = self.kept.get(k).copied().unwrap_or((0, 0, 0));
            here + at.saturating_sub(from).min(len)
        };
        Span::new(span.file, place(span.start), place(span.end))
    }
}

/// A span that lies in the text, on whole characters.
fn clamp(span: Span, text: &str) -> SourceSpan {
    let floor = |at: u32| {
        let mut at = (at as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    SourceSpan::new(start.into(), floor(span.end).saturating_sub(start))
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.code.map(|c| Box::new(c) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|s| s as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        let each = self.related.iter().map(|r| r as &dyn miette::Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(each) as Box<dyn Iterator<Item = &dyn miette::Diagnostic>>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Code;

    #[test]
    fn labels_stand_in_their_files() {
        let mut sources = SourceMap::default();
        let main = sources.add("main.nsm", "network N {\n    param V = 20 mv\n}\n");
        let other = sources.add("std/neurons/lif.nsm", "neuron Lif {\n    param V = 1 mV\n}\n");
        let d = Diagnostic::error(Code("E0301"), "unknown unit `mv`")
            .label(Span::new(main, 29, 31), "this word follows a number")
            .label(Span::new(main, 22, 23), "of this param")
            .label(Span::new(other, 23, 24), "declared here")
            .note("units are case-sensitive")
            .help("did you mean `mV`?");
        let text = render(&d, &sources, false, false);
        for part in [
            "E0301",
            "unknown unit `mv`",
            "main.nsm:2:18",
            "this word follows a number",
            "of this param",
            "std/neurons/lif.nsm:2:11",
            "declared here",
            "help: did you mean `mV`?",
            "note: units are case-sensitive",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(text.is_ascii());
        assert!(render(&d, &sources, true, false).contains("\x1b["));
    }

    #[test]
    fn strange_spans_are_shown_somehow() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.nsm", "µ\u{1F600}x");
        for (start, end) in [(0, 0), (1, 3), (5, 500), (400, 500), (7, 7), (6, 2)] {
            let d = Diagnostic::warning(Code("W0001"), "m").label(Span { file, start, end }, "here");
            assert!(render(&d, &sources, false, true).contains("W0001"));
        }
        let nowhere = Diagnostic::error(Code("E0001"), "m").label(Span::new(FileId(9), 0, 1), "here");
        assert!(render(&nowhere, &sources, false, false).contains("E0001"));
        let empty = sources.add("empty.nsm", "");
        let d = Diagnostic::error(Code("E0001"), "m").label(Span::new(empty, 0, 0), "");
        assert!(render(&d, &sources, false, false).contains("empty.nsm"));
    }

    #[test]
    fn the_tally_counts() {
        assert_eq!(tally(0, 0), None);
        assert_eq!(tally(1, 2).unwrap(), "1 error, 2 warnings");
    }
}
