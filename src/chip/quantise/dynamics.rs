//! One model as a program, its states as integers.
//!
//! The order is that of a step in the IR: equations, arrivals, the spike with its resets. What a state's integer stands for is an
//! offset (its mean at the start) and a scale.

use super::code::{Code, UNIFORM_BITS};
use super::factors::{HEARD, LEVEL, RESTING, TOLD};
use super::forms::{Reader, Refusal};
use super::rounding::rounding;
use super::scale::{Count, DISTANCE, floor_log2, scales};
use super::values::{Form, Leaf, Polynomial, Test, Values};
use crate::backend::build::PopulationElements;
use crate::chip::fixed::Words;
use crate::ir::{Arrival, Assign, ExprId, Population, Spike};
use crate::units;
use std::collections::BTreeSet;

/// A model that a core can run.
pub(super) struct Lowered {
    /// Assembly.
    pub text: String,
    pub params: Vec<i32>,
    /// The model's states, the refractory counter if there is one, params of neurons.
    pub states: Vec<Words>,
    /// Of the params of neurons, the last of `states`.
    pub words: Vec<Named>,
    /// By receptor: its accumulator, and integers per unit of what arrives.
    pub receptors: Vec<Option<(u32, f64)>>,
    /// By receptor, whatever ends there: integers per unit of what arrives.
    pub arrivals: Vec<f64>,
    /// By state of the model: integers per unit.
    pub scales: Vec<f64>,
    pub offsets: Vec<f64>,
    /// The word that counts refractory steps.
    pub refractory: Option<usize>,
    /// The word that adds up a modulator's level; it sends graded spikes.
    pub level: Option<usize>,
    /// The word of what a modulator has told cells; it sends graded spikes.
    pub told: Option<usize>,
    /// Of the modulators that cells follow: position among the coupled sums, the level at the start, the word of what was heard since.
    pub heard: Vec<(u32, f64, usize)>,
    /// Largest relative error of a coefficient.
    pub error: f64,
    /// By state of the model: the part of the way to threshold that it may be off because products are cut off.
    pub rounding: Vec<f64>,
    /// By state of the model: the largest magnitude of its integer.
    pub largest: Vec<f64>,
}

/// A word that holds a param of each neuron.
pub(super) struct Named {
    pub name: String,
    pub live: bool,
}

/// Uniform numbers that are added up for a normal one, and bits of each.
const NORMAL_TERMS: i32 = 6;
const NORMAL_BITS: i32 = 20;
/// Comparisons that a Poisson count is drawn with at most.
const MOST_COUNTS: usize = 40;
/// Probability of more spikes in a step than are told apart.
const TAIL: f64 = 6e-8;

fn live_rate() -> Refusal {
    // How many comparisons a count takes depends on its rate.
    Refusal {
        what: "a rate of private trains that the experiment changes".into(),
        instead: Some(
            "give the source a size, so that the host plays its spikes; for a `kick` of sleep, a source of its own with a size whose rate the \
             phase sets",
        ),
    }
}
/// Bits after the point of a modulator's level, beyond those that it sends.
const LEVEL_BITS: u32 = 10;
/// Bits of its sum over 2^k steps, which has room for a mean of 16 at k = 3; of the counter of these steps while it does; beyond that,
/// of both.
const SUM_BITS: u32 = 24;
const SHORT: u32 = 3;
const LONG_BITS: (u32, u32) = (32, 16);
/// The part of the way to threshold that a state may be off by because products are cut off, above which it gets a wider word.
const COARSE: f64 = 0.01;
/// Bits of a wider word, and how much finer its integers are: what is cut off is a 64th of what it was, and there is four times the
/// room that a word of 24 bits has.
const WIDE_BITS: u32 = 32;
const FINER: f64 = 64.0;
/// Bits of other states.
const STATE_BITS: u32 = 24;
/// Most refractory steps, by its word's bits.
const REFRACTORY_BITS: u32 = 16;

