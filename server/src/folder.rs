//! The directory of plugins: watched, and changed by administrators. Earlier versions are kept beside it.

use crate::{
    auth::hexadecimal,
    config::{Config, is_plugin_name},
    grants,
    logs::Logs,
    problem::Problem,
    versions::{Kept, Versions},
};
use hostel::{
    DirectoryEvent, Engine, Escaped, Grants, Host, PluginDirectory, StateStore, Version,
    WatchedDirectory, install_module, read_module,
};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A directory of plugins under one configuration.
pub(crate) struct Folder {
    path: PathBuf,
    host: Arc<Host>,
    config: Arc<Config>,
    state: Option<Arc<dyn StateStore>>,
    logs: Logs,
    versions: Versions,
    watched: WatchedDirectory,
    failures: Failures,
}

/// The last error of each file that could not be loaded, by the plugin's name.
type Failures = Arc<Mutex<Vec<(String, String)>>>;

/// A plugin that can't be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLoaded {
    /// Its name.
    pub name: String,
    /// The reason.
    pub reason: String,
}

impl Folder {
    /// Loads the directory into a new host, and watches it.
    pub(crate) fn open(
        path: &Path,
        engine: &Engine,
        config: &Arc<Config>,
        data: &Path,
        state: Option<Arc<dyn StateStore>>,
        logs: &Logs,
    ) -> Result<Self, String> {
        let host = Arc::new(Host::new(engine.clone()));
        let failures = Failures::default();
        let (granted, stored, sink) = (config.clone(), state.clone(), logs.clone());
        let of = move |name: &str| grants_of(name, &granted, stored.as_ref(), &sink);
        let (noted, told) = (failures.clone(), logs.clone());
        let directory = PluginDirectory::new(host.clone(), path, of)
            .with_observer(move |event| note(&noted, &told, &event));
        let watched = directory.watch().map_err(|error| error.to_string())?;
        Ok(Self {
            path: path.to_owned(),
            host,
            config: config.clone(),
            state,
            logs: logs.clone(),
            versions: Versions::new(data, config.server.keep_versions),
            watched,
            failures,
        })
    }

