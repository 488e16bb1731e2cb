//! A directory of plugins, taken into a host.

use crate::{FileError, FileReason, read_module};
use hostel_core::{CallError, Escaped, Grants, Host, HostError, Plugin, Version};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A directory whose files `NAME.wasm` are a host's plugins, each as `NAME`.
///
/// [`rescan`](Self::rescan) makes the host as the directory is: it loads what is new, replaces
/// what has changed and unloads what is gone. A file that can't be loaded, or whose plugin fails
/// its smoke call, leaves what was there before. A file with the bytes that it had is not loaded
/// again. Calls that run go on as for [`Host::replace`] and [`Host::remove`], and none waits for
/// a plugin that is loaded.
///
/// Files are read as by [`read_module`], through symbolic links too. Names that begin with `.`, `~`
/// or `#` are left alone, as are those with another ending. A name that the host has from elsewhere
/// stays with the plugin that has it. A directory that is gone is an empty one; one that can't be
/// read changes nothing.
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
///     .smoke(|plugin| plugin.process(b"ping").map(drop))
///     .observer(|event| println!("{event}"));
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
    /// The files that were there, and the number of the version that each one became, if any.
    known: BTreeMap<OsString, Option<usize>>,
}

type Grant<T> = dyn Fn(&str) -> Grants<T> + Send;
type Smoke<T> = dyn Fn(&Plugin<T>) -> Result<(), CallError> + Send;

/// What has become of a file in a [`PluginDirectory`].
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectoryEvent {
    /// A plugin was loaded.
    Loaded {
        /// Its name.
        name: String,
        /// Which module it is.
        version: Version,
    },
    /// A plugin was loaded in place of the one of that name.
    Replaced {
        /// Its name.
        name: String,
        /// Which module it is.
        version: Version,
    },
    /// A plugin was unloaded, since its file is gone.
    Unloaded {
        /// Its name.
        name: String,
    },
    /// A file was not taken in, or the directory can't be read or watched; what was loaded before
    /// stays. It is tried again when it changes.
    Failed(FileError),
}

impl fmt::Display for DirectoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded { name, version } => write!(f, "loaded `{name}`, version {version}"),
            Self::Replaced { name, version } => write!(f, "replaced `{name}`, version {version}"),
            Self::Unloaded { name } => write!(f, "unloaded `{name}`"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<T: 'static> PluginDirectory<T> {
    /// A directory for `host`, in which each plugin gets what `grants` gives for its name. Nothing
    /// is read yet.
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

    /// The same, where `smoke` tries each plugin before it is taken in.
    #[must_use]
    pub fn smoke(
        mut self,
        smoke: impl Fn(&Plugin<T>) -> Result<(), CallError> + Send + 'static,
    ) -> Self {
        self.smoke = Box::new(smoke);
        self
    }

    /// The same, where `observer` is told of each event, after it. All events also go to
    /// [`tracing`], target `hostel::directory`.
    #[must_use]
    pub fn observer(mut self, observer: impl FnMut(DirectoryEvent) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the host as the directory is now. All files are read.
    pub fn rescan(&mut self) {
        self.rescan_where(|_| true);
    }

    /// The same, where of the files that were there before only those are read whose names are
    /// among `changed`, and symbolic links, whose targets are elsewhere.
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
            self.let_go(&file);
        }
        for (file, is_link) in found {
            if is_link || !self.known.contains_key(&file) || changed(&file) {
                self.take_in(file);
            }
        }
    }

    fn let_go(&mut self, file: &OsStr) {
        let number = self.known.remove(file).flatten();
        let Some(name) = plugin_name(file) else {
            return;
        };
        // What somebody else has put in its place stays.
        let version = self.host.version(name);
        let is_ours = version.is_ok_and(|version| Some(version.number) == number);
        if is_ours && self.host.remove(name).is_ok() {
            let name = name.to_owned();
            self.tell(DirectoryEvent::Unloaded { name });
        }
    }

    fn take_in(&mut self, file: OsString) {
        let path = self.path.join(&file);
        let before = self.known.get(&file).copied().flatten();
        // What grants and tries plugins is the embedder's, and may panic.
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
        self.tell(event);
    }

    /// Loads a file, unless it is the module that it was `before`.
    fn load(
        &self,
        path: &Path,
        before: Option<usize>,
    ) -> Result<Option<(Version, DirectoryEvent)>, FileReason> {
        let host = &self.host;
        let name = path.file_name().and_then(plugin_name);
        let name = name.ok_or(FileReason::Name)?;
        let limit = host.engine().limits().module_bytes;
        let wasm = read_module(path, limit).map_err(FileError::into_reason)?;
        let version = host.version(name).ok();
        let ours = version.filter(|version| Some(version.number) == before);
        if ours.is_some_and(|version| version.sha256 == Version::sha256(&wasm)) {
            return Ok(None);
        }
        let grants = (self.grants)(name);
        let taken = host.replace_version(name, ours, &wasm, &grants, &self.smoke);
        let (name, version) = (name.to_owned(), taken.map_err(FileReason::from)?);
        let event = match ours {
            Some(_) => DirectoryEvent::Replaced { name, version },
            None => DirectoryEvent::Loaded { name, version },
        };
        Ok(Some((version, event)))
    }

    /// Tells what is wrong with the directory itself.
    pub(crate) fn fail(&mut self, error: io::Error) {
        let error = FileError::new(&self.path, FileReason::Io(error));
        self.tell(DirectoryEvent::Failed(error));
    }

    fn tell(&mut self, event: DirectoryEvent) {
        const TARGET: &str = "hostel::directory";
        // Guests and names of files have a say in it.
        let text = event.to_string();
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

/// The names of the modules in a directory, each with whether it is a symbolic link.
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

/// The name of a file's plugin; `None` where it is not text.
fn plugin_name(file: &OsStr) -> Option<&str> {
    Path::new(file).file_stem()?.to_str()
}