/// What a population has to do with modulators and events.
#[derive(Clone, Default)]
pub(super) struct Outside {
    /// The value that it sends to rules, and k where it does so every 2^k steps.
    pub taught: Option<(ExprId, u32)>,
    /// The value that it tells cells, and what that is at the start.
    pub told: Option<(ExprId, f64)>,
    /// The coupled sums that it follows, and the level of each at the start.
    pub follows: Vec<(u32, f64)>,
    /// Params that hold flags of events.
    pub flags: BTreeSet<u32>,
}

/// Lowers one population. `bounds` are upper bounds of weights that learn, by receptor: there, the largest mantissa is the bound.
/// `live` are params that the host writes while the circuit runs: with other values of them, only words of neurons differ. `arrivals`: what
/// one unit of what arrives was worth when the package was made, by receptor, for weights are stored in it; empty where it is to be chosen.
///
/// # Errors
/// What the core can't compute, in words.
pub(super) fn lower(
    population: &Population,
    elements: &PopulationElements,
    live: &BTreeSet<u32>,
    dt_ms: f64,
    bounds: &[Option<f64>],
    outside: &Outside,
    arrivals: &[f64],
) -> Result<Lowered, Vec<Refusal>> {
    let d = &population.dynamics;
    let offsets: Vec<f64> = elements.initial.iter().map(|v| v.iter().sum::<f64>() / v.len().max(1) as f64).collect();
    let mut model = Model {
        population,
        reader: Reader::new(d, &elements.params, live, &offsets, outside),
        dt_ms,
        refusals: vec![],
    };
    if d.adaptive.is_some() {
        model.refusals.push(Refusal {
            what: "steps of its own length (rkf45)".into(),
            instead: Some("ask for another solver with `integrate with`"),
        });
    }
    if let Some(e) = d.every.first() {
        model.refusals.push(Refusal {
            what: format!("what happens every {} ms", units::number(e.steps as f64 * dt_ms)),
            instead: Some(
                "a core runs one program in every step: let a state follow an equation, or set a param from the experiment",
            ),
        });
    }
    let body = model.body(outside);
    match body {
        Some(body) if model.refusals.is_empty() => write(population, elements, &offsets, body, bounds, arrivals),
        _ => Err(model.refusals),
    }
}

/// What a model does in a step, as forms.
struct Body {
    /// Stages of the integration, then the body of each receptor: (state, new value).
    stages: Vec<Vec<(u32, Form)>>,
    receptors: Vec<ReceptorBody>,
    test: Option<Test>,
    reset: Vec<(u32, Form)>,
    /// Steps, and the states that are held.
    refractory: Option<(Values, BTreeSet<u32>)>,
    /// What a modulator sends to rules, and k of 2^k steps.
    level: Option<(Form, u32)>,
    /// What it tells cells, and what they know of it at the start.
    told: Option<(Form, i32)>,
    /// The coupled sums that it follows, with the level at the start.
    follows: Vec<(u32, f64)>,
}

struct ReceptorBody {
    /// Whether synapses end here.
    synapses: bool,
    /// Mean count per step and weight of each Poisson input.
    poisson: Vec<(Values, Values)>,
    assigns: Vec<(u32, Form)>,
}

struct Model<'p> {
    population: &'p Population,
    reader: Reader<'p>,
    dt_ms: f64,
    refusals: Vec<Refusal>,
}

