//! Plugins by name, replaced while in use.

use crate::{
    engine::Engine,
    error::{CallError, LoadError, listed},
    host::Grants,
    marshal::{Lift, Lower},
    plugin::Plugin,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{error::Error, fmt};
use hashbrown::HashMap;
use spin::RwLock;

/// Plugins by name. Shared between threads by reference; no lock is held while a guest is
/// compiled or runs.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants, House};
/// let house = House::<()>::new(Engine::default());
/// house.load("echo", &wasm, &Grants::new())?;
/// assert_eq!(house.process("echo", b"hello")?, b"hello");
/// assert_eq!(house.list(), ["echo"]);
/// house.unload("echo")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct House<T: 'static = ()> {
    engine: Engine,
    plugins: RwLock<HashMap<Box<str>, Plugin<T>>>,
}

impl<T: 'static> House<T> {
    /// An empty house whose plugins are loaded from `engine`.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            plugins: RwLock::new(HashMap::new()),
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
    /// [`HouseError::NameTaken`], or [`HouseError::Load`] with what is wrong with the module.
    pub fn load(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HouseError> {
        let taken = || HouseError::NameTaken { name: name.into() };
        if self.plugins.read().contains_key(name) {
            return Err(taken());
        }
        let plugin = self
            .engine
            .load(name, wasm, grants)
            .map_err(HouseError::Load)?;
        // Another thread may have been faster meanwhile.
        match self.plugins.write().try_insert(name.into(), plugin.clone()) {
            Ok(_) => Ok(plugin),
            Err(_) => Err(taken()),
        }
    }

    /// Loads a plugin in place of the one of that name, which is given back. Calls that run on
    /// the old one end there; where the new one can't be loaded, the old one stays.
    ///
    /// # Errors
    ///
    /// [`HouseError::UnknownPlugin`], or [`HouseError::Load`] with what is wrong with the module.
    pub fn replace(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, HouseError> {
        self.get(name)?;
        let plugin = self
            .engine
            .load(name, wasm, grants)
            .map_err(HouseError::Load)?;
        let replaced = {
            let mut plugins = self.plugins.write();
            plugins
                .get_mut(name)
                .map(|place| core::mem::replace(place, plugin))
        };
        // Another thread may have unloaded it meanwhile. The message needs the lock again.
        replaced.ok_or_else(|| self.unknown(name))
    }

    /// Takes the plugin of that name out of the house and closes it: calls that run end normally,
    /// new ones through handles that are still held are refused.
    ///
    /// # Errors
    ///
    /// [`HouseError::UnknownPlugin`].
    pub fn unload(&self, name: &str) -> Result<(), HouseError> {
        let removed = self.plugins.write().remove(name);
        match removed {
            Some(plugin) => {
                plugin.close();
                Ok(())
            }
            None => Err(self.unknown(name)),
        }
    }

    /// The plugin of that name.
    ///
    /// # Errors
    ///
    /// [`HouseError::UnknownPlugin`].
    pub fn get(&self, name: &str) -> Result<Plugin<T>, HouseError> {
        let found = self.plugins.read().get(name).cloned();
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

    fn unknown(&self, name: &str) -> HouseError {
        HouseError::UnknownPlugin {
            name: name.into(),
            loaded: listed(self.list()).into(),
        }
    }
}

impl<T: Default + 'static> House<T> {
    /// Calls `process` of the plugin `name`; see [`Plugin::process`].
    ///
    /// # Errors
    ///
    /// [`HouseError::UnknownPlugin`], or [`HouseError::Call`].
    pub fn process(&self, name: &str, input: &[u8]) -> Result<Vec<u8>, HouseError> {
        self.get(name)?.process(input).map_err(HouseError::Call)
    }

    /// Calls the export `export` of the plugin `name`; see [`Plugin::call`].
    ///
    /// # Errors
    ///
    /// [`HouseError::UnknownPlugin`], or [`HouseError::Call`].
    pub fn call<P, R>(&self, name: &str, export: &str, params: P) -> Result<R, HouseError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let plugin = self.get(name)?;
        plugin.call(export, params).map_err(HouseError::Call)
    }
}

impl<T> fmt::Debug for House<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House")
            .field("plugins", &self.list())
            .finish_non_exhaustive()
    }
}

/// Why a house did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HouseError {
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
    /// The module did not become a plugin.
    Load(LoadError),
    /// The call gave no result.
    Call(CallError),
}

impl HouseError {
    /// The stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownPlugin { .. } => "unknown-plugin",
            Self::NameTaken { .. } => "name-taken",
            Self::Load(error) => error.code(),
            Self::Call(error) => error.code(),
        }
    }
}

impl fmt::Display for HouseError {
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
            Self::Load(error) => error.fmt(f),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl Error for HouseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Load(error) => error.source(),
            Self::Call(error) => error.source(),
            _ => None,
        }
    }
}
