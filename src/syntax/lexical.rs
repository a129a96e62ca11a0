//! Word lists of LANGUAGE section 1: reserved words, unit symbols, and which words open an item where.
//!
//! The grammar spells the reserved words and the words that are never a unit itself; tests here keep both in step. The
//! unit symbols are here only to tell `5 mV/tau` from a compound unit: what a unit means is no business of this room.

/// Never a name, anywhere.
pub const RESERVED: [&str; 27] = [
    "and", "as", "at", "by", "crosses", "during", "else", "every", "false", "for", "from", "if", "in", "lasting",
    "not", "of", "off", "on", "or", "over", "then", "true", "until", "when", "where", "with", "within",
];

pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// A kind of body: which words open an item in it, and how messages call such an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    File,
    Model,
    Plasticity,
    Circuit,
    Experiment,
}

impl Body {
    pub const ALL: [Body; 5] = [Body::File, Body::Model, Body::Plasticity, Body::Circuit, Body::Experiment];

    pub fn openers(self) -> &'static [&'static str] {
        match self {
            Body::File => &[
                "use",
                "export",
                "let",
                "labels",
                "neuron",
                "source",
                "modulator",
                "environment",
                "plasticity",
                "region",
                "network",
                "sleep",
                "experiment",
            ],
            Body::Model => &[
                "param",
                "let",
                "needs",
                "state",
                "level",
                "noise",
                "event",
                "input",
                "output",
                "receptor",
                "spike",
                "refractory",
                "integrate",
                "every",
                "on",
                "compartment",
                "couple",
                "for",
            ],
            Body::Plasticity => &["param", "let", "needs", "pre", "post", "synapse", "weight", "on", "every", "regrow"],
            Body::Circuit => &[
                "param",
                "let",
                "labels",
                "needs",
                "dt",
                "event",
                "population",
                "projection",
                "matrix",
                "memory",
                "source",
                "modulator",
                "drive",
                "region",
                "sensor",
                "actuator",
                "port",
                "function",
                "for",
                "if",
            ],
            Body::Experiment => &[
                "param",
                "labels",
                "seeds",
                "sweep",
                "environment",
                "record",
                "plot",
                "conclude",
                "let",
                "var",
                "deliver",
                "remove",
                "simulate",
                "set",
                "update",
                "downscale",
                "plasticity",
                "expect",
                "reset",
                "sleep",
                "step",
                "emit",
                "measure",
                "for",
                "repeat",
                "if",
            ],
        }
    }

    pub fn opens(self, word: &str) -> bool {
        self.openers().contains(&word)
    }

    /// "a neuron": what the items of this body belong to.
    pub fn owner(self) -> &'static str {
        match self {
            Body::File => "the top level of a file",
            Body::Model => "a neuron, source, modulator or environment",
            Body::Plasticity => "a plasticity rule",
            Body::Circuit => "a network or region",
            Body::Experiment => "an experiment",
        }
    }
}

/// True for one factor of a unit without its power: `mV`, `%`, `deg`, `um`.
pub fn is_unit_symbol(word: &str) -> bool {
    const PLAIN: [&str; 5] = ["%", "min", "h", "deg", "degC"];
    const BASES: [&str; 15] = ["m", "s", "g", "A", "V", "Hz", "F", "S", "Ohm", "W", "J", "C", "K", "mol", "M"];
    const PREFIXES: [&str; 9] = ["f", "p", "n", "u", "\u{B5}", "\u{3BC}", "m", "c", "k"];
    const LARGE: [&str; 2] = ["M", "G"];
    PLAIN.contains(&word)
        || BASES.contains(&word)
        || PREFIXES.iter().chain(&LARGE).any(|p| word.strip_prefix(p).is_some_and(|base| BASES.contains(&base)))
}

/// True if every factor of `text` is a known unit with a plain power: `uF/cm^2`.
pub fn is_unit(text: &str) -> bool {
    !text.is_empty() && text.split(['*', '/']).all(is_unit_factor)
}

