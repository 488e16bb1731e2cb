//! [`Engine::load`]: checks a module, compiles it and binds its imports.

use super::Plugin;
#[cfg(feature = "component")]
use crate::component::read::has_contract;
use crate::{engine::Engine, error::LoadError, grants::Grants};

impl Engine {
    /// Checks and compiles `wasm` to a plugin called `name`, with `grants` and nothing else. The
    /// name is shown in log records and selects the plugin's [state](Grants::state).
    ///
    /// # Errors
    ///
    /// [`LoadError::Mismatch`] lists every import and export that does not fit the grants; the other
    /// variants say which limit the module exceeds or what is invalid in it. Nothing of a refused
    /// module is kept.
    // Not inlined, so that the compiler's native stack does not come on top of the caller's.
    #[inline(never)]
    pub fn load<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        self.load_hashed(name, wasm, grants, &mut None)
    }

    /// Loads a module as [`load`](Self::load) does, or a component as `load_component` does, by what the bytes are: a
    /// core module with a section `component-type` is a component. So do [`Host`](crate::Host) and `hostel::load_file`.
    /// Without the feature `component` of this crate, a component is refused, and that section is ignored.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load) and `load_component`.
    pub fn load_any<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        self.load_any_hashed(name, wasm, grants, &mut None)
    }

    /// As [`load_any`](Self::load_any). Stores the SHA-256 of `wasm` in `sha256` if loading computes it.
    #[inline(never)]
    pub(crate) fn load_any_hashed<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        sha256: &mut Option<[u8; 32]>,
    ) -> Result<Plugin<T>, LoadError> {
        #[cfg(feature = "component")]
        if has_contract(wasm) {
            return self.load_component(name, wasm, grants);
        }
        self.load_hashed(name, wasm, grants, sha256)
    }

    /// As [`load`](Self::load). Stores the SHA-256 of `wasm` in `sha256` if loading computes it.
    #[inline(never)]
    pub(crate) fn load_hashed<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        sha256: &mut Option<[u8; 32]>,
    ) -> Result<Plugin<T>, LoadError> {
        match self.bounded_by(grants) {
            Some(own) => own.load_within(name, wasm, grants, sha256),
            None => self.load_within(name, wasm, grants, sha256),
        }
    }

    /// As [`load`](Self::load), within this engine's limits.
    fn load_within<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        sha256: &mut Option<[u8; 32]>,
    ) -> Result<Plugin<T>, LoadError> {
        #[cfg(feature = "trace")]
        if let Some((traced, names)) = self.trace(wasm, grants)? {
            let engine = self.without_module_limits().untraced();
            let mut plugin = engine.load_within(name, &traced, grants, &mut None)?;
            plugin.keep_trace(names, *self.limits());
            return Ok(plugin);
        }
        let (info, code) = self.compiled(wasm, grants, sha256)?;
        let bindings = grants.bind_all(&info)?;
        let protocol = grants.protocol_of(&info);
        Ok(Plugin::new(
            self,
            name,
            info,
            code,
            bindings,
            protocol,
            grants.sink(),
        ))
    }
}
