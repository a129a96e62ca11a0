//! Histograms of inter-spike intervals.

use crate::record::Recording;
use crate::record::statistics::{cv_isi, intervals};

use super::axis::{self, Panel, Scale, bottom_axis, left_axis, round_up};
use super::svg::{Anchor, Pen, Style, Svg};
use super::{Options, Selection, shown};

/// The share of inter-spike intervals per bin for each selected population, with its coefficient of variation.
///
/// The axis ends where 99 % of all intervals do; the rest count in the shares, but are not shown.
pub fn isi(recording: &Recording, selection: &[Selection], options: &Options) -> String {
    let shown = shown(recording, selection);
    let window = options.window(recording);
    let (width, height) = options.size();
    let each: Vec<Vec<f64>> = shown
        .iter()
        .map(|s| intervals(s.spikes, s.neurons, window).iter().map(|n| *n as f64 * window.dt_ms).collect())
        .collect();
    let mut all: Vec<f64> = each.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let most = all.get(all.len() * 99 / 100).copied().unwrap_or(1.0);
    // Fewer intervals carry fewer bins; a bin narrower than a step would only show the grid of steps.
    let bins = (all.len() as f64).sqrt().clamp(10.0, 60.0);
    let bin = round_up((most / bins).max(window.dt_ms));
    let count = (most / bin).ceil().max(1.0) as usize;

    let names: Vec<(String, &'static str)> = shown
        .iter()
        .map(|s| match cv_isi(s.spikes, s.neurons, window) {
            Some(cv) => (format!("{} (CV {cv:.2})", s.label), s.color),
            None => (s.label.to_string(), s.color),
        })
        .collect();
    let left = 62.0;
    let inner = width - left - 20.0;
    let legend_height = axis::legend_rows(&names, inner) as f64 * 17.0;
    let top = axis::title_height(options.title.as_deref()) + legend_height + 4.0;
    let panel = Panel { x: left, y: top, width: inner, height };
    let mut svg = Svg::new(width, panel.bottom() + 46.0);
    let under_title = axis::title(&mut svg, left, options.title.as_deref());
    axis::legend(&mut svg, &names, left, under_title - 4.0, inner);

    let shares: Vec<Vec<f64>> = each.iter().map(|values| histogram(values, bin, count)).collect();
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let x = Scale::new(0.0, bin * count as f64, panel.x, panel.right());
    let y = Scale::new(0.0, if highest > 0.0 { highest * 1.06 } else { 1.0 }, panel.bottom(), panel.y);
    left_axis(&mut svg, panel, y, "share of intervals (%)");
    for (s, shares) in shown.iter().zip(&shares) {
        let mut pen = Pen::new();
        pen.to(x.at(0.0), panel.bottom());
        for (k, share) in shares.iter().enumerate() {
            pen.to(x.at(k as f64 * bin), y.at(*share));
            pen.to(x.at((k + 1) as f64 * bin), y.at(*share));
        }
        pen.to(panel.right(), panel.bottom());
        let d = pen.finish();
        svg.fill(&d, s.color, 0.2);
        svg.stroke(&d, s.color, 1.3, " stroke-linejoin=\"round\"");
    }
    if all.is_empty() {
        let style = Style::note(Anchor::Middle);
        svg.text(panel.x + panel.width / 2.0, panel.y + panel.height / 2.0, "no intervals", style);
    }
    bottom_axis(&mut svg, panel, x, "inter-spike interval (ms)");
    svg.finish(options.title.as_deref().unwrap_or("inter-spike intervals"))
}

/// Percent of all values in each bin from 0 on.
fn histogram(values: &[f64], bin: f64, count: usize) -> Vec<f64> {
    let mut shares = vec![0.0; count];
    for v in values {
        if let Some(share) = shares.get_mut((v / bin) as usize) {
            *share += 100.0 / values.len() as f64;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, well_formed};
    use super::*;

    #[test]
    fn shares_are_percent_of_all_intervals() {
        assert_eq!(histogram(&[0.5, 1.5, 1.9, 99.0], 1.0, 3), [25.0, 50.0, 0.0]);
    }

    #[test]
    fn a_histogram_names_the_cv() {
        let recording = noise(&[("E", 50)], 20_000, 0.01);
        let text = isi(&recording, &[Selection::all("E")], &Options::default());
        well_formed(&text);
        assert!(text.contains("E (CV 0.9") || text.contains("E (CV 1.0"), "a Bernoulli train has sqrt(1 - p)");
        let silent = noise(&[("E", 50)], 100, 0.0);
        assert!(isi(&silent, &[Selection::all("E")], &Options::default()).contains("no intervals"));
    }
}
