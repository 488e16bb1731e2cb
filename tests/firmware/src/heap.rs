//! The heap, which counts what is taken from it.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use embedded_alloc::LlffHeap;

/// A first-fit heap that counts.
pub struct Counting {
    heap: UnsafeCell<LlffHeap>,
    start: AtomicUsize,
    live: AtomicUsize,
    peak: AtomicUsize,
    allocations: AtomicUsize,
    /// The most bytes from the heap's start on that were ever in use. First fit makes this the
    /// smallest heap in which the same would have gone well.
    reach: AtomicUsize,
}

// Allocators are shared by definition; there is one core, and the heap locks interrupts out.
unsafe impl Sync for Counting {}

impl Counting {
    pub const fn new() -> Self {
        const NONE: AtomicUsize = AtomicUsize::new(0);
        Self {
            heap: UnsafeCell::new(LlffHeap::empty()),
            start: NONE,
            live: NONE,
            peak: NONE,
            allocations: NONE,
            reach: NONE,
        }
    }

    /// # Safety
    /// The bytes are the heap's for good, and nothing is allocated.
    pub unsafe fn init(&self, start: *mut u8, size: usize) {
        unsafe {
            *self.heap.get() = LlffHeap::empty();
            (*self.heap.get()).init(start as usize, size);
        }
        self.start.store(start as usize, Relaxed);
        self.reset();
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.peak.store(self.live.load(Relaxed), Relaxed);
        self.allocations.store(0, Relaxed);
        self.reach.store(0, Relaxed);
    }

    pub fn live(&self) -> usize {
        self.live.load(Relaxed)
    }
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }
    pub fn allocations(&self) -> usize {
        self.allocations.load(Relaxed)
    }
    pub fn reach(&self) -> usize {
        self.reach.load(Relaxed)
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let ptr = unsafe { (*self.heap.get()).alloc(layout) };
        if !ptr.is_null() {
            let live = self.live.fetch_add(layout.size(), Relaxed) + layout.size();
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
