//! What is asked of memory: long arrays on large pages, since what is read and written all over them would otherwise look up more
//! pages than a processor remembers; and lines of the cache before they are needed.

/// Bytes of a large page.
const LARGE: usize = 1 << 21;

/// A list of `n` defaults.
pub fn filled<T: Clone + Default>(n: usize) -> Vec<T> {
    let out = vec![T::default(); n];
    prefer_large(out.as_ptr(), n);
    out
}

/// An empty list with room for `n`.
pub fn with_room<T>(n: usize) -> Vec<T> {
    let out = Vec::with_capacity(n);
    prefer_large(out.as_ptr(), n);
    out
}

/// Asks for large pages under an array of `n` elements that was not written yet. Nothing depends on whether they come.
pub fn prefer_large<T>(start: *const T, n: usize) {
    let end = (start.addr() + n * size_of::<T>()) / LARGE * LARGE;
    let first = start.map_addr(|a| a.next_multiple_of(LARGE));
    #[cfg(target_os = "linux")]
    if first.addr() < end
        && let Some(at) = std::ptr::NonNull::new(first.cast_mut().cast())
    {
        use nix::sys::mman::{MmapAdvise, madvise};
        // SAFETY: the range lies within one allocation, and the advice changes nothing of what it holds.
        let _ = unsafe { madvise(at, end - first.addr(), MmapAdvise::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (first, end);
}

/// Asks for the line of element `k`, which need not exist; nothing waits for it.
pub fn prefetch<T>(list: &[T], k: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing as far as the program can tell; any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(list.as_ptr().wrapping_add(k).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (list, k);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_what_they_would_be() {
        let long = filled::<u16>(5_000_000);
        assert!(long.len() == 5_000_000 && long.iter().all(|v| *v == 0));
        let mut room = with_room::<u64>(1_000_000);
        room.extend(0..1_000_000);
        assert!(room.iter().copied().eq(0..1_000_000));
        assert!(with_room::<u8>(0).is_empty());
    }
}