impl Model<'_> {
    fn take<T>(&mut self, what: &str, r: Result<T, Refusal>) -> Option<T> {
        r.map_err(|why| self.refusals.push(Refusal { what: format!("{what}: {}", why.what), ..why })).ok()
    }

    fn assigns(&mut self, list: &[Assign]) -> Vec<(u32, Form)> {
        let mut out = Vec::new();
        for a in list {
            let name = format!("`{}`", self.population.dynamics.states[a.state as usize].name);
            let form = self.reader.form(a.value);
            out.extend(self.take(&name, form).map(|f| (a.state, f)));
        }
        out
    }

    fn body(&mut self, outside: &Outside) -> Option<Body> {
        let d = &self.population.dynamics;
        let stages = d.integrate.iter().map(|s| self.assigns(&s.assigns)).collect();
        let mut receptors = Vec::new();
        for r in &d.receptors {
            let synapses = r.arrivals.iter().any(|a| !matches!(a, Arrival::Poisson(_)));
            let mut poisson = Vec::new();
            for a in &r.arrivals {
                let Arrival::Poisson(k) = a else { continue };
                let input = &d.poisson[*k as usize];
                let rate = self.reader.constant(input.rate, "a rate");
                let rate = rate.and_then(|r| if r.live { Err(live_rate()) } else { Ok(r) });
                let rate = self.take(&input.path, rate);
                let weight = self.reader.constant(input.weight, "a weight");
                let weight = self.take(&input.path, weight);
                poisson.extend(rate.map(|r| r.map(|r| r * self.dt_ms)).zip(weight));
            }
            self.reader.arrives = !r.arrivals.is_empty();
            let assigns = self.assigns(&r.body);
            self.reader.arrives = false;
            receptors.push(ReceptorBody { synapses, poisson, assigns });
        }
        let test = match &d.spike {
            Spike::When(c) => {
                let test = self.reader.test(*c);
                match self.take("the condition of a spike", test)? {
                    Ok(test) => Some(test),
                    // A spike in every step would need a test too.
                    Err(true) => Some(Test::Compare(crate::ir::Compare::Ge, Polynomial::default())),
                    Err(false) => None,
                }
            }
            Spike::Never | Spike::Schedule(_) => None,
        };
        let reset = self.assigns(&d.reset);
        let refractory = match &d.refractory {
            None => None,
            Some(r) => {
                let steps = self.reader.constant(r.steps, "a refractory time");
                let steps = self.take("the refractory time", steps)?;
                if steps.live {
                    self.refusals.push(Refusal {
                        what: "a refractory time that the experiment changes".into(),
                        instead: Some("give populations that differ in it each their own"),
                    });
                }
                if steps.largest() >= f64::from(1 << (REFRACTORY_BITS - 1)) {
                    self.refusals.push(Refusal {
                        what: format!("a refractory time of {} steps", steps.largest()),
                        instead: Some("shorten it, or lengthen `dt`"),
                    });
                }
                (steps.largest() > 0.0).then(|| (steps, r.held.iter().copied().collect()))
            }
        };
        let level = match outside.taught {
            None => None,
            Some((value, k)) => {
                let value = self.reader.form(value);
                Some((self.take("its level", value)?, k))
            }
        };
        let told = match outside.told {
            None => None,
            Some((value, start)) => {
                let value = self.reader.form(value);
                Some((self.take("its level", value)?, (start * TOLD).round() as i32))
            }
        };
        Some(Body { stages, receptors, test, reset, refractory, level, told, follows: outside.follows.clone() })
    }
}

/// Words that the code itself uses.
fn reserved(name: &str) -> bool {
    let (head, tail) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
    let numbered = ["k", "p", "t", "noise", "heard"].contains(&head) && tail.chars().all(|c| c.is_ascii_digit());
    let own = [
        "arrived",
        "uniform",
        "refractory",
        "resting",
        "fires",
        "draw",
        "count",
        "level",
        "sum",
        "steps",
        "sent",
        "told",
    ];
    numbered || own.contains(&name)
}

fn word_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in names {
        let mut word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if reserved(&word) || word.starts_with(|c: char| c.is_ascii_digit()) {
            word = format!("s_{word}");
        }
        while out.contains(&word) {
            word.push('_');
        }
        out.push(word);
    }
    out
}

