//! The plugins of a host as a service, for a server of one's own.

#[cfg(feature = "otlp")]
use crate::traces::Traces;
use crate::{
    access_log::AccessLog,
    auth::Auth,
    config::ServerSettings,
    connection::{self, Bounds},
    folder::Folder,
    http,
    logs::Logs,
    metrics::Metrics,
    quota::Quota,
    tenants::{Tenant, Tenants, Threads},
};
use axum::Router;
use hostel::Host;
use serde_json::Value as Json;
use std::{
    future::Future,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

/// What a plugin may use by time, and how it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Most calls and most fuel by time; none by default.
    pub quota: Quota,
    /// Whether its host functions may wait for a disk or a lock. Its calls then run on threads apart, at most two of
    /// them at a time. `false` by default.
    pub may_block: bool,
    /// The names of its grants, to show.
    pub grants: Vec<&'static str>,
}

/// Returns the terms of a plugin with a given name.
type GetTerms = dyn Fn(&str) -> Terms + Send + Sync;

/// Describes the fleet of which a server is a part.
type ShowFleet = dyn Fn() -> Json + Send + Sync;

/// Everything that requests share.
pub(crate) struct Shared {
    world: RwLock<Arc<World>>,
    pub(crate) threads: Threads,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) body_timeout: Duration,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) logs: Logs,
    #[cfg(feature = "otlp")]
    pub(crate) traces: Option<Traces>,
    /// Whether the page at `/` is served.
    pub(crate) dashboard: bool,
    /// Held while plugins or the configuration change.
    pub(crate) changes: tokio::sync::Mutex<()>,
    draining: AtomicBool,
    pub(crate) fleet: Option<Box<ShowFleet>>,
}

/// What a reload replaces as a whole.
pub(crate) struct World {
    pub(crate) host: Arc<Host>,
    pub(crate) auth: Auth,
    pub(crate) terms: Box<GetTerms>,
    pub(crate) tenants: Tenants,
    /// The directory that administrators change, if there is one.
    pub(crate) folder: Option<Arc<Folder>>,
}

impl Shared {
    pub(crate) fn world(&self) -> Arc<World> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        world.clone()
    }

    /// Puts another world in place. Requests that are under way end in the old one.
    pub(crate) fn set_world(&self, world: World) {
        let mut place = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, Arc::new(world));
        drop(place);
        // Without the lock: dropping the last handle of plugins takes time.
        drop(before);
    }

    /// Returns a plugin that is loaded.
    pub(crate) fn tenant(&self, world: &World, name: &str) -> Arc<Tenant> {
        let settings = || {
            let terms = (world.terms)(name);
            (terms.quota, terms.may_block)
        };
        world
            .tenants
            .get(name, &self.threads, &self.metrics, settings)
    }

    /// Returns whether traces that begin here are recorded.
    pub(crate) fn samples(&self) -> bool {
        #[cfg(feature = "otlp")]
        return self.traces.is_some();
        #[cfg(not(feature = "otlp"))]
        false
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Tells load balancers to send no more.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // Such requests have no end of their own.
        self.logs.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.threads.close();
    }
}

/// The plugins of a [`Host`] over HTTP, with quotas for each. Its [`router`](Self::router) is an axum router and a tower
/// service.
///
/// Calls run on threads of its own, in slices, in turns that are fair between plugins. The limits, the budget and the
/// deadline of a plugin are those with which the host has loaded it: see `hostel::Grants::with_limits` and
/// `hostel::Grants::with_budget`. The deadline begins with the request.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hostel_server::{PluginService, hostel::{self, Host}};
/// use std::sync::Arc;
///
/// let host = Arc::new(Host::new(hostel::engine()));
/// let plugins = PluginService::builder(host).workers(1).build()?;
/// let app = axum::Router::new().merge(plugins.router());
/// # let _: axum::Router = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PluginService {
    pub(crate) shared: Arc<Shared>,
}

impl PluginService {
    /// Begins a service of the host's plugins. Everybody may call them; add an [`Auth`] otherwise.
    #[must_use]
    pub fn builder(host: Arc<Host>) -> PluginServiceBuilder {
        PluginServiceBuilder {
            host,
            auth: Auth::open(),
            terms: Box::new(|_| Terms::default()),
            folder: None,
            workers: 0,
            body_timeout: Duration::from_secs(30),
            access_log: false,
            logs: Logs::default(),
            dashboard: false,
            #[cfg(feature = "otlp")]
            traces: None,
            fleet: None,
        }
    }

    /// Puts another host in place, with who may call its plugins and with their terms. Calls that are under way end in
    /// the one before. Quotas keep what was used.
    pub fn replace(
        &self,
        host: Arc<Host>,
        auth: Auth,
        terms: impl Fn(&str) -> Terms + Send + Sync + 'static,
    ) {
        self.replace_with(host, auth, terms, None);
    }

