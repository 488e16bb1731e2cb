//! The file descriptors of one instance. There are the three of stdio; nothing opens more.

use super::{errno::Errno, output::Stream};

/// What a descriptor may be used for, as WASI's `rights` numbers it.
pub(super) mod rights {
    pub(in crate::wasi) const READ: u64 = 1 << 1;
    pub(in crate::wasi) const SET_FLAGS: u64 = 1 << 3;
    pub(in crate::wasi) const WRITE: u64 = 1 << 6;
    pub(in crate::wasi) const FILESTAT: u64 = 1 << 21;
    pub(in crate::wasi) const POLL: u64 = 1 << 27;
}

/// What is behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Input,
    Output(Stream),
}

/// One open descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) file: File,
    pub(super) rights: u64,
    pub(super) inheriting: u64,
    pub(super) flags: u16,
}

impl Descriptor {
    fn new(file: File) -> Self {
        let use_it = match file {
            File::Input => rights::READ,
            File::Output(_) => rights::WRITE,
        };
        Self {
            file,
            rights: use_it | rights::SET_FLAGS | rights::FILESTAT | rights::POLL,
            inheriting: 0,
            flags: 0,
        }
    }

    /// Fails where a right among `needed` was never there or was dropped.
    pub(super) fn allow(&self, needed: u64) -> Result<(), Errno> {
        if self.rights & needed == needed {
            Ok(())
        } else {
            Err(Errno::Notcapable)
        }
    }
}

/// The table: a number names a place in it.
pub(super) struct Descriptors([Option<Descriptor>; 3]);

impl Descriptors {
    /// stdin, stdout and stderr.
    pub(super) fn new() -> Self {
        let files = [
            File::Input,
            File::Output(Stream::Stdout),
            File::Output(Stream::Stderr),
        ];
        Self(files.map(|file| Some(Descriptor::new(file))))
    }

    fn place(&mut self, fd: u32) -> Result<&mut Option<Descriptor>, Errno> {
        let at = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        self.0.get_mut(at).ok_or(Errno::Badf)
    }

    /// The open descriptor `fd`.
    pub(super) fn get(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.place(fd)?.as_mut().ok_or(Errno::Badf)
    }

    pub(super) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.place(fd)?.take().map(drop).ok_or(Errno::Badf)
    }

    /// Moves `from` to the number `to`, whose descriptor is closed. Both must be open.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        let moved = *self.get(from)?;
        *self.get(to)? = moved;
        if from == to { Ok(()) } else { self.close(from) }
    }
}
