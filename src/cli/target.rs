//! What a circuit is compiled for, from the flags that say it.

use super::args::{ChipArgs, MessageFormat, TargetArg};
use super::codes::{self, usage};
use super::loader::FileLoader;
use super::terminal::Terminal;
use super::{Status, source};
use crate::base::{Diagnostic, Loader, SourceMap, Span};
use crate::chip::target::Target as Chip;
use crate::driver::Target;
use std::sync::Arc;

/// The chip where none is named.
const DEFAULT: &str = "loihi2";

/// The target of `--target` and `--chip`; `Err` where the flags or the chip's file are wrong, which has been shown.
pub(super) fn target(
    target: TargetArg,
    chip: &ChipArgs,
    format: MessageFormat,
    terminal: &Terminal,
) -> Result<Target, Status> {
    let fail = |d: &Diagnostic, sources: &SourceMap| source::fail_with(d, sources, format, terminal);
    match (target, &chip.chip) {
        (TargetArg::Native, None) => Ok(Target::Native),
        (TargetArg::Nir, None) => Ok(Target::Nir),
        (TargetArg::Native | TargetArg::Nir, Some(_)) => {
            let d = usage("`--chip` says which chip a circuit is compiled for").help("add `--target loihi2`");
            Err(fail(&d, &SourceMap::default()))
        }
        (TargetArg::Loihi2, name) => {
            let mut sources = SourceMap::default();
            let name = name.as_deref().unwrap_or(DEFAULT);
            read(name, &mut sources).map(|c| Target::Chip(Arc::new(c))).map_err(|d| fail(&d, &sources))
        }
    }
}

/// A chip by its name or from its file.
fn read(name: &str, sources: &mut SourceMap) -> Result<Chip, Diagnostic> {
    if let Some(chip) = Chip::built_in(name) {
        return Ok(chip);
    }
    let (loader, file) = FileLoader::open(name).map_err(|e| {
        let known: Vec<_> = Chip::names().collect();
        let near = crate::base::diag::did_you_mean(name, known.iter().copied());
        let known = format!("built in are {}; a file gives figures of your own", known.join(", "));
        codes::unreadable(name, &e).help(near.map_or(known, |n| format!("did you mean `{n}`?")))
    })?;
    let text = loader.text(&file).map_err(|e| codes::unreadable(name, &e))?;
    Chip::parse(name, &text).map_err(|e| {
        let id = sources.add(name, text.as_str());
        let d = Diagnostic::error(codes::FIGURES, format!("`{name}` is no description of a chip: {}", e.message));
        let d = d.label(Span::new(id, e.place.start, e.place.end), "here");
        if e.help.is_empty() { d } else { d.help(e.help) }
    })
}
