//! Models and plasticity rules: tables of what they have, their equations, what a spike does.

use super::html::{escape, said_of};
use super::{Page, mathml};
use crate::syntax::ast::{
    self, AssignOp, Binding, Block, Equation, Formal, MemberKind as M, ModelKind, PlasticityKind as P, Side, StmtKind,
};

/// What a model's tables are gathered from.
#[derive(Default)]
struct Parts {
    params: Vec<Vec<String>>,
    states: Vec<Vec<String>>,
    inputs: Vec<Vec<String>>,
    events: Vec<Vec<String>>,
    equations: Vec<String>,
    rest: Vec<Vec<String>>,
}

impl<'a> Page<'a> {
    pub(super) fn model(&mut self, m: &'a ast::Model, doc: &[String]) {
        let kind = match m.kind {
            ModelKind::Neuron => "neuron",
            ModelKind::Source => "source",
            ModelKind::Modulator => "modulator",
            ModelKind::Environment => "environment",
        };
        self.open(kind, &m.name.text, doc);
        self.members(&m.members, doc);
        self.close();
    }

    fn members(&mut self, members: &'a [ast::Member], doc: &[String]) {
        let mut parts = Parts::default();
        let mut inner = Vec::new();
        for m in members {
            self.member(m, doc, &mut parts, &mut inner);
        }
        self.parts(parts);
        for (heading, members) in inner {
            self.heading(&heading);
            self.body.push_str("<div class=\"nest\">\n");
            self.members(members, doc);
            self.body.push_str("</div>\n");
        }
    }

    fn parts(&mut self, parts: Parts) {
        let names = ["name", "default", "bounds", "dimension", ""];
        self.table("Params", &names, &parts.params);
        self.table("States", &["name", "starts at", "dimension", ""], &parts.states);
        self.table("Inputs and outputs", &["name", "kind", "dimension", ""], &parts.inputs);
        if !parts.equations.is_empty() {
            self.heading("Equations");
            self.equations(&parts.equations);
        }
        self.table("Events", &["when", "then", ""], &parts.events);
        self.table("Further", &["what", "", ""], &parts.rest);
    }

