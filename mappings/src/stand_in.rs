//! Blocks of the heap in place of mappings, for Miri, which has no page tables. Of these, all bytes may
//! have been written.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    convert::Infallible,
    ops::Range,
};

pub(crate) struct Pages;

impl Pages {
    pub(crate) const fn new() -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn written(
        &self,
        _region: &Region,
        length: usize,
        _placed: bool,
        visit: &mut dyn FnMut(Range<usize>),
    ) -> bool {
        visit(0..length);
        true
    }

    pub(crate) const fn tells_files(&self) -> bool {
        false
    }
}

/// There are no files in memory here.
pub(crate) struct Contents(Infallible);

impl Contents {
    pub(crate) fn new<'a>(_: usize, _: impl Iterator<Item = (usize, &'a [u8])>) -> Option<Self> {
        None
    }
}

pub(crate) struct Region {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: the block belongs to the process; only the owner of a region gives its address to others.
unsafe impl Send for Region {}
// SAFETY: `release` is called by the one that may change the bytes; the other methods only read the fields.
unsafe impl Sync for Region {}

impl Region {
    pub(crate) fn new(size: usize) -> Option<Self> {
        let layout =
            Layout::from_size_align(size.checked_next_multiple_of(page())?, page()).ok()?;
        // SAFETY: the size is not 0, since that of a memory's room is not.
        let start = unsafe { alloc_zeroed(layout) };
        (!start.is_null()).then_some(Self { start, layout })
    }

    pub(crate) const fn start(&self) -> *mut u8 {
        self.start
    }

    pub(crate) const fn size(&self) -> usize {
        self.layout.size()
    }

    pub(crate) const fn populate(&self, _bytes: usize) {}

    pub(crate) fn release_borrowed(&self, pages: &mut [u8]) -> bool {
        pages.fill(0);
        true
    }

    pub(crate) const fn place(&self, _pages: &mut [u8], contents: &Contents) -> bool {
        match contents.0 {}
    }

    pub(crate) fn release(&self, part: Range<usize>) -> bool {
        if part.start > part.end || part.end > self.size() {
            return false;
        }
        // SAFETY: the part is not outside of the block.
        let start = unsafe { self.start.add(part.start) };
        // SAFETY: the bytes are in the block, and the caller may change them.
        unsafe { start.write_bytes(0, part.end - part.start) };
        true
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the block was allocated by `new` with this layout, and nobody uses it any more.
        unsafe { dealloc(self.start, self.layout) };
    }
}

pub(crate) const fn page() -> usize {
    64
}
