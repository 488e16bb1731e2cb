//! Manifests of Extism plugins: what a plugin consists of, and what it asks for.

mod error;
mod fields;
mod grants;
mod modules;

pub use self::{
    error::{ManifestError, ManifestReason},
    grants::ManifestGrants,
};

use self::{fields::Fields, modules::ManifestModule};
use crate::host_pattern::matches;
use hostel_core::{Budget, Limits, LoadError, files::Access};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 << 10;

/// A manifest of an Extism plugin, in JSON or TOML: its modules, its settings, limits that narrow those of the
/// embedder, and the directories and hosts that it asks for.
///
/// ```json
/// {
///   "wasm": [
///     { "path": "library.wasm", "name": "library" },
///     { "path": "plugin.wasm", "name": "main", "hash": "…64 hexadecimal digits of its SHA-256…" }
///   ],
///   "memory": { "max_pages": 64, "max_var_bytes": 65536 },
///   "config": { "vowels": "aeiou" },
///   "allowed_hosts": ["api.example.com"],
///   "allowed_paths": { "ro:data": "/data" },
///   "timeout_ms": 500
/// }
/// ```
///
/// TOML may have at most 64 KiB, since its parser takes much memory: write a larger manifest in JSON. `config`,
/// `allowed_hosts` and `allowed_paths` have at most 4,096 entries each.
///
/// Paths are relative to the manifest. Fields of other names are refused. Of several modules, the one named `main`
/// is the main one, or else the last; they are [linked](hostel_core::Engine::load_linked) by their names.
///
/// A manifest may be written by others than the embedder, so it grants nothing that reaches out of the sandbox:
/// [`ManifestGrants`] has what the embedder permits. Modules are read in the manifest's folder alone, unless more is
/// permitted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("plugin.wasm"), wat::parse_str(r#"(module (func (export "f")))"#)?)?;
/// use hostel::{Grants, Manifest, ManifestGrants};
/// let text = r#"{ "wasm": [{ "path": "plugin.wasm" }], "config": { "vowels": "aeiou" } }"#;
/// let manifest = Manifest::parse(text, folder.path())?;
/// let plugin = manifest.load(&hostel::engine(), "plugin", Grants::new(), ManifestGrants::new())?;
/// assert_eq!(plugin.call_bytes("f", b"")?, b"");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file, if it was read from one.
    path: Option<PathBuf>,
    /// The folder that paths are relative to.
    folder: PathBuf,
    modules: Vec<ManifestModule>,
    memory_bytes: Option<usize>,
    http_response_bytes: Option<usize>,
    variable_bytes: Option<usize>,
    config: BTreeMap<String, String>,
    allowed_hosts: Vec<String>,
    allowed_paths: Vec<AllowedPath>,
    timeout: Option<Duration>,
}

/// A directory of the machine that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedPath {
    /// The directory, relative to the manifest or absolute.
    pub host: PathBuf,
    /// The plugin's name for it.
    pub guest: String,
    /// [`Access::Read`] if the manifest writes `ro:` before the directory, or else [`Access::ReadWrite`].
    pub access: Access,
}

/// Returns whether a plugin's file is a manifest: its name ends in `.json` or `.toml`, or its first character
/// that is no space is `{`.
///
/// ```
/// assert!(hostel::is_manifest("plugin.toml", b""));
/// assert!(hostel::is_manifest("plugin", b" {\"wasm\": []}"));
/// assert!(!hostel::is_manifest("plugin.wasm", b"\0asm\x01\0\0\0"));
/// ```
#[must_use]
pub fn is_manifest(path: impl AsRef<Path>, contents: &[u8]) -> bool {
    let end = path.as_ref().extension().unwrap_or_default();
    ["json", "toml"]
        .iter()
        .any(|known| end.eq_ignore_ascii_case(known))
        || contents.trim_ascii_start().starts_with(b"{")
}

impl Manifest {
    /// Reads a manifest from a file. It has at most 2 bytes for each byte that
    /// [`Limits::module_bytes`] allows, since it may contain modules, and 64 KiB more.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the file, and the reason or the field.
    pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, ManifestError> {
        let path = path.as_ref();
        let limit = limits
            .module_bytes
            .saturating_mul(2)
            .saturating_add(64 << 10);
        let text = crate::read_module(path, limit).map_err(|error| match error.reason() {
            crate::FileReason::Load(hostel_core::LoadError::TooLarge { found, .. }) => {
                let found = *found;
                ManifestReason::TooLarge { limit, found }.of(Some(path))
            }
            _ => ManifestReason::File(error).of(None),
        })?;
        Self::from_bytes(text, path)
    }

    /// As [`read`](Self::read), for the contents of the file `path`, which were read already.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the file, and the reason or the field.
    pub fn from_bytes(contents: Vec<u8>, path: impl AsRef<Path>) -> Result<Self, ManifestError> {
        let path = path.as_ref();
        let in_file = |reason: ManifestReason| reason.of(Some(path));
        let text = String::from_utf8(contents).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            in_file(ManifestReason::Syntax(format!(
                "it is not UTF-8, at byte {at}"
            )))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let fields = Fields::parse(&text).map_err(in_file)?;
        let mut manifest = Self::checked(fields, folder).map_err(in_file)?;
        manifest.path = Some(path.to_owned());
        Ok(manifest)
    }

