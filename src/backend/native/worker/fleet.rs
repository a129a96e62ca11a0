//! Small populations with the same kernels are computed together: their cells lie side by side, and a call goes over many of them. A
//! circuit of hundreds of columns would else spend its time between calls. Each cell computes what it computes by itself.

use super::block::{Block, Common, Site, collect, compute};
use crate::backend::native::plan::Plan;
use crate::backend::native::translate::GRAIN;
use crate::backend::profile::Clock;
use crate::ir::rest;
use crate::runtime::Column;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Places from which on a block is worth calls of its own: then these take a hundred times what is between them.
const LARGE: u64 = 1024;

/// For each population the first that is computed with it; itself where it is alone. `places` are what it has in a share at most.
pub fn fleets(plans: &[Arc<Plan>], places: &[u64], alone: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut first: HashMap<*const Plan, usize> = HashMap::new();
    let mut of = |(k, plan): (usize, &Arc<Plan>)| {
        // What follows time is computed for each block and step.
        let joins = places[k] < LARGE && !plan.is_idle() && !plan.follows_time() && !alone(k);
        if joins { *first.entry(Arc::as_ptr(plan)).or_insert(k) } else { k }
    };
    plans.iter().enumerate().map(&mut of).collect()
}

/// Blocks of one plan whose columns lie side by side.
pub struct Fleet {
    /// Positions of the blocks, in the order of their cells.
    members: Vec<usize>,
    /// Place of the first cell of each, then the number of all.
    starts: Vec<usize>,
    /// What one call goes over.
    stretches: Vec<Stretch>,
    /// Where each of its blocks draws: side by side, so that blocks need not be looked at.
    sites: Vec<Site>,
    /// Spikes of the last step: a byte for each pair of places.
    mask: Vec<u8>,
    /// The kernels' flag of the last step.
    flag: [u64; 2],
}

/// Cells that read the same: of some members, from place `start` of the first one on.
struct Stretch {
    members: Range<usize>,
    start: usize,
    len: usize,
}

/// A block that is computed with others.
#[derive(Clone, Copy)]
pub struct Berth {
    pub fleet: usize,
    /// Place of its first cell.
    start: u32,
    lo: u32,
    n: u32,
}

impl Fleet {
    /// The fleets of a share: `fleets` says for each block to which it belongs. Lays its columns side by side.
    pub fn gather(blocks: &mut [Block], fleets: &[usize]) -> Vec<Fleet> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
        for (k, fleet) in fleets.iter().enumerate().filter(|(k, _)| blocks[*k].n > 0) {
            members[*fleet].push(k);
        }
        members.into_iter().filter(|m| m.len() > 1).map(|m| Fleet::new(blocks, m)).collect()
    }

    fn new(blocks: &mut [Block], mut members: Vec<usize>) -> Fleet {
        members.sort_by_key(|k| blocks[*k].landings.iter().map(|l| (l.ring, l.at)).collect::<Vec<_>>());
        let mut starts = vec![0];
        starts.extend(members.iter().scan(0, |end, k| {
            *end += blocks[*k].places();
            Some(*end)
        }));
        let order: HashMap<usize, usize> = members.iter().enumerate().map(|(at, k)| (*k, at)).collect();
        let mut columns: Vec<(usize, Vec<&mut Column>)> = Vec::new();
        for (k, block) in blocks.iter_mut().enumerate() {
            if let Some(at) = order.get(&k) {
                block.mask = Vec::new();
                columns.push((*at, block.columns()));
            }
        }
        columns.sort_by_key(|(at, _)| *at);
        let mut columns: Vec<_> = columns.into_iter().map(|(_, own)| own.into_iter()).collect();
        // Blocks of one plan have as many columns each.
        loop {
            let together: Vec<&mut Column> = columns.iter_mut().filter_map(Iterator::next).collect();
            if together.is_empty() {
                break;
            }
            Column::side_by_side(together);
        }
        let mask = vec![0; starts.last().map_or(0, |n| n / 2)];
        let sites = members.iter().map(|k| blocks[*k].site).collect();
        Fleet { members, starts, stretches: Vec::new(), sites, mask, flag: [0; 2] }
    }

    /// Where each of its blocks is: (position of the block, berth).
    pub fn berths(&self, fleet: usize, blocks: &[Block]) -> Vec<(usize, Berth)> {
        let berth = |(k, start): (&usize, &usize)| {
            (*k, Berth { fleet, start: *start as u32, lo: blocks[*k].lo, n: blocks[*k].n })
        };
        self.members.iter().zip(&self.starts).map(berth).collect()
    }

    /// Finds what one call may go over, after params changed.
    pub fn settle(&mut self, blocks: &mut [Block]) {
        self.members.iter().for_each(|k| blocks[*k].settle());
        self.stretches.clear();
        for (at, k) in self.members.iter().enumerate() {
            let block = &blocks[*k];
            // Scratch rows have room for a chunk. Without them there is nothing to cut for.
            let most = if block.plan.scratch_rows == 0 { usize::MAX } else { block.chunk };
            let before = at.checked_sub(1).map(|b| &blocks[self.members[b]]);
            let alike = before.is_some_and(|b| block.follows(b) && block.reads_like(b));
            let places = block.places();
            match self.stretches.last_mut() {
                Some(last) if alike && last.len + places <= most => {
                    last.members.end = at + 1;
                    last.len += places;
                }
                _ => {
                    let pieces = (0..places).step_by(most.min(places));
                    let piece = |start| Stretch { members: at..at + 1, start, len: most.min(places - start) };
                    self.stretches.extend(pieces.map(piece));
                }
            }
        }
    }

    /// A step of all its blocks.
    pub fn advance(&mut self, blocks: &mut [Block], step: u64, common: &mut Common) {
        common.flag = [0; 2];
        for stretch in &self.stretches {
            let first = stretch.members.start;
            let mask = &mut self.mask[(self.starts[first] + stretch.start) / 2..];
            let (members, sites) = (&self.members[stretch.members.clone()], &self.sites[stretch.members.clone()]);
            compute(blocks, members, sites, (stretch.start, stretch.len), step, mask, common);
        }
        self.flag = common.flag;
        if rest::looks(step + 1) {
            self.members.iter().for_each(|k| blocks[*k].rest(step + 1));
        }
    }

    /// Gives the time since the last piece of work to its blocks; `called` ns of it took calls.
    pub fn lap(&self, blocks: &[Block], clock: &mut Clock, called: u64) {
        let parts: Vec<(usize, u64)> = self.members.iter().map(|k| (*k, u64::from(blocks[*k].n))).collect();
        clock.lap_among(&parts, called);
    }

    /// Appends the neurons of a block that fired in the last step, ascending; gives the kernels' flag.
    pub fn collect(&self, berth: Berth, fired: &mut Vec<u32>) -> [u64; 2] {
        let from = berth.start as usize / 2;
        collect(&self.mask[from..from + (berth.n as usize).next_multiple_of(GRAIN) / 2], berth.lo, berth.n, fired);
        self.flag
    }
}
