//! Writes the assembly of one model: integers for coefficients, products with shifts, conditions as the flag.

use super::scale::floor_log2;
use super::values::{Form, Leaf, Polynomial, Test, Values};
use crate::ir::Compare;
use std::collections::BTreeMap;

/// Largest magnitude of a coefficient: 24 bits with its sign.
const COEFFICIENT: f64 = (1 << 23) as f64 - 1.0;
/// Shift after a product of two states, both of which stand for their distance to threshold.
const PRODUCT_SHIFT: u32 = 18;
/// Bits of the flag of an event.
const FLAG_BITS: u32 = 8;
/// Bits after the point of a coefficient that the host writes; its word has 32 in all.
const LIVE_SHIFT: i32 = 12;
/// The most that a product is shifted by.
const MAX_SHIFT: i32 = 60;
/// Bits of a uniform number.
pub(super) const UNIFORM_BITS: i32 = 24;

/// A number that differs between neurons.
pub(super) struct Word {
    pub name: String,
    pub bits: u32,
    pub values: Vec<i32>,
    /// The host writes it.
    pub live: bool,
    /// It is the flag of an event, by its param, which several conditions may read.
    flag: Option<u32>,
}

pub(super) struct Code {
    /// Shared constants.
    pub params: Vec<i32>,
    /// Words of state that hold a param of each neuron.
    pub words: Vec<Word>,
    pub lines: Vec<String>,
    /// Largest relative error of a coefficient, and what it belongs to.
    pub error: f64,
    /// Bits of a number that the host writes and that is no coefficient.
    pub live_bits: u32,
    names: Vec<String>,
    scales: Vec<f64>,
    /// What integers of the inputs are worth.
    inputs: BTreeMap<Leaf, f64>,
    temporaries: usize,
    most: usize,
    /// Names besides the temporaries.
    pub locals: Vec<String>,
}

impl Code {
    pub(super) fn new(names: Vec<String>, scales: Vec<f64>) -> Code {
        Code {
            params: vec![],
            words: vec![],
            lines: vec![],
            error: 0.0,
            live_bits: 32,
            names,
            scales,
            inputs: BTreeMap::new(),
            temporaries: 0,
            most: 0,
            locals: vec![],
        }
    }

