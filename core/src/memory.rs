//! The one place where a guest's pointer and length become bytes.
//!
//! The memory is cut at the pointer and then at the length, so no sum can wrap. Every use takes the
//! slice anew: a guest that runs in between may grow its memory, which moves it.

use crate::error::CallError;
use alloc::vec::Vec;

/// Returns the bytes at `ptr..ptr + len`, if all lie in the memory. Zero bytes are legal at any
/// pointer up to the memory's end.
#[inline]
pub(crate) fn find(memory: &[u8], ptr: u32, len: u32) -> Option<&[u8]> {
    memory.get(index(ptr)..)?.get(..index(len))
}

/// Returns the bytes at `ptr..ptr + len`, or an error that says `what` lies outside the memory.
pub(crate) fn bytes<'m>(
    memory: &'m [u8],
    ptr: u32,
    len: u32,
    what: &'static str,
) -> Result<&'m [u8], CallError> {
    find(memory, ptr, len).ok_or_else(|| out_of_bounds(what, ptr, len, memory.len()))
}

/// Returns the bytes at `ptr..ptr + len` for writing, or an error as [`bytes`] does.
pub(crate) fn bytes_mut<'m>(
    memory: &'m mut [u8],
    ptr: u32,
    len: u32,
    what: &'static str,
) -> Result<&'m mut [u8], CallError> {
    let size = memory.len();
    let found = memory
        .get_mut(index(ptr)..)
        .and_then(|from| from.get_mut(..index(len)));
    found.ok_or_else(|| out_of_bounds(what, ptr, len, size))
}

/// Converts `value` to an index.
fn index(value: u32) -> usize {
    // A value that does not fit in a word lies outside every memory, as does the greatest index.
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cold]
fn out_of_bounds(what: &'static str, ptr: u32, len: u32, memory: usize) -> CallError {
    CallError::OutOfBounds {
        what,
        ptr,
        len,
        memory,
    }
}

/// Copies bytes from a guest. Fails instead of aborting if the heap has no room.
pub(crate) fn copied(bytes: &[u8]) -> Result<Vec<u8>, CallError> {
    let mut copy = Vec::new();
    let reserved = copy.try_reserve_exact(bytes.len());
    reserved.map_err(|_| no_room(bytes.len()))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Returns the error that the heap has no room for `needed` bytes from a guest.
pub(crate) const fn no_room(needed: usize) -> CallError {
    CallError::DoesNotFit {
        needed: needed as u64,
        free: None,
    }
}

/// Returns whether the blocks `a` and `b`, each a pointer and a length, share a byte.
pub(crate) fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    let end = |(ptr, len): (u32, u32)| u64::from(ptr).saturating_add(len.into());
    u64::from(a.0) < end(b) && u64::from(b.0) < end(a)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_inside_the_memory_become_bytes() {
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
