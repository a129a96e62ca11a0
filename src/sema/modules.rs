//! Files, folders and imports: which name of a `use` means what.

use super::error::*;
use super::scope::{Entity, ScopeId};
use super::{Module, ModuleId, ModuleState, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, LibraryError, LoadError, ProjectError, ProjectFault, Span};
use crate::syntax::ast;
use std::rc::Rc;

/// Files of one program, and how deep imports may nest.
const FILE_LIMIT: usize = 1000;

impl Sema<'_> {
    /// Loads, parses and declares a file and, before it, what it imports. `from` is the place of the `use`, if any.
    pub(super) fn module(&mut self, name: &str, from: Option<Span>) -> Option<ModuleId> {
        let id = self.parsed(name, from)?;
        match self.modules[id.0].state {
            ModuleState::Declared => return Some(id),
            ModuleState::Loading => {
                let start = self.loading.iter().position(|n| n == name).unwrap_or(0);
                let mut chain: Vec<&str> = self.loading[start..].iter().map(String::as_str).collect();
                chain.push(name);
                let mut d = Diagnostic::error(IMPORT_CYCLE, "files import each other in a circle")
                    .help("move what both need into a third file");
                if let Some(span) = from {
                    d = d.label(span, format!("closes the circle {}", chain.join(" -> ")));
                }
                self.diags.push(d);
                return None;
            }
            ModuleState::Parsed => {}
        }
        self.modules[id.0].state = ModuleState::Loading;
        self.loading.push(name.to_string());
        self.declare_file(id);
        self.loading.pop();
        self.modules[id.0].state = ModuleState::Declared;
        Some(id)
    }

    /// Loads and parses a file, once.
    fn parsed(&mut self, name: &str, from: Option<Span>) -> Option<ModuleId> {
        if let Some(id) = self.by_name.get(name) {
            return Some(*id);
        }
        if self.modules.len() >= FILE_LIMIT {
            self.diags.push(Diagnostic::error(UNREADABLE, format!("more than {FILE_LIMIT} files are imported")));
            return None;
        }
        let text = match self.loader.text(name) {
            Ok(text) => text,
            Err(e) => {
                self.load_error(name, e, from);
                return None;
            }
        };
        let file = self.sources.add(name, text.as_str());
        let parsed = crate::syntax::parse(file, &text);
        for e in parsed.errors {
            self.diags.push(e.into_diagnostic());
        }
        self.lost.extend(parsed.lost);
        let id = ModuleId(self.modules.len());
        let scope = self.new_scope(None);
        self.modules.push(Module {
            name: name.to_string(),
            scope,
            ast: Rc::new(parsed.file),
            state: ModuleState::Parsed,
            main: !name.starts_with("std/") && from.is_none(),
            exports: Vec::new(),
        });
        self.by_name.insert(name.to_string(), id);
        Some(id)
    }

    pub(super) fn load_error(&mut self, path: &str, e: LoadError, from: Option<Span>) {
        let (code, message, help) = match e {
            LoadError::NotFound => (
                FILE_NOT_FOUND,
                format!("there is no file `{path}`"),
                Some("paths are relative to the file they are written in, with `/`".to_string()),
            ),
            LoadError::Outside { project, manifest } => (
                OUTSIDE_PROJECT,
                format!("`{path}` lies outside the project, which is the folder `{project}`"),
                Some(
                    if manifest {
                        "its nsm.toml lies there: copy the file in, or declare its folder as a library of \
                         [dependencies]"
                    } else {
                        "without an nsm.toml a project is the folder of its main file: put one, which may be empty, \
                         into a folder above that holds both, or copy the file in"
                    }
                    .to_string(),
                ),
            ),
            LoadError::NotUtf8 { valid_up_to } => (
                NOT_UTF8,
                format!("`{path}` is not UTF-8 text (byte {valid_up_to} is the first bad one)"),
                Some("save the file with the encoding UTF-8".to_string()),
            ),
            LoadError::TooLarge { bytes, limit } => {
                (UNREADABLE, format!("`{path}` has {bytes} bytes; a source file has at most {limit}"), None)
            }
            LoadError::Io(why) => (UNREADABLE, format!("`{path}` can't be read: {why}"), None),
        };
        let mut d = Diagnostic::error(code, message).maybe_help(help);
        if let Some(span) = from {
            d = d.label(span, "named here");
        }
        self.diags.push(d);
    }

    pub(super) fn import(&mut self, module: ModuleId, u: &ast::Use) {
        let scope = self.modules[module.0].scope;
        let (container, default_name) = match &u.source {
            ast::UseSource::File { text, span } => {
                let from = self.modules[module.0].name.clone();
                let resolved = match self.loader.resolve(&from, text) {
                    Ok(name) => name,
                    Err(e) => {
                        self.load_error(text, e, Some(*span));
                        self.poison_use(scope, u);
                        return;
                    }
                };
                let entity = if self.loader.folder(&resolved).is_some() {
                    Some(Entity::Folder(resolved.clone()))
                } else {
                    self.module(&resolved, Some(*span)).map(Entity::Module)
                };
                (entity, ast::Name { text: file_stem(&resolved).to_string(), span: *span })
            }
            ast::UseSource::Path(path) => (self.import_path(module, path), path.names[path.names.len() - 1].clone()),
        };
        let Some(container) = container else {
            self.poison_use(scope, u);
            return;
        };
        let mut bound: Vec<(ast::Name, Entity)> = Vec::new();
        match &u.select {
            ast::UseSelect::Whole => bound.push((u.alias.clone().unwrap_or(default_name), container)),
            ast::UseSelect::One(name) => {
                if let Some(e) = self.member_of(&container, name) {
                    bound.push((u.alias.clone().unwrap_or_else(|| name.clone()), e));
                } else {
                    self.poison(scope, u.alias.as_ref().unwrap_or(name));
                }
            }
            ast::UseSelect::Many(names) => {
                for name in names {
                    match self.member_of(&container, name) {
                        Some(e) => bound.push((name.clone(), e)),
                        None => self.poison(scope, name),
                    }
                }
                if let Some(alias) = &u.alias {
                    self.diags.push(
                        Diagnostic::error(WRONG_THING, "`as` renames one thing")
                            .label(alias.span, "several are imported here")
                            .help("write one `use ... as ...` for each"),
                    );
                }
            }
        }
        for (name, entity) in bound {
            self.declare(scope, &name, entity.clone());
            if u.export {
                self.modules[module.0].exports.push((name.text.clone(), entity));
            }
        }
    }

    fn poison_use(&mut self, scope: ScopeId, u: &ast::Use) {
        if let Some(alias) = &u.alias {
            self.poison(scope, alias);
            return;
        }
        match &u.select {
            ast::UseSelect::Many(names) => names.iter().for_each(|n| self.poison(scope, n)),
            ast::UseSelect::One(name) => self.poison(scope, name),
            ast::UseSelect::Whole => match &u.source {
                ast::UseSource::Path(p) => {
                    if let Some(last) = p.names.last() {
                        self.poison(scope, last);
                    }
                }
                ast::UseSource::File { text, span } => {
                    self.poison(scope, &ast::Name { text: file_stem(text).to_string(), span: *span });
                }
            },
        }
    }

    /// `std.neurons`, `std.neurons.LifDelta`, `cells.pyramidal.Soma` of a declared dependency `cells`, or in `cells` itself.
    fn import_path(&mut self, module: ModuleId, path: &ast::Path) -> Option<Entity> {
        let head = &path.names[0];
        let folder = match head.text.as_str() {
            "std" => "std".to_string(),
            name => match self.loader.library(&self.modules[module.0].name, name) {
                Ok(folder) => folder,
                Err(LibraryError::Faulty(e)) => {
                    self.project_error(*e, Some(head.span));
                    return None;
                }
                Err(LibraryError::Undeclared(known)) => {
                    self.no_library(head, &known);
                    return None;
                }
            },
        };
        let mut here = Entity::Folder(folder);
        for name in &path.names[1..] {
            here = self.member_of(&here, name)?;
        }
        Some(here)
    }

    fn no_library(&mut self, head: &ast::Name, known: &[String]) {
        let near = did_you_mean(&head.text, known.iter().map(String::as_str).chain(["std"]));
        let help = match near {
            Some(n) => format!("did you mean `{n}`?"),
            None => format!(
                "import a file of yours by its path: use \"lib/cells.nsm\"; or declare the library in nsm.toml: \
                 [dependencies] {} = {{ path = \"...\" }}",
                head.text
            ),
        };
        let label = match known {
            [] => "only `std` is imported by name, for the project declares no dependency".to_string(),
            _ => format!("imported by name are `std` and what nsm.toml names: {}", known.join(", ")),
        };
        self.diags.push(
            Diagnostic::error(UNKNOWN_NAME, format!("there is no library `{}`", head.text))
                .label(head.span, label)
                .help(help),
        );
    }

    /// Tells what is wrong with a manifest: at the `use` that needed it, if there is one, and in the manifests.
    pub(super) fn project_error(&mut self, e: ProjectError, from: Option<Span>) {
        let code = match e.fault {
            ProjectFault::Manifest => MANIFEST,
            ProjectFault::Missing => NO_DEPENDENCY,
            ProjectFault::Version => DEPENDENCY_VERSION,
            ProjectFault::Compiler => COMPILER_VERSION,
        };
        let mut d = Diagnostic::error(code, e.message).maybe_help(e.help);
        if let Some(span) = from {
            d = d.label(span, "imported here");
        }
        for place in e.places {
            let known = self.sources.iter().find(|(_, f)| f.name == place.file).map(|(id, _)| id);
            let file = known.unwrap_or_else(|| self.sources.add(place.file, place.text));
            d = d.label(Span::new(file, place.start, place.end), place.label);
        }
        self.diags.push(d);
    }

    /// A public name of a file or folder. Reports what is missing, and what has no names within.
    pub(super) fn member_of(&mut self, container: &Entity, name: &ast::Name) -> Option<Entity> {
        match container {
            Entity::Module(id) => {
                let found = self.public_name(*id, &name.text);
                if found.is_none() {
                    let all = self.public_names(*id);
                    let file = self.modules[id.0].name.clone();
                    self.not_in_module(&file, name, &all);
                }
                found
            }
            Entity::Folder(folder) => {
                // The working folder itself has the empty name.
                let inside = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let sub = format!("{inside}{}", name.text);
                if self.loader.folder(&sub).is_some() {
                    return Some(Entity::Folder(sub));
                }
                let files = self.loader.folder(folder).unwrap_or_default();
                // A file goes by its own name too, unless it declares a thing of that name.
                let own = format!("{sub}.nsm");
                if files.contains(&own) {
                    let id = self.module(&own, Some(name.span))?;
                    return Some(self.public_name(id, &name.text).unwrap_or(Entity::Module(id)));
                }
                // One model a file is the habit, so look where the name says first: the others need not be parsed.
                let likely = format!("{inside}{}.nsm", snake_case(&name.text));
                let ordered = files.iter().filter(|f| **f == likely).chain(files.iter().filter(|f| **f != likely));
                let mut all = Vec::new();
                for file in ordered {
                    let Some(id) = self.parsed(file, Some(name.span)) else { continue };
                    let names = self.written(id);
                    // The others need not be understood: a file may import from its own folder.
                    if names.contains(&name.text) {
                        self.module(file, Some(name.span))?;
                        return self.public_name(id, &name.text);
                    }
                    all.extend(names.into_iter().filter(|n| !self.shows(id, n)));
                }
                all.extend(self.loader.subfolders(folder));
                self.not_in_module(&folder.replace('/', "."), name, &all);
                None
            }
            // Reported where it went wrong.
            Entity::Poison => None,
            other => {
                self.diags.push(
                    Diagnostic::error(WRONG_THING, format!("{} has no names within", other.words()))
                        .label(name.span, "what stands before it is no file or folder")
                        .help(format!("leave `.{}` out", name.text)),
                );
                None
            }
        }
    }

    fn public_name(&self, module: ModuleId, name: &str) -> Option<Entity> {
        let m = &self.modules[module.0];
        let own = self.scopes[m.scope.0].names.get(name);
        let own = own.filter(|_| !self.imported(module, name));
        own.cloned().or_else(|| m.exports.iter().find(|(n, _)| n == name).map(|(_, e)| e.clone()))
    }

    fn public_names(&self, module: ModuleId) -> Vec<String> {
        let m = &self.modules[module.0];
        let own = self.scopes[m.scope.0].names.keys().filter(|n| !self.imported(module, n)).cloned();
        own.chain(m.exports.iter().map(|(n, _)| n.clone())).collect()
    }

    /// The names that a file gives to others, as its text says.
    fn written(&self, module: ModuleId) -> Vec<String> {
        let mut out = Vec::new();
        for item in &self.modules[module.0].ast.items {
            match &item.kind {
                ast::ItemKind::Let(l) => out.push(l.name.text.clone()),
                ast::ItemKind::Labels(l) => out.extend([&l.name].into_iter().chain(&l.members).map(|n| n.text.clone())),
                ast::ItemKind::Model(m) => out.push(m.name.text.clone()),
                ast::ItemKind::Plasticity(p) => out.push(p.name.text.clone()),
                ast::ItemKind::Sleep(s) => out.push(s.name.text.clone()),
                ast::ItemKind::Network(n) => out.push(n.name.text.clone()),
                ast::ItemKind::Experiment(e) => out.push(e.name.text.clone()),
                ast::ItemKind::Broken { name } => out.extend(name.iter().map(|n| n.text.clone())),
                ast::ItemKind::Use(u) if u.export => out.extend(used_names(u).map(str::to_string)),
                ast::ItemKind::Use(_) => {}
            }
        }
        out
    }

    /// Whether a name is that of a circuit or an experiment: in a folder of models these show what the models do.
    fn shows(&self, module: ModuleId, name: &str) -> bool {
        self.modules[module.0].ast.items.iter().any(|item| match &item.kind {
            ast::ItemKind::Network(n) => !n.region && n.name.text == name,
            ast::ItemKind::Experiment(e) => e.name.text == name,
            _ => false,
        })
    }

    /// Names that a file got by `use` are its own business unless it exports them.
    fn imported(&self, module: ModuleId, name: &str) -> bool {
        self.modules[module.0].ast.items.iter().any(|item| match &item.kind {
            ast::ItemKind::Use(u) => used_names(u).any(|n| n == name),
            _ => false,
        })
    }

    fn not_in_module(&mut self, module: &str, name: &ast::Name, all: &[String]) {
        let near = did_you_mean(&name.text, all.iter().map(String::as_str));
        let help = match near {
            Some(n) => format!("did you mean `{n}`?"),
            None if all.is_empty() => "it declares nothing".to_string(),
            None => {
                let mut names: Vec<&str> = all.iter().map(String::as_str).collect();
                names.sort_unstable();
                names.dedup();
                format!("it has {}", names.join(", "))
            }
        };
        self.diags.push(
            Diagnostic::error(NOT_IN_MODULE, format!("`{module}` has no `{}`", name.text))
                .label(name.span, "not found there")
                .help(help),
        );
    }
}

/// The names that a `use` brings.
fn used_names(u: &ast::Use) -> impl Iterator<Item = &str> {
    let (one, many): (Option<&str>, &[ast::Name]) = match (&u.alias, &u.select) {
        (Some(alias), _) => (Some(&alias.text), &[]),
        (None, ast::UseSelect::Many(names)) => (None, names),
        (None, ast::UseSelect::One(name)) => (Some(&name.text), &[]),
        (None, ast::UseSelect::Whole) => match &u.source {
            ast::UseSource::Path(path) => (path.names.last().map(|n| n.text.as_str()), &[]),
            ast::UseSource::File { text, .. } => (Some(file_stem(text)), &[]),
        },
    };
    one.into_iter().chain(many.iter().map(|n| n.text.as_str()))
}

/// The name that a file has where it is imported: `lib/cells.nsm` is `cells`.
fn file_stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".nsm")
}

/// `LifCondExp` -> `lif_cond_exp`
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (k, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && k > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
