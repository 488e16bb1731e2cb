//! Mappings of Linux, and what its page tables tell.

mod contents;
mod pages;
mod region;

pub(crate) use self::{contents::Contents, pages::Pages, region::Region};

use std::sync::OnceLock;

/// Returns the bytes of a page of the system.
pub(crate) fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: only reads a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        // Linux knows it always.
        usize::try_from(page).unwrap_or(4_096).max(4_096)
    })
}
