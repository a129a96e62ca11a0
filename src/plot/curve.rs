//! Measures against what was swept: lines with a point per value.

use super::axis::{self, Panel, Scale, bottom_axis, left_axis};
use super::svg::{Anchor, Pen, Style, Svg};
use super::{Options, color};

/// Lines over one axis of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What is swept, with its unit: `coherence (%)`.
    pub x_label: String,
    /// What is measured, with its unit.
    pub y_label: String,
    pub series: Vec<Series>,
}

/// One line; its name is shown where there are several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub label: String,
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// Half the length of the error bar, such as a standard error of the mean.
    pub error: Option<f64>,
}

/// Each series as a line through its points in the order of x; points that are not finite are left out.
pub fn curve(curve: &Curve, options: &Options) -> String {
    let (width, height) = options.size();
    let names: Vec<(String, &'static str)> = match curve.series.len() {
        0 | 1 => Vec::new(),
        _ => curve.series.iter().enumerate().map(|(k, s)| (s.label.clone(), color(k))).collect(),
    };
    let left = 66.0;
    let inner = width - left - 20.0;
    let legend_height = axis::legend_rows(&names, inner) as f64 * 17.0;
    let top = axis::title_height(options.title.as_deref()) + legend_height + 4.0;
    let panel = Panel { x: left, y: top, width: inner, height };
    let mut svg = Svg::new(width, panel.bottom() + 46.0);
    let under_title = axis::title(&mut svg, left, options.title.as_deref());
    axis::legend(&mut svg, &names, left, under_title - 4.0, inner);

    let series: Vec<Vec<Point>> = curve.series.iter().map(|s| sorted(&s.points)).collect();
    let points = || series.iter().flatten();
    let (x0, x1) = range(points().map(|p| p.x));
    let (y0, y1) = range(points().flat_map(|p| [p.y - p.error.unwrap_or(0.0), p.y + p.error.unwrap_or(0.0)]));
    // A line that comes near zero is read best with the zero.
    let y0 = if y0 > 0.0 && y0 < 0.4 * y1 { 0.0 } else { y0 };
    let (x_room, y_room) = ((x1 - x0) * 0.03, (y1 - y0) * 0.06);
    let x = Scale::new(x0 - x_room, x1 + x_room, panel.x, panel.right());
    let y = Scale::new(if y0 == 0.0 { 0.0 } else { y0 - y_room }, y1 + y_room, panel.bottom(), panel.y);
    left_axis(&mut svg, panel, y, &curve.y_label);
    for (k, points) in series.iter().enumerate() {
        let mut pen = Pen::new();
        for p in points {
            pen.to(x.at(p.x), y.at(p.y));
        }
        svg.stroke(&pen.finish(), color(k), 1.8, " stroke-linejoin=\"round\"");
        for p in points {
            let at = x.at(p.x);
            if let Some(error) = p.error.filter(|e| e.is_finite() && *e > 0.0) {
                svg.line((at, y.at(p.y - error)), (at, y.at(p.y + error)), color(k), 1.2);
            }
            svg.dot(at, y.at(p.y), 4.0, color(k));
        }
    }
    if points().next().is_none() {
        let style = Style::note(Anchor::Middle);
        svg.text(panel.x + panel.width / 2.0, panel.y + panel.height / 2.0, "no values", style);
    }
    bottom_axis(&mut svg, panel, x, &curve.x_label);
    svg.finish(options.title.as_deref().unwrap_or(&curve.y_label))
}

fn sorted(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = points.iter().copied().filter(|p| p.x.is_finite() && p.y.is_finite()).collect();
    kept.sort_by(|a, b| a.x.total_cmp(&b.x));
    kept
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|v| v.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::well_formed;
    use super::*;

    fn points(values: &[(f64, f64)]) -> Vec<Point> {
        values.iter().map(|(x, y)| Point { x: *x, y: *y, error: Some(0.05) }).collect()
    }

    #[test]
    fn a_curve_has_its_points_and_names() {
        let mut c = Curve {
            x_label: "coherence (%)".into(),
            y_label: "correct".into(),
            series: vec![Series { label: "a".into(), points: points(&[(51.2, 1.0), (0.0, 0.5), (f64::NAN, 1.0)]) }],
        };
        let text = curve(&c, &Options::default());
        well_formed(&text);
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains("coherence (%)") && !text.contains(">a<"));
        c.series.push(Series { label: "b".into(), points: points(&[(3.0, 0.7)]) });
        assert!(curve(&c, &Options::default()).contains(">b<"));
    }

    #[test]
    fn no_values_and_one_value_are_figures() {
        let one = Series { label: String::new(), points: points(&[(1.0, 1.0)]) };
        for series in [vec![], vec![Series::default()], vec![one]] {
            well_formed(&curve(&Curve { series, ..Curve::default() }, &Options::default()));
        }
    }
}