    pub(crate) fn replace_with(
        &self,
        host: Arc<Host>,
        auth: Auth,
        terms: impl Fn(&str) -> Terms + Send + Sync + 'static,
        folder: Option<Arc<Folder>>,
    ) {
        let shared = &self.shared;
        let world = shared.world();
        let tenants = world
            .tenants
            .with_settings(&shared.threads, &shared.metrics, |name| {
                let terms = terms(name);
                (terms.quota, terms.may_block)
            });
        shared.set_world(World {
            host,
            auth,
            terms: Box::new(terms),
            tenants,
            folder,
        });
    }

    /// Serves connections within the bounds of `settings`, until `stop` changes and the time for load balancers has passed;
    /// then lets requests end, and returns when they have, or when the time for that has passed.
    pub fn serve(
        self,
        listener: TcpListener,
        settings: &ServerSettings,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let bounds = Bounds {
            connections: settings.connections,
            head_timeout: settings.head_timeout,
            write_timeout: settings.body_timeout,
            drain_delay: settings.drain_delay,
            drain_timeout: settings.drain_timeout,
        };
        connection::serve(listener, self, bounds, stop)
    }

    /// Tells load balancers to send no more: `/readyz` returns 503 from now on.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Returns the routes of `docs/server.md`; `/` only if the [dashboard](PluginServiceBuilder::dashboard) is served.
    pub fn router(&self) -> Router {
        http::router(self.shared.clone())
    }
}

/// Settings of a [`PluginService`].
pub struct PluginServiceBuilder {
    host: Arc<Host>,
    auth: Auth,
    terms: Box<GetTerms>,
    folder: Option<Arc<Folder>>,
    workers: usize,
    body_timeout: Duration,
    access_log: bool,
    fleet: Option<Box<ShowFleet>>,
    logs: Logs,
    dashboard: bool,
    #[cfg(feature = "otlp")]
    traces: Option<String>,
}

impl PluginServiceBuilder {
    /// Sets who may call and see plugins. By default everybody.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the terms of each plugin by its name. They are asked for when a plugin is called for the first time, and when
    /// it is shown.
    #[must_use]
    pub fn terms(mut self, terms: impl Fn(&str) -> Terms + Send + Sync + 'static) -> Self {
        self.terms = Box::new(terms);
        self
    }

    /// Sets the number of threads that run guests. By default 0: one for each processor.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the longest time until a request's body has arrived; 30 s by default.
    #[must_use]
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Writes one line of JSON to stdout for each request; by default not.
    #[must_use]
    pub const fn access_log(mut self, writes: bool) -> Self {
        self.access_log = writes;
        self
    }

    /// Takes the threads, the time for bodies, the access log and the collector of spans from a configuration. Its bounds of
    /// connections are for [`PluginService::serve`].
    #[must_use]
    pub fn settings(self, settings: &ServerSettings) -> Self {
        let built = self
            .workers(settings.workers)
            .body_timeout(settings.body_timeout)
            .access_log(settings.access_log);
        #[cfg(feature = "otlp")]
        if let Some(endpoint) = &settings.traces {
            return built.traces(endpoint);
        }
        built
    }

    /// Sets what `/v1/fleet` returns: the fleet of which this server is a part. By default it is part of none.
    #[must_use]
    pub fn fleet(mut self, show: impl Fn() -> Json + Send + Sync + 'static) -> Self {
        self.fleet = Some(Box::new(show));
        self
    }

    /// Sets the log sink of the plugins, whose lines `GET /v1/logs` sends. By default there are none.
    #[must_use]
    pub fn logs(mut self, logs: Logs) -> Self {
        self.logs = logs;
        self
    }

    /// Serves the dashboard at `/`; by default not.
    #[must_use]
    pub const fn dashboard(mut self, serves: bool) -> Self {
        self.dashboard = serves;
        self
    }

    /// Sends each request as a span to a collector of OpenTelemetry, by OTLP over HTTP; by default not. `endpoint` is the
    /// whole URL, such as `http://127.0.0.1:4318/v1/traces`.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn traces(mut self, endpoint: impl Into<String>) -> Self {
        self.traces = Some(endpoint.into());
        self
    }

    pub(crate) fn folder(mut self, folder: Arc<Folder>) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system has no thread, or a collector's URL can't be read.
    pub fn build(self) -> io::Result<PluginService> {
        let access_log = self.access_log.then(AccessLog::start).transpose()?;
        #[cfg(feature = "otlp")]
        let traces = self.traces.as_deref().map(Traces::start).transpose()?;
        let shared = Shared {
            #[cfg(feature = "otlp")]
            traces,
            world: RwLock::new(Arc::new(World {
                host: self.host,
                auth: self.auth,
                terms: self.terms,
                tenants: Tenants::default(),
                folder: self.folder,
            })),
            threads: Threads::start(self.workers)?,
            metrics: Arc::new(Metrics::new()),
            body_timeout: self.body_timeout,
            access_log,
            logs: self.logs,
            dashboard: self.dashboard,
            changes: tokio::sync::Mutex::default(),
            draining: AtomicBool::new(false),
            fleet: self.fleet,
        };
        Ok(PluginService {
            shared: Arc::new(shared),
        })
    }
}
