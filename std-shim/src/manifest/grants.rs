//! What an embedder permits the plugin of a manifest, and how it is loaded.

use super::{AllowedPath, Manifest, ManifestError, ManifestReason};
use hostel_core::{Convention, Engine, Extism, Grants, Plugin, Wasi, files::Access};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What an embedder permits the plugin of a [`Manifest`]. By default none of the machine's directories, and modules of
/// the manifest's own folder.
///
/// ```
/// use hostel::{Extism, ManifestGrants, files::Access};
/// let grants = ManifestGrants::new()
///     .extism(Extism::new().config([("language", "en")]))
///     .directory("/srv/plugins/data", Access::Read);
/// # drop(grants);
/// ```
#[derive(Default)]
pub struct ManifestGrants {
    extism: Extism,
    wasi: Option<Wasi>,
    directories: Vec<(PathBuf, Access)>,
    all_directories: bool,
}

impl ManifestGrants {
    /// Permits Extism's environment alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the grant of Extism's environment. Its settings come before those of the manifest, and its limits
    /// are narrowed by the manifest's. With a client of HTTP, the plugin reaches the hosts that both the client
    /// and the manifest allow.
    #[must_use]
    pub fn extism(mut self, extism: Extism) -> Self {
        self.extism = extism;
        self
    }

    /// Grants WASI. Without this, a plugin whose manifest names directories that are permitted gets
    /// [`hostel::wasi`](crate::wasi).
    #[must_use]
    pub fn wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = Some(wasi);
        self
    }

    /// Permits the manifest to name this directory of the machine and those below it, with this access at most,
    /// and modules there.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>, access: Access) -> Self {
        self.directories.push((path.into(), access));
        self
    }

    /// Permits the manifest to name any directory of the machine, with the access that it asks for, and modules
    /// anywhere. For manifests that the embedder wrote.
    #[must_use]
    pub const fn all_directories(mut self) -> Self {
        self.all_directories = true;
        self
    }

    /// Returns the access that is permitted to the directory or the file `path`; `None` if it is not permitted.
    pub(super) fn access(&self, path: &Path) -> Option<Access> {
        if self.all_directories {
            return Some(Access::ReadWrite);
        }
        let within = self.directories.iter().filter(|(permitted, _)| {
            // Compared without links: one could lead out of what is permitted.
            permitted
                .canonicalize()
                .is_ok_and(|permitted| path.starts_with(permitted))
        });
        let mut access = None;
        for (_, permitted) in within {
            if *permitted == Access::ReadWrite || access.is_none() {
                access = Some(*permitted);
            }
        }
        access
    }
}

impl fmt::Debug for ManifestGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestGrants")
            .field("directories", &self.directories)
            .field("all_directories", &self.all_directories)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// Loads its modules as one plugin called `name`, in Extism's convention, with `grants` and what `permitted`
    /// has. The limits and the budget of `grants`, or else the engine's, are narrowed by the manifest's.
    ///
    /// # Errors
    ///
    /// Those of [`read_modules`](Self::read_modules), [`ManifestReason::Directory`] for a directory that is not
    /// permitted or can't be opened, and [`ManifestReason::Load`], or [`ManifestReason::File`]
    /// for the file of the only module.
    pub fn load<T: 'static>(
        &self,
        engine: &Engine,
        name: &str,
        grants: Grants<T>,
        permitted: ManifestGrants,
    ) -> Result<Plugin<T>, ManifestError> {
        let limits = grants.limits().unwrap_or(engine.limits());
        let modules = self.read_modules(limits.module_bytes, &permitted)?;
        let grants = self.grants(engine, grants, permitted)?;
        let modules: Vec<_> = modules
            .iter()
            .map(|(name, wasm)| (*name, &**wasm))
            .collect();
        let plugin = engine.load_linked(name, &modules, &grants);
        plugin.map_err(|error| self.error(self.load_error(error)))
    }

    /// Returns `grants` with those of its plugin: Extism's convention and environment, the directories, and the
    /// limits and the budget narrowed.
    ///
    /// # Errors
    ///
    /// [`ManifestReason::Directory`] for a directory that is not permitted or can't be opened.
    pub fn grants<T: 'static>(
        &self,
        engine: &Engine,
        grants: Grants<T>,
        permitted: ManifestGrants,
    ) -> Result<Grants<T>, ManifestError> {
        let limits = self.narrowed_limits(grants.limits().unwrap_or(engine.limits()));
        let budget = self.narrowed_budget(grants.budget().unwrap_or(engine.budget()));
        let wasi = self.wasi(&permitted)?;
        let grants = grants
            .with_convention(Convention::Extism)
            .with_limits(limits)
            .with_budget(budget);
        let grants = match wasi.apply(permitted.wasi) {
            Some(wasi) => grants.wasi(wasi),
            None => grants,
        };
        Ok(grants.extism(self.environment(permitted.extism)))
    }

    /// Returns the grant of Extism's environment with the manifest's settings and limits.
    fn environment(&self, extism: Extism) -> Extism {
        let settings = self.config.iter().map(|(key, value)| (&**key, &**value));
        let mut extism = extism
            .config_defaults(settings)
            .http_hosts(&self.allowed_hosts);
        if let Some(most) = self.variable_bytes {
            extism = extism.variable_bytes_at_most(most);
        }
        if let Some(most) = self.http_response_bytes {
            extism = extism.http_response_bytes_at_most(most);
        }
        extism
    }

    /// Opens the directories that it names.
    fn wasi(&self, permitted: &ManifestGrants) -> Result<Opened, ManifestError> {
        let opened = self.allowed_paths.iter().map(|asked| {
            let directory = self.open(asked, permitted);
            directory.map_err(|problem| {
                let path = asked.host.clone();
                self.error(ManifestReason::Directory { path, problem })
            })
        });
        opened.collect::<Result<_, _>>().map(Opened)
    }

    /// Opens a directory that it names, with the access that is permitted.
    fn open(
        &self,
        asked: &AllowedPath,
        permitted: &ManifestGrants,
    ) -> Result<(String, Access, crate::HostDirectory), String> {
        let path = self.folder.join(&asked.host);
        // Without links, so that the one that is opened is the one that is compared.
        let path = path
            .canonicalize()
            .map_err(|error| format!("can't be opened: {error}"))?;
        let access = permitted.access(&path).ok_or_else(|| {
            format!("is not permitted: a manifest names it as `{}`; permit it if you trust the plugin with it", asked.guest)
        })?;
        let access = match asked.access {
            Access::ReadWrite => access,
            narrower => narrower,
        };
        let directory =
            crate::directory(&path).map_err(|error| format!("can't be opened: {error}"))?;
        Ok((asked.guest.clone(), access, directory))
    }
}

/// Directories that are opened for a plugin.
struct Opened(Vec<(String, Access, crate::HostDirectory)>);

impl Opened {
    /// Grants them with WASI, which is not granted without any if the embedder does not.
    fn apply(self, wasi: Option<Wasi>) -> Option<Wasi> {
        if self.0.is_empty() {
            return wasi;
        }
        let wasi = wasi.unwrap_or_else(crate::wasi);
        let directories = self.0.into_iter();
        Some(directories.fold(wasi, |wasi, (guest, access, directory)| {
            wasi.directory(&guest, access, directory)
        }))
    }
}
