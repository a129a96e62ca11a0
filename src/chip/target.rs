//! A chip as figures: limits, memory layout, number formats and costs, each with a mark that says how well it is known.
//!
//! The figures stand in `targets/*.ron`. A user's file gives all figures, or takes a built-in target as `base` and replaces
//! some. Nothing else in the compiler knows a number of a chip.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use thiserror::Error;

/// How well a figure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Mark {
    /// Stands in a public source that was read.
    Confirmed,
    /// Found by running a public program against an implementation of our own.
    Verified,
    /// From a well known public document that was not at hand.
    Recalled,
    /// Derived from confirmed figures; the source gives the derivation.
    Inferred,
    /// Not public: a choice, to be replaced by who knows better.
    Assumed,
    /// What the paper that nsm follows states, right or wrong.
    Paper,
}

/// A number, how well it is known and where it comes from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// In the unit that its key names.
    pub value: f64,
    /// How well it is known.
    pub mark: Mark,
    /// Where it stands, or how it was derived.
    pub source: String,
}

/// The layout of cores on a chip. Slot s of a chip is core `s % cores_per_tile` of tile `s / cores_per_tile`, and tile k lies at
/// (k div height, k mod height), as in SANA-FE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// Cores that a program may use.
    pub cores: u32,
    /// Tiles from east to west.
    pub width: u32,
    /// Tiles from north to south.
    pub height: u32,
    /// Cores that share a router.
    pub cores_per_tile: u32,
    /// Chips of the largest system.
    pub chips: u32,
}

/// What one core holds at most. `None`: no such limit is known, or the chip has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// Compartments.
    pub compartments: u64,
    /// Bytes of state of one neuron.
    pub neuron_bytes: u64,
    /// Words of synapse memory.
    pub synapse_words: Option<u64>,
    /// Synapses, however stored.
    pub synapses: Option<u64>,
    /// Lists of synapses that packets are addressed to.
    pub axons_in: Option<u64>,
    /// Destinations of the core's own packets.
    pub axons_out: Option<u64>,
    /// Words of all programs.
    pub program_words: Option<u64>,
    /// Operations of one program.
    pub program_ops: u64,
    /// Dendritic accumulators of a neuron.
    pub accumulators: Option<u64>,
    /// Sets of constants that neurons share.
    pub profiles: Option<u64>,
    /// Layouts of synapse lists.
    pub formats: Option<u64>,
    /// Learning rules.
    pub rules: Option<u64>,
    /// Bytes of everything together.
    pub memory_bytes: Option<u64>,
    /// Bytes that an entry of the axon tables takes of these.
    pub axon_bytes: u64,
    /// Bytes that a word of a program takes of these.
    pub program_word_bytes: u64,
}

/// How a list of synapses lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynapseMemory {
    /// Bits of a word.
    pub word_bits: u32,
    /// Bits before each list, or each part of one.
    pub header_bits: u32,
    /// Bits that name the target within the core, at the least: a core with more compartments takes as many as it needs.
    pub index_bits: u32,
    /// Synapses after which a list starts anew in the next word; `None`: it never does.
    pub part: Option<u32>,
}

/// Ranges of the numbers that a program may load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// Bits of the mantissa of a weight, without its sign.
    pub weight_bits: u32,
    /// The smallest exponent that a list of weights shares.
    pub weight_exponent_min: i32,
    /// The largest.
    pub weight_exponent_max: i32,
    /// The longest delay, steps.
    pub delay_steps: u32,
    /// Bits of what a spike may carry, sign included.
    pub payload_bits: u32,
    /// Bits of a state, sign included.
    pub state_bits: u32,
    /// Bits of the mantissa of a bias, sign included.
    pub bias_bits: u32,
    /// The largest exponent of a bias.
    pub bias_exponent_max: u32,
    /// Bits of the mantissa of a threshold.
    pub threshold_bits: u32,
    /// The longest refractory time, steps.
    pub refractory_steps: u32,
}

