//! [`Host`]: plugins by name, replaced while in use.

use crate::{
    base::text::shown,
    engine::Engine,
    error::{CallError, LoadError},
    grants::Grants,
    marshal::{Lift, Lower},
    plugin::Plugin,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{
    error::Error,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use hashbrown::HashMap;
use sha2::{Digest as _, Sha256};
use spin::RwLock;

/// A set of plugins that are found by name, and can be added, replaced and removed while they serve
/// calls.
///
/// Use it if requests name their plugin, or if plugins change while the program runs: the program
/// keeps one `Host`, and a name leads each call to the plugin's current version. A program with a
/// few fixed plugins needs no host; it holds the [`Plugin`]s that [`Engine::load`] returns.
///
/// Threads share a host by reference or [`Arc`](alloc::sync::Arc). No lock is held while a module is
/// compiled or a guest runs, so calls go on while a plugin is replaced. A call ends in the version
/// in which it began.
///
/// Names are any text, the empty one included, and compare byte by byte. `T` is the type of the data
/// that each instance has for host functions; `()` if these need none.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants, Host};
/// let host = Host::new(Engine::default());
/// host.insert("echo", &wasm, &Grants::new())?;
/// assert_eq!(host.process("echo", b"hello")?, b"hello");
///
/// // A new version that fails its smoke call would leave the old one in place.
/// host.replace_if("echo", &wasm, &Grants::new(), |new| new.process(b"ping").map(drop))?;
/// assert_eq!(host.version("echo")?.number, 2);
///
/// host.remove("echo")?;
/// assert_eq!(host.process("echo", b"hello").unwrap_err().code(), "unknown-plugin");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Host<T: 'static = ()> {
    engine: Engine,
    plugins: RwLock<HashMap<Box<str>, Entry<T>>>,
    /// The highest version number so far; 0 before the first plugin.
    newest: AtomicUsize,
}

/// A plugin in the host.
struct Entry<T: 'static> {
    plugin: Plugin<T>,
    version: Version,
}

/// Identifies the module that is loaded under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// Position in the order in which the host loaded its modules, under any name; the first has 1.
    pub number: usize,
    /// The SHA-256 of the module's bytes, as they were passed in.
    pub sha256: [u8; 32],
}

impl Version {
    /// Returns the SHA-256 of a module's bytes, to tell whether it is loaded already.
    ///
    /// ```
    /// let digest = hostel_core::Version::sha256(b"abc");
    /// assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
    /// ```
    #[must_use]
    pub fn sha256(wasm: &[u8]) -> [u8; 32] {
        Sha256::digest(wasm).into()
    }
}

impl fmt::Display for Version {
    /// Writes `3 (sha256 9f86d081…)`, with all 64 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (sha256 ", self.number)?;
        for byte in self.sha256 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

impl Host<()> {
    /// Returns an empty host. Its plugins are loaded from `engine`, and their instances have no data
    /// for host functions.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self::with_data(engine)
    }
}

