//! `wasi:clocks`: the time of day, and the monotonic clock.

use super::{
    super::{
        clocks::{self, MONOTONIC, REALTIME},
        errno::Fail,
        session::Call,
    },
    Interface,
    function::plain,
    resources::{self, Entry, Event},
    types::{Datetime, Own},
};
use core::time::Duration;

pub(super) static INTERFACES: [Interface; 2] = [
    Interface::new(
        "wasi:clocks/monotonic-clock@0.2.12",
        &[
            &plain("now", "func() -> u64", now),
            &plain("resolution", "func() -> u64", resolution),
            &plain(
                "subscribe-instant",
                "func(when: u64) -> pollable",
                subscribe_instant,
            ),
            &plain(
                "subscribe-duration",
                "func(when: u64) -> pollable",
                subscribe_duration,
            ),
        ],
    ),
    Interface::new(
        "wasi:clocks/wall-clock@0.2.12",
        &[
            &plain("now", "func() -> datetime", wall_now),
            &plain("resolution", "func() -> datetime", wall_resolution),
        ],
    ),
];

/// Returns the monotonic clock's time in nanoseconds, rounded down to the granted resolution. It starts at
/// one second when the instance first reads it.
fn now(call: &mut Call<'_>, (): &mut ()) -> Result<u64, Fail> {
    clocks::time(call, MONOTONIC)
}

/// Returns the granted resolution in nanoseconds.
fn resolution(call: &mut Call<'_>, (): &mut ()) -> Result<u64, Fail> {
    clocks::resolution(call, MONOTONIC)
}

/// Returns a pollable for a time of the monotonic clock.
fn subscribe_instant(call: &mut Call<'_>, (when,): &mut (u64,)) -> Result<Own, Fail> {
    subscribe(call, *when, true)
}

/// Returns a pollable for a time from now on.
fn subscribe_duration(call: &mut Call<'_>, (when,): &mut (u64,)) -> Result<Own, Fail> {
    subscribe(call, *when, false)
}

fn subscribe(call: &mut Call<'_>, when: u64, absolute: bool) -> Result<Own, Fail> {
    let start = clocks::platform_now(call.shared)?;
    let end = clocks::end_of_timeout(call, MONOTONIC, when, absolute, start)?;
    resources::add(call, Entry::Pollable(Event::At(end)))
}

/// Returns the time of day of `Wasi::realtime`, rounded down to the granted resolution.
fn wall_now(call: &mut Call<'_>, (): &mut ()) -> Result<Datetime, Fail> {
    let nanos = clocks::time(call, REALTIME)?;
    Ok(Duration::from_nanos(nanos).into())
}

/// Returns the granted resolution.
fn wall_resolution(call: &mut Call<'_>, (): &mut ()) -> Result<Datetime, Fail> {
    let nanos = clocks::resolution(call, REALTIME)?;
    Ok(Duration::from_nanos(nanos).into())
}
