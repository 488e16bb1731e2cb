//! The host's use of the heap.
//!
//! This file holds an allocator that counts, and a test of it.

mod calls;
mod claims;
mod conversions;
mod footprint;
mod leaks;
mod manifests;

use hostel::{Engine, Grants, Limits, LogRecord};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator, which counts for each thread, since tests run in parallel.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

impl Counting {
    fn note(calls: u64, more: usize, less: usize) {
        // A thread that ends may free blocks after its counters are gone.
        let _ = CALLS.try_with(|count| count.set(count.get() + calls));
        let _ = LIVE.try_with(|live| {
            live.set(live.get() + more as i64 - less as i64);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
        });
    }
}

// SAFETY: each call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(1, layout.size(), 0);
        // SAFETY: the caller keeps this method's contract, which is also `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if the block moved each time: for a moment both are in use.
        Self::note(1, size, 0);
        Self::note(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        Self::note(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Returns how often `work` allocates in 1,000 rounds, after a warm-up of 10.
fn allocations(mut work: impl FnMut()) -> u64 {
    (0..10).for_each(|_| work());
    let before = CALLS.get();
    (0..1_000).for_each(|_| work());
    CALLS.get() - before
}

/// Returns by how many bytes the heap in use grew at most during `work`.
fn peak(work: impl FnOnce()) -> i64 {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

/// An engine that compiles once: a copy of the code is made on another thread, and would be counted there.
fn one_copy() -> Engine {
    let mut limits = Limits::server();
    limits.copies = 1;
    hostel::engine_with(limits)
}

#[test]
fn the_counters_count() {
    assert_eq!(
        allocations(|| drop(std::hint::black_box(Box::new(7)))),
        1_000
    );
    assert_eq!(peak(|| drop(std::hint::black_box(vec![0u8; 5_000]))), 5_000);
}

fn customized() -> Grants<()> {
    Grants::new()
        .log(|record: &LogRecord<'_>| assert!(record.text.raw().starts_with(b"processing")))
        .config([("prefix", "CUSTOM")])
}
