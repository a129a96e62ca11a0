//! The two streams, and what they can show.

use clap::ValueEnum;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// What messages may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Terminal {
    /// On standard error.
    pub color: bool,
    /// On standard output.
    pub color_out: bool,
    pub unicode: bool,
    pub quiet: bool,
    /// A person watches standard error: a progress bar makes sense.
    pub watched: bool,
}

impl Terminal {
    pub fn new(color: Color, quiet: bool) -> Terminal {
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Terminal {
            color: colored(color, stderr),
            color_out: colored(color, stdout),
            unicode: unicode(),
            quiet,
            watched: stderr && !quiet,
        }
    }

    pub fn check_mark(&self) -> &'static str {
        if self.unicode { "✓" } else { "ok" }
    }

    pub fn cross(&self) -> &'static str {
        if self.unicode { "✗" } else { "FAILED" }
    }

    /// `text` in green or red on standard output, if colours are on.
    pub fn verdict(&self, good: bool, text: &str) -> String {
        match (self.color_out, good) {
            (false, _) => text.to_string(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }
}

/// <https://no-color.org> and <https://bixense.com/clicolors>.
fn colored(color: Color, terminal: bool) -> bool {
    let given = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let forced = given("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0");
            !given("NO_COLOR") && (forced || terminal)
        }
    }
}

fn unicode() -> bool {
    // The first that is set decides, as in setlocale(3).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
    locale.is_some_and(|v| {
        let v = v.to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

/// Something that was to stand on standard output does not.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether standard output has all that was written to it.
pub(super) fn complete() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
pub(super) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(e) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && e.kind() != ErrorKind::BrokenPipe
    {
        LOST.store(true, Ordering::Relaxed);
        err(&format!("nsmc: standard output: {e}\n"));
    }
}

/// Writes to standard error; there is nowhere to tell if that fails.
pub(super) fn err(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A panic is a bug of this program: says so in two lines instead of a trace.
pub(super) fn install_panic_hook() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(info);
        }
        let at = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let message = info.payload().downcast_ref::<&str>().copied();
        let message =
            message.or_else(|| info.payload().downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
        err(&format!(
            "nsmc {}: this is a bug in nsmc{at}: {message}\nPlease report it with the command and the files it was given.\n",
            env!("CARGO_PKG_VERSION")
        ));
    }));
}
