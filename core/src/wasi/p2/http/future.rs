//! `future-incoming-response`: a request from the time when it is made to its response.

use super::{
    super::{
        super::{errno::Fail, session::Call},
        resources::{self, Entry, Event, other},
        types::{Borrowed, Own},
    },
    body,
    entries::{self, HttpEntry, IncomingResponse},
    fields::{FIELD_BYTES, Fields},
    outgoing::Checked,
    types::ErrorCode,
};
use crate::{
    base::{
        fuel::{BASE, fuel_for},
        log::{LogLevel, LogRecord},
        text::text,
    },
    call::later::Later,
    services::http::{HttpError, HttpResponse},
};
use alloc::boxed::Box;
use core::{
    mem,
    task::{Context, Poll},
    time::Duration,
};
use spin::Mutex;

/// `future-incoming-response`.
pub(in crate::wasi) struct Future {
    state: State,
    /// The longest times for making the connection, and until the response is there.
    times: [Option<Duration>; 2],
}

enum State {
    /// The request is not sent before its contents, of this number, are complete.
    Unsent(Checked, Option<u32>),
    /// The response is awaited, and the most bytes of its body. Never locked: it makes the instance `Sync`.
    Sent(Mutex<Later<Result<HttpResponse, HttpError>>>, usize),
    Arrived(HttpResponse, Fields),
    Failed(ErrorCode),
    /// The guest has got it.
    Taken,
}

impl Future {
    /// Returns one whose request failed before it was sent.
    pub(super) const fn failed(code: ErrorCode) -> Self {
        Self {
            state: State::Failed(code),
            times: [None; 2],
        }
    }

    /// Makes the future of a response whose request was not sent yet.
    pub(super) const fn unsent(
        request: Checked,
        times: [Option<Duration>; 2],
        contents: Option<u32>,
    ) -> Self {
        Self {
            state: State::Unsent(request, contents),
            times,
        }
    }

    /// Returns the bytes of headers and bodies that it holds.
    pub(super) const fn bytes(&self) -> usize {
        match &self.state {
            State::Unsent(request, _) => request.bytes,
            State::Arrived(response, headers) => {
                headers.bytes().saturating_add(response.body.len())
            }
            State::Sent(..) | State::Failed(_) | State::Taken => 0,
        }
    }

    /// Returns the contents that it holds.
    pub(super) const fn contents(&self) -> Option<u32> {
        match &self.state {
            State::Unsent(_, contents) => *contents,
            _ => None,
        }
    }

    /// Gives up the request if it is on its way.
    pub(in crate::wasi) fn give_up(&mut self) {
        if matches!(self.state, State::Sent(..)) {
            self.state = State::Failed(ErrorCode::ConnectionTerminated);
        }
    }
}

/// Whether a response is there.
pub(in crate::wasi) enum Arrival {
    Arrived,
    OnItsWay,
    /// The guest has to complete the request's body first.
    Unsent,
}

/// Changes the state of a future.
fn set_state(call: &mut Call<'_>, number: u32, state: State) -> Result<State, Fail> {
    let future = entries::future(call, number)?;
    let before = future.bytes();
    let state = mem::replace(&mut future.state, state);
    let after = future.bytes();
    entries::recount(call, before, after);
    Ok(state)
}

/// Fails a request whose contents will not be complete.
pub(super) fn fail(call: &mut Call<'_>, number: u32, code: ErrorCode) -> Result<(), Fail> {
    set_state(call, number, State::Failed(code)).map(drop)
}

/// Sends the request of a future, whose contents are complete.
pub(super) fn send(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    let state = set_state(call, number, State::Taken)?;
    let (State::Unsent(checked, contents), Some(client)) = (state, &call.grant.http) else {
        return Err(other());
    };
    let Checked { mut request, bytes } = checked;
    if let Some(contents) = contents {
        request.body = body::take(call, contents)?;
    }
    let length = request.url.len().saturating_add(bytes);
    let length = length.saturating_add(request.body.len());
    call.charge(client.cost().saturating_add(fuel_for(length)))?;
    if !call.session.resources.exchanges.has_room() {
        return fail(call, number, ErrorCode::ConnectionLimitReached);
    }
    let [connect, first_byte] = entries::future(call, number)?.times;
    let sent = bytes.saturating_add(request.body.capacity());
    let room = entries::room(call)
        .saturating_sub(sent)
        .saturating_sub(FIELD_BYTES);
    request.plugin = (*call.shared.name).into();
    request.max_header_bytes = FIELD_BYTES;
    request.max_body_bytes = room.min(call.grant.http_response_bytes);
    request.connect_timeout = connect;
    let now = call.shared.platform.now();
    let left = call.meter.until().zip(now);
    let left = left.map(|(until, now)| until.saturating_sub(now));
    request.timeout = left.into_iter().chain(first_byte).min();
    let reserved = sent
        .saturating_add(FIELD_BYTES)
        .saturating_add(request.max_body_bytes);
    let most = request.max_body_bytes;
    let later = Mutex::new(Later::new(client.send(request)));
    call.session.resources.exchanges.begun(number, reserved);
    set_state(call, number, State::Sent(later, most)).map(drop)
}

