//! Loads a directory of plugins into a host.

use crate::{FileError, FileReason, file::shown_name, read_module};
use hostel_core::{CallError, Escaped, Grants, Host, HostError, Plugin, Version};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Keeps a host's plugins in step with a directory: the file `NAME.wasm` is the plugin `NAME`.
///
/// [`rescan`](Self::rescan) reads the directory. It loads new files, replaces plugins whose file has
/// changed, and unloads plugins whose file is gone.
///
/// * If a file can't be loaded, or its plugin fails the [smoke call](Self::with_smoke), the plugin loaded
///   before stays.
/// * A file whose bytes have not changed is not loaded again.
/// * Calls in progress end on the version that they started with, as for [`Host::replace`] and
///   [`Host::remove`]. No call waits while a plugin is loaded.
/// * Files are read as by [`read_module`], also through symbolic links.
/// * Names that begin with `.`, `~` or `#`, or that don't end with `.wasm`, are ignored.
/// * A plugin that the host got from elsewhere is never replaced or unloaded.
/// * A missing directory counts as an empty one. One that can't be read changes nothing.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// # let plugins = tempfile::tempdir()?;
/// use hostel::{Grants, Host, PluginDirectory, Tracing, install_module};
/// use std::sync::Arc;
///
/// let host = Arc::new(Host::new(hostel::engine()));
/// let grants = |_name: &str| Grants::new().log(Tracing);
/// let mut directory = PluginDirectory::new(host.clone(), plugins.path(), grants)
///     .with_smoke(|plugin| plugin.process(b"ping").map(drop))
///     .with_observer(|event| println!("{event}"));
///
/// install_module(plugins.path().join("echo.wasm"), &wasm)?;
/// directory.rescan();
/// assert_eq!(host.process("echo", b"hello")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PluginDirectory<T: 'static = ()> {
    host: Arc<Host<T>>,
    path: PathBuf,
    grants: Box<Grant<T>>,
    smoke: Box<Smoke<T>>,
    observer: Box<dyn FnMut(DirectoryEvent) + Send>,
    /// The files found by the last scan, each with the number of the version loaded from it, if any.
    known: BTreeMap<OsString, Option<usize>>,
}

/// Returns the grants of the plugin with a given name.
type Grant<T> = dyn Fn(&str) -> Grants<T> + Send;
/// Tries a plugin before it is taken into the host.
type Smoke<T> = dyn Fn(&Plugin<T>) -> Result<(), CallError> + Send;

/// Reports what became of a file in a [`PluginDirectory`].
///
/// Its text shows names of files and plugins [`Escaped`]: a line break in a name can't forge a second
/// line.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectoryEvent {
    /// A plugin was loaded from a new file.
    Loaded {
        /// The plugin's name.
        name: String,
        /// The loaded version.
        version: Version,
    },
    /// A plugin was replaced, because its file has changed.
    Replaced {
        /// The plugin's name.
        name: String,
        /// The new version.
        version: Version,
    },
    /// A plugin was unloaded, because its file is gone.
    Unloaded {
        /// The plugin's name.
        name: String,
    },
    /// A file could not be loaded, or the directory could not be read or watched. The plugin loaded
    /// before stays. A file is tried again when it changes.
    Failed(FileError),
}

