//! Poisson counts drawn before their step, by a thread that would only wait: for its own share, and for those of others, which
//! may be late because their core is slower at the moment. A count follows from its key, step and neuron alone, so nothing depends
//! on when and by whom it was drawn.

use super::calls::Number;
use crate::random::{self, PoissonTable, StreamKey};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

/// Steps for which counts are kept at most.
const DEPTH: u64 = 16;

/// Neurons drawn for at once: it takes less than half a microsecond, in which the others may be done.
const PIECE: usize = 256;

/// A line of the cache of its own: it is written by one thread while others work beside it.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// Counts kept for a share.
#[derive(Default)]
pub struct Ahead {
    inputs: Vec<Input>,
    /// The pieces of a step: input, and first neuron of the block.
    places: Vec<(usize, usize)>,
    /// `[step % DEPTH][place]`
    pieces: Vec<Mutex<Piece>>,
    /// The first step that was not begun.
    next: Line,
    /// Pieces that somebody drew or draws, counted from step 0.
    drawn: Line,
    /// ns spent here by the thread whose share it is, where that is measured.
    spent: Line,
}

/// A source of counts of a block.
struct Input {
    key: StreamKey,
    /// Steps between the draw and its arrival.
    delay: u64,
    /// The first neuron of the block, of `len` with padding.
    first: u32,
    len: usize,
    /// Of its pieces among those of a step.
    start: usize,
    /// Bits of the mean that was last asked for.
    mean: AtomicU64,
    table: RwLock<Option<Arc<PoissonTable>>>,
}

struct Piece {
    /// Step that it was drawn for, plus one; and bits of the mean.
    step: u64,
    mean: u64,
    counts: [u8; PIECE],
}

impl Ahead {
    /// Room for the counts of inputs, each of `len` neurons from `first` on: (key, delay, first, len).
    pub fn new(inputs: impl Iterator<Item = (StreamKey, u64, u32, usize)>) -> Ahead {
        let mut ahead = Ahead::default();
        for (number, (key, delay, first, len)) in inputs.enumerate() {
            let (mean, table) = (AtomicU64::new(0), RwLock::new(None));
            ahead.inputs.push(Input { key, delay, first, len, start: ahead.places.len(), mean, table });
            ahead.places.extend((0..len).step_by(PIECE).map(|at| (number, at)));
        }
        let none = || Mutex::new(Piece { step: 0, mean: 0, counts: [0; PIECE] });
        ahead.pieces = (0..ahead.places.len() * DEPTH as usize).map(|_| none()).collect();
        ahead
    }

    /// The share begins a step.
    pub fn begin(&self, step: u64) {
        self.next.0.store(step + 1, Ordering::Relaxed);
    }

