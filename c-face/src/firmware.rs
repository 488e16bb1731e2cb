//! What firmware without Rust lacks: memory, and an end for panics.

/// Memory from C.
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

    /// What every `malloc` aligns to.
    const ALIGNED: usize = 8;

    struct C;

    #[global_allocator]
    static ALLOCATOR: C = C;

    // SAFETY: blocks are as large as asked for, and aligned: by `malloc` itself up to 8, above that
    // within a block that has room for it, whose start is kept right before.
    unsafe impl GlobalAlloc for C {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() <= ALIGNED {
                // SAFETY: any size will do.
                return unsafe { malloc(layout.size()) }.cast();
            }
            let before = layout.align().max(size_of::<*mut c_void>());
            let Some(size) = layout.size().checked_add(2 * before) else {
                return ptr::null_mut();
            };
            // SAFETY: any size will do.
            let block: *mut u8 = unsafe { malloc(size) }.cast();
            if block.is_null() {
                return block;
            }
            let start = block.wrapping_add(before);
            let start = start.wrapping_add(start.align_offset(layout.align()));
            let kept = start.cast::<*mut c_void>().wrapping_sub(1);
            // SAFETY: `start` is at least a pointer's size and at most `2 * before` after the
            // block's start, so both fit, and its alignment is more than a pointer's.
            unsafe { kept.write(block.cast()) };
            start
        }

        unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
            let mut block = start.cast::<c_void>();
            if layout.align() > ALIGNED {
                // SAFETY: `alloc` has left the block's start there.
                block = unsafe { start.cast::<*mut c_void>().wrapping_sub(1).read() };
            }
            // SAFETY: the block is from `malloc`, and given back once.
            unsafe { free(block) };
        }
    }
}

/// The end of a panic, and what the compiler wants besides.
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
