//! Delivery of a projection without stored synapses: the row of each sender is made anew, for the targets of one share.
//!
//! What arrives is added in the order of stored rows: sender by sender, each row ascending in its targets.

use crate::backend::build::{self, ProceduralRows};
use crate::backend::engine::RunError;
use crate::runtime::{Ring, RingData};
use std::ops::Range;

/// A projection's rows as far as they lead to one share.
pub struct Procedural {
    rows: ProceduralRows,
    /// First target of the share.
    lo: u32,
    weight: f64,
    delay: u32,
}

impl Procedural {
    /// `posts` are the positions, among the projection's targets, of those in the share, whose first cell is `lo`; `weight` and
    /// `delay` are those that all synapses share, if they do.
    ///
    /// # Errors
    /// [`RunError::Build`] where the rule cannot be carried out.
    pub fn new(
        whole: &build::Procedural,
        posts: Range<u32>,
        lo: u32,
        (weight, delay): (f64, u32),
    ) -> Result<Procedural, RunError> {
        Ok(Procedural { rows: whole.rows(posts)?, lo, weight, delay })
    }

    /// Delivers spikes of `senders` (ascending), sent in step `step`, into the ring. Gives the number of synaptic events.
    pub fn deliver(&mut self, senders: &[u32], step: u64, ring: &mut Ring) -> u64 {
        let (lo, mask, stride) = (self.lo as usize, ring.slots - 1, ring.stride);
        let start = |delay: u32| ((step as usize + delay as usize) & mask) * stride;
        let (shared, whole) = (start(self.delay), self.weight);
        let mut events = 0;
        for pre in senders {
            let made = self.rows.make(*pre, &mut |posts, weights, delays| {
                events += posts.len() as u64;
                let offsets = posts.iter().map(|post| *post as usize - lo);
                let row = shared..shared + stride;
                match (&mut ring.data, delays.is_empty()) {
                    (RingData::Count16(data), true) => {
                        let row = &mut data[row];
                        offsets.for_each(|t| row[t] += 1);
                    }
                    (RingData::Count32(data), true) => {
                        let row = &mut data[row];
                        offsets.for_each(|t| row[t] += 1);
                    }
                    (RingData::Count16(data), false) => {
                        offsets.zip(delays).for_each(|(t, d)| data[start(*d) + t] += 1);
                    }
                    (RingData::Count32(data), false) => {
                        offsets.zip(delays).for_each(|(t, d)| data[start(*d) + t] += 1);
                    }
                    (RingData::Sum(data), true) if weights.is_empty() => {
                        let row = &mut data[row];
                        offsets.for_each(|t| row[t] += whole);
                    }
                    (RingData::Sum(data), true) => {
                        let row = &mut data[row];
                        offsets.zip(weights).for_each(|(t, w)| row[t] += *w);
                    }
                    (RingData::Sum(data), false) if weights.is_empty() => {
                        offsets.zip(delays).for_each(|(t, d)| data[start(*d) + t] += whole);
                    }
                    (RingData::Sum(data), false) => {
                        offsets.zip(delays).zip(weights).for_each(|((t, d), w)| data[start(*d) + t] += *w);
                    }
                }
            });
            debug_assert!(made.is_ok(), "rows that may fail were looked at before the run");
        }
        events
    }

    /// (pre, post) of all synapses here, in order of both.
    pub fn edges(&mut self, sources: u32) -> Vec<(u32, u32)> {
        let mut out = Vec::new();
        for pre in 0..sources {
            let made = self.rows.make(pre, &mut |posts, _, _| out.extend(posts.iter().map(|post| (pre, *post))));
            debug_assert!(made.is_ok(), "as in `deliver`");
        }
        out
    }

    /// The lengths of all rows here, and their weights one after the other; no weights where all synapses share one.
    pub fn weights(&mut self, sources: u32) -> (Vec<usize>, Vec<f64>) {
        let (mut lengths, mut out) = (Vec::new(), Vec::new());
        for pre in 0..sources {
            let mut length = 0;
            let made = self.rows.make(pre, &mut |posts, weights, _| {
                length += posts.len();
                out.extend_from_slice(weights);
            });
            debug_assert!(made.is_ok(), "as in `deliver`");
            lengths.push(length);
        }
        (lengths, out)
    }
}
