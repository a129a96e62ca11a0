//! Statistics of spikes over a window of steps, as experiments ask for them.
//!
//! | name | over the cells P and the window w |
//! |---|---|
//! | `rate` | spikes / (cells x length of w) |
//! | `count` | spikes |
//! | `cv_isi` | mean over cells with at least three spikes of SD / mean of their intervals |
//! | `fano` | variance / mean of a cell's counts per bin (100 ms), mean over cells that fire |
//! | `correlation` | mean Pearson correlation of all pairs of cells that fire, of counts per bin (2 ms) |
//! | `synchrony` | variance / mean of the population's counts per bin (3 ms) |
//! | `active`, `active_fraction` | cells with a spike: a mask over the whole population, a share of P |
//! | `sparseness` | (mean count)^2 / mean squared count over cells: 1 where all fire alike, 1/n where one does (Treves and Rolls 1991) |
//! | `power(P, f)` | squared modulus of the sum of exp(-2 pi i f t) over spikes / their number: about 1 for independent Poisson trains |
//! | `phase_locking(P, f)` | length of the mean of exp(-2 pi i f t) over spikes: 1 where all keep one phase |
//! | `avalanches` | spikes of each run of bins (4 ms) that have some, between bins that have none |
//! | `first_spike` | ms from the start of w to each cell's first spike; `inf` for a cell without one |
//!
//! The formulas are `record::statistics`. What the spikes do not determine (a CV without intervals) is NaN, so that no
//! comparison with it holds.

use super::cells::Selection;
use crate::backend::SpikeLog;
use crate::record::{Neurons, PopulationSpikes, Window, statistics};
use crate::script::{EvalError, Stat, Value};
use serde::{Deserialize, Serialize};

/// Spikes with `start < step <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Steps {
    pub start: u64,
    pub end: u64,
}

impl Steps {
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// The spikes of one population within a window.
pub(super) struct Spikes<'a> {
    log: &'a SpikeLog,
    part: PopulationSpikes,
    window: Steps,
    dt: f64,
}

