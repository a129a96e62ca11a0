//! The progress of a run on a terminal: how far, how fast against real time, how much longer. And Ctrl-C.

use crate::execute::Progress;
use crate::units::{Dimension, display};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first Ctrl-C or SIGTERM.
static STOP: AtomicBool = AtomicBool::new(false);

/// Set when the first run begins to simulate: before, nothing can be lost.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on there is something to write when a run is stopped.
pub(super) fn begun() {
    BEGUN.store(true, Ordering::Relaxed);
}

/// The flag that stops a run; the handler is installed. While networks are only built, and when it comes twice, Ctrl-C ends the
/// program at once.
pub(super) fn stop_flag() -> &'static AtomicBool {
    let handler = || {
        let again = STOP.swap(true, Ordering::Relaxed);
        if !BEGUN.load(Ordering::Relaxed) {
            super::terminal::err("nsmc: interrupted before the first step\n");
        }
        if again || !BEGUN.load(Ordering::Relaxed) {
            std::process::exit(i32::from(super::Status::Interrupted.code()));
        }
    };
    // Without a handler Ctrl-C ends the program at once, which is all that is left then.
    let _ = ctrlc::set_handler(handler);
    &STOP
}

/// Positions of the bar; time has no natural number of parts.
const PARTS: u64 = 1000;

/// A bar on standard error, or nothing.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// `watched`: a person sees standard error.
    pub fn new(watched: bool) -> Bar {
        // At most ten updates a second.
        let target = if watched { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(PARTS), target);
        // The template is a constant; the plain bar would do as well.
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Bar { bar }
    }

    /// What the bar is about, such as `run 3 of 20`.
    pub fn begin(&self, what: &str) {
        self.bar.set_prefix(what.to_string());
        self.bar.set_message("building");
        self.bar.set_position(0);
    }

    pub fn update(&self, p: Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let part = p.total_ms.filter(|t| *t > 0.0).map(|t| (p.time_ms / t).clamp(0.0, 1.0));
        self.bar.set_position(part.map_or(0, |part| (part * PARTS as f64) as u64));
        self.bar.set_message(message(p));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(p: Progress) -> String {
    let spent = p.spent.as_secs_f64();
    let time = |ms: f64| display(ms, Dimension::TIME);
    let of = p.total_ms.map_or_else(String::new, |t| format!(" of {}", time(t)));
    let mut text = format!("{}{of}", time(p.time_ms));
    if p.time_ms > 0.0 {
        text.push_str(&format!(", {} x real time", super::report::factor(spent * 1e3 / p.time_ms)));
        if let Some(total) = p.total_ms.filter(|t| *t > p.time_ms) {
            let left = spent * (total - p.time_ms) / p.time_ms;
            text.push_str(&format!(", {left:.0} s left"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_bar_tells_speed_and_time_left() {
        let p = Progress { time_ms: 250.0, total_ms: Some(1000.0), spent: Duration::from_secs(2) };
        assert_eq!(message(p), "250 ms of 1 s, 8.0 x real time, 6 s left");
        assert_eq!(message(Progress { time_ms: 0.0, total_ms: None, spent: Duration::ZERO }), "0 ms");
    }
}
