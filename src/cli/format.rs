//! `nsmc fmt`: files in their one layout.

use super::args::{FmtArgs, MessageFormat};
use super::codes;
use super::terminal::{self, Terminal};
use super::{Status, files, loader::FileLoader, messages, render, source};
use crate::base::{Loader, SourceMap};
use crate::{fmt as layout, syntax};
use similar::TextDiff;
use std::io::Write;
use std::path::Path;

/// Lines around a change that a difference shows.
const CONTEXT: usize = 3;

pub(super) fn fmt(args: &FmtArgs, terminal: &Terminal) -> Status {
    let all = match source::collect(&args.paths) {
        Ok(all) => all,
        Err(d) => return source::fail_in(&d, args.message_format, terminal),
    };
    all.iter().map(|(file, _)| one(file, args, terminal)).max().unwrap_or(Status::Fine)
}

/// A file that does not parse is left as it is.
fn one(file: &str, args: &FmtArgs, terminal: &Terminal) -> Status {
    let read = FileLoader::open(file).and_then(|(loader, name)| Ok((loader.text(&name)?, name)));
    let (text, name) = match read {
        Ok(read) => read,
        Err(e) => return source::fail_in(&codes::unreadable(file, &e), args.message_format, terminal),
    };
    let mut sources = SourceMap::default();
    let id = sources.add(name, text.as_str());
    let parsed = syntax::parse(id, &text);
    if !parsed.errors.is_empty() {
        let list: Vec<_> = parsed.errors.into_iter().map(|e| e.into_diagnostic()).collect();
        match args.message_format {
            MessageFormat::Human => render::show(&list, &sources, terminal),
            MessageFormat::Json => list.iter().for_each(|d| terminal::out(&messages::json(d, &sources))),
        }
        return Status::Wrong;
    }
    let formatted = layout::format(&parsed.file, &text);
    if args.check {
        if formatted == text {
            return Status::Fine;
        }
        let shown = if file == "-" { "<stdin>" } else { file };
        terminal::err(&format!("{shown}: not in its layout\n"));
        if !terminal.quiet {
            source::tell(&difference(shown, &text, &formatted, terminal), args.message_format);
        }
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
        Err(e) => source::fail_in(&codes::unwritable(path, &e), args.message_format, terminal),
    }
}

/// What formatting would change, as a unified difference that `patch -p1` takes.
fn difference(name: &str, old: &str, new: &str, terminal: &Terminal) -> String {
    let (a, b) = (format!("a/{name}"), format!("b/{name}"));
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(CONTEXT).header(&a, &b).to_string();
    if !terminal.color_out {
        return text;
    }
    let colored = |line: &str| match line.as_bytes().first() {
        Some(b'+') => terminal.verdict(true, line),
        Some(b'-') => terminal.verdict(false, line),
        _ => line.to_string(),
    };
    text.lines().map(|l| format!("{}\n", colored(l))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Color;

    #[test]
    fn a_difference_shows_lines_that_leave_and_come() {
        let plain = Terminal::new(Color::Never, false);
        let text = difference("a.nsm", "let a=1\nlet b = 2\n", "let a = 1\nlet b = 2\n", &plain);
        assert_eq!(text, "--- a/a.nsm\n+++ b/a.nsm\n@@ -1,2 +1,2 @@\n-let a=1\n+let a = 1\n let b = 2\n");
        let colored = difference("a.nsm", "let a=1\n", "let a = 1\n", &Terminal { color_out: true, ..plain });
        assert!(colored.contains("\x1b[31m-let a=1\x1b[0m\n\x1b[32m+let a = 1\x1b[0m\n"), "{colored:?}");
    }
}
