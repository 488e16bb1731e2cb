//! Loads plugins from files.

use hostel_core::{Engine, Escaped, Grants, HostError, LoadError, Plugin};
use std::{
    error::Error,
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Reads a module from a regular file of at most `limit` bytes.
///
/// Checks the size before reading, and again while reading, since the file may grow. The bytes are
/// not checked: they need not be a module.
///
/// # Errors
///
/// [`FileError`], which names the file, with the reason
///
/// * [`FileReason::Io`] if the file is missing or unreadable, or the machine has no memory for it;
/// * [`FileReason::Directory`] or [`FileReason::NotAFile`] if it is not a regular file;
/// * [`FileReason::Load`] with [`LoadError::TooLarge`] if it has more than `limit` bytes.
pub fn read_module(path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let fail = |reason| FileError::new(path, reason);
    // Checked before opening: opening a named pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|error| fail(FileReason::Io(error)))?;
    if !metadata.is_file() {
        return Err(fail(if metadata.is_dir() {
            FileReason::Directory
        } else {
            FileReason::NotAFile
        }));
    }
    let too_large = |found| fail(FileReason::Load(LoadError::TooLarge { limit, found }));
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    // `limit` may be more than the machine has. A failed reservation is an error; `read_to_end` alone
    // could abort.
    bytes
        .try_reserve_exact(size)
        .map_err(|_| fail(FileReason::Io(io::ErrorKind::OutOfMemory.into())))?;
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| fail(FileReason::Io(error)))?;
    if bytes.len() > limit {
        Err(too_large(bytes.len()))
    } else {
        Ok(bytes)
    }
}

/// Loads a plugin from a file. The plugin's name is the file's name without its extension. The
/// engine's [`Limits::module_bytes`](hostel_core::Limits::module_bytes) bounds the size.
///
/// ```no_run
/// use hostel::{Grants, load_file};
/// let plugin = load_file(&hostel::engine(), "plugins/customize.wasm", &Grants::new())?;
/// assert_eq!(plugin.name(), "customize");
/// # Ok::<(), hostel::FileError>(())
/// ```
///
/// # Errors
///
/// [`FileError`], which names the file: as for [`read_module`], or [`FileReason::Load`] if the module
/// does not load.
pub fn load_file<T: 'static>(
    engine: &Engine,
    path: impl AsRef<Path>,
    grants: &Grants<T>,
) -> Result<Plugin<T>, FileError> {
    let path = path.as_ref();
    let limits = grants.limits().unwrap_or(engine.limits());
    let wasm = read_module(path, limits.module_bytes)?;
    let name = path
        .file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    engine
        .load_any(&name, &wasm, grants)
        .map_err(|error| FileError::new(path, FileReason::Load(error)))
}

/// Names a file that could not be loaded or written, and says why.
///
/// Its text shows the path [`Escaped`]: a line break in a file's name can't forge a second line. With `{:#}`, it leaves out
/// what to change in the embedder's program.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    reason: FileReason,
}

/// The reason of a [`FileError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum FileReason {
    /// The operating system could not open or read the file.
    Io(io::Error),
    /// The path leads to a directory.
    Directory,
    /// The path leads to a pipe, a device or another special file.
    NotAFile,
    /// The contents are not a module that can be loaded.
    Load(LoadError),
    /// The host refused the plugin: it failed its smoke call, or its name is taken.
    Host(HostError),
    /// The file's name is not UTF-8, so it can't be a plugin's name.
    Name,
    /// The embedder's function that returns grants, or its smoke call, panicked.
    Panicked,
    /// The operating system could not write the file.
    Write(io::Error),
}

impl FileError {
    pub(crate) fn new(path: &Path, reason: FileReason) -> Self {
        Self {
            path: path.to_owned(),
            reason,
        }
    }

    pub(crate) fn into_reason(self) -> FileReason {
        self.reason
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the reason.
    #[must_use]
    pub const fn reason(&self) -> &FileReason {
        &self.reason
    }

    /// Returns the stable code of this kind of error, such as `file-missing`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.reason {
            FileReason::Io(error) if error.kind() == io::ErrorKind::NotFound => "file-missing",
            FileReason::Io(_) => "file-unreadable",
            FileReason::Directory => "file-is-directory",
            FileReason::NotAFile => "file-not-regular",
            FileReason::Load(error) => error.code(),
            FileReason::Host(error) => error.code(),
            FileReason::Name => "file-name",
            FileReason::Panicked => "host-panicked",
            FileReason::Write(_) => "file-unwritable",
        }
    }
}

/// Shows a name that somebody else chose, as part of one line.
pub(crate) fn shown_name(name: &(impl AsRef<OsStr> + ?Sized)) -> Escaped<'_> {
    Escaped::new(name.as_ref().as_encoded_bytes())
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown_name(&self.path);
        match &self.reason {
            FileReason::Io(error) => write!(f, "can't read {path}: {error}"),
            FileReason::Directory => write!(
                f,
                "can't load {path}: it is a directory, expected a .wasm file"
            ),
            FileReason::NotAFile => write!(
                f,
                "can't load {path}: it is a pipe, a device or the like, expected a regular file"
            ),
            FileReason::Load(error) => {
                write!(f, "can't load {path}: ")?;
                error.fmt(f)
            }
            // A host's errors name plugins, and those are named after files.
            FileReason::Host(error) => {
                write!(f, "can't load {path}: {}", shown_name(&error.to_string()))
            }
            FileReason::Name => write!(
                f,
                "can't load {path}: its name is not UTF-8, and a plugin's name must be; rename the file"
            ),
            FileReason::Panicked => write!(
                f,
                "can't load {path}: the function that grants it functions, or its smoke call, panicked"
            ),
            FileReason::Write(error) => write!(f, "can't write {path}: {error}"),
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            FileReason::Io(error) | FileReason::Write(error) => Some(error),
            FileReason::Load(error) => Some(error),
            FileReason::Host(error) => Some(error),
            FileReason::Directory
            | FileReason::NotAFile
            | FileReason::Name
            | FileReason::Panicked => None,
        }
    }
}
