//! Scales, ticks at round numbers, and the axes around a panel.

use crate::record::{Recording, Window};
use crate::units::number;

use super::svg::{AXIS, Anchor, GRID, Style, Svg, text_width};

/// A rectangle of the figure in which data are drawn.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Panel {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// Values `low .. high` on px `start .. end`.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// A range that is empty or not finite is widened, so that a scale always maps.
    pub(super) fn new(low: f64, high: f64, start: f64, end: f64) -> Scale {
        let (low, high) = match (low.is_finite() && high.is_finite(), high - low) {
            (false, _) => (0.0, 1.0),
            (true, span) if span > low.abs().max(high.abs()) * 1e-12 && span.is_finite() => (low, high),
            (true, _) => {
                let room = (low.abs() * 0.05).max(0.5);
                (low.max(-1e300) - room, low.max(-1e300) + room)
            }
        };
        Scale { low, high, start, end }
    }

    pub(super) fn at(self, value: f64) -> f64 {
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// Round numbers within the scale, at most one more than `most` of them, with their texts.
    pub(super) fn ticks(self, most: usize) -> Vec<(f64, String)> {
        let step = round_up((self.high - self.low) / most.max(1) as f64);
        let first = (self.low / step - 1e-9).ceil();
        let count = ((self.high / step + 1e-9).floor() - first).max(-1.0) as usize;
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let large = self.low.abs().max(self.high.abs());
        (0..=count.min(100))
            .map(|k| {
                let value = (first + k as f64) * step;
                let text = match value {
                    v if v.abs() < step * 1e-6 => "0".to_string(),
                    v if large >= 1e6 || step < 1e-5 => number(v),
                    v => format!("{v:.decimals$}"),
                };
                (value, text.replace('-', "\u{2212}"))
            })
            .filter(|(v, _)| *v >= self.low - step * 1e-6 && *v <= self.high + step * 1e-6)
            .collect()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `v`.
pub(super) fn round_up(v: f64) -> f64 {
    if !v.is_finite() || v <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(v.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= v * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// Of phases of sleep, light enough for data on top.
const SHADES: [&str; 4] = ["#e3e9f6", "#f6ecdd", "#e4f2e6", "#f3e4f0"];

/// Time as an axis shows it: in ms, or in s where that reads better.
#[derive(Clone, Copy)]
pub(super) struct TimeAxis {
    scale: Scale,
    /// ms in one unit of the axis.
    unit_ms: f64,
}

impl TimeAxis {
    pub(super) fn new(from_ms: f64, to_ms: f64, panel: Panel) -> TimeAxis {
        let unit_ms = if to_ms - from_ms > 1500.0 || from_ms >= 100_000.0 { 1000.0 } else { 1.0 };
        TimeAxis { scale: Scale::new(from_ms / unit_ms, to_ms / unit_ms, panel.x, panel.right()), unit_ms }
    }

    pub(super) fn at(self, ms: f64) -> f64 {
        self.scale.at(ms / self.unit_ms)
    }

    /// Phases of sleep behind what a panel shows, one shade for each name; with their names at the top where there is room.
    pub(super) fn phases(self, svg: &mut Svg, panel: Panel, recording: &Recording, window: Window, named: bool) {
        let mut names: Vec<&str> = Vec::new();
        for phase in &recording.phases {
            let shade = names.iter().position(|n| *n == phase.name).unwrap_or_else(|| {
                names.push(&phase.name);
                names.len() - 1
            });
            let (from, to) = (phase.from.max(window.from), phase.to.min(window.to));
            if from >= to {
                continue;
            }
            let (left, right) = (self.at(recording.time_ms(from)), self.at(recording.time_ms(to)));
            svg.rect(left, panel.y, right - left, panel.height, SHADES[shade % SHADES.len()]);
            if named && text_width(&phase.name, 10.5) + 4.0 <= right - left {
                svg.text((left + right) / 2.0, panel.y - 3.0, &phase.name, Style::note(Anchor::Middle));
            }
        }
    }

    /// The axis below a panel with its title.
    pub(super) fn draw(self, svg: &mut Svg, panel: Panel) {
        let title = if self.unit_ms == 1.0 { "time (ms)" } else { "time (s)" };
        bottom_axis(svg, panel, self.scale, title);
    }
}

/// A value axis below a panel.
pub(super) fn bottom_axis(svg: &mut Svg, panel: Panel, scale: Scale, title: &str) {
    let y = panel.bottom();
    svg.line((panel.x, y), (panel.right(), y), AXIS, 1.0);
    for (value, text) in scale.ticks(((panel.width / 85.0) as usize).clamp(3, 10)) {
        let x = scale.at(value);
        svg.line((x, y), (x, y + 4.0), AXIS, 1.0);
        svg.text(x, y + 16.0, &text, Style::label(Anchor::Middle));
    }
    svg.text(panel.x + panel.width / 2.0, y + 34.0, title, Style::label(Anchor::Middle));
}

/// A value axis left of a panel, with light lines across it.
pub(super) fn left_axis(svg: &mut Svg, panel: Panel, scale: Scale, title: &str) {
    let ticks = scale.ticks(((panel.height / 24.0) as usize).clamp(2, 8));
    let widest = ticks.iter().map(|(_, t)| text_width(t, 11.5)).fold(0.0, f64::max);
    for (value, text) in &ticks {
        let y = scale.at(*value);
        svg.line((panel.x, y), (panel.right(), y), GRID, 1.0);
        svg.line((panel.x - 4.0, y), (panel.x, y), AXIS, 1.0);
        svg.text(panel.x - 7.0, y + 4.0, text, Style::label(Anchor::End));
    }
    svg.line((panel.x, panel.y), (panel.x, panel.bottom()), AXIS, 1.0);
    // One place for all panels of a figure, as long as the numbers leave it free.
    let x = (panel.x - 14.0 - widest.max(36.0)).max(13.0);
    svg.upward(x, panel.y + panel.height / 2.0, title, Style::label(Anchor::Middle));
}

/// A title, if there is one; gives the height that it takes.
pub(super) fn title(svg: &mut Svg, x: f64, text: Option<&str>) -> f64 {
    match text {
        Some(text) => {
            svg.text(x, 25.0, text, Style { size: 14.0, ..Style::label(Anchor::Start) }.bold());
            38.0
        }
        None => 14.0,
    }
}

/// The height that [`title`] takes.
pub(super) fn title_height(text: Option<&str>) -> f64 {
    if text.is_some() { 38.0 } else { 14.0 }
}

/// How many rows the names of a legend need.
pub(super) fn legend_rows(names: &[(String, &'static str)], width: f64) -> usize {
    place(names, width).last().map_or(0, |(_, row)| row + 1)
}

/// Names beside their colours in rows, from `x, y` on.
pub(super) fn legend(svg: &mut Svg, names: &[(String, &'static str)], x: f64, y: f64, width: f64) {
    for ((name, color), (dx, row)) in names.iter().zip(place(names, width)) {
        let y = y + 17.0 * row as f64;
        svg.rect(x + dx, y + 3.0, 14.0, 4.0, color);
        svg.text(x + dx + 19.0, y + 9.5, name, Style::label(Anchor::Start));
    }
}

fn place(names: &[(String, &'static str)], width: f64) -> Vec<(f64, usize)> {
    let (mut x, mut row) = (0.0, 0);
    names
        .iter()
        .map(|(name, _)| {
            let wide = 19.0 + text_width(name, 11.5) + 16.0;
            if x > 0.0 && x + wide > width {
                (x, row) = (0.0, row + 1);
            }
            let at = (x, row);
            x += wide;
            at
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, most: usize) -> Vec<String> {
        Scale::new(low, high, 0.0, 100.0).ticks(most).into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_scale() {
        assert_eq!(texts(0.0, 1000.0, 5), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!(texts(-70.0, -50.0, 4), ["\u{2212}70", "\u{2212}65", "\u{2212}60", "\u{2212}55", "\u{2212}50"]);
        assert_eq!(texts(0.0, 0.3, 3), ["0.0", "0.1", "0.2", "0.3"].map(|t| if t == "0.0" { "0" } else { t }));
        assert_eq!(texts(0.013, 0.021, 4), ["0.014", "0.016", "0.018", "0.020"]);
        assert_eq!(texts(0.0, 3e7, 3), ["0", "10000000", "20000000", "30000000"]);
    }

    #[test]
    fn no_range_is_too_strange() {
        for (low, high) in [
            (5.0, 5.0),
            (0.0, 0.0),
            (f64::NAN, 1.0),
            (3.0, 2.0),
            (f64::NEG_INFINITY, 0.0),
            (-f64::MAX, f64::MAX),
            (1e300, 1e300),
            (0.0, 1e-310),
        ] {
            let scale = Scale::new(low, high, 0.0, 100.0);
            assert!(scale.at(scale.low).is_finite() && scale.at(scale.high).is_finite(), "{low} {high}");
            assert!(scale.ticks(5).len() < 20, "{low} {high}");
        }
    }

    #[test]
    fn steps_are_one_two_or_five() {
        assert_eq!([0.3, 1.0, 1.1, 4.9, 70.0, 100.0].map(round_up), [0.5, 1.0, 2.0, 5.0, 100.0, 100.0]);
        assert_eq!(round_up(f64::NAN), 1.0);
    }

    #[test]
    fn legends_wrap() {
        let names: Vec<(String, &'static str)> = (0..10).map(|k| (format!("population{k}"), "#000000")).collect();
        assert!(legend_rows(&names, 300.0) >= 4);
        assert_eq!(legend_rows(&[], 300.0), 0);
    }
}