fn write(
    population: &Population,
    elements: &PopulationElements,
    offsets: &[f64],
    body: Body,
    bounds: &[Option<f64>],
    arrivals: &[f64],
) -> Result<Lowered, Vec<Refusal>> {
    let d = &population.dynamics;
    let from_offset = |k: usize, v: f64| v - offsets[k];
    let largest = |(k, v): (usize, &Vec<f64>)| v.iter().fold(0.0, |m: f64, x| m.max(from_offset(k, *x).abs()));
    let initial: Vec<f64> = elements.initial.iter().enumerate().map(largest).collect();
    let updates: Vec<(u32, Form)> = body.stages.iter().flatten().chain(&body.reset).cloned().collect();
    let mut scales = scales(&updates, body.test.as_ref(), &initial);
    for (k, scale) in scales.iter_mut().enumerate() {
        if let Some(counted) = count(&body, k as u32, offsets[k], initial[k]).and_then(|c| c.scale()) {
            *scale = counted;
        }
    }
    let steps: Vec<(u32, Form)> = body.stages.iter().flatten().cloned().collect();
    let mut distances = vec![DISTANCE; scales.len()];
    let coarse = rounding(&steps, &body.reset, offsets, &scales, &distances);
    let wide = wide(&body, &coarse);
    for k in (0..scales.len()).filter(|k| wide[*k]) {
        scales[k] *= FINER;
        distances[k] *= FINER;
    }
    let rounding = rounding(&steps, &body.reset, offsets, &scales, &distances);
    let names = word_names(d.states.iter().map(|s| s.name.clone()));
    let mut w = Writer { code: Code::new(names.clone(), scales.clone()), names, offsets, scales, wide: &wide };
    let accumulators = word_names(d.receptors.iter().map(|r| format!("at_{}", r.name)));
    let (receptors, arrivals) = w.body(&body, &accumulators, bounds, arrivals).map_err(|why| vec![why])?;
    let Writer { code, names, scales, .. } = w;
    let bits: Vec<u32> = wide.iter().map(|wide| if *wide { WIDE_BITS } else { STATE_BITS }).collect();
    let largest = bits.iter().map(|bits| 2_f64.powi(*bits as i32 - 1) - 1.0).collect();
    let mut states: Vec<(String, u32)> = names.into_iter().zip(bits).collect();
    let mut words = Vec::new();
    for (k, values) in elements.initial.iter().enumerate() {
        let whole = values.iter().map(|v| (from_offset(k, *v) * scales[k]).round() as i32).collect();
        words.push(shared(whole));
    }
    let mut own = |name: &str, bits: u32, start: i32| {
        states.push((name.to_string(), bits));
        words.push(Words::One(start));
        words.len() - 1
    };
    let refractory = body.refractory.is_some().then(|| own("refractory", REFRACTORY_BITS, 0));
    let (sum_bits, count_bits) = match &body.level {
        Some((_, k)) if *k > SHORT => LONG_BITS,
        _ => (SUM_BITS, 8),
    };
    let level = body.level.is_some().then(|| own("sum", sum_bits, 0));
    if level.is_some() {
        own("steps", count_bits, 0);
        own("sent", 8, 0);
    }
    let told = body.told.as_ref().map(|(_, start)| own("told", STATE_BITS, *start));
    let heard = body.follows.iter().map(|(k, start)| (*k, *start, own(&format!("heard{k}"), STATE_BITS, 0))).collect();
    words.extend(code.words.iter().map(|w| shared(w.values.clone())));
    let named = code.words.iter().map(|w| Named { name: w.name.clone(), live: w.live }).collect();
    let mut used: Vec<String> =
        receptors.iter().zip(&accumulators).filter(|(r, _)| r.is_some()).map(|p| p.1.clone()).collect();
    used.extend(body.follows.iter().map(|(k, _)| from(*k)));
    let name: String = population.dynamics.model.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("m{name}") };
    let text = code.text(&name, &states, &used);
    let offsets = offsets.to_vec();
    Ok(Lowered {
        text,
        params: code.params,
        states: words,
        words: named,
        receptors,
        arrivals,
        scales,
        offsets,
        refractory,
        level,
        told,
        heard,
        error: code.error,
        rounding,
        largest,
    })
}

