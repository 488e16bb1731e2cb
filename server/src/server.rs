//! The server: a directory of plugins, a configuration, and a port.

use crate::{
    config::{Config, ConfigError, Grant},
    folder::{Folder, NotLoaded},
    logs::Logs,
    service::PluginService,
    versions::create_private,
};
use hostel::{Engine, FileState, StateLimits, StateStore};
use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};

/// Time for which another process may hold the file of plugins' values.
const STATE_WAIT: Duration = Duration::from_secs(2);

/// What to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// The directory of plugins: the file `NAME.wasm` is the plugin `NAME`.
    pub directory: PathBuf,
    /// The configuration's file; none by default: see [`Config::without_file`].
    pub config: Option<PathBuf>,
    /// The address to listen on, instead of the configuration's.
    pub listen: Option<SocketAddr>,
}

/// A server that runs.
pub struct Server {
    inner: Arc<Inner>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// What a reload works with.
struct Inner {
    service: PluginService,
    parts: Parts,
    config: Mutex<Arc<Config>>,
}

/// What stays over a reload.
struct Parts {
    options: ServeOptions,
    engine: Engine,
    data: PathBuf,
    state: Mutex<Option<Arc<FileState>>>,
    logs: Logs,
}

impl Server {
    /// Reads the configuration, loads the plugins, and listens.
    ///
    /// A plugin that can't be loaded is told by [`not_loaded`](Self::not_loaded); the others are served.
    ///
    /// # Errors
    ///
    /// [`ServeError`], with which nothing is served.
    pub async fn start(options: ServeOptions) -> Result<Self, ServeError> {
        let config = Arc::new(read(&options)?);
        let settings = &config.server;
        let data = settings.data.clone();
        let parts = Parts {
            engine: hostel::engine(),
            data: data.unwrap_or_else(|| options.directory.join(".hostel")),
            state: Mutex::default(),
            logs: Logs::default(),
            options,
        };
        let folder = parts.open(&config)?;
        let service = PluginService::builder(folder.host().clone())
            .settings(settings)
            .auth(config.auth())
            .terms(config.terms())
            .folder(folder)
            .logs(parts.logs.clone())
            .dashboard(true)
            .build()
            .map_err(ServeError::Start)?;
        let wanted = parts.options.listen.unwrap_or(settings.listen);
        let listen = |error| ServeError::Listen(wanted, error);
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(service.clone().serve(listener, settings, stopped));
        Ok(Self {
            inner: Arc::new(Inner {
                service,
                parts,
                config: Mutex::new(config),
            }),
            address,
            stop,
            serving,
        })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the names of the plugins that are served, sorted.
    #[must_use]
    pub fn plugins(&self) -> Vec<String> {
        self.inner.service.shared.world().host.list()
    }

    /// Returns the plugins whose files can't be loaded.
    #[must_use]
    pub fn not_loaded(&self) -> Vec<NotLoaded> {
        let folder = self.inner.service.shared.world().folder.clone();
        folder.map(|folder| folder.failures()).unwrap_or_default()
    }

    /// Reads the configuration again, and loads all plugins under it. Calls that run end under the old one. With an error,
    /// nothing changes.
    ///
    /// The address, threads, connections, time limits, the data's directory and the access log stay as they are until the
    /// server is started again: a configuration that changes them is refused.
    ///
    /// # Errors
    ///
    /// [`ServeError`]: also if a plugin that is served can't be loaded under the new configuration.
    pub async fn reload(&self) -> Result<(), ServeError> {
        let shared = &self.inner.service.shared;
        let _one_at_a_time = shared.changes.lock().await;
        let inner = self.inner.clone();
        // Apart from the threads of requests: it loads all plugins.
        let reloaded = spawn_blocking(move || inner.reload()).await;
        let result = reloaded.unwrap_or_else(|error| Err(ServeError::Start(error.into())));
        shared.metrics.reload(result.is_ok());
        match &result {
            Ok(()) => shared.logs.server("info", "", "reloaded the configuration"),
            Err(error) => {
                let text = format!("the configuration stays as it was: {error}");
                shared.logs.server("error", "", &text);
            }
        }
        result
    }

    /// Returns the file of the configuration, if there is one.
    #[must_use]
    pub fn config_file(&self) -> Option<&Path> {
        self.inner.parts.options.config.as_deref()
    }

    /// Takes no more connections once the settings' time for load balancers has passed, lets requests end, and returns when they have, or when the time for that has passed.
    pub async fn shut_down(self) {
        self.inner.service.drain();
        // The receiver may have gone with the task.
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

impl Inner {
    fn reload(&self) -> Result<(), ServeError> {
        let shared = &self.service.shared;
        let config = Arc::new(read(&self.parts.options)?);
        let mut place = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        // Such as of a file that was cut, or is being written.
        if !place.tokens.is_empty() && config.tokens.is_empty() && config.server.anonymous.is_none()
        {
            return Err(ServeError::NoToken);
        }
        if let Some(key) = fixed_change(&place, &config) {
            return Err(ServeError::Fixed(key));
        }
        let folder = self.parts.open(&config)?;
        let world = shared.world();
        let (before, after) = (world.host.list(), folder.host().list());
        let lost: Vec<_> = folder
            .failures()
            .into_iter()
            .filter(|failure| before.contains(&failure.name) && !after.contains(&failure.name))
            .collect();
        if !lost.is_empty() {
            return Err(ServeError::Lost(lost));
        }
        self.service.replace_with(
            folder.host().clone(),
            config.auth(),
            config.terms(),
            Some(folder),
        );
        *place = config;
        Ok(())
    }
}

impl Parts {
    /// Loads the directory under a configuration.
    fn open(&self, config: &Arc<Config>) -> Result<Arc<Folder>, ServeError> {
        let directory = &self.options.directory;
        for (name, settings) in &config.plugins {
            // Else the plugin would be refused for imports that only seem not to be granted.
            crate::grants::of(name, settings, None, &self.logs)
                .map_err(|reason| ServeError::Grants(name.clone(), reason))?;
        }
        let state = self.state(config)?;
        let state = state.map(|state| state as Arc<dyn StateStore>);
        let folder = Folder::open(
            directory,
            &self.engine,
            config,
            &self.data,
            state,
            &self.logs,
        );
        let folder = folder.map_err(ServeError::Directory)?;
        Ok(Arc::new(folder))
    }

    /// Opens the file of plugins' values, if one of them may have some. It stays open.
    fn state(&self, config: &Config) -> Result<Option<Arc<FileState>>, ServeError> {
        let mut plugins = config.plugins.values().chain([&config.defaults]);
        if !plugins.any(|settings| settings.has(Grant::State)) {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &*state {
            return Ok(Some(state.clone()));
        }
        let file = self.data.join("state.redb");
        let fail = |reason: String| ServeError::State(file.clone(), reason);
        create_private(&self.data).map_err(|error| fail(error.to_string()))?;
        let opened = FileState::open_within(&file, StateLimits::server(), STATE_WAIT);
        let opened = Arc::new(opened.map_err(|error| fail(error.to_string()))?);
        *state = Some(opened.clone());
        Ok(Some(opened))
    }
}

fn read(options: &ServeOptions) -> Result<Config, ServeError> {
    let config = match &options.config {
        Some(file) => Config::read(file).map_err(ServeError::Config)?,
        None => Config::without_file(),
    };
    // The file's own address was checked with it.
    let fault = options.listen.and_then(|listen| config.open_to(listen));
    match fault {
        Some(fault) => Err(ServeError::Open(fault)),
        None => Ok(config),
    }
}

/// Returns the first setting that differs and that a reload can't change.
fn fixed_change(before: &Config, after: &Config) -> Option<&'static str> {
    let (before, after) = (&before.server, &after.server);
    let changed = [
        ("listen", before.listen != after.listen),
        ("workers", before.workers != after.workers),
        ("connections", before.connections != after.connections),
        ("head_timeout", before.head_timeout != after.head_timeout),
        ("body_timeout", before.body_timeout != after.body_timeout),
        ("drain_delay", before.drain_delay != after.drain_delay),
        ("drain_timeout", before.drain_timeout != after.drain_timeout),
        ("data", before.data != after.data),
        ("access_log", before.access_log != after.access_log),
        ("traces", before.traces != after.traces),
    ];
    let mut changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.next().map(|(key, _)| key)
}

/// The server can't start, or can't change its configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration can't be used.
    Config(ConfigError),
    /// A plugin can't have what the configuration grants it: its name, and the reason.
    Grants(String, String),
    /// The directory of plugins can't be read or watched.
    Directory(String),
    /// The file of plugins' values can't be opened.
    State(PathBuf, String),
    /// The address that is given beside the configuration would let everybody call the plugins.
    Open(String),
    /// The address can't be had.
    Listen(SocketAddr, io::Error),
    /// The system has no thread.
    Start(io::Error),
    /// A reload would remove all tokens, and nobody said that everybody may call the plugins then.
    NoToken,
    /// A reload would change this key of `server`, which takes another start.
    Fixed(&'static str),
    /// Plugins that are served can't be loaded under the new configuration.
    Lost(Vec<NotLoaded>),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Grants(name, reason) => {
                write!(f, "the plugin `{name}` can't have its grants: {reason}")
            }
            Self::Directory(reason) | Self::Open(reason) => f.write_str(reason),
            Self::State(file, reason) => {
                write!(f, "can't open {}: {reason}", file.display())
            }
            Self::Listen(address, error) => {
                write!(f, "can't listen on {address}: {error}")
            }
            Self::Start(error) => write!(f, "can't start a thread: {error}"),
            Self::NoToken => f.write_str(
                "the file has no token any more, so that everybody could call the plugins: say that this is meant by `server.anonymous = true`",
            ),
            Self::Fixed(key) => {
                write!(
                    f,
                    "`server.{key}` can't change while the server runs: start it again"
                )
            }
            Self::Lost(plugins) => {
                f.write_str("plugins that are served could not be loaded")?;
                for NotLoaded { name, reason } in plugins {
                    write!(f, "\n`{name}`: {reason}")?;
                }
                Ok(())
            }
        }
    }
}

impl Error for ServeError {}