    pub(crate) const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Returns the plugins whose files could not be loaded.
    pub(crate) fn failures(&self) -> Vec<NotLoaded> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let each = failures.iter().map(|(name, reason)| NotLoaded {
            name: name.clone(),
            reason: reason.clone(),
        });
        each.collect()
    }

    /// Returns the largest module of a plugin, in bytes.
    pub(crate) fn module_bytes(&self, name: &str) -> usize {
        self.config.plugin(name).limits.module_bytes
    }

    /// Loads a module as a new version of a plugin.
    pub(crate) fn put(&self, name: &str, wasm: &[u8]) -> Result<(), Problem> {
        self.keep_loaded(name)?;
        self.load(name, wasm)
    }

    /// Loads an earlier version of a plugin: the one that was loaded before the loaded one, or the one with this SHA-256.
    pub(crate) fn rollback(&self, name: &str, to: Option<&str>) -> Result<(), Problem> {
        self.keep_loaded(name)?;
        let (mut kept, loaded) = self.versions(name)?;
        kept.sort_by_key(|version| version.order);
        let found = match (to, &loaded) {
            (Some(sha256), _) => kept.iter().find(|version| version.sha256 == sha256),
            (None, None) => kept.last(),
            (None, Some(loaded)) => {
                let at = kept.iter().rposition(|version| version.sha256 == *loaded);
                at.and_then(|at| kept.get(at.checked_sub(1)?))
            }
        };
        let Some(found) = found else {
            let count = kept.len();
            let detail = format!("{count} versions of `{name}` are kept, none of which is meant");
            return Err(Problem::new("unknown-version", detail));
        };
        let stored = |error: io::Error| Problem::new("not-stored", error.to_string());
        let limit = self.module_bytes(name);
        let wasm = self.versions.read(name, found, limit).map_err(stored)?;
        self.load(name, &wasm)
    }

    /// Removes a plugin's file, and unloads it.
    pub(crate) fn delete(&self, name: &str) -> Result<(), Problem> {
        if self.host.version(name).is_err() && !self.file(name).exists() {
            return Err(Problem::new("unknown-plugin", ""));
        }
        self.keep_loaded(name)?;
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Problem::new("not-stored", error.to_string()));
            }
            _ => {}
        }
        self.watched.load_now(&file_name(name));
        Ok(())
    }

    /// Returns the versions of a plugin that are kept, the oldest first, and the SHA-256 of the one that is loaded.
    pub(crate) fn versions(&self, name: &str) -> Result<(Vec<Kept>, Option<String>), Problem> {
        let kept = self.versions.list(name);
        let kept = kept.map_err(|error| Problem::new("not-stored", error.to_string()))?;
        let loaded = self.host.version(name).ok();
        let loaded = loaded.map(|version| hexadecimal(&version.sha256));
        if kept.is_empty() && loaded.is_none() {
            return Err(Problem::new("unknown-plugin", ""));
        }
        Ok((kept, loaded))
    }

    /// Keeps the loaded version, which may have come into the directory by hand.
    fn keep_loaded(&self, name: &str) -> Result<(), Problem> {
        let Ok(version) = self.host.version(name) else {
            return Ok(());
        };
        let limit = self.module_bytes(name);
        // A file that has changed or gone meanwhile is not the loaded version.
        let Ok(wasm) = read_module(self.file(name), limit) else {
            return Ok(());
        };
        if Version::sha256(&wasm) != version.sha256 {
            return Ok(());
        }
        let added = self.versions.add(name, &wasm);
        added.map_err(|error| Problem::new("not-stored", error.to_string()))
    }

    /// Loads a module in place of the loaded one, and keeps it as the version that was loaded last.
    fn load(&self, name: &str, wasm: &[u8]) -> Result<(), Problem> {
        let checked = self.check(name, wasm)?;
        let stored = |error: io::Error| Problem::new("not-stored", error.to_string());
        self.versions.add(name, wasm).map_err(stored)?;
        self.install(name, wasm)?;
        // Dropped after the directory has loaded it: both share the compiled code.
        drop(checked);
        Ok(())
    }

    /// Loads a module or component apart from the host, to see whether it fits.
    fn check(&self, name: &str, wasm: &[u8]) -> Result<hostel::Plugin, Problem> {
        let settings = self.config.plugin(name);
        let grants = grants::of(name, settings, self.state.as_ref(), &self.logs);
        let grants = grants.map_err(|reason| Problem::new("module-refused", reason))?;
        let loaded = self.host.engine().load_any(name, wasm, &grants);
        loaded.map_err(|error| Problem::from(&error))
    }

    /// Writes a module into the directory, and has it loaded.
    fn install(&self, name: &str, wasm: &[u8]) -> Result<(), Problem> {
        let written = install_module(self.file(name), wasm);
        written.map_err(|error| Problem::new("not-stored", error.to_string()))?;
        self.watched.load_now(&file_name(name));
        let loaded = self.host.version(name).map(|version| version.sha256);
        if loaded.ok() == Some(Version::sha256(wasm)) {
            return Ok(());
        }
        let failures = self.failures().into_iter();
        let mut failure = failures.filter(|failure| failure.name == name);
        let reason = failure.next().map(|failure| failure.reason);
        Err(Problem::new("superseded", reason.unwrap_or_default()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(file_name(name))
    }
}

fn file_name(name: &str) -> OsString {
    format!("{name}.wasm").into()
}

/// Returns the grants of a plugin of the directory. If they can't be had, it gets none, but its limits.
fn grants_of(
    name: &str,
    config: &Config,
    state: Option<&Arc<dyn StateStore>>,
    logs: &Logs,
) -> Grants {
    let settings = config.plugin(name);
    grants::of(name, settings, state, logs).unwrap_or_else(|reason| {
        tracing::error!(target: "hostel::directory", plugin = name, "no grants: {reason}");
        Grants::new()
            .with_limits(settings.limits)
            .with_budget(settings.budget)
    })
}

/// Keeps a file's last error, until it is loaded or gone, and logs the event.
fn note(failures: &Failures, logs: &Logs, event: &DirectoryEvent) {
    let text = format!("{event:#}");
    let text = Escaped::new(text.as_bytes()).to_string();
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    let (name, reason) = match event {
        DirectoryEvent::Loaded { name, .. }
        | DirectoryEvent::Replaced { name, .. }
        | DirectoryEvent::Unloaded { name } => (name.clone(), None),
        DirectoryEvent::Failed(error) => {
            let name = error.path().file_stem().unwrap_or_default();
            (
                name.to_string_lossy().into_owned(),
                Some(format!("{error:#}")),
            )
        }
        _ => return,
    };
    let level = if reason.is_some() { "warn" } else { "info" };
    logs.server(level, &name, &text);
    failures.retain(|(known, _)| *known != name);
    // Names that could not be a plugin's are those of strange files: told in the log alone.
    failures.extend(
        reason
            .filter(|_| is_plugin_name(&name))
            .map(|reason| (name, reason)),
    );
}
