//! Requests that the guest makes: `outgoing-request`, `request-options` and `outgoing-handler`.

use super::{
    super::{
        super::{errno::Fail, session::Call},
        resources::other,
        types::{Borrowed, Own},
    },
    body,
    entries::{self, HttpEntry, IN_FLIGHT, Options, OutgoingRequest, Writing},
    fields::{self, CONTENT_LENGTH, Fields},
    future::{self, Future},
    types::{ErrorCode, Method, Scheme},
};
use crate::services::http::{HEADERS, HttpRequest, REFUSED_METHODS, URL_BYTES, is_token};
use alloc::{boxed::Box, format, string::String};
use core::{mem, time::Duration};

/// Longest method and longest scheme, in bytes.
const WORD: usize = 64;

/// Longest authority, in bytes: a name of a host has 253 at most.
const AUTHORITY: usize = 300;

/// Returns a new request, which takes the headers over.
pub(super) fn new(call: &mut Call<'_>, (headers,): &mut (Own,)) -> Result<Own, Fail> {
    let headers = entries::take_fields(call, headers.number())?.freeze();
    let request = OutgoingRequest {
        method: Method("GET".into()),
        scheme: None,
        authority: None,
        path: None,
        headers,
        contents: None,
    };
    let added = entries::add(call, HttpEntry::OutgoingRequest(Box::new(request)), None);
    added.map(Own::new)
}

/// Returns the request's body, once; an error if `content-length` is not a number.
pub(super) fn body(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let found = entries::outgoing_request(call, *request)?;
    let (taken, expected) = (found.contents.is_some(), length(&found.headers));
    let (Ok(expected), false) = (expected, taken) else {
        return Ok(Err(()));
    };
    let (body, contents) = body::new(call, expected)?;
    entries::outgoing_request(call, *request)?.contents = Some(contents);
    Ok(Ok(body))
}

/// Returns the length that headers promise for a body, if they do: an error if they don't agree on a number.
pub(super) fn length(headers: &Fields) -> Result<Option<u64>, ()> {
    let mut found = None;
    for value in headers.values(CONTENT_LENGTH) {
        let digits = core::str::from_utf8(value).map_err(|_| ())?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let length = digits.parse().ok().filter(|_| is_number).ok_or(())?;
        if found.is_some_and(|found| found != length) {
            return Err(());
        }
        found = Some(length);
    }
    Ok(found)
}

