//! What an expression of a model is, as far as a neuron core can compute it: polynomials in states and inputs, chosen between by
//! conditions. Coefficients are numbers already, one for the population or one for each neuron.

use crate::ir::Compare;
use std::collections::BTreeMap;

/// One number for all neurons, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values {
    pub each: Vec<f64>,
    /// The host may write other numbers while the circuit runs, so no code may rest on these: every neuron has a word for its own.
    pub live: bool,
    /// It is the flag of an event, by the param that holds it: 0 or 1.
    pub flag: Option<u32>,
}

impl Values {
    pub(super) fn one(v: f64) -> Values {
        Values { each: vec![v], live: false, flag: None }
    }

    pub(super) fn at(&self, k: usize) -> f64 {
        self.each.get(k).or(self.each.first()).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn map(&self, f: impl Fn(f64) -> f64) -> Values {
        Values { each: self.each.iter().map(|v| f(*v)).collect(), live: self.live, flag: None }
    }

    pub(super) fn zip(&self, other: &Values, f: impl Fn(f64, f64) -> f64) -> Values {
        let n = self.each.len().max(other.each.len());
        let each = (0..n).map(|k| f(self.at(k), other.at(k))).collect();
        Values { each, live: self.live || other.live, flag: None }
    }

    /// The largest magnitude.
    pub(super) fn largest(&self) -> f64 {
        self.each.iter().fold(0.0, |m, v| if v.abs() > m { v.abs() } else { m })
    }

    pub(super) fn finite(&self) -> bool {
        self.each.iter().all(|v| v.is_finite())
    }

    /// Whether all of them are this number, and stay it.
    pub(super) fn always(&self, v: f64) -> bool {
        !self.live && self.each.iter().all(|x| *x == v)
    }
}

/// What a polynomial is one in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaf {
    /// Measured from its offset.
    State(u32),
    Arrival,
    Noise(u32),
    Uniform,
    /// What a rule reads of the outside.
    Read(u32),
    /// The level of a modulator, from what it is at the start.
    Coupled(u32),
}

/// Coefficients by monomial; the empty one is the constant.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Polynomial(pub BTreeMap<Vec<Leaf>, Values>);

/// Factors of a monomial: more are no more than a chip would be asked for.
const DEGREE: usize = 3;

impl Polynomial {
    pub(super) fn constant(v: Values) -> Polynomial {
        Polynomial(BTreeMap::from([(vec![], v)]))
    }

    pub(super) fn leaf(leaf: Leaf) -> Polynomial {
        Polynomial(BTreeMap::from([(vec![leaf], Values::one(1.0))]))
    }

    /// Where it reads nothing.
    pub(super) fn as_constant(&self) -> Option<Values> {
        match self.0.iter().next() {
            None => Some(Values::one(0.0)),
            Some((m, v)) if m.is_empty() && self.0.len() == 1 => Some(v.clone()),
            _ => None,
        }
    }

    pub(super) fn coefficient(&self, monomial: &[Leaf]) -> Values {
        self.0.get(monomial).cloned().unwrap_or(Values::one(0.0))
    }

    pub(super) fn plus(&self, other: &Polynomial) -> Polynomial {
        let mut out = self.clone();
        for (m, v) in &other.0 {
            let sum = out.coefficient(m).zip(v, |a, b| a + b);
            out.0.insert(m.clone(), sum);
        }
        out.tidy()
    }

    pub(super) fn scaled(&self, by: &Values) -> Polynomial {
        Polynomial(self.0.iter().map(|(m, v)| (m.clone(), v.zip(by, |a, b| a * b))).collect()).tidy()
    }

    /// `None` where a monomial gets too many factors.
    pub(super) fn times(&self, other: &Polynomial) -> Option<Polynomial> {
        let mut out = Polynomial::default();
        for (m, v) in &self.0 {
            for (n, w) in &other.0 {
                let mut both: Vec<Leaf> = m.iter().chain(n).copied().collect();
                both.sort_unstable();
                if both.len() > DEGREE {
                    return None;
                }
                let sum = out.coefficient(&both).zip(&v.zip(w, |a, b| a * b), |a, b| a + b);
                out.0.insert(both, sum);
            }
        }
        Some(out.tidy())
    }

    fn tidy(mut self) -> Polynomial {
        self.0.retain(|_, v| !v.always(0.0));
        self
    }
}

/// A polynomial, or one of two by a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Polynomial(Polynomial),
    Select(Box<Test>, Box<Form>, Box<Form>),
}

/// Something that holds or doesn't.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// A polynomial against 0.
    Compare(Compare, Polynomial),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
}

impl Form {
    pub(super) fn one(v: f64) -> Form {
        Form::Polynomial(Polynomial::constant(Values::one(v)))
    }

    pub(super) fn as_constant(&self) -> Option<Values> {
        match self {
            Form::Polynomial(p) => p.as_constant(),
            Form::Select(..) => None,
        }
    }

    /// Every polynomial that may be its value.
    pub(super) fn each<'f>(&'f self, f: &mut dyn FnMut(&'f Polynomial)) {
        match self {
            Form::Polynomial(p) => f(p),
            Form::Select(test, a, b) => {
                test.each(f);
                a.each(f);
                b.each(f);
            }
        }
    }

    /// Combines two, whatever conditions they depend on.
    pub(super) fn combine(
        &self,
        other: &Form,
        f: &dyn Fn(&Polynomial, &Polynomial) -> Option<Polynomial>,
    ) -> Option<Form> {
        Some(match (self, other) {
            (Form::Polynomial(a), Form::Polynomial(b)) => Form::Polynomial(f(a, b)?),
            (Form::Select(test, a, b), c) => {
                Form::Select(test.clone(), Box::new(a.combine(c, f)?), Box::new(b.combine(c, f)?))
            }
            (c, Form::Select(test, a, b)) => {
                Form::Select(test.clone(), Box::new(c.combine(a, f)?), Box::new(c.combine(b, f)?))
            }
        })
    }
}

impl Test {
    /// 1 where it holds and 0 elsewhere, if no state decides.
    pub(super) fn as_constant(&self) -> Option<Values> {
        Some(match self {
            Test::Compare(op, p) => p.as_constant()?.map(|v| f64::from(u8::from(op.compute(v, 0.0)))),
            Test::And(a, b) => a.as_constant()?.zip(&b.as_constant()?, f64::min),
            Test::Or(a, b) => a.as_constant()?.zip(&b.as_constant()?, f64::max),
            Test::Not(a) => a.as_constant()?.map(|v| 1.0 - v),
        })
    }

    pub(super) fn each<'f>(&'f self, f: &mut dyn FnMut(&'f Polynomial)) {
        match self {
            Test::Compare(_, p) => f(p),
            Test::And(a, b) | Test::Or(a, b) => {
                a.each(f);
                b.each(f);
            }
            Test::Not(a) => a.each(f),
        }
    }
}
