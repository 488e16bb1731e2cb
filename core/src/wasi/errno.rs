//! What WASI's functions answer when they fail.

use crate::error::CallError;

/// An error number of WASI's, of those that are answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errno {
    Again = 6,
    Badf = 8,
    Fault = 21,
    Inval = 28,
    Nospc = 51,
    Nosys = 52,
    Notdir = 54,
    Notsock = 57,
    Notsup = 58,
    Spipe = 70,
    Notcapable = 76,
}

/// Why a function did not do what it was called for: an answer for the guest, or its end.
#[derive(Debug)]
pub(super) enum Fail {
    Errno(Errno),
    Stop(CallError),
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
