//! Follows the releases: loads candidates, votes, decides, and switches.

use crate::{
    connect::{ALIVE, Fleet},
    presence::{Counters, FleetView, JobCounts, Presence, Vote},
    release::{KEY, Releases},
    world::{Loader, World},
};
use async_nats::jetstream::kv::{Entry, Operation, Watch};
use futures_util::StreamExt as _;
use hostel_server::PluginService;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);

/// Time after which a release that is active and could not be loaded is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What the tasks of a worker share.
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) fleet: Fleet,
    pub(crate) service: PluginService,
    pub(crate) counters: Counters,
    pub(crate) view: Arc<Mutex<FleetView>>,
    pub(crate) world: RwLock<Arc<World>>,
    /// Whether it takes calls and jobs.
    pub(crate) open: watch::Sender<bool>,
}

impl Worker {
    /// Returns the release that it serves.
    pub(crate) fn world(&self) -> Arc<World> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        world.clone()
    }
}

/// A release that is being loaded.
struct Loading {
    number: u64,
    task: JoinHandle<Result<World, String>>,
}

/// The task that follows the releases.
pub(crate) struct Follower {
    worker: Arc<Worker>,
    loader: Arc<Loader>,
    presence: Presence,
    releases: Releases,
    loading: Option<Loading>,
    /// The candidate, loaded.
    ready: Option<Arc<World>>,
    /// When the active release could not be loaded.
    failed: Option<Instant>,
    /// The workers that were heard of, and when.
    heard: HashMap<String, (Instant, Presence)>,
    /// When the watch of workers showed this one, or was begun.
    watched: Instant,
    counts: JobCounts,
}

impl Follower {
    pub(crate) fn new(worker: Arc<Worker>, loader: Arc<Loader>, presence: Presence) -> Self {
        Self {
            worker,
            loader,
            presence,
            releases: Releases::default(),
            loading: None,
            ready: None,
            failed: None,
            heard: HashMap::new(),
            watched: Instant::now(),
            counts: JobCounts::default(),
        }
    }

    /// Follows until `stop` changes; then takes leave.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut releases, mut workers) = (None, None);
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                changed = next(&mut releases) => match changed {
                    Some(_) => self.read().await,
                    None => releases = None,
                },
                changed = next(&mut workers) => match changed {
                    Some(entry) => self.hear(&entry),
                    None => workers = None,
                },
                loaded = loaded(&mut self.loading) => self.loaded(loaded).await,
                _ = beat.tick() => {
                    let fleet = &self.worker.fleet;
                    if releases.is_none() {
                        releases = fleet.releases.watch(KEY).await.ok();
                    }
                    // A watch of a bucket that was made again shows nothing, for ever: not even this worker.
                    if workers.is_none() || self.watched.elapsed() > ALIVE {
                        workers = fleet.workers.watch_with_history(">").await.ok();
                        self.watched = Instant::now();
                    }
                    // Also what a watch may have missed.
                    self.read().await;
                    self.count().await;
                    if !self.tell().await && self.worker.fleet.renew_workers().await.is_ok() {
                        self.tell().await;
                    }
                }
            }
            self.act().await;
            self.show();
        }
        let _ = self.worker.fleet.workers.delete(&self.worker.id).await;
    }

    async fn read(&mut self) {
        if let Ok(releases) = self.worker.fleet.releases().await {
            self.releases = releases;
        }
    }

    async fn count(&mut self) {
        if let Ok(counts) = self.worker.fleet.job_counts().await {
            self.counts = counts;
        }
    }

    /// Publishes the sign of life. Returns whether NATS has it.
    async fn tell(&mut self) -> bool {
        self.presence.figures = self.worker.counters.figures();
        let told = self.worker.fleet.tell(&self.presence).await;
        if let Err(error) = &told {
            tracing::warn!(target: "hostel::fleet", "{error}");
        }
        let heard = (Instant::now(), self.presence.clone());
        self.heard.insert(self.worker.id.clone(), heard);
        told.is_ok()
    }

    /// Notes a sign of life.
    fn hear(&mut self, entry: &Entry) {
        if entry.key == self.worker.id {
            self.watched = Instant::now();
        }
        if entry.operation != Operation::Put {
            self.heard.remove(&entry.key);
        } else if let Ok(presence) = serde_json::from_slice(&entry.value) {
            let heard = (Instant::now(), presence);
            self.heard.insert(entry.key.clone(), heard);
        }
        self.heard.retain(|_, (at, _)| at.elapsed() < ALIVE);
    }

    /// Does the next thing that the releases ask for.
    async fn act(&mut self) {
        let (serves, active) = (self.presence.serves, self.releases.active.number);
        if serves < active {
            let ready = self.ready.take_if(|it| it.number == active);
            match ready {
                Some(world) => return self.switch(world).await,
                None if self.failed.is_some_and(|at| at.elapsed() < AGAIN) => return,
                None => return self.load(active),
            }
        }
        let Some(candidate) = &self.releases.candidate else {
            self.ready = None;
            self.presence.vote = None;
            return;
        };
        let number = candidate.number;
        match &self.presence.vote {
            Some(vote) if vote.release == number => self.decide(number).await,
            _ => self.load(number),
        }
    }

    /// Begins to load a release, unless one is being loaded.
    fn load(&mut self, number: u64) {
        let active = Some(&self.releases.active);
        let known = [active, self.releases.candidate.as_ref()];
        let mut known = known.into_iter().flatten();
        let release = known.find(|release| release.number == number);
        if let (None, Some(release)) = (&self.loading, release) {
            let last = Some(self.worker.world());
            let task = tokio::spawn(self.loader.clone().load(release.clone(), last));
            self.loading = Some(Loading { number, task });
        }
    }

    async fn loaded(&mut self, (number, result): (u64, Result<World, String>)) {
        let is_active = self.releases.active.number == number;
        let refusal = match result {
            Ok(world) => {
                self.ready = Some(Arc::new(world));
                None
            }
            Err(reason) => Some(reason),
        };
        if is_active {
            if let Some(reason) = refusal {
                tracing::error!(target: "hostel::fleet", release = number, "can't serve the active release, takes no work: {reason}");
                self.failed = Some(Instant::now());
                self.presence.behind = Some(reason);
                self.worker.open.send_replace(false);
                self.tell().await;
            }
            return;
        }
        match &refusal {
            None => {
                tracing::info!(target: "hostel::fleet", release = number, "ready for the release");
            }
            Some(reason) => {
                tracing::warn!(target: "hostel::fleet", release = number, "refuses the release: {reason}");
            }
        }
        self.presence.vote = Some(Vote {
            release: number,
            refusal,
        });
        self.tell().await;
    }

    /// Serves another release from now on. Calls that run end in the one before.
    async fn switch(&mut self, world: Arc<World>) {
        let (host, config) = (world.host.clone(), &world.config);
        let worker = &self.worker;
        worker.service.replace(host, config.auth(), config.terms());
        let number = world.number;
        *worker.world.write().unwrap_or_else(PoisonError::into_inner) = world;
        worker.open.send_replace(true);
        tracing::info!(target: "hostel::fleet", release = number, "serves the release");
        self.failed = None;
        self.presence.behind = None;
        self.presence.serves = number;
        self.tell().await;
    }

    /// Makes the candidate active if all workers are ready, or refuses it if one does.
    async fn decide(&mut self, number: u64) {
        // What was heard shows whether it is time; what NATS has then decides.
        let heard = self.heard.values().map(|(_, presence)| presence);
        if verdict(heard, number).is_none() {
            return;
        }
        let fleet = &self.worker.fleet;
        let Ok(workers) = fleet.presences().await else {
            return;
        };
        let Some(refusals) = verdict(workers.iter(), number) else {
            return;
        };
        let changed = fleet
            .change_releases(|releases| {
                if releases.candidate.as_ref().map(|it| it.number) == Some(number) {
                    match refusals.is_empty() {
                        true => releases.activate(),
                        false => releases.refuse(refusals.clone()),
                    }
                }
                Ok(releases.clone())
            })
            .await;
        if let Ok(releases) = changed {
            self.releases = releases;
            // At once: a further event may take a second.
            if let Some(world) = self
                .ready
                .take_if(|it| it.number == self.releases.active.number)
            {
                self.switch(world).await;
            }
        }
    }

    /// Puts what is known of the fleet where requests find it.
    fn show(&self) {
        let mut workers: Vec<_> = self.heard.values().map(|(_, it)| it.clone()).collect();
        workers
            .sort_by(|one, other| (one.started, &one.worker).cmp(&(other.started, &other.worker)));
        let view = FleetView {
            fleet: self.worker.fleet.name.clone(),
            releases: self.releases.clone(),
            workers,
            jobs: self.counts,
        };
        let mut shown = self
            .worker
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = view;
    }
}

