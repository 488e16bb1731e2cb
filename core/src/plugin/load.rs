//! Loads a module: checks it, compiles it, and binds its imports.

use super::Plugin;
use crate::{engine::Engine, error::LoadError, grants::Grants};

impl Engine {
    /// Checks and compiles `wasm` to a plugin called `name`, with `grants` and nothing else.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what the module is, what is wrong with it, or each import and export
    /// that does not fit. Nothing is kept.
    // Apart, so that the compiler's native stack does not come on top of its caller's other work.
    #[inline(never)]
    pub fn load<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        #[allow(unused_mut)] // changed with slots
        let mut info = self.check(wasm, grants)?;
        #[cfg(feature = "slots")]
        {
            info.changes.slotted = self.slots().is_some() && !info.memories.is_empty();
        }
        let copies = self.compile(&info, wasm)?;
        let bindings = grants.bind_all(&info)?;
        Ok(Plugin::new(
            self,
            name,
            info,
            copies,
            bindings,
            grants.sink(),
        ))
    }
}
