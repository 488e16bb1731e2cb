//! Writes modules so that no reader ever finds half of one.

use crate::{FileError, FileReason};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

/// Writes a module to `path` as a whole. A reader of the file finds either the old module or the new
/// one, also after a crash, and only the new one after this function returned.
///
/// Replaces nothing but a regular file, or a symbolic link to a regular file or to nothing; the link
/// is not followed. A directory, device, pipe or socket is refused. A process that is killed while it
/// writes may leave a hidden file `.NAME.PID-N.tmp` beside `path`, which can be deleted. The bytes are
/// not checked.
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
/// [`FileError`], which names the file. The file is then unchanged, or the new one if only the last
/// step, writing the directory to the disk, failed.
pub fn install_module(path: impl AsRef<Path>, wasm: &[u8]) -> Result<(), FileError> {
    let path = path.as_ref();
    install(path, wasm).map_err(|error| FileError::new(path, FileReason::Write(error)))
}

fn install(path: &Path, wasm: &[u8]) -> io::Result<()> {
    check_replaceable(path)?;
    let (temporary, mut file) = create_beside(path, OpenOptions::new())?;
    let renamed = file
        .write_all(wasm)
        // The contents must reach the disk before the name: a crash would else leave an empty file.
        .and_then(|()| file.sync_all())
        .and_then(|()| rename(&temporary, path));
    if let Err(error) = renamed {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    sync_directory(path)
}

#[cfg(not(windows))]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Renames a file. Windows refuses it for as long as another program has the old file open, which a watched
/// directory does while it loads it: tries again for up to a second.
#[cfg(windows)]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let start = std::time::Instant::now();
    loop {
        match fs::rename(from, to) {
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && start.elapsed() < std::time::Duration::from_secs(1) =>
            {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            renamed => return renamed,
        }
    }
}

/// Refuses to replace a directory, device, pipe or socket: root could rename a file over `/dev/null`.
fn check_replaceable(path: &Path) -> io::Result<()> {
    // Of a link its target, so that one to a device, such as `/dev/stdout`, stays.
    let found = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found.is_file() {
        return Ok(());
    }
    let message = format!(
        "expected a regular file or nothing there, found {}",
        kind(found)
    );
    Err(io::Error::other(message))
}

#[cfg(unix)]
fn kind(found: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn kind(found: fs::FileType) -> &'static str {
    if found.is_dir() {
        "a directory"
    } else {
        "a special file"
    }
}

/// Returns options by which a new file is its owner's alone, where the system has such modes.
#[cfg(feature = "redb")]
pub(crate) fn private() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a file by `options` in the directory of `path`, on the same disk.
pub(crate) fn create_beside(path: &Path, mut options: OpenOptions) -> io::Result<(PathBuf, File)> {
    options.read(true).write(true).create_new(true);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut number = 0;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{number}.tmp", process::id()));
        let temporary = path.with_file_name(hidden);
        match options.open(&temporary) {
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

#[cfg(all(test, unix))]
mod tests {
    use super::install_module;
    use std::{
        fs,
        os::unix::{fs::FileTypeExt as _, fs::symlink, net::UnixListener},
        process::Command,
    };

    #[test]
    fn only_regular_files_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let inside = |name: &str| root.path().join(name);
        let made = Command::new("mkfifo").arg(inside("pipe")).status();
        assert!(made.unwrap().success());
        let _listener = UnixListener::bind(inside("socket")).unwrap();
        fs::create_dir(inside("directory")).unwrap();
        for (name, found) in [
            ("pipe", "a pipe"),
            ("socket", "a socket"),
            ("directory", "a directory"),
        ] {
            let link = inside(&format!("link-to-{name}"));
            symlink(inside(name), &link).unwrap();
            for path in [inside(name), link] {
                let error = install_module(&path, b"module").unwrap_err();
                assert_eq!(error.code(), "file-unwritable");
                assert!(error.to_string().ends_with(found), "{error}");
            }
        }
        symlink("/dev/null", inside("null")).unwrap();
        let error = install_module(inside("null"), b"module").unwrap_err();
        assert!(error.to_string().ends_with("a device"), "{error}");
        let kind = |name: &str| fs::symlink_metadata(inside(name)).unwrap().file_type();
        assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
        assert!(kind("link-to-pipe").is_symlink() && kind("null").is_symlink());
        // No temporary file is left: three of a kind, their links, and one.
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 7);

        fs::write(inside("file"), "old").unwrap();
        for name in ["file", "new"] {
            install_module(inside(name), b"module").unwrap();
            assert_eq!(fs::read(inside(name)).unwrap(), b"module");
        }
    }
}
