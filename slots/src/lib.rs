//! Static buffers for the memories of WebAssembly instances in [wasmi], lent to a store and given
//! back when it goes.
//!
//! wasmi makes a memory of a `&'static mut [u8]` and keeps it for ever: safe code can't have it
//! back. This crate keeps the buffers' addresses, and ties each loan to the store that uses it: the
//! store owns an object that gives the buffer back when it is dropped, and nobody can take that
//! object, or the memory, out of the store before.
//!
//! ```
//! use hostel_slots::Slots;
//! use wasmi::{Engine, MemoryType, Store};
//!
//! let slots = Slots::split(vec![0; 8192].leak(), 4096);
//! let engine = Engine::default();
//! let mut store = Store::new(&engine, ());
//! let memory = slots.memory(&mut store, MemoryType::new(0, None), 0).unwrap();
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
use wasmi::{ExternRef, Memory, MemoryType, Store};

/// Buffers, each for one memory at a time. Cheap to clone: clones share the buffers.
#[derive(Clone)]
pub struct Slots {
    slots: Arc<[Slot]>,
}

/// A buffer that is this crate's alone, but for the store that it is lent to.
struct Slot {
    start: *mut u8,
    size: usize,
    lent: AtomicBool,
}

// SAFETY: the buffer is reached by who changed `lent` from false to true, and by nobody else.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slots {
    /// Slots of these buffers, of whatever sizes.
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

    /// Slots of `size` bytes, as many as `buffer` has room for.
    #[must_use]
    pub fn split(buffer: &'static mut [u8], size: usize) -> Self {
        Self::new(buffer.chunks_exact_mut(size.max(1)))
    }

    /// How many are not lent.
    #[must_use]
    pub fn free(&self) -> usize {
        let free = |slot: &&Slot| !slot.lent.load(Ordering::Relaxed);
        self.slots.iter().filter(free).count()
    }

    /// The size of the largest, lent or not, in bytes; 0 where there is none.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.size)
    }

    /// A memory for `store`, in the smallest free slot that has room for its first size of `needed`
    /// bytes. It can grow as far as the slot goes. Bytes of its former users are set to zero before they can be read.
    /// The slot is free again when the store is dropped.
    ///
    /// # Errors
    ///
    /// [`NoSlot`] where none is free that is large enough, or the store's limiter refuses.
    pub fn memory<T>(
        &self,
        store: &mut Store<T>,
        ty: MemoryType,
        needed: usize,
    ) -> Result<Memory, NoSlot> {
        let lent = self.slots.iter().enumerate().find(|(_, slot)| {
            slot.size >= needed
                && slot
                    .lent
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
        });
        let Some((index, slot)) = lent else {
            return Err(NoSlot { needed });
        };
        let slots = self.slots.clone();
        ExternRef::new(&mut *store, Loan { slots, index });
        // SAFETY: it was a `&'static mut [u8]` of this size, handed to `new`, and was not lent until
        // now. It is used by the store alone until the loan is dropped; the store owns both the loan
        // and the memory, drops them together, and touches the memory's bytes no more from then on.
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

/// Gives a slot back when it is dropped.
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

/// No slot is free that is large enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSlot {
    /// The bytes that the memory was to start with.
    pub needed: usize,
}

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no slot of {} bytes is free", self.needed)
    }
}

impl core::error::Error for NoSlot {}
