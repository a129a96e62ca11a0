//! The raster: who fired when, by population, above the rate of each population.
//!
//! Up to [`MARKED`] spikes each spike is a mark; beyond, marks would cover one another and the file would grow without
//! end, so spikes are counted on a grid of 2 px and the counts drawn as shades.

use std::fmt::Write;

use crate::record::{Neurons, Recording, Window};

use super::axis::{self, Panel, Scale, TimeAxis};
use super::svg::{AXIS, Anchor, Style, Svg, fitted, text_width};
use super::{Options, Selection, Shown, rate, shown};

/// The most spikes that are drawn one by one.
const MARKED: usize = 20_000;

/// Side of a cell of the density grid in px.
const CELL: f64 = 2.0;

/// Shades of a density, from a tint to the full colour.
const SHADES: usize = 6;

const RATE_HEIGHT: f64 = 96.0;

/// Letters of the number of cells under a name, in px.
const SIZE_NOTE: f64 = 9.5;

/// Spikes of the selected neurons over time, population above population, with their rates below.
///
/// The first population is at the top; within one, indices grow upwards. Each has height in proportion to its
/// neurons, but enough to be seen.
pub fn raster(recording: &Recording, selection: &[Selection], options: &Options) -> String {
    let shown = shown(recording, selection);
    let window = options.window(recording);
    let (width, height) = options.size();
    let names = shown.iter().map(|s| text_width(s.label, 11.5).max(text_width(&size_note(s), SIZE_NOTE)));
    let left = (names.fold(0.0, f64::max) + 22.0).clamp(66.0, 170.0).ceil();
    let top = axis::title_height(options.title.as_deref());
    // Whole cells of the density grid on whole px show no seams.
    let panel = Panel { x: left, y: top, width: whole_cells(width - left - 20.0), height };
    let rates = Panel { y: panel.bottom() + 20.0, height: RATE_HEIGHT, ..panel };
    let mut svg = Svg::new(width, rates.bottom() + 46.0);
    axis::title(&mut svg, left, options.title.as_deref());
    let time = TimeAxis::new(recording.time_ms(window.from), recording.time_ms(window.to), panel);
    time.phases(&mut svg, panel, recording, window, true);
    time.phases(&mut svg, rates, recording, window, false);

    let spikes: usize = shown.iter().map(|s| s.spikes.within(s.neurons, window).count()).sum();
    for (band, s) in bands(panel, &shown).into_iter().zip(&shown) {
        frame(&mut svg, band, s, shown.len() == 1);
        if spikes <= MARKED {
            marks(&mut svg, band, s, time, window);
        } else {
            density(&mut svg, band, s, window);
        }
    }
    if spikes == 0 {
        let style = Style::note(Anchor::Middle);
        svg.text(panel.x + panel.width / 2.0, panel.y + panel.height / 2.0, "no spikes", style);
    }
    rate::draw(&mut svg, rates, time, &shown, window);
    time.draw(&mut svg, rates);
    svg.finish(options.title.as_deref().unwrap_or("spike raster"))
}

fn whole_cells(length: f64) -> f64 {
    (length / CELL).floor().max(1.0) * CELL
}

/// The strip of each population.
fn bands(panel: Panel, shown: &[Shown]) -> Vec<Panel> {
    const GAP: f64 = 5.0;
    let n = shown.len() as f64;
    let room = (panel.height - GAP * (n - 1.0)).max(1.0);
    // A strip for a name, as long as all names have room for one.
    let least = 24_f64.min(room / n);
    let cells: f64 = shown.iter().map(|s| s.cells() as f64).sum();
    let free = room - least * n;
    let mut y = panel.y;
    shown
        .iter()
        .map(|s| {
            let height = whole_cells(least + free * s.cells() as f64 / cells);
            let band = Panel { y, height, ..panel };
            y += height + GAP;
            band
        })
        .collect()
}

