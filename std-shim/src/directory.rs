//! Grants WASI guests a directory of this machine.
//!
//! cap-std keeps every path and symbolic link inside the directory, even while other programs change
//! it. If the system has a call that looks a path up beneath a directory (`openat2` on Linux), cap-std
//! uses it; otherwise it opens the path component by component.

use cap_fs_ext::{
    DirExt as _, FileTypeExt as _, FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _,
    OpenOptionsSyncExt as _, SystemTimeSpec,
};
use cap_std::{
    ambient_authority,
    fs::{Dir, DirEntry, FileType, Metadata, OpenOptions},
    time,
};
use hostel_core::files::{Directory, Entry, Errno, File, Kind, Node, Open, Stat, Time, Times};
use std::{
    any::Any,
    fs::{self, FileTimes},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Opens the directory at `path`, to grant it with [`Wasi::directory`](hostel_core::Wasi::directory).
///
/// The handle stays on this directory, even if it is renamed later. Each plugin with the grant holds
/// one open handle.
///
/// * A guest follows symbolic links that stay inside the directory, and no others.
/// * A hard link to a file outside is a file like any other. Do not grant a directory that holds hard
///   links to files which the guest must not reach.
/// * Pipes, devices and sockets are listed but can't be opened.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "_start")))"#)?;
/// # let directory = std::env::temp_dir();
/// use hostel::{Grants, files::Access};
/// let data = hostel::directory(directory)?;
/// let wasi = hostel::wasi().directory("/data", Access::Read, data);
/// let plugin = hostel::engine().load("reader", &wasm, &Grants::new().wasi(wasi))?;
/// assert_eq!(plugin.run_command()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Any [`io::Error`] of the operating system, for example if `path` does not exist, is not a directory,
/// or may not be opened.
pub fn directory(path: impl AsRef<Path>) -> io::Result<HostDirectory> {
    Dir::open_ambient_dir(path, ambient_authority()).map(HostDirectory)
}

/// A directory of this machine, opened by [`directory`].
#[derive(Debug)]
pub struct HostDirectory(Dir);

impl HostDirectory {
    /// Opens the regular file or directory at `path`.
    fn open(&self, path: &str, how: &Open) -> io::Result<Opened> {
        let follow = if how.follow {
            FollowSymlinks::Yes
        } else {
            FollowSymlinks::No
        };
        let is_directory = match self.metadata(path, how.follow) {
            // Opening a pipe or a device may block, or may have an effect of its own.
            Ok(found) if is_special(found.file_type()) => return Err(special()),
            Ok(found) => found.is_dir(),
            Err(error) if error.kind() != ErrorKind::NotFound || !how.create => return Err(error),
            Err(_) => false,
        };
        if is_directory && how.exclusive {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if is_directory && (how.write || how.truncate) {
            // Windows would only say that access is denied.
            return Err(ErrorKind::IsADirectory.into());
        }
        if how.directory || is_directory {
            let directory = if how.follow {
                self.0.open_dir(path)
            } else {
                self.0.open_dir_nofollow(path)
            };
            return directory.map(Opened::Directory);
        }
        let mut options = OpenOptions::new();
        options
            .write(how.write)
            .create(how.create && !how.exclusive)
            .create_new(how.exclusive)
            .truncate(how.truncate)
            .follow(follow)
            // A pipe may have taken the file's place since the check above: don't wait for it.
            .nonblock(true);
        let file = match self.0.open_with(path, options.read(true)) {
            // The file may be writable but not readable.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && how.write => {
                self.0.open_with(path, options.read(false))?
            }
            file => file?,
        };
        let found = file.metadata()?.file_type();
        if found.is_dir() {
            Ok(Opened::Directory(Dir::from_std_file(file.into_std())))
        } else if found.is_file() {
            Ok(Opened::File(file.into_std()))
        } else {
            Err(special())
        }
    }

    fn metadata(&self, path: &str, follow: bool) -> io::Result<Metadata> {
        if follow {
            self.0.metadata(path)
        } else {
            self.0.symlink_metadata(path)
        }
    }
}

enum Opened {
    File(fs::File),
    Directory(Dir),
}

fn is_special(found: FileType) -> bool {
    !found.is_file() && !found.is_dir() && !found.is_symlink()
}

/// The error for a file that is neither regular nor a directory.
fn special() -> io::Error {
    ErrorKind::Unsupported.into()
}

impl Directory for HostDirectory {
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno> {
        Ok(match with_errno(self.open(path, how))? {
            Opened::Directory(directory) => Node::Directory(Arc::new(Self(directory))),
            Opened::File(file) => Node::File(Box::new(HostFile {
                file,
                append_mode: false,
            })),
        })
    }

    fn stat(&self, path: &str, follow: bool) -> Result<Stat, Errno> {
        with_errno(self.metadata(path, follow).map(|found| stat(&found)))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        for entry in with_errno(self.0.entries())? {
            let entry = with_errno(entry)?;
            let name = entry.file_name();
            // WASI's names are UTF-8: an entry with another name can't be listed.
            let Some(name) = name.to_str() else { continue };
            let entry = Entry {
                name,
                kind: with_errno(entry.file_type()).map_or(Kind::Unknown, kind),
                inode: inode(&entry),
            };
            if !visit(entry) {
                break;
            }
        }
        Ok(())
    }

    fn create_directory(&self, path: &str) -> Result<(), Errno> {
        with_errno(self.0.create_dir(path))
    }

    fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        // With a slash at the end, cap-std would remove `.` inside it, which every system refuses.
        with_errno(self.0.remove_dir(path.trim_end_matches('/')))
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        // Windows would only say that access is denied.
        #[cfg(windows)]
        if self
            .0
            .symlink_metadata(path)
            .is_ok_and(|found| found.is_dir())
        {
            return Err(Errno::Isdir);
        }
        with_errno(self.0.remove_file_or_symlink(path))
    }

    fn rename(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        with_errno(self.0.rename(path, &on_this_machine(to)?.0, to_path))
    }

    fn link(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        with_errno(self.0.hard_link(path, &on_this_machine(to)?.0, to_path))
    }

    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        with_errno(self.0.symlink(target, path))
    }

    fn read_link(&self, path: &str) -> Result<String, Errno> {
        let target = with_errno(self.0.read_link(path))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| Errno::Ilseq)
    }

    fn set_times(&self, path: &str, follow: bool, times: &Times) -> Result<(), Errno> {
        let [accessed, modified] = [times.accessed, times.modified].map(|time| {
            time.map(|time| match time {
                Time::Now => SystemTimeSpec::SymbolicNow,
                Time::At(at) => {
                    let at = SystemTime::UNIX_EPOCH + at;
                    SystemTimeSpec::Absolute(time::SystemTime::from_std(at))
                }
            })
        });
        if !follow {
            return with_errno(self.0.set_symlink_times(path, accessed, modified));
        }
        // cap-std's own function opens any kind of file, and would wait for the other end of a pipe.
        let mut how = Open::default();
        how.follow = true;
        let file = match with_errno(self.open(path, &how))? {
            Opened::File(file) => file,
            // The handle of a directory may be one that only leads to names in it, as on Linux.
            Opened::Directory(directory) => {
                return with_errno(directory.set_times(".", accessed, modified));
            }
        };
        with_errno(file.set_times(file_times(times)))
    }
}

