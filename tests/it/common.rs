//! Files of the corpus, and a loader over the repository.

use nsm::base::{LoadError, Loader, Severity};
use nsm::driver::{self, Options, Outcome};
use std::path::{Path, PathBuf};

pub fn fresh_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads files below the repository's folder by their path from it.
pub struct Repository;

impl Loader for Repository {
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        let name = folder.join(path);
        if path.split('/').any(|p| p == "..") {
            return Err(LoadError::Outside);
        }
        if fresh_root().join(&name).exists() {
            Ok(name.to_string_lossy().into_owned())
        } else {
            Err(LoadError::NotFound)
        }
    }

    fn folder(&self, name: &str) -> Option<Vec<String>> {
        let path = fresh_root().join(name);
        if !path.is_dir() {
            return None;
        }
        let mut files: Vec<String> = std::fs::read_dir(path)
            .ok()?
            .filter_map(|e| e.ok())
            .map(|e| format!("{name}/{}", e.file_name().to_string_lossy()))
            .filter(|f| f.ends_with(".nsm"))
            .collect();
        files.sort();
        Some(files)
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        String::from_utf8(self.bytes(name)?)
            .map_err(|e| LoadError::NotUtf8 { valid_up_to: e.utf8_error().valid_up_to() })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        std::fs::read(fresh_root().join(name)).map_err(|_| LoadError::NotFound)
    }
}

/// Every `.nsm` file that must compile and run: examples, standard library, circuits of the corpus.
pub fn corpus() -> Vec<String> {
    let mut out = Vec::new();
    for folder in ["examples", "stdlib/neurons", "stdlib/sources", "tests/corpus/ok/circuits"] {
        out.extend(Repository.folder(folder).unwrap_or_else(|| panic!("{folder} is missing")));
    }
    out
}

/// Compiles a file of the repository that must be free of errors.
pub fn compile_file(file: &str) -> Outcome {
    let out = driver::compile(&Repository, file, &Options::default());
    let errors: Vec<&str> =
        out.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.message.as_str()).collect();
    assert!(errors.is_empty(), "{file}: {errors:?}");
    out
}