/// The name of a population with its size, or an axis of indices where it is alone.
fn frame(svg: &mut Svg, band: Panel, s: &Shown, alone: bool) {
    let middle = band.y + band.height / 2.0;
    let room = band.x - 16.0;
    if alone {
        // An index stands at the middle of its row.
        let first = if let Neurons::Range(range) = s.neurons { f64::from(range.start) } else { 0.0 };
        let scale = Scale::new(first - 0.5, first + s.cells() as f64 - 0.5, band.bottom(), band.y);
        for (value, text) in scale.ticks(((band.height / 40.0) as usize).clamp(2, 8)) {
            svg.line((band.x - 4.0, scale.at(value)), (band.x, scale.at(value)), AXIS, 1.0);
            svg.text(band.x - 7.0, scale.at(value) + 4.0, &text, Style::label(Anchor::End));
        }
        svg.line((band.x, band.y), (band.x, band.bottom()), AXIS, 1.0);
        let name = fitted(&format!("neuron of {}", s.label), band.height, 11.5);
        svg.upward(13.0, middle, &name, Style::label(Anchor::Middle));
        return;
    }
    svg.rect(band.x - 4.0, band.y, 3.0, band.height, s.color);
    let name = fitted(s.label, room, 11.5);
    if band.height >= 24.0 {
        svg.text(band.x - 10.0, middle - 1.0, &name, Style::label(Anchor::End).bold());
        let style = Style { size: SIZE_NOTE, ..Style::note(Anchor::End) };
        svg.text(band.x - 10.0, middle + 12.0, &size_note(s), style);
    } else if band.height >= 9.0 {
        svg.text(band.x - 10.0, middle + 4.0, &name, Style::label(Anchor::End).bold());
    }
}

fn size_note(s: &Shown) -> String {
    format!("{} cells", s.cells())
}

/// The place of each neuron among the chosen ones, from 0 on.
fn ranks(s: &Shown) -> Vec<usize> {
    let mut ranks = vec![0; s.spikes.size as usize];
    for (rank, i) in s.neurons.of(s.spikes.size).enumerate() {
        ranks[i as usize] = rank;
    }
    ranks
}

/// One short upright stroke per spike, all in one path.
fn marks(svg: &mut Svg, band: Panel, s: &Shown, time: TimeAxis, window: Window) {
    let ranks = ranks(s);
    let row = band.height / s.cells() as f64;
    let length = (row * 0.8).clamp(1.3, 12.0).min(band.height);
    // The exact place of a row that is thinner than a stroke is moved into the band.
    let low = band.bottom() - length;
    let mut d = String::new();
    for (step, i) in s.spikes.within(s.neurons, window) {
        let x = time.at((step as f64 + 0.5) * window.dt_ms);
        let y = band.bottom() - (ranks[i as usize] as f64 + 0.5) * row - length / 2.0;
        // Writing into a String cannot fail.
        let _ = write!(d, "M{x:.1} {:.1}v{length:.1}", y.clamp(band.y.min(low), low));
    }
    let width = if row >= 4.0 { 1.4 } else { 1.2 };
    svg.stroke(&d, s.color, width, if row < 4.0 { " stroke-opacity=\"0.8\"" } else { "" });
}

/// Counts on a grid as shades; neighbours of one shade in a row are one stroke.
fn density(svg: &mut Svg, band: Panel, s: &Shown, window: Window) {
    let ranks = ranks(s);
    let columns = ((band.width / CELL) as usize).max(1).min(window.steps().min(100_000) as usize);
    let rows = ((band.height / CELL) as usize).max(1).min(s.cells());
    let mut grid = vec![0_u32; columns * rows];
    for (step, i) in s.spikes.within(s.neurons, window) {
        let column = (u128::from(step - window.from) * columns as u128 / u128::from(window.steps())) as usize;
        // Row 0 is at the top and holds the last neurons.
        let row = rows - 1 - ranks[i as usize] * rows / s.cells();
        grid[row * columns + column] += 1;
    }
    let mut counts: Vec<u32> = grid.iter().copied().filter(|c| *c > 0).collect();
    counts.sort_unstable();
    // One cell with many spikes must not make all others pale.
    let Some(reference) = counts.get(counts.len() * 98 / 100) else { return };
    let shade = |count: u32| -> usize {
        let part = (f64::from(count) / f64::from(*reference)).min(1.0);
        if count == 0 { 0 } else { 1 + (part.powf(0.7) * (SHADES as f64 - 0.01)) as usize }
    };
    let mut paths = vec![String::new(); SHADES + 1];
    for (y, row) in grid.chunks(columns).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| shade(*a) == shade(*b)) {
            if run[0] > 0 {
                let _ = write!(paths[shade(run[0]).min(SHADES)], "M{x} {y}h{}", run.len());
            }
            x += run.len();
        }
    }
    let (sx, sy) = (band.width / columns as f64, band.height / rows as f64);
    let place = format!(
        " transform=\"translate({:.1} {:.2}) scale({sx:.4} {sy:.4})\" shape-rendering=\"crispEdges\"",
        band.x,
        band.y + sy / 2.0
    );
    for (k, d) in paths.iter().enumerate().skip(1) {
        svg.stroke(d, &tint(s.color, k as f64 / SHADES as f64), 1.0, &place);
    }
}

