//! A barrier that spins for a moment, then yields, then sleeps: fast where every thread has a core, harmless where it has not.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Rounds of spinning before the first yield: a few microseconds, about the imbalance of two equal shares.
const SPINS: u32 = 4000;
/// Yields before going to sleep.
const YIELDS: u32 = 50;

pub struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
    generation: AtomicU32,
    sleepers: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    pub fn new(threads: usize) -> Barrier {
        Barrier {
            threads,
            arrived: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            sleepers: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Returns when all threads have called it. What a thread wrote before is visible to all after.
    pub fn wait(&self) {
        if self.threads == 1 {
            return;
        }
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            // Under the lock, so that no thread falls asleep between its last look and the notice.
            let guard = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            self.generation.store(generation.wrapping_add(1), Ordering::Release);
            drop(guard);
            self.wake.notify_all();
            return;
        }
        for _ in 0..SPINS {
            if self.generation.load(Ordering::Acquire) != generation {
                return;
            }
            std::hint::spin_loop();
        }
        for _ in 0..YIELDS {
            if self.generation.load(Ordering::Acquire) != generation {
                return;
            }
            std::thread::yield_now();
        }
        let mut guard = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        while self.generation.load(Ordering::Acquire) == generation {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_runs_ahead() {
        for threads in [2, 3, 7] {
            let barrier = Barrier::new(threads);
            let rounds: Vec<AtomicUsize> = (0..200).map(|_| AtomicUsize::new(0)).collect();
            std::thread::scope(|s| {
                for _ in 0..threads {
                    s.spawn(|| {
                        for r in &rounds {
                            r.fetch_add(1, Ordering::Relaxed);
                            barrier.wait();
                            assert_eq!(r.load(Ordering::Relaxed), threads);
                            barrier.wait();
                        }
                    });
                }
            });
        }
    }
}
