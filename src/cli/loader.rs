//! Source and data files of a project, and nothing outside it.
//!
//! The project's root is the nearest folder above the file that has an `nsm.toml`, else the file's own folder. Paths are
//! relative to the file they stand in; what leads out of the root, by `..`, as an absolute path or through a symbolic link,
//! is refused, and so is everything that is not a regular file. Names are paths from the working folder where the file lies
//! below it, else absolute, always with `/`.

use crate::base::{LoadError, Loader};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Largest source file in bytes.
const TEXT_LIMIT: u64 = 16 << 20;
/// Largest data file in bytes.
const DATA_LIMIT: u64 = 4 << 30;
/// The name of a source that came through standard input.
const STDIN: &str = "<stdin>";

/// Reads files of one project.
#[derive(Debug)]
pub struct FileLoader {
    /// Canonical.
    root: PathBuf,
    /// Canonical.
    working: PathBuf,
    stdin: Option<String>,
}

impl FileLoader {
    /// A loader for the project of `file` (`-` is standard input) and the file's name in it. The file can be read.
    pub fn open(file: &str) -> Result<(FileLoader, String), LoadError> {
        let working = fs::canonicalize(".").map_err(|e| error(&e))?;
        if file == "-" {
            let text = text_from(io::stdin().lock())?;
            let root = project(&working);
            return Ok((FileLoader { root, working, stdin: Some(text) }, STDIN.to_string()));
        }
        let path = fs::canonicalize(file).map_err(|e| error(&e))?;
        let loader = FileLoader { root: project(path.parent().unwrap_or(&path)), working, stdin: None };
        let name = loader.name(&path);
        loader.text(&name)?;
        Ok((loader, name))
    }

    fn name(&self, path: &Path) -> String {
        let shown = path.strip_prefix(&self.working).unwrap_or(path);
        shown.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// The canonical path of a name, which may be of a file that sema put together from a folder and a word.
    fn path(&self, name: &str) -> Result<PathBuf, LoadError> {
        let path = fs::canonicalize(self.working.join(name)).map_err(|e| error(&e))?;
        if path.starts_with(&self.root) { Ok(path) } else { Err(LoadError::Outside) }
    }

    fn open_file(&self, name: &str, limit: u64) -> Result<fs::File, LoadError> {
        let path = self.path(name)?;
        // Opening a pipe would wait for a writer, so this comes first.
        let meta = fs::metadata(&path).map_err(|e| error(&e))?;
        if !meta.is_file() {
            return Err(LoadError::Io("it is not a regular file".to_string()));
        }
        if meta.len() > limit {
            return Err(LoadError::TooLarge { bytes: meta.len(), limit });
        }
        fs::File::open(path).map_err(|e| error(&e))
    }
}

impl Loader for FileLoader {
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError> {
        let written = Path::new(path);
        if written.is_absolute() {
            return Err(LoadError::Outside);
        }
        let from = self.working.join(from);
        let folder = from.parent().unwrap_or(&self.working);
        // Before the file system is asked, so that nobody learns what exists outside.
        let mut target = folder.to_path_buf();
        for part in written.components() {
            match part {
                Component::ParentDir if target == self.root || !target.pop() => return Err(LoadError::Outside),
                Component::ParentDir | Component::CurDir => {}
                Component::Normal(name) => target.push(name),
                Component::RootDir | Component::Prefix(_) => return Err(LoadError::Outside),
            }
        }
        if !target.starts_with(&self.root) {
            return Err(LoadError::Outside);
        }
        let found = fs::canonicalize(&target).map_err(|e| error(&e))?;
        if !found.starts_with(&self.root) {
            return Err(LoadError::Outside);
        }
        Ok(self.name(&found))
    }

    fn folder(&self, name: &str) -> Option<Vec<String>> {
        let path = self.path(name).ok().filter(|p| p.is_dir())?;
        let entries = fs::read_dir(path).ok()?;
        let files = entries.filter_map(|e| fs::canonicalize(e.ok()?.path()).ok());
        let sources = files.filter(|p| p.is_file() && p.extension().is_some_and(|x| x == "nsm"));
        let mut names: Vec<String> = sources.filter(|p| p.starts_with(&self.root)).map(|p| self.name(&p)).collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        match &self.stdin {
            Some(text) if name == STDIN => Ok(text.clone()),
            _ => text_from(self.open_file(name, TEXT_LIMIT)?),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        bounded(self.open_file(name, DATA_LIMIT)?, DATA_LIMIT)
    }
}

/// The nearest folder at or above `folder` with an `nsm.toml`, else `folder`.
fn project(folder: &Path) -> PathBuf {
    folder.ancestors().find(|a| a.join("nsm.toml").is_file()).unwrap_or(folder).to_path_buf()
}

fn text_from(reader: impl Read) -> Result<String, LoadError> {
    let bytes = bounded(reader, TEXT_LIMIT)?;
    String::from_utf8(bytes).map_err(|e| LoadError::NotUtf8 { valid_up_to: e.utf8_error().valid_up_to() })
}

/// A file may grow while it is read; a stream tells its length only at the end.
fn bounded(reader: impl Read, limit: u64) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|e| error(&e))?;
    if bytes.len() as u64 > limit {
        return Err(LoadError::TooLarge { bytes: bytes.len() as u64, limit });
    }
    Ok(bytes)
}

