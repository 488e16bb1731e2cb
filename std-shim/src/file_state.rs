//! Keeps plugins' state in a file.

#![allow(clippy::result_large_err)] // redb's errors are large, but rare

use crate::{
    file::shown_name,
    install::{create_beside, sync_directory},
};
use hostel_core::{StateCosts, StateError, StateLimits, StateStore, StateUse};
use redb::{Builder, Database, ReadableTable as _, TableDefinition};
use std::{
    error::Error,
    fmt, fs, io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Values by namespace and key.
const VALUES: TableDefinition<(&str, &[u8]), &[u8]> = TableDefinition::new("values");

/// Number of keys, and total bytes of keys and values, of each namespace. Changes in one transaction
/// with the values.
const USED: TableDefinition<&str, (u64, u64)> = TableDefinition::new("used");

/// Size of redb's cache in memory, in bytes.
const CACHE_BYTES: usize = 4 << 20;

/// A [`StateStore`] in a file: plugins' state outlives the program.
///
/// When `set` or `delete` returns, its change is on the disk. A killed process loses no acknowledged
/// change, and the next process finds each value as it was before a change or after it, never in
/// between.
///
/// Only one `FileState`, in one process, can have the file open at a time.
///
/// If the store itself fails, the plugin gets [`StateError::Failed`] and [`tracing`] gets the reason
/// (level error, target `hostel::state`). If the storage engine panics over a damaged file, the panic
/// is caught, provided that the program unwinds; every use then fails until the file is opened again.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let file = directory.path().join("plugins.state");
/// use hostel::{FileState, Grants, StateLimits};
/// let store = FileState::open(&file, StateLimits::server())?;
/// let grants = Grants::new().state(store);
/// # drop(grants);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileState {
    limits: StateLimits,
    /// `Some` until this is dropped, which has to catch the engine's panics.
    database: Option<Database>,
    panicked: AtomicBool,
}

/// Creates the file at `path` atomically, unless another process does so first. redb can't open a file
/// whose creation was interrupted.
fn create(path: &Path) -> Result<(), redb::Error> {
    let (temporary, file) = create_beside(path)?;
    let created = builder().create_file(file).map_err(redb::Error::from);
    let linked = created.and_then(with_tables).map(|database| {
        drop(database);
        // Not by renaming, which would replace a file that another process has just created.
        fs::hard_link(&temporary, path)
    });
    let _ = fs::remove_file(temporary);
    linked??;
    Ok(sync_directory(path)?)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        // Later versions of redb can read this format.
        .create_with_file_format_v3(true);
    builder
}

/// Creates the tables if they are missing. redb fails to read a table that does not exist.
fn with_tables(database: Database) -> Result<Database, redb::Error> {
    let change = database.begin_write()?;
    change.open_table(VALUES)?;
    change.open_table(USED)?;
    change.commit()?;
    Ok(database)
}

