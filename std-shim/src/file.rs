//! Plugins from files.

use hostel_core::{Engine, Grants, HostError, LoadError, Plugin};
use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Reads a module from a regular file of at most `limit` bytes.
///
/// The size is looked at before a byte is read, and again while reading, since the file may grow.
///
/// # Errors
///
/// [`FileError`], which names the file.
pub fn read_module(path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let fail = |reason| FileError::new(path, reason);
    // Looked at before it is opened: opening a named pipe would wait for a writer.
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
    // The limit may be more than the machine has: an error instead of an abort.
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

/// Loads a plugin from a file, under the file's name without its ending.
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
/// [`FileError`], which names the file.
pub fn load_file<T: 'static>(
    engine: &Engine,
    path: impl AsRef<Path>,
    grants: &Grants<T>,
) -> Result<Plugin<T>, FileError> {
    let path = path.as_ref();
    let wasm = read_module(path, engine.limits().module_bytes)?;
    let name = path
        .file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    engine
        .load(&name, &wasm, grants)
        .map_err(|error| FileError::new(path, FileReason::Load(error)))
}

/// Why a file did not become a plugin, or was not written.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    reason: FileReason,
}

/// What was wrong with the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileReason {
    /// The operating system refused to open or read it.
    Io(io::Error),
    /// It is a directory.
    Directory,
    /// It is a pipe, a device or the like.
    NotAFile,
    /// Its contents are not a module that can be loaded.
    Load(LoadError),
    /// The host does not take the plugin in.
    Host(HostError),
    /// Its name is not UTF-8, as a plugin's has to be.
    Name,
    /// What grants the plugin its functions, or tries it, panicked.
    Panicked,
    /// The operating system refused to write it.
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

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was wrong with it.
    #[must_use]
    pub const fn reason(&self) -> &FileReason {
        &self.reason
    }

    /// The stable code of this kind of error.
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

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            FileReason::Io(error) => write!(f, "can't read {path}: {error}"),
            FileReason::Directory => write!(
                f,
                "can't load {path}: it is a directory, expected a .wasm file"
            ),
            FileReason::NotAFile => write!(f, "can't load {path}: expected a regular file"),
            FileReason::Load(error) => write!(f, "can't load {path}: {error}"),
            FileReason::Host(error) => write!(f, "can't load {path}: {error}"),
            FileReason::Name => write!(f, "can't load {path}: rename it, to UTF-8"),
            FileReason::Panicked => write!(
                f,
                "can't load {path}: what grants it functions, or tries it, panicked"
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
