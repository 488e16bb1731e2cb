//! Sorting by index.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Returns the indices from 0 to `count`, sorted by `compare`, without those of equal elements but
/// the first. Calls `on_duplicate` with the first index and each later one.
///
/// For tables that are built once: it compiles to less code than a map.
pub(crate) fn in_order(
    count: usize,
    compare: &dyn Fn(usize, usize) -> Ordering,
    on_duplicate: &mut dyn FnMut(usize, usize),
) -> Vec<usize> {
    let mut order = Vec::with_capacity(count);
    for at in 0..count {
        match order.binary_search_by(|other| compare(*other, at)) {
            Ok(place) => on_duplicate(order.get(place).copied().unwrap_or(at), at),
            Err(place) => order.insert(place, at),
        }
    }
    order
}