    pub(super) fn line(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    pub(super) fn local(&mut self, name: &str) -> String {
        if !self.locals.iter().any(|l| l == name) {
            self.locals.push(name.to_string());
        }
        name.to_string()
    }

    /// Sets what an input's integers are worth.
    pub(super) fn input(&mut self, leaf: Leaf, scale: f64) {
        self.inputs.insert(leaf, scale);
    }

    fn temporary(&mut self) -> String {
        self.temporaries += 1;
        self.most = self.most.max(self.temporaries);
        format!("t{}", self.temporaries - 1)
    }

    /// Gives the temporaries of a statement back.
    pub(super) fn end_statement(&mut self) {
        self.temporaries = 0;
    }

    fn operand(&self, leaf: Leaf) -> String {
        match leaf {
            Leaf::State(k) => self.names[k as usize].clone(),
            Leaf::Arrival => "arrived".to_string(),
            Leaf::Noise(k) => format!("noise{k}"),
            Leaf::Uniform => "uniform".to_string(),
            // Rules have no program.
            Leaf::Read(k) => format!("read{k}"),
            Leaf::Coupled(k) => format!("heard{k}"),
        }
    }

    fn scale(&self, leaf: Leaf) -> f64 {
        match leaf {
            Leaf::State(k) => self.scales[k as usize],
            other => self.inputs.get(&other).copied().unwrap_or(1.0),
        }
    }

    /// An operand that holds these integers.
    pub(super) fn constant(&mut self, values: &Values, scale: f64) -> Result<String, String> {
        let scaled = values.map(|v| (v * scale).round());
        if !scaled.finite() || scaled.largest() > f64::from(i32::MAX) {
            return Err("a number that no word of the chip holds".to_string());
        }
        let whole: Vec<i32> = scaled.each.iter().map(|v| *v as i32).collect();
        let first = whole.first().copied().unwrap_or(0);
        if values.live {
            let flag = values.flag.filter(|_| scale == 1.0);
            if let Some(there) = self.words.iter().find(|w| w.live && flag.is_some() && w.flag == flag) {
                return Ok(there.name.clone());
            }
            let name = format!("p{}", self.words.len());
            let bits = if flag.is_some() { FLAG_BITS } else { self.live_bits };
            self.words.push(Word { name: name.clone(), bits, values: whole, live: true, flag });
            return Ok(name);
        }
        if whole.iter().all(|v| *v == first) {
            let at = self.params.iter().position(|p| *p == first).unwrap_or_else(|| {
                self.params.push(first);
                self.params.len() - 1
            });
            return Ok(format!("k{at}"));
        }
        let at = self.words.iter().position(|w| !w.live && w.values == whole).unwrap_or_else(|| {
            let largest = scaled.largest();
            let bits = [8, 16, 24, 32].into_iter().find(|b| largest < f64::from(2_u32.pow(b - 1)));
            let name = format!("p{}", self.words.len());
            self.words.push(Word { name, bits: bits.unwrap_or(32), values: whole, live: false, flag: None });
            self.words.len() - 1
        });
        Ok(format!("p{at}"))
    }

    /// `value` (an operand in integers) times coefficients; a new temporary, or the operand itself where they are 1.
    fn times(&mut self, value: &str, by: &Values) -> Result<String, String> {
        if by.always(1.0) {
            return Ok(value.to_string());
        }
        let to = self.temporary();
        if by.always(-1.0) {
            self.line(format!("NEG {to}, {value}"));
            return Ok(to);
        }
        let largest = by.largest();
        if !by.finite() || largest > COEFFICIENT {
            return Err("a coefficient that no word of the chip holds".to_string());
        }
        let shift = if by.live { LIVE_SHIFT } else { floor_log2(COEFFICIENT / largest).clamp(0, MAX_SHIFT) };
        let factor = 2_f64.powi(shift);
        for b in by.each.iter().filter(|b| **b != 0.0) {
            self.error = self.error.max(((b * factor).round() / factor / b - 1.0).abs());
        }
        let added = std::mem::replace(&mut self.live_bits, 32);
        let k = self.constant(by, factor);
        self.live_bits = added;
        let k = k?;
        self.line(format!("MUL_SHR {to}, {value}, {k}, {shift}"));
        Ok(to)
    }

    /// A polynomial in integers of `scale` per unit.
    pub(super) fn polynomial(&mut self, p: &Polynomial, scale: f64) -> Result<String, String> {
        let mut sum: Option<String> = None;
        for (monomial, by) in p.0.iter().rev() {
            let term = match monomial.split_first() {
                None => self.constant(by, scale)?,
                Some((first, rest)) => {
                    let mut value = self.operand(*first);
                    let mut worth = self.scale(*first);
                    for leaf in rest {
                        let (to, other) = (self.temporary(), self.operand(*leaf));
                        self.line(format!("MUL_SHR {to}, {value}, {other}, {PRODUCT_SHIFT}"));
                        worth *= self.scale(*leaf) / 2_f64.powi(PRODUCT_SHIFT as i32);
                        value = to;
                    }
                    self.times(&value, &by.map(|b| nearly_one(b * scale / worth)))?
                }
            };
            sum = Some(match sum {
                None => term,
                Some(sum) => {
                    let to = self.temporary();
                    self.line(format!("ADD {to}, {sum}, {term}"));
                    to
                }
            });
        }
        match sum {
            Some(sum) => Ok(sum),
            None => self.constant(&Values::one(0.0), 1.0),
        }
    }

    pub(super) fn form(&mut self, form: &Form, scale: f64) -> Result<String, String> {
        match form {
            Form::Polynomial(p) => self.polynomial(p, scale),
            Form::Select(test, a, b) => {
                let (a, b) = (self.form(a, scale)?, self.form(b, scale)?);
                self.test(test)?;
                let to = self.temporary();
                self.line(format!("SEL {to}, {a}, {b}"));
                Ok(to)
            }
        }
    }

    /// Sets the flag where the condition holds.
    pub(super) fn test(&mut self, test: &Test) -> Result<(), String> {
        match test {
            Test::Compare(op, p) => {
                let scale = self.natural_scale(p);
                let value = self.polynomial(p, scale)?;
                self.line(match op {
                    Compare::Lt => format!("LT {value}, 0"),
                    Compare::Gt => format!("LT 0, {value}"),
                    Compare::Ge => format!("GE {value}, 0"),
                    Compare::Le => format!("GE 0, {value}"),
                    Compare::Eq => format!("EQ {value}, 0"),
                    Compare::Ne => {
                        self.line(format!("EQ {value}, 0"));
                        return self.not();
                    }
                });
                Ok(())
            }
            Test::Not(a) => {
                self.test(a)?;
                self.not()
            }
            Test::And(a, b) | Test::Or(a, b) => {
                let word = if matches!(test, Test::And(..)) { "AND" } else { "OR" };
                self.test(a)?;
                let first = self.temporary();
                self.line(format!("SEL {first}, 1, 0"));
                self.test(b)?;
                let second = self.temporary();
                self.line(format!("SEL {second}, 1, 0"));
                self.line(format!("{word} {first}, {first}, {second}"));
                self.line(format!("EQ {first}, 1"));
                Ok(())
            }
        }
    }

    fn not(&mut self) -> Result<(), String> {
        let flag = self.temporary();
        self.line(format!("SEL {flag}, 1, 0"));
        self.line(format!("EQ {flag}, 0"));
        Ok(())
    }

    /// The scale in which the first input of a polynomial needs no product.
    fn natural_scale(&self, p: &Polynomial) -> f64 {
        let linear = p.0.iter().find_map(|(m, by)| match m.as_slice() {
            [leaf] if by.largest() > 0.0 && !by.live => Some(self.scale(*leaf) / by.largest()),
            _ => None,
        });
        let any = p.0.iter().find_map(|(m, _)| m.first().map(|l| self.scale(*l)));
        linear.or(any).unwrap_or(1.0)
    }

    /// The program as text, its words of state after those of the model.
    pub(super) fn text(&self, name: &str, states: &[(String, u32)], accumulators: &[String]) -> String {
        let list = |directive: &str, names: &mut dyn Iterator<Item = String>| -> String {
            names.map(|n| format!("{directive} {n}\n")).collect()
        };
        let opened = states.iter().map(|s| &s.0).chain(self.words.iter().map(|w| &w.name));
        let mut out = format!(".program {name}\n");
        out += &list(".param", &mut (0..self.params.len()).map(|k| format!("k{k}")));
        out += &list(".state", &mut states.iter().map(|(s, bits)| format!("{s} i{bits}")));
        out += &list(".state", &mut self.words.iter().map(|w| format!("{} i{}", w.name, w.bits)));
        out += &list(".acc", &mut accumulators.iter().cloned());
        out += &list(".local", &mut self.locals.iter().cloned());
        out += &list(".local", &mut (0..self.most).map(|k| format!("t{k}")));
        out += &list("  RMW", &mut opened.cloned());
        out += &list(" ", &mut self.lines.iter().cloned());
        out
    }
}

/// A product of scales that is 1 but for rounding needs no multiplication on the chip.
pub(super) fn nearly_one(v: f64) -> f64 {
    if (v.abs() - 1.0).abs() < 1e-12 { v.signum() } else { v }
}
