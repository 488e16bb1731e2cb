//! What a guest's directories and files are to whoever has them: an operating system's, a device's
//! flash, a table in memory.
//!
//! Pointers, paths' form, rights, limits and charges are hostel's and checked before any of this is
//! called. What is left are the operations themselves. A panic in one stops the guest where the
//! [`Platform`](crate::Platform) can contain it. While one runs, neither deadline nor cancellation
//! act.
//!
//! ```
//! use hostel_core::files::{Directory, Entry, Errno, File, Kind, Node, Open, Stat};
//!
//! /// A directory with one file, which can't be changed.
//! struct Manual;
//!
//! const TEXT: &[u8] = b"Turn it off and on again.\n";
//!
//! impl Directory for Manual {
//!     fn open(&self, path: &str, _: &Open) -> Result<Node, Errno> {
//!         match path {
//!             "manual.txt" => Ok(Node::File(Box::new(Page))),
//!             _ => Err(Errno::Noent),
//!         }
//!     }
//!
//!     fn stat(&self, path: &str, _follow: bool) -> Result<Stat, Errno> {
//!         match path {
//!             "." => Ok(Stat::new(Kind::Directory, 0)),
//!             "manual.txt" => Ok(Stat::new(Kind::File, TEXT.len() as u64)),
//!             _ => Err(Errno::Noent),
//!         }
//!     }
//!
//!     fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
//!         visit(Entry { name: "manual.txt", kind: Kind::File, inode: 1 });
//!         Ok(())
//!     }
//! }
//!
//! struct Page;
//!
//! impl File for Page {
//!     fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
//!         let rest = usize::try_from(at).ok().and_then(|at| TEXT.get(at..)).unwrap_or_default();
//!         let len = rest.len().min(into.len());
//!         into[..len].copy_from_slice(&rest[..len]);
//!         Ok(len)
//!     }
//!
//!     fn stat(&mut self) -> Result<Stat, Errno> {
//!         Ok(Stat::new(Kind::File, TEXT.len() as u64))
//!     }
//! }
//!
//! use hostel_core::Wasi;
//! let wasi = Wasi::new().directory("/docs", hostel_core::files::Access::Read, Manual);
//! # drop(wasi);
//! ```

pub use super::errno::Errno;

use alloc::{boxed::Box, string::String, sync::Arc};
use core::{any::Any, time::Duration};

/// A directory that can be granted with [`Wasi::directory`](crate::Wasi::directory), and what guests
/// open in it.
///
/// Paths are relative, not empty, of at most 4,096 bytes, without NUL, and don't lead out of the
/// directory by their words alone: `a/../b` may come, `../a` and `/a` do not; `.` is the directory
/// itself. That no symbolic link leads out of it either is the implementation's to see to, also while
/// others change the directory. One without symbolic links has nothing to do for it.
///
/// All but [`open`](Self::open), [`stat`](Self::stat) and [`list`](Self::list) need not be
/// implemented: they answer [`Errno::Notsup`].
pub trait Directory: Any + Send + Sync {
    /// Opens a file or a directory, or makes a file.
    ///
    /// What is neither, such as a pipe or a device, is to be refused, with [`Errno::Notsup`], and not
    /// waited for.
    ///
    /// # Errors
    ///
    /// Any; so for all others.
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno>;

    /// The attributes of what is at `path`; those of a symbolic link itself unless `follow` is true.
    fn stat(&self, path: &str, follow: bool) -> Result<Stat, Errno>;

    /// Shows `visit` each entry, but not `.` and `..`, until it answers false.
    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno>;

    /// Makes a directory.
    fn create_directory(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Removes an empty directory.
    fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Removes a file or a symbolic link.
    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Moves what is at `path` to `to_path` in `to`, which may be a directory of another kind: as
    /// [`Any`] it tells. The guest may change both.
    fn rename(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        let _ = (path, to, to_path);
        Err(Errno::Notsup)
    }

    /// Makes `to_path` in `to` another name of what is at `path`, as [`rename`](Self::rename) finds
    /// them. A symbolic link is not followed.
    fn link(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        let _ = (path, to, to_path);
        Err(Errno::Notsup)
    }

    /// Makes a symbolic link at `path`. Its `target` has the form of a path, seen from where the link
    /// is.
    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        let _ = (target, path);
        Err(Errno::Notsup)
    }

    /// What the symbolic link at `path` points to.
    fn read_link(&self, path: &str) -> Result<String, Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Sets times of what is at `path`, of a symbolic link itself unless `follow` is true.
    fn set_times(&self, path: &str, follow: bool, times: &Times) -> Result<(), Errno> {
        let _ = (path, follow, times);
        Err(Errno::Notsup)
    }
}

/// An open file. It is closed when it is dropped, with its instance at the latest.
///
/// Where a guest reads and writes is kept for it; all here have their place told. All but
/// [`read`](Self::read) and [`stat`](Self::stat) need not be implemented: they answer
/// [`Errno::Notsup`].
pub trait File: Send + Sync {
    /// Copies bytes that lie at `at` to the start of `into`, which has 1 to 65,536, and answers how
    /// many; 0 is the end.
    ///
    /// # Errors
    ///
    /// Any; so for all others.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// The attributes.
    fn stat(&mut self) -> Result<Stat, Errno>;

