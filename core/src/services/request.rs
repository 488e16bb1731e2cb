//! `env.host_http_request`: sends a guest's request by the embedder's client, and suspends the guest meanwhile. Linked
//! only if [`Grants::http`](crate::Grants::http) is called.

use super::{
    answer::Answer,
    http::{HttpClient, HttpError, HttpRequest, HttpResponse, is_token, is_value},
};
use crate::{
    error::Trap,
    host_functions::{Async, Context, Function, IntoHostFunction as _},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{
    future::{Future, ready},
    pin::Pin,
};

/// Most bytes before the body, of a request and of a response.
const HEAD_BYTES: usize = 64 << 10;

/// The response's text, or an error of which the guest is told.
type Sent = Result<Answer<Vec<u8>>, Trap>;

/// Returns the host function that sends requests by `client`.
pub(crate) fn send<T: 'static>(client: impl HttpClient) -> Function<T> {
    let client = Arc::new(client);
    let send = move |context: &mut Context<'_, T>, request: &[u8]| {
        let sent: Pin<Box<dyn Future<Output = Sent> + Send>> =
            match begin(&*client, context, request) {
                Ok(Ok(request)) => {
                    let limit = request.max_header_bytes;
                    let pending = client.send(request);
                    Box::pin(async move {
                        let response = pending.await;
                        Ok(answer(
                            response.and_then(|response| write(&response, limit)),
                        ))
                    })
                }
                Ok(Err(error)) => Box::pin(ready(Ok(answer(Err(error))))),
                Err(trap) => Box::pin(ready(Err(trap))),
            };
        Async(sent)
    };
    send.into_host_function()
}

fn answer(written: Result<Vec<u8>, HttpError>) -> Answer<Vec<u8>> {
    Answer(match written {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(format!("{}: {error}", error.code())),
    })
}

/// Charges for a request, reads it, and bounds its response.
fn begin<T>(
    client: &impl HttpClient,
    context: &mut Context<'_, T>,
    text: &[u8],
) -> Result<Result<HttpRequest, HttpError>, Trap> {
    let head = head_of(text);
    // A unit for each byte of the head: reading it takes longer than copying it.
    let cost = client.cost().saturating_add(head.len() as u64);
    context.charge(cost)?;
    let mut request = match read(text, head) {
        Ok(request) => request,
        Err(error) => return Ok(Err(error)),
    };
    let shared = context.shared();
    let meter = context.meter();
    let left = meter.budget().bytes_to_guest;
    let left = left.saturating_sub(meter.usage.bytes_to_guest);
    request.plugin = String::from(&*shared.name);
    request.max_header_bytes = HEAD_BYTES.min(left / 4);
    request.max_body_bytes = left.saturating_sub(request.max_header_bytes);
    let until = meter.until().zip(shared.platform.now());
    request.timeout = until.map(|(until, now)| until.saturating_sub(now));
    Ok(Ok(request))
}

/// Returns the lines before the body: up to an empty line, or all if none comes in time.
fn head_of(text: &[u8]) -> &[u8] {
    let start = text.get(..HEAD_BYTES + 2).unwrap_or(text);
    let end = start.windows(2).position(|pair| pair == b"\n\n");
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Reads `METHOD URL`, a line `NAME: VALUE` for each header, and after an empty line the body.
fn read(text: &[u8], head: &[u8]) -> Result<HttpRequest, HttpError> {
    if head.len() > HEAD_BYTES {
        let found = head.len();
        return Err(HttpError::invalid(format_args!(
            "its lines before the body have {found} bytes, {HEAD_BYTES} are allowed"
        )));
    }
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines
        .next()
        .and_then(|line| core::str::from_utf8(line).ok());
    let Some((method, url)) = first.and_then(|line| line.split_once(' ')) else {
        return Err(HttpError::invalid("its first line is not `METHOD URL`"));
    };
    let mut request = HttpRequest::new(method, url);
    // An empty head's last line end is one of the text's.
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':');
        let parts = colon.and_then(|at| line.split_at_checked(at));
        let named = parts
            .and_then(|(name, value)| Some((core::str::from_utf8(name).ok()?, value.get(1..)?)));
        let Some((name, value)) = named else {
            return Err(HttpError::invalid("a line of it is not `NAME: VALUE`"));
        };
        request
            .headers
            .push((name.into(), value.trim_ascii().into()));
    }
    request.check()?;
    let body = head.len().saturating_add(2);
    request.body = text.get(body..).unwrap_or_default().into();
    Ok(request)
}

/// Writes the status, a line `NAME: VALUE` for each header, an empty line, and the body.
fn write(response: &HttpResponse, max_header_bytes: usize) -> Result<Vec<u8>, HttpError> {
    let mut text = format!("{}\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        // A client of the embedder's may not have checked it.
        if !is_token(name) || !is_value(value) {
            return Err(HttpError::Failed {
                reason: "the response has a malformed header".into(),
            });
        }
        for part in [name.as_bytes(), b": ", value, b"\n"] {
            text.extend_from_slice(part);
        }
        if text.len() > max_header_bytes {
            return Err(HttpError::TooLarge {
                part: "headers",
                limit: max_header_bytes,
            });
        }
    }
    text.push(b'\n');
    text.extend_from_slice(&response.body);
    Ok(text)
}
