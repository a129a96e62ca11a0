//! Rules of plasticity as sums of products over traces.
//!
//! Recognised are: traces that decay and that their own spikes raise by a constant; one synaptic variable besides the weight, which
//! becomes the tag; at spikes and with time, weight and tag that change by sums of products of traces, tag and weight; a weight
//! between 0 and an upper bound, which becomes the largest mantissa. Products may have third factors ([`super::factors`]), which are
//! the same for many synapses: post traces that modulators and the host write. What happens at an event of the network happens in the
//! next step in which the rule acts with time, and has the event's number as a factor.
//!
//! Three things differ from the IR and are part of what quantising costs: coefficients have 4 bits and a power of two; the engine
//! meets a presynaptic spike when it is sent, not when it arrives; and spikes of both sides in one step see each other.

use super::factors::{self, Origin, RESTING, Read};
use super::forms::Reader;
use super::scale::floor_log2;
use super::values::{Leaf, Polynomial};
use crate::chip::fixed::{Factor, Gate, LearningRule, Product, Trace, Variable};
use crate::ir::plasticity::{Event, Place, Plasticity};
use crate::ir::{Assign, BinaryOp, Expr, ExprId, Network};
use serde::Serialize;

/// A rule that the learning engine has, in the units of the IR.
pub(super) struct Recognised {
    /// Upper bound of the weight; the lower one is 0.
    pub most: f64,
    /// By trace: what a spike adds, and what a step multiplies by.
    x: Vec<(f64, f64)>,
    y: Vec<(f64, f64)>,
    /// Post traces that third factors write: 0 to 2.
    thirds: Vec<u32>,
    /// What a step multiplies the tag by.
    tag_decay: Option<f64>,
    weight: Vec<Term>,
    tag: Vec<Term>,
}

struct Term {
    gate: Gate,
    /// At an event of the network: once, however long the steps are in which the rule acts with time.
    once: bool,
    by: f64,
    factors: Vec<Quantity>,
}

#[derive(Clone, Copy, PartialEq)]
enum Quantity {
    /// Of the synapse and its ends.
    Own(Variable),
    Third(Third),
}

/// The trace that a third factor writes.
#[derive(Clone, Copy, PartialEq)]
struct Third {
    variable: Variable,
    /// Integers that stand for 1.
    scale: f64,
    /// What is added, in integers before they are rounded.
    offset: f64,
}

impl Third {
    /// What the engine adds to the trace.
    fn constant(self) -> i32 {
        self.offset.round() as i32 - RESTING
    }
}

impl Quantity {
    fn variable(self) -> Variable {
        match self {
            Quantity::Own(v) | Quantity::Third(Third { variable: v, .. }) => v,
        }
    }
}

const POST: [Variable; 3] = [Variable::Y1, Variable::Y2, Variable::Y3];

/// A coefficient of a rule on the chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermReport {
    pub rule: String,
    /// The product as the engine has it, such as `u3 * t * (y2 - 64)`.
    pub product: String,
    /// Exact and as mantissa times a power of two.
    pub exact: f64,
    pub stored: f64,
}

/// Integers that stand for 1 of a trace: a few spikes pile up before 7 bits are full.
const TRACE: f64 = 32.0;
/// Integers that stand for 1 of a tag at most, and the largest tag.
const TAG: f64 = 64.0;
const TAG_FULL: f64 = 255.0;
/// A tag has room for what spikes at this rate add up to, per ms.
const TAG_RATE: f64 = 0.015;
/// The largest mantissa of a weight.
pub(super) const FULL: f64 = 255.0;

