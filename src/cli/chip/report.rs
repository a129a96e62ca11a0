//! What `--report` prints: how a circuit lies on a chip, as text or as one HTML page.

use crate::chip::beside::{BIN_MS, Beside, Rates, SPOILT};
use crate::chip::quantise::PopulationReport;
use crate::chip::report::{Figures, Placed, Report};
use crate::doc::{STYLE, escape};
use crate::plot::{self, Options, Square};
use std::fmt::Write;

/// Cores that the text lists; the page has all.
const LISTED: usize = 16;

// Writing to a string can't fail, here and below.
pub(super) fn text(r: &Report) -> String {
    let mut out = String::new();
    let fit = &r.fit;
    let _ = writeln!(out, "{} on {}: {}{}\n", r.network, r.chip.name, cores(r), about(r));
    let _ = writeln!(out, "  resource                total       most      limit  of the mean core");
    for s in &fit.resources {
        let limit = s.limit.map_or_else(|| "-".to_string(), |l| l.to_string());
        let part = s.mean_part.map_or_else(String::new, |p| format!("{:.1} %", 100.0 * p));
        let _ = writeln!(out, "  {:<18} {:>10} {:>10} {limit:>10}  {part:>16}", s.resource, s.total, s.most);
    }
    out.push_str(&bound(r));
    if let Some(b) = &r.binding {
        let _ = writeln!(out, "\n  what binds: {}, {:.1} % of the mean core, taken by", b.resource, 100.0 * b.part);
        for u in &b.users {
            let _ = writeln!(out, "    {:<24} {:>10}  {}", u.path, u.amount, u.place.as_deref().unwrap_or(""));
        }
    }
    for (what, list) in [("region", &r.regions), ("population", &r.populations)] {
        if !list.is_empty() {
            let _ = writeln!(out, "\n  {what:<22}   cells  cores");
        }
        for p in list {
            let _ = writeln!(out, "  {:<22} {:>7} {:>6}", p.path, p.size, held(p));
        }
    }
    let _ = writeln!(out, "\n  core  chip  column  row  fullest resource             cells");
    for c in fit.per_core.iter().take(LISTED) {
        let cells: Vec<String> = c.populations.iter().map(|(p, n)| format!("{n} {p}")).collect();
        let fullest = format!("{} {:.1} %", c.fullest.unwrap_or("-"), 100.0 * c.part);
        let (chip, x, y) = c.site;
        let _ = writeln!(out, "  {:>4} {chip:>5} {x:>7} {y:>4}  {fullest:<28} {}", c.core, cells.join(", "));
    }
    if fit.per_core.len() > LISTED {
        let _ = writeln!(out, "  ... and {} more (`--report json`)", fit.per_core.len() - LISTED);
    }
    let _ = writeln!(out, "\n  {}", rates(r));
    let _ =
        writeln!(out, "  mapping        cores    packets  leaving     hops  busiest link  network pJ  slowest core ns");
    for (name, f) in mappings(r) {
        let Some(f) = f else {
            let _ = writeln!(out, "  {name:<13} does not fit");
            continue;
        };
        let _ = writeln!(
            out,
            "  {name:<13} {:>6} {:>10.2} {:>8.2} {:>8.2} {:>13.2} {:>11.1} {:>16.1}",
            f.cores, f.packets, f.leaving, f.hops, f.busiest_link, f.network_pj, f.slowest_ns
        );
    }
    let _ = writeln!(out, "  {}", fewest(r));
    let _ = writeln!(out, "\n  energy of a step, estimated");
    for e in &r.energy {
        let _ = writeln!(out, "  {:<14} {:<24} {}", e.name, joules(e.low_j, e.high_j), e.counts);
        let _ = writeln!(out, "                 assumes {}", e.assumes);
    }
    out.push_str(&quantising(r));
    out
}

/// What a chip says of itself; a user's file need not.
fn about(r: &Report) -> String {
    if r.chip.about.is_empty() { String::new() } else { format!(" ({})", r.chip.about) }
}

/// Cores that hold some of it.
fn held(p: &Placed) -> String {
    if p.cores == 0 { "host".to_string() } else { p.cores.to_string() }
}

fn cores(r: &Report) -> String {
    let count = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{} on {}", count(r.fit.cores as u64, "core"), count(u64::from(r.fit.chips), "chip"))
}

fn bound(r: &Report) -> String {
    let what = r.fit.bound_resource.map_or_else(String::new, |b| format!(" ({b})"));
    format!("\n  no mapping needs fewer than {}{what}; what this one stores fills {}\n", r.fit.bound, r.fit.packed)
}

fn fewest(r: &Report) -> String {
    format!(
        "no mapping sends fewer packets than {:.2}: each list reaches as many cores as its targets fill",
        r.traffic.bound
    )
}

