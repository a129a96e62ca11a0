//! Projects and the libraries that they declare: which folder goes by which name, and whether its version fits.
//!
//! A project is a folder with an `nsm.toml`, or the folder of a lone file. All that a project reaches is looked up when it is
//! opened; what is wrong with a library is kept and told when something is imported from it.

use super::manifest::Manifest;
use crate::base::{LibraryError, LoadError, ProjectError, ProjectFault};
use semver::Version;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of a manifest.
pub(super) const MANIFEST: &str = "nsm.toml";
/// Projects that one project may reach; a library's library counts too.
const PROJECT_LIMIT: usize = 256;

/// What the file system is asked for; names are for messages.
pub(super) trait Files {
    /// The canonical path of an existing folder.
    fn folder(&self, path: &Path) -> Option<PathBuf>;
    fn text(&self, path: &Path) -> Result<String, LoadError>;
    fn shown(&self, path: &Path) -> String;
}

#[derive(Debug)]
struct Project {
    /// Canonical.
    root: PathBuf,
    /// What is wrong with its own manifest.
    fault: Option<Box<ProjectError>>,
    libraries: BTreeMap<String, Result<PathBuf, Box<ProjectError>>>,
}

/// The main project first, then the libraries that it and they declare.
#[derive(Debug)]
pub(super) struct Projects {
    all: Vec<Project>,
}

impl Projects {
    /// The project of the folder `start` (canonical): that of the nearest manifest at or above it.
    pub fn open(start: &Path, files: &impl Files) -> Projects {
        let main = start.ancestors().find(|a| a.join(MANIFEST).is_file()).unwrap_or(start).to_path_buf();
        let mut out = Projects { all: Vec::new() };
        let mut wanted = vec![main];
        while let Some(root) = wanted.pop() {
            if out.all.iter().any(|p| p.root == root) || out.all.len() >= PROJECT_LIMIT {
                continue;
            }
            let project = load(root, files);
            wanted.extend(project.libraries.values().filter_map(|l| l.as_ref().ok().cloned()));
            out.all.push(project);
        }
        out
    }

    /// The root of the main project.
    pub fn main(&self) -> &Path {
        self.all.first().map_or(Path::new(""), |p| p.root.as_path())
    }

    /// Whether a canonical path lies in the project or a declared library.
    pub fn contain(&self, path: &Path) -> bool {
        self.all.iter().any(|p| path.starts_with(&p.root))
    }

    /// The root of the innermost project around a path; the main project's where there is none.
    pub fn root_of(&self, path: &Path) -> &Path {
        self.around(path).map_or(self.main(), |p| p.root.as_path())
    }

    fn around(&self, path: &Path) -> Option<&Project> {
        let around = self.all.iter().filter(|p| path.starts_with(&p.root));
        around.max_by_key(|p| p.root.components().count())
    }

    /// The folder of the library `name` of the project around `from`.
    pub fn library(&self, from: &Path, name: &str) -> Result<&Path, LibraryError> {
        let Some(project) = self.around(from).or(self.all.first()) else {
            return Err(LibraryError::Undeclared(Vec::new()));
        };
        match project.libraries.get(name) {
            Some(Ok(folder)) => Ok(folder),
            Some(Err(e)) => Err(LibraryError::Faulty(e.clone())),
            None => Err(LibraryError::Undeclared(project.libraries.keys().cloned().collect())),
        }
    }

    /// What is wrong with the main project.
    pub fn fault(&self) -> Option<&ProjectError> {
        self.all.first().and_then(|p| p.fault.as_deref())
    }
}