/// Which rule it is, or why the engine has none like it.
pub(super) fn recognise(network: &Network, rule: &Plasticity) -> Result<Recognised, String> {
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
    let reads = factors::reads(network, rule)?;
    let constants = reads.iter().map(|r| if let Read::Constant(v) = r { Some(*v) } else { None }).collect();
    let reader = Reader::of_rule(rule, network.dt_ms, constants);
    let mut out =
        Recognised { most: 0.0, x: vec![], y: vec![], thirds: vec![], tag_decay: None, weight: vec![], tag: vec![] };
    for read in reads {
        names.reads.push(match read {
            Read::Trace { trace, scale } => {
                out.thirds.push(trace);
                Some(Quantity::Third(Third { variable: POST[trace as usize % POST.len()], scale, offset: 0.0 }))
            }
            Read::Constant(_) => None,
        });
    }
    for (list, event) in [(&names.x, Event::Pre), (&names.y, Event::Post)] {
        for state in list {
            let trace = (impulse(rule, &reader, *state, event)?, decay(rule, &reader, *state)?);
            let traces = if event == Event::Pre { &mut out.x } else { &mut out.y };
            traces.push(trace);
        }
    }
    for handler in &rule.handlers {
        let (gate, event) = match handler.event {
            Event::Pre => (Gate::X0, None),
            Event::Post => (Gate::Y0, None),
            Event::Named(flag, number) => (Gate::U, Some(Carrier::new(rule, (flag, number)))),
            Event::Receptor(_) => return Err("it acts at what arrives at a receptor".to_string()),
            Event::Every(_) => return Err("it acts at times of its own".to_string()),
        };
        for a in &handler.assigns {
            match rule.place(a.state) {
                Place::Synapse => change(rule, &reader, a, (gate, event), &names, &mut out)?,
                // Its own trace was looked at; the other side's can't be written.
                Place::Pre if gate == Gate::X0 => {}
                Place::Post if gate == Gate::Y0 => {}
                _ if gate == Gate::U => return Err("an event of the network writes a trace of spikes".to_string()),
                _ => return Err("a spike of one side writes a trace of the other".to_string()),
            }
        }
    }
    for a in &rule.drift {
        change(rule, &reader, a, (Gate::U, None), &names, &mut out)?;
    }
    if !(out.most > 0.0 && out.most.is_finite()) {
        return Err("its weight has no upper bound".to_string());
    }
    fold(&mut out.weight);
    fold(&mut out.tag);
    Ok(out)
}

/// What rounding may take of a constant in a factor: as much as of a coefficient whose mantissa is 4 of at most 7.
const NEAR: f64 = 0.125;

/// `a * M * e + b * e` as `a * (M + b / a) * e`: the engine adds a constant to the trace of `M`, and a product of its own for it would
/// have a coefficient far smaller than the other one, with fewer bits left.
fn fold(terms: &mut Vec<Term>) {
    let is_third = |q: &Quantity| matches!(q, Quantity::Third(_));
    let mut at = 0;
    while at < terms.len() {
        let (term, mut rest) = (&terms[at], terms[at].factors.clone());
        rest.retain(|q| !is_third(q));
        let alone = rest.len() + 1 == term.factors.len();
        let other = terms.iter().position(|t| (t.gate, t.once) == (term.gate, term.once) && t.factors == rest);
        if let (true, Some(other)) = (alone, other) {
            let by = terms[other].by / term.by;
            let third = terms[at].factors.iter_mut().find_map(|q| match q {
                Quantity::Third(third) => Some(third),
                Quantity::Own(_) => None,
            });
            if let Some(third) = third
                && (by * third.scale).abs() <= f64::from(RESTING)
                && ((by * third.scale).round() / (by * third.scale) - 1.0).abs() <= NEAR
            {
                third.offset = by * third.scale;
                terms.remove(other);
                // Those before it have moved.
                at -= usize::from(other < at);
            }
        }
        at += 1;
    }
}

#[derive(Default)]
struct Names {
    x: Vec<u32>,
    y: Vec<u32>,
    tag: Vec<u32>,
    reads: Vec<Option<Quantity>>,
}

impl Names {
    fn quantity(&self, leaf: Leaf) -> Option<Quantity> {
        let state = match leaf {
            Leaf::State(state) => state,
            Leaf::Read(k) => return self.reads.get(k as usize).copied().flatten(),
            _ => return None,
        };
        let at = |list: &[u32]| list.iter().position(|s| *s == state);
        let variable = match (state, at(&self.x), at(&self.y), at(&self.tag)) {
            (0, ..) => Variable::W,
            (_, Some(k), ..) => [Variable::X1, Variable::X2][k],
            (_, _, Some(k), _) => POST[k],
            (_, _, _, Some(_)) => Variable::T,
            _ => return None,
        };
        Some(Quantity::Own(variable))
    }
}

