//! A directory of plugins that is taken in as it changes.

use crate::{FileError, FileReason, PluginDirectory};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long nothing must have changed before the directory is read.
const QUIET: Duration = Duration::from_millis(50);

/// How long changes may go on before it is read anyway.
const STORM: Duration = Duration::from_secs(1);

/// How often it is looked whether the directory is still the one that is watched.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Most names of changed files that are kept; beyond, all count as changed.
const NAMES: usize = 1_000;

/// A [`PluginDirectory`] that a thread watches and keeps its host in step with.
///
/// Changes are taken in when nothing has changed for 50 milliseconds, and after a second where
/// changes go on. So a file that is being written is tried half-written where its writer pauses, and
/// again when it goes on; half of it is seldom a module, but can be. With
/// [`install_module`](crate::install_module) there is never half of one. Where the system lost count
/// of changes, all files are read. A directory that is gone is waited for, and one that takes its
/// place is watched.
///
/// What a symbolic link leads to is not watched: it is read again with any change in the directory.
///
/// Dropping it stops the thread, after what it is loading; the plugins stay.
///
/// ```
/// # let plugins = tempfile::tempdir()?;
/// # std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt/add.wasm"),
/// #     plugins.path().join("add.wasm"))?;
/// use hostel::{Grants, Host, PluginDirectory};
/// use std::sync::Arc;
///
/// let host = Arc::new(Host::new(hostel::engine()));
/// let directory = PluginDirectory::new(host.clone(), plugins.path(), |_name| Grants::new());
/// let watched = directory.watch()?;
/// assert_eq!(host.list(), ["add"]);
/// # drop(watched);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WatchedDirectory {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> PluginDirectory<T> {
    /// Takes in what is there, and from then on each change, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`FileError`] where there is no such directory, or the system can't watch it. What is wrong
    /// with a file in it goes to the observer.
    pub fn watch(mut self) -> Result<WatchedDirectory, FileError> {
        let inbox = Arc::new(Inbox::default());
        let path = self.path().to_owned();
        let fail = |error| FileError::new(&path, FileReason::Io(error));
        // Watched before it is read, so that no change goes unseen.
        let watched = Watched::begin(&path, &inbox).map_err(fail)?;
        self.rescan();
        let thread = thread::Builder::new().name("hostel-watch".into()).spawn({
            let inbox = inbox.clone();
            move || keep_in_step(self, Some(watched), &inbox)
        });
        let thread = Some(thread.map_err(fail)?);
        Ok(WatchedDirectory { inbox, thread })
    }
}

impl WatchedDirectory {
    /// Has all files read again, on the watching thread; the observer is told what comes of it.
    pub fn rescan(&self) {
        self.inbox.note(|changes| changes.all = true);
    }
}

impl Drop for WatchedDirectory {
    fn drop(&mut self) {
        self.inbox.note(|changes| changes.stop = true);
        // The observer may be who drops it.
        let thread = self.thread.take();
        let other = thread.filter(|thread| thread.thread().id() != thread::current().id());
        let _ = other.map(JoinHandle::join);
    }
}

fn keep_in_step<T>(
    mut directory: PluginDirectory<T>,
    mut watched: Option<Watched>,
    inbox: &Arc<Inbox>,
) {
    let mut told = false;
    loop {
        let mut changes = inbox.wait();
        if changes.stop {
            return;
        }
        let now = Identity::of(directory.path());
        let before = watched.as_ref().map(|watched| watched.identity);
        if changes.lost || now != before {
            changes.all = true;
            watched = None;
            // Where it can't be watched it is read at each heartbeat instead.
            if now.is_some() {
                match Watched::begin(directory.path(), inbox) {
                    Ok(begun) => watched = Some(begun),
                    Err(error) if !told => {
                        directory.fail(error);
                    }
                    Err(_) => {}
                }
                told = watched.is_none();
            }
        }
        if changes.all {
            directory.rescan();
        } else if !changes.names.is_empty() {
            directory.rescan_where(|name| changes.names.contains(name));
        }
    }
}

/// A directory that the system watches.
struct Watched {
    identity: Identity,
    /// Watches until it is dropped.
    _watcher: RecommendedWatcher,
}

impl Watched {
    fn begin(path: &Path, inbox: &Arc<Inbox>) -> io::Result<Self> {
        // Taken before: of one that is replaced meanwhile the next heartbeat sees that.
        let identity = Identity::of(path).ok_or(io::ErrorKind::NotFound)?;
        let (directory, inbox) = (path.to_owned(), inbox.clone());
        let watcher = notify::recommended_watcher(move |event| take(event, &directory, &inbox));
        let watching = watcher.and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = watching.map_err(|error| match error.kind {
            notify::ErrorKind::Io(error) => error,
            _ => io::Error::other(error.to_string()),
        })?;
        Ok(Self {
            identity,
            _watcher: watcher,
        })
    }
}

