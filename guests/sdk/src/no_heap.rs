//! The global allocator of the feature `no-heap`.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
};

/// An allocator that always fails. The compiler demands an allocator, but its code is not linked into
/// a plugin that never allocates.
struct NoHeap;

#[global_allocator]
static ALLOCATOR: NoHeap = NoHeap;

// SAFETY: an allocator may always return null, which means that there is no memory.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
