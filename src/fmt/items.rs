//! Items of files, models, rules, circuits and sleeps.

use super::Formatter;
use super::doc::{Doc, concat, fill, group, hard, line, nest, text};
use super::expr::{dim, ends_of, formals, names, opt_formals, path, quoted, range_end};
use crate::base::Span;
use crate::syntax::ast::*;

fn end(span: Span) -> usize {
    span.end as usize
}

impl<'a> Formatter<'a> {
    pub(super) fn item(&mut self, item: &'a ItemKind, span: Span) -> Doc {
        // The last byte of an item with a body is its `}`.
        let close = end(span).saturating_sub(1);
        match item {
            ItemKind::Use(u) => text(use_item(u)),
            ItemKind::Let(l) => self.let_item(l),
            ItemKind::Labels(l) => self.labels(l, span),
            ItemKind::Model(m) => {
                let kind = match m.kind {
                    ModelKind::Neuron => "neuron",
                    ModelKind::Source => "source",
                    ModelKind::Modulator => "modulator",
                    ModelKind::Environment => "environment",
                };
                let body = self.things(&m.members, end(m.name.span), close, |f, m, s| f.member(m, s));
                concat(vec![text(format!("{kind} {} ", m.name.text)), body.braced()])
            }
            ItemKind::Plasticity(p) => {
                let body = self.things(&p.items, end(p.name.span), close, |f, i, s| f.plasticity_item(i, s));
                concat(vec![text(format!("plasticity {} ", p.name.text)), body.braced()])
            }
            ItemKind::Network(n) => {
                let word = if n.region { "region" } else { "network" };
                let body = self.things(&n.items, end(n.name.span), close, |f, c, s| f.circuit(c, s));
                concat(vec![text(format!("{word} {} ", n.name.text)), body.braced()])
            }
            ItemKind::Sleep(s) => self.sleep(s, close),
            ItemKind::Experiment(e) => self.experiment(e, close),
            ItemKind::Broken { .. } => self.verbatim(span),
        }
    }

    fn labels(&mut self, labels: &'a Labels, span: Span) -> Doc {
        let to = end(span).saturating_sub(1);
        let from = end(labels.name.span);
        let docs = self.parts(&labels.members, ",", from, Some(to), |n| ends_of(n.span), |_, n| text(&n.text));
        let inside = concat(vec![line(" "), fill(docs, &line(" "))]);
        group(concat(vec![text(format!("labels {} {{", labels.name.text)), nest(inside), line(" "), text("}")]))
    }

    fn needs(&mut self, needs: &'a Needs) -> Doc {
        match needs {
            Needs::Modulator { name, value } => {
                self.opt_define(text(format!("needs modulator {}", name.text)), value.as_ref())
            }
            Needs::Event { name, formals } => text(format!("needs event {}{}", name.text, opt_formals(formals))),
            Needs::Value { place, dim: d } => {
                let place = self.expr(place);
                concat(vec![text("needs "), place, text(format!(": {}", dim(d)))])
            }
        }
    }

    fn equation(&mut self, equation: &'a Equation) -> Doc {
        self.define(text(format!("{}'", equation.name.text)), &equation.value)
    }

    fn every(&mut self, period: &'a Expr, body: &'a Block) -> Doc {
        let head = self.worded("every", period);
        concat(vec![head, text(" "), self.handler(body)])
    }

    fn on(&mut self, event: &Path, list: &Option<Vec<Formal>>, body: &'a Block) -> Doc {
        let body = self.handler(body);
        concat(vec![text(format!("on {}{} ", path(event), opt_formals(list))), body])
    }

    fn members(&mut self, members: &'a [Member], from: usize) -> Doc {
        let close = self.close_after(members.last().map_or(from, |m| end(m.span)));
        self.things(members, from, close, |f, m, s| f.member(m, s)).braced()
    }

