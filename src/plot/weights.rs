//! Histograms of weights: at the start and at the end of what was sampled.

use super::Options;
use super::axis::{self, Panel, Scale, bottom_axis, left_axis};
use super::svg::{Pen, Svg};
use crate::record::Recording;
use crate::units::Unit;

/// Bars of one histogram.
const BINS: usize = 40;

/// The share of synapses per bin of weight for each sampled projection: the first sample light, the last one dark.
pub fn weights(recording: &Recording, options: &Options) -> String {
    let (width, height) = options.size();
    let unit = recording.weights.first().map(|t| Unit::typical(t.dimension));
    let spelling = unit.as_ref().map_or("", |u| u.spelling());
    let mut series = Vec::new();
    for (k, t) in recording.weights.iter().enumerate() {
        let color = super::color(k);
        let of = |at: usize| -> Vec<f64> {
            t.sample(at).iter().map(|v| unit.as_ref().map_or(*v, |u| u.from_internal(*v))).collect()
        };
        if t.steps.len() > 1 {
            series.push((format!("{} at the start", t.path), color, 0.25, of(0)));
        }
        if let Some(last) = t.steps.len().checked_sub(1) {
            series.push((format!("{} at {} ms", t.path, recording.time_ms(t.steps[last])), color, 0.8, of(last)));
        }
    }
    let all = || series.iter().flat_map(|s| s.3.iter().copied());
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let (low, high) = match (low.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, false) => (low - 0.5, low + 0.5),
        (true, true) => (low, high),
    };
    let bin = (high - low) / BINS as f64;
    let names: Vec<(String, &'static str)> = series.iter().map(|s| (s.0.clone(), s.1)).collect();
    let left = 62.0;
    let inner = width - left - 20.0;
    let legend_height = axis::legend_rows(&names, inner) as f64 * 17.0;
    let top = axis::title_height(options.title.as_deref()) + legend_height + 4.0;
    let panel = Panel { x: left, y: top, width: inner, height };
    let mut svg = Svg::new(width, panel.bottom() + 46.0);
    let under_title = axis::title(&mut svg, left, options.title.as_deref());
    axis::legend(&mut svg, &names, left, under_title - 4.0, inner);
    let shares: Vec<Vec<f64>> = series
        .iter()
        .map(|(.., values)| {
            let mut bars = vec![0.0; BINS];
            for v in values {
                let k = ((v - low) / bin).clamp(0.0, (BINS - 1) as f64) as usize;
                bars[k] += 100.0 / values.len() as f64;
            }
            bars
        })
        .collect();
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let x = Scale::new(low, high, panel.x, panel.right());
    let y = Scale::new(0.0, if highest > 0.0 { highest * 1.06 } else { 1.0 }, panel.bottom(), panel.y);
    left_axis(&mut svg, panel, y, "share of synapses (%)");
    for ((_, color, strength, _), shares) in series.iter().zip(&shares) {
        let mut pen = Pen::new();
        pen.to(x.at(low), panel.bottom());
        for (k, share) in shares.iter().enumerate() {
            pen.to(x.at(low + k as f64 * bin), y.at(*share));
            pen.to(x.at(low + (k + 1) as f64 * bin), y.at(*share));
        }
        pen.to(panel.right(), panel.bottom());
        let d = pen.finish();
        svg.fill(&d, color, *strength * 0.4);
        svg.stroke(&d, color, 1.3, " stroke-linejoin=\"round\"");
    }
    let label = if spelling.is_empty() { "weight".to_string() } else { format!("weight ({spelling})") };
    bottom_axis(&mut svg, panel, x, &label);
    svg.finish(options.title.as_deref().unwrap_or("weights"))
}
