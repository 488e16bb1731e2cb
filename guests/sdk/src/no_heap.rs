//! The global allocator of the feature `no-heap`.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
};

/// Has nothing to give. A plugin that never allocates does not even have its code, but the
/// compiler wants to know one.
struct Nothing;

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

// SAFETY: null says that there is no memory, which is always allowed.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
