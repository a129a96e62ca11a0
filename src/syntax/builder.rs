//! From the parser's pairs to the tree: names, spans, documentation, bindings, dimensions, files.
//!
//! It takes for granted that the pairs come from `grammar/nsm.pest` over a part of `text`, and that the scan saw the whole
//! text. It leaves true: every span is exact (no white space or comment at its end), and no tree is nested deeper than
//! [`MAX_DEPTH`]. A `None` from any function means that grammar and builder disagree; the caller reports it as a bug.
//!
//! The rest of the builder is in `builder_expr`, `builder_model`, `builder_circuit` and `builder_stmt`.

use super::ast::*;
use super::error::{SyntaxError, codes};
use super::parser::{Pair, Parts, Rule};
use super::scan::{MAX_DEPTH, Scan, too_deep};
use crate::base::{FileId, Span};

pub(super) struct Builder<'s> {
    pub(super) file: FileId,
    /// Where the parsed piece starts in `text`.
    pub(super) base: usize,
    /// The whole file.
    pub(super) text: &'s str,
    pub(super) scan: &'s mut Scan,
    pub(super) errors: &'s mut Vec<SyntaxError>,
    /// How many blocks and bodies are open around what is being built.
    pub(super) level: usize,
}

impl<'s> Builder<'s> {
    pub(super) fn span(&self, pair: &Pair<'_>) -> Span {
        let span = pair.as_span();
        let start = self.base + span.start();
        // A rule whose last part is optional has stepped over the white space before the part that is not there.
        let end = self.scan.trim_end(self.text, start, self.base + span.end());
        Span::new(self.file, start, end)
    }

    pub(super) fn error(&mut self, error: SyntaxError) {
        self.errors.push(error);
    }

    /// True if `depth` levels are allowed; reports the first time they are not.
    pub(super) fn depth_allowed(&mut self, depth: usize, span: Span) -> bool {
        if depth <= MAX_DEPTH {
            return true;
        }
        if !self.scan.deep_reported {
            self.scan.deep_reported = true;
            self.errors.push(too_deep(span));
        }
        false
    }

    /// Builds what is one level further in.
    pub(super) fn inside<T>(&mut self, build: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.level += 1;
        let built = build(self);
        self.level -= 1;
        built
    }

