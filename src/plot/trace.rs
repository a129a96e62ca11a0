//! States over time: one panel per variable, all above one time axis.

use crate::record::{Recording, StateTraces};
use crate::units::heading;

use super::axis::{self, Panel, Scale, TimeAxis, left_axis};
use super::svg::{Anchor, Pen, Style, Svg};
use super::{Options, PALETTE, color};

/// One recorded variable and which of its recorded neurons are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSelection<'a> {
    pub path: &'a str,
    pub variable: &'a str,
    /// Flat indices in the population; all recorded ones if not given.
    pub neurons: Option<&'a [u32]>,
}

/// The chosen columns of one recorded variable.
struct Chosen<'a> {
    traces: &'a StateTraces,
    columns: Vec<usize>,
}

/// The selected variables over time, in their typical units.
///
/// `options.height` is shared by the panels. A trace with more samples than the figure has columns is drawn by the
/// least and the largest value in each, so no peak is lost; values that are not finite are gaps.
pub fn trace(recording: &Recording, selection: &[TraceSelection], options: &Options) -> String {
    let chosen: Vec<Chosen> = selection.iter().flat_map(|s| choose(recording, s)).collect();
    let window = options.window(recording);
    let (width, height) = options.size();
    let left = 66.0;
    let inner = width - left - 20.0;
    let mut neurons: Vec<u32> = chosen.iter().flat_map(|c| c.columns.iter().map(|k| c.traces.neurons[*k])).collect();
    neurons.sort_unstable();
    neurons.dedup();
    // With more neurons than colours a legend would name colours twice.
    let names: Vec<(String, &'static str)> = match neurons.len() {
        2.. if neurons.len() <= PALETTE.len() => {
            neurons.iter().enumerate().map(|(k, i)| (format!("neuron {i}"), color(k))).collect()
        }
        _ => Vec::new(),
    };
    let legend_height = axis::legend_rows(&names, inner) as f64 * 17.0;
    let top = axis::title_height(options.title.as_deref()) + legend_height + 4.0;
    let panels = chosen.len().max(1) as f64;
    let gap = 16.0;
    let each = ((height - gap * (panels - 1.0)) / panels).max(90.0);
    let bottom = top + each * panels + gap * (panels - 1.0);
    let mut svg = Svg::new(width, bottom + 46.0);
    let under_title = axis::title(&mut svg, left, options.title.as_deref());
    axis::legend(&mut svg, &names, left, under_title - 4.0, inner);

    let mut last = Panel { x: left, y: top, width: inner, height: each };
    let time = TimeAxis::new(recording.time_ms(window.from), recording.time_ms(window.to), last);
    for (k, c) in chosen.iter().enumerate() {
        last.y = top + (each + gap) * k as f64;
        time.phases(&mut svg, last, recording, window, k == 0);
        draw(&mut svg, last, c, time, recording, (window.from, window.to), &neurons);
    }
    if chosen.is_empty() {
        let style = Style::note(Anchor::Middle);
        svg.text(last.x + last.width / 2.0, last.y + last.height / 2.0, "nothing recorded", style);
    }
    time.draw(&mut svg, last);
    svg.finish(options.title.as_deref().unwrap_or("states over time"))
}

fn choose<'a>(recording: &'a Recording, s: &TraceSelection) -> Vec<Chosen<'a>> {
    recording
        .states
        .iter()
        .filter(|t| t.path == s.path && t.variable == s.variable)
        .map(|traces| {
            let wanted = |i: &u32| s.neurons.is_none_or(|list| list.contains(i));
            let columns = (0..traces.neurons.len()).filter(|k| wanted(&traces.neurons[*k])).collect();
            Chosen { traces, columns }
        })
        .filter(|c| !c.columns.is_empty())
        .collect()
}

fn draw(
    svg: &mut Svg,
    panel: Panel,
    c: &Chosen,
    time: TimeAxis,
    recording: &Recording,
    steps: (u64, u64),
    neurons: &[u32],
) {
    let unit = c.traces.unit();
    let from = c.traces.steps.partition_point(|s| *s < steps.0);
    let to = c.traces.steps.partition_point(|s| *s <= steps.1).max(from);
    let samples = |k: usize| {
        let values = c.traces.of_neuron(k).skip(from).map(unit.reader());
        c.traces.steps[from..to].iter().map(|s| time.at(recording.time_ms(*s))).zip(values)
    };
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, v) in c.columns.iter().flat_map(|k| samples(*k)).filter(|(_, v)| v.is_finite()) {
        low = low.min(v);
        high = high.max(v);
    }
    let room = (high - low) * 0.06;
    let scale = Scale::new(low - room, high + room, panel.bottom(), panel.y);
    left_axis(svg, panel, scale, &heading(&c.traces.variable, c.traces.dimension));
    let width = if c.columns.len() > 10 { 0.8 } else { 1.3 };
    for k in &c.columns {
        let place = neurons.binary_search(&c.traces.neurons[*k]).unwrap_or(0);
        let d = line(samples(*k), scale);
        svg.stroke(&d, color(place), width, " stroke-linejoin=\"round\"");
    }
    svg.text(panel.right(), panel.y + 8.0, &c.traces.path, Style::note(Anchor::End));
}

