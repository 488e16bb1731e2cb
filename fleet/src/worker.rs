//! A worker: a server that is part of a fleet.

use crate::{
    connect::{Fleet, FleetOptions},
    error::FleetError,
    follow::{Follower, Worker},
    jobs,
    names::nonce,
    presence::{Counters, FleetView, Presence},
    release::now,
    requests::{self, Kind},
    world::Loader,
};
use hostel_server::{
    Logs, PluginService, Signal, Signals,
    hostel::{self, StateStore},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::JoinSet, time::timeout};

/// What a worker serves.
#[derive(Clone, Debug, Default)]
pub struct WorkerOptions {
    /// The fleet.
    pub fleet: FleetOptions,
    /// The address of the HTTP interface, instead of the settings'.
    pub listen: Option<SocketAddr>,
    /// Jobs at one time, from 0 to 1,000, but one of each plugin in any case. `None`: two for each processor.
    pub jobs: Option<usize>,
}

/// A worker that runs.
pub struct FleetWorker {
    worker: Arc<Worker>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    drain: Duration,
}

impl FleetWorker {
    /// Connects, loads the active release, and takes calls, jobs and requests.
    ///
    /// # Errors
    ///
    /// [`FleetError::Start`] if the release can't be loaded or the address can't be had; those of [`Fleet::connect`].
    pub async fn start(options: WorkerOptions) -> Result<Self, FleetError> {
        let start = |reason: String| FleetError::Start(reason);
        let fleet = Fleet::connect(&options.fleet).await?;
        let state: Arc<dyn StateStore> = Arc::new(fleet.state(Handle::current()));
        let logs = Logs::default();
        let loader = Arc::new(Loader {
            fleet: fleet.clone(),
            engine: hostel::engine(),
            state,
            logs: logs.clone(),
            listen: options.listen,
        });
        let active = fleet.releases().await?.active;
        let world = loader.clone().load(active, None).await;
        let world =
            Arc::new(world.map_err(|reason| {
                start(format!("the active release can't be served: {reason}"))
            })?);
        let config = world.config.clone();
        let settings = &config.server;
        let view = Arc::new(Mutex::new(FleetView::default()));
        let shown = view.clone();
        let service = PluginService::builder(world.host.clone())
            .settings(settings)
            .auth(config.auth())
            .terms(config.terms())
            .logs(logs)
            .dashboard(true)
            .fleet(move || {
                let view = shown.lock().unwrap_or_else(PoisonError::into_inner);
                serde_json::to_value(&*view).unwrap_or_default()
            })
            .build()
            .map_err(|error| start(format!("can't start a thread: {error}")))?;
        let wanted = options.listen.unwrap_or(settings.listen);
        let fail = |error| start(format!("can't listen on {wanted}: {error}"));
        let listener = TcpListener::bind(wanted).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let mut id = nonce().map_err(|error| start(error.to_string()))?;
        id.truncate(12);
        let presence = Presence {
            worker: id.clone(),
            address: address.to_string(),
            started: now(),
            serves: world.number,
            ..Presence::default()
        };
        // Before it takes work: a worker that nobody sees has no vote.
        fleet.tell(&presence).await?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(service.clone().serve(listener, settings, stopped.clone()));
        let worker = Arc::new(Worker {
            id,
            fleet,
            service,
            counters: Counters::default(),
            view,
            world: RwLock::new(world),
            open: watch::Sender::new(true),
        });
        let follower = Follower::new(worker.clone(), loader, presence);
        tasks.spawn(follower.run(stopped.clone()));
        for kind in [Kind::Call, Kind::Submit] {
            tasks.spawn(requests::serve(worker.clone(), kind, stopped.clone()));
        }
        let slots = options.jobs.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism();
            processors.map_or(2, |number| number.get().saturating_mul(2))
        });
        tasks.spawn(jobs::serve(worker.clone(), slots.min(1_000), stopped));
        Ok(Self {
            worker,
            address,
            stop,
            tasks,
            drain: settings.drain_delay.saturating_add(settings.drain_timeout),
        })
    }

    /// Returns its identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.worker.id
    }

    /// Returns the address of its HTTP interface.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the names of the plugins that it serves, sorted.
    #[must_use]
    pub fn plugins(&self) -> Vec<String> {
        self.worker.world().host.list()
    }

    /// Takes no more calls, jobs and requests, and returns when those that run have ended, or when the settings' time for
    /// that has passed. Jobs that run then are given to other workers.
    pub async fn shut_down(mut self) {
        self.worker.service.drain();
        // The receivers may have gone with their tasks.
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(self.drain, ended).await;
    }
}

/// Works until SIGINT or SIGTERM; then lets calls, jobs and requests end. `started` is called once the worker takes them.
///
/// # Errors
///
/// Those of [`FleetWorker::start`].
pub fn serve(options: WorkerOptions, started: impl FnOnce(&FleetWorker)) -> Result<(), FleetError> {
    run(async {
        let worker = FleetWorker::start(options).await?;
        let signals = Signals::new();
        let mut signals = signals.map_err(|error| FleetError::Start(error.to_string()))?;
        started(&worker);
        // Settings come from the fleet: there is nothing to read again.
        while let Signal::Reload = signals.next().await {}
        tracing::info!(target: "hostel::fleet", "ending: calls and jobs have time to end");
        worker.shut_down().await;
        Ok(())
    })
}

/// Runs `work` on a runtime of its own.
///
/// # Errors
///
/// Those of `work`; [`FleetError::Start`] if the system has no thread.
pub fn run<R>(work: impl Future<Output = Result<R, FleetError>>) -> Result<R, FleetError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| FleetError::Start(format!("can't start a thread: {error}")))?;
    runtime.block_on(work)
}