    /// Writes bytes, 1 to 65,536, at `at`, which may be beyond the end, and answers how many.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let _ = (at, bytes);
        Err(Errno::Notsup)
    }

    /// Writes bytes, 1 to 65,536, at the end, wherever others have brought that meanwhile, and
    /// answers how many.
    fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let end = self.stat()?.size;
        self.write(end, bytes)
    }

    /// Makes it shorter, or longer by zeros.
    fn set_size(&mut self, size: u64) -> Result<(), Errno> {
        let _ = size;
        Err(Errno::Notsup)
    }

    /// Sets times.
    fn set_times(&mut self, times: &Times) -> Result<(), Errno> {
        let _ = times;
        Err(Errno::Notsup)
    }

    /// Brings what was written to where it outlives a loss of power; unless `data_only`, its
    /// attributes too.
    fn sync(&mut self, data_only: bool) -> Result<(), Errno> {
        let _ = data_only;
        Err(Errno::Notsup)
    }
}

/// What was opened.
pub enum Node {
    /// A file.
    File(Box<dyn File>),
    /// A directory.
    Directory(Arc<dyn Directory>),
}

/// How something is to be opened. By default to be read, a symbolic link not followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Open {
    /// Whether a symbolic link at the end of the path is followed; if not, it is [`Errno::Loop`].
    pub follow: bool,
    /// Whether it has to be a directory.
    pub directory: bool,
    /// Whether a file is made where there is nothing.
    pub create: bool,
    /// Whether there has to be nothing yet.
    pub exclusive: bool,
    /// Whether a file is made empty.
    pub truncate: bool,
    /// Whether it is written to. It may be read in any case, unless that can't be had.
    pub write: bool,
}

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None of the others.
    Unknown = 0,
    /// A device of blocks.
    BlockDevice = 1,
    /// A device of bytes.
    CharacterDevice = 2,
    /// A directory.
    Directory = 3,
    /// A file.
    File = 4,
    /// A socket.
    Socket = 6,
    /// A symbolic link.
    SymbolicLink = 7,
}

/// Attributes of what is in a directory. A guest that sees a file sees all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// The device that it is on, and its number there: a guest takes for the same what has both the
    /// same.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// When it was last read, since the beginning of 1970.
    pub accessed: Duration,
    /// When it was last written, since the beginning of 1970.
    pub modified: Duration,
    /// When its attributes last changed, since the beginning of 1970.
    pub changed: Duration,
}

impl Stat {
    /// Of `size` bytes, with one name, and zeros for the rest.
    #[must_use]
    pub const fn new(kind: Kind, size: u64) -> Self {
        Self {
            kind,
            size,
            device: 0,
            inode: 0,
            links: 1,
            accessed: Duration::ZERO,
            modified: Duration::ZERO,
            changed: Duration::ZERO,
        }
    }
}

/// What a directory lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a str,
    /// What it is; of a symbolic link that.
    pub kind: Kind,
    /// Its number, as in [`Stat::inode`].
    pub inode: u64,
}

/// Times to set; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was last read.
    pub accessed: Option<Time>,
    /// When it was last written.
    pub modified: Option<Time>,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The time of day, as the file system has it.
    Now,
    /// This, since the beginning of 1970.
    At(Duration),
}

/// What a guest may do in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// List it, look at files, read them.
    Read,
    /// Also write, make, rename and remove them.
    ReadWrite,
}

/// What each instance may have of files.
///
/// ```
/// use hostel_core::{Wasi, files::Limits};
/// let mut limits = Limits::server();
/// limits.open = 8;
/// let wasi = Wasi::new().file_limits(limits);
/// # drop(wasi);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most files and directories that it has open at once, without those that it was granted. One
    /// more is [`Errno::Mfile`].
    pub open: usize,
    /// Most bytes that one call may write to files or otherwise make them longer by. What is more is
    /// [`Errno::Dquot`].
    pub written_bytes: u64,
    /// Most files, directories and links that one call may make, those that were there included. What
    /// is more is [`Errno::Dquot`].
    pub created: u32,
    /// Most bytes that lists of directories take which it has begun to read. A longer one is
    /// [`Errno::Nomem`].
    pub list_bytes: usize,
}

impl Limits {
    /// For a server: 64 open, 64 MiB written and 10,000 made by a call, 1 MiB of lists.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            open: 64,
            written_bytes: 64 << 20,
            created: 10_000,
            list_bytes: 1 << 20,
        }
    }

    /// For a microcontroller: 4 open, 64 KiB written and 16 made by a call, 4 KiB of lists.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            open: 4,
            written_bytes: 64 << 10,
            created: 16,
            list_bytes: 4 << 10,
        }
    }
}

impl Default for Limits {
    /// [`Limits::server`].
    fn default() -> Self {
        Self::server()
    }
}
