//! The embedder's side of `incoming-handler`: a request goes to the guest, and its response comes back.

use super::{
    super::resources::{Entry, Resources},
    entries::{HttpEntry, IncomingRequest, OutgoingResponse, Writing},
    fields::{CONTENT_LENGTH, Fields},
    types::{ErrorCode, Method, Scheme},
};
use crate::services::http::{HttpRequest, HttpResponse, REFUSED_HEADERS};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::mem;

/// Adds a request, and the place for its response, if they take at most `room` bytes. Returns their numbers.
pub(in crate::wasi) fn begin(
    resources: &mut Resources,
    request: HttpRequest,
    room: usize,
) -> Option<[u32; 2]> {
    let (scheme, rest) = match request.url.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, &*request.url),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // These are between the embedder's server and its client.
    let headers = request.headers.into_iter().filter(|(name, _)| {
        let refused = REFUSED_HEADERS
            .iter()
            .filter(|name| **name != CONTENT_LENGTH);
        !{ refused }.any(|refused| refused.eq_ignore_ascii_case(name))
    });
    let headers = Fields::received(headers.collect());
    let own = |text: &str| (!text.is_empty()).then(|| String::from(text));
    let incoming = IncomingRequest {
        method: Method(request.method),
        scheme: scheme.map(|scheme| match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.into()),
        }),
        authority: own(authority),
        path: own(path),
        headers,
        body: Some(request.body),
    };
    let entry = HttpEntry::IncomingRequest(Box::new(incoming));
    if entry.bytes() > room.saturating_sub(resources.exchanges.held) {
        return None;
    }
    resources.exchanges.answer = None;
    let request = resources.insert(Entry::Http(entry))?;
    match resources.insert(Entry::Http(HttpEntry::ResponseOutparam)) {
        Some(outparam) => Some([request, outparam]),
        None => {
            resources.remove(request);
            None
        }
    }
}

/// Takes the guest's response. An error in words if there is none, or if its body is not complete.
pub(in crate::wasi) fn end(resources: &mut Resources) -> Result<HttpResponse, String> {
    let answer = mem::take(&mut resources.exchanges.answer);
    let answer = answer.ok_or("it set no response")?;
    let response =
        answer.map_err(|code: ErrorCode| format!("its response is the error {code:?}"))?;
    let OutgoingResponse {
        status,
        headers,
        contents,
    } = *response;
    let held = &mut resources.exchanges.held;
    *held = held.saturating_sub(headers.bytes());
    let mut response = HttpResponse::new(status);
    response.headers = headers.into_list_without(CONTENT_LENGTH);
    if let Some(contents) = contents {
        response.body = take(resources, contents)?;
    }
    Ok(response)
}

/// Takes the contents of a response.
fn take(resources: &mut Resources, number: u32) -> Result<Vec<u8>, String> {
    let Some(Entry::Http(HttpEntry::Contents(contents))) = resources.get(number) else {
        return Err("its response has no body".into());
    };
    let bytes = mem::take(&mut contents.bytes);
    let state = contents.state.clone();
    contents.holders = contents.holders.saturating_sub(1);
    let is_last = contents.holders == 0;
    let held = &mut resources.exchanges.held;
    *held = held.saturating_sub(bytes.capacity());
    if is_last {
        resources.remove(number);
    }
    match state {
        Writing::Complete => Ok(bytes),
        Writing::Open => Err("it did not finish its response's body".into()),
        Writing::Failed(code) => Err(format!("its response's body failed: {code:?}")),
    }
}
