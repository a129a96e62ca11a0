//! Expressions: the flat chains of the grammar become a tree.
//!
//! The grammar repeats where a textbook recurses, so that long chains cost the parser no stack. Here they get their
//! nesting: `and` over `or`, `*` over `+`, left to right; `^` right to left and over the minus before it.

use super::ast::*;
use super::builder::Builder;
use super::error::{SyntaxError, codes};
use super::lexical::unit_overrun;
use super::parser::{Pair, Parts, Rule};
use crate::base::Span;

/// An expression and the number of nodes on its longest path down.
struct Tall {
    expr: Expr,
    height: usize,
}

impl Tall {
    fn leaf(kind: ExprKind, span: Span) -> Tall {
        Tall { expr: Expr { kind, span }, height: 1 }
    }
}

impl Builder<'_> {
    /// Builds from an `expr` or any of the looser rules under it.
    pub(super) fn expr(&mut self, pair: Pair<'_>) -> Option<Expr> {
        let tall = self.tall(pair)?;
        self.depth_allowed(self.level + tall.height, tall.expr.span);
        Some(tall.expr)
    }

    pub(super) fn next_expr(&mut self, parts: &mut Parts<'_>) -> Option<Expr> {
        parts.opt(Rule::expr).and_then(|p| self.expr(p))
    }

    pub(super) fn opt_expr(&mut self, parts: &mut Parts<'_>) -> Option<Option<Expr>> {
        parts.opt(Rule::expr).map_or(Some(None), |p| self.expr(p).map(Some))
    }

    /// A `postfix`: what can be wired, set or recorded.
    pub(super) fn next_place(&mut self, parts: &mut Parts<'_>) -> Option<Expr> {
        parts.opt(Rule::postfix).and_then(|p| self.expr(p))
    }

    pub(super) fn places(&mut self, parts: &mut Parts<'_>) -> Option<Vec<Expr>> {
        parts.all(Rule::postfix).map(|p| self.expr(p)).collect()
    }

    fn tall(&mut self, pair: Pair<'_>) -> Option<Tall> {
        match pair.as_rule() {
            Rule::expr => self.tall(pair.into_inner().next()?),
            Rule::cond => self.cond(pair),
            Rule::logic => self.chain(pair, |op| op == BinaryOp::And),
            Rule::test => self.test(pair),
            Rule::sum => self.chain(pair, |op| matches!(op, BinaryOp::Mul | BinaryOp::Div)),
            Rule::term => self.term(pair),
            Rule::postfix => self.postfix(pair),
            _ => None,
        }
    }

    /// A node over `inside`. Beyond the limit the node is left out (and the excess reported once): a tree that deep must not
    /// come into being, because already dropping it would need the stack.
    fn over(&mut self, inside: Tall, others: usize, span: Span, make: impl FnOnce(Box<Expr>) -> ExprKind) -> Tall {
        let height = inside.height.max(others) + 1;
        if !self.depth_allowed(height, span) {
            return inside;
        }
        Tall { expr: Expr { kind: make(Box::new(inside.expr)), span }, height }
    }

    fn binary(&mut self, op: BinaryOp, left: Tall, right: Tall) -> Tall {
        let span = left.expr.span.to(right.expr.span);
        let others = right.height;
        self.over(left, others, span, |l| ExprKind::Binary(op, l, Box::new(right.expr)))
    }

    /// `(if a then b else)+ c`: nests to the right.
    fn cond(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let mut arms = Vec::new();
        let mut condition: Option<(Span, Tall)> = None;
        let mut start = self.span(&pair);
        let mut last = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::kw_if => start = self.span(&part),
                Rule::expr => {
                    let built = self.tall(part)?;
                    match condition.take() {
                        None => condition = Some((start, built)),
                        Some((at, c)) => arms.push((at, c, built)),
                    }
                }
                Rule::logic => last = Some(self.tall(part)?),
                _ => {}
            }
        }
        let mut tail = last?;
        for (at, condition, then) in arms.into_iter().rev() {
            let span = at.to(tail.expr.span);
            let others = condition.height.max(then.height);
            tail = self.over(tail, others, span, |otherwise| {
                ExprKind::If(Box::new(condition.expr), Box::new(then.expr), otherwise)
            });
        }
        Some(tail)
    }

    /// `a op b op c` with two strengths of operators, both left-associative.
    fn chain(&mut self, pair: Pair<'_>, tight: impl Fn(BinaryOp) -> bool) -> Option<Tall> {
        let mut parts = pair.into_inner();
        let mut current = self.tall(parts.next()?)?;
        let mut loose: Option<(Tall, BinaryOp)> = None;
        while let Some(op) = parts.next() {
            let op = binary_op(op.as_str())?;
            let operand = self.tall(parts.next()?)?;
            if tight(op) {
                current = self.binary(op, current, operand);
            } else {
                let left = match loose.take() {
                    Some((left, before)) => self.binary(before, left, current),
                    None => current,
                };
                loose = Some((left, op));
                current = operand;
            }
        }
        Some(match loose {
            Some((left, op)) => self.binary(op, left, current),
            None => current,
        })
    }

    fn test(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let mut nots = Vec::new();
        let mut built: Option<Tall> = None;
        let mut op = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::kw_not => nots.push(self.span(&part)),
                Rule::compare_op => op = Some(binary_op(part.as_str())?),
                Rule::between => {
                    let end = self.span(&part);
                    let mut sums = Parts::of(part);
                    let low = self.tall(sums.opt(Rule::sum)?)?;
                    let high = self.tall(sums.opt(Rule::sum)?)?;
                    let value = built.take()?;
                    let span = value.expr.span.to(end);
                    built = Some(self.over(value, low.height.max(high.height), span, |v| {
                        ExprKind::In(v, Box::new(low.expr), Box::new(high.expr))
                    }));
                }
                _ => {
                    let sum = self.tall(part)?;
                    built = Some(match built.take() {
                        None => sum,
                        Some(left) => self.binary(op?, left, sum),
                    });
                }
            }
        }
        let built = built?;
        Some(self.prefixed(UnaryOp::Not, &nots, built))
    }

    /// `- - x`: one node for each sign, the nearest inside.
    fn prefixed(&mut self, op: UnaryOp, signs: &[Span], inside: Tall) -> Tall {
        let end = inside.expr.span;
        signs.iter().rev().fold(inside, |inner, sign| self.over(inner, 0, sign.to(end), |e| ExprKind::Unary(op, e)))
    }

    fn term(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let mut factors: Vec<(Vec<Span>, Tall)> = Vec::new();
        let mut signs = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::minus => signs.push(self.span(&part)),
                Rule::postfix => {
                    let built = self.tall(part)?;
                    factors.push((std::mem::take(&mut signs), built));
                }
                _ => {}
            }
        }
        let (signs, last) = factors.pop()?;
        let mut right = self.prefixed(UnaryOp::Neg, &signs, last);
        while let Some((signs, base)) = factors.pop() {
            let power = self.binary(BinaryOp::Pow, base, right);
            right = self.prefixed(UnaryOp::Neg, &signs, power);
        }
        Some(right)
    }

    fn postfix(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let mut parts = pair.into_inner();
        let mut built = self.primary(parts.next()?)?;
        for part in parts {
            let rule = part.as_rule();
            let span = built.expr.span.to(self.span(&part));
            built = match rule {
                Rule::field => {
                    let name = self.next_name(&mut Parts::of(part))?;
                    self.over(built, 0, span, |e| ExprKind::Field(e, name))
                }
                Rule::index => {
                    let (slots, height) = self.slots(part)?;
                    self.over(built, height, span, |e| ExprKind::Index(e, slots))
                }
                _ => {
                    let (args, height) = self.tall_args(part)?;
                    self.over(built, height, span, |e| ExprKind::Call(e, args))
                }
            };
        }
        Some(built)
    }

    fn primary(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::quantity => return self.quantity(pair),
            Rule::string => ExprKind::String(self.string(&pair)),
            Rule::truth => ExprKind::Bool(pair.as_str() == "true"),
            Rule::name => ExprKind::Name(pair.as_str().to_owned()),
            rule @ (Rule::list | Rule::paren) => {
                let mut elements = Vec::new();
                let mut height = 0;
                for part in Parts::of(pair).all(Rule::expr) {
                    let element = self.tall(part)?;
                    height = height.max(element.height);
                    elements.push(element.expr);
                }
                let kind = if rule == Rule::list { ExprKind::List(elements) } else { ExprKind::Paren(elements) };
                return Some(Tall { expr: Expr { kind, span }, height: height + 1 });
            }
            _ => return None,
        };
        Some(Tall::leaf(kind, span))
    }

    fn quantity(&mut self, pair: Pair<'_>) -> Option<Tall> {
        let mut parts = Parts::of(pair);
        let number = parts.opt(Rule::number)?;
        let mut span = self.span(&number);
        let text = number.as_str().to_owned();
        let unit = parts.opt(Rule::unit).map(|p| self.unit(&p, &text));
        if let Some(unit) = &unit {
            span = span.to(unit.span);
        }
        Some(Tall::leaf(ExprKind::Number { text, unit }, span))
    }

    /// The unit as written. Where an operator sticks to a known unit, says so and keeps the unit alone.
    fn unit(&mut self, pair: &Pair<'_>, number: &str) -> Name {
        let mut span = self.span(pair);
        let text = pair.as_str();
        let after = &self.text[span.end as usize..];
        // `mV/(..)`, `mV^(..)`: the bracket is not part of the word, the operator before it sticks all the same.
        let sticks = ['*', '/', '^'].iter().any(|op| {
            after
                .strip_prefix(*op)
                .is_some_and(|rest| !rest.starts_with([' ', '\t', '\r', '\n', '/', '=']) && !rest.is_empty())
        });
        let overrun = unit_overrun(text).or((sticks && super::lexical::is_unit(text)).then_some(text.len()));
        let Some(cut) = overrun else {
            return Name { text: text.to_owned(), span };
        };
        let (unit, rest) = text.split_at(cut);
        let place = Span { start: span.start + cut as u32, end: span.end.max(span.start + cut as u32 + 1), ..span };
        let op = self.text[place.start as usize..].chars().next().unwrap_or('/');
        let operand = rest.get(1..).filter(|o| !o.is_empty());
        let because = operand.map_or_else(String::new, |o| format!(", but `{o}` is no unit"));
        // `uF/cm2`
        let power = operand.and_then(|o| {
            let symbol = o.trim_end_matches(|c: char| c.is_ascii_digit());
            let whole = symbol.len() < o.len() && super::lexical::is_unit(symbol);
            whole.then(|| format!("`{number} {unit}{op}{symbol}^{}`", &o[symbol.len()..]))
        });
        let operand = operand.unwrap_or("(..)");
        let help = match (power, op) {
            (Some(power), _) => format!("a power of a unit has its sign: write {power}"),
            (None, '^') => {
                format!("a compound unit has no spaces, an operator has: write `({number} {unit})^{operand}`")
            }
            _ => format!("a compound unit has no spaces, an operator has: write `{number} {unit} {op} {operand}`"),
        };
        self.error(
            SyntaxError::new(
                codes::UNIT_OPERATOR,
                place,
                format!("`{op}` sticks to the unit `{unit}`{because}"),
                "read as part of the unit",
            )
            .help(help),
        );
        span.end = span.start + cut as u32;
        Name { text: unit.to_owned(), span }
    }

    fn slots(&mut self, pair: Pair<'_>) -> Option<(Vec<Slot>, usize)> {
        let mut height = 0;
        let mut slots = Vec::new();
        for slot in Parts::of(pair).all(Rule::slot) {
            let (mut start, mut end, mut range) = (None, None, false);
            for part in slot.into_inner() {
                if part.as_rule() == Rule::range_op {
                    range = true;
                    continue;
                }
                let built = self.tall(part)?;
                height = height.max(built.height);
                *(if range { &mut end } else { &mut start }) = Some(built.expr);
            }
            slots.push(if range { Slot::Range(start, end) } else { Slot::At(start?) });
        }
        Some((slots, height))
    }

    pub(super) fn args(&mut self, call: Pair<'_>) -> Option<Vec<Arg>> {
        self.tall_args(call).map(|(args, _)| args)
    }

    fn tall_args(&mut self, call: Pair<'_>) -> Option<(Vec<Arg>, usize)> {
        let mut height = 0;
        let mut args = Vec::new();
        for pair in Parts::of(call).all(Rule::arg) {
            args.push(self.tall_arg(pair, &mut height)?);
        }
        Some((args, height))
    }

    pub(super) fn arg(&mut self, pair: Pair<'_>) -> Option<Arg> {
        let span = self.span(&pair);
        let mut height = 0;
        let arg = self.tall_arg(pair, &mut height)?;
        self.depth_allowed(self.level + height, span);
        Some(arg)
    }

    fn tall_arg(&mut self, pair: Pair<'_>, height: &mut usize) -> Option<Arg> {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        if let Some(named) = parts.opt(Rule::named_arg) {
            let mut parts = Parts::of(named);
            let name = self.next_name(&mut parts)?;
            let value = self.tall_next(&mut parts, height)?;
            return Some(Arg { name: Some(name), value, modifiers: Vec::new(), span });
        }
        let value = self.tall_next(&mut parts, height)?;
        let mut modifiers = Vec::new();
        for modifier in parts.all(Rule::modifier) {
            let inner = modifier.into_inner().next()?;
            let rule = inner.as_rule();
            let mut parts = Parts::of(inner);
            modifiers.push(match rule {
                Rule::where_part => Modifier::Where(self.tall_next(&mut parts, height)?),
                Rule::by_part => Modifier::By(self.next_name(&mut parts)?),
                Rule::over_part => Modifier::Over(self.tall_next(&mut parts, height)?),
                _ => {
                    let from = self.tall_next(&mut parts, height)?;
                    let to = match parts.opt(Rule::during_to) {
                        None => None,
                        Some(to) => match Parts::of(to).opt(Rule::expr) {
                            None => Some(None),
                            Some(end) => {
                                let end = self.tall(end)?;
                                *height = (*height).max(end.height);
                                Some(Some(end.expr))
                            }
                        },
                    };
                    Modifier::During(from, to)
                }
            });
        }
        Some(Arg { name: None, value, modifiers, span })
    }

    fn tall_next(&mut self, parts: &mut Parts<'_>, height: &mut usize) -> Option<Expr> {
        let built = self.tall(parts.opt(Rule::expr)?)?;
        *height = (*height).max(built.height);
        Some(built.expr)
    }
}

fn binary_op(text: &str) -> Option<BinaryOp> {
    Some(match text {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Sub,
        "*" => BinaryOp::Mul,
        "/" => BinaryOp::Div,
        "==" => BinaryOp::Eq,
        "!=" => BinaryOp::Ne,
        "<" => BinaryOp::Lt,
        "<=" => BinaryOp::Le,
        ">" => BinaryOp::Gt,
        ">=" => BinaryOp::Ge,
        "crosses" => BinaryOp::Crosses,
        "and" => BinaryOp::And,
        "or" => BinaryOp::Or,
        _ => return None,
    })
}