    fn member(&mut self, member: &'a MemberKind, span: Span) -> Doc {
        match member {
            MemberKind::Equation(e) => self.equation(e),
            MemberKind::Param(list) => self.bindings("param", list, span.start as usize),
            MemberKind::Let(l) => self.let_item(l),
            MemberKind::Needs(n) => self.needs(n),
            MemberKind::State(list) => self.bindings("state", list, span.start as usize),
            MemberKind::Level(b) => {
                let binding = self.binding(b);
                concat(vec![text("level "), binding])
            }
            MemberKind::Noise(name) => text(format!("noise {}", name.text)),
            MemberKind::Event { name, formals } => text(format!("event {}{}", name.text, opt_formals(formals))),
            MemberKind::Input { name, formals, dim: d, value } => {
                let head = text(format!("input {}{}: {}", name.text, opt_formals(formals), dim(d)));
                self.opt_define(head, value.as_ref())
            }
            MemberKind::Output { name, value } => self.define(text(format!("output {}", name.text)), value),
            MemberKind::Receptor { name, formals: list, body } => {
                let body = self.handler(body);
                concat(vec![text(format!("receptor {}{} ", name.text, formals(list))), body])
            }
            MemberKind::SpikeWhen { condition, body } => self.spike("spike when", condition, body.as_ref()),
            MemberKind::SpikeAt { rate, body } => self.spike("spike at", rate, body.as_ref()),
            MemberKind::Refractory { time, holds } => {
                let head = self.worded("refractory", time);
                let holds = match holds.iter().map(path).collect::<Vec<_>>().join(", ") {
                    list if list.is_empty() => list,
                    list => format!(" holds {list}"),
                };
                concat(vec![head, text(holds)])
            }
            MemberKind::IntegrateWith(e) => self.worded("integrate with", e),
            MemberKind::Every { period, body } => self.every(period, body),
            MemberKind::On { event, formals, body } => self.on(event, formals, body),
            MemberKind::Compartment { name, axes, members } => {
                let head = text(format!("compartment {}", name.text));
                let from = axes.last().map_or(end(name.span), |a| end(a.size.span));
                let axes = if axes.is_empty() { text("") } else { self.axes(axes) };
                let body = self.members(members, from);
                concat(vec![head, axes, text(" "), body])
            }
            MemberKind::Couple { a, b, by } => {
                let (a, b) = (self.expr(a), self.expr(b));
                let by = self.expr(by);
                concat(vec![text("couple "), a, text(" <-> "), b, text(" by "), nest(by)])
            }
            MemberKind::For { variable, range, members } => {
                let head = self.loop_range(variable, range);
                let body = self.members(members, range_end(range));
                concat(vec![text("for "), head, text(" "), body])
            }
            MemberKind::Broken => self.verbatim(span),
        }
    }

    fn spike(&mut self, word: &str, value: &'a Expr, body: Option<&'a Block>) -> Doc {
        let head = self.worded(word, value);
        match body {
            Some(body) => {
                let body = self.handler(body);
                concat(vec![head, text(" "), body])
            }
            None => head,
        }
    }

    fn plasticity_item(&mut self, item: &'a PlasticityKind, span: Span) -> Doc {
        match item {
            PlasticityKind::Param(list) => self.bindings("param", list, span.start as usize),
            PlasticityKind::Let(l) => self.let_item(l),
            PlasticityKind::Needs(n) => self.needs(n),
            PlasticityKind::Equation(e) => self.equation(e),
            PlasticityKind::Trace { side, name, value, equation } => {
                let side = match side {
                    Side::Pre => "pre",
                    Side::Post => "post",
                };
                let head = self.opt_define(text(format!("{side} trace {}", name.text)), value.as_ref());
                self.own_rate(head, equation)
            }
            PlasticityKind::Synapse { name, value, equation } => {
                let head = self.opt_define(text(format!("synapse {}", name.text)), value.as_ref());
                self.own_rate(head, equation)
            }
            PlasticityKind::Weight { name, bounds, equation } => {
                let mut head = vec![text(format!("weight {}", name.text))];
                if let Some((low, high)) = bounds {
                    head.extend([text(" in "), self.expr(low), text(" .. "), self.expr(high)]);
                }
                self.own_rate(concat(head), equation)
            }
            PlasticityKind::On { event, formals, body } => self.on(event, formals, body),
            PlasticityKind::Every { period, body } => self.every(period, body),
            PlasticityKind::Regrow { to, weight } => self.worded(&format!("regrow to {} with weight", to.text), weight),
            PlasticityKind::Broken => self.verbatim(span),
        }
    }

    fn own_rate(&mut self, head: Doc, equation: &'a Option<Equation>) -> Doc {
        match equation {
            Some(equation) => {
                let rate = self.equation(equation);
                concat(vec![head, text(": "), rate])
            }
            None => head,
        }
    }

    fn circuits(&mut self, items: &'a [Circuit], from: usize) -> Doc {
        let close = self.close_after(items.last().map_or(from, |c| end(c.span)));
        self.things(items, from, close, |f, c, s| f.circuit(c, s)).braced()
    }

