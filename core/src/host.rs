//! Plugins by name, replaced while in use.

use crate::{
    base::text::listed,
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

/// Plugins by name. Shared between threads by reference; no lock is held while a guest is
/// compiled or runs.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants, Host};
/// let host = Host::new(Engine::default());
/// host.insert("echo", &wasm, &Grants::new())?;
/// assert_eq!(host.process("echo", b"hello")?, b"hello");
/// assert_eq!(host.list(), ["echo"]);
/// host.remove("echo")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Host<T: 'static = ()> {
    engine: Engine,
    plugins: RwLock<HashMap<Box<str>, Entry<T>>>,
    /// The number of the module that was taken in last.
    newest: AtomicUsize,
}

/// A plugin in the host.
struct Entry<T: 'static> {
    plugin: Plugin<T>,
    version: Version,
}

/// Which module is behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// Counts the modules that the host took in, under whatever name: a later one has a higher
    /// number.
    pub number: usize,
    /// The SHA-256 of the module's bytes, as they were loaded.
    pub sha256: [u8; 32],
}

impl Version {
    /// The SHA-256 of a module's bytes, to compare with a version's before loading it.
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
    /// As `3 (sha256 9f86d081…)`, with all digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (sha256 ", self.number)?;
        for byte in self.sha256 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

impl Host<()> {
    /// Returns an empty host whose plugins are loaded from `engine`, without data of the embedder's.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self::with_data(engine)
    }
}

impl<T: 'static> Host<T> {
    /// Returns an empty host whose plugins are loaded from `engine`, and whose host functions reach a
    /// `T` of each instance through [`Context`](crate::Context).
    #[must_use]
    pub fn with_data(engine: Engine) -> Self {
        Self {
            engine,
            plugins: RwLock::new(HashMap::new()),
            newest: AtomicUsize::new(0),
        }
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads a plugin under a name that is free.
    ///
    /// # Errors
    ///
    /// [`HostError::NameTaken`], or [`HostError::Load`] with what is wrong with the module.
    pub fn insert(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HostError> {
        self.insert_if(name, wasm, grants, |_| Ok(()))
    }

    /// The same, if a smoke call goes well: `smoke` tries the plugin before anybody else sees it.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert), and [`HostError::Smoke`]; then the name stays free.
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

    /// Loads a plugin in place of the one of that name, which is given back. Calls that run on the
    /// old one end there; where the new one can't be loaded, the old one stays, and so does one that
    /// somebody else has put there meanwhile.
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
    /// [`HostError::UnknownPlugin`], [`HostError::Superseded`], or [`HostError::Load`] with what
    /// is wrong with the module.
    pub fn replace(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HostError> {
        self.replace_if(name, wasm, grants, |_| Ok(()))
    }

    /// The same, if a smoke call goes well: `smoke` tries the new plugin, while the old one still
    /// serves.
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
    /// As for [`replace`](Self::replace), and [`HostError::Smoke`].
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

    /// Loads a plugin under a name that is free, or in place of the version `over` of it and no
    /// other, if a smoke call goes well; gives its version.
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
    /// [`HostError::NameTaken`] where it is not free, [`HostError::UnknownPlugin`] and
    /// [`HostError::Superseded`] where that version is not there, [`HostError::Load`] and
    /// [`HostError::Smoke`].
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
        // Loaded and tried without a lock, and so are dropped what is replaced and what is refused.
        let loaded = self.engine.load(name, wasm, grants);
        let plugin = loaded.map_err(HostError::Load)?;
        smoke(&plugin).map_err(HostError::Smoke)?;
        let sha256 = Version::sha256(wasm);
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
                drop(replaced);
                Ok((plugin, version))
            }
            // Another thread was faster.
            Err(found) => Err(self.refusal(name, expected, found)),
        }
    }

    /// Why a plugin is not taken in where not the version `over` was found under its name.
    fn refusal(&self, name: &str, expected: Option<Version>, found: Option<Version>) -> HostError {
        match (expected, found) {
            (None, _) => HostError::NameTaken { name: name.into() },
            (Some(_), None) => self.unknown(name),
            (Some(_), Some(_)) => HostError::Superseded { name: name.into() },
        }
    }

    /// Takes the plugin of that name out of the host and closes it: calls that run end normally,
    /// new ones through handles that are still held are refused.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`].
    pub fn remove(&self, name: &str) -> Result<(), HostError> {
        let removed = self.plugins.write().remove(name);
        match removed {
            Some(entry) => {
                entry.plugin.close();
                Ok(())
            }
            None => Err(self.unknown(name)),
        }
    }

    /// The plugin of that name.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`].
    pub fn get(&self, name: &str) -> Result<Plugin<T>, HostError> {
        self.with_entry(name, |entry| entry.plugin.clone())
    }

    /// Which module is behind that name.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`].
    pub fn version(&self, name: &str) -> Result<Version, HostError> {
        self.with_entry(name, |entry| entry.version)
    }

    fn with_entry<R>(&self, name: &str, take: impl FnOnce(&Entry<T>) -> R) -> Result<R, HostError> {
        let found = self.plugins.read().get(name).map(take);
        found.ok_or_else(|| self.unknown(name))
    }

    /// The names of the plugins, sorted.
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

    fn unknown(&self, name: &str) -> HostError {
        HostError::UnknownPlugin {
            name: name.into(),
            loaded: listed(self.list()).into(),
        }
    }
}

impl<T: Default + 'static> Host<T> {
    /// Has each plugin [warm up](Plugin::warm_up), and gives the number of instances that were made.
    /// Of a plugin that can't, its next call tells why.
    pub fn warm_up(&self) -> usize {
        let plugins: Vec<_> = {
            let plugins = self.plugins.read();
            plugins.values().map(|it| it.plugin.clone()).collect()
        };
        let made = plugins.iter().map(|plugin| plugin.warm_up().unwrap_or(0));
        made.sum()
    }

    /// Calls `process` of the plugin `name`; see [`Plugin::process`].
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`], or [`HostError::Call`].
    pub fn process(&self, name: &str, input: &[u8]) -> Result<Vec<u8>, HostError> {
        self.get(name)?.process(input).map_err(HostError::Call)
    }

    /// Calls the export `export` of the plugin `name`; see [`Plugin::call`].
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownPlugin`], or [`HostError::Call`].
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

/// Why a host did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// No plugin of this name is loaded.
    UnknownPlugin {
        /// The name asked for.
        name: Box<str>,
        /// Those that are loaded, for the message.
        loaded: Box<str>,
    },
    /// A plugin of this name is loaded already.
    NameTaken {
        /// The name.
        name: Box<str>,
    },
    /// Another module took that place while this one was loaded.
    Superseded {
        /// The name.
        name: Box<str>,
    },
    /// The module did not become a plugin.
    Load(LoadError),
    /// The plugin was loaded, but the smoke call did not go well.
    Smoke(CallError),
    /// The call gave no result.
    Call(CallError),
}

impl HostError {
    /// The stable code of this kind of error.
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
                write!(f, "no plugin `{name}` is loaded; loaded are {loaded}")
            }
            Self::NameTaken { name } => {
                write!(
                    f,
                    "a plugin `{name}` is loaded already: replace or unload it first"
                )
            }
            Self::Superseded { name } => write!(
                f,
                "another module took the place of `{name}` meanwhile, and stays: look which, and replace that"
            ),
            Self::Load(error) => error.fmt(f),
            Self::Smoke(error) => write!(f, "it is not taken in, its smoke call failed: {error}"),
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
