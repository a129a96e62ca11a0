//! `nsmc new`: a folder with a circuit that runs.

use super::codes::{self, UNWRITABLE};
use super::terminal::{self, Terminal};
use super::{Status, files, source};
use crate::base::Diagnostic;
use std::fs;
use std::io::Write;
use std::path::Path;

const CIRCUIT: &str = include_str!("new/main.nsm");

pub(super) fn new(dir: &Path, terminal: &Terminal) -> Status {
    match create(dir) {
        Ok(()) => {
            if !terminal.quiet {
                terminal::err(&format!("{0}: try `nsmc run {0}/main.nsm`\n", dir.display()));
            }
            Status::Fine
        }
        Err(d) => source::fail(&d, terminal),
    }
}

fn create(dir: &Path) -> Result<(), Diagnostic> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let message = format!("`{}` is not empty", dir.display());
                return Err(Diagnostic::error(UNWRITABLE, message).help("name a folder that does not exist yet"));
            }
        }
        Err(_) => fs::create_dir_all(dir).map_err(|e| codes::unwritable(dir, &e))?,
    }
    let name = fs::canonicalize(dir).ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "circuit".to_string());
    let toml = manifest(&name);
    for (file, text) in [("nsm.toml", toml.as_str()), ("main.nsm", CIRCUIT), (".gitignore", "/out/\n")] {
        let path = dir.join(file);
        files::write_atomic(&path, |w| w.write_all(text.as_bytes())).map_err(|e| codes::unwritable(&path, &e))?;
    }
    Ok(())
}

/// Asks for a compiler that is at least this one.
fn manifest(name: &str) -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    format!("[project]\nname = {}\nversion = \"0.1.0\"\nnsm = \">={major}.{minor}\"\n", toml_string(name))
}

fn toml_string(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::FileLoader;
    use crate::driver;

    #[test]
    fn a_new_folder_is_filled_and_a_full_one_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a \"b\"");
        create(&dir).unwrap();
        let text = fs::read_to_string(dir.join("nsm.toml")).unwrap();
        assert!(text.starts_with("[project]\nname = \"a \\\"b\\\"\"\nversion = \"0.1.0\"\nnsm = \">=0."), "{text}");
        let manifest = crate::cli::manifest::Manifest::parse("nsm.toml", &text).unwrap();
        assert_eq!(manifest.version.unwrap().value.to_string(), "0.1.0");
        assert_eq!(fs::read_to_string(dir.join("main.nsm")).unwrap(), CIRCUIT);
        assert_eq!(create(&dir).unwrap_err().code, UNWRITABLE);
    }

    #[test]
    fn the_circuit_compiles_and_is_in_its_layout() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        let (loader, name) = FileLoader::open(dir.path().join("main.nsm").to_str().unwrap()).unwrap();
        let outcome = driver::compile(&loader, &name, &driver::Options::default());
        assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
        assert_eq!(outcome.jobs.len(), 1);
        assert_eq!(crate::fmt::format(&outcome.ast.unwrap(), CIRCUIT), CIRCUIT);
    }
}
