//! Log lines as they come, as server-sent events.

use super::Exchange;
use crate::{logs::Watcher, problem::Problem, service::Shared};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use std::{fmt::Write as _, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Time after which a comment is sent if there was no line: it tells proxies that the stream lives, and the server whether
/// the client does.
const ALIVE: Duration = Duration::from_secs(10);

/// Time for which lines are gathered, so that a flood of them is sent in few pieces.
const GATHERED: Duration = Duration::from_millis(100);

pub(super) fn logs(exchange: &Exchange<'_>) -> Result<Response<Body>, Problem> {
    let logs = &exchange.shared.logs;
    let watcher = logs.watch(exchange.client()?).ok_or_else(|| {
        Problem::new("too-many-watchers", "").retry_after(Duration::from_secs(10))
    })?;
    // Those that the client has seen before its connection was lost.
    let seen = exchange.parts.headers.get("last-event-id");
    let seen = seen.and_then(|seen| Some(logs.tagged(seen.to_str().ok()?)));
    let authorization = exchange.parts.headers.get(header::AUTHORIZATION).cloned();
    let (send, body) = Channel::new(1);
    let follow = Follow {
        shared: exchange.shared.clone(),
        authorization,
        send,
        seen: seen.unwrap_or(0),
    };
    tokio::spawn(follow.run(watcher));
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A client that follows the log.
struct Follow {
    shared: Arc<Shared>,
    authorization: Option<HeaderValue>,
    send: Sender<Bytes>,
    /// The number of the last line that it has.
    seen: u64,
}

impl Follow {
    /// Sends lines until the client goes, loses its token, or the server shuts down.
    async fn run(mut self, mut watcher: Watcher) {
        loop {
            let Some(text) = self.events(&watcher) else {
                return;
            };
            if !text.is_empty() && self.send.send_data(text.into()).await.is_err() {
                return;
            }
            sleep(GATHERED).await;
            match timeout(ALIVE, watcher.changed()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    let comment = Bytes::from_static(b": alive\n\n");
                    if self.send.send_data(comment).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Writes the lines that the client may see and has not; `None` if its token is not known any more.
    fn events(&mut self, watcher: &Watcher) -> Option<String> {
        // As it is now: a reload may have changed the tokens.
        let world = self.shared.world();
        let authorization = self.authorization.as_ref().map(HeaderValue::as_bytes);
        let client = world.auth.client(authorization).ok()?;
        let (missed, lines) = watcher.logs.after(self.seen);
        let mut text = String::new();
        // Writing to a text can't fail.
        if missed > 0 && client.may_monitor() {
            let _ = write!(text, "event: missed\ndata: {missed}\n\n");
        }
        for line in lines {
            self.seen = line.number;
            let visible = match line.is_of_server() {
                true => client.may_monitor(),
                false => client.may_see(&line.plugin),
            };
            if visible {
                let tag = watcher.logs.tag(&line);
                let _ = write!(text, "id: {tag}\ndata: {}\n\n", line.json());
            }
        }
        Some(text)
    }
}
