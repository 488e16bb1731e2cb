//! Clocks. What a guest reads is coarse; the monotonic clock begins near zero in each instance, so
//! that it does not tell how long the host has been running.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::{call::Shared, error::CallError, host_functions::contained};
use core::time::Duration;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
/// The highest number that is a clock's: after the two, the processor times of process and thread.
const LAST: u32 = 3;

/// What the monotonic clock shows when an instance first looks. Go's run time takes 0 for a fault.
const FIRST: Duration = Duration::from_secs(1);

pub(super) fn clock_res_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    now(call, args.u32(0))?;
    let resolution = nanos(call.grant.resolution);
    call.put(args.u32(1), &resolution.to_le_bytes())
}

pub(super) fn clock_time_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let now = nanos(now(call, args.u32(0))?);
    let resolution = nanos(call.grant.resolution);
    let shown = now.saturating_sub(now.checked_rem(resolution).unwrap_or(0));
    call.put(args.u32(2), &shown.to_le_bytes())
}

/// When a timeout on the clock `id` ends, on the platform's clock, where `begun` is the moment from
/// which it counts. No earlier than a guest that reads its coarse clock would see it end.
pub(super) fn end_of_timeout(
    call: &mut Call<'_>,
    id: u32,
    timeout: u64,
    absolute: bool,
    begun: Duration,
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
    // A time span is one of the monotonic clock, whichever clock was named.
    let origin = call.session.origin.unwrap_or(begun);
    let end = if absolute {
        timeout
    } else {
        since(origin, begun).saturating_add(timeout)
    };
    let end = rounded_up(call, end).saturating_sub(FIRST);
    Ok(origin.saturating_add(end))
}

/// The exact time of the clock `id`.
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
            Ok(since(origin, now))
        }
        id if id <= LAST => Err(Errno::Notsup.into()),
        _ => Err(Errno::Inval.into()),
    }
}

/// What the monotonic clock shows at `now` on the platform's.
fn since(origin: Duration, now: Duration) -> Duration {
    now.saturating_sub(origin).saturating_add(FIRST)
}

/// `time` at the next tick that a guest sees.
fn rounded_up(call: &Call<'_>, time: Duration) -> Duration {
    let ticks = nanos(time).checked_next_multiple_of(nanos(call.grant.resolution));
    Duration::from_nanos(ticks.unwrap_or(u64::MAX))
}

/// The platform's time, where it has a clock.
pub(super) fn platform_now(shared: &Shared) -> Result<Duration, Errno> {
    shared.platform.now().ok_or(Errno::Notsup)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
