//! An allocator and a panic handler, for firmware without Rust's standard library.

/// Allocates memory with C's `malloc`.
#[cfg(feature = "c-allocator")]
mod memory {
    use core::{
        alloc::{GlobalAlloc, Layout},
        ffi::c_void,
        ptr,
    };

    unsafe extern "C" {
        fn malloc(size: usize) -> *mut c_void;
        fn free(block: *mut c_void);
    }

    /// Alignment in bytes that every `malloc` provides.
    const ALIGNED: usize = 8;

    struct C;

    #[global_allocator]
    static ALLOCATOR: C = C;

    // SAFETY: every block has at least the size asked for. `malloc` itself aligns it up to 8 bytes. For
    // more, the block lies inside a larger one, whose start is stored right before it.
    unsafe impl GlobalAlloc for C {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() <= ALIGNED {
                // SAFETY: `malloc` accepts any size.
                return unsafe { malloc(layout.size()) }.cast();
            }
            let before = layout.align().max(size_of::<*mut c_void>());
            let Some(size) = layout.size().checked_add(2 * before) else {
                return ptr::null_mut();
            };
            // SAFETY: `malloc` accepts any size.
            let block: *mut u8 = unsafe { malloc(size) }.cast();
            if block.is_null() {
                return block;
            }
            let start = block.wrapping_add(before);
            let start = start.wrapping_add(start.align_offset(layout.align()));
            let kept = start.cast::<*mut c_void>().wrapping_sub(1);
            // SAFETY: `start` lies between a pointer's size and `2 * before` bytes after the block's
            // start, so a pointer fits before it, and is aligned, because `start` is aligned to more.
            unsafe { kept.write(block.cast()) };
            start
        }

        unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
            let mut block = start.cast::<c_void>();
            if layout.align() > ALIGNED {
                // SAFETY: `alloc` stored the block's start there.
                block = unsafe { start.cast::<*mut c_void>().wrapping_sub(1).read() };
            }
            // SAFETY: the block comes from `malloc` and is freed once.
            unsafe { free(block) };
        }
    }
}

/// Ends a panic with C's `abort`.
#[cfg(all(feature = "panic-handler", not(feature = "std")))]
mod panics {
    unsafe extern "C" {
        safe fn abort() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        abort()
    }
}
