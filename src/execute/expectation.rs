//! What `expect` found: one entry for each `expect` of the text, however often it was judged.

use crate::script::Value;
use crate::units::{Dimension, Unit, display};
use serde::{Deserialize, Serialize};

/// An `expect` with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    pub text: String,
    /// `file:line:column`
    pub place: String,
    /// Of `measured`.
    pub dimension: Dimension,
    /// How often it was judged, over loops and runs.
    pub judged: u64,
    pub failed: u64,
    /// How often there was nothing to judge, which is allowed in a part of an experiment only, as under `--quick`.
    pub skipped: u64,
    /// The value in the first judgement that failed; else the mean of all values where they are numbers, else the first one.
    pub measured: Option<Value>,
}

impl Expectation {
    /// An expectation that was skipped every time holds: nothing speaks against it.
    pub fn holds(&self) -> bool {
        self.failed == 0
    }

    /// Never judged, only skipped.
    pub fn was_skipped(&self) -> bool {
        self.judged == 0 && self.skipped > 0
    }

    /// The measured value as a reader likes it, with its unit.
    pub fn measured_text(&self) -> Option<String> {
        self.measured.as_ref().map(|v| value_text(v, self.dimension))
    }

    /// The measured value in the typical unit of its dimension (Hz, mV, ms), and that unit.
    pub fn measured_number(&self) -> Option<(f64, Unit)> {
        let unit = Unit::typical(self.dimension);
        match self.measured {
            Some(Value::Number(v)) if v.is_finite() => Some((unit.from_internal(v), unit)),
            _ => None,
        }
    }

    /// Takes in the same expectation, judged elsewhere.
    fn merge(&mut self, other: &Expectation) {
        self.measured = match (self.failed > 0, other.failed > 0) {
            (true, _) => self.measured.take(),
            (false, true) => other.measured.clone(),
            (false, false) => mean((self.judged, &self.measured), (other.judged, &other.measured)),
        };
        self.judged += other.judged;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

fn mean(a: (u64, &Option<Value>), b: (u64, &Option<Value>)) -> Option<Value> {
    match (a.1, b.1) {
        (Some(Value::Number(x)), Some(Value::Number(y))) => {
            let (n, m) = (a.0 as f64, b.0 as f64);
            // Equal values stay what they are to the last bit.
            Some(Value::Number(if x == y { *x } else { x + (y - x) * (m / (n + m)) }))
        }
        (Some(first), _) => Some(first.clone()),
        (None, other) => other.clone(),
    }
}

/// A value with its unit; long lists are cut.
pub fn value_text(value: &Value, dimension: Dimension) -> String {
    const SHOWN: usize = 8;
    match value {
        Value::Number(v) => display(*v, dimension),
        Value::List(items) => {
            let mut text: Vec<String> = items.iter().take(SHOWN).map(|v| value_text(v, dimension)).collect();
            if items.len() > SHOWN {
                text.push(format!("... ({} values)", items.len()));
            }
            format!("[{}]", text.join(", "))
        }
        other => other.to_string(),
    }
}

/// All expectations, in the order in which they were first judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    list: Vec<Expectation>,
}

impl Ledger {
    pub fn iter(&self) -> impl Iterator<Item = &Expectation> {
        self.list.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn all_hold(&self) -> bool {
        self.list.iter().all(Expectation::holds)
    }

    /// Adds one judgement or a whole entry. Two are the same if text and place agree.
    pub fn add(&mut self, entry: &Expectation) {
        match self.list.iter_mut().find(|e| e.place == entry.place && e.text == entry.text) {
            Some(known) => known.merge(entry),
            None => self.list.push(entry.clone()),
        }
    }

    pub fn extend(&mut self, other: &Ledger) {
        other.list.iter().for_each(|e| self.add(e));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(holds: bool, v: f64) -> Expectation {
        Expectation {
            text: "rate(E) > 1 Hz".into(),
            place: "a.nsm:3:5".into(),
            dimension: Dimension::RATE,
            judged: 1,
            failed: u64::from(!holds),
            skipped: 0,
            measured: Some(Value::Number(v)),
        }
    }

    #[test]
    fn where_all_hold_the_mean_is_told() {
        let mut ledger = Ledger::default();
        [0.002, 0.003, 0.007].iter().for_each(|v| ledger.add(&judged(true, *v)));
        let e = ledger.iter().next().unwrap();
        assert!(e.holds() && e.judged == 3);
        assert_eq!(e.measured_text().unwrap(), "4 Hz");
        assert!((e.measured_number().unwrap().0 - 4.0).abs() < 1e-12);
    }

    #[test]
    fn where_one_fails_the_first_that_fails_is_told() {
        let mut ledger = Ledger::default();
        ledger.add(&judged(true, 0.002));
        ledger.add(&judged(false, 0.0005));
        ledger.add(&judged(false, 0.0001));
        ledger.add(&judged(true, 0.009));
        let e = ledger.iter().next().unwrap();
        assert!(!ledger.all_hold());
        assert_eq!((e.judged, e.failed), (4, 2));
        assert_eq!(e.measured_text().unwrap(), "0.5 Hz");
        // The same text at another place is another expectation.
        ledger.add(&Expectation { place: "a.nsm:9:5".into(), ..judged(true, 1.0) });
        assert_eq!(ledger.iter().count(), 2);
    }

    #[test]
    fn long_lists_are_cut() {
        let list = Value::List((0..20).map(|k| Value::Number(f64::from(k))).collect());
        assert_eq!(
            value_text(&list, Dimension::VOLTAGE),
            "[0 mV, 1 mV, 2 mV, 3 mV, 4 mV, 5 mV, 6 mV, 7 mV, ... (20 values)]"
        );
        assert_eq!(value_text(&Value::Mask(vec![true, false]), Dimension::NUMBER), "mask of 1 in 2");
    }
}
