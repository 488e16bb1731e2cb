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

/// Size of a page in bytes, unless the linker was told to make pages of one byte.
const PAGE: usize = 64 * 1024;

/// Bytes to claim besides a block: more than talc needs for its tags and for rounding.
const OVERHEAD: usize = 64;

/// Supplies talc with linear memory: first the bytes that the linker left unused at its end, then new
/// pages. Talc's own sources only add pages, which would cost most plugins a second page.
#[derive(Debug)]
struct LinearMemory {
    /// Whether the bytes left by the linker were claimed.
    started: bool,
    /// Size of a page in bytes.
    page: usize,
    /// End of the heap claimed last.
    end: Option<NonNull<u8>>,
}

// SAFETY: `acquire` allocates nothing, and hands each region to talc once.
unsafe impl Source for LinearMemory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // On a target with an operating system's ABI, libc claims these bytes itself.
        if cfg!(target_os = "unknown") && !talc.source.started {
            talc.source.started = true;
            let (base, size) = linker_rest();
            // If the memory has as many pages as bytes, a page has one byte.
            if memory_size::<0>() == base as usize + size {
                talc.source.page = 1;
            }
            // SAFETY: nothing else uses the memory between the linker's two symbols.
            talc.source.end = unsafe { talc.claim(base, size) };
            if talc.source.end.is_some() {
                return Ok(());
            }
        }
        // The first heap also holds talc's own table.
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
        // The end of a 4 GiB memory has no address in 32 bits: leave its last byte unused.
        let size = (pages * page).min(usize::MAX - base as usize);
        // SAFETY: the pages are new, so nothing else uses them. If the recorded end equals their base,
        // it is the end of the heap claimed last.
        talc.source.end = unsafe {
            match talc.source.end {
                Some(end) if end.as_ptr() == base => Some(talc.extend(end, base.add(size))),
                _ => talc.claim(base, size),
            }
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}

/// Returns the start and the size of the memory that the linker left unused.
fn linker_rest() -> (*mut u8, usize) {
    unsafe extern "C" {
        static mut __heap_base: u8;
        static mut __heap_end: u8;
    }
    let (base, end) = (&raw mut __heap_base, &raw mut __heap_end);
    (base, (end as usize).saturating_sub(base as usize))
}
