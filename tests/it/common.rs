//! Files of the corpus.

use nsm::base::Severity;
use nsm::cli::FileLoader;
use nsm::driver::{self, Options, Outcome};
use std::path::PathBuf;

pub fn fresh_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn folder(name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fresh_root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut files: Vec<String> = entries
        .map(|e| format!("{name}/{}", e.expect("entry").file_name().to_string_lossy()))
        .filter(|f| f.ends_with(".nsm"))
        .collect();
    files.sort();
    files
}

/// Every `.nsm` file that must compile and run: examples, standard library, circuits of the corpus.
pub fn corpus() -> Vec<String> {
    let mut out = Vec::new();
    let examples =
        ["examples", "examples/cells", "examples/coding", "examples/learning", "examples/regions", "examples/theory"];
    let library = ["stdlib/modulators", "stdlib/neurons", "stdlib/physics", "stdlib/plasticity", "stdlib/sources"];
    for folder in examples.into_iter().chain(library).chain(["tests/corpus/ok/circuits"]) {
        out.extend(self::folder(folder));
    }
    out
}

/// Every `.nsm` file in a folder and in those within it.
pub fn everywhere(name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fresh_root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut files = folder(name);
    for entry in entries.map(|e| e.expect("entry")).filter(|e| e.path().is_dir()) {
        files.extend(everywhere(&format!("{name}/{}", entry.file_name().to_string_lossy())));
    }
    files.sort();
    files
}

/// Compiles a file of the repository that must be free of errors.
pub fn compile_file(file: &str) -> Outcome {
    let (loader, name) = FileLoader::open(file).unwrap_or_else(|e| panic!("{file}: {e:?}"));
    let out = driver::compile(&loader, &name, &Options::default());
    let errors: Vec<&str> =
        out.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.message.as_str()).collect();
    assert!(errors.is_empty(), "{file}: {errors:?}");
    out
}
