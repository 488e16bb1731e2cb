//! Watches directories of plugins and loads their changes. One thread does this for all directories,
//! and one more receives the system's notifications.

use crate::{FileError, FileReason, PluginDirectory};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fmt, fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
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

/// A [`PluginDirectory`] that a thread watches. All watched directories share the thread, so one is
/// loaded after the other.
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
/// Dropping this ends the watch, once the thread has finished with the directory if it is loading it.
/// The plugins stay in the host. The thread ends with the last watch.
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
pub struct WatchedDirectory {
    follower: Arc<Follower>,
}

impl<T: Send + 'static> PluginDirectory<T> {
    /// Loads the directory's plugins, then has a thread load its changes.
    ///
    /// # Errors
    ///
    /// [`FileError`] with [`FileReason::Io`] if the directory does not exist, the system can't watch
    /// it, or the thread can't be started. Errors of single files go to the
    /// [observer](PluginDirectory::with_observer).
    pub fn watch(mut self) -> Result<WatchedDirectory, FileError> {
        let inbox = Arc::new(Inbox::default());
        let path = self.path().to_owned();
        let fail = |error| FileError::new(&path, FileReason::Io(error));
        // Watch before reading: a change in between must not be missed.
        let watched = Watched::begin(&path, &inbox).map_err(fail)?;
        self.rescan();
        let follower = Arc::new(Follower {
            inbox,
            work: Mutex::new(Some(Work {
                directory: Box::new(self),
                watched: Some(watched),
                reported: false,
            })),
        });
        THREAD.add(follower.clone()).map_err(fail)?;
        Ok(WatchedDirectory { follower })
    }
}

impl WatchedDirectory {
    /// Makes the watching thread read every file again. Returns at once; the observer receives the
    /// events.
    pub fn rescan(&self) {
        self.follower.inbox.note(|changes| changes.all = true);
    }

    /// Reads the file `name` of the directory again, and new files, on the calling thread. Returns once the host is
    /// in step with it. Waits for the watching thread if that is loading this directory, so don't call it from the
    /// observer.
    pub fn load_now(&self, name: &OsStr) {
        if let Some(work) = &mut *lock(&self.follower.work) {
            work.directory.rescan_where(&|changed| changed == name);
        }
    }
}

impl Drop for WatchedDirectory {
    fn drop(&mut self) {
        let thread = THREAD.remove(&self.follower);
        let work = if thread == Some(thread::current().id()) {
            // An observer drops it. If the thread is at work for it, that is its last work.
            self.follower
                .work
                .try_lock()
                .ok()
                .and_then(|mut work| work.take())
        } else {
            lock(&self.follower.work).take()
        };
        drop(work);
    }
}

impl fmt::Debug for WatchedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedDirectory").finish_non_exhaustive()
    }
}

/// A directory that the thread follows.
struct Follower {
    inbox: Arc<Inbox>,
    /// Locked while the thread is at work for the directory. `None` once the watch has ended.
    work: Mutex<Option<Work>>,
}

/// What the thread needs to load a directory's changes.
struct Work {
    directory: Box<dyn Scan>,
    watched: Option<Watched>,
    /// Whether the observer knows that the directory can't be watched: it is told once.
    reported: bool,
}

/// A [`PluginDirectory`] for instances with any data.
trait Scan: Send {
    fn path(&self) -> &Path;
    fn rescan(&mut self);
    fn rescan_where(&mut self, changed: &dyn Fn(&OsStr) -> bool);
    fn fail(&mut self, error: io::Error);
}

impl<T: Send + 'static> Scan for PluginDirectory<T> {
    fn path(&self) -> &Path {
        self.path()
    }

    fn rescan(&mut self) {
        self.rescan();
    }

    fn rescan_where(&mut self, changed: &dyn Fn(&OsStr) -> bool) {
        self.rescan_where(changed);
    }

    fn fail(&mut self, error: io::Error) {
        self.fail(error);
    }
}

impl Work {
    /// Loads `changes`, and watches the directory anew if the system may have stopped.
    fn load(&mut self, mut changes: Changes, inbox: &Arc<Inbox>) {
        let now = Identity::of(self.directory.path());
        let before = self.watched.as_ref().map(|watched| watched.identity);
        if changes.lost || now != before {
            changes.all = true;
            self.watched = None;
            // While the directory can't be watched, every heartbeat reads it instead.
            if now.is_some() {
                match Watched::begin(self.directory.path(), inbox) {
                    Ok(begun) => self.watched = Some(begun),
                    Err(error) if !self.reported => self.directory.fail(error),
                    Err(_) => {}
                }
                self.reported = self.watched.is_none();
            }
        }
        if changes.all {
            self.directory.rescan();
        } else if !changes.names.is_empty() {
            let names = changes.names;
            self.directory.rescan_where(&|name| names.contains(name));
        }
    }
}

/// The thread that loads the changes of all directories. It runs while there are any.
static THREAD: WatchThread = WatchThread {
    state: Mutex::new(Followers {
        list: Vec::new(),
        thread: None,
    }),
    changed: Condvar::new(),
};

