//! Experiments and sleeps: what varies, what is done, what is expected.

use super::Page;
use super::html::escape;
use crate::syntax::ast::{self, Block, ConcludeKind, Expect, ExperimentKind as E, StmtElse, StmtIf, StmtKind};

impl<'a> Page<'a> {
    pub(super) fn experiment(&mut self, e: &'a ast::Experiment, doc: &[String]) {
        self.open("experiment", &e.name.text, doc);
        let of = self.code(e.of.span);
        self.body.push_str(&format!("<p>An experiment of {of}.</p>\n"));
        let mut params = Vec::new();
        let mut varies = Vec::new();
        let mut kept = Vec::new();
        let mut protocol = String::new();
        let mut expected = Vec::new();
        for item in &e.body {
            let note = self.note("", &[], &item.doc, item.span);
            match &item.kind {
                E::Param(list) => {
                    params
                        .extend(list.iter().map(|b| self.param(b, self.note(&b.name.text, doc, &item.doc, item.span))));
                }
                E::Seeds(_) | E::Sweep(_) | E::Environment { .. } | E::Labels(_) => {
                    varies.push(vec![self.code(item.span), note]);
                }
                E::Record { .. } | E::Plot(_) => kept.push(vec![self.code(item.span), note]),
                E::Conclude(items) => {
                    for c in items {
                        match &c.kind {
                            ConcludeKind::Expect(x) => expected.push(vec![self.expectation(x), "over all runs".into()]),
                            ConcludeKind::Plot(_) => kept.push(vec![self.code(c.span), "over all runs".into()]),
                            ConcludeKind::Let(_) => {}
                        }
                    }
                }
                E::Stmt(s) => {
                    self.expected(s, &mut expected);
                    if !matches!(s, StmtKind::Expect(_)) {
                        protocol.push_str(&self.lines_of(item.span));
                        protocol.push('\n');
                    }
                }
                E::Broken => {}
            }
        }
        self.table("Params", &["name", "default", "bounds", "dimension", ""], &params);
        self.table("Varied", &["what", ""], &varies);
        if !protocol.is_empty() {
            self.heading("Protocol");
            self.body.push_str(&format!("<pre><code>{}</code></pre>\n", escape(&protocol)));
        }
        self.table("Recorded and drawn", &["what", ""], &kept);
        self.table("Expected", &["what", "where"], &expected);
        self.close();
    }

    pub(super) fn sleep(&mut self, s: &'a ast::Sleep, doc: &[String]) {
        self.open("sleep", &s.name.text, doc);
        let params = s.header.iter().filter_map(|h| match &h.kind {
            ast::CircuitKind::Param(list) => Some((h, list)),
            _ => None,
        });
        let mut rows = Vec::new();
        for (h, list) in params {
            rows.extend(list.iter().map(|b| self.param(b, self.note(&b.name.text, doc, &h.doc, h.span))));
        }
        self.table("Params", &["name", "default", "bounds", "dimension", ""], &rows);
        let rows: Vec<Vec<String>> = s
            .phases
            .iter()
            .map(|p| {
                let actions: Vec<String> = p.actions.iter().map(|a| self.code(a.span)).collect();
                let name = format!("<code>{}</code>", escape(&p.name.text));
                vec![name, self.code(p.length.span), actions.join("<br>")]
            })
            .collect();
        self.table("One cycle", &["phase", "length", "while it lasts"], &rows);
        self.close();
    }

    fn expectation(&self, x: &Expect) -> String {
        let within = x.within.as_ref().map_or_else(String::new, |w| format!(" within {}", self.text_of(w.span)));
        format!("<code>{}</code>", escape(&format!("{}{within}", self.text_of(x.condition.span))))
    }

    fn expected(&self, s: &StmtKind, out: &mut Vec<Vec<String>>) {
        match s {
            StmtKind::Expect(x) => out.push(vec![self.expectation(x), "in every run".into()]),
            StmtKind::For { body, .. } | StmtKind::Repeat { body, .. } => self.expected_in(body, out),
            StmtKind::If(i) => self.expected_if(i, out),
            _ => {}
        }
    }

    fn expected_in(&self, block: &Block, out: &mut Vec<Vec<String>>) {
        block.stmts.iter().for_each(|s| self.expected(&s.kind, out));
    }

    fn expected_if(&self, i: &StmtIf, out: &mut Vec<Vec<String>>) {
        let mut at = i;
        loop {
            self.expected_in(&at.then, out);
            match &at.otherwise {
                Some(StmtElse::If(next)) => at = next,
                Some(StmtElse::Block(b)) => return self.expected_in(b, out),
                None => return,
            }
        }
    }

    /// The lines of a statement, its own indentation taken away.
    fn lines_of(&self, span: crate::base::Span) -> String {
        let text = &self.source.sources.file(span.file).text;
        let start = span.start as usize;
        let before = &text[..start];
        let margin = before.len() - before.rfind('\n').map_or(0, |n| n + 1);
        let lines = self.source.sources.snippet(span).lines().enumerate().map(|(k, line)| {
            let blank = line.bytes().take(margin).take_while(|b| *b == b' ').count();
            if k == 0 { line } else { &line[blank..] }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
