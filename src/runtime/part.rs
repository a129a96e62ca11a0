//! Arrays of several owners: each has a stretch for itself, and what lies side by side can be computed by one call.

use super::aligned::{Aligned, filled};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// A stretch of an array, which alone may be read and written through it.
pub struct Part<T> {
    first: NonNull<T>,
    len: usize,
    /// Keeps the array; nothing is read or written through it.
    whole: Arc<Aligned<T>>,
}

// SAFETY: a part is the only way to its elements, as a vector is to its own: the parts of an array are made in `Part::cut`, where they
// do not overlap. The array behind them is only freed, by the last of them.
unsafe impl<T: Send> Send for Part<T> {}
// SAFETY: as above; shared parts give shared elements.
unsafe impl<T: Sync> Sync for Part<T> {}

impl<T: Copy> Part<T> {
    /// An array as parts of these lengths, one after the other.
    ///
    /// # Panics
    /// Where their sum is more than it has.
    fn cut(array: Aligned<T>, lens: &[usize]) -> Vec<Part<T>> {
        assert!(lens.iter().sum::<usize>() <= array.len(), "parts within the array");
        let Part { mut first, whole, .. } = Part::from(array);
        let part = |len: &usize| {
            let part = Part { first, len: *len, whole: whole.clone() };
            // SAFETY: the sum of all lengths is within the array, so this is within it or at its end.
            first = unsafe { first.add(*len) };
            part
        };
        lens.iter().map(part).collect()
    }

    /// Moves parts to one array, where they lie side by side in this order.
    pub fn side_by_side(parts: &mut [&mut Part<T>]) {
        let lens: Vec<usize> = parts.iter().map(|p| p.len).collect();
        let Some(any) = parts.iter().find_map(|p| p.first().copied()) else { return };
        let moved = Part::cut(filled(any, lens.iter().sum()), &lens);
        for (part, mut to) in parts.iter_mut().zip(moved) {
            to.copy_from_slice(part);
            **part = to;
        }
    }

    /// Where the elements from `start` on lie: of this part, and of those that lie side by side with it.
    ///
    /// # Panics
    /// Where `start` is beyond the part.
    pub fn pointer(&mut self, start: usize) -> *mut T {
        assert!(start <= self.len, "within the part");
        // SAFETY: within the array, or at its end.
        unsafe { self.first.add(start) }.as_ptr()
    }
}

impl<T: Copy> From<Aligned<T>> for Part<T> {
    fn from(mut array: Aligned<T>) -> Part<T> {
        let (first, len) = (NonNull::new(array.as_mut_ptr()).unwrap_or(NonNull::dangling()), array.len());
        Part { first, len, whole: Arc::new(array) }
    }
}

impl<T> Deref for Part<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements from `first` on are initialised, live as long as `whole`, and only this part gives access to them.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Part<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

/// An array of its own.
impl<T: Copy> Clone for Part<T> {
    fn clone(&self) -> Part<T> {
        Part::from(Aligned::from_slice(0, self))
    }
}

impl<T: fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_were_moved_hold_what_they_held_side_by_side() {
        let array = |values: &[u32]| Part::from(Aligned::from_slice(0, values));
        let (mut a, mut b, mut c) = (array(&[1, 2, 3]), array(&[]), array(&[4, 5]));
        let kept = c.clone();
        Part::side_by_side(&mut [&mut a, &mut b, &mut c]);
        assert_eq!((&*a, &*b, &*c), (&[1, 2, 3][..], &[][..], &[4, 5][..]));
        assert_eq!(a.pointer(3), c.pointer(0));
        assert_eq!(a.pointer(0) as usize % 64, 0);
        c[0] = 9;
        a.fill(7);
        drop(a);
        assert_eq!((&*c, &*kept), (&[9, 5][..], &[4, 5][..]));
    }
}