fn rates(r: &Report) -> String {
    let t = &r.traffic;
    let ended = t.trial_fault.as_ref().map_or_else(String::new, |f| format!(", then it stopped: {f}"));
    format!("per step, at the rates of a trial of {} steps{ended}", t.trial_steps)
}

fn mappings(r: &Report) -> impl Iterator<Item = (&str, Option<Figures>)> {
    std::iter::once(("this one", Some(r.traffic.mapping))).chain(r.traffic.baselines.iter().map(|(n, f)| (*n, *f)))
}

fn joules(low: f64, high: f64) -> String {
    if low == high { format!("{low:.2e} J") } else { format!("{low:.1e} .. {high:.1e} J") }
}

/// What quantising did to each parameter, and to rates where that was asked for.
pub(super) fn quantising(r: &Report) -> String {
    let mut out = String::new();
    parameters(r, &mut out);
    if let Some(rates) = &r.rates {
        changes(rates, &mut out);
    }
    out
}

fn changes(rates: &Rates, out: &mut String) {
    let part = |now: f64, before: f64| match before > 0.0 {
        true => format!("{:+.1} %", 100.0 * (now / before - 1.0)),
        false => String::new(),
    };
    let _ = writeln!(
        out,
        "\n  rates, Hz, of the first {} steps (what the experiment does later is not in them)\n\
         \x20 population            here  with the chip's weights       on the chip",
        rates.steps
    );
    for p in &rates.populations {
        let (weights, chip) = (part(p.weights_hz, p.here_hz), part(p.chip_hz, p.here_hz));
        let _ = writeln!(
            out,
            "  {:<18} {:>7.2}       {:>8.2} {weights:>9} {:>8.2} {chip:>8}",
            p.path, p.here_hz, p.weights_hz, p.chip_hz
        );
    }
    if let Some(fault) = &rates.fault {
        let _ = writeln!(out, "  the chip stopped there: {fault}");
    }
    if !rates.weights.is_empty() {
        let _ = writeln!(out, "\n  weights of the chip alone  change most           by  written at");
    }
    for w in &rates.weights {
        let (by, place) = (format!("{:+.2} %", 100.0 * w.change), w.place.as_deref().unwrap_or(""));
        let _ = writeln!(out, "  {:<25}  {:<14} {by:>9}  {place}", w.projection, w.population);
    }
    let _ = writeln!(out);
    if rates.spoilt.is_empty() {
        let _ = writeln!(out, "  no rate changes by more than {:.0} % and what it scatters", 100.0 * SPOILT);
    }
    for s in &rates.spoilt {
        let place = s.place.as_ref().map_or_else(String::new, |p| format!(" ({p})"));
        let _ =
            writeln!(out, "  `{}` fires {:+.1} % on the chip: by {}{place}", s.population, 100.0 * s.change, s.cause);
    }
}

/// Rates and spike trains on the chip and on this machine.
pub(super) fn beside(list: &[Beside]) -> String {
    let mut out = format!(
        "\n  beside this machine; correlation of spike counts in bins of {BIN_MS} ms, cell by cell and of all together\n\
         \x20 population            chip      here           cells  together\n"
    );
    let value = |c: Option<f64>| c.map_or_else(|| "-".to_string(), |c| format!("{c:.3}"));
    for b in list {
        let by = b.difference().map_or_else(String::new, |d| format!("{:+.1} %", 100.0 * d));
        let (cells, together) = (value(b.cells), value(b.together));
        let _ = writeln!(
            out,
            "  {:<16} {:>7.2} Hz {:>6.2} Hz {by:>8} {cells:>6} {together:>9}",
            b.path, b.chip_hz, b.here_hz
        );
    }
    out
}

fn parameters(r: &Report, out: &mut String) {
    let _ = writeln!(
        out,
        "\n  population      program          operations  bytes  error of a coefficient  cut off at most"
    );
    for p in &r.quantising.populations {
        let _ = writeln!(
            out,
            "  {:<15} {:<16} {:>10} {:>6} {:>23}  {}",
            p.path,
            p.program,
            p.operations,
            p.state_bytes,
            format!("{:.2e}", p.coefficient_error),
            cut_off(p)
        );
    }
    let _ = writeln!(out, "\n  projection            synapses  exponent  rms error  mean error  largest  became 0");
    for p in &r.quantising.projections {
        let _ = writeln!(
            out,
            "  {:<20} {:>9} {:>9}  {:>8.3} %  {:>8.3} %  {:>5.2} %  {:>8}",
            p.path,
            p.synapses,
            p.exponent,
            100.0 * p.rms_error,
            100.0 * p.mean_error,
            100.0 * p.largest_error,
            p.lost
        );
    }
    if !r.quantising.terms.is_empty() {
        let _ =
            writeln!(out, "\n  rule                  product                         coefficient      stored    error");
    }
    for t in &r.quantising.terms {
        let error = 100.0 * (t.stored / t.exact - 1.0);
        let _ =
            writeln!(out, "  {:<20}  {:<28} {:>14.4e} {:>11.4e} {error:>6.1} %", t.rule, t.product, t.exact, t.stored);
    }
}

