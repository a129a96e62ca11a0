//! Expressions, arguments, dimensions, bindings.

use super::Formatter;
use super::doc::{Doc, concat, fill, group, line, nest, text};
use crate::base::Span;
use crate::syntax::ast::*;

pub(super) fn ends_of(span: Span) -> (usize, usize) {
    (span.start as usize, span.end as usize)
}

/// How tightly an operator binds, as far as chains of it are laid out together.
fn strength(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And => 1,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Crosses => {
            2
        }
        BinaryOp::Add | BinaryOp::Sub => 3,
        BinaryOp::Mul | BinaryOp::Div => 4,
        BinaryOp::Pow => 5,
    }
}

fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Pow => "^",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Crosses => "crosses",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
    }
}

pub(super) fn quoted(string: &str) -> String {
    let mut out = String::with_capacity(string.len() + 2);
    out.push('"');
    for c in string.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn path(path: &Path) -> String {
    path.names.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(".")
}

pub(super) fn names(list: &[Name]) -> String {
    list.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(", ")
}

pub(super) fn dim(dim: &Dim) -> String {
    let mut out = String::new();
    for (k, factor) in dim.factors.iter().enumerate() {
        if k > 0 {
            out.push(if factor.divided { '/' } else { '*' });
        }
        out.push_str(&factor.name.text);
        if let Some(power) = &factor.power {
            out.push('^');
            out.push_str(power);
        }
    }
    out
}

pub(super) fn formals(list: &[Formal]) -> String {
    let list: Vec<String> = list
        .iter()
        .map(|f| match &f.dim {
            Some(d) => format!("{}: {}", f.name.text, dim(d)),
            None => f.name.text.clone(),
        })
        .collect();
    format!("({})", list.join(", "))
}

pub(super) fn opt_formals(list: &Option<Vec<Formal>>) -> String {
    list.as_deref().map_or_else(String::new, formals)
}

impl<'a> Formatter<'a> {
    /// `open` elements `close`, broken inside the brackets if too long.
    fn bracketed(open: &str, elements: Vec<Doc>, close: &str) -> Doc {
        if elements.is_empty() {
            return text(format!("{open}{close}"));
        }
        let inside = concat(vec![line(""), fill(elements, &line(" "))]);
        group(concat(vec![text(open), nest(inside), line(""), text(close)]))
    }

    /// A matrix too long for a line has each of its rows on one.
    fn rows(rows: Vec<Doc>) -> Doc {
        let mut inside = Vec::with_capacity(2 * rows.len());
        for (k, row) in rows.into_iter().enumerate() {
            inside.extend([line(if k > 0 { " " } else { "" }), row]);
        }
        group(concat(vec![text("["), nest(concat(inside)), line(""), text("]")]))
    }

    /// `e` after an `=` or a word: what ends with its own bracket at the margin is not moved to the right for it.
    pub(super) fn value(&mut self, e: &'a Expr) -> Doc {
        let doc = self.expr(e);
        if matches!(e.kind, ExprKind::List(_) | ExprKind::Paren(_) | ExprKind::Call(..)) { doc } else { nest(doc) }
    }

    pub(super) fn expr(&mut self, e: &'a Expr) -> Doc {
        let (_, end) = ends_of(e.span);
        match &e.kind {
            ExprKind::Number { text: number, unit } => match unit {
                Some(unit) => text(format!("{number} {}", unit.text)),
                None => text(number),
            },
            ExprKind::String(s) => text(quoted(s)),
            ExprKind::Bool(b) => text(if *b { "true" } else { "false" }),
            ExprKind::Name(name) => text(name),
            ExprKind::List(list) => {
                let elements = self.exprs(list, e.span.start as usize, end);
                if list.len() > 1 && list.iter().all(|row| matches!(row.kind, ExprKind::List(_))) {
                    Self::rows(elements)
                } else {
                    Self::bracketed("[", elements, "]")
                }
            }
            ExprKind::Paren(list) => Self::bracketed("(", self.exprs(list, e.span.start as usize, end), ")"),
            ExprKind::Field(inside, name) => concat(vec![self.expr(inside), text(format!(".{}", name.text))]),
            ExprKind::Index(inside, slots) => {
                let head = self.expr(inside);
                let slots = slots.iter().enumerate().map(|(k, s)| {
                    let comma = if k > 0 { ", " } else { "" };
                    concat(vec![text(comma), self.slot(s)])
                });
                let slots = concat(slots.collect());
                concat(vec![head, text("["), slots, text("]")])
            }
            ExprKind::Call(inside, args) => {
                let head = self.expr(inside);
                let args = self.args(args, inside.span.end as usize, end);
                concat(vec![head, args])
            }
            ExprKind::Unary(op, inside) => {
                let sign = match op {
                    UnaryOp::Neg => "-",
                    UnaryOp::Not => "not ",
                };
                concat(vec![text(sign), self.expr(inside)])
            }
            ExprKind::Binary(BinaryOp::Pow, base, power) => {
                // `5 mV^2` would read as a unit.
                let with_unit = matches!(base.kind, ExprKind::Number { unit: Some(_), .. });
                let op = if with_unit { " ^ " } else { "^" };
                concat(vec![self.expr(base), text(op), self.expr(power)])
            }
            ExprKind::Binary(op, left, right) => self.chain(*op, left, right),
            ExprKind::In(value, low, high) => {
                let value = self.expr(value);
                let low = self.expr(low);
                let high = self.expr(high);
                let bounds = concat(vec![line(" "), text("in "), low, text(" .. "), high]);
                group(concat(vec![value, nest(bounds)]))
            }
            ExprKind::If(condition, then, otherwise) => {
                let mut parts = vec![text("if "), self.expr(condition), text(" then "), self.expr(then)];
                let mut rest = vec![line(" "), text("else "), self.expr(otherwise)];
                parts.push(nest(concat(std::mem::take(&mut rest))));
                group(concat(parts))
            }
        }
    }

    /// `a + b - c`: the operands of one strength break together, each line beginning with its operator.
    fn chain(&mut self, op: BinaryOp, left: &'a Expr, right: &'a Expr) -> Doc {
        let mut operands = vec![(op, right)];
        let mut first = left;
        while let ExprKind::Binary(inner, l, r) = &first.kind {
            if strength(*inner) != strength(op) {
                break;
            }
            operands.push((*inner, r));
            first = l;
        }
        let first = self.expr(first);
        let mut rest = Vec::new();
        for (op, operand) in operands.into_iter().rev() {
            rest.extend([line(" "), text(format!("{} ", symbol(op))), self.expr(operand)]);
        }
        group(concat(vec![first, nest(concat(rest))]))
    }

    fn slot(&mut self, slot: &'a Slot) -> Doc {
        match slot {
            Slot::At(e) => self.expr(e),
            Slot::Range(None, None) => text(".."),
            Slot::Range(None, Some(end)) => concat(vec![text(".."), self.expr(end)]),
            Slot::Range(Some(start), None) => concat(vec![self.expr(start), text(" ..")]),
            Slot::Range(Some(start), Some(end)) => {
                let start = self.expr(start);
                concat(vec![start, text(" .. "), self.expr(end)])
            }
        }
    }

    fn exprs(&mut self, list: &'a [Expr], from: usize, to: usize) -> Vec<Doc> {
        self.parts(list, ",", from, Some(to), |e| ends_of(e.span), |f, e| f.expr(e))
    }

    pub(super) fn args(&mut self, list: &'a [Arg], from: usize, to: usize) -> Doc {
        let args = self.parts(list, ",", from, Some(to), |a| ends_of(a.span), |f, a| f.arg(a));
        Self::bracketed("(", args, ")")
    }

    pub(super) fn arg(&mut self, arg: &'a Arg) -> Doc {
        let mut parts = Vec::new();
        if let Some(name) = &arg.name {
            parts.push(text(format!("{} = ", name.text)));
        }
        parts.push(self.expr(&arg.value));
        for modifier in &arg.modifiers {
            parts.push(text(" "));
            match modifier {
                Modifier::Where(e) => parts.extend([text("where "), self.expr(e)]),
                Modifier::By(name) => parts.push(text(format!("by {}", name.text))),
                Modifier::Over(e) => parts.extend([text("over "), self.expr(e)]),
                Modifier::During(from, to) => {
                    parts.extend([text("during "), self.expr(from)]);
                    match to {
                        None => {}
                        Some(None) => parts.push(text(" ..")),
                        Some(Some(end)) => parts.extend([text(" .. "), self.expr(end)]),
                    }
                }
            }
        }
        concat(parts)
    }

    pub(super) fn instance(&mut self, inst: &'a Instance) -> Doc {
        let head = text(path(&inst.path));
        match &inst.args {
            None => head,
            Some(args) => {
                let args = self.args(args, inst.path.span.end as usize, inst.span.end as usize);
                concat(vec![head, args])
            }
        }
    }

    pub(super) fn axes(&mut self, axes: &'a [Axis]) -> Doc {
        let mut parts = vec![text("[")];
        for (k, axis) in axes.iter().enumerate() {
            if k > 0 {
                parts.push(text(", "));
            }
            if let Some(name) = &axis.name {
                parts.push(text(format!("{}: ", name.text)));
            }
            parts.push(self.expr(&axis.size));
        }
        parts.push(text("]"));
        concat(parts)
    }

    pub(super) fn opt_axes(&mut self, axes: &'a Option<Vec<Axis>>) -> Doc {
        match axes {
            Some(axes) => self.axes(axes),
            None => text(""),
        }
    }

    pub(super) fn binding(&mut self, b: &'a Binding) -> Doc {
        let mut head = b.name.text.clone();
        if let Some(d) = &b.dim {
            head.push_str(": ");
            head.push_str(&dim(d));
        }
        let mut parts = vec![text(head)];
        if let Some(value) = &b.value {
            parts.extend([text(" = "), self.value(value)]);
        }
        if let Some((low, high)) = &b.bounds {
            let low = self.expr(low);
            parts.extend([text(" in "), low, text(" .. "), self.expr(high)]);
        }
        concat(parts)
    }

    /// `param a = 1, b = 2`: as many on a line as fit.
    pub(super) fn bindings(&mut self, word: &str, list: &'a [Binding], start: usize) -> Doc {
        let docs = self.parts(list, ",", start, None, binding_ends, |f, b| f.binding(b));
        group(concat(vec![text(format!("{word} ")), nest(fill(docs, &line(" ")))]))
    }

    /// `head = expr`
    pub(super) fn define(&mut self, head: Doc, value: &'a Expr) -> Doc {
        concat(vec![head, text(" = "), self.value(value)])
    }

    pub(super) fn opt_define(&mut self, head: Doc, value: Option<&'a Expr>) -> Doc {
        match value {
            Some(value) => self.define(head, value),
            None => head,
        }
    }

    /// `word expr`
    pub(super) fn worded(&mut self, word: &str, value: &'a Expr) -> Doc {
        concat(vec![text(format!("{word} ")), self.value(value)])
    }

    /// `a, b, c`
    pub(super) fn places(&mut self, list: &'a [Expr]) -> Doc {
        let from = list.first().map_or(0, |e| e.span.start as usize);
        let docs = self.parts(list, ",", from, None, |e| ends_of(e.span), |f, e| f.expr(e));
        nest(fill(docs, &line(" ")))
    }

    pub(super) fn let_item(&mut self, item: &'a Let) -> Doc {
        let head = match &item.params {
            LetParams::None => text(format!("let {}", item.name.text)),
            LetParams::Function(list) => text(format!("let {}{}", item.name.text, formals(list))),
            LetParams::Table(axes) => {
                let axes = self.axes(axes);
                concat(vec![text(format!("let {}", item.name.text)), axes])
            }
        };
        self.define(head, &item.value)
    }

    pub(super) fn loops(&mut self, loops: &'a [Loop]) -> Doc {
        let mut parts = Vec::new();
        for (k, l) in loops.iter().enumerate() {
            if k > 0 {
                parts.push(text(", "));
            }
            parts.push(self.loop_range(&l.variable, &l.range));
        }
        concat(parts)
    }

    pub(super) fn loop_range(&mut self, variable: &Name, range: &'a Range) -> Doc {
        let mut parts = vec![text(format!("{} in ", variable.text)), self.expr(&range.start)];
        if let Some(end) = &range.end {
            parts.extend([text(" .. "), self.expr(end)]);
        }
        concat(parts)
    }
}

/// Where a range ends in the text.
pub(super) fn range_end(range: &Range) -> usize {
    range.end.as_ref().unwrap_or(&range.start).span.end as usize
}

fn binding_ends(b: &Binding) -> (usize, usize) {
    let end = if let Some((_, high)) = &b.bounds {
        high.span.end
    } else if let Some(value) = &b.value {
        value.span.end
    } else {
        b.dim.as_ref().map_or(b.name.span.end, |d| d.span.end)
    };
    (b.name.span.start as usize, end as usize)
}
