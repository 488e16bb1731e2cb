//! Writes module files atomically.

use crate::{FileError, FileReason};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

/// Writes a module to `path` atomically, replacing any file there.
///
/// A reader finds either the whole old file or the whole new one, even after a crash. Once this has
/// returned, the new one is on the disk.
///
/// A symbolic link at `path` is replaced, not followed. The bytes are not checked: they need not be a
/// module. A process killed meanwhile may leave a hidden file `.NAME.PID-N.tmp` in the directory,
/// which is safe to delete.
///
/// ```
/// # let wasm = wat::parse_str("(module)")?;
/// # let plugins = tempfile::tempdir()?;
/// let path = plugins.path().join("empty.wasm");
/// hostel::install_module(&path, &wasm)?;
/// assert_eq!(std::fs::read(path)?, wasm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FileError`] with [`FileReason::Write`], which names the file. The old file is then still in
/// place; only if the final sync of the directory failed, it is the new one.
pub fn install_module(path: impl AsRef<Path>, wasm: &[u8]) -> Result<(), FileError> {
    let path = path.as_ref();
    install(path, wasm).map_err(|error| FileError::new(path, FileReason::Write(error)))
}

fn install(path: &Path, wasm: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = create_beside(path)?;
    let renamed = file
        .write_all(wasm)
        // The contents must reach the disk before the name: a crash would else leave an empty file.
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = renamed {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    sync_directory(path)
}

/// Creates a hidden file in the directory of `path`, so that renaming it to `path` is atomic.
pub(crate) fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut number = 0;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{number}.tmp", process::id()));
        let temporary = path.with_file_name(hidden);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Another thread uses this name, or an earlier process with our number left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Writes the directory of `path` to the disk, and with it a file's new name.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Does nothing: other systems can't open a directory to sync it.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