/// The state that products move furthest off, and by how much of the way to threshold.
fn cut_off(p: &PopulationReport) -> String {
    match &p.cut_off {
        Some((state, part)) if part.is_finite() => format!("{state} {:.2} %", 100.0 * part),
        Some((state, _)) => format!("{state}, which never decays"),
        None => String::new(),
    }
}

/// Everything on one page that needs no other file.
pub(super) fn page(r: &Report) -> String {
    let title = format!("{} on {}", r.network, r.chip.name);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{0}</h1></header>\n<main>\n",
        escape(&title)
    );
    let _ = writeln!(out, "<p>{}{}.</p>", escape(&cores(r)), escape(&about(r)));
    let _ = writeln!(out, "<p>{}.</p>", escape(bound(r).trim()));
    let _ = writeln!(out, "<figure>{}</figure>", heat(r));
    fit_tables(r, &mut out);
    let of = |f: Option<Figures>, get: fn(&Figures) -> String| f.as_ref().map_or_else(|| "does not fit".into(), get);
    let rows = mappings(r).map(|(name, f)| {
        vec![
            name.to_string(),
            of(f, |f| f.cores.to_string()),
            of(f, |f| format!("{:.2}", f.packets)),
            of(f, |f| format!("{:.2}", f.leaving)),
            of(f, |f| format!("{:.2}", f.hops)),
            of(f, |f| format!("{:.2}", f.busiest_link)),
            of(f, |f| format!("{:.1}", f.network_pj)),
            of(f, |f| format!("{:.1}", f.slowest_ns)),
        ]
    });
    let head = ["mapping", "cores", "packets", "leaving", "hops", "busiest link", "network pJ", "slowest core ns"];
    table(&mut out, &format!("Traffic, {}", rates(r)), &head, rows);
    let _ = writeln!(out, "<p>{}.</p>", escape(&fewest(r)));
    let rows =
        r.energy.iter().map(|e| vec![e.name.into(), joules(e.low_j, e.high_j), e.counts.clone(), e.assumes.into()]);
    table(&mut out, "Energy of a step, estimated", &["estimate", "energy", "counts", "assumes"], rows);
    let rows = r.quantising.projections.iter().map(|p| {
        vec![
            p.path.clone(),
            p.synapses.to_string(),
            format!("{} bits, 2^{}", p.bits, p.exponent),
            format!("{:.3} %", 100.0 * p.rms_error),
            format!("{:.3} %", 100.0 * p.mean_error),
            format!("{:.2} %", 100.0 * p.largest_error),
            p.lost.to_string(),
        ]
    });
    let head = ["projection", "synapses", "weights", "rms error", "mean error", "largest error", "became 0"];
    table(&mut out, "Quantised weights", &head, rows);
    let rows = r.quantising.terms.iter().map(|t| {
        let error = format!("{:.1} %", 100.0 * (t.stored / t.exact - 1.0));
        vec![t.rule.clone(), t.product.clone(), format!("{:.4e}", t.exact), format!("{:.4e}", t.stored), error]
    });
    if !r.quantising.terms.is_empty() {
        table(&mut out, "Rules", &["rule", "product", "coefficient", "stored", "error"], rows);
    }
    let rows = r.quantising.populations.iter().map(|p| {
        let (operations, bytes) = (p.operations.to_string(), p.state_bytes.to_string());
        let error = format!("{:.2e}", p.coefficient_error);
        vec![p.path.clone(), p.program.clone(), operations, bytes, error, cut_off(p)]
    });
    let head = [
        "population",
        "program",
        "operations",
        "bytes",
        "largest error of a coefficient",
        "cut off, of the way to threshold",
    ];
    table(&mut out, "Programs", &head, rows);
    if let Some(rates) = &r.rates {
        rate_tables(rates, &mut out);
    }
    let assumed: Vec<String> = r.chip.assumed.iter().map(|k| format!("<code>{}</code>", escape(k))).collect();
    if !assumed.is_empty() {
        let _ = writeln!(out, "<p>Limits that are not public, and assumed: {}.</p>", assumed.join(", "));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn rate_tables(rates: &Rates, out: &mut String) {
    let rows = rates.populations.iter().map(|p| {
        let hz = |v: f64| format!("{v:.2}");
        vec![p.path.clone(), hz(p.here_hz), hz(p.weights_hz), hz(p.chip_hz)]
    });
    let title = format!("Rates of the first {} steps, Hz", rates.steps);
    table(out, &title, &["population", "here", "here, with the chip's weights", "on the chip"], rows);
    let rows = rates.weights.iter().map(|w| {
        let by = format!("{:+.2} %", 100.0 * w.change);
        vec![w.projection.clone(), w.population.clone(), by, w.place.clone().unwrap_or_default()]
    });
    table(out, "Weights of the chip alone", &["projection", "changes most", "by", "written at"], rows);
    let rows = rates.spoilt.iter().map(|s| {
        let by = format!("{:+.1} %", 100.0 * s.change);
        vec![s.population.clone(), by, s.cause.clone(), s.place.clone().unwrap_or_default()]
    });
    table(out, "Rates that quantising spoils", &["population", "by", "cause", "written at"], rows);
}

fn fit_tables(r: &Report, out: &mut String) {
    let rows = r.fit.resources.iter().map(|s| {
        let limit = s.limit.map_or_else(|| "none".to_string(), |l| l.to_string());
        let part = s.mean_part.map_or_else(String::new, |p| format!("{:.1} %", 100.0 * p));
        vec![s.resource.to_string(), s.total.to_string(), s.most.to_string(), limit, part]
    });
    table(out, "Fit", &["resource", "total", "most in a core", "limit of a core", "of the mean core"], rows);
    if let Some(b) = &r.binding {
        let rows =
            b.users.iter().map(|u| vec![u.path.clone(), u.amount.to_string(), u.place.clone().unwrap_or_default()]);
        let title = format!("What binds: {}, {:.1} % of the mean core", b.resource, 100.0 * b.part);
        table(out, &title, &["taken by", "amount", "written at"], rows);
    }
    for (title, what, list) in [("Regions", "region", &r.regions), ("Populations", "population", &r.populations)] {
        if !list.is_empty() {
            let rows = list.iter().map(|p| vec![p.path.clone(), p.size.to_string(), held(p)]);
            table(out, title, &[what, "cells", "cores"], rows);
        }
    }
    let mut head = vec!["core", "chip", "column", "row", "cells", "fullest"];
    head.extend(r.fit.resources.iter().map(|s| s.resource));
    let rows = r.fit.per_core.iter().map(|c| {
        let cells: Vec<String> = c.populations.iter().map(|(p, n)| format!("{n} {p}")).collect();
        let fullest = format!("{} {:.1} %", c.fullest.unwrap_or("-"), 100.0 * c.part);
        let (chip, x, y) = c.site;
        let mut row =
            vec![c.core.to_string(), chip.to_string(), x.to_string(), y.to_string(), cells.join(", "), fullest];
        row.extend(c.used.iter().map(u64::to_string));
        row
    });
    table(out, "Cores", &head, rows);
}

fn table(out: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let cells =
        |tag: &str, row: &[String]| -> String { row.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect() };
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let _ = writeln!(out, "<h2>{}</h2>\n<div class=\"wide\"><table>\n<tr>{}</tr>", escape(title), cells("th", &head));
    for row in rows {
        let _ = writeln!(out, "<tr>{}</tr>", cells("td", &row));
    }
    out.push_str("</table></div>\n");
}

/// The mesh of all chips with how full each core is: a tile is a block of its cores.
fn heat(r: &Report) -> String {
    let fit = &r.fit;
    let block = (1..=fit.cores_per_tile.max(1)).find(|b| b * b >= fit.cores_per_tile).unwrap_or(1);
    let across = (1..=fit.chips).find(|c| c * c >= fit.chips).unwrap_or(1);
    let (columns, rows) = (across * fit.mesh.0 * block, fit.chips.div_ceil(across) * fit.mesh.1 * block);
    let squares: Vec<Square> = fit
        .per_core
        .iter()
        .map(|c| {
            let k = c.slot % fit.cores_per_tile.max(1);
            let cells: Vec<String> = c.populations.iter().map(|(p, n)| format!("{n} {p}")).collect();
            let fullest = c.fullest.unwrap_or("nothing");
            let says = format!("core {}: {} {:.1} %; {}", c.core, fullest, 100.0 * c.part, cells.join(", "));
            let (column, row) = (c.site.1 * block + k % block, c.site.2 * block + k / block);
            Square { column, row, value: c.part, says }
        })
        .collect();
    let options = Options { title: Some("How full the cores are".into()), ..Options::default() };
    plot::heat(&squares, columns, rows, block, "of the fullest resource of a core", &options)
}