/// What work costs, as far as placement and the balance of cores need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// pJ to send a packet.
    pub packet_pj: f64,
    /// pJ from tile to tile, east or west.
    pub hop_x_pj: f64,
    /// pJ from tile to tile, north or south.
    pub hop_y_pj: f64,
    /// pJ from chip to chip, beside the hop.
    pub chip_pj: f64,
    /// ns to update a neuron.
    pub neuron_ns: f64,
    /// ns to make a spike.
    pub spike_ns: f64,
    /// ns to send a packet.
    pub packet_out_ns: f64,
    /// ns to take a packet in.
    pub packet_in_ns: f64,
    /// ns to work off a synapse.
    pub synapse_ns: f64,
}

/// A chip.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What `--chip` calls it.
    pub name: String,
    /// Of the figures: it changes when one of them does.
    pub version: String,
    /// In a sentence.
    pub about: String,
    /// Every figure under its key, for reports.
    pub figures: BTreeMap<String, Figure>,
    /// The layout of cores.
    pub chip: Chip,
    /// The limits of one core.
    pub core: Core,
    /// How synapses are stored.
    pub synapse: SynapseMemory,
    /// Ranges of numbers.
    pub numbers: Numbers,
    /// Energies and times.
    pub costs: Costs,
}

/// What is wrong with a target file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {message}; {help}")]
pub struct TargetError {
    /// The file, as it was named.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
    /// The bytes of the text that the message is about.
    pub place: Range<usize>,
    /// What was found.
    pub message: String,
    /// What was expected, and what to try.
    pub help: String,
}

/// The version of the form of these files.
const FORM: u32 = 1;

const BUILT_IN: &[(&str, &str)] = &[
    ("loihi2", include_str!("../../targets/loihi2.ron")),
    ("loihi1", include_str!("../../targets/loihi1.ron")),
    ("nsm_paper", include_str!("../../targets/nsm_paper.ron")),
];

#[derive(Deserialize)]
#[serde(rename = "Target", deny_unknown_fields)]
struct File {
    form: u32,
    name: String,
    version: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    base: Option<String>,
    figures: BTreeMap<String, Figure>,
}

/// A key of `figures`, whether a file may leave it out, and the range of its value. All but energies and times are whole.
struct Key {
    name: &'static str,
    optional: bool,
    whole: bool,
    least: f64,
    most: f64,
}

const fn whole(name: &'static str, least: f64, most: f64) -> Key {
    Key { name, optional: false, whole: true, least, most }
}

const fn limit(name: &'static str) -> Key {
    Key { name, optional: true, whole: true, least: 1.0, most: 4294967295.0 }
}

const fn cost(name: &'static str) -> Key {
    Key { name, optional: false, whole: false, least: 0.0, most: 1e9 }
}

const KEYS: &[Key] = &[
    whole("chip.cores", 1.0, 65536.0),
    whole("chip.width", 1.0, 256.0),
    whole("chip.height", 1.0, 256.0),
    whole("chip.cores_per_tile", 1.0, 256.0),
    whole("chip.chips", 1.0, 65536.0),
    whole("core.compartments", 1.0, 4294967295.0),
    whole("core.neuron_bytes", 1.0, 4294967295.0),
    limit("core.synapse_words"),
    limit("core.synapses"),
    limit("core.axons_in"),
    limit("core.axons_out"),
    limit("core.program_words"),
    whole("core.program_ops", 1.0, 65536.0),
    limit("core.accumulators"),
    limit("core.profiles"),
    limit("core.formats"),
    limit("core.rules"),
    limit("core.memory_bytes"),
    whole("core.axon_bytes", 0.0, 4096.0),
    whole("core.program_word_bytes", 0.0, 4096.0),
    whole("synapse.word_bits", 8.0, 4096.0),
    whole("synapse.header_bits", 0.0, 4096.0),
    whole("synapse.index_bits", 0.0, 20.0),
    limit("synapse.part"),
    // A package keeps 8 bits of a mantissa and 6 of a delay.
    whole("number.weight_bits", 1.0, 8.0),
    whole("number.weight_exponent_min", -31.0, 0.0),
    whole("number.weight_exponent_max", 0.0, 31.0),
    whole("number.delay_steps", 0.0, 63.0),
    whole("number.payload_bits", 0.0, 32.0),
    whole("number.state_bits", 8.0, 32.0),
    whole("number.bias_bits", 1.0, 32.0),
    whole("number.bias_exponent_max", 0.0, 31.0),
    whole("number.threshold_bits", 1.0, 32.0),
    whole("number.refractory_steps", 0.0, 65535.0),
    cost("cost.packet_pj"),
    cost("cost.hop_x_pj"),
    cost("cost.hop_y_pj"),
    cost("cost.chip_pj"),
    cost("cost.neuron_ns"),
    cost("cost.spike_ns"),
    cost("cost.packet_out_ns"),
    cost("cost.packet_in_ns"),
    cost("cost.synapse_ns"),
];

