//! Work that threads share in stages: every task of a stage is done before the first of the next begins.
//!
//! A thread takes its own task first, then any that nobody has begun. One that has lost its core between two stages therefore
//! holds up nobody: the others do its task, too. Who does a task changes nothing of what it computes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread spins for the next stage: about the imbalance of two equal shares.
const SPIN: Duration = Duration::from_micros(15);
/// Looks at the next stage between two looks at the clock.
const LOOKS: u32 = 16;
/// Yields before going to sleep.
const YIELDS: u32 = 20;

/// A line of the cache of its own, so that threads that claim don't disturb each other.
#[repr(align(64))]
struct Claim(AtomicU64);

pub struct Stages {
    /// Twice the number of the stage; odd where no stage is open.
    opened: AtomicU64,
    /// For each task, the stage after the last one in which somebody began it.
    claims: Vec<Claim>,
    finished: AtomicUsize,
    /// Threads that sleep, or are about to.
    sleeping: AtomicUsize,
    asleep: Mutex<()>,
    wake: Condvar,
}

/// No stage will be opened any more.
const OVER: u64 = u64::MAX;

impl Stages {
    /// With `tasks` in each stage.
    pub fn new(tasks: usize) -> Stages {
        Stages {
            opened: AtomicU64::new(1),
            claims: (0..tasks).map(|_| Claim(AtomicU64::new(1))).collect(),
            finished: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Opens a stage; none is open.
    pub fn open(&self) {
        self.publish(self.opened.load(Ordering::Relaxed) + 1);
    }

    /// Sends the threads home that wait for a stage; none is open.
    pub fn end(&self) {
        self.publish(OVER);
    }

    fn publish(&self, opened: u64) {
        // In one order with `sleeping`: either a thread that goes to sleep sees the stage, or this sees the thread.
        self.opened.store(opened, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            drop(self.asleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }

    /// Waits until a stage is open. False where none will be.
    pub fn await_open(&self) -> bool {
        loop {
            match self.opened.load(Ordering::Acquire) {
                OVER => return false,
                closed if closed % 2 == 1 => self.wait(closed),
                _ => return true,
            }
        }
    }

    /// Works as thread `home` until no stage is open. `run` does a task; `next` is called by whoever finished the last task of a
    /// stage, alone, and says whether there is another; `idle` is called where there is nothing to do but wait, and does a
    /// little of what has time, or says that there is none. What was written before is visible to all after.
    pub fn work(
        &self,
        home: usize,
        run: &mut dyn FnMut(usize),
        next: &mut dyn FnMut() -> bool,
        idle: &mut dyn FnMut() -> bool,
    ) {
        let tasks = self.claims.len();
        loop {
            let opened = self.opened.load(Ordering::Acquire);
            if opened % 2 == 1 {
                return;
            }
            let free = (0..tasks).map(|k| (home + k) % tasks).find(|task| self.claim(*task, opened / 2));
            let Some(task) = free else {
                if self.opened.load(Ordering::Acquire) == opened && !idle() {
                    self.wait(opened);
                }
                continue;
            };
            run(task);
            if self.finished.fetch_add(1, Ordering::AcqRel) + 1 == tasks {
                self.finished.store(0, Ordering::Relaxed);
                self.publish(if next() { opened + 2 } else { opened + 1 });
            }
        }
    }

    /// Whether the task of this stage is now the caller's.
    fn claim(&self, task: usize, stage: u64) -> bool {
        let claim = &self.claims[task].0;
        claim.load(Ordering::Relaxed) == stage
            && claim.compare_exchange(stage, stage + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Until `opened` has changed: spins, then yields, then sleeps.
    fn wait(&self, opened: u64) {
        let same = || self.opened.load(Ordering::Acquire) == opened;
        let begin = Instant::now();
        while begin.elapsed() < SPIN {
            for _ in 0..LOOKS {
                if !same() {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        for _ in 0..YIELDS {
            if !same() {
                return;
            }
            std::thread::yield_now();
        }
        let mut guard = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        while self.opened.load(Ordering::SeqCst) == opened {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every task of every stage is done once, and none before all of the stage before.
    #[test]
    fn no_task_runs_ahead() {
        for threads in [1, 2, 3, 7] {
            let (tasks, rounds) = (5, 300);
            let stages = Stages::new(tasks);
            let done: Vec<AtomicUsize> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
            let round = AtomicUsize::new(0);
            let work = |home: usize| {
                stages.work(
                    home,
                    &mut |_| {
                        let now = round.load(Ordering::Relaxed);
                        assert!(now == 0 || done[now - 1].load(Ordering::Relaxed) == tasks);
                        done[now].fetch_add(1, Ordering::Relaxed);
                    },
                    &mut || {
                        round.fetch_add(1, Ordering::Relaxed) + 1 < rounds
                            && !round.load(Ordering::Relaxed).is_multiple_of(100)
                    },
                    &mut || false,
                );
            };
            std::thread::scope(|s| {
                for home in 1..threads {
                    let (work, stages) = (&work, &stages);
                    s.spawn(move || {
                        while stages.await_open() {
                            work(home);
                        }
                    });
                }
                for _ in 0..3 {
                    stages.open();
                    work(0);
                }
                stages.end();
            });
            assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == tasks));
        }
    }
}
