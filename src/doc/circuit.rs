//! Networks and regions: params, populations, projections and what else a circuit holds, with its drawing.

use super::html::escape;
use super::model::math;
use super::{Page, mathml};
use crate::syntax::ast::{
    self, Axis, Circuit, CircuitElse, CircuitIf, CircuitKind as C, Clause, ClauseKind, Delay, Instance,
    PopulationClause,
};

#[derive(Default)]
struct Parts {
    params: Vec<Vec<String>>,
    lets: Vec<String>,
    populations: Vec<Vec<String>>,
    projections: Vec<Vec<String>>,
    ports: Vec<Vec<String>>,
    rest: Vec<Vec<String>>,
}

impl<'a> Page<'a> {
    pub(super) fn network(&mut self, n: &'a ast::Network, doc: &[String]) {
        let kind = if n.region { "region" } else { "network" };
        self.open(kind, &n.name.text, doc);
        let drawing = self.source.drawings.iter().find(|(name, _)| *name == n.name.text);
        if let Some((_, svg)) = drawing {
            self.body.push_str(&format!("<figure>\n{svg}</figure>\n"));
        }
        self.circuits(&n.items, doc);
        self.close();
    }

    fn circuits(&mut self, items: &'a [Circuit], doc: &[String]) {
        let mut parts = Parts::default();
        let mut inner: Vec<(String, &'a [Circuit])> = Vec::new();
        for item in items {
            self.circuit(item, doc, &mut parts, &mut inner);
        }
        self.table("Params", &["name", "default", "bounds", "dimension", ""], &parts.params);
        if !parts.lets.is_empty() {
            self.heading("Definitions");
            self.equations(&parts.lets);
        }
        self.table("Populations and sources", &["name", "size", "model", "with", ""], &parts.populations);
        let head = ["name", "from", "to", "connect", "weight", "delay", "further", ""];
        self.table("Projections", &head, &parts.projections);
        self.table("Ports, sensors, actuators", &["name", "kind", "what", ""], &parts.ports);
        self.table("Further", &["what", ""], &parts.rest);
        for (heading, items) in inner {
            self.heading(&heading);
            self.body.push_str("<div class=\"nest\">\n");
            self.circuits(items, doc);
            self.body.push_str("</div>\n");
        }
    }

    fn circuit(&self, item: &'a Circuit, doc: &[String], parts: &mut Parts, inner: &mut Vec<(String, &'a [Circuit])>) {
        let note = |name: &str| self.note(name, doc, &item.doc, item.span);
        let code = |text: &str| format!("<code>{}</code>", escape(text));
        match &item.kind {
            C::Param(list) => parts.params.extend(list.iter().map(|b| self.param(b, note(&b.name.text)))),
            C::Let(l) => parts.lets.push(self.let_equation(l)),
            C::Population(p) => {
                let clauses: Vec<String> = p.body.iter().map(|c| self.code(clause_span(c))).collect();
                let said = [note(&p.name.text)].into_iter().chain(clauses).filter(|t| !t.is_empty());
                let said = said.collect::<Vec<_>>().join("<br>");
                parts.populations.push(self.instance(&p.name, Some(&p.axes), &p.model, said));
            }
            C::Source { name, axes, model } => {
                let said = match axes {
                    None => "a train of its own for each target",
                    Some(_) => "",
                };
                let said = [said.to_string(), note(&name.text)].into_iter().filter(|t| !t.is_empty());
                let said = said.collect::<Vec<_>>().join("; ");
                parts.populations.push(self.instance(name, axes.as_deref(), model, said));
            }
            C::Region { name, axes, model, overrides } => {
                let changed = overrides.iter().map(|o| self.code(o.span));
                let said = [note(&name.text)].into_iter().chain(changed).filter(|t| !t.is_empty());
                let said = said.collect::<Vec<_>>().join("<br>");
                parts.populations.push(self.instance(name, axes.as_deref(), model, said));
            }
            C::Modulator { name, model } => {
                parts.populations.push(self.instance(name, None, model, note(&name.text)));
            }
            C::Projection(p) => {
                let name = p.name.as_ref().map_or_else(String::new, |n| code(&n.text));
                let mut row = vec![name, self.code(p.from.span), self.code(p.to.span)];
                row.extend(self.clauses(&p.clauses));
                row.push(note(""));
                parts.projections.push(row);
            }
            C::Sensor { name, axes, dim, value } => {
                let start = value.as_ref().map_or_else(String::new, |v| format!(", at first {}", self.code(v.span)));
                let what = format!("{}{}{start}", escape(&mathml::dim(dim)), self.axes(axes.as_deref()));
                parts.ports.push(vec![code(&name.text), "sensor".into(), what, note(&name.text)]);
            }
            C::Actuator { name, value } => {
                parts.ports.push(vec![code(&name.text), "actuator".into(), self.code(value.span), note(&name.text)]);
            }
            C::Port { output, name, ends, weight } => {
                let kind = if *output { "output" } else { "input" };
                let usual =
                    weight.as_ref().map_or_else(String::new, |w| format!(", usual weight {}", self.code(w.span)));
                let what = format!("{}{usual}", self.code(ends.span));
                parts.ports.push(vec![code(&name.text), kind.into(), what, note(&name.text)]);
            }
            C::Event { name, .. } => {
                parts.ports.push(vec![code(&name.text), "event".into(), self.code(item.span), note(&name.text)]);
            }
            C::For { loops, items } => {
                let heads: Vec<String> = loops.iter().map(|l| self.loop_text(l)).collect();
                inner.push((format!("For {}", heads.join(", ")), items));
            }
            C::If(i) => self.branches(i, inner),
            C::Labels(_)
            | C::Needs(_)
            | C::Dt(_)
            | C::Matrix(_)
            | C::Memory { .. }
            | C::Drive { .. }
            | C::Function { .. } => {
                parts.rest.push(vec![self.code(item.span), note("")]);
            }
            C::Broken { .. } => {}
        }
    }