impl Target {
    /// The names of the built-in targets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A built-in target by name.
    pub fn built_in(name: &str) -> Option<Target> {
        let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name)?;
        // A test reads each of them, so what is embedded parses.
        Target::parse(&format!("{name}.ron"), text).ok()
    }

    /// Reads the text of a target file.
    ///
    /// # Errors
    /// If the text is no RON of the form, has a figure that nothing reads or lacks one, or a value is out of its range.
    pub fn parse(file: &str, text: &str) -> Result<Target, Box<TargetError>> {
        let source = Source { file, text };
        let parsed: File = ron::from_str(text).map_err(|e| source.not_understood(&e))?;
        if parsed.form != FORM {
            let message = format!("the file has form {}, this program reads form {FORM}", parsed.form);
            return Err(source.fault(
                "form",
                message,
                format!("write `form: {FORM}` and check the keys against a built-in target"),
            ));
        }
        let mut figures = match &parsed.base {
            None => BTreeMap::new(),
            Some(base) => match Target::built_in(base) {
                Some(target) => target.figures,
                None => {
                    let message = format!("no built-in target is called `{base}`");
                    let names: Vec<_> = Target::names().collect();
                    return Err(source.fault("base", message, format!("they are {}", names.join(", "))));
                }
            },
        };
        for (name, figure) in &parsed.figures {
            source.check(name, figure)?;
        }
        figures.extend(parsed.figures.clone());
        if let Some(missing) = KEYS.iter().find(|k| !k.optional && !figures.contains_key(k.name)) {
            let message = format!("the figure `{}` is missing", missing.name);
            let help = "give it, or start from a built-in target: base: Some(\"loihi2\")".to_string();
            return Err(source.fault("figures", message, help));
        }
        let target = build(&parsed, figures);
        let slots =
            u64::from(target.chip.width) * u64::from(target.chip.height) * u64::from(target.chip.cores_per_tile);
        if u64::from(target.chip.cores) > slots {
            let message = format!("{} usable cores on a mesh that has {slots}", target.chip.cores);
            let help = "chip.cores is at most chip.width * chip.height * chip.cores_per_tile".to_string();
            return Err(source.fault("chip.cores", message, help));
        }
        Ok(target)
    }
}

/// The text that messages point into.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn check(&self, name: &str, figure: &Figure) -> Result<(), Box<TargetError>> {
        let Some(key) = KEYS.iter().find(|k| k.name == name) else {
            let near = KEYS.iter().min_by_key(|k| strsim::damerau_levenshtein(k.name, name));
            let help = near.map_or(String::new(), |k| format!("did you mean `{}`?", k.name));
            return Err(self.fault(name, format!("nothing reads a figure called `{name}`"), help));
        };
        let value = figure.value;
        if !(value >= key.least && value <= key.most) || (key.whole && value.fract() != 0.0) {
            let kind = if key.whole { "a whole number" } else { "a number" };
            let help = format!("it is {kind} within {} .. {}", key.least, key.most);
            return Err(self.fault(name, format!("`{name}` is {value}"), help));
        }
        if figure.source.trim().is_empty() {
            let help = "say in `source` where it stands or why it was chosen".to_string();
            return Err(self.fault(name, format!("`{name}` has no source"), help));
        }
        Ok(())
    }

    /// A fault at the first place that names `word`.
    fn fault(&self, word: &str, message: String, help: String) -> Box<TargetError> {
        let quoted = format!("\"{word}\"");
        let place = match (self.text.find(&quoted), self.text.find(&format!("{word}:"))) {
            (Some(at), _) => at..at + quoted.len(),
            (None, Some(at)) => at..at + word.len(),
            (None, None) => 0..0,
        };
        let before = &self.text[..place.start];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Box::new(TargetError { file: self.file.to_string(), line, column, place, message, help })
    }

    fn not_understood(&self, error: &ron::error::SpannedError) -> Box<TargetError> {
        let (line, column) = (error.span.start.line.max(1), error.span.start.col.max(1));
        let start: usize = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let rest = &self.text[start..];
        let at = start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(i, _)| i);
        Box::new(TargetError {
            file: self.file.to_string(),
            line,
            column,
            place: at..at,
            message: error.code.to_string(),
            help:
                "a target file is Target(form, name, version, about, base, figures: { \"key\": (value, mark, source) })"
                    .to_string(),
        })
    }
}

