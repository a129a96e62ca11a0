//! Population rates over time.

use crate::record::statistics::binned_counts;
use crate::record::{Recording, Window};
use crate::units::number;

use super::axis::{self, Panel, Scale, TimeAxis, left_axis, round_up};
use super::svg::{Anchor, Pen, Style, Svg};
use super::{Options, Selection, Shown, shown};

/// The rate of each selected population over time, in Hz per neuron.
pub fn rate(recording: &Recording, selection: &[Selection], options: &Options) -> String {
    let shown = shown(recording, selection);
    let window = options.window(recording);
    let (width, height) = options.size();
    let names: Vec<(String, &'static str)> = shown.iter().map(|s| (s.label.to_string(), s.color)).collect();
    let left = 58.0;
    let inner = width - left - 20.0;
    let legend_height = axis::legend_rows(&names, inner) as f64 * 17.0;
    let top = axis::title_height(options.title.as_deref()) + legend_height + 4.0;
    let panel = Panel { x: left, y: top, width: inner, height };
    let mut svg = Svg::new(width, panel.bottom() + 46.0);
    let under_title = axis::title(&mut svg, left, options.title.as_deref());
    axis::legend(&mut svg, &names, left, under_title - 4.0, inner);
    let time = TimeAxis::new(recording.time_ms(window.from), recording.time_ms(window.to), panel);
    time.phases(&mut svg, panel, recording, window, true);
    draw(&mut svg, panel, time, &shown, window);
    time.draw(&mut svg, panel);
    svg.finish(options.title.as_deref().unwrap_or("population rates"))
}

/// A bin of a round number of ms, at least one, as wide as 2.5 px or more.
fn bin(window: Window, width: f64) -> u64 {
    let span_ms = window.seconds() * 1e3;
    window.bin(round_up(span_ms / (width / 2.5)).max(1.0))
}

/// The rate panel with its value axis and, below, the width of its bins; the time axis is the caller's.
pub(super) fn draw(svg: &mut Svg, panel: Panel, time: TimeAxis, shown: &[Shown], window: Window) {
    let bin = bin(window, panel.width);
    let bin_seconds = bin as f64 * window.dt_ms * 1e-3;
    let rates: Vec<Vec<f64>> = shown
        .iter()
        .map(|s| {
            let cells = s.cells() as f64;
            let counts = binned_counts(s.spikes, s.neurons, window, bin);
            counts.iter().map(|c| *c as f64 / (cells * bin_seconds)).collect()
        })
        .collect();
    let highest = rates.iter().flatten().copied().fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let scale = Scale::new(0.0, top, panel.bottom(), panel.y);
    left_axis(svg, panel, scale, "rate (Hz)");
    let edge = |k: usize| time.at((window.from as f64 + (k as u64 * bin) as f64) * window.dt_ms);
    for (s, rates) in shown.iter().zip(&rates) {
        let mut pen = Pen::new();
        for (k, rate) in rates.iter().enumerate() {
            pen.to(edge(k), scale.at(*rate));
            pen.to(edge(k + 1), scale.at(*rate));
        }
        let d = pen.finish();
        // Areas of several populations would hide one another.
        if shown.len() == 1 && !d.is_empty() {
            let base = panel.bottom();
            let area = format!("{d}V{base:.1}H{:.1}Z", panel.x);
            svg.fill(&area, s.color, 0.2);
        }
        svg.stroke(&d, s.color, 1.2, " stroke-linejoin=\"round\"");
    }
    let note = format!("rate in bins of {} ms", number(bin as f64 * window.dt_ms));
    svg.text(panel.right(), panel.bottom() + 34.0, &note, Style::note(Anchor::End));
}