impl FileState {
    /// Opens the file at `path`, or creates it. `limits` apply to each namespace. After a crash, the
    /// whole file is read and repaired.
    ///
    /// A new file is created atomically: under a hidden name that ends with `.tmp`, and then linked to
    /// `path`. A process killed meanwhile may leave the hidden file, which is safe to delete. The file
    /// is created at `path` directly if the file system has no hard links, or if `path` is a dangling
    /// symbolic link or an empty file.
    ///
    /// # Errors
    ///
    /// [`StateFileError`], which names the file, with the reason
    ///
    /// * [`StateFileReason::Io`] if the operating system refuses to open, read or write it;
    /// * [`StateFileReason::NotAFile`] if it is not a regular file;
    /// * [`StateFileReason::Locked`] if it is open already;
    /// * [`StateFileReason::Corrupt`] if it is not a store, or is damaged.
    pub fn open(path: impl AsRef<Path>, limits: StateLimits) -> Result<Self, StateFileError> {
        let path = path.as_ref();
        let fail = |reason| StateFileError {
            path: path.to_owned(),
            reason,
        };
        // Checked before opening: opening a named pipe would wait for its other end.
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err(fail(StateFileReason::NotAFile)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(StateFileReason::Io(error))),
        }
        let open = || {
            if fs::symlink_metadata(path).is_err() {
                // If this fails, redb creates the file below, which a kill may interrupt.
                let _ = create(path);
            }
            with_tables(builder().create(path)?)
        };
        let database = catch_unwind(open).unwrap_or_else(|_| {
            let why = "the storage engine panicked".to_owned();
            Err(redb::Error::Corrupted(why))
        });
        Ok(Self {
            limits,
            database: Some(database.map_err(|error| fail(error.into()))?),
            panicked: AtomicBool::new(false),
        })
    }

    /// Runs `work` on the database. Its outer error is the store's, and is logged; its inner error is
    /// the plugin's, and is returned.
    fn with<R>(
        &self,
        namespace: &str,
        work: impl FnOnce(&Database) -> Result<Result<R, StateError>, redb::Error>,
    ) -> Result<R, StateError> {
        let database = self.database.as_ref().ok_or(StateError::Failed)?;
        if self.panicked.load(Ordering::Acquire) {
            return Err(StateError::Failed);
        }
        match catch_unwind(AssertUnwindSafe(|| work(database))) {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                tracing::error!(target: "hostel::state", plugin = namespace, "the store failed: {error}");
                Err(StateError::Failed)
            }
            Err(_) => {
                self.panicked.store(true, Ordering::Release);
                tracing::error!(target: "hostel::state", plugin = namespace, "the store panicked");
                Err(StateError::Failed)
            }
        }
    }

    /// Changes a key's value, and the totals of its namespace, in one transaction. `admit` receives
    /// the totals and the old value's length, and returns the new totals or refuses.
    fn change(
        &self,
        namespace: &str,
        key: &[u8],
        value: Option<&[u8]>,
        admit: impl FnOnce(StateUse, Option<usize>) -> Result<StateUse, StateError>,
    ) -> Result<(), StateError> {
        self.with(namespace, |database| {
            let mut change = database.begin_write()?;
            // One-phase commits trust a checksum that is not cryptographic, and plugins choose the
            // bytes: a forged checksum could pass off an interrupted commit as whole.
            change.set_two_phase_commit(true);
            {
                let mut values = change.open_table(VALUES)?;
                let mut uses = change.open_table(USED)?;
                let used = uses.get(namespace)?.map_or(StateUse::default(), used);
                let old = values.get((namespace, key))?.map(|old| old.value().len());
                let next = match admit(used, old) {
                    Ok(next) => next,
                    Err(error) => return Ok(Err(error)),
                };
                match value {
                    Some(value) => drop(values.insert((namespace, key), value)?),
                    None if old.is_none() => return Ok(Ok(())),
                    None => drop(values.remove((namespace, key))?),
                }
                if next.keys == 0 {
                    uses.remove(namespace)?;
                } else {
                    uses.insert(namespace, (next.keys as u64, next.bytes as u64))?;
                }
            }
            change.commit()?;
            Ok(Ok(()))
        })
    }
}

/// Reads a namespace's totals.
fn used(found: redb::AccessGuard<'_, (u64, u64)>) -> StateUse {
    let (keys, bytes) = found.value();
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    StateUse {
        keys: number(keys),
        bytes: number(bytes),
    }
}

impl StateStore for FileState {
    fn costs(&self) -> StateCosts {
        StateCosts {
            // At worst, each reads one page of the file.
            read: 500,
            scan: 500,
            // A write waits for the disk to confirm it, which takes milliseconds.
            write: 200_000,
        }
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        self.limits.check_key(key)?;
        self.with(namespace, |database| {
            let values = database.begin_read()?.open_table(VALUES)?;
            let value = values.get((namespace, key))?;
            Ok(Ok(value.map(|value| Arc::from(value.value()))))
        })
    }

    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)?;
        self.change(namespace, key, Some(value), |used, old| {
            self.limits.admit(used, key, old, value)
        })
    }

    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError> {
        self.limits.check_key(key)?;
        self.change(namespace, key, None, |used, old| Ok(used.without(key, old)))
    }

    fn list(
        &self,
        namespace: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.limits.check_key(prefix)?;
        self.limits.check_key(after.unwrap_or_default())?;
        self.with(namespace, |database| {
            let values = database.begin_read()?.open_table(VALUES)?;
            let from = match after {
                Some(after) if after >= prefix => Bound::Excluded((namespace, after)),
                _ => Bound::Included((namespace, prefix)),
            };
            for entry in values.range::<(&str, &[u8])>((from, Bound::Unbounded))? {
                let (found, _) = entry?;
                let (space, key) = found.value();
                if space != namespace || !key.starts_with(prefix) || !visit(key) {
                    break;
                }
            }
            Ok(Ok(()))
        })
    }

    fn used(&self, namespace: &str) -> Result<StateUse, StateError> {
        self.with(namespace, |database| {
            let uses = database.begin_read()?.open_table(USED)?;
            Ok(Ok(uses.get(namespace)?.map_or(StateUse::default(), used)))
        })
    }
}

impl Drop for FileState {
    fn drop(&mut self) {
        // Closing writes to the file, so the engine may panic here too.
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Names a file that can't hold state, and says why.
///
/// Its text shows the path [`Escaped`](hostel_core::Escaped).
#[derive(Debug)]
pub struct StateFileError {
    path: PathBuf,
    reason: StateFileReason,
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
            StateFileReason::Locked => f.write_str("it is open already: close it first"),
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
