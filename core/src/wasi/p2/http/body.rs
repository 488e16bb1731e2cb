//! Bodies: `outgoing-body`, whose contents are kept until it is finished, and `incoming-body`.

use super::{
    super::{
        super::{
            errno::{Errno, Fail},
            session::Call,
        },
        resources::{self, Destination, Entry, Input, Output, other},
        types::{Borrowed, Own},
    },
    entries::{self, Contents, HttpEntry, IncomingBody, OutgoingBody, Writing},
    fields::Fields,
    future,
    types::ErrorCode,
};
use crate::{base::fuel::fuel_for, memory};
use alloc::{boxed::Box, vec::Vec};
use core::mem;

/// Bytes for which a body takes memory at first.
const FIRST: usize = 1 << 10;

/// Returns a new body, and the number of its contents, which its message holds too.
pub(super) fn new(call: &mut Call<'_>, expected: Option<u64>) -> Result<(Own, u32), Fail> {
    let contents = Contents {
        bytes: Vec::new(),
        written: 0,
        expected,
        state: Writing::Open,
        awaited_by: None,
        holders: 2,
    };
    let contents = entries::add(call, HttpEntry::Contents(Box::new(contents)), None)?;
    let body = OutgoingBody {
        contents,
        has_stream: false,
    };
    let body = entries::add(call, HttpEntry::OutgoingBody(body), None)?;
    Ok((Own::new(body), contents))
}