struct WatchThread {
    state: Mutex<Followers>,
    /// Notified after changes, and when a watch begins or ends.
    changed: Condvar,
}

struct Followers {
    list: Vec<Arc<Follower>>,
    /// The thread, while it runs.
    thread: Option<ThreadId>,
}

impl WatchThread {
    /// Adds a directory, and starts the thread if it does not run.
    fn add(&'static self, follower: Arc<Follower>) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.thread.is_none() {
            let builder = thread::Builder::new().name("hostel-watch".into());
            let started = builder.spawn(|| self.run())?;
            state.thread = Some(started.thread().id());
        }
        state.list.push(follower);
        self.changed.notify_one();
        Ok(())
    }

    /// Removes a directory. Returns the thread, which may be at work for it.
    fn remove(&self, follower: &Arc<Follower>) -> Option<ThreadId> {
        let mut state = lock(&self.state);
        state.list.retain(|other| !Arc::ptr_eq(other, follower));
        self.changed.notify_one();
        state.thread
    }

    /// Loads changes until no directory is left.
    fn run(&self) {
        let mut heartbeat = Instant::now() + HEARTBEAT;
        loop {
            let mut state = lock(&self.state);
            if state.list.is_empty() {
                state.thread = None;
                return;
            }
            let now = Instant::now();
            let due = state.list.iter().filter_map(|one| one.inbox.due()).min();
            let next = due.map_or(heartbeat, |due| due.min(heartbeat));
            if next > now {
                let left = next - now;
                drop(self.changed.wait_timeout(state, left));
                continue;
            }
            let all = state.list.clone();
            drop(state);
            let beats = heartbeat <= now;
            if beats {
                heartbeat = now + HEARTBEAT;
            }
            for follower in all {
                if beats || follower.inbox.due().is_some_and(|due| due <= now) {
                    follower.load(now);
                }
            }
        }
    }
}

impl Follower {
    /// Loads the directory's changes, if they have paused. Checks the watch in any case.
    fn load(&self, now: Instant) {
        let mut work = lock(&self.work);
        if let Some(work) = &mut *work {
            work.load(self.inbox.take(now), &self.inbox);
        }
    }
}

/// A directory that the operating system watches.
struct Watched {
    identity: Identity,
    /// The path under which the system reports events.
    path: PathBuf,
    inbox: Arc<Inbox>,
}

/// What the system watches for all directories.
static SYSTEM: System = System {
    watcher: Mutex::new(None),
    routes: Mutex::new(None),
};

struct System {
    /// `None` while nothing is watched. Never locked by the thread that receives notifications, which
    /// a change of the watches waits for.
    watcher: Mutex<Option<RecommendedWatcher>>,
    routes: Mutex<Option<Routes>>,
}

/// The inboxes for events in a directory.
type Routes = HashMap<PathBuf, Vec<Arc<Inbox>>>;

impl Watched {
    fn begin(path: &Path, inbox: &Arc<Inbox>) -> io::Result<Self> {
        // Read before watching: if the directory is replaced in between, the next heartbeat notices.
        let identity = Identity::read(path)?;
        // The system has one watch for a directory, whatever paths lead to it.
        let path = fs::canonicalize(path)?;
        let mut watcher = lock(&SYSTEM.watcher);
        {
            let mut routes = lock(&SYSTEM.routes);
            let inboxes = routes.get_or_insert_default().entry(path.clone());
            let inboxes = inboxes.or_default();
            for other in inboxes.iter() {
                // Changes are not seen while the directory is watched anew.
                other.note(|changes| changes.all = true);
            }
            inboxes.push(inbox.clone());
        }
        // From here on dropped if an error occurs.
        let watched = Self {
            identity,
            path,
            inbox: inbox.clone(),
        };
        let begun = watch_anew(&mut watcher, &watched.path);
        // Dropping `watched` takes the lock again.
        drop(watcher);
        begun.map_err(|error| match error.kind {
            notify::ErrorKind::Io(error) => error,
            _ => io::Error::other(error.to_string()),
        })?;
        Ok(watched)
    }
}

/// Has the system watch the directory that is now at `path`.
fn watch_anew(watcher: &mut Option<RecommendedWatcher>, path: &Path) -> notify::Result<()> {
    if watcher.is_none() {
        *watcher = Some(notify::recommended_watcher(|event| {
            let routes = lock(&SYSTEM.routes);
            if let Some(routes) = &*routes {
                note_event(event, routes);
            }
        })?);
    }
    let Some(watcher) = watcher else {
        return Ok(());
    };
    // An error means that it was not watched. Else the watch may be for a directory that was moved.
    let _ = watcher.unwatch(path);
    watcher.watch(path, RecursiveMode::NonRecursive)
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watcher = lock(&SYSTEM.watcher);
        let (is_last_here, is_last) = {
            let mut routes = lock(&SYSTEM.routes);
            let routes = routes.get_or_insert_default();
            let inboxes = routes.entry(self.path.clone()).or_default();
            if let Some(at) = inboxes.iter().position(|one| Arc::ptr_eq(one, &self.inbox)) {
                inboxes.swap_remove(at);
            }
            let is_last_here = inboxes.is_empty();
            if is_last_here {
                routes.remove(&self.path);
            }
            (is_last_here, routes.is_empty())
        };
        if is_last {
            // Ends the thread that receives notifications.
            *watcher = None;
        } else if let Some(watcher) = &mut *watcher
            && is_last_here
        {
            // An error means that the system has ended the watch: the directory is gone.
            let _ = watcher.unwatch(&self.path);
        }
    }
}

