//! Recordings as figures: SVG text, made by hand, that a paper can take as it is.
//!
//! Every function is pure and gives a whole file. Colours are Okabe and Ito's, which colour-blind readers can tell
//! apart; files stay below a megabyte however many spikes there are. Paths and labels come from users and are escaped.

// Ticks and shades of a figure: a last bit that differs between machines changes nothing that anyone computes with.
#![allow(clippy::disallowed_methods)]

mod axis;
mod curve;
mod heat;
mod isi;
mod raster;
mod rate;
mod svg;
mod trace;
mod weights;

use crate::record::{Neurons, PopulationSpikes, Recording, Window};

pub use curve::{Curve, Point, Series, curve};
pub use heat::{Square, heat};
pub use isi::isi;
pub use raster::raster;
pub use rate::rate;
pub use trace::{TraceSelection, trace};
pub use weights::weights;

/// What all figures have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub title: Option<String>,
    /// Width of the figure in px.
    pub width: f64,
    /// Height of the main panel in px; the figure adds titles and axes.
    pub height: f64,
    /// The steps `from .. to` to be shown; all of the run if not given.
    pub steps: Option<(u64, u64)>,
}

impl Default for Options {
    fn default() -> Options {
        Options { title: None, width: 760.0, height: 340.0, steps: None }
    }
}

impl Options {
    /// A width and a height that leave room for the axes.
    fn size(&self) -> (f64, f64) {
        let within = |v: f64, least: f64| if v.is_finite() { v.clamp(least, 10_000.0) } else { least };
        (within(self.width, 320.0), within(self.height, 60.0))
    }

    fn window(&self, recording: &Recording) -> Window {
        let (from, to) = self.steps.unwrap_or((0, recording.duration_steps));
        Window { from, to: to.max(from.saturating_add(1)), dt_ms: recording.dt_ms }
    }
}

/// Neurons of one population to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection<'a> {
    /// The population's path in the recording; one that was not recorded is left out.
    pub path: &'a str,
    /// What the figure calls it.
    pub label: &'a str,
    pub neurons: Neurons<'a>,
}

impl<'a> Selection<'a> {
    /// All neurons of a population, under its own path.
    pub fn all(path: &'a str) -> Selection<'a> {
        Selection { path, label: path, neurons: Neurons::All }
    }
}

/// A selection together with its spikes and its colour.
struct Shown<'a> {
    label: &'a str,
    spikes: &'a PopulationSpikes,
    neurons: &'a Neurons<'a>,
    color: &'static str,
}

impl Shown<'_> {
    fn cells(&self) -> usize {
        self.neurons.count(self.spikes.size)
    }
}

/// The selected populations that were recorded and have a neuron, in order.
fn shown<'a>(recording: &'a Recording, selection: &'a [Selection<'a>]) -> Vec<Shown<'a>> {
    selection
        .iter()
        .filter_map(|s| Some((s, recording.population(s.path)?)))
        .filter(|(s, p)| s.neurons.count(p.size) > 0)
        .enumerate()
        .map(|(k, (s, spikes))| Shown { label: s.label, spikes, neurons: &s.neurons, color: color(k) })
        .collect()
}

/// Okabe and Ito (2008), "Color Universal Design", with Tol's wine in place of the yellow that white paper swallows.
const PALETTE: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#595959", "#882255"];

fn color(k: usize) -> &'static str {
    PALETTE[k % PALETTE.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bernoulli trains with probability `p` per step of 0.1 ms, from a linear congruence (Knuth, MMIX).
    pub(super) fn noise(populations: &[(&str, u32)], steps: u64, p: f64) -> Recording {
        let mut state: u64 = 1;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 2_f64.powi(53)
        };
        let mut recording = Recording { dt_ms: 0.1, duration_steps: steps, ..Recording::default() };
        for (path, size) in populations {
            let mut spikes = PopulationSpikes::new(*path, *size);
            for step in 0..steps {
                (0..*size).filter(|_| draw() < p).for_each(|i| spikes.push(step, i));
            }
            recording.spikes.push(spikes);
        }
        recording
    }

    /// Tags are balanced, attributes quoted, and no number is NaN or infinite.
    pub(super) fn well_formed(text: &str) {
        let mut open = Vec::new();
        for piece in text.split('<').skip(1) {
            let (tag, rest) = piece.split_once('>').expect("a tag ends");
            assert!(!rest.contains('>'), "text is escaped: {rest}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name)),
                (false, true) => {}
                (false, false) => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?} not closed");
        assert!(!text.contains("NaN") && !text.contains("inf\"") && !text.contains("inf "), "a number is not finite");
    }

    #[test]
    fn colours_can_be_told_apart_and_repeat() {
        let mut all = PALETTE.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), PALETTE.len());
        assert_eq!(color(0), color(PALETTE.len()));
    }

    #[test]
    fn strange_sizes_are_figures() {
        let recording = noise(&[("E", 20)], 100, 0.1);
        for (width, height) in [(0.0, 0.0), (f64::NAN, -5.0), (1e12, f64::INFINITY)] {
            let options = Options { width, height, ..Options::default() };
            well_formed(&raster(&recording, &[Selection::all("E")], &options));
            well_formed(&rate(&recording, &[Selection::all("E")], &options));
        }
        let without_time = Recording { dt_ms: 0.0, ..recording };
        for steps in [None, Some((u64::MAX, 0)), Some((0, u64::MAX))] {
            let options = Options { steps, ..Options::default() };
            well_formed(&raster(&without_time, &[Selection::all("E")], &options));
            well_formed(&isi(&without_time, &[Selection::all("E")], &options));
        }
    }
}