/// Returns whether the response of this number is there.
pub(in crate::wasi) fn arrival(call: &mut Call<'_>, number: u32) -> Result<Arrival, Fail> {
    let Some(Entry::Http(HttpEntry::Future(future))) = call.session.resources.get(number) else {
        return Err(other());
    };
    let (later, most) = match &mut future.state {
        State::Sent(later, most) => (later.get_mut(), *most),
        State::Unsent(..) => return Ok(Arrival::Unsent),
        State::Arrived(..) | State::Failed(_) | State::Taken => return Ok(Arrival::Arrived),
    };
    let mut context = Context::from_waker(call.waker);
    let polled = later.poll_for(
        (call.shared, call.meter, call.canceller),
        call.blocks,
        &mut context,
    )?;
    let Poll::Ready(response) = polled else {
        return Ok(Arrival::OnItsWay);
    };
    call.session.resources.exchanges.ended(number);
    let connect = entries::future(call, number)?
        .times
        .first()
        .copied()
        .flatten();
    let state = match response.and_then(|response| received(response, most)) {
        Ok((response, headers)) => State::Arrived(response, headers),
        Err(error) => {
            log(call, &text(format_args!("{error}")))?;
            State::Failed(ErrorCode::of(&error, connect))
        }
    };
    set_state(call, number, state)?;
    Ok(Arrival::Arrived)
}

/// Checks a client's response, whose body has `most` bytes at most: there is room for these. Returns its headers by
/// themselves.
fn received(mut response: HttpResponse, most: usize) -> Result<(HttpResponse, Fields), HttpError> {
    let too_large = |part, limit| Err(HttpError::TooLarge { part, limit });
    let headers = Fields::received(mem::take(&mut response.headers));
    if headers.bytes() > FIELD_BYTES {
        return too_large("headers", FIELD_BYTES);
    }
    if response.body.len() > most {
        return too_large("body", most);
    }
    Ok((response, headers))
}

/// Logs why a request failed, for the embedder: the guest gets a code.
pub(super) fn log(call: &mut Call<'_>, reason: &str) -> Result<(), Fail> {
    let Some(sink) = &call.shared.log else {
        return Ok(());
    };
    call.charge(BASE.saturating_add(reason.len() as u64))?;
    if call.meter.log(reason.len()) {
        call.shared.platform.contain(&mut || {
            let bytes = reason.as_bytes();
            sink.record(&LogRecord::of_guest(
                &call.shared.name,
                LogLevel::Warn,
                bytes,
            ));
        });
    }
    Ok(())
}

/// Returns a pollable for the time when the response is there. It must be dropped first.
pub(super) fn subscribe(
    call: &mut Call<'_>,
    (Borrowed(future),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    entries::future(call, *future)?;
    let pollable = Entry::Pollable(Event::Response(*future));
    resources::add_child(call, pollable, Some(*future)).map(Own::new)
}

/// Returns the response, or why there is none; nothing before it is there, and an error after it was returned.
#[allow(clippy::type_complexity)] // the type of the specification
pub(super) fn get(
    call: &mut Call<'_>,
    (Borrowed(future),): &mut (Borrowed,),
) -> Result<Option<Result<Result<Own, ErrorCode>, ()>>, Fail> {
    if !matches!(arrival(call, *future)?, Arrival::Arrived) {
        return Ok(None);
    }
    Ok(Some(match set_state(call, *future, State::Taken)? {
        State::Arrived(response, headers) => {
            call.charge(headers.fuel())?;
            let response = IncomingResponse {
                status: response.status,
                headers,
                body: Some(response.body),
            };
            let response = HttpEntry::IncomingResponse(Box::new(response));
            Ok(Ok(Own::new(entries::add(call, response, None)?)))
        }
        State::Failed(code) => Ok(Err(code)),
        _ => Err(()),
    }))
}

/// Ends a future that the guest drops: gives its request up.
pub(super) fn dropped(call: &mut Call<'_>, number: u32, future: &Future) -> Result<(), Fail> {
    call.session.resources.exchanges.ended(number);
    match future.contents() {
        Some(contents) => body::forsake(call, contents),
        None => Ok(()),
    }
}
