//! A private anonymous mapping.

use super::{Contents, page};
use std::{ops::Range, ptr};

/// Pages that this process has mapped for one purpose: readable, writable, and unmapped when this is
/// dropped. Only pages that are written take memory.
pub(crate) struct Region {
    start: *mut u8,
    size: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread. Only the owner of a region gives its address
// to others.
unsafe impl Send for Region {}
// SAFETY: the methods change the address and the size in no way, and the kernel orders its own work. Who may
// read or write the bytes is up to the one that took the address.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `size` bytes, all 0. Returns `None` if the system refuses.
    pub(crate) fn new(size: usize) -> Option<Self> {
        let size = size.checked_next_multiple_of(page())?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice changes nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let region = Self {
            start: start.cast(),
            size,
        };
        // So that a page is a page: a guest that writes a byte takes 4 KiB, not 2 MiB. A kernel without huge
        // pages refuses, which is as good.
        region.advise(0..size, libc::MADV_NOHUGEPAGE);
        Some(region)
    }

    pub(crate) const fn start(&self) -> *mut u8 {
        self.start
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Gives the pages of `part` back to the system, after which they read as 0, or as what was placed, while nobody uses the region;
    /// both ends must be multiples of [`page`], or the end that of the region. Returns false if the system
    /// refuses.
    pub(crate) fn release(&self, part: Range<usize>) -> bool {
        part.is_empty() || self.advise(part, libc::MADV_DONTNEED)
    }

    /// As [`release`](Self::release), of whole pages at the start of the region that are borrowed. Returns false
    /// if they are others.
    pub(crate) fn release_borrowed(&self, pages: &mut [u8]) -> bool {
        if pages.is_empty() {
            return true;
        }
        let starts = pages.as_ptr() == self.start && pages.len() <= self.size;
        if !starts || !pages.len().is_multiple_of(page()) {
            return false;
        }
        let (start, size) = (pages.as_mut_ptr().cast(), pages.len());
        // SAFETY: the range is the one that is borrowed, of a private mapping: its bytes become 0, or what was placed.
        let done = unsafe { libc::madvise(start, size, libc::MADV_DONTNEED) };
        done == 0
    }

    /// Puts `contents` in place of the bytes that are borrowed, at the start of the region. A page that is written
    /// becomes one of this process alone. Returns false if the system refuses: then the bytes are as before, or all 0.
    pub(crate) fn place(&self, pages: &mut [u8], contents: &Contents) -> bool {
        let starts = pages.as_ptr() == self.start && pages.len() <= self.size;
        if !starts || pages.len() != contents.size() {
            return false;
        }
        let (start, size) = (pages.as_mut_ptr().cast(), pages.len());
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let file = contents.descriptor();
        // SAFETY: the range is the one that is borrowed, in a mapping that is this region's own, and its bytes become
        // those of the file, which has as many and can't be changed or cut.
        let placed = unsafe { libc::mmap(start, size, protection, flags, file, 0) };
        if placed == libc::MAP_FAILED {
            // What was there may be unmapped by now. It has to be mapped, whatever its bytes.
            let flags = flags | libc::MAP_ANONYMOUS;
            // SAFETY: as above, but all bytes become 0.
            let again = unsafe { libc::mmap(start, size, protection, flags, -1, 0) };
            if again == libc::MAP_FAILED {
                // The guest's memory is no memory any more.
                std::process::abort();
            }
        }
        // The mapping is a new one.
        self.advise(0..size, libc::MADV_NOHUGEPAGE);
        placed != libc::MAP_FAILED
    }

    /// Gets pages from the system for the first `bytes`, which takes half as long as a fault for each of them.
    pub(crate) fn populate(&self, bytes: usize) {
        // Older kernels than Linux 5.14 refuse; then the pages come by faults.
        self.advise(0..bytes.min(self.size), libc::MADV_POPULATE_WRITE);
    }

    /// Returns whether the kernel takes `advice` for `part` of the region.
    pub(super) fn advise(&self, part: Range<usize>, advice: libc::c_int) -> bool {
        if part.start > part.end || part.end > self.size {
            return false;
        }
        // SAFETY: the part is not outside of the mapping.
        let start = unsafe { self.start.add(part.start) };
        // SAFETY: the range lies in a mapping that is this region's own. Of the advice used here, only that of
        // `release` changes bytes: to 0, while nobody uses the region.
        let done = unsafe { libc::madvise(start.cast(), part.end - part.start, advice) };
        done == 0
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and nobody uses it any more.
        unsafe { libc::munmap(self.start.cast(), self.size) };
    }
}