/// Returns the method; `get` at first.
pub(super) fn method(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Method, Fail> {
    Ok(entries::outgoing_request(call, *request)?.method.clone())
}

/// Sets the method: an error if it is not a token of at most 64 bytes.
pub(super) fn set_method(
    call: &mut Call<'_>,
    (Borrowed(request), method): &mut (Borrowed, Method),
) -> Result<Result<(), ()>, Fail> {
    let request = entries::outgoing_request(call, *request)?;
    if !is_token(&method.0) || method.0.len() > WORD {
        return Ok(Err(()));
    }
    request.method = method.clone();
    Ok(Ok(()))
}

/// Returns path and query.
pub(super) fn path_with_query(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<String>, Fail> {
    Ok(entries::outgoing_request(call, *request)?.path.clone())
}

/// Sets path and query: an error if they are not characters of a URL, percent-encoded if need be, or longer than a
/// URL may be.
pub(super) fn set_path_with_query(
    call: &mut Call<'_>,
    (Borrowed(request), path): &mut (Borrowed, Option<String>),
) -> Result<Result<(), ()>, Fail> {
    let request = entries::outgoing_request(call, *request)?;
    if path.as_ref().is_some_and(|path| !is_path(path)) {
        return Ok(Err(()));
    }
    request.path = mem::take(path);
    Ok(Ok(()))
}

/// Returns whether `path` is a path with a query, and nothing that a URL's reader could take for something else.
fn is_path(path: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\');
    path.len() <= URL_BYTES
        && matches!(path.bytes().next(), None | Some(b'/' | b'?'))
        && path.bytes().all(is_part)
}

/// Returns the scheme.
pub(super) fn scheme(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<Scheme>, Fail> {
    Ok(entries::outgoing_request(call, *request)?.scheme.clone())
}

/// Sets the scheme: an error if it is not one of at most 64 bytes.
pub(super) fn set_scheme(
    call: &mut Call<'_>,
    (Borrowed(request), scheme): &mut (Borrowed, Option<Scheme>),
) -> Result<Result<(), ()>, Fail> {
    let request = entries::outgoing_request(call, *request)?;
    if let Some(Scheme::Other(scheme)) = scheme {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let begins = scheme
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins || !scheme.bytes().all(is_part) || scheme.len() > WORD {
            return Ok(Err(()));
        }
    }
    request.scheme = mem::take(scheme);
    Ok(Ok(()))
}

/// Returns the authority.
pub(super) fn authority(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<String>, Fail> {
    Ok(entries::outgoing_request(call, *request)?.authority.clone())
}

/// Sets the authority: an error if it is not a host, with a port or without. Users and passwords are refused.
pub(super) fn set_authority(
    call: &mut Call<'_>,
    (Borrowed(request), authority): &mut (Borrowed, Option<String>),
) -> Result<Result<(), ()>, Fail> {
    let request = entries::outgoing_request(call, *request)?;
    let refused = |authority: &String| !is_authority(authority);
    if authority.as_ref().is_some_and(refused) {
        return Ok(Err(()));
    }
    request.authority = mem::take(authority);
    Ok(Ok(()))
}

/// Returns whether `text` is a host's name or address, with a port or without.
fn is_authority(text: &str) -> bool {
    if text.len() > AUTHORITY {
        return false;
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let Some((address, rest)) = text.split_once(']') else {
                return false;
            };
            let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            (address.bytes().all(is_part).then_some(address), rest)
        }
        None => {
            let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            (host.bytes().all(is_part).then_some(host), rest)
        }
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host.is_some_and(|host| !host.is_empty())
        && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

/// Returns a copy of the headers, which can't be changed.
pub(super) fn headers(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let request = *request;
    fields::copy_of(call, |call| {
        Ok(&mut entries::outgoing_request(call, request)?.headers)
    })
}

/// Returns new options, without any time.
pub(super) fn new_options(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    let options = HttpEntry::Options(Box::default());
    entries::add(call, options, None).map(Own::new)
}

/// Returns the longest time for making the connection.
pub(super) fn connect_timeout(
    call: &mut Call<'_>,
    (Borrowed(options),): &mut (Borrowed,),
) -> Result<Option<u64>, Fail> {
    Ok(entries::options(call, *options)?.connect)
}

/// Sets the longest time for making the connection.
pub(super) fn set_connect_timeout(
    call: &mut Call<'_>,
    (Borrowed(options), time): &mut (Borrowed, Option<u64>),
) -> Result<Result<(), ()>, Fail> {
    entries::options(call, *options)?.connect = *time;
    Ok(Ok(()))
}

/// Returns the longest time until the response is there.
pub(super) fn first_byte_timeout(
    call: &mut Call<'_>,
    (Borrowed(options),): &mut (Borrowed,),
) -> Result<Option<u64>, Fail> {
    Ok(entries::options(call, *options)?.first_byte)
}

/// Sets the longest time until the response is there, all of it, since the guest gets no part of it earlier.
pub(super) fn set_first_byte_timeout(
    call: &mut Call<'_>,
    (Borrowed(options), time): &mut (Borrowed, Option<u64>),
) -> Result<Result<(), ()>, Fail> {
    entries::options(call, *options)?.first_byte = *time;
    Ok(Ok(()))
}

/// Returns the time that was set.
pub(super) fn between_bytes_timeout(
    call: &mut Call<'_>,
    (Borrowed(options),): &mut (Borrowed,),
) -> Result<Option<u64>, Fail> {
    Ok(entries::options(call, *options)?.between_bytes)
}

/// Sets the longest time between bytes of a body. The guest never waits for these, since it gets a body as a whole.
pub(super) fn set_between_bytes_timeout(
    call: &mut Call<'_>,
    (Borrowed(options), time): &mut (Borrowed, Option<u64>),
) -> Result<Result<(), ()>, Fail> {
    entries::options(call, *options)?.between_bytes = *time;
    Ok(Ok(()))
}

/// Sends the request, as soon as its body is complete. Returns the response that is awaited.
pub(super) fn handle(
    call: &mut Call<'_>,
    (request, options): &mut (Own, Option<Own>),
) -> Result<Result<Own, ErrorCode>, Fail> {
    let HttpEntry::OutgoingRequest(request) = entries::take(call, request.number())? else {
        return Err(other());
    };
    let options = match options {
        Some(options) => match entries::take(call, options.number())? {
            HttpEntry::Options(options) => *options,
            _ => return Err(other()),
        },
        None => Options::default(),
    };
    let contents = request.contents;
    let done = begin(call, *request, &options);
    // The response holds the contents from now on, if it needs them.
    if let Some(contents) = contents
        && !matches!(&done, Ok(Ok((_, true))))
    {
        body::release(call, contents)?;
    }
    done.map(|done| done.map(|(future, _)| Own::new(future)))
}

/// Begins a request. Returns the number of its response, and whether that holds the contents.
fn begin(
    call: &mut Call<'_>,
    request: OutgoingRequest,
    options: &Options,
) -> Result<Result<(u32, bool), ErrorCode>, Fail> {
    if call.grant.http.is_none() {
        return Ok(Err(ErrorCode::RequestDenied));
    }
    // Its headers are gone over, and copied into the request.
    call.charge(request.headers.fuel())?;
    let contents = request.contents;
    let expected = length(&request.headers);
    let checked = match checked(request) {
        Ok(request) => request,
        Err(code) => return Ok(Err(code)),
    };
    let writing = match (contents, expected) {
        (_, Err(())) => return Ok(Err(ErrorCode::ProtocolError)),
        (Some(contents), _) => entries::contents(call, contents)?.state.clone(),
        (None, Ok(None | Some(0))) => Writing::Complete,
        (None, Ok(Some(_))) => Writing::Failed(ErrorCode::RequestBodySize(Some(0))),
    };
    if !call.session.resources.exchanges.has_room() {
        future::log(
            call,
            &format!(
                "{IN_FLIGHT} HTTP requests of one instance are on their way, and no more are allowed"
            ),
        )?;
        return Ok(Err(ErrorCode::ConnectionLimitReached));
    }
    let times = [options.connect, options.first_byte];
    let times = times.map(|time| time.map(Duration::from_nanos));
    entries::need_room(call, checked.bytes)?;
    let waits = matches!(writing, Writing::Open);
    let sends = matches!(writing, Writing::Complete);
    let future = match writing {
        Writing::Failed(code) => Future::failed(code),
        Writing::Open | Writing::Complete => Future::unsent(checked, times, contents),
    };
    let number = entries::add(call, HttpEntry::Future(Box::new(future)), None)?;
    if let Some(contents) = contents.filter(|_| waits) {
        entries::contents(call, contents)?.awaited_by = Some(number);
    }
    if sends {
        future::send(call, number)?;
    }
    // `send` has released them.
    Ok(Ok((number, waits || sends)))
}

/// A request that may be sent, and the bytes of its headers.
pub(in crate::wasi) struct Checked {
    pub(super) request: HttpRequest,
    pub(super) bytes: usize,
}

/// Returns the request as clients get it, without a body.
fn checked(request: OutgoingRequest) -> Result<Checked, ErrorCode> {
    let scheme = match request.scheme {
        Some(Scheme::Http) => "http",
        None | Some(Scheme::Https) => "https",
        Some(Scheme::Other(_)) => return Err(ErrorCode::ProtocolError),
    };
    let authority = request.authority.ok_or(ErrorCode::RequestUriInvalid)?;
    let path = request.path.unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{authority}{slash}{path}");
    if url.len() > URL_BYTES {
        return Err(ErrorCode::RequestUriTooLong);
    }
    let mut checked = HttpRequest::new(&request.method.0, &url);
    if REFUSED_METHODS.contains(&&*checked.method) {
        return Err(ErrorCode::RequestMethodInvalid);
    }
    let bytes = request.headers.bytes();
    checked.headers = request.headers.into_list_without(CONTENT_LENGTH);
    if checked.headers.len() > HEADERS {
        return Err(ErrorCode::RequestHeaderSectionSize(None));
    }
    // Each part was checked when the guest set it: this is the rule for all clients.
    checked.check().map_err(|_| ErrorCode::RequestDenied)?;
    Ok(Checked {
        request: checked,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_with_a_port_or_without() {
        for text in [
            "a",
            "a.example:80",
            "10.0.0.1:1",
            "[::1]",
            "[::]:443",
            "a_b-c~d",
        ] {
            assert!(is_authority(text), "{text}");
        }
        for text in [
            "", ":80", "a:", "a:x", "a:+1", "a:65536", "a:1:2", "u@a", "u:p@a", "a/b", "a?b",
            "a#b", "a\\b", "a b", "a\n", "[::1", "[]", "[::1]x", "[g]", "\u{e9}", "a%2f",
        ] {
            assert!(!is_authority(text), "{text:?}");
        }
        assert!(!is_authority(&"a".repeat(AUTHORITY + 1)));
    }

    #[test]
    fn a_path_has_nothing_that_ends_it() {
        for text in ["", "/", "/a?b=c&d", "?a", "/%20//x", "/a:b@c"] {
            assert!(is_path(text), "{text}");
        }
        for text in [
            "a",
            "*",
            "@b/",
            "/a#b",
            "/a b",
            "/a\r\nX: y",
            "/\u{e9}",
            "/a\\b",
            "/\0",
        ] {
            assert!(!is_path(text), "{text:?}");
        }
        assert!(!is_path(&format!("/{}", "a".repeat(URL_BYTES))));
    }
}
