//! Plugins' values in a file.

#![allow(clippy::result_large_err)] // redb's errors are that large, and rare

use crate::install::{create_beside, sync_directory};
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

/// How many keys, and bytes of keys and values, each namespace has; in step with the values, since
/// both change in one transaction.
const USED: TableDefinition<&str, (u64, u64)> = TableDefinition::new("used");

/// Bytes of the file that are kept in memory.
const CACHE_BYTES: usize = 4 << 20;

/// Plugins' values in a file, which outlive the program.
///
/// What `set` and `delete` have done is on the disk when they return: a process that is killed
/// loses nothing that was acknowledged, and the next one finds each value as it was before or after
/// a change, never in between. A file is open once at a time.
///
/// The reason of a [`StateError::Failed`] goes to [`tracing`], not to the plugin. A panic of the
/// storage engine over a broken file is contained where the program unwinds, and the store then
/// fails until it is opened again.
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
    /// There until it is dropped.
    database: Option<Database>,
    panicked: AtomicBool,
}

/// Creates a file at `path` as a whole, unless another process does: redb itself can't open one whose
/// creation was broken off.
fn create(path: &Path) -> Result<(), redb::Error> {
    let (temporary, file) = create_beside(path)?;
    let created = builder().create_file(file).map_err(redb::Error::from);
    let linked = created.and_then(with_tables).map(|database| {
        drop(database);
        // Never in the place of another's, which a renamed one would take.
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
        // The format that later versions of redb read.
        .create_with_file_format_v3(true);
    builder
}

/// The same with its tables, so that reading always finds them.
fn with_tables(database: Database) -> Result<Database, redb::Error> {
    let change = database.begin_write()?;
    change.open_table(VALUES)?;
    change.open_table(USED)?;
    change.commit()?;
    Ok(database)
}

impl FileState {
    /// Opens the file, or makes it, with `limits` for each namespace. Repairs what a killed process
    /// left, for which it reads the whole file.
    ///
    /// A new file is made beside its place, under a hidden name that ends with `.tmp`, and then linked
    /// there: a process that is killed meanwhile may leave that one behind, but none that can't be
    /// opened. Where the file system has no links, or `path` is a symbolic link to nothing or an empty
    /// file, it is made in its place.
    ///
    /// # Errors
    ///
    /// [`StateFileError`], which names the file.
    pub fn open(path: impl AsRef<Path>, limits: StateLimits) -> Result<Self, StateFileError> {
        let path = path.as_ref();
        let fail = |reason| StateFileError {
            path: path.to_owned(),
            reason,
        };
        // Looked at before it is opened: opening a named pipe would wait for its other end.
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err(fail(StateFileReason::NotAFile)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(StateFileReason::Io(error))),
        }
        let open = || {
            if fs::symlink_metadata(path).is_err() {
                // Where that can't be done, it is created in its place, which a kill may break off.
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

    /// Does `work`, which may fail for reasons of the host, and within that for the plugin's.
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

    /// Changes a key's value, and what its namespace uses, in one transaction. `admit` says from
    /// what is used, and from the old value's length, what will be.
    fn change(
        &self,
        namespace: &str,
        key: &[u8],
        value: Option<&[u8]>,
        admit: impl FnOnce(StateUse, Option<usize>) -> Result<StateUse, StateError>,
    ) -> Result<(), StateError> {
        self.with(namespace, |database| {
            let mut change = database.begin_write()?;
            // Plugins choose the bytes: two phases do not lean on a checksum that is no hash.
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

/// What the table of uses says.
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
            // A page of the file for each, at worst.
            read: 500,
            scan: 500,
            // The disk takes some milliseconds to say that it is there.
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
        // Closing writes, and may panic as all that the engine does.
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Why a file can't be a store.
#[derive(Debug)]
pub struct StateFileError {
    path: PathBuf,
    reason: StateFileReason,
}

/// What was wrong with the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateFileReason {
    /// The operating system refused to open, read or write it.
    Io(io::Error),
    /// It is a directory, a pipe, a device or the like.
    NotAFile,
    /// It is open, here or in another process.
    Locked,
    /// It was not written by a store, or has been damaged since.
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
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was wrong with it.
    #[must_use]
    pub const fn reason(&self) -> &StateFileReason {
        &self.reason
    }

    /// The stable code of this kind of error.
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
        write!(f, "can't keep state in {}: ", self.path.display())?;
        match &self.reason {
            StateFileReason::Io(error) => error.fmt(f),
            StateFileReason::NotAFile => f.write_str("expected a regular file, or none yet"),
            StateFileReason::Locked => f.write_str("it is open already: close it first"),
            StateFileReason::Corrupt(why) => write!(
                f,
                "it is not a store, or a damaged one: name another file, or restore this one ({why})"
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
