//! Rules of plasticity as sums of products over traces.
//!
//! Recognised are: traces that decay and that their own spikes raise by a constant; one synaptic variable besides the weight, which
//! becomes the tag; at spikes and with time, weight and tag that change by sums of products of traces, tag and weight; a weight
//! between 0 and an upper bound, which becomes the largest mantissa.
//!
//! Three things differ from the IR and are part of what quantising costs: coefficients have 4 bits and a power of two; the engine
//! meets a presynaptic spike when it is sent, not when it arrives; and spikes of both sides in one step see each other.

use super::forms::Reader;
use super::values::{Leaf, Polynomial};
use crate::chip::fixed::{Factor, Gate, LearningRule, Product, Trace, Variable};
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{BinaryOp, Expr, ExprId};
use serde::Serialize;

/// A rule that the learning engine has, in the units of the IR.
pub(super) struct Recognised {
    /// Upper bound of the weight; the lower one is 0.
    pub most: f64,
    /// By trace: what a spike adds, and what a step multiplies by.
    x: Vec<(f64, f64)>,
    y: Vec<(f64, f64)>,
    /// What a step multiplies the tag by.
    tag_decay: Option<f64>,
    weight: Vec<Term>,
    tag: Vec<Term>,
}

struct Term {
    gate: Gate,
    by: f64,
    factors: Vec<Variable>,
}

/// A coefficient of a rule on the chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermReport {
    pub rule: String,
    /// Exact and as mantissa times a power of two.
    pub exact: f64,
    pub stored: f64,
}

/// Integers that stand for 1 of a trace and of a tag: a few spikes pile up before 7 and 9 bits are full.
const TRACE: f64 = 32.0;
const TAG: f64 = 64.0;
/// The largest mantissa of a weight.
pub(super) const FULL: f64 = 255.0;

/// Which rule it is, or why the engine has none like it.
pub(super) fn recognise(rule: &Plasticity, dt_ms: f64) -> Result<Recognised, String> {
    let mut names = Names::default();
    for (k, v) in rule.variables.iter().enumerate().skip(1) {
        let (list, limit) = match v.place {
            Place::Pre => (&mut names.x, 2),
            Place::Post => (&mut names.y, 3),
            Place::Synapse => (&mut names.tag, 1),
        };
        list.push(k as u32);
        if list.len() > limit {
            return Err(format!("`{}` is one variable more than the engine has", v.name));
        }
        if v.initial != 0.0 {
            return Err(format!("`{}` does not begin with 0", v.name));
        }
    }
    if !rule.reads.is_empty() {
        return Err("it reads the postsynaptic neuron or a modulator".to_string());
    }
    let reader = Reader::of_rule(&rule.exprs, dt_ms);
    let mut out = Recognised { most: 0.0, x: vec![], y: vec![], tag_decay: None, weight: vec![], tag: vec![] };
    for (list, event) in [(&names.x, Event::Pre), (&names.y, Event::Post)] {
        for state in list {
            let trace = (impulse(rule, &reader, *state, event)?, decay(rule, &reader, *state)?);
            let traces = if event == Event::Pre { &mut out.x } else { &mut out.y };
            traces.push(trace);
        }
    }
    for handler in &rule.handlers {
        let gate = match handler.event {
            Event::Pre => Gate::X0,
            Event::Post => Gate::Y0,
            _ => return Err("it acts at events other than spikes of both ends".to_string()),
        };
        for a in &handler.assigns {
            match rule.place(a.state) {
                Place::Synapse => change(rule, &reader, a.state, a.value, gate, &names, &mut out)?,
                // Its own trace was looked at; the other side's can't be written.
                Place::Pre if gate == Gate::X0 => {}
                Place::Post if gate == Gate::Y0 => {}
                _ => return Err("a spike of one side writes a trace of the other".to_string()),
            }
        }
    }
    for a in &rule.drift {
        change(rule, &reader, a.state, a.value, Gate::U, &names, &mut out)?;
    }
    if !(out.most > 0.0 && out.most.is_finite()) {
        return Err("its weight has no upper bound".to_string());
    }
    Ok(out)
}