fn load(root: PathBuf, files: &impl Files) -> Project {
    let mut project = Project { root, fault: None, libraries: BTreeMap::new() };
    if !project.root.join(MANIFEST).is_file() {
        return project;
    }
    match manifest(&project.root, files) {
        Ok(manifest) => {
            project.fault = compiler(&manifest);
            for name in manifest.dependencies.keys() {
                project.libraries.insert(name.clone(), library(&project.root, &manifest, name, files));
            }
            // Its tests and examples import it as its users do.
            if let Some(own) = manifest.name {
                project.libraries.entry(own).or_insert(Ok(project.root.clone()));
            }
        }
        Err(e) => project.fault = Some(e),
    }
    project
}

fn manifest(root: &Path, files: &impl Files) -> Result<Manifest, Box<ProjectError>> {
    let path = root.join(MANIFEST);
    let shown = files.shown(&path);
    let text = files.text(&path).map_err(|e| {
        let why = match e {
            LoadError::NotFound => "it is not there".to_string(),
            LoadError::Outside { .. } => "it leads out of its folder".to_string(),
            LoadError::NotUtf8 { valid_up_to } => format!("byte {valid_up_to} is not UTF-8"),
            LoadError::TooLarge { bytes, limit } => format!("it has {bytes} bytes, more than {limit}"),
            LoadError::Io(why) => why,
        };
        Box::new(ProjectError {
            fault: ProjectFault::Manifest,
            message: format!("`{shown}` can't be read: {why}"),
            places: Vec::new(),
            help: None,
        })
    })?;
    Manifest::parse(&shown, &text)
}

/// Whether this program is one that the project works with.
fn compiler(manifest: &Manifest) -> Option<Box<ProjectError>> {
    let wanted = manifest.nsm.as_ref()?;
    let here = Version::parse(env!("CARGO_PKG_VERSION")).ok()?;
    if wanted.value.matches(&here) {
        return None;
    }
    Some(Box::new(ProjectError {
        fault: ProjectFault::Compiler,
        message: format!("`{}` needs nsm {}, and this is nsmc {here}", manifest.file, wanted.value),
        places: vec![manifest.place(wanted.place.clone(), "required here")],
        help: Some("install a version that fits, or change `nsm` if the project works with this one".to_string()),
    }))
}

fn library(root: &Path, own: &Manifest, name: &str, files: &impl Files) -> Result<PathBuf, Box<ProjectError>> {
    let declared = &own.dependencies[name];
    let at = |label: &str| own.place(declared.path.place.clone(), label);
    let missing = |message: String, label: &str| {
        Box::new(ProjectError {
            fault: ProjectFault::Missing,
            message,
            places: vec![at(label)],
            help: Some(format!("a path is that of a folder with an {MANIFEST}, from the folder of `{}`", own.file)),
        })
    };
    let written = root.join(&declared.path.value);
    let folder = files
        .folder(&written)
        .ok_or_else(|| missing(format!("the library `{name}` is not there"), "there is no such folder"))?;
    if !folder.join(MANIFEST).is_file() {
        return Err(missing(format!("the library `{name}` has no {MANIFEST}"), "a folder, but no project"));
    }
    let theirs = manifest(&folder, files)?;
    if let Some(e) = compiler(&theirs) {
        return Err(e);
    }
    let Some(wanted) = &declared.version else { return Ok(folder) };
    let required = own.place(wanted.place.clone(), "required here");
    let (message, found) = match &theirs.version {
        Some(v) if wanted.value.matches(&v.value) => return Ok(folder),
        Some(v) => {
            let text = format!("the library `{name}` has version {}, and {} is required", v.value, wanted.value);
            (text, Some(theirs.place(v.place.clone(), "its version")))
        }
        None => (format!("the library `{name}` states no version, and {} is required", wanted.value), None),
    };
    let help = match &theirs.version {
        Some(v) => format!("require what is there (version = \"{}\"), or bring the version that is required", v.value),
        None => format!("add `version = \"...\"` under [project] of `{}`", theirs.file),
    };
    let places = std::iter::once(required).chain(found).collect();
    Err(Box::new(ProjectError { fault: ProjectFault::Version, message, places, help: Some(help) }))
}
