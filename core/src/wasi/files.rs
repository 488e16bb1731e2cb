//! Traits for the directories and files that an embedder grants: of an operating system, a device's
//! flash, a table in memory.
//!
//! hostel checks pointers, the form of paths, rights and limits, and charges fuel, before it calls an
//! implementation, which is left with the operations themselves. While one runs, neither deadline nor
//! cancellation take effect. A panic in one stops the guest, if the [`Platform`](crate::Platform) can
//! contain panics.
//!
//! # Errors of all methods
//!
//! Every method may return any [`Errno`], and the guest gets that number; one exception is at
//! [`File`]. An error never stops the guest. Use the number that POSIX gives for the case:
//!
//! * [`Noent`](Errno::Noent): nothing is at the path. [`Exist`](Errno::Exist): the name is taken.
//! * [`Isdir`](Errno::Isdir), [`Notdir`](Errno::Notdir): a directory where a file is needed, or a file
//!   where a directory is needed. [`Notempty`](Errno::Notempty): the directory to remove has entries.
//! * [`Perm`](Errno::Perm): a symbolic link leads out of the directory. [`Loop`](Errno::Loop): there
//!   are too many links, or one at the path's end must not be followed.
//! * [`Acces`](Errno::Acces), [`Rofs`](Errno::Rofs): the file, or the file system, may not be changed.
//! * [`Nospc`](Errno::Nospc), [`Fbig`](Errno::Fbig), [`Io`](Errno::Io), [`Nomem`](Errno::Nomem),
//!   [`Nfile`](Errno::Nfile): the device is full, the file too large, the device failed, the host has
//!   no memory or no handle left.
//! * [`Notsup`](Errno::Notsup): the operation does not exist here. Methods with a default body return
//!   it, so that an implementation without an operation omits the method.
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

/// A directory, granted with [`Wasi::directory`](crate::Wasi::directory) or opened by a guest in another
/// one.
///
/// **Paths** are relative to the directory, and have 1 to 4,096 bytes of UTF-8 without NUL. Their names
/// never lead out of it: `a/../b` and `a/` are possible, `../a` and `/a` are not. `.` is the directory
/// itself. An implementation must make sure that no symbolic link leads out of it either, even while
/// other programs change the directory; one without symbolic links has nothing to do.
///
/// **Threads**: all instances of a plugin share a granted directory, and may call it at once.
///
/// **Errors**: see [the module](self#errors-of-all-methods). Only [`open`](Self::open),
/// [`stat`](Self::stat) and [`list`](Self::list) are required; the others return [`Errno::Notsup`] by
/// default. A guest with [`Access::Read`] calls only these three and [`read_link`](Self::read_link).
pub trait Directory: Any + Send + Sync {
    /// Opens the file or directory at `path`, or creates a file, as `how` says.
    ///
    /// Must not wait for the other end of a pipe or for a device: anything that is neither a file nor a
    /// directory is refused with [`Errno::Notsup`].
    ///
    /// # Errors
    ///
    /// Any `Errno`; so do all methods of this trait. The fields of [`Open`] name theirs.
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno>;

    /// Returns the attributes of the entry at `path`. If that is a symbolic link, returns those of its
    /// target with `follow`, else those of the link. Called with `.` for the directory itself.
    fn stat(&self, path: &str, follow: bool) -> Result<Stat, Errno>;

    /// Calls `visit` with each entry, in any order, without `.` and `..`, which hostel adds. Must stop
    /// and return `Ok` when `visit` returns `false`.
    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno>;

    /// Creates an empty directory at `path`. [`Errno::Exist`] if anything is there.
    fn create_directory(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Removes the empty directory at `path`. [`Errno::Notempty`] if it has entries,
    /// [`Errno::Notdir`] for anything but a directory.
    fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Removes the file or symbolic link at `path`. [`Errno::Isdir`] for a directory.
    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Moves the entry at `path` to `to_path` in the directory `to`, and replaces a file that is there.
    /// The guest may change both directories.
    ///
    /// `to` may be of another type: downcast it (the trait extends [`Any`]), and return
    /// [`Errno::Xdev`] if it is.
    fn rename(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        let _ = (path, to, to_path);
        Err(Errno::Notsup)
    }

    /// Creates `to_path` in the directory `to` as another name of the file at `path`, without following
    /// a symbolic link there. The guest may change both directories. [`Errno::Exist`] if `to_path` is
    /// taken; [`Errno::Xdev`] if `to` is of another type, as for [`rename`](Self::rename).
    fn link(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        let _ = (path, to, to_path);
        Err(Errno::Notsup)
    }

    /// Creates a symbolic link at `path` that points to `target`. [`Errno::Exist`] if `path` is taken.
    ///
    /// `target` is relative to the link's own directory. It has 1 to 4,096 bytes and at most 32 names,
    /// and may lead out of the directory by `..`: such a link may exist, but must not be followed.
    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        let _ = (target, path);
        Err(Errno::Notsup)
    }

