//! Calls: functions of the language and of the author, distributions, data files.

use super::error::*;
use super::scope::Entity;
use super::{Cx, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{Expr, ExprKind, Kind, Type, ValueId, ValueKind};
use crate::script::{Distribution, Func, ListDraw, Stat, Value};
use crate::syntax::ast;
use crate::units::Dimension;

impl Sema<'_> {
    pub(super) fn call(
        &mut self,
        callee: &ast::Expr,
        args: &[ast::Arg],
        span: Span,
        cx: Cx,
        want: Option<Dimension>,
    ) -> Expr {
        let ast::ExprKind::Name(name) = &callee.kind else {
            self.diags.push(
                Diagnostic::error(WRONG_THING, "only a function's name can be called").label(callee.span, "not a name"),
            );
            return self.error_expr(span);
        };
        // A name of the author's comes first: functions of the language can be told apart by it only where there is none.
        if let Some(entity) = self.lookup(cx.scope, name) {
            return match entity {
                Entity::Value(id) => self.apply(id, name, args, span, cx),
                Entity::Poison => self.error_expr(span),
                other => {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, format!("`{name}` is {}, not a function", other.words()))
                            .label(callee.span, "called here"),
                    );
                    self.error_expr(span)
                }
            };
        }
        if let Some(e) = self.query_call(name, args, span, cx) {
            return e;
        }
        if let Some(arg) = args.iter().find(|a| !a.modifiers.is_empty()) {
            self.diags.push(
                Diagnostic::error(NOT_HERE, format!("`{name}` takes no `where`, `by`, `during` or `over` here"))
                    .label(arg.span, "only statistics of an experiment are narrowed so"),
            );
            return self.error_expr(span);
        }
        if let Some(d) = Distribution::by_name(name) {
            return self.draw(d, args, span, cx, want);
        }
        let list_draw = match name.as_str() {
            "choose" => Some((ListDraw::Choose, 1)),
            "permutation" => Some((ListDraw::Permutation, 1)),
            "sample" => Some((ListDraw::Sample, 2)),
            _ => None,
        };
        if let Some((kind, arity)) = list_draw {
            return self.list_draw(kind, arity, name, args, span, cx);
        }
        match name.as_str() {
            "file" => return self.data_file(args, span),
            "sum_in" | "sum_out" => return self.sum_of_weights(name, args, span, cx),
            "column" => {
                if let [ast::Arg { value: ast::Expr { kind: ast::ExprKind::String(s), .. }, .. }] = args
                    && matches!(cx.place, Place::Synapse { .. })
                {
                    return Expr { kind: ExprKind::Column(s.clone()), span, ty: Type { dim: None, ..Type::NUMBER } };
                }
                return self.not_here(
                    "column",
                    span,
                    "column(\"name\") names a column of the projection's own edge file",
                );
            }
            _ => {}
        }
        if let Some(f) = Func::by_name(name) {
            return self.function(f, args, span, cx, want);
        }
        let mut extra: Vec<&str> = Func::ALL.iter().map(|f| f.name()).collect();
        extra.extend(Distribution::ALL.iter().map(|d| d.name()));
        extra.extend(Stat::ALL.iter().map(|(n, _)| *n));
        self.unknown_name(cx.scope, name, callee.span, &extra, "function", None);
        self.error_expr(span)
    }

    pub(super) fn arguments(&mut self, name: &str, args: &[ast::Arg], (low, high): (usize, usize), span: Span) -> bool {
        if let Some(arg) = args.iter().find(|a| a.name.is_some()) {
            self.diags.push(
                Diagnostic::error(UNKNOWN_ARGUMENT, format!("`{name}` has no named arguments"))
                    .label(arg.span, "write the value alone"),
            );
            return false;
        }
        if args.len() < low || args.len() > high {
            let expected = if low == high { format!("{low}") } else { format!("{low} to {high}") };
            self.diags.push(
                Diagnostic::error(
                    ARGUMENT_COUNT,
                    format!(
                        "`{name}` takes {expected} argument{}, found {}",
                        if (low, high) == (1, 1) { "" } else { "s" },
                        args.len()
                    ),
                )
                .label(span, "called here"),
            );
            return false;
        }
        true
    }

    fn apply(&mut self, id: ValueId, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        self.ensure(id);
        let def = self.program.value(id).clone();
        let ValueKind::Function { formals, .. } = &def.kind else {
            if def.kind_broken() {
                return self.error_expr(span);
            }
            self.diags.push(
                Diagnostic::error(WRONG_THING, format!("`{name}` is a value, not a function"))
                    .label(span, "called here")
                    .label(def.span, "defined here"),
            );
            return self.error_expr(span);
        };
        if !self.arguments(name, args, (formals.len(), formals.len()), span) {
            return self.error_expr(span);
        }
        let mut out = Vec::new();
        for (arg, formal) in args.iter().zip(formals) {
            let f = self.program.value(*formal).clone();
            let dim = f.ty.dimension();
            let x = self.expr(&arg.value, cx, Some(dim).filter(|_| f.ty.kind != Kind::Unknown));
            if f.ty.kind == Kind::Unknown {
                return self.error_expr(span);
            }
            self.fits(&x, dim, FUNCTION_DIMENSION, &format!("`{}` of `{name}` is {}", f.name, dimension_words(dim)));
            out.push(x);
        }
        Expr { kind: ExprKind::Apply(id, out), span, ty: def.ty }
    }

    fn draw(&mut self, d: Distribution, args: &[ast::Arg], span: Span, cx: Cx, want: Option<Dimension>) -> Expr {
        if matches!(cx.place, Place::Constant) {
            return self.not_here(
                d.name(),
                span,
                "a draw needs an element it is drawn for: a neuron, a synapse, an experiment's step",
            );
        }
        if matches!(cx.place, Place::Rule(_)) && d != Distribution::Bernoulli {
            return self.not_here(d.name(), span, "a rule draws only yes or no: bernoulli(p)");
        }
        if !self.arguments(d.name(), args, (d.arity(), d.arity()), span) {
            return self.error_expr(span);
        }
        let numbers = [d == Distribution::Bernoulli || d == Distribution::Poisson, d == Distribution::Lognormal];
        let mut out: Vec<Expr> = Vec::new();
        for (k, arg) in args.iter().enumerate() {
            let pure = numbers[0] || (d == Distribution::Lognormal && k == 1) || (d == Distribution::Gamma && k == 0);
            let first = out.iter().find(|e: &&Expr| e.ty.dim.is_some()).map(|e| (e.ty, e.span));
            let dim = if pure { Some(Dimension::NUMBER) } else { first.and_then(|(t, _)| t.dim).or(want) };
            let x = self.expr(&arg.value, cx, dim);
            if pure {
                self.fits(
                    &x,
                    Dimension::NUMBER,
                    FUNCTION_DIMENSION,
                    &format!("this argument of `{}` is a number", d.name()),
                );
            } else if let Some((ty, at)) = first.filter(|_| d != Distribution::Gamma) {
                self.same(ty, at, &x, "the arguments of a distribution");
            }
            out.push(x);
        }
        let ty = match d {
            Distribution::Bernoulli => Type::BOOL,
            Distribution::Poisson => Type::NUMBER,
            Distribution::Lognormal => out[0].ty,
            Distribution::Gamma => out[1].ty,
            _ => out.iter().find(|e| e.ty.dim.is_some()).map_or(Type { dim: None, ..Type::NUMBER }, |e| e.ty),
        };
        let site = self.site();
        Expr { kind: ExprKind::Draw { distribution: d, args: out, site }, span, ty }
    }

    pub(super) fn site(&mut self) -> u32 {
        self.sites += 1;
        self.sites - 1
    }

    fn list_draw(&mut self, kind: ListDraw, arity: usize, name: &str, args: &[ast::Arg], span: Span, cx: Cx) -> Expr {
        if !matches!(cx.place, Place::Experiment(_) | Place::Environment) {
            return self.not_here(name, span, "lists and sets are drawn in an experiment");
        }
        if !self.arguments(name, args, (arity, arity), span) {
            return self.error_expr(span);
        }
        let mut out = Vec::new();
        for (k, arg) in args.iter().enumerate() {
            // `sample(P, k)`: P may be a population, of which only the size matters.
            let size = if k == 0 && kind == ListDraw::Sample { self.population_size(&arg.value, cx) } else { None };
            out.push(match size {
                Some(e) => e,
                None => self.number_or_mask(&arg.value, cx),
            });
        }
        let ty = match kind {
            ListDraw::Choose => Type::NUMBER,
            ListDraw::Permutation => Type::NUMBER.with_rank(1),
            ListDraw::Sample => Type::MASK,
        };
        let site = self.site();
        Expr { kind: ExprKind::ListDraw { kind, args: out, site }, span, ty }
    }

    pub(super) fn number_or_mask(&mut self, e: &ast::Expr, cx: Cx) -> Expr {
        let x = self.expr(e, cx, Some(Dimension::NUMBER));
        if x.ty.kind != Kind::Mask && self.scalar(&x) {
            self.fits(&x, Dimension::NUMBER, DIMENSION_MISMATCH, "a number is expected here");
        }
        x
    }

    pub(super) fn function(&mut self, f: Func, args: &[ast::Arg], span: Span, cx: Cx, want: Option<Dimension>) -> Expr {
        if !self.arguments(f.name(), args, f.arity(), span) {
            return self.error_expr(span);
        }
        let keeps = matches!(
            f,
            Func::Abs
                | Func::Min
                | Func::Max
                | Func::Clip
                | Func::Sum
                | Func::Mean
                | Func::Median
                | Func::Sd
                | Func::Sem
                | Func::Quantile
        );
        let out: Vec<Expr> = args.iter().map(|a| self.expr(&a.value, cx, if keeps { want } else { None })).collect();
        self.call_of(f, out, span)
    }

    /// Types a call of resolved arguments.
    pub(super) fn call_of(&mut self, f: Func, out: Vec<Expr>, span: Span) -> Expr {
        let first = out.first().map_or(Type::NUMBER, |e| e.ty);
        let name = f.name();
        let rank = out.iter().map(|e| e.ty.rank).max().unwrap_or(0);
        let truth = out.iter().find(|e| e.ty.kind == Kind::Bool && f.pointwise(0.0).is_some()).map(|e| e.span);
        if let Some(span) = truth {
            self.diags.push(
                Diagnostic::error(KIND_MISMATCH, format!("`{name}` takes a number, found a truth value"))
                    .label(span, "true or false")
                    .help("choose numbers: `if condition then 1 else 0`"),
            );
        }
        let ty = match f {
            _ if out.iter().any(|e| e.ty.kind == Kind::Unknown) || truth.is_some() => Type::UNKNOWN,
            _ if !f.reduces() && out.iter().any(|e| e.ty.kind == Kind::Text) => {
                out.iter().filter(|e| e.ty.kind == Kind::Text).for_each(|e| {
                    self.scalar(e);
                });
                Type::UNKNOWN
            }
            Func::Abs => first,
            Func::Sqrt => match first.dim.map(|d| d.sqrt()) {
                Some(Some(d)) => Type { dim: Some(d), ..first },
                None => first,
                Some(None) => {
                    self.diags.push(
                        Diagnostic::error(
                            EXPONENT,
                            format!(
                                "the root of {} has no dimension that can be written",
                                dimension_words(first.dimension())
                            ),
                        )
                        .label(span, "here"),
                    );
                    Type::UNKNOWN
                }
            },
            Func::Min | Func::Max | Func::Clip => {
                let mut ty = first;
                let mut at = out[0].span;
                for x in &out[1..] {
                    ty = self.same(ty, at, x, &format!("the arguments of `{name}`"));
                    at = x.span;
                }
                if out.len() == 1 { ty.with_rank(0) } else { ty }
            }
            Func::Atan2 => {
                let ty = self.same(first, out[0].span, &out[1], &format!("the arguments of `{name}`"));
                if ty.kind == Kind::Unknown { ty } else { Type::NUMBER.with_rank(rank) }
            }
            Func::Sum | Func::Mean | Func::Median | Func::Sd | Func::Sem => {
                // A truth value counts as 1 or 0: `mean(correct)` is a fraction.
                Type { kind: Kind::Number, rank: 0, dim: first.dim }
            }
            Func::Quantile => Type { kind: Kind::Number, rank: 0, dim: first.dim },
            Func::Variance => Type { kind: Kind::Number, rank: 0, dim: first.dim.map(|d| d * d) },
            Func::Dot => Type { kind: Kind::Number, rank: 0, dim: Some(first.dimension() * out[1].ty.dimension()) },
            Func::All | Func::Any => Type::BOOL,
            Func::N | Func::Size | Func::Argmax | Func::Argmin | Func::Corr | Func::Information => Type::NUMBER,
            Func::Subsets => Type::MASK.with_rank(1),
            Func::Floor
            | Func::Ceil
            | Func::Round
            | Func::Sign
            | Func::Exp
            | Func::Expm1
            | Func::Exprel
            | Func::Ln
            | Func::Ln1p
            | Func::Log2
            | Func::Log10
            | Func::Sin
            | Func::Cos
            | Func::Tan
            | Func::Tanh => {
                for x in &out {
                    if let Some(d) = x.ty.dim
                        && !d.is_number()
                    {
                        self.diags.push(
                            Diagnostic::error(
                                FUNCTION_DIMENSION,
                                format!("`{name}` takes a number, found {}", dimension_words(d)),
                            )
                            .label(x.span, format!("this is {}", dimension_words(d)))
                            .help(format!(
                                "divide by a quantity of the same dimension, such as 1 {}",
                                d.typical_unit()
                            )),
                        );
                    }
                }
                Type::NUMBER.with_rank(rank)
            }
        };
        Expr { kind: ExprKind::Call(f, out), span, ty }
    }

    /// `file("w.npy")`, `file("t.csv")`: numbers of a data file as nested lists. Bare numbers: the place gives the dimension.
    fn data_file(&mut self, args: &[ast::Arg], span: Span) -> Expr {
        let [ast::Arg { value: ast::Expr { kind: ast::ExprKind::String(path), span: at }, .. }] = args else {
            self.diags.push(
                Diagnostic::error(ARGUMENT_COUNT, "`file` takes the name of a data file")
                    .label(span, "such as file(\"w.npy\")"),
            );
            return self.error_expr(span);
        };
        let Some(array) = self.read_data(path, *at) else { return self.error_expr(span) };
        let rank = array.0.len() as u8;
        let value = nested(&array.0, &array.1);
        Expr { kind: ExprKind::Const(value), span, ty: Type { kind: Kind::Number, rank, dim: Some(Dimension::NUMBER) } }
    }

    /// Shape and values of a `.npy` file, or of a `.csv` file (rows x columns).
    pub(super) fn read_data(&mut self, path: &str, span: Span) -> Option<(Vec<usize>, Vec<f64>)> {
        let bytes = self.data_bytes(path, span)?;
        let parsed = if path.ends_with(".npy") {
            crate::record::read_npy(&bytes).map(|a| (a.shape, a.data)).map_err(|e| e.to_string())
        } else {
            match std::str::from_utf8(&bytes) {
                Ok(text) => crate::record::read_csv_columns(text).map_err(|e| e.to_string()).map(|columns| {
                    let rows = columns.first().map_or(0, |c| c.1.len());
                    let data = (0..rows).flat_map(|r| columns.iter().map(move |c| c.1[r])).collect();
                    if columns.len() == 1 { (vec![rows], data) } else { (vec![rows, columns.len()], data) }
                }),
                Err(e) => Err(format!("not UTF-8 text (byte {} is the first bad one)", e.valid_up_to())),
            }
        };
        match parsed {
            Ok(ok) => Some(ok),
            Err(why) => {
                self.diags.push(
                    Diagnostic::error(DATA_FILE, format!("`{path}` can't be used: {why}")).label(span, "read here"),
                );
                None
            }
        }
    }

    pub(super) fn data_bytes(&mut self, path: &str, span: Span) -> Option<Vec<u8>> {
        let from = self.sources.file(span.file).name.clone();
        match self.loader.resolve(&from, path).and_then(|name| self.loader.bytes(&name)) {
            Ok(bytes) => Some(bytes),
            Err(e) => {
                self.load_error(path, e, Some(span));
                None
            }
        }
    }
}

fn nested(shape: &[usize], data: &[f64]) -> Value {
    match shape {
        [] => Value::Number(data.first().copied().unwrap_or(0.0)),
        [_] => Value::List(data.iter().map(|v| Value::Number(*v)).collect()),
        [n, rest @ ..] => {
            let block = rest.iter().product::<usize>();
            Value::List((0..*n).map(|k| nested(rest, &data[k * block..(k + 1) * block])).collect())
        }
    }
}
