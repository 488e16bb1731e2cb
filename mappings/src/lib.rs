//! Lends mappings of the operating system to [wasmi] as linear memories, tells which of their pages a
//! guest may have written, and takes them back when the store is dropped.
//!
//! A used instance is set back to its first state by writing its memory. Most of a memory is untouched by
//! a call: a compiler reserves a MiB for the stack and uses a few KiB of it. A mapping knows which pages
//! were touched, so that only these need to be written.
//!
//! ```
//! use hostel_mappings::Mappings;
//! use wasmi::{Engine, Store};
//!
//! // `None` on other systems than Linux, and where it is locked down.
//! if let Some(mappings) = Mappings::new() {
//!     let mut store = Store::new(&Engine::default(), ());
//!     let mapped = mappings.memory(&mut store, 2, Some(4), 65_536, 4 * 65_536).unwrap();
//!     let memory = mapped.memory();
//!     mapped.release(memory.data_mut(&mut store));
//!     memory.data_mut(&mut store)[100_000] = 1;
//!     let mut written = Vec::new();
//!     mapped.written(memory.data_size(&store), &mut |run| written.push(run));
//!     assert!(written.iter().any(|run| run.contains(&100_000)));
//!     assert!(written.iter().map(ExactSizeIterator::len).sum::<usize>() <= 65_536);
//! }
//! ```
//!
//! # What is relied on
//!
//! One property of private anonymous mappings: **a page that has no entry in the page table reads as 0**.
//! It does not depend on what happened to the page before. [`Mapped::written`] reports every page that
//! has an entry, so all bytes outside its runs are 0. A page wrongly left out would show one guest's data
//! to the next; therefore each thing that moves pages around is considered here. "Reported" means that
//! the kernel says present or swapped.
//!
//! * **Swap, reclaim, zswap, `MADV_PAGEOUT`**: the entry becomes a swap entry, and is reported. `mincore`
//!   would not do: it says "absent" for a page that is swapped out.
//! * **Migration, compaction, memory failure, device memory**: the entry is a special swap entry
//!   meanwhile, and is reported. The kernel changes entries, and reads them here, under one lock for each
//!   page table.
//! * **NUMA balancing** takes access rights from an entry; it stays present.
//! * **Huge pages**: the mapping is marked `MADV_NOHUGEPAGE`. If it had one nevertheless, all of its pages
//!   would be reported.
//! * **Merging equal pages (KSM)** keeps the entry present. It may point to the page of zeros, which is
//!   left out only then and only by kernels that tell it apart: its content is 0, and a write replaces it.
//! * **Pages that were only read** point to the page of zeros too.
//! * **`fork`**: an open `/proc/self/pagemap` shows the process that opened it, not its child. A page
//!   that the kernel wipes in a child (`MADV_WIPEONFORK`) tells the child, which gets no reports at all; on
//!   kernels before 6.7, and emulated ones, the number of the process is compared too.
//!   A child that shares the memory (`vfork`) shares the page table too.
//! * **Other writers**: wasmi writes through the same mapping. Nothing else has the address.
//! * **Emulated kernels** may answer nonsense. [`Mappings::new`] checks that the answers fit pages that
//!   it writes, leaves alone and gives back, and returns `None` if not.
//!
//! [`Mapped::place`] replaces the pages of a memory by those of a file in memory, privately: a page that is written
//! becomes an anonymous one. There, what is relied on is that **a page that is not anonymous reads as in the file**,
//! which is sealed, so that nobody can write or cut it. A kernel that moves such a page, or drops it from memory, says of
//! a file, or nothing; one that was written is treated as above. [`Mappings::new`] checks the answers for these too. Such
//! a mapping is not used again.
//!
//! A store can be dropped before or after its [`Mapped`]; the mapping is reused only after both.
//! wasmi fills a new memory with 0, and each part that it grows by, so nothing of a former user is seen.

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
mod linux;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
use self::linux as system;

#[cfg(miri)]
mod stand_in;
#[cfg(miri)]
use self::stand_in as system;

#[cfg(not(any(all(target_os = "linux", target_pointer_width = "64"), miri)))]
mod elsewhere;
#[cfg(not(any(all(target_os = "linux", target_pointer_width = "64"), miri)))]
use self::elsewhere as system;

