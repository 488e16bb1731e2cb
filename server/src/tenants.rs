//! What the server keeps for each plugin beside the plugin itself: its lane, its quotas, its place in the queue and its
//! figures.

use crate::{
    calls::{Lane, Scheduler},
    metrics::{Figures, Metrics},
    quota::{Meter, Quota, UsedUp},
};
use hostel::Plugin;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Threads for plugins whose host functions may wait for a disk.
const BLOCKING_THREADS: usize = 8;

/// Most of these that one plugin takes at a time.
const BLOCKING_EACH: usize = 2;

/// A plugin, as the server knows it.
pub(crate) struct Tenant {
    pub(crate) name: Box<str>,
    pub(crate) lane: Arc<Lane>,
    /// Whether its host functions may wait for a disk.
    pub(crate) may_block: bool,
    pub(crate) meter: Meter,
    pub(crate) figures: Figures,
    /// Calls that run or wait.
    in_flight: AtomicUsize,
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
                may_block,
                meter: Meter::new(quota, Instant::now()),
                figures: metrics.plugin(name),
                in_flight: AtomicUsize::new(0),
            })
        };
        known.entry(name.into()).or_insert_with(make).clone()
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
                may_block,
                meter: tenant.meter.with_quota(quota, now),
                figures: metrics.plugin(name),
                in_flight: AtomicUsize::new(0),
            };
            (name.clone(), Arc::new(next))
        });
        Self(RwLock::new(tenants.collect()))
    }
}