    /// Parses a manifest: JSON if it begins with `{`, or else TOML. Its paths are relative to `folder`.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the reason or the field.
    pub fn parse(text: &str, folder: impl AsRef<Path>) -> Result<Self, ManifestError> {
        let fields = Fields::parse(text);
        let manifest = fields.and_then(|fields| Self::checked(fields, folder.as_ref()));
        manifest.map_err(|reason| reason.of(None))
    }

    /// Checks the fields one by one.
    fn checked(fields: Fields, folder: &Path) -> Result<Self, ManifestReason> {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let memory = fields.memory.unwrap_or_default();
        let allowed_paths = fields.allowed_paths.unwrap_or_default().0.into_iter();
        Ok(Self {
            path: None,
            folder: folder.to_owned(),
            modules: ManifestModule::checked(fields.wasm.0)?,
            memory_bytes: memory.max_pages.map(|pages| bytes(u64::from(pages) * PAGE)),
            http_response_bytes: memory.max_http_response_bytes.map(bytes),
            variable_bytes: memory.max_var_bytes.map(bytes),
            config: fields.config.unwrap_or_default().0,
            allowed_hosts: fields.allowed_hosts.unwrap_or_default().0,
            allowed_paths: allowed_paths
                .map(|(host, guest)| match host.strip_prefix("ro:") {
                    Some(host) => AllowedPath {
                        host: host.into(),
                        guest,
                        access: Access::Read,
                    },
                    None => AllowedPath {
                        host: host.into(),
                        guest,
                        access: Access::ReadWrite,
                    },
                })
                .collect(),
            timeout: fields.timeout_ms.map(Duration::from_millis),
        })
    }

    /// Returns the names of its modules, in its order. Those without one are named `main`.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| &*module.name)
    }

    /// Reads its modules: each with its name, at most `limit` bytes in all. Checks their hashes. Files are read in the
    /// manifest's folder, after links are followed, and elsewhere only in the directories that `permitted` has.
    ///
    /// # Errors
    ///
    /// [`ManifestReason::File`], also for a file that does not begin as a module does, [`ManifestReason::Outside`],
    /// [`ManifestReason::TooLarge`], [`ManifestReason::Field`] for data that is not base64, and
    /// [`ManifestReason::Hash`].
    pub fn read_modules(
        &self,
        limit: usize,
        permitted: &ManifestGrants,
    ) -> Result<Vec<(&str, Vec<u8>)>, ManifestError> {
        let mut read = Vec::new();
        let mut used = 0usize;
        for module in &self.modules {
            let wasm = module.read(&self.folder, permitted, used, limit);
            let wasm = wasm.map_err(|reason| self.error(reason))?;
            used = used.saturating_add(wasm.len());
            read.push((&*module.name, wasm));
        }
        Ok(read)
    }

    /// Returns its settings, which an Extism plugin reads by `config_get`.
    #[must_use]
    pub const fn config(&self) -> &BTreeMap<String, String> {
        &self.config
    }

    /// Returns the patterns of the hosts that it asks for. Without any, the plugin has no HTTP.
    #[must_use]
    pub fn allowed_hosts(&self) -> &[String] {
        &self.allowed_hosts
    }

    /// Returns whether one of its patterns matches the name of a host, without scheme and port: `*` stands for
    /// any characters, `?` for one. Capital letters don't matter.
    ///
    /// ```
    /// use hostel::Manifest;
    /// let text = "allowed_hosts = ['*.example.com']\nwasm = [{ path = 'm.wasm' }]";
    /// let manifest = Manifest::parse(text, "")?;
    /// assert!(manifest.allows_host("API.example.com"));
    /// assert!(!manifest.allows_host("example.org"));
    /// # Ok::<(), hostel::ManifestError>(())
    /// ```
    #[must_use]
    pub fn allows_host(&self, host: &str) -> bool {
        self.allowed_hosts
            .iter()
            .any(|pattern| matches(pattern, host))
    }

    /// Returns the directories that it asks for.
    #[must_use]
    pub fn allowed_paths(&self) -> &[AllowedPath] {
        &self.allowed_paths
    }

    /// Returns `limits`, narrowed by its `memory.max_pages`.
    #[must_use]
    pub fn narrowed_limits(&self, limits: &Limits) -> Limits {
        let mut limits = *limits;
        if let Some(most) = self.memory_bytes {
            limits.memory_bytes = limits.memory_bytes.min(most);
        }
        limits
    }

    /// Returns `budget`, narrowed by its `timeout_ms`.
    #[must_use]
    pub fn narrowed_budget(&self, budget: &Budget) -> Budget {
        let mut budget = *budget;
        if let Some(timeout) = self.timeout {
            let deadline = budget.deadline.unwrap_or(timeout);
            budget.deadline = Some(deadline.min(timeout));
        }
        budget
    }

    /// Returns the reason for modules that don't load: with the file of the only one, or else with the module's name.
    fn load_error(&self, error: LoadError) -> ManifestReason {
        match &*self.modules {
            [only] => only.load_error(&self.folder, error),
            _ => ManifestReason::Load(error),
        }
    }

    /// Returns an error of this manifest.
    fn error(&self, reason: ManifestReason) -> ManifestError {
        reason.of(self.path.as_deref())
    }
}