/// Takes an event of the system's.
fn take(event: notify::Result<Event>, directory: &PathBuf, inbox: &Inbox) {
    let Ok(event) = event else {
        return inbox.note(|changes| changes.lost = true);
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        // Reading the files makes such events, too.
        EventKind::Access(_) => return,
        _ => {}
    }
    inbox.note(|changes| {
        changes.all |= event.need_rescan();
        for path in &event.paths {
            match path.file_name() {
                Some(name) if path != directory => changes.add(name.to_owned()),
                // Moved or removed, perhaps.
                _ => changes.lost = true,
            }
        }
    });
}

/// Which directory a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_dir().then(|| Self::from(&metadata))
    }
}

#[cfg(unix)]
impl From<&fs::Metadata> for Identity {
    fn from(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(metadata.dev(), metadata.ino())
    }
}

/// Elsewhere only whether there is one.
#[cfg(not(unix))]
impl From<&fs::Metadata> for Identity {
    fn from(_: &fs::Metadata) -> Self {
        Self(0, 0)
    }
}

/// What has changed since the last time. The lock is held for no longer than it takes to add to it.
#[derive(Debug, Default)]
struct Inbox {
    changes: Mutex<Changes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Changes {
    /// How many there were.
    count: u64,
    /// The names of changed files.
    names: HashSet<OsString>,
    /// Whether any file may have changed.
    all: bool,
    /// Whether the directory may be watched no more.
    lost: bool,
    /// Whether the thread is to end.
    stop: bool,
}

impl Changes {
    fn add(&mut self, name: OsString) {
        if self.names.len() < NAMES {
            self.names.insert(name);
        } else {
            self.all = true;
        }
    }
}

impl Inbox {
    fn note(&self, change: impl FnOnce(&mut Changes)) {
        let mut changes = self.lock();
        change(&mut changes);
        changes.count += 1;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for changes and for the quiet after them; gives none after a heartbeat without.
    fn wait(&self) -> Changes {
        let mut changes = self.lock();
        if changes.count == 0 {
            changes = self.wait_for_more(changes, HEARTBEAT);
        }
        let first = Instant::now();
        while changes.count > 0 && !changes.stop {
            let count = changes.count;
            let left = STORM.saturating_sub(first.elapsed());
            changes = self.wait_for_more(changes, QUIET.min(left));
            if changes.count == count || left.is_zero() {
                break;
            }
        }
        mem::take(&mut *changes)
    }

    /// Waits for one more change, but no longer than `most`.
    fn wait_for_more<'a>(
        &'a self,
        changes: MutexGuard<'a, Changes>,
        most: Duration,
    ) -> MutexGuard<'a, Changes> {
        let count = changes.count;
        let waited = self.changed.wait_timeout_while(changes, most, |changes| {
            changes.count == count && !changes.stop
        });
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, EventKind, Inbox, NAMES, PathBuf, take};
    use notify::event::{
        AccessKind, AccessMode, CreateKind, DataChange, Flag, ModifyKind, RemoveKind,
    };
    use std::ffi::OsString;

    /// What is known after an event: the changed files, whether all may have changed, whether the
    /// directory may be lost.
    fn after(event: notify::Result<Event>) -> (Vec<OsString>, bool, bool) {
        let inbox = Inbox::default();
        take(event, &PathBuf::from("plugins"), &inbox);
        let changes = inbox.lock();
        let names = changes.names.iter().cloned().collect();
        (names, changes.all, changes.lost)
    }

    fn of(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    #[test]
    fn a_change_names_its_file() {
        let one = (vec![OsString::from("a.wasm")], false, false);
        for kind in [
            EventKind::Any,
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Remove(RemoveKind::File),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
        ] {
            assert_eq!(after(of(kind, "plugins/a.wasm")), one);
        }
    }

    #[test]
    fn reading_is_no_change() {
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
            AccessKind::Read,
        ] {
            let read = of(EventKind::Access(kind), "plugins/a.wasm");
            assert_eq!(after(read), (vec![], false, false));
        }
    }

    #[test]
    fn where_events_were_lost_all_files_may_have_changed() {
        // As notify tells that the kernel's queue has overflowed: without a path.
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(after(Ok(overflow)), (vec![], true, false));
    }

    #[test]
    fn what_happens_to_the_directory_itself_may_end_its_watch() {
        let removed = of(EventKind::Remove(RemoveKind::Folder), "plugins");
        assert_eq!(after(removed), (vec![], false, true));
        let failed = Err(notify::Error::generic("a reason"));
        assert_eq!(after(failed), (vec![], false, true));
    }

    #[test]
    fn a_storm_of_names_takes_bounded_memory() {
        let inbox = Inbox::default();
        for number in 0..2 * NAMES {
            let path = format!("plugins/{number}.wasm");
            let event = of(EventKind::Any, &path);
            take(event, &PathBuf::from("plugins"), &inbox);
        }
        let changes = inbox.wait();
        assert_eq!((changes.names.len(), changes.all), (NAMES, true));
        assert!(inbox.lock().names.is_empty());
    }
}
