//! Formulas as MathML Core: fractions, roots, powers, subscripts, Greek letters, cases.
//!
//! A name is split at its first `_`: `tau_m` is a tau with the subscript m. Parentheses that a fraction or a root makes
//! needless are left out, all others stay as they were written.

use super::html::escape;
use crate::syntax::ast::{Arg, BinaryOp, Dim, Expr, ExprKind, Modifier, Slot, UnaryOp};

const GREEK: &[(&str, &str)] = &[
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("phi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
    ("inf", "∞"),
];

fn letter(text: &str) -> String {
    let greek = GREEK.iter().find(|(word, _)| *word == text).map(|(_, l)| *l);
    format!("<mi>{}</mi>", escape(greek.unwrap_or(text)))
}

/// A name with its subscript.
pub(super) fn name(text: &str) -> String {
    match text.split_once('_') {
        Some((base, sub)) if !base.is_empty() && !sub.is_empty() => {
            let parts: Vec<String> = sub.split('_').map(letter).collect();
            let sub = parts.join("<mo>,</mo>");
            format!("<msub>{}<mrow>{sub}</mrow></msub>", letter(base))
        }
        _ => letter(text),
    }
}

/// The derivative of a state by time.
pub(super) fn prime(text: &str) -> String {
    format!("<msup>{}<mo>′</mo></msup>", name(text))
}

pub(super) fn equal(left: &str, right: &str) -> String {
    operator(left, "=", right)
}

pub(super) fn operator(left: &str, op: &str, right: &str) -> String {
    format!("<mrow>{left}<mo>{}</mo>{right}</mrow>", escape(op))
}

/// `f(x, y)`
pub(super) fn applied(function: &str, args: &[String]) -> String {
    format!("<mrow>{}{}</mrow>", name(function), fenced("(", &args.join("<mo>,</mo>"), ")"))
}

/// A name with indices below it.
pub(super) fn indexed(text: &str, slots: &[String]) -> String {
    below(&name(text), slots)
}

fn below(base: &str, slots: &[String]) -> String {
    format!("<msub>{base}<mrow>{}</mrow></msub>", slots.join("<mo>,</mo>"))
}

fn fenced(open: &str, inside: &str, close: &str) -> String {
    format!("<mrow><mo>{open}</mo>{inside}<mo>{close}</mo></mrow>")
}

/// Without the parentheses around the whole, where the drawing groups already.
fn bare(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Paren(list) if list.len() == 1 => expr(&list[0]),
        _ => expr(e),
    }
}

pub(super) fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number { text, unit } => number(text, unit.as_ref().map(|u| u.text.as_str())),
        ExprKind::String(s) => format!("<mtext>“{}”</mtext>", escape(s)),
        ExprKind::Bool(b) => format!("<mtext>{b}</mtext>"),
        ExprKind::Name(n) => name(n),
        ExprKind::List(list) => fenced("[", &joined(list), "]"),
        ExprKind::Paren(list) => fenced("(", &joined(list), ")"),
        ExprKind::Field(inside, field) => format!("<mrow>{}<mo>.</mo>{}</mrow>", expr(inside), name(&field.text)),
        ExprKind::Index(inside, slots) => below(&expr(inside), &slots.iter().map(slot).collect::<Vec<_>>()),
        ExprKind::Call(function, args) => call(function, args),
        ExprKind::Unary(UnaryOp::Neg, inside) => format!("<mrow><mo>−</mo>{}</mrow>", expr(inside)),
        ExprKind::Unary(UnaryOp::Not, inside) => format!("<mrow><mo>¬</mo>{}</mrow>", expr(inside)),
        ExprKind::Binary(op, left, right) => binary(*op, left, right),
        ExprKind::In(value, low, high) => {
            let bounds = format!("{}<mo>,</mo>{}", expr(low), expr(high));
            operator(&expr(value), "∈", &fenced("[", &bounds, "]"))
        }
        ExprKind::If(..) => cases(e),
    }
}

fn joined(list: &[Expr]) -> String {
    list.iter().map(expr).collect::<Vec<_>>().join("<mo>,</mo>")
}

fn binary(op: BinaryOp, left: &Expr, right: &Expr) -> String {
    let sign = match op {
        BinaryOp::Div => return format!("<mfrac>{}{}</mfrac>", row(&bare(left)), row(&bare(right))),
        BinaryOp::Pow => {
            let (base, power) = (expr(left), row(&bare(right)));
            // A quantity is taken to its power as a whole.
            let whole = matches!(left.kind, ExprKind::Number { unit: Some(_), .. });
            let base = if whole { fenced("(", &base, ")") } else { base };
            return format!("<msup>{base}{power}</msup>");
        }
        BinaryOp::Add => "+",
        BinaryOp::Sub => "−",
        BinaryOp::Mul => "·",
        BinaryOp::Eq => "=",
        BinaryOp::Ne => "≠",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "≤",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => "≥",
        BinaryOp::Crosses => "↗",
        BinaryOp::And => "∧",
        BinaryOp::Or => "∨",
    };
    operator(&expr(left), sign, &expr(right))
}

