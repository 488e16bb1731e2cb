//! Headers that a proxy before the server, or a later reader, could take for others than the server does.

use crate::problem::Problem;
use axum::http::{
    HeaderMap, HeaderValue, Version,
    header::{self, HeaderName},
    request::Parts,
    uri::Authority,
};

/// Headers of which the server reads one.
const SINGLE: [HeaderName; 3] = [header::HOST, header::AUTHORIZATION, header::CONTENT_TYPE];

/// Refuses a request whose headers have several meanings.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new("bad-header", detail));
    for name in SINGLE {
        if parts.headers.get_all(&name).iter().nth(1).is_some() {
            return wrong(format!("there are several `{name}` headers: send one"));
        }
    }
    let host = parts.headers.get(header::HOST);
    if host.is_none() && parts.version == Version::HTTP_11 {
        return wrong("there is no `host` header, which HTTP/1.1 demands".to_owned());
    }
    if !host.is_none_or(is_host) {
        return wrong("the `host` header is no name or address with an optional port".to_owned());
    }
    // The server knows no other coding, so it would hand the coded bytes to the plugin.
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|value| !is_plain(value)) || codings.next().is_some() {
        return wrong("expected `transfer-encoding: chunked` and no other coding".to_owned());
    }
    Ok(())
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    // An empty one is allowed by HTTP. A user's name is not.
    text.is_empty() || text.parse::<Authority>().is_ok() && !text.contains('@')
}

/// Returns the host that a request is for. One in the request line takes precedence, as HTTP demands.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(Authority::as_str);
    authority.or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}

/// Refuses a change of a plugin if the request's conditions do not hold. The entity tag of a plugin is the SHA-256 of the
/// version that is `loaded`.
pub(super) fn check_conditions(headers: &HeaderMap, loaded: Option<&str>) -> Result<(), Problem> {
    let names = |condition: HeaderName| {
        let tags = headers.get_all(condition);
        let mut tags = tags
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        loaded.is_some_and(|loaded| {
            let own = format!("\"{loaded}\"");
            tags.any(|tag| [&b"*"[..], own.as_bytes()].contains(&tag.trim_ascii()))
        })
    };
    let fails = headers.contains_key(header::IF_MATCH) && !names(header::IF_MATCH)
        || names(header::IF_NONE_MATCH);
    match (fails, loaded) {
        (false, _) => Ok(()),
        (true, None) => Err(Problem::new("precondition-failed", "no version is loaded")),
        (true, Some(loaded)) => Err(Problem::new(
            "precondition-failed",
            format!("the version \"{loaded}\" is loaded"),
        )),
    }
}