/// Returns the other directory of a move or a link. It must be of this machine too: a move between
/// two kinds of file systems is refused, as between two devices.
fn on_this_machine(directory: &dyn Directory) -> Result<&HostDirectory, Errno> {
    let any: &dyn Any = directory;
    any.downcast_ref().ok_or(Errno::Xdev)
}

/// An open file of this machine. It shares its handle with no other, so seeking disturbs nobody.
struct HostFile {
    file: fs::File,
    /// Whether the system's append mode is on: every write then goes to the end of the file.
    append_mode: bool,
}

impl HostFile {
    /// Turns the system's append mode on or off.
    fn set_append_mode(&mut self, append_mode: bool) -> io::Result<()> {
        if self.append_mode != append_mode {
            #[cfg(unix)]
            {
                use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
                let mut flags = fcntl_getfl(&self.file)?;
                flags.set(OFlags::APPEND, append_mode);
                fcntl_setfl(&self.file, flags)?;
            }
            self.append_mode = append_mode;
        }
        Ok(())
    }
}

impl File for HostFile {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        with_errno(self.file.seek(SeekFrom::Start(at)))?;
        with_errno(self.file.read(into))
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        with_errno(Metadata::from_file(&self.file).map(|found| stat(&found)))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        with_errno(self.set_append_mode(false))?;
        with_errno(self.file.seek(SeekFrom::Start(at)))?;
        with_errno(self.file.write(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        with_errno(self.set_append_mode(true))?;
        with_errno(self.file.seek(SeekFrom::End(0)))?;
        with_errno(self.file.write(bytes))
    }

    fn set_size(&mut self, size: u64) -> Result<(), Errno> {
        with_errno(self.file.set_len(size))
    }

    fn set_times(&mut self, times: &Times) -> Result<(), Errno> {
        with_errno(self.file.set_times(file_times(times)))
    }

    fn sync(&mut self, data_only: bool) -> Result<(), Errno> {
        let synced = if data_only {
            self.file.sync_data()
        } else {
            self.file.sync_all()
        };
        match synced {
            // Windows flushes only what is open for writing; through another handle nothing was written.
            Err(error) if cfg!(windows) && error.kind() == ErrorKind::PermissionDenied => Ok(()),
            synced => with_errno(synced),
        }
    }
}

fn stat(found: &Metadata) -> Stat {
    let mut stat = Stat::new(kind(found.file_type()), found.len());
    stat.device = found.dev();
    stat.inode = found.ino();
    stat.links = found.nlink();
    let since = |time: io::Result<time::SystemTime>| {
        let time = time.map(time::SystemTime::into_std);
        time.map_or(Duration::ZERO, |time| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
        })
    };
    stat.accessed = since(found.accessed());
    stat.modified = since(found.modified());
    stat.changed = changed(found).unwrap_or(stat.modified);
    stat
}

