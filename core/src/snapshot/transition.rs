//! [`Derivable`]: a plugin from which others are derived, each with the state after a call.

use super::SnapshotError;
use crate::{engine::Engine, error::LoadError, grants::Grants, plugin::Plugin};
use alloc::sync::Arc;
use core::fmt;

/// A plugin that keeps its module and its grants, so that others can be derived from it by
/// [`transition`](Self::transition). Made by [`Engine::load_derivable`].
///
/// It can be called as the [`Plugin`] that it is. Clones share the plugin and the module.
pub struct Derivable<T: 'static = ()> {
    engine: Engine,
    grants: Grants<T>,
    wasm: Arc<[u8]>,
    plugin: Plugin<T>,
}

impl Engine {
    /// Loads `wasm` as [`load`](Self::load) does, to a plugin from which others can be derived.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_derivable<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Derivable<T>, LoadError> {
        let plugin = self.load(name, wasm, grants)?;
        Ok(Derivable {
            engine: self.clone(),
            grants: grants.clone(),
            wasm: Arc::from(wasm),
            plugin,
        })
    }
}

impl<T: Default + 'static> Derivable<T> {
    /// Calls the function or operation `name` with `inputs` in a new instance, and returns a plugin whose
    /// instances start from the state after the call: memory, globals and tables, as a
    /// [snapshot](Engine::snapshot) has them. The output of the call is dropped. This plugin stays as it is.
    ///
    /// Typst's plugins know this as their host's `transition`; it works for any plugin whose functions take
    /// and return bytes. The call has the budget of the grants, or else the engine's.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $args (param i32)))
    /// #   (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))
    /// #   (memory (export "memory") 1) (global $len (mut i32) (i32.const 0))
    /// #   (func (export "keep") (param i32) (result i32)
    /// #     (call $args (i32.const 0)) (global.set $len (local.get 0)) (i32.const 0))
    /// #   (func (export "kept") (result i32) (call $send (i32.const 0) (global.get $len)) (i32.const 0)))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let base = Engine::default().load_derivable("notes", &wasm, &Grants::new().typst())?;
    /// let noted = base.transition("keep", &[b"milk"])?;
    /// assert_eq!(noted.call_arguments("kept", &[])?, b"milk");
    /// assert_eq!(base.call_arguments("kept", &[])?, b"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Engine::snapshot`]. An error that the function returns is a [`SnapshotError::Call`].
    pub fn transition(&self, name: &str, inputs: &[&[u8]]) -> Result<Self, SnapshotError> {
        let wasm =
            self.engine
                .snapshot(self.plugin.name(), &self.wasm, &self.grants, |instance| {
                    instance.call_arguments(name, inputs, |_| ())
                })?;
        let derived = self
            .engine
            .load_derivable(self.plugin.name(), &wasm, &self.grants);
        derived.map_err(SnapshotError::Load)
    }
}

impl<T: 'static> Derivable<T> {
    /// Returns the plugin.
    #[must_use]
    pub const fn plugin(&self) -> &Plugin<T> {
        &self.plugin
    }

    /// Returns the bytes of the module: those that were loaded, or those that the state was written to.
    #[must_use]
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }
}

impl<T: 'static> core::ops::Deref for Derivable<T> {
    type Target = Plugin<T>;

    fn deref(&self) -> &Plugin<T> {
        &self.plugin
    }
}

impl<T: 'static> Clone for Derivable<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            grants: self.grants.clone(),
            wasm: self.wasm.clone(),
            plugin: self.plugin.clone(),
        }
    }
}

impl<T: 'static> fmt::Debug for Derivable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Derivable").field(&self.plugin).finish()
    }
}