    pub(super) fn circuit(&mut self, item: &'a CircuitKind, span: Span) -> Doc {
        match item {
            CircuitKind::Param(list) => self.bindings("param", list, span.start as usize),
            CircuitKind::Let(l) => self.let_item(l),
            CircuitKind::Labels(l) => self.labels(l, span),
            CircuitKind::Needs(n) => self.needs(n),
            CircuitKind::Dt(e) => self.worded("dt", e),
            CircuitKind::Event { name, formals } => text(format!("event {}{}", name.text, opt_formals(formals))),
            CircuitKind::Population(p) => self.population(p, span),
            CircuitKind::Projection(p) => self.projection(p, span),
            CircuitKind::Matrix(m) => self.matrix(m, span),
            CircuitKind::Memory { name, of, window, keep, at_least } => {
                let head = self.worded(&format!("memory {} of", name.text), of);
                let mut parts = vec![("window", window), ("keep", keep)];
                parts.extend(at_least.as_ref().map(|e| ("at least", e)));
                let docs = parts.into_iter().map(|(word, e)| self.worded(word, e)).collect();
                concat(vec![head, text(" "), self.clauses_in_braces(docs)])
            }
            CircuitKind::Source { name, axes, model } => self.instance_item("source", name, axes.as_ref(), model),
            CircuitKind::Modulator { name, model } => self.instance_item("modulator", name, None, model),
            CircuitKind::Drive { target, value } => self.drive(target, value),
            CircuitKind::Region { name, axes, model, overrides } => {
                let head = self.instance_item("region", name, axes.as_ref(), model);
                if overrides.is_empty() {
                    return head;
                }
                let close = Some(end(span).saturating_sub(1));
                let from = end(model.span);
                let docs = self.parts(overrides, "", from, close, |o| ends_of(o.span), |f, o| f.override_item(o));
                concat(vec![head, text(" "), self.clauses_in_braces(docs)])
            }
            CircuitKind::Sensor { name, axes, dim: d, value } => {
                let axes = self.opt_axes(axes);
                let head = concat(vec![text(format!("sensor {}", name.text)), axes, text(format!(": {}", dim(d)))]);
                self.opt_define(head, value.as_ref())
            }
            CircuitKind::Actuator { name, value } => self.define(text(format!("actuator {}", name.text)), value),
            CircuitKind::Port { output, name, ends, weight } => {
                let side = if *output { "output" } else { "input" };
                let mut parts = vec![text(format!("port {side} {} = ", name.text)), self.ends(ends)];
                if let Some(weight) = weight {
                    parts.extend([text(" weight "), self.expr(weight)]);
                }
                concat(parts)
            }
            CircuitKind::Function { text: what, by, shown } => {
                let shown = shown.as_ref().map_or_else(String::new, |p| format!(" shown by {}", path(p)));
                text(format!("function {} by {}{shown}", quoted(what), path(by)))
            }
            CircuitKind::For { loops, items } => {
                let from = loops.last().map_or(span.start as usize, |l| range_end(&l.range));
                let head = self.loops(loops);
                let body = self.circuits(items, from);
                concat(vec![text("for "), head, text(" "), body])
            }
            CircuitKind::If(i) => self.circuit_if(i),
            CircuitKind::Broken { .. } => self.verbatim(span),
        }
    }

    fn circuit_if(&mut self, item: &'a CircuitIf) -> Doc {
        let mut parts = Vec::new();
        let mut item = item;
        loop {
            let condition = self.expr(&item.condition);
            let from = end(item.condition.span);
            let then = self.circuits(&item.then, from);
            parts.extend([text("if "), condition, text(" "), then]);
            match &item.otherwise {
                None => break,
                Some(CircuitElse::If(next)) => {
                    parts.push(text(" else "));
                    item = next;
                }
                Some(CircuitElse::Items(items)) => {
                    // The head of the last body is its `else`, which stands behind the `}` before it.
                    let last = item.then.last().map_or(from, |c| end(c.span));
                    let from = self.close_after(last) + 1;
                    let body = self.circuits(items, from);
                    parts.extend([text(" else "), body]);
                    break;
                }
            }
        }
        concat(parts)
    }

    fn instance_item(&mut self, word: &str, name: &Name, axes: Option<&'a Vec<Axis>>, model: &'a Instance) -> Doc {
        let mut parts = vec![text(format!("{word} {}", name.text))];
        if let Some(axes) = axes {
            parts.push(self.axes(axes));
        }
        parts.extend([text(": "), self.instance(model)]);
        concat(parts)
    }

    pub(super) fn drive(&mut self, target: &'a Expr, value: &'a Expr) -> Doc {
        let target = self.expr(target);
        self.define(concat(vec![text("drive "), target]), value)
    }

