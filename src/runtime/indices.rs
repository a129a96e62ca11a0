//! Lists of indices of neurons, of 16 bits where all of them fit.

use super::pages;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indices {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Indices {
    /// Whether all indices below `n` fit into 16 bits.
    pub fn fit(n: u64) -> bool {
        n <= 1 << 16
    }

    /// None yet, with room for `n`.
    pub fn with_room(narrow: bool, n: usize) -> Indices {
        if narrow { Indices::Narrow(pages::with_room(n)) } else { Indices::Wide(pages::with_room(n)) }
    }

    /// `n` times 0.
    pub fn filled(narrow: bool, n: usize) -> Indices {
        if narrow { Indices::Narrow(pages::filled(n)) } else { Indices::Wide(pages::filled(n)) }
    }

    /// All of `list`, which fit into 16 bits where they shall.
    pub fn of(narrow: bool, list: impl ExactSizeIterator<Item = u32>) -> Indices {
        let mut out = Indices::with_room(narrow, list.len());
        list.for_each(|v| out.push(v));
        out
    }

    pub fn push(&mut self, v: u32) {
        match self {
            Indices::Narrow(list) => list.push(v as u16),
            Indices::Wide(list) => list.push(v),
        }
    }

    pub fn is_narrow(&self) -> bool {
        matches!(self, Indices::Narrow(_))
    }

    pub fn len(&self) -> usize {
        match self {
            Indices::Narrow(list) => list.len(),
            Indices::Wide(list) => list.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, k: usize) -> u32 {
        match self {
            Indices::Narrow(list) => u32::from(list[k]),
            Indices::Wide(list) => list[k],
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + Clone {
        (0..self.len()).map(|k| self.get(k))
    }

    pub fn bytes(&self) -> u64 {
        (self.len() * if self.is_narrow() { 2 } else { 4 }) as u64
    }

    /// Where `n` elements from `start` on lie.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn at(&self, start: usize, n: usize) -> *const u8 {
        match self {
            Indices::Narrow(list) => list[start..start + n].as_ptr().cast(),
            Indices::Wide(list) => list[start..start + n].as_ptr().cast(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_widths_hold_the_same() {
        assert!(Indices::fit(65_536) && !Indices::fit(65_537));
        let list = [0, 7, 65_535];
        for narrow in [true, false] {
            let held = Indices::of(narrow, list.iter().copied());
            assert_eq!(held.iter().collect::<Vec<_>>(), list);
            assert_eq!((held.len(), held.get(2), held.is_narrow()), (3, 65_535, narrow));
            assert_eq!(held.bytes(), if narrow { 6 } else { 12 });
        }
    }
}
