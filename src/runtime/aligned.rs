//! Arrays that begin on a line of the cache: a vector of 512 bits that lies across two lines costs twice.

use super::pages::prefer_large;
use aligned_vec::{AVec, ConstAlign};

/// A list whose first element lies at a multiple of 64 bytes.
pub type Aligned<T> = AVec<T, ConstAlign<64>>;

/// `n` times `value`.
pub fn filled<T: Clone>(value: T, n: usize) -> Aligned<T> {
    let mut out = Aligned::with_capacity(0, n);
    prefer_large(out.as_ptr(), n);
    out.resize(n, value);
    out
}