    fn member(
        &self,
        m: &'a ast::Member,
        doc: &[String],
        parts: &mut Parts,
        inner: &mut Vec<(String, &'a [ast::Member])>,
    ) {
        let note = |name: &str| self.note(name, doc, &m.doc, m.span);
        match &m.kind {
            M::Param(list) => parts.params.extend(list.iter().map(|b| self.param(b, note(&b.name.text)))),
            M::State(list) => parts.states.extend(list.iter().map(|b| self.state(b, note(&b.name.text)))),
            M::Level(b) => parts.states.push(self.state(b, note(&b.name.text))),
            M::Let(l) => parts.equations.push(self.let_equation(l)),
            M::Equation(e) => parts.equations.push(rate(e)),
            M::Input { name, formals, dim, value } => {
                let head = math(&with_formals(&name.text, formals.as_deref()));
                let kind = match value {
                    Some(v) => format!("input, summed over its connections: {}", math(&mathml::expr(v))),
                    None => "input".to_string(),
                };
                parts.inputs.push(vec![head, kind, escape(&mathml::dim(dim)), note(&name.text)]);
            }
            M::Output { name, value } => {
                parts.equations.push(mathml::equal(&mathml::name(&name.text), &mathml::expr(value)));
                let row =
                    vec![math(&mathml::name(&name.text)), "output".into(), self.dimension(name), note(&name.text)];
                parts.inputs.push(row);
            }
            M::Receptor { name, formals, body } => {
                let dims: Vec<String> = formals.iter().filter_map(|f| f.dim.as_ref().map(mathml::dim)).collect();
                let when = format!("receptor <code>{}</code>", escape(&name.text));
                let weight = dims.first().map_or_else(String::new, |d| format!("weight: {}", escape(d)));
                let said = [weight, note(&name.text)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>();
                parts.events.push(vec![when, self.block(body), said.join("; ")]);
            }
            M::SpikeWhen { condition, body } => {
                let when = format!("spike when {}", math(&mathml::expr(condition)));
                parts.events.push(vec![when, self.opt_block(body.as_ref()), String::new()]);
            }
            M::SpikeAt { rate, body } => {
                let when = format!("spike at {}", math(&mathml::expr(rate)));
                parts.events.push(vec![when, self.opt_block(body.as_ref()), String::new()]);
            }
            M::Refractory { time, holds } => {
                let held: Vec<String> = holds.iter().map(|p| math(&path(p))).collect();
                let holds = if held.is_empty() { String::new() } else { format!("holds {}", held.join(", ")) };
                let when = format!("refractory for {}", math(&mathml::expr(time)));
                parts.events.push(vec![when, holds, String::new()]);
            }
            M::Every { period, body } => {
                let when = format!("every {}", math(&mathml::expr(period)));
                parts.events.push(vec![when, self.block(body), String::new()]);
            }
            M::On { event, formals, body } => {
                let when = on(event, formals.as_deref());
                parts.events.push(vec![when, self.block(body), String::new()]);
            }
            M::Compartment { name, axes, members } => {
                let axes: Vec<String> = axes.iter().map(|a| self.text_of(a.size.span)).collect();
                let axes = if axes.is_empty() { String::new() } else { format!("[{}]", axes.join(", ")) };
                inner.push((format!("Compartment {}{axes}", name.text), members));
            }
            M::For { variable, range, members } => {
                let end = range.end.as_ref().map_or_else(String::new, |e| format!(" .. {}", self.text_of(e.span)));
                let start = self.text_of(range.start.span);
                inner.push((format!("For {} in {start}{end}", variable.text), members));
            }
            M::IntegrateWith(_) | M::Noise(_) | M::Event { .. } | M::Needs(_) | M::Couple { .. } => {
                parts.rest.push(vec![self.code(m.span), String::new(), self.note("", doc, &m.doc, m.span)]);
            }
            M::Broken => {}
        }
    }

    pub(super) fn plasticity(&mut self, p: &'a ast::Plasticity, doc: &[String]) {
        self.open("plasticity", &p.name.text, doc);
        let mut parts = Parts::default();
        for item in &p.items {
            let note = |name: &str| self.note(name, doc, &item.doc, item.span);
            match &item.kind {
                P::Param(list) => parts.params.extend(list.iter().map(|b| self.param(b, note(&b.name.text)))),
                P::Let(l) => parts.equations.push(self.let_equation(l)),
                P::Equation(e) => parts.equations.push(rate(e)),
                P::Trace { side, name, value, equation } => {
                    let whose = match side {
                        Side::Pre => "one per presynaptic neuron",
                        Side::Post => "one per postsynaptic neuron",
                    };
                    parts.equations.extend(equation.as_ref().map(rate));
                    parts.states.push(self.rule_state(name, value.as_ref(), whose, note(&name.text)));
                }
                P::Synapse { name, value, equation } => {
                    parts.equations.extend(equation.as_ref().map(rate));
                    parts.states.push(self.rule_state(name, value.as_ref(), "one per synapse", note(&name.text)));
                }
                P::Weight { name, bounds, equation } => {
                    parts.equations.extend(equation.as_ref().map(rate));
                    let within = bounds.as_ref().map_or_else(String::new, |(a, b)| {
                        format!(", within {} .. {}", self.code(a.span), self.code(b.span))
                    });
                    let whose = format!("the weight{within}");
                    parts.states.push(self.rule_state(name, None, &whose, note(&name.text)));
                }
                P::On { event, formals, body } => {
                    parts.events.push(vec![on(event, formals.as_deref()), self.block(body), note("")]);
                }
                P::Every { period, body } => {
                    let when = format!("every {}", math(&mathml::expr(period)));
                    parts.events.push(vec![when, self.block(body), note("")]);
                }
                P::Needs(_) | P::Regrow { .. } => {
                    parts.rest.push(vec![self.code(item.span), String::new(), note("")]);
                }
                P::Broken => {}
            }
        }
        self.parts(parts);
        self.close();
    }

    fn rule_state(&self, name: &ast::Name, value: Option<&ast::Expr>, whose: &str, note: String) -> Vec<String> {
        let said = if note.is_empty() { whose.to_string() } else { format!("{whose}; {note}") };
        vec![math(&mathml::name(&name.text)), self.code_of(value), self.dimension(name), said]
    }

    /// A row of the table of params: name, default, bounds, dimension, what it is.
    pub(super) fn param(&self, b: &Binding, note: String) -> Vec<String> {
        let bounds = b
            .bounds
            .as_ref()
            .map_or_else(String::new, |(low, high)| format!("{} .. {}", self.code(low.span), self.code(high.span)));
        let known = self.dimension(&b.name);
        let declared = b.dim.as_ref().map_or(known.clone(), |d| escape(&mathml::dim(d)));
        let dimension = if known.is_empty() { declared } else { known };
        let default = match &b.value {
            Some(v) => math(&mathml::expr(v)),
            None => "must be given".to_string(),
        };
        vec![named(&b.name.text), default, bounds, dimension, note]
    }

    fn state(&self, b: &Binding, note: String) -> Vec<String> {
        let start = b.value.as_ref().map_or_else(String::new, |v| math(&mathml::expr(v)));
        vec![math(&mathml::name(&b.name.text)), start, self.dimension(&b.name), note]
    }

    /// What is said of a name: in the item's own documentation, in that of the whole, or behind it on its line.
    pub(super) fn note(&self, name: &str, whole: &[String], own: &[String], span: crate::base::Span) -> String {
        let own = own.iter().map(|l| l.trim()).collect::<Vec<_>>().join(" ");
        if !own.is_empty() {
            return escape(&own);
        }
        let said = if name.is_empty() { String::new() } else { said_of(whole, name) };
        if said.is_empty() { self.remark(span) } else { said }
    }

    fn opt_block(&self, block: Option<&Block>) -> String {
        block.map_or_else(String::new, |b| self.block(b))
    }

    /// Assignments as formulas, everything else as it stands.
    fn block(&self, block: &Block) -> String {
        let lines: Vec<String> = block
            .stmts
            .iter()
            .map(|s| match &s.kind {
                StmtKind::Assign { target, op, value } => {
                    let op = match op {
                        AssignOp::Set => "←",
                        AssignOp::Add => "+=",
                        AssignOp::Subtract => "−=",
                        AssignOp::Multiply => "·=",
                        AssignOp::Divide => "/=",
                    };
                    math(&mathml::operator(&mathml::expr(target), op, &mathml::expr(value)))
                }
                _ => self.code(s.span),
            })
            .collect();
        lines.join("<br>")
    }
}

/// A name as it is written in a binding, after the formula's letter.
fn named(name: &str) -> String {
    format!("{} <code>{}</code>", math(&mathml::name(name)), escape(name))
}

pub(super) fn math(inside: &str) -> String {
    format!("<math>{inside}</math>")
}

fn rate(e: &Equation) -> String {
    mathml::equal(&mathml::prime(&e.name.text), &mathml::expr(&e.value))
}

fn with_formals(name: &str, formals: Option<&[Formal]>) -> String {
    match formals {
        None => mathml::name(name),
        Some(list) => {
            let names: Vec<String> = list.iter().map(|f| mathml::name(&f.name.text)).collect();
            mathml::applied(name, &names)
        }
    }
}

fn on(event: &ast::Path, formals: Option<&[Formal]>) -> String {
    let text: Vec<&str> = event.names.iter().map(|n| n.text.as_str()).collect();
    let formals = formals.map_or_else(String::new, |list| {
        let names: Vec<&str> = list.iter().map(|f| f.name.text.as_str()).collect();
        format!("({})", names.join(", "))
    });
    format!("on <code>{}</code>", escape(&format!("{}{formals}", text.join("."))))
}

fn path(p: &ast::Path) -> String {
    p.names.iter().map(|n| mathml::name(&n.text)).collect::<Vec<_>>().join("<mo>.</mo>")
}