fn row(inside: &str) -> String {
    format!("<mrow>{inside}</mrow>")
}

/// `20 mV`, `1 · 10⁻³`
fn number(text: &str, unit: Option<&str>) -> String {
    let digits = text.replace('_', "\u{202f}");
    let mut out = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent = exponent.trim_start_matches('+').replace('-', "−");
            format!("<mn>{mantissa}</mn><mo>·</mo><msup><mn>10</mn><mn>{exponent}</mn></msup>")
        }
        None => format!("<mn>{digits}</mn>"),
    };
    if let Some(unit) = unit {
        out.push_str(&format!("<mspace width=\"0.2em\"/>{}", unit_text(unit)));
    }
    row(&out)
}

/// `mV^-1/ms` with its powers raised.
fn unit_text(unit: &str) -> String {
    let mut out = String::new();
    let mut rest = unit;
    while !rest.is_empty() {
        let end = rest.find(['*', '/']).unwrap_or(rest.len());
        let (factor, power) = match rest[..end].split_once('^') {
            Some((factor, power)) => (factor, Some(power.replace('-', "−"))),
            None => (&rest[..end], None),
        };
        let letters =
            format!("<mi mathvariant=\"normal\">{}</mi>", escape(&factor.replace("Ohm", "Ω").replace("deg", "°")));
        out.push_str(&match power {
            Some(power) => format!("<msup>{letters}<mn>{}</mn></msup>", escape(&power)),
            None => letters,
        });
        match rest[end..].chars().next() {
            Some('*') => out.push_str("<mo>·</mo>"),
            Some(_) => out.push_str("<mo>/</mo>"),
            None => break,
        }
        rest = &rest[end + 1..];
    }
    out
}

fn slot(s: &Slot) -> String {
    match s {
        Slot::At(e) => expr(e),
        Slot::Range(from, to) => {
            let side = |e: &Option<Expr>| e.as_ref().map_or_else(String::new, expr);
            format!("{}<mo>‥</mo>{}", side(from), side(to))
        }
    }
}

fn call(function: &Expr, args: &[Arg]) -> String {
    if let (ExprKind::Name(f), [Arg { name: None, value, modifiers, .. }]) = (&function.kind, args)
        && modifiers.is_empty()
    {
        match f.as_str() {
            "sqrt" => return format!("<msqrt>{}</msqrt>", expr(value)),
            "abs" => return fenced("|", &expr(value), "|"),
            "exp" => return format!("<msup><mi>e</mi>{}</msup>", row(&expr(value))),
            "floor" => return fenced("⌊", &expr(value), "⌋"),
            "ceil" => return fenced("⌈", &expr(value), "⌉"),
            _ => {}
        }
    }
    let args: Vec<String> = args.iter().map(arg).collect();
    format!("<mrow>{}{}</mrow>", expr(function), fenced("(", &args.join("<mo>,</mo>"), ")"))
}

fn arg(a: &Arg) -> String {
    let mut out = match &a.name {
        Some(n) => equal(&name(&n.text), &expr(&a.value)),
        None => expr(&a.value),
    };
    let word = |w: &str| format!("<mspace width=\"0.3em\"/><mtext>{w}</mtext><mspace width=\"0.3em\"/>");
    for m in &a.modifiers {
        match m {
            Modifier::Where(e) => out.push_str(&format!("{}{}", word("where"), expr(e))),
            Modifier::By(n) => out.push_str(&format!("{}{}", word("by"), name(&n.text))),
            Modifier::Over(e) => out.push_str(&format!("{}{}", word("over"), expr(e))),
            Modifier::During(from, to) => {
                out.push_str(&format!("{}{}", word("during"), expr(from)));
                if let Some(to) = to {
                    let to = to.as_ref().map_or_else(String::new, expr);
                    out.push_str(&format!("<mo>‥</mo>{to}"));
                }
            }
        }
    }
    out
}

/// `if a then x else if b then y else z`, one line for each case.
fn cases(e: &Expr) -> String {
    let mut rows = String::new();
    let mut at = e;
    let line = |value: &str, condition: &str| format!("<mtr><mtd>{value}</mtd><mtd>{condition}</mtd></mtr>");
    while let ExprKind::If(condition, then, otherwise) = &at.kind {
        let condition = format!("<mtext>if </mtext>{}", expr(condition));
        rows.push_str(&line(&expr(then), &condition));
        at = otherwise;
    }
    rows.push_str(&line(&expr(at), "<mtext>otherwise</mtext>"));
    format!("<mrow><mo>{{</mo><mtable columnalign=\"left left\">{rows}</mtable></mrow>")
}

/// A dimension as it was declared: `weight/time`.
pub(super) fn dim(d: &Dim) -> String {
    let mut out = String::new();
    for (k, f) in d.factors.iter().enumerate() {
        if k > 0 {
            out.push(if f.divided { '/' } else { '*' });
        }
        out.push_str(&f.name.text);
        if let Some(power) = &f.power {
            out.push('^');
            out.push_str(power);
        }
    }
    out
}
