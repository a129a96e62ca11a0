//! What the counted events would cost, by public figures, each with its source; and an artificial network of the same synapses.

use super::{Source, rounded, table, value};
use crate::chip::energy::{LOIHI1_SANAFE, LOIHI2_BOUNDS};
use crate::units::{Dimension, display, from_si, number};
use maud::{Markup, html};

/// Joule per synaptic operation that is often given for Loihi 2. No measurement of it is public.
const OFTEN_GIVEN: f64 = 10e-12;
/// Davies et al. (2018), IEEE Micro 38:82, table 2: minimum of a synaptic operation, update of an inactive and of an active neuron.
const DAVIES: (f64, f64, f64) = (23.6e-12, 52e-12, 81e-12);
/// 1e9 ATP per spike at 30 kJ/mol (8.3e-11 J at 50 kJ/mol). Attwell and Laughlin (2001), J. Cereb. Blood Flow Metab. 21:1133.
const BIOLOGICAL_SPIKE: f64 = 5e-11;
/// Joule per multiply-accumulate that is often given for an A100.
const MAC_OFTEN_GIVEN: f64 = 100e-12;
/// 400 W over 312e12 FLOP/s (NVIDIA A100 datasheet, 16 bits, full load), two FLOP to a multiply-accumulate.
const MAC_PEAK: f64 = 2.0 * 400.0 / 312e12;

/// Events of one run, means over the runs.
struct Counts {
    synaptic: f64,
    updates: f64,
    spikes: f64,
    /// Multiply-accumulates of a dense network: every synapse once a step.
    dense: f64,
}

/// One way to reckon: an interval where a figure is one.
struct Reckoning {
    what: &'static str,
    figures: String,
    joule: (f64, f64),
    source: &'static str,
}

pub(super) fn section(source: &Source) -> Option<Markup> {
    let s = source.summary;
    let steps = if s.dt_ms > 0.0 { (s.duration_ms / s.dt_ms).round() } else { 0.0 };
    if steps == 0.0 {
        return None;
    }
    let neurons =
        |path: &str| source.runs.first().is_some_and(|r| r.populations.iter().any(|p| p.path == path && !p.source));
    let c = Counts {
        synaptic: s.synaptic_events.0,
        updates: s.neurons as f64 * steps,
        spikes: s.populations.iter().filter(|(path, _)| neurons(path)).map(|(_, p)| p.spikes.0).sum(),
        dense: s.synapses.0 * steps,
    };
    let mean_hz = if s.neurons > 0 { c.spikes / (s.neurons as f64 * s.duration_ms * 1e-3) } else { 0.0 };
    let touched = s.synapses_touched.0 + s.synapses_stepped.0;
    Some(html! {
        (table(&["counted", "in a run", "in a step"], html! {
            (count("synaptic_events", "synaptic operations: spikes times out-degree", c.synaptic, steps))
            (count("updates", "updates of neurons: every neuron in every step", c.updates, steps))
            (count("spikes", "spikes of neurons", c.spikes, steps))
            @if touched > 0.0 { (count("touched", "updates of synapses by rules of learning", touched, steps)) }
            (count("dense", "multiply-accumulates of the artificial equivalent", c.dense, steps))
        }))
        p.note {
            "The artificial equivalent is a network of the same synapses that multiplies and adds once for each of them in every step, whether or not "
            "anything fired. Trains of sources without a size are made where they land and are no synaptic operations. Synapses times mean rate times "
            "step would be " (number(rounded(s.synapses.0 * mean_hz * s.dt_ms * 1e-3))) " operations in a step."
        }
        (table(&["by", "figures", "energy of a run", "of a step", "source"], html! { @for r in reckonings(&c) { (row(&r, steps)) } }))
        p.note {
            "Estimates, not measurements. They leave out what is not counted here: packets and their way over a chip (known only for a circuit that "
            "was mapped, " code { "nsmc compile --target loihi2 --report text" } "), static power, memory. In tissue, resting potentials take another 20 to 54 % of the energy "
            "for signals (Howarth et al. 2012)."
        }
    })
}

