//! Bytes in a file in memory, which mappings begin with.

use super::page;
use std::{
    fs::File,
    os::{
        fd::{AsRawFd as _, FromRawFd as _},
        unix::fs::FileExt as _,
    },
};

/// A file in memory that nobody can change or cut.
pub(crate) struct Contents {
    file: File,
    size: usize,
}

impl Contents {
    /// Makes a file of `size` bytes, which must be whole pages, with these parts at their places, and 0 elsewhere.
    /// Returns `None` if the system refuses.
    pub(crate) fn new<'a>(
        size: usize,
        parts: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Option<Self> {
        if size == 0 || !size.is_multiple_of(page()) {
            return None;
        }
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a string that ends with 0.
        let made = unsafe { libc::memfd_create(c"hostel".as_ptr(), flags) };
        if made < 0 {
            return None;
        }
        // SAFETY: the descriptor was just made, and nothing else has it.
        let file = unsafe { File::from_raw_fd(made) };
        file.set_len(u64::try_from(size).ok()?).ok()?;
        for (at, bytes) in parts {
            let end = at.checked_add(bytes.len())?;
            if end > size {
                return None;
            }
            file.write_all_at(bytes, u64::try_from(at).ok()?).ok()?;
        }
        // Others who reach the file, by `/proc` for instance, must not change what is mapped, nor cut it: a page
        // beyond its end would stop the process.
        let seals =
            libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
        // SAFETY: a request about a descriptor that is open.
        let sealed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
        (sealed == 0).then_some(Self { file, size })
    }

    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    pub(super) fn descriptor(&self) -> libc::c_int {
        self.file.as_raw_fd()
    }
}
