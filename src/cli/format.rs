//! `nsmc fmt`: files in their one layout.

use super::args::FmtArgs;
use super::codes;
use super::terminal::{self, Terminal};
use super::{Status, files, loader::FileLoader, render, source};
use crate::base::{Loader, SourceMap};
use crate::{fmt as layout, syntax};
use std::io::Write;
use std::path::Path;

pub(super) fn fmt(args: &FmtArgs, terminal: &Terminal) -> Status {
    let all = match source::collect(&args.paths) {
        Ok(all) => all,
        Err(d) => return source::fail(&d, terminal),
    };
    all.iter().map(|(file, _)| one(file, args.check, terminal)).max().unwrap_or(Status::Fine)
}

/// A file that does not parse is left as it is.
fn one(file: &str, check: bool, terminal: &Terminal) -> Status {
    let read = FileLoader::open(file).and_then(|(loader, name)| Ok((loader.text(&name)?, name)));
    let (text, name) = match read {
        Ok(read) => read,
        Err(e) => return source::fail(&codes::unreadable(file, &e), terminal),
    };
    let mut sources = SourceMap::default();
    let id = sources.add(name, text.as_str());
    let parsed = syntax::parse(id, &text);
    if !parsed.errors.is_empty() {
        let list: Vec<_> = parsed.errors.into_iter().map(|e| e.into_diagnostic()).collect();
        render::show(&list, &sources, terminal);
        return Status::Wrong;
    }
    let formatted = layout::format(&parsed.file, &text);
    if check {
        if formatted == text {
            return Status::Fine;
        }
        terminal::err(&format!("{file}: not in its layout\n"));
        return Status::Wrong;
    }
    if file == "-" {
        terminal::out(&formatted);
        return Status::Fine;
    }
    if formatted == text {
        return Status::Fine;
    }
    let path = Path::new(file);
    match files::write_atomic(path, |w| w.write_all(formatted.as_bytes())) {
        Ok(()) => Status::Fine,
        Err(e) => source::fail(&codes::unwritable(path, &e), terminal),
    }
}