/// The typed form. Every required key is there and every value in its range.
fn build(file: &File, figures: BTreeMap<String, Figure>) -> Target {
    let get = |key: &str| figures.get(key).map(|f| f.value);
    let real = |key: &str| get(key).unwrap_or(0.0);
    let count = |key: &str| get(key).map(|v| v as u64);
    let u64_of = |key: &str| real(key) as u64;
    let u32_of = |key: &str| real(key) as u32;
    let i32_of = |key: &str| real(key) as i32;
    Target {
        name: file.name.clone(),
        version: file.version.clone(),
        about: file.about.clone(),
        chip: Chip {
            cores: u32_of("chip.cores"),
            width: u32_of("chip.width"),
            height: u32_of("chip.height"),
            cores_per_tile: u32_of("chip.cores_per_tile"),
            chips: u32_of("chip.chips"),
        },
        core: Core {
            compartments: u64_of("core.compartments"),
            neuron_bytes: u64_of("core.neuron_bytes"),
            synapse_words: count("core.synapse_words"),
            synapses: count("core.synapses"),
            axons_in: count("core.axons_in"),
            axons_out: count("core.axons_out"),
            program_words: count("core.program_words"),
            program_ops: u64_of("core.program_ops"),
            accumulators: count("core.accumulators"),
            profiles: count("core.profiles"),
            formats: count("core.formats"),
            rules: count("core.rules"),
            memory_bytes: count("core.memory_bytes"),
            axon_bytes: u64_of("core.axon_bytes"),
            program_word_bytes: u64_of("core.program_word_bytes"),
        },
        synapse: SynapseMemory {
            word_bits: u32_of("synapse.word_bits"),
            header_bits: u32_of("synapse.header_bits"),
            index_bits: u32_of("synapse.index_bits"),
            part: get("synapse.part").map(|v| v as u32),
        },
        numbers: Numbers {
            weight_bits: u32_of("number.weight_bits"),
            weight_exponent_min: i32_of("number.weight_exponent_min"),
            weight_exponent_max: i32_of("number.weight_exponent_max"),
            delay_steps: u32_of("number.delay_steps"),
            payload_bits: u32_of("number.payload_bits"),
            state_bits: u32_of("number.state_bits"),
            bias_bits: u32_of("number.bias_bits"),
            bias_exponent_max: u32_of("number.bias_exponent_max"),
            threshold_bits: u32_of("number.threshold_bits"),
            refractory_steps: u32_of("number.refractory_steps"),
        },
        costs: Costs {
            packet_pj: real("cost.packet_pj"),
            hop_x_pj: real("cost.hop_x_pj"),
            hop_y_pj: real("cost.hop_y_pj"),
            chip_pj: real("cost.chip_pj"),
            neuron_ns: real("cost.neuron_ns"),
            spike_ns: real("cost.spike_ns"),
            packet_out_ns: real("cost.packet_out_ns"),
            packet_in_ns: real("cost.packet_in_ns"),
            synapse_ns: real("cost.synapse_ns"),
        },
        figures,
    }
}

