//! Keeps plugins' state in a file.

#![allow(clippy::result_large_err)] // redb's errors are large, but rare

mod backend;
mod error;
mod opened;
#[cfg(test)]
mod tests;

pub use self::error::{StateFileError, StateFileReason};

use self::{
    backend::Failure,
    opened::{Current, builder, contained, with_tables},
};
use crate::{
    file::shown_name,
    install::{create_beside, private, sync_directory},
};
use hostel_core::{StateCosts, StateError, StateLimits, StateStore, StateUse};
use redb::{Database, ReadableTable as _, StorageBackend, TableDefinition, backends::FileBackend};
use std::{
    cell::{Cell, RefCell},
    fs, io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Values by namespace and key.
const VALUES: TableDefinition<(&str, &[u8]), &[u8]> = TableDefinition::new("values");

/// Number of keys, and total bytes of keys and values, of each namespace. Changes in one transaction
/// with the values.
const USED: TableDefinition<&str, (u64, u64)> = TableDefinition::new("used");

/// Number of databases that a call tries, each after a failure of the one before.
const ATTEMPTS: u32 = 2;

/// Time between two attempts to open a file that is open elsewhere.
const POLL: Duration = Duration::from_millis(20);

/// A [`StateStore`] in a file: plugins' state outlives the program.
///
/// When `set` or `delete` returns, its change is on the disk. A killed process loses no acknowledged
/// change, and the next process finds each value as it was before a change or after it, never in
/// between.
///
/// Only one `FileState`, in one process, can have the file open at a time.
///
/// If the file can't be written, `set` and `delete` fail: with [`StateError::DiskFull`] if the disk or
/// the user's share of it is full, else with [`StateError::Failed`]. [`tracing`] gets the reason (level
/// error, target `hostel::state`). Reading goes on, and each further `set` and `delete` tries to write
/// again, so that nobody has to open the file anew. An attempt reads the file; if one takes longer
/// than 20 ms, there is none in the next ten times as long.
///
/// If the storage engine panics over a damaged file, the panic is caught, provided that the program
/// unwinds; every use then fails until the file is opened anew.
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
    path: PathBuf,
    limits: StateLimits,
    current: Current,
    panicked: AtomicBool,
}

