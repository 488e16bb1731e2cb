//! The modules of a plugin that `inspect` and `probe` look at, without grants of the user's.

use super::{
    failure::Failure,
    grants,
    plugin::{self, Contents},
};
use hostel::{Convention, Grants, Limits, LoadError, Manifest, ManifestGrants, is_manifest};
use std::path::Path;

/// Most bytes that are read of a manifest's modules, if no option allows more.
const MODULES: usize = 64 << 20;

/// A plugin's modules, each with its name.
pub(super) struct Unloaded {
    pub(super) modules: Vec<(String, Vec<u8>)>,
    pub(super) manifest: Option<Box<Manifest>>,
}

impl Unloaded {
    /// Reads a module of any size: that is no reason to show nothing of it. Of a manifest, which may name many, reads
    /// at most [`MODULES`] in all, or what `limits` allow if that is more: outside of its folder only if it is
    /// `trusted`.
    pub(super) fn read(path: &Path, limits: &Limits, trusted: bool) -> Result<Self, Failure> {
        let mut read = *limits;
        let most = limits.module_bytes.max(MODULES);
        read.module_bytes = if is_manifest(path, b"") {
            most
        } else {
            usize::MAX
        };
        match Contents::read(path, &read)? {
            Contents::Module(wasm) => Ok(Self {
                modules: vec![("main".to_owned(), wasm)],
                manifest: None,
            }),
            Contents::Manifest(manifest) => {
                let permitted = match trusted {
                    true => ManifestGrants::new().all_directories(),
                    false => ManifestGrants::new(),
                };
                let modules = manifest.read_modules(most, &permitted)?.into_iter();
                let modules = modules
                    .map(|(name, wasm)| (name.to_owned(), wasm))
                    .collect();
                Ok(Self {
                    modules,
                    manifest: Some(manifest),
                })
            }
        }
    }

    /// Returns the bytes of its modules.
    pub(super) fn bytes(&self) -> usize {
        self.modules.iter().map(|(_, wasm)| wasm.len()).sum()
    }

    /// Returns its bytes if it is loaded as a component: if it is one, or a core module with a contract that is no
    /// command of WASI preview 1.
    pub(super) fn component(&self) -> Option<&[u8]> {
        match &*self.modules {
            [(_, wasm)] if self.manifest.is_none() && plugin::is_loaded_as_component(wasm) => {
                Some(wasm)
            }
            _ => None,
        }
    }

    /// Returns its modules, to be linked.
    pub(super) fn modules(&self) -> Vec<(&str, &[u8])> {
        let modules = self.modules.iter();
        modules.map(|(name, wasm)| (&**name, &**wasm)).collect()
    }

    /// Returns `limits`, narrowed by its manifest.
    pub(super) fn narrowed(&self, limits: &Limits) -> Limits {
        match &self.manifest {
            Some(manifest) => manifest.narrowed_limits(limits),
            None => *limits,
        }
    }

    /// Grants everything that hostel can supply.
    pub(super) fn everything(&self) -> Grants {
        let grants = grants::everything();
        match self.manifest {
            Some(_) => grants.with_convention(Convention::Extism),
            None => grants,
        }
    }

    /// Returns the error of a module, with its name if it is one of several.
    pub(super) fn in_module(&self, name: &str, error: LoadError) -> LoadError {
        match &*self.modules {
            [_] => error,
            _ => LoadError::InModule {
                module: name.into(),
                error: Box::new(error),
            },
        }
    }
}
