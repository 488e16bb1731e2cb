//! Which pages have an entry in the page table.
//!
//! Measured for a memory of 17 pages of 64 KiB, 272 pages of the system, on a virtual machine with Linux
//! 6.18: `PAGEMAP_SCAN` takes 1.2 µs if 8 pages have an entry and 3.6 µs if all have, reading
//! `/proc/self/pagemap` 1.5 and 7.2 µs; of 16 MiB, 1.6 and 12.7 µs. Setting all of the memory to 0 takes
//! 12 µs, comparing it 11 µs, and `madvise(DONTNEED)` of 8 pages that were written 2.4 µs, but then each
//! takes a page fault of 1.3 µs in the next call. A private mapping of a file pays such a fault for each page
//! of the image too.

use super::{Contents, Region, page};
use std::{
    fs::{self, File},
    mem::size_of,
    ops::Range,
    os::{fd::AsRawFd, unix::fs::FileExt},
    ptr, slice,
    sync::atomic::{AtomicU8, Ordering},
};

/// The page table of this process.
pub(crate) struct Pages {
    /// `/proc/self/pagemap`, of the process that made this.
    table: File,
    /// Whether the kernel has the quicker request, which also tells pages of zeros apart: Linux 6.7.
    scans: bool,
    /// Whether the kernel tells pages of files from those that were written in a private mapping of one.
    tells_files: bool,
    /// A page that begins with 1 in the process that made this, and with 0 in its children.
    parent: Region,
    /// The number of that process.
    process: u32,
}

impl Pages {
    /// Returns `None` if the kernel does not tell, or tells nonsense.
    pub(crate) fn new() -> Option<Self> {
        // Under this policy, all of a mapping counts as used at once.
        let policy = fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
        if policy.trim() == "2" {
            return None;
        }
        let parent = Region::new(page())?;
        if !parent.advise(0..page(), libc::MADV_WIPEONFORK) {
            return None;
        }
        let mut pages = Self {
            table: File::open("/proc/self/pagemap").ok()?,
            scans: true,
            tells_files: false,
            parent,
            process: std::process::id(),
        };
        pages.mark().store(1, Ordering::Relaxed);
        if !pages.is_honest() {
            pages.scans = false;
            if !pages.is_honest() {
                return None;
            }
        }
        pages.tells_files = pages.is_honest_about_files().unwrap_or(false);
        Some(pages)
    }

    /// Returns whether [`written`](Self::written) tells which pages of placed contents were written.
    pub(crate) const fn tells_files(&self) -> bool {
        self.tells_files
    }

    /// Passes each run of pages that have an entry to `visit`, among those that have to do with the first
    /// `length` bytes of `region`, in bytes and cut off at `length`. If contents were `placed` there, their pages are
    /// left out as long as they are those of the file. Returns false if the system does not tell.
    pub(crate) fn written(
        &self,
        region: &Region,
        length: usize,
        placed: bool,
        visit: &mut dyn FnMut(Range<usize>),
    ) -> bool {
        // In a child, the file shows the pages of the parent.
        if self.mark().load(Ordering::Relaxed) != 1 {
            return false;
        }
        // An emulated kernel may take the advice and not wipe the page; it has not the newer request either.
        if !self.scans && std::process::id() != self.process {
            return false;
        }
        let pages = length.div_ceil(page());
        let mut visit = |run: Range<usize>| {
            visit(run.start * page()..(run.end * page()).min(length));
        };
        if self.scans {
            self.scan(region, pages, placed, &mut visit)
        } else {
            self.read(region, pages, placed, &mut visit)
        }
    }

    /// The first byte of the page that tells a child.
    fn mark(&self) -> &AtomicU8 {
        // SAFETY: the page is mapped as long as `self` is, and used for this byte only, which is always
        // accessed atomically.
        unsafe { AtomicU8::from_ptr(self.parent.start()) }
    }

