//! One core: its compartments, what is on its way to them, its synapses.

use super::learning::Learner;
use super::{Counters, Fault, Mode, Overflow, SynapseState};
use crate::chip::fixed::{LearningRule, TraceWrite};
use crate::chip::microcode::{Binary, Compare, Op, Operand, Place, Program, REGISTER_BITS};
use crate::chip::package::{AxonOut, Manifest};
use crate::random::{StreamKey, philox4x32_10};

pub(super) struct CoreState {
    pub number: u32,
    /// By compartment.
    pub neurons: Vec<u32>,
    pub profiles: Vec<u32>,
    pub axons_out: Vec<Vec<AxonOut>>,
    /// Where the state of each compartment begins, and the end of the last.
    pub state_start: Vec<usize>,
    pub state: Vec<i32>,
    /// What arrives: `[step mod slots][compartment][accumulator]`.
    pub ring: Vec<i64>,
    pub slots: u64,
    pub accumulators: usize,
    pub axons: Vec<Axon>,
    pub synapses: Synapses,
    pub learners: Vec<Learner>,
    pub noise: StreamKey,
    /// Packets of this step: axon, payload.
    pub inbox: Vec<(u32, i32)>,
    /// Spikes of this step: compartment, payload.
    pub outbox: Vec<(u32, i32)>,
    pub counters: Counters,
    pub scratch: Scratch,
    /// Sums of projections with negative exponents: (projection, slot, compartment), sum.
    pub pending: Vec<((u32, u64, u32), i64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Axon {
    pub projection: u32,
    /// Range among the synapses.
    pub start: usize,
    pub end: usize,
    /// Position among the learners and among the learner's sources.
    pub learner: Option<(u32, u32)>,
}

/// All synapses of a core, axon after axon.
#[derive(Default)]
pub(super) struct Synapses {
    pub target: Vec<u32>,
    pub weight: Vec<i32>,
    pub delay: Vec<u8>,
    /// Empty on a core where nothing learns.
    pub tag: Vec<i32>,
    pub learned_delay: Vec<i32>,
}

#[derive(Default)]
pub(super) struct Scratch {
    state: Vec<i64>,
    locals: Vec<i64>,
}

const LIMIT_24: i64 = (1 << 23) - 1;

impl CoreState {
    pub(super) fn state_of(&self, compartment: u32) -> &[i32] {
        let k = compartment as usize;
        &self.state[self.state_start[k]..self.state_start[k + 1]]
    }

    pub(super) fn synapses_of(&self, axon: u32, projection: u32, source: u32, out: &mut Vec<SynapseState>) {
        let axon = self.axons[axon as usize];
        if axon.projection != projection {
            return;
        }
        let s = &self.synapses;
        out.extend((axon.start..axon.end).map(|k| SynapseState {
            source,
            target: self.neurons[s.target[k] as usize],
            delay: u32::from(s.delay[k]),
            weight: s.weight[k],
            tag: s.tag.get(k).copied().unwrap_or(0),
            learned_delay: s.learned_delay.get(k).copied().unwrap_or(0),
        }));
    }

    pub(super) fn pre_trace(&self, axon: u32, projection: u32) -> Option<[i32; 2]> {
        let axon = self.axons[axon as usize];
        let (learner, source) = axon.learner.filter(|_| axon.projection == projection)?;
        Some(self.learners[learner as usize].x[source as usize])
    }

    pub(super) fn post_trace(&self, compartment: u32, projection: u32) -> Option<[i32; 3]> {
        let learner = self.learners.iter().find(|l| l.projection == projection)?;
        learner.post_of(compartment).map(|k| learner.y[k])
    }

    /// Runs every compartment's program for step `t`.
    pub(super) fn update(
        &mut self,
        t: u64,
        mode: Mode,
        manifest: &Manifest,
        programs: &[Program],
    ) -> Result<(), Fault> {
        self.outbox.clear();
        let width = self.neurons.len() * self.accumulators;
        let slot = (t % self.slots) as usize * width;
        for k in 0..self.neurons.len() {
            let profile = &manifest.profiles[self.profiles[k] as usize];
            let program = &programs[profile.program as usize];
            let at = slot + k * self.accumulators;
            let mut machine = Machine {
                program,
                params: &profile.params,
                arrived: &mut self.ring[at..at + self.accumulators],
                scratch: &mut self.scratch,
                mode,
                flag: false,
                spike: None,
                draws: 0,
                draw: Draw { key: self.noise, neuron: self.neurons[k], step: t },
                operations: 0,
            };
            let state = &mut self.state[self.state_start[k]..self.state_start[k + 1]];
            let (core, neuron) = (self.number, self.neurons[k]);
            let spike = machine.run(state).map_err(|what| Fault { core, neuron, step: t, what })?;
            self.counters.operations += machine.operations;
            if let Some(payload) = spike {
                let widest = 1_i64 << (manifest.target.numbers.payload_bits.clamp(1, 32) - 1);
                // A plain spike carries nothing, so any width holds it.
                if mode == Mode::Strict && payload != 1 && !(-widest..widest).contains(&i64::from(payload)) {
                    return Err(Fault { core, neuron, step: t, what: Overflow::Payload });
                }
                self.outbox.push((k as u32, payload));
            }
        }
        self.ring[slot..slot + width].fill(0);
        self.counters.updates += self.neurons.len() as u64;
        self.counters.spikes += self.outbox.len() as u64;
        Ok(())
    }

    /// Takes in the packets of step `t`.
    pub(super) fn deliver(&mut self, t: u64, manifest: &Manifest) {
        let inbox = std::mem::take(&mut self.inbox);
        let (slots, compartments) = (self.slots, self.neurons.len());
        for (number, payload) in &inbox {
            let axon = self.axons[*number as usize];
            let projection = &manifest.projections[axon.projection as usize];
            let graded = manifest.populations[projection.source as usize].graded;
            // A population without payloads sends ones.
            let value = if graded { i64::from(*payload) } else { 1 };
            let format = projection.format;
            if let Some(trace) = format.third_factor {
                self.counters.third_factors += 1;
                for target in &self.synapses.target[axon.start..axon.end] {
                    let payload = i32::try_from(value).unwrap_or(i32::MAX);
                    self.learners.iter_mut().for_each(|l| _ = l.third_factor(*target, trace, payload));
                }
                self.counters.synaptic_operations += (axon.end - axon.start) as u64;
                continue;
            }
            for k in axon.start..axon.end {
                let s = &self.synapses;
                let slot = (t + 1 + u64::from(s.delay[k])) % slots;
                let term = i64::from(s.weight[k]) * value;
                if format.exponent < 0 {
                    self.pending.push(((axon.projection, slot, s.target[k]), term));
                } else {
                    let cell = slot as usize * compartments + s.target[k] as usize;
                    let at = cell * self.accumulators + format.accumulator as usize;
                    self.ring[at] = self.ring[at].wrapping_add(term << format.exponent);
                }
            }
            self.counters.synaptic_operations += (axon.end - axon.start) as u64;
            if let Some((learner, source)) = axon.learner {
                self.learners[learner as usize].arrived(source, *payload);
            }
        }
        self.counters.packets_in += inbox.len() as u64;
        self.inbox = inbox;
        self.inbox.clear();
        self.shift_sums(manifest);
    }

    /// Adds the sums whose exponent is negative: the shift comes after the summation.
    fn shift_sums(&mut self, manifest: &Manifest) {
        self.pending.sort_unstable_by_key(|(key, _)| *key);
        for group in self.pending.chunk_by(|a, b| a.0 == b.0) {
            let (projection, slot, target) = group[0].0;
            let sum = group.iter().fold(0_i64, |sum, (_, term)| sum.wrapping_add(*term));
            let format = manifest.projections[projection as usize].format;
            let cell = slot as usize * self.neurons.len() + target as usize;
            let at = cell * self.accumulators + format.accumulator as usize;
            self.ring[at] = self.ring[at].wrapping_add(sum >> -format.exponent);
        }
        self.pending.clear();
    }

    /// Lets what learns on this core take in step `t`.
    pub(super) fn learn(&mut self, t: u64, rules: &[LearningRule], writes: &[TraceWrite]) {
        for learner in &mut self.learners {
            let rule = &rules[learner.rule as usize];
            learner.before_posts(rule, t);
            for (compartment, _) in &self.outbox {
                learner.post_spike(*compartment, rule, t);
            }
            let projection = learner.projection;
            for w in writes.iter().filter(|w| w.projection == projection) {
                learner.write(w, &self.neurons);
            }
            self.counters.learning_operations += learner.finish(rule, t, &self.axons, &mut self.synapses);
        }
    }
}

/// A program at work on one compartment.
struct Machine<'m> {
    program: &'m Program,
    params: &'m [i32],
    arrived: &'m mut [i64],
    scratch: &'m mut Scratch,
    mode: Mode,
    flag: bool,
    spike: Option<i32>,
    draws: u32,
    draw: Draw,
    operations: u64,
}

struct Draw {
    key: StreamKey,
    neuron: u32,
    step: u64,
}

impl Draw {
    fn bits(&self, number: u32, bits: u8) -> i64 {
        let counter = [self.neuron, number, self.step as u32, (self.step >> 32) as u32];
        let word = philox4x32_10(counter, self.key.words())[0];
        i64::from(word) >> (32 - u32::from(bits.clamp(1, 32)))
    }
}

impl Machine<'_> {
    fn run(&mut self, state: &mut [i32]) -> Result<Option<i32>, Overflow> {
        self.scratch.state.clear();
        self.scratch.state.extend(state.iter().map(|v| i64::from(*v)));
        self.scratch.locals.clear();
        self.scratch.locals.resize(self.program.locals.len(), 0);
        let ops = &self.program.ops;
        let mut at = 0;
        while let Some(op) = ops.get(at) {
            at += 1 + self.execute(*op)?;
            self.operations += 1;
        }
        for (k, (word, value)) in state.iter_mut().zip(&self.scratch.state).enumerate() {
            let bits = self.program.states[k].bits;
            let limit = 1_i64 << (bits - 1);
            if self.mode == Mode::Strict && !(-limit..limit).contains(value) {
                return Err(Overflow::State(k as u32));
            }
            *word = *value as i32;
        }
        Ok(self.spike)
    }

