//! What this machine can do at best where a network spends its time.

use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds for each synaptic event of rows of 16-bit targets with one weight: rows of 1250 targets that are read from memory
/// in random order (31 MB, more than the caches of a core), each event an addition to one of 12,500 sums that stay in the cache.
/// The best of seven passes over 13,000 rows.
pub fn scatter_add() -> f64 {
    const NEURONS: usize = 12_500;
    const ROW: usize = 1_250;
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut targets = Vec::with_capacity(NEURONS * ROW);
    for _ in 0..NEURONS {
        // One target out of every ten neighbours: ascending, as a row is.
        targets.extend((0..ROW).map(|k| (k * 10) as u16 + (next() % 10) as u16));
    }
    let order: Vec<usize> = (0..13_000).map(|_| next() as usize % NEURONS).collect();
    let mut sums = vec![0.0_f32; usize::from(u16::MAX) + 1];
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        for row in &order {
            for t in &targets[row * ROW..(row + 1) * ROW] {
                sums[usize::from(*t)] += 0.1;
            }
        }
        best = best.min(start.elapsed().as_secs_f64());
        black_box(&sums);
    }
    best * 1e9 / (order.len() * ROW) as f64
}
