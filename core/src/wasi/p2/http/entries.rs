//! The resources of `wasi:http`, and the bytes that an instance holds of headers and bodies.

use super::{
    super::{
        super::{errno::Fail, session::Call},
        resources::{self, Entry, other, stop},
    },
    fields::Fields,
    future::Future,
    types::{ErrorCode, Method, Scheme},
};
use alloc::{boxed::Box, string::String, vec::Vec};

/// Most requests of an instance that are on their way at one time.
pub(super) const IN_FLIGHT: usize = 16;

/// A resource of `wasi:http`.
pub(in crate::wasi) enum HttpEntry {
    Fields(Fields),
    OutgoingRequest(Box<OutgoingRequest>),
    Options(Box<Options>),
    OutgoingResponse(Box<OutgoingResponse>),
    OutgoingBody(OutgoingBody),
    /// The contents of a request or response that the guest makes. No handle stands for it.
    Contents(Box<Contents>),
    Future(Box<Future>),
    IncomingRequest(Box<IncomingRequest>),
    IncomingResponse(Box<IncomingResponse>),
    IncomingBody(IncomingBody),
    /// Trailers of a body that was read; whether the guest has got them.
    Trailers(bool),
    ResponseOutparam,
}

/// `outgoing-request`.
pub(in crate::wasi) struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Fields,
    /// The number of its contents, if the guest has asked for its body.
    pub(super) contents: Option<u32>,
}

/// `request-options`, in nanoseconds.
#[derive(Default)]
pub(in crate::wasi) struct Options {
    pub(super) connect: Option<u64>,
    pub(super) first_byte: Option<u64>,
    pub(super) between_bytes: Option<u64>,
}

/// `outgoing-response`.
pub(in crate::wasi) struct OutgoingResponse {
    pub(super) status: u16,
    pub(super) headers: Fields,
    pub(super) contents: Option<u32>,
}

/// `outgoing-body`.
pub(in crate::wasi) struct OutgoingBody {
    pub(super) contents: u32,
    pub(super) has_stream: bool,
}

/// The contents of a request or response that the guest makes.
pub(in crate::wasi) struct Contents {
    pub(super) bytes: Vec<u8>,
    /// The bytes that the guest has written, refused ones included.
    pub(super) written: u64,
    /// The bytes that it has promised by `content-length`.
    pub(super) expected: Option<u64>,
    pub(super) state: Writing,
    /// The response that waits for them to be complete.
    pub(super) awaited_by: Option<u32>,
    /// How many of the body and its message there are still.
    pub(super) holders: u8,
}

/// How far the guest is with a body.
#[derive(Clone)]
pub(in crate::wasi) enum Writing {
    Open,
    Complete,
    Failed(ErrorCode),
}

/// `incoming-request`.
pub(in crate::wasi) struct IncomingRequest {
    pub(super) method: Method,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Fields,
    pub(super) body: Option<Vec<u8>>,
}

/// `incoming-response`.
pub(in crate::wasi) struct IncomingResponse {
    pub(super) status: u16,
    pub(super) headers: Fields,
    /// The body, until the guest consumes it.
    pub(super) body: Option<Vec<u8>>,
}

/// `incoming-body`.
pub(in crate::wasi) struct IncomingBody {
    pub(super) bytes: Vec<u8>,
    pub(super) has_stream: bool,
}

impl HttpEntry {
    /// Returns the bytes of headers and bodies that it holds.
    pub(in crate::wasi) const fn bytes(&self) -> usize {
        match self {
            Self::Fields(fields) => fields.bytes(),
            Self::OutgoingRequest(request) => request.headers.bytes(),
            Self::OutgoingResponse(response) => response.headers.bytes(),
            Self::Contents(contents) => contents.bytes.capacity(),
            Self::Future(future) => future.bytes(),
            Self::IncomingRequest(request) => with(&request.headers, &request.body),
            Self::IncomingResponse(response) => with(&response.headers, &response.body),
            Self::IncomingBody(body) => body.bytes.len(),
            Self::Options(_)
            | Self::OutgoingBody(_)
            | Self::Trailers(_)
            | Self::ResponseOutparam => 0,
        }
    }
}

const fn with(headers: &Fields, body: &Option<Vec<u8>>) -> usize {
    let body = match body {
        Some(body) => body.len(),
        None => 0,
    };
    headers.bytes().saturating_add(body)
}

/// What an instance has to do with HTTP, besides its resources.
#[derive(Default)]
pub(in crate::wasi) struct Exchanges {
    /// Bytes of headers and bodies that its resources hold.
    pub(in crate::wasi) held: usize,
    /// Bytes that requests on their way, and their responses, may take.
    reserved: usize,
    /// The responses whose requests are on their way, and the bytes that are reserved for each.
    sent: heapless::Vec<(u32, usize), IN_FLIGHT>,
    /// The response to the request that the embedder passed to the guest.
    pub(super) answer: Option<Result<Box<OutgoingResponse>, ErrorCode>>,
}

impl Exchanges {
    /// Returns the last of the responses whose requests are on their way.
    pub(in crate::wasi) fn last_sent(&self) -> Option<u32> {
        self.sent.last().map(|(number, _)| *number)
    }

    /// Returns whether a further request may be on its way.
    pub(super) fn has_room(&self) -> bool {
        !self.sent.is_full()
    }