impl fmt::Display for DirectoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded { name, version } => {
                write!(f, "loaded `{}`, version {version}", shown_name(name))
            }
            Self::Replaced { name, version } => {
                write!(f, "replaced `{}`, version {version}", shown_name(name))
            }
            Self::Unloaded { name } => write!(f, "unloaded `{}`", shown_name(name)),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<T: 'static> PluginDirectory<T> {
    /// Prepares to load the directory at `path` into `host`. `grants` returns the grants of the plugin
    /// with a given name, also [its limits](Grants::with_limits). It is called each time the plugin's
    /// file is read. Nothing is read before [`rescan`](Self::rescan) or `watch`.
    pub fn new(
        host: Arc<Host<T>>,
        path: impl Into<PathBuf>,
        grants: impl Fn(&str) -> Grants<T> + Send + 'static,
    ) -> Self {
        Self {
            host,
            path: path.into(),
            grants: Box::new(grants),
            smoke: Box::new(|_| Ok(())),
            observer: Box::new(drop),
            known: BTreeMap::new(),
        }
    }

    /// Sets a smoke call that tries each plugin before the host accepts it. An error refuses the plugin. By
    /// default every plugin is accepted.
    #[must_use]
    pub fn with_smoke(
        mut self,
        smoke: impl Fn(&Plugin<T>) -> Result<(), CallError> + Send + 'static,
    ) -> Self {
        self.smoke = Box::new(smoke);
        self
    }

    /// Sets an observer, which receives each event after it happened. Events also go to [`tracing`],
    /// target `hostel::directory`, with or without an observer.
    #[must_use]
    pub fn with_observer(mut self, observer: impl FnMut(DirectoryEvent) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the host in step with the directory. Reads every file.
    pub fn rescan(&mut self) {
        self.rescan_where(|_| true);
    }

    /// Brings the host in step with the directory. Of the files known from the last scan, reads only
    /// those for whose names `changed` is true, and symbolic links, since a link's target can change
    /// without the link.
    pub(crate) fn rescan_where(&mut self, changed: impl Fn(&OsStr) -> bool) {
        let found = match list(&self.path) {
            Ok(found) => found,
            Err(error) => {
                let gone = error.kind() == io::ErrorKind::NotFound;
                self.fail(error);
                if !gone {
                    return;
                }
                BTreeMap::new()
            }
        };
        let known = self.known.keys();
        let gone = known.filter(|file| !found.contains_key(*file));
        for file in gone.cloned().collect::<Vec<_>>() {
            self.unload(&file);
        }
        for (file, is_link) in found {
            if is_link || !self.known.contains_key(&file) || changed(&file) {
                self.reload(file);
            }
        }
    }

    /// Unloads the plugin of a file that is gone.
    fn unload(&mut self, file: &OsStr) {
        let number = self.known.remove(file).flatten();
        let Some(name) = plugin_name(file) else {
            return;
        };
        // The embedder may have replaced our plugin: its own one stays.
        let version = self.host.version(name);
        let is_ours = version.is_ok_and(|version| Some(version.number) == number);
        if is_ours && self.host.remove(name).is_ok() {
            let name = name.to_owned();
            self.report(DirectoryEvent::Unloaded { name });
        }
    }

    /// Loads a file that is new or has changed, and reports the outcome.
    fn reload(&mut self, file: OsString) {
        let path = self.path.join(&file);
        let before = self.known.get(&file).copied().flatten();
        // `grants` and `smoke` are the embedder's functions and may panic: that must not end a watch.
        let taken = catch_unwind(AssertUnwindSafe(|| self.load(&path, before)));
        let (number, event) = match taken.unwrap_or(Err(FileReason::Panicked)) {
            Ok(None) => return,
            Ok(Some((version, event))) => (Some(version.number), event),
            Err(reason) => {
                let error = FileError::new(&path, reason);
                (before, DirectoryEvent::Failed(error))
            }
        };
        self.known.insert(file, number);
        self.report(event);
    }

    /// Loads a file into the host. Returns `None` if its module is still that of the version
    /// numbered `before`.
    fn load(
        &self,
        path: &Path,
        before: Option<usize>,
    ) -> Result<Option<(Version, DirectoryEvent)>, FileReason> {
        let host = &self.host;
        let name = path.file_name().and_then(plugin_name);
        let name = name.ok_or(FileReason::Name)?;
        let grants = (self.grants)(name);
        let limits = grants.limits().unwrap_or(host.engine().limits());
        let limit = limits.module_bytes;
        let wasm = read_module(path, limit).map_err(FileError::into_reason)?;
        let version = host.version(name).ok();
        let ours = version.filter(|version| Some(version.number) == before);
        if ours.is_some_and(|version| version.sha256 == Version::sha256(&wasm)) {
            return Ok(None);
        }
        let taken = host.replace_version(name, ours, &wasm, &grants, &self.smoke);
        let (name, version) = (name.to_owned(), taken.map_err(FileReason::from)?);
        let event = match ours {
            Some(_) => DirectoryEvent::Replaced { name, version },
            None => DirectoryEvent::Loaded { name, version },
        };
        Ok(Some((version, event)))
    }

    /// Reports an error of the directory itself.
    pub(crate) fn fail(&mut self, error: io::Error) {
        let error = FileError::new(&self.path, FileReason::Io(error));
        self.report(DirectoryEvent::Failed(error));
    }

    /// Passes an event to the log and to the observer.
    fn report(&mut self, event: DirectoryEvent) {
        const TARGET: &str = "hostel::directory";
        // A module that does not fit has a message of several lines: a log record has one. Who reads the log can't change
        // the program.
        let text = format!("{event:#}");
        let text = Escaped::new(text.as_bytes());
        match &event {
            DirectoryEvent::Failed(_) => tracing::warn!(target: TARGET, "{text}"),
            _ => tracing::info!(target: TARGET, "{text}"),
        }
        let observer = AssertUnwindSafe(|| (self.observer)(event));
        if catch_unwind(observer).is_err() {
            tracing::error!(target: TARGET, "the observer panicked");
        }
    }
}