    fn branches(&self, i: &'a CircuitIf, inner: &mut Vec<(String, &'a [Circuit])>) {
        let mut at = i;
        let mut word = "If";
        loop {
            inner.push((format!("{word} {}", self.text_of(at.condition.span)), &at.then));
            match &at.otherwise {
                Some(CircuitElse::If(next)) => (at, word) = (next, "Else if"),
                Some(CircuitElse::Items(items)) => return inner.push(("Else".to_string(), items)),
                None => return,
            }
        }
    }

    pub(super) fn loop_text(&self, l: &ast::Loop) -> String {
        let end = l.range.end.as_ref().map_or_else(String::new, |e| format!(" .. {}", self.text_of(e.span)));
        format!("{} in {}{end}", l.variable.text, self.text_of(l.range.start.span))
    }

    fn axes(&self, axes: Option<&[Axis]>) -> String {
        let Some(axes) = axes else { return String::new() };
        let list: Vec<String> = axes
            .iter()
            .map(|a| match &a.name {
                Some(n) => format!("{}: {}", n.text, self.text_of(a.size.span)),
                None => self.text_of(a.size.span),
            })
            .collect();
        format!(" <code>[{}]</code>", escape(&list.join(", ")))
    }

    /// Name, size, model, bindings, what is said.
    fn instance(&self, name: &ast::Name, axes: Option<&[Axis]>, model: &Instance, said: String) -> Vec<String> {
        let bindings: Vec<String> = model
            .args
            .iter()
            .flatten()
            .map(|a| match &a.name {
                Some(n) => math(&mathml::equal(&mathml::name(&n.text), &mathml::expr(&a.value))),
                None => self.code(a.span),
            })
            .collect();
        vec![
            format!("<code>{}</code>", escape(&name.text)),
            self.axes(axes).trim_start().to_string(),
            self.code(model.path.span),
            bindings.join(", "),
            said,
        ]
    }

    /// Rule, weight, delay, everything else.
    fn clauses(&self, clauses: &[Clause]) -> Vec<String> {
        let mut out = vec![String::new(); 4];
        for c in clauses {
            match &c.kind {
                ClauseKind::Connect(_) => {
                    let text = self.text_of(c.span);
                    out[0] = format!("<code>{}</code>", escape(text.strip_prefix("connect ").unwrap_or(&text)));
                }
                ClauseKind::Weight(e) => out[1] = math(&mathml::expr(e)),
                ClauseKind::Delay(Delay::Total(e)) => out[2] = math(&mathml::expr(e)),
                ClauseKind::Delay(_) | ClauseKind::Gain(_) | ClauseKind::Plasticity(_) => {
                    let before = if out[3].is_empty() { "" } else { "<br>" };
                    out[3].push_str(&format!("{before}{}", self.code(c.span)));
                }
            }
        }
        out
    }
}

fn clause_span(c: &PopulationClause) -> crate::base::Span {
    match c {
        PopulationClause::Position { span, .. }
        | PopulationClause::Active { span, .. }
        | PopulationClause::Mixed { span }
        | PopulationClause::Exempt { span, .. } => *span,
    }
}