use std::{
    fmt,
    ops::Range,
    slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use wasmi::{ExternRef, Memory, MemoryTypeBuilder, Store};

/// Makes memories in mappings, and keeps a few mappings for reuse. Clones are cheap and share these.
#[derive(Clone)]
pub struct Mappings {
    shared: Arc<Shared>,
}

/// What all memories share.
struct Shared {
    pages: system::Pages,
    /// Mappings that no memory uses, with pages that need not be got from the system again.
    free: Mutex<Vec<system::Region>>,
}

/// Most mappings that are kept for reuse: for as many threads.
const KEPT: usize = 16;

/// Bytes at the start of a mapping that keep their pages while it waits for reuse.
const KEPT_BYTES: usize = 2 << 20;

impl Mappings {
    /// Returns `None` if the operating system can't tell which pages were written, or would charge all of
    /// a mapping as used: on other systems than Linux on 64 bits, without `/proc`, and under the policy 2
    /// of `vm.overcommit_memory`.
    #[must_use]
    pub fn new() -> Option<Self> {
        let shared = Shared {
            pages: system::Pages::new()?,
            free: Mutex::default(),
        };
        Some(Self {
            shared: Arc::new(shared),
        })
    }

    /// Creates a memory for `store`, in a mapping of at least `room` bytes. Growing never moves it.
    ///
    /// The memory starts with `pages` pages of `page_bytes` bytes each, which must be 1 or 65,536; all of
    /// it reads as zero. Its maximum is `most` pages. If that is more than `room`, or `None`, the store's
    /// limiter has to refuse growing beyond `room`: wasmi 2.0.0 panics when a memory grows past its buffer.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the system has no room for the mapping, if `room` is less than `pages`, or if wasmi
    /// or the store's limiter refuses the memory. The store is as usable as before.
    pub fn memory<T>(
        &self,
        store: &mut Store<T>,
        pages: u64,
        most: Option<u64>,
        page_bytes: u64,
        room: usize,
    ) -> Result<Mapped, Refused> {
        if ![1, 65_536].contains(&page_bytes) {
            return Err(Refused);
        }
        let mut ty = MemoryTypeBuilder::new();
        ty.min(pages).max(most);
        ty.page_size_log2(page_bytes.trailing_zeros() as u8);
        let ty = ty.build().map_err(|_| Refused)?;
        let first = usize::try_from(pages.saturating_mul(page_bytes)).map_err(|_| Refused)?;
        if first > room {
            return Err(Refused);
        }
        let (region, is_new) = self.take(room.max(1), first).ok_or(Refused)?;
        let lent = Lent {
            region: Some(region),
            placed: AtomicBool::new(false),
            used: AtomicUsize::new(usize::MAX),
            shared: self.shared.clone(),
        };
        let lent = Arc::new(lent);
        let region = lent.region.as_ref().ok_or(Refused)?;
        // Before the memory can use the mapping: the store keeps it as long as the memory.
        ExternRef::new(&mut *store, lent.clone());
        // SAFETY: the region is mapped, readable and writable for `size` bytes, and was taken off the list:
        // no other loan of it exists. It is given back when both the store and the returned value are
        // dropped. The store owns the loan and the memory, drops them together, and does not touch the
        // memory's bytes afterwards. The returned value never reads or writes through the address.
        let buffer = unsafe { slice::from_raw_parts_mut(region.start(), region.size()) };
        let memory = Memory::new_static(store, ty, buffer).map_err(|_| Refused)?;
        Ok(Mapped {
            memory,
            lent,
            is_new,
        })
    }

    /// Returns the number of mappings that are kept for reuse.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shared.free().len()
    }

    /// Takes a mapping of at least `size` bytes off the list, or makes one, whose `first` bytes will be written
    /// at once.
    /// Also returns whether it is a new one.
    fn take(&self, size: usize, first: usize) -> Option<(system::Region, bool)> {
        let mut free = self.shared.free();
        // The last one was used last, so that the processor may still have it in its cache.
        let found = free.iter().rposition(|region| region.size() >= size);
        let taken = found.map(|at| free.remove(at));
        drop(free);
        if let Some(taken) = taken {
            return Some((taken, false));
        }
        let region = system::Region::new(size)?;
        region.populate(first);
        Some((region, true))
    }
}

impl Shared {
    fn free(&self) -> MutexGuard<'_, Vec<system::Region>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mappings")
            .field("kept", &self.kept())
            .finish_non_exhaustive()
    }
}

