//! Several runs at once: threads take them in order, and what they give is taken back in order, so that nobody can tell from the
//! results how many there were.
//!
//! The calling thread hands out the runs, watches them and takes what they give; it computes nothing. It passes a stop from
//! outside on to every run, and stops the runs after one that ends it all.

use crate::execute::Progress;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a stop from outside may go unnoticed.
const POLL: Duration = Duration::from_millis(20);

/// As much as the main thread has: expressions are walked by recursion.
const STACK: usize = 8 << 20;

/// A run as its thread sees it.
pub(super) struct Task<'t> {
    pub run: usize,
    /// Set when the run has to stop.
    pub stop: &'t AtomicBool,
    pub progress: &'t dyn Fn(Progress),
}

/// What the runs are told to and asked by.
pub(super) struct Pool<'p, R> {
    /// Runs in all.
    pub runs: usize,
    /// Runs at the same time.
    pub lanes: usize,
    /// Stops everything: no run is begun, those under way are stopped and taken.
    pub stop: &'p AtomicBool,
    pub work: &'p (dyn Fn(&Task) -> R + Sync),
}

enum News<R> {
    Moved(usize, Progress),
    /// `None` where the thread was lost, or never came to be.
    Done(usize, Option<R>),
}

/// Says that a run is over, whichever way.
struct Report<R> {
    run: usize,
    news: Sender<News<R>>,
    result: Option<R>,
}

impl<R> Drop for Report<R> {
    fn drop(&mut self) {
        // Nobody listens only where the result is no longer wanted.
        let _ = self.news.send(News::Done(self.run, self.result.take()));
    }
}

impl<R: Send> Pool<'_, R> {
    /// Executes the runs. `watch` hears of progress in any order, `take` gets each result in order of the runs; when it breaks,
    /// later runs are stopped and what they give is dropped. Returns the number of results taken.
    ///
    /// At most two results per lane wait for an earlier one.
    pub fn execute(
        &self,
        watch: &mut dyn FnMut(usize, Progress),
        take: &mut dyn FnMut(usize, R) -> ControlFlow<()>,
    ) -> usize {
        let lanes = self.lanes.max(1);
        let (send, receive) = channel();
        let mut under_way: BTreeMap<usize, Arc<AtomicBool>> = BTreeMap::new();
        let mut waiting: BTreeMap<usize, R> = BTreeMap::new();
        let (mut begun, mut taken, mut over) = (0, 0, false);
        thread::scope(|scope| {
            loop {
                let stopped = self.stop.load(Ordering::Relaxed);
                while !over && !stopped && begun < self.runs && under_way.len() < lanes && begun < taken + 2 * lanes {
                    let flag = Arc::new(AtomicBool::new(false));
                    let report = Report { run: begun, news: send.clone(), result: None };
                    let theirs = flag.clone();
                    // Where no thread is to be had the report is dropped with the closure, which says so.
                    let _ =
                        thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || self.one(report, &theirs));
                    under_way.insert(begun, flag);
                    begun += 1;
                }
                if stopped || over {
                    under_way.values().for_each(|flag| flag.store(true, Ordering::Relaxed));
                }
                if under_way.is_empty() {
                    break;
                }
                match receive.recv_timeout(POLL) {
                    Ok(News::Moved(run, progress)) => watch(run, progress),
                    Ok(News::Done(run, result)) => {
                        under_way.remove(&run);
                        // Without a thread of its own a run is this one's, unseen; what made a thread panic comes out here.
                        let task = Task { run, stop: self.stop, progress: &|_| {} };
                        waiting.insert(run, result.unwrap_or_else(|| (self.work)(&task)));
                        while !over && let Some(result) = waiting.remove(&taken) {
                            over = take(taken, result).is_break();
                            taken += 1;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    // This thread holds a sender itself.
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        taken
    }

    fn one(&self, mut report: Report<R>, stop: &AtomicBool) {
        let news = report.news.clone();
        let run = report.run;
        let progress = |p| {
            // Nobody listens only where the run is no longer wanted.
            let _ = news.send(News::Moved(run, p));
        };
        report.result = Some((self.work)(&Task { run, stop, progress: &progress }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool<'p, R>(
        runs: usize,
        lanes: usize,
        stop: &'p AtomicBool,
        work: &'p (dyn Fn(&Task) -> R + Sync),
    ) -> Pool<'p, R> {
        Pool { runs, lanes, stop, work }
    }

    /// Waits until told to stop.
    fn wait(task: &Task) {
        while !task.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn results_come_in_order_however_long_they_take() {
        for lanes in [1, 3, 64] {
            let stop = AtomicBool::new(false);
            let work = |task: &Task| {
                // Later ones are quicker.
                thread::sleep(Duration::from_millis(20_u64.saturating_sub(task.run as u64)));
                task.run * task.run
            };
            let mut found = vec![];
            let taken = pool(24, lanes, &stop, &work).execute(&mut |_, _| {}, &mut |run, result| {
                assert_eq!(run, found.len());
                found.push(result);
                ControlFlow::Continue(())
            });
            assert_eq!((taken, found), (24, (0..24).map(|k| k * k).collect()));
        }
    }

    #[test]
    fn no_run_is_far_ahead_of_the_slowest() {
        let stop = AtomicBool::new(false);
        let newest = std::sync::atomic::AtomicUsize::new(0);
        let work = |task: &Task| {
            newest.fetch_max(task.run, Ordering::Relaxed);
            if task.run == 0 {
                thread::sleep(Duration::from_millis(100));
            }
            newest.load(Ordering::Relaxed)
        };
        let mut first = None;
        pool(100, 3, &stop, &work).execute(&mut |_, _| {}, &mut |_, seen| {
            first.get_or_insert(seen);
            ControlFlow::Continue(())
        });
        // Runs 0 .. 2 * 3 may be begun before the first is taken.
        assert_eq!(first, Some(5));
    }

    #[test]
    fn a_result_that_ends_it_stops_the_others() {
        let stop = AtomicBool::new(false);
        let work = |task: &Task| {
            if task.run > 1 {
                wait(task);
            }
            task.run
        };
        let mut found = vec![];
        let taken = pool(1000, 4, &stop, &work).execute(&mut |_, _| {}, &mut |run, _| {
            found.push(run);
            if run == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((taken, found), (2, vec![0, 1]));
    }

    #[test]
    fn a_stop_from_outside_keeps_what_is_under_way() {
        let stop = AtomicBool::new(false);
        let work = |task: &Task| {
            (task.progress)(Progress { time_ms: task.run as f64, total_ms: None, spent: Duration::ZERO });
            wait(task);
            task.run
        };
        let mut found = vec![];
        let mut heard = 0;
        let taken = pool(1000, 3, &stop, &work).execute(
            &mut |_, _| {
                heard += 1;
                stop.store(heard == 3, Ordering::Relaxed);
            },
            &mut |run, _| {
                found.push(run);
                ControlFlow::Continue(())
            },
        );
        assert_eq!((taken, found), (3, vec![0, 1, 2]));
    }
}