/// Time of the last change of attributes since 1970, if the system records it.
#[cfg(unix)]
fn changed(found: &Metadata) -> Option<Duration> {
    use cap_std::fs::MetadataExt as _;
    let seconds = Duration::from_secs(found.ctime().try_into().ok()?);
    seconds.checked_add(Duration::from_nanos(found.ctime_nsec().try_into().ok()?))
}

#[cfg(not(unix))]
const fn changed(_: &Metadata) -> Option<Duration> {
    None
}

/// Inode number of a listed entry, or 0 if the system does not list it. Guests then ask for it with a
/// `stat`.
#[cfg(unix)]
fn inode(entry: &DirEntry) -> u64 {
    std::os::unix::fs::DirEntryExt::ino(entry)
}

#[cfg(not(unix))]
const fn inode(_: &DirEntry) -> u64 {
    0
}

fn kind(found: FileType) -> Kind {
    match found {
        found if found.is_file() => Kind::File,
        found if found.is_dir() => Kind::Directory,
        found if found.is_symlink() => Kind::SymbolicLink,
        found if found.is_block_device() => Kind::BlockDevice,
        found if found.is_char_device() => Kind::CharacterDevice,
        found if found.is_socket() => Kind::Socket,
        _ => Kind::Unknown,
    }
}

/// Translates times to set. A time that is absent stays as it is.
fn file_times(times: &Times) -> FileTimes {
    let time = |time: Time| match time {
        Time::Now => SystemTime::now(),
        Time::At(at) => SystemTime::UNIX_EPOCH + at,
    };
    let mut set = FileTimes::new();
    if let Some(accessed) = times.accessed {
        set = set.set_accessed(time(accessed));
    }
    if let Some(modified) = times.modified {
        set = set.set_modified(time(modified));
    }
    set
}

