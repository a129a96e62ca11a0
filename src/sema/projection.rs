//! Projections: ends, weights, delays, and the rules that connect.

use super::error::*;
use super::query;
use super::{Cx, End, Place, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, NetworkId, Rule, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units::Dimension;

const RULES: [&str; 8] = [
    "one_to_one",
    "all_to_all",
    "bernoulli",
    "fixed_indegree",
    "fixed_outdegree",
    "fixed_total_number",
    "pairs",
    "edges",
];

impl Sema<'_> {
    pub(super) fn projection(
        &mut self,
        id: NetworkId,
        p: &ast::Projection,
        span: Span,
        cx: Cx,
    ) -> Option<hir::Projection> {
        let mut from = Vec::new();
        let mut private = None;
        let mut ok = true;
        let mut pre_ends = Vec::new();
        let mut values = Vec::new();
        let mut values_named = false;
        for end in &p.from.list {
            let Some(found) = self.end(end, cx, true) else {
                ok = false;
                continue;
            };
            for s in found {
                let pop = self.population_of(&s).clone();
                if let Some(part) = &s.cells.part {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "a spike leaves the cell, not one of its compartments")
                            .label(part.span, "a compartment")
                            .help(format!("write `{} -> ...`", pop.name)),
                    );
                    ok = false;
                    continue;
                }
                if let Some(member) = &s.member {
                    values_named = true;
                    match self.source_value(&pop, member) {
                        Some(v) => values.push(v),
                        None => {
                            ok = false;
                            continue;
                        }
                    }
                }
                let is_private = pop.axes.is_none();
                if *private.get_or_insert(is_private) != is_private {
                    self.diags.push(
                        Diagnostic::error(
                            CONNECT_RULE,
                            "a source without a size and one with a size can't share a projection",
                        )
                        .label(end.span, "of the other kind")
                        .help("write two projections"),
                    );
                    ok = false;
                }
                pre_ends.push(end_of(&pop));
                from.push(s.cells);
            }
        }
        let private = private.unwrap_or(false);
        let mut to = Vec::new();
        let mut post_ends = Vec::new();
        let mut dims: Vec<(Dimension, String, Span)> = Vec::new();
        let mut inputs = Vec::new();
        // A value that was wrong has been reported: what the targets say of it would only repeat that.
        let continuous = !values.is_empty() || (!ok && values_named);
        ok &= self.one_kind_of_ends(p, values.len(), from.len());
        for end in &p.to.list {
            let Some(found) = self.end(end, cx, false) else {
                ok = false;
                continue;
            };
            for s in found {
                let pop = self.population_of(&s).clone();
                if continuous {
                    match self.target_input(&pop, &s, end.span) {
                        Some(input) => {
                            ok &= self.coupled_dimensions(&pop, input, &values, &p.from.list, &mut dims);
                            post_ends.push(end_of(&pop));
                            to.push((s.cells, 0));
                            inputs.push(input);
                        }
                        None => ok = false,
                    }
                    continue;
                }
                match self.receptor_of(&pop, &s, end.span) {
                    Some(k) => {
                        let r = &self.selected_receptors(&s)[k as usize];
                        dims.push((r.dim, format!("receptor `{}` of `{}`", r.name, pop.name), r.span));
                        post_ends.push(end_of(&pop));
                        to.push((s.cells, k));
                    }
                    None => ok = false,
                }
            }
        }
        if !ok {
            // What the ends mean is not known, so weights and rules can't be judged.
            return None;
        }
        // A private source has one synapse per target: its weight is drawn per neuron.
        if let (Some(name), Some((dim, ..))) = (&p.name, dims.first()) {
            self.projection_dims.insert((id, self.path_of(&name.text)), *dim);
        }
        let post_models: Vec<hir::ModelId> = post_ends.iter().map(|e| e.model).collect();
        let place = if private { Place::Binding } else { Place::Synapse { pre: pre_ends, post: post_ends } };
        let sx = Cx { scope: cx.scope, place: &place };
        let mut out = hir::Projection {
            name: p.name.as_ref().map(|n| self.path_of(&n.text)),
            span,
            from,
            to,
            connect: None,
            weight: None,
            delay: None,
            gain: None,
            dendritic: None,
            rules: Vec::new(),
            continuous: continuous.then_some(hir::Continuous { values, inputs }),
        };
        let mut connects = false;
        for (clause, scope) in &self.overridden_clauses(p, cx.scope) {
            let (cx, sx) = (Cx { scope: *scope, place: cx.place }, Cx { scope: *scope, place: sx.place });
            connects |= matches!(clause.kind, ast::ClauseKind::Connect(_));
            let twice = match &clause.kind {
                ast::ClauseKind::Connect(c) => {
                    if private {
                        self.diags.push(
                            Diagnostic::error(CONNECT_RULE, "a source without a size has no connection rule")
                                .label(clause.span, "each target has its own train")
                                .help("give the source a size to connect its trains: source drive[100]: ..."),
                        );
                    }
                    let twice = out.connect.is_some();
                    out.connect = self.connect(c, clause.span, cx, sx);
                    twice
                }
                ast::ClauseKind::Weight(e) => {
                    let twice = out.weight.is_some();
                    let want = dims.first().map(|d| d.0);
                    let w = self.expr(e, sx, want);
                    if self.scalar(&w) {
                        for (dim, what, at) in &dims {
                            let why = format!("{what} takes {}", dimension_words(*dim));
                            if !self.weight_fits(&w, *dim, &why, *at) {
                                break;
                            }
                        }
                    }
                    out.weight = Some(w);
                    twice
                }
                ast::ClauseKind::Delay(d) => {
                    let twice = out.delay.is_some();
                    match d {
                        ast::Delay::Total(e) => out.delay = Some(self.number(e, sx, Dimension::TIME)),
                        ast::Delay::Parts { axonal, dendritic } => {
                            let axonal = axonal.as_ref().map(|e| self.number(e, sx, Dimension::TIME));
                            out.dendritic = dendritic.as_ref().map(|e| self.number(e, sx, Dimension::TIME));
                            let parts: Vec<Expr> = axonal.into_iter().chain(out.dendritic.clone()).collect();
                            out.delay = parts.into_iter().reduce(|a, b| Expr {
                                span: a.span,
                                ty: a.ty,
                                kind: hir::ExprKind::Binary(hir::BinaryOp::Add, Box::new(a), Box::new(b)),
                            });
                        }
                    }
                    twice
                }
                ast::ClauseKind::Gain(e) => {
                    let twice = out.gain.is_some();
                    out.gain = Some(self.number(e, cx, Dimension::NUMBER));
                    twice
                }
                ast::ClauseKind::Plasticity(list) => {
                    let twice = !out.rules.is_empty();
                    if private {
                        self.diags.push(
                            Diagnostic::error(CONNECT_RULE, "the trains of a source without a size have no synapses")
                                .label(clause.span, "nothing that could learn")
                                .help("give the source a size: source input[100]: ..."),
                        );
                        continue;
                    }
                    if let Some((other, what, at)) = dims.iter().find(|d| d.0 != dims[0].0) {
                        self.diags.push(
                            Diagnostic::error(WEIGHT_DIMENSION, format!("{what} takes {}", dimension_words(*other)))
                                .label(*at, "another dimension than the first target's")
                                .label(clause.span, "one rule needs one"),
                        );
                        continue;
                    }
                    if continuous {
                        self.diags.push(
                            Diagnostic::error(CONTINUOUS_ENDS, "rules change synapses that carry spikes")
                                .label(clause.span, "this projection carries values")
                                .help("let the weight be a state of the target's model instead"),
                        );
                        continue;
                    }
                    let weight = dims.first().map_or(Dimension::NUMBER, |d| d.0);
                    let targets: Vec<hir::ModelId> = post_models.clone();
                    out.rules = self.projection_rules(list, weight, &targets, cx);
                    twice
                }
            };
            if twice {
                self.diags.push(
                    Diagnostic::error(NAME_TAKEN, "this clause is written twice").label(clause.span, "second one"),
                );
            }
        }
        if out.weight.is_none() {
            let unit = dims.first().map_or_else(String::new, |d| d.0.typical_unit());
            self.diags.push(
                Diagnostic::error(NO_WEIGHT, "this projection has no weight")
                    .label(span, "no `weight`")
                    .help(format!("write `weight 1 {unit}`")),
            );
        }
        if !private && out.connect.is_none() && !connects {
            self.diags.push(
                Diagnostic::error(CONNECT_RULE, "this projection has no rule")
                    .label(span, "no `connect`")
                    .help(format!("rules are {}", RULES.join(", "))),
            );
        }
        if !private && !continuous && out.delay.is_none() {
            self.diags.push(
                Diagnostic::error(NO_DELAY, "this projection has no delay")
                    .label(span, "no `delay`")
                    .help("a spike needs at least one step: write `delay 1 ms`"),
            );
        }
        self.check_procedural(&out);
        Some(out)
    }

    /// Whether the member that a path ends in is an input of the cells.
    pub(super) fn names_input(&self, s: &super::query::Selected) -> bool {
        s.member.as_ref().is_some_and(|member| {
            let named = |(n, v): &(String, ValueId)| {
                *n == member.text && matches!(self.program.value(*v).kind, ValueKind::Input)
            };
            self.selected_names(s).iter().any(named)
        })
    }

    fn weight_fits(&mut self, w: &Expr, dim: Dimension, why: &str, at: Span) -> bool {
        let before = self.diags.error_count();
        if w.ty.dim.is_some_and(|d| d != dim && !(d.is_number() && super::expr::is_literal(w))) {
            let found = w.ty.dimension();
            self.diags.push(
                Diagnostic::error(WEIGHT_DIMENSION, format!("the weight is {}, but {why}", dimension_words(found)))
                    .label(w.span, format!("this is {}", dimension_words(found)))
                    .label(at, format!("takes {}", dimension_words(dim)))
                    .help(format!("write the weight in {}", dim.typical_unit())),
            );
        } else {
            self.fits(w, dim, WEIGHT_DIMENSION, why);
        }
        self.diags.error_count() == before
    }

    pub(super) fn receptor_of(&mut self, pop: &hir::Population, s: &super::query::Selected, span: Span) -> Option<u32> {
        if pop.source {
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{}` is a source: nothing lands on it", pop.name))
                    .label(span, "a source"),
            );
            return None;
        }
        if !self.part_is_one(s) {
            return None;
        }
        let receptors = self.selected_receptors(s);
        let found = match &s.member {
            None => (receptors.len() == 1).then_some(0),
            Some(member) => receptors.iter().position(|r| r.name == member.text),
        };
        let model = self.program.model(pop.model);
        if found.is_some() || model.broken {
            return found.map(|k| k as u32);
        }
        let names: Vec<String> = receptors.iter().map(|r| r.name.clone()).collect();
        let Some(member) = &s.member else {
            let inside = self.receptors_inside(model);
            let of_it =
                |names: &[String]| names.iter().map(|n| format!("{}.{n}", pop.name)).collect::<Vec<_>>().join(", ");
            let help = if s.cells.part.is_none() && !inside.is_empty() {
                format!("its compartments have receptors: write one of {}", of_it(&inside))
            } else if names.is_empty() {
                "declare one in its model: `receptor exc(w: current) { ... }`".to_string()
            } else {
                format!("write one of {}", of_it(&names))
            };
            let (message, label) = match names.len() {
                0 => (format!("`{}` has no receptor", pop.name), "no spike can land here"),
                n => (format!("`{}` has {n} receptors: name one", pop.name), "which one?"),
            };
            self.diags.push(Diagnostic::error(RECEPTOR_CHOICE, message).label(span, label).help(help));
            return None;
        };
        let of = model.name.clone();
        if self.names_input(s) {
            self.spike_onto_input(&pop.name, member);
            return None;
        }
        let help = match did_you_mean(&member.text, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it has none: nothing of it answers to spikes".to_string(),
            None => format!("its receptors are {}", names.join(", ")),
        };
        self.diags.push(
            Diagnostic::error(UNKNOWN_MEMBER, format!("`{}` has no receptor `{}`", pop.name, member.text))
                .label(member.span, format!("not in `{of}`"))
                .help(help),
        );
        None
    }

    fn connect(&mut self, c: &ast::Connect, span: Span, cx: Cx, sx: Cx) -> Option<hir::Connect> {
        let filter = c.filter.as_ref().map(|f| self.condition(f, sx));
        let rule = self.rule(&c.rule, cx, sx)?;
        Some(hir::Connect {
            rule,
            span,
            filter,
            autapses: c.autapses,
            multapses: c.multapses,
            symmetric: c.symmetric,
            procedural: c.procedural,
        })
    }

    fn rule(&mut self, e: &ast::Expr, cx: Cx, sx: Cx) -> Option<Rule> {
        let (name, args) = e.named().unwrap_or(("", &[]));
        let arity = match name {
            "one_to_one" | "all_to_all" => 0,
            _ if RULES.contains(&name) => 1,
            _ => {
                let near = did_you_mean(name, RULES);
                let help =
                    near.map_or_else(|| format!("rules are {}", RULES.join(", ")), |n| format!("did you mean `{n}`?"));
                self.diags.push(
                    Diagnostic::error(CONNECT_RULE, "there is no such connection rule")
                        .label(e.span, "not known")
                        .help(help),
                );
                return None;
            }
        };
        if args.len() != arity {
            self.diags.push(
                Diagnostic::error(
                    ARGUMENT_COUNT,
                    format!(
                        "`{name}` takes {}, found {}",
                        if arity == 0 { "no argument" } else { "one argument" },
                        args.len()
                    ),
                )
                .label(e.span, "here"),
            );
            return None;
        }
        let place = Place::Constant;
        let fixed = Cx { scope: cx.scope, place: &place };
        Some(match name {
            "one_to_one" => Rule::OneToOne,
            "all_to_all" => Rule::AllToAll,
            // A probability may differ from pair to pair.
            "bernoulli" => {
                let p = self.number(&args[0].value, sx, Dimension::NUMBER);
                let mut drawn = None;
                query::walk(&p, &mut |e| {
                    if let ExprKind::Draw { distribution, .. } = &e.kind {
                        drawn = Some((distribution.name(), e.span));
                    }
                    true
                });
                if let Some((draw, at)) = drawn {
                    self.not_here(
                        draw,
                        at,
                        "the pair is drawn with this probability; a probability is not drawn itself",
                    );
                }
                Rule::Bernoulli(p)
            }
            "fixed_indegree" => Rule::FixedIndegree(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "fixed_outdegree" => Rule::FixedOutdegree(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "fixed_total_number" => Rule::FixedTotalNumber(self.number(&args[0].value, fixed, Dimension::NUMBER)),
            "pairs" => Rule::Pairs(self.expr(&args[0].value, fixed, Some(Dimension::NUMBER))),
            _ => {
                let ast::ExprKind::String(path) = &args[0].value.kind else {
                    self.diags.push(
                        Diagnostic::error(KIND_MISMATCH, "`edges` takes the name of a file")
                            .label(args[0].span, "such as edges(\"e.csv\")"),
                    );
                    return None;
                };
                Rule::Edges { columns: self.edge_file(path, args[0].span)?, file: path.clone() }
            }
        })
    }

    fn edge_file(&mut self, path: &str, span: Span) -> Option<Vec<(String, Vec<f64>)>> {
        let columns = if path.ends_with(".npy") {
            let (shape, data) = self.read_data(path, span)?;
            let [rows, width] = shape.as_slice() else {
                self.diags.push(
                    Diagnostic::error(
                        DATA_FILE,
                        format!("`{path}` has {} dimensions; edges are rows x columns", shape.len()),
                    )
                    .label(span, "read here"),
                );
                return None;
            };
            let name = |k: usize| match k {
                0 => "pre".to_string(),
                1 => "post".to_string(),
                k => format!("{k}"),
            };
            (0..*width).map(|c| (name(c), (0..*rows).map(|r| data[r * width + c]).collect())).collect::<Vec<_>>()
        } else {
            let bytes = self.data_bytes(path, span)?;
            let text = std::str::from_utf8(&bytes).map_err(|e| e.to_string());
            match text.and_then(|t| crate::record::read_csv_columns(t).map_err(|e| e.to_string())) {
                Ok(columns) => columns,
                Err(why) => {
                    self.diags.push(
                        Diagnostic::error(DATA_FILE, format!("`{path}` can't be used: {why}")).label(span, "read here"),
                    );
                    return None;
                }
            }
        };
        if columns.len() < 2 {
            self.diags.push(
                Diagnostic::error(
                    DATA_FILE,
                    format!("`{path}` has {} column{}", columns.len(), if columns.len() == 1 { "" } else { "s" }),
                )
                .label(span, "read here")
                .help("an edge file has at least the columns pre and post"),
            );
            return None;
        }
        Some(columns)
    }
}

fn end_of(p: &hir::Population) -> End {
    End {
        axes: p.axes.iter().flatten().filter_map(|a| a.name.clone()).collect(),
        model: p.model,
        coordinates: p.position.as_ref().map_or(0, |p| p.coordinates.len()),
    }
}
