//! `http_request`: sends a guest's request by the embedder's client, and suspends the guest meanwhile. Linked
//! only where [`Extism::http`](super::Extism::http) is called.

use super::{
    Arena,
    functions::{copy_block, exchange, give, longs},
    json::{self, Fault, REQUEST_BYTES},
};
use crate::{
    abi::{
        environment::trap,
        protocol::{EnvironmentCall, EnvironmentFunction, Outcome},
    },
    base::signature::ValType,
    call::{access::InstanceAccess, later::Later, suspend::PendingHostCall},
    error::CallError,
    services::http::{HttpClient, HttpError, HttpResponse},
};
use ValType::I64;
use alloc::{boxed::Box, format, vec::Vec};
use core::{
    task::{Context, Poll},
    time::Duration,
};
use wasmi::Val;

/// Most bytes of a response's headers, as JSON.
const HEADER_BYTES: usize = 64 << 10;

/// The last request of a guest.
#[derive(Default)]
pub(super) struct LastRequest {
    /// The status of its response; 0 before there is one.
    pub(super) status: u16,
    /// The headers of its response, as JSON; empty before there is one.
    pub(super) headers: Vec<u8>,
}

/// The function `http_request`.
pub(super) struct SendRequest<C>(pub(super) C);

impl<C: HttpClient> EnvironmentFunction for SendRequest<C> {
    fn ty(&self) -> (&[ValType], &[ValType]) {
        (&[I64, I64], &[I64])
    }

    fn has_pointers(&self) -> bool {
        false
    }

    fn run(&self, call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Outcome, CallError> {
        begin(&self.0, call, params)
    }
}

fn begin(
    client: &dyn HttpClient,
    call: &mut EnvironmentCall<'_>,
    params: &[Val],
) -> Result<Outcome, CallError> {
    let [request_at, body_at] = longs(params);
    exchange(call)?.last_request = LastRequest::default();
    let limit = call.meter.budget().argument_bytes;
    let json = copy_block(call, request_at, limit)?;
    let body = copy_block(call, body_at, limit.saturating_sub(json.len()))?;
    let arena = &mut exchange(call)?.arena;
    arena.free(request_at);
    arena.free(body_at);
    if json.len() > REQUEST_BYTES {
        let reason = format!(
            "its JSON has {} bytes, {REQUEST_BYTES} are allowed",
            json.len()
        );
        return Err(failed(&HttpError::Invalid { reason }));
    }
    // A unit for each byte of JSON: reading it takes longer than copying it.
    let cost = client.cost().saturating_add(json.len() as u64);
    call.spending.spend(cost)?;
    let mut request = json::request(&json).map_err(|fault| match fault {
        Fault::Request(error) => failed(&error),
        Fault::Call(error) => error,
    })?;
    request.check().map_err(|error| failed(&error))?;
    request.plugin = (*call.shared.name).into();
    request.body = body;
    request.hosts = exchange(call)?.grant.http_hosts.clone();
    request.max_header_bytes = HEADER_BYTES;
    request.max_body_bytes = body_limit(call)?;
    let now = call.shared.platform.now();
    let until = call.meter.until();
    request.timeout = until.zip(now).map(|(until, now)| until.saturating_sub(now));
    let waiting = Later::new(client.send(request));
    Ok(Outcome::Later(Box::new(Pending(waiting))))
}

/// Returns the most bytes that a response's body may have.
fn body_limit(call: &mut EnvironmentCall<'_>) -> Result<usize, CallError> {
    let (budget, used) = (call.meter.budget(), call.meter.usage);
    let to_guest = budget.bytes_to_guest.saturating_sub(used.bytes_to_guest);
    let memory = call.limiter.memory_left();
    let exchange = exchange(call)?;
    let blocks = exchange.grant.memory_bytes.min(memory);
    let block = blocks
        .saturating_sub(exchange.arena.size())
        .saturating_sub(Arena::OVERHEAD);
    Ok(exchange.grant.http_response_bytes.min(block).min(to_guest))
}

/// A guest that waits for a response.
struct Pending(Later<Result<HttpResponse, HttpError>>);

impl PendingHostCall for Pending {
    fn attempt(
        &mut self,
        access: InstanceAccess<'_>,
        context: &mut Context<'_>,
    ) -> Result<Option<Val>, CallError> {
        let Poll::Ready(response) = self.0.poll(&access, context)? else {
            return Ok(None);
        };
        let mut call = EnvironmentCall::of(access)?;
        let response = response.map_err(|error| failed(&error))?;
        received(&mut call, response).map(Some)
    }

    fn next(&self) -> Option<Duration> {
        self.0.next()
    }
}

/// Keeps the status and the headers, and makes a block of the body.
fn received(call: &mut EnvironmentCall<'_>, response: HttpResponse) -> Result<Val, CallError> {
    let HttpResponse {
        status,
        headers,
        body,
    } = response;
    let too_large = |part, limit| failed(&HttpError::TooLarge { part, limit });
    let headers = json::headers(&headers, HEADER_BYTES);
    let headers = headers.ok_or_else(|| too_large("headers", HEADER_BYTES))?;
    call.charge(headers.len())?;
    let limit = body_limit(call)?;
    if body.len() > limit {
        return Err(too_large("body", limit));
    }
    exchange(call)?.last_request = LastRequest { status, headers };
    let at = give(call, &body)?;
    if at == 0 && !body.is_empty() {
        // It is within all limits, but the heap is full.
        return Err(crate::memory::no_room(
            Arena::taken(body.len() as u64).unwrap_or(usize::MAX),
        ));
    }
    Ok(Val::I64(at.cast_signed()))
}

fn failed(error: &HttpError) -> CallError {
    trap(&format!("{error}"))
}
