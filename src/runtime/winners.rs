//! k-winners-take-all over the spikes of one population: who of the candidates of a step sends a spike.
//!
//! What it decides depends only on the candidates of each step, so every thread that keeps one of these comes to the same result.

use std::collections::VecDeque;

/// The senders of the last steps.
#[derive(Clone, Debug)]
pub struct Winners {
    most: usize,
    window: u64,
    /// Step of each cell's last spike that was sent; 0 where there was none (a spike is stamped 1 at the earliest).
    last: Vec<u64>,
    /// Senders in order of their spikes; a cell that fires again stands there twice.
    queue: VecDeque<(u64, u32)>,
    /// Distinct senders in the window.
    active: usize,
}

impl Winners {
    /// At most `most` distinct cells of `size` in any `window` steps.
    pub fn new(size: u32, most: u32, window: u64) -> Winners {
        Winners { most: most as usize, window, last: vec![0; size as usize], queue: VecDeque::new(), active: 0 }
    }

    /// Keeps those of `candidates` (cell, margin; cells ascending) that send a spike stamped `step`; steps ascend from call to call.
    pub fn choose(&mut self, step: u64, candidates: &[(u32, f64)], senders: &mut Vec<u32>) {
        while let Some((sent, cell)) = self.queue.front().copied().filter(|(sent, _)| sent + self.window <= step) {
            self.queue.pop_front();
            if self.last[cell as usize] == sent {
                self.active -= 1;
            }
        }
        let inside = |last: u64| last > 0 && last + self.window > step;
        let free = self.most.saturating_sub(self.active);
        let mut fresh: Vec<(u32, f64)> =
            candidates.iter().copied().filter(|(cell, _)| !inside(self.last[*cell as usize])).collect();
        if fresh.len() > free {
            // Of equal margins the lower cell stands first already: the sort is stable.
            fresh.sort_by(|a, b| b.1.total_cmp(&a.1));
            fresh.truncate(free);
            fresh.sort_by_key(|(cell, _)| *cell);
        }
        let mut chosen = fresh.iter().map(|(cell, _)| *cell).peekable();
        for (cell, _) in candidates {
            let wins = if inside(self.last[*cell as usize]) {
                true
            } else if chosen.peek() == Some(cell) {
                chosen.next();
                self.active += 1;
                true
            } else {
                false
            };
            if wins {
                self.last[*cell as usize] = step;
                self.queue.push_back((step, *cell));
                senders.push(*cell);
            }
        }
    }

    /// (step, cell) of the spikes that hold places, in order.
    pub fn senders(&self) -> Vec<(u64, u32)> {
        self.queue.iter().copied().collect()
    }

    /// Takes what [`Winners::senders`] gave in place of what is known; cells are below the size.
    pub fn load(&mut self, senders: &[(u64, u32)]) {
        self.clear();
        for (step, cell) in senders {
            let last = &mut self.last[*cell as usize];
            self.active += usize::from(*last == 0);
            *last = *step;
            self.queue.push_back((*step, *cell));
        }
    }

    /// As at the start: nobody has fired.
    pub fn clear(&mut self) {
        self.last.fill(0);
        self.queue.clear();
        self.active = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(w: &mut Winners, step: u64, candidates: &[(u32, f64)]) -> Vec<u32> {
        let mut out = Vec::new();
        w.choose(step, candidates, &mut out);
        out
    }

    #[test]
    fn the_furthest_above_threshold_win_and_may_fire_again() {
        let mut w = Winners::new(10, 2, 5);
        assert_eq!(choose(&mut w, 1, &[(0, 0.1), (3, 0.5), (7, 0.3)]), [3, 7]);
        // The window is full: only those two may fire.
        assert_eq!(choose(&mut w, 3, &[(0, 9.0), (3, 0.0)]), [3]);
        // At step 6 the spike of 7 (step 1) has left the window of five steps, that of 3 (step 3) has not.
        assert_eq!(choose(&mut w, 6, &[(0, 1.0), (1, 1.0)]), [0]);
        assert_eq!(choose(&mut w, 8, &[(1, 1.0), (2, 0.5)]), [1]);
        assert_eq!(choose(&mut w, 30, &[(1, 1.0), (2, 1.0), (3, 1.0)]), [1, 2]);
    }
}
