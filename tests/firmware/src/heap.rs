//! The heap, which counts what is taken from it.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use embedded_alloc::LlffHeap;

/// What a board has of it.
pub const SIZE: usize = if cfg!(feature = "netduinoplus2") {
    88 << 10
} else if cfg!(feature = "musca-b1") {
    400 << 10
} else {
    200 << 10
};

#[global_allocator]
static HEAP: Counting = Counting {
    heap: UnsafeCell::new(LlffHeap::empty()),
    start: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
    peak: AtomicUsize::new(0),
    allocations: AtomicUsize::new(0),
    reach: AtomicUsize::new(0),
};

/// A first-fit heap that counts.
struct Counting {
    heap: UnsafeCell<LlffHeap>,
    start: AtomicUsize,
    live: AtomicUsize,
    peak: AtomicUsize,
    allocations: AtomicUsize,
    reach: AtomicUsize,
}

// There is one core, and the heap locks interrupts out.
unsafe impl Sync for Counting {}

/// Makes the board's heap.
pub(crate) fn start() {
    static mut MEMORY: [u64; SIZE / 8] = [0; SIZE / 8];
    let start = (&raw mut MEMORY).cast::<u8>();
    HEAP.start.store(start as usize, Relaxed);
    // Its memory is for nothing else, and nothing is allocated yet.
    unsafe { (*HEAP.heap.get()).init(start as usize, SIZE) };
}

/// Counts peak, allocations and reach from now on.
pub fn reset() {
    HEAP.peak.store(live(), Relaxed);
    HEAP.allocations.store(0, Relaxed);
    HEAP.reach.store(0, Relaxed);
}

/// Bytes that are allocated.
pub fn live() -> usize {
    HEAP.live.load(Relaxed)
}

/// The most bytes that were allocated at a time.
pub fn peak() -> usize {
    HEAP.peak.load(Relaxed)
}

/// The number of allocations.
pub fn allocations() -> usize {
    HEAP.allocations.load(Relaxed)
}

/// How far from the heap's start on it was used. As the first place that fits is taken, a heap of
/// just this size would have done.
pub fn reach() -> usize {
    HEAP.reach.load(Relaxed)
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let ptr = unsafe { (*self.heap.get()).alloc(layout) };
        if !ptr.is_null() {
            let live = self.live.load(Relaxed) + layout.size();
            self.live.store(live, Relaxed);
            self.peak.fetch_max(live, Relaxed);
            self.allocations.fetch_add(1, Relaxed);
            let end = ptr as usize + layout.size() - self.start.load(Relaxed);
            self.reach.fetch_max(end, Relaxed);
        }
        ptr
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Relaxed);
        unsafe { (*self.heap.get()).dealloc(ptr, layout) }
    }
}