/// Creates the file at `path` atomically, unless another process does so first. redb can't open a file
/// whose creation was interrupted.
fn create(path: &Path) -> Result<(), redb::Error> {
    let (temporary, file) = create_beside(path, private())?;
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

/// Opens the file at `path` and locks it.
fn lock(path: &Path) -> Result<Arc<dyn StorageBackend>, redb::Error> {
    let mut options = private();
    options.read(true).write(true).create(true).truncate(false);
    Ok(Arc::new(FileBackend::new(options.open(path)?)?))
}

impl FileState {
    /// Opens the file at `path`, or creates it. `limits` apply to each namespace. After a crash, the
    /// whole file is read and repaired.
    ///
    /// A new file is created atomically: under a hidden name that ends with `.tmp`, and then linked to
    /// `path`. A process killed meanwhile may leave the hidden file, which is safe to delete. The file
    /// is created at `path` directly if the file system has no hard links, or if `path` is a dangling
    /// symbolic link or an empty file. On Unix it has the mode 0600: what plugins keep is for no other user.
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
        Self::open_within(path, limits, Duration::ZERO)
    }

    /// As [`open`](Self::open), but waits up to `wait` for another process, or another `FileState`, to
    /// close the file.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let file = directory.path().join("plugins.state");
    /// use hostel::{FileState, StateLimits};
    /// use std::time::Duration;
    /// let store = FileState::open_within(&file, StateLimits::server(), Duration::from_secs(2))?;
    /// # drop(store);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); [`StateFileReason::Locked`] if the file is still open after `wait`.
    pub fn open_within(
        path: impl AsRef<Path>,
        limits: StateLimits,
        wait: Duration,
    ) -> Result<Self, StateFileError> {
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
            Current::open(lock(path)?)
        };
        let began = Instant::now();
        let current = loop {
            match contained(open) {
                Err(redb::Error::DatabaseAlreadyOpen) if began.elapsed() < wait => {
                    thread::sleep(POLL);
                }
                opened => break opened.map_err(|error| fail(error.into()))?,
            }
        };
        Ok(Self {
            path: path.to_owned(),
            limits,
            current,
            panicked: AtomicBool::new(false),
        })
    }

    /// Runs `work` on the database, again on the next one if that fails. Its outer error is the
    /// store's, and is logged; its inner error is the plugin's, and is returned.
    fn with<R>(
        &self,
        namespace: &str,
        write: bool,
        work: impl Fn(&Database) -> Result<Result<R, StateError>, redb::Error>,
    ) -> Result<R, StateError> {
        let mut attempts = 0;
        let failure = loop {
            if self.panicked.load(Ordering::Acquire) {
                return Err(StateError::Failed);
            }
            let opened = match self.current.get(write) {
                Ok(opened) => opened,
                Err(failure) => break failure,
            };
            let done = catch_unwind(AssertUnwindSafe(|| work(opened.database()?)));
            if let Ok(Ok(done)) = done {
                return done;
            }
            if opened.link.is_cut() {
                // Another call has opened the file again meanwhile, as often as it had to.
                continue;
            }
            if let Some(failure) = opened.link.failure() {
                attempts += 1;
                if attempts < ATTEMPTS {
                    continue;
                }
                break failure.clone();
            }
            match done {
                Ok(Err(error)) => {
                    let text = error.to_string();
                    break Failure { full: false, text };
                }
                _ => {
                    self.panicked.store(true, Ordering::Release);
                    let text = "the storage engine panicked".to_owned();
                    break Failure { full: false, text };
                }
            }
        };
        let (file, why) = (shown_name(&self.path), &failure.text);
        if write {
            tracing::error!(
                target: "hostel::state",
                plugin = namespace,
                "can't write the state file {file}: {why}; reading goes on, and the next write tries again"
            );
        } else {
            tracing::error!(
                target: "hostel::state",
                plugin = namespace,
                "can't read the state file {file}: {why}"
            );
        }
        Err(if failure.full {
            StateError::DiskFull
        } else {
            StateError::Failed
        })
    }

    /// Changes a key's value, and the totals of its namespace, in one transaction. `admit` receives
    /// the totals and the old value's length, and returns the new totals or refuses.
    fn change(
        &self,
        namespace: &str,
        key: &[u8],
        value: Option<&[u8]>,
        admit: impl Fn(StateUse, Option<usize>) -> Result<StateUse, StateError>,
    ) -> Result<(), StateError> {
        self.with(namespace, true, |database| {
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
        self.with(namespace, false, |database| {
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

    fn set_if(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)?;
        let refused = Cell::new(false);
        let set = self.change(namespace, key, Some(value), |used, old| {
            let next = self.limits.admit(used, key, old, value)?;
            refused.set(!fits(next));
            match refused.get() {
                false => Ok(next),
                // Any error: the transaction is given up.
                true => Err(StateError::Failed),
            }
        });
        match refused.get() {
            false => set.map(|()| true),
            true => Ok(false),
        }
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
        // A second attempt goes on after the keys that the first one has visited.
        let visited = RefCell::new((after.map(<[u8]>::to_vec), visit));
        self.with(namespace, false, |database| {
            let (after, visit) = &mut *visited.borrow_mut();
            let values = database.begin_read()?.open_table(VALUES)?;
            let from = match after {
                Some(after) if &after[..] >= prefix => Bound::Excluded((namespace, &after[..])),
                _ => Bound::Included((namespace, prefix)),
            };
            for entry in values.range::<(&str, &[u8])>((from, Bound::Unbounded))? {
                let (found, _) = entry?;
                let (space, key) = found.value();
                if space != namespace || !key.starts_with(prefix) {
                    break;
                }
                let after = after.get_or_insert_default();
                after.clear();
                after.extend_from_slice(key);
                if !visit(key) {
                    break;
                }
            }
            Ok(Ok(()))
        })
    }

    fn used(&self, namespace: &str) -> Result<StateUse, StateError> {
        self.with(namespace, false, |database| {
            let uses = database.begin_read()?.open_table(USED)?;
            Ok(Ok(uses.get(namespace)?.map_or(StateUse::default(), used)))
        })
    }
}