fn is_unit_factor(factor: &str) -> bool {
    let (symbol, power) = factor.split_once('^').unwrap_or((factor, "1"));
    let digits = power.strip_prefix('-').unwrap_or(power);
    is_unit_symbol(symbol) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Where the unit part of `text` ends if `text` starts with a known unit and goes on with something that is none:
/// `mV/tau` gives 2, `uF/cm^2` and `foo/bar` give `None`.
pub fn unit_overrun(text: &str) -> Option<usize> {
    let first = text.split(['*', '/', '^']).next().unwrap_or_default();
    if !is_unit_symbol(first) {
        // A misspelt unit; the unit check explains that better.
        return None;
    }
    let mut end = 0;
    for (k, factor) in text.split(['*', '/']).enumerate() {
        if !is_unit_factor(factor) {
            return Some(if k == 0 { first.len() } else { end });
        }
        end += factor.len() + usize::from(k > 0);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: &str = include_str!("../../grammar/nsm.pest");

    fn words_of_rule(rule: &str) -> Vec<String> {
        let start = GRAMMAR.find(&format!("\n{rule} ")).expect("the rule is in the grammar");
        let body = &GRAMMAR[start..];
        let body = &body[..body.find("~ !wc").expect("the rule ends in a word boundary")];
        let mut words: Vec<String> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        words.sort();
        words
    }

    #[test]
    fn reserved_words_are_those_of_the_grammar() {
        let mut sorted = RESERVED;
        sorted.sort_unstable();
        assert_eq!(sorted, RESERVED, "binary search needs the list sorted");
        assert_eq!(words_of_rule("reserved"), RESERVED);
    }

    /// PEG takes the first alternative that fits, so a word must not stand behind its own prefix.
    #[test]
    fn no_word_stands_behind_its_prefix() {
        for rule in ["reserved", "after_number"] {
            let start = GRAMMAR.find(&format!("\n{rule} ")).expect("the rule is in the grammar");
            let body = &GRAMMAR[start..];
            let body = &body[..body.find("~ !wc").expect("the rule ends in a word boundary")];
            let words: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
            for (k, word) in words.iter().enumerate() {
                for earlier in &words[..k] {
                    assert!(!word.starts_with(earlier), "`{earlier}` hides `{word}` in {rule}");
                }
            }
        }
    }

    #[test]
    fn no_opening_or_reserved_word_is_spelled_like_a_unit() {
        let after_number = words_of_rule("after_number");
        for word in after_number.iter().map(String::as_str).chain(RESERVED) {
            assert!(!is_unit_symbol(word), "{word}");
        }
        for body in Body::ALL {
            for word in body.openers() {
                let known = is_reserved(word) || after_number.iter().any(|w| w == word);
                assert!(known, "`1 {word}` would read {word} as a unit");
            }
        }
        let parts = [
            "active",
            "columns",
            "connect",
            "cycle",
            "delay",
            "dendritic",
            "exempt",
            "gain",
            "holds",
            "keep",
            "kick",
            "least",
            "mixed",
            "override",
            "periodic",
            "phase",
            "position",
            "procedural",
            "replay",
            "row",
            "symmetric",
            "trace",
            "weight",
            "window",
            "cycles",
            "after",
            "shown",
            "because",
        ];
        for word in parts {
            assert!(after_number.iter().any(|w| w == word), "`1 {word}` would read {word} as a unit");
        }
    }

    #[test]
    fn unit_symbols_and_overruns() {
        for good in ["mV", "uF", "\u{B5}m", "degC", "%", "kHz", "MOhm", "mol", "mM", "GOhm"] {
            assert!(is_unit_symbol(good), "{good}");
        }
        for bad in ["mv", "tau", "kmin", "", "x", "degF"] {
            assert!(!is_unit_symbol(bad), "{bad}");
        }
        assert_eq!(unit_overrun("mV/tau"), Some(2));
        assert_eq!(unit_overrun("mV/ms/tau"), Some(5));
        assert_eq!(unit_overrun("mV*2"), Some(2));
        assert_eq!(unit_overrun("mV^x"), Some(2));
        assert_eq!(unit_overrun("uF/cm^2"), None);
        assert_eq!(unit_overrun("mV^-1"), None);
        assert_eq!(unit_overrun("foo/bar"), None);
    }
}