/// Translates an error of the operating system to WASI's.
fn with_errno<R>(result: io::Result<R>) -> Result<R, Errno> {
    result.map_err(|error| errno(&error))
}

fn errno(error: &io::Error) -> Errno {
    #[cfg(unix)]
    if let Some(number) = rustix::io::Errno::from_io_error(error)
        && let Some(errno) = errno_without_kind(number)
    {
        return errno;
    }
    #[cfg(windows)]
    if let Some(errno) = error.raw_os_error().and_then(errno_of_windows) {
        return errno;
    }
    match error.kind() {
        ErrorKind::AlreadyExists => Errno::Exist,
        ErrorKind::CrossesDevices => Errno::Xdev,
        ErrorKind::DirectoryNotEmpty => Errno::Notempty,
        ErrorKind::ExecutableFileBusy | ErrorKind::ResourceBusy => Errno::Busy,
        ErrorKind::FileTooLarge => Errno::Fbig,
        ErrorKind::Interrupted | ErrorKind::WouldBlock => Errno::Again,
        ErrorKind::InvalidFilename => Errno::Nametoolong,
        ErrorKind::InvalidInput => Errno::Inval,
        ErrorKind::IsADirectory => Errno::Isdir,
        ErrorKind::NotADirectory => Errno::Notdir,
        ErrorKind::NotFound => Errno::Noent,
        ErrorKind::OutOfMemory => Errno::Nomem,
        // cap-std also gives this for a path that leads out of its directory.
        ErrorKind::PermissionDenied => Errno::Perm,
        ErrorKind::QuotaExceeded => Errno::Dquot,
        ErrorKind::ReadOnlyFilesystem => Errno::Rofs,
        ErrorKind::StorageFull => Errno::Nospc,
        ErrorKind::TooManyLinks => Errno::Mlink,
        ErrorKind::Unsupported => Errno::Notsup,
        _ => Errno::Io,
    }
}

/// Translates the system's errors for which std has no [`ErrorKind`], or one for several of them.
#[cfg(unix)]
fn errno_without_kind(number: rustix::io::Errno) -> Option<Errno> {
    use rustix::io::Errno as Number;
    match number {
        Number::ACCESS => Some(Errno::Acces),
        Number::LOOP => Some(Errno::Loop),
        Number::MFILE => Some(Errno::Mfile),
        Number::NFILE => Some(Errno::Nfile),
        // A pipe that nobody reads, or a device without a driver: neither may be opened.
        Number::NXIO => Some(Errno::Notsup),
        _ => None,
    }
}

/// Translates the errors of Windows for which std has no [`ErrorKind`], or one that WASI tells apart. The
/// names are those of `winerror.h`.
#[cfg(windows)]
fn errno_of_windows(number: i32) -> Option<Errno> {
    match number {
        // ERROR_TOO_MANY_OPEN_FILES
        4 => Some(Errno::Mfile),
        // ERROR_ACCESS_DENIED
        5 => Some(Errno::Acces),
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION: another handle is open.
        32 | 33 => Some(Errno::Busy),
        // ERROR_NEGATIVE_SEEK
        131 => Some(Errno::Inval),
        // ERROR_FILENAME_EXCED_RANGE
        206 => Some(Errno::Nametoolong),
        // ERROR_INVALID_NAME: a character that no name has here.
        123 => Some(Errno::Inval),
        // ERROR_PRIVILEGE_NOT_HELD: symbolic links take one.
        1314 => Some(Errno::Perm),
        // ERROR_CANT_RESOLVE_FILENAME
        1921 => Some(Errno::Loop),
        // ERROR_NOT_A_REPARSE_POINT
        4390 => Some(Errno::Inval),
        _ => None,
    }
}
