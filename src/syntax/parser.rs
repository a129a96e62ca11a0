//! The generated parser and small helpers to walk what it gives.
//!
//! The grammar fixes the shape of every pair; the tree builder still asks for each part with `?`, so that a disagreement
//! between the two is an error with a code and never a panic.

use pest::iterators::Pairs;

#[derive(pest_derive::Parser)]
#[grammar = "grammar/nsm.pest"]
pub(super) struct NsmParser;

pub(super) type Pair<'i> = pest::iterators::Pair<'i, Rule>;

/// The parts of one pair in order; keywords and punctuation are stepped over unless asked for.
pub(super) struct Parts<'i>(Pairs<'i, Rule>);

impl<'i> Parts<'i> {
    pub(super) fn of(pair: Pair<'i>) -> Parts<'i> {
        Parts(pair.into_inner())
    }

    /// The next part, if it is a `rule`.
    pub(super) fn opt(&mut self, rule: Rule) -> Option<Pair<'i>> {
        while let Some(pair) = self.0.peek() {
            if pair.as_rule() == rule {
                self.0.next();
                return Some(pair);
            }
            if !is_mark(pair.as_rule()) {
                return None;
            }
            self.0.next();
        }
        None
    }

    /// The next part that is no keyword or punctuation.
    pub(super) fn any(&mut self) -> Option<Pair<'i>> {
        self.0.find(|pair| !is_mark(pair.as_rule()))
    }

    /// All parts of this rule that follow each other.
    pub(super) fn all(&mut self, rule: Rule) -> impl Iterator<Item = Pair<'i>> {
        std::iter::from_fn(move || self.opt(rule))
    }

    /// True if a keyword or mark of this rule is still ahead.
    pub(super) fn has(&self, rule: Rule) -> bool {
        self.0.clone().any(|pair| pair.as_rule() == rule)
    }
}

/// True for keywords and punctuation: the grammar lists them one after another (a test below holds it to that).
pub(super) fn is_mark(rule: Rule) -> bool {
    rule == Rule::EOI || (Rule::semi..=Rule::kw_within).contains(&rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_punctuation_are_one_run() {
        for rule in Rule::all_rules() {
            let name = format!("{rule:?}");
            if name.starts_with("kw_") {
                assert!(is_mark(*rule), "{name}");
            }
        }
        for rule in [Rule::file, Rule::name, Rule::expr, Rule::quantity, Rule::logic_op, Rule::minus] {
            assert!(!is_mark(rule), "{rule:?}");
        }
    }
}