impl SynapseMemory {
    /// Words of a list of `synapses` synapses of `bits` bits each.
    #[must_use]
    pub fn words(&self, synapses: u64, bits: u32) -> u64 {
        let run = |n: u64| (n * u64::from(bits) + u64::from(self.header_bits)).div_ceil(u64::from(self.word_bits));
        match self.part.map(u64::from) {
            Some(part) => {
                let rest = synapses % part;
                (synapses / part) * run(part) + if rest > 0 { run(rest) } else { 0 }
            }
            None if synapses == 0 => 0,
            None => run(synapses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_targets_parse_and_mark_every_figure() {
        for name in Target::names() {
            let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name).expect("listed");
            let target = Target::parse(name, text).expect("parses");
            assert_eq!(target.name, name);
            assert!(target.figures.len() >= KEYS.iter().filter(|k| !k.optional).count());
        }
        let loihi2 = Target::built_in("loihi2").expect("built in");
        assert_eq!((loihi2.chip.cores, loihi2.core.compartments, loihi2.core.synapse_words), (120, 8192, Some(12000)));
        let loihi1 = Target::built_in("loihi1").expect("built in");
        assert_eq!((loihi1.core.compartments, loihi1.core.axons_in, loihi1.synapse.part), (1024, Some(4096), Some(63)));
        let paper = Target::built_in("nsm_paper").expect("built in");
        assert_eq!((paper.core.compartments, paper.core.synapses), (128, Some(131072)));
        assert_eq!(Target::built_in("loihi3"), None);
    }

    /// Published allocations of one axon at 7 and 8 bits of weight and 8 of index (lava-dl's logs).
    #[test]
    fn words_of_an_axon_are_the_published_ones() {
        let memory = Target::built_in("loihi2").expect("built in").synapse;
        let words = |n, weight_bits| memory.words(n, weight_bits + memory.index_bits);
        assert_eq!([words(1, 8), words(9, 8), words(10, 8), words(50, 8)], [1, 3, 3, 13]);
        assert_eq!([words(100, 7), words(100, 8)], [24, 26]);
    }

    /// nengo-loihi's `bits_per_axon`: parts of 63 synapses, 10 bits before each.
    #[test]
    fn loihi_1_starts_a_list_anew_after_63_synapses() {
        let memory = Target::built_in("loihi1").expect("built in").synapse;
        assert_eq!(memory.words(63, 18), (63 * 18 + 10u64).div_ceil(64));
        assert_eq!(memory.words(64, 18), (63 * 18 + 10u64).div_ceil(64) + 1);
        assert_eq!(memory.words(0, 18), 0);
    }

    fn fault(text: &str) -> TargetError {
        *Target::parse("mine.ron", text).expect_err("is wrong")
    }

    #[test]
    fn a_file_may_replace_figures_of_a_built_in_target() {
        let text = r#"Target(form: 1, name: "mine", version: "1", base: Some("loihi2"), figures: {
            "core.synapse_words": (value: 16000, mark: Assumed, source: "a guess"),
        })"#;
        let target = Target::parse("mine.ron", text).expect("parses");
        assert_eq!(target.core.synapse_words, Some(16000));
        assert_eq!(target.core.compartments, 8192);
        assert_eq!(target.figures["core.synapse_words"].mark, Mark::Assumed);
    }

    #[test]
    fn faults_name_the_place_and_what_to_try() {
        let head = "Target(form: 1, name: \"m\", version: \"1\", base: Some(\"loihi2\"), figures: {\n";
        let unknown = fault(&format!("{head}  \"core.synapse_word\": (value: 1, mark: Assumed, source: \"x\") }})"));
        assert_eq!((unknown.line, unknown.column), (2, 3));
        assert!(unknown.help.contains("core.synapse_words"), "{unknown}");
        let range = fault(&format!("{head}  \"core.compartments\": (value: 0.5, mark: Assumed, source: \"x\") }})"));
        assert!(range.to_string().contains("a whole number within 1 .. 4294967295"), "{range}");
        let source = fault(&format!("{head}  \"core.compartments\": (value: 5, mark: Assumed, source: \" \") }})"));
        assert!(source.message.contains("no source"), "{source}");
        let base = fault("Target(form: 1, name: \"m\", version: \"1\", base: Some(\"loihi9\"), figures: {})");
        assert!(base.help.contains("loihi1") && base.column > 1, "{base}");
        let missing = fault("Target(form: 1, name: \"m\", version: \"1\", figures: {})");
        assert!(missing.message.contains("chip.cores"), "{missing}");
        let form = fault("Target(form: 2, name: \"m\", version: \"1\", figures: {})");
        assert!(form.message.contains("form 2"), "{form}");
        let syntax = fault("Target(form: 1,\n  name: 3)");
        assert_eq!(syntax.line, 2, "{syntax}");
        let mesh = fault(&format!("{head}  \"chip.cores\": (value: 129, mark: Assumed, source: \"x\") }})"));
        assert!(mesh.message.contains("128"), "{mesh}");
    }
}
