//! `--out DIR`: what `record` and `plot` ask for, as files that are whole or not there.

use super::codes;
use super::files::write_atomic;
use crate::base::Diagnostic;
use crate::execute::{Conclusion, Rows, RunOutcome, Summary};
use crate::record::{write_spikes_npz, write_states_npz, write_weights_npz};
use crate::report::{self, curve_figure, figure};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder that can be written to.
#[derive(Debug)]
pub(super) struct Output {
    folder: PathBuf,
    /// Where each run has a folder of its own.
    several: bool,
    /// Flags that changed the circuit, where a report is wanted.
    report: Option<Vec<(String, String)>>,
}

impl Output {
    /// Makes the folder if need be and tries it out, so that no run is made in vain.
    pub fn new(folder: &Path, runs: usize) -> Result<Output, Diagnostic> {
        let fail = |e: io::Error| codes::unwritable(folder, &e);
        fs::create_dir_all(folder).map_err(fail)?;
        tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        Ok(Output { folder: folder.to_path_buf(), several: runs > 1, report: None })
    }

    /// With a report, which tells the flags that changed the circuit.
    pub fn with_report(self, given: Vec<(String, String)>) -> Output {
        Output { report: Some(given), ..self }
    }

    /// The flags to be told in a report; `None` where none is wanted.
    pub fn report(&self) -> Option<&[(String, String)]> {
        self.report.as_deref()
    }

    pub fn write_report(&self, source: &report::Source) -> Result<String, Diagnostic> {
        let page = report::page(source);
        self.write("report.html", |w| w.write_all(page.as_bytes()))
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
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for data in &outcome.plots {
            let name = data.kind.name();
            let k = counts.entry(name).or_default();
            *k += 1;
            let path = format!("{prefix}{}", numbered(name, *k, "svg"));
            written.push(self.write(&path, |w| w.write_all(figure(data, outcome.steps).as_bytes()))?);
        }
        Ok(written)
    }

    /// Files of all runs together.
    pub fn all(&self, rows: &Rows, conclusion: &Conclusion, summary: &Summary) -> Result<Vec<String>, Diagnostic> {
        let mut written = Vec::new();
        if !rows.is_empty() {
            written.push(self.write("measures.csv", |w| w.write_all(rows.csv().as_bytes()))?);
        }
        for (k, curve) in conclusion.curves.iter().enumerate() {
            let svg = curve_figure(curve);
            written.push(self.write(&numbered("curve", k + 1, "svg"), |w| w.write_all(svg.as_bytes()))?);
        }
        for (k, front) in conclusion.fronts.iter().enumerate() {
            written.push(self.write(&numbered("pareto", k + 1, "csv"), |w| w.write_all(front.csv().as_bytes()))?);
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
fn numbered(name: &str, k: usize, extension: &str) -> String {
    if k == 1 { format!("{name}.{extension}") } else { format!("{name}-{k}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::PlotData;
    use crate::record::{PopulationSpikes, Recording, StateTraces};
    use crate::script::PlotKind;
    use crate::units::Dimension;

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
}