/// Notes an event of the operating system in the inboxes that it concerns.
fn note_event(event: notify::Result<Event>, routes: &Routes) {
    let all = || routes.values().flatten();
    let Ok(event) = event else {
        return all().for_each(|inbox| inbox.note(|changes| changes.lost = true));
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        // Loading a file causes such events too: they must not cause another load.
        EventKind::Access(_) => return,
        _ => {}
    }
    if event.need_rescan() {
        all().for_each(|inbox| inbox.note(|changes| changes.all = true));
    }
    for path in &event.paths {
        // The directory itself: it may have been moved or removed.
        for inbox in routes.get(path).into_iter().flatten() {
            inbox.note(|changes| changes.lost = true);
        }
        let around = path.parent().and_then(|parent| routes.get(parent));
        if let Some(name) = path.file_name() {
            for inbox in around.into_iter().flatten() {
                inbox.note(|changes| changes.add(name.to_owned()));
            }
        }
    }
}

/// Tells directories apart that take turns at one path: the device and inode numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    /// Returns the identity of the directory at `path`; `None` if there is none.
    fn of(path: &Path) -> Option<Self> {
        Self::read(path).ok()
    }

    fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        match metadata.is_dir() {
            true => Ok(Self::from(&metadata)),
            false => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it is no directory",
            )),
        }
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

/// Changes of a directory that the thread has not handled yet. The lock is held only to add or take
/// them, so the system's notifications never wait for a load.
#[derive(Debug, Default)]
struct Inbox(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    /// The times of the first and of the last change.
    times: Option<(Instant, Instant)>,
    /// The names of changed files.
    names: HashSet<OsString>,
    /// Whether any file may have changed, so that every file must be read.
    all: bool,
    /// Whether the system may have stopped watching the directory.
    lost: bool,
}

impl Changes {
    fn add(&mut self, name: OsString) {
        if self.names.len() < MAX_NAMES {
            self.names.insert(name);
        } else {
            self.all = true;
        }
    }

    /// Returns the time at which they are handled: once they pause, or go on for long.
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.times?;
        Some((last + QUIET).min(first + LONGEST_DELAY))
    }
}

impl Inbox {
    fn note(&self, change: impl FnOnce(&mut Changes)) {
        let now = Instant::now();
        let mut changes = lock(&self.0);
        change(&mut changes);
        let first = changes.times.map_or(now, |(first, _)| first);
        let is_first = changes.times.is_none();
        changes.times = Some((first, now));
        drop(changes);
        if is_first {
            // Under its lock: the thread may be about to wait.
            let _state = lock(&THREAD.state);
            THREAD.changed.notify_one();
        }
    }

    fn due(&self) -> Option<Instant> {
        lock(&self.0).due()
    }

    /// Takes the changes if they are due at `now`.
    fn take(&self, now: Instant) -> Changes {
        let mut changes = lock(&self.0);
        if changes.due().is_some_and(|due| due <= now) {
            mem::take(&mut *changes)
        } else {
            Changes::default()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{
        Event, EventKind, Inbox, Instant, LONGEST_DELAY, MAX_NAMES, Routes, lock, note_event,
    };
    use notify::event::{
        AccessKind, AccessMode, CreateKind, DataChange, Flag, ModifyKind, RemoveKind,
    };
    use std::{ffi::OsString, sync::Arc};

    /// One watched directory, and its inbox.
    fn routes() -> (Routes, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::default());
        let routes = [("plugins".into(), vec![inbox.clone()])];
        (Routes::from(routes), inbox)
    }

    /// The inbox after one event: the changed files, whether every file may have changed, whether the
    /// watch may be lost.
    fn after(event: notify::Result<Event>) -> (Vec<OsString>, bool, bool) {
        let (routes, inbox) = routes();
        note_event(event, &routes);
        let changes = lock(&inbox.0);
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
    fn an_event_concerns_its_own_directory() {
        let (mut routes, inbox) = routes();
        let other = Arc::new(Inbox::default());
        routes.insert("other".into(), vec![other.clone()]);
        let event = of(EventKind::Any, "other/a.wasm");
        note_event(event, &routes);
        assert!(inbox.due().is_none());
        assert!(other.due().is_some());
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
        let (routes, inbox) = routes();
        for number in 0..2 * MAX_NAMES {
            let path = format!("plugins/{number}.wasm");
            let event = of(EventKind::Any, &path);
            note_event(event, &routes);
        }
        let changes = inbox.take(Instant::now() + LONGEST_DELAY);
        assert_eq!((changes.names.len(), changes.all), (MAX_NAMES, true));
        assert!(lock(&inbox.0).names.is_empty());
    }
}
