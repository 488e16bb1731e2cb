//! Opens the file, and opens it again after a failure.

use super::{
    USED, VALUES,
    backend::{Failure, Link},
};
use redb::{Builder, Database, StorageBackend};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Size of redb's cache in memory, in bytes.
const CACHE_BYTES: usize = 4 << 20;

/// Time of an attempt to open the file for which the fuel of a write pays. One that took longer is not
/// repeated at once.
const PAID: Duration = Duration::from_millis(20);

/// Length of the pause after an attempt that took longer than [`PAID`], as a multiple of its time.
const PAUSE: u32 = 10;

pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        // Later versions of redb can read this format.
        .create_with_file_format_v3(true);
    builder
}

/// Creates the tables if they are missing. redb fails to read a table that does not exist.
pub(super) fn with_tables(database: Database) -> Result<Database, redb::Error> {
    let change = database.begin_write()?;
    change.open_table(VALUES)?;
    change.open_table(USED)?;
    change.commit()?;
    Ok(database)
}

/// Runs `work`, which may panic over a damaged file.
pub(super) fn contained<R>(
    work: impl FnOnce() -> Result<R, redb::Error>,
) -> Result<R, redb::Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let why = "the storage engine panicked".to_owned();
        Err(redb::Error::Corrupted(why))
    })
}

/// A database, and its way to the file.
#[derive(Debug)]
pub(super) struct Opened {
    /// `Some` until this is dropped.
    database: Option<Database>,
    pub(super) link: Link,
}

impl Opened {
    fn new(link: Link) -> Result<Self, redb::Error> {
        let backend = link.clone();
        let database = contained(|| with_tables(builder().create_with_backend(backend)?))?;
        Ok(Self {
            database: Some(database),
            link,
        })
    }

    /// Returns the database; fails while this is dropped.
    pub(super) fn database(&self) -> Result<&Database, redb::Error> {
        self.database
            .as_ref()
            .ok_or(redb::Error::DatabaseAlreadyOpen)
    }

    /// Returns whether the database can't be used any more: it failed, or another has taken over.
    pub(super) fn is_over(&self) -> bool {
        self.link.failure().is_some() || self.link.is_cut()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Closing writes to the file, so the engine may panic here too.
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// The database that is in use. It is replaced when it has failed: redb refuses everything, reads
/// too, after one failed operation on the file.
#[derive(Debug)]
pub(super) struct Current {
    file: Arc<dyn StorageBackend>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` if the file could not be opened, not even to read.
    opened: Option<Arc<Opened>>,
    /// The reason why the latest attempt to open the file for writing failed.
    failure: Option<Failure>,
    /// The end of the pause in which there is no further attempt.
    pause_until: Option<Instant>,
}

impl Current {
    /// Opens the file.
    pub(super) fn open(file: Arc<dyn StorageBackend>) -> Result<Self, redb::Error> {
        let opened = Opened::new(Link::new(file.clone()))?;
        Ok(Self {
            file,
            state: Mutex::new(State {
                opened: Some(Arc::new(opened)),
                failure: None,
                pause_until: None,
            }),
        })
    }

    /// Returns the database. Opens the file again if the database has failed; if the file can't be
    /// written, for reading only.
    ///
    /// Fails if the file can't be opened; if `write` is set, also if it can't be written.
    pub(super) fn get(&self, write: bool) -> Result<Arc<Opened>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = state.opened.clone().filter(|opened| !opened.is_over());
        let read_only = |opened: &Arc<Opened>| opened.link.keeps_writes();
        if let Some(opened) = usable.as_ref().filter(|o| !(write && read_only(o))) {
            return Ok(opened.clone());
        }
        let paused = state.pause_until.is_some_and(|end| Instant::now() < end);
        if !paused {
            state.reopen(&self.file);
        } else if usable.is_none() {
            state.open_to_read(&self.file);
        }
        match &state.opened {
            Some(opened) if !(write && read_only(opened)) => Ok(opened.clone()),
            _ => Err(state.failure.clone().unwrap_or_else(|| Failure {
                full: false,
                text: "the file can't be opened".to_owned(),
            })),
        }
    }
}

impl State {
    /// Opens the file anew; if that fails, for reading only.
    fn reopen(&mut self, file: &Arc<dyn StorageBackend>) {
        let began = Instant::now();
        self.close();
        let link = Link::new(file.clone());
        match Opened::new(link.clone()) {
            Ok(opened) => {
                self.opened = Some(Arc::new(opened));
                self.failure = None;
                self.pause_until = None;
            }
            Err(error) => {
                // A database that is dropped late must not write after the next one has opened.
                link.cut();
                self.failure = Some(link.failure().cloned().unwrap_or_else(|| Failure {
                    full: false,
                    text: error.to_string(),
                }));
                let took = began.elapsed();
                self.pause_until = (took > PAID).then(|| Instant::now() + took * PAUSE);
                self.open_to_read(file);
            }
        }
    }

    /// Opens the file for reading, in the state that its latest whole change left.
    fn open_to_read(&mut self, file: &Arc<dyn StorageBackend>) {
        self.close();
        let opened = Link::over(file.clone()).map_err(redb::Error::from);
        match opened.and_then(Opened::new) {
            Ok(opened) => self.opened = Some(Arc::new(opened)),
            Err(error) => {
                self.failure.get_or_insert_with(|| Failure {
                    full: false,
                    text: error.to_string(),
                });
            }
        }
    }

    /// Takes the present database out of use. Calls that still use it fail, and try the next one.
    fn close(&mut self) {
        if let Some(opened) = self.opened.take() {
            opened.link.cut();
        }
    }
}
