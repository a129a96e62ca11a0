//! `--budget`: what each part of a network will take, before anything is made.

use super::balance::heading;
use super::report;
use crate::driver;
use crate::ir::artefact::Job;
use crate::units::number;

/// Parts that are listed; the rest is in the sum.
const MOST_ROWS: usize = 20;

/// One table per network, the largest part first.
pub(super) fn tables(jobs: &[Job]) -> String {
    let mut out = String::new();
    for job in jobs {
        for (k, unit) in job.units.iter().enumerate() {
            out.push_str(&heading(job, k));
            let mut parts = driver::budget(unit);
            parts.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
            let row = |name: String, items: f64, bytes: f64, seconds: f64| {
                let items = if items < 1e6 { number(items.round()) } else { format!("{items:.3e}") };
                vec![name, items, driver::bytes_text(bytes), report::short(seconds)]
            };
            let mut rows: Vec<Vec<String>> =
                parts.iter().take(MOST_ROWS).map(|p| row(p.path.clone(), p.items, p.bytes, p.seconds)).collect();
            let sum = |f: &dyn Fn(&driver::Estimate) -> f64| parts.iter().map(f).sum::<f64>();
            if parts.len() > MOST_ROWS {
                rows.push(vec![
                    format!("and {} more", parts.len() - MOST_ROWS),
                    String::new(),
                    String::new(),
                    String::new(),
                ]);
            }
            rows.push(row("together".to_string(), sum(&|p| p.items), sum(&|p| p.bytes), sum(&|p| p.seconds)));
            report::table(&mut out, &["part", "cells or synapses", "memory", "build, one core"], rows);
        }
    }
    out
}
