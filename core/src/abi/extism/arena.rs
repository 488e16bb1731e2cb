//! The memory that guests share with the host: blocks at virtual offsets, outside the guest's own
//! memory.

use alloc::vec::Vec;

/// Offset of the first block. 0 stands for no block.
const FIRST: u64 = 16;

/// Bytes of zeros behind each block at least: guests read 8 bytes at a time, also past a block's end.
const PADDING: usize = 8;

/// Bytes counted for each block besides its own: what the arena keeps about it.
const BLOCK: usize = 32;

/// The end of all offsets: they stay below 2³², since some guests keep them in floating-point numbers or
/// in 32 bits.
const END: u64 = 1 << 32;

/// Blocks of bytes. Offsets only grow until [`reset`](Self::reset), and freed bytes stay readable: a guest
/// may free a block that the host has freed.
#[derive(Default)]
pub(super) struct Arena {
    /// The bytes from the offset [`FIRST`] on.
    bytes: Vec<u8>,
    /// All blocks, in the order of their offsets.
    blocks: Vec<Block>,
    /// The bytes of the live ones.
    live: u64,
}

/// A block. Kept outside the bytes, so that no guest can change it.
struct Block {
    start: u64,
    len: usize,
    live: bool,
}

impl Arena {
    /// The most bytes that a block takes besides its own.
    pub(super) const OVERHEAD: usize = 15 + PADDING.next_multiple_of(16) + BLOCK;

    /// Forgets all blocks. Keeps the heap's memory if that is at most `kept` bytes.
    pub(super) fn reset(&mut self, kept: usize) {
        if self.bytes.capacity() > kept {
            self.bytes = Vec::new();
            self.blocks = Vec::new();
        }
        self.bytes.clear();
        self.blocks.clear();
        self.live = 0;
    }

    /// Returns the bytes that it takes, blocks' records included.
    pub(super) fn size(&self) -> usize {
        let blocks = self.blocks.len().saturating_mul(BLOCK);
        self.bytes.len().saturating_add(blocks)
    }

    /// Returns the bytes of heap that are allocated for `more` bytes more, at most: a list that grows is copied
    /// to one of twice its size.
    pub(super) fn growth(&self, more: usize) -> usize {
        let double = |len: usize, capacity: usize, more: usize, size: usize| {
            let needed = len.saturating_add(more);
            let grown = capacity.saturating_mul(2).max(needed);
            if needed <= capacity {
                0
            } else {
                grown.saturating_mul(size)
            }
        };
        let (bytes, blocks) = (&self.bytes, &self.blocks);
        double(bytes.len(), bytes.capacity(), more, 1).saturating_add(double(
            blocks.len(),
            blocks.capacity(),
            1,
            size_of::<Block>(),
        ))
    }

    /// Returns the bytes that a block of `len` bytes takes; `None` if they can't be told.
    pub(super) fn taken(len: u64) -> Option<usize> {
        let len = usize::try_from(len).ok()?;
        len.checked_next_multiple_of(16)?
            .checked_add(PADDING.next_multiple_of(16))
    }

    /// Allocates a block of `len` bytes, all 0. Returns its offset, or `None` if the arena would be larger
    /// than `limit` bytes, or the heap has no room. A block of no bytes has the offset 0.
    pub(super) fn alloc(&mut self, len: u64, limit: usize) -> Option<u64> {
        if len == 0 {
            return Some(0);
        }
        let taken = Self::taken(len)?;
        let size = self.size().checked_add(taken)?.checked_add(BLOCK)?;
        let start = FIRST.checked_add(self.bytes.len() as u64)?;
        if size > limit || start.checked_add(taken as u64)? > END {
            return None;
        }
        self.bytes.try_reserve(taken).ok()?;
        self.blocks.try_reserve(1).ok()?;
        self.bytes.resize(self.bytes.len().checked_add(taken)?, 0);
        self.blocks.push(Block {
            start,
            len: usize::try_from(len).ok()?,
            live: true,
        });
        self.live = self.live.saturating_add(len);
        Some(start)
    }

    /// Allocates a block for `bytes`.
    pub(super) fn add(&mut self, bytes: &[u8], limit: usize) -> Option<u64> {
        let start = self.alloc(bytes.len() as u64, limit)?;
        if let Some(place) = self.range_mut(start, bytes.len() as u64) {
            place.copy_from_slice(bytes);
        }
        Some(start)
    }

    /// Frees the block that begins at `start`. Any other offset is ignored.
    pub(super) fn free(&mut self, start: u64) {
        if let Ok(at) = self.position(start)
            && let Some(block) = self.blocks.get_mut(at)
            && block.live
        {
            block.live = false;
            self.live = self.live.saturating_sub(block.len as u64);
        }
    }

    /// Returns the length of the live block that begins at `start`; 0 if there is none.
    pub(super) fn length(&self, start: u64) -> u64 {
        self.live(start).map_or(0, |block| block.len as u64)
    }

    /// Returns the bytes of the live block that begins at `start`; none for the offset 0.
    pub(super) fn block(&self, start: u64) -> Option<&[u8]> {
        if start == 0 {
            return Some(&[]);
        }
        let block = self.live(start)?;
        self.range(start, block.len as u64)
    }

    /// Returns `len` bytes from the offset `at` on, if all of them are the arena's.
    pub(super) fn range(&self, at: u64, len: u64) -> Option<&[u8]> {
        let (at, len) = index(at, len)?;
        self.bytes.get(at..)?.get(..len)
    }

    /// As [`range`](Self::range), for writing.
    pub(super) fn range_mut(&mut self, at: u64, len: u64) -> Option<&mut [u8]> {
        let (at, len) = index(at, len)?;
        self.bytes.get_mut(at..)?.get_mut(..len)
    }

    /// Returns the bytes of the live blocks.
    pub(super) const fn in_use(&self) -> u64 {
        self.live
    }

    fn live(&self, start: u64) -> Option<&Block> {
        let block = self.blocks.get(self.position(start).ok()?)?;
        block.live.then_some(block)
    }

    fn position(&self, start: u64) -> Result<usize, usize> {
        self.blocks
            .binary_search_by_key(&start, |block| block.start)
    }
}

/// Converts an offset and a length to indices of the bytes.
fn index(at: u64, len: u64) -> Option<(usize, usize)> {
    let at = usize::try_from(at.checked_sub(FIRST)?).ok()?;
    Some((at, usize::try_from(len).ok()?))
}
