//! The way back and forth between a circuit's numbers and those of its package, for whoever drives a package while it runs.
//!
//! Params are folded into constants and words of a program. So what a written param becomes is found by lowering its population
//! anew: the program is the same, for it was made for [`Writes::live`], and words of neurons are what differs.

use super::dynamics::Lowered;
use super::factors::{self, Origin};
use super::weights;
use super::{lower, set, written};
use crate::backend::build::{Elements, Listed, PopulationElements, apply, elements, gains};
use crate::backend::{RunError, Setting};
use crate::chip::fixed::{SynapseFormat, Words};
use crate::chip::microcode::assemble;
use crate::chip::writes::Writes;
use crate::ir::{Network, Projection};
use crate::valid::Validated;
use std::cell::OnceCell;

/// A network as it was quantised, its params as they are now.
pub struct Deployment<'n> {
    network: &'n Network,
    writes: Writes,
    elements: Elements,
    /// Of each population, what one unit of what arrives was worth when the package was made.
    arrivals: Vec<OnceCell<Vec<f64>>>,
}

/// A post trace that the host writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThirdFactor {
    pub trace: u32,
    /// It came with an event, and one step in which the rule acts with time is to see it.
    pub event: bool,
    /// By cell, from the resting value; `None`: more than the trace holds.
    pub values: Vec<Option<i32>>,
}

/// How a population's states and params stand in the words of its neurons.
pub struct CellCode(Lowered);

/// How the weights of a projection stand as mantissas.
pub struct SynapseCode {
    accumulator: u32,
    /// Integers per unit of weight, at an exponent of 0.
    scale: f64,
    /// By target.
    gains: Vec<f64>,
}

impl<'n> Deployment<'n> {
    /// The same as what a package was made of with this seed.
    ///
    /// # Errors
    /// Elements that can't be built.
    pub fn new(network: Validated<'n>, seed: u64, writes: Writes) -> Result<Deployment<'n>, RunError> {
        let network = network.network();
        let elements = set(network, elements(network, seed)?, &writes.settings)?;
        let arrivals = vec![OnceCell::new(); elements.populations.len()];
        Ok(Deployment { network, writes, elements, arrivals })
    }

    pub fn network(&self) -> &'n Network {
        self.network
    }

    pub fn elements(&self, population: usize) -> &PopulationElements {
        &self.elements.populations[population]
    }

    /// Writes a param; [`Deployment::code`] gives what becomes of it.
    ///
    /// # Errors
    /// A param that can't be set.
    pub fn set(&mut self, setting: &Setting) -> Result<(), RunError> {
        let population = self.network.populations().nth(setting.population);
        match (population, self.elements.populations.get_mut(setting.population)) {
            (Some((_, p)), Some(built)) => apply(&p.dynamics, self.network.dt_ms, &mut built.params, p.size, setting),
            _ => Err(RunError::Build(format!("there is no population {}", setting.population))),
        }
    }

    /// The words of a population with its params as they are now, first of all as they were when the package was made; `None` where the
    /// host plays its spikes.
    ///
    /// # Errors
    /// In words, why a core can't compute with them.
    pub fn code(&self, population: usize) -> Result<Option<CellCode>, String> {
        let known = &self.arrivals[population];
        let arrivals = known.get().map_or(&[][..], Vec::as_slice);
        let lowered = lower(self.network, population, &self.elements, &self.writes, arrivals);
        let lowered =
            lowered.map_err(|refusals| refusals.into_iter().map(|r| r.what).collect::<Vec<_>>().join("; "))?;
        if let Some(first) = &lowered {
            known.get_or_init(|| first.arrivals.clone());
        }
        Ok(lowered.map(CellCode))
    }

    /// What the host writes for the rules of what learns onto a population, with its params as they are now.
    pub fn third_factors(&self, population: usize) -> Vec<ThirdFactor> {
        let Some((id, cells)) = self.network.populations().nth(population) else { return vec![] };
        let own = factors::factors(self.network).into_iter().filter(|f| f.target == id);
        let written = own.filter_map(|f| {
            let (value, event) = match f.origin {
                Origin::Host(value) => (value, false),
                Origin::Event(value) => (value, true),
                Origin::Modulator(_) => return None,
            };
            Some(ThirdFactor { trace: f.trace, event, values: written(cells, self.elements(population), value) })
        });
        written.collect()
    }

    /// How weights onto a population that `code` is of stand as mantissas; `None` where nothing ends at the receptor.
    pub fn synapses(&self, p: &Projection, target: usize, code: &CellCode) -> Option<SynapseCode> {
        let (accumulator, scale) = code.0.receptors.get(p.receptor as usize).copied().flatten()?;
        let (_, population) = self.network.populations().nth(target)?;
        Some(SynapseCode { accumulator, scale, gains: gains(p, population, self.elements(target)) })
    }
}

