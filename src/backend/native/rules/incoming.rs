//! The synapses onto each target, packed: how far each lies behind the one before, mostly in 16 bits.
//!
//! Synapses are held lane by lane, so those onto one target lie about as far apart as there are targets. Their lanes are looked up from
//! where they lie.

use crate::backend::build::Lanes;
use crate::runtime::Indices;

/// A word with this bit counts as many synapses as [`SHIFT`] more bits make of the rest of it, and none of them is the target's.
const FAR: u16 = 1 << SHIFT;
const SHIFT: u32 = 15;

/// Synapses of which one has its lane in the guide, as a power of two: an eighth of a row of mean length, so that the lane is mostly
/// the one that stands there, and the guide stays in a near cache while synapses pass through it.
fn spacing(lanes: &Lanes) -> u32 {
    let mean = lanes.targets.len() / lanes.delays.len().max(1);
    (mean / 8).max(1).ilog2().clamp(4, 12)
}

/// In place of a list of the synapses of every target.
pub struct Incoming {
    /// Words of target j are `starts[j] .. starts[j + 1]`.
    starts: Vec<usize>,
    words: Vec<u16>,
    /// Lane of each 2^`spacing`-th synapse.
    guide: Indices,
    spacing: u32,
}

/// The synapses onto one target, in order of lanes.
#[derive(Default)]
pub struct Column {
    pub synapses: Vec<u32>,
    pub lanes: Vec<u32>,
}

impl Incoming {
    /// Of the synapses of `lanes` onto `n` targets.
    pub fn new(lanes: &Lanes, n: u32) -> Incoming {
        let mut starts = vec![0_usize; n as usize + 1];
        pack(lanes, n, |target, _| starts[target + 1] += 1);
        for k in 0..n as usize {
            starts[k + 1] += starts[k];
        }
        let (mut next, mut words) = (starts.clone(), vec![0; starts[n as usize]]);
        pack(lanes, n, |target, word| {
            words[next[target]] = word;
            next[target] += 1;
        });
        let spacing = spacing(lanes);
        let (mut lane, synapses) = (0, lanes.targets.len());
        let guide = (0..synapses.div_ceil(1 << spacing)).map(|k| {
            while lanes.starts[lane + 1] as usize <= k << spacing {
                lane += 1;
            }
            lane as u32
        });
        let guide = Indices::of(Indices::fit(lanes.delays.len() as u64), guide);
        Incoming { starts, words, guide, spacing }
    }

    /// The synapses onto a target, in order of lanes.
    pub fn synapses(&self, target: u32) -> impl Iterator<Item = u32> + '_ {
        let words = &self.words[self.starts[target as usize]..self.starts[target as usize + 1]];
        let mut at = 0;
        words.iter().filter_map(move |word| {
            if word & FAR != 0 {
                at += u32::from(word & !FAR) << SHIFT;
                return None;
            }
            at += u32::from(*word);
            Some(at)
        })
    }

    /// Synapses onto a target.
    pub fn count(&self, target: u32) -> u64 {
        let words = &self.words[self.starts[target as usize]..self.starts[target as usize + 1]];
        words.iter().map(|word| u64::from(*word & FAR == 0)).sum()
    }

    /// As [`Incoming::synapses`], with their lanes, which begin at `lanes`.
    pub fn column(&self, lanes: &[u32], target: u32, column: &mut Column) {
        let words = &self.words[self.starts[target as usize]..self.starts[target as usize + 1]];
        column.synapses.resize(words.len(), 0);
        let (mut at, mut listed) = (0, 0);
        for word in words {
            let far = *word >> SHIFT;
            at += u32::from(word & !FAR) << (SHIFT * u32::from(far));
            // What a word that counts on leaves is written over by the next.
            column.synapses[listed] = at;
            listed += usize::from(far == 0);
        }
        column.synapses.truncate(listed);
        column.lanes.resize(listed, 0);
        match &self.guide {
            Indices::Narrow(guide) => lanes_of(guide, self.spacing, lanes, column),
            Indices::Wide(guide) => lanes_of(guide, self.spacing, lanes, column),
        }
    }

    pub fn bytes(&self) -> u64 {
        2 * self.words.len() as u64 + self.guide.bytes()
    }
}

fn lanes_of<T: Copy + Into<u32>>(guide: &[T], spacing: u32, starts: &[u32], column: &mut Column) {
    for (k, found) in column.synapses.iter().zip(&mut column.lanes) {
        let mut lane = guide[(*k >> spacing) as usize].into();
        while starts[lane as usize + 1] <= *k {
            lane += 1;
        }
        *found = lane;
    }
}

/// Gives the words of all targets: (target, word), those of a target in order.
fn pack(lanes: &Lanes, n: u32, mut give: impl FnMut(usize, u16)) {
    let mut last = vec![0_u32; n as usize];
    for (k, target) in (0..).zip(lanes.targets.iter()) {
        let target = target as usize;
        let mut distance = k - last[target];
        while distance >= u32::from(FAR) {
            let skipped = (distance >> SHIFT).min(u32::from(!FAR));
            give(target, FAR | skipped as u16);
            distance -= skipped << SHIFT;
        }
        give(target, distance as u16);
        last[target] = k;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row lengths and the target of each synapse.
    fn lanes(rows: &[u32], target: impl Fn(u32) -> u32) -> Lanes {
        let mut starts = vec![0];
        rows.iter().for_each(|n| starts.push(starts[starts.len() - 1] + n));
        let total = starts[rows.len()];
        Lanes {
            sources: (0..=rows.len() as u32).collect(),
            delays: vec![1; rows.len()],
            starts,
            targets: Indices::of(true, (0..total).map(target)),
            weights: Vec::new(),
        }
    }

    fn check(lanes: &Lanes, n: u32) -> Incoming {
        let packed = Incoming::new(lanes, n);
        let (first, order) = lanes.by_target(n);
        let lane_of = lanes.of_synapses();
        let mut column = Column::default();
        for target in 0..n {
            let own = &order[first[target as usize] as usize..first[target as usize + 1] as usize];
            packed.column(&lanes.starts, target, &mut column);
            assert_eq!(column.synapses, own);
            assert_eq!(packed.count(target), own.len() as u64);
            assert!(column.lanes.iter().copied().eq(own.iter().map(|k| lane_of[*k as usize])));
        }
        packed
    }

    #[test]
    fn it_holds_what_a_list_holds() {
        // Rows of all lengths, none among them; targets without synapses.
        let rows: Vec<u32> = (0..300).map(|k| if k % 7 < 3 { 0 } else { k % 45 }).collect();
        let some = lanes(&rows, |k| k * 31 % 97);
        let packed = check(&some, 100);
        assert_eq!(packed.words.len(), some.targets.len());
        check(&lanes(&[], |_| 0), 3);
        check(&lanes(&[0, 0, 0], |_| 0), 0);
    }

    #[test]
    fn synapses_far_apart_take_two_words() {
        let far = |k| u32::from(k % 40_000 == 39_999);
        let packed = check(&lanes(&[100_000, 0, 100_000], far), 2);
        assert_eq!(packed.synapses(1).collect::<Vec<_>>(), [39_999, 79_999, 119_999, 159_999, 199_999]);
        assert_eq!(packed.words.len(), 200_000 + 5);
        assert_eq!(packed.bytes(), 2 * 200_005 + 2 * 49);
    }
}
