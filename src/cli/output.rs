//! `--out DIR`: what `record` and `plot` ask for, as files that are whole or not there.

use super::codes;
use super::files::write_atomic;
use crate::base::Diagnostic;
use crate::execute::{Curve, PlotData, Rows, RunOutcome, Summary};
use crate::plot::{self, Options, Selection, TraceSelection};
use crate::record::{Neurons, Recording, write_spikes_npz, write_states_npz, write_weights_npz};
use crate::script::PlotKind;
use crate::units::{Dimension, Unit};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder that can be written to.
#[derive(Debug)]
pub(super) struct Output {
    folder: PathBuf,
    /// Where each run has a folder of its own.
    several: bool,
}

impl Output {
    /// Makes the folder if need be and tries it out, so that no run is made in vain.
    pub fn new(folder: &Path, runs: usize) -> Result<Output, Diagnostic> {
        let fail = |e: io::Error| codes::unwritable(folder, &e);
        fs::create_dir_all(folder).map_err(fail)?;
        tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        Ok(Output { folder: folder.to_path_buf(), several: runs > 1 })
    }

    /// Files of one run. Gives their paths within the folder.
    pub fn run(&self, run: usize, outcome: &RunOutcome) -> Result<Vec<String>, Diagnostic> {
        let prefix = if self.several { format!("run-{run}/") } else { String::new() };
        let mut written = Vec::new();
        let recording = &outcome.recording;
        let nothing = recording.spikes.is_empty() && recording.states.is_empty() && recording.weights.is_empty();
        if nothing && outcome.plots.is_empty() {
            return Ok(written);
        }
        let folder = self.folder.join(&prefix);
        fs::create_dir_all(&folder).map_err(|e| codes::unwritable(&folder, &e))?;
        if !recording.spikes.is_empty() {
            written.push(self.write(&format!("{prefix}spikes.npz"), |w| write_spikes_npz(w, recording))?);
        }
        if !recording.states.is_empty() {
            written.push(self.write(&format!("{prefix}states.npz"), |w| write_states_npz(w, recording))?);
        }
        if !recording.weights.is_empty() {
            written.push(self.write(&format!("{prefix}weights.npz"), |w| write_weights_npz(w, recording))?);
        }
        if !recording.phases.is_empty() {
            written
                .push(self.write(&format!("{prefix}phases.csv"), |w| w.write_all(recording.phases_csv().as_bytes()))?);
        }
        let mut counts = [0; 5];
        for data in &outcome.plots {
            let (name, slot) = match data.kind {
                PlotKind::Raster => ("raster", 0),
                PlotKind::Trace => ("trace", 1),
                PlotKind::Rate => ("rate", 2),
                PlotKind::Isi => ("isi", 3),
                PlotKind::Weights => ("weights", 4),
            };
            counts[slot] += 1;
            let path = format!("{prefix}{}", numbered(name, counts[slot]));
            written.push(self.write(&path, |w| w.write_all(figure(data, outcome.steps).as_bytes()))?);
        }
        Ok(written)
    }

    /// Files of all runs together.
    pub fn all(&self, rows: &Rows, curves: &[Curve], summary: &Summary) -> Result<Vec<String>, Diagnostic> {
        let mut written = Vec::new();
        if !rows.is_empty() {
            written.push(self.write("measures.csv", |w| w.write_all(rows.csv().as_bytes()))?);
        }
        for (k, curve) in curves.iter().enumerate() {
            let svg = curve_figure(curve);
            written.push(self.write(&numbered("curve", k + 1), |w| w.write_all(svg.as_bytes()))?);
        }
        let json = serde_json::to_string_pretty(summary).map_err(|e| codes::unwritable(&self.folder, &e.into()))?;
        written.push(self.write("summary.json", |w| writeln!(w, "{json}"))?);
        Ok(written)
    }

    fn write(
        &self,
        name: &str,
        f: impl FnOnce(&mut io::BufWriter<fs::File>) -> io::Result<()>,
    ) -> Result<String, Diagnostic> {
        let path = self.folder.join(name);
        write_atomic(&path, f).map_err(|e| codes::unwritable(&path, &e))?;
        Ok(name.to_string())
    }
}