    fn population(&mut self, p: &'a Population, span: Span) -> Doc {
        let axes = self.axes(&p.axes);
        let model = self.instance(&p.model);
        let head = concat(vec![text(format!("population {}", p.name.text)), axes, text(": "), model]);
        if p.body.is_empty() {
            return head;
        }
        let close = Some(end(span).saturating_sub(1));
        let docs = self.parts(
            &p.body,
            "",
            end(p.model.span),
            close,
            |c| ends_of(clause_span(c)),
            |f, c| f.population_clause(c),
        );
        concat(vec![head, text(" "), self.clauses_in_braces(docs)])
    }

    fn population_clause(&mut self, clause: &'a PopulationClause) -> Doc {
        match clause {
            PopulationClause::Position { layout, periodic, .. } => {
                let layout = self.worded("position", layout);
                concat(vec![layout, text(if *periodic { " periodic" } else { "" })])
            }
            PopulationClause::Active { most, within, .. } => {
                let most = self.expr(most);
                let within = self.expr(within);
                concat(vec![text("active at most "), most, text(" within "), within])
            }
            PopulationClause::Mixed { .. } => text("mixed"),
            PopulationClause::Exempt { check, reason, .. } => {
                text(format!("exempt {} because {}", check.text, quoted(reason)))
            }
        }
    }

    fn ends(&mut self, ends: &'a Ends) -> Doc {
        let list = self.places(&ends.list);
        if ends.parenthesised { concat(vec![text("("), list, text(")")]) } else { list }
    }

    fn projection(&mut self, p: &'a Projection, span: Span) -> Doc {
        let name = p.name.as_ref().map_or_else(String::new, |n| format!("{}: ", n.text));
        let from = self.ends(&p.from);
        let to = self.ends(&p.to);
        let docs = self.clauses(&p.clauses, end(p.to.span), Some(end(span).saturating_sub(1)));
        let body = self.clauses_in_braces(docs);
        concat(vec![text(format!("projection {name}")), from, text(" -> "), to, text(" "), body])
    }

    fn clauses(&mut self, list: &'a [Clause], from: usize, to: Option<usize>) -> Vec<Doc> {
        self.parts(list, "", from, to, |c| ends_of(c.span), |f, c| f.clause(c))
    }

