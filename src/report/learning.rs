//! How measures develop within a run: the k-th value of each run, mean over the runs of one point of a sweep.

use super::figures::Figure;
use super::{Source, shown, sweep_values};
use crate::plot::{self, Options};
use crate::units::{Unit, heading};
use maud::{Markup, html};

/// More points would cover one another.
const MOST_POINTS: usize = 60;
/// More lines can't be told apart: then all points of the sweep are one.
const MOST_SERIES: usize = 8;

pub(super) fn curves(source: &Source) -> Option<Markup> {
    let figures: Vec<Figure> = (0..source.rows.measures.len()).filter_map(|k| curve(source, k)).collect();
    if figures.is_empty() {
        return None;
    }
    Some(html! { @for f in &figures { (shown(f)) } })
}

/// The values of one measure by run, in order; none where no run measured it more than once.
fn curve(source: &Source, measure: usize) -> Option<Figure> {
    let (name, dimension) = source.rows.measures.get(measure)?;
    let unit = Unit::typical(*dimension);
    let mut runs: Vec<Vec<f64>> = vec![Vec::new(); source.runs.len()];
    for row in source.rows.list.iter().filter(|r| r.measure == measure) {
        if let Some(values) = runs.get_mut(row.run) {
            values.push(unit.from_internal(row.value));
        }
    }
    let longest = runs.iter().map(Vec::len).max().filter(|n| *n > 1)?;
    let block = longest.div_ceil(MOST_POINTS);
    let seeds = usize::try_from(source.job.seeds).unwrap_or(usize::MAX).max(1);
    let points = source.job.points.len();
    let groups: Vec<(String, Vec<&Vec<f64>>)> = if (2..=MOST_SERIES).contains(&points) {
        let label = |k: usize| {
            let p = &source.job.points[k];
            source.job.units.get(p.unit).map_or_else(String::new, |u| sweep_values(u, p))
        };
        (0..points).map(|k| (label(k), runs.iter().skip(k * seeds).take(seeds).collect())).collect()
    } else {
        vec![(name.clone(), runs.iter().collect())]
    };
    let series = groups.iter().map(|(label, runs)| plot::Series { label: label.clone(), points: line(runs, block) });
    let figure = plot::Curve {
        x_label: format!("{name}: number of the value within its run"),
        y_label: heading(name, *dimension),
        series: series.collect(),
    };
    let of = if source.summary.runs > 1 { ", mean over runs with its standard error" } else { "" };
    let blocks = if block > 1 { format!(", {block} values in one point") } else { String::new() };
    Some(Figure { caption: format!("{name}{of}{blocks}"), svg: plot::curve(&figure, &Options::default()) })
}

/// One point for each block of values that follow each other.
fn line(runs: &[&Vec<f64>], block: usize) -> Vec<plot::Point> {
    let longest = runs.iter().map(|r| r.len()).max().unwrap_or(0);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let point = |start: usize| {
        let part = |r: &&Vec<f64>| r.get(start..(start + block).min(r.len())).filter(|v| !v.is_empty()).map(mean);
        let each: Vec<f64> = runs.iter().filter_map(part).collect();
        let (n, y) = (each.len() as f64, mean(&each));
        let squares: f64 = each.iter().map(|v| (v - y) * (v - y)).sum();
        let error = (each.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        // Values are counted from 1.
        let last = (start + block).min(longest);
        plot::Point { x: (start + 1 + last) as f64 / 2.0, y, error }
    };
    (0..longest).step_by(block.max(1)).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_means_over_runs_and_blocks() {
        let (a, b) = (vec![1.0, 3.0, 5.0], vec![3.0, 5.0]);
        let points = line(&[&a, &b], 2);
        // Blocks 1 .. 2 and 3: means 2 and 4 of two runs (error 1), then 5 of one.
        let found: Vec<(f64, f64, Option<f64>)> = points.iter().map(|p| (p.x, p.y, p.error)).collect();
        assert_eq!(found, [(1.5, 3.0, Some(1.0)), (3.0, 5.0, None)]);
    }
}