    fn get(&self, operand: Operand) -> i64 {
        match operand {
            Operand::State(k) => self.scratch.state[usize::from(k)],
            Operand::Local(k) => self.scratch.locals[usize::from(k)],
            Operand::Param(k) => i64::from(self.params[usize::from(k)]),
            Operand::Number(n) => i64::from(n),
        }
    }

    fn set(&mut self, place: Place, value: i128) -> Result<(), Overflow> {
        let limit = 1_i128 << (REGISTER_BITS - 1);
        let value = match (-limit..limit).contains(&value) {
            true => value as i64,
            false if self.mode == Mode::Strict => return Err(Overflow::Register),
            false => ((value << (128 - REGISTER_BITS)) >> (128 - REGISTER_BITS)) as i64,
        };
        match place {
            Place::State(k) => self.scratch.state[usize::from(k)] = value,
            Place::Local(k) => self.scratch.locals[usize::from(k)] = value,
        }
        Ok(())
    }

    /// Gives the number of operations to leave out.
    fn execute(&mut self, op: Op) -> Result<usize, Overflow> {
        match op {
            Op::ReadClear { to, accumulator } => {
                let value = std::mem::take(&mut self.arrived[usize::from(accumulator)]);
                self.set(to, i128::from(value))?;
            }
            // The words are at hand; opening them is what the chip is charged for.
            Op::Open { .. } => {}
            Op::Move { to, a } => self.set(to, i128::from(self.get(a)))?,
            Op::Negate { to, a } => self.set(to, -i128::from(self.get(a)))?,
            Op::Select { to, a, b } => self.set(to, i128::from(self.get(if self.flag { a } else { b })))?,
            Op::Binary { op, to, a, b } => {
                let (a, b) = (self.get(a), self.get(b));
                let value = match op {
                    Binary::Add => a + b,
                    Binary::And => a & b,
                    Binary::Or => a | b,
                    Binary::Min => a.min(b),
                };
                self.set(to, i128::from(value))?;
            }
            Op::ShiftLeft { to, a, by } => self.set(to, i128::from(self.get(a)) << by)?,
            Op::MulShift { to, a, b, by } => {
                let product = i128::from(self.get(a)) * i128::from(self.get(b));
                let magnitude = (product.unsigned_abs() >> by) as i128;
                self.set(to, if product < 0 { -magnitude } else { magnitude })?;
            }
            Op::Compare { op, a, b } => {
                let (a, b) = (self.get(a), self.get(b));
                self.flag = match op {
                    Compare::Lt => a < b,
                    Compare::Ge => a >= b,
                    Compare::Eq => a == b,
                };
            }
            Op::Skip { when, by, .. } => return Ok(if self.flag == when { usize::from(by) } else { 0 }),
            Op::Spike { payload } => self.spike = Some(self.get(payload) as i32),
            Op::Wrap24 { at } => {
                let v = self.get(at.into());
                let edge = LIMIT_24 + 1;
                let wrapped = if v > edge {
                    v - 2 * edge
                } else if v <= -edge {
                    v + 2 * edge
                } else {
                    v
                };
                // 2^23 itself does not wrap in Lava, and leaves 24 bits all the same.
                if self.mode == Mode::Strict && (wrapped != v || v == edge) {
                    return Err(Overflow::Wrap24);
                }
                self.set(at, i128::from(wrapped))?;
            }
            Op::Clip24 { at } => {
                let v = self.get(at.into());
                let clipped = v.clamp(-LIMIT_24, LIMIT_24);
                if self.mode == Mode::Strict && clipped != v {
                    return Err(Overflow::Clip24);
                }
                self.set(at, i128::from(clipped))?;
            }
            Op::Random { to, bits } => {
                let value = self.draw.bits(self.draws, bits);
                self.draws += 1;
                self.set(to, i128::from(value))?;
            }
        }
        Ok(0)
    }
}
