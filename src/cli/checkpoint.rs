//! `--checkpoint` and `--resume`: checkpoints as files, one for each run.

use super::codes;
use super::files::write_atomic;
use crate::base::{Diagnostic, LoadError};
use crate::driver;
use crate::execute::{Checkpoint, Origin};
use crate::ir::artefact::Unit;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where the runs of an experiment are saved to and what they go on from.
pub(super) struct Checkpoints {
    write: Option<PathBuf>,
    every_ms: Option<f64>,
    resume: Option<PathBuf>,
    /// Each run has a file of its own.
    several: bool,
    /// The first file that could not be written: the run goes on, and this is told at its end.
    failed: Mutex<Option<Diagnostic>>,
}

impl Checkpoints {
    /// Tries out the folder that is written to and looks for what is read, so that no run is made in vain. `None` where neither is
    /// asked for.
    pub fn new(
        write: Option<&Path>,
        every: Option<&str>,
        resume: Option<&Path>,
        runs: usize,
    ) -> Result<Option<Checkpoints>, Diagnostic> {
        if write.is_none() && resume.is_none() {
            return Ok(None);
        }
        let every_ms = every.map(interval).transpose()?;
        if let Some(path) = write {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            tempfile::NamedTempFile::new_in(folder).map_err(|e| codes::unwritable(path, &e))?;
            if path.is_dir() {
                return Err(codes::unwritable(path, &ErrorKind::IsADirectory.into()));
            }
        }
        let own = |p: &Path| p.to_path_buf();
        let all = Checkpoints {
            write: write.map(own),
            every_ms,
            resume: resume.map(own),
            several: runs > 1,
            failed: Mutex::new(None),
        };
        if let Some(path) = resume
            && !(0..runs).any(|run| all.file(path, run).exists())
        {
            let name = all.file(path, 0).display().to_string();
            return Err(codes::unreadable(&name, &LoadError::NotFound));
        }
        Ok(Some(all))
    }

    /// The file of a run: of several, `state.ckpt` becomes `state-3.ckpt`.
    fn file(&self, path: &Path, run: usize) -> PathBuf {
        if !self.several {
            return path.to_path_buf();
        }
        let mut name = path.file_stem().unwrap_or_default().to_os_string();
        name.push(format!("-{run}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    }

    /// What a run goes on from; of several runs, those without a file begin at their beginning.
    pub fn load(&self, run: usize, origin: &Origin, unit: &Unit) -> Result<Option<Checkpoint>, Diagnostic> {
        let Some(path) = self.resume.as_deref().map(|p| self.file(p, run)) else { return Ok(None) };
        let name = path.display().to_string();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if self.several && e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(codes::unreadable(&name, &LoadError::Io(e.to_string()))),
        };
        let checkpoint = Checkpoint::read(&bytes).map_err(|e| {
            Diagnostic::error(codes::CHECKPOINT, format!("`{name}` is no checkpoint that can be resumed: {e}"))
                .help("take another copy of it, or run from the beginning without `--resume`")
        })?;
        match checkpoint.mismatch(origin, unit) {
            Some(m) => {
                let message = format!("`{name}` is a checkpoint of something else: {}", m.message);
                Err(Diagnostic::error(codes::OTHER_RUN, message).help(m.help))
            }
            None => Ok(Some(checkpoint)),
        }
    }

    pub fn writes(&self) -> bool {
        self.write.is_some()
    }

    /// Steps between checkpoints.
    pub fn every(&self, dt_ms: f64) -> Result<Option<u64>, Diagnostic> {
        let Some(ms) = self.every_ms else { return Ok(None) };
        let steps = (ms / dt_ms).round();
        if (1.0..=9.0e15).contains(&steps) {
            return Ok(Some(steps as u64));
        }
        Err(codes::usage(format!("`--every` is shorter than a step of {} ms", crate::units::number(dt_ms))))
    }

    pub fn save(&self, run: usize, checkpoint: &Checkpoint) {
        let Some(path) = self.write.as_deref().map(|p| self.file(p, run)) else { return };
        if let Err(e) = write_atomic(&path, |w| checkpoint.write(w)) {
            let mut first = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| codes::unwritable(&path, &e));
        }
    }

    /// The first failure to write.
    pub fn failure(&self) -> Option<Diagnostic> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn interval(text: &str) -> Result<f64, Diagnostic> {
    let fail = |why: String, help: String| codes::usage(format!("--every {text}: {why}")).help(help);
    let ms = driver::time_ms(text).map_err(|(why, help)| fail(why, help))?;
    if ms > 0.0 && ms.is_finite() {
        return Ok(ms);
    }
    Err(fail("checkpoints need time between them".to_string(), "such as --every \"10 s\"".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_files_of_their_own_where_there_are_several() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.v2.ckpt");
        let of = |runs| Checkpoints::new(Some(&path), Some("1 s"), None, runs).unwrap().unwrap();
        assert_eq!(of(1).file(&path, 0), path);
        assert_eq!(of(2).file(&path, 1), folder.path().join("state.v2-1.ckpt"));
        assert_eq!(of(2).file(Path::new("state"), 0), Path::new("state-0"));
        assert_eq!(of(1).every(0.1).unwrap(), Some(10_000));
        assert!(of(1).every(1e4).is_err());
    }

    #[test]
    fn impossible_files_are_told_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let (path, nowhere) = (folder.path().join("a"), folder.path().join("no/such/a"));
        let code = |write: Option<&Path>, every: Option<&str>, resume: Option<&Path>| {
            Checkpoints::new(write, every, resume, 1).err().map(|d| d.code)
        };
        assert_eq!(code(Some(&nowhere), None, None), Some(codes::UNWRITABLE));
        assert_eq!(code(Some(folder.path()), None, None), Some(codes::UNWRITABLE));
        assert_eq!(code(None, None, Some(&path)), Some(codes::UNREADABLE));
        for every in ["10", "10 mV", "0 s", "-1 s", "soon"] {
            assert_eq!(code(Some(&path), Some(every), None), Some(codes::USAGE), "{every}");
        }
        assert_eq!(code(Some(&path), None, None), None);
    }
}