impl<'a> Spikes<'a> {
    /// `dt` is in ms.
    pub fn new(log: &'a SpikeLog, size: u32, window: Steps, dt: f64) -> Spikes<'a> {
        let from = log.steps.partition_point(|s| *s <= window.start);
        let to = log.steps.partition_point(|s| *s <= window.end).max(from);
        let mut part = PopulationSpikes::new("", size);
        part.steps = log.steps[from..to].to_vec();
        part.senders = log.senders[from..to].to_vec();
        Spikes { log, part, window, dt }
    }

    /// One statistic of one selection; `bin` is in ms.
    pub fn statistic(&self, stat: Stat, of: &Selection, bin: Option<f64>) -> Result<Value, EvalError> {
        let size = self.part.size;
        let flags = if of.whole { Vec::new() } else { flags(size, &of.cells) };
        let neurons = if of.whole { Neurons::All } else { Neurons::Mask(&flags) };
        // A record's window has its start and leaves its end out.
        let window = Window { from: self.window.start + 1, to: self.window.end + 1, dt_ms: self.dt };
        let bins = |default: f64| self.bins(bin, default, window);
        let number = |v: Option<f64>| Ok(Value::Number(v.unwrap_or(f64::NAN)));
        let length = self.window.len() as f64 * self.dt;
        match stat {
            Stat::Count => Ok(Value::Number(self.count(of, &neurons, window) as f64)),
            Stat::Rate => {
                if of.cells.is_empty() {
                    return Err(EvalError::empty("the rate of no cells"));
                }
                if self.window.len() == 0 {
                    return Err(EvalError::new("a rate over a window of no length: nothing has been simulated in it"));
                }
                Ok(Value::Number(self.count(of, &neurons, window) as f64 / (of.cells.len() as f64 * length)))
            }
            Stat::CvIsi if self.running(of) => number(self.log.cv_isi()),
            Stat::CvIsi => number(statistics::cv_isi(&self.part, &neurons, window)),
            Stat::Fano => number(statistics::fano_factor(&self.part, &neurons, window, bins(100.0)?)),
            Stat::Correlation => number(statistics::correlation(&self.part, &neurons, window, bins(2.0)?)),
            Stat::Synchrony => number(statistics::synchrony(&self.part, &neurons, window, bins(3.0)?)),
            Stat::Active => Ok(Value::Mask(statistics::active(&self.part, &neurons, window))),
            Stat::ActiveFraction => match statistics::active_fraction(&self.part, &neurons, window) {
                Some(v) => Ok(Value::Number(v)),
                None => Err(EvalError::empty("the active fraction of no cells")),
            },
            Stat::Sparseness => number(statistics::sparseness(&self.part, &neurons, window)),
            Stat::Power | Stat::PhaseLocking => {
                let f = bin.ok_or_else(|| EvalError::new("a rhythm needs a frequency"))?;
                let of_rhythm = if stat == Stat::Power { statistics::power } else { statistics::phase_locking };
                number(of_rhythm(&self.part, &neurons, window, f))
            }
            Stat::Avalanches => {
                let sizes = statistics::avalanches(&self.part, &neurons, window, bins(4.0)?);
                Ok(Value::List(sizes.into_iter().map(|s| Value::Number(s as f64)).collect()))
            }
            Stat::FirstSpike => {
                let time = |step: Option<u64>| match step {
                    Some(s) => Value::Number((s - self.window.start) as f64 * self.dt),
                    None => Value::Number(f64::INFINITY),
                };
                let mut times = statistics::first_spikes(&self.part, &neurons, window).into_iter().map(time);
                match (of.single, times.next()) {
                    (true, Some(one)) => Ok(one),
                    (_, first) => Ok(Value::List(first.into_iter().chain(times).collect())),
                }
            }
        }
    }

    /// The running sums of the log answer: all cells over the whole run, whose spikes need not have been kept.
    fn running(&self, of: &Selection) -> bool {
        of.whole && self.window.start == 0 && self.log.steps.last().is_none_or(|last| *last <= self.window.end)
    }

    fn count(&self, of: &Selection, neurons: &Neurons, window: Window) -> u64 {
        if self.running(of) { self.log.count } else { statistics::count(&self.part, neurons, window) }
    }

    /// Steps of a bin. A window that holds no two bins says nothing about variance over time.
    fn bins(&self, bin: Option<f64>, default: f64, window: Window) -> Result<u64, EvalError> {
        let ms = bin.unwrap_or(default);
        if !(ms > 0.0 && ms.is_finite()) {
            return Err(EvalError::new(format!("a bin of {ms} ms; it has to be longer than nothing")));
        }
        let steps = window.bin(ms);
        if self.window.len() / steps < 2 {
            let length = self.window.len() as f64 * self.dt;
            return Err(EvalError::new(format!("a window of {length} ms holds fewer than two bins of {ms} ms")));
        }
        Ok(steps)
    }
}

fn flags(size: u32, cells: &[u32]) -> Vec<bool> {
    let mut flags = vec![false; size as usize];
    for cell in cells {
        if let Some(flag) = flags.get_mut(*cell as usize) {
            *flag = true;
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Keep;

    fn log(spikes: &[(u64, u32)], size: u32) -> SpikeLog {
        let mut log = SpikeLog::new(size, Keep::All);
        for (step, sender) in spikes {
            log.push(*step, &[*sender]);
        }
        log
    }

    fn all(size: u32) -> Selection {
        Selection { cells: (0..size).collect(), single: false, whole: true }
    }

    fn some(cells: &[u32]) -> Selection {
        Selection { cells: cells.to_vec(), single: false, whole: false }
    }

    fn value(stat: Stat, log: &SpikeLog, of: &Selection, (start, end): (u64, u64), bin: Option<f64>) -> Value {
        Spikes::new(log, 4, Steps { start, end }, 0.1).statistic(stat, of, bin).unwrap()
    }

    fn number(stat: Stat, log: &SpikeLog, of: &Selection, window: (u64, u64), bin: Option<f64>) -> f64 {
        value(stat, log, of, window, bin).number().unwrap()
    }

    #[test]
    fn sparseness_and_power_of_known_trains() {
        // Cell 0 fires every ms, cell 1 once, cells 2 and 3 never.
        let mut spikes: Vec<(u64, u32)> = (1..=10).map(|k| (k * 10, 0)).collect();
        spikes.push((101, 1));
        let log = log(&spikes, 4);
        let sparse = number(Stat::Sparseness, &log, &all(4), (0, 200), None);
        assert!((sparse - 11.0 * 11.0 / (101.0 * 4.0)).abs() < 1e-15);
        // All spikes of a train at its own frequency are in phase: power is their number.
        let power = number(Stat::Power, &log, &some(&[0]), (0, 200), Some(1.0));
        assert!((power - 10.0).abs() < 1e-12);
        let off = number(Stat::Power, &log, &some(&[0]), (0, 200), Some(0.5));
        assert!(off < 1e-12, "neighbours are in opposite phase");
    }

    #[test]
    fn a_window_holds_its_end_and_not_its_start() {
        let log = log(&[(10, 0), (20, 1), (30, 0)], 4);
        assert_eq!(number(Stat::Count, &log, &all(4), (10, 30), None), 2.0);
        assert_eq!(number(Stat::Count, &log, &all(4), (0, 10), None), 1.0);
        assert_eq!(number(Stat::Count, &log, &some(&[0]), (10, 30), None), 1.0);
        // Two spikes of four cells in 20 steps of 0.1 ms.
        assert_eq!(number(Stat::Rate, &log, &all(4), (10, 30), None), 2.0 / (4.0 * 2.0));
        let empty = Spikes::new(&log, 4, Steps { start: 5, end: 5 }, 0.1);
        assert!(empty.statistic(Stat::Rate, &all(4), None).is_err());
        assert!(empty.statistic(Stat::Rate, &some(&[]), None).unwrap_err().empty);
    }

    #[test]
    fn running_sums_and_kept_spikes_agree() {
        let spikes: Vec<(u64, u32)> = (1..200_u64).map(|k| (k * k / 7 + k, (k % 4) as u32)).collect();
        let log = log(&spikes, 4);
        let end = spikes.last().unwrap().0;
        let running = number(Stat::CvIsi, &log, &all(4), (0, end), None);
        let kept = number(Stat::CvIsi, &log, &some(&[0, 1, 2, 3]), (0, end), None);
        assert!((running - kept).abs() < 1e-12 && running > 0.1);
        assert!(number(Stat::CvIsi, &log, &all(4), (0, 3), None).is_nan());
        // A window that ends before the run does is no running sum.
        assert_eq!(number(Stat::Count, &log, &all(4), (0, 3), None), 2.0);
    }

    #[test]
    fn who_fired_and_when() {
        let log = log(&[(12, 2), (15, 2), (40, 0)], 4);
        let mask = value(Stat::Active, &log, &some(&[1, 2]), (10, 50), None);
        assert_eq!(mask, Value::Mask(vec![false, false, true, false]));
        assert_eq!(number(Stat::ActiveFraction, &log, &all(4), (10, 50), None), 0.5);
        let first = value(Stat::FirstSpike, &log, &some(&[0, 1, 2]), (10, 50), None).numbers().unwrap();
        assert_eq!(first, [30.0 * 0.1, f64::INFINITY, 2.0 * 0.1]);
        let one = Selection { cells: vec![2], single: true, whole: false };
        assert_eq!(value(Stat::FirstSpike, &log, &one, (10, 50), None), Value::Number(2.0 * 0.1));
    }

    #[test]
    fn bins_start_with_the_window() {
        // Bins of 10 steps after step 100: the population fires 2, 2, 1.
        let log = log(&[(101, 0), (110, 0), (111, 1), (112, 1), (130, 0), (131, 0)], 4);
        let synchrony = number(Stat::Synchrony, &log, &some(&[0, 1]), (100, 135), Some(1.0));
        assert!((synchrony - (2.0 / 9.0) / (5.0 / 3.0)).abs() < 1e-12);
        let short = Spikes::new(&log, 4, Steps { start: 100, end: 115 }, 0.1);
        assert!(short.statistic(Stat::Synchrony, &all(4), Some(1.0)).is_err());
        assert!(short.statistic(Stat::Synchrony, &all(4), Some(0.0)).is_err());
    }
}
