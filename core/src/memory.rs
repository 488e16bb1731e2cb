//! The one place where a guest's pointer and length become bytes.
//!
//! Sums are made in 64 bits, so nothing wraps; the slice is taken anew for each use, because a
//! guest that runs in between may have grown or moved its memory.

use crate::error::CallError;
use core::ops::Range;

/// The bytes at `ptr..ptr + len`. Zero bytes are legal anywhere up to the memory's end.
pub(crate) fn bytes<'m>(
    memory: &'m [u8],
    ptr: u32,
    len: u32,
    what: &'static str,
) -> Result<&'m [u8], CallError> {
    memory
        .get(range(ptr, len))
        .ok_or_else(|| CallError::OutOfBounds {
            what,
            ptr,
            len,
            memory: memory.len(),
        })
}

/// The bytes at `ptr..ptr + len`, to be written.
pub(crate) fn bytes_mut<'m>(
    memory: &'m mut [u8],
    ptr: u32,
    len: u32,
    what: &'static str,
) -> Result<&'m mut [u8], CallError> {
    let size = memory.len();
    memory
        .get_mut(range(ptr, len))
        .ok_or_else(|| CallError::OutOfBounds {
            what,
            ptr,
            len,
            memory: size,
        })
}

/// `ptr..ptr + len` as indices. Where an index does not fit the machine's word, no memory can be
/// that large either, and `usize::MAX` is out of every memory's range.
fn range(ptr: u32, len: u32) -> Range<usize> {
    let start = u64::from(ptr);
    let end = start.saturating_add(u64::from(len));
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    index(start)..index(end)
}

/// Whether the blocks `a` and `b`, each a pointer and a length, share a byte.
pub(crate) fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    let (a, b) = (range(a.0, a.1), range(b.0, b.1));
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_inside_becomes_bytes() {
        let memory = [7u8; 16];
        for (ptr, len, ok) in [
            (0, 16, true),
            (16, 0, true),
            (15, 1, true),
            (0, 17, false),
            (16, 1, false),
            (17, 0, false),
            (u32::MAX, 1, false),
            (u32::MAX, u32::MAX, false),
            (1, u32::MAX, false),
            (0x8000_0000, 0x8000_0000, false),
        ] {
            let found = bytes(&memory, ptr, len, "test");
            assert_eq!(found.is_ok(), ok, "({ptr}, {len})");
            let mut memory = memory;
            assert_eq!(bytes_mut(&mut memory, ptr, len, "test").is_ok(), ok);
        }
    }

    #[test]
    fn blocks_overlap_only_when_they_share_a_byte() {
        assert!(overlap((0, 4), (3, 1)));
        assert!(!overlap((0, 4), (4, 4)));
        assert!(!overlap((4, 0), (0, 4)));
    }
}