#[derive(Default)]
struct Names {
    x: Vec<u32>,
    y: Vec<u32>,
    tag: Vec<u32>,
}

impl Names {
    fn variable(&self, state: u32) -> Option<Variable> {
        let at = |list: &[u32]| list.iter().position(|s| *s == state);
        match (state, at(&self.x), at(&self.y), at(&self.tag)) {
            (0, ..) => Some(Variable::W),
            (_, Some(k), ..) => Some([Variable::X1, Variable::X2][k]),
            (_, _, Some(k), _) => Some([Variable::Y1, Variable::Y2, Variable::Y3][k]),
            (_, _, _, Some(_)) => Some(Variable::T),
            _ => None,
        }
    }
}

/// What a spike adds to a trace.
fn impulse(rule: &Plasticity, reader: &Reader<'_>, state: u32, event: Event) -> Result<f64, String> {
    let name = &rule.variables[state as usize].name;
    let mut sum = 0.0;
    for a in rule.handlers(event).flat_map(|h| &h.assigns).filter(|a| a.state == state) {
        let p = polynomial(reader, a.value)?;
        let added = p.plus(&Polynomial::leaf(Leaf::State(state)).scaled(&super::values::Values::one(-1.0)));
        let added = added.as_constant().ok_or_else(|| format!("a spike adds no constant to `{name}`"))?;
        sum += added.at(0);
    }
    Ok(sum)
}

/// What a step multiplies a trace by.
fn decay(rule: &Plasticity, reader: &Reader<'_>, state: u32) -> Result<f64, String> {
    let name = &rule.variables[state as usize].name;
    let Some(a) = rule.advance.iter().find(|a| a.state == state) else { return Ok(1.0) };
    let p = polynomial(reader, a.value)?;
    let by = p.coefficient(&[Leaf::State(state)]).at(0);
    if p.0.len() != 1 || !(0.0..=1.0).contains(&by) {
        return Err(format!("the trace `{name}` does more than decay"));
    }
    Ok(by)
}

fn polynomial(reader: &Reader<'_>, id: ExprId) -> Result<Polynomial, String> {
    match reader.form(id)? {
        super::values::Form::Polynomial(p) => Ok(p),
        super::values::Form::Select(..) => Err("it decides by conditions".to_string()),
    }
}

/// The value within `min` and `max` with constants, and the upper bound.
fn unbound(rule: &Plasticity, mut id: ExprId) -> (ExprId, f64) {
    let mut most = f64::INFINITY;
    loop {
        let (inner, bound, upper) = match rule.exprs.get(id) {
            Expr::Binary(BinaryOp::Min, a, b) => (*a, rule.exprs.as_const(*b), true),
            Expr::Binary(BinaryOp::Max, a, b) => (*a, rule.exprs.as_const(*b), false),
            _ => return (id, most),
        };
        let Some(bound) = bound else { return (id, most) };
        if upper {
            most = most.min(bound);
        }
        id = inner;
    }
}

/// What an assignment adds to the weight or the tag.
fn change(
    rule: &Plasticity,
    reader: &Reader<'_>,
    state: u32,
    value: ExprId,
    gate: Gate,
    names: &Names,
    out: &mut Recognised,
) -> Result<(), String> {
    let (value, most) = unbound(rule, value);
    let p = polynomial(reader, value)?;
    let own = vec![Leaf::State(state)];
    for (monomial, by) in &p.0 {
        let by = by.at(0) - f64::from(u8::from(*monomial == own));
        if by == 0.0 {
            continue;
        }
        if state != 0 && gate == Gate::U && *monomial == own {
            out.tag_decay = Some(1.0 + by);
            continue;
        }
        let factors = monomial.iter().map(|leaf| match leaf {
            Leaf::State(k) => names.variable(*k).ok_or_else(|| "it reads what the engine doesn't have".to_string()),
            _ => Err("it reads what the engine doesn't have".to_string()),
        });
        let term = Term { gate, by, factors: factors.collect::<Result<_, _>>()? };
        if state == 0 { out.weight.push(term) } else { out.tag.push(term) }
    }
    if state == 0 {
        out.most = if out.most > 0.0 { out.most.min(most) } else { most };
    }
    Ok(())
}

