//! Room on the stack for what recurses as deep as a text says.

/// Enough for one definition of the greatest depth that a text may have (256 levels) in an unoptimised build: every room takes less
/// than 64 KiB a level.
const NEEDED: usize = 16 << 20;
/// What is taken where less than that is left. Only pages that are touched are ever backed by memory.
const MORE: usize = 64 << 20;

/// Calls `f` where there is room for one definition of the greatest depth; on a stack of its own where the caller's is nearly used up.
///
/// Whoever follows a name to its definition calls this, so that a chain of definitions takes as much stack as it is long; and so do the
/// doors of the library, whose callers may have a small thread.
pub fn deep<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(NEEDED, MORE, f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(n: u64) -> u64 {
        // A kibibyte of each frame, which no optimisation may leave out.
        let room = std::hint::black_box([n; 128]);
        if n == 0 { 0 } else { deep(|| room[0] + sum(n - 1)) }
    }

    #[test]
    fn recursion_outgrows_the_thread() {
        // 200 MiB in frames.
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(|| sum(200_000)).expect("a thread");
        assert_eq!(thread.join().expect("no overflow"), 200_000 * 200_001 / 2);
    }
}
