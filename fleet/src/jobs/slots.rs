//! Takes jobs from the queue, and tells NATS how they end.

use super::{
    ATTEMPTS, DEFAULT_ATTEMPTS, EXPORT, JOB, MOST_ATTEMPTS,
    places::Places,
    record::consumer,
    run::{End, Job, Runner},
};
use crate::{
    follow::Worker,
    names::{from_token, is_header, is_plain, token},
    requests::header,
};
use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, PullConsumer, pull},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hostel_server::{Grant, is_plugin_name};
use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout},
};

/// Time after which a job whose worker is not heard of is given to another one.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// Time after which NATS removes a plugin's consumer that no worker asks. It is made again with the next job.
const UNUSED: Duration = Duration::from_secs(3_600);

/// Time for which a plugin's queue is asked for a job, before it is asked again.
const ASK: Duration = Duration::from_secs(5);

/// Time after which a queue is asked again if NATS can't be asked.
const PAUSE: Duration = Duration::from_millis(250);

/// Time between two looks for plugins that have jobs.
const LOOK: Duration = Duration::from_secs(1);

/// Longest time for which a job waits here for a place: then another worker may get it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes jobs while the worker is open, `slots` at a time, until `stop` changes; then lets those that run end.
///
/// Each plugin has a queue of its own, so that its jobs wait for no other plugin's, and a worker that asks for them.
pub(crate) async fn serve(worker: Arc<Worker>, slots: usize, mut stop: watch::Receiver<bool>) {
    if slots == 0 {
        return;
    }
    let runner = Arc::new(Runner::new(worker.clone()));
    let places = Places::new(slots);
    let mut takers: HashMap<String, JoinHandle<()>> = HashMap::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => break,
            _ = ticks.tick() => {}
        }
        takers.retain(|_, taker| !taker.is_finished());
        let mut plugins = worker.world().host.list();
        match waiting(&worker).await {
            Ok(names) => plugins.extend(names),
            Err(error) => {
                tracing::debug!(target: "hostel::fleet", "can't look for jobs: {error}");
            }
        }
        for plugin in plugins {
            takers.entry(plugin.clone()).or_insert_with(|| {
                let taker = Taker {
                    runner: runner.clone(),
                    places: places.clone(),
                    slots,
                    plugin,
                };
                tokio::spawn(taker.run(stop.clone()))
            });
        }
    }
    for (_, taker) in takers {
        // One that panicked has ended, too.
        let _ = taker.await;
    }
}

/// Returns the names of plugins that have jobs, served or not. Messages with another subject are removed.
async fn waiting(worker: &Worker) -> Result<Vec<String>, async_nats::Error> {
    let fleet = &worker.fleet;
    let prefix = format!("{}.job.", fleet.name);
    let stream = fleet.context.get_stream_no_info(fleet.queue()).await?;
    let mut subjects = stream.info_with_subjects(format!("{prefix}*")).await?;
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    while let Some((subject, _)) = subjects.try_next().await? {
        let name = subject.strip_prefix(&prefix).and_then(from_token);
        match name.filter(|name| is_plugin_name(name)) {
            Some(name) => names.push(name),
            None => wrong.push(subject),
        }
    }
    for subject in wrong {
        let shown = subject.escape_debug();
        tracing::warn!(target: "hostel::fleet", "messages to `{shown}` are no jobs, and are dropped: it names no plugin");
        stream.purge().filter(subject).await?;
    }
    Ok(names)
}

/// Takes the jobs of one plugin.
struct Taker {
    runner: Arc<Runner>,
    places: Arc<Places>,
    slots: usize,
    plugin: String,
}