fn error(e: &io::Error) -> LoadError {
    match e.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound,
        _ => LoadError::Io(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project in a folder `p` with a file beside it.
    fn project_folder() -> (tempfile::TempDir, FileLoader, String) {
        let dir = tempfile::tempdir().unwrap();
        let p = dir.path().join("p");
        fs::create_dir_all(p.join("lib/deep")).unwrap();
        for (name, text) in
            [("p/nsm.toml", ""), ("p/lib/a.nsm", "a"), ("p/lib/b.nsm", "b"), ("p/lib/c.txt", "c"), ("out.nsm", "x")]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::write(p.join("lib/deep/main.nsm"), "main").unwrap();
        let (loader, name) = FileLoader::open(p.join("lib/deep/main.nsm").to_str().unwrap()).unwrap();
        (dir, loader, name)
    }

    #[test]
    fn paths_stay_inside_the_project() {
        let (_dir, loader, main) = project_folder();
        let a = loader.resolve(&main, "../a.nsm").unwrap();
        assert_eq!(loader.text(&a).unwrap(), "a");
        // One file by two paths has one name.
        assert_eq!(loader.resolve(&a, "deep/../a.nsm").unwrap(), a);
        assert_eq!(loader.resolve(&main, "../../../out.nsm"), Err(LoadError::Outside));
        assert_eq!(loader.resolve(&main, "../../../nothing.nsm"), Err(LoadError::Outside));
        assert_eq!(loader.resolve(&main, "../../../p/lib/a.nsm"), Err(LoadError::Outside));
        assert_eq!(loader.resolve(&main, "/etc/passwd"), Err(LoadError::Outside));
        assert_eq!(loader.resolve(&main, "none.nsm"), Err(LoadError::NotFound));
        assert_eq!(loader.text("/etc/passwd"), Err(LoadError::Outside));
    }

    #[test]
    fn folders_list_their_sources() {
        let (_dir, loader, main) = project_folder();
        let lib = loader.resolve(&main, "..").unwrap();
        let names = loader.folder(&lib).unwrap();
        let tails: Vec<&str> = names.iter().filter_map(|n| n.rsplit('/').next()).collect();
        assert_eq!(tails, ["a.nsm", "b.nsm"]);
        assert_eq!(loader.folder(&names[0]), None);
        assert!(matches!(loader.text(&lib), Err(LoadError::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_are_refused() {
        let (dir, loader, main) = project_folder();
        let deep = dir.path().join("p/lib/deep");
        std::os::unix::fs::symlink(dir.path().join("out.nsm"), deep.join("link.nsm")).unwrap();
        assert_eq!(loader.resolve(&main, "link.nsm"), Err(LoadError::Outside));
        std::os::unix::fs::symlink(dir.path().join("p/lib/a.nsm"), deep.join("inner.nsm")).unwrap();
        assert_eq!(loader.text(&loader.resolve(&main, "inner.nsm").unwrap()).unwrap(), "a");
        assert!(matches!(FileLoader::open("/dev/zero"), Err(LoadError::Io(_))));
    }

    #[test]
    fn bad_texts_are_told() {
        let (dir, loader, main) = project_folder();
        fs::write(dir.path().join("p/lib/deep/latin.nsm"), b"ab\xe4").unwrap();
        let latin = loader.resolve(&main, "latin.nsm").unwrap();
        assert_eq!(loader.text(&latin), Err(LoadError::NotUtf8 { valid_up_to: 2 }));
        let large = fs::File::create(dir.path().join("p/lib/deep/large.nsm")).unwrap();
        large.set_len(TEXT_LIMIT + 1).unwrap();
        let large = loader.resolve(&main, "large.nsm").unwrap();
        assert_eq!(loader.text(&large), Err(LoadError::TooLarge { bytes: TEXT_LIMIT + 1, limit: TEXT_LIMIT }));
        assert_eq!(loader.bytes(&large).unwrap().len() as u64, TEXT_LIMIT + 1);
    }
}
