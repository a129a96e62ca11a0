//! Source files, byte spans in them, and the door through which imports reach files.
//!
//! Nothing here touches the file system: the command line hands in a [`Loader`], tests hand in a map.

use std::fmt;
use std::sync::Arc;

/// A file of the [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A half-open range of bytes in one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that holds both; both must be of one file.
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.file, other.file);
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.file.0, self.start, self.end)
    }
}

/// One file: its name as the user would write it, and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub name: String,
    pub text: Arc<str>,
    /// Offsets at which lines begin.
    lines: Vec<u32>,
}

/// All files of one compilation, in the order in which they were first read.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        let text: Arc<str> = text.into();
        let ends = text.bytes().zip(1..).filter(|(b, _)| *b == b'\n').map(|(_, next)| next);
        let lines = std::iter::once(0).chain(ends).collect();
        self.files.push(SourceFile { name: name.into(), text, lines });
        FileId(self.files.len() as u32 - 1)
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    pub fn snippet(&self, span: Span) -> &str {
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// 1-based line and column (in characters) of a byte offset.
    pub fn line_column(&self, file: FileId, offset: u32) -> (usize, usize) {
        let SourceFile { text, lines, .. } = self.file(file);
        let offset = (offset as usize).min(text.len());
        let line = lines.partition_point(|begin| *begin as usize <= offset);
        let column = text[lines[line - 1] as usize..offset].chars().count() + 1;
        (line, column)
    }

    /// Where a span begins, as messages name it: `file:line:column`.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.line_column(span.file, span.start);
        format!("{}:{line}:{column}", self.file(span.file).name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(k, f)| (FileId(k as u32), f))
    }
}

/// Why a file could not be had.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadError {
    NotFound,
    /// The path leaves the folder of its project; the flag says whether a manifest lies there.
    Outside {
        project: String,
        manifest: bool,
    },
    NotUtf8 {
        valid_up_to: usize,
    },
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    Io(String),
}

/// What is wrong with a project's manifest or with a library that it declares, as whoever reads manifests tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectError {
    pub fault: ProjectFault,
    pub message: String,
    /// In manifests, the likeliest fault first.
    pub places: Vec<ManifestPlace>,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectFault {
    /// A manifest that can't be understood.
    Manifest,
    /// A library that is not where the manifest says.
    Missing,
    /// A library of another version than the one required.
    Version,
    /// A project that requires another version of the compiler.
    Compiler,
}

/// Bytes `start .. end` of a manifest, with its whole text: it is no source of the program and so in no source map yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestPlace {
    pub file: String,
    pub text: String,
    pub start: usize,
    pub end: usize,
    pub label: String,
}

/// Why a library could not be had by its name.
#[derive(Clone, Debug, PartialEq)]
pub enum LibraryError {
    /// The project declares none of this name; these are the ones it declares.
    Undeclared(Vec<String>),
    Faulty(Box<ProjectError>),
}

/// How imports and data files are reached. `from` is the name of the importing file.
///
/// A loader answers with the canonical name of what it found, so that one file reached by two paths is one module.
pub trait Loader {
    /// Names the file that `path`, written in `from`, means; `Err` if it lies outside the project or does not exist.
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError>;
    /// The `.nsm` files of a folder, sorted by name; `None` if `name` is not a folder.
    fn folder(&self, name: &str) -> Option<Vec<String>>;
    fn text(&self, name: &str) -> Result<String, LoadError>;
    /// Names of the folders directly inside a folder that may hold sources, sorted; for suggestions only.
    fn subfolders(&self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
    /// The folder of the library that the project of `from` declares as `name`. Without projects there are none.
    fn library(&self, _from: &str, _name: &str) -> Result<String, LibraryError> {
        Err(LibraryError::Undeclared(Vec::new()))
    }
    /// What is wrong with the main project itself.
    fn project(&self) -> Result<(), Box<ProjectError>> {
        Ok(())
    }
    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError>;
}
