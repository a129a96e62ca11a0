//! The whole prediction against numbers of the literature and of theory; circuits given as text.

use super::*;
use crate::base::{LoadError, Loader};
use crate::driver::{self, Options};

struct One(String);

impl Loader for One {
    fn resolve(&self, _: &str, _: &str) -> Result<String, LoadError> {
        Err(LoadError::NotFound)
    }

    fn folder(&self, _: &str) -> Option<Vec<String>> {
        None
    }

    fn text(&self, _: &str) -> Result<String, LoadError> {
        Ok(self.0.clone())
    }

    fn bytes(&self, _: &str) -> Result<Vec<u8>, LoadError> {
        Err(LoadError::NotFound)
    }
}

fn predicted(text: &str, set: &[(&str, &str)]) -> Prediction {
    let set = set.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    let out = driver::compile(&One(text.to_string()), "main.nsm", &Options { set, ..Options::default() });
    let unit = out.jobs.first().and_then(|j| j.units.first()).unwrap_or_else(|| panic!("{:?}", out.diagnostics));
    predict(&unit.network, unit.protocol.duration_hint_ms).unwrap()
}

fn hz(p: &Prediction, path: &str) -> f64 {
    p.populations.iter().find(|e| e.path == path).unwrap().rate * 1e3
}

/// Brunel (2000), model A: the roots of the self-consistent equation in three of its states.
#[test]
fn brunel_s_network_has_the_rates_of_its_theory() {
    let text = include_str!("../../examples/brunel.nsm");
    for (set, want) in [
        (&[][..], 37.95),
        (&[("g", "6"), ("eta", "4")][..], 55.84),
        (&[("g", "4.5"), ("eta", "0.9")][..], 6.52),
    ] {
        let p = predicted(text, set);
        assert!(p.solved && p.stationary);
        for path in ["E", "I"] {
            // The roots are given to four digits.
            assert!((hz(&p, path) - want).abs() < 1e-3 * want, "{set:?}: {} Hz, not {want}", hz(&p, path));
        }
    }
}
