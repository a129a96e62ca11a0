//! Source and data files of a project, and nothing outside it.
//!
//! The project's root is the nearest folder above the file that has an `nsm.toml`, else the file's own folder. Paths are
//! relative to the file they stand in; what leads out of that file's project, by `..`, as an absolute path or through a
//! symbolic link, is refused, and so is everything that is not a regular file. Libraries that the manifest declares are
//! reached by name alone, and hold to the same rule within themselves. Names are paths from the working folder where the
//! file lies below it, else absolute, always with `/`.

use super::project::{Files, MANIFEST, Projects};
use crate::base::{LibraryError, LoadError, Loader, ProjectError};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Largest source file in bytes.
const TEXT_LIMIT: u64 = 16 << 20;
/// Largest data file in bytes.
const DATA_LIMIT: u64 = 4 << 30;
/// The name of a source that came through standard input.
const STDIN: &str = "<stdin>";

/// Reads files of one project and of the libraries that it declares.
#[derive(Debug)]
pub struct FileLoader {
    projects: Projects,
    disk: Disk,
    stdin: Option<String>,
}

/// The file system as seen from the working folder.
#[derive(Debug)]
struct Disk {
    /// Canonical.
    working: PathBuf,
}

impl FileLoader {
    /// A loader for the project of `file` (`-` is standard input) and the file's name in it. The file can be read.
    pub fn open(file: &str) -> Result<(FileLoader, String), LoadError> {
        let disk = Disk { working: fs::canonicalize(".").map_err(|e| error(&e))? };
        if file == "-" {
            let text = text_from(io::stdin().lock())?;
            let projects = Projects::open(&disk.working, &disk);
            return Ok((FileLoader { projects, disk, stdin: Some(text) }, STDIN.to_string()));
        }
        let path = fs::canonicalize(file).map_err(|e| error(&e))?;
        let projects = Projects::open(path.parent().unwrap_or(&path), &disk);
        let loader = FileLoader { projects, disk, stdin: None };
        let name = loader.disk.shown(&path);
        loader.text(&name)?;
        Ok((loader, name))
    }

    /// The canonical path of a name, which may be of a file that sema put together from a folder and a word.
    fn path(&self, name: &str) -> Result<PathBuf, LoadError> {
        let path = fs::canonicalize(self.disk.working.join(name)).map_err(|e| error(&e))?;
        if self.projects.contain(&path) { Ok(path) } else { Err(self.outside(self.projects.main())) }
    }

    fn outside(&self, root: &Path) -> LoadError {
        let shown = self.disk.shown(root);
        let project = if shown.is_empty() { ".".to_string() } else { shown };
        LoadError::Outside { project, manifest: root.join(MANIFEST).is_file() }
    }

    /// What lies directly in a folder of the projects, as canonical paths.
    fn entries(&self, folder: &str) -> Option<Vec<PathBuf>> {
        let path = self.path(folder).ok().filter(|p| p.is_dir())?;
        let entries = fs::read_dir(path).ok()?.filter_map(|e| fs::canonicalize(e.ok()?.path()).ok());
        Some(entries.filter(|p| self.projects.contain(p)).collect())
    }

    fn open_file(&self, name: &str, limit: u64) -> Result<fs::File, LoadError> {
        self.disk.open(&self.path(name)?, limit)
    }
}

impl Disk {
    fn open(&self, path: &Path, limit: u64) -> Result<fs::File, LoadError> {
        // Opening a pipe would wait for a writer, so this comes first.
        let meta = fs::metadata(path).map_err(|e| error(&e))?;
        if !meta.is_file() {
            return Err(LoadError::Io("it is not a regular file".to_string()));
        }
        if meta.len() > limit {
            return Err(LoadError::TooLarge { bytes: meta.len(), limit });
        }
        fs::File::open(path).map_err(|e| error(&e))
    }
}

impl Files for Disk {
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok().filter(|p| p.is_dir())
    }

    fn text(&self, path: &Path) -> Result<String, LoadError> {
        text_from(self.open(path, TEXT_LIMIT)?)
    }

    fn shown(&self, path: &Path) -> String {
        let shown = path.strip_prefix(&self.working).unwrap_or(path);
        shown.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    }
}

impl Loader for FileLoader {
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError> {
        let written = Path::new(path);
        let from = self.disk.working.join(from);
        let folder = from.parent().unwrap_or(&self.disk.working);
        let root = self.projects.root_of(folder);
        let outside = || Err(self.outside(root));
        if written.is_absolute() {
            return outside();
        }
        // Before the file system is asked, so that nobody learns what exists outside.
        let mut target = folder.to_path_buf();
        for part in written.components() {
            match part {
                Component::ParentDir if target == root || !target.pop() => return outside(),
                Component::ParentDir | Component::CurDir => {}
                Component::Normal(name) => target.push(name),
                Component::RootDir | Component::Prefix(_) => return outside(),
            }
        }
        if !target.starts_with(root) {
            return outside();
        }
        let found = fs::canonicalize(&target).map_err(|e| error(&e))?;
        if !found.starts_with(root) {
            return outside();
        }
        Ok(self.disk.shown(&found))
    }

    fn folder(&self, name: &str) -> Option<Vec<String>> {
        let sources =
            self.entries(name)?.into_iter().filter(|p| p.is_file() && p.extension().is_some_and(|x| x == "nsm"));
        let mut names: Vec<String> = sources.map(|p| self.disk.shown(&p)).collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    fn subfolders(&self, folder: &str) -> Vec<String> {
        let folders = self.entries(folder).unwrap_or_default().into_iter().filter(|p| p.is_dir());
        let name = |p: PathBuf| Some(p.file_name()?.to_string_lossy().into_owned());
        let mut names: Vec<String> = folders.filter_map(name).filter(|n| !n.starts_with('.')).collect();
        names.sort();
        names.dedup();
        names
    }

    fn library(&self, from: &str, name: &str) -> Result<String, LibraryError> {
        let from = self.disk.working.join(from);
        self.projects.library(&from, name).map(|folder| self.disk.shown(folder))
    }

    fn project(&self) -> Result<(), Box<ProjectError>> {
        self.projects.fault().map_or(Ok(()), |e| Err(Box::new(e.clone())))
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

    fn outside(dir: &tempfile::TempDir) -> LoadError {
        let project = fs::canonicalize(dir.path().join("p")).unwrap().to_string_lossy().into_owned();
        LoadError::Outside { project, manifest: true }
    }

    #[test]
    fn paths_stay_inside_the_project() {
        let (dir, loader, main) = project_folder();
        let a = loader.resolve(&main, "../a.nsm").unwrap();
        assert_eq!(loader.text(&a).unwrap(), "a");
        // One file by two paths has one name.
        assert_eq!(loader.resolve(&a, "deep/../a.nsm").unwrap(), a);
        let outside = Err(outside(&dir));
        assert_eq!(loader.resolve(&main, "../../../out.nsm"), outside);
        assert_eq!(loader.resolve(&main, "../../../nothing.nsm"), outside);
        assert_eq!(loader.resolve(&main, "../../../p/lib/a.nsm"), outside);
        assert_eq!(loader.resolve(&main, "/etc/passwd"), outside);
        assert_eq!(loader.resolve(&main, "none.nsm"), Err(LoadError::NotFound));
        assert_eq!(loader.text("/etc/passwd"), outside);
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
        assert_eq!(loader.resolve(&main, "link.nsm"), Err(outside(&dir)));
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
