//! Calls by request and reply: `FLEET.call.PLUGIN` and `FLEET.call.PLUGIN.EXPORT`.

use crate::{
    connect::Fleet,
    error::FleetError,
    follow::Worker,
    names::{from_token, token},
    requests::{CODE, RELEASE, WORKER, header},
};
use async_nats::{Message, Request};
use bytes::Bytes;
use hostel_server::{DirectCall, DirectError};
use std::time::{Duration, Instant};

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
        if let Some(code) = header(&reply, CODE) {
            let detail = String::from_utf8_lossy(&reply.payload).into_owned();
            return Err(FleetError::Failed(code, detail));
        }
        Ok(Reply {
            worker: header(&reply, WORKER).unwrap_or_default(),
            release: header(&reply, RELEASE)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            output: reply.payload,
        })
    }
}

/// Makes a call. `rest` is the end of its subject: `PLUGIN` or `PLUGIN.EXPORT`.
pub(crate) async fn call(
    worker: &Worker,
    rest: &str,
    message: Message,
) -> Result<Vec<u8>, DirectError> {
    let began = Instant::now();
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
    let result = worker
        .service
        .call(DirectCall {
            plugin: plugin.clone(),
            export,
            traceparent: header(&message, "traceparent"),
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