/// Returns the verdict of votes on a release: the refusals, none if all are ready; `None` if votes are missing and no worker
/// refuses.
fn verdict<'a>(
    workers: impl Iterator<Item = &'a Presence>,
    number: u64,
) -> Option<Vec<(String, String)>> {
    let (mut refusals, mut complete) = (Vec::new(), true);
    for worker in workers {
        match &worker.vote {
            Some(vote) if vote.release == number => {
                let reason = vote.refusal.clone();
                refusals.extend(reason.map(|reason| (worker.worker.clone(), reason)));
            }
            _ => complete = false,
        }
    }
    (complete || !refusals.is_empty()).then_some(refusals)
}

/// Waits for the next change; for ever without a watch.
async fn next(watch: &mut Option<Watch>) -> Option<Entry> {
    match watch {
        Some(watch) => watch.next().await?.ok(),
        None => std::future::pending().await,
    }
}

/// Waits for the release that is being loaded; for ever without one.
async fn loaded(loading: &mut Option<Loading>) -> (u64, Result<World, String>) {
    let Some(Loading { number, task }) = loading else {
        return std::future::pending().await;
    };
    let (number, joined) = (*number, task.await);
    *loading = None;
    let result = joined.unwrap_or_else(|_| Err("loading panicked".to_owned()));
    (number, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_ready_or_one_refuses() {
        let worker = |name: &str, release: u64, refusal: Option<&str>| Presence {
            worker: name.into(),
            vote: Some(Vote {
                release,
                refusal: refusal.map(Into::into),
            }),
            ..Presence::default()
        };
        let verdict = |workers: &[Presence]| verdict(workers.iter(), 7);
        let ready = worker("a", 7, None);
        assert_eq!(verdict(std::slice::from_ref(&ready)), Some(vec![]));
        let late = worker("b", 6, None);
        assert_eq!(verdict(&[ready.clone(), late.clone()]), None);
        assert_eq!(verdict(&[ready.clone(), Presence::default()]), None);
        let refuses = worker("c", 7, Some("no"));
        let refusals = vec![("c".to_owned(), "no".to_owned())];
        assert_eq!(verdict(&[ready, late, refuses]), Some(refusals));
    }
}
