//! Clocks. Guests read them at the granted resolution. The monotonic clock starts at one second in each
//! instance, so that it does not reveal how long the host has been running.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::{call::Shared, error::CallError, host_functions::contained};
use core::time::Duration;

pub(super) const REALTIME: u32 = 0;
pub(super) const MONOTONIC: u32 = 1;
/// The highest clock number that WASI defines. 2 and 3 are the processor times of process and thread.
const LAST_CLOCK: u32 = 3;

/// The monotonic clock's first reading in an instance. Go's run time treats 0 as a failure.
const FIRST_READING: Duration = Duration::from_secs(1);

/// Writes a clock's resolution.
///
/// Parameters:
/// * `id`: the clock: 0 for the time of day, 1 for the monotonic clock.
/// * `resolution`: address for the resolution in nanoseconds (u64).
///
/// Errors:
/// * `Notsup`: the time of day is not granted, the platform has no clock, or `id` is 2 or 3, the
///   processor times.
/// * `Inval`: `id` is above 3.
/// * `Fault`: the address lies outside the guest's memory.
///
/// In hostel: all clocks have the resolution of the grant, 1 ms by default. There are no processor
/// times.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#clock_res_get)
pub(super) fn clock_res_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let resolution = resolution(call, args.u32(0))?;
    args.put(args.u32(1), &resolution.to_le_bytes())
}

/// Writes a clock's time.
///
/// Parameters:
/// * `id`: the clock: 0 for the time of day, 1 for the monotonic clock.
/// * `precision`: ignored (i64, nanoseconds).
/// * `time`: address for the time in nanoseconds (u64), since 1970-01-01 00:00 UTC for the time of
///   day.
///
/// Errors:
/// * `Notsup`: the time of day is not granted, the platform has no clock, or `id` is 2 or 3, the
///   processor times.
/// * `Inval`: `id` is above 3.
/// * `Fault`: the address lies outside the guest's memory.
///
/// In hostel: the time is rounded down to the granted resolution. The monotonic clock starts at
/// one second when the instance first reads it. There are no processor times.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#clock_time_get)
pub(super) fn clock_time_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let time = time(call, args.u32(0))?;
    args.put(args.u32(2), &time.to_le_bytes())
}

/// Returns the resolution of the clock `id` in nanoseconds. Errors as `clock_res_get`.
pub(super) fn resolution(call: &mut Call<'_>, id: u32) -> Result<u64, Fail> {
    now(call, id)?;
    Ok(nanos(call.grant.resolution))
}

/// Returns the time of the clock `id` in nanoseconds, rounded down to its resolution. Errors as
/// `clock_time_get`.
pub(super) fn time(call: &mut Call<'_>, id: u32) -> Result<u64, Fail> {
    let now = nanos(now(call, id)?);
    let resolution = nanos(call.grant.resolution);
    Ok(now.saturating_sub(now.checked_rem(resolution).unwrap_or(0)))
}

/// Returns the end of a timeout on the clock `id`, as time on the platform's clock. A relative timeout
/// counts from `start`. Rounds up to the clock's resolution, so that a guest which reads the clock
/// afterwards finds the timeout reached.
pub(super) fn end_of_timeout(
    call: &mut Call<'_>,
    id: u32,
    timeout: u64,
    absolute: bool,
    start: Duration,
) -> Result<Duration, Fail> {
    let now = now(call, id)?;
    let timeout = Duration::from_nanos(timeout);
    if absolute && id == REALTIME {
        let left = rounded_up(call, timeout).saturating_sub(now);
        return Ok(if left.is_zero() {
            Duration::ZERO
        } else {
            platform_now(call.shared)?.saturating_add(left)
        });
    }
    // A relative timeout runs on the monotonic clock, whichever clock was named, so that setting the
    // time of day neither shortens nor lengthens it. Without that clock the wait would never end.
    platform_now(call.shared)?;
    let origin = call.session.origin.unwrap_or(start);
    let end = if absolute {
        timeout
    } else {
        reading(origin, start).saturating_add(timeout)
    };
    let end = rounded_up(call, end).saturating_sub(FIRST_READING);
    Ok(origin.saturating_add(end))
}

/// Returns the time of the clock `id`, before rounding.
fn now(call: &mut Call<'_>, id: u32) -> Result<Duration, Fail> {
    match id {
        REALTIME => {
            let realtime = call.grant.realtime.as_ref().ok_or(Errno::Notsup)?;
            let now = contained(&*call.shared.platform, || Ok::<_, CallError>(realtime()))?;
            Ok(now)
        }
        MONOTONIC => {
            let now = platform_now(call.shared)?;
            let origin = *call.session.origin.get_or_insert(now);
            Ok(reading(origin, now))
        }
        id if id <= LAST_CLOCK => Err(Errno::Notsup.into()),
        _ => Err(Errno::Inval.into()),
    }
}

/// Returns the monotonic clock's reading at the platform's time `now`, for a clock first read at `origin`.
fn reading(origin: Duration, now: Duration) -> Duration {
    now.saturating_sub(origin).saturating_add(FIRST_READING)
}

/// Rounds `time` up to the clock's resolution.
fn rounded_up(call: &Call<'_>, time: Duration) -> Duration {
    let ticks = nanos(time).checked_next_multiple_of(nanos(call.grant.resolution));
    Duration::from_nanos(ticks.unwrap_or(u64::MAX))
}

/// Returns the platform's time, or `Notsup` without a clock.
pub(super) fn platform_now(shared: &Shared) -> Result<Duration, Errno> {
    shared.platform.now().ok_or(Errno::Notsup)
}

/// Returns `time` in nanoseconds, at most `u64::MAX`.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
