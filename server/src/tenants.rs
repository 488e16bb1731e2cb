//! What the server keeps for each plugin beside the plugin itself: its lane, its quotas, its place in the queue and its
//! figures.

use crate::{
    calls::{Lane, Scheduler},
    metrics::{Figures, Metrics},
    problem::Problem,
    quota::{Meter, Quota, UsedUp},
    typed::Interface,
};
use hostel::{Plugin, Version};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Threads for plugins whose host functions may wait for a disk.
const BLOCKING_THREADS: usize = 8;

/// Most of these that one plugin takes at a time.
const BLOCKING_EACH: usize = 2;

/// Threads for JSON that takes longer to read than a slice.
const READING_THREADS: usize = 2;

/// A plugin, as the server knows it.
pub(crate) struct Tenant {
    pub(crate) name: Box<str>,
    pub(crate) lane: Arc<Lane>,
    /// Where long JSON is read for its calls.
    pub(crate) reading: Arc<Lane>,
    /// Whether its host functions may wait for a disk.
    pub(crate) may_block: bool,
    pub(crate) meter: Meter,
    pub(crate) figures: Figures,
    /// Calls that run or wait.
    in_flight: AtomicUsize,
    /// What was made of the version that was called last, if it is a component.
    interface: Mutex<Option<OfVersion>>,
}

/// A version of a component, and what was made of it.
struct OfVersion {
    sha256: [u8; 32],
    interface: Arc<OnceLock<Arc<Interface>>>,
}

/// Why a call may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// So many run and wait.
    QueueFull(usize),
    UsedUp(UsedUp),
}

/// A call that may begin: its place, until this is dropped.
pub(crate) struct Admitted(Arc<Tenant>);

impl Tenant {
    /// Takes a place for a call of `plugin`.
    pub(crate) fn admit(self: &Arc<Self>, plugin: &Plugin) -> Result<Admitted, NotAdmitted> {
        let limits = plugin.limits();
        let most = limits.instances.saturating_add(limits.waiting);
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let admitted = Admitted(self.clone());
        if before >= most {
            return Err(NotAdmitted::QueueFull(most));
        }
        // After the queue: a call that finds it full does not count.
        self.meter
            .admit(Instant::now())
            .map_err(NotAdmitted::UsedUp)?;
        Ok(admitted)
    }

    /// Returns the interface of a component, which is made at its first call; `None` for a module. That takes as long as
    /// its types are many, so a thread apart does it.
    pub(crate) async fn interface(
        &self,
        plugin: &Plugin,
        version: &Version,
    ) -> Result<Option<Arc<Interface>>, Problem> {
        if plugin.contract().is_none() {
            return Ok(None);
        }
        let cell = self.interface_of(version);
        if let Some(made) = cell.get() {
            return Ok(Some(made.clone()));
        }
        let plugin = plugin.clone();
        let make = move || {
            let contract = plugin.contract()?;
            // One thread makes it, and others wait for that.
            let made = cell.get_or_init(|| Arc::new(Interface::of(contract)));
            Some(made.clone())
        };
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|_| Problem::new("no-result", ""))
    }

    fn interface_of(&self, version: &Version) -> Arc<OnceLock<Arc<Interface>>> {
        let mut kept = self
            .interface
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(of) if of.sha256 == version.sha256 => of.interface.clone(),
            _ => {
                let interface = Arc::default();
                *kept = Some(OfVersion {
                    sha256: version.sha256,
                    interface: Arc::clone(&interface),
                });
                interface
            }
        }
    }

    /// Returns how many calls run or wait.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The threads on which guests run.
#[derive(Clone)]
pub(crate) struct Threads {
    compute: Scheduler,
    /// Apart, so that a guest that waits for a disk holds no thread of those that don't.
    blocking: Scheduler,
    /// Apart, since what they do has no slices.
    reading: Scheduler,
    workers: usize,
}

