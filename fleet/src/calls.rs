//! Calls by request and reply: `FLEET.call.PLUGIN` and `FLEET.call.PLUGIN.EXPORT`.

use crate::{
    connect::Fleet,
    error::FleetError,
    follow::Worker,
    names::{from_token, is_inbox, token},
};
use async_nats::{HeaderMap, Message, Request, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use hostel_server::{DirectCall, DirectError};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// The header with the code of an error. A reply without it is the output.
pub const CODE: &str = "Hostel-Code";

/// The header with the status that an error has over HTTP.
pub const STATUS: &str = "Hostel-Status";

/// The header with the worker that made the call.
pub const WORKER: &str = "Hostel-Worker";

/// The header with the release in which the call began.
pub const RELEASE: &str = "Hostel-Release";

/// Most calls that a worker has at one time. Further ones wait in its subscription.
const MOST: usize = 1_000;

/// Most bytes of an error's explanation.
const DETAIL: usize = 8 << 10;

/// Cuts an explanation: a guest's may be long.
pub(crate) fn shortened(mut detail: String) -> String {
    let mut end = DETAIL.min(detail.len());
    while !detail.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    detail.truncate(end);
    detail
}

/// The reply to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The plugin's output.
    pub output: Bytes,
    /// The worker that made the call.
    pub worker: String,
    /// The release in which it began.
    pub release: u64,
}

impl Fleet {
    /// Calls a plugin on one of the workers, which is called once at most: after [`FleetError::Nats`], it was called or
    /// not. `export` is `process` if it is empty.
    ///
    /// # Errors
    ///
    /// [`FleetError::Failed`] with the code of the plugin's error; [`FleetError::Nats`] if no worker runs, or none has
    /// replied within `wait`.
    pub async fn call(
        &self,
        plugin: &str,
        export: &str,
        input: Bytes,
        wait: Duration,
    ) -> Result<Reply, FleetError> {
        let mut subject = format!("{}.call.{}", self.name, token(plugin));
        if !export.is_empty() {
            subject = format!("{subject}.{}", token(export));
        }
        let request = Request::new().payload(input).timeout(Some(wait));
        let reply = self.client.send_request(subject, request).await;
        let reply = reply.map_err(|error| FleetError::nats("call the plugin")(error.into()))?;
        let header = |name: &str| {
            let headers = reply.headers.as_ref()?;
            Some(headers.get(name)?.as_str().to_owned())
        };
        if let Some(code) = header(CODE) {
            let detail = String::from_utf8_lossy(&reply.payload).into_owned();
            return Err(FleetError::Failed(code, detail));
        }
        Ok(Reply {
            worker: header(WORKER).unwrap_or_default(),
            release: header(RELEASE)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            output: reply.payload,
        })
    }
}

/// Takes calls while the worker is open, until `stop` changes; then lets calls end.
pub(crate) async fn serve(worker: Arc<Worker>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut open = worker.open.subscribe();
    let mut calls = JoinSet::new();
    let mut subscription = None;
    while !*stop.borrow() {
        let is_open = *open.borrow_and_update();
        match (is_open, &mut subscription) {
            (true, None) => match subscribe(&worker).await {
                Ok(subscribed) => subscription = Some(subscribed),
                Err(error) => {
                    tracing::error!(target: "hostel::fleet", "takes no calls: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
            (false, Some(subscribed)) => {
                // Those that it has got already are answered; further ones go to other workers.
                let _ = subscribed.drain().await;
            }
            _ => {}
        }
        tokio::select! {
            _ = stop.changed() => break,
            _ = open.changed() => {}
            message = next(&mut subscription) => match message {
                None => subscription = None,
                Some(message) => {
                    let place = places.clone().acquire_owned().await;
                    let worker = worker.clone();
                    calls.spawn(async move {
                        answer(&worker, message).await;
                        drop(place);
                    });
                }
            },
        }
        while calls.try_join_next().is_some() {}
    }
    if let Some(mut subscription) = subscription {
        let _ = subscription.drain().await;
        while let Some(message) = subscription.next().await {
            let worker = worker.clone();
            calls.spawn(async move { answer(&worker, message).await });
        }
    }
    while calls.join_next().await.is_some() {}
    let _ = worker.fleet.client.flush().await;
}

async fn subscribe(worker: &Worker) -> Result<Subscriber, FleetError> {
    let fleet = &worker.fleet;
    let subject = format!("{}.call.>", fleet.name);
    let subscribed = fleet
        .client
        .queue_subscribe(subject, fleet.name.clone())
        .await;
    subscribed.map_err(|error| FleetError::nats("subscribe to calls")(error.into()))
}

async fn next(subscription: &mut Option<Subscriber>) -> Option<Message> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// Makes a call, and sends its reply. The caller chooses the reply's subject, but the worker has the rights of the whole
/// fleet: a call with a subject that is no inbox is not made.
async fn answer(worker: &Worker, message: Message) {
    let Some(reply) = message.reply.clone() else {
        return;
    };
    if !is_inbox(&reply, &worker.fleet.inbox) {
        let (subject, reply) = (message.subject.escape_debug(), reply.escape_debug());
        tracing::warn!(target: "hostel::fleet", "a call to `{subject}` is refused: its reply subject `{reply}` is not below `{}.`", worker.fleet.inbox);
        return;
    }
    let mut headers = HeaderMap::new();
    headers.insert(WORKER, &*worker.id);
    headers.insert(RELEASE, worker.world().number.to_string());
    let most = worker.fleet.payload();
    let result = call(worker, message)
        .await
        .and_then(|output| match output.len() {
            length if length <= most => Ok(output),
            length => Err(DirectError {
                code: "output-too-large",
                detail: format!(
                    "the output has {length} bytes, a message {most}: submit a job instead"
                ),
                status: 502,
            }),
        });
    let payload = result.unwrap_or_else(|error| {
        headers.insert(CODE, error.code);
        headers.insert(STATUS, error.status.to_string());
        shortened(error.detail).into_bytes()
    });
    let client = &worker.fleet.client;
    let sent = client
        .publish_with_headers(reply, headers, payload.into())
        .await;
    if let Err(error) = sent {
        tracing::warn!(target: "hostel::fleet", "a reply could not be sent: {error}");
    }
}

async fn call(worker: &Worker, message: Message) -> Result<Vec<u8>, DirectError> {
    let began = Instant::now();
    let prefix = format!("{}.call.", worker.fleet.name);
    let rest = message.subject.strip_prefix(&*prefix).unwrap_or_default();
    let mut tokens = rest.split('.').map(from_token);
    let (plugin, export) = match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(Some(plugin)), None, _) => (plugin, String::new()),
        (Some(Some(plugin)), Some(Some(export)), None) => (plugin, export),
        _ => {
            return Err(DirectError {
                code: "bad-path",
                detail: "expected the subject FLEET.call.PLUGIN or FLEET.call.PLUGIN.EXPORT".into(),
                status: 400,
            });
        }
    };
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        Some(headers.get(name)?.as_str().to_owned())
    };
    let result = worker
        .service
        .call(DirectCall {
            plugin: plugin.clone(),
            export,
            traceparent: header("traceparent"),
            input: message.payload,
            began,
            around: None,
        })
        .await;
    // Any name can be in a subject: only plugins are counted.
    if !matches!(&result, Err(error) if error.code == "unknown-plugin") {
        worker.counters.call(&plugin, result.is_ok());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_explanation_is_cut_between_characters() {
        assert_eq!(shortened("short".into()), "short");
        let long = format!("{}ü", "x".repeat(DETAIL - 1));
        assert_eq!(shortened(long).len(), DETAIL - 1);
    }
}
