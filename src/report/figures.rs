//! Figures of one run, and curves over runs, as SVG.

use super::region;
use crate::execute::{Curve, PlotData, RunOutcome};
use crate::plot::{self, Options, Selection, TraceSelection};
use crate::record::{Neurons, PopulationSpikes, Recording};
use crate::script::PlotKind;
use crate::units::{Unit, heading};

/// A drawing with what stands below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub caption: String,
    pub svg: String,
}

/// What a run's `plot`s show, then its recorded spikes by region and its recorded weights, where no plot shows them.
pub(super) fn all(outcome: &RunOutcome) -> Vec<Figure> {
    let declared = outcome.plots.iter().map(|p| Figure { caption: caption(p), svg: figure(p, outcome.steps) });
    let mut out: Vec<Figure> = declared.collect();
    let has = |kind: PlotKind| outcome.plots.iter().any(|p| p.kind == kind);
    let recording = &outcome.recording;
    let mut regions: Vec<Option<&str>> = Vec::new();
    for p in &recording.spikes {
        let region = region(&p.path);
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    if regions.len() > 1 || !has(PlotKind::Raster) {
        for r in regions {
            out.push(Figure {
                caption: r
                    .map_or_else(|| "spikes of the circuit's own populations".into(), |r| format!("spikes of {r}")),
                svg: raster(recording, &outcome.recorded, outcome.steps, &|p| region(&p.path) == r),
            });
        }
    }
    if !recording.weights.is_empty() && !has(PlotKind::Weights) {
        let svg = plot::weights(recording, &Options::default());
        out.push(Figure { caption: "weights as they were recorded".into(), svg });
    }
    out
}

fn caption(data: &PlotData) -> String {
    let spikes = data.recording.spikes.iter().map(|p| p.path.clone());
    let states = data.recording.states.iter().map(|s| format!("{}.{}", s.path, s.variable));
    let weights = data.recording.weights.iter().map(|w| w.path.clone());
    let of: Vec<String> = spikes.chain(states).chain(weights).collect();
    format!("{} of {}", data.kind.name(), of.join(", "))
}

/// A declared plot of a run of so many steps.
pub fn figure(data: &PlotData, steps: u64) -> String {
    let recording: &Recording = &data.recording;
    let options = whole(steps);
    let masks = masks(recording, &data.cells);
    let selection = selection(recording, &masks);
    match data.kind {
        PlotKind::Raster => plot::raster(recording, &selection, &options),
        PlotKind::Rate => plot::rate(recording, &selection, &options),
        PlotKind::Isi => plot::isi(recording, &selection, &options),
        PlotKind::Weights => plot::weights(recording, &options),
        PlotKind::Trace => {
            let states = recording.states.iter();
            let traces: Vec<TraceSelection> =
                states.map(|s| TraceSelection { path: &s.path, variable: &s.variable, neurons: None }).collect();
            plot::trace(recording, &traces, &options)
        }
    }
}

/// The recorded spikes of some populations.
fn raster(recording: &Recording, cells: &[Vec<u32>], steps: u64, of: &dyn Fn(&PopulationSpikes) -> bool) -> String {
    let masks = masks(recording, cells);
    let mut selection = selection(recording, &masks);
    selection.retain(|s| recording.population(s.path).is_some_and(of));
    plot::raster(recording, &selection, &whole(steps))
}

/// A spike of the last step is stamped at its end; a figure leaves its last step out.
fn whole(steps: u64) -> Options {
    Options { steps: Some((0, steps + 1)), ..Options::default() }
}

fn masks(recording: &Recording, cells: &[Vec<u32>]) -> Vec<Vec<bool>> {
    recording.spikes.iter().zip(cells).map(|(p, cells)| mask(p.size, cells)).collect()
}

fn selection<'a>(recording: &'a Recording, masks: &'a [Vec<bool>]) -> Vec<Selection<'a>> {
    let each = recording.spikes.iter().zip(masks);
    each.map(|(p, m)| Selection {
        neurons: if m.iter().all(|c| *c) { Neurons::All } else { Neurons::Mask(m) },
        ..Selection::all(&p.path)
    })
    .collect()
}

fn mask(size: u32, cells: &[u32]) -> Vec<bool> {
    let mut mask = vec![false; size as usize];
    for cell in cells {
        if let Some(flag) = mask.get_mut(*cell as usize) {
            *flag = true;
        }
    }
    mask
}

/// `plot curve of ...` of `conclude`.
pub fn curve_figure(curve: &Curve) -> String {
    let (name, x) = &curve.x;
    let points = curve.points.iter().map(|(a, b)| plot::Point {
        x: if curve.labels.is_empty() { Unit::typical(*x).from_internal(*a) } else { *a },
        y: Unit::typical(curve.dimension).from_internal(*b),
        error: None,
    });
    let series = vec![plot::Series { label: curve.title.clone(), points: points.collect() }];
    // Groups without an order are numbered; the axis says what the numbers mean.
    let x_label = match curve.labels.as_slice() {
        [] => heading(name, *x),
        labels => format!(
            "{name}: {}",
            labels.iter().enumerate().map(|(k, l)| format!("{k} = {l}")).collect::<Vec<_>>().join(", ")
        ),
    };
    let figure = plot::Curve { x_label, y_label: heading(&curve.title, curve.dimension), series };
    plot::curve(&figure, &Options::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Dimension;

    #[test]
    fn curves_without_numbers_name_their_groups() {
        let curve = Curve {
            title: "mean(success by cue)".into(),
            x: ("cue".into(), Dimension::NUMBER),
            dimension: Dimension::NUMBER,
            points: vec![(0.0, 0.5), (1.0, 1.0)],
            labels: vec!["full".into(), "half".into()],
        };
        assert!(curve_figure(&curve).contains("0 = full"));
    }

    #[test]
    fn spikes_are_shown_by_region() {
        let spikes = |path: &str| {
            let mut p = PopulationSpikes::new(path, 3);
            p.push(4, 1);
            p
        };
        let recording = Recording {
            dt_ms: 0.1,
            duration_steps: 10,
            spikes: vec![spikes("E"), spikes("bg.D1"), spikes("bg.D2")],
            ..Recording::default()
        };
        let recorded = vec![vec![0, 1, 2]; 3];
        let outcome = RunOutcome { dt_ms: 0.1, steps: 10, recording, recorded, ..RunOutcome::default() };
        let figures = all(&outcome);
        let captions: Vec<&str> = figures.iter().map(|f| f.caption.as_str()).collect();
        assert_eq!(captions, ["spikes of the circuit's own populations", "spikes of bg"]);
        assert!(figures[1].svg.contains("bg.D2") && !figures[0].svg.contains("bg.D1"));
    }
}