/// The most that `u_k` may thin out what happens with time.
const MOST_K: u32 = 10;

/// The rule with the engine's numbers, and what its coefficients became. Takes `unit` as what one of a mantissa is worth.
///
/// # Errors
/// A coefficient that no mantissa and power of two come near.
pub(super) fn quantise(
    name: &str,
    of: &Recognised,
    unit: f64,
    seed: u64,
) -> Result<(LearningRule, Vec<TermReport>), String> {
    let traces = |list: &[(f64, f64)]| -> Vec<Trace> {
        let whole = list.iter().map(|(impulse, decay)| {
            let exact = (impulse * TRACE).clamp(0.0, 127.0);
            let (impulse, fraction) = (exact.floor(), ((exact - exact.floor()) * 256.0).round());
            Trace { impulse: impulse as u32, fraction: fraction as u32, decay: Some(decay.to_bits()) }
        });
        whole.chain(std::iter::repeat(Trace::default())).take(3).collect()
    };
    let (x, y) = (traces(&of.x), traces(&of.y));
    let mut last = String::new();
    for k in 0..=MOST_K {
        let mut report = Vec::new();
        let often = f64::from(1_u32 << k);
        let loss = of.tag_decay.map(|d| Term { gate: Gate::U, by: d.powi(1 << k) - 1.0, factors: vec![Variable::T] });
        let mut products = |terms: &mut dyn Iterator<Item = &Term>, scale: f64, often: f64| {
            let each = terms.map(|t| product(name, t, scale, unit, often, &mut report));
            each.collect::<Result<Vec<Product>, String>>()
        };
        let made = (|| {
            let weight = products(&mut of.weight.iter(), unit, often)?;
            let mut tag = products(&mut of.tag.iter(), 1.0 / TAG, often)?;
            tag.extend(products(&mut loss.iter(), 1.0 / TAG, 1.0)?);
            Ok((weight, tag))
        })();
        match made {
            Ok((weight, tag)) => {
                let rule = LearningRule {
                    name: name.to_string(),
                    epoch: 1,
                    three_factor: false,
                    seed,
                    k,
                    x: [x[0], x[1]],
                    y: [y[0], y[1], y[2]],
                    weight,
                    delay: vec![],
                    tag,
                };
                return Ok((rule, report));
            }
            Err(what) => last = what,
        }
    }
    Err(last)
}

/// `scale` is what one integer of the variable that changes is worth.
fn product(
    name: &str,
    term: &Term,
    scale: f64,
    unit: f64,
    often: f64,
    report: &mut Vec<TermReport>,
) -> Result<Product, String> {
    let mut exact = term.by / scale * if term.gate == Gate::U { often } else { 1.0 };
    let mut width = 4;
    for v in &term.factors {
        width += v.width();
        exact *= match v {
            Variable::W => unit,
            Variable::T => 1.0 / TAG,
            _ => 1.0 / TRACE,
        };
    }
    // The engine shifts a product down to 15 bits.
    let shifted = exact * 2_f64.powi(width.saturating_sub(15) as i32);
    let error = |e: &i32| {
        let mantissa = (shifted / 2_f64.powi(*e)).round();
        let fits = (-8.0..=7.0).contains(&mantissa) && mantissa != 0.0;
        if fits { (mantissa * 2_f64.powi(*e) / shifted - 1.0).abs() } else { f64::INFINITY }
    };
    let exponent = (-7..=8).min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(0);
    // Half a unit of the smallest mantissa.
    if error(&exponent) > 0.5 {
        return Err(format!("a coefficient of {exact:.3e} in the engine's units, which reach from 2^-7 to 7 * 2^8"));
    }
    let mantissa = (shifted / 2_f64.powi(exponent)).round() as i32;
    let stored = f64::from(mantissa) * 2_f64.powi(exponent) * exact / shifted;
    report.push(TermReport { rule: name.to_string(), exact, stored });
    let factors = term.factors.iter().map(|v| Factor { variable: *v, constant: 0, sign: false }).collect();
    Ok(Product { gate: term.gate, mantissa, exponent, factors })
}
