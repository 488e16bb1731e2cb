//! [`StateFileError`]: names a file that can't hold state.

use crate::file::shown_name;
use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

/// Names a file that can't hold state, and says why.
///
/// Its text shows the path [`Escaped`](hostel_core::Escaped).
#[derive(Debug)]
pub struct StateFileError {
    pub(super) path: PathBuf,
    pub(super) reason: StateFileReason,
}

/// The reason of a [`StateFileError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StateFileReason {
    /// The operating system could not open, read or write the file.
    Io(io::Error),
    /// The path leads to a directory, a pipe, a device or another special file.
    NotAFile,
    /// The file is open already, in this process or another.
    Locked,
    /// The file was not written by a `FileState`, or is damaged. Holds the storage engine's message.
    Corrupt(Box<str>),
}

impl From<redb::Error> for StateFileReason {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Locked,
            redb::Error::Io(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Io(error)
            }
            error => Self::Corrupt(error.to_string().into()),
        }
    }
}

impl StateFileError {
    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the reason.
    #[must_use]
    pub const fn reason(&self) -> &StateFileReason {
        &self.reason
    }

    /// Returns the stable code of this kind of error, such as `state-file-locked`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match &self.reason {
            StateFileReason::Io(_) => "state-file-unusable",
            StateFileReason::NotAFile => "state-file-not-regular",
            StateFileReason::Locked => "state-file-locked",
            StateFileReason::Corrupt(_) => "state-file-corrupt",
        }
    }
}

impl fmt::Display for StateFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't keep state in {}: ", shown_name(&self.path))?;
        match &self.reason {
            StateFileReason::Io(error) => error.fmt(f),
            StateFileReason::NotAFile => f.write_str(
                "it is a directory, a pipe or a device, expected a regular file or no file",
            ),
            StateFileReason::Locked => {
                f.write_str("it is open already, in this process or another: close it first")
            }
            StateFileReason::Corrupt(why) => write!(
                f,
                "it is not a store, or it is damaged: name another file, or restore this one ({})",
                shown_name(&**why)
            ),
        }
    }
}

impl Error for StateFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            StateFileReason::Io(error) => Some(error),
            _ => None,
        }
    }
}