    /// Returns the target of the symbolic link at `path`. [`Errno::Inval`] for anything but a link,
    /// [`Errno::Ilseq`] if the target is not UTF-8. Return [`Errno::Perm`] for an absolute target, which
    /// would show the guest a path of the host.
    fn read_link(&self, path: &str) -> Result<String, Errno> {
        let _ = path;
        Err(Errno::Notsup)
    }

    /// Sets times of the entry at `path`. If that is a symbolic link, sets those of its target with
    /// `follow`, else those of the link. Called with `.` for the directory itself.
    fn set_times(&self, path: &str, follow: bool, times: &Times) -> Result<(), Errno> {
        let _ = (path, follow, times);
        Err(Errno::Notsup)
    }
}

/// An open file. The guest closes it by dropping it; it is dropped with its instance at the latest.
///
/// **Offsets** count bytes from the start of the file. hostel tracks the file position; every method
/// that reads or writes receives the offset, so an implementation needs no position of its own. A guest
/// chooses the offset freely, up to `u64::MAX`: calculate with checked or saturating operations.
///
/// **Errors**: see [the module](self#errors-of-all-methods). The exception: if a guest reads or writes
/// several pieces at once and one after the first fails, the guest gets the number of bytes before it
/// and no error. Only [`read`](Self::read) and [`stat`](Self::stat) are required; the others return
/// [`Errno::Notsup`] by default.
pub trait File: Send + Sync {
    /// Copies the bytes at the offset `at` to the start of `into`, which has 1 to 65,536 bytes, and
    /// returns their number, at most `into.len()`. Returns 0 at the end of the file and beyond it.
    ///
    /// `at` is the position, or the offset that the guest gave to `fd_pread`. After fewer bytes than
    /// `into` has, hostel ends the guest's read.
    ///
    /// # Errors
    ///
    /// Any `Errno`; so do all methods of this trait. [`Errno::Acces`] for a file that can't be read.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// Returns the attributes. hostel takes the end of the file from [`Stat::size`].
    fn stat(&mut self) -> Result<Stat, Errno>;

    /// Writes `bytes`, 1 to 65,536, at the offset `at`, and returns the number written, at most
    /// `bytes.len()`. If `at` is beyond the end, the bytes in between become zeros.
    ///
    /// `at` is the position, or the offset that the guest gave to `fd_pwrite`. After fewer bytes than
    /// `bytes` has, hostel ends the guest's write. All of `bytes` count against
    /// [`Limits::written_bytes`], even if the write fails.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let _ = (at, bytes);
        Err(Errno::Notsup)
    }

    /// Writes `bytes`, 1 to 65,536, at the current end of the file, and returns the number written, at
    /// most `bytes.len()`. Called instead of [`write`](Self::write) for a file that the guest opened
    /// for appending.
    ///
    /// By default asks [`stat`](Self::stat) for the end and writes there. Implement it if others may
    /// make the file longer in between.
    fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let end = self.stat()?.size;
        self.write(end, bytes)
    }

    /// Sets the length to `size` bytes: cuts the file, or extends it by zeros.
    fn set_size(&mut self, size: u64) -> Result<(), Errno> {
        let _ = size;
        Err(Errno::Notsup)
    }

    /// Sets the file's times.
    fn set_times(&mut self, times: &Times) -> Result<(), Errno> {
        let _ = times;
        Err(Errno::Notsup)
    }

    /// Stores the file so that it survives a loss of power: its contents, and unless `data_only` its
    /// attributes too. Returns when that is done.
    fn sync(&mut self, data_only: bool) -> Result<(), Errno> {
        let _ = data_only;
        Err(Errno::Notsup)
    }
}

/// An opened file or directory.
pub enum Node {
    /// A file.
    File(Box<dyn File>),
    /// A directory.
    Directory(Arc<dyn Directory>),
}

