//! Waiting for several events at once: clocks, stdin, and descriptors that never block.

use super::{
    clocks,
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    lists::Layout,
    session::{Args, Call},
    wait::{Wait, input_is_ready},
};
use core::time::Duration;

/// Maximum number of subscriptions in one call.
const SUBSCRIPTIONS: u32 = 1_024;

/// Fuel for checking one subscription once, which may ask a clock or a source of stdin.
const FUEL: u64 = 5;

/// Size of an event in bytes.
const EVENT: u32 = 32;

/// A guest's subscription to an event.
struct Subscription {
    /// Any value of the guest's, returned in the event.
    userdata: u64,
    /// 0 for a clock, 1 for reading, 2 for writing.
    kind: u8,
    /// The descriptor to read or write.
    fd: u32,
    clock: u32,
    /// Of the clock, in nanoseconds.
    timeout: u64,
    absolute: bool,
}

/// The state of a subscription.
enum Event {
    /// The timeout ends at this time of the platform's clock.
    At(Duration),
    /// Whether the descriptor can be read or written now.
    Ready(bool),
    /// The event can't occur.
    Failed(Errno),
}

/// Waits until one of several events occurs: a timeout, or that a descriptor can be read or
/// written.
///
/// Parameters:
/// * `in`: address of the subscriptions (48 bytes each).
/// * `out`: address for the events (32 bytes each), with room for `nsubscriptions`.
/// * `nsubscriptions`: their number, 1 to 1,024.
/// * `nevents`: address for the number of events (u32).
///
/// Errors:
/// * `Inval`: no subscriptions, more than 1,024, or one of an unknown type.
/// * `Fault`: an area lies outside the guest's memory.
/// * `Again`: no event has occurred, and the platform can't wait.
/// * `Badf`: no subscription names a clock or an open descriptor.
/// * In an event, `Notsup` or `Inval`: a clock that is not granted or does not exist, as in
///   `clock_time_get`.
/// * In an event, `Badf` or `Notcapable`: the descriptor is not open, or lacks the right
///   `poll_fd_readwrite` or that to read or write.
///
/// In hostel: relative timeouts run on the monotonic clock, whichever clock is named; without a
/// platform's clock they fail with `Notsup`. A wait ends
/// at the call's deadline and costs fuel. Files and output are always ready, even a full output
/// queue, for which `fd_write` waits. A ready descriptor has the number of bytes 1.
/// `wasi_unstable` has subscriptions of 56 bytes.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#poll_oneoff)
pub(super) fn poll_oneoff(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (list, events, count) = (args.u32(0), args.u32(1), args.u32(2));
    if count == 0 || count > SUBSCRIPTIONS {
        return Err(Errno::Inval.into());
    }
    let size: u32 = if args.unstable { 56 } else { 48 };
    args.bytes(list, count.saturating_mul(size))?;
    args.bytes(events, count.saturating_mul(EVENT))?;
    args.bytes(args.u32(3), 4)?;
    let clock = call.shared.platform.now();
    let now = clock.unwrap_or_default();
    let start = *call.waiting_since.get_or_insert(now);
    call.charge(u64::from(count).saturating_mul(FUEL))?;
    let (mut happened, mut closed) = (0u32, 0u32);
    let (mut wake, mut needs_input) = (None::<Duration>, false);
    // Asked once for all subscriptions, so that they agree.
    let mut input_ready = None;
    for at in 0..count {
        let subscribed = subscription(args, list.wrapping_add(at.wrapping_mul(size)))?;
        let error = match state(call, &subscribed, start, &mut input_ready)? {
            Event::At(end) if end > now => {
                wake = Some(wake.map_or(end, |wake| wake.min(end)));
                continue;
            }
            Event::Ready(false) => {
                needs_input = true;
                continue;
            }
            Event::At(_) | Event::Ready(true) => 0u16,
            Event::Failed(errno) => errno as u16,
        };
        if error == Errno::Badf as u16 {
            closed = closed.saturating_add(1);
        }
        let event = event(&subscribed, error);
        let place = events.wrapping_add(happened.wrapping_mul(EVENT));
        args.put(place, &event.0)?;
        happened = happened.saturating_add(1);
    }
    if closed == count {
        // An event loop that looks at the errno alone would otherwise spin on its closed descriptors.
        return Err(Errno::Badf.into());
    }
    if happened > 0 {
        return args.put(args.u32(3), &happened.to_le_bytes());
    }
    Err(Fail::MustWait(Wait::until(call, clock, wake, needs_input)?))
}

/// Builds the event for a subscription.
fn event(subscribed: &Subscription, error: u16) -> Layout<32> {
    let mut event = Layout::new();
    event.put(0, &subscribed.userdata.to_le_bytes());
    event.put(8, &error.to_le_bytes());
    event.put(10, &[subscribed.kind]);
    if subscribed.kind != 0 && error == 0 {
        // The number of bytes is unknown. There is one at least, or the end.
        event.put(16, &1u64.to_le_bytes());
    }
    event
}

/// Reads the subscription at the address `at`. That of `wasi_unstable` has one field more for clocks.
fn subscription(args: &Args<'_>, at: u32) -> Result<Subscription, Fail> {
    let (size, clock) = if args.unstable { (56, 24) } else { (48, 16) };
    let bytes = args.bytes(at, size)?;
    let u32_at = |at: usize| {
        let field = bytes.get(at..).and_then(|field| field.first_chunk());
        field.map_or(0, |field| u32::from_le_bytes(*field))
    };
    let u64_at = |at: usize| {
        let field = bytes.get(at..).and_then(|field| field.first_chunk());
        field.map_or(0, |field| u64::from_le_bytes(*field))
    };
    Ok(Subscription {
        userdata: u64_at(0),
        kind: bytes.get(8).copied().unwrap_or(0),
        fd: u32_at(16),
        clock: u32_at(clock),
        timeout: u64_at(clock.saturating_add(8)),
        absolute: u32_at(clock.saturating_add(24)) & 1 != 0,
    })
}

/// Returns the state of a subscription. A relative timeout counts from `start`.
fn state(
    call: &mut Call<'_>,
    subscribed: &Subscription,
    start: Duration,
    input_ready: &mut Option<bool>,
) -> Result<Event, Fail> {
    let needed = match subscribed.kind {
        0 => {
            let (id, timeout) = (subscribed.clock, subscribed.timeout);
            return match clocks::end_of_timeout(call, id, timeout, subscribed.absolute, start) {
                Ok(end) => Ok(Event::At(end)),
                Err(Fail::Errno(errno)) => Ok(Event::Failed(errno)),
                Err(other) => Err(other),
            };
        }
        1 => rights::POLL | rights::READ,
        2 => rights::POLL | rights::WRITE,
        _ => return Err(Errno::Inval.into()),
    };
    Ok(
        match call.session.descriptors.allowed(subscribed.fd, needed) {
            Ok(descriptor) => {
                let is_stdin = matches!(descriptor.node, Node::Input);
                if is_stdin && input_ready.is_none() {
                    *input_ready = Some(input_is_ready(call)?);
                }
                Event::Ready(!is_stdin || *input_ready == Some(true))
            }
            Err(errno) => Event::Failed(errno),
        },
    )
}