/// A state that one assignment moves in a step, and no other state or receptor reads.
fn count(body: &Body, state: u32, offset: f64, initial: f64) -> Option<Count<'_>> {
    let all = || body.stages.iter().flatten().chain(&body.reset);
    let receptors = body.receptors.iter().flat_map(|r| &r.assigns);
    let sent = body.level.iter().map(|(form, _)| form).chain(body.told.iter().map(|(form, _)| form));
    let mut read = receptors.clone().any(|(to, _)| *to == state);
    let others = all().chain(receptors).filter(|(to, _)| *to != state).map(|(_, form)| form);
    others.chain(sent).for_each(|form| {
        form.each(&mut |p| read |= p.0.keys().flatten().any(|leaf| *leaf == Leaf::State(state)));
    });
    let mut steps = body.stages.iter().flatten().filter(|(to, _)| *to == state).map(|(_, form)| form);
    let mut resets = body.reset.iter().filter(|(to, _)| *to == state).map(|(_, form)| form);
    let (step, reset, test) = (steps.next()?, resets.next(), body.test.as_ref()?);
    (!read && steps.next().is_none() && resets.next().is_none()).then_some(Count {
        state,
        step,
        reset,
        test,
        offset,
        initial,
    })
}

/// The states that get a wider word: slow ones, of which rounding in every step takes a part that counts. Not those that a product of
/// states has, where it would leave the registers, nor those that synapses reach, whose weights are in their integers, nor those whose
/// coefficients the host writes.
fn wide(body: &Body, coarse: &[f64]) -> Vec<bool> {
    let mut out: Vec<bool> = coarse.iter().map(|part| *part > COARSE).collect();
    let receptors = body.receptors.iter().flat_map(|r| &r.assigns);
    for (state, form) in body.stages.iter().flatten().chain(&body.reset).chain(receptors.clone()) {
        form.each(&mut |p| out[*state as usize] &= p.0.values().all(|by| !by.live));
    }
    let mut narrow = |p: &Polynomial| {
        for leaf in p.0.keys().filter(|monomial| monomial.len() > 1).flatten() {
            if let Leaf::State(k) = leaf {
                out[*k as usize] = false;
            }
        }
    };
    let forms = body.stages.iter().flatten().chain(&body.reset).chain(receptors.clone()).map(|(_, form)| form);
    let sent = body.level.iter().map(|(form, _)| form).chain(body.told.iter().map(|(form, _)| form));
    forms.chain(sent).for_each(|form| form.each(&mut narrow));
    body.test.iter().for_each(|test| test.each(&mut narrow));
    receptors.for_each(|(state, _)| out[*state as usize] = false);
    out
}

/// The accumulator of what a modulator sends.
fn from(coupled: u32) -> String {
    format!("from{coupled}")
}

fn shared(values: Vec<i32>) -> Words {
    match values.first() {
        Some(first) if values.iter().all(|v| v == first) => Words::One(*first),
        None => Words::One(0),
        Some(_) => Words::Each(values),
    }
}

struct Writer<'p> {
    code: Code,
    names: Vec<String>,
    offsets: &'p [f64],
    scales: Vec<f64>,
    wide: &'p [bool],
}

/// By receptor: its accumulator and the scale of what arrives; and the scale alone.
type Receptors = (Vec<Option<(u32, f64)>>, Vec<f64>);

