//! What WASI's functions answer when they fail.

use crate::error::CallError;

/// An error number of WASI's, of those that are answered here. A [`Directory`](super::files::Directory)
/// or [`File`](super::files::File) of the embedder's fails with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Errno {
    /// Permission denied.
    Acces = 2,
    /// There is nothing now; try again.
    Again = 6,
    /// No such descriptor.
    Badf = 8,
    /// In use.
    Busy = 10,
    /// A quota is used up.
    Dquot = 19,
    /// There is one already.
    Exist = 20,
    /// A pointer out of memory.
    Fault = 21,
    /// A file would be too large.
    Fbig = 22,
    /// A name that is no text.
    Ilseq = 25,
    /// An argument that is none.
    Inval = 28,
    /// The device failed.
    Io = 29,
    /// It is a directory.
    Isdir = 31,
    /// Too many symbolic links, or one that may not be followed.
    Loop = 32,
    /// Too many open descriptors.
    Mfile = 33,
    /// Too many links to one file.
    Mlink = 34,
    /// A name that is too long.
    Nametoolong = 37,
    /// Too many files open on the machine.
    Nfile = 41,
    /// No such file.
    Noent = 44,
    /// No memory left.
    Nomem = 48,
    /// No space left.
    Nospc = 51,
    /// There is no such function.
    Nosys = 52,
    /// It is no directory.
    Notdir = 54,
    /// The directory is not empty.
    Notempty = 55,
    /// It is no socket.
    Notsock = 57,
    /// It can't be done here.
    Notsup = 58,
    /// It is not allowed; also what a path is answered with that leads out of its directory.
    Perm = 63,
    /// The file system can only be read.
    Rofs = 69,
    /// It has no places to go to.
    Spipe = 70,
    /// A link or a rename from one file system to another.
    Xdev = 75,
    /// The descriptor lacks the right.
    Notcapable = 76,
}

/// Why a function did not do what it was called for: an answer for the guest, its end, or that it has
/// to wait first.
#[derive(Debug)]
pub(super) enum Fail {
    Errno(Errno),
    Stop(CallError),
    Wait(super::wait::Wait),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<CallError> for Fail {
    fn from(error: CallError) -> Self {
        match error {
            CallError::OutOfBounds { .. } => Self::Errno(Errno::Fault),
            error => Self::Stop(error),
        }
    }
}
