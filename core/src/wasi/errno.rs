//! The error numbers that WASI's functions return.

use crate::error::CallError;

/// A WASI error number. hostel's functions return these; a [`Directory`](super::files::Directory) or
/// [`File`](super::files::File) of the embedder may fail with any of them, and the guest gets it.
///
/// The values are those of
/// [WASI preview 1](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#errno).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Errno {
    /// Permission denied.
    Acces = 2,
    /// Nothing is available now; try again.
    Again = 6,
    /// The descriptor is not open.
    Badf = 8,
    /// The file or directory is in use.
    Busy = 10,
    /// A limit on writing or creating is used up.
    Dquot = 19,
    /// The name exists already.
    Exist = 20,
    /// A pointer lies outside the guest's memory.
    Fault = 21,
    /// The file would become too large.
    Fbig = 22,
    /// A name is not valid UTF-8.
    Ilseq = 25,
    /// An argument is invalid.
    Inval = 28,
    /// The device failed while reading or writing.
    Io = 29,
    /// A file is needed, and this is a directory.
    Isdir = 31,
    /// Too many symbolic links in a path, or one at its end that is not followed.
    Loop = 32,
    /// The guest has too many files open.
    Mfile = 33,
    /// The file has too many links.
    Mlink = 34,
    /// A name is too long, or longer than the buffer for it.
    Nametoolong = 37,
    /// The machine has too many files open.
    Nfile = 41,
    /// The file or directory does not exist.
    Noent = 44,
    /// No memory left.
    Nomem = 48,
    /// No space left.
    Nospc = 51,
    /// The function is not provided.
    Nosys = 52,
    /// A directory is needed, and this is not one.
    Notdir = 54,
    /// The directory is not empty.
    Notempty = 55,
    /// A socket is needed, and this is not one.
    Notsock = 57,
    /// The operation is not supported, or was not granted.
    Notsup = 58,
    /// The operation is not permitted; also for a path that leads out of its directory.
    Perm = 63,
    /// The file system or the grant is read-only.
    Rofs = 69,
    /// The descriptor is a stream, which has no offsets.
    Spipe = 70,
    /// A link or a rename would cross from one file system to another.
    Xdev = 75,
    /// The descriptor lacks the right for the operation.
    Notcapable = 76,
}

/// Why a function did not finish.
#[derive(Debug)]
pub(super) enum Fail {
    /// The guest gets this error number and goes on.
    Errno(Errno),
    /// The guest is stopped, and the call around it ends with this error.
    EndCall(CallError),
    /// The function must be called again when this wait is over.
    MustWait(super::wait::Wait),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<CallError> for Fail {
    fn from(error: CallError) -> Self {
        match error {
            // A wrong pointer is an error for the guest to handle, as the specification has it.
            CallError::OutOfBounds { .. } => Self::Errno(Errno::Fault),
            error => Self::EndCall(error),
        }
    }
}
