//! Takes requests: calls, and submissions of jobs.
//!
//! A client chooses the subject of the reply, but a worker has the rights of the whole fleet: a request whose reply subject
//! is no inbox is refused.

use crate::{calls, error::FleetError, follow::Worker, jobs, names::is_inbox};
use async_nats::{HeaderMap, Message, Subscriber};
use futures_util::StreamExt as _;
use hostel_server::DirectError;
use std::{sync::Arc, time::Duration};
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

/// Most requests of a kind that a worker has at one time. Further ones wait in its subscription.
const MOST: usize = 1_000;

/// Most bytes of an error's explanation.
const DETAIL: usize = 8 << 10;

/// What is asked of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A call: `FLEET.call.PLUGIN` and `FLEET.call.PLUGIN.EXPORT`.
    Call,
    /// The submission of a job: `FLEET.submit.PLUGIN`.
    Submit,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Submit => "submit",
        }
    }

    async fn reply(self, worker: &Worker, message: Message) -> Result<Vec<u8>, DirectError> {
        let prefix = format!("{}.{}.", worker.fleet.name, self.name());
        let subject = message.subject.clone();
        let rest = subject.strip_prefix(&*prefix).unwrap_or_default();
        match self {
            Self::Call => calls::call(worker, rest, message).await,
            Self::Submit => jobs::submit(worker, rest, message).await,
        }
    }
}

/// Returns the text of a header.
pub(crate) fn header(message: &Message, name: &str) -> Option<String> {
    let headers = message.headers.as_ref()?;
    Some(headers.get(name)?.as_str().to_owned())
}

/// Cuts an explanation: a guest's may be long.
pub(crate) fn shortened(mut detail: String) -> String {
    let mut end = DETAIL.min(detail.len());
    while !detail.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    detail.truncate(end);
    detail
}

/// Takes requests while the worker is open, until `stop` changes; then lets those end that it has taken.
pub(crate) async fn serve(worker: Arc<Worker>, kind: Kind, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut open = worker.open.subscribe();
    let mut requests = JoinSet::new();
    let mut subscription = None;
    while !*stop.borrow() {
        let is_open = *open.borrow_and_update();
        match (is_open, &mut subscription) {
            (true, None) => match subscribe(&worker, kind).await {
                Ok(subscribed) => subscription = Some(subscribed),
                Err(error) => {
                    tracing::error!(target: "hostel::fleet", "takes no requests to {}: {error}", kind.name());
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
                    requests.spawn(async move {
                        answer(&worker, kind, message).await;
                        drop(place);
                    });
                }
            },
        }
        while requests.try_join_next().is_some() {}
    }
    if let Some(mut subscription) = subscription {
        let _ = subscription.drain().await;
        while let Some(message) = subscription.next().await {
            let worker = worker.clone();
            requests.spawn(async move { answer(&worker, kind, message).await });
        }
    }
    while requests.join_next().await.is_some() {}
    let _ = worker.fleet.client.flush().await;
}

async fn subscribe(worker: &Worker, kind: Kind) -> Result<Subscriber, FleetError> {
    let fleet = &worker.fleet;
    let subject = format!("{}.{}.>", fleet.name, kind.name());
    let subscribed = fleet
        .client
        .queue_subscribe(subject, fleet.name.clone())
        .await;
    subscribed.map_err(|error| FleetError::nats("subscribe to requests")(error.into()))
}

async fn next(subscription: &mut Option<Subscriber>) -> Option<Message> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// Does what is asked, and sends the reply.
async fn answer(worker: &Worker, kind: Kind, message: Message) {
    let Some(reply) = message.reply.clone() else {
        return;
    };
    if !is_inbox(&reply, &worker.fleet.inbox) {
        let (subject, reply) = (message.subject.escape_debug(), reply.escape_debug());
        tracing::warn!(target: "hostel::fleet", "a request to `{subject}` is refused: its reply subject `{reply}` is not below `{}.`", worker.fleet.inbox);
        return;
    }
    let mut headers = HeaderMap::new();
    headers.insert(WORKER, &*worker.id);
    headers.insert(RELEASE, worker.world().number.to_string());
    let most = worker.fleet.payload();
    let result = kind
        .reply(worker, message)
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