impl Taker {
    /// Takes jobs until `stop` changes, or the plugin is not served and has none.
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut open = self.runner.worker.open.subscribe();
        let mut queue = None;
        let mut jobs = JoinSet::new();
        while !*stop.borrow() {
            while jobs.try_join_next().is_some() {}
            let most = self.most();
            let message = tokio::select! {
                _ = stop.changed() => break,
                _ = jobs.join_next(), if jobs.len() >= most => continue,
                message = self.next(&mut open, &mut queue), if jobs.len() < most => message,
            };
            match message {
                Ok(Some(message)) => match timeout(PATIENCE, self.places.get(&self.plugin)).await {
                    Ok(place) => {
                        let runner = self.runner.clone();
                        jobs.spawn(async move {
                            handle(&runner, &message).await;
                            drop(place);
                        });
                    }
                    Err(_) => {
                        let _ = message.ack_with(AckKind::Nak(None)).await;
                    }
                },
                Ok(None) if !self.is_served() && jobs.is_empty() => break,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(target: "hostel::fleet", plugin = self.plugin, "no job: {error}");
                    queue = None;
                    tokio::select! {
                        _ = stop.changed() => break,
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
        while jobs.join_next().await.is_some() {}
    }

    fn is_served(&self) -> bool {
        self.runner.worker.world().host.get(&self.plugin).is_ok()
    }

    /// Returns how many of its jobs can run here at one time.
    fn most(&self) -> usize {
        let world = self.runner.worker.world();
        let settings = world.config.plugin(&self.plugin);
        match settings.has(Grant::State) {
            // Of two at a time that change the plugin's values, one would have to be repeated.
            true => 1,
            false => self.slots.min(settings.limits.instances).max(1),
        }
    }

    /// Asks for one job. One at a time: what is asked for ahead would wait here while other workers are idle.
    async fn next(
        &self,
        open: &mut watch::Receiver<bool>,
        queue: &mut Option<PullConsumer>,
    ) -> Result<Option<Message>, async_nats::Error> {
        // Its sender is the worker's, which the taker holds.
        let _ = open.wait_for(|open| *open).await;
        let consumer = match queue {
            Some(consumer) => consumer,
            None => queue.insert(self.consumer().await?),
        };
        let mut batch = consumer
            .batch()
            .max_messages(1)
            .expires(ASK)
            .messages()
            .await?;
        batch.next().await.transpose()
    }

    async fn consumer(&self) -> Result<PullConsumer, async_nats::Error> {
        let fleet = &self.runner.worker.fleet;
        let stream = fleet.context.get_stream_no_info(fleet.queue()).await?;
        let name = consumer(&self.plugin);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: format!("{}.job.{}", fleet.name, token(&self.plugin)),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // Attempts are counted by workers: NATS would leave the last one's message in the stream, and tell nobody.
            max_deliver: -1,
            max_ack_pending: 10_000,
            max_waiting: 10_000,
            inactive_threshold: UNUSED,
            ..pull::Config::default()
        };
        Ok(stream.get_or_create_consumer(&name, config).await?)
    }
}

/// Does a job, and keeps NATS from giving it to another worker meanwhile.
async fn handle(runner: &Runner, message: &Message) {
    let _running = runner.worker.counters.running();
    let Some(job) = read(message) else {
        let id = header(message, JOB).unwrap_or_default();
        let id = id.escape_debug();
        let subject = message.subject.escape_debug();
        tracing::warn!(target: "hostel::fleet", "a message to `{subject}` with the identifier `{id}` is no job, and is dropped");
        // Only where NATS itself waits for it: with another subject, it was no message of the queue.
        if message.info().is_ok() {
            let _ = message.ack_with(AckKind::Term).await;
        }
        return;
    };
    let mut work = pin!(runner.run(&job));
    let every = ACK_WAIT / 4;
    let mut ticks = interval_at(Instant::now() + every, every);
    let end = loop {
        tokio::select! {
            end = &mut work => break end,
            _ = ticks.tick() => {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    };
    let told = match end {
        // If it gets lost, the job comes again, and its record shows that it has ended.
        End::Settled => message.double_ack().await,
        End::Again(after) => {
            runner.worker.counters.repeat();
            message.ack_with(AckKind::Nak(Some(after))).await
        }
    };
    if let Err(error) = told {
        tracing::debug!(target: "hostel::fleet", job = job.id, "the end of a job is not told: {error}");
    }
}

/// Reads a job. A message that has no identifier gets that of its place in the stream.
fn read(message: &Message) -> Option<Job> {
    let info = message.info().ok()?;
    let id = header(message, JOB).unwrap_or_else(|| format!("message-{}", info.stream_sequence));
    let attempts = header(message, ATTEMPTS).and_then(|text| text.parse().ok());
    let plugin = from_token(message.subject.rsplit('.').next()?)?;
    let export = header(message, EXPORT).unwrap_or_default();
    (is_plain(&id) && is_header(&export)).then_some(Job {
        id,
        plugin,
        export,
        input: message.payload.clone(),
        traceparent: header(message, "traceparent"),
        sequence: info.stream_sequence,
        given: u64::try_from(info.delivered).unwrap_or(1),
        attempts: attempts
            .unwrap_or(DEFAULT_ATTEMPTS)
            .clamp(1, MOST_ATTEMPTS)
            .into(),
    })
}
