//! The global allocator of the feature `allocator`.

use core::alloc::Layout;
use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::NonNull;
use talc::base::{Talc, binning::Binning};
use talc::{cell::TalcSyncCell, source::Source, wasm::WasmBinning};

#[global_allocator]
static ALLOCATOR: TalcSyncCell<LinearMemory, WasmBinning> = TalcSyncCell::new_wasm(LinearMemory {
    started: false,
    page: PAGE,
    end: None,
});

/// The size of a page, unless the linker was told that it is one byte.
const PAGE: usize = 64 * 1024;

/// More than talc needs beside a block, for its tags and for rounding.
const OVERHEAD: usize = 64;

/// The linear memory: first what the linker left unused at its end, then new pages. Talc's own
/// sources only add pages, which would cost most plugins a second page.
#[derive(Debug)]
struct LinearMemory {
    /// Whether the linker's rest was taken.
    started: bool,
    /// By so much the memory grows at least.
    page: usize,
    /// The end of the heap that was claimed last.
    end: Option<NonNull<u8>>,
}

// SAFETY: nothing here allocates, and each region is handed to talc once.
unsafe impl Source for LinearMemory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // With an operating system's ABI, its libc takes the rest.
        if cfg!(target_os = "unknown") && !talc.source.started {
            talc.source.started = true;
            let (base, size) = linker_rest();
            if memory_size::<0>() == base as usize + size {
                talc.source.page = 1;
            }
            // SAFETY: nobody else uses the memory between the linker's two symbols.
            talc.source.end = unsafe { talc.claim(base, size) };
            if talc.source.end.is_some() {
                return Ok(());
            }
        }
        // The first heap holds talc's own table too.
        let table = match talc.source.end {
            None => talc::min_first_heap_size::<B>(),
            Some(_) => 0,
        };
        let wanted = table
            .saturating_add(layout.size())
            .saturating_add(layout.align())
            .saturating_add(OVERHEAD);
        let page = talc.source.page;
        let pages = wanted.div_ceil(page);
        let base = match memory_grow::<0>(pages) {
            usize::MAX => return Err(()),
            old_pages => (old_pages * page) as *mut u8,
        };
        // The last page ends where addresses do: its last byte stays unused, so that the end has an
        // address.
        let size = (pages * page).min(usize::MAX - base as usize);
        // SAFETY: the pages are new, so they are ours alone. An end that equals their base is that
        // of our last heap.
        talc.source.end = unsafe {
            match talc.source.end {
                Some(end) if end.as_ptr() == base => Some(talc.extend(end, base.add(size))),
                _ => talc.claim(base, size),
            }
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}

/// Where the linker left memory unused, and how much.
fn linker_rest() -> (*mut u8, usize) {
    unsafe extern "C" {
        static mut __heap_base: u8;
        static mut __heap_end: u8;
    }
    let (base, end) = (&raw mut __heap_base, &raw mut __heap_end);
    (base, (end as usize).saturating_sub(base as usize))
}
