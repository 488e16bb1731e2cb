//! What each worker tells of itself, as long as it is alive.

use crate::{connect::Fleet, error::FleetError, release::Releases};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A worker, as it was a second ago or less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its identifier: new at each start.
    pub worker: String,
    /// The address of its HTTP interface.
    pub address: String,
    /// The time at which it started, in milliseconds since 1970.
    pub started: u64,
    /// The release that it serves.
    pub serves: u64,
    /// Its vote on a candidate.
    pub vote: Option<Vote>,
    /// Why it can't follow the active release. It takes no calls and no jobs meanwhile.
    pub behind: Option<String>,
    /// What it did since its start.
    pub figures: Figures,
}

/// A worker's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The release.
    pub release: u64,
    /// Why it is refused; `None`: the worker is ready to serve it.
    pub refusal: Option<String>,
}

/// What a worker did since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Calls over NATS and jobs by plugin: those that succeeded, and those that failed.
    pub plugins: BTreeMap<String, (u64, u64)>,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that it ended: done, and failed.
    pub jobs: (u64, u64),
    /// Attempts of jobs that are to be repeated.
    pub repeats: u64,
}

/// Counts what a worker does.
#[derive(Default)]
pub(crate) struct Counters {
    figures: Mutex<Figures>,
    running: AtomicU64,
}

impl Counters {
    fn change(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut figures);
    }

    pub(crate) fn call(&self, plugin: &str, succeeded: bool) {
        self.change(|it| {
            // Names that callers make up are not counted: see `calls`.
            let (successes, failures) = it.plugins.entry(plugin.to_owned()).or_default();
            let counted = if succeeded { successes } else { failures };
            *counted = counted.saturating_add(1);
        });
    }

    pub(crate) fn job(&self, succeeded: bool) {
        self.change(|it| {
            let (done, failed) = &mut it.jobs;
            let counted = if succeeded { done } else { failed };
            *counted = counted.saturating_add(1);
        });
    }

    pub(crate) fn repeat(&self) {
        self.change(|it| it.repeats = it.repeats.saturating_add(1));
    }

    /// Counts a job that runs, until the guard is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self)
    }

    pub(crate) fn figures(&self) -> Figures {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            running: self.running.load(Ordering::Relaxed),
            ..figures.clone()
        }
    }
}

/// A job that runs.
pub(crate) struct Running<'a>(&'a Counters);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A fleet, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetView {
    /// The fleet's name.
    pub fleet: String,
    /// The releases.
    pub releases: Releases,
    /// The workers that are alive, by the time of their start.
    pub workers: Vec<Presence>,
    /// Jobs that wait or run, and those that have failed for good.
    pub jobs: JobCounts,
}

/// Numbers of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// Jobs that are not done.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
}

impl Fleet {
    /// Publishes a worker's sign of life.
    pub(crate) async fn tell(&self, presence: &Presence) -> Result<(), FleetError> {
        let bytes = serde_json::to_vec(presence).unwrap_or_default();
        let told = self.workers.put(&presence.worker, bytes.into()).await;
        told.map(drop)
            .map_err(|error| FleetError::nats("tell that this worker lives")(error.into()))
    }

    /// Returns the workers that are alive.
    ///
    /// # Errors
    ///
    /// [`FleetError::Nats`].
    pub async fn presences(&self) -> Result<Vec<Presence>, FleetError> {
        let fail = |error: async_nats::Error| FleetError::nats("list the workers")(error);
        let keys = self.workers.keys().await;
        let keys = keys.map_err(|error| fail(error.into()))?;
        let keys: Vec<String> = keys
            .try_collect()
            .await
            .map_err(|error| fail(error.into()))?;
        let mut presences = Vec::new();
        for key in keys {
            let value = self.workers.get(key).await;
            // One that has just expired is left out, and so is one of another version of hostel.
            if let Some(value) = value.map_err(|error| fail(error.into()))?
                && let Ok(presence) = serde_json::from_slice(&value)
            {
                presences.push(presence);
            }
        }
        presences.sort_by(|one: &Presence, other| {
            (one.started, &one.worker).cmp(&(other.started, &other.worker))
        });
        Ok(presences)
    }

    /// Returns the fleet as a whole.
    ///
    /// # Errors
    ///
    /// [`FleetError::Nats`] or [`FleetError::Format`].
    pub async fn view(&self) -> Result<FleetView, FleetError> {
        Ok(FleetView {
            fleet: self.name.clone(),
            releases: self.releases().await?,
            workers: self.presences().await?,
            jobs: self.job_counts().await?,
        })
    }

    /// Counts the jobs that wait or run, and the dead letters.
    pub(crate) async fn job_counts(&self) -> Result<JobCounts, FleetError> {
        let mut counts = [0; 2];
        for (count, what) in counts.iter_mut().zip(["jobs", "dead"]) {
            let stream = self.context.get_stream(format!("{}-{what}", self.name));
            let stream = stream.await;
            let stream = stream.map_err(|error| FleetError::nats("count jobs")(error.into()))?;
            *count = stream.cached_info().state.messages;
        }
        let [waiting, dead] = counts;
        Ok(JobCounts { waiting, dead })
    }
}