impl Threads {
    /// Starts `workers` threads for guests, or one for each processor if that is 0.
    pub(crate) fn start(workers: usize) -> io::Result<Self> {
        let processors = || std::thread::available_parallelism().map_or(1, |number| number.get());
        let workers = if workers == 0 { processors() } else { workers };
        Ok(Self {
            compute: Scheduler::start("hostel-guest", workers)?,
            blocking: Scheduler::start("hostel-disk", BLOCKING_THREADS)?,
            reading: Scheduler::start("hostel-json", READING_THREADS)?,
            workers,
        })
    }

    fn lane(&self, may_block: bool) -> Lane {
        match may_block {
            true => self.blocking.lane(BLOCKING_EACH),
            false => self.compute.lane(self.workers),
        }
    }

    pub(crate) fn close(&self) {
        self.compute.close();
        self.blocking.close();
        self.reading.close();
    }
}

/// The plugins that the server has met, by name.
#[derive(Default)]
pub(crate) struct Tenants(RwLock<HashMap<Box<str>, Arc<Tenant>>>);

impl Tenants {
    /// Returns a plugin that is loaded. `settings` tells its quota, and whether it may wait for a disk, if it is met for
    /// the first time.
    pub(crate) fn get(
        &self,
        name: &str,
        threads: &Threads,
        metrics: &Metrics,
        settings: impl FnOnce() -> (Quota, bool),
    ) -> Arc<Tenant> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = known.get(name) {
            return tenant.clone();
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let (quota, may_block) = settings();
            Arc::new(Tenant {
                name: name.into(),
                lane: Arc::new(threads.lane(may_block)),
                reading: Arc::new(threads.reading.lane(1)),
                may_block,
                meter: Meter::new(quota, Instant::now()),
                figures: metrics.plugin(name),
                in_flight: AtomicUsize::new(0),
                interface: Mutex::default(),
            })
        };
        known.entry(name.into()).or_insert_with(make).clone()
    }

    /// Drops the plugins that are not loaded any more and of which no call runs or waits, with their figures. One that is
    /// loaded again begins with all of its quotas.
    pub(crate) fn drop_unloaded(&self, metrics: &Metrics, is_loaded: impl Fn(&str) -> bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, tenant| {
            let stays = tenant.in_flight() > 0 || is_loaded(name);
            if !stays {
                // Under the lock: one of this name would be made anew with the old figures.
                metrics.drop_plugin(name);
            }
            stays
        });
    }

    /// Returns the plugins with other quotas, and with what they have used.
    pub(crate) fn with_settings(
        &self,
        threads: &Threads,
        metrics: &Metrics,
        settings: impl Fn(&str) -> (Quota, bool),
    ) -> Self {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let tenants = known.iter().map(|(name, tenant)| {
            let (quota, may_block) = settings(name);
            let next = Tenant {
                name: name.clone(),
                lane: Arc::new(threads.lane(may_block)),
                reading: Arc::new(threads.reading.lane(1)),
                may_block,
                meter: tenant.meter.with_quota(quota, now),
                figures: metrics.plugin(name),
                in_flight: AtomicUsize::new(0),
                interface: Mutex::default(),
            };
            (name.clone(), Arc::new(next))
        });
        Self(RwLock::new(tenants.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostel::{Grants, Host};

    #[test]
    fn a_version_s_interface_is_made_once() {
        let threads = Threads::start(1).unwrap();
        let tenants = Tenants::default();
        let tenant = tenants.get("p", &threads, &Metrics::new(), || (Quota::default(), false));
        let host = Host::new(hostel::engine());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let interface = || {
            let (plugin, version) = host.get_with_version("p").unwrap();
            runtime
                .block_on(tenant.interface(&plugin, &version))
                .unwrap()
        };
        let put = |text: &str| {
            let wasm = wat::parse_str(text).unwrap();
            let _ = host.remove("p");
            host.insert("p", &wasm, &Grants::new()).unwrap();
        };
        put("(component)");
        let first = interface().unwrap();
        assert!(Arc::ptr_eq(&first, &interface().unwrap()));
        put("(component (core module))");
        assert!(!Arc::ptr_eq(&first, &interface().unwrap()));
        put(r#"(module (func (export "f")))"#);
        assert!(interface().is_none());
        threads.close();
    }
}
