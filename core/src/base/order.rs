//! Sorting by index, for what is built once.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Which of `count` things come in the order that `compare` tells; of several that are equal, the
/// first: `again` is told of it and of each other. Less code than a map, for what is built once.
pub(crate) fn in_order(
    count: usize,
    compare: &dyn Fn(usize, usize) -> Ordering,
    again: &mut dyn FnMut(usize, usize),
) -> Vec<usize> {
    let mut order = Vec::with_capacity(count);
    for at in 0..count {
        match order.binary_search_by(|other| compare(*other, at)) {
            Ok(place) => again(order.get(place).copied().unwrap_or(at), at),
            Err(place) => order.insert(place, at),
        }
    }
    order
}
