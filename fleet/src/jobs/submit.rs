//! Submits jobs for clients that may not write into the queue.
//!
//! NATS confirms each message of a stream to the reply subject that its sender chose, with rights of its own. So a client
//! that could publish into the queue could write anywhere: it asks a worker instead.

use super::{ATTEMPTS, EXPORT, JOB, NewJob};
use crate::{error::FleetError, follow::Worker, names::from_token, requests::header};
use async_nats::Message;
use hostel_server::DirectError;

/// Submits a job, and returns its name. `rest` is the end of the request's subject: `PLUGIN`.
pub(crate) async fn submit(
    worker: &Worker,
    rest: &str,
    message: Message,
) -> Result<Vec<u8>, DirectError> {
    let refuse = |code, detail: String| DirectError {
        code,
        detail,
        status: 400,
    };
    let Some(plugin) = from_token(rest) else {
        let expected = "expected the subject FLEET.submit.PLUGIN".to_owned();
        return Err(refuse("bad-path", expected));
    };
    let attempts = header(&message, ATTEMPTS).map(|text| {
        let wrong = format!(
            "`{ATTEMPTS}` is `{}`: expected a number",
            text.escape_debug()
        );
        text.parse().map_err(|_| refuse("bad-header", wrong))
    });
    let job = NewJob {
        id: header(&message, JOB),
        plugin,
        export: header(&message, EXPORT).unwrap_or_default(),
        attempts: attempts.transpose()?,
        traceparent: header(&message, "traceparent"),
        input: message.payload,
    };
    let submitted = worker.fleet.submit(job).await;
    submitted
        .map(|status| status.name().into_bytes())
        .map_err(|error| {
            let detail = error.to_string();
            let (code, status) = match error {
                FleetError::Name(_) => ("bad-name", 400),
                FleetError::Export(..) => ("bad-export", 400),
                FleetError::InputBytes(..) => ("input-too-large", 413),
                FleetError::UnknownPlugin(_) => ("unknown-plugin", 404),
                FleetError::JobQueueFull(..) => ("job-queue-full", 429),
                FleetError::ResultsFull(..) => ("results-full", 429),
                _ => ("nats", 503),
            };
            DirectError {
                code,
                detail,
                status,
            }
        })
}
