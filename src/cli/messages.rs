//! Diagnostics for programs: JSON objects, one per line, with the fields of rustc's (doc.rust-lang.org/rustc/json.html), so that
//! tools that read those can read these. `label` is null where a mark says nothing; replacements are not offered.

use super::render;
use crate::base::{Diagnostic, Label, Severity, SourceMap};
use serde::Serialize;

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "$message_type")]
    message_type: &'static str,
    message: &'a str,
    code: Option<Code<'a>>,
    level: &'static str,
    spans: Vec<SpanOf<'a>>,
    children: Vec<Message<'a>>,
    rendered: Option<String>,
}

#[derive(Serialize)]
struct Code<'a> {
    code: &'a str,
    explanation: Option<&'static str>,
}

#[derive(Serialize)]
struct SpanOf<'a> {
    file_name: &'a str,
    byte_start: u32,
    byte_end: u32,
    line_start: usize,
    line_end: usize,
    column_start: usize,
    column_end: usize,
    is_primary: bool,
    label: Option<&'a str>,
    text: Vec<Line<'a>>,
    suggested_replacement: Option<&'static str>,
    suggestion_applicability: Option<&'static str>,
    expansion: Option<&'static str>,
}

/// A line of the source and which of its characters are marked: 1-based, the end left out.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    highlight_start: usize,
    highlight_end: usize,
}

/// One diagnostic as one line of JSON, with its line end.
pub(super) fn json(d: &Diagnostic, sources: &SourceMap) -> String {
    let child = |level, message| Message {
        message_type: "diagnostic",
        message,
        code: None,
        level,
        spans: Vec::new(),
        children: Vec::new(),
        rendered: None,
    };
    let notes = d.notes.iter().map(|n| child("note", n.as_str()));
    let help = d.help.iter().map(|h| child("help", h.as_str()));
    let message = Message {
        message_type: "diagnostic",
        message: &d.message,
        code: Some(Code { code: d.code.0, explanation: super::explain::page(d.code.0) }),
        level: match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        spans: d.labels.iter().enumerate().filter_map(|(k, l)| span(l, k == 0, sources)).collect(),
        children: notes.chain(help).collect(),
        rendered: Some(render::render(d, sources, false, true)),
    };
    // Plain structs of texts and numbers always have a JSON form.
    let mut line = serde_json::to_string(&message).unwrap_or_default();
    line.push('\n');
    line
}

fn span<'a>(label: &'a Label, is_primary: bool, sources: &'a SourceMap) -> Option<SpanOf<'a>> {
    let file = sources.get(label.span.file)?;
    let (line_start, column_start) = sources.line_column(label.span.file, label.span.start);
    let (line_end, column_end) = sources.line_column(label.span.file, label.span.end);
    let lines = file.text.lines().enumerate().skip(line_start - 1).take((line_end + 1).saturating_sub(line_start));
    let line = |(k, text): (usize, &'a str)| Line {
        text,
        highlight_start: if k + 1 == line_start { column_start } else { 1 },
        highlight_end: if k + 1 == line_end { column_end } else { text.chars().count() + 1 },
    };
    Some(SpanOf {
        file_name: &file.name,
        byte_start: label.span.start,
        byte_end: label.span.end,
        line_start,
        line_end,
        column_start,
        column_end,
        is_primary,
        label: Some(label.text.as_str()).filter(|l| !l.is_empty()),
        text: lines.map(line).collect(),
        suggested_replacement: None,
        suggestion_applicability: None,
        expansion: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Span};

    #[test]
    fn one_line_with_the_fields_of_rustc() {
        let mut sources = SourceMap::default();
        let file = sources.add("main.nsm", "network N {\n    param V = 20 mv\n}\n");
        let d = Diagnostic::error(Code("E0301"), "unknown unit `mv`")
            .label(Span::new(file, 29, 31), "here")
            .note("a note")
            .help("did you mean `mV`?");
        let line = json(&d, &sources);
        assert_eq!(line.matches('\n').count(), 1);
        let v: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((v["code"]["code"].as_str(), v["level"].as_str()), (Some("E0301"), Some("error")));
        let span = &v["spans"][0];
        assert_eq!((span["line_start"].as_u64(), span["column_start"].as_u64()), (Some(2), Some(18)));
        assert_eq!((span["line_end"].as_u64(), span["column_end"].as_u64()), (Some(2), Some(20)));
        assert_eq!(span["text"][0]["text"], "    param V = 20 mv");
        assert_eq!(
            (span["text"][0]["highlight_start"].as_u64(), span["text"][0]["highlight_end"].as_u64()),
            (Some(18), Some(20))
        );
        for field in
            ["file_name", "byte_start", "byte_end", "is_primary", "label", "suggested_replacement", "expansion"]
        {
            assert!(span.get(field).is_some(), "{field}");
        }
        assert!(v["rendered"].as_str().is_some_and(|r| r.contains("E0301")) && v["$message_type"] == "diagnostic");
        assert_eq!(
            (v["children"][0]["level"].as_str(), v["children"][1]["level"].as_str()),
            (Some("note"), Some("help"))
        );
    }
}
