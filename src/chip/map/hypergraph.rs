//! The problem as the partitioner sees it: units (atomic groups, or single neurons) and nets (out-lists over units). Rates are
//! whole numbers here, so that sums do not depend on their order and what was undone leaves no trace.

use super::problem::Problem;
use super::resource::{Resource, Usage};
use crate::chip::target::{SynapseMemory, Target};

/// No unit, no core.
pub(super) const NONE: u32 = u32::MAX;

/// One spike per step.
pub(super) const ONE: f64 = 1048576.0;

/// Word counts of lists up to this length are tabulated.
const TABLE: u64 = 1024;

pub(super) struct Hypergraph {
    /// Unit of each neuron; [`NONE`] of those that the host plays in.
    pub unit_of: Vec<u32>,
    /// What each unit takes of any core: compartments, states, axons to the host.
    pub fixed: Vec<Usage>,
    pub domain: Vec<u32>,
    /// Shared things that a unit needs.
    pub items: Csr<u32>,
    /// What having an item takes of a core.
    pub item_cost: Vec<(Resource, u64)>,
    /// Summed rate of the unit's neurons.
    pub spikes: Vec<u64>,
    pub compartments: Vec<u64>,
    /// Nets that the unit drives.
    pub owned: Csr<u32>,
    /// Nets that reach the unit, with the number of synapses.
    pub inputs: Csr<(u32, u32)>,
    /// Units that a net reaches.
    pub pins: Csr<u32>,
    /// Synapses of each pin, in the order of `pins`.
    many: Vec<u32>,
    pub net: Vec<Net>,
    pub formats: Vec<NetFormat>,
    pub memory: SynapseMemory,
}

/// What is asked of a net together, so that it is fetched together.
#[derive(Clone, Copy)]
pub(super) struct Net {
    /// Packets per step that it sends to each core, at least 1.
    pub weight: u64,
    /// Where its pins begin.
    pub start: usize,
    /// Unit that drives it, or [`NONE`].
    pub owner: u32,
    pub format: u16,
}

/// What a core needs for a list.
pub(super) struct NetFormat {
    bits: u32,
    words: Vec<u32>,
    pub trace_bytes: u64,
    /// Items: the format itself, its rule.
    pub items: Vec<u32>,
}