    /// Takes the documentation before `pair`, then builds it.
    pub(super) fn documented<T>(
        &mut self,
        pair: Pair<'_>,
        build: impl FnOnce(&mut Self, Pair<'_>) -> Option<T>,
    ) -> Option<Documented<T>> {
        let span = self.span(&pair);
        let doc = self.scan.take_docs(self.text, span.start as usize);
        let kind = build(self, pair)?;
        Some(Documented { doc, kind, span })
    }

    pub(super) fn name(&self, pair: &Pair<'_>) -> Name {
        Name { text: pair.as_str().to_owned(), span: self.span(pair) }
    }

    pub(super) fn next_name(&self, parts: &mut Parts<'_>) -> Option<Name> {
        parts.opt(Rule::name).map(|p| self.name(&p))
    }

    pub(super) fn names(&self, parts: &mut Parts<'_>) -> Vec<Name> {
        parts.all(Rule::name).map(|p| self.name(&p)).collect()
    }

    pub(super) fn path(&self, pair: Pair<'_>) -> Path {
        let span = self.span(&pair);
        let names = pair.into_inner().map(|p| self.name(&p)).collect();
        Path { names, span }
    }

    pub(super) fn next_path(&self, parts: &mut Parts<'_>) -> Option<Path> {
        parts.opt(Rule::path).map(|p| self.path(p))
    }

    /// The text between the quotes, escapes resolved; an unknown escape is reported and kept as it stands.
    pub(super) fn string(&mut self, pair: &Pair<'_>) -> String {
        let span = self.span(pair);
        let source = pair.as_str();
        let inner = source.get(1..source.len().saturating_sub(1)).unwrap_or_default();
        let mut text = String::with_capacity(inner.len());
        let mut chars = inner.char_indices();
        while let Some((_, c)) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, c @ ('"' | '\\'))) => text.push(c),
                Some((at, other)) => {
                    let from = span.start as usize + 1 + at - 1;
                    let place = Span::new(self.file, from, from + 1 + other.len_utf8());
                    self.error(
                        SyntaxError::new(
                            codes::BAD_ESCAPE,
                            place,
                            format!("`\\{other}` is no escape of this language"),
                            "unknown escape",
                        )
                        .help("the escapes are `\\\"`, `\\\\`, `\\n` and `\\t`; write `\\\\` for a backslash"),
                    );
                    text.push('\\');
                    text.push(other);
                }
                None => text.push('\\'),
            }
        }
        text
    }

    pub(super) fn file_items(&mut self, file: Pair<'_>) -> Option<Vec<Item>> {
        Parts::of(file).all(Rule::item).map(|p| self.item(p)).collect()
    }

    fn item(&mut self, pair: Pair<'_>) -> Option<Item> {
        self.documented(pair, |b, p| {
            let inner = p.into_inner().next()?;
            Some(match inner.as_rule() {
                Rule::use_item => ItemKind::Use(b.use_item(inner)?),
                Rule::let_item => ItemKind::Let(b.let_item(inner)?),
                Rule::labels_item => ItemKind::Labels(b.labels(inner)?),
                Rule::model => ItemKind::Model(b.model(inner)?),
                Rule::plasticity => ItemKind::Plasticity(b.plasticity(inner)?),
                Rule::network => ItemKind::Network(b.network(inner)?),
                Rule::sleep => ItemKind::Sleep(b.sleep(inner)?),
                Rule::experiment => ItemKind::Experiment(b.experiment(inner)?),
                _ => return None,
            })
        })
    }

    fn use_item(&mut self, pair: Pair<'_>) -> Option<Use> {
        let mut parts = Parts::of(pair);
        let export = parts.has(Rule::kw_export);
        let mut from = Parts::of(parts.opt(Rule::use_source)?);
        let first = from.any()?;
        let source = match first.as_rule() {
            Rule::string => UseSource::File { text: self.string(&first), span: self.span(&first) },
            _ => UseSource::Path(self.path(first)),
        };
        let select = match from.opt(Rule::use_select) {
            None => UseSelect::Whole,
            Some(select) => {
                let inner = Parts::of(select).any()?;
                match inner.as_rule() {
                    Rule::use_many => UseSelect::Many(self.names(&mut Parts::of(inner))),
                    _ => UseSelect::One(self.name(&inner)),
                }
            }
        };
        Some(Use { export, source, select, alias: self.next_name(&mut parts) })
    }

    pub(super) fn let_item(&mut self, pair: Pair<'_>) -> Option<Let> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let params = if let Some(formals) = parts.opt(Rule::formals) {
            LetParams::Function(self.formals(formals)?)
        } else if let Some(axes) = parts.opt(Rule::axes) {
            LetParams::Table(self.axes(axes)?)
        } else {
            LetParams::None
        };
        Some(Let { name, params, value: self.next_expr(&mut parts)? })
    }

    pub(super) fn labels(&mut self, pair: Pair<'_>) -> Option<Labels> {
        let mut parts = Parts::of(pair);
        Some(Labels { name: self.next_name(&mut parts)?, members: self.names(&mut parts) })
    }

    pub(super) fn formals(&mut self, pair: Pair<'_>) -> Option<Vec<Formal>> {
        Parts::of(pair)
            .all(Rule::formal)
            .map(|p| {
                let mut parts = Parts::of(p);
                Some(Formal { name: self.next_name(&mut parts)?, dim: self.opt_dim(&mut parts)? })
            })
            .collect()
    }

    pub(super) fn opt_formals(&mut self, parts: &mut Parts<'_>) -> Option<Option<Vec<Formal>>> {
        parts.opt(Rule::formals).map_or(Some(None), |p| self.formals(p).map(Some))
    }

    pub(super) fn axes(&mut self, pair: Pair<'_>) -> Option<Vec<Axis>> {
        Parts::of(pair)
            .all(Rule::axis)
            .map(|p| {
                let mut parts = Parts::of(p);
                Some(Axis { name: self.next_name(&mut parts), size: self.next_expr(&mut parts)? })
            })
            .collect()
    }

    pub(super) fn opt_axes(&mut self, parts: &mut Parts<'_>) -> Option<Option<Vec<Axis>>> {
        parts.opt(Rule::axes).map_or(Some(None), |p| self.axes(p).map(Some))
    }

    pub(super) fn dim(&mut self, pair: Pair<'_>) -> Option<Dim> {
        let span = self.span(&pair);
        let mut factors = Vec::new();
        let mut divided = false;
        for part in pair.into_inner() {
            if part.as_rule() == Rule::dim_op {
                divided = part.as_str() == "/";
                continue;
            }
            let mut parts = Parts::of(part);
            let name = self.name(&parts.any()?);
            // The caret is no mark of the common run, so it is asked for.
            let power = parts.opt(Rule::dim_caret).and_then(|_| parts.opt(Rule::dim_power));
            factors.push(DimFactor { name, divided, power: power.map(|p| p.as_str().to_owned()) });
        }
        Some(Dim { factors, span })
    }

    pub(super) fn next_dim(&mut self, parts: &mut Parts<'_>) -> Option<Dim> {
        parts.opt(Rule::dim).and_then(|p| self.dim(p))
    }

    pub(super) fn opt_dim(&mut self, parts: &mut Parts<'_>) -> Option<Option<Dim>> {
        parts.opt(Rule::dim).map_or(Some(None), |p| self.dim(p).map(Some))
    }

    pub(super) fn bindings(&mut self, pair: Pair<'_>) -> Option<Vec<Binding>> {
        Parts::of(pair).all(Rule::binding).map(|p| self.binding(p)).collect()
    }

    pub(super) fn binding(&mut self, pair: Pair<'_>) -> Option<Binding> {
        let mut parts = Parts::of(pair);
        let name = self.next_name(&mut parts)?;
        let dim = self.opt_dim(&mut parts)?;
        let value = match parts.opt(Rule::cond).or_else(|| parts.opt(Rule::sum)) {
            Some(p) => Some(self.expr(p)?),
            None => None,
        };
        Some(Binding { name, dim, value, bounds: self.opt_bounds(&mut parts)? })
    }

    pub(super) fn opt_bounds(&mut self, parts: &mut Parts<'_>) -> Option<Option<(Expr, Expr)>> {
        let Some(bounds) = parts.opt(Rule::bounds) else {
            return Some(None);
        };
        let mut sums = Parts::of(bounds);
        let low = self.expr(sums.opt(Rule::sum)?)?;
        let high = self.expr(sums.opt(Rule::sum)?)?;
        Some(Some((low, high)))
    }

    pub(super) fn needs(&mut self, pair: Pair<'_>) -> Option<Needs> {
        let inner = Parts::of(pair).any()?;
        let rule = inner.as_rule();
        let mut parts = Parts::of(inner);
        Some(match rule {
            Rule::needs_modulator => {
                let name = self.next_name(&mut parts)?;
                let value = match parts.opt(Rule::sum) {
                    Some(p) => Some(self.expr(p)?),
                    None => None,
                };
                Needs::Modulator { name, value }
            }
            Rule::needs_event => {
                Needs::Event { name: self.next_name(&mut parts)?, formals: self.opt_formals(&mut parts)? }
            }
            _ => Needs::Value { place: self.next_place(&mut parts)?, dim: self.next_dim(&mut parts)? },
        })
    }

    /// `name` and, if they follow, formals: events.
    pub(super) fn event(&mut self, pair: Pair<'_>) -> Option<(Name, Option<Vec<Formal>>)> {
        let mut parts = Parts::of(pair);
        Some((self.next_name(&mut parts)?, self.opt_formals(&mut parts)?))
    }

    pub(super) fn inst(&mut self, pair: Pair<'_>) -> Option<Instance> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let path = self.next_path(&mut parts)?;
        let args = match parts.opt(Rule::call) {
            Some(call) => Some(self.args(call)?),
            None => None,
        };
        Some(Instance { path, args, span })
    }

    pub(super) fn next_inst(&mut self, parts: &mut Parts<'_>) -> Option<Instance> {
        parts.opt(Rule::inst).and_then(|p| self.inst(p))
    }

    pub(super) fn loop_range(&mut self, pair: Pair<'_>) -> Option<Loop> {
        let mut parts = Parts::of(pair);
        let variable = self.next_name(&mut parts)?;
        let mut ends = Parts::of(parts.opt(Rule::range)?);
        let range = Range { start: self.next_expr(&mut ends)?, end: self.opt_expr(&mut ends)? };
        Some(Loop { variable, range })
    }

    pub(super) fn loops(&mut self, parts: &mut Parts<'_>) -> Option<Vec<Loop>> {
        parts.all(Rule::loop_range).map(|p| self.loop_range(p)).collect()
    }
}
