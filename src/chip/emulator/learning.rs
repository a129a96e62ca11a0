//! The learning engine: sums of products over traces, bit for bit those of Lava's `LearningDense` ("bit approximate", lava-nc
//! 0.10.0). What it computes is Lava's; the silicon's own rounding and random numbers are not public.
//!
//! A second spike of one side within an epoch bumps its traces at once; the first of an epoch takes its place when the epoch ends.
//! Then traces are advanced step by step through the epoch, and every product reads them as they stood at the instant of its gate.
//! All synapses of a projection share one random number per draw.

use super::core::{Axon, Synapses};
use super::pcg::Pcg;
use crate::chip::fixed::{Gate, LearningRule, Product, Sign, SynapseFormat, Trace, TraceWrite, Variable};

/// What learns of one projection on one core.
pub(super) struct Learner {
    pub projection: u32,
    pub rule: u32,
    format: SynapseFormat,
    /// Weights stand still; traces and tags go on.
    pub frozen: bool,
    /// Axons, one for each source.
    axons: Vec<u32>,
    pub x: Vec<[i32; 2]>,
    /// Step of the epoch in which the source last fired; 0: not in this epoch.
    x_time: Vec<u32>,
    /// Compartment to position among the targets.
    posts: Vec<Option<u32>>,
    /// Post traces that third factors and the host write, and what stands for a factor of 0.
    resting: [Option<i32>; 3],
    /// Some tag is below what a sum of 128ths holds, so the next step moves it even where nothing is added to it.
    beyond: bool,
    pub y: Vec<[i32; 3]>,
    y_time: Vec<u32>,
    x_random: TraceRandom,
    y_random: TraceRandom,
    rounding: Pcg,
    /// Sources that fired in this step, with the payload.
    arrivals: Vec<(u32, i32)>,
}

/// The two numbers that all traces of a side share until the next draw.
struct TraceRandom {
    decays: Pcg,
    impulses: Pcg,
    decay: f64,
    impulse: i32,
}

impl TraceRandom {
    fn new(seed: u64) -> TraceRandom {
        let (decays, impulses) = (Pcg::new(seed), Pcg::new(seed.wrapping_add(1)));
        let mut out = TraceRandom { decays, impulses, decay: 0.0, impulse: 0 };
        out.draw();
        out
    }

    fn draw(&mut self) {
        self.decay = self.decays.uniform();
        self.impulse = self.impulses.seven_bits();
    }
}

/// Lava seeds the rounding of weights with this, whatever the rule's seed is, and throws the first number away.
const ROUNDING_SEED: u64 = 2;

/// Traces of one side through an epoch: `[step][element]`, step 0 being the end of the epoch before.
type History<const N: usize> = Vec<Vec<[i32; N]>>;

/// Bounds of a product and of a sum.
const SUM: std::ops::RangeInclusive<i32> = -32_769..=32_767;

impl Learner {
    pub(super) fn new(projection: u32, rule: u32, format: SynapseFormat, of: &LearningRule) -> Learner {
        let mut rounding = Pcg::new(ROUNDING_SEED);
        rounding.uniform();
        Learner {
            projection,
            rule,
            format,
            frozen: false,
            axons: vec![],
            x: vec![],
            x_time: vec![],
            posts: vec![],
            resting: of.y.map(|trace| trace.resting),
            beyond: false,
            y: vec![],
            y_time: vec![],
            x_random: TraceRandom::new(of.seed),
            y_random: TraceRandom::new(of.seed.wrapping_add(2)),
            rounding,
            arrivals: vec![],
        }
    }

    /// Adds a source with the targets of its axon; gives its number.
    pub(super) fn source(&mut self, axon: u32, targets: &[u32]) -> u32 {
        self.axons.push(axon);
        self.x.push([0; 2]);
        self.x_time.push(0);
        for t in targets {
            let t = *t as usize;
            if self.posts.len() <= t {
                self.posts.resize(t + 1, None);
            }
            if self.posts[t].is_none() {
                self.posts[t] = Some(self.y.len() as u32);
                self.y.push(self.resting.map(Option::unwrap_or_default));
                self.y_time.push(0);
            }
        }
        self.axons.len() as u32 - 1
    }

    pub(super) fn post_of(&self, compartment: u32) -> Option<usize> {
        self.posts.get(compartment as usize).copied().flatten().map(|k| k as usize)
    }

    /// What the spikes of a compartment left behind is gone. Third factors are not its own.
    pub(super) fn forget(&mut self, compartment: u32) {
        if let Some(k) = self.post_of(compartment) {
            for (trace, _) in self.y[k].iter_mut().zip(self.resting).filter(|(_, resting)| resting.is_none()) {
                *trace = 0;
            }
            self.y_time[k] = 0;
        }
    }