    /// The counts of an input that arrive in a step, of neurons of the block from `start`, a multiple of 256, on: those that are
    /// here, others drawn now. `settled`: the last step had the same table.
    pub fn take<N: Number>(
        &self,
        input: usize,
        table: &PoissonTable,
        settled: bool,
        step: u64,
        start: usize,
        out: &mut [N],
    ) {
        let own = &self.inputs[input];
        let mean = table.mean().to_bits();
        if settled && own.mean.load(Ordering::Relaxed) != mean && table.largest() <= u8::MAX.into() {
            *own.table.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table.clone()));
            own.mean.store(mean, Ordering::Relaxed);
        }
        let Some(sent) = step.checked_sub(own.delay) else { return };
        let site = |at: usize| (own.key, sent, own.first + (start + at) as u32, 0);
        let places = self.places.len() as u64;
        let first = own.start + start / PIECE;
        // Pieces that were begun are the first of the step.
        let begun = self.drawn.0.load(Ordering::Relaxed).saturating_sub(step * places + first as u64);
        let kept = out.len().min(begun.min(places) as usize * PIECE);
        let row = (step % DEPTH) as usize * self.places.len() + first;
        for (k, piece) in out[..kept].chunks_mut(PIECE).enumerate() {
            // What is being drawn is as soon done as waited for.
            let found = self.pieces[row + k].try_lock().ok();
            match found.filter(|p| p.step == step + 1 && p.mean == mean) {
                Some(found) => N::widen(&found.counts, piece),
                None => N::poisson(site(k * PIECE), table, piece),
            }
        }
        if kept < out.len() {
            N::poisson(site(kept), table, &mut out[kept..]);
        }
    }

    /// Whether more steps are to be kept.
    fn has_room(&self) -> bool {
        let places = self.places.len() as u64;
        let next = self.next.0.load(Ordering::Relaxed);
        self.drawn.0.load(Ordering::Relaxed) < (next + DEPTH - 1) * places
    }

    /// Draws the next piece.
    fn draw(&self) {
        let places = self.places.len() as u64;
        let drawn = self.drawn.0.load(Ordering::Relaxed);
        let mine = drawn.max(self.next.0.load(Ordering::Relaxed) * places);
        if self.drawn.0.compare_exchange(drawn, mine + 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (step, place) = (mine / places, (mine % places) as usize);
        let (input, start) = self.places[place];
        let input = &self.inputs[input];
        let table = input.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(table), Some(sent)) = (table, step.checked_sub(input.delay)) {
            let piece = &self.pieces[(step % DEPTH) as usize * self.places.len() + place];
            let mut piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
            (piece.step, piece.mean) = (step + 1, table.mean().to_bits());
            let counts = &mut piece.counts[..PIECE.min(input.len - start)];
            // A table that is kept here counts up to 255.
            random::poisson_batch_u8(input.key, sent, input.first + start as u32, 0, &table, counts);
        }
    }

    /// ns spent here since the last call.
    pub fn take_spent(&self) -> u64 {
        self.spent.0.swap(0, Ordering::Relaxed)
    }
}

/// Draws a piece for the share `home`, or for another if that has enough; false where all have. What lies in the cache of another
/// core is dearer to read.
pub fn prepare(shares: &[Arc<Ahead>], home: usize, measured: bool) -> bool {
    let n = shares.len();
    let Some(share) = (0..n).map(|k| &shares[(home + k) % n]).find(|share| share.has_room()) else { return false };
    let begin = measured.then(Instant::now);
    share.draw();
    if let (Some(begin), Some(own)) = (begin, shares.get(home)) {
        own.spent.0.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// Counts are those of the step whoever drew them, before and after the mean changes.
    #[test]
    fn counts_are_what_they_would_be_at_their_step() {
        let keys = ["a", "b"].map(|path| StreamKey::new(7, path, Purpose::Input));
        let (lens, delays) = ([600, 64], [0, 3]);
        let shares: Vec<Arc<Ahead>> =
            [0, 1024].map(|first| Arc::new(Ahead::new((0..2).map(|k| (keys[k], delays[k], first, lens[k]))))).into();
        let mut drawn = 0;
        for step in 5..60_u64 {
            let table = PoissonTable::new(if step < 30 { 1.3 } else { 40.0 }).unwrap();
            for (share, first) in shares.iter().zip([0, 1024]) {
                share.begin(step);
                for k in 0..2 {
                    let (mut out, mut expected) = (vec![-1.0; lens[k]], vec![0.0; lens[k]]);
                    let settled = step != 5 && step != 30;
                    share.take::<f64>(k, &table, settled, step, 0, &mut out);
                    random::poisson_batch(keys[k], step - delays[k], first, 0, &table, &mut expected);
                    assert_eq!(out, expected, "step {step}");
                }
            }
            // Some of a step, nothing, or all that there is room for.
            let most = [0, 3, usize::MAX][step as usize % 3];
            while (drawn < most) && prepare(&shares, step as usize % 2, false) {
                drawn += 1;
            }
            assert!(most != usize::MAX || !shares.iter().any(|s| s.has_room()));
            drawn = 0;
        }
        let kept = |s: &Arc<Ahead>| s.pieces.iter().filter(|p| p.lock().unwrap().mean == 40.0_f64.to_bits()).count();
        assert_eq!(shares.iter().map(kept).collect::<Vec<_>>(), [64, 64]);
    }
}