/// A mapping that a store and a [`Mapped`] use. Gives it back when both are dropped.
struct Lent {
    /// `None` only while it is dropped.
    region: Option<system::Region>,
    /// Whether contents were placed, or the system has refused that.
    placed: AtomicBool,
    /// Only so many bytes at its start were written, at most.
    used: AtomicUsize,
    shared: Arc<Shared>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(region) = self.region.take() else {
            return;
        };
        if self.placed.load(Ordering::Relaxed) {
            return;
        }
        let size = region.size();
        let excess = KEPT_BYTES.min(size)..size;
        let used = self.used.load(Ordering::Relaxed);
        if self.shared.free().len() >= KEPT || (used > excess.start && !region.release(excess)) {
            return;
        }
        let mut free = self.shared.free();
        if free.len() < KEPT {
            free.push(region);
        }
    }
}

/// A memory in a mapping.
pub struct Mapped {
    memory: Memory,
    lent: Arc<Lent>,
    is_new: bool,
}

impl Mapped {
    /// Returns whether no memory used its mapping before: then no mapping was left of a memory that was
    /// dropped, so memories are rather kept than made and dropped in turn.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Returns the memory.
    #[must_use]
    pub const fn memory(&self) -> Memory {
        self.memory
    }

    /// Tells how large the memory has become, in bytes, before it is dropped. That saves a request to the
    /// system if it is small. A wrong size keeps more of the system's memory in use, but is no danger.
    pub fn note_size(&self, bytes: usize) {
        self.lent.used.store(bytes, Ordering::Relaxed);
    }

    /// Passes each run of bytes that may not be 0, among the first `length` of the memory, to `visit`: in
    /// ascending order, without overlap. All bytes outside these runs are 0, or those of the contents that were
    /// [placed](Self::place), if nothing runs that writes the memory meanwhile. Returns false if the system does not tell; then the runs that were passed
    /// mean nothing.
    #[must_use]
    pub fn written(&self, length: usize, visit: &mut dyn FnMut(Range<usize>)) -> bool {
        let Some(region) = &self.lent.region else {
            return false;
        };
        let placed = self.lent.placed.load(Ordering::Relaxed);
        length <= region.size()
            && self
                .lent
                .shared
                .pages
                .written(region, length, placed, visit)
    }

    /// Sets `memory`, which must be the data of this memory, to `contents`, of as many bytes: by mapping them, so that
    /// all memories with these contents share the pages that they have not written. Returns false if `memory` is
    /// another one, or if the system refuses: then its bytes are as before, or all 0.
    #[must_use]
    pub fn place(&self, memory: &mut [u8], contents: &Contents) -> bool {
        let Some(region) = &self.lent.region else {
            return false;
        };
        if memory.as_ptr() != region.start() || !self.lent.shared.pages.tells_files() {
            return false;
        }
        // Also if it fails: not used again.
        self.lent.placed.store(true, Ordering::Relaxed);
        region.place(memory, &contents.system)
    }

    /// Sets all of `memory` to 0, or to the contents that were [placed](Self::place), by giving its pages back to the
    /// system: it takes no more memory until it is written. `memory` must be the data of this memory. Returns false, and changes nothing, if
    /// `memory` is another one, or if the system refuses.
    #[must_use]
    pub fn release(&self, memory: &mut [u8]) -> bool {
        let Some(region) = &self.lent.region else {
            return false;
        };
        if memory.as_ptr() != region.start() {
            return false;
        }
        // Whole pages only: the exclusive borrow of the bytes is what allows changing them.
        let whole = memory.len().saturating_sub(memory.len() % system::page());
        let Some((pages, rest)) = memory.split_at_mut_checked(whole) else {
            return false;
        };
        if !region.release_borrowed(pages) {
            return false;
        }
        rest.fill(0);
        true
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").finish_non_exhaustive()
    }
}

/// Bytes with which memories begin, in a file in memory: see [`Mapped::place`].
pub struct Contents {
    system: system::Contents,
}

impl Contents {
    /// Returns `size` bytes with these parts at their places, and 0 elsewhere; `None` if that are not whole pages of the
    /// system, a part is outside, or the system has no such files.
    pub fn new<'a>(size: usize, parts: impl Iterator<Item = (usize, &'a [u8])>) -> Option<Self> {
        let system = system::Contents::new(size, parts)?;
        Some(Self { system })
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

/// The error of [`Mappings::memory`]: the system has no room for the mapping, or the memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the system has no address space for the memory, or wasmi or the store's limiter refused it; \
             place it on the heap",
        )
    }
}

impl std::error::Error for Refused {}