impl CellCode {
    /// Whether both are of one program that differs at most in words that belong to single neurons.
    pub fn fits(&self, other: &CellCode) -> bool {
        let (a, b) = (&self.0, &other.0);
        (&a.text, &a.params, &a.scales, &a.offsets) == (&b.text, &b.params, &b.scales, &b.offsets)
            && a.words.iter().map(|w| (&w.name, w.live)).eq(b.words.iter().map(|w| (&w.name, w.live)))
    }

    /// The program as a package lists it.
    ///
    /// # Errors
    /// In words, why it can't be assembled.
    pub fn program(&self) -> Result<String, String> {
        assemble(&self.0.text).map(|p| p.to_string()).map_err(|e| e.to_string())
    }

    /// Constants that all neurons share.
    pub fn params(&self) -> &[i32] {
        &self.0.params
    }

    /// Number of states of the model; their words come first.
    pub fn states(&self) -> usize {
        self.0.scales.len()
    }

    /// The word that counts refractory steps.
    pub fn refractory(&self) -> Option<usize> {
        self.0.refractory
    }

    /// The word that adds up a modulator's level.
    pub fn level(&self) -> Option<usize> {
        self.0.level
    }

    /// Whether it sends the level of a modulator, which are no spikes of the circuit.
    pub fn sends_levels(&self) -> bool {
        self.0.level.is_some() || self.0.told.is_some()
    }

    /// What its word of what a modulator has told cells brings to theirs.
    pub fn told(&self) -> Option<impl Fn(&dyn Fn(usize) -> i32) -> i32> {
        let told = self.0.told?;
        let start = self.0.states[told].at(0).unwrap_or_default();
        Some(move |word: &dyn Fn(usize) -> i32| (word(told) - start) * factors::HEARD)
    }

    /// Of the modulators that its cells follow, the words of what they have heard, by position among the coupled sums.
    pub fn heard(&self) -> impl Iterator<Item = (u32, usize)> {
        self.0.heard.iter().map(|(k, _, word)| (*k, *word))
    }

    /// The level of a modulator that its cells follow.
    pub fn level_heard(&self, coupled: u32, word: &dyn Fn(usize) -> i32) -> Option<f64> {
        let (_, start, at) = self.0.heard.iter().find(|(k, ..)| *k == coupled)?;
        Some(start + f64::from(word(*at)) / (factors::TOLD * f64::from(factors::HEARD)))
    }

    /// Words that the host writes: position in a neuron's state and values.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Words)> {
        let first = self.0.states.len() - self.0.words.len();
        let words = self.0.states[first..].iter().zip(&self.0.words).enumerate();
        words.filter(|(_, (_, w))| w.live).map(move |(k, (values, _))| (first + k, values))
    }

    /// The value of a state.
    pub fn value(&self, state: usize, word: i32) -> f64 {
        self.0.offsets[state] + f64::from(word) / self.0.scales[state]
    }

    /// The word of a state; `None` outside of its bits.
    pub fn word(&self, state: usize, value: f64) -> Option<i32> {
        let scaled = ((value - self.0.offsets[state]) * self.0.scales[state]).round();
        (scaled.abs() <= self.0.largest[state]).then_some(scaled as i32)
    }
}

impl SynapseCode {
    /// The weight of a mantissa, without the gain of its target.
    pub fn weight(&self, format: SynapseFormat, post: u32, mantissa: i32) -> f64 {
        let gain = self.gains[post as usize];
        let with = f64::from(mantissa) * 2_f64.powi(format.exponent) / self.scale;
        if gain == 0.0 { 0.0 } else { with / gain }
    }

    /// Weights as mantissas of an exponent that all fit in; of the format as it is where a rule changes them. Synapses as (source,
    /// target).
    ///
    /// # Errors
    /// In words, which weights have no exponent.
    pub fn mantissas(
        &self,
        p: &Projection,
        format: SynapseFormat,
        synapses: &[(u32, u32)],
        values: &[f64],
    ) -> Result<(SynapseFormat, Vec<i32>), String> {
        let real = synapses.iter().zip(values).map(|((pre, post), w)| Listed {
            pre: *pre,
            post: *post,
            weight: w * self.gains[*post as usize],
            delay: 1,
        });
        let real: Vec<Listed> = real.collect();
        if format.rule.is_some() {
            let unit = 2_f64.powi(format.exponent) / self.scale;
            return Ok((format, real.iter().map(|r| format.store((r.weight / unit).round() as i32)).collect()));
        }
        let (made, stored, _) = weights::quantise(p, &real, format.bits, self.accumulator, self.scale, 0.0)?;
        let format = SynapseFormat { sign: made.sign, exponent: made.exponent, ..format };
        Ok((format, stored.iter().map(|s| s.weight).collect()))
    }
}
