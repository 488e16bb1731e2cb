//! Messages that the guest gets, and its response to a request: `incoming-response`, and the types of
//! `incoming-handler`.

use super::{
    super::{
        super::{errno::Fail, session::Call},
        resources::{other, stop},
        types::{Borrowed, Own},
    },
    body,
    entries::{self, HttpEntry, OutgoingResponse},
    fields, outgoing,
    types::{ErrorCode, Method, Scheme},
};
use alloc::{boxed::Box, string::String, vec::Vec};

/// Returns the status.
pub(super) fn status(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<u16, Fail> {
    Ok(entries::incoming_response(call, *response)?.status)
}

/// Returns a copy of the headers, which can't be changed.
pub(super) fn response_headers(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let response = *response;
    fields::copy_of(call, |call| {
        Ok(&mut entries::incoming_response(call, response)?.headers)
    })
}

/// Returns the body, once.
pub(super) fn consume_response(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let bytes = entries::incoming_response(call, *response)?.body.take();
    consume(call, bytes)
}

fn consume(call: &mut Call<'_>, bytes: Option<Vec<u8>>) -> Result<Result<Own, ()>, Fail> {
    let Some(bytes) = bytes else {
        return Ok(Err(()));
    };
    // The body counts them from now on.
    entries::recount(call, bytes.len(), 0);
    body::received(call, bytes).map(Ok)
}

/// Returns the method.
pub(super) fn method(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Method, Fail> {
    Ok(entries::incoming_request(call, *request)?.method.clone())
}

/// Returns path and query.
pub(super) fn path_with_query(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<String>, Fail> {
    Ok(entries::incoming_request(call, *request)?.path.clone())
}

/// Returns the scheme.
pub(super) fn scheme(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<Scheme>, Fail> {
    Ok(entries::incoming_request(call, *request)?.scheme.clone())
}

/// Returns the authority.
pub(super) fn authority(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Option<String>, Fail> {
    Ok(entries::incoming_request(call, *request)?.authority.clone())
}

/// Returns a copy of the headers, which can't be changed.
pub(super) fn request_headers(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let request = *request;
    fields::copy_of(call, |call| {
        Ok(&mut entries::incoming_request(call, request)?.headers)
    })
}

/// Returns the body, once.
pub(super) fn consume_request(
    call: &mut Call<'_>,
    (Borrowed(request),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let bytes = entries::incoming_request(call, *request)?.body.take();
    consume(call, bytes)
}

/// Returns a new response of status 200, which takes the headers over.
pub(super) fn new_response(call: &mut Call<'_>, (headers,): &mut (Own,)) -> Result<Own, Fail> {
    let headers = entries::take_fields(call, headers.number())?.freeze();
    let response = OutgoingResponse {
        status: 200,
        headers,
        contents: None,
    };
    let response = HttpEntry::OutgoingResponse(Box::new(response));
    entries::add(call, response, None).map(Own::new)
}

/// Returns the status; 200 at first.
pub(super) fn status_code(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<u16, Fail> {
    Ok(entries::outgoing_response(call, *response)?.status)
}

/// Sets the status: an error if it does not have three digits.
pub(super) fn set_status_code(
    call: &mut Call<'_>,
    (Borrowed(response), status): &mut (Borrowed, u16),
) -> Result<Result<(), ()>, Fail> {
    let response = entries::outgoing_response(call, *response)?;
    if !matches!(status, 100..=999) {
        return Ok(Err(()));
    }
    response.status = *status;
    Ok(Ok(()))
}

/// Returns a copy of the response's headers, which can't be changed.
pub(super) fn headers(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let response = *response;
    fields::copy_of(call, |call| {
        Ok(&mut entries::outgoing_response(call, response)?.headers)
    })
}

/// Returns the response's body, once; an error if `content-length` is not a number.
pub(super) fn response_body(
    call: &mut Call<'_>,
    (Borrowed(response),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let found = entries::outgoing_response(call, *response)?;
    let taken = found.contents.is_some();
    let (Ok(expected), false) = (outgoing::length(&found.headers), taken) else {
        return Ok(Err(()));
    };
    let (body, contents) = body::new(call, expected)?;
    entries::outgoing_response(call, *response)?.contents = Some(contents);
    Ok(Ok(body))
}

/// Sets the response to the request. The guest writes its body before or after that.
pub(super) fn set_response(
    call: &mut Call<'_>,
    (outparam, response): &mut (Own, Result<Own, ErrorCode>),
) -> Result<(), Fail> {
    let HttpEntry::ResponseOutparam = entries::take(call, outparam.number())? else {
        return Err(other());
    };
    let answer = match response {
        Ok(response) => match entries::take(call, response.number())? {
            HttpEntry::OutgoingResponse(response) => Ok(response),
            _ => return Err(other()),
        },
        Err(code) => Err(code.clone()),
    };
    // Kept for the embedder, so that it counts still.
    if let Ok(response) = &answer {
        entries::recount(call, 0, response.headers.bytes());
    }
    call.session.resources.exchanges.answer = Some(answer);
    Ok(())
}

/// Stops the guest: informational responses, which are no stable part of the specification, are not sent.
pub(super) fn send_informational(
    _: &mut Call<'_>,
    _: &mut (Borrowed, u16, Own),
) -> Result<Result<(), ErrorCode>, Fail> {
    Err(stop("informational responses are not supported"))
}
