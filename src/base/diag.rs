//! Diagnostics as plain data: a stable code, a message, labelled spans, a help text. Rendering lives in `cli`.
//!
//! Phases push into a [`Diagnostics`] sink and go on; nothing stops at the first error.

use super::source::Span;
use std::collections::HashMap;

/// A stable code such as `E0301`: the first digit after the letter pair is the phase. Codes are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// What was found, what was expected (labels), what to try (help).
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// The first label is the primary one.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Error, message)
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Warning, message)
    }

    fn new(code: Code, severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity, message: message.into(), labels: Vec::new(), notes: Vec::new(), help: None }
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    pub fn maybe_help(mut self, text: Option<String>) -> Diagnostic {
        if text.is_some() {
            self.help = text;
        }
        self
    }

    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }
}

/// The sink of one compilation.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, d: Diagnostic) {
        // The same finding reached twice (a model used by two populations) is one finding.
        if !self.list.contains(&d) {
            self.list.push(d);
        }
    }

    /// Takes back what turns out to follow from another finding.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|d| d.severity == Severity::Error).count()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// All findings by place: errors and warnings of one file in the order of its text. More than two of one code at the same places,
    /// as what is wrong with each element of an array of regions, are one that names the others.
    pub fn sorted(&self) -> Vec<Diagnostic> {
        let mut groups: Vec<Vec<&Diagnostic>> = Vec::new();
        let mut found: HashMap<(Code, Vec<Span>), usize> = HashMap::new();
        for d in &self.list {
            let places: Vec<Span> = d.labels.iter().map(|l| l.span).collect();
            if places.is_empty() {
                groups.push(vec![d]);
                continue;
            }
            let at = *found.entry((d.code, places)).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(d),
                None => groups.push(vec![d]),
            }
        }
        groups.sort_by_key(|group| group[0].span());
        let told = |group: Vec<&Diagnostic>| match group.as_slice() {
            [first, others @ ..] if others.len() > 1 => vec![(*first).clone().note(alike(others))],
            _ => group.into_iter().cloned().collect(),
        };
        groups.into_iter().flat_map(told).collect()
    }
}

/// What is said of findings that are like one before them.
fn alike(others: &[&Diagnostic]) -> String {
    const NAMED: usize = 3;
    // A message begins with the thing that it is about, or has it as its first name.
    let subject = |d: &&Diagnostic| d.message.split('`').nth(1).map(|name| format!("`{name}`"));
    let mut names: Vec<String> = others.iter().filter_map(subject).collect();
    names.dedup();
    match names.len().checked_sub(NAMED) {
        _ if names.len() < others.len() => format!("found {} times", others.len() + 1),
        Some(more @ 1..) => format!("the same of {} and {more} more", names[..NAMED].join(", ")),
        _ => format!("the same of {}", names.join(", ")),
    }
}

/// The closest of `candidates` to `name`, if it is close enough to be meant and no other is as close.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One letter is one edit away from every other letter: only its other case is likely meant.
    let length = name.chars().count();
    let limit = if length == 1 { 0 } else { (length / 3).max(1) };
    let mut best: Option<(usize, &str)> = None;
    let mut tie = false;
    for candidate in candidates {
        if candidate == name {
            continue;
        }
        // A different case alone is the likeliest slip: it beats every edit.
        let distance = if candidate.eq_ignore_ascii_case(name) { 0 } else { strsim::osa_distance(name, candidate) };
        if distance > limit {
            continue;
        }
        match best {
            Some((d, _)) if distance > d => {}
            Some((d, b)) if distance == d => tie |= b != candidate,
            _ => {
                best = Some((distance, candidate));
                tie = false;
            }
        }
    }
    best.filter(|_| !tie).map(|(_, c)| c)
}
