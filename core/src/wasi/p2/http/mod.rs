//! `wasi:http`: requests that a guest sends by the embedder's client, and those that the embedder passes to it.
//!
//! | file | holds |
//! |---|---|
//! | `types` | variants and records |
//! | `entries` | the resources, and the bytes that they hold |
//! | `fields` | headers and trailers |
//! | `outgoing` | requests, until they are sent |
//! | `body` | bodies of both directions |
//! | `future` | requests on their way, and their responses |
//! | `incoming` | responses, and requests to the guest |
//!
//! A client takes and returns whole messages. So a request is sent when the guest has finished its body, and a
//! response is there when all of it is.

pub(super) mod body;
mod entries;
mod fields;
mod future;
mod incoming;
mod outgoing;
mod types;

pub(in crate::wasi) use self::{
    entries::{Exchanges, HttpEntry},
    future::{Arrival, arrival},
};

use self::types::ErrorCode;
use super::{
    super::{errno::Fail, session::Call},
    Interface,
    function::plain,
    resources::{self, Entry},
    types::Borrowed,
};

pub(super) static INTERFACES: [Interface; 2] = [
    Interface::new(
        "wasi:http/outgoing-handler@0.2.12",
        &[&plain(
            "handle",
            "func(request: own<outgoing-request>, options: option<own<request-options>>) -> result<future-incoming-response, error-code>",
            outgoing::handle,
        )],
    ),
    Interface::with_resources(
        "wasi:http/types@0.2.12",
        &[
            &plain("[constructor]fields", "func() -> fields", fields::new),
            &plain(
                "[static]fields.from-list",
                "func(entries: list<tuple<string, list<u8>>>) -> result<fields, header-error>",
                fields::from_list,
            ),
            &plain(
                "[method]fields.get",
                "func(self: borrow<fields>, name: string) -> list<list<u8>>",
                fields::get,
            ),
            &plain(
                "[method]fields.has",
                "func(self: borrow<fields>, name: string) -> bool",
                fields::has,
            ),
            &plain(
                "[method]fields.set",
                "func(self: borrow<fields>, name: string, value: list<list<u8>>) -> result<_, header-error>",
                fields::set,
            ),
            &plain(
                "[method]fields.delete",
                "func(self: borrow<fields>, name: string) -> result<_, header-error>",
                fields::delete,
            ),
            &plain(
                "[method]fields.append",
                "func(self: borrow<fields>, name: string, value: list<u8>) -> result<_, header-error>",
                fields::append,
            ),
            &plain(
                "[method]fields.entries",
                "func(self: borrow<fields>) -> list<tuple<string, list<u8>>>",
                fields::list,
            ),
            &plain(
                "[method]fields.clone",
                "func(self: borrow<fields>) -> fields",
                fields::clone,
            ),
            &plain(
                "[constructor]outgoing-request",
                "func(headers: own<headers>) -> outgoing-request",
                outgoing::new,
            ),
            &plain(
                "[method]outgoing-request.body",
                "func(self: borrow<outgoing-request>) -> result<outgoing-body>",
                outgoing::body,
            ),
            &plain(
                "[method]outgoing-request.method",
                "func(self: borrow<outgoing-request>) -> method",
                outgoing::method,
            ),
            &plain(
                "[method]outgoing-request.set-method",
                "func(self: borrow<outgoing-request>, method: method) -> result",
                outgoing::set_method,
            ),
            &plain(
                "[method]outgoing-request.path-with-query",
                "func(self: borrow<outgoing-request>) -> option<string>",
                outgoing::path_with_query,
            ),
            &plain(
                "[method]outgoing-request.set-path-with-query",
                "func(self: borrow<outgoing-request>, path-with-query: option<string>) -> result",
                outgoing::set_path_with_query,
            ),
            &plain(
                "[method]outgoing-request.scheme",
                "func(self: borrow<outgoing-request>) -> option<scheme>",
                outgoing::scheme,
            ),
            &plain(
                "[method]outgoing-request.set-scheme",
                "func(self: borrow<outgoing-request>, scheme: option<scheme>) -> result",
                outgoing::set_scheme,
            ),
            &plain(
                "[method]outgoing-request.authority",
                "func(self: borrow<outgoing-request>) -> option<string>",
                outgoing::authority,
            ),
            &plain(
                "[method]outgoing-request.set-authority",
                "func(self: borrow<outgoing-request>, authority: option<string>) -> result",
                outgoing::set_authority,
            ),
            &plain(
                "[method]outgoing-request.headers",
                "func(self: borrow<outgoing-request>) -> headers",
                outgoing::headers,
            ),
            &plain(
                "[constructor]request-options",
                "func() -> request-options",
                outgoing::new_options,
            ),
            &plain(
                "[method]request-options.connect-timeout",
                "func(self: borrow<request-options>) -> option<u64>",
                outgoing::connect_timeout,
            ),
            &plain(
                "[method]request-options.set-connect-timeout",
                "func(self: borrow<request-options>, duration: option<u64>) -> result",
                outgoing::set_connect_timeout,
            ),
            &plain(
                "[method]request-options.first-byte-timeout",
                "func(self: borrow<request-options>) -> option<u64>",
                outgoing::first_byte_timeout,
            ),
            &plain(
                "[method]request-options.set-first-byte-timeout",
                "func(self: borrow<request-options>, duration: option<u64>) -> result",
                outgoing::set_first_byte_timeout,
            ),
            &plain(
                "[method]request-options.between-bytes-timeout",
                "func(self: borrow<request-options>) -> option<u64>",
                outgoing::between_bytes_timeout,
            ),
            &plain(
                "[method]request-options.set-between-bytes-timeout",
                "func(self: borrow<request-options>, duration: option<u64>) -> result",
                outgoing::set_between_bytes_timeout,
            ),
            &plain(
                "[method]outgoing-body.write",
                "func(self: borrow<outgoing-body>) -> result<output-stream>",
                body::write,
            ),
            &plain(
                "[static]outgoing-body.finish",
                "func(this: own<outgoing-body>, trailers: option<own<trailers>>) -> result<_, error-code>",
                body::finish,
            ),
            &plain(
                "[method]future-incoming-response.subscribe",
                "func(self: borrow<future-incoming-response>) -> pollable",
                future::subscribe,
            ),
            &plain(
                "[method]future-incoming-response.get",
                "func(self: borrow<future-incoming-response>) -> option<result<result<incoming-response, error-code>>>",
                future::get,
            ),
            &plain(
                "[method]incoming-response.status",
                "func(self: borrow<incoming-response>) -> u16",
                incoming::status,
            ),
            &plain(
                "[method]incoming-response.headers",
                "func(self: borrow<incoming-response>) -> headers",
                incoming::response_headers,
            ),
            &plain(
                "[method]incoming-response.consume",
                "func(self: borrow<incoming-response>) -> result<incoming-body>",
                incoming::consume_response,
            ),
            &plain(
                "[method]incoming-body.stream",
                "func(self: borrow<incoming-body>) -> result<input-stream>",
                body::stream,
            ),
            &plain(
                "[static]incoming-body.finish",
                "func(this: own<incoming-body>) -> future-trailers",
                body::finish_reading,
            ),
            &plain(
                "[method]future-trailers.subscribe",
                "func(self: borrow<future-trailers>) -> pollable",
                body::subscribe_trailers,
            ),
            &plain(
                "[method]future-trailers.get",
                "func(self: borrow<future-trailers>) -> option<result<result<option<trailers>, error-code>>>",
                body::trailers,
            ),
            &plain(
                "[method]incoming-request.method",
                "func(self: borrow<incoming-request>) -> method",
                incoming::method,
            ),
            &plain(
                "[method]incoming-request.path-with-query",
                "func(self: borrow<incoming-request>) -> option<string>",
                incoming::path_with_query,
            ),
            &plain(
                "[method]incoming-request.scheme",
                "func(self: borrow<incoming-request>) -> option<scheme>",
                incoming::scheme,
            ),
            &plain(
                "[method]incoming-request.authority",
                "func(self: borrow<incoming-request>) -> option<string>",
                incoming::authority,
            ),
            &plain(
                "[method]incoming-request.headers",
                "func(self: borrow<incoming-request>) -> headers",
                incoming::request_headers,
            ),
            &plain(
                "[method]incoming-request.consume",
                "func(self: borrow<incoming-request>) -> result<incoming-body>",
                incoming::consume_request,
            ),
            &plain(
                "[constructor]outgoing-response",
                "func(headers: own<headers>) -> outgoing-response",
                incoming::new_response,
            ),
            &plain(
                "[method]outgoing-response.status-code",
                "func(self: borrow<outgoing-response>) -> u16",
                incoming::status_code,
            ),
            &plain(
                "[method]outgoing-response.set-status-code",
                "func(self: borrow<outgoing-response>, status-code: u16) -> result",
                incoming::set_status_code,
            ),
            &plain(
                "[method]outgoing-response.headers",
                "func(self: borrow<outgoing-response>) -> headers",
                incoming::headers,
            ),
            &plain(
                "[method]outgoing-response.body",
                "func(self: borrow<outgoing-response>) -> result<outgoing-body>",
                incoming::response_body,
            ),
            &plain(
                "[method]response-outparam.send-informational",
                "func(self: borrow<response-outparam>, status: u16, headers: own<headers>) -> result<_, error-code>",
                incoming::send_informational,
            ),
            &plain(
                "[static]response-outparam.set",
                "func(param: own<response-outparam>, response: result<own<outgoing-response>, error-code>)",
                incoming::set_response,
            ),
            &plain(
                "http-error-code",
                "func(err: borrow<error>) -> option<error-code>",
                http_error_code,
            ),
        ],
        &[
            "fields",
            "incoming-request",
            "outgoing-request",
            "request-options",
            "response-outparam",
            "incoming-response",
            "incoming-body",
            "future-trailers",
            "outgoing-response",
            "outgoing-body",
            "future-incoming-response",
        ],
    ),
];

/// Returns the code of an error of a body's stream.
fn http_error_code(
    call: &mut Call<'_>,
    (Borrowed(error),): &mut (Borrowed,),
) -> Result<Option<ErrorCode>, Fail> {
    Ok(match resources::get(call, *error)? {
        Entry::BodySize(size) => Some(ErrorCode::RequestBodySize(Some(*size))),
        _ => {
            resources::error(call, *error)?;
            None
        }
    })
}

/// Ends what a resource that the guest dropped stood for.
pub(super) fn dropped(call: &mut Call<'_>, number: u32, entry: HttpEntry) -> Result<(), Fail> {
    match entry {
        HttpEntry::OutgoingRequest(request) => release(call, request.contents),
        HttpEntry::OutgoingResponse(response) => release(call, response.contents),
        HttpEntry::OutgoingBody(body) => body::abort(call, &body),
        HttpEntry::Future(future) => future::dropped(call, number, &future),
        _ => Ok(()),
    }
}

fn release(call: &mut Call<'_>, contents: Option<u32>) -> Result<(), Fail> {
    contents.map_or(Ok(()), |contents| body::release(call, contents))
}
