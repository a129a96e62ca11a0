//! Values on a grid as shades, such as how full each core of a chip is.

use super::Options;
use super::axis;
use super::svg::{Anchor, Style, Svg};

/// A square of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Square {
    /// From the left and from the top.
    pub column: u32,
    pub row: u32,
    /// 0 to 1; what lies beyond is shown as the nearer of the two.
    pub value: f64,
    /// What a reader who points at it is told.
    pub says: String,
}

/// Squares side by side, those of a block of `block` by `block` closer together. Squares that are not given stay empty.
pub fn heat(squares: &[Square], columns: u32, rows: u32, block: u32, label: &str, options: &Options) -> String {
    let (width, _) = options.size();
    let block = block.max(1);
    let gaps = f64::from(columns.div_ceil(block).max(1) - 1) * GAP;
    let side = ((width - 40.0 - gaps) / f64::from(columns.max(1))).clamp(2.0, 26.0);
    let at = |k: u32| f64::from(k) * side + f64::from(k / block) * GAP;
    let top = axis::title_height(options.title.as_deref()) + 4.0;
    let height = top + at(rows.max(1)) + 58.0;
    let mut svg = Svg::new(width, height);
    axis::title(&mut svg, 20.0, options.title.as_deref());
    for row in 0..rows {
        for column in 0..columns {
            svg.rect(20.0 + at(column), top + at(row), side - 1.0, side - 1.0, "#f3f3f3");
        }
    }
    for s in squares.iter().filter(|s| s.column < columns && s.row < rows) {
        svg.rect_that_says(20.0 + at(s.column), top + at(s.row), side - 1.0, &shade(s.value), &s.says);
    }
    let (y, step) = (height - 40.0, 16.0);
    for k in 0..=10 {
        svg.rect(20.0 + f64::from(k) * step, y, step, 10.0, &shade(f64::from(k) / 10.0));
    }
    svg.text(20.0, y + 24.0, "0", Style::note(Anchor::Start));
    svg.text(20.0 + 11.0 * step, y + 24.0, "100 %", Style::note(Anchor::End));
    svg.text(30.0 + 11.0 * step, y + 9.0, label, Style::label(Anchor::Start));
    svg.finish(options.title.as_deref().unwrap_or(label))
}

/// Between blocks.
const GAP: f64 = 4.0;

/// From a light yellow over orange to a dark red: darker is more, also without colours.
fn shade(value: f64) -> String {
    const STOPS: [[f64; 3]; 4] =
        [[255.0, 247.0, 220.0], [253.0, 190.0, 100.0], [222.0, 94.0, 20.0], [115.0, 26.0, 14.0]];
    let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) } * 3.0;
    let k = (value as usize).min(2);
    let mix = |c: usize| (STOPS[k][c] + (STOPS[k + 1][c] - STOPS[k][c]) * (value - k as f64)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn darker_is_more_and_texts_are_escaped() {
        let brightness = |v: f64| {
            let text = shade(v);
            (1..7).step_by(2).map(|k| u32::from_str_radix(&text[k..k + 2], 16).unwrap()).sum::<u32>()
        };
        for k in 0..20 {
            assert!(brightness(f64::from(k) / 20.0) > brightness(f64::from(k + 1) / 20.0), "{k}");
        }
        assert_eq!((shade(-1.0), shade(f64::NAN)), (shade(0.0), shade(0.0)));
        let one = Square { column: 1, row: 0, value: 0.5, says: "core <1>".to_string() };
        let outside = Square { column: 9, ..one.clone() };
        let svg = heat(&[one, outside], 4, 2, 2, "a part", &Options::default());
        assert!(svg.contains("<title>core &lt;1&gt;</title>") && svg.matches("core").count() == 1, "{svg}");
    }
}
