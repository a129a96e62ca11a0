//! Values as the command line gives them: `--set name=value`, `--dt`, `--for`.

use super::Sema;
use super::error::dimension_words;
use crate::hir::{self, ValueId, ValueKind};
use crate::script::Value;
use crate::units::{self, Dimension};

/// `4.5`, `0.2 mV`, `true`, of a dimension and kind. An error is what is wrong and what to write instead.
pub fn given(text: &str, dim: Dimension, kind: hir::Kind) -> Result<Value, (String, String)> {
    let text = text.trim();
    if kind == hir::Kind::Bool {
        return match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(("expected true or false".to_string(), "write true or false".to_string())),
        };
    }
    let split = text
        .char_indices()
        .find(|(k, c)| {
            let exponent = matches!(c, 'e' | 'E')
                && text[k + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+');
            !(c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '+') || exponent)
        })
        .map_or(text.len(), |(k, _)| k);
    let (number, unit) = (text[..split].trim(), text[split..].trim());
    let unit = if unit.is_empty() {
        None
    } else {
        match units::parse_unit(unit) {
            Ok(u) => Some(u),
            Err(e) => {
                let help = e
                    .suggestion()
                    .map_or_else(|| format!("such as 1 {}", dim.typical_unit()), |s| format!("did you mean `{s}`?"));
                return Err((format!("there is no unit `{unit}`"), help));
            }
        }
    };
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let value = units::quantity_value(digits, unit.as_ref())
        .map_err(|e| (e.to_string(), format!("write a number and a unit, such as 1 {}", dim.typical_unit())))?;
    let found = unit.as_ref().map_or(Dimension::NUMBER, units::Unit::dimension);
    if found != dim && !(value == 0.0 && unit.is_none()) {
        return Err((
            format!("expected {}, found {}", dimension_words(dim), dimension_words(found)),
            format!("write it with its unit: \"{} {}\"", number, dim.typical_unit()),
        ));
    }
    Ok(Value::Number(if negative { -value } else { value }))
}

impl Sema<'_> {
    /// What `--set` makes of a param of an outermost circuit, for what follows it when names are resolved. What is wrong with it is
    /// told where all values are bound.
    pub(super) fn given(&self, param: ValueId) -> Option<Value> {
        let def = self.program.value(param);
        let (_, text) = self.set.iter().rev().find(|(name, _)| *name == def.name)?;
        let own = matches!(def.kind, ValueKind::Param { .. })
            && self.program.networks.iter().any(|n| n.names.contains(&param));
        if own { given(text, def.ty.dimension(), def.ty.kind).ok() } else { None }
    }
}