/// Returns the stream that writes the body, once. It must be dropped before the body is finished.
pub(super) fn write(
    call: &mut Call<'_>,
    (Borrowed(body),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let found = entries::outgoing_body(call, *body)?;
    if mem::replace(&mut found.has_stream, true) {
        return Ok(Err(()));
    }
    let output = Output {
        to: Destination::Body(found.contents),
        permitted: 0,
    };
    let stream = resources::add_child(call, Entry::Output(output), Some(*body))?;
    Ok(Ok(Own::new(stream)))
}

/// Finishes a body: its request is sent, if the guest has passed that on. An error if it is not as long as
/// `content-length` says, or if it has trailers, which clients can't send.
pub(super) fn finish(
    call: &mut Call<'_>,
    (body, trailers): &mut (Own, Option<Own>),
) -> Result<Result<(), ErrorCode>, Fail> {
    let HttpEntry::OutgoingBody(body) = entries::take(call, body.number())? else {
        return Err(other());
    };
    let trailers = match trailers {
        Some(trailers) => Some(entries::take_fields(call, trailers.number())?),
        None => None,
    };
    let contents = entries::contents(call, body.contents)?;
    let size = Some(contents.written);
    let error = if contents.expected.is_some_and(|len| Some(len) != size) {
        Some(ErrorCode::RequestBodySize(size))
    } else if trailers.as_ref().map_or(0, Fields::bytes) > 0 {
        Some(ErrorCode::RequestTrailerSectionSize(Some(0)))
    } else if let Writing::Failed(code) = &contents.state {
        Some(code.clone())
    } else {
        None
    };
    end(call, body.contents, error.clone())?;
    Ok(error.map_or(Ok(()), Err))
}

/// Ends a body that the guest drops unfinished: its message is never sent.
pub(super) fn abort(call: &mut Call<'_>, body: &OutgoingBody) -> Result<(), Fail> {
    end(call, body.contents, Some(ErrorCode::ProtocolError))
}

/// Completes the contents of a body, or fails them.
fn end(call: &mut Call<'_>, number: u32, error: Option<ErrorCode>) -> Result<(), Fail> {
    let contents = entries::contents(call, number)?;
    let awaited = contents.awaited_by.take();
    contents.state = match &error {
        None => Writing::Complete,
        Some(code) => Writing::Failed(code.clone()),
    };
    match (awaited, error) {
        (Some(response), None) => future::send(call, response)?,
        (Some(response), Some(code)) => {
            future::fail(call, response, code)?;
            release(call, number)?;
        }
        (None, _) => {}
    }
    release(call, number)
}

/// Takes the bytes of complete contents for their message, which needs them no more.
pub(super) fn take(call: &mut Call<'_>, number: u32) -> Result<Vec<u8>, Fail> {
    let contents = entries::contents(call, number)?;
    let before = contents.bytes.capacity();
    let bytes = mem::take(&mut contents.bytes);
    entries::recount(call, before, 0);
    release(call, number)?;
    Ok(bytes)
}

/// Frees contents that a response waits for, and which it does not wait for any more.
pub(super) fn forsake(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    entries::contents(call, number)?.awaited_by = None;
    release(call, number)
}

/// Notes that the body or its message is gone. Contents without either are freed.
pub(super) fn release(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    let contents = entries::contents(call, number)?;
    contents.holders = contents.holders.saturating_sub(1);
    match contents.holders {
        0 => entries::take(call, number).map(drop),
        _ => Ok(()),
    }
}

/// Returns how many bytes a body takes at once, at most `most`: `Dquot` if none.
pub(in crate::wasi::p2) fn room(call: &Call<'_>, most: usize) -> Result<u64, Fail> {
    match entries::room(call).min(most) {
        0 => Err(Errno::Dquot.into()),
        room => Ok(room as u64),
    }
}

/// Adds bytes to a body. `Fbig` if there is no room for them, or if `content-length` says less; the guest then gets
/// the length that it would have had.
pub(in crate::wasi::p2) fn put(
    call: &mut Call<'_>,
    number: u32,
    bytes: &[u8],
) -> Result<usize, Fail> {
    call.charge(fuel_for(bytes.len()))?;
    let room = entries::room(call);
    let contents = entries::contents(call, number)?;
    let written = contents.written.saturating_add(bytes.len() as u64);
    contents.written = written;
    let capacity = contents.bytes.capacity();
    let needed = contents.bytes.len().saturating_add(bytes.len());
    // At least doubled, so that it rarely moves, but never beyond what the guest may hold.
    let wanted = capacity.saturating_mul(2).max(FIRST).max(needed);
    let wanted = wanted.min(capacity.saturating_add(room)).max(needed);
    let fits = needed <= capacity || wanted.saturating_sub(capacity) <= room;
    if !fits || contents.expected.is_some_and(|expected| written > expected) {
        contents.state = Writing::Failed(ErrorCode::RequestBodySize(Some(written)));
        call.session.resources.refused_body = Some(written);
        return Err(Errno::Fbig.into());
    }
    if needed > capacity {
        let more = wanted.saturating_sub(contents.bytes.len());
        let reserved = contents.bytes.try_reserve_exact(more);
        reserved.map_err(|_| Fail::EndCall(memory::no_room(more)))?;
    }
    contents.bytes.extend_from_slice(bytes);
    let after = contents.bytes.capacity();
    entries::recount(call, capacity, after);
    Ok(bytes.len())
}

/// Returns a body that was received.
pub(super) fn received(call: &mut Call<'_>, bytes: Vec<u8>) -> Result<Own, Fail> {
    let body = IncomingBody {
        bytes,
        has_stream: false,
    };
    entries::add(call, HttpEntry::IncomingBody(body), None).map(Own::new)
}

/// Returns the stream that reads the body, once. It must be dropped before the body.
pub(super) fn stream(
    call: &mut Call<'_>,
    (Borrowed(body),): &mut (Borrowed,),
) -> Result<Result<Own, ()>, Fail> {
    let found = entries::incoming_body(call, *body)?;
    if mem::replace(&mut found.has_stream, true) {
        return Ok(Err(()));
    }
    let stream = Entry::Input(Input::Body(*body, 0));
    let stream = resources::add_child(call, stream, Some(*body))?;
    Ok(Ok(Own::new(stream)))
}

/// Copies up to `most` bytes of a body from an offset on.
pub(in crate::wasi::p2) fn read(
    call: &mut Call<'_>,
    number: u32,
    from: usize,
    most: usize,
) -> Result<Vec<u8>, Fail> {
    let body = entries::incoming_body(call, number)?;
    let left = body.bytes.len().saturating_sub(from).min(most);
    call.charge(fuel_for(left))?;
    let body = entries::incoming_body(call, number)?;
    let found = body.bytes.get(from..).and_then(|rest| rest.get(..left));
    let found = found.unwrap_or_default();
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(left);
    reserved.map_err(|_| Fail::EndCall(memory::no_room(left)))?;
    bytes.extend_from_slice(found);
    Ok(bytes)
}

/// Ends the reading of a body. Returns its trailers.
pub(super) fn finish_reading(call: &mut Call<'_>, (body,): &mut (Own,)) -> Result<Own, Fail> {
    match entries::take(call, body.number())? {
        HttpEntry::IncomingBody(_) => {
            entries::add(call, HttpEntry::Trailers(false), None).map(Own::new)
        }
        _ => Err(other()),
    }
}

/// Returns a pollable that is ready: the trailers came with the body.
pub(super) fn subscribe_trailers(
    call: &mut Call<'_>,
    (Borrowed(trailers),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    entries::trailers(call, *trailers)?;
    resources::add(call, Entry::Pollable(resources::Event::Ready))
}

/// Returns no trailers, which clients don't keep; an error after that was returned.
#[allow(clippy::type_complexity)] // the type of the specification
pub(super) fn trailers(
    call: &mut Call<'_>,
    (Borrowed(trailers),): &mut (Borrowed,),
) -> Result<Option<Result<Result<Option<Own>, ErrorCode>, ()>>, Fail> {
    let read = entries::trailers(call, *trailers)?;
    Ok(Some(match mem::replace(read, true) {
        false => Ok(Ok(None)),
        true => Err(()),
    }))
}