/// Rows of different lengths.
pub(super) struct Csr<T> {
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T: Copy> Csr<T> {
    pub fn row(&self, i: u32) -> &[T] {
        &self.values[self.starts[i as usize]..self.starts[i as usize + 1]]
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    fn new() -> Csr<T> {
        Csr { starts: vec![0], values: Vec::new() }
    }

    fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.starts.push(self.values.len());
    }

    /// Rows from (row, value) pairs in any order, which each row keeps.
    fn from_pairs(rows: usize, zero: T, pairs: impl Iterator<Item = (u32, T)> + Clone) -> Csr<T> {
        let mut starts = vec![0; rows + 1];
        pairs.clone().for_each(|(row, _)| starts[row as usize + 1] += 1);
        for i in 0..rows {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut values = vec![zero; starts[rows]];
        for (row, value) in pairs {
            values[next[row as usize]] = value;
            next[row as usize] += 1;
        }
        Csr { starts, values }
    }
}

/// A rate as a whole number; silent neurons count a little, so that their lists too lie together.
pub(super) fn weight(rate: f64) -> u64 {
    ((rate * ONE).round() as u64).max(1)
}

impl Hypergraph {
    pub fn new(problem: &Problem, target: &Target) -> Hypergraph {
        let (unit_of, count) = units(problem);
        let (programs, profiles, formats) = (problem.programs.len(), problem.profiles.len(), problem.formats.len());
        let rules = problem.formats.iter().filter_map(|f| f.rule).max().map_or(0, |r| r as usize + 1);
        let mut item_cost: Vec<_> =
            problem.programs.iter().map(|p| (Resource::ProgramWords, u64::from(p.words))).collect();
        item_cost.extend(std::iter::repeat_n((Resource::Profiles, 1), profiles));
        item_cost.extend(std::iter::repeat_n((Resource::Formats, 1), formats));
        item_cost.extend(std::iter::repeat_n((Resource::Rules, 1), rules));
        let net_formats = problem.formats.iter().enumerate().map(|(i, f)| {
            let rule = f.rule.map(|r| (programs + profiles + formats) as u32 + r);
            let words =
                (0..=TABLE).map(|n| u32::try_from(target.synapse.words(n, f.bits)).unwrap_or(u32::MAX)).collect();
            let items = std::iter::once((programs + profiles + i) as u32).chain(rule).collect();
            NetFormat { bits: f.bits, words, trace_bytes: u64::from(f.trace_bytes), items }
        });
        let mut h = Hypergraph {
            fixed: vec![Usage::default(); count],
            domain: vec![0; count],
            items: Csr::new(),
            item_cost,
            spikes: vec![0; count],
            compartments: vec![0; count],
            owned: Csr::new(),
            inputs: Csr::new(),
            pins: Csr::new(),
            many: Vec::new(),
            net: Vec::with_capacity(problem.fans.len()),
            formats: net_formats.collect(),
            memory: target.synapse,
            unit_of,
        };
        h.fill_units(problem, count);
        h.fill_nets(problem, count);
        h
    }

    pub fn units(&self) -> u32 {
        self.fixed.len() as u32
    }

    pub fn nets(&self) -> u32 {
        self.net.len() as u32
    }

    /// Words of a list of `synapses` synapses of net `net`.
    pub fn words(&self, net: u32, synapses: u64) -> u64 {
        let format = &self.formats[usize::from(self.net[net as usize].format)];
        match format.words.get(synapses as usize) {
            Some(words) => u64::from(*words),
            None => self.memory.words(synapses, format.bits),
        }
    }

    /// The fewest words that a synapse takes of a list with up to so many in a core, in `fine`th, rounded down: by format, by number. The
    /// last holds for all greater numbers.
    pub fn least_words(&self, fine: u64) -> Vec<Vec<u64>> {
        let of = |format: &NetFormat| {
            let mut least = u64::MAX;
            let each = format.words.iter().zip(0_u64..).map(|(words, n)| {
                least = least.min((fine * u64::from(*words)).checked_div(n).unwrap_or(u64::MAX));
                least
            });
            let mut each: Vec<u64> = each.collect();
            // A longer list has at least the bits of its synapses.
            each.push(least.min(fine * u64::from(format.bits) / u64::from(self.memory.word_bits)));
            each
        };
        self.formats.iter().map(of).collect()
    }

    /// Units that a net reaches, with the number of synapses.
    pub fn reached(&self, net: u32) -> impl Iterator<Item = (u32, u64)> {
        let many = &self.many[self.net[net as usize].start..];
        self.pins.row(net).iter().zip(many).map(|(unit, many)| (*unit, u64::from(*many)))
    }

    pub fn net_format(&self, net: u32) -> &NetFormat {
        &self.formats[usize::from(self.net[net as usize].format)]
    }

    fn fill_units(&mut self, problem: &Problem, count: usize) {
        let mut items = Vec::new();
        for (neuron, unit) in problem.neurons.iter().zip(&self.unit_of) {
            if *unit == NONE {
                continue;
            }
            let u = *unit as usize;
            let profile = &problem.profiles[neuron.profile as usize];
            self.fixed[u][Resource::Compartments] += u64::from(profile.compartments);
            self.fixed[u][Resource::StateBytes] += u64::from(profile.state_bytes);
            self.fixed[u][Resource::AxonsOut] += u64::from(neuron.observed);
            self.domain[u] = problem.groups[neuron.group as usize].domain;
            self.spikes[u] += weight(neuron.rate);
            self.compartments[u] += u64::from(profile.compartments);
            items.push((*unit, profile.program));
            items.push((*unit, problem.programs.len() as u32 + neuron.profile));
        }
        items.sort_unstable();
        items.dedup();
        self.items = Csr::from_pairs(count, 0, items.iter().copied());
    }

    fn fill_nets(&mut self, problem: &Problem, count: usize) {
        let mut row = Vec::new();
        for fan in 0..problem.fans.len() {
            let source = problem.fans.source[fan] as usize;
            self.net.push(Net {
                weight: weight(problem.neurons[source].rate),
                start: self.pins.len(),
                owner: self.unit_of[source],
                format: problem.fans.format[fan],
            });
            row.clear();
            row.extend(problem.fans.targets_of(fan).iter().map(|t| self.unit_of[*t as usize]));
            row.sort_unstable();
            let runs = row.chunk_by(|a, b| a == b);
            let many = &mut self.many;
            self.pins.push(runs.map(|run| {
                many.push(run.len() as u32);
                run[0]
            }));
        }
        let (pins, many, nets) = (&self.pins, &self.many, &self.net);
        let pairs = (0..problem.fans.len() as u32).flat_map(|net| {
            let start = nets[net as usize].start;
            pins.row(net).iter().enumerate().map(move |(i, unit)| (*unit, (net, many[start + i])))
        });
        self.inputs = Csr::from_pairs(count, (0, 0), pairs);
        let owners = (0_u32..).zip(&self.net).filter(|(_, n)| n.owner != NONE).map(|(net, n)| (n.owner, net));
        self.owned = Csr::from_pairs(count, 0, owners);
    }
}

/// Numbers the units in the order of their first neuron.
fn units(problem: &Problem) -> (Vec<u32>, usize) {
    let mut of_group = vec![NONE; problem.groups.len()];
    let mut count = 0;
    let unit_of = problem.neurons.iter().map(|neuron| {
        let group = neuron.group as usize;
        if neuron.host {
            NONE
        } else if problem.groups[group].atomic && of_group[group] != NONE {
            of_group[group]
        } else {
            of_group[group] = count;
            count += 1;
            count - 1
        }
    });
    let unit_of = unit_of.collect();
    (unit_of, count as usize)
}
