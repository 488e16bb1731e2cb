//! Telling a guest what has happened of what it waits for: clocks, stdin, and whatever does not block.

use super::{
    clocks,
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    lists::Layout,
    session::{Args, Call},
    wait::{Wait, input_is_ready},
};
use core::time::Duration;

/// Most subscriptions in one call.
const SUBSCRIPTIONS: u32 = 1_024;

/// Fuel for looking at a subscription once: it may ask a clock or a source of stdin.
const FUEL: u64 = 5;

/// Size of an event in memory.
const EVENT: u32 = 32;

/// A guest's wish to be told of something.
struct Subscription {
    userdata: u64,
    kind: u8,
    /// Of a descriptor.
    fd: u32,
    /// Of a clock.
    clock: u32,
    timeout: u64,
    absolute: bool,
}

/// What has become of a subscription.
enum Event {
    /// Of a clock: when it will happen, on the platform's clock.
    At(Duration),
    /// Of a descriptor: whether it has happened.
    Ready(bool),
    /// It can't happen.
    Failed(Errno),
}

pub(super) fn poll_oneoff(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (list, events, count) = (args.u32(0), args.u32(1), args.u32(2));
    if count == 0 || count > SUBSCRIPTIONS {
        return Err(Errno::Inval.into());
    }
    let size: u32 = if call.old { 56 } else { 48 };
    call.bytes(list, count.saturating_mul(size))?;
    call.bytes(events, count.saturating_mul(EVENT))?;
    call.bytes(args.u32(3), 4)?;
    let clock = call.shared.platform.now();
    let now = clock.unwrap_or_default();
    let begun = *call.begun.get_or_insert(now);
    call.charge(u64::from(count).saturating_mul(FUEL))?;
    let (mut happened, mut wake, mut input) = (0u32, None::<Duration>, false);
    // Asked once, however many want to know.
    let mut came = None;
    for at in 0..count {
        let wish = subscription(call, list.wrapping_add(at.wrapping_mul(size)))?;
        let error = match judge(call, &wish, begun, &mut came)? {
            Event::At(end) if end > now => {
                wake = Some(wake.map_or(end, |wake| wake.min(end)));
                continue;
            }
            Event::Ready(false) => {
                input = true;
                continue;
            }
            Event::At(_) | Event::Ready(true) => 0u16,
            Event::Failed(errno) => errno as u16,
        };
        let event = event(&wish, error);
        let place = events.wrapping_add(happened.wrapping_mul(EVENT));
        call.put(place, &event.0)?;
        happened = happened.saturating_add(1);
    }
    if happened > 0 {
        return call.put(args.u32(3), &happened.to_le_bytes());
    }
    Err(Fail::Wait(Wait::until(call, clock, wake, input)?))
}

/// How an event is told.
fn event(wish: &Subscription, error: u16) -> Layout<32> {
    let mut event = Layout::new();
    event.put(0, &wish.userdata.to_le_bytes());
    event.put(8, &error.to_le_bytes());
    event.put(10, &[wish.kind]);
    if wish.kind != 0 && error == 0 {
        // How much there is, is not known; at least a byte or the end.
        event.put(16, &1u64.to_le_bytes());
    }
    event
}

/// The subscription at `at`. Under the old name a clock's has one field more.
fn subscription(call: &Call<'_>, at: u32) -> Result<Subscription, Fail> {
    let (size, clock) = if call.old { (56, 24) } else { (48, 16) };
    let bytes = call.bytes(at, size)?;
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

fn judge(
    call: &mut Call<'_>,
    wish: &Subscription,
    begun: Duration,
    came: &mut Option<bool>,
) -> Result<Event, Fail> {
    let needed = match wish.kind {
        0 => {
            let (id, timeout) = (wish.clock, wish.timeout);
            return match clocks::end_of_timeout(call, id, timeout, wish.absolute, begun) {
                Ok(end) => Ok(Event::At(end)),
                Err(Fail::Errno(errno)) => Ok(Event::Failed(errno)),
                Err(stop) => Err(stop),
            };
        }
        1 => rights::POLL | rights::READ,
        2 => rights::POLL | rights::WRITE,
        _ => return Err(Errno::Inval.into()),
    };
    Ok(match call.session.descriptors.allowed(wish.fd, needed) {
        Ok(descriptor) => {
            let waits = matches!(descriptor.node, Node::Input);
            if waits && came.is_none() {
                *came = Some(input_is_ready(call)?);
            }
            Event::Ready(!waits || *came == Some(true))
        }
        Err(errno) => Event::Failed(errno),
    })
}