/// `raster.svg`, `raster-2.svg`, ...
fn numbered(name: &str, k: usize) -> String {
    if k == 1 { format!("{name}.svg") } else { format!("{name}-{k}.svg") }
}

fn figure(data: &PlotData, steps: u64) -> String {
    let recording: &Recording = &data.recording;
    // A spike of the last step is stamped at its end; a figure leaves its last step out.
    let options = Options { steps: Some((0, steps + 1)), ..Options::default() };
    let masks: Vec<Vec<bool>> =
        recording.spikes.iter().zip(&data.cells).map(|(p, cells)| mask(p.size, cells)).collect();
    let each = recording.spikes.iter().zip(&masks);
    let selection: Vec<Selection> = each
        .map(|(p, m)| Selection {
            neurons: if m.iter().all(|c| *c) { Neurons::All } else { Neurons::Mask(m) },
            ..Selection::all(&p.path)
        })
        .collect();
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

fn mask(size: u32, cells: &[u32]) -> Vec<bool> {
    let mut mask = vec![false; size as usize];
    for cell in cells {
        if let Some(flag) = mask.get_mut(*cell as usize) {
            *flag = true;
        }
    }
    mask
}

fn curve_figure(curve: &Curve) -> String {
    let unit = |d: Dimension| Unit::typical(d);
    let label = |name: &str, d: Dimension| match unit(d).spelling() {
        "" => name.to_string(),
        spelling => format!("{name} ({spelling})"),
    };
    let (name, x) = &curve.x;
    let points = curve.points.iter().map(|(a, b)| plot::Point {
        x: if curve.labels.is_empty() { unit(*x).from_internal(*a) } else { *a },
        y: unit(curve.dimension).from_internal(*b),
        error: None,
    });
    let series = vec![plot::Series { label: curve.title.clone(), points: points.collect() }];
    // Groups without an order are numbered; the axis says what the numbers mean.
    let x_label = match curve.labels.as_slice() {
        [] => label(name, *x),
        labels => format!(
            "{name}: {}",
            labels.iter().enumerate().map(|(k, l)| format!("{k} = {l}")).collect::<Vec<_>>().join(", ")
        ),
    };
    let figure = plot::Curve { x_label, y_label: label(&curve.title, curve.dimension), series };
    plot::curve(&figure, &Options::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PopulationSpikes, StateTraces};

    fn outcome() -> RunOutcome {
        let mut spikes = PopulationSpikes::new("E", 3);
        spikes.push(4, 1);
        let states = StateTraces {
            path: "E".into(),
            variable: "V".into(),
            dimension: Dimension::VOLTAGE,
            neurons: vec![0],
            steps: vec![1, 2],
            values: vec![-70.0, -69.0],
        };
        let recording = Recording {
            dt_ms: 0.1,
            duration_steps: 4,
            spikes: vec![spikes],
            states: vec![states],
            ..Recording::default()
        };
        let plot = |kind| PlotData { kind, recording: recording.clone(), cells: vec![vec![0, 1]] };
        let plots = vec![plot(PlotKind::Raster), plot(PlotKind::Trace), plot(PlotKind::Raster)];
        RunOutcome { dt_ms: 0.1, steps: 4, recording, plots, ..RunOutcome::default() }
    }

    #[test]
    fn runs_have_folders_where_there_are_several() {
        let dir = tempfile::tempdir().unwrap();
        let one = Output::new(&dir.path().join("one"), 1).unwrap();
        let names = one.run(0, &outcome()).unwrap();
        assert_eq!(names, ["spikes.npz", "states.npz", "raster.svg", "trace.svg", "raster-2.svg"]);
        assert!(fs::read_to_string(dir.path().join("one/raster.svg")).unwrap().starts_with("<"));
        let many = Output::new(&dir.path().join("many"), 2).unwrap();
        many.run(1, &outcome()).unwrap();
        assert!(dir.path().join("many/run-1/spikes.npz").is_file());
        many.run(2, &RunOutcome::default()).unwrap();
        assert!(!dir.path().join("many/run-2").exists(), "a run that keeps nothing has no folder");
    }

    #[test]
    fn a_folder_that_is_a_file_is_told_before_the_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Output::new(file.path(), 1).unwrap_err().code, codes::UNWRITABLE);
    }

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
}
