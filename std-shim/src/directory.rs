//! A directory of this machine, for guests of WASI.
//!
//! cap-std sees to it that no path and no symbolic link leads out of it, also while others change
//! it: where the system has it, one call that looks up beneath a directory, else step by step.

use cap_fs_ext::{
    DirExt as _, FileTypeExt as _, FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _,
    OpenOptionsMaybeDirExt as _, OpenOptionsSyncExt as _, SystemTimeSpec,
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

/// The directory at `path`, to be granted with [`Wasi::directory`](hostel_core::Wasi::directory). It
/// stays the same one, whatever is renamed later. Each plugin that is granted it holds one open
/// handle for it.
///
/// What links within it point to, symbolic or not, is for whoever fills it to decide: a guest
/// follows symbolic links that stay in the directory, and can't tell a file that has a second name
/// elsewhere. Files that are neither regular nor directories are seen and not opened.
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
/// Where there is no directory, or it may not be opened.
pub fn directory(path: impl AsRef<Path>) -> io::Result<HostDirectory> {
    Dir::open_ambient_dir(path, ambient_authority()).map(HostDirectory)
}

/// A directory of this machine: see [`directory`].
#[derive(Debug)]
pub struct HostDirectory(Dir);

impl HostDirectory {
    /// Opens what is at `path`, if that is a file or a directory.
    fn open(&self, path: &str, how: &Open) -> io::Result<Opened> {
        let follow = if how.follow {
            FollowSymlinks::Yes
        } else {
            FollowSymlinks::No
        };
        match self.metadata(path, how.follow) {
            // Opening a pipe or a device may block, or do something.
            Ok(found) if is_special(found.file_type()) => return Err(special()),
            Err(error) if error.kind() != ErrorKind::NotFound || !how.create => return Err(error),
            _ => {}
        }
        if how.directory {
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
            .maybe_dir(!how.write)
            // What was put there meanwhile is not waited for either.
            .nonblock(true);
        let file = match self.0.open_with(path, options.read(true)) {
            // One that may only be written.
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

/// The error of what is neither a file nor a directory.
fn special() -> io::Error {
    ErrorKind::Unsupported.into()
}

impl Directory for HostDirectory {
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno> {
        Ok(match self.open(path, how).map_err(|error| errno(&error))? {
            Opened::Directory(directory) => Node::Directory(Arc::new(Self(directory))),
            Opened::File(file) => Node::File(Box::new(HostFile {
                file,
                appends: false,
            })),
        })
    }

    fn stat(&self, path: &str, follow: bool) -> Result<Stat, Errno> {
        answer(self.metadata(path, follow).map(|found| stat(&found)))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        for entry in answer(self.0.entries())? {
            let entry = answer(entry)?;
            let name = entry.file_name();
            // A name that is no text can't be told.
            let Some(name) = name.to_str() else { continue };
            let entry = Entry {
                name,
                kind: answer(entry.file_type()).map_or(Kind::Unknown, kind),
                inode: inode(&entry),
            };
            if !visit(entry) {
                break;
            }
        }
        Ok(())
    }

    fn create_directory(&self, path: &str) -> Result<(), Errno> {
        answer(self.0.create_dir(path))
    }

    fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        // With a slash at its end, cap-std would remove `.` in it, which no system does.
        answer(self.0.remove_dir(path.trim_end_matches('/')))
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        answer(self.0.remove_file_or_symlink(path))
    }

    fn rename(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        answer(self.0.rename(path, &own(to)?.0, to_path))
    }

    fn link(&self, path: &str, to: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        answer(self.0.hard_link(path, &own(to)?.0, to_path))
    }

    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        answer(self.0.symlink(target, path))
    }

    fn read_link(&self, path: &str) -> Result<String, Errno> {
        let target = answer(self.0.read_link(path))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| Errno::Ilseq)
    }

    fn set_times(&self, path: &str, follow: bool, times: &Times) -> Result<(), Errno> {
        if !follow {
            let [accessed, modified] = [times.accessed, times.modified].map(|time| {
                time.map(|time| match time {
                    Time::Now => SystemTimeSpec::SymbolicNow,
                    Time::At(at) => {
                        let at = SystemTime::UNIX_EPOCH + at;
                        SystemTimeSpec::Absolute(time::SystemTime::from_std(at))
                    }
                })
            });
            return answer(self.0.set_symlink_times(path, accessed, modified));
        }
        // cap-std's own opens whatever is there, and waits for the other end of a pipe.
        let mut how = Open::default();
        how.follow = true;
        let file = match answer(self.open(path, &how))? {
            Opened::File(file) => file,
            Opened::Directory(directory) => directory.into_std_file(),
        };
        answer(file.set_times(file_times(times)))
    }
}

/// The other directory of a move or a link, which has to be of this machine too.
fn own(directory: &dyn Directory) -> Result<&HostDirectory, Errno> {
    let any: &dyn Any = directory;
    any.downcast_ref().ok_or(Errno::Xdev)
}

/// A file of this machine. Its handle is its own, and so is the place in it.
struct HostFile {
    file: fs::File,
    /// Whether the system writes at the end, wherever that is.
    appends: bool,
}

impl HostFile {
    fn appends(&mut self, appends: bool) -> io::Result<()> {
        if self.appends != appends {
            #[cfg(unix)]
            {
                use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
                let mut flags = fcntl_getfl(&self.file)?;
                flags.set(OFlags::APPEND, appends);
                fcntl_setfl(&self.file, flags)?;
            }
            self.appends = appends;
        }
        Ok(())
    }
}

impl File for HostFile {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        answer(self.file.seek(SeekFrom::Start(at)))?;
        answer(self.file.read(into))
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        answer(Metadata::from_file(&self.file).map(|found| stat(&found)))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        answer(self.appends(false))?;
        answer(self.file.seek(SeekFrom::Start(at)))?;
        answer(self.file.write(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        answer(self.appends(true))?;
        answer(self.file.seek(SeekFrom::End(0)))?;
        answer(self.file.write(bytes))
    }

    fn set_size(&mut self, size: u64) -> Result<(), Errno> {
        answer(self.file.set_len(size))
    }

    fn set_times(&mut self, times: &Times) -> Result<(), Errno> {
        answer(self.file.set_times(file_times(times)))
    }

    fn sync(&mut self, data_only: bool) -> Result<(), Errno> {
        answer(if data_only {
            self.file.sync_data()
        } else {
            self.file.sync_all()
        })
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

/// When attributes last changed, where the system notes it.
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

/// The number of what is listed, where the system lists that. A guest asks for it if it is 0.
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

fn answer<R>(result: io::Result<R>) -> Result<R, Errno> {
    result.map_err(|error| errno(&error))
}

fn errno(error: &io::Error) -> Errno {
    #[cfg(unix)]
    if let Some(number) = rustix::io::Errno::from_io_error(error)
        && let Some(errno) = number_of(number)
    {
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
        // Also cap-std's answer to a path that leads out of its directory.
        ErrorKind::PermissionDenied => Errno::Perm,
        ErrorKind::QuotaExceeded => Errno::Dquot,
        ErrorKind::ReadOnlyFilesystem => Errno::Rofs,
        ErrorKind::StorageFull => Errno::Nospc,
        ErrorKind::TooManyLinks => Errno::Mlink,
        ErrorKind::Unsupported => Errno::Notsup,
        _ => Errno::Io,
    }
}

/// Those that std has no name for, or one for several.
#[cfg(unix)]
fn number_of(number: rustix::io::Errno) -> Option<Errno> {
    use rustix::io::Errno as Number;
    match number {
        Number::ACCESS => Some(Errno::Acces),
        Number::LOOP => Some(Errno::Loop),
        Number::MFILE => Some(Errno::Mfile),
        Number::NFILE => Some(Errno::Nfile),
        // A pipe without another end, or a device without a driver.
        Number::NXIO => Some(Errno::Notsup),
        _ => None,
    }
}