    /// Passes runs of the first `pages` pages of `region`, found by `PAGEMAP_SCAN`.
    fn scan(
        &self,
        region: &Region,
        pages: usize,
        placed: bool,
        visit: &mut dyn FnMut(Range<usize>),
    ) -> bool {
        let start = region.start() as u64;
        let end = start + (pages * page()) as u64;
        let mut found = [Found::default(); 32];
        // Not the page of zeros, which a page that was only read points to; nor one of the file.
        let left_out = if placed { ZEROS | FILE } else { ZEROS };
        let mut request = Request {
            size: size_of::<Request>() as u64,
            start,
            end,
            places: found.as_mut_ptr() as u64,
            places_length: found.len() as u64,
            inverted: left_out,
            all_of: left_out,
            any_of: PRESENT | SWAPPED,
            returned: PRESENT | SWAPPED,
            ..Request::default()
        };
        let mut last = 0..0;
        while request.start < end {
            // SAFETY: the request names an array of so many places, which outlives the call. The kernel writes
            // to these, and to the request.
            let count = unsafe { libc::ioctl(self.table.as_raw_fd(), SCAN, &raw mut request) };
            let Some(places) = usize::try_from(count)
                .ok()
                .and_then(|count| found.get(..count))
            else {
                return false;
            };
            for place in places {
                let inside = start <= place.start && place.start <= place.end && place.end <= end;
                if !inside {
                    return false;
                }
                let at = |address: u64| (address - start) as usize / page();
                // Present and swapped pages come as runs of their own, and so do parts of a long one.
                let run = at(place.start)..at(place.end);
                if run.start == last.end {
                    last.end = run.end;
                } else {
                    pass(&mut last, run, visit);
                }
            }
            if request.walked <= request.start || request.walked > end {
                return false;
            }
            request.start = request.walked;
        }
        pass(&mut last, 0..0, visit);
        true
    }

    /// Passes runs of the first `pages` pages of `region`, found in `/proc/self/pagemap`: it has 8 bytes for
    /// each page.
    fn read(
        &self,
        region: &Region,
        pages: usize,
        placed: bool,
        visit: &mut dyn FnMut(Range<usize>),
    ) -> bool {
        const ENTRY: usize = size_of::<u64>();
        let first = region.start() as usize / page();
        let mut buffer = [0; 512 * ENTRY];
        let mut last = 0..0;
        let mut at = 0;
        while at < pages {
            let wanted = buffer.len().min((pages - at) * ENTRY);
            let Some(place) = buffer.get_mut(..wanted) else {
                return false;
            };
            if self
                .table
                .read_exact_at(place, ((first + at) * ENTRY) as u64)
                .is_err()
            {
                return false;
            }
            for entry in place.as_chunks::<ENTRY>().0 {
                // Bit 63 says present, bit 62 swapped, bit 61 of a file.
                let entry = u64::from_ne_bytes(*entry);
                if entry >> 62 != 0 && !(placed && entry >> 61 & 1 != 0) {
                    if at != last.end {
                        pass(&mut last, at..at, visit);
                    }
                    last.end = at + 1;
                }
                at += 1;
            }
        }
        pass(&mut last, 0..0, visit);
        true
    }

    /// Returns whether the kernel tells the truth about pages that are written, left alone and given
    /// back.
    fn is_honest(&self) -> bool {
        const PAGES: usize = 7;
        let Some(region) = Region::new(PAGES * page()) else {
            return false;
        };
        let touch = |at: usize| {
            // SAFETY: the page is one of the region's.
            let byte = unsafe { region.start().add(at * page()) };
            // SAFETY: the byte is mapped and writable, and nobody else has the region.
            unsafe { ptr::write_volatile(byte, 1) };
        };
        let told = |expected: &[Range<usize>]| {
            let mut found = Vec::new();
            let told = self.written(&region, PAGES * page(), false, &mut |run| found.push(run));
            let expected = expected
                .iter()
                .map(|run| run.start * page()..run.end * page());
            told && found == expected.collect::<Vec<_>>()
        };
        if !told(&[]) {
            return false;
        }
        [1, 2, 4, 6].into_iter().for_each(touch);
        if !told(&[1..3, 4..5, 6..7]) || !region.release(2 * page()..5 * page()) {
            return false;
        }
        told(&[1..2, 6..7])
    }