    /// Notes that the request of the response `number` is on its way, and reserves bytes for both.
    pub(super) fn begun(&mut self, number: u32, bytes: usize) {
        // Fits: `has_room` was asked.
        let _ = self.sent.push((number, bytes));
        self.reserved = self.reserved.saturating_add(bytes);
    }

    /// Notes that the request of the response `number` is on its way no more.
    pub(in crate::wasi) fn ended(&mut self, number: u32) {
        if let Some(at) = self.sent.iter().position(|(sent, _)| *sent == number) {
            let (_, bytes) = self.sent.swap_remove(at);
            self.reserved = self.reserved.saturating_sub(bytes);
        }
    }
}

/// Returns how many bytes of headers and bodies the instance may hold besides those that it holds.
pub(super) fn room(call: &Call<'_>) -> usize {
    let exchanges = &call.session.resources.exchanges;
    let most = call.grant.http_bytes.min(call.memory_left);
    most.saturating_sub(exchanges.held)
        .saturating_sub(exchanges.reserved)
}

/// Stops the guest unless it may hold `bytes` bytes more.
pub(super) fn need_room(call: &Call<'_>, bytes: usize) -> Result<(), Fail> {
    match bytes <= room(call) {
        true => Ok(()),
        false => Err(stop(
            "the headers and bodies of HTTP that it holds exceed `http_bytes` or `memory_bytes`",
        )),
    }
}

/// Counts bytes that a resource holds more or less than before.
pub(super) fn recount(call: &mut Call<'_>, before: usize, after: usize) {
    let held = &mut call.session.resources.exchanges.held;
    *held = held.saturating_sub(before).saturating_add(after);
}

/// Adds a resource. Returns its number.
pub(super) fn add(call: &mut Call<'_>, entry: HttpEntry, parent: Option<u32>) -> Result<u32, Fail> {
    resources::add_child(call, Entry::Http(entry), parent)
}

/// Takes a resource away.
pub(super) fn take(call: &mut Call<'_>, number: u32) -> Result<HttpEntry, Fail> {
    match resources::take(call, number)? {
        Entry::Http(entry) => Ok(entry),
        _ => Err(other()),
    }
}

fn get<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut HttpEntry, Fail> {
    match resources::get(call, number)? {
        Entry::Http(entry) => Ok(entry),
        _ => Err(other()),
    }
}

/// Returns the fields that a resource stands for.
pub(super) fn fields<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Fields, Fail> {
    match get(call, number)? {
        HttpEntry::Fields(fields) => Ok(fields),
        _ => Err(other()),
    }
}

/// Takes the fields away that a resource stands for.
pub(super) fn take_fields(call: &mut Call<'_>, number: u32) -> Result<Fields, Fail> {
    match take(call, number)? {
        HttpEntry::Fields(fields) => Ok(fields),
        _ => Err(other()),
    }
}

/// Returns the `outgoing-request` that a resource stands for.
pub(super) fn outgoing_request<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut OutgoingRequest, Fail> {
    match get(call, number)? {
        HttpEntry::OutgoingRequest(request) => Ok(request),
        _ => Err(other()),
    }
}

/// Returns the `request-options` that a resource stands for.
pub(super) fn options<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Options, Fail> {
    match get(call, number)? {
        HttpEntry::Options(options) => Ok(options),
        _ => Err(other()),
    }
}

/// Returns the `outgoing-response` that a resource stands for.
pub(super) fn outgoing_response<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut OutgoingResponse, Fail> {
    match get(call, number)? {
        HttpEntry::OutgoingResponse(response) => Ok(response),
        _ => Err(other()),
    }
}

/// Returns the `outgoing-body` that a resource stands for.
pub(super) fn outgoing_body<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut OutgoingBody, Fail> {
    match get(call, number)? {
        HttpEntry::OutgoingBody(body) => Ok(body),
        _ => Err(other()),
    }
}

/// Returns the contents of this number.
pub(super) fn contents<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Contents, Fail> {
    match get(call, number)? {
        HttpEntry::Contents(contents) => Ok(contents),
        _ => Err(other()),
    }
}

/// Returns the `future-incoming-response` that a resource stands for.
pub(super) fn future<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Future, Fail> {
    match get(call, number)? {
        HttpEntry::Future(future) => Ok(future),
        _ => Err(other()),
    }
}

/// Returns the `incoming-request` that a resource stands for.
pub(super) fn incoming_request<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut IncomingRequest, Fail> {
    match get(call, number)? {
        HttpEntry::IncomingRequest(request) => Ok(request),
        _ => Err(other()),
    }
}

/// Returns the `incoming-response` that a resource stands for.
pub(super) fn incoming_response<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut IncomingResponse, Fail> {
    match get(call, number)? {
        HttpEntry::IncomingResponse(response) => Ok(response),
        _ => Err(other()),
    }
}

/// Returns the `incoming-body` that a resource stands for.
pub(super) fn incoming_body<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<&'c mut IncomingBody, Fail> {
    match get(call, number)? {
        HttpEntry::IncomingBody(body) => Ok(body),
        _ => Err(other()),
    }
}

/// Returns whether the guest has got the trailers that a resource stands for.
pub(super) fn trailers<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut bool, Fail> {
    match get(call, number)? {
        HttpEntry::Trailers(read) => Ok(read),
        _ => Err(other()),
    }
}
