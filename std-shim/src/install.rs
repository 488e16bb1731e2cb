//! Modules written so that nobody finds half of one.

use crate::{FileError, FileReason};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

/// Writes a module to `path`, in place of what was there. Whoever reads the file, also after a crash,
/// finds the old one or the new one, whole; and the new one once this has returned.
///
/// A process that is killed meanwhile may leave a hidden file `.NAME.PID-N.tmp` beside it, which
/// nobody needs. A symbolic link is replaced, not followed. Whether the bytes are a module is not
/// looked at.
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
/// [`FileError`], which names the file; it is then the old one, or, where only the last step to
/// the disk failed, the new one.
pub fn install_module(path: impl AsRef<Path>, wasm: &[u8]) -> Result<(), FileError> {
    let path = path.as_ref();
    install(path, wasm).map_err(|error| FileError::new(path, FileReason::Write(error)))
}

fn install(path: &Path, wasm: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = create_beside(path)?;
    let renamed = file
        .write_all(wasm)
        // On the disk before its name is.
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = renamed {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    sync_directory(path)
}

/// A new file in the directory of `path`, on the same disk.
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
            // Another thread's, or left by a process that had this one's number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a directory is no file, and renaming is up to the file system.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
