//! What is computed over rows between two segments, in the precision of the rows.

use super::block::{Block, CHUNK, Input, Site, compute_unary};
use crate::backend::native::plan::Call;
use crate::ir::{UnaryOp, single};
use crate::numerics;
use crate::random::{self, MAX_POISSON_MEAN, PoissonTable, StreamKey};

/// Where a row is drawn: key, step, first element, number of the draw.
type Drawn = (StreamKey, u64, u32, u32);

/// A precision, by its batch functions.
pub trait Number: Copy + Default {
    fn of(x: f64) -> Self;
    fn widen(counts: &[u8], row: &mut [Self]);
    fn unary(op: UnaryOp, row: &mut [Self]);
    fn pow(row: &mut [Self], exponents: &[Self]);
    fn normal(site: Drawn, row: &mut [Self]);
    fn uniform(site: Drawn, row: &mut [Self]);
    fn poisson(site: Drawn, table: &PoissonTable, row: &mut [Self]);
    fn poisson_each(site: Drawn, means: &[Self], row: &mut [Self]);
}

impl Number for f64 {
    fn of(x: f64) -> f64 {
        x
    }

    fn widen(counts: &[u8], row: &mut [f64]) {
        random::widen_counts(counts, row);
    }

    fn unary(op: UnaryOp, row: &mut [f64]) {
        compute_unary(op, row);
    }

    fn pow(row: &mut [f64], exponents: &[f64]) {
        numerics::pow_batch(row, exponents);
    }

    fn normal((key, step, first, draw): Drawn, row: &mut [f64]) {
        random::normal_batch(key, step, first, draw, row);
    }

    fn uniform((key, step, first, draw): Drawn, row: &mut [f64]) {
        random::uniform_batch(key, step, first, draw, row);
    }

    fn poisson((key, step, first, draw): Drawn, table: &PoissonTable, row: &mut [f64]) {
        random::poisson_batch(key, step, first, draw, table, row);
    }

    fn poisson_each((key, step, first, draw): Drawn, means: &[f64], row: &mut [f64]) {
        random::poisson_each_batch(key, step, first, draw, means, row);
    }
}

impl Number for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }

    fn widen(counts: &[u8], row: &mut [f32]) {
        random::widen_counts_f32(counts, row);
    }

    fn unary(op: UnaryOp, row: &mut [f32]) {
        op.compute_singles(row);
    }

    fn pow(row: &mut [f32], exponents: &[f32]) {
        numerics::pow_batch_f32(row, exponents);
    }

    fn normal((key, step, first, draw): Drawn, row: &mut [f32]) {
        random::normal_batch_f32(key, step, first, draw, row);
    }

    fn uniform((key, step, first, draw): Drawn, row: &mut [f32]) {
        for (first, part) in (first..).step_by(CHUNK).zip(row.chunks_mut(CHUNK)) {
            let mut wide = [0.0; CHUNK];
            let wide = &mut wide[..part.len()];
            random::uniform_batch(key, step, first, draw, wide);
            part.iter_mut().zip(wide).for_each(|(v, u)| *v = single::uniform(*u) as f32);
        }
    }

    fn poisson((key, step, first, draw): Drawn, table: &PoissonTable, row: &mut [f32]) {
        random::poisson_batch_f32(key, step, first, draw, table, row);
    }

    fn poisson_each((key, step, first, draw): Drawn, means: &[f32], row: &mut [f32]) {
        random::poisson_each_batch_f32(key, step, first, draw, means, row);
    }
}

/// What a call is over: `len` cells from place `start` of the first block on, in scratch rows of `chunk` cells.
#[derive(Clone, Copy)]
pub struct Place {
    pub step: u64,
    pub start: usize,
    pub len: usize,
    pub chunk: usize,
}

/// Fills or transforms a row over the cells of blocks that lie side by side; `rows` are the scratch rows.
pub(super) fn compute<N: Number>(
    call: &Call,
    place: Place,
    (blocks, members, sites): (&mut [Block], &[usize], &[Site]),
    rows: &mut [N],
) {
    let Place { step, start, len, chunk } = place;
    let range = |row: u32| row as usize * chunk..row as usize * chunk + len;
    let other = call.other().map_or_else(Vec::new, |row| rows[range(row)].to_vec());
    let out = &mut rows[range(call.row())];
    match call {
        Call::Unary { op, .. } => return N::unary(*op, out),
        Call::Pow { .. } => return N::pow(out, &other),
        _ => {}
    }
    // Each block draws for itself.
    let (mut from, mut start) = (0, start);
    for (member, site) in members.iter().zip(sites) {
        let to = (from + site.places as usize - start).min(len);
        let (out, first) = (&mut out[from..to], site.lo + start as u32);
        match call {
            Call::Normal { draw, .. } => N::normal((site.noise, step, first, *draw), out),
            Call::Uniform { .. } => N::uniform((site.spike, step, first, 0), out),
            Call::PoissonOne { input, mean, .. } => {
                let mean = blocks[*member].scalars[*mean as usize];
                blocks[*member].inputs[*input as usize].draw(mean, (step, first), start, out);
            }
            Call::PoissonEach { input, .. } => {
                let input = &blocks[*member].inputs[*input as usize];
                match step.checked_sub(input.delay) {
                    Some(sent) => N::poisson_each((input.key, sent, first, 0), &other[from..to], out),
                    None => out.fill(N::of(0.0)),
                }
            }
            Call::Unary { .. } | Call::Pow { .. } => {}
        }
        (from, start) = (to, 0);
    }
}

impl Input {
    /// Counts of one mean for neurons from `first` of the population and `start` of the block on.
    fn draw<N: Number>(&mut self, mean: f64, (step, first): (u64, u32), start: usize, out: &mut [N]) {
        let Some(sent) = step.checked_sub(self.delay).filter(|_| mean > 0.0) else {
            out.fill(N::of(0.0));
            return;
        };
        let site = (self.key, sent, first, 0);
        if mean > MAX_POISSON_MEAN {
            N::poisson_each(site, &vec![N::of(mean); out.len()], out);
            return;
        }
        if self.table.as_ref().map(|(t, _)| t.mean().to_bits()) != Some(mean.to_bits()) {
            self.table = PoissonTable::new(mean).ok().map(|table| (table, step));
        }
        match (&self.table, &self.ahead) {
            (Some((table, since)), Some((ahead, number))) => {
                ahead.take(*number, table, *since < step, step, start, out);
            }
            (Some((table, _)), None) => N::poisson(site, table, out),
            (None, _) => out.fill(N::of(0.0)),
        }
    }
}
