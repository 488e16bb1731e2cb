//! The compiled code of loaded modules, found again by the modules' bytes.

use super::{Compiled, code::Code};
use crate::{base::limits::Limits, module::ModuleInfo};
use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use sha2::{Digest as _, Sha256};
use spin::Mutex;

/// The modules of plugins that are loaded. Keeps none of them: the last plugin of a module frees its code.
#[derive(Default)]
pub(super) struct Cache {
    entries: Mutex<Vec<Entry>>,
}

/// All that the code of a module depends on, and what is read from it.
#[derive(PartialEq, Eq)]
pub(super) struct Key {
    /// SHA-256 of the module's bytes.
    digest: [u8; 32],
    limits: Limits,
}

struct Entry {
    key: Key,
    info: Weak<ModuleInfo>,
    code: Weak<Code>,
}

impl Key {
    pub(super) fn new(wasm: &[u8], limits: &Limits) -> Self {
        Self {
            digest: Sha256::digest(wasm).into(),
            limits: *limits,
        }
    }

    /// Returns the SHA-256 of the module's bytes.
    pub(super) const fn sha256(&self) -> [u8; 32] {
        self.digest
    }
}

impl Cache {
    /// Returns the module of this key, if a plugin of it is loaded.
    pub(super) fn find(&self, key: &Key) -> Option<Compiled> {
        let entries = self.entries.lock();
        let mut same = entries.iter().filter(|entry| entry.key == *key);
        same.find_map(|entry| Some((entry.info.upgrade()?, entry.code.upgrade()?)))
    }

    /// Adds a module, for as long as a plugin of it is loaded.
    pub(super) fn add(&self, key: Key, (info, code): &Compiled) {
        let entry = Entry {
            key,
            info: Arc::downgrade(info),
            code: Arc::downgrade(code),
        };
        let mut entries = self.entries.lock();
        let gone = |entry: &&mut Entry| entry.code.strong_count() == 0;
        // The list grows to the most modules that were loaded at once.
        match entries.iter_mut().find(gone) {
            Some(gone) => *gone = entry,
            None => entries.push(entry),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{engine::Engine, grants::Grants};

    #[test]
    fn the_last_plugin_of_a_module_frees_its_code() {
        let cache = Arc::new(Cache::default());
        let engine = Engine {
            cache: Some(cache.clone()),
            ..Engine::default()
        };
        let modules = [
            r#"(module (func (export "f")))"#,
            r#"(module (func (export "g")))"#,
        ];
        let modules = modules.map(|text| wat::parse_str(text).unwrap());
        let load = |wasm: &[u8]| engine.load("m", wasm, &Grants::<()>::new()).unwrap();
        let found = |wasm: &[u8]| cache.find(&Key::new(wasm, engine.limits())).is_some();
        for wasm in modules.iter().chain(&modules) {
            let (one, other) = (load(wasm), load(wasm));
            drop(one);
            assert!(found(wasm));
            drop(other);
            assert!(!found(wasm));
        }
        // A place that is free is taken again.
        assert_eq!(cache.entries.lock().len(), 1);
    }
}
