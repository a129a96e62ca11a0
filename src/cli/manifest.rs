//! `nsm.toml`: what a project is called, which version it has, which compiler it needs and which libraries it uses.
//!
//! Reads text and nothing else; where libraries lie and whether they fit is the business of `project`. An empty manifest is
//! fine: it marks the root of a project. Versions and requirements are those of semver.org, as cargo reads them: `"0.2"`
//! means 0.2.0 or later, below 0.3.0.

use crate::base::{ManifestPlace, ProjectError, ProjectFault};
use semver::{Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

/// A parsed manifest, with its text for messages.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    /// As messages name the file.
    pub file: String,
    pub text: String,
    pub name: Option<String>,
    pub version: Option<Stated<Version>>,
    /// Versions of this program that the project works with.
    pub nsm: Option<Stated<VersionReq>>,
    pub dependencies: BTreeMap<String, Dependency>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Stated<T> {
    pub value: T,
    pub place: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Dependency {
    /// A folder, from that of the manifest.
    pub path: Stated<String>,
    pub version: Option<Stated<VersionReq>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    project: Option<ProjectTable>,
    dependencies: BTreeMap<String, Spanned<DependencyTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTable {
    name: Spanned<String>,
    version: Option<Spanned<String>>,
    nsm: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DependencyTable {
    path: Spanned<String>,
    version: Option<Spanned<String>>,
}

impl Manifest {
    /// Reads the text of `file`. One fault is told at a time: the rest may follow from it.
    pub fn parse(file: &str, text: &str) -> Result<Manifest, Box<ProjectError>> {
        let mut out = Manifest {
            file: file.to_string(),
            text: text.to_string(),
            name: None,
            version: None,
            nsm: None,
            dependencies: BTreeMap::new(),
        };
        let parsed: File = toml::from_str(text).map_err(|e| {
            let help = "it has [project] with name, version, nsm, and [dependencies] with name = { path, version }";
            out.fault(e.span().unwrap_or(0..0), "not understood", e.message(), help)
        })?;
        if let Some(project) = parsed.project {
            if project.name.get_ref().trim().is_empty() {
                return Err(out.fault(project.name.span(), "empty", "a project has a name", "give it one"));
            }
            out.name = Some(project.name.get_ref().clone());
            out.version = project.version.map(|v| out.version_of(&v)).transpose()?;
            out.nsm = project.nsm.map(|v| out.requirement(&v)).transpose()?;
        }
        for (name, table) in parsed.dependencies {
            if !is_name(&name) {
                let help =
                    "a name is letters, digits and `_`, and no digit first: it stands in `use NAME.module.Thing`";
                return Err(out.fault(table.span(), &format!("of `{name}`"), "a dependency has no name of .nsm", help));
            }
            if name == "std" {
                let help = "choose another name; the names left of `=` are yours to choose";
                return Err(out.fault(table.span(), "of `std`", "`std` is the standard library", help));
            }
            let table = table.into_inner();
            let version = table.version.map(|v| out.requirement(&v)).transpose()?;
            let path = Stated { place: table.path.span(), value: table.path.into_inner() };
            out.dependencies.insert(name, Dependency { path, version });
        }
        Ok(out)
    }

    fn version_of(&self, text: &Spanned<String>) -> Result<Stated<Version>, Box<ProjectError>> {
        match Version::parse(text.get_ref()) {
            Ok(value) => Ok(Stated { value, place: text.span() }),
            Err(e) => {
                let help = "a version has three numbers: \"0.2.0\"";
                Err(self.fault(text.span(), &e.to_string(), &format!("`{}` is no version", text.get_ref()), help))
            }
        }
    }

    fn requirement(&self, text: &Spanned<String>) -> Result<Stated<VersionReq>, Box<ProjectError>> {
        match VersionReq::parse(text.get_ref()) {
            Ok(value) => Ok(Stated { value, place: text.span() }),
            Err(e) => {
                let message = format!("`{}` is no requirement of a version", text.get_ref());
                let help = "write \"0.2\" (0.2.0 or later, below 0.3.0), \">=0.2\" or \"=0.2.1\"";
                Err(self.fault(text.span(), &e.to_string(), &message, help))
            }
        }
    }

    fn fault(&self, place: Range<usize>, label: &str, message: &str, help: &str) -> Box<ProjectError> {
        Box::new(ProjectError {
            fault: ProjectFault::Manifest,
            message: format!("`{}` is no manifest that can be used: {}", self.file, message.trim_end()),
            places: vec![self.place(place, label)],
            help: Some(help.to_string()),
        })
    }

    pub fn place(&self, place: Range<usize>, label: &str) -> ManifestPlace {
        ManifestPlace {
            file: self.file.clone(),
            text: self.text.clone(),
            start: place.start,
            end: place.end,
            label: label.to_string(),
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[project]\nname = \"maze\"\nversion = \"0.3.1\"\nnsm = \">=0.1\"\n\n[dependencies]\n\
                        cells = { path = \"../cells\", version = \"0.2\" }\nodd = { path = \"odd\" }\n";

    #[test]
    fn a_manifest_says_what_it_says() {
        let m = Manifest::parse("nsm.toml", GOOD).unwrap();
        assert_eq!(m.version.unwrap().value, Version::new(0, 3, 1));
        let cells = &m.dependencies["cells"];
        assert_eq!(cells.path.value, "../cells");
        let wanted = cells.version.as_ref().unwrap();
        assert!(wanted.value.matches(&Version::new(0, 2, 7)) && !wanted.value.matches(&Version::new(0, 3, 0)));
        assert_eq!(&GOOD[wanted.place.clone()], "\"0.2\"");
        assert!(m.dependencies["odd"].version.is_none());
        assert!(Manifest::parse("nsm.toml", "").unwrap().dependencies.is_empty());
    }

    #[test]
    fn faults_are_told_where_they_stand() {
        let cases = [
            ("[project]\nname = \"a\"\nverson = \"1\"\n", "verson", "unknown field"),
            ("[project]\nname = \"a\"\nversion = \"1\"\n", "\"1\"", "`1` is no version"),
            ("[project]\nname = \"a\"\nnsm = \"new\"\n", "\"new\"", "is no requirement"),
            ("[project]\nname = \"\"\n", "\"\"", "has a name"),
            ("[project\n", "", "is no manifest"),
            ("[dependencies]\nstd = { path = \"x\" }\n", "{ path = \"x\" }", "standard library"),
            ("[dependencies]\n\"a-b\" = { path = \"x\" }\n", "{ path = \"x\" }", "no name of .nsm"),
            ("[dependencies]\na = { version = \"1\" }\n", "{ version = \"1\" }", "missing field `path`"),
        ];
        for (text, marked, message) in cases {
            let e = Manifest::parse("nsm.toml", text).unwrap_err();
            assert!(e.message.contains(message), "{}: {}", text, e.message);
            let place = &e.places[0];
            assert!(text[place.start..place.end].contains(marked), "{text}: {}", &text[place.start..place.end]);
            assert_eq!(e.fault, ProjectFault::Manifest);
        }
    }
}