impl<T> fmt::Debug for PluginDirectory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginDirectory")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl From<HostError> for FileReason {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Load(error) => Self::Load(error),
            error => Self::Host(error),
        }
    }
}

/// Lists the module files in a directory, each with whether it is a symbolic link.
fn list(directory: &Path) -> io::Result<BTreeMap<OsString, bool>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = entry.file_name();
        let first = file.as_encoded_bytes().first();
        let is_module = Path::new(&file).extension() == Some(OsStr::new("wasm"));
        if is_module && !matches!(first, Some(b'.' | b'~' | b'#')) {
            let is_link = entry
                .file_type()
                .is_ok_and(|file_type| file_type.is_symlink());
            found.insert(file, is_link);
        }
    }
    Ok(found)
}

/// Returns the name of a file's plugin, or `None` if it is not UTF-8.
fn plugin_name(file: &OsStr) -> Option<&str> {
    Path::new(file).file_stem()?.to_str()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A file's name with a line break, behind which it forges an event.
    const FORGED: &str = "a\nloaded `b`";

    #[test]
    fn a_line_break_in_a_name_forges_no_second_line() {
        let plugins = tempfile::tempdir().expect("a directory can be made");
        let file = plugins.path().join(FORGED).with_extension("wasm");
        let wasm = wat::parse_str(r#"(module (func (export "f")))"#).expect("it is a module");
        let changed = wat::parse_str(r#"(module (func (export "g")))"#).expect("it is a module");
        let host = Arc::new(Host::new(crate::engine()));
        let (send, events) = mpsc::channel();
        let mut directory =
            PluginDirectory::new(host.clone(), plugins.path(), |_| Grants::<()>::new())
                .with_observer(move |event| send.send(event).expect("the test listens"));
        let mut rescan = || {
            directory.rescan();
            events.try_recv().expect("the file has changed").to_string()
        };
        let write = |bytes: &[u8]| fs::write(&file, bytes).expect("the file can be written");

        write(b"not a module");
        let failed = rescan();
        write(&wasm);
        let loaded = rescan();
        write(&changed);
        let replaced = rescan();
        fs::remove_file(&file).expect("the file is there");
        let unloaded = rescan();
        host.insert(FORGED, &wasm, &Grants::new())
            .expect("the name is free");
        write(&wasm);
        let taken = rescan();

        for (text, starts) in [
            (failed, "can't load "),
            (loaded, "loaded `a\\nloaded `b``, version "),
            (replaced, "replaced `a\\nloaded `b``, version "),
            (unloaded, "unloaded `a\\nloaded `b``"),
            (taken, "can't load "),
        ] {
            assert!(text.starts_with(starts), "{text:?}");
            assert!(text.contains(r"a\nloaded `b`"), "{text:?}");
            assert_eq!(text.lines().count(), 1, "{text:?}");
        }
    }
}