impl<T: 'static> Host<T> {
    /// Returns an empty host. Its plugins are loaded from `engine`, and host functions reach a `T` of
    /// the calling instance through [`Context`](crate::Context).
    #[must_use]
    pub fn with_data(engine: Engine) -> Self {
        Self {
            engine,
            plugins: RwLock::new(HashMap::new()),
            newest: AtomicUsize::new(0),
        }
    }

    /// Returns the engine that plugins are loaded from.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads `wasm` as a new plugin under `name`, and returns it.
    ///
    /// # Errors
    ///
    /// [`HostError::NameTaken`] if a plugin has this name; [`HostError::Load`] if the module is
    /// refused.
    pub fn insert(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HostError> {
        self.insert_if(name, wasm, grants, |_| Ok(()))
    }

    /// As [`insert`](Self::insert), but only if `smoke` succeeds. It may call the plugin, which no
    /// other thread can find yet.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert), and [`HostError::Smoke`] with the error of `smoke`. The name
    /// then stays free.
    pub fn insert_if(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        smoke: impl FnOnce(&Plugin<T>) -> Result<(), CallError>,
    ) -> Result<Plugin<T>, HostError> {
        let (plugin, _) = self.install(name, None, wasm, grants, smoke)?;
        Ok(plugin)
    }

    /// Loads `wasm` in place of the plugin `name`, and returns the old plugin. Calls that run in the
    /// old plugin end there, and its handles stay usable. With any error, the loaded plugin stays.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    /// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
    /// use hostel_core::{Engine, Grants, Host};
    /// let host = Host::new(Engine::default());
    /// host.insert("echo", &wasm, &Grants::new())?;
    /// assert_eq!(host.version("echo")?.number, 1);
    /// host.replace("echo", &wasm, &Grants::new())?;
    /// assert_eq!(host.version("echo")?.number, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name; [`HostError::Superseded`] if another
    /// thread replaced it meanwhile; [`HostError::Load`] if the module is refused.
    pub fn replace(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HostError> {
        self.replace_if(name, wasm, grants, |_| Ok(()))
    }

    /// As [`replace`](Self::replace), but only if `smoke` succeeds. It may call the new plugin, while
    /// the old one still serves.
    ///
    /// ```
    /// # let echo = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    /// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
    /// # let broken = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    /// #   (func (export "process") (param i32 i32) (result i32 i32) unreachable))"#)?;
    /// use hostel_core::{Engine, Grants, Host};
    /// let host = Host::new(Engine::default());
    /// host.insert("echo", &echo, &Grants::new())?;
    /// let replaced = host.replace_if("echo", &broken, &Grants::new(), |plugin| {
    ///     plugin.process(b"ping").map(drop)
    /// });
    /// assert_eq!(replaced.unwrap_err().code(), "trap-unreachable");
    /// assert_eq!(host.process("echo", b"hello")?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`replace`](Self::replace), and [`HostError::Smoke`] with the error of `smoke`.
    pub fn replace_if(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        smoke: impl FnOnce(&Plugin<T>) -> Result<(), CallError>,
    ) -> Result<Plugin<T>, HostError> {
        let (old, expected) =
            self.with_entry(name, |entry| (entry.plugin.clone(), entry.version))?;
        self.install(name, Some(expected), wasm, grants, smoke)?;
        Ok(old)
    }

    /// Loads `wasm` under `name`, if the version that is loaded there is `expected` (`None`: the name
    /// is free) and `smoke` succeeds. Returns the new version. Use it if several threads or watchers
    /// may replace one plugin.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants, Host};
    /// let (host, grants) = (Host::new(Engine::default()), Grants::new());
    /// let first = host.replace_version("name", None, &wasm, &grants, |_| Ok(()))?;
    /// let second = host.replace_version("name", Some(first), &wasm, &grants, |_| Ok(()))?;
    /// let refused = host.replace_version("name", Some(first), &wasm, &grants, |_| Ok(()));
    /// assert_eq!(refused.unwrap_err().code(), "superseded");
    /// assert_eq!(host.version("name")?, second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If another version than `expected` is loaded: [`HostError::NameTaken`] if that is `None`,
    /// [`HostError::UnknownPlugin`] if the name is free, else [`HostError::Superseded`].
    /// [`HostError::Load`] if the module is refused, [`HostError::Smoke`] with the error of `smoke`.
    pub fn replace_version(
        &self,
        name: &str,
        expected: Option<Version>,
        wasm: &[u8],
        grants: &Grants<T>,
        smoke: impl FnOnce(&Plugin<T>) -> Result<(), CallError>,
    ) -> Result<Version, HostError> {
        let (_, version) = self.install(name, expected, wasm, grants, smoke)?;
        Ok(version)
    }

    /// Loads and tries a module, and puts it in place of the version `expected`.
    fn install(
        &self,
        name: &str,
        expected: Option<Version>,
        wasm: &[u8],
        grants: &Grants<T>,
        smoke: impl FnOnce(&Plugin<T>) -> Result<(), CallError>,
    ) -> Result<(Plugin<T>, Version), HostError> {
        let found = self.version(name).ok();
        if found != expected {
            return Err(self.refusal(name, expected, found));
        }
        // Loaded and tried without the lock, since both take long. So the name is checked again below.
        let mut sha256 = None;
        let loaded = self.engine.load_any_hashed(name, wasm, grants, &mut sha256);
        let plugin = loaded.map_err(HostError::Load)?;
        smoke(&plugin).map_err(HostError::Smoke)?;
        let sha256 = sha256.unwrap_or_else(|| Version::sha256(wasm));
        let found = {
            let mut plugins = self.plugins.write();
            let found = plugins.get(name).map(|entry| entry.version);
            if found == expected {
                let before = self.newest.fetch_add(1, Ordering::Relaxed);
                let number = before.saturating_add(1);
                let version = Version { number, sha256 };
                let plugin = plugin.clone();
                let entry = Entry { plugin, version };
                Ok((version, plugins.insert(name.into(), entry)))
            } else {
                Err(found)
            }
        };
        match found {
            Ok((version, replaced)) => {
                // Without the lock: freeing a plugin takes time, and may run the embedder's code.
                drop(replaced);
                Ok((plugin, version))
            }
            // Another thread changed the plugin while this module was loaded.
            Err(found) => Err(self.refusal(name, expected, found)),
        }
    }

    /// The error for finding another version than `expected` under a name.
    fn refusal(&self, name: &str, expected: Option<Version>, found: Option<Version>) -> HostError {
        match (expected, found) {
            (None, _) => HostError::NameTaken { name: name.into() },
            (Some(_), None) => self.unknown(name),
            (Some(_), Some(_)) => HostError::Superseded { name: name.into() },
        }
    }

    /// Removes the plugin `name` and [closes](Plugin::close) it. Running calls end normally. Later
    /// calls through handles that are still held return [`CallError::Closed`].
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name.
    pub fn remove(&self, name: &str) -> Result<(), HostError> {
        // A statement of its own, so that the lock is not held while the plugin is closed.
        let removed = self.plugins.write().remove(name);
        match removed {
            Some(entry) => {
                entry.plugin.close();
                Ok(())
            }
            None => Err(self.unknown(name)),
        }
    }

    /// Returns a handle of the plugin `name`. It stays on this version if the plugin is replaced.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name.
    pub fn get(&self, name: &str) -> Result<Plugin<T>, HostError> {
        self.with_entry(name, |entry| entry.plugin.clone())
    }

    /// Returns the version that is loaded under `name`.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name.
    pub fn version(&self, name: &str) -> Result<Version, HostError> {
        self.with_entry(name, |entry| entry.version)
    }

    /// Returns the plugin that is loaded under `name`, and its version. Two calls, of [`get`](Self::get) and
    /// [`version`](Self::version), may have another version put in place between them.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name.
    pub fn get_with_version(&self, name: &str) -> Result<(Plugin<T>, Version), HostError> {
        self.with_entry(name, |entry| (entry.plugin.clone(), entry.version))
    }

    /// Applies `take` to the entry of `name`, under the lock.
    fn with_entry<R>(&self, name: &str, take: impl FnOnce(&Entry<T>) -> R) -> Result<R, HostError> {
        let found = self.plugins.read().get(name).map(take);
        found.ok_or_else(|| self.unknown(name))
    }

    /// Returns the names of the loaded plugins, sorted byte by byte.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .plugins
            .read()
            .keys()
            .map(|name| String::from(&**name))
            .collect();
        names.sort_unstable();
        names
    }

    /// The error for a name that no plugin has.
    fn unknown(&self, name: &str) -> HostError {
        HostError::UnknownPlugin {
            name: name.into(),
            loaded: self.plugins.read().len(),
        }
    }
}

