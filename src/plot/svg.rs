//! The few elements that a figure is made of, as text.

use std::fmt::Write;

/// Text and lines that are not data.
pub(super) const INK: &str = "#333333";
pub(super) const MUTED: &str = "#767676";
pub(super) const AXIS: &str = "#8c8c8c";
pub(super) const GRID: &str = "#ebebeb";

const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Where a text hangs on its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Copy)]
pub(super) struct Style {
    pub size: f64,
    pub color: &'static str,
    pub bold: bool,
    pub anchor: Anchor,
}

impl Style {
    pub(super) fn label(anchor: Anchor) -> Style {
        Style { size: 11.5, color: INK, bold: false, anchor }
    }

    pub(super) fn note(anchor: Anchor) -> Style {
        Style { size: 10.5, color: MUTED, bold: false, anchor }
    }

    pub(super) fn bold(self) -> Style {
        Style { bold: true, ..self }
    }
}

/// A figure as it grows. Coordinates are px, y runs down.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Svg {
        Svg { body: String::new(), width, height }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        let (x, y, w, h) = (px(x), px(y), px(width), px(height));
        self.push(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{fill}\"/>"));
    }

    /// A square that a pointer resting on it explains.
    pub(super) fn rect_that_says(&mut self, x: f64, y: f64, side: f64, fill: &str, says: &str) {
        let (x, y, s, says) = (px(x), px(y), px(side), escape(says));
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{s}\" height=\"{s}\" fill=\"{fill}\"><title>{says}</title></rect>"
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, width: f64) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(px);
        self.push(format_args!(
            "<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"{stroke}\" stroke-width=\"{}\" fill=\"none\"/>",
            px(width)
        ));
    }

    /// A stroked path; `more` are further attributes, each with a space before it.
    pub(super) fn stroke(&mut self, d: &str, color: &str, width: f64, more: &str) {
        if !d.is_empty() {
            let width = px(width);
            self.push(format_args!(
                "<path d=\"{d}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{more}/>"
            ));
        }
    }

    /// A filled path.
    pub(super) fn fill(&mut self, d: &str, color: &str, opacity: f64) {
        if !d.is_empty() {
            self.push(format_args!("<path d=\"{d}\" fill=\"{color}\" fill-opacity=\"{}\"/>", px(opacity)));
        }
    }

    pub(super) fn dot(&mut self, x: f64, y: f64, radius: f64, color: &str) {
        let (x, y, r) = (px(x), px(y), px(radius));
        self.push(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{color}\" stroke=\"#ffffff\" stroke-width=\"1\"/>"
        ));
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, style: Style) {
        self.text_with(x, y, text, style, "");
    }

    /// A text that reads upwards.
    pub(super) fn upward(&mut self, x: f64, y: f64, text: &str, style: Style) {
        let rotate = format!(" transform=\"rotate(-90 {} {})\"", px(x), px(y));
        self.text_with(x, y, text, style, &rotate);
    }

    fn text_with(&mut self, x: f64, y: f64, text: &str, style: Style, more: &str) {
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if style.bold { " font-weight=\"600\"" } else { "" };
        let (x, y, size, color, text) = (px(x), px(y), px(style.size), style.color, escape(text));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{color}\"{anchor}{weight}{more}>{text}</text>"
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// The whole file; `name` is what a screen reader says.
    pub(super) fn finish(self, name: &str) -> String {
        let (w, h) = (px(self.width), px(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"{FONT}\" role=\"img\">\n<title>{}</title>\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(name),
            self.body
        )
    }
}

/// A coordinate to a tenth of a px, without zeros that say nothing; what is not finite would not be SVG.
pub(super) fn px(v: f64) -> String {
    if !v.is_finite() {
        return "0".to_string();
    }
    let text = format!("{v:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_string(),
        Some(whole) => whole.to_string(),
        None => text,
    }
}

/// Text for the inside of an element or an attribute; control characters, which XML cannot hold, are replaced.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Width of a letter over its height, on the wide side: nobody knows which sans-serif font a reader has.
const LETTER: f64 = 0.62;

/// About how wide a text will be in px.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// The text if it fits into `width`, else its end behind an ellipsis: the end of a path tells most.
pub(super) fn fitted(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let room = ((width / (size * LETTER)) as usize).saturating_sub(1);
    let skip = text.chars().count() - room.min(text.chars().count());
    std::iter::once('\u{2026}').chain(text.chars().skip(skip)).collect()
}

/// A polyline in relative coordinates of tenths, whose rounding errors do not add up.
pub(super) struct Pen {
    d: String,
    /// Where the pen is, in tenths of a px.
    at: (i64, i64),
    down: bool,
}

impl Pen {
    pub(super) fn new() -> Pen {
        Pen { d: String::new(), at: (0, 0), down: false }
    }

    /// Starts a new piece at the next point.
    pub(super) fn lift(&mut self) {
        self.down = false;
    }

    pub(super) fn to(&mut self, x: f64, y: f64) {
        let next = ((x * 10.0).round() as i64, (y * 10.0).round() as i64);
        let (dx, dy) = (next.0 - self.at.0, next.1 - self.at.1);
        let step = match (self.down, dx, dy) {
            (false, ..) => format!("M{} {}", tenths(next.0), tenths(next.1)),
            (true, 0, 0) => return,
            (true, _, 0) => format!("h{}", tenths(dx)),
            (true, 0, _) => format!("v{}", tenths(dy)),
            (true, ..) => format!("l{} {}", tenths(dx), tenths(dy)),
        };
        self.d.push_str(&step);
        self.at = next;
        self.down = true;
    }

    pub(super) fn finish(self) -> String {
        self.d
    }
}

fn tenths(n: i64) -> String {
    px(n as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        assert_eq!(escape("E->I <\"&\u{1}\n>"), "E-&gt;I &lt;&quot;&amp;\u{fffd} &gt;");
        assert_eq!([px(1.0), px(-0.04), px(2.25), px(f64::NAN)], ["1", "0", "2.2", "0"]);
    }

    #[test]
    fn a_pen_does_not_drift() {
        let mut pen = Pen::new();
        for k in 0..=1000 {
            pen.to(f64::from(k) * 0.333, 5.0);
        }
        let end: f64 = pen.d[1..]
            .split(['h', ' '])
            .enumerate()
            .filter(|(k, _)| *k != 1)
            .map(|(_, t)| t.parse::<f64>().unwrap())
            .sum();
        assert!((end - 333.0).abs() < 0.06, "{end}");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(fitted("bg.D1", 100.0, 11.0), "bg.D1");
        let cut = fitted("a.very.long.path.to.a.population", 60.0, 11.0);
        assert!(cut.starts_with('\u{2026}') && cut.ends_with("lation") && cut.chars().count() < 12, "{cut}");
    }
}
