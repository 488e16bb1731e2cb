//! Lends static buffers to [wasmi] as linear memories, and takes them back when the store is dropped.
//!
//! wasmi can place a memory in a `&'static mut [u8]`, but never returns the buffer to safe code. This
//! crate keeps the buffers' addresses and ties each loan to the store that uses it. The store owns an
//! object whose drop frees the buffer, and neither that object nor the memory can be taken out of the
//! store.
//!
//! ```
//! use hostel_slots::Slots;
//! use wasmi::{Engine, Store};
//!
//! let slots = Slots::split(vec![0; 8192].leak(), 4096);
//! let engine = Engine::default();
//! let mut store = Store::new(&engine, ());
//! let memory = slots.memory(&mut store, 1024, None, 1).unwrap();
//! assert_eq!(slots.free(), 1);
//! # let _ = memory;
//! drop(store);
//! assert_eq!(slots.free(), 2);
//! ```

#![no_std]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt, slice,
    sync::atomic::{AtomicBool, Ordering},
};
use wasmi::{ExternRef, Memory, MemoryTypeBuilder, Store};

/// Static buffers, each of which holds one memory at a time. Clones are cheap and share the buffers.
#[derive(Clone)]
pub struct Slots {
    /// In order of size, so that the first that fits is the smallest.
    slots: Arc<[Slot]>,
}

/// A buffer owned by this crate, and used only by the store that it is lent to.
struct Slot {
    start: *mut u8,
    size: usize,
    lent: AtomicBool,
}

// SAFETY: only the caller that changes `lent` from false to true uses the buffer.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slots {
    /// Makes a slot of each buffer. They may differ in size.
    pub fn new(buffers: impl IntoIterator<Item = &'static mut [u8]>) -> Self {
        let slots = buffers.into_iter().map(|buffer| Slot {
            size: buffer.len(),
            start: buffer.as_mut_ptr(),
            lent: AtomicBool::new(false),
        });
        let mut slots: Vec<Slot> = slots.collect();
        slots.sort_by_key(|slot| slot.size);
        Self {
            slots: slots.into(),
        }
    }

    /// Divides `buffer` into as many slots of `size` bytes as it has room for. A `size` of 0 counts as
    /// 1. Bytes left over are unused.
    #[must_use]
    pub fn split(buffer: &'static mut [u8], size: usize) -> Self {
        Self::new(buffer.chunks_exact_mut(size.max(1)))
    }

    /// Returns the number of slots that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        let free = |slot: &&Slot| !slot.lent.load(Ordering::Relaxed);
        self.slots.iter().filter(free).count()
    }

    /// Returns the size of the largest slot in bytes, lent or free; 0 if there are no slots.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.size)
    }

    /// Creates a memory for `store` in the smallest free slot that has room for it. The slot is free
    /// again when the store is dropped.
    ///
    /// The memory starts with `pages` pages of `page_bytes` bytes each; `page_bytes` must be 1 or
    /// 65,536. Its maximum is `most` pages, or the size of the slot if that is smaller or `most` is
    /// `None`. All of it reads as zero: bytes of earlier users are cleared.
    ///
    /// # Errors
    ///
    /// [`NoSlot`] if no free slot is large enough, or if wasmi or the store's limiter refuses the
    /// memory.
    pub fn memory<T>(
        &self,
        store: &mut Store<T>,
        pages: u64,
        most: Option<u64>,
        page_bytes: u64,
    ) -> Result<Memory, NoSlot> {
        let needed = pages.saturating_mul(page_bytes);
        let lent = self.slots.iter().enumerate().find(|(_, slot)| {
            slot.size as u64 >= needed
                && slot
                    .lent
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
        });
        let Some((index, slot)) = lent else {
            return Err(NoSlot { needed });
        };
        let slots = self.slots.clone();
        // Before anything can fail: from here on, the store frees the slot.
        ExternRef::new(&mut *store, Loan { slots, index });
        let room = slot.size as u64 / page_bytes.max(1);
        // The maximum never exceeds the slot: wasmi 2.0.0 panics when a memory grows past its buffer.
        let mut ty = MemoryTypeBuilder::new();
        ty.min(pages).max(Some(most.unwrap_or(room).min(room)));
        ty.page_size_log2(page_bytes.trailing_zeros().min(16) as u8);
        let ty = ty.build().map_err(|_| NoSlot { needed })?;
        // SAFETY: `new` received the buffer as a `&'static mut [u8]` of this size, and no loan of it
        // exists. Until this loan is dropped, only the store uses the buffer. The store owns both the
        // loan and the memory, drops them together, and does not touch the memory's bytes afterwards.
        let buffer = unsafe { slice::from_raw_parts_mut(slot.start, slot.size) };
        Memory::new_static(store, ty, buffer).map_err(|_| NoSlot { needed })
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("slots", &self.slots.len())
            .field("free", &self.free())
            .finish()
    }
}

/// Frees a slot when it is dropped.
struct Loan {
    slots: Arc<[Slot]>,
    index: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(slot) = self.slots.get(self.index) {
            slot.lent.store(false, Ordering::Release);
        }
    }
}

/// The error of [`Slots::memory`]: no free slot is large enough, or the memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSlot {
    /// Initial size of the requested memory, in bytes.
    pub needed: u64,
}

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no free slot has room for a memory of {} bytes, or the store refused it; add a larger slot",
            self.needed
        )
    }
}

impl core::error::Error for NoSlot {}
