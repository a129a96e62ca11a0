//! A file of the language as one HTML page: what its items are for, their params and equations, circuits with their drawing,
//! experiments with what they expect.
//!
//! Reads the tree, the typed model for dimensions, and drawings that were made elsewhere. Text of the file reaches the page
//! escaped. The page needs nothing else: no script, no other file.

mod circuit;
mod experiment;
mod html;
mod mathml;
mod model;

use crate::base::{FileId, SourceMap, Span};
use crate::hir;
use crate::syntax::ast;
use crate::units::Dimension;
use html::markdown;
use std::collections::BTreeMap;
use std::fmt::Write;

pub use html::{STYLE, escape};

/// What a page is made of.
pub struct Source<'a> {
    pub file: &'a ast::File,
    pub id: FileId,
    pub sources: &'a SourceMap,
    pub program: &'a hir::Program,
    /// Circuits of the file with their SVG.
    pub drawings: Vec<(String, String)>,
}

/// The page of a file.
pub fn page(source: &Source) -> String {
    let name = source.sources.file(source.id).name.as_str();
    let title = name.rsplit('/').next().unwrap_or(name);
    let mut page = Page {
        source,
        dimensions: source.program.values.iter().rev().filter_map(dimension).collect(),
        contents: String::new(),
        body: String::new(),
    };
    for item in &source.file.items {
        page.item(item);
    }
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Writing to a String never fails, here and below.
    let _ = writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    let _ = writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">");
    let _ = writeln!(out, "<title>{}</title>\n<style>{}</style>\n</head>\n<body>", escape(title), html::STYLE);
    let _ = writeln!(out, "<header><h1>{}</h1></header>", escape(title));
    if !page.contents.is_empty() {
        let _ = writeln!(out, "<nav aria-label=\"Contents\"><ul>\n{}</ul></nav>", page.contents);
    }
    let _ = writeln!(out, "<main>\n{}</main>\n</body>\n</html>", page.body);
    out
}

fn dimension(v: &hir::ValueDef) -> Option<(Span, Dimension)> {
    let known = v.ty.kind == hir::Kind::Number;
    v.ty.dim.filter(|_| known).map(|d| (v.span, d))
}

/// A page as it grows.
struct Page<'a> {
    source: &'a Source<'a>,
    /// By the place of a name's declaration.
    dimensions: BTreeMap<Span, Dimension>,
    contents: String,
    body: String,
}

impl<'a> Page<'a> {
    fn item(&mut self, item: &'a ast::Item) {
        use ast::ItemKind as K;
        match &item.kind {
            K::Use(_) | K::Broken { .. } => {}
            K::Let(l) => {
                self.open("let", &l.name.text, &item.doc);
                let row = self.let_equation(l);
                self.equations(&[row]);
                self.close();
            }
            K::Labels(l) => {
                self.open("labels", &l.name.text, &item.doc);
                let names: Vec<&str> = l.members.iter().map(|m| m.text.as_str()).collect();
                self.paragraph(&names.join(", "));
                self.close();
            }
            K::Model(m) => self.model(m, &item.doc),
            K::Plasticity(p) => self.plasticity(p, &item.doc),
            K::Network(n) => self.network(n, &item.doc),
            K::Sleep(s) => self.sleep(s, &item.doc),
            K::Experiment(e) => self.experiment(e, &item.doc),
        }
    }

    /// Begins the section of an item and lists it.
    fn open(&mut self, kind: &str, name: &str, doc: &[String]) {
        let id = escape(&format!("{kind}-{name}"));
        let name = escape(name);
        let _ = writeln!(self.contents, "<li><a href=\"#{id}\"><span class=\"kind\">{kind}</span> {name}</a></li>");
        let _ = writeln!(self.body, "<section id=\"{id}\">\n<h2><span class=\"kind\">{kind}</span> {name}</h2>");
        self.body.push_str(&markdown(doc));
    }

    fn close(&mut self) {
        self.body.push_str("</section>\n");
    }

    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h3>{}</h3>", escape(text));
    }

    fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// A table of ready HTML; nothing where there are no rows. Columns that are empty throughout are left out.
    fn table(&mut self, heading: &str, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        self.heading(heading);
        let used: Vec<usize> = (0..head.len()).filter(|k| rows.iter().any(|r| !r[*k].is_empty())).collect();
        self.body.push_str("<div class=\"wide\"><table>\n<thead><tr>");
        used.iter().for_each(|k| self.body.push_str(&format!("<th scope=\"col\">{}</th>", escape(head[*k]))));
        self.body.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            let cells: String = used.iter().map(|k| format!("<td>{}</td>", row[*k])).collect();
            let _ = writeln!(self.body, "<tr>{cells}</tr>");
        }
        self.body.push_str("</tbody></table></div>\n");
    }

    /// Formulas one below the other.
    fn equations(&mut self, rows: &[String]) {
        for row in rows {
            let _ = writeln!(self.body, "<div class=\"eq\"><math display=\"block\">{row}</math></div>");
        }
    }

    /// What stands at a place of the file, without comments, on one line.
    fn text_of(&self, span: Span) -> String {
        let text = &self.source.sources.file(span.file).text;
        let mut out = String::new();
        let mut from = span.start as usize;
        for c in self.source.file.comments.iter().filter(|c| c.span.start >= span.start && c.span.end <= span.end) {
            out.push_str(text.get(from..c.span.start as usize).unwrap_or_default());
            from = c.span.end as usize;
        }
        out.push_str(text.get(from..span.end as usize).unwrap_or_default());
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn code(&self, span: Span) -> String {
        format!("<code>{}</code>", escape(&self.text_of(span)))
    }

    fn code_of(&self, e: Option<&ast::Expr>) -> String {
        e.map_or_else(String::new, |e| self.code(e.span))
    }

    /// `voltage (mV)` of what is declared at a place, if it is known.
    fn dimension(&self, name: &ast::Name) -> String {
        self.dimensions.get(&name.span).map_or_else(String::new, |d| words(*d))
    }

    /// The comment behind an item on its last line, which often says what the item is.
    fn remark(&self, span: Span) -> String {
        let text = &self.source.sources.file(span.file).text;
        let behind = |c: &&ast::Comment| {
            let gap = text.get(span.end as usize..c.span.start as usize);
            !c.own_line && gap.is_some_and(|g| g.chars().all(|x| x == ' ' || x == '\t' || x == ';'))
        };
        let found = self.source.file.comments.iter().find(behind);
        found.map_or_else(String::new, |c| escape(c.text.trim_start_matches('/').trim()))
    }

    fn let_equation(&self, l: &ast::Let) -> String {
        let head = match &l.params {
            ast::LetParams::None => mathml::name(&l.name.text),
            ast::LetParams::Function(formals) => {
                let names: Vec<String> = formals.iter().map(|f| mathml::name(&f.name.text)).collect();
                mathml::applied(&l.name.text, &names)
            }
            ast::LetParams::Table(axes) => {
                let names: Vec<String> = axes
                    .iter()
                    .map(|a| a.name.as_ref().map_or_else(|| mathml::expr(&a.size), |n| mathml::name(&n.text)))
                    .collect();
                mathml::indexed(&l.name.text, &names)
            }
        };
        mathml::equal(&head, &mathml::expr(&l.value))
    }
}

/// `voltage (mV)`, `number`.
fn words(d: Dimension) -> String {
    if d.is_number() {
        return "number".to_string();
    }
    let (name, unit) = (d.to_string(), d.typical_unit());
    escape(&if name == unit { name } else { format!("{name} ({unit})") })
}

#[cfg(test)]
mod tests;
