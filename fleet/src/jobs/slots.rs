//! Takes jobs from the queue, and tells NATS how they end.

use super::{
    ATTEMPTS, DEFAULT_ATTEMPTS, EXPORT, JOB, MOST_ATTEMPTS,
    record::CONSUMER,
    run::{End, Job, Runner},
};
use crate::{
    follow::Worker,
    names::{from_token, is_plain},
};
use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, PullConsumer, pull},
};
use futures_util::StreamExt as _;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, interval_at, sleep},
};

/// Time after which a job whose worker is not heard of is given to another one.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// Time for which a slot waits for a job, before it asks again.
const ASK: Duration = Duration::from_secs(5);

/// Time after which a slot asks again if NATS can't be asked.
const PAUSE: Duration = Duration::from_millis(250);

/// Takes jobs while the worker is open, `slots` at a time, until `stop` changes; then lets those that run end.
pub(crate) async fn serve(worker: Arc<Worker>, slots: usize, stop: watch::Receiver<bool>) {
    let runner = Arc::new(Runner::new(worker));
    let mut running = JoinSet::new();
    for _ in 0..slots {
        running.spawn(slot(runner.clone(), stop.clone()));
    }
    while running.join_next().await.is_some() {}
}

async fn slot(runner: Arc<Runner>, mut stop: watch::Receiver<bool>) {
    let mut open = runner.worker.open.subscribe();
    let mut queue = None;
    loop {
        let message = tokio::select! {
            _ = stop.changed() => return,
            () = opened(&mut open) => tokio::select! {
                _ = stop.changed() => return,
                message = next(&runner.worker, &mut queue) => message,
            },
        };
        match message {
            Ok(Some(message)) => handle(&runner, &message).await,
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(target: "hostel::fleet", "no job: {error}");
                queue = None;
                tokio::select! {
                    _ = stop.changed() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        }
        if *stop.borrow() {
            return;
        }
    }
}

/// Waits until the worker takes jobs.
async fn opened(open: &mut watch::Receiver<bool>) {
    // Its sender is the worker's, which the slot holds.
    let _ = open.wait_for(|open| *open).await;
}

/// Asks for one job. One at a time: what is asked for ahead would wait here while other workers are idle.
async fn next(
    worker: &Worker,
    queue: &mut Option<PullConsumer>,
) -> Result<Option<Message>, async_nats::Error> {
    let consumer = match queue {
        Some(consumer) => consumer,
        None => queue.insert(consumer(worker).await?),
    };
    let mut batch = consumer
        .batch()
        .max_messages(1)
        .expires(ASK)
        .messages()
        .await?;
    batch.next().await.transpose()
}

async fn consumer(worker: &Worker) -> Result<PullConsumer, async_nats::Error> {
    let fleet = &worker.fleet;
    let stream = fleet.context.get_stream_no_info(fleet.queue()).await?;
    let config = pull::Config {
        durable_name: Some(CONSUMER.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // Attempts are counted by workers: NATS would leave the last one's message in the stream, and tell nobody.
        max_deliver: -1,
        max_ack_pending: 10_000,
        max_waiting: 10_000,
        ..pull::Config::default()
    };
    Ok(stream.get_or_create_consumer(CONSUMER, config).await?)
}

/// Does a job, and keeps NATS from giving it to another worker meanwhile.
async fn handle(runner: &Runner, message: &Message) {
    let _running = runner.worker.counters.running();
    let Some(job) = read(message) else {
        let header = |name| message.headers.as_ref().and_then(|it| it.get(name));
        let id = header(JOB).map_or("", |id| id.as_str()).escape_debug();
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
    let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str().to_owned());
    let id = header(JOB).unwrap_or_else(|| format!("message-{}", info.stream_sequence));
    let attempts = header(ATTEMPTS).and_then(|text| text.parse().ok());
    let plugin = from_token(message.subject.rsplit('.').next()?)?;
    is_plain(&id).then_some(Job {
        id,
        plugin,
        export: header(EXPORT).unwrap_or_default(),
        input: message.payload.clone(),
        traceparent: header("traceparent"),
        sequence: info.stream_sequence,
        given: u64::try_from(info.delivered).unwrap_or(1),
        attempts: attempts
            .unwrap_or(DEFAULT_ATTEMPTS)
            .clamp(1, MOST_ATTEMPTS)
            .into(),
    })
}