impl Recognised {
    /// Integers that stand for 1 of the tag: as many as leave room for what pairs of spikes add up to while it decays.
    fn tag_scale(&self, dt_ms: f64) -> f64 {
        let lasts = dt_ms / (1.0 - self.tag_decay.unwrap_or(0.0)).max(f64::MIN_POSITIVE);
        let largest = self.tag.iter().fold(0.0_f64, |m, t| m.max(t.by.abs()));
        let room = TAG_FULL / (largest * TAG_RATE * lasts).max(f64::MIN_POSITIVE);
        if room.is_finite() && room >= 1.0 { 2_f64.powi(floor_log2(room)).min(TAG) } else { 1.0 }
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
    match reader.form(id).map_err(|why| why.what)? {
        super::values::Form::Polynomial(p) => Ok(p),
        super::values::Form::Select(..) => {
            Err("it decides by conditions, and the engine knows signs of weights, tags and delays alone".to_string())
        }
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

/// What tells a rule that an event of the network came.
#[derive(Clone, Copy)]
struct Carrier {
    read: u32,
    /// It is the event's number.
    number: bool,
}

impl Carrier {
    fn new(rule: &Plasticity, event: (u32, u32)) -> Carrier {
        let read = factors::carrier(rule, event);
        Carrier { read, number: read == event.1 }
    }
}

/// What an assignment adds to the weight or the tag.
fn change(
    rule: &Plasticity,
    reader: &Reader<'_>,
    assign: &Assign,
    (gate, event): (Gate, Option<Carrier>),
    names: &Names,
    out: &mut Recognised,
) -> Result<(), String> {
    let state = assign.state;
    let (value, most) = unbound(rule, assign.value);
    let p = polynomial(reader, value)?;
    let own = vec![Leaf::State(state)];
    for (monomial, by) in &p.0 {
        let by = by.at(0) - f64::from(u8::from(*monomial == own));
        if by == 0.0 {
            continue;
        }
        if state != 0 && gate == Gate::U && event.is_none() && *monomial == own {
            out.tag_decay = Some(1.0 + by);
            continue;
        }
        let mut leaves = monomial.clone();
        match event {
            Some(Carrier { read, number: true }) if !leaves.contains(&Leaf::Read(read)) => {
                return Err("at an event it changes by something that the event's number is no factor of".to_string());
            }
            Some(Carrier { read, number: false }) => leaves.push(Leaf::Read(read)),
            _ => {}
        }
        let none = || "it reads what the engine doesn't have".to_string();
        let factors = leaves.iter().map(|leaf| names.quantity(*leaf).ok_or_else(none));
        let term = Term { gate, once: event.is_some(), by, factors: factors.collect::<Result<_, _>>()? };
        if state == 0 { out.weight.push(term) } else { out.tag.push(term) }
    }
    if state == 0 {
        out.most = if out.most > 0.0 { out.most.min(most) } else { most };
    }
    Ok(())
}

/// The most that `u_k` may thin out what happens with time.
const MOST_K: u32 = 10;

/// How often all rules that read modulators or events change weights with time: every 2^k steps, so that a modulator has one pace, and
/// what an event brings is seen once. `None` where no rule does, or no k is one for all.
pub(super) fn pace(network: &Network) -> Option<u32> {
    let modulated: Vec<_> = network.plasticity.iter().filter(|r| keeps_pace(network, r)).collect();
    let made = |rule: &Plasticity, k: u32| {
        let of = recognise(network, rule).ok()?;
        let (_, target) = network.graph.edge_endpoints(rule.projection)?;
        let bounds = super::bounds(network, target, network.population(target)?);
        let bound = bounds.get(network.graph[rule.projection].receptor as usize).copied().flatten()?;
        quantise(&rule.name, &of, bound / FULL, network.dt_ms, 0, Some(k)).ok()
    };
    let all = |k: &u32| modulated.iter().all(|rule| made(rule, *k).is_some());
    (!modulated.is_empty()).then(|| (0..=MOST_K).find(all)).flatten()
}

/// Whether a rule reads a modulator or an event of the network.
pub(super) fn keeps_pace(network: &Network, rule: &Plasticity) -> bool {
    let target = network.graph.edge_endpoints(rule.projection).map(|(_, to)| to);
    let all = factors::factors(network);
    let mine = all.iter().filter(|f| Some(f.target) == target && !matches!(f.origin, Origin::Host(_)));
    let read: Vec<u32> = mine.map(|f| f.trace).collect();
    let reads = factors::reads(network, rule).unwrap_or_default();
    reads.iter().any(|r| matches!(r, Read::Trace { trace, .. } if read.contains(trace)))
}

/// The rule with the engine's numbers, and what its coefficients became. Takes `unit` as what one of a mantissa is worth. `pace`: the
/// only k that is allowed.
///
/// # Errors
/// A coefficient that no mantissa and power of two come near.
pub(super) fn quantise(
    name: &str,
    of: &Recognised,
    unit: f64,
    dt_ms: f64,
    seed: u64,
    pace: Option<u32>,
) -> Result<(LearningRule, Vec<TermReport>), String> {
    let traces = |list: &[(f64, f64)]| -> Vec<Trace> {
        let whole = list.iter().map(|(impulse, decay)| {
            let exact = (impulse * TRACE).clamp(0.0, 127.0);
            let (impulse, fraction) = (exact.floor(), ((exact - exact.floor()) * 256.0).round());
            Trace { impulse: impulse as u32, fraction: fraction as u32, decay: Some(decay.to_bits()), resting: None }
        });
        whole.chain(std::iter::repeat(Trace::default())).take(3).collect()
    };
    let (x, mut y) = (traces(&of.x), traces(&of.y));
    for third in &of.thirds {
        y[*third as usize] = Trace { resting: Some(RESTING), ..Trace::default() };
    }
    let scales = Scales { unit, tag: of.tag_scale(dt_ms) };
    let mut last = String::new();
    for k in pace.unwrap_or(0)..=pace.unwrap_or(MOST_K) {
        let mut report = Vec::new();
        let often = f64::from(1_u32 << k);
        let loss = of.tag_decay.map(|d| Term {
            gate: Gate::U,
            once: false,
            by: d.powi(1 << k) - 1.0,
            factors: vec![Quantity::Own(Variable::T)],
        });
        let mut products = |terms: &mut dyn Iterator<Item = &Term>, scale: f64, often: f64| {
            let each = terms.map(|t| product((name, k), t, scale, scales, often, &mut report));
            each.collect::<Result<Vec<Product>, String>>()
        };
        let made = (|| {
            let weight = products(&mut of.weight.iter(), unit, often)?;
            let mut tag = products(&mut of.tag.iter(), 1.0 / scales.tag, often)?;
            tag.extend(products(&mut loss.iter(), 1.0 / scales.tag, 1.0)?);
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

#[derive(Clone, Copy)]
struct Scales {
    /// What one of a weight's mantissa is worth.
    unit: f64,
    /// Integers that stand for 1 of the tag.
    tag: f64,
}

/// `scale` is what one integer of the variable that changes is worth.
fn product(
    (name, k): (&str, u32),
    term: &Term,
    scale: f64,
    scales: Scales,
    often: f64,
    report: &mut Vec<TermReport>,
) -> Result<Product, String> {
    let mut exact = term.by / scale * if term.gate == Gate::U && !term.once { often } else { 1.0 };
    let mut width = 4;
    for q in &term.factors {
        width += q.variable().width();
        exact *= match q {
            Quantity::Own(Variable::W) => scales.unit,
            Quantity::Own(Variable::T) => 1.0 / scales.tag,
            Quantity::Own(_) => 1.0 / TRACE,
            Quantity::Third(third) => 1.0 / third.scale,
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
    let gate = match term.gate {
        Gate::X0 => "x0".to_string(),
        Gate::Y0 => "y0".to_string(),
        Gate::U => format!("u{k}"),
    };
    let text = |q: &Quantity| match q {
        Quantity::Own(v) => format!(" * {}", v.name()),
        Quantity::Third(third) => format!(" * {}", written(*third)),
    };
    let product = gate + &term.factors.iter().map(text).collect::<String>();
    report.push(TermReport { rule: name.to_string(), product, exact, stored });
    for q in &term.factors {
        if let Quantity::Third(third) = q
            && third.offset != 0.0
        {
            let product = format!("what {} adds", written(*third));
            let stored = third.offset.round();
            report.push(TermReport { rule: name.to_string(), product, exact: third.offset, stored });
        }
    }
    let factor = |q: &Quantity| {
        let constant = if let Quantity::Third(third) = q { third.constant() } else { 0 };
        Factor { variable: q.variable(), constant, sign: false }
    };
    Ok(Product { gate: term.gate, mantissa, exponent, factors: term.factors.iter().map(factor).collect() })
}

/// A third factor as rules are written, such as `(y2 - 64)`.
fn written(third: Third) -> String {
    let (name, constant) = (third.variable.name(), third.constant());
    let sign = if constant < 0 { '-' } else { '+' };
    format!("({name} {sign} {})", constant.abs())
}
