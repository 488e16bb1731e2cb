//! `wasi:io`: errors, and waiting for events; streams are in a file of their own.

use super::{
    super::{
        errno::Fail,
        session::Call,
        wait::{self, Wait},
    },
    Interface,
    function::plain,
    http::{self, Arrival},
    resources::{self, Event, stop},
    streams,
    types::{Borrowed, ErrorCode},
};
use alloc::{string::String, vec::Vec};
use core::time::Duration;

pub(super) static INTERFACES: [Interface; 3] = [
    Interface::with_resources(
        "wasi:io/error@0.2.12",
        &[&plain(
            "[method]error.to-debug-string",
            "func(self: borrow<error>) -> string",
            to_debug_string,
        )],
        &["error"],
    ),
    Interface::with_resources(
        "wasi:io/poll@0.2.12",
        &[
            &plain(
                "[method]pollable.ready",
                "func(self: borrow<pollable>) -> bool",
                ready,
            ),
            &plain(
                "[method]pollable.block",
                "func(self: borrow<pollable>)",
                block,
            ),
            &plain(
                "poll",
                "func(in: list<borrow<pollable>>) -> list<u32>",
                poll,
            ),
        ],
        &["pollable"],
    ),
    streams::INTERFACE,
];

/// Fuel for checking one pollable once, which may ask a clock or a source of stdin.
const FUEL: u64 = 5;

/// Returns the name of the error's code.
fn to_debug_string(
    call: &mut Call<'_>,
    (Borrowed(error),): &mut (Borrowed,),
) -> Result<String, Fail> {
    let errno = resources::error(call, *error)?;
    Ok(ErrorCode::from(errno).name.into())
}

/// Returns whether the event has occurred.
fn ready(call: &mut Call<'_>, (Borrowed(pollable),): &mut (Borrowed,)) -> Result<bool, Fail> {
    let event = resources::event(call, *pollable)?;
    Waiting::new(call).has_occurred(call, event)
}

/// Waits until the event occurs.
fn block(call: &mut Call<'_>, (Borrowed(pollable),): &mut (Borrowed,)) -> Result<(), Fail> {
    let event = resources::event(call, *pollable)?;
    let mut waiting = Waiting::new(call);
    match waiting.has_occurred(call, event)? {
        true => Ok(()),
        false => Err(waiting.wait(call)),
    }
}

/// Waits until one of the events occurs, and returns the places of those that have. Traps if there are none.
fn poll(call: &mut Call<'_>, (list,): &mut (Vec<Borrowed>,)) -> Result<Vec<u32>, Fail> {
    if list.is_empty() {
        return Err(stop("a poll of no pollables"));
    }
    let mut waiting = Waiting::new(call);
    let mut occurred = Vec::new();
    for (at, Borrowed(pollable)) in (0u32..).zip(&*list) {
        let event = resources::event(call, *pollable)?;
        if waiting.has_occurred(call, event)? {
            occurred.push(at);
        }
    }
    match occurred.is_empty() {
        false => Ok(occurred),
        true => Err(waiting.wait(call)),
    }
}

/// A look at events, and what to wait for if none has occurred.
struct Waiting {
    /// The platform's time, if it has a clock.
    now: Option<Duration>,
    /// The end of the first timeout that is not over.
    wake: Option<Duration>,
    /// Whether stdin is ready: asked once for all events, so that they agree.
    input_ready: Option<bool>,
    /// Responses that are on their way, each once.
    responses: Vec<u32>,
    /// Whether the guest waits for a response whose request it has not completed.
    unsent: bool,
}

impl Waiting {
    fn new(call: &Call<'_>) -> Self {
        Self {
            now: call.shared.platform.now(),
            wake: None,
            input_ready: None,
            responses: Vec::new(),
            unsent: false,
        }
    }

    /// Charges for a look at the event, and returns whether it has occurred.
    fn has_occurred(&mut self, call: &mut Call<'_>, event: Event) -> Result<bool, Fail> {
        call.charge(FUEL)?;
        Ok(match event {
            Event::Ready => true,
            Event::Input => match self.input_ready {
                Some(ready) => ready,
                None => *self.input_ready.insert(wait::input_is_ready(call)?),
            },
            Event::At(end) => {
                let over = self.now.is_none_or(|now| end <= now);
                if !over {
                    self.wake = Some(self.wake.map_or(end, |wake| wake.min(end)));
                }
                over
            }
            Event::Response(number) => match http::arrival(call, number)? {
                Arrival::Arrived => true,
                Arrival::OnItsWay => {
                    // Few are on their way at one time.
                    if !self.responses.contains(&number) {
                        self.responses.push(number);
                    }
                    false
                }
                Arrival::Unsent => {
                    self.unsent = true;
                    false
                }
            },
        })
    }

    /// Returns the wait for the events that have not occurred.
    fn wait(self, call: &mut Call<'_>) -> Fail {
        let input = self.input_ready == Some(false);
        if !self.responses.is_empty() {
            let responses = self.responses;
            return Fail::MustWait(Wait::for_responses(self.now, self.wake, input, responses));
        }
        if self.unsent && self.wake.is_none() && !input {
            return stop(
                "it waits for an HTTP response, and its request is not sent before its `outgoing-body` is finished",
            );
        }
        match Wait::until(call, self.now, self.wake, input) {
            Ok(wait) => Fail::MustWait(wait),
            Err(fail) => fail,
        }
    }
}