impl Writer<'_> {
    fn body(
        &mut self,
        body: &Body,
        accumulators: &[String],
        bounds: &[Option<f64>],
        arrivals: &[f64],
    ) -> Result<Receptors, Refusal> {
        self.draws(body);
        self.hear(body);
        let held = body.refractory.as_ref().map(|r| &r.1);
        let is_held = |state: u32| held.is_some_and(|h| h.contains(&state));
        for stage in &body.stages {
            let mut values = Vec::new();
            for (state, form) in stage {
                values.push((*state, self.value(*state, form)?));
            }
            for (state, value) in values {
                self.store(state, &value, is_held(state));
            }
            self.code.end_statement();
        }
        let (mut receptors, mut worth) = (Vec::new(), Vec::new());
        let mut used = 0;
        for (k, ((r, name), bound)) in body.receptors.iter().zip(accumulators).zip(bounds).enumerate() {
            let scale = arrivals.get(k).copied().unwrap_or_else(|| bounded(self.arrival_scale(r), *bound));
            worth.push(scale);
            if r.synapses || !r.poisson.is_empty() {
                self.arrive(r, scale, name)?;
            }
            for (state, form) in &r.assigns {
                let value = self.value(*state, form)?;
                self.store(*state, &value, is_held(*state));
                self.code.end_statement();
            }
            receptors.push(r.synapses.then(|| {
                used += 1;
                (used - 1, scale)
            }));
        }
        self.spike(body)?;
        if let Some((value, k)) = &body.level {
            self.level(value, *k)?;
        }
        if let Some((value, _)) = &body.told {
            self.tell(value)?;
        }
        // A wider word has room enough; what leaves it is an error of the run.
        let narrow: Vec<String> =
            self.names.iter().zip(self.wide).filter(|(_, wide)| !**wide).map(|(n, _)| n.clone()).collect();
        narrow.iter().for_each(|n| self.code.line(format!("X.CLIP24 {n}")));
        Ok((receptors, worth))
    }

    /// The new value of a state, from its offset.
    fn value(&mut self, state: u32, form: &Form) -> Result<String, Refusal> {
        let k = state as usize;
        let offset = Form::Polynomial(Polynomial::constant(Values::one(-self.offsets[k])));
        let from = form.combine(&offset, &|a, b| Some(a.plus(b))).ok_or("too many factors")?;
        // A number of the host that leaves the word of the state that it is added to leaves that of its own as well.
        self.code.live_bits = if self.wide[k] { WIDE_BITS } else { STATE_BITS };
        // What is left of an offset that cancels is rounding.
        let value = self.code.form(&from, self.scales[k]);
        self.code.live_bits = WIDE_BITS;
        Ok(value?)
    }

    fn store(&mut self, state: u32, value: &str, held: bool) {
        let name = self.names[state as usize].clone();
        if name == value {
            return;
        }
        if held {
            self.code.line("LT 0, refractory");
            self.code.line(format!("SEL {name}, {name}, {value}"));
        } else {
            self.code.line(format!("MOV {name}, {value}"));
        }
    }

    /// Random numbers that the equations and the condition read.
    fn draws(&mut self, body: &Body) {
        let mut leaves = BTreeSet::new();
        let mut note = |p: &Polynomial| leaves.extend(p.0.keys().flatten().copied());
        body.stages.iter().flatten().for_each(|(_, f)| f.each(&mut note));
        body.test.iter().for_each(|t| t.each(&mut note));
        for leaf in leaves {
            match leaf {
                Leaf::Noise(k) => {
                    let (name, draw) = (self.code.local(&format!("noise{k}")), self.code.local("draw"));
                    // The sum of n uniform numbers on 0 .. 2^b: variance n 4^b / 12.
                    self.code.line(format!("MOV {name}, {}", -(NORMAL_TERMS << (NORMAL_BITS - 1))));
                    for _ in 0..NORMAL_TERMS {
                        self.code.line(format!("X.RAND {draw}, {NORMAL_BITS}"));
                        self.code.line(format!("ADD {name}, {name}, {draw}"));
                    }
                    let sd = (f64::from(NORMAL_TERMS) / 12.0).sqrt() * 2_f64.powi(NORMAL_BITS);
                    self.code.input(leaf, sd);
                }
                Leaf::Uniform => {
                    let name = self.code.local("uniform");
                    self.code.line(format!("X.RAND {name}, {UNIFORM_BITS}"));
                    self.code.input(leaf, 2_f64.powi(UNIFORM_BITS));
                }
                Leaf::State(_) | Leaf::Arrival | Leaf::Read(_) | Leaf::Coupled(_) => {}
            }
        }
    }

    /// Levels of modulators, as far as they have changed: what was sent at the end of the last step counts for the equations of this one.
    fn hear(&mut self, body: &Body) {
        for (k, _) in &body.follows {
            let arrived = self.code.local("arrived");
            self.code.line(format!("RDC {arrived}, {}", from(*k)));
            self.code.line(format!("ADD heard{k}, heard{k}, {arrived}"));
            self.code.input(Leaf::Coupled(*k), TOLD * f64::from(HEARD));
        }
    }

    /// Sends by how much the level is another one than what cells were told.
    fn tell(&mut self, value: &Form) -> Result<(), Refusal> {
        let level = self.code.local("level");
        let value = self.code.form(value, TOLD)?;
        self.code.line(format!("NEG {level}, told"));
        self.code.line(format!("ADD {level}, {level}, {value}"));
        self.code.line(format!("EQ {level}, 0"));
        self.code.line("SKP_A 2");
        self.code.line(format!("ADD told, told, {level}"));
        self.code.line(format!("SPIKE {level}"));
        self.code.end_statement();
        Ok(())
    }

    /// In which one unit of what arrives moves the state that it moves without a product.
    fn arrival_scale(&self, r: &ReceptorBody) -> f64 {
        let mut scale = None;
        for (state, form) in &r.assigns {
            form.each(&mut |p| {
                let by = p.coefficient(&[Leaf::Arrival]).largest();
                if scale.is_none() && by > 0.0 {
                    scale = Some(self.scales[*state as usize] * by);
                }
            });
        }
        let first = r.assigns.first().map(|a| self.scales[a.0 as usize]);
        scale.or(first).unwrap_or(1.0)
    }

    /// What arrives at a receptor: its accumulator and its Poisson inputs.
    fn arrive(&mut self, r: &ReceptorBody, scale: f64, accumulator: &str) -> Result<(), Refusal> {
        let arrived = self.code.local("arrived");
        self.code.input(Leaf::Arrival, scale);
        if r.synapses {
            self.code.line(format!("RDC {arrived}, {accumulator}"));
        } else {
            self.code.line(format!("MOV {arrived}, 0"));
        }
        for (mean, weight) in &r.poisson {
            let (draw, count) = (self.code.local("draw"), self.code.local("count"));
            self.code.line(format!("X.RAND {draw}, {UNIFORM_BITS}"));
            self.code.line(format!("MOV {count}, 0"));
            for limit in poisson_limits(mean)? {
                let limit = self.code.constant(&limit, 2_f64.powi(UNIFORM_BITS))?;
                self.code.line(format!("GE {draw}, {limit}"));
                self.code.line("SKP_B 1");
                self.code.line(format!("ADD {count}, {count}, 1"));
            }
            let weight = self.code.constant(weight, scale)?;
            self.code.line(format!("MUL_SHR {count}, {count}, {weight}, 0"));
            self.code.line(format!("ADD {arrived}, {arrived}, {count}"));
        }
        Ok(())
    }

    /// Adds a level up. After 2^k steps it sends the mean from the resting value of a trace, if it is another one than the last, and
    /// keeps what that leaves of the sum.
    fn level(&mut self, value: &Form, k: u32) -> Result<(), Refusal> {
        let level = self.code.local("level");
        let value = self.code.form(value, LEVEL * f64::from(1 << LEVEL_BITS))?;
        let shift = LEVEL_BITS + k;
        // Half an integer rounds to the nearest, and what is not below 0 is cut off downwards.
        let middle = (RESTING << shift) + (1 << (shift - 1));
        self.code.line(format!("ADD sum, sum, {value}"));
        self.code.line("ADD steps, steps, 1");
        self.code.line(format!("EQ steps, {}", 1 << k));
        let sends = [
            "MOV steps, 0".to_string(),
            format!("ADD {level}, sum, {middle}"),
            format!("LT {level}, 0"),
            format!("SEL {level}, 0, {level}"),
            format!("MUL_SHR {level}, {level}, 1, {shift}"),
            format!("MIN {level}, {level}, 127"),
            format!("ADD {level}, {level}, {}", -RESTING),
            format!("EQ {level}, sent"),
            "MOV sent, ".to_string() + &level,
            format!("SHL {level}, {level}, {shift}"),
            format!("NEG {level}, {level}"),
            format!("ADD sum, sum, {level}"),
            "SKP_A 1".to_string(),
            "SPIKE sent".to_string(),
        ];
        self.code.line(format!("JMP_B {}", sends.len()));
        sends.into_iter().for_each(|line| self.code.line(line));
        self.code.end_statement();
        Ok(())
    }

    fn spike(&mut self, body: &Body) -> Result<(), Refusal> {
        if body.refractory.is_some() {
            let resting = self.code.local("resting");
            self.code.line("LT 0, refractory");
            self.code.line(format!("SEL {resting}, 1, 0"));
            self.code.line("SKP_B 1");
            self.code.line("ADD refractory, refractory, -1");
        }
        let Some(test) = &body.test else { return Ok(()) };
        self.code.test(test)?;
        if body.refractory.is_some() {
            let fires = self.code.local("fires");
            self.code.line(format!("SEL {fires}, 1, 0"));
            self.code.line(format!("LT resting, {fires}"));
        }
        self.code.end_statement();
        let at = self.code.lines.len();
        self.code.line("SPIKE 1");
        for (state, form) in &body.reset {
            let value = self.value(*state, form)?;
            self.store(*state, &value, false);
            self.code.end_statement();
        }
        if let Some((steps, _)) = &body.refractory {
            let steps = self.code.constant(steps, 1.0)?;
            self.code.line(format!("MOV refractory, {steps}"));
        }
        let inside = self.code.lines.len() - at;
        let word = if inside <= 7 { "SKP_B" } else { "JMP_B" };
        if inside > 255 {
            return Err("a reset of more than 255 operations".into());
        }
        self.code.lines.insert(at, format!("{word} {inside}"));
        Ok(())
    }
}

