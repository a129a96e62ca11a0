//! Who of a population with winners sends a spike: the rule at the head of `ir`, word by word.

use crate::ir::Winners;

/// All spikes that were sent, and the rule.
pub struct Senders {
    most: usize,
    window: u64,
    /// (step, cell) of what was sent within the window.
    sent: Vec<(u64, u32)>,
}

impl Senders {
    pub fn new(winners: &Winners) -> Senders {
        Senders { most: winners.most as usize, window: winners.window, sent: vec![] }
    }

    pub fn clear(&mut self) {
        self.sent.clear();
    }

    /// (step, cell) of the spikes that hold places, in order.
    pub fn senders(&self) -> Vec<(u64, u32)> {
        self.sent.clone()
    }

    pub fn load(&mut self, senders: &[(u64, u32)]) {
        self.sent = senders.to_vec();
    }

    /// Leaves in `fired` those that send a spike stamped `step`.
    pub fn choose(&mut self, step: u64, fired: &mut Vec<u32>, margins: &[f64]) {
        self.sent.retain(|(at, _)| at + self.window > step);
        let mut order: Vec<usize> = (0..fired.len()).collect();
        order.sort_by(|a, b| margins[*b].total_cmp(&margins[*a]));
        let mut senders: Vec<u32> = self.sent.iter().map(|(_, cell)| *cell).collect();
        senders.sort_unstable();
        senders.dedup();
        let before = senders.clone();
        for k in order {
            if !before.contains(&fired[k]) && senders.len() < self.most {
                senders.push(fired[k]);
            }
        }
        fired.retain(|cell| senders.contains(cell));
        self.sent.extend(fired.iter().map(|cell| (step, *cell)));
    }
}