/// How to open a path. By default for reading, without following a symbolic link at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Open {
    /// Whether to follow a symbolic link at the end of the path; if not, one there is [`Errno::Loop`].
    pub follow: bool,
    /// Whether the path must be a directory; a file is [`Errno::Notdir`].
    pub directory: bool,
    /// Whether to create a file if nothing is there; without it, that is [`Errno::Noent`].
    pub create: bool,
    /// Whether something there already is [`Errno::Exist`], a symbolic link included. Only with `create`.
    pub exclusive: bool,
    /// Whether to cut the file to 0 bytes.
    pub truncate: bool,
    /// Whether the file is opened for writing; a directory is then [`Errno::Isdir`]. Always true with
    /// `create` and `truncate`. Open for reading too, if that is allowed.
    ///
    /// For a guest that requests no rights, hostel opens for writing first, if the directory may be
    /// changed. If that fails with [`Errno::Isdir`], [`Acces`](Errno::Acces), [`Perm`](Errno::Perm),
    /// [`Rofs`](Errno::Rofs) or [`Busy`](Errno::Busy), hostel opens for reading.
    pub write: bool,
}

/// The kind of an entry in a directory, with WASI's numbers for file types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any other kind, or an unknown one.
    Unknown = 0,
    /// A block device.
    BlockDevice = 1,
    /// A character device.
    CharacterDevice = 2,
    /// A directory.
    Directory = 3,
    /// A regular file.
    File = 4,
    /// A socket.
    Socket = 6,
    /// A symbolic link.
    SymbolicLink = 7,
}

/// Attributes of a file, a directory or a link. A guest that may look at a file sees all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// The kind.
    pub kind: Kind,
    /// The length in bytes.
    pub size: u64,
    /// The number of the device. Guests take files with equal device and inode for one file.
    pub device: u64,
    /// The file's number on its device.
    pub inode: u64,
    /// The number of names (hard links).
    pub links: u64,
    /// When it was last read: time since 1970-01-01 00:00 UTC.
    pub accessed: Duration,
    /// When it was last written: time since 1970-01-01 00:00 UTC.
    pub modified: Duration,
    /// When its attributes last changed: time since 1970-01-01 00:00 UTC.
    pub changed: Duration,
}

impl Stat {
    /// Creates attributes with `kind` and `size` (in bytes), one link, and zeros for the rest.
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

/// An entry of a directory, as [`Directory::list`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name alone, without a path. Skip names that are not UTF-8.
    pub name: &'a str,
    /// The entry's kind. Symbolic links are not followed.
    pub kind: Kind,
    /// The file's number, as in [`Stat::inode`]. If it is 0, many guests call `stat` for it.
    pub inode: u64,
}

/// Times to set. `None` leaves a time as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The time of the last read.
    pub accessed: Option<Time>,
    /// The time of the last write.
    pub modified: Option<Time>,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The file system's current time.
    Now,
    /// This time since 1970-01-01 00:00 UTC, at most 2⁶⁴ − 1 nanoseconds.
    At(Duration),
}

/// A guest's access to a granted directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The guest may list the directory, read files and links, and read attributes.
    Read,
    /// The guest may also write, create, rename, link and remove, and set times.
    ReadWrite,
}

/// Limits on each instance's use of files. A limit of 0 forbids the use.
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
    /// Maximum number of files and directories that the guest has open at once, besides granted ones.
    /// Beyond it, opening fails with [`Errno::Mfile`].
    pub open: usize,
    /// Maximum number of bytes that one call writes to files or makes them longer by, holes included.
    /// The write that reaches it is shortened; further ones fail with [`Errno::Dquot`].
    pub written_bytes: u64,
    /// Maximum number of files, directories and links that one call creates. An attempt counts too, and
    /// so does opening an existing file with `O_CREAT`. Beyond it, creating fails with
    /// [`Errno::Dquot`].
    pub created: u32,
    /// Maximum number of bytes for the lists of all directories that the guest is reading: 24 and the
    /// name for each entry. Beyond it, listing fails with [`Errno::Nomem`].
    pub list_bytes: usize,
}

impl Limits {
    /// Returns limits for a server: 64 open, 64 MiB written and 10,000 created by a call, 1 MiB of lists.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            open: 64,
            written_bytes: 64 << 20,
            created: 10_000,
            list_bytes: 1 << 20,
        }
    }

    /// Returns limits for a microcontroller: 4 open, 64 KiB written and 16 created by a call, 4 KiB of
    /// lists.
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
    /// Returns [`Limits::server`].
    fn default() -> Self {
        Self::server()
    }
}