    /// Sets a trace that third factors write to its resting value plus `value`; gives whether there is one.
    pub(super) fn third_factor(&mut self, compartment: u32, trace: u32, value: i32) -> bool {
        let resting = self.resting.get(trace as usize).copied().flatten();
        let (Some(k), Some(resting)) = (self.post_of(compartment), resting) else { return false };
        self.y[k][trace as usize] = resting.saturating_add(value).clamp(0, 127);
        true
    }

    /// The same for the source of an axon.
    pub(super) fn forget_source(&mut self, source: u32) {
        (self.x[source as usize], self.x_time[source as usize]) = ([0; 2], 0);
    }

    /// A spike of a source in this step.
    pub(super) fn arrived(&mut self, source: u32, payload: i32) {
        self.arrivals.push((source, payload));
    }

    /// Takes in the presynaptic spikes of step `t`.
    pub(super) fn before_posts(&mut self, rule: &LearningRule, t: u64) {
        let now = epoch_step(t, rule.epoch);
        for (source, payload) in std::mem::take(&mut self.arrivals) {
            if payload == 0 {
                continue;
            }
            let k = source as usize;
            if self.x_time[k] > 0 {
                for (trace, of) in self.x[k].iter_mut().zip(&rule.x) {
                    *trace = impulse(*trace, 0, of);
                }
            }
            self.x_time[k] = now;
        }
        self.x_random.draw();
        self.y_random.draw();
    }

    /// A spike of a target in step `t`.
    pub(super) fn post_spike(&mut self, compartment: u32, rule: &LearningRule, t: u64) {
        let Some(k) = self.post_of(compartment) else { return };
        if self.y_time[k] > 0 {
            for (trace, of) in self.y[k].iter_mut().zip(&rule.y) {
                *trace = impulse(*trace, self.y_random.impulse, of);
            }
        }
        self.y_time[k] = epoch_step(t, rule.epoch);
    }

    pub(super) fn write(&mut self, write: &TraceWrite, neurons: &[u32]) {
        let at = self.posts.iter().zip(neurons).find(|(k, n)| k.is_some() && **n == write.neuron);
        if let (Some((Some(k), _)), true) = (at, write.trace < 3) {
            self.y[*k as usize][write.trace as usize] = write.value;
        }
    }

    /// Ends step `t`, and the epoch where it is its last. Gives the number of synapses gone over.
    pub(super) fn finish(&mut self, rule: &LearningRule, t: u64, axons: &[Axon], synapses: &mut Synapses) -> u64 {
        self.x_random.draw();
        self.y_random.draw();
        if !t.is_multiple_of(u64::from(rule.epoch)) {
            return 0;
        }
        let rounding = self.rounding.uniform();
        let x = history(&self.x, &self.x_time, &rule.x, rule.epoch, &self.x_random);
        let y = history(&self.y, &self.y_time, &rule.y, rule.epoch, &self.y_random);
        let often = (t / u64::from(rule.epoch)).is_multiple_of(1 << rule.k);
        let products = || rule.weight.iter().chain(&rule.delay).chain(&rule.tag);
        // Where no gate is open nothing is added, and nothing changes.
        let everywhere = self.beyond || often && products().any(|p| p.gate == Gate::U);
        let (targets, mut beyond) = (self.y_time.iter().any(|t| *t > 0), false);
        let mut done = 0;
        for (source, axon) in self.axons.iter().enumerate() {
            let range = axons[*axon as usize];
            done += (range.end - range.start) as u64;
            let whole = everywhere || self.x_time[source] > 0;
            if !(whole || targets) {
                continue;
            }
            for k in range.start..range.end {
                let post = self.post_of(synapses.target[k]).unwrap_or(0);
                if !(whole || self.y_time[post] > 0) {
                    continue;
                }
                let instant = Instant {
                    x: &x,
                    y: &y,
                    source,
                    post,
                    x_time: self.x_time[source],
                    y_time: self.y_time[post],
                    epoch: rule.epoch,
                    often,
                    weight: synapses.weight[k],
                    delay: synapses.learned_delay[k],
                    tag: synapses.tag[k],
                };
                let (low, high) = self.format.range();
                let bounds = match self.format.sign {
                    Sign::Mixed => SUM,
                    Sign::Excitatory => 0..=*SUM.end(),
                    Sign::Inhibitory => *SUM.start()..=0,
                };
                let weight = match self.frozen {
                    true => instant.weight,
                    false => instant.learn(instant.weight, &rule.weight, bounds, rounding).clamp(low, high),
                };
                let delay = instant.learn(instant.delay, &rule.delay, 0..=*SUM.end(), rounding).clamp(0, 255);
                let tag = instant.learn(instant.tag, &rule.tag, SUM, rounding).clamp(-257, 255);
                beyond |= tag << 7 < *SUM.start();
                (synapses.weight[k], synapses.learned_delay[k], synapses.tag[k]) = (weight, delay, tag);
            }
        }
        self.beyond = beyond;
        if let Some(last) = x.into_iter().next_back() {
            self.x = last;
        }
        if let (Some(last), false) = (y.into_iter().next_back(), rule.three_factor) {
            self.y = last;
        }
        self.x_time.fill(0);
        self.y_time.fill(0);
        done
    }
}