    fn clause(&mut self, clause: &'a Clause) -> Doc {
        match &clause.kind {
            ClauseKind::Connect(c) => {
                let mut parts = vec![self.worded("connect", &c.rule)];
                if let Some(filter) = &c.filter {
                    parts.extend([text(" where "), self.value(filter)]);
                }
                let flags = [
                    (c.autapses, " with autapses"),
                    (c.multapses, " with multapses"),
                    (c.symmetric, " symmetric"),
                    (c.procedural, " procedural"),
                ];
                parts.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| text(*word)));
                concat(parts)
            }
            ClauseKind::Weight(e) => self.worded("weight", e),
            ClauseKind::Gain(e) => self.worded("gain", e),
            ClauseKind::Delay(Delay::Total(e)) => self.worded("delay", e),
            ClauseKind::Delay(Delay::Parts { axonal, dendritic }) => {
                let mut parts = vec![text("delay")];
                for (word, part) in [(" axonal", axonal), (" dendritic", dendritic)] {
                    if let Some(e) = part {
                        parts.push(self.worded(word, e));
                    }
                }
                concat(parts)
            }
            ClauseKind::Plasticity(rules) => {
                let from = clause.span.start as usize;
                let docs = self.parts(rules, " +", from, None, |r| ends_of(r.span), |f, r| f.instance(r));
                group(concat(vec![text("plasticity "), nest(fill(docs, &line(" ")))]))
            }
        }
    }

    fn override_item(&mut self, item: &'a Override) -> Doc {
        let target = self.expr(&item.target);
        let head = concat(vec![text("override "), target]);
        match &item.what {
            OverrideKind::Value(value) => self.define(head, value),
            OverrideKind::Clauses(clauses) => {
                let docs = self.clauses(clauses, end(item.target.span), Some(end(item.span).saturating_sub(1)));
                concat(vec![head, text(" "), self.clauses_in_braces(docs)])
            }
        }
    }

    /// Clauses, columns and one line for each row, the cells of all rows aligned.
    fn matrix(&mut self, m: &'a Matrix, span: Span) -> Doc {
        let mut lines: Vec<Doc> = Vec::new();
        let first_row = m.rows.first().map_or(end(span), |r| r.region.span.start as usize);
        let first_column = m.columns.first().map_or(first_row, |c| c.span.start as usize);
        lines.extend(self.clauses(&m.clauses, end(m.name.span), Some(first_column)));
        let columns = m.columns.iter().map(path).collect::<Vec<_>>().join(", ");
        lines.push(text(format!("columns ({columns})")));
        let widest = m.rows.iter().map(|r| path(&r.region).len()).max().unwrap_or(0);
        let row_ends =
            |r: &MatrixRow| (r.region.span.start as usize, r.cells.last().map_or(end(r.region.span), |c| end(c.span)));
        let from = m.columns.last().map_or(first_row, |c| end(c.span));
        let rows = self.parts(&m.rows, "", from, Some(end(span).saturating_sub(1)), row_ends, |_, row| {
            let cells: Vec<String> = row.cells.iter().map(|c| format!("{:<2}", c.text)).collect();
            let region = format!("{}:", path(&row.region));
            text(format!("row {region:<0$} {1}", widest + 1, cells.join(" ").trim_end()))
        });
        lines.extend(rows);
        let mut body = Vec::new();
        for doc in lines {
            body.extend([hard(false), doc]);
        }
        concat(vec![text(format!("matrix {} {{", m.name.text)), nest(concat(body)), hard(false), text("}")])
    }

    fn sleep(&mut self, s: &'a Sleep, close: usize) -> Doc {
        let header = self.things(&s.header, end(s.of.span), self.cycle_start(s), |f, c, span| f.circuit(c, span));
        let head = header.head.clone().unwrap_or_else(|| text(""));
        let mut lines: Vec<Doc> = header.list.into_iter().map(|(_, d)| d).collect();
        let phase_ends = |p: &SleepPhase| ends_of(p.span);
        let from = s.header.last().map_or(end(s.of.span), |c| end(c.span));
        let phases = self.parts(&s.phases, "", from, Some(close), phase_ends, |f, p| {
            let inside = end(p.span).saturating_sub(1);
            let length = f.worded(&format!("phase {}", p.name.text), &p.length);
            let actions = f.things(&p.actions, end(p.length.span), inside, |f, a, _| f.action(a));
            concat(vec![length, text(" "), actions.braced()])
        });
        let mut cycle = vec![text("cycle {")];
        for phase in phases {
            cycle.push(nest(concat(vec![hard(false), phase])));
        }
        cycle.extend([hard(false), text("}")]);
        lines.push(concat(cycle));
        let mut body = vec![head];
        for doc in lines {
            body.extend([hard(false), doc]);
        }
        let title = text(format!("sleep {} of {} {{", s.name.text, path(&s.of)));
        concat(vec![title, nest(concat(body)), hard(false), text("}")])
    }

    /// Where `cycle` begins: comments before it belong to the header.
    fn cycle_start(&self, s: &Sleep) -> usize {
        let from = s.header.last().map_or(end(s.of.span), |c| end(c.span));
        crate::syntax::scan::Lexer::new(self.text, from.min(self.text.len()))
            .find(|t| t.text(self.text) == "cycle")
            .map_or(from, |t| t.start)
    }

    fn action(&mut self, action: &'a ActionKind) -> Doc {
        match action {
            ActionKind::Set(s) => self.set(s),
            ActionKind::Switch(s) => self.switch(s),
            ActionKind::Let(l) => self.let_item(l),
            ActionKind::Drive { target, value } => self.drive(target, value),
            ActionKind::Kick { target, by, at } => {
                let target = self.worded("kick", target);
                let by = self.worded(" by", by);
                concat(vec![target, by, self.worded(" at", at)])
            }
            ActionKind::At { end, body } => {
                let body = self.handler(body);
                concat(vec![text(if *end { "at end " } else { "at start " }), body])
            }
            ActionKind::Every { period, body } => self.every(period, body),
            ActionKind::Replay { target, by, from, every, lasting } => {
                let mut parts = vec![self.worded("replay", target), self.worded(" by", by)];
                parts.extend([self.worded(" from", from), self.worded(" every", every)]);
                parts.push(self.worded(" lasting", lasting));
                concat(parts)
            }
        }
    }
}

fn clause_span(clause: &PopulationClause) -> Span {
    match clause {
        PopulationClause::Position { span, .. }
        | PopulationClause::Active { span, .. }
        | PopulationClause::Mixed { span }
        | PopulationClause::Exempt { span, .. } => *span,
    }
}

fn use_item(u: &Use) -> String {
    let source = match &u.source {
        UseSource::File { text, .. } => quoted(text),
        UseSource::Path(p) => path(p),
    };
    let select = match &u.select {
        UseSelect::Whole => String::new(),
        UseSelect::One(name) => format!(".{}", name.text),
        UseSelect::Many(list) => format!(".({})", names(list)),
    };
    let alias = u.alias.as_ref().map_or_else(String::new, |n| format!(" as {}", n.text));
    let export = if u.export { "export " } else { "" };
    format!("{export}use {source}{select}{alias}")
}