fn count(name: &str, what: &str, n: f64, steps: f64) -> Markup {
    html! {
        tr data-count=(name) {
            td { (what) }
            td.n { (value("run", n, &number(rounded(n)))) }
            td.n { (value("step", n / steps, &number(rounded(n / steps)))) }
        }
    }
}

fn reckonings(c: &Counts) -> Vec<Reckoning> {
    let (operation, inactive, active) = DAVIES;
    let p = &LOIHI1_SANAFE;
    let one = |joule: f64| (joule, joule);
    let sanafe = c.synaptic * p.synaptic_operation + c.updates * p.update + c.spikes * p.spike;
    vec![
        Reckoning {
            what: "Loihi 2, as often given",
            figures: format!("{} per synaptic operation", energy(OFTEN_GIVEN)),
            joule: one(c.synaptic * OFTEN_GIVEN),
            source: "no public measurement",
        },
        Reckoning {
            what: "Loihi 2, bounds",
            figures: format!(
                "{} .. {} per synaptic operation, all included",
                energy(LOIHI2_BOUNDS.0),
                energy(LOIHI2_BOUNDS.1)
            ),
            joule: (c.synaptic * LOIHI2_BOUNDS.0, c.synaptic * LOIHI2_BOUNDS.1),
            source: "15 TOPS/W of dense 8-bit networks; 2600 W over 380e12 operations per second of Hala Point",
        },
        Reckoning {
            what: "Loihi 1",
            figures: format!(
                "{} per synaptic operation, {} .. {} per update",
                energy(operation),
                energy(inactive),
                energy(active)
            ),
            joule: (c.synaptic * operation + c.updates * inactive, c.synaptic * operation + c.updates * active),
            source: "Davies et al. (2018), simulated before silicon",
        },
        Reckoning {
            what: "Loihi 1, fitted",
            figures: format!(
                "{} per synaptic operation, {} per update, {} per spike",
                energy(p.synaptic_operation),
                energy(p.update),
                energy(p.spike)
            ),
            joule: one(sanafe),
            source: "SANA-FE 2.2.9, several values fitted",
        },
        Reckoning {
            what: "cells of a brain",
            figures: format!("{} per spike", energy(BIOLOGICAL_SPIKE)),
            joule: one(c.spikes * BIOLOGICAL_SPIKE),
            source: "1e9 ATP at 30 kJ/mol; Attwell and Laughlin (2001)",
        },
        Reckoning {
            what: "artificial equivalent, as often given",
            figures: format!("{} per multiply-accumulate", energy(MAC_OFTEN_GIVEN)),
            joule: one(c.dense * MAC_OFTEN_GIVEN),
            source: "a small batch on a GPU; no one source",
        },
        Reckoning {
            what: "artificial equivalent, at its peak",
            figures: format!("{} per multiply-accumulate", energy(MAC_PEAK)),
            joule: one(c.dense * MAC_PEAK),
            source: "NVIDIA A100 datasheet: 400 W, 312e12 operations per second at 16 bits",
        },
    ]
}

fn row(r: &Reckoning, steps: f64) -> Markup {
    let cell = |by: f64| {
        let (low, high) = (r.joule.0 / by, r.joule.1 / by);
        html! {
            td.n {
                (value("joule", low, &energy(low)))
                @if low != high { " .. " (value("joule_at_most", high, &energy(high))) }
            }
        }
    };
    html! {
        tr data-by=(r.what) { td { (r.what) } td { (r.figures) } (cell(1.0)) (cell(steps)) td { (r.source) } }
    }
}

/// Joule as a reader likes it.
fn energy(joule: f64) -> String {
    display(from_si(rounded(joule), Dimension::ENERGY), Dimension::ENERGY)
}