/// A polyline through samples (x in px, value), at most a few points for each px of width.
fn line(samples: impl Iterator<Item = (f64, f64)>, scale: Scale) -> String {
    let mut pen = Pen::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    let flush = |column: &mut Vec<(f64, f64)>, pen: &mut Pen| {
        let by = |a: &(f64, f64), b: &(f64, f64)| a.1.total_cmp(&b.1);
        let extremes = [0, column.len().saturating_sub(1)].into_iter();
        let least = (0..column.len()).min_by(|a, b| by(&column[*a], &column[*b]));
        let most = (0..column.len()).max_by(|a, b| by(&column[*a], &column[*b]));
        let mut keep: Vec<usize> = extremes.chain(least).chain(most).collect();
        keep.sort_unstable();
        keep.dedup();
        for (x, v) in keep.into_iter().filter_map(|k| column.get(k)) {
            pen.to(*x, scale.at(*v));
        }
        column.clear();
    };
    for (x, v) in samples {
        if column.first().is_some_and(|(x0, _)| x.floor() != x0.floor()) {
            flush(&mut column, &mut pen);
        }
        if v.is_finite() {
            column.push((x, v));
        } else {
            flush(&mut column, &mut pen);
            pen.lift();
        }
    }
    flush(&mut column, &mut pen);
    pen.finish()
}

#[cfg(test)]
mod tests {
    use super::super::tests::well_formed;
    use super::*;
    use crate::units::Dimension;

    fn recording(samples: u64, neurons: u32) -> Recording {
        let value = |s: u64, i: u32| -65.0 + (s as f64 * 0.01).sin() * 5.0 + f64::from(i);
        let states = StateTraces {
            path: "E".into(),
            variable: "V".into(),
            dimension: Dimension::VOLTAGE,
            neurons: (0..neurons).map(|i| 10 * i).collect(),
            steps: (0..samples).collect(),
            values: (0..samples).flat_map(|s| (0..neurons).map(move |i| value(s, i))).collect(),
        };
        Recording { dt_ms: 0.1, duration_steps: samples, spikes: vec![], states: vec![states], ..Recording::default() }
    }

    #[test]
    fn a_trace_has_its_unit_and_its_neurons() {
        let selection = [TraceSelection { path: "E", variable: "V", neurons: Some(&[0, 20]) }];
        let text = trace(&recording(2000, 4), &selection, &Options::default());
        well_formed(&text);
        assert!(text.contains("V (mV)") && text.contains("neuron 20") && !text.contains("neuron 10"));
    }

    #[test]
    fn long_traces_stay_small_and_keep_their_peaks() {
        let mut long = recording(400_000, 1);
        long.states[0].values[123_456] = 40.0;
        let selection = [TraceSelection { path: "E", variable: "V", neurons: None }];
        let text = trace(&long, &selection, &Options::default());
        well_formed(&text);
        assert!(text.len() < 60_000, "{} bytes", text.len());
        let without = trace(&recording(400_000, 1), &selection, &Options::default());
        assert_ne!(text, without);
        assert!(text.contains(">40<") || text.contains(">20<"), "the scale must reach the peak");
    }

    #[test]
    fn gaps_and_absence_are_drawn_as_such() {
        let mut gap = recording(100, 1);
        gap.states[0].values[50] = f64::NAN;
        let selection = [TraceSelection { path: "E", variable: "V", neurons: None }];
        well_formed(&trace(&gap, &selection, &Options::default()));
        gap.states[0].values.fill(f64::INFINITY);
        well_formed(&trace(&gap, &selection, &Options::default()));
        gap.states[0].values.clear();
        well_formed(&trace(&gap, &selection, &Options::default()));
        let text = trace(&gap, &[], &Options::default());
        assert!(text.contains("nothing recorded"));
    }
}