/// Step within its epoch, 1 to its length.
fn epoch_step(t: u64, epoch: u32) -> u32 {
    let epoch = u64::from(epoch);
    (t.saturating_sub(1) % epoch + 1) as u32
}

fn impulse(trace: i32, random: i32, of: &Trace) -> i32 {
    (trace + of.impulse as i32 + i32::from(random < of.fraction as i32)).clamp(0, 127)
}

fn decay(trace: i32, of: &Trace, random: f64) -> i32 {
    let Some(factor) = of.decay else { return if of.resting.is_some() { trace } else { 0 } };
    let exact = f64::from_bits(factor) * f64::from(trace);
    exact.floor() as i32 + i32::from(random < exact - exact.floor())
}

fn history<const N: usize>(
    start: &[[i32; N]],
    times: &[u32],
    of: &[Trace; N],
    epoch: u32,
    random: &TraceRandom,
) -> History<N> {
    let mut out = vec![start.to_vec()];
    for n in 1..=epoch {
        let mut next = out[n as usize - 1].clone();
        for (traces, time) in next.iter_mut().zip(times) {
            for (trace, of) in traces.iter_mut().zip(of) {
                *trace = decay(*trace, of, random.decay);
                if *time == n {
                    *trace = impulse(*trace, random.impulse, of);
                }
            }
        }
        out.push(next);
    }
    out
}

/// A synapse at the end of an epoch, before anything of it changes.
struct Instant<'i> {
    x: &'i History<2>,
    y: &'i History<3>,
    source: usize,
    post: usize,
    x_time: u32,
    y_time: u32,
    epoch: u32,
    often: bool,
    weight: i32,
    delay: i32,
    tag: i32,
}

impl Instant<'_> {
    /// A variable with its products added, in 128ths, rounded by `random`.
    fn learn(&self, value: i32, products: &[Product], bounds: std::ops::RangeInclusive<i32>, random: f64) -> i32 {
        if products.is_empty() {
            return value;
        }
        let sum = products.iter().fold(value << 7, |sum, p| {
            let sum = sum + self.product(p);
            sum.clamp(*SUM.start(), *SUM.end())
        });
        let sum = sum.clamp(*bounds.start(), *bounds.end());
        let fraction = f64::from(sum.rem_euclid(128)) / 128.0;
        sum.div_euclid(128) + i32::from(random < fraction)
    }

    fn product(&self, p: &Product) -> i32 {
        let (open, at) = match p.gate {
            Gate::X0 => (self.x_time > 0, self.x_time),
            Gate::Y0 => (self.y_time > 0, self.y_time),
            Gate::U => (self.often, self.epoch),
        };
        let mut value = i32::from(open);
        // Four bits for the mantissa.
        let mut width = 4;
        for f in &p.factors {
            let bits = f.variable.width();
            width += bits;
            let sum = self.variable(f.variable, at as usize) + f.constant;
            let factor = if f.sign { sum.signum() } else { sum };
            value = value.wrapping_mul(factor.clamp(-(1 << bits), (1 << bits) - 1));
        }
        value = value.wrapping_mul(p.mantissa) >> width.saturating_sub(15).min(31);
        value = value.wrapping_shl((p.exponent + 7) as u32);
        value.clamp(*SUM.start(), *SUM.end())
    }

    fn variable(&self, v: Variable, at: usize) -> i32 {
        match v {
            Variable::X0 => i32::from(self.x_time > 0),
            Variable::X1 => self.x[at][self.source][0],
            Variable::X2 => self.x[at][self.source][1],
            Variable::Y0 => i32::from(self.y_time > 0),
            Variable::Y1 => self.y[at][self.post][0],
            Variable::Y2 => self.y[at][self.post][1],
            Variable::Y3 => self.y[at][self.post][2],
            Variable::W => self.weight,
            Variable::D => self.delay,
            Variable::T => self.tag,
            Variable::C => 0,
        }
    }
}