/// A colour thinned with white.
fn tint(color: &str, strength: f64) -> String {
    let part = |k: usize| -> f64 {
        let channel = color.get(k..k + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        255.0 - (255.0 - f64::from(channel)) * strength
    };
    format!("#{:02x}{:02x}{:02x}", part(1) as u8, part(3) as u8, part(5) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, well_formed};
    use super::*;

    #[test]
    fn few_spikes_are_marks_and_many_are_shades() {
        let few = noise(&[("E", 80), ("I", 20)], 1000, 0.01);
        let text = raster(&few, &[Selection::all("E"), Selection::all("I")], &Options::default());
        well_formed(&text);
        assert!(text.contains("bins of") && text.contains("80 cells") && !text.contains("crispEdges"));
        let marks: usize = text.matches('v').count();
        let spikes = few.spikes.iter().map(|p| p.len()).sum::<usize>();
        assert!(marks >= spikes, "{marks} marks for {spikes} spikes");
        let many = noise(&[("E", 800), ("I", 200)], 1000, 0.05);
        let text = raster(&many, &[Selection::all("E"), Selection::all("I")], &Options::default());
        well_formed(&text);
        assert!(text.contains("crispEdges"));
    }

    #[test]
    fn a_million_spikes_are_less_than_a_megabyte() {
        let recording = noise(&[("E", 4000), ("I", 1000)], 2000, 0.1);
        assert!(recording.spikes.iter().map(|p| p.len()).sum::<usize>() > 900_000);
        let text = raster(&recording, &[Selection::all("E"), Selection::all("I")], &Options::default());
        well_formed(&text);
        assert!(text.len() < 1 << 20, "{} bytes", text.len());
    }

    #[test]
    fn nothing_to_show_is_still_a_figure() {
        let recording = noise(&[("E", 10)], 100, 0.0);
        for selection in [vec![], vec![Selection::all("E")], vec![Selection::all("other")]] {
            let text = raster(&recording, &selection, &Options::default());
            well_formed(&text);
            assert!(text.contains("no spikes"));
        }
        let none = Selection { neurons: Neurons::Range(3..3), ..Selection::all("E") };
        well_formed(&raster(&recording, &[none], &Options { steps: Some((50, 50)), ..Options::default() }));
    }

    #[test]
    fn names_of_users_are_escaped() {
        let recording = noise(&[("a<b>&\"c", 10), ("d", 10)], 100, 0.1);
        let options = Options { title: Some("<script>".into()), ..Options::default() };
        let text = raster(&recording, &[Selection::all("a<b>&\"c"), Selection::all("d")], &options);
        well_formed(&text);
        assert!(!text.contains("<script>") && text.contains("a&lt;b&gt;&amp;&quot;c"));
    }

    #[test]
    fn only_chosen_neurons_and_steps_are_marked() {
        let recording = noise(&[("E", 100)], 1000, 0.01);
        let count = |neurons: Neurons, steps| {
            let selection = [Selection { neurons, ..Selection::all("E") }];
            raster(&recording, &selection, &Options { steps: Some(steps), ..Options::default() }).matches('v').count()
        };
        let all = count(Neurons::All, (0, 1000));
        assert!(count(Neurons::Range(0..10), (0, 1000)) < all / 2);
        assert!(count(Neurons::All, (0, 100)) < all / 2);
    }
}
