//! Watches a directory of plugins and loads its changes.

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

/// The directory is read once nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(50);

/// The directory is read after this long, even if changes go on.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How often the thread checks that the path still leads to the watched directory.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Most names of changed files that are kept. If more change at once, every file is read.
const MAX_NAMES: usize = 1_000;

/// A [`PluginDirectory`] that a thread watches.
///
/// The thread loads changes once the directory has been quiet for 50 milliseconds, or after one
/// second if changes go on.
///
/// * A writer that pauses while it writes a file may have half a file loaded, and then the rest. Half a
///   module rarely loads, but it can. [`install_module`](crate::install_module) prevents this.
/// * If the system loses track of changes, every file is read.
/// * If the directory is removed, the thread waits for it to come back, and then watches the new one.
/// * The target of a symbolic link is not watched. It is read again at any change in the directory.
///
/// Dropping this stops the thread, once it has finished the file that it is loading. The plugins stay
/// in the host.
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
    /// Loads the directory's plugins, then starts a thread that loads its changes.
    ///
    /// # Errors
    ///
    /// [`FileError`] with [`FileReason::Io`] if the directory does not exist, the system can't watch
    /// it, or the thread can't be started. Errors of single files go to the
    /// [observer](PluginDirectory::observer).
    pub fn watch(mut self) -> Result<WatchedDirectory, FileError> {
        let inbox = Arc::new(Inbox::default());
        let path = self.path().to_owned();
        let fail = |error| FileError::new(&path, FileReason::Io(error));
        // Watch before reading: a change in between must not be missed.
        let watched = Watched::begin(&path, &inbox).map_err(fail)?;
        self.rescan();
        let thread = thread::Builder::new().name("hostel-watch".into()).spawn({
            let inbox = inbox.clone();
            move || run_watch(self, Some(watched), &inbox)
        });
        let thread = Some(thread.map_err(fail)?);
        Ok(WatchedDirectory { inbox, thread })
    }
}

impl WatchedDirectory {
    /// Makes the watching thread read every file again. Returns at once; the observer receives the
    /// events.
    pub fn rescan(&self) {
        self.inbox.note(|changes| changes.all = true);
    }
}

impl Drop for WatchedDirectory {
    fn drop(&mut self) {
        self.inbox.note(|changes| changes.stop = true);
        // The observer may drop it, on the watching thread: a thread can't join itself.
        let thread = self.thread.take();
        let other = thread.filter(|thread| thread.thread().id() != thread::current().id());
        let _ = other.map(JoinHandle::join);
    }
}

/// Loads changes until it is stopped. Runs on the watching thread.
fn run_watch<T>(
    mut directory: PluginDirectory<T>,
    mut watched: Option<Watched>,
    inbox: &Arc<Inbox>,
) {
    // Whether the observer knows that the directory can't be watched: it is told once.
    let mut reported = false;
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
            // While the directory can't be watched, every heartbeat reads it instead.
            if now.is_some() {
                match Watched::begin(directory.path(), inbox) {
                    Ok(begun) => watched = Some(begun),
                    Err(error) if !reported => {
                        directory.fail(error);
                    }
                    Err(_) => {}
                }
                reported = watched.is_none();
            }
        }
        if changes.all {
            directory.rescan();
        } else if !changes.names.is_empty() {
            directory.rescan_where(|name| changes.names.contains(name));
        }
    }
}

/// A directory that the operating system watches.
struct Watched {
    identity: Identity,
    /// Kept, since dropping it ends the watch.
    _watcher: RecommendedWatcher,
}

impl Watched {
    fn begin(path: &Path, inbox: &Arc<Inbox>) -> io::Result<Self> {
        // Read before watching: if the directory is replaced in between, the next heartbeat notices.
        let identity = Identity::of(path).ok_or(io::ErrorKind::NotFound)?;
        let (directory, inbox) = (path.to_owned(), inbox.clone());
        let watcher =
            notify::recommended_watcher(move |event| note_event(event, &directory, &inbox));
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

/// Notes an event of the operating system in the inbox.
fn note_event(event: notify::Result<Event>, directory: &PathBuf, inbox: &Inbox) {
    let Ok(event) = event else {
        return inbox.note(|changes| changes.lost = true);
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        // Loading a file causes such events too: they must not cause another load.
        EventKind::Access(_) => return,
        _ => {}
    }
    inbox.note(|changes| {
        changes.all |= event.need_rescan();
        for path in &event.paths {
            match path.file_name() {
                Some(name) if path != directory => changes.add(name.to_owned()),
                // The directory itself: it may have been moved or removed.
                _ => changes.lost = true,
            }
        }
    });
}

/// Tells directories apart that take turns at one path: the device and inode numbers.
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

/// Other systems have no such numbers: all directories at a path count as one.
#[cfg(not(unix))]
impl From<&fs::Metadata> for Identity {
    fn from(_: &fs::Metadata) -> Self {
        Self(0, 0)
    }
}

/// Changes that the watching thread has not handled yet. The lock is held only to add or take them,
/// so the system's notifications never wait for a load.
#[derive(Debug, Default)]
struct Inbox {
    changes: Mutex<Changes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Changes {
    /// Number of changes noted.
    count: u64,
    /// The names of changed files.
    names: HashSet<OsString>,
    /// Whether any file may have changed, so that every file must be read.
    all: bool,
    /// Whether the system may have stopped watching the directory.
    lost: bool,
    /// Whether the thread must end.
    stop: bool,
}

impl Changes {
    fn add(&mut self, name: OsString) {
        if self.names.len() < MAX_NAMES {
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

    /// Waits for changes, then until they pause, and takes them. Without changes, returns none after
    /// one heartbeat.
    fn wait(&self) -> Changes {
        let mut changes = self.lock();
        if changes.count == 0 {
            changes = self.wait_for_more(changes, HEARTBEAT);
        }
        let first = Instant::now();
        while changes.count > 0 && !changes.stop {
            let count = changes.count;
            let left = LONGEST_DELAY.saturating_sub(first.elapsed());
            changes = self.wait_for_more(changes, QUIET.min(left));
            if changes.count == count || left.is_zero() {
                break;
            }
        }
        mem::take(&mut *changes)
    }

    /// Waits for one more change, at most for `most`.
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
    use super::{Event, EventKind, Inbox, MAX_NAMES, PathBuf, note_event};
    use notify::event::{
        AccessKind, AccessMode, CreateKind, DataChange, Flag, ModifyKind, RemoveKind,
    };
    use std::ffi::OsString;

    /// The inbox after one event: the changed files, whether every file may have changed, whether the
    /// watch may be lost.
    fn after(event: notify::Result<Event>) -> (Vec<OsString>, bool, bool) {
        let inbox = Inbox::default();
        note_event(event, &PathBuf::from("plugins"), &inbox);
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
        // notify reports an overflow of the kernel's queue like this, without a path.
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
        for number in 0..2 * MAX_NAMES {
            let path = format!("plugins/{number}.wasm");
            let event = of(EventKind::Any, &path);
            note_event(event, &PathBuf::from("plugins"), &inbox);
        }
        let changes = inbox.wait();
        assert_eq!((changes.names.len(), changes.all), (MAX_NAMES, true));
        assert!(inbox.lock().names.is_empty());
    }
}