    /// Returns whether the kernel tells the truth about pages of a file that are read, written and given back; `None` if
    /// there are no such files.
    fn is_honest_about_files(&self) -> Option<bool> {
        const PAGES: usize = 6;
        let (size, page) = (PAGES * page(), page());
        let ones = vec![1; 4 * page];
        let contents = Contents::new(size, [(page, &*ones)].into_iter())?;
        let region = Region::new(size)?;
        // SAFETY: the region is this function's alone, mapped for so many bytes.
        let bytes = unsafe { slice::from_raw_parts_mut(region.start(), size) };
        // As a memory was written before its contents are placed.
        bytes.fill(3);
        if !region.place(bytes, &contents) {
            return Some(false);
        }
        let begins = |bytes: &[u8]| -> Vec<u8> { bytes.iter().step_by(page).copied().collect() };
        let told = |expected: &[Range<usize>]| {
            let mut found = Vec::new();
            let told = self.written(&region, size, true, &mut |run| found.push(run));
            let expected = expected.iter().map(|run| run.start * page..run.end * page);
            told && found == expected.collect::<Vec<_>>()
        };
        // Each page is read.
        let mut honest = begins(bytes) == [0, 1, 1, 1, 1, 0] && told(&[]);
        for at in [1, 2, 5] {
            if let Some(byte) = bytes.get_mut(at * page) {
                *byte = 2;
            }
        }
        honest &= begins(bytes) == [0, 2, 2, 1, 1, 2] && told(&[1..3, 5..6]);
        honest &= region.release_borrowed(bytes);
        Some(honest && begins(bytes) == [0, 1, 1, 1, 1, 0] && told(&[]))
    }
}

/// Passes the run `last` to `visit`, if it is one, and puts `next` in its place.
fn pass(last: &mut Range<usize>, next: Range<usize>, visit: &mut dyn FnMut(Range<usize>)) {
    let run = std::mem::replace(last, next);
    if !run.is_empty() {
        visit(run);
    }
}

/// `PAGEMAP_SCAN`: read and write a [`Request`], number 16 of the type `f`.
const SCAN: libc::Ioctl = {
    let size = size_of::<Request>();
    (3 << 30 | size << 16 | (b'f' as usize) << 8 | 16) as libc::Ioctl
};

const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZEROS: u64 = 1 << 5;
const FILE: u64 = 1 << 2;

/// The kernel's `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct Request {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    /// Where it ended: set by the kernel.
    walked: u64,
    places: u64,
    places_length: u64,
    most_pages: u64,
    /// Categories whose meaning is inverted.
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// The kernel's `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Found {
    start: u64,
    end: u64,
    categories: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn both_ways_to_ask_tell_pages_of_files() {
        let mut pages = Pages::new().unwrap();
        assert!(pages.tells_files());
        pages.scans = false;
        assert_eq!(pages.is_honest_about_files(), Some(true));
    }

    #[test]
    fn both_ways_to_ask_find_the_same_pages() {
        const COUNT: usize = 3_000;
        let mut pages = Pages::new().unwrap();
        let region = Region::new(COUNT * page()).unwrap();
        let mut random = 1u32;
        // From single pages to runs that are long, and more of them than fit into one answer.
        for rarely in [1_500, 100, 7, 2, 1] {
            for at in 0..COUNT {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if (random >> 8).is_multiple_of(rarely) {
                    // SAFETY: the page is one of the region's.
                    let byte = unsafe { region.start().add(at * page()) };
                    // SAFETY: the byte is mapped and writable, and nobody else has the region.
                    unsafe { byte.write(1) };
                }
            }
            for length in [COUNT * page(), COUNT * page() - 100, page() + 1, 1, 0] {
                let [scanned, read] = [true, false].map(|scans| {
                    pages.scans = scans;
                    let mut runs = Vec::new();
                    // A kernel that can't scan fails.
                    let told = pages.written(&region, length, false, &mut |run| runs.push(run));
                    told.then_some(runs)
                });
                let read = read.unwrap();
                assert!(scanned.is_none_or(|scanned| scanned == read));
                assert!(read.iter().all(|run| run.end <= length));
            }
        }
    }
}