/// A scale at least as fine in which the bound of a weight is the largest mantissa times a power of two.
fn bounded(scale: f64, bound: Option<f64>) -> f64 {
    let Some(bound) = bound else { return scale };
    let full = super::learning::FULL / bound;
    full * 2_f64.powi(floor_log2(scale / full) + 1)
}

/// The limits of a uniform number above which there are more than 0, 1, 2 ... spikes in a step.
fn poisson_limits(mean: &Values) -> Result<Vec<Values>, Refusal> {
    if mean.each.iter().any(|m| !m.is_finite() || *m < 0.0) {
        return Err("a Poisson input whose rate is no rate".into());
    }
    let mut term = mean.map(|m| crate::numerics::exp(-m));
    let mut sum = term.clone();
    let mut out = vec![sum.clone()];
    let mut k = 0.0;
    while sum.each.iter().any(|s| 1.0 - s > TAIL) {
        k += 1.0;
        term = term.zip(mean, |t, m| t * m / k);
        sum = sum.zip(&term, |s, t| s + t);
        out.push(sum.clone());
        if out.len() > MOST_COUNTS {
            return Err(Refusal {
                what: format!("{} spikes of a Poisson input in one step", units::number(mean.largest())),
                instead: Some("shorten `dt`, or give the cells two such inputs of half the rate"),
            });
        }
    }
    Ok(out)
}