impl<T: Default + 'static> Host<T> {
    /// [Warms up](Plugin::warm_up) each plugin, and returns the number of instances made. A plugin
    /// that fails to is skipped; its next call returns the error.
    pub fn warm_up(&self) -> usize {
        let plugins: Vec<_> = {
            let plugins = self.plugins.read();
            plugins.values().map(|it| it.plugin.clone()).collect()
        };
        let made = plugins.iter().map(|plugin| plugin.warm_up().unwrap_or(0));
        made.sum()
    }

    /// Calls `process` of the plugin `name` and returns a copy of its output; see
    /// [`Plugin::process`].
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name; [`HostError::Call`] if the call fails.
    pub fn process(&self, name: &str, input: &[u8]) -> Result<Vec<u8>, HostError> {
        self.get(name)?.process(input).map_err(HostError::Call)
    }

    /// Calls the export `export` of the plugin `name`; see [`Plugin::call`].
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`] if no plugin has this name; [`HostError::Call`] if the call fails.
    pub fn call<P, R>(&self, name: &str, export: &str, params: P) -> Result<R, HostError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let plugin = self.get(name)?;
        plugin.call(export, params).map_err(HostError::Call)
    }
}

impl<T> fmt::Debug for Host<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("plugins", &self.list())
            .finish_non_exhaustive()
    }
}

/// An error of a [`Host`]. Messages show plugins' names with control characters escaped, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// No plugin of this name is loaded.
    UnknownPlugin {
        /// The name asked for.
        name: Box<str>,
        /// The number of plugins that are loaded. Their names are left out: they may be another
        /// tenant's.
        loaded: usize,
    },
    /// A plugin of this name is loaded already.
    NameTaken {
        /// The name.
        name: Box<str>,
    },
    /// The plugin is not the expected version: it was replaced meanwhile.
    Superseded {
        /// The name.
        name: Box<str>,
    },
    /// The module was refused.
    Load(LoadError),
    /// The module was loaded, but its smoke call failed; it was dropped.
    Smoke(CallError),
    /// The call failed.
    Call(CallError),
}

impl HostError {
    /// Returns the stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownPlugin { .. } => "unknown-plugin",
            Self::NameTaken { .. } => "name-taken",
            Self::Superseded { .. } => "superseded",
            Self::Load(error) => error.code(),
            Self::Smoke(error) | Self::Call(error) => error.code(),
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlugin { name, loaded } => {
                let name = shown(name);
                write!(
                    f,
                    "no plugin is called `{name}` (loaded: {loaded}): check the name, or insert the plugin first"
                )
            }
            Self::NameTaken { name } => write!(
                f,
                "a plugin `{}` is loaded already: replace it, or remove it first",
                shown(name)
            ),
            Self::Superseded { name } => write!(
                f,
                "the plugin `{}` was replaced meanwhile, and that version stays: get its version, and replace that",
                shown(name)
            ),
            Self::Load(error) => error.fmt(f),
            Self::Smoke(error) => {
                write!(
                    f,
                    "the smoke call failed, the plugin is not loaded: {error}"
                )
            }
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl Error for HostError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Load(error) => error.source(),
            Self::Smoke(error) | Self::Call(error) => error.source(),
            _ => None,
        }
    }
}
